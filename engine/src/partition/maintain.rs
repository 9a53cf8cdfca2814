//! How do a partition's memtables become segments, how are segments merged, and how does it end?
//!
//! The store calls these for all partitions of a flush; they never run two at a time for one partition.

use super::view::{Location, Rows, View};
use super::{Core, Counts, Dormant, LoadedShelf, ReadError, WriteError, Writer, look_again};
use crate::io::{Fault, lock};
use crate::memtable::Memtable;
use crate::seal::{Key, fingerprint};
use crate::segment::{RowWords, Segment, SegmentFileWriter, SegmentWriter};
use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use strongroom_format::manifest::{PartitionState, SegmentPlace};
use strongroom_format::record::{Change, ChangeKind};
use strongroom_format::segment::ChangeRow;

/// What an open partition costs beside its view, roughly, in bytes.
const CORE_BYTES: u64 = 2048;

/// A memtable that takes no more records and waits for its segment.
pub(crate) struct Frozen {
    source: u32,
    memtable: Arc<Memtable>,
    flushed_through: u64,
    /// An earlier flush failed to write it: the records since then need a segment as well.
    pub(crate) left_over: bool,
}

impl Core {
    /// Waits until all that is queued is settled.
    pub(super) fn quiesce(&self, writer: &mut Writer) -> Result<(), WriteError> {
        if let Some(last) = writer.pending.back() {
            // Whether it failed is for its writer to hear.
            self.env.log.wait(&last.ticket()).ok();
        }
        self.settle(writer)
    }

    /// Freezes the active memtable, if there is anything in it or one is frozen already.
    pub(crate) fn freeze(&self) -> Result<Option<Frozen>, WriteError> {
        let mut writer = lock(&self.writer);
        if writer.fenced {
            return Ok(None);
        }
        self.quiesce(&mut writer)?;
        let mut shelf = self.shelf_mut();
        let Some(view) = shelf.view.as_mut().filter(|view| !view.is_clean()) else { return Ok(None) };
        let left_over = view.frozen().is_some();
        if !left_over {
            view.freeze();
        }
        let frozen = view.frozen();
        if !left_over {
            shelf.frozen_through = writer.applied_through;
        }
        let flushed_through = shelf.frozen_through;
        Ok(frozen.map(|(source, memtable)| Frozen { source, memtable, flushed_through, left_over }))
    }

    /// Whether no documents or changes wait in memory, nor for being applied: what is durable and not applied yet would be
    /// neither in a segment nor in the log once that is cut.
    pub(crate) fn is_clean(&self) -> bool {
        let mut writer = lock(&self.writer);
        let is_settled = self.settle(&mut writer).is_ok() && writer.pending.is_empty();
        is_settled && self.shelf().view.as_ref().is_none_or(View::is_clean)
    }

    fn key(&self) -> Result<Key, ReadError> {
        let shelf = self.shelf();
        shelf.key.clone().ok_or(ReadError::Dropped)
    }

    /// Writes a frozen memtable's documents, as far as they still count, into a file.
    pub(crate) fn write_frozen(
        &self,
        frozen: &Frozen,
        file: &mut SegmentFileWriter,
    ) -> Result<SegmentPlace, ReadError> {
        let spec = self.spec;
        let mut segment = SegmentWriter::default();
        self.with_view(|view| {
            write_memtable(view, frozen.source, &frozen.memtable, spec.dimension, &mut segment);
        })?;
        for change in frozen.memtable.changes() {
            segment.change(change);
        }
        Ok(file.add(&self.key()?, self.incarnation().0, spec, segment))
    }

    /// Serves a frozen memtable's documents from their segment from now on.
    pub(crate) fn install_frozen(&self, frozen: &Frozen, place: SegmentPlace) -> Result<(), ReadError> {
        let segment = look_again(|| self.open_segment(place))?;
        let mut shelf = self.loaded()?;
        shelf.view().install(&segment, &[frozen.source]);
        let state = &mut shelf.0.state;
        state.segments = state.segments.iter().copied().chain([place]).collect();
        state.flushed_through = state.flushed_through.max(frozen.flushed_through);
        shelf.refresh();
        Ok(())
    }

