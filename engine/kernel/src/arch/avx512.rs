//! Sixteen lanes as one register of AVX-512, and 64 bytes as one.

use core::arch::x86_64::{
    __m512, __m512i, _CMP_GE_OQ, _CMP_NLT_UQ, _mm256_add_epi16, _mm256_add_epi32, _mm256_add_ps,
    _mm256_castpd_ps, _mm256_loadu_si256, _mm512_add_epi8, _mm512_add_epi16, _mm512_add_epi32, _mm512_add_ps,
    _mm512_and_si512, _mm512_castps_pd, _mm512_castps_si512, _mm512_castps512_ps256, _mm512_castsi512_ps,
    _mm512_castsi512_si256, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps, _mm512_cvtepu16_epi32, _mm512_cvtph_ps,
    _mm512_dpbusd_epi32, _mm512_extractf64x4_pd, _mm512_extracti64x4_epi64, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_mask_xor_epi32, _mm512_maskz_compress_epi32, _mm512_maskz_loadu_epi8,
    _mm512_maskz_loadu_epi16, _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_permute_ps,
    _mm512_permutex2var_epi32, _mm512_permutex2var_ps, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setr_epi32, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_f32x4,
    _mm512_slli_epi16, _mm512_slli_epi32, _mm512_srli_epi16, _mm512_storeu_ps, _mm512_storeu_si512,
    _mm512_sub_epi16, _mm512_sub_epi32, _mm512_sub_ps, _mm512_xor_si512,
};

use super::ahead::fetch_line;
use super::avx2::{fold_8, total_8};
use super::avx512_nibbles::Sixteenfold;
use super::bytes::{BYTES, Bytes};
use super::lanes::{LANES, Lanes};
use super::signs::{Lookup, TABLES_IN_BYTES};
use super::tiles::{self, ROWS, STEP, Step, Sums, Tile, VECTORS};
use crate::brief;
use crate::coded::{Bounds, Factors, Tables, Weights};
use crate::mask::BLOCK_ROWS;

/// Proof that the CPU has AVX-512 with instructions for bytes, their products and their bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Avx512> {
        let bytes = is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni");
        let bits = is_x86_feature_detected!("gfni") && is_x86_feature_detected!("popcnt");
        (bytes && bits && is_x86_feature_detected!("avx512f")).then_some(Avx512(()))
    }
}

// An addition takes four cycles and two may begin in each: eight rows keep the adders busy.
super::compile!(
    Avx512,
    [target_feature(enable = "avx512f,avx512bw,avx512vnni,gfni,popcnt")],
    __m512,
    8,
    Sixteens,
    Sixteenfold
);

impl Lanes for __m512 {
    type Sums = Sixteens;

    unsafe fn multiply(rows: [&[i32]; ROWS], blocks: &[&[Step]], tile: &mut Tile) {
        /// # Safety
        /// The CPU has the instructions.
        #[target_feature(enable = "avx512f,avx512bw,avx512vnni,gfni,popcnt")]
        #[inline(never)]
        unsafe fn compiled(rows: [&[i32]; ROWS], blocks: &[&[Step]], tile: &mut Tile) {
            // SAFETY: whoever may call this has the instructions.
            unsafe { tiles::multiply::<Sixteens>(rows, blocks, tile) }
        }
        // SAFETY: the caller has the instructions.
        unsafe { compiled(rows, blocks, tile) }
    }

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
    unsafe fn reaching(rows: &[Bounds; LANES], floor: f32, first: u32, numbers: &mut [u32; LANES]) -> usize {
        let bounds = rows.as_ptr().cast::<f32>();
        // SAFETY: the caller has AVX-512; bounds are two numbers, so 16 numbers lie behind either pointer, and as many have
        // room behind the last.
        unsafe {
            let (low, high) = (_mm512_loadu_ps(bounds), _mm512_loadu_ps(bounds.add(LANES)));
            let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            let most = _mm512_permutex2var_ps(low, odd, high);
            let which = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(most, _mm512_set1_ps(floor));
            let counted = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let all = _mm512_add_epi32(_mm512_set1_epi32(first.cast_signed()), counted);
            _mm512_storeu_si512(numbers.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(which, all));
            which.count_ones() as usize
        }
    }

    #[inline(always)]
    unsafe fn hadamard(components: &mut [f32; LANES]) {
        // SAFETY: the caller has AVX-512; 16 components lie behind the pointer. A difference is the sum with what is negated.
        unsafe {
            let mut lanes = _mm512_loadu_ps(components.as_ptr());
            let swapped = _mm512_permute_ps::<0b10_11_00_01>(lanes);
            lanes = _mm512_add_ps(swapped, negated(lanes, 0b1010_1010_1010_1010));
            let swapped = _mm512_permute_ps::<0b01_00_11_10>(lanes);
            lanes = _mm512_add_ps(swapped, negated(lanes, 0b1100_1100_1100_1100));
            let swapped = _mm512_shuffle_f32x4::<0b10_11_00_01>(lanes, lanes);
            lanes = _mm512_add_ps(swapped, negated(lanes, 0b1111_0000_1111_0000));
            let swapped = _mm512_shuffle_f32x4::<0b01_00_11_10>(lanes, lanes);
            lanes = _mm512_add_ps(swapped, negated(lanes, 0b1111_1111_0000_0000));
            _mm512_storeu_ps(components.as_mut_ptr(), lanes);
        }
    }

