//! Is a document's summary kept like the document, and made when somebody asks for it?
//!
//! The summarizer is a small server of the test's own: it answers a text's first words, and can be told to misbehave.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client, encoded, with_query};
use strongroom_tests::documents::{get, insert, list_all, path, search};
use strongroom_tests::keys::client_with;
use strongroom_tests::residue::files_with;
use strongroom_tests::server::{Plan, Server};
use strongroom_tests::service::{Behaviour, Service, last, said};

const KEY: &str = "key-of-the-summarizer-0123456789";

fn plan(summarizer: &Service) -> Plan {
    let address = format!("http://{}/v1/chat/completions", summarizer.address);
    let plan = Plan::default().set("STRONGROOM_SUMMARIZER", &address);
    plan.set("STRONGROOM_SUMMARIZER_MODEL", "scribe-1").set("STRONGROOM_SUMMARIZER_KEY", KEY)
}

/// The first three words of what the user sends.
fn first_words(body: &Value) -> String {
    let text = body["messages"][1]["content"].as_str().expect("a text");
    let words: Vec<&str> = text.split_whitespace().take(3).collect();
    let message = json!({"role": "assistant", "content": format!("About: {}", words.join(" "))});
    said("200 OK", &json!({"id": "x", "choices": [{"index": 0, "message": message}]}).to_string())
}

fn address(id: &str, partition: &str) -> String {
    path(&format!("/{}/summary", encoded(id)), Some(partition))
}

fn summary(client: &Client, id: &str) -> Value {
    client.get(&address(id, "acme")).expect(200).json()
}

fn put(client: &Client, id: &str, content: &str, revision: Option<&str>) -> Answer {
    let quoted = revision.map(|revision| format!("\"{revision}\""));
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(quoted.as_deref().map(|revision| ("if-match", revision)));
    client.send("PUT", &address(id, "acme"), &headers, json!({"content": content}).to_string().into_bytes())
}

fn ask(client: &Client, id: &str, more: &[(&str, &str)]) -> Answer {
    let pairs = [&[("partition", "acme")][..], more].concat();
    client.post_bytes(&with_query(&format!("/v1/documents/{}/summary", encoded(id)), &pairs), b"")
}

/// Looks until it is neither asked for nor on its way.
fn settled(client: &Client, id: &str) -> Value {
    let mut looks = (0..100_000).map(|_| summary(client, id));
    looks.find(|summary| summary["state"] != "pending").expect("it ends")
}

fn insert_asking(client: &Client, text: &str) -> Value {
    let pairs = [
        ("filename", "note.txt"),
        ("content_type", "text/plain"),
        ("partition", "acme"),
        ("summarize", "true"),
    ];
    client.post_bytes(&with_query("/v1/documents", &pairs), text.as_bytes()).expect(201).json()
}

