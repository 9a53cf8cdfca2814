//! How good is search over real text, in a partition beside thousands of others?
//!
//! Loads the Cranfield collection and the paragraphs of XQuAD (English), text by text, into a partition each, and 2,000
//! other partitions with text of Cranfield beside them. Asks all questions over HTTP in each mode, and prints nDCG@10 and
//! recall@10 (binary relevance: any grade above 0; of an XQuAD question its paragraph alone), and whether every
//! trace named the one partition alone.
//!
//!     STRONGROOM_BENCH_DATA=/data cargo xtask bench retrieval

#![allow(clippy::print_stdout)]

#[path = "../../../embed/examples/common/cranfield.rs"]
mod cranfield;

use cranfield::Cranfield;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use strongroom_benches::Connection;
use strongroom_tests::client::{encoded, with_query};
use strongroom_tests::server::Server;

const OTHERS: usize = 2_000;
const K: usize = 10;
const MODES: [(&str, &[(&str, &str)]); 4] = [
    ("hybrid (the default)", &[]),
    ("hybrid by ranks", &[("fusion", "ranks")]),
    ("keyword", &[("mode", "keyword")]),
    ("semantic", &[("mode", "semantic")]),
];

/// Texts, and questions with the places of those that answer them.
struct Collection {
    name: &'static str,
    texts: Vec<String>,
    questions: Vec<(String, HashSet<usize>)>,
}

fn main() {
    let folder = cranfield::folder();
    let read = Cranfield::read(&folder).expect("the folder holds the three files of Cranfield");
    let cranfield = Collection { name: "cranfield", texts: read.documents, questions: read.questions };
    let collections = [cranfield, xquad(&folder)];
    let server = Server::start();
    let mut connection = Connection::open(&server);
    for other in 0..OTHERS {
        let texts = &collections[0].texts;
        insert(&mut connection, &format!("other-{other}"), other, &texts[other % texts.len()]);
    }
    println!(
        "| collection | mode | nDCG@10 | recall@10 | traces that name the one partition alone |\n|---|---|---|---|---|"
    );
    for collection in &collections {
        let mut numbers = HashMap::new();
        for (number, text) in collection.texts.iter().enumerate() {
            let record = insert(&mut connection, collection.name, number, text);
            numbers.insert(record["doc_id"].as_str().unwrap_or_default().to_owned(), number);
        }
        for (mode, parameters) in MODES {
            let asked = ask(&mut connection, collection, &numbers, parameters);
            let of = collection.questions.len();
            println!(
                "| {} | {mode} | {:.4} | {:.4} | {} of {of} |",
                collection.name,
                asked.ndcg / of as f64,
                asked.recall / of as f64,
                asked.traced
            );
        }
    }
}

/// Paragraphs and their questions.
fn xquad(folder: &Path) -> Collection {
    let bytes = std::fs::read(folder.join("xquad.en.json")).expect("the folder holds xquad.en.json");
    let mut collection = Collection { name: "xquad", texts: Vec::new(), questions: Vec::new() };
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    for paragraph in list(&parse(&bytes), "data").iter().flat_map(|article| list(article, "paragraphs")) {
        let number = collection.texts.len();
        collection.texts.push(text(&paragraph, "context"));
        let questions = list(&paragraph, "qas");
        collection
            .questions
            .extend(questions.iter().map(|qa| (text(qa, "question"), HashSet::from([number]))));
    }
    collection
}

/// Sums over all questions.
#[derive(Default)]
struct Asked {
    ndcg: f64,
    recall: f64,
    traced: usize,
}

fn ask(
    connection: &mut Connection,
    collection: &Collection,
    numbers: &HashMap<String, usize>,
    parameters: &[(&str, &str)],
) -> Asked {
    let mut asked = Asked::default();
    for (question, relevant) in &collection.questions {
        let (k, name) = (K.to_string(), collection.name);
        let query = [("q", question.as_str()), ("k", &k), ("partition", name), ("trace", "true")];
        let path = with_query("/v1/search", &[&query[..], parameters].concat());
        let answer = parse(&connection.send("GET", &path, "text/plain", b""));
        let hits = answer["results"].as_array().cloned().unwrap_or_default();
        let gains: Vec<bool> = hits
            .iter()
            .map(|hit| hit["doc_id"].as_str().and_then(|id| numbers.get(id)))
            .map(|number| number.is_some_and(|number| relevant.contains(number)))
            .collect();
        asked.ndcg += ndcg(&gains, relevant.len());
        let found = gains.iter().filter(|gain| **gain).count();
        asked.recall += found as f64 / relevant.len().max(1) as f64;
        asked.traced += usize::from(answer["trace"]["partitions_touched"] == serde_json::json!([name]));
    }
    asked
}

/// Inserts a text; two of Cranfield's are empty, and no documents.
fn insert(connection: &mut Connection, partition: &str, number: usize, text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    let path = format!(
        "/v1/documents?filename={number}.txt&content_type=text/plain&partition={}",
        encoded(partition)
    );
    parse(&connection.send("POST", &path, "text/plain", text.as_bytes()))
}

fn parse(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

/// Discounted gain of the first ten, as a share of the best that could be.
fn ndcg(gains: &[bool], relevant: usize) -> f64 {
    let discount = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
    let found: f64 =
        gains.iter().enumerate().filter(|(_, gain)| **gain).map(|(rank, _)| discount(rank)).sum();
    let best: f64 = (0..relevant.min(K)).map(discount).sum();
    if best > 0.0 { found / best } else { 0.0 }
}
