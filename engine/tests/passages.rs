//! Searches that count passages, against a plain reading of all of them: in memory, in codes, in lists, by words and by both.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    Ageing, Ages, CollectionSpec, Filter, Fusion, Metric, NewDocument, NewPassage, OperatorScope, Partition,
    PartitionName, PartitionRef, Passage, Query, Reach, RootKey, Scope, SearchRequest, SearchResponse, Store,
    StoreOptions, Unit, WorkspaceId,
};
use strongroom_kernel::{Variant, dot, normalize};

const WORKSPACE: WorkspaceId = WorkspaceId([7; 16]);
const DIMENSION: usize = 24;

/// What a passage scores, its document's id, and which of it it is.
type Scored = (f32, String, u32);

fn vector(seed: usize) -> Vec<f32> {
    let draw = |seed: usize, at: usize| {
        let mixed = (seed * 64 + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) as u32 as f32 / 2.0_f32.powi(31) - 1.0
    };
    // Near one of 60 topics.
    (0..DIMENSION).map(|at| draw(seed % 60 + 1_000_000, at) + 0.5 * draw(seed, at)).collect()
}

/// Of a document one to four, some of them the same, so that scores tie.
fn vectors(document: usize) -> Vec<Vec<f32>> {
    (0..1 + document % 4).map(|passage| vector(document * 2 + passage / 2)).collect()
}

fn id(document: usize) -> String {
    format!("{document:05}")
}

/// The text of a passage of an odd document: of a few it is another one.
fn own_text(number: usize, passage: u32) -> String {
    format!("{}{passage}", if number.is_multiple_of(301) { "squid" } else { "whale" })
}

/// Even documents have ranges of their content as passages, odd ones texts of their own.
fn document(number: usize) -> NewDocument {
    let content = "whale ".repeat(5);
    let text = |passage: u32| match number % 2 {
        0 => Passage::Range { start: passage * 6, end: passage * 6 + 5 },
        _ => Passage::Own(own_text(number, passage)),
    };
    let passages = (0..).zip(vectors(number));
    NewDocument {
        id: Some(id(number)),
        content_type: "text/plain".to_owned(),
        content: content.into_bytes(),
        tags: if number.is_multiple_of(3) { vec!["third".to_owned()] } else { Vec::new() },
        passages: passages.map(|(n, vector)| NewPassage { text: text(n), vector }).collect(),
        ..NewDocument::default()
    }
}

fn open(metric: Metric) -> (Store, Partition) {
    let options = StoreOptions { flush_bytes: 1 << 30, ..StoreOptions::default() };
    let store = Store::open(Sim::new(3).restart(), RootKey([1; 32]), options).unwrap();
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).unwrap();
    let partition = Some(PartitionName::new("acme").unwrap());
    let at = PartitionRef { collection: "default".to_owned(), partition };
    let scope = Scope::grant(WORKSPACE, Reach::Workspace);
    let spec = CollectionSpec { dimension: DIMENSION as u32, metric };
    let partition = store.partition_for_write(&scope, &at, spec).unwrap();
    (store, partition)
}

fn put(partition: &Partition, numbers: std::ops::Range<usize>) {
    for batch in numbers.collect::<Vec<_>>().chunks(1000) {
        partition.put_many(batch.iter().map(|&number| document(number)).collect()).unwrap();
    }
}

fn request<'a>(query: Query<'a>, k: usize, filter: &'a Filter) -> SearchRequest<'a> {
    SearchRequest {
        query,
        unit: Unit::Passages,
        k,
        filter,
        similarity_min: 0.0,
        recall: None,
        ages: None,
        with_content: false,
    }
}

fn found(response: &SearchResponse) -> Vec<(String, u32)> {
    response.hits.iter().map(|hit| (hit.document.id.clone(), hit.passage_number)).collect()
}

