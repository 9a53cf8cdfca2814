//! What does one version of a manifest say?
//!
//! A version is an object `manifest/<shard>/<version>`, written once: a file header (its `number` is the
//! version), a [`ManifestHeader`], then for each partition a [`PartitionEntry`], its [`SegmentRef`]s and its
//! sealed [`Identity`](crate::record::Identity).

use crate::header::{FileHeader, FileKind};
use crate::layout::{check_crc, crc_of, zero};
use crate::limits::{COLLECTION_NAME_BYTES_MAX, PARTITION_NAME_CHARS_MAX, PARTITIONS_MAX, SEGMENTS_MAX};
use crate::record::dimension;
use crate::{Damage, layout};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, IntoBytes};

layout! {
    /// Follows the file header of a manifest.
    ManifestHeader: 64 {
        /// The run of the first log file that is still needed.
        log_run: U64,
        /// Its number in that run.
        log_number: U64,
        /// Every record that is in a segment has a smaller number than this.
        next_record: U64,
        /// How many partitions follow.
        partitions: U32,
        /// Length of all that follows this header.
        body_bytes: U64,
        /// Random: two nodes that write the same version can tell whose it is.
        nonce: [u8; 16],
        /// Over all that follows this header.
        body_crc32: U32,
        /// Zero.
        reserved: U32,
        /// Over the 60 bytes before.
        crc32: U32,
    }
}

layout! {
    /// One partition.
    PartitionEntry: 112 {
        /// Which incarnation.
        incarnation: [u8; 16],
        /// Whose.
        workspace: [u8; 16],
        /// Salt of the subkey that seals its identity.
        identity_salt: [u8; 16],
        /// The sealed identity's length, tag included.
        identity_bytes: U32,
        /// Components of each of its vectors.
        dimension: U32,
        /// Its records up to and including this number are in its segments.
        flushed_through: U64,
        /// Live documents in its segments.
        documents: U64,
        /// Soft-deleted documents in its segments.
        deleted: U64,
        /// Passages of the live ones.
        passages: U64,
        /// How many [`SegmentRef`]s follow, oldest first.
        segments: U32,
        /// Zero.
        reserved: [u8; 16],
        /// Over the 108 bytes before.
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
    /// Salt of the subkey that seals its identity.
    pub identity_salt: [u8; 16],
    /// The identity, sealed under the partition's key.
    pub sealed_identity: Vec<u8>,
    /// Components of each of its vectors.
    pub dimension: u32,
    /// Its records up to and including this number are in its segments.
    pub flushed_through: u64,
    /// Live documents in its segments.
    pub documents: u64,
    /// Soft-deleted documents in its segments.
    pub deleted: u64,
    /// Passages of the live ones.
    pub passages: u64,
    /// Oldest first.
    pub segments: Vec<SegmentPlace>,
}

/// One version of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// From 1; each is one more than the one before.
    pub version: u64,
    /// The run that wrote it.
    pub run: u64,
    /// The first log file that is still needed: run and number.
    pub log_floor: (u64, u64),
    /// Every record that is in a segment has a smaller number.
    pub next_record: u64,
    /// Every partition that has reached a segment.
    pub partitions: Vec<PartitionState>,
}

impl Manifest {
    /// As a whole file.
    pub fn encode(&self, file_id: [u8; 16], nonce: [u8; 16]) -> Vec<u8> {
        let mut body = Vec::new();
        for partition in &self.partitions {
            partition.encode(&mut body);
        }
        let mut header = ManifestHeader {
            log_run: U64::new(self.log_floor.0),
            log_number: U64::new(self.log_floor.1),
            next_record: U64::new(self.next_record),
            partitions: U32::new(self.partitions.len() as u32),
            body_bytes: U64::new(body.len() as u64),
            nonce,
            body_crc32: U32::new(crc32fast::hash(&body)),
            reserved: U32::ZERO,
            crc32: U32::ZERO,
        };
        header.crc32 = crc_of(header.as_bytes());
        let file = FileHeader::new(FileKind::Manifest, file_id, self.run, self.version);
        [file.as_bytes(), header.as_bytes(), &body].concat()
    }

