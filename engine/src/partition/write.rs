//! How does a document get in, and how is it deleted and restored?
//!
//! Check → reserve record numbers → seal → enqueue → (others do the same meanwhile) → wait for the sync →
//! apply in order → answer.

use super::standing::{Act, Overlay, Pending, Standing};
use super::{
    Core, DocumentInfo, LoadedShelf, NewDocument, NewPassage, Partition, Passage, ReadError, Who, WriteError,
    Writer, look_again,
};
use crate::io::{Fault, StorageErrorKind, lock};
use crate::log::{Outcome, Urgency};
use crate::nearness::admit;
use crate::seal::{Key, Place, Purpose, Unsealable};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use strongroom_format::Damage;
use strongroom_format::document::Document;
use strongroom_format::fields::{Field, FieldValue};
use strongroom_format::limits::{
    BATCH_RECORDS_MAX, CONTENT_BYTES_MAX, DOCUMENT_ID_BYTES_MAX, FIELD_PATH_BYTES_MAX, FIELDS_BYTES_MAX,
    FIELDS_MAX, LABEL_BYTES_MAX, METADATA_BYTES_MAX, PASSAGES_MAX, READER_BYTES_MAX, READERS_MAX,
    RECORD_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX,
};
use strongroom_format::record::{Change, ChangeKind, Identity, RecordKind, decode_put};
use zeroize::Zeroizing;

/// Documents in one write: beside them a batch holds the partition's first record, and a memo.
pub(super) const WRITE_DOCUMENTS_MAX: usize = BATCH_RECORDS_MAX - 2;

impl Partition {
    /// Inserts a document and answers when it is durable.
    pub fn put(&self, document: NewDocument) -> Result<DocumentInfo, WriteError> {
        let mut infos = self.put_many(vec![document])?;
        infos.pop().ok_or(WriteError::Invalid { what: "document", why: "is missing" })
    }

    /// Inserts documents that become durable together, or not at all.
    pub fn put_many(&self, documents: Vec<NewDocument>) -> Result<Vec<DocumentInfo>, WriteError> {
        limit("documents in one write", documents.len(), WRITE_DOCUMENTS_MAX)?;
        let mut documents =
            documents.into_iter().map(|document| self.prepare(document)).collect::<Result<Vec<_>, _>>()?;
        let eyes = self.eyes();
        self.write(Urgency::Write, |overlay| {
            let (mut acts, mut infos) = (Vec::new(), Vec::with_capacity(documents.len()));
            for (position, document) in documents.iter().enumerate() {
                let twice = documents[..position].iter().any(|before| before.id == document.id);
                match overlay.standing(&document.id, eyes) {
                    _ if twice => return Err(WriteError::Exists),
                    Standing::Absent => {}
                    Standing::Expired => acts.push(self.change(&document.id, ChangeKind::Purged)),
                    Standing::Unseen | Standing::Live(_) | Standing::Deleted => {
                        return Err(WriteError::Exists);
                    }
                }
                infos.push(DocumentInfo::of(document.info(), document.content.len() as u64));
            }
            limit("documents in one write", acts.len() + documents.len(), WRITE_DOCUMENTS_MAX)?;
            let documents = std::mem::take(&mut documents);
            acts.extend(documents.into_iter().map(|document| Act::Put(Box::new(document))));
            Ok((acts, infos))
        })
    }

    /// Soft-deletes a document: nothing finds it until it is restored.
    pub fn delete(&self, id: &str) -> Result<(), WriteError> {
        self.write(Urgency::Erasure, |overlay| match overlay.standing(id, self.eyes()) {
            Standing::Absent | Standing::Expired | Standing::Unseen => Err(WriteError::NotFound),
            Standing::Deleted => Err(WriteError::AlreadyDeleted),
            Standing::Live(_) => Ok((vec![self.change(id, ChangeKind::Deleted)], ())),
        })
    }

    /// Lifts a soft delete.
    pub fn restore(&self, id: &str) -> Result<(), WriteError> {
        self.write(Urgency::Write, |overlay| match overlay.standing(id, self.eyes()) {
            Standing::Absent | Standing::Expired | Standing::Unseen => Err(WriteError::NotFound),
            Standing::Live(_) => Err(WriteError::NotDeleted),
            Standing::Deleted => Ok((vec![self.change(id, ChangeKind::Restored)], ())),
        })
    }

    /// Makes a document, live or soft-deleted, disappear for good: nothing restores it, and its id is free.
    /// Its bytes become unreadable when the store rewrites the partition under another key, which
    /// [`Store::purge`](crate::Store::purge) does at once for small partitions and maintenance within its
    /// deadline for large ones.
    pub fn purge(&self, id: &str) -> Result<(), WriteError> {
        self.write(Urgency::Erasure, |overlay| match overlay.standing(id, self.eyes()) {
            Standing::Absent | Standing::Expired | Standing::Unseen => Err(WriteError::NotFound),
            Standing::Live(_) | Standing::Deleted => Ok((vec![self.change(id, ChangeKind::Purged)], ())),
        })
    }

