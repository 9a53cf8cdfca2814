//! What must hold for any bytes at all?

use strongroom_engine::PartitionName;
use strongroom_format::header::FileHeader;
use strongroom_format::keyring::{KeySlot, SLOT_BYTES};
use strongroom_format::log::{
    ALIGN, BatchHeader, BatchPlace, DirectoryEntry, decode_batch, decode_start, encode_start,
    later_batch_follows,
};
use strongroom_format::manifest::{Manifest, ManifestHeader, PartitionEntry};
use strongroom_format::record::{Change, Identity, decode_put, encode_put};
use strongroom_format::segment::{
    BlockHeader, ChangeRow, LabelRow, SECTIONS, SectionEntry, SegmentHeader, decode_directory, decode_table,
    encode_table,
};
use strongroom_format::wire::{Reader, Writer};

/// A log file is walked as recovery walks it.
pub(crate) fn log(bytes: &[u8]) {
    let Ok(start) = decode_start(bytes) else { return };
    let (again, crc32) = encode_start(&start.header, start.previous, start.first_record);
    assert!(crc32 == start.crc32 && bytes.starts_with(&again), "a start that is read is written the same");
    let mut file_tag = [0; 8];
    file_tag.copy_from_slice(&start.header.file_id[..8]);
    let mut place = BatchPlace { file_tag, batch: 0, previous_crc32: start.crc32, offset: ALIGN as u64 };
    let mut rest = bytes.get(ALIGN..).unwrap_or_default();
    loop {
        match decode_batch(rest, place) {
            Ok(batch) => {
                assert!(batch.bytes >= ALIGN && batch.bytes <= rest.len(), "a batch lies within the file");
                rest = &rest[batch.bytes..];
                place.batch += 1;
                place.offset += batch.bytes as u64;
                place.previous_crc32 = batch.crc32;
            }
            Err(_) => {
                later_batch_follows(rest, file_tag, place.batch);
                return;
            }
        }
    }
}

/// A whole manifest.
pub(crate) fn manifest(bytes: &[u8]) {
    let Ok(manifest) = Manifest::decode(bytes) else { return };
    let (file_id, nonce) =
        (array(bytes, 16), array(bytes, FileHeader::BYTES + offset(ManifestHeader::LAYOUT, "nonce")));
    let again = manifest.encode(file_id, nonce);
    assert!(
        Manifest::decode(&again).is_ok_and(|m| m == manifest),
        "a manifest that is written is read the same"
    );
    assert_eq!(again.len(), bytes.len(), "a manifest that is read is written as long as it was");
}

fn array(bytes: &[u8], at: usize) -> [u8; 16] {
    let mut array = [0; 16];
    array.copy_from_slice(&bytes[at..at + 16]);
    array
}

/// A mirror of the keyring, slot by slot.
pub(crate) fn keyring(bytes: &[u8]) {
    for (number, slot) in (0..).zip(bytes.chunks(SLOT_BYTES)) {
        if let Ok(Some(found)) = KeySlot::read(slot, number) {
            let (state, kind) = (found.state(), found.kind());
            assert!(found.finished().state() == state && found.finished().kind() == kind);
        }
    }
}

/// A segment's header and the block behind it.
pub(crate) fn segment(bytes: &[u8]) {
    if SegmentHeader::read(bytes).is_ok() {
        let rest = &bytes[SegmentHeader::BYTES..];
        if let Ok((sealed, bytes_whole)) = BlockHeader::open(rest, 0) {
            assert_eq!(sealed.len() + BlockHeader::BYTES, bytes_whole);
        }
    }
}

/// A segment's opened table, for a segment as long as the last 8 bytes say.
pub(crate) fn table(bytes: &[u8]) {
    let Some((table, length)) = bytes.split_last_chunk::<8>() else { return };
    if let Ok(sections) = decode_table(table, u64::from_le_bytes(*length)) {
        let again = encode_table(&sections);
        assert!(table.starts_with(&again), "a table that is read is written the same");
    }
}

/// What is sealed in the log: the first byte says which sort.
pub(crate) fn record(bytes: &[u8]) {
    let Some((sort, bytes)) = bytes.split_first() else { return };
    match sort % 3 {
        0 => {
            if let Ok(identity) = Identity::decode(bytes) {
                assert_eq!(identity.encode(), bytes, "an identity that is read is written the same");
            }
        }
        1 => {
            if let Ok(change) = Change::decode(bytes) {
                assert_eq!(change.encode(), bytes, "a change that is read is written the same");
            }
        }
        _ => {
            if let Ok(document) = decode_put(bytes, 4) {
                let again = encode_put(&document);
                let read = decode_put(&again, 4).expect("what was written is read");
                assert_eq!(read.id, document.id);
                assert_eq!(again.len(), bytes.len(), "a document that is read is written as long as it was");
            }
        }
    }
}

