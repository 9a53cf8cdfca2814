//! How are many rows scored in one pass, by several queries, and only those that take part?
//!
//! Rows come from memory once for all queries: blocks of [`BLOCK_ROWS`] rows stay in the cache while one query
//! after the other is scored on them. Which rows take part says one word for each block, a bit for each row.
//!
//! Invariants:
//! 1. A score has the bits that the same row gets alone by the same query.
//! 2. Scores of rows that take no part are left as they were, and such rows are never read.

use crate::mask::BLOCK_ROWS;
use crate::variant::Variant;

/// A measure of how near a row is, together with what rows are stored as.
pub trait Measure {
    /// A query's element.
    type Query;
    /// A stored row's element.
    type Element;
    /// A score.
    type Score;

    /// Scores all rows, with one kernel.
    fn rows(variant: Variant, query: &[Self::Query], rows: &[Self::Element], scores: &mut [Self::Score]);
}

/// [`Variant::dot_rows`].
#[derive(Debug)]
pub struct Dot;
/// [`Variant::dot_rows_f16`].
#[derive(Debug)]
pub struct DotF16;
/// [`Variant::dot_rows_i8`].
#[derive(Debug)]
pub struct DotI8;
/// [`Variant::squared_distance_rows`].
#[derive(Debug)]
pub struct SquaredDistance;

macro_rules! measure {
    ($measure:ident, $kernel:ident, $query:ty, $element:ty, $score:ty) => {
        impl Measure for $measure {
            type Query = $query;
            type Element = $element;
            type Score = $score;

            fn rows(variant: Variant, query: &[$query], rows: &[$element], scores: &mut [$score]) {
                variant.$kernel(query, rows, scores);
            }
        }
    };
}

measure!(Dot, dot_rows, f32, f32, f32);
measure!(DotF16, dot_rows_f16, f32, u16, f32);
measure!(DotI8, dot_rows_i8, i8, i8, i32);
measure!(SquaredDistance, squared_distance_rows, f32, f32, f32);

impl Variant {
    /// Scores the rows that take part by each of the queries, in one pass. `live` has a word for each block of
    /// [`BLOCK_ROWS`] rows, the lowest bit for the first; the scores of the first query for all rows come first.
    ///
    /// ```
    /// use strongroom_kernel::{Dot, Variant};
    /// let mut scores = [0.0; 4];
    /// Variant::best().scan::<Dot>(&[&[1.0], &[2.0]], &[5.0, 7.0], &[0b10], &mut scores);
    /// assert_eq!(scores, [0.0, 7.0, 0.0, 14.0]);
    /// ```
    ///
    /// # Panics
    /// When the lengths don't fit each other.
    pub fn scan<M: Measure>(
        self,
        queries: &[&[M::Query]],
        rows: &[M::Element],
        live: &[u32],
        scores: &mut [M::Score],
    ) {
        let Some(first) = queries.first() else {
            assert!(scores.is_empty(), "there are scores for no other queries");
            return;
        };
        let dimension = first.len();
        let count = scores.len() / queries.len();
        assert!(queries.iter().all(|query| query.len() == dimension), "all queries have one dimension");
        assert_eq!(scores.len(), count * queries.len(), "each query has a score for each row");
        assert_eq!(
            Some(rows.len()),
            count.checked_mul(dimension),
            "there are as many rows as scores of a query"
        );
        assert_eq!(live.len(), count.div_ceil(BLOCK_ROWS), "there is a word for each block");
        for (block, &word) in live.iter().enumerate() {
            let start = block * BLOCK_ROWS;
            for (query, scores) in queries.iter().zip(scores.chunks_exact_mut(count)) {
                for (from, to) in runs(word, BLOCK_ROWS.min(count - start)) {
                    let rows = &rows[(start + from) * dimension..(start + to) * dimension];
                    M::rows(self, query, rows, &mut scores[start + from..start + to]);
                }
            }
        }
    }
}

/// The runs of bits that are set among the first `bits` of a word, each from its first to behind its last.
fn runs(word: u32, bits: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut rest = u64::from(word) & ((1 << bits) - 1);
    std::iter::from_fn(move || {
        let from = rest.trailing_zeros();
        let length = rest.checked_shr(from)?.trailing_ones();
        rest &= !(((1 << length) - 1) << from);
        Some((from as usize, (from + length) as usize))
    })
}
