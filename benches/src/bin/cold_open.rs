//! What would a cold search gain or lose if segments were mapped instead of read?
//!
//! Two stores: 20,000 partitions of 10 documents, and 200 of 2,000 (384 components both). Each is opened in a fresh
//! process, and 200 partitions (all of the latter) are searched for the first time. In turns, five rounds:
//!
//! - **read**: as the engine does it, by position into its cache.
//! - **map**: each segment file mapped as a whole when it is first touched, kept mapped, and ranges copied from there: a
//!   medium of this program's. The engine itself never serves so (`docs/decisions/0005-storage-engine.md`).
//!
//! With the files in the system's memory, and after the system was asked to forget them. A figure is the median
//! of the rounds; the ratio is to `read`.
//!
//!     cargo xtask bench cold_open

#![allow(clippy::print_stdout)]

use serde_json::{Value, json};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use strongroom_benches::machine::{
    describe, figure, figures, files, forget_pages, fresh_folder, myself, remove,
};
use strongroom_benches::{Numbers, median, percentile, stores};
use strongroom_engine::io::{BlobStore, Erased, Mapped, Result, disk};

const DIMENSION: usize = 384;
const SEARCHED: usize = 200;
const ROUNDS: usize = 5;
/// Partitions and documents in each.
const STORES: [(usize, usize); 2] = [(20_000, 10), (SEARCHED, 2_000)];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => run(),
        [way @ ("read" | "map"), folder] => println!("{}", measure(Path::new(folder), way == "map")),
        _ => panic!("it runs itself with read or map and a folder"),
    }
}

fn run() {
    let folder = fresh_folder("cold-open");
    println!("{}\n", describe(&folder));
    println!("| partitions × documents | files | | read | map | ratio |\n|---|---|---|---|---|---|");
    for (partitions, rows) in STORES {
        let store = folder.join(format!("of-{rows}"));
        std::fs::create_dir(&store).expect("a folder");
        make(&store, partitions, rows);
        for (files_are, forget) in [("in memory", false), ("on disk", true)] {
            let mut measured: [Vec<Value>; 2] = Default::default();
            for _ in 0..ROUNDS {
                for (way, measured) in ["read", "map"].iter().zip(&mut measured) {
                    if forget {
                        forget_pages(&files(&store));
                    }
                    measured.push(figures(&mut myself(way, &store)));
                }
            }
            for what in ["p50", "p99", "sum"] {
                let middle = |rounds: &[Value]| median(rounds.iter().map(|one| figure(one, what)).collect());
                let [read, map] = [middle(&measured[0]), middle(&measured[1])];
                let time = Duration::from_secs_f64;
                println!(
                    "| {partitions} × {rows} | {files_are} | {what} | {:.1?} | {:.1?} | {:.2} |",
                    time(read),
                    time(map),
                    map / read
                );
            }
        }
    }
    remove(&folder);
}

fn name(partition: usize) -> String {
    format!("tenant-{partition}")
}

fn make(folder: &Path, partitions: usize, rows: usize) {
    let store = stores::make(folder);
    for number in 0..partitions {
        let mut numbers = Numbers::new(number as u64);
        let documents = (0..rows)
            .map(|row| stores::document(&format!("note {row} of {number}"), numbers.vector(DIMENSION)))
            .collect();
        stores::new_partition(&store, &name(number), DIMENSION).put_many(documents).expect("durable");
        stores::maintain(&store);
    }
    store.flush().expect("segments");
}

fn measure(folder: &Path, map: bool) -> Value {
    let mut medium = disk::medium(folder).expect("a medium");
    if map {
        medium.blobs = Arc::new(MappedBlobs { blobs: medium.blobs, maps: Mutex::default() });
    }
    let store = stores::open_on(medium);
    let partitions = stores::partitions(&store);
    let query = Numbers::new(3).vector(DIMENSION);
    let searched = (0..SEARCHED).map(|number| number * (partitions / SEARCHED));
    let mut first: Vec<Duration> =
        searched.map(|number| stores::time_search(&store, &name(number), &query)).collect();
    json!({
        "p50": percentile(&mut first, 0.5).as_secs_f64(),
        "p99": percentile(&mut first, 0.99).as_secs_f64(),
        "sum": first.iter().sum::<Duration>().as_secs_f64(),
    })
}

/// Segment files read from mappings that stay. Safe as long as nothing is erased, which this program doesn't.
struct MappedBlobs {
    blobs: Arc<dyn BlobStore>,
    maps: Mutex<HashMap<String, Arc<Mapped>>>,
}

impl MappedBlobs {
    fn mapped(&self, name: &str) -> Result<Arc<Mapped>> {
        let mut maps = self.maps.lock().expect("no panic");
        if let Some(map) = maps.get(name) {
            return Ok(Arc::clone(map));
        }
        let map = Arc::new(self.blobs.map(name)?);
        maps.insert(name.to_owned(), Arc::clone(&map));
        Ok(map)
    }
}

impl BlobStore for MappedBlobs {
    fn read(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>> {
        if !name.starts_with("segments/") {
            return self.blobs.read(name, ranges);
        }
        let map = self.mapped(name)?;
        Ok(ranges.iter().map(|range| map[range.start as usize..range.end as usize].to_vec()).collect())
    }

    fn create(&self, name: &str, pieces: &[&[u8]]) -> Result<()> {
        self.blobs.create(name, pieces)
    }

    fn settle(&self, name: &str) -> Result<()> {
        self.blobs.settle(name)
    }

    fn head(&self, name: &str) -> Result<Option<u64>> {
        self.blobs.head(name)
    }

    fn list_after(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        self.blobs.list_after(prefix, after, limit)
    }

    fn delete(&self, name: &str) -> Result<bool> {
        self.blobs.delete(name)
    }

    fn erase(&self, name: &str, _: Range<u64>) -> Result<Erased> {
        panic!("{name} is mapped and must not be erased");
    }

    fn is_zero(&self, name: &str, range: Range<u64>) -> Result<bool> {
        self.blobs.is_zero(name, range)
    }

    fn map(&self, name: &str) -> Result<Mapped> {
        self.blobs.map(name)
    }
}
