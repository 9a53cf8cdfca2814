//! What does each document score, by a plain reading of all of them?
//!
//! Similarities and BM25 in double precision, passage by passage, over a list of texts: nothing of the engine's.

use std::collections::BTreeMap;

use strongroom_engine::{Ageing, Ages, Fusion, Metric, Query};

use super::{Doc, Docs, similarity};

/// What words count for beside vectors.
const WORDS_SHARE: f64 = 0.42;

/// What each passage of each live document scores, whatever the query's filter; minus infinity where the query does not reach it.
pub(super) fn scores<'a>(
    metric: Metric,
    docs: &'a Docs,
    query: &Query<'_>,
) -> BTreeMap<&'a String, Vec<f64>> {
    let live: BTreeMap<&String, &Doc> =
        docs.iter().filter(|(_, doc)| doc.live).map(|(id, doc)| (id, &**doc)).collect();
    let similarities = |doc: &Doc, vector: &[f32]| {
        doc.vectors.iter().map(|v| similarity(metric, v, vector)).collect::<Vec<_>>()
    };
    match query {
        Query::Vector(vector) => live.iter().map(|(id, doc)| (*id, similarities(doc, vector))).collect(),
        Query::Words(words) => {
            let mut shares = shares(&live, words);
            let without = shares.values_mut().flatten().filter(|share| **share <= 0.0);
            without.for_each(|share| *share = f64::NEG_INFINITY);
            shares
        }
        Query::Hybrid { vector, words, fusion: Fusion::Sum } => {
            let shares = shares(&live, words);
            let both = |(vector, share): (f64, &f64)| (1.0 - WORDS_SHARE) * vector + WORDS_SHARE * share;
            let of = |id: &&'a String, doc: &Doc| {
                similarities(doc, vector).into_iter().zip(&shares[*id]).map(both).collect()
            };
            live.iter().map(|(id, doc)| (*id, of(id, doc))).collect()
        }
        other => panic!("the model does not rank by {other:?}"),
    }
}

/// What a score becomes when the ages of its document count: each age halves its share once for each half-life.
pub(super) fn aged(score: f64, ages: &Ages, created_ms: u64, updated_ms: Option<u64>) -> f64 {
    let of = |ageing: Ageing, at_ms: u64| {
        let age_ms = ages.now_ms.saturating_sub(at_ms) as f64;
        f64::from(ageing.weight) * 0.5_f64.powf(age_ms / ageing.half_life_ms)
    };
    let rest = 1.0 - f64::from(ages.created.weight) - f64::from(ages.updated.weight);
    rest * score + of(ages.created, created_ms) + of(ages.updated, updated_ms.unwrap_or(created_ms))
}

/// The BM25 of each passage, by what one of mean length gets that has each word once.
fn shares<'a>(live: &BTreeMap<&'a String, &Doc>, query: &str) -> BTreeMap<&'a String, Vec<f64>> {
    let passages: BTreeMap<&String, Vec<Vec<String>>> =
        live.iter().map(|(id, doc)| (*id, doc.passages().map(words).collect())).collect();
    let all: Vec<&Vec<String>> = passages.values().flatten().collect();
    let rows = all.len() as f64;
    let mean = all.iter().map(|words| words.len()).sum::<usize>() as f64 / rows;
    let weights: Vec<(Term, f64)> = terms(query)
        .into_iter()
        .map(|term| {
            let with = all.iter().filter(|words| term.times(words) > 0).count() as f64;
            (term, (1.0 + (rows - with + 0.5) / (with + 0.5)).ln())
        })
        .collect();
    let most: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let share = |words: &Vec<String>| {
        let of = |(term, weight): &(Term, f64)| {
            let times = term.times(words) as f64;
            weight * 2.2 * times / (times + 1.2 * (0.25 + 0.75 * words.len() as f64 / mean.max(1.0)))
        };
        if most > 0.0 { weights.iter().map(of).sum::<f64>() / most } else { 0.0 }
    };
    passages.iter().map(|(id, passages)| (*id, passages.iter().map(share).collect())).collect()
}

/// What a query looks for.
enum Term {
    /// Words one after the other; mostly one.
    Phrase(Vec<String>),
    /// Any word that begins so, or the one that has such forms.
    Beginning(String, Vec<String>),
}

impl Term {
    fn times(&self, words: &[String]) -> usize {
        match self {
            Self::Phrase(phrase) => words.windows(phrase.len()).filter(|found| found == phrase).count(),
            Self::Beginning(letters, whole) => {
                words.iter().filter(|word| word.starts_with(letters) || whole.contains(word)).count()
            }
        }
    }
}

/// Quotation marks come in pairs here, and stars behind words.
fn terms(query: &str) -> Vec<Term> {
    let mut terms = Vec::new();
    for (number, part) in query.split('"').enumerate() {
        if number % 2 == 1 {
            terms.push(Term::Phrase(words(part)));
            continue;
        }
        for piece in part.split_whitespace() {
            match piece.strip_suffix('*') {
                Some(letters) => terms.push(Term::Beginning(letters.to_lowercase(), words(letters))),
                None => terms.extend(words(piece).into_iter().map(|word| Term::Phrase(vec![word]))),
            }
        }
    }
    terms
}

/// The model writes words that have no other form, and asks for one that has.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| if word == "Notes" { "note".to_owned() } else { word.to_owned() }).collect()
}
