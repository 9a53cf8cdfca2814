//! Which rows of lists score most by words and vectors together, without all postings being read?
//!
//! First those that are near are found, as if there were no words, and what these score by their words is looked up. What the best of them
//! score together is a floor. Any other row is no nearer than the last of the near ones, so by its words it has to score
//! what would lift that one to the floor. A search by words offers those that do, which raises the floor, and so on: the
//! threshold algorithm (Fagin, Lotem and Naor 2003), with what is known of blocks of postings in place of sorted lists.
//!
//! Where all rows have to be looked at, all postings are read as well (`docs/decisions/0027-hybrid-in-lists.md` says why).
//!
//! Invariants:
//! 1. What is answered has the score that reading all postings gives it, to the last bit.
//! 2. What may be missed is what a search by vectors misses, and lies in lists that were not looked into or is estimated beyond caution:
//!    sums rise with either part, rounding included, so a row that is neither near nor offered is below the floor.

use super::scored::{Scored, Scoring};
use super::sight::Sight;
use super::view::View;
use super::{ReadError, SearchRequest};
use crate::index::{Bounds, Candidate, Nearest};
use crate::io::Fault;
use crate::keyword::{OfSource, Sink, Terms};
use std::cell::Cell;

/// When more than one row in so many is asked for, all are looked at.
const MANY: u64 = 16;
/// No more postings than this are all looked at.
const POSTINGS_FEW: u64 = 2048;
/// The nearest are looked for as if so many more were asked for, and of those that are found twice as many and so many more are kept:
/// the farther the last of them is, the more words have to score.
const LOOKED_FOR_MORE: usize = 50;
const KEPT_MORE: usize = 60;

impl View {
    /// The best by words and vectors, where lists are looked into with this recall; `None` where all rows are to be looked at.
    pub(super) fn nearest_by_both(
        &self,
        terms: &Terms,
        scoring: &Scoring<'_>,
        request: &SearchRequest<'_>,
        sight: &Sight<'_>,
    ) -> Result<Option<Vec<Candidate<'_>>>, ReadError> {
        let k = request.k;
        // A row that is new may be anywhere.
        if request.recall.is_none() || request.ages.is_some() || k == 0 || k as u64 * MANY > sight.passages {
            return Ok(None);
        }
        let masks = self.masks(sight, request.filter)?;
        let mut scored = self.scored(scoring, &masks)?;
        if !scored.iter().any(Scored::is_probed) {
            return Ok(None);
        }
        scored.iter_mut().for_each(Scored::be_cautious);
        let mut weighed = self.weighed(terms, sight)?;
        let postings: u64 = weighed.iter().flatten().map(OfSource::postings).sum();
        let is_narrow = postings <= POSTINGS_FEW;
        // When all that have a word are looked at, no other is near by anything but its vector.
        let (looked_for, kept) = if is_narrow { (k, k) } else { (k + LOOKED_FOR_MORE, 2 * k + KEPT_MORE) };
        let mut near = Nearest::new(kept, request.unit);
        if self.look_into(&scored, request.recall, looked_for, &mut near)? {
            return Ok(None);
        }
        let farther = near.floor();
        if farther == f32::MIN && request.similarity_min <= 0.0 {
            return Ok(None);
        }
        scored.iter_mut().for_each(Scored::add_words);
        let mut nearest = Nearest::new(k, request.unit);
        let mut known = vec![Vec::new(); scored.len()];
        look_up(near.into_left(), &scored, &mut weighed, &mut nearest, &mut known)?;
        // Where fewer are near than were looked for, none that takes part is farther.
        let sources = weighed.iter_mut().enumerate().filter(|_| farther > f32::MIN);
        for (number, weighed) in sources.filter_map(|(number, weighed)| Some((number, weighed.as_mut()?))) {
            let (scored, nearest, known) = (&scored[number], &mut nearest, &mut known[number]);
            let least = Cell::new((f32::NAN, 0.0));
            weighed.offer(&mut Lifted { number, scored, nearest, farther, least, known })?;
        }
        for (scored, known) in scored.iter_mut().zip(known) {
            scored.know_words(known);
        }
        Ok(Some(nearest.finish(&scored)?))
    }
}

