//! How does each instruction set hold the lanes that the kernels are written against?
//!
//! `lanes` has the loop over rows of numbers, `bytes` the one over rows of bytes, `tiles` the one over rows and many vectors of
//! bytes, `signs` and
//! `nibbles` those over codes of 1 and 4 bits, each written against a few
//! operations on lanes; each other file says in a few lines what these operations are on its instruction set,
//! and compiles the loops with those instructions.

#![allow(unsafe_code)]

use crate::coded::Bounds;
use core::marker::PhantomData;

/// Work that has the same result with any instruction set, and less time with a better one: the compiler finds where, or
/// a [`Set`] knows.
pub(crate) trait Work {
    type Result;
    /// To be inlined, with all that it calls, into what is compiled with the instructions.
    fn run<V: lanes::Lanes>(self, set: Set<V>) -> Self::Result;
}

/// Proof that what is being compiled has the instructions of `V`.
#[derive(Clone, Copy)]
pub(crate) struct Set<V>(PhantomData<V>);

impl<V: lanes::Lanes> Set<V> {
    /// As [`Lanes::reaching`](lanes::Lanes::reaching).
    #[inline(always)]
    pub(crate) fn reaching(
        self,
        rows: &[Bounds; lanes::LANES],
        floor: f32,
        first: u32,
        numbers: &mut [u32; lanes::LANES],
    ) -> usize {
        // SAFETY: the value proves that the instructions are there.
        unsafe { V::reaching(rows, floor, first, numbers) }
    }

    /// As [`multiply`](tiles::multiply).
    #[inline(always)]
    pub(crate) fn multiply(
        self,
        rows: [&[<V::Sums as tiles::Sums>::Word]; tiles::ROWS],
        blocks: &[&[tiles::Step]],
        tile: &mut tiles::Tile,
    ) {
        // SAFETY: the value proves that the instructions are there.
        unsafe { V::multiply(rows, blocks, tile) }
    }

    /// The first steps of a Hadamard transform, those within sixteen components.
    #[inline(always)]
    pub(crate) fn hadamard(self, components: &mut [f32; lanes::LANES]) {
        // SAFETY: the value proves that the instructions are there.
        unsafe { V::hadamard(components) }
    }
}

