//! Several searches of one partition at once: each answers what it would alone.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    Ageing, Ages, CollectionSpec, Filter, Fusion, Metric, NewDocument, NewPassage, OperatorScope, Partition,
    PartitionRef, Passage, Query, Reach, ReadError, RootKey, Scope, SearchRequest, Store, StoreOptions, Unit,
    WorkspaceId,
};

const DIMENSION: usize = 40;
const WORDS: [&str; 5] = ["whale", "cod", "squid", "ray", "eel"];

/// Vectors about some topics, so that some rows are near a query and most are not.
fn vector(topic: usize, seed: usize) -> Vec<f32> {
    let draw = |seed: usize, at: usize| {
        let mixed = (seed * 64 + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) as u32 as f32 / 2.0_f32.powi(31) - 1.0
    };
    (0..DIMENSION).map(|at| draw(topic + 1_000_000, at) + 0.8 * draw(seed, at)).collect()
}

fn document(number: usize) -> NewDocument {
    let passage = |passage: usize| NewPassage {
        text: Passage::Own(format!("{} {}", WORDS[number % 5], WORDS[(number / 5 + passage) % 5])),
        vector: vector(number % 30, number * 3 + passage),
    };
    NewDocument {
        id: Some(format!("{number:05}")),
        tags: [(3, "third"), (50, "fiftieth")]
            .into_iter()
            .filter(|(of, _)| number.is_multiple_of(*of))
            .map(|(_, tag)| tag.to_owned())
            .collect(),
        passages: (0..1 + number % 3).map(passage).collect(),
        ..NewDocument::default()
    }
}

/// A partition whose documents lie in a segment with codes, in one without, and in the memtable; some were replaced, and some
/// are deleted.
fn filled(metric: Metric) -> (Store, Partition) {
    let options = StoreOptions { flush_bytes: 1 << 30, ..StoreOptions::default() };
    let store = Store::open(Sim::new(1).restart(), RootKey([1; 32]), options).unwrap();
    let workspace = WorkspaceId([7; 16]);
    store.create_workspace(&OperatorScope::grant(), workspace).unwrap();
    let scope = Scope::grant(workspace, Reach::Workspace);
    let at = PartitionRef { collection: "default".to_owned(), partition: None };
    let spec = CollectionSpec { dimension: DIMENSION as u32, metric };
    let partition = store.partition_for_write(&scope, &at, spec).unwrap();
    let put = |numbers: std::ops::Range<usize>| {
        for batch in numbers.collect::<Vec<_>>().chunks(500) {
            partition.put_many(batch.iter().map(|&number| document(number)).collect()).unwrap();
        }
    };
    put(0..3000);
    store.flush().unwrap();
    put(3000..3040);
    store.flush().unwrap();
    put(3040..3100);
    for number in (0..3100).filter(|number| number % 11 == 4) {
        partition.delete(&format!("{number:05}")).unwrap();
    }
    (store, partition)
}

/// Searches of every kind, in no order: many have a neighbour that they can share their reading with, and some have none.
fn requests<'a>(vectors: &'a [Vec<f32>], filters: &'a [Filter], ages: Ages) -> Vec<SearchRequest<'a>> {
    let request = |(at, vector): (usize, &'a Vec<f32>)| {
        let words = WORDS[at % 5];
        SearchRequest {
            query: match at % 7 {
                0 => Query::Hybrid { vector, words, fusion: Fusion::Sum },
                1 if at % 3 == 0 => Query::Hybrid { vector, words, fusion: Fusion::Ranks },
                2 if at % 3 == 1 => Query::Words(words),
                _ => Query::Vector(vector),
            },
            unit: if at % 4 == 1 { Unit::Passages } else { Unit::Documents },
            k: [10, 1, 100, 0, 5, 10_000][(at + at / 7) % 6],
            filter: &filters[(at / 3) % filters.len()],
            similarity_min: if at % 9 == 8 { 0.4 } else { 0.0 },
            recall: (at % 2 == 0).then_some(0.9),
            ages: (at % 10 == 9).then_some(ages),
            with_content: at % 6 == 0,
        }
    };
    vectors.iter().enumerate().map(request).collect()
}

fn filters() -> Vec<Filter> {
    let tagged = |tag: &str| Filter { all_tags: vec![tag.to_owned()], ..Filter::default() };
    // Equal ones need not be the same one.
    vec![Filter::default(), tagged("third"), Filter::default(), tagged("fiftieth"), tagged("none has it")]
}

/// Lost otherwise: a query of a batch would be answered with another one's hits, or with what was deleted, or not as it is
/// when it comes alone.
#[test]
fn searches_together_answer_what_each_does_alone() {
    for metric in [Metric::Cosine, Metric::InnerProduct, Metric::Euclidean] {
        let (store, partition) = filled(metric);
        let vectors: Vec<Vec<f32>> = (0..61).map(|query| vector(query * 7 % 30, 100_000 + query)).collect();
        let filters = filters();
        let ageing = Ageing { weight: 0.3, half_life_ms: 1000.0 };
        let ages = Ages { created: ageing, updated: ageing, now_ms: u64::MAX / 2 };
        let requests = requests(&vectors, &filters, ages);
        for _ in 0..2 {
            let together = partition.search_many(&requests).unwrap();
            assert_eq!(together.len(), requests.len());
            let mut found = 0;
            for (at, (request, response)) in requests.iter().zip(&together).enumerate() {
                let alone = partition.search(request).unwrap();
                assert_eq!(format!("{response:?}"), format!("{alone:?}"), "{metric:?}, search {at}");
                found += response.hits.len();
            }
            assert!(found > 1000, "{found} hits are too few to tell");
            // And once more from one segment.
            store.flush().unwrap();
        }
    }
}

/// Lost otherwise: an empty batch would be an error or a crash, and a batch with a vector of another model would be answered
/// in part.
#[test]
fn batches_of_none_and_of_wrong_vectors() {
    let (_store, partition) = filled(Metric::Cosine);
    assert!(partition.search_many(&[]).unwrap().is_empty());
    let (right, wrong) = (vector(1, 1), vec![1.0; DIMENSION + 1]);
    let not_a_number = vec![f32::NAN; DIMENSION];
    let filter = Filter::default();
    let request = |vector| SearchRequest {
        query: Query::Vector(vector),
        unit: Unit::Documents,
        k: 10,
        filter: &filter,
        similarity_min: 0.0,
        recall: None,
        ages: None,
        with_content: false,
    };
    let refused = partition.search_many(&[request(&right), request(&wrong), request(&right)]);
    assert!(
        matches!(refused, Err(ReadError::Dimension { expected: DIMENSION, found }) if found == DIMENSION + 1)
    );
    partition.search_many(&[request(&right), request(&not_a_number)]).expect_err("no number");
}
