//! Do documents and conversations move, end and come back as Aether's callers expect, and stay their owners'?

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client, encoded, with_query};
use strongroom_tests::documents::{contents, download, get, insert, list_all, path, search};
use strongroom_tests::keys::client_with;
use strongroom_tests::server::Server;

fn move_document(client: &Client, id: &str, from: Option<&str>, to: Option<&str>) -> Answer {
    let body = json!({"expect_partition": from, "to_partition": to});
    client.post(&format!("/v1/documents/{}/move", encoded(id)), &body)
}

// A document would lose a part of itself on the way, be found with its old owner, or with both.
#[test]
fn a_document_moves_whole() {
    let server = Server::start();
    let client = server.operator();
    let pairs = [
        ("filename", "whale.md"),
        ("content_type", "text/markdown"),
        ("partition", "acme"),
        ("tags", "sea"),
        ("entity_id", "ada"),
        ("source", "mail"),
        ("metadata", "{\"year\": 2024}"),
    ];
    let inserted =
        client.post_bytes(&with_query("/v1/documents", &pairs), b"Whales are mammals.").expect(201).json();
    let id = inserted["doc_id"].as_str().expect("an id");
    let moved = move_document(&client, id, Some("acme"), Some("globex")).expect(200).json();
    let mut expected = inserted.clone();
    expected["partition"] = json!("globex");
    expected["version"] = json!(2);
    assert_eq!(moved, expected);
    let server = server.kill().start();
    let client = server.operator();
    assert_eq!(get(&client, Some("globex"), id).expect(200).json(), expected);
    assert_eq!(download(&client, Some("globex"), id).expect(200).text(), "Whales are mammals.");
    assert_eq!(contents(&search(&client, Some("globex"), "whales", 5)), ["Whales are mammals."]);
    assert_eq!(get(&client, Some("acme"), id).status, 404);
    assert!(search(&client, Some("acme"), "whales", 5).is_empty());
    // To where it is already: nothing happens.
    assert_eq!(move_document(&client, id, Some("globex"), Some("globex")).expect(200).json(), expected);
    // To the default partition and back.
    let home = move_document(&client, id, Some("globex"), None).expect(200).json();
    assert_eq!((&home["partition"], &home["version"]), (&Value::Null, &json!(3)));
    assert_eq!(list_all(&client, None).keys().collect::<Vec<_>>(), [id]);
    let acts = client.get("/v1/admin/audit?action=document.move").expect(200).json();
    assert_eq!(acts["total"], 2, "{acts}");
}

// A move would tell where somebody's document is, or take it from them.
#[test]
fn a_move_needs_both_partitions() {
    let server = Server::start();
    let operator = server.operator();
    let id = insert(&operator, Some("acme"), "of acme");
    let foreign =
        move_document(&operator, &id, Some("globex"), Some("acme")).expect_error(404, "document_not_found");
    let missing = move_document(&operator, "doc_nobody", Some("acme"), Some("globex"))
        .expect_error(404, "document_not_found");
    assert_eq!(foreign.json()["error"], missing.json()["error"]);
    assert_eq!(move_document(&operator, &id, Some("globex"), Some("globex")).status, 404);
    for body in [
        json!({}),
        json!({"to_partition": "globex"}),
        json!({"expect_partition": "acme"}),
        json!({"expect_partition": 1, "to_partition": "globex"}),
    ] {
        let answer = operator.post(&format!("/v1/documents/{}/move", encoded(&id)), &body);
        assert_eq!(answer.status, 400, "{answer}");
    }
    let pinned = client_with(&operator, &json!({"partition": "acme"}));
    for (from, to) in [("acme", Some("globex")), ("globex", Some("acme")), ("acme", None)] {
        move_document(&pinned, &id, Some(from), to).expect_error(403, "partition_forbidden");
    }
    let tenants = client_with(&operator, &json!({"multi_tenant": true}));
    move_document(&tenants, &id, Some("acme"), None).expect_error(400, "partition_required");
    let uploader = client_with(&operator, &json!({"scopes": ["document:upload", "document:read"]}));
    assert_eq!(move_document(&uploader, &id, Some("acme"), Some("globex")).status, 403);
    let taken = operator.post_bytes(&path("", Some("globex")), b"x");
    assert_eq!(taken.status, 201);
    operator.delete(&path(&format!("/{}", encoded(&id)), Some("acme"))).expect(200);
    move_document(&operator, &id, Some("acme"), Some("globex")).expect_error(404, "document_not_found");
    operator.post_bytes(&path(&format!("/{}/restore", encoded(&id)), Some("acme")), b"").expect(200);
    move_document(&tenants, &id, Some("acme"), Some("globex")).expect(200);
    // Nobody's names are told of partitions that were only asked about.
    let known = operator.get("/v1/partitions").expect(200).json();
    let mut names: Vec<_> =
        known["partitions"].as_array().expect("a list").iter().map(|p| p["id"].clone()).collect();
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, ["acme", "globex"]);
}

fn thread(rest: &str, partition: &str) -> String {
    with_query(&format!("/v1/threads/{rest}"), &[("partition", partition)])
}

fn append(client: &Client, partition: &str, text: &str) -> Answer {
    client.post(&thread("talk%2F1/append", partition), &json!({"text": text}))
}

