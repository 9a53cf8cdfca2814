//! How is a partition searched?
//!
//! Every source is scanned with the mask of what the filter lets pass: by vectors, by words (BM25 over the partition's own live
//! rows), or by both. One scan brings both together row by row, so nothing is missed that a list of candidates would cut off.

use super::view::{Rows, Source, View};
use super::{
    Core, DocumentInfo, Fusion, Hit, Partition, Query, ReadError, SearchRequest, SearchResponse, Trace,
};
use crate::index::{self, Bounds, Candidate, Nearest};
use crate::keyword::{self, Matches, Statistics, Words};
use crate::memtable::Entry;
use std::collections::HashMap;
use std::ops::Range;
use strongroom_format::Damage;
use strongroom_format::segment::DocumentRow;
use strongroom_format::words::Posting;
use strongroom_kernel::{Estimate, dot_rows, is_finite, normalize};

/// What words count for in a weighted sum, and vectors for the rest (`docs/benchmarks-search.md` has what others gave).
const WORDS_SHARE: f32 = 0.42;
/// Ranks are flattened by this many.
const RANKS_FLATTENED: f32 = 60.0;
/// Of each list this many are fused at least.
const RANKS_MIN: usize = 100;

/// What rows are scored by.
#[derive(Clone, Copy)]
struct Scoring<'a> {
    /// Of length 1.
    vector: Option<&'a [f32]>,
    /// For each source what its rows score by their words.
    words: Option<&'a [Vec<f32>]>,
    similarity_min: f32,
}

/// A source, as it is scored.
struct Scored<'v, 'a> {
    source: &'v Source,
    vector: Option<&'a [f32]>,
    /// What the rows score by their words, as far as any does.
    words: Option<&'a [f32]>,
    similarity_min: f32,
    /// The query as the codes of the segment meet it.
    codes: Option<strongroom_kernel::Query>,
}

impl<'v, 'a> Scored<'v, 'a> {
    fn new(number: usize, source: &'v Source, scoring: &Scoring<'a>) -> Result<Self, ReadError> {
        let codes = match (&source.rows, scoring.vector) {
            (Rows::Segment(segment), Some(vector)) => segment.index()?.map(|index| index.query(vector)),
            _ => None,
        };
        let words = scoring.words.map(|sources| &*sources[number]);
        Ok(Self { source, vector: scoring.vector, words, similarity_min: scoring.similarity_min, codes })
    }

    fn word(&self, row: u32) -> Option<f32> {
        self.words.map(|words| words.get(row as usize).copied().unwrap_or(0.0))
    }

    /// The score of a row whose vector is so similar. It rises with the similarity, rounding included.
    fn score(&self, row: u32, similarity: f32) -> f32 {
        // Without a threshold everything that matches may be answered, dissimilar as it is.
        if self.similarity_min > 0.0 && similarity < self.similarity_min {
            f32::NEG_INFINITY
        } else if let Some(word) = self.word(row) {
            (1.0 - WORDS_SHARE) * similarity + WORDS_SHARE * word
        } else {
            similarity
        }
    }
}

impl<'v> index::Rows<'v> for Scored<'v, '_> {
    type Error = ReadError;

    fn documents(&self) -> u32 {
        match &self.source.rows {
            Rows::Segment(segment) => segment.directory().len() as u32,
            Rows::Memtable(memtable) => memtable.entries().len() as u32,
        }
    }

    fn document(&self, ordinal: u32) -> (&'v str, Range<u32>) {
        match &self.source.rows {
            Rows::Segment(segment) => {
                let row = &segment.directory()[ordinal as usize];
                (&row.id, row.first_row..row.first_row + row.rows)
            }
            Rows::Memtable(memtable) => {
                let entry = &memtable.entries()[ordinal as usize];
                (&entry.document.id, entry.first_row..entry.first_row + entry.rows)
            }
        }
    }

    fn ordinal(&self, row: u32) -> u32 {
        self.source.ordinal(row, 0)
    }

