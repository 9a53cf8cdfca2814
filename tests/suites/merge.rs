//! Are partitions that were meant to be one found, and does one become part of the other without anything being lost?

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use strongroom_tests::client::{Client, encoded, with_query};
use strongroom_tests::documents::{self, insert, insert_path, list_all};
use strongroom_tests::keys::{client_with, mint};
use strongroom_tests::server::Server;

/// A workspace of its own, for one test.
fn workspace(server: &Server, name: &str) -> Client {
    server.operator().post("/v1/admin/workspaces", &json!({"name": name})).expect(201);
    server.operator().in_workspace(name)
}

fn merging(id: &str) -> String {
    format!("/v1/partitions/{}/merge", encoded(id))
}

fn ids(client: &Client) -> Vec<String> {
    let listed = client.get("/v1/partitions?state=all").expect(200).json();
    let all = listed["partitions"].as_array().expect("partitions").iter();
    all.map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
}

fn pairs(client: &Client, query: &[(&str, &str)]) -> Vec<(String, String, String)> {
    let found = client.get(&with_query("/v1/look-alikes", query)).expect(200).json();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let pairs = found["pairs"].as_array().expect("pairs").iter();
    pairs.map(|pair| (text(&pair["from"]["id"]), text(&pair["into"]["id"]), text(&pair["reason"]))).collect()
}

fn counted(answer: &Value) -> [u64; 4] {
    ["documents_moved", "deleted_moved", "documents_known", "documents_left"]
        .map(|name| answer[name].as_u64().unwrap_or_else(|| panic!("{name} of {answer}")))
}

/// Lost otherwise: a customer's data would stay split between two ids, or their ids be told to another customer.
#[test]
fn what_was_meant_to_be_one_is_found() {
    let server = Server::start();
    let (owner, other) = (workspace(&server, "found"), workspace(&server, "other"));
    for (id, documents) in [
        ("acme corp", 2),
        ("Acme Corp", 1),
        ("acme crop", 1),
        ("globex", 1),
        ("cust-0001", 1),
        ("cust-0002", 1),
    ] {
        (0..documents).for_each(|_| drop(insert(&owner, Some(id), "a note")));
    }
    insert(&other, Some("acme corpp"), "another workspace's");
    let pair = |a: &str, b: &str, why: &str| (a.to_owned(), b.to_owned(), why.to_owned());
    let all = [pair("Acme Corp", "acme corp", "same_look"), pair("acme crop", "acme corp", "one_slip")];
    assert_eq!(pairs(&owner, &[]), all);
    assert_eq!(pairs(&owner, &[("limit", "1")]), all[..1]);
    assert_eq!(pairs(&owner, &[("limit", "1"), ("offset", "1")]), all[1..]);
    assert_eq!(owner.get("/v1/look-alikes?limit=1").expect(200).json()["has_more"], true);
    assert_eq!(pairs(&other, &[]), []);
    owner.get("/v1/look-alikes?limit=0").expect_error(400, "invalid_parameter");
    owner.get("/v1/look-alikes?offset=100001").expect_error(400, "invalid_parameter");
    owner.get("/v1/look-alikes?collection=nowhere").expect_error(404, "collection_not_found");
    let pinned = client_with(&owner, &json!({"partition": "acme corp"}));
    pinned.get("/v1/look-alikes").expect_error(403, "pinned_key");
    let reader = client_with(&owner, &json!({"scopes": ["document:read"]}));
    reader.get("/v1/look-alikes").expect_error(403, "scope_missing");
}

