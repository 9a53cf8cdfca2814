//! What do the golden files tell, and how do today's encoders write it?
//!
//! A partition `acme` of the collection `notes` had a document inserted, soft-deleted and purged; the purge wrote
//! the partition's other document anew under a successor's key. After that partition and workspace were dropped.
//! All keys, salts and ids are runs of bytes that count up, so that a reader can type them.

use strongroom_format::document::{Document, Passage};
use strongroom_format::field_index::FieldIndexWriter;
use strongroom_format::fields::{Field, FieldValue};
use strongroom_format::header::{FileHeader, FileKind};
use strongroom_format::keyring::{KeyKind, KeySlot, SLOT_BYTES, SlotState};
use strongroom_format::log::{
    BatchHeader, BatchPlace, DirectoryEntry, Previous, SealedRecord, encode_batch, encode_start,
};
use strongroom_format::manifest::{
    Head, PartitionState, SegmentPlace, VersionInfo, VersionKind, encode_version,
};
use strongroom_format::receipt::{Receipt, ReceiptKind};
use strongroom_format::record::{
    Change, ChangeKind, CollectionSpec, DropNote, Identity, RecordKind, encode_put,
};
use strongroom_format::segment::{
    BlockHeader, ChangeRow, DocumentRow, LabelKind, LabelRow, SECTIONS, SegmentHeader, encode_table,
    place_sections,
};
use strongroom_format::terms::Terms;
use strongroom_format::wire::Writer;
use strongroom_format::words::{Occurrences, Place, WordSections, encode_words};
use zerocopy::{FromZeros, IntoBytes};

use super::sealing::{Subkey, authenticated, counting, digest, keyed_hash, name_text, sign};

/// Bytes that count up.
pub const fn run<const N: usize>(first: u8) -> [u8; N] {
    let (mut bytes, mut at) = ([0; N], 0);
    while at < N {
        bytes[at] = first + at as u8;
        at += 1;
    }
    bytes
}

/// The root key.
pub const ROOT_KEY: [u8; 32] = run(0x00);
/// The workspace's key.
pub const WORKSPACE_KEY: [u8; 32] = run(0x20);
/// The partition's key.
pub const PARTITION_KEY: [u8; 32] = run(0x40);
/// The key that the partition goes on under.
pub const SUCCESSOR_KEY: [u8; 32] = run(0x60);
/// The workspace.
pub const WORKSPACE: [u8; 16] = run(0xa0);
/// The partition.
pub const INCARNATION: [u8; 16] = run(0xb0);
/// The incarnation that it goes on under.
pub const SUCCESSOR: [u8; 16] = run(0xc0);
/// The log file.
pub const LOG_ID: [u8; 16] = run(0xd0);
/// The segment file.
pub const SEGMENTS_ID: [u8; 16] = run(0xe0);
/// Salt of the successor's identity.
pub const IDENTITY_SALT: [u8; 16] = run(0x90);
/// The collection.
pub const COLLECTION: &str = "notes";
/// The partition's name.
pub const PARTITION: &str = "acme";
/// Components of each vector.
pub const DIMENSION: u32 = 4;
/// When the story begins, in milliseconds since 1970.
pub const BEGIN_MS: u64 = 1_700_000_000_000;

const RUN: u64 = 3;
const FIRST_RECORD: u64 = 40;

/// Name and bytes of every golden file.
pub fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("keyring.bin", keyring()),
        ("log.bin", log()),
        ("segments.bin", segments()),
        ("words-in-blocks.bin", words_in_blocks()),
        ("manifest-edit.bin", manifest(VersionKind::Edit)),
        ("manifest-checkpoint.bin", manifest(VersionKind::Checkpoint)),
        ("receipt.bin", receipt()),
    ]
}

/// The golden file of this name.
///
/// # Panics
/// When there is none.
pub fn file(name: &str) -> Vec<u8> {
    let found = files().into_iter().find(|(found, _)| *found == name);
    found.unwrap_or_else(|| panic!("no golden file {name}")).1
}

