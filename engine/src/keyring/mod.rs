//! Where are the keys, and how is one destroyed?
//!
//! A slot for each key: a workspace's, sealed by the root key, or a partition's, sealed by its workspace's.
//! Two mirrors hold the same slots and are written and synced one after the other, so a torn page costs
//! nobody a key. In memory a slot is who it serves and its state; the sealed key is read from the mirrors
//! when it is opened. Format: `format-spec.md`, "Keyring".
//!
//! Invariants:
//! 1. A key is in both mirrors, synced, before anything is sealed with it.
//! 2. Of two mirrors that differ, the valid slot with the higher generation holds; the other is mended at
//!    open, before anything is served. A slot that checks in neither costs that key alone: it is reported,
//!    and nothing but [`Keyring::destroy`] writes it.
//! 3. Once [`Keyring::destroy`] returns, neither mirror holds the key, sealed or not.
//! 4. A partition's key serves one incarnation. Keys that are minted ahead and never used are spares: the
//!    next partitions of the workspace take them, also after a reopen.
//! 5. A slot serves again only after [`Keyring::reuse`], of whatever kind. Nothing old can take its new key
//!    for the one it had:
//!    - Manifest entries name slot and incarnation, of which the latter is random or a workspace's id, and
//!      [`Keyring::find`] wants both.
//!    - Log records name the incarnation alone. The slot forgets the old one only when the log begins later
//!      than every record sealed with the old key, so that recovery never meets a record whose shredding
//!      nobody remembers.
//!    - A key is sealed to incarnation, workspace, kind and slot, under a fresh random nonce, so not even old
//!      bytes of the slot open as the new key.
//!    - A crash within the write leaves the old slot or the new one. The new one is then a spare, for nobody
//!      was told of it.
//!
//! Concurrency: one lock, held across the writes of slots. [`Keyring::find`] reads without it, and a key that
//! was destroyed in the meantime is not handed out.

mod destroy;
mod loaded;
mod mend;
mod mirrors;
mod notes;
mod table;
#[cfg(all(test, feature = "sim"))]
mod tests;

pub use loaded::Loaded;

use crate::io::{Entropy, Fault, SlotStore, StorageErrorKind, lock};
use crate::seal::{Key, KeyOpener, Place, Unsealable};
use mend::mend;
use mirrors::{Mirrors, free, located, runs};
use notes::Notes;
use std::sync::{Arc, Mutex};
use strongroom_format::Damage;
use strongroom_format::keyring::{KeyKind, KeySlot, SLOT_BYTES, SlotState};
use table::{Resident, Table};
use zerocopy::little_endian::{U32, U64};

/// Partition keys made durable together: a new partition seldom waits for the keyring.
const MINTED_TOGETHER: usize = 32;

/// The generation of a slot that is written over bytes that don't check: more than they can have had.
const OVER_DAMAGE: u64 = 1 << 32;

/// A workspace's id or a partition's incarnation.
pub type Incarnation = [u8; 16];

/// The keys of a store.
pub struct Keyring {
    mirrors: Mirrors,
    entropy: Arc<dyn Entropy>,
    table: Mutex<Table>,
    notes: Mutex<Notes>,
}

/// A partition key that is durable and was never used.
#[derive(Debug)]
pub struct Minted {
    /// Where it is.
    pub slot: u32,
    /// Whose it is.
    pub incarnation: Incarnation,
    /// Itself.
    pub key: Key,
}

/// What a slot is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotInfo {
    /// Whose key: the workspace's id, or the partition's incarnation.
    pub incarnation: Incarnation,
    /// The workspace that it belongs to. Zero when the slot couldn't be read before its key was destroyed.
    pub workspace: Incarnation,
    /// Whether it is a workspace's or a partition's.
    pub kind: KeyKind,
    /// Whether it is there.
    pub state: SlotState,
}

