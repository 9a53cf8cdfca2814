//! Do those who look for defects find them?
//!
//! The program behind `cargo xtask canary`, which plants two defects in itself, one after the other: one forgets a sync, which the
//! simulator has to find; one lets a statistic of one partition show in the next one's scores, which the trials of
//! [`strongroom_tests::apart`] have to find. It ends with code 0 when each was found, and with code 1 when one was not.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

use std::process::ExitCode;

use strongroom_engine::io::sim::defects::{Defect, plant};
use strongroom_tests::apart::try_many;
use strongroom_tests::model::runner::live;

/// Seeds within which the missing sync must be found.
const SEEDS: u64 = 100;

/// Trials within which the shared statistic must be found.
const TRIALS: u64 = 50;

fn main() -> ExitCode {
    plant(Defect::ForgottenSync);
    let Some(seed) = live(0, SEEDS, None).violated else {
        eprintln!("a sync is missing, and {SEEDS} seeds did not find it");
        return ExitCode::FAILURE;
    };
    println!("the missing sync was found by seed {seed}");
    plant(Defect::SharedStatistics);
    let tried = try_many(0, TRIALS);
    let Some(difference) = tried.difference else {
        eprintln!("a statistic is shared, and {TRIALS} trials did not find it");
        return ExitCode::FAILURE;
    };
    let trial = difference.split(',').next().unwrap_or_default();
    println!("the shared statistic was found by {trial}");
    ExitCode::SUCCESS
}
