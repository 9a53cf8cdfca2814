//! What does a slot of the keyring hold?
//!
//! The keyring is two mirrored files, `keyring/0` and `keyring/1`, of slots alone; a slot is overwritten in
//! place, in one mirror after the other. Each slot checks by itself, so a torn page costs at most the slots
//! of one mirror.

use crate::layout::{check_crc, crc_of, zero};
use crate::{Damage, FORMAT_VERSION, layout};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// A slot's length.
pub const SLOT_BYTES: usize = 128;
/// Begins each slot that was ever used.
pub const SLOT_MAGIC: u32 = u32::from_le_bytes(*b"SRKS");

/// What a slot stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SlotState {
    /// Never used: all zero.
    Free = 0,
    /// Holds a key.
    Live = 1,
    /// Its key is gone; what the key had sealed may still lie there: finish at open.
    Shredding = 2,
    /// Key and sealed bytes are gone: only the incarnation stays.
    Shredded = 3,
}

/// Whose key a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyKind {
    /// A workspace's, sealed by the root key.
    Workspace = 1,
    /// A partition's, sealed by its workspace's key.
    Partition = 2,
}

layout! {
    /// One key, sealed by the one above it.
    KeySlot: 128 {
        /// [`SLOT_MAGIC`]; zero when free.
        magic: U32,
        /// A [`SlotState`].
        state: u8,
        /// A [`KeyKind`]; zero when free.
        kind: u8,
        /// [`FORMAT_VERSION`]; zero when free.
        version: U16,
        /// Which slot this is, so that a misdirected write is seen.
        slot: U32,
        /// Counts the writes of this slot: of two mirrors that both check, the higher one holds.
        generation: U64,
        /// Whose key: the workspace's id, or the partition's incarnation.
        incarnation: [u8; 16],
        /// The workspace that it belongs to (a workspace's own id for a workspace).
        workspace: [u8; 16],
        /// Random at each sealing. Zero unless live.
        nonce: [u8; 12],
        /// The key (32 bytes) and its tag. Zero unless live.
        sealed_key: [u8; 48],
        /// Once the key is gone: every record sealed with it has a smaller number. When the log begins later than
        /// that, the slot may serve another key. Zero while live.
        retired_record: U64,
        /// Zero.
        reserved: [u8; 4],
        /// Over the 124 bytes before.
        crc32: U32,
    }
}

impl KeySlot {
    /// Puts the checksum in place.
    #[must_use]
    pub fn finished(mut self) -> Self {
        self.magic = U32::new(SLOT_MAGIC);
        self.version = U16::new(FORMAT_VERSION as u16);
        self.crc32 = crc_of(self.as_bytes());
        self
    }

    /// Reads slot number `slot`; `None` when it was never written.
    pub fn read(bytes: &[u8], slot: u32) -> Result<Option<Self>, Damage> {
        let found = Self::read_from_bytes(bytes)
            .map_err(|_| Damage::new("KeySlot", "128 bytes", format_args!("{} bytes", bytes.len())))?;
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        check_crc("KeySlot.crc32", bytes)?;
        if found.magic.get() != SLOT_MAGIC {
            return Err(Damage::new("KeySlot.magic", "SRKS", format_args!("{:#010x}", found.magic)));
        }
        if u32::from(found.version.get()) != FORMAT_VERSION {
            return Err(Damage::new("KeySlot.version", FORMAT_VERSION, found.version));
        }
        if found.slot.get() != slot {
            return Err(Damage::new("KeySlot.slot", slot, found.slot));
        }
        zero("KeySlot.reserved", &found.reserved)?;
        if !(1..=3).contains(&found.state) {
            return Err(Damage::new("KeySlot.state", "1 to 3", found.state));
        }
        if !(1..=2).contains(&found.kind) {
            return Err(Damage::new("KeySlot.kind", "1 or 2", found.kind));
        }
        if found.state != SlotState::Live as u8 {
            zero("KeySlot.nonce", &found.nonce)?;
            zero("KeySlot.sealed_key", &found.sealed_key)?;
        } else {
            zero("KeySlot.retired_record", found.retired_record.as_bytes())?;
        }
        Ok(Some(found))
    }

    /// The state, as a type.
    pub fn state(&self) -> SlotState {
        match self.state {
            1 => SlotState::Live,
            2 => SlotState::Shredding,
            3 => SlotState::Shredded,
            _ => SlotState::Free,
        }
    }

    /// Whose key, as a type.
    pub fn kind(&self) -> KeyKind {
        if self.kind == KeyKind::Workspace as u8 { KeyKind::Workspace } else { KeyKind::Partition }
    }
}
