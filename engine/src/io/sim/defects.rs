//! Which defects can be put into the engine, so that the tests can show that they would find one?
//!
//! A defect is planted in a whole process, by a program that insists on its being found and does nothing else. Only a build
//! with the simulated machine has them: `cargo build` for users has no such code.

use std::sync::atomic::{AtomicU8, Ordering};

/// A defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Defect {
    /// The log acknowledges a batch without having synced it.
    ForgottenSync = 1,
    /// What one partition has of words counts in the scores of whichever is searched next.
    SharedStatistics = 2,
}

static PLANTED: AtomicU8 = AtomicU8::new(0);

/// Puts a defect into every store of this process.
pub fn plant(defect: Defect) {
    PLANTED.store(defect as u8, Ordering::Relaxed);
}

/// Whether this one was planted.
pub(crate) fn is_planted(defect: Defect) -> bool {
    PLANTED.load(Ordering::Relaxed) == defect as u8
}
