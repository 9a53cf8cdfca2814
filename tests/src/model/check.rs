//! Does a store hold exactly what the model holds?
//!
//! Everything is compared: which partitions there are, which documents, their words, versions and labels, what is
//! deleted, the counts, and searches against brute force. The answer is a list of differences; empty means the same.

use std::collections::BTreeSet;

use strongroom_engine::{Metric, PartitionInfo, Store, StoreError};

use super::observe::{Observed, Read, Seen, observe};
use super::searched::{acting, one_search};
use super::{COLLECTION, Doc, Docs, Spot, State, UNKNOWN_ID, whole};
use crate::chance::Chance;

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
    let trashed: BTreeSet<Spot> = state.trash.keys().cloned().collect();
    let held: BTreeSet<Spot> = state.held.keys().cloned().collect();
    for (what, is, should) in [("in the trash", &observed.trashed, &trashed), ("held", &observed.held, &held)]
    {
        let differ = is.symmetric_difference(should).filter(|spot| !observed.unread.contains(spot));
        found.extend(differ.map(|spot| format!("{spot:?}: whether it is {what} is not as it should be")));
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
        let spot = Spot { workspace, name: name.clone() };
        let (Some(docs), unswept) = (state.docs(&spot), state.unswept(&spot)) else { continue };
        let live = docs.values().filter(|doc| doc.live).count() as u64;
        let passages: usize = docs.values().filter(|doc| doc.live).map(|doc| doc.vectors.len()).sum();
        let should = (live, docs.len() as u64 - live, passages as u64);
        let is = (info.counts.documents, info.counts.deleted, info.counts.passages);
        let least = should.0 <= is.0 && should.1 <= is.1 && should.2 <= is.2;
        let is_same =
            if unswept == 0 { is == should } else { least && is.0 + is.1 <= should.0 + should.1 + unswept };
        if !is_same {
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
        && info.readers == doc.readers
        && info.expires_ms == doc.expires_ms
        && info.passages as usize == doc.vectors.len();
    let piece = doc.content.len() / doc.vectors.len();
    let passages_same = read.passages.len() == doc.vectors.len()
        && (0..).zip(&read.passages).zip(doc.passages()).all(|((number, read), text)| {
            let at = |n: usize| (number as usize + n) * piece;
            let range = read.range.map(|(start, end)| (start as usize, end as usize));
            read.number == number && read.text == text && range == Some((at(0), at(1)))
        });
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
    let mut found = held(state, store, chance);
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

/// For an id of each workspace, whether just those partitions hold it that should.
fn held(state: &State, store: &Store, chance: &mut Chance) -> Found {
    let mut found = Found::default();
    for &workspace in &state.workspaces {
        let of_workspace = || state.partitions.iter().filter(|(spot, _)| spot.workspace == workspace);
        let ids: Vec<&String> = of_workspace().flat_map(|(_, docs)| docs.keys()).collect();
        if ids.is_empty() {
            continue;
        }
        let id = *chance.pick(&ids);
        let should: Vec<Option<&str>> = of_workspace()
            .filter(|(_, docs)| docs.get(id).is_some_and(|doc| doc.live))
            .map(|(spot, _)| spot.name.as_deref())
            .collect();
        match store.holders(&whole(workspace), COLLECTION, id) {
            Ok(holders) if holders.unread.is_some() => {
                found.failed.push(format!("workspace {workspace}: {:?}", holders.unread));
            }
            Ok(holders) => {
                let is: Vec<Option<String>> = holders.partitions.iter().map(|one| one.name()).collect();
                if is.iter().map(Option::as_deref).ne(should.iter().copied()) {
                    found.wrong.push(format!("{id} is held by {is:?}, not {should:?}"));
                }
            }
            Err(error) => found.failed.push(format!("workspace {workspace}: {error}")),
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
    let acting = acting(chance);
    match store.partition(&spot.scope_for(acting.clone()), &spot.at())? {
        Some(partition) => Ok(one_search(metric, docs, &partition, &acting, chance)?),
        None => Ok(vec!["it is not there".to_owned()]),
    }
}
