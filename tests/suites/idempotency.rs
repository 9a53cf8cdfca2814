//! Is a write that comes again with its `Idempotency-Key` answered the same, and done once?

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client, encoded, with_query};
use strongroom_tests::documents::{get, id_of, insert, insert_path, list_all, path};
use strongroom_tests::keys::client_with;
use strongroom_tests::residue::files_with;
use strongroom_tests::routes::{dimension, vector};
use strongroom_tests::server::Server;

const KEY: &str = "idempotency-key";

fn send(client: &Client, method: &str, path: &str, key: &str, body: &[u8]) -> Answer {
    client.send(method, path, &[(KEY, key)], body.to_vec())
}

fn post(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [(KEY, key), ("content-type", "application/json")];
    client.send("POST", path, &headers, body.to_string().into_bytes())
}

fn insert_once(client: &Client, partition: &str, key: &str, text: &str) -> Answer {
    send(client, "POST", &insert_path(Some(partition), "note.txt"), key, text.as_bytes())
}

// A client that lost an answer to a restart would have its document twice.
#[test]
fn a_retry_is_answered_the_same_across_a_kill_and_a_restart() {
    let server = Server::start();
    let client = server.operator();
    let first = insert_once(&client, "acme", "key-1", "whales are mammals").expect(201).json();
    let again = insert_once(&client, "acme", "key-1", "whales are mammals").expect(201).json();
    assert_eq!(first, again);
    let other = insert_once(&client, "acme", "key-2", "whales are mammals").expect(201);
    assert_ne!(id_of(&other), first["doc_id"]);
    let server = server.kill().start();
    let client = server.operator();
    let again = insert_once(&client, "acme", "key-1", "whales are mammals").expect(201).json();
    assert_eq!(first, again);
    let server = server.stop().start();
    let client = server.operator();
    let again = insert_once(&client, "acme", "key-1", "whales are mammals").expect(201).json();
    assert_eq!(first, again);
    assert_eq!(list_all(&client, Some("acme")).len(), 2);
    // In another partition it is another request.
    let elsewhere = insert_once(&client, "globex", "key-1", "whales are mammals").expect(201);
    assert_ne!(id_of(&elsewhere), first["doc_id"]);
    // Of a document that is gone the id is left to tell.
    let id = first["doc_id"].as_str().expect("an id");
    client.delete(&path(&format!("/{}", encoded(id)), Some("acme"))).expect(200);
    let again = insert_once(&client, "acme", "key-1", "whales are mammals").expect(201);
    assert_eq!(id_of(&again), id);
    assert_eq!(get(&client, Some("acme"), id).status, 404);
}

// A key that was used twice by mistake would swallow the second document without a word.
#[test]
fn another_request_under_the_same_key_is_refused() {
    let server = Server::start();
    let client = server.operator();
    insert_once(&client, "acme", "key", "first").expect(201);
    insert_once(&client, "acme", "key", "second").expect_error(409, "idempotency_conflict");
    let renamed = insert_path(Some("acme"), "other.txt");
    send(&client, "POST", &renamed, "key", b"first").expect_error(409, "idempotency_conflict");
    let by_json = json!({"documents": [{"content": "first", "partition": "acme"}]});
    post(&client, "/v1/documents/batch", "key", &by_json).expect_error(409, "idempotency_conflict");
    assert_eq!(list_all(&client, Some("acme")).len(), 1);
    for bad in [String::new(), "k".repeat(256)] {
        insert_once(&client, "acme", &bad, "x").expect_error(400, "invalid_idempotency_key");
    }
    // What was refused is not kept: the same key may carry what is right.
    let update = path("/nobody", Some("acme"));
    send(&client, "PUT", &update, "later", b"text").expect(404);
    insert_once(&client, "acme", "later", "text").expect(201);
}

