//! Which documents are nearest to a query?
//!
//! In two passes. The first looks at all rows of documents that the mask lets pass and learns between which bounds each
//! one's score lies; the k-th best of what documents score at least is the floor, and rows that can't reach it are
//! forgotten. The second scores what is left, the most promising first, until nothing can reach the k-th best score any
//! more. One [`Nearest`] collects over memtable and all segments, so a floor that one source raised spares work in the next.
//!
//! Invariants:
//! 1. What is answered does not depend on how rows are spread over sources, nor on what bounds they had as long as their
//!    scores lie within: every document answered has its exact score, and ties break by document id.
//! 2. At most `k` documents are kept, and exactly `min(k, documents offered)`.

use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use strongroom_kernel::Mask;

/// Rows that are looked at together.
const ROWS_TOGETHER: u32 = 2048;
/// Documents between two that the mask lets pass are looked at, too, when there are no more than this.
const GAP_MAX: u32 = 16;
/// Fewer rows that follow each other are not looked at together, but scored at once.
const SHORT: u32 = 8;
/// When more than one row in so many may still be one of the best, all are read at once.
const READ_SHARE: usize = 4;
/// So many rows at least are scored together in the second pass.
const SCORED_TOGETHER: usize = 32;

/// A document that may be among the nearest.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<'a> {
    /// The best row's score.
    pub score: f32,
    /// The document's id.
    pub id: &'a str,
    /// The number of its source.
    pub source: usize,
    /// Its ordinal there.
    pub ordinal: u32,
    /// Which of its passages is the best.
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
        other.score.total_cmp(&self.score).then_with(|| self.id.cmp(other.id))
    }
}

/// What a row scores at least and at most; equal where its score is known. A row that takes no part has
/// [`NONE`](Bounds::NONE), and one that may turn out to take none has minus infinity as the least.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// At least.
    pub least: f32,
    /// At most.
    pub most: f32,
}

impl Bounds {
    /// Of a row that takes no part.
    pub const NONE: Bounds = Bounds::exact(f32::NEG_INFINITY);

    /// Of a score that is known.
    pub const fn exact(score: f32) -> Self {
        Self { least: score, most: score }
    }
}

/// A source's documents and the rows of these, each at a place, as a search needs them.
pub trait Rows<'a> {
    /// Why rows can't be read.
    type Error;

    /// The places of some documents that follow each other; others may lie between them.
    fn places(&self, ordinals: Range<u32>) -> Range<u32>;
    /// Which document the row at a place is of, and which of its passages it is.
    fn row(&self, place: u32) -> (u32, u32);
    /// A document's id.
    fn id(&self, ordinal: u32) -> &'a str;
    /// What the rows at places that follow each other may score, and whether that is what they do score.
    fn bounds(&self, places: Range<u32>, bounds: &mut [Bounds]) -> Result<bool, Self::Error>;
    /// What they do score. Leaves the bounds alone where all of them are read no faster than some.
    fn exact(&self, places: Range<u32>, bounds: &mut [Bounds]) -> Result<(), Self::Error>;
    /// What the rows at these places, which rise, score: minus infinity when they take no part.
    fn scores(&self, places: &[u32], scores: &mut [f32]) -> Result<(), Self::Error>;
}

/// A row that may be of one of the nearest.
#[derive(Debug, Clone, Copy)]
struct Survivor {
    bounds: Bounds,
    document: Document,
    place: u32,
}

/// A source's number, and a document's ordinal there.
type Document = (usize, u32);

/// The `k` nearest so far.
#[derive(Debug)]
pub struct Nearest {
    k: usize,
    /// What a row has to reach.
    floor: f32,
    /// What the best documents score at least, `k` of them at most, the worst first.
    leasts: BTreeSet<(Ordered, Document)>,
    least_of: HashMap<Document, Ordered>,
    survivors: Vec<Survivor>,
    bounds: Vec<Bounds>,
}

