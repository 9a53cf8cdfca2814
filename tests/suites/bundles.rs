//! Does a partition leave a server and come into another one as it was?
//!
//! Whole servers, spoken to over HTTP: export, import, copy.

use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client, encoded, raw, with_query};
use strongroom_tests::collections;
use strongroom_tests::documents::{id_of, insert, insert_path, list_all, path};
use strongroom_tests::keys::client_with;
use strongroom_tests::server::Server;

const BUNDLE: &[(&str, &str)] = &[("content-type", "application/octet-stream")];

fn import(client: &Client, partition: &str, bundle: &[u8]) -> Answer {
    client.send("POST", &with_query("/v1/import", &[("partition", partition)]), BUNDLE, bundle.to_vec())
}

fn export(client: &Client, partition: &str) -> Vec<u8> {
    let answer = client.get(&with_query("/v1/export", &[("partition", partition)])).expect(200);
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    answer.body
}

/// A partition with documents of several kinds; answers the id of one that is soft-deleted.
fn fill(client: &Client) -> String {
    for n in 0..40 {
        let address = format!(
            "{}&tags={}&metadata={}&entity_id=e{}&source=sea&acl_readers={}",
            insert_path(Some("acme"), &format!("{n}.txt")),
            encoded(&format!("even:{}", n % 2 == 0)),
            encoded(&json!({"n": n, "deep": "sea"}).to_string()),
            n % 3,
            if n % 8 == 0 { "user:ada" } else { "user:ada,user:bob" },
        );
        let text = format!("Whale number {n} sings. ").repeat(1 + n % 30);
        client.post_bytes(&address, text.as_bytes()).expect(201);
    }
    let gone = insert(client, Some("acme"), "a deleted whale");
    client.delete(&path(&format!("/{gone}"), Some("acme"))).expect(200);
    gone
}

/// What is told of all documents, and what searches answer, but for the partition's name.
fn told(client: &Client, partition: &str) -> (Vec<Value>, Vec<Value>) {
    let mut documents = Vec::new();
    for (id, mut document) in list_all(client, Some(partition)) {
        document["partition"] = Value::Null;
        let content = client.get(&path(&format!("/{id}/download"), Some(partition))).expect(200);
        document["content"] = content.text().into();
        documents.push(document);
    }
    let searches = ["hybrid", "semantic", "keyword"].map(|mode| {
        let filter = json!({"field": "n", "op": "gt", "value": 5}).to_string();
        let pairs =
            [("q", "number 7 sings"), ("k", "30"), ("mode", mode), ("filter", &filter), ("exact", "true")];
        let answer =
            client.get(&with_query("/v1/search", &[&pairs[..], &[("partition", partition)]].concat()));
        let mut answer = answer.expect(200).json();
        // Each search has an id of its own.
        answer["query_id"].take();
        for hit in answer["results"].as_array_mut().expect("results") {
            hit["partition"] = Value::Null;
        }
        assert!(answer["results"].as_array().is_some_and(|hits| hits.len() > 10), "{answer}");
        answer
    });
    (documents, searches.to_vec())
}

/// Lost otherwise: a customer that moves to another server would find other documents there, or other answers.
#[test]
fn another_server_answers_the_same() {
    let (server, other) = (Server::start(), Server::start());
    let (here, there) = (server.operator(), other.operator());
    let gone = fill(&here);
    let before = told(&here, "acme");
    let bundle = export(&here, "acme");
    let imported = import(&there, "acme of old", &bundle).expect(200).json();
    assert_eq!((&imported["documents_added"], &imported["documents_known"]), (&json!(41), &json!(0)));
    assert_eq!(told(&there, "acme of old"), before);
    let again = import(&there, "acme of old", &bundle).expect(200).json();
    assert_eq!((&again["documents_added"], &again["documents_known"]), (&json!(0), &json!(41)));
    there.post(&path(&format!("/{gone}/restore"), Some("acme of old")), &json!({})).expect(200);
    // Who signed it is told, and both ends have it in their audit logs, without a name.
    let key = here.get("/v1/search?q=x&trace=true").expect(200).json()["trace"]["statement"].clone();
    assert!(
        key.as_str().is_some_and(|text| text.contains(imported["signer"].as_str().unwrap_or("?"))),
        "{key}"
    );
    for (client, action) in [(&here, "partition.export"), (&there, "partition.import")] {
        let rows = client.get(&format!("/v1/admin/audit?action={action}")).expect(200).text();
        assert!(rows.contains(action) && !rows.contains("acme"), "{rows}");
    }
}

