//! Which of these seeds live a life without a violation?
//!
//! The program behind `cargo xtask sim`. Seeds are lived on all cores, in order, until so many were lived, so
//! much time is up, or one was violated. The first line of standard output is `FROM SEEDS`, the range that was
//! lived without a violation; a violation prints its seed instead and ends the program with code 1.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people and for xtask")]

use std::io::Write;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use strongroom_tests::model::life::random_life;

const USAGE: &str =
    "usage: simulator replay SEED | simulator live FROM seeds N | simulator live FROM seconds N";

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
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(MISUSED)
        }
    }
}

/// What came of a range of seeds.
struct Lived {
    from: u64,
    /// One more than the last seed that was lived.
    end: u64,
    violated: Option<u64>,
}

fn report(lived: &Lived) -> ExitCode {
    match lived.violated {
        Some(seed) => {
            println!("seed {seed} is violated");
            ExitCode::from(VIOLATED)
        }
        None => {
            println!("{} {}", lived.from, lived.end - lived.from);
            ExitCode::SUCCESS
        }
    }
}

/// Lives seeds from `from` on. Workers take the next one each, so that what was lived has no gap.
fn live(from: u64, end: u64, time: Option<Duration>) -> Lived {
    let (next, begun) = (AtomicU64::new(from), Instant::now());
    let violated: Mutex<Option<u64>> = Mutex::new(None);
    let is_over = || {
        time.is_some_and(|time| begun.elapsed() >= time)
            || violated.lock().expect("no panic inside").is_some()
    };
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while !is_over() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    if std::panic::catch_unwind(|| random_life(seed, false)).is_err() {
                        let mut first = violated.lock().expect("no panic inside");
                        *first = Some(first.map_or(seed, |other| other.min(seed)));
                    }
                    if seed % 256 == 0 {
                        progress(seed - from, begun);
                    }
                }
            });
        }
    });
    let end = next.into_inner().min(end);
    progress(end - from, begun);
    eprintln!();
    Lived { from, end, violated: violated.into_inner().expect("no panic inside") }
}

/// Says on one line, again and again, how far it is.
fn progress(seeds: u64, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let rate = seeds as f64 / seconds.max(0.001);
    eprint!("\r{seeds} seeds in {seconds:.0} s, {rate:.0} a second ");
    if let Err(error) = std::io::stderr().flush() {
        eprintln!("{error}");
    }
}
