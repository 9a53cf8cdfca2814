//! What was used, by whom, on which day?
//!
//! Handlers count what they did when it is done; the counts lie in memory and are added to the database every few seconds
//! and at a stop. What is stored is not counted here: the engine knows it, and is asked when an answer is made; only its
//! history is kept, written with the sums of the day on which it changed.
//!
//! Invariants:
//! 1. A figure never says more than was done: it is counted after the act, and added to the database once. A crash loses what
//!    was counted since the last writing, [`FLUSH_PERIOD`] before at most while the disk takes writes.
//! 2. What waits in memory is bounded: beyond [`PARTITIONS_MAX`] partitions sums go on by key and collection alone, until
//!    they are written.
//! 3. Nothing here names a tenant: partitions stand as keyed hashes, and those of an erased partition go with it.
//!
//! Concurrency: counting takes one of a few locks for as long as an addition takes. Writing, reading and forgetting exclude
//! each other and block.

mod keep;
mod pending;
mod sums;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_embed::Embedder;
use strongroom_engine::{NewDocument, PartitionName, Passage, Scope, Store, Totals, WorkspaceId};
use tokio::sync::Notify;

pub(crate) use keep::keep;

use crate::auth::{Place, counting};
use crate::clock::{self, DAY_MS};
use crate::control::usage::{Batch, OfKey, OfPartition, Stored};
use crate::control::{Control, PartitionHash};
use crate::log;
use crate::message::error::ApiError;
use pending::Pending;

pub(crate) use crate::control::usage::{Feedback, Tally};

/// How often sums are written.
const FLUSH_PERIOD: Duration = Duration::from_secs(2);
/// Partitions whose sums wait; half of it has them written early.
const PARTITIONS_MAX: usize = 1 << 16;
/// For how long days are kept.
pub(crate) const DAYS_MAX: u32 = 400;

/// The counters.
pub(crate) struct Usage {
    control: Arc<Control>,
    store: Arc<Store>,
    pending: Pending,
    /// Held while sums move from memory to the database, and while both are read together.
    moving: Mutex<()>,
    /// Collections in which something changed since their figures were written.
    changed: Mutex<HashSet<(WorkspaceId, Arc<str>)>>,
    early: Notify,
    is_failing: AtomicBool,
}

/// The day in UTC, counted from 1970.
pub(crate) fn day_of(ms: u64) -> u32 {
    u32::try_from(ms / DAY_MS).unwrap_or(u32::MAX)
}

/// Today.
pub(crate) fn today() -> u32 {
    day_of(clock::now_ms())
}

/// The first day of a window that ends today.
pub(crate) fn since(window_days: u32) -> u32 {
    today().saturating_sub(window_days.saturating_sub(1))
}

/// How many tokens of a document its model was given.
pub(crate) fn tokens(embedder: &dyn Embedder, document: &NewDocument) -> u64 {
    let text = |passage: &Passage| match passage {
        Passage::Range { start, end } => {
            let bytes = document.content.get(*start as usize..*end as usize).unwrap_or_default();
            embedder.count_tokens(&String::from_utf8_lossy(bytes))
        }
        Passage::Own(text) => embedder.count_tokens(text),
    };
    document.passages.iter().map(|passage| text(&passage.text) as u64).sum()
}

impl Usage {
    pub(crate) fn new(control: Arc<Control>, store: Arc<Store>) -> Self {
        Self {
            control,
            store,
            pending: Pending::new(PARTITIONS_MAX),
            moving: Mutex::default(),
            changed: Mutex::default(),
            early: Notify::new(),
            is_failing: AtomicBool::new(false),
        }
    }

    /// Counts what was done in a partition with a key (the operator has none). Cheap.
    pub(crate) fn count(&self, place: &Place, key: Option<&str>, tally: Tally) {
        // What was done before was counted then.
        if place.was_answered() {
            return;
        }
        let of = self.of(place, today());
        if self.pending.add(of, key, place, &tally) > PARTITIONS_MAX / 2 {
            self.early.notify_one();
        }
    }

    /// Of which partition sums are, since a day or of one.
    fn of(&self, place: &Place, day: u32) -> OfPartition {
        self.of_names(place.scope.workspace(), &place.at.collection, place.at.partition.as_ref(), day)
    }

    fn of_names(
        &self,
        workspace: WorkspaceId,
        collection: &str,
        partition: Option<&PartitionName>,
        day: u32,
    ) -> OfPartition {
        let hasher = self.control.partition_hasher();
        let partition = partition.map(|name| hasher.hash(workspace, collection, name));
        OfPartition { workspace, day, collection: collection.into(), partition }
    }

