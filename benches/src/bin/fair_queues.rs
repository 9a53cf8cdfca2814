//! Does one tenant's flood cost the others their throughput?
//!
//! One server. Eight tenants, each with a partition of its own and so many connections, search in batches as fast as they are
//! answered; a ninth does the same with as many connections as one of them, then with ten times as many, in turn, block by
//! block, so that the machine's drift hits both. Prints what the eight got through beside each, and the ratio.
//!
//!     cargo xtask bench fair_queues

#![allow(clippy::print_stdout)]

use serde_json::json;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use strongroom_benches::{Connection, Numbers, median, parameter};
use strongroom_tests::server::{Plan, Server};

const TENANTS: usize = 8;
const CONNECTIONS: usize = 2;
const GREED: usize = 10;
const DIMENSION: usize = 256;
const ROWS: usize = 2_000;
const QUERIES: usize = 20;
const BLOCK: Duration = Duration::from_secs(5);

fn main() {
    let blocks = parameter("FAIR_BLOCKS", 12);
    let rows = parameter("FAIR_ROWS", ROWS);
    let server = Plan::default().start();
    for tenant in 0..=TENANTS {
        load(&server, tenant, rows);
    }
    // What is searched lies in sealed segments.
    let server = server.stop().start();
    block(&server, 1);
    let mut shares: [Vec<Vec<f64>>; 2] = Default::default();
    for number in 0..blocks {
        for which in if number % 2 == 0 { [0, 1] } else { [1, 0] } {
            shares[which].push(block(&server, [1, GREED][which]));
        }
    }
    let others = |block: &Vec<f64>| block[..TENANTS].iter().sum::<f64>();
    let sums = shares.each_ref().map(|blocks| median(blocks.iter().map(others).collect()));
    let greedy = shares.each_ref().map(|blocks| median(blocks.iter().map(|block| block[TENANTS]).collect()));
    println!(
        "requests a second of {QUERIES} searches by text, {TENANTS} tenants of {CONNECTIONS} connections each\n"
    );
    println!("| connections of the ninth | the eight together | the ninth |\n|---|---|---|");
    for (which, times) in [1, GREED].iter().enumerate() {
        println!("| {} | {:.1} | {:.1} |", times * CONNECTIONS, sums[which], greedy[which]);
    }
    println!("| ratio | {:.3} | {:.3} |", sums[1] / sums[0], greedy[1] / greedy[0]);
    let worst = (0..TENANTS).map(|tenant| {
        let of = |which: usize| median(shares[which].iter().map(|block| block[tenant]).collect());
        of(1) / of(0)
    });
    println!("\nthe worst of the eight kept {:.3}", worst.fold(f64::INFINITY, f64::min));
}

/// Requests a second of each tenant, the greedy one last, which has so many times the connections.
fn block(server: &Server, greed: usize) -> Vec<f64> {
    let counts: Vec<AtomicU64> = (0..=TENANTS).map(|_| AtomicU64::new(0)).collect();
    let (is_over, begin) = (AtomicBool::new(false), Barrier::new((TENANTS + greed) * CONNECTIONS + 1));
    let took = thread::scope(|scope| {
        for (tenant, count) in counts.iter().enumerate() {
            let times = if tenant == TENANTS { greed } else { 1 };
            for _ in 0..CONNECTIONS * times {
                let (is_over, begin) = (&is_over, &begin);
                scope.spawn(move || {
                    let mut connection = Connection::open(server);
                    let queries: Vec<_> = (0..QUERIES)
                        .map(|number| json!({"q": format!("document {number}"), "k": 10}))
                        .collect();
                    let body =
                        json!({"queries": queries, "partition": format!("tenant-{tenant}")}).to_string();
                    begin.wait();
                    while !is_over.load(Ordering::Relaxed) {
                        connection.send("POST", "/v1/search/batch", "application/json", body.as_bytes());
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        }
        begin.wait();
        let begun = Instant::now();
        thread::sleep(BLOCK);
        is_over.store(true, Ordering::Relaxed);
        begun.elapsed()
    });
    counts.into_iter().map(|count| count.into_inner() as f64 / took.as_secs_f64()).collect()
}

fn load(server: &Server, tenant: usize, rows: usize) {
    let (mut connection, mut numbers) = (Connection::open(server), Numbers::new(tenant as u64 + 1));
    let passages: Vec<_> = (0..rows)
        .map(|row| json!({"text": format!("document {row}"), "embedding": numbers.vector(DIMENSION)}))
        .collect();
    let body = json!({"content": "documents of a tenant", "filename": "bench.txt", "partition": format!("tenant-{tenant}"),
        "passages": passages});
    connection.send("POST", "/v1/documents/embed", "application/json", body.to_string().as_bytes());
}
