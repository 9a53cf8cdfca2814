//! Sixteen lanes as one register of AVX-512, and 64 bytes as one.

use core::arch::x86_64::{
    __m512, __m512i, _mm256_add_epi32, _mm256_add_ps, _mm256_castpd_ps, _mm256_loadu_si256, _mm512_add_ps,
    _mm512_castps_pd, _mm512_castps512_ps256, _mm512_castsi512_si256, _mm512_cvtph_ps, _mm512_dpbusd_epi32,
    _mm512_extractf64x4_pd, _mm512_extracti64x4_epi64, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_set1_epi8, _mm512_setzero_ps, _mm512_setzero_si512,
    _mm512_sub_ps, _mm512_xor_si512,
};

use super::avx2::{fold_8, total_8};
use super::bytes::{self, BYTES, Bytes};
use super::lanes::{self, LANES, Lanes, Stored, Term};

/// Proof that the CPU has AVX-512 with instructions for bytes and their products.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Avx512> {
        let bytes = is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni");
        (bytes && is_x86_feature_detected!("avx512f")).then_some(Avx512(()))
    }

    pub(crate) fn score_rows<T: Term, E: Stored>(self, query: &[f32], rows: &[E], scores: &mut [f32]) {
        // SAFETY: `self` proves that the CPU has AVX-512.
        unsafe { score_rows::<T, E>(query, rows, scores) }
    }

    pub(crate) fn dot_rows_i8(self, query: &[i8], rows: &[i8], scores: &mut [i32]) {
        // SAFETY: `self` proves that the CPU has AVX-512 with BW and VNNI.
        unsafe { dot_rows_i8(query, rows, scores) }
    }
}

/// An addition takes four cycles and two may begin in each: eight rows keep the adders busy.
#[target_feature(enable = "avx512f")]
fn score_rows<T: Term, E: Stored>(query: &[f32], rows: &[E], scores: &mut [f32]) {
    // SAFETY: whoever could call this has AVX-512.
    unsafe { lanes::score_rows::<__m512, T, E, 8>(query, rows, scores) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dot_rows_i8(query: &[i8], rows: &[i8], scores: &mut [i32]) {
    // SAFETY: whoever could call this has AVX-512 with BW and VNNI.
    unsafe { bytes::dot_rows::<Sixteens>(query, rows, scores) }
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
    unsafe fn add_squared_difference(self, a: Self, b: Self) -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe {
            let difference = _mm512_sub_ps(a, b);
            self.add_product(difference, difference)
        }
    }

    #[inline(always)]
    unsafe fn load_halves(elements: &[u16; LANES]) -> Self {
        // SAFETY: the caller has AVX-512; 16 halves, 32 bytes, lie behind the pointer.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(elements.as_ptr().cast())) }
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

/// Sixteen sums of products of bytes.
#[derive(Clone, Copy)]
struct Sixteens(__m512i);

impl Bytes for Sixteens {
    /// The instruction multiplies bytes without a sign by bytes with one. A flipped top bit makes a byte with
    /// a sign into one without, 128 greater.
    const ROW_OFFSET: i32 = 128;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe { Sixteens(_mm512_setzero_si512()) }
    }

    #[inline(always)]
    unsafe fn add_products(self, query: &[i8; BYTES], row: &[i8; BYTES]) -> Self {
        // SAFETY: the caller has AVX-512 with BW and VNNI; 64 bytes lie behind both pointers.
        unsafe {
            let query = _mm512_loadu_si512(query.as_ptr().cast());
            let row = _mm512_loadu_si512(row.as_ptr().cast());
            let raised = _mm512_xor_si512(row, _mm512_set1_epi8(i8::MIN));
            Sixteens(_mm512_dpbusd_epi32(self.0, raised, query))
        }
    }

    #[inline(always)]
    unsafe fn total(self) -> i32 {
        // SAFETY: the caller has AVX-512, and so AVX2.
        unsafe {
            let high = _mm512_extracti64x4_epi64::<1>(self.0);
            total_8(_mm256_add_epi32(_mm512_castsi512_si256(self.0), high))
        }
    }
}
