//! What do words cost: a search by them, by vectors and by both; a flush; and room on the disk?
//!
//! Partitions of 1,000, 10,000 and 100,000 passages of 60 words, drawn from 20,000 as often as words are in texts (the n-th
//! most frequent 1/n as often as the first), with vectors of 256 components, sealed, warm. Queries have four words of the
//! same kind; k = 10. Beside them SQLite's FTS5 (Porter stemmer, its own BM25, any of the words) over the same texts and
//! queries in the same run, warm as well. p50 of 200 queries; ratios are to FTS5, and to the search by vectors.
//!
//!     cargo xtask bench words

#![allow(clippy::print_stdout)]

use rusqlite::Connection;
use std::hint::black_box;
use std::time::{Duration, Instant};
use strongroom_benches::machine::{describe, files, fresh_folder, remove};
use strongroom_benches::{Numbers, parameter, percentile, stores};
use strongroom_engine::{Filter, Fusion, Partition, Query, SearchRequest, Unit};

const DIMENSION: usize = 256;
const WORDS: usize = 60;
const VOCABULARY: f64 = 20_000.0;
const QUERIES: usize = 200;

fn main() {
    let folder = fresh_folder("words");
    println!("{}\n", describe(&folder));
    let rows_max = parameter("STRONGROOM_BENCH_ROWS", 100_000);
    println!(
        "| passages | FTS5 | words | ratio | vector | both | ratio | flush | texts | with words | without |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for rows in [1_000, 10_000, 100_000].into_iter().filter(|rows| *rows <= rows_max) {
        let texts: Vec<String> =
            (0..rows).map(|row| text(&mut Numbers::new(row as u64 + 1), WORDS)).collect();
        let (partition, flush, bytes) = filled(&folder.join(format!("with-{rows}")), &texts, true);
        let (_, _, without) = filled(&folder.join(format!("without-{rows}")), &texts, false);
        let fts = fts(&folder.join(format!("{rows}.sqlite")), &texts);
        let mut numbers = Numbers::new(7);
        let queries: Vec<(String, Vec<f32>)> =
            (0..QUERIES).map(|_| (text(&mut numbers, 4), numbers.vector(DIMENSION))).collect();
        let fts = p50(&queries, |words, _| ask_fts(&fts, words));
        let by_words = p50(&queries, |words, _| ask(&partition, Query::Words(words)));
        let by_vector = p50(&queries, |_, vector| ask(&partition, Query::Vector(vector)));
        let both = p50(&queries, |words, vector| {
            ask(&partition, Query::Hybrid { vector, words, fusion: Fusion::Sum })
        });
        let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
        let texts_bytes: usize = texts.iter().map(String::len).sum();
        println!(
            "| {rows} | {fts:.0?} | {by_words:.0?} | {:.2} | {by_vector:.0?} | {both:.0?} | {:.2} | {:.2} s | {:.1} MB | {:.1} MB | {:.1} MB |",
            ratio(by_words, fts),
            ratio(both, by_vector),
            flush.as_secs_f64(),
            texts_bytes as f64 / 1e6,
            bytes as f64 / 1e6,
            without as f64 / 1e6,
        );
    }
    remove(&folder);
}

/// So many words, each as often as its rank says.
fn text(numbers: &mut Numbers, words: usize) -> String {
    let mut word = || {
        let share = (numbers.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        format!("word{}", VOCABULARY.powf(share) as u64)
    };
    (0..words).map(|_| word()).collect::<Vec<_>>().join(" ")
}

/// A sealed partition, how long its flush took, and its segments' bytes. Without words its passages have no text, but the
/// documents have the same content.
fn filled(folder: &std::path::Path, texts: &[String], with_words: bool) -> (Partition, Duration, u64) {
    std::fs::create_dir(folder).expect("a folder");
    let store = stores::make(folder);
    let partition = stores::new_partition(&store, "one", DIMENSION);
    let mut numbers = Numbers::new(5);
    for batch in texts.chunks(1000) {
        let document = |text: &String| {
            let mut document = stores::document(text, numbers.vector(DIMENSION));
            if !with_words {
                document.passages[0].text = strongroom_engine::Passage::Range { start: 0, end: 0 };
            }
            document
        };
        partition.put_many(batch.iter().map(document).collect()).expect("durable");
    }
    let begun = Instant::now();
    store.flush().expect("segments");
    let flush = begun.elapsed();
    let bytes =
        files(&folder.join("segments")).iter().map(|file| file.metadata().expect("a file").len()).sum();
    // The partition's handle keeps the store's medium open.
    (partition, flush, bytes)
}

fn fts(path: &std::path::Path, texts: &[String]) -> Connection {
    let mut db = Connection::open(path).expect("a database");
    db.execute_batch("CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = 'porter unicode61')")
        .expect("FTS5");
    let fill = db.transaction().expect("a transaction");
    for text in texts {
        fill.execute("INSERT INTO texts (text) VALUES (?1)", [text]).expect("a row");
    }
    fill.commit().expect("durable");
    db.execute("INSERT INTO texts (texts) VALUES ('optimize')", []).expect("one index");
    db
}

fn ask_fts(db: &Connection, words: &str) {
    let any = words.split(' ').collect::<Vec<_>>().join(" OR ");
    let mut ask = db
        .prepare_cached("SELECT rowid FROM texts WHERE texts MATCH ?1 ORDER BY rank LIMIT 10")
        .expect("a statement");
    let found = ask.query_map([any], |row| row.get::<_, i64>(0)).expect("an answer").count();
    black_box(found);
}

fn ask(partition: &Partition, query: Query<'_>) {
    let filter = Filter::default();
    let request = SearchRequest {
        query,
        unit: Unit::Documents,
        k: 10,
        filter: &filter,
        similarity_min: 0.0,
        ages: None,
        recall: None,
        with_content: false,
    };
    // Four rare words may be in no passage.
    black_box(partition.search(&request)).expect("an answer");
}

fn p50(queries: &[(String, Vec<f32>)], ask: impl Fn(&str, &[f32])) -> Duration {
    let pass = || -> Vec<Duration> {
        queries
            .iter()
            .map(|(words, vector)| {
                let begun = Instant::now();
                ask(words, vector);
                begun.elapsed()
            })
            .collect()
    };
    pass();
    percentile(&mut pass(), 0.5)
}
