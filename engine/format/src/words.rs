//! How do the words of a segment's rows lie in it?
//!
//! Section *words* is a dictionary: a [`WordsHeader`]'s two numbers, a fence before each group of [`GROUP_WORDS`] words,
//! and the words, sorted by their bytes, each with how many rows have it and how long its postings are. Section
//! *postings* begins with how many words each row has and goes on with the postings of the words, in their order. Both
//! are empty when no row has a word.

use crate::Damage;
use crate::wire::{Reader, Writer};

/// A word is no longer than this.
pub const WORD_BYTES_MAX: usize = 64;
/// Words behind each fence, but the last.
pub const GROUP_WORDS: usize = 128;
/// How texts are cut into words: segments of another version are asked for nothing.
pub const WORDS_VERSION: u32 = 1;
/// The version and the length of the fences.
pub const WORDS_HEADER_BYTES: u64 = 8;

/// A row that has a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// Which row.
    pub row: u32,
    /// How often it has it, at least once.
    pub times: u32,
}

/// Where a group of words begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// Its first word.
    pub word: String,
    /// Where that one is, from the first word on.
    pub words_offset: u64,
    /// Where its postings are in the section.
    pub postings_offset: u64,
}

/// A word of the dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordRow<'a> {
    /// The word.
    pub word: &'a str,
    /// How many rows have it.
    pub rows: u32,
    /// How long its postings are.
    pub postings_bytes: u64,
}

/// Both sections, from how many words each row has, and the words, sorted, with their rows, rising.
pub fn encode_words<'a>(
    lengths: &[u16],
    words: impl IntoIterator<Item = (&'a str, &'a [Posting])>,
) -> (Writer, Writer) {
    let (mut fences, mut rows, mut postings) = (Writer::default(), Writer::default(), Writer::default());
    for (number, (word, of_word)) in words.into_iter().enumerate() {
        if number == 0 {
            for length in lengths {
                postings.raw(&length.to_le_bytes());
            }
        }
        if number % GROUP_WORDS == 0 {
            fences.bytes(word.as_bytes()).u64(rows.0.len() as u64).u64(postings.0.len() as u64);
        }
        let begin = postings.0.len();
        let mut next = 0;
        for posting in of_word {
            postings.varint(u64::from(posting.row - next)).varint(u64::from(posting.times));
            next = posting.row + 1;
        }
        rows.u8(word.len() as u8).raw(word.as_bytes());
        rows.varint(of_word.len() as u64).varint((postings.0.len() - begin) as u64);
    }
    let mut words = Writer::default();
    if !rows.0.is_empty() {
        words.u32(WORDS_VERSION).u32(fences.0.len() as u32).raw(&fences.0).raw(&rows.0);
    }
    (words, postings)
}

/// Reads the first bytes of the dictionary: its version, and how long the fences are.
pub fn decode_words_header(bytes: &[u8]) -> Result<(u32, u32), Damage> {
    let mut input = Reader::new("words", bytes);
    let header = (input.u32()?, input.u32()?);
    input.finish()?;
    Ok(header)
}

/// Reads the fences.
pub fn decode_fences(bytes: &[u8]) -> Result<Vec<Fence>, Damage> {
    let mut input = Reader::new("fence", bytes);
    let mut fences: Vec<Fence> = Vec::new();
    while !input.is_empty() {
        let word = input.text(WORD_BYTES_MAX)?.to_owned();
        let fence = Fence { word, words_offset: input.u64()?, postings_offset: input.u64()? };
        if fences.last().is_some_and(|before| {
            before.word >= fence.word
                || before.words_offset >= fence.words_offset
                || before.postings_offset >= fence.postings_offset
        }) {
            return Err(Damage::new("fence", "above the one before", "not"));
        }
        fences.push(fence);
    }
    Ok(fences)
}

impl<'a> WordRow<'a> {
    /// Reads the next word of a group.
    pub fn read(input: &mut Reader<'a>) -> Result<Self, Damage> {
        let bytes = input.u8()? as usize;
        if bytes == 0 || bytes > WORD_BYTES_MAX {
            return Err(Damage::new("word", format_args!("1 to {WORD_BYTES_MAX} bytes"), bytes));
        }
        let word =
            std::str::from_utf8(input.raw(bytes)?).map_err(|error| Damage::new("word", "UTF-8", error))?;
        let rows = u32::try_from(input.varint()?).unwrap_or(0);
        let postings_bytes = input.varint()?;
        if rows == 0 || postings_bytes < 2 * u64::from(rows) {
            return Err(Damage::new("word", "two bytes of postings for each row", postings_bytes));
        }
        Ok(Self { word, rows, postings_bytes })
    }
}

