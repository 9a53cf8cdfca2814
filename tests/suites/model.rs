//! Does the engine do what a plain model does, through crashes and failures of every sort?
//!
//! If this fails, some sequence of calls loses, resurrects or mixes up what users stored, or a search is wrong.
//! The message names the seed; `cargo xtask sim SEED` lives that life again and prints it.

use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_engine::io::sim::Fault;
use strongroom_tests::chance::Chance;
use strongroom_tests::model::life::{random_life, scripted_life};
use strongroom_tests::model::world::World;

/// Lives that each run of the suite lives.
const SEEDS: u64 = 200;

/// Bits that are flipped, each in a life of its own.
const FLIPS: usize = 400;

/// Names the seed of a life to replay.
const REPLAY: &str = "STRONGROOM_SIM_SEED";

// Users lose acknowledged writes, or see deleted ones again, after some crash that nobody thought of.
#[test]
fn random_lives_match_the_model() {
    let next = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        break;
                    }
                    random_life(seed, false);
                }
            });
        }
    });
}

// The command that replays a seed would pass without having lived it.
#[test]
fn replay() {
    if let Ok(seed) = std::env::var(REPLAY) {
        random_life(seed.parse().expect("a seed is a whole number"), true);
    }
}

// The power goes at every single step of a life in which everything happens once.
#[test]
fn a_crash_at_every_step() {
    interrupt_everywhere(Fault::Crash);
}

// The disk refuses every single step of that life.
#[test]
fn an_error_at_every_step() {
    interrupt_everywhere(Fault::Eio);
}

// The disk gets full at every single step of that life: reads go on, and nothing that was there is lost.
#[test]
fn a_full_disk_at_every_step() {
    interrupt_everywhere(Fault::Enospc);
}

// The disk does what it was told and says that it failed, at every step of that life that can end so.
#[test]
fn a_lost_answer_at_every_step() {
    interrupt_everywhere(Fault::LostAnswer);
}

fn interrupt_everywhere(fault: Fault) {
    let mut whole = World::new(1);
    let begun = whole.sim().steps();
    scripted_life(&mut whole);
    let steps = whole.sim().steps() - begun;
    assert!(steps > 50, "a life of {steps} steps");
    for step in 0..steps {
        let mut world = World::new(1);
        world.plan(step, fault);
        scripted_life(&mut world);
        world.make_space();
        world.restart(false, step % 2 == 0);
    }
}

// A damaged byte would be served as if it were the user's, or what it hid be forgotten without a word. The store
// was stopped in order: after a crash nobody can tell the very last batch, damaged, from one that was cut short.
#[test]
fn no_flipped_bit_is_served() {
    let mut chance = Chance::new(4);
    let mut told = 0;
    for _ in 0..FLIPS {
        let mut world = World::new(1);
        scripted_life(&mut world);
        world.restart(true, false);
        let files: Vec<(String, Vec<u8>)> =
            world.sim().files().into_iter().filter(|(_, b)| !b.is_empty()).collect();
        let (name, bytes) = chance.pick(&files);
        let (offset, bit) = (chance.below(bytes.len()), chance.below(8));
        told += usize::from(world.flip(name, offset, u8::try_from(bit).expect("a bit")));
    }
    assert!(told > FLIPS / 10, "only {told} of {FLIPS} flipped bits were told");
}

// A failure that a seed found could not be found again.
#[test]
fn the_same_seed_lives_the_same_life() {
    for seed in [3, 14] {
        let (first, second) = (random_life(seed, false), random_life(seed, false));
        let parting = first.life().iter().zip(second.life()).find(|(a, b)| a != b);
        assert_eq!(parting, None, "seed {seed}");
        assert_eq!(first.sim().steps(), second.sim().steps());
        assert!(first.sim().files() == second.sim().files(), "seed {seed} left two different disks");
    }
}
