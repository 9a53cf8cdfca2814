//! How near is a row, judged by a few bits of each component, and how wrong can that be?
//!
//! A row is coded by what it differs from a centre (the mean of its partition or list). That difference `r` is
//! rotated, and each component `x` of its code is the nearest of two, four or sixteen odd numbers: ±1, to ±3, or to
//! ±15. Times the code's `scale` they are `r̂`, and `scale` is such that `r̂ - r` is perpendicular to `r`: then
//! the product of `r̂` and a query strays to both sides alike (RaBitQ, Gao and Long 2024, and its extension to
//! more bits, Gao et al. 2025).
//!
//! For a query `q` and a centre `c` both metrics come to a number for the query, one for the row and a product:
//!
//! - inner product: `q·o = q·c + c·r + (q - c)·r`
//! - distance: `-|q - o|² = -|q - c|² - |r|² + 2 (q - c)·r`
//!
//! A flat search goes: [`Variant::scan_signs`](crate::Variant::scan_signs) over all blocks, which keeps the rows
//! that may reach the bar → [`Variant::estimate_rows`](crate::Variant::estimate_rows) on these → the originals'
//! own scores for those whose estimate and error still reach it.
//!
//! Invariants:
//! 1. The error of an estimate is proven (`bounds`): the canonical score of the original, as `dot_rows` or the
//!    negated `squared_distance_rows` gives it, is never farther from the estimate. What can't be bounded, such as
//!    vectors beyond 2^56 in length or not finite, has the error infinity.
//! 2. Encoding gives the same bytes on every CPU, and an estimate the same bits.
//! 3. Bytes that no encoder wrote make scores meaningless, and nothing else.
//!
//! # Layout
//!
//! `D` is the length of a rotated vector, a multiple of 64; numbers are little-endian.
//!
//! A *block* has the sign codes of 32 rows, in one plane of signs, or in two up to [`TWO_PLANES_MAX`] components, where
//! `x` is twice the sign in the first and the one in the second. A plane is `32·D/8` bytes, of which byte `32·p + r` has
//! the signs of the components `8·p` to `8·p + 7` of row `r`, the lowest bit first, set for 1. So two planes are scanned
//! like one of twice as many components. Behind the planes are 32 pairs of scale and base, then 32 residuals, each number as the upper half of
//! an `f32` (`brief`): a search that grants no error reads up to the residuals, 7 % less at 384 components than if scale and base were whole.
//!
//! A *nibble row* has one row's 4-bit code: `D/2` bytes, of which byte `32·c + j` has component `64·c + j` in its low and
//! `64·c + 32 + j` in its high half, as `(x + 15) / 2`; then base, scale and residual as `f32`. The residual is no less than `|r̂ - r|`; the base is `c·r` or `-|r|²`.

mod bounds;
mod encode;
mod query;
mod scan;

pub use encode::Encoder;
pub use query::Query;

use crate::coded::{FACTOR_BYTES, PAIR_BYTES, RESIDUAL_BYTES, SIGN_FACTOR_BYTES};
use crate::mask::BLOCK_ROWS;
use crate::rotation::Rotation;
use crate::variant::{DIMENSION_MAX, Variant};

/// Rows of no more components have sign codes of two planes. The fewer components there are, the more an estimate by signs
/// alone strays: at 100 a search had to look again at seven times as many rows, and took a third longer. At 384 it took
/// less time than with two planes.
pub const TWO_PLANES_MAX: usize = 192;

/// What a collection calls near. The greater the score, the nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The score is the inner product; on vectors of length 1, the cosine.
    InnerProduct,
    /// The score is the squared Euclidean distance, negated.
    SquaredDistance,
}

impl Metric {
    /// The canonical scores of many rows, which lie one behind the other: [`dot_rows`](crate::dot_rows), or the negated
    /// [`squared_distance_rows`](crate::Variant::squared_distance_rows).
    ///
    /// # Panics
    /// When the rows are not as many as the scores.
    pub fn score_rows(self, query: &[f32], rows: &[f32], scores: &mut [f32]) {
        match self {
            Self::InnerProduct => Variant::best().dot_rows(query, rows, scores),
            Self::SquaredDistance => {
                Variant::best().squared_distance_rows(query, rows, scores);
                negate(scores);
            }
        }
    }

