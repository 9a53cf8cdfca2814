//! How do documents go whose time has passed, also in partitions that nobody uses?
//!
//! With each round of maintenance the partitions in use purge theirs. A partition that rests says in its manifest entry when the
//! first of its documents expires; the store keeps the earliest of these times, so a round that comes before it looks at
//! none of them, and one that comes after it wakes those alone that have something to purge.

use super::entries::Entry;
use super::{PartitionRef, Store, StoreError};
use crate::partition::WriteError;
use std::num::NonZeroU64;
use std::sync::atomic::Ordering;

/// Resting partitions that one round wakes; the others follow with the next.
const WOKEN_MAX: usize = 1024;

impl Store {
    /// Purges what has expired, and answers how many documents that were.
    pub(super) fn purge_expired(&self) -> Result<usize, StoreError> {
        let now_ms = self.env.medium.clock.now_ms();
        self.wake_expired(now_ms)?;
        let mut purged = 0;
        for (_, _, core) in self.awake() {
            let is_due = core.first_expiry_ms().is_some_and(|first_ms| first_ms <= now_ms);
            if is_due && core.is_born() && core.damage().is_none() {
                match core.purge_expired(now_ms) {
                    Ok(count) => purged += count,
                    Err(WriteError::Dropped | WriteError::Held) => {}
                    Err(error) if error.is_of_damage() => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(purged)
    }

    fn wake_expired(&self, now_ms: u64) -> Result<(), StoreError> {
        if now_ms < self.next_expiry_ms.load(Ordering::Relaxed) {
            return Ok(());
        }
        // Who is put to rest from here on says so again.
        self.next_expiry_ms.store(u64::MAX, Ordering::Relaxed);
        let (mut due, mut next_ms) = (Vec::new(), u64::MAX);
        for workspace in self.sorted_workspaces() {
            for (collection, name, entry) in workspace.entries().iter() {
                let Entry::Dormant(rest) = entry else { continue };
                if entry.is_held() {
                    continue;
                }
                match rest.first_expiry_ms.map(NonZeroU64::get) {
                    Some(first_ms) if first_ms <= now_ms && !rest.is_damaged => {
                        let at = PartitionRef { collection: collection.to_owned(), partition: name.clone() };
                        due.push((rest.incarnation, workspace.clone(), at));
                    }
                    first_ms => next_ms = next_ms.min(first_ms.unwrap_or(u64::MAX)),
                }
            }
        }
        due.sort_unstable_by_key(|(incarnation, ..)| *incarnation);
        if due.len() > WOKEN_MAX {
            due.truncate(WOKEN_MAX);
            next_ms = next_ms.min(now_ms);
        }
        self.next_expiry_ms.fetch_min(next_ms, Ordering::Relaxed);
        for (_, workspace, at) in due {
            match self.find(&workspace, &at) {
                Ok(_) => {}
                Err(error) if error.is_damage() => {}
                Err(error) => {
                    self.next_expiry_ms.fetch_min(now_ms, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
