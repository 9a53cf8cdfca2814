//! Does the API answer bad input with the right words, and go on serving?
//!
//! Each test names a sort of bad input. After each the server must still answer, and what was refused must have
//! left nothing behind.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client, raw, with_query};
use strongroom_tests::documents::{contents, download, get, insert, insert_path, list_all, path, search};
use strongroom_tests::routes::{dimension, vector};
use strongroom_tests::server::{OPERATOR_KEY, Server};

/// Insists on an error in the shape of Aether's routes, in every detail a client reads.
#[track_caller]
fn refused(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer}");
    let body = answer.json();
    let id = answer.header("x-request-id").unwrap_or_else(|| panic!("no x-request-id: {answer}"));
    assert_eq!(body["request_id"], id, "{answer}");
    for field in ["error", "code", "detail"] {
        assert!(body[field].as_str().is_some_and(|t| !t.is_empty()), "no {field}: {answer}");
    }
    assert!(answer.header("content-type").is_some_and(|t| t.starts_with("application/json")), "{answer}");
}

fn query_of_insert(pairs: &[(&str, &str)]) -> String {
    let mut all = vec![("filename", "note.txt"), ("content_type", "text/plain")];
    all.extend_from_slice(pairs);
    with_query("/v1/documents", &all)
}

// A client's slip would be taken for data, or end in a 500 that tells nobody anything.
#[test]
fn broken_and_hostile_json() {
    let server = Server::start();
    let client = server.operator();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "{",
        "}",
        "null",
        "[]",
        "\"text\"",
        "1",
        "true",
        "{\"documents\":",
        "{\"documents\": {}}",
        "{\"documents\": null}",
        "{\"documents\": [null]}",
        "{\"documents\": [[]]}",
        "{\"documents\": [{}]}",
        "{\"documents\": [{\"filename\": 1, \"content\": \"x\"}]}",
        "{\"documents\": [{\"filename\": \"x\", \"content\": {}}]}",
        "{\"documents\": [{\"filename\": \"x\", \"content\": \"x\", \"partition\": 7}]}",
        "{\"documents\": [{\"filename\": \"x\", \"content\": \"x\", \"tags\": 7}]}",
        "{\"documents\": [{\"filename\": \"x\", \"content\": \"x\"}]",
        "{\"documents\": [{\"filename\": \"x\", \"content\": \"\\ud800\"}]}",
        "{\"documents\": [{\"filename\": \"x\", \"content\": \"x\"}], \"documents\": []}",
        "{\"documents\": [{\"filename\": \"x\", \"content\": \"x\", \"__proto__\": {}}]}",
        "{\"q\": \"x\"}",
        deep.as_str(),
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([vec![0xff, 0xfe], vec![0; 100], b"{\"documents\": \"\xff\"}".to_vec()])
    .collect();
    for route in ["/v1/documents/batch", "/v1/documents/embed", "/v1/search/embed", "/v1/search/batch"] {
        for body in &bodies {
            let answer = client.send("POST", route, &[("content-type", "application/json")], body.clone());
            assert!(matches!(answer.status, 400 | 422), "{:.80} {answer}", String::from_utf8_lossy(body));
            refused(&answer, answer.status);
        }
    }
    assert!(list_all(&client, None).is_empty(), "something refused was written");
    let empty = client.post("/v1/documents/batch", &json!({"documents": []}));
    assert!(matches!(empty.status, 200 | 201 | 400), "{empty}");
}

