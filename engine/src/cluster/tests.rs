//! What would users lose if lists were wrong?

#![allow(clippy::unwrap_used)]

use super::random::SplitMix64;
use super::rows::Rows;
use super::*;
use std::sync::Arc;
use strongroom_kernel::{Metric, dot, normalize};

const METRICS: [Metric; 2] = [Metric::InnerProduct, Metric::SquaredDistance];

/// A number from -1 to 1.
fn number(random: &mut SplitMix64) -> f32 {
    random.below(1 << 20) as f32 / (1 << 19) as f32 - 1.0
}

/// Rows about as many middles, which are `apart` times as far from each other as the rows are from them.
fn rows(count: usize, dimension: usize, middles: usize, apart: f32, metric: Metric) -> Vec<f32> {
    let mut random = SplitMix64(count as u64);
    let middles: Vec<f32> = (0..middles * dimension).map(|_| apart * number(&mut random)).collect();
    let mut rows = Vec::new();
    for _ in 0..count {
        let middle = random.below(middles.len() / dimension) * dimension;
        let mut row: Vec<f32> =
            middles[middle..middle + dimension].iter().map(|c| c + number(&mut random)).collect();
        if metric == Metric::InnerProduct {
            normalize(&mut row);
        }
        rows.extend(row);
    }
    rows
}

fn trained(rows: &[f32], metric: Metric, dimension: usize, lists: usize) -> Centroids {
    train(rows, Training { metric, dimension, lists, start: &[] }, &Workers::default())
}

fn assigned(centroids: &Centroids, rows: &[f32]) -> Vec<u32> {
    assign(centroids, rows, &Workers::default())
}

fn lengths(centroids: &Centroids, found: &[u32]) -> Vec<usize> {
    let mut lengths = vec![0; centroids.lists()];
    found.iter().for_each(|&list| lengths[list as usize] += 1);
    lengths
}

/// The lists by how near they are, of equals the lower first; said once more, one product at a time.
fn plain_order(centroids: &Centroids, row: &[f32]) -> Vec<u32> {
    let score = |list: &u32| {
        let centroid = &centroids.vectors()[*list as usize * row.len()..][..row.len()];
        let bias =
            if centroids.metric() == Metric::InnerProduct { 0.0 } else { dot(centroid, centroid) / 2.0 };
        dot(row, centroid) - bias
    };
    let mut order: Vec<u32> = (0..centroids.lists() as u32).collect();
    order.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.cmp(b)));
    order
}

/// Else two replicas of one store would answer differently, and a seed of the simulator would replay nothing.
#[test]
fn the_threads_make_no_difference() {
    for metric in METRICS {
        let rows = rows(5000, 12, 100, 2.0, metric);
        let training = Training { metric, dimension: 12, lists: 100, start: &[] };
        let alone = trained(&rows, metric, 12, 100);
        let found = assigned(&alone, &rows);
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let workers = Workers::new(Arc::new(pool));
            let centroids = train(&rows, training, &workers);
            assert_eq!(centroids, alone, "{threads} threads");
            assert_eq!(assign(&centroids, &rows, &workers), found, "{threads} threads");
        }
    }
}

/// Else segments that are written on machines of another kind would differ, for the same rows.
#[test]
fn all_machines_find_the_same_centroids() {
    let digests = METRICS.map(|metric| {
        let centroids = trained(&rows(3000, 19, 60, 2.0, metric), metric, 19, 100);
        centroids.vectors().iter().fold(0_u64, |digest, component| {
            (digest ^ u64::from(component.to_bits())).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(23)
        })
    });
    assert_eq!(digests.map(|digest| format!("{digest:016x}")), ["50b50c3c84dd84ad", "552d0756e4ca4fc4"]);
}

