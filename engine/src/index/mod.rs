//! Which documents, or which passages, are nearest to a query?
//!
//! In two passes. The first looks at all rows of documents that the mask lets pass and learns between which bounds each
//! one's score lies; the k-th best of what these score at least is the floor, and rows that can't reach it are
//! forgotten. The second scores what is left, the most promising first, until nothing can reach the k-th best score any
//! more. One [`Nearest`] collects over memtable and all segments, so a floor that one source raised spares work in the next.
//!
//! Invariants:
//! 1. What is answered does not depend on how rows are spread over sources, nor on what bounds they had as long as their
//!    scores lie within: everything answered has its exact score, and ties break by document id, then by passage.
//! 2. At most `k` are kept, and exactly `min(k, offered)`, of what the [`Unit`] says is counted.

mod best;
mod room;

use crate::rank;
use best::{Best, Floor};
use room::Room;
use std::cmp::Ordering;
use std::ops::Range;
pub use strongroom_kernel::Bounds;
use strongroom_kernel::{Mask, Reached};

/// Rows that are looked at together.
const ROWS_TOGETHER: u32 = 4096;
/// Documents between two that the mask lets pass are looked at, too, when there are no more than this.
const GAP_MAX: u32 = 16;
/// Fewer rows that follow each other are not looked at together, but each by itself.
const SHORT: u32 = 8;
/// When more than one row in so many may still be one of the best, all are read at once.
const READ_SHARE: usize = 2;
/// What many rows surely score is found from the best of so many groups of them, or more.
const GROUPS_MIN: usize = 64;
/// So many rows at least are scored together in the second pass.
const SCORED_TOGETHER: usize = 32;
/// And all that are left at once when they are no more than this, where the best of them are scored already.
const SCORED_AT_ONCE: usize = 320;
/// When more than one in so many rows may reach the floor, it is raised before others are looked at.
const MANY_SHARE: usize = 8;
/// By the scores of so many rows, or of `k`.
const PROMISING: usize = 16;

/// What a search counts and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// Documents, each with the best of its passages.
    #[default]
    Documents,
    /// Passages: several may be of one document.
    Passages,
}

/// A document with its best passage, or a passage, that may be among the nearest.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<'a> {
    /// The row's score.
    pub score: f32,
    /// The document's id.
    pub id: &'a str,
    /// The number of its source.
    pub source: usize,
    /// Its ordinal there.
    pub ordinal: u32,
    /// Which of its passages the row is.
    pub passage: u32,
}

impl Eq for Candidate<'_> {}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Worse is greater: the best are sorted first.
impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = other.score.total_cmp(&self.score);
        by_score.then_with(|| self.id.cmp(other.id)).then(self.passage.cmp(&other.passage))
    }
}

/// A source's documents and the rows of these, each at a place, as a search needs them.
pub trait Rows<'a> {
    /// Why rows can't be read.
    type Error;

    /// The places of some documents that follow each other, and whether no others lie between them.
    fn places(&self, ordinals: Range<u32>) -> (Range<u32>, bool);
    /// Whether each document has one row.
    fn has_one_each(&self) -> bool;
    /// Which document the row at a place is of.
    fn ordinal(&self, place: u32) -> u32;
    /// The same, and which of its passages it is.
    fn row(&self, place: u32) -> (u32, u32);
    /// A document's id.
    fn id(&self, ordinal: u32) -> &'a str;
    /// What the rows at places that follow each other may score, and whether that is what they do score. A row that takes no
    /// part has [`Bounds::NONE`], and one that may turn out to take none has minus infinity as the least.
    fn bounds(&self, places: Range<u32>, bounds: &mut [Bounds]) -> Result<bool, Self::Error>;
    /// The same for several searches of one source.
    fn bounds_together(
        searches: &[&Self],
        places: &Range<u32>,
        bounds: &mut [Vec<Bounds>],
    ) -> Result<bool, Self::Error> {
        let mut exact = true;
        for (rows, bounds) in searches.iter().zip(bounds) {
            exact &= rows.bounds(places.clone(), bounds)?;
        }
        Ok(exact)
    }
    /// Puts those of rows at places that follow each other behind others which may score so much, with what they may score; or
    /// nothing, where that takes asking for the bounds of all. Then the answer is no.
    fn reach(&self, places: Range<u32>, floor: f32, reached: &mut Reached) -> Result<bool, Self::Error> {
        let _ = (places, floor, reached);
        Ok(false)
    }
    /// What they do score. Leaves the bounds alone where all of them are read no faster than some.
    fn exact(&self, places: Range<u32>, bounds: &mut [Bounds]) -> Result<(), Self::Error>;
    /// What the rows at these places, which rise, may score.
    fn bounds_each(&self, places: &[u32], bounds: &mut [Bounds]) -> Result<(), Self::Error>;
    /// What the rows at these places, which rise, do score: minus infinity when they take no part.
    fn scores(&self, places: &[u32], scores: &mut [f32]) -> Result<(), Self::Error>;
}

