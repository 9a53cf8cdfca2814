//! How is a partition searched?
//!
//! Every source is scanned with the mask of what the filter lets pass: by vectors, or by vectors and words (BM25 over the partition's
//! own live rows). One scan brings both together row by row, so nothing is missed that a list of candidates would cut off. How it
//! is searched by words alone is told in `by_words`.
//!
//! Several searches see one state of the partition, and each is answered as it would be alone. Those by vectors whose filters are
//! equal share the scan of what is scanned row by row: memtables, and segments without lists.

use super::scored::{Scored, Scoring};
use super::sight::Sight;
use super::view::{Rows, View};
use super::{Core, Fusion, Hit, Partition, Query, ReadError, SearchRequest, SearchResponse, Trace, Unit};
use crate::filter::Filter;
use crate::index::{Candidate, Nearest};
use crate::keyword::Terms;
use crate::nearness::admit;
use std::borrow::Cow;
use std::collections::HashMap;
use strongroom_format::record::Metric;
use strongroom_kernel::Mask;

/// Ranks are flattened by this many.
const RANKS_FLATTENED: f32 = 60.0;
/// Of each list this many are fused at least.
const RANKS_MIN: usize = 100;

/// So many searches share a scan: what each knows of a piece of rows fits into the processor's own cache beside these.
const TOGETHER: usize = 8;

/// How words are searched for: either answers the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// As far as postings matter.
    Pruned,
    /// All postings of all words.
    Whole,
}

/// The best documents or passages, best first, and whether they are surely the best.
type Best<'v> = (Vec<Candidate<'v>>, bool);

/// What rows are compared with.
struct Compared {
    metric: Metric,
    /// As it is compared.
    vector: Option<Vec<f32>>,
    /// For each source what its rows score by their words.
    words: Option<Vec<Vec<f32>>>,
}

/// A scan of rows, for the best `k` of them.
struct Scan<'a> {
    request: &'a SearchRequest<'a>,
    scoring: Scoring<'a>,
    k: usize,
}

impl Compared {
    fn with(metric: Metric, vector: Option<&[f32]>, words: Option<Vec<Vec<f32>>>) -> Result<Self, ReadError> {
        let admitted = |vector: &[f32]| {
            let mut vector = vector.to_vec();
            admit(metric, &mut vector).map(|()| vector)
        };
        Ok(Self { metric, vector: vector.map(admitted).transpose()?, words })
    }

    fn scan<'a>(&'a self, request: &'a SearchRequest<'_>, k: usize) -> Scan<'a> {
        let SearchRequest { similarity_min, ages, .. } = *request;
        let (vector, words) = (self.vector.as_deref(), self.words.as_deref());
        Scan { request, scoring: Scoring { metric: self.metric, vector, words, similarity_min, ages }, k }
    }
}

impl View {
    /// The best of each search.
    fn best_of_all(
        &self,
        metric: Metric,
        requests: &[SearchRequest<'_>],
        sight: &Sight<'_>,
        reading: Reading,
    ) -> Result<Vec<Best<'_>>, ReadError> {
        let mut best: Vec<Option<Best<'_>>> = requests.iter().map(|_| None).collect();
        for (request, best) in requests.iter().zip(&mut best) {
            if let Query::Hybrid { vector, words, fusion: Fusion::Sum } = request.query
                && reading == Reading::Pruned
                && !self.is_small()
            {
                let compared = Compared::with(metric, Some(vector), None)?;
                let scoring = compared.scan(request, request.k).scoring;
                let found = self.nearest_by_both(&Terms::of(words), &scoring, request, sight)?;
                *best = found.map(|found| (found, false));
            }
        }
        for (first, request) in requests.iter().enumerate() {
            if best[first].is_some() {
                continue;
            }
            if let Query::Words(_) | Query::Hybrid { fusion: Fusion::Ranks, .. } = request.query {
                best[first] = Some(self.best_by_words(metric, request, sight, reading)?);
                continue;
            }
            let alike = |at: &usize| best[*at].is_none() && requests[*at].shares_scan_with(request);
            let together: Vec<usize> = (first..requests.len()).filter(alike).take(TOGETHER).collect();
            let mut compared = Vec::with_capacity(together.len());
            for &at in &together {
                let (vector, words) = match requests[at].query {
                    Query::Vector(vector) => (Some(vector), None),
                    Query::Words(words) => (None, Some(words)),
                    Query::Hybrid { vector, words, .. } => (Some(vector), Some(words)),
                };
                let words = words.map(|words| self.word_scores(&Terms::of(words), sight)).transpose()?;
                compared.push(Compared::with(metric, vector, words)?);
            }
            let scans = together.iter().zip(&compared);
            let scans: Vec<_> =
                scans.map(|(&at, compared)| compared.scan(&requests[at], requests[at].k)).collect();
            for (at, found) in together.into_iter().zip(self.nearest(&scans, sight)?) {
                best[at] = Some(found);
            }
        }
        Ok(best.into_iter().flatten().collect())
    }

