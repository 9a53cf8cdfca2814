//! How are rows scored, given sixteen lanes?
//!
//! A sum waits for the sum before it, so one row at a time leaves the adders idle. `GROUP` rows are summed
//! side by side instead, each in lanes of its own: that changes the order of the instructions and not of
//! any row's additions. Many rows are likely to come from memory, which is read fastest in the order in which they lie, as fast as
//! one row can be summed after the other.

use super::ahead::{NEAR_BYTES, bytes_along, fetch_line};
use super::tiles::{ROWS, Step, Sums, Tile};
use crate::coded::Bounds;
use crate::half;

/// Elements that are summed side by side within a row.
pub(crate) const LANES: usize = 16;

/// Rows of so many bytes or fewer are scored in pairs when they come from memory; longer ones would be two streams of it.
const PAIRED_BYTES: usize = 512;

/// Sixteen `f32` beside each other.
///
/// # Safety
/// Every method may only be called where the CPU has the implementation's instructions. All are inlined into
/// the one caller that is compiled with these instructions.
pub(crate) trait Lanes: Copy {
    /// How bytes are multiplied.
    type Sums: Sums;

    unsafe fn zero() -> Self;
    unsafe fn load(elements: &[f32; LANES]) -> Self;
    /// Adds the products of two others, each product and sum rounded on its own.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    /// Adds the squares of the differences of two others, each difference, square and sum rounded on its own.
    unsafe fn add_squared_difference(self, a: Self, b: Self) -> Self;
    /// Folds the lanes in halves.
    unsafe fn fold(self) -> f32;

    /// Fewer than 16 elements, continued by zeros.
    #[inline(always)]
    unsafe fn load_part(elements: &[f32]) -> Self {
        let mut whole = [0.0; LANES];
        whole[..elements.len()].copy_from_slice(elements);
        // SAFETY: what this method asks of its caller is what `load` asks.
        unsafe { Self::load(&whole) }
    }

    /// Puts the numbers of those of sixteen rows that may score so much, rising from `first`, before others; how many.
    #[inline(always)]
    unsafe fn reaching(rows: &[Bounds; LANES], floor: f32, first: u32, numbers: &mut [u32; LANES]) -> usize {
        let mut count = 0;
        for (number, row) in (first..).zip(rows) {
            // No branch: which rows do can't be foreseen.
            numbers[count] = number;
            count += usize::from(row.most >= floor);
        }
        count
    }

    /// Sums and differences of components that lie 1, 2, 4 and 8 apart, one step after the other.
    #[inline(always)]
    unsafe fn hadamard(components: &mut [f32; LANES]) {
        // Eights stay in registers.
        for eight in components.as_chunks_mut::<8>().0 {
            let [a, b, c, d, e, f, g, h] = *eight;
            let [a, b, c, d, e, f, g, h] = [a + b, a - b, c + d, c - d, e + f, e - f, g + h, g - h];
            let [a, b, c, d, e, f, g, h] = [a + c, b + d, a - c, b - d, e + g, f + h, e - g, f - h];
            *eight = [a + e, b + f, c + g, d + h, a - e, b - f, c - g, d - h];
        }
        let (low, high) = components.split_at_mut(8);
        for (low, high) in low.iter_mut().zip(high) {
            (*low, *high) = (*low + *high, *low - *high);
        }
    }

    /// As [`multiply`](super::tiles::multiply), compiled by itself: among other code, its sums don't stay in registers.
    unsafe fn multiply(rows: [&[<Self::Sums as Sums>::Word]; ROWS], blocks: &[&[Step]], tile: &mut Tile);

    /// Sixteen halves, widened.
    #[inline(always)]
    unsafe fn load_halves(elements: &[u16; LANES]) -> Self {
        // SAFETY: what this method asks of its caller is what `load` asks.
        unsafe { Self::load(&elements.map(half::widen)) }
    }

    /// Fewer than 16 halves, continued by zeros.
    #[inline(always)]
    unsafe fn load_halves_part(elements: &[u16]) -> Self {
        let mut whole = [0; LANES];
        whole[..elements.len()].copy_from_slice(elements);
        // SAFETY: what this method asks of its caller is what `load_halves` asks.
        unsafe { Self::load_halves(&whole) }
    }
}

/// What a row's elements are stored as.
///
/// # Safety
/// Every method may only be called where the CPU has the instructions of `V`.
pub(crate) trait Stored: Copy {
    unsafe fn load<V: Lanes>(elements: &[Self; LANES]) -> V;
    /// Fewer than 16 elements, continued by zeros.
    unsafe fn load_part<V: Lanes>(elements: &[Self]) -> V;
}

impl Stored for f32 {
    #[inline(always)]
    unsafe fn load<V: Lanes>(elements: &[f32; LANES]) -> V {
        // SAFETY: as our own caller's promise.
        unsafe { V::load(elements) }
    }

    #[inline(always)]
    unsafe fn load_part<V: Lanes>(elements: &[f32]) -> V {
        // SAFETY: as our own caller's promise.
        unsafe { V::load_part(elements) }
    }
}

/// The bits of a half.
impl Stored for u16 {
    #[inline(always)]
    unsafe fn load<V: Lanes>(elements: &[u16; LANES]) -> V {
        // SAFETY: as our own caller's promise.
        unsafe { V::load_halves(elements) }
    }

    #[inline(always)]
    unsafe fn load_part<V: Lanes>(elements: &[u16]) -> V {
        // SAFETY: as our own caller's promise.
        unsafe { V::load_halves_part(elements) }
    }
}

/// What is summed over the components of two vectors.
///
/// # Safety
/// The method may only be called where the CPU has the instructions of `V`.
pub(crate) trait Term {
    unsafe fn add<V: Lanes>(sum: V, a: V, b: V) -> V;
}