/// A number as `total_cmp` orders it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ordered(f32);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Nearest {
    /// Will keep `k` documents.
    pub fn new(k: usize) -> Self {
        let (leasts, least_of) = (BTreeSet::new(), HashMap::new());
        Self { k, floor: f32::MIN, leasts, least_of, survivors: Vec::new(), bounds: Vec::new() }
    }

    /// The first pass, over the documents of the source of this number that are in the mask.
    pub fn look<'a, R: Rows<'a>>(&mut self, source: usize, rows: &R, mask: &Mask) -> Result<(), R::Error> {
        if self.k == 0 {
            return Ok(());
        }
        let mut bounds = std::mem::take(&mut self.bounds);
        bounds.resize(ROWS_TOGETHER as usize, Bounds::NONE);
        let mut through = 0;
        let mut scattered = Vec::new();
        for run in mask.runs(GAP_MAX) {
            // What a run has in common with the one before was looked at with that.
            let places = rows.places(run);
            let mut start = places.start.max(through);
            through = through.max(places.end);
            if places.end.saturating_sub(start) < SHORT {
                scattered.extend((start..places.end).filter(|&place| mask.contains(rows.row(place).0)));
                continue;
            }
            while start < places.end {
                let together = start..places.end.min(start + ROWS_TOGETHER);
                start = together.end;
                self.look_together(source, rows, mask, together.clone(), &mut bounds[..together.len()])?;
            }
        }
        self.bounds = bounds;
        let mut scores = Vec::new();
        for places in scattered.chunks(ROWS_TOGETHER as usize) {
            scores.resize(places.len(), 0.0);
            rows.scores(places, &mut scores)?;
            let bounds = scores.iter().map(|&score| Bounds::exact(score));
            self.take(source, rows, places.iter().copied().zip(bounds));
        }
        Ok(())
    }

    fn look_together<'a, R: Rows<'a>>(
        &mut self,
        source: usize,
        rows: &R,
        mask: &Mask,
        together: Range<u32>,
        bounds: &mut [Bounds],
    ) -> Result<(), R::Error> {
        let exact = rows.bounds(together.clone(), bounds)?;
        for (place, bounds) in together.clone().zip(&*bounds) {
            if bounds.least > self.floor {
                let ordinal = rows.row(place).0;
                if mask.contains(ordinal) {
                    self.raise((source, ordinal), bounds.least);
                }
            }
        }
        let reach = |bounds: &[Bounds], floor| bounds.iter().filter(|bounds| bounds.most >= floor).count();
        if !exact && reach(bounds, self.floor) > SCORED_TOGETHER.max(4 * self.k) {
            self.score_promising(source, rows, mask, together.clone(), bounds)?;
            if reach(bounds, self.floor) * READ_SHARE > together.len() {
                rows.exact(together.clone(), bounds)?;
            }
        }
        for (place, &bounds) in together.zip(&*bounds) {
            if bounds.most >= self.floor {
                let ordinal = rows.row(place).0;
                if mask.contains(ordinal) {
                    self.survivors.push(Survivor { bounds, document: (source, ordinal), place });
                }
            }
        }
        Ok(())
    }

    /// Scores the rows that may score most, which raises the floor for all others.
    fn score_promising<'a, R: Rows<'a>>(
        &mut self,
        source: usize,
        rows: &R,
        mask: &Mask,
        together: Range<u32>,
        bounds: &mut [Bounds],
    ) -> Result<(), R::Error> {
        let at = |place: u32| (place - together.start) as usize;
        let may = |&place: &u32| bounds[at(place)].most >= self.floor && mask.contains(rows.row(place).0);
        let mut promising: Vec<u32> = together.clone().filter(may).collect();
        let count = self.k.max(SCORED_TOGETHER / 2);
        if promising.len() > count {
            let better = |a: &u32, b: &u32| bounds[at(*b)].most.total_cmp(&bounds[at(*a)].most);
            promising.select_nth_unstable_by(count, better);
            promising.truncate(count);
            promising.sort_unstable();
        }
        let mut scores = vec![0.0; promising.len()];
        rows.scores(&promising, &mut scores)?;
        for (place, score) in promising.into_iter().zip(scores) {
            bounds[at(place)] = Bounds::exact(score);
            self.raise((source, rows.row(place).0), score);
        }
        Ok(())
    }

    /// The first pass, over these places of a source alone.
    pub fn take<'a, R: Rows<'a>>(
        &mut self,
        source: usize,
        rows: &R,
        places: impl IntoIterator<Item = (u32, Bounds)>,
    ) {
        for (place, bounds) in places {
            let document = (source, rows.row(place).0);
            self.raise(document, bounds.least);
            self.survivors.push(Survivor { bounds, document, place });
        }
    }

    /// How many documents are looked for.
    pub fn k(&self) -> usize {
        self.k
    }

    /// A document scores at least so much.
    fn raise(&mut self, document: Document, least: f32) {
        let least = Ordered(least);
        match self.least_of.entry(document) {
            Entry::Occupied(known) if *known.get() >= least => return,
            Entry::Occupied(mut known) => {
                self.leasts.remove(&(*known.get(), document));
                known.insert(least);
            }
            Entry::Vacant(unknown) => {
                unknown.insert(least);
            }
        }
        self.leasts.insert((least, document));
        if self.leasts.len() > self.k
            && let Some((_, worst)) = self.leasts.pop_first()
        {
            self.least_of.remove(&worst);
        }
        if self.leasts.len() == self.k
            && let Some((worst, _)) = self.leasts.first()
        {
            self.floor = self.floor.max(worst.0);
        }
    }

    /// The second pass, over the same sources; best first.
    pub fn finish<'a, R: Rows<'a>>(self, sources: &[R]) -> Result<Vec<Candidate<'a>>, R::Error> {
        if self.k == 0 {
            return Ok(Vec::new());
        }
        let mut best = Best { k: self.k, floor: self.floor, documents: HashMap::new() };
        let mut together = self.k.max(SCORED_TOGETHER);
        let mut left = self.survivors;
        while !left.is_empty() {
            left.retain(|survivor| survivor.bounds.most >= best.floor);
            if left.len() > together {
                left.select_nth_unstable_by(together, |a, b| b.bounds.most.total_cmp(&a.bounds.most));
            }
            let rest = left.split_off(together.min(left.len()));
            best.score(&mut left, sources)?;
            left = rest;
            together *= 2;
        }
        let candidate = |((source, ordinal), (score, passage)): (Document, (f32, u32))| Candidate {
            score,
            id: sources[source].id(ordinal),
            source,
            ordinal,
            passage,
        };
        let reach = best.documents.into_iter().filter(|(_, (score, _))| *score >= best.floor);
        let mut candidates: Vec<_> = reach.map(candidate).collect();
        candidates.sort_unstable();
        candidates.truncate(self.k);
        Ok(candidates)
    }
}