/// Lost otherwise: a document, a label, a key or a figure of the customer whose two partitions become one.
#[test]
fn all_of_it_goes_over() {
    let server = Server::start();
    let owner = workspace(&server, "whole");
    let kept = insert(&owner, Some("acme"), "budgets of before");
    let come = insert(&owner, Some("Acme"), "budgets of the typo");
    let gone = insert(&owner, Some("Acme"), "deleted and not forgotten");
    owner.delete(&documents::path(&format!("/{gone}"), Some("Acme"))).expect(200);
    let labelled = format!("{}&acl_readers=user%3Aada", insert_path(Some("Acme"), "ada.txt"));
    let labelled = documents::id_of(&owner.post_bytes(&labelled, b"for Ada alone").expect(201));
    owner.post("/v1/threads/talk/append?partition=Acme", &json!({"text": "hello"})).expect(201);
    let pinned = mint(&owner, &json!({"partition": "Acme", "scopes": ["*"]}));
    let before = list_all(&owner, Some("Acme"));
    // Without asking for it no key comes to reach another partition; and whoever may not mint keys may not ask.
    let into = json!({"into": "acme"});
    owner.post(&merging("Acme"), &into).expect_error(409, "keys_pinned");
    let merger = client_with(&owner, &json!({"scopes": ["partition:delete", "document:upload"]}));
    merger
        .post(&merging("Acme"), &json!({"into": "acme", "move_keys": true}))
        .expect_error(403, "scope_missing");
    let foreseen = json!({"into": "acme", "dry_run": true});
    let foreseen = owner.post(&merging("Acme"), &foreseen).expect(200).json();
    assert_eq!((counted(&foreseen), &foreseen["keys_moved"]), ([4, 1, 0, 0], &json!(1)));
    assert!(foreseen["receipt_id"].is_null() && foreseen["dry_run"] == true, "{foreseen}");
    assert_eq!(list_all(&owner, Some("Acme")), before, "looking moves nothing");
    let searches = |partition: &str| {
        let usage = owner.get("/v1/usage?by=partition").expect(200).json();
        let rows = usage["by_partition"]["partitions"].as_array().expect("partitions").clone();
        rows.iter().find(|row| row["partition"] == partition).and_then(|row| row["queries"].as_u64())
    };
    documents::search(&owner, Some("Acme"), "budgets", 5);
    documents::search(&owner, Some("acme"), "budgets", 5);
    let merged = owner.post(&merging("Acme"), &json!({"into": "acme", "move_keys": true})).expect(200).json();
    assert_eq!((counted(&merged), &merged["keys_moved"]), ([4, 1, 0, 0], &json!(1)));
    let receipt = merged["receipt_id"].as_str().expect("a receipt").to_owned();
    assert_eq!(searches("acme"), Some(2), "what was used of both");
    owner.post(&merging("Acme"), &into).expect_error(404, "partition_not_found");
    let plan = server.kill();
    let server = plan.start();
    let owner = server.operator().in_workspace("whole");
    assert_eq!(ids(&owner), ["acme"]);
    owner.get(&format!("/v1/receipts/{receipt}")).expect(200);
    let mut after = list_all(&owner, Some("acme"));
    assert!(after.remove(&kept).is_some());
    for (id, mut document) in before {
        document["partition"] = json!("acme");
        assert_eq!(after.remove(&id), Some(document));
    }
    assert!(after.is_empty(), "{after:?}");
    owner.post(&documents::path(&format!("/{gone}/restore"), Some("acme")), &json!({})).expect(200);
    assert_eq!(
        owner.get("/v1/threads/talk?partition=acme").expect(200).json()["documents"].as_array().map(Vec::len),
        Some(1)
    );
    let found = documents::search(&owner, Some("acme"), "budgets", 5);
    let found: BTreeSet<String> = documents::contents(&found).into_iter().collect();
    assert!(found.contains("budgets of before") && found.contains("budgets of the typo"), "{found:?}");
    // What names its readers is theirs still.
    let reader = client_with(&owner, &json!({"scopes": ["document:read"]}));
    reader.get(&documents::path(&format!("/{labelled}"), Some("acme"))).expect(404);
    // The key reaches what became of its partition, and no other that comes under the old id.
    insert(&owner, Some("Acme"), "a newcomer's");
    let key = owner.with_key(&pinned.key);
    assert_eq!(documents::download(&key, Some("acme"), &come).expect(200).text(), "budgets of the typo");
    key.get("/v1/documents?partition=Acme").expect_error(403, "partition_forbidden");
    let rows = owner.get("/v1/admin/audit?action=partition.merge").expect(200);
    let told = rows.json()["entries"].as_array().map(Vec::len);
    assert!(told == Some(2) && !rows.text().to_lowercase().contains("acme"), "{rows}");
}