// What a user wrote about a document would be lost with a restart or an update, be written over, or be shown to others.
#[test]
fn a_users_summary_is_kept_with_the_document() {
    let server = Server::start();
    let client = server.operator();
    let id = insert(&client, Some("acme"), "The lease ends in 2031.");
    let before = get(&client, Some("acme"), &id).expect(200).json();
    let none = summary(&client, &id);
    assert_eq!(
        (&none["state"], &none["content"], &none["stale"]),
        (&json!("none"), &Value::Null, &json!(false))
    );
    let first = put(&client, &id, "**Lease**, zqsummary until 2031.", None).expect(200).json();
    assert_eq!((&first["state"], &first["authored_by"]), (&json!("ready"), &json!("user")));
    assert_eq!((&first["source_cid"], &first["doc_id"]), (&before["cid"], &before["doc_id"]));
    assert_eq!(summary(&client, &id), first);
    // The document is what it was; nothing finds it by its summary.
    let mut expected = before.clone();
    expected["version"] = json!(2);
    assert_eq!(get(&client, Some("acme"), &id).expect(200).json(), expected);
    assert_eq!(search(&client, Some("acme"), "lease", 1)[0]["metadata"], json!({}));
    assert_eq!(search(&client, Some("acme"), "lease", 1)[0]["content"], "The lease ends in 2031.");
    // Whoever writes says what they had read.
    let revision = first["revision"].as_str().expect("a revision");
    let conflict = put(&client, &id, "other", Some("gone")).expect_error(412, "summary_revision_conflict");
    assert_eq!(conflict.json()["current_revision"], revision);
    let second = put(&client, &id, "Lease until 2031.", Some(revision)).expect(200).json();
    assert_ne!(second["revision"], first["revision"]);
    put(&client, &id, "late", Some(revision)).expect_error(412, "summary_revision_conflict");
    for (content, status) in
        [(String::new(), 422), (" \n".to_owned(), 422), ("x".repeat((16 << 10) + 1), 413)]
    {
        assert_eq!(put(&client, &id, &content, None).status, status);
    }
    for bad in ["gone", "\"\"", "\"a", ""] {
        let headers = [("content-type", "application/json"), ("if-match", bad)];
        let answer = client.send("PUT", &address(&id, "acme"), &headers, b"{\"content\": \"x\"}".to_vec());
        assert_eq!(answer.status, 400, "{bad}: {answer}");
    }
    let server = server.kill().start();
    let client = server.operator();
    assert_eq!(summary(&client, &id), second);
    // Of another text it is an old summary; of the same again, a good one.
    let own = path(&format!("/{}", encoded(&id)), Some("acme"));
    client.put_bytes(&own, b"The lease ends in 2040.").expect(200);
    let stale = summary(&client, &id);
    assert_eq!((&stale["content"], &stale["stale"]), (&second["content"], &json!(true)));
    client.put_bytes(&own, b"The lease ends in 2031.").expect(200);
    assert_eq!(summary(&client, &id)["stale"], false);
    // Cut and embedded anew, the document has it still.
    client
        .post_bytes(
            &format!("/v1/collections/default/documents/{}/reprocess?partition=acme", encoded(&id)),
            b"",
        )
        .expect(200);
    assert_eq!(summary(&client, &id)["content"], second["content"]);
    // It moves with the document, goes with it, and comes back with it.
    let moving = |from: &str, to: &str| {
        let body = json!({"expect_partition": from, "to_partition": to});
        client.post(&format!("/v1/documents/{}/move", encoded(&id)), &body).expect(200);
    };
    moving("acme", "globex");
    client.get(&address(&id, "acme")).expect_error(404, "document_not_found");
    let there = client.get(&address(&id, "globex")).expect(200).json();
    assert_eq!(there["content"], second["content"]);
    moving("globex", "acme");
    client.delete(&own).expect(200);
    client.get(&address(&id, "acme")).expect_error(404, "document_not_found");
    put(&client, &id, "x", None).expect_error(404, "document_not_found");
    client.post_bytes(&path(&format!("/{}/restore", encoded(&id)), Some("acme")), b"").expect(200);
    assert_eq!(summary(&client, &id)["content"], second["content"]);
    // Carried to another partition, and sealed in each.
    client.post("/v1/partitions/acme/copy", &json!({"to": "initech"})).expect(200);
    assert_eq!(client.get(&address(&id, "initech")).expect(200).json()["content"], second["content"]);
    let plan = server.stop();
    assert!(files_with(&plan.folder.data(), &["zqsummary", "until 2031"]).is_empty());
}

// A summary would tell of a document to those who may not read it, or be written by them.
#[test]
fn a_summary_is_its_documents_readers() {
    let server = Server::start();
    let client = server.operator();
    let pairs = [
        ("filename", "n.txt"),
        ("content_type", "text/plain"),
        ("partition", "acme"),
        ("acl_readers", "user:ada"),
    ];
    let made = client.post_bytes(&with_query("/v1/documents", &pairs), b"for Ada").expect(201).json();
    let id = made["doc_id"].as_str().expect("an id");
    put(&client, id, "about Ada", None).expect(200);
    let acting = |who: &str| format!("{}&acting_principal={who}", address(id, "acme"));
    assert_eq!(client.get(&acting("user:ada")).expect(200).json()["content"], "about Ada");
    let hidden = client.get(&acting("user:eve")).expect_error(404, "document_not_found").json();
    let missing = client.get(&address("doc_nobody", "acme")).expect_error(404, "document_not_found").json();
    assert_eq!(hidden["error"], missing["error"]);
    client.put(&acting("user:eve"), &json!({"content": "x"})).expect_error(404, "document_not_found");
    client.post_bytes(&acting("user:eve"), b"").expect_error(404, "document_not_found");
    let pinned = client_with(&client, &json!({"partition": "globex"}));
    pinned.get(&address(id, "acme")).expect(403);
    pinned.get(&address(id, "globex")).expect_error(404, "document_not_found");
    let reader = client_with(&client, &json!({"scopes": ["document:read"]}));
    reader.put(&address(id, "acme"), &json!({"content": "x"})).expect(403);
}

