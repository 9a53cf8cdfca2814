//! Sixteen lanes as two registers of AVX2, and 32 bytes as one.

use core::arch::x86_64::{
    __m128i, __m256, __m256i, _mm_add_epi32, _mm_add_ps, _mm_add_ss, _mm_cvtsi128_si32, _mm_cvtss_f32,
    _mm_loadu_si128, _mm_movehl_ps, _mm_shuffle_epi32, _mm_shuffle_ps, _mm_storeu_si128, _mm256_add_epi8,
    _mm256_add_epi16, _mm256_add_epi32, _mm256_add_ps, _mm256_and_si256, _mm256_castps256_ps128,
    _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_cvtph_ps, _mm256_extractf128_ps,
    _mm256_extracti128_si256, _mm256_hadd_epi32, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_maskload_ps, _mm256_mul_ps, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16,
    _mm256_srli_epi16, _mm256_storeu_si256, _mm256_sub_epi16, _mm256_sub_ps,
};

use super::ahead::fetch_line;
use super::bytes::{BYTES, Bytes};
use super::lanes::{LANES, Lanes};
use super::nibbles::Nibbles;
use super::signs::Lookup;
use super::tiles::{self, ROWS, STEP, Step, Sums, Tile, VECTORS};
use crate::coded::Tables;

/// Proof that the CPU has AVX2, and the conversion of halves that came before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Avx2> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c")).then_some(Avx2(()))
    }
}

// Four rows take eight registers of sums, of sixteen that there are.
super::compile!(Avx2, [target_feature(enable = "avx2,f16c")], Halves, 4, Eights, Eightfold);

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
    type Sums = Pairs;

    unsafe fn multiply(rows: [&[[i32; 2]]; ROWS], blocks: &[&[Step]], tile: &mut Tile) {
        /// # Safety
        /// The CPU has the instructions.
        #[target_feature(enable = "avx2,f16c")]
        #[inline(never)]
        unsafe fn compiled(rows: [&[[i32; 2]]; ROWS], blocks: &[&[Step]], tile: &mut Tile) {
            // SAFETY: whoever may call this has the instructions.
            unsafe { tiles::multiply::<Pairs>(rows, blocks, tile) }
        }
        // SAFETY: the caller has the instructions.
        unsafe { compiled(rows, blocks, tile) }
    }

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

/// Eight sums of products of bytes, and eight more.
#[derive(Clone, Copy)]
pub(crate) struct Pairs(__m256i, __m256i);

impl Sums for Pairs {
    /// The first and the third byte, then the second and the fourth, each as 16 bits.
    type Word = [i32; 2];
    type Four = [__m256i; 2];
    /// The same of eight vectors, and of eight more.
    type Loaded = [[__m256i; 2]; 2];
    const WHOLE: bool = false;

    #[inline(always)]
    fn word(bytes: [i8; STEP]) -> [i32; 2] {
        let [a, b, c, d] = bytes.map(i32::from);
        [(a & 0xFFFF) | c << 16, (b & 0xFFFF) | d << 16]
    }

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX2.
        unsafe { Pairs(_mm256_setzero_si256(), _mm256_setzero_si256()) }
    }

    #[inline(always)]
    unsafe fn four(word: [i32; 2]) -> [__m256i; 2] {
        // SAFETY: the caller has AVX2.
        unsafe { [_mm256_set1_epi32(word[0]), _mm256_set1_epi32(word[1])] }
    }

    #[inline(always)]
    unsafe fn load(step: &Step) -> [[__m256i; 2]; 2] {
        // SAFETY: the caller has AVX2; 32 bytes lie behind each pointer.
        unsafe {
            let low = _mm256_set1_epi16(0xFF);
            let apart = |bytes: __m256i| [_mm256_and_si256(bytes, low), _mm256_srli_epi16::<8>(bytes)];
            let first = _mm256_loadu_si256(step.as_ptr().cast());
            let second = _mm256_loadu_si256(step.as_ptr().add(32).cast());
            [apart(first), apart(second)]
        }
    }

    #[inline(always)]
    unsafe fn add_products(self, row: [__m256i; 2], vectors: [[__m256i; 2]; 2]) -> Self {
        // SAFETY: the caller has AVX2. The sum of two products fits into 32 bits.
        unsafe {
            let add = |sums, [even, odd]: [__m256i; 2]| {
                let sums = _mm256_add_epi32(sums, _mm256_madd_epi16(even, row[0]));
                _mm256_add_epi32(sums, _mm256_madd_epi16(odd, row[1]))
            };
            Pairs(add(self.0, vectors[0]), add(self.1, vectors[1]))
        }
    }

    #[inline(always)]
    unsafe fn store(self, sums: &mut [i32; VECTORS]) {
        // SAFETY: the caller has AVX2; 8 numbers have room behind each pointer.
        unsafe {
            _mm256_storeu_si256(sums.as_mut_ptr().cast(), self.0);
            _mm256_storeu_si256(sums.as_mut_ptr().add(8).cast(), self.1);
        }
    }
}

