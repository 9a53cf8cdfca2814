//! What do the rows of one source score, by vector, by words, and by age?
//!
//! A segment's rows may be known by their codes, and those of a large one lie in lists: then only what is near is looked at.

use super::view::{Rows, Source};
use super::{Ages, ReadError};
use crate::index::{Bounds, Nearest, Rows as _, Unit};
use crate::memtable::Entry;
use crate::nearness::{measure, similarity};
use crate::segment::Index;
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use strongroom_format::record::Metric;
use strongroom_kernel::{Estimate, Mask};

/// What words count for in a weighted sum, and vectors for the rest (`docs/benchmarks-search.md` has what others gave).
const WORDS_SHARE: f32 = 0.42;
/// When a filter lets no more than one document in so many pass, all of them are looked at rather than lists.
const FEW: u64 = 50;
/// So many rows that have most of a query's words are looked at beside those that are near, or one in [`BY_WORDS_SHARE`] if
/// that is more.
const BY_WORDS_MIN: usize = 1024;
const BY_WORDS_SHARE: usize = 16;
/// By how many standard deviations an estimate may be off in a search that need not be exact. The error that is proven is
/// as many as the square root of the dimension.
const DEVIATIONS: f32 = 4.0;

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
    pub(super) mask: &'a Mask,
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
        mask: &'a Mask,
        scoring: &Scoring<'a>,
    ) -> Result<Self, ReadError> {
        let mut codes = None;
        if let (Rows::Segment(segment), Some(vector)) = (&source.rows, scoring.vector)
            && let Some(index) = segment.index()?
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
    pub(super) fn aged(&self, row: u32, score: f32) -> f32 {
        let Some(ages) = self.ages else { return score };
        let (created_ms, updated_ms) = self.source.times(self.source.ordinal(row, 0));
        ages.score(score, created_ms, updated_ms)
    }

    /// Whether the order of similarities is that of scores.
    fn is_plain(&self) -> bool {
        self.words.is_none() && self.ages.is_none()
    }

    /// Whether a row scores what its vector does.
    fn is_bare(&self) -> bool {
        self.is_plain() && self.similarity_min <= 0.0
    }

    /// Between what the score of the row at a place lies.
    fn between(&self, place: u32, Estimate { score, error }: Estimate) -> Bounds {
        if self.is_bare() {
            return Bounds { least: score - error, most: score + error };
        }
        let row = self.at(place);
        Bounds { least: self.score(row, score - error), most: self.score(row, score + error) }
    }

    /// Looks at the rows in the lists that are near; whether that was enough for `k`, if there are as many.
    pub(super) fn probe(&self, number: usize, recall: f32, nearest: &mut Nearest) -> Result<bool, ReadError> {
        let (Some(Codes { index, query }), Rows::Segment(segment)) = (&self.codes, &self.source.rows) else {
            return Ok(false);
        };
        let (documents, matches) = (segment.directory().len() as u64, self.mask.count());
        // A row that is new may be anywhere; few are all looked at.
        if !index.has_lists() || self.ages.is_some() || matches * FEW < documents {
            return Ok(false);
        }
        let live = (matches < documents).then(|| self.rows());
        let k = nearest.k();
        let countable = match nearest.unit() {
            Unit::Documents => matches,
            Unit::Passages => live.as_deref().map_or(u64::from(segment.place().rows), Mask::count),
        };
        let enough = countable.min(k as u64) as usize;
        let (mut probes, mut rows) = index.effort(recall, k);
        // Where a filter lets few pass, the nearest of these are farther away.
        let mut widened = documents as f64 / matches.max(1) as f64;
        let all = segment.place().rows as usize;
        let (by_words, worded) = self.best_by_words((all / BY_WORDS_SHARE).max(BY_WORDS_MIN));
        if worded > by_words.len() {
            // And so are the nearest of those that have one of the words, when there are too many of them to look at all.
            let sparse = all as f64 / worded as f64;
            widened *= sparse;
            rows = (rows as f64 * sparse) as usize;
        }
        probes = (probes as f64 * widened.powf(0.35)) as usize;
        // An estimate is off by its whole error once in a blue moon.
        let caution = (DEVIATIONS / (index.dimension() as f32).sqrt()).min(1.0);
        loop {
            let (places, estimates) = segment.probe(index, query, (probes, rows), live.as_deref())?;
            let between = |(&place, &Estimate { score, error }): (&u32, &Estimate)| {
                self.between(place, Estimate { score, error: error * caution })
            };
            if self.has_enough(&places, enough, nearest.unit()) {
                let bounds: Vec<Bounds> = places.iter().zip(&estimates).map(between).collect();
                nearest.take(number, self, &places, &bounds);
                if by_words.is_empty() {
                    return Ok(true);
                }
                let mut others: Vec<u32> = by_words.iter().map(|row| index.place(*row)).collect();
                others.sort_unstable();
                others.retain(|place| places.binary_search(place).is_err());
                let mut estimates = vec![Estimate::default(); others.len()];
                segment.estimate_each(query, &others, &mut estimates)?;
                let bounds: Vec<Bounds> = others.iter().zip(&estimates).map(between).collect();
                nearest.take(number, self, &others, &bounds);
                return Ok(true);
            }
            if probes >= index.list_count() {
                return Ok(false);
            }
            (probes, rows) = (probes * 4, rows * 2);
        }
    }

    /// So many rows, those that have most of the query's words, if any: they may be anywhere. And how many have one of them.
    fn best_by_words(&self, count: usize) -> (Vec<u32>, usize) {
        let Some(words) = self.words else { return (Vec::new(), 0) };
        let mut rows: Vec<(f32, u32)> =
            words.iter().copied().zip(0..).filter(|(word, _)| *word > 0.0).collect();
        rows.retain(|(_, row)| self.mask.contains(self.source.ordinal(*row, 0)));
        let worded = rows.len();
        if worded > count {
            rows.select_nth_unstable_by(count, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            rows.truncate(count);
        }
        (rows.into_iter().map(|(_, row)| row).collect(), worded)
    }

    /// Whether the rows at these places count as so many, or more.
    fn has_enough(&self, places: &[u32], count: usize, unit: Unit) -> bool {
        if places.len() < count || unit == Unit::Passages || self.has_one_each() {
            return places.len() >= count;
        }
        let mut documents = HashSet::new();
        places.iter().any(|&place| {
            documents.insert(self.ordinal(place));
            documents.len() >= count
        })
    }

    /// The rows that the mask lets pass.
    fn rows(&self) -> Cow<'_, Mask> {
        match &self.source.rows {
            Rows::Segment(segment) if segment.is_row_by_row() => Cow::Borrowed(self.mask),
            _ => Cow::Owned(self.mask.iter().flat_map(|ordinal| self.source.rows_of(ordinal)).collect()),
        }
    }

    /// Looks at all rows that the mask lets pass, by several searches with one mask.
    pub(super) fn look_together(
        number: usize,
        searches: &mut [&mut Nearest],
        scored: &[&Self],
    ) -> Result<(), ReadError> {
        let Some(first) = scored.first() else { return Ok(()) };
        if !first.is_listed() {
            return Nearest::look_together(searches, number, scored, first.mask);
        }
        for (nearest, scored) in searches.iter_mut().zip(scored) {
            scored.look(number, nearest)?;
        }
        Ok(())
    }

    /// Looks at all rows that the mask lets pass.
    fn look(&self, number: usize, nearest: &mut Nearest) -> Result<(), ReadError> {
        let listed = self.codes.as_ref().filter(|codes| codes.index.has_lists());
        let (Some(Codes { index, .. }), Rows::Segment(segment)) = (listed, &self.source.rows) else {
            return nearest.look(number, self, self.mask);
        };
        if self.mask.count() * FEW >= segment.directory().len() as u64 {
            return nearest.look(number, self, self.mask);
        }
        let mut places: Vec<u32> = self.rows().iter().map(|row| index.place(row)).collect();
        places.sort_unstable();
        let mut bounds = vec![Bounds::NONE; places.len()];
        self.bounds_each(&places, &mut bounds)?;
        nearest.take(number, self, &places, &bounds);
        Ok(())
    }
}

