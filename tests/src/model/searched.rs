//! Does a search find what a plain reading of all passages finds?
//!
//! One search is drawn from the dice, for documents or for passages, and its answer held against the scores of the model.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_engine::{
    ActingAs, Ageing, Ages, Filter, Fusion, Hit, Metric, Partition, Query, ReadError, SearchRequest,
    SearchResponse, Unit,
};

use super::asked::{self, READERS, some_of};
use super::ranking::{aged, scores};
use super::{DIMENSION, Docs};
use crate::chance::Chance;

/// What searches ask for: words that many documents have, in other forms too, and one that none has; phrases of them, one
/// with a word twice, one of a word alone, one that none has; and beginnings, of a word's other form and of numbers too.
const ASKED: [&str; 16] = [
    "whale ",
    "Notes, ",
    "sea ",
    "due red ",
    "on ",
    "zeppelin ",
    "\"whale, sea\" ",
    "\"red Notes due\" ",
    "\"sea sea\" ",
    "\"so on\" ",
    "\"whale\" ",
    "\"on so\" ",
    "wh* ",
    "Notes* ",
    "zep* ",
    "12* ",
];

/// How far a score may be from the model's: single precision over a few dozen components.
const SCORE_ERROR_MAX: f64 = 1e-4;

/// Weights of ages, as of a time at which some documents are old and others are to come.
fn ages(partition: &Partition, chance: &mut Chance) -> Result<Option<Ages>, ReadError> {
    let newest = partition.list(&Filter::default(), 0, 1)?.documents.pop();
    let half_life_ms = 1000.0 * (1 + chance.below(5000)) as f64;
    let weight = |chance: &mut Chance| [0.0, 0.25, 0.5][chance.below(3)];
    let ageing = |chance: &mut Chance| Ageing { weight: weight(chance), half_life_ms };
    let (created, updated) = (ageing(chance), ageing(chance));
    Ok(newest.map(|newest| Ages {
        created,
        updated,
        now_ms: newest.created_ms + chance.below(100_000) as u64 - 50_000,
    }))
}

/// On whose behalf a search is made.
pub(super) fn acting(chance: &mut Chance) -> ActingAs {
    if chance.percent(40) {
        return ActingAs::Administrator;
    }
    ActingAs::Labels(some_of(&READERS, chance).into())
}

/// One random search against brute force, through a handle for this behalf: what that may not read takes no part in anything.
pub(super) fn one_search(
    metric: Metric,
    docs: &Docs,
    partition: &Partition,
    acting: &ActingAs,
    chance: &mut Chance,
) -> Result<Vec<String>, ReadError> {
    let docs: &Docs = &docs
        .iter()
        .filter(|(_, doc)| doc.is_for(acting))
        .map(|(id, doc)| (id.clone(), doc.clone()))
        .collect();
    let vector: Vec<f32> = match docs.values().nth(chance.below(docs.len().max(1))) {
        Some(doc) if chance.percent(50) => doc.vectors[0].clone(),
        _ => (0..DIMENSION).map(|_| chance.unit()).collect(),
    };
    let words: String = (0..1 + chance.below(4)).map(|_| *chance.pick(&ASKED)).collect();
    let query = match chance.below(4) {
        0 => Query::Words(&words),
        1 => Query::Hybrid { vector: &vector, words: &words, fusion: Fusion::Sum },
        _ => Query::Vector(&vector),
    };
    let filter = filter(chance);
    let request = SearchRequest {
        query,
        unit: if chance.percent(50) { Unit::Passages } else { Unit::Documents },
        k: if chance.percent(20) { 1000 } else { 1 + chance.below(12) },
        filter: &filter,
        similarity_min: 0.0,
        ages: if chance.percent(25) { ages(partition, chance)? } else { None },
        recall: chance.percent(50).then_some(0.9),
        with_content: true,
    };
    let response = partition.search(&request)?;
    let matches = matches(metric, docs, partition, &request)?;
    let mut found = in_hits(metric, docs, &request, &response.hits, &matches);
    found.extend(in_trace(docs, partition, &response));
    Ok(found)
}

fn filter(chance: &mut Chance) -> Filter {
    let labels = ["red", "green", "blue", "never"];
    let mut filter = Filter::default();
    for tags in [&mut filter.all_tags, &mut filter.any_tags] {
        if chance.percent(30) {
            tags.extend((0..=chance.below(2)).map(|_| (*chance.pick(&labels)).to_owned()));
        }
    }
    if chance.percent(15) {
        filter.entity = Some("ada".to_owned());
    }
    if chance.percent(50) {
        filter.condition = Some(asked::condition(chance, 3));
    }
    filter
}

/// What is found as one: a document, or a passage of it.
type Key<'a> = (&'a str, Option<u32>);