/// Else a search would look for a row in a list where it isn't.
#[test]
fn every_row_is_in_its_nearest_list() {
    for metric in METRICS {
        for (count, dimension, lists) in
            [(300, 1, 7), (500, 7, 40), (700, 16, 33), (300, 100, 64), (90, 1500, 19)]
        {
            let rows = rows(count, dimension, lists, 1.0, metric);
            let mut centroids = trained(&rows, metric, dimension, lists);
            // Every centroid twice: the lower number wins.
            let twice = [centroids.vectors(), centroids.vectors()].concat();
            let half = centroids.lists() as u32;
            centroids = Centroids::new(metric, dimension, twice);
            let found = assigned(&centroids, &rows);
            assert_eq!(found.len(), count);
            for (row, &list) in rows.chunks_exact(dimension).zip(&found) {
                assert_eq!(list, plain_order(&centroids, row)[0], "{metric:?}, {dimension} dimensions");
                assert!(list < half);
            }
        }
    }
}

/// Else the rows of huge segments would lie in lists that aren't near them, and a search would miss them.
#[test]
fn groups_find_the_nearest_list_of_almost_every_row() {
    for metric in METRICS {
        let rows = rows(4000, 24, 600, 1.0, metric);
        let centroids = trained(&rows, metric, 24, 500);
        let rows = Rows::new(&rows, 24);
        let (all, workers) = (rows.all(), Workers::default());
        let flat = scan::nearest(&centroids, rows, &all, &workers);
        let grouped = groups::nearest(&centroids, rows, &all, &workers);
        let same = flat.iter().zip(&grouped).filter(|(a, b)| a == b).count();
        assert!(same > 3800, "{metric:?}: {same} of 4000");
        assert_ne!(same, 4000, "with so many lists, groups leave some out");
    }
}

/// Else an approximate search would miss what is there, or look at nearly everything.
#[test]
fn the_nearest_rows_are_in_the_nearest_lists() {
    for metric in METRICS {
        let rows = rows(4000, 16, 50, 2.0, metric);
        let centroids = trained(&rows, metric, 16, 80);
        let found = assigned(&centroids, &rows);
        let (mut hits, mut scanned) = (0, 0);
        for query in rows.chunks_exact(16).step_by(40) {
            let mut scores = vec![0.0; centroids.lists()];
            centroids.score(query, &mut scores);
            let mut near: Vec<usize> = (0..scores.len()).collect();
            near.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            near.truncate(10);
            scanned += found.iter().filter(|&&list| near.contains(&(list as usize))).count();
            let distance = |row: &[f32]| row.iter().zip(query).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
            let mut order: Vec<(f32, u32)> =
                rows.chunks_exact(16).map(distance).zip(found.iter().copied()).collect();
            order.sort_by(|a, b| a.0.total_cmp(&b.0));
            hits += order[..10].iter().filter(|(_, list)| near.contains(&(*list as usize))).count();
        }
        assert!(hits > 950, "{metric:?}: {hits} of 1000");
        assert!(scanned < 100 * 4000 / 5, "{metric:?}: {scanned} of {}", 100 * 4000);
    }
}

/// Else a search would pay for centroids that lead nowhere, or scan a list as long as the segment.
#[test]
fn no_list_is_empty_or_very_long() {
    for metric in METRICS {
        for lists in [5, 40, 120] {
            // Half of the rows lie in one place's near neighbourhood.
            let mut rows = rows(3000, 8, 60, 3.0, metric);
            let clump = rows[..8].to_vec();
            let mut random = SplitMix64(9);
            for row in rows.chunks_exact_mut(8).step_by(2) {
                row.iter_mut().zip(&clump).for_each(|(r, c)| *r = c + number(&mut random) / 64.0);
                if metric == Metric::InnerProduct {
                    normalize(row);
                }
            }
            let centroids = trained(&rows, metric, 8, lists);
            assert_eq!(centroids.lists(), lists);
            let lengths = lengths(&centroids, &assigned(&centroids, &rows));
            assert!(lengths.iter().all(|&length| length > 0), "{metric:?}, {lists} lists: {lengths:?}");
            let longest = lengths.iter().max().unwrap() * lists;
            assert!(longest <= 4 * 3000, "{metric:?}, {lists} lists: {lengths:?}");
        }
    }
}