/// Lost otherwise: a copy would lack something, or go on being the same partition.
#[test]
fn a_copy_is_a_partition_of_its_own() {
    let server = Server::start();
    let client = server.operator();
    let gone = fill(&client);
    let before = told(&client, "acme");
    let copied = client.post("/v1/partitions/acme/copy", &json!({"to": "a/b"})).expect(200).json();
    assert_eq!((&copied["documents_added"], &copied["copied_from"]), (&json!(41), &json!("acme")));
    assert_eq!(told(&client, "a/b"), before);
    client.delete("/v1/partitions/acme").expect(200);
    assert_eq!(told(&client, "a/b"), before, "shredding the original takes nothing from the copy");
    client.post(&path(&format!("/{gone}/restore"), Some("a/b")), &json!({})).expect(200);
    client.post("/v1/partitions/acme/copy", &json!({"to": "x"})).expect_error(404, "partition_not_found");
    client.post("/v1/partitions/a%2Fb/copy", &json!({"to": "a/b"})).expect_error(400, "invalid_partition");
    let id = id_of(&client.post_bytes(&insert_path(Some("c"), "c.txt"), b"of c").expect(201));
    client.post("/v1/partitions/a%2Fb/copy", &json!({"to": "c"})).expect(200);
    assert_eq!(list_all(&client, Some("c")).len(), 42);
    client.put_bytes(&path(&format!("/{id}"), Some("c")), b"changed").expect(200);
    client.post("/v1/partitions/c/copy", &json!({"to": "d"})).expect(200);
    client.put_bytes(&path(&format!("/{id}"), Some("d")), b"changed otherwise").expect(200);
    client.post("/v1/partitions/c/copy", &json!({"to": "d"})).expect_error(409, "document_exists");
}

/// Lost otherwise: half a file would be taken for a partition, or a stranger's bytes for documents; a key would carry away what it may only read.
#[test]
fn what_does_not_check_is_refused() {
    let server = Server::start();
    let client = server.operator();
    fill(&client);
    let bundle = export(&client, "acme");
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("text", b"SRBUNDL1 and something".to_vec()),
        ("cut in the page", bundle[..bundle.len() / 2].to_vec()),
        ("a bit flipped in the page", {
            let mut bytes = bundle.clone();
            bytes[bundle.len() / 2] ^= 4;
            bytes
        }),
    ] {
        let refused = import(&client, "fresh", &bytes).expect_error(422, "invalid_bundle");
        assert!(!refused.text().contains("are stored"), "{what}: {refused}");
    }
    assert!(list_all(&client, Some("fresh")).is_empty(), "nothing of a bad page is stored");
    // What verified is there, and it is said how to go on.
    let cut = import(&client, "fresh", &bundle[..bundle.len() - 1]).expect_error(422, "invalid_bundle");
    assert!(
        cut.text().contains("41 documents of the bundle are stored: import the whole bundle again"),
        "{cut}"
    );
    assert_eq!(list_all(&client, Some("fresh")).len(), 40);
    let behind = [&bundle[..], b"x"].concat();
    import(&client, "fresh", &behind).expect_error(422, "invalid_bundle");
    // A connection that breaks loses nothing, and the server goes on.
    let key = strongroom_tests::server::OPERATOR_KEY;
    let head = format!(
        "POST /v1/import?partition=broken HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n",
        bundle.len()
    );
    drop(raw(server.address(), &[head.as_bytes(), &bundle[..1000]].concat(), Duration::from_millis(1)));
    import(&client, "broken", &bundle).expect(200);
    // A collection of other vectors takes none of it.
    let reader =
        client_with(&client, &json!({"scopes": ["document:read", "query:read"], "partition": "acme"}));
    reader.get("/v1/export?partition=acme").expect_error(403, "scope_missing");
    let pinned = client_with(&client, &json!({"partition": "acme"}));
    pinned.get("/v1/export?partition=fresh").expect_error(403, "partition_forbidden");
    pinned.post("/v1/partitions/acme/copy", &json!({"to": "mine"})).expect_error(403, "partition_forbidden");
    pinned.post("/v1/partitions/fresh/copy", &json!({"to": "acme"})).expect_error(403, "partition_forbidden");
    import(&pinned, "fresh", &bundle).expect_error(403, "partition_forbidden");
    assert_eq!(export(&pinned, "acme").len(), bundle.len());
    client.get("/v1/export?partition=nobody").expect_error(404, "partition_not_found");
    let tenants = client_with(&client, &json!({"multi_tenant": true}));
    tenants.get("/v1/export").expect_error(400, "partition_required");
}

