//! Which rows have which word, and how often?

use super::each_word;
use std::collections::HashMap;
use strongroom_format::words::Posting;
use zeroize::Zeroize;

/// The words of some rows, as they are counted before they reach a segment.
#[derive(Debug, Default)]
pub struct WordIndex {
    words: HashMap<Box<str>, Vec<Posting>>,
    lengths: Vec<u16>,
}

impl WordIndex {
    /// Counts the words of the next row's text.
    pub fn push(&mut self, text: &str) {
        let row = self.lengths.len() as u32;
        let mut length = 0_u64;
        each_word(text, |word| {
            length += 1;
            self.count(word, row);
        });
        self.lengths.push(length.min(u64::from(u16::MAX)) as u16);
    }

    fn count(&mut self, word: &str, row: u32) {
        let postings = match self.words.get_mut(word) {
            Some(postings) => postings,
            None => self.words.entry(word.into()).or_default(),
        };
        match postings.last_mut() {
            Some(last) if last.row == row => last.times = last.times.saturating_add(1),
            _ => postings.push(Posting { row, times: 1 }),
        }
    }

    /// Takes over a row whose words follow by [`WordIndex::add`].
    pub fn push_counted(&mut self, length: u16) {
        self.lengths.push(length);
    }

    /// Takes over a word of rows that are there, which are above those that it is known to be in.
    pub fn add(&mut self, word: &str, postings: impl Iterator<Item = Posting>) {
        let mut postings = postings.peekable();
        if postings.peek().is_some() {
            self.words.entry(word.into()).or_default().extend(postings);
        }
    }

    /// How many rows there are.
    pub fn rows(&self) -> u32 {
        self.lengths.len() as u32
    }

    /// How many words each row has, at most 65,535.
    pub fn lengths(&self) -> &[u16] {
        &self.lengths
    }

    /// The rows that have this word, rising.
    pub fn postings(&self, word: &str) -> &[Posting] {
        self.words.get(word).map_or(&[], |postings| postings)
    }

    /// All words with their rows, sorted.
    pub fn sorted(&self) -> Vec<(&str, &[Posting])> {
        let mut sorted: Vec<_> = self.words.iter().map(|(word, postings)| (&**word, &postings[..])).collect();
        sorted.sort_unstable_by_key(|(word, _)| *word);
        sorted
    }
}

impl Drop for WordIndex {
    fn drop(&mut self) {
        for (word, _) in self.words.drain() {
            word.into_string().zeroize();
        }
    }
}
