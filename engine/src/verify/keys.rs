//! Which keys does a store have, for those who only look?
//!
//! The keyring itself mends its mirrors when it is opened; here they are read as they lie. Of a slot in both
//! mirrors the one that checks holds, and of two that check the one with the higher generation, as there.

use super::VerifyError;
use crate::io::{Mapped, Medium};
use crate::seal::{Key, KeyOpener, Place, Unsealable};
use crate::workspace::RootKey;
use std::collections::HashMap;
use strongroom_format::Damage;
use strongroom_format::keyring::{KeyKind, KeySlot, SLOT_BYTES, SlotState};

/// A slot as one mirror has it: `None` when it was never used, or lies beyond the mirror's end.
pub(super) type Found = Result<Option<KeySlot>, Damage>;

/// The keyring of a store as it lies, and the keys that the root key opens.
pub struct StoreKeys {
    mirrors: [Mapped; 2],
    /// What holds; `None` where nothing does.
    slots: Vec<Option<KeySlot>>,
    by_incarnation: HashMap<[u8; 16], u32>,
    /// Whether there is a slot that checks in neither mirror.
    pub(super) is_incomplete: bool,
    root: Option<Key>,
    workspaces: HashMap<[u8; 16], (Key, KeyOpener)>,
}

impl StoreKeys {
    /// Reads both mirrors. With a root key the workspaces' keys are opened: a root key that opens none of them is
    /// the wrong one.
    pub fn read(medium: &Medium, root: Option<RootKey>) -> Result<Self, VerifyError> {
        let mirrors = [medium.slots.read_mirror(0)?, medium.slots.read_mirror(1)?];
        let count = mirrors.iter().map(|mirror| mirror.len()).max().unwrap_or_default() / SLOT_BYTES;
        let mut keys = Self {
            mirrors,
            slots: Vec::with_capacity(count),
            by_incarnation: HashMap::new(),
            is_incomplete: false,
            root: root.map(|root| Key::from_bytes(root.0)),
            workspaces: HashMap::new(),
        };
        for number in 0..u32::try_from(count).unwrap_or(u32::MAX) {
            let slot = match (keys.found(0, number), keys.found(1, number)) {
                (Ok(Some(first)), Ok(Some(second))) if second.generation.get() > first.generation.get() => {
                    Some(second)
                }
                (Ok(Some(first)), _) => Some(first),
                (_, Ok(Some(second))) => Some(second),
                (Ok(None), Ok(None)) => None,
                _ => {
                    keys.is_incomplete = true;
                    None
                }
            };
            keys.slots.push(slot);
            if let Some(slot) = slot {
                keys.index(number, &slot);
            }
        }
        keys.open_workspaces()?;
        Ok(keys)
    }

    /// A workspace's id may come twice, when it was made again after a drop: the living one counts.
    fn index(&mut self, number: u32, slot: &KeySlot) {
        let held = self.by_incarnation.get(&slot.incarnation).and_then(|&held| self.slot(held));
        if held.is_none_or(|held| held.state > slot.state) {
            self.by_incarnation.insert(slot.incarnation, number);
        }
    }

    fn open_workspaces(&mut self) -> Result<(), VerifyError> {
        let Some(root) = &self.root else { return Ok(()) };
        let opener = root.opener();
        let live = |slot: &&KeySlot| slot.kind() == KeyKind::Workspace && slot.state() == SlotState::Live;
        let mut is_any_closed = false;
        for slot in self.slots.iter().flatten().filter(live) {
            match open(&opener, slot) {
                Ok(key) => {
                    let opener = key.opener();
                    self.workspaces.insert(slot.incarnation, (key, opener));
                }
                Err(Unsealable) => is_any_closed = true,
            }
        }
        if is_any_closed && self.workspaces.is_empty() {
            return Err(VerifyError::WrongKey);
        }
        Ok(())
    }

