//! What did the engine open for a caller?
//!
//! A scope may carry a [`Witness`]. Each handle that is made from it tells the witness which partition's key it holds, and each
//! read which segments it looked into: the incarnation and the key's fingerprint are read off the open partition at that moment,
//! under the lock that the read itself holds. Nothing of what the request named, or of what was found, comes in.
//!
//! Concurrency: one lock, taken for as long as an entry is added, while the shelf of a partition may be held.

use crate::io::lock;
use std::sync::Mutex;

/// A partition that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its collection.
    pub collection: String,
    /// Its name, as it was unsealed; `None` for the default partition.
    pub partition: Option<String>,
    /// Which of the partitions of that name, one after the other.
    pub incarnation: [u8; 16],
    /// Of the key that opened it: the one that an erasure's receipt will name.
    pub key_fingerprint: [u8; 16],
    /// Segments that were looked into; 0 when the key alone was used, or all was still in memory.
    pub segments: u32,
}

/// Takes down what is opened on behalf of one request.
#[derive(Debug, Default)]
pub struct Witness(Mutex<Vec<Opened>>);

impl Witness {
    /// Everything that was opened so far, in the order in which that happened first.
    pub fn opened(&self) -> Vec<Opened> {
        lock(&self.0).clone()
    }

    pub(super) fn saw(&self, opened: Opened) {
        let mut known = lock(&self.0);
        match known.iter_mut().find(|one| one.incarnation == opened.incarnation) {
            Some(one) => one.segments = one.segments.max(opened.segments),
            None => known.push(opened),
        }
    }
}
