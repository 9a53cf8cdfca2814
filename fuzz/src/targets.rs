//! What must hold for any bytes at all? Each target says whether it took them.

use std::collections::HashSet;
use strongroom_engine::PartitionName;
use strongroom_format::codes::IndexHead;
use strongroom_format::field_index::{FieldIndexWriter, Holders, decode_field_index};
use strongroom_format::header::{FileHeader, FileKind};
use strongroom_format::keyring::{KeySlot, SLOT_BYTES};
use strongroom_format::log::{
    ALIGN, BatchPlace, FoundBatch, SealedRecord, decode_batch, decode_start, encode_batch, encode_start,
    later_batch,
};
use strongroom_format::manifest::{FoundVersion, encode_version};
use strongroom_format::receipt::Receipt;
use strongroom_format::record::{Change, DropNote, Identity, decode_put, encode_put};
use strongroom_format::segment::{
    BlockHeader, ChangeRow, LabelRow, SegmentHeader, decode_directory, decode_table, encode_table,
};
use strongroom_format::wire::{Reader, Writer};
use strongroom_format::words::{
    Occurrences, Place, Posting, WORDS_PLAIN, decode_words, decode_words_header, encode_words_in,
};
use zerocopy::IntoBytes;

/// A log file is walked as recovery walks it.
pub(crate) fn log(bytes: &[u8]) -> bool {
    let Ok(start) = decode_start(bytes) else { return false };
    let (again, crc32) = encode_start(&start.header, start.previous, start.first_record);
    assert_eq!(crc32, start.crc32, "a start that is read is written the same");
    assert!(start.mended.is_some() || bytes.starts_with(&again), "what differs is noted");
    let mut file_tag = [0; 8];
    file_tag.copy_from_slice(&start.header.file_id[..8]);
    let mut place = BatchPlace { file_tag, batch: 0, previous_crc32: start.crc32, offset: ALIGN as u64 };
    let mut rest = bytes.get(ALIGN..).unwrap_or_default();
    while !rest.is_empty() {
        let found = decode_batch(rest, place, None).or_else(|damage| {
            let next = later_batch(rest, file_tag, place.batch);
            let (end, _) = next.filter(|(_, is_next)| *is_next).ok_or(damage)?;
            decode_batch(rest, place, Some(end))
        });
        let Ok(batch) = found else { return false };
        check_batch(rest, place, &batch);
        rest = &rest[batch.bytes..];
        place.batch += 1;
        place.offset += batch.bytes as u64;
        place.previous_crc32 = batch.crc32;
    }
    true
}

/// Where the batches of the target `batch` stand.
pub(crate) const PLACE: BatchPlace =
    BatchPlace { file_tag: *b"one file", batch: 4, previous_crc32: 5, offset: 8192 };

/// A batch; the first byte says whether it is known where it ends: at the end of the bytes when it is odd.
pub(crate) fn batch(bytes: &[u8]) -> bool {
    let Some((known, bytes)) = bytes.split_first() else { return false };
    let end = (known % 2 == 1).then_some(bytes.len());
    let Ok(batch) = decode_batch(bytes, PLACE, end) else { return false };
    check_batch(bytes, PLACE, &batch);
    true
}

fn check_batch(bytes: &[u8], place: BatchPlace, batch: &FoundBatch<'_>) {
    assert!(batch.bytes >= ALIGN && batch.bytes <= bytes.len(), "a batch lies within the file");
    let numbers = batch.records.iter().map(|record| (record.incarnation, record.record));
    let distinct: HashSet<_> = numbers.clone().collect();
    assert_eq!(
        distinct.len(),
        numbers.len(),
        "no number, which is a nonce of its partition's key, comes twice"
    );
    if !batch.is_whole() {
        return;
    }
    let sealed = |record: &strongroom_format::log::FoundRecord<'_>| SealedRecord {
        incarnation: record.incarnation,
        name_tag: record.name_tag,
        record: record.record,
        kind: record.kind,
        sealed: record.sealed.as_ref().map(|sealed| sealed.to_vec()).unwrap_or_default(),
    };
    let records: Vec<SealedRecord> = batch.records.iter().map(sealed).collect();
    let (again, crc32) = encode_batch(place, &records);
    assert!(crc32 == batch.crc32 && again.len() == batch.bytes, "a batch that is read is written the same");
    assert!(batch.mended.is_some() || bytes.starts_with(&again), "what differs is noted");
}

