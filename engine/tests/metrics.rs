//! Cosine, inner product and distance, over vectors of any dimension: what a search promises by each.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    Ageing, Ages, CollectionSpec, Filter, Finding, Fusion, Metric, NewDocument, NewPassage, OperatorScope,
    Partition, PartitionName, PartitionRef, Passage, Query, Reach, ReadError, RootKey, Scope, SearchRequest,
    SearchResponse, Store, StoreError, StoreOptions, Unit, WorkspaceId, WriteError, verify,
};
use strongroom_kernel::{Variant, normalize};

const WORKSPACE: WorkspaceId = WorkspaceId([7; 16]);
const ROOT: [u8; 32] = [1; 32];
const METRICS: [Metric; 3] = [Metric::Cosine, Metric::InnerProduct, Metric::Euclidean];

fn open(sim: &Sim) -> Store {
    let store = Store::open(sim.restart(), RootKey(ROOT), StoreOptions::default()).unwrap();
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).ok();
    store
}

fn writable(store: &Store, name: &str, spec: CollectionSpec) -> Result<Partition, StoreError> {
    let partition = Some(PartitionName::new(name).unwrap());
    let at = PartitionRef { collection: "default".to_owned(), partition };
    store.partition_for_write(&Scope::grant(WORKSPACE, Reach::Workspace), &at, spec)
}

/// A vector that follows from a number, of a length between a quarter and four times the ordinary.
fn vector(dimension: usize, seed: usize) -> Vec<f32> {
    let stretch = [0.25, 1.0, 4.0][seed % 3];
    let draw = |at: usize| {
        let mixed = (seed * 16_411 + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) as u32 as f32 / 2.0_f32.powi(31) - 1.0
    };
    (0..dimension).map(|at| stretch * draw(at)).collect()
}

fn document(id: usize, text: &str, vectors: Vec<Vec<f32>>) -> NewDocument {
    let passage = |vector| NewPassage { text: Passage::Own(text.to_owned()), vector };
    NewDocument {
        id: Some(format!("{id:04}")),
        content_type: "text/plain".to_owned(),
        content: text.as_bytes().to_vec(),
        passages: vectors.into_iter().map(passage).collect(),
        ..NewDocument::default()
    }
}

fn request<'a>(query: Query<'a>, filter: &'a Filter) -> SearchRequest<'a> {
    SearchRequest {
        query,
        unit: Unit::Documents,
        k: 12,
        filter,
        similarity_min: 0.0,
        recall: None,
        ages: None,
        with_content: false,
    }
}

fn hits(response: &SearchResponse) -> Vec<(usize, f32)> {
    response.hits.iter().map(|hit| (hit.document.id.parse().unwrap(), hit.score)).collect()
}

/// What a row scores by a plain kernel, and how that is told.
fn score(metric: Metric, query: &[f32], row: &[f32]) -> (f32, f32) {
    let portable = Variant::all()[0];
    match metric {
        Metric::Cosine => {
            let [query, row] = [query, row].map(|vector| {
                let mut unit = vector.to_vec();
                normalize(&mut unit);
                unit
            });
            let cosine = portable.dot(&query, &row);
            (cosine, cosine.clamp(0.0, 1.0))
        }
        Metric::InnerProduct => (portable.dot(query, row), portable.dot(query, row)),
        Metric::Euclidean => {
            let mut squared = [0.0];
            portable.squared_distance_rows(query, row, &mut squared);
            (-squared[0], 1.0 / (1.0 + squared[0].sqrt()))
        }
    }
}

/// The best documents, by a plain reading of all.
fn nearest(metric: Metric, query: &[f32], documents: &[Vec<Vec<f32>>]) -> Vec<(usize, f32)> {
    let best = |rows: &Vec<Vec<f32>>| {
        let scores = rows.iter().map(|row| score(metric, query, row));
        scores.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
    };
    let mut all: Vec<(usize, (f32, f32))> = documents.iter().map(best).enumerate().collect();
    all.sort_by(|a, b| b.1.0.total_cmp(&a.1.0).then(a.0.cmp(&b.0)));
    all.into_iter().take(12).map(|(id, (_, told))| (id, told)).collect()
}

