//! Is a document that names its readers read by these, and by nobody else, on every path?
//!
//! Whole servers, spoken to over HTTP as the published client speaks: `acl_readers` on writes, `acting_principal` and
//! `acting_groups` on every request.

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client, encoded, with_query};
use strongroom_tests::collections::{BOUNDARY, form};
use strongroom_tests::documents::{id_of, insert_path, path};
use strongroom_tests::keys::client_with;
use strongroom_tests::server::Server;

/// A request's parameters that say on whose behalf it is made.
type Acting<'a> = &'a [(&'static str, &'a str)];

const NOBODY: Acting<'_> = &[];
const ADA: Acting<'_> = &[("acting_principal", "user:ada")];
const BOB: Acting<'_> = &[("acting_principal", "user:bob")];
const BOB_AT_SEA: Acting<'_> = &[("acting_principal", "user:bob"), ("acting_groups", "group:land,group:sea")];

/// An address with more parameters.
fn on_behalf(address: &str, acting: Acting<'_>) -> String {
    let pairs: Vec<String> =
        acting.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    match (pairs.is_empty(), address.contains('?')) {
        (true, _) => address.to_owned(),
        (false, true) => format!("{address}&{}", pairs.join("&")),
        (false, false) => format!("{address}?{}", pairs.join("&")),
    }
}

/// Inserts a text, for all or for these labels, and answers its id.
fn put(client: &Client, text: &str, readers: Option<&str>) -> String {
    let readers = readers.map(|readers| format!("&acl_readers={}", encoded(readers))).unwrap_or_default();
    let address = format!("{}{readers}", insert_path(Some("acme"), "note.txt"));
    id_of(&client.post_bytes(&address, text.as_bytes()).expect(201))
}

fn ids(answer: &Answer, list: &str) -> Vec<String> {
    let all = answer.json()[list].as_array().cloned().unwrap_or_else(|| panic!("{answer}"));
    let mut ids: Vec<String> =
        all.iter().map(|one| one["doc_id"].as_str().unwrap_or_else(|| panic!("{one}")).to_owned()).collect();
    ids.sort();
    ids
}

/// Every document that a caller can read, which must be the same whichever way it reads.
#[track_caller]
fn read(client: &Client, acting: Acting<'_>, all: &[&String]) -> Vec<String> {
    let get = |address: String| client.get(&on_behalf(&address, acting));
    let listed = get(path("", Some("acme"))).expect(200);
    let readable = ids(&listed, "documents");
    assert_eq!(listed.json()["total"], readable.len(), "{listed}");
    for mode in ["hybrid", "semantic", "keyword"] {
        let asked = [("q", "whale"), ("k", "100"), ("mode", mode), ("trace", "true"), ("partition", "acme")];
        let found = get(with_query("/v1/search", &asked)).expect(200);
        assert_eq!(ids(&found, "results"), readable, "{mode}");
        assert_eq!(found.json()["trace"]["candidates_in_scope"], readable.len(), "{mode}");
    }
    let vector: Vec<f32> = (0..256).map(|n| if n == 0 { 1.0 } else { 0.0 }).collect();
    let body = json!({"embedding": vector, "k": 100, "partition": "acme"});
    let found = client.post(&on_behalf("/v1/search/embed", acting), &body).expect(200);
    assert_eq!(ids(&found, "results"), readable);
    let body = json!({"queries": [{"q": "whale", "k": 100}], "partition": "acme"});
    let found = client.post(&on_behalf("/v1/search/batch", acting), &body).expect(200).json();
    assert_eq!(found["results"][0]["results"].as_array().map(Vec::len), Some(readable.len()));
    for id in all {
        for rest in ["", "/download", "/text", "?", "/text?outline=true"] {
            let address = format!("/v1/documents/{id}{rest}");
            let separator = if address.contains('?') { '&' } else { '?' };
            let answer = get(format!("{address}{separator}partition=acme"));
            assert_eq!(answer.status, if readable.contains(id) { 200 } else { 404 }, "{answer}");
        }
    }
    readable
}

struct Scene {
    server: Server,
    /// Of the documents for all, for Ada, for a group and Bob, and for administrators.
    ids: [String; 4],
}

impl Scene {
    fn new() -> Scene {
        let server = Server::start();
        let client = server.operator();
        let ids = [
            put(&client, "a whale for all", None),
            put(&client, "a whale for Ada", Some("user:ada")),
            put(&client, "a whale at sea", Some(" group:sea , user:carol,group:sea")),
            put(&client, "a whale for nobody", Some("")),
        ];
        Scene { server, ids }
    }

    /// The ids at these places, sorted.
    fn of(&self, places: &[usize]) -> Vec<String> {
        let mut ids: Vec<String> = places.iter().map(|place| self.ids[*place].clone()).collect();
        ids.sort();
        ids
    }

