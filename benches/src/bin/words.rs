//! What do words cost: a search by them, by vectors and by both; a flush; and room on the disk?
//!
//! Partitions of 1,000, 10,000, 100,000 and 500,000 passages of 20 to 100 words, drawn from 20,000 as often as words are in texts
//! (the n-th most frequent 1/n as often as the first), with vectors of 256 components (of 500,000 passages, which `STRONGROOM_BENCH_ROWS=500000` adds, 32, and they are searched by words alone), sealed, warm. Queries
//! have four words of the same kind, or twelve, or two that are rare; k = 10. Each is asked twice, in turns: as searches read
//! postings, by their blocks, and reading all of them, and both answer the same. Beside them SQLite's FTS5 (Porter stemmer, its own
//! BM25, any of the words) over the same texts and queries in the same run, warm as well. p50 of 200 queries; ratios are to FTS5, of
//! blocks to all postings, and to the search by vectors.
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
const WORDS_MEAN: usize = 60;
const VOCABULARY: f64 = 20_000.0;
const QUERIES: usize = 200;
/// In larger partitions postings alone are measured.
const ROWS_BESIDE_OTHERS: usize = 100_000;

fn main() {
    let folder = fresh_folder("words");
    println!("{}\n", describe(&folder));
    let rows_max = parameter("STRONGROOM_BENCH_ROWS", 100_000);
    let mut by_length = vec![
        "| passages | words of a query | all postings | by blocks | ratio |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    println!(
        "| passages | FTS5 | words | ratio | vector | both | ratio | flush | texts | with words | without |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for rows in [1_000, 10_000, 100_000, 500_000].into_iter().filter(|rows| *rows <= rows_max) {
        let dimension = if rows > ROWS_BESIDE_OTHERS { 32 } else { DIMENSION };
        let draw = |row: usize| {
            let mut numbers = Numbers::new(row as u64 + 1);
            let words = WORDS_MEAN - 40 + numbers.next_u64() as usize % 81;
            text(&mut numbers, words, 0.0)
        };
        let texts: Vec<String> = (0..rows).map(draw).collect();
        let (partition, flush, bytes) = filled(&folder.join(format!("with-{rows}")), &texts, dimension, true);
        for (kind, words, rarest) in [("2, rare", 2, 0.5), ("4", 4, 0.0), ("12", 12, 0.0)] {
            let mut numbers = Numbers::new(11);
            let queries: Vec<(String, Vec<f32>)> =
                (0..QUERIES).map(|_| (text(&mut numbers, words, rarest), Vec::new())).collect();
            for (words, _) in &queries {
                same(&partition, words);
            }
            let whole = p50(&queries, |words, _| ask_whole(&partition, words));
            let blocks = p50(&queries, |words, _| ask(&partition, Query::Words(words)));
            let ratio = blocks.as_secs_f64() / whole.as_secs_f64();
            by_length.push(format!("| {rows} | {kind} | {whole:.0?} | {blocks:.0?} | {ratio:.2} |"));
        }
        if rows > ROWS_BESIDE_OTHERS {
            continue;
        }
        let (_, _, without) = filled(&folder.join(format!("without-{rows}")), &texts, dimension, false);
        let fts = fts(&folder.join(format!("{rows}.sqlite")), &texts);
        let mut numbers = Numbers::new(7);
        let queries: Vec<(String, Vec<f32>)> =
            (0..QUERIES).map(|_| (text(&mut numbers, 4, 0.0), numbers.vector(dimension))).collect();
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
    println!("\n{}", by_length.join("\n"));
    remove(&folder);
}

/// So many words, each as often as its rank says, of those that this share of all occurrences is more frequent than.
fn text(numbers: &mut Numbers, words: usize, rarest: f64) -> String {
    let mut word = || {
        let share = (numbers.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        format!("word{}", VOCABULARY.powf(rarest + (1.0 - rarest) * share) as u64)
    };
    (0..words).map(|_| word()).collect::<Vec<_>>().join(" ")
}

/// A sealed partition, how long its flush took, and its segments' bytes. Without words its passages have no text, but the
/// documents have the same content.
fn filled(
    folder: &std::path::Path,
    texts: &[String],
    dimension: usize,
    with_words: bool,
) -> (Partition, Duration, u64) {
    std::fs::create_dir(folder).expect("a folder");
    let store = stores::make(folder);
    let partition = stores::new_partition(&store, "one", dimension);
    let mut numbers = Numbers::new(5);
    for batch in texts.chunks(1000) {
        let document = |text: &String| {
            let mut document = stores::document(text, numbers.vector(dimension));
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

fn request<'a>(query: Query<'a>, filter: &'a Filter) -> SearchRequest<'a> {
    SearchRequest {
        query,
        unit: Unit::Documents,
        k: 10,
        filter,
        similarity_min: 0.0,
        ages: None,
        recall: None,
        with_content: false,
    }
}

fn ask(partition: &Partition, query: Query<'_>) {
    // Four rare words may be in no passage.
    black_box(partition.search(&request(query, &Filter::default()))).expect("an answer");
}

fn ask_whole(partition: &Partition, words: &str) {
    black_box(partition.search_whole(&request(Query::Words(words), &Filter::default()))).expect("an answer");
}

/// Both ways to read postings answer the same.
fn same(partition: &Partition, words: &str) {
    let filter = Filter::default();
    let request = request(Query::Words(words), &filter);
    let [blocks, whole] = [partition.search(&request), partition.search_whole(&request)].map(|answer| {
        let hits = answer.expect("an answer").hits;
        hits.into_iter().map(|hit| (hit.document.id, hit.score.to_bits())).collect::<Vec<_>>()
    });
    assert_eq!(blocks, whole, "{words}");
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