    /// How many slots there are.
    pub(super) fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    /// How many whole slots a mirror has.
    pub(super) fn mirror_len(&self, mirror: usize) -> u32 {
        (self.mirrors[mirror].len() / SLOT_BYTES) as u32
    }

    /// A slot as one mirror has it.
    pub(super) fn found(&self, mirror: usize, number: u32) -> Found {
        let begin = number as usize * SLOT_BYTES;
        let Some(bytes) = self.mirrors[mirror].get(begin..begin + SLOT_BYTES) else { return Ok(None) };
        KeySlot::read(bytes, number).map_err(|damage| located(damage, mirror, number))
    }

    /// The slot that holds, of either mirror.
    pub(super) fn slot(&self, number: u32) -> Option<&KeySlot> {
        self.slots.get(number as usize)?.as_ref()
    }

    /// All slots that hold, with their numbers.
    pub(super) fn slots(&self) -> impl Iterator<Item = (u32, &KeySlot)> {
        (0..).zip(&self.slots).filter_map(|(number, slot)| Some((number, slot.as_ref()?)))
    }

    /// The slot that serves or served this incarnation.
    pub(super) fn number_of(&self, incarnation: &[u8; 16]) -> Option<u32> {
        self.by_incarnation.get(incarnation).copied()
    }

    /// Which state an incarnation's key is in; `Free` when no slot tells of it.
    pub(super) fn state(&self, incarnation: &[u8; 16]) -> SlotState {
        self.number_of(incarnation)
            .and_then(|number| self.slot(number))
            .map_or(SlotState::Free, KeySlot::state)
    }

    /// Whether an incarnation is no more, or about to be: nothing of it has to be readable.
    pub(super) fn is_gone(&self, incarnation: &[u8; 16]) -> bool {
        matches!(self.state(incarnation), SlotState::Shredding | SlotState::Shredded)
    }

    /// Whether some key is overwritten already whose erasing isn't finished.
    pub(super) fn is_erasing(&self) -> bool {
        self.slots().any(|(_, slot)| slot.state() == SlotState::Shredding)
    }

    /// The root key.
    pub(super) fn root(&self) -> Option<&Key> {
        self.root.as_ref()
    }

    /// A workspace's key.
    pub(super) fn workspace(&self, id: &[u8; 16]) -> Option<&Key> {
        self.workspaces.get(id).map(|(key, _)| key)
    }

    /// The key of the workspace that an incarnation belongs to.
    pub(super) fn above(&self, incarnation: &[u8; 16]) -> Option<&Key> {
        let slot = self.slot(self.number_of(incarnation)?)?;
        self.workspace(&slot.workspace)
    }

    /// A partition's key, if it is alive and can be opened.
    pub(crate) fn partition(&self, incarnation: &[u8; 16]) -> Option<Key> {
        let slot = self.slot(self.number_of(incarnation)?)?;
        self.open_partition(slot)?.ok()
    }

    /// Opens the key in a partition's slot; `None` when it is gone, or its workspace's key is not there.
    pub(super) fn open_partition(&self, slot: &KeySlot) -> Option<Result<Key, Unsealable>> {
        let is_alive = slot.state() == SlotState::Live && slot.kind() == KeyKind::Partition;
        let (_, opener) = self.workspaces.get(&slot.workspace).filter(|_| is_alive)?;
        Some(open(opener, slot))
    }
}

fn open(opener: &KeyOpener, slot: &KeySlot) -> Result<Key, Unsealable> {
    let place = Place {
        incarnation: slot.incarnation,
        file_id: slot.workspace,
        position: u64::from(slot.slot.get()),
        kind: slot.kind,
    };
    opener.open_key(&slot.sealed_key, place, slot.nonce)
}

/// Says which slot of which mirror the damage is in.
pub(super) fn located(damage: Damage, mirror: usize, number: u32) -> Damage {
    damage.at(["keyring/0", "keyring/1"][mirror], u64::from(number) * SLOT_BYTES as u64)
}
