//! Does a limit hold, however many come at once, and is a caller told what it is and when to come back?

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client, with_query};
use strongroom_tests::documents::{insert, insert_path, list_all, path};
use strongroom_tests::keys::{client_with, mint};
use strongroom_tests::server::Server;

fn set(client: &Client, body: &Value) -> Answer {
    client.put("/v1/admin/quotas", body)
}

fn try_insert(client: &Client, partition: &str) -> Answer {
    client.post_bytes(&insert_path(Some(partition), "note.txt"), b"a note")
}

fn try_search(client: &Client, partition: &str) -> Answer {
    client.get(&with_query("/v1/search", &[("q", "note"), ("partition", partition)]))
}

/// Insists on a refusal that says what to do.
#[track_caller]
fn refused(answer: &Answer, code: &str, words: &[&str]) {
    let answer = answer.clone().expect_error(429, code);
    let after: u64 = answer.header("retry-after").expect("when to come back").parse().expect("seconds");
    assert!(after >= 1, "{answer}");
    let text = answer.text();
    assert!(words.iter().all(|word| text.contains(word)), "{words:?} in {answer}");
}

/// Calls from 16 threads at once, until each has been refused or has called so often; answers how many calls went through.
fn at_once(times: usize, call: impl Fn(usize) -> u16 + Sync) -> u64 {
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..16 {
            let (call, done) = (&call, &done);
            scope.spawn(move || {
                for _ in 0..times {
                    match call(thread) {
                        200 | 201 => done.fetch_add(1, Ordering::Relaxed),
                        429 => 0,
                        other => panic!("{other}"),
                    };
                }
            });
        }
    });
    done.into_inner()
}

// A customer who pays for a hundred documents would get a hundred and three, or be stopped at ninety-eight.
#[test]
fn sixteen_writers_at_a_quota_of_documents() {
    let server = Server::start();
    let operator = server.operator();
    set(&operator, &json!({"partition": "acme", "quota": {"documents": 100}})).expect(200);
    let done = at_once(10, |_| try_insert(&operator, "acme").status);
    assert_eq!((done, list_all(&operator, Some("acme")).len()), (100, 100));
    refused(&try_insert(&operator, "acme"), "quota_exceeded", &["this partition", "100 documents", "delete"]);
    let batch = json!({"documents": [{"content": "one", "partition": "acme"}]});
    refused(&operator.post("/v1/documents/batch", &batch), "quota_exceeded", &["100 documents"]);
    // Others are not meant, what replaces is no more, and what was deleted makes room.
    insert(&operator, Some("globex"), "a note");
    let id = list_all(&operator, Some("acme")).into_keys().next().expect("a document");
    operator.put_bytes(&path(&format!("/{id}"), Some("acme")), b"another").expect(200);
    operator.delete(&path(&format!("/{id}"), Some("acme"))).expect(200);
    let done = at_once(1, |_| try_insert(&operator, "acme").status);
    assert_eq!((done, list_all(&operator, Some("acme")).len()), (1, 100));
    refused(
        &operator.post_bytes(&path(&format!("/{id}/restore"), Some("acme")), b""),
        "quota_exceeded",
        &["100"],
    );
}

