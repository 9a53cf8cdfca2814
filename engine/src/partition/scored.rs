//! What do the rows of one source score, by vector, by words, and by age?
//!
//! A segment's rows may be known by their codes, and those of a large one lie in lists: then only what is near is looked at.

use super::view::{Rows, Source};
use super::{Ages, ReadError};
use crate::index::{self, Bounds, Nearest};
use crate::memtable::Entry;
use crate::nearness::{measure, similarity};
use crate::segment::Index;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use strongroom_format::record::Metric;
use strongroom_format::segment::DocumentRow;
use strongroom_kernel::{Estimate, Mask};

/// What words count for in a weighted sum, and vectors for the rest (`docs/benchmarks-search.md` has what others gave).
const WORDS_SHARE: f32 = 0.42;
/// When a filter lets no more than one document in so many pass, their vectors are read rather than lists looked through.
const FEW: u64 = 50;

/// What rows are scored by.
#[derive(Clone, Copy)]
pub(super) struct Scoring<'a> {
    pub(super) metric: Metric,
    /// As it is compared.
    pub(super) vector: Option<&'a [f32]>,
    /// For each source what its rows score by their words.
    pub(super) words: Option<&'a [Vec<f32>]>,
    pub(super) similarity_min: f32,
    /// What documents' ages count.
    pub(super) ages: Option<Ages>,
}

impl Scoring<'_> {
    /// Whether rows are ordered by what their vectors score, and by nothing else.
    fn is_plain(&self) -> bool {
        self.words.is_none() && self.ages.is_none()
    }

    /// What the score that a row was ordered by is told as.
    pub(super) fn told(&self, score: f32) -> f32 {
        if self.vector.is_some() && self.is_plain() { similarity(self.metric, score) } else { score }
    }
}

/// A source, as it is scored.
pub(super) struct Scored<'v, 'a> {
    source: &'v Source,
    metric: Metric,
    pub(super) mask: Mask,
    vector: Option<&'a [f32]>,
    /// What the rows score by their words, as far as any does.
    words: Option<&'a [f32]>,
    similarity_min: f32,
    ages: Option<Ages>,
    codes: Option<Codes>,
}

/// The codes of a segment, and the query as these meet it.
struct Codes {
    index: Arc<Index>,
    query: strongroom_kernel::Query,
}

impl<'v, 'a> Scored<'v, 'a> {
    pub(super) fn new(
        number: usize,
        source: &'v Source,
        mask: Mask,
        scoring: &Scoring<'a>,
    ) -> Result<Self, ReadError> {
        let mut codes = None;
        if let (Rows::Segment(segment), Some(vector)) = (&source.rows, scoring.vector)
            && let Some(index) = segment.index()?
            // Few are read at once; in lists they would have to be looked for.
            && !(index.has_lists() && mask.count() * FEW < segment.directory().len() as u64)
        {
            codes = Some(Codes { query: index.query(vector), index });
        }
        let words = scoring.words.map(|sources| &*sources[number]);
        let Scoring { metric, vector, similarity_min, ages, .. } = *scoring;
        Ok(Self { source, metric, mask, vector, words, similarity_min, ages, codes })
    }

    /// Whether places are those of codes in lists.
    fn is_listed(&self) -> bool {
        self.codes.as_ref().is_some_and(|codes| codes.index.has_lists())
    }

    /// The row at a place.
    fn at(&self, place: u32) -> u32 {
        self.codes.as_ref().map_or(place, |codes| codes.index.row(place))
    }

    fn word(&self, row: u32) -> Option<f32> {
        self.words.map(|words| words.get(row as usize).copied().unwrap_or(0.0))
    }

    /// The score of a row whose vector scores so much. It rises with that, rounding included.
    fn score(&self, row: u32, of_vector: f32) -> f32 {
        let similarity = similarity(self.metric, of_vector);
        // Without a threshold everything that matches may be answered, dissimilar as it is.
        if self.similarity_min > 0.0 && similarity < self.similarity_min {
            return f32::NEG_INFINITY;
        }
        if self.is_plain() {
            return of_vector;
        }
        let score = match self.word(row) {
            Some(word) => (1.0 - WORDS_SHARE) * similarity + WORDS_SHARE * word,
            None => similarity,
        };
        self.aged(row, score)
    }

