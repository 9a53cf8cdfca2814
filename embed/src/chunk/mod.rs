//! How is a document's text cut into passages?
//!
//! Text → blocks (`form`: what a heading, a table, code, a record or an element of JSON is) → sentences (`sentence`) → units (`unit`:
//! a sentence, line or record, or the words of one that is too long, or pieces of a word that is too long) → passages (here): units are
//! packed until the next one would not fit, and a passage begins with as many of the last one's trailing units as the overlap allows.
//! At a heading, and before a table or code that fits a passage and not the rest of this one, a passage ends and nothing is repeated.
//!
//! Invariants:
//! 1. Passages cover all that is not white space; each begins and ends with something that is not, on character borders.
//! 2. Starts rise strictly, and so do ends: no passage lies within another.
//! 3. No passage has more than `chunk_tokens` tokens, unless a single character has. For this, counting must not find more
//!    in a text than in its parts, cut at white space or behind punctuation; word-piece tokenizers keep to that.
//! 4. No passage has more than `16 × chunk_tokens` bytes or so ([`unit::BYTES_PER_TOKEN_MAX`]), however few tokens the
//!    tokenizer sees in it: what it cannot read must not grow without bound.
//! 5. Time is linear: a byte is shown to the tokenizer a bounded number of times, whatever the text and the overlap.

mod form;
mod sentence;
mod unit;

use std::collections::VecDeque;

use thiserror::Error;

use form::Block;
pub use form::Form;
use unit::{Cutter, Unit, gap_cost};

/// The most tokens a passage may be asked to have.
const CHUNK_TOKENS_MAX: usize = 8192;

/// How large passages are and how much of the last one each repeats. Values out of range that were written into the
/// fields count as the nearest ones in range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChunkOptions {
    /// The most tokens in a passage, 1 to 8192.
    pub chunk_tokens: usize,
    /// The most tokens that a passage repeats from the end of the one before, fewer than `chunk_tokens`.
    pub overlap_tokens: usize,
}

impl ChunkOptions {
    /// Options within their limits.
    ///
    /// # Errors
    /// When a value is out of range; the caller should report it to whoever chose it.
    pub fn new(chunk_tokens: usize, overlap_tokens: usize) -> Result<Self, ChunkError> {
        if !(1..=CHUNK_TOKENS_MAX).contains(&chunk_tokens) {
            return Err(ChunkError::ChunkTokens { found: chunk_tokens });
        }
        if overlap_tokens >= chunk_tokens {
            return Err(ChunkError::OverlapTokens { found: overlap_tokens, chunk_tokens });
        }
        Ok(Self { chunk_tokens, overlap_tokens })
    }
}

impl Default for ChunkOptions {
    /// Chosen by measurement, see `docs/decisions/0002-built-in-embedder.md`.
    fn default() -> Self {
        Self { chunk_tokens: 192, overlap_tokens: 24 }
    }
}

/// Why chunking options are refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The passage size is out of range.
    #[error("a passage can have 1 to 8192 tokens, not {found}")]
    ChunkTokens {
        /// What was asked for.
        found: usize,
    },
    /// The overlap is not smaller than the passage.
    #[error("an overlap of {found} tokens does not fit passages of {chunk_tokens}")]
    OverlapTokens {
        /// What was asked for.
        found: usize,
        /// The passage size it was asked for with.
        chunk_tokens: usize,
    },
}

/// Where in its text a passage stands: a range of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// The first byte.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
}

/// Cuts a text into passages, in order; none for a text that is all white space.
///
/// `count_tokens` is the model's own measure, [`Embedder::count_tokens`](crate::Embedder::count_tokens).
pub fn chunk(text: &str, options: &ChunkOptions, count_tokens: &dyn Fn(&str) -> usize) -> Vec<Chunk> {
    chunk_as(Form::Prose, text, options, count_tokens)
}

