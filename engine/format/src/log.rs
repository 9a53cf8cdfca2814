//! How do batches of sealed records lie in a log file?
//!
//! A file is a [`FileHeader`](crate::header::FileHeader) and a [`LogStart`], padded to [`ALIGN`], then
//! batches, each padded to [`ALIGN`] so that no sector holds bytes of two commits. A batch is a
//! [`BatchHeader`], a directory, the sealed records one after the other, and the directory once more: damage
//! to a record can be laid at the right partition's door while one of the two stands.

use crate::header::{FileHeader, FileKind};
use crate::layout::{check_crc, crc_of, zero};
use crate::limits::{BATCH_RECORDS_MAX, RECORD_BYTES_MAX};
use crate::record::RecordKind;
use crate::{Damage, layout};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// Batches begin at multiples of this: no medium writes a larger sector.
pub const ALIGN: usize = 4096;
/// Begins each batch.
pub const BATCH_MAGIC: u32 = u32::from_le_bytes(*b"SRBT");

layout! {
    /// Follows the file header of a log file.
    LogStart: 64 {
        /// 1 when there is a file before this one, else 0 and the three fields after it are 0.
        chained: U32,
        /// Zero.
        reserved: U32,
        /// The run of the log file before.
        previous_run: U64,
        /// Its number in that run.
        previous_number: U64,
        /// Where its last whole batch ends: what follows there is a torn tail and void, what is missing
        /// before it is damage.
        previous_end: U64,
        /// No record in this file has a smaller number.
        first_record: U64,
        /// Zero.
        reserved_end: [u8; 20],
        /// Over the 60 bytes before.
        crc32: U32,
    }
}

layout! {
    /// Begins a batch: what one commit made durable.
    BatchHeader: 64 {
        /// [`BATCH_MAGIC`].
        magic: U32,
        /// How many records.
        records: U32,
        /// Counts the batches of the file, from 0.
        batch: U64,
        /// The file header's first eight bytes of `file_id`: stale bytes of another file don't pass.
        file_tag: [u8; 8],
        /// Sealed bytes of all records together.
        body_bytes: U64,
        /// Everything before this offset was durable when this batch was written.
        durable_through: U64,
        /// `crc32` of the batch before, or of the [`LogStart`] for the first.
        previous_crc32: U32,
        /// Zero.
        reserved: [u8; 16],
        /// Over the 60 bytes before.
        crc32: U32,
    }
}

layout! {
    /// One record of a batch.
    DirectoryEntry: 48 {
        /// Whose: the partition's incarnation (the workspace's id for [`RecordKind::DropWorkspace`]).
        incarnation: [u8; 16],
        /// Its number: rises over the life of the store, and is the nonce.
        record: U64,
        /// Where its sealed bytes begin, from the start of the batch's body.
        offset: U64,
        /// How many there are, the tag included.
        bytes: U32,
        /// A [`RecordKind`].
        kind: u8,
        /// Zero.
        reserved: [u8; 3],
        /// Over the sealed bytes.
        body_crc32: U32,
        /// Over the 44 bytes before.
        crc32: U32,
    }
}

/// A record that is sealed and waits for its batch.
#[derive(Debug, Clone)]
pub struct SealedRecord {
    /// Whose.
    pub incarnation: [u8; 16],
    /// Its number.
    pub record: u64,
    /// What it is.
    pub kind: RecordKind,
    /// Ciphertext and tag.
    pub sealed: Vec<u8>,
}

/// The file that came before, and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Previous {
    /// Its run.
    pub run: u64,
    /// Its number.
    pub number: u64,
    /// The end of its last whole batch.
    pub end: u64,
}

/// The first [`ALIGN`] bytes of a log file, and the checksum that its first batch names.
pub fn encode_start(header: &FileHeader, previous: Option<Previous>, first_record: u64) -> (Vec<u8>, u32) {
    let mut start = LogStart {
        chained: U32::new(u32::from(previous.is_some())),
        reserved: U32::ZERO,
        previous_run: U64::new(previous.map_or(0, |p| p.run)),
        previous_number: U64::new(previous.map_or(0, |p| p.number)),
        previous_end: U64::new(previous.map_or(0, |p| p.end)),
        first_record: U64::new(first_record),
        reserved_end: [0; 20],
        crc32: U32::ZERO,
    };
    start.crc32 = crc_of(start.as_bytes());
    let mut bytes = Vec::with_capacity(ALIGN);
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(start.as_bytes());
    bytes.resize(ALIGN, 0);
    (bytes, start.crc32.get())
}