/// Products: the sum is the dot product.
pub(crate) struct Product;

impl Term for Product {
    #[inline(always)]
    unsafe fn add<V: Lanes>(sum: V, a: V, b: V) -> V {
        // SAFETY: as our own caller's promise.
        unsafe { sum.add_product(a, b) }
    }
}

/// Squares of differences: the sum is the squared distance.
pub(crate) struct SquaredDifference;

impl Term for SquaredDifference {
    #[inline(always)]
    unsafe fn add<V: Lanes>(sum: V, a: V, b: V) -> V {
        // SAFETY: as our own caller's promise.
        unsafe { sum.add_squared_difference(a, b) }
    }
}

/// Scores all rows: those that are near `GROUP` at a time, and others in the order in which they lie, as memory is read fastest
/// so. The query is not empty; the lengths fit.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn score_rows<V: Lanes, T: Term, E: Stored, const GROUP: usize>(
    query: &[f32],
    rows: &[E],
    scores: &mut [f32],
) {
    // SAFETY: as our own caller's promise.
    unsafe {
        if size_of_val(rows) <= NEAR_BYTES {
            score_along::<V, T, E, GROUP, false>(query, rows, scores);
        } else if query.len() * size_of::<E>() > PAIRED_BYTES {
            score_along::<V, T, E, 1, true>(query, rows, scores);
        } else {
            score_along::<V, T, E, 2, true>(query, rows, scores);
        }
    }
}

/// Scores all rows, `GROUP` at a time and then one by one; `AHEAD`, asks for those that come next.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
unsafe fn score_along<V: Lanes, T: Term, E: Stored, const GROUP: usize, const AHEAD: bool>(
    query: &[f32],
    rows: &[E],
    scores: &mut [f32],
) {
    let ahead = if AHEAD { bytes_along() / size_of::<E>() } else { 0 };
    let (groups, rest) = scores.as_chunks_mut::<GROUP>();
    let (group_rows, rest_rows) = rows.split_at(groups.len() * GROUP * query.len());
    for (rows, scores) in group_rows.chunks_exact(GROUP * query.len()).zip(groups) {
        let mut these: [&[E]; GROUP] = [&[]; GROUP];
        let mut next = [rows.as_ptr(); GROUP];
        for (r, row) in rows.chunks_exact(query.len()).enumerate() {
            (these[r], next[r]) = (row, row.as_ptr().wrapping_add(ahead));
        }
        // SAFETY: as our own caller's promise.
        *scores = unsafe { score_group::<V, T, E, GROUP, AHEAD>(query, these, next) };
    }
    for (row, score) in rest_rows.chunks_exact(query.len()).zip(rest) {
        // SAFETY: as our own caller's promise.
        [*score] = unsafe { score_group::<V, T, E, 1, false>(query, [row], [row.as_ptr()]) };
    }
}

/// The same of rows that lie anywhere.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn score_each<V: Lanes, T: Term, E: Stored, const GROUP: usize>(
    query: &[f32],
    rows: &[&[E]],
    scores: &mut [f32],
) {
    let (groups, rest) = scores.as_chunks_mut::<GROUP>();
    let (group_rows, rest_rows) = rows.as_chunks::<GROUP>();
    for (g, (these, scores)) in group_rows.iter().zip(groups).enumerate() {
        // Some of the rows that come next, or else of these once more.
        let mut next = [these[0].as_ptr(); GROUP];
        let after = &rows[(g + 1) * GROUP..];
        for r in 0..GROUP {
            next[r] = after.get(r).unwrap_or(&these[r]).as_ptr();
        }
        // SAFETY: as our own caller's promise.
        *scores = unsafe { score_group::<V, T, E, GROUP, true>(query, *these, next) };
    }
    for (row, score) in rest_rows.iter().zip(rest) {
        // SAFETY: as our own caller's promise.
        [*score] = unsafe { score_group::<V, T, E, 1, false>(query, [row], [row.as_ptr()]) };
    }
}

/// Scores `GROUP` rows side by side; `AHEAD`, asks for the `next` ones.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
unsafe fn score_group<V: Lanes, T: Term, E: Stored, const GROUP: usize, const AHEAD: bool>(
    query: &[f32],
    rows: [&[E]; GROUP],
    next: [*const E; GROUP],
) -> [f32; GROUP] {
    let (chunks, tail) = query.as_chunks::<LANES>();
    let mut row_chunks: [&[[E; LANES]]; GROUP] = [&[]; GROUP];
    let mut row_tails: [&[E]; GROUP] = [&[]; GROUP];
    for r in 0..GROUP {
        (row_chunks[r], row_tails[r]) = rows[r].as_chunks::<LANES>();
        assert_eq!(row_chunks[r].len(), chunks.len());
    }
    let mut scores = [0.0; GROUP];
    // SAFETY: every call in here asks for the instructions that our caller promises.
    unsafe {
        let mut sums = [V::zero(); GROUP];
        for (i, chunk) in chunks.iter().enumerate() {
            let chunk = V::load(chunk);
            for r in 0..GROUP {
                if AHEAD {
                    fetch_line(next[r].wrapping_add(i * LANES));
                }
                sums[r] = T::add(sums[r], chunk, E::load(&row_chunks[r][i]));
            }
        }
        if !tail.is_empty() {
            let tail = V::load_part(tail);
            for r in 0..GROUP {
                sums[r] = T::add(sums[r], tail, E::load_part(row_tails[r]));
            }
        }
        for r in 0..GROUP {
            scores[r] = sums[r].fold();
        }
    }
    scores
}
