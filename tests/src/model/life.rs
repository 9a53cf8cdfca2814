//! What happens in a random life of a store?
//!
//! Several workspaces and partitions, writes of every sort, jobs, restarts and faults, all chosen by a seed. A
//! life has at least [`OPERATIONS`] operations and [`CRASHES`] crashes, which it counts.

use strongroom_engine::io::sim::Fault;

use super::asked;
use super::kinds::{Act, Kind};
use super::world::{End, World};
use super::{DIMENSION, Doc, Docs, Spot, UNKNOWN_ID};
use crate::chance::Chance;

/// Operations of a life, at least.
pub const OPERATIONS: u64 = 300;

/// Crashes of a life, at least.
pub const CRASHES: u64 = 3;

/// Documents that a partition has at most, or a few more: what is small is looked at often.
const DOCUMENTS_MAX: usize = 14;

/// Workspaces that are there at a time, at most.
const WORKSPACES_MAX: usize = 3;

/// Steps that opening a small store takes, more or less: faults that are to strike it are planned within.
const OPENING_STEPS: u64 = 36;

/// What may strike once.
pub const FAULTS: [Fault; 6] = [
    Fault::Crash,
    Fault::Eio,
    Fault::Enospc,
    Fault::TornSlotWrite,
    Fault::LostAnswer,
    Fault::MisdirectedRead,
];

const DAY_MS: u64 = 86_400_000;

const NAMES: [Option<&str>; 4] = [None, Some("acme"), Some("Acme"), Some("acme ")];
const LABELS: [&str; 3] = ["red", "green", "blue"];

/// Runs the life of this seed to its end and answers the world as it is then.
///
/// # Panics
/// When the store is not what the model is.
pub fn random_life(seed: u64, aloud: bool) -> World {
    let (kind, mut chance) = (Kind::of(seed), Chance::new(seed));
    let world = World::with(seed, kind.options());
    let mut world = if aloud { world.aloud() } else { world };
    world.create_workspace(1);
    world.create_workspace(2);
    // Crashes are planned at even distances, so that each life has them, whatever its dice say.
    let mut crashes_planned = 0;
    while world.operations() < OPERATIONS {
        if world.operations() >= (crashes_planned + 1) * OPERATIONS / (CRASHES + 1) {
            crashes_planned += 1;
            world.plan(soon(&mut chance), Fault::Crash);
            if chance.percent(50) {
                harden_opening(&mut world, &mut chance);
            }
        }
        act(kind, &mut world, &mut chance);
    }
    world.make_space();
    while world.crashes() < CRASHES {
        world.restart(End::PowerCut);
    }
    world.restart(End::PowerCut);
    world.restart(End::Orderly);
    assert!(world.operations() >= OPERATIONS && world.crashes() >= CRASHES, "a life that was too quiet");
    world
}

fn act(kind: Kind, world: &mut World, chance: &mut Chance) {
    let workspaces: Vec<u8> = world.state.workspaces.iter().copied().collect();
    if workspaces.is_empty() {
        world.make_space();
        world.create_workspace(world.next_workspace());
        return;
    }
    let spot = Spot { workspace: *chance.pick(&workspaces), name: chance.pick(&NAMES).map(str::to_owned) };
    match kind.draw(chance) {
        Act::Put | Act::PutMany if documents(world, &spot) > DOCUMENTS_MAX => {
            world.drop_partition(&spot);
        }
        Act::Put => {
            let doc = (own_id(chance, 1), doc_of(world, chance));
            world.put_many(&spot, &[doc]);
        }
        Act::PutMany => {
            let count = 2 + chance.below(kind.batch_max() - 1);
            let docs: Vec<(Option<String>, Doc)> =
                (0..count).map(|_| (own_id(chance, count), doc_of(world, chance))).collect();
            world.put_many(&spot, &docs);
        }
        Act::Update => {
            let id = some_id(world, &spot, chance);
            match own_id(chance, 1) {
                Some(other) if id != UNKNOWN_ID => {
                    let docs = [(id, doc_of(world, chance)), (other, doc_of(world, chance))];
                    world.upsert(&spot, &docs);
                }
                _ => {
                    let doc = doc_of(world, chance);
                    world.update(&spot, &id, doc);
                }
            }
        }
        Act::Delete => {
            let id = some_id(world, &spot, chance);
            world.delete(&spot, &id);
        }
        Act::Restore => {
            let id = some_id(world, &spot, chance);
            world.restore(&spot, &id);
        }
        Act::Purge => {
            let id = some_id(world, &spot, chance);
            world.purge(&spot, &id, chance.percent(50));
        }
        Act::Search => {
            world.search(&spot);
        }
        Act::Look => world.check_partition(&spot),
        Act::Hold => {
            world.hold(&spot);
        }
        Act::Drop => {
            world.drop_partition(&spot);
        }
        // Held less often than not, for most acts are refused then.
        Act::Keep => {
            let held = chance.percent(30);
            world.keep(&spot, held);
        }
        Act::ThrowAway => {
            let grace_ms = chance.bits() % (20 * DAY_MS);
            world.throw_away(&spot, grace_ms);
        }
        Act::BringBack => {
            world.bring_back(&spot);
        }
        Act::Rename => {
            let to = Spot { name: chance.pick(&NAMES).map(str::to_owned), ..spot.clone() };
            world.rename(&spot, &to);
        }
        Act::PutOnce if documents(world, &spot) > DOCUMENTS_MAX => {
            world.drop_partition(&spot);
        }
        Act::PutOnce => {
            // Few keys and requests, which come again.
            let number =
                |chance: &mut Chance, most: usize| u8::try_from(chance.below(most)).expect("a small number");
            let (key, request) = (number(chance, 3), number(chance, 2));
            let doc = doc_of(world, chance);
            world.put_once(&spot, key, request, &doc);
        }
        Act::Pour => {
            let to = Spot { name: chance.pick(&NAMES).map(str::to_owned), ..spot.clone() };
            world.pour(&spot, &to);
        }
        Act::DropWorkspace => {
            world.drop_workspace(spot.workspace);
        }
        Act::CreateWorkspace if workspaces.len() < WORKSPACES_MAX => {
            world.create_workspace(world.next_workspace());
        }
        Act::CreateWorkspace => world.check_stale(),
        Act::Maintain => {
            let all = chance.percent(50);
            world.maintain(all);
        }
        Act::Stop => world.restart(End::Orderly),
        Act::Kill => world.restart(End::Kill),
        Act::PowerCut => world.restart(End::PowerCut),
        Act::HardOpening => {
            harden_opening(world, chance);
            world.restart(if chance.percent(50) { End::PowerCut } else { End::Kill });
        }
        Act::Fault => {
            let fault = kind.fault(chance);
            world.plan(soon(chance), fault);
        }
        Act::MakeSpace => world.make_space(),
        Act::Time => pass_time(world, chance),
        Act::Check => world.check(),
    }
}

