//! What do the rows of one source score, by vector, by words, and by age?
//!
//! A segment's rows may be known by their codes, and those of a large one lie in lists: then only what is near is looked at.

mod rows;

use super::view::{Rows, Source};
use super::{Ages, ReadError};
use crate::index::{Bounds, Nearest, Rows as _, Unit};
use crate::io::Fault;
use crate::nearness::{measure, similarity};
use crate::rank;
use crate::segment::{Index, Probed};
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use strongroom_format::record::Metric;
use strongroom_kernel::{Estimate, Mask};

/// What words count for in a weighted sum, and vectors for the rest (`docs/benchmarks-search.md` has what others gave).
const WORDS_SHARE: f32 = 0.42;
/// When a filter lets no more than one document in so many pass, all of them are looked at rather than lists.
const FEW: u64 = 50;
/// When it lets no more than one in so many pass, an exact search reads the codes of these alone rather than all.
const SOME: u64 = 8;
/// So many rows that lie anywhere are looked at together.
const PLACES_TOGETHER: usize = 4096;
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

/// What a similarity and words score together. It rises with either, rounding included.
fn weighed(similarity: f32, word: f32) -> f32 {
    (1.0 - WORDS_SHARE) * similarity + WORDS_SHARE * word
}

/// A source, as it is scored.
pub(super) struct Scored<'v, 'a> {
    source: &'v Source,
    metric: Metric,
    pub(super) mask: &'a Mask,
    vector: Option<&'a [f32]>,
    words: Option<Words<'a>>,
    similarity_min: f32,
    ages: Option<Ages>,
    codes: Option<Codes>,
    /// What part of its proven error an estimate may be off by; in lists it is less than all of it.
    doubt: f32,
}

