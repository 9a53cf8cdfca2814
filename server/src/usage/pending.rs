//! How do counts wait until they are written?
//!
//! In a few maps, each behind a lock of its own, so that two requests seldom wait for each other.
//!
//! Invariants:
//! 1. A sum is in memory or was taken out to be written, never both.
//! 2. At most `partitions_max` sums of partitions wait; what comes beyond is counted by key and collection alone. Those are
//!    bounded by the keys and collections there are.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom_engine::WorkspaceId;

use crate::auth::Place;
use crate::control::usage::{OfKey, OfPartition, Tally};

const SHARDS: usize = 16;

/// A partition's sum that waits.
#[derive(Debug, Default)]
pub(super) struct Noted {
    pub(super) tally: Tally,
    /// Where to ask what it holds, if that may have changed.
    pub(super) changed: Option<Place>,
}

/// Sums that were taken out, or wait in one of the maps.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) keys: HashMap<OfKey, Tally>,
    pub(super) partitions: HashMap<OfPartition, Noted>,
}

/// What waits.
pub(super) struct Pending {
    shards: [Mutex<Counts>; SHARDS],
    partitions: AtomicUsize,
    partitions_max: usize,
    state: RandomState,
}

impl Counts {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.partitions.is_empty()
    }

    /// The collections in which something was written.
    pub(super) fn changed_collections(&self) -> impl Iterator<Item = (WorkspaceId, Arc<str>)> {
        let changed = self.keys.iter().filter(|(_, tally)| tally.has_writes());
        changed.map(|(of, _)| (of.workspace, of.collection.clone()))
    }
}

impl Pending {
    pub(super) fn new(partitions_max: usize) -> Self {
        let (shards, partitions) = (Default::default(), AtomicUsize::new(0));
        Self { shards, partitions, partitions_max, state: RandomState::new() }
    }

    /// Adds to a partition's sum and a key's. Answers how many partitions' wait.
    pub(super) fn add(&self, of: OfPartition, key: Option<&str>, place: &Place, tally: &Tally) -> usize {
        let mut counts = self.shard(&of);
        let (workspace, day, collection) = (of.workspace, of.day, of.collection.clone());
        let of_key = OfKey { workspace, day, collection, key: key.map(Arc::from) };
        counts.keys.entry(of_key).or_default().add(tally);
        self.note(&mut counts, of, tally, tally.has_writes().then_some(place));
        self.partitions.load(Ordering::Relaxed)
    }

    fn note(&self, counts: &mut Counts, of: OfPartition, tally: &Tally, changed: Option<&Place>) {
        if !counts.partitions.contains_key(&of) {
            if self.partitions.load(Ordering::Relaxed) >= self.partitions_max {
                return;
            }
            self.partitions.fetch_add(1, Ordering::Relaxed);
        }
        let noted = counts.partitions.entry(of).or_default();
        noted.tally.add(tally);
        if let (None, Some(place)) = (&noted.changed, changed) {
            noted.changed = Some(place.clone());
        }
    }

    /// Takes all sums out.
    pub(super) fn take(&self) -> Counts {
        let mut taken = Counts::default();
        for shard in &self.shards {
            let counts = std::mem::take(&mut *lock(shard));
            self.partitions.fetch_sub(counts.partitions.len(), Ordering::Relaxed);
            for (of, tally) in counts.keys {
                taken.keys.entry(of).or_default().add(&tally);
            }
            taken.partitions.extend(counts.partitions);
        }
        taken
    }

    /// Puts back what could not be written.
    pub(super) fn put_back(&self, taken: Counts) {
        for (of, noted) in taken.partitions {
            let mut counts = self.shard(&of);
            self.note(&mut counts, of, &noted.tally, noted.changed.as_ref());
        }
        let mut counts = lock(&self.shards[0]);
        for (of, tally) in taken.keys {
            counts.keys.entry(of).or_default().add(&tally);
        }
    }

    /// Forgets a partition's sums of all days.
    pub(super) fn forget(&self, of: &OfPartition) {
        let mut counts = self.shard(of);
        let before = counts.partitions.len();
        counts.partitions.retain(|other, _| !is_same(of, other));
        self.partitions.fetch_sub(before - counts.partitions.len(), Ordering::Relaxed);
    }

    /// Has a partition's sums of all days stand under another name.
    pub(super) fn rename(&self, of: &OfPartition, to: &OfPartition) {
        let mut own = Vec::new();
        self.shard(of).partitions.retain(|other, noted| {
            let stays = !is_same(of, other);
            if !stays {
                own.push((other.day, std::mem::take(&mut noted.tally)));
            }
            stays
        });
        self.partitions.fetch_sub(own.len(), Ordering::Relaxed);
        for (day, tally) in own {
            // Where to ask what it holds is where it was: the next write says it anew.
            let to = OfPartition { day, ..to.clone() };
            let mut counts = self.shard(&to);
            self.note(&mut counts, to, &tally, None);
        }
    }

    pub(super) fn each_key(&self, mut look: impl FnMut(&OfKey, &Tally)) {
        self.shards.iter().for_each(|shard| lock(shard).keys.iter().for_each(|(of, tally)| look(of, tally)));
    }

    pub(super) fn each_partition(&self, mut look: impl FnMut(&OfPartition, &Tally)) {
        for shard in &self.shards {
            lock(shard).partitions.iter().for_each(|(of, noted)| look(of, &noted.tally));
        }
    }

    /// One partition's sums.
    pub(super) fn of_partition(&self, of: &OfPartition, mut look: impl FnMut(u32, &Tally)) {
        let counts = self.shard(of);
        let own = counts.partitions.iter().filter(|(other, _)| is_same(of, other));
        own.for_each(|(other, noted)| look(other.day, &noted.tally));
    }

    /// Where a partition's sums are, those of all days.
    fn shard(&self, of: &OfPartition) -> MutexGuard<'_, Counts> {
        let hash = self.state.hash_one((of.workspace, &of.collection, of.partition));
        lock(&self.shards[(hash % SHARDS as u64) as usize])
    }
}

fn is_same(one: &OfPartition, other: &OfPartition) -> bool {
    one.workspace == other.workspace && one.collection == other.collection && one.partition == other.partition
}

fn lock(shard: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
