//! What do all partitions of a store share?
//!
//! The medium, the log and the cache of opened blocks: nothing that one partition's answers could depend on
//! another for.

use crate::cluster::Workers;
use crate::io::Medium;
use crate::log::Log;
use crate::segment::{BlockCache, SegmentFileWriter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shared by all partitions.
pub(crate) struct Environment {
    /// The outside.
    pub(crate) medium: Medium,
    /// The node's log.
    pub(crate) log: Log,
    /// Opened blocks.
    pub(crate) cache: Arc<BlockCache>,
    /// Compute what takes long when segments are written.
    pub(crate) workers: Workers,
    /// Counts the uses of partitions, so that the ones not used for longest can be told.
    pub(crate) uses: AtomicU64,
    /// What all active memtables take, in bytes, since the last flush.
    pub(crate) unflushed_bytes: AtomicU64,
    /// When the first record since the last flush was applied, in milliseconds since 1970; 0 when none was.
    pub(crate) unflushed_since_ms: AtomicU64,
    /// How many partitions wait for their purges to be made final.
    pub(crate) purges: AtomicU64,
}

impl Environment {
    /// Begins a file of segments.
    pub(crate) fn begin_file(&self) -> SegmentFileWriter {
        SegmentFileWriter::begin(&*self.medium.entropy, self.log.run(), self.workers.clone())
    }

    /// The number of this use.
    pub(crate) fn next_use(&self) -> u64 {
        self.uses.fetch_add(1, Ordering::Relaxed)
    }

    /// A memtable grew.
    pub(crate) fn grew(&self, bytes: u64) {
        self.unflushed_bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.unflushed_since_ms.load(Ordering::Relaxed) == 0 {
            self.unflushed_since_ms.store(self.medium.clock.now_ms().max(1), Ordering::Relaxed);
        }
    }

    /// Random bytes that nobody else has.
    pub(crate) fn random(&self) -> [u8; 16] {
        let mut random = [0; 16];
        self.medium.entropy.fill(&mut random);
        random
    }
}
