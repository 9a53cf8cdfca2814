//! Can it be told by time whether an id, or a name, is somebody else's or nobody's?
//!
//! One server with two partitions of 500 documents each, and a second workspace. Keys that may not see them ask, in random order over one
//! kept-open connection, for documents of the other partition and for ids that nobody has, and search partitions of another
//! workspace and ones that aren't there. Prints the medians of both and the rank test of Mann and Whitney as a standard score:
//! below 2 in size is what chance alone gives nineteen times in twenty. A third sample, of other ids that nobody has, says what the machine
//! itself makes of two samples that are alike.
//!
//!     cargo xtask bench foreign_ids

#![allow(clippy::print_stdout)]

use serde_json::json;
use std::time::{Duration, Instant};
use strongroom_benches::{Connection, Numbers, parameter, percentile};
use strongroom_tests::documents;
use strongroom_tests::keys::mint;
use strongroom_tests::server::Server;

const DOCUMENTS: usize = 500;

/// What is asked: method, path with `#` for the id or the name, whether by a key of the other workspace.
const CALLS: [(&str, &str, bool); 8] = [
    ("GET", "/v1/documents/#?partition=acme", false),
    ("GET", "/v1/documents/#/text?partition=acme", false),
    ("GET", "/v1/documents/#/download?partition=acme", false),
    ("DELETE", "/v1/documents/#?partition=acme", false),
    ("POST", "/v1/documents/#/restore?partition=acme", false),
    ("GET", "/v1/search?q=budgets&partition=#", false),
    ("GET", "/v1/search?q=budgets&partition=#", true),
    ("GET", "/v1/documents/00?partition=#", true),
];

fn main() {
    let samples = parameter("FOREIGN_SAMPLES", 10_000);
    let server = Server::start();
    let operator = server.operator();
    for name in ["ours", "theirs"] {
        operator.post("/v1/admin/workspaces", &json!({"name": name})).expect(201);
    }
    let (ours, theirs) = (operator.in_workspace("ours"), operator.in_workspace("theirs"));
    let fill = |partition: &str| -> Vec<String> {
        (0..DOCUMENTS)
            .map(|number| {
                documents::insert(&ours, Some(partition), &format!("budgets of {partition}, {number}"))
            })
            .collect()
    };
    fill("acme");
    let foreign = fill("globex");
    let names: Vec<String> = (0..DOCUMENTS).map(|number| format!("customer-{number:08x}")).collect();
    for name in &names {
        documents::insert(&ours, Some(name), "budgets");
    }
    let keys = [mint(&ours, &json!({"partition": "acme"})).key, mint(&theirs, &json!({})).key];
    // All of it from sealed segments.
    let server = server.stop().start();
    let mut numbers = Numbers::new(4);
    let mut missing =
        |like: &[String]| -> Vec<String> { like.iter().map(|id| fresh(id, &mut numbers)).collect() };
    println!("{samples} samples each, in random order; times in µs\n");
    println!(
        "| call | key | answer | foreign | missing | missing again | z | z of missing and missing again |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (method, path, is_outside) in CALLS {
        let is_by_name = path.contains("partition=#");
        let own = if is_by_name { &names } else { &foreign };
        let ids = [own.clone(), missing(own), missing(own)];
        let mut connection = Connection::with_key(&server, &keys[usize::from(is_outside)]);
        let (status, mut times) = measure(&mut connection, method, path, &ids, samples);
        let medians = [0, 1, 2].map(|which| percentile(&mut times[which].clone(), 0.5).as_secs_f64() * 1e6);
        let [foreign, one, other] = &mut times;
        println!(
            "| `{method} {path}` | of {} | {status} | {:.1} | {:.1} | {:.1} | {:+.2} | {:+.2} |",
            if is_outside { "another workspace" } else { "another partition" },
            medians[0],
            medians[1],
            medians[2],
            standard_score(foreign, one),
            standard_score(other, one),
        );
    }
}

/// An id of the same length and make.
fn fresh(id: &str, numbers: &mut Numbers) -> String {
    id.chars()
        .map(|c| {
            let at = usize::try_from(numbers.next_u64() % 16).expect("below 16");
            if c.is_ascii_hexdigit() { char::from(b"0123456789abcdef"[at]) } else { c }
        })
        .collect()
}

/// Asks for all of them in random order.
fn measure(
    connection: &mut Connection,
    method: &str,
    path: &str,
    ids: &[Vec<String>; 3],
    samples: usize,
) -> (u16, [Vec<Duration>; 3]) {
    let (mut numbers, mut times, mut statuses) =
        (Numbers::new(5), <[Vec<Duration>; 3]>::default(), Vec::new());
    while times.iter().any(|times| times.len() < samples) {
        let which = usize::try_from(numbers.next_u64() % 3).expect("below three");
        let id = usize::try_from(numbers.next_u64()).unwrap_or(0) % ids[which].len();
        let path = path.replace('#', &ids[which][id]);
        let begun = Instant::now();
        let (status, _) = connection.ask(method, &path, "text/plain", b"");
        let took = begun.elapsed();
        if times[which].len() < samples {
            times[which].push(took);
        }
        if !statuses.contains(&status) {
            statuses.push(status);
        }
    }
    assert_eq!(statuses.len(), 1, "foreign and missing are answered alike: {statuses:?}");
    (statuses[0], times)
}

/// The rank sum of the first sample as a standard score (Mann and Whitney 1947), ties sharing their ranks.
fn standard_score(one: &[Duration], other: &[Duration]) -> f64 {
    let mut all: Vec<(Duration, bool)> =
        one.iter().map(|time| (*time, true)).chain(other.iter().map(|time| (*time, false))).collect();
    all.sort_unstable();
    let (n, m) = (one.len() as f64, other.len() as f64);
    let (mut sum, mut tied, mut at) = (0.0, 0.0, 0);
    while at < all.len() {
        let equal = all[at..].iter().take_while(|(time, _)| *time == all[at].0).count();
        let rank = at as f64 + (equal as f64 + 1.0) / 2.0;
        sum += rank * all[at..at + equal].iter().filter(|(_, is_one)| *is_one).count() as f64;
        tied += (equal as f64).powi(3) - equal as f64;
        at += equal;
    }
    let spread = n * m / 12.0 * ((n + m + 1.0) - tied / ((n + m) * (n + m - 1.0)));
    (sum - n * (n + m + 1.0) / 2.0) / spread.sqrt()
}
