//! Sixteen lanes as an array, for a CPU that no other file knows.

use super::bytes::{self, BYTES, Bytes};
use super::lanes::{self, LANES, Lanes, Stored, Term};
use super::nibbles::{self, Nibbles};
use super::signs::{self, Lookup};
use crate::codes::{Bar, BlockScores, Estimate, NibbleQuery, SignQuery, Tables};

/// What every CPU of the target has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

impl Portable {
    pub(crate) fn score_rows<T: Term, E: Stored>(self, query: &[f32], rows: &[E], scores: &mut [f32]) {
        // SAFETY: the array's methods need no instruction beyond those that every CPU of the target has.
        unsafe { lanes::score_rows::<[f32; LANES], T, E, 1>(query, rows, scores) }
    }

    pub(crate) fn dot_rows_i8(self, query: &[i8], rows: &[i8], scores: &mut [i32]) {
        // SAFETY: as above.
        unsafe { bytes::dot_rows::<i32>(query, rows, scores) }
    }

    pub(crate) fn score_block<const Q: usize>(
        self,
        queries: [&SignQuery; Q],
        block: &[u8],
        bars: [Bar; Q],
        scores: &mut [BlockScores; Q],
    ) -> [u32; Q] {
        // SAFETY: as above.
        unsafe { signs::score_block::<[i32; 2], Q>(queries, block, bars, scores) }
    }

    pub(crate) fn estimate_places(
        self,
        query: &NibbleQuery,
        rows: &[u8],
        bytes: usize,
        places: &[u32],
        estimates: &mut [Estimate],
    ) {
        // SAFETY: as above.
        unsafe { nibbles::estimate_places::<[i32; 2]>(query, rows, bytes, places, estimates) }
    }
}

impl Lanes for [f32; LANES] {
    #[inline(always)]
    unsafe fn zero() -> Self {
        [0.0; LANES]
    }

    #[inline(always)]
    unsafe fn load(elements: &[f32; LANES]) -> Self {
        *elements
    }

    #[inline(always)]
    unsafe fn add_product(mut self, a: Self, b: Self) -> Self {
        for l in 0..LANES {
            self[l] += a[l] * b[l];
        }
        self
    }

    #[inline(always)]
    unsafe fn add_squared_difference(mut self, a: Self, b: Self) -> Self {
        for l in 0..LANES {
            let difference = a[l] - b[l];
            self[l] += difference * difference;
        }
        self
    }

    #[inline(always)]
    unsafe fn fold(mut self) -> f32 {
        for half in [8, 4, 2, 1] {
            for l in 0..half {
                self[l] += self[l + half];
            }
        }
        self[0]
    }
}

impl Bytes for i32 {
    #[inline(always)]
    unsafe fn zero() -> Self {
        0
    }

    #[inline(always)]
    unsafe fn add_products(self, query: &[i8; BYTES], row: &[i8; BYTES]) -> Self {
        self + query.iter().zip(row).map(|(&q, &r)| i32::from(q) * i32::from(r)).sum::<i32>()
    }

    #[inline(always)]
    unsafe fn total(self) -> i32 {
        self
    }
}

impl Lookup for [i32; 2] {
    #[inline(always)]
    unsafe fn sums<const Q: usize>(codes: &[[u8; 64]], tables: [&[Tables]; Q]) -> [[u32; 32]; Q] {
        let mut sums = [[0; 32]; Q];
        for (sums, tables) in sums.iter_mut().zip(tables) {
            for (codes, tables) in codes.iter().zip(tables) {
                for (byte, &code) in codes.iter().enumerate() {
                    let (low, high) = (usize::from(code & 15), usize::from(code >> 4));
                    let table = byte / 32 * 32;
                    sums[byte % 32] +=
                        u32::from(tables.low[table + low]) + u32::from(tables.high[table + high]);
                }
            }
        }
        sums
    }
}

/// The sums with the high parts and with the low.
impl Nibbles for [i32; 2] {
    #[inline(always)]
    unsafe fn zero() -> Self {
        [0; 2]
    }

    #[inline(always)]
    unsafe fn add_products(self, codes: &[u8; 32], high: &[i8; 64], low: &[i8; 64]) -> Self {
        let product = |part: &[i8; 64]| {
            let (first, second) = part.split_at(32);
            let pairs = codes.iter().zip(first.iter().zip(second));
            pairs
                .map(|(&c, (&f, &s))| i32::from(c & 15) * i32::from(f) + i32::from(c >> 4) * i32::from(s))
                .sum::<i32>()
        };
        [self[0] + product(high), self[1] + product(low)]
    }

    #[inline(always)]
    unsafe fn totals(self) -> (i32, i32) {
        (self[0], self[1])
    }
}