/// What orders a row, by a plain kernel.
fn score(metric: Metric, query: &[f32], row: &[f32]) -> f32 {
    let unit = |vector: &[f32]| {
        let mut unit = vector.to_vec();
        normalize(&mut unit);
        unit
    };
    match metric {
        Metric::Cosine => dot(&unit(query), &unit(row)),
        Metric::InnerProduct => dot(query, row),
        Metric::Euclidean => {
            let mut squared = [0.0];
            Variant::best().squared_distance_rows(query, row, &mut squared);
            -squared[0]
        }
    }
}

/// All passages of the documents that pass, best first.
fn ranked(numbers: impl Iterator<Item = usize>, score: impl Fn(usize, &[f32]) -> f32) -> Vec<Scored> {
    let of = |number| (0..).zip(vectors(number)).map(move |(passage, vector)| (number, passage, vector));
    let mut all: Vec<Scored> = numbers
        .flat_map(of)
        .map(|(number, passage, vector)| (score(number, &vector), id(number), passage))
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (&a.1, a.2).cmp(&(&b.1, b.2))));
    all
}

fn names(ranked: &[Scored], k: usize) -> Vec<(String, u32)> {
    ranked.iter().take(k).map(|(_, id, passage)| (id.clone(), *passage)).collect()
}

fn third() -> Filter {
    Filter { all_tags: vec!["third".to_owned()], ..Filter::default() }
}

/// Searches for passages in every way that is sure to be exact.
fn check(metric: Metric, partition: &Partition, live: &[usize], seeds: &[usize], when: &str) {
    for &seed in seeds {
        let query = vector(seed);
        for (filter, each) in &[(Filter::default(), 1), (third(), 3)] {
            let numbers = || live.iter().copied().filter(|number| number.is_multiple_of(*each));
            let wanted = ranked(numbers(), |_, row| score(metric, &query, row));
            for k in [1, 3, 40, 1000] {
                let request = request(Query::Vector(&query), k, filter);
                let response = partition.search(&request).unwrap();
                assert_eq!(found(&response), names(&wanted, k), "{metric} {seed} {k} {when}");
                // Some of the nearest may be missing, but never so many that fewer come than there are.
                let quick = partition.search(&SearchRequest { recall: Some(0.9), ..request }).unwrap();
                assert_eq!(quick.hits.len(), k.min(wanted.len()), "{metric} {seed} {k} {when}");
                for hit in response.hits.iter().chain(&quick.hits) {
                    let number: usize = hit.document.id.parse().unwrap();
                    let at = hit.passage_number * 6;
                    let (range, text) = match number % 2 {
                        0 => (Some((at, at + 5)), "whale".to_owned()),
                        _ => (None, own_text(number, hit.passage_number)),
                    };
                    assert_eq!((hit.passage_range, &hit.passage), (range, &text));
                }
            }
        }
        if metric != Metric::InnerProduct {
            let told =
                |score: f32| if metric == Metric::Cosine { score } else { 1.0 / (1.0 + (-score).sqrt()) };
            let wanted = ranked(live.iter().copied(), |_, row| score(metric, &query, row));
            let similarity_min = told(wanted[7.min(wanted.len() - 1)].0);
            let enough = wanted.iter().filter(|(score, ..)| told(*score) >= similarity_min).count();
            let all = Filter::default();
            let request = SearchRequest { similarity_min, ..request(Query::Vector(&query), 1000, &all) };
            assert_eq!(
                found(&partition.search(&request).unwrap()),
                names(&wanted, enough),
                "{metric} {when}"
            );
        }
    }
}

