//! How does a document come in the place of another?
//!
//! Under the same id, with the next version and the time of creation of the one before, in one durable record: a reader sees
//! the old document or the new one.

use super::standing::{Act, Overlay, Standing};
use super::write::{WRITE_DOCUMENTS_MAX, limit};
use super::{DocumentInfo, NewDocument, Partition, WriteError};
use crate::log::Urgency;
use strongroom_format::document::Document;
use strongroom_format::limits::METADATA_BYTES_MAX;
use strongroom_format::record::ChangeKind;

impl Partition {
    /// Replaces a live document under its id: everything but the id and the time of creation.
    pub fn update(&self, id: &str, document: NewDocument) -> Result<DocumentInfo, WriteError> {
        self.replace(id, None, document, |_, metadata| metadata)
    }

    /// The same, with metadata that `keep` makes of the one before and the new one: for what a host notes of a document and its
    /// replacement doesn't say.
    pub fn update_keeping(
        &self,
        id: &str,
        document: NewDocument,
        keep: impl Fn(&str, String) -> String,
    ) -> Result<DocumentInfo, WriteError> {
        self.replace(id, None, document, keep)
    }

    /// The same of one version alone: [`WriteError::Changed`] when the live document is another by now.
    pub fn update_version(
        &self,
        id: &str,
        version: u32,
        document: NewDocument,
    ) -> Result<DocumentInfo, WriteError> {
        self.replace(id, Some(version), document, |_, metadata| metadata)
    }

    /// Inserts documents, each in the place of the live one of its id if there is one. They become durable together, or not at
    /// all. The id of a soft-deleted document is taken, and so
    /// is that of one that the caller may not read.
    pub fn upsert_many(&self, documents: Vec<NewDocument>) -> Result<Vec<DocumentInfo>, WriteError> {
        limit("documents in one write", documents.len(), WRITE_DOCUMENTS_MAX)?;
        let mut documents =
            documents.into_iter().map(|document| self.prepare(document)).collect::<Result<Vec<_>, _>>()?;
        let mut ids: Vec<&str> = documents.iter().map(|document| document.id.as_str()).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(WriteError::Invalid { what: "an id", why: "comes twice in one write" });
        }
        let eyes = self.eyes();
        self.write(Urgency::Write, |overlay| {
            let (mut acts, mut befores) = (Vec::new(), Vec::with_capacity(documents.len()));
            for document in &documents {
                befores.push(match overlay.standing(&document.id, eyes) {
                    Standing::Absent => None,
                    Standing::Expired => {
                        acts.push(self.change(&document.id, ChangeKind::Purged));
                        None
                    }
                    Standing::Deleted | Standing::Unseen => return Err(WriteError::Exists),
                    Standing::Live(pending) => Some(before(overlay, &document.id, pending)?),
                });
            }
            limit("documents in one write", acts.len() + documents.len(), WRITE_DOCUMENTS_MAX)?;
            let mut infos = Vec::with_capacity(documents.len());
            for (mut document, before) in std::mem::take(&mut documents).into_iter().zip(befores) {
                if let Some(before) = before {
                    follow(&mut document, before);
                }
                infos.push(DocumentInfo::of(document.info(), document.content.len() as u64));
                acts.push(Act::Put(Box::new(document)));
            }
            Ok((acts, infos))
        })
    }

    fn replace(
        &self,
        id: &str,
        version: Option<u32>,
        document: NewDocument,
        keep: impl Fn(&str, String) -> String,
    ) -> Result<DocumentInfo, WriteError> {
        let mut document = self.prepare(document)?;
        document.id = id.to_owned();
        self.write(Urgency::Write, |overlay| {
            let before = match overlay.standing(id, self.eyes()) {
                Standing::Absent | Standing::Expired | Standing::Unseen | Standing::Deleted => {
                    return Err(WriteError::NotFound);
                }
                Standing::Live(pending) => before(overlay, id, pending)?,
            };
            if version.is_some_and(|version| version != before.version) {
                return Err(WriteError::Changed);
            }
            let metadata = keep(&before.metadata, document.metadata.clone());
            limit("metadata, in bytes", metadata.len(), METADATA_BYTES_MAX)?;
            document.metadata = metadata;
            follow(&mut document, before);
            let info = DocumentInfo::of(document.info(), document.content.len() as u64);
            Ok((vec![Act::Put(Box::new(std::mem::take(&mut document)))], info))
        })
    }
}

/// What the next document keeps of the one before.
struct Before {
    version: u32,
    created_ms: u64,
    metadata: String,
}

fn before(overlay: &Overlay<'_>, id: &str, pending: Option<&Document>) -> Result<Before, WriteError> {
    if let Some(pending) = pending {
        let Document { version, created_ms, ref metadata, .. } = *pending;
        return Ok(Before { version, created_ms, metadata: metadata.clone() });
    }
    let location = overlay.view.find(id).ok_or(WriteError::NotFound)?;
    let (before, _) = overlay.view.info(location)?;
    Ok(Before { version: before.version, created_ms: before.created_ms, metadata: before.metadata })
}

fn follow(document: &mut Document, before: Before) {
    document.updated_ms = Some(document.created_ms);
    document.version = before.version.saturating_add(1);
    document.created_ms = before.created_ms;
}