    /// What is left of a score by the age of the row's document.
    fn aged(&self, row: u32, score: f32) -> f32 {
        let Some(ages) = self.ages else { return score };
        let (created_ms, updated_ms) = self.source.times(self.source.ordinal(row, 0));
        ages.score(score, created_ms, updated_ms)
    }

    /// Whether the order of similarities is that of scores.
    fn is_plain(&self) -> bool {
        self.words.is_none() && self.ages.is_none()
    }

    /// Between what the score of the row at a place lies.
    fn between(&self, place: u32, Estimate { score, error }: Estimate) -> Bounds {
        let row = self.at(place);
        Bounds { least: self.score(row, score - error), most: self.score(row, score + error) }
    }

    /// Looks at the rows in the lists that are near; whether that was enough for `k` documents, if there are as many.
    pub(super) fn probe(&self, number: usize, recall: f32, nearest: &mut Nearest) -> Result<bool, ReadError> {
        let (Some(Codes { index, query }), Rows::Segment(segment)) = (&self.codes, &self.source.rows) else {
            return Ok(false);
        };
        // A row that has the words, or is new, may be anywhere.
        if !index.has_lists() || !self.is_plain() {
            return Ok(false);
        }
        let matches = self.mask.count();
        let is_all = matches == segment.directory().len() as u64;
        let passes = |row: u32| self.mask.contains(self.source.ordinal(row, 0));
        let k = nearest.k();
        let (mut probes, mut rows) = index.effort(recall, k);
        // Where a filter lets few pass, the nearest of these are farther away.
        let widened = segment.directory().len() as f64 / matches.max(1) as f64;
        probes = (probes as f64 * widened.sqrt()) as usize;
        loop {
            let live: Option<&dyn Fn(u32) -> bool> = if is_all { None } else { Some(&passes) };
            let found = segment.probe(index, query, (probes, rows), live)?;
            let bounds: Vec<_> =
                found.into_iter().map(|(place, estimate)| (place, self.between(place, estimate))).collect();
            let documents: HashSet<u32> =
                bounds.iter().map(|(place, _)| self.source.ordinal(index.row(*place), 0)).collect();
            if documents.len() as u64 >= matches.min(k as u64) {
                nearest.take(number, self, bounds);
                return Ok(true);
            }
            if probes >= index.list_count() {
                return Ok(false);
            }
            (probes, rows) = (probes * 4, rows * 2);
        }
    }
}

impl<'v> index::Rows<'v> for Scored<'v, '_> {
    type Error = ReadError;

    fn places(&self, ordinals: Range<u32>) -> Range<u32> {
        if let Rows::Segment(segment) = &self.source.rows
            && self.is_listed()
        {
            return 0..segment.place().rows;
        }
        self.source.rows_of(ordinals.start).start..self.source.rows_of(ordinals.end - 1).end
    }

    fn row(&self, place: u32) -> (u32, u32) {
        let row = self.at(place);
        let ordinal = self.source.ordinal(row, 0);
        (ordinal, row - self.source.rows_of(ordinal).start)
    }

