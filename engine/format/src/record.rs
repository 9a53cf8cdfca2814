//! What does a record of the log say, once it is unsealed?
//!
//! A record is one act on one partition. What it says is sealed under the partition's key; drops alone are
//! sealed under the key above, for they must be readable when the partition's key is gone.

use crate::Damage;
use crate::document::Document;
use crate::limits::{
    COLLECTION_NAME_BYTES_MAX, CONTENT_BYTES_MAX, DIMENSION_MAX, DOCUMENT_ID_BYTES_MAX, MEMO_BYTES_MAX,
    PARTITION_NAME_CHARS_MAX,
};
use crate::memo::Memo;
use crate::terms::Terms;
use crate::wire::{Reader, Writer};
use std::fmt;

/// The kinds of record, as they stand in a batch's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// A partition begins: its name and what it is made for.
    Genesis = 1,
    /// A document is inserted, or replaced under its id.
    Put = 2,
    /// A document is soft-deleted, restored or purged; or a request was answered.
    Change = 3,
    /// A partition is dropped. Sealed under the workspace's key.
    DropPartition = 4,
    /// A workspace is dropped. Sealed under the root key.
    DropWorkspace = 5,
    /// A partition's rows were written anew under another key, and this one is to be destroyed: it holds once
    /// the manifest has the partition under the other. Sealed under the workspace's key.
    Replace = 6,
    /// A partition goes on under another name or on other terms: its identity from here on.
    Amend = 7,
}

impl RecordKind {
    /// Reads the byte that stands for it.
    pub fn read(byte: u8) -> Result<Self, Damage> {
        Ok(match byte {
            1 => Self::Genesis,
            2 => Self::Put,
            3 => Self::Change,
            4 => Self::DropPartition,
            5 => Self::DropWorkspace,
            6 => Self::Replace,
            7 => Self::Amend,
            other => return Err(Damage::new("DirectoryEntry.kind", "1 to 7", other)),
        })
    }
}

/// What a collection calls near.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Metric {
    /// The cosine of the angle between two vectors: rows are brought to length 1 before they are stored.
    #[default]
    Cosine = 0,
    /// The inner product of vectors of any length.
    InnerProduct = 1,
    /// The Euclidean distance of vectors of any length.
    Euclidean = 2,
}

impl Metric {
    /// Reads the byte that stands for it.
    pub fn read(byte: u8) -> Result<Self, Damage> {
        Ok(match byte {
            0 => Self::Cosine,
            1 => Self::InnerProduct,
            2 => Self::Euclidean,
            other => return Err(Damage::new("metric", "0 to 2", other)),
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cosine => "cosine",
            Self::InnerProduct => "inner product",
            Self::Euclidean => "Euclidean",
        })
    }
}

/// What all partitions of a collection share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CollectionSpec {
    /// Components of each vector, 1 to [`DIMENSION_MAX`].
    pub dimension: u32,
    /// How they are compared.
    pub metric: Metric,
}

impl CollectionSpec {
    /// Vectors that are compared by their cosine.
    pub const fn cosine(dimension: u32) -> Self {
        Self { dimension, metric: Metric::Cosine }
    }

    /// Reads both, and checks them.
    pub(crate) fn read(dimension: u32, metric: u8) -> Result<Self, Damage> {
        if dimension == 0 || dimension as usize > DIMENSION_MAX {
            return Err(Damage::new("dimension", format_args!("1 to {DIMENSION_MAX}"), dimension));
        }
        Ok(Self { dimension, metric: Metric::read(metric)? })
    }
}

/// Who a partition is: what its first record, each that amends it, and its entry in the manifest say under seal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The collection's name.
    pub collection: String,
    /// The partition's name; `None` for the default partition.
    pub partition: Option<String>,
    /// What its vectors are.
    pub spec: CollectionSpec,
    /// On what terms it is kept.
    pub terms: Terms,
}

impl Identity {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        let CollectionSpec { dimension, metric } = self.spec;
        let has_terms = !self.terms.are_usual();
        // A dimension takes two bytes; the metric is the third.
        let spec = dimension | (metric as u32) << 16 | u32::from(has_terms) << 24;
        out.bytes(self.collection.as_bytes()).u32(spec);
        match &self.partition {
            None => out.u8(0),
            Some(name) => out.u8(1).bytes(name.as_bytes()),
        };
        if has_terms {
            self.terms.write(&mut out);
        }
        out.0
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut input = Reader::new("Identity", bytes);
        let collection = input.text(COLLECTION_NAME_BYTES_MAX)?.to_owned();
        let [low, high, metric, has_terms] = input.u32()?.to_le_bytes();
        if has_terms > 1 {
            return Err(Damage::new("Identity.has_terms", "0 or 1", has_terms));
        }
        let spec = CollectionSpec::read(u16::from_le_bytes([low, high]).into(), metric)?;
        let partition = match input.u8()? {
            0 => None,
            1 => Some(input.text(PARTITION_NAME_CHARS_MAX * 4)?.to_owned()),
            other => return Err(Damage::new("Identity.named", "0 or 1", other)),
        };
        let chars = partition.as_deref().map_or(0, |name: &str| name.chars().count());
        if chars > PARTITION_NAME_CHARS_MAX {
            return Err(Damage::new("Identity.partition", PARTITION_NAME_CHARS_MAX, chars));
        }
        let terms = if has_terms == 1 { Terms::read(&mut input)? } else { Terms::default() };
        input.finish()?;
        Ok(Self { collection, partition, spec, terms })
    }
}

