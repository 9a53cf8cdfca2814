//! What would users lose if what is known of a word's blocks were wrong? The best rows of a search, without a word about it.

use super::*;
use crate::posting_blocks::{BLOCK_POSTINGS, Bound, PostingBlocks};
use crate::words::*;

/// So many postings and the words of their rows, drawn by a rule.
fn drawn(count: usize, seed: u64) -> (Vec<Posting>, Vec<u16>) {
    let mut state = seed;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (mut row, mut postings, mut words) = (0, Vec::new(), Vec::new());
    for _ in 0..count {
        row += 1 + if draw(9) == 0 { draw(400) } else { draw(3) } as u32;
        let times = 1 + if draw(50) == 0 { draw(70_000) } else { draw(6) } as u32;
        postings.push(Posting { row, times });
        words.push(if draw(40) == 0 { u16::MAX } else { times.min(60_000) as u16 + draw(200) as u16 });
    }
    (postings, words)
}

fn table(blocks: &PostingBlocks) -> Vec<u8> {
    let mut out = Writer::default();
    blocks.write(&mut out);
    let mut input = Reader::new("table", &out.0);
    let length = input.varint().unwrap();
    assert_eq!(length, input.left() as u64);
    input.raw(input.left()).unwrap().to_vec()
}

/// The bytes of postings alone.
fn bytes(postings: &[Posting]) -> Vec<u8> {
    let mut out = Writer::default();
    crate::posting_blocks::write_postings(&mut out, 0, postings);
    out.0
}

/// Lost otherwise: rows of a block that is read as another, or not at all.
#[test]
fn blocks_are_read_as_they_were_written() {
    for count in [1, BLOCK_POSTINGS - 1, BLOCK_POSTINGS, BLOCK_POSTINGS + 1, 1000, 4096] {
        let (postings, words) = drawn(count, count as u64);
        let (blocks, bytes) = (PostingBlocks::of(&postings, &words), bytes(&postings));
        let rows_max = postings.last().unwrap().row + 1;
        let read = PostingBlocks::read_table(&table(&blocks), count as u32, rows_max, bytes.len() as u64);
        assert_eq!(read.as_ref(), Ok(&blocks));
        let (mut all, mut one) = (Vec::new(), Vec::new());
        for block in 0..blocks.count() {
            let range = blocks.bytes(block);
            blocks.read(block, &bytes[range.start as usize..range.end as usize], &mut one).unwrap();
            assert_eq!(one, blocks.of_block(&postings, block));
            all.extend_from_slice(&one);
        }
        assert_eq!(all, postings);
        for (at, posting) in postings.iter().enumerate() {
            let block = at / BLOCK_POSTINGS;
            for from in 0..=block {
                assert_eq!(blocks.seek(from, posting.row), block, "row {} from {from}", posting.row);
            }
            assert!((blocks.first_row(block)..=blocks.last_row(block)).contains(&posting.row));
        }
        assert_eq!(blocks.seek(0, rows_max), blocks.count());
    }
}

/// Lost otherwise: what `format-spec.md` gives as an example would be another thing than what is written.
#[test]
fn the_specification_shows_what_is_written() {
    let postings: Vec<Posting> = (0..300).map(|row| Posting { row, times: 1 }).collect();
    let mut out = Writer::default();
    PostingBlocks::of(&postings, &[7; 300]).write(&mut out);
    let blocks = [0, 0, 1, 0, 7];
    assert_eq!(out.0, [&[15][..], &blocks, &blocks, &blocks].concat());
}

/// Lost otherwise: the rows of a block whose bounds say that they can't be among the best.
#[test]
fn every_posting_is_covered_and_no_bound_is_in_vain() {
    let (postings, words) = drawn(3000, 5);
    let [blocks, held] = [PostingBlocks::of, PostingBlocks::held].map(|of| of(&postings, &words));
    for (block, (postings, words)) in
        postings.chunks(BLOCK_POSTINGS).zip(words.chunks(BLOCK_POSTINGS)).enumerate()
    {
        let rows: Vec<Bound> =
            postings.iter().zip(words).map(|(p, &words)| Bound { times: p.times, words }).collect();
        let covers = |bound: &Bound, row: &Bound| bound.times >= row.times && bound.words <= row.words;
        for row in &rows {
            assert!(blocks.bounds(block).iter().any(|bound| covers(bound, row)), "{row:?}");
        }
        for bound in blocks.bounds(block) {
            assert!(rows.contains(bound), "{bound:?} is some row's");
            let others = blocks.bounds(block).iter().filter(|other| *other != bound);
            assert!(!others.into_iter().any(|other| covers(other, bound)), "{bound:?}");
        }
        let [bound] = held.bounds(block) else { panic!("one bound") };
        assert!(rows.iter().all(|row| covers(bound, row)) && held.last_row(block) == blocks.last_row(block));
    }
}