/// Reads the postings of a word that so many rows have, of a segment of `rows_max`.
pub fn decode_postings(bytes: &[u8], rows: u32, rows_max: u32) -> Result<Vec<Posting>, Damage> {
    let mut input = Reader::new("posting", bytes);
    // Each takes two bytes at least, as [`WordRow::read`] made sure.
    let mut postings = Vec::with_capacity((rows as usize).min(bytes.len() / 2));
    let mut next = 0_u64;
    for _ in 0..rows {
        let (step, times) = (input.varint()?, input.varint()?);
        let row = next.saturating_add(step);
        let (Ok(row), Ok(times @ 1..)) = (u32::try_from(row), u32::try_from(times)) else {
            return Err(Damage::new("posting", "a row, and how often it has the word", "more"));
        };
        if row >= rows_max {
            return Err(Damage::new("posting", format_args!("a row below {rows_max}"), row));
        }
        next = u64::from(row) + 1;
        postings.push(Posting { row, times });
    }
    input.finish()?;
    Ok(postings)
}

/// Reads how many words each row has.
pub fn decode_word_counts(bytes: &[u8]) -> Vec<u16> {
    let (counts, _) = bytes.as_chunks();
    counts.iter().map(|count| u16::from_le_bytes(*count)).collect()
}

/// Reads both sections whole, calls back with each word and its postings, and answers how many words each row has.
/// Everything is where it must be: words rise, fences stand before the words that they name, postings follow each
/// other without a gap, and rows have as many words as is said of them.
pub fn decode_words(
    words: &[u8],
    postings: &[u8],
    rows: u32,
    mut each: impl FnMut(&str, &[Posting]),
) -> Result<Vec<u16>, Damage> {
    let (mut input, mut lists) = (Reader::new("words", words), Reader::new("posting", postings));
    if words.is_empty() {
        return lists.finish().map(|()| vec![0; rows as usize]);
    }
    let (version, fences_bytes) = decode_words_header(input.raw(WORDS_HEADER_BYTES as usize)?)?;
    if version != WORDS_VERSION {
        return Err(Damage::new("words", format_args!("version {WORDS_VERSION}"), version));
    }
    let fences = decode_fences(input.raw(fences_bytes as usize)?)?;
    let counts = decode_word_counts(lists.raw(rows as usize * size_of::<u16>())?);
    let mut found = vec![0_u64; counts.len()];
    let (words_bytes, postings_bytes) = (input.left(), postings.len());
    let (mut number, mut before) = (0, "");
    while !input.is_empty() {
        let place = ((words_bytes - input.left()) as u64, (postings_bytes - lists.left()) as u64);
        let word = WordRow::read(&mut input)?;
        if number % GROUP_WORDS == 0 {
            let fence = fences
                .get(number / GROUP_WORDS)
                .map(|f| (f.word.as_str(), f.words_offset, f.postings_offset));
            if fence != Some((word.word, place.0, place.1)) {
                return Err(Damage::new("fence", format_args!("one at {}", place.0), "another, or none"));
            }
        }
        if word.word <= before {
            return Err(Damage::new("word", "above the one before", "not"));
        }
        let list = lists.raw(usize::try_from(word.postings_bytes).unwrap_or(usize::MAX))?;
        let list = decode_postings(list, word.rows, rows)?;
        for posting in &list {
            found[posting.row as usize] += u64::from(posting.times);
        }
        each(word.word, &list);
        before = word.word;
        number += 1;
    }
    lists.finish()?;
    if number == 0 || fences.len() != number.div_ceil(GROUP_WORDS) {
        return Err(Damage::new("fence", number.div_ceil(GROUP_WORDS), fences.len()));
    }
    let lies = |(found, count): (&u64, &u16)| *found.min(&u64::from(u16::MAX)) != u64::from(*count);
    match found.iter().zip(&counts).position(lies) {
        Some(row) => Err(Damage::new("words of a row", found[row], counts[row])),
        None => Ok(counts),
    }
}
