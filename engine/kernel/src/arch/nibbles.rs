//! How are rows of 4-bit codes scored, given products of nibbles with bytes?

use crate::coded::{Estimate, NibbleQuery, row_factors};

/// Rows that are scored side by side, so that their sums are totalled together.
const TOGETHER: usize = 4;

/// Sums of products of nibbles with a query's bytes, spread over as many lanes as there are.
///
/// # Safety
/// Every method may only be called where the CPU has the implementation's instructions. All are inlined into the
/// one caller that is compiled with these instructions.
pub(super) trait Nibbles: Copy {
    unsafe fn zero() -> Self;
    /// Adds the products of 64 nibbles: first the low ones of all bytes, then the high ones.
    unsafe fn add_products(self, codes: &[u8; 32], query: &[i8; 64]) -> Self;
    /// The sum of each row's products.
    unsafe fn totals(rows: [Self; TOGETHER]) -> [i32; TOGETHER];
}

/// Estimates rows, each as long as the query says, with its factors behind its codes.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn estimate<'a, V: Nibbles>(
    query: &NibbleQuery,
    mut rows: impl Iterator<Item = &'a [u8]>,
    estimates: &mut [Estimate],
) {
    let chunks = query.integers.len();
    for estimates in estimates.chunks_mut(TOGETHER) {
        let mut codes: [&[[u8; 32]]; TOGETHER] = [&[]; TOGETHER];
        let mut factors = [[0.0; 3]; TOGETHER];
        for (r, row) in rows.by_ref().take(estimates.len()).enumerate() {
            let (own, behind) = row.split_at(chunks * 32);
            (codes[r], factors[r]) = (own.as_chunks::<32>().0, row_factors(behind));
        }
        // SAFETY: every call in here asks for the instructions that our caller promises.
        let totals = unsafe {
            let mut sums = [V::zero(); TOGETHER];
            if estimates.len() == TOGETHER {
                let codes = codes.map(|codes| &codes[..chunks]);
                for (c, integers) in query.integers.iter().enumerate() {
                    for r in 0..TOGETHER {
                        sums[r] = sums[r].add_products(&codes[r][c], &integers.0);
                    }
                }
            } else {
                for (sum, codes) in sums.iter_mut().zip(codes) {
                    for (codes, integers) in codes.iter().zip(&query.integers) {
                        *sum = sum.add_products(codes, &integers.0);
                    }
                }
            }
            V::totals(sums)
        };
        for (r, estimate) in estimates.iter_mut().enumerate() {
            let product = 2 * totals[r] - query.offset;
            *estimate = query.weights.estimate(product as f32, factors[r]);
        }
    }
}

/// Estimates rows by several queries of one length: a code is unpacked once for all. For one query [`estimate`] is faster.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn estimate_together<'a, V: Nibbles, const Q: usize>(
    queries: [&NibbleQuery; Q],
    mut rows: impl Iterator<Item = &'a [u8]>,
    mut estimates: [&mut [Estimate]; Q],
) {
    let chunks = queries[0].integers.len();
    let integers = queries.map(|query| &query.integers[..chunks]);
    let count = estimates[0].len();
    for first in (0..count).step_by(TOGETHER) {
        let together = TOGETHER.min(count - first);
        let mut codes: [&[[u8; 32]]; TOGETHER] = [&[]; TOGETHER];
        let mut factors = [[0.0; 3]; TOGETHER];
        for (r, row) in rows.by_ref().take(together).enumerate() {
            let (own, behind) = row.split_at(chunks * 32);
            (codes[r], factors[r]) = (own.as_chunks::<32>().0, row_factors(behind));
        }
        // SAFETY: every call in here asks for the instructions that our caller promises.
        let totals = unsafe {
            let mut sums = [[V::zero(); TOGETHER]; Q];
            if together == TOGETHER {
                let codes = codes.map(|codes| &codes[..chunks]);
                for c in 0..chunks {
                    for r in 0..TOGETHER {
                        for q in 0..Q {
                            sums[q][r] = sums[q][r].add_products(&codes[r][c], &integers[q][c].0);
                        }
                    }
                }
            } else {
                for (sums, integers) in sums.iter_mut().zip(integers) {
                    for (sum, codes) in sums.iter_mut().zip(codes) {
                        for (codes, integers) in codes.iter().zip(integers) {
                            *sum = sum.add_products(codes, &integers.0);
                        }
                    }
                }
            }
            // Not by `map`: its closure would be compiled without the instructions.
            let mut totals = [[0; TOGETHER]; Q];
            for q in 0..Q {
                totals[q] = V::totals(sums[q]);
            }
            totals
        };
        for ((query, totals), estimates) in queries.iter().zip(totals).zip(&mut estimates) {
            for (r, estimate) in estimates[first..first + together].iter_mut().enumerate() {
                let product = 2 * totals[r] - query.offset;
                *estimate = query.weights.estimate(product as f32, factors[r]);
            }
        }
    }
}