// A vector that is none would poison every later search of its partition.
#[test]
fn vectors_that_are_none() {
    let server = Server::start();
    let client = server.operator();
    let dimension = dimension(&client);
    let filled = |number: &str| vec![number; dimension].join(",");
    for number in ["NaN", "Infinity", "-Infinity", "1e39", "-1e39", "1e400"] {
        for (route, body) in [
            ("/v1/search/embed", format!("{{\"embedding\": [{}]}}", filled(number))),
            (
                "/v1/documents/embed",
                format!("{{\"content\": \"x\", \"filename\": \"x\", \"embedding\": [{}]}}", filled(number)),
            ),
            (
                "/v1/documents/embed",
                format!(
                    "{{\"content\": \"x\", \"filename\": \"x\", \"passages\": [{{\"text\": \"x\", \"embedding\": [{}]}}]}}",
                    filled(number)
                ),
            ),
        ] {
            let answer = client.send("POST", route, &[], body.into_bytes());
            // A literal beyond all floats is no JSON number to some parsers: malformed is right as well.
            assert!(answer.status == 422 || (number == "1e400" && answer.status == 400), "{number} {answer}");
            refused(&answer, answer.status);
        }
    }
    for wrong in [0, 1, dimension - 1, dimension + 1, 100_000] {
        let search = client.post("/v1/search/embed", &json!({"embedding": vector(wrong, 0), "k": 3}));
        assert!(matches!(search.status, 400 | 422), "{wrong} {search}");
        let body = json!({"content": "x", "filename": "x", "embedding": vector(wrong, 0)});
        let insert = client.post("/v1/documents/embed", &body);
        assert!(matches!(insert.status, 400 | 422), "{wrong} {insert}");
    }
    for odd in [json!("text"), json!([["1"]]), json!({"0": 1}), json!([null]), json!(["1"]), json!([true])] {
        let answer = client.post("/v1/search/embed", &json!({"embedding": odd, "k": 3}));
        refused(&answer, 400);
    }
    let neither = client.post("/v1/documents/embed", &json!({"content": "x", "filename": "x"}));
    assert!(matches!(neither.status, 400 | 422), "{neither}");
    assert!(list_all(&client, None).is_empty(), "something refused was written");
    // The zero vector is a vector: it is kept and scores 0.
    let zero = json!({"content": "zero", "filename": "z", "content_type": "text/plain", "embedding": vec![0.0; dimension]});
    client.post("/v1/documents/embed", &zero).expect(201);
    let body = json!({"embedding": vector(dimension, 1), "k": 3});
    let hits = client.post("/v1/search/embed", &body).expect(200).json()["results"].clone();
    assert!(hits.as_array().expect("hits").iter().all(|h| h["score"] == 0), "{hits}");
}

// A typo in a parameter would silently search everything, or nothing.
#[test]
fn parameters_are_read_strictly() {
    let server = Server::start();
    let client = server.operator();
    insert(&client, None, "a note");
    for query in [
        "q=x&k=0",
        "q=x&k=1001",
        "q=x&k=-1",
        "q=x&k=abc",
        "q=x&k=1.5",
        "q=x&k=",
        "q=x&k=99999999999999999999",
        "q=x&k=1&k=2",
        "q=x&q=y",
        "q=x&%71=y",
        "k=3",
        "q=",
        "q=x&kk=3",
        "q=x&partion=acme",
        "q=x&trace=maybe",
        "q=x&include_content=2",
        "q=%ff",
        "q=%",
        "q=%4",
        "q=%zz",
        "q=x&since=yesterday",
        "q=x&until=2026-13-01T00:00:00Z",
        "q=x&since=2026-01-01T00:00:00Z&last_n_days=3",
        "q=x&last_n_days=-1",
        "q=x&last_n_days=abc",
        "q=x&max_distance=abc",
        "q=x&max_distance=NaN",
        "q=x&mode=lexical",
        "q=x&mode=",
        "q=x&fusion=max",
        "q=x&exact=perhaps",
        "q=x&mode=keyword&fusion=ranks",
        "q=x&mode=keyword&max_distance=0.5",
        "q=x&tags=a,,b",
        "q=x&any_tags=,",
    ] {
        refused(&client.get(&format!("/v1/search?{query}")), 400);
    }
    for query in
        ["limit=0", "limit=1001", "limit=-1", "limit=x", "offset=-1", "offset=x", "limit=1&limit=2", "x=1"]
    {
        refused(&client.get(&format!("/v1/documents?{query}")), 400);
    }
    for query in
        ["q=a+note", "q=a%20note&k=1", "q=note&k=1000", "q=%00", "q=note&include_content=true&trace=false"]
    {
        client.get(&format!("/v1/search?{query}")).expect(200);
    }
    for later in ["filter=%7B%7D", "recency_weight=0.5", "acting_principal=user%3Aa", "thread_id=t"] {
        let answer = client.get(&format!("/v1/search?q=x&{later}"));
        assert!(matches!(answer.status, 200 | 400 | 501), "{answer}");
        assert!(answer.status != 200 || answer.json()["results"].is_array(), "{answer}");
    }
    let long = "x".repeat(20_000);
    let answer = client.get(&with_query("/v1/search", &[("q", &long)]));
    assert!(matches!(answer.status, 200 | 400 | 413 | 414 | 431), "{}", answer.status);
}