/// One mirror: the workspace's key, the partition's, its successor's, a shredded one, and a free slot.
fn keyring() -> Vec<u8> {
    let slot = |number: u32, kind: KeyKind, incarnation| {
        let mut slot = KeySlot::new_zeroed();
        (slot.state, slot.kind, slot.slot) = (SlotState::Live as u8, kind as u8, number.into());
        (slot.generation, slot.incarnation, slot.workspace) = (1.into(), incarnation, WORKSPACE);
        slot
    };
    let live = |number: u32, kind: KeyKind, incarnation, above, key: &[u8; 32]| {
        let mut slot = slot(number, kind, incarnation);
        slot.nonce = run(0x10 * number as u8 + 1);
        let text = authenticated(incarnation, WORKSPACE, number.into(), kind as u8);
        slot.sealed_key.copy_from_slice(&child_key(above).seal(slot.nonce, &text, key));
        slot.finished()
    };
    let mut shredded = slot(3, KeyKind::Partition, run(0x70));
    (shredded.state, shredded.generation) = (SlotState::Shredded as u8, 3.into());
    shredded.retired_record = 39.into();
    [
        live(0, KeyKind::Workspace, WORKSPACE, &ROOT_KEY, &WORKSPACE_KEY).as_bytes(),
        live(1, KeyKind::Partition, INCARNATION, &WORKSPACE_KEY, &PARTITION_KEY).as_bytes(),
        live(2, KeyKind::Partition, SUCCESSOR, &WORKSPACE_KEY, &SUCCESSOR_KEY).as_bytes(),
        shredded.finished().as_bytes(),
        &[0; SLOT_BYTES],
    ]
    .concat()
}

/// What seals a key under the one above it.
pub fn child_key(above: &[u8; 32]) -> Subkey<'_> {
    Subkey { key: above, salt: [0; 16], info: "strongroom 1 child key" }
}

/// What seals a record of the log.
pub fn log_key(key: &[u8; 32]) -> Subkey<'_> {
    Subkey { key, salt: LOG_ID, info: "strongroom 1 log" }
}

/// What seals the successor's blocks.
pub fn segment_key() -> Subkey<'static> {
    Subkey { key: &SUCCESSOR_KEY, salt: SEGMENTS_ID, info: "strongroom 1 segment" }
}

/// What seals the successor's identity.
pub fn identity_key() -> Subkey<'static> {
    Subkey { key: &SUCCESSOR_KEY, salt: IDENTITY_SALT, info: "strongroom 1 identity" }
}

/// Who the partition is.
pub fn identity() -> Identity {
    Identity {
        collection: COLLECTION.to_owned(),
        partition: Some(PARTITION.to_owned()),
        spec: CollectionSpec::cosine(DIMENSION),
        terms: Terms::default(),
    }
}

/// The same on other terms.
pub fn amended_identity() -> Identity {
    let terms = Terms { expires_ms: Some(BEGIN_MS + 2_000_000), ttl_ms: Some(900_000), ..Terms::default() };
    Identity { terms, ..identity() }
}

/// One of the partition's two documents.
pub fn document(number: u64) -> Document {
    let content = [&b"Whales are mammals."[..], b"Sharks are fish, and fish, and fish, and fish, and fish."]
        [number as usize]
        .to_vec();
    Document {
        id: format!("doc_{number}"),
        version: 1,
        filename: "note.txt".to_owned(),
        content_type: "text/plain".to_owned(),
        content_digest: digest(&content),
        tags: vec!["sea".to_owned()],
        metadata: "{\"pages\":1}".to_owned(),
        fields: vec![Field { path: "pages".to_owned(), value: FieldValue::Number(1_u64.into()) }],
        entity: Some("ada".to_owned()),
        source: None,
        created_ms: BEGIN_MS + number,
        updated_ms: None,
        expires_ms: (number == 1).then_some(BEGIN_MS + 1_000_000),
        readers: (number == 1).then(|| vec!["user:ada".to_owned()]),
        passages: vec![
            Passage::Range { start: 0, end: content.len() as u32 },
            Passage::Own(format!("of {number}")),
        ],
        vectors: vec![0.5, 0.5, 0.5, 0.5, 0.0, -1.0, 0.0, 0.0],
        content,
    }
}

