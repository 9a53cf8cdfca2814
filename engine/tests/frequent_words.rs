//! A partition in lists, searched by meaning and by a word that many of its passages have.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    CollectionSpec, Filter, Fusion, NewDocument, NewPassage, OperatorScope, Partition, PartitionRef, Passage,
    Query, Reach, RootKey, Scope, SearchRequest, Store, StoreOptions, Unit, WorkspaceId,
};

const DIMENSION: usize = 24;
const ROWS: usize = 40_000;

fn vector(topic: usize, seed: usize) -> Vec<f32> {
    let draw = |seed: usize, at: usize| {
        let mixed = (seed * 64 + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) as u32 as f32 / 2.0_f32.powi(31) - 1.0
    };
    (0..DIMENSION).map(|at| draw(topic + 1_000_000, at) + 0.8 * draw(seed, at)).collect()
}

/// Of so many passages one has each of these words.
const WORDS: [(&str, usize); 4] = [("squid", 97), ("whale", 23), ("cod", 11), ("crab", 3)];

fn text(row: usize) -> String {
    let own = WORDS.iter().filter(|(_, of)| (row * 7919 + 13).is_multiple_of(*of)).map(|(word, _)| *word);
    std::iter::once("sea").chain(own).collect::<Vec<_>>().join(" ")
}

fn found(partition: &Partition, vector: &[f32], words: &str, recall: Option<f32>) -> HashSet<String> {
    let filter = Filter::default();
    let request = SearchRequest {
        query: Query::Hybrid { vector, words, fusion: Fusion::Sum },
        unit: Unit::Passages,
        k: 10,
        filter: &filter,
        similarity_min: 0.0,
        recall,
        ages: None,
        with_content: false,
    };
    let response = partition.search(&request).unwrap();
    assert_eq!(response.trace.exact, recall.is_none());
    response.hits.into_iter().map(|hit| hit.document.id).collect()
}

/// Lost otherwise: what means nearly the same and has the word would be missing, because it is neither among the nearest of
/// all nor among the first that have the word.
#[test]
fn the_nearest_of_those_with_a_frequent_word_are_found() {
    let sim = Sim::new(1);
    let options = StoreOptions { flush_bytes: 1 << 30, ..StoreOptions::default() };
    let store = Store::open(sim.restart(), RootKey([1; 32]), options).unwrap();
    let workspace = WorkspaceId([7; 16]);
    store.create_workspace(&OperatorScope::grant(), workspace).unwrap();
    let scope = Scope::grant(workspace, Reach::Workspace);
    let at = PartitionRef { collection: "default".to_owned(), partition: None };
    let spec = CollectionSpec::cosine(DIMENSION as u32);
    let partition = store.partition_for_write(&scope, &at, spec).unwrap();
    for batch in (0..ROWS).collect::<Vec<_>>().chunks(1000) {
        let documents = batch.iter().map(|&row| NewDocument {
            id: Some(format!("{row:05}")),
            passages: vec![NewPassage { text: Passage::Own(text(row)), vector: vector(row % 200, row) }],
            ..NewDocument::default()
        });
        partition.put_many(documents.collect()).unwrap();
    }
    store.flush().unwrap();
    for (word, of) in WORDS {
        let mut common = 0;
        for query in 0..20 {
            let query = vector(query * 7 % 200, ROWS + query);
            let exact = found(&partition, &query, word, None);
            common += exact.intersection(&found(&partition, &query, word, Some(0.95))).count();
        }
        assert!(common >= 185, "{common} of 200 with a word that one in {of} has");
    }
}
