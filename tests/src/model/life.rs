//! What happens in a random life of a store?
//!
//! Several workspaces and partitions, writes of every sort, jobs, restarts and faults, all chosen by a seed. A
//! second, short life is scripted, so that it can be crashed at each of its steps.

use strongroom_engine::io::sim::Fault;

use super::check::WORKSPACES;
use super::world::World;
use super::{DIMENSION, Doc, Spot};
use crate::chance::Chance;

/// Acts of one random life.
const ACTS: usize = 140;

const NAMES: [Option<&str>; 5] = [None, Some("acme"), Some("Acme"), Some("../acme"), Some("acme ")];
const LABELS: [&str; 3] = ["red", "green", "blue"];

/// Runs the life of this seed to its end and answers the world as it is then.
pub fn random_life(seed: u64, aloud: bool) -> World {
    let mut chance = Chance::new(seed);
    let mut world = if aloud { World::new(seed).aloud() } else { World::new(seed) };
    world.create_workspace(1);
    world.create_workspace(2);
    for _ in 0..ACTS {
        act(&mut world, &mut chance);
    }
    world.make_space();
    world.restart(false, true);
    world.restart(true, false);
    world
}

fn act(world: &mut World, chance: &mut Chance) {
    let workspaces: Vec<u8> = world.state.workspaces.iter().copied().collect();
    if workspaces.is_empty() {
        let number = free_workspace(world);
        world.create_workspace(number);
        return;
    }
    let spot = Spot { workspace: *chance.pick(&workspaces), name: chance.pick(&NAMES).map(str::to_owned) };
    match chance.below(100) {
        0..28 => {
            let count = if chance.percent(25) { 1 + chance.below(9) } else { 1 };
            let docs: Vec<(Option<String>, Doc)> =
                (0..count).map(|_| (own_id(chance, count), doc(chance))).collect();
            world.put_many(&spot, &docs);
        }
        28..40 => {
            let id = some_id(world, &spot, chance);
            world.update(&spot, &id, doc(chance));
        }
        40..52 => {
            let id = some_id(world, &spot, chance);
            world.delete(&spot, &id);
        }
        52..60 => {
            let id = some_id(world, &spot, chance);
            world.restore(&spot, &id);
        }
        60..70 => world.search(&spot),
        70..73 => {
            world.drop_partition(&spot);
        }
        73 => world.stale_handle(&spot),
        74 if chance.percent(40) => {
            world.drop_workspace(spot.workspace);
        }
        75 if workspaces.len() < 3 => {
            let number = free_workspace(world);
            world.create_workspace(number);
        }
        76..84 => {
            let all = chance.percent(50);
            world.maintain(all);
        }
        84..87 => world.restart(chance.percent(50), false),
        87..89 => world.restart(false, true),
        89..96 => fault(world, chance),
        96..98 => world.make_space(),
        98 => world.sim().advance_ms(chance.bits() % 100_000),
        _ => world.check(),
    }
}

fn fault(world: &mut World, chance: &mut Chance) {
    let steps = chance.bits() % 12;
    let faults = [
        Fault::Crash,
        Fault::Crash,
        Fault::Crash,
        Fault::Eio,
        Fault::Eio,
        Fault::Enospc,
        Fault::TornSlotWrite,
        Fault::LostAnswer,
        Fault::MisdirectedRead,
    ];
    world.plan(steps, *chance.pick(&faults));
}

/// A workspace that was never used: a number is not used twice, as no id ever is.
fn free_workspace(world: &World) -> u8 {
    let used = |n: u8| world.life().iter().any(|line| line.starts_with(&format!("create workspace {n}")));
    WORKSPACES.clone().find(|n| !used(*n)).unwrap_or(WORKSPACES.end - 1)
}

/// Mostly the engine's own ids; some of the caller's, which collide now and then.
fn own_id(chance: &mut Chance, count: usize) -> Option<String> {
    (count > 1 || chance.percent(40)).then(|| format!("d{}", chance.below(60)))
}

fn some_id(world: &World, spot: &Spot, chance: &mut Chance) -> String {
    let ids: Vec<String> =
        world.state.partitions.get(spot).map(|d| d.keys().cloned().collect()).unwrap_or_default();
    if ids.is_empty() || chance.percent(5) { "missing".to_owned() } else { chance.pick(&ids).clone() }
}

fn doc(chance: &mut Chance) -> Doc {
    let passages = 1 + chance.below(3);
    let vector = |chance: &mut Chance| -> Vec<f32> {
        match chance.below(20) {
            0 => vec![0.0; DIMENSION],
            // A few directions that many documents share, so that there are ties.
            1..8 => (0..DIMENSION).map(|i| if i % 3 == 0 { 1.0 } else { 0.5 }).collect(),
            _ => (0..DIMENSION).map(|_| chance.unit()).collect(),
        }
    };
    let words = (0..4 + chance.below(40)).map(|_| *chance.pick(&["red ", "note ", "due ", "whale ", "sea "]));
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
        vectors: (0..passages).map(|_| vector(chance)).collect(),
        live: true,
    }
}

/// A short life in which everything happens once. After an interruption the rest of it is lived as well.
pub fn scripted_life(world: &mut World) {
    let mut chance = Chance::new(5);
    let spot = |workspace: u8, name: &str| Spot { workspace, name: Some(name.to_owned()) };
    let (acme, globex, other) = (spot(1, "acme"), spot(1, "globex"), spot(2, "acme"));
    let mut put = |world: &mut World, spot: &Spot, ids: &[&str]| {
        let docs: Vec<(Option<String>, Doc)> =
            ids.iter().map(|id| (Some((*id).to_owned()), doc(&mut chance))).collect();
        world.put_many(spot, &docs);
    };
    world.create_workspace(1);
    world.create_workspace(2);
    put(world, &acme, &["a", "b"]);
    put(world, &globex, &["a"]);
    put(world, &other, &["a"]);
    world.delete(&acme, "a");
    world.maintain(true);
    put(world, &acme, &["c"]);
    world.restore(&acme, "a");
    let mut chance = Chance::new(6);
    world.update(&acme, "b", doc(&mut chance));
    world.drop_partition(&globex);
    world.maintain(true);
    let mut put = |world: &mut World, spot: &Spot, id: &str| {
        world.put_many(spot, &[(Some(id.to_owned()), doc(&mut chance))]);
    };
    put(world, &globex, "new");
    for id in ["p", "q", "r"] {
        put(world, &acme, id);
        world.maintain(true);
    }
    world.drop_workspace(2);
    world.delete(&acme, "c");
    world.check();
}
