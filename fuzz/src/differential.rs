//! Does the store stay what the model is, whatever is asked of it in whatever order?
//!
//! The bytes are a story: two for the machine (its kind, its dice), then two for each operation. The story is
//! lived on the simulated machine with the plain model beside it (`docs/simulator.md`), which insists on every
//! answer. The simulator's lives draw their acts by weight; here a fuzzer composes them.
//!
//! | Byte | means |
//! |---|---|
//! | first, bits 0–4 | the act, by its place in [`ACTS`] |
//! | first, bits 5–6 | the partition's name, by its place in [`NAMES`] |
//! | first, bit 7 | the newest workspace, or the one that was made before it; either may be gone |
//! | second | what the act needs to know: which document, how many, which fault, how far ahead |
//!
//! Invariants:
//! 1. Every input is a story; what is too short for an operation is refused, what is too long is cut.
//! 2. The same bytes live the same life.

use strongroom_engine::io::sim::Fault;
use strongroom_tests::chance::Chance;
use strongroom_tests::model::asked;
use strongroom_tests::model::kinds::{Act, Kind};
use strongroom_tests::model::world::{End, World};
use strongroom_tests::model::{DIMENSION, Doc, Docs, Spot};

/// Operations of a story at most; what stands behind them is not read.
pub(crate) const OPERATIONS_MAX: usize = 120;

/// The longest story.
pub(crate) const INPUT_BYTES_MAX: usize = 2 + 2 * OPERATIONS_MAX;

/// Faults of a story at most. All of them may wait for the same opening, and a world gives up on a store that 20
/// strikes in a row keep shut.
const FAULTS_MAX: usize = 16;

/// Documents that a partition has at most, or a few more: what is small is looked at often.
const DOCUMENTS_MAX: usize = 20;

/// Workspaces that are there at a time, at most.
const WORKSPACES_MAX: usize = 3;

/// Which act each number means.
pub(crate) const ACTS: [Act; 32] = [
    Act::Put,
    Act::Put,
    Act::PutOnce,
    Act::Keep,
    Act::PutMany,
    Act::PutMany,
    Act::Update,
    Act::Update,
    Act::ThrowAway,
    Act::Delete,
    Act::Delete,
    Act::BringBack,
    Act::Restore,
    Act::Rename,
    Act::Purge,
    Act::Pour,
    Act::Search,
    Act::Search,
    Act::Look,
    Act::Hold,
    Act::Drop,
    Act::DropWorkspace,
    Act::CreateWorkspace,
    Act::Maintain,
    Act::Stop,
    Act::Kill,
    Act::PowerCut,
    Act::HardOpening,
    Act::Fault,
    Act::MakeSpace,
    Act::Time,
    Act::Check,
];

const NAMES: [Option<&str>; 4] = [None, Some("acme"), Some("Acme"), Some("acme ")];

/// What may strike; the second byte says which, and how many steps ahead.
pub(crate) const FAULTS: [Fault; 7] = [
    Fault::Crash,
    Fault::Eio,
    Fault::Enospc,
    Fault::TornSlotWrite,
    Fault::LostAnswer,
    Fault::MisdirectedRead,
    Fault::Crash,
];

/// Lives the story.
pub(crate) fn run(bytes: &[u8]) -> bool {
    let Some(([kind, seed], story)) = bytes.split_first_chunk::<2>() else { return false };
    let (operations, _) = story.as_chunks::<2>();
    if operations.is_empty() {
        return false;
    }
    let mut world = World::with(u64::from(*seed), Kind::of(u64::from(*kind)).options());
    let mut faults_left = FAULTS_MAX;
    world.create_workspace(1);
    world.create_workspace(2);
    for (number, [first, argument]) in operations.iter().take(OPERATIONS_MAX).enumerate() {
        Step {
            // Either of the two newest workspaces; a world begins with two.
            spot: Spot {
                workspace: world.next_workspace() - 1 - (first >> 7),
                name: NAMES[usize::from(first >> 5) % NAMES.len()].map(str::to_owned),
            },
            chance: Chance::new((number as u64) << 8 | u64::from(*argument)),
            argument: usize::from(*argument),
            faults_left: &mut faults_left,
            world: &mut world,
        }
        .run(ACTS[usize::from(first % 32)]);
    }
    world.make_space();
    world.restart(End::PowerCut);
    world.restart(End::Orderly);
    true
}

/// One operation of a story.
struct Step<'a> {
    world: &'a mut World,
    spot: Spot,
    argument: usize,
    /// For what the argument is too short to say: words, vectors, labels.
    chance: Chance,
    faults_left: &'a mut usize,
}

