//! How well do the words of a row match those of a query?
//!
//! BM25 (Robertson and Zaragoza 2009; k1 = 1.2, b = 0.75) over the rows of one partition, with statistics of its live
//! rows and of nothing else, divided by what a row of mean length gets that has each of the query's terms once: so a score
//! means the same from query to query. 1 is a row like that; none reaches 2.2. A term ([`Terms`]) is a word; or a phrase, that
//! counts by the rows that have it and by how often they do; or a beginning, that counts as if all words that begin so were one.
//!
//! Invariants:
//! 1. What is answered does not depend on how rows are spread over sources: statistics are whole numbers over live rows,
//!    and a row's score is summed in the order of the query's terms.
//! 2. A row without any of the terms scores 0, and no other does.

mod beginnings;
mod cursor;
mod lexicon;
mod phrase;
mod pruned;
mod query;

pub use cursor::{List, RowLengths};
pub use lexicon::{Found, Holders};
pub use pruned::{OfSource, Sink, Weighed};
pub use query::Terms;

use strongroom_format::words::Posting;

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// What a source has of a query's terms, live rows alone.
#[derive(Debug, Default)]
pub struct Matches {
    /// For each of the terms what was found; nothing where there is none of any.
    pub found: Vec<Found<Vec<Posting>>>,
    /// How many words each row has.
    pub counts: Vec<u16>,
}

/// What is known of all live rows of the partition.
#[derive(Debug, Clone, Copy, Default)]
pub struct Statistics {
    /// How many.
    pub rows: u64,
    /// How many words they have together.
    pub words: u64,
}

/// What terms count for, by the live rows that have them.
#[derive(Debug)]
struct Weights {
    /// What a row scores for each of the terms at most.
    most: Vec<f64>,
    /// How many words a row has on average.
    mean: f64,
}

impl Weights {
    fn of<H: Holders>(terms: &Terms, statistics: Statistics, sources: &[Vec<H>]) -> Self {
        #[cfg(any(test, feature = "sim"))]
        let statistics = shared_with_the_next(statistics);
        let rows = statistics.rows as f64;
        let mean = (statistics.words as f64 / rows.max(1.0)).max(1.0);
        let weights: Vec<f64> = (0..)
            .zip(terms.iter())
            .map(|(at, (_, times)): (usize, _)| {
                let with: u64 = sources.iter().filter_map(|holders| holders.get(at)).map(H::count).sum();
                f64::from(times) * ((rows - with as f64 + 0.5) / (with as f64 + 0.5)).ln_1p()
            })
            .collect();
        let sum: f64 = weights.iter().sum();
        Self { most: weights.iter().map(|weight| weight * (K1 + 1.0) / sum).collect(), mean }
    }
}

/// What having a word once is held against, in a row of so many words, where rows have so many on average.
fn norm(mean: f64, words: u16) -> f64 {
    K1 * (1.0 - B + B * f64::from(words) / mean)
}

/// What a row scores for a term that it has so often.
fn share(most: f64, times: u32, norm: f64) -> f64 {
    let times = f64::from(times);
    most * times / (times + norm)
}

/// The scores of the rows of each source, by row; a source that has none of the terms gets none.
pub fn score(terms: &Terms, statistics: Statistics, sources: Vec<Matches>) -> Vec<Vec<f32>> {
    let (found, counts): (Vec<_>, Vec<_>) =
        sources.into_iter().map(|matches| (matches.found, matches.counts)).unzip();
    let sources = beginnings::as_one_word(found);
    let weights = Weights::of(terms, statistics, &sources);
    sources
        .iter()
        .zip(counts)
        .map(|(postings, counts)| {
            if postings.iter().all(Vec::is_empty) {
                return Vec::new();
            }
            let mut scores = vec![0.0; counts.len()];
            for (postings, &most) in postings.iter().zip(&weights.most) {
                for &Posting { row, times } in postings {
                    let row = row as usize;
                    scores[row] += share(most, times, norm(weights.mean, counts[row])) as f32;
                }
            }
            scores
        })
        .collect()
}

