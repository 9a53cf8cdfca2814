//! Do collections get their vectors from the service that they name, and lose nothing when it fails?
//!
//! The service is a small server of the test's own, in the form of OpenAI's. A text that speaks of cats points one way, any other
//! text the other way.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client};
use strongroom_tests::server::{Plan, Server};
use strongroom_tests::service::{Behaviour, Service, last, said};

const KEY: &str = "sk-of-the-collection-0123456789";
const PATIENCE: Duration = Duration::from_secs(30);

/// A vector of four numbers for each text, the last text first.
fn vectors(body: &Value) -> String {
    let texts = body["input"].as_array().expect("texts");
    let vector = |text: &Value| {
        let is_of_cats = text.as_str().is_some_and(|text| text.contains("cat"));
        if is_of_cats { [1.0, 0.25, 0.0, 0.0] } else { [0.0, 0.25, 1.0, 0.0] }
    };
    let data =
        texts.iter().enumerate().rev().map(|(at, text)| json!({"index": at, "embedding": vector(text)}));
    let data: Vec<Value> = data.collect();
    said("200 OK", &json!({"object": "list", "data": data, "model": body["model"]}).to_string())
}

fn made(client: &Client, service: &Service, fields: Value) -> Value {
    let mut body = json!({"name": "remote", "embedding_model": "e5-tiny", "dimension": 4, "default_search_mode": "semantic",
        "embedding_base_url": format!("http://{}/v1", service.address), "embedding_api_key": KEY});
    for (name, value) in fields.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    client.post("/v1/collections", &body).expect(201).json()
}

fn upload(client: &Client, name: &str, text: &str) -> Answer {
    let body = format!(
        "--zq\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\ncontent-type: text/plain\r\n\r\n{text}\r\n--zq--\r\n"
    );
    let headers = [("content-type", "multipart/form-data; boundary=zq")];
    client.send("POST", "/v1/collections/remote/documents", &headers, body.into_bytes())
}

fn query(client: &Client, text: &str) -> Answer {
    client.post("/v1/collections/remote/query", &json!({"query": text, "top_k": 1}))
}

fn best(client: &Client, text: &str) -> String {
    let answer = query(client, text).expect(200).json();
    answer["results"][0]["text"].as_str().unwrap_or_else(|| panic!("no hit in {answer}")).to_owned()
}

fn count(client: &Client) -> u64 {
    client.get("/v1/collections/remote/stats").expect(200).json()["document_count"]
        .as_u64()
        .expect("a number")
}

// A product that pays for a better model would be searched by another, or send its key to the wrong place.
#[test]
fn texts_and_queries_go_to_the_service_that_the_collection_names() {
    let service = Service::start(vectors);
    // The operator's key is for the operator's service, not for this one.
    let server = Plan::default().set("STRONGROOM_EMBEDDING_KEY", "sk-of-the-operator").start();
    let client = server.operator();
    made(&client, &service, json!({"chunk_size": 16, "chunk_overlap": 0}));
    let text = "The cat sleeps on the warm stove all day long. ".repeat(20)
        + "Bonds fell in May as the bank raised its rates.";
    upload(&client, "both.txt", &text).expect(201);
    let seen = service.take_seen();
    assert!(!seen.is_empty());
    for (head, body) in &seen {
        assert!(head.starts_with("POST /v1/embeddings HTTP/1.1"), "{head}");
        assert!(
            head.contains(&format!("authorization: Bearer {KEY}")) && !head.contains("operator"),
            "{head}"
        );
        assert_eq!((&body["model"], &body["encoding_format"]), (&json!("e5-tiny"), &json!("float")));
    }
    let texts: usize = seen.iter().map(|(_, body)| body["input"].as_array().map_or(0, Vec::len)).sum();
    assert!(texts > 10, "{texts} passages");
    assert!(best(&client, "a cat, perhaps").contains("stove"));
    assert!(best(&client, "interest").contains("Bonds"));
    assert_eq!(service.take_seen().len(), 2, "one call for each query");
}