    #[inline(always)]
    unsafe fn load_halves(elements: &[u16; LANES]) -> Self {
        // SAFETY: the caller has AVX-512; 16 halves, 32 bytes, lie behind the pointer.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(elements.as_ptr().cast())) }
    }

    #[inline(always)]
    unsafe fn load_halves_part(elements: &[u16]) -> Self {
        assert!(elements.len() < LANES);
        let mask = (1 << elements.len()) - 1;
        // SAFETY: the caller has AVX-512; a masked load touches only the slice's own elements.
        unsafe {
            _mm512_cvtph_ps(_mm512_castsi512_si256(_mm512_maskz_loadu_epi16(mask, elements.as_ptr().cast())))
        }
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

/// Lanes of which some have the other sign.
///
/// # Safety
/// The CPU has AVX-512.
#[inline(always)]
unsafe fn negated(lanes: __m512, which: u16) -> __m512 {
    // SAFETY: as our own caller's promise.
    unsafe {
        let bits = _mm512_castps_si512(lanes);
        let signs = _mm512_set1_epi32(i32::MIN);
        _mm512_castsi512_ps(_mm512_mask_xor_epi32(bits, which, bits, signs))
    }
}

/// Sixteen sums of products of bytes.
#[derive(Clone, Copy)]
pub(crate) struct Sixteens(__m512i);

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
    unsafe fn add_products_part(self, query: &[i8; BYTES], row: &[i8]) -> Self {
        assert!(row.len() < BYTES);
        let mask = (1 << row.len()) - 1;
        // SAFETY: the caller has AVX-512 with BW and VNNI; a masked load touches only the slice's own bytes, and 64 bytes lie
        // behind the query's pointer.
        unsafe {
            let query = _mm512_loadu_si512(query.as_ptr().cast());
            let raised =
                _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, row.as_ptr()), _mm512_set1_epi8(i8::MIN));
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

impl Sums for Sixteens {
    type Word = i32;
    type Four = __m512i;
    type Loaded = __m512i;
    const WHOLE: bool = true;

    #[inline(always)]
    fn word(bytes: [i8; STEP]) -> i32 {
        i32::from_le_bytes(bytes.map(i8::cast_unsigned))
    }

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX-512.
        unsafe { Sixteens(_mm512_setzero_si512()) }
    }

    #[inline(always)]
    unsafe fn four(word: i32) -> __m512i {
        // SAFETY: the caller has AVX-512.
        unsafe { _mm512_set1_epi32(word) }
    }

    #[inline(always)]
    unsafe fn load(step: &Step) -> __m512i {
        // SAFETY: the caller has AVX-512; 64 bytes lie behind the pointer.
        unsafe { _mm512_loadu_si512(step.as_ptr().cast()) }
    }

    #[inline(always)]
    unsafe fn add_products(self, row: __m512i, vectors: __m512i) -> Self {
        // SAFETY: the caller has AVX-512 with VNNI.
        unsafe { Sixteens(_mm512_dpbusd_epi32(self.0, vectors, row)) }
    }

    #[inline(always)]
    unsafe fn store(self, sums: &mut [i32; VECTORS]) {
        // SAFETY: the caller has AVX-512; 16 numbers have room behind the pointer.
        unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), self.0) }
    }
}

impl Lookup for Sixteenfold {
    #[inline(always)]
    unsafe fn sums<const Q: usize>(
        codes: &[[u8; 64]],
        tables: [&[Tables]; Q],
        ahead: usize,
    ) -> [[u32; 32]; Q] {
        // SAFETY: the caller has AVX-512 with BW; 64 bytes lie behind every pointer that is read.
        unsafe {
            // Sums of 16 bits of both bytes in them, and of the high byte alone.
            let mut pairs = [_mm512_setzero_si512(); Q];
            let mut highs = [_mm512_setzero_si512(); Q];
            // Sums of bytes, for a while.
            let mut bytes = [_mm512_setzero_si512(); Q];
            let (groups, rest) = codes.as_chunks::<TABLES_IN_BYTES>();
            let of_groups = tables.map(|tables| tables.as_chunks::<TABLES_IN_BYTES>());
            for (group, codes) in groups.iter().enumerate() {
                let tables = of_groups.map(|(tables, _)| &tables[group]);
                for i in 0..TABLES_IN_BYTES {
                    add_entries(&mut bytes, &codes[i], tables.map(|tables| &tables[i]), ahead);
                }
                widen(&mut bytes, &mut pairs, &mut highs);
            }
            for (i, codes) in rest.iter().enumerate() {
                add_entries(&mut bytes, codes, of_groups.map(|(_, tables)| &tables[i]), ahead);
            }
            widen(&mut bytes, &mut pairs, &mut highs);
            let first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
            let mut sums = [[0; 32]; Q];
            for q in 0..Q {
                let lows = _mm512_sub_epi16(pairs[q], _mm512_slli_epi16::<8>(highs[q]));
                let (even, odd) = (folded(lows), folded(highs[q]));
                let rows = sums[q].as_mut_ptr();
                _mm512_storeu_si512(rows.cast(), _mm512_permutex2var_epi32(even, first, odd));
                _mm512_storeu_si512(rows.add(16).cast(), _mm512_permutex2var_epi32(even, second, odd));
            }
            sums
        }
    }

