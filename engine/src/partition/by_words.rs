//! Which rows have the words of a query, and which of them score most?
//!
//! A search by words alone reads of the postings what can matter ([`Weighed`]), unless there are few; one that adds words to vectors needs what all rows
//! score by their words, and reads all of them. Both count the rows that have a word among the live ones that the caller sees.

use super::ages::Ages;
use super::scored::{Scored, Scoring};
use super::sight::Sight;
use super::view::{Rows, Source, View};
use super::{ReadError, SearchRequest};
use crate::index::{Bounds, Candidate, Nearest};
use crate::keyword::{self, Found, List, Matches, RowLengths, Sink, Statistics, Terms, Weighed};
use crate::segment::{Dictionary, Segment};
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

    /// The best by words alone, best first.
    pub(super) fn nearest_by_words(
        &self,
        terms: &Terms,
        request: &SearchRequest<'_>,
        sight: &Sight<'_>,
        k: usize,
    ) -> Result<Vec<Candidate<'_>>, ReadError> {
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
        let mut nearest = Nearest::new(k, request.unit);
        let none = vec![Vec::new(); self.sources().len()];
        let scoring = Scoring {
            metric: Metric::Cosine,
            vector: None,
            words: Some(&none),
            similarity_min: 0.0,
            ages: request.ages,
        };
        let mut masks = Vec::with_capacity(self.sources().len());
        for ((number, source), lengths) in self.sources().iter().enumerate().zip(&lengths) {
            masks.push(match lengths {
                Some(_) if k > 0 => self.mask(source, sight.of(number), request.filter)?,
                _ => Mask::default(),
            });
        }
        let mut scored = Vec::with_capacity(self.sources().len());
        for ((number, source), lengths) in self.sources().iter().enumerate().zip(lengths) {
            scored.push(Scored::new(number, source, &masks[number], &scoring)?);
            if let Some(lengths) = lengths
                && k > 0
            {
                let mut taken = Taken {
                    number,
                    source,
                    scored: &scored[number],
                    nearest: &mut nearest,
                    ages: request.ages,
                };
                weighed.offer(number, source.row_count(), lengths, &mut taken)?;
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
) -> Result<List<'a>, crate::io::Fault> {
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
    source: &'v Source,
    scored: &'s Scored<'v, 'a>,
    nearest: &'s mut Nearest,
    ages: Option<Ages>,
}

impl Sink for Taken<'_, '_, '_> {
    fn threshold(&self) -> f32 {
        let floor = self.nearest.floor();
        let Some(ages) = self.ages else { return floor };
        // The youngest score most. What they score rises with the words' score, rounding included.
        let reaches = |bits: u32| ages.score(f32::from_bits(bits), ages.now_ms, None) >= floor;
        let (mut below, mut reach) = (0, f32::INFINITY.to_bits());
        while below < reach {
            let middle = below + (reach - below) / 2;
            (below, reach) = if reaches(middle) { (below, middle) } else { (middle + 1, reach) };
        }
        f32::from_bits(reach)
    }

    fn passing(&self, first: u32, rows: usize, bits: &mut [u64]) -> bool {
        bits.fill(0);
        let (mask, end) = (self.scored.mask, first + rows as u32);
        if let Rows::Segment(segment) = &self.source.rows
            && segment.is_row_by_row()
        {
            for (word, bits) in (first as usize / 64..).zip(&mut *bits) {
                *bits = u64::from(mask.block(2 * word)) | u64::from(mask.block(2 * word + 1)) << 32;
            }
        } else {
            let documents = self.source.ordinal(first, 0)..=self.source.ordinal(end - 1, 0);
            for ordinal in documents.filter(|&ordinal| mask.contains(ordinal)) {
                let of_document = self.source.rows_of(ordinal);
                for row in of_document.start.max(first)..of_document.end.min(end) {
                    bits[(row - first) as usize / 64] |= 1 << (row % 64);
                }
            }
        }
        bits.iter().any(|bits| *bits != 0)
    }

    fn take(&mut self, rows: &[(u32, f32)]) {
        let places: Vec<u32> = rows.iter().map(|(row, _)| *row).collect();
        let exact = |&(row, score): &(u32, f32)| Bounds::exact(self.scored.aged(row, score));
        let bounds: Vec<Bounds> = rows.iter().map(exact).collect();
        self.nearest.take(self.number, self.scored, &places, &bounds);
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