/// What a drop or replace of the partition says.
pub fn note(key: &[u8; 32], successor: [u8; 16]) -> DropNote {
    let name = [COLLECTION.as_bytes(), &[0], PARTITION.as_bytes()].concat();
    DropNote {
        name_salt: run(0x30),
        name_hash: digest(&[&run::<16>(0x30)[..], &name].concat()),
        key_fingerprint: fingerprint(key),
        partitions: 1,
        documents: 1,
        deleted: 0,
        passages: 2,
        at_ms: BEGIN_MS + 4000,
        successor,
    }
}

fn fingerprint(key: &[u8; 32]) -> [u8; 16] {
    keyed_hash(key, b"strongroom 1 fingerprint")
}

fn name_tag() -> [u8; 16] {
    keyed_hash(&WORKSPACE_KEY, &name_text(COLLECTION, Some(PARTITION)))
}

/// A record before it is sealed.
pub struct Told {
    /// What it is.
    pub kind: RecordKind,
    /// Whose.
    pub incarnation: [u8; 16],
    /// What seals it.
    pub key: &'static [u8; 32],
    /// What it says.
    pub plain: Vec<u8>,
}

/// The records of the log, from number 40 on; the first three make its first batch.
pub fn records() -> Vec<Told> {
    let told = |kind, incarnation, key, plain| Told { kind, incarnation, key, plain };
    let change =
        |kind, after_ms| Change { kind, at_ms: BEGIN_MS + after_ms, id: "doc_0".to_owned() }.encode();
    let purge = note(&PARTITION_KEY, SUCCESSOR).encode();
    let workspace = DropNote {
        name_hash: digest(&[run::<16>(0x30), WORKSPACE].concat()),
        ..note(&WORKSPACE_KEY, [0; 16])
    };
    vec![
        told(RecordKind::Genesis, INCARNATION, &PARTITION_KEY, identity().encode()),
        told(RecordKind::Put, INCARNATION, &PARTITION_KEY, encode_put(&document(0))),
        told(RecordKind::Put, INCARNATION, &PARTITION_KEY, encode_put(&document(1))),
        told(RecordKind::Change, INCARNATION, &PARTITION_KEY, change(ChangeKind::Deleted, 2000)),
        told(RecordKind::Change, INCARNATION, &PARTITION_KEY, change(ChangeKind::Purged, 3000)),
        told(RecordKind::Amend, INCARNATION, &PARTITION_KEY, amended_identity().encode()),
        told(RecordKind::Replace, INCARNATION, &WORKSPACE_KEY, purge),
        told(RecordKind::DropPartition, SUCCESSOR, &WORKSPACE_KEY, note(&SUCCESSOR_KEY, [0; 16]).encode()),
        told(RecordKind::DropWorkspace, WORKSPACE, &ROOT_KEY, workspace.encode()),
    ]
}

/// The number, nonce and authenticated bytes of a record of [`records`].
pub fn record_place(index: usize, told: &Told) -> (u64, [u8; 12], Vec<u8>) {
    let number = FIRST_RECORD + index as u64;
    (number, counting(number), authenticated(told.incarnation, LOG_ID, number, told.kind as u8))
}

