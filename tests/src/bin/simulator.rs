//! Which of these seeds live a life without a violation?
//!
//! The program behind `cargo xtask sim`. Seeds are lived on all cores, in order, until so many were lived, so
//! much time is up, or one was violated. The first line of standard output is `FROM SEEDS`, the range that was
//! lived without a violation; a violation prints its seed instead and ends the program with code 1.
//!
//! It lives the trials of `cargo xtask apart` too, two lives each that have to be answered the same.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people and for xtask")]

use std::process::ExitCode;
use std::time::Duration;

use strongroom_tests::apart::try_many;
use strongroom_tests::model::life::random_life;
use strongroom_tests::model::runner::{Lived, live};

const USAGE: &str = "usage: simulator replay SEED | simulator live FROM seeds N | simulator live FROM seconds N | simulator apart FROM N";

/// A life went wrong.
const VIOLATED: u8 = 1;

/// Arguments that say nothing.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |word: &str| word.parse::<u64>().ok();
    match words.as_slice() {
        ["replay", seed] if let Some(seed) = number(seed) => {
            let world = random_life(seed, true);
            println!("seed {seed}: {} operations, {} crashes", world.operations(), world.crashes());
            ExitCode::SUCCESS
        }
        ["live", from, "seeds", count] if let (Some(from), Some(count)) = (number(from), number(count)) => {
            report(&live(from, from.saturating_add(count), None))
        }
        ["live", from, "seconds", count] if let (Some(from), Some(count)) = (number(from), number(count)) => {
            report(&live(from, u64::MAX, Some(Duration::from_secs(count))))
        }
        ["apart", from, count] if let (Some(from), Some(count)) = (number(from), number(count)) => {
            let tried = try_many(from, count);
            if let Some(difference) = tried.difference {
                println!("{difference}");
                return ExitCode::from(VIOLATED);
            }
            println!("{} trials from seed {from} on in {:.0?}: no difference", tried.trials, tried.took);
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(MISUSED)
        }
    }
}

fn report(lived: &Lived) -> ExitCode {
    match lived.violated {
        Some(seed) => {
            println!("seed {seed} is violated, replay it with `cargo xtask sim {seed}`");
            ExitCode::from(VIOLATED)
        }
        None => {
            println!("{} {}", lived.from, lived.end - lived.from);
            ExitCode::SUCCESS
        }
    }
}
