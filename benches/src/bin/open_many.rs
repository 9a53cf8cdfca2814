//! How long does a store with very many partitions take to open, and what does a partition cost that nobody
//! uses?
//!
//! The store: STRONGROOM_BENCH_PARTITIONS partitions (100,000) of 10 documents each (64 components, tiny
//! texts), flushed and stopped. It is made in the target folder, and kept there for a second run when
//! STRONGROOM_BENCH_KEEP=1. Each figure comes from a process of its own:
//!
//! - **open**: `Store::open` to its answer, the median of five, once with the files in the system's memory
//!   and once after the system was asked to forget them. Beside it reading the manifest's and the keyring's
//!   bytes with `std::fs::read`, files in memory, which is the baseline, and opening an empty store. Bound: 2
//!   s.
//! - **idle partition**: resident memory (VmRSS) right after open, less that of a process that opened an
//!   empty store, for each partition. Bound: 300 bytes. It counts what the allocator keeps of the memory that
//!   opening took.
//! - **first search**: by name, in a partition that nothing was read of, 1,000 random ones after each other;
//!   then once more in the same ones (warm), the baseline.
//!
//!     cargo xtask bench open_many

#![allow(clippy::print_stdout)]

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use strongroom_benches::machine::{
    describe, figure, figures, files, folder, forget_pages, fresh_folder, myself, remove, resident_bytes,
};
use strongroom_benches::{Numbers, median, parameter, percentile, stores};

const DIMENSION: usize = 64;
const ROWS: usize = 10;
const OPENS: usize = 5;
const SEARCHES: usize = 1_000;
/// Writers that share the log's syncs while the store is made.
const MAKERS: usize = 16;

fn main() {
    let partitions = parameter("STRONGROOM_BENCH_PARTITIONS", 100_000);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => run(partitions),
        ["open", store] => println!("{}", measure_open(Path::new(store))),
        ["read", store] => println!("{}", measure_read(Path::new(store))),
        ["search", store] => println!("{}", measure_searches(Path::new(store), partitions)),
        _ => panic!("it runs itself with open, read or search and a folder"),
    }
}

fn run(partitions: usize) {
    let name = format!("open-many-{partitions}");
    let (store, made) = (folder(&name), folder(&format!("{name}.made")));
    let keep = std::env::var("STRONGROOM_BENCH_KEEP").is_ok_and(|keep| keep == "1");
    if !keep || !made.exists() {
        remove(&store);
        let begun = Instant::now();
        make(&fresh_folder(&name), partitions);
        fs::write(&made, format!("{:.0}", begun.elapsed().as_secs_f64())).expect("a note of what was made");
    }
    let empty = fresh_folder("open-many-empty");
    drop(stores::make(&empty));

    println!("{}\n", describe(&store));
    let stored: u64 = files(&store).iter().map(|file| file.metadata().expect("a file").len()).sum();
    println!(
        "{partitions} partitions, {} documents, {:.0} MB; made in {} s\n",
        partitions * ROWS,
        stored as f64 / 1e6,
        fs::read_to_string(&made).expect("the note of what was made")
    );
    let opened = repeated(|| figures(&mut myself("open", &store)));
    let forgotten = repeated(|| {
        forget_pages(&files(&store));
        figures(&mut myself("open", &store))
    });
    let emptied = repeated(|| figures(&mut myself("open", &empty)));
    let read = repeated(|| figures(&mut myself("read", &store)));
    let base = middle(&read, "seconds");
    println!("| | time | ratio |\n|---|---|---|");
    let bytes = middle(&read, "bytes") / 1e6;
    for (what, figures) in [
        (format!("read manifest and keyring ({bytes:.1} MB)"), &read),
        ("open".to_owned(), &opened),
        ("open, files not in memory".to_owned(), &forgotten),
        ("open an empty store".to_owned(), &emptied),
    ] {
        let seconds = middle(figures, "seconds");
        println!("| {what} | {:.1?} | {:.2} |", Duration::from_secs_f64(seconds), seconds / base);
    }
    let (full, none) = (middle(&opened, "resident_bytes"), middle(&emptied, "resident_bytes"));
    println!("\n| | resident after open | for each partition |\n|---|---|---|");
    println!("| empty store | {:.1} MB | |", none / 1e6);
    println!(
        "| {partitions} partitions | {:.1} MB | {:.0} bytes |",
        full / 1e6,
        (full - none) / partitions as f64
    );

    let searched = figures(&mut myself("search", &store));
    println!("\n| search in a partition | p50 | p99 | ratio of p50 |\n|---|---|---|---|");
    let warm = figure(&searched, "warm_p50");
    for (what, key) in [("the first", "cold"), ("again", "warm")] {
        let (p50, p99) = (figure(&searched, &format!("{key}_p50")), figure(&searched, &format!("{key}_p99")));
        let (p50_time, p99_time) = (Duration::from_secs_f64(p50), Duration::from_secs_f64(p99));
        println!("| {what} | {p50_time:.1?} | {p99_time:.1?} | {:.2} |", p50 / warm);
    }
    remove(&empty);
    if !keep {
        remove(&store);
        fs::remove_file(&made).expect("the note of what was made");
    }
}

