//! Which rows of a segment have a word?
//!
//! The fences say in which group of the dictionary a word would be; the group says where its postings are. All of it is
//! read block by block, through the cache.

use super::reader::Segment;
use crate::io::Fault;
use strongroom_format::Damage;
use strongroom_format::segment::SectionKind;
use strongroom_format::wire::Reader;
use strongroom_format::words::{
    Fence, Posting, WORDS_HEADER_BYTES, WORDS_VERSION, WordRow, decode_fences, decode_postings,
    decode_word_counts, decode_words_header,
};

/// A segment's dictionary, opened.
pub struct Dictionary<'a> {
    segment: &'a Segment,
    fences: Vec<Fence>,
    /// Where its first word is in the section.
    words_at: u64,
}

impl Segment {
    /// Its dictionary; `None` when it has no words, or those of another version.
    pub fn dictionary(&self) -> Result<Option<Dictionary<'_>>, Fault> {
        if self.section(SectionKind::Words).plain_bytes == 0 {
            return Ok(None);
        }
        let header = self.read(SectionKind::Words, 0..WORDS_HEADER_BYTES)?;
        let (version, fences_bytes) = decode_words_header(&header).map_err(|damage| self.located(damage))?;
        if version != WORDS_VERSION {
            return Ok(None);
        }
        let words_at = WORDS_HEADER_BYTES + u64::from(fences_bytes);
        let fences = self.read(SectionKind::Words, WORDS_HEADER_BYTES..words_at)?;
        let fences = decode_fences(&fences).map_err(|damage| self.located(damage))?;
        Ok(Some(Dictionary { segment: self, fences, words_at }))
    }
}

impl Dictionary<'_> {
    /// How many words each row has.
    pub fn word_counts(&self) -> Result<Vec<u16>, Fault> {
        let bytes = u64::from(self.segment.place().rows) * size_of::<u16>() as u64;
        Ok(decode_word_counts(&self.segment.read(SectionKind::Postings, 0..bytes)?))
    }

    /// The rows that have this word, rising.
    pub fn postings(&self, word: &str) -> Result<Vec<Posting>, Fault> {
        let group = self.fences.partition_point(|fence| *fence.word <= *word);
        let mut found = Vec::new();
        if let Some(group) = group.checked_sub(1) {
            self.each_of(group, |candidate, postings| {
                if candidate == word {
                    found = postings()?;
                }
                Ok(candidate < word)
            })?;
        }
        Ok(found)
    }

    /// Calls back with all words, in order, and with what reads their postings.
    pub fn each(&self, mut each: impl FnMut(&str, Vec<Posting>) -> Result<(), Fault>) -> Result<(), Fault> {
        (0..self.fences.len()).try_for_each(|group| {
            self.each_of(group, |word, postings| {
                each(word, postings()?)?;
                Ok(true)
            })
        })
    }

    /// Goes through the words of a group while the callback says so.
    fn each_of(
        &self,
        group: usize,
        mut go_on: impl FnMut(&str, &dyn Fn() -> Result<Vec<Posting>, Fault>) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let segment = self.segment;
        let fence = &self.fences[group];
        let end = match self.fences.get(group + 1) {
            Some(next) => self.words_at + next.words_offset,
            None => segment.section(SectionKind::Words).plain_bytes,
        };
        let begin = self.words_at.saturating_add(fence.words_offset);
        if begin >= end {
            return Err(segment.located(Damage::new("fence", format_args!("below {end}"), begin)));
        }
        let words = segment.read(SectionKind::Words, begin..end)?;
        let mut input = Reader::new("word", &words);
        let mut postings_at = fence.postings_offset;
        while !input.is_empty() {
            let row = WordRow::read(&mut input).map_err(|damage| segment.located(damage))?;
            let postings_end = postings_at.saturating_add(row.postings_bytes);
            let range = postings_at..postings_end;
            let postings = || {
                let bytes = segment.read(SectionKind::Postings, range.clone())?;
                decode_postings(&bytes, row.rows, segment.place().rows)
                    .map_err(|damage| segment.located(damage))
            };
            if !go_on(row.word, &postings)? {
                break;
            }
            postings_at = postings_end;
        }
        Ok(())
    }
}
