//! Which rows have which word, and where?

use super::each_word;
use std::collections::HashMap;
use strongroom_format::words::{Occurrences, Place, Posting};
use zeroize::Zeroize;

/// The words of some rows, as they are counted before they reach a segment.
#[derive(Debug, Default)]
pub struct WordIndex {
    words: HashMap<Box<str>, Occurrences>,
    lengths: Vec<u16>,
}

impl WordIndex {
    /// Counts the words of the next row's text.
    pub fn push(&mut self, text: &str) {
        let row = self.lengths.len() as u32;
        let mut length = 0_u64;
        each_word(text, |word, position| {
            length += 1;
            self.count(word, Place { row, position });
        });
        self.lengths.push(length.min(u64::from(u16::MAX)) as u16);
    }

    fn count(&mut self, word: &str, place: Place) {
        match self.words.get_mut(word) {
            Some(occurrences) => occurrences.push(place),
            None => self.words.entry(word.into()).or_default().push(place),
        }
    }

    /// Takes over a row whose words follow by [`WordIndex::add`].
    pub fn push_counted(&mut self, length: u16) {
        self.lengths.push(length);
    }

    /// Takes over where a word stands in rows that are there, which are above those that it is known to be in.
    pub fn add(&mut self, word: &str, places: impl Iterator<Item = Place>) {
        let mut places = places.peekable();
        if places.peek().is_some() {
            let occurrences = self.words.entry(word.into()).or_default();
            places.for_each(|place| occurrences.push(place));
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
        self.words.get(word).map_or(&[], Occurrences::postings)
    }

    /// Where this word stands.
    pub fn occurrences(&self, word: &str) -> Option<&Occurrences> {
        self.words.get(word)
    }

    /// All words, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Occurrences)> {
        self.words.iter().map(|(word, occurrences)| (&**word, occurrences))
    }

    /// All words, sorted.
    pub fn sorted(&self) -> Vec<(&str, &Occurrences)> {
        let mut sorted: Vec<_> = self.iter().collect();
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