fn name(partition: usize) -> String {
    format!("tenant-{partition:06}")
}

/// Fills the store, many partitions at a time so that they share syncs, and stops it.
fn make(folder: &Path, partitions: usize) {
    let store = stores::make(folder);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for maker in 0..MAKERS {
            let (store, next) = (&store, &next);
            scope.spawn(move || {
                loop {
                    let partition = next.fetch_add(1, Ordering::Relaxed);
                    if partition >= partitions {
                        break;
                    }
                    let mut numbers = Numbers::new(partition as u64);
                    let documents = (0..ROWS)
                        .map(|row| stores::document(&format!("note {row}"), numbers.vector(DIMENSION)))
                        .collect();
                    let to = stores::new_partition(store, &name(partition), DIMENSION);
                    to.put_many(documents).expect("durable");
                    if maker == 0 {
                        stores::maintain(store);
                    }
                }
            });
        }
    });
    store.flush().expect("segments");
    assert_eq!(stores::documents(&store), (partitions * ROWS) as u64, "a document is missing");
}

fn repeated(measure: impl Fn() -> Value) -> Vec<Value> {
    (0..OPENS).map(|_| measure()).collect()
}

fn middle(measured: &[Value], name: &str) -> f64 {
    median(measured.iter().map(|figures| figure(figures, name)).collect())
}

fn measure_open(folder: &Path) -> Value {
    let begun = Instant::now();
    let store = stores::open(folder);
    let seconds = begun.elapsed().as_secs_f64();
    let resident_bytes = resident_bytes();
    drop(store);
    json!({"seconds": seconds, "resident_bytes": resident_bytes})
}

fn measure_read(folder: &Path) -> Value {
    let mut paths = files(&folder.join("manifest"));
    paths.extend(files(&folder.join("keyring")));
    let begun = Instant::now();
    let bytes: usize = paths.iter().map(|path| fs::read(path).expect("a file").len()).sum();
    json!({"seconds": begun.elapsed().as_secs_f64(), "bytes": bytes})
}

fn measure_searches(folder: &Path, partitions: usize) -> Value {
    let store = stores::open(folder);
    let mut numbers = Numbers::new(7);
    let query = numbers.vector(DIMENSION);
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < SEARCHES.min(partitions) {
        let partition = (numbers.next_u64() >> 32) as usize % partitions;
        if !chosen.contains(&partition) {
            chosen.push(partition);
        }
    }
    let pass = || -> Vec<Duration> {
        chosen.iter().map(|partition| stores::time_search(&store, &name(*partition), &query)).collect()
    };
    let (mut cold, mut warm) = (pass(), pass());
    let seconds = |samples: &mut [Duration], share| percentile(samples, share).as_secs_f64();
    json!({
        "cold_p50": seconds(&mut cold, 0.5),
        "cold_p99": seconds(&mut cold, 0.99),
        "warm_p50": seconds(&mut warm, 0.5),
        "warm_p99": seconds(&mut warm, 0.99),
    })
}