/// Puts vectors of many dimensions into partitions of this metric, and looks for them in memory, in segments, and after a restart.
fn found_in_each_dimension(metric: Metric) {
    let sim = Sim::new(1);
    let store = open(&sim);
    let mut partitions = Vec::new();
    for dimension in [1, 2, 63, 64, 65, 8192] {
        let spec = CollectionSpec { dimension: dimension as u32, metric };
        let partition = writable(&store, &dimension.to_string(), spec).unwrap();
        // More rows than are read whole: their codes take part.
        let documents: Vec<Vec<Vec<f32>>> = (0..70)
            .map(|id| match id {
                0 => vec![vec![0.0; dimension]],
                _ => (0..1 + id % 3).map(|row| vector(dimension, id * 3 + row)).collect(),
            })
            .collect();
        let new = documents.iter().enumerate().map(|(id, rows)| document(id, "whale", rows.clone()));
        partition.put_many(new.collect()).unwrap();
        let queries = [documents[7][1].clone(), vector(dimension, 1_000_000), vec![0.0; dimension]];
        partitions.push((spec, queries.map(|query| (nearest(metric, &query, &documents), query))));
    }
    let check = |store: &Store, when: &str| {
        for (spec, queries) in &partitions {
            let dimension = spec.dimension as usize;
            let partition = writable(store, &dimension.to_string(), *spec).unwrap();
            for (wanted, query) in queries {
                let found = partition.search(&request(Query::Vector(query), &Filter::default()));
                assert_eq!(&hits(&found.unwrap()), wanted, "{metric}, {dimension} components, {when}");
            }
        }
    };
    check(&store, "in memory");
    store.flush().unwrap();
    check(&store, "in segments");
    drop(store);
    let store = open(&sim);
    check(&store, "opened again");
    let name = "64";
    for other in METRICS.into_iter().filter(|other| *other != metric) {
        let refused = writable(&store, name, CollectionSpec { dimension: 64, metric: other });
        let Err(StoreError::Metric { expected, found }) = refused else {
            panic!("{name} was made for {metric}")
        };
        assert_eq!((expected, found), (metric, other));
    }
    drop(store);
    let mut findings = Vec::new();
    let medium = sim.restart();
    let tell = &mut |finding: Finding| findings.push(finding.to_string());
    let verified = verify(&medium, Some(RootKey(ROOT)), &mut |_| (), tell).unwrap();
    assert_eq!((verified.segments, findings), (6, Vec::<String>::new()), "{metric}");
}

/// Without this, some dimension or metric would lose hits, score them otherwise in a segment than before, or on another CPU; or a
/// restart would forget by what a collection compares.
#[test]
fn the_nearest_by_cosine_are_found_in_each_dimension() {
    found_in_each_dimension(Metric::Cosine);
}

/// As by cosine.
#[test]
fn the_nearest_by_inner_product_are_found_in_each_dimension() {
    found_in_each_dimension(Metric::InnerProduct);
}

/// As by cosine.
#[test]
fn the_nearest_by_distance_are_found_in_each_dimension() {
    found_in_each_dimension(Metric::Euclidean);
}

/// Without this, a collection could be made whose vectors nothing can write down.
#[test]
fn a_dimension_that_is_none_is_refused() {
    let store = open(&Sim::new(1));
    for metric in METRICS {
        for dimension in [0, 8193, u32::MAX] {
            let made = writable(&store, "acme", CollectionSpec { dimension, metric });
            assert!(matches!(made, Err(StoreError::Write(WriteError::Invalid { .. }))), "{dimension}");
        }
    }
}

