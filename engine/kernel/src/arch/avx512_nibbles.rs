//! How are sixteen rows of 4-bit codes estimated together with AVX-512?
//!
//! The bytes of a row's codes are multiplied whole, and once more with their low nibbles alone. What is left to do once for a
//! row, which was half of the work, is done for sixteen side by side: totals by sums of pairs of registers, factors as columns,
//! and the estimate as the portable one, operation by operation.

use core::arch::x86_64::{
    __m512, __m512i, _CMP_GE_OQ, _mm_loadu_si128, _mm256_add_epi32, _mm256_loadu_si256, _mm256_setzero_si256,
    _mm512_abs_ps, _mm512_add_epi32, _mm512_add_ps, _mm512_castsi128_si512, _mm512_castsi512_ps,
    _mm512_castsi512_si256, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32,
    _mm512_extracti64x4_epi64, _mm512_gf2p8affine_epi64_epi8, _mm512_inserti32x4, _mm512_load_ps,
    _mm512_load_si512, _mm512_loadu_si512, _mm512_maskz_compress_epi32, _mm512_maskz_compress_ps,
    _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_permutex2var_ps, _mm512_set1_epi32,
    _mm512_set1_epi64, _mm512_set1_ps, _mm512_setr_epi32, _mm512_setzero_ps, _mm512_setzero_si512,
    _mm512_shuffle_i32x4, _mm512_slli_epi32, _mm512_sqrt_ps, _mm512_store_ps, _mm512_storeu_ps,
    _mm512_storeu_si512, _mm512_sub_epi32, _mm512_sub_ps, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_zextsi256_si512,
};

use super::avx2::totals_8;
use super::nibbles::{Estimates, Nibbles, Sixteen, TOGETHER};
use crate::coded::{Bounds, FACTOR_BYTES, NibbleQuery};

/// Sixteen sums of products of nibbles.
#[derive(Clone, Copy)]
pub(super) struct Sixteenfold(__m512i);

impl Nibbles for Sixteenfold {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe { Sixteenfold(_mm512_setzero_si512()) }
    }

    #[inline(always)]
    unsafe fn add_products(self, codes: &[u8; 32], low: &[i8; 32], high: &[i8; 32]) -> Self {
        // SAFETY: the caller has AVX-512 with VNNI, and GFNI; 32 bytes lie behind the pointers. The instructions set
        // the upper half to zero.
        unsafe {
            let codes = _mm512_zextsi256_si512(_mm256_loadu_si256(codes.as_ptr().cast()));
            let low = _mm512_zextsi256_si512(_mm256_loadu_si256(low.as_ptr().cast()));
            let high = _mm512_zextsi256_si512(_mm256_loadu_si256(high.as_ptr().cast()));
            Sixteenfold(added(self.0, codes, low, high))
        }
    }

    #[inline(always)]
    unsafe fn totals(rows: [Self; 4]) -> [i32; 4] {
        // SAFETY: the caller has AVX-512, and so AVX2.
        unsafe {
            let mut lanes = [_mm256_setzero_si256(); 4];
            for r in 0..4 {
                let high = _mm512_extracti64x4_epi64::<1>(rows[r].0);
                lanes[r] = _mm256_add_epi32(_mm512_castsi512_si256(rows[r].0), high);
            }
            totals_8(lanes)
        }
    }

    #[inline(always)]
    unsafe fn estimate<P: Sixteen>(query: &NibbleQuery, rows: &P) -> Estimates {
        assert!(query.code_bytes >= 32 && query.integers.len() == query.code_bytes.div_ceil(64));
        assert!(rows.are_whole(query.code_bytes + FACTOR_BYTES), "a row has its codes and factors");
        // SAFETY: the caller has AVX-512 with VNNI, and GFNI; codes and factors lie behind the start of every row, and there are
        // integers for all codes.
        unsafe { estimates_16(query, totals_16(query, rows), factors_16(query.code_bytes, rows)) }
    }

    #[inline(always)]
    unsafe fn reaching(
        estimates: &Estimates,
        floor: f32,
        first: u32,
        numbers: &mut [u32; TOGETHER],
        bounds: &mut [Bounds; TOGETHER],
    ) -> usize {
        let told = bounds.as_mut_ptr().cast::<f32>();
        // SAFETY: the caller has AVX-512; there are 16 estimates where a register begins, room for 16 numbers, and, as bounds
        // are two numbers, for 16 of these behind either pointer.
        unsafe {
            let score = _mm512_load_ps(estimates.scores.as_ptr());
            let error = _mm512_load_ps(estimates.errors.as_ptr());
            let most = _mm512_add_ps(score, error);
            let which = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(most, _mm512_set1_ps(floor));
            let counted = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let all = _mm512_add_epi32(_mm512_set1_epi32(first.cast_signed()), counted);
            _mm512_storeu_si512(numbers.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(which, all));
            let least = _mm512_maskz_compress_ps(which, _mm512_sub_ps(score, error));
            let most = _mm512_maskz_compress_ps(which, most);
            let eight = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let others = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
            _mm512_storeu_ps(told, _mm512_permutex2var_ps(least, eight, most));
            _mm512_storeu_ps(told.add(TOGETHER), _mm512_permutex2var_ps(least, others, most));
            which.count_ones() as usize
        }
    }
}