// Text that a user wrote would come back changed, or not at all.
#[test]
fn odd_texts_come_back_as_they_were() {
    let server = Server::start();
    let client = server.operator();
    let long = "word ".repeat(40_000);
    for text in [
        "\0",
        "a\0b",
        "\u{feff}bom",
        "line\r\nline\n",
        "\u{202e}rtl",
        "\u{1f469}\u{200d}\u{1f4bb}",
        "<script>",
        "  ",
        "e\u{301}",
        "\u{fffd}",
        "{\"json\": true}",
        long.as_str(),
    ] {
        let answer = client.post_bytes(&insert_path(Some("odd"), "note.txt"), text.as_bytes());
        assert!(matches!(answer.status, 201 | 422), "{answer}");
        if answer.status == 201 {
            let id = answer.json()["doc_id"].as_str().expect("an id").to_owned();
            assert_eq!(download(&client, Some("odd"), &id).expect(200).body, text.as_bytes());
        }
    }
    let bytes = [0xff, 0xfe, 0x00, 0xd8];
    let answer = client.post_bytes(&insert_path(Some("odd"), "note.txt"), &bytes);
    assert!(matches!(answer.status, 415 | 422), "text/plain that is no UTF-8: {answer}");
    let empty = client.post_bytes(&insert_path(Some("odd"), "note.txt"), b"");
    assert!(matches!(empty.status, 400 | 422), "{empty}");
    for name in
        ["../../etc/passwd", "a\"b\r\nX-Injected: 1", "\u{1f600}.txt", "a/b\\c", "x".repeat(255).as_str()]
    {
        let answer = client.post_bytes(&insert_path(None, name), b"a text");
        if answer.status == 201 {
            let id = answer.json()["doc_id"].as_str().expect("an id").to_owned();
            let there = download(&client, None, &id).expect(200);
            assert_eq!(there.header("x-injected"), None, "{name:?}");
            assert_eq!(there.text(), "a text");
        } else {
            assert!(matches!(answer.status, 400 | 422), "{answer}");
        }
    }
    let unknown =
        with_query("/v1/documents", &[("filename", "x.bin"), ("content_type", "application/x-unknown")]);
    let answer = client.post_bytes(&unknown, &[0, 159, 146, 150, 1, 2, 3]);
    assert!(matches!(answer.status, 415 | 422), "a type that nothing can read: {answer}");
}

