//! Which rows of a segment have a word, and where?
//!
//! The fences say in which group of the dictionary a word would be; the group says where its postings and positions are. All of
//! it is read block by block, through the cache, and positions by those alone who ask for them.

use super::blocked::{Blocked, Lengths};
use super::cache::{Fences, Opened};
use super::reader::Segment;
use crate::io::Fault;
use std::ops::Range;
use std::sync::Arc;
use strongroom_format::Damage;
use strongroom_format::segment::SectionKind;
use strongroom_format::wire::Reader;
use strongroom_format::words::{
    Place, Posting, WORDS_HEADER_BYTES, WORDS_IN_BLOCKS, WORDS_PLAIN, WordRow, are_in_blocks, decode_blocks,
    decode_fences, decode_positions, decode_postings, decode_word_counts, decode_words_header,
};

/// A segment's dictionary, opened.
pub struct Dictionary<'a> {
    segment: &'a Segment,
    version: u32,
    fences: Arc<Fences>,
    /// Where its first word is in the section.
    words_at: u64,
}

/// A word of a dictionary.
pub struct Entry<'d, 'a> {
    /// The word.
    pub word: &'d str,
    segment: &'a Segment,
    version: u32,
    rows: u32,
    postings: Range<u64>,
    positions: Range<u64>,
}

impl<'a> Entry<'_, 'a> {
    /// The rows that have it, rising.
    pub fn postings(&self) -> Result<Vec<Posting>, Fault> {
        let rows_max = self.segment.place().rows;
        let bytes = self.segment.read(SectionKind::Postings, self.postings.clone())?;
        decode_blocks(self.version, &bytes, self.rows, rows_max)
            .and_then(|(_, at)| decode_postings(&bytes[at..], self.rows, rows_max))
            .map_err(|damage| self.segment.located(damage))
    }

    /// The rows that have it, to be read block by block; `None` when nothing is known of blocks.
    pub fn blocked(&self) -> Result<Option<Blocked<'a>>, Fault> {
        if !are_in_blocks(self.version, self.rows) {
            return Ok(None);
        }
        Blocked::open(self.segment, self.postings.clone(), self.rows).map(Some)
    }

    /// Where it stands in its rows, rising.
    pub fn places(&self) -> Result<Vec<Place>, Fault> {
        let bytes = self.segment.read(SectionKind::Positions, self.positions.clone())?;
        decode_positions(&bytes, &self.postings()?).map_err(|damage| self.segment.located(damage))
    }
}

impl Segment {
    /// Its dictionary; `None` when it has no words, or those of another version.
    pub fn dictionary(&self) -> Result<Option<Dictionary<'_>>, Fault> {
        if self.section(SectionKind::Words).plain_bytes == 0 {
            return Ok(None);
        }
        let header = self.read(SectionKind::Words, 0..WORDS_HEADER_BYTES)?;
        let (version, fences_bytes) = decode_words_header(&header).map_err(|damage| self.located(damage))?;
        if !matches!(version, WORDS_PLAIN | WORDS_IN_BLOCKS) {
            return Ok(None);
        }
        let words_at = WORDS_HEADER_BYTES + u64::from(fences_bytes);
        // Where the section begins its first block is known by.
        let origin = self.origin_at(self.section(SectionKind::Words).offset + 1);
        let fences = match &self.cache.get([origin])[..] {
            [Some(Opened::Fences(fences))] => Arc::clone(fences),
            _ => {
                let fences = self.read(SectionKind::Words, WORDS_HEADER_BYTES..words_at)?;
                let fences = decode_fences(&fences).map_err(|damage| self.located(damage))?;
                let fences = Arc::new(Fences(fences));
                self.cache.put(origin, Opened::Fences(Arc::clone(&fences)));
                fences
            }
        };
        Ok(Some(Dictionary { segment: self, version, fences, words_at }))
    }
}

impl<'a> Dictionary<'a> {
    /// How many words each row has, read as far as it is asked for.
    pub fn lengths(&self) -> Result<Lengths<'a>, Fault> {
        Lengths::open(self.segment)
    }

    /// How many words each row has.
    pub fn word_counts(&self) -> Result<Vec<u16>, Fault> {
        let bytes = u64::from(self.segment.place().rows) * size_of::<u16>() as u64;
        Ok(decode_word_counts(&self.segment.read(SectionKind::Postings, 0..bytes)?))
    }

    /// The rows that have this word, rising.
    pub fn postings(&self, word: &str) -> Result<Vec<Posting>, Fault> {
        self.find(word, |entry| entry.postings())
    }

    /// The rows that have this word, to be read block by block; `None` when nothing is known of its blocks.
    pub fn blocked(&self, word: &str) -> Result<Option<Blocked<'a>>, Fault> {
        self.find(word, |entry| entry.blocked())
    }

    /// Where this word stands, rising.
    pub fn places(&self, word: &str) -> Result<Vec<Place>, Fault> {
        self.find(word, |entry| entry.places())
    }

    fn find<T: Default>(
        &self,
        word: &str,
        read: impl FnOnce(&Entry<'_, 'a>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let (mut read, mut found) = (Some(read), T::default());
        if let Some(group) = self.fences.0.partition_point(|fence| *fence.word <= *word).checked_sub(1) {
            self.each_of(group, &mut |entry| {
                if entry.word == word
                    && let Some(read) = read.take()
                {
                    found = read(entry)?;
                }
                Ok(entry.word < word)
            })?;
        }
        Ok(found)
    }

    /// Calls back with each word that is not below this one, and with some that are, in order, while the callback says so.
    pub fn each_from(
        &self,
        word: &str,
        mut go_on: impl FnMut(&Entry<'_, 'a>) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let first = self.fences.0.partition_point(|fence| *fence.word <= *word).saturating_sub(1);
        for group in first..self.fences.0.len() {
            if !self.each_of(group, &mut go_on)? {
                break;
            }
        }
        Ok(())
    }

    /// Goes through the words of a group while the callback says so; answers whether it said so to the last.
    fn each_of(
        &self,
        group: usize,
        go_on: &mut impl FnMut(&Entry<'_, 'a>) -> Result<bool, Fault>,
    ) -> Result<bool, Fault> {
        let segment = self.segment;
        let fence = &self.fences.0[group];
        let end = match self.fences.0.get(group + 1) {
            Some(next) => self.words_at + next.words_offset,
            None => segment.section(SectionKind::Words).plain_bytes,
        };
        let begin = self.words_at.saturating_add(fence.words_offset);
        if begin >= end {
            return Err(segment.located(Damage::new("fence", format_args!("below {end}"), begin)));
        }
        let words = segment.read(SectionKind::Words, begin..end)?;
        let mut input = Reader::new("word", &words);
        let (mut postings_at, mut positions_at) = (fence.postings_offset, fence.positions_offset);
        while !input.is_empty() {
            let row = WordRow::read(&mut input).map_err(|damage| segment.located(damage))?;
            let postings = postings_at..postings_at.saturating_add(row.postings_bytes);
            let positions = positions_at..positions_at.saturating_add(row.positions_bytes);
            (postings_at, positions_at) = (postings.end, positions.end);
            let (word, version, rows) = (row.word, self.version, row.rows);
            if !go_on(&Entry { word, segment, version, rows, postings, positions })? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
