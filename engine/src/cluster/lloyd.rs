//! How do centroids move to the middle of what is nearest to them?
//!
//! By Lloyd's rounds: each row goes to its nearest centroid, each centroid to the mean of its rows. Between rounds, the
//! longest lists are split, and the shortest give up their centroids for it: an empty list costs a search its score and
//! finds nothing, a long one is scanned whole for the few rows that are near.

use super::centroids::Centroids;
use super::random::SplitMix64;
use super::rows::Rows;
use super::scan;
use super::workers::Workers;
use std::ops::Range;
use strongroom_kernel::{Metric, Variant, add_rows};

/// A list with more than so many times the mean is split.
pub(super) const LONG_TIMES_MEAN: usize = 2;
/// A list with less than the mean divided by this gives up its centroid.
const SHORT_MEAN_OVER: usize = 2;
/// Rounds in which a list falls in two.
const HALVING_ROUNDS: usize = 4;
/// Rounds end when fewer rows moved than all divided by this.
const MOVED_ALL_OVER: usize = 100;

/// What rounds are done on.
pub(super) struct Round<'a> {
    pub(super) rows: Rows<'a>,
    /// The rows that count.
    pub(super) picked: &'a [u32],
    pub(super) workers: &'a Workers,
    /// Finds the nearest list of each picked row.
    pub(super) nearest: fn(&Centroids, Rows<'_>, &[u32], &Workers) -> Vec<u32>,
}

/// Moves centroids from where they start in at most `count` rounds; splits long lists when it is given a generator.
pub(super) fn rounds(
    round: &Round<'_>,
    start: Vec<f32>,
    count: usize,
    mut splits: Option<&mut SplitMix64>,
) -> Vec<f32> {
    let mut vectors = start;
    let mut before = Vec::new();
    for done in 1..=count {
        let centroids = Centroids::new(Metric::SquaredDistance, round.rows.dimension(), vectors);
        let found = (round.nearest)(&centroids, round.rows, round.picked, round.workers);
        let members = Members::new(&found, centroids.lists());
        vectors = means(round, &members, centroids.vectors());
        let moved = found.iter().zip(&before).filter(|(now, before)| now != before).count();
        if done == count || (!before.is_empty() && moved < round.picked.len() / MOVED_ALL_OVER) {
            break;
        }
        if let Some(random) = &mut splits {
            split_long_lists(round, &members, &mut vectors, random);
        }
        before = found;
    }
    vectors
}

/// Which places are in each list, rising within a list.
pub(super) struct Members {
    places: Vec<u32>,
    starts: Vec<usize>,
}

impl Members {
    /// From the list of each place.
    pub(super) fn new(found: &[u32], lists: usize) -> Self {
        let mut starts = vec![0; lists + 1];
        for &list in found {
            starts[list as usize + 1] += 1;
        }
        for list in 0..lists {
            starts[list + 1] += starts[list];
        }
        let mut next = starts.clone();
        let mut places = vec![0; found.len()];
        for (place, &list) in found.iter().enumerate() {
            places[next[list as usize]] = place as u32;
            next[list as usize] += 1;
        }
        Self { places, starts }
    }

    /// All places, list by list.
    pub(super) fn places(&self) -> &[u32] {
        &self.places
    }

    /// Where a list stands among all places.
    pub(super) fn range(&self, list: usize) -> Range<usize> {
        self.starts[list]..self.starts[list + 1]
    }

    /// The places of a list.
    pub(super) fn of(&self, list: usize) -> &[u32] {
        &self.places[self.range(list)]
    }

    /// How many places each list has.
    pub(super) fn lengths(&self) -> Vec<usize> {
        self.starts.windows(2).map(|borders| borders[1] - borders[0]).collect()
    }
}

/// The mean of each list's rows, summed in their order; an empty list stays where it was.
pub(super) fn means(round: &Round<'_>, members: &Members, vectors: &[f32]) -> Vec<f32> {
    let dimension = round.rows.dimension();
    let lists = vectors.len() / dimension;
    let means = round.workers.map(lists, |list| {
        let places = members.of(list);
        if places.is_empty() {
            return vectors[list * dimension..][..dimension].to_vec();
        }
        let mut sums = vec![0.0_f64; dimension];
        let rows: Vec<&[f32]> =
            places.iter().map(|&place| round.rows.row(round.picked[place as usize])).collect();
        add_rows(&mut sums, &rows);
        sums.iter().map(|sum| (sum / places.len() as f64) as f32).collect()
    });
    means.concat()
}

/// Splits lists from the longest on, each at the cost of the next shortest, while one is too long and the other short
/// enough, or empty.
fn split_long_lists(round: &Round<'_>, members: &Members, vectors: &mut [f32], random: &mut SplitMix64) {
    let lengths = members.lengths();
    let (all, lists) = (round.picked.len(), lengths.len());
    let mut by_length: Vec<usize> = (0..lists).collect();
    by_length.sort_by_key(|&list| lengths[list]);
    for pair in 0..lists / 2 {
        let (short, long) = (by_length[pair], by_length[lists - 1 - pair]);
        let uneven =
            lengths[long] * lists > all * LONG_TIMES_MEAN && lengths[short] * lists < all / SHORT_MEAN_OVER;
        if lengths[long] < 2 || !(uneven || lengths[short] == 0) {
            break;
        }
        let rows: Vec<u32> = members.of(long).iter().map(|&place| round.picked[place as usize]).collect();
        let halves = halve(round, &rows, random);
        for (list, half) in [long, short].into_iter().zip(halves.chunks_exact(round.rows.dimension())) {
            vectors[list * half.len()..][..half.len()].copy_from_slice(half);
        }
    }
}

/// Two centroids for the rows of one list.
pub(super) fn halve(round: &Round<'_>, picked: &[u32], random: &mut SplitMix64) -> Vec<f32> {
    let (rows, distance) = (round.rows, |a: u32, b: u32| {
        let mut distance = [0.0];
        Variant::best().squared_distance_rows(round.rows.row(a), round.rows.row(b), &mut distance);
        distance[0]
    });
    let one = picked[random.below(picked.len())];
    let mut other = picked[random.below(picked.len())];
    if distance(one, other) == 0.0 {
        // Among many rows that are the same, the others are rarely drawn.
        other = picked
            .iter()
            .copied()
            .max_by(|&a, &b| distance(one, a).total_cmp(&distance(one, b)))
            .unwrap_or(one);
    }
    let within = Round { rows, picked, workers: round.workers, nearest: scan::nearest };
    rounds(&within, [rows.row(one), rows.row(other)].concat(), HALVING_ROUNDS, None)
}
