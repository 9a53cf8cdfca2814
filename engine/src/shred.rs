//! How does a partition end, so that nothing brings it back?
//!
//! In this order: the partition is fenced; the drop is made durable in the log, sealed under the key above;
//! the key's slot is overwritten in both mirrors; key, texts and cached blocks are zeroized; the segments'
//! bytes are overwritten and given back; the manifest forgets it; what was erased is read back to look for
//! remains; the receipt is signed and made durable; the slot is marked as done. A crash between any two steps
//! is finished at open, before anything is served: an [`Erasure`] is made from the drop's record, and each of
//! its steps may be taken again.
//!
//! Invariants:
//! 1. Nothing is erased before the drop is durable, and no receipt is written before everything is erased.
//! 2. The log keeps a drop's record until its erasure is finished.

use crate::io::{BlobStore, Fault, StorageErrorKind};
use crate::keyring::Keyring;
use crate::log::LogError;
use crate::partition::{Environment, record_place};
use crate::seal::{Key, Purpose, Signer};
use crate::segment::{SegmentFiles, file_name};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use strongroom_format::Damage;
use strongroom_format::header::{FileHeader, FileKind};
use strongroom_format::log::SealedRecord;
use strongroom_format::manifest::SegmentPlace;
use strongroom_format::receipt::{RECEIPT_FILE_BYTES, Receipt, ReceiptKind};
use strongroom_format::record::{DropNote, RecordKind};
use zerocopy::FromZeros;
use zerocopy::little_endian::U64;

/// Bytes of one slot in both mirrors.
const SLOTS_BYTES: u64 = 2 * strongroom_format::keyring::SLOT_BYTES as u64;

/// What erasing needs of the store.
pub(crate) struct Shredder<'a> {
    pub(crate) env: &'a Environment,
    pub(crate) keyring: &'a Keyring,
    pub(crate) files: &'a SegmentFiles,
    pub(crate) signer: &'a Signer,
}

/// A drop that is durable, and how far its erasing has come.
#[derive(Debug, Clone)]
pub(crate) struct Erasure {
    pub(crate) kind: ReceiptKind,
    /// The incarnation whose key goes, or the workspace's id.
    pub(crate) id: [u8; 16],
    pub(crate) workspace: [u8; 16],
    pub(crate) note: DropNote,
    /// The number of the drop's record.
    pub(crate) record: u64,
    /// The slots that are to be overwritten, and whose they are. A workspace's own stands last.
    pub(crate) keys: Vec<(u32, [u8; 16])>,
    /// Segments that are still to be erased.
    pub(crate) segments: Vec<SegmentPlace>,
    /// Segments that are erased.
    pub(crate) erased: Vec<SegmentPlace>,
    pub(crate) bytes_overwritten: u64,
    pub(crate) files_deleted: u64,
}

impl Erasure {
    /// An erasure of which nothing is done yet.
    pub(crate) fn new(
        kind: ReceiptKind,
        id: [u8; 16],
        workspace: [u8; 16],
        note: DropNote,
        record: u64,
    ) -> Self {
        Self {
            kind,
            id,
            workspace,
            note,
            record,
            keys: Vec::new(),
            segments: Vec::new(),
            erased: Vec::new(),
            bytes_overwritten: 0,
            files_deleted: 0,
        }
    }
}

/// SHA-256 over a salt and a name, the name's parts with a zero byte between them.
pub(crate) fn name_hash(salt: [u8; 16], parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(salt);
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            hash.update([0]);
        }
        hash.update(part);
    }
    hash.finalize().into()
}

