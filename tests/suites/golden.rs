//! Does version 1 of the format stay what it is?
//!
//! If this fails, a store that somebody has would be read wrongly by the next version of the server, or not at all.

use std::path::Path;

use strongroom_format::field_index::{Holders, decode_field_index};
use strongroom_format::fields::{FieldValue, key};
use strongroom_format::keyring::{KeySlot, SLOT_BYTES, SlotState};
use strongroom_format::log::{ALIGN, BatchPlace, decode_batch, decode_start};
use strongroom_format::manifest::{FoundVersion, Head, VersionKind};
use strongroom_format::posting_blocks::Bound;
use strongroom_format::receipt::{Receipt, ReceiptKind};
use strongroom_format::segment::{
    BlockHeader, ChangeRow, LabelRow, SECTIONS, SegmentHeader, decode_directory, decode_table,
};
use strongroom_format::wire::Reader;
use strongroom_format::words::{
    Fence, Posting, WORDS_IN_BLOCKS, WORDS_PLAIN, WordRow, decode_blocks, decode_fences, decode_positions,
    decode_postings, decode_word_counts, decode_words, decode_words_header,
};
use strongroom_tests::golden::scene::{self, files, records};
use strongroom_tests::golden::sealing::{authenticated, counting, verify};

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/v1").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Without this, a new server would write what an older one, which somebody may have to go back to, can't read.
#[test]
fn todays_encoders_write_the_golden_files() {
    for (name, bytes) in files() {
        let golden = golden(name);
        let first = golden.iter().zip(&bytes).position(|(golden, byte)| golden != byte);
        assert!(golden == bytes, "{name} differs from byte {first:?} on, or in length");
    }
}

/// Without this, keys would be lost with everything that they had sealed.
#[test]
fn the_keyring_is_read() {
    let bytes = golden("keyring.bin");
    let slots: Vec<_> = (0..).zip(bytes.chunks(SLOT_BYTES)).map(|(n, slot)| KeySlot::read(slot, n)).collect();
    let slot = |number: usize| slots[number].clone().expect("it checks").expect("it is used");
    let open = |number: usize, above| {
        let slot = slot(number);
        let text = authenticated(slot.incarnation, slot.workspace, slot.slot.get().into(), slot.kind);
        scene::child_key(above).open(slot.nonce, &text, &slot.sealed_key)
    };
    assert_eq!(open(0, &scene::ROOT_KEY).as_deref(), Some(&scene::WORKSPACE_KEY[..]));
    assert_eq!(open(1, &scene::WORKSPACE_KEY).as_deref(), Some(&scene::PARTITION_KEY[..]));
    assert_eq!(open(2, &scene::WORKSPACE_KEY).as_deref(), Some(&scene::SUCCESSOR_KEY[..]));
    assert_eq!(open(2, &scene::ROOT_KEY), None);
    assert_eq!((slot(3).state(), slot(3).retired_record.get()), (SlotState::Shredded, 39));
    assert_eq!(slots[4], Ok(None));
}

/// Without this, what was acknowledged would be lost.
#[test]
fn the_log_is_read() {
    let bytes = golden("log.bin");
    let start = decode_start(&bytes).expect("it checks");
    assert_eq!(start.previous.map(|p| (p.run, p.number, p.end)), Some((3, 0, 8192)));
    assert!(start.mended.is_none() && start.first_record == 40 && start.header.file_id == scene::LOG_ID);
    let file_tag = *scene::LOG_ID.first_chunk().expect("8 of 16");
    let mut place = BatchPlace { file_tag, batch: 0, previous_crc32: start.crc32, offset: ALIGN as u64 };
    let (told, mut index) = (records(), 0);
    while (place.offset as usize) < bytes.len() {
        let batch = decode_batch(&bytes[place.offset as usize..], place, None).expect("it checks");
        assert!(batch.mended.is_none());
        for record in &batch.records {
            let (number, nonce, text) = scene::record_place(index, &told[index]);
            assert_eq!((record.record, record.kind), (number, told[index].kind));
            let sealed = record.sealed.as_ref().expect("it checks");
            let opened = scene::log_key(told[index].key).open(nonce, &text, sealed);
            assert_eq!(opened.as_ref(), Some(&told[index].plain), "record {number}");
            index += 1;
        }
        place.batch += 1;
        place.offset += batch.bytes as u64;
        place.previous_crc32 = batch.crc32;
    }
    assert_eq!((index, place.batch), (told.len(), 2));
}