/// Eight sums of products of nibbles.
#[derive(Clone, Copy)]
struct Eightfold(__m256i);

impl Lookup for Eightfold {
    #[inline(always)]
    unsafe fn sums<const Q: usize>(
        codes: &[[u8; 64]],
        tables: [&[Tables]; Q],
        ahead: usize,
    ) -> [[u32; 32]; Q] {
        // SAFETY: the caller has AVX2; 32 bytes lie behind every pointer that is read.
        unsafe {
            let nibble = _mm256_set1_epi8(15);
            // Sums of 16 bits of both bytes in them, and of the high byte alone.
            let mut pairs = [_mm256_setzero_si256(); Q];
            let mut highs = [_mm256_setzero_si256(); Q];
            for (i, codes) in codes.iter().enumerate() {
                fetch_line(codes.as_ptr().wrapping_add(ahead));
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
        unsafe { Eightfold(_mm256_setzero_si256()) }
    }

    #[inline(always)]
    unsafe fn add_products(self, codes: &[u8; 32], low: &[i8; 32], high: &[i8; 32]) -> Self {
        // SAFETY: the caller has AVX2; 32 bytes lie behind the pointers. Four products of a nibble and a byte fit
        // into 16 bits; two of a whole byte don't.
        unsafe {
            let (of_low, of_high) = (low.as_ptr().cast(), high.as_ptr().cast());
            let nibble = _mm256_set1_epi8(15);
            let codes = _mm256_loadu_si256(codes.as_ptr().cast());
            let (of_low, of_high) = (_mm256_loadu_si256(of_low), _mm256_loadu_si256(of_high));
            let low = _mm256_and_si256(codes, nibble);
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibble);
            let sixteenth = _mm256_maddubs_epi16(low, of_high);
            let whole =
                _mm256_add_epi16(_mm256_maddubs_epi16(low, of_low), _mm256_maddubs_epi16(high, of_high));
            let sixteenth = _mm256_madd_epi16(sixteenth, _mm256_set1_epi16(1));
            let whole = _mm256_madd_epi16(whole, _mm256_set1_epi16(16));
            Eightfold(_mm256_add_epi32(self.0, _mm256_add_epi32(whole, sixteenth)))
        }
    }

    #[inline(always)]
    unsafe fn totals(rows: [Self; 4]) -> [i32; 4] {
        // SAFETY: the caller has AVX2.
        unsafe { totals_8([rows[0].0, rows[1].0, rows[2].0, rows[3].0]) }
    }
}

/// The sums of eight integers each.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
pub(super) unsafe fn totals_8(lanes: [__m256i; 4]) -> [i32; 4] {
    let mut totals = [0; 4];
    // SAFETY: the caller has AVX2; 16 bytes lie behind the pointer.
    unsafe {
        let (first, second) = (_mm256_hadd_epi32(lanes[0], lanes[1]), _mm256_hadd_epi32(lanes[2], lanes[3]));
        let quarters = _mm256_hadd_epi32(first, second);
        let halves = (_mm256_castsi256_si128(quarters), _mm256_extracti128_si256::<1>(quarters));
        _mm_storeu_si128(totals.as_mut_ptr().cast(), _mm_add_epi32(halves.0, halves.1));
    }
    totals
}