/// What becomes of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ChangeKind {
    /// A soft delete is lifted.
    Restored = 0,
    /// It is soft-deleted.
    Deleted = 1,
    /// It is gone for good: nothing restores it, and its id is free.
    Purged = 2,
    /// No document's: a request that came with a key was answered. The id is its [`Memo`].
    Answered = 3,
}

impl ChangeKind {
    /// Reads the byte that stands for it.
    pub fn read(byte: u8) -> Result<Self, Damage> {
        Ok(match byte {
            0 => Self::Restored,
            1 => Self::Deleted,
            2 => Self::Purged,
            3 => Self::Answered,
            other => return Err(Damage::new("Change.kind", "0 to 3", other)),
        })
    }
}

/// A soft delete, its undoing, or a purge; or what is remembered of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What becomes of the document.
    pub kind: ChangeKind,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Which document; of [`ChangeKind::Answered`] the memo.
    pub id: String,
}

impl Change {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        self.write(&mut out);
        out.0
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut input = Reader::new("Change", bytes);
        let change = Self::read(&mut input)?;
        input.finish()?;
        Ok(change)
    }

    /// Appends it.
    pub fn write(&self, out: &mut Writer) {
        out.u8(self.kind as u8).u64(self.at_ms).bytes(self.id.as_bytes());
    }

    /// Takes the next one.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, Damage> {
        let (kind, at_ms) = (ChangeKind::read(input.u8()?)?, input.u64()?);
        let is_memo = kind == ChangeKind::Answered;
        let id = input.text(if is_memo { MEMO_BYTES_MAX } else { DOCUMENT_ID_BYTES_MAX })?;
        if is_memo {
            Memo::decode(id)?;
        }
        Ok(Self { kind, at_ms, id: id.to_owned() })
    }
}

/// What a drop's record keeps of what goes: enough for the receipt, and nothing that tells a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DropNote {
    /// Random.
    pub name_salt: [u8; 16],
    /// SHA-256 over the salt and the name.
    pub name_hash: [u8; 32],
    /// A keyed hash under the key that goes.
    pub key_fingerprint: [u8; 16],
    /// How many partitions go.
    pub partitions: u64,
    /// Their live documents (for purges: the purged ones).
    pub documents: u64,
    /// Their soft-deleted documents.
    pub deleted: u64,
    /// Passages of the live ones.
    pub passages: u64,
    /// When the drop was asked for, in milliseconds since 1970.
    pub at_ms: u64,
    /// For [`RecordKind::Replace`]: the incarnation that takes over. Zero for drops.
    pub successor: [u8; 16],
}

impl DropNote {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.raw(&self.name_salt).raw(&self.name_hash).raw(&self.key_fingerprint);
        out.u64(self.partitions).u64(self.documents).u64(self.deleted).u64(self.passages);
        out.u64(self.at_ms).raw(&self.successor);
        out.0
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut input = Reader::new("DropNote", bytes);
        let note = Self {
            name_salt: input.array()?,
            name_hash: input.array()?,
            key_fingerprint: input.array()?,
            partitions: input.u64()?,
            documents: input.u64()?,
            deleted: input.u64()?,
            passages: input.u64()?,
            at_ms: input.u64()?,
            successor: input.array()?,
        };
        input.finish()?;
        Ok(note)
    }
}

/// A whole document as a record: info, content, vectors.
pub fn encode_put(document: &Document) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(document.content.len() + document.vectors.len() * 4 + 512));
    document.write_info(&mut out);
    out.bytes(&document.content);
    let dimension = document.vectors.len().checked_div(document.passages.len()).unwrap_or(0);
    out.u32(dimension as u32).f32s(&document.vectors);
    out.0
}

/// Reads what [`encode_put`] wrote, for a partition of this dimension.
pub fn decode_put(bytes: &[u8], dimension: u32) -> Result<Document, Damage> {
    let mut input = Reader::new("Put", bytes);
    let (mut document, content_bytes) = Document::read_info(&mut input)?;
    document.content = input.bytes(CONTENT_BYTES_MAX)?.to_vec();
    if document.content.len() as u64 != content_bytes {
        return Err(Damage::new("Put.content", content_bytes, document.content.len()));
    }
    let (found, expected) = (input.u32()?, if document.passages.is_empty() { 0 } else { dimension });
    if found != expected {
        return Err(Damage::new("Put.dimension", expected, found));
    }
    document.vectors = input.f32s(document.passages.len().saturating_mul(found as usize))?;
    input.finish()?;
    Ok(document)
}
