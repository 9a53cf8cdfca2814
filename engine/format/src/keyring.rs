//! The keyring's slots.

/// A slot's length.
pub const SLOT_BYTES: usize = 128;
