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

/// What was found of a term.
#[derive(Debug)]
pub enum Found {
    /// The rows that have it, rising.
    Rows(Vec<Posting>),
    /// Of a beginning: words with the rows that have them, rising.
    Words(Vec<(String, Vec<Posting>)>),
}

impl Terms {
    /// What a source has of each of them, in those rows alone that are left to postings.
    pub fn look(
        &self,
        lexicon: &impl Lexicon,
        leave: impl Fn(&mut Vec<Posting>),
    ) -> Result<Vec<Found>, Fault> {
        let left = |mut postings: Vec<Posting>| {
            leave(&mut postings);
            postings
        };
        let found = self.iter().map(|(term, _)| {
            Ok(match term {
                Term::Word(word) => Found::Rows(left(lexicon.postings(word)?)),
                Term::Phrase(words) => {
                    Found::Rows(left(phrase::postings(words, |word| lexicon.places(word))?))
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

impl Found {
    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Rows(postings) => postings.is_empty(),
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
