//! Does the server say what was used, exactly, and to those alone whom it concerns?
//!
//! Each test keeps a count of its own beside what it does, and compares.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use strongroom_tests::client::{Client, with_query};
use strongroom_tests::collections;
use strongroom_tests::documents::{insert, path, search};
use strongroom_tests::keys::{client_with, mint};
use strongroom_tests::routes::{dimension, vector};
use strongroom_tests::server::Server;

/// What this client did, as it counts itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    queries: u64,
    inserts: u64,
    deletes: u64,
    bytes_in: u64,
}

impl Count {
    fn add(&mut self, more: Count) {
        self.queries += more.queries;
        self.inserts += more.inserts;
        self.deletes += more.deletes;
        self.bytes_in += more.bytes_in;
    }

    fn of(row: &Value) -> Count {
        let number = |name: &str| row[name].as_u64().unwrap_or_else(|| panic!("no {name} in {row}"));
        Count {
            queries: number("queries"),
            inserts: number("inserts"),
            deletes: number("deletes"),
            bytes_in: number("bytes_in"),
        }
    }

    fn is_within(&self, most: &Count) -> bool {
        self.queries <= most.queries
            && self.inserts <= most.inserts
            && self.deletes <= most.deletes
            && self.bytes_in <= most.bytes_in
    }
}

fn usage(client: &Client, query: &str) -> Value {
    client.get(&format!("/v1/usage{query}")).expect(200).json()
}

fn rows<'a>(answer: &'a Value, name: &str) -> &'a Vec<Value> {
    answer[name].as_array().unwrap_or_else(|| panic!("no {name} in {answer}"))
}

fn sum(rows: &[Value]) -> Count {
    let mut sum = Count::default();
    rows.iter().for_each(|row| sum.add(Count::of(row)));
    sum
}

/// The figures by partition, of all who are there.
fn by_partition(client: &Client) -> BTreeMap<String, Count> {
    let answer = usage(client, "?limit=1000");
    let rows = answer["by_partition"]["partitions"].as_array().expect("partitions").clone();
    let name = |row: &Value| row["partition"].as_str().unwrap_or("-").to_owned();
    rows.iter().map(|row| (name(row), Count::of(row))).collect()
}

/// When the database of the control plane was written last. Work on documents writes nothing there but its counts.
fn written(server: &Server) -> SystemTime {
    let log = server.folder().data().join("control.sqlite-wal");
    log.metadata().and_then(|file| file.modified()).expect("a write-ahead log")
}

const PARTITIONS: [Option<&str>; 3] = [Some("acme"), Some("globex"), None];

/// Does some of everything with a client, and answers what that was, by partition.
fn work(client: &Client, dimension: usize, rounds: usize) -> BTreeMap<String, Count> {
    let mut counts = BTreeMap::new();
    for round in 0..rounds {
        for partition in PARTITIONS {
            let count: &mut Count = counts.entry(partition.unwrap_or("-").to_owned()).or_default();
            let text = format!("The invoice number {round} of {}.", partition.unwrap_or("nobody"));
            let id = insert(client, partition, &text);
            count.add(Count { inserts: 1, bytes_in: text.len() as u64, ..Count::default() });
            let replaced = format!("{text} It was paid.");
            client.put_bytes(&path(&format!("/{id}"), partition), replaced.as_bytes()).expect(200);
            count.add(Count { inserts: 1, bytes_in: replaced.len() as u64, ..Count::default() });
            let batch =
                json!({"documents": [{"content": "one"}, {"content": "two two"}], "partition": partition});
            client.post("/v1/documents/batch", &batch).expect(201);
            count.add(Count { inserts: 2, bytes_in: 10, ..Count::default() });
            let own =
                json!({"content": "own", "embedding": vector(dimension, round), "partition": partition});
            client.post("/v1/documents/embed", &own).expect(201);
            count.add(Count { inserts: 1, bytes_in: 3, ..Count::default() });
            search(client, partition, "which invoice was paid", 5);
            let by_vector = json!({"embedding": vector(dimension, round), "k": 3, "partition": partition});
            client.post("/v1/search/embed", &by_vector).expect(200);
            let queries =
                json!({"queries": [{"q": "invoice"}, {"q": "paid", "k": 1}], "partition": partition});
            client.post("/v1/search/batch", &queries).expect(200);
            count.queries += 4;
            client.delete(&path(&format!("/{id}"), partition)).expect(200);
            count.deletes += 1;
            // What is refused was not done.
            client.get(&with_query("/v1/search", &[("q", "")])).expect(400);
            client.delete(&path("/nothing", partition)).expect(404);
        }
    }
    counts
}

