//! What would users lose if bytes were read wrongly? Everything here is read from media that may lie.
//!
//! Here: the values that all tests share, and that what is written is read.

#![allow(clippy::unwrap_used)]

mod codes;
mod damage;
mod lies;
mod posting_blocks;
mod words;

use crate::document::{Document, Passage};
use crate::fields::{Field, FieldValue};
use crate::header::{FileHeader, FileKind};
use crate::keyring::{KeyKind, KeySlot, SlotState};
use crate::log::{BatchPlace, Previous, SealedRecord, decode_batch, encode_batch, encode_start};
use crate::manifest::{
    FoundVersion, Head, PartitionState, SegmentPlace, VersionInfo, VersionKind, encode_version,
};
use crate::memo::Memo;
use crate::receipt::{Receipt, ReceiptKind};
use crate::record::{
    Change, ChangeKind, CollectionSpec, DropNote, Identity, Metric, RecordKind, decode_put, encode_put,
};
use crate::segment::{
    ChangeRow, DocumentRow, LabelKind, LabelRow, decode_directory, decode_table, encode_table, place_sections,
};
use crate::terms::{Terms, Trash};
use crate::wire::{Reader, Writer};
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
        fields: vec![Field { path: "a".to_owned(), value: FieldValue::Number(1_u64.into()) }],
        entity: Some("user-1".to_owned()),
        source: None,
        created_ms: 5,
        updated_ms: Some(6),
        expires_ms: Some(9),
        readers: Some(vec!["user:ada".to_owned(), "group:é".to_owned()]),
        passages: vec![Passage::Range { start: 0, end: 4 }, Passage::Own("other".to_owned())],
        vectors: vec![0.5, -0.5, 1.0, 0.0, f32::MIN_POSITIVE, -0.0],
    }
}

fn place(n: u8) -> SegmentPlace {
    SegmentPlace { epoch: 1, file_id: [n; 16], offset: 64, bytes: u64::from(n), documents: 2, rows: 3 }
}

fn partition(n: u8) -> PartitionState {
    PartitionState {
        incarnation: [n; 16],
        workspace: [9; 16],
        name_tag: [n + 2; 16],
        identity_salt: [n + 1; 16],
        sealed_identity: vec![n; 40],
        replaces: [n / 2; 16],
        key_slot: 7 + u32::from(n),
        spec: CollectionSpec { dimension: 256, metric: Metric::Euclidean },
        flushed_through: 10,
        documents: 2,
        deleted: 1,
        passages: 4,
        deleted_since_ms: 11,
        purge_since_ms: 12,
        first_expiry_ms: Some(13),
        is_damaged: n == 1,
        segments: (0..n).map(place).collect(),
    }
}

fn partitions() -> Vec<PartitionState> {
    (0..3).map(partition).collect()
}

fn info(kind: VersionKind) -> VersionInfo {
    VersionInfo {
        version: 8,
        run: 2,
        kind,
        nonce: [2; 16],
        previous: Head { version: 7, nonce: [4; 16] },
        log_floor: (2, 1),
        next_record: 99,
        epoch: 2,
        released: vec![place(5), place(6)],
    }
}

fn removed(kind: VersionKind) -> Vec<[u8; 16]> {
    if kind == VersionKind::Edit { vec![[7; 16], [8; 16]] } else { Vec::new() }
}

fn version(kind: VersionKind) -> Vec<u8> {
    let mut entries = Vec::new();
    partitions().iter().for_each(|partition| partition.encode(&mut entries));
    encode_version(&info(kind), [1; 16], 3, &entries, &removed(kind))
}

/// Whether a version says what [`version`] wrote.
fn is_version(found: &FoundVersion<'_>, kind: VersionKind) -> bool {
    let all: Result<Vec<_>, _> = found.partitions().map(|found| found.map(|(state, _)| state)).collect();
    found.info == info(kind) && found.removed == removed(kind) && all.is_ok_and(|all| all == partitions())
}

const PLACE: BatchPlace = BatchPlace { file_tag: [3; 8], batch: 4, previous_crc32: 5, offset: 8192 };

