//! Which rows of a source score enough by their words, without scoring all that have one?
//!
//! MaxScore (Turtle and Flood 1995) over windows of rows that follow each other, with what the blocks of postings in a window
//! tell of it (Ding and Suel 2011). What a row has to score is known and rises. In each window those terms that
//! together can't lift a row so far are set aside; the others are gone through, block by block, as far as a block can matter; and
//! what of their rows may still score enough is looked up in all terms and scored as [`score`](super::score) scores it.
//!
//! Invariants:
//! 1. A row is offered with the score that [`score`](super::score) gives it, to the last bit: its shares are summed in the order of
//!    the terms.
//! 2. Every row that passes and scores what has to be reached, or more, is offered.
//!
//! Why 2 holds. A [`Bound`](strongroom_format::posting_blocks::Bound) covers a row that has the word no more often and no fewer words. A share
//! falls with the number of words step by step, rounding included, and rises with how often but for the rounding of three
//! operations, which [`BOUND_SLACK`] is more than. Rounding to `f32` keeps the order. Shares are then summed in another order than scores
//! are; each order is off by less than 2^-24 for each term, which [`slack`] is more than for both.

use super::beginnings::as_one_word;
use super::{Found, Holders, Statistics, Terms, Weights, share};
use crate::io::Fault;
use crate::segment::{Blocked, Lengths};
use strongroom_format::posting_blocks::{BLOCK_POSTINGS, PostingBlocks};
use strongroom_format::words::Posting;

/// Rows that are looked at together.
const WINDOW_ROWS: u32 = 2048;
/// So many of a window's rows are scored first, for what has to be reached to rise.
const FIRST: usize = 32;
/// A row that may score enough costs about as much to look up as so many postings to go through.
const LOOKUP_POSTINGS: usize = 64;
/// After so many windows at most it is tried again whether looking up is the faster way.
const DENSE_MAX: u32 = 16;
/// More than three roundings can take away.
const BOUND_SLACK: f64 = 1.0 + 1.0 / (1_u64 << 48) as f64;
/// What rows with fewer words than this are held against is computed once.
const NORMS: usize = 1024;

/// What takes the rows of a source.
pub trait Sink {
    /// What a row has to score. It may rise when rows are taken.
    fn threshold(&self) -> f32;
    /// Which of these rows pass, a bit each, the lowest of the first word first; whether any does. There is room for them.
    fn passing(&self, first: u32, rows: usize, bits: &mut [u64]) -> bool;
    /// Takes rows that pass, which rise, with their scores.
    fn take(&mut self, rows: &[(u32, f32)]);
}

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
    fn read(&mut self, first: u32, lengths: &mut [u16]) -> Result<(), Fault> {
        match self {
            Self::Held(held) => {
                lengths.copy_from_slice(&held[first as usize..first as usize + lengths.len()]);
                Ok(())
            }
            Self::Segment(segment) => segment.read(first, lengths),
        }
    }
}

/// A query's terms in each source, weighed by all of them.
pub struct Weighed<'a> {
    weights: Weights,
    sources: Vec<Vec<List<'a>>>,
}

impl<'a> Weighed<'a> {
    /// From what each source has of the terms.
    pub fn of(terms: &Terms, statistics: Statistics, sources: Vec<Vec<Found<List<'a>>>>) -> Self {
        let sources = as_one_word(sources);
        Self { weights: Weights::of(terms, statistics, &sources), sources }
    }

    /// Offers the rows of the source of this number, which has so many, that score enough. To be called once for each.
    pub fn offer(
        &mut self,
        source: usize,
        rows: u32,
        lengths: RowLengths<'a>,
        sink: &mut impl Sink,
    ) -> Result<(), Fault> {
        let lists = std::mem::take(&mut self.sources[source]);
        let mut norms = Norms { weights: &self.weights, known: vec![f64::NAN; NORMS] };
        let mut search =
            Search { rows, lengths, cursors: Vec::new(), slack: slack(lists.len()), dense: 0, dense_next: 1 };
        for (list, &most) in lists.into_iter().zip(&self.weights.most) {
            if list.count() > 0 {
                let cursor = Cursor::new(list, most, &mut search.lengths, &mut norms)?;
                search.cursors.push(cursor);
            }
        }
        search.run(&mut norms, sink)
    }
}

