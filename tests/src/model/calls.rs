//! Which calls does a world make on its store, and what does each make of the model?
//!
//! One method for each operation: it calls the store, says what the model is if the call happened, and leaves
//! it to [`World`] to settle which of the two it was. Calls go through a fresh handle or one that was taken long
//! before, as the dice fall.

use std::collections::BTreeSet;

use strongroom_engine::{
    ActingAs, Filter, OperatorScope, Partition, Query, SearchRequest, Store, StoreError, Unit, WriteError,
    verify_receipt,
};

use super::searched::{acting, one_search};
use super::world::{Came, World, is_refusal};
use super::{DIMENSION, Doc, Docs, Spot, UNKNOWN_ID, workspace_id};

/// Handles that are kept at a time, on partitions that are there and on such as were dropped, each.
const HANDLES_MAX: usize = 6;

impl World {
    /// Makes a workspace.
    pub fn create_workspace(&mut self, number: u8) -> Came {
        self.workspace_was_made(number);
        let outcome = self.operate().create_workspace(&OperatorScope::grant(), workspace_id(number));
        let mut after = self.state.clone();
        after.workspaces.insert(number);
        let what = format!("create workspace {number}");
        match outcome {
            // The key's slot may lie in one mirror already, and then counts.
            Err(StoreError::Write(WriteError::Full)) => {
                self.note(format!("{what}: the disk is full"));
                self.recover(after);
                Came::Interrupted
            }
            outcome => self.settle(&what, outcome, after),
        }
    }

    /// Drops a workspace and all that is in it.
    pub fn drop_workspace(&mut self, number: u8) -> Came {
        let outcome = self.operate().drop_workspace(&OperatorScope::grant(), workspace_id(number)).map(drop);
        let mut after = self.state.clone();
        if self.state.held.keys().any(|spot| spot.workspace == number) {
            assert!(outcome.is_err(), "workspace {number} was dropped with what is held in it");
        } else {
            after.drop_workspace(number);
        }
        let came = self.settle(&format!("drop workspace {number}"), outcome, after);
        if came == Came::Done {
            self.let_go(|spot| spot.workspace == number);
        }
        came
    }

    /// Drops a partition.
    pub fn drop_partition(&mut self, spot: &Spot) -> Came {
        let trashed = self.state.trash.get(spot).map(|trashed| &*trashed.docs);
        let known = self.state.docs(spot).or(trashed).map(|docs| docs.len() as u64);
        let is_over = self.state.over.contains(spot);
        let outcome = self.operate().drop_partition(&spot.scope(), &spot.at());
        if let Ok(dropped) = &outcome {
            assert!(!self.state.is_held(spot), "{spot:?} is held, and was dropped");
            let took = dropped.as_ref().map(|(counts, _)| counts.documents + counts.deleted);
            let most = known.map(|known| known + self.state.unswept(spot));
            assert!(
                known <= took && (took <= most || is_over),
                "documents that a drop of {spot:?} took: {took:?}, not {known:?} to {most:?}"
            );
            if let Some((_, receipt)) = dropped {
                let receipt = verify_receipt(&receipt.bytes).expect("a receipt that verifies");
                let told = Some(receipt.documents.get() + receipt.deleted.get());
                assert_eq!(told, took, "the receipt of {spot:?}");
            }
        }
        let mut after = self.state.clone();
        if !self.state.is_held(spot) {
            after.partitions.remove(spot);
            after.trash.remove(spot);
            after.over.remove(spot);
            after.expired.remove(spot);
        }
        let came = self.settle(&format!("drop {spot:?}"), outcome.map(drop), after);
        if came == Came::Done && known.is_some() {
            self.let_go(|other| other == spot);
        }
        came
    }

    /// Handles on what was dropped are of no use any more; some are kept to see that.
    pub(super) fn let_go(&mut self, gone: impl Fn(&Spot) -> bool) {
        let (stale, held) = std::mem::take(&mut self.held).into_iter().partition(|(spot, _)| gone(spot));
        self.held = held;
        self.stale.extend::<Vec<_>>(stale);
        let surplus = self.stale.len().saturating_sub(HANDLES_MAX);
        self.stale.drain(..surplus);
        self.check_stale();
    }