impl Step<'_> {
    fn run(mut self, act: Act) {
        let argument = self.argument;
        match act {
            Act::Put | Act::PutOnce | Act::PutMany if self.docs().map_or(0, Docs::len) > DOCUMENTS_MAX => {
                self.world.drop_partition(&self.spot);
            }
            Act::Put => {
                let id = (argument & 0x40 == 0).then(|| format!("d{}", argument % 8));
                let doc = (id, self.doc());
                self.world.put_many(&self.spot, &[doc]);
            }
            Act::PutOnce => {
                // Few keys and requests, which come again.
                let (key, request) = (self.argument % 4, self.argument / 4 % 2);
                let doc = self.doc();
                self.world.put_once(&self.spot, key as u8, request as u8, &doc);
            }
            Act::Pour => {
                let name = NAMES[argument % NAMES.len()].map(str::to_owned);
                self.world.pour(&self.spot, &Spot { name, ..self.spot.clone() });
            }
            Act::PutMany => {
                // Ids repeat, among themselves and with what is there.
                let count = 2 + argument % 8;
                let id = |chance: &mut Chance| Some(format!("d{}", chance.below(16 * count)));
                let docs: Vec<_> = (0..count).map(|_| (id(&mut self.chance), self.doc())).collect();
                self.world.put_many(&self.spot, &docs);
            }
            Act::Update => {
                let doc = self.doc();
                self.world.update(&self.spot, &self.id(), doc);
            }
            Act::Delete => {
                self.world.delete(&self.spot, &self.id());
            }
            Act::Restore => {
                self.world.restore(&self.spot, &self.id());
            }
            Act::Purge => {
                self.world.purge(&self.spot, &self.id(), argument & 0x80 != 0);
            }
            Act::Search => {
                self.world.search(&self.spot);
            }
            Act::Look => self.world.check_partition(&self.spot),
            Act::Hold => {
                self.world.hold(&self.spot);
            }
            Act::Drop => {
                self.world.drop_partition(&self.spot);
            }
            Act::Keep => {
                self.world.keep(&self.spot, argument % 3 == 1);
            }
            Act::ThrowAway => {
                self.world.throw_away(&self.spot, 60_000 << (argument % 16));
            }
            Act::BringBack => {
                self.world.bring_back(&self.spot);
            }
            Act::Rename => {
                let name = NAMES[argument % NAMES.len()].map(str::to_owned);
                self.world.rename(&self.spot, &Spot { name, ..self.spot.clone() });
            }
            Act::DropWorkspace => {
                self.world.drop_workspace(self.spot.workspace);
            }
            Act::CreateWorkspace if self.world.state.workspaces.len() < WORKSPACES_MAX => {
                self.world.create_workspace(self.world.next_workspace());
            }
            Act::CreateWorkspace => self.world.check_stale(),
            Act::Maintain => {
                self.world.maintain(argument % 2 == 1);
            }
            Act::Stop => self.world.restart(End::Orderly),
            Act::Kill => self.world.restart(End::Kill),
            Act::PowerCut => self.world.restart(End::PowerCut),
            Act::HardOpening => {
                for (steps, fault) in [(argument / 7, argument % 7), (argument, argument / 7 % 7)] {
                    if self.may_strike() {
                        self.world.plan_at_opening(steps as u64, FAULTS[fault]);
                    }
                }
                self.world.restart(if argument % 2 == 1 { End::PowerCut } else { End::Kill });
            }
            Act::Fault => {
                if self.may_strike() {
                    self.world.plan((argument / 7) as u64, FAULTS[argument % 7]);
                }
            }
            Act::MakeSpace => self.world.make_space(),
            Act::Time => self.pass_time(),
            Act::Check => self.world.check(),
        }
    }

    fn docs(&self) -> Option<&Docs> {
        self.world.state.docs(&self.spot)
    }

    /// A document that is there, live or deleted; now and then one that is not.
    fn id(&self) -> String {
        let there = self.docs().map_or(0, Docs::len);
        let found = self.docs().and_then(|docs| docs.keys().nth(self.argument % 64 % (there + 1)));
        found.cloned().unwrap_or_else(|| "missing".to_owned())
    }

    fn may_strike(&mut self) -> bool {
        let may = *self.faults_left > 0;
        *self.faults_left = self.faults_left.saturating_sub(1);
        may
    }

    /// Minutes to weeks pass; or the clock is set back.
    fn pass_time(&mut self) {
        const MINUTE_MS: u64 = 60_000;
        let minutes = 1 << (self.argument % 16);
        if self.argument < 0xc0 {
            self.world.advance_ms(minutes * MINUTE_MS);
        } else {
            self.world.turn_back_ms(minutes * MINUTE_MS);
        }
    }

    /// A document; a long one when the argument's highest bit is set, of as much as a flush takes.
    fn doc(&mut self) -> Doc {
        let (now_ms, chance) = (self.world.now_ms(), &mut self.chance);
        let words = if self.argument & 0x80 == 0 { 4 + chance.below(20) } else { 400 + chance.below(800) };
        let word = |chance: &mut Chance| *chance.pick(&["red ", "note ", "due ", "whale ", "sea "]);
        let content: String = (0..words).map(|_| word(chance)).collect();
        let vector = |chance: &mut Chance| -> Vec<f32> {
            match chance.below(8) {
                0 => vec![0.0; DIMENSION],
                // A direction that many documents share, so that there are ties.
                1 | 2 => vec![1.0; DIMENSION],
                _ => (0..DIMENSION).map(|_| chance.unit()).collect(),
            }
        };
        Doc {
            version: 1,
            content: format!("{} {content}", chance.bits()),
            tags: ["red", "green", "blue"]
                .into_iter()
                .filter(|_| chance.percent(35))
                .map(str::to_owned)
                .collect(),
            entity: chance.percent(20).then(|| "ada".to_owned()),
            fields: asked::fields(chance),
            vectors: (0..=chance.below(3)).map(|_| vector(chance)).collect(),
            readers: chance.percent(25).then(|| asked::some_of(&asked::READERS, chance)),
            expires_ms: chance.percent(20).then(|| now_ms + 1 + chance.bits() % 60_000_000),
            live: true,
        }
    }
}