    /// The same of rows that lie anywhere. Those that come next are asked for from memory meanwhile.
    ///
    /// # Panics
    /// When the rows are not as many as the scores, or one is not as long as the query.
    pub fn score_each(self, query: &[f32], rows: &[&[f32]], scores: &mut [f32]) {
        match self {
            Self::InnerProduct => Variant::best().dot_each(query, rows, scores),
            Self::SquaredDistance => {
                Variant::best().squared_distance_each(query, rows, scores);
                negate(scores);
            }
        }
    }
}

/// Not by the sign: of nothing, that would be less than nothing.
fn negate(scores: &mut [f32]) {
    scores.iter_mut().for_each(|score| *score = 0.0 - *score);
}

/// What the rows of one partition or list are coded relative to.
#[derive(Debug, Clone)]
pub struct Centre {
    metric: Metric,
    vector: Vec<f32>,
    rotated: Vec<f32>,
    norm: f64,
    /// Whether rows are no longer than [`UNIT_MAX`](bounds::UNIT_MAX).
    is_of_units: bool,
}

impl Centre {
    /// A centre, best the mean of its rows. Any vector will do, zero too: estimates only get worse.
    ///
    /// # Panics
    /// When the rotation is one of another dimension, or of more than [`DIMENSION_MAX`].
    pub fn new(rotation: &Rotation, metric: Metric, vector: Vec<f32>) -> Self {
        assert!(vector.len() <= DIMENSION_MAX, "the sums of so many components fit into 32 bits");
        let mut rotated = vec![0.0; rotation.rotated_len()];
        rotation.rotate(&vector, &mut rotated);
        let norm = sum(&vector, &vector, |c, _| c * c).sqrt();
        Self { metric, vector, rotated, norm, is_of_units: false }
    }

    /// The same, of rows that were all [`normalize`](crate::normalize)d: by what a row and the centre have in common its
    /// distance from the centre is known, and errors are bounded more narrowly.
    #[must_use]
    pub fn of_units(self) -> Self {
        Self { is_of_units: true, ..self }
    }

    /// Components of each row.
    pub fn dimension(&self) -> usize {
        self.vector.len()
    }

    /// Planes of signs in a block.
    fn planes(&self) -> usize {
        if self.dimension() <= TWO_PLANES_MAX { 2 } else { 1 }
    }

    /// Bytes of the sign codes of [`BLOCK_ROWS`] rows.
    pub fn block_bytes(&self) -> usize {
        BLOCK_ROWS * (self.planes() * self.rotated.len() / 8 + SIGN_FACTOR_BYTES)
    }

    /// Bytes of one row's 4-bit code.
    pub fn nibble_row_bytes(&self) -> usize {
        self.rotated.len() / 2 + FACTOR_BYTES
    }

    /// Writes the sign code at a place of a block into a place of another block as well. Both are numbers among blocks that lie one behind the
    /// other, and there a block's place that is written has only zeros.
    ///
    /// # Panics
    /// When there are no such blocks, or a place is not below [`BLOCK_ROWS`].
    pub fn copy_signs(&self, blocks: &mut [u8], from: (usize, usize), to: (usize, usize)) {
        assert!(from.1 < BLOCK_ROWS && to.1 < BLOCK_ROWS, "places in blocks");
        let block_bytes = self.block_bytes();
        let codes = self.planes() * self.rotated.len() / 8;
        let mut copy = |column: usize, bytes: usize| {
            let at = |(block, place): (usize, usize)| block * block_bytes + column + place * bytes;
            blocks.copy_within(at(from)..at(from) + bytes, at(to));
        };
        (0..codes).for_each(|byte| copy(byte * BLOCK_ROWS, 1));
        copy(codes * BLOCK_ROWS, PAIR_BYTES);
        copy((codes + PAIR_BYTES) * BLOCK_ROWS, RESIDUAL_BYTES);
    }
}

/// A sum over pairs of components, in sixteen lanes: quick, and in one order.
#[inline(always)]
fn sum<A: Copy + Into<f64>, B: Copy + Into<f64>>(a: &[A], b: &[B], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut lanes = [0.0; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..16 {
            lanes[lane] += term(a[lane].into(), b[lane].into());
        }
    }
    for (lane, (&a, &b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *lane += term(a.into(), b.into());
    }
    lanes.iter().sum()
}
