//! What does one version of a manifest say?
//!
//! A version is an object `manifest/<shard>/<version>`, written once: a file header (its `number` is the
//! version), a [`ManifestHeader`], then a [`PartitionEntry`] with its [`SegmentRef`]s and its sealed
//! [`Identity`](crate::record::Identity) for each partition, the incarnations that are removed, and the ranges
//! that are to be erased.
//!
//! An *edit* says what changed since the edit before it, and stands twice in its object, so that one damaged
//! byte costs nothing. A *checkpoint* says all that holds up to some edit; when it is damaged, the checkpoint
//! before it and the edits since say the same.

use crate::header::{FileHeader, FileKind};
use crate::layout::{check_crc, crc_of, zero};
use crate::limits::{COLLECTION_NAME_BYTES_MAX, PARTITION_NAME_CHARS_MAX, PARTITIONS_MAX, SEGMENTS_MAX};
use crate::record::dimension;
use crate::{Damage, layout};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// What a version holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum VersionKind {
    /// All partitions, sorted by incarnation.
    Checkpoint = 1,
    /// The partitions that changed.
    Edit = 2,
}

layout! {
    /// Follows the file header of a manifest.
    ManifestHeader: 128 {
        /// A [`VersionKind`].
        kind: U32,
        /// How many partitions follow.
        partitions: U32,
        /// How many removed incarnations follow them.
        removed: U32,
        /// How many ranges that are to be erased follow those.
        released: U32,
        /// The run of the first log file that is still needed.
        log_run: U64,
        /// Its number in that run.
        log_number: U64,
        /// Every record that is in a segment has a smaller number than this.
        next_record: U64,
        /// The owner's epoch: the run that it took the shard in.
        epoch: U64,
        /// The edit that this one follows, or the last one that a checkpoint holds; 0 when there is none.
        previous_version: U64,
        /// That edit's nonce.
        previous_nonce: [u8; 16],
        /// Random: two nodes that write the same version can tell whose it is.
        nonce: [u8; 16],
        /// Length of all that follows this header.
        body_bytes: U64,
        /// Over all that follows this header.
        body_crc32: U32,
        /// Zero.
        reserved: [u8; 24],
        /// Over the 124 bytes before.
        crc32: U32,
    }
}

layout! {
    /// One partition.
    PartitionEntry: 160 {
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
        /// Zero.
        reserved: [u8; 4],
        /// Over the 156 bytes before.
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
    /// When the longest deleted was deleted; 0 when none is.
    pub deleted_since_ms: u64,
    /// When the first purge that still waits was asked for; 0 when none is.
    pub purge_since_ms: u64,
    /// Whether damage took something that was acknowledged.
    pub is_damaged: bool,
    /// Oldest first.
    pub segments: Vec<SegmentPlace>,
}

/// Which edit: its version and nonce. The default is the one before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// Its version.
    pub version: u64,
    /// Its nonce.
    pub nonce: [u8; 16],
}

/// What every version says beside its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionInfo {
    /// From 1; each is higher than the one before.
    pub version: u64,
    /// The run that wrote it.
    pub run: u64,
    /// What it holds.
    pub kind: VersionKind,
    /// Its own nonce.
    pub nonce: [u8; 16],
    /// The edit that it follows, or the last one that a checkpoint holds.
    pub previous: Head,
    /// The first log file that is still needed: run and number.
    pub log_floor: (u64, u64),
    /// Every record that is in a segment has a smaller number.
    pub next_record: u64,
    /// The owner's epoch.
    pub epoch: u64,
    /// Ranges of segments that nobody needs any more and that may not be erased yet.
    pub released: Vec<SegmentPlace>,
}

/// A version as it lies in its bytes: entries are decoded one by one, for there may be a million.
#[derive(Debug, Clone)]
pub struct FoundVersion<'a> {
    /// What it says beside its partitions.
    pub info: VersionInfo,
    /// The incarnations that are no more.
    pub removed: Vec<[u8; 16]>,
    /// What is wrong with one of the two copies of an edit: the other says it all.
    pub mended: Option<Damage>,
    entries: &'a [u8],
    count: usize,
}

