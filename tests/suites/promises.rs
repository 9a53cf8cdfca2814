//! Are bigRAG's and HyperSpark's writes done once as well, when they come again with their `Idempotency-Key`?

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client, encoded};
use strongroom_tests::collections::{self, BOUNDARY, form, make, texts, upload};
use strongroom_tests::keys::client_with;
use strongroom_tests::memories::{count, of, recent, tenant};
use strongroom_tests::routes::{dimension, vector};
use strongroom_tests::server::Server;

const KEY: &str = "idempotency-key";

fn post(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [(KEY, key), ("content-type", "application/json")];
    client.send("POST", path, &headers, body.to_string().into_bytes())
}

fn delete(client: &Client, path: &str, key: &str) -> Answer {
    client.send("DELETE", path, &[(KEY, key)], Vec::new())
}

/// A form with another boundary each time, as clients make them.
fn send(
    client: &Client,
    path: &str,
    key: &str,
    boundary: &str,
    files: &[(&str, &str, &str)],
    of: &Value,
) -> Answer {
    let body = String::from_utf8(form(files, Some(of))).expect("text").replace(BOUNDARY, boundary);
    let kind = format!("multipart/form-data; boundary={boundary}");
    client.send("POST", path, &[(KEY, key), ("content-type", &kind)], body.into_bytes())
}

fn total(client: &Client, collection: &str, tenant: &str) -> u64 {
    let path = collections::path(collection, &format!("/documents?partition={tenant}"));
    client.get(&path).expect(200).json()["total"].as_u64().expect("a total")
}

fn world() -> (Server, Client) {
    let server = Server::start();
    let client = server.operator();
    make(&client, json!({"name": "shared", "tenant_field": "tenant"}));
    (server, client)
}

// bigRAG's client sends a key with every write, and each of its tries is written anew: a file would be stored twice, or refused.
#[test]
fn an_upload_that_comes_again_is_one_document() {
    let (server, client) = world();
    let acme = json!({"tenant": "acme"});
    let one = collections::path("shared", "/documents");
    let file = [("file", "a.txt", "whales are mammals")];
    let first = send(&client, &one, "one", "first-try", &file, &acme).expect(201).json();
    assert_eq!(send(&client, &one, "one", "second-try", &file, &acme).expect(201).json(), first);
    for (files, of) in [
        ([("file", "a.txt", "whales are fish")], &acme),
        ([("file", "b.txt", "whales are mammals")], &acme),
        ([("file", "a.txt", "whales are mammals")], &json!({"tenant": "acme", "year": 1})),
    ] {
        send(&client, &one, "one", "third-try", &files, of).expect_error(409, "idempotency_conflict");
    }
    // In another tenant's partition it is another key.
    let other =
        send(&client, &one, "one", "first-try", &file, &json!({"tenant": "globex"})).expect(201).json();
    assert_ne!(other["id"], first["id"]);
    let many = collections::path("shared", "/documents/batch/upload");
    let files = [("files", "b.txt", "bees make honey"), ("files", "c.txt", "crows are clever")];
    let both = send(&client, &many, "many", "first-try", &files, &acme).expect(201).json();
    let server = server.stop().start();
    let client = server.operator();
    assert_eq!(send(&client, &many, "many", "second-try", &files, &acme).expect(201).json(), both);
    let swapped = [files[1], files[0]];
    send(&client, &many, "many", "third-try", &swapped, &acme).expect_error(409, "idempotency_conflict");
    assert_eq!((total(&client, "shared", "acme"), total(&client, "shared", "globex")), (3, 1));
    let usage = client.get("/v1/usage?window_days=1").expect(200).json();
    assert_eq!(usage["inserts_total"], 4, "{usage}");
}

// Who lost the answer to a deletion would be told that there never was such a document.
#[test]
fn a_deletion_that_comes_again_is_answered_the_same() {
    let (server, client) = world();
    let acme: Vec<String> =
        (0..4).map(|n| upload(&client, "shared", &format!("a {n}"), json!({"tenant": "acme"}))).collect();
    let globex = upload(&client, "shared", "g", json!({"tenant": "globex"}));
    let own = |id: &str| collections::path("shared", &format!("/documents/{}", encoded(id)));
    let first = delete(&client, &own(&acme[0]), "one").expect(200).json();
    assert_eq!(delete(&client, &own(&acme[0]), "one").expect(200).json(), first);
    delete(&client, &own(&acme[0]), "other").expect_error(404, "document_not_found");
    delete(&client, &own(&acme[1]), "one").expect_error(409, "idempotency_conflict");
    // By a key that names its tenant, by one that is pinned to it, and by another one's.
    let pinned = client_with(&client, &json!({"collection": "shared", "partition": "acme"}));
    let stranger = client_with(&client, &json!({"collection": "shared", "partition": "globex"}));
    let named = format!("{}?partition=acme", own(&acme[1]));
    for client in [&client, &pinned] {
        for _ in 0..2 {
            delete(client, &named, "named").expect(200);
        }
    }
    delete(&stranger, &own(&acme[0]), "one").expect_error(404, "document_not_found");
    let many = collections::path("shared", "/documents/batch/delete");
    let ids = json!({"document_ids": [acme[2], "gone", globex]});
    let both = post(&client, &many, "many", &ids).expect(200).json();
    assert_eq!((&both["deleted"], both["errors"].as_array().map(Vec::len)), (&json!(2), Some(1)));
    let server = server.stop().start();
    let client = server.operator();
    assert_eq!(post(&client, &many, "many", &ids).expect(200).json(), both);
    assert_eq!(delete(&client, &own(&acme[0]), "one").expect(200).json(), first);
    assert_eq!((total(&client, "shared", "acme"), total(&client, "shared", "globex")), (1, 0));
    let acts = client.get("/v1/admin/audit?action=document.purge").expect(200).json();
    assert_eq!(acts["total"], 4, "{acts}");
    let usage = client.get("/v1/usage?window_days=1").expect(200).json();
    assert_eq!(usage["deletes_total"], 4, "{usage}");
}