    /// A handle that was taken before a drop must not reach what comes after it, under the same name too.
    pub fn check_stale(&mut self) {
        let vector = [1.0; DIMENSION];
        let filter = Filter::default();
        let request = SearchRequest {
            query: Query::Vector(&vector),
            unit: Unit::Documents,
            k: 5,
            filter: &filter,
            similarity_min: 0.0,
            recall: None,
            ages: None,
            with_content: true,
        };
        for (spot, stale) in &self.stale {
            assert!(stale.search(&request).is_err(), "{spot:?}: a handle on what was dropped searches on");
            assert!(stale.list(&filter, 0, 10).is_err(), "{spot:?}: a handle on what was dropped lists on");
            assert!(
                stale.get("a").is_err() && stale.delete("a").is_err(),
                "{spot:?}: it reads and deletes on"
            );
            let doc = Doc { version: 1, content: "x".to_owned(), ..Doc::default() };
            let doc = Doc { vectors: vec![vector.to_vec()], ..doc };
            assert!(stale.put(doc.new_document(None)).is_err(), "{spot:?}: it writes on");
        }
    }

    /// Takes a handle, for later calls; on a partition that isn't there it is one that its first write makes.
    pub fn hold(&mut self, spot: &Spot) -> Came {
        let spec = self.state.spec();
        match self.operate().partition_for_write(&spot.scope(), &spot.at(), spec) {
            Ok(handle) => {
                self.note(format!("hold {spot:?}"));
                let surplus = (self.held.len() + 1).saturating_sub(HANDLES_MAX);
                self.held.drain(..surplus);
                self.held.push((spot.clone(), handle));
                Came::Done
            }
            Err(error) => {
                let after = self.state.clone();
                self.settle(&format!("hold {spot:?}"), Err(error), after)
            }
        }
    }

    /// A handle from before, if there is one and the dice say so.
    fn held(&mut self, spot: &Spot) -> Option<Partition> {
        let found = self.held.iter().find(|(other, _)| other == spot).map(|(_, handle)| handle.clone());
        found.filter(|_| self.chance.percent(60))
    }

    /// Inserts documents at once; those without an id get one of the engine's.
    pub fn put_many(&mut self, spot: &Spot, docs: &[(Option<String>, Doc)]) -> Came {
        let new = docs.iter().map(|(id, doc)| doc.new_document(id.as_deref())).collect();
        let held = self.held(spot).map(Ok);
        let spec = self.state.spec();
        let store = self.operate();
        let partition = held.unwrap_or_else(|| store.partition_for_write(&spot.scope(), &spot.at(), spec));
        let outcome = partition.and_then(|partition| Ok(partition.put_many(new)?));
        let mut after = self.state.clone();
        let now_ms = self.now_ms();
        for (position, (id, doc)) in docs.iter().enumerate() {
            let given = outcome.as_ref().ok().map(|infos| infos[position].id.clone());
            let id = given.or_else(|| id.clone()).unwrap_or_else(|| UNKNOWN_ID.to_owned());
            let doc = self.state.kept_in(spot, doc, now_ms);
            let taken = after.docs_mut(spot).insert(id.clone(), doc).is_some();
            if outcome.is_ok() {
                assert!(!taken, "{id} was there, and was inserted again");
            }
        }
        let names: Vec<&str> = docs.iter().map(|(id, _)| id.as_deref().unwrap_or(UNKNOWN_ID)).collect();
        self.settle(&format!("put {names:?} into {spot:?}"), outcome.map(drop), after)
    }

