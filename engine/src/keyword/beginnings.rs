//! Which words does a beginning stand for, and which rows have any of them?
//!
//! For those that most live rows have, of all sources together; of words that equally many have, for the first by their bytes.

use super::Holders;
use super::lexicon::Found;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use strongroom_format::words::Posting;

/// A beginning stands for so many words at most.
const WORDS_MAX: usize = 128;

/// Of each source the rows that have each term: of a beginning those that have any of its words, as often as they have them
/// together.
pub fn as_one_word<H: Holders>(sources: Vec<Vec<Found<H>>>) -> Vec<Vec<H>> {
    let terms = sources.iter().map(Vec::len).max().unwrap_or(0);
    let chosen: Vec<Option<HashSet<String>>> = (0..terms).map(|term| chosen(&sources, term)).collect();
    let rows = |(found, chosen): (Found<H>, &Option<HashSet<String>>)| match found {
        Found::Rows(holders) => holders,
        Found::Words(words) => {
            let is_chosen = |word: &String| chosen.as_ref().is_none_or(|chosen| chosen.contains(word));
            let words = words.into_iter().filter(|(word, _)| is_chosen(word));
            H::from(together(words.flat_map(|(_, postings)| postings)))
        }
    };
    sources.into_iter().map(|found| found.into_iter().zip(&chosen).map(rows).collect()).collect()
}

/// Which words a term stands for; `None` when it is for all that were found.
fn chosen<H>(sources: &[Vec<Found<H>>], term: usize) -> Option<HashSet<String>> {
    let mut rows: HashMap<&str, usize> = HashMap::new();
    for found in sources {
        if let Some(Found::Words(words)) = found.get(term) {
            words.iter().for_each(|(word, postings)| *rows.entry(word).or_default() += postings.len());
        }
    }
    if rows.len() <= WORDS_MAX {
        return None;
    }
    let mut words: Vec<(&str, usize)> = rows.into_iter().collect();
    words.sort_unstable_by_key(|(word, rows)| (Reverse(*rows), *word));
    words.truncate(WORDS_MAX);
    Some(words.into_iter().map(|(word, _)| word.to_owned()).collect())
}

fn together(postings: impl Iterator<Item = Posting>) -> Vec<Posting> {
    let mut all: Vec<Posting> = postings.collect();
    all.sort_unstable_by_key(|posting| posting.row);
    all.dedup_by(|next, one| {
        let is_same = next.row == one.row;
        one.times = if is_same { one.times.saturating_add(next.times) } else { one.times };
        is_same
    });
    all
}