/// Without this, one vector that has no distance would stand before all others, or hide them.
#[test]
fn vectors_without_a_score_are_refused_at_the_door() {
    let store = open(&Sim::new(1));
    let filter = Filter::default();
    for (metric, name) in METRICS.into_iter().zip(["cosine", "product", "distance"]) {
        let partition = writable(&store, name, CollectionSpec { dimension: 3, metric }).unwrap();
        for component in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let bad = vec![1.0, component, 0.0];
            let put = partition.put(document(0, "x", vec![bad.clone()]));
            assert!(matches!(put, Err(WriteError::NotFinite)));
            let asked = partition.search(&request(Query::Vector(&bad), &filter));
            assert!(matches!(asked, Err(ReadError::NotFinite)));
        }
        let (long, longest) = (vec![0.0, -1e19, 1e19], vec![0.0, 2.0_f32.powi(62), 0.0]);
        let put = partition.put(document(1, "x", vec![long.clone()]));
        let asked = partition.search(&request(Query::Vector(&long), &filter));
        match metric {
            Metric::Cosine => {
                put.unwrap();
                let found = hits(&asked.unwrap());
                assert!(found.len() == 1 && found[0].1 > 0.999, "{found:?}");
            }
            _ => {
                assert!(matches!(put, Err(WriteError::VectorTooLong)));
                assert!(matches!(asked, Err(ReadError::VectorTooLong)));
            }
        }
        // The longest that there can be, in opposite directions and among so many that codes take part.
        let opposite: Vec<f32> = longest.iter().map(|component| -component).collect();
        let mut rows: Vec<Vec<f32>> = (0..150).map(|seed| vector(3, seed)).collect();
        rows.push(opposite.clone());
        partition.put_many(vec![document(2, "x", rows), document(3, "x", vec![longest.clone()])]).unwrap();
        store.flush().unwrap();
        for (query, best) in [(&longest, 3), (&opposite, 2)] {
            let found = hits(&partition.search(&request(Query::Vector(query), &filter)).unwrap());
            assert!(found[0].0 == best && found.iter().all(|(_, score)| score.is_finite()), "{found:?}");
        }
    }
}

/// Without this, a threshold, words or ages would mean something else than is written, by the metrics that are not the default.
#[test]
fn thresholds_words_and_ages_act_on_the_similarity_of_each_metric() {
    let sim = Sim::new(1);
    let store = open(&sim);
    let filter = Filter::default();
    let rows = [[3.0, 0.0], [2.0, 0.0], [-1.0, 0.5]];
    for (metric, name) in [(Metric::InnerProduct, "product"), (Metric::Euclidean, "distance")] {
        let partition = writable(&store, name, CollectionSpec { dimension: 2, metric }).unwrap();
        for (id, row) in rows.iter().enumerate() {
            let text = if id == 1 { "whale" } else { "shark" };
            partition.put(document(id, text, vec![row.to_vec()])).unwrap();
        }
        let query = [3.0, 0.0];
        let vector = || request(Query::Vector(&query), &filter);
        let (all, above, least) = match metric {
            Metric::InnerProduct => ([9.0, 6.0, -3.0], 5.0, 6.0),
            _ => ([1.0, 0.5, 1.0 / (1.0 + 16.25_f32.sqrt())], 0.3, 0.5),
        };
        let found = |request: &SearchRequest<'_>| hits(&partition.search(request).unwrap());
        assert_eq!(found(&vector()), [(0, all[0]), (1, all[1]), (2, all[2])], "{metric}");
        for similarity_min in [above, least] {
            let request = SearchRequest { similarity_min, ..vector() };
            assert_eq!(found(&request), [(0, all[0]), (1, all[1])], "{metric}, at least {similarity_min}");
        }
        let hybrid = |fusion| request(Query::Hybrid { vector: &query, words: "whale", fusion }, &filter);
        let sum = found(&hybrid(Fusion::Sum));
        let of = |id: usize| sum.iter().find(|(found, _)| *found == id).unwrap().1;
        assert!((of(0) - 0.58 * all[0]).abs() < 1e-6 && (of(2) - 0.58 * all[2]).abs() < 1e-6, "{sum:?}");
        // Its word is all that the query asks for, in a passage of mean length.
        assert!((of(1) - (0.58 * all[1] + 0.42)).abs() < 1e-6, "{sum:?}");
        let ranks = found(&hybrid(Fusion::Ranks));
        assert!(ranks[0].0 == 1 && ranks.iter().all(|(_, score)| (0.0..=1.0).contains(score)), "{ranks:?}");
        let words = found(&request(Query::Words("whale"), &filter));
        assert!(words.len() == 1 && words[0].0 == 1 && words[0].1 <= 1.0, "{words:?}");
        let ageing = Ageing { weight: 0.25, half_life_ms: 1000.0 };
        // All of them are new: each age counts wholly.
        let ages = Some(Ages { created: ageing, updated: ageing, now_ms: 0 });
        let aged = found(&SearchRequest { ages, ..vector() });
        for ((id, score), (other, similarity)) in aged.into_iter().zip(found(&vector())) {
            assert!(id == other && (score - (0.5 * similarity + 0.5)).abs() < 1e-6, "{metric}: {score}");
        }
    }
}