/// A row that may be one of the nearest, or of one.
#[derive(Debug, Clone, Copy)]
struct Survivor {
    bounds: Bounds,
    source: u32,
    place: u32,
}

impl Survivor {
    /// Where it lies.
    fn at(&self) -> (u32, u32) {
        (self.source, self.place)
    }
}

/// What is counted as one: a source's number, and there a document's ordinal, or a passage's place.
type Counted = (u32, u32);

impl Unit {
    /// What the row at a place counts as.
    fn counted<'a, R: Rows<'a>>(self, source: u32, rows: &R, place: u32) -> Counted {
        match self {
            Self::Documents => (source, rows.ordinal(place)),
            Self::Passages => (source, place),
        }
    }
}

/// The `k` nearest so far.
#[derive(Debug)]
pub struct Nearest {
    unit: Unit,
    /// What a row has to reach.
    floor: Floor,
    /// Whether the best of the survivors may not be scored yet, so that the floor is low.
    is_untested: bool,
    room: Room,
}

impl Nearest {
    /// Will keep `k` of these.
    pub fn new(k: usize, unit: Unit) -> Self {
        Self { unit, floor: Floor::new(k), is_untested: false, room: Room::new() }
    }

    /// What is counted.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// How many are looked for.
    pub fn k(&self) -> usize {
        self.floor.k()
    }

    /// What a row has to score, as far as is known.
    pub fn floor(&self) -> f32 {
        self.floor.at()
    }

    /// The first pass, over the documents of the source of this number that are in the mask.
    pub fn look<'a, R: Rows<'a>>(&mut self, source: usize, rows: &R, mask: &Mask) -> Result<(), R::Error> {
        Self::look_together(&mut [self], source, &[rows], mask)
    }

    /// The same for several searches, each with the source as it scores it: what they read of rows that follow each other is
    /// read once.
    pub fn look_together<'a, R: Rows<'a>>(
        searches: &mut [&mut Nearest],
        source: usize,
        rows: &[&R],
        mask: &Mask,
    ) -> Result<(), R::Error> {
        let Some(first) = rows.first().filter(|_| searches.iter().any(|search| search.k() > 0)) else {
            return Ok(());
        };
        let mut bounds: Vec<_> =
            searches.iter_mut().map(|search| std::mem::take(&mut search.room.bounds)).collect();
        let mut through = 0;
        let mut scattered = Vec::new();
        for run in mask.runs(GAP_MAX) {
            // What a run has in common with the one before was looked at with that.
            let (places, only) = first.places(run.clone());
            let mask_here = Some(mask).filter(|_| !only || !mask.has_all(run));
            let mut start = places.start.max(through);
            through = through.max(places.end);
            if places.end.saturating_sub(start) < SHORT {
                scattered.extend((start..places.end).filter(|&place| mask.contains(first.ordinal(place))));
                continue;
            }
            while start < places.end {
                let together = start..places.end.min(start + ROWS_TOGETHER);
                start = together.end;
                if let ([search], [rows]) = (&mut *searches, rows)
                    && search.sift_reached(source, *rows, mask_here, together.clone())?
                {
                    continue;
                }
                bounds.iter_mut().for_each(|bounds| bounds.resize(together.len(), Bounds::NONE));
                let exact = R::bounds_together(rows, &together, &mut bounds)?;
                for ((search, rows), bounds) in searches.iter_mut().zip(rows).zip(&mut bounds) {
                    search.sift(source, *rows, mask_here, together.clone(), (bounds, exact))?;
                }
            }
        }
        for places in scattered.chunks(ROWS_TOGETHER as usize) {
            for ((search, rows), bounds) in searches.iter_mut().zip(rows).zip(&mut bounds) {
                bounds.resize(places.len(), Bounds::NONE);
                rows.bounds_each(places, bounds)?;
                search.take(source, *rows, places, bounds);
            }
        }
        for (search, bounds) in searches.iter_mut().zip(bounds) {
            search.room.bounds = bounds;
        }
        Ok(())
    }

