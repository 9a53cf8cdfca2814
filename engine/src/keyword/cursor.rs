//! How is what a source has of a term gone through, and what do its rows score for it at most?
//!
//! A list is in memory, or in a segment in blocks; either way each block has a bound, and is read when it is asked for.
//!
//! Invariant: no row of a block scores more for the term than its bound, whatever the statistics are. A
//! [`Bound`](strongroom_format::posting_blocks::Bound) covers a row that has the word no more often and no fewer words. A share falls with
//! the number of words step by step, rounding included, and rises with how often but for the rounding of three operations, which
//! [`BOUND_SLACK`] is more than. Rounding to `f32` keeps the order.

use super::{Holders, norm, share};
use crate::io::Fault;
use crate::segment::{Blocked, Lengths};
use strongroom_format::posting_blocks::PostingBlocks;
use strongroom_format::words::Posting;

/// More than three roundings can take away.
const BOUND_SLACK: f64 = 1.0 + 1.0 / (1_u64 << 48) as f64;
/// What rows with fewer words than this are held against is computed once.
const NORMS: usize = 1024;

/// The rows that have a term.
pub enum List<'a> {
    /// Live ones, in memory.
    Held(Vec<Posting>),
    /// In a segment; and how many of them are live.
    Blocked(Blocked<'a>, u64),
}

impl From<Vec<Posting>> for List<'_> {
    fn from(postings: Vec<Posting>) -> Self {
        Self::Held(postings)
    }
}

impl Holders for List<'_> {
    fn count(&self) -> u64 {
        match self {
            Self::Held(postings) => postings.len() as u64,
            Self::Blocked(_, live) => *live,
        }
    }
}

/// How many words the rows of a source have.
pub enum RowLengths<'a> {
    /// In memory.
    Held(Vec<u16>),
    /// In a segment.
    Segment(Lengths<'a>),
}

impl RowLengths<'_> {
    /// Those of rows that follow each other, from this one on.
    pub(super) fn read(&mut self, first: u32, lengths: &mut [u16]) -> Result<(), Fault> {
        match self {
            Self::Held(held) => {
                lengths.copy_from_slice(&held[first as usize..first as usize + lengths.len()]);
                Ok(())
            }
            Self::Segment(segment) => segment.read(first, lengths),
        }
    }
}

/// What shares are held against, by how many words a row has.
pub(super) struct Norms {
    /// How many words a row has on average.
    mean: f64,
    known: Vec<f64>,
}

impl Norms {
    pub(super) fn new(mean: f64) -> Self {
        Self { mean, known: vec![f64::NAN; NORMS] }
    }

    pub(super) fn of(&mut self, words: u16) -> f64 {
        let Some(known) = self.known.get_mut(usize::from(words)) else { return norm(self.mean, words) };
        if known.is_nan() {
            *known = norm(self.mean, words);
        }
        *known
    }
}

/// A term's list, as it is gone through.
pub(super) struct Cursor<'a> {
    list: List<'a>,
    /// Of a held list.
    blocks: PostingBlocks,
    /// What a row scores for the term at most.
    pub(super) most: f64,
    /// What a row of each block scores for it at most, and one of any.
    pub(super) bounds: Vec<f32>,
    pub(super) bound: f32,
    /// The first block that reaches into the window or beyond.
    pub(super) block: usize,
    /// The block that was read last, and its postings.
    read: Option<usize>,
    postings: Vec<Posting>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(
        list: List<'a>,
        most: f64,
        lengths: &mut RowLengths<'a>,
        norms: &mut Norms,
    ) -> Result<Self, Fault> {
        let mut blocks = PostingBlocks::default();
        if let List::Held(postings) = &list {
            let mut words = vec![0; postings.len()];
            for (words, posting) in words.iter_mut().zip(postings) {
                lengths.read(posting.row, std::slice::from_mut(words))?;
            }
            blocks = PostingBlocks::held(postings, &words);
        }
        let mut cursor = Self {
            list,
            blocks,
            most,
            bounds: Vec::new(),
            bound: 0.0,
            block: 0,
            read: None,
            postings: Vec::new(),
        };
        let blocks = cursor.blocks();
        let bound_of = |block| {
            let shares =
                blocks.bounds(block).iter().map(|bound| share(most, bound.times, norms.of(bound.words)));
            (shares.fold(0.0, f64::max) * BOUND_SLACK) as f32
        };
        let bounds: Vec<f32> = (0..blocks.count()).map(bound_of).collect();
        cursor.bound = bounds.iter().copied().fold(0.0, f32::max);
        cursor.bounds = bounds;
        Ok(cursor)
    }

    fn blocks(&self) -> &PostingBlocks {
        match &self.list {
            List::Held(_) => &self.blocks,
            List::Blocked(blocked, _) => blocked.blocks(),
        }
    }

    /// Goes to the first block that has a row which is not below this one; answers what no such row is below.
    pub(super) fn advance(&mut self, row: u32) -> Option<u32> {
        self.block = self.blocks().seek(self.block, row);
        (self.block < self.blocks().count()).then(|| self.blocks().first_row(self.block).max(row))
    }

    /// What a row from where it stands to this one (excluded) scores for the term at most, and in how many blocks they are.
    pub(super) fn bound_below(&self, end: u32) -> (f32, usize) {
        let blocks = self.blocks();
        let here = (self.block..blocks.count()).take_while(|&block| blocks.first_row(block) < end);
        here.fold((0.0, 0), |(bound, count), block| (self.bounds[block].max(bound), count + 1))
    }

    /// The postings of a block.
    pub(super) fn read(&mut self, block: usize) -> Result<&[Posting], Fault> {
        match &mut self.list {
            List::Held(postings) => Ok(self.blocks.of_block(postings, block)),
            List::Blocked(blocked, _) => {
                if self.read != Some(block) {
                    self.read = None;
                    blocked.read(block, &mut self.postings)?;
                    self.read = Some(block);
                }
                Ok(&self.postings)
            }
        }
    }

    /// How many live rows have the term.
    pub(super) fn count(&self) -> u64 {
        self.list.count()
    }

    /// Back to the first block.
    pub(super) fn rewind(&mut self) {
        self.block = 0;
    }

    /// What this row, which is not before the block where it stands, scores for the term at most. Goes to the row's block.
    pub(super) fn bound_at(&mut self, row: u32) -> f32 {
        self.advance(row);
        self.bounds.get(self.block).copied().unwrap_or(0.0)
    }

    /// How often this row, which is in the window or behind it, has the term.
    pub(super) fn times(&mut self, row: u32) -> Result<u32, Fault> {
        let block = self.blocks().seek(self.block, row);
        if block == self.blocks().count() {
            return Ok(0);
        }
        let postings = self.read(block)?;
        Ok(postings.binary_search_by_key(&row, |posting| posting.row).map_or(0, |at| postings[at].times))
    }
}