    /// The best by words alone, or by the ranks that documents have by words and by vectors.
    fn best_by_words(
        &self,
        metric: Metric,
        request: &SearchRequest<'_>,
        sight: &Sight<'_>,
        reading: Reading,
    ) -> Result<Best<'_>, ReadError> {
        let scan = |compared: Compared, k: usize| {
            let found = self.nearest(&[compared.scan(request, k)], sight)?.pop();
            Ok::<_, ReadError>(found.expect("the scan's"))
        };
        let by_words = |words: &str, k: usize| {
            let terms = Terms::of(words);
            match reading {
                Reading::Pruned if !self.is_small() => self.nearest_by_words(&terms, request, sight, k),
                _ => {
                    let words = self.word_scores(&terms, sight)?;
                    Ok(scan(Compared::with(metric, None, Some(words))?, k)?.0)
                }
            }
        };
        match request.query {
            Query::Words(words) => Ok((by_words(words, request.k)?, true)),
            Query::Vector(vector) => scan(Compared::with(metric, Some(vector), None)?, request.k),
            Query::Hybrid { vector, words, .. } => {
                let k = request.k.max(RANKS_MIN);
                let (by_vector, exact) = scan(Compared::with(metric, Some(vector), None)?, k)?;
                Ok((by_ranks([by_vector, by_words(words, k)?], request), exact))
            }
        }
    }

    /// What a filter lets pass of each source.
    pub(super) fn masks<'s>(
        &self,
        sight: &'s Sight<'_>,
        filter: &Filter,
    ) -> Result<Vec<Cow<'s, Mask>>, ReadError> {
        let sources = self.sources().iter().enumerate();
        sources.map(|(number, source)| self.mask(source, sight.of(number), filter)).collect()
    }

    /// Each source as it is scored.
    pub(super) fn scored<'v, 'a>(
        &'v self,
        scoring: &Scoring<'a>,
        masks: &'a [Cow<'_, Mask>],
    ) -> Result<Vec<Scored<'v, 'a>>, ReadError> {
        let mut scored = Vec::with_capacity(masks.len());
        for (number, (source, mask)) in self.sources().iter().zip(masks).enumerate() {
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

    /// What each of some scans finds, which all have the first one's filter, and compare vectors, or none does.
    fn nearest(&self, scans: &[Scan<'_>], sight: &Sight<'_>) -> Result<Vec<Best<'_>>, ReadError> {
        let Some(first) = scans.first() else { return Ok(Vec::new()) };
        let masks = self.masks(sight, first.request.filter)?;
        let mut scored = Vec::with_capacity(scans.len());
        for scan in scans {
            scored.push(self.scored(&scan.scoring, &masks)?);
        }
        let mut nearest: Vec<_> =
            scans.iter().map(|scan| (Nearest::new(scan.k, scan.request.unit), true)).collect();
        for number in 0..masks.len() {
            let (mut searches, mut rows) = (Vec::new(), Vec::new());
            for ((scan, scored), (nearest, exact)) in scans.iter().zip(&scored).zip(&mut nearest) {
                // Rows with most of the words may be in any list.
                let recall = scan.request.recall.filter(|_| scan.scoring.words.is_none());
                if let Some(recall) = recall
                    && scored[number].probe(number, (recall, scan.k), nearest)?
                {
                    *exact = false;
                } else {
                    searches.push(nearest);
                    rows.push(&scored[number]);
                }
            }
            Scored::look_together(number, &mut searches, &rows)?;
        }
        let mut all = Vec::with_capacity(scans.len());
        for ((scan, scored), (nearest, exact)) in scans.iter().zip(&scored).zip(nearest) {
            let mut best = nearest.finish(scored)?;
            best.iter_mut().for_each(|candidate| candidate.score = scan.scoring.told(candidate.score));
            all.push((best, exact));
        }
        Ok(all)
    }

    /// Asks memory for the records of candidates, before the first is read.
    fn ask_for(&self, candidates: &[Candidate<'_>]) {
        for (number, source) in self.sources().iter().enumerate() {
            if let Rows::Segment(segment) = &source.rows {
                let of_source = candidates.iter().filter(|candidate| candidate.source == number);
                segment.ask_for_infos(&of_source.map(|candidate| candidate.ordinal).collect::<Vec<_>>());
            }
        }
    }

    fn hit(&self, candidate: &Candidate<'_>, with_content: bool, is_bounded: bool) -> Result<Hit, ReadError> {
        let (source, ordinal) = (&self.sources()[candidate.source], candidate.ordinal);
        let (document, passage) = source.told(ordinal, candidate.passage)?;
        Ok(Hit {
            passage_range: passage.range(),
            passage: source.passage(ordinal, passage)?,
            passage_number: candidate.passage,
            score: if is_bounded { candidate.score.clamp(0.0, 1.0) } else { candidate.score },
            content: if with_content { Some(source.content(ordinal, None)?) } else { None },
            document,
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
        let found = self.search_all(std::slice::from_ref(request), reading)?.pop();
        Ok(found.expect("an answer for each request"))
    }

    /// What [`search`](Self::search) answers to each of these, all from one state of the partition. What is wrong with one fails
    /// them all.
    pub fn search_many(&self, requests: &[SearchRequest<'_>]) -> Result<Vec<SearchResponse>, ReadError> {
        self.search_all(requests, Reading::Pruned)
    }

    fn search_all(
        &self,
        requests: &[SearchRequest<'_>],
        reading: Reading,
    ) -> Result<Vec<SearchResponse>, ReadError> {
        let spec = self.core.spec;
        for request in requests {
            if let Query::Vector(vector) | Query::Hybrid { vector, .. } = request.query {
                let expected = spec.dimension as usize;
                if vector.len() != expected {
                    return Err(ReadError::Dimension { expected, found: vector.len() });
                }
            }
        }
        let eyes = self.eyes();
        self.attempt(|| {
            self.look(|view| {
                let sight = view.sight(eyes);
                let best = view.best_of_all(spec.metric, requests, &sight, reading)?;
                let answer = |(request, (candidates, exact)): (&SearchRequest<'_>, Best<'_>)| {
                    // Words and ranks are shares of a whole, whatever the metric.
                    let is_bounded = spec.metric != Metric::InnerProduct
                        || matches!(
                            request.query,
                            Query::Words(_) | Query::Hybrid { fusion: Fusion::Ranks, .. }
                        );
                    view.ask_for(&candidates);
                    // Hits are large: they are put where they stay.
                    let mut hits = Vec::with_capacity(candidates.len());
                    for found in &candidates {
                        hits.push(view.hit(found, request.with_content, is_bounded)?);
                    }
                    Ok(SearchResponse { hits, trace: self.core.trace(view, &sight, exact) })
                };
                requests.iter().zip(best).map(answer).collect()
            })?
        })
    }
}

impl SearchRequest<'_> {
    /// Whether both are compared with rows of the same documents.
    fn shares_scan_with(&self, other: &Self) -> bool {
        let scans = |request: &Self| {
            matches!(request.query, Query::Vector(_) | Query::Hybrid { fusion: Fusion::Sum, .. })
        };
        scans(self)
            && scans(other)
            && (std::ptr::eq(self.filter, other.filter) || self.filter == other.filter)
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
