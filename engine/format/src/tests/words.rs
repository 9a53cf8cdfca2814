//! What would users lose if the words of a segment were read wrongly?

use super::*;
use crate::words::*;

/// Each word with its places.
type Words = Vec<(String, Vec<Place>)>;

/// The word's places in this row: so many, from this position on.
fn run(row: u32, from: u32, times: u32) -> impl Iterator<Item = Place> {
    (from..from + times).map(move |position| Place { row, position })
}

fn all() -> Words {
    let times = |n: u32| if n == 7 { 300 } else { n % 5 + 1 };
    let places =
        |n: u32| (0..n % 5 + 1).flat_map(|row| run(row * 3, n % 7 * 10, times(n))).collect::<Vec<_>>();
    (0..140).map(|number| (format!("w{number:03}"), places(number))).collect()
}

fn counts(words: &Words) -> Vec<u16> {
    let mut counts = vec![0_u64; 13];
    for place in words.iter().flat_map(|(_, places)| places) {
        counts[place.row as usize] += 1;
    }
    counts.into_iter().map(|count| count.min(65_535) as u16).collect()
}

/// The three sections.
fn encoded(counts: &[u16], words: &Words) -> [Vec<u8>; 3] {
    let words: Vec<(&str, Occurrences)> =
        words.iter().map(|(word, places)| (&**word, places.iter().copied().collect())).collect();
    let sections = encode_words(counts, words.iter().map(|(word, found)| (*word, found)));
    [sections.words.0, sections.postings.0, sections.positions.0]
}

fn decoded(sections: &[Vec<u8>; 3], rows: u32) -> Result<(Vec<u16>, Words), crate::Damage> {
    let mut found = Vec::new();
    let counts = decode_words(sections.each_ref().map(Vec::as_slice), rows, |word, postings, places| {
        let of_rows = places.chunk_by(|a, b| a.row == b.row);
        let counted = of_rows.map(|all| Posting { row: all[0].row, times: all.len() as u32 });
        assert!(counted.eq(postings.iter().copied()), "postings and positions of {word}");
        found.push((word.to_owned(), places.to_vec()));
    })?;
    Ok((counts, found))
}

/// Without this, rows would be found by words that they don't have, or phrases in rows that say something else.
#[test]
fn words_are_read_as_they_were_written() {
    let words = all();
    assert_eq!(decoded(&encoded(&counts(&words), &words), 13).unwrap(), (counts(&words), words));
    let none = [(); 3].map(|()| Vec::new());
    assert_eq!(encoded(&[0; 13], &Vec::new()), none);
    assert_eq!(decoded(&none, 13).unwrap(), (vec![0; 13], Vec::new()));
    let often = vec![("often".to_owned(), run(0, 0, 70_000).collect())];
    assert_eq!(decoded(&encoded(&[65_535], &often), 1).unwrap(), (vec![65_535], often));
}

/// Without this, bytes that lie could take memory, end the process, or be believed.
#[test]
fn what_does_not_fit_is_damage() {
    let words = all();
    let whole = encoded(&counts(&words), &words);
    for rows in [0, 12, 14, u32::MAX] {
        assert!(decoded(&whole, rows).is_err(), "{rows}");
    }
    for (which, step) in [(0, 1), (1, 1), (2, 7)] {
        for at in (0..whole[which].len()).step_by(step) {
            let mut cut = whole.clone();
            cut[which].truncate(at);
            assert!((which == 0 && at == 0) || decoded(&cut, 13).is_err(), "{which} cut at {at}");
            for bit in [1, 0x80] {
                let mut wrong = whole.clone();
                wrong[which][at] ^= bit;
                let Ok((_, found)) = decoded(&wrong, 13) else { continue };
                assert_ne!(which, 1, "{at}");
                // A word may read as another that stands in the same order, and a place as another: their seals tell.
                let rows = |words: &Words| -> Vec<Vec<u32>> {
                    words.iter().map(|(_, places)| places.iter().map(|place| place.row).collect()).collect()
                };
                assert_eq!(rows(&found), rows(&words), "{which} at {at}");
            }
        }
    }
    let place = |row, position| Place { row, position };
    for (lists, counts) in [
        (vec![("a", vec![])], vec![0]),
        (vec![("b", vec![place(0, 0)]), ("a", vec![place(0, 1)])], vec![2]),
        (vec![("a", vec![place(0, 0)]), ("a", vec![place(0, 1)])], vec![2]),
        (vec![("", vec![place(0, 0)])], vec![1]),
        // Behind more words than there are.
        (vec![("a", vec![place(0, 1)])], vec![1]),
        (vec![("a", vec![place(0, 0), place(0, 2)])], vec![2]),
    ] {
        let words: Words = lists.iter().map(|(word, places)| ((*word).to_owned(), places.clone())).collect();
        assert!(decoded(&encoded(&counts, &words), 1).is_err(), "{lists:?}");
    }
}

/// Without this, postings and positions that contradict each other would be believed, or read without an end.
#[test]
fn positions_are_as_many_as_the_postings_say() {
    let two = [Posting { row: 1, times: 2 }, Posting { row: 7, times: 1 }];
    let places = [(1, 3), (1, 4), (7, 200)].map(|(row, position)| Place { row, position });
    assert_eq!(decode_positions(&[3, 0, 0xc8, 1], &two), Ok(places.to_vec()));
    for wrong in [&[][..], &[3, 0], &[3, 0, 0xc8], &[3, 0, 0xc8, 1, 0], &[3, 0, 0x80, 0]] {
        assert!(decode_positions(wrong, &two).is_err(), "{wrong:?}");
    }
    let last = [0xff, 0xff, 0xff, 0xff, 0x0f];
    assert!(decode_positions(&last, &two[1..]).is_ok());
    assert!(decode_positions(&[&last[..], &[0]].concat(), &two[..1]).is_err(), "none is above 2³² - 1");
    assert!(decode_positions(&last, &[Posting { row: 0, times: u32::MAX }]).is_err());
}

/// Without this, one number would have many forms, and a hostile one no end.
#[test]
fn varints_have_one_form() {
    for value in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::from(u32::MAX), u64::MAX] {
        let mut out = Writer::default();
        out.varint(value);
        assert_eq!(Reader::new("varint", &out.0).varint(), Ok(value));
    }
    for wrong in [
        &[0x80, 0][..],
        &[0xff; 9],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        &[0x80; 11],
        &[],
    ] {
        assert!(Reader::new("varint", wrong).varint().is_err(), "{wrong:?}");
    }
}