/// Writes a version from entries that are encoded already.
pub fn encode_version(
    info: &VersionInfo,
    file_id: [u8; 16],
    count: usize,
    entries: &[u8],
    removed: &[[u8; 16]],
) -> Vec<u8> {
    let mut body = Vec::with_capacity(entries.len() + removed.len() * 16 + info.released.len() * 56);
    body.extend_from_slice(entries);
    body.extend(removed.iter().flatten());
    for place in &info.released {
        body.extend_from_slice(segment_ref(place).as_bytes());
    }
    let mut header = ManifestHeader {
        kind: U32::new(info.kind as u32),
        partitions: U32::new(count as u32),
        removed: U32::new(removed.len() as u32),
        released: U32::new(info.released.len() as u32),
        log_run: U64::new(info.log_floor.0),
        log_number: U64::new(info.log_floor.1),
        next_record: U64::new(info.next_record),
        epoch: U64::new(info.epoch),
        previous_version: U64::new(info.previous.version),
        previous_nonce: info.previous.nonce,
        nonce: info.nonce,
        body_bytes: U64::new(body.len() as u64),
        body_crc32: U32::new(crc32fast::hash(&body)),
        reserved: [0; 24],
        crc32: U32::ZERO,
    };
    header.crc32 = crc_of(header.as_bytes());
    let file = FileHeader::new(FileKind::Manifest, file_id, info.run, info.version);
    let copies = if info.kind == VersionKind::Edit { 2 } else { 1 };
    let mut bytes = Vec::with_capacity(copies * (FileHeader::BYTES + ManifestHeader::BYTES + body.len()));
    for _ in 0..copies {
        bytes.extend_from_slice(file.as_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&body);
    }
    bytes
}

