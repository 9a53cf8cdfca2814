//! How are rows of 4-bit codes scored, given products of nibbles with bytes?

use crate::codes::{Estimate, NibbleQuery, row_factors};

/// Sums of products of nibbles with the two parts of a query, spread over as many lanes as there are.
///
/// # Safety
/// Every method may only be called where the CPU has the implementation's instructions. All are inlined into the
/// one caller that is compiled with these instructions.
pub(super) trait Nibbles: Copy {
    unsafe fn zero() -> Self;
    /// Adds the products of 64 nibbles: first the low ones of all bytes, then the high ones.
    unsafe fn add_products(self, codes: &[u8; 32], high: &[i8; 64], low: &[i8; 64]) -> Self;
    /// The sums of products with the high parts and with the low.
    unsafe fn totals(self) -> (i32, i32);
}

/// Estimates the rows at these places; whole rows have `bytes`.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn estimate_places<V: Nibbles>(
    query: &NibbleQuery,
    rows: &[u8],
    bytes: usize,
    places: &[u32],
    estimates: &mut [Estimate],
) {
    for (&place, estimate) in places.iter().zip(estimates) {
        let (codes, factors) = rows[place as usize * bytes..][..bytes].split_at(query.parts.len() * 32);
        // SAFETY: as our own caller's promise.
        let (high, low) = unsafe {
            let mut sums = V::zero();
            for (codes, parts) in codes.as_chunks::<32>().0.iter().zip(&query.parts) {
                sums = sums.add_products(codes, &parts.high, &parts.low);
            }
            sums.totals()
        };
        let product = 2 * (128 * i64::from(high) + i64::from(low)) - query.offset;
        *estimate = query.weights.estimate(product as f32, row_factors(factors));
    }
}