fn log() -> Vec<u8> {
    let sealed = |(index, told): (usize, &Told)| {
        let (record, nonce, text) = record_place(index, told);
        SealedRecord {
            incarnation: told.incarnation,
            name_tag: if told.kind == RecordKind::DropWorkspace { [0; 16] } else { name_tag() },
            record,
            kind: told.kind,
            sealed: log_key(told.key).seal(nonce, &text, &told.plain),
        }
    };
    let records: Vec<SealedRecord> = records().iter().enumerate().map(sealed).collect();
    let header = FileHeader::new(FileKind::Log, LOG_ID, RUN, 1);
    let previous = Previous { run: RUN, number: 0, end: 8192 };
    let (mut bytes, mut previous_crc32) = encode_start(&header, Some(previous), FIRST_RECORD);
    let file_tag = *LOG_ID.first_chunk().expect("8 of 16");
    for (batch, records) in (0..).zip([&records[..3], &records[3..]]) {
        let place = BatchPlace { file_tag, batch, previous_crc32, offset: bytes.len() as u64 };
        let (encoded, crc32) = encode_batch(place, records);
        bytes.extend_from_slice(&encoded);
        previous_crc32 = crc32;
    }
    bytes
}

/// Where a batch's sealed record begins in `log.bin`, and how long it is.
pub fn record_range(index: usize) -> std::ops::Range<usize> {
    let lengths: Vec<usize> = records().iter().map(|told| told.plain.len() + 16).collect();
    let (batch, first, count) = if index < 3 { (4096, 0, 3) } else { (8192, 3, lengths.len() - 3) };
    let body = batch + BatchHeader::BYTES + count * DirectoryEntry::BYTES;
    let begin = body + lengths[first..index].iter().sum::<usize>();
    begin..begin + lengths[index]
}

/// The successor's segment: the document that was not purged.
fn segments() -> Vec<u8> {
    let document = document(1);
    let [mut directory, mut vectors, mut infos, mut labels, mut changes, mut lengths] =
        [(); 6].map(|()| Writer::default());
    document.write_info(&mut infos);
    let row = DocumentRow {
        id: document.id.clone(),
        record: FIRST_RECORD + 2,
        deleted_ms: None,
        first_row: 0,
        rows: 2,
        created_ms: document.created_ms,
        updated_ms: document.updated_ms,
        expires_ms: document.expires_ms,
        info_offset: 0,
        info_bytes: infos.0.len() as u32,
        content_offset: 0,
        content_bytes: document.content.len() as u64,
        words: 13,
    };
    row.write(&mut directory);
    vectors.f32s(&document.vectors);
    for (kind, text) in [
        (LabelKind::Tag, "sea"),
        (LabelKind::Entity, "ada"),
        (LabelKind::ContentType, "text/plain"),
        (LabelKind::Reader, ""),
        (LabelKind::Reader, "user:ada"),
    ] {
        LabelRow { kind, text, bitmap: &FIRST_ALONE }.write(&mut labels);
    }
    let change = Change { kind: ChangeKind::Restored, at_ms: BEGIN_MS, id: "doc_9".to_owned() };
    ChangeRow { record: FIRST_RECORD - 1, change }.write(&mut changes);
    let WordSections { words, postings, positions } = words();
    let fields = fields();
    let packed = [&infos.0, &document.content, &words.0, &postings.0, &fields, &positions.0].map(|plain| {
        let packed = lz4_flex::block::compress(plain);
        if packed.len() < plain.len() { packed } else { plain.clone() }
    });
    packed.iter().for_each(|packed| {
        lengths.u32(packed.len() as u32);
    });
    let plain_bytes = [
        &directory.0,
        &vectors.0,
        &infos.0,
        &document.content,
        &labels.0,
        &changes.0,
        &lengths.0,
        &words.0,
        &postings.0,
        // So few rows have no codes.
        &Vec::new(),
        &Vec::new(),
        &Vec::new(),
        &Vec::new(),
        &fields,
        &positions.0,
    ]
    .map(|plain| plain.len() as u64);
    let [infos, content, words, postings, fields, positions] = packed;
    let none = Vec::new;
    let codes = [none(), none(), none(), none()];
    let before = [directory.0, vectors.0, infos, content, labels.0, changes.0, lengths.0, words, postings];
    let stored: Vec<Vec<u8>> = before.into_iter().chain(codes).chain([fields, positions]).collect();
    let mut lengths = plain_bytes.iter().zip(&stored);
    let lengths =
        SECTIONS.map(|_| lengths.next().map_or((0, 0), |(plain, stored)| (*plain, stored.len() as u64)));
    let (sections, length) = place_sections(lengths);
    let mut bytes = FileHeader::new(FileKind::Segments, SEGMENTS_ID, RUN, 0).as_bytes().to_vec();
    bytes.extend_from_slice(
        SegmentHeader::new(SUCCESSOR, CollectionSpec::cosine(DIMENSION), 1, 2, length).as_bytes(),
    );
    let table = encode_table(&sections);
    let blocks = std::iter::once(&table[..]).chain(stored.iter().map(|stored| &stored[..]));
    for (number, plain) in (0..).zip(blocks.filter(|block| !block.is_empty())) {
        let text = authenticated(SUCCESSOR, SEGMENTS_ID, bytes.len() as u64, 0);
        let sealed = segment_key().seal(counting(number.into()), &text, plain);
        bytes.extend_from_slice(BlockHeader::new(number, &sealed).as_bytes());
        bytes.extend_from_slice(&sealed);
    }
    bytes
}