// One end-client would fill the index with labels, or a label with a comma would match two.
#[test]
fn tags_and_metadata_have_limits() {
    let server = Server::start();
    let client = server.operator();
    let many: Vec<String> = (0..65).map(|n| format!("t{n}")).collect();
    let item = |tags: Value, metadata: Value| json!({"documents": [{"filename": "x.txt", "content": "x", "tags": tags, "metadata": metadata}]});
    for (tags, metadata) in [
        (json!(many), json!({})),
        (json!(["x".repeat(257)]), json!({})),
        (json!(["a,b"]), json!({})),
        (json!([""]), json!({})),
        (json!([7]), json!({})),
        (json!([]), json!({"big": "x".repeat(65_536)})),
        (json!([]), json!([1])),
        (json!([]), json!("text")),
    ] {
        let answer = client.post("/v1/documents/batch", &item(tags, metadata));
        assert!(matches!(answer.status, 400 | 413 | 422), "{answer}");
        refused(&answer, answer.status);
    }
    for metadata in ["{", "[]", "7", "{\"a\": NaN}", "x"] {
        let answer = client.post_bytes(&query_of_insert(&[("metadata", metadata)]), b"x");
        assert!(matches!(answer.status, 400 | 422), "{answer}");
    }
    assert!(list_all(&client, None).is_empty(), "something refused was written");
    let fits = item(
        json!(many[..64]),
        json!({"deep": {"er": [1, null]}, "n": 1.5, "b": true, "s": "x".repeat(60_000)}),
    );
    let answer = client.post("/v1/documents/batch", &fits);
    // Nested metadata may be refused, but then as such.
    assert!(matches!(answer.status, 201 | 400 | 422), "{answer}");
}

// A double delete would look like success, and whoever undoes it would undo something else.
#[test]
fn conflicts_are_told() {
    let server = Server::start();
    let client = server.operator();
    let id = insert(&client, Some("acme"), "first");
    let at = |rest: &str| path(&format!("/{id}{rest}"), Some("acme"));
    refused(&client.post_bytes(&at("/restore"), b""), 409);
    client.delete(&at("")).expect(200);
    refused(&client.delete(&at("")), 409);
    refused(&client.get(&at("")), 404);
    refused(&client.get(&at("/download")), 404);
    refused(&client.put_bytes(&(at("") + "&filename=x.txt&content_type=text%2Fplain"), b"second"), 404);
    assert!(search(&client, Some("acme"), "first", 10).is_empty());
    client.post_bytes(&at("/restore"), b"").expect(200);
    assert_eq!(contents(&search(&client, Some("acme"), "first", 10)), ["first"]);
    let updated = client
        .put_bytes(&(at("") + "&filename=x.txt&content_type=text%2Fplain"), b"second")
        .expect(200)
        .json();
    assert_eq!((&updated["doc_id"], &updated["version"]), (&json!(id), &json!(2)));
    assert_eq!(download(&client, Some("acme"), &id).expect(200).text(), "second");
    assert_eq!(contents(&search(&client, Some("acme"), "first", 10)), ["second"]);
    for missing in ["0", "..", "%2e%2e", "a/b", "\0", "x".repeat(5000).as_str()] {
        let answer = get(&client, Some("acme"), missing);
        assert!(matches!(answer.status, 400 | 404 | 414), "{answer}");
    }
}

// A client would wait for ever, or the server run out of memory, on a body that is too large.
#[test]
fn bodies_over_the_limit_are_refused() {
    let server = Server::start();
    let address = server.address();
    let head = |more: &str| {
        format!(
            "POST /v1/documents/batch HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR_KEY}\r\n{more}\r\n"
        )
    };
    let silence = Duration::from_secs(5);
    let declared = raw(address, head("content-length: 68719476736\r\n").as_bytes(), silence);
    assert!(declared.starts_with("HTTP/1.1 413"), "{declared:.300}");
    assert!(declared.to_lowercase().contains("x-request-id:"), "{declared:.300}");
    let mut chunked = head("transfer-encoding: chunked\r\n").into_bytes();
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 0x10_0000], b"\r\n"].concat();
    for _ in 0..66 {
        chunked.extend_from_slice(&chunk);
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = raw(address, &chunked, silence);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer:.300}");
    server.operator().get("/v1/partitions").expect(200);
}

