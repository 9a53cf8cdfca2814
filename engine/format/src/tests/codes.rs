//! What would users lose if the codes of a segment were read wrongly?

use crate::codes::*;
use crate::segment::Section;

/// Of 100 components: 76 bytes a code, and 38 a code of two planes of signs.
const DIMENSION: u32 = 100;

fn head(centroids: &[u8]) -> IndexHead<'_> {
    let flat = IndexHead::flat((0..DIMENSION).map(|n| n as f32 / 7.0 - 3.0).collect());
    if centroids.is_empty() {
        return flat;
    }
    let reach = std::array::from_fn(|n| n as f32 / 3.0);
    let (probes, candidates) = (std::array::from_fn(|n| n as u32), [7; LADDER_STEPS]);
    let lists = [(200, 20), (0, 0), (133, 28)].map(|(own, seconds)| ListRows { own, seconds });
    IndexHead { lists: lists.to_vec(), centroids, slope: 8.5, reach, probes, candidates, ..flat }
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
        let blocks = if listed { 7 + 6 } else { 0 };
        assert_eq!(lengths, [blocks * 32 * 38, 333 * 76, if listed { (333 + 48) * 4 } else { 0 }]);
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
    for (version, why) in
        [(1, "lists in which no row stood twice"), (2, "whose sign codes had factors of four bytes")]
    {
        let mut earlier = head(&[7; 3 * 76]).encode().0;
        earlier[0] = version;
        assert_eq!(IndexHead::decode(&earlier, DIMENSION, 333).unwrap(), None, "{why}");
    }
}

/// Without this, rows of many components would take twice the memory, or those of few be found less often.
#[test]
fn only_rows_of_few_components_have_two_planes() {
    for (dimension, row_bytes) in [(1, 22), (64, 22), (65, 38), (192, 54), (193, 38), (384, 54)] {
        assert_eq!(sign_block_bytes(dimension), 32 * row_bytes, "{dimension} components");
    }
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
    for (at, number, why) in [
        (8, f32::INFINITY, "a centre that is not finite"),
        (408, f32::NAN, "no slope"),
        (408, -1.0, "a slope that falls"),
        (412, 9.0, "more reach for less"),
        (412 + 36, f32::INFINITY, "reach without end"),
    ] {
        let mut wrong = bytes.clone();
        wrong[at..at + 4].copy_from_slice(&number.to_le_bytes());
        IndexHead::decode(&wrong, DIMENSION, 333).expect_err(why);
    }
    for (at, number, why) in [
        (412 + 40, 9, "more lists for less"),
        (412 + 80, 9, "more candidates for less"),
        (412 + 120, 201, "more rows in lists than there are"),
        (412 + 124, 306, "more rows twice than there are"),
        (0, 1 << 8 | 3, "another version"),
    ] {
        let mut wrong = bytes.clone();
        wrong[at..at + 4].copy_from_slice(&u32::to_le_bytes(number));
        assert_ne!(IndexHead::decode(&wrong, DIMENSION, 333).ok().flatten(), Some(head(&centroids)), "{why}");
        assert_eq!(IndexHead::decode(&wrong, DIMENSION, 333).is_err(), at > 0, "{why}");
    }
    let without = [&3_u32.to_le_bytes()[..], &[0; 4 + 400]].concat();
    IndexHead::decode(&without, DIMENSION, 333).expect_err("lists of which there are none");
}

/// Without this, a search could read behind the rows, or find one of them twice and another never.
#[test]
fn places_are_of_each_row_once() {
    let bytes = |rows: &[u32]| rows.iter().flat_map(|row| row.to_le_bytes()).collect::<Vec<u8>>();
    for seconds in [vec![], vec![1], vec![2, 1, 0]] {
        let places = Places { rows: vec![2, 0, 1], seconds };
        let seconds = places.seconds.len() as u64;
        assert_eq!(places.encode(), bytes(&[&places.rows[..], &places.seconds].concat()));
        assert_eq!(Places::decode(&places.encode(), 3, seconds), Ok(places));
    }
    assert_eq!(Places::decode(&[], 3, 0), Ok(Places::default()));
    for wrong in [&[0, 1, 3][..], &[0, 1, 1], &[0, 1], &[0, 1, 2, 3]] {
        Places::decode(&bytes(wrong), 3, 0).expect_err("not each once");
    }
    for wrong in [&[2, 0, 1, 1, 1][..], &[2, 0, 1, 1, 3], &[2, 0, 1, 1]] {
        Places::decode(&bytes(wrong), 3, 2).expect_err("none more than twice");
    }
    Places::decode(&bytes(&[2, 0, 1])[..11], 3, 0).expect_err("cut short");
}
