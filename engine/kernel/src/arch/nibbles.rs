//! How are rows of 4-bit codes scored, given products of nibbles with bytes?
//!
//! Sixteen at a time: what is done once for a row, totals and factors, is then done for all of them together where
//! registers are wide enough.

use crate::coded::{Estimate, NibbleQuery, row_factors};

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
    /// Adds the products of 64 nibbles: the low ones of all bytes, and the high ones.
    unsafe fn add_products(self, codes: &[u8; 32], low: &[i8; 32], high: &[i8; 32]) -> Self;
    /// The sum of each row's products.
    unsafe fn totals(rows: [Self; TOTALLED]) -> [i32; TOTALLED];

    /// Estimates rows, each as long as the query says, with its factors behind its codes.
    #[inline(always)]
    unsafe fn estimate(query: &NibbleQuery, rows: &[&[u8]; TOGETHER]) -> [Estimate; TOGETHER] {
        let mut estimates = [Estimate::default(); TOGETHER];
        let each = rows.as_chunks::<TOTALLED>().0.iter().zip(estimates.as_chunks_mut::<TOTALLED>().0);
        for (rows, estimates) in each {
            let codes = rows.map(|row| row[..query.code_bytes].as_chunks::<32>().0);
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
                estimates[r] = query.estimate(totals[r], row_factors(&rows[r][query.code_bytes..]));
            }
        }
        estimates
    }
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
        for r in 0..TOGETHER {
            told[r] = T::from(estimates[r]);
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
    for (told, estimate) in rest.iter_mut().zip(last) {
        *told = T::from(estimate);
    }
}
