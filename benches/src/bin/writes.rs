//! How many acknowledged writes a second, beside SQLite, qdrant-edge and lancedb on the same disk?
//!
//! Documents of one short text, two tags and a vector of 384 components, the same for all, are written one by
//! one (by 1 and by 16 writers, all into one partition or table) and in batches of 500. A figure is documents
//! a second, the median of three rounds in which all take turns, each round in a fresh folder under the
//! target folder. A round ends with the documents (20,000) or after STRONGROOM_BENCH_SECONDS (4); at its end
//! each store must hold what it acknowledged. The ratio is to SQLite's figure of the same case.
//!
//! What an acknowledgement promises differs:
//! - **Strongroom** through the engine's public API: sealed, in the log, after the log's fdatasync, which
//!   concurrent writers share. Flushing to segments is done by a writer when it is due, and counts.
//! - **SQLite** from Rust (so without an interpreter's cost), WAL, `synchronous=FULL`: a row after the log's
//!   sync. With 16 writers in two forms, a connection each with a busy timeout, and one connection that they
//!   share behind a lock; the faster one is what the ratio is to.
//! - **qdrant-edge**: flushed after each write, and without its own log, which makes it faster (see
//!   `peers/writes.py`).
//! - **lancedb** syncs nothing on a local disk: it promises less than the others.
//! - **bare file**: what the disk does: the same bytes appended to a file, with an fdatasync after each
//!   write.
//!
//!     cargo xtask bench writes

#![allow(clippy::print_stdout)]

use rusqlite::{Connection, params};
use serde_json::json;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use strongroom_benches::machine::{describe, figure, figures, fresh_folder, remove};
use strongroom_benches::{Numbers, median, parameter, stores};
use strongroom_engine::NewDocument;

const DIMENSION: usize = 384;
const DOCUMENTS: usize = 20_000;
const BATCH: usize = 500;
const ROUNDS: usize = 3;

/// What is written, as bytes that each contestant takes in its own way.
struct Document {
    id: String,
    text: String,
    tags: [String; 2],
    vector: Vec<f32>,
}

/// One column of the table.
#[derive(Clone, Copy)]
struct Case {
    writers: usize,
    each: usize,
}

const CASES: [Case; 3] =
    [Case { writers: 1, each: 1 }, Case { writers: 16, each: 1 }, Case { writers: 1, each: BATCH }];

/// One line of the table: its name, and what it does in a case. `Err` says why it can't.
type Run = dyn Fn(&Bench, Case, &Path) -> Result<f64, &'static str>;

/// What all contestants are given.
struct Bench {
    folder: std::path::PathBuf,
    documents: Vec<Document>,
    window: Duration,
    python: Option<std::ffi::OsString>,
}

fn main() {
    let bench = Bench::prepare();
    let contestants: [(&str, &Run); 6] = [
        ("SQLite, a connection each", &|bench, case, folder| sqlite(bench, case, folder, case.writers)),
        ("SQLite, one connection behind a lock", &|bench, case, folder| match case.writers {
            1 => Err("one writer alone needs no lock"),
            _ => sqlite(bench, case, folder, 1),
        }),
        ("Strongroom", &strongroom),
        ("qdrant-edge, flush after each write", &|bench, case, folder| peer(bench, case, folder, "qdrant")),
        ("lancedb (never syncs)", &|bench, case, folder| peer(bench, case, folder, "lancedb")),
        ("bare file, append and fdatasync", &bare),
    ];
    let mut table: Vec<Vec<Result<f64, &'static str>>> = vec![Vec::new(); contestants.len()];
    for case in CASES {
        let mut rounds: Vec<Vec<Result<f64, &'static str>>> = vec![Vec::new(); contestants.len()];
        for _ in 0..ROUNDS {
            for (line, (_, run)) in contestants.iter().enumerate() {
                let folder = bench.folder.join("round");
                fs::create_dir(&folder).expect("a folder");
                rounds[line].push(run(&bench, case, &folder));
                remove(&folder);
            }
        }
        for (line, figures) in rounds.into_iter().enumerate() {
            table[line].push(figures.into_iter().collect::<Result<Vec<f64>, _>>().map(median));
        }
    }
    print(&bench, &contestants.map(|(name, _)| name), &table);
    remove(&bench.folder);
}

