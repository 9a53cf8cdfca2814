//! Where are the keys, and how is one destroyed?
//!
//! A slot for each key: a workspace's, sealed by the root key, or a partition's, sealed by its workspace's.
//! Two mirrors hold the same slots and are written and synced one after the other, so a torn page costs
//! nobody a key. Format: `format-spec.md`, "Keyring".
//!
//! Invariants:
//! 1. A key is in both mirrors, synced, before anything is sealed with it.
//! 2. Of two mirrors that differ, the valid slot with the higher generation holds; the other is mended at
//!    open, before anything is served.
//! 3. Once [`Keyring::destroy`] returns, neither mirror holds the key, sealed or not.
//! 4. A partition's key serves one incarnation. Keys that are minted ahead and never used are spares: the
//!    next partitions of the workspace take them, also after a reopen.
//!
//! Concurrency: one lock, held across the writes of slots.

use crate::io::{Entropy, Fault, SlotStore, lock};
use crate::seal::{Key, Place, Unsealable};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use strongroom_format::Damage;
use strongroom_format::keyring::{KeyKind, KeySlot, SLOT_BYTES, SlotState};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromZeros, IntoBytes};

/// Partition keys made durable together: a new partition seldom waits for the keyring.
const MINTED_TOGETHER: usize = 32;

/// A workspace's id or a partition's incarnation.
pub type Incarnation = [u8; 16];

/// The keys of a store.
pub struct Keyring {
    slots: Arc<dyn SlotStore>,
    entropy: Arc<dyn Entropy>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slots: Vec<KeySlot>,
    by_incarnation: HashMap<Incarnation, u32>,
    spares: HashMap<Incarnation, Vec<u32>>,
}

impl Keyring {
    /// Reads both mirrors and mends what differs.
    pub fn open(slots: Arc<dyn SlotStore>, entropy: Arc<dyn Entropy>) -> Result<Self, Fault> {
        let mirrors = [slots.read_mirror(0)?, slots.read_mirror(1)?];
        let keyring = Self { slots, entropy, state: Mutex::default() };
        let count = mirrors[0].len().max(mirrors[1].len()).div_ceil(SLOT_BYTES);
        let mut state = State::default();
        for number in 0..count {
            let slot = keyring.reconcile(&mirrors, number as u32)?;
            if slot.state() != SlotState::Free {
                state.by_incarnation.insert(slot.incarnation, number as u32);
            }
            state.slots.push(slot);
        }
        keyring.set(state);
        Ok(keyring)
    }

    fn set(&self, state: State) {
        *lock(&self.state) = state;
    }

    /// The slot that holds, written to the mirror that disagrees.
    fn reconcile(&self, mirrors: &[Vec<u8>; 2], number: u32) -> Result<KeySlot, Fault> {
        let range = number as usize * SLOT_BYTES..(number as usize + 1) * SLOT_BYTES;
        let read = |mirror: usize| match mirrors[mirror].get(range.clone()) {
            None => Ok(None),
            Some(bytes) => KeySlot::read(bytes, number)
                .map_err(|damage| damage.at(["keyring/0", "keyring/1"][mirror], range.start as u64)),
        };
        let (first, second) = (read(0), read(1));
        let generation = |slot: &Result<Option<KeySlot>, Damage>| match slot {
            Err(_) => None,
            Ok(slot) => Some(slot.map_or(0, |slot| slot.generation.get())),
        };
        let (holds, other) = match (generation(&first), generation(&second)) {
            (None, None) => return Err(first.err().map_or_else(|| unreachable!(), Fault::from)),
            (a, b) if a == b => return Ok(first?.unwrap_or_else(free)),
            (a, b) if a > b => (first, 1),
            _ => (second, 0),
        };
        let slot = holds?.unwrap_or_else(free);
        self.slots.write_slots(other, u64::from(number), slot.as_bytes())?;
        Ok(slot)
    }