/// Words alone, both together, and ages: scores are told, so what is told must be in order, whole, and without repeats.
fn check_words(partition: &Partition, live: &[usize], when: &str) {
    let (all, query) = (Filter::default(), vector(77));
    // Of odd documents each passage has its own word: those of the second are found by it.
    let has = |number: &&usize| *number % 2 == 1 && own_text(**number, 1) == "whale1";
    let second: Vec<(String, u32)> = live.iter().filter(has).map(|&n| (id(n), 1)).collect();
    for k in [1, 20, 100_000] {
        let mut by_words = found(&partition.search(&request(Query::Words("whale1"), k, &all)).unwrap());
        assert_eq!(by_words.len(), k.min(second.len()), "{when}");
        by_words.sort();
        assert!(by_words.iter().all(|one| second.contains(one)), "{when}");
        by_words.dedup();
        assert_eq!(by_words.len(), k.min(second.len()), "{when}: one stands twice");
    }
    let rows: usize = live.iter().map(|number| 1 + number % 4).sum();
    let ageing = |weight| Ageing { weight, half_life_ms: 1000.0 };
    let ages = Some(Ages { created: ageing(0.3), updated: ageing(0.0), now_ms: u64::MAX });
    for fusion in [Fusion::Sum, Fusion::Ranks] {
        let hybrid = Query::Hybrid { vector: &query, words: "whale1", fusion };
        for ages in [None, ages] {
            let request = SearchRequest { ages, ..request(hybrid, 60, &all) };
            let response = partition.search(&request).unwrap();
            assert_eq!(response.hits.len(), 60.min(rows), "{fusion:?} {when}");
            let mut told: BTreeMap<(String, u32), f32> = BTreeMap::new();
            for hit in &response.hits {
                let twice = told.insert((hit.document.id.clone(), hit.passage_number), hit.score);
                assert!(twice.is_none(), "{fusion:?} {when}: one stands twice");
            }
            let order: Vec<_> = response.hits.iter().map(|hit| (-hit.score, &hit.document.id)).collect();
            assert!(order.is_sorted_by(|a, b| a.partial_cmp(b).is_some_and(std::cmp::Ordering::is_le)));
        }
    }
    // By ranks: the two lists, fused by hand.
    let ranks = |query| found(&partition.search(&request(query, 100, &all)).unwrap());
    let (by_vector, by_words) = (ranks(Query::Vector(&query)), ranks(Query::Words("whale1")));
    let mut fused: BTreeMap<(String, u32), f32> = BTreeMap::new();
    for list in [by_vector, by_words] {
        for (rank, one) in list.into_iter().enumerate() {
            *fused.entry(one).or_default() += 61.0 / 2.0 / (61.0 + rank as f32);
        }
    }
    let mut fused: Vec<_> = fused.into_iter().collect();
    fused.sort_by(|a, b| b.1.total_cmp(&a.1));
    let hybrid = Query::Hybrid { vector: &query, words: "whale1", fusion: Fusion::Ranks };
    let response = partition.search(&request(hybrid, 30, &all)).unwrap();
    for (hit, (_, score)) in response.hits.iter().zip(&fused) {
        assert!((hit.score - score).abs() < 1e-5, "{when}: {} is not {score}", hit.score);
    }
}

/// Without this, a search for passages would answer documents, repeat or lose passages, or tell one passage's text as another's:
/// in memory, by codes, and over both.
#[test]
fn passages_are_found_in_memory_and_in_segments() {
    for metric in [Metric::Cosine, Metric::InnerProduct, Metric::Euclidean] {
        let (store, partition) = open(metric);
        put(&partition, 0..300);
        let all: Vec<usize> = (0..300).collect();
        let look = |live: &[usize], when: &str| {
            check(metric, &partition, live, &[5, 77, 1_000_003], when);
            if metric == Metric::Cosine {
                check_words(&partition, live, when);
            }
        };
        look(&all, "in memory");
        store.flush().unwrap();
        look(&all, "in a segment");
        put(&partition, 300..400);
        let all: Vec<usize> = (0..400).collect();
        look(&all, "in both");
        for number in (0..400).step_by(4) {
            partition.delete(&id(number)).unwrap();
        }
        let live: Vec<usize> = all.into_iter().filter(|number| number % 4 != 0).collect();
        look(&live, "some deleted");
    }
}