fn print(bench: &Bench, names: &[&str], table: &[Vec<Result<f64, &'static str>>]) {
    println!("{}\n", describe(&bench.folder));
    println!("| documents a second | 1 writer | ratio | 16 writers | ratio | batches of {BATCH} | ratio |");
    println!("|---|---|---|---|---|---|---|");
    let mut reasons = Vec::new();
    for (name, figures) in names.iter().zip(table) {
        let mut line = format!("| {name} ");
        for (case, figure) in figures.iter().enumerate() {
            let sqlite = table[..2].iter().filter_map(|line| line[case].as_ref().ok());
            let base = sqlite.fold(0.0_f64, |best, figure| best.max(*figure));
            match figure {
                Ok(figure) => line += &format!("| {figure:.0} | {:.2} ", figure / base),
                Err(why) => {
                    line += "| – | ";
                    if !reasons.contains(&(*name, *why)) {
                        reasons.push((*name, *why));
                    }
                }
            }
        }
        println!("{line}|");
    }
    println!();
    for (name, why) in reasons {
        println!("- {name}: – where {why}.");
    }
}

impl Bench {
    /// Makes the documents and lays them down for the peers.
    fn prepare() -> Self {
        let folder = fresh_folder("writes");
        let mut numbers = Numbers::new(5);
        let documents: Vec<Document> = (0..DOCUMENTS)
            .map(|number| Document {
                id: format!("document-{number:06}"),
                text: format!(
                    "a short text such as a memory or a passage of a larger document may be, {number}"
                ),
                tags: [format!("of {}", number % 10), format!("of {}", 10 + number % 100)],
                vector: numbers.vector(DIMENSION),
            })
            .collect();
        let mut lines = String::new();
        let mut vectors = Vec::new();
        for document in &documents {
            lines += &json!({"id": document.id, "text": document.text, "tags": document.tags}).to_string();
            lines.push('\n');
            vectors.extend(bytes(&document.vector));
        }
        fs::write(folder.join("documents.jsonl"), lines).expect("a file");
        fs::write(folder.join("vectors.f32"), vectors).expect("a file");
        let window = Duration::from_secs(parameter("STRONGROOM_BENCH_SECONDS", 4) as u64);
        Self { folder, documents, window, python: std::env::var_os("STRONGROOM_BENCH_PYTHON") }
    }

    /// Lets the writers take piece after piece of the documents, and answers how many a second were
    /// acknowledged, and how many in all.
    fn drive<W: FnMut(usize) + Send>(&self, case: Case, writers: Vec<W>) -> (f64, usize) {
        let pieces = self.documents.len() / case.each;
        let (next, acknowledged) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for mut write in writers {
                let (next, acknowledged) = (&next, &acknowledged);
                scope.spawn(move || {
                    while begun.elapsed() < self.window {
                        let piece = next.fetch_add(1, Ordering::Relaxed);
                        if piece >= pieces {
                            break;
                        }
                        write(piece);
                        acknowledged.fetch_add(case.each, Ordering::Relaxed);
                    }
                });
            }
        });
        let acknowledged = acknowledged.into_inner();
        (acknowledged as f64 / begun.elapsed().as_secs_f64(), acknowledged)
    }

    fn piece(&self, case: Case, piece: usize) -> &[Document] {
        &self.documents[piece * case.each..(piece + 1) * case.each]
    }
}

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|component| component.to_le_bytes()).collect()
}

fn strongroom(bench: &Bench, case: Case, folder: &Path) -> Result<f64, &'static str> {
    let store = stores::make(folder);
    let partition = stores::new_partition(&store, "documents", DIMENSION);
    let prepared: Vec<Mutex<Vec<NewDocument>>> =
        bench.documents.chunks(case.each).map(|piece| Mutex::new(piece.iter().map(new).collect())).collect();
    let writers = (0..case.writers)
        .map(|writer| {
            let (store, partition, prepared) = (&store, &partition, &prepared);
            move |piece: usize| {
                let mut piece = prepared[piece].lock().unwrap_or_else(PoisonError::into_inner);
                partition.put_many(std::mem::take(&mut piece)).expect("durable");
                if writer == 0 {
                    stores::maintain(store);
                }
            }
        })
        .collect();
    let (rate, acknowledged) = bench.drive(case, writers);
    assert_eq!(stores::documents(&store), acknowledged as u64, "a document is missing");
    Ok(rate)
}

