//! How does a store live beside its model?
//!
//! A [`World`] is one simulated machine, the store on it and the model. Each call is made on the store; what it
//! answers decides what the model becomes:
//!
//! - `Ok`: the call happened. The model follows.
//! - a refusal that names the caller's mistake, or a full disk: nothing happened.
//! - any other failure: it happened wholly or not at all. The machine is restarted at once, and the store itself
//!   says which of the two it was.

use std::collections::BTreeSet;

use strongroom_engine::io::sim::{Fault, Sim};
use strongroom_engine::{
    Filter, OperatorScope, RootKey, SearchRequest, Store, StoreError, StoreOptions, WriteError,
};

use super::check::{Found, differences, name_the_unknown, one_search};
use super::{DIMENSION, Doc, Docs, SPEC, Spot, State, UNKNOWN_ID, workspace_id};
use crate::chance::Chance;

/// One machine, the store on it, and what the store should hold.
pub struct World {
    sim: Sim,
    store: Option<Store>,
    /// What was acknowledged.
    pub state: State,
    /// Dice for the checks; the life has its own, so that both follow from the seed.
    chance: Chance,
    seed: u64,
    life: Vec<String>,
    aloud: bool,
    /// Whether a shortage was ever planned.
    may_be_full: bool,
}

/// What a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// It happened.
    Done,
    /// Refused; nothing happened.
    Refused,
    /// The machine or the medium failed in the midst; it was restarted and the model follows the store.
    Interrupted,
}

impl World {
    /// A fresh machine and an empty store on it.
    pub fn new(seed: u64) -> World {
        let mut world = World {
            sim: Sim::new(seed),
            store: None,
            state: State::default(),
            chance: Chance::new(!seed),
            seed,
            life: Vec::new(),
            aloud: false,
            may_be_full: false,
        };
        world.open();
        world
    }

    /// Prints the life as it goes.
    #[must_use]
    pub fn aloud(mut self) -> World {
        self.aloud = true;
        self
    }

    /// The machine.
    pub fn sim(&self) -> &Sim {
        &self.sim
    }

    /// What happened so far, a line for each act.
    pub fn life(&self) -> &[String] {
        &self.life
    }

    fn note(&mut self, line: String) {
        if self.aloud {
            say(&line);
        }
        self.life.push(line);
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("an open store")
    }

    /// Small budgets, so that a short life meets flushes, merges and closed partitions.
    fn options(&self) -> StoreOptions {
        StoreOptions { flush_bytes: 6 << 10, open_bytes: 8 << 10, cache_bytes: 16 << 10 }
    }

    /// Opens the store, through as many restarts as planned faults cause.
    fn open(&mut self) {
        for _ in 0..20 {
            let medium = self.sim.restart();
            match Store::open(medium, RootKey([7; 32]), self.options()) {
                Ok(store) => {
                    self.store = Some(store);
                    return;
                }
                Err(error) if !self.sim.is_on() => self.note(format!("crash while opening: {error}")),
                Err(error) => {
                    self.note(format!("opening failed: {error}"));
                    if error.to_string().contains("no space") {
                        self.make_space();
                    }
                }
            }
        }
        panic!("the store does not open any more");
    }

    /// Insists that the store is what the model is. A planned fault may strike meanwhile: then reading fails, and
    /// after a restart it must not.
    #[track_caller]
    pub fn check(&mut self) {
        let found = self.compare();
        if found.wrong.is_empty() && !found.failed.is_empty() {
            self.note(format!("a check could not be made: {}", found.failed[0]));
            self.store = None;
            self.open();
            let found = self.compare();
            assert!(found.is_same(), "the store is not what it should be:\n{found}");
        } else {
            assert!(found.is_same(), "the store is not what it should be:\n{found}");
        }
    }

    fn compare(&mut self) -> Found {
        let mut chance = self.chance.clone();
        let found = differences(&self.state, self.store(), &mut chance);
        self.chance = chance;
        found
    }

    /// Ends the process and opens the store again.
    pub fn restart(&mut self, orderly: bool, power_cut: bool) {
        self.note(format!("restart, orderly {orderly}, power cut {power_cut}"));
        if orderly && let Err(error) = self.store().flush() {
            self.note(format!("the last flush failed: {error}"));
        }
        self.store = None;
        if power_cut {
            self.sim.crash();
        }
        self.open();
        self.check();
    }

