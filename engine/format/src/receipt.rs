//! What is said, under signature, about an erasure?
//!
//! A receipt is an object `receipts/<workspace>/<id>-<attempt>`, written once: a [`FileHeader`] and a [`Receipt`]. The signature is
//! Ed25519 over all bytes before it. It tells no name: who knows the name can hash it with the salt and
//! compare.

use crate::header::{FileHeader, FileKind};
use crate::layout::{check_crc, crc_of, zero};
use crate::{Damage, layout};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// What was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ReceiptKind {
    /// A partition.
    Partition = 1,
    /// A workspace with all its partitions.
    Workspace = 2,
    /// Purged documents of a partition that goes on under another key.
    Purge = 3,
}

layout! {
    /// One erasure.
    Receipt: 320 {
        /// The receipt's id: the incarnation whose key was destroyed, or the workspace's id.
        id: [u8; 16],
        /// A [`ReceiptKind`].
        kind: u8,
        /// How strong overwriting is on this medium: 1 in place, 2 copy on write, 3 unknown, 4 memory.
        strength: u8,
        /// Zero.
        reserved: [u8; 6],
        /// The workspace that it happened in.
        workspace: [u8; 16],
        /// For a purge: the incarnation under which the partition goes on. Zero for drops.
        successor: [u8; 16],
        /// Random.
        name_salt: [u8; 16],
        /// SHA-256 over the salt and the name: collection, a zero byte, partition for a partition (the collection
        /// alone for the default one); the workspace's id for a workspace.
        name_hash: [u8; 32],
        /// First bytes of the keyed hash that the destroyed key gave.
        key_fingerprint: [u8; 16],
        /// How many partitions went.
        partitions: U64,
        /// Their live documents (for a purge: the purged ones).
        documents: U64,
        /// Their soft-deleted documents.
        deleted: U64,
        /// Passages of the live ones.
        passages: U64,
        /// When the erasure was asked for, in milliseconds since 1970.
        dropped_ms: U64,
        /// When it was done.
        finished_ms: U64,
        /// The number of the log record that made it durable.
        log_record: U64,
        /// Slots of the keyring that were overwritten, each in both mirrors.
        keys_overwritten: U64,
        /// Bytes of segments that were overwritten with zeros, by the process that finished the erasure.
        bytes_overwritten: U64,
        /// Segment files that were deleted, for nothing else was in them.
        files_deleted: U64,
        /// Bytes that were read back to look for remains: slots and segment ranges.
        bytes_searched: U64,
        /// Of these, places that were not as they must be. Zero, or the erasure is not done.
        remains: U64,
        /// The Ed25519 key that verifies the signature.
        public_key: [u8; 32],
        /// Over the file header and all fields before this one.
        signature: [u8; 64],
        /// Zero.
        reserved_end: [u8; 4],
        /// Over the 316 bytes before.
        crc32: U32,
    }
}

/// A whole receipt file.
pub const RECEIPT_FILE_BYTES: usize = FileHeader::BYTES + Receipt::BYTES;

/// Where the signature begins in the file: it covers all before.
const SIGNED_BYTES: usize = FileHeader::BYTES + Receipt::BYTES - 72;

impl Receipt {
    /// As a whole file, signed by `sign`.
    #[must_use]
    pub fn encode(mut self, header: &FileHeader, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Vec<u8> {
        let mut bytes = [header.as_bytes(), self.as_bytes()].concat();
        self.signature = sign(&bytes[..SIGNED_BYTES]);
        self.crc32 = U32::ZERO;
        self.crc32 = crc_of(self.as_bytes());
        bytes.truncate(FileHeader::BYTES);
        bytes.extend_from_slice(self.as_bytes());
        bytes
    }

    /// From a whole file. The signature is the caller's to verify, over [`Receipt::signed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        FileHeader::read(bytes, FileKind::Receipt)?;
        let rest = &bytes[FileHeader::BYTES..];
        let found = Self::read_from_bytes(rest)
            .map_err(|_| Damage::new("Receipt", "320 bytes", format_args!("{} bytes", rest.len())))?;
        check_crc("Receipt.crc32", rest)?;
        zero("Receipt.reserved", &found.reserved)?;
        zero("Receipt.reserved_end", &found.reserved_end)?;
        if found.kind()? != ReceiptKind::Purge {
            zero("Receipt.successor", &found.successor)?;
        }
        if !(1..=4).contains(&found.strength) {
            return Err(Damage::new("Receipt.strength", "1 to 4", found.strength));
        }
        Ok(found)
    }

    /// The bytes of a whole file that the signature covers.
    pub fn signed(bytes: &[u8]) -> &[u8] {
        &bytes[..SIGNED_BYTES.min(bytes.len())]
    }

    /// What was erased, as a type.
    pub fn kind(&self) -> Result<ReceiptKind, Damage> {
        Ok(match self.kind {
            1 => ReceiptKind::Partition,
            2 => ReceiptKind::Workspace,
            3 => ReceiptKind::Purge,
            other => return Err(Damage::new("Receipt.kind", "1 to 3", other)),
        })
    }
}
