//! What is on the simulated medium, and what becomes of it when a fault strikes?
//!
//! Every call to a store becomes a list of [`Change`]s, which [`Machine::carry_out`] applies wholly, partly
//! or not at all: the one place where faults act.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_chacha::{ChaCha8Rng, ChaCha20Rng};

use super::Fault;
use super::space::Space;
use super::tear::{below, coin, tear, write};
use crate::io::{RESERVE_BYTES, StorageErrorKind};

/// When simulated time begins: some day in November 2023.
const START_MS: u64 = 1_700_000_000_000;

/// What a new name takes beside its bytes: about a block of its folder.
const NAME_BYTES: usize = 4096;

/// Reads in a row that answer from elsewhere, at most.
const MISDIRECTED_MAX: usize = 3;

/// The kinds of call that a fault may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Look,
    Read,
    Create,
    Append,
    Commit,
    WriteSlots,
    Remove,
}

/// One change of the medium.
pub(super) enum Change {
    /// A new name with these bytes, durable. Log files have a writer.
    Make { name: String, bytes: Vec<u8>, writer: Option<u64> },
    /// Bytes at an offset, not durable.
    Append { name: String, bytes: Vec<u8> },
    /// All that was appended becomes durable.
    Sync { name: String },
    /// Bytes at an offset, durable. Makes the file when it isn't there.
    Overwrite { name: String, offset: usize, bytes: Vec<u8> },
    /// The name goes.
    Remove { name: String },
    /// The reserve is set aside.
    Hold,
    /// The reserve is given back.
    Release,
}

/// A file of any of the stores.
#[derive(Clone, Default)]
pub(super) struct Object {
    pub(super) bytes: Vec<u8>,
    /// How much of it from the front is durable.
    synced_bytes: usize,
    /// The process that may append to it.
    pub(super) writer: Option<u64>,
    /// Whether a commit failed.
    pub(super) failed: bool,
    /// Whether its making was reported as done, so that its name is used up.
    published: bool,
}

/// One machine: its medium, its power, its clock and its chances.
#[derive(Clone)]
pub(super) struct Machine {
    objects: BTreeMap<String, Object>,
    /// Names that were published and deleted.
    retired: BTreeSet<String>,
    residue: Vec<(String, Vec<u8>)>,
    chance: ChaCha8Rng,
    entropy: ChaCha20Rng,
    pub(super) now_ms: u64,
    steps: u64,
    /// Faults to come, each with the number of the step it may strike first.
    plan: Vec<(u64, Fault)>,
    is_on: bool,
    /// Whether every change fails.
    is_stuck: bool,
    space: Space,
    boots: u64,
    processes: u64,
    /// The process that has the store.
    pub(super) holder: Option<u64>,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Machine {
        Machine {
            objects: BTreeMap::new(),
            retired: BTreeSet::new(),
            residue: Vec::new(),
            chance: ChaCha8Rng::seed_from_u64(seed),
            entropy: ChaCha20Rng::seed_from_u64(seed),
            now_ms: START_MS,
            steps: 0,
            plan: Vec::new(),
            is_on: true,
            is_stuck: false,
            space: Space::default(),
            boots: 0,
            processes: 0,
            holder: None,
        }
    }

    /// A new process: its number, and the boot it belongs to.
    pub(super) fn start_process(&mut self) -> (u64, u64) {
        self.processes += 1;
        (self.processes, self.boots)
    }

    /// Counts a call, if the process that makes it is still alive.
    pub(super) fn count_step(&mut self, boot: u64) -> Result<(), StorageErrorKind> {
        if !self.is_on || boot != self.boots {
            return Err(switched_off());
        }
        self.steps += 1;
        Ok(())
    }

    /// Applies the changes of one call, unless a fault that is due has other plans.
    pub(super) fn carry_out(&mut self, call: Call, changes: Vec<Change>) -> Result<(), StorageErrorKind> {
        match self.take_fault(call) {
            Some(Fault::Eio) => {
                self.fail_commits(&changes);
                return Err(io_error());
            }
            Some(Fault::Crash) => {
                self.apply_in_part(changes);
                self.cut_power();
                return Err(switched_off());
            }
            Some(Fault::TornSlotWrite) => {
                self.apply_cut(changes);
                return Err(io_error());
            }
            Some(Fault::LostAnswer) => {
                self.fail_commits(&changes);
                self.apply_all(changes);
                return Err(io_error());
            }
            Some(Fault::Enospc) => self.space.fill(),
            Some(Fault::StuckEio) => self.is_stuck = true,
            Some(Fault::MisdirectedRead) | None => {}
        }
        if self.is_stuck && changes.iter().any(|change| self.writes(call, change)) {
            self.fail_commits(&changes);
            return Err(io_error());
        }
        let growth_bytes = changes.iter().map(|change| self.growth_bytes(change)).sum();
        if !self.space.take(growth_bytes) {
            return Err(StorageErrorKind::Full);
        }
        self.apply_all(changes);
        Ok(())
    }

