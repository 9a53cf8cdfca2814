//! Are conversations read by those alone who may, and found by themselves? And do tags become entities?

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client, encoded, with_query};
use strongroom_tests::documents::{get, insert, list_all, path};
use strongroom_tests::keys::client_with;
use strongroom_tests::routes::{dimension, vector};
use strongroom_tests::server::Server;

/// An address below `/v1/threads` in a partition, on somebody's behalf.
fn thread(rest: &str, partition: &str, principal: Option<&str>) -> String {
    let mut pairs = vec![("partition", partition)];
    pairs.extend(principal.map(|principal| ("acting_principal", principal)));
    with_query(&format!("/v1/threads/{rest}"), &pairs)
}

fn say(client: &Client, principal: Option<&str>, text: &str, readers: Option<Value>) -> Answer {
    let mut body = json!({"text": text});
    if let Some(readers) = readers {
        body["acl_readers"] = readers;
    }
    client.post(&thread("talk/append", "acme", principal), &body)
}

fn let_read(client: &Client, readers: Value) -> Answer {
    client.put(&thread("talk/acl", "acme", None), &json!({"acl_readers": readers}))
}

/// The numbers of the turns that somebody reads.
fn read(client: &Client, principal: Option<&str>) -> Vec<u64> {
    let answer = client.get(&thread("talk", "acme", principal));
    if answer.status == 404 {
        answer.expect_error(404, "thread_not_found");
        return Vec::new();
    }
    let body = answer.expect(200).json();
    let documents = body["documents"].as_array().expect("documents");
    documents.iter().map(|turn| turn["turn_index"].as_u64().expect("a number")).collect()
}

/// How many turns a search finds for somebody, which is how many it counts.
fn found(client: &Client, principal: Option<&str>) -> usize {
    let mut pairs = vec![("partition", "acme"), ("q", "hello"), ("k", "100"), ("trace", "true")];
    pairs.extend(principal.map(|principal| ("acting_principal", principal)));
    let answer = client.get(&with_query("/v1/search", &pairs)).expect(200).json();
    let hits = answer["results"].as_array().expect("results").len();
    assert_eq!(answer["trace"]["candidates_in_scope"], hits, "{answer}");
    hits
}

