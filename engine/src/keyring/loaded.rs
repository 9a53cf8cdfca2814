//! Which keys were there when the store was opened?
//!
//! Recovery looks up incarnations by the thousand, and opens the keys that it needs, from the bytes that were
//! read to mend the mirrors. All of it is dropped when recovery is done: it takes about 200 bytes for each
//! slot, where the [`Keyring`](super::Keyring) goes on with 24.

use super::{Incarnation, place};
use crate::seal::{Key, KeyOpener, Unsealable};
use std::collections::HashMap;
use strongroom_format::keyring::{KeySlot, SlotState};
use zerocopy::FromBytes;

/// The slots as they were read, mended.
pub struct Loaded {
    bytes: Vec<u8>,
    by_incarnation: HashMap<Incarnation, u32>,
}

impl Loaded {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let mut loaded = Self { bytes, by_incarnation: HashMap::new() };
        let mut index: HashMap<Incarnation, u32> = HashMap::with_capacity(loaded.slots().len());
        for (number, slot) in (0..).zip(loaded.slots()) {
            if slot.state() == SlotState::Free {
                continue;
            }
            // A workspace's id may come twice, when it was made again after a drop: the living one counts.
            let held = index.get(&slot.incarnation).map(|&held| loaded.slots()[held as usize].state);
            if held.is_none_or(|held| held > slot.state) {
                index.insert(slot.incarnation, number);
            }
        }
        loaded.by_incarnation = index;
        loaded
    }

    /// All slots, by number. Those that were never used and those that can't be read are zero.
    pub fn slots(&self) -> &[KeySlot] {
        <[KeySlot]>::ref_from_bytes(&self.bytes).unwrap_or_default()
    }

    /// The slot that serves or served this incarnation.
    pub fn slot_of(&self, incarnation: &Incarnation) -> Option<u32> {
        self.by_incarnation.get(incarnation).copied()
    }

    /// Which state an incarnation's key was in; `Free` when no slot tells of it.
    pub fn state(&self, incarnation: &Incarnation) -> SlotState {
        self.get(incarnation).map_or(SlotState::Free, KeySlot::state)
    }

    /// The workspace that an incarnation belongs to.
    pub fn workspace_of(&self, incarnation: &Incarnation) -> Option<Incarnation> {
        self.get(incarnation).map(|slot| slot.workspace)
    }

    /// Opens the key in a slot with the one above it; `None` unless it is alive and this incarnation's. Of
    /// slots that can't be read (see [`Keyring::unreadable`](super::Keyring::unreadable)) it is `None` too.
    pub fn key(
        &self,
        above: &KeyOpener,
        slot: u32,
        incarnation: Incarnation,
    ) -> Result<Option<Key>, Unsealable> {
        match self.slots().get(slot as usize) {
            Some(slot) if slot.state() == SlotState::Live && slot.incarnation == incarnation => {
                above.open_key(&slot.sealed_key, place(slot), slot.nonce).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn get(&self, incarnation: &Incarnation) -> Option<&KeySlot> {
        self.slots().get(*self.by_incarnation.get(incarnation)? as usize)
    }
}