    /// Makes a workspace's key, or opens it when it is there.
    pub fn workspace(&self, root: &Key, id: Incarnation) -> Result<Key, KeyringError> {
        if let Some(key) = self.find(root, id)? {
            return Ok(key);
        }
        let mut state = lock(&self.state);
        let key = Key::random(&*self.entropy);
        let number = state.slots.len() as u32;
        self.write(&mut state, number, &[self.live(number, KeyKind::Workspace, id, id, root, &key)])?;
        Ok(key)
    }

    /// Opens a key with the one above it; `None` when there is no such key or it was destroyed.
    pub fn find(&self, above: &Key, incarnation: Incarnation) -> Result<Option<Key>, KeyringError> {
        let state = lock(&self.state);
        let Some(&number) = state.by_incarnation.get(&incarnation) else { return Ok(None) };
        let slot = &state.slots[number as usize];
        if slot.state() != SlotState::Live {
            return Ok(None);
        }
        Ok(Some(above.open_key(&slot.sealed_key, place(slot), slot.nonce)?))
    }

    /// A partition key that is durable and was never used.
    pub fn mint(&self, workspace: Incarnation, key: &Key) -> Result<(Incarnation, Key), KeyringError> {
        let mut state = lock(&self.state);
        if state.spares.get(&workspace).is_none_or(Vec::is_empty) {
            let first = state.slots.len() as u32;
            let minted: Vec<KeySlot> = (first..first + MINTED_TOGETHER as u32)
                .map(|number| {
                    let mut incarnation = [0; 16];
                    self.entropy.fill(&mut incarnation);
                    let child = Key::random(&*self.entropy);
                    self.live(number, KeyKind::Partition, incarnation, workspace, key, &child)
                })
                .collect();
            self.write(&mut state, first, &minted)?;
            state.spares.insert(workspace, (first..first + MINTED_TOGETHER as u32).rev().collect());
        }
        let number = state.spares.get_mut(&workspace).and_then(Vec::pop).unwrap_or_default();
        let slot = &state.slots[number as usize];
        Ok((slot.incarnation, key.open_key(&slot.sealed_key, place(slot), slot.nonce)?))
    }

    /// Takes back a minted key whose partition never came to be.
    pub fn give_back(&self, incarnation: Incarnation) {
        let mut state = lock(&self.state);
        if let Some(&number) = state.by_incarnation.get(&incarnation) {
            let workspace = state.slots[number as usize].workspace;
            state.spares.entry(workspace).or_default().push(number);
        }
    }

    /// After recovery: live partition keys that no partition claims are spares.
    pub fn set_spares(&self, claimed: impl Fn(&Incarnation) -> bool) {
        let mut state = lock(&self.state);
        let mut spares: HashMap<Incarnation, Vec<u32>> = HashMap::new();
        for slot in &state.slots {
            if slot.state() == SlotState::Live
                && slot.kind() == KeyKind::Partition
                && !claimed(&slot.incarnation)
            {
                spares.entry(slot.workspace).or_default().push(slot.slot.get());
            }
        }
        state.spares = spares;
    }

    /// Which state a key is in; `Free` when it was never made.
    pub fn state(&self, incarnation: &Incarnation) -> SlotState {
        let state = lock(&self.state);
        state.by_incarnation.get(incarnation).map_or(SlotState::Free, |&n| state.slots[n as usize].state())
    }

    /// The workspace that a partition's key belongs to.
    pub fn workspace_of(&self, incarnation: &Incarnation) -> Option<Incarnation> {
        let state = lock(&self.state);
        state.by_incarnation.get(incarnation).map(|&n| state.slots[n as usize].workspace)
    }

    /// The workspaces whose keys are live.
    pub fn workspaces(&self) -> Vec<Incarnation> {
        self.select(|slot| slot.kind() == KeyKind::Workspace && slot.state() == SlotState::Live)
    }

    /// Incarnations whose key is gone but whose bytes are still to be erased.
    pub fn shredding(&self) -> Vec<Incarnation> {
        self.select(|slot| slot.state() == SlotState::Shredding)
    }

    /// Live partition keys of a workspace, the spares included.
    pub fn partitions_of(&self, workspace: &Incarnation) -> Vec<Incarnation> {
        self.select(|slot| {
            slot.kind() == KeyKind::Partition
                && slot.state() == SlotState::Live
                && slot.workspace == *workspace
        })
    }

