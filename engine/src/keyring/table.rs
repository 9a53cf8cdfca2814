//! What of the slots is held in memory?
//!
//! Invariants:
//! 1. A slot takes 24 bytes, and no sealed key among them. Spares and slots that wait to be used again take a
//!    little more; both are slots that nobody's partition is in.
//! 2. A slot is in at most one of: a workspace's spares, `retired`, `reusable`, and the hands of a caller.

use super::{Incarnation, MINTED_TOGETHER};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use strongroom_format::Damage;
use strongroom_format::keyring::{KeyKind, KeySlot, SlotState};

/// Stretches of slots that one mint writes at most: each costs a sync of both mirrors.
const RUNS_MAX: usize = 4;

/// A slot.
#[derive(Clone, Copy)]
pub(super) struct Resident {
    pub(super) incarnation: Incarnation,
    /// A row of [`Table::rows`].
    pub(super) row: u32,
    pub(super) state: SlotState,
    pub(super) kind: KeyKind,
}

const _: () = assert!(size_of::<Resident>() <= 24);

/// A slot that was never used, or that can't be read. Its row means nothing.
const NOTHING: Resident =
    Resident { incarnation: [0; 16], row: u32::MAX, state: SlotState::Free, kind: KeyKind::Partition };

/// A workspace that some slot belongs or belonged to.
pub(super) struct Row {
    pub(super) id: Incarnation,
    /// The slot of its own key, while it is alive.
    pub(super) slot: Option<u32>,
    /// The slot in which its key was to be made when the medium failed: the next attempt takes the same one,
    /// for after a crash in between two keys would both be the workspace's.
    pub(super) begun: Option<u32>,
    /// Minted and never used, highest first.
    pub(super) spares: Vec<u32>,
}

/// All slots.
#[derive(Default)]
pub(super) struct Table {
    pub(super) slots: Vec<Resident>,
    pub(super) rows: Vec<Row>,
    by_id: HashMap<Incarnation, u32>,
    /// Slots that may serve again, highest first.
    reusable: Vec<u32>,
    /// Shredded slots by their `retired_record`.
    retired: BTreeMap<u64, Vec<u32>>,
    /// Slots that check in neither mirror, and why.
    pub(super) unreadable: BTreeMap<u32, Damage>,
    /// Slots that stand in one mirror alone: nobody gets them.
    pub(super) single: BTreeSet<u32>,
}

impl Table {
    /// Of all slots, less the unused ones at the end: minting goes on there.
    pub(super) fn new(slots: &[KeySlot], unreadable: BTreeMap<u32, Damage>, single: BTreeSet<u32>) -> Self {
        let used = slots.iter().rposition(|slot| slot.state() != SlotState::Free).map_or(0, |last| last + 1);
        let end = unreadable.keys().last().map_or(0, |&last| last as usize + 1).max(used);
        let mut table = Self { unreadable, single, ..Self::default() };
        table.slots = vec![NOTHING; end];
        slots[..used].iter().filter(|slot| slot.state() != SlotState::Free).for_each(|slot| table.put(slot));
        table
    }

    /// Takes over a slot that was written.
    pub(super) fn put(&mut self, slot: &KeySlot) {
        let number = slot.slot.get();
        let row = self.row(slot.workspace);
        let resident =
            Resident { incarnation: slot.incarnation, row, state: slot.state(), kind: slot.kind() };
        let is_key_of_workspace = resident.kind == KeyKind::Workspace;
        let own = &mut self.rows[row as usize].slot;
        match resident.state {
            SlotState::Live if is_key_of_workspace => *own = Some(number),
            _ if is_key_of_workspace && *own == Some(number) => *own = None,
            SlotState::Shredded => self.retired.entry(slot.retired_record.get()).or_default().push(number),
            _ => {}
        }
        if self.slots.len() <= number as usize {
            self.slots.resize(number as usize + 1, NOTHING);
        }
        self.slots[number as usize] = resident;
        self.unreadable.remove(&number);
    }

    /// The row of a workspace, made when there is none.
    pub(super) fn row(&mut self, id: Incarnation) -> u32 {
        *self.by_id.entry(id).or_insert_with(|| {
            self.rows.push(Row { id, slot: None, begun: None, spares: Vec::new() });
            self.rows.len() as u32 - 1
        })
    }

    /// A workspace's row, when it has one.
    pub(super) fn row_of(&self, id: &Incarnation) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// Why a workspace that has partitions has no key, if it may have lost it to damage.
    pub(super) fn lost_key(&self, row: u32) -> Option<&Damage> {
        let is_its = |slot: &Resident| slot.row == row && slot.state == SlotState::Live;
        self.unreadable.values().next().filter(|_| self.slots.iter().any(is_its))
    }

    /// The slot, unless it was never used.
    pub(super) fn get(&self, number: u32) -> Option<&Resident> {
        self.slots.get(number as usize).filter(|slot| slot.state != SlotState::Free)
    }

    /// The numbers of the slots that are so.
    pub(super) fn select(&self, which: impl Fn(&Resident) -> bool) -> Vec<u32> {
        (0..).zip(&self.slots).filter(|(_, slot)| which(slot)).map(|(number, _)| number).collect()
    }

    /// Lets shredded slots serve again whose keys sealed only records before this one.
    pub(super) fn reuse(&mut self, before_record: u64) {
        let later = self.retired.split_off(&before_record);
        let retired = std::mem::replace(&mut self.retired, later);
        let single = &self.single;
        self.reusable.extend(retired.into_values().flatten().filter(|number| !single.contains(number)));
        self.reusable.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// A slot for one key, which is the caller's from here on.
    pub(super) fn take_one(&mut self) -> u32 {
        self.reusable.pop().unwrap_or_else(|| {
            self.slots.push(NOTHING);
            self.slots.len() as u32 - 1
        })
    }

    /// Slots for new keys, rising: the lowest that may serve again, in few stretches, or a whole mint beyond
    /// the end. They stay where they are until [`Table::taken`].
    pub(super) fn choose(&self) -> Vec<u32> {
        let mut chosen: Vec<u32> = Vec::new();
        let mut stretches = 0;
        for &number in self.reusable.iter().rev().take(MINTED_TOGETHER) {
            stretches += usize::from(chosen.last().is_none_or(|&last| last + 1 != number));
            if stretches > RUNS_MAX {
                break;
            }
            chosen.push(number);
        }
        if chosen.is_empty() {
            let end = self.slots.len() as u32;
            chosen.extend(end..end + MINTED_TOGETHER as u32);
        }
        chosen
    }

    /// The chosen slots were written.
    pub(super) fn taken(&mut self, chosen: &[u32]) {
        if self.reusable.last() == chosen.first() {
            self.reusable.truncate(self.reusable.len() - chosen.len());
        }
    }

    /// Takes these slots out of the spares.
    pub(super) fn withdraw(&mut self, numbers: &BTreeMap<u32, Incarnation>) {
        let slots = &self.slots;
        let rows: BTreeSet<u32> =
            numbers.keys().filter_map(|&number| Some(slots.get(number as usize)?.row)).collect();
        for row in rows {
            if let Some(row) = self.rows.get_mut(row as usize) {
                row.spares.retain(|spare| !numbers.contains_key(spare));
            }
        }
    }
}
