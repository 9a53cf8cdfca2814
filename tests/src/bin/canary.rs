//! Does the simulator find an engine that forgets one sync?
//!
//! The program behind `cargo xtask canary`, which plants that defect in itself. It ends with code 0 when a life was violated
//! within [`SEEDS`], and with code 1 when none was.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

use std::process::ExitCode;

use strongroom_engine::io::sim::defects::{Defect, plant};
use strongroom_tests::model::runner::live;

/// Seeds within which the defect must be found.
const SEEDS: u64 = 100;

fn main() -> ExitCode {
    plant(Defect::ForgottenSync);
    match live(0, SEEDS, None).violated {
        Some(seed) => {
            println!("the missing sync was found by seed {seed}");
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("a sync is missing, and {SEEDS} seeds did not find it");
            ExitCode::FAILURE
        }
    }
}
