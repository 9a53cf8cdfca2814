//! A partition of so many rows that they are kept in lists: what a search still promises there.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    CollectionSpec, Filter, Fusion, Metric, NewDocument, NewPassage, OperatorScope, Partition, PartitionName,
    PartitionRef, Passage, Query, Reach, RootKey, Scope, SearchRequest, SearchResponse, Store, StoreOptions,
    Unit, WorkspaceId, verify,
};
use strongroom_kernel::{Variant, dot, normalize};

const WORKSPACE: WorkspaceId = WorkspaceId([7; 16]);
const ROOT: RootKey = RootKey([1; 32]);
const DIMENSION: usize = 24;
const DOCUMENTS: usize = 21_000;

type Passes = fn(usize) -> bool;

/// Tags, and which documents have them.
const TAGS: [(&str, Passes); 3] = [
    ("tenth", |number| number % 10 == 3),
    ("few", |number| number % 1000 == 3),
    ("older", |number| number < 9000),
];

/// The passages of a document: one to three vectors about one of 200 topics.
fn vectors(document: usize) -> Vec<Vec<f32>> {
    (0..1 + document % 3).map(|passage| about(document % 200, document * 3 + passage)).collect()
}

fn about(topic: usize, seed: usize) -> Vec<f32> {
    let draw = |seed: usize, at: usize| {
        let mixed = (seed * 64 + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) as u32 as f32 / 2.0_f32.powi(31) - 1.0
    };
    (0..DIMENSION).map(|at| draw(topic + 1_000_000, at) + 0.8 * draw(seed, at)).collect()
}

/// A store with one sealed partition, and what was put into it.
struct Filled {
    metric: Metric,
    /// For each document its vectors.
    documents: Vec<Vec<Vec<f32>>>,
    store: Store,
    partition: Partition,
}

/// The passages' vectors, of different lengths where these count.
fn documents(metric: Metric) -> Vec<Vec<Vec<f32>>> {
    let stretched = |document: usize, mut vector: Vec<f32>| {
        let stretch = if metric == Metric::Cosine { 1.0 } else { 0.5 + (document * 37 % 101) as f32 / 100.0 };
        vector.iter_mut().for_each(|component| *component *= stretch);
        vector
    };
    (0..DOCUMENTS)
        .map(|number| vectors(number).into_iter().map(|vector| stretched(number, vector)).collect())
        .collect()
}

fn filled(sim: &Sim, metric: Metric) -> Filled {
    let all = documents(metric);
    let options = StoreOptions { flush_bytes: 1 << 30, retention_ms: 0, ..StoreOptions::default() };
    let store = Store::open(sim.restart(), ROOT, options).unwrap();
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).unwrap();
    let scope = Scope::grant(WORKSPACE, Reach::Workspace);
    let name = Some(PartitionName::new("acme").unwrap());
    let at = PartitionRef { collection: "default".to_owned(), partition: name };
    let spec = CollectionSpec { dimension: DIMENSION as u32, metric };
    let partition = store.partition_for_write(&scope, &at, spec).unwrap();
    for batch in (0..DOCUMENTS).collect::<Vec<_>>().chunks(1000) {
        let documents = batch.iter().map(|&number| NewDocument {
            id: Some(format!("{number:05}")),
            content_type: "text/plain".to_owned(),
            content: format!("whale{}", number % 500).into_bytes(),
            tags: TAGS.iter().filter(|(_, has)| has(number)).map(|(tag, _)| (*tag).to_owned()).collect(),
            passages: all[number]
                .iter()
                .cloned()
                .map(|vector| NewPassage { text: Passage::Range { start: 0, end: 5 }, vector })
                .collect(),
            ..NewDocument::default()
        });
        partition.put_many(documents.collect()).unwrap();
    }
    store.flush().unwrap();
    Filled { metric, documents: all, store, partition }
}