/// The index of fields: that there is a number of pages, and which.
fn fields() -> Vec<u8> {
    let mut writer = FieldIndexWriter::default();
    writer.few(b"pages\0\0", &[0]);
    writer.few(b"pages\0\x02\xbf\xf0\0\0\0\0\0\0\0\0", &[0]);
    writer.finish()
}

/// Where in its rows each word stands: "Sharks are fish, and fish, and fish, and fish, and fish." and "of 1".
fn words() -> WordSections {
    let stands = |row: u32, positions: &[u32]| -> Occurrences {
        positions.iter().map(|&position| Place { row, position }).collect()
    };
    let words = [
        ("1", stands(1, &[1])),
        ("and", stands(0, &[3, 5, 7, 9])),
        ("are", stands(0, &[1])),
        ("fish", stands(0, &[2, 4, 6, 8, 10])),
        ("of", stands(1, &[0])),
        ("shark", stands(0, &[0])),
    ];
    encode_words(&[11, 2], words.iter().map(|(word, found)| (*word, found)))
}

/// The rows of [`words_in_blocks`].
pub const BLOCKED_ROWS: u32 = 600;

/// Dictionary, postings and positions with a word that is frequent, one after the other, each as a byte string.
fn words_in_blocks() -> Vec<u8> {
    let often: Occurrences = (0..BLOCKED_ROWS)
        .step_by(3)
        .flat_map(|row| (0..1 + row % 4).map(move |position| Place { row, position }))
        .collect();
    let rare: Occurrences = (0..BLOCKED_ROWS)
        .step_by(50)
        .map(|row| Place { row, position: if row % 3 == 0 { 1 + row % 4 } else { 0 } })
        .collect();
    let words = [("often", &often), ("rare", &rare)];
    let mut counts = vec![0; BLOCKED_ROWS as usize];
    for posting in words.iter().flat_map(|(_, of_word)| of_word.postings()) {
        counts[posting.row as usize] += posting.times as u16;
    }
    let sections = encode_words(&counts, words);
    let mut all = Writer::default();
    all.bytes(&sections.words.0).bytes(&sections.postings.0).bytes(&sections.positions.0);
    all.0
}

/// A roaring bitmap of position 0 alone, in its portable form: the cookie of containers without runs, one
/// container, its key and cardinality less 1, where it begins, and the position.
pub const FIRST_ALONE: [u8; 18] = [0x3a, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0];

