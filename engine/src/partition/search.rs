//! How is a partition searched?
//!
//! Every source is scanned with the mask of what the filter lets pass: by vectors, by words (BM25 over the partition's own live
//! rows), or by both. One scan brings both together row by row, so nothing is missed that a list of candidates would cut off.

use super::scored::{Scored, Scoring};
use super::sight::Sight;
use super::view::{Rows, Source, View};
use super::{
    Core, DocumentInfo, Fusion, Hit, Partition, Query, ReadError, SearchRequest, SearchResponse, Trace, Unit,
};
use crate::index::{Candidate, Nearest};
use crate::keyword::{self, Found, Matches, Statistics, Terms};
use crate::nearness::admit;
use std::collections::HashMap;
use strongroom_format::Damage;
use strongroom_format::record::Metric;
use strongroom_format::words::Posting;
use strongroom_kernel::Mask;

/// Ranks are flattened by this many.
const RANKS_FLATTENED: f32 = 60.0;
/// Of each list this many are fused at least.
const RANKS_MIN: usize = 100;

impl View {
    /// The best documents or passages, best first, and whether they are surely the best.
    fn best(
        &self,
        metric: Metric,
        request: &SearchRequest<'_>,
        sight: &Sight<'_>,
    ) -> Result<(Vec<Candidate<'_>>, bool), ReadError> {
        let (vector, words) = match request.query {
            Query::Vector(vector) => (Some(vector), None),
            Query::Words(words) => (None, Some(words)),
            Query::Hybrid { vector, words, .. } => (Some(vector), Some(words)),
        };
        let admitted = |vector: &[f32]| {
            let mut vector = vector.to_vec();
            admit(metric, &mut vector).map(|()| vector)
        };
        let vector = vector.map(admitted).transpose()?;
        let words = words.map(|words| self.word_scores(&Terms::of(words), sight)).transpose()?;
        let (vector, words) = (vector.as_deref(), words.as_deref());
        let SearchRequest { similarity_min, ages, .. } = *request;
        let scoring = Scoring { metric, vector, words, similarity_min, ages };
        let Query::Hybrid { fusion: Fusion::Ranks, .. } = request.query else {
            return self.nearest(&scoring, request, sight, request.k);
        };
        let k = request.k.max(RANKS_MIN);
        let (by_vector, exact) = self.nearest(&Scoring { words: None, ..scoring }, request, sight, k)?;
        let (by_words, _) = self.nearest(&Scoring { vector: None, ..scoring }, request, sight, k)?;
        Ok((by_ranks([by_vector, by_words], request), exact))
    }

    fn nearest(
        &self,
        scoring: &Scoring<'_>,
        request: &SearchRequest<'_>,
        sight: &Sight<'_>,
        k: usize,
    ) -> Result<(Vec<Candidate<'_>>, bool), ReadError> {
        let mut scored = Vec::with_capacity(self.sources().len());
        for (number, source) in self.sources().iter().enumerate() {
            let mask = self.mask(source, sight.of(number), request.filter)?;
            scored.push(Scored::new(number, source, mask, scoring)?);
        }
        let mut nearest = Nearest::new(k, request.unit);
        let mut exact = true;
        for (number, scored) in scored.iter().enumerate() {
            if let Some(recall) = request.recall
                && scored.probe(number, recall, &mut nearest)?
            {
                exact = false;
            } else {
                scored.look(number, &mut nearest)?;
            }
        }
        let mut best = nearest.finish(&scored)?;
        best.iter_mut().for_each(|candidate| candidate.score = scoring.told(candidate.score));
        Ok((best, exact))
    }

    /// What the rows of each source score by the words of a query.
    fn word_scores(&self, terms: &Terms, sight: &Sight<'_>) -> Result<Vec<Vec<f32>>, ReadError> {
        let mut statistics = Statistics { rows: sight.passages, words: sight.segment_words };
        let mut sources = Vec::with_capacity(self.sources().len());
        for (number, source) in self.sources().iter().enumerate() {
            let seen = sight.of(number);
            let leave = |postings: &mut Vec<Posting>| source.keep(seen, postings);
            sources.push(match &source.rows {
                Rows::Segment(segment) => match segment.dictionary()? {
                    None => Matches::default(),
                    Some(dictionary) => {
                        let found = terms.look(&dictionary, leave)?;
                        let is_any = found.iter().any(|found| !Found::is_empty(found));
                        let counts = if is_any { dictionary.word_counts()? } else { Vec::new() };
                        Matches { found, counts }
                    }
                },
                Rows::Memtable(memtable) => {
                    let index = memtable.words();
                    let spans = seen.iter().map(|ordinal| {
                        let entry = &memtable.entries()[ordinal as usize];
                        entry.first_row as usize..(entry.first_row + entry.rows) as usize
                    });
                    statistics.words += spans
                        .flat_map(|span| &index.lengths()[span])
                        .map(|&count| u64::from(count))
                        .sum::<u64>();
                    Matches { found: terms.look(&*index, leave)?, counts: index.lengths().to_vec() }
                }
            });
        }
        Ok(keyword::score(terms, statistics, sources))
    }

