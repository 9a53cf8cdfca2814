//! Does a store hold exactly what the model holds?
//!
//! Everything is compared: which partitions there are, which documents, their words, versions and labels, what is
//! deleted, the counts, and searches against brute force. The answer is a list of differences; empty means the same.

use std::collections::BTreeSet;

use strongroom_engine::{
    Ageing, Ages, Filter, Fusion, Metric, Partition, PartitionInfo, Query, ReadError, SearchRequest, Store,
    StoreError,
};

use super::asked;
use super::observe::{Observed, Read, Seen, observe};
use super::ranking::{aged, scores};
use super::{DIMENSION, Doc, Docs, Spot, State, UNKNOWN_ID};
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

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Found {
    /// The store answered, and wrongly.
    pub wrong: Vec<String>,
    /// The store could not answer.
    pub failed: Vec<String>,
}

impl Found {
    /// Whether the store is what it should be.
    pub fn is_same(&self) -> bool {
        self.wrong.is_empty() && self.failed.is_empty()
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            &self.wrong.iter().chain(&self.failed).map(|line| format!("- {line}\n")).collect::<String>(),
        )
    }
}

/// Every difference between a store and what it should be, searches included.
pub fn compare(state: &State, store: &Store, chance: &mut Chance, workspaces: std::ops::Range<u8>) -> Found {
    let observed = observe(store, &[state], workspaces);
    let wrong = differences(state, &observed);
    if !wrong.is_empty() || !observed.failed.is_empty() {
        return Found { wrong, failed: observed.failed };
    }
    searches(state, store, chance, 1)
}

/// Every difference between what should be and what was read. What could not be read is not a difference.
pub(super) fn differences(state: &State, observed: &Observed) -> Vec<String> {
    let mut found = Vec::new();
    for (&workspace, listed) in &observed.workspaces {
        match (listed, state.workspaces.contains(&workspace)) {
            (None, false) => {}
            (None, true) => found.push(format!("workspace {workspace} is not there")),
            (Some(_), false) => {
                found.push(format!("workspace {workspace} was dropped, or never made, and is there"));
            }
            (Some(listed), true) => found.extend(in_listing(state, workspace, listed, &observed.unread)),
        }
    }
    for (spot, seen) in &observed.partitions {
        match (seen, state.docs(spot)) {
            (Some(seen), Some(docs)) => {
                found.extend(in_partition(docs, seen).into_iter().map(|line| format!("{spot:?}: {line}")));
            }
            (None, Some(_)) => found.push(format!("{spot:?} is not there")),
            (Some(_), None) => found.push(format!("{spot:?} was dropped, or never written to, and is there")),
            (None, None) => {}
        }
    }
    found
}

/// A partition that can't be read may have lost its name as well: then it can't be listed.
fn in_listing(
    state: &State,
    workspace: u8,
    listed: &[PartitionInfo],
    unread: &BTreeSet<Spot>,
) -> Vec<String> {
    let mut found = Vec::new();
    let is: BTreeSet<Option<&str>> = listed.iter().map(|i| i.name.as_ref().map(|n| n.as_str())).collect();
    let of_workspace = state.partitions.keys().filter(|spot| spot.workspace == workspace);
    let should: BTreeSet<Option<&str>> = of_workspace.map(|spot| spot.name.as_deref()).collect();
    let is_lost = |name: &&Option<&str>| unread.contains(&Spot { workspace, name: name.map(str::to_owned) });
    let differ = is.symmetric_difference(&should).filter(|name| !is_lost(name)).count();
    if differ > 0 || is.len() != listed.len() {
        found.push(format!("workspace {workspace} has partitions {is:?}, not {should:?}"));
    }
    for info in listed.iter().filter(|info| !info.is_quarantined) {
        let name = info.name.as_ref().map(|name| name.as_str().to_owned());
        let Some(docs) = state.docs(&Spot { workspace, name: name.clone() }) else { continue };
        let live = docs.values().filter(|doc| doc.live).count() as u64;
        let passages: usize = docs.values().filter(|doc| doc.live).map(|doc| doc.vectors.len()).sum();
        let should = (live, docs.len() as u64 - live, passages as u64);
        let is = (info.counts.documents, info.counts.deleted, info.counts.passages);
        if is != should {
            found.push(format!("{name:?} counts {is:?}, not {should:?}"));
        }
    }
    found
}

