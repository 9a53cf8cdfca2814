//! How does a store live beside its model?
//!
//! A [`World`] is one simulated machine, the store on it and the model. Each call is made on the store; what it
//! answers decides what the model becomes:
//!
//! - `Ok`: the call happened. The model follows.
//! - a refusal that names the caller's mistake, or a full disk: nothing happened.
//! - any other failure: it happened wholly or not at all. The machine is restarted at once, and the store itself
//!   says which of the two it was.
//!
//! Opening may be struck as well, again and again: it is tried until no planned fault is left in the way.

use strongroom_engine::cluster::Workers;
use strongroom_engine::io::sim::{Fault, Sim};
use strongroom_engine::{
    Maintained, Metric, Partition, RootKey, Store, StoreError, StoreOptions, WriteError,
};

use super::check::{Found, compare, differences, in_partition, name_the_unknown, searches};
use super::observe::{observe, observe_partition};
use super::{DIMENSION, Doc, Spot, State};
use crate::chance::Chance;

/// So often opening, and looking at what was opened, may be struck in a row.
const STRIKES_MAX: usize = 20;

/// Small budgets, so that a short life meets flushes, merges and closed partitions.
pub const SMALL: StoreOptions = StoreOptions {
    flush_bytes: 6 << 10,
    flush_age_ms: 20 * 60 * 1000,
    cache_bytes: 16 << 10,
    // Whether a deleted document can still be restored would depend on when it was merged.
    retention_ms: u64::MAX / 2,
    purge_ms: 30 * 60 * 1000,
    workers: Workers::ALONE,
};

/// One machine, the store on it, and what the store should hold.
pub struct World {
    sim: Sim,
    store: Option<Store>,
    options: StoreOptions,
    /// What was acknowledged.
    pub state: State,
    /// Handles that were taken earlier, each on a partition that was not dropped since.
    pub(super) held: Vec<(Spot, Partition)>,
    /// Handles on partitions that were dropped.
    pub(super) stale: Vec<(Spot, Partition)>,
    /// Dice for the checks; the life has its own, so that both follow from the seed.
    pub(super) chance: Chance,
    seed: u64,
    life: Vec<String>,
    aloud: bool,
    /// Whether a shortage was ever planned.
    may_be_full: bool,
    /// Faults for the openings to come, see [`World::plan_at_opening`].
    at_opening: Vec<(u64, Fault)>,
    /// One more than the highest number of a workspace so far.
    next_workspace: u8,
    operations: u64,
    crashes: u64,
    struck_openings: u64,
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

/// How a process comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It flushes, and stops.
    Orderly,
    /// It is killed: what it wrote stays, synced or not.
    Kill,
    /// The power goes: what was not synced is lost or torn.
    PowerCut,
}

/// By what the collections of a life compare. Which it is follows from nothing else that follows from the seed.
fn metric_of(seed: u64) -> Metric {
    *Chance::new(seed ^ 0x006d_6574_7269_6373).pick(&[
        Metric::Cosine,
        Metric::InnerProduct,
        Metric::Euclidean,
    ])
}

impl World {
    /// A fresh machine and an empty store on it.
    pub fn new(seed: u64) -> World {
        World::with(seed, SMALL)
    }