impl Keyring {
    /// Reads both mirrors and mends what differs.
    pub fn open(slots: Arc<dyn SlotStore>, entropy: Arc<dyn Entropy>) -> Result<(Self, Loaded), Fault> {
        let mirrors = Mirrors::new(slots);
        let mended = mend(&mirrors)?;
        let loaded = Loaded::new(mended.bytes);
        let table = Table::new(loaded.slots(), mended.unreadable, mended.single);
        let (table, notes) = (Mutex::new(table), Mutex::new(mended.notes));
        Ok((Self { mirrors, entropy, table, notes }, loaded))
    }

    /// Makes a workspace's key, or opens it when it is there. A workspace that has partitions and whose key may
    /// be in a slot that can't be read gets no other.
    pub fn workspace(&self, root: &Key, id: Incarnation) -> Result<(u32, Key), KeyringError> {
        let mut table = lock(&self.table);
        let row = table.row(id) as usize;
        if let Some(slot) = table.rows[row].slot {
            drop(table);
            let key = self.find(root, slot, id)?.ok_or_else(|| gone(slot))?;
            return Ok((slot, key));
        }
        if let Some(damage) = table.lost_key(row as u32) {
            return Err(Fault::from(damage.clone()).into());
        }
        let slot = table.rows[row].begun.unwrap_or_else(|| table.take_one());
        table.rows[row].begun = Some(slot);
        let key = Key::random(&*self.entropy);
        let owner = Owner { kind: KeyKind::Workspace, incarnation: id, workspace: id };
        let written =
            self.rewrite(&mut table, &[slot], |_, number, _| self.live(number, owner, &root.opener(), &key));
        if let Err(Fault::Storage(error)) = &written
            && error.kind == StorageErrorKind::Full
        {
            // That nothing happened must be true: one mirror may have it already.
            self.mirrors.write_to(0, slot, &[0; SLOT_BYTES]).map_err(Fault::from)?;
        }
        written?;
        table.rows[row].begun = None;
        Ok((slot, key))
    }

    /// Whether the making of this workspace's key was begun and may have come to pass.
    pub fn has_begun(&self, id: &Incarnation) -> bool {
        let table = lock(&self.table);
        table.row_of(id).is_some_and(|row| table.rows[row as usize].begun.is_some())
    }

    /// The workspaces whose keys are live, and where these are.
    pub fn workspaces(&self) -> Vec<(Incarnation, u32)> {
        lock(&self.table).rows.iter().filter_map(|row| Some((row.id, row.slot?))).collect()
    }

    /// Opens a key with the one above it; `None` when the slot doesn't hold this incarnation's, alive. A slot
    /// that can't be read is an error: whether the key was there, it no longer tells.
    pub fn find(
        &self,
        above: &Key,
        slot: u32,
        incarnation: Incarnation,
    ) -> Result<Option<Key>, KeyringError> {
        match self.read_live(slot, &incarnation)? {
            Some(found) => Ok(Some(above.open_key(&found.sealed_key, place(&found), found.nonce)?)),
            None => Ok(None),
        }
    }

    fn read_live(&self, slot: u32, incarnation: &Incarnation) -> Result<Option<KeySlot>, Fault> {
        if !serves(&lock(&self.table), slot, incarnation)? {
            return Ok(None);
        }
        if let Ok((found, wrong)) = self.mirrors.live(slot, incarnation) {
            self.note(wrong);
            let still = serves(&lock(&self.table), slot, incarnation)?;
            return Ok(found.filter(|_| still));
        }
        // Perhaps the slot was being written just then.
        let table = lock(&self.table);
        if !serves(&table, slot, incarnation)? {
            return Ok(None);
        }
        match self.mirrors.live(slot, incarnation) {
            Err(Fault::Damaged(damage)) => {
                self.note(Some(damage.clone()));
                Err(damage.into())
            }
            live => Ok(live?.0),
        }
    }

