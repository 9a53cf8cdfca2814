//! What does a manifest say of one partition?
//!
//! A [`PartitionEntry`], a [`SegmentRef`] for each of its segments, and its sealed
//! [`Identity`](crate::record::Identity), one after the other. The entries of a version are encoded and decoded
//! one by one, for there may be a million.

use crate::layout::{check_crc, crc_of, zero};
use crate::limits::{COLLECTION_NAME_BYTES_MAX, PARTITION_NAME_CHARS_MAX, SEGMENTS_MAX};
use crate::record::CollectionSpec;
use crate::terms::TERMS_BYTES;
use crate::{Damage, layout};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// The longest names, the fields beside them, terms, and the tag.
const SEALED_IDENTITY_BYTES_MAX: usize =
    COLLECTION_NAME_BYTES_MAX + PARTITION_NAME_CHARS_MAX * 4 + 13 + TERMS_BYTES + 16;

layout! {
    /// One partition.
    PartitionEntry: 168 {
        /// Which incarnation.
        incarnation: [u8; 16],
        /// Whose.
        workspace: [u8; 16],
        /// Its name, as a keyed hash under the workspace's key: it says whom damage hit.
        name_tag: [u8; 16],
        /// Salt of the subkey that seals its identity.
        identity_salt: [u8; 16],
        /// The incarnation whose rows these were before a purge wrote them anew: its key is to be destroyed.
        /// Zero when there is none.
        replaces: [u8; 16],
        /// Its records up to and including this number are in its segments.
        flushed_through: U64,
        /// Live documents in its segments.
        documents: U64,
        /// Soft-deleted documents in its segments.
        deleted: U64,
        /// Passages of the live ones.
        passages: U64,
        /// When the longest deleted of them was deleted, in milliseconds since 1970; 0 when none is.
        deleted_since_ms: U64,
        /// When the first purge that still waits for its rewriting was asked for; 0 when none is.
        purge_since_ms: U64,
        /// When the first of its documents expires, in milliseconds since 1970, or earlier; 0 when none does.
        first_expiry_ms: U64,
        /// Its key's slot in the keyring.
        key_slot: U32,
        /// Components of each of its vectors.
        dimension: U32,
        /// How many [`SegmentRef`]s follow, oldest first.
        segments: U32,
        /// The sealed identity's length, tag included.
        identity_bytes: U32,
        /// Over the segment references and the sealed identity.
        body_crc32: U32,
        /// 1 when damage took something that was acknowledged: it is not served until it is restored or
        /// dropped. Else 0.
        is_damaged: U32,
        /// A [`Metric`](crate::record::Metric).
        metric: u8,
        /// Zero.
        reserved: [u8; 3],
        /// Over the 164 bytes before.
        crc32: U32,
    }
}

layout! {
    /// Where a segment is.
    SegmentRef: 56 {
        /// The run that wrote its file.
        epoch: U64,
        /// The file's id: the second half of its name.
        file_id: [u8; 16],
        /// Where it begins in the file.
        offset: U64,
        /// How long it is.
        bytes: U64,
        /// Documents, the deleted ones included.
        documents: U32,
        /// Passages of all of them.
        rows: U32,
        /// Zero.
        reserved: U32,
        /// Over the 52 bytes before.
        crc32: U32,
    }
}

/// Where a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SegmentPlace {
    /// The run that wrote its file.
    pub epoch: u64,
    /// The file's id.
    pub file_id: [u8; 16],
    /// Where it begins in the file.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
    /// Documents, the deleted ones included.
    pub documents: u32,
    /// Passages of all of them.
    pub rows: u32,
}

/// What a manifest keeps of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    /// Which incarnation.
    pub incarnation: [u8; 16],
    /// Whose.
    pub workspace: [u8; 16],
    /// The keyed hash of its name.
    pub name_tag: [u8; 16],
    /// Salt of the subkey that seals its identity.
    pub identity_salt: [u8; 16],
    /// The identity, sealed under the partition's key.
    pub sealed_identity: Vec<u8>,
    /// The incarnation whose rows these were before a purge; zero when there is none.
    pub replaces: [u8; 16],
    /// Its key's slot in the keyring.
    pub key_slot: u32,
    /// What its vectors are.
    pub spec: CollectionSpec,
    /// Its records up to and including this number are in its segments.
    pub flushed_through: u64,
    /// Live documents in its segments.
    pub documents: u64,
    /// Soft-deleted documents in its segments.
    pub deleted: u64,
    /// Passages of the live ones.
    pub passages: u64,
    /// When the longest deleted was deleted; 0 when none is.
    pub deleted_since_ms: u64,
    /// When the first purge that still waits was asked for; 0 when none is.
    pub purge_since_ms: u64,
    /// When the first of its documents expires, or earlier.
    pub first_expiry_ms: Option<u64>,
    /// Whether damage took something that was acknowledged.
    pub is_damaged: bool,
    /// Oldest first.
    pub segments: Vec<SegmentPlace>,
}