/// Lost otherwise: memory, the process, or hits, to bytes that lie.
#[test]
fn a_table_that_does_not_fit_is_damage() {
    let (postings, words) = drawn(300, 3);
    let (blocks, bytes) = (PostingBlocks::of(&postings, &words), bytes(&postings));
    let (whole, rows_max) = (table(&blocks), postings.last().unwrap().row + 1);
    let read = |table: &[u8], rows| PostingBlocks::read_table(table, rows, rows_max, bytes.len() as u64);
    assert_eq!(read(&whole, 300), Ok(blocks.clone()));
    for rows in [0, 1, 256, 299, 301, 385, u32::MAX] {
        assert_ne!(read(&whole, rows), Ok(blocks.clone()), "{rows}");
    }
    assert!(PostingBlocks::read_table(&whole, 300, rows_max - 1, bytes.len() as u64).is_err());
    assert!(PostingBlocks::read_table(&whole, 300, rows_max, bytes.len() as u64 - 1).is_err());
    for at in 0..whole.len() {
        assert!(read(&whole[..at], 300).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut wrong = whole.clone();
            wrong[at] ^= 1 << bit;
            assert_ne!(read(&wrong, 300), Ok(blocks.clone()), "bit {bit} at {at}");
        }
    }
    assert!(read(&[&whole[..], &[0]].concat(), 300).is_err());
    // The block's rows and bytes, and then no bounds, more than postings, and two of which one is in vain.
    for bounds in [
        &[0][..],
        &[0x81, 1],
        &[2, 0, 5, 0, 0],
        &[1, 0xff, 0xff, 0xff, 0xff, 0x0f, 1],
        &[1, 0, 0x80, 0x80, 4],
    ] {
        let one = [&[0, 0][..], bounds, &[0; 8]].concat();
        assert!(PostingBlocks::read_table(&one, 128, 1000, 256).is_err(), "{bounds:?}");
    }
    let mut read = Vec::new();
    for block in 0..blocks.count() {
        let range = blocks.bytes(block);
        let own = &bytes[range.start as usize..range.end as usize];
        assert!(blocks.read(block, &own[..own.len() - 1], &mut read).is_err());
        assert!(blocks.read(block, &[own, &[0, 1]].concat(), &mut read).is_err());
    }
    let two = [Posting { row: 5, times: 1 }, Posting { row: 9, times: 1 }];
    let blocks = PostingBlocks::of(&two, &[1, 1]);
    assert_eq!(blocks.read(0, &[5, 1, 3, 1], &mut read), Ok(()));
    for wrong in [[5, 1, 2, 1], [5, 1, 4, 1], [4, 1, 3, 1], [5, 1, 3, 0], [5, 0, 3, 1]] {
        assert!(blocks.read(0, &wrong, &mut read).is_err(), "{wrong:?}");
    }
}

const ROWS: u32 = 800;

/// What the three sections are in a version, of a frequent word, one that stands before it where it isn't the first, and a rare one.
fn sections(version: u32) -> [Vec<u8>; 3] {
    let places = |row: u32, from, to| (from..to).map(move |position| Place { row, position });
    let even = || (0..ROWS).step_by(2);
    let before: Occurrences = even().flat_map(|row| places(row, 0, row % 3)).collect();
    let often: Occurrences = even().flat_map(|row| places(row, row % 3, row % 3 + 1 + row % 5 / 4)).collect();
    let rare: Occurrences = (1..ROWS).step_by(200).flat_map(|row| places(row, 0, 1)).collect();
    let words = [("before", &before), ("often", &often), ("rare", &rare)];
    let mut counts = vec![0; ROWS as usize];
    for posting in words.iter().flat_map(|(_, of_word)| of_word.postings()) {
        counts[posting.row as usize] += posting.times as u16;
    }
    let sections = encode_words_in(version, &counts, words);
    [sections.words.0, sections.postings.0, sections.positions.0]
}

fn words_of(sections: &[Vec<u8>; 3]) -> Result<Vec<(String, Vec<Posting>)>, crate::Damage> {
    let mut found = Vec::new();
    decode_words(sections.each_ref().map(Vec::as_slice), ROWS, |word, postings, _| {
        found.push((word.to_owned(), postings.to_vec()));
    })?;
    Ok(found)
}

/// Lost otherwise: the words of segments that were written before there were blocks.
#[test]
fn both_versions_say_the_same() {
    let [plain, blocks] = [WORDS_PLAIN, WORDS_IN_BLOCKS].map(sections);
    assert_eq!(words_of(&plain).unwrap(), words_of(&blocks).unwrap());
    assert!(plain[1].len() < blocks[1].len() && plain[2] == blocks[2]);
    let mut later = blocks;
    later[0][0] = 3;
    assert!(words_of(&later).is_err());
}

/// Lost otherwise: hits of a search, to bounds that are wrong and sealed as they must be.
#[test]
fn bounds_are_held_against_the_postings_behind_them() {
    let whole = sections(WORDS_IN_BLOCKS);
    for at in 2 * ROWS as usize..whole[1].len() {
        for bit in 0..8 {
            let mut wrong = whole.clone();
            wrong[1][at] ^= 1 << bit;
            assert!(words_of(&wrong).is_err(), "bit {bit} at {at}");
        }
    }
}