// Who asks for a summary that nobody makes would wait for it for ever, or lose the document over it.
#[test]
fn without_a_summarizer_asking_is_refused() {
    let server = Server::start();
    let client = server.operator();
    let id = insert(&client, Some("acme"), "The lease ends in 2031.");
    ask(&client, &id, &[]).expect_error(501, "summarizer_not_configured");
    ask(&client, "doc_nobody", &[]).expect_error(404, "document_not_found");
    let inserting =
        with_query("/v1/documents", &[("filename", "n.txt"), ("partition", "acme"), ("summarize", "true")]);
    client.post_bytes(&inserting, b"text").expect_error(501, "summarizer_not_configured");
    client.post_bytes(&inserting.replace("documents?", "documents/async?"), b"text").expect(501);
    client.post_bytes(&inserting.replace("summarize=true", "summarize=false"), b"text").expect(201);
    let batch = |all: Value, one: Value| {
        let items = json!([{"content": "one", "summarize": one}, {"content": "two"}]);
        client
            .post("/v1/documents/batch", &json!({"documents": items, "summarize": all, "partition": "acme"}))
    };
    batch(json!(true), json!(false)).expect(501);
    batch(Value::Null, json!(true)).expect(501);
    batch(json!(false), Value::Null).expect(201);
    assert_eq!(list_all(&client, Some("acme")).len(), 4);
    assert_eq!(summary(&client, &id)["state"], "none");
}

// What the operator pays a model for would not be there, be of another document, or stand over what a user wrote.
#[test]
fn a_summary_is_made_when_it_is_asked_for() {
    let summarizer = Service::start(first_words);
    let server = plan(&summarizer).start();
    let client = server.operator();
    let made = insert_asking(&client, "The lease ends in 2031, says the landlord.");
    assert_eq!(made["summary"], "pending");
    let id = made["doc_id"].as_str().expect("an id");
    let done = settled(&client, id);
    assert_eq!((&done["state"], &done["content"]), (&json!("ready"), &json!("About: The lease ends")));
    assert_eq!((&done["authored_by"], &done["generator"]), (&json!("aether"), &json!("scribe-1")));
    assert_eq!((&done["source_cid"], &done["truncated_input"]), (&made["cid"], &json!(false)));
    assert!(get(&client, Some("acme"), id).expect(200).json().get("summary").is_none());
    let seen = summarizer.take_seen();
    let [(head, body)] = &seen[..] else { panic!("one call, not {}", seen.len()) };
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1"), "{head}");
    assert!(head.contains(&format!("authorization: Bearer {KEY}")), "{head}");
    assert_eq!((&body["model"], &body["messages"][0]["role"]), (&json!("scribe-1"), &json!("system")));
    assert_eq!(body["messages"][1]["content"], "The lease ends in 2031, says the landlord.");

    // A user's is written over only by force.
    let own = put(&client, id, "my own", None).expect(200).json();
    ask(&client, id, &[]).expect_error(409, "summary_user_authored");
    assert_eq!(summary(&client, id), own);
    let begun = ask(&client, id, &[("force", "true")]).expect(202).json();
    assert!(["pending", "ready"].contains(&begun["state"].as_str().expect("a state")), "{begun}");
    assert_eq!(settled(&client, id)["content"], "About: The lease ends");
    // Of a batch, those that ask; in the background; of a long text its beginning.
    let items = json!([{"content": "one two three four"}, {"content": "quiet", "summarize": false}]);
    let body = json!({"documents": items, "summarize": true, "partition": "acme"});
    let many = client.post("/v1/documents/batch", &body).expect(201).json();
    let ids: Vec<&str> = many["results"]
        .as_array()
        .expect("results")
        .iter()
        .filter_map(|one| one["doc_id"].as_str())
        .collect();
    assert_eq!(settled(&client, ids[0])["content"], "About: one two three");
    assert_eq!(settled(&client, ids[1])["state"], "none");
    let long = insert_asking(&client, &"whale é ".repeat(10_000));
    let long = settled(&client, long["doc_id"].as_str().expect("an id"));
    assert_eq!((&long["state"], &long["truncated_input"]), (&json!("ready"), &json!(true)), "{long}");
    let seen = summarizer.take_seen();
    let sent =
        seen.iter().filter_map(|(_, body)| body["messages"][1]["content"].as_str()).map(str::len).max();
    assert!(sent.is_some_and(|sent| sent <= 48 << 10 && sent > 47 << 10), "{sent:?}");
    // An update asks too, and what there was is read meanwhile; a user's stays.
    let updating = |id: &str| {
        let pairs = [
            ("partition", "acme"),
            ("filename", "n.txt"),
            ("content_type", "text/plain"),
            ("summarize", "true"),
        ];
        with_query(&format!("/v1/documents/{}", encoded(id)), &pairs)
    };
    client.put_bytes(&updating(id), b"Another text altogether.").expect(200);
    let again = settled(&client, id);
    assert_eq!(
        (&again["content"], &again["stale"]),
        (&json!("About: Another text altogether."), &json!(false))
    );
    put(&client, id, "mine", None).expect(200);
    client.put_bytes(&updating(id), b"Yet another text.").expect(200);
    let kept = settled(&client, id);
    assert_eq!((&kept["content"], &kept["stale"]), (&json!("mine"), &json!(true)));
}