/// The documents whose scores are known.
struct Best {
    k: usize,
    /// What a document has to reach.
    floor: f32,
    /// For each the best score, and which passage has it.
    documents: HashMap<Document, (f32, u32)>,
}

impl Best {
    /// Scores rows, and raises the floor.
    fn score<'a, R: Rows<'a>>(&mut self, survivors: &mut [Survivor], sources: &[R]) -> Result<(), R::Error> {
        survivors.sort_unstable_by_key(|survivor| (survivor.document.0, survivor.place));
        let (mut places, mut scores) = (Vec::new(), Vec::new());
        for of_source in survivors.chunk_by(|a, b| a.document.0 == b.document.0) {
            let source = &sources[of_source[0].document.0];
            scores.clear();
            if of_source.iter().all(|survivor| survivor.bounds.least == survivor.bounds.most) {
                scores.extend(of_source.iter().map(|survivor| survivor.bounds.most));
            } else {
                places.clear();
                places.extend(of_source.iter().map(|survivor| survivor.place));
                scores.resize(places.len(), 0.0);
                source.scores(&places, &mut scores)?;
            }
            for (survivor, &score) in of_source.iter().zip(&scores) {
                if score < self.floor {
                    continue;
                }
                let passage = source.row(survivor.place).1;
                let best = self.documents.entry(survivor.document).or_insert((score, passage));
                if score > best.0 || (score == best.0 && passage < best.1) {
                    *best = (score, passage);
                }
            }
        }
        if self.documents.len() >= self.k {
            let mut scores: Vec<f32> = self.documents.values().map(|(score, _)| *score).collect();
            let (_, worst, _) = scores.select_nth_unstable_by(self.k - 1, |a, b| b.total_cmp(a));
            self.floor = self.floor.max(*worst);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// Documents with ids, each with the scores of its rows.
    struct Known {
        documents: Vec<(&'static str, Vec<f32>)>,
        /// By how much bounds are off.
        slack: f32,
    }

    impl Known {
        fn rows(&self) -> Vec<(u32, f32)> {
            let of_document = |(ordinal, (_, rows)): (u32, &(_, Vec<f32>))| {
                rows.iter().map(move |&score| (ordinal, score)).collect::<Vec<_>>()
            };
            (0..).zip(&self.documents).flat_map(of_document).collect()
        }
    }

    impl Rows<'static> for Known {
        type Error = Infallible;

        fn places(&self, ordinals: Range<u32>) -> Range<u32> {
            let rows = |(_, rows): &(_, Vec<f32>)| rows.len() as u32;
            let before = |ordinal: u32| self.documents[..ordinal as usize].iter().map(rows).sum();
            before(ordinals.start)..before(ordinals.end)
        }

        fn row(&self, place: u32) -> (u32, u32) {
            let ordinal = self.rows()[place as usize].0;
            (ordinal, place - self.places(ordinal..ordinal).start)
        }

        fn id(&self, ordinal: u32) -> &'static str {
            self.documents[ordinal as usize].0
        }

        fn bounds(&self, rows: Range<u32>, bounds: &mut [Bounds]) -> Result<bool, Infallible> {
            for ((_, score), bounds) in self.rows()[rows.start as usize..rows.end as usize].iter().zip(bounds)
            {
                // Of some the score is near the upper bound, of others near the lower.
                let up = self.slack * (score * 100.0).fract();
                *bounds = Bounds { least: score - (self.slack - up), most: score + up };
            }
            Ok(false)
        }

        fn exact(&self, rows: Range<u32>, bounds: &mut [Bounds]) -> Result<(), Infallible> {
            let rows = &self.rows()[rows.start as usize..rows.end as usize];
            bounds.copy_from_slice(&rows.iter().map(|(_, score)| Bounds::exact(*score)).collect::<Vec<_>>());
            Ok(())
        }

        fn scores(&self, rows: &[u32], scores: &mut [f32]) -> Result<(), Infallible> {
            assert!(rows.is_sorted());
            for (row, score) in rows.iter().zip(scores) {
                *score = self.rows()[*row as usize].1;
            }
            Ok(())
        }
    }

    fn documents() -> Vec<(&'static str, Vec<f32>)> {
        vec![("e", vec![0.5]), ("d", vec![0.1, 0.9]), ("c", vec![0.5]), ("b", vec![]), ("a", vec![0.9])]
    }

    fn search(sources: &[Known], k: usize, mask: &Mask) -> Vec<(String, f32, u32)> {
        let mut nearest = Nearest::new(k);
        for (number, source) in sources.iter().enumerate() {
            nearest.look(number, source, mask).expect("memory");
        }
        let found = nearest.finish(sources).expect("memory");
        found.iter().map(|c| (c.id.to_owned(), c.score, c.passage)).collect()
    }

    fn hit(id: &str, score: f32, passage: u32) -> (String, f32, u32) {
        (id.to_owned(), score, passage)
    }

    /// Without this, a page of results would change from call to call.
    #[test]
    fn best_first_and_ties_by_id() {
        let all: Mask = (0..5).collect();
        for slack in [0.0, 0.01, 0.3, 10.0] {
            let source = [Known { documents: documents(), slack }];
            let found = search(&source, 10, &all);
            assert_eq!(found, [hit("a", 0.9, 0), hit("d", 0.9, 1), hit("c", 0.5, 0), hit("e", 0.5, 0)]);
            for k in 0..5 {
                assert_eq!(search(&source, k, &all), found[..k.min(4)]);
            }
        }
    }

    /// Without this, a masked document would surface, or a mask would leave a search short.
    #[test]
    fn masked_documents_are_not_offered() {
        for slack in [0.0, 0.5] {
            let source = [Known { documents: documents(), slack }];
            let found = search(&source, 10, &[0, 2, 3].into_iter().collect());
            assert_eq!(found, [hit("c", 0.5, 0), hit("e", 0.5, 0)]);
        }
    }

    /// Without this, a search of many rows would lose a hit whose bounds are wide, or name one document twice.
    #[test]
    fn bounds_and_sources_do_not_show() {
        let ids: Vec<&'static str> = (0..4000).map(|n| &*format!("{n:04}").leak()).collect();
        let score = |n: usize| (n * 7919 % 10_007) as f32 / 10_007.0;
        let rows = |n: usize| (0..n % 3).map(|row| score(n * 3 + row)).collect::<Vec<_>>();
        let documents: Vec<_> = ids.iter().enumerate().map(|(n, id)| (*id, rows(n))).collect();
        let all: Mask = (0..4000).filter(|n| n % 5 != 0).collect();
        let mut wanted: Vec<(String, f32, u32)> = documents
            .iter()
            .zip(0..)
            .filter(|((_, rows), n)| all.contains(*n) && !rows.is_empty())
            .map(|((id, rows), _)| {
                let best = rows.iter().copied().fold(f32::MIN, f32::max);
                let passage = rows.iter().position(|score| *score == best).expect("the best one");
                hit(id, best, passage as u32)
            })
            .collect();
        wanted.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        for slack in [0.0, 0.02, 0.6] {
            for k in [1, 10, 300, 5000] {
                let found = search(&[Known { documents: documents.clone(), slack }], k, &all);
                assert_eq!(found, wanted[..k.min(wanted.len())], "{slack} {k}");
            }
        }
    }
}