    fn hit(&self, candidate: &Candidate<'_>, with_content: bool, is_bounded: bool) -> Result<Hit, ReadError> {
        let (source, ordinal) = (&self.sources()[candidate.source], candidate.ordinal);
        let (document, content_bytes) = source.info(ordinal)?;
        let gone = || Damage::new("document info", "the passage of a row", "none");
        let passage = document.passages.get(candidate.passage as usize).ok_or_else(gone)?;
        Ok(Hit {
            passage: source.passage(ordinal, passage)?,
            passage_number: candidate.passage,
            passage_range: passage.range(),
            score: if is_bounded { candidate.score.clamp(0.0, 1.0) } else { candidate.score },
            content: if with_content { Some(source.content(ordinal, None)?) } else { None },
            document: DocumentInfo::of(document, content_bytes),
        })
    }
}

impl Source {
    /// Leaves only rows of these documents.
    fn keep(&self, documents: &Mask, postings: &mut Vec<Posting>) {
        let mut ordinal = 0;
        postings.retain(|posting| {
            // They rise, so each is looked for behind the one before.
            ordinal = self.ordinal(posting.row, ordinal);
            documents.contains(ordinal)
        });
    }
}

/// Two lists as one, by the ranks in each.
fn by_ranks<'a>(lists: [Vec<Candidate<'a>>; 2], request: &SearchRequest<'_>) -> Vec<Candidate<'a>> {
    let first = 2.0 / (RANKS_FLATTENED + 1.0);
    let mut fused: HashMap<(&str, Option<u32>), Candidate<'_>> = HashMap::new();
    for list in lists {
        for (rank, candidate) in (1_u16..=u16::MAX).zip(list) {
            let share = 1.0 / (RANKS_FLATTENED + f32::from(rank)) / first;
            // Of a document the two lists may know different passages.
            let passage = (request.unit == Unit::Passages).then_some(candidate.passage);
            fused
                .entry((candidate.id, passage))
                .and_modify(|known| known.score += share)
                .or_insert(Candidate { score: share, ..candidate });
        }
    }
    let mut fused: Vec<_> = fused.into_values().collect();
    fused.sort_unstable();
    fused.truncate(request.k);
    fused
}

impl Partition {
    /// The live documents that agree best with a query, of those that the handle's caller may read, or their passages, with evidence of what was opened.
    pub fn search(&self, request: &SearchRequest<'_>) -> Result<SearchResponse, ReadError> {
        let spec = self.core.spec;
        if let Query::Vector(vector) | Query::Hybrid { vector, .. } = request.query {
            let expected = spec.dimension as usize;
            if vector.len() != expected {
                return Err(ReadError::Dimension { expected, found: vector.len() });
            }
        }
        // Words and ranks are shares of a whole, whatever the metric.
        let is_bounded = spec.metric != Metric::InnerProduct
            || matches!(request.query, Query::Words(_) | Query::Hybrid { fusion: Fusion::Ranks, .. });
        let eyes = self.eyes();
        self.attempt(|| {
            self.look(|view| {
                let sight = view.sight(eyes);
                let (candidates, exact) = view.best(spec.metric, request, &sight)?;
                let with_content = request.with_content;
                let hits = candidates.iter().map(|found| view.hit(found, with_content, is_bounded));
                Ok(SearchResponse {
                    hits: hits.collect::<Result<_, _>>()?,
                    trace: self.core.trace(view, &sight, exact),
                })
            })?
        })
    }
}

impl Core {
    fn trace(&self, view: &View, sight: &Sight<'_>, exact: bool) -> Trace {
        Trace {
            partitions_opened: vec![self.who().identity.partition.clone()],
            segments_opened: view.segment_count(),
            candidates: sight.documents,
            exact,
        }
    }
}
