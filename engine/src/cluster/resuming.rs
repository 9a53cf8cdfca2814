//! Which lists do the rows of merged segments fall into, when most of them have been in lists before?
//!
//! Those stay together: training is most of what a merge computes, and the middles of lists hardly move when some rows come
//! and go. The others go to the nearest list, and lists that are too long by then fall in two.

use super::centroids::Centroids;
use super::lloyd::{LONG_TIMES_MEAN, Members, Round, halve, means};
use super::random::SplitMix64;
use super::rows::Rows;
use super::workers::Workers;
use super::{FLAT_ASSIGNED_MAX, groups, scan};
use strongroom_kernel::Metric;

/// The list of a row that has been in none.
pub const NO_LIST: u32 = u32::MAX;

/// More than one row in so many without a list, and all are put into lists anew.
const NEW_ROWS_SHARE: usize = 4;
/// Lists may be so many times as many, or as few, as there shall be.
const LISTS_TIMES_WANTED: usize = 2;
/// Among so many lists, those about its own, a row looks for the nearest in the end.
const LISTS_ABOUT: usize = 24;
/// A list is halved at most so many times as often as even halves would take.
const HALVINGS_TIMES_NEEDED: usize = 4;
/// Seeds the choice of where a list falls in two.
const SEED: u64 = 0x7265_7375_6D65;

/// What is known of rows that were in lists.
#[derive(Debug, Clone, Copy)]
pub struct Resumed<'a> {
    /// By which rows are near. For inner products all have length 1, or 0.
    pub metric: Metric,
    /// Components of each row.
    pub dimension: usize,
    /// How many lists there shall be, about.
    pub lists: usize,
    /// In which list each row was: one of any number, or [`NO_LIST`], as is what is missing at the end.
    pub before: &'a [u32],
}

/// The centroids of the lists that rows were in, and the list of each row; `None` when too little is known, and lists are to be
/// [trained](super::train) instead.
///
/// # Panics
/// When the rows are not all as long as the dimension, or it is 0.
pub fn resume(rows: &[f32], resumed: Resumed<'_>, workers: &Workers) -> Option<(Centroids, Vec<u32>)> {
    let Resumed { metric, dimension, lists: wanted, before } = resumed;
    let rows = Rows::new(rows, dimension);
    let all = rows.all();
    let before = |row: u32| before.get(row as usize).copied().unwrap_or(NO_LIST);
    let (known, new): (Vec<u32>, Vec<u32>) = all.iter().partition(|&&row| before(row) != NO_LIST);
    let numbers = Numbers::of(known.iter().map(|&row| before(row)));
    let is_known = new.len() * NEW_ROWS_SHARE <= all.len();
    let fits =
        numbers.0.len() <= wanted * LISTS_TIMES_WANTED && wanted <= numbers.0.len() * LISTS_TIMES_WANTED;
    if all.is_empty() || !is_known || !fits {
        return None;
    }
    let nearest = if numbers.0.len() > FLAT_ASSIGNED_MAX { groups::nearest } else { scan::nearest };
    let round = |picked| Round { rows, picked, workers, nearest };
    let known_lists: Vec<u32> = known.iter().map(|&row| numbers.after(before(row))).collect();
    let middles = middles_of(&round(&known), &known_lists, numbers.0.len(), metric);
    let found = nearest(&middles, rows, &new, workers);
    let mut lists = vec![0; all.len()];
    for (&row, list) in known.iter().zip(known_lists).chain(new.iter().zip(found)) {
        lists[row as usize] = list;
    }
    let members = Members::new(&lists, numbers.0.len());
    let longest = LONG_TIMES_MEAN * all.len().div_ceil(wanted);
    let parts = workers.map(numbers.0.len(), |list| {
        let random = &mut SplitMix64(SEED ^ list as u64);
        parts(
            &Round { rows, picked: &all, workers: &Workers::ALONE, nearest: scan::nearest },
            members.of(list),
            longest,
            random,
        )
    });
    let parts = parts.concat();
    for (list, part) in (0..).zip(&parts) {
        part.iter().for_each(|&row| lists[row as usize] = list);
    }
    let centroids = middles_of(&round(&all), &lists, parts.len(), metric);
    mend(&centroids, rows, &mut lists, workers);
    Some(without_empty(&centroids, lists))
}

/// The middles of so many lists.
fn middles_of(round: &Round<'_>, lists: &[u32], count: usize, metric: Metric) -> Centroids {
    let (dimension, members) = (round.rows.dimension(), Members::new(lists, count));
    Centroids::of_means(metric, dimension, means(round, &members, &vec![0.0; count * dimension]))
}

/// Moves each row into the nearest of the lists about its own.
fn mend(centroids: &Centroids, rows: Rows<'_>, lists: &mut [u32], workers: &Workers) {
    let members = Members::new(lists, centroids.lists());
    let moved = workers.map(centroids.lists(), |list| {
        let mut about = centroids.about(list as u32, LISTS_ABOUT);
        about.sort_unstable();
        let vectors = about.iter().flat_map(|&list| centroids.vector(list)).copied().collect();
        let near = Centroids::new(centroids.metric(), centroids.dimension(), vectors);
        let found = scan::nearest(&near, rows, members.of(list), &Workers::ALONE);
        found.into_iter().map(|found| about[found as usize]).collect::<Vec<_>>()
    });
    for (list, found) in moved.into_iter().enumerate() {
        members.of(list).iter().zip(found).for_each(|(&row, found)| lists[row as usize] = found);
    }
}

/// The lists that have rows.
fn without_empty(centroids: &Centroids, mut lists: Vec<u32>) -> (Centroids, Vec<u32>) {
    let numbers = Numbers::of(lists.iter().copied());
    lists.iter_mut().for_each(|list| *list = numbers.after(*list));
    let dimension = centroids.dimension();
    let vectors = numbers.0.iter().flat_map(|&list| centroids.vector(list)).copied().collect();
    (Centroids::new(centroids.metric(), dimension, vectors), lists)
}

/// The numbers that lists had, rising: neighbours stay neighbours.
struct Numbers(Vec<u32>);

impl Numbers {
    fn of(lists: impl Iterator<Item = u32>) -> Self {
        let mut numbers: Vec<u32> = lists.collect();
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers)
    }

    /// The new number of a list that is there.
    fn after(&self, before: u32) -> u32 {
        self.0.partition_point(|&number| number < before) as u32
    }
}

/// The rows of a list, halved until no part is too long, as far as rows differ and that comes to an end soon: where single rows lie
/// apart one after the other, what is left stays long.
fn parts(round: &Round<'_>, list: &[u32], longest: usize, random: &mut SplitMix64) -> Vec<Vec<u32>> {
    let mut halvings = HALVINGS_TIMES_NEEDED * (list.len() / longest);
    let (mut parts, mut left) = (Vec::new(), vec![list.to_vec()]);
    while let Some(list) = left.pop() {
        if list.len() <= longest || halvings == 0 {
            parts.push(list);
            continue;
        }
        halvings -= 1;
        let halves = halve(round, &list, random);
        let halves = Centroids::new(Metric::SquaredDistance, round.rows.dimension(), halves);
        let found = scan::nearest(&halves, round.rows, &list, round.workers);
        let half = |half: u32| -> Vec<u32> {
            list.iter().zip(&found).filter(|(_, found)| **found == half).map(|(row, _)| *row).collect()
        };
        let (first, second) = (half(0), half(1));
        if first.is_empty() || second.is_empty() {
            parts.push(list);
        } else {
            left.extend([second, first]);
        }
    }
    parts
}