/// In how many steps a fault is to strike: among those of the next write, or deep within the jobs that come later.
fn soon(chance: &mut Chance) -> u64 {
    let reach = *chance.pick(&[4, 12, 40, 120]);
    chance.bits() % reach
}

/// Faults that strike the opening to come, and those that it causes.
fn harden_opening(world: &mut World, chance: &mut Chance) {
    let mut steps = 0;
    for _ in 0..=chance.below(4) {
        steps += chance.bits() % OPENING_STEPS;
        // Every second one is a crash.
        let fault = if chance.percent(50) { Fault::Crash } else { *chance.pick(&FAULTS) };
        world.plan_at_opening(steps, fault);
    }
}

/// Mostly days pass; now and then a clock is set back.
fn pass_time(world: &mut World, chance: &mut Chance) {
    if chance.percent(80) {
        world.advance_ms(chance.bits() % (40 * DAY_MS));
    } else {
        world.turn_back_ms(chance.bits() % DAY_MS);
    }
}

fn documents(world: &World, spot: &Spot) -> usize {
    world.state.docs(spot).map_or(0, Docs::len)
}

/// Mostly the engine's own ids; some of the caller's, which collide now and then.
fn own_id(chance: &mut Chance, count: usize) -> Option<String> {
    (count > 1 || chance.percent(40)).then(|| format!("d{}", chance.below(60 + 20 * count)))
}

fn some_id(world: &World, spot: &Spot, chance: &mut Chance) -> String {
    let missing = "missing".to_owned();
    let Some(docs) = world.state.docs(spot).filter(|docs| !docs.is_empty()) else { return missing };
    if chance.percent(5) {
        missing
    } else {
        docs.keys().nth(chance.below(docs.len())).cloned().unwrap_or(missing)
    }
}

/// A random document, which is gone after some days now and then.
fn doc_of(world: &World, chance: &mut Chance) -> Doc {
    let expires_ms = chance.percent(20).then(|| world.now_ms() + 1 + chance.bits() % (30 * DAY_MS));
    Doc { expires_ms, ..doc(chance) }
}

/// A random document of a few words and up to three vectors; now and then of so many that its segment has codes.
pub(super) fn doc(chance: &mut Chance) -> Doc {
    let is_long = chance.below(30) == 0;
    let passages = if is_long { 129 + chance.below(60) } else { 1 + chance.below(3) };
    let vector = |chance: &mut Chance| -> Vec<f32> {
        match chance.below(20) {
            0 => vec![0.0; DIMENSION],
            // A few directions that many documents share, so that there are ties.
            1..8 => (0..DIMENSION).map(|i| if i % 3 == 0 { 1.0 } else { 0.5 }).collect(),
            // Of any length, for metrics that see it.
            8 | 9 => {
                let stretch = *chance.pick(&[0.125, 4.0]);
                (0..DIMENSION).map(|_| stretch * chance.unit()).collect()
            }
            _ => (0..DIMENSION).map(|_| chance.unit()).collect(),
        }
    };
    let words = if is_long { 2 * passages } else { 4 + chance.below(24) };
    let words = (0..words).map(|_| *chance.pick(&["red ", "note ", "due ", "whale ", "sea "]));
    let content: String = words.chain([" and so on."]).collect();
    let mut tags: Vec<String> = Vec::new();
    for label in LABELS {
        if chance.percent(35) {
            tags.push(label.to_owned());
        }
    }
    Doc {
        version: 1,
        content: format!("{} {content}", chance.bits()),
        tags,
        entity: chance.percent(20).then(|| "ada".to_owned()),
        fields: asked::fields(chance),
        vectors: (0..passages).map(|_| vector(chance)).collect(),
        readers: chance.percent(25).then(|| asked::some_of(&asked::READERS, chance)),
        expires_ms: None,
        live: true,
    }
}