/// The same for a text of this form.
pub fn chunk_as(
    form: Form,
    text: &str,
    options: &ChunkOptions,
    count_tokens: &dyn Fn(&str) -> usize,
) -> Vec<Chunk> {
    let chunk_tokens = options.chunk_tokens.clamp(1, CHUNK_TOKENS_MAX);
    let overlap_tokens = options.overlap_tokens;
    let mut packer = Packer {
        chunk_tokens,
        overlap_tokens,
        open: VecDeque::new(),
        cost: 0,
        is_heading: false,
        chunks: Vec::new(),
    };
    let cutter = Cutter { text, chunk_tokens, count_tokens };
    match form {
        Form::Prose => cutter.sentences(0..text.len(), &mut |unit| packer.push(unit)),
        Form::Markdown => form::markdown(text, &mut |block| packer.push_block(&cutter, block)),
        Form::Rows => form::rows(text, cutter.bytes_max(), &mut |record| {
            cutter.fitted(record, &mut |unit| packer.push(unit));
        }),
        Form::Json => {
            let fits = |part: &std::ops::Range<usize>| cutter.whole(part).is_some();
            form::json(text, &fits, &mut |part| match cutter.whole(&part) {
                Some(unit) => packer.push(unit),
                None => cutter.sentences(part, &mut |unit| packer.push(unit)),
            });
        }
    }
    packer.close();
    packer.chunks
}

/// Fills passages one after the other.
struct Packer {
    chunk_tokens: usize,
    /// One that is no smaller than the passage does what the largest smaller one does, for new text has to fit too.
    overlap_tokens: usize,
    /// The units of the passage in the making; between two pushes the last of them is in no finished passage.
    open: VecDeque<Unit>,
    /// What the open units and the gaps between them cost.
    cost: usize,
    /// Whether the open units are headings that no text has followed yet.
    is_heading: bool,
    chunks: Vec<Chunk>,
}

impl Packer {
    fn push_block(&mut self, cutter: &Cutter<'_>, block: Block) {
        match block {
            Block::Prose(part) => cutter.sentences(part, &mut |unit| {
                self.is_heading = false;
                self.push(unit);
            }),
            Block::Heading(part) => {
                // Headings that follow each other stand over the same text.
                if !self.is_heading {
                    self.end();
                }
                cutter.fitted(part, &mut |unit| self.push(unit));
                self.is_heading = true;
            }
            Block::Lines(lines) => {
                let mut units: Vec<Unit> = Vec::with_capacity(lines.len());
                for line in lines {
                    cutter.fitted(line, &mut |unit| units.push(unit));
                }
                let gaps: usize = units.windows(2).map(|pair| gap_cost(&pair[0], &pair[1])).sum();
                let cost = units.iter().map(|unit| unit.cost).sum::<usize>() + gaps;
                // A gap before the first is more than it can cost.
                let fits_here = self.cost + cost < self.chunk_tokens;
                if !fits_here && cost <= self.chunk_tokens && !self.is_heading {
                    self.end();
                }
                self.is_heading = false;
                units.into_iter().for_each(|unit| self.push(unit));
            }
        }
    }

    /// Ends the open passage; the next one repeats nothing of it.
    fn end(&mut self) {
        self.close();
        self.open.clear();
        self.cost = 0;
    }

    fn push(&mut self, unit: Unit) {
        let with_gap = |last: Option<&Unit>| unit.cost + last.map_or(0, |last| gap_cost(last, &unit));
        let fits = self.cost + with_gap(self.open.back()) <= self.chunk_tokens;
        if !self.open.is_empty() && (unit.goes_on_word || !fits) {
            self.close();
            // At least one unit goes, for they did not all fit together with the new one: the next passage starts later.
            // Each unit goes once, so this is linear.
            while !self.open.is_empty()
                && (unit.goes_on_word
                    || self.cost > self.overlap_tokens
                    || self.cost + with_gap(self.open.back()) > self.chunk_tokens)
            {
                self.drop_first();
            }
        }
        self.cost += with_gap(self.open.back());
        self.open.push_back(unit);
    }

    /// Finishes the open passage; its units stay, to be overlapped with.
    fn close(&mut self) {
        if let (Some(first), Some(last)) = (self.open.front(), self.open.back()) {
            self.chunks.push(Chunk { start: first.start, end: last.end });
        }
    }

    fn drop_first(&mut self) {
        if let Some(gone) = self.open.pop_front() {
            self.cost -= gone.cost + self.open.front().map_or(0, |next| gap_cost(&gone, next));
        }
    }
}

#[cfg(test)]
mod tests;
