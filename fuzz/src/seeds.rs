//! Which bytes does each target accept? Small ones, made by the encoders themselves.

use strongroom_format::codes::{IndexHead, ListRows};
use strongroom_format::document::{Document, Passage};
use strongroom_format::field_index::FieldIndexWriter;
use strongroom_format::fields::{Field, FieldValue};
use strongroom_format::header::{FileHeader, FileKind};
use strongroom_format::keyring::{KeyKind, KeySlot, SLOT_BYTES, SlotState};
use strongroom_format::log::{BatchHeader, BatchPlace, Previous, SealedRecord, encode_batch, encode_start};
use strongroom_format::manifest::{
    Head, PartitionState, SegmentPlace, VersionInfo, VersionKind, encode_version,
};
use strongroom_format::receipt::{Receipt, ReceiptKind};
use strongroom_format::record::{
    Change, ChangeKind, CollectionSpec, DropNote, Identity, Metric, RecordKind, encode_put,
};
use strongroom_format::segment::{
    BlockHeader, ChangeRow, DocumentRow, LabelKind, LabelRow, SECTIONS, SegmentHeader, encode_table,
    place_sections,
};
use strongroom_format::terms::{Terms, Trash};
use strongroom_format::wire::Writer;
use strongroom_format::words::{Place, encode_words};
use zerocopy::{FromZeros, IntoBytes};

use crate::targets::PLACE;

const FILE_ID: [u8; 16] = *b"one file's id 16";

pub(crate) fn log() -> Vec<Vec<u8>> {
    let header = FileHeader::new(FileKind::Log, FILE_ID, 3, 1);
    let previous = Some(Previous { run: 3, number: 0, end: 8192 });
    let mut files = Vec::new();
    for previous in [None, previous] {
        let (mut bytes, mut previous_crc32) = encode_start(&header, previous, 17);
        files.push(bytes.clone());
        for batch in 0..2_u8 {
            let mut file_tag = [0; 8];
            file_tag.copy_from_slice(&FILE_ID[..8]);
            let place =
                BatchPlace { file_tag, batch: batch.into(), previous_crc32, offset: bytes.len() as u64 };
            let records = [
                sealed_record(2 * batch, RecordKind::Genesis),
                sealed_record(2 * batch + 1, RecordKind::Put),
            ];
            let (encoded, crc32) = encode_batch(place, &records);
            bytes.extend_from_slice(&encoded);
            previous_crc32 = crc32;
        }
        files.push(bytes);
    }
    files
}

/// A batch whose end is not known, and one without its first header whose end is.
pub(crate) fn batch() -> Vec<Vec<u8>> {
    let records = [sealed_record(1, RecordKind::Change), sealed_record(2, RecordKind::Replace)];
    let (bytes, _) = encode_batch(PLACE, &records);
    let mut headless = bytes.clone();
    headless[..BatchHeader::BYTES].fill(0);
    vec![[&[0], &bytes[..]].concat(), [&[1], &headless[..]].concat()]
}

fn sealed_record(number: u8, kind: RecordKind) -> SealedRecord {
    SealedRecord {
        incarnation: [number; 16],
        name_tag: [number + 1; 16],
        record: 17 + u64::from(number),
        kind,
        sealed: vec![number; 40],
    }
}

pub(crate) fn manifest() -> Vec<Vec<u8>> {
    versions(VersionKind::Checkpoint)
}

pub(crate) fn edit() -> Vec<Vec<u8>> {
    versions(VersionKind::Edit)
}

fn versions(kind: VersionKind) -> Vec<Vec<u8>> {
    let place = SegmentPlace { epoch: 1, file_id: [9; 16], offset: 64, bytes: 4096, documents: 3, rows: 5 };
    let partition = PartitionState {
        incarnation: [1; 16],
        workspace: [2; 16],
        name_tag: [8; 16],
        identity_salt: [3; 16],
        sealed_identity: vec![4; 30],
        replaces: [7; 16],
        key_slot: 6,
        spec: CollectionSpec { dimension: 4, metric: Metric::Euclidean },
        flushed_through: 7,
        documents: 3,
        deleted: 1,
        passages: 5,
        deleted_since_ms: 1_700_000_000_000,
        purge_since_ms: 0,
        first_expiry_ms: Some(1_800_000_000_000),
        is_damaged: true,
        segments: vec![place],
    };
    let empty = VersionInfo {
        version: 1,
        run: 1,
        kind,
        nonce: [5; 16],
        previous: Head::default(),
        log_floor: (1, 0),
        next_record: 1,
        epoch: 1,
        released: Vec::new(),
    };
    let previous = Head { version: 1, nonce: [5; 16] };
    let one = VersionInfo { version: 2, previous, released: vec![place], next_record: 8, ..empty.clone() };
    let mut entries = Vec::new();
    partition.encode(&mut entries);
    let removed: &[[u8; 16]] = if kind == VersionKind::Edit { &[[7; 16]] } else { &[] };
    vec![encode_version(&empty, FILE_ID, 0, &[], &[]), encode_version(&one, FILE_ID, 1, &entries, removed)]
}

