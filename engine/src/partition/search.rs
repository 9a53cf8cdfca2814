//! How is a partition searched?
//!
//! Every source is scanned with the mask of what the filter lets pass: by vectors, or by vectors and words (BM25 over the partition's
//! own live rows). One scan brings both together row by row, so nothing is missed that a list of candidates would cut off. How it
//! is searched by words alone is told in `by_words`.

use super::scored::{Scored, Scoring};
use super::sight::Sight;
use super::view::View;
use super::{
    Core, DocumentInfo, Fusion, Hit, Partition, Query, ReadError, SearchRequest, SearchResponse, Trace, Unit,
};
use crate::index::{Candidate, Nearest};
use crate::keyword::Terms;
use crate::nearness::admit;
use std::collections::HashMap;
use strongroom_format::Damage;
use strongroom_format::record::Metric;

/// Ranks are flattened by this many.
const RANKS_FLATTENED: f32 = 60.0;
/// Of each list this many are fused at least.
const RANKS_MIN: usize = 100;

/// How words are searched for: either answers the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// As far as postings matter.
    Pruned,
    /// All postings of all words.
    Whole,
}

impl View {
    /// The best documents or passages, best first, and whether they are surely the best.
    fn best(
        &self,
        metric: Metric,
        request: &SearchRequest<'_>,
        sight: &Sight<'_>,
        reading: Reading,
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
        let terms = words.map(Terms::of);
        let SearchRequest { similarity_min, ages, .. } = *request;
        let scoring = Scoring { metric, vector: vector.as_deref(), words: None, similarity_min, ages };
        let by_words = |terms: &Terms, k: usize| match reading {
            Reading::Pruned if !self.is_small() => self.nearest_by_words(terms, request, sight, k),
            _ => {
                let words = self.word_scores(terms, sight)?;
                let scoring = Scoring { vector: None, words: Some(&words), ..scoring };
                Ok(self.nearest(&scoring, request, sight, k)?.0)
            }
        };
        match (request.query, &terms) {
            (Query::Words(_), Some(terms)) => Ok((by_words(terms, request.k)?, true)),
            (Query::Hybrid { fusion: Fusion::Ranks, .. }, Some(terms)) => {
                let k = request.k.max(RANKS_MIN);
                let (by_vector, exact) = self.nearest(&scoring, request, sight, k)?;
                Ok((by_ranks([by_vector, by_words(terms, k)?], request), exact))
            }
            (Query::Hybrid { .. }, Some(terms)) if reading == Reading::Pruned && !self.is_small() => {
                match self.nearest_by_both(terms, &scoring, request, sight)? {
                    Some(found) => Ok((found, false)),
                    None => self.best(metric, request, sight, Reading::Whole),
                }
            }
            (_, terms) => {
                let words = terms.as_ref().map(|terms| self.word_scores(terms, sight)).transpose()?;
                let scoring = Scoring { words: words.as_deref(), ..scoring };
                self.nearest(&scoring, request, sight, request.k)
            }
        }
    }

    fn nearest(
        &self,
        scoring: &Scoring<'_>,
        request: &SearchRequest<'_>,
        sight: &Sight<'_>,
        k: usize,
    ) -> Result<(Vec<Candidate<'_>>, bool), ReadError> {
        let scored = self.scored(scoring, request, sight)?;
        // Rows with most of the words may be in any list.
        let recall = request.recall.filter(|_| scoring.words.is_none());
        let mut nearest = Nearest::new(k, request.unit);
        let exact = self.look_into(&scored, recall, k, &mut nearest)?;
        let mut best = nearest.finish(&scored)?;
        best.iter_mut().for_each(|candidate| candidate.score = scoring.told(candidate.score));
        Ok((best, exact))
    }

    /// Each source as it is scored.
    pub(super) fn scored<'v, 'a>(
        &'v self,
        scoring: &Scoring<'a>,
        request: &SearchRequest<'_>,
        sight: &Sight<'_>,
    ) -> Result<Vec<Scored<'v, 'a>>, ReadError> {
        let mut scored = Vec::with_capacity(self.sources().len());
        for (number, source) in self.sources().iter().enumerate() {
            let mask = self.mask(source, sight.of(number), request.filter)?;
            scored.push(Scored::new(number, source, mask, scoring)?);
        }
        Ok(scored)
    }

    /// Looks at the rows of all sources, or into as many lists as the `k` nearest take at this recall; whether it was all rows.
    pub(super) fn look_into(
        &self,
        scored: &[Scored<'_, '_>],
        recall: Option<f32>,
        k: usize,
        nearest: &mut Nearest,
    ) -> Result<bool, ReadError> {
        let mut exact = true;
        for (number, scored) in scored.iter().enumerate() {
            if let Some(recall) = recall
                && scored.probe(number, (recall, k), nearest)?
            {
                exact = false;
            } else {
                scored.look(number, nearest)?;
            }
        }
        Ok(exact)
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
        self.search_reading(request, Reading::Pruned)
    }

    /// The same answer, from all postings of the query's words: what tests and benches hold searches against.
    #[doc(hidden)]
    pub fn search_whole(&self, request: &SearchRequest<'_>) -> Result<SearchResponse, ReadError> {
        self.search_reading(request, Reading::Whole)
    }

    fn search_reading(
        &self,
        request: &SearchRequest<'_>,
        reading: Reading,
    ) -> Result<SearchResponse, ReadError> {
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
                let (candidates, exact) = view.best(spec.metric, request, &sight, reading)?;
                // Hits are large: they are put where they stay.
                let mut hits = Vec::with_capacity(candidates.len());
                for found in &candidates {
                    hits.push(view.hit(found, request.with_content, is_bounded)?);
                }
                Ok(SearchResponse { hits, trace: self.core.trace(view, &sight, exact) })
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