// Documents would be lost, or stored without vectors, whenever the provider has a bad day; or nobody would know what to do.
#[test]
fn a_service_that_fails_is_told_of_and_nothing_is_stored() {
    let service = Service::start(vectors);
    let server = Plan::default().set("STRONGROOM_EMBEDDING_TIMEOUT", "1s").start();
    let client = server.operator();
    made(&client, &service, json!({}));
    let wrong = json!({"data": [{"index": 0, "embedding": [1.0, 2.0]}]}).to_string();
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1_u64 << 40);
    for (behaviour, status, code) in [
        (Behaviour::Say(last("500 Internal Server Error", "", "broken")), 503, "embedder_unavailable"),
        (
            Behaviour::Say(last("429 Too Many Requests", "retry-after: 60\r\n", "")),
            503,
            "embedder_unavailable",
        ),
        (Behaviour::Say(last("401 Unauthorized", "", "{\"error\": \"sk-of\"}")), 422, "embedding_refused"),
        (
            Behaviour::Say(last("302 Found", "location: http://127.0.0.1:1/\r\n", "")),
            422,
            "embedding_refused",
        ),
        (Behaviour::Say(said("200 OK", "not json")), 503, "embedder_unavailable"),
        (Behaviour::Say(said("200 OK", "{\"data\": []}")), 503, "embedder_unavailable"),
        (Behaviour::Say(said("200 OK", &wrong)), 422, "wrong_dimension"),
        (Behaviour::Say(huge), 503, "embedder_unavailable"),
        (Behaviour::KeepSilent, 503, "embedder_unavailable"),
    ] {
        service.behave(behaviour);
        for answer in [upload(&client, "a.txt", "A cat."), query(&client, "cats")] {
            assert_eq!(
                (answer.status, &answer.json()["error"]["code"]),
                (status, &json!(code)),
                "{}",
                answer.request
            );
            assert_eq!(answer.headers.iter().any(|(name, _)| name == "retry-after"), status == 503, "{code}");
        }
        assert_eq!(count(&client), 0, "{code}");
    }
    service.behave(Behaviour::Answer);
    upload(&client, "a.txt", "A cat.").expect(201);
    assert_eq!((count(&client), best(&client, "cats").as_str()), (1, "A cat."));
    assert!(!server.said().contains(KEY));
}

// A collection could not be made before its key is there, or would fail later without a word of why.
#[test]
fn a_provider_without_a_key_refuses_uploads_and_says_so() {
    let server = Server::start();
    let client = server.operator();
    let body = json!({"name": "remote", "embedding_provider": "openai", "embedding_model": "text-embedding-3-small", "dimension": 1536});
    let made = client.post("/v1/collections", &body).expect(201).json();
    assert_eq!(made["has_api_key"], false);
    for answer in [upload(&client, "a.txt", "A cat."), query(&client, "cats")] {
        let error = answer.expect(422).json();
        assert_eq!(error["error"]["code"], "embedding_not_configured");
        assert!(
            error["detail"].as_str().is_some_and(|text| text.contains("STRONGROOM_EMBEDDING_KEY")),
            "{error}"
        );
    }
    client.post("/v1/collections/remote/reembed", &json!({})).expect(422);
}

// A product that changes its model's settings would have to upload everything again, or be without search meanwhile.
#[test]
fn a_collection_is_embedded_anew_while_it_is_searched_and_after_a_restart() {
    let service = Service::start(vectors);
    let server = Server::start();
    let client = server.operator();
    made(&client, &service, json!({}));
    for n in 0..5 {
        upload(&client, &format!("{n}.txt"), &format!("A cat of sort {n}.")).expect(201);
    }
    client
        .post(
            "/v1/collections/remote/vectors/upsert",
            &json!({"vectors": [{"id": "own", "embedding": [0.0, 0.0, 0.0, 1.0], "text": "mine"}]}),
        )
        .expect(200);
    service.take_seen();
    // The service is down: the work waits for it, and for the next process.
    service.behave(Behaviour::Say(last("500 Internal Server Error", "", "")));
    assert_eq!(
        client.post("/v1/collections/remote/reembed", &json!({})).expect(202).json()["status"],
        "queued"
    );
    service.came.recv_timeout(PATIENCE).expect("a call");
    assert_eq!(
        client.post("/v1/collections/remote/reembed", &json!({})).expect(409).json()["error"]["code"],
        "reembedding"
    );
    let listed = client.get("/v1/collections/remote/documents").expect(200).json();
    assert_eq!(listed["total"], 6, "all are there meanwhile");
    let plan = server.kill();
    service.behave(Behaviour::Answer);
    service.take_seen();
    let server = plan.start();
    let client = server.operator();
    let mut texts = 0;
    let begun = Instant::now();
    while texts < 5 && begun.elapsed() < PATIENCE {
        service.came.recv_timeout(PATIENCE).expect("a call");
        texts += service
            .take_seen()
            .iter()
            .map(|(_, body)| body["input"].as_array().map_or(0, Vec::len))
            .sum::<usize>();
    }
    assert_eq!(texts, 5, "each document once, and not the caller's own vector");
    while client.post("/v1/collections/remote/reembed", &json!({})).status == 409 {
        assert!(begun.elapsed() < PATIENCE, "it ends");
        std::thread::yield_now();
    }
    assert_eq!(count(&client), 6);
    assert!(best(&client, "cats").starts_with("A cat"));
}