    /// Flips one bit of a file while the store is stopped, and opens it: the damage is told, or does no harm. What
    /// is served is right. Answers whether it was told.
    pub fn flip(&mut self, name: &str, offset: usize, bit: u8) -> bool {
        self.note(format!("flip bit {bit} of byte {offset} of {name}"));
        self.store = None;
        self.sim.flip_bit(name, offset as u64, bit);
        let Ok(store) = Store::open(self.sim.restart(), RootKey([7; 32]), self.options()) else {
            return true;
        };
        self.store = Some(store);
        let found = self.compare();
        assert!(found.wrong.is_empty(), "bit {bit} of byte {offset} of {name}:\n{found}");
        !found.failed.is_empty()
    }

    /// Plans a fault so many steps ahead.
    pub fn plan(&mut self, steps: u64, fault: Fault) {
        self.note(format!("in {steps} steps: {fault:?}"));
        self.may_be_full |= fault == Fault::Enospc;
        self.sim.fail_after(steps, fault);
    }

    /// Ends a shortage.
    pub fn make_space(&mut self) {
        self.note("space is there again".to_owned());
        self.sim.make_space();
    }

    /// Takes over what a call came to. `after` is the model if it happened.
    fn settle(&mut self, what: &str, outcome: Result<(), StoreError>, after: State) -> Came {
        match outcome {
            Ok(()) => {
                self.note(format!("{what}: done"));
                self.state = after;
                Came::Done
            }
            Err(error) if is_refusal(&error) => {
                self.note(format!("{what}: {error}"));
                let full = matches!(error, StoreError::Write(WriteError::Full));
                assert!(!full || self.may_be_full, "the disk is not full");
                Came::Refused
            }
            Err(error) => {
                self.note(format!("{what}: interrupted: {error}"));
                self.recover(after);
                Came::Interrupted
            }
        }
    }

    /// After a failure: reopen, and find out whether the interrupted call happened.
    fn recover(&mut self, after: State) {
        let mut may_be = vec![self.state.clone(), after];
        if self.sim.is_on() && self.chance.percent(50) {
            self.write_on(&mut may_be);
        }
        self.store = None;
        if self.chance.percent(50) {
            self.sim.crash();
        }
        self.open();
        if !self.could_read() {
            // One more planned fault struck.
            self.store = None;
            self.open();
        }
        let mut faults = Vec::new();
        for (number, mut state) in may_be.into_iter().enumerate() {
            name_the_unknown(&mut state, self.store());
            self.state = state;
            let found = self.compare();
            if found.is_same() {
                self.note(format!("it is as if {number} of what may have happened had"));
                return;
            }
            faults.push(found.to_string());
        }
        panic!("an interrupted call happened neither wholly nor not at all:\n{}", faults.join("or\n"));
    }

    fn could_read(&mut self) -> bool {
        self.compare().failed.is_empty()
    }

    /// Writes on after a failure. What is acknowledged now counts, whichever way the interrupted call went; what
    /// fails as well may have happened too.
    fn write_on(&mut self, may_be: &mut Vec<State>) {
        let Some(spot) = self.state.partitions.keys().next().cloned() else { return };
        let id = format!("after failure {}", self.life.len());
        let doc = Doc {
            version: 1,
            content: "written after a failure".to_owned(),
            tags: Vec::new(),
            entity: None,
            vectors: vec![vec![1.0; DIMENSION]],
            live: true,
        };
        let partition = self.store().partition_for_write(&spot.scope(), &spot.at(), SPEC);
        let outcome = partition.and_then(|p| Ok(p.put(doc.new_document(Some(&id)))?));
        self.note(format!("put {id} into {spot:?}: {}", if outcome.is_ok() { "done" } else { "refused" }));
        let mut with = may_be.clone();
        for state in &mut with {
            if state.workspaces.contains(&spot.workspace) {
                state.partitions.entry(spot.clone()).or_default().insert(id.clone(), doc.clone());
            }
        }
        match outcome {
            Ok(_) => *may_be = with,
            Err(error) if is_refusal(&error) => {}
            Err(_) => may_be.extend(with),
        }
    }

