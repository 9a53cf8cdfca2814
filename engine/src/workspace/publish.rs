//! What has changed since the manifest was last published, and what is still to be done after it?
//!
//! Jobs note here what they changed; one publish makes it all hold. Ranges of segments that nobody needs any
//! more are named by the edit that gives them up, and erased after it: a crash in between is made up for at
//! open.

use super::Store;
use crate::io::Fault;
use crate::manifest::{Edit, ManifestStore};
use crate::partition::Core;
use crate::shred::Erasure;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use strongroom_format::manifest::{PartitionState, SegmentPlace};

/// What the store's jobs share. One of them runs at a time.
pub(super) struct Maintenance {
    pub(super) manifest: ManifestStore,
    /// The first log file that is still needed: run and number.
    pub(super) log_floor: (u64, u64),
    /// Partitions that changed since the last publish, by their incarnation when they did.
    pub(super) changed: BTreeMap<[u8; 16], Arc<Core>>,
    /// Incarnations that are no more.
    pub(super) removed: BTreeSet<[u8; 16]>,
    /// Ranges that nobody needs from the next publish on. Until it succeeds the manifest names them, and a crash
    /// brings them back.
    pub(super) released: Vec<SegmentPlace>,
    /// Ranges that an edit gave up, still to be erased.
    pub(super) given_up: Vec<SegmentPlace>,
    /// Segments under keys that purges replace. Each edit names them until they are erased, for no partition does.
    pub(super) replaced: Vec<SegmentPlace>,
    /// Drops that are durable but whose erasing failed: tried again with each round.
    pub(super) unfinished: Vec<Erasure>,
    /// When resting partitions were last looked through, in milliseconds since 1970.
    pub(super) swept_ms: u64,
    /// Where the next scrub begins: the name of the file it did last.
    pub(super) scrubbed: Option<String>,
}

impl Maintenance {
    /// Notes that a partition is to be published as it is.
    pub(super) fn change(&mut self, core: &Arc<Core>) {
        self.changed.insert(core.incarnation().0, Arc::clone(core));
    }
}

impl Store {
    /// Makes everything that changed hold, and erases what is not needed any more. `also` is a partition as it
    /// is to be from now on.
    pub(super) fn publish(
        &self,
        maintenance: &mut Maintenance,
        also: Option<&PartitionState>,
    ) -> Result<(), Fault> {
        let changed: Vec<PartitionState> = maintenance
            .changed
            .values()
            .filter_map(|core| core.manifest_entry())
            .filter(|state| !maintenance.removed.contains(&state.incarnation))
            .chain(also.cloned())
            .collect();
        let edit = Edit {
            run: self.env.log.run(),
            log_floor: maintenance.log_floor,
            next_record: self.env.log.next_record(),
            changed,
            removed: maintenance.removed.iter().copied().collect(),
            released: [&maintenance.released[..], &maintenance.given_up, &maintenance.replaced].concat(),
        };
        if let Err(error) = maintenance.manifest.publish(edit) {
            if !error.is_gone {
                // Nothing may be acknowledged any more that an edit contradicts which may be there.
                self.env.log.poison();
            }
            return Err(error.fault);
        }
        maintenance.changed.clear();
        maintenance.removed.clear();
        maintenance.given_up.append(&mut maintenance.released);
        // The edit holds whatever comes of this: what fails is tried again by the round that comes next.
        self.tidy(maintenance).ok();
        Ok(())
    }

    /// Erases ranges that an edit gave up, and writes a checkpoint when one is due.
    pub(super) fn tidy(&self, maintenance: &mut Maintenance) -> Result<(), Fault> {
        self.erase_given_up(maintenance)?;
        maintenance.manifest.checkpoint_if_due(self.env.log.run())?;
        Ok(())
    }

    /// Erases ranges that an edit gave up.
    pub(super) fn erase_given_up(&self, maintenance: &mut Maintenance) -> Result<(), Fault> {
        while let Some(place) = maintenance.given_up.last() {
            self.files.release(place)?;
            maintenance.given_up.pop();
        }
        Ok(())
    }
}