// Vectors that were written over since would be written over again by a late try.
#[test]
fn vectors_and_passages_are_written_once() {
    let (_server, client) = world();
    let numbers = |n| json!(vector(dimension(&client), n));
    let upserting = collections::path("shared", "/vectors/upsert");
    let entry = |tenant: &str, id: &str, text: &str| json!({"id": id, "embedding": numbers(1), "text": text, "metadata": {"tenant": tenant}});
    let body = |text: &str| json!({"vectors": [entry("acme", "v", text), entry("globex", "v", text)]});
    let first = post(&client, &upserting, "first", &body("first")).expect(200).json();
    post(&client, &upserting, "second", &body("second")).expect(200);
    assert_eq!(post(&client, &upserting, "first", &body("first")).expect(200).json(), first);
    let found =
        |tenant: &str| texts(&client, "shared", json!({"query": "second", "filters": {"tenant": tenant}}));
    assert_eq!(
        (found("acme"), found("globex")),
        (collections::set(&["second"]), collections::set(&["second"]))
    );
    post(&client, &upserting, "first", &body("third")).expect_error(409, "idempotency_conflict");
    let deleting = collections::path("shared", "/vectors/delete");
    let gone = || post(&client, &deleting, "gone", &json!({"ids": ["v", "w"]})).expect(200).json();
    assert_eq!(
        (gone(), gone()),
        (json!({"status": "ok", "deleted": 1}), json!({"status": "ok", "deleted": 1}))
    );
    post(&client, &upserting, "again", &body("again")).expect(200);
    assert_eq!(gone()["deleted"], 1);
    assert_eq!(found("acme"), collections::set(&["again"]), "a late try takes nothing that came since");
    let id = upload(&client, "shared", "to be cut anew", json!({"tenant": "acme"}));
    let reprocess = collections::path("shared", &format!("/documents/{}/reprocess", encoded(&id)));
    for _ in 0..3 {
        client.send("POST", &reprocess, &[(KEY, "cut")], Vec::new()).expect(200);
    }
    let record = client.get(&format!("/v1/documents?partition=nobody&collection={id}"));
    assert_eq!(record.status, 400, "no other family's parameters: {record}");
}

// A conversation that is told again would be answered as if nothing were remembered, or forgotten with what came since.
#[test]
fn memories_are_kept_and_forgotten_once() {
    let server = Server::start();
    let client = server.operator();
    let acme = tenant(&client, "Acme");
    let said = |texts: &[&str]| {
        let messages: Vec<_> = texts.iter().map(|text| json!({"role": "user", "content": text})).collect();
        of(Some(&acme), "ada", json!({"messages": messages}))
    };
    let body = said(&["I like tea", "I live in Oslo", "I like tea"]);
    let first = post(&client, "/api/v1/memory/ingest", "said", &body).expect(200).json();
    assert_eq!((&first["data"]["memoriesAdded"], &first["data"]["duplicates"]), (&json!(2), &json!(1)));
    let server = server.kill().start();
    let client = server.operator();
    assert_eq!(post(&client, "/api/v1/memory/ingest", "said", &body).expect(200).json(), first);
    let again = post(&client, "/api/v1/memory/ingest", "other", &body).expect(200).json();
    assert_eq!(again["data"]["memoriesAdded"], 0, "said before, and so not again");
    post(&client, "/api/v1/memory/ingest", "said", &said(&["I like rum"]))
        .expect_error(409, "idempotency_conflict");
    let own = of(None, "ada", json!({"messages": [{"role": "user", "content": "I like tea"}]}));
    post(&client, "/api/v1/memory/ingest", "said", &own).expect(200);

    let id = first["data"]["memoryIds"][0].clone();
    let one = of(Some(&acme), "ada", json!({"memoryId": id}));
    let forget =
        |key: &str, body: &Value| post(&client, "/api/v1/memory/forget", key, body).expect(200).json();
    assert_eq!(
        (forget("one", &one)["forgotten"].clone(), forget("one", &one)["forgotten"].clone()),
        (json!(1), json!(1))
    );
    post(&client, "/api/v1/memory/forget", "two", &one).expect_error(404, "memory_not_found");
    let all = of(Some(&acme), "ada", json!({}));
    assert_eq!(forget("all", &all)["forgotten"], 1);
    post(&client, "/api/v1/memory/ingest", "since", &said(&["I like cocoa"])).expect(200);
    assert_eq!(forget("all", &all)["forgotten"], 1);
    assert_eq!(recent(&client, Some(&acme), "ada"), ["I like cocoa"], "what came since stays");
    assert_eq!(count(&client, None), 1);
    // What a late try says was forgotten since, and stays so.
    post(&client, "/api/v1/memory/ingest", "said", &body).expect(200);
    assert_eq!(recent(&client, Some(&acme), "ada"), ["I like cocoa"]);
}