/// What the start of a log file says.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// The file header.
    pub header: FileHeader,
    /// The file before, if there was one.
    pub previous: Option<Previous>,
    /// No record in this file has a smaller number.
    pub first_record: u64,
    /// What the first batch must name.
    pub crc32: u32,
}

/// Reads the start of a log file.
pub fn decode_start(bytes: &[u8]) -> Result<Start, Damage> {
    if bytes.len() < ALIGN {
        return Err(Damage::new("LogStart", "4096 bytes", format_args!("{} bytes", bytes.len())));
    }
    let header = FileHeader::read(bytes, FileKind::Log)?;
    let (start, _) = LogStart::read_from_prefix(&bytes[FileHeader::BYTES..])
        .map_err(|_| Damage::new("LogStart", "64 bytes", "fewer"))?;
    check_crc("LogStart.crc32", start.as_bytes())?;
    zero("LogStart.reserved", start.reserved.as_bytes())?;
    zero("LogStart.reserved_end", &start.reserved_end)?;
    zero("LogStart padding", &bytes[FileHeader::BYTES + LogStart::BYTES..ALIGN])?;
    let previous = match start.chained.get() {
        0 => {
            zero("LogStart.previous_run", start.previous_run.as_bytes())?;
            zero("LogStart.previous_number", start.previous_number.as_bytes())?;
            zero("LogStart.previous_end", start.previous_end.as_bytes())?;
            None
        }
        1 => Some(Previous {
            run: start.previous_run.get(),
            number: start.previous_number.get(),
            end: start.previous_end.get(),
        }),
        other => return Err(Damage::new("LogStart.chained", "0 or 1", other)),
    };
    Ok(Start { header, previous, first_record: start.first_record.get(), crc32: start.crc32.get() })
}

/// Where a batch stands, as its header says.
#[derive(Debug, Clone, Copy)]
pub struct BatchPlace {
    /// The first eight bytes of the file's id.
    pub file_tag: [u8; 8],
    /// Its number in the file.
    pub batch: u64,
    /// The checksum of what came before.
    pub previous_crc32: u32,
    /// Where it begins in the file: all before it is durable.
    pub offset: u64,
}

/// A whole batch, padded, and the checksum that the next one names.
pub fn encode_batch(place: BatchPlace, records: &[SealedRecord]) -> (Vec<u8>, u32) {
    let body_bytes: usize = records.iter().map(|record| record.sealed.len()).sum();
    let mut header = BatchHeader {
        magic: U32::new(BATCH_MAGIC),
        records: U32::new(records.len() as u32),
        batch: U64::new(place.batch),
        file_tag: place.file_tag,
        body_bytes: U64::new(body_bytes as u64),
        durable_through: U64::new(place.offset),
        previous_crc32: U32::new(place.previous_crc32),
        reserved: [0; 16],
        crc32: U32::ZERO,
    };
    header.crc32 = crc_of(header.as_bytes());
    let mut directory = Vec::with_capacity(records.len() * DirectoryEntry::BYTES);
    let mut offset = 0;
    for record in records {
        let mut entry = DirectoryEntry {
            incarnation: record.incarnation,
            record: U64::new(record.record),
            offset: U64::new(offset),
            bytes: U32::new(record.sealed.len() as u32),
            kind: record.kind as u8,
            reserved: [0; 3],
            body_crc32: U32::new(crc32fast::hash(&record.sealed)),
            crc32: U32::ZERO,
        };
        entry.crc32 = crc_of(entry.as_bytes());
        directory.extend_from_slice(entry.as_bytes());
        offset += record.sealed.len() as u64;
    }
    let mut bytes =
        Vec::with_capacity((BatchHeader::BYTES + directory.len() * 2 + body_bytes).next_multiple_of(ALIGN));
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(&directory);
    for record in records {
        bytes.extend_from_slice(&record.sealed);
    }
    bytes.extend_from_slice(&directory);
    bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
    (bytes, header.crc32.get())
}

/// A record where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRecord<'a> {
    /// Whose.
    pub incarnation: [u8; 16],
    /// Its number.
    pub record: u64,
    /// What it is.
    pub kind: RecordKind,
    /// Ciphertext and tag, their checksum checked.
    pub sealed: &'a [u8],
}

/// A batch that checks from end to end.
#[derive(Debug, Clone)]
pub struct FoundBatch<'a> {
    /// Its records.
    pub records: Vec<FoundRecord<'a>>,
    /// Its length with padding.
    pub bytes: usize,
    /// What the next batch must name.
    pub crc32: u32,
}

