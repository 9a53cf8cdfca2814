//! How do the words of a segment's rows lie in it?
//!
//! Section *words* is a dictionary: a [`WordsHeader`]'s two numbers, a fence before each group of [`GROUP_WORDS`] words,
//! and the words, sorted by their bytes, each with how many rows have it and how long its postings and its positions are.
//! Section *postings* begins with how many words each row has and goes on with the postings of the words, in their order.
//! Section *positions* says where in its rows each word stands, in the same order. All are empty when no row has a word.
//! In version 2 the postings of frequent words begin with what [`PostingBlocks`] knows of them.

use crate::Damage;
pub use crate::posting_blocks::Posting;
use crate::posting_blocks::{BLOCK_POSTINGS, PostingBlocks, read_postings, write_postings};
use crate::wire::{Reader, Writer};

/// A word is no longer than this.
pub const WORD_BYTES_MAX: usize = 64;
/// Words behind each fence, but the last.
pub const GROUP_WORDS: usize = 128;
/// Texts are cut into words as they have always been, and postings stand alone.
pub const WORDS_PLAIN: u32 = 1;
/// The same, and before the postings of a word that more than [`BLOCK_POSTINGS`] rows have stands what is known of their blocks.
/// Segments of other versions are asked for nothing.
pub const WORDS_IN_BLOCKS: u32 = 2;
/// The version and the length of the fences.
pub const WORDS_HEADER_BYTES: u64 = 8;

/// Where a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// In which row.
    pub row: u32,
    /// Behind how many words of it. Pairs of neighbours stand where their second one does.
    pub position: u32,
}

/// A word's rows, rising, and where it stands in them, as section *positions* has it.
#[derive(Debug, Default)]
pub struct Occurrences {
    postings: Vec<Posting>,
    positions: Writer,
    /// The least position that may follow in the last row.
    next: u32,
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
    /// Where its positions are in the section.
    pub positions_offset: u64,
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
    /// How long its positions are.
    pub positions_bytes: u64,
}

impl Occurrences {
    /// Adds the next place, which is above all before it.
    pub fn push(&mut self, place: Place) {
        let Place { row, position } = place;
        match self.postings.last_mut() {
            Some(last) if last.row == row => last.times += 1,
            _ => {
                self.postings.push(Posting { row, times: 1 });
                self.next = 0;
            }
        }
        self.positions.varint(u64::from(position - self.next));
        self.next = position + 1;
    }

    /// The rows, and how often each has the word.
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }

    /// The bytes of its positions.
    pub fn positions(&self) -> &[u8] {
        &self.positions.0
    }
}

impl FromIterator<Place> for Occurrences {
    fn from_iter<T: IntoIterator<Item = Place>>(places: T) -> Self {
        let mut occurrences = Self::default();
        places.into_iter().for_each(|place| occurrences.push(place));
        occurrences
    }
}

/// The three sections.
#[derive(Debug, Default)]
pub struct WordSections {
    /// The dictionary.
    pub words: Writer,
    /// How many words each row has, and which rows have each word.
    pub postings: Writer,
    /// Where in its rows each word stands.
    pub positions: Writer,
}

/// The sections, from how many words each row has, and the words, sorted. They are of version 2 when a word is as frequent
/// as to need it, else of version 1.
pub fn encode_words<'a>(
    lengths: &[u16],
    words: impl IntoIterator<Item = (&'a str, &'a Occurrences)>,
) -> WordSections {
    let words: Vec<(&str, &Occurrences)> = words.into_iter().collect();
    let is_frequent = |(_, of_word): &(&str, &Occurrences)| of_word.postings.len() > BLOCK_POSTINGS;
    let version = if words.iter().any(is_frequent) { WORDS_IN_BLOCKS } else { WORDS_PLAIN };
    encode_words_in(version, lengths, words)
}

