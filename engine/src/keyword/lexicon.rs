//! What does a source have of a query's terms?

use super::phrase;
use super::query::{Term, Terms};
use crate::io::Fault;
use crate::segment::Dictionary;
use crate::words::{Beginning, WordIndex};
use strongroom_format::Damage;
use strongroom_format::words::{Occurrences, Place, Posting, decode_positions};

/// The words of a source.
pub trait Lexicon {
    /// The rows that have this word, rising.
    fn postings(&self, word: &str) -> Result<Vec<Posting>, Fault>;
    /// Where this word stands, rising.
    fn places(&self, word: &str) -> Result<Vec<Place>, Fault>;
    /// Calls back with each word that begins with these letters, and its rows, rising.
    fn each_from(&self, letters: &str, each: &mut dyn FnMut(&str, Vec<Posting>)) -> Result<(), Fault>;
}

/// The rows that have a term, rising.
pub trait Holders: From<Vec<Posting>> {
    /// How many.
    fn count(&self) -> u64;
}

impl Holders for Vec<Posting> {
    fn count(&self) -> u64 {
        self.len() as u64
    }
}

/// What was found of a term.
#[derive(Debug)]
pub enum Found<H> {
    /// The rows that have it.
    Rows(H),
    /// Of a beginning: words with the rows that have them, rising.
    Words(Vec<(String, Vec<Posting>)>),
}

impl Terms {
    /// What a source has of each of them, in those rows alone that are left to postings.
    pub fn look(
        &self,
        lexicon: &impl Lexicon,
        leave: impl Fn(&mut Vec<Posting>),
    ) -> Result<Vec<Found<Vec<Posting>>>, Fault> {
        let holders = |word: &str| {
            let mut postings = lexicon.postings(word)?;
            leave(&mut postings);
            Ok(postings)
        };
        self.look_by(lexicon, &leave, holders)
    }

    /// The same, and which rows have a word is as another function tells.
    pub fn look_by<H: Holders>(
        &self,
        lexicon: &impl Lexicon,
        leave: impl Fn(&mut Vec<Posting>),
        mut holders: impl FnMut(&str) -> Result<H, Fault>,
    ) -> Result<Vec<Found<H>>, Fault> {
        let left = |mut postings: Vec<Posting>| {
            leave(&mut postings);
            postings
        };
        let found = self.iter().map(|(term, _)| {
            Ok(match term {
                Term::Word(word) => Found::Rows(holders(word)?),
                Term::Phrase(words) => {
                    Found::Rows(H::from(left(phrase::postings(words, |word| lexicon.places(word))?)))
                }
                Term::Beginning(beginning) => Found::Words(words_of(beginning, lexicon, left)?),
            })
        });
        found.collect()
    }
}

fn words_of(
    beginning: &Beginning,
    lexicon: &impl Lexicon,
    left: impl Fn(Vec<Posting>) -> Vec<Posting>,
) -> Result<Vec<(String, Vec<Posting>)>, Fault> {
    let mut words = Vec::new();
    let mut take = |word: &str, postings: Vec<Posting>| {
        let postings = left(postings);
        if !postings.is_empty() {
            words.push((word.to_owned(), postings));
        }
    };
    lexicon.each_from(beginning.letters(), &mut take)?;
    for stem in beginning.stems() {
        take(stem, lexicon.postings(stem)?);
    }
    Ok(words)
}

impl<H: Holders> Found<H> {
    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Rows(holders) => holders.count() == 0,
            Self::Words(words) => words.is_empty(),
        }
    }
}

impl Lexicon for Dictionary<'_> {
    fn postings(&self, word: &str) -> Result<Vec<Posting>, Fault> {
        self.postings(word)
    }

    fn places(&self, word: &str) -> Result<Vec<Place>, Fault> {
        self.places(word)
    }

    fn each_from(&self, letters: &str, each: &mut dyn FnMut(&str, Vec<Posting>)) -> Result<(), Fault> {
        self.each_from(letters, |entry| {
            if entry.word.starts_with(letters) {
                each(entry.word, entry.postings()?);
                return Ok(true);
            }
            Ok(*entry.word < *letters)
        })
    }
}

impl Lexicon for WordIndex {
    fn postings(&self, word: &str) -> Result<Vec<Posting>, Fault> {
        Ok(self.postings(word).to_vec())
    }

    fn places(&self, word: &str) -> Result<Vec<Place>, Fault> {
        let Some(found) = self.occurrences(word) else { return Ok(Vec::new()) };
        let in_memory = |damage: Damage| damage.at("memtable", 0);
        Ok(decode_positions(found.positions(), found.postings()).map_err(in_memory)?)
    }

    fn each_from(&self, letters: &str, each: &mut dyn FnMut(&str, Vec<Posting>)) -> Result<(), Fault> {
        let begins = |(word, _): &(&str, &Occurrences)| word.starts_with(letters);
        self.iter().filter(begins).for_each(|(word, found)| each(word, found.postings().to_vec()));
        Ok(())
    }
}