/// Every difference between the documents of a partition and what was read there.
pub(super) fn in_partition(docs: &Docs, seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let listed: BTreeSet<&str> = seen.listed.iter().map(String::as_str).collect();
    let live: BTreeSet<&str> = docs.iter().filter(|(_, doc)| doc.live).map(|(id, _)| id.as_str()).collect();
    found.extend(live.difference(&listed).map(|id| format!("{id} is not listed")));
    found.extend(listed.difference(&live).map(|id| format!("{id} is listed")));
    if seen.listed.len() != listed.len() || seen.total != listed.len() as u64 {
        found.push("a document is listed twice, or the total is wrong".to_owned());
    }
    for (id, read) in &seen.read {
        match (read, docs.get(id)) {
            (None, Some(doc)) if doc.live => found.push(format!("{id} is gone")),
            (Some(_), Some(doc)) if !doc.live => found.push(format!("{id} is deleted, and read")),
            (Some(_), None) => found.push(format!("{id} was never written, and is read")),
            (Some(read), Some(doc)) => found.extend(in_document(id, doc, read)),
            (None, _) => {}
        }
    }
    found
}

fn in_document(id: &str, doc: &Doc, read: &Read) -> Option<String> {
    let info = &read.info;
    let same = read.content == doc.content.as_bytes()
        && info.content_bytes == read.content.len() as u64
        && info.version == doc.version
        && info.tags == doc.tags
        && info.entity == doc.entity
        && info.passages as usize == doc.vectors.len();
    let passages_same = doc.passages().eq(read.passages.iter().map(String::as_str));
    (!same || !passages_same).then(|| format!("{id} is {read:?}, not {doc:?}"))
}

/// Gives the document whose id nobody knew the id that turned up in the store.
pub(super) fn name_the_unknown(state: &mut State, observed: &Observed) {
    let unnamed: Vec<Spot> = state
        .partitions
        .iter()
        .filter(|(_, docs)| docs.contains_key(UNKNOWN_ID))
        .map(|(spot, _)| spot.clone())
        .collect();
    for spot in unnamed {
        let Some(Some(seen)) = observed.partitions.get(&spot) else { continue };
        let docs = state.docs_mut(&spot);
        let extra: Vec<&String> = seen.listed.iter().filter(|id| !docs.contains_key(*id)).collect();
        if let [id] = extra.as_slice()
            && let Some(doc) = docs.remove(UNKNOWN_ID)
        {
            docs.insert((*id).clone(), doc);
        }
    }
}

/// A few random searches in every partition of a model.
pub(super) fn searches(state: &State, store: &Store, chance: &mut Chance, of_each: usize) -> Found {
    let mut found = Found::default();
    for (spot, docs) in &state.partitions {
        for _ in 0..of_each {
            match search_in(state.metric, docs, store, spot, chance) {
                Ok(wrong) => found.wrong.extend(wrong.into_iter().map(|line| format!("{spot:?}: {line}"))),
                Err(error) => found.failed.push(format!("{spot:?}: {error}")),
            }
        }
    }
    found
}

fn search_in(
    metric: Metric,
    docs: &Docs,
    store: &Store,
    spot: &Spot,
    chance: &mut Chance,
) -> Result<Vec<String>, StoreError> {
    match store.partition(&spot.scope(), &spot.at())? {
        Some(partition) => Ok(one_search(metric, docs, &partition, chance)?),
        None => Ok(vec!["it is not there".to_owned()]),
    }
}

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

