//! How does each instruction set hold the lanes that the kernels are written against?
//!
//! `lanes` has the loop over rows of numbers, `bytes` the one over rows of bytes, `signs` and
//! `nibbles` those over codes of 1 and 4 bits, each written against a few
//! operations on lanes; each other file says in a few lines what these operations are on its instruction set,
//! and compiles the loops with those instructions.

#![allow(unsafe_code)]

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
