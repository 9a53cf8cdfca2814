//! How are rows of 4-bit codes scored, given products of nibbles with bytes?
//!
//! Sixteen at a time: what is done once for a row, totals and factors, is then done for all of them together where
//! registers are wide enough.

use super::ahead::{asked_along, fetch_along};
use crate::coded::{Bounds, Estimate, FACTOR_BYTES, NibbleQuery, row_factors};
use crate::reached::Reached;

/// Rows that are estimated together.
pub(super) const TOGETHER: usize = 16;

/// Rows whose sums are totalled together.
const TOTALLED: usize = 4;

/// Sums of products of nibbles with a query's bytes, spread over as many lanes as there are.
///
/// # Safety
/// Every method may only be called where the CPU has the implementation's instructions. All are inlined into the
/// one caller that is compiled with these instructions.
pub(super) trait Nibbles: Copy {
    unsafe fn zero() -> Self;
    /// Adds the products of 32 bytes with `high`, and 16 times those of their low nibbles with `low`.
    unsafe fn add_products(self, codes: &[u8; 32], low: &[i8; 32], high: &[i8; 32]) -> Self;
    /// The sum of each row's products.
    unsafe fn totals(rows: [Self; TOTALLED]) -> [i32; TOTALLED];

    /// Estimates rows, each as long as the query says, with its factors behind its codes.
    #[inline(always)]
    unsafe fn estimate<P: Sixteen>(query: &NibbleQuery, rows: &P) -> Estimates {
        let mut estimates = Estimates::NONE;
        for first in (0..TOGETHER).step_by(TOTALLED) {
            let mut each: [&[u8]; TOTALLED] = [&[]; TOTALLED];
            for (r, row) in each.iter_mut().enumerate() {
                *row = rows.row(first + r);
            }
            let codes = each.map(|row| row[..query.code_bytes].as_chunks::<32>().0);
            // SAFETY: as our own caller's promise.
            let totals = unsafe {
                let mut sums = [Self::zero(); TOTALLED];
                for (pair, integers) in query.integers.iter().enumerate() {
                    let ((low, _), (high, _)) = (integers.low.as_chunks(), integers.high.as_chunks());
                    for half in 0..2.min(query.code_bytes / 32 - 2 * pair) {
                        for r in 0..TOTALLED {
                            sums[r] =
                                sums[r].add_products(&codes[r][2 * pair + half], &low[half], &high[half]);
                        }
                    }
                }
                Self::totals(sums)
            };
            for r in 0..TOTALLED {
                let estimate = query.estimate(totals[r], row_factors(&each[r][query.code_bytes..]));
                (estimates.scores[first + r], estimates.errors[first + r]) = (estimate.score, estimate.error);
            }
        }
        estimates
    }

    /// Puts the numbers of those of sixteen rows that may score so much, rising from `first`, before others, and what they may
    /// score; how many.
    #[inline(always)]
    unsafe fn reaching(
        estimates: &Estimates,
        floor: f32,
        first: u32,
        numbers: &mut [u32; TOGETHER],
        bounds: &mut [Bounds; TOGETHER],
    ) -> usize {
        let mut count = 0;
        for (r, number) in (first..).take(TOGETHER).enumerate() {
            let row: Bounds = estimates.of(r);
            // No branch: which rows do can't be foreseen.
            (numbers[count], bounds[count]) = (number, row);
            count += usize::from(row.most >= floor);
        }
        count
    }
}

/// What sixteen rows score as their codes tell it, and what that may be off by.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Estimates {
    pub(super) scores: [f32; TOGETHER],
    pub(super) errors: [f32; TOGETHER],
}

impl Estimates {
    /// Of nothing.
    pub(super) const NONE: Self = Self { scores: [0.0; TOGETHER], errors: [0.0; TOGETHER] };

    /// What follows of that of one row.
    #[inline(always)]
    fn of<T: From<Estimate>>(&self, r: usize) -> T {
        T::from(Estimate { score: self.scores[r], error: self.errors[r] })
    }
}

/// Sixteen rows.
pub(super) trait Sixteen {
    /// Whether they lie one behind the other.
    const ALONG: bool;

    /// One of them.
    fn row(&self, r: usize) -> &[u8];
    /// Where it begins.
    fn start(&self, r: usize) -> *const u8;
    /// Whether each is no shorter than this.
    fn are_whole(&self, bytes: usize) -> bool;
}

/// Rows that lie anywhere.
impl Sixteen for [&[u8]; TOGETHER] {
    const ALONG: bool = false;

    #[inline(always)]
    fn row(&self, r: usize) -> &[u8] {
        self[r]
    }

    #[inline(always)]
    fn start(&self, r: usize) -> *const u8 {
        self[r].as_ptr()
    }

