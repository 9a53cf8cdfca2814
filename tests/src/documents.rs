//! The calls on documents that the suites make again and again, as the published client makes them.

use std::collections::BTreeMap;

use serde_json::Value;
use strongroom_engine::{Import, Imported};

use crate::client::{Answer, Client, encoded, with_query};

/// `/v1/documents…` with a partition, when there is one.
pub fn path(rest: &str, partition: Option<&str>) -> String {
    let pairs: Vec<(&str, &str)> = partition.map(|p| ("partition", p)).into_iter().collect();
    with_query(&format!("/v1/documents{rest}"), &pairs)
}

/// The address of an insert of plain text.
pub fn insert_path(partition: Option<&str>, filename: &str) -> String {
    let mut pairs = vec![("filename", filename), ("content_type", "text/plain")];
    pairs.extend(partition.map(|p| ("partition", p)));
    with_query("/v1/documents", &pairs)
}

/// Inserts a text that must be taken, and answers its id.
#[track_caller]
pub fn insert(client: &Client, partition: Option<&str>, text: &str) -> String {
    let answer = client.post_bytes(&insert_path(partition, "note.txt"), text.as_bytes());
    assert!((200..300).contains(&answer.status), "{answer}");
    id_of(&answer)
}

/// The documents of a bundle, as they were signed: two of one partition differ in their ids, times and signatures.
#[track_caller]
pub fn of_bundle(bytes: &[u8]) -> Vec<String> {
    let (mut import, mut documents) = (Import::new(bytes.len()), Vec::new());
    import.push(bytes);
    while let Some(said) = import.next_frame().unwrap_or_else(|why| panic!("no bundle: {why}")) {
        if let Imported::Page(wholes) = said {
            documents.extend(wholes.iter().map(|whole| format!("{whole:?}")));
        }
    }
    documents
}

/// The id in an answer that holds a document.
#[track_caller]
pub fn id_of(answer: &Answer) -> String {
    answer.json()["doc_id"].as_str().unwrap_or_else(|| panic!("no doc_id: {answer}")).to_owned()
}

/// The document as answers show it.
pub fn get(client: &Client, partition: Option<&str>, id: &str) -> Answer {
    client.get(&path(&format!("/{}", encoded(id)), partition))
}

/// The document's bytes.
pub fn download(client: &Client, partition: Option<&str>, id: &str) -> Answer {
    client.get(&path(&format!("/{}/download", encoded(id)), partition))
}

/// Every live document of a partition by id, over as many pages as it takes.
#[track_caller]
pub fn list_all(client: &Client, partition: Option<&str>) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    loop {
        let offset = all.len().to_string();
        let mut pairs = vec![("offset", offset.as_str()), ("limit", "1000")];
        pairs.extend(partition.map(|p| ("partition", p)));
        let page = client.get(&with_query("/v1/documents", &pairs)).expect(200).json();
        let documents = page["documents"].as_array().cloned().unwrap_or_default();
        let before = all.len();
        for document in documents {
            let id = document["doc_id"].as_str().expect("a listed document has an id").to_owned();
            all.insert(id, document);
        }
        if page["has_more"] != true || all.len() == before {
            assert_eq!(page["total"], all.len(), "the total of a listing is what it lists");
            return all;
        }
    }
}

/// A search by text: the hits.
#[track_caller]
pub fn search(client: &Client, partition: Option<&str>, query: &str, k: usize) -> Vec<Value> {
    let k = k.to_string();
    let mut pairs = vec![("q", query), ("k", k.as_str()), ("include_content", "true")];
    pairs.extend(partition.map(|p| ("partition", p)));
    let answer = client.get(&with_query("/v1/search", &pairs)).expect(200).json();
    answer["results"].as_array().expect("a search answers results").clone()
}

/// The texts of hits.
pub fn contents(hits: &[Value]) -> Vec<String> {
    hits.iter().map(|h| h["content"].as_str().unwrap_or_default().to_owned()).collect()
}
