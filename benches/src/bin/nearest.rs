//! What does a search by vector cost in the engine, how much of what is nearest does it find, and what do building,
//! filtering, opening and deleting cost?
//!
//! Through the engine's public API, without HTTP: a partition of each set ([`strongroom_benches::nearest::sets`]), one
//! passage a document, sealed into one segment, warm, one query at a time on one thread, k = 10. Time is the processor's, of
//! all threads. Recall is held against a plain scan in f32. Filters are tags that were put at the insert and keep 10 %,
//! 1 % and 0.1 % of the rows. For the deletes half of the rows go at random; compaction is a merge that leaves them
//! out. *Disk* is all of the store's folder, its log too, in multiples of the bare vectors (f32).
//!
//!     STRONGROOM_BENCH_DATA=/data cargo xtask bench nearest
//!
//! `STRONGROOM_BENCH_SETS` names other sets than `sentences,words`, `STRONGROOM_BENCH_ROWS` bounds their rows. Results are
//! left as JSON under the target folder, in `bench/nearest`, beside the vectors that the peers are measured with:
//! `cargo xtask bench peers` runs both and compares.

#![allow(clippy::print_stdout)]

use serde_json::{Value, json};
use std::fs;
use std::hint::black_box;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};
use strongroom_benches::machine::{self, describe, forget_pages, fresh_folder};
use strongroom_benches::nearest::clock::{Cost, cost, each};
use strongroom_benches::nearest::sets::{Set, bytes};
use strongroom_benches::nearest::truth::{self, K, Truth};
use strongroom_benches::{Numbers, median, parameter, stores};
use strongroom_engine::{Filter, NewDocument, Partition, Query, SearchRequest, Store, StoreOptions, Unit};
use strongroom_kernel::dot_rows;

/// A way to search that is measured: its name, and the recall that is asked for.
struct Setting {
    name: &'static str,
    recall: Option<f32>,
}

impl Setting {
    fn request<'a>(&self, vector: &'a [f32], filter: &'a Filter) -> SearchRequest<'a> {
        SearchRequest {
            query: Query::Vector(vector),
            unit: Unit::Documents,
            k: K,
            filter,
            similarity_min: 0.0,
            ages: None,
            recall: self.recall,
            with_content: false,
        }
    }
}

const fn asked(name: &'static str, recall: f32) -> Setting {
    Setting { name, recall: Some(recall) }
}

/// All of them, from the least effort to the most.
const SETTINGS: &[Setting] = &[
    asked("recall 0.9", 0.9),
    asked("recall 0.92", 0.92),
    asked("recall 0.96", 0.96),
    asked("recall 0.98", 0.98),
    asked("recall 0.99", 0.99),
    asked("recall 0.995", 0.995),
    Setting { name: "exact", recall: None },
];

/// Tags, and which of a thousand rows has one.
const TAGS: [(&str, u64); 3] = [("tenth", 100), ("hundredth", 10), ("thousandth", 1)];
/// Documents of one write.
const BATCH: usize = 1_000;
/// Threads that delete: they share syncs.
const DELETERS: usize = 16;
/// Partitions that most tenants have.
const SMALL: [usize; 2] = [1_000, 10_000];
/// Queries that are asked at once: as many as peers are.
const TOGETHER: usize = 64;
/// A plain scan's queries, the middle one of which counts.
const SCANS: usize = 9;
/// Components of a word.
const WORD_DIMENSION: usize = 100;

fn main() {
    let work = machine::folder("nearest");
    fs::create_dir_all(&work).expect("a folder under the target folder");
    println!("{}\n", describe(&work));
    let rows_max = parameter("STRONGROOM_BENCH_ROWS", usize::MAX);
    let wanted = std::env::var("STRONGROOM_BENCH_SETS").unwrap_or_else(|_| "sentences,words".to_owned());
    let mut measured = Vec::new();
    for name in wanted.split(',') {
        let set = match name {
            "sentences" => Set::sentences(&data(), rows_max),
            "words" => Set::words(&work.join("words.f32"), WORD_DIMENSION, rows_max),
            other => panic!("STRONGROOM_BENCH_SETS: there is no set {other}"),
        };
        measured.push(measure(&work, &set));
    }
    fs::write(work.join("sets.json"), json!(measured).to_string()).expect("a file");
}

/// The folder with the benchmarks' data; without one, says so and ends with code 2.
#[allow(clippy::print_stderr)]
fn data() -> PathBuf {
    std::env::var_os("STRONGROOM_BENCH_DATA").map(PathBuf::from).unwrap_or_else(|| {
        eprintln!(
            "STRONGROOM_BENCH_DATA is not set. Set it to a folder that holds sentences.codes.npy, sentences.scales.npy,\n\
             sentences.query-codes.npy and sentences.query-scales.npy, or leave the set out: STRONGROOM_BENCH_SETS=words"
        );
        std::process::exit(2)
    })
}

