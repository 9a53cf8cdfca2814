//! What does sealing cost when a partition is opened, and what once it is open?
//!
//! Two builds of this program take turns, five rounds: one as it is shipped, and one with a null cipher
//! (bytes are copied, tags are zeros that nobody checks; keys are derived in both). Only the compiler's flag
//! `--cfg strongroom_null_cipher` makes the second, in a target folder of its own; no feature does. Each
//! fills a store of 20 partitions of 5,000 documents (256 components, texts of some 200 bytes), and in each
//! round opens it in a fresh process:
//!
//! - **open**: `Store::open` to its answer.
//! - **first search**: by name, k = 10, in each partition, the p50 of the 20.
//! - **open and all first searches**: the sum of those.
//! - **warm search**: p50 of 8 queries in each partition that were asked there before.
//!
//! A figure is the median of the rounds; the ratio is to the null cipher's. The files lie in the system's
//! memory, so that no disk hides the cipher. That the null build has none and that no other build reads what
//! it wrote is proven before the table: the shipped build must refuse its store.
//!
//!     cargo xtask bench sealing

#![allow(clippy::print_stdout)]

use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use strongroom_benches::machine::{describe, figure, figures, fresh_folder, myself, remove};
use strongroom_benches::{Numbers, median, percentile, stores};

const PARTITIONS: usize = 20;
const ROWS: usize = 5_000;
const BATCH: usize = 500;
const DIMENSION: usize = 256;
const QUERIES: usize = 8;
const ROUNDS: usize = 5;
const NULL_CIPHER: bool = cfg!(strongroom_null_cipher);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => run(),
        ["make", folder] => println!("{}", make(Path::new(folder))),
        ["measure", folder] => println!("{}", measure(Path::new(folder))),
        _ => panic!("it runs itself with make or measure and a folder"),
    }
}

fn run() {
    if NULL_CIPHER {
        panic!("this is the null-cipher build: the other one runs it");
    }
    let null = std::env::var_os("STRONGROOM_BENCH_NULL_CIPHER");
    let null = null.expect("the null-cipher build of this program: `cargo xtask bench sealing` makes it");
    let folder = fresh_folder("sealing");
    let other = |what: &str, folder: &Path| {
        let mut command = Command::new(&null);
        command.arg(what).arg(folder);
        command
    };
    let (sealed_store, null_store) = (folder.join("sealed"), folder.join("null"));
    expect_cipher(&figures(&mut myself("make", &sealed_store)), true);
    let said = figures(&mut other("make", &null_store));
    expect_cipher(&said, false);
    let refused = stores::try_open(&null_store).err().expect("a shipped build refuses a store without seals");
    println!("{}\n", describe(&folder));
    println!("The null build says of itself: {said}; its store does not open here: \"{refused}\".\n");

    let (mut sealed, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(figures(&mut other("measure", &null_store)));
        sealed.push(figures(&mut myself("measure", &sealed_store)));
    }
    sealed.iter().for_each(|figures| expect_cipher(figures, true));
    plain.iter().for_each(|figures| expect_cipher(figures, false));
    let middle = |rounds: &[Value], name: &str| median(rounds.iter().map(|one| figure(one, name)).collect());
    println!("| | null cipher | sealed | ratio |\n|---|---|---|---|");
    for (what, name) in [
        ("open", "open"),
        ("first search in a partition, p50", "first_p50"),
        ("open and all first searches", "cold"),
        ("warm search, p50", "warm_p50"),
    ] {
        let (without, with) = (middle(&plain, name), middle(&sealed, name));
        let (without_time, with_time) = (Duration::from_secs_f64(without), Duration::from_secs_f64(with));
        println!("| {what} | {without_time:.1?} | {with_time:.1?} | {:.2} |", with / without);
    }
    remove(&folder);
}

/// Figures of the wrong build would compare the cipher with itself.
fn expect_cipher(figures: &Value, expected: bool) {
    assert_eq!(figures["cipher"], if expected { "AES-256-GCM" } else { "none" }, "the other build was meant");
}

fn cipher() -> &'static str {
    if NULL_CIPHER { "none" } else { "AES-256-GCM" }
}

fn name(partition: usize) -> String {
    format!("tenant-{partition}")
}

fn make(folder: &Path) -> Value {
    std::fs::create_dir_all(folder).expect("a folder");
    let store = stores::make(folder);
    let text = "a passage of a larger document, which says what somebody may look for later on. ".repeat(2);
    for number in 0..PARTITIONS {
        let partition = stores::new_partition(&store, &name(number), DIMENSION);
        let mut numbers = Numbers::new(number as u64);
        for batch in 0..ROWS / BATCH {
            let documents = (0..BATCH)
                .map(|row| stores::document(&format!("{text}{batch} {row}"), numbers.vector(DIMENSION)))
                .collect();
            partition.put_many(documents).expect("durable");
            stores::maintain(&store);
        }
    }
    store.flush().expect("segments");
    json!({"cipher": cipher()})
}

fn measure(folder: &Path) -> Value {
    let mut numbers = Numbers::new(3);
    let queries: Vec<Vec<f32>> = (0..QUERIES).map(|_| numbers.vector(DIMENSION)).collect();
    let begun = Instant::now();
    let store = stores::open(folder);
    let open = begun.elapsed();
    let mut first: Vec<Duration> =
        (0..PARTITIONS).map(|number| stores::time_search(&store, &name(number), &queries[0])).collect();
    let cold = open + first.iter().sum::<Duration>();
    let ask_all = || -> Vec<Duration> {
        let all = (0..PARTITIONS).flat_map(|number| queries.iter().map(move |query| (number, query)));
        all.map(|(number, query)| stores::time_search(&store, &name(number), query)).collect()
    };
    ask_all();
    let mut warm: Vec<Duration> = (0..10).flat_map(|_| ask_all()).collect();
    json!({
        "cipher": cipher(),
        "open": open.as_secs_f64(),
        "first_p50": percentile(&mut first, 0.5).as_secs_f64(),
        "cold": cold.as_secs_f64(),
        "warm_p50": percentile(&mut warm, 0.5).as_secs_f64(),
    })
}
