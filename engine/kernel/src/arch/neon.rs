//! Sixteen lanes as four registers of NEON.

use core::arch::aarch64::{
    float32x4_t, vadd_f32, vaddq_f32, vdupq_n_f32, vget_high_f32, vget_lane_f32, vget_low_f32, vld1q_f32,
    vmulq_f32,
};
use std::arch::is_aarch64_feature_detected;

use super::lanes::{self, LANES, Lanes};

/// Proof that the CPU has NEON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    pub(crate) fn detect() -> Option<Neon> {
        is_aarch64_feature_detected!("neon").then_some(Neon(()))
    }

    pub(crate) fn dot_rows(self, query: &[f32], rows: &[f32], scores: &mut [f32]) {
        // SAFETY: `self` proves that the CPU has NEON.
        unsafe { dot_rows(query, rows, scores) }
    }
}

/// Four rows take sixteen registers of sums, of thirty-two that there are.
#[target_feature(enable = "neon")]
fn dot_rows(query: &[f32], rows: &[f32], scores: &mut [f32]) {
    // SAFETY: whoever could call this has NEON.
    unsafe { lanes::dot_rows::<Quarters, 4>(query, rows, scores) }
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
