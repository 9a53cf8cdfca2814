//! Sixteen lanes as one register of AVX-512.

use core::arch::x86_64::{
    __m512, _mm256_add_ps, _mm256_castpd_ps, _mm512_add_ps, _mm512_castps_pd, _mm512_castps512_ps256,
    _mm512_extractf64x4_pd, _mm512_loadu_ps, _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_setzero_ps,
};

use super::avx2::fold_8;
use super::lanes::{self, LANES, Lanes};

/// Proof that the CPU has the foundation of AVX-512.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Avx512> {
        is_x86_feature_detected!("avx512f").then_some(Avx512(()))
    }

    pub(crate) fn dot_rows(self, query: &[f32], rows: &[f32], scores: &mut [f32]) {
        // SAFETY: `self` proves that the CPU has AVX-512.
        unsafe { dot_rows(query, rows, scores) }
    }
}

/// An addition takes four cycles and two may begin in each: eight rows keep the adders busy.
#[target_feature(enable = "avx512f")]
fn dot_rows(query: &[f32], rows: &[f32], scores: &mut [f32]) {
    // SAFETY: whoever could call this has AVX-512.
    unsafe { lanes::dot_rows::<__m512, 8>(query, rows, scores) }
}

impl Lanes for __m512 {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn load(elements: &[f32; LANES]) -> Self {
        // SAFETY: the caller has AVX-512; 16 elements lie behind the pointer; any alignment will do.
        unsafe { _mm512_loadu_ps(elements.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn load_part(elements: &[f32]) -> Self {
        assert!(elements.len() < LANES);
        let mask = (1 << elements.len()) - 1;
        // SAFETY: the caller has AVX-512; a masked load touches only the slice's own elements.
        unsafe { _mm512_maskz_loadu_ps(mask, elements.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe { _mm512_add_ps(self, _mm512_mul_ps(a, b)) }
    }

    #[inline(always)]
    unsafe fn fold(self) -> f32 {
        // SAFETY: the caller has AVX-512, and so AVX.
        unsafe {
            let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(self)));
            fold_8(_mm256_add_ps(_mm512_castps512_ps256(self), high))
        }
    }
}
