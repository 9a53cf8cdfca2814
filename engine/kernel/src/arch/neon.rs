//! Sixteen lanes as four registers of NEON, and 16 bytes as one.

use core::arch::aarch64::{
    float32x4_t, int8x16_t, int32x4_t, vadd_f32, vaddq_f32, vaddq_s32, vaddq_u8, vaddvq_s32, vaddw_high_u8,
    vaddw_u8, vandq_u8, vdupq_n_f32, vdupq_n_s8, vdupq_n_s32, vdupq_n_u8, vdupq_n_u16, veorq_u8,
    vget_high_f32, vget_lane_f32, vget_low_f32, vget_low_s8, vget_low_u8, vld1q_f32, vld1q_s8, vld1q_u8,
    vmlal_high_s8, vmlal_s8, vmull_high_s8, vmull_s8, vmulq_f32, vpadalq_s16, vpaddlq_s16, vpaddq_s32,
    vqtbl1q_u8, vreinterpretq_s8_s32, vreinterpretq_s8_u8, vshlq_n_s32, vshrq_n_u8, vst1q_s32, vst1q_u16,
    vsubq_f32,
};
use std::arch::is_aarch64_feature_detected;

use super::ahead::fetch_line;
use super::bytes::{BYTES, Bytes};
use super::lanes::{LANES, Lanes};
use super::nibbles::Nibbles;
use super::signs::Lookup;
use super::tiles::{self, ROWS, STEP, Step, Sums, Tile, VECTORS};
use crate::coded::Tables;

/// Proof that the CPU has NEON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    pub(crate) fn detect() -> Option<Neon> {
        is_aarch64_feature_detected!("neon").then_some(Neon(()))
    }
}

// Four rows take sixteen registers of sums, of thirty-two that there are.
super::compile!(Neon, [target_feature(enable = "neon")], Quarters, 4, Fours, Fourfold);

/// Lanes 0 to 3, 4 to 7, 8 to 11 and 12 to 15.
#[derive(Clone, Copy)]
struct Quarters([float32x4_t; 4]);

impl Lanes for Quarters {
    type Sums = Quads;

    unsafe fn multiply(rows: [&[i32]; ROWS], blocks: &[&[Step]], tile: &mut Tile) {
        /// # Safety
        /// The CPU has the instructions.
        #[target_feature(enable = "neon")]
        #[inline(never)]
        unsafe fn compiled(rows: [&[i32]; ROWS], blocks: &[&[Step]], tile: &mut Tile) {
            // SAFETY: whoever may call this has the instructions.
            unsafe { tiles::multiply::<Quads>(rows, blocks, tile) }
        }
        // SAFETY: the caller has the instructions.
        unsafe { compiled(rows, blocks, tile) }
    }

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

/// Sums of products of bytes for sixteen vectors, two of each beside each other.
#[derive(Clone, Copy)]
pub(crate) struct Quads([int32x4_t; 8]);

impl Sums for Quads {
    type Word = i32;
    type Four = int8x16_t;
    /// With signs again.
    type Loaded = [int8x16_t; 4];
    const WHOLE: bool = false;
    const RAISED: i32 = 0;

    #[inline(always)]
    fn word(bytes: [i8; STEP]) -> i32 {
        i32::from_le_bytes(bytes.map(i8::cast_unsigned))
    }

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has NEON.
        unsafe { Quads([vdupq_n_s32(0); 8]) }
    }

    #[inline(always)]
    unsafe fn four(word: i32) -> int8x16_t {
        // SAFETY: the caller has NEON.
        unsafe { vreinterpretq_s8_s32(vdupq_n_s32(word)) }
    }

    #[inline(always)]
    unsafe fn load(step: &Step) -> [int8x16_t; 4] {
        let first = step.as_ptr();
        // SAFETY: the caller has NEON; 16 bytes lie behind each of the four pointers.
        unsafe {
            let mut vectors = [vdupq_n_s8(0); 4];
            for (q, vectors) in vectors.iter_mut().enumerate() {
                let raised = vld1q_u8(first.add(16 * q));
                *vectors = vreinterpretq_s8_u8(veorq_u8(raised, vdupq_n_u8(tiles::RAISED as u8)));
            }
            vectors
        }
    }

    #[inline(always)]
    unsafe fn add_products(mut self, row: int8x16_t, vectors: [int8x16_t; 4]) -> Self {
        for (q, vectors) in vectors.into_iter().enumerate() {
            // SAFETY: the caller has NEON. A product of bytes fits into 16 bits.
            unsafe {
                let low = vmull_s8(vget_low_s8(vectors), vget_low_s8(row));
                self.0[2 * q] = vpadalq_s16(self.0[2 * q], low);
                self.0[2 * q + 1] = vpadalq_s16(self.0[2 * q + 1], vmull_high_s8(vectors, row));
            }
        }
        self
    }

