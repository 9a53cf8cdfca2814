//! What are the smallest parts that passages are packed from?
//!
//! A unit is a sentence if it fits a passage; else its words; and a word that does not fit is cut between characters.
//!
//! Invariants:
//! 1. Units are in order, apart, without white space at their ends, and hold all that is not white space.
//! 2. A unit costs at most `chunk_tokens`, unless it is a single character.
//! 3. Only a unit that goes on a word was cut where token counts need not add up; the packer never puts it behind the
//!    rest of its word.
//! 4. A sentence is counted whole only if its bytes allow it to fit, and so is a word; the tries at a long word's pieces
//!    shrink by an eighth each.

use std::ops::Range;

use super::sentence::{sentences, trimmed};

/// Bytes that count as a token at least. Prose has four or five to a token; what reaches this is text that the tokenizer
/// cannot read and takes for one unknown word, or wide white space.
pub(super) const BYTES_PER_TOKEN_MAX: usize = 16;

/// A part of the text that is not cut any further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unit {
    /// First byte in the text.
    pub(super) start: usize,
    /// The byte behind the last.
    pub(super) end: usize,
    /// Its share of a passage, in tokens.
    pub(super) cost: usize,
    /// Whether the unit before it holds the beginning of the same word.
    pub(super) goes_on_word: bool,
}

/// What the white space between two units costs if one passage holds both, in tokens.
pub(super) fn gap_cost(first: &Unit, second: &Unit) -> usize {
    (second.start - first.end) / BYTES_PER_TOKEN_MAX
}

/// Cuts a text into units.
pub(super) struct Cutter<'a> {
    pub(super) text: &'a str,
    pub(super) chunk_tokens: usize,
    pub(super) count_tokens: &'a dyn Fn(&str) -> usize,
}

impl Cutter<'_> {
    /// The units of a part of the text that is cut along sentences.
    pub(super) fn sentences(&self, part: Range<usize>, each: &mut dyn FnMut(Unit)) {
        for sentence in sentences(&self.text[part.clone()]) {
            self.fitted(part.start + sentence.start..part.start + sentence.end, each);
        }
    }

    /// The units of a part that is one if it fits; it begins and ends with something that is not white space.
    pub(super) fn fitted(&self, part: Range<usize>, each: &mut dyn FnMut(Unit)) {
        if let Some(unit) = self.whole(&part) {
            each(unit);
            return;
        }
        self.words(part, |word| match self.whole(&word) {
            Some(unit) => each(unit),
            None => self.pieces(word, each),
        });
    }

    /// The most bytes that a unit can have.
    pub(super) fn bytes_max(&self) -> usize {
        self.chunk_tokens * BYTES_PER_TOKEN_MAX
    }

    fn cost(&self, range: &Range<usize>) -> usize {
        (self.count_tokens)(&self.text[range.clone()]).max(range.len().div_ceil(BYTES_PER_TOKEN_MAX))
    }

    /// The range as one unit, if it fits.
    pub(super) fn whole(&self, range: &Range<usize>) -> Option<Unit> {
        if range.len() > self.bytes_max() {
            return None;
        }
        let cost = self.cost(range);
        (cost <= self.chunk_tokens).then_some(Unit {
            start: range.start,
            end: range.end,
            cost,
            goes_on_word: false,
        })
    }

    /// Splits at white space. Control characters that are white space do not count: to a tokenizer they are nothing at
    /// all, and what stands at their sides is one word.
    fn words(&self, sentence: Range<usize>, mut each: impl FnMut(Range<usize>)) {
        let is_blank = |c: char| c.is_whitespace() && (!c.is_control() || matches!(c, '\t' | '\n' | '\r'));
        let mut start = sentence.start;
        for word in self.text[sentence].split(is_blank) {
            let range = trimmed(self.text, start..start + word.len());
            if !range.is_empty() {
                each(range);
            }
            start += word.len();
            start += self.text[start..].chars().next().map_or(0, char::len_utf8);
        }
    }

    /// Cuts a word that does not fit into pieces that do, each about as large as possible.
    fn pieces(&self, word: Range<usize>, each: &mut dyn FnMut(Unit)) {
        let (mut start, mut guess) = (word.start, self.bytes_max());
        while start < word.end {
            let first_char = self.text[start..].chars().next().map_or(1, char::len_utf8);
            let border = |bytes: usize| {
                self.text.floor_char_boundary((start + bytes).min(word.end)).max(start + first_char)
            };
            let mut end = border(guess);
            let mut cost = self.cost(&(start..end));
            while cost > self.chunk_tokens && end > start + first_char {
                let bytes = end - start;
                end = border((bytes * self.chunk_tokens / cost).min(bytes - bytes.div_ceil(8)));
                cost = self.cost(&(start..end));
            }
            // A control character may be white space at a piece's end; the piece's cost is not less without it.
            let piece = trimmed(self.text, start..end);
            if !piece.is_empty() {
                each(Unit { start: piece.start, end: piece.end, cost, goes_on_word: start > word.start });
            }
            let bytes = end - start;
            guess = (bytes + bytes / 4 + 4).min(self.bytes_max());
            start = end;
        }
    }
}