/// By how much a sum of so many shares in one order may differ from that in another.
fn slack(terms: usize) -> f64 {
    1.0 + (terms + 2) as f64 / f64::from(1 << 22)
}

/// What shares are held against, by how many words a row has.
struct Norms<'w> {
    weights: &'w Weights,
    known: Vec<f64>,
}

impl Norms<'_> {
    fn of(&mut self, words: u16) -> f64 {
        let Some(known) = self.known.get_mut(usize::from(words)) else { return self.weights.norm(words) };
        if known.is_nan() {
            *known = self.weights.norm(words);
        }
        *known
    }
}

/// A term's list, as it is gone through.
struct Cursor<'a> {
    list: List<'a>,
    /// Of a held list.
    blocks: PostingBlocks,
    /// What a row scores for the term at most.
    most: f64,
    /// What a row of each block scores for it at most, and one of any.
    bounds: Vec<f32>,
    bound: f32,
    /// The first block that reaches into the window or beyond.
    block: usize,
    /// The block that was read last, and its postings.
    read: Option<usize>,
    postings: Vec<Posting>,
}

impl<'a> Cursor<'a> {
    fn new(
        list: List<'a>,
        most: f64,
        lengths: &mut RowLengths<'a>,
        norms: &mut Norms<'_>,
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
    fn advance(&mut self, row: u32) -> Option<u32> {
        self.block = self.blocks().seek(self.block, row);
        (self.block < self.blocks().count()).then(|| self.blocks().first_row(self.block).max(row))
    }

    /// What a row from where it stands to this one (excluded) scores for the term at most, and in how many blocks they are.
    fn bound_below(&self, end: u32) -> (f32, usize) {
        let blocks = self.blocks();
        let here = (self.block..blocks.count()).take_while(|&block| blocks.first_row(block) < end);
        here.fold((0.0, 0), |(bound, count), block| (self.bounds[block].max(bound), count + 1))
    }

    /// The postings of a block.
    fn read(&mut self, block: usize) -> Result<&[Posting], Fault> {
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

    /// How often this row, which is in the window or behind it, has the term.
    fn times(&mut self, row: u32) -> Result<u32, Fault> {
        let block = self.blocks().seek(self.block, row);
        if block == self.blocks().count() {
            return Ok(0);
        }
        let postings = self.read(block)?;
        Ok(postings.binary_search_by_key(&row, |posting| posting.row).map_or(0, |at| postings[at].times))
    }
}

/// A source, as it is searched.
struct Search<'a> {
    rows: u32,
    lengths: RowLengths<'a>,
    /// In the order of the terms.
    cursors: Vec<Cursor<'a>>,
    slack: f64,
    /// In so many windows no term is set aside, and next time in twice as many.
    dense: u32,
    dense_next: u32,
}

/// The rows of a window.
struct Window {
    first: u32,
    end: u32,
    lengths: Vec<u16>,
    passing: Vec<u64>,
    touched: Vec<u64>,
    /// What the rows score for the terms that were gone through, as far as those were.
    sums: Vec<f32>,
}

impl Window {
    /// Adds what rows that pass score for a term.
    fn add(&mut self, postings: &[Posting], mut share: impl FnMut(u32, u16) -> f32) {
        for posting in postings {
            let row = posting.row.wrapping_sub(self.first) as usize;
            let bit = 1_u64 << (row % 64);
            if row >= self.sums.len() || self.passing[row / 64] & bit == 0 {
                continue;
            }
            self.touched[row / 64] |= bit;
            self.sums[row] += share(posting.times, self.lengths[row]);
        }
    }
}

/// What a row of the window scores for a term at most, the position of its cursor, and in how many blocks the window's rows are.
type Ranked = (f32, usize, usize);

/// A row that may score enough, and what it scores for the terms that were gone through.
type Candidate = (f32, u32);

impl Search<'_> {
    fn run(&mut self, norms: &mut Norms<'_>, sink: &mut impl Sink) -> Result<(), Fault> {
        let mut window = Window {
            first: 0,
            end: 0,
            lengths: vec![0; WINDOW_ROWS as usize],
            passing: vec![0; WINDOW_ROWS as usize / 64],
            touched: vec![0; WINDOW_ROWS as usize / 64],
            sums: vec![0.0; WINDOW_ROWS as usize],
        };
        let mut whole: Vec<Ranked> =
            self.cursors.iter().zip(0..).map(|(cursor, at)| (cursor.bound, at, 0)).collect();
        whole.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut ranked = Vec::with_capacity(whole.len());
        loop {
            let (aside, _) = self.set_aside(&whole, sink.threshold());
            let from = window.end;
            let next = whole[aside..].iter().filter_map(|&(_, at, _)| self.cursors[at].advance(from)).min();
            let Some(next) = next else { return Ok(()) };
            window.first = next / WINDOW_ROWS * WINDOW_ROWS;
            window.end = self.rows.min(window.first + WINDOW_ROWS);
            ranked.clear();
            for (cursor, at) in self.cursors.iter_mut().zip(0..) {
                cursor.advance(window.first);
                let (bound, blocks) = cursor.bound_below(window.end);
                if bound > 0.0 {
                    ranked.push((bound, at, blocks));
                }
            }
            ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            self.look(&mut window, &mut ranked, norms, sink)?;
        }
    }

