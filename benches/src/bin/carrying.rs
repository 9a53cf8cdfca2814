//! How fast does a partition leave a server and come into another, and what does a trace cost a search?
//!
//! A partition of documents with a text of some 200 bytes and one vector (256 dimensions) is inserted in batches, which embeds its texts; then it
//! is exported, imported into a second server, and copied there. Prints documents a second of each, and as multiples of the insert.
//! Then one connection searches it by text, in turn without a trace and with `trace=true` (two looks for the canary, two beside it, and a signature).
//!
//!     cargo xtask bench carrying

#![allow(clippy::print_stdout)]

use serde_json::json;
use std::time::{Duration, Instant};
use strongroom_benches::{Connection, Numbers, parameter, percentile};
use strongroom_tests::client::Client;
use strongroom_tests::server::Server;

const BATCH: usize = 500;
const SEARCHES: usize = 6_000;

fn main() {
    let documents = parameter("CARRYING_DOCUMENTS", 20_000).next_multiple_of(BATCH);
    let (server, other) = (Server::start(), Server::start());
    let (here, there) = (server.operator(), other.operator());
    let mut numbers = Numbers::new(1);
    let inserted = timed(|| insert(&here, documents, &mut numbers));
    let mut bundle = Vec::new();
    let exported = timed(|| bundle = here.get("/v1/export?partition=acme").expect(200).body);
    let bytes = bundle.len();
    let imported = timed(|| {
        there.send("POST", "/v1/import?partition=acme", &[], bundle).expect(200);
    });
    let copied = timed(|| {
        there.post("/v1/partitions/acme/copy", &json!({"to": "copy"})).expect(200);
    });
    println!("{documents} documents, a bundle of {:.1} MB\n", bytes as f64 / 1e6);
    println!("| | documents a second | of the insert |");
    println!("|---|---|---|");
    let each =
        [("insert, in batches", inserted), ("export", exported), ("import", imported), ("copy", copied)];
    for (what, took) in each {
        let ratio = inserted.as_secs_f64() / took.as_secs_f64();
        println!("| {what} | {:.0} | {ratio:.2} |", documents as f64 / took.as_secs_f64());
    }
    trace(&server);
}

fn timed(act: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    act();
    begun.elapsed()
}

fn insert(client: &Client, documents: usize, numbers: &mut Numbers) {
    const WORDS: [&str; 8] = ["refund", "parcel", "budget", "whale", "harbour", "invoice", "night", "garden"];
    for batch in 0..documents / BATCH {
        let mut texts = Vec::with_capacity(BATCH);
        for at in 0..BATCH {
            let mut text = format!("number {}", batch * BATCH + at);
            while text.len() < 200 {
                text.push(' ');
                text.push_str(WORDS[usize::try_from(numbers.next_u64() % 8).expect("below eight")]);
            }
            texts.push(json!({"content": text, "filename": "note.txt"}));
        }
        client.post("/v1/documents/batch", &json!({"documents": texts, "partition": "acme"})).expect(201);
    }
}

/// Searches in turn without a trace and with one.
fn trace(server: &Server) {
    let mut connection = Connection::open(server);
    let manners = ["", "&trace=true"];
    let mut times = [Vec::new(), Vec::new()];
    for number in 0..SEARCHES {
        for (manner, times) in manners.iter().zip(&mut times) {
            let path = format!("/v1/search?q=whale+number+{number}&partition=acme{manner}");
            let begun = Instant::now();
            let (status, _) = connection.ask("GET", &path, "text/plain", b"");
            assert_eq!(status, 200);
            times.push(begun.elapsed());
        }
    }
    let [without, with] = times.map(|mut times| percentile(&mut times, 0.5));
    println!(
        "\na search by text, p50: {without:.0?}; with its trace, signed and with the canary: {with:.0?}, {:.2} x",
        with.as_secs_f64() / without.as_secs_f64()
    );
}
