//! Sixteen lanes as two registers of AVX2, and 32 bytes as one.

use core::arch::x86_64::{
    __m128i, __m256, __m256i, _mm_add_epi32, _mm_add_ps, _mm_add_ss, _mm_cvtsi128_si32, _mm_cvtss_f32,
    _mm_loadu_si128, _mm_movehl_ps, _mm_shuffle_epi32, _mm_shuffle_ps, _mm256_add_epi8, _mm256_add_epi16,
    _mm256_add_epi32, _mm256_add_ps, _mm256_and_si256, _mm256_castps256_ps128, _mm256_castsi256_si128,
    _mm256_cvtepi8_epi16, _mm256_cvtph_ps, _mm256_extractf128_ps, _mm256_extracti128_si256, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_maskload_ps, _mm256_mul_ps,
    _mm256_set1_epi8, _mm256_set1_epi16, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi16, _mm256_srli_epi16, _mm256_storeu_si256, _mm256_sub_epi16, _mm256_sub_ps,
};

use super::bytes::{self, BYTES, Bytes};
use super::lanes::{self, LANES, Lanes, Stored, Term};
use super::nibbles::{self, Nibbles};
use super::signs::{self, Lookup};
use crate::codes::{Bar, BlockScores, Estimate, NibbleQuery, SignQuery, Tables};

/// Proof that the CPU has AVX2, and the conversion of halves that came before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Avx2> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c")).then_some(Avx2(()))
    }

    pub(crate) fn score_rows<T: Term, E: Stored>(self, query: &[f32], rows: &[E], scores: &mut [f32]) {
        // SAFETY: `self` proves that the CPU has AVX2 and F16C.
        unsafe { score_rows::<T, E>(query, rows, scores) }
    }

    pub(crate) fn dot_rows_i8(self, query: &[i8], rows: &[i8], scores: &mut [i32]) {
        // SAFETY: `self` proves that the CPU has AVX2.
        unsafe { dot_rows_i8(query, rows, scores) }
    }

    pub(crate) fn score_block<const Q: usize>(
        self,
        queries: [&SignQuery; Q],
        block: &[u8],
        bars: [Bar; Q],
        scores: &mut [BlockScores; Q],
    ) -> [u32; Q] {
        // SAFETY: `self` proves that the CPU has AVX2.
        unsafe { score_block(queries, block, bars, scores) }
    }

    pub(crate) fn estimate_places(
        self,
        query: &NibbleQuery,
        rows: &[u8],
        bytes: usize,
        places: &[u32],
        estimates: &mut [Estimate],
    ) {
        // SAFETY: `self` proves that the CPU has AVX2.
        unsafe { estimate_places(query, rows, bytes, places, estimates) }
    }
}

/// Four rows take eight registers of sums, of sixteen that there are.
#[target_feature(enable = "avx2,f16c")]
fn score_rows<T: Term, E: Stored>(query: &[f32], rows: &[E], scores: &mut [f32]) {
    // SAFETY: whoever could call this has AVX2 and F16C.
    unsafe { lanes::score_rows::<Halves, T, E, 4>(query, rows, scores) }
}

#[target_feature(enable = "avx2")]
fn dot_rows_i8(query: &[i8], rows: &[i8], scores: &mut [i32]) {
    // SAFETY: whoever could call this has AVX2.
    unsafe { bytes::dot_rows::<Eights>(query, rows, scores) }
}

#[target_feature(enable = "avx2")]
fn score_block<const Q: usize>(
    queries: [&SignQuery; Q],
    block: &[u8],
    bars: [Bar; Q],
    scores: &mut [BlockScores; Q],
) -> [u32; Q] {
    // SAFETY: whoever could call this has AVX2.
    unsafe { signs::score_block::<Eightfold, Q>(queries, block, bars, scores) }
}

#[target_feature(enable = "avx2")]
fn estimate_places(
    query: &NibbleQuery,
    rows: &[u8],
    bytes: usize,
    places: &[u32],
    estimates: &mut [Estimate],
) {
    // SAFETY: whoever could call this has AVX2.
    unsafe { nibbles::estimate_places::<Eightfold>(query, rows, bytes, places, estimates) }
}