// A limit on all of a customer's end-clients together would be passed by writing to many of them at once.
#[test]
fn a_collection_is_limited_over_all_its_partitions() {
    let server = Server::start();
    let operator = server.operator();
    set(&operator, &json!({"collection": "default", "quota": {"documents": 40}})).expect(200);
    let done = at_once(5, |thread| try_insert(&operator, &format!("client {thread}")).status);
    assert_eq!(done, 40);
    assert_eq!(operator.get("/status").expect(200).json()["documents"], 40);
    refused(&try_insert(&operator, "client 1"), "quota_exceeded", &["this collection", "40 documents"]);
    operator.delete("/v1/partitions/client%201").expect(200);
    try_insert(&operator, "client 2").expect(201);
    // Batches over several partitions at once neither pass it nor wait for each other for ever.
    set(&operator, &json!({"collection": "default", "quota": {"documents": 100}})).expect(200);
    at_once(4, |thread| {
        let near = |step: usize| format!("client {}", (thread + step) % 16);
        let batch = json!({"documents": [{"content": "one", "partition": near(0)}, {"content": "two", "partition": near(1)},
            {"content": "three", "partition": near(2)}]});
        operator.post("/v1/documents/batch", &batch).status
    });
    let documents = operator.get("/status").expect(200).json()["documents"].as_u64().expect("a number");
    assert!((98..=100).contains(&documents), "{documents}");
    // Stored bytes are seen as the engine has them.
    set(&operator, &json!({"collection": "default", "quota": {"stored_bytes": 1000}})).expect(200);
    refused(&try_insert(&operator, "client 2"), "quota_exceeded", &["1000 stored bytes"]);
    set(&operator, &json!({"collection": "default", "quota": null})).expect(200);
    try_insert(&operator, "client 2").expect(201);
}

// A plan of so many queries a day would be no plan: passed under load, forgotten by a restart, used up by mistakes.
#[test]
fn queries_a_day() {
    let server = Server::start();
    let operator = server.operator();
    set(&operator, &json!({"each_partition": true, "quota": {"queries_per_day": 20}})).expect(200);
    set(&operator, &json!({"partition": "large", "quota": {"queries_per_day": 50}})).expect(200);
    insert(&operator, Some("acme"), "a note");
    assert_eq!(at_once(3, |_| try_search(&operator, "acme").status), 20);
    assert_eq!(at_once(5, |_| try_search(&operator, "large").status), 50);
    refused(
        &try_search(&operator, "acme"),
        "quota_exceeded",
        &["this partition", "20 queries a day", "renews at 20"],
    );
    let batch = json!({"queries": [{"q": "a"}, {"q": "b"}], "partition": "small"});
    for expected in (0..10).rev() {
        // A mistake costs nothing.
        operator.get(&with_query("/v1/search", &[("q", ""), ("partition", "small")])).expect(400);
        let answer = operator.post("/v1/search/batch", &batch).expect(200);
        assert_eq!(
            answer.header("x-ratelimit-remaining"),
            Some((expected * 2).to_string().as_str()),
            "{answer}"
        );
        assert_eq!(answer.header("x-ratelimit-limit"), Some("20"));
        assert!(
            answer.header("x-ratelimit-reset").is_some_and(|s| s.parse::<u64>().is_ok_and(|s| s <= 86_400))
        );
    }
    let answer = operator.post("/v1/search/batch", &batch);
    refused(&answer, "quota_exceeded", &["20 queries a day"]);
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
    // Reading is no query.
    operator.get(&path("", Some("acme"))).expect(200);
    let server = server.stop().start();
    let operator = server.operator();
    for full in ["acme", "large", "small"] {
        refused(&try_search(&operator, full), "quota_exceeded", &["queries a day"]);
    }
    assert_eq!(try_search(&operator, "new").expect(200).header("x-ratelimit-remaining"), Some("19"));
    // A limit that is set in the course of the day knows what was done before.
    set(&operator, &json!({"collection": "default", "quota": {"queries_per_day": 92}})).expect(200);
    try_search(&operator, "newer").expect(200);
    refused(&try_search(&operator, "newest"), "quota_exceeded", &["this collection", "92 queries a day"]);
    assert_eq!(operator.get("/healthz").expect(200).header("x-ratelimit-limit"), None);
}

