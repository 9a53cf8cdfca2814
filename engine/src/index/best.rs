//! What must a row reach to be of one of the `k` nearest documents, and which are these?

use super::{Candidate, Document, Rows, Survivor};
use rustc_hash::FxHashMap;

/// What documents are known to score at least, as far as that counts.
#[derive(Debug)]
pub(super) struct Floor {
    k: usize,
    at: f32,
    /// Of documents that score more than the floor: fewer than twice `k`, and then some.
    leasts: FxHashMap<Document, f32>,
}

impl Floor {
    pub(super) fn new(k: usize) -> Self {
        Self { k, at: f32::MIN, leasts: FxHashMap::default() }
    }

    pub(super) fn k(&self) -> usize {
        self.k
    }

    /// Where the floor is: never above the k-th best of what documents score.
    pub(super) fn at(&self) -> f32 {
        self.at
    }

    /// A document scores at least so much.
    pub(super) fn raise(&mut self, document: Document, least: f32) {
        if least <= self.at {
            return;
        }
        self.leasts.entry(document).and_modify(|known| *known = known.max(least)).or_insert(least);
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

/// The documents whose scores are known.
pub(super) struct Best {
    k: usize,
    /// What a document has to reach.
    floor: f32,
    /// For each the best score, and which passage has it.
    documents: FxHashMap<Document, (f32, u32)>,
}

impl Best {
    pub(super) fn new(floor: &Floor) -> Self {
        Self { k: floor.k, floor: floor.at, documents: FxHashMap::default() }
    }

    /// Where the floor is.
    pub(super) fn floor(&self) -> f32 {
        self.floor
    }

    /// Scores rows, and raises the floor.
    pub(super) fn score<'a, R: Rows<'a>>(
        &mut self,
        survivors: &mut [Survivor],
        sources: &[R],
    ) -> Result<(), R::Error> {
        survivors.sort_unstable_by_key(|survivor| (survivor.source, survivor.place));
        let (mut places, mut scores) = (Vec::new(), Vec::new());
        for of_source in survivors.chunk_by(|a, b| a.source == b.source) {
            let number = of_source[0].source;
            let source = &sources[number as usize];
            let unknown = of_source.iter().filter(|survivor| survivor.bounds.least != survivor.bounds.most);
            places.clear();
            places.extend(unknown.map(|survivor| survivor.place));
            scores.resize(places.len(), 0.0);
            source.scores(&places, &mut scores)?;
            let mut scored = scores.iter();
            for survivor in of_source {
                let score = match survivor.bounds {
                    bounds if bounds.least == bounds.most => bounds.most,
                    _ => scored.next().copied().unwrap_or(f32::NEG_INFINITY),
                };
                if score >= self.floor {
                    self.offer(number, source.row(survivor.place), score);
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

    fn offer(&mut self, source: u32, (ordinal, passage): (u32, u32), score: f32) {
        let best = self.documents.entry((source, ordinal)).or_insert((score, passage));
        if score > best.0 || (score == best.0 && passage < best.1) {
            *best = (score, passage);
        }
    }

    /// The `k` best, best first.
    pub(super) fn into_candidates<'a, R: Rows<'a>>(self, sources: &[R]) -> Vec<Candidate<'a>> {
        let reach = self.documents.into_iter().filter(|(_, (score, _))| *score >= self.floor);
        let candidate = |((source, ordinal), (score, passage)): (Document, (f32, u32))| {
            let source = source as usize;
            Candidate { score, id: sources[source].id(ordinal), source, ordinal, passage }
        };
        let mut candidates: Vec<_> = reach.map(candidate).collect();
        candidates.sort_unstable();
        candidates.truncate(self.k);
        candidates
    }
}
