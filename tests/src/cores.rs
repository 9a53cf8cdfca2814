//! How are many independent cases tried on all cores?

use std::sync::{Mutex, PoisonError};

/// Does the work for each case, in their order but several at a time. A panic in one of them ends them all.
pub fn on_all_cores<T: Send>(cases: impl Iterator<Item = T> + Send, work: impl Fn(T) + Sync) {
    let cases = Mutex::new(cases);
    let next = || cases.lock().unwrap_or_else(PoisonError::into_inner).next();
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(case) = next() {
                    work(case);
                }
            });
        }
    });
}
