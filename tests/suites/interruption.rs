//! Does an interruption at any step of the store's work leave it whole?
//!
//! A scripted life, in which everything happens once, is interrupted at each of its calls to the medium; the rest
//! of it is lived as well. If this fails, some moment of a power cut, an error or a full disk loses what was
//! acknowledged or brings back what was erased.

use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_engine::io::sim::Fault;
use strongroom_tests::cores::on_all_cores;
use strongroom_tests::model::script::scripted_life;
use strongroom_tests::model::world::{End, World};

/// A recovery is struck at one of so many steps from its beginning. Most have fewer; behind them the rest of the
/// life is struck.
const RECOVERY_STEPS: u64 = 32;

/// The power goes at most so many steps after an error.
const STEPS_BETWEEN: u64 = 24;

// The power goes at every single step.
#[test]
fn a_crash_at_every_step() {
    interrupt_everywhere(Fault::Crash);
}

// The disk refuses every single step.
#[test]
fn an_error_at_every_step() {
    interrupt_everywhere(Fault::Eio);
}

// The disk gets full at every single step: reads go on, and nothing that was there is lost.
#[test]
fn a_full_disk_at_every_step() {
    interrupt_everywhere(Fault::Enospc);
}

// The disk does what it was told and says that it failed, at every step that can end so.
#[test]
fn a_lost_answer_at_every_step() {
    interrupt_everywhere(Fault::LostAnswer);
}

// The disk refuses a step, and the power goes at each of the next: what was given up because of a step that never
// held must still be there.
#[test]
fn an_error_and_soon_after_a_crash() {
    on_all_cores(0..steps() * STEPS_BETWEEN, |number| {
        let (step, later) = (number / STEPS_BETWEEN, number % STEPS_BETWEEN);
        // What is done after the failure differs from seed to seed.
        let mut world = World::new(later);
        world.plan(step, Fault::Eio);
        world.plan(step + 1 + later, Fault::Crash);
        scripted_life(&mut world);
        world.restart(End::PowerCut);
    });
}

// The power goes at a step, and again at each step of the recovery that follows: what recovery had half done
// is done again, or undone, and nothing is lost by it.
#[test]
fn a_crash_at_every_step_of_every_recovery() {
    interrupt_recoveries(Fault::Crash, 1);
}

// The power goes, and then the disk refuses a step of the recovery: one of four, another four each time.
#[test]
fn an_error_in_every_recovery() {
    interrupt_recoveries(Fault::Eio, 4);
}

/// The steps of the scripted life when nothing interrupts it.
fn steps() -> u64 {
    let mut whole = World::new(1);
    let begun = whole.sim().steps();
    scripted_life(&mut whole);
    let steps = whole.sim().steps() - begun;
    assert!(steps > 50, "a life of {steps} steps");
    let merged = whole.life().iter().any(|line| line.contains("compacted: 1"));
    assert!(merged, "no segments were merged:\n{}", whole.life().join("\n"));
    steps
}

fn interrupt_everywhere(fault: Fault) {
    on_all_cores(0..steps(), |step| {
        let mut world = World::new(step);
        world.plan(step, fault);
        scripted_life(&mut world);
        world.make_space();
        world.restart(if step % 2 == 0 { End::PowerCut } else { End::Kill });
    });
}

fn interrupt_recoveries(fault: Fault, one_of: u64) {
    let (lives, struck) = (AtomicU64::new(0), AtomicU64::new(0));
    on_all_cores(0..steps() * RECOVERY_STEPS, |number| {
        let (step, later) = (number / RECOVERY_STEPS, number % RECOVERY_STEPS);
        if (step + later) % one_of != 0 {
            return;
        }
        let mut world = World::new(number);
        world.plan(step, Fault::Crash);
        world.plan_at_opening(later, fault);
        scripted_life(&mut world);
        world.restart(End::PowerCut);
        lives.fetch_add(1, Ordering::Relaxed);
        struck.fetch_add(u64::from(world.struck_openings() > 0), Ordering::Relaxed);
    });
    let (lives, struck) = (lives.into_inner(), struck.into_inner());
    assert!(struck > lives / 4, "only {struck} recoveries of {lives} were struck");
}
