//! How are the sign codes of a block scored, given a lookup of many nibbles at once?

use crate::coded::{Bar, BlockScores, Factors, SignQuery, TABLE_MAX, Tables, Weights};
use crate::mask::BLOCK_ROWS;

/// So many tables' entries for a byte of codes, two of each, add up to less than a byte holds.
pub(super) const TABLES_IN_BYTES: usize = u8::MAX as usize / (2 * TABLE_MAX as usize);
/// Tables after which sums of 16 bits would overflow: each adds up to four entries to a row.
const TABLES_MAX: usize = u16::MAX as usize / (4 * TABLE_MAX as usize);

/// Sums for each of 32 rows what tables say of the row's nibbles.
///
/// # Safety
/// The methods may only be called where the CPU has the implementation's instructions. They are inlined into the one
/// caller that is compiled with these instructions.
pub(super) trait Lookup {
    /// By `Q` queries' tables, of which there are as many as codes, and at most [`TABLES_MAX`].
    unsafe fn sums<const Q: usize>(codes: &[[u8; 64]], tables: [&[Tables]; Q]) -> [[u32; 32]; Q];

    /// Estimates all rows of a block, and says which reach a floor by that alone.
    #[inline(always)]
    unsafe fn reach(
        factors: &Factors<'_>,
        weights: &Weights,
        products: &[i32; BLOCK_ROWS],
        floor: f32,
        estimates: &mut [f32; BLOCK_ROWS],
    ) -> u32 {
        factors.reach(weights, products, floor, estimates)
    }
}

/// Scores a block by `Q` queries and says for each which rows may reach its bar. The block has the length that the
/// queries' tables say.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn score_block<V: Lookup, const Q: usize>(
    queries: [&SignQuery; Q],
    block: &[u8],
    bars: [Bar; Q],
    scores: &mut [BlockScores; Q],
) -> [u32; Q] {
    let count = queries[0].tables.len();
    let (codes, factors) = block.split_at(count * 64);
    let (codes, factors) = (codes.as_chunks::<64>().0, Factors::read(factors));
    let mut totals = [[0_u32; 32]; Q];
    for start in (0..count).step_by(TABLES_MAX) {
        let end = count.min(start + TABLES_MAX);
        // SAFETY: as our own caller's promise.
        let sums =
            unsafe { V::sums::<Q>(&codes[start..end], queries.map(|query| &query.tables[start..end])) };
        for q in 0..Q {
            for r in 0..32 {
                totals[q][r] += sums[q][r];
            }
        }
    }
    let mut survivors = [0; Q];
    for q in 0..Q {
        let products = totals[q].map(|total| 2 * total as i32 - queries[q].offset);
        let (weights, Bar { floor, caution }) = (&queries[q].weights, bars[q]);
        survivors[q] = if caution == 0.0 {
            // SAFETY: as our own caller's promise.
            unsafe { V::reach(&factors, weights, &products, floor, &mut scores[q].estimates) }
        } else {
            factors.judge(weights, &products, bars[q], &mut scores[q])
        };
    }
    survivors
}
