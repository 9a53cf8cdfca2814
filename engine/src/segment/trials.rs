//! What does it take to find the nearest rows in the lists of a segment?
//!
//! Some of its rows are searched for when it is written, as if they were queries: how remote the lists are in which their nearest
//! rows lie, and how many rows of these lists seem nearer by their sign codes. What is seldom exceeded is a step of a ladder.

use super::codes::Index;
use super::lifted::Lifted;
use super::lists::{List, Lists, remoteness};
use crate::cluster::Workers;
use crate::nearness::measure;
use strongroom_format::codes::{LADDER_STEPS, SIGN_BLOCK_ROWS};
use strongroom_format::record::Metric;
use strongroom_kernel::{Bar, Estimate, Query, Variant};

/// So many rows are searched for.
const TRIALS: usize = 128;
/// So many of the nearest are to be found.
const TRIAL_NEAREST: usize = 10;
/// How much more remote a list may be for being as much less near than the nearest as lists are on average.
const SLOPES: [f32; 7] = [0.0, 2.0, 3.0, 4.0, 5.0, 6.5, 8.0];
/// The steps at which a slope should leave few rows to look at: where one in 8 to one in 128 is missed.
const STEPS_THAT_COUNT: std::ops::Range<usize> = 2..7;

/// The rows of lists, and their codes.
pub(super) struct Trials<'a> {
    pub(super) index: &'a Index,
    pub(super) metric: Metric,
    pub(super) rows: &'a [f32],
    pub(super) lifted: &'a Lifted<'a>,
    pub(super) signs: &'a [u8],
    pub(super) nibbles: &'a [u8],
}

/// What a search has to know.
#[derive(Debug, Default)]
pub(super) struct Learned {
    pub(super) slope: f32,
    pub(super) reach: [f32; LADDER_STEPS],
    pub(super) probes: [u32; LADDER_STEPS],
    pub(super) candidates: [u32; LADDER_STEPS],
}

/// What it took to find the nearest of one row.
struct Trial {
    /// How much less near each list is than the nearest, the nearest first.
    behind: Vec<f32>,
    /// How many rows stand in so many of the nearest lists.
    rows: Vec<u32>,
    found: Vec<Found>,
}

/// What it takes to find a row that is near to another.
struct Found {
    /// How many lists have to be looked at.
    lists: usize,
    /// Which one it is of the rows in so many of the nearest lists, by sign codes, for some numbers up to all.
    ranks: Vec<(usize, u32)>,
}

impl Trials<'_> {
    /// Searches for some rows.
    pub(super) fn learn(&self, workers: &Workers) -> Learned {
        let count = self.nibbles.len() / self.index.nibble_row_bytes();
        let Some(lists) = self.index.lists() else { return Learned::default() };
        let trials = workers.map(TRIALS, |trial| self.search(lists, (trial * count / TRIALS) as u32));
        let behind: f64 =
            trials.iter().flat_map(|trial| &trial.behind).map(|&behind| f64::from(behind)).sum();
        let mean = (behind / (TRIALS * lists.count()) as f64) as f32;
        let slopes = SLOPES.iter().map(|slope| slope / mean).filter(|slope| slope.is_finite());
        let costs = slopes.map(|slope| {
            let reach = reach(&trials, slope);
            (slope, reach, cost(&trials, slope, reach))
        });
        let best = costs.min_by(|(_, _, a), (_, _, b)| a.total_cmp(b));
        let (slope, reach, _) = best.unwrap_or_else(|| (0.0, reach(&trials, 0.0), 0.0));
        let candidates = std::array::from_fn(|step| {
            // A search that misses so few of the rows it looks at misses more by the lists.
            let reach = reach[step.saturating_sub(1)];
            let ranks = trials.iter().flat_map(|trial| trial.ranks(trial.within(slope, reach)));
            ladder(ranks.map(f64::from))[step] as u32
        });
        let ranks = trials.iter().flat_map(|trial| &trial.found).map(|found| found.lists as f64);
        let probes = ladder(ranks).map(|rank| rank as u32);
        // What fewer lists leave out, more could bring back.
        Learned { slope, reach, probes, candidates: running_max(candidates) }
    }

    /// What it takes to find each of the nearest rows of a place.
    fn search(&self, lists: &Lists, place: u32) -> Trial {
        let dimension = self.index.dimension();
        let row = self.index.row(place) as usize;
        let query = self.index.query(&self.rows[row * dimension..][..dimension]);
        let mut estimates = vec![Estimate::default(); self.rows.len() / dimension];
        Variant::best().estimate_rows(&query, self.nibbles, &mut estimates);
        let mut nearest: Vec<u32> = (0..estimates.len() as u32).filter(|&other| other != place).collect();
        let by_estimate =
            |a: &u32, b: &u32| estimates[*b as usize].score.total_cmp(&estimates[*a as usize].score);
        nearest.select_nth_unstable_by(TRIAL_NEAREST, by_estimate);
        nearest.truncate(TRIAL_NEAREST);
        let by_signs = self.by_signs(lists, &query, estimates.len());
        let mut of_lists = lists.score(&query);
        let own = lists.list_of(place);
        of_lists[own as usize] = self.score_without(row, lists.list(own));
        let mut order: Vec<u32> = (0..of_lists.len() as u32).collect();
        order.sort_by(|&a, &b| of_lists[b as usize].total_cmp(&of_lists[a as usize]));
        let score = |list: u32| of_lists[list as usize];
        let behind = order.iter().map(|&list| lists.behind(&query, score(order[0]), score(list))).collect();
        let mut trial = Trial { behind, rows: Vec::new(), found: Vec::new() };
        trial.found.extend(nearest.iter().map(|_| Found { lists: 0, ranks: Vec::new() }));
        let mut better = [0; TRIAL_NEAREST];
        let mut is_seen = vec![false; estimates.len()];
        let mut rows = 0;
        for (rank, &list) in (1..).zip(&order) {
            for place in lists.places_in(&lists.list(list)) {
                rows += 1;
                if std::mem::replace(&mut is_seen[place as usize], true) {
                    continue;
                }
                for ((&near, found), better) in nearest.iter().zip(&mut trial.found).zip(&mut better) {
                    *better += u32::from(by_signs[place as usize] > by_signs[near as usize]);
                    if near == place {
                        found.lists = rank;
                    }
                }
            }
            trial.rows.push(rows);
            // At 1 to 8, 10 to 16 by twos, to 32 by fours and so on.
            if rank.trailing_zeros() + 3 >= rank.ilog2() || rank == order.len() {
                for (found, better) in trial.found.iter_mut().zip(better) {
                    found.ranks.push((rank, 1 + better));
                }
            }
        }
        trial
    }

    /// How near a row would be to its list if it had not been there when the centroid was made, as a query never is.
    fn score_without(&self, row: usize, list: List) -> f32 {
        let dimension = self.lifted.dimension();
        let mut others = vec![0.0; dimension];
        for place in list.own() {
            let other = self.index.row(place) as usize;
            if other != row {
                let other = &self.lifted.rows()[other * dimension..][..dimension];
                others.iter_mut().zip(other).for_each(|(sum, x)| *sum += x);
            }
        }
        let middle = self.lifted.lowered(self.lifted.middle(others, list.places as usize - 1));
        let query = &self.rows[row * middle.len()..][..middle.len()];
        let mut score = [0.0];
        measure(self.metric).score_rows(query, &middle, &mut score);
        score[0]
    }

    /// What each place scores by its sign code.
    fn by_signs(&self, lists: &Lists, query: &Query, count: usize) -> Vec<f32> {
        let mut by_signs = vec![0.0; count];
        for list in (0..lists.count() as u32).map(|list| lists.list(list)) {
            let bytes = self.index.block_bytes();
            let count = list.places.div_ceil(SIGN_BLOCK_ROWS) as usize;
            let blocks = &self.signs[list.first_block as usize * bytes..][..count * bytes];
            let places = &mut by_signs[list.first_place as usize..][..list.places as usize];
            let all = Bar { floor: f32::NEG_INFINITY, caution: 0.0 };
            let live = vec![u32::MAX; count];
            Variant::best().scan_signs(&[query], blocks, &live, &mut [all], |_, block, _, scores| {
                let places = &mut places[block * SIGN_BLOCK_ROWS as usize..];
                let count = places.len().min(SIGN_BLOCK_ROWS as usize);
                places[..count].copy_from_slice(&scores.estimates[..count]);
                all
            });
        }
        by_signs
    }
}

