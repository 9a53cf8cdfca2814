//! Which of two mirrors that differ holds, and how does the other get it back?
//!
//! Slot by slot: see [`decide`]. A slot that checks in neither mirror stays as it is: that key is lost, and no
//! other with it. One kind of torn slot is no damage: see [`cut_mint`].

use super::MINTED_TOGETHER;
use super::mirrors::{Mirrors, decide, located, read, runs};
use super::notes::Notes;
use crate::io::{Fault, Mapped, StorageErrorKind};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use strongroom_format::Damage;
use strongroom_format::keyring::{KeySlot, SLOT_BYTES};

/// The keyring as it holds after mending.
pub(super) struct Mended {
    /// All slots. Those that check nowhere are zero here.
    pub(super) bytes: Vec<u8>,
    /// The slots that check in neither mirror, and why.
    pub(super) unreadable: BTreeMap<u32, Damage>,
    /// Slots that stand in one mirror alone, for there was no room to mend the other.
    pub(super) single: BTreeSet<u32>,
    /// All that was wrong.
    pub(super) notes: Notes,
}

/// Reads both mirrors and mends what differs.
pub(super) fn mend(mirrors: &Mirrors) -> Result<Mended, Fault> {
    let found = mirrors.whole()?;
    let count = (found[0].len().max(found[1].len()) / SLOT_BYTES).min(u32::MAX as usize);
    let cut = cut_mint(&found);
    let lengths = [found[0].len(), found[1].len()];
    let [first, second] = found;
    let mut bytes = vec![0; count * SLOT_BYTES];
    bytes[..first.len()].copy_from_slice(&first);
    drop(first);
    let mut mended =
        Mended { bytes, unreadable: BTreeMap::new(), single: BTreeSet::new(), notes: Notes::default() };
    let mut behind = [Vec::new(), Vec::new()];
    for number in 0..count as u32 {
        let range = number as usize * SLOT_BYTES..(number as usize + 1) * SLOT_BYTES;
        let second = second.get(range.clone()).unwrap_or(&[0; SLOT_BYTES]);
        let reads = [read(&mended.bytes[range.clone()], 0, number), read(second, 1, number)];
        match decide(&reads[0], &reads[1]) {
            Some(_) if mended.bytes[range.clone()] == *second => continue,
            Some(holds) => {
                let other = 1 - holds;
                behind[other].push(number);
                if range.start < lengths[other] {
                    mended.notes.add(why(&reads, holds, number));
                }
                if holds == 1 {
                    mended.bytes[range.clone()].copy_from_slice(second);
                }
            }
            None => {
                mended.bytes[range].fill(0);
                let [first, second] = reads.map(Result::err);
                if second.is_none() && cut.contains(&(number as usize)) {
                    behind[0].push(number);
                } else {
                    mended.unreadable.extend(first.clone().or(second.clone()).map(|damage| (number, damage)));
                }
                first.into_iter().chain(second).for_each(|damage| mended.notes.add(damage));
            }
        }
    }
    for (mirror, numbers) in behind.into_iter().enumerate() {
        if numbers.last().is_some_and(|&last| last as usize * SLOT_BYTES >= lengths[mirror]) {
            let there = lengths[mirror] / SLOT_BYTES;
            let short = Damage::new("KeySlot", format_args!("{count} slots"), format_args!("{there} slots"));
            mended.notes.add(located(short, mirror, there as u32));
        }
        mended.rewrite(mirrors, mirror, &numbers)?;
    }
    Ok(mended)
}

impl Mended {
    /// Writes slots of one mirror as they must be. A full medium is no reason to refuse the keys: what can't
    /// be mended stands in the other mirror.
    fn rewrite(&mut self, mirrors: &Mirrors, mirror: usize, numbers: &[u32]) -> Result<(), Fault> {
        for run in runs(numbers) {
            let numbers = &numbers[run];
            let begin = numbers[0] as usize * SLOT_BYTES;
            let bytes = &self.bytes[begin..begin + numbers.len() * SLOT_BYTES];
            match mirrors.write_to(mirror, numbers[0], bytes) {
                Err(error) if error.kind == StorageErrorKind::Full => self.single.extend(numbers),
                written => written?,
            }
        }
        Ok(())
    }
}

/// What is wrong with the slot of the mirror that doesn't hold.
fn why(reads: &[Result<KeySlot, Damage>; 2], holds: usize, number: u32) -> Damage {
    match (&reads[holds], &reads[1 - holds]) {
        (_, Err(damage)) => damage.clone(),
        (Ok(right), Ok(wrong)) if right.generation != wrong.generation => {
            let damage = Damage::new("KeySlot.generation", right.generation, wrong.generation);
            located(damage, 1 - holds, number)
        }
        // Two mints of one slot, the earlier of which failed: neither was ever handed out.
        (right, _) => {
            let expected = right.as_ref().map_or(0, |slot| slot.crc32.get());
            located(Damage::new("KeySlot.crc32", expected, "another slot's"), 1 - holds, number)
        }
    }
}

/// The slots of mirror 0 that may be torn without loss. A mint puts at most [`MINTED_TOGETHER`] slots beyond
/// the end of both mirrors, and mirror 1 gets them last: what was torn there, with nothing in mirror 1, was
/// never handed out. Where mirror 1 is shorter by more than one mint, it lost its end, and a slot that doesn't
/// check in mirror 0 may have been somebody's.
fn cut_mint(found: &[Mapped; 2]) -> Range<usize> {
    let [first, second] = [&found[0], &found[1]]
        .map(|mirror| mirror.iter().rposition(|&byte| byte != 0).map_or(0, |last| last / SLOT_BYTES + 1));
    if first.saturating_sub(second) <= MINTED_TOGETHER { second..first } else { 0..0 }
}