    fn select(&self, which: impl Fn(&KeySlot) -> bool) -> Vec<Incarnation> {
        lock(&self.state).slots.iter().filter(|slot| which(slot)).map(|slot| slot.incarnation).collect()
    }

    /// Overwrites the keys in both mirrors. From here on nothing sealed with them opens.
    pub fn destroy(&self, incarnations: &[Incarnation]) -> Result<(), Fault> {
        self.overwrite(incarnations, SlotState::Shredding)
    }

    /// Notes that the bytes that the keys had sealed are erased as well.
    pub fn erased(&self, incarnations: &[Incarnation]) -> Result<(), Fault> {
        self.overwrite(incarnations, SlotState::Shredded)
    }

    fn overwrite(&self, incarnations: &[Incarnation], to: SlotState) -> Result<(), Fault> {
        let mut state = lock(&self.state);
        for incarnation in incarnations {
            let Some(&number) = state.by_incarnation.get(incarnation) else { continue };
            let old = state.slots[number as usize];
            if old.state() == to || old.state() == SlotState::Shredded {
                continue;
            }
            let slot = KeySlot {
                state: to as u8,
                generation: U64::new(old.generation.get() + 1),
                nonce: [0; 12],
                sealed_key: [0; 48],
                ..old
            };
            if let Some(spares) = state.spares.get_mut(&old.workspace) {
                spares.retain(|&spare| spare != number);
            }
            self.write(&mut state, number, &[slot.finished()])?;
        }
        Ok(())
    }

    fn live(
        &self,
        number: u32,
        kind: KeyKind,
        incarnation: Incarnation,
        workspace: Incarnation,
        above: &Key,
        key: &Key,
    ) -> KeySlot {
        let mut slot = KeySlot {
            state: SlotState::Live as u8,
            kind: kind as u8,
            slot: U32::new(number),
            generation: U64::new(1),
            incarnation,
            workspace,
            ..free()
        };
        self.entropy.fill(&mut slot.nonce);
        slot.sealed_key = above.seal_key(key, place(&slot), slot.nonce);
        slot.finished()
    }

    /// Writes consecutive slots to one mirror, then the other, then takes them over.
    fn write(&self, state: &mut State, first: u32, slots: &[KeySlot]) -> Result<(), Fault> {
        let bytes = slots.as_bytes();
        for mirror in [0, 1] {
            self.slots.write_slots(mirror, u64::from(first), bytes)?;
        }
        let end = first as usize + slots.len();
        if state.slots.len() < end {
            state.slots.resize(end, free());
        }
        for (number, slot) in (first..).zip(slots) {
            state.slots[number as usize] = *slot;
            state.by_incarnation.insert(slot.incarnation, number);
        }
        Ok(())
    }
}

fn free() -> KeySlot {
    KeySlot { version: U16::ZERO, ..KeySlot::new_zeroed() }
}

/// A slot's key is sealed to its owner, its workspace and its kind, not to a file: both mirrors hold it.
fn place(slot: &KeySlot) -> Place {
    Place {
        incarnation: slot.incarnation,
        file_id: slot.workspace,
        position: u64::from(slot.slot.get()),
        kind: slot.kind,
    }
}

