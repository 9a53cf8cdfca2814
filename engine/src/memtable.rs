//! What was acknowledged but is not in a segment yet?
//!
//! One memtable for each partition that was written to: documents in the order of their records, their
//! vectors as rows one after the other so that a scan runs over them as over a segment's, and the soft
//! deletes, restores and purges since the last flush. Which of its documents count is the partition's to know.
//!
//! Invariants:
//! 1. Documents are only appended; a document's position (its ordinal) and rows never change.
//! 2. What it held is zeroized when it is dropped.

use crate::io::lock;
use crate::words::WordIndex;
use std::sync::{Mutex, MutexGuard};
use strongroom_format::document::Document;
use strongroom_format::fields::FieldValue;
use strongroom_format::segment::ChangeRow;
use zeroize::Zeroize;

/// What a document costs beside its content and vectors, roughly, in bytes.
const DOCUMENT_OVERHEAD_BYTES: u64 = 512;

/// What a field costs beside its path and value.
const FIELD_OVERHEAD_BYTES: u64 = 56;

/// A document in a memtable. Its vectors stand in the memtable's rows.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The record that put it there.
    pub record: u64,
    /// The document, its `vectors` empty.
    pub document: Document,
    /// Its first row.
    pub first_row: u32,
    /// How many rows it has.
    pub rows: u32,
}

/// Documents and changes since the last flush.
#[derive(Debug, Default)]
pub struct Memtable {
    entries: Vec<Entry>,
    vectors: Vec<f32>,
    rows: u32,
    names_readers: bool,
    first_expiry_ms: Option<u64>,
    changes: Vec<ChangeRow>,
    bytes: u64,
    /// Of the first rows: as many as there were when somebody asked for words.
    words: Mutex<WordIndex>,
}

impl Memtable {
    /// Appends a document and answers its ordinal.
    pub fn push(&mut self, record: u64, mut document: Document) -> u32 {
        let ordinal = self.entries.len() as u32;
        let rows = document.passages.len() as u32;
        self.bytes += document.content.len() as u64
            + document.vectors.len() as u64 * 4
            + document.metadata.len() as u64
            + document.readers.iter().flatten().map(|reader| reader.len() as u64).sum::<u64>()
            + document.fields.iter().map(|field| field.bytes() as u64 + FIELD_OVERHEAD_BYTES).sum::<u64>()
            + DOCUMENT_OVERHEAD_BYTES;
        self.names_readers |= document.readers.is_some();
        self.first_expiry_ms = self.first_expiry_ms.into_iter().chain(document.expires_ms).min();
        self.vectors.append(&mut document.vectors);
        self.entries.push(Entry { record, document, first_row: self.rows, rows });
        self.rows += rows;
        ordinal
    }

    /// Notes a soft delete or restore.
    pub fn change(&mut self, change: ChangeRow) {
        self.bytes += 64 + change.change.id.len() as u64;
        self.changes.push(change);
    }

    /// The documents, by ordinal.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The soft deletes and restores, in order.
    pub fn changes(&self) -> &[ChangeRow] {
        &self.changes
    }

    /// Whether a document of it names who may read it.
    pub fn names_readers(&self) -> bool {
        self.names_readers
    }

    /// When the first of its documents expires, of those that do.
    pub fn first_expiry_ms(&self) -> Option<u64> {
        self.first_expiry_ms
    }

    /// All rows, one after the other.
    pub fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    /// The words of all rows. What came since the last call is counted now: no write waits for it.
    pub fn words(&self) -> MutexGuard<'_, WordIndex> {
        let mut words = lock(&self.words);
        let counted = words.rows();
        let first = self.entries.partition_point(|entry| entry.first_row < counted);
        for entry in &self.entries[first..] {
            // One without rows may be met again.
            entry.document.texts().for_each(|text| words.push(text));
        }
        words
    }

    /// How many rows there are.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Whether there is nothing to flush.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.changes.is_empty()
    }

    /// Roughly what it takes in memory.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Memtable {
    fn drop(&mut self) {
        self.vectors.zeroize();
        for entry in &mut self.entries {
            entry.document.content.zeroize();
            entry.document.metadata.zeroize();
            for field in &mut entry.document.fields {
                if let FieldValue::Text(text) = &mut field.value {
                    text.zeroize();
                }
            }
        }
    }
}
