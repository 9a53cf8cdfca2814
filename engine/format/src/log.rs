//! How do batches of sealed records lie in a log file?
//!
//! A file is a [`FileHeader`](crate::header::FileHeader) and a [`LogStart`], both once more at [`START_COPY`],
//! padded to [`ALIGN`], then batches, each padded to [`ALIGN`] so that no sector holds bytes of two commits. A
//! batch is a [`BatchHeader`], a directory, the sealed records one after the other, padding, the directory
//! once more and, as its very last bytes, the header once more. So one damaged byte never hides what the
//! others say: a record that is damaged can be laid at the right partition's door.

use std::collections::HashSet;

use crate::header::{FileHeader, FileKind};
use crate::layout::{check_crc, crc_of, zero};
use crate::limits::{BATCH_RECORDS_MAX, RECORD_BYTES_MAX};
use crate::record::RecordKind;
use crate::{Damage, layout};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// Batches begin at multiples of this: no medium writes a larger sector.
pub const ALIGN: usize = 4096;
/// Where the start of a file stands a second time.
pub const START_COPY: usize = ALIGN / 2;
/// What sealing adds to a record: its tag.
const TAG_BYTES: usize = 16;
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
    DirectoryEntry: 64 {
        /// Whose: the partition's incarnation (the workspace's id for [`RecordKind::DropWorkspace`]).
        incarnation: [u8; 16],
        /// The partition's name, as a keyed hash under its workspace's key: it says whom damage hit. Zero
        /// for [`RecordKind::DropWorkspace`].
        name_tag: [u8; 16],
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
        /// Over the 60 bytes before.
        crc32: U32,
    }
}

/// A record that is sealed and waits for its batch.
#[derive(Debug, Clone)]
pub struct SealedRecord {
    /// Whose.
    pub incarnation: [u8; 16],
    /// The keyed hash of the partition's name.
    pub name_tag: [u8; 16],
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
    let mut bytes = vec![0; ALIGN];
    for at in [0, START_COPY] {
        bytes[at..at + FileHeader::BYTES].copy_from_slice(header.as_bytes());
        bytes[at + FileHeader::BYTES..at + FileHeader::BYTES + LogStart::BYTES]
            .copy_from_slice(start.as_bytes());
    }
    (bytes, start.crc32.get())
}

/// What the start of a log file says.
#[derive(Debug, Clone)]
pub struct Start {
    /// The file header.
    pub header: FileHeader,
    /// The file before, if there was one.
    pub previous: Option<Previous>,
    /// No record in this file has a smaller number.
    pub first_record: u64,
    /// What the first batch must name.
    pub crc32: u32,
    /// What is wrong with one of its two copies, or with the padding: the other says it all.
    pub mended: Option<Damage>,
}

/// Reads the start of a log file, from whichever of its copies checks.
pub fn decode_start(bytes: &[u8]) -> Result<Start, Damage> {
    let Some(bytes) = bytes.get(..ALIGN) else {
        return Err(Damage::new("LogStart", "4096 bytes", format_args!("{} bytes", bytes.len())));
    };
    match (decode_start_copy(bytes), decode_start_copy(&bytes[START_COPY..])) {
        (Ok(start), Ok(copy)) if start.crc32 != copy.crc32 || start.header != copy.header => {
            Err(Damage::new("LogStart", "two equal copies", "two that differ"))
        }
        (Ok(start), Ok(_)) => Ok(Start { mended: start_padding(bytes).err(), ..start }),
        (Ok(start), Err(damage)) => Ok(Start { mended: Some(damage.at("", START_COPY as u64)), ..start }),
        (Err(damage), Ok(start)) => Ok(Start { mended: Some(damage), ..start }),
        (Err(damage), Err(_)) => Err(damage),
    }
}

fn start_padding(bytes: &[u8]) -> Result<(), Damage> {
    const WRITTEN: usize = FileHeader::BYTES + LogStart::BYTES;
    zero("LogStart padding", &bytes[WRITTEN..START_COPY]).map_err(|damage| damage.at("", WRITTEN as u64))?;
    let second = START_COPY + WRITTEN;
    zero("LogStart padding", &bytes[second..]).map_err(|damage| damage.at("", second as u64))
}

fn decode_start_copy(bytes: &[u8]) -> Result<Start, Damage> {
    let header = FileHeader::read(bytes, FileKind::Log)?;
    read_start(header, &bytes[FileHeader::BYTES..]).map_err(|damage| damage.at("", FileHeader::BYTES as u64))
}

