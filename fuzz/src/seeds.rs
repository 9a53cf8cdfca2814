//! Which bytes does each target accept? Small ones, made by the encoders themselves.

use strongroom_format::document::{Document, Passage};
use strongroom_format::header::{FileHeader, FileKind};
use strongroom_format::keyring::{KeyKind, KeySlot, SLOT_BYTES, SlotState};
use strongroom_format::log::{ALIGN, BatchPlace, Previous, SealedRecord, encode_batch, encode_start};
use strongroom_format::manifest::{Manifest, PartitionState, SegmentPlace};
use strongroom_format::record::{Change, Identity, RecordKind, encode_put};
use strongroom_format::segment::{
    BlockHeader, ChangeRow, DocumentRow, LabelKind, LabelRow, SECTIONS, SegmentHeader, encode_table,
    place_sections,
};
use strongroom_format::wire::Writer;
use zerocopy::{FromZeros, IntoBytes};

const FILE_ID: [u8; 16] = *b"one file's id 16";

pub(crate) fn log() -> Vec<Vec<u8>> {
    let header = FileHeader::new(FileKind::Log, FILE_ID, 3, 1);
    let previous = Some(Previous { run: 3, number: 0, end: 8192 });
    let mut files = Vec::new();
    for previous in [None, previous] {
        let (mut bytes, mut previous_crc32) = encode_start(&header, previous, 17);
        bytes.resize(ALIGN, 0);
        files.push(bytes.clone());
        for batch in 0..2_u8 {
            let mut file_tag = [0; 8];
            file_tag.copy_from_slice(&FILE_ID[..8]);
            let place =
                BatchPlace { file_tag, batch: batch.into(), previous_crc32, offset: bytes.len() as u64 };
            let record = |number: u8, kind| SealedRecord {
                incarnation: [number; 16],
                record: 17 + u64::from(number),
                kind,
                sealed: vec![number; 40],
            };
            let records = [record(2 * batch, RecordKind::Genesis), record(2 * batch + 1, RecordKind::Put)];
            let (encoded, crc32) = encode_batch(place, &records);
            bytes.extend_from_slice(&encoded);
            previous_crc32 = crc32;
        }
        files.push(bytes);
    }
    files
}

pub(crate) fn manifest() -> Vec<Vec<u8>> {
    let empty = Manifest { version: 1, run: 1, log_floor: (1, 0), next_record: 1, ..Manifest::default() };
    let segment = SegmentPlace { epoch: 1, file_id: [9; 16], offset: 64, bytes: 4096, documents: 3, rows: 5 };
    let partition = PartitionState {
        incarnation: [1; 16],
        workspace: [2; 16],
        identity_salt: [3; 16],
        sealed_identity: vec![4; 30],
        dimension: 4,
        flushed_through: 7,
        documents: 3,
        deleted: 1,
        passages: 5,
        segments: vec![segment],
    };
    let one = Manifest { partitions: vec![partition], version: 2, ..empty.clone() };
    [empty, one].iter().map(|m| m.encode(FILE_ID, [5; 16])).collect()
}

pub(crate) fn keyring() -> Vec<Vec<u8>> {
    let slot = |number: u32, kind: KeyKind| {
        let mut slot = KeySlot::new_zeroed();
        (slot.state, slot.kind, slot.slot) = (SlotState::Live as u8, kind as u8, number.into());
        (slot.generation, slot.incarnation, slot.workspace) = (1.into(), [1; 16], [2; 16]);
        (slot.nonce, slot.sealed_key) = ([3; 12], [4; 48]);
        slot.finished().as_bytes().to_vec()
    };
    vec![[slot(0, KeyKind::Workspace), slot(1, KeyKind::Partition), vec![0; SLOT_BYTES]].concat()]
}

pub(crate) fn segment() -> Vec<Vec<u8>> {
    let sealed = vec![7; 64];
    let (header, block) = (SegmentHeader::new([1; 16], 4, 2, 3, 4096), BlockHeader::new(0, &sealed));
    vec![[header.as_bytes(), block.as_bytes(), &sealed].concat()]
}

pub(crate) fn table() -> Vec<Vec<u8>> {
    let mut lengths = [0; SECTIONS.len()];
    for (length, number) in lengths.iter_mut().zip(1..) {
        *length = number * 50_000;
    }
    let (sections, bytes) = place_sections(lengths);
    vec![[encode_table(&sections), bytes.to_le_bytes().to_vec()].concat()]
}

pub(crate) fn record() -> Vec<Vec<u8>> {
    let identity =
        Identity { collection: "default".to_owned(), partition: Some("../acme".to_owned()), dimension: 4 };
    let unnamed = Identity { partition: None, ..identity.clone() };
    let change = Change { id: "doc_1".to_owned(), deleted: true };
    let document = Document {
        id: "doc_1".to_owned(),
        version: 2,
        filename: "note.txt".to_owned(),
        content_type: "text/plain".to_owned(),
        content: b"Whales are mammals.".to_vec(),
        tags: vec!["sea".to_owned(), "red".to_owned()],
        metadata: "{\"a\":1}".to_owned(),
        entity: Some("ada".to_owned()),
        passages: vec![Passage::Range { start: 0, end: 6 }, Passage::Own("own".to_owned())],
        vectors: vec![0.5; 8],
        ..Document::default()
    };
    let sort = |sort: u8, bytes: Vec<u8>| [vec![sort], bytes].concat();
    vec![
        sort(0, identity.encode()),
        sort(0, unnamed.encode()),
        sort(1, change.encode()),
        sort(2, encode_put(&document)),
    ]
}

pub(crate) fn directory() -> Vec<Vec<u8>> {
    let row = |id: &str, first_row: u32| DocumentRow {
        id: id.to_owned(),
        record: 5,
        deleted: false,
        first_row,
        rows: 2,
        created_ms: 1_700_000_000_000,
        info_offset: 0,
        info_bytes: 40,
        content_offset: 0,
        content_bytes: 19,
    };
    let (mut rows, mut labels, mut changes) = (Writer::default(), Writer::default(), Writer::default());
    row("a", 0).write(&mut rows);
    row("b", 2).write(&mut rows);
    LabelRow { kind: LabelKind::Tag, text: "sea", bitmap: &[1, 2, 3] }.write(&mut labels);
    ChangeRow { record: 6, deleted: true, id: "a".to_owned() }.write(&mut changes);
    vec![
        [vec![0, 2, 4], rows.0].concat(),
        [vec![1, 0, 0], labels.0].concat(),
        [vec![2, 0, 0], changes.0].concat(),
    ]
}

pub(crate) fn name() -> Vec<Vec<u8>> {
    ["acme", "../../x", "\u{1f600}", ".", "a b "].iter().map(|n| n.as_bytes().to_vec()).collect()
}