/// The sections in one of the two versions.
pub fn encode_words_in<'a>(
    version: u32,
    lengths: &[u16],
    words: impl IntoIterator<Item = (&'a str, &'a Occurrences)>,
) -> WordSections {
    let (mut fences, mut rows) = (Writer::default(), Writer::default());
    let (mut postings, mut positions) = (Writer::default(), Writer::default());
    for (number, (word, of_word)) in words.into_iter().enumerate() {
        if number == 0 {
            for length in lengths {
                postings.raw(&length.to_le_bytes());
            }
        }
        if number % GROUP_WORDS == 0 {
            fences.bytes(word.as_bytes()).u64(rows.0.len() as u64);
            fences.u64(postings.0.len() as u64).u64(positions.0.len() as u64);
        }
        let begin = postings.0.len();
        if are_in_blocks(version, of_word.postings.len() as u32) {
            PostingBlocks::of(&of_word.postings, &lengths_of(&of_word.postings, lengths))
                .write(&mut postings);
        }
        write_postings(&mut postings, 0, &of_word.postings);
        rows.u8(word.len() as u8).raw(word.as_bytes());
        rows.varint(of_word.postings.len() as u64).varint((postings.0.len() - begin) as u64);
        rows.varint(of_word.positions.0.len() as u64);
        positions.raw(&of_word.positions.0);
    }
    let mut words = Writer::default();
    if !rows.0.is_empty() {
        words.u32(version).u32(fences.0.len() as u32).raw(&fences.0).raw(&rows.0);
    }
    WordSections { words, postings, positions }
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
        let (words_offset, postings_offset) = (input.u64()?, input.u64()?);
        let fence = Fence { word, words_offset, postings_offset, positions_offset: input.u64()? };
        if fences.last().is_some_and(|before| {
            before.word >= fence.word
                || before.words_offset >= fence.words_offset
                || before.postings_offset >= fence.postings_offset
                || before.positions_offset >= fence.positions_offset
        }) {
            return Err(Damage::new("fence", "above the one before", "not"));
        }
        fences.push(fence);
    }
    Ok(fences)
}

/// How many words the row of each posting has.
fn lengths_of(postings: &[Posting], lengths: &[u16]) -> Vec<u16> {
    postings.iter().map(|posting| lengths[posting.row as usize]).collect()
}

fn take<'a>(from: &mut Reader<'a>, bytes: u64) -> Result<&'a [u8], Damage> {
    from.raw(usize::try_from(bytes).unwrap_or(usize::MAX))
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
        Ok(Self { word, rows, postings_bytes, positions_bytes: input.varint()? })
    }
}

/// Reads the postings of a word that so many rows have, of a segment of `rows_max`.
pub fn decode_postings(bytes: &[u8], rows: u32, rows_max: u32) -> Result<Vec<Posting>, Damage> {
    let mut input = Reader::new("posting", bytes);
    // Each takes two bytes at least, as [`WordRow::read`] made sure.
    let mut postings = Vec::with_capacity((rows as usize).min(bytes.len() / 2));
    read_postings(&mut input, 0, rows as usize, rows_max, &mut postings)?;
    input.finish()?;
    Ok(postings)
}

/// Whether the blocks of a word that so many rows have are told in this version.
pub fn are_in_blocks(version: u32, rows: u32) -> bool {
    version == WORDS_IN_BLOCKS && rows as usize > BLOCK_POSTINGS
}

/// Reads what is known of the blocks of a word's postings, if anything is, and where these begin; of a segment of `rows_max`,
/// from the bytes of a word that so many rows have.
pub fn decode_blocks(
    version: u32,
    bytes: &[u8],
    rows: u32,
    rows_max: u32,
) -> Result<(Option<PostingBlocks>, usize), Damage> {
    if !are_in_blocks(version, rows) {
        return Ok((None, 0));
    }
    let mut input = Reader::new("posting blocks", bytes);
    let table_bytes = input.varint()?;
    let table = take(&mut input, table_bytes)?;
    let blocks = PostingBlocks::read_table(table, rows, rows_max, input.left() as u64)?;
    Ok((Some(blocks), bytes.len() - input.left()))
}

