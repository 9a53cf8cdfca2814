//! Which documents are nearest to a vector?
//!
//! The exact scan: every row of every document that the mask lets pass is scored by its inner product with
//! the query; a document counts with its best row. One [`Nearest`] collects over memtable and all segments,
//! so a threshold that one source raised spares work in the next.
//!
//! Invariants:
//! 1. What is answered does not depend on how rows are spread over sources: scores come from
//!    [`strongroom_kernel::dot_rows`], which is the same on every machine, and ties break by document id.
//! 2. At most `k` documents are kept, and exactly `min(k, documents offered)`.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;
use strongroom_kernel::Mask;

/// Rows that are scored by one call of the kernel.
const ROWS_TOGETHER: usize = 512;

/// A document that may be among the nearest.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<'a> {
    /// The best row's inner product with the query.
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

/// Worse is greater, so that a heap has the worst on top.
impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.id.cmp(other.id))
    }
}

/// The `k` nearest so far.
#[derive(Debug)]
pub struct Nearest<'a> {
    k: usize,
    score_min: f32,
    heap: BinaryHeap<Candidate<'a>>,
}

impl<'a> Nearest<'a> {
    /// Keeps `k` documents that score at least `score_min`.
    pub fn new(k: usize, score_min: f32) -> Self {
        Self { k, score_min, heap: BinaryHeap::with_capacity(k.min(1 << 10) + 1) }
    }

    fn offer(&mut self, candidate: Candidate<'a>) {
        if candidate.score < self.score_min {
            return;
        }
        if self.heap.len() < self.k {
            self.heap.push(candidate);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    /// Best first.
    pub fn into_sorted(self) -> Vec<Candidate<'a>> {
        self.heap.into_sorted_vec()
    }
}

/// A source's documents, as the scan needs them.
pub struct Documents<D, S> {
    /// The source's number.
    pub source: usize,
    /// How many documents there are.
    pub count: u32,
    /// A document's id, first row and number of rows.
    pub document: D,
    /// Scores these rows.
    pub score: S,
}

/// Scores the documents in the mask.
pub fn scan<'a, D, S, E>(documents: &Documents<D, S>, mask: &Mask, nearest: &mut Nearest<'a>) -> Result<(), E>
where
    D: Fn(u32) -> (&'a str, u32, u32),
    S: Fn(Range<u32>, &mut [f32]) -> Result<(), E>,
{
    let mut scores = vec![0.0; ROWS_TOGETHER];
    let mut ordinals = mask.iter().take_while(|&ordinal| ordinal < documents.count).peekable();
    while let Some(first) = ordinals.next() {
        // A run of documents that follow each other is scored by one call.
        let (_, start, count) = (documents.document)(first);
        let (mut last, mut end) = (first, (start + count) as usize);
        while let Some(&next) = ordinals.peek()
            && next == last + 1
            && end + (documents.document)(next).2 as usize - start as usize <= ROWS_TOGETHER
        {
            end += (documents.document)(next).2 as usize;
            last = next;
            ordinals.next();
        }
        let start = start as usize;
        if scores.len() < end - start {
            scores.resize(end - start, 0.0);
        }
        let scores = &mut scores[..end - start];
        (documents.score)(start as u32..end as u32, scores)?;
        for ordinal in first..=last {
            let (id, first_row, count) = (documents.document)(ordinal);
            let from = first_row as usize - start;
            let best = (0_u32..).zip(&scores[from..from + count as usize]);
            let best = best.reduce(|best, next| if next.1.total_cmp(best.1).is_gt() { next } else { best });
            if let Some((passage, &score)) = best {
                nearest.offer(Candidate { score, id, source: documents.source, ordinal, passage });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_kernel::dot_rows;

    const IDS: [&str; 5] = ["e", "d", "c", "b", "a"];

    fn search(k: usize, mask: &Mask) -> Vec<(String, f32)> {
        // Documents of 1, 2, 1, 0 and 1 rows.
        let vectors = [0.5, 0.0, 0.1, 0.0, 0.9, 0.0, 0.5, 0.0, 0.9, 0.0];
        let spans = [(0, 1), (1, 2), (3, 1), (4, 0), (4, 1)];
        let document = |ordinal: u32| {
            let (first, rows) = spans[ordinal as usize];
            (IDS[ordinal as usize], first, rows)
        };
        let score = |rows: Range<u32>, scores: &mut [f32]| {
            let vectors = &vectors[rows.start as usize * 2..rows.end as usize * 2];
            dot_rows(&[1.0, 0.0], vectors, scores);
            Ok::<_, std::convert::Infallible>(())
        };
        let mut nearest = Nearest::new(k, -1.0);
        let documents = Documents { source: 0, count: 5, document, score };
        scan(&documents, mask, &mut nearest).expect("memory");
        nearest.into_sorted().iter().map(|c| (c.id.to_owned(), c.score)).collect()
    }

    /// Without this, a page of results would change from call to call.
    #[test]
    fn best_first_and_ties_by_id() {
        let all: Mask = (0..5).collect();
        let expected = [("a", 0.9), ("d", 0.9), ("c", 0.5), ("e", 0.5)];
        let found = search(10, &all);
        assert_eq!(found.iter().map(|(id, score)| (id.as_str(), *score)).collect::<Vec<_>>(), expected);
        assert_eq!(search(3, &all), found[..3]);
        assert_eq!(search(1, &all), found[..1]);
    }

    /// Without this, a masked document would surface, or a mask would leave a search short.
    #[test]
    fn masked_documents_are_not_offered() {
        let found = search(10, &[0, 2, 3].into_iter().collect());
        assert_eq!(found.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["c", "e"]);
    }
}
