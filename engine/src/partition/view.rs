//! Which documents does an open partition have, and where?
//!
//! A view is the partition's sources, oldest first (segments, at most one frozen memtable, the active
//! memtable), each with the mask of its live documents, and the directory that says which source holds each
//! id. It is what every read runs against.
//!
//! Invariants:
//! 1. An id is live in at most one source; a mask holds exactly the documents that the directory places
//!    there and that are not deleted.
//! 2. A document or change of a higher record number wins over a lower one, in whatever order they come.

use super::environment::Environment;
use super::memos::Memos;
use crate::io::Fault;
use crate::memtable::{Entry, Memtable};
use crate::seal::Key;
use crate::segment::Segment;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use strongroom_format::document::Document;
use strongroom_format::manifest::SegmentPlace;
use strongroom_format::record::{Change, ChangeKind, CollectionSpec};
use strongroom_format::segment::{ChangeRow, DocumentRow};
use strongroom_kernel::Mask;

/// Where an id's document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    /// The source's number, which stays while the source does.
    pub(crate) source: u32,
    /// Its ordinal there.
    pub(crate) ordinal: u32,
    /// The record that put it there.
    pub(crate) record: u64,
    /// Since when it is soft-deleted.
    pub(crate) deleted_ms: Option<u64>,
    /// How many passages it has.
    pub(crate) passages: u32,
    /// How many words they have together, as the segment's directory says; 0 in a memtable.
    pub(crate) words: u64,
}

/// What a source's documents are kept in.
pub(crate) enum Rows {
    /// A segment.
    Segment(Arc<Segment>),
    /// A memtable: the active one is the last source, any before it is being flushed.
    Memtable(Arc<Memtable>),
}

/// Documents that lie together.
pub(crate) struct Source {
    /// Its number.
    pub(crate) number: u32,
    /// Its documents.
    pub(crate) rows: Rows,
    /// Which of them count.
    pub(crate) live: Mask,
}

/// How many documents there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Live ones.
    pub documents: u64,
    /// Soft-deleted ones.
    pub deleted: u64,
    /// Passages of the live ones.
    pub passages: u64,
}

impl Counts {
    /// Both together.
    #[must_use]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            documents: self.documents + other.documents,
            deleted: self.deleted + other.deleted,
            passages: self.passages + other.passages,
        }
    }
}

/// An open partition's documents.
pub(crate) struct View {
    sources: Vec<Source>,
    directory: HashMap<Box<str>, Location>,
    counts: Counts,
    memos: Memos,
    /// Words of the live documents that are in segments.
    words: u64,
    next_source: u32,
    active: u32,
    /// When the first of its documents expires, or earlier.
    pub(super) first_expiry_ms: Option<u64>,
}

impl View {
    /// Opens the segments that the manifest names.
    pub(crate) fn open(
        env: &Environment,
        key: &Key,
        incarnation: [u8; 16],
        spec: CollectionSpec,
        segments: &[SegmentPlace],
    ) -> Result<Self, Fault> {
        let mut view = Self {
            sources: Vec::new(),
            directory: HashMap::new(),
            counts: Counts::default(),
            memos: Memos::default(),
            words: 0,
            next_source: 0,
            active: 0,
            first_expiry_ms: None,
        };
        for &place in segments {
            let (blobs, cache) = (&env.medium.blobs, &env.cache);
            let segment = Segment::open(blobs, cache, key, incarnation, spec, place)?;
            let segment = Arc::new(segment);
            view.first_expiry_ms = view.first_expiry_ms.into_iter().chain(segment.first_expiry_ms()).min();
            let number = view.begin_source(Rows::Segment(Arc::clone(&segment)));
            for (ordinal, row) in (0..).zip(segment.directory()) {
                let DocumentRow { record, deleted_ms, rows: passages, words, .. } = *row;
                view.place(
                    &row.id,
                    Location { source: number, ordinal, record, deleted_ms, passages, words },
                );
            }
            for change in segment.changes() {
                view.mark(change);
            }
        }
        view.freeze();
        Ok(view)
    }

    fn begin_source(&mut self, rows: Rows) -> u32 {
        let number = self.next_source;
        self.next_source += 1;
        self.sources.push(Source { number, rows, live: Mask::default() });
        number
    }

    /// All sources, oldest first.
    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// How many documents there are.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// The requests that were answered.
    pub(super) fn memos(&self) -> &Memos {
        &self.memos
    }

    /// How many words the live documents have that are in segments.
    pub(crate) fn segment_words(&self) -> u64 {
        self.words
    }