    /// A partition key that is durable and was never used. When the medium is full nothing is lost.
    pub fn mint(&self, workspace: Incarnation, key: &Key) -> Result<Minted, KeyringError> {
        let opener = key.opener();
        let mut table = lock(&self.table);
        let row = table.row(workspace) as usize;
        // A spare that can't be read is left alone, but those that were minted just now must be readable.
        let mut tries = table.rows[row].spares.len() + 1;
        loop {
            let Some(slot) = table.rows[row].spares.pop() else {
                self.mint_together(&mut table, workspace, &opener)?;
                continue;
            };
            let Resident { incarnation, .. } = table.slots[slot as usize];
            match self.open_spare(&opener, slot, incarnation) {
                Ok(Some(key)) => return Ok(Minted { slot, incarnation, key }),
                Ok(None) => {}
                // Left by a workspace that had this id before.
                Err(KeyringError::Unsealable(_)) if tries > 1 => {}
                Err(KeyringError::Fault(Fault::Damaged(damage))) if tries > 1 => {
                    self.note(Some(damage.clone()));
                    table.unreadable.insert(slot, damage);
                }
                Err(error) => {
                    table.rows[row].spares.push(slot);
                    return Err(error);
                }
            }
            tries = tries.saturating_sub(1);
        }
    }

    fn open_spare(
        &self,
        opener: &KeyOpener,
        slot: u32,
        incarnation: Incarnation,
    ) -> Result<Option<Key>, KeyringError> {
        let (found, wrong) = self.mirrors.live(slot, &incarnation)?;
        self.note(wrong);
        let Some(found) = found else { return Ok(None) };
        Ok(Some(opener.open_key(&found.sealed_key, place(&found), found.nonce)?))
    }

    fn mint_together(
        &self,
        table: &mut Table,
        workspace: Incarnation,
        opener: &KeyOpener,
    ) -> Result<(), Fault> {
        let chosen = table.choose();
        for run in runs(&chosen) {
            let run = &chosen[run];
            self.rewrite(table, run, |_, number, _| {
                let mut incarnation = [0; 16];
                self.entropy.fill(&mut incarnation);
                let owner = Owner { kind: KeyKind::Partition, incarnation, workspace };
                self.live(number, owner, opener, &Key::random(&*self.entropy))
            })?;
            table.taken(run);
            let row = table.row(workspace) as usize;
            table.rows[row].spares.splice(0..0, run.iter().rev().copied());
        }
        Ok(())
    }

    /// Takes back a minted key whose partition never came to be.
    pub fn give_back(&self, slot: u32) {
        let mut table = lock(&self.table);
        let Some(&Resident { row, kind: KeyKind::Partition, state: SlotState::Live, .. }) = table.get(slot)
        else {
            return;
        };
        let spares = &mut table.rows[row as usize].spares;
        if !spares.contains(&slot) {
            spares.push(slot);
        }
    }

    /// After recovery: live partition keys that no partition claims are spares.
    pub fn set_spares(&self, claimed: impl Fn(u32) -> bool) {
        let mut table = lock(&self.table);
        table.rows.iter_mut().for_each(|row| row.spares.clear());
        let live = table.select(|slot| slot.kind == KeyKind::Partition && slot.state == SlotState::Live);
        for number in live.into_iter().rev() {
            let is_whole = !table.single.contains(&number) && !table.unreadable.contains_key(&number);
            if is_whole && !claimed(number) {
                let row = table.slots[number as usize].row as usize;
                table.rows[row].spares.push(number);
            }
        }
    }

    /// What a slot is for; `None` when it was never used or couldn't be read at open.
    pub fn slot(&self, slot: u32) -> Option<SlotInfo> {
        let table = lock(&self.table);
        table.get(slot).map(|slot| SlotInfo {
            incarnation: slot.incarnation,
            workspace: table.rows[slot.row as usize].id,
            kind: slot.kind,
            state: slot.state,
        })
    }

