//! Sixteen lanes as four registers of NEON, and 16 bytes as one.

use core::arch::aarch64::{
    float32x4_t, int32x4_t, vadd_f32, vaddq_f32, vaddvq_s32, vdupq_n_f32, vdupq_n_s32, vget_high_f32,
    vget_lane_f32, vget_low_f32, vget_low_s8, vld1q_f32, vld1q_s8, vmull_high_s8, vmull_s8, vmulq_f32,
    vpadalq_s16, vsubq_f32,
};
use std::arch::is_aarch64_feature_detected;

use super::bytes::{self, BYTES, Bytes};
use super::lanes::{self, LANES, Lanes, Stored, Term};

/// Proof that the CPU has NEON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    pub(crate) fn detect() -> Option<Neon> {
        is_aarch64_feature_detected!("neon").then_some(Neon(()))
    }

    pub(crate) fn score_rows<T: Term, E: Stored>(self, query: &[f32], rows: &[E], scores: &mut [f32]) {
        // SAFETY: `self` proves that the CPU has NEON.
        unsafe { score_rows::<T, E>(query, rows, scores) }
    }

    pub(crate) fn dot_rows_i8(self, query: &[i8], rows: &[i8], scores: &mut [i32]) {
        // SAFETY: `self` proves that the CPU has NEON.
        unsafe { dot_rows_i8(query, rows, scores) }
    }
}

/// Four rows take sixteen registers of sums, of thirty-two that there are.
#[target_feature(enable = "neon")]
fn score_rows<T: Term, E: Stored>(query: &[f32], rows: &[E], scores: &mut [f32]) {
    // SAFETY: whoever could call this has NEON.
    unsafe { lanes::score_rows::<Quarters, T, E, 4>(query, rows, scores) }
}

#[target_feature(enable = "neon")]
fn dot_rows_i8(query: &[i8], rows: &[i8], scores: &mut [i32]) {
    // SAFETY: whoever could call this has NEON.
    unsafe { bytes::dot_rows::<Fours>(query, rows, scores) }
}

/// Lanes 0 to 3, 4 to 7, 8 to 11 and 12 to 15.
#[derive(Clone, Copy)]
struct Quarters([float32x4_t; 4]);

impl Lanes for Quarters {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has NEON.
        unsafe { Quarters([vdupq_n_f32(0.0); 4]) }
    }

    #[inline(always)]
    unsafe fn load(elements: &[f32; LANES]) -> Self {
        let first = elements.as_ptr();
        // SAFETY: the caller has NEON; 4 elements lie behind each of the four pointers.
        unsafe {
            let low = [vld1q_f32(first), vld1q_f32(first.add(4))];
            let high = [vld1q_f32(first.add(8)), vld1q_f32(first.add(12))];
            Quarters([low[0], low[1], high[0], high[1]])
        }
    }

    #[inline(always)]
    unsafe fn add_product(mut self, a: Self, b: Self) -> Self {
        for q in 0..4 {
            // SAFETY: the caller has NEON.
            self.0[q] = unsafe { vaddq_f32(self.0[q], vmulq_f32(a.0[q], b.0[q])) };
        }
        self
    }

    #[inline(always)]
    unsafe fn add_squared_difference(mut self, a: Self, b: Self) -> Self {
        for q in 0..4 {
            // SAFETY: the caller has NEON.
            unsafe {
                let difference = vsubq_f32(a.0[q], b.0[q]);
                self.0[q] = vaddq_f32(self.0[q], vmulq_f32(difference, difference));
            }
        }
        self
    }

    #[inline(always)]
    unsafe fn fold(self) -> f32 {
        let [a, b, c, d] = self.0;
        // SAFETY: the caller has NEON.
        unsafe {
            let four = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
            let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
            vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
        }
    }
}

/// Four sums of products of bytes.
#[derive(Clone, Copy)]
struct Fours(int32x4_t);

impl Bytes for Fours {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has NEON.
        unsafe { Fours(vdupq_n_s32(0)) }
    }

    #[inline(always)]
    unsafe fn add_products(mut self, query: &[i8; BYTES], row: &[i8; BYTES]) -> Self {
        let ((query, _), (row, _)) = (query.as_chunks::<16>(), row.as_chunks::<16>());
        for (query, row) in query.iter().zip(row) {
            // SAFETY: the caller has NEON; 16 bytes lie behind both pointers. A product of bytes fits into 16
            // bits.
            unsafe {
                let (query, row) = (vld1q_s8(query.as_ptr()), vld1q_s8(row.as_ptr()));
                self.0 = vpadalq_s16(self.0, vmull_s8(vget_low_s8(query), vget_low_s8(row)));
                self.0 = vpadalq_s16(self.0, vmull_high_s8(query, row));
            }
        }
        self
    }

    #[inline(always)]
    unsafe fn total(self) -> i32 {
        // SAFETY: the caller has NEON.
        unsafe { vaddvq_s32(self.0) }
    }
}