/// A version of a manifest, be it an edit or a checkpoint.
pub(crate) fn version(bytes: &[u8]) -> bool {
    let Ok(found) = FoundVersion::read(bytes) else { return false };
    let Ok(partitions) = found.partitions().collect::<Result<Vec<_>, _>>() else { return false };
    let (mut raw, mut entries) = (Vec::new(), Vec::new());
    for (state, bytes) in &partitions {
        raw.extend_from_slice(bytes);
        state.encode(&mut entries);
    }
    assert!(raw == entries && partitions.len() == found.len(), "an entry that is read is written the same");
    let file_id = FileHeader::read(bytes, FileKind::Manifest).map_or([0; 16], |header| header.file_id);
    let again = encode_version(&found.info, file_id, partitions.len(), &entries, &found.removed);
    assert!(found.mended.is_some() || again == bytes, "a version that is read is written the same");
    let read = FoundVersion::read(&again).expect("what was written is read");
    assert!(read.info == found.info && read.removed == found.removed && read.head() == found.head());
    true
}

/// A receipt.
pub(crate) fn receipt(bytes: &[u8]) -> bool {
    let Ok(receipt) = Receipt::decode(bytes) else { return false };
    let header = FileHeader::read(bytes, FileKind::Receipt).expect("it was read");
    let again = receipt.encode(&header, |signed| {
        assert_eq!(signed, Receipt::signed(bytes), "what is signed is what is read");
        receipt.signature
    });
    assert_eq!(again, bytes, "a receipt that is read is written the same");
    true
}

/// A mirror of the keyring, slot by slot.
pub(crate) fn keyring(bytes: &[u8]) -> bool {
    let read = |(number, slot)| KeySlot::read(slot, number);
    let slots: Vec<_> = (0..).zip(bytes.chunks(SLOT_BYTES)).map(read).collect();
    for (found, bytes) in slots.iter().zip(bytes.chunks(SLOT_BYTES)) {
        if let Ok(Some(found)) = found {
            assert!(found.finished() == *found && found.as_bytes() == bytes, "a slot is written the same");
        }
    }
    slots.iter().all(Result::is_ok)
}

/// A segment's header and the block behind it.
pub(crate) fn segment(bytes: &[u8]) -> bool {
    if SegmentHeader::read(bytes).is_err() {
        return false;
    }
    let Ok((sealed, whole)) = BlockHeader::open(&bytes[SegmentHeader::BYTES..], 0) else { return false };
    assert_eq!(sealed.len() + BlockHeader::BYTES, whole);
    let again = BlockHeader::new(0, sealed);
    assert!(bytes[SegmentHeader::BYTES..].starts_with(again.as_bytes()), "a block is written the same");
    true
}

/// A segment's opened table, for a segment as long as the last 8 bytes say.
pub(crate) fn table(bytes: &[u8]) -> bool {
    let Some((table, length)) = bytes.split_last_chunk::<8>() else { return false };
    let Ok(sections) = decode_table(table, u64::from_le_bytes(*length)) else { return false };
    assert_eq!(encode_table(&sections), table, "a table that is read is written the same");
    true
}

/// What is sealed in the log: the first byte says which sort.
pub(crate) fn record(bytes: &[u8]) -> bool {
    let Some((sort, bytes)) = bytes.split_first() else { return false };
    let again = match sort % 4 {
        0 => Identity::decode(bytes).map(|identity| identity.encode()),
        1 => Change::decode(bytes).map(|change| change.encode()),
        2 => decode_put(bytes, 4).map(|document| encode_put(&document)),
        _ => DropNote::decode(bytes).map(|note| note.encode()),
    };
    let Ok(again) = again else { return false };
    assert_eq!(again, bytes, "what is read is written the same");
    true
}

