//! Sixteen lanes as an array, for a CPU that no other file knows.

use super::ahead::fetch_line;
use super::bytes::{BYTES, Bytes};
use super::lanes::{LANES, Lanes};
use super::nibbles::Nibbles;
use super::signs::Lookup;
use super::tiles::{self, ROWS, STEP, Step, Sums, Tile, VECTORS};
use crate::coded::Tables;

/// What every CPU of the target has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

super::compile!(Portable, [], [f32; LANES], 1, i32, i32);

impl Lanes for [f32; LANES] {
    type Sums = [i32; VECTORS];

    unsafe fn multiply(rows: [&[[i8; STEP]]; ROWS], blocks: &[&[Step]], tile: &mut Tile) {
        /// # Safety
        /// The CPU has the instructions.
        #[inline(never)]
        unsafe fn compiled(rows: [&[[i8; STEP]]; ROWS], blocks: &[&[Step]], tile: &mut Tile) {
            // SAFETY: whoever may call this has the instructions.
            unsafe { tiles::multiply::<[i32; VECTORS]>(rows, blocks, tile) }
        }
        // SAFETY: the caller has the instructions.
        unsafe { compiled(rows, blocks, tile) }
    }

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
    unsafe fn add_squared_difference(mut self, a: Self, b: Self) -> Self {
        for l in 0..LANES {
            let difference = a[l] - b[l];
            self[l] += difference * difference;
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

impl Bytes for i32 {
    #[inline(always)]
    unsafe fn zero() -> Self {
        0
    }

    #[inline(always)]
    unsafe fn add_products(self, query: &[i8; BYTES], row: &[i8; BYTES]) -> Self {
        self + query.iter().zip(row).map(|(&q, &r)| i32::from(q) * i32::from(r)).sum::<i32>()
    }

    #[inline(always)]
    unsafe fn total(self) -> i32 {
        self
    }
}

impl Sums for [i32; VECTORS] {
    type Word = [i8; STEP];
    type Four = [i8; STEP];
    type Loaded = Step;
    const WHOLE: bool = false;

    fn word(bytes: [i8; STEP]) -> [i8; STEP] {
        bytes
    }

    #[inline(always)]
    unsafe fn zero() -> Self {
        [0; VECTORS]
    }

    #[inline(always)]
    unsafe fn four(word: [i8; STEP]) -> [i8; STEP] {
        word
    }

    #[inline(always)]
    unsafe fn load(step: &Step) -> Step {
        *step
    }

    #[inline(always)]
    unsafe fn add_products(mut self, row: [i8; STEP], vectors: Step) -> Self {
        for (sum, vector) in self.iter_mut().zip(vectors.as_chunks::<STEP>().0) {
            for (&r, &v) in row.iter().zip(vector) {
                *sum += i32::from(r) * i32::from(v);
            }
        }
        self
    }

    #[inline(always)]
    unsafe fn store(self, sums: &mut [i32; VECTORS]) {
        *sums = self;
    }
}

impl Lookup for i32 {
    #[inline(always)]
    unsafe fn sums<const Q: usize>(
        codes: &[[u8; 64]],
        tables: [&[Tables]; Q],
        ahead: usize,
    ) -> [[u32; 32]; Q] {
        let mut sums = [[0; 32]; Q];
        for (sums, tables) in sums.iter_mut().zip(tables) {
            for (codes, tables) in codes.iter().zip(tables) {
                fetch_line(codes.as_ptr().wrapping_add(ahead));
                for (byte, &code) in codes.iter().enumerate() {
                    let (low, high) = (usize::from(code & 15), usize::from(code >> 4));
                    let table = byte / 32 * 32;
                    sums[byte % 32] +=
                        u32::from(tables.low[table + low]) + u32::from(tables.high[table + high]);
                }
            }
        }
        sums
    }
}

impl Nibbles for i32 {
    #[inline(always)]
    unsafe fn zero() -> Self {
        0
    }

    #[inline(always)]
    unsafe fn add_products(self, codes: &[u8; 32], low: &[i8; 32], high: &[i8; 32]) -> Self {
        let pairs = codes.iter().zip(low.iter().zip(high));
        let products = |(&c, (&f, &s)): (&u8, (&i8, &i8))| {
            16 * i32::from(c & 15) * i32::from(f) + i32::from(c) * i32::from(s)
        };
        self + pairs.map(products).sum::<i32>()
    }

    #[inline(always)]
    unsafe fn totals(rows: [Self; 4]) -> [i32; 4] {
        rows
    }
}