    /// The same of those of these that are live, in one write, and answers which those were; [`WriteError::NotFound`] when none is.
    pub fn purge_these(&self, ids: &[&str]) -> Result<Vec<String>, WriteError> {
        let ids: BTreeSet<&str> = ids.iter().copied().collect();
        self.write(Urgency::Erasure, |overlay| {
            let is_live = |id: &&str| matches!(overlay.standing(id, self.eyes()), Standing::Live(_));
            let live: Vec<String> = ids.iter().copied().filter(is_live).map(str::to_owned).collect();
            if live.is_empty() {
                return Err(WriteError::NotFound);
            }
            limit("documents in one write", live.len(), WRITE_DOCUMENTS_MAX)?;
            Ok((live.iter().map(|id| self.change(id, ChangeKind::Purged)).collect(), live))
        })
    }

    pub(super) fn change(&self, id: &str, kind: ChangeKind) -> Act {
        self.core.change(id, kind)
    }

    /// Checks a document against the limits and gives it id, digest and time.
    pub(super) fn prepare(&self, mut new: NewDocument) -> Result<Document, WriteError> {
        let spec = self.core.spec;
        let dimension = spec.dimension as usize;
        check(&new)?;
        let medium = &self.core.env.medium;
        let created_ms = medium.clock.now_ms();
        let ttl_ms = self.core.terms().ttl_ms;
        let expires_ms = new.expires_ms.or_else(|| ttl_ms.map(|ttl_ms| created_ms.saturating_add(ttl_ms)));
        let expires_ms = self.core.end_of(expires_ms);
        let id = new.id.unwrap_or_else(|| {
            let mut random = [0; 10];
            medium.entropy.fill(&mut random);
            document_id(created_ms, random)
        });
        let mut passages = Vec::with_capacity(new.passages.len());
        let mut vectors = Vec::with_capacity(new.passages.len() * dimension);
        for NewPassage { text, mut vector } in new.passages {
            if vector.len() != dimension {
                return Err(WriteError::Dimension { expected: dimension, found: vector.len() });
            }
            admit(spec.metric, &mut vector)?;
            check_passage(&text, &new.content)?;
            vectors.extend_from_slice(&vector);
            passages.push(text);
        }
        new.fields.sort_unstable();
        new.fields.dedup();
        let (tags, readers) = (distinct(new.tags), new.readers.map(distinct));
        limit("vectors of a document, in bytes", vectors.len() * 4, RECORD_BYTES_MAX / 2)?;
        Ok(Document {
            id,
            version: 1,
            filename: new.filename,
            content_type: new.content_type,
            content_digest: Sha256::digest(&new.content).into(),
            content: new.content,
            tags,
            metadata: new.metadata,
            fields: new.fields,
            entity: new.entity,
            source: new.source,
            created_ms,
            updated_ms: None,
            expires_ms,
            readers,
            passages,
            vectors,
        })
    }
}

impl Core {
    pub(super) fn change(&self, id: &str, kind: ChangeKind) -> Act {
        let at_ms = self.now_ms().max(1);
        Act::Change(Change { kind, at_ms, id: id.to_owned() })
    }