// A customer's bill would not be what they used: more after a crash, or less after every restart.
#[test]
fn figures_are_those_of_an_independent_count() {
    let server = Server::start();
    let operator = server.operator();
    let dimension = dimension(&operator);
    let keys = [mint(&operator, &json!({})), mint(&operator, &json!({}))];
    let mut done = BTreeMap::<String, Count>::new();
    let mut of_keys = BTreeMap::<String, Count>::new();
    let mut server = server;
    for life in 0..2 {
        for (key, rounds) in keys.iter().zip([2, 3]) {
            let of = work(&server.operator().with_key(&key.key), dimension, rounds);
            for (partition, count) in of {
                done.entry(partition).or_default().add(count);
                of_keys.entry(key.id.clone()).or_default().add(count);
            }
        }
        let check = |client: &Client| {
            let answer = usage(client, "");
            assert_eq!(by_partition(client), done, "life {life}");
            let all = sum(&done
                .values()
                .map(|c| {
                    json!({"queries": c.queries, "inserts": c.inserts,
                "deletes": c.deletes, "bytes_in": c.bytes_in})
                })
                .collect::<Vec<_>>());
            for name in ["by_collection", "by_day", "by_key"] {
                assert_eq!(sum(rows(&answer, name)), all, "{name}, life {life}");
            }
            let keys: BTreeMap<_, _> = rows(&answer, "by_key")
                .iter()
                .map(|row| (row["key_id"].as_str().unwrap_or_default().to_owned(), Count::of(row)))
                .collect();
            assert_eq!(keys, of_keys, "life {life}");
            assert_eq!(answer["queries_total"], all.queries);
            assert_eq!(answer["inserts_total"], all.inserts);
            let live = done.values().map(|count| count.inserts).sum::<u64>() - 2 * all.deletes;
            assert_eq!(answer["documents_total"], live, "a replaced document is one");
        };
        check(&server.operator());
        // A stop loses nothing.
        server = server.stop().start();
        check(&server.operator());
    }
    // Written in the middle of the work, more than once: nothing is told twice.
    let client = server.operator().with_key(&keys[0].key);
    let mut go_on = |server: &Server| {
        for (partition, count) in work(&client, dimension, 1) {
            done.entry(partition).or_default().add(count);
        }
        assert_eq!(by_partition(&server.operator()), done);
        done.clone()
    };
    let mut certain = go_on(&server);
    for _ in 0..2 {
        // What was done before a writing begins is in it; one that is seen may have begun earlier, so two are awaited.
        let before = written(&server);
        while written(&server) == before {
            go_on(&server);
        }
    }
    // Killed at once: some of the last moments may be missing.
    server = server.kill().start();
    let after = by_partition(&server.operator());
    for (partition, count) in &after {
        let (least, most) = (certain.remove(partition).unwrap_or_default(), &done[partition]);
        assert!(least.is_within(count) && count.is_within(most), "{partition}: {count:?}");
    }
    assert!(certain.is_empty(), "{certain:?}");
    let answer = usage(&server.operator(), "");
    for name in ["by_collection", "by_day", "by_key"] {
        let all = answer["by_partition"]["partitions"].as_array().expect("partitions");
        assert_eq!(sum(rows(&answer, name)), sum(all), "{name}");
    }
    // And it goes on from there.
    let client = server.operator().with_key(&keys[1].key);
    let mut expected = after;
    for (partition, count) in work(&client, dimension, 1) {
        expected.entry(partition).or_default().add(count);
    }
    assert_eq!(by_partition(&server.operator()), expected);
}