    /// How many slots there are, used or not.
    #[cfg(all(test, feature = "sim"))]
    pub fn len(&self) -> usize {
        lock(&self.table).slots.len()
    }

    /// Slots whose key is gone but whose bytes are still to be erased.
    #[cfg(all(test, feature = "sim"))]
    pub fn shredding(&self) -> Vec<u32> {
        lock(&self.table).select(|slot| slot.state == SlotState::Shredding)
    }

    /// Slots of a workspace's live partition keys, the spares included.
    pub fn partitions_of(&self, workspace: &Incarnation) -> Vec<u32> {
        let table = lock(&self.table);
        let Some(row) = table.row_of(workspace) else { return Vec::new() };
        table.select(|slot| {
            slot.row == row && slot.kind == KeyKind::Partition && slot.state == SlotState::Live
        })
    }

    /// Slots that check in neither mirror: their keys are lost, and can only be destroyed.
    pub fn unreadable(&self) -> Vec<u32> {
        lock(&self.table).unreadable.keys().copied().collect()
    }

    /// All damage that was met, mended or not, each with its place.
    pub fn notes(&self) -> Vec<Damage> {
        lock(&self.notes).all()
    }

    fn note(&self, damage: Option<Damage>) {
        if let Some(damage) = damage {
            lock(&self.notes).add(damage);
        }
    }

    /// Writes slots, whose numbers rise, each with the next generation, to both mirrors, and takes them over:
    /// of each stretch all or none. `make` is told what the slot holds, if that can be read.
    fn rewrite(
        &self,
        table: &mut Table,
        numbers: &[u32],
        make: impl Fn(&Table, u32, Option<&KeySlot>) -> KeySlot,
    ) -> Result<(), Fault> {
        for run in runs(numbers) {
            let run = &numbers[run];
            let current = self.mirrors.current(run[0]..run[0] + run.len() as u32)?;
            let next = |(&number, current): (&u32, Result<KeySlot, Damage>)| {
                let current = current.ok();
                let generation = current.map_or(OVER_DAMAGE, |slot| slot.generation.get() + 1);
                let slot = make(table, number, current.as_ref());
                KeySlot { slot: U32::new(number), generation: U64::new(generation), ..slot }.finished()
            };
            let slots: Vec<KeySlot> = run.iter().zip(current).map(next).collect();
            self.mirrors.write(&slots)?;
            slots.iter().for_each(|slot| table.put(slot));
        }
        Ok(())
    }

    fn live(&self, number: u32, owner: Owner, above: &KeyOpener, key: &Key) -> KeySlot {
        let mut slot = KeySlot { slot: U32::new(number), ..belonging(SlotState::Live, owner) };
        self.entropy.fill(&mut slot.nonce);
        slot.sealed_key = above.seal_key(key, place(&slot), slot.nonce);
        slot
    }
}

/// Whose key a slot gets.
#[derive(Clone, Copy)]
struct Owner {
    kind: KeyKind,
    incarnation: Incarnation,
    workspace: Incarnation,
}

fn belonging(state: SlotState, owner: Owner) -> KeySlot {
    KeySlot {
        state: state as u8,
        kind: owner.kind as u8,
        incarnation: owner.incarnation,
        workspace: owner.workspace,
        ..free()
    }
}

/// Whether a slot holds this incarnation's live key, as far as memory knows.
fn serves(table: &Table, slot: u32, incarnation: &Incarnation) -> Result<bool, Damage> {
    match table.unreadable.get(&slot) {
        Some(damage) => Err(damage.clone()),
        None => Ok(table
            .get(slot)
            .is_some_and(|slot| slot.state == SlotState::Live && slot.incarnation == *incarnation)),
    }
}

fn gone(slot: u32) -> Fault {
    located(Damage::new("KeySlot.state", "1 (live)", "another"), 0, slot).into()
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
