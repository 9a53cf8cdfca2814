//! What do lengths and numbers do that nobody wrote, under checksums that are right?

use super::{PLACE, batch, directory, document, info, note, partition, receipt, rows, sealed_record, slot};
use crate::document::Passage;
use crate::header::{FileHeader, FileKind};
use crate::keyring::{KeySlot, SlotState};
use crate::log::{BatchHeader, DirectoryEntry, SealedRecord, decode_batch, encode_batch};
use crate::manifest::{
    FoundVersion, ManifestHeader, PartitionEntry, PartitionState, SegmentRef, VersionKind, encode_version,
};
use crate::receipt::{Receipt, ReceiptKind};
use crate::record::{Change, ChangeKind, CollectionSpec, DropNote, Identity, Metric, decode_put, encode_put};
use crate::segment::{
    BlockHeader, SECTIONS, SectionEntry, SegmentHeader, decode_directory, decode_table, encode_table,
    place_sections,
};
use crate::terms::Terms;
use crate::wire::Reader;
use crate::{Damage, layout::Layout};
use zerocopy::IntoBytes;

/// Puts a value into a field of the structure that begins at `at`, and its checksum right.
fn lie(bytes: &mut [u8], layout: &Layout, at: usize, field: &str, value: u64) {
    let field = layout.fields.iter().find(|f| f.name == field).unwrap();
    let structure = &mut bytes[at..at + layout.bytes];
    structure[field.offset..field.offset + field.bytes].copy_from_slice(&value.to_le_bytes()[..field.bytes]);
    let crc32 = crc32fast::hash(&structure[..layout.bytes - 4]);
    structure[layout.bytes - 4..].copy_from_slice(&crc32.to_le_bytes());
}

/// Values at which sums and products go wrong, on 32 bits too.
const ODD: [u64; 9] = [0, 1, 17, 0x7fff_ffff, 0xffff_ffff, 1 << 28, (1 << 28) + 1, i64::MAX as u64, u64::MAX];

