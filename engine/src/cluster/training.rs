//! Where are the centroids of a segment's lists?
//!
//! Trained on a sample, from sampled rows or from the centroids of the segments that are merged.

use super::centroids::Centroids;
use super::lloyd::{Members, Round, rounds};
use super::random::SplitMix64;
use super::rows::{Rows, spread};
use super::workers::Workers;
use super::{FLAT_ASSIGNED_MAX, groups, scan};
use strongroom_kernel::Metric;

/// Rows that training looks at for each list.
pub const SAMPLED_ROWS_PER_LIST: usize = 64;
/// Above so many lists, training has two levels.
pub const FLAT_TRAINED_MAX: usize = 64;

/// Rows that training looks at for each group of lists.
const SAMPLED_ROWS_PER_GROUP: usize = 256;
/// Rounds at most, of each level.
const ROUNDS: usize = 8;
/// Rounds at most over all lists, once they stand near where they belong.
const MENDING_ROUNDS: usize = 3;
/// Seeds the sample and all else that is drawn.
const SEED: u64 = 0x0063_6C75_7374_6572;

/// What is trained.
#[derive(Debug, Clone, Copy)]
pub struct Training<'a> {
    /// By which rows are near. For inner products all have length 1, or 0.
    pub metric: Metric,
    /// Components of each row.
    pub dimension: usize,
    /// How many lists there shall be, at most.
    pub lists: usize,
    /// Centroids to begin with, one behind the other: those of the segments that are merged. Empty when there are none.
    pub start: &'a [f32],
}

/// Finds the centroids of lists for rows that lie one behind the other.
///
/// ```
/// use strongroom_engine::cluster::{Training, Workers, assign, train};
/// use strongroom_kernel::Metric;
/// let rows = [1.0, 0.0, 9.0, 9.0, 1.0, 0.5, 9.5, 9.0];
/// let training = Training { metric: Metric::SquaredDistance, dimension: 2, lists: 2, start: &[] };
/// let centroids = train(&rows, training, &Workers::default());
/// let lists = assign(&centroids, &rows, &Workers::default());
/// assert!(lists[0] == lists[2] && lists[1] == lists[3] && lists[0] != lists[1]);
/// ```
///
/// # Panics
/// When the rows or centroids to begin with are not all as long as the dimension, or it is 0.
pub fn train(rows: &[f32], training: Training<'_>, workers: &Workers) -> Centroids {
    let Training { metric, dimension, lists, start } = training;
    let (rows, start) = (Rows::new(rows, dimension), Rows::new(start, dimension));
    let mut random = SplitMix64(SEED);
    let sample = spread(&rows.all(), lists.saturating_mul(SAMPLED_ROWS_PER_LIST), &mut random);
    let lists = lists.min(sample.len());
    let nearest = if lists > FLAT_ASSIGNED_MAX { groups::nearest } else { scan::nearest };
    let round = Round { rows, picked: &sample, workers, nearest };
    let near = if start.all().is_empty() {
        from_rows(&round, lists, &mut random)
    } else {
        from_start(&round, start, lists, &mut random)
    };
    let means = rounds(&round, near, MENDING_ROUNDS, Some(&mut random));
    let centroids = Centroids::of_means(metric, dimension, means);
    filled(&centroids, &Members::new(&nearest(&centroids, rows, &sample, workers), lists))
}

/// Centroids of nothing but rows.
fn from_rows(round: &Round<'_>, lists: usize, random: &mut SplitMix64) -> Vec<f32> {
    let &Round { rows, picked, workers, .. } = round;
    if lists <= FLAT_TRAINED_MAX {
        return from_some_rows(rows, picked, lists, workers, random);
    }
    let groups = lists.isqrt();
    let some = spread(picked, groups * SAMPLED_ROWS_PER_GROUP, random);
    let heads = from_some_rows(rows, &some, groups, workers, random);
    let heads = Centroids::new(Metric::SquaredDistance, rows.dimension(), heads);
    let members = Members::new(&scan::nearest(&heads, rows, picked, workers), groups);
    let shares = shares(&members.lengths(), lists);
    let seed = random.next();
    let within = workers.map(groups, |group| {
        let picked: Vec<u32> = members.of(group).iter().map(|&place| picked[place as usize]).collect();
        let random = &mut SplitMix64(seed ^ group as u64);
        from_some_rows(rows, &picked, shares[group], &Workers::default(), random)
    });
    within.concat()
}

/// Centroids at one level.
fn from_some_rows(
    rows: Rows<'_>,
    picked: &[u32],
    lists: usize,
    workers: &Workers,
    random: &mut SplitMix64,
) -> Vec<f32> {
    let start = rows.gather(spread(picked, lists, random).into_iter());
    rounds(&Round { rows, picked, workers, nearest: scan::nearest }, start, ROUNDS, Some(random))
}

/// How many lists each group has: one if it has any rows, and of the rest as its rows are of all, rounded so that none is left.
fn shares(lengths: &[usize], lists: usize) -> Vec<usize> {
    let filled = lengths.iter().filter(|&&length| length > 0).count();
    let rest = lists.saturating_sub(filled);
    let all = lengths.iter().sum::<usize>().max(1);
    let mut before = 0;
    let share = |length: &usize| {
        let from = before * rest / all;
        before += length;
        usize::from(*length > 0) + before * rest / all - from
    };
    lengths.iter().map(share).collect()
}

/// As many centroids as lists: evenly some of those to start with, or all of them and some rows.
fn from_start(round: &Round<'_>, start: Rows<'_>, lists: usize, random: &mut SplitMix64) -> Vec<f32> {
    let all = start.all();
    let kept = start.gather(spread(&all, lists, random).into_iter());
    let more = spread(round.picked, lists.saturating_sub(all.len()), random);
    [kept, round.rows.gather(more.into_iter())].concat()
}

/// The centroids that some row is nearest to. Nothing is nearer to the others, so no row's list changes.
fn filled(centroids: &Centroids, members: &Members) -> Centroids {
    let vectors = centroids.vectors().chunks_exact(centroids.dimension());
    let filled = vectors.enumerate().filter(|(list, _)| !members.of(*list).is_empty());
    let vectors = filled.flat_map(|(_, vector)| vector).copied().collect();
    Centroids::new(centroids.metric(), centroids.dimension(), vectors)
}