/// Lost otherwise: a copy or an import would be a way around the trash, or around a workspace that takes declared partitions alone.
#[test]
fn terms_hold_for_what_is_carried() {
    let server = Server::start();
    let operator = server.operator();
    operator.post("/v1/admin/workspaces", &json!({"name": "strict"})).expect(201);
    let client = operator.in_workspace("strict");
    insert(&client, Some("acme"), "whales");
    let bundle = export(&client, "acme");
    let copy = |from: &str, to: &str| client.post(&format!("/v1/partitions/{from}/copy"), &json!({"to": to}));
    // What is held may be read, and so carried away, and takes in more.
    client.patch("/v1/partitions/acme", &json!({"hold": true})).expect(200);
    copy("acme", "held copy").expect(200);
    import(&client, "acme", &bundle).expect(200);
    assert_eq!(client.get("/v1/partitions/held%20copy").expect(200).json()["hold"], false, "terms stay");
    // What is in the trash is not there for readers, and takes nothing.
    client.delete("/v1/partitions/held%20copy?grace_seconds=600").expect(200);
    copy("held%20copy", "out of the trash").expect_error(404, "partition_not_found");
    client.get("/v1/export?partition=held%20copy").expect_error(404, "partition_not_found");
    copy("acme", "held copy").expect_error(409, "partition_trashed");
    import(&client, "held copy", &bundle).expect_error(409, "partition_trashed");
    // Nothing is made that nobody declared.
    let id = operator.get("/v1/admin/workspaces").expect(200).json()["workspaces"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["name"] == "strict")?["id"].as_str().map(str::to_owned))
        .expect("the workspace's id");
    let strict = json!({"partitions": {"declared_only": true}});
    client.patch(&format!("/v1/admin/workspaces/{id}"), &strict).expect(200);
    copy("acme", "undeclared").expect_error(422, "partition_undeclared");
    import(&client, "undeclared", &bundle).expect_error(422, "partition_undeclared");
    client.post("/v1/partitions", &json!({"id": "declared"})).expect(201);
    import(&client, "declared", &bundle).expect(200);
    assert_eq!(list_all(&client, Some("declared")).len(), 1);
}