impl Shredder<'_> {
    /// Makes a drop durable and answers its record's number. It is sealed under the key above, which outlives
    /// the dropped one.
    pub(crate) fn log_drop(
        &self,
        above: &Key,
        incarnation: [u8; 16],
        name_tag: [u8; 16],
        kind: RecordKind,
        note: &DropNote,
    ) -> Result<u64, LogError> {
        let plain = note.encode();
        self.env.log.commit(|at| {
            let record = at.first_record;
            let cipher = above.cipher(&at.file_id, Purpose::Log);
            let sealed = cipher.seal(record, record_place(incarnation, at.file_id, record, kind), &plain);
            SealedRecord { incarnation, name_tag, record, kind, sealed }
        })
    }

    /// Overwrites the keys. From here on nothing that they sealed opens.
    pub(crate) fn destroy(&self, erasure: &Erasure) -> Result<(), Fault> {
        self.keyring.destroy(&erasure.keys, self.env.log.next_record())
    }

    /// Overwrites the segments.
    pub(crate) fn erase(&self, erasure: &mut Erasure) -> Result<(), Fault> {
        while let Some(place) = erasure.segments.last().copied() {
            let erased = self.files.release(&place)?;
            erasure.bytes_overwritten += erased.overwritten_bytes;
            erasure.segments.pop();
            erasure.erased.push(place);
        }
        Ok(())
    }

    /// Reads back what was erased; answers how many bytes that were. What isn't as it must be is an error.
    pub(crate) fn look(&self, erasure: &mut Erasure) -> Result<u64, Fault> {
        let mut searched = 0;
        for &(slot, incarnation) in &erasure.keys {
            if !self.keyring.is_destroyed(slot, incarnation)? {
                let at = u64::from(slot) * (SLOTS_BYTES / 2);
                return Err(Damage::new("KeySlot.sealed_key", "overwritten", "still there")
                    .at("keyring", at)
                    .into());
            }
            searched += SLOTS_BYTES;
        }
        erasure.files_deleted = 0;
        for place in &erasure.erased {
            let name = file_name(place);
            match self.env.medium.blobs.is_zero(&name, place.offset..place.offset + place.bytes) {
                Ok(true) => searched += place.bytes,
                Ok(false) => {
                    let damage = Damage::new("erased segment", "zeros", "something else");
                    return Err(damage.at(&name, place.offset).into());
                }
                Err(error) if error.kind == StorageErrorKind::NotFound => erasure.files_deleted += 1,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(searched)
    }

    /// Signs what was done and makes it durable, unless that happened before.
    pub(crate) fn write_receipt(&self, erasure: &Erasure, searched: u64) -> Result<(), Fault> {
        let note = &erasure.note;
        let medium = &self.env.medium;
        let receipt = Receipt {
            id: erasure.id,
            kind: erasure.kind as u8,
            strength: medium.slots.strength() as u8,
            workspace: erasure.workspace,
            successor: note.successor,
            name_salt: note.name_salt,
            name_hash: note.name_hash,
            key_fingerprint: note.key_fingerprint,
            partitions: U64::new(note.partitions),
            documents: U64::new(note.documents),
            deleted: U64::new(note.deleted),
            passages: U64::new(note.passages),
            dropped_ms: U64::new(note.at_ms),
            finished_ms: U64::new(medium.clock.now_ms()),
            log_record: U64::new(erasure.record),
            keys_overwritten: U64::new(erasure.keys.len() as u64),
            bytes_overwritten: U64::new(erasure.bytes_overwritten),
            files_deleted: U64::new(erasure.files_deleted),
            bytes_searched: U64::new(searched),
            remains: U64::ZERO,
            public_key: self.signer.public_key(),
            ..Receipt::new_zeroed()
        };
        let header = FileHeader::new(FileKind::Receipt, self.env.random(), self.env.log.run(), 0);
        let bytes = receipt.encode(&header, |signed| self.signer.sign(signed));
        for attempt in 0_u32.. {
            let name = format!("{}-{attempt}", receipt_stem(&erasure.workspace, &erasure.id));
            match medium.blobs.create(&name, &[&bytes]) {
                Ok(()) => break,
                Err(error) if error.kind == StorageErrorKind::Exists => {
                    match medium.blobs.settle(&name) {
                        // An attempt that was deleted: its name is used up.
                        Err(error) if error.kind == StorageErrorKind::NotFound => continue,
                        settled => settled?,
                    }
                    if read_receipt(&*medium.blobs, &name)?.is_some() {
                        break;
                    }
                    // A crash cut it short.
                    medium.blobs.delete(&name)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// A receipt and the bytes that prove it.
#[derive(Debug, Clone)]
pub struct SignedReceipt {
    /// What it says.
    pub receipt: Receipt,
    /// The whole file: whoever keeps it can show it again.
    pub bytes: Vec<u8>,
}

/// The names of all receipts begin with this.
pub(crate) const RECEIPTS: &str = "receipts/";

/// The names of a workspace's receipts begin with this.
pub(crate) fn receipts_prefix(workspace: &[u8; 16]) -> String {
    format!("{RECEIPTS}{}/", hex(workspace))
}

/// The name of a receipt, but for the number of the attempt.
pub(crate) fn receipt_stem(workspace: &[u8; 16], id: &[u8; 16]) -> String {
    format!("{}{}", receipts_prefix(workspace), hex(id))
}

/// Whose receipt an object of this name is: the workspace and the receipt's id. `None` for what isn't one's name.
pub(crate) fn receipt_ids_in(name: &str) -> Option<([u8; 16], [u8; 16])> {
    let (workspace, rest) = name.strip_prefix(RECEIPTS)?.split_once('/')?;
    let (id, _attempt) = rest.split_once('-')?;
    Some((parse_hex(workspace)?, parse_hex(id)?))
}

/// The receipt of this name, unless what is there was cut short or what was read is another one's.
pub(crate) fn read_receipt(blobs: &dyn BlobStore, name: &str) -> Result<Option<SignedReceipt>, Fault> {
    if blobs.head(name)? != Some(RECEIPT_FILE_BYTES as u64) {
        return Ok(None);
    }
    let bytes = blobs.read(name, &[0..RECEIPT_FILE_BYTES as u64])?.pop().unwrap_or_default();
    let receipt = Receipt::decode(&bytes).ok();
    let receipt = receipt.filter(|receipt| name.starts_with(&receipt_stem(&receipt.workspace, &receipt.id)));
    Ok(receipt.map(|receipt| SignedReceipt { receipt, bytes }))
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The bytes are not a receipt, or not a whole one.
    #[error("not a receipt: {0}")]
    Damaged(#[from] Damage),
    /// Somebody changed it, or somebody else made it.
    #[error("the signature does not fit the receipt and its key")]
    Forged,
}

/// Checks a receipt against the key that stands in it. Whether that key is the server's is for the caller to
/// compare.
pub fn verify_receipt(bytes: &[u8]) -> Result<Receipt, ReceiptError> {
    let receipt = Receipt::decode(bytes)?;
    if crate::seal::verify(&receipt.public_key, Receipt::signed(bytes), &receipt.signature) {
        Ok(receipt)
    } else {
        Err(ReceiptError::Forged)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

fn parse_hex(text: &str) -> Option<[u8; 16]> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(number.to_be_bytes())
}