/// One random search against brute force.
pub(super) fn one_search(
    metric: Metric,
    docs: &Docs,
    partition: &Partition,
    chance: &mut Chance,
) -> Result<Vec<String>, ReadError> {
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
    let k = if chance.percent(20) { 1000 } else { 1 + chance.below(12) };
    let ages = if chance.percent(25) { ages(partition, chance)? } else { None };
    let request = SearchRequest {
        query,
        k,
        filter: &filter,
        similarity_min: 0.0,
        ages,
        recall: chance.percent(50).then_some(0.9),
        with_content: true,
    };
    let response = partition.search(&request)?;
    let mut found = Vec::new();
    let mut matches: Vec<(&String, f64)> =
        scores(metric, docs, &query).into_iter().filter(|(id, _)| docs[*id].passes(&filter)).collect();
    if let Some(ages) = &ages {
        for (id, score) in &mut matches {
            // When it was written only the store knows.
            let Some(info) = partition.get(id)? else { continue };
            *score = aged(*score, ages, info.created_ms, info.updated_ms);
        }
    }
    let hits = &response.hits;
    if hits.len() != k.min(matches.len()) {
        found.push(format!(
            "a search found {} of {} matches with k = {k}, {filter:?}",
            hits.len(),
            matches.len()
        ));
    }
    let distinct: BTreeSet<&str> = hits.iter().map(|h| h.document.id.as_str()).collect();
    if distinct.len() != hits.len() {
        found.push("a search found one document twice".to_owned());
    }
    let is_bounded = metric != Metric::InnerProduct || matches!(query, Query::Words(_));
    let largest = matches.iter().map(|(_, score)| score.abs()).fold(1.0, f64::max);
    let error_max = SCORE_ERROR_MAX * largest;
    let mut worst = f64::INFINITY;
    for hit in hits {
        let id = &hit.document.id;
        let Some((_, score)) = matches.iter().find(|(m, _)| *m == id) else {
            found.push(format!("a search found {id}, which does not match {filter:?}"));
            continue;
        };
        worst = worst.min(*score);
        // Products of vectors have no bounds; what words are worth has.
        let told = if is_bounded { score.clamp(0.0, 1.0) } else { *score };
        if (f64::from(hit.score) - told).abs() > error_max {
            found.push(format!("{id} scores {}, not {score}", hit.score));
        }
        let doc = &docs[id];
        if hit.content.as_deref() != Some(doc.content.as_bytes())
            || !doc.passages().any(|passage| passage == hit.passage)
        {
            found.push(format!("a search returned {id} with the words of another"));
        }
    }
    let better =
        matches.iter().find(|(id, score)| !distinct.contains(id.as_str()) && *score > worst + error_max);
    if let Some((id, score)) = better {
        found.push(format!("{id} scores {score} and was left out, the worst that was found has {worst}"));
    }
    for pair in hits.windows(2) {
        let (first, second) = (&pair[0], &pair[1]);
        // Distances are told apart by less than their scores can tell.
        let known = |id: &str| matches.iter().find(|(other, _)| *other == id).map(|(_, score)| *score);
        let is_even = metric != Metric::Euclidean || known(&first.document.id) == known(&second.document.id);
        let is_cut = is_bounded && (first.score <= 0.0 || first.score >= 1.0);
        let tie = first.score == second.score && !is_cut && is_even;
        if first.score < second.score || (tie && first.document.id > second.document.id) {
            found.push(format!("{} stands before {}", first.document.id, second.document.id));
        }
    }
    if response.trace.partitions_opened != [partition.name().map(str::to_owned)] {
        found.push(format!("the trace says {:?}", response.trace.partitions_opened));
    }
    let live = docs.values().filter(|d| d.live).count() as u64;
    if response.trace.candidates != live {
        found.push(format!("the trace says {} candidates, not {live}", response.trace.candidates));
    }
    Ok(found)
}
