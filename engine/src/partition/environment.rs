//! What do all partitions of a store share?
//!
//! The medium, the log and the cache of opened blocks: nothing that one partition's answers could depend on
//! another for.

use crate::io::Medium;
use crate::log::Log;
use crate::segment::BlockCache;
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
    /// Counts the uses of partitions, so that the ones not used for longest can be told.
    pub(crate) uses: AtomicU64,
    /// What all active memtables take, in bytes, since the last flush.
    pub(crate) unflushed_bytes: AtomicU64,
}

impl Environment {
    /// The number of this use.
    pub(crate) fn next_use(&self) -> u64 {
        self.uses.fetch_add(1, Ordering::Relaxed)
    }
}