    /// How many of these terms, which rise, together lift no row so far; and how far they do.
    fn set_aside(&self, ranked: &[Ranked], threshold: f32) -> (usize, f64) {
        let mut sum = 0.0;
        for (count, (bound, ..)) in ranked.iter().enumerate() {
            let more = sum + f64::from(*bound);
            if !self.is_below(more, threshold) {
                return (count, sum);
            }
            sum = more;
        }
        (ranked.len(), sum)
    }

    /// Whether a row that scores so much at most, rounding aside, can't be reached.
    fn is_below(&self, sum: f64, threshold: f32) -> bool {
        sum * self.slack < f64::from(threshold)
    }

    fn look(
        &mut self,
        window: &mut Window,
        ranked: &mut [Ranked],
        norms: &mut Norms<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), Fault> {
        let (aside, lift) = self.set_aside(ranked, sink.threshold());
        let rows = (window.end - window.first) as usize;
        if aside == ranked.len() || !sink.passing(window.first, rows, &mut window.passing) {
            return Ok(());
        }
        self.lengths.read(window.first, &mut window.lengths[..rows])?;
        let (mut aside, mut lift) = (aside, lift);
        let mut left = Vec::new();
        if self.dense == 0 && aside > 0 {
            left = self.go_through(&mut ranked[aside..], lift, window, norms, sink.threshold())?;
            let blocks: usize = ranked[..aside].iter().map(|(.., blocks)| blocks).sum();
            if left.len() * LOOKUP_POSTINGS > blocks * BLOCK_POSTINGS {
                self.dense = self.dense_next;
                self.dense_next = DENSE_MAX.min(2 * self.dense_next);
            } else {
                self.dense_next = 1;
            }
        }
        if self.dense > 0 || aside == 0 {
            // Gone through in the order of the terms, all of them: what is enough is a score.
            self.dense = self.dense.saturating_sub(1);
            (aside, lift) = (0, 0.0);
            left = self.go_through(ranked, lift, window, norms, sink.threshold())?;
        }
        let is_whole = aside == 0;
        let aside = &ranked[..aside];
        let mut together = FIRST;
        let mut found = Vec::new();
        let mut shares = vec![0.0; self.cursors.len()];
        while !left.is_empty() {
            if left.len() > together {
                left.select_nth_unstable_by(together, |a, b| b.0.total_cmp(&a.0));
            }
            let rest = left.split_off(together.min(left.len()));
            left.sort_unstable_by_key(|(_, row)| *row);
            found.clear();
            let threshold = sink.threshold();
            for &(sum, row) in &left {
                let score = match is_whole {
                    true => Some(sum),
                    false => self.score(row, (sum, lift), aside, window, norms, threshold, &mut shares)?,
                };
                found.extend(score.filter(|score| *score >= threshold).map(|score| (row, score)));
            }
            sink.take(&found);
            left = rest;
            let threshold = sink.threshold();
            left.retain(|(sum, _)| !self.is_below(f64::from(*sum) + lift, threshold));
            together *= 2;
        }
        Ok(())
    }