/// Compiles the loops with an instruction set, which having the value proves: its attribute, its lanes and how many
/// rows it scores side by side, its bytes, and its lookups and nibbles.
macro_rules! compile {
    ($set:ty, [$($attribute:meta)?], $lanes:ty, $group:literal, $bytes:ty, $codes:ty) => {
        impl $set {
            pub(crate) fn score_rows<T: super::lanes::Term, E: super::lanes::Stored>(
                self,
                query: &[f32],
                rows: &[E],
                scores: &mut [f32],
            ) {
                /// # Safety
                /// The CPU has the instructions.
                $(#[$attribute])?
                unsafe fn compiled<T: super::lanes::Term, E: super::lanes::Stored>(
                    query: &[f32],
                    rows: &[E],
                    scores: &mut [f32],
                ) {
                    // SAFETY: whoever may call this has the instructions.
                    unsafe { super::lanes::score_rows::<$lanes, T, E, $group>(query, rows, scores) }
                }
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { compiled::<T, E>(query, rows, scores) }
            }

            pub(crate) fn score_each<T: super::lanes::Term, E: super::lanes::Stored>(
                self,
                query: &[f32],
                rows: &[&[E]],
                scores: &mut [f32],
            ) {
                /// # Safety
                /// The CPU has the instructions.
                $(#[$attribute])?
                unsafe fn compiled<T: super::lanes::Term, E: super::lanes::Stored>(
                    query: &[f32],
                    rows: &[&[E]],
                    scores: &mut [f32],
                ) {
                    // SAFETY: whoever may call this has the instructions.
                    unsafe { super::lanes::score_each::<$lanes, T, E, $group>(query, rows, scores) }
                }
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { compiled::<T, E>(query, rows, scores) }
            }

            /// Works with the instruction set.
            pub(crate) fn run<W: super::Work>(self, work: W) -> W::Result {
                /// # Safety
                /// The CPU has the instructions.
                $(#[$attribute])?
                unsafe fn compiled<W: super::Work>(work: W) -> W::Result {
                    work.run(super::Set::<$lanes>(core::marker::PhantomData))
                }
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { compiled(work) }
            }

            pub(crate) fn dot_rows_i8(self, query: &[i8], rows: &[i8], scores: &mut [i32]) {
                /// # Safety
                /// The CPU has the instructions.
                $(#[$attribute])?
                unsafe fn compiled(query: &[i8], rows: &[i8], scores: &mut [i32]) {
                    // SAFETY: whoever may call this has the instructions.
                    unsafe { super::bytes::dot_rows::<$bytes>(query, rows, scores) }
                }
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { compiled(query, rows, scores) }
            }

            pub(crate) fn scan_blocks<const Q: usize>(
                self,
                queries: [&crate::coded::SignQuery; Q],
                blocks: &super::signs::Blocks<'_>,
                bars: &mut [crate::coded::Bar; Q],
                visit: impl FnMut(usize, usize, u32, &crate::coded::BlockScores) -> crate::coded::Bar,
            ) {
                /// # Safety
                /// The CPU has the instructions.
                $(#[$attribute])?
                unsafe fn compiled<const Q: usize>(
                    queries: [&crate::coded::SignQuery; Q],
                    blocks: &super::signs::Blocks<'_>,
                    bars: &mut [crate::coded::Bar; Q],
                    visit: impl FnMut(usize, usize, u32, &crate::coded::BlockScores) -> crate::coded::Bar,
                ) {
                    // SAFETY: whoever may call this has the instructions.
                    unsafe { super::signs::scan::<$codes, Q>(queries, blocks, bars, visit) }
                }
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { compiled(queries, blocks, bars, visit) }
            }

            pub(crate) fn estimate_along<T: Copy + From<crate::coded::Estimate>>(
                self,
                query: &crate::coded::NibbleQuery,
                rows: &[u8],
                told: &mut [T],
            ) {
                /// # Safety
                /// The CPU has the instructions.
                $(#[$attribute])?
                unsafe fn compiled<T: Copy + From<crate::coded::Estimate>>(
                    query: &crate::coded::NibbleQuery,
                    rows: &[u8],
                    told: &mut [T],
                ) {
                    // SAFETY: whoever may call this has the instructions.
                    unsafe { super::nibbles::estimate_along::<$codes, T>(query, rows, told) }
                }
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { compiled(query, rows, told) }
            }

            pub(crate) fn reach_along(
                self,
                query: &crate::coded::NibbleQuery,
                rows: &[u8],
                floor: f32,
                first: u32,
                reached: &mut crate::reached::Reached,
            ) {
                /// # Safety
                /// The CPU has the instructions.
                $(#[$attribute])?
                unsafe fn compiled(
                    query: &crate::coded::NibbleQuery,
                    rows: &[u8],
                    floor: f32,
                    first: u32,
                    reached: &mut crate::reached::Reached,
                ) {
                    // SAFETY: whoever may call this has the instructions.
                    unsafe { super::nibbles::reach_along::<$codes>(query, rows, floor, first, reached) }
                }
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { compiled(query, rows, floor, first, reached) }
            }

            pub(crate) fn estimate<'a, T: Copy + From<crate::coded::Estimate>>(
                self,
                query: &crate::coded::NibbleQuery,
                next: impl FnMut(&mut [&'a [u8]]),
                told: &mut [T],
            ) {
                /// # Safety
                /// The CPU has the instructions.
                $(#[$attribute])?
                unsafe fn compiled<'a, T: Copy + From<crate::coded::Estimate>>(
                    query: &crate::coded::NibbleQuery,
                    next: impl FnMut(&mut [&'a [u8]]),
                    told: &mut [T],
                ) {
                    // SAFETY: whoever may call this has the instructions.
                    unsafe { super::nibbles::estimate::<$codes, T>(query, next, told) }
                }
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { compiled(query, next, told) }
            }
        }
    };
}
use compile;

pub(crate) mod ahead;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_nibbles;
mod bytes;
pub(crate) mod lanes;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
mod nibbles;
pub(crate) mod portable;
pub(crate) mod signs;
pub(crate) mod tiles;