    /// Runs one write: `prepare` says what to do given all that was queued before.
    pub(super) fn write<R>(
        &self,
        urgency: Urgency,
        mut prepare: impl FnMut(&Overlay<'_>) -> Result<(Vec<Act>, R), WriteError>,
    ) -> Result<R, WriteError> {
        if let Some(damage) = self.damage() {
            return Err(WriteError::Quarantined(damage));
        }
        let mut writer = lock(&self.writer);
        if writer.fenced {
            return Err(WriteError::Dropped);
        }
        self.settle(&mut writer)?;
        let prepared = look_again(|| self.prepared(&writer, &mut prepare));
        let prepared = prepared.map_err(|error| match error {
            WriteError::Read(error) => self.believe(error).into(),
            other => other,
        });
        let (mut acts, answer) = prepared?;
        self.let_go(&writer, &acts)?;
        if acts.is_empty() {
            return Ok(answer);
        }
        if !self.begins_with(&writer, &[]) {
            acts.insert(0, Act::Genesis);
        }
        let ticket = self.submit(&mut writer, acts, urgency)?;
        drop(writer);
        self.env.log.wait(&ticket)?;
        self.settle(&mut lock(&self.writer))?;
        Ok(answer)
    }

    pub(super) fn prepared<R>(
        &self,
        writer: &Writer,
        prepare: impl FnOnce(&Overlay<'_>) -> Result<(Vec<Act>, R), WriteError>,
    ) -> Result<(Vec<Act>, R), WriteError> {
        self.with_view(|view| prepare(&Overlay { view, pending: &writer.pending }))?
    }

    /// Applies what has become durable, in order, and forgets what failed. A reader finds all that one write did to documents, or
    /// nothing of it.
    pub(super) fn settle(&self, writer: &mut Writer) -> Result<(), WriteError> {
        while let Some(first) = writer.pending.front() {
            match self.env.log.outcome(&first.ticket) {
                Outcome::Pending => break,
                Outcome::Failed(_) => {
                    writer.pending.pop_front();
                }
                Outcome::Committed => {
                    let ticket = first.ticket();
                    // Who it is can be told whatever became of what it holds.
                    let is_told = first.act.is_told();
                    let mut shelf = if is_told { None } else { Some(self.loaded()?) };
                    while let Some(Pending { record, act, .. }) = writer
                        .pending
                        .pop_front_if(|next| next.ticket.is(&ticket) && next.act.is_told() == is_told)
                    {
                        writer.applied_through = writer.applied_through.max(record);
                        match (act, &mut shelf) {
                            (Act::Amend(who), _) => self.was_told(record, Some(*who)),
                            (Act::Genesis, _) => self.was_told(record, None),
                            (act, Some(shelf)) => self.apply(shelf, record, act),
                            (_, None) => unreachable!("loaded for what is written into it"),
                        }
                        self.born.store(true, Ordering::Release);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a record is in its segments or memtable already.
    pub(crate) fn has_applied(&self, record: u64) -> bool {
        record <= lock(&self.writer).applied_through
    }

    /// Applies a record of the log at open. Damage in the partition's own segments is the partition's alone.
    pub(crate) fn replay(
        &self,
        record: u64,
        kind: RecordKind,
        name_tag: [u8; 16],
        plain: &[u8],
    ) -> Result<(), Fault> {
        let mut writer = lock(&self.writer);
        self.born.store(true, Ordering::Release);
        writer.applied_through = record;
        let decoded = match kind {
            RecordKind::Put => {
                decode_put(plain, self.spec.dimension).map(|document| Act::Put(Box::new(document)))
            }
            RecordKind::Change => Change::decode(plain).map(Act::Change),
            RecordKind::Genesis => {
                self.was_told(record, None);
                return Ok(());
            }
            RecordKind::Amend => {
                match Identity::decode(plain) {
                    Ok(identity) if identity.spec == self.spec => {
                        self.was_told(record, Some(Who { identity, name_tag }));
                    }
                    Ok(_) => self.lose(Damage::new("Identity", "the vectors that it began with", "others")),
                    Err(damage) => self.lose(damage),
                }
                return Ok(());
            }
            RecordKind::DropPartition | RecordKind::DropWorkspace | RecordKind::Replace => return Ok(()),
        };
        let loaded = decoded
            .map_err(ReadError::from)
            .and_then(|act| look_again(|| self.loaded()).map(|shelf| (shelf, act)));
        match loaded {
            Ok((mut shelf, act)) => self.apply(&mut shelf, record, act),
            Err(ReadError::Damaged(damage)) => self.lose(damage),
            Err(ReadError::Storage(error)) if error.kind == StorageErrorKind::NotFound => {
                self.lose(Damage::new("segment file", "there", "missing").at(&error.name, 0));
            }
            Err(ReadError::Storage(error)) => return Err(Fault::Storage(error)),
            Err(other) => unreachable!("recovery reads nothing that a caller gave: {other}"),
        }
        Ok(())
    }

    fn apply(&self, shelf: &mut LoadedShelf<'_>, record: u64, act: Act) {
        let before = shelf.view().memtable_bytes();
        match act {
            Act::Genesis | Act::Amend(_) => {}
            Act::Put(document) => shelf.view().put(record, *document),
            Act::Change(change) => {
                if change.kind == ChangeKind::Purged {
                    let state = &mut shelf.0.state;
                    if state.purge_since_ms == 0 {
                        state.purge_since_ms = change.at_ms.max(1);
                        self.env.purges.fetch_add(1, Ordering::Relaxed);
                    }
                    shelf.0.purged += 1;
                }
                shelf.view().change(record, change);
            }
        }
        self.env.grew(shelf.view().memtable_bytes().saturating_sub(before));
    }
}

/// Where a record of the log is sealed to.
pub(crate) fn record_place(incarnation: [u8; 16], file_id: [u8; 16], record: u64, kind: RecordKind) -> Place {
    Place { incarnation, file_id, position: record, kind: kind as u8 }
}

/// Opens a record of the log with its partition's key.
pub(crate) fn open_record(
    key: &Key,
    incarnation: [u8; 16],
    file_id: [u8; 16],
    record: u64,
    kind: RecordKind,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
    let place = record_place(incarnation, file_id, record, kind);
    key.cipher(&file_id, Purpose::Log).open(record, place, sealed).map(Zeroizing::new)
}

fn check(new: &NewDocument) -> Result<(), WriteError> {
    if let Some(id) = &new.id {
        limit("document id, in bytes", id.len(), DOCUMENT_ID_BYTES_MAX)?;
        if id.is_empty() {
            return Err(WriteError::Invalid { what: "document id", why: "is empty" });
        }
    }
    limit("content, in bytes", new.content.len(), CONTENT_BYTES_MAX)?;
    limit("metadata, in bytes", new.metadata.len(), METADATA_BYTES_MAX)?;
    limit("fields", new.fields.len(), FIELDS_MAX)?;
    limit("fields, in bytes", new.fields.iter().map(Field::bytes).sum(), FIELDS_BYTES_MAX)?;
    for field in &new.fields {
        limit("path of a field, in bytes", field.path.len(), FIELD_PATH_BYTES_MAX)?;
        if let FieldValue::Text(text) = &field.value {
            limit("text of a field, in bytes", text.len(), METADATA_BYTES_MAX)?;
        }
        if field.path.is_empty() || field.path.contains('\0') {
            return Err(WriteError::Invalid { what: "path of a field", why: "is empty, or has a NUL" });
        }
    }
    limit("tags", new.tags.len(), TAGS_MAX)?;
    for tag in &new.tags {
        limit("tag, in bytes", tag.len(), TAG_BYTES_MAX)?;
    }
    check_labels(new.readers.as_deref(), new.entity.as_ref())?;
    if new.expires_ms == Some(0) {
        return Err(WriteError::Invalid { what: "time of expiry", why: "is 0" });
    }
    for label in [Some(&new.filename), Some(&new.content_type), new.source.as_ref()].into_iter().flatten() {
        limit("filename, media type or source, in bytes", label.len(), LABEL_BYTES_MAX)?;
    }
    limit("passages", new.passages.len(), PASSAGES_MAX)?;
    if new.passages.is_empty() {
        return Err(WriteError::Invalid {
            what: "document",
            why: "has no passage, so nothing could find it",
        });
    }
    Ok(())
}

/// Checks what a document may say of its readers and of whom it is about.
pub(super) fn check_labels(readers: Option<&[String]>, entity: Option<&String>) -> Result<(), WriteError> {
    let readers = readers.unwrap_or_default();
    limit("readers", readers.len(), READERS_MAX)?;
    for reader in readers {
        limit("label of a reader, in bytes", reader.len(), READER_BYTES_MAX)?;
        if reader.is_empty() {
            return Err(WriteError::Invalid { what: "label of a reader", why: "is empty" });
        }
    }
    entity.map_or(Ok(()), |entity| limit("entity, in bytes", entity.len(), LABEL_BYTES_MAX))
}

/// The same without repeats, in their order.
pub(super) fn distinct(texts: Vec<String>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::with_capacity(texts.len());
    for text in texts {
        if !distinct.contains(&text) {
            distinct.push(text);
        }
    }
    distinct
}

fn check_passage(passage: &Passage, content: &[u8]) -> Result<(), WriteError> {
    match passage {
        Passage::Own(text) => limit("a passage's text, in bytes", text.len(), CONTENT_BYTES_MAX),
        Passage::Range { start, end } => {
            let text = content.get(*start as usize..*end as usize);
            match text.map(std::str::from_utf8) {
                Some(Ok(_)) => Ok(()),
                _ => {
                    Err(WriteError::Invalid { what: "passage", why: "is not a range of the content's text" })
                }
            }
        }
    }
}

pub(super) fn limit(what: &'static str, found: usize, limit: usize) -> Result<(), WriteError> {
    if found > limit {
        return Err(WriteError::TooLarge { what, found: found as u64, limit: limit as u64 });
    }
    Ok(())
}

/// `doc_` and 26 characters of Crockford's base 32: 48 bits of time, then 80 random ones, so that ids sort
/// by time and none is ever guessed.
fn document_id(now_ms: u64, random: [u8; 10]) -> String {
    let mut bits = u128::from(now_ms & 0xffff_ffff_ffff) << 80;
    for (position, byte) in random.into_iter().rev().enumerate() {
        bits |= u128::from(byte) << (8 * position);
    }
    let digit = |shift: u32| char::from(b"0123456789abcdefghjkmnpqrstvwxyz"[(bits >> shift & 31) as usize]);
    "doc_".chars().chain((0..26).rev().map(|place| digit(place * 5))).collect()
}