fn key<'a>(unit: Unit, id: &'a str, passage: u32) -> Key<'a> {
    (id, (unit == Unit::Passages).then_some(passage))
}

fn key_of(unit: Unit, hit: &Hit) -> Key<'_> {
    key(unit, &hit.document.id, hit.passage_number)
}

/// What the filter lets pass and the query reaches, with its score: a document's is that of its best passage.
fn matches<'a>(
    metric: Metric,
    docs: &'a Docs,
    partition: &Partition,
    request: &SearchRequest<'_>,
) -> Result<BTreeMap<Key<'a>, f64>, ReadError> {
    let mut matches = BTreeMap::new();
    for (id, scores) in scores(metric, docs, &request.query) {
        if !docs[id].passes(request.filter) {
            continue;
        }
        // When it was written only the store knows.
        let info = if request.ages.is_some() { partition.get(id)? } else { None };
        for (passage, mut score) in (0..).zip(scores).filter(|(_, score)| *score > f64::NEG_INFINITY) {
            if let (Some(ages), Some(info)) = (&request.ages, &info) {
                score = aged(score, ages, info.created_ms, info.updated_ms);
            }
            let best = matches.entry(key(request.unit, id, passage)).or_insert(score);
            *best = best.max(score);
        }
    }
    Ok(matches)
}

/// Every difference between what was found and what matches.
fn in_hits(
    metric: Metric,
    docs: &Docs,
    request: &SearchRequest<'_>,
    hits: &[Hit],
    matches: &BTreeMap<Key<'_>, f64>,
) -> Vec<String> {
    let SearchRequest { unit, k, filter, .. } = *request;
    let mut found = Vec::new();
    if hits.len() != k.min(matches.len()) {
        let (hits, matches) = (hits.len(), matches.len());
        found.push(format!("a search for {unit:?} found {hits} of {matches} with k = {k}, {filter:?}"));
    }
    let distinct: BTreeSet<Key<'_>> = hits.iter().map(|hit| key_of(unit, hit)).collect();
    if distinct.len() != hits.len() {
        found.push(format!("a search for {unit:?} found one twice"));
    }
    let is_bounded = metric != Metric::InnerProduct || matches!(request.query, Query::Words(_));
    let largest = matches.values().map(|score| score.abs()).fold(1.0, f64::max);
    let error_max = SCORE_ERROR_MAX * largest;
    let mut worst = f64::INFINITY;
    for hit in hits {
        let id = &hit.document.id;
        let Some(score) = matches.get(&key_of(unit, hit)) else {
            found.push(format!("a search found {:?}, which does not match {filter:?}", key_of(unit, hit)));
            continue;
        };
        worst = worst.min(*score);
        // Products of vectors have no bounds; what words are worth has.
        let told = if is_bounded { score.clamp(0.0, 1.0) } else { *score };
        if (f64::from(hit.score) - told).abs() > error_max {
            found.push(format!("{id} scores {}, not {score}", hit.score));
        }
        let doc = &docs[id];
        let range = hit.passage_range.map(|(start, end)| start as usize..end as usize);
        if hit.content.as_deref() != Some(doc.content.as_bytes())
            || doc.passages().nth(hit.passage_number as usize) != Some(&hit.passage)
            || range.and_then(|range| doc.content.get(range)) != Some(&hit.passage)
        {
            found.push(format!("a search returned {id} with the words of another"));
        }
    }
    let better = matches.iter().find(|(key, score)| !distinct.contains(*key) && **score > worst + error_max);
    if let Some((key, score)) = better {
        found.push(format!("{key:?} scores {score} and was left out, the worst that was found has {worst}"));
    }
    for pair in hits.windows(2) {
        let (first, second) = (&pair[0], &pair[1]);
        // Distances are told apart by less than their scores can tell.
        let known = |hit: &Hit| matches.get(&key_of(unit, hit)).copied();
        let is_even = metric != Metric::Euclidean || known(first) == known(second);
        let is_cut = is_bounded && (first.score <= 0.0 || first.score >= 1.0);
        let tie = first.score == second.score && !is_cut && is_even;
        if first.score < second.score || (tie && key_of(unit, first) > key_of(unit, second)) {
            found.push(format!("{:?} stands before {:?}", key_of(unit, first), key_of(unit, second)));
        }
    }
    found
}

fn in_trace(docs: &Docs, partition: &Partition, response: &SearchResponse) -> Vec<String> {
    let mut found = Vec::new();
    if response.trace.partitions_opened != [partition.name()] {
        found.push(format!("the trace says {:?}", response.trace.partitions_opened));
    }
    let live = docs.values().filter(|d| d.live).count() as u64;
    if response.trace.candidates != live {
        found.push(format!("the trace says {} candidates, not {live}", response.trace.candidates));
    }
    found
}
