//! How are the sign codes of a block scored, given a lookup of many nibbles at once?

use super::ahead::{BYTES_AHEAD, NEAR_BYTES, bytes_along, fetch, fetch_line};
use crate::coded::{Bar, BlockScores, Factors, PAIR_BYTES, SignQuery, TABLE_MAX, Tables, Weights};
use crate::mask::BLOCK_ROWS;

/// So many tables' entries for a byte of codes, two of each, add up to less than a byte holds.
pub(super) const TABLES_IN_BYTES: usize = u8::MAX as usize / (2 * TABLE_MAX as usize);
/// Tables after which sums of 16 bits would overflow: each adds up to four entries to a row.
const TABLES_MAX: usize = u16::MAX as usize / (4 * TABLE_MAX as usize);

/// The factors that every scan reads, in pairs, take so many lines of memory; residuals come behind them.
const FACTOR_LINES: usize = BLOCK_ROWS * PAIR_BYTES / 64;

/// Sums for each of 32 rows what tables say of the row's nibbles.
///
/// # Safety
/// The methods may only be called where the CPU has the implementation's instructions. They are inlined into the one
/// caller that is compiled with these instructions.
pub(super) trait Lookup {
    /// By `Q` queries' tables, of which there are as many as codes, and at most [`TABLES_MAX`]. Codes that lie so much further
    /// are asked for from memory meanwhile.
    unsafe fn sums<const Q: usize>(
        codes: &[[u8; 64]],
        tables: [&[Tables]; Q],
        ahead: usize,
    ) -> [[u32; 32]; Q];

    /// Estimates all rows of a block, and says which reach a floor by that alone.
    #[inline(always)]
    unsafe fn reach(
        factors: &Factors<'_>,
        weights: (&Weights, i32),
        totals: &[u32; BLOCK_ROWS],
        floor: f32,
        estimates: &mut [f32; BLOCK_ROWS],
    ) -> u32 {
        factors.reach(weights, totals, floor, estimates)
    }
}

/// Scans blocks by `Q` queries and shows to `visit` which rows may reach a query's bar; the blocks have the length that the
/// queries' tables say.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn scan<V: Lookup, const Q: usize>(
    queries: [&SignQuery; Q],
    blocks: &Blocks<'_>,
    bars: &mut [Bar; Q],
    mut visit: impl FnMut(usize, usize, u32, &BlockScores) -> Bar,
) {
    let mut scores = [BlockScores::default(); Q];
    let blocks_ahead = blocks.ahead * blocks.block_bytes;
    let each = blocks.bytes.chunks_exact(blocks.block_bytes).zip(blocks.live);
    for (number, (block, &live)) in each.enumerate() {
        if live == 0 {
            continue;
        }
        let is_next_live = blocks.live.get(number + blocks.ahead).is_some_and(|&live| live != 0);
        let ahead = if is_next_live { blocks_ahead } else { 0 };
        // SAFETY: as our own caller's promise.
        let survivors = unsafe { score_block::<V, Q>(queries, block, ahead, bars, &mut scores) };
        for q in 0..Q {
            if survivors[q] & live != 0 {
                bars[q] = visit(q, number, survivors[q] & live, &scores[q]);
            }
        }
    }
}

/// Blocks of sign codes that lie one behind the other.
pub(crate) struct Blocks<'a> {
    bytes: &'a [u8],
    /// For each block a bit for each row that takes part.
    live: &'a [u32],
    block_bytes: usize,
    /// A block is asked for from memory when the one is scanned that is so many before it.
    ahead: usize,
}

impl<'a> Blocks<'a> {
    /// # Panics
    /// When the blocks are not whole and as many as the words.
    pub(crate) fn new(bytes: &'a [u8], live: &'a [u32], block_bytes: usize) -> Self {
        assert_eq!(
            Some(bytes.len()),
            live.len().checked_mul(block_bytes),
            "there is a word for each whole block"
        );
        // Where few follow each other, the CPU has no time to guess.
        let ahead = if bytes.len() > NEAR_BYTES { bytes_along() } else { BYTES_AHEAD };
        let ahead = ahead.div_ceil(block_bytes.max(1));
        bytes.chunks_exact(block_bytes).take(ahead).for_each(fetch);
        Self { bytes, live, block_bytes, ahead }
    }
}

/// Scores a block, and says for each query which rows may reach its bar.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
unsafe fn score_block<V: Lookup, const Q: usize>(
    queries: [&SignQuery; Q],
    block: &[u8],
    ahead: usize,
    bars: &[Bar; Q],
    scores: &mut [BlockScores; Q],
) -> [u32; Q] {
    let count = queries[0].tables.len();
    let (codes, factors) = block.split_at(count * 64);
    for line in 0..FACTOR_LINES {
        fetch_line(factors.as_ptr().wrapping_add(64 * line + ahead));
    }
    let codes = codes.as_chunks::<64>().0;
    // No closures here: what they call would not be compiled with the instructions.
    let first = count.min(TABLES_MAX);
    // SAFETY: as our own caller's promise.
    let mut totals =
        unsafe { V::sums::<Q>(&codes[..first], queries.map(|query| &query.tables[..first]), ahead) };
    for start in (first..count).step_by(TABLES_MAX) {
        let end = count.min(start + TABLES_MAX);
        // SAFETY: as our own caller's promise.
        let more = unsafe {
            V::sums::<Q>(&codes[start..end], queries.map(|query| &query.tables[start..end]), ahead)
        };
        for q in 0..Q {
            for r in 0..BLOCK_ROWS {
                totals[q][r] += more[q][r];
            }
        }
    }
    let factors = Factors::read(factors);
    let mut survivors = [0; Q];
    for q in 0..Q {
        let (totals, SignQuery { offset, weights, .. }) = (&totals[q], queries[q]);
        let Bar { floor, caution } = bars[q];
        survivors[q] = if caution == 0.0 {
            // SAFETY: as our own caller's promise.
            unsafe { V::reach(&factors, (weights, *offset), totals, floor, &mut scores[q].estimates) }
        } else {
            factors.judge((weights, *offset), totals, bars[q], &mut scores[q])
        };
    }
    survivors
}
