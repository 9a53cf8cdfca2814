//! How does a partition look outside of a store?
//!
//! As a *bundle*: frames one after the other, each signed by itself, so that whoever takes one in never acts on a byte that
//! was not verified, and never holds more than one frame. The first says what it is, pages carry documents, and the last one
//! says that it was all. `format-spec.md`, section "Bundles".

use crate::Damage;
use crate::document::Document;
use crate::limits::{
    COLLECTION_NAME_BYTES_MAX, DIMENSION_MAX, LABEL_BYTES_MAX, PARTITION_NAME_CHARS_MAX, RECORD_BYTES_MAX,
};
use crate::record::{CollectionSpec, Metric, decode_put, encode_put};
use crate::wire::{Reader, Writer};

/// What a bundle begins with.
pub const MAGIC: [u8; 8] = *b"SRBUNDL1";
/// A frame's kind, number and length.
pub const FRAME_HEAD_BYTES: usize = 16;
/// What comes behind a frame's payload.
pub const SIGNATURE_BYTES: usize = 64;
/// A frame's payload is closed once it has so many bytes.
pub const PAGE_BYTES: usize = 1 << 20;
/// A payload, in bytes: one more document always fits.
pub const PAYLOAD_BYTES_MAX: usize = PAGE_BYTES + RECORD_BYTES_MAX + 64;
/// Documents of one page, so that each page is one write.
pub const PAGE_DOCUMENTS_MAX: usize = 1000;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// The first: what the bundle holds, and who signs it.
    Head = 1,
    /// Documents.
    Page = 2,
    /// The last, which says that it was all: its payload is empty.
    Tail = 3,
}

/// The beginning of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// What it is.
    pub kind: FrameKind,
    /// Its place in the bundle, from 0.
    pub number: u64,
    /// The length of its payload.
    pub payload_bytes: u32,
}

impl FrameHead {
    /// As it stands in the bundle.
    pub fn encode(&self) -> [u8; FRAME_HEAD_BYTES] {
        let mut out = Writer::default();
        out.u8(self.kind as u8).raw(&[0; 3]).u32(self.payload_bytes).u64(self.number);
        let mut bytes = [0; FRAME_HEAD_BYTES];
        bytes.copy_from_slice(&out.0);
        bytes
    }

    /// Reads what [`FrameHead::encode`] wrote, of the frame that has to come at this place.
    pub fn decode(bytes: &[u8; FRAME_HEAD_BYTES], expected: u64) -> Result<Self, Damage> {
        let mut input = Reader::new("Frame", bytes);
        let kind = match input.u8()? {
            1 => FrameKind::Head,
            2 => FrameKind::Page,
            3 => FrameKind::Tail,
            other => return Err(Damage::new("Frame.kind", "1 to 3", other)),
        };
        if input.raw(3)? != [0; 3] {
            return Err(Damage::new("Frame.reserved", "zero", "another"));
        }
        let payload_bytes = input.u32()?;
        if payload_bytes as usize > PAYLOAD_BYTES_MAX {
            return Err(Damage::new("Frame.payload_bytes", PAYLOAD_BYTES_MAX, payload_bytes));
        }
        let number = input.u64()?;
        if number != expected || (kind == FrameKind::Head) != (number == 0) {
            return Err(Damage::new("Frame.number", expected, number));
        }
        input.finish()?;
        Ok(Self { kind, number, payload_bytes })
    }
}

/// What the signature of a frame is over.
pub fn signed(bundle: &[u8; 16], head: &FrameHead, payload: &[u8]) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(payload.len() + 64));
    out.raw(b"strongroom bundle 1\n").raw(bundle).raw(&head.encode()).raw(payload);
    out.0
}

/// What a bundle says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleHead {
    /// Random.
    pub id: [u8; 16],
    /// The Ed25519 key that verifies its frames.
    pub public_key: [u8; 32],
    /// When it was begun, in milliseconds since 1970.
    pub at_ms: u64,
    /// What its vectors are.
    pub spec: CollectionSpec,
    /// The collection that the partition was in.
    pub collection: String,
    /// The partition's name; `None` for the default one.
    pub partition: Option<String>,
    /// What made the vectors, by the host's name for it; `None` in bundles from before this was told.
    pub embedder: Option<String>,
}

impl BundleHead {
    /// As the payload of the first frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.raw(&self.id).raw(&self.public_key).u64(self.at_ms);
        out.u32(self.spec.dimension).u8(self.spec.metric as u8).bytes(self.collection.as_bytes());
        out.u8(u8::from(self.partition.is_some()));
        if let Some(partition) = &self.partition {
            out.bytes(partition.as_bytes());
        }
        if let Some(embedder) = &self.embedder {
            out.bytes(embedder.as_bytes());
        }
        out.0
    }

    /// Reads what [`BundleHead::encode`] wrote.
    pub fn decode(payload: &[u8]) -> Result<Self, Damage> {
        let mut input = Reader::new("BundleHead", payload);
        let (id, public_key, at_ms) = (input.array()?, input.array()?, input.u64()?);
        let (dimension, metric) = (input.u32()?, Metric::read(input.u8()?)?);
        if dimension == 0 || dimension as usize > DIMENSION_MAX {
            return Err(Damage::new("BundleHead.dimension", DIMENSION_MAX, dimension));
        }
        let collection = input.text(COLLECTION_NAME_BYTES_MAX)?.to_owned();
        let partition = match input.u8()? {
            0 => None,
            1 => Some(input.text(PARTITION_NAME_CHARS_MAX * 4)?.to_owned()),
            other => return Err(Damage::new("BundleHead.has_partition", "0 or 1", other)),
        };
        let embedder = match input.is_empty() {
            true => None,
            false => Some(input.text(LABEL_BYTES_MAX)?.to_owned()),
        };
        input.finish()?;
        let spec = CollectionSpec { dimension, metric };
        Ok(Self { id, public_key, at_ms, spec, collection, partition, embedder })
    }
}

/// Appends a document to a page.
pub fn encode_document(page: &mut Vec<u8>, document: &Document, deleted_ms: Option<u64>) {
    let mut out = Writer(std::mem::take(page));
    out.u64(deleted_ms.unwrap_or(0)).bytes(&encode_put(document));
    *page = out.0;
}

/// The documents of a page, each with the time of its soft deletion.
pub fn decode_page(payload: &[u8], dimension: u32) -> Result<Vec<(Document, Option<u64>)>, Damage> {
    let mut input = Reader::new("Page", payload);
    let mut documents = Vec::new();
    while !input.is_empty() {
        if documents.len() == PAGE_DOCUMENTS_MAX {
            return Err(Damage::new("Page", PAGE_DOCUMENTS_MAX, "more documents"));
        }
        let deleted_ms = Some(input.u64()?).filter(|at| *at != 0);
        documents.push((decode_put(input.bytes(RECORD_BYTES_MAX)?, dimension)?, deleted_ms));
    }
    Ok(documents)
}
