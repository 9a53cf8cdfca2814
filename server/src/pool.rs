//! How does work that blocks leave the reactor?
//!
//! All calls of the engine, of SQLite and of the embedding model go through here onto threads of their own. So many
//! run at once, so many wait, and what comes beyond is refused at once: an overloaded server that answers 503 recovers,
//! one that queues without bound does not.
//!
//! Invariants:
//! 1. At most `running_max` calls run and at most `waiting_max` wait.
//! 2. A call that was begun runs to its end, even when its client has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use crate::message::error::ApiError;

/// Threads for what blocks.
#[derive(Clone)]
pub(crate) struct Pool {
    running: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
}

/// One place in the queue, given back when it goes.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(crate) fn new(running_max: usize, waiting_max: usize) -> Self {
        Self { running: Arc::new(Semaphore::new(running_max)), waiting: Arc::default(), waiting_max }
    }

    /// Runs a call that may fail on a thread of its own.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, ApiError> + Send + 'static,
    {
        let waiting = Waiting(self.waiting.clone());
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
            return Err(ApiError::busy("overloaded", "the server is overloaded; try again in a moment", 1));
        }
        let permit = self.running.clone().acquire_owned().await;
        drop(waiting);
        let done = tokio::task::spawn_blocking(move || {
            let outcome = work();
            drop(permit);
            outcome
        });
        done.await
            .unwrap_or_else(|_| Err(ApiError::internal("blocking work panicked; the line before says where")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Lost otherwise: under overload every request would wait forever instead of some being told to come back.
    #[tokio::test]
    async fn what_is_beyond_the_bounds_is_refused() {
        let pool = Pool::new(1, 2);
        let (release, held) = mpsc::channel::<()>();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let first = tokio::spawn({
            let pool = pool.clone();
            let work = move || {
                begin.send(()).ok();
                held.recv().map_err(|_| ApiError::internal("gone"))
            };
            async move { pool.run(work).await }
        });
        begun.await.unwrap();
        let others: Vec<_> = (0..3)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move { pool.run(|| Ok(())).await })
            })
            .collect();
        let one_is_refused = async {
            while !others.iter().any(tokio::task::JoinHandle::is_finished) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), one_is_refused).await.unwrap();
        release.send(()).unwrap();
        let mut refused = 0;
        for other in others {
            if let Err(error) = other.await.unwrap() {
                assert_eq!((error.status.as_u16(), error.retry_after_seconds), (503, Some(1)));
                refused += 1;
            }
        }
        assert_eq!(refused, 1);
        first.await.unwrap().unwrap();
        pool.run(|| Ok(())).await.unwrap();
    }

    /// Lost otherwise: a panic in the engine would leave its client without an answer and a place taken forever.
    #[tokio::test]
    async fn a_panic_gives_its_place_back() {
        let pool = Pool::new(1, 1);
        for _ in 0..3 {
            let error = pool.run(|| -> Result<(), ApiError> { panic!("bug") }).await.unwrap_err();
            assert_eq!(error.status.as_u16(), 500);
        }
        pool.run(|| Ok(())).await.unwrap();
    }
}