// Any byte on the port would take the server down, or be answered with something no client can read.
#[test]
fn bytes_that_are_no_request() {
    let server = Server::start();
    let address = server.address();
    let silence = Duration::from_millis(700);
    let long_header = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    let many_headers = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(5000));
    for bytes in [
        b"\0\0\0\0\r\n\r\n".as_slice(),
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /v1/documents HTTP/1.1\r\nhost: x\r\ncontent-length: abc\r\n\r\n",
        b"POST /v1/documents HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST /v1/documents HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        long_header.as_bytes(),
        many_headers.as_bytes(),
    ] {
        let answer = raw(address, bytes, silence);
        let shown: String = String::from_utf8_lossy(bytes).chars().take(60).collect();
        let fine = answer.is_empty()
            || answer.starts_with("closed")
            || answer.starts_with("HTTP/1.1 4")
            || answer.starts_with("HTTP/1.0 4");
        assert!(fine, "{shown:?}: {answer:.300}");
        if answer.starts_with("HTTP") {
            assert!(answer.to_lowercase().contains("x-request-id:"), "{shown:?}: {answer:.300}");
        }
        assert_eq!(server.operator().get("/healthz").status, 200);
    }
}

// A few idle sockets would keep everyone else out.
#[test]
fn slow_headers_are_cut() {
    let server = Server::start();
    let begun = Instant::now();
    let answer =
        raw(server.address(), b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ", Duration::from_secs(60));
    assert!(begun.elapsed() < Duration::from_secs(55), "an unfinished header was waited for");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer:.300}");
    server.operator().get("/healthz").expect(200);
}

// The published client of one family can't read another family's errors.
#[test]
fn each_family_gets_its_error_shape() {
    let server = Server::start();
    let client = server.operator().anonymous();
    for path in ["/v1/documents", "/v1/search?q=x", "/v1/partitions", "/v1/documents/x", "/v1/audit/access"] {
        let answer = client.get(path);
        refused(&answer, 401);
        assert!(answer.header("www-authenticate").is_some(), "{answer}");
    }
    refused(&client.get("/nowhere"), 404);
    refused(&client.delete("/v1/search"), 405);
    for path in ["/v1/admin/api-keys", "/v1/admin/workspaces"] {
        let answer = client.get(path).expect(401);
        let body = answer.json();
        assert!(body["detail"].is_string() && body["error"]["code"].is_string(), "{answer}");
        assert!(body["error"]["message"].is_string(), "{answer}");
        assert_eq!(body["request_id"], answer.header("x-request-id").unwrap_or_default());
    }
    let hyperspark = client.get("/api/v1/usage");
    let body = hyperspark.json();
    assert_eq!(body["success"], false, "{hyperspark}");
    assert!(body["error"].is_string() && body["code"].is_string(), "{hyperspark}");
    let named = server.operator().get("/v1/archive/price");
    assert_eq!((named.status, named.code().is_empty()), (501, false), "{named}");
}

// Support could not find a user's failed call in the log.
#[test]
fn every_answer_has_an_id_of_its_own() {
    let server = Server::start();
    let client = server.operator();
    let mut seen = std::collections::HashSet::new();
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/status",
        "/openapi.json",
        "/v1/partitions",
        "/nowhere",
        "/v1/search?q=x",
    ] {
        for client in [&client, &client.anonymous()] {
            let answer = client.send("GET", path, &[("x-request-id", "forged")], Vec::new());
            let id = answer
                .header("x-request-id")
                .unwrap_or_else(|| panic!("no x-request-id: {answer}"))
                .to_owned();
            assert!(id != "forged" && seen.insert(id), "{answer}");
        }
    }
    probes(&client);
}

fn probes(client: &Client) {
    let anyone = client.anonymous();
    anyone.get("/healthz").expect(200);
    anyone.get("/readyz").expect(200);
    assert!(anyone.get("/metrics").expect(200).text().contains("# TYPE"), "Prometheus' text format");
    let document = anyone.get("/openapi.json").expect(200).json();
    assert!(document["paths"]["/v1/search"]["get"].is_object(), "{}", document["paths"]);
    let status = anyone.get("/status").expect(200).json();
    assert!(status["version"].is_string(), "{status}");
}
