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

mod partition;

pub use partition::{PartitionEntry, PartitionState, SegmentPlace, SegmentRef};

use crate::header::{FileHeader, FileKind};
use crate::layout::{check_crc, crc_of, zero};
use crate::limits::PARTITIONS_MAX;
use crate::{Damage, layout};
use partition::{decode_place, segment_ref};
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
    /// Where they begin in the object.
    entries_offset: u64,
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
    /// Reads a whole object: a checkpoint, or whichever copy of an edit checks. Two copies that both check and
    /// differ are refused, for nothing tells which one was written.
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
                let (first, copy) = bytes.split_at(end);
                if first != copy {
                    found.mended = Some(match Self::read_copy(copy) {
                        Ok((_, copy_end)) if &copy[..copy_end] == first => {
                            Damage::new("edit", "its end", format_args!("{} bytes more", copy.len() - end))
                                .at("", 2 * end as u64)
                        }
                        Ok(_) => return Err(Damage::new("edit", "two equal copies", "two that differ")),
                        Err(damage) => damage.at("", end as u64),
                    });
                }
                Ok(found)
            }
            Err(damage) => match Self::read_copy(&bytes[half..]) {
                Ok((mut found, end)) if found.info.kind == VersionKind::Edit && half + end == bytes.len() => {
                    found.mended = Some(damage);
                    found.entries_offset += half as u64;
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
        let Parts { entries, removed, released: mut tail } = parts(&header, body)?;
        if kind == VersionKind::Checkpoint && !removed.is_empty() {
            return Err(Damage::new("ManifestHeader.removed", "0 in a checkpoint", header.removed));
        }
        if header.previous_version.get() >= file.number.get() {
            return Err(Damage::new(
                "ManifestHeader.previous_version",
                format_args!("less than {}", file.number),
                header.previous_version,
            ));
        }
        let (count, released) = (header.partitions.get() as usize, header.released.get());
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
        let before = FileHeader::BYTES + ManifestHeader::BYTES;
        let found = Self { info, removed, mended: None, entries, entries_offset: before as u64, count };
        Ok((found, before + body_bytes))
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
        let (begin, all) = (self.entries_offset, self.entries.len());
        let is_sorted = self.info.kind == VersionKind::Checkpoint;
        let mut last = None;
        std::iter::from_fn(move || {
            let before = rest;
            let decoded = if left > 0 {
                left -= 1;
                PartitionState::decode(&mut rest)
            } else if before.is_empty() {
                return None;
            } else {
                Err(Damage::new("ManifestHeader.partitions", "all that is there", "fewer"))
            };
            let decoded = decoded.and_then(|state| {
                if is_sorted && last.replace(state.incarnation).is_some_and(|last| last >= state.incarnation)
                {
                    return Err(Damage::new("PartitionEntry.incarnation", "higher than the last", "not"));
                }
                Ok((state, &before[..before.len() - rest.len()]))
            });
            Some(decoded.map_err(|damage| {
                (rest, left) = (&[], 0);
                damage.at("", begin + (all - before.len()) as u64)
            }))
        })
    }
}

/// What a version's body consists of.
struct Parts<'a> {
    entries: &'a [u8],
    removed: &'a [u8],
    released: &'a [u8],
}

/// Takes a body apart as its header says, when all that the header counts can be there.
fn parts<'a>(header: &ManifestHeader, body: &'a [u8]) -> Result<Parts<'a>, Damage> {
    let bytes = |field, count: U32, each: usize, there: &[u8]| {
        let bytes = (count.get() as usize).checked_mul(each);
        bytes
            .filter(|bytes| count.get() as usize <= PARTITIONS_MAX && *bytes <= there.len())
            .ok_or_else(|| Damage::new(field, "no more than are there", count))
    };
    let released = bytes("ManifestHeader.released", header.released, SegmentRef::BYTES, body)?;
    let (rest, released) = body.split_at(body.len() - released);
    let removed = bytes("ManifestHeader.removed", header.removed, 16, rest)?;
    let (entries, removed) = rest.split_at(rest.len() - removed);
    bytes("ManifestHeader.partitions", header.partitions, PartitionEntry::BYTES, entries)?;
    Ok(Parts { entries, removed, released })
}