    fn open_segment(&self, place: SegmentPlace) -> Result<Arc<Segment>, ReadError> {
        let (blobs, cache) = (&self.env.medium.blobs, &self.env.cache);
        let segment = Segment::open(blobs, cache, &self.key()?, self.incarnation().0, self.spec, place)?;
        Ok(Arc::new(segment))
    }

    /// Its entry of the next manifest, once there is something to say.
    pub(crate) fn manifest_entry(&self) -> Option<PartitionState> {
        let shelf = self.shelf();
        let key = shelf.key.as_ref()?;
        let state = &shelf.state;
        if state.flushed_through == 0 && !state.is_damaged {
            return None;
        }
        let who = self.who();
        Some(state.entry(self.workspace, who.name_tag, &who.identity, key, self.env.random()))
    }

    /// Its segments, oldest first.
    pub(crate) fn segment_places(&self) -> Vec<SegmentPlace> {
        self.shelf().state.segments.to_vec()
    }

    /// When the longest deleted of its documents was deleted, as of the last flush; 0 when none is.
    pub(crate) fn deleted_since_ms(&self) -> u64 {
        self.shelf().state.deleted_since_ms
    }

    /// Merges its segments from number `from` on into one, in a file of its own. What was deleted at
    /// `expired_ms` or before is left out.
    pub(crate) fn merge(&self, from: usize, expired_ms: u64) -> Result<Merged, ReadError> {
        self.attempt(|| self.merge_once(from, expired_ms))
    }

    fn merge_once(&self, from: usize, expired_ms: u64) -> Result<Merged, ReadError> {
        let env = &self.env;
        let segments = self.with_view(|view| view.segments())?;
        let merged = segments.get(from..).unwrap_or_default();
        let mut writer = SegmentWriter::default();
        let mut expired = Vec::new();
        for (source, segment) in merged {
            writer.carry(segment, |ordinal, row| {
                let location = self.with_view(|view| view.current(*source, ordinal, &row.id))?;
                let Some(Location { deleted_ms, .. }) = location else { return Ok(None) };
                if deleted_ms.is_some_and(|at_ms| at_ms <= expired_ms) {
                    expired.push((row.id.clone(), row.record));
                    return Ok(None);
                }
                Ok::<_, ReadError>(Some(deleted_ms))
            })?;
        }
        self.write_changes(&segments, from, &expired, &mut writer)?;
        let mut file = env.begin_file();
        let place = file.add(&self.key()?, self.incarnation().0, self.spec, writer);
        file.finish(&*env.medium.blobs)?;
        let replaced = merged.iter().map(|(source, segment)| (*source, segment.place())).collect();
        Ok(Merged { place, replaced, expired })
    }

    /// Of the changes only what concerns documents in older segments is still news.
    fn write_changes(
        &self,
        segments: &[(u32, Arc<Segment>)],
        from: usize,
        expired: &[(String, u64)],
        writer: &mut SegmentWriter,
    ) -> Result<(), ReadError> {
        let (older, merged) = segments.split_at(from);
        let held: HashSet<&str> =
            older.iter().flat_map(|(_, segment)| segment.directory()).map(|row| &*row.id).collect();
        // Of each id the last purge, and the last change of any kind.
        let mut gone: BTreeMap<&str, u64> =
            expired.iter().map(|(id, record)| (&**id, *record)).filter(|(id, _)| held.contains(id)).collect();
        let mut changed: BTreeMap<&str, u64> = BTreeMap::new();
        for row in merged.iter().flat_map(|(_, segment)| segment.changes()) {
            let id = &*row.change.id;
            if held.contains(id) {
                changed.insert(id, row.record);
                if row.change.kind == ChangeKind::Purged {
                    gone.insert(id, row.record);
                }
            }
        }
        for (id, record) in gone {
            let change = Change { kind: ChangeKind::Purged, at_ms: 1, id: id.to_owned() };
            writer.change(&ChangeRow { record, change });
        }
        let now_ms = self.env.medium.clock.now_ms();
        self.with_view(|view| {
            for row in merged.iter().flat_map(|(_, segment)| segment.changes()) {
                if row.change.kind == ChangeKind::Answered && view.memos().holds(row, now_ms) {
                    writer.change(row);
                }
            }
            for (id, record) in changed {
                if let Some(location) = view.find(id)
                    && older.iter().any(|(number, _)| *number == location.source)
                {
                    let kind = match location.deleted_ms {
                        Some(_) => ChangeKind::Deleted,
                        None => ChangeKind::Restored,
                    };
                    let at_ms = location.deleted_ms.unwrap_or(1);
                    let change = Change { kind, at_ms, id: id.to_owned() };
                    writer.change(&ChangeRow { record, change });
                }
            }
        })
    }

