//! Does a store hold exactly what the model holds?
//!
//! Everything is compared: which partitions there are, which documents, their words, versions and labels, what is
//! deleted, the counts, and searches against brute force. The answer is a list of differences; empty means the same.

use std::collections::BTreeSet;

use strongroom_engine::{Filter, Partition, ReadError, SearchRequest, Store, StoreError};

use super::{COLLECTION, DIMENSION, Docs, Spot, State, UNKNOWN_ID, whole};
use crate::chance::Chance;

/// How far a score may be from the model's: single precision over a few dozen components.
const SCORE_ERROR_MAX: f64 = 1e-4;

/// Workspaces that a life may use.
pub const WORKSPACES: std::ops::Range<u8> = 1..6;

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

/// Every difference between what should be and what is.
pub fn differences(state: &State, store: &Store, chance: &mut Chance) -> Found {
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for workspace in WORKSPACES {
        match (store.partitions(&whole(workspace), COLLECTION), state.workspaces.contains(&workspace)) {
            (Err(StoreError::NoWorkspace), false) => {}
            (Err(StoreError::NoWorkspace), true) => found.push(format!("workspace {workspace} is not there")),
            (Err(error), _) => failed.push(format!("workspace {workspace}: {error}")),
            (Ok(_), false) => {
                found.push(format!("workspace {workspace} was dropped, or never made, and is there"))
            }
            (Ok(listed), true) => {
                let is: BTreeSet<Option<String>> =
                    listed.iter().map(|i| i.name.as_ref().map(|n| n.as_str().to_owned())).collect();
                let of_workspace = state.partitions.keys().filter(|s| s.workspace == workspace);
                let should: BTreeSet<Option<String>> = of_workspace.map(|s| s.name.clone()).collect();
                if is != should {
                    found.push(format!("workspace {workspace} has partitions {is:?}, not {should:?}"));
                }
                for info in listed {
                    let name = info.name.map(|n| n.as_str().to_owned());
                    let Some(docs) = state.partitions.get(&Spot { workspace, name: name.clone() }) else {
                        continue;
                    };
                    let live = docs.values().filter(|d| d.live).count() as u64;
                    let passages: usize = docs.values().filter(|d| d.live).map(|d| d.vectors.len()).sum();
                    let should = (live, docs.len() as u64 - live, passages as u64);
                    let is = (info.counts.documents, info.counts.deleted, info.counts.passages);
                    if is != should {
                        found.push(format!("{name:?} counts {is:?}, not {should:?}"));
                    }
                }
            }
        }
    }
    for (spot, docs) in &state.partitions {
        match store.partition(&spot.scope(), &spot.at()) {
            Ok(Some(partition)) => match in_partition(docs, &partition, chance) {
                Ok(differences) => found.extend(differences.into_iter().map(|d| format!("{spot:?}: {d}"))),
                Err(error) => failed.push(format!("{spot:?}: {error}")),
            },
            Ok(None) | Err(StoreError::NoWorkspace) => found.push(format!("{spot:?} is not there")),
            Err(error) => failed.push(format!("{spot:?}: {error}")),
        }
    }
    Found { wrong: found, failed }
}

/// Ids that are live in a partition now.
pub fn live_ids(store: &Store, spot: &Spot) -> BTreeSet<String> {
    let Ok(Some(partition)) = store.partition(&spot.scope(), &spot.at()) else { return BTreeSet::new() };
    let page = partition.list(&Filter::default(), 0, usize::MAX);
    page.map(|page| page.documents.into_iter().map(|d| d.id).collect()).unwrap_or_default()
}

/// Gives the document whose id nobody knew the id that turned up in the store.
pub fn name_the_unknown(state: &mut State, store: &Store) {
    for (spot, docs) in &mut state.partitions {
        if let Some(doc) = docs.remove(UNKNOWN_ID) {
            let extra: Vec<String> =
                live_ids(store, spot).into_iter().filter(|id| !docs.contains_key(id)).collect();
            let id = if let [id] = extra.as_slice() { id.clone() } else { UNKNOWN_ID.to_owned() };
            docs.insert(id, doc);
        }
    }
}