    fn only(&self) -> MutexGuard<'_, ()> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what was counted. `all` has the figures of collections written as well. Blocks.
    pub(crate) fn flush(&self, all: bool) -> Result<(), ApiError> {
        let _only = self.only();
        let taken = self.pending.take();
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.extend(taken.changed_collections());
        let due: Vec<_> = if all { changed.drain().collect() } else { Vec::new() };
        drop(changed);
        if taken.is_empty() && due.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        batch.keys.extend(taken.keys.iter().map(|(of, tally)| (of.clone(), *tally)));
        for (of, noted) in &taken.partitions {
            // A partition that can't be asked now keeps the figures it had.
            let stored = noted.changed.as_ref().and_then(|place| self.stored(&place.scope).ok());
            batch.partitions.push((of.clone(), noted.tally, stored));
        }
        for (workspace, collection) in &due {
            if let Ok(stored) = self.stored(&counting(*workspace, Some(collection))) {
                batch.collections.push((*workspace, collection.clone(), today(), stored));
            }
        }
        match self.control.add_usage(&batch) {
            Ok(()) => {
                if self.is_failing.swap(false, Ordering::Relaxed) {
                    log::info("usage is written again; nothing of it was lost");
                }
                Ok(())
            }
            Err(error) => {
                self.pending.put_back(taken);
                self.changed.lock().unwrap_or_else(PoisonError::into_inner).extend(due);
                if !self.is_failing.swap(true, Ordering::Relaxed) {
                    log::warn(&format!("usage can't be written and is kept in memory meanwhile: {error}"));
                }
                Err(error.into())
            }
        }
    }

    /// What the engine holds of this now.
    pub(crate) fn stored(&self, scope: &Scope) -> Result<Stored, ApiError> {
        let Totals { counts, stored_bytes, .. } = self.store.totals(scope)?;
        Ok(Stored { documents: counts.documents, passages: counts.passages, bytes: stored_bytes })
    }

    /// Forgets what is told of a partition that was erased. Totals stay. What fails here is made up for by the daily round.
    pub(crate) fn forget(&self, place: &Place) {
        let _only = self.only();
        let of = self.of(place, 0);
        self.pending.forget(&of);
        if let Err(error) = self.control.forget_usage(&of) {
            log::warn(&format!("usage of an erased partition goes with the next daily round only: {error}"));
        }
    }

    /// Has what is counted of a partition follow it to another name. `moved` does so with what is written.
    pub(crate) fn rename(
        &self,
        place: &Place,
        to: &PartitionName,
        moved: impl FnOnce() -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let _only = self.only();
        moved()?;
        let to = self.of_names(place.scope.workspace(), &place.at.collection, Some(to), 0);
        self.pending.rename(&self.of(place, 0), &to);
        Ok(())
    }

    /// Every partition's sums of today, for what is limited by the day. Blocks.
    pub(crate) fn partitions_today(&self) -> Result<Vec<(OfPartition, Tally)>, ApiError> {
        let _only = self.only();
        let mut found = self.control.partitions_on(today())?;
        self.pending.each_partition(|of, tally| {
            if of.day == today() {
                found.push((of.clone(), *tally));
            }
        });
        Ok(found)
    }

    /// The hash under which a partition stands.
    pub(crate) fn hash_of(&self, place: &Place) -> Option<PartitionHash> {
        self.of(place, 0).partition
    }

    /// Sums by collection, key or day, of what matches, pending ones too. Blocks.
    fn keys(
        &self,
        asked: crate::control::usage::Asked<'_>,
        by: crate::control::usage::By,
    ) -> Result<BTreeMap<String, Tally>, ApiError> {
        use crate::control::usage::By;
        let _only = self.only();
        let mut found = self.control.usage_of_keys(asked, by)?;
        self.pending.each_key(|of: &OfKey, tally| {
            let key = of.key.as_deref().unwrap_or_default();
            let matches = of.workspace == asked.workspace
                && of.day >= asked.since_day
                && asked.collection.is_none_or(|name| *name == *of.collection)
                && asked.key.is_none_or(|name| name == key);
            if matches {
                let name = match by {
                    By::Day => of.day.to_string(),
                    By::Collection => of.collection.to_string(),
                    By::Key => key.to_owned(),
                };
                found.entry(name).or_default().add(tally);
            }
        });
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
