//! What do a search and an acknowledged write cost in the engine itself, without HTTP?
//!
//! On the local disk, in a temporary folder: searches by vector (384 dimensions, k = 10) in a sealed partition of 1,000, of
//! 10,000 and of 30,000 rows, warm, beside the bare scan of as many rows by the kernel; and single-document writes with 1
//! and with 16 writers, each with a sync of its own or shared. Vectors lie about a hundred topics, as those of texts do, or
//! have no order at all, which is the worst for codes.
//!
//!     cargo xtask bench engine

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};
use strongroom_benches::{Numbers, percentile};
use strongroom_engine::io::disk;
use strongroom_engine::{
    CollectionSpec, Filter, NewDocument, NewPassage, OperatorScope, Partition, PartitionName, PartitionRef,
    Passage, Query, Reach, RootKey, Scope, SearchRequest, Store, StoreOptions, Unit, WorkspaceId,
};

const DIMENSION: usize = 384;
const TOPICS: usize = 100;
const SEARCHES: usize = 2_000;
const WRITES_MAX: usize = 4_000;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let medium = disk::medium(folder.path()).expect("a medium");
    let store = Store::open(medium, RootKey([1; 32]), StoreOptions::default()).expect("a store");
    store.create_workspace(&OperatorScope::grant(), WorkspaceId([1; 16])).expect("a workspace");
    println!(
        "| rows | vectors | engine search p50 | p99 | bare scan p50 | ratio |\n|---|---|---|---|---|---|"
    );
    let cases = [1_000, 10_000, 30_000].into_iter().flat_map(|rows| [(rows, TOPICS), (rows, 0)]);
    for (rows, topics) in cases {
        let partition = filled(&store, rows, topics);
        let mut numbers = Numbers::new(3);
        let queries: Vec<Vec<f32>> = (0..64).map(|_| vector(&mut numbers, topics)).collect();
        let bare: Vec<f32> = numbers.vector(DIMENSION * rows);
        let mut scores = vec![0.0; rows];
        let (mut searches, mut scans) = (Vec::new(), Vec::new());
        for number in 0..SEARCHES {
            let query = &queries[number % queries.len()];
            searches.push(timed(|| search(&partition, query)));
            scans.push(timed(|| {
                strongroom_kernel::dot_rows(query, &bare, &mut scores);
                black_box(&scores);
            }));
        }
        let (p50, p99) = (percentile(&mut searches, 0.5), percentile(&mut searches, 0.99));
        let scan = percentile(&mut scans, 0.5);
        let ratio = p50.as_secs_f64() / scan.as_secs_f64();
        let order = if topics == 0 { "without order" } else { "about topics" };
        println!("| {rows} | {order} | {p50:.1?} | {p99:.1?} | {scan:.1?} | {ratio:.2} |");
    }
    println!("\n| writers | acknowledged single-document writes a second |\n|---|---|");
    for writers in [1, 16] {
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for writer in 0..writers {
                let store = &store;
                scope.spawn(move || write(store, writer, WRITES_MAX / writers));
            }
        });
        println!("| {writers} | {:.0} |", WRITES_MAX as f64 / begun.elapsed().as_secs_f64());
    }
}

fn open(store: &Store, name: &str) -> Partition {
    let scope = Scope::grant(WorkspaceId([1; 16]), Reach::Workspace);
    let partition = Some(PartitionName::new(name).expect("a name"));
    let at = PartitionRef { collection: "default".to_owned(), partition };
    store.partition_for_write(&scope, &at, CollectionSpec::cosine(DIMENSION as u32)).expect("a partition")
}

/// About one of so many topics, so that two about the same have a cosine of about 0.67; without topics anywhere.
fn vector(numbers: &mut Numbers, topics: usize) -> Vec<f32> {
    let mut vector = numbers.vector(DIMENSION);
    if topics > 0 {
        let topic = Numbers::new(1000 + numbers.next_u64() % topics as u64).vector(DIMENSION);
        vector.iter_mut().zip(topic).for_each(|(x, t)| *x = 0.7 * *x + t);
    }
    vector
}

fn document(numbers: &mut Numbers, topics: usize) -> NewDocument {
    let text = "a short text such as a memory or a passage of a larger document may be";
    NewDocument {
        content_type: "text/plain".to_owned(),
        content: text.as_bytes().to_vec(),
        passages: vec![NewPassage {
            text: Passage::Range { start: 0, end: text.len() as u32 },
            vector: vector(numbers, topics),
        }],
        ..NewDocument::default()
    }
}

fn filled(store: &Store, rows: usize, topics: usize) -> Partition {
    let partition = open(store, &format!("of {rows} about {topics}"));
    let mut numbers = Numbers::new(rows as u64);
    let documents = (0..rows).map(|_| document(&mut numbers, topics)).collect();
    partition.put_many(documents).expect("durable");
    store.flush().expect("a segment");
    partition
}

fn search(partition: &Partition, vector: &[f32]) {
    let filter = Filter::default();
    let request = SearchRequest {
        query: Query::Vector(vector),
        unit: Unit::Documents,
        k: 10,
        filter: &filter,
        similarity_min: 0.0,
        recall: None,
        ages: None,
        with_content: false,
    };
    assert_eq!(black_box(partition.search(&request)).expect("an answer").hits.len(), 10);
}

fn write(store: &Store, writer: usize, writes: usize) {
    let partition = open(store, &format!("writer {writer}"));
    let mut numbers = Numbers::new(writer as u64);
    for _ in 0..writes {
        partition.put(document(&mut numbers, 0)).expect("durable");
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}
