//! Are partitions held, renamed, thrown away, brought back and declared as their owners say, and as nobody else does?

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_tests::client::{Client, encoded, with_query};
use strongroom_tests::documents::{self, insert, list_all};
use strongroom_tests::keys::{client_with, mint};
use strongroom_tests::memories;
use strongroom_tests::server::Server;

/// So long a test waits for what is to come within a second or two.
const PATIENCE: Duration = Duration::from_secs(60);

fn partition(id: &str) -> String {
    format!("/v1/partitions/{}", encoded(id))
}

/// A workspace of its own, for one test.
fn workspace(server: &Server, name: &str) -> (Client, String) {
    let made = server.operator().post("/v1/admin/workspaces", &json!({"name": name})).expect(201).json();
    (server.operator().in_workspace(name), made["id"].as_str().expect("an id").to_owned())
}

fn ids(client: &Client, path: &str) -> Vec<String> {
    let listed = client.get(path).expect(200).json();
    let all = listed["partitions"].as_array().expect("partitions").iter();
    all.map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
}

/// The acts that the audit log has of partitions, oldest first, with who did them.
fn told(client: &Client) -> Vec<(String, String)> {
    let log = client.get("/v1/admin/audit?resource_type=partition&limit=100").expect(200).json();
    let rows = log["entries"].as_array().or(log["events"].as_array()).or(log["items"].as_array());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all: Vec<_> = rows
        .unwrap_or_else(|| panic!("{log}"))
        .iter()
        .map(|row| (text(&row["action"]), text(&row["actor_id"])))
        .collect();
    all.reverse();
    all
}

/// Lost otherwise: what a court asked to be kept, through whichever route it is asked to go.
#[test]
fn nothing_goes_of_a_partition_on_hold() {
    let server = Server::start();
    let (owner, workspace_id) = workspace(&server, "held");
    let (kept, deleted) = (insert(&owner, Some("acme"), "kept"), insert(&owner, Some("acme"), "deleted"));
    insert(&owner, Some("globex"), "another's");
    owner.delete(&documents::path(&format!("/{deleted}"), Some("acme"))).expect(200);
    let held = owner.patch(&partition("acme"), &json!({"hold": true})).expect(200).json();
    assert!(held["hold"] == true && held["held_since"].is_string(), "{held}");
    let of = |rest: &str| documents::path(&format!("/{kept}{rest}"), Some("acme"));
    type Try<'a> = Box<dyn Fn() -> strongroom_tests::client::Answer + 'a>;
    let refused: Vec<(&str, Try<'_>)> = vec![
        ("delete", Box::new(|| owner.delete(&of("")))),
        ("purge", Box::new(|| owner.delete(&format!("{}&hard=true", of(""))))),
        (
            "update",
            Box::new(|| {
                owner.put_bytes(&format!("{}&filename=a.txt&content_type=text%2Fplain", of("")), b"other")
            }),
        ),
        (
            "move",
            Box::new(|| {
                owner.post(
                    &format!("/v1/documents/{kept}/move"),
                    &json!({"expect_partition": "acme", "to_partition": "globex"}),
                )
            }),
        ),
        ("drop", Box::new(|| owner.delete(&partition("acme")))),
        ("trash", Box::new(|| owner.delete(&format!("{}?grace_seconds=60", partition("acme"))))),
        (
            "vectors",
            Box::new(|| {
                owner.post("/v1/collections/default/vectors/delete?partition=acme", &json!({"ids": [kept]}))
            }),
        ),
        (
            "bigrag delete",
            Box::new(|| owner.delete(&format!("/v1/collections/default/documents/{kept}?partition=acme"))),
        ),
        ("truncate", Box::new(|| owner.post("/v1/collections/default/truncate", &json!({})))),
        ("workspace", Box::new(|| server.operator().delete(&format!("/v1/admin/workspaces/{workspace_id}")))),
    ];
    for (what, call) in &refused {
        let answer = call();
        assert_eq!((answer.status, answer.code().as_str()), (409, "legal_hold"), "{what}: {}", answer.text());
    }
    drop(refused);
    // Everything is there, and what takes nothing goes on.
    assert_eq!(list_all(&owner, Some("acme")).len(), 1);
    insert(&owner, Some("acme"), "new");
    owner.post(&format!("/v1/documents/{deleted}/restore?partition=acme"), &json!({})).expect(200);
    owner.delete(&partition("globex")).expect(200);
    // Whom it binds doesn't lift it: not who may delete, nor a tenant's own key, but an owner.
    let keeper = client_with(&owner, &json!({"scopes": ["collection:write", "partition:delete", "key:*"]}));
    keeper.patch(&partition("acme"), &json!({"hold": false})).expect_error(403, "scope_missing");
    let pinned = client_with(&owner, &json!({"partition": "acme"}));
    pinned.patch(&partition("acme"), &json!({"hold": false})).expect_error(403, "pinned_key");
    pinned.patch(&partition("acme"), &json!({"hold": true})).expect_error(403, "pinned_key");
    pinned.delete(&partition("acme")).expect_error(409, "legal_hold");
    let plan = server.stop();
    let server = plan.start();
    let owner = server.operator().in_workspace("held");
    owner.delete(&partition("acme")).expect_error(409, "legal_hold");
    owner.patch(&partition("acme"), &json!({"hold": false})).expect(200);
    let dropped = owner.delete(&partition("acme")).expect(200).json();
    assert_eq!((&dropped["documents_deleted"], dropped["receipt_id"].is_string()), (&json!(3), true));
    let acts = told(&owner);
    for act in ["partition.hold", "partition.release", "partition.drop"] {
        assert!(acts.contains(&(act.to_owned(), "operator".to_owned())), "{act} is not in {acts:?}");
    }
    server.operator().delete(&format!("/v1/admin/workspaces/{workspace_id}")).expect(200);
}

