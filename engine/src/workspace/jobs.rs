//! What must a host run from time to time?
//!
//! Flush (memtables into segments, then the log is cut), compaction, rewriting for purges, retention, scrub,
//! and closing idle partitions. The engine has no thread: [`Store::wants_maintenance`] says when there is
//! something to do. Rounds look at partitions that are in use; those that rest are looked through now and then.

use super::entries::Entry;
use super::publish::Maintenance;
use super::{OperatorScope, PartitionName, PartitionRef, Store, StoreError, Workspace};
use crate::compaction::{self, Expiry};
use crate::io::{Fault, StorageErrorKind, lock};
use crate::partition::{Core, ReadError};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use strongroom_format::Damage;
use strongroom_format::record::Identity;

/// A segment file takes no more segments beyond this length, in bytes.
const SEGMENT_FILE_BYTES: u64 = 256 << 20;
/// Resting partitions are looked through this often, in milliseconds.
const SWEEP_MS: u64 = 60 * 60 * 1000;
/// A partition that was used this many uses ago or less stays open whatever happens.
const USES_BETWEEN_SWEEPS: u64 = 4096;

/// What a round of maintenance did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Partitions whose memtables became segments.
    pub flushed: usize,
    /// Partitions whose segments were merged.
    pub compacted: usize,
    /// Partitions that were rewritten to make purges final.
    pub rewritten: usize,
    /// Idle partitions that were closed.
    pub closed: usize,
    /// Documents that were purged because their time had passed.
    pub expired: usize,
    /// Partitions that were shredded because theirs had.
    pub ended: usize,
}

/// What a scrub read.
#[derive(Debug, Clone, Default)]
pub struct Scrubbed {
    /// How many bytes.
    pub bytes: u64,
    /// What didn't check. The partitions that it hit are quarantined.
    pub damages: Vec<Damage>,
    /// Whether everything has been read since the last time this was `true`.
    pub is_complete: bool,
}

impl Store {
    /// Whether there is something to do. Cheap.
    pub fn wants_maintenance(&self) -> bool {
        self.wants_flush()
            || self.has_ends()
            || self.env.purges.load(Ordering::Relaxed) > 0
            || self.env.log.is_low()
            || self.env.uses.load(Ordering::Relaxed)
                > self.swept_at.load(Ordering::Relaxed) + USES_BETWEEN_SWEEPS
    }

    fn wants_flush(&self) -> bool {
        let since_ms = self.env.unflushed_since_ms.load(Ordering::Relaxed);
        self.env.unflushed_bytes.load(Ordering::Relaxed) >= self.options.flush_bytes
            || self.env.log.file_bytes() >= self.options.flush_bytes.saturating_mul(4)
            || (since_ms != 0
                && self.env.medium.clock.now_ms() >= since_ms.saturating_add(self.options.flush_age_ms))
    }

