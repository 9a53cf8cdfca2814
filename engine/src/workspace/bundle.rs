//! How does a partition become a bundle, and a bundle a partition?
//!
//! [`Export`] gives frame after frame: the host sends each on before it asks for the next. [`Import`] is given bytes as they come
//! and gives pages of documents back, each verified before anything is made of it; the host has the partition take them in.
//! Neither holds more than a frame. Section "Bundles" of `format-spec.md`.
//!
//! Invariants:
//! 1. A frame that doesn't check yields nothing, and nothing follows it.
//! 2. All frames of a bundle are by one key, in one order, of one bundle.

use super::{PartitionRef, Scope, Store, StoreError};
use crate::partition::{Partition, Whole};
use crate::seal::verify;
use strongroom_format::Damage;
use strongroom_format::bundle::{
    BundleHead, FRAME_HEAD_BYTES, FrameHead, FrameKind, MAGIC, PAGE_BYTES, PAGE_DOCUMENTS_MAX,
    SIGNATURE_BYTES, decode_page, encode_document, signed,
};

/// A partition on its way out.
pub struct Export {
    partition: Partition,
    head: BundleHead,
    ids: Vec<String>,
    /// How many of the ids were read.
    read: usize,
    number: u64,
    is_done: bool,
}

impl Store {
    /// Begins to export a partition as this scope's caller sees it: each document that is there now, as it is when its turn
    /// comes, unless it goes before. The bundle tells what made its vectors. `None` when there is no such partition.
    pub fn export(
        &self,
        scope: &Scope,
        at: &PartitionRef,
        embedder: Option<&str>,
    ) -> Result<Option<Export>, StoreError> {
        let Some(partition) = self.partition(scope, at)? else { return Ok(None) };
        let ids = partition.ids(|_| true)?.into_iter().map(|(id, _)| id).collect();
        let head = BundleHead {
            id: self.env.random(),
            public_key: self.signer.public_key(),
            at_ms: self.env.medium.clock.now_ms(),
            spec: partition.core.spec,
            collection: at.collection.clone(),
            partition: at.partition.as_ref().map(|name| name.as_str().to_owned()),
            embedder: embedder.map(str::to_owned),
        };
        Ok(Some(Export { partition, head, ids, read: 0, number: 0, is_done: false }))
    }

    /// The next bytes of a bundle; `None` when it is complete.
    pub fn next_frame(&self, export: &mut Export) -> Result<Option<Vec<u8>>, StoreError> {
        if export.is_done {
            return Ok(None);
        }
        let (kind, payload) = if export.number == 0 {
            (FrameKind::Head, export.head.encode())
        } else if export.read < export.ids.len() {
            (FrameKind::Page, export.page()?)
        } else {
            export.is_done = true;
            (FrameKind::Tail, Vec::new())
        };
        let payload_bytes = u32::try_from(payload.len()).expect("a page is smaller than 4 GiB");
        let head = FrameHead { kind, number: export.number, payload_bytes };
        let signature = self.signer.sign(&signed(&export.head.id, &head, &payload));
        let mut frame = Vec::with_capacity(payload.len() + MAGIC.len() + FRAME_HEAD_BYTES + SIGNATURE_BYTES);
        if export.number == 0 {
            frame.extend_from_slice(&MAGIC);
        }
        frame.extend_from_slice(&head.encode());
        frame.extend_from_slice(&payload);
        frame.extend_from_slice(&signature);
        export.number += 1;
        Ok(Some(frame))
    }
}

impl Export {
    /// Its documents come in pages: this reads the next one, without a bundle around it.
    pub fn next_page(&mut self) -> Result<Option<Vec<Whole>>, StoreError> {
        if self.read >= self.ids.len() {
            return Ok(None);
        }
        let until = self.ids.len().min(self.read + PAGE_DOCUMENTS_MAX);
        let (wholes, taken) = self.partition.carry(&self.ids[self.read..until], PAGE_BYTES)?;
        self.read += taken;
        Ok(Some(wholes))
    }

    fn page(&mut self) -> Result<Vec<u8>, StoreError> {
        let mut payload = Vec::new();
        for whole in self.next_page()?.unwrap_or_default() {
            encode_document(&mut payload, &whole.document, whole.deleted_ms);
        }
        Ok(payload)
    }
}

/// A bundle on its way in.
pub struct Import {
    bytes: Vec<u8>,
    payload_bytes_max: usize,
    head: Option<BundleHead>,
    number: u64,
    is_done: bool,
}

/// What a bundle said next.
#[derive(Debug)]
pub enum Imported {
    /// What it is.
    Head(BundleHead),
    /// Documents.
    Page(Vec<Whole>),
    /// That this was all.
    Tail,
}