fn sealed_record(n: u8) -> SealedRecord {
    SealedRecord {
        incarnation: [n; 16],
        name_tag: [n + 1; 16],
        record: u64::from(n),
        kind: RecordKind::Put,
        sealed: vec![n; 20 * usize::from(n)],
    }
}

fn batch() -> Vec<u8> {
    encode_batch(PLACE, &[sealed_record(1), sealed_record(2), sealed_record(50)]).0
}

const PREVIOUS: Previous = Previous { run: 1, number: 2, end: 8192 };

fn start() -> Vec<u8> {
    let header = FileHeader::new(FileKind::Log, [1; 16], 2, 3);
    encode_start(&header, Some(PREVIOUS), 4).0
}

fn slot() -> KeySlot {
    let mut slot = KeySlot::new_zeroed();
    (slot.state, slot.kind) = (SlotState::Live as u8, KeyKind::Partition as u8);
    (slot.slot, slot.generation) = (6.into(), 2.into());
    (slot.incarnation, slot.workspace) = ([1; 16], [2; 16]);
    (slot.nonce, slot.sealed_key) = ([3; 12], [4; 48]);
    slot.finished()
}

fn receipt() -> Receipt {
    let mut receipt = Receipt::new_zeroed();
    (receipt.id, receipt.workspace, receipt.successor) = ([1; 16], [2; 16], [3; 16]);
    (receipt.kind, receipt.strength) = (ReceiptKind::Purge as u8, 1);
    (receipt.documents, receipt.finished_ms) = (12.into(), 13.into());
    receipt.public_key = [5; 32];
    receipt
}

fn receipt_file() -> Vec<u8> {
    receipt().encode(&FileHeader::new(FileKind::Receipt, [1; 16], 2, 0), |_| [6; 64])
}

fn note() -> DropNote {
    DropNote {
        name_salt: [1; 16],
        name_hash: [2; 32],
        key_fingerprint: [3; 16],
        partitions: 4,
        documents: 5,
        deleted: 6,
        passages: 7,
        at_ms: 8,
        successor: [9; 16],
    }
}

fn rows() -> Vec<DocumentRow> {
    let row = |n: u8| DocumentRow {
        id: format!("doc_{n}"),
        record: 9 + u64::from(n),
        deleted_ms: (n == 1).then_some(5),
        first_row: 2 * u32::from(n),
        rows: 2,
        created_ms: 4,
        updated_ms: (n == 2).then_some(6),
        expires_ms: (n == 1).then_some(7),
        info_offset: 100 * u64::from(n),
        info_bytes: 100,
        content_offset: 10 * u64::from(n),
        content_bytes: 10,
        words: 7,
    };
    (0..3).map(row).collect()
}

fn directory(rows: &[DocumentRow]) -> Vec<u8> {
    let mut out = Writer::default();
    rows.iter().for_each(|row| row.write(&mut out));
    out.0
}

/// Without this, a document would change between its write and a restart.
#[test]
fn what_is_sealed_is_read_as_it_was_written() {
    assert_eq!(decode_put(&encode_put(&document()), 3).unwrap(), document());
    let bare = Document { passages: Vec::new(), vectors: Vec::new(), ..document() };
    assert_eq!(decode_put(&encode_put(&bare), 3).unwrap(), bare);
    for partition in [None, Some("../../x\0".to_owned()), Some("é".repeat(256))] {
        for metric in [Metric::Cosine, Metric::InnerProduct, Metric::Euclidean] {
            let spec = CollectionSpec { dimension: 8192, metric };
            let trash = Some(Trash { since_ms: 7, shred_ms: 7 });
            let kept = Terms { held_ms: Some(1), trash, expires_ms: Some(1 << 40), ttl_ms: Some(3) };
            for terms in [Terms::default(), kept] {
                let (collection, partition) = ("default".to_owned(), partition.clone());
                let identity = Identity { collection, partition, spec, terms };
                assert_eq!(Identity::decode(&identity.encode()).unwrap(), identity);
            }
        }
    }
    let memo = Memo { key: [1; 16], request: [2; 16], ids: vec!["id".to_owned()] }.encode();
    let changes = [
        (ChangeKind::Restored, "id"),
        (ChangeKind::Deleted, "id"),
        (ChangeKind::Purged, "id"),
        (ChangeKind::Answered, &memo),
    ];
    for (kind, id) in changes {
        let change = Change { kind, at_ms: 1 << 40, id: id.to_owned() };
        assert_eq!(Change::decode(&change.encode()).unwrap(), change);
        let (row, mut out) = (ChangeRow { record: 7, change }, Writer::default());
        row.write(&mut out);
        assert_eq!(ChangeRow::read(&mut Reader::new("ChangeRow", &out.0)).unwrap(), row);
    }
    assert_eq!(DropNote::decode(&note().encode()).unwrap(), note());
    assert_eq!(decode_directory(&directory(&rows()), 3, 6).unwrap(), rows());
    let (label, mut out) =
        (LabelRow { kind: LabelKind::Tag, text: "é", bitmap: &[1, 2, 3] }, Writer::default());
    label.write(&mut out);
    assert_eq!(LabelRow::read(&mut Reader::new("LabelRow", &out.0)).unwrap(), label);
}