    /// Shreds and purges what has expired, flushes when enough waits or waits for long, merges segments where there are too many, makes purges
    /// final whose time has come, and closes idle partitions beyond the budget.
    pub fn run_maintenance(&self) -> Result<Maintained, StoreError> {
        let mut done = Maintained::default();
        let mut maintenance = lock(&self.maintenance);
        self.env.log.replenish();
        self.finish_all(&mut maintenance)?;
        done.ended = self.end_partitions(&mut maintenance)?;
        self.sweep(&mut maintenance)?;
        done.expired = self.purge_expired()?;
        done.rewritten = self.rewrite_due(&mut maintenance, self.options.purge_ms)?;
        if self.wants_flush() {
            done.flushed = self.flush_into(&mut maintenance)?;
            done.compacted = self.compact(&mut maintenance)?;
        }
        self.tidy(&mut maintenance)?;
        done.closed = self.close_idle();
        self.reclaim();
        self.swept_at.store(self.env.uses.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(done)
    }

    /// Flushes everything that waits in memory, shreds and purges what has expired, and makes every purge final.
    pub fn flush(&self) -> Result<Maintained, StoreError> {
        let mut maintenance = lock(&self.maintenance);
        self.env.log.replenish();
        self.finish_all(&mut maintenance)?;
        let ended = self.end_partitions(&mut maintenance)?;
        let expired = self.purge_expired()?;
        let rewritten = self.rewrite_due(&mut maintenance, 0)?;
        let flushed = self.flush_into(&mut maintenance)?;
        let compacted = self.compact(&mut maintenance)?;
        self.tidy(&mut maintenance)?;
        Ok(Maintained { flushed, compacted, rewritten, closed: 0, expired, ended })
    }

    fn flush_into(&self, maintenance: &mut Maintenance) -> Result<usize, StoreError> {
        let floor = self.env.log.rotate()?;
        let floor_record = self.env.log.floor_record();
        let unflushed_bytes = self.env.unflushed_bytes.load(Ordering::Relaxed);
        self.env.unflushed_since_ms.store(0, Ordering::Relaxed);
        let mut waiting: Vec<Arc<Core>> =
            self.awake().into_iter().map(|(_, _, core)| core).filter(|core| !core.is_clean()).collect();
        let flushed = waiting.len();
        while !waiting.is_empty() {
            waiting = self.write_segments(maintenance, waiting)?;
        }
        // A partition that was amended, or that damage hit, has nothing to flush perhaps, but what became of it must not be
        // forgotten with the log.
        let mut amended = Vec::new();
        for (_, _, core) in self.awake() {
            match core.amended() {
                0 if core.damage().is_none() => continue,
                0 => {}
                record => amended.push((record, Arc::clone(&core))),
            }
            maintenance.change(&core);
        }
        maintenance.log_floor = (floor.run, floor.number);
        self.publish(maintenance, None)?;
        amended.into_iter().for_each(|(record, core)| core.is_published(record));
        self.env.log.truncate(floor)?;
        self.keyring.reuse(floor_record);
        let subtract = |bytes: u64| Some(bytes.saturating_sub(unflushed_bytes));
        self.env.unflushed_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, subtract).ok();
        Ok(flushed)
    }