    /// Replaces a document.
    pub fn update(&mut self, spot: &Spot, id: &str, mut doc: Doc) -> Came {
        let known = self.state.doc(spot, id);
        doc.version = known.map_or(1, |d| d.version + 1);
        let is_live = known.is_some_and(|d| d.live) && !self.state.is_held(spot);
        let new = doc.new_document(None);
        let (before, change) =
            (doc.version - 1, |docs: &mut Docs| drop(docs.insert(id.to_owned(), doc.into())));
        if self.chance.percent(60) {
            return self
                .write(spot, &format!("update {id}"), is_live, change, |p| p.update(id, new).map(drop));
        }
        let asked = if self.chance.percent(70) { before } else { before + 1 };
        let (what, may) = (format!("update version {asked} of {id}"), is_live && asked == before);
        self.write(spot, &what, may, change, |p| p.update_version(id, asked, new).map(drop))
    }

    /// Inserts or replaces documents at once.
    pub fn upsert(&mut self, spot: &Spot, docs: &[(String, Doc)]) -> Came {
        let new = docs.iter().map(|(id, doc)| doc.new_document(Some(id))).collect();
        let ids: BTreeSet<&str> = docs.iter().map(|(id, _)| id.as_str()).collect();
        let replaces = ids.iter().any(|id| self.state.doc(spot, id).is_some_and(|d| d.live));
        let is_kept = self.state.is_held(spot) && replaces || self.state.trash.contains_key(spot);
        // One that expired before it was held is not purged for another of its id.
        let may_be_kept = self.state.is_held(spot) && self.state.unswept(spot) > 0;
        let is_taken = ids.iter().any(|id| self.state.doc(spot, id).is_some_and(|d| !d.live));
        let held = self.held(spot).map(Ok);
        let spec = self.state.spec();
        let store = self.operate();
        let partition = held.unwrap_or_else(|| store.partition_for_write(&spot.scope(), &spot.at(), spec));
        let outcome = partition.and_then(|partition| Ok(partition.upsert_many(new)?));
        let may = !is_taken && !is_kept && ids.len() == docs.len();
        let (what, mut after) = (format!("upsert {ids:?} into {spot:?}"), self.state.clone());
        if outcome.is_ok() {
            assert!(may, "{what} had to be refused");
        }
        if may {
            for (id, doc) in docs {
                let version = self.state.doc(spot, id).map_or(0, |known| known.version) + 1;
                let doc = self.state.kept_in(spot, &Doc { version, ..doc.clone() }, self.now_ms());
                after.docs_mut(spot).insert(id.clone(), doc);
            }
        }
        if let (true, Err(error)) = (may, &outcome) {
            let is_fine = !is_refusal(error) || is_full(error) || may_be_kept;
            assert!(is_fine, "{what} had to be taken, not: {error}");
        }
        self.settle(&what, outcome.map(drop), after)
    }

    /// Deletes a document softly.
    pub fn delete(&mut self, spot: &Spot, id: &str) -> Came {
        let may = self.state.doc(spot, id).is_some_and(|d| d.live) && !self.state.is_held(spot);
        self.write(spot, &format!("delete {id}"), may, |docs| set_live(docs, id, false), |p| p.delete(id))
    }

    /// Brings a deleted document back.
    pub fn restore(&mut self, spot: &Spot, id: &str) -> Came {
        let may = self.state.doc(spot, id).is_some_and(|d| !d.live);
        self.write(spot, &format!("restore {id}"), may, |docs| set_live(docs, id, true), |p| p.restore(id))
    }

    /// Makes a document go for good: at once, or with a later round of maintenance.
    pub fn purge(&mut self, spot: &Spot, id: &str, at_once: bool) -> Came {
        let may = self.state.doc(spot, id).is_some() && !self.state.is_held(spot);
        let gone = |docs: &mut Docs| drop(docs.remove(id));
        if !at_once {
            return self.write(spot, &format!("purge {id} some time"), may, gone, |p| p.purge(id));
        }
        let outcome = self.operate().purge(&spot.scope(), &spot.at(), &[id]);
        match &outcome {
            Ok(purged) => assert!(may && purged.is_final, "purge of {id} in {spot:?}"),
            Err(error) if is_refusal(error) && !is_full(error) => {
                assert!(!may, "purge of {id} in {spot:?} had to be taken, not: {error}");
            }
            Err(_) => {}
        }
        let mut after = self.state.clone();
        if may {
            gone(after.docs_mut(spot));
        }
        self.settle(&format!("purge {id} in {spot:?}"), outcome.map(drop), after)
    }

