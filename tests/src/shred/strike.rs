//! What becomes of an erasure that is interrupted at any of its steps?
//!
//! Each time the machine is a copy of the same scene. The power goes at a step; or the medium takes nothing more
//! from that step on and the process is killed; or the power goes, and goes again at some steps of the recovery,
//! other ones each time.

use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_engine::StoreError;
use strongroom_engine::io::sim::{Fault, Sim};

use super::scene::{Scene, quiet};

/// About so many recoveries are struck at each of their steps, counting all together.
const STRIKES: u64 = 5;

/// Runs `act` on copies of a scene, interrupts it everywhere, reopens the store and has `judge` look at it. `judge`
/// is told whether the erasure was durable when it was interrupted. Answers how many interruptions there were.
///
/// # Panics
/// When the store does not open after an interruption.
pub fn everywhere<R>(
    scene: &Scene,
    act: impl Fn(&Scene) -> Result<R, StoreError> + Sync,
    judge: impl Fn(&mut Scene, bool) + Sync,
) -> u64 {
    let calm = scene.copy();
    let begun = calm.sim.steps();
    assert!(act(&calm).is_ok(), "nothing interrupts it");
    let steps = calm.sim.steps() - begun;
    let stride = steps.div_ceil(STRIKES);
    let (next, interruptions) = (AtomicU64::new(0), AtomicU64::new(0));
    let strike = |step: u64, fault: Fault| {
        let life = scene.copy();
        life.sim.fail_after(step, fault);
        // Behind the last of its steps an erasure answers that it was done.
        let durable = matches!(act(&life), Ok(_) | Err(StoreError::Unfinished(_)));
        life.sim.mend();
        let sim = life.sim.snapshot();
        judge(&mut open(sim.snapshot()), durable);
        let more =
            if fault == Fault::Crash { recoveries(&sim, step, stride, |s| judge(s, durable)) } else { 0 };
        interruptions.fetch_add(1 + more, Ordering::Relaxed);
    };
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(step) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|step| *step < steps)
                {
                    strike(step, Fault::Crash);
                    strike(step, Fault::StuckEio);
                }
            });
        }
    });
    interruptions.into_inner()
}

fn open(sim: Sim) -> Scene {
    Scene::on(sim, quiet()).expect("the store opens after an interruption")
}

/// Interrupts the recovery of a stopped machine at some of its steps; answers at how many.
fn recoveries(stopped: &Sim, first: u64, stride: u64, judge: impl Fn(&mut Scene)) -> u64 {
    for number in 0.. {
        let sim = stopped.snapshot();
        sim.fail_after(first % stride + number * stride, Fault::Crash);
        if Scene::on(sim.clone(), quiet()).is_ok() {
            return number;
        }
        assert!(!sim.is_on(), "recovery failed without a reason");
        judge(&mut open(sim.snapshot()));
    }
    unreachable!("recovery ends")
}