/// What is sealed in a segment's sections: the first byte says which sort, the next two how many rows.
pub(crate) fn directory(bytes: &[u8]) {
    let Some(([sort, documents, rows], bytes)) = bytes.split_first_chunk::<3>() else { return };
    match sort % 3 {
        0 => {
            if let Ok(directory) = decode_directory(bytes, u32::from(*documents), u32::from(*rows)) {
                let mut again = Writer::default();
                directory.iter().for_each(|row| row.write(&mut again));
                assert_eq!(again.0, bytes, "a directory that is read is written the same");
            }
        }
        1 => {
            let mut input = Reader::new("LabelRow", bytes);
            while !input.is_empty() && LabelRow::read(&mut input).is_ok() {}
        }
        _ => {
            let mut input = Reader::new("ChangeRow", bytes);
            while !input.is_empty() && ChangeRow::read(&mut input).is_ok() {}
        }
    }
}

/// A partition's name.
pub(crate) fn name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(name) = PartitionName::new(text) {
        assert_eq!(name.as_str(), text, "a name is kept byte for byte");
        assert!((1..=256).contains(&text.chars().count()) && text != "." && text != "..");
    }
}

/// Writes the checksum of `structure` into its last four bytes, as every fixed structure has it.
fn repair(structure: &mut [u8]) {
    if let Some((body, crc32)) = structure.split_last_chunk_mut::<4>() {
        *crc32 = crc32fast::hash(body).to_le_bytes();
    }
}

fn repair_at(bytes: &mut [u8], at: usize, length: usize) {
    if let Some(structure) = bytes.get_mut(at..at.saturating_add(length)) {
        repair(structure);
    }
}

/// Sets a structure's `u32` that is the checksum of the `body` behind it.
fn repair_body(bytes: &mut [u8], field: usize, body: std::ops::Range<usize>) {
    let Some(crc32) = bytes.get(body).map(crc32fast::hash) else { return };
    if let Some(field) = bytes.get_mut(field..field + 4) {
        field.copy_from_slice(&crc32.to_le_bytes());
    }
}

pub(crate) fn repair_nothing(_: &mut [u8]) {}

/// The offset of a field of a structure.
fn offset(layout: &strongroom_format::layout::Layout, field: &str) -> usize {
    let found = layout.fields.iter().find(|f| f.name == field);
    found.unwrap_or_else(|| panic!("{} has no {field}", layout.name)).offset
}

fn word(bytes: &[u8], at: usize) -> usize {
    let word = bytes.get(at..).and_then(|b| b.first_chunk::<4>());
    word.map_or(0, |word| usize::try_from(u32::from_le_bytes(*word)).unwrap_or(usize::MAX))
}

pub(crate) fn repair_log(bytes: &mut [u8]) {
    use strongroom_format::log::LogStart;
    repair_at(bytes, 0, FileHeader::BYTES);
    repair_at(bytes, FileHeader::BYTES, LogStart::BYTES);
    let start_crc32 = word(bytes, FileHeader::BYTES + LogStart::BYTES - 4);
    let (mut at, mut previous) = (ALIGN, start_crc32);
    // The copy of each directory is left alone: two that differ are a case of their own.
    while at + BatchHeader::BYTES <= bytes.len() {
        let records = word(bytes, at + offset(BatchHeader::LAYOUT, "records"));
        let body_bytes = word(bytes, at + offset(BatchHeader::LAYOUT, "body_bytes"));
        let field = at + offset(BatchHeader::LAYOUT, "previous_crc32");
        bytes[field..field + 4].copy_from_slice(&u32::try_from(previous).unwrap_or(u32::MAX).to_le_bytes());
        repair_at(bytes, at, BatchHeader::BYTES);
        previous = word(bytes, at + BatchHeader::BYTES - 4);
        for record in 0..records.min(64) {
            repair_at(bytes, at + BatchHeader::BYTES + record * DirectoryEntry::BYTES, DirectoryEntry::BYTES);
        }
        let whole = BatchHeader::BYTES + records.saturating_mul(2 * DirectoryEntry::BYTES) + body_bytes;
        at = at.saturating_add(whole.next_multiple_of(ALIGN).max(ALIGN));
    }
}

pub(crate) fn repair_manifest(bytes: &mut [u8]) {
    let (begin, end) = (FileHeader::BYTES, FileHeader::BYTES + ManifestHeader::BYTES);
    // The first entry; where the next one begins is for the mutated bytes to say.
    repair_at(bytes, end, PartitionEntry::BYTES);
    repair_at(bytes, 0, FileHeader::BYTES);
    let length = bytes.len();
    repair_body(bytes, begin + offset(ManifestHeader::LAYOUT, "body_crc32"), end..length);
    repair_at(bytes, begin, ManifestHeader::BYTES);
}

pub(crate) fn repair_slots(bytes: &mut [u8]) {
    for slot in bytes.chunks_exact_mut(SLOT_BYTES).filter(|slot| slot.iter().any(|b| *b != 0)) {
        repair(slot);
    }
}

pub(crate) fn repair_segment(bytes: &mut [u8]) {
    repair_at(bytes, 0, SegmentHeader::BYTES);
}

pub(crate) fn repair_table(bytes: &mut [u8]) {
    for number in 0..SECTIONS.len() {
        repair_at(bytes, number * SectionEntry::BYTES, SectionEntry::BYTES);
    }
}