/// Else who writes the same vector many times, or nothing but zeros, or the largest numbers, could stop a segment from
/// being written.
#[test]
fn hostile_rows_are_clustered_as_well() {
    let mut few = vec![1.0_f32; 4 * 1000];
    for (place, row) in few.chunks_exact_mut(4).step_by(50).enumerate() {
        row[0] = -(place as f32);
    }
    let subnormal: Vec<f32> = (0..1600_u32).map(f32::from_bits).collect();
    let huge: Vec<f32> = (0..1600).map(|i| if i % 3 == 0 { f32::MAX } else { f32::MIN }).collect();
    let large: Vec<f32> = (0..1600).map(|i| 1e18 * (i / 400) as f32 + (i % 7) as f32).collect();
    let cases: [(&str, &[f32]); 8] = [
        ("none", &[]),
        ("one", &[1.0, 0.0, 0.0, 0.0]),
        ("the same", &[0.5; 4 * 900]),
        ("zeros", &[0.0; 4 * 900]),
        ("few that differ", &few),
        ("subnormal", &subnormal),
        ("huge", &huge),
        ("large", &large),
    ];
    for (what, rows) in cases {
        for metric in METRICS {
            for lists in [0, 1, 2, 30, 100, 1000] {
                let centroids = trained(rows, metric, 4, lists);
                assert!(centroids.lists() <= lists, "{what}");
                assert!(centroids.vectors().iter().all(|component| component.is_finite()), "{what}");
                if lists > 0 {
                    let found = assigned(&centroids, rows);
                    assert_eq!(found.len(), rows.len() / 4, "{what}");
                    assert!(found.iter().all(|&list| (list as usize) < centroids.lists()), "{what}");
                    let resumed = Resumed { metric, dimension: 4, lists: centroids.lists(), before: &found };
                    if let Some((centroids, lists)) = resume(rows, resumed, &Workers::default()) {
                        assert!(lengths(&centroids, &lists).iter().all(|length| *length > 0), "{what}");
                    }
                }
                let expected = match what {
                    "none" => 0,
                    "one" | "the same" | "zeros" => 1,
                    _ => continue,
                };
                assert_eq!(centroids.lists(), expected.min(lists), "{what}, {lists} lists, {metric:?}");
            }
        }
    }
}

/// Else a small segment would have fewer lists than would serve it.
#[test]
fn rows_as_many_as_lists_have_one_each() {
    let rows = rows(50, 6, 50, 1.0, Metric::SquaredDistance);
    let centroids = trained(&rows, Metric::SquaredDistance, 6, 200);
    let mut found = assigned(&centroids, &rows);
    found.sort_unstable();
    assert_eq!(found, (0..50).collect::<Vec<u32>>());
}

/// Else each merge of segments would pay for training as if nothing were known, or end with worse lists.
#[test]
fn training_goes_on_from_other_centroids() {
    for metric in METRICS {
        let rows = rows(5000, 10, 100, 2.0, metric);
        let apart = |centroids: &Centroids| {
            let found = assigned(centroids, &rows);
            let distance = |(row, &list): (&[f32], &u32)| {
                let centroid = &centroids.vectors()[list as usize * 10..][..10];
                row.iter().zip(centroid).map(|(r, c)| f64::from((r - c) * (r - c))).sum::<f64>()
            };
            rows.chunks_exact(10).zip(&found).map(distance).sum::<f64>()
        };
        let cold = apart(&trained(&rows, metric, 10, 100));
        let halves = rows.split_at(rows.len() / 2);
        let parts = [trained(halves.0, metric, 10, 60), trained(halves.1, metric, 10, 60)];
        let both = [parts[0].vectors(), parts[1].vectors()].concat();
        for start in [parts[0].vectors(), &both] {
            let training = Training { metric, dimension: 10, lists: 100, start };
            let warm = train(&rows, training, &Workers::default());
            assert_eq!(warm.lists(), 100);
            let warm = apart(&warm);
            assert!(warm < 1.1 * cold, "{metric:?}: {warm} against {cold}");
        }
    }
}

