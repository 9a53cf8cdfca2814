//! What do rows score by their codes, and which of them may still reach the bar?

use super::{FACTOR_BYTES, Query};
use crate::{BLOCK_ROWS, Variant};

/// A row's score as its code tells it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Estimate {
    /// The estimate.
    pub score: f32,
    /// The canonical score of the original is at most so far from it. Infinite where nothing is known.
    pub error: f32,
}

/// The estimates of a block's rows. Those of rows that take no part mean nothing.
#[derive(Debug, Clone, Copy)]
pub struct BlockScores {
    /// For each row the estimate.
    pub estimates: [f32; BLOCK_ROWS],
    /// For each row what it may be off by, as in [`Estimate`].
    pub errors: [f32; BLOCK_ROWS],
}

impl Default for BlockScores {
    fn default() -> Self {
        Self { estimates: [0.0; BLOCK_ROWS], errors: [0.0; BLOCK_ROWS] }
    }
}

/// What a row has to reach: it stays unless `estimate + caution · error` is below the floor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// The score to reach, such as the k-th best so far.
    pub floor: f32,
    /// The share of the error that is granted. With 1 no row is lost whose own score reaches the floor. Errors
    /// of rotated vectors are spread like those of chance, about `1 / sqrt(dimension)` of the bound: three times
    /// that loses about one row in a thousand.
    pub caution: f32,
}

/// What a query's sums and a row's factors are weighed by; see `bounds`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weights {
    pub constant: f32,
    pub unit: f32,
    pub residual: f32,
    pub scale: f32,
    pub base: f32,
    pub error: f32,
}

/// The factors of a block's rows.
pub(crate) struct Factors<'a> {
    bases: &'a [[u8; 4]],
    scales: &'a [[u8; 4]],
    residuals: &'a [[u8; 4]],
}

impl Weights {
    /// The estimate of a row whose code has this product with the query's integers. One order on every CPU.
    #[inline(always)]
    pub(crate) fn estimate(&self, product: f32, [base, scale, residual]: [f32; 3]) -> Estimate {
        Estimate {
            score: (self.constant + base) + scale * (self.unit * product),
            error: (residual * self.residual + scale * self.scale) + (base.abs() * self.base + self.error),
        }
    }
}

impl<'a> Factors<'a> {
    /// What is written behind the codes of a block.
    #[inline(always)]
    pub(crate) fn read(bytes: &'a [u8]) -> Self {
        let (numbers, _) = bytes.as_chunks::<4>();
        let (bases, rest) = numbers.split_at(BLOCK_ROWS);
        let (scales, residuals) = rest.split_at(BLOCK_ROWS);
        Self { bases, scales, residuals: &residuals[..BLOCK_ROWS] }
    }

    /// Estimates all rows, and says which may reach the bar.
    #[inline(always)]
    pub(crate) fn judge(
        &self,
        weights: &Weights,
        products: &[i32; 32],
        bar: Bar,
        scores: &mut BlockScores,
    ) -> u32 {
        let mut stays = [0_u32; BLOCK_ROWS];
        for r in 0..BLOCK_ROWS {
            let row = [self.bases[r], self.scales[r], self.residuals[r]].map(f32::from_le_bytes);
            let estimate = weights.estimate(products[r] as f32, row);
            scores.estimates[r] = estimate.score;
            scores.errors[r] = estimate.error;
            // What can't be compared is not below, and stays.
            let below = estimate.score + bar.caution * estimate.error < bar.floor;
            stays[r] = u32::from(!below) << r;
        }
        stays.iter().fold(0, |all, bit| all | bit)
    }
}

impl Variant {
    /// Scans the sign codes of many blocks by several queries about one centre, in one pass, and shows to `visit`
    /// which rows may reach a query's bar: the query's number, the block's, a bit for each such row, and the
    /// block's scores. `visit` answers the query's bar from then on. Blocks without such rows are not shown.
    ///
    /// `live` has a word for each block: only rows whose bit is set take part, and a block without any is never
    /// read.
    ///
    /// # Panics
    /// When the blocks are not whole and as many as the words, the bars not as many as the queries, or the queries
    /// about centres of different length.
    pub fn scan_signs(
        self,
        queries: &[&Query],
        blocks: &[u8],
        live: &[u32],
        bars: &mut [Bar],
        mut visit: impl FnMut(usize, usize, u32, &BlockScores) -> Bar,
    ) {
        let Some(first) = queries.first() else { return };
        let bytes = first.block_bytes;
        assert!(
            queries.iter().all(|query| query.block_bytes == bytes),
            "queries about centres of one length"
        );
        assert_eq!(bars.len(), queries.len(), "each query has a bar");
        assert_eq!(Some(blocks.len()), live.len().checked_mul(bytes), "there is a word for each whole block");
        let mut scores = [BlockScores::default(); TOGETHER];
        for (number, (block, &word)) in blocks.chunks_exact(bytes).zip(live).enumerate() {
            if word == 0 {
                continue;
            }
            let groups = queries.chunks(TOGETHER).zip(bars.chunks_mut(TOGETHER));
            for (group, (queries, bars)) in groups.enumerate() {
                let survivors = self.score_block(queries, block, bars, &mut scores);
                for (q, bar) in bars.iter_mut().enumerate() {
                    if survivors[q] & word != 0 {
                        *bar = visit(group * TOGETHER + q, number, survivors[q] & word, &scores[q]);
                    }
                }
            }
        }
    }

    /// Estimates the rows at these places by their 4-bit codes, in the places' order.
    ///
    /// # Panics
    /// When a place is outside of the rows, the rows are not whole, or there are not as many estimates as places.
    pub fn estimate_rows(self, query: &Query, rows: &[u8], places: &[u32], estimates: &mut [Estimate]) {
        let bytes = query.nibble_row_bytes;
        assert!(rows.len().is_multiple_of(bytes), "whole nibble rows");
        assert_eq!(places.len(), estimates.len(), "an estimate for each place");
        self.estimate_places(&query.nibbles, rows, bytes, places, estimates);
    }
}

/// Queries that share the reading of a block.
pub(crate) const TOGETHER: usize = 4;

/// The factors behind a nibble row's codes.
#[inline(always)]
pub(crate) fn row_factors(bytes: &[u8]) -> [f32; 3] {
    let (numbers, _) = bytes[..FACTOR_BYTES].as_chunks::<4>();
    [numbers[0], numbers[1], numbers[2]].map(f32::from_le_bytes)
}