// A conversation would be read by people whom nobody let, or a turn that is said later be open to all.
#[test]
fn a_threads_readers_are_those_of_all_its_turns() {
    let server = Server::start();
    let client = server.operator();
    say(&client, None, "hello one", None).expect(201);
    let own = say(&client, None, "hello two", Some(json!(["user:bob", " group:sea "]))).expect(201).json();
    assert_eq!(own["acl_readers"], json!(["user:bob", "group:sea"]));
    say(&client, None, "hello three", Some(json!([]))).expect(201);
    say(&client, None, "hello four", None).expect(201);
    assert_eq!(read(&client, None), [0, 1, 2, 3]);
    assert_eq!(
        (read(&client, Some("user:ada")), read(&client, Some("user:bob"))),
        (vec![0, 3], vec![0, 1, 3])
    );
    client.delete(&path("/thr_talk_00000003", Some("acme"))).expect(200);

    let done = let_read(&client, json!(["user:ada", "group:land"])).expect(200).json();
    assert_eq!(
        done,
        json!({"status": "acl_updated", "thread_id": "talk", "turns": 4}),
        "deleted ones as well"
    );
    let later = say(&client, None, "hello five", None).expect(201).json();
    assert_eq!(
        (&later["turn_index"], &later["acl_readers"]),
        (&json!(4), &json!(["user:ada", "group:land"]))
    );
    assert_eq!(later["metadata"], json!({}), "what is noted is nobody's to see");
    say(&client, Some("user:ada"), "hello six", None).expect(201);
    say(&client, None, "hello seven", Some(json!("user:bob"))).expect(201);
    client.post_bytes(&path("/thr_talk_00000003/restore", Some("acme")), b"").expect(200);
    let check = |client: &Client| {
        assert_eq!(read(client, None), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(read(client, Some("user:ada")), [0, 1, 2, 3, 4, 5]);
        assert_eq!(read(client, Some("user:bob")), [6]);
        assert!(read(client, Some("user:eve")).is_empty());
        let finds =
            [None, Some("user:ada"), Some("user:bob"), Some("user:eve")].map(|who| found(client, who));
        assert_eq!(finds, [7, 6, 1, 0]);
    };
    check(&client);
    let server = server.kill().start();
    let client = server.operator();
    check(&client);
    // Open to all again, and those that come.
    let_read(&client, Value::Null).expect(200);
    say(&client, Some("user:eve"), "hello eight", None).expect(201);
    assert_eq!(read(&client, Some("user:eve")), [0, 1, 2, 3, 4, 5, 6, 7]);
    // For administrators alone, and so when the thread goes elsewhere, and when a turn's text is another.
    let_read(&client, json!([])).expect(200);
    let turn = path("/thr_talk_00000000", Some("acme"));
    client.put_bytes(&turn, b"hello again").expect(200);
    assert_eq!(read(&client, Some("user:eve")), [0], "an update says anew who reads a turn");
    say(&client, None, "hello nine", None).expect(201);
    assert_eq!(read(&client, Some("user:eve")), [0]);
    let moving = json!({"expect_partition": "acme", "to_partition": "globex"});
    client.post("/v1/threads/talk/move", &moving).expect(200);
    let there = thread("talk/append", "globex", None);
    let last = client.post(&there, &json!({"text": "hello there"})).expect(201).json();
    assert_eq!((&last["turn_index"], &last["acl_readers"]), (&json!(9), &json!([])));
    let acts = client.get("/v1/admin/audit?action=thread.readers").expect(200).json();
    assert_eq!(acts["total"], 3, "{acts}");
}

// Somebody would let themselves read a conversation, find out that there is one, or speak in one that they can't read.
#[test]
fn who_may_read_is_an_administrators_to_say() {
    let server = Server::start();
    let operator = server.operator();
    say(&operator, None, "hello", None).expect(201);
    let_read(&operator, json!(["user:ada"])).expect(200);
    let body = json!({"acl_readers": null});
    let data =
        client_with(&operator, &json!({"scopes": ["document:upload", "document:read", "document:delete"]}));
    for (client, who) in [(&operator, Some("user:ada")), (&operator, Some("user:eve")), (&data, None)] {
        for of in ["talk", "no-talk"] {
            let put = client.put(&thread(&format!("{of}/acl"), "acme", who), &body);
            put.expect_error(403, "administrator_required");
        }
    }
    let reader = client_with(&operator, &json!({"scopes": ["document:read"]}));
    reader.put(&thread("talk/acl", "acme", None), &body).expect_error(403, "scope_missing");
    operator.put(&thread("no-talk/acl", "acme", None), &body).expect_error(404, "thread_not_found");
    operator.put(&thread("talk/acl", "globex", None), &body).expect_error(404, "thread_not_found");
    let pinned = client_with(&operator, &json!({"partition": "globex"}));
    pinned.put(&thread("talk/acl", "acme", None), &body).expect(403);
    for bad in
        [json!({}), json!({"acl_readers": 7}), json!({"acl_readers": ["a,b"]}), json!({"acl_readers": [""]})]
    {
        assert_eq!(operator.put(&thread("talk/acl", "acme", None), &bad).status, 400, "{bad}");
    }
    let many: Vec<String> = (0..65).map(|n| format!("user:{n}")).collect();
    let_read(&operator, json!(many)).expect(400);
    // Who reads nothing of it says nothing in it; and another conversation of that name is theirs elsewhere.
    say(&operator, Some("user:eve"), "hello", None).expect_error(404, "thread_not_found");
    say(&data, None, "hello", None).expect_error(404, "thread_not_found");
    say(&operator, Some("user:ada"), "hello", None).expect(201);
    operator.post(&thread("talk/append", "globex", Some("user:eve")), &json!({"text": "hello"})).expect(201);
    assert_eq!(read(&operator, None), [0, 1]);
    let key = [("idempotency-key", "acl"), ("content-type", "application/json")];
    let once = |readers: &str| {
        let body = format!("{{\"acl_readers\": {readers}}}").into_bytes();
        operator.send("PUT", &thread("talk/acl", "acme", None), &key, body)
    };
    let first = once("[\"user:bob\"]").expect(200).json();
    let_read(&operator, json!(["user:ada"])).expect(200);
    assert_eq!(once("[\"user:bob\"]").expect(200).json(), first);
    assert_eq!(read(&operator, Some("user:ada")), [0, 1], "a late repetition undoes nothing");
    once("null").expect_error(409, "idempotency_conflict");
}

fn turns(answer: &Value) -> Vec<(String, u64)> {
    let hits = answer["results"].as_array().expect("results");
    let turn = |hit: &Value| hit["thread_id"].as_str().map(str::to_owned).zip(hit["turn_index"].as_u64());
    let mut turns: Vec<_> =
        hits.iter().map(|hit| turn(hit).unwrap_or_else(|| panic!("no turn: {hit}"))).collect();
    turns.sort();
    turns
}

// A search in one conversation would bring up what was said in another, or miss what was.
#[test]
fn a_search_keeps_to_one_thread() {
    let server = Server::start();
    let client = server.operator();
    let numbers = vector(dimension(&client), 1);
    for n in 0..12 {
        for name in ["a", "a_0", "ü/%"] {
            let append =
                with_query(&format!("/v1/threads/{}/append", encoded(name)), &[("partition", "acme")]);
            let tags = if n % 2 == 0 { json!(["even"]) } else { json!([]) };
            client.post(&append, &json!({"text": format!("hello {n}"), "tags": tags})).expect(201);
        }
        insert(&client, Some("acme"), &format!("hello {n}"));
        client.post("/v1/threads/a/append?partition=globex", &json!({"text": "hello globex"})).expect(201);
    }
    let search = |pairs: &[(&str, &str)]| {
        let all = [&[("partition", "acme"), ("q", "hello"), ("trace", "true")][..], pairs].concat();
        client.get(&with_query("/v1/search", &all)).expect(200).json()
    };
    for round in 0..2 {
        for name in ["a", "a_0", "ü/%"] {
            let answer = search(&[("thread_id", name), ("k", "100")]);
            assert_eq!(
                turns(&answer),
                (0..12).map(|n| (name.to_owned(), n)).collect::<Vec<_>>(),
                "round {round}"
            );
            assert_eq!(answer["trace"]["candidates_in_scope"], 48);
            assert_eq!(turns(&search(&[("thread_id", name), ("tags", "even"), ("k", "100")])).len(), 6);
            assert_eq!(turns(&search(&[("thread_id", name), ("k", "5")])).len(), 5, "never short");
            let body = json!({"embedding": numbers, "k": 100, "thread_id": name, "partition": "acme"});
            assert_eq!(turns(&client.post("/v1/search/embed", &body).expect(200).json()).len(), 12);
            let batch =
                json!({"queries": [{"q": "hello", "k": 100, "thread_id": name, "partition": "acme"}]});
            let batch = client.post("/v1/search/batch", &batch).expect(200).json();
            assert_eq!(turns(&batch["results"][0]).len(), 12);
            let listed = with_query("/v1/documents", &[("partition", "acme"), ("thread_id", name)]);
            assert_eq!(client.get(&listed).expect(200).json()["total"], 12);
        }
        assert!(turns(&search(&[("thread_id", "nobody")])).is_empty());
        client.post("/v1/threads/a/append?partition=other", &json!({"text": "to be flushed"})).expect(201);
        if round == 0 {
            // From segments as from memory.
            client.delete("/v1/documents/thr_a_00000000?partition=other&hard=true").expect(200);
            let gone = insert(&client, Some("acme"), "to be rewritten");
            client
                .delete(&with_query(
                    &format!("/v1/documents/{}", encoded(&gone)),
                    &[("partition", "acme"), ("hard", "true")],
                ))
                .expect(200);
        }
    }
    for bad in ["", " ", "..", "a\u{1}", &"x".repeat(257)] {
        let all = [("partition", "acme"), ("q", "hello"), ("thread_id", bad)];
        assert_eq!(client.get(&with_query("/v1/search", &all)).status, 400, "{bad:?}");
    }
}

fn tagged(client: &Client, tags: &str, entity: Option<&str>, more: &[(&str, &str)]) -> String {
    let mut pairs =
        vec![("filename", "n.txt"), ("content_type", "text/plain"), ("partition", "acme"), ("tags", tags)];
    pairs.extend(entity.map(|entity| ("entity_id", entity)));
    pairs.extend(more);
    let made = client.post_bytes(&with_query("/v1/documents", &pairs), b"a letter").expect(201).json();
    made["doc_id"].as_str().expect("an id").to_owned()
}

// A clinic's letters would be put down to other patients, lose their text, or be changed for a call that only asked.
#[test]
fn entities_are_set_from_tags() {
    let server = Server::start();
    let client = server.operator();
    let plain = tagged(&client, "patient:7,kind:letter", None, &[]);
    let taken = tagged(&client, "patient:8", Some("nine"), &[]);
    let same = tagged(&client, "patient:8", Some("8"), &[]);
    let both = tagged(&client, "patient:7,patient:8", None, &[]);
    let none = tagged(&client, "kind:letter", None, &[]);
    let blank = tagged(&client, "patient:", None, &[]);
    let hidden = tagged(&client, "patient:7", None, &[("acl_readers", "user:ada")]);
    let deleted = tagged(&client, "patient:7", None, &[]);
    client.delete(&path(&format!("/{}", encoded(&deleted)), Some("acme"))).expect(200);
    let elsewhere = with_query(
        "/v1/documents",
        &[
            ("filename", "n.txt"),
            ("content_type", "text/plain"),
            ("partition", "globex"),
            ("tags", "patient:7"),
        ],
    );
    client.post_bytes(&elsewhere, b"a letter").expect(201);
    let entity =
        |client: &Client, id: &str| get(client, Some("acme"), id).expect(200).json()["entity_id"].clone();
    let call = |client: &Client, who: Option<&str>, body: Value| {
        let mut pairs = vec![("partition", "acme")];
        pairs.extend(who.map(|who| ("acting_principal", who)));
        client.post(&with_query("/v1/documents/backfill-entity", &pairs), &body)
    };
    let counts = |answer: Answer| {
        let body = answer.expect(200).json();
        ["scanned", "updated", "skipped_existing", "skipped_no_match", "skipped_ambiguous", "skipped_invalid"]
            .map(|name| body[name].as_u64().expect("a number"))
    };
    let prefix = |more: Value| {
        let mut body = json!({"tag_prefix": "patient:"});
        body.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        body
    };
    let before = list_all(&client, Some("acme"));
    assert_eq!(counts(call(&client, None, prefix(json!({"dry_run": true})))), [7, 2, 2, 1, 1, 1]);
    assert_eq!(list_all(&client, Some("acme")), before, "nothing is changed by asking");
    // On somebody's behalf, what they read.
    assert_eq!(counts(call(&client, Some("user:eve"), prefix(json!({})))), [6, 1, 2, 1, 1, 1]);
    assert_eq!((entity(&client, &plain), entity(&client, &hidden)), (json!("7"), Value::Null));
    assert_eq!(counts(call(&client, None, prefix(json!({})))), [7, 1, 3, 1, 1, 1]);
    assert_eq!(counts(call(&client, None, prefix(json!({"overwrite": true})))), [7, 1, 3, 1, 1, 1]);
    assert_eq!(counts(call(&client, None, prefix(json!({"overwrite": true})))), [7, 0, 4, 1, 1, 1]);
    let server = server.kill().start();
    let client = server.operator();
    let all = [&plain, &taken, &same, &both, &none, &blank, &hidden].map(|id| entity(&client, id));
    assert_eq!(all, [json!("7"), json!("8"), json!("8"), Value::Null, Value::Null, Value::Null, json!("7")]);
    let mut expected = before[&plain].clone();
    expected["entity_id"] = json!("7");
    expected["version"] = json!(2);
    assert_eq!(get(&client, Some("acme"), &plain).expect(200).json(), expected);
    let found = with_query("/v1/search", &[("partition", "acme"), ("q", "letter"), ("entity_id", "7")]);
    assert_eq!(client.get(&found).expect(200).json()["results"].as_array().map(Vec::len), Some(2));
    let other = client.get(&with_query("/v1/documents", &[("partition", "globex"), ("entity_id", "7")]));
    assert_eq!(other.expect(200).json()["total"], 0, "another partition's are left alone");
    let acts = client.get("/v1/admin/audit?action=document.backfill").expect(200).json();
    assert_eq!(acts["total"], 3, "{acts}");

    let empty = client.post("/v1/documents/backfill-entity?partition=nobody", &prefix(json!({})));
    assert_eq!(counts(empty), [0; 6]);
    for bad in [
        json!({}),
        json!({"tag_prefix": ""}),
        json!({"tag_prefix": "a,b"}),
        json!({"tag_prefix": "x".repeat(257)}),
    ] {
        assert_eq!(call(&client, None, bad.clone()).status, 400, "{bad}");
    }
    let reader = client_with(&client, &json!({"scopes": ["document:read"]}));
    call(&reader, None, prefix(json!({}))).expect_error(403, "scope_missing");
    let tenants = client_with(&client, &json!({"multi_tenant": true}));
    tenants.post("/v1/documents/backfill-entity", &prefix(json!({}))).expect_error(400, "partition_required");
    client.patch("/v1/partitions/acme", &json!({"hold": true})).expect(200);
    tagged(&client, "patient:11", None, &[]);
    call(&client, None, prefix(json!({}))).expect_error(409, "legal_hold");
}