    /// Serves from the merged segment from now on; `false` when something that was left out has been restored
    /// meanwhile, or is held.
    pub(crate) fn install_merged(&self, merged: &Merged) -> Result<bool, ReadError> {
        let segment = look_again(|| self.open_segment(merged.place))?;
        // A restore that waits for its sync is one as well.
        let mut writer = lock(&self.writer);
        self.quiesce(&mut writer).map_err(WriteError::into_read)?;
        let mut shelf = self.loaded()?;
        if !shelf.view().still_hold(&merged.expired) || (self.is_held() && !merged.expired.is_empty()) {
            return Ok(false);
        }
        let sources: Vec<u32> = merged.replaced.iter().map(|(source, _)| *source).collect();
        shelf.view().expire(&merged.expired);
        shelf.view().install(&segment, &sources);
        let mut segments = shelf.0.state.segments.to_vec();
        let at = segments.iter().position(|place| *place == merged.replaced[0].1).unwrap_or(segments.len());
        segments.retain(|place| merged.replaced.iter().all(|(_, old)| old != place));
        segments.insert(at, merged.place);
        shelf.0.state.segments = segments.into_iter().collect();
        shelf.refresh();
        Ok(true)
    }

    /// What is to be kept of it when nobody uses it and nothing is in it that isn't in a segment.
    pub(crate) fn rest(&self) -> Option<Dormant> {
        let writer = lock(&self.writer);
        let mut shelf = self.shelf_mut();
        let state = &shelf.state;
        let rests = writer.pending.is_empty()
            && !writer.fenced
            && shelf.key.is_some()
            && state.flushed_through > 0
            && writer.applied_through <= state.flushed_through
            && state.purge_since_ms == 0
            && shelf.amended == 0
            && shelf.view.as_ref().is_none_or(View::is_clean)
            && self.damage().is_none();
        if !rests {
            return None;
        }
        if let Some(view) = shelf.view.take() {
            shelf.state.counts = view.counts();
        }
        Some(shelf.state.clone().on(self.terms()))
    }

    /// When it was last used, and what it takes in memory, in bytes.
    pub(crate) fn residence(&self) -> (u64, u64) {
        let shelf = self.shelf();
        let bytes = shelf.view.as_ref().map_or(0, View::resident_bytes);
        (self.last_use.load(Ordering::Relaxed), bytes + CORE_BYTES)
    }

    /// Refuses writes from now on, waits for those that are queued, and counts what there is.
    pub(crate) fn fence(&self) -> Result<Counts, WriteError> {
        let mut writer = lock(&self.writer);
        writer.fenced = true;
        // What can't be applied to damaged segments goes as well.
        match self.quiesce(&mut writer) {
            Err(error) if self.damage().is_none() && !error.is_of_damage() => {
                writer.fenced = false;
                return Err(error);
            }
            _ => {}
        }
        Ok(self.counts())
    }

    /// Lets writes in again: the drop didn't become durable.
    pub(crate) fn lift_fence(&self) {
        lock(&self.writer).fenced = false;
    }

