//! When are counts written, and when do they go?
//!
//! A task of its own: every few seconds what was counted, every minute what collections hold, every day what is too old or
//! tells of a partition that isn't there any more.

use std::collections::HashSet;
use std::sync::Arc;

use strongroom_engine::WorkspaceId;
use tokio::sync::watch;

use super::{DAYS_MAX, FLUSH_PERIOD, Usage, today};
use crate::auth::counting;
use crate::control::PartitionHash;
use crate::control::usage::OfPartition;
use crate::log;
use crate::message::error::ApiError;

/// Collections' figures are written once in so many writings.
const FIGURES_EVERY: u32 = 30;
/// Hashes that are looked through at once.
const PAGE: usize = 1000;

/// Writes counts until `stop`. The last ones are written when the store is closed.
pub(crate) async fn keep(usage: Arc<Usage>, mut stop: watch::Receiver<bool>) {
    let (mut rounds, mut tidied) = (0_u32, 0);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(FLUSH_PERIOD) => {}
            () = usage.early.notified() => {}
        }
        rounds = rounds.wrapping_add(1);
        let is_slow = rounds.is_multiple_of(FIGURES_EVERY);
        let is_due = is_slow && tidied != today();
        let worker = usage.clone();
        // Not through the pool: under full load there is most to write.
        let done = tokio::task::spawn_blocking(move || {
            // A failure was told; what was counted waits for the next round.
            let flushed = worker.flush(is_slow);
            if is_due { flushed.and_then(|()| worker.tidy()) } else { flushed }
        });
        match done.await {
            Ok(Ok(())) if is_due => tidied = today(),
            Ok(_) => {}
            Err(_) => log::error("writing usage panicked; the line before says where"),
        }
    }
}

impl Usage {
    /// Forgets what is too old, and what tells of partitions that aren't there: erased ones whose rows a crash left, and
    /// names that were searched and never written to.
    pub(super) fn tidy(&self) -> Result<(), ApiError> {
        self.control.forget_usage_before(today().saturating_sub(DAYS_MAX))?;
        let mut at = None;
        loop {
            let after =
                at.as_ref().map(|(workspace, collection): &(_, Arc<str>)| (*workspace, &**collection));
            let Some((workspace, collection)) = self.control.next_collection_with_usage(after)? else {
                return Ok(());
            };
            self.tidy_collection(workspace, &collection)?;
            at = Some((workspace, collection));
        }
    }
    fn tidy_collection(&self, workspace: WorkspaceId, collection: &Arc<str>) -> Result<(), ApiError> {
        let hasher = self.control.partition_hasher();
        let there = || -> Result<HashSet<PartitionHash>, ApiError> {
            let infos = self.store.all_partitions(&counting(workspace, Some(collection)), collection)?;
            let names = infos.iter().filter_map(|info| info.name.as_ref());
            Ok(names.map(|name| hasher.hash(workspace, collection, name)).collect())
        };
        let (known, mut gone, mut last) = (there()?, Vec::new(), None);
        loop {
            let page = self.control.partitions_with_usage(workspace, collection, last, PAGE)?;
            let Some(end) = page.last().copied() else { break };
            last = Some(end);
            gone.extend(page.into_iter().filter(|hash| !known.contains(hash)));
        }
        if gone.is_empty() {
            return Ok(());
        }
        // One may have been made meanwhile.
        let known = there()?;
        for hash in gone.into_iter().filter(|hash| !known.contains(hash)) {
            let (collection, partition) = (collection.clone(), Some(hash));
            self.control.forget_usage(&OfPartition { workspace, day: 0, collection, partition })?;
        }
        Ok(())
    }
}
