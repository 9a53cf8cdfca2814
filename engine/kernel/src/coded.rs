//! What does a kernel of codes read of a query and of a row, and what does it answer?

use crate::brief;
use crate::mask::BLOCK_ROWS;

/// Bytes of the three `f32` that go with a 4-bit code.
pub(crate) const FACTOR_BYTES: usize = 12;

/// Bytes of the scale and the base of a sign code, which lie in one word.
pub(crate) const PAIR_BYTES: usize = 4;
/// Bytes of its residual.
pub(crate) const RESIDUAL_BYTES: usize = 2;
/// Bytes of the three numbers that go with a sign code.
pub(crate) const SIGN_FACTOR_BYTES: usize = PAIR_BYTES + RESIDUAL_BYTES;

/// Queries that share the reading of a block.
pub(crate) const TOGETHER: usize = 4;

/// A row's score as its code tells it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct Estimate {
    /// The estimate.
    pub score: f32,
    /// The canonical score of the original is at most so far from it. Infinite where nothing is known.
    pub error: f32,
}

/// What a row scores at least and at most; equal where its score is known.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct Bounds {
    /// At least.
    pub least: f32,
    /// At most.
    pub most: f32,
}

impl Bounds {
    /// Of a row that takes no part.
    pub const NONE: Bounds = Bounds::exact(f32::NEG_INFINITY);

    /// Of a score that is known.
    pub const fn exact(score: f32) -> Self {
        Self { least: score, most: score }
    }
}

impl From<Estimate> for f32 {
    #[inline(always)]
    fn from(estimate: Estimate) -> Self {
        estimate.score
    }
}

impl From<Estimate> for Bounds {
    #[inline(always)]
    fn from(Estimate { score, error }: Estimate) -> Self {
        Self { least: score - error, most: score + error }
    }
}

/// The estimates of a block's rows. Those of rows that take no part mean nothing, and neither do errors that were not asked for.
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
    /// that loses about one row in a thousand. With 0 errors are not asked for, and what they are made of is not read.
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

/// The factors of a block's rows, each the upper half of an `f32` (`brief`).
pub(crate) struct Factors<'a> {
    /// The scale in the lower half of each word, the base in the upper: one instruction takes either out of it.
    pub pairs: &'a [[u8; PAIR_BYTES]; BLOCK_ROWS],
    residuals: &'a [[u8; RESIDUAL_BYTES]; BLOCK_ROWS],
}

impl Weights {
    /// The score of that estimate.
    #[inline(always)]
    fn score(&self, product: f32, base: f32, scale: f32) -> f32 {
        (self.constant + base) + scale * (self.unit * product)
    }

    /// The estimate of a row whose code has this product with the query's integers. One order on every CPU.
    #[inline(always)]
    pub(crate) fn estimate(&self, product: f32, [base, scale, residual]: [f32; 3]) -> Estimate {
        Estimate {
            score: self.score(product, base, scale),
            error: (residual * self.residual + scale * self.scale) + (base.abs() * self.base + self.error),
        }
    }
}

impl<'a> Factors<'a> {
    /// What is written behind the codes of a block.
    #[inline(always)]
    pub(crate) fn read(bytes: &'a [u8]) -> Self {
        let (pairs, residuals) = bytes.split_at(PAIR_BYTES * BLOCK_ROWS);
        let (pairs, residuals) = (pairs.as_chunks().0.as_chunks().0, residuals.as_chunks().0.as_chunks().0);
        Self { pairs: &pairs[0], residuals: &residuals[0] }
    }

    /// A row's base and scale.
    #[inline(always)]
    fn pair(&self, row: usize) -> [f32; 2] {
        let pair = u32::from_le_bytes(self.pairs[row]);
        [f32::from_bits(pair & brief::UPPER), f32::from_bits(pair << brief::LOWER_BITS)]
    }

    /// Estimates all rows, and says which reach the floor by that alone.
    #[inline(always)]
    pub(crate) fn reach(
        &self,
        (weights, offset): (&Weights, i32),
        totals: &[u32; BLOCK_ROWS],
        floor: f32,
        estimates: &mut [f32; BLOCK_ROWS],
    ) -> u32 {
        let mut stays = 0;
        for r in 0..BLOCK_ROWS {
            let [base, scale] = self.pair(r);
            estimates[r] = weights.score(product(totals[r], offset), base, scale);
            // What can't be compared is not below, and stays.
            let below = estimates[r] < floor;
            stays |= u32::from(!below) << r;
        }
        stays
    }