    /// From a whole file.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let file = FileHeader::read(bytes, FileKind::Manifest)?;
        let rest = &bytes[FileHeader::BYTES..];
        let (header, body) = ManifestHeader::read_from_prefix(rest)
            .map_err(|_| Damage::new("ManifestHeader", "64 bytes", format_args!("{} bytes", rest.len())))?;
        check_crc("ManifestHeader.crc32", header.as_bytes())?;
        zero("ManifestHeader.reserved", header.reserved.as_bytes())?;
        if header.body_bytes.get() != body.len() as u64 {
            return Err(Damage::new("ManifestHeader.body_bytes", body.len(), header.body_bytes));
        }
        let computed = crc32fast::hash(body);
        if computed != header.body_crc32.get() {
            return Err(Damage::new("ManifestHeader.body_crc32", computed, header.body_crc32));
        }
        if header.partitions.get() as usize > PARTITIONS_MAX {
            return Err(Damage::new("ManifestHeader.partitions", PARTITIONS_MAX, header.partitions));
        }
        let mut rest = body;
        let mut partitions = Vec::new();
        for _ in 0..header.partitions.get() {
            partitions.push(PartitionState::decode(&mut rest)?);
        }
        if !rest.is_empty() {
            return Err(Damage::new("ManifestHeader.partitions", "all that is there", "fewer"));
        }
        Ok(Self {
            version: file.number.get(),
            run: file.run.get(),
            log_floor: (header.log_run.get(), header.log_number.get()),
            next_record: header.next_record.get(),
            partitions,
        })
    }
}

impl PartitionState {
    fn encode(&self, body: &mut Vec<u8>) {
        let mut entry = PartitionEntry {
            incarnation: self.incarnation,
            workspace: self.workspace,
            identity_salt: self.identity_salt,
            identity_bytes: U32::new(self.sealed_identity.len() as u32),
            dimension: U32::new(self.dimension),
            flushed_through: U64::new(self.flushed_through),
            documents: U64::new(self.documents),
            deleted: U64::new(self.deleted),
            passages: U64::new(self.passages),
            segments: U32::new(self.segments.len() as u32),
            reserved: [0; 16],
            crc32: U32::ZERO,
        };
        entry.crc32 = crc_of(entry.as_bytes());
        body.extend_from_slice(entry.as_bytes());
        for segment in &self.segments {
            let mut place = SegmentRef {
                epoch: U64::new(segment.epoch),
                file_id: segment.file_id,
                offset: U64::new(segment.offset),
                bytes: U64::new(segment.bytes),
                documents: U32::new(segment.documents),
                rows: U32::new(segment.rows),
                reserved: U32::ZERO,
                crc32: U32::ZERO,
            };
            place.crc32 = crc_of(place.as_bytes());
            body.extend_from_slice(place.as_bytes());
        }
        body.extend_from_slice(&self.sealed_identity);
    }

    fn decode(rest: &mut &[u8]) -> Result<Self, Damage> {
        let (entry, after) = PartitionEntry::read_from_prefix(rest)
            .map_err(|_| Damage::new("PartitionEntry", "112 bytes", format_args!("{} bytes", rest.len())))?;
        check_crc("PartitionEntry.crc32", entry.as_bytes())?;
        zero("PartitionEntry.reserved", &entry.reserved)?;
        *rest = after;
        let count = entry.segments.get() as usize;
        if count > SEGMENTS_MAX {
            return Err(Damage::new("PartitionEntry.segments", SEGMENTS_MAX, count));
        }
        let segments = (0..count).map(|_| decode_place(rest)).collect::<Result<_, _>>()?;
        let identity_bytes = entry.identity_bytes.get() as usize;
        let limit = COLLECTION_NAME_BYTES_MAX + PARTITION_NAME_CHARS_MAX * 4 + 64;
        let (sealed_identity, after) = rest
            .split_at_checked(identity_bytes)
            .filter(|_| identity_bytes <= limit)
            .ok_or_else(|| Damage::new("PartitionEntry.identity_bytes", limit, identity_bytes))?;
        *rest = after;
        Ok(Self {
            incarnation: entry.incarnation,
            workspace: entry.workspace,
            identity_salt: entry.identity_salt,
            sealed_identity: sealed_identity.to_vec(),
            dimension: dimension(entry.dimension.get())?,
            flushed_through: entry.flushed_through.get(),
            documents: entry.documents.get(),
            deleted: entry.deleted.get(),
            passages: entry.passages.get(),
            segments,
        })
    }
}

fn decode_place(rest: &mut &[u8]) -> Result<SegmentPlace, Damage> {
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