impl<'a> FoundVersion<'a> {
    /// Reads a whole object: a checkpoint, or whichever copy of an edit checks.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Damage> {
        let half = bytes.len() / 2;
        match Self::read_copy(bytes) {
            Ok((found, end)) if found.info.kind == VersionKind::Checkpoint => {
                if end != bytes.len() {
                    return Err(Damage::new("ManifestHeader.body_bytes", bytes.len(), end));
                }
                Ok(found)
            }
            Ok((mut found, end)) => {
                if bytes.get(end..) != bytes.get(..end) {
                    let copy = bytes.get(end..).unwrap_or_default();
                    let damage = Self::read_copy(copy).err();
                    let damage =
                        damage.unwrap_or_else(|| Damage::new("edit", "two equal copies", "two that differ"));
                    found.mended = Some(damage.at("", end as u64));
                }
                Ok(found)
            }
            Err(damage) => match Self::read_copy(&bytes[half..]) {
                Ok((mut found, end)) if found.info.kind == VersionKind::Edit && half + end == bytes.len() => {
                    found.mended = Some(damage);
                    Ok(found)
                }
                _ => Err(damage),
            },
        }
    }

    /// One copy, and where it ends.
    fn read_copy(bytes: &'a [u8]) -> Result<(Self, usize), Damage> {
        let file = FileHeader::read(bytes, FileKind::Manifest)?;
        let rest = &bytes[FileHeader::BYTES..];
        let (header, rest) = ManifestHeader::read_from_prefix(rest)
            .map_err(|_| Damage::new("ManifestHeader", "128 bytes", format_args!("{} bytes", rest.len())))?;
        check_crc("ManifestHeader.crc32", header.as_bytes())?;
        zero("ManifestHeader.reserved", &header.reserved)?;
        let kind = match header.kind.get() {
            1 => VersionKind::Checkpoint,
            2 => VersionKind::Edit,
            other => return Err(Damage::new("ManifestHeader.kind", "1 or 2", other)),
        };
        let body_bytes = usize::try_from(header.body_bytes.get()).unwrap_or(usize::MAX);
        let Some(body) = rest.get(..body_bytes) else {
            return Err(Damage::new("ManifestHeader.body_bytes", rest.len(), header.body_bytes));
        };
        let computed = crc32fast::hash(body);
        if computed != header.body_crc32.get() {
            return Err(Damage::new("ManifestHeader.body_crc32", computed, header.body_crc32));
        }
        let [count, removed, released] =
            [header.partitions, header.removed, header.released].map(|count| count.get() as usize);
        if count.max(removed).max(released) > PARTITIONS_MAX {
            return Err(Damage::new("ManifestHeader.partitions", PARTITIONS_MAX, count));
        }
        let tail_bytes = removed * 16 + released * SegmentRef::BYTES;
        let Some(entries_bytes) = body.len().checked_sub(tail_bytes) else {
            return Err(Damage::new("ManifestHeader.removed", "what is there", removed));
        };
        let (entries, tail) = body.split_at(entries_bytes);
        let (removed, mut tail) = tail.split_at(removed * 16);
        let removed = removed.as_chunks::<16>().0.to_vec();
        let released = (0..released).map(|_| decode_place(&mut tail)).collect::<Result<_, _>>()?;
        let info = VersionInfo {
            version: file.number.get(),
            run: file.run.get(),
            kind,
            nonce: header.nonce,
            previous: Head { version: header.previous_version.get(), nonce: header.previous_nonce },
            log_floor: (header.log_run.get(), header.log_number.get()),
            next_record: header.next_record.get(),
            epoch: header.epoch.get(),
            released,
        };
        let end = FileHeader::BYTES + ManifestHeader::BYTES + body_bytes;
        Ok((Self { info, removed, mended: None, entries, count }, end))
    }

    /// Which edit this is the state of.
    pub fn head(&self) -> Head {
        match self.info.kind {
            VersionKind::Checkpoint => self.info.previous,
            VersionKind::Edit => Head { version: self.info.version, nonce: self.info.nonce },
        }
    }

    /// How many partitions it holds.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it holds no partition.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its partitions in order, each with the bytes that it was read from.
    pub fn partitions(&self) -> impl Iterator<Item = Result<(PartitionState, &'a [u8]), Damage>> + use<'a> {
        let (mut rest, mut left) = (self.entries, self.count);
        std::iter::from_fn(move || {
            if left == 0 {
                let over = !std::mem::take(&mut rest).is_empty();
                return over
                    .then(|| Err(Damage::new("ManifestHeader.partitions", "all that is there", "fewer")));
            }
            left -= 1;
            let before = rest;
            let decoded = PartitionState::decode(&mut rest);
            if decoded.is_err() {
                (rest, left) = (&[], 0);
            }
            Some(decoded.map(|state| (state, &before[..before.len() - rest.len()])))
        })
    }
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
            key_slot: U32::new(self.key_slot),
            dimension: U32::new(self.dimension),
            segments: U32::new(self.segments.len() as u32),
            identity_bytes: U32::new(self.sealed_identity.len() as u32),
            body_crc32: U32::new(crc32fast::hash(&body)),
            is_damaged: U32::new(u32::from(self.is_damaged)),
            reserved: [0; 4],
            crc32: U32::ZERO,
        };
        entry.crc32 = crc_of(entry.as_bytes());
        entries.extend_from_slice(entry.as_bytes());
        entries.extend_from_slice(&body);
    }

    fn decode(rest: &mut &[u8]) -> Result<Self, Damage> {
        let (entry, after) = PartitionEntry::read_from_prefix(rest)
            .map_err(|_| Damage::new("PartitionEntry", "160 bytes", format_args!("{} bytes", rest.len())))?;
        check_crc("PartitionEntry.crc32", entry.as_bytes())?;
        zero("PartitionEntry.reserved", &entry.reserved)?;
        if entry.is_damaged.get() > 1 {
            return Err(Damage::new("PartitionEntry.is_damaged", "0 or 1", entry.is_damaged));
        }
        let (count, identity_bytes) = (entry.segments.get() as usize, entry.identity_bytes.get() as usize);
        if count > SEGMENTS_MAX {
            return Err(Damage::new("PartitionEntry.segments", SEGMENTS_MAX, count));
        }
        let limit = COLLECTION_NAME_BYTES_MAX + PARTITION_NAME_CHARS_MAX * 4 + 64;
        let (body, after) = after
            .split_at_checked(count * SegmentRef::BYTES + identity_bytes)
            .filter(|_| identity_bytes <= limit)
            .ok_or_else(|| Damage::new("PartitionEntry.identity_bytes", limit, identity_bytes))?;
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
            dimension: dimension(entry.dimension.get())?,
            flushed_through: entry.flushed_through.get(),
            documents: entry.documents.get(),
            deleted: entry.deleted.get(),
            passages: entry.passages.get(),
            deleted_since_ms: entry.deleted_since_ms.get(),
            purge_since_ms: entry.purge_since_ms.get(),
            is_damaged: entry.is_damaged.get() == 1,
            segments,
        })
    }
}

fn segment_ref(place: &SegmentPlace) -> SegmentRef {
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