    fn id(&self, ordinal: u32) -> &'v str {
        match &self.source.rows {
            Rows::Segment(segment) => &segment.directory()[ordinal as usize].id,
            Rows::Memtable(memtable) => &memtable.entries()[ordinal as usize].document.id,
        }
    }

    fn bounds(&self, places: Range<u32>, bounds: &mut [Bounds]) -> Result<bool, ReadError> {
        let (Some(codes), Rows::Segment(segment)) = (&self.codes, &self.source.rows) else {
            self.exact(places, bounds)?;
            return Ok(true);
        };
        let mut estimates = vec![Estimate::default(); bounds.len()];
        segment.estimate(&codes.query, places.clone(), &mut estimates)?;
        if self.is_plain() && self.similarity_min <= 0.0 {
            for (bounds, Estimate { score, error }) in bounds.iter_mut().zip(estimates) {
                *bounds = Bounds { least: score - error, most: score + error };
            }
        } else {
            for ((place, bounds), estimate) in places.zip(bounds).zip(estimates) {
                *bounds = self.between(place, estimate);
            }
        }
        Ok(false)
    }

    fn exact(&self, places: Range<u32>, bounds: &mut [Bounds]) -> Result<(), ReadError> {
        let Some(vector) = self.vector else {
            for (row, bounds) in places.zip(bounds) {
                let word = self.word(row).filter(|&word| word > 0.0);
                *bounds = word.map_or(Bounds::NONE, |word| Bounds::exact(self.aged(row, word)));
            }
            return Ok(());
        };
        if self.is_listed() {
            return Ok(());
        }
        let mut of_vectors = vec![0.0; bounds.len()];
        match &self.source.rows {
            Rows::Segment(segment) => segment.score(vector, places.clone(), &mut of_vectors)?,
            Rows::Memtable(memtable) => {
                let components = places.start as usize * vector.len()..places.end as usize * vector.len();
                measure(self.metric).score_rows(vector, &memtable.vectors()[components], &mut of_vectors);
            }
        }
        for ((row, bounds), of_vector) in places.zip(bounds).zip(of_vectors) {
            *bounds = Bounds::exact(self.score(row, of_vector));
        }
        Ok(())
    }

    fn scores(&self, places: &[u32], scores: &mut [f32]) -> Result<(), ReadError> {
        let (Some(vector), Rows::Segment(segment)) = (self.vector, &self.source.rows) else {
            for (&place, score) in places.iter().zip(scores) {
                let mut bounds = [Bounds::NONE];
                self.exact(place..place + 1, &mut bounds)?;
                *score = bounds[0].most;
            }
            return Ok(());
        };
        // They are read in their order, whatever the order of places.
        let mut rows: Vec<(u32, usize)> = places.iter().map(|&place| self.at(place)).zip(0..).collect();
        rows.sort_unstable();
        let (rows, order): (Vec<u32>, Vec<usize>) = rows.into_iter().unzip();
        let mut of_vectors = vec![0.0; rows.len()];
        segment.score_each(vector, &rows, &mut of_vectors)?;
        for ((row, at), of_vector) in rows.into_iter().zip(order).zip(of_vectors) {
            scores[at] = self.score(row, of_vector);
        }
        Ok(())
    }
}

impl Source {
    /// When a document was created, and when it was updated last.
    fn times(&self, ordinal: u32) -> (u64, Option<u64>) {
        match &self.rows {
            Rows::Segment(segment) => {
                let row = &segment.directory()[ordinal as usize];
                (row.created_ms, row.updated_ms)
            }
            Rows::Memtable(memtable) => {
                let document = &memtable.entries()[ordinal as usize].document;
                (document.created_ms, document.updated_ms)
            }
        }
    }

    /// The rows of a document.
    fn rows_of(&self, ordinal: u32) -> Range<u32> {
        let (first, count) = match &self.rows {
            Rows::Segment(segment) => {
                let row = &segment.directory()[ordinal as usize];
                (row.first_row, row.rows)
            }
            Rows::Memtable(memtable) => {
                let entry = &memtable.entries()[ordinal as usize];
                (entry.first_row, entry.rows)
            }
        };
        first..first + count
    }

    /// The document that a row is of, and that is this one or comes after it.
    pub(super) fn ordinal(&self, row: u32, from: u32) -> u32 {
        match &self.rows {
            Rows::Segment(segment) => {
                let directory = segment.directory();
                // As long as each document has one row, that is it.
                match directory.get(row as usize) {
                    Some(its) if its.first_row == row && its.rows > 0 => row,
                    _ => {
                        let ends_before = |its: &DocumentRow| its.first_row + its.rows <= row;
                        from + directory[from as usize..].partition_point(ends_before) as u32
                    }
                }
            }
            Rows::Memtable(memtable) => {
                let ends_before = |entry: &Entry| entry.first_row + entry.rows <= row;
                from + memtable.entries()[from as usize..].partition_point(ends_before) as u32
            }
        }
    }
}
