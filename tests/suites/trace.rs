//! Does a trace prove what it says: on every read path, when nothing is found, and to somebody who has no server?

use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use strongroom_tests::client::{Answer, Client, with_query};
use strongroom_tests::documents::{id_of, insert_path, path};
use strongroom_tests::keys::client_with;
use strongroom_tests::server::{Server, program};

/// The lines of the statement that an answer's header carries.
#[track_caller]
fn told(answer: &Answer) -> Vec<String> {
    let token = answer.header("strongroom-trace").unwrap_or_else(|| panic!("no trace: {answer}"));
    let (code, text) = verified(token, &[]);
    assert_eq!(code, Some(0), "{text}");
    text.lines().skip(1).map(str::to_owned).collect()
}

/// What `strongroom verify-trace` says of a file that holds this.
fn verified(trace: &str, options: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trace");
    std::fs::write(&file, trace).expect("a file");
    let output = Command::new(program()).arg("verify-trace").arg(&file).args(options).output().expect("runs");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[track_caller]
fn opened(answer: &Answer) -> Vec<String> {
    let lines = told(answer);
    let names = lines.iter().filter_map(|line| line.strip_prefix("partition "));
    let names: Vec<String> =
        names.map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert!(lines.contains(&format!("opened {}", names.len())), "{lines:?}");
    names
}

fn traced(client: &Client, method: &str, address: &str, body: Option<&Value>) -> Answer {
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let headers = [("strongroom-trace", "true"), ("content-type", "application/json")];
    client.send(method, address, &headers, body)
}

fn insert(client: &Client, partition: Option<&str>, text: &str) -> String {
    id_of(&client.post_bytes(&insert_path(partition, "note.txt"), text.as_bytes()).expect(201))
}

/// Lost otherwise: who wants to prove that a call kept to its tenant could do so for searches alone.
#[test]
fn every_read_path_tells_what_was_opened() {
    let server = Server::start();
    let operator = server.operator();
    let id = insert(&operator, Some("acme"), "whales of acme");
    let foreign = insert(&operator, Some("globex"), "whales of globex");
    insert(&operator, None, "whales of none");
    let by_id = |id: &str, rest: &str| path(&format!("/{id}{rest}"), Some("acme"));
    let reads = [
        path("", Some("acme")),
        by_id(&id, ""),
        by_id(&id, "/text"),
        by_id(&id, "/download"),
        by_id(&foreign, ""),
        by_id("no-such-id", "/text"),
        with_query("/v1/search", &[("q", "whales"), ("partition", "acme")]),
        with_query("/v1/threads/t", &[("partition", "acme")]),
    ];
    for address in &reads {
        assert_eq!(opened(&traced(&operator, "GET", address, None)), ["default =acme"], "{address}");
        assert_eq!(operator.get(address).header("strongroom-trace"), None, "{address}");
    }
    let bodies = [
        ("/v1/search/batch", json!({"queries": [{"q": "whales"}], "partition": "acme"})),
        ("/v1/query", json!({"aggregate": [{"op": "count"}], "partition": "acme"})),
    ];
    for (address, body) in &bodies {
        assert_eq!(opened(&traced(&operator, "POST", address, Some(body))), ["default =acme"], "{address}");
    }
    assert_eq!(opened(&traced(&operator, "GET", "/v1/documents", None)), ["default -"]);
    let nobody = with_query("/v1/search", &[("q", "whales"), ("partition", "nobody")]);
    assert!(opened(&traced(&operator, "GET", &nobody, None)).is_empty());
    // A pinned key that names another partition is refused, and nothing is opened for it.
    let pinned = client_with(&operator, &json!({"name": "p", "scopes": ["*"], "partition": "acme"}));
    let refused =
        traced(&pinned, "GET", &path("", Some("globex")), None).expect_error(403, "partition_forbidden");
    assert!(opened(&refused).is_empty());
    assert_eq!(opened(&traced(&pinned, "GET", "/v1/documents", None)), ["default =acme"]);
    // Batches may name several, and all are told.
    let both =
        json!({"queries": [{"q": "whales", "partition": "acme"}, {"q": "whales", "partition": "globex"}]});
    assert_eq!(
        opened(&traced(&operator, "POST", "/v1/search/batch", Some(&both))),
        ["default =acme", "default =globex"]
    );
    let headers = [("strongroom-trace", "perhaps")];
    operator.send("GET", "/v1/documents", &headers, Vec::new()).expect_error(400, "invalid_trace");
}

/// Lost otherwise: a statement could be shown with another question's answer.
#[test]
fn a_statement_speaks_of_one_request() {
    let server = Server::start();
    let operator = server.operator();
    insert(&operator, Some("acme"), "whales");
    let ask = |k: &str| {
        let address = with_query("/v1/search", &[("q", "whales"), ("k", k), ("partition", "acme")]);
        let answer = traced(&operator, "GET", &address, None);
        (answer.header("x-request-id").expect("an id").to_owned(), told(&answer))
    };
    let line = |lines: &[String], word: &str| {
        lines.iter().find(|line| line.starts_with(word)).expect("a line").clone()
    };
    let ((id, first), (other_id, second), (_, third)) = (ask("1"), ask("1"), ask("2"));
    assert_eq!(line(&first, "request "), format!("request {id}"));
    assert_ne!(id, other_id);
    assert_eq!(line(&first, "asked "), line(&second, "asked "));
    assert_ne!(line(&first, "asked "), line(&third, "asked "));
    // The digest is of the request's line and body, as anybody can work it out.
    let body = json!({"queries": [{"q": "whales"}], "partition": "acme"}).to_string();
    let answer = operator.send(
        "POST",
        "/v1/search/batch",
        &[("strongroom-trace", "1"), ("content-type", "application/json")],
        body.clone().into_bytes(),
    );
    let digest: [u8; 32] = Sha256::digest(format!("POST /v1/search/batch\n{body}")).into();
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(line(&told(&answer), "asked "), format!("asked {digest}"));
}

/// Lost otherwise: on nothing found, a check of isolation would pass without having checked anything.
#[test]
fn a_search_that_finds_nothing_proves_something() {
    let server = Server::start();
    let operator = server.operator();
    insert(&operator, Some("acme"), "whales of acme");
    let ask = |client: &Client, partition: &str, tags: &str| {
        let pairs = [("q", "zeppelins"), ("trace", "true"), ("tags", tags), ("partition", partition)];
        client.get(&with_query("/v1/search", &pairs)).expect(200)
    };
    let before = operator.get("/v1/partitions").expect(200).json();
    let answer = ask(&operator, "acme", "no-such-tag").json();
    assert_eq!(answer["results"], json!([]));
    let trace = &answer["trace"];
    assert_eq!(
        (&trace["canary"]["found_beside"], &trace["canary"]["found_here"]),
        (&json!(true), &json!(false))
    );
    let statement = trace["statement"].as_str().expect("a statement");
    let canary =
        format!("canary {} beside found here absent", trace["canary"]["id"].as_str().expect("an id"));
    assert!(statement.lines().any(|line| line == canary), "{statement}");
    // The canary is nobody's to see, and a key that may only read can have it looked for.
    assert_eq!(operator.get("/v1/partitions").expect(200).json(), before);
    let reader = client_with(&operator, &json!({"name": "r", "scopes": ["query:read"], "partition": "acme"}));
    assert_eq!(ask(&reader, "acme", "").json()["trace"]["canary"], trace["canary"]);
    assert_eq!(ask(&operator, "nobody", "").json()["trace"]["canary"], Value::Null);
    let id = trace["canary"]["id"].as_str().expect("an id");
    for partition in [Some("acme"), Some("cosine-256"), None] {
        operator.get(&path(&format!("/{id}"), partition)).expect_error(404, "document_not_found");
    }
    let word = with_query(
        "/v1/search",
        &[("q", &format!("canary{id}")), ("mode", "keyword"), ("partition", "acme")],
    );
    assert_eq!(operator.get(&word).expect(200).json()["results"], json!([]));
    // Both forms in which it comes hold for whoever has the file alone, and say the same of the server that signed.
    let key =
        statement.lines().last().and_then(|line| line.strip_prefix("signer ")).expect("a key").to_owned();
    let json = answer.to_string();
    let (code, said) = verified(&json, &["--public-key", &key]);
    assert!(code == Some(0) && said.starts_with("holds: ") && said.ends_with(statement), "{said}");
    assert_eq!(verified(&json, &["--public-key", &"0".repeat(64)]).0, Some(1));
    assert_eq!(verified(&json.replace("here absent", "here found"), &[]).0, Some(1));
    for unreadable in ["", "{}", "a.b.c", "@.@", r#"{"trace": {"statement": 1, "signature": "x"}}"#] {
        assert_eq!(verified(unreadable, &[]).0, Some(2), "{unreadable}");
    }
}
