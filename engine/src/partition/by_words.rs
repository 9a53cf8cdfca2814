//! Which rows have the words of a query, and which of them score most?
//!
//! A search by words reads of the postings what can matter ([`Weighed`]), unless there are few: then it reads all of them. Either way
//! the rows that have a word are counted among the live ones that the caller sees. How words and vectors are added is told in `by_both`.

use super::ages::Ages;
use super::scored::{Scored, Scoring};
use super::sight::Sight;
use super::view::{Rows, Source, View};
use super::{ReadError, SearchRequest};
use crate::index::{Bounds, Candidate, Nearest};
use crate::io::Fault;
use crate::keyword::{self, Found, List, Matches, OfSource, RowLengths, Sink, Statistics, Terms, Weighed};
use crate::rank;
use crate::segment::{Dictionary, Segment};
use std::borrow::Cow;
use strongroom_format::record::Metric;
use strongroom_format::words::Posting;
use strongroom_kernel::Mask;

/// Of no more rows than this all postings are read: that takes less time than finding out which ones matter.
const SMALL_ROWS: u64 = 4096;
/// When more than one row in so many is not seen, the postings of a word are read to count its live rows.
const UNSEEN_SHARE: usize = 16;

impl View {
    /// Whether reading all postings is the faster way.
    pub(super) fn is_small(&self) -> bool {
        self.sources().iter().map(|source| u64::from(source.row_count())).sum::<u64>() <= SMALL_ROWS
    }

    /// What each source has of a query's terms, weighed by all of them; of a source that has none of any, nothing.
    pub(super) fn weighed(
        &self,
        terms: &Terms,
        sight: &Sight<'_>,
    ) -> Result<Vec<Option<OfSource<'_>>>, ReadError> {
        let mut statistics = Statistics { rows: sight.passages, words: sight.segment_words };
        let (mut found, mut lengths) = (Vec::new(), Vec::new());
        for (number, source) in self.sources().iter().enumerate() {
            let seen = sight.of(number);
            let leave = |postings: &mut Vec<Posting>| source.keep(seen, postings);
            let (of_source, of_rows) = match &source.rows {
                Rows::Segment(segment) => match segment.dictionary()? {
                    None => Default::default(),
                    Some(dictionary) => {
                        let unseen = source.unseen(segment, seen);
                        let lists = |word: &str| list(&dictionary, word, unseen.as_deref(), leave);
                        let found = terms.look_by(&dictionary, leave, lists)?;
                        let is_any = found.iter().any(|found| !found.is_empty());
                        let lengths = is_any.then(|| dictionary.lengths().map(RowLengths::Segment));
                        (found, lengths.transpose()?)
                    }
                },
                Rows::Memtable(memtable) => {
                    let index = memtable.words();
                    statistics.words += source.words_in(index.lengths(), seen);
                    let found = terms.look_by(&*index, leave, |word| {
                        let mut postings = index.postings(word).to_vec();
                        leave(&mut postings);
                        Ok(List::from(postings))
                    })?;
                    (found, Some(RowLengths::Held(index.lengths().to_vec())))
                }
            };
            found.push(of_source);
            lengths.push(of_rows);
        }
        let mut weighed = Weighed::of(terms, statistics, found);
        let mut opened = Vec::with_capacity(lengths.len());
        for ((number, source), lengths) in self.sources().iter().enumerate().zip(lengths) {
            let lengths = lengths.map(|lengths| weighed.open(number, source.row_count(), lengths));
            opened.push(lengths.transpose()?);
        }
        Ok(opened)
    }

    /// The best by words alone, best first.
    pub(super) fn nearest_by_words(
        &self,
        terms: &Terms,
        request: &SearchRequest<'_>,
        sight: &Sight<'_>,
        k: usize,
    ) -> Result<Vec<Candidate<'_>>, ReadError> {
        if k == 0 {
            return Ok(Vec::new());
        }
        let mut nearest = Nearest::new(k, request.unit);
        let none = vec![Vec::new(); self.sources().len()];
        let scoring = Scoring {
            metric: Metric::Cosine,
            vector: None,
            words: Some(&none),
            similarity_min: 0.0,
            ages: request.ages,
        };
        let weighed = self.weighed(terms, sight)?;
        let mut masks = Vec::with_capacity(weighed.len());
        for ((number, source), weighed) in self.sources().iter().enumerate().zip(&weighed) {
            masks.push(match weighed {
                Some(_) => self.mask(source, sight.of(number), request.filter)?,
                None => Cow::default(),
            });
        }
        let mut scored = Vec::with_capacity(weighed.len());
        for ((number, source), weighed) in self.sources().iter().enumerate().zip(weighed) {
            scored.push(Scored::new(number, source, &masks[number], &scoring)?);
            if let Some(mut weighed) = weighed {
                let mut taken =
                    Taken { number, scored: &scored[number], nearest: &mut nearest, ages: request.ages };
                weighed.offer(&mut taken)?;
            }
        }
        nearest.finish(&scored)
    }

    /// What the rows of each source score by the words of a query.
    pub(super) fn word_scores(&self, terms: &Terms, sight: &Sight<'_>) -> Result<Vec<Vec<f32>>, ReadError> {
        let mut statistics = Statistics { rows: sight.passages, words: sight.segment_words };
        let mut sources = Vec::with_capacity(self.sources().len());
        for (number, source) in self.sources().iter().enumerate() {
            let seen = sight.of(number);
            let leave = |postings: &mut Vec<Posting>| source.keep(seen, postings);
            sources.push(match &source.rows {
                Rows::Segment(segment) => match segment.dictionary()? {
                    None => Matches::default(),
                    Some(dictionary) => {
                        let found = terms.look(&dictionary, leave)?;
                        let is_any = found.iter().any(|found| !Found::is_empty(found));
                        let counts = if is_any { dictionary.word_counts()? } else { Vec::new() };
                        Matches { found, counts }
                    }
                },
                Rows::Memtable(memtable) => {
                    let index = memtable.words();
                    statistics.words += source.words_in(index.lengths(), seen);
                    Matches { found: terms.look(&*index, leave)?, counts: index.lengths().to_vec() }
                }
            });
        }
        Ok(keyword::score(terms, statistics, sources))
    }
}