/// Everything about one set; answers the name of the folder with its results.
fn measure(work: &Path, set: &Set) -> String {
    let name = format!("{}-{}", set.name, set.row_count());
    let folder = work.join(&name);
    fs::create_dir_all(&folder).expect("a folder");
    let truths = prepare(&folder, set);
    let (begun, scanned) = (SystemTime::now(), plain_scan(set));
    let place = fresh_folder("nearest-store");
    let built = build(&place, set);
    let mut result = json!({
        "name": "Strongroom",
        "machine": describe(&folder),
        "checksum": set.checksum(),
        "measured_s": begun.duration_since(SystemTime::UNIX_EPOCH).expect("a clock").as_secs(),
        "insert": built.insert.json(),
        "seal": built.seal.json(),
        "build": {"cpu_s": built.insert.cpu + built.seal.cpu, "wall_s": built.insert.wall + built.seal.wall},
        "disk_bytes": built.disk_bytes,
        "segment_bytes": built.segment_bytes,
        "raw_bytes": set.rows.len() * 4,
        "segments": built.segments,
    });
    result["open"] = open_cold(&place, set);
    let (store, partition) = open(&place, set, StoreOptions::default());
    result["curve"] = curve(&partition, set, &truths[0], &Filter::default());
    let filtered = TAGS.iter().zip(&truths[1..]).map(|((tag, of_thousand), truth)| {
        let filter = Filter { all_tags: vec![(*tag).to_owned()], ..Filter::default() };
        json!({"keeps": *of_thousand as f64 / 1000.0, "curve": curve(&partition, set, truth, &filter)})
    });
    result["filters"] = filtered.collect();
    result["deleted"] = delete_half(&place, (store, partition), set, &truths[4]);
    machine::remove(&place);
    if set.name == "sentences" {
        result["small"] =
            SMALL.iter().filter(|rows| **rows <= set.row_count()).map(|rows| small(set, *rows)).collect();
    }
    result["plain_scan_ms"] = json!([scanned, plain_scan(set)]);
    fs::write(folder.join("engine.json"), format!("{result:#}\n")).expect("a file");
    print(set, &result);
    name
}

/// Leaves the vectors for the peers, and finds what is right: of all rows, of each tag's, and of those that survive
/// the deletes.
fn prepare(folder: &Path, set: &Set) -> Vec<Truth> {
    let rows = 0..set.row_count();
    let mut choices = vec![vec![true; set.row_count()]];
    choices.extend(TAGS.map(|(_, of_thousand)| rows.clone().map(|row| has_tag(row, of_thousand)).collect()));
    choices.push(rows.map(survives).collect());
    let file = format!("truth-{}.f32", set.checksum());
    let truths = truth::cached(&folder.join(&file), set, choices);
    fs::write(folder.join("rows.f32"), bytes(&set.rows)).expect("a file");
    fs::write(folder.join("queries.f32"), bytes(&set.queries)).expect("a file");
    let about = json!({
        "name": set.name,
        "rows": set.row_count(),
        "dimension": set.dimension,
        "queries": set.query_count(),
        "k": K,
        "tolerance": truth::TOLERANCE,
        "truth": file,
        "checksum": set.checksum(),
        "machine": describe(folder),
    });
    fs::write(folder.join("set.json"), format!("{about:#}\n")).expect("a file");
    truths
}

/// What a plain scan of all rows by one query costs, in milliseconds of the processor: how fast the machine is at the time.
fn plain_scan(set: &Set) -> f64 {
    let mut scores = vec![0.0; set.row_count()];
    let queries = 0..SCANS.min(set.query_count());
    let scans = queries.map(|query| cost(|| dot_rows(set.query(query), &set.rows, black_box(&mut scores))));
    median(scans.map(|((), cost)| cost.cpu * 1e3).collect())
}

/// Whether a row is one of so many of a thousand.
fn has_tag(row: usize, of_thousand: u64) -> bool {
    chance(row, 1) % 1000 < of_thousand
}

/// Whether a row stays when half of them are deleted.
fn survives(row: usize) -> bool {
    chance(row, 2).is_multiple_of(2)
}

fn chance(row: usize, what: u64) -> u64 {
    let mut numbers = Numbers::new((row as u64) << 8 | what);
    numbers.next_u64();
    numbers.next_u64() >> 32
}

/// A row as a document: its number is its id.
fn document(set: &Set, row: usize) -> NewDocument {
    let mut document = stores::document("", set.row(row).to_vec());
    document.id = Some(row.to_string());
    document.tags =
        TAGS.iter().filter(|(_, of)| has_tag(row, *of)).map(|(tag, _)| (*tag).to_owned()).collect();
    document
}