/// Where the successor's segment is.
pub fn segment_place() -> SegmentPlace {
    let bytes = segments().len() as u64 - FileHeader::BYTES as u64;
    let (epoch, offset) = (RUN, FileHeader::BYTES as u64);
    SegmentPlace { epoch, file_id: SEGMENTS_ID, offset, bytes, documents: 1, rows: 2 }
}

/// What a version says beside its partitions: edit 7, or checkpoint 8 of the same.
pub fn version(kind: VersionKind) -> VersionInfo {
    let (edit, before) = (Head { version: 7, nonce: run(0x50) }, Head { version: 6, nonce: run(0x40) });
    let is_edit = kind == VersionKind::Edit;
    let old = SegmentPlace { file_id: run(0xf0), offset: 4160, bytes: 2048, ..segment_place() };
    VersionInfo {
        version: if is_edit { edit.version } else { edit.version + 1 },
        run: RUN,
        kind,
        nonce: if is_edit { edit.nonce } else { run(0x60) },
        previous: if is_edit { before } else { edit },
        log_floor: (RUN, 1),
        next_record: FIRST_RECORD + 6,
        epoch: RUN,
        released: vec![old],
    }
}

/// The successor, as the manifest has it.
pub fn successor() -> PartitionState {
    let text = authenticated(SUCCESSOR, [0; 16], 0, 0);
    PartitionState {
        incarnation: SUCCESSOR,
        workspace: WORKSPACE,
        name_tag: name_tag(),
        identity_salt: IDENTITY_SALT,
        sealed_identity: identity_key().seal(counting(0), &text, &amended_identity().encode()),
        replaces: INCARNATION,
        key_slot: 2,
        spec: CollectionSpec::cosine(DIMENSION),
        flushed_through: FIRST_RECORD + 5,
        documents: 1,
        deleted: 0,
        passages: 2,
        deleted_since_ms: 0,
        purge_since_ms: 0,
        first_expiry_ms: document(1).expires_ms,
        is_damaged: false,
        segments: vec![segment_place()],
    }
}

fn manifest(kind: VersionKind) -> Vec<u8> {
    let (mut entries, file_id) = (Vec::new(), run(if kind == VersionKind::Edit { 0x11 } else { 0x22 }));
    successor().encode(&mut entries);
    let removed: &[[u8; 16]] = if kind == VersionKind::Edit { &[INCARNATION] } else { &[] };
    encode_version(&version(kind), file_id, 1, &entries, removed)
}

/// The seed of the key that signs receipts.
pub fn receipt_seed() -> [u8; 32] {
    Subkey { key: &ROOT_KEY, salt: [0; 16], info: "strongroom 1 receipts" }.bytes()
}

/// What is said of the purge.
fn receipt() -> Vec<u8> {
    let (note, mut receipt) = (note(&PARTITION_KEY, SUCCESSOR), Receipt::new_zeroed());
    (receipt.id, receipt.kind, receipt.strength) = (INCARNATION, ReceiptKind::Purge as u8, 1);
    (receipt.workspace, receipt.successor) = (WORKSPACE, SUCCESSOR);
    (receipt.name_salt, receipt.name_hash) = (note.name_salt, note.name_hash);
    receipt.key_fingerprint = note.key_fingerprint;
    (receipt.partitions, receipt.documents) = (note.partitions.into(), note.documents.into());
    (receipt.deleted, receipt.passages) = (note.deleted.into(), note.passages.into());
    (receipt.dropped_ms, receipt.finished_ms) = (note.at_ms.into(), (note.at_ms + 60).into());
    (receipt.log_record, receipt.keys_overwritten) = ((FIRST_RECORD + 6).into(), 1.into());
    (receipt.bytes_overwritten, receipt.bytes_searched) = (2048.into(), 2304.into());
    receipt.public_key = sign(&receipt_seed(), &[]).0;
    let header = FileHeader::new(FileKind::Receipt, run(0x33), RUN, 0);
    receipt.encode(&header, |message| sign(&receipt_seed(), message).1)
}