/// Why a key can't be had.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// The key above doesn't open it: the store was made with another root key.
    #[error(transparent)]
    Unsealable(#[from] Unsealable),
    /// The medium, or bytes that don't check.
    #[error(transparent)]
    Fault(#[from] Fault),
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::io::sim::{Fault as SimFault, Sim};

    const WORKSPACE: Incarnation = [3; 16];

    fn root() -> Key {
        Key::from_bytes([9; 32])
    }

    fn open(sim: &Sim) -> Keyring {
        let medium = sim.restart();
        Keyring::open(medium.slots, medium.entropy).unwrap()
    }

    fn same(a: &Key, b: &Key) -> bool {
        a.keyed_hash(b"x") == b.keyed_hash(b"x")
    }

    /// Without this, a customer's data would be unreadable after a restart, or open with a foreign root key.
    #[test]
    fn keys_come_back_under_the_key_above_and_no_other() {
        let sim = Sim::new(1);
        let keyring = open(&sim);
        let workspace = keyring.workspace(&root(), WORKSPACE).unwrap();
        let (incarnation, key) = keyring.mint(WORKSPACE, &workspace).unwrap();
        sim.crash();
        let keyring = open(&sim);
        let workspace = keyring.find(&root(), WORKSPACE).unwrap().unwrap();
        assert!(same(&keyring.find(&workspace, incarnation).unwrap().unwrap(), &key));
        assert!(matches!(keyring.find(&root(), incarnation), Err(KeyringError::Unsealable(_))));
        let other = Key::from_bytes([8; 32]);
        assert!(matches!(keyring.find(&other, WORKSPACE), Err(KeyringError::Unsealable(_))));
    }

    /// Without this, one torn page would cost customers their keys.
    #[test]
    fn a_damaged_mirror_is_mended_from_the_other() {
        for mirror in ["keyring/0", "keyring/1"] {
            let sim = Sim::new(2);
            let keyring = open(&sim);
            let workspace = keyring.workspace(&root(), WORKSPACE).unwrap();
            let (incarnation, key) = keyring.mint(WORKSPACE, &workspace).unwrap();
            let whole = sim.files();
            for offset in 0..4 * SLOT_BYTES as u64 {
                sim.flip_bit(mirror, offset, (offset % 8) as u8);
            }
            let keyring = open(&sim);
            assert!(same(&keyring.find(&workspace, incarnation).unwrap().unwrap(), &key));
            assert_eq!(sim.files(), whole, "{mirror} is as it was");
        }
    }

    /// Without this, a dropped partition's key could be found in the keyring, or a crash would bring it back.
    #[test]
    fn a_destroyed_key_is_in_neither_mirror_whenever_the_power_goes() {
        for steps in 0..3 {
            let sim = Sim::new(3);
            let keyring = open(&sim);
            let workspace = keyring.workspace(&root(), WORKSPACE).unwrap();
            let (incarnation, _) = keyring.mint(WORKSPACE, &workspace).unwrap();
            let slot = {
                let state = lock(&keyring.state);
                state.slots[state.by_incarnation[&incarnation] as usize]
            };
            if steps < 2 {
                sim.fail_after(steps, SimFault::Crash);
            }
            let destroyed = keyring.destroy(&[incarnation]);
            assert_eq!(destroyed.is_ok(), steps == 2);
            let keyring = open(&sim);
            if destroyed.is_err() {
                // What the host does at open, for the drop is in the log.
                keyring.destroy(&[incarnation]).unwrap();
            }
            assert!(keyring.find(&workspace, incarnation).unwrap().is_none());
            assert_eq!(keyring.shredding(), [incarnation]);
            for (name, bytes) in sim.files().into_iter().chain(sim.residue()) {
                let found = bytes.windows(slot.sealed_key.len()).any(|bytes| bytes == slot.sealed_key);
                assert!(!found, "the sealed key stands in {name}, power cut after {steps} steps");
            }
        }
    }

    /// Without this, a new partition could begin under a key that another has used.
    #[test]
    fn spares_are_keys_that_nobody_claims() {
        let sim = Sim::new(4);
        let keyring = open(&sim);
        let workspace = keyring.workspace(&root(), WORKSPACE).unwrap();
        let (used, _) = keyring.mint(WORKSPACE, &workspace).unwrap();
        let keyring = open(&sim);
        keyring.set_spares(|incarnation| *incarnation == used);
        let before = sim.steps();
        let minted: Vec<Incarnation> =
            (1..MINTED_TOGETHER).map(|_| keyring.mint(WORKSPACE, &workspace).unwrap().0).collect();
        assert_eq!(sim.steps(), before, "spares are durable already");
        assert!(!minted.contains(&used));
        keyring.mint(WORKSPACE, &workspace).unwrap();
        assert!(sim.steps() > before, "then more are minted");
    }
}