    /// Where a document is.
    pub(crate) fn find(&self, id: &str) -> Option<Location> {
        self.directory.get(id).copied()
    }

    /// Every id, and where its document is, in no order.
    pub(super) fn directory(&self) -> impl Iterator<Item = (&str, Location)> {
        self.directory.iter().map(|(id, location)| (&**id, *location))
    }

    /// The source of this number.
    pub(crate) fn source(&self, number: u32) -> Option<&Source> {
        self.sources.iter().find(|source| source.number == number)
    }

    /// Takes over a document that is durable.
    pub(crate) fn put(&mut self, record: u64, document: Document) {
        let id = document.id.clone();
        let passages = document.passages.len() as u32;
        self.first_expiry_ms = self.first_expiry_ms.into_iter().chain(document.expires_ms).min();
        let number = self.active;
        let ordinal = self.active().push(record, document);
        self.place(&id, Location { source: number, ordinal, record, deleted_ms: None, passages, words: 0 });
    }

    /// Takes over a soft delete, restore or purge that is durable, or a memo.
    pub(crate) fn change(&mut self, record: u64, change: Change) {
        let row = ChangeRow { record, change };
        self.mark(&row);
        self.active().change(row);
    }

    /// The active memtable.
    fn active(&mut self) -> &mut Memtable {
        match self.sources.last_mut().map(|source| &mut source.rows) {
            // A flush clones the Arc only after a new active memtable was begun.
            Some(Rows::Memtable(memtable)) => {
                Arc::get_mut(memtable).expect("the active memtable is not shared")
            }
            _ => unreachable!("the last source is the active memtable"),
        }
    }

    fn place(&mut self, id: &str, location: Location) {
        if let Some(old) = self.directory.get(id).copied() {
            if old.record > location.record {
                return;
            }
            self.count(old, -1);
            self.set_live(old, false);
        }
        self.count(location, 1);
        self.set_live(location, location.deleted_ms.is_none());
        match self.directory.get_mut(id) {
            Some(place) => *place = location,
            None => {
                self.directory.insert(id.into(), location);
            }
        }
    }

    fn mark(&mut self, row: &ChangeRow) {
        if row.change.kind == ChangeKind::Answered {
            return self.memos.note(row);
        }
        let Some(old) = self.directory.get(&*row.change.id).copied() else { return };
        if old.record > row.record {
            return;
        }
        let deleted_ms = match row.change.kind {
            ChangeKind::Purged => return self.remove(&row.change.id),
            ChangeKind::Deleted => Some(row.change.at_ms),
            ChangeKind::Restored | ChangeKind::Answered => None,
        };
        let new = Location { deleted_ms, ..old };
        self.count(old, -1);
        self.count(new, 1);
        self.set_live(new, deleted_ms.is_none());
        if let Some(location) = self.directory.get_mut(&*row.change.id) {
            *location = new;
        }
    }

    /// Forgets a document: its id is free.
    fn remove(&mut self, id: &str) {
        if let Some(old) = self.directory.remove(id) {
            self.count(old, -1);
            self.set_live(old, false);
        }
    }

    fn count(&mut self, location: Location, by: i64) {
        let add = |counter: &mut u64, by: i64| *counter = counter.wrapping_add_signed(by);
        if location.deleted_ms.is_some() {
            add(&mut self.counts.deleted, by);
        } else {
            add(&mut self.counts.documents, by);
            add(&mut self.counts.passages, by * i64::from(location.passages));
            add(&mut self.words, by * location.words as i64);
        }
    }

    fn set_live(&mut self, location: Location, live: bool) {
        if let Some(source) = self.sources.iter_mut().find(|source| source.number == location.source) {
            source.live.set(location.ordinal, live);
        }
    }

    /// The memtable that waits for its segment, if there is one.
    pub(crate) fn frozen(&self) -> Option<(u32, Arc<Memtable>)> {
        let (_, before) = self.sources.split_last()?;
        before.iter().find_map(|source| match &source.rows {
            Rows::Memtable(memtable) => Some((source.number, Arc::clone(memtable))),
            Rows::Segment(_) => None,
        })
    }

    /// Whether nothing waits for a flush.
    pub(crate) fn is_clean(&self) -> bool {
        self.memtable_bytes() == 0
    }

    /// What the memtables take, in bytes.
    pub(crate) fn memtable_bytes(&self) -> u64 {
        let bytes = |source: &Source| match &source.rows {
            Rows::Memtable(memtable) if !memtable.is_empty() => memtable.bytes().max(1),
            _ => 0,
        };
        self.sources.iter().map(bytes).sum()
    }