/// Sums with the products of 64 bytes of codes added: those of whole bytes, and those of their low nibbles, 16 times
/// ([`Integers`](crate::coded::Integers)).
///
/// # Safety
/// The CPU has AVX-512 with VNNI, and GFNI.
#[inline(always)]
unsafe fn added(sums: __m512i, codes: __m512i, low: __m512i, high: __m512i) -> __m512i {
    // SAFETY: as our own caller's promise.
    unsafe {
        let nibbles = _mm512_gf2p8affine_epi64_epi8::<0>(codes, _mm512_set1_epi64(TO_HIGH));
        _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(sums, codes, high), nibbles, low)
    }
}

/// The matrix that puts the low nibble of a byte where the high one is, and nothing where it was: a row of bits for each bit of
/// the result, from the highest on in the lowest byte.
const TO_HIGH: i64 = 0x0102_0408;

/// The totals of sixteen rows, in their order.
///
/// # Safety
/// The CPU has AVX-512 with VNNI, and GFNI; behind the start of every row lie as many bytes as the query says, and it has integers
/// for all of them.
#[inline(always)]
unsafe fn totals_16<P: Sixteen>(query: &NibbleQuery, rows: &P) -> __m512i {
    // SAFETY: as our own caller's promise.
    unsafe {
        let [a, b, c, d] = if P::ALONG {
            // Memory is read fastest in the order in which it lies: four rows are few enough for that.
            [
                folded(sums(query, rows, 0)),
                folded(sums(query, rows, 4)),
                folded(sums(query, rows, 8)),
                folded(sums(query, rows, 12)),
            ]
        } else {
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = sums(query, rows, 0);
            [folded([a, b, c, d]), folded([e, f, g, h]), folded([i, j, k, l]), folded([m, n, o, p])]
        };
        add_quarters(add_quarters(a, b), add_quarters(c, d))
    }
}

/// The sums of so many of sixteen rows, from this one on.
///
/// # Safety
/// As of [`totals_16`].
#[inline(always)]
unsafe fn sums<P: Sixteen, const ROWS: usize>(
    query: &NibbleQuery,
    rows: &P,
    first: usize,
) -> [__m512i; ROWS] {
    let mut starts = [rows.start(first); ROWS];
    for (r, start) in starts.iter_mut().enumerate() {
        *start = rows.start(first + r);
    }
    // SAFETY: as our own caller's promise.
    unsafe {
        let mut sums = [_mm512_setzero_si512(); ROWS];
        let whole = query.code_bytes / 64;
        for (at, integers) in query.integers[..whole].iter().enumerate() {
            let low = _mm512_load_si512(integers.low.as_ptr().cast());
            let high = _mm512_load_si512(integers.high.as_ptr().cast());
            for r in 0..ROWS {
                let codes = _mm512_loadu_si512(starts[r].add(64 * at).cast());
                sums[r] = added(sums[r], codes, low, high);
            }
        }
        if let Some(integers) = query.integers.get(whole) {
            let low = _mm512_load_si512(integers.low.as_ptr().cast());
            let high = _mm512_load_si512(integers.high.as_ptr().cast());
            for r in 0..ROWS {
                let half = _mm256_loadu_si256(starts[r].add(64 * whole).cast());
                sums[r] = added(sums[r], _mm512_zextsi256_si512(half), low, high);
            }
        }
        sums
    }
}

/// What is left of four rows' sums, a lane of each in every quarter: adding up the quarters makes their totals.
///
/// # Safety
/// The CPU has AVX-512.
#[inline(always)]
unsafe fn folded([a, b, c, d]: [__m512i; 4]) -> __m512i {
    // SAFETY: as our own caller's promise.
    unsafe {
        let first = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let second = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        let (low, high) = (_mm512_unpacklo_epi64(first, second), _mm512_unpackhi_epi64(first, second));
        _mm512_add_epi32(low, high)
    }
}