/// Reads the batch at the start of `bytes`, which must stand at this place.
pub fn decode_batch(bytes: &[u8], place: BatchPlace) -> Result<FoundBatch<'_>, Damage> {
    let (header, rest) = BatchHeader::read_from_prefix(bytes)
        .map_err(|_| Damage::new("BatchHeader", "64 bytes", format_args!("{} bytes", bytes.len())))?;
    if header.magic.get() != BATCH_MAGIC {
        return Err(Damage::new("BatchHeader.magic", "SRBT", format_args!("{:#010x}", header.magic)));
    }
    check_crc("BatchHeader.crc32", header.as_bytes())?;
    zero("BatchHeader.reserved", &header.reserved)?;
    if header.file_tag != place.file_tag {
        return Err(Damage::new("BatchHeader.file_tag", "this file's", "another's"));
    }
    if header.batch.get() != place.batch {
        return Err(Damage::new("BatchHeader.batch", place.batch, header.batch));
    }
    if header.previous_crc32.get() != place.previous_crc32 {
        return Err(Damage::new("BatchHeader.previous_crc32", place.previous_crc32, header.previous_crc32));
    }
    if header.durable_through.get() != place.offset {
        return Err(Damage::new("BatchHeader.durable_through", place.offset, header.durable_through));
    }
    let count = header.records.get() as usize;
    let body_bytes = header.body_bytes.get();
    let directory_bytes = count * DirectoryEntry::BYTES;
    let whole = body_bytes.checked_add((BatchHeader::BYTES + 2 * directory_bytes) as u64);
    let fits = |whole: &u64| {
        *whole <= bytes.len() as u64 && whole.next_multiple_of(ALIGN as u64) <= bytes.len() as u64
    };
    let Some(whole) = whole.filter(fits).filter(|_| count <= BATCH_RECORDS_MAX) else {
        return Err(Damage::new("BatchHeader.body_bytes", "a batch that fits", body_bytes));
    };
    let (directory, rest) = rest.split_at(directory_bytes);
    let (body, rest) = rest.split_at(body_bytes as usize);
    let (copy, padding) = rest.split_at(directory_bytes);
    if directory != copy {
        return Err(Damage::new("batch directory", "two equal copies", "two that differ"));
    }
    let bytes_whole = (whole as usize).next_multiple_of(ALIGN);
    zero("batch padding", &padding[..bytes_whole - whole as usize])?;
    let records = directory
        .chunks_exact(DirectoryEntry::BYTES)
        .map(|entry| decode_record(entry, body))
        .collect::<Result<_, _>>()?;
    Ok(FoundBatch { records, bytes: bytes_whole, crc32: header.crc32.get() })
}

fn decode_record<'a>(entry: &[u8], body: &'a [u8]) -> Result<FoundRecord<'a>, Damage> {
    let (entry, _) = DirectoryEntry::read_from_prefix(entry)
        .map_err(|_| Damage::new("DirectoryEntry", "48 bytes", "fewer"))?;
    check_crc("DirectoryEntry.crc32", entry.as_bytes())?;
    zero("DirectoryEntry.reserved", &entry.reserved)?;
    let (offset, bytes) = (entry.offset.get(), entry.bytes.get() as usize);
    let sealed = usize::try_from(offset)
        .ok()
        .filter(|_| bytes <= RECORD_BYTES_MAX)
        .and_then(|offset| body.get(offset..offset.checked_add(bytes)?))
        .ok_or_else(|| Damage::new("DirectoryEntry.offset", "inside the body", offset))?;
    let crc32 = crc32fast::hash(sealed);
    if crc32 != entry.body_crc32.get() {
        return Err(Damage::new("DirectoryEntry.body_crc32", crc32, entry.body_crc32));
    }
    Ok(FoundRecord {
        incarnation: entry.incarnation,
        record: entry.record.get(),
        kind: RecordKind::read(entry.kind)?,
        sealed,
    })
}

/// Whether a batch of this file, later than `batch`, begins anywhere after the start of `bytes`: then what
/// stands at the start is damage, not a torn tail.
pub fn later_batch_follows(bytes: &[u8], file_tag: [u8; 8], batch: u64) -> bool {
    bytes.chunks(ALIGN).skip(1).any(|sector| {
        BatchHeader::read_from_prefix(sector).is_ok_and(|(header, _)| {
            header.magic.get() == BATCH_MAGIC
                && header.file_tag == file_tag
                && header.batch.get() > batch
                && check_crc("BatchHeader.crc32", header.as_bytes()).is_ok()
        })
    })
}