    /// Keeps what may still be among the nearest of rows that follow each other, if they tell which reach the floor, and that is not
    /// most of them.
    fn sift_reached<'a, R: Rows<'a>>(
        &mut self,
        source: usize,
        rows: &R,
        mask: Option<&Mask>,
        together: Range<u32>,
    ) -> Result<bool, R::Error> {
        // Nothing is known in the beginning.
        if self.k() == 0 || self.floor.at() == f32::MIN {
            return Ok(false);
        }
        let mut reached = std::mem::take(&mut self.room.reached);
        reached.clear();
        let count = together.len();
        let tells =
            rows.reach(together, self.floor.at(), &mut reached)? && reached.len() * READ_SHARE <= count;
        if tells {
            if let Some(mask) = mask {
                reached.retain(|place, _| mask.contains(rows.ordinal(place)));
            }
            // What an estimate is off by is far less than what it may be off by: no others are likely to raise the floor.
            let floor = self.floor.at();
            let mut promising = std::mem::take(&mut self.room.promising);
            promising.clear();
            let nearest = (0..).zip(&reached.bounds).filter(|(_, row)| row.least + row.most >= 2.0 * floor);
            promising.extend(nearest.map(|(at, _)| at));
            let Reached { numbers, bounds } = &mut reached;
            self.score_promising(source, rows, |at| numbers[at as usize], bounds, promising)?;
            let floor = self.floor.at();
            reached.retain(|_, row| row.most >= floor);
            let all = reached.numbers.iter().zip(&reached.bounds);
            let survivor = |(&place, &bounds)| Survivor { bounds, source: source as u32, place };
            self.room.survivors.extend(all.map(survivor));
        }
        self.room.reached = reached;
        Ok(tells)
    }

    /// Keeps what may still be among the nearest of rows that follow each other, and whose bounds, or scores, are these.
    fn sift<'a, R: Rows<'a>>(
        &mut self,
        source: usize,
        rows: &R,
        mask: Option<&Mask>,
        together: Range<u32>,
        (bounds, exact): (&mut [Bounds], bool),
    ) -> Result<(), R::Error> {
        if self.k() == 0 {
            return Ok(());
        }
        let at = |place: u32| (place - together.start) as usize;
        if let Some(mask) = mask {
            for (place, bounds) in together.clone().zip(&mut *bounds) {
                if bounds.most >= self.floor.at() && !mask.contains(rows.ordinal(place)) {
                    *bounds = Bounds::NONE;
                }
            }
        }
        let mut reach = std::mem::take(&mut self.room.reach);
        let count = Bounds::count(bounds, self.floor.at());
        let many = count > together.len() / MANY_SHARE;
        if !exact && many && count > SCORED_TOGETHER.max(4 * self.k()) {
            let promising = self.most_promising(bounds);
            self.score_promising(source, rows, |at| together.start + at, bounds, promising)?;
        } else if !many {
            self.is_untested = true;
        } else {
            self.is_untested |= !exact;
            let floor = self.floor.at().max(self.reached(rows, bounds));
            Bounds::reaching(bounds, floor, together.start, &mut reach);
            for &place in &reach {
                let least = bounds[at(place)].least;
                if least >= floor && least > self.floor.at() {
                    self.floor.raise(self.unit.counted(source as u32, rows, place), least);
                }
            }
            self.floor.settle();
        }
        Bounds::reaching(bounds, self.floor.at(), together.start, &mut reach);
        if !exact && reach.len() * READ_SHARE > together.len() {
            rows.exact(together.clone(), bounds)?;
            // Of those alone that the mask lets pass: what is read knows nothing of it.
            reach.retain(|&place| bounds[at(place)].most >= self.floor.at());
        }
        let survivor = |&place: &u32| Survivor { bounds: bounds[at(place)], source: source as u32, place };
        self.room.survivors.extend(reach.iter().map(survivor));
        self.room.reach = reach;
        Ok(())
    }

    /// Which of rows with these bounds may score most.
    fn most_promising(&mut self, bounds: &[Bounds]) -> Vec<u32> {
        let mut promising = std::mem::take(&mut self.room.promising);
        let count = self.k().max(PROMISING).min(bounds.len());
        // Rows that take no part are below the floor, whatever it is.
        let bar = reached_by(count, bounds, |row| row.most).max(self.floor.at());
        Bounds::reaching(bounds, bar, 0, &mut promising);
        promising
    }

    /// Of rows with these bounds, which lie where `place` tells, scores some that may score most of the promising ones, which rise.
    /// That raises the floor for all others.
    fn score_promising<'a, R: Rows<'a>>(
        &mut self,
        source: usize,
        rows: &R,
        place: impl Fn(u32) -> u32,
        bounds: &mut [Bounds],
        mut promising: Vec<u32>,
    ) -> Result<(), R::Error> {
        let count = self.k().max(PROMISING);
        if promising.len() > 2 * count {
            // The best lie together, or are alike.
            let mut keys: Vec<u64> =
                promising.iter().map(|&at| rank::key(bounds[at as usize].most, at)).collect();
            rank::keep_best(&mut keys, count);
            promising.clear();
            promising.extend(keys.into_iter().map(rank::number));
            promising.sort_unstable();
        }
        let places: Vec<u32> = promising.iter().map(|&at| place(at)).collect();
        let mut scores = vec![0.0; places.len()];
        rows.scores(&places, &mut scores)?;
        for ((&at, &place), score) in promising.iter().zip(&places).zip(scores) {
            bounds[at as usize] = Bounds::exact(score);
            if score > self.floor.at() {
                self.floor.raise(self.unit.counted(source as u32, rows, place), score);
            }
        }
        self.floor.settle();
        self.room.promising = promising;
        Ok(())
    }