/// What a partition cost.
struct Built {
    insert: Cost,
    seal: Cost,
    disk_bytes: u64,
    segment_bytes: u64,
    segments: u32,
}

/// Fills a partition and seals it into one segment.
fn build(place: &Path, set: &Set) -> Built {
    let store = stores::make(place);
    let partition = stores::new_partition(&store, set.name, set.dimension);
    let ((), insert) = cost(|| put(&partition, set, set.row_count()));
    let (_, seal) = cost(|| store.flush().expect("a segment"));
    let segments = ask(&partition, set.query(0), &Filter::default(), &SETTINGS[0]).segments;
    drop((partition, store));
    let (disk_bytes, segment_bytes) = (bytes_in(place), bytes_in(&place.join("segments")));
    Built { insert, seal, disk_bytes, segment_bytes, segments }
}

/// What a folder's files take on the disk.
fn bytes_in(folder: &Path) -> u64 {
    machine::files(folder).iter().map(|file| file.metadata().expect("a file").blocks() * 512).sum()
}

fn put(partition: &Partition, set: &Set, rows: usize) {
    for first in (0..rows).step_by(BATCH) {
        let batch = (first..rows.min(first + BATCH)).map(|row| document(set, row)).collect();
        partition.put_many(batch).expect("durable");
    }
}

fn open(place: &Path, set: &Set, options: StoreOptions) -> (Store, Partition) {
    let store = stores::open_with(place, options);
    let partition = stores::partition(&store, set.name);
    (store, partition)
}

/// Opens the store and searches once, none of its files in memory.
fn open_cold(place: &Path, set: &Set) -> Value {
    forget_pages(&machine::files(place));
    let begun = Instant::now();
    let (_store, partition) = open(place, set, StoreOptions::default());
    let opened = begun.elapsed();
    ask(&partition, set.query(0), &Filter::default(), &SETTINGS[0]);
    let searched = begun.elapsed() - opened;
    json!({"open_ms": opened.as_secs_f64() * 1e3, "first_search_ms": searched.as_secs_f64() * 1e3})
}

/// What a search answered.
struct Answer {
    rows: Vec<usize>,
    segments: u32,
}

fn ask(partition: &Partition, vector: &[f32], filter: &Filter, setting: &Setting) -> Answer {
    let found = partition.search(&setting.request(vector, filter)).expect("an answer");
    let rows = found.hits.iter().map(|hit| hit.document.id.parse().expect("a row's number")).collect();
    Answer { rows, segments: found.trace.segments_opened }
}

/// Recall and time of each setting.
fn curve(partition: &Partition, set: &Set, truth: &Truth, filter: &Filter) -> Value {
    let point = |setting: &Setting| {
        let (mut recall, mut short, mut wrong) = (0.0, 0, 0);
        for query in 0..set.query_count() {
            let rows = ask(partition, set.query(query), filter, setting).rows;
            recall += truth.recall(set, query, &rows) / set.query_count() as f64;
            short += usize::from(rows.len() < truth.wanted());
            wrong += rows.iter().filter(|row| !truth.takes_part(**row)).count();
        }
        let cost = each(set.query_count(), |query| {
            let request = setting.request(set.query(query), filter);
            black_box(partition.search(black_box(&request))).expect("an answer");
        });
        json!({
            "setting": setting.name,
            "recall": recall,
            "qps": 1.0 / cost.cpu,
            "cpu_us": cost.cpu * 1e6,
            "wall_us": cost.wall * 1e6,
            "matches": truth.matches(),
            "short_answers": short,
            "wrong_hits": wrong,
        })
    };
    SETTINGS.iter().map(point).collect()
}

/// Deletes half of the rows, searches, lets the deleted expire, merges without them, and searches again.
fn delete_half(place: &Path, (store, partition): (Store, Partition), set: &Set, truth: &Truth) -> Value {
    let doomed: Vec<usize> = (0..set.row_count()).filter(|row| !survives(*row)).collect();
    let ((), deletes) = cost(|| {
        std::thread::scope(|threads| {
            for rows in doomed.chunks(doomed.len().div_ceil(DELETERS).max(1)) {
                let partition = &partition;
                threads.spawn(move || {
                    rows.iter().for_each(|row| partition.delete(&row.to_string()).expect("durable"))
                });
            }
        });
    });
    let before = curve(&partition, set, truth, &Filter::default());
    drop((partition, store));
    let (store, partition) = open(place, set, StoreOptions { retention_ms: 0, ..StoreOptions::default() });
    ask(&partition, set.query(0), &Filter::default(), &SETTINGS[0]);
    let (compacted, compaction) = cost(|| store.flush().expect("a merge").compacted);
    assert_eq!(compacted, 1, "what was deleted is merged away");
    let after = curve(&partition, set, truth, &Filter::default());
    json!({
        "rows": doomed.len(),
        "deletes": deletes.json(),
        "compaction": compaction.json(),
        "before_compaction": before,
        "after_compaction": after,
    })
}

