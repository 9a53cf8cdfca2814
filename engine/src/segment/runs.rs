//! Which groups of a section are open, without asking for one after the other?
//!
//! A search of a small partition looks at rows in most groups of its sections, and asking the cache for each of them took as
//! long as scoring the rows. The cache keeps a [`Run`] for each section that is not too long: a slot for each group, filled as
//! groups are asked for. Who has the run reads them without asking again.
//!
//! Invariant: what was read in a run was asked for, and the cache learns it when its hand comes there.
//!
//! Concurrency: slots are filled under the cache's lock, and read without it.

use super::held::Held;
use crate::io::slab::Plain;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// So many rows that lie anywhere are shown at a time: for more the allocator takes its slow path.
const SEEN_TOGETHER: usize = 64;

/// The groups of a section, as far as they were asked for.
#[derive(Debug)]
pub(super) struct Run<T: Plain> {
    slots: Box<[Slot<T>]>,
}

#[derive(Debug)]
struct Slot<T: Plain> {
    group: OnceLock<Arc<Held<T>>>,
    /// Whether it was read since the hand last passed.
    recent: AtomicBool,
}

impl<T: Plain> Run<T> {
    /// Of so many groups, none of which is there.
    pub(super) fn new(groups: u32) -> Self {
        let slot = |_| Slot { group: OnceLock::new(), recent: AtomicBool::new(false) };
        Self { slots: (0..groups).map(slot).collect() }
    }

    /// A group, if it is there.
    pub(super) fn group(&self, number: u32) -> Option<&Held<T>> {
        self.slots.get(number as usize)?.group.get().map(|group| &**group)
    }

    /// Whether a group is there, which counts as asking for it.
    pub(super) fn ask(&self, number: u32) -> bool {
        let Some(slot) = self.slots.get(number as usize).filter(|slot| slot.group.get().is_some()) else {
            return false;
        };
        // Most were asked for before, and what is only read stays near every processor.
        if !slot.recent.load(Ordering::Relaxed) {
            slot.recent.store(true, Ordering::Relaxed);
        }
        true
    }

    /// Rows that lie anywhere and rise, each as it lies, some of which are shown at a time with the number of those before them.
    /// Their groups have so many rows of so many elements, and reading them counts as asking for them. Whether all are there.
    pub(super) fn each<'s>(
        &'s self,
        rows: &[u32],
        (group_rows, row_elements): (u32, usize),
        mut see: impl FnMut(usize, &[&'s [T]]),
    ) -> bool {
        let mut found: Vec<&[T]> = Vec::with_capacity(rows.len().min(SEEN_TOGETHER));
        let mut group: &[T] = &[];
        // Of which rows the group is. Rows rise, so not all ask which group is theirs, which takes a division.
        let (mut begin, mut end, mut seen) = (0, 0, 0);
        for &row in rows {
            if row >= end {
                let number = row / group_rows;
                let Some(held) = self.group(number).filter(|_| self.ask(number)) else { return false };
                (group, begin) = (held, number * group_rows);
                end = begin.saturating_add(group_rows);
            }
            found.push(&group[(row - begin) as usize * row_elements..][..row_elements]);
            if found.len() == SEEN_TOGETHER {
                see(seen, &found);
                seen += found.len();
                found.clear();
            }
        }
        see(seen, &found);
        true
    }

    /// Puts a group into its slot; whether it is what lies there now.
    pub(super) fn fill(&self, number: u32, group: &Arc<Held<T>>) -> bool {
        let slot = self.slots.get(number as usize);
        slot.is_some_and(|slot| Arc::ptr_eq(slot.group.get_or_init(|| Arc::clone(group)), group))
    }

    /// Whether a group was asked for since this was last said.
    pub(super) fn take_recent(&self, number: u32) -> bool {
        self.slots.get(number as usize).is_some_and(|slot| slot.recent.swap(false, Ordering::Relaxed))
    }

    /// The numbers of the groups that are there.
    pub(super) fn filled(&self) -> Vec<u32> {
        let there = (0..).zip(&self.slots).filter(|(_, slot)| slot.group.get().is_some());
        there.map(|(number, _)| number).collect()
    }

    /// What it takes beside its groups.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }
}
