//! Which words does a text have, once it is cleaned, decomposed and lowercased?
//!
//! One walk over the bytes. ASCII, the common case, is one table look-up a byte; any other character takes the long way:
//! cleaning, ideographs, canonical decomposition, marks, lowercase, punctuation, in this order.
//!
//! Invariants:
//! 1. A word is handed out as soon as it ends and lies in a buffer on the stack until then.
//! 2. Marks are not put into canonical order: nearly all of them are stripped, and the few that stay are in no vocabulary,
//!    so their word is unknown in any order.

use unicode_normalization::char::decompose_canonical;

use super::WORD_CHARS_MAX;
use super::unicode::{Class, class, is_ideograph};

/// A normalised word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Word<'a> {
    /// At most [`WORD_CHARS_MAX`] characters, as UTF-8; never empty.
    Short(&'a [u8]),
    /// A longer one, which nobody needs to see.
    Long,
}

/// Calls `each` with every word of the text in order. Punctuation and ideographs are words.
pub(super) fn walk(text: &str, each: impl FnMut(Word<'_>)) {
    let mut walker = Walker { each, word: [0; 4 * WORD_CHARS_MAX], bytes: 0, chars: 0 };
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match ASCII[usize::from(byte)] {
            Ascii::Letter(lowered) => walker.push_byte(lowered),
            Ascii::Space => walker.end_word(),
            Ascii::Punctuation => walker.punctuation(char::from(byte)),
            Ascii::Drop => {}
            Ascii::No => {
                if let Some(c) = text[at - 1..].chars().next() {
                    walker.wide(c);
                    at += c.len_utf8() - 1;
                }
            }
        }
    }
    walker.end_word();
}

/// What to do with a byte.
#[derive(Clone, Copy)]
enum Ascii {
    /// Part of a word, in lower case.
    Letter(u8),
    Space,
    Punctuation,
    /// A control character.
    Drop,
    /// Not ASCII: the first byte of a longer character.
    No,
}

static ASCII: [Ascii; 256] = {
    let mut table = [Ascii::No; 256];
    let mut byte = 0u8;
    while byte < 128 {
        table[byte as usize] = match byte {
            b' ' | b'\t' | b'\n' | b'\r' => Ascii::Space,
            _ if byte.is_ascii_control() => Ascii::Drop,
            _ if byte.is_ascii_punctuation() => Ascii::Punctuation,
            _ => Ascii::Letter(byte.to_ascii_lowercase()),
        };
        byte += 1;
    }
    table
};

struct Walker<F> {
    each: F,
    word: [u8; 4 * WORD_CHARS_MAX],
    bytes: usize,
    chars: usize,
}

impl<F: FnMut(Word<'_>)> Walker<F> {
    fn push_byte(&mut self, byte: u8) {
        self.chars += 1;
        if self.chars <= WORD_CHARS_MAX {
            self.word[self.bytes] = byte;
            self.bytes += 1;
        }
    }

    fn push(&mut self, c: char) {
        self.chars += 1;
        if self.chars <= WORD_CHARS_MAX {
            self.bytes += c.encode_utf8(&mut self.word[self.bytes..]).len();
        }
    }

    fn end_word(&mut self) {
        match self.chars {
            0 => return,
            1..=WORD_CHARS_MAX => (self.each)(Word::Short(&self.word[..self.bytes])),
            _ => (self.each)(Word::Long),
        }
        (self.bytes, self.chars) = (0, 0);
    }

    fn punctuation(&mut self, c: char) {
        self.end_word();
        self.push(c);
        self.end_word();
    }

    /// A character outside ASCII.
    fn wide(&mut self, c: char) {
        let its_class = class(c);
        if its_class == Class::Drop {
        } else if c.is_whitespace() {
            self.end_word();
        } else if is_ideograph(c) {
            self.end_word();
            decompose_canonical(c, |part| self.push(part));
            self.end_word();
        } else {
            decompose_canonical(c, |part| self.decomposed(part));
        }
    }

    /// A part of a decomposed character, which may well be ASCII.
    fn decomposed(&mut self, part: char) {
        if !part.is_ascii() && class(part) == Class::Mark {
            return;
        }
        for c in part.to_lowercase() {
            if c.is_whitespace() {
                self.end_word();
            } else if c.is_ascii_punctuation() || (!c.is_ascii() && class(c) == Class::Punctuation) {
                self.punctuation(c);
            } else {
                self.push(c);
            }
        }
    }
}
