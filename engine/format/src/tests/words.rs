//! What would users lose if the words of a segment were read wrongly?

use super::*;
use crate::words::*;

/// Each word with its rows.
type Words = Vec<(String, Vec<Posting>)>;

fn posting(row: u32, times: u32) -> Posting {
    Posting { row, times }
}

fn all() -> Words {
    let rows = |number: u32| (0..number % 5 + 1).map(|row| posting(row * 3, number % 300 + 1)).collect();
    (0..300).map(|number| (format!("w{number:03}"), rows(number))).collect()
}

fn counts(words: &[(String, Vec<Posting>)]) -> Vec<u16> {
    let mut counts = vec![0_u64; 13];
    for posting in words.iter().flat_map(|(_, postings)| postings) {
        counts[posting.row as usize] += u64::from(posting.times);
    }
    counts.into_iter().map(|count| count.min(65_535) as u16).collect()
}

fn encoded(counts: &[u16], words: &[(String, Vec<Posting>)]) -> (Vec<u8>, Vec<u8>) {
    let (words, postings) = encode_words(counts, words.iter().map(|(word, rows)| (&**word, &rows[..])));
    (words.0, postings.0)
}

fn decoded(words: &[u8], postings: &[u8], rows: u32) -> Result<(Vec<u16>, Words), crate::Damage> {
    let mut found = Vec::new();
    let counts =
        decode_words(words, postings, rows, |word, rows| found.push((word.to_owned(), rows.to_vec())))?;
    Ok((counts, found))
}

/// Without this, rows would be found by words that they don't have.
#[test]
fn words_are_read_as_they_were_written() {
    let words = all();
    let (dictionary, postings) = encoded(&counts(&words), &words);
    assert_eq!(decoded(&dictionary, &postings, 13).unwrap(), (counts(&words), words.clone()));
    assert_eq!(encoded(&[0; 13], &[]), (Vec::new(), Vec::new()));
    assert_eq!(decoded(&[], &[], 13).unwrap(), (vec![0; 13], Vec::new()));
    let often = vec![("often".to_owned(), vec![posting(0, 70_000)])];
    let (dictionary, postings) = encoded(&[65_535], &often);
    assert_eq!(decoded(&dictionary, &postings, 1).unwrap(), (vec![65_535], often));
}

/// Without this, bytes that lie could take memory, end the process, or be believed.
#[test]
fn what_does_not_fit_is_damage() {
    let words = all();
    let (dictionary, postings) = encoded(&counts(&words), &words);
    for rows in [0, 12, 14, u32::MAX] {
        assert!(decoded(&dictionary, &postings, rows).is_err(), "{rows}");
    }
    for at in 0..dictionary.len() {
        assert!(at == 0 || decoded(&dictionary[..at], &postings, 13).is_err(), "cut at {at}");
        for bit in [1, 0x80] {
            let mut wrong = dictionary.clone();
            wrong[at] ^= bit;
            if let Ok((_, found)) = decoded(&wrong, &postings, 13) {
                // A word may read as another that stands in the same order: its seal tells.
                assert_eq!(found.len(), words.len(), "{at}");
                assert!(found.iter().zip(&words).all(|(found, word)| found.1 == word.1), "{at}");
            }
        }
    }
    for at in 0..postings.len() {
        assert!(decoded(&dictionary, &postings[..at], 13).is_err(), "cut at {at}");
        let mut wrong = postings.clone();
        wrong[at] ^= 1;
        assert!(decoded(&dictionary, &wrong, 13).is_err(), "{at}");
    }
    for (lists, counts) in [
        (vec![("a", vec![])], vec![0]),
        (vec![("b", vec![posting(0, 1)]), ("a", vec![posting(0, 1)])], vec![2]),
        (vec![("a", vec![posting(0, 1)]), ("a", vec![posting(0, 1)])], vec![2]),
        (vec![("a", vec![posting(0, 0)])], vec![0]),
        (vec![("", vec![posting(0, 1)])], vec![1]),
    ] {
        let words = lists.iter().map(|(word, rows)| (*word, &rows[..]));
        let (words, postings) = encode_words(&counts, words);
        assert!(decoded(&words.0, &postings.0, 1).is_err(), "{lists:?}");
    }
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