/// The rows of a segment that have a word. Which of its rows are not seen is not known when they are many.
fn list<'a>(
    dictionary: &Dictionary<'a>,
    word: &str,
    unseen: Option<&[u32]>,
    leave: impl Fn(&mut Vec<Posting>),
) -> Result<List<'a>, Fault> {
    if let Some(unseen) = unseen
        && let Some(mut blocked) = dictionary.blocked(word)?
    {
        let live = u64::from(blocked.rows()) - blocked.count_of(unseen)?;
        return Ok(List::Blocked(blocked, live));
    }
    let mut postings = dictionary.postings(word)?;
    leave(&mut postings);
    Ok(List::from(postings))
}

/// Takes the rows of a source that score enough.
struct Taken<'s, 'v, 'a> {
    number: usize,
    scored: &'s Scored<'v, 'a>,
    nearest: &'s mut Nearest,
    ages: Option<Ages>,
}

impl Sink for Taken<'_, '_, '_> {
    fn threshold(&self) -> f32 {
        let floor = self.nearest.floor();
        let Some(ages) = self.ages else { return floor };
        // The youngest score most. What they score rises with the words' score, rounding included.
        rank::least_that(|word| ages.score(word, ages.now_ms, None) >= floor)
    }

    fn passing(&self, first: u32, rows: usize, bits: &mut [u64]) -> bool {
        self.scored.passing(first, rows, bits)
    }

    fn take(&mut self, rows: &[(u32, f32)]) -> Result<(), Fault> {
        let places: Vec<u32> = rows.iter().map(|(row, _)| *row).collect();
        let exact = |&(row, score): &(u32, f32)| Bounds::exact(self.scored.aged(row, score));
        let bounds: Vec<Bounds> = rows.iter().map(exact).collect();
        self.nearest.take(self.number, self.scored, &places, &bounds);
        Ok(())
    }
}

impl Source {
    /// Leaves only rows of these documents.
    fn keep(&self, documents: &Mask, postings: &mut Vec<Posting>) {
        if self.has_all(documents) {
            return;
        }
        let mut ordinal = 0;
        postings.retain(|posting| {
            // They rise, so each is looked for behind the one before.
            ordinal = self.ordinal(posting.row, ordinal);
            documents.contains(ordinal)
        });
    }

    /// Whether these are all of its documents.
    fn has_all(&self, documents: &Mask) -> bool {
        match &self.rows {
            Rows::Segment(segment) => documents.has_all(0..segment.place().documents),
            Rows::Memtable(memtable) => documents.has_all(0..memtable.entries().len() as u32),
        }
    }

    /// The rows of documents other than these, rising; `None` when they are many.
    fn unseen(&self, segment: &Segment, documents: &Mask) -> Option<Vec<u32>> {
        let mut rows = Vec::new();
        for ordinal in documents.absent(segment.place().documents) {
            rows.extend(self.rows_of(ordinal));
            if rows.len() * UNSEEN_SHARE > segment.place().rows as usize {
                return None;
            }
        }
        Some(rows)
    }

    /// How many rows it has.
    fn row_count(&self) -> u32 {
        match &self.rows {
            Rows::Segment(segment) => segment.place().rows,
            Rows::Memtable(memtable) => memtable.rows(),
        }
    }

    /// How many words the rows of these documents have, by how many each row has.
    fn words_in(&self, lengths: &[u16], documents: &Mask) -> u64 {
        let rows = documents.iter().flat_map(|ordinal| self.rows_of(ordinal));
        rows.map(|row| u64::from(lengths[row as usize])).sum()
    }
}
