//! How does each instruction set hold sixteen lanes?
//!
//! `lanes` has the one loop over rows, written against sixteen lanes; each other file says in a few lines
//! what these lanes are on its instruction set, and compiles the loop with those instructions.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
mod lanes;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod portable;
