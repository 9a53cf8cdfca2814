//! What would users lose if lists were chosen wrongly?

#![allow(clippy::unwrap_used)]

use crate::segment::Index;
use crate::segment::lists::{Effort, List, Probes};
use std::collections::BTreeSet;
use strongroom_format::codes::{IndexHead, LADDER_STEPS, ListRows, Places};
use strongroom_format::record::Metric;
use strongroom_kernel::Mask;

/// Lists this remote.
fn within(reach: f32) -> Effort {
    Effort { reach, probes: 0, rows: 1 }
}

/// Of two components: lists about so many directions, of three rows each, of which the last stands in the list before, too.
fn at_angles(metric: Metric, angles: &[f32], slope: f32) -> Index {
    let flat = IndexHead::flat(vec![0.0; 2]);
    let bare = Index::of(flat.clone(), metric, Places::default());
    let mut centroids = vec![0; angles.len() * bare.nibble_row_bytes()];
    for (angle, code) in angles.iter().zip(centroids.chunks_exact_mut(bare.nibble_row_bytes())) {
        bare.encoder().encode(&[angle.cos(), angle.sin()], code, None);
    }
    let count = angles.len() as u32;
    let lists = vec![ListRows { own: 3, seconds: 1 }; angles.len()];
    let (reach, candidates) = (std::array::from_fn(|step| step as f32), [1; LADDER_STEPS]);
    let head = IndexHead { lists, centroids: &centroids, slope, reach, candidates, ..flat };
    let rows = (0..count * 3).rev().collect::<Vec<u32>>();
    let seconds = (0..count).map(|list| rows[((list + 1) % count * 3 + 2) as usize]).collect();
    Index::of(head, metric, Places { rows, seconds })
}

fn numbers(probes: &Probes) -> Vec<u32> {
    probes.lists.iter().map(|list| list.number).collect()
}

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::InnerProduct, Metric::Euclidean];

/// Without this, a search near one list would look at as many as one between many, or the nearest would be missing.
#[test]
fn a_query_among_many_lists_looks_at_more() {
    let angles = [0.0, 0.1, 0.2, 0.3, 0.4, 2.0, 4.0];
    for metric in METRICS {
        let index = at_angles(metric, &angles, 3.0);
        let lists = index.lists().unwrap();
        let near = |angle: f32, reach: f32| {
            let probes = lists.nearest(&index.query(&[angle.cos(), angle.sin()]), within(reach));
            assert_eq!(probes.words.len(), probes.lists.len());
            numbers(&probes)
        };
        assert_eq!(near(0.2, 0.0), [2], "{metric:?}");
        assert_eq!(near(2.0, 2.0), [5], "{metric:?}");
        assert_eq!(near(0.2, 2.4).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([0, 1, 2, 3, 4]));
        assert_eq!(near(0.2, 2.4)[0], 2, "the nearest first");
        assert_eq!(near(0.2, 1e9).len(), 7, "all");
        assert!(lists.nearest(&index.query(&[1.0, 0.0]), within(1e9)).is_all);
        let mut before = Vec::new();
        for reach in 0..40 {
            let now = near(0.5, reach as f32 / 8.0);
            assert!(now.starts_with(&before), "what is nearer is within reach of more");
            before = now;
        }
        let level = at_angles(metric, &angles, 0.0);
        let probes = level.lists().unwrap().nearest(&level.query(&[-0.4, 0.9]), within(3.01_f32.ln()));
        assert_eq!(probes.lists.len(), 3, "by rank alone");
    }
}

/// Without this, by inner product a long query would look at fewer lists than a short one, and find less.
#[test]
fn the_length_of_a_query_does_not_count() {
    let angles: Vec<f32> = (0..40).map(|n| n as f32 * 0.07).collect();
    let index = at_angles(Metric::InnerProduct, &angles, 8.0);
    let lists = index.lists().unwrap();
    let near =
        |length: f32| numbers(&lists.nearest(&index.query(&[0.6 * length, 0.8 * length]), within(2.5)));
    let expected = near(1.0).len();
    assert!((3..30).contains(&expected));
    for length in [1e-3, 0.1, 30.0, 1e6] {
        assert_eq!(near(length).len(), expected, "{length}");
    }
    assert!(!near(0.0).is_empty());
}