/// Without this, flushed documents would be lost.
#[test]
fn the_segment_is_read() {
    let bytes = golden("segments.bin");
    let place = scene::segment_place();
    let segment = &bytes[place.offset as usize..];
    let header = SegmentHeader::read(segment).expect("it checks");
    assert_eq!((header.incarnation, header.bytes.get()), (scene::SUCCESSOR, segment.len() as u64));
    let block = |number: u32, offset: usize| {
        let (sealed, _) = BlockHeader::open(&segment[offset..], number).expect("it checks");
        let text = authenticated(scene::SUCCESSOR, scene::SEGMENTS_ID, place.offset + offset as u64, 0);
        scene::segment_key().open(counting(number.into()), &text, sealed).expect("it opens")
    };
    let sections = decode_table(&block(0, SegmentHeader::BYTES), place.bytes).expect("it checks");
    let plain = sections.map(|section| {
        if section.plain_bytes == 0 {
            return Vec::new();
        }
        let stored = block(section.first_block, section.offset as usize);
        match section.plain_bytes as usize {
            plain_bytes if plain_bytes == stored.len() => stored,
            plain_bytes => lz4_flex::block::decompress(&stored, plain_bytes).expect("it unpacks"),
        }
    });
    assert!(sections[3].stored_bytes < sections[3].plain_bytes, "nothing is compressed here");
    assert_eq!(plain.len(), SECTIONS.len());
    let document = scene::document(1);
    let rows = decode_directory(&plain[0], header.documents.get(), header.rows.get()).expect("it checks");
    assert_eq!((rows[0].id.as_str(), rows[0].record), ("doc_1", 42));
    assert_eq!(Reader::new("vectors", &plain[1]).f32s(8).as_ref(), Ok(&document.vectors));
    let read = strongroom_format::document::Document::read_info(&mut Reader::new("info", &plain[2]));
    assert_eq!(read, Ok((document.info(), document.content.len() as u64)));
    assert_eq!(plain[3], document.content);
    let mut labels = Reader::new("labels", &plain[4]);
    let label = LabelRow::read(&mut labels).expect("a label");
    assert_eq!((label.text, label.bitmap), ("sea", &scene::FIRST_ALONE[..]));
    let change = ChangeRow::read(&mut Reader::new("changes", &plain[5])).expect("a change");
    assert_eq!((change.record, change.change.id.as_str()), (39, "doc_9"));
    assert_eq!(decode_words_header(&plain[7][..8]), Ok((WORDS_PLAIN, 29)));
    let fences = decode_fences(&plain[7][8..37]).expect("it checks");
    let first = Fence { word: "1".to_owned(), words_offset: 0, postings_offset: 4, positions_offset: 0 };
    assert_eq!(fences, [first]);
    let mut words = Reader::new("words", &plain[7][37..]);
    let mut lists = Reader::new("postings", &plain[8]);
    let mut stands = Reader::new("positions", &plain[14]);
    assert_eq!(decode_word_counts(lists.raw(4).expect("two rows")), [11, 2]);
    let mut found = Vec::new();
    while !words.is_empty() {
        let word = WordRow::read(&mut words).expect("a word");
        let postings = lists.raw(word.postings_bytes as usize).expect("its postings");
        let postings = decode_postings(postings, word.rows, 2).expect("they check");
        let positions = stands.raw(word.positions_bytes as usize).expect("its positions");
        let places = decode_positions(positions, &postings).expect("they check");
        found.push((word.word, postings, places.iter().map(|place| place.position).collect::<Vec<_>>()));
    }
    let mut keys = Vec::new();
    decode_field_index(&plain[13], 1, &mut |key, holders| {
        keys.push((key.to_vec(), holders));
        Ok(true)
    })
    .expect("it checks");
    let first = || Holders::Few(vec![0]);
    let pages = key::of("pages", &FieldValue::Number(1_u64.into()));
    assert_eq!(keys, [(key::any("pages"), first()), (pages, first())]);
    let once = |row, times| vec![Posting { row, times }];
    let and = ("and", once(0, 4), vec![3, 5, 7, 9]);
    assert_eq!(found[..3], [("1", once(1, 1), vec![1]), and, ("are", once(0, 1), vec![1])]);
    let fish = ("fish", once(0, 5), vec![2, 4, 6, 8, 10]);
    assert_eq!(found[3..], [fish, ("of", once(1, 1), vec![0]), ("shark", once(0, 1), vec![0])]);
}

