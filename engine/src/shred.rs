//! How does a partition end, so that nothing brings it back?
//!
//! In this order: the partition is fenced; the drop is made durable in the log, sealed under the key above;
//! the key's slot is overwritten in both mirrors; key, texts and cached blocks are zeroized; the segments'
//! bytes are overwritten and given back; the slot is marked as done. A crash between any two steps is
//! finished at open: a drop in the log destroys the key, a destroyed key erases the segments.

use crate::io::Fault;
use crate::keyring::Keyring;
use crate::log::LogError;
use crate::partition::{Core, Counts, Environment, WriteError, record_place};
use crate::seal::{Key, Purpose};
use crate::segment::SegmentFiles;
use std::sync::Arc;
use strongroom_format::log::SealedRecord;
use strongroom_format::manifest::SegmentPlace;
use strongroom_format::record::RecordKind;

/// What a drop needs of the store.
pub(crate) struct Shredder<'a> {
    pub(crate) env: &'a Environment,
    pub(crate) keyring: &'a Keyring,
    pub(crate) files: &'a SegmentFiles,
}

impl Shredder<'_> {
    /// Drops one partition and shreds it.
    pub(crate) fn drop_partition(&self, above: &Key, core: &Arc<Core>) -> Result<Counts, WriteError> {
        let counts = core.fence()?;
        if let Err(error) = self.log_drop(above, core.incarnation, RecordKind::DropPartition) {
            core.lift_fence();
            return Err(error.into());
        }
        self.shred(std::slice::from_ref(core), &[core.incarnation])?;
        Ok(counts)
    }

    /// Drops a workspace's partitions and its key. The incarnations name its spare keys as well.
    pub(crate) fn drop_workspace(
        &self,
        root: &Key,
        workspace: [u8; 16],
        cores: &[Arc<Core>],
        mut incarnations: Vec<[u8; 16]>,
    ) -> Result<Counts, WriteError> {
        let mut sum = Counts::default();
        for core in cores {
            let counts = core.fence()?;
            sum.documents += counts.documents;
            sum.deleted += counts.deleted;
            sum.passages += counts.passages;
        }
        if let Err(error) = self.log_drop(root, workspace, RecordKind::DropWorkspace) {
            for core in cores {
                core.lift_fence();
            }
            return Err(error.into());
        }
        // The workspace's own key goes last: a crash before that finds the workspace and goes on.
        incarnations.push(workspace);
        self.shred(cores, &incarnations)?;
        Ok(sum)
    }

    /// Makes a drop durable. It is sealed under the key above, which outlives the dropped one.
    fn log_drop(&self, above: &Key, incarnation: [u8; 16], kind: RecordKind) -> Result<(), LogError> {
        self.env.log.commit(|at| {
            let record = at.first_record;
            let cipher = above.cipher(&at.file_id, Purpose::Log);
            let sealed = cipher.seal(record, record_place(incarnation, at.file_id, record, kind), &[]);
            SealedRecord { incarnation, record, kind, sealed }
        })
    }

    fn shred(&self, cores: &[Arc<Core>], incarnations: &[[u8; 16]]) -> Result<(), Fault> {
        self.keyring.destroy(incarnations)?;
        let segments: Vec<SegmentPlace> = cores.iter().flat_map(|core| core.forget()).collect();
        for segment in &segments {
            self.files.release(segment)?;
        }
        self.keyring.erased(incarnations)
    }
}
