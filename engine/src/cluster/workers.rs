//! On which threads does work run that falls into parts?
//!
//! On those of a pool that the host hands in, or on the caller's own; which of them makes no difference to the results.

use rayon::ThreadPool;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::sync::Arc;

/// The threads that the host has for computing. By default there are none but the caller's.
#[derive(Debug, Clone, Default)]
pub struct Workers(Option<Arc<ThreadPool>>);

impl Workers {
    /// None but the caller's thread.
    pub const ALONE: Workers = Workers(None);

    /// Works on the threads of a pool.
    pub fn new(pool: Arc<ThreadPool>) -> Self {
        Self(Some(pool))
    }

    /// Does each part of a work and answers their results in the order of the parts.
    ///
    /// ```
    /// use strongroom_engine::cluster::Workers;
    /// assert_eq!(Workers::default().map(3, |part| part * 2), [0, 2, 4]);
    /// ```
    pub fn map<T: Send>(&self, parts: usize, work: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
        match &self.0 {
            Some(pool) => pool.install(|| (0..parts).into_par_iter().map(work).collect()),
            None => (0..parts).map(work).collect(),
        }
    }
}
