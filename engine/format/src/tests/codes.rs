//! What would users lose if the codes of a segment were read wrongly?

use crate::codes::*;
use crate::segment::Section;

/// Of 100 components: 76 bytes a code.
const DIMENSION: u32 = 100;

fn head(centroids: &[u8]) -> IndexHead<'_> {
    let flat = IndexHead::flat((0..DIMENSION).map(|n| n as f32 / 7.0 - 3.0).collect());
    if centroids.is_empty() {
        return flat;
    }
    let (probes, candidates) = (std::array::from_fn(|n| n as u32), [7; LADDER_STEPS]);
    IndexHead { lists: vec![200, 0, 133], centroids, probes, candidates, ..flat }
}

fn section(plain_bytes: u64) -> Section {
    Section { first_block: 1, offset: 0, plain_bytes, stored_bytes: plain_bytes }
}

/// Without this, rows would be compared with other rows' codes.
#[test]
fn an_index_is_read_as_it_was_written() {
    for centroids in [vec![], vec![7; 3 * 76]] {
        let head = head(&centroids);
        let bytes = head.encode().0;
        assert_eq!(IndexHead::decode(&bytes, DIMENSION, 333).unwrap(), Some(head.clone()));
        let lengths = head.code_bytes(DIMENSION, 333);
        let listed = !head.lists.is_empty();
        let blocks = if listed { 7 + 5 } else { 0 };
        assert_eq!(lengths, [blocks * 32 * 28, 333 * 76, if listed { 333 * 4 } else { 0 }]);
        let sections = lengths.map(section);
        head.check(DIMENSION, 333, sections.each_ref()).unwrap();
        for which in 0..3 {
            let mut sections = sections;
            sections[which].plain_bytes += 1;
            head.check(DIMENSION, 333, sections.each_ref()).expect_err("another length");
        }
    }
    assert_eq!(IndexHead::decode(&[], DIMENSION, 333).unwrap(), None);
    let other = [&[9, 0, 0, 0][..], &[1; 20]].concat();
    assert_eq!(
        IndexHead::decode(&other, DIMENSION, 333).unwrap(),
        None,
        "of a version that nobody knows here"
    );
}

/// Without this, bytes that lie could take memory, end the process, or be believed.
#[test]
fn an_index_that_does_not_fit_is_damage() {
    let centroids = vec![7; 3 * 76];
    let bytes = head(&centroids).encode().0;
    for (dimension, rows) in [(101, 333), (99, 333), (DIMENSION, 332), (DIMENSION, 334), (DIMENSION, 2)] {
        IndexHead::decode(&bytes, dimension, rows).expect_err("of other rows");
    }
    for at in 4..bytes.len() {
        IndexHead::decode(&bytes[..at], DIMENSION, 333).expect_err("cut short");
    }
    IndexHead::decode(&[&bytes[..], &[0]].concat(), DIMENSION, 333).expect_err("with more behind it");
    let mut many = bytes.clone();
    many[4..8].fill(0xff);
    IndexHead::decode(&many, DIMENSION, 333).expect_err("more lists than there are");
    let mut falling = bytes.clone();
    falling[8 + 400] = 9;
    IndexHead::decode(&falling, DIMENSION, 333).expect_err("more steps for less");
    let mut infinite = bytes;
    infinite[8..12].copy_from_slice(&f32::INFINITY.to_le_bytes());
    IndexHead::decode(&infinite, DIMENSION, 333).expect_err("not finite");
}

/// Without this, a search could read behind the rows, or find one of them twice and another never.
#[test]
fn places_are_of_each_row_once() {
    let bytes = |rows: &[u32]| rows.iter().flat_map(|row| row.to_le_bytes()).collect::<Vec<u8>>();
    assert_eq!(decode_places(&bytes(&[2, 0, 1]), 3), Ok(vec![2, 0, 1]));
    assert_eq!(decode_places(&[], 3), Ok(vec![]));
    for wrong in [&[0, 1, 3][..], &[0, 1, 1], &[0, 1], &[0, 1, 2, 3]] {
        decode_places(&bytes(wrong), 3).expect_err("not each once");
    }
    decode_places(&bytes(&[2, 0, 1])[..11], 3).expect_err("cut short");
}
