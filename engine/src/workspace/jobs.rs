//! What must a host run from time to time?
//!
//! Flush (memtables into segments, then the log is cut), compaction, and closing idle partitions. The engine
//! has no thread: [`Store::wants_maintenance`] says when there is something to do.

use super::{Store, StoreError, Workspace};
use crate::compaction;
use crate::io::lock;
use crate::partition::Core;
use crate::segment::SegmentFileWriter;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use strongroom_format::manifest::Manifest;

/// A segment file takes no more segments beyond this length, in bytes.
const SEGMENT_FILE_BYTES: u64 = 256 << 20;

/// What a round of maintenance did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Partitions whose memtables became segments.
    pub flushed: usize,
    /// Partitions whose segments were merged.
    pub compacted: usize,
    /// Idle partitions that were closed.
    pub closed: usize,
}

impl Store {
    /// Whether there is something to do. Cheap.
    pub fn wants_maintenance(&self) -> bool {
        self.wants_flush()
            || self.env.uses.load(Ordering::Relaxed) > self.swept_at.load(Ordering::Relaxed) + 4096
    }

    fn wants_flush(&self) -> bool {
        self.env.unflushed_bytes.load(Ordering::Relaxed) >= self.options.flush_bytes
            || self.env.log.file_bytes() >= self.options.flush_bytes.saturating_mul(4)
    }

    /// Flushes when enough waits, merges segments where there are too many, and closes idle partitions beyond
    /// the budget.
    pub fn run_maintenance(&self) -> Result<Maintained, StoreError> {
        let mut done = Maintained::default();
        let mut manifest = lock(&self.maintenance);
        if self.wants_flush() {
            done.flushed = self.flush_into(&mut manifest)?;
            done.compacted = self.compact(&mut manifest)?;
        }
        done.closed = self.close_idle();
        self.reclaim();
        self.swept_at.store(self.env.uses.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(done)
    }

    /// Flushes everything that waits in memory.
    pub fn flush(&self) -> Result<Maintained, StoreError> {
        let mut manifest = lock(&self.maintenance);
        let flushed = self.flush_into(&mut manifest)?;
        let compacted = self.compact(&mut manifest)?;
        Ok(Maintained { flushed, compacted, closed: 0 })
    }

    fn flush_into(&self, manifest: &mut Manifest) -> Result<usize, StoreError> {
        let floor = self.env.log.rotate()?;
        let unflushed_bytes = self.env.unflushed_bytes.load(Ordering::Relaxed);
        let mut waiting: Vec<Arc<Core>> = self.cores().into_iter().filter(|core| !core.is_clean()).collect();
        let flushed = waiting.len();
        while !waiting.is_empty() {
            waiting = self.write_segments(waiting)?;
        }
        manifest.log_floor = (floor.run, floor.number);
        self.publish(manifest)?;
        self.env.log.truncate(floor)?;
        self.env.unflushed_bytes.fetch_sub(unflushed_bytes, Ordering::Relaxed);
        Ok(flushed)
    }

    /// Writes one segment for each partition, as many as fit into each file, and answers those that have more.
    fn write_segments(&self, cores: Vec<Arc<Core>>) -> Result<Vec<Arc<Core>>, StoreError> {
        let mut again = Vec::new();
        let mut cores = cores.into_iter().peekable();
        while cores.peek().is_some() {
            let mut file = SegmentFileWriter::begin(&*self.env.medium.entropy, self.env.log.run());
            let mut written = Vec::new();
            while file.bytes() < SEGMENT_FILE_BYTES
                && let Some(core) = cores.next()
            {
                if let Some(frozen) = core.freeze()? {
                    let place = core.write_frozen(&frozen, &mut file)?;
                    written.push((core, frozen, place));
                }
            }
            if written.is_empty() {
                continue;
            }
            file.finish(&*self.env.medium.blobs)?;
            for (core, frozen, place) in written {
                core.install_frozen(&frozen, place)?;
                self.files.hold(&place);
                if frozen.left_over {
                    again.push(core);
                }
            }
        }
        Ok(again)
    }

    fn compact(&self, manifest: &mut Manifest) -> Result<usize, StoreError> {
        let (mut merged, mut failed) = (Vec::new(), None);
        for core in self.cores() {
            match compaction::run(&core) {
                Ok(None) => {}
                Ok(Some(one)) => {
                    self.files.hold(&one.place());
                    merged.push(one);
                }
                // One partition's damage must not keep the others from being served well.
                Err(error) => failed = Some(error),
            }
        }
        if !merged.is_empty() {
            self.publish(manifest)?;
            for place in merged.iter().flat_map(|one| one.replaced()) {
                self.files.release(&place)?;
            }
        }
        failed.map_or(Ok(merged.len()), |error| Err(error.into()))
    }

    fn publish(&self, manifest: &mut Manifest) -> Result<(), StoreError> {
        manifest.next_record = self.env.log.next_record();
        manifest.partitions = self.cores().iter().filter_map(|core| core.manifest_entry()).collect();
        manifest.partitions.sort_unstable_by_key(|partition| partition.incarnation);
        self.manifests.publish(manifest)?;
        manifest.partitions = Vec::new();
        Ok(())
    }

    /// Closes the partitions that were not used for longest, until the rest fits the budget.
    fn close_idle(&self) -> usize {
        let mut open: Vec<(u64, u64, Arc<Core>)> = self
            .cores()
            .into_iter()
            .filter_map(|core| core.residence().map(|(last_use, bytes)| (last_use, bytes, core)))
            .collect();
        let mut bytes: u64 = open.iter().map(|(_, bytes, _)| bytes).sum();
        open.sort_unstable_by_key(|(last_use, ..)| *last_use);
        let mut closed = 0;
        for (_, freed, core) in open {
            if bytes <= self.options.open_bytes {
                break;
            }
            if core.unload() {
                bytes -= freed;
                closed += 1;
            }
        }
        closed
    }

    /// Forgets partitions whose first write never succeeded, and takes their keys back: nothing was ever
    /// sealed with them that counts.
    fn reclaim(&self) {
        let workspaces: Vec<Arc<Workspace>> = self.workspaces().values().cloned().collect();
        for workspace in workspaces {
            if workspace.partitions().values().all(|core| core.is_born()) {
                continue;
            }
            workspace.partitions_mut().retain(|_, core| {
                let keep = core.is_born() || Arc::strong_count(core) > 1;
                if !keep {
                    self.keyring.give_back(core.incarnation);
                }
                keep
            });
        }
    }

    /// Every partition, in the order of their incarnations: what a job does follows from what the store holds,
    /// so that a simulated life can be lived again.
    fn cores(&self) -> Vec<Arc<Core>> {
        let workspaces: Vec<Arc<Workspace>> = self.workspaces().values().cloned().collect();
        let mut cores: Vec<Arc<Core>> = workspaces
            .iter()
            .flat_map(|workspace| workspace.partitions().values().cloned().collect::<Vec<_>>())
            .collect();
        cores.sort_unstable_by_key(|core| core.incarnation);
        cores
    }
}