fn turns(client: &Client, partition: &str) -> Vec<(u64, String)> {
    let answer = client.get(&thread("talk%2F1", partition));
    if answer.status == 404 {
        return Vec::new();
    }
    let body = answer.expect(200).json();
    assert_eq!(body["thread_id"], "talk/1");
    let documents = body["documents"].as_array().expect("documents");
    let turn = |document: &Value| {
        let id = document["doc_id"].as_str().expect("an id");
        let text = download(client, Some(partition), id).expect(200).text();
        assert_eq!(document["thread_id"], "talk/1");
        (document["turn_index"].as_u64().expect("an index"), text)
    };
    documents.iter().map(turn).collect()
}

// Turns of a conversation would be lost, come twice, or stand in another order than they were said in.
#[test]
fn turns_are_numbered_in_their_order_however_many_append() {
    let server = Server::start();
    let client = server.operator();
    assert_eq!(append(&client, "acme", "hello").expect(201).json()["turn_index"], 0);
    std::thread::scope(|threads| {
        for speaker in 0..4 {
            let client = &client;
            threads.spawn(move || {
                for turn in 0..3 {
                    append(client, "acme", &format!("{speaker} says {turn}")).expect(201);
                }
            });
        }
    });
    let server = server.kill().start();
    let client = server.operator();
    let said = turns(&client, "acme");
    assert_eq!(said.iter().map(|(index, _)| *index).collect::<Vec<_>>(), (0..13).collect::<Vec<_>>());
    for speaker in 0..4 {
        let own: Vec<_> = said.iter().filter(|(_, text)| text.starts_with(&format!("{speaker} "))).collect();
        assert!(own.len() == 3 && own.iter().map(|(_, text)| text).is_sorted(), "{own:?}");
    }
    assert!(turns(&client, "globex").is_empty());
    let window = with_query(
        "/v1/threads/talk%2F1",
        &[("partition", "acme"), ("last_n_turns", "2"), ("recent_first", "true")],
    );
    let window = client.get(&window).expect(200).json();
    let indexes: Vec<_> =
        window["documents"].as_array().expect("documents").iter().map(|d| d["turn_index"].clone()).collect();
    assert_eq!(indexes, [12, 11]);
    let key = [("idempotency-key", "turn"), ("content-type", "application/json")];
    let again =
        || client.send("POST", &thread("talk%2F1/append", "acme"), &key, b"{\"text\": \"once\"}".to_vec());
    assert_eq!(again().expect(201).json(), again().expect(201).json());
    assert_eq!(turns(&client, "acme").len(), 14);
}

// A conversation that a user had deleted would still be there, or not come back when they want it.
#[test]
fn a_thread_ends_comes_back_and_moves_as_a_whole() {
    let server = Server::start();
    let client = server.operator();
    let said = vec![(0, "one".to_owned()), (1, "two".to_owned())];
    said.iter().for_each(|(_, text)| drop(append(&client, "acme", text).expect(201)));
    insert(&client, Some("acme"), "no turn");
    let own = thread("talk%2F1", "acme");
    let told = |answer: Answer| {
        let body = answer.expect(200).json();
        (body["status"].as_str().map(str::to_owned), body["turns"].as_u64())
    };
    assert_eq!(told(client.delete(&own)), (Some("tombstoned".to_owned()), Some(2)));
    assert!(turns(&client, "acme").is_empty() && list_all(&client, Some("acme")).len() == 1);
    client.delete(&own).expect_error(409, "already_deleted");
    append(&client, "acme", "three").expect_error(409, "thread_deleted");
    let restoring = thread("talk%2F1/restore", "acme");
    assert_eq!(told(client.post_bytes(&restoring, b"")), (Some("restored".to_owned()), Some(2)));
    client.post_bytes(&restoring, b"").expect_error(409, "not_deleted");
    assert_eq!(turns(&client, "acme"), said);
    let moving = |from: &str, to: &str| {
        client.post("/v1/threads/talk%2F1/move", &json!({"expect_partition": from, "to_partition": to}))
    };
    moving("globex", "acme").expect_error(404, "thread_not_found");
    assert_eq!(told(moving("acme", "globex")), (Some("moved".to_owned()), Some(2)));
    assert_eq!((turns(&client, "acme"), turns(&client, "globex")), (Vec::new(), said.clone()));
    append(&client, "acme", "another talk").expect(201);
    moving("acme", "globex").expect_error(409, "thread_exists");
    let pinned = client_with(&client, &json!({"partition": "acme"}));
    let body = json!({"expect_partition": "acme", "to_partition": "globex"});
    pinned.post("/v1/threads/talk%2F1/move", &body).expect_error(403, "partition_forbidden");
    let hard = with_query("/v1/threads/talk%2F1", &[("partition", "globex"), ("hard", "true")]);
    let gone = client.delete(&hard).expect(200).json();
    assert_eq!((&gone["status"], &gone["turns"]), (&json!("hard_deleted"), &json!(2)));
    let receipt = gone["receipt_id"].as_str().expect("a receipt");
    client.get(&format!("/v1/receipts/{receipt}")).expect(200);
    client.post_bytes(&thread("talk%2F1/restore", "globex"), b"").expect_error(404, "thread_not_found");
    client.delete(&hard).expect_error(404, "thread_not_found");
    for bad in ["%20", "%01", "..%2F%00", &"x".repeat(257), &"%C3%BC".repeat(100)] {
        let answer = client.get(&thread(bad, "acme"));
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_thread_id"), "{bad}: {answer}");
    }
}
