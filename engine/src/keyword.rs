//! How well do the words of a row match those of a query?
//!
//! BM25 (Robertson and Zaragoza 2009; k1 = 1.2, b = 0.75) over the rows of one partition, with statistics of its live
//! rows and of nothing else, divided by what a row of mean length gets that has each of the query's words once: so a score
//! means the same from query to query. 1 is a row like that; none reaches 2.2.
//!
//! Invariants:
//! 1. What is answered does not depend on how rows are spread over sources: statistics are whole numbers over live rows,
//!    and a row's score is summed in the order of the query's words.
//! 2. A row without any of the words scores 0, and no other does.

use crate::words::each_word;
use std::collections::BTreeMap;
use strongroom_format::words::Posting;

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// The words of a query, sorted, with how often it has each.
#[derive(Debug, Clone)]
pub struct Words(Vec<(String, u32)>);

impl Words {
    /// The words of a text.
    pub fn of(text: &str) -> Self {
        let mut words: BTreeMap<String, u32> = BTreeMap::new();
        each_word(text, |word, _| *words.entry(word.to_owned()).or_default() += 1);
        Self(words.into_iter().collect())
    }

    /// Each of them once.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(word, _)| word.as_str())
    }
}

/// What a source has of the query's words, live rows alone.
#[derive(Debug, Default)]
pub struct Matches {
    /// For each of the words the rows that have it, rising.
    pub postings: Vec<Vec<Posting>>,
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

/// The scores of the rows of each source, by row; a source that has none of the words gets none.
pub fn score(words: &Words, statistics: Statistics, sources: &[Matches]) -> Vec<Vec<f32>> {
    let rows = statistics.rows as f64;
    let mean = (statistics.words as f64 / rows.max(1.0)).max(1.0);
    let weights: Vec<f64> = (0..)
        .zip(&words.0)
        .map(|(at, (_, times)): (usize, _)| {
            let with: usize =
                sources.iter().filter_map(|matches| matches.postings.get(at)).map(Vec::len).sum();
            f64::from(*times) * ((rows - with as f64 + 0.5) / (with as f64 + 0.5)).ln_1p()
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    sources
        .iter()
        .map(|matches| {
            if matches.postings.iter().all(Vec::is_empty) {
                return Vec::new();
            }
            let mut scores = vec![0.0; matches.counts.len()];
            for (postings, weight) in matches.postings.iter().zip(&weights) {
                let most = weight * (K1 + 1.0) / sum;
                for posting in postings {
                    let row = posting.row as usize;
                    let times = f64::from(posting.times);
                    let length = f64::from(matches.counts[row]);
                    scores[row] += (most * times / (times + K1 * (1.0 - B + B * length / mean))) as f32;
                }
            }
            scores
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::WordIndex;

    fn matches(texts: &[&str], words: &Words) -> Matches {
        let mut index = WordIndex::default();
        texts.iter().for_each(|text| index.push(text));
        Matches {
            postings: words.iter().map(|word| index.postings(word).to_vec()).collect(),
            counts: index.lengths().to_vec(),
        }
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
        let words = Words::of(query);
        let sources = [matches(&TEXTS[..split], &words), matches(&TEXTS[split..], &words)];
        let mut found = score(&words, statistics(&sources), &sources);
        found[0].resize(split, 0.0);
        found[1].resize(TEXTS.len() - split, 0.0);
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
        for query in ["heat boundary layer", "the heat heat", "wing"] {
            let whole: Vec<u32> = scores(query, 0).into_iter().map(f32::to_bits).collect();
            for split in 1..=TEXTS.len() {
                assert_eq!(scores(query, split).into_iter().map(f32::to_bits).collect::<Vec<_>>(), whole);
            }
            assert!(scores(query, 0).iter().all(|score| (0.0..2.2).contains(score)));
        }
        assert_eq!(scores("zeppelin", 2), [0.0; 5]);
        assert_eq!(scores("", 2), [0.0; 5]);
    }
}
