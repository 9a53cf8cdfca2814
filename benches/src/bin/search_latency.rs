//! Does a search in one partition get slower because there are ten thousand others?
//!
//! Two servers side by side, each with a partition of 1,000 documents of one vector (256 dimensions). One has
//! 1 other partition, one has 10,000 with 10 vectors each. Both are stopped and started, so that both serve from
//! sealed segments. Searches by vector over one kept-open connection to each, in turn, block by block, so that the
//! machine's drift hits both. Prints p50 and p99 of both and their ratios.
//!
//!     cargo xtask bench search_latency

#![allow(clippy::print_stdout)]

use serde_json::json;
use std::time::{Duration, Instant};
use strongroom_benches::{Connection, Numbers, percentile};
use strongroom_tests::server::Server;

const DIMENSION: usize = 256;
const ROWS: usize = 1_000;
const OTHERS: [usize; 2] = [1, 10_000];
const OTHER_ROWS: usize = 10;
const BLOCKS: usize = 60;
const SEARCHES_IN_BLOCK: usize = 250;
const WARM_UP: usize = 2_000;

fn main() {
    let servers = OTHERS.map(|others| {
        let server = Server::start();
        let begun = Instant::now();
        load(&server, others);
        println!("loaded 1,000 documents beside {others} other partitions in {:.1?}", begun.elapsed());
        // Both serve from sealed segments then, whatever was flushed before.
        server.stop().start()
    });
    let queries = queries();
    let mut connections = [Connection::open(&servers[0]), Connection::open(&servers[1])];
    for connection in &mut connections {
        measure(connection, &queries, WARM_UP);
    }
    let mut samples = [Vec::new(), Vec::new()];
    for block in 0..BLOCKS {
        for which in if block % 2 == 0 { [0, 1] } else { [1, 0] } {
            samples[which].extend(measure(&mut connections[which], &queries, SEARCHES_IN_BLOCK));
        }
    }
    println!("\nsearch by vector over HTTP on loopback, k = 10, {} samples each", samples[0].len());
    println!("| other partitions | p50 | p99 |\n|---|---|---|");
    let mut figures = [[Duration::ZERO; 2]; 2];
    for (which, others) in OTHERS.iter().enumerate() {
        figures[which] = [0.5, 0.99].map(|share| percentile(&mut samples[which], share));
        println!("| {others} | {:.0?} | {:.0?} |", figures[which][0], figures[which][1]);
    }
    let ratio = |share: usize| figures[1][share].as_secs_f64() / figures[0][share].as_secs_f64();
    println!("| ratio | {:.3} | {:.3} |", ratio(0), ratio(1));
}

/// Fills the partition that is searched, and so many others.
fn load(server: &Server, others: usize) {
    let mut connection = Connection::open(server);
    let mut numbers = Numbers::new(1);
    for row in 0..ROWS {
        let text = format!("document {row} of the partition that is searched");
        insert(&mut connection, "searched", &text, &[numbers.vector(DIMENSION)]);
    }
    for other in 0..others {
        let vectors: Vec<Vec<f32>> = (0..OTHER_ROWS).map(|_| numbers.vector(DIMENSION)).collect();
        insert(&mut connection, &format!("other-{other}"), "another customer's document", &vectors);
    }
}

fn insert(connection: &mut Connection, partition: &str, text: &str, vectors: &[Vec<f32>]) {
    let passages: Vec<_> = vectors.iter().map(|vector| json!({"text": text, "embedding": vector})).collect();
    let body =
        json!({"content": text, "filename": "bench.txt", "partition": partition, "passages": passages});
    connection.send("POST", "/v1/documents/embed", "application/json", body.to_string().as_bytes());
}

fn queries() -> Vec<Vec<u8>> {
    let mut numbers = Numbers::new(2);
    let body = |vector: Vec<f32>| json!({"embedding": vector, "k": 10, "partition": "searched"}).to_string();
    (0..100).map(|_| body(numbers.vector(DIMENSION)).into_bytes()).collect()
}

fn measure(connection: &mut Connection, queries: &[Vec<u8>], count: usize) -> Vec<Duration> {
    let search = |number: usize| {
        let begun = Instant::now();
        let answer =
            connection.send("POST", "/v1/search/embed", "application/json", &queries[number % queries.len()]);
        let took = begun.elapsed();
        assert!(answer.len() > 1_000, "ten hits take more than that: {}", String::from_utf8_lossy(&answer));
        took
    };
    (0..count).map(search).collect()
}