pub(crate) fn receipt() -> Vec<Vec<u8>> {
    let purge = |kind: ReceiptKind, successor| {
        let mut receipt = Receipt::new_zeroed();
        (receipt.id, receipt.workspace, receipt.successor) = ([1; 16], [2; 16], successor);
        (receipt.kind, receipt.strength, receipt.documents) = (kind as u8, 2, 9.into());
        receipt.encode(&FileHeader::new(FileKind::Receipt, FILE_ID, 3, 0), |_| [6; 64])
    };
    vec![purge(ReceiptKind::Purge, [3; 16]), purge(ReceiptKind::Workspace, [0; 16])]
}

pub(crate) fn keyring() -> Vec<Vec<u8>> {
    let slot = |number: u32, kind: KeyKind| {
        let mut slot = KeySlot::new_zeroed();
        (slot.state, slot.kind, slot.slot) = (SlotState::Live as u8, kind as u8, number.into());
        (slot.generation, slot.incarnation, slot.workspace) = (1.into(), [1; 16], [2; 16]);
        (slot.nonce, slot.sealed_key) = ([3; 12], [4; 48]);
        slot.finished().as_bytes().to_vec()
    };
    let mut shredded = KeySlot::new_zeroed();
    (shredded.state, shredded.kind, shredded.slot) =
        (SlotState::Shredded as u8, KeyKind::Partition as u8, 2.into());
    shredded.retired_record = 8.into();
    let shredded = shredded.finished().as_bytes().to_vec();
    vec![[slot(0, KeyKind::Workspace), slot(1, KeyKind::Partition), shredded, vec![0; SLOT_BYTES]].concat()]
}

pub(crate) fn segment() -> Vec<Vec<u8>> {
    let sealed = vec![7; 64];
    let (header, block) =
        (SegmentHeader::new([1; 16], CollectionSpec::cosine(4), 2, 3, 4096), BlockHeader::new(0, &sealed));
    vec![[header.as_bytes(), block.as_bytes(), &sealed].concat()]
}

pub(crate) fn table() -> Vec<Vec<u8>> {
    let mut lengths = [(0, 0); SECTIONS.len()];
    for ((length, kind), number) in lengths.iter_mut().zip(SECTIONS).zip(1..) {
        *length = (number * 50_000, if kind.is_packed() { number * 20_000 } else { number * 50_000 });
    }
    let (sections, bytes) = place_sections(lengths);
    vec![[encode_table(&sections), bytes.to_le_bytes().to_vec()].concat()]
}

pub(crate) fn record() -> Vec<Vec<u8>> {
    let spec = CollectionSpec { dimension: 4, metric: Metric::InnerProduct };
    let (name, trash) = (Some("../acme".to_owned()), Some(Trash { since_ms: 4, shred_ms: 5 }));
    let terms = Terms::default();
    let identity = Identity { collection: "default".to_owned(), partition: name, spec, terms };
    let unnamed = Identity { partition: None, ..identity.clone() };
    let terms = Terms { held_ms: Some(3), trash, expires_ms: Some(6), ttl_ms: Some(7) };
    let amended = Identity { terms, ..identity.clone() };
    let change = Change { kind: ChangeKind::Purged, at_ms: 1_700_000_000_000, id: "doc_1".to_owned() };
    let note = DropNote { name_salt: [1; 16], partitions: 1, successor: [2; 16], ..DropNote::default() };
    let document = Document {
        id: "doc_1".to_owned(),
        version: 2,
        filename: "note.txt".to_owned(),
        content_type: "text/plain".to_owned(),
        content: b"Whales are mammals.".to_vec(),
        tags: vec!["sea".to_owned(), "red".to_owned()],
        metadata: "{\"a\":1}".to_owned(),
        fields: vec![
            Field { path: "a".to_owned(), value: FieldValue::Number(1_u64.into()) },
            Field { path: "b.c".to_owned(), value: FieldValue::Text("x".to_owned()) },
            Field { path: "d".to_owned(), value: FieldValue::Bool(true) },
        ],
        entity: Some("ada".to_owned()),
        expires_ms: Some(1_800_000_000_000),
        readers: Some(vec!["user:ada".to_owned()]),
        passages: vec![Passage::Range { start: 0, end: 6 }, Passage::Own("own".to_owned())],
        vectors: vec![0.5; 8],
        ..Document::default()
    };
    let sort = |sort: u8, bytes: Vec<u8>| [vec![sort], bytes].concat();
    vec![
        sort(0, identity.encode()),
        sort(0, unnamed.encode()),
        sort(0, amended.encode()),
        sort(1, change.encode()),
        sort(2, encode_put(&document)),
        sort(3, note.encode()),
    ]
}

