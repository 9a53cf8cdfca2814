//! How does one check, test, replay and measure this project?
//!
//! `cargo xtask …` is the only entry: people and CI run the same commands. Each command is a list of steps;
//! a step is one child process. The first step that fails ends the command with its name and exit code 1.
//!
//! The gate compiles everything in one profile, `gate`, and with the features of the whole workspace, so that no
//! crate is built twice in one run. What is measured, or run for hours, is compiled as users get it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for people: it talks to a terminal"
)]

mod bench;
mod proof;
mod python;
mod sim;
mod steps;

use std::path::PathBuf;
use std::process::ExitCode;

use steps::{Failed, Steps};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  check         formatting, clippy without warnings, and the rules of the house
  test          check, then every test of the workspace, the canary, and the Python client against the server
  sim SEED      replay one life of the simulated store and print it
  sim --hours N [--from SEED], or --seeds N
                live seeds on all cores, and enter what passed into docs/simulator-ledger.csv
  canary        leave one sync out of the engine, or share one statistic, and insist that each is found
  apart [SEED] [--count N]
                live N trials (500) of a partition with neighbours and without, from a seed on
  probes [SEED] [--count N]
                make N random requests (20,000) of a server, and insist that nobody gets what isn't theirs
  faults [CALL|all MODE]
                fail every call of a scripted store on the real disk one by one, or one of them (Linux)
  fuzz-smoke    the fuzzers' corpus and a bounded number of mutations, on stable Rust
  bench [NAME]  run one benchmark, or all of them (data sets: the folder STRONGROOM_BENCH_DATA)
  bench peers   search by vector beside its peers: takes hours, and goes on where it was left
  bench report  bring what `bench peers` measured into docs/benchmarks-nearest.md

The commands need Rust and a C compiler; `test` also needs python3 (3.9 or later) with venv.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut steps = Steps::new(root());
    let outcome = match words.as_slice() {
        ["check"] => check(&mut steps),
        ["test"] => test(&mut steps),
        ["sim", words @ ..] => match sim::run(&mut steps, words) {
            Some(outcome) => outcome,
            None => return misuse("sim needs the seed to replay, or how long to go on"),
        },
        ["canary"] => sim::canary(&mut steps),
        ["apart", words @ ..] => match proof::parse(words) {
            Some(wanted) => proof::apart(&mut steps, &wanted),
            None => return misuse("apart takes a seed and --count N"),
        },
        ["probes", words @ ..] => match proof::parse(words) {
            Some(wanted) => proof::probes(&mut steps, &wanted),
            None => return misuse("probes takes a seed and --count N"),
        },
        ["faults"] => faults(&mut steps, "all"),
        ["faults", call, mode] => faults(&mut steps, &format!("{call} {mode}")),
        ["fuzz-smoke"] => fuzz_smoke(&mut steps),
        ["bench"] => bench::run(&mut steps, None),
        ["bench", name] => bench::run(&mut steps, Some(name)),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        [] => return misuse("which command?"),
        _ => return misuse(&format!("unknown command: {}", words.join(" "))),
    };
    match outcome {
        Ok(()) => {
            println!("all {} steps passed in {}", steps.done(), steps.elapsed());
            ExitCode::SUCCESS
        }
        Err(failed) => {
            eprintln!("FAILED: {failed}");
            ExitCode::FAILURE
        }
    }
}

fn misuse(why: &str) -> ExitCode {
    eprintln!("{why}\n\n{USAGE}");
    ExitCode::from(2)
}

/// The repository: the folder above this package.
fn root() -> PathBuf {
    let mut package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package.pop();
    package
}

fn check(steps: &mut Steps) -> Result<(), Failed> {
    steps.cargo("formatting", &["fmt", "--all", "--check"])?;
    steps.cargo(
        "clippy",
        &["clippy", "--profile", "gate", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"],
    )?;
    steps.cargo(
        "rules of the house",
        &["test", "--profile", "gate", "--workspace", "--quiet", "--test", "house"],
    )
}

fn test(steps: &mut Steps) -> Result<(), Failed> {
    check(steps)?;
    // Beside a test, or cargo would leave the tests' dependencies out of account and compile the server once more without
    // the features that these ask for.
    steps.cargo(
        "build the server",
        &["build", "--profile", "gate", "--workspace", "--bin", "strongroom", "--test", "house"],
    )?;
    steps.pass_on("STRONGROOM_BIN", steps.binary("gate", "strongroom"));
    steps.cargo("tests of the workspace", &["test", "--profile", "gate", "--workspace", "--no-fail-fast"])?;
    sim::canary(steps)?;
    python::check_programs(steps, "benches/peers/nearest")?;
    python::run_client_suite(steps)
}

fn faults(steps: &mut Steps, wanted: &str) -> Result<(), Failed> {
    steps.pass_on("STRONGROOM_FAULTS", wanted);
    steps
        .cargo("struck calls", &["test", "--release", "--workspace", "--test", "faults", "--", "--nocapture"])
}

fn fuzz_smoke(steps: &mut Steps) -> Result<(), Failed> {
    steps.cargo("fuzz smoke", &["run", "--release", "--package", "strongroom-fuzz", "--bin", "smoke"])
}