fn new(document: &Document) -> NewDocument {
    NewDocument {
        id: Some(document.id.clone()),
        tags: document.tags.to_vec(),
        ..stores::document(&document.text, document.vector.clone())
    }
}

fn sqlite(bench: &Bench, case: Case, folder: &Path, connections: usize) -> Result<f64, &'static str> {
    let open = || {
        let connection = Connection::open(folder.join("documents.sqlite")).expect("SQLite");
        connection.busy_timeout(Duration::from_secs(60)).expect("a timeout");
        connection.pragma_update(None, "journal_mode", "WAL").expect("WAL");
        connection.pragma_update(None, "synchronous", "FULL").expect("FULL");
        connection
    };
    let first = open();
    let table = "CREATE TABLE documents (id TEXT PRIMARY KEY, text TEXT, tags TEXT, vector BLOB)";
    first.execute_batch(table).expect("a table");
    let others = (1..connections).map(|_| open());
    let connections: Vec<Mutex<Connection>> = std::iter::once(first).chain(others).map(Mutex::new).collect();
    let rows: Vec<(String, Vec<u8>)> =
        bench.documents.iter().map(|d| (d.tags.join("\n"), bytes(&d.vector))).collect();
    let writers = (0..case.writers)
        .map(|writer| {
            let (connections, rows) = (&connections, &rows);
            move |piece: usize| {
                let connection = &connections[writer % connections.len()];
                let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                // Of one statement alone, SQLite makes a transaction itself.
                let batch =
                    (case.each > 1).then(|| connection.unchecked_transaction().expect("a transaction"));
                let statement = "INSERT INTO documents VALUES (?, ?, ?, ?)";
                let mut statement = connection.prepare_cached(statement).expect("a statement");
                for (document, row) in bench.piece(case, piece).iter().zip(&rows[piece * case.each..]) {
                    let values = params![document.id, document.text, row.0, row.1];
                    statement.execute(values).expect("durable");
                }
                if let Some(batch) = batch {
                    batch.commit().expect("durable");
                }
            }
        })
        .collect();
    let (rate, acknowledged) = bench.drive(case, writers);
    let connection = connections[0].lock().unwrap_or_else(PoisonError::into_inner);
    let held = connection.query_row("SELECT count(*) FROM documents", [], |row| row.get(0));
    assert_eq!(held, Ok(acknowledged as i64), "a document is missing");
    Ok(rate)
}

fn bare(bench: &Bench, case: Case, folder: &Path) -> Result<f64, &'static str> {
    if case.writers > 1 {
        return Err("many writers would share syncs, which is what the others are measured for");
    }
    let mut file = File::create(folder.join("bare")).expect("a file");
    let write = |piece: usize| {
        let mut record = Vec::new();
        for document in bench.piece(case, piece) {
            record.extend_from_slice(document.id.as_bytes());
            record.extend_from_slice(document.text.as_bytes());
            record.extend(bytes(&document.vector));
        }
        file.write_all(&record).expect("a disk");
        file.sync_data().expect("a disk");
    };
    Ok(bench.drive(case, vec![write]).0)
}

fn peer(bench: &Bench, case: Case, folder: &Path, name: &str) -> Result<f64, &'static str> {
    let Some(python) = &bench.python else {
        return Err("its environment is missing: `cargo xtask bench writes` makes it");
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/writes.py");
    let printed = figures(
        Command::new(python)
            .arg("-B")
            .arg(script)
            .args([name, if case.each > 1 { "batch" } else { "single" }])
            .arg(case.writers.to_string())
            .arg(bench.window.as_secs().to_string())
            .arg(folder.join("store"))
            .arg(bench.folder.join("documents.jsonl"))
            .arg(bench.folder.join("vectors.f32")),
    );
    let acknowledged = figure(&printed, "documents");
    assert_eq!(figure(&printed, "held"), acknowledged, "{name} lost a document");
    Ok(acknowledged / figure(&printed, "seconds"))
}