// Texts that were embedded would not be billed, or some that were not.
#[test]
fn tokens_are_counted_where_texts_are_embedded() {
    let server = Server::start();
    let operator = server.operator();
    let tokens = |client: &Client| usage(client, "")["embedding_tokens_total"].as_u64().expect("tokens");
    insert(&operator, Some("acme"), "Sunday, sun");
    let of_one = tokens(&operator);
    assert!(of_one > 0);
    for _ in 0..3 {
        insert(&operator, Some("acme"), "Sunday, sun");
    }
    search(&operator, Some("globex"), "Sunday, sun", 1);
    assert_eq!(tokens(&operator), 5 * of_one);
    let dimension = dimension(&operator);
    let own = json!({"content": "Sunday, sun", "embedding": vector(dimension, 1), "partition": "acme"});
    operator.post("/v1/documents/embed", &own).expect(201);
    assert_eq!(tokens(&operator), 5 * of_one, "vectors of one's own take no tokens");
    // What is embedded a second time was worked for a second time, and is nobody's insert.
    collections::make(&operator, json!({"name": "notes"}));
    let id = collections::upload(&operator, "notes", "Sunday, sun", json!({}));
    let reprocess = collections::path("notes", &format!("/documents/{id}/reprocess"));
    operator.post_bytes(&reprocess, b"").expect(200);
    assert_eq!(tokens(&operator), 7 * of_one);
    let inserts = by_partition(&operator);
    operator.post("/v1/collections/notes/reembed", &json!({})).expect(202);
    let begun = Instant::now();
    while tokens(&operator) != 8 * of_one {
        assert!(begun.elapsed() < Duration::from_secs(30), "{} tokens", tokens(&operator));
        std::thread::yield_now();
    }
    assert_eq!(by_partition(&operator), inserts);
    assert_eq!(
        usage(&operator, "")["embedding_cost_usd_estimate"],
        0.0,
        "the server's own model costs nothing"
    );
}

// One end-client would read how much the others use, or what they are called.
#[test]
fn a_pinned_key_is_told_of_its_own_part() {
    let server = Server::start();
    let operator = server.operator();
    insert(&operator, Some("acme"), "a text of Acme");
    insert(&operator, Some("globex"), "a longer text of Globex");
    search(&operator, Some("globex"), "text", 3);
    let acme = mint(&operator, &json!({"partition": "acme"}));
    let own = operator.with_key(&acme.key);
    search(&own, None, "text", 3);
    let answer = usage(&own, "");
    assert_eq!((&answer["queries_total"], &answer["inserts_total"]), (&json!(1), &json!(1)), "{answer}");
    assert_eq!(answer["documents_total"], 1);
    assert!(!answer.to_string().contains("globex"), "{answer}");
    let keys = rows(&answer, "by_key");
    assert_eq!((keys.len(), &keys[0]["key_id"]), (1, &json!(acme.id)), "no other key: {answer}");
    assert_eq!(answer["by_partition"]["total"], 1);
    // One for a partition that isn't there is told of nothing, and one for another collection of nothing of this one.
    for pin in [json!({"partition": "nobody"}), json!({"collection": "other"})] {
        let answer = usage(&client_with(&operator, &pin), "");
        assert_eq!(answer["queries_total"], 0, "{answer}");
        assert_eq!(
            (&answer["documents_total"], &answer["bytes_in_total"]),
            (&json!(0), &json!(0)),
            "{answer}"
        );
        assert!(!answer.to_string().contains("acme") && !answer.to_string().contains("globex"), "{answer}");
    }
    // Who may not list partitions gets the totals without their ids.
    let reader = client_with(&operator, &json!({"scopes": ["usage:read"], "multi_tenant": true}));
    let answer = usage(&reader, "");
    assert_eq!((&answer["queries_total"], &answer["by_partition"]), (&json!(2), &Value::Null), "{answer}");
    assert!(!answer.to_string().contains("acme"), "{answer}");
    let without = client_with(&operator, &json!({"scopes": ["query:read", "partition:read"]}));
    without.get("/v1/usage").expect_error(403, "scope_missing");
    assert_eq!(operator.anonymous().get("/v1/usage").status, 401);
    let other = operator.post("/v1/admin/workspaces", &json!({"name": "other"})).expect(201);
    assert_eq!(usage(&operator.in_workspace("other"), "")["documents_total"], 0, "{other}");
}