    /// Writes one segment for each partition, as many as fit into each file, and answers those that have more.
    fn write_segments(
        &self,
        maintenance: &mut Maintenance,
        cores: Vec<Arc<Core>>,
    ) -> Result<Vec<Arc<Core>>, StoreError> {
        let mut again = Vec::new();
        let mut cores = cores.into_iter().peekable();
        while cores.peek().is_some() {
            let mut file = self.env.begin_file();
            let mut written = Vec::new();
            while file.bytes() < SEGMENT_FILE_BYTES
                && let Some(core) = cores.next()
            {
                if let Some(frozen) = core.freeze()? {
                    match core.write_frozen(&frozen, &mut file) {
                        Ok(place) => written.push((core, frozen, place)),
                        Err(error) => self.one_alone(maintenance, &core, error)?,
                    }
                }
            }
            if written.is_empty() {
                continue;
            }
            file.finish(&*self.env.medium.blobs)?;
            for (_, _, place) in &written {
                self.files.hold(place);
            }
            for (core, frozen, place) in written {
                maintenance.change(&core);
                match core.install_frozen(&frozen, place) {
                    Ok(()) if frozen.left_over => again.push(core),
                    Ok(()) | Err(ReadError::Dropped) => {}
                    // What was just written doesn't read back: the log keeps it, and the next flush tries again.
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(again)
    }

    /// One partition's damage must not keep the others from being served well: it is quarantined, for good.
    fn one_alone(
        &self,
        maintenance: &mut Maintenance,
        core: &Arc<Core>,
        error: ReadError,
    ) -> Result<(), StoreError> {
        match error {
            ReadError::Damaged(damage) | ReadError::Quarantined(damage) => {
                core.lose(damage);
                maintenance.change(core);
                Ok(())
            }
            // It was dropped while it waited.
            ReadError::Dropped => Ok(()),
            other => Err(other.into()),
        }
    }

    fn compact(&self, maintenance: &mut Maintenance) -> Result<usize, StoreError> {
        let (mut merged, mut failed) = (0, None);
        let expiry = Expiry::at(self.env.medium.clock.now_ms(), self.options.retention_ms);
        for (_, _, core) in self.awake() {
            match compaction::run(&core, expiry, &self.files) {
                Ok(None) => {}
                Ok(Some(one)) => {
                    merged += 1;
                    maintenance.change(&core);
                    maintenance.released.extend(one.replaced());
                }
                Err(ReadError::Quarantined(_) | ReadError::Dropped) => {}
                Err(error) => failed = Some(error),
            }
        }
        if merged > 0 {
            self.publish(maintenance, None)?;
        }
        failed.map_or(Ok(merged), |error| Err(error.into()))
    }

    /// Rewrites the partitions whose purges have waited for this long.
    fn rewrite_due(&self, maintenance: &mut Maintenance, wait_ms: u64) -> Result<usize, StoreError> {
        if self.env.purges.load(Ordering::Relaxed) == 0 {
            return Ok(0);
        }
        let now_ms = self.env.medium.clock.now_ms();
        let mut rewritten = 0;
        for (workspace, at, core) in self.awake() {
            let since_ms = core.purge_since_ms();
            let is_due = since_ms != 0 && since_ms.saturating_add(wait_ms) <= now_ms.max(since_ms);
            if is_due && core.damage().is_none() {
                match self.rewrite(maintenance, &workspace, &at, &core) {
                    Ok(receipt) => rewritten += usize::from(receipt.is_some()),
                    Err(error) if error.is_damage() => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(rewritten)
    }

    /// Looks through the partitions that rest, now and then, and wakes those with something to do.
    fn sweep(&self, maintenance: &mut Maintenance) -> Result<(), StoreError> {
        let now_ms = self.env.medium.clock.now_ms();
        if now_ms < maintenance.swept_ms.saturating_add(SWEEP_MS) && now_ms >= maintenance.swept_ms {
            return Ok(());
        }
        maintenance.swept_ms = now_ms;
        let expiry = Expiry::at(now_ms, self.options.retention_ms);
        let mut woken = false;
        for workspace in self.sorted_workspaces() {
            let due: BTreeSet<([u8; 16], String, Option<PartitionName>)> = workspace
                .entries()
                .iter()
                .filter_map(|(collection, name, entry)| match entry {
                    Entry::Dormant(rest)
                        if rest.deleted_since_ms != 0
                            && rest.deleted_since_ms <= expiry.due_ms
                            && !entry.is_held() =>
                    {
                        Some((rest.incarnation, collection.to_owned(), name.clone()))
                    }
                    _ => None,
                })
                .collect();
            for (_, collection, partition) in due {
                match self.find(&workspace, &PartitionRef { collection, partition }) {
                    Ok(_) => woken = true,
                    Err(error) if error.is_damage() => {}
                    Err(error) => return Err(error),
                }
            }
        }
        if woken {
            self.compact(maintenance)?;
        }
        Ok(())
    }

    /// Reads segment files back, about so many bytes of them, going on where the last call ended, and
    /// quarantines the partitions whose bytes don't check. Finds damage before a customer does.
    pub fn scrub(&self, _: &OperatorScope, bytes_max: u64) -> Result<Scrubbed, StoreError> {
        let mut maintenance = lock(&self.maintenance);
        let mut scrubbed = Scrubbed::default();
        let blobs = &self.env.medium.blobs;
        while scrubbed.bytes < bytes_max {
            let names =
                blobs.list_after("segments/", maintenance.scrubbed.as_deref(), 1).map_err(Fault::from)?;
            let Some(name) = names.into_iter().next() else {
                maintenance.scrubbed = None;
                scrubbed.is_complete = true;
                break;
            };
            scrubbed.bytes += self.scrub_file(&name, &mut scrubbed.damages)?;
            maintenance.scrubbed = Some(name);
        }
        Ok(scrubbed)
    }

    fn scrub_file(&self, name: &str, damages: &mut Vec<Damage>) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for (workspace, at, places) in self.segments_in(name) {
            for place in places {
                bytes += place.bytes;
                let looked = crate::segment::check_blocks(&*self.env.medium.blobs, &place);
                let Err(fault) =
                    looked.or_else(|_| crate::segment::check_blocks(&*self.env.medium.blobs, &place))
                else {
                    continue;
                };
                match fault {
                    Fault::Damaged(damage) => {
                        damages.push(damage.clone());
                        if let Ok(Some(core)) = self.find(&workspace, &at) {
                            core.quarantine(damage);
                        }
                    }
                    Fault::Storage(error) if error.kind == StorageErrorKind::NotFound => {}
                    other => return Err(other.into()),
                }
            }
        }
        Ok(bytes)
    }

    /// Whose segments a file holds.
    #[allow(clippy::type_complexity)]
    fn segments_in(
        &self,
        name: &str,
    ) -> Vec<(Arc<Workspace>, PartitionRef, Vec<strongroom_format::manifest::SegmentPlace>)> {
        let mut found = Vec::new();
        for workspace in self.sorted_workspaces() {
            for (collection, partition, entry) in workspace.entries().iter() {
                let places = match entry {
                    Entry::Dormant(rest) => rest.segments.to_vec(),
                    Entry::Awake(core) => core.segment_places(),
                };
                let here: Vec<_> =
                    places.into_iter().filter(|place| crate::segment::file_name(place) == name).collect();
                if !here.is_empty() {
                    let at = PartitionRef { collection: collection.to_owned(), partition: partition.clone() };
                    found.push((Arc::clone(&workspace), at, here));
                }
            }
        }
        found.sort_unstable_by_key(|(_, _, places)| places[0].offset);
        found
    }

    /// Puts the partitions to rest that were not used for longest, until the others leave half of the budget to
    /// what is opened of their segments.
    fn close_idle(&self) -> usize {
        let mut open: Vec<_> = self
            .awake()
            .into_iter()
            .map(|(workspace, at, core)| (core.residence(), workspace, at, core))
            .collect();
        let mut bytes: u64 = open.iter().map(|((_, bytes), ..)| bytes).sum();
        open.sort_by_key(|((last_use, _), ..)| *last_use);
        let mut closed = 0;
        for ((_, freed), workspace, at, core) in open {
            if bytes <= self.options.cache_bytes as u64 / 2 {
                break;
            }
            let first_expiry_ms = core.first_expiry_ms();
            if workspace.put_to_rest(&at, core) {
                self.next_expiry_ms.fetch_min(first_expiry_ms.unwrap_or(u64::MAX), Ordering::Relaxed);
                bytes -= freed;
                closed += 1;
            }
        }
        closed
    }

    /// Forgets partitions whose first write never succeeded, and takes their keys back: nothing was ever
    /// sealed with them that counts.
    fn reclaim(&self) {
        for workspace in self.sorted_workspaces() {
            let _changing = lock(&workspace.changing);
            let mut entries = workspace.entries_mut();
            let mut unborn: Vec<(u32, PartitionRef)> = entries
                .iter()
                .filter_map(|(collection, name, entry)| match entry {
                    Entry::Awake(core) if !core.is_born() && Arc::strong_count(core) == 1 => {
                        let at = PartitionRef { collection: collection.to_owned(), partition: name.clone() };
                        Some((core.incarnation().1, at))
                    }
                    _ => None,
                })
                .collect();
            unborn.sort_unstable_by_key(|(slot, _)| *slot);
            for (slot, at) in unborn {
                entries.remove(&at);
                self.keyring.give_back(slot);
            }
        }
    }

    /// Every partition in use, in the order of their incarnations.
    pub(super) fn awake(&self) -> Vec<(Arc<Workspace>, PartitionRef, Arc<Core>)> {
        let mut awake = Vec::new();
        for workspace in self.sorted_workspaces() {
            let entries = workspace.entries();
            awake.extend(
                entries
                    .awake()
                    .map(|core| (core.incarnation().0, Arc::clone(&workspace), core.at(), Arc::clone(core))),
            );
        }
        awake.sort_unstable_by_key(|(incarnation, ..)| *incarnation);
        awake.into_iter().map(|(_, workspace, at, core)| (workspace, at, core)).collect()
    }
}

impl Workspace {
    /// Puts a partition to rest when nobody holds it and nothing in it waits.
    fn put_to_rest(&self, at: &PartitionRef, core: Arc<Core>) -> bool {
        let _changing = lock(&self.changing);
        let mut entries = self.entries_mut();
        drop(core);
        let Some(Entry::Awake(core)) = entries.get(at) else { return false };
        if Arc::strong_count(core) > 1 {
            return false;
        }
        let Some(rest) = core.rest() else { return false };
        entries.insert(at.clone(), Entry::Dormant(Box::new(rest)));
        true
    }
}

impl Core {
    /// Where it is found.
    pub(super) fn at(&self) -> PartitionRef {
        let Identity { collection, partition, .. } = &self.who().identity;
        let name = partition.as_deref().and_then(|name| PartitionName::new(name).ok());
        PartitionRef { collection: collection.clone(), partition: name }
    }
}