/// Rows with the lists in which they were trained; the last some of them are in none yet.
fn grown(rows: &[f32], metric: Metric, dimension: usize, lists: usize, new: usize) -> Vec<u32> {
    let known = rows.len() / dimension - new;
    let centroids = trained(&rows[..known * dimension], metric, dimension, lists);
    // Their numbers need not be without gaps.
    assigned(&centroids, &rows[..known * dimension]).iter().map(|list| 3 * list + 5).collect()
}

/// Else a merge would look for all rows' lists as if it knew none, or leave rows where no search looks for them.
#[test]
fn rows_that_were_in_lists_stay_together_and_others_join_them() {
    for metric in METRICS {
        let (dimension, wanted) = (12, 100);
        // All that is new is about one thing.
        let rows = [rows(4000, dimension, 100, 0.5, metric), rows(1000, dimension, 1, 6.0, metric)].concat();
        let before = grown(&rows, metric, dimension, wanted, 1000);
        let resumed = Resumed { metric, dimension, lists: wanted, before: &before };
        let (centroids, lists) = resume(&rows, resumed, &Workers::default()).unwrap();
        let lengths = lengths(&centroids, &lists);
        assert!(lengths.iter().all(|length| *length > 0), "no list is empty");
        let longest = lengths.iter().max().unwrap();
        assert!(*longest <= 3 * 5000 / wanted, "{lengths:?}");
        let nearest = assigned(&centroids, &rows);
        let right = lists.iter().zip(&nearest).filter(|(list, nearest)| list == nearest).count();
        assert!(right > 4850, "{right} of 5000 are in their nearest list");
        // Neighbours of before that are neighbours still.
        let pairs = (0..3990).filter(|&row| before[row] == before[row + 10]);
        let (all, same) = pairs
            .fold((0, 0), |(all, same), row| (all + 1, same + usize::from(lists[row] == lists[row + 10])));
        assert!(all > 20 && same * 10 > all * 8, "{same} of {all} pairs are together");
        let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap());
        assert_eq!(resume(&rows, resumed, &Workers::new(pool)), Some((centroids, lists)), "by three threads");
    }
}

/// Else lists that were made for other rows would be kept for ever, and searches would look at more and more of them.
#[test]
fn lists_are_made_anew_when_little_is_known() {
    let (metric, dimension) = (Metric::SquaredDistance, 12);
    let rows = rows(4000, dimension, 100, 2.0, metric);
    let before = grown(&rows, metric, dimension, 100, 1000);
    let resumed =
        |lists, before| resume(&rows, Resumed { metric, dimension, lists, before }, &Workers::default());
    assert!(resumed(100, &before[..]).is_some());
    assert!(resumed(100, &before[..2900]).is_none(), "more than a quarter are new");
    assert!(resumed(40, &before[..]).is_none(), "far too many lists");
    assert!(resumed(300, &before[..]).is_none(), "far too few");
    assert!(resumed(100, &[]).is_none());
    let nothing = Resumed { metric, dimension, lists: 100, before: &[] };
    assert!(resume(&[], nothing, &Workers::default()).is_none());
}

/// Else a merge of a thousand copies of one row would never end.
#[test]
fn a_list_of_equal_rows_stays_whole_however_long() {
    for metric in METRICS {
        let mut rows: Vec<f32> = [1.0, 0.0, 0.0].repeat(300);
        rows.extend([0.0, 1.0, 0.0].repeat(20));
        let before: Vec<u32> = (0..320).map(|row| u32::from(row >= 300)).collect();
        let resumed = Resumed { metric, dimension: 3, lists: 4, before: &before };
        let (centroids, lists) = resume(&rows, resumed, &Workers::default()).unwrap();
        assert_eq!((centroids.lists(), lists), (2, before));
    }
}

/// Else whoever writes rows that lie apart one after the other could make a merge go on for hours, or end the process.
#[test]
fn rows_that_lie_apart_one_by_one_are_given_up() {
    let mut rows = vec![0.0_f32; 2 * 6000];
    rows.chunks_exact_mut(2).zip(0..120).for_each(|(row, power)| row[0] = 2.0_f32.powi(power - 60));
    let before: Vec<u32> = (0..6000).map(|row| u32::from(row >= 5990)).collect();
    let resumed = Resumed { metric: Metric::SquaredDistance, dimension: 2, lists: 4, before: &before };
    let (centroids, lists) = resume(&rows, resumed, &Workers::default()).unwrap();
    assert!(centroids.lists() <= 6, "{} lists", centroids.lists());
    assert_eq!(lists.len(), 6000);
}

