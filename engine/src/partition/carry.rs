//! How do whole documents leave a partition and come into another store's, or another of this one?
//!
//! As they are: content, fields, vectors bit for bit, times, version, soft deletion. Whoever takes them in checks them like documents
//! that a user brings, since they may come from anybody.
//!
//! Invariants:
//! 1. What is taken in is what was carried, or nothing of that write is.
//! 2. To take in again what is there already changes nothing, so a carrying that broke off can be begun anew.

use super::standing::{Act, Overlay, Standing};
use super::view::View;
use super::{DocumentInfo, NewDocument, NewPassage, Partition, ReadError, WriteError};
use crate::log::Urgency;
use strongroom_format::document::Document;
use strongroom_format::fields::Field;
use strongroom_format::record::{Change, ChangeKind};

/// A vector that was brought to length 1 before is of length 1 but for rounding; it is kept bit for bit.
const ROUNDING: f32 = 1e-6;

/// A document with all that there is of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    pub(crate) document: Document,
    pub(crate) deleted_ms: Option<u64>,
}

impl Whole {
    /// Its metadata: a JSON object as text, or empty.
    pub fn metadata(&self) -> &str {
        &self.document.metadata
    }

    /// How long its content is.
    pub fn content_bytes(&self) -> u64 {
        self.document.content.len() as u64
    }

    /// What it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.document.content.len() + self.document.vectors.len() * 4 + self.document.metadata.len()
    }

    /// Says what a filter can ask of its metadata, as the host reads that.
    pub fn set_fields(&mut self, fields: Vec<Field>) {
        self.document.fields = fields;
    }
}

/// What became of documents that were to be taken in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TakenIn {
    /// So many are new.
    pub added: u64,
    /// So many were there already, the same.
    pub known: u64,
}

impl Partition {
    /// The documents of these ids, live or soft-deleted, that the handle's caller sees; those that went meanwhile are left out.
    /// Reads them one by one: at most about `bytes_max` of them, one at least, and answers how many ids that were.
    pub fn carry(&self, ids: &[String], bytes_max: usize) -> Result<(Vec<Whole>, usize), ReadError> {
        let (mut wholes, mut bytes, mut taken) = (Vec::new(), 0, 0);
        for id in ids {
            if bytes >= bytes_max {
                break;
            }
            taken += 1;
            let eyes = self.eyes();
            let found = self.core.attempt(|| {
                self.look(|view: &View| {
                    let Some(location) = view.find(id).filter(|location| view.sees(*location, eyes)) else {
                        return Ok(None);
                    };
                    let document = view.whole(location)?;
                    Ok::<_, ReadError>(Some(Whole { document, deleted_ms: location.deleted_ms }))
                })?
            })?;
            if let Some(whole) = found {
                bytes += whole.bytes();
                wholes.push(whole);
            }
        }
        Ok((wholes, taken))
    }

    /// Takes documents in, all together or none. One that is there already in the same version, with the same content, is passed
    /// over; [`WriteError::Exists`] when an id is another document's.
    pub fn take_in(&self, wholes: Vec<Whole>) -> Result<TakenIn, WriteError> {
        let mut wholes = wholes
            .into_iter()
            .map(|whole| Ok((self.admitted(whole.document)?, whole.deleted_ms)))
            .collect::<Result<Vec<_>, WriteError>>()?;
        self.core.write(Urgency::Write, |overlay| {
            let mut is_new = Vec::with_capacity(wholes.len());
            for (position, (document, _)) in wholes.iter().enumerate() {
                if wholes[..position].iter().any(|(before, _)| before.id == document.id) {
                    return Err(WriteError::Exists);
                }
                is_new.push(self.is_new(overlay, document)?);
            }
            let (mut acts, mut taken) = (Vec::new(), TakenIn::default());
            for ((mut document, deleted_ms), is_new) in std::mem::take(&mut wholes).into_iter().zip(is_new) {
                if !is_new {
                    taken.known += 1;
                    continue;
                }
                taken.added += 1;
                let deleted = deleted_ms.map(|at_ms| Change {
                    kind: ChangeKind::Deleted,
                    at_ms: at_ms.max(1),
                    id: document.id.clone(),
                });
                document.expires_ms = self.core.end_of(document.expires_ms);
                acts.push(Act::Put(Box::new(document)));
                acts.extend(deleted.map(Act::Change));
            }
            Ok((acts, taken))
        })
    }

    /// Whether nothing of this id is there; when something is, it has to be this.
    fn is_new(&self, overlay: &Overlay<'_>, document: &Document) -> Result<bool, WriteError> {
        let same = |known: &DocumentInfo| {
            known.version == document.version
                && known.content_digest == document.content_digest
                && (known.created_ms, known.updated_ms) == (document.created_ms, document.updated_ms)
        };
        match overlay.standing(&document.id, self.eyes()) {
            Standing::Absent => Ok(true),
            Standing::Expired | Standing::Unseen => Err(WriteError::Exists),
            Standing::Live(Some(pending)) => {
                if same(&DocumentInfo::of(pending.info(), 0)) {
                    Ok(false)
                } else {
                    Err(WriteError::Exists)
                }
            }
            Standing::Live(None) | Standing::Deleted => {
                // One that is queued and deleted again is no news either way: whoever asks again sees it.
                let location = overlay.view.find(&document.id).ok_or(WriteError::Exists)?;
                let (known, bytes) = overlay.view.info(location)?;
                if same(&DocumentInfo::of(known, bytes)) { Ok(false) } else { Err(WriteError::Exists) }
            }
        }
    }

    /// Checks a document like one that a user brings, and leaves it what it is.
    fn admitted(&self, document: Document) -> Result<Document, WriteError> {
        let dimension = self.core.spec.dimension as usize;
        if document.vectors.len() != document.passages.len() * dimension {
            return Err(WriteError::Invalid {
                what: "a document",
                why: "has not one vector for each passage",
            });
        }
        if document.version == 0 {
            return Err(WriteError::Invalid { what: "a document", why: "has no version" });
        }
        let passages = document.passages.iter().zip(document.vectors.chunks_exact(dimension.max(1)));
        let new = NewDocument {
            id: Some(document.id),
            filename: document.filename,
            content_type: document.content_type,
            content: document.content,
            tags: document.tags,
            metadata: document.metadata,
            fields: document.fields,
            entity: document.entity,
            source: document.source,
            readers: document.readers,
            expires_ms: document.expires_ms,
            passages: passages
                .map(|(text, vector)| NewPassage { text: text.clone(), vector: vector.to_vec() })
                .collect(),
        };
        let mut checked = self.prepare(new)?;
        let is_same = checked.vectors.iter().zip(&document.vectors).all(|(a, b)| (a - b).abs() <= ROUNDING);
        if is_same {
            checked.vectors = document.vectors;
        }
        checked.version = document.version;
        checked.created_ms = document.created_ms;
        checked.updated_ms = document.updated_ms;
        Ok(checked)
    }
}