/// Lost otherwise: a document that another of its id replaced, or half a merge that had to be refused.
#[test]
fn what_can_not_go_over_is_refused_before_anything_does() {
    let server = Server::start();
    let owner = workspace(&server, "refused");
    let (from, into) = (merging("from"), json!({"into": "into"}));
    owner.post(&from, &into).expect_error(404, "partition_not_found");
    insert(&owner, Some("from"), "one");
    owner.post(&from, &into).expect_error(404, "partition_not_found");
    assert_eq!(ids(&owner), ["from"], "a typo makes none");
    insert(&owner, Some("into"), "two");
    for (partition, text) in [("from", "mine"), ("into", "theirs")] {
        let path = with_query("/v1/threads/talk/append", &[("partition", partition)]);
        owner.post(&path, &json!({"text": text})).expect(201);
    }
    let refused = owner.post(&from, &into).expect_error(409, "document_exists");
    assert!(refused.text().contains("ids of 1 of"), "{refused}");
    assert_eq!((list_all(&owner, Some("from")).len(), list_all(&owner, Some("into")).len()), (2, 2));
    let seen = owner.post(&from, &json!({"into": "into", "dry_run": true})).expect(200).json();
    assert_eq!(counted(&seen), [1, 0, 0, 1]);
    // Malformed ones.
    for (body, status, code) in [
        (json!({}), 400, "malformed_body"),
        (json!({"into": null}), 400, "malformed_body"),
        (json!({"into": ""}), 400, "invalid_partition"),
        (json!({"into": "from"}), 400, "invalid_partition"),
        (json!({"into": "into", "on_conflict": "replace"}), 400, "malformed_body"),
        (json!({"into": "into", "force": true}), 400, "malformed_body"),
    ] {
        owner.post(&from, &body).expect_error(status, code);
    }
    // Others' keys.
    let pinned = client_with(&owner, &json!({"partition": "from"}));
    pinned.post(&from, &into).expect_error(403, "partition_forbidden");
    pinned.post(&merging("into"), &json!({"into": "from"})).expect_error(403, "partition_forbidden");
    owner.post(&from, &into).expect_error(409, "document_exists");
    for scopes in [["partition:delete", "document:read"], ["document:upload", "document:delete"]] {
        client_with(&owner, &json!({"scopes": scopes})).post(&from, &into).expect_error(403, "scope_missing");
    }
    let foreign = workspace(&server, "foreign");
    foreign.post(&from, &into).expect_error(404, "partition_not_found");
    // What the others' terms say.
    let leave = json!({"into": "into", "on_conflict": "leave", "move_keys": true});
    let patch = |id: &str, body: Value| owner.patch(&format!("/v1/partitions/{id}"), &body).expect(200);
    patch("from", json!({"hold": true}));
    owner.post(&from, &leave).expect_error(409, "legal_hold");
    patch("from", json!({"hold": false}));
    owner.delete("/v1/partitions/into?grace_seconds=600").expect(200);
    owner.post(&from, &leave).expect_error(409, "partition_trashed");
    owner.post(&merging("into"), &json!({"into": "from"})).expect_error(404, "partition_not_found");
    owner.post("/v1/partitions/into/restore", &json!({})).expect(200);
    owner.put("/v1/admin/quotas", &json!({"partition": "into", "quota": {"documents": 2}})).expect(200);
    assert_eq!(owner.post(&from, &leave).status, 429, "the quota of the partition that it goes into");
    owner.put("/v1/admin/quotas", &json!({"partition": "into", "quota": {"documents": 3}})).expect(200);
    // One that the workspace as a whole has reached stops nothing: there is no document more than before.
    owner.put("/v1/admin/quotas", &json!({"quota": {"documents": 4}})).expect(200);
    // The others go, and what is taken stays; once it is moved, so does the rest.
    let left = owner.post(&from, &leave).expect(200).json();
    assert_eq!((counted(&left), left["receipt_id"].is_null()), ([1, 0, 0, 1], true));
    assert_eq!((list_all(&owner, Some("from")).len(), list_all(&owner, Some("into")).len()), (1, 3));
    owner.delete("/v1/threads/talk?partition=into&hard=true").expect(200);
    let rest = owner.post(&from, &json!({"into": "into", "move_keys": true})).expect(200).json();
    assert_eq!((counted(&rest), rest["receipt_id"].is_string()), ([1, 0, 0, 0], true));
    // Ids that are values of documents, and tenants.
    owner.post("/v1/collections", &json!({"name": "shared", "tenant_field": "tenant"})).expect(201);
    owner.post(&format!("{from}?collection=shared"), &into).expect_error(409, "tenant_field");
    owner.post(&format!("{from}?collection=memory"), &into).expect_error(409, "registered_tenant");
    owner.post(&format!("{from}?collection=nowhere"), &into).expect_error(404, "collection_not_found");
}