fn read_start(header: FileHeader, bytes: &[u8]) -> Result<Start, Damage> {
    let (start, _) =
        LogStart::read_from_prefix(bytes).map_err(|_| Damage::new("LogStart", "64 bytes", "fewer"))?;
    check_crc("LogStart.crc32", start.as_bytes())?;
    zero("LogStart.reserved", start.reserved.as_bytes())?;
    zero("LogStart.reserved_end", &start.reserved_end)?;
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
    let (first_record, crc32) = (start.first_record.get(), start.crc32.get());
    Ok(Start { header, previous, first_record, crc32, mended: None })
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
            name_tag: record.name_tag,
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
    let whole = batch_bytes(records.len(), body_bytes as u64).unwrap_or_default();
    let mut bytes = Vec::with_capacity(whole);
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(&directory);
    for record in records {
        bytes.extend_from_slice(&record.sealed);
    }
    bytes.resize(whole - BatchHeader::BYTES - directory.len(), 0);
    bytes.extend_from_slice(&directory);
    bytes.extend_from_slice(header.as_bytes());
    (bytes, header.crc32.get())
}

/// How long a batch is, padding included.
fn batch_bytes(records: usize, body_bytes: u64) -> Option<usize> {
    let fixed = 2 * (BatchHeader::BYTES + records.checked_mul(DirectoryEntry::BYTES)?);
    let whole = body_bytes.checked_add(fixed as u64)?.checked_next_multiple_of(ALIGN as u64)?;
    usize::try_from(whole).ok()
}

/// A record where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRecord<'a> {
    /// Whose.
    pub incarnation: [u8; 16],
    /// The keyed hash of the partition's name.
    pub name_tag: [u8; 16],
    /// Its number.
    pub record: u64,
    /// What it is.
    pub kind: RecordKind,
    /// Ciphertext and tag; the damage, when their checksum doesn't check. Its offset counts from the batch's start.
    pub sealed: Result<&'a [u8], Damage>,
}

/// A batch whose header and directory stand, in one copy at least.
#[derive(Debug, Clone)]
pub struct FoundBatch<'a> {
    /// Its records.
    pub records: Vec<FoundRecord<'a>>,
    /// Its length with padding.
    pub bytes: usize,
    /// What the next batch must name.
    pub crc32: u32,
    /// What is wrong with a copy, or with the padding, and hurts nobody.
    pub mended: Option<Damage>,
}

impl FoundBatch<'_> {
    /// Whether every record checks.
    pub fn is_whole(&self) -> bool {
        self.records.iter().all(|record| record.sealed.is_ok())
    }
}

/// Reads the batch at the start of `bytes`, which must stand at this place. Without a header there, `end` (where
/// it is known that the batch ends, from the start of `bytes`) leads to its copy. Two copies that both check and
/// differ are refused, for nothing tells which one was written.
pub fn decode_batch(bytes: &[u8], place: BatchPlace, end: Option<usize>) -> Result<FoundBatch<'_>, Damage> {
    let (header, mut mended) = match read_header(bytes, place) {
        Ok(header) => (header, None),
        Err(damage) => {
            let copy = end.and_then(|end| bytes.get(end.checked_sub(BatchHeader::BYTES)?..end));
            match copy.map(|copy| read_header(copy, place)) {
                Some(Ok(header)) => (header, Some(damage)),
                _ => return Err(damage),
            }
        }
    };
    let count = header.records.get() as usize;
    let body_bytes = header.body_bytes.get();
    let whole = batch_bytes(count.min(BATCH_RECORDS_MAX + 1), body_bytes)
        .filter(|whole| *whole <= bytes.len() && count <= BATCH_RECORDS_MAX);
    let Some(whole) = whole.filter(|whole| mended.is_none() || Some(*whole) == end) else {
        return Err(Damage::new("BatchHeader.body_bytes", "a batch that fits", body_bytes));
    };
    let (directory, rest) = bytes[BatchHeader::BYTES..whole].split_at(count * DirectoryEntry::BYTES);
    let (body, rest) = rest.split_at(body_bytes as usize);
    let (rest, header_copy) = rest.split_at(rest.len() - BatchHeader::BYTES);
    let (padding, copy) = rest.split_at(rest.len() - count * DirectoryEntry::BYTES);
    if mended.is_none() {
        mended = match read_header(header_copy, place) {
            Ok(copy) if copy != header => {
                return Err(Damage::new("BatchHeader", "two equal copies", "two that differ"));
            }
            Ok(_) => None,
            Err(damage) => Some(damage.at("", (whole - BatchHeader::BYTES) as u64)),
        };
    }
    let (entries, entries_mended) = read_directory(directory, copy, whole)?;
    let padded = zero("batch padding", padding).err();
    mended = mended
        .or(entries_mended)
        .or(padded.map(|damage| damage.at("", (whole - BatchHeader::BYTES - rest.len()) as u64)));
    let records = found_records(&entries, body)?;
    Ok(FoundBatch { records, bytes: whole, crc32: header.crc32.get(), mended })
}

