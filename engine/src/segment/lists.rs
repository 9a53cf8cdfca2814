//! Where do the codes of each list lie, and which lists does a search look at?
//!
//! A list's own rows have the places that follow each other, in the order of lists; their sign codes stand in its blocks in that order. Behind
//! them stand rows of other lists, as in a second one: by the same code, so that a search which looks at both lists sees one row.
//!
//! How *remote* a list is from a query grows with its rank by nearness, and with how much less near it is than the nearest:
//! where many lists are about as near, a search looks at more of them than where few are.

use crate::rank;
use std::ops::Range;
use strongroom_format::codes::{IndexHead, LADDER_STEPS, ListRows, Places, SIGN_BLOCK_ROWS};
use strongroom_format::record::Metric;
use strongroom_kernel::{Mask, Query, Variant, fetch, reaching_count};

/// So often the interval is halved in which the score of the last list to look at lies.
const HALVINGS: usize = 9;

/// How much more remote lists are looked at for `e` times as many rows, or when one in `e` takes part: the hundred nearest need as much as
/// the ten nearest of a tenth, 1.4 more of sentences and 0.8 of words.
const FARTHER_BY_FOLD: f64 = 0.6;

/// How much more remote lists are looked at when too few rows were found.
const FARTHER: f32 = 2.0;

/// The lists of a segment's rows.
#[derive(Debug)]
pub(super) struct Lists {
    metric: Metric,
    /// The first place of each list, and how many places there are.
    first_places: Vec<u32>,
    /// The first of each list among rows that stand twice, and how many there are of these.
    first_seconds: Vec<u32>,
    /// The first block of sign codes of each list, and how many blocks there are.
    first_blocks: Vec<u32>,
    /// Which row each place is of, and the other way about.
    rows: Vec<u32>,
    places: Vec<u32>,
    seconds: Vec<Second>,
    centroids: Vec<u8>,
    slope: f32,
    reach: [f32; LADDER_STEPS],
    probes: [u32; LADDER_STEPS],
    candidates: [u32; LADDER_STEPS],
}

/// What a search looks at.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// How remote lists.
    pub reach: f32,
    /// How many lists at least where a filter leaves rows out: of those that are left the nearest may be as near as one another. All, if it
    /// says so many.
    pub probes: usize,
    /// How many rows by their codes of four bits.
    pub rows: usize,
}

impl Effort {
    /// More, where that was not enough.
    #[must_use]
    pub fn more(self) -> Self {
        Self { reach: self.reach + FARTHER, probes: (self.probes * 4).max(4), rows: self.rows * 2 }
    }
}

/// A row that stands in a second list.
#[derive(Debug, Clone, Copy)]
struct Second {
    place: u32,
    /// Its own list.
    list: u32,
}

/// A list's places and blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct List {
    pub(super) number: u32,
    pub(super) first_block: u32,
    pub(super) blocks: u32,
    pub(super) first_place: u32,
    pub(super) places: u32,
    first_second: u32,
    seconds: u32,
}

impl List {
    /// Its blocks of sign codes.
    pub(super) fn run(&self) -> Range<u32> {
        self.first_block..self.first_block + self.blocks
    }

    /// The places of its own rows.
    pub(super) fn own(&self) -> Range<u32> {
        self.first_place..self.first_place + self.places
    }

    fn seconds(&self) -> Range<usize> {
        self.first_second as usize..(self.first_second + self.seconds) as usize
    }

    /// For each block a bit for each of its rows.
    fn live(&self) -> impl Iterator<Item = u32> {
        let rows = self.places + self.seconds;
        let left = move |block: u32| (rows - block * SIGN_BLOCK_ROWS).min(SIGN_BLOCK_ROWS);
        (0..self.blocks).map(move |block| ((1_u64 << left(block)) - 1) as u32)
    }
}

/// Lists that a search looks at.
#[derive(Debug)]
pub(super) struct Probes {
    /// The nearest first.
    pub(super) lists: Vec<List>,
    /// For each of their blocks a bit for each row to be looked at.
    pub(super) words: Vec<u32>,
    /// Whether others are left that may have any.
    pub(super) is_all: bool,
    /// Of each list that there is, whether it is looked at.
    is_probed: Vec<bool>,
}

