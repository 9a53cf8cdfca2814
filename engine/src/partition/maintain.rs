//! How do a partition's memtables become segments, how are segments merged, and how does it end?
//!
//! The store calls these for all partitions of a flush; they never run two at a time for one partition.

use super::view::View;
use super::{Core, Counts, ReadError, WriteError, Writer};
use crate::io::lock;
use crate::memtable::Memtable;
use crate::seal::Key;
use crate::segment::{Segment, SegmentFileWriter, SegmentWriter};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use strongroom_format::manifest::{PartitionState, SegmentPlace};
use strongroom_format::segment::ChangeRow;

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
    fn quiesce(&self, writer: &mut Writer) -> Result<(), WriteError> {
        if let Some(last) = writer.pending.back() {
            // Whether it failed is for its writer to hear.
            self.env.log.wait(last.ticket()).ok();
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
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
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

    /// Whether documents or changes wait in memory.
    pub(crate) fn is_clean(&self) -> bool {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        shelf.view.as_ref().is_none_or(View::is_clean)
    }

    fn key(&self) -> Result<Key, ReadError> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        shelf.key.clone().ok_or(ReadError::Dropped)
    }

    /// Writes a frozen memtable's documents, as far as they still count, into a file.
    pub(crate) fn write_frozen(
        &self,
        frozen: &Frozen,
        file: &mut SegmentFileWriter,
    ) -> Result<SegmentPlace, ReadError> {
        let dimension = self.identity.dimension;
        let mut segment = SegmentWriter::default();
        self.with_view(|view| {
            for (ordinal, entry) in (0..).zip(frozen.memtable.entries()) {
                let Some(deleted) = view.current(frozen.source, ordinal, &entry.document.id) else {
                    continue;
                };
                let row_components = dimension as usize;
                let from = entry.first_row as usize * row_components;
                let to = from + entry.rows as usize * row_components;
                segment.push(entry.record, deleted, &entry.document, &frozen.memtable.vectors()[from..to]);
            }
        })?;
        for change in frozen.memtable.changes() {
            segment.change(change);
        }
        Ok(file.add(&self.key()?, self.incarnation, dimension, segment))
    }

    /// Serves a frozen memtable's documents from their segment from now on.
    pub(crate) fn install_frozen(&self, frozen: &Frozen, place: SegmentPlace) -> Result<(), ReadError> {
        let segment = self.open_segment(place)?;
        let mut shelf = self.loaded()?;
        shelf.view().install(&segment, &[frozen.source]);
        let counts = shelf.view().counts();
        let state = &mut shelf.0.state;
        state.segments.push(place);
        state.flushed_through = state.flushed_through.max(frozen.flushed_through);
        set_counts(state, counts);
        Ok(())
    }

    fn open_segment(&self, place: SegmentPlace) -> Result<Arc<Segment>, ReadError> {
        let (blobs, cache) = (&self.env.medium.blobs, &self.env.cache);
        let segment =
            Segment::open(blobs, cache, &self.key()?, self.incarnation, self.identity.dimension, place)?;
        Ok(Arc::new(segment))
    }

    /// Its entry of the next manifest, once it has a segment.
    pub(crate) fn manifest_entry(&self) -> Option<PartitionState> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        (shelf.key.is_some() && shelf.state.flushed_through > 0).then(|| shelf.state.clone())
    }

    /// Its segments, oldest first.
    pub(crate) fn segment_places(&self) -> Vec<SegmentPlace> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner).state.segments.clone()
    }

    /// Merges its segments from number `from` on into one, in a file of its own.
    pub(crate) fn merge(&self, from: usize) -> Result<Merged, ReadError> {
        let env = &self.env;
        let segments = self.with_view(|view| view.segments())?;
        let merged = segments.get(from..).unwrap_or_default();
        let mut writer = SegmentWriter::default();
        for (source, segment) in merged {
            let vectors = segment.vectors()?;
            let components = self.identity.dimension as usize;
            for (ordinal, row) in (0..).zip(segment.directory()) {
                let Some(deleted) = self.with_view(|view| view.current(*source, ordinal, &row.id))? else {
                    continue;
                };
                let mut document = segment.info(row)?;
                document.content = segment.content(row, 0..row.content_bytes)?;
                let from = row.first_row as usize * components;
                writer.push(
                    row.record,
                    deleted,
                    &document,
                    &vectors[from..from + row.rows as usize * components],
                );
            }
        }
        // Of the changes only what concerns documents in older segments is still news.
        let changed: BTreeMap<&str, u64> = merged
            .iter()
            .flat_map(|(_, segment)| segment.changes())
            .map(|change| (&*change.id, change.record))
            .collect();
        self.with_view(|view| {
            for (id, record) in changed {
                if let Some(location) = view.find(id)
                    && segments[..from].iter().any(|(number, _)| *number == location.source)
                {
                    writer.change(&ChangeRow { record, deleted: location.deleted, id: id.to_owned() });
                }
            }
        })?;
        let mut file = SegmentFileWriter::begin(&*env.medium.entropy, env.log.run());
        let place = file.add(&self.key()?, self.incarnation, self.identity.dimension, writer);
        file.finish(&*env.medium.blobs)?;
        let replaced = merged.iter().map(|(source, segment)| (*source, segment.place())).collect();
        Ok(Merged { place, replaced })
    }

    /// Serves from the merged segment from now on.
    pub(crate) fn install_merged(&self, merged: &Merged) -> Result<(), ReadError> {
        let segment = self.open_segment(merged.place)?;
        let mut shelf = self.loaded()?;
        let sources: Vec<u32> = merged.replaced.iter().map(|(source, _)| *source).collect();
        shelf.view().install(&segment, &sources);
        let segments = &mut shelf.0.state.segments;
        let at = segments.iter().position(|place| *place == merged.replaced[0].1).unwrap_or(segments.len());
        segments.retain(|place| merged.replaced.iter().all(|(_, old)| old != place));
        segments.insert(at, merged.place);
        Ok(())
    }

    /// Takes the view out of memory when nothing is in it that isn't in a segment.
    pub(crate) fn unload(&self) -> bool {
        let writer = lock(&self.writer);
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        let idle = writer.pending.is_empty() && shelf.view.as_ref().is_some_and(View::is_clean);
        if idle && let Some(view) = shelf.view.take() {
            set_counts(&mut shelf.state, view.counts());
        }
        idle
    }

    /// What its view takes in memory, in bytes, and when it was last used.
    pub(crate) fn residence(&self) -> Option<(u64, u64)> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        shelf.view.as_ref().map(|view| (self.last_use.load(Ordering::Relaxed), view.resident_bytes()))
    }

    /// Refuses writes from now on, waits for those that are queued, and counts what there is.
    pub(crate) fn fence(&self) -> Result<Counts, WriteError> {
        let mut writer = lock(&self.writer);
        writer.fenced = true;
        self.quiesce(&mut writer)?;
        Ok(self.counts())
    }

    /// Lets writes in again: the drop didn't become durable.
    pub(crate) fn lift_fence(&self) {
        lock(&self.writer).fenced = false;
    }

    /// Forgets key and documents, and answers where the segments are.
    pub(crate) fn forget(&self) -> Vec<SegmentPlace> {
        let mut writer = lock(&self.writer);
        writer.fenced = true;
        writer.cipher = None;
        writer.pending.clear();
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        shelf.key = None;
        shelf.view = None;
        set_counts(&mut shelf.state, Counts::default());
        self.env.cache.forget(&self.incarnation);
        std::mem::take(&mut shelf.state.segments)
    }
}

/// A merged segment, and the ones whose place it takes.
pub(crate) struct Merged {
    place: SegmentPlace,
    replaced: Vec<(u32, SegmentPlace)>,
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

fn set_counts(state: &mut PartitionState, counts: Counts) {
    state.documents = counts.documents;
    state.deleted = counts.deleted;
    state.passages = counts.passages;
}