    #[inline(always)]
    unsafe fn reach(
        factors: &Factors<'_>,
        (weights, offset): (&Weights, i32),
        totals: &[u32; BLOCK_ROWS],
        floor: f32,
        estimates: &mut [f32; BLOCK_ROWS],
    ) -> u32 {
        let mut stays = 0;
        for r in [0, 16] {
            // SAFETY: the caller has AVX-512; 16 numbers lie behind each pointer.
            unsafe {
                let pairs = _mm512_loadu_si512(factors.pairs[r..][..16].as_ptr().cast());
                let bases = _mm512_and_si512(pairs, _mm512_set1_epi32(brief::UPPER.cast_signed()));
                let scales = _mm512_slli_epi32::<{ brief::LOWER_BITS }>(pairs);
                let (bases, scales) = (_mm512_castsi512_ps(bases), _mm512_castsi512_ps(scales));
                let totals = _mm512_loadu_si512(totals[r..][..16].as_ptr().cast());
                let products = _mm512_sub_epi32(_mm512_slli_epi32::<1>(totals), _mm512_set1_epi32(offset));
                let product = _mm512_mul_ps(_mm512_set1_ps(weights.unit), _mm512_cvtepi32_ps(products));
                let begun = _mm512_add_ps(_mm512_set1_ps(weights.constant), bases);
                let scores = _mm512_add_ps(begun, _mm512_mul_ps(scales, product));
                _mm512_storeu_ps(estimates[r..][..16].as_mut_ptr(), scores);
                let not_below = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(scores, _mm512_set1_ps(floor));
                stays |= u32::from(not_below) << r;
            }
        }
        stays
    }
}

/// Adds to sums of bytes what tables say of the nibbles of some codes. Codes that lie so much further are asked for from memory.
///
/// # Safety
/// The CPU has AVX-512 with BW.
// A closure would be compiled without the instructions.
#[inline(always)]
unsafe fn add_entries<const Q: usize>(
    bytes: &mut [__m512i; Q],
    codes: &[u8; 64],
    tables: [&Tables; Q],
    ahead: usize,
) {
    fetch_line(codes.as_ptr().wrapping_add(ahead));
    // SAFETY: as our own caller's promise; 64 bytes lie behind every pointer.
    unsafe {
        let nibble = _mm512_set1_epi8(15);
        let codes = _mm512_loadu_si512(codes.as_ptr().cast());
        let low = _mm512_and_si512(codes, nibble);
        let high = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), nibble);
        for q in 0..Q {
            let of_low = _mm512_loadu_si512(tables[q].low.as_ptr().cast());
            let of_high = _mm512_loadu_si512(tables[q].high.as_ptr().cast());
            let entries =
                _mm512_add_epi8(_mm512_shuffle_epi8(of_low, low), _mm512_shuffle_epi8(of_high, high));
            bytes[q] = _mm512_add_epi8(bytes[q], entries);
        }
    }
}

/// Adds sums of bytes to those of pairs of bytes and of high bytes alone, and begins anew.
///
/// # Safety
/// The CPU has AVX-512 with BW.
#[inline(always)]
unsafe fn widen<const Q: usize>(
    bytes: &mut [__m512i; Q],
    pairs: &mut [__m512i; Q],
    highs: &mut [__m512i; Q],
) {
    // SAFETY: as our own caller's promise.
    unsafe {
        for q in 0..Q {
            pairs[q] = _mm512_add_epi16(pairs[q], bytes[q]);
            highs[q] = _mm512_add_epi16(highs[q], _mm512_srli_epi16::<8>(bytes[q]));
            bytes[q] = _mm512_setzero_si512();
        }
    }
}

/// One sum of 16 bits for each row: the first half of the register had one byte of each row, the second half the next.
///
/// # Safety
/// The CPU has AVX-512 with BW.
#[inline(always)]
unsafe fn folded(sums: __m512i) -> __m512i {
    // SAFETY: as our own caller's promise.
    unsafe {
        let halves = _mm256_add_epi16(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64::<1>(sums));
        _mm512_cvtepu16_epi32(halves)
    }
}