impl PartitionState {
    /// Appends it to the entries of a version.
    pub fn encode(&self, entries: &mut Vec<u8>) {
        let mut body =
            Vec::with_capacity(self.segments.len() * SegmentRef::BYTES + self.sealed_identity.len());
        for segment in &self.segments {
            body.extend_from_slice(segment_ref(segment).as_bytes());
        }
        body.extend_from_slice(&self.sealed_identity);
        let mut entry = PartitionEntry {
            incarnation: self.incarnation,
            workspace: self.workspace,
            name_tag: self.name_tag,
            identity_salt: self.identity_salt,
            replaces: self.replaces,
            flushed_through: U64::new(self.flushed_through),
            documents: U64::new(self.documents),
            deleted: U64::new(self.deleted),
            passages: U64::new(self.passages),
            deleted_since_ms: U64::new(self.deleted_since_ms),
            purge_since_ms: U64::new(self.purge_since_ms),
            first_expiry_ms: U64::new(self.first_expiry_ms.unwrap_or(0)),
            key_slot: U32::new(self.key_slot),
            dimension: U32::new(self.spec.dimension),
            segments: U32::new(self.segments.len() as u32),
            identity_bytes: U32::new(self.sealed_identity.len() as u32),
            body_crc32: U32::new(crc32fast::hash(&body)),
            is_damaged: U32::new(u32::from(self.is_damaged)),
            metric: self.spec.metric as u8,
            reserved: [0; 3],
            crc32: U32::ZERO,
        };
        entry.crc32 = crc_of(entry.as_bytes());
        entries.extend_from_slice(entry.as_bytes());
        entries.extend_from_slice(&body);
    }

    pub(super) fn decode(rest: &mut &[u8]) -> Result<Self, Damage> {
        let (entry, after) = PartitionEntry::read_from_prefix(rest)
            .map_err(|_| Damage::new("PartitionEntry", "168 bytes", format_args!("{} bytes", rest.len())))?;
        check_crc("PartitionEntry.crc32", entry.as_bytes())?;
        zero("PartitionEntry.reserved", &entry.reserved)?;
        if entry.is_damaged.get() > 1 {
            return Err(Damage::new("PartitionEntry.is_damaged", "0 or 1", entry.is_damaged));
        }
        let (count, identity_bytes) = (entry.segments.get() as usize, entry.identity_bytes.get() as usize);
        if count > SEGMENTS_MAX {
            return Err(Damage::new("PartitionEntry.segments", SEGMENTS_MAX, count));
        }
        if identity_bytes > SEALED_IDENTITY_BYTES_MAX {
            let limit = SEALED_IDENTITY_BYTES_MAX;
            return Err(Damage::new("PartitionEntry.identity_bytes", limit, identity_bytes));
        }
        let bytes = count * SegmentRef::BYTES + identity_bytes;
        let (body, after) = after
            .split_at_checked(bytes)
            .ok_or_else(|| Damage::new("PartitionEntry.segments", after.len(), bytes))?;
        let computed = crc32fast::hash(body);
        if computed != entry.body_crc32.get() {
            return Err(Damage::new("PartitionEntry.body_crc32", computed, entry.body_crc32));
        }
        *rest = after;
        let (mut places, sealed_identity) = body.split_at(count * SegmentRef::BYTES);
        let segments = (0..count).map(|_| decode_place(&mut places)).collect::<Result<_, _>>()?;
        Ok(Self {
            incarnation: entry.incarnation,
            workspace: entry.workspace,
            name_tag: entry.name_tag,
            identity_salt: entry.identity_salt,
            sealed_identity: sealed_identity.to_vec(),
            replaces: entry.replaces,
            key_slot: entry.key_slot.get(),
            spec: CollectionSpec::read(entry.dimension.get(), entry.metric)?,
            flushed_through: entry.flushed_through.get(),
            documents: entry.documents.get(),
            deleted: entry.deleted.get(),
            passages: entry.passages.get(),
            deleted_since_ms: entry.deleted_since_ms.get(),
            purge_since_ms: entry.purge_since_ms.get(),
            first_expiry_ms: Some(entry.first_expiry_ms.get()).filter(|&time| time != 0),
            is_damaged: entry.is_damaged.get() == 1,
            segments,
        })
    }
}

pub(super) fn segment_ref(place: &SegmentPlace) -> SegmentRef {
    let mut reference = SegmentRef {
        epoch: U64::new(place.epoch),
        file_id: place.file_id,
        offset: U64::new(place.offset),
        bytes: U64::new(place.bytes),
        documents: U32::new(place.documents),
        rows: U32::new(place.rows),
        reserved: U32::ZERO,
        crc32: U32::ZERO,
    };
    reference.crc32 = crc_of(reference.as_bytes());
    reference
}

pub(super) fn decode_place(rest: &mut &[u8]) -> Result<SegmentPlace, Damage> {
    let (place, after) = SegmentRef::read_from_prefix(rest)
        .map_err(|_| Damage::new("SegmentRef", "56 bytes", format_args!("{} bytes", rest.len())))?;
    check_crc("SegmentRef.crc32", place.as_bytes())?;
    zero("SegmentRef.reserved", place.reserved.as_bytes())?;
    *rest = after;
    Ok(SegmentPlace {
        epoch: place.epoch.get(),
        file_id: place.file_id,
        offset: place.offset.get(),
        bytes: place.bytes.get(),
        documents: place.documents.get(),
        rows: place.rows.get(),
    })
}