    /// The first pass, over these places of a source alone, which all take part.
    pub fn take<'a, R: Rows<'a>>(&mut self, source: usize, rows: &R, places: &[u32], bounds: &[Bounds]) {
        if self.k() == 0 {
            return;
        }
        self.is_untested = true;
        let reached = self.reached(rows, bounds);
        for (&place, bounds) in places.iter().zip(bounds) {
            if bounds.least >= reached && bounds.least > self.floor.at() {
                self.floor.raise(self.unit.counted(source as u32, rows, place), bounds.least);
            }
        }
        self.floor.settle();
        let floor = self.floor.at();
        for (&place, &bounds) in places.iter().zip(bounds) {
            if bounds.most >= floor {
                self.room.survivors.push(Survivor { bounds, source: source as u32, place });
            }
        }
    }

    /// What is left after the first pass: rows that may score as much as [`floor`](Self::floor), of each the source, the place and the
    /// bounds, source by source and as places rise. No other row scores that much.
    pub fn into_left(mut self) -> Vec<(usize, u32, Bounds)> {
        let floor = self.floor.at();
        let survivors = &mut self.room.survivors;
        survivors.retain(|survivor| survivor.bounds.most >= floor);
        survivors.sort_unstable_by_key(Survivor::at);
        let left = survivors.drain(..);
        left.map(|Survivor { bounds, source, place }| (source as usize, place, bounds)).collect()
    }

    /// What `k` of some rows surely score, where each counts for itself; little is known of others.
    fn reached<'a, R: Rows<'a>>(&self, rows: &R, bounds: &[Bounds]) -> f32 {
        let k = self.k();
        if bounds.len() < k || !(self.unit == Unit::Passages || rows.has_one_each()) {
            return f32::MIN;
        }
        reached_by(k, bounds, |row| row.least)
    }

    /// The second pass, over the same sources; best first.
    pub fn finish<'a, R: Rows<'a>>(mut self, sources: &[R]) -> Result<Vec<Candidate<'a>>, R::Error> {
        if self.k() == 0 {
            return Ok(Vec::new());
        }
        let mut best = Best::new(&self.floor, self.unit, std::mem::take(&mut self.room.scored));
        let survivors = &mut self.room.survivors;
        survivors.retain(|survivor| survivor.bounds.most >= best.floor());
        // In the order of rows, and so are those that are scored together.
        if !survivors.is_sorted_by_key(Survivor::at) {
            survivors.sort_unstable_by_key(Survivor::at);
        }
        let mut together = self.floor.k().max(SCORED_TOGETHER);
        let at_once =
            |together: usize| if self.is_untested { together } else { SCORED_AT_ONCE.max(together) };
        if survivors.len() <= at_once(together) {
            best.score(survivors, sources)?;
            let (candidates, scored) = best.into_candidates(sources);
            self.room.scored = scored;
            return Ok(candidates);
        }
        let mut left: Vec<u64> =
            (0..).zip(&*survivors).map(|(at, survivor)| rank::key(survivor.bounds.most, at)).collect();
        let (mut places, mut of_these) = (Vec::new(), Vec::new());
        while !left.is_empty() {
            let count = if left.len() > at_once(together) { together } else { left.len() };
            if count < left.len() {
                left.select_nth_unstable(count - 1);
            }
            places.clear();
            places.extend(left.drain(..count).map(rank::number));
            places.sort_unstable();
            of_these.clear();
            of_these.extend(places.iter().map(|&at| survivors[at as usize]));
            best.score(&of_these, sources)?;
            left.retain(|&key| rank::score(key) >= best.floor());
            together *= 2;
        }
        let (candidates, scored) = best.into_candidates(sources);
        self.room.scored = scored;
        Ok(candidates)
    }
}

/// What so many rows reach, of these, which are no fewer: at most that, and near it. The best of each of some groups are as
/// many rows.
fn reached_by(count: usize, bounds: &[Bounds], bound: impl Fn(&Bounds) -> f32) -> f32 {
    let groups = (4 * count).next_multiple_of(GROUPS_MIN);
    let mut best: Vec<u64> =
        Bounds::of_groups(bounds, groups).iter().map(|best| rank::key(bound(best), 0)).collect();
    let (_, worst, _) = best.select_nth_unstable(count - 1);
    rank::score(*worst)
}

#[cfg(test)]
mod tests;
