//! How are purged documents made unreadable for good, while the partition goes on?
//!
//! All rows that still count are written anew, under a fresh key; once the manifest has the partition under
//! that key, the old one can be destroyed, and with it everything that it ever sealed: the purged rows in old
//! segments, their records in the log, copies in backups.

use super::dormant::Places;
use super::{Core, Dormant, ReadError};
use crate::io::{Fault, lock};
use crate::keyring::Minted;
use crate::segment::SegmentWriter;
use std::num::NonZeroU64;
use std::sync::atomic::Ordering;
use strongroom_format::manifest::{PartitionState, SegmentPlace};

/// A partition that was written anew and goes on under another key.
pub(crate) struct Rewritten {
    /// As the manifest is to have it.
    pub(crate) entry: PartitionState,
    /// The incarnation and slot of the key that is to be destroyed.
    pub(crate) old: ([u8; 16], u32),
    /// Where the old rows lie.
    pub(crate) old_segments: Vec<SegmentPlace>,
    /// How many documents were purged since the last rewriting, as far as that is known.
    pub(crate) purged: u64,
}

impl Core {
    /// When the first purge was asked for that still waits; 0 when none does.
    pub(crate) fn purge_since_ms(&self) -> u64 {
        self.shelf().state.purge_since_ms
    }

    /// Writes the partition anew under this key; writes wait meanwhile. `publish` makes it hold: when that
    /// fails nothing changed. `None` when the partition was dropped.
    pub(crate) fn rekey<E: From<Fault> + From<ReadError>>(
        &self,
        minted: &Minted,
        publish: impl FnOnce(&Rewritten) -> Result<(), E>,
    ) -> Result<Option<Rewritten>, E> {
        let mut writer = lock(&self.writer);
        if writer.fenced {
            return Ok(None);
        }
        self.quiesce(&mut writer).map_err(|error| E::from(error.into_read()))?;
        let (segment, is_needed) = self.rows().map_err(E::from)?;
        let mut file = self.env.begin_file();
        let first_expiry_ms = self.loaded().map_err(E::from)?.view().settle_expiry();
        let mut state = {
            let shelf = self.shelf();
            let view = shelf.view.as_ref();
            Dormant {
                counts: view.map_or(shelf.state.counts, |view| view.counts()),
                deleted_since_ms: view.map_or(0, |view| view.deleted_since_ms()),
                first_expiry_ms: first_expiry_ms.and_then(NonZeroU64::new),
                flushed_through: writer.applied_through.max(shelf.state.flushed_through).max(1),
                ..Dormant::new(minted.incarnation, minted.slot, self.spec)
            }
        };
        if is_needed {
            let place = file.add(&minted.key, minted.incarnation, self.spec, segment);
            file.finish(&*self.env.medium.blobs)?;
            state.segments = Places::One(place);
        }
        let who = self.who();
        let entry = state.entry(self.workspace, who.name_tag, &who.identity, &minted.key, self.env.random());
        let rewritten = {
            let shelf = self.shelf();
            let old = (shelf.state.incarnation, shelf.state.key_slot);
            let entry = PartitionState { replaces: old.0, ..entry };
            Rewritten { entry, old, old_segments: shelf.state.segments.to_vec(), purged: shelf.purged }
        };
        publish(&rewritten)?;
        let mut shelf = self.shelf_mut();
        let freed = shelf.view.take().map_or(0, |view| view.memtable_bytes());
        let counters = &self.env.unflushed_bytes;
        counters.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_sub(freed))).ok();
        if shelf.state.purge_since_ms != 0 {
            self.env.purges.fetch_sub(1, Ordering::Relaxed);
        }
        shelf.key = Some(minted.key.clone());
        shelf.state = state;
        shelf.purged = 0;
        shelf.amended = 0;
        writer.cipher = None;
        self.env.cache.forget(&rewritten.old.0);
        Ok(Some(rewritten))
    }

    /// All rows that count, from segments and memtables, and whether there are any.
    fn rows(&self) -> Result<(SegmentWriter, bool), ReadError> {
        let now_ms = self.env.medium.clock.now_ms();
        self.attempt(|| {
            let mut writer = SegmentWriter::default();
            let dimension = self.spec.dimension;
            let is_needed = self.with_view(|view| view.write_all(dimension, now_ms, &mut writer))??;
            Ok((writer, is_needed))
        })
    }
}