/// Why a bundle is not taken in any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// It is none, or of a version that this program does not know.
    #[error("this is no bundle of a partition")]
    NotOne,
    /// A frame is not what its signer wrote.
    #[error("frame {0} of the bundle does not check: it was altered or damaged on its way")]
    Signature(u64),
    /// It is signed, and makes no sense.
    #[error("frame {number} of the bundle is signed and not readable: {damage}")]
    Malformed {
        /// Which frame.
        number: u64,
        /// What is wrong.
        damage: Damage,
    },
    /// Raise the host's limit, or leave that document out.
    #[error("frame {number} of the bundle is larger than {limit} bytes")]
    TooLarge {
        /// Which frame.
        number: u64,
        /// Its limit, in bytes.
        limit: usize,
    },
    /// It goes on behind its end.
    #[error("there is something behind the end of the bundle")]
    Behind,
    /// It has no end.
    #[error("the bundle ends early, behind frame {0}")]
    Short(u64),
}

impl Import {
    /// One whose frames have at most so many bytes.
    pub fn new(payload_bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), payload_bytes_max, head: None, number: 0, is_done: false }
    }

    /// Takes bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether it may have a whole frame, or something to refuse.
    pub fn is_ready(&self) -> bool {
        let begin = if self.number == 0 { MAGIC.len() } else { 0 };
        let head = self.bytes.get(begin..).and_then(<[u8]>::first_chunk::<FRAME_HEAD_BYTES>);
        let Some(head) = head else { return self.is_done && !self.bytes.is_empty() };
        FrameHead::decode(head, self.number).map_or(true, |head| {
            let payload_bytes = head.payload_bytes as usize;
            let whole = begin + FRAME_HEAD_BYTES + payload_bytes + SIGNATURE_BYTES;
            payload_bytes > self.payload_bytes_max || self.bytes.len() >= whole
        })
    }

    /// Whether nothing waits for the rest of its frame.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next frame, once all of it has come.
    pub fn next_frame(&mut self) -> Result<Option<Imported>, BundleError> {
        if self.is_done {
            return if self.bytes.is_empty() { Ok(None) } else { Err(BundleError::Behind) };
        }
        let begin = if self.number == 0 { MAGIC.len() } else { 0 };
        let known = self.bytes.len().min(begin);
        if self.bytes[..known] != MAGIC[..known] {
            return Err(BundleError::NotOne);
        }
        let Some(head) = self.bytes.get(begin..).and_then(<[u8]>::first_chunk::<FRAME_HEAD_BYTES>) else {
            return Ok(None);
        };
        let number = self.number;
        let malformed = |damage| BundleError::Malformed { number, damage };
        // An unsigned length is believed as far as its limit, and costs its sender as many bytes.
        let head = FrameHead::decode(head, number).map_err(|_| BundleError::Signature(number))?;
        if head.payload_bytes as usize > self.payload_bytes_max {
            return Err(BundleError::TooLarge { number, limit: self.payload_bytes_max });
        }
        let payload_at = begin + FRAME_HEAD_BYTES;
        let signature_at = payload_at + head.payload_bytes as usize;
        let Some(signature) = self.bytes.get(signature_at..).and_then(<[u8]>::first_chunk::<SIGNATURE_BYTES>)
        else {
            return Ok(None);
        };
        let payload = &self.bytes[payload_at..signature_at];
        let bundle = match &self.head {
            Some(bundle) => bundle.clone(),
            None => BundleHead::decode(payload).map_err(|_| BundleError::NotOne)?,
        };
        if !verify(&bundle.public_key, &signed(&bundle.id, &head, payload), signature) {
            return Err(BundleError::Signature(number));
        }
        let said = match head.kind {
            FrameKind::Head => {
                self.head = Some(bundle.clone());
                Imported::Head(bundle)
            }
            FrameKind::Page => {
                let documents = decode_page(payload, bundle.spec.dimension).map_err(malformed)?;
                let whole = |(document, deleted_ms)| Whole { document, deleted_ms };
                Imported::Page(documents.into_iter().map(whole).collect())
            }
            FrameKind::Tail if !payload.is_empty() => {
                return Err(malformed(Damage::new("Tail", "an empty payload", payload.len())));
            }
            FrameKind::Tail => {
                self.is_done = true;
                Imported::Tail
            }
        };
        self.bytes.drain(..signature_at + SIGNATURE_BYTES);
        self.number += 1;
        Ok(Some(said))
    }

    /// Says that no more bytes come.
    pub fn end(&self) -> Result<(), BundleError> {
        if self.is_done { Ok(()) } else { Err(BundleError::Short(self.number)) }
    }
}