impl Lists {
    /// Those that a head describes, with the rows of its places.
    pub(super) fn of(head: &IndexHead<'_>, metric: Metric, places: Places) -> Self {
        let Places { rows, seconds } = places;
        let sums = |count: fn(&ListRows) -> u32| {
            let mut sums = vec![0];
            for list in &head.lists {
                sums.push(sums[sums.len() - 1] + count(list));
            }
            sums
        };
        let mut places = vec![0; rows.len()];
        for (place, &row) in (0..).zip(&rows) {
            places[row as usize] = place;
        }
        let mut lists = Self {
            metric,
            first_places: sums(|list| list.own),
            first_seconds: sums(|list| list.seconds),
            first_blocks: sums(|list| list.blocks()),
            rows,
            places,
            seconds: Vec::new(),
            centroids: head.centroids.to_vec(),
            slope: head.slope,
            reach: head.reach,
            probes: head.probes,
            candidates: head.candidates,
        };
        let second = |row: u32| {
            let place = lists.places[row as usize];
            Second { place, list: lists.list_of(place) }
        };
        lists.seconds = seconds.into_iter().map(second).collect();
        lists
    }

    /// Roughly what they take in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let sums = self.first_places.len() + self.first_seconds.len() + self.first_blocks.len();
        let numbers = sums + 2 * self.rows.len();
        numbers * size_of::<u32>() + self.seconds.len() * size_of::<Second>() + self.centroids.len()
    }

    /// How near each list is to a query, the greater the nearer.
    pub(super) fn score(&self, query: &Query) -> Vec<f32> {
        let mut scores = vec![0.0; self.count()];
        Variant::best().estimate_rows(query, &self.centroids, &mut scores);
        scores
    }

    /// How much less near a list of this score is to a query than the nearest, in a measure that does not grow with the query's length.
    pub(super) fn behind(&self, query: &Query, nearest: f32, score: f32) -> f32 {
        match self.metric {
            Metric::Cosine | Metric::InnerProduct => (nearest - score) / query.norm().max(f32::MIN_POSITIVE),
            // Scores are squared distances, negative.
            Metric::Euclidean => (-score).max(0.0).sqrt() - (-nearest).max(0.0).sqrt(),
        }
    }

    /// The lists no more remote than this, by [`rank`], in any order.
    fn within(&self, query: &Query, reach: f32, scores: &[f32]) -> Vec<u64> {
        let nearest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let farthest = scores.iter().copied().fold(f32::INFINITY, f32::min);
        if !(reach.is_finite() && (nearest - farthest).is_finite()) {
            return (0..).zip(scores).map(|(list, &score)| rank::key(score, list)).collect();
        }
        let is_within = |bar: f32| {
            let rank = reaching_count(scores, bar);
            remoteness(rank, self.slope * self.behind(query, nearest, bar)) <= reach
        };
        let (mut within, mut beyond) = (nearest, farthest);
        if is_within(farthest) {
            within = farthest;
        }
        for _ in 0..HALVINGS {
            let middle = within + (beyond - within) / 2.0;
            *if is_within(middle) { &mut within } else { &mut beyond } = middle;
        }
        let mut near = Vec::with_capacity(reaching_count(scores, within));
        near.extend(
            (0..)
                .zip(scores)
                .filter(|(_, score)| **score >= within)
                .map(|(list, &score)| rank::key(score, list)),
        );
        near
    }

    fn reach_of(&self, effort: Effort) -> f32 {
        if effort.probes < self.count() { effort.reach } else { f32::INFINITY }
    }

    /// The lists no more remote from a query than this, the nearest at least.
    pub(super) fn nearest(&self, query: &Query, effort: Effort) -> Probes {
        let mut order = self.within(query, self.reach_of(effort), &self.score(query));
        order.sort_unstable();
        let lists: Vec<List> = order.into_iter().map(|key| self.list(rank::number(key))).collect();
        let words = lists.iter().flat_map(List::live).collect();
        self.probes(lists, words)
    }

    /// The same as if there were no other lists than those with rows that are live, and more where they have fewer of these than
    /// so many lists do on average: where a filter goes with what rows are about, those near a query have few. Only rows that are live
    /// are looked at.
    pub(super) fn nearest_with(&self, query: &Query, effort: Effort, live: &Mask) -> Probes {
        let (scores, reach) = (self.score(query), self.reach_of(effort));
        let mut order: Vec<u64> = (0..).zip(&scores).map(|(list, &score)| rank::key(score, list)).collect();
        order.sort_unstable();
        let standing = 1.0 + self.seconds.len() as f64 / self.rows.len().max(1) as f64;
        let in_each = live.count() as f64 * standing / self.count() as f64;
        // Lists count that have such rows of their own: where a filter goes with what rows are about, others have a few as seconds.
        let (mut nearest, mut wanted, mut seen, mut counted) = (None, None, 0, 0);
        let (mut lists, mut words, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for key in order {
            let (list, known) = (self.list(rank::number(key)), words.len());
            rows.clear();
            rows.extend_from_slice(self.rows_at(list.own()));
            rows.extend(self.seconds[list.seconds()].iter().map(|second| self.row(second.place)));
            let bit = |word: u32, &row: &u32| word << 1 | u32::from(live.contains(row));
            let blocks = rows.chunks(SIGN_BLOCK_ROWS as usize);
            words.extend(blocks.map(|rows| rows.iter().rev().fold(0, bit)));
            let found: u32 = words[known..].iter().map(|word| word.count_ones()).sum();
            if found == 0 {
                words.truncate(known);
                continue;
            }
            if self.rows_at(list.own()).iter().any(|&row| live.contains(row)) {
                let score = rank::score(key);
                let behind = self.slope * self.behind(query, *nearest.get_or_insert(score), score);
                let is_beyond = remoteness(counted + 1, behind) > reach;
                if wanted.is_none() && is_beyond && counted >= effort.probes.max(1) {
                    wanted = Some((in_each * counted as f64) as u64);
                }
                counted += 1;
            }
            if wanted.is_some_and(|wanted| seen >= wanted) {
                words.truncate(known);
                return self.probes(lists, words);
            }
            lists.push(list);
            seen += u64::from(found);
        }
        Probes { is_all: true, ..self.probes(lists, words) }
    }

    fn probes(&self, lists: Vec<List>, words: Vec<u32>) -> Probes {
        let mut is_probed = vec![false; self.count()];
        lists.iter().for_each(|list| is_probed[list.number as usize] = true);
        Probes { is_all: lists.len() == self.count(), lists, words, is_probed }
    }

    /// The place of a row of a list that is looked at; `None` when it stands there a second time.
    pub(super) fn place_in(&self, list: &List, at: u32, probes: &Probes) -> Option<u32> {
        if at < list.places {
            return Some(list.first_place + at);
        }
        let second = self.seconds[(list.first_second + at - list.places) as usize];
        (!probes.is_probed[second.list as usize]).then_some(second.place)
    }

    /// Asks memory for what is known of rows that stand there a second time.
    pub(super) fn ask_for_seconds(&self, list: &List) {
        fetch(&self.seconds[list.seconds()]);
    }

    /// The places of the rows of a list, its own first.
    pub(super) fn places_in(&self, list: &List) -> impl Iterator<Item = u32> {
        list.own().chain(self.seconds[list.seconds()].iter().map(|second| second.place))
    }

    /// Of each row that stands twice, the block and the row there of its own list, and of its second.
    pub(super) fn second_slots(&self) -> impl Iterator<Item = ((usize, usize), (usize, usize))> {
        (0..self.count() as u32).map(|list| self.list(list)).flat_map(move |list| {
            let slots = (list.places..).zip(&self.seconds[list.seconds()]);
            slots.map(move |(at, second)| (self.slot_of(second.place), list.slot(at)))
        })
    }

    pub(super) fn count(&self) -> usize {
        self.first_places.len() - 1
    }

    /// How many blocks of sign codes there are.
    pub(super) fn blocks(&self) -> u32 {
        self.first_blocks[self.count()]
    }

    pub(super) fn row(&self, place: u32) -> u32 {
        self.rows[place as usize]
    }

    pub(super) fn place(&self, row: u32) -> u32 {
        self.places[row as usize]
    }

    /// The rows of places that follow each other.
    fn rows_at(&self, places: Range<u32>) -> &[u32] {
        &self.rows[places.start as usize..places.end as usize]
    }

    /// The block of sign codes that a place is in, and where in the block.
    pub(super) fn slot_of(&self, place: u32) -> (usize, usize) {
        let list = self.list(self.list_of(place));
        list.slot(place - list.first_place)
    }

    /// Which list a place is in.
    pub(super) fn list_of(&self, place: u32) -> u32 {
        self.first_places.partition_point(|&first| first <= place) as u32 - 1
    }

    pub(super) fn list(&self, list: u32) -> List {
        let (at, next) = (list as usize, list as usize + 1);
        let of = |sums: &[u32]| (sums[at], sums[next] - sums[at]);
        let (first_block, blocks) = of(&self.first_blocks);
        let (first_place, places) = of(&self.first_places);
        let (first_second, seconds) = of(&self.first_seconds);
        List { number: list, first_block, blocks, first_place, places, first_second, seconds }
    }

    /// What a search for the `k` nearest looks at, of rows of which one in so many takes part.
    pub(super) fn effort(&self, recall: f32, k: usize, one_in: f64) -> Effort {
        let missed = (1.0 - recall).clamp(0.0, 1.0);
        // Queries are farther from rows than rows are from each other, and miss about half as many again by the lists.
        let by_lists = missed * 0.4;
        let (reach, probes) =
            (step(self.reach.map(f64::from), by_lists), step(self.probes.map(f64::from), by_lists));
        let candidates = step(self.candidates.map(f64::from), missed * 0.2).ceil();
        // Steps are of the ten nearest of all; more of them reach farther, and so do as many of fewer.
        let (more, one_in) = ((k as f64 / 10.0).max(1.0), one_in.max(1.0));
        Effort {
            reach: (reach + FARTHER_BY_FOLD * (more * one_in).ln()) as f32,
            probes: (probes * more.sqrt() * one_in.powf(0.35)) as usize,
            rows: (candidates * more) as usize + 2 * k,
        }
    }
}