/// Without this, a store would not be the same after a restart.
#[test]
fn files_are_read_as_they_were_written() {
    for kind in [VersionKind::Edit, VersionKind::Checkpoint] {
        let bytes = version(kind);
        let found = FoundVersion::read(&bytes).unwrap();
        assert!(is_version(&found, kind) && found.mended.is_none(), "{kind:?}");
        let own = Head { version: 8, nonce: [2; 16] };
        let before = Head { version: 7, nonce: [4; 16] };
        assert_eq!(found.head(), if kind == VersionKind::Edit { own } else { before });
        // A checkpoint is put together from the bytes of the entries that did not change.
        let again: Vec<u8> = found.partitions().flat_map(|found| found.unwrap().1.to_vec()).collect();
        assert_eq!(encode_version(&found.info, [1; 16], found.len(), &again, &found.removed), bytes);
    }
    let bytes = batch();
    let found = decode_batch(&bytes, PLACE, None).unwrap();
    assert!(found.is_whole() && found.mended.is_none());
    assert_eq!(found.bytes, bytes.len());
    for (found, n) in found.records.iter().zip([1, 2, 50]) {
        let written = sealed_record(n);
        assert_eq!((found.incarnation, found.name_tag), (written.incarnation, written.name_tag));
        assert_eq!((found.record, found.kind), (written.record, written.kind));
        assert_eq!(found.sealed.clone().unwrap(), written.sealed);
    }
    let found = crate::log::decode_start(&start()).unwrap();
    assert_eq!((found.previous, found.first_record, found.mended), (Some(PREVIOUS), 4, None));
    let packed = [(16_384, 100), (16_385, 16_385)];
    let lengths = [(1, 1), (0, 0), packed[0], packed[1], (5, 5), (0, 0), (12, 12), (9, 7), (16_386, 40)];
    let rest = [(8, 8), (0, 0), (40_000, 40_000), (3, 3), (8, 8), (20_000, 2)];
    let lengths = [&lengths[..], &rest].concat().try_into().expect("as many as there are sections");
    let (sections, end) = place_sections(lengths);
    assert_eq!(decode_table(&encode_table(&sections), end).unwrap(), sections);
    assert_eq!(KeySlot::read(slot().as_bytes(), 6).unwrap(), Some(slot()));
    assert_eq!(KeySlot::read(&[0; 128], 6).unwrap(), None);
}

/// Without this, an auditor could not tell a receipt from a forged one.
#[test]
fn a_receipt_is_signed_over_all_that_it_says() {
    let header = FileHeader::new(FileKind::Receipt, [1; 16], 2, 0);
    let mut signed = Vec::new();
    let bytes = receipt().encode(&header, |text| {
        signed = text.to_vec();
        [6; 64]
    });
    assert_eq!(signed, Receipt::signed(&bytes));
    assert_eq!(
        signed.len(),
        bytes.len() - 72,
        "all but the signature, what is kept for later and the checksum"
    );
    let read = Receipt::decode(&bytes).unwrap();
    assert_eq!((read.signature, read.documents.get()), ([6; 64], 12));
    let unsigned = Receipt { signature: [0; 64], crc32: 0.into(), ..read };
    assert_eq!(unsigned, receipt());
}