impl<'v> crate::index::Rows<'v> for Scored<'v, '_> {
    type Error = ReadError;

    fn places(&self, ordinals: Range<u32>) -> (Range<u32>, bool) {
        if let Rows::Segment(segment) = &self.source.rows
            && self.is_listed()
        {
            return (0..segment.place().rows, ordinals.len() == segment.directory().len());
        }
        (self.source.rows_of(ordinals.start).start..self.source.rows_of(ordinals.end - 1).end, true)
    }

    fn has_one_each(&self) -> bool {
        matches!(&self.source.rows, Rows::Segment(segment) if segment.is_row_by_row())
    }

    fn ordinal(&self, place: u32) -> u32 {
        self.source.ordinal(self.at(place), 0)
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
        let mut own = [vec![Bounds::NONE; bounds.len()]];
        let exact = Self::bounds_together(&[self], &places, &mut own)?;
        bounds.copy_from_slice(&own[0]);
        Ok(exact)
    }

    fn bounds_together(
        searches: &[&Self],
        places: &Range<u32>,
        bounds: &mut [Vec<Bounds>],
    ) -> Result<bool, ReadError> {
        let queries: Option<Vec<_>> =
            searches.iter().map(|search| search.codes.as_ref().map(|codes| &codes.query)).collect();
        let (Some(queries), Some(Rows::Segment(segment))) =
            (queries, searches.first().map(|search| &search.source.rows))
        else {
            for (search, bounds) in searches.iter().zip(bounds) {
                search.exact(places.clone(), bounds)?;
            }
            return Ok(true);
        };
        let mut estimates = vec![vec![Estimate::default(); places.len()]; searches.len()];
        segment.estimate(&queries, places.clone(), &mut estimates)?;
        for ((search, bounds), estimates) in searches.iter().zip(bounds).zip(estimates) {
            if search.is_bare() {
                for (bounds, Estimate { score, error }) in bounds.iter_mut().zip(estimates) {
                    *bounds = Bounds { least: score - error, most: score + error };
                }
            } else {
                for ((place, bounds), estimate) in places.clone().zip(bounds).zip(estimates) {
                    *bounds = search.between(place, estimate);
                }
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

    fn bounds_each(&self, places: &[u32], bounds: &mut [Bounds]) -> Result<(), ReadError> {
        if let (Some(codes), Rows::Segment(segment)) = (&self.codes, &self.source.rows) {
            let mut estimates = vec![Estimate::default(); places.len()];
            segment.estimate_each(&codes.query, places, &mut estimates)?;
            for ((&place, bounds), estimate) in places.iter().zip(bounds).zip(estimates) {
                *bounds = self.between(place, estimate);
            }
            return Ok(());
        }
        let mut scores = vec![0.0; places.len()];
        self.scores(places, &mut scores)?;
        for (bounds, score) in bounds.iter_mut().zip(scores) {
            *bounds = Bounds::exact(score);
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
        if !self.is_listed() {
            segment.score_each(vector, places, scores)?;
            for (&row, score) in places.iter().zip(scores) {
                *score = self.score(row, *score);
            }
            return Ok(());
        }
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
    pub(super) fn rows_of(&self, ordinal: u32) -> Range<u32> {
        match &self.rows {
            Rows::Segment(segment) => segment.rows_of(ordinal..ordinal + 1),
            Rows::Memtable(memtable) => {
                let entry = &memtable.entries()[ordinal as usize];
                entry.first_row..entry.first_row + entry.rows
            }
        }
    }

    /// The document that a row is of, and that is this one or comes after it.
    pub(super) fn ordinal(&self, row: u32, from: u32) -> u32 {
        match &self.rows {
            Rows::Segment(segment) => segment.ordinal(row),
            Rows::Memtable(memtable) => {
                let ends_before = |entry: &Entry| entry.first_row + entry.rows <= row;
                from + memtable.entries()[from as usize..].partition_point(ends_before) as u32
            }
        }
    }
}