/// Lost otherwise: what somebody inserts while its partition is merged away would be acknowledged and be nowhere.
#[test]
fn nothing_is_lost_of_what_is_written_meanwhile() {
    let server = Server::start();
    let owner = workspace(&server, "meanwhile");
    insert(&owner, Some("into"), "own");
    let is_over = AtomicBool::new(false);
    let acknowledged = std::thread::scope(|threads| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (owner, is_over) = (owner.clone(), &is_over);
                threads.spawn(move || {
                    let mut ids = Vec::new();
                    while !is_over.load(Ordering::Relaxed) {
                        let text = format!("written by {writer} as number {}", ids.len());
                        let answer =
                            owner.post_bytes(&insert_path(Some("from"), "late.txt"), text.as_bytes());
                        if answer.status == 201 {
                            ids.push(documents::id_of(&answer));
                        } else {
                            assert!([404, 409, 503].contains(&answer.status), "{answer}");
                        }
                    }
                    ids
                })
            })
            .collect();
        let mut merged = 0;
        while merged < 10 {
            let answer = owner.post(&merging("from"), &json!({"into": "into"}));
            match answer.status {
                200 => merged += 1,
                status => assert!([404, 409, 503].contains(&status), "{answer}"),
            }
        }
        is_over.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect::<BTreeSet<String>>()
    });
    let answer = owner.post(&merging("from"), &json!({"into": "into"}));
    assert!([200, 404].contains(&answer.status), "{answer}");
    let there: BTreeSet<String> = list_all(&owner, Some("into")).into_keys().collect();
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty() && there.len() == acknowledged.len() + 1, "{lost:?}");
}

/// Lost otherwise: a server that is killed in the midst would leave documents in neither partition, in both, or keys behind.
#[test]
fn a_killed_server_goes_on_where_it_was() {
    let server = Server::start();
    let owner = workspace(&server, "killed");
    let documents: Vec<Value> = (0..60)
        .map(|n| json!({"content": format!("note {n} "), "filename": "n.txt", "partition": "from"}))
        .collect();
    for chunk in documents.chunks(30) {
        owner.post("/v1/documents/batch", &json!({"documents": chunk})).expect(201);
    }
    // Documents of which each is a page of its own.
    for n in 0..6_u8 {
        let content = String::from(char::from(b'a' + n)).repeat(1_100_000);
        let one = json!({"content": content, "filename": "large.txt", "embedding": vec![0.5; 256], "partition": "from"});
        owner.post("/v1/documents/embed", &one).expect(201);
    }
    insert(&owner, Some("into"), "own");
    let pinned = mint(&owner, &json!({"partition": "from", "scopes": ["*"]}));
    let (mut server, mut pause) = (server, 0);
    let mut met = BTreeSet::new();
    loop {
        let owner = server.operator().in_workspace("killed");
        let merge = std::thread::spawn({
            let owner = owner.clone();
            move || {
                let body = json!({"into": "into", "move_keys": true}).to_string().into_bytes();
                let kind = [("content-type", "application/json")];
                owner.try_send("POST", &merging("from"), &kind, body).is_ok()
            }
        });
        // Killed behind one more of the documents each time.
        while list_all(&owner, Some("into")).len() <= pause && !merge.is_finished() {
            std::thread::yield_now();
        }
        server = server.kill().start();
        merge.join().ok();
        let owner = server.operator().in_workspace("killed");
        let (from, into) = (list_all(&owner, Some("from")), list_all(&owner, Some("into")));
        assert_eq!(from.len() + into.len(), 67, "each is in exactly one");
        assert!(from.keys().all(|id| !into.contains_key(id)));
        met.insert(into.len());
        if into.len() == 67 {
            break;
        }
        pause = into.len();
    }
    let owner = server.operator().in_workspace("killed");
    let again = owner.post(&merging("from"), &json!({"into": "into", "move_keys": true}));
    assert!([200, 404].contains(&again.status), "{again}");
    assert_eq!(ids(&owner), ["into"]);
    let key = owner.with_key(&pinned.key);
    assert_eq!(list_all(&key, Some("into")).len(), 67, "the key went along");
    assert!(met.len() > 1, "it was met in the midst: {met:?}");
}
