//! What would users lose if bytes were read wrongly? Everything here is read from media that may lie.

#![allow(clippy::unwrap_used)]

use crate::document::{Document, Passage};
use crate::keyring::{KeySlot, SLOT_BYTES};
use crate::log::{
    BatchPlace, Previous, SealedRecord, decode_batch, decode_start, encode_batch, encode_start,
};
use crate::manifest::{Manifest, PartitionState, SegmentPlace};
use crate::record::{Change, Identity, RecordKind, decode_put, encode_put};
use crate::segment::{SECTIONS, decode_table, encode_table, place_sections};
use crate::wire::Reader;
use zerocopy::{FromZeros, IntoBytes};

fn document() -> Document {
    Document {
        id: "id".to_owned(),
        version: 3,
        filename: "née.txt".to_owned(),
        content_type: "text/plain".to_owned(),
        content: b"some text".to_vec(),
        content_digest: [7; 32],
        tags: vec!["a".to_owned(), "b:c".to_owned()],
        metadata: "{\"a\":1}".to_owned(),
        entity: Some("user-1".to_owned()),
        source: None,
        created_ms: 5,
        updated_ms: Some(6),
        passages: vec![Passage::Range { start: 0, end: 4 }, Passage::Own("other".to_owned())],
        vectors: vec![0.5, -0.5, 1.0, 0.0, f32::MIN_POSITIVE, -0.0],
    }
}

fn manifest() -> Manifest {
    let place = |n: u8| SegmentPlace {
        epoch: 1,
        file_id: [n; 16],
        offset: 64,
        bytes: u64::from(n),
        documents: 2,
        rows: 3,
    };
    let partition = |n: u8| PartitionState {
        incarnation: [n; 16],
        workspace: [9; 16],
        identity_salt: [n + 1; 16],
        sealed_identity: vec![n; 40],
        dimension: 256,
        flushed_through: 10,
        documents: 2,
        deleted: 1,
        passages: 4,
        segments: (0..n).map(place).collect(),
    };
    let partitions = (0..3).map(partition).collect();
    Manifest { version: 8, run: 2, log_floor: (2, 1), next_record: 99, partitions }
}

const PLACE: BatchPlace = BatchPlace { file_tag: [3; 8], batch: 4, previous_crc32: 5, offset: 8192 };

fn batch() -> Vec<u8> {
    let record = |n: u8| SealedRecord {
        incarnation: [n; 16],
        record: u64::from(n),
        kind: RecordKind::Put,
        sealed: vec![n; 100 * usize::from(n)],
    };
    encode_batch(PLACE, &[record(1), record(2), record(50)]).0
}

/// Without this, a document would change between its write and a restart.
#[test]
fn what_is_written_is_read() {
    assert_eq!(decode_put(&encode_put(&document()), 3).unwrap(), document());
    for partition in [None, Some("../../x\0".to_owned())] {
        let identity = Identity { collection: "default".to_owned(), partition, dimension: 8192 };
        assert_eq!(Identity::decode(&identity.encode()).unwrap(), identity);
    }
    let change = Change { id: "id".to_owned(), deleted: true };
    assert_eq!(Change::decode(&change.encode()).unwrap(), change);
    assert_eq!(Manifest::decode(&manifest().encode([1; 16], [2; 16])).unwrap(), manifest());
    let bytes = batch();
    let found = decode_batch(&bytes, PLACE).unwrap();
    assert_eq!(found.records.iter().map(|record| record.sealed.len()).collect::<Vec<_>>(), [100, 200, 5000]);
    assert_eq!(found.bytes, bytes.len());
    let (sections, end) = place_sections([1, 0, 16_384, 16_385, 5, 0]);
    assert_eq!(decode_table(&encode_table(&sections), end).unwrap(), sections);
}

/// Without this, a cut or rotten file would be read as something that nobody wrote.
#[test]
fn checked_structures_refuse_every_flip_and_every_cut() {
    let header = crate::header::FileHeader::new(crate::header::FileKind::Log, [1; 16], 2, 3);
    let start = encode_start(&header, Some(Previous { run: 1, number: 2, end: 3 }), 4).0;
    let mut slot = KeySlot { state: 1, kind: 2, ..KeySlot::new_zeroed() };
    slot.slot.set(6);
    let slot = slot.finished().as_bytes().to_vec();
    let (sections, end) = place_sections([100; SECTIONS.len()]);
    type Check = Box<dyn Fn(&[u8]) -> bool>;
    let structures: [(&str, Vec<u8>, Check); 5] = [
        ("manifest", manifest().encode([1; 16], [2; 16]), Box::new(|b| Manifest::decode(b).is_ok())),
        ("batch", batch(), Box::new(|b| decode_batch(b, PLACE).is_ok())),
        ("log start", start, Box::new(|b| decode_start(b).is_ok())),
        ("slot", slot, Box::new(|b| b.len() == SLOT_BYTES && matches!(KeySlot::read(b, 6), Ok(Some(_))))),
        ("section table", encode_table(&sections), Box::new(move |b| decode_table(b, end).is_ok())),
    ];
    for (name, mut bytes, check) in structures {
        assert!(check(&bytes), "{name}");
        for cut in 0..bytes.len() {
            // The identity that ends a manifest is the tag's to check, but its length is checked here.
            assert!(!check(&bytes[..cut]), "{name} cut at {cut}");
        }
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!check(&bytes), "{name} with bit {bit} flipped");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// Without this, a few hostile bytes could take the server's memory or stop it.
#[test]
fn lengths_that_lie_neither_panic_nor_allocate() {
    let put = encode_put(&document());
    for cut in 0..put.len() {
        assert!(decode_put(&put[..cut], 3).is_err(), "cut at {cut}");
    }
    for position in 0..put.len() - 4 {
        let mut bytes = put.clone();
        bytes[position..position + 4].copy_from_slice(&[0xff; 4]);
        // Whatever it says now, reading it ends, with a value or with the damage.
        if let Ok(read) = decode_put(&bytes, 3) {
            assert_eq!(encode_put(&read).len(), put.len());
        }
    }
    assert!(Reader::new("test", &[0xff; 8]).count(usize::MAX, 1).is_err(), "more than there is");
    assert!(Reader::new("test", &[3, 0, 0, 0, 1, 1, 1]).bytes(2).is_err(), "more than the limit");
    assert!(Reader::new("test", &[2, 0, 0, 0, 0xff, 0xff]).text(9).is_err(), "not UTF-8");
    assert!(Reader::new("test", &[1]).finish().is_err(), "something is left");
}
