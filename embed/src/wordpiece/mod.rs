//! Which tokens does a text have?
//!
//! The tokenizer of BERT uncased, written anew for speed: a text is walked once (`words`), each word is cut into the
//! longest pieces that the vocabulary knows (here, over the index in `vocabulary`). `unicode` classes the characters
//! outside ASCII.
//!
//! Invariants:
//! 1. The tokens are those of the encoder's own tokenizer: clean, space out ideographs, decompose, strip marks, lowercase,
//!    split at white space and punctuation, longest match first. `tests` compares the two token for token.
//! 2. A word with a part that the vocabulary does not know is one unknown token as a whole; so is one of more than
//!    [`WORD_CHARS_MAX`] characters.
//! 3. No text has special tokens such as `[CLS]` in it: brackets are words of their own, so nothing can spell them.
//! 4. No allocation for each word or token, and at most `longest token` look-ups for each byte of a word.

mod unicode;
mod vocabulary;
mod words;

use crate::table::TableError;
use vocabulary::{Place, Scratch, Vocabulary};
use words::Word;

/// Characters, after normalising, above which a word is not looked at.
const WORD_CHARS_MAX: usize = 100;

/// A tokenizer over one vocabulary.
pub(crate) struct WordPiece {
    vocabulary: Vocabulary,
}

impl WordPiece {
    /// `tokens` in the order of their rows.
    pub(crate) fn new(tokens: &[&str]) -> Result<Self, TableError> {
        Ok(Self { vocabulary: Vocabulary::new(tokens)? })
    }

    /// Calls `each` with every token of the text in order: its row, or `None` for an unknown word.
    pub(crate) fn tokens(&self, text: &str, mut each: impl FnMut(Option<u32>)) {
        let (mut pieces, mut scratch) = ([0; WORD_CHARS_MAX], Scratch::new());
        words::walk(text, |word| match self.pieces(word, &mut pieces, &mut scratch) {
            Some(count) => pieces[..count].iter().for_each(|&row| each(Some(row))),
            None => each(None),
        });
    }

    /// Cuts a word into known pieces, the longest first; how many, or none if some part is unknown.
    fn pieces(
        &self,
        word: Word<'_>,
        pieces: &mut [u32; WORD_CHARS_MAX],
        scratch: &mut Scratch,
    ) -> Option<usize> {
        let Word::Short(mut rest) = word else { return None };
        let (mut count, mut place) = (0, Place::Start);
        while !rest.is_empty() {
            let (row, bytes) = self.vocabulary.longest_prefix(rest, place, scratch)?;
            // A piece has at least one character and a word at most as many as `pieces` has room for.
            pieces[count] = row;
            count += 1;
            rest = &rest[bytes..];
            place = Place::Inside;
        }
        Some(count)
    }
}

#[cfg(test)]
mod tests;
