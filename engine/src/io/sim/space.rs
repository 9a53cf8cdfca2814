//! How much may still grow on the simulated medium?
//!
//! The medium has room for anything until it is full, and for nothing from then on, but for what a released
//! reserve gave back. What used that up doesn't give it back by being deleted: others take it.

use crate::io::RESERVE_BYTES;

/// The room on one medium.
#[derive(Default, Clone)]
pub(super) struct Space {
    is_full: bool,
    /// Whether the reserve is set aside.
    pub(super) is_held: bool,
    /// What is left of a reserve that was released while the medium was full.
    released_bytes: u64,
}

impl Space {
    /// Nothing can grow from now on.
    pub(super) fn fill(&mut self) {
        self.is_full = true;
    }

    /// Anything can grow again.
    pub(super) fn empty(&mut self) {
        self.is_full = false;
        self.released_bytes = 0;
    }

    /// Takes room for this much growth; `false` when there isn't as much.
    pub(super) fn take(&mut self, growth_bytes: u64) -> bool {
        if !self.is_full {
            return true;
        }
        let left_bytes = self.released_bytes.checked_sub(growth_bytes);
        self.released_bytes = left_bytes.unwrap_or(self.released_bytes);
        left_bytes.is_some()
    }

    /// Sets the reserve aside.
    pub(super) fn hold(&mut self) {
        self.is_held = true;
    }

    /// Gives the reserve back. On a medium with room it is room like any other.
    pub(super) fn release(&mut self) {
        if std::mem::take(&mut self.is_held) && self.is_full {
            self.released_bytes = RESERVE_BYTES;
        }
    }
}
