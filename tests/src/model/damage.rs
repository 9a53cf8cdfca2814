//! What does a store answer whose files were damaged while it was stopped?
//!
//! A [`SmallStore`] is made once and damaged again and again, each time on a copy of its machine. Whatever was
//! done to it, it never answers wrongly, and never with what belongs to another partition. How much it has to
//! answer, and how it has to say what it can't, is what the rules of this module demand.

use strongroom_engine::io::StorageErrorKind;
use strongroom_engine::io::sim::Sim;
use strongroom_engine::{OpenError, OperatorScope, RootKey, Store};

use super::check::{differences, searches};
use super::life::doc;
use super::observe::observe;
use super::world::{End, SMALL, World};
use super::{Spot, State};
use crate::chance::Chance;

/// How much of the end of the newest log file damage may take without a word, when the store was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// A file that was cut short looks like one whose end was never written: as many writes as the cut took.
    AsMuchAsWasCut,
    /// A durable-through mark says how far the log went: the very last batch.
    LastBatch,
}

/// How far damage may spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// The store may refuse to open, and name the damage.
    WholeStore,
    /// The store opens and answers for every partition but one.
    OnePartition,
}

/// What a file that was cut short may hide.
pub const CUT_TAIL: Tail = Tail::AsMuchAsWasCut;

/// What a flipped bit may hide: whatever stands behind it says that there was more.
pub const FLIPPED_TAIL: Tail = Tail::LastBatch;

/// How far a flipped bit may spread.
pub const FLIP_SPREAD: Spread = Spread::OnePartition;

/// How far a cut may spread: what it took with it can't be laid at anybody's door.
pub const CUT_SPREAD: Spread = Spread::WholeStore;

/// How damage that keeps a store from opening is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// As damage; a key that does not open may also be told as the wrong one, and a cut as a failed read.
    Loosely,
    /// As damage, by file, offset and field.
    Exactly,
}

/// How what keeps a store from opening is told.
pub const NAMING: Naming = Naming::Loosely;

/// What became of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The store would not open, and said why.
    Opening,
    /// Some call failed.
    Reading,
    /// Every call answered, and the store names what it had to mend.
    Mended,
    /// Every call answered without what was damaged, and the scrub found it.
    Scrubbing,
    /// Nothing: no answer depends on what was damaged.
    Nothing,
}

/// One way to damage a stopped store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Harm {
    /// A bit of a byte of a file is flipped.
    Flip {
        /// The file.
        name: String,
        /// The byte.
        offset: usize,
    },
    /// A file is cut short.
    Cut {
        /// The file.
        name: String,
        /// How many bytes stay.
        bytes: usize,
    },
}

/// A store of three partitions in two workspaces, stopped.
pub struct SmallStore {
    sim: Sim,
    /// What it held, after each of the writes that only the log has. The last one is what was acknowledged.
    history: Vec<State>,
}

impl SmallStore {
    /// Rows in segments and rows in the log alone, one deleted document, one dropped partition.
    pub fn new(end: End) -> SmallStore {
        let mut chance = Chance::new(9);
        let spot = |workspace: u8, name: Option<&str>| Spot { workspace, name: name.map(str::to_owned) };
        let (acme, main, other) = (spot(1, Some("acme")), spot(1, None), spot(2, Some("acme")));
        let gone = spot(1, Some("gone"));
        let mut world = World::new(9);
        world.create_workspace(1);
        world.create_workspace(2);
        let mut put = |world: &mut World, spot: &Spot, ids: &[&str]| {
            let docs: Vec<_> = ids.iter().map(|id| (Some((*id).to_owned()), doc(&mut chance))).collect();
            world.put_many(spot, &docs);
        };
        for (spot, ids) in [(&acme, &["a", "b"][..]), (&main, &["c"]), (&other, &["a", "d"]), (&gone, &["g"])]
        {
            put(&mut world, spot, ids);
        }
        world.delete(&acme, "a");
        world.drop_partition(&gone);
        world.maintain(true);
        put(&mut world, &main, &["e"]);
        world.maintain(true);
        let mut history = vec![world.state.clone()];
        put(&mut world, &acme, &["f"]);
        history.push(world.state.clone());
        world.delete(&other, "a");
        history.push(world.state.clone());
        put(&mut world, &main, &["h"]);
        history.push(world.state.clone());
        let (sim, state) = world.stop(end);
        if end == End::Orderly {
            // Everything reached a segment, so there is no tail.
            history = vec![state];
        }
        SmallStore { sim, history }
    }