// A summarizer that is down, or a stop at the wrong time, would leave a summary pending for ever.
#[test]
fn an_asking_ends_whatever_becomes_of_the_summarizer() {
    let summarizer = Service::start(first_words);
    let server = plan(&summarizer).set("STRONGROOM_SUMMARIZER_TIMEOUT", "30s").start();
    let client = server.operator();
    let id = insert(&client, Some("acme"), "The lease ends in 2031.");
    for (answer, reason) in [
        (last("500 Internal Server Error", "", "{}"), "failed"),
        (last("401 Unauthorized", "", "{}"), "refused"),
        (last("200 OK", "", "<html>"), "unreadable"),
        (last("200 OK", "", "{\"choices\": [{\"message\": {\"content\": \" \"}}]}"), "unreadable"),
        (last("429 Too Many Requests", "retry-after: 3600\r\n", "{}"), "busy"),
    ] {
        summarizer.behave(Behaviour::Say(answer));
        ask(&client, &id, &[]).expect(202);
        let failed = settled(&client, &id);
        assert_eq!((&failed["state"], &failed["reason"]), (&json!("failed"), &json!(reason)), "{failed}");
        assert!(failed["error"].as_str().is_some_and(|text| !text.is_empty()), "{failed}");
    }
    summarizer.behave(Behaviour::Answer);
    ask(&client, &id, &[]).expect(202);
    let first = settled(&client, &id);
    assert_eq!(first["state"], "ready");
    summarizer.take_seen();
    while summarizer.came.try_recv().is_ok() {}

    // Asked for twice, made once; what there is is read meanwhile; and a user's word is the last.
    let (go, wait) = channel();
    summarizer.behave(Behaviour::Wait(Arc::new(Mutex::new(wait))));
    ask(&client, &id, &[]).expect(202);
    summarizer.came.recv().expect("a call");
    let pending = ask(&client, &id, &[]).expect(202).json();
    assert_eq!((&pending["state"], &pending["content"]), (&json!("pending"), &first["content"]));
    assert_eq!(get(&client, Some("acme"), &id).expect(200).json()["summary"], "pending");
    let own = put(&client, &id, "mine", None).expect(200).json();
    go.send(()).expect("it waits");
    let other = insert(&client, Some("acme"), "another one");
    ask(&client, &other, &[]).expect(202);
    summarizer.came.recv().expect("a call");
    assert_eq!(summary(&client, &id), own);
    assert_eq!(summarizer.take_seen().len(), 2);

    // Killed in the midst of it: whoever looks again has it made.
    assert_eq!(summary(&client, &other)["state"], "pending");
    let plan = server.kill();
    summarizer.behave(Behaviour::Answer);
    let server = plan.start();
    let client = server.operator();
    assert_eq!(settled(&client, &other)["content"], "About: another one");
    assert_eq!(summary(&client, &id), own);
    // And not paid for again and again when it can't be kept.
    let held = insert(&client, Some("globex"), "held back");
    let (go, wait) = channel();
    summarizer.behave(Behaviour::Wait(Arc::new(Mutex::new(wait))));
    while summarizer.came.try_recv().is_ok() {}
    client.post_bytes(&address(&held, "globex"), b"").expect(202);
    summarizer.came.recv().expect("a call");
    client.patch("/v1/partitions/globex", &json!({"hold": true})).expect(200);
    summarizer.take_seen();
    go.send(()).expect("it waits");
    let looks = (0..100_000).map(|_| client.get(&address(&held, "globex")).expect(200).json());
    let lost = { looks }.find(|summary| summary["state"] != "pending").expect("it ends");
    assert_eq!((&lost["state"], &lost["reason"]), (&json!("failed"), &json!("unwritten")));
    assert!(summarizer.take_seen().is_empty());
    client.put(&address(&held, "globex"), &json!({"content": "x"})).expect_error(409, "legal_hold");
    // No longer set up: what waits has failed, and says so.
    let plan = server.stop();
    let server = Plan { environment: Vec::new(), ..plan }.start();
    let client = server.operator();
    let failed = client.get(&address(&held, "globex")).expect(200).json();
    assert_eq!(
        (&failed["state"], &failed["reason"]),
        (&json!("failed"), &json!("summarizer_not_configured"))
    );
}