    fn bounds(&self, rows: Range<u32>, bounds: &mut [Bounds]) -> Result<bool, ReadError> {
        let (Some(query), Rows::Segment(segment)) = (&self.codes, &self.source.rows) else {
            self.exact(rows, bounds)?;
            return Ok(true);
        };
        let mut estimates = vec![Estimate::default(); bounds.len()];
        segment.estimate(query, rows.clone(), &mut estimates)?;
        for (bounds, Estimate { score, error }) in bounds.iter_mut().zip(estimates) {
            *bounds = Bounds { least: score - error, most: score + error };
        }
        if self.words.is_some() || self.similarity_min > 0.0 {
            for (row, bounds) in rows.zip(bounds) {
                let Bounds { least, most } = *bounds;
                *bounds = Bounds { least: self.score(row, least), most: self.score(row, most) };
            }
        }
        Ok(false)
    }

    fn exact(&self, rows: Range<u32>, bounds: &mut [Bounds]) -> Result<(), ReadError> {
        let Some(vector) = self.vector else {
            for (row, bounds) in rows.zip(bounds) {
                let word = self.word(row).filter(|&word| word > 0.0);
                *bounds = word.map_or(Bounds::NONE, Bounds::exact);
            }
            return Ok(());
        };
        let mut similarities = vec![0.0; bounds.len()];
        match &self.source.rows {
            Rows::Segment(segment) => segment.score(vector, rows.clone(), &mut similarities)?,
            Rows::Memtable(memtable) => {
                let components = rows.start as usize * vector.len()..rows.end as usize * vector.len();
                dot_rows(vector, &memtable.vectors()[components], &mut similarities);
            }
        }
        for ((row, bounds), similarity) in rows.zip(bounds).zip(similarities) {
            *bounds = Bounds::exact(self.score(row, similarity));
        }
        Ok(())
    }

    fn scores(&self, rows: &[u32], scores: &mut [f32]) -> Result<(), ReadError> {
        let (Some(vector), Rows::Segment(segment)) = (self.vector, &self.source.rows) else {
            unreachable!("the bounds of other rows are their scores")
        };
        segment.score_each(vector, rows, scores)?;
        for (&row, score) in rows.iter().zip(scores) {
            *score = self.score(row, *score);
        }
        Ok(())
    }
}

impl View {
    /// The best documents, best first.
    fn best(&self, request: &SearchRequest<'_>) -> Result<Vec<Candidate<'_>>, ReadError> {
        let (vector, words) = match request.query {
            Query::Vector(vector) => (Some(vector), None),
            Query::Words(words) => (None, Some(words)),
            Query::Hybrid { vector, words, .. } => (Some(vector), Some(words)),
        };
        let vector = vector.map(|vector| {
            let mut unit = vector.to_vec();
            normalize(&mut unit);
            unit
        });
        let words = words.map(|words| self.word_scores(&Words::of(words))).transpose()?;
        let (vector, words) = (vector.as_deref(), words.as_deref());
        let scoring = Scoring { vector, words, similarity_min: request.similarity_min };
        let Query::Hybrid { fusion: Fusion::Ranks, .. } = request.query else {
            return self.nearest(&scoring, request, request.k);
        };
        let k = request.k.max(RANKS_MIN);
        let by_vector = self.nearest(&Scoring { words: None, ..scoring }, request, k)?;
        let by_words = self.nearest(&Scoring { vector: None, ..scoring }, request, k)?;
        Ok(by_ranks([by_vector, by_words], request.k))
    }

    fn nearest(
        &self,
        scoring: &Scoring<'_>,
        request: &SearchRequest<'_>,
        k: usize,
    ) -> Result<Vec<Candidate<'_>>, ReadError> {
        let scored = self.sources().iter().enumerate();
        let scored = scored.map(|(number, source)| Scored::new(number, source, scoring));
        let scored: Vec<Scored<'_, '_>> = scored.collect::<Result<_, _>>()?;
        let mut nearest = Nearest::new(k);
        for (number, scored) in scored.iter().enumerate() {
            nearest.look(number, scored, &self.mask(scored.source, request.filter))?;
        }
        nearest.finish(&scored)
    }