impl List {
    /// The block of sign codes that a row of it is in, and where in the block.
    fn slot(&self, at: u32) -> (usize, usize) {
        ((self.first_block + at / SIGN_BLOCK_ROWS) as usize, (at % SIGN_BLOCK_ROWS) as usize)
    }
}

/// How remote the list of this rank, from 1, is that is so much less near than the nearest.
pub(super) fn remoteness(rank: usize, behind: f32) -> f32 {
    (rank.max(1) as f32).ln() + behind
}

/// The step of a ladder at which so much is missed, between two steps by the logarithm.
fn step(ladder: [f64; LADDER_STEPS], missed: f32) -> f64 {
    let at = (-missed.max(f32::MIN_POSITIVE).log2() - 1.0).clamp(0.0, (LADDER_STEPS - 1) as f32);
    let below = at as usize;
    let above = (below + 1).min(LADDER_STEPS - 1);
    let share = f64::from(at.fract());
    ladder[below] * (1.0 - share) + ladder[above] * share
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this, a search that asks for more recall could look at less.
    #[test]
    fn more_recall_takes_more_steps() {
        let ladder = std::array::from_fn(|step| f64::from(1 << step));
        let at = [0.5, 0.25, 0.001, 0.0, 1.0].map(|missed| step(ladder, missed).ceil());
        assert_eq!(at, [1.0, 2.0, 504.0, 512.0, 1.0]);
        let steps: Vec<f64> = (0..1000).map(|n| step(ladder, 1.0 - n as f32 / 1000.0)).collect();
        assert!(steps.is_sorted());
    }
}
