//! How much may still grow on the simulated medium?
//!
//! The medium has room for anything until it is full, and for nothing from then on, but for what a released
//! reserve gave back. What used that up doesn't give it back by being deleted: others take it.

use super::machine::Change;
use crate::io::RESERVE_BYTES;

/// What a new name takes beside its bytes: about a block of its folder.
const NAME_BYTES: u64 = 4096;

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

    /// Takes room for a change that grows something from one length to another; `false` when there is none.
    /// `old_bytes` is how long the file of an overwrite is.
    pub(super) fn take(&mut self, changes: &[Change], old_bytes: impl Fn(&str) -> usize) -> bool {
        if !self.is_full {
            return true;
        }
        if changes.iter().any(|change| matches!(change, Change::Hold)) {
            return self.is_held;
        }
        let growth = |change: &Change| match change {
            Change::Make { bytes, .. } => NAME_BYTES + bytes.len() as u64,
            Change::Append { bytes, .. } => bytes.len() as u64,
            Change::Overwrite { name, offset, bytes } => {
                (offset + bytes.len()).saturating_sub(old_bytes(name)) as u64
            }
            Change::Sync { .. } | Change::Remove { .. } | Change::Hold | Change::Release => 0,
        };
        let growth_bytes: u64 = changes.iter().map(growth).sum();
        let left_bytes = self.released_bytes.checked_sub(growth_bytes);
        self.released_bytes = left_bytes.unwrap_or(self.released_bytes);
        left_bytes.is_some()
    }

    /// The reserve is set aside.
    pub(super) fn hold(&mut self) {
        self.is_held = true;
    }

    /// The reserve is given back. On a medium with room it is room like any other.
    pub(super) fn release(&mut self) {
        if std::mem::take(&mut self.is_held) && self.is_full {
            self.released_bytes = RESERVE_BYTES;
        }
    }
}