    /// What the rows of each source score by the words of a query.
    fn word_scores(&self, words: &Words) -> Result<Vec<Vec<f32>>, ReadError> {
        let mut statistics = Statistics { rows: self.counts().passages, words: self.segment_words() };
        let mut sources = Vec::with_capacity(self.sources().len());
        for source in self.sources() {
            sources.push(match &source.rows {
                Rows::Segment(segment) => match segment.dictionary()? {
                    None => Matches::default(),
                    Some(dictionary) => {
                        let postings = words.iter().map(|word| dictionary.postings(word));
                        let postings: Vec<_> = postings.collect::<Result<_, _>>()?;
                        let found = postings.iter().any(|postings| !postings.is_empty());
                        let counts = if found { dictionary.word_counts()? } else { Vec::new() };
                        Matches { postings, counts }
                    }
                },
                Rows::Memtable(memtable) => {
                    let index = memtable.words();
                    let spans = source.live.iter().map(|ordinal| {
                        let entry = &memtable.entries()[ordinal as usize];
                        entry.first_row as usize..(entry.first_row + entry.rows) as usize
                    });
                    statistics.words += spans
                        .flat_map(|span| &index.lengths()[span])
                        .map(|&count| u64::from(count))
                        .sum::<u64>();
                    let postings = words.iter().map(|word| index.postings(word).to_vec());
                    Matches { postings: postings.collect(), counts: index.lengths().to_vec() }
                }
            });
        }
        for (source, matches) in self.sources().iter().zip(&mut sources) {
            matches.postings.iter_mut().for_each(|postings| source.keep_live(postings));
        }
        Ok(keyword::score(words, statistics, &sources))
    }

    fn hit(&self, candidate: &Candidate<'_>, with_content: bool) -> Result<Hit, ReadError> {
        let gone = || Damage::new("directory", "the id of a live row", "none");
        let location = self.live(candidate.id).ok_or_else(gone)?;
        let (document, content_bytes) = self.info(location)?;
        let passage = document.passages.get(candidate.passage as usize).ok_or_else(gone)?;
        Ok(Hit {
            passage: self.passage(location, passage)?,
            score: candidate.score.clamp(0.0, 1.0),
            content: if with_content { Some(self.content(location, None)?) } else { None },
            document: DocumentInfo::of(document, content_bytes),
        })
    }
}

impl Source {
    /// Leaves only rows of live documents.
    fn keep_live(&self, postings: &mut Vec<Posting>) {
        let mut ordinal = 0;
        postings.retain(|posting| {
            // They rise, so each is looked for behind the one before.
            ordinal = self.ordinal(posting.row, ordinal);
            self.live.contains(ordinal)
        });
    }

    /// The document that a row is of, and that is this one or comes after it.
    fn ordinal(&self, row: u32, from: u32) -> u32 {
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

/// Two lists as one, by the ranks in each.
fn by_ranks(lists: [Vec<Candidate<'_>>; 2], k: usize) -> Vec<Candidate<'_>> {
    let first = 2.0 / (RANKS_FLATTENED + 1.0);
    let mut fused: HashMap<&str, Candidate<'_>> = HashMap::new();
    for list in lists {
        for (rank, candidate) in (1_u16..=u16::MAX).zip(list) {
            let share = 1.0 / (RANKS_FLATTENED + f32::from(rank)) / first;
            fused
                .entry(candidate.id)
                .and_modify(|known| known.score += share)
                .or_insert(Candidate { score: share, ..candidate });
        }
    }
    let mut fused: Vec<_> = fused.into_values().collect();
    fused.sort_unstable();
    fused.truncate(k);
    fused
}

impl Partition {
    /// The live documents that agree best with a query, with evidence of what was opened.
    pub fn search(&self, request: &SearchRequest<'_>) -> Result<SearchResponse, ReadError> {
        if let Query::Vector(vector) | Query::Hybrid { vector, .. } = request.query {
            let expected = self.core.identity.dimension as usize;
            if vector.len() != expected {
                return Err(ReadError::Dimension { expected, found: vector.len() });
            }
            if !is_finite(vector) {
                return Err(ReadError::NotFinite);
            }
        }
        self.core.attempt(|| {
            self.core.with_view(|view| {
                let candidates = view.best(request)?;
                let hits = candidates.iter().map(|candidate| view.hit(candidate, request.with_content));
                Ok(SearchResponse { hits: hits.collect::<Result<_, _>>()?, trace: self.core.trace(view) })
            })?
        })
    }
}

impl Core {
    fn trace(&self, view: &View) -> Trace {
        Trace {
            partitions_opened: vec![self.identity.partition.clone()],
            segments_opened: view.segment_count(),
            candidates: view.counts().documents,
            exact: true,
        }
    }
}
