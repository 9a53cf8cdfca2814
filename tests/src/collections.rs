//! What do suites say to the routes of collections, and what do they read from the answers?

use std::collections::BTreeSet;

use serde_json::Value;

use crate::client::{Answer, Client, encoded};

/// What stands between the parts of a form.
pub const BOUNDARY: &str = "the-boundary-of-the-tests";

/// A path in a collection.
pub fn path(collection: &str, rest: &str) -> String {
    format!("/v1/collections/{}{rest}", encoded(collection))
}

/// Makes a collection.
#[track_caller]
pub fn make(client: &Client, fields: Value) {
    client.post("/v1/collections", &fields).expect(201);
}

/// A form of files and metadata, as the published client sends it.
pub fn form(files: &[(&str, &str, &str)], metadata: Option<&Value>) -> Vec<u8> {
    let mut body = String::new();
    if let Some(metadata) = metadata {
        body += &format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"metadata\"\r\n\r\n{metadata}\r\n"
        );
    }
    for (field, name, text) in files {
        body += &format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
             content-type: text/plain\r\n\r\n{text}\r\n"
        );
    }
    body += &format!("--{BOUNDARY}--\r\n");
    body.into_bytes()
}

/// Posts a form.
pub fn send_form(client: &Client, path: &str, body: Vec<u8>) -> Answer {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    client.send("POST", path, &[("content-type", kind.as_str())], body)
}

/// Uploads a document; the answer may be a refusal.
pub fn try_upload(
    client: &Client,
    collection: &str,
    name: &str,
    text: &str,
    metadata: Option<&Value>,
) -> Answer {
    send_form(client, &path(collection, "/documents"), form(&[("file", name, text)], metadata))
}

/// The id of a file that must be taken.
#[track_caller]
pub fn upload(client: &Client, collection: &str, text: &str, metadata: Value) -> String {
    let answer = try_upload(client, collection, "note.txt", text, Some(&metadata)).expect(201);
    answer.json()["id"].as_str().expect("an id").to_owned()
}

/// Queries a collection.
pub fn query(client: &Client, collection: &str, body: Value) -> Answer {
    client.post(&path(collection, "/query"), &body)
}

/// What a query that must be answered finds: ids, texts and scores, in order.
#[track_caller]
pub fn found(client: &Client, collection: &str, body: Value) -> Vec<(String, String, f64)> {
    let answer = query(client, collection, body).expect(200).json();
    let results = answer["results"].as_array().expect("results");
    assert_eq!(answer["total"], results.len());
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    results
        .iter()
        .map(|one| (text(&one["id"]), text(&one["text"]), one["score"].as_f64().expect("a score")))
        .collect()
}

/// The texts that a query finds.
#[track_caller]
pub fn texts(client: &Client, collection: &str, body: Value) -> BTreeSet<String> {
    found(client, collection, body).into_iter().map(|(_, text, _)| text).collect()
}

/// Texts, whatever their order.
pub fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