/// What rows score by their words.
enum Words<'a> {
    /// All of them, as far as any does.
    Each(&'a [f32]),
    /// Those that may be among the best.
    Known(FxHashMap<u32, f32>),
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
        let words = scoring.words.map(|sources| Words::Each(&sources[number]));
        let Scoring { metric, vector, similarity_min, ages, .. } = *scoring;
        Ok(Self { source, metric, mask, vector, words, similarity_min, ages, codes, doubt: 1.0 })
    }

    /// Whether there are lists to look into, and the mask lets not so few rows pass that these are looked at rather.
    pub(super) fn is_probed(&self) -> bool {
        matches!(&self.source.rows, Rows::Segment(segment)
            if self.is_listed() && self.mask.count() * FEW >= segment.directory().len() as u64)
    }

    /// Whether places are those of codes in lists.
    fn is_listed(&self) -> bool {
        self.codes.as_ref().is_some_and(|codes| codes.index.has_lists())
    }

    /// The place of a row.
    fn place(&self, row: u32) -> u32 {
        self.codes.as_ref().map_or(row, |codes| codes.index.place(row))
    }

    /// The row at a place.
    pub(super) fn at(&self, place: u32) -> u32 {
        self.codes.as_ref().map_or(place, |codes| codes.index.row(place))
    }

    fn word(&self, row: u32) -> Option<f32> {
        self.words.as_ref().map(|words| match words {
            Words::Each(each) => each.get(row as usize).copied().unwrap_or(0.0),
            Words::Known(known) => known.get(&row).copied().unwrap_or(0.0),
        })
    }

    /// From now on rows score by their words, too, what will be known of them.
    pub(super) fn add_words(&mut self) {
        self.words = Some(Words::Known(FxHashMap::default()));
    }

    /// From now on estimates are trusted as in lists.
    pub(super) fn be_cautious(&mut self) {
        self.doubt = self.caution();
    }

    /// What words have to score for the sum to reach the floor where a row's vector scores so much.
    pub(super) fn word_least(&self, of_vector: f32, floor: f32) -> f32 {
        let similarity = similarity(self.metric, of_vector);
        rank::least_that(|word| weighed(similarity, word) >= floor)
    }

    /// What these rows score by their words is known.
    pub(super) fn know_words(&mut self, rows: impl IntoIterator<Item = (u32, f32)>) {
        if let Some(Words::Known(known)) = &mut self.words {
            known.extend(rows);
        }
    }

    /// The score of a row whose vector scores so much. It rises with that, rounding included.
    fn score(&self, row: u32, of_vector: f32) -> f32 {
        self.score_with(row, self.word(row), of_vector)
    }

    /// The same where its words score so much.
    pub(super) fn score_with(&self, row: u32, word: Option<f32>, of_vector: f32) -> f32 {
        let similarity = similarity(self.metric, of_vector);
        // Without a threshold everything that matches may be answered, dissimilar as it is.
        if self.similarity_min > 0.0 && similarity < self.similarity_min {
            return f32::NEG_INFINITY;
        }
        if word.is_none() && self.ages.is_none() {
            return of_vector;
        }
        self.aged(row, word.map_or(similarity, |word| weighed(similarity, word)))
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
    fn between(&self, place: u32, Estimate { score, error }: Estimate, doubt: f32) -> Bounds {
        let error = error * doubt;
        if self.is_bare() {
            return Bounds::from(Estimate { score, error });
        }
        let row = self.at(place);
        Bounds { least: self.score(row, score - error), most: self.score(row, score + error) }
    }

    /// Looks at the rows in the lists that are near enough for the `k` nearest; whether that was enough for as many as are looked for,
    /// if there are.
    pub(super) fn probe(
        &self,
        number: usize,
        (recall, k): (f32, usize),
        nearest: &mut Nearest,
    ) -> Result<bool, ReadError> {
        let (Some(Codes { index, query }), Rows::Segment(segment)) = (&self.codes, &self.source.rows) else {
            return Ok(false);
        };
        let (documents, matches) = (segment.directory().len() as u64, self.mask.count());
        // A row that is new may be anywhere; few are all looked at.
        if !self.is_probed() || self.ages.is_some() {
            return Ok(false);
        }
        let live = (matches < documents).then(|| self.rows());
        let countable = match nearest.unit() {
            Unit::Documents => matches,
            Unit::Passages => live.as_deref().map_or(u64::from(segment.place().rows), Mask::count),
        };
        let enough = countable.min(nearest.k() as u64) as usize;
        let Some(mut effort) = index.effort(recall, k, documents as f64 / matches.max(1) as f64) else {
            return Ok(false);
        };
        let caution = self.caution();
        loop {
            let Probed { places, estimates, is_all } =
                segment.probe(index, query, effort, live.as_deref())?;
            let between = |(&place, &estimate): (&u32, &Estimate)| self.between(place, estimate, caution);
            if self.has_enough(&places, enough, nearest.unit()) {
                let bounds: Vec<Bounds> = places.iter().zip(&estimates).map(between).collect();
                nearest.take(number, self, &places, &bounds);
                return Ok(true);
            }
            if is_all {
                return Ok(false);
            }
            effort = effort.more();
        }
    }

    /// What part of its proven error an estimate is off by at most, but once in a blue moon.
    fn caution(&self) -> f32 {
        let dimension = self.codes.as_ref().map_or(0, |codes| codes.index.dimension());
        (DEVIATIONS / (dimension as f32).sqrt()).min(1.0)
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

    /// Which of these rows the mask lets pass, a bit each; whether it does any.
    pub(super) fn passing(&self, first: u32, rows: usize, bits: &mut [u64]) -> bool {
        bits.fill(0);
        let (mask, end) = (self.mask, first + rows as u32);
        if let Rows::Segment(segment) = &self.source.rows
            && segment.is_row_by_row()
        {
            for (word, bits) in (first as usize / 64..).zip(&mut *bits) {
                *bits = u64::from(mask.block(2 * word)) | u64::from(mask.block(2 * word + 1)) << 32;
            }
        } else {
            let documents = self.source.ordinal(first, 0)..=self.source.ordinal(end - 1, 0);
            for ordinal in documents.filter(|&ordinal| mask.contains(ordinal)) {
                let of_document = self.source.rows_of(ordinal);
                for row in of_document.start.max(first)..of_document.end.min(end) {
                    bits[(row - first) as usize / 64] |= 1 << (row % 64);
                }
            }
        }
        bits.iter().any(|bits| *bits != 0)
    }

    /// The places of these rows, rising, each with what came with its row, and between what their vectors score.
    pub(super) fn by_vector(&self, rows: &[(u32, f32)]) -> Result<Vec<(u32, f32, Bounds)>, Fault> {
        let mut placed: Vec<(u32, f32)> = rows.iter().map(|&(row, word)| (self.place(row), word)).collect();
        placed.sort_unstable_by_key(|(place, _)| *place);
        let places: Vec<u32> = placed.iter().map(|(place, _)| *place).collect();
        let mut bounds = vec![Bounds::NONE; places.len()];
        let vector = self.vector.unwrap_or_default();
        match (&self.codes, &self.source.rows) {
            (Some(codes), Rows::Segment(segment)) => {
                let mut estimates = vec![Estimate::default(); places.len()];
                segment.estimate_each(&codes.query, &places, &mut estimates)?;
                for (bounds, Estimate { score, error }) in bounds.iter_mut().zip(estimates) {
                    let error = error * self.doubt;
                    *bounds = Bounds { least: score - error, most: score + error };
                }
            }
            (None, Rows::Segment(segment)) => {
                let mut scores = vec![0.0; places.len()];
                segment.score_each(vector, &places, &mut scores)?;
                bounds.iter_mut().zip(scores).for_each(|(bounds, score)| *bounds = Bounds::exact(score));
            }
            (_, Rows::Memtable(memtable)) => {
                for (bounds, &row) in bounds.iter_mut().zip(&places) {
                    let (mut score, at) = ([0.0], row as usize * vector.len());
                    let of_row = &memtable.vectors()[at..at + vector.len()];
                    measure(self.metric).score_rows(vector, of_row, &mut score);
                    *bounds = Bounds::exact(score[0]);
                }
            }
        }
        Ok(placed.into_iter().zip(bounds).map(|((place, word), bounds)| (place, word, bounds)).collect())
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
    pub(super) fn look(&self, number: usize, nearest: &mut Nearest) -> Result<(), ReadError> {
        let listed = self.codes.as_ref().filter(|codes| codes.index.has_lists());
        let (Some(Codes { index, .. }), Rows::Segment(segment)) = (listed, &self.source.rows) else {
            return nearest.look(number, self, self.mask);
        };
        if self.mask.count() * SOME >= segment.directory().len() as u64 {
            return nearest.look(number, self, self.mask);
        }
        // Each row has one place: a set of them rises, and is made in half of the time that sorting takes.
        let places: Mask = self.rows().iter().map(|row| index.place(row)).collect();
        let places: Vec<u32> = places.iter().collect();
        let mut bounds = Vec::new();
        for places in places.chunks(PLACES_TOGETHER) {
            bounds.resize(places.len(), Bounds::NONE);
            self.bounds_each(places, &mut bounds)?;
            nearest.take(number, self, places, &bounds);
        }
        Ok(())
    }
}