/// Lost otherwise: a tenant of any collection but one could not leave, or came among vectors, tenants or metadata that are not theirs.
#[test]
fn partitions_of_every_collection_are_carried() {
    let (server, other) = (Server::start(), Server::start());
    let (here, there) = (server.operator(), other.operator());
    for client in [&here, &there] {
        collections::make(client, json!({"name": "manuals", "tenant_field": "tenant"}));
    }
    collections::make(&there, json!({"name": "points", "dimension": 3}));
    let strict = json!({"type": "object", "required": ["shelf"]});
    collections::make(&there, json!({"name": "strict", "metadata_schema": strict}));
    collections::make(&there, json!({"name": "theirs", "embedding_provider": "openai", "dimension": 256}));
    for text in ["whales sing", "whales sleep"] {
        collections::upload(&here, "manuals", text, json!({"tenant": "acme"}));
    }
    collections::upload(&here, "manuals", "another tenant's whales", json!({"tenant": "globex"}));
    let address = |path: &str, collection: &str, partition: &str| {
        with_query(path, &[("collection", collection), ("partition", partition)])
    };
    let bundle = here.get(&address("/v1/export", "manuals", "acme")).expect(200).body;
    let take = |client: &Client, collection: &str, partition: &str| {
        client.send("POST", &address("/v1/import", collection, partition), BUNDLE, bundle.clone())
    };
    let taken = take(&there, "manuals", "acme").expect(200).json();
    assert_eq!((&taken["documents_added"], &taken["partition"]), (&json!(2), &json!("acme")));
    let asked = json!({"query": "whales", "filters": {"tenant": "acme"}});
    let found = collections::found(&here, "manuals", asked.clone());
    assert_eq!((collections::found(&there, "manuals", asked), found.len()), (found, 2));
    // What doesn't fit says so, and stores nothing.
    take(&there, "manuals", "globex").expect_error(422, "tenant_mismatch");
    take(&there, "points", "acme").expect_error(422, "wrong_dimension");
    take(&there, "strict", "acme").expect_error(422, "metadata_schema");
    let refused = take(&there, "theirs", "acme").expect_error(422, "wrong_embedder");
    assert!(refused.text().contains("openai"), "{refused}");
    for (collection, partition) in
        [("manuals", "globex"), ("points", "acme"), ("strict", "acme"), ("theirs", "acme")]
    {
        let listed =
            there.get(&with_query("/v1/partitions", &[("collection", collection), ("state", "all")]));
        assert!(!listed.expect(200).text().contains(&format!("{partition:?}")), "{collection}");
    }
    take(&there, "nowhere", "acme").expect_error(404, "collection_not_found");
    there.get(&address("/v1/export", "nowhere", "acme")).expect_error(404, "collection_not_found");
    there.get(&address("/v1/export", "memory", "acme")).expect_error(404, "collection_not_found");
    take(&there, "memory", "acme").expect_error(409, "registered_tenant");
    // Keys of one collection, or of one partition of it, carry that alone.
    let kept = client_with(&there, &json!({"collection": "manuals"}));
    kept.get(&address("/v1/export", "manuals", "acme")).expect(200);
    kept.get("/v1/export?partition=acme").expect_error(403, "collection_forbidden");
    take(&kept, "points", "acme").expect_error(403, "collection_forbidden");
    let pinned = client_with(&there, &json!({"collection": "manuals", "partition": "acme"}));
    assert_eq!(pinned.get("/v1/export?collection=manuals").expect(200).status, 200);
    pinned.get(&address("/v1/export", "manuals", "globex")).expect_error(403, "partition_forbidden");
    // Copies stay in their collection, and tenants' ids are their documents'.
    there
        .post("/v1/partitions/acme/copy?collection=manuals", &json!({"to": "b"}))
        .expect_error(409, "tenant_field");
    let one = json!({"vectors": [{"id": "north", "embedding": [0.0, 1.0, 0.0], "text": "north"}]});
    there.post("/v1/collections/points/vectors/upsert?partition=acme", &one).expect(200);
    let copied =
        there.post("/v1/partitions/acme/copy?collection=points", &json!({"to": "b"})).expect(200).json();
    assert_eq!(copied["documents_added"], 1);
    let bundle = there.get(&address("/v1/export", "points", "b")).expect(200).body;
    assert_eq!(strongroom_tests::documents::of_bundle(&bundle).len(), 1);
}