    /// Adds up what the window's rows score for these terms, which are brought into their order, where others lift them so far at
    /// most; and answers those that may score enough. Blocks none of whose rows can are left out: what such a row scores for the rest of the
    /// terms isn't enough either.
    fn go_through(
        &mut self,
        ranked: &mut [Ranked],
        lift: f64,
        window: &mut Window,
        norms: &mut Norms<'_>,
        threshold: f32,
    ) -> Result<Vec<Candidate>, Fault> {
        ranked.sort_unstable_by_key(|(_, at, _)| *at);
        let all = lift + ranked.iter().map(|(bound, ..)| f64::from(*bound)).sum::<f64>();
        for &(bound, at, blocks) in &*ranked {
            let others = all - f64::from(bound);
            let from = self.cursors[at].block;
            for block in from..from + blocks {
                if self.is_below(f64::from(self.cursors[at].bounds[block]) + others, threshold) {
                    continue;
                }
                let cursor = &mut self.cursors[at];
                let most = cursor.most;
                window.add(cursor.read(block)?, |times, words| share(most, times, norms.of(words)) as f32);
            }
        }
        Ok(self.candidates(window, lift, threshold))
    }

    /// The rows that may score enough, when those terms that were set aside lift them so far. Leaves the window as it was before.
    fn candidates(&self, window: &mut Window, lift: f64, threshold: f32) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (word, touched) in window.touched.iter_mut().enumerate() {
            let mut rest = std::mem::take(touched);
            while rest != 0 {
                let row = word * 64 + rest.trailing_zeros() as usize;
                rest &= rest - 1;
                let sum = std::mem::take(&mut window.sums[row]);
                if !self.is_below(f64::from(sum) + lift, threshold) {
                    candidates.push((sum, window.first + row as u32));
                }
            }
        }
        candidates
    }

    /// What a row scores; `None` once it is clear that it isn't enough. It scores `sum` for the terms that were gone through, and
    /// those that were set aside lift it by no more than `lift`.
    #[expect(clippy::too_many_arguments, reason = "what is kept from row to row")]
    fn score(
        &mut self,
        row: u32,
        (sum, lift): (f32, f64),
        aside: &[Ranked],
        window: &Window,
        norms: &mut Norms<'_>,
        threshold: f32,
        shares: &mut [f32],
    ) -> Result<Option<f32>, Fault> {
        let norm = norms.of(window.lengths[(row - window.first) as usize]);
        let share_of = |cursor: &mut Cursor<'_>| -> Result<f32, Fault> {
            Ok(match cursor.times(row)? {
                0 => 0.0,
                times => share(cursor.most, times, norm) as f32,
            })
        };
        shares.fill(f32::NAN);
        let mut most = f64::from(sum) + lift;
        for &(bound, at, _) in aside.iter().rev() {
            shares[at] = share_of(&mut self.cursors[at])?;
            most += f64::from(shares[at]) - f64::from(bound);
            if self.is_below(most, threshold) {
                return Ok(None);
            }
        }
        let mut score = 0.0;
        for (cursor, share) in self.cursors.iter_mut().zip(&*shares) {
            score += if share.is_nan() { share_of(cursor)? } else { *share };
        }
        Ok(Some(score))
    }
}
