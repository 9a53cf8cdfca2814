//! Is a document gone once the time has come that its owner set?

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_tests::client::{Client, with_query};
use strongroom_tests::documents::{id_of, insert_path};
use strongroom_tests::server::Server;

/// So long a test waits for what is to come within a second or two.
const PATIENCE: Duration = Duration::from_secs(30);

fn put(client: &Client, text: &str, lifetime: &str) -> Value {
    let address = format!("{}{lifetime}", insert_path(Some("acme"), "note.txt"));
    client.post_bytes(&address, text.as_bytes()).expect(201).json()
}

fn listed(client: &Client) -> Vec<String> {
    let page = client.get("/v1/documents?partition=acme").expect(200).json();
    let documents = page["documents"].as_array().expect("documents");
    assert_eq!(page["total"], documents.len());
    documents.iter().map(|one| one["doc_id"].as_str().expect("an id").to_owned()).collect()
}

// What was to be kept for a while would be read afterwards, found, or brought back.
#[test]
fn an_expired_document_is_gone_on_every_path() {
    let server = Server::start();
    let client = server.operator();
    let kept = put(&client, "a whale that stays", "&ttl_seconds=86400");
    assert!(kept["expires_at"].is_string(), "{kept}");
    let brief = put(&client, "a whale that goes", "&ttl_seconds=1");
    let id = brief["doc_id"].as_str().expect("an id");
    let address = |rest: &str| format!("/v1/documents/{id}{rest}?partition=acme");
    let end = Instant::now() + PATIENCE;
    while client.get(&address("")).status != 404 {
        assert!(Instant::now() < end, "it is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    for rest in ["", "/text", "/download"] {
        client.get(&address(rest)).expect_error(404, "document_not_found");
    }
    client.delete(&address("")).expect_error(404, "document_not_found");
    client.post(&address("/restore"), &json!({})).expect_error(404, "document_not_found");
    let put_address = format!("{}&filename=a.txt&content_type=text%2Fplain", address(""));
    client.put_bytes(&put_address, b"again").expect_error(404, "document_not_found");
    assert_eq!(listed(&client), [kept["doc_id"].as_str().expect("an id")]);
    for mode in ["hybrid", "semantic", "keyword"] {
        let asked = [("q", "whale goes"), ("mode", mode), ("trace", "true"), ("partition", "acme")];
        let found = client.get(&with_query("/v1/search", &asked)).expect(200).json();
        assert_eq!(found["results"].as_array().map(Vec::len), Some(1), "{found}");
        assert_eq!(found["trace"]["candidates_in_scope"], 1);
    }
    let plan = server.stop();
    let server = plan.start();
    server.operator().get(&address("")).expect_error(404, "document_not_found");
}

// A lifetime would be taken for another one, or be lost with a restart or an update.
#[test]
fn a_time_of_expiry_is_kept_and_named_anew_by_an_update() {
    let server = Server::start();
    let client = server.operator();
    let made = put(&client, "a whale", "&expires_at=2090-01-31T12%3A00%3A00Z");
    assert_eq!(made["expires_at"].as_str().map(|at| &at[..19]), Some("2090-01-31T12:00:00"), "{made}");
    let id = made["doc_id"].as_str().expect("an id");
    let plan = server.stop();
    let server = plan.start();
    let client = server.operator();
    let address = format!("/v1/documents/{id}?partition=acme");
    assert_eq!(client.get(&address).expect(200).json()["expires_at"], made["expires_at"]);
    let update = format!("{address}&filename=a.txt&content_type=text%2Fplain");
    let answer = client.put_bytes(&update, b"a whale, changed").expect(200).json();
    assert!(answer.get("expires_at").is_none(), "an update that names no time keeps it for good: {answer}");
    let body =
        json!({"content": "a whale", "embedding": vec![0.5; 256], "ttl_seconds": 60, "partition": "acme"});
    let id = id_of(&client.post("/v1/documents/embed", &body).expect(201));
    let answer = client.get(&format!("/v1/documents/{id}?partition=acme")).expect(200).json();
    assert!(answer["expires_at"].is_string(), "{answer}");
    let body = json!({"documents": [{"content": "a whale", "expires_at": "2090-01-31T12:00:00Z"}], "partition": "acme"});
    let answer = client.post("/v1/documents/batch", &body).expect(201).json();
    assert_eq!(answer["results"][0]["expires_at"], made["expires_at"]);
}

// A lifetime that can't be meant would be stored, and the document be gone at once or never.
#[test]
fn a_lifetime_that_cannot_be_is_refused() {
    let server = Server::start();
    let client = server.operator();
    let most = format!("&ttl_seconds={}", u64::MAX);
    for (bad, code) in [
        ("&ttl_seconds=0", "invalid_parameter"),
        ("&ttl_seconds=-1", "invalid_parameter"),
        ("&ttl_seconds=1&expires_at=2090-01-01T00%3A00%3A00Z", "invalid_expiry"),
        ("&expires_at=2001-01-01T00%3A00%3A00Z", "invalid_expiry"),
        ("&expires_at=soon", "invalid_expiry"),
    ] {
        let address = format!("{}{bad}", insert_path(Some("acme"), "note.txt"));
        client.post_bytes(&address, b"a whale").expect_error(400, code);
    }
    assert!(
        put(&client, "a whale", &most)["expires_at"].as_str().is_some_and(|at| at.starts_with("9999-12-31"))
    );
}