    #[inline(always)]
    unsafe fn store(self, sums: &mut [i32; VECTORS]) {
        for q in 0..4 {
            // SAFETY: the caller has NEON; 4 numbers have room behind the pointer.
            unsafe {
                let four = vpaddq_s32(self.0[2 * q], self.0[2 * q + 1]);
                vst1q_s32(sums.as_mut_ptr().add(4 * q), four);
            }
        }
    }
}

/// Four sums of products of nibbles.
#[derive(Clone, Copy)]
struct Fourfold(int32x4_t);

impl Lookup for Fourfold {
    #[inline(always)]
    unsafe fn sums<const Q: usize>(
        codes: &[[u8; 64]],
        tables: [&[Tables]; Q],
        ahead: usize,
    ) -> [[u32; 32]; Q] {
        let mut sums = [[0_u16; 32]; Q];
        // SAFETY: the caller has NEON; 16 bytes, or 8 sums, lie behind every pointer.
        unsafe {
            // The first sixteen rows, then the others.
            for rows in [0, 16] {
                let mut lows = [vdupq_n_u16(0); Q];
                let mut highs = [vdupq_n_u16(0); Q];
                for (i, codes) in codes.iter().enumerate() {
                    fetch_line(codes.as_ptr().wrapping_add(ahead));
                    for half in [0, 32] {
                        let codes = vld1q_u8(codes[half + rows..][..16].as_ptr());
                        let (low, high) = (vandq_u8(codes, vdupq_n_u8(15)), vshrq_n_u8::<4>(codes));
                        for q in 0..Q {
                            let tables = &tables[q][i];
                            let of_low = vqtbl1q_u8(vld1q_u8(tables.low[half..][..16].as_ptr()), low);
                            let of_high = vqtbl1q_u8(vld1q_u8(tables.high[half..][..16].as_ptr()), high);
                            let entries = vaddq_u8(of_low, of_high);
                            lows[q] = vaddw_u8(lows[q], vget_low_u8(entries));
                            highs[q] = vaddw_high_u8(highs[q], entries);
                        }
                    }
                }
                for q in 0..Q {
                    vst1q_u16(sums[q][rows..][..8].as_mut_ptr(), lows[q]);
                    vst1q_u16(sums[q][rows + 8..][..8].as_mut_ptr(), highs[q]);
                }
            }
        }
        sums.map(|sums| sums.map(u32::from))
    }
}

impl Nibbles for Fourfold {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has NEON.
        unsafe { Fourfold(vdupq_n_s32(0)) }
    }

    #[inline(always)]
    unsafe fn add_products(mut self, codes: &[u8; 32], low: &[i8; 32], high: &[i8; 32]) -> Self {
        for half in [0, 16] {
            // SAFETY: the caller has NEON; 16 bytes lie behind every pointer. Four products of a nibble and a byte
            // fit into 16 bits; those of whole bytes don't.
            unsafe {
                let codes = vld1q_u8(codes[half..][..16].as_ptr());
                let first = vreinterpretq_s8_u8(vandq_u8(codes, vdupq_n_u8(15)));
                let second = vreinterpretq_s8_u8(vshrq_n_u8::<4>(codes));
                let of_first = vld1q_s8(low[half..][..16].as_ptr());
                let of_second = vld1q_s8(high[half..][..16].as_ptr());
                let products = vmull_s8(vget_low_s8(first), vget_low_s8(of_first));
                let products = vmlal_high_s8(products, first, of_first);
                let products = vmlal_s8(products, vget_low_s8(second), vget_low_s8(of_second));
                let products = vpaddlq_s16(vmlal_high_s8(products, second, of_second));
                let sixteenth = vmull_s8(vget_low_s8(first), vget_low_s8(of_second));
                let sixteenth = vmlal_high_s8(sixteenth, first, of_second);
                self.0 = vpadalq_s16(vaddq_s32(self.0, vshlq_n_s32::<4>(products)), sixteenth);
            }
        }
        self
    }

    #[inline(always)]
    unsafe fn totals(rows: [Self; 4]) -> [i32; 4] {
        // SAFETY: the caller has NEON.
        unsafe {
            [vaddvq_s32(rows[0].0), vaddvq_s32(rows[1].0), vaddvq_s32(rows[2].0), vaddvq_s32(rows[3].0)]
        }
    }
}
