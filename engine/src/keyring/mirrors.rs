//! How are slots read from and written to the two mirrors?
//!
//! Invariants:
//! 1. A slot is written to mirror 0 and synced before mirror 1 is touched, so at most one of the two is torn,
//!    and where both check, mirror 0 is never the older one.
//! 2. Adjacent slots are written together, at most [`RUN_SLOTS_MAX`] of them: dropping thousands of
//!    partitions that lie together syncs each mirror once.

use crate::io::{Fault, Mapped, SlotStore, StorageError, StorageErrorKind};
use std::ops::Range;
use std::sync::Arc;
use strongroom_format::Damage;
use strongroom_format::keyring::{KeySlot, SLOT_BYTES, SlotState};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Slots read or written in one call: 1 MiB.
pub(super) const RUN_SLOTS_MAX: usize = 8192;

const NAMES: [&str; 2] = ["keyring/0", "keyring/1"];

/// The mirrored slots.
pub(super) struct Mirrors(Arc<dyn SlotStore>);

impl Mirrors {
    pub(super) fn new(slots: Arc<dyn SlotStore>) -> Self {
        Self(slots)
    }

    /// Both mirrors, whole.
    pub(super) fn whole(&self) -> Result<[Mapped; 2], StorageError> {
        Ok([self.0.read_mirror(0)?, self.0.read_mirror(1)?])
    }

    /// The bytes of consecutive slots of one mirror; zeros where the mirror ends before them.
    pub(super) fn run(&self, mirror: usize, numbers: Range<u32>) -> Result<Vec<u8>, StorageError> {
        let (first, count) = (u64::from(numbers.start), numbers.len());
        let mut bytes = match self.0.read_slots(mirror, first, count) {
            Err(StorageError { kind: StorageErrorKind::TooShort { bytes }, .. }) => {
                let there = (bytes / SLOT_BYTES as u64).saturating_sub(first).min(count as u64);
                if there == 0 { Vec::new() } else { self.0.read_slots(mirror, first, there as usize)? }
            }
            read => read?,
        };
        bytes.resize(count * SLOT_BYTES, 0);
        Ok(bytes)
    }

    /// What consecutive slots hold: of each, the mirror that decides, or the damage when neither can.
    pub(super) fn current(&self, numbers: Range<u32>) -> Result<Vec<Result<KeySlot, Damage>>, StorageError> {
        let runs = match [self.run(0, numbers.clone()), self.run(1, numbers.clone())] {
            [Err(error), Err(_)] => return Err(error),
            [Ok(run), Err(_)] => return Ok(slots_of(0, &run, numbers).collect()),
            [Err(_), Ok(run)] => return Ok(slots_of(1, &run, numbers).collect()),
            [Ok(first), Ok(second)] => [first, second],
        };
        let firsts = slots_of(0, &runs[0], numbers.clone());
        Ok(firsts
            .zip(slots_of(1, &runs[1], numbers))
            .map(|(first, second)| match decide(&first, &second) {
                Some(1) => second,
                Some(_) => first,
                None => Err(first.err().or(second.err()).unwrap_or_else(|| unreachable!())),
            })
            .collect())
    }

    /// The live slot of this incarnation, from the first mirror that has it, and what was wrong with a mirror
    /// that was asked before. `None` when the key was destroyed.
    pub(super) fn live(
        &self,
        number: u32,
        incarnation: &[u8; 16],
    ) -> Result<(Option<KeySlot>, Option<Damage>), Fault> {
        let mut wrong = None;
        for mirror in [0, 1] {
            let fault = match self.run(mirror, number..number + 1) {
                Err(error) => Fault::from(error),
                Ok(bytes) => match read(&bytes, mirror, number) {
                    Ok(slot) if slot.incarnation != *incarnation || slot.state() == SlotState::Free => {
                        let damage = Damage::new("KeySlot.incarnation", "this key's", "another's");
                        located(damage, mirror, number).into()
                    }
                    Ok(slot) if slot.state() != SlotState::Live => return Ok((None, None)),
                    Ok(slot) => {
                        let damage = wrong.and_then(|fault| match fault {
                            Fault::Damaged(damage) => Some(damage),
                            Fault::Storage(_) => None,
                        });
                        return Ok((Some(slot), damage));
                    }
                    Err(damage) => damage.into(),
                },
            };
            wrong = wrong.or(Some(fault));
        }
        wrong.map_or(Ok((None, None)), Err)
    }

