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
//! Why 2 holds. No row of a block scores more for a term than the block's bound ([`Cursor`]). Shares are summed in another order than
//! scores are; each order is off by less than 2^-24 for each term, which [`slack`] is more than for both.

use super::beginnings::as_one_word;
use super::cursor::{Cursor, List, Norms, RowLengths};
use super::{Found, Holders, Statistics, Terms, Weights, share};
use crate::io::Fault;
use strongroom_format::posting_blocks::BLOCK_POSTINGS;
use strongroom_format::words::Posting;

/// Rows that are looked at together.
const WINDOW_ROWS: u32 = 2048;
/// So many of a window's rows are scored first, for what has to be reached to rise.
const FIRST: usize = 32;
/// A row that may score enough costs about as much to look up as so many postings to go through.
const LOOKUP_POSTINGS: usize = 64;
/// After so many windows at most it is tried again whether looking up is the faster way.
const DENSE_MAX: u32 = 16;
/// What takes the rows of a source.
pub trait Sink {
    /// What a row has to score. It may rise when rows are taken.
    fn threshold(&self) -> f32;
    /// Which of these rows pass, a bit each, the lowest of the first word first; whether any does. There is room for them.
    fn passing(&self, first: u32, rows: usize, bits: &mut [u64]) -> bool;
    /// Takes rows that pass, which rise, with their scores.
    fn take(&mut self, rows: &[(u32, f32)]) -> Result<(), Fault>;
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

    /// The source of this number, which has so many rows. To be called once for each.
    pub fn open(
        &mut self,
        source: usize,
        rows: u32,
        mut lengths: RowLengths<'a>,
    ) -> Result<OfSource<'a>, Fault> {
        let lists = std::mem::take(&mut self.sources[source]);
        let mut norms = Norms::new(self.weights.mean);
        let (slack, mut cursors) = (slack(lists.len()), Vec::new());
        for (list, &most) in lists.into_iter().zip(&self.weights.most) {
            if list.count() > 0 {
                cursors.push(Cursor::new(list, most, &mut lengths, &mut norms)?);
            }
        }
        Ok(OfSource { norms, search: Search { rows, lengths, cursors, slack, dense: 0, dense_next: 1 } })
    }
}

/// What a source has of a query's terms, weighed.
pub struct OfSource<'a> {
    norms: Norms,
    search: Search<'a>,
}

impl OfSource<'_> {
    /// How many postings its terms have together.
    pub fn postings(&self) -> u64 {
        self.search.cursors.iter().map(Cursor::count).sum()
    }

    /// Offers the rows that score enough.
    pub fn offer(&mut self, sink: &mut impl Sink) -> Result<(), Fault> {
        self.search.cursors.iter_mut().for_each(Cursor::rewind);
        self.search.run(&mut self.norms, sink)
    }

    /// What these rows score, which rise, each with what it has to; `None` where it is clear that it isn't enough.
    pub fn score_each(&mut self, rows: &[(u32, f32)]) -> Result<Vec<Option<f32>>, Fault> {
        let cursors = &mut self.search.cursors;
        cursors.iter_mut().for_each(Cursor::rewind);
        let mut shares = vec![0.0; cursors.len()];
        // Those first that are most to be missed.
        let mut order: Vec<usize> = (0..cursors.len()).collect();
        order.sort_unstable_by(|&a, &b| cursors[b].bound.total_cmp(&cursors[a].bound));
        let score = |&(row, least): &(u32, f32)| {
            self.search.score_at(row, least, (&order, &mut shares), &mut self.norms)
        };
        rows.iter().map(score).collect()
    }
}

/// By how much a sum of so many shares in one order may differ from that in another.
fn slack(terms: usize) -> f64 {
    1.0 + (terms + 2) as f64 / f64::from(1 << 22)
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
    fn run(&mut self, norms: &mut Norms, sink: &mut impl Sink) -> Result<(), Fault> {
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
        norms: &mut Norms,
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
            sink.take(&found)?;
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
        norms: &mut Norms,
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
        norms: &mut Norms,
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

    /// What a row that is not before the one asked for last scores, if that may be enough: by the terms in this order, whose shares
    /// are kept until the last is known.
    fn score_at(
        &mut self,
        row: u32,
        least: f32,
        (order, shares): (&[usize], &mut [f32]),
        norms: &mut Norms,
    ) -> Result<Option<f32>, Fault> {
        let mut most = 0.0;
        for (cursor, share) in self.cursors.iter_mut().zip(&mut *shares) {
            *share = cursor.bound_at(row);
            most += f64::from(*share);
        }
        if self.is_below(most, least) {
            return Ok(None);
        }
        let mut words = [0];
        self.lengths.read(row, &mut words)?;
        let norm = norms.of(words[0]);
        for &at in order {
            let cursor = &mut self.cursors[at];
            let bound = std::mem::take(&mut shares[at]);
            if bound == 0.0 {
                continue;
            }
            if let times @ 1.. = cursor.times(row)? {
                shares[at] = share(cursor.most, times, norm) as f32;
            }
            most += f64::from(shares[at]) - f64::from(bound);
            if self.is_below(most, least) {
                return Ok(None);
            }
        }
        Ok(Some(shares.iter().fold(0.0, |score, share| score + share)))
    }
}