/// Lost otherwise: the frequent words of large partitions, or the best rows that have them.
#[test]
fn words_in_blocks_are_read() {
    let bytes = golden("words-in-blocks.bin");
    let mut input = Reader::new("sections", &bytes);
    let sections = [(); 3].map(|()| input.bytes(1 << 16).expect("a section"));
    let mut found = Vec::new();
    let counts = decode_words(sections, scene::BLOCKED_ROWS, |word, postings, _| {
        found.push((word.to_owned(), postings.to_vec()));
    });
    let counts = counts.expect("they check");
    let rows = |step: usize| (0..scene::BLOCKED_ROWS).step_by(step);
    let often: Vec<Posting> = rows(3).map(|row| Posting { row, times: 1 + row % 4 }).collect();
    let rare: Vec<Posting> = rows(50).map(|row| Posting { row, times: 1 }).collect();
    assert_eq!(found, [("often".to_owned(), often), ("rare".to_owned(), rare)]);
    assert_eq!(decode_words_header(&sections[0][..8]).map(|(version, _)| version), Ok(WORDS_IN_BLOCKS));
    let lists = &sections[1][counts.len() * 2..];
    let (blocks, _) =
        decode_blocks(WORDS_IN_BLOCKS, &lists[..lists.len() - 24], 200, 600).expect("it checks");
    let blocks = blocks.expect("200 rows have the word");
    assert_eq!((blocks.count(), blocks.last_row(0), blocks.last_row(1)), (2, 381, 597));
    let bound = |times| Bound { times, words: times as u16 };
    assert_eq!(blocks.bounds(0), [bound(1), bound(2), bound(3), bound(4)]);
}

/// Without this, a store would open without its segments.
#[test]
fn the_manifest_is_read() {
    for (name, kind) in
        [("manifest-edit.bin", VersionKind::Edit), ("manifest-checkpoint.bin", VersionKind::Checkpoint)]
    {
        let bytes = golden(name);
        let found = FoundVersion::read(&bytes).expect("it checks");
        assert_eq!((&found.info, &found.mended), (&scene::version(kind), &None));
        assert_eq!(found.head(), Head { version: 7, nonce: scene::run(0x50) });
        let removed = if kind == VersionKind::Edit { vec![scene::INCARNATION] } else { Vec::new() };
        assert_eq!(found.removed, removed);
        let partitions: Vec<_> = found.partitions().map(|found| found.expect("it checks").0).collect();
        assert_eq!(partitions, [scene::successor()]);
        let text = authenticated(scene::SUCCESSOR, [0; 16], 0, 0);
        let identity = scene::identity_key().open(counting(0), &text, &partitions[0].sealed_identity);
        assert_eq!(identity, Some(scene::amended_identity().encode()));
    }
}

/// Without this, nobody could prove an erasure that an older server did.
#[test]
fn the_receipt_is_read_and_verified() {
    let bytes = golden("receipt.bin");
    let receipt = Receipt::decode(&bytes).expect("it checks");
    assert_eq!((receipt.id, receipt.kind()), (scene::INCARNATION, Ok(ReceiptKind::Purge)));
    assert_eq!((receipt.successor, receipt.log_record.get()), (scene::SUCCESSOR, 46));
    let note = scene::note(&scene::PARTITION_KEY, scene::SUCCESSOR);
    assert_eq!((receipt.name_hash, receipt.key_fingerprint), (note.name_hash, note.key_fingerprint));
    assert!(verify(&receipt.public_key, Receipt::signed(&bytes), &receipt.signature));
    let mut forged = bytes.clone();
    forged[200] ^= 1;
    assert!(!verify(&receipt.public_key, Receipt::signed(&forged), &receipt.signature));
}