impl Filled {
    /// The ids of the best of the documents that pass, by a plain reading.
    fn nearest(&self, query: &[f32], k: usize, passes: impl Fn(usize) -> bool) -> Vec<String> {
        let unit = |vector: &[f32]| {
            let mut unit = vector.to_vec();
            normalize(&mut unit);
            unit
        };
        let of_length_1 = unit(query);
        let score = |vector: &Vec<f32>| match self.metric {
            Metric::Cosine => dot(&of_length_1, &unit(vector)),
            Metric::InnerProduct => dot(query, vector),
            Metric::Euclidean => {
                let mut squared = [0.0];
                Variant::best().squared_distance_rows(query, vector, &mut squared);
                -squared[0]
            }
        };
        let best = |number: usize| self.documents[number].iter().map(score).fold(f32::NEG_INFINITY, f32::max);
        let passing = (0..DOCUMENTS).filter(|&number| passes(number));
        let mut all: Vec<(String, f32)> =
            passing.map(|number| (format!("{number:05}"), best(number))).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.truncate(k);
        all.into_iter().map(|(id, _)| id).collect()
    }

    /// Searches with this recall, and insists that as much is found.
    fn check_recall(&self, queries: &[Vec<f32>], recall: f32) {
        let mut found = 0;
        for query in queries {
            let response = search(&self.partition, Query::Vector(query), 10, None, Some(recall));
            assert!(!response.trace.exact && response.hits.len() == 10);
            let wanted: HashSet<String> = self.nearest(query, 10, |_| true).into_iter().collect();
            found += ids(&response).iter().filter(|id| wanted.contains(**id)).count();
            let scores: Vec<f32> = response.hits.iter().map(|hit| hit.score).collect();
            assert!(scores.is_sorted_by(|a, b| a >= b));
        }
        let found = found as f32 / (10 * queries.len()) as f32;
        let metric = self.metric;
        assert!(found >= recall - 0.02, "{metric}: {found} of the nearest, {recall} were asked for");
    }
}

fn search(
    partition: &Partition,
    query: Query<'_>,
    k: usize,
    tag: Option<&str>,
    recall: Option<f32>,
) -> SearchResponse {
    let filter = Filter { all_tags: tag.into_iter().map(str::to_owned).collect(), ..Filter::default() };
    let request = SearchRequest {
        query,
        unit: Unit::Documents,
        k,
        filter: &filter,
        similarity_min: 0.0,
        ages: None,
        recall,
        with_content: false,
    };
    partition.search(&request).unwrap()
}

fn ids(response: &SearchResponse) -> Vec<&str> {
    response.hits.iter().map(|hit| hit.document.id.as_str()).collect()
}

/// Without this, large partitions would be searched wrongly: short under a filter, with deleted documents, or with fewer
/// of the nearest than was asked for.
#[test]
fn a_partition_in_lists_is_searched_as_any_other() {
    let filled = filled(&Sim::new(1), Metric::Cosine);
    let (store, partition) = (&filled.store, &filled.partition);
    let queries: Vec<Vec<f32>> = (0..40).map(|n| about(n * 7 % 200, 9_000_000 + n)).collect();
    for recall in [0.8, 0.95, 0.99] {
        filled.check_recall(&queries, recall);
    }
    for query in &queries[..8] {
        let tagged = TAGS.map(|(tag, has)| (Some(tag), has));
        let all: (Option<&str>, Passes) = (None, |_| true);
        for (tag, passes) in [all].into_iter().chain(tagged) {
            for k in [1, 10, 300] {
                let wanted = filled.nearest(query, k, passes);
                let exact = search(partition, Query::Vector(query), k, tag, None);
                assert!(exact.trace.exact);
                assert_eq!(ids(&exact), wanted, "{tag:?} {k}");
                let quick = search(partition, Query::Vector(query), k, tag, Some(0.9));
                assert_eq!(quick.hits.len(), wanted.len(), "{tag:?} {k}");
                assert!(quick.hits.iter().all(|hit| passes(hit.document.id.parse().unwrap())));
            }
        }
    }
    let mut found = 0;
    for query in &queries {
        let hybrid = Query::Hybrid { vector: query, words: "whale77 whale78", fusion: Fusion::Sum };
        for tag in [None, Some("tenth")] {
            let surely = search(partition, hybrid, 10, tag, None);
            let quick = search(partition, hybrid, 10, tag, Some(0.9));
            assert!(surely.trace.exact && !quick.trace.exact && quick.hits.len() == 10);
            found += ids(&quick).iter().filter(|id| ids(&surely).contains(id)).count();
            // Each of the best has the words, or is near.
            let with_words = |hits: &SearchResponse| {
                hits.hits
                    .iter()
                    .filter(|hit| [77, 78].contains(&(hit.document.id.parse::<usize>().unwrap() % 500)))
                    .count()
            };
            assert_eq!(with_words(&quick), with_words(&surely));
        }
    }
    assert!(found >= 2 * 9 * queries.len(), "{found} of {}", 2 * 10 * queries.len());
    check_together(partition, &queries);
    // Half of the documents go, then their rows.
    let odd = |number: usize| number % 2 == 1;
    for number in (0..DOCUMENTS).filter(|&number| !odd(number)) {
        partition.delete(&format!("{number:05}")).unwrap();
    }
    let check = || {
        for query in &queries[..4] {
            let wanted = filled.nearest(query, 10, odd);
            assert_eq!(ids(&search(partition, Query::Vector(query), 10, None, None)), wanted);
            let quick = search(partition, Query::Vector(query), 10, None, Some(0.95));
            assert_eq!(quick.hits.len(), 10);
            assert!(quick.hits.iter().all(|hit| odd(hit.document.id.parse().unwrap())));
        }
    };
    check();
    // They can't be restored: a merge leaves them out.
    assert_eq!(store.flush().unwrap().compacted, 1);
    check();
}