/// Looks up what near rows score by their words, those first that are nearest, and takes those that may be among the best.
fn look_up(
    mut near: Vec<(usize, u32, Bounds)>,
    scored: &[Scored<'_, '_>],
    weighed: &mut [Option<OfSource<'_>>],
    nearest: &mut Nearest,
    known: &mut [Vec<(u32, f32)>],
) -> Result<(), ReadError> {
    let mut together = 2 * nearest.k();
    while !near.is_empty() {
        if near.len() > together {
            near.select_nth_unstable_by(together, |a, b| b.2.most.total_cmp(&a.2.most));
        }
        let rest = near.split_off(together.min(near.len()));
        near.sort_unstable_by_key(|&(number, place, _)| (number, scored[number].at(place)));
        let floor = nearest.floor();
        for of_source in near.chunk_by(|a, b| a.0 == b.0) {
            let number = of_source[0].0;
            let rows: Vec<(u32, f32)> = of_source
                .iter()
                .map(|&(_, place, bounds)| {
                    (scored[number].at(place), scored[number].word_least(bounds.most, floor))
                })
                .collect();
            let words = match &mut weighed[number] {
                Some(weighed) => weighed.score_each(&rows)?,
                None => vec![Some(0.0); rows.len()],
            };
            let found = of_source.iter().zip(&rows).zip(words);
            let found = found
                .filter_map(|((&(_, place, bounds), &(row, _)), word)| Some((row, word?, place, bounds)));
            take(number, &scored[number], found, nearest, &mut known[number]);
        }
        (near, together) = (rest, usize::MAX);
    }
    Ok(())
}

/// Takes rows whose words score so much: each with its place and what its vector scores.
fn take(
    number: usize,
    scored: &Scored<'_, '_>,
    rows: impl Iterator<Item = (u32, f32, u32, Bounds)>,
    nearest: &mut Nearest,
    known: &mut Vec<(u32, f32)>,
) {
    let (mut places, mut sums) = (Vec::new(), Vec::new());
    let floor = nearest.floor();
    for (row, word, place, Bounds { least, most }) in rows {
        let sum = |of_vector| scored.score_with(row, Some(word), of_vector);
        let sum = Bounds { least: sum(least), most: sum(most) };
        if sum.most >= floor {
            places.push(place);
            sums.push(sum);
            known.push((row, word));
        }
    }
    nearest.take(number, scored, &places, &sums);
}

/// Takes the rows of a source that words may lift to the floor.
struct Lifted<'s, 'v, 'a> {
    number: usize,
    scored: &'s Scored<'v, 'a>,
    nearest: &'s mut Nearest,
    /// The vector of a row that was not near scores no more.
    farther: f32,
    /// What words have to score, by the floor.
    least: Cell<(f32, f32)>,
    known: &'s mut Vec<(u32, f32)>,
}

impl Sink for Lifted<'_, '_, '_> {
    fn threshold(&self) -> f32 {
        let floor = self.nearest.floor();
        if self.least.get().0 != floor {
            self.least.set((floor, self.scored.word_least(self.farther, floor)));
        }
        self.least.get().1
    }

    fn passing(&self, first: u32, rows: usize, bits: &mut [u64]) -> bool {
        self.scored.passing(first, rows, bits)
    }

    fn take(&mut self, rows: &[(u32, f32)]) -> Result<(), Fault> {
        let found = self.scored.by_vector(rows)?.into_iter();
        let found = found.map(|(place, word, bounds)| (self.scored.at(place), word, place, bounds));
        take(self.number, self.scored, found, self.nearest, self.known);
        Ok(())
    }
}