/// The entries of a directory, each from whichever of its copies checks, and what is wrong with the first of
/// those that don't.
fn read_directory(
    directory: &[u8],
    copy: &[u8],
    whole: usize,
) -> Result<(Vec<DirectoryEntry>, Option<Damage>), Damage> {
    let copy_begin = whole - BatchHeader::BYTES - copy.len();
    let (mut entries, mut mended) = (Vec::with_capacity(directory.len() / DirectoryEntry::BYTES), None);
    let pairs = directory.chunks_exact(DirectoryEntry::BYTES).zip(copy.chunks_exact(DirectoryEntry::BYTES));
    for (number, (entry, copy)) in pairs.enumerate() {
        let at = number * DirectoryEntry::BYTES;
        let entry = read_entry(entry).map_err(|damage| damage.at("", (BatchHeader::BYTES + at) as u64));
        let copy = read_entry(copy).map_err(|damage| damage.at("", (copy_begin + at) as u64));
        entries.push(match (entry, copy) {
            (Ok(entry), Ok(copy)) if entry != copy => {
                return Err(Damage::new("DirectoryEntry", "two equal copies", "two that differ"));
            }
            (Ok(entry), Ok(_)) => entry,
            (Ok(entry), Err(damage)) | (Err(damage), Ok(entry)) => {
                mended = mended.or(Some(damage));
                entry
            }
            (Err(damage), Err(_)) => return Err(damage),
        });
    }
    Ok((entries, mended))
}

fn read_header(bytes: &[u8], place: BatchPlace) -> Result<BatchHeader, Damage> {
    let (header, _) = BatchHeader::read_from_prefix(bytes)
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
    Ok(header)
}

fn read_entry(bytes: &[u8]) -> Result<DirectoryEntry, Damage> {
    let (entry, _) = DirectoryEntry::read_from_prefix(bytes)
        .map_err(|_| Damage::new("DirectoryEntry", "64 bytes", "fewer"))?;
    check_crc("DirectoryEntry.crc32", entry.as_bytes())?;
    zero("DirectoryEntry.reserved", &entry.reserved)?;
    RecordKind::read(entry.kind)?;
    Ok(entry)
}

/// The records of a batch: they follow each other and fill the body, and no two of one partition have one number.
fn found_records<'a>(entries: &[DirectoryEntry], body: &'a [u8]) -> Result<Vec<FoundRecord<'a>>, Damage> {
    let (mut records, mut rest) = (Vec::with_capacity(entries.len()), body);
    let body_begin = BatchHeader::BYTES + entries.len() * DirectoryEntry::BYTES;
    let mut numbers = HashSet::with_capacity(entries.len());
    for (number, entry) in entries.iter().enumerate() {
        let at = |damage: Damage| damage.at("", (BatchHeader::BYTES + number * DirectoryEntry::BYTES) as u64);
        let (record, offset) = (entry.record.get(), body.len() - rest.len());
        if entry.offset.get() != offset as u64 {
            return Err(at(Damage::new("DirectoryEntry.offset", offset, entry.offset)));
        }
        let bytes = entry.bytes.get() as usize;
        let (sealed, after) = rest
            .split_at_checked(bytes)
            .filter(|_| bytes <= RECORD_BYTES_MAX + TAG_BYTES)
            .ok_or_else(|| at(Damage::new("DirectoryEntry.bytes", "inside the body", bytes)))?;
        // The highest number of all is never given: none could follow it.
        if record == u64::MAX {
            return Err(at(Damage::new("DirectoryEntry.record", "a number that others follow", record)));
        }
        // A number is a nonce of its partition's key.
        if !numbers.insert((entry.incarnation, record)) {
            return Err(at(Damage::new("DirectoryEntry.record", "a number of its own", record)));
        }
        rest = after;
        let crc32 = crc32fast::hash(sealed);
        let sealed = if crc32 == entry.body_crc32.get() {
            Ok(sealed)
        } else {
            let damage = Damage::new("DirectoryEntry.body_crc32", crc32, entry.body_crc32);
            Err(damage.at("", (body_begin + offset) as u64))
        };
        records.push(FoundRecord {
            incarnation: entry.incarnation,
            name_tag: entry.name_tag,
            record,
            kind: RecordKind::read(entry.kind)?,
            sealed,
        });
    }
    if rest.is_empty() {
        Ok(records)
    } else {
        Err(Damage::new("BatchHeader.body_bytes", body.len() - rest.len(), body.len()))
    }
}

/// Where a batch of this file, later than `batch`, begins after the start of `bytes`, and whether it is the very
/// next one: then what stands at the start is damage, not a torn tail.
pub fn later_batch(bytes: &[u8], file_tag: [u8; 8], batch: u64) -> Option<(usize, bool)> {
    bytes.chunks(ALIGN).enumerate().skip(1).find_map(|(sector, bytes)| {
        let (header, _) = BatchHeader::read_from_prefix(bytes).ok()?;
        let is_later = header.magic.get() == BATCH_MAGIC
            && header.file_tag == file_tag
            && header.batch.get() > batch
            && check_crc("BatchHeader.crc32", header.as_bytes()).is_ok();
        is_later.then(|| (sector * ALIGN, header.batch.get() == batch + 1))
    })
}