/// Without this, queries of a batch would be answered by the lists near another one.
fn check_together(partition: &Partition, queries: &[Vec<f32>]) {
    let filters = [Filter::default(), Filter { all_tags: vec!["few".to_owned()], ..Filter::default() }];
    let requests: Vec<SearchRequest<'_>> = queries
        .iter()
        .enumerate()
        .map(|(at, vector)| SearchRequest {
            query: Query::Vector(vector),
            unit: Unit::Documents,
            k: 10,
            filter: &filters[usize::from(at % 5 == 4)],
            similarity_min: 0.0,
            ages: None,
            recall: (at % 3 != 0).then_some(0.9),
            with_content: false,
        })
        .collect();
    for (request, response) in requests.iter().zip(partition.search_many(&requests).unwrap()) {
        assert_eq!(format!("{response:?}"), format!("{:?}", partition.search(request).unwrap()));
    }
}

/// Without this, large partitions whose vectors have lengths would be searched as if they had none: by product or distance, with fewer
/// of the nearest than was asked for, or not exactly when all were.
fn searched_in_lists(metric: Metric) {
    let filled = filled(&Sim::new(1), metric);
    let queries: Vec<Vec<f32>> = (0..24).map(|n| about(n * 7 % 200, 9_000_000 + n)).collect();
    for recall in [0.8, 0.97] {
        filled.check_recall(&queries, recall);
    }
    for query in &queries[..3] {
        let all: (Option<&str>, Passes) = (None, |_| true);
        for (tag, passes) in [all, (Some(TAGS[0].0), TAGS[0].1)] {
            for k in [1, 10, 300] {
                let exact = search(&filled.partition, Query::Vector(query), k, tag, None);
                assert!(exact.trace.exact);
                assert_eq!(ids(&exact), filled.nearest(query, k, passes), "{metric} {tag:?} {k}");
                let quick = search(&filled.partition, Query::Vector(query), k, tag, Some(0.9));
                assert_eq!(quick.hits.len(), k, "{metric} {tag:?}");
                assert!(quick.hits.iter().all(|hit| passes(hit.document.id.parse().unwrap())));
            }
        }
    }
}

/// See [`searched_in_lists`].
#[test]
fn lists_are_searched_by_distance() {
    searched_in_lists(Metric::Euclidean);
}

/// See [`searched_in_lists`].
#[test]
fn lists_are_searched_by_inner_product() {
    searched_in_lists(Metric::InnerProduct);
}

/// Without this, the commands that look for damage would call each large partition damaged, or look past its codes.
#[test]
fn a_partition_in_lists_is_whole() {
    let sim = Sim::new(1);
    drop(filled(&sim, Metric::Euclidean));
    let verified = verify(&sim.restart(), Some(ROOT), &mut |_| {}, &mut |finding| panic!("{finding:?}"));
    verified.unwrap();
}