    #[track_caller]
    fn check(&self) {
        let operator = self.server.operator();
        let plain =
            client_with(&operator, &json!({"scopes": ["document:read", "query:read", "vector:write"]}));
        let all: Vec<&String> = self.ids.iter().collect();
        assert_eq!(read(&operator, NOBODY, &all), self.of(&[0, 1, 2, 3]), "an administrator reads all");
        assert_eq!(read(&plain, NOBODY, &all), self.of(&[0]), "a key that names nobody");
        for client in [&operator, &plain] {
            assert_eq!(read(client, ADA, &all), self.of(&[0, 1]));
            assert_eq!(read(client, BOB, &all), self.of(&[0]));
            assert_eq!(read(client, BOB_AT_SEA, &all), self.of(&[0, 2]));
        }
    }
}

// A document would be shown to people whom it doesn't name, on one path or another, or after a restart.
#[test]
fn only_those_named_read_a_document() {
    let mut scene = Scene::new();
    scene.check();
    scene.server = scene.server.stop().start();
    scene.check();
}

// Whoever may not read a document would learn from an answer that it is there, or change it.
#[test]
fn what_may_not_be_read_is_as_if_it_were_not_there() {
    let scene = Scene::new();
    let client = scene.server.operator();
    let [_, hidden, ..] = &scene.ids;
    let missing = "doc_00000000000000000000000000";
    let calls: [(&str, &str); 7] = [
        ("GET", ""),
        ("GET", "/text"),
        ("GET", "/download"),
        ("DELETE", ""),
        ("DELETE", "?hard=true"),
        ("POST", "/restore"),
        ("PUT", "?filename=a.txt&content_type=text%2Fplain"),
    ];
    for (method, rest) in calls {
        let answer = |id: &str| {
            let separator = if rest.contains('?') { '&' } else { '?' };
            let address = format!("/v1/documents/{id}{rest}{separator}partition=acme");
            let body = if method == "PUT" { b"taken over".to_vec() } else { Vec::new() };
            let answer = client.send(method, &on_behalf(&address, BOB), &[], body);
            let mut told = answer.json();
            told["request_id"] = Value::Null;
            (answer.status, told)
        };
        let (foreign, none) = (answer(hidden), answer(missing));
        assert_eq!(foreign.0, 404, "{method} {rest}: {}", foreign.1);
        assert_eq!(foreign, none, "{method} {rest}");
    }
    let kept = client.get(&format!("/v1/documents/{hidden}/download?partition=acme")).expect(200);
    assert_eq!(kept.text(), "a whale for Ada");
}

// Who is taken off a list would read on, or a document that is shared would stay hidden.
#[test]
fn an_update_names_the_readers_anew() {
    let scene = Scene::new();
    let client = scene.server.operator();
    let own = &scene.ids[1];
    let update = |readers: Option<&str>| {
        let readers = readers.map(|readers| format!("&acl_readers={}", encoded(readers))).unwrap_or_default();
        let address =
            format!("/v1/documents/{own}?filename=a.txt&content_type=text%2Fplain&partition=acme{readers}");
        client.put_bytes(&address, b"a whale, changed").expect(200).json()
    };
    let status =
        |acting| client.get(&on_behalf(&format!("/v1/documents/{own}?partition=acme"), acting)).status;
    assert_eq!(update(Some("user:bob"))["acl_readers"], json!(["user:bob"]));
    assert_eq!((status(ADA), status(BOB), status(NOBODY)), (404, 200, 200));
    assert_eq!(update(Some(""))["acl_readers"], json!([]));
    assert_eq!((status(ADA), status(BOB), status(NOBODY)), (404, 404, 200));
    assert!(update(None).get("acl_readers").is_none());
    assert_eq!((status(ADA), status(BOB)), (200, 200));
}

// Documents that come in a batch, with vectors or in the background would be open to all.
#[test]
fn every_way_in_takes_readers() {
    let server = Server::start();
    let client = server.operator();
    let body = json!({"partition": "acme", "documents": [
        {"content": "whale one", "acl_readers": "user:ada"},
        {"content": "whale two", "acl_readers": ["user:bob"]},
        {"content": "whale three", "acl_readers": ""},
        {"content": "whale four"},
    ]});
    let mut all = ids(&client.post("/v1/documents/batch", &body).expect(201), "results");
    let vector: Vec<f32> = (0..256).map(|n| if n == 0 { 1.0 } else { 0.0 }).collect();
    let body = json!({"content": "whale five", "embedding": vector, "acl_readers": ["user:ada"], "partition": "acme"});
    all.push(id_of(&client.post("/v1/documents/embed", &body).expect(201)));
    let seen = |acting| read(&client, acting, &all.iter().collect::<Vec<_>>()).len();
    assert_eq!((seen(NOBODY), seen(ADA), seen(BOB)), (5, 3, 2));
    for bad in ["%2C", "a%2C%2Cb"] {
        let address = format!("{}&acl_readers={bad}", insert_path(Some("acme"), "a.txt"));
        client.post_bytes(&address, b"x").expect_error(400, "invalid_list");
    }
    for bad in ["acting_principal=", "acting_principal=a%2Cb", "acting_groups=g"] {
        client.get(&format!("/v1/documents?partition=acme&{bad}")).expect_error(400, "invalid_principal");
    }
}