/// Lanes 0 to 7 and lanes 8 to 15.
#[derive(Clone, Copy)]
struct Halves(__m256, __m256);

/// Set for the first 16, clear for the next 16: read from `16 - n` on, it is set for `n`.
static MASKS: [i32; 2 * LANES] = {
    let mut masks = [0; 2 * LANES];
    let mut lane = 0;
    while lane < LANES {
        masks[lane] = -1;
        lane += 1;
    }
    masks
};

impl Lanes for Halves {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX2.
        unsafe { Halves(_mm256_setzero_ps(), _mm256_setzero_ps()) }
    }

    #[inline(always)]
    unsafe fn load(elements: &[f32; LANES]) -> Self {
        let first = elements.as_ptr();
        // SAFETY: the caller has AVX2; 8 elements lie behind each of both pointers; any alignment will do.
        unsafe { Halves(_mm256_loadu_ps(first), _mm256_loadu_ps(first.add(8))) }
    }

    #[inline(always)]
    unsafe fn load_part(elements: &[f32]) -> Self {
        let masks = &MASKS[LANES - elements.len()..][..LANES];
        let first = elements.as_ptr();
        // SAFETY: the caller has AVX2; there are 16 masks, 8 behind each pointer; of the elements a masked
        // load touches only those whose mask is set, which are the slice's own.
        unsafe {
            let low = _mm256_loadu_si256(masks.as_ptr().cast());
            let high = _mm256_loadu_si256(masks.as_ptr().add(8).cast());
            Halves(_mm256_maskload_ps(first, low), _mm256_maskload_ps(first.wrapping_add(8), high))
        }
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        // SAFETY: the caller has AVX2.
        unsafe {
            Halves(
                _mm256_add_ps(self.0, _mm256_mul_ps(a.0, b.0)),
                _mm256_add_ps(self.1, _mm256_mul_ps(a.1, b.1)),
            )
        }
    }

    #[inline(always)]
    unsafe fn add_squared_difference(self, a: Self, b: Self) -> Self {
        // SAFETY: the caller has AVX2.
        unsafe {
            let difference = Halves(_mm256_sub_ps(a.0, b.0), _mm256_sub_ps(a.1, b.1));
            self.add_product(difference, difference)
        }
    }

    #[inline(always)]
    unsafe fn load_halves(elements: &[u16; LANES]) -> Self {
        let first = elements.as_ptr().cast::<__m128i>();
        // SAFETY: the caller has AVX2 and F16C; 8 halves, 16 bytes, lie behind each of both pointers.
        unsafe {
            let high = _mm_loadu_si128(first.add(1));
            Halves(_mm256_cvtph_ps(_mm_loadu_si128(first)), _mm256_cvtph_ps(high))
        }
    }

    #[inline(always)]
    unsafe fn fold(self) -> f32 {
        // SAFETY: the caller has AVX2.
        unsafe { fold_8(_mm256_add_ps(self.0, self.1)) }
    }
}

/// Folds the last eight lanes.
///
/// # Safety
/// The CPU has AVX.
#[inline(always)]
pub(super) unsafe fn fold_8(lanes: __m256) -> f32 {
    // SAFETY: the caller has AVX.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }
}

/// Eight sums of products of bytes.
#[derive(Clone, Copy)]
struct Eights(__m256i);

impl Bytes for Eights {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX2.
        unsafe { Eights(_mm256_setzero_si256()) }
    }

    #[inline(always)]
    unsafe fn add_products(mut self, query: &[i8; BYTES], row: &[i8; BYTES]) -> Self {
        let ((query, _), (row, _)) = (query.as_chunks::<16>(), row.as_chunks::<16>());
        for (query, row) in query.iter().zip(row) {
            // SAFETY: the caller has AVX2; 16 bytes lie behind each pointer. A sum of two products of bytes
            // fits into 32 bits.
            unsafe {
                let query = _mm256_cvtepi8_epi16(_mm_loadu_si128(query.as_ptr().cast()));
                let row = _mm256_cvtepi8_epi16(_mm_loadu_si128(row.as_ptr().cast()));
                self.0 = _mm256_add_epi32(self.0, _mm256_madd_epi16(query, row));
            }
        }
        self
    }

    #[inline(always)]
    unsafe fn total(self) -> i32 {
        // SAFETY: the caller has AVX2.
        unsafe { total_8(self.0) }
    }
}

