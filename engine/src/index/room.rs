//! Where does a search write down what it learns of rows?
//!
//! In room that the search before it on the same thread had: what the allocator gives of this size is slow to get, and far
//! from the processor. What is written there is gone before it is handed on.

use super::{Survivor, best};
use std::cell::Cell;
use strongroom_kernel::{Bounds, Reached};

/// A thread keeps no room for more survivors than these.
const SURVIVORS_MAX: usize = 4096;

thread_local! {
    static KEPT: Cell<Option<Lists>> = const { Cell::new(None) };
}

/// What is written.
#[derive(Debug, Default)]
struct Lists {
    bounds: Vec<Bounds>,
    reach: Vec<u32>,
    reached: Reached,
    promising: Vec<u32>,
    scored: best::Lists,
    survivors: Vec<Survivor>,
}

/// Room for a search, which goes back to its thread.
#[derive(Debug)]
pub(super) struct Room {
    /// Of rows that are looked at together.
    pub(super) bounds: Vec<Bounds>,
    /// Which of them may be among the best.
    pub(super) reach: Vec<u32>,
    /// The same with what they may score, where rows tell that.
    pub(super) reached: Reached,
    /// Which of them may be the best of all.
    pub(super) promising: Vec<u32>,
    /// What is scored together.
    pub(super) scored: best::Lists,
    /// Of all that were looked at so far those that may.
    pub(super) survivors: Vec<Survivor>,
}

impl Room {
    /// Empty room.
    pub(super) fn new() -> Self {
        let Lists { bounds, reach, reached, promising, scored, survivors } = KEPT.take().unwrap_or_default();
        Self { bounds, reach, reached, promising, scored, survivors }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut lists = Lists {
            bounds: std::mem::take(&mut self.bounds),
            reach: std::mem::take(&mut self.reach),
            reached: std::mem::take(&mut self.reached),
            promising: std::mem::take(&mut self.promising),
            scored: std::mem::take(&mut self.scored),
            survivors: std::mem::take(&mut self.survivors),
        };
        if lists.survivors.capacity() > SURVIVORS_MAX {
            lists.survivors = Vec::new();
            lists.scored = best::Lists::default();
        }
        lists.bounds.clear();
        lists.reach.clear();
        lists.reached.clear();
        lists.promising.clear();
        lists.scored.clear();
        lists.survivors.clear();
        KEPT.set(Some(lists));
    }
}