/// Exact search in a small partition.
fn small(set: &Set, rows: usize) -> Value {
    let place = fresh_folder("nearest-store");
    let store = stores::make(&place);
    let partition = stores::new_partition(&store, set.name, set.dimension);
    put(&partition, set, rows);
    store.flush().expect("a segment");
    let filter = Filter::default();
    let points = SETTINGS.iter().map(|setting| {
        let ask = |query| {
            let request = setting.request(set.query(query), &filter);
            black_box(partition.search(black_box(&request))).expect("an answer");
        };
        (0..set.query_count()).for_each(ask);
        let cost = each(set.query_count(), ask);
        json!({"setting": setting.name, "cpu_us": cost.cpu * 1e6, "wall_us": cost.wall * 1e6})
    });
    let points = points.chain([together(&partition, set, &filter)]);
    let result = json!({"rows": rows, "curve": points.collect::<Value>()});
    drop((partition, store));
    machine::remove(&place);
    result
}

/// What one of [`TOGETHER`] exact searches costs that are asked at once.
fn together(partition: &Partition, set: &Set, filter: &Filter) -> Value {
    let exact = Setting { name: "exact", recall: None };
    let requests: Vec<_> =
        (0..set.query_count()).map(|query| exact.request(set.query(query), filter)).collect();
    let batches: Vec<_> = requests.chunks(TOGETHER).collect();
    let cost = each(batches.len(), |batch| {
        black_box(partition.search_many(black_box(batches[batch]))).expect("answers");
    });
    let cpu_us = cost.cpu * 1e6 * batches.len() as f64 / requests.len() as f64;
    let wall_us = cost.wall * 1e6 / TOGETHER.min(requests.len()) as f64;
    json!({"setting": format!("exact, {TOGETHER} at once"), "cpu_us": cpu_us, "wall_us": wall_us})
}

fn print(set: &Set, result: &Value) {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let (disk, raw) = (number(&result["disk_bytes"]), number(&result["raw_bytes"]));
    let beside = number(&result["segment_bytes"]) - raw;
    println!("## {}: {} rows of {} components\n", set.name, set.row_count(), set.dimension);
    println!(
        "Build {:.2} s of the processor ({:.2} s of it sealing), {:.2} s of the wall; {} segment; disk {:.3} × raw, {:.0} bytes \
         a row in the segment beside the originals; open {:.1} ms, first search {:.1} ms, nothing in memory; {} deletes {:.2} s, compaction \
         {:.2} s of the processor.\n",
        number(&result["build"]["cpu_s"]),
        number(&result["seal"]["cpu_s"]),
        number(&result["build"]["wall_s"]),
        result["segments"],
        disk / raw,
        beside / set.row_count() as f64,
        number(&result["open"]["open_ms"]),
        number(&result["open"]["first_search_ms"]),
        result["deleted"]["rows"],
        number(&result["deleted"]["deletes"]["wall_s"]),
        number(&result["deleted"]["compaction"]["cpu_s"]),
    );
    println!(
        "| search | setting | recall@10 | CPU µs | wall p50 µs | too few | wrong |\n|---|---|---|---|---|---|---|"
    );
    let mut lines = vec![("all rows".to_owned(), &result["curve"])];
    for filter in result["filters"].as_array().into_iter().flatten() {
        lines.push((format!("a filter that keeps {} %", number(&filter["keeps"]) * 100.0), &filter["curve"]));
    }
    lines.push(("half deleted".to_owned(), &result["deleted"]["before_compaction"]));
    lines.push(("half deleted, compacted".to_owned(), &result["deleted"]["after_compaction"]));
    for small in result["small"].as_array().into_iter().flatten() {
        lines.push((format!("partition of {}", small["rows"]), &small["curve"]));
    }
    let text = |value: &Value| if value.is_null() { "–".to_owned() } else { value.to_string() };
    for (what, curve) in lines {
        for point in curve.as_array().into_iter().flatten() {
            let recall =
                point["recall"].as_f64().map_or_else(|| "–".to_owned(), |recall| format!("{recall:.4}"));
            println!(
                "| {what} | {} | {recall} | {:.1} | {:.1} | {} | {} |",
                point["setting"].as_str().unwrap_or_default(),
                number(&point["cpu_us"]),
                number(&point["wall_us"]),
                text(&point["short_answers"]),
                text(&point["wrong_hits"]),
            );
        }
    }
    println!();
}