/// What is sealed in a segment's sections: the first byte says which sort, the next two how many rows.
pub(crate) fn directory(bytes: &[u8]) -> bool {
    let Some(([sort, documents, rows], bytes)) = bytes.split_first_chunk::<3>() else { return false };
    let mut again = Writer::default();
    let mut input = Reader::new("rows", bytes);
    match sort % 7 {
        0 => {
            let Ok(directory) = decode_directory(bytes, u32::from(*documents), u32::from(*rows)) else {
                return false;
            };
            directory.iter().for_each(|row| row.write(&mut again));
        }
        1 => {
            while !input.is_empty() {
                let Ok(row) = LabelRow::read(&mut input) else { return false };
                row.write(&mut again);
            }
        }
        2 => {
            // The documents say how long the dictionary is, and a byte how long the postings are.
            let Some((words, rest)) = bytes.split_at_checked(usize::from(*documents)) else { return false };
            let Some((length, rest)) = rest.split_first() else { return false };
            return words_of(words, usize::from(*length), rest, u32::from(*rows));
        }
        6 => {
            // The same with more rows, so that a word may be frequent.
            let Some((words, rest)) = bytes.split_at_checked(usize::from(*documents)) else { return false };
            let Some((length, rest)) = rest.split_first_chunk::<2>() else { return false };
            return words_of(words, u16::from_le_bytes(*length).into(), rest, 4 * u32::from(*rows));
        }
        3 => {
            let (dimension, rows) = (u32::from(*documents), u32::from(*rows));
            let Ok(Some(head)) = IndexHead::decode(bytes, dimension, rows) else { return false };
            again = head.encode();
        }
        5 => {
            let mut writer = FieldIndexWriter::default();
            let take = &mut |key: &[u8], holders: Holders| {
                match holders {
                    Holders::Few(documents) => writer.few(key, &documents),
                    Holders::Many(documents, at) => {
                        writer.many(key, documents, &bytes[at.start as usize..at.end as usize]);
                    }
                }
                Ok(true)
            };
            if decode_field_index(bytes, u32::from(*documents), take).is_err() {
                return false;
            }
            // Pages may be cut otherwise, and something may lie between them: whoever checks a segment compares.
            return writer.finish() == bytes;
        }
        _ => {
            while !input.is_empty() {
                let Ok(row) = ChangeRow::read(&mut input) else { return false };
                row.write(&mut again);
            }
        }
    }
    assert_eq!(again.0, bytes, "rows that are read are written the same");
    true
}

/// Dictionary, postings of this length, and positions.
fn words_of(words: &[u8], length: usize, rest: &[u8], rows: u32) -> bool {
    let Some((postings, positions)) = rest.split_at_checked(length) else { return false };
    let mut found: Vec<(String, Occurrences)> = Vec::new();
    let take = |word: &str, postings: &[Posting], places: &[Place]| {
        let occurrences: Occurrences = places.iter().copied().collect();
        assert_eq!(occurrences.postings(), postings, "postings and positions say the same");
        found.push((word.to_owned(), occurrences));
    };
    let Ok(counts) = decode_words([words, postings, positions], rows, take) else { return false };
    let version =
        words.get(..8).map_or(WORDS_PLAIN, |header| decode_words_header(header).map_or(0, |(v, _)| v));
    let again = encode_words_in(version, &counts, found.iter().map(|(word, found)| (&**word, found)));
    let again = [&again.words.0, &again.postings.0, &again.positions.0].map(|bytes| &bytes[..]);
    assert_eq!(again, [words, postings, positions], "words that are read are written the same");
    true
}

/// A partition's name.
pub(crate) fn name(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(name) = PartitionName::new(text) else { return false };
    assert_eq!(name.as_str(), text, "a name is kept byte for byte");
    assert!((1..=256).contains(&text.chars().count()) && text != "." && text != "..");
    true
}