/// The sum of eight integers.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
pub(super) unsafe fn total_8(lanes: __m256i) -> i32 {
    // SAFETY: the caller has AVX2.
    unsafe {
        let four = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256::<1>(lanes));
        let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b1110>(four));
        _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b01>(two)))
    }
}

/// Eight sums with the high parts and eight with the low.
#[derive(Clone, Copy)]
struct Eightfold(__m256i, __m256i);

impl Lookup for Eightfold {
    #[inline(always)]
    unsafe fn sums<const Q: usize>(codes: &[[u8; 64]], tables: [&[Tables]; Q]) -> [[u32; 32]; Q] {
        // SAFETY: the caller has AVX2; 32 bytes lie behind every pointer that is read.
        unsafe {
            let nibble = _mm256_set1_epi8(15);
            // Sums of 16 bits of both bytes in them, and of the high byte alone.
            let mut pairs = [_mm256_setzero_si256(); Q];
            let mut highs = [_mm256_setzero_si256(); Q];
            for (i, codes) in codes.iter().enumerate() {
                for half in [0, 32] {
                    let codes = _mm256_loadu_si256(codes[half..][..32].as_ptr().cast());
                    let low = _mm256_and_si256(codes, nibble);
                    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibble);
                    for q in 0..Q {
                        let tables = &tables[q][i];
                        let of_low = _mm256_loadu_si256(tables.low[half..][..32].as_ptr().cast());
                        let of_high = _mm256_loadu_si256(tables.high[half..][..32].as_ptr().cast());
                        let entries = _mm256_add_epi8(
                            _mm256_shuffle_epi8(of_low, low),
                            _mm256_shuffle_epi8(of_high, high),
                        );
                        pairs[q] = _mm256_add_epi16(pairs[q], entries);
                        highs[q] = _mm256_add_epi16(highs[q], _mm256_srli_epi16::<8>(entries));
                    }
                }
            }
            let mut sums = [[0; 32]; Q];
            for q in 0..Q {
                let lows = _mm256_sub_epi16(pairs[q], _mm256_slli_epi16::<8>(highs[q]));
                let (mut even, mut odd) = ([0_u16; 16], [0_u16; 16]);
                _mm256_storeu_si256(even.as_mut_ptr().cast(), lows);
                _mm256_storeu_si256(odd.as_mut_ptr().cast(), highs[q]);
                for i in 0..16 {
                    sums[q][2 * i] = u32::from(even[i]);
                    sums[q][2 * i + 1] = u32::from(odd[i]);
                }
            }
            sums
        }
    }
}

impl Nibbles for Eightfold {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX2.
        unsafe { Eightfold(_mm256_setzero_si256(), _mm256_setzero_si256()) }
    }

    #[inline(always)]
    unsafe fn add_products(self, codes: &[u8; 32], high: &[i8; 64], low: &[i8; 64]) -> Self {
        // SAFETY: the caller has AVX2; 32 and twice 64 bytes lie behind the pointers. Two products of a nibble
        // and a part of at most 64 fit into 16 bits.
        unsafe {
            let nibble = _mm256_set1_epi8(15);
            let codes = _mm256_loadu_si256(codes.as_ptr().cast());
            let first = _mm256_and_si256(codes, nibble);
            let second = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibble);
            let product = |part: &[i8; 64]| {
                let part = part.as_ptr().cast::<__m256i>();
                let first = _mm256_maddubs_epi16(first, _mm256_loadu_si256(part));
                let second = _mm256_maddubs_epi16(second, _mm256_loadu_si256(part.add(1)));
                _mm256_madd_epi16(_mm256_add_epi16(first, second), _mm256_set1_epi16(1))
            };
            Eightfold(_mm256_add_epi32(self.0, product(high)), _mm256_add_epi32(self.1, product(low)))
        }
    }

    #[inline(always)]
    unsafe fn totals(self) -> (i32, i32) {
        // SAFETY: the caller has AVX2.
        unsafe { (total_8(self.0), total_8(self.1)) }
    }
}
