//! How do the rows that have a word lie in a segment, and how are the best of many found without reading all?
//!
//! The postings of a word that more than [`BLOCK_POSTINGS`] rows have are looked at in blocks of that many. What stands before
//! them says of each block where it ends and what none of its rows goes beyond ([`Bound`]): BM25 rises with how often a row has a
//! word and falls with how many words it has, so whatever the statistics are when somebody searches, what the best of a block's
//! bounds scores no row of the block exceeds.
//!
//! Invariant: a posting's block has a bound of as many `times` or more, and of as few `words` or fewer.

use crate::Damage;
use crate::wire::{Reader, Writer};
use std::ops::Range;

/// Postings of each block, but the last.
pub const BLOCK_POSTINGS: usize = 128;

/// A row that has a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// Which row.
    pub row: u32,
    /// How often it has it, at least once.
    pub times: u32,
}

/// A row that has a word so often and so few words scores as much as some of a block's rows, or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// How often it has the word.
    pub times: u32,
    /// How many words it has, as section *postings* says.
    pub words: u16,
}

/// What is known of a word's blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostingBlocks {
    postings: usize,
    /// The last row of each.
    last_rows: Vec<u32>,
    /// Where each ends, from where the first begins.
    ends: Vec<u64>,
    bounds: Vec<Bound>,
    /// Where the bounds of each end.
    bound_ends: Vec<usize>,
}

impl PostingBlocks {
    /// Of postings, and how many words the row of each has.
    pub fn of(postings: &[Posting], words: &[u16]) -> Self {
        let mut blocks = Self { postings: postings.len(), ..Self::default() };
        let (mut next, mut end) = (0, 0);
        let mut bytes = Writer::default();
        for (block, words) in postings.chunks(BLOCK_POSTINGS).zip(words.chunks(BLOCK_POSTINGS)) {
            bytes.0.clear();
            next = write_postings(&mut bytes, next, block);
            end += bytes.0.len() as u64;
            let bounds =
                block.iter().zip(words).map(|(&Posting { times, .. }, &words)| Bound { times, words });
            blocks.add(next - 1, end, bounds.collect());
        }
        blocks
    }

    /// Of postings that stay in memory: one bound for each block, the loosest, and no places.
    pub fn held(postings: &[Posting], words: &[u16]) -> Self {
        let mut blocks = Self { postings: postings.len(), ..Self::default() };
        for (block, words) in postings.chunks(BLOCK_POSTINGS).zip(words.chunks(BLOCK_POSTINGS)) {
            let times = block.iter().fold(0, |most, posting| most.max(posting.times));
            let words = words.iter().copied().min().unwrap_or(0);
            blocks.last_rows.push(block[block.len() - 1].row);
            blocks.ends.push(0);
            blocks.bounds.push(Bound { times, words });
            blocks.bound_ends.push(blocks.bounds.len());
        }
        blocks
    }

    /// Adds a block; of its rows' bounds those that no other covers.
    fn add(&mut self, last_row: u32, end: u64, mut bounds: Vec<Bound>) {
        self.last_rows.push(last_row);
        self.ends.push(end);
        // The more often the more words: what is more often and no longer covers what is less often.
        bounds.sort_unstable_by_key(|bound| (std::cmp::Reverse(bound.times), bound.words));
        let first = self.bounds.len();
        for bound in bounds {
            if self.bounds[first..].last().is_none_or(|covering| bound.words < covering.words) {
                self.bounds.push(bound);
            }
        }
        self.bounds[first..].reverse();
        self.bound_ends.push(self.bounds.len());
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.last_rows.len()
    }

    /// The last row of a block.
    pub fn last_row(&self, block: usize) -> u32 {
        self.last_rows[block]
    }

    /// No row of a block is below this one.
    pub fn first_row(&self, block: usize) -> u32 {
        if block == 0 { 0 } else { self.last_rows[block - 1] + 1 }
    }

    /// The first block from this one on that has a row which is not below this one; their count when none has.
    pub fn seek(&self, from: usize, row: u32) -> usize {
        // Most often it is this one or one of the next.
        let near = self.count().min(from.saturating_add(4));
        match self.last_rows.get(from..near).and_then(|near| near.iter().position(|&last| last >= row)) {
            Some(steps) => from + steps,
            None => near.max(self.last_rows.partition_point(|&last| last < row)),
        }
    }

    /// Where a block is, from where the first begins.
    pub fn bytes(&self, block: usize) -> Range<u64> {
        let begin = if block == 0 { 0 } else { self.ends[block - 1] };
        begin..self.ends[block]
    }

    /// What no row of a block goes beyond; at least one.
    pub fn bounds(&self, block: usize) -> &[Bound] {
        let begin = if block == 0 { 0 } else { self.bound_ends[block - 1] };
        &self.bounds[begin..self.bound_ends[block]]
    }

    fn postings_of(&self, block: usize) -> usize {
        (self.postings - block * BLOCK_POSTINGS).min(BLOCK_POSTINGS)
    }