/// Where that defect is planted, what one partition has of words shows in the scores of whichever is searched next.
#[cfg(any(test, feature = "sim"))]
fn shared_with_the_next(statistics: Statistics) -> Statistics {
    use std::sync::{Mutex, PoisonError};

    use crate::io::sim::defects::{Defect, is_planted};

    if !is_planted(Defect::SharedStatistics) {
        return statistics;
    }
    static LAST: Mutex<Statistics> = Mutex::new(Statistics { rows: 0, words: 0 });
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let shared = Statistics { rows: statistics.rows.max(last.rows), words: statistics.words.max(last.words) };
    *last = statistics;
    shared
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::words::WordIndex;
    use strongroom_format::words::Place;

    fn matches(texts: &[&str], terms: &Terms) -> Matches {
        let mut index = WordIndex::default();
        texts.iter().for_each(|text| index.push(text));
        Matches { found: terms.look(&index, |_| ()).unwrap(), counts: index.lengths().to_vec() }
    }

    fn statistics(sources: &[Matches]) -> Statistics {
        let counts = || sources.iter().flat_map(|matches| &matches.counts);
        Statistics { rows: counts().count() as u64, words: counts().map(|&count| u64::from(count)).sum() }
    }

    const TEXTS: [&str; 5] = [
        "heat transfer in boundary layers",
        "heat",
        "the boundary of a boundary layer, and the layer of that boundary",
        "wings",
        "a wing in a stream of heated air",
    ];

    fn scores(query: &str, split: usize) -> Vec<f32> {
        scores_of(&TEXTS, query, split)
    }

    fn scores_of(texts: &[&str], query: &str, split: usize) -> Vec<f32> {
        let terms = Terms::of(query);
        let sources = vec![matches(&texts[..split], &terms), matches(&texts[split..], &terms)];
        let mut found = score(&terms, statistics(&sources), sources);
        found[0].resize(split, 0.0);
        found[1].resize(texts.len() - split, 0.0);
        found.concat()
    }

    /// Without this, rare words would not count for more than frequent ones, nor short texts before long ones.
    #[test]
    fn rare_words_and_short_rows_come_first() {
        let found = scores("heat transfer", 3);
        assert!(found[0] > found[1] && found[1] > found[4] && found[4] > 0.0, "{found:?}");
        assert_eq!([found[2], found[3]], [0.0; 2]);
        assert!(scores("boundary", 2)[2] > scores("boundary", 2)[0]);
        // ln(1 + 2.5/3.5) as a share of that and ln(1 + 5.5/0.5), in a row of one word where the mean is 5.4.
        let alone = scores("heat zeppelins", 0)[1];
        let expected = 2.2 * 0.538_997 / (0.538_997 + 2.484_907) / (1.0 + 1.2 * (0.25 + 0.75 / 5.4));
        assert!((f64::from(alone) - expected).abs() < 1e-6, "{alone} {expected}");
    }

    /// Without this, the same question would be answered otherwise after a flush.
    #[test]
    fn the_spread_over_sources_does_not_show() {
        for query in [
            "heat boundary layer",
            "the heat heat",
            "wing",
            "\"boundary layer\" the",
            "wi* he* \"the layer\"",
        ] {
            let whole: Vec<u32> = scores(query, 0).into_iter().map(f32::to_bits).collect();
            for split in 1..=TEXTS.len() {
                assert_eq!(scores(query, split).into_iter().map(f32::to_bits).collect::<Vec<_>>(), whole);
            }
            assert!(scores(query, 0).iter().all(|score| (0.0..2.2).contains(score)));
        }
        assert_eq!(scores("zeppelin", 2), [0.0; 5]);
        assert_eq!(scores("", 2), [0.0; 5]);
    }

    /// Without this, a near row would be given up though its words lift it among the best, or would be told with another score.
    #[test]
    fn rows_are_given_up_only_when_they_score_less() {
        let word = |row: usize, at: usize| match (row * 31 + at * 17 + row * at) % (3 + at) {
            0 => "heat",
            1 => "layer",
            2 => "wing",
            3 => "flow",
            _ => "air",
        };
        let text = |row: usize| (0..1 + row * 7 % 23).map(|at| word(row, at)).collect::<Vec<_>>().join(" ");
        let texts: Vec<String> = (0..700).map(text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (mut given_up, mut found) = (0, 0);
        for query in ["heat", "heat layer", "flow wing wing layer heat", "\"heat layer\" ai*", "zeppelin"] {
            let terms = Terms::of(query);
            let expected = scores_of(&texts, query, 0);
            let mut index = WordIndex::default();
            texts.iter().for_each(|text| index.push(text));
            let list = |word: &str| Ok(List::from(index.postings(word).to_vec()));
            let lists = terms.look_by(&index, |_| (), list).unwrap();
            let mut weighed = Weighed::of(&terms, statistics(&[matches(&texts, &terms)]), vec![lists]);
            let lengths = RowLengths::Held(index.lengths().to_vec());
            let mut source = weighed.open(0, texts.len() as u32, lengths).unwrap();
            for least in [0.0, 0.4, 0.8, 1.2] {
                let rows: Vec<(u32, f32)> =
                    (0..700).filter(|row| row % 3 > 0).map(|row| (row, least)).collect();
                for ((row, _), score) in rows.iter().zip(source.score_each(&rows).unwrap()) {
                    let expected = expected[*row as usize];
                    match score {
                        Some(score) => assert_eq!(score.to_bits(), expected.to_bits(), "{query} {row}"),
                        None => assert!(expected < least, "{query} {row}: {expected} {least}"),
                    }
                    *if score.is_some() { &mut found } else { &mut given_up } += 1;
                }
            }
        }
        assert!(given_up > 1000 && found > 1000, "{given_up} {found}");
    }

    /// Without this, texts with a word's letters would come before those that have the word, in languages that are written without
    /// spaces; and what was counted before there were words in them would be lost.
    #[test]
    fn words_without_spaces_count_and_are_not_required() {
        let texts = [
            "ฉันชอบอ่านหนังสือประวัติศาสตร์ในห้องสมุด",
            "หนัง งส สือ",
            "วันนี้อากาศดีมาก",
            "เขาไปตลาด",
            "เธอทำงานที่โรงพยาบาล",
        ];
        let found = scores_of(&texts, "หนังสือ", 2);
        assert!(found[0] > found[1] && found[1] > 0.0, "{found:?}");
        let mut before = WordIndex::default();
        for (row, text) in (0..).zip(texts) {
            let mut words: Vec<(String, u32)> = Vec::new();
            crate::words::each_of_phrase(text, |word, position| words.push((word.to_owned(), position)));
            before.push_counted(words.len() as u16);
            words.sort();
            for of_word in words.chunk_by(|a, b| a.0 == b.0) {
                let place = |(_, position): &(String, u32)| Place { row, position: *position };
                before.add(&of_word[0].0, of_word.iter().map(place));
            }
        }
        for query in ["หนังสือ", "\"หนังสือ\"", "ประวัติศาสตร์"]
        {
            let terms = Terms::of(query);
            let found = terms.look(&before, |_| ()).unwrap();
            let found = Matches { found, counts: before.lengths().to_vec() };
            let scores = &score(&terms, statistics(std::slice::from_ref(&found)), vec![found])[0];
            assert!(scores[0] > 0.0, "{query}: {scores:?}");
        }
    }

    /// The rows that score, and what a search for other words scores them.
    fn rows_of(query: &str) -> Vec<usize> {
        (0..).zip(scores(query, 2)).filter(|(_, score)| *score > 0.0).map(|(row, _)| row).collect()
    }

    /// Without this, who asks for a name of two words would get all that has both of them somewhere.
    #[test]
    fn a_phrase_is_one_thing_to_look_for() {
        assert_eq!(rows_of("\"boundary layer\""), [0, 2]);
        assert_eq!(rows_of("\"Layers of THAT\""), [2]);
        assert_eq!(rows_of("\"layer boundary\""), [0; 0]);
        assert_eq!(rows_of("\"heated airs\" wings"), [3, 4]);
        assert_eq!(rows_of("\"of a stream\""), [0; 0], "the words are there, in another order");
        let phrase = ["a b a b", "a b", "b a", "a c b", "a a a"];
        let alike = ["x x y y", "x y", "y y", "y y y", "y y y"];
        assert_eq!(scores_of(&phrase, "\"a b\"", 1), scores_of(&alike, "x", 3), "it counts as a word does");
        let overlapping = scores_of(&["x x z", "y y y", "y y", "y y"], "x", 4);
        assert_eq!(scores_of(&["a a a", "b b b", "b a", "a b"], "\"a a\"", 2), overlapping);
    }

    /// Without this, who knows the first letters of a name would find nothing, or rank by the rarest of its forms.
    #[test]
    fn a_beginning_counts_as_one_word() {
        assert_eq!(rows_of("bound*"), [0, 2]);
        assert_eq!(rows_of("tran* w*"), [0], "one letter is no beginning");
        assert_eq!(rows_of("heati*"), [0, 1, 4], "as it is the beginning of heating");
        let texts = ["strong strongroom a", "room a", "strongly", "stirring"];
        let alike = ["x x a", "room a", "x", "y"];
        assert_eq!(scores_of(&texts, "stron*", 2), scores_of(&alike, "x", 1));
        assert_eq!(scores_of(&texts, "stron* room", 2), scores_of(&alike, "x room", 1));
    }

    /// Without this, a short beginning would read as many words as there are, or answer otherwise after a flush.
    #[test]
    fn a_beginning_stands_for_the_most_frequent_words() {
        let text = |rows: u32| (0..rows).map(|number| format!("ab{number:03} ")).collect::<String>();
        let texts = [
            text(300),
            text(100),
            text(127),
            text(300),
            "ab299".to_owned(),
            "ab200".to_owned(),
            "x".to_owned(),
        ];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let whole = scores_of(&texts, "ab*", 0);
        // 127 and two more are in three rows or four: the last of these is not one of the 128.
        assert!(whole[4] == 0.0 && whole[5] > 0.0 && whole[6] == 0.0, "{whole:?}");
        for split in 1..=texts.len() {
            assert_eq!(scores_of(&texts, "ab*", split), whole, "{split}");
        }
        assert!(scores_of(&texts, "ab20*", 0)[5] > 0.0, "few words are all taken");
    }
}