/// Of how many rows a list is among the nearest of the row next to it: its own, or its second.
fn found_nearby(
    centroids: &Centroids,
    rows: &[f32],
    lists: &[u32],
    seconds: &[Vec<u32>],
    near: usize,
) -> usize {
    let dimension = centroids.dimension();
    let row = |row: usize| &rows[row * dimension..][..dimension];
    let mut lists_of: Vec<Vec<u32>> = lists.iter().map(|&list| vec![list]).collect();
    for (list, seconds) in (0..).zip(seconds) {
        seconds.iter().for_each(|&row| lists_of[row as usize].push(list));
    }
    let is_found = |&of: &usize| {
        let nearest = (0..lists.len()).filter(|&other| other != of);
        let nearest = nearest.max_by(|&a, &b| dot(row(of), row(a)).total_cmp(&dot(row(of), row(b)))).unwrap();
        let order = plain_order(centroids, row(of));
        order[..near].iter().any(|list| lists_of[nearest].contains(list))
    };
    (0..lists.len()).step_by(7).filter(is_found).count()
}

/// Without this, a second list would cost memory and time, and find nothing that the first doesn't.
#[test]
fn a_second_list_finds_rows_that_their_own_would_not() {
    let rows = rows(3000, 16, 200, 0.7, Metric::InnerProduct);
    let centroids = trained(&rows, Metric::InnerProduct, 16, 120);
    let lists = assigned(&centroids, &rows);
    let seconds = seconds(&centroids, &rows, &lists, 8, &Workers::default());
    let none = vec![Vec::new(); seconds.len()];
    for near in [3, 5, 8] {
        let [alone, twice] =
            [&none, &seconds].map(|seconds| found_nearby(&centroids, &rows, &lists, seconds, near));
        assert!((429 - twice) * 10 < (429 - alone) * 8, "of 429 in {near} lists {alone}, and {twice}");
    }
}

/// Without this, blocks would be scanned for rows that aren't there, or a list would lose its own.
#[test]
fn seconds_fill_blocks() {
    for (metric, block) in METRICS.into_iter().zip([32, 8]) {
        let rows = rows(5000, 8, 300, 2.0, metric);
        let centroids = trained(&rows, metric, 8, 90);
        let lists = assigned(&centroids, &rows);
        let own = lengths(&centroids, &lists);
        let found = [&Workers::default(), &Workers::ALONE]
            .map(|workers| seconds(&centroids, &rows, &lists, block, workers));
        assert_eq!(found[0], found[1], "on any number of threads");
        let [seconds, _] = found;
        assert_eq!(seconds.len(), centroids.lists());
        let mut all = seconds.concat();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "none twice");
        assert!((2250..3350).contains(&count), "{count} of 5,000");
        let mut full = 0;
        for (list, (seconds, own)) in seconds.iter().zip(own).enumerate() {
            assert!(seconds.iter().all(|&row| lists[row as usize] != list as u32), "in another list");
            full += usize::from((own + seconds.len()).is_multiple_of(block));
        }
        assert!(full * 10 > seconds.len() * 9, "{full} of {}", seconds.len());
    }
    let one = trained(&[1.0; 40], Metric::InnerProduct, 4, 1);
    assert_eq!(seconds(&one, &[1.0; 40], &[0; 10], 32, &Workers::default()), [[]; 1], "no other list");
    let alike = Centroids::new(Metric::SquaredDistance, 2, vec![f32::MAX, 0.0, 1.0, f32::NAN]);
    let odd = [f32::MAX, f32::MAX, 0.0, 0.0, f32::MIN, 1.0];
    assert!(seconds(&alike, &odd, &[0, 1, 0], 32, &Workers::default()).concat().len() <= 3, "and no panic");
}
