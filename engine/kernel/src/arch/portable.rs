//! Sixteen lanes as an array, for a CPU that no other file knows.

use super::lanes::{self, LANES, Lanes};

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
    unsafe fn fold(mut self) -> f32 {
        for half in [8, 4, 2, 1] {
            for l in 0..half {
                self[l] += self[l + half];
            }
        }
        self[0]
    }
}

pub(crate) fn dot_rows(query: &[f32], rows: &[f32], scores: &mut [f32]) {
    // SAFETY: the array's methods need no instruction beyond those that every CPU of the target has.
    unsafe { lanes::dot_rows::<[f32; LANES], 1>(query, rows, scores) }
}