    /// Estimates all rows, and says which may reach the bar.
    #[inline(always)]
    pub(crate) fn judge(
        &self,
        (weights, offset): (&Weights, i32),
        totals: &[u32; BLOCK_ROWS],
        bar: Bar,
        scores: &mut BlockScores,
    ) -> u32 {
        let mut stays = [0_u32; BLOCK_ROWS];
        for r in 0..BLOCK_ROWS {
            let ([base, scale], residual) =
                (self.pair(r), brief::widen(u16::from_le_bytes(self.residuals[r])));
            let estimate = weights.estimate(product(totals[r], offset), [base, scale, residual]);
            scores.estimates[r] = estimate.score;
            scores.errors[r] = estimate.error;
            // What can't be compared is not below, and stays.
            let below = estimate.score + bar.caution * estimate.error < bar.floor;
            stays[r] = u32::from(!below) << r;
        }
        stays.iter().fold(0, |all, bit| all | bit)
    }
}

/// What a row's code and the query's integers come to, if table entries add up to so much.
#[inline(always)]
fn product(total: u32, offset: i32) -> f32 {
    (2 * total.cast_signed() - offset) as f32
}

/// The query for sign codes.
#[derive(Debug)]
pub(crate) struct SignQuery {
    /// For each 16 signs of a row.
    pub tables: Vec<Tables>,
    /// The sum of the integers' magnitudes: what two times a sum of table entries is more than the product.
    pub offset: i32,
    pub weights: Weights,
}

/// No entry of a table is greater.
pub(crate) const TABLE_MAX: u8 = 63;

/// What each nibble of two neighbouring code bytes adds to a row's sum. Four tables of 16 entries, each twice:
/// a register may hold 16, 32 or all of the bytes of both.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Tables {
    /// By the low nibbles: the first byte's table twice, then the second's.
    pub low: [u8; 64],
    /// By the high nibbles.
    pub high: [u8; 64],
}

/// Integers in bytes, which instructions multiply by 64 bytes of codes: 16 times the query's component for a high nibble `h` is
/// `16·high`, and for the low nibble `l` of the same byte `16·low + high`. The sum of `16·low·l` and `high·(16·h + l)` is then 16
/// times the product, and one of the two factors is the byte as it is.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Integers {
    /// By the low nibbles, 16 times.
    pub low: [i8; 64],
    /// By whole bytes.
    pub high: [i8; 64],
}

/// The query for 4-bit codes.
#[derive(Debug)]
pub(crate) struct NibbleQuery {
    /// For each 128 components; behind the last there are zeros.
    pub integers: Vec<Integers>,
    /// How long a row's code is, a multiple of 32.
    pub code_bytes: usize,
    pub lengths: Lengths,
    /// The sum of 16 times the components, times 15: what two times a sum over nibbles is more than 16 times the product.
    pub offset: i32,
    pub weights: Weights,
}

/// How long a row's code is at most, as far as its base tells, and what that weighs; see `bounds`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lengths {
    /// What the square of a row's length comes to without its base; infinite where the base doesn't tell.
    pub squared: f32,
    /// How often the base counts.
    pub base: f32,
    /// What is multiplied by the length.
    pub weight: f32,
}

impl NibbleQuery {
    /// The estimate of a row whose nibbles have 16 times this product with the query's components. One order on every CPU.
    #[inline(always)]
    pub(crate) fn estimate(&self, total: i32, factors: [f32; 3]) -> Estimate {
        // The difference fits into 32 bits, and twice the total may not.
        let product = total.wrapping_mul(2).wrapping_sub(self.offset) as f32;
        let Self { weights, lengths, .. } = self;
        let [base, scale, residual] = factors;
        // The longest code that there is, or as long as the row is; whichever is less.
        let (longest, squared) = (scale * weights.scale, lengths.squared(base, residual));
        let own = squared.sqrt() * lengths.weight;
        let of_code = if own < longest { own } else { longest };
        Estimate {
            score: (weights.constant + base) + scale * (weights.unit * product),
            error: (residual * weights.residual + of_code) + (base.abs() * weights.base + weights.error),
        }
    }
}

impl Lengths {
    #[inline(always)]
    pub(crate) fn squared(&self, base: f32, residual: f32) -> f32 {
        let squared = (self.squared + self.base * base) + residual * residual;
        if squared > 0.0 { squared } else { 0.0 }
    }
}

/// The factors behind a nibble row's codes.
#[inline(always)]
pub(crate) fn row_factors(bytes: &[u8]) -> [f32; 3] {
    let (numbers, _) = bytes[..FACTOR_BYTES].as_chunks::<4>();
    [numbers[0], numbers[1], numbers[2]].map(f32::from_le_bytes)
}