// A client in a loop would take what others need, or not learn how long to wait.
#[test]
fn requests_a_second() {
    let server = Server::start();
    let operator = server.operator();
    // So slow that none comes back while this test runs.
    let rate = json!({"requests_per_second": 0.001, "burst": 30});
    set(&operator, &json!({"partition": "acme", "quota": rate})).expect(200);
    let first = try_search(&operator, "acme").expect(200);
    assert_eq!(
        (first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")),
        (Some("30"), Some("29"))
    );
    assert_eq!(at_once(3, |_| try_search(&operator, "acme").status), 29);
    refused(
        &try_search(&operator, "acme"),
        "rate_limited",
        &["this partition", "0.001 requests a second", "come back in"],
    );
    refused(&operator.get(&path("", Some("acme"))), "rate_limited", &["requests a second"]);
    try_search(&operator, "globex").expect(200);
    // A key's own rate is on all of its calls, but for those that look at limits and lift them.
    let key = mint(&operator, &json!({"quota": {"requests_per_second": 0.001, "burst": 2}}));
    let holder = operator.with_key(&key.key);
    assert_eq!(at_once(1, |_| holder.get("/v1/partitions").status), 2);
    refused(&try_search(&holder, "globex"), "rate_limited", &["this API key"]);
    holder.get("/v1/usage").expect(200);
    holder.get("/v1/admin/quotas").expect(200);
    operator.patch(&format!("/v1/admin/api-keys/{}", key.id), &json!({"quota": null})).expect(200);
    try_search(&holder, "globex").expect(200);
    // What one limit refuses has taken nothing from the others.
    set(&operator, &json!({"quota": {"requests_per_second": 0.001, "burst": 100}})).expect(200);
    let before = try_search(&operator, "globex").expect(200);
    refused(&try_search(&operator, "acme"), "rate_limited", &["this partition"]);
    let left = |answer: &Answer| answer.header("x-ratelimit-remaining").and_then(|n| n.parse::<u64>().ok());
    assert_eq!(left(&before), Some(99), "{before}");
}

// Embedding costs money: a limit on it that does not hold is paid for by the operator.
#[test]
fn tokens_a_day() {
    let server = Server::start();
    let operator = server.operator();
    let used =
        || operator.get("/v1/usage").expect(200).json()["embedding_tokens_total"].as_u64().expect("tokens");
    insert(&operator, Some("acme"), "a note");
    let of_one = used();
    let key = mint(&operator, &json!({"quota": {"embedding_tokens_per_day": of_one * 25}}));
    let holder = operator.with_key(&key.key);
    assert_eq!(at_once(3, |thread| try_insert(&holder, &format!("client {thread}")).status), 25);
    let most = format!("{} embedding tokens a day", of_one * 25);
    refused(&try_insert(&holder, "acme"), "quota_exceeded", &["this API key", &most, "renews at 20"]);
    refused(&try_search(&holder, "acme"), "quota_exceeded", &[&most]);
    let there = operator.get("/v1/documents?partition=acme&limit=1").expect(200).json();
    let id = there["documents"][0]["doc_id"].as_str().expect("an id").to_owned();
    let anew = format!("/v1/collections/default/documents/{id}/reprocess?partition=acme");
    refused(&holder.post_bytes(&anew, b""), "quota_exceeded", &[&most]);
    assert_eq!(used(), of_one * 26);
    try_insert(&operator, "acme").expect(201);
}

// Whoever is limited would lift the limit, or hand out keys that have none.
#[test]
fn nobody_grants_more_than_they_have() {
    let server = Server::start();
    let operator = server.operator();
    let owner = client_with(&operator, &json!({}));
    let in_collection = client_with(&operator, &json!({"collection": "default"}));
    let in_partition = client_with(&operator, &json!({"partition": "acme"}));
    let limit = json!({"documents": 5});
    set(&owner, &json!({"quota": limit})).expect_error(403, "operator_only");
    set(&owner, &json!({"collection": "default", "quota": limit})).expect(200);
    set(&owner, &json!({"each_partition": true, "quota": limit})).expect(200);
    for body in [
        json!({"quota": null}),
        json!({"collection": "default", "quota": null}),
        json!({"each_partition": true, "quota": null}),
        json!({"collection": "other", "partition": "x", "quota": limit}),
    ] {
        set(&in_collection, &body).expect_error(403, "pinned_key");
    }
    set(&in_collection, &json!({"collection": "default", "each_partition": true, "quota": limit}))
        .expect(200);
    set(&in_collection, &json!({"partition": "acme", "quota": {"documents": 2}})).expect(200);
    set(&in_partition, &json!({"partition": "acme", "quota": null})).expect_error(403, "pinned_key");
    let without = client_with(&operator, &json!({"scopes": ["document:upload", "usage:read"]}));
    set(&without, &json!({"collection": "default", "quota": null})).expect_error(403, "scope_missing");
    without.get("/v1/admin/quotas").expect_error(403, "scope_missing");
    // What each sees of them.
    let seen = |client: &Client| client.get("/v1/admin/quotas").expect(200).json()["total"].clone();
    assert_eq!((seen(&owner), seen(&in_collection), seen(&in_partition)), (json!(4), json!(3), json!(1)));
    let own = in_partition.get("/v1/admin/quotas").expect(200).json();
    assert_eq!(own["quotas"][0]["partition"], "acme");
    assert_eq!(own["quotas"][0]["quota"]["documents"], 2);
    // Keys.
    let bound = mint(&operator, &json!({"quota": {"queries_per_day": 10, "requests_per_second": 5}}));
    let holder = operator.with_key(&bound.key);
    for wider in [
        json!({"queries_per_day": 11}),
        json!({"requests_per_second": 6}),
        json!({"requests_per_second": 1, "burst": 6}),
    ] {
        let body = json!({"name": "wider", "scopes": ["query:read"], "quota": wider});
        holder.post("/v1/admin/api-keys", &body).expect_error(403, "wider_than_own");
        let own = format!("/v1/admin/api-keys/{}", bound.id);
        holder.patch(&own, &json!({"quota": wider})).expect_error(403, "wider_than_own");
    }
    let inherited = mint(&holder, &json!({"scopes": ["query:read"]}));
    let shown =
        operator.get(&format!("/v1/admin/api-keys/{}", inherited.id)).expect(200).json()["quota"].clone();
    assert_eq!(
        (&shown["queries_per_day"], &shown["requests_per_second"]),
        (&json!(10), &json!(5.0)),
        "{shown}"
    );
    for bad in [
        json!({"documents": -1}),
        json!({"documents": 1.5}),
        json!({"documnets": 1}),
        json!({"burst": 1}),
        json!({"requests_per_second": 0}),
        json!({"requests_per_second": 1e9}),
        json!({"requests_per_second": 1, "burst": 0}),
        json!({"documents": 1_u64 << 60}),
        json!("many"),
    ] {
        let answer = set(&operator, &json!({"collection": "default", "quota": bad}));
        assert_eq!(answer.status, 400, "{bad} {answer}");
        let answer =
            operator.post("/v1/admin/api-keys", &json!({"name": "bad", "scopes": ["*"], "quota": bad}));
        assert_eq!(answer.status, 400, "{bad} {answer}");
    }
    assert_eq!(
        set(&operator, &json!({"partition": "a", "each_partition": true, "quota": limit})).status,
        400
    );
    assert_eq!(
        set(&operator, &json!({"collection": "default"})).status,
        400,
        "nothing is taken by leaving it out"
    );
    // They last, and go with their workspace.
    let made = operator.post("/v1/admin/workspaces", &json!({"name": "other"})).expect(201).json();
    let other = operator.in_workspace("other");
    set(&other, &json!({"quota": {"documents": 1}})).expect(200);
    let server = server.stop().start();
    let other = server.operator().in_workspace("other");
    insert(&other, None, "the only one");
    refused(&try_insert(&other, "acme"), "quota_exceeded", &["this workspace", "1 documents"]);
    assert_eq!(server.operator().get("/v1/admin/quotas").expect(200).json()["total"], 4);
    server
        .operator()
        .delete(&format!("/v1/admin/workspaces/{}", made["id"].as_str().expect("an id")))
        .expect(200);
}
