//! What must a row reach to be one of the `k` nearest, or of one, and which are these?

use super::{Candidate, Counted, Rows, Survivor, Unit};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;

/// There is room for no more than this from the beginning.
const ROOM: usize = 64;

/// What is known to score at least so much, as far as that counts.
#[derive(Debug)]
pub(super) struct Floor {
    k: usize,
    at: f32,
    /// Of what scores more than the floor: fewer than twice `k`, and then some.
    leasts: FxHashMap<Counted, f32>,
}

impl Floor {
    pub(super) fn new(k: usize) -> Self {
        Self { k, at: f32::MIN, leasts: some(k) }
    }

    pub(super) fn k(&self) -> usize {
        self.k
    }

    /// Where the floor is: never above the k-th best score.
    pub(super) fn at(&self) -> f32 {
        self.at
    }

    /// This scores at least so much.
    pub(super) fn raise(&mut self, counted: Counted, least: f32) {
        if least <= self.at {
            return;
        }
        self.leasts.entry(counted).and_modify(|known| *known = known.max(least)).or_insert(least);
        if self.leasts.len() >= 2 * self.k + 16 {
            self.settle();
        }
    }

    /// Lifts the floor to what is known.
    pub(super) fn settle(&mut self) {
        if self.leasts.len() < self.k {
            return;
        }
        let mut leasts: Vec<f32> = self.leasts.values().copied().collect();
        let (_, worst, _) = leasts.select_nth_unstable_by(self.k - 1, |a, b| b.total_cmp(a));
        self.at = self.at.max(*worst);
        self.leasts.retain(|_, least| *least >= self.at);
    }
}

/// Room for what is usually kept of `k`.
fn some<V>(k: usize) -> FxHashMap<Counted, V> {
    FxHashMap::with_capacity_and_hasher((2 * k).min(ROOM), Default::default())
}

/// What has scores that are known.
pub(super) struct Best {
    unit: Unit,
    k: usize,
    /// What a row has to reach.
    floor: f32,
    /// Of each the best row.
    scored: FxHashMap<Counted, BestRow>,
    lists: Lists,
}

/// What is written down while rows are scored together.
#[derive(Debug, Default)]
pub(super) struct Lists {
    places: Vec<u32>,
    scores: Vec<f32>,
    /// What rows score, of which source, and where they lie.
    known: Vec<(f32, u32, u32)>,
}

impl Lists {
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.scores.clear();
        self.known.clear();
    }
}

/// A row, and what it scores.
struct BestRow {
    score: f32,
    ordinal: u32,
    passage: u32,
}

impl Best {
    pub(super) fn new(floor: &Floor, unit: Unit, lists: Lists) -> Self {
        Self { unit, k: floor.k, floor: floor.at, scored: some(floor.k), lists }
    }

    /// Where the floor is.
    pub(super) fn floor(&self) -> f32 {
        self.floor
    }

    /// Scores rows, which come in their order, and raises the floor.
    pub(super) fn score<'a, R: Rows<'a>>(
        &mut self,
        survivors: &[Survivor],
        sources: &[R],
    ) -> Result<(), R::Error> {
        let Lists { mut places, mut scores, mut known } = std::mem::take(&mut self.lists);
        known.clear();
        let mut each_counts = true;
        for of_source in survivors.chunk_by(|a, b| a.source == b.source) {
            let number = of_source[0].source;
            let source = &sources[number as usize];
            each_counts &= self.unit == Unit::Passages || source.has_one_each();
            let unknown = of_source.iter().filter(|survivor| survivor.bounds.least != survivor.bounds.most);
            places.clear();
            places.extend(unknown.map(|survivor| survivor.place));
            scores.clear();
            scores.resize(places.len(), 0.0);
            source.scores(&places, &mut scores)?;
            let mut scored = scores.iter();
            for &Survivor { bounds, place, .. } in of_source {
                let score = match bounds {
                    bounds if bounds.least == bounds.most => bounds.most,
                    _ => scored.next().copied().unwrap_or(f32::NEG_INFINITY),
                };
                // A row may have been taken more than once.
                let is_known = known.last().is_some_and(|&(_, of, at)| (of, at) == (number, place));
                if score >= self.floor && !is_known {
                    known.push((score, number, place));
                }
            }
        }
        // What others of these outdo need not be kept.
        if each_counts && known.len() > self.k {
            scores.clear();
            scores.extend(known.iter().map(|(score, ..)| *score));
            self.floor = self.floor.max(self.kth(&mut scores));
        }
        for &(score, number, place) in &known {
            if score >= self.floor {
                self.offer(number, &sources[number as usize], place, score);
            }
        }
        if self.scored.len() >= self.k {
            scores.clear();
            scores.extend(self.scored.values().map(|row| row.score));
            self.floor = self.floor.max(self.kth(&mut scores));
        }
        self.lists = Lists { places, scores, known };
        Ok(())
    }

    /// The k-th best of these, which are as many or more.
    fn kth(&self, scores: &mut [f32]) -> f32 {
        let (_, kth, _) = scores.select_nth_unstable_by(self.k - 1, |a, b| b.total_cmp(a));
        *kth
    }

    fn offer<'a, R: Rows<'a>>(&mut self, number: u32, source: &R, place: u32, score: f32) {
        let (ordinal, passage) = source.row(place);
        let counted = match self.unit {
            Unit::Documents => (number, ordinal),
            Unit::Passages => (number, place),
        };
        let row = BestRow { score, ordinal, passage };
        match self.scored.entry(counted) {
            Entry::Vacant(free) => drop(free.insert(row)),
            Entry::Occupied(mut best) => {
                let known = best.get();
                if score > known.score || (score == known.score && passage < known.passage) {
                    best.insert(row);
                }
            }
        }
    }

    /// The `k` best, best first, and the lists, for the next search.
    pub(super) fn into_candidates<'a, R: Rows<'a>>(self, sources: &[R]) -> (Vec<Candidate<'a>>, Lists) {
        let reach = self.scored.into_iter().filter(|(_, row)| row.score >= self.floor);
        let candidate = |((source, _), BestRow { score, ordinal, passage }): (Counted, BestRow)| {
            let source = source as usize;
            Candidate { score, id: sources[source].id(ordinal), source, ordinal, passage }
        };
        let mut candidates: Vec<_> = reach.map(candidate).collect();
        candidates.sort_unstable();
        candidates.truncate(self.k);
        (candidates, self.lists)
    }
}