/// Without this, a search for passages in a large partition would come short, or miss more of the nearest than was asked for.
#[test]
fn passages_are_found_in_lists() {
    let (store, partition) = open(Metric::Cosine);
    let all: Vec<usize> = (0..18_000).collect();
    put(&partition, 0..all.len());
    store.flush().unwrap();
    check(Metric::Cosine, &partition, &all, &[1_000_003], "in lists");
    let (mut near, filter) = (0, Filter::default());
    for seed in 0..12 {
        let query = vector(1_000_000 + seed);
        let wanted = names(&ranked(all.iter().copied(), |_, row| score(Metric::Cosine, &query, row)), 10);
        let request = SearchRequest { recall: Some(0.95), ..request(Query::Vector(&query), 10, &filter) };
        let response = partition.search(&request).unwrap();
        assert!(!response.trace.exact && response.hits.len() == 10);
        near += found(&response).iter().filter(|one| wanted.contains(one)).count();
    }
    assert!(near >= 112, "{near} of 120 of the nearest passages");
    // Both together: each of the best has the word, or is near.
    let query = vector(1_000_001);
    let hybrid = Query::Hybrid { vector: &query, words: "squid1", fusion: Fusion::Sum };
    let surely = partition.search(&request(hybrid, 10, &filter)).unwrap();
    let quick =
        partition.search(&SearchRequest { recall: Some(0.95), ..request(hybrid, 10, &filter) }).unwrap();
    assert!(surely.trace.exact && !quick.trace.exact && quick.hits.len() == 10);
    let both = found(&quick).iter().filter(|one| found(&surely).contains(one)).count();
    assert!(both >= 8, "{both} of 10");
}

/// Without this, a document's passages could not be shown page by page, or would be told at the wrong place.
#[test]
fn passages_are_read_in_pages() {
    let (store, partition) = open(Metric::Cosine);
    put(&partition, 2..4);
    for when in ["in memory", "in a segment"] {
        let read = |number, from, limit| {
            let (info, passages) = partition.passages(&id(number), from, limit).unwrap().unwrap();
            assert_eq!(info.passages as usize, 1 + number % 4);
            passages.into_iter().map(|one| (one.number, one.range, one.text)).collect::<Vec<_>>()
        };
        let own = |n| (n, None, format!("whale{n}"));
        let range = |n: u32| (n, Some((n * 6, n * 6 + 5)), "whale".to_owned());
        assert_eq!(read(3, 0, 9), [own(0), own(1), own(2), own(3)], "{when}");
        assert_eq!(read(2, 1, 2), [range(1), range(2)], "{when}");
        assert_eq!(read(2, 3, 2), [], "{when}");
        assert!(partition.passages("nobody", 0, 9).unwrap().is_none());
        store.flush().unwrap();
    }
}

/// Lost otherwise: the other documents, when one has more passages near the query than there are to be answered.
#[test]
fn a_document_of_many_near_passages_hides_no_other() {
    let (store, partition) = open(Metric::Cosine);
    let axis = |angle: f32| {
        let mut vector = vec![0.0; DIMENSION];
        (vector[0], vector[1]) = (angle.cos(), angle.sin());
        vector
    };
    let one = |id: &str, angles: &mut dyn Iterator<Item = f32>| NewDocument {
        id: Some(id.to_owned()),
        content_type: "text/plain".to_owned(),
        passages: angles
            .map(|angle| NewPassage { text: Passage::Own(String::new()), vector: axis(angle) })
            .collect(),
        ..NewDocument::default()
    };
    let crowd = one("crowd", &mut (0..200).map(|n| n as f32 / 1000.0));
    let others = (0..20).map(|n| one(&format!("other-{n:02}"), &mut std::iter::once(1.0 + n as f32 / 50.0)));
    partition.put_many(std::iter::once(crowd).chain(others).collect()).unwrap();
    let filter = Filter::default();
    let wanted: Vec<String> =
        std::iter::once("crowd".to_owned()).chain((0..9).map(|n| format!("other-{n:02}"))).collect();
    let query = axis(0.0);
    let look = |when: &str| {
        let request = SearchRequest { unit: Unit::Documents, ..request(Query::Vector(&query), 10, &filter) };
        let found = partition.search(&request).unwrap();
        let ids: Vec<&str> = found.hits.iter().map(|hit| &*hit.document.id).collect();
        assert_eq!(ids, wanted, "{when}");
    };
    look("in memory");
    store.flush().unwrap();
    look("in a segment");
}
