//! How good is search over real text, in a partition beside thousands of others?
//!
//! Loads the Cranfield collection, text by text, into a partition of its own, and 2,000 other partitions with
//! text of the same collection beside it; asks the 225 questions over HTTP, and prints nDCG@10 (binary
//! relevance: any grade above 0) together with the model's own figure on whole abstracts, and whether every
//! trace named the one partition alone.
//!
//!     STRONGROOM_BENCH_DATA=/data/cranfield cargo xtask bench cranfield

#![allow(clippy::print_stdout)]

#[path = "../../../embed/examples/common/cranfield.rs"]
mod cranfield;

use cranfield::Cranfield;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Instant;
use strongroom_benches::Connection;
use strongroom_tests::client::{encoded, with_query};
use strongroom_tests::server::Server;

const OTHERS: usize = 2_000;
const K: usize = 10;

fn main() {
    let collection = Cranfield::read(&cranfield::folder()).expect("the folder holds the three files");
    let server = Server::start();
    let mut connection = Connection::open(&server);
    let begun = Instant::now();
    let mut numbers = HashMap::new();
    for (number, text) in collection.documents.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
        let record = insert(&mut connection, "cranfield", number, text);
        numbers.insert(record["doc_id"].as_str().unwrap_or_default().to_owned(), number);
    }
    println!("loaded {} abstracts in {:.1?}", numbers.len(), begun.elapsed());
    for other in 0..OTHERS {
        let text = &collection.documents[other % collection.documents.len()];
        if !text.is_empty() {
            insert(&mut connection, &format!("other-{other}"), other, text);
        }
    }
    let (mut sum, mut traced) = (0.0, 0);
    for (question, relevant) in &collection.questions {
        let path = with_query(
            "/v1/search",
            &[("q", question), ("k", &K.to_string()), ("partition", "cranfield"), ("trace", "true")],
        );
        let answer = parse(&connection.send("GET", &path, "text/plain", b""));
        let results = answer["results"].as_array().cloned().unwrap_or_default();
        let gains = results.iter().map(|hit| {
            let number = hit["doc_id"].as_str().and_then(|id| numbers.get(id));
            number.is_some_and(|number| relevant.contains(number))
        });
        sum += ndcg(gains, relevant.len());
        traced += usize::from(answer["trace"]["partitions_touched"] == serde_json::json!(["cranfield"]));
    }
    let questions = collection.questions.len();
    println!("nDCG@10 over HTTP, beside {OTHERS} other partitions: {:.4}", sum / questions as f64);
    println!("traces that name the one partition alone: {traced} of {questions}");
}

fn insert(connection: &mut Connection, partition: &str, number: usize, text: &str) -> Value {
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
fn ndcg(gains: impl Iterator<Item = bool>, relevant: usize) -> f64 {
    let discount = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
    let found: f64 =
        gains.take(K).enumerate().filter(|(_, gain)| *gain).map(|(rank, _)| discount(rank)).sum();
    let best: f64 = (0..relevant.min(K)).map(discount).sum();
    if best > 0.0 { found / best } else { 0.0 }
}
