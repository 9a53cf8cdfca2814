//! How does what is said of documents change, while they stay what they are?
//!
//! Whom a document is about, who may read it and what the host notes in its metadata stand in its record. Here they change in one durable
//! write, of any number of documents together: content, passages, vectors and times stay. The version grows by one, so that whoever
//! replaces the version that was read before ([`Partition::update_version`]) finds that it is another by now.
//!
//! Invariants:
//! 1. A soft-deleted document stays deleted, since the same time.
//! 2. No reader finds some documents of one write changed and others not; see [`Core::settle`](super::Core::settle).

use super::standing::{Act, Overlay, Standing};
use super::write::{WRITE_DOCUMENTS_MAX, check_labels, distinct, limit};
use super::{DocumentInfo, Partition, ReadError, WriteError};
use crate::log::Urgency;
use strongroom_format::document::Document;
use strongroom_format::limits::{METADATA_BYTES_MAX, RECORD_BYTES_MAX};
use strongroom_format::record::{Change, ChangeKind};

/// What can change of a document that stays what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Who the document is about.
    pub entity: Option<String>,
    /// Under which labels it may be read; see [`NewDocument::readers`](super::NewDocument::readers).
    pub readers: Option<Vec<String>>,
    /// A JSON object as text; empty when there is none. What a filter can ask of it stays: this is for the host's own notes.
    pub metadata: String,
}

impl Said {
    /// Checks it against the limits.
    pub(super) fn check(&self) -> Result<(), WriteError> {
        limit("metadata, in bytes", self.metadata.len(), METADATA_BYTES_MAX)?;
        check_labels(self.readers.as_deref(), self.entity.as_ref())
    }

    pub(super) fn put_into(self, document: &mut Document) {
        document.entity = self.entity;
        document.readers = self.readers.map(distinct);
        document.metadata = self.metadata;
    }
}

impl Partition {
    /// Changes what is said of a live document, if `change` says that it did.
    pub fn revise(
        &self,
        id: &str,
        change: impl Fn(&DocumentInfo, &mut Said) -> Result<bool, WriteError>,
    ) -> Result<DocumentInfo, WriteError> {
        self.write(Urgency::Write, |overlay| {
            if !matches!(overlay.standing(id, self.eyes()), Standing::Live(_)) {
                return Err(WriteError::NotFound);
            }
            let (document, _) = overlay.whole(id)?.ok_or(WriteError::NotFound)?;
            let before = told(&document);
            let revised = revised(document, &before, &change)?;
            let info = revised.as_ref().map_or(before, told);
            Ok((revised.map(|document| Act::Put(Box::new(document))).into_iter().collect(), info))
        })
    }

    /// The same of each of these that is live, and answers how many were changed.
    pub fn revise_these(
        &self,
        ids: &[String],
        change: impl Fn(&DocumentInfo, &mut Said) -> Result<bool, WriteError>,
    ) -> Result<u64, WriteError> {
        self.write(Urgency::Write, |overlay| {
            let live = ids.iter().filter(|id| matches!(overlay.standing(id, self.eyes()), Standing::Live(_)));
            revised_all(overlay, live.map(String::as_str), &change)
        })
    }

    /// The same of all documents that this is true of, soft-deleted ones as well; [`WriteError::NotFound`] when there is none.
    pub fn revise_all(
        &self,
        is_one: impl Fn(&str) -> bool,
        change: impl Fn(&DocumentInfo, &mut Said) -> Result<bool, WriteError>,
    ) -> Result<u64, WriteError> {
        self.write(Urgency::Write, |overlay| {
            let is_there = |id: &String| {
                matches!(overlay.standing(id, self.eyes()), Standing::Live(_) | Standing::Deleted)
            };
            let ids: Vec<String> = overlay.ids(&is_one).into_iter().filter(is_there).collect();
            if ids.is_empty() {
                return Err(WriteError::NotFound);
            }
            revised_all(overlay, ids.iter().map(String::as_str), &change)
        })
    }
}

fn revised_all<'a>(
    overlay: &Overlay<'_>,
    ids: impl Iterator<Item = &'a str>,
    change: &impl Fn(&DocumentInfo, &mut Said) -> Result<bool, WriteError>,
) -> Result<(Vec<Act>, u64), WriteError> {
    let (mut acts, mut count, mut bytes) = (Vec::new(), 0, 0);
    for id in ids {
        let Some((document, deleted_ms)) = overlay.whole(id)? else { continue };
        bytes += document.content.len() + document.vectors.len() * size_of::<f32>();
        limit("documents that are changed together, in bytes", bytes, RECORD_BYTES_MAX)?;
        let before = told(&document);
        let Some(document) = revised(document, &before, change)? else { continue };
        let id = document.id.clone();
        acts.push(Act::Put(Box::new(document)));
        acts.extend(deleted_ms.map(|at_ms| Act::Change(Change { kind: ChangeKind::Deleted, at_ms, id })));
        limit("documents in one write", acts.len(), WRITE_DOCUMENTS_MAX)?;
        count += 1;
    }
    Ok((acts, count))
}

fn told(document: &Document) -> DocumentInfo {
    DocumentInfo::of(document.info(), document.content.len() as u64)
}

/// The document with what is said of it now; `None` when that is the same.
fn revised(
    mut document: Document,
    before: &DocumentInfo,
    change: &impl Fn(&DocumentInfo, &mut Said) -> Result<bool, WriteError>,
) -> Result<Option<Document>, WriteError> {
    let mut said = Said {
        entity: document.entity.take(),
        readers: document.readers.take(),
        metadata: std::mem::take(&mut document.metadata),
    };
    if !change(before, &mut said)? {
        return Ok(None);
    }
    said.check()?;
    said.put_into(&mut document);
    document.version = document.version.saturating_add(1);
    Ok(Some(document))
}

impl Overlay<'_> {
    /// What a document, be it deleted or for other eyes, says of itself once what is queued is durable.
    pub(super) fn info(&self, id: &str) -> Result<Option<DocumentInfo>, ReadError> {
        for pending in self.pending.iter().rev() {
            match &pending.act {
                Act::Put(document) if document.id == id => return Ok(Some(told(document))),
                Act::Change(change) if change.id == id && change.kind == ChangeKind::Purged => {
                    return Ok(None);
                }
                _ => {}
            }
        }
        let Some(location) = self.view.find(id) else { return Ok(None) };
        let (document, content_bytes) = self.view.info(location)?;
        Ok(Some(DocumentInfo::of(document, content_bytes)))
    }

    /// A document with all that there is of it once what is queued is durable, and since when it is soft-deleted.
    fn whole(&self, id: &str) -> Result<Option<(Document, Option<u64>)>, ReadError> {
        let mut deleted = None;
        for pending in self.pending.iter().rev() {
            match &pending.act {
                Act::Put(document) if document.id == id => {
                    return Ok(Some(((**document).clone(), deleted.flatten())));
                }
                Act::Change(change) if change.id == id => match change.kind {
                    ChangeKind::Answered => {}
                    ChangeKind::Purged => return Ok(None),
                    ChangeKind::Deleted => drop(deleted.get_or_insert(Some(change.at_ms))),
                    ChangeKind::Restored => drop(deleted.get_or_insert(None)),
                },
                _ => {}
            }
        }
        let Some(location) = self.view.find(id) else { return Ok(None) };
        Ok(Some((self.view.whole(location)?, deleted.unwrap_or(location.deleted_ms))))
    }
}