    /// Makes a workspace.
    pub fn create_workspace(&mut self, number: u8) -> Came {
        let outcome = self.store().create_workspace(&OperatorScope::grant(), workspace_id(number));
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
        let outcome = self.store().drop_workspace(&OperatorScope::grant(), workspace_id(number)).map(drop);
        let mut after = self.state.clone();
        after.workspaces.remove(&number);
        after.partitions.retain(|spot, _| spot.workspace != number);
        self.settle(&format!("drop workspace {number}"), outcome, after)
    }

    /// Inserts documents at once; those without an id get one of the engine's.
    pub fn put_many(&mut self, spot: &Spot, docs: &[(Option<String>, Doc)]) -> Came {
        let new = docs.iter().map(|(id, doc)| doc.new_document(id.as_deref())).collect();
        let outcome = self.store().partition_for_write(&spot.scope(), &spot.at(), SPEC);
        let outcome = outcome.and_then(|partition| Ok(partition.put_many(new)?));
        let mut after = self.state.clone();
        let there = after.partitions.entry(spot.clone()).or_default();
        for (position, (id, doc)) in docs.iter().enumerate() {
            let given = outcome.as_ref().ok().map(|infos| infos[position].id.clone());
            let id = given.or_else(|| id.clone()).unwrap_or_else(|| UNKNOWN_ID.to_owned());
            let taken = there.insert(id.clone(), doc.clone()).is_some();
            if outcome.is_ok() {
                assert!(!taken, "{id} was there, and was inserted again");
            }
        }
        let names: Vec<&str> = docs.iter().map(|(id, _)| id.as_deref().unwrap_or(UNKNOWN_ID)).collect();
        self.settle(&format!("put {names:?} into {spot:?}"), outcome.map(drop), after)
    }

    /// Replaces a document.
    pub fn update(&mut self, spot: &Spot, id: &str, mut doc: Doc) -> Came {
        let known = self.state.partitions.get(spot).and_then(|docs| docs.get(id)).cloned();
        doc.version = known.as_ref().map_or(1, |d| d.version + 1);
        let new = doc.new_document(None);
        self.write(spot, "update", id, doc.clone(), known.is_some_and(|d| d.live), |p| {
            p.update(id, new).map(drop)
        })
    }

    /// Deletes a document softly.
    pub fn delete(&mut self, spot: &Spot, id: &str) -> Came {
        let known = self.state.partitions.get(spot).and_then(|docs| docs.get(id)).cloned();
        let may = known.as_ref().is_some_and(|d| d.live);
        let Some(doc) = known else { return self.nothing_to(spot, id, |p| p.delete(id)) };
        self.write(spot, "delete", id, Doc { live: false, ..doc }, may, |p| p.delete(id))
    }

    /// Brings a deleted document back.
    pub fn restore(&mut self, spot: &Spot, id: &str) -> Came {
        let known = self.state.partitions.get(spot).and_then(|docs| docs.get(id)).cloned();
        let may = known.as_ref().is_some_and(|d| !d.live);
        let Some(doc) = known else { return self.nothing_to(spot, id, |p| p.restore(id)) };
        self.write(spot, "restore", id, Doc { live: true, ..doc }, may, |p| p.restore(id))
    }

    /// Acts on a partition that may not be there.
    fn act(
        &self,
        spot: &Spot,
        act: impl FnOnce(&strongroom_engine::Partition) -> Result<(), WriteError>,
    ) -> Result<(), StoreError> {
        let partition = self.store().partition(&spot.scope(), &spot.at())?;
        Ok(act(&partition.ok_or(WriteError::NotFound)?)?)
    }

    /// A write on a document that isn't there must say so.
    fn nothing_to(
        &mut self,
        spot: &Spot,
        id: &str,
        act: impl FnOnce(&strongroom_engine::Partition) -> Result<(), WriteError>,
    ) -> Came {
        let outcome = self.act(spot, act);
        assert!(outcome.is_err(), "{id} is not there, and was written");
        let after = self.state.clone();
        self.settle(&format!("write to {id}, which is not in {spot:?}"), outcome, after)
    }