/// Without this, a row would be found twice and count as two, or not at all where its own list is not looked at.
#[test]
fn a_row_that_stands_twice_is_seen_once() {
    let index = at_angles(Metric::Cosine, &[0.0, 0.5, 1.0, 1.5], 2.0);
    let lists = index.lists().unwrap();
    let all = (0..12).collect::<Mask>();
    for live in [None, Some(&all)] {
        for reach in [0.0, 1.0, 1.5, 2.0, 100.0] {
            let query = index.query(&[1.0, 0.1]);
            let probes = match live {
                None => lists.nearest(&query, within(reach)),
                Some(live) => lists.nearest_with(&query, within(reach), live),
            };
            let seen: Vec<u32> = probes
                .lists
                .iter()
                .flat_map(|list| (0..4).filter_map(|at| lists.place_in(list, at, &probes)))
                .collect();
            let own = probes.lists.iter().flat_map(List::own);
            let second = probes.lists.iter().map(|list| (list.number + 1) % 4 * 3 + 2);
            let expected: BTreeSet<u32> = own.chain(second).collect();
            assert_eq!(seen.len(), expected.len(), "{reach}");
            assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected, "{reach}");
        }
    }
    for list in 0..4 {
        let list = lists.list(list);
        assert_eq!(lists.places_in(&list).count(), 4);
    }
    let slots: Vec<_> = lists.second_slots().collect();
    assert_eq!(slots, [((1, 2), (0, 3)), ((2, 2), (1, 3)), ((3, 2), (2, 3)), ((0, 2), (3, 3))]);
}

/// Without this, a filter that goes with what rows are about would leave a search with too few of them, or rows that don't pass would
/// be found.
#[test]
fn lists_with_rows_that_pass_are_looked_at() {
    let index = at_angles(Metric::Cosine, &[0.0, 0.3, 0.6, 0.9, 1.2, 1.5], 2.0);
    let lists = index.lists().unwrap();
    let query = index.query(&[1.0, 0.0]);
    let near = lists.nearest(&query, within(1.2)).lists.len();
    assert!((2..5).contains(&near));
    // Rows of the last two lists alone pass, and one that stands in the list before.
    let live: Mask = lists.list(4).own().chain(lists.list(5).own()).map(|place| lists.row(place)).collect();
    let probes = lists.nearest_with(&query, within(1.2), &live);
    assert_eq!(numbers(&probes), [3, 4], "of which the first has a row of the next as a second");
    assert_eq!(probes.words, [0b1000, 0b1111]);
    assert!(!probes.is_all && lists.nearest_with(&query, within(9.0), &live).is_all);
    let none = Mask::default();
    let probes = lists.nearest_with(&query, within(1.2), &none);
    assert!(probes.lists.is_empty() && probes.is_all);
}

/// Without this, a search that found too little would look again and again, and at no more than before.
#[test]
fn a_search_that_found_too_little_comes_to_all_lists_soon() {
    let angles: Vec<f32> = (0..60).map(|n| n as f32 * 0.1).collect();
    for metric in METRICS {
        let index = at_angles(metric, &angles, 1e30);
        let lists = index.lists().unwrap();
        let all: Mask = (0..180).collect();
        for query in [[1.0, 0.5], [0.0, 0.0], [1e18, -1e18], [f32::MAX, f32::MAX]] {
            let query = index.query(&query);
            let mut effort = within(0.5);
            for _ in 0..3 {
                effort = effort.more();
            }
            let probes = lists.nearest(&query, effort);
            assert_eq!(probes.is_all, probes.lists.len() == 60);
            let [bare, masked] =
                [lists.nearest(&query, effort.more()), lists.nearest_with(&query, effort.more(), &all)];
            assert!(bare.is_all && masked.is_all, "{metric:?}");
            assert_eq!((bare.lists.len(), masked.lists.len()), (60, 60));
        }
    }
}