    /// Begins a new active memtable; the one before waits for its segment from now on.
    pub(crate) fn freeze(&mut self) {
        self.active = self.begin_source(Rows::Memtable(Arc::default()));
    }

    /// Where the document is that counts for its id (live or deleted), if it is this one of this source.
    pub(crate) fn current(&self, source: u32, ordinal: u32, id: &str) -> Option<Location> {
        let location = self.find(id)?;
        (location.source == source && location.ordinal == ordinal).then_some(location)
    }

    /// When the document that was deleted first, of those that are still there, was deleted.
    pub(crate) fn deleted_since_ms(&self) -> u64 {
        let deleted = self.directory.values().filter_map(|location| location.deleted_ms);
        if self.counts.deleted == 0 { 0 } else { deleted.min().unwrap_or(0) }
    }

    /// Whether all of these are still as they were when they were left out of a segment.
    pub(crate) fn still_hold(&self, expired: &[(String, u64)]) -> bool {
        expired.iter().all(|(id, record)| {
            let location = self.directory.get(&**id);
            location.is_none_or(|found| found.record != *record || found.deleted_ms.is_some())
        })
    }

    /// Forgets documents that were left out of a segment.
    pub(crate) fn expire(&mut self, expired: &[(String, u64)]) {
        for (id, record) in expired {
            if self.directory.get(&**id).is_some_and(|location| location.record == *record) {
                self.remove(id);
            }
        }
    }

    /// Puts a segment in the place of the sources that it was made from.
    pub(crate) fn install(&mut self, segment: &Arc<Segment>, replaced: &[u32]) {
        let number = self.next_source;
        self.next_source += 1;
        let mut live = Mask::default();
        for (ordinal, row) in (0..).zip(segment.directory()) {
            if let Some(location) = self.directory.get_mut(&*row.id)
                && replaced.contains(&location.source)
                && location.record == row.record
            {
                let is_live = location.deleted_ms.is_none();
                if is_live {
                    self.words = self.words + row.words - location.words;
                }
                *location = Location { source: number, ordinal, words: row.words, ..*location };
                live.set(ordinal, is_live);
            }
        }
        let at = self.sources.iter().position(|source| replaced.contains(&source.number)).unwrap_or(0);
        self.sources.retain(|source| !replaced.contains(&source.number));
        self.sources.insert(at, Source { number, rows: Rows::Segment(Arc::clone(segment)), live });
    }

    /// What it takes in memory, roughly, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let bytes = |source: &Source| match &source.rows {
            Rows::Segment(segment) => segment.resident_bytes(),
            Rows::Memtable(memtable) => memtable.bytes(),
        };
        self.sources.iter().map(bytes).sum::<u64>() + self.memos.bytes()
    }

    /// The segments, oldest first, with their sources' numbers.
    pub(crate) fn segments(&self) -> Vec<(u32, Arc<Segment>)> {
        let segment = |source: &Source| match &source.rows {
            Rows::Segment(segment) => Some((source.number, Arc::clone(segment))),
            Rows::Memtable(_) => None,
        };
        self.sources.iter().filter_map(segment).collect()
    }

    /// How many segments there are.
    pub(crate) fn segment_count(&self) -> u32 {
        self.sources.iter().filter(|source| matches!(source.rows, Rows::Segment(_))).count() as u32
    }
}

impl Source {
    /// When a document was created, and when it was updated last.
    pub(super) fn times(&self, ordinal: u32) -> (u64, Option<u64>) {
        match &self.rows {
            Rows::Segment(segment) => {
                let row = &segment.directory()[ordinal as usize];
                (row.created_ms, row.updated_ms)
            }
            Rows::Memtable(memtable) => {
                let document = &memtable.entries()[ordinal as usize].document;
                (document.created_ms, document.updated_ms)
            }
        }
    }

    /// The rows of a document.
    pub(super) fn rows_of(&self, ordinal: u32) -> Range<u32> {
        match &self.rows {
            Rows::Segment(segment) => segment.rows_of(ordinal..ordinal + 1),
            Rows::Memtable(memtable) => {
                let entry = &memtable.entries()[ordinal as usize];
                entry.first_row..entry.first_row + entry.rows
            }
        }
    }

    /// The document that a row is of, and that is this one or comes after it.
    pub(super) fn ordinal(&self, row: u32, from: u32) -> u32 {
        match &self.rows {
            Rows::Segment(segment) => segment.ordinal(row),
            Rows::Memtable(memtable) => {
                let ends_before = |entry: &Entry| entry.first_row + entry.rows <= row;
                from + memtable.entries()[from as usize..].partition_point(ends_before) as u32
            }
        }
    }
}
