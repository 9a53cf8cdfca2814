//! How does each instruction set hold the lanes that the kernels are written against?
//!
//! `lanes` has the loop over rows of numbers, `bytes` the one over rows of bytes, `signs` and
//! `nibbles` those over codes of 1 and 4 bits, each written against a few
//! operations on lanes; each other file says in a few lines what these operations are on its instruction set,
//! and compiles the loops with those instructions.

#![allow(unsafe_code)]

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

            pub(crate) fn score_block<const Q: usize>(
                self,
                queries: [&crate::coded::SignQuery; Q],
                block: &[u8],
                bars: [crate::coded::Bar; Q],
                scores: &mut [crate::coded::BlockScores; Q],
            ) -> [u32; Q] {
                /// # Safety
                /// The CPU has the instructions.
                $(#[$attribute])?
                unsafe fn compiled<const Q: usize>(
                    queries: [&crate::coded::SignQuery; Q],
                    block: &[u8],
                    bars: [crate::coded::Bar; Q],
                    scores: &mut [crate::coded::BlockScores; Q],
                ) -> [u32; Q] {
                    // SAFETY: whoever may call this has the instructions.
                    unsafe { super::signs::score_block::<$codes, Q>(queries, block, bars, scores) }
                }
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { compiled(queries, block, bars, scores) }
            }

            pub(crate) fn estimate<'a>(
                self,
                query: &crate::coded::NibbleQuery,
                rows: impl Iterator<Item = &'a [u8]>,
                estimates: &mut [crate::coded::Estimate],
            ) {
                /// # Safety
                /// The CPU has the instructions.
                $(#[$attribute])?
                unsafe fn compiled<'a>(
                    query: &crate::coded::NibbleQuery,
                    rows: impl Iterator<Item = &'a [u8]>,
                    estimates: &mut [crate::coded::Estimate],
                ) {
                    // SAFETY: whoever may call this has the instructions.
                    unsafe { super::nibbles::estimate::<$codes>(query, rows, estimates) }
                }
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { compiled(query, rows, estimates) }
            }

            pub(crate) fn estimate_together<'a, const Q: usize>(
                self,
                queries: [&crate::coded::NibbleQuery; Q],
                rows: impl Iterator<Item = &'a [u8]>,
                estimates: [&mut [crate::coded::Estimate]; Q],
            ) {
                /// # Safety
                /// The CPU has the instructions.
                $(#[$attribute])?
                unsafe fn compiled<'a, const Q: usize>(
                    queries: [&crate::coded::NibbleQuery; Q],
                    rows: impl Iterator<Item = &'a [u8]>,
                    estimates: [&mut [crate::coded::Estimate]; Q],
                ) {
                    // SAFETY: whoever may call this has the instructions.
                    unsafe { super::nibbles::estimate_together::<$codes, Q>(queries, rows, estimates) }
                }
                // SAFETY: `self` proves that the CPU has the instructions.
                unsafe { compiled(queries, rows, estimates) }
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
mod bytes;
pub(crate) mod lanes;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
mod nibbles;
pub(crate) mod portable;
mod signs;
