//! How are the lives of many seeds lived?
//!
//! On all cores, in the order of their seeds, until there are so many, the time is up, or one is violated.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::life::random_life;

/// What came of a range of seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lived {
    /// The first seed.
    pub from: u64,
    /// One more than the last seed that was lived.
    pub end: u64,
    /// The lowest seed that was violated, if one was.
    pub violated: Option<u64>,
}

/// Lives seeds from `from` on. Workers take the next one each, so that what was lived has no gap.
pub fn live(from: u64, end: u64, time: Option<Duration>) -> Lived {
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
                        progress(seed - from, begun, false);
                    }
                }
            });
        }
    });
    let end = next.into_inner().min(end);
    progress(end - from, begun, true);
    Lived { from, end, violated: violated.into_inner().expect("no panic inside") }
}

/// Says on one line, again and again, how far it is.
#[expect(clippy::print_stderr, reason = "for people")]
fn progress(seeds: u64, begun: Instant, is_last: bool) {
    let seconds = begun.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let rate = seeds as f64 / seconds.max(0.001);
    let end = if is_last { "\n" } else { "" };
    eprint!("\r{seeds} seeds in {seconds:.0} s, {rate:.0} a second {end}");
}