// A reader would learn from another reader's answers, byte for byte, that there is more than they may read.
#[test]
fn answers_are_the_same_whatever_is_hidden() {
    let told = |hidden: bool| {
        let server = Server::start();
        let client = server.operator();
        for number in 0..12 {
            put(&client, &format!("a whale of number {number}"), None);
            if hidden {
                put(
                    &client,
                    "whale whale whale number, and many more words than others have",
                    Some("user:ada"),
                );
            }
        }
        let asked = [("q", "whale number 7"), ("k", "20"), ("trace", "true"), ("partition", "acme")];
        let answer = client.get(&on_behalf(&with_query("/v1/search", &asked), BOB)).expect(200).json();
        let list = |name: &str| -> Vec<Value> {
            answer["results"].as_array().expect("results").iter().map(|hit| hit[name].clone()).collect()
        };
        let mut trace = answer["trace"].clone();
        for of_this_request in ["canary", "statement", "signature"] {
            trace.as_object_mut().expect("a trace").remove(of_this_request);
        }
        (list("score"), list("passage"), trace)
    };
    assert_eq!(told(false), told(true));
}

// A file that bigRAG's client uploads for somebody would be read by everybody, or stay when its time is over.
#[test]
fn an_uploaded_file_has_its_readers_and_its_time() {
    let server = Server::start();
    let client = server.operator();
    let send = |fields: &[(&str, &str)], key: &str| {
        let mut body = String::new();
        for (name, value) in fields {
            body += &format!(
                "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        }
        let file = String::from_utf8(form(&[("file", "n.txt", "whales sing")], None)).expect("text");
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let headers = [("content-type", kind.as_str()), ("idempotency-key", key)];
        let path = "/v1/collections/default/documents?partition=acme";
        client.send("POST", path, &headers, (body + &file).into_bytes())
    };
    let ada =
        send(&[("acl_readers", "user:ada, group:sea"), ("ttl_seconds", "3600")], "ada").expect(201).json();
    assert_eq!(ada["acl_readers"], json!(["user:ada", "group:sea"]));
    assert!(
        ada["expires_at"].as_str().is_some_and(|at| at > ada["created_at"].as_str().unwrap_or("9")),
        "{ada}"
    );
    let nobody =
        send(&[("acl_readers", ""), ("expires_at", "2999-01-01T00:00:00Z")], "nobody").expect(201).json();
    assert_eq!(
        (&nobody["acl_readers"], &nobody["expires_at"]),
        (&json!([]), &json!("2999-01-01T00:00:00.000Z"))
    );
    let all = send(&[], "all").expect(201).json();
    assert!(all.get("acl_readers").is_none() && all.get("expires_at").is_none(), "{all}");
    let seen = |who: &str| {
        let pairs = [("partition", "acme"), ("acting_principal", who)];
        let listed = client.get(&with_query("/v1/collections/default/documents", &pairs)).expect(200).json();
        let query = with_query("/v1/collections/default/query", &pairs);
        let found = client.post(&query, &json!({"query": "whales"})).expect(200).json();
        let total = listed["total"].as_u64().expect("a total");
        assert_eq!(found["total"], total);
        total
    };
    assert_eq!((seen("user:ada"), seen("user:eve")), (2, 1));
    // What they are for is part of the request.
    send(&[("acl_readers", "user:ada, group:sea"), ("ttl_seconds", "3600")], "ada").expect(201);
    send(&[("acl_readers", "user:eve"), ("ttl_seconds", "3600")], "ada")
        .expect_error(409, "idempotency_conflict");
    send(&[], "ada").expect_error(409, "idempotency_conflict");
    for bad in [
        &[("ttl_seconds", "0")][..],
        &[("ttl_seconds", "soon")],
        &[("expires_at", "yesterday")],
        &[("expires_at", "2001-01-01T00:00:00Z")],
        &[("ttl_seconds", "9"), ("expires_at", "2999-01-01T00:00:00Z")],
        &[("acl_readers", "a,,b")],
        &[("acl_readers", "a"), ("acl_readers", "b")],
        &[("readers", "a")],
    ] {
        assert_eq!(send(bad, "bad").status, 400, "{bad:?}");
    }
}