    #[inline(always)]
    fn are_whole(&self, bytes: usize) -> bool {
        let mut all = true;
        for row in self {
            all &= row.len() >= bytes;
        }
        all
    }
}

/// Rows that lie one behind the other.
struct Along<'a> {
    rows: &'a [u8],
    row_bytes: usize,
}

impl Sixteen for Along<'_> {
    const ALONG: bool = true;

    #[inline(always)]
    fn row(&self, r: usize) -> &[u8] {
        &self.rows[r * self.row_bytes..][..self.row_bytes]
    }

    #[inline(always)]
    fn start(&self, r: usize) -> *const u8 {
        self.rows.as_ptr().wrapping_add(r * self.row_bytes)
    }

    #[inline(always)]
    fn are_whole(&self, bytes: usize) -> bool {
        self.row_bytes >= bytes && self.rows.len() >= TOGETHER * self.row_bytes
    }
}

/// Estimates rows that lie one behind the other, and tells what follows of each.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn estimate_along<V: Nibbles, T: Copy + From<Estimate>>(
    query: &NibbleQuery,
    rows: &[u8],
    told: &mut [T],
) {
    let row_bytes = query.code_bytes + FACTOR_BYTES;
    let (whole, rest) = told.as_chunks_mut::<TOGETHER>();
    let mut groups = rows.chunks_exact(TOGETHER * row_bytes);
    let ahead = asked_along(TOGETHER * row_bytes);
    for (told, rows) in whole.iter_mut().zip(&mut groups) {
        fetch_along(rows.as_ptr().wrapping_add(rows.len()), ahead);
        // SAFETY: as our own caller's promise.
        let estimates = unsafe { V::estimate(query, &Along { rows, row_bytes }) };
        // A closure would be compiled without the instructions.
        for (r, told) in told.iter_mut().enumerate() {
            *told = estimates.of(r);
        }
    }
    let mut left = groups.remainder().chunks_exact(row_bytes);
    // SAFETY: as our own caller's promise.
    unsafe {
        estimate::<V, T>(
            query,
            |places| places.iter_mut().zip(&mut left).for_each(|(place, row)| *place = row),
            rest,
        );
    }
}

/// Puts those of some rows that lie one behind the other which may score so much behind what is there. `first` is the number
/// of the first row.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn reach_along<V: Nibbles>(
    query: &NibbleQuery,
    rows: &[u8],
    floor: f32,
    mut first: u32,
    reached: &mut Reached,
) {
    let row_bytes = query.code_bytes + FACTOR_BYTES;
    let mut groups = rows.chunks_exact(TOGETHER * row_bytes);
    let ahead = asked_along(TOGETHER * row_bytes);
    let mut count = reached.len();
    for rows in &mut groups {
        fetch_along(rows.as_ptr().wrapping_add(rows.len()), ahead);
        let (numbers, bounds) = reached.room(count);
        // SAFETY: as our own caller's promise.
        count += unsafe {
            let estimates = V::estimate(query, &Along { rows, row_bytes });
            V::reaching(&estimates, floor, first, numbers, bounds)
        };
        first += TOGETHER as u32;
    }
    let rest = groups.remainder();
    let mut told = [Bounds::NONE; TOGETHER];
    let told = &mut told[..rest.len() / row_bytes];
    // SAFETY: as our own caller's promise.
    unsafe { estimate_along::<V, Bounds>(query, rest, told) };
    let (numbers, bounds) = reached.room(count);
    let mut more = 0;
    for (number, row) in (first..).zip(told) {
        (numbers[more], bounds[more]) = (number, *row);
        more += usize::from(row.most >= floor);
    }
    reached.cut(count + more);
}

/// Estimates as many rows as there is room for, each as long as the query says, with its factors behind its codes, and tells
/// what follows of each. `next` puts the rows that come next into places.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn estimate<'a, V: Nibbles, T: Copy + From<Estimate>>(
    query: &NibbleQuery,
    mut next: impl FnMut(&mut [&'a [u8]]),
    told: &mut [T],
) {
    let (whole, rest) = told.as_chunks_mut::<TOGETHER>();
    let mut together: [&[u8]; TOGETHER] = [&[]; TOGETHER];
    for told in whole {
        next(&mut together);
        // SAFETY: as our own caller's promise.
        let estimates = unsafe { V::estimate(query, &together) };
        // A closure would be compiled without the instructions.
        for (r, told) in told.iter_mut().enumerate() {
            *told = estimates.of(r);
        }
    }
    if rest.is_empty() {
        return;
    }
    next(&mut together[..rest.len()]);
    // Places that are left over have a row that has its place already.
    let first = together[0];
    together[rest.len()..].fill(first);
    // SAFETY: as our own caller's promise.
    let last = unsafe { V::estimate(query, &together) };
    for (r, told) in rest.iter_mut().enumerate() {
        *told = last.of(r);
    }
}