impl Trial {
    /// How remote the list of this rank is.
    fn remoteness(&self, rank: usize, slope: f32) -> f32 {
        remoteness(rank, slope * self.behind[rank - 1])
    }

    /// How many lists are no more remote than this.
    fn within(&self, slope: f32, reach: f32) -> usize {
        let (mut within, mut beyond) = (0, self.behind.len());
        while within < beyond {
            let rank = (within + beyond) / 2 + 1;
            if self.remoteness(rank, slope) <= reach {
                within = rank;
            } else {
                beyond = rank - 1;
            }
        }
        within
    }

    /// Which one each is, by sign codes, of the rows in so many of the nearest lists, or some more, of those that lie there.
    fn ranks(&self, lists: usize) -> impl Iterator<Item = u32> {
        let found = self.found.iter().filter(move |found| found.lists <= lists);
        found.filter_map(move |found| {
            let at = found.ranks.partition_point(|(of, _)| *of < lists);
            found.ranks.get(at).map(|(_, rank)| *rank)
        })
    }
}

/// How remote lists must be looked at, step by step.
fn reach(trials: &[Trial], slope: f32) -> [f32; LADDER_STEPS] {
    let remoteness = trials.iter().flat_map(|trial| {
        trial.found.iter().map(move |found| f64::from(trial.remoteness(found.lists, slope)))
    });
    ladder(remoteness).map(|step| step as f32)
}

/// How many rows that leaves to look at, by the logarithm.
fn cost(trials: &[Trial], slope: f32, reach: [f32; LADDER_STEPS]) -> f64 {
    let rows = |trial: &Trial, reach: f32| {
        let lists = trial.within(slope, reach);
        trial.rows.get(lists.wrapping_sub(1)).map_or(0.0, |rows| f64::from(*rows))
    };
    let of_steps = reach[STEPS_THAT_COUNT].iter();
    of_steps.map(|&reach| trials.iter().map(|trial| rows(trial, reach)).sum::<f64>().ln()).sum()
}

/// For each step the least number that no more than one in `2^(step + 1)` is above.
fn ladder(numbers: impl Iterator<Item = f64>) -> [f64; LADDER_STEPS] {
    let mut numbers: Vec<f64> = numbers.filter(|number| number.is_finite()).collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let last = numbers.len().saturating_sub(1);
    std::array::from_fn(|step| {
        let above = numbers.len() >> (step + 1);
        numbers.get(last - above.min(last)).copied().unwrap_or(0.0)
    })
}

/// Each with the greatest up to it.
fn running_max(mut ladder: [u32; LADDER_STEPS]) -> [u32; LADDER_STEPS] {
    for step in 1..LADDER_STEPS {
        ladder[step] = ladder[step].max(ladder[step - 1]);
    }
    ladder
}