/// Reads where a word with these postings stands.
pub fn decode_positions(bytes: &[u8], postings: &[Posting]) -> Result<Vec<Place>, Damage> {
    let mut input = Reader::new("position", bytes);
    let times: u64 = postings.iter().map(|posting| u64::from(posting.times)).sum();
    if times > bytes.len() as u64 {
        return Err(Damage::new("position", format_args!("{times} of a byte at least"), bytes.len()));
    }
    let mut places = Vec::with_capacity(times as usize);
    for posting in postings {
        let mut next = 0_u64;
        for _ in 0..posting.times {
            let Ok(position) = u32::try_from(next.saturating_add(input.varint()?)) else {
                return Err(Damage::new("position", "below 4,294,967,296", "more"));
            };
            next = u64::from(position) + 1;
            places.push(Place { row: posting.row, position });
        }
    }
    input.finish()?;
    Ok(places)
}

/// Reads how many words each row has.
pub fn decode_word_counts(bytes: &[u8]) -> Vec<u16> {
    let (counts, _) = bytes.as_chunks();
    counts.iter().map(|count| u16::from_le_bytes(*count)).collect()
}

/// Reads the sections whole, calls back with each word, its postings and its places, and answers how many words each row
/// has. Everything is where it must be: words rise, fences stand before the words that they name, postings and positions
/// follow each other without a gap, rows have as many words as is said of them, and none stands behind more than there are.
pub fn decode_words(
    sections: [&[u8]; 3],
    rows: u32,
    mut each: impl FnMut(&str, &[Posting], &[Place]),
) -> Result<Vec<u16>, Damage> {
    let [words, postings, positions] = sections;
    let mut input = Reader::new("words", words);
    let (mut lists, mut stands) = (Reader::new("posting", postings), Reader::new("position", positions));
    if words.is_empty() {
        return lists.finish().and_then(|()| stands.finish()).map(|()| vec![0; rows as usize]);
    }
    let (version, fences_bytes) = decode_words_header(input.raw(WORDS_HEADER_BYTES as usize)?)?;
    if !matches!(version, WORDS_PLAIN | WORDS_IN_BLOCKS) {
        return Err(Damage::new("words", "version 1 or 2", version));
    }
    let fences = decode_fences(input.raw(fences_bytes as usize)?)?;
    let counts = decode_word_counts(lists.raw(rows as usize * size_of::<u16>())?);
    // How many words each row has, and behind how many of them the last one stands.
    let mut found = vec![(0_u64, 0_u64); counts.len()];
    let words_bytes = input.left();
    let (mut number, mut before) = (0, "");
    while !input.is_empty() {
        let place =
            [words_bytes - input.left(), postings.len() - lists.left(), positions.len() - stands.left()];
        let word = WordRow::read(&mut input)?;
        if number % GROUP_WORDS == 0 {
            let expected = fences.get(number / GROUP_WORDS).map(|fence| {
                (&*fence.word, [fence.words_offset, fence.postings_offset, fence.positions_offset])
            });
            if expected != Some((word.word, place.map(|at| at as u64))) {
                return Err(Damage::new("fence", format_args!("one at {}", place[0]), "another, or none"));
            }
        }
        if word.word <= before {
            return Err(Damage::new("word", "above the one before", "not"));
        }
        let of_word = take(&mut lists, word.postings_bytes)?;
        let (blocks, at) = decode_blocks(version, of_word, word.rows, rows)?;
        let list = decode_postings(&of_word[at..], word.rows, rows)?;
        if blocks.is_some_and(|blocks| blocks != PostingBlocks::of(&list, &lengths_of(&list, &counts))) {
            return Err(Damage::new("posting blocks", "what holds for the postings behind them", "another"));
        }
        let places = decode_positions(take(&mut stands, word.positions_bytes)?, &list)?;
        for place in &places {
            let (count, last) = &mut found[place.row as usize];
            *count += 1;
            *last = (*last).max(u64::from(place.position));
        }
        each(word.word, &list, &places);
        before = word.word;
        number += 1;
    }
    lists.finish()?;
    stands.finish()?;
    if number == 0 || fences.len() != number.div_ceil(GROUP_WORDS) {
        return Err(Damage::new("fence", number.div_ceil(GROUP_WORDS), fences.len()));
    }
    for ((found, last), count) in found.into_iter().zip(&counts) {
        if found.min(u64::from(u16::MAX)) != u64::from(*count) {
            return Err(Damage::new("words of a row", found, count));
        }
        if last > found.saturating_sub(1) {
            return Err(Damage::new("position", format_args!("below {found}"), last));
        }
    }
    Ok(counts)
}