    /// Takes the fault that strikes this call, if there is one.
    fn take_fault(&mut self, call: Call) -> Option<Fault> {
        let due = |(step, fault): &(u64, Fault)| *step <= self.steps && strikes(*fault, call);
        let index = self.plan.iter().position(due)?;
        Some(self.plan.remove(index).1)
    }

    /// Whether a read of this object is to be answered from elsewhere; then from where.
    pub(super) fn misdirect(&mut self, name: &str) -> Option<Vec<u8>> {
        let due = |(step, fault): &(u64, Fault)| *step <= self.steps && *fault == Fault::MisdirectedRead;
        let index = self.plan.iter().position(due)?;
        self.plan.remove(index);
        let mut bytes = self.objects.get(name)?.bytes.clone();
        let length_bytes = bytes.len();
        let others: Vec<&Vec<u8>> = self
            .objects
            .iter()
            .filter(|(other, object)| *other != name && object.bytes.len() >= length_bytes)
            .map(|(_, object)| &object.bytes)
            .collect();
        // Another object's bytes where there are enough of them, else the object's own from another place.
        let other = others.get(below(&mut self.chance, others.len().max(1)));
        match other {
            Some(other) => bytes.copy_from_slice(&other[..length_bytes]),
            None if length_bytes > 1 => bytes.rotate_left(1 + below(&mut self.chance, length_bytes - 1)),
            None => {}
        }
        Some(bytes)
    }

    /// How much of the medium's room a change takes. A released reserve is never enough for a new one.
    fn growth_bytes(&self, change: &Change) -> u64 {
        let bytes = match change {
            Change::Make { bytes, .. } => NAME_BYTES + bytes.len(),
            Change::Append { bytes, .. } => bytes.len(),
            Change::Overwrite { name, offset, bytes } => {
                let old_bytes = self.objects.get(name).map_or(0, |object| object.bytes.len());
                (offset + bytes.len()).saturating_sub(old_bytes)
            }
            Change::Hold if !self.space.is_held => return RESERVE_BYTES + 1,
            Change::Hold | Change::Release | Change::Sync { .. } | Change::Remove { .. } => 0,
        };
        bytes as u64
    }

    /// Whether a medium that takes no writes refuses this. Replaying what is durable already needs none.
    fn writes(&self, call: Call, change: &Change) -> bool {
        match change {
            Change::Sync { name } if call == Call::Look => {
                self.objects.get(name).is_some_and(|object| object.synced_bytes < object.bytes.len())
            }
            Change::Hold => !self.space.is_held,
            Change::Release => self.space.is_held,
            Change::Remove { name } => self.objects.contains_key(name),
            Change::Sync { .. } | Change::Make { .. } | Change::Append { .. } | Change::Overwrite { .. } => {
                true
            }
        }
    }

    fn apply_all(&mut self, changes: Vec<Change>) {
        for change in changes {
            self.apply(change);
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Make { name, bytes, writer } => {
                let synced_bytes = bytes.len();
                let object = Object { bytes, synced_bytes, writer, failed: false, published: true };
                self.objects.insert(name, object);
            }
            Change::Append { name, bytes } => self.object(name).bytes.extend(bytes),
            Change::Sync { name } => {
                let object = self.object(name);
                object.synced_bytes = object.bytes.len();
            }
            Change::Overwrite { name, offset, bytes } => {
                let object = self.object(name);
                write(&mut object.bytes, offset, &bytes);
                object.synced_bytes = object.bytes.len();
            }
            Change::Remove { name } => {
                if let Some(object) = self.objects.remove(&name) {
                    self.residue.push((name.clone(), object.bytes));
                    if object.published {
                        self.retired.insert(name);
                    }
                }
            }
            Change::Hold => self.space.hold(),
            Change::Release => self.space.release(),
        }
    }

    /// The power goes within these changes: the first few happened, one was under way.
    fn apply_in_part(&mut self, mut changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let done = below(&mut self.chance, changes.len());
        let under_way = changes.drain(done..).next();
        self.apply_all(changes);
        match under_way {
            Some(Change::Make { name, bytes, .. }) => {
                let mut on_medium = Vec::new();
                tear(&mut self.chance, &mut on_medium, 0, &bytes);
                if coin(&mut self.chance) {
                    let object =
                        Object { synced_bytes: on_medium.len(), bytes: on_medium, ..Object::default() };
                    self.objects.insert(name, object);
                } else {
                    self.residue.push((name, on_medium));
                }
            }
            Some(Change::Overwrite { name, offset, bytes }) => {
                let mut on_medium = std::mem::take(&mut self.object(name.clone()).bytes);
                tear(&mut self.chance, &mut on_medium, offset, &bytes);
                let synced_bytes = on_medium.len();
                *self.object(name) =
                    Object { bytes: on_medium, synced_bytes, published: true, ..Object::default() };
            }
            Some(change @ (Change::Remove { .. } | Change::Hold | Change::Release)) => {
                if coin(&mut self.chance) {
                    self.apply(change);
                }
            }
            // What was appended is torn with all else that was not durable, when the power goes.
            Some(change @ Change::Append { .. }) => self.apply(change),
            Some(Change::Sync { .. }) | None => {}
        }
    }