    /// The key's fingerprint.
    pub(crate) fn fingerprint(&self) -> [u8; 16] {
        self.shelf().key.as_ref().map_or([0; 16], fingerprint)
    }

    /// Forgets key and documents, and answers what is left to erase.
    pub(crate) fn forget(&self) -> Forgotten {
        let mut writer = lock(&self.writer);
        writer.fenced = true;
        writer.cipher = None;
        writer.pending.clear();
        let mut shelf = self.shelf_mut();
        shelf.key = None;
        let freed = shelf.view.take().map_or(0, |view| view.memtable_bytes());
        let unflushed = &self.env.unflushed_bytes;
        unflushed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_sub(freed))).ok();
        if std::mem::take(&mut shelf.state.purge_since_ms) != 0 {
            self.env.purges.fetch_sub(1, Ordering::Relaxed);
        }
        shelf.state.counts = Counts::default();
        let incarnation = shelf.state.incarnation;
        self.env.cache.forget(&incarnation);
        Forgotten {
            incarnation,
            key_slot: shelf.state.key_slot,
            segments: std::mem::take(&mut shelf.state.segments).to_vec(),
        }
    }
}

impl LoadedShelf<'_> {
    /// Brings what rests of the partition up to date with its view.
    fn refresh(&mut self) {
        let view = self.view();
        let (counts, deleted_since_ms) = (view.counts(), view.deleted_since_ms());
        let first_expiry_ms = view.settle_expiry();
        self.0.state.counts = counts;
        self.0.state.deleted_since_ms = deleted_since_ms;
        self.0.state.first_expiry_ms = first_expiry_ms.and_then(NonZeroU64::new);
    }
}

impl View {
    /// Writes every document that counts, live or deleted, and the requests that are remembered; answers whether there is
    /// anything.
    pub(super) fn write_all(
        &self,
        dimension: u32,
        now_ms: u64,
        writer: &mut SegmentWriter,
    ) -> Result<bool, ReadError> {
        for source in self.sources() {
            match &source.rows {
                Rows::Memtable(memtable) => write_memtable(self, source.number, memtable, dimension, writer),
                Rows::Segment(segment) => writer.carry(segment, |ordinal, row| {
                    let location = self.current(source.number, ordinal, &row.id);
                    Ok::<_, Fault>(location.map(|location| location.deleted_ms))
                })?,
            }
        }
        let memos = self.memos().rows(now_ms);
        memos.iter().for_each(|row| writer.change(row));
        Ok(writer.documents() > 0 || !memos.is_empty())
    }
}

/// Writes a memtable's documents as far as they still count.
fn write_memtable(view: &View, source: u32, memtable: &Memtable, dimension: u32, writer: &mut SegmentWriter) {
    let components = dimension as usize;
    for (ordinal, entry) in (0..).zip(memtable.entries()) {
        if let Some(location) = view.current(source, ordinal, &entry.document.id) {
            let from = entry.first_row as usize * components;
            let to = from + entry.rows as usize * components;
            let rows = &memtable.vectors()[from..to];
            writer.push(entry.record, location.deleted_ms, &entry.document, [rows], RowWords::Count);
        }
    }
}

/// What is left of a partition that was forgotten.
pub(crate) struct Forgotten {
    /// Which incarnation.
    pub(crate) incarnation: [u8; 16],
    /// Its key's slot.
    pub(crate) key_slot: u32,
    /// Where its segments lie.
    pub(crate) segments: Vec<SegmentPlace>,
}

/// A merged segment, and the ones whose place it takes.
pub(crate) struct Merged {
    place: SegmentPlace,
    replaced: Vec<(u32, SegmentPlace)>,
    /// Documents that were left out for good: id and record.
    expired: Vec<(String, u64)>,
}

impl Merged {
    /// Where it lies.
    pub(crate) fn place(&self) -> SegmentPlace {
        self.place
    }

    /// Where the segments lie that nobody needs any more.
    pub(crate) fn replaced(&self) -> Vec<SegmentPlace> {
        self.replaced.iter().map(|(_, place)| *place).collect()
    }
}