    /// Writes slots, in order of their numbers, to one mirror and then the other, run by run.
    pub(super) fn write(&self, slots: &[KeySlot]) -> Result<(), StorageError> {
        let numbers: Vec<u32> = slots.iter().map(|slot| slot.slot.get()).collect();
        for run in runs(&numbers) {
            let first = numbers[run.start];
            let bytes = slots[run].as_bytes();
            for mirror in [0, 1] {
                self.write_to(mirror, first, bytes)?;
            }
        }
        Ok(())
    }

    /// Writes consecutive slots to one mirror alone.
    pub(super) fn write_to(&self, mirror: usize, first: u32, bytes: &[u8]) -> Result<(), StorageError> {
        self.0.write_slots(mirror, u64::from(first), bytes)
    }
}

/// Indexes of `numbers`, which rise, in stretches of adjacent numbers.
pub(super) fn runs(numbers: &[u32]) -> impl Iterator<Item = Range<usize>> {
    let mut begin = 0;
    std::iter::from_fn(move || {
        let first = *numbers.get(begin)?;
        let adjacent = |(n, number): &(u32, &u32)| first + *n == **number;
        let count = (0..RUN_SLOTS_MAX as u32).zip(&numbers[begin..]).take_while(adjacent).count();
        begin += count;
        Some(begin - count..begin)
    })
}

/// Of a slot in both mirrors, the mirror that holds; `None` when neither checks, or one doesn't and the other
/// was never written, which it would have been.
pub(super) fn decide(first: &Result<KeySlot, Damage>, second: &Result<KeySlot, Damage>) -> Option<usize> {
    let used = |slot: &KeySlot| slot.state() != SlotState::Free;
    match (first, second) {
        (Ok(first), Ok(second)) => Some(usize::from(second.generation.get() > first.generation.get())),
        (Ok(first), Err(_)) if used(first) => Some(0),
        (Err(_), Ok(second)) if used(second) => Some(1),
        _ => None,
    }
}

/// A slot out of bytes of its mirror; zero when it was never used.
pub(super) fn read(bytes: &[u8], mirror: usize, number: u32) -> Result<KeySlot, Damage> {
    KeySlot::read(bytes, number)
        .map(|slot| slot.unwrap_or_else(free))
        .map_err(|damage| located(damage, mirror, number))
}

/// Says which slot of which mirror the damage is in.
pub(super) fn located(damage: Damage, mirror: usize, number: u32) -> Damage {
    damage.at(NAMES[mirror], u64::from(number) * SLOT_BYTES as u64)
}

/// A slot that was never used.
pub(super) fn free() -> KeySlot {
    KeySlot::new_zeroed()
}

fn slots_of(mirror: usize, run: &[u8], numbers: Range<u32>) -> impl Iterator<Item = Result<KeySlot, Damage>> {
    numbers.zip(run.chunks(SLOT_BYTES)).map(move |(number, bytes)| read(bytes, mirror, number))
}

/// Whether the bytes of a slot, whatever they say otherwise, have nothing where a live slot has its key.
pub(super) fn is_without_key(bytes: &[u8]) -> bool {
    KeySlot::ref_from_bytes(bytes).is_ok_and(|slot| {
        slot.state() != SlotState::Live && slot.nonce == [0; 12] && slot.sealed_key == [0; 48]
    })
}