    /// Every overwrite ends at some byte before its end.
    fn apply_cut(&mut self, changes: Vec<Change>) {
        for change in changes {
            if let Change::Overwrite { name, offset, mut bytes } = change {
                bytes.truncate(below(&mut self.chance, bytes.len().max(1)));
                self.apply(Change::Overwrite { name, offset, bytes });
            }
        }
    }

    fn fail_commits(&mut self, changes: &[Change]) {
        for change in changes {
            if let Change::Sync { name } = change {
                self.object(name.clone()).failed = true;
            }
        }
    }

    pub(super) fn cut_power(&mut self) {
        self.end_processes();
        self.is_on = false;
        self.tear_unsynced(|_| true);
    }

    /// Switches the machine on, or kills what runs on it. In the latter case what was appended stays, but for
    /// what a commit failed on: the system takes that for synced and forgets it.
    pub(super) fn boot(&mut self) {
        self.end_processes();
        self.is_on = true;
        self.tear_unsynced(|object| object.failed);
    }

    fn tear_unsynced(&mut self, whether: impl Fn(&Object) -> bool) {
        for object in self.objects.values_mut().filter(|object| whether(object)) {
            let end = object.synced_bytes;
            let unsynced = object.bytes.split_off(end);
            if !unsynced.is_empty() {
                tear(&mut self.chance, &mut object.bytes, end, &unsynced);
            }
            object.synced_bytes = object.bytes.len();
        }
    }

    fn end_processes(&mut self) {
        self.boots += 1;
        self.holder = None;
    }

    pub(super) fn plan(&mut self, steps: u64, fault: Fault) {
        // A store looks again a few times before it believes what it reads: a medium that leads it astray more
        // often than that in a row is beyond what it promises.
        let misdirected = |(_, planned): &&(u64, Fault)| *planned == Fault::MisdirectedRead;
        if fault == Fault::MisdirectedRead && self.plan.iter().filter(misdirected).count() >= MISDIRECTED_MAX
        {
            return;
        }
        self.plan.push((self.steps.saturating_add(steps).saturating_add(1), fault));
    }

    pub(super) fn make_space(&mut self) {
        self.space.empty();
    }

    pub(super) fn is_reserve_held(&self) -> bool {
        self.space.is_held
    }

    pub(super) fn mend(&mut self) {
        self.is_stuck = false;
    }

    /// The same medium in another machine, which is switched on and as yet without faults to come.
    pub(super) fn copy(&self) -> Machine {
        let mut copy = self.clone();
        copy.plan.clear();
        copy.boot();
        copy
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    pub(super) fn fill_with_entropy(&mut self, buffer: &mut [u8]) {
        self.entropy.fill_bytes(buffer);
    }

    /// The bytes of a file, for a test to damage; durable when it has done so.
    pub(super) fn damage(&mut self, name: &str, damage: impl FnOnce(&mut Vec<u8>)) {
        let Some(object) = self.objects.get_mut(name) else { panic!("no file {name}") };
        damage(&mut object.bytes);
        object.synced_bytes = object.bytes.len();
    }

    pub(super) fn files(&self) -> Vec<(String, Vec<u8>)> {
        self.objects.iter().map(|(name, object)| (name.clone(), object.bytes.clone())).collect()
    }

    pub(super) fn residue(&self) -> Vec<(String, Vec<u8>)> {
        self.residue.clone()
    }

    pub(super) fn find(&self, name: &str) -> Option<&Object> {
        self.objects.get(name)
    }

    /// All names that start with the prefix, sorted.
    pub(super) fn names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a String> {
        self.objects
            .range(prefix.to_owned()..)
            .map(|(name, _)| name)
            .take_while(move |name| name.starts_with(prefix))
    }

    /// Whether nothing has this name, had it, or lies above or below it.
    pub(super) fn is_vacant(&self, name: &str) -> bool {
        let folder = format!("{name}/");
        let mut above = name.match_indices('/').map(|(end, _)| &name[..end]);
        !self.objects.contains_key(name)
            && !self.retired.contains(name)
            && !above.any(|folder| self.objects.contains_key(folder))
            && self.names(&folder).next().is_none()
    }

    fn object(&mut self, name: String) -> &mut Object {
        self.objects.entry(name).or_default()
    }
}

fn strikes(fault: Fault, call: Call) -> bool {
    match fault {
        Fault::Crash | Fault::Eio | Fault::StuckEio | Fault::Enospc => true,
        Fault::TornSlotWrite => call == Call::WriteSlots,
        Fault::LostAnswer => matches!(call, Call::Commit | Call::WriteSlots | Call::Remove),
        Fault::MisdirectedRead => false,
    }
}

fn io_error() -> StorageErrorKind {
    StorageErrorKind::Other("input/output error".into())
}

fn switched_off() -> StorageErrorKind {
    StorageErrorKind::Other("the machine is off".into())
}