    /// A fresh machine and an empty store that may use so much memory.
    pub fn with(seed: u64, options: StoreOptions) -> World {
        let mut world = World {
            sim: Sim::new(seed),
            store: None,
            options,
            state: State { metric: metric_of(seed), ..State::default() },
            held: Vec::new(),
            stale: Vec::new(),
            chance: Chance::new(!seed),
            seed,
            life: Vec::new(),
            aloud: false,
            may_be_full: false,
            at_opening: Vec::new(),
            next_workspace: 1,
            operations: 0,
            crashes: 0,
            struck_openings: 0,
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

    /// Calls of the store so far: writes, searches, drops, jobs. Opening and checking are not counted.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Power cuts and kills so far. The store recovered from each.
    pub fn crashes(&self) -> u64 {
        self.crashes
    }

    /// How often opening failed so far, for a fault that struck it.
    pub fn struck_openings(&self) -> u64 {
        self.struck_openings
    }

    /// The number of a workspace that never was: no id is used twice.
    pub fn next_workspace(&self) -> u8 {
        self.next_workspace
    }

    pub(super) fn note(&mut self, line: String) {
        if self.aloud {
            say(&line);
        }
        self.life.push(line);
    }

    /// The store, for one more operation.
    pub(super) fn operate(&mut self) -> &Store {
        self.operations += 1;
        self.store()
    }

    pub(super) fn store(&self) -> &Store {
        self.store.as_ref().expect("an open store")
    }

    pub(super) fn workspace_was_made(&mut self, number: u8) {
        self.next_workspace = self.next_workspace.max(number + 1);
    }

    /// Ends the process, whatever state it is in, and opens the store again.
    fn reopen(&mut self, end: End) {
        self.close();
        if end == End::PowerCut {
            self.sim.crash();
        }
        self.crashes += u64::from(end != End::Orderly);
        self.open();
    }

    fn close(&mut self) {
        self.held.clear();
        self.stale.clear();
        self.store = None;
    }

    /// Opens the store, through as many restarts as planned faults cause.
    fn open(&mut self) {
        for _ in 0..STRIKES_MAX {
            let medium = self.sim.restart();
            for (steps, fault) in std::mem::take(&mut self.at_opening) {
                self.plan(steps, fault);
            }
            match Store::open(medium, RootKey([7; 32]), self.options.clone()) {
                Ok(store) => {
                    self.store = Some(store);
                    return;
                }
                Err(error) if !self.sim.is_on() => {
                    (self.crashes, self.struck_openings) = (self.crashes + 1, self.struck_openings + 1);
                    self.note(format!("crash while opening: {error}"));
                }
                Err(error) => {
                    self.struck_openings += 1;
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
        let mut found = self.compare();
        for _ in 0..STRIKES_MAX {
            if !found.wrong.is_empty() || found.failed.is_empty() {
                break;
            }
            self.note(format!("a check could not be made: {}", found.failed[0]));
            self.reopen(End::Kill);
            found = self.compare();
        }
        assert!(found.is_same(), "the store is not what it should be:\n{found}");
    }

    /// Insists on one partition.
    #[track_caller]
    pub fn check_partition(&mut self, spot: &Spot) {
        let known: Vec<&super::Docs> = self.state.docs(spot).into_iter().collect();
        let wrong = match (observe_partition(self.store(), spot, &known), self.state.docs(spot)) {
            (Ok(Some(seen)), Some(docs)) => in_partition(docs, &seen),
            (Ok(None), None) => Vec::new(),
            (Ok(seen), docs) => vec![format!("there is {seen:?}, not {docs:?}")],
            // Some fault struck: the whole store must stand up to a look.
            (Err(_), _) => return self.check(),
        };
        assert!(wrong.is_empty(), "{spot:?} is not what it should be:\n{}", wrong.join("\n"));
    }

    fn compare(&mut self) -> Found {
        let mut chance = self.chance.clone();
        let found = compare(&self.state, self.store(), &mut chance, 1..self.next_workspace + 1);
        self.chance = chance;
        found
    }

    /// Ends the process and opens the store again.
    pub fn restart(&mut self, end: End) {
        self.note(format!("restart: {end:?}"));
        if end == End::Orderly
            && let Err(error) = self.store().flush()
        {
            self.note(format!("the last flush failed: {error}"));
        }
        self.reopen(end);
        self.check();
    }

    /// Ends the process for good, and answers the machine: nothing runs on it.
    pub fn stop(mut self, end: End) -> (Sim, State) {
        if end == End::Orderly {
            self.store().flush().expect("a medium without faults");
        }
        self.close();
        if end == End::PowerCut {
            self.sim.crash();
        }
        (self.sim.clone(), self.state.clone())
    }

    /// Plans a fault so many steps ahead.
    pub fn plan(&mut self, steps: u64, fault: Fault) {
        self.note(format!("in {steps} steps: {fault:?}"));
        self.may_be_full |= fault == Fault::Enospc;
        self.sim.fail_after(steps, fault);
    }

    /// Plans a fault so many steps behind the beginning of the next opening.
    pub fn plan_at_opening(&mut self, steps: u64, fault: Fault) {
        self.at_opening.push((steps, fault));
    }

    /// What time it is there.
    pub fn now_ms(&self) -> u64 {
        self.sim.medium().clock.now_ms()
    }

    /// Lets time pass.
    pub fn advance_ms(&mut self, ms: u64) {
        self.note(format!("{ms} ms pass"));
        self.sim.advance_ms(ms);
        self.pass();
    }

    /// Has the model know what time it is.
    pub(super) fn pass(&mut self) {
        self.state.expire(self.now_ms());
    }

    /// Sets the clock back, but not to before a document expired: whether that is gone for good by then is the store's to know.
    pub fn turn_back_ms(&mut self, ms: u64) {
        self.note(format!("the clock is set back by {ms} ms"));
        self.sim.set_now_ms(self.now_ms().saturating_sub(ms).max(self.state.settled_ms));
    }

    /// Ends a shortage.
    pub fn make_space(&mut self) {
        self.note("space is there again".to_owned());
        self.sim.make_space();
    }

    /// Takes over what a call came to. `after` is the model if it happened.
    pub(super) fn settle(&mut self, what: &str, outcome: Result<(), StoreError>, after: State) -> Came {
        match outcome {
            Ok(()) => {
                self.note(format!("{what}: done"));
                self.state = after;
                self.state.forget_the_gone();
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
    pub(super) fn recover(&mut self, after: State) {
        let mut may_be = vec![self.state.clone(), after];
        may_be.iter_mut().for_each(State::forget_the_gone);
        while self.sim.is_on() && self.chance.percent(60) {
            match self.chance.below(3) {
                0 => self.write_on(&mut may_be),
                1 => self.work_on(Store::run_maintenance),
                _ => self.work_on(Store::flush),
            }
        }
        let end = if self.chance.percent(50) { End::PowerCut } else { End::Kill };
        self.reopen(end);
        let mut observed = None;
        for _ in 0..STRIKES_MAX {
            let models: Vec<&State> = may_be.iter().collect();
            let seen = observe(self.store(), &models, 1..self.next_workspace + 1);
            let Some(why) = seen.failed.first() else {
                observed = Some(seen);
                break;
            };
            self.note(format!("what came of it could not be read: {why}"));
            self.reopen(End::Kill);
        }
        let observed = observed.expect("a store that can be read once no fault is left");
        let mut faults = Vec::new();
        for (number, mut state) in may_be.into_iter().enumerate() {
            name_the_unknown(&mut state, &observed);
            let wrong = differences(&state, &observed);
            if wrong.is_empty() {
                self.note(format!("it is as if {number} of what may have happened had"));
                self.state = state;
                return self.check_searches();
            }
            faults.push(wrong.join("\n"));
        }
        panic!("an interrupted call happened neither wholly nor not at all:\n{}", faults.join("\nor\n"));
    }

    fn check_searches(&mut self) {
        let mut chance = self.chance.clone();
        let found = searches(&self.state, self.store(), &mut chance, 1);
        self.chance = chance;
        assert!(found.wrong.is_empty(), "a search is wrong:\n{found}");
        if !found.failed.is_empty() {
            self.check();
        }
    }

    /// Lets jobs go on after a failure: whatever they do, what is held stays what it is.
    fn work_on(&mut self, job: impl Fn(&Store) -> Result<Maintained, StoreError>) {
        let outcome = job(self.store());
        self.note(format!("jobs after a failure: {outcome:?}"));
    }

    /// Writes on after a failure. What is acknowledged now counts, whichever way the interrupted call went; what
    /// fails as well may have happened too.
    fn write_on(&mut self, may_be: &mut Vec<State>) {
        let Some(spot) = self.state.partitions.keys().next().cloned() else { return };
        let id = format!("after failure {}", self.life.len());
        let doc = Doc {
            version: 1,
            content: "written after a failure".to_owned(),
            vectors: vec![vec![1.0; DIMENSION]],
            live: true,
            ..Doc::default()
        };
        let partition = self.store().partition_for_write(&spot.scope(), &spot.at(), self.state.spec());
        let outcome = partition.and_then(|p| Ok(p.put(doc.new_document(Some(&id)))?));
        self.note(format!("put {id} into {spot:?}: {}", if outcome.is_ok() { "done" } else { "refused" }));
        let mut with = may_be.clone();
        for state in &mut with {
            if state.workspaces.contains(&spot.workspace) {
                state.docs_mut(&spot).insert(id.clone(), doc.clone().into());
            }
        }
        match outcome {
            Ok(_) => *may_be = with,
            Err(error) if is_refusal(&error) => {}
            Err(_) => may_be.extend(with),
        }
    }
}

/// Failures that name the caller's mistake, or a full disk: nothing happened.
pub(super) fn is_refusal(error: &StoreError) -> bool {
    let by_caller = |error: &WriteError| {
        matches!(
            error,
            WriteError::NotFound
                | WriteError::Exists
                | WriteError::Changed
                | WriteError::Invalid { .. }
                | WriteError::AlreadyDeleted
                | WriteError::NotDeleted
                | WriteError::Held
                | WriteError::AnotherRequest
                | WriteError::Full
        )
    };
    match error {
        StoreError::NoWorkspace
        | StoreError::Forbidden
        | StoreError::Taken
        | StoreError::Trashed
        | StoreError::Occupied
        | StoreError::NotTrashed => true,
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
            say(&format!("seed {}; its last acts:\n{acts}", self.seed));
        }
    }
}
