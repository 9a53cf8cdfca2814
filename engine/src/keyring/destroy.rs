//! How is a key destroyed, and how is that known?
//!
//! Live → shredding: the key is overwritten in both mirrors, its bytes elsewhere are still to be erased. →
//! shredded: those are erased too. → whatever the slot serves next, see invariant 5 of the room.

use super::mirrors::{is_without_key, read};
use super::table::{Resident, Table};
use super::{Incarnation, Keyring, Owner, belonging};
use crate::io::{Fault, lock};
use std::collections::BTreeMap;
use strongroom_format::keyring::{KeyKind, KeySlot, SlotState};
use zerocopy::little_endian::U64;

impl Keyring {
    /// Overwrites the keys of these incarnations in both mirrors. From here on nothing sealed with them
    /// opens. Every record sealed with them has a smaller number than `retired_record`. Slots that serve
    /// others by now, or whose key is gone, are left alone; one that can't be read is believed to be the
    /// incarnation's that the caller names.
    pub fn destroy(&self, slots: &[(u32, Incarnation)], retired_record: u64) -> Result<(), Fault> {
        let mut table = lock(&self.table);
        let serves = |&&(number, incarnation): &&(u32, Incarnation)| match table.get(number) {
            Some(slot) => slot.state == SlotState::Live && slot.incarnation == incarnation,
            None => table.unreadable.contains_key(&number),
        };
        let doomed: BTreeMap<u32, Incarnation> = slots.iter().filter(serves).copied().collect();
        table.withdraw(&doomed);
        let numbers: Vec<u32> = doomed.keys().copied().collect();
        self.end(&mut table, &numbers, |table, number, current| {
            let incarnation = doomed[&number];
            let (kind, workspace) = match (table.get(number), current) {
                (Some(slot), _) => (slot.kind, table.rows[slot.row as usize].id),
                (None, Some(slot)) if slot.incarnation == incarnation => (slot.kind(), slot.workspace),
                _ => (KeyKind::Partition, [0; 16]),
            };
            ended(SlotState::Shredding, Owner { kind, incarnation, workspace }, retired_record)
        })
    }

    /// Notes that the bytes that the keys had sealed are erased as well.
    pub fn erased(&self, slots: &[u32]) -> Result<(), Fault> {
        let mut table = lock(&self.table);
        let mut numbers: Vec<u32> = slots.to_vec();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.retain(|&number| table.get(number).is_some_and(|slot| slot.state == SlotState::Shredding));
        self.end(&mut table, &numbers, |table, number, current| {
            let Resident { incarnation, row, kind, .. } = table.slots[number as usize];
            let owner = Owner { kind, incarnation, workspace: table.rows[row as usize].id };
            // A slot that doesn't say when its key retired never serves again.
            let retired_record = current.map_or(u64::MAX, |slot| slot.retired_record.get());
            ended(SlotState::Shredded, owner, retired_record)
        })
    }

    /// Whether the medium, read back, holds nothing of this incarnation's key in either mirror. What can't be
    /// told apart from a key counts as one.
    pub fn is_destroyed(&self, slot: u32, incarnation: Incarnation) -> Result<bool, Fault> {
        let _not_while_written = lock(&self.table);
        for mirror in [0, 1] {
            let bytes = self.mirrors.run(mirror, slot..slot + 1)?;
            let serves_another = read(&bytes, mirror, slot)
                .is_ok_and(|slot| slot.state() != SlotState::Free && slot.incarnation != incarnation);
            if !serves_another && !is_without_key(&bytes) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets shredded slots serve again whose keys sealed only records before this one, the first that the log
    /// still has. See invariant 5.
    pub fn reuse(&self, before_record: u64) {
        lock(&self.table).reuse(before_record);
    }
}

impl Keyring {
    /// Rewrites slots, workspaces' own after all others: a workspace's slot says how far its erasure has come,
    /// and must not say so before it has.
    fn end(
        &self,
        table: &mut Table,
        numbers: &[u32],
        make: impl Fn(&Table, u32, Option<&KeySlot>) -> KeySlot,
    ) -> Result<(), Fault> {
        let is_workspace =
            |number: &u32| table.get(*number).is_some_and(|slot| slot.kind == KeyKind::Workspace);
        let (last, first): (Vec<u32>, Vec<u32>) = numbers.iter().partition(|number| is_workspace(number));
        self.rewrite(table, &first, &make)?;
        self.rewrite(table, &last, &make)
    }
}

/// A slot whose key is gone.
fn ended(state: SlotState, owner: Owner, retired_record: u64) -> KeySlot {
    KeySlot { retired_record: U64::new(retired_record), ..belonging(state, owner) }
}