    /// One write in a partition, which may not be there: `may` says whether the store must take it, `change` what
    /// it makes of the partition's documents.
    fn write(
        &mut self,
        spot: &Spot,
        what: &str,
        may: bool,
        change: impl FnOnce(&mut Docs),
        act: impl FnOnce(&Partition) -> Result<(), WriteError>,
    ) -> Came {
        let held = self.state.docs(spot).is_some().then(|| self.held(spot)).flatten();
        let store = self.operate();
        let partition = held.map_or_else(|| partition(store, spot), Ok);
        let outcome = partition.and_then(|partition| Ok(act(&partition)?));
        match &outcome {
            Ok(()) => assert!(may, "{what} in {spot:?} had to be refused"),
            Err(error) if is_refusal(error) && !matches!(error, StoreError::Write(WriteError::Full)) => {
                assert!(!may, "{what} in {spot:?} had to be taken, not: {error}");
            }
            Err(_) => {}
        }
        let mut after = self.state.clone();
        if may {
            change(after.docs_mut(spot));
        }
        self.settle(&format!("{what} in {spot:?}"), outcome, after)
    }

    /// Lets the host's jobs run.
    pub fn maintain(&mut self, all: bool) -> Came {
        let store = self.operate();
        let outcome = if all { store.flush() } else { store.run_maintenance() };
        let line = format!("maintenance, all {all}: {outcome:?}");
        let is_whole = store.damages(&OperatorScope::grant()).is_empty();
        let mut after = self.state.clone();
        if outcome.is_ok() && is_whole {
            // What had expired is purged, wherever it was and isn't held.
            let held = after.held.clone();
            after.expired.retain(|spot, _| held.contains_key(spot));
            after.over.clear();
        }
        self.settle(&line, outcome.map(drop), after)
    }

    /// One random search; a medium that fails may make it fail, never answer wrongly.
    pub fn search(&mut self, spot: &Spot) -> Came {
        let held = self.state.docs(spot).is_some().then(|| self.held(spot)).flatten();
        let mut chance = self.chance.clone();
        let (metric, docs) = (self.state.metric, self.state.partitions.get(spot).cloned());
        // Handles of before are an administrator's.
        let acting = if held.is_some() { ActingAs::Administrator } else { acting(&mut chance) };
        let scope = spot.scope_for(acting.clone());
        let store = self.operate();
        let found = match held.map_or_else(|| store.partition(&scope, &spot.at()), |p| Ok(Some(p))) {
            Ok(Some(partition)) => match docs {
                Some(docs) => {
                    one_search(metric, &docs, &partition, &acting, &mut chance).map_err(StoreError::from)
                }
                None => Ok(vec!["it is there".to_owned()]),
            },
            Ok(None) => Ok(docs.map(|_| "it is nowhere".to_owned()).into_iter().collect()),
            Err(error) => Err(error),
        };
        self.chance = chance;
        match found {
            Ok(found) => {
                assert!(found.is_empty(), "a search in {spot:?}:\n{}", found.join("\n"));
                Came::Done
            }
            Err(error) => {
                let after = self.state.clone();
                self.settle(&format!("search in {spot:?}"), Err(error), after)
            }
        }
    }
}

fn is_full(error: &StoreError) -> bool {
    matches!(error, StoreError::Write(WriteError::Full))
}

/// A partition for a write that makes none.
fn partition(store: &Store, spot: &Spot) -> Result<Partition, StoreError> {
    Ok(store.partition(&spot.scope(), &spot.at())?.ok_or(WriteError::NotFound)?)
}

fn set_live(docs: &mut Docs, id: &str, live: bool) {
    if let Some(doc) = docs.get(id).cloned() {
        docs.insert(id.to_owned(), Doc { live, ..Doc::clone(&doc) }.into());
    }
}