    /// One write on one document; `may` says whether the store must take it.
    fn write(
        &mut self,
        spot: &Spot,
        what: &str,
        id: &str,
        doc: Doc,
        may: bool,
        act: impl FnOnce(&strongroom_engine::Partition) -> Result<(), WriteError>,
    ) -> Came {
        let outcome = self.act(spot, act);
        match &outcome {
            Ok(()) => assert!(may, "{what} of {id} in {spot:?} had to be refused"),
            Err(error) if is_refusal(error) && !matches!(error, StoreError::Write(WriteError::Full)) => {
                assert!(!may, "{what} of {id} in {spot:?} had to be taken, not: {error}");
            }
            Err(_) => {}
        }
        let mut after = self.state.clone();
        if let Some(docs) = after.partitions.get_mut(spot) {
            docs.insert(id.to_owned(), doc);
        }
        self.settle(&format!("{what} {id} in {spot:?}"), outcome, after)
    }

    /// Drops a partition.
    pub fn drop_partition(&mut self, spot: &Spot) -> Came {
        let known = self.state.partitions.get(spot).map(|docs| docs.len() as u64);
        let outcome = self.store().drop_partition(&spot.scope(), &spot.at());
        if let Ok(dropped) = &outcome {
            assert_eq!(
                dropped.map(|c| c.documents + c.deleted),
                known,
                "documents that a drop of {spot:?} took"
            );
        }
        let mut after = self.state.clone();
        after.partitions.remove(spot);
        self.settle(&format!("drop {spot:?}"), outcome.map(drop), after)
    }

    /// Lets the host's jobs run.
    pub fn maintain(&mut self, all: bool) -> Came {
        let outcome = if all { self.store().flush() } else { self.store().run_maintenance() };
        let line = format!("maintenance, all {all}: {outcome:?}");
        let after = self.state.clone();
        self.settle(&line, outcome.map(drop), after)
    }

    /// One random search; a medium that fails may make it fail, never answer wrongly.
    pub fn search(&mut self, spot: &Spot) {
        let mut chance = self.chance.clone();
        let none = Docs::new();
        let docs = self.state.partitions.get(spot).unwrap_or(&none);
        let found = match self.store().partition(&spot.scope(), &spot.at()) {
            Ok(Some(partition)) => one_search(docs, &partition, &mut chance).map_err(StoreError::from),
            Ok(None) => Ok(docs.keys().map(|id| format!("{id} is nowhere")).collect()),
            Err(error) => Err(error),
        };
        self.chance = chance;
        match found {
            Ok(found) => assert!(found.is_empty(), "a search in {spot:?}:\n{}", found.join("\n")),
            Err(error) => {
                let after = self.state.clone();
                self.settle("search", Err(error), after);
            }
        }
    }

    /// A handle that was taken before a drop must not reach what comes after it.
    pub fn stale_handle(&mut self, spot: &Spot) {
        let Ok(Some(stale)) = self.store().partition(&spot.scope(), &spot.at()) else { return };
        if self.drop_partition(spot) != Came::Done {
            return;
        }
        let vector = [1.0; DIMENSION];
        let filter = Filter::default();
        let request =
            SearchRequest { vector: &vector, k: 5, filter: &filter, similarity_min: 0.0, with_content: true };
        assert!(stale.search(&request).is_err(), "a handle on a dropped partition searches on");
        assert!(stale.list(&filter, 0, 10).is_err(), "a handle on a dropped partition lists on");
        let ids: BTreeSet<String> = BTreeSet::from(["a".to_owned()]);
        assert!(ids.iter().all(|id| stale.get(id).is_err() && stale.delete(id).is_err()));
    }
}

/// Failures that name the caller's mistake, or a full disk: nothing happened.
fn is_refusal(error: &StoreError) -> bool {
    let by_caller = |error: &WriteError| {
        matches!(
            error,
            WriteError::NotFound
                | WriteError::Exists
                | WriteError::AlreadyDeleted
                | WriteError::NotDeleted
                | WriteError::Full
        )
    };
    match error {
        StoreError::NoWorkspace | StoreError::Forbidden => true,
        StoreError::Write(error) => by_caller(error),
        _ => false,
    }
}

#[expect(clippy::print_stderr, reason = "a life is told to whoever replays it")]
fn say(line: &str) {
    eprintln!("{line}");
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.aloud {
            let last = self.life.len().saturating_sub(12);
            let acts = self.life[last..].join("\n");
            say(&format!(
                "seed {0}, replay it with `cargo xtask sim {0}`; its last acts:\n{acts}",
                self.seed
            ));
        }
    }
}
