//! How do checksums become right again after a mutation, so that what lies behind them is reached?
//!
//! A repair leaves alone what is right already, and finds its way by what the mutated bytes say.

use strongroom_format::header::FileHeader;
use strongroom_format::keyring::SLOT_BYTES;
use strongroom_format::layout::Layout;
use strongroom_format::log::{ALIGN, BatchHeader, DirectoryEntry, LogStart, START_COPY};
use strongroom_format::manifest::{ManifestHeader, PartitionEntry, SegmentRef};
use strongroom_format::segment::{SECTIONS, SectionEntry, SegmentHeader};

pub(crate) fn nothing(_: &mut [u8]) {}

/// Writes the checksum of `structure` into its last four bytes, as every fixed structure has it.
fn structure(structure: &mut [u8]) {
    if let Some((body, crc32)) = structure.split_last_chunk_mut::<4>() {
        *crc32 = crc32fast::hash(body).to_le_bytes();
    }
}

fn at(bytes: &mut [u8], at: usize, length: usize) {
    if let Some(found) = bytes.get_mut(at..at.saturating_add(length)) {
        structure(found);
    }
}

/// Sets a `u32` that is the checksum of the `body` behind it.
fn body(bytes: &mut [u8], field: usize, body: std::ops::Range<usize>) {
    let Some(crc32) = bytes.get(body).map(crc32fast::hash) else { return };
    if let Some(field) = field.checked_add(4).and_then(|end| bytes.get_mut(field..end)) {
        field.copy_from_slice(&crc32.to_le_bytes());
    }
}

/// The offset of a field of a structure.
fn offset(layout: &Layout, field: &str) -> usize {
    let found = layout.fields.iter().find(|f| f.name == field);
    found.unwrap_or_else(|| panic!("{} has no {field}", layout.name)).offset
}

fn word(bytes: &[u8], at: usize) -> usize {
    let word = bytes.get(at..).and_then(|b| b.first_chunk::<4>());
    word.map_or(0, |word| usize::try_from(u32::from_le_bytes(*word)).unwrap_or(usize::MAX))
}

/// Both copies of the start, and each batch.
pub(crate) fn log(bytes: &mut [u8]) {
    for copy in [0, START_COPY] {
        at(bytes, copy, FileHeader::BYTES);
        at(bytes, copy + FileHeader::BYTES, LogStart::BYTES);
    }
    let mut previous = word(bytes, FileHeader::BYTES + LogStart::BYTES - 4);
    let mut begin = ALIGN;
    while begin + BatchHeader::BYTES <= bytes.len() {
        let whole = whole_batch(&bytes[begin..], 0);
        let end = begin.saturating_add(whole).min(bytes.len());
        for header in [begin, end.saturating_sub(BatchHeader::BYTES)] {
            let field = header + offset(BatchHeader::LAYOUT, "previous_crc32");
            if let Some(field) = bytes.get_mut(field..field + 4) {
                field.copy_from_slice(&u32::try_from(previous).unwrap_or(u32::MAX).to_le_bytes());
            }
        }
        batch_at(&mut bytes[begin..end], 0);
        previous = word(bytes, begin + BatchHeader::BYTES - 4);
        begin = begin.saturating_add(whole);
    }
}

/// A batch, found by its first header, or by its second when it is known where it ends: the first is left alone
/// then.
pub(crate) fn batch(bytes: &mut [u8]) {
    let Some((known, bytes)) = bytes.split_first_mut() else { return };
    let header = if *known % 2 == 1 { bytes.len().saturating_sub(BatchHeader::BYTES) } else { 0 };
    batch_at(bytes, header);
}

/// How long a batch is by what its header, which is there, says.
fn whole_batch(bytes: &[u8], header: usize) -> usize {
    let records = word(bytes, header + offset(BatchHeader::LAYOUT, "records"));
    let body_bytes = word(bytes, header + offset(BatchHeader::LAYOUT, "body_bytes"));
    let fixed = records.saturating_mul(2 * DirectoryEntry::BYTES).saturating_add(2 * BatchHeader::BYTES);
    let whole = fixed.saturating_add(body_bytes);
    whole.checked_next_multiple_of(ALIGN).unwrap_or(usize::MAX / 2)
}

fn batch_at(bytes: &mut [u8], header: usize) {
    at(bytes, header, BatchHeader::BYTES);
    let records = word(bytes, header + offset(BatchHeader::LAYOUT, "records")).min(64);
    let last = whole_batch(bytes, header).saturating_sub(BatchHeader::BYTES);
    if header == 0 {
        at(bytes, last, BatchHeader::BYTES);
    }
    let copy = last.saturating_sub(records * DirectoryEntry::BYTES);
    for number in 0..records {
        for directory in [BatchHeader::BYTES, copy] {
            at(bytes, directory.saturating_add(number * DirectoryEntry::BYTES), DirectoryEntry::BYTES);
        }
    }
}

/// One copy of a version: its headers, the first entry (where the next one begins is for the mutated bytes to
/// say) and the last released range.
pub(crate) fn checkpoint(bytes: &mut [u8]) {
    let (begin, end) = (FileHeader::BYTES, FileHeader::BYTES + ManifestHeader::BYTES);
    let length = bytes.len();
    if word(bytes, begin + offset(ManifestHeader::LAYOUT, "partitions")) > 0 {
        let field = |name| end + offset(PartitionEntry::LAYOUT, name);
        let segments = word(bytes, field("segments")).saturating_mul(SegmentRef::BYTES);
        let behind = end + PartitionEntry::BYTES;
        if segments > 0 {
            at(bytes, behind, SegmentRef::BYTES);
        }
        let entry_end = behind.saturating_add(segments).saturating_add(word(bytes, field("identity_bytes")));
        body(bytes, field("body_crc32"), behind..entry_end);
        at(bytes, end, PartitionEntry::BYTES);
    }
    if word(bytes, begin + offset(ManifestHeader::LAYOUT, "released")) > 0 {
        at(bytes, length.saturating_sub(SegmentRef::BYTES).max(end), SegmentRef::BYTES);
    }
    at(bytes, 0, FileHeader::BYTES);
    body(bytes, begin + offset(ManifestHeader::LAYOUT, "body_crc32"), end..length);
    at(bytes, begin, ManifestHeader::BYTES);
}

/// Both copies of an edit, each for itself: two that differ are a case of their own.
pub(crate) fn edit(bytes: &mut [u8]) {
    let (first, second) = bytes.split_at_mut(bytes.len() / 2);
    checkpoint(first);
    checkpoint(second);
}

pub(crate) fn receipt(bytes: &mut [u8]) {
    at(bytes, 0, FileHeader::BYTES);
    if let Some(receipt) = bytes.get_mut(FileHeader::BYTES..) {
        structure(receipt);
    }
}

pub(crate) fn slots(bytes: &mut [u8]) {
    for slot in bytes.chunks_exact_mut(SLOT_BYTES).filter(|slot| slot.iter().any(|b| *b != 0)) {
        structure(slot);
    }
}

pub(crate) fn segment(bytes: &mut [u8]) {
    at(bytes, 0, SegmentHeader::BYTES);
}

pub(crate) fn table(bytes: &mut [u8]) {
    for number in 0..SECTIONS.len() {
        at(bytes, number * SectionEntry::BYTES, SectionEntry::BYTES);
    }
}