    /// Those of a block, of all postings.
    pub fn of_block<'p>(&self, postings: &'p [Posting], block: usize) -> &'p [Posting] {
        let begin = block * BLOCK_POSTINGS;
        &postings[begin..begin + self.postings_of(block)]
    }

    /// Reads the postings of a block in place of what is there.
    pub fn read(&self, block: usize, bytes: &[u8], postings: &mut Vec<Posting>) -> Result<(), Damage> {
        postings.clear();
        let (first, last) = (self.first_row(block), self.last_row(block));
        let mut input = Reader::new("posting", bytes);
        read_postings(&mut input, first, self.postings_of(block), last.saturating_add(1), postings)?;
        input.finish()?;
        match postings.last() {
            Some(found) if found.row == last => Ok(()),
            _ => Err(Damage::new("posting", format_args!("a block that ends with row {last}"), "another")),
        }
    }

    /// What stands before the postings: its length, and each block's.
    pub fn write(&self, out: &mut Writer) {
        let mut table = Writer::default();
        for block in 0..self.count() {
            let postings = self.postings_of(block) as u64;
            let rows = u64::from(self.last_row(block)) + 1 - u64::from(self.first_row(block));
            let bytes = self.bytes(block);
            table.varint(rows - postings).varint(bytes.end - bytes.start - 2 * postings);
            table.varint(self.bounds(block).len() as u64);
            let (mut times, mut words) = (0, 0);
            for bound in self.bounds(block) {
                table.varint(u64::from(bound.times - times) - 1).varint(u64::from(bound.words - words));
                (times, words) = (bound.times, bound.words);
            }
        }
        out.varint(table.0.len() as u64).raw(&table.0);
    }

    /// Reads what stands before the postings of a word that so many rows have, of a segment of `rows_max`. It tells blocks
    /// that take `postings_bytes` together.
    pub fn read_table(table: &[u8], rows: u32, rows_max: u32, postings_bytes: u64) -> Result<Self, Damage> {
        let count = (rows as usize).div_ceil(BLOCK_POSTINGS);
        // Each takes five bytes at least.
        if count > table.len() / 5 {
            let damage = Damage::new("posting blocks", format_args!("{count} of five bytes"), table.len());
            return Err(damage);
        }
        let mut blocks = Self {
            postings: rows as usize,
            last_rows: Vec::with_capacity(count),
            ends: Vec::with_capacity(count),
            bounds: Vec::with_capacity(table.len() / 2),
            bound_ends: Vec::with_capacity(count),
        };
        let mut input = Reader::new("posting blocks", table);
        let (mut next, mut end) = (0_u64, 0_u64);
        for block in 0..count {
            let postings = blocks.postings_of(block) as u64;
            next = next.saturating_add(postings).saturating_add(input.varint()?);
            end = end.saturating_add(2 * postings).saturating_add(input.varint()?);
            if next > u64::from(rows_max) || end > postings_bytes {
                return Err(Damage::new("posting blocks", "rows and bytes of the word's postings", "more"));
            }
            blocks.last_rows.push((next - 1) as u32);
            blocks.ends.push(end);
            blocks.read_bounds(&mut input, postings)?;
        }
        input.finish()?;
        if end != postings_bytes {
            return Err(Damage::new("posting blocks", format_args!("{postings_bytes} bytes"), end));
        }
        Ok(blocks)
    }

    fn read_bounds(&mut self, input: &mut Reader<'_>, postings: u64) -> Result<(), Damage> {
        let count = input.varint()?;
        if count == 0 || count > postings {
            return Err(Damage::new("posting bounds", format_args!("1 to {postings}"), count));
        }
        let (mut times, mut words) = (0_u64, 0_u64);
        for number in 0..count {
            let (more_often, more_words) = (input.varint()?, input.varint()?);
            times = times.saturating_add(more_often).saturating_add(1);
            words = words.saturating_add(more_words);
            let (Ok(times), Ok(words)) = (u32::try_from(times), u16::try_from(words)) else {
                return Err(Damage::new("posting bounds", "counts of words", "more"));
            };
            if more_words == 0 && number > 0 {
                return Err(Damage::new("posting bounds", "more words where it is more often", "as many"));
            }
            self.bounds.push(Bound { times, words });
        }
        self.bound_ends.push(self.bounds.len());
        Ok(())
    }
}

/// Appends postings of rows that are none below `next`; answers what the next ones may not be below.
pub(crate) fn write_postings(out: &mut Writer, mut next: u32, postings: &[Posting]) -> u32 {
    for posting in postings {
        out.varint(u64::from(posting.row - next)).varint(u64::from(posting.times));
        next = posting.row + 1;
    }
    next
}

/// Appends so many postings, of rows from `first` on that are below `end`.
pub(crate) fn read_postings(
    input: &mut Reader<'_>,
    first: u32,
    count: usize,
    end: u32,
    postings: &mut Vec<Posting>,
) -> Result<(), Damage> {
    let mut next = u64::from(first);
    for _ in 0..count {
        let (step, times) = match input.short_pair() {
            Some(pair) => pair,
            None => (input.varint()?, input.varint()?),
        };
        let row = next.saturating_add(step);
        let (Ok(row), Ok(times @ 1..)) = (u32::try_from(row), u32::try_from(times)) else {
            return Err(Damage::new("posting", "a row, and how often it has the word", "more"));
        };
        if row >= end {
            return Err(Damage::new("posting", format_args!("a row below {end}"), row));
        }
        next = u64::from(row) + 1;
        postings.push(Posting { row, times });
    }
    Ok(())
}