fn in_partition(docs: &Docs, partition: &Partition, chance: &mut Chance) -> Result<Vec<String>, ReadError> {
    let mut found = Vec::new();
    let page = partition.list(&Filter::default(), 0, usize::MAX)?;
    let listed: BTreeSet<&str> = page.documents.iter().map(|d| d.id.as_str()).collect();
    let live: BTreeSet<&str> = docs.iter().filter(|(_, d)| d.live).map(|(id, _)| id.as_str()).collect();
    found.extend(live.difference(&listed).map(|id| format!("{id} is not listed")));
    found.extend(listed.difference(&live).map(|id| format!("{id} is listed")));
    if page.documents.len() != listed.len() || page.total != listed.len() as u64 {
        found.push("a document is listed twice, or the total is wrong".to_owned());
    }
    for (id, doc) in docs {
        match (partition.content(id)?, doc.live) {
            (None, false) => {}
            (None, true) => found.push(format!("{id} is gone")),
            (Some(_), false) => found.push(format!("{id} is deleted, and read")),
            (Some((info, content)), true) => {
                let same = content == doc.content.as_bytes()
                    && info.content_bytes == content.len() as u64
                    && info.version == doc.version
                    && info.tags == doc.tags
                    && info.entity == doc.entity
                    && info.passages as usize == doc.vectors.len();
                if !same {
                    found.push(format!("{id} is {info:?} {content:?}, not {doc:?}"));
                }
                let passages = partition.passages(id)?.unwrap_or_default();
                if passages.len() != doc.vectors.len()
                    || !passages.iter().all(|p| doc.content.contains(p.as_str()))
                {
                    found.push(format!("{id} has passages {passages:?}"));
                }
            }
        }
    }
    for _ in 0..2 {
        found.extend(one_search(docs, partition, chance)?);
    }
    Ok(found)
}

/// One random search against brute force.
pub fn one_search(docs: &Docs, partition: &Partition, chance: &mut Chance) -> Result<Vec<String>, ReadError> {
    let query: Vec<f32> = match docs.values().nth(chance.below(docs.len().max(1))) {
        Some(doc) if chance.percent(50) => doc.vectors[0].clone(),
        _ => (0..DIMENSION).map(|_| chance.unit()).collect(),
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
    let k = if chance.percent(20) { 1000 } else { 1 + chance.below(12) };
    let request =
        SearchRequest { vector: &query, k, filter: &filter, similarity_min: 0.0, with_content: true };
    let response = partition.search(&request)?;
    let mut found = Vec::new();
    let matches: Vec<(&String, f64)> =
        docs.iter().filter(|(_, d)| d.passes(&filter)).map(|(id, d)| (id, d.score(&query))).collect();
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
    let mut worst = f64::INFINITY;
    for hit in hits {
        let id = &hit.document.id;
        let Some((_, score)) = matches.iter().find(|(m, _)| *m == id) else {
            found.push(format!("a search found {id}, which does not match {filter:?}"));
            continue;
        };
        worst = worst.min(*score);
        if (f64::from(hit.similarity) - score.clamp(0.0, 1.0)).abs() > SCORE_ERROR_MAX {
            found.push(format!("{id} scores {}, not {score}", hit.similarity));
        }
        let doc = &docs[id];
        if hit.content.as_deref() != Some(doc.content.as_bytes()) || !doc.content.contains(&hit.passage) {
            found.push(format!("a search returned {id} with the words of another"));
        }
    }
    let better = matches
        .iter()
        .find(|(id, score)| !distinct.contains(id.as_str()) && *score > worst + SCORE_ERROR_MAX);
    if let Some((id, score)) = better {
        found.push(format!("{id} scores {score} and was left out, the worst that was found has {worst}"));
    }
    for pair in hits.windows(2) {
        let (first, second) = (&pair[0], &pair[1]);
        let tie = first.similarity == second.similarity && first.similarity > 0.0;
        if first.similarity < second.similarity || (tie && first.document.id > second.document.id) {
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