/// The first quarter of a register plus the second, and the third plus the fourth, and the same of another one.
///
/// # Safety
/// The CPU has AVX-512.
#[inline(always)]
unsafe fn add_quarters(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: as our own caller's promise.
    unsafe { _mm512_add_epi32(_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b)) }
}

/// The bases, scales and residuals of rows.
///
/// # Safety
/// The CPU has AVX-512; codes, so many bytes, and factors lie behind the start of every row.
#[inline(always)]
unsafe fn factors_16<P: Sixteen>(code_bytes: usize, rows: &P) -> [__m512; 3] {
    // SAFETY: as our own caller's promise. A register's quarter has room for four numbers: the last four bytes of the
    // codes, which nobody reads, come along.
    unsafe {
        let mut quarters = [_mm512_setzero_si512(); 4];
        for (q, quarter) in quarters.iter_mut().enumerate() {
            let first = _mm512_castsi128_si512(_mm_loadu_si128(rows.start(q).add(code_bytes - 4).cast()));
            let two =
                _mm512_inserti32x4::<1>(first, _mm_loadu_si128(rows.start(q + 4).add(code_bytes - 4).cast()));
            let three =
                _mm512_inserti32x4::<2>(two, _mm_loadu_si128(rows.start(q + 8).add(code_bytes - 4).cast()));
            *quarter = _mm512_inserti32x4::<3>(
                three,
                _mm_loadu_si128(rows.start(q + 12).add(code_bytes - 4).cast()),
            );
        }
        let [a, b, c, d] = quarters;
        let (low_ab, high_ab) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (low_cd, high_cd) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        let base = _mm512_castsi512_ps(_mm512_unpackhi_epi64(low_ab, low_cd));
        let scale = _mm512_castsi512_ps(_mm512_unpacklo_epi64(high_ab, high_cd));
        let residual = _mm512_castsi512_ps(_mm512_unpackhi_epi64(high_ab, high_cd));
        [base, scale, residual]
    }
}

/// [`NibbleQuery::estimate`] of rows.
///
/// # Safety
/// The CPU has AVX-512.
#[inline(always)]
unsafe fn estimates_16(
    query: &NibbleQuery,
    totals: __m512i,
    [base, scale, residual]: [__m512; 3],
) -> Estimates {
    let NibbleQuery { weights, lengths, .. } = query;
    let mut estimates = Estimates::NONE;
    // SAFETY: as our own caller's promise; there are 16 numbers of either, where a register begins.
    unsafe {
        let twice = _mm512_slli_epi32::<1>(totals);
        let product = _mm512_cvtepi32_ps(_mm512_sub_epi32(twice, _mm512_set1_epi32(query.offset)));
        let begun = _mm512_add_ps(_mm512_set1_ps(weights.constant), base);
        let by_code = _mm512_mul_ps(scale, _mm512_mul_ps(_mm512_set1_ps(weights.unit), product));
        let score = _mm512_add_ps(begun, by_code);

        let of_base = _mm512_mul_ps(_mm512_set1_ps(lengths.base), base);
        let of_row = _mm512_add_ps(_mm512_set1_ps(lengths.squared), of_base);
        let squared = _mm512_add_ps(of_row, _mm512_mul_ps(residual, residual));
        // Of two of which one is no number, the second is taken, as in the comparison that this stands for.
        let own = _mm512_sqrt_ps(_mm512_max_ps(squared, _mm512_setzero_ps()));
        let own = _mm512_mul_ps(own, _mm512_set1_ps(lengths.weight));
        let of_code = _mm512_min_ps(own, _mm512_mul_ps(scale, _mm512_set1_ps(weights.scale)));

        let of_residual = _mm512_mul_ps(residual, _mm512_set1_ps(weights.residual));
        let of_base = _mm512_mul_ps(_mm512_abs_ps(base), _mm512_set1_ps(weights.base));
        let at_least = _mm512_add_ps(of_base, _mm512_set1_ps(weights.error));
        let error = _mm512_add_ps(_mm512_add_ps(of_residual, of_code), at_least);
        _mm512_store_ps(estimates.scores.as_mut_ptr(), score);
        _mm512_store_ps(estimates.errors.as_mut_ptr(), error);
    }
    estimates
}