/// Without this, a few hostile bytes could take the server's memory or stop it.
#[test]
fn sealed_texts_end_where_they_end() {
    let put = encode_put(&document());
    for cut in 0..put.len() {
        assert!(decode_put(&put[..cut], 3).is_err(), "cut at {cut}");
    }
    for position in 0..put.len() - 4 {
        let mut bytes = put.clone();
        bytes[position..position + 4].copy_from_slice(&[0xff; 4]);
        // Whatever it says now, it is refused, or it is what would be written for it.
        if let Ok(read) = decode_put(&bytes, 3) {
            assert_eq!(encode_put(&read), bytes, "at {position}");
        }
    }
    assert!(decode_put(&put, 4).is_err(), "another dimension");
    let spec = CollectionSpec { dimension: 3, metric: Metric::InnerProduct };
    let terms = Terms { held_ms: Some(1), ttl_ms: Some(2), ..Terms::default() };
    let identity = Identity { collection: "c".to_owned(), partition: Some("p".to_owned()), spec, terms };
    let change = Change { kind: ChangeKind::Purged, at_ms: 3, id: "id".to_owned() };
    type Check = fn(&[u8]) -> Result<Vec<u8>, Damage>;
    let checks: [(Vec<u8>, Check); 3] = [
        (identity.encode(), |b| Identity::decode(b).map(|i| i.encode())),
        (change.encode(), |b| Change::decode(b).map(|c| c.encode())),
        (note().encode(), |b| DropNote::decode(b).map(|n| n.encode())),
    ];
    for (bytes, check) in checks {
        assert_eq!(check(&bytes).unwrap(), bytes);
        assert!(check(&[&bytes[..], &[0]].concat()).is_err(), "a byte more");
        for cut in 0..bytes.len() {
            assert!(check(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for position in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[position] = 0xff;
            assert!(check(&bytes).is_err() || check(&bytes).unwrap() == bytes, "at {position}");
        }
    }
    assert!(Reader::new("test", &[0xff; 8]).count(usize::MAX, 1).is_err(), "more than there is");
    assert!(Reader::new("test", &[3, 0, 0, 0, 1, 1, 1]).bytes(2).is_err(), "more than the limit");
    assert!(Reader::new("test", &[2, 0, 0, 0, 0xff, 0xff]).text(9).is_err(), "not UTF-8");
    assert!(Reader::new("test", &[1]).finish().is_err(), "something is left");
}

/// Without this, a document would be read with passages that it does not have, or under a name that nobody gave.
#[test]
fn what_no_writer_writes_is_refused() {
    for (start, end) in [(4, 3), (0, 10), (u32::MAX, u32::MAX)] {
        let mut document = document();
        document.passages[0] = Passage::Range { start, end };
        assert!(decode_put(&encode_put(&document), 3).is_err(), "{start} to {end}");
    }
    let spec = CollectionSpec::cosine(3);
    let terms = Terms::default();
    let name =
        |chars| Identity { collection: "c".to_owned(), partition: Some("a".repeat(chars)), spec, terms };
    assert!(Identity::decode(&name(256).encode()).is_ok() && Identity::decode(&name(257).encode()).is_err());
    for dimension in [0, 8193] {
        let spec = CollectionSpec::cosine(dimension);
        assert!(Identity::decode(&Identity { spec, ..name(1) }.encode()).is_err());
    }
    // Behind the collection's name come two bytes of the dimension, the metric, and whether there are terms.
    for (at, byte) in [(7, 3), (7, 0xff), (8, 1), (8, 2)] {
        let mut bytes = name(1).encode();
        bytes[at] = byte;
        assert!(Identity::decode(&bytes).is_err(), "{byte} at {at}");
    }
    for state in [SlotState::Shredding, SlotState::Shredded] {
        let kept = KeySlot { state: state as u8, ..slot() }.finished();
        assert!(KeySlot::read(kept.as_bytes(), 6).is_err(), "a destroyed key that is there");
        let half_gone = KeySlot { nonce: [0; 12], ..kept }.finished();
        assert!(KeySlot::read(half_gone.as_bytes(), 6).is_err(), "a destroyed key without its nonce");
        let gone = KeySlot { nonce: [0; 12], sealed_key: [0; 48], ..kept }.finished();
        assert_eq!(KeySlot::read(gone.as_bytes(), 6).unwrap(), Some(gone));
    }
    let retired = KeySlot { retired_record: 1.into(), ..slot() }.finished();
    assert!(KeySlot::read(retired.as_bytes(), 6).is_err(), "a key in use that is retired");
    let header = FileHeader::new(FileKind::Receipt, [1; 16], 2, 0);
    let other = Receipt { kind: ReceiptKind::Partition as u8, ..receipt() };
    assert!(Receipt::decode(&other.encode(&header, |_| [0; 64])).is_err(), "a drop with a successor");
    let header = FileHeader::new(FileKind::Receipt, [1; 16], 2, 1);
    assert!(Receipt::decode(&receipt().encode(&header, |_| [0; 64])).is_err(), "a numbered receipt");
}

/// Without this, two records of one partition could be sealed with the same nonce, and nobody would notice.
#[test]
fn a_number_of_a_partition_comes_once() {
    let of_one = |numbers: [u64; 2]| {
        let records = numbers.map(|record| SealedRecord { record, ..sealed_record(1) });
        encode_batch(PLACE, &records).0
    };
    assert!(decode_batch(&of_one([7, 8]), PLACE, None).is_ok());
    assert!(decode_batch(&of_one([7, 7]), PLACE, None).is_err());
}

/// Without this, a batch's records could be read from each other's bytes.
#[test]
fn records_of_a_batch_follow_each_other() {
    let (whole, directory) = (batch(), BatchHeader::BYTES);
    let copy = whole.len() - BatchHeader::BYTES - 3 * DirectoryEntry::BYTES;
    for number in 0..3 {
        for (field, right) in [
            ("offset", [0, 20, 60][number]),
            ("bytes", [20, 40, 1000][number]),
            ("record", [1, 2, 50][number]),
        ] {
            for value in ODD.into_iter().chain([20, 40, 2]) {
                let mut bytes = whole.clone();
                for at in [directory, copy] {
                    let entry = at + number * DirectoryEntry::BYTES;
                    lie(&mut bytes, DirectoryEntry::LAYOUT, entry, field, value);
                }
                let found = decode_batch(&bytes, PLACE, None);
                // A number may be any but the last: it is the seal's to say whether it is the record's own.
                let is_right = if field == "record" { value != u64::MAX } else { value == right };
                let is_cut_off = field == "bytes" && value > u64::from(u32::MAX);
                if !is_cut_off {
                    assert_eq!(found.is_ok(), is_right, "record {number}: {field} is {value}");
                }
            }
        }
    }
    for field in ["records", "body_bytes"] {
        for value in ODD {
            let mut bytes = whole.clone();
            for at in [0, whole.len() - BatchHeader::BYTES] {
                lie(&mut bytes, BatchHeader::LAYOUT, at, field, value);
            }
            assert!(decode_batch(&bytes, PLACE, None).is_err(), "{field} is {value}");
        }
    }
    let mut bytes = whole.clone();
    lie(&mut bytes, DirectoryEntry::LAYOUT, copy, "record", 0);
    assert!(decode_batch(&bytes, PLACE, None).is_err(), "two entries that check and differ");
    let mut bytes = whole.clone();
    lie(&mut bytes, BatchHeader::LAYOUT, whole.len() - BatchHeader::BYTES, "records", 2);
    assert!(decode_batch(&bytes, PLACE, None).is_err(), "two headers that check and differ");
}

/// Without this, a hostile manifest could stop the server before it serves anyone.
#[test]
fn a_manifest_holds_what_it_counts() {
    let mut entries = Vec::new();
    partition(2).encode(&mut entries);
    let header_at = FileHeader::BYTES;
    let body_at = header_at + ManifestHeader::BYTES;
    let checks = |bytes: &[u8]| FoundVersion::read(bytes).is_ok_and(|f| f.partitions().all(|p| p.is_ok()));
    let whole = encode_version(&info(VersionKind::Checkpoint), [1; 16], 1, &entries, &[]);
    assert!(checks(&whole));
    for (field, right) in [("partitions", 1), ("removed", 0), ("released", 2), ("body_bytes", u64::MAX)] {
        for value in ODD {
            let mut bytes = whole.clone();
            lie(&mut bytes, ManifestHeader::LAYOUT, header_at, field, value);
            assert_eq!(checks(&bytes), value & 0xffff_ffff == right, "{field} is {value}");
        }
    }
    let mend = |bytes: &mut Vec<u8>| {
        let body = crc32fast::hash(&bytes[body_at..]);
        lie(bytes, ManifestHeader::LAYOUT, header_at, "body_crc32", body.into());
    };
    for (field, right) in
        [("segments", 2..=2), ("identity_bytes", 40..=40), ("dimension", 1..=8192), ("is_damaged", 0..=1)]
    {
        for value in ODD {
            let mut bytes = whole.clone();
            lie(&mut bytes, PartitionEntry::LAYOUT, body_at, field, value);
            mend(&mut bytes);
            // What a value has beyond four bytes doesn't reach the field.
            assert_eq!(checks(&bytes), right.contains(&(value & 0xffff_ffff)), "{field} is {value}");
        }
    }
    for metric in [0, 1, 2, 3, 255] {
        let mut bytes = whole.clone();
        lie(&mut bytes, PartitionEntry::LAYOUT, body_at, "metric", metric);
        mend(&mut bytes);
        assert_eq!(checks(&bytes), metric <= 2, "metric {metric}");
        let spec = CollectionSpec::cosine(3);
        let mut segment = SegmentHeader::new([1; 16], spec, 2, 3, 4096).as_bytes().to_vec();
        lie(&mut segment, SegmentHeader::LAYOUT, 0, "metric", metric);
        assert_eq!(SegmentHeader::read(&segment).is_ok(), metric <= 2, "metric {metric}");
    }
    let mut bytes = whole.clone();
    let last = bytes.len() - SegmentRef::BYTES;
    lie(&mut bytes, SegmentRef::LAYOUT, last, "reserved", 1);
    mend(&mut bytes);
    assert!(!checks(&bytes), "reserved bytes that are used");
    // An edit follows an earlier one; a checkpoint has nothing to remove, and its entries rise.
    for version in [7, 6] {
        for kind in [VersionKind::Edit, VersionKind::Checkpoint] {
            let info = crate::manifest::VersionInfo { version, ..info(kind) };
            assert!(!checks(&encode_version(&info, [1; 16], 1, &entries, &[])));
        }
    }
    let removed = |kind| encode_version(&info(kind), [1; 16], 1, &entries, &[[1; 16]]);
    assert!(checks(&removed(VersionKind::Edit)) && !checks(&removed(VersionKind::Checkpoint)));
    let twice = [entries.clone(), entries.clone()].concat();
    let unsorted = |kind| encode_version(&info(kind), [1; 16], 2, &twice, &[]);
    assert!(checks(&unsorted(VersionKind::Edit)) && !checks(&unsorted(VersionKind::Checkpoint)));
    let bytes = unsorted(VersionKind::Checkpoint);
    let damage = FoundVersion::read(&bytes).unwrap().partitions().find_map(Result::err).unwrap();
    assert_eq!(damage.offset as usize, body_at + entries.len(), "the second entry is told");
    // Whose second copy is read tells places there.
    let mut entry = Vec::new();
    PartitionState { spec: CollectionSpec::cosine(0), ..partition(2) }.encode(&mut entry);
    let mut bytes = encode_version(&info(VersionKind::Edit), [1; 16], 1, &entry, &[]);
    bytes[0] ^= 1;
    let damage = FoundVersion::read(&bytes).unwrap().partitions().find_map(Result::err).unwrap();
    assert_eq!(damage.offset as usize, bytes.len() / 2 + body_at);
    let mut entry = Vec::new();
    PartitionState { sealed_identity: vec![0; 2000], ..partition(2) }.encode(&mut entry);
    assert!(
        !checks(&encode_version(&info(VersionKind::Edit), [1; 16], 1, &entry, &[])),
        "no name is so long"
    );
}

/// Without this, a segment's sections or documents could be read from each other's bytes.
#[test]
fn what_lies_in_a_segment_lies_one_after_the_other() {
    let (sections, end) = place_sections([(100, 100); SECTIONS.len()]);
    let whole = encode_table(&sections);
    for number in 0..SECTIONS.len() {
        for field in ["kind", "first_block", "offset", "plain_bytes", "stored_bytes"] {
            for value in ODD.into_iter().filter(|v| (field, number, *v) != ("kind", 0, 1)) {
                let right = [number as u64 + 1, u64::MAX][usize::from(field != "kind")];
                let is_first = field == "first_block" && value == number as u64 + 1;
                let mut bytes = whole.clone();
                lie(&mut bytes, SectionEntry::LAYOUT, number * SectionEntry::BYTES, field, value);
                for end in [end, u64::MAX] {
                    let found = decode_table(&bytes, end).is_ok();
                    assert_eq!(found, (value == right && field == "kind" || is_first) && end != u64::MAX);
                }
            }
        }
    }
    assert!(decode_directory(&directory(&rows()), 3, 6).is_ok());
    type Lie = fn(&mut crate::segment::DocumentRow);
    let lies: [Lie; 9] = [
        |row| row.first_row += 1,
        |row| row.rows = 5,
        |row| row.rows = u32::MAX,
        |row| row.info_offset -= 1,
        |row| row.info_offset = u64::MAX,
        |row| row.content_offset += 1,
        |row| row.content_offset = 0,
        |row| row.content_bytes = u64::MAX,
        |row| row.words = 2 * 65_535 + 1,
    ];
    for (number, lie) in lies.iter().enumerate() {
        let mut rows = rows();
        lie(&mut rows[1]);
        assert!(decode_directory(&directory(&rows), 3, 6).is_err(), "lie {number}");
    }
    for (documents, rows_said) in [(2, 4), (2, 6), (4, 6), (3, 5), (3, 7), (u32::MAX, u32::MAX)] {
        assert!(decode_directory(&directory(&rows()), documents, rows_said).is_err());
    }
    let sealed = [7; 40];
    let block = [BlockHeader::new(3, &sealed).as_bytes(), &sealed].concat();
    assert_eq!(BlockHeader::open(&block, 3).unwrap(), (&sealed[..], 56));
    for value in ODD {
        let mut bytes = block.clone();
        bytes[4..8].copy_from_slice(&value.to_le_bytes()[..4]);
        assert!(BlockHeader::open(&bytes, 3).is_err(), "{value}");
    }
}
