//! Sixteen lanes as an array, for a CPU that no other file knows.

use super::bytes::{self, BYTES, Bytes};
use super::lanes::{self, LANES, Lanes, Stored, Term};

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
