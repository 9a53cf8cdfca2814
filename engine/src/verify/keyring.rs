//! Are both mirrors of the keyring whole, do they say the same, and do the keys open?
//!
//! A slot is written to mirror 0 and then to mirror 1. So a crash leaves mirror 1 behind by the write that was
//! under way, and nothing else: a mint that nobody was told of, or a step of an erasure. Whatever else differs is
//! damage. At the mirrors' end a mint may be torn.

use super::Hits;
use super::keys::{StoreKeys, located};
use super::log::Claimed;
use super::manifest::Manifest;
use super::report::Report;
use std::collections::HashSet;
use strongroom_format::Damage;
use strongroom_format::keyring::{KeyKind, KeySlot, SLOT_BYTES, SlotState};

/// Slots that one mint writes.
const MINT_SLOTS: u32 = 32;

/// Compares the mirrors slot by slot. `claimed` are the incarnations that the log has records of.
pub(super) fn check(keys: &StoreKeys, manifest: &Manifest, claimed: &Claimed, report: &mut Report<'_>) {
    let check = Check { keys, in_use: in_use(keys, manifest, claimed), manifest };
    // Only where both mirrors reach: what one of them lacks at its end is told at once.
    let reach = keys.mirror_len(0).min(keys.mirror_len(1));
    for number in 0..reach {
        check.slot(number, report);
    }
    check.ends(reach, report);
    for (number, slot) in keys.slots() {
        check.opens(number, slot, report);
    }
    for mirror in [0, 1] {
        report.file(keys.mirror_len(mirror) as usize * SLOT_BYTES);
    }
    report.verified.slots = keys.slots().count() as u64;
}

/// The slots whose keys sealed something: these were in both mirrors before that.
fn in_use(keys: &StoreKeys, manifest: &Manifest, claimed: &Claimed) -> HashSet<u32> {
    let mut in_use: HashSet<u32> = claimed.0.iter().filter_map(|id| keys.number_of(id)).collect();
    in_use.extend(manifest.partitions.values().map(|entry| entry.state.key_slot));
    let minted = keys.slots().filter(|(_, slot)| slot.kind() == KeyKind::Partition);
    in_use.extend(minted.filter_map(|(_, slot)| keys.number_of(&slot.workspace)));
    in_use
}

struct Check<'a> {
    keys: &'a StoreKeys,
    in_use: HashSet<u32>,
    manifest: &'a Manifest,
}

impl Check<'_> {
    fn slot(&self, number: u32, report: &mut Report<'_>) {
        match [self.keys.found(0, number), self.keys.found(1, number)] {
            [Ok(first), Ok(second)] if first == second => {}
            [Ok(first), Ok(second)] => {
                let [generation, other] =
                    [&first, &second].map(|slot| slot.as_ref().map_or(0, |slot| slot.generation.get()));
                if other > generation {
                    let damage = Damage::new("KeySlot.generation", other, generation);
                    return report.fault(located(damage, 0, number), Hits::Mended);
                }
                let damage = match (&first, &second) {
                    (Some(first), Some(second)) if generation == other => {
                        Damage::new("KeySlot.crc32", first.crc32, second.crc32)
                    }
                    _ => Damage::new("KeySlot.generation", generation, other),
                };
                let is_cut = self.is_under_way(number, first.as_ref(), second.as_ref());
                report.fault_unless(is_cut, located(damage, 1, number), Hits::Mended);
            }
            [Ok(Some(_)), Err(damage)] | [Err(damage), Ok(Some(_))] => report.fault(damage, Hits::Mended),
            [Err(damage), Ok(None)] => {
                let is_mint = !self.in_use.contains(&number) && self.is_last_mint(number);
                report.fault_unless(is_mint, damage, self.hits(number, report));
            }
            [Ok(None), Err(damage)] => report.fault(damage, self.hits(number, report)),
            [Err(first), Err(second)] => {
                let hits = self.hits(number, report);
                report.fault(first, hits.clone());
                report.fault(second, hits);
            }
        }
    }

    /// Whether a crash between the writes of the two mirrors leaves mirror 0 ahead like this.
    fn is_under_way(&self, number: u32, first: Option<&KeySlot>, second: Option<&KeySlot>) -> bool {
        let Some(first) = first else { return false };
        let before = second.filter(|second| second.incarnation == first.incarnation).map(KeySlot::state);
        match first.state() {
            SlotState::Free => false,
            SlotState::Live => !self.in_use.contains(&number),
            SlotState::Shredding => before == Some(SlotState::Live),
            SlotState::Shredded => before == Some(SlotState::Shredding),
        }
    }

    /// Whether mirror 1 has nothing in this slot, nor in those after it.
    fn is_last_mint(&self, number: u32) -> bool {
        let end = number.saturating_add(MINT_SLOTS).min(self.keys.len());
        let is_short = self.keys.len() <= number.saturating_add(MINT_SLOTS);
        is_short && (number..end).all(|number| matches!(self.keys.found(1, number), Ok(None)))
    }

    /// Slots that one mirror has beyond the end of the other.
    fn ends(&self, reach: u32, report: &mut Report<'_>) {
        let longer = usize::from(self.keys.mirror_len(1) > reach);
        let beyond = reach..self.keys.mirror_len(longer);
        let is_used = |number| !matches!(self.keys.found(longer, number), Ok(None));
        if !beyond.clone().any(is_used) {
            return;
        }
        let is_mint = |number| match self.keys.found(0, number) {
            Ok(Some(slot)) => self.is_under_way(number, Some(&slot), None),
            Ok(None) | Err(_) => !self.in_use.contains(&number),
        };
        let is_cut = longer == 0 && beyond.len() <= MINT_SLOTS as usize && beyond.clone().all(is_mint);
        let there = format!("{reach} slots");
        let damage = Damage::new("KeySlot", format_args!("{} slots", beyond.end), there);
        report.fault_unless(is_cut, located(damage, 1 - longer, reach), Hits::Mended);
        for number in beyond {
            if let Err(damage) = self.keys.found(longer, number) {
                report.fault_unless(is_cut, damage, self.hits(number, report));
            }
        }
    }

    /// Whether the key in a slot opens, as far as the root key was given.
    fn opens(&self, number: u32, slot: &KeySlot, report: &mut Report<'_>) {
        if slot.state() != SlotState::Live || self.keys.root().is_none() {
            return;
        }
        let closed = || located(Damage::new("KeySlot.sealed_key", "a key that opens", "none"), 0, number);
        match slot.kind() {
            KeyKind::Workspace if self.keys.workspace(&slot.incarnation).is_none() => {
                report.fault(closed(), Hits::Store);
            }
            KeyKind::Workspace => {}
            KeyKind::Partition => match self.keys.open_partition(slot) {
                Some(Ok(_)) => {}
                Some(Err(_)) => report.fault(closed(), report.partition(slot.incarnation)),
                // The workspace's own key is missing: told above, or it is being dropped.
                None if self.keys.is_incomplete => {}
                None if self.keys.state(&slot.workspace) != SlotState::Free => {}
                None => {
                    let damage = Damage::new("KeySlot.workspace", "a workspace's key", "none");
                    report.fault(located(damage, 0, number), report.partition(slot.incarnation));
                }
            },
        }
    }

    /// Whom a slot that nobody can read hits: the partition that the manifest says is in it.
    fn hits(&self, number: u32, report: &Report<'_>) -> Hits {
        let mut named = self.manifest.partitions.values().filter(|entry| entry.state.key_slot == number);
        match named.next() {
            Some(entry) => report.partition(entry.state.incarnation),
            None => Hits::Store,
        }
    }
}