    /// Every file with its bytes.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        self.sim.files()
    }

    /// Every byte, a bit of each flipped; which bit depends on where it is.
    pub fn flips(&self) -> Vec<Harm> {
        let of_file = |(name, bytes): (String, Vec<u8>)| {
            (0..bytes.len()).map(move |offset| Harm::Flip { name: name.clone(), offset })
        };
        self.files().into_iter().flat_map(of_file).collect()
    }

    /// Every length, so every border of a record and the bytes beside it; but within padding only its ends.
    pub fn cuts(&self) -> Vec<Harm> {
        let of_file = |(name, file): (String, Vec<u8>)| {
            let is_padding = |at: usize| {
                at.checked_sub(2).and_then(|from| file.get(from..at + 2)).is_some_and(|near| near == [0; 4])
            };
            let lengths: Vec<usize> = (0..file.len()).filter(|at| !is_padding(*at)).collect();
            lengths.into_iter().map(move |bytes| Harm::Cut { name: name.clone(), bytes })
        };
        self.files().into_iter().flat_map(of_file).collect()
    }

    /// Damages a copy, opens it and looks at everything.
    ///
    /// # Panics
    /// When an answer is wrong, or the store says less than the rules demand.
    pub fn suffer(&self, harm: &Harm) -> Told {
        let sim = self.sim.snapshot();
        let spread = match harm {
            Harm::Flip { .. } => FLIP_SPREAD,
            Harm::Cut { .. } => CUT_SPREAD,
        };
        match harm {
            Harm::Flip { name, offset } => {
                sim.flip_bit(
                    name,
                    *offset as u64,
                    u8::try_from((offset * 5 + offset / 8) % 8).expect("a bit"),
                );
            }
            Harm::Cut { name, bytes } => sim.truncate_file(name, *bytes as u64),
        }
        let store = match Store::open(sim.restart(), RootKey([7; 32]), SMALL) {
            Ok(store) => store,
            Err(error) => {
                assert_eq!(spread, Spread::WholeStore, "{harm:?} keeps the store from opening: {error}");
                assert!(is_named(harm, &error), "{harm:?}: damage is told as {error}");
                return Told::Opening;
            }
        };
        let may_be = self.may_be(harm);
        let models: Vec<&State> = may_be.iter().collect();
        let observed = observe(&store, &models, 1..4);
        let wrong: Vec<Vec<String>> = may_be.iter().map(|state| differences(state, &observed)).collect();
        let Some(held) = wrong.iter().position(Vec::is_empty) else {
            panic!("{harm:?} is served: {}", wrong.concat().join("\n"));
        };
        let found = searches(&may_be[held], &store, &mut Chance::new(1), 1);
        assert!(found.wrong.is_empty(), "{harm:?} is searched:\n{found}");
        let failed = observed.failed.len();
        assert!(
            spread == Spread::WholeStore || failed <= 1,
            "{harm:?} is not confined:\n{:?}",
            observed.failed
        );
        let (Harm::Flip { name, .. } | Harm::Cut { name, .. }) = harm;
        match store.damages(&OperatorScope::grant()).iter().any(|damage| damage.file == *name) {
            _ if failed > 0 || !found.failed.is_empty() => Told::Reading,
            true => Told::Mended,
            false => scrubbed(&store, name),
        }
    }

    /// What the store may hold after this: all, or less of the newest log file if that was hit.
    fn may_be(&self, harm: &Harm) -> Vec<State> {
        let (name, tail) = match harm {
            Harm::Flip { name, .. } => (name, FLIPPED_TAIL),
            Harm::Cut { name, .. } => (name, CUT_TAIL),
        };
        let newest = self.files().into_iter().map(|(name, _)| name).rfind(|name| name.starts_with("log/"));
        let less = match tail {
            _ if newest.as_ref() != Some(name) => 0,
            Tail::LastBatch => 1,
            Tail::AsMuchAsWasCut => self.history.len(),
        };
        self.history.iter().rev().take(less + 1).cloned().collect()
    }
}

/// What nobody asked for was not read: finding it is the scrub's.
fn scrubbed(store: &Store, name: &str) -> Told {
    let scrubbed = store.scrub(&OperatorScope::grant(), u64::MAX).expect("a medium that reads");
    assert!(scrubbed.damages.iter().all(|damage| damage.file == name), "{:?}", scrubbed.damages);
    if scrubbed.damages.is_empty() { Told::Nothing } else { Told::Scrubbing }
}

fn is_named(harm: &Harm, error: &OpenError) -> bool {
    let is_cut = matches!(harm, Harm::Cut { .. });
    match error {
        OpenError::Damaged(_) => true,
        OpenError::WrongKey => NAMING == Naming::Loosely,
        OpenError::Storage(error) => {
            NAMING == Naming::Loosely && is_cut && matches!(error.kind, StorageErrorKind::TooShort { .. })
        }
        _ => false,
    }
}