// Only inserts would be safe to repeat, and a client can't tell which calls are.
#[test]
fn every_write_of_data_keeps_its_key() {
    let server = Server::start();
    let client = server.operator();
    let dimension = dimension(&client);
    let id = insert(&client, Some("acme"), "the first");
    let own = path(&format!("/{}", encoded(&id)), Some("acme"));
    let count = || list_all(&client, Some("acme")).len();
    for round in 0..2 {
        let updated = send(&client, "PUT", &own, "put", b"the second").expect(200).json();
        assert_eq!(updated["version"], 2, "round {round}");
        let body = json!({"content": "v", "partition": "acme", "embedding": vector(dimension, 1)});
        post(&client, "/v1/documents/embed", "embed", &body).expect(201);
        let items: Vec<Value> = ["acme", "globex", "acme"]
            .iter()
            .map(|name| json!({"content": format!("one of {name}"), "partition": name}))
            .collect();
        let many =
            post(&client, "/v1/documents/batch", "batch", &json!({"documents": items})).expect(201).json();
        assert_eq!(many["results"].as_array().map(Vec::len), Some(3));
        assert_eq!((count(), list_all(&client, Some("globex")).len()), (4, 1), "round {round}");
    }
    let deleting = || send(&client, "DELETE", &own, "delete", b"");
    assert_eq!(deleting().expect(200).json(), deleting().expect(200).json());
    let restoring = path(&format!("/{}/restore", encoded(&id)), Some("acme"));
    let restore = || send(&client, "POST", &restoring, "restore", b"").expect(200);
    assert_eq!(restore().json(), restore().json());
    // A late repetition of the deletion undoes nothing.
    deleting().expect(200);
    assert_eq!(count(), 4);
    let purging =
        with_query(&format!("/v1/documents/{}", encoded(&id)), &[("hard", "true"), ("partition", "acme")]);
    for _ in 0..2 {
        send(&client, "DELETE", &purging, "purge", b"").expect(200);
        assert_eq!(count(), 3);
    }
}

// A background insert that is asked for again would be stored again.
#[test]
fn a_job_is_begun_once() {
    let server = Server::start();
    let client = server.operator();
    let begin = || {
        let path = insert_path(Some("acme"), "job.txt").replace("/v1/documents?", "/v1/documents/async?");
        send(&client, "POST", &path, "job", b"in the background").expect(202).json()
    };
    let first = begin();
    assert_eq!(begin(), first);
    let job = format!("/v1/documents/jobs/{}", first["job_id"].as_str().expect("a job"));
    let done =
        (0..10_000).map(|_| client.get(&job).expect(200).json()).find(|job| job["status"] == "completed");
    let done = done.expect("the job ends");
    assert_eq!(begin(), first);
    let stored = list_all(&client, Some("acme"));
    assert_eq!(
        stored.keys().map(String::as_str).collect::<Vec<_>>(),
        [done["doc_id"].as_str().expect("an id")]
    );
}

// Two tries that cross each other would both be stored.
#[test]
fn tries_at_the_same_time_insert_once() {
    let server = Server::start();
    let client = server.operator();
    for round in 0..5 {
        let key = format!("round {round}");
        let ids: Vec<String> = std::thread::scope(|threads| {
            let tries: Vec<_> = (0..6)
                .map(|_| {
                    threads
                        .spawn(|| id_of(&insert_once(&client, "acme", &key, "at the same time").expect(201)))
                })
                .collect();
            tries.into_iter().map(|done| done.join().expect("an answer")).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(list_all(&client, Some("acme")).len(), round + 1);
    }
}

// A tenant's keys would outlive the tenant, lie open on the disk, or be honoured for another tenant.
#[test]
fn keys_are_sealed_and_go_with_their_partition() {
    let server = Server::start();
    let client = server.operator();
    let first = id_of(&insert_once(&client, "acme", "zqidempotent", "text").expect(201));
    let deleted = client.delete("/v1/partitions/acme").expect(200).json();
    assert_eq!(deleted["documents_deleted"], 1);
    let second = id_of(&insert_once(&client, "acme", "zqidempotent", "text").expect(201));
    assert_ne!(first, second);
    let pinned = client_with(&client, &json!({"partition": "globex"}));
    insert_once(&pinned, "acme", "zqidempotent", "text").expect(403);
    assert_ne!(id_of(&insert_once(&pinned, "globex", "zqidempotent", "text").expect(201)), second);
    let plan = server.stop();
    let found = files_with(&plan.folder.data(), &["zqidempotent"]);
    assert!(found.is_empty(), "{found:?}");
}

// A repeated write would be charged twice.
#[test]
fn what_is_repeated_is_counted_once() {
    let server = Server::start();
    let client = server.operator();
    for _ in 0..3 {
        insert_once(&client, "acme", "key", "counted once").expect(201);
    }
    let usage = client.get("/v1/usage?window_days=1").expect(200).json();
    assert_eq!(usage["inserts_total"], 1, "{usage}");
}