pub(crate) fn directory() -> Vec<Vec<u8>> {
    let row = |id: &str, number: u32| DocumentRow {
        id: id.to_owned(),
        record: 5,
        deleted_ms: (number == 1).then_some(1_700_000_000_000),
        first_row: 2 * number,
        rows: 2,
        created_ms: 1_700_000_000_000,
        updated_ms: (number == 1).then_some(1_700_000_000_001),
        expires_ms: (number == 1).then_some(1_800_000_000_000),
        info_offset: 40 * u64::from(number),
        info_bytes: 40,
        content_offset: 19 * u64::from(number),
        content_bytes: 19,
        words: 7,
    };
    let (mut rows, mut labels, mut changes) = (Writer::default(), Writer::default(), Writer::default());
    row("a", 0).write(&mut rows);
    row("b", 1).write(&mut rows);
    LabelRow { kind: LabelKind::Tag, text: "sea", bitmap: &[1, 2, 3] }.write(&mut labels);
    let change = Change { kind: ChangeKind::Deleted, at_ms: 1_700_000_000_000, id: "a".to_owned() };
    ChangeRow { record: 6, change }.write(&mut changes);
    let stands = |row, positions: &[u32]| -> Vec<Place> {
        positions.iter().map(|&position| Place { row, position }).collect()
    };
    let often: Vec<u32> = (0..200).filter(|position| *position != 3).collect();
    let sea = [stands(0, &[0]), stands(2, &often)].concat().into_iter().collect();
    let whale = [stands(1, &[0, 1]), stands(2, &[3])].concat().into_iter().collect();
    let words = encode_words(&[1, 2, 200], [("sea", &sea), ("whale", &whale)]);
    let often = (0..200).flat_map(|row| stands(row * 5, &[0, 1, 2][..1 + row as usize % 3])).collect();
    let mut counts = vec![0; 1000];
    (0..200).for_each(|row| counts[row * 5] = row as u16 % 3 + 1);
    let frequent = encode_words(&counts, [("sea", &often)]);
    let flat = IndexHead::flat(vec![0.5, -1.0, 2.0]);
    let lists = [(4, 1), (0, 0), (3, 2)].map(|(own, seconds)| ListRows { own, seconds }).to_vec();
    let listed = IndexHead { lists, centroids: &[7; 3 * 44], slope: 0.5, reach: [1.0; 10], ..flat.clone() };
    let mut fields = FieldIndexWriter::default();
    fields.few(b"a\0\0", &[0, 3]);
    fields.many(b"a\0\x03red", 9, &[7; 30]);
    vec![
        [vec![0, 2, 4], rows.0].concat(),
        [vec![1, 0, 0], labels.0].concat(),
        [vec![4, 0, 0], changes.0].concat(),
        [vec![5, 9, 0], fields.finish()].concat(),
        [
            vec![2, words.words.0.len() as u8, 3],
            words.words.0,
            vec![words.postings.0.len() as u8],
            words.postings.0,
            words.positions.0,
        ]
        .concat(),
        [vec![3, 3, 7], flat.encode().0].concat(),
        [vec![3, 3, 7], listed.encode().0].concat(),
        [
            vec![6, frequent.words.0.len() as u8, 250],
            frequent.words.0,
            (frequent.postings.0.len() as u16).to_le_bytes().to_vec(),
            frequent.postings.0,
            frequent.positions.0,
        ]
        .concat(),
    ]
}

pub(crate) fn name() -> Vec<Vec<u8>> {
    ["acme", "../../x", "\u{1f600}", ".", "a b "].iter().map(|n| n.as_bytes().to_vec()).collect()
}
