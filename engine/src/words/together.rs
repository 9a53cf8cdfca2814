//! Which words are there in Thai, Lao, Khmer and Burmese, which are written together?
//!
//! Lists of words say, those that break lines (ICU's, by `icu_segmenter`): a run of such letters is cut once, when its first letter comes.
//! Only words of three characters or more are told: shorter ones are found as characters and pairs already.

use icu_segmenter::options::LineBreakOptions;
use icu_segmenter::{LineSegmenter, LineSegmenterBorrowed};
use std::collections::VecDeque;

/// Words of fewer characters are not told.
const CHARACTERS_MIN: usize = 3;

/// A text, as it is gone through.
pub(super) struct Together<'t> {
    text: &'t str,
    /// Where the last run that was cut ends.
    end: usize,
    /// Its words that are still to come.
    words: VecDeque<(usize, usize)>,
    segmenter: Option<LineSegmenterBorrowed<'static>>,
}

impl<'t> Together<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, end: 0, words: VecDeque::new(), segmenter: None }
    }

    /// The word that ends with the character at this place, which is behind those that were asked for before.
    pub(super) fn word_ending(&mut self, at: usize, character: char) -> Option<&'t str> {
        if at >= self.end && is_written_together(character) {
            self.cut(at);
        }
        let end = at + character.len_utf8();
        while self.words.front().is_some_and(|(_, word_end)| *word_end < end) {
            self.words.pop_front();
        }
        let (begin, _) = self.words.pop_front_if(|(_, word_end)| *word_end == end)?;
        let word = &self.text[begin..end];
        (word.chars().count() >= CHARACTERS_MIN).then_some(word)
    }

    fn cut(&mut self, from: usize) {
        let rest = &self.text[from..];
        let run = &rest[..rest.find(|character| !is_written_together(character)).unwrap_or(rest.len())];
        self.end = from + run.len();
        let by_lists = || LineSegmenter::new_dictionary(LineBreakOptions::default());
        let breaks = self.segmenter.get_or_insert_with(by_lists).segment_str(run);
        let mut begin = from;
        for end in breaks.map(|end| from + end).filter(|end| *end > from) {
            self.words.push_back((begin, end));
            begin = end;
        }
    }
}

/// Letters, marks and digits of these scripts, without their punctuation.
pub fn is_written_together(character: char) -> bool {
    match u32::from(character) {
        0x0e3f | 0x0e4f | 0x0e5a..=0x0e5b | 0x104a..=0x104f | 0x17d4..=0x17d6 | 0x17d8..=0x17db => false,
        0x0e01..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17e9 => true,
        _ => false,
    }
}