// A bill made from the CSV would have its figures in the wrong columns, or some of its lines missing.
#[test]
fn the_same_figures_come_as_csv() {
    let server = Server::start();
    let operator = server.operator();
    let ids = ["acme", "comma, and \"quotes\"", "plain"];
    for (times, id) in ids.iter().enumerate() {
        for _ in 0..=times {
            insert(&operator, Some(id), "text");
        }
    }
    let csv = |query: &str| {
        let answer = operator.get(&format!("/v1/usage{query}")).expect(200);
        assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/csv")), "{answer}");
        answer.text()
    };
    let text = csv("?format=csv&by=partition");
    let lines: Vec<_> = text.split_terminator("\r\n").collect();
    assert!(lines[0].starts_with("collection,partition,queries,inserts,"), "{text}");
    assert!(lines[1].starts_with("default,acme,0,1,0,"), "{text}");
    assert!(lines[2].starts_with("default,\"comma, and \"\"quotes\"\"\",0,2,0,"), "{text}");
    assert!(lines[3].starts_with("default,plain,0,3,0,"), "{text}");
    assert_eq!(lines.len(), 4);
    let page = csv("?format=csv&by=partition&limit=1&offset=2");
    assert!(page.lines().nth(1).is_some_and(|line| line.starts_with("default,plain,")), "{page}");
    let days = csv("?format=csv&window_days=7");
    assert_eq!(days.lines().count(), 8, "{days}");
    assert!(days.lines().last().is_some_and(|line| line.contains(",6,")), "{days}");
    let accepted = operator.send("GET", "/v1/usage", &[("accept", "text/csv")], Vec::new()).expect(200);
    assert!(accepted.text().starts_with("date,queries,"), "{accepted}");
    for bad in ["?format=xml", "?by=tenant", "?window_days=0", "?window_days=401", "?limit=0", "?days=3"] {
        assert_eq!(operator.get(&format!("/v1/usage{bad}")).status, 400, "{bad}");
    }
}

// An erased end-client would still be found in the books, or the bill would lose what they used.
#[test]
fn an_erased_partition_leaves_totals_alone() {
    let server = Server::start();
    let operator = server.operator();
    for id in ["acme", "globex"] {
        insert(&operator, Some(id), "text");
        search(&operator, Some(id), "text", 1);
    }
    let server = server.stop().start();
    let operator = server.operator();
    operator.delete("/v1/partitions/acme").expect(200);
    let check = |client: &Client| {
        let answer = usage(client, "");
        assert_eq!(answer["queries_total"], 2, "{answer}");
        assert_eq!((&answer["inserts_total"], &answer["deletes_total"]), (&json!(2), &json!(1)), "{answer}");
        assert!(!answer.to_string().contains("acme"), "{answer}");
    };
    check(&operator);
    // Who comes by that name later begins anew.
    insert(&operator, Some("acme"), "text");
    assert_eq!(by_partition(&operator)["acme"], Count { inserts: 1, bytes_in: 4, ..Count::default() });
    operator.delete("/v1/partitions/acme").expect(200);
    let server = server.kill().start();
    let answer = usage(&server.operator(), "");
    assert!(!answer.to_string().contains("acme"), "{answer}");
}