/// Lost otherwise: a partition that was deleted by mistake, or the promise that what is deleted goes for good.
#[test]
fn what_is_thrown_away_comes_back_or_is_shredded() {
    let server = Server::start();
    let (owner, workspace_id) = workspace(&server, "thrown");
    let id = insert(&owner, Some("a/b c"), "a secret about budgets");
    let of = |path: &str| with_query(path, &[("partition", "a/b c")]);
    let thrown = owner.delete(&format!("{}?grace_seconds=3600", partition("a/b c"))).expect(200).json();
    assert_eq!((&thrown["state"], &thrown["documents_deleted"]), (&json!("trashed"), &json!(1)));
    assert!(thrown["receipt_id"].is_null() && thrown["shred_at"].is_string());
    for round in 0..2 {
        let owner = server.operator().in_workspace("thrown");
        assert_eq!(ids(&owner, "/v1/partitions"), [""; 0], "{round}");
        assert_eq!(ids(&owner, "/v1/partitions?state=trashed"), ["a/b c"]);
        documents::get(&owner, Some("a/b c"), &id).expect_error(404, "document_not_found");
        assert!(documents::search(&owner, Some("a/b c"), "budgets", 5).is_empty());
        let write = owner.post_bytes(&documents::insert_path(Some("a/b c"), "a.txt"), b"again");
        write.expect_error(409, "partition_trashed");
        owner
            .delete(&format!("{}?grace_seconds=60", partition("a/b c")))
            .expect_error(409, "partition_trashed");
        owner.post("/v1/partitions", &json!({"id": "a/b c"})).expect_error(409, "partition_trashed");
        let state = owner.get(&partition("a/b c")).expect(200).json();
        assert_eq!((&state["state"], &state["document_count"]), (&json!("trashed"), &json!(1)));
    }
    // A key of its own meets the same, and brings it back if it may.
    let pinned =
        client_with(&owner, &json!({"partition": "a/b c", "scopes": ["partition:delete", "query:read"]}));
    assert_eq!(pinned.get("/v1/search?q=budgets").expect(200).json()["results"], json!([]));
    pinned
        .post(&format!("{}/restore", partition("other")), &json!({}))
        .expect_error(403, "partition_forbidden");
    pinned.post(&format!("{}/restore", partition("a/b c")), &json!({})).expect(200);
    owner
        .post(&format!("{}/restore", partition("a/b c")), &json!({}))
        .expect_error(409, "partition_not_trashed");
    owner
        .post(&format!("{}/restore", partition("nobody")), &json!({}))
        .expect_error(404, "partition_not_found");
    assert_eq!(documents::contents(&documents::search(&owner, Some("a/b c"), "budgets", 5)).len(), 1);
    owner.get(&of("/v1/documents")).expect(200);
    // A workspace that fears haste.
    let admin = format!("/v1/admin/workspaces/{workspace_id}");
    let rule = json!({"partitions": {"trash_grace_seconds": 3600}});
    assert_eq!(owner.patch(&admin, &rule).expect(200).json()["partitions"]["trash_grace_seconds"], 3600);
    let plan = server.stop();
    let server = plan.start();
    let owner = server.operator().in_workspace("thrown");
    assert_eq!(owner.delete(&partition("a/b c")).expect(200).json()["state"], "trashed");
    // Shredded at once, by request; and by itself at the end of its time.
    let shredded = owner.delete(&format!("{}?grace_seconds=0", partition("a/b c"))).expect(200).json();
    assert!(shredded["receipt_id"].is_string() && shredded["documents_deleted"] == 1, "{shredded}");
    assert_eq!(ids(&owner, "/v1/partitions?state=all"), [""; 0]);
    insert(&owner, Some("brief"), "short");
    owner.delete(&format!("{}?grace_seconds=1", partition("brief"))).expect(200);
    let end = Instant::now() + PATIENCE;
    while !told(&owner).iter().filter(|(act, _)| act == "partition.drop").any(|(_, by)| by == "system") {
        assert!(Instant::now() < end, "nobody shredded it: {:?}", told(&owner));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(ids(&owner, "/v1/partitions?state=all"), [""; 0]);
    let acts: Vec<String> = told(&owner).into_iter().map(|(act, _)| act).collect();
    for act in ["partition.trash", "partition.restore"] {
        assert!(acts.iter().any(|other| other == act), "{act} is not in {acts:?}");
    }
}

/// Lost otherwise: a renamed customer's keys, quota and figures, to nobody or to whoever is given the old id.
#[test]
fn a_renamed_partition_takes_what_is_its_own_along() {
    let server = Server::start();
    let (owner, _) = workspace(&server, "renamed");
    let id = insert(&owner, Some("acme"), "a secret about budgets");
    insert(&owner, Some("globex"), "another's");
    let pinned = mint(&owner, &json!({"partition": "acme", "scopes": ["*"]}));
    let quota = json!({"partition": "acme", "quota": {"documents": 2}});
    owner.put("/v1/admin/quotas", &quota).expect(200);
    let key = owner.with_key(&pinned.key);
    assert_eq!(
        key.get("/v1/search?q=budgets").expect(200).json()["results"].as_array().map(Vec::len),
        Some(1)
    );
    owner.patch(&partition("acme"), &json!({"id": "globex"})).expect_error(409, "partition_exists");
    owner.patch(&partition("nobody"), &json!({"id": "new"})).expect_error(404, "partition_not_found");
    owner.patch(&partition("acme"), &json!({"id": "  "})).expect_error(400, "invalid_partition");
    key.patch(&partition("acme"), &json!({"id": "new"})).expect_error(403, "pinned_key");
    let renamed = owner.patch(&partition("acme"), &json!({"id": "acme/2", "hold": true})).expect(200).json();
    assert_eq!((&renamed["id"], &renamed["hold"]), (&json!("acme/2"), &json!(true)));
    // The old id is free, and whoever is given it meets nothing of the old.
    owner.post_bytes(&documents::insert_path(Some("acme"), "a.txt"), b"a newcomer's secret").expect(201);
    let of_day = |owner: &Client| -> Vec<(String, u64)> {
        let usage = owner.get("/v1/usage?by=partition").expect(200).json();
        let rows = usage["by_partition"]["partitions"].as_array().expect("partitions").clone();
        rows.iter()
            .map(|row| {
                (row["partition"].as_str().unwrap_or("-").to_owned(), row["queries"].as_u64().unwrap_or(99))
            })
            .collect()
    };
    let plan = {
        let check = |server: &Server| {
            let owner = server.operator().in_workspace("renamed");
            let key = server.operator().with_key(&pinned.key);
            let found = key.get("/v1/search?q=secret").expect(200).json();
            assert_eq!(found["results"].as_array().map(Vec::len), Some(1), "{found}");
            assert_eq!(found["results"][0]["doc_id"], json!(id));
            key.get("/v1/search?q=secret&partition=acme").expect_error(403, "partition_forbidden");
            assert_eq!(
                documents::contents(&documents::search(&owner, Some("acme"), "secret", 5)),
                ["a newcomer's secret"]
            );
            assert_eq!(ids(&owner, "/v1/partitions"), ["acme", "acme/2", "globex"]);
            owner.delete(&partition("acme/2")).expect_error(409, "legal_hold");
            let used = of_day(&owner);
            let of = |name: &str| used.iter().find(|(other, _)| other == name).map(|(_, queries)| *queries);
            assert!(of("acme/2") >= Some(1), "{used:?}");
        };
        check(&server);
        let used = of_day(&owner);
        assert!(used.contains(&("acme".to_owned(), 1)), "the newcomer searched once: {used:?}");
        let quotas = owner.get("/v1/admin/quotas").expect(200).json();
        assert_eq!(quotas["quotas"][0]["partition"], "acme/2", "{quotas}");
        let plan = server.kill();
        check(&plan.start());
        plan
    };
    let server = plan.start();
    let owner = server.operator().in_workspace("renamed");
    insert(&owner, Some("acme/2"), "the second");
    let third = owner.post_bytes(&documents::insert_path(Some("acme/2"), "a.txt"), b"the third");
    assert_eq!(third.status, 429, "its quota came along: {}", third.text());
    for text in ["2", "3"] {
        insert(&owner, Some("acme"), text);
    }
    assert!(told(&owner).contains(&("partition.rename".to_owned(), "operator".to_owned())));
}

/// Lost otherwise: a typo would make a partition of its own, and documents would be looked for in vain.
#[test]
fn a_strict_workspace_makes_declared_partitions_alone() {
    let server = Server::start();
    let (owner, workspace_id) = workspace(&server, "strict");
    insert(&owner, Some("cust-0001"), "from before");
    let admin = format!("/v1/admin/workspaces/{workspace_id}");
    let rule = |partitions: Value| json!({"partitions": partitions});
    owner.patch(&admin, &rule(json!({"id_pattern": "(cust-"}))).expect_error(422, "invalid_pattern");
    owner.patch(&admin, &rule(json!({"trash_grace_seconds": -1}))).expect(400);
    owner.patch(&admin, &json!({"name": "x"})).expect(400);
    let lesser = client_with(&owner, &json!({"scopes": ["key:*", "collection:write"]}));
    lesser.patch(&admin, &rule(json!({"declared_only": false}))).expect_error(403, "scope_missing");
    let foreign = workspace(&server, "strict too").0;
    let foreign_key = client_with(&foreign, &json!({}));
    foreign_key.patch(&admin, &rule(json!({"declared_only": true}))).expect_error(404, "workspace_not_found");
    owner.patch(&admin, &rule(json!({"id_pattern": "cust-[0-9]{4}"}))).expect(200);
    let put =
        |client: &Client, id: &str| client.post_bytes(&documents::insert_path(Some(id), "a.txt"), b"a note");
    put(&owner, "cust-42").expect_error(422, "partition_undeclared");
    put(&owner, "cust-0042").expect(201);
    owner.post("/v1/partitions", &json!({"id": "cust-43"})).expect_error(422, "partition_id_refused");
    owner.patch(&partition("cust-0042"), &json!({"id": "cust-43"})).expect_error(422, "partition_id_refused");
    let pattern_alone = owner.patch(&admin, &rule(json!({"declared_only": true}))).expect(200).json();
    assert_eq!(pattern_alone["partitions"]["id_pattern"], "cust-[0-9]{4}");
    let plan = server.kill();
    let server = plan.start();
    let owner = server.operator().in_workspace("strict");
    put(&owner, "cust-0099").expect_error(422, "partition_undeclared");
    let vectors = json!({"vectors": [{"id": "a", "embedding": vec![0.5; 256]}]});
    owner
        .post("/v1/collections/default/vectors/upsert?partition=cust-0099", &vectors)
        .expect_error(422, "partition_undeclared");
    let moved = json!({"expect_partition": "cust-0001", "to_partition": "cust-0099"});
    let id = list_all(&owner, Some("cust-0001")).into_keys().next().expect("a document");
    owner.post(&format!("/v1/documents/{id}/move"), &moved).expect_error(422, "partition_undeclared");
    assert!(documents::search(&owner, Some("cust-0099"), "note", 5).is_empty(), "reads answer as ever");
    assert_eq!(ids(&owner, "/v1/partitions"), ["cust-0001", "cust-0042"]);
    let writer = client_with(&owner, &json!({"scopes": ["document:upload"]}));
    writer.post("/v1/partitions", &json!({"id": "cust-0099"})).expect_error(403, "scope_missing");
    let asked =
        json!({"id": "cust-0099", "document_ttl_seconds": 3600, "expires_at": "2090-01-31T12:00:00Z"});
    let made = owner.post("/v1/partitions", &asked).expect(201).json();
    assert_eq!((&made["document_count"], &made["document_ttl_seconds"]), (&json!(0), &json!(3600)));
    owner.post("/v1/partitions", &asked).expect_error(409, "partition_exists");
    assert!(
        put(&owner, "cust-0099").expect(201).json()["expires_at"].is_string(),
        "the partition's lifetime holds"
    );
    put(&owner, "cust-0001").expect(201);
    insert(&owner, None, "the default partition is always there");
    let changed =
        owner.patch(&partition("cust-0099"), &json!({"document_ttl_seconds": null})).expect(200).json();
    assert!(changed["document_ttl_seconds"].is_null() && changed["expires_at"].is_string(), "{changed}");
    for (body, code) in [
        (json!({"id": ".."}), "invalid_partition"),
        (json!({"id": ""}), "invalid_partition"),
        (json!({"id": "cust-0100", "document_ttl_seconds": 0}), "invalid_expiry"),
        (json!({"id": "cust-0100", "expires_at": "2001-01-31T12:00:00Z"}), "invalid_expiry"),
    ] {
        owner.post("/v1/partitions", &body).expect_error(400, code);
    }
    owner
        .post("/v1/partitions", &json!({"id": "cust-0100", "collection": "nobody"}))
        .expect_error(404, "collection_not_found");
    owner.post("/v1/partitions", &json!({"id": 7})).expect(400);
    // Tenants are registered, which declares them.
    memories::tenant(&owner, "a tenant");
}

/// Lost otherwise: a key would learn of, hold, or take away what is another's.
#[test]
fn terms_are_for_those_who_reach_the_partition() {
    let server = Server::start();
    let (owner, _) = workspace(&server, "ours");
    insert(&owner, Some("acme"), "ours");
    insert(&owner, Some("globex"), "another tenant's");
    let (others, _) = workspace(&server, "theirs");
    insert(&others, Some("initech"), "theirs");
    let pinned = client_with(&owner, &json!({"partition": "acme"}));
    for call in [
        |client: &Client, path: &str| client.get(path),
        |client: &Client, path: &str| client.patch(path, &json!({"document_ttl_seconds": 5})),
        |client: &Client, path: &str| client.delete(&format!("{path}?grace_seconds=9")),
        |client: &Client, path: &str| client.post(&format!("{path}/restore"), &json!({})),
    ] {
        call(&pinned, &partition("globex")).expect_error(403, "partition_forbidden");
        let (foreign, missing) = (call(&owner, &partition("initech")), call(&owner, &partition("nobody")));
        assert_eq!(
            (foreign.status, foreign.code()),
            (missing.status, missing.code()),
            "foreign and missing alike"
        );
        if foreign.status != 200 {
            foreign.expect_error(404, "partition_not_found");
        }
    }
    assert_eq!(ids(&others, "/v1/partitions?state=all"), ["initech"]);
    assert_eq!(ids(&pinned, "/v1/partitions?state=all"), ["acme"]);
    pinned.patch(&partition("acme"), &json!({"document_ttl_seconds": 60})).expect(200);
    // A collection's partitions, for a key that is kept to it.
    owner.post("/v1/collections", &json!({"name": "notes"})).expect(201);
    strongroom_tests::collections::upload(&owner, "notes", "a note", json!({}));
    let kept = client_with(&owner, &json!({"collection": "notes"}));
    kept.post("/v1/partitions", &json!({"id": "cat", "collection": "notes"})).expect(201);
    kept.post("/v1/partitions", &json!({"id": "cat"})).expect_error(403, "collection_forbidden");
    kept.get(&partition("acme")).expect_error(403, "collection_forbidden");
    kept.patch(&format!("{}?collection=notes", partition("cat")), &json!({"hold": true})).expect(200);
    owner.delete("/v1/collections/notes").expect_error(409, "legal_hold");
    owner.post("/v1/collections/notes/truncate", &json!({})).expect_error(409, "legal_hold");
    strongroom_tests::collections::upload(&owner, "notes", "the collection is in service", json!({}));
    owner.patch(&format!("{}?collection=notes", partition("cat")), &json!({"hold": false})).expect(200);
    owner.delete(&format!("{}?collection=notes&grace_seconds=60", partition("cat"))).expect(200);
    let gone = owner.delete("/v1/collections/notes").expect(200).json();
    assert_eq!(gone["partitions_deleted"], 2, "what is in the trash goes with its collection: {gone}");
    // Registered tenants go their own way.
    let tenant = memories::tenant(&owner, "Acme");
    let at = format!("{}?collection=memory", partition(&tenant));
    owner.patch(&at, &json!({"id": "x"})).expect_error(409, "registered_tenant");
    owner.delete(&format!("{at}&grace_seconds=60")).expect_error(409, "registered_tenant");
    owner
        .post("/v1/partitions", &json!({"id": "x", "collection": "memory"}))
        .expect_error(409, "registered_tenant");
    owner.patch(&at, &json!({"hold": true})).expect(200);
    owner.delete(&format!("/api/v1/tenants/{tenant}")).expect_error(409, "legal_hold");
    memories::ingest(&owner, Some(&tenant), "ada", &["I like tea"]);
    owner.patch(&at, &json!({"hold": false})).expect(200);
    owner.delete(&format!("/api/v1/tenants/{tenant}")).expect(200);
}

/// Lost otherwise: whoever deletes a partition of a collection that isn't there would find that collection in the usage from then on.
#[test]
fn a_collection_that_is_not_there_has_no_partitions() {
    let server = Server::start();
    let (owner, _) = workspace(&server, "ours");
    insert(&owner, Some("acme"), "ours");
    let address = "/v1/partitions/acme?collection=nowhere";
    owner.delete(address).expect_error(404, "collection_not_found");
    owner.get(address).expect_error(404, "collection_not_found");
    owner.patch(address, &json!({"hold": true})).expect_error(404, "collection_not_found");
    let usage = owner.get("/v1/usage").expect(200);
    assert!(!usage.text().contains("nowhere"), "{usage}");
    owner.delete("/v1/partitions/nobody?collection=default").expect(200);
}

/// Lost otherwise: what a court asked to be kept, where its owner never named a partition; or the promise that it goes in time.
#[test]
fn the_default_partition_is_kept_on_terms_too() {
    let server = Server::start();
    let (owner, _) = workspace(&server, "default terms");
    let address = "/v1/default-partition";
    owner.get(address).expect_error(404, "partition_not_found");
    owner.patch(address, &json!({"hold": true})).expect_error(404, "partition_not_found");
    let kept = insert(&owner, None, "kept");
    insert(&owner, Some("acme"), "another's");
    let held = owner.patch(address, &json!({"hold": true, "document_ttl_seconds": 3600})).expect(200).json();
    assert!(held["id"].is_null() && held["hold"] == true && held["document_count"] == 1, "{held}");
    owner.delete(&documents::path(&format!("/{kept}"), None)).expect_error(409, "legal_hold");
    let new = insert(&owner, None, "for an hour");
    assert!(documents::get(&owner, None, &new).expect(200).json()["expires_at"].is_string());
    owner.patch(address, &json!({"id": "named"})).expect_error(400, "malformed_body");
    let keeper = client_with(&owner, &json!({"scopes": ["collection:write", "partition:read"]}));
    keeper.patch(address, &json!({"hold": false})).expect_error(403, "scope_missing");
    let pinned = client_with(&owner, &json!({"partition": "acme"}));
    pinned.get(address).expect_error(403, "pinned_key");
    pinned.patch(address, &json!({"hold": true})).expect_error(403, "pinned_key");
    let tenants = client_with(&owner, &json!({"multi_tenant": true}));
    tenants.patch(address, &json!({"hold": true})).expect_error(400, "partition_required");
    owner.get("/v1/default-partition?collection=nowhere").expect_error(404, "collection_not_found");
    owner.get("/v1/default-partition?collection=memory").expect_error(404, "partition_not_found");
    let plan = server.kill();
    let server = plan.start();
    let owner = server.operator().in_workspace("default terms");
    owner.delete(&documents::path(&format!("/{kept}"), None)).expect_error(409, "legal_hold");
    assert_eq!(owner.get("/v1/partitions/acme").expect(200).json()["hold"], false);
    owner.patch(address, &json!({"hold": false, "document_ttl_seconds": null})).expect(200);
    owner.delete(&documents::path(&format!("/{kept}"), None)).expect(200);
    // Its end takes it and nothing else.
    let brief = format!("{}&ttl_seconds=3", documents::insert_path(None, "brief.txt"));
    let soon = owner.post_bytes(&brief, b"brief").expect(201).json()["expires_at"].clone();
    owner.patch(address, &json!({"expires_at": soon})).expect(200);
    let patience = Instant::now() + PATIENCE;
    while owner.get(address).status != 404 {
        assert!(Instant::now() < patience, "it is there still");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(list_all(&owner, None).is_empty());
    assert_eq!(list_all(&owner, Some("acme")).len(), 1);
    insert(&owner, None, "a new one");
    assert!(owner.get(address).expect(200).json()["expires_at"].is_null());
}
