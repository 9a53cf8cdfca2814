//! What may stay open in memory, and what makes room?
//!
//! One cache for the node, with one budget in bytes for all that is opened of sealed segments: blocks of infos
//! and contents, groups of rows and of codes, and the indexes of segments that are open, which can't be dropped one by one
//! and so are only counted ([`Charge`]). When it is full, what was not asked for since the hand last passed
//! makes room (second chance). What is kept belongs to a partition's incarnation, and goes with it.
//!
//! Invariants:
//! 1. What is kept and what is charged together stay within the budget, as long as the charges alone do.
//! 2. What is given out stays with whoever has it; it is zeroized when the last one drops it.

use super::codes::Index;
use crate::io::lock;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};
use strongroom_format::words::Fence;
use zeroize::{Zeroize, Zeroizing};

/// What was opened.
#[derive(Debug, Clone)]
pub(super) enum Opened {
    /// The plaintext of a block, decompressed.
    Block(Block),
    /// Vectors that follow each other.
    Rows(Group<f32>),
    /// What a segment's codes were made with.
    Index(Arc<Index>),
    /// Where in its dictionary words are.
    Fences(Arc<Fences>),
}

/// What a dictionary's fences say.
#[derive(Debug)]
pub(super) struct Fences(pub(super) Vec<Fence>);

impl Fences {
    fn bytes(&self) -> usize {
        self.0.iter().map(|fence| size_of::<Fence>() + fence.word.len()).sum()
    }
}

impl Drop for Fences {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|fence| fence.word.zeroize());
    }
}

/// The plaintext of a block, decompressed, or codes that follow each other.
pub(super) type Block = Group<u8>;

/// What lies together.
pub(super) type Group<T> = Arc<Zeroizing<Vec<T>>>;

impl Opened {
    fn bytes(&self) -> usize {
        match self {
            Self::Block(block) => block.len(),
            Self::Rows(rows) => rows.len() * size_of::<f32>(),
            Self::Index(index) => index.bytes(),
            Self::Fences(fences) => fences.bytes(),
        }
    }
}

/// Whose it is and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    /// The partition's incarnation.
    pub(super) incarnation: [u8; 16],
    /// The file.
    pub(super) file_id: [u8; 16],
    /// A position in the file that nothing else is known by.
    pub(super) position: u64,
}

/// Files have random ids of ours, so their bytes and a position tell origins apart, and nobody chooses either.
impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.file_id;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
        state.write_u64(self.position);
    }
}

/// What is open of sealed segments.
#[derive(Debug)]
pub struct BlockCache {
    budget_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: FxHashMap<Origin, (Opened, bool)>,
    hand: VecDeque<Origin>,
    /// Of what is kept.
    bytes: usize,
    /// Of what is open beside it.
    charged_bytes: usize,
}

impl BlockCache {
    /// An empty cache of this budget.
    pub fn new(budget_bytes: usize) -> Self {
        Self { budget_bytes, state: Mutex::default() }
    }

    /// What is there of these, in their order.
    pub(super) fn get(&self, origins: impl IntoIterator<Item = Origin>) -> Vec<Option<Opened>> {
        let mut state = lock(&self.state);
        origins.into_iter().map(|origin| state.get(origin)).collect()
    }

    /// The same of one.
    pub(super) fn get_one(&self, origin: Origin) -> Option<Opened> {
        lock(&self.state).get(origin)
    }

    /// Keeps what was opened, and drops other things for it.
    pub(super) fn put(&self, origin: Origin, opened: Opened) {
        let mut state = lock(&self.state);
        let bytes = opened.bytes();
        if state.kept.insert(origin, (opened, false)).is_none() {
            state.bytes += bytes;
            state.hand.push_back(origin);
        }
        state.make_room(self.budget_bytes);
    }

    /// Counts what is open beside what is kept here, until the answer is dropped.
    pub(super) fn charge(self: &Arc<Self>, bytes: usize) -> Charge {
        let mut state = lock(&self.state);
        state.charged_bytes += bytes;
        state.make_room(self.budget_bytes);
        Charge { cache: Arc::clone(self), bytes }
    }

    /// Drops all that is kept of an incarnation.
    pub fn forget(&self, incarnation: &[u8; 16]) {
        let mut state = lock(&self.state);
        let mut freed = 0;
        state.kept.retain(|origin, (opened, _)| {
            let keep = origin.incarnation != *incarnation;
            freed += if keep { 0 } else { opened.bytes() };
            keep
        });
        state.hand.retain(|origin| origin.incarnation != *incarnation);
        state.bytes -= freed;
    }
}

impl State {
    fn get(&mut self, origin: Origin) -> Option<Opened> {
        let (opened, recent) = self.kept.get_mut(&origin)?;
        *recent = true;
        Some(opened.clone())
    }

    fn make_room(&mut self, budget_bytes: usize) {
        while self.bytes + self.charged_bytes > budget_bytes {
            let Some(oldest) = self.hand.pop_front() else { break };
            match self.kept.get_mut(&oldest) {
                Some((_, recent @ true)) => {
                    *recent = false;
                    self.hand.push_back(oldest);
                }
                Some((opened, _)) => {
                    self.bytes -= opened.bytes();
                    self.kept.remove(&oldest);
                }
                None => {}
            }
        }
    }
}

/// Memory that counts against a cache's budget for as long as this lives.
#[derive(Debug)]
pub(super) struct Charge {
    cache: Arc<BlockCache>,
    bytes: usize,
}

impl Charge {
    /// How much that is.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        lock(&self.cache.state).charged_bytes -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(bytes: usize) -> Opened {
        Opened::Block(Arc::new(Zeroizing::new(vec![0; bytes])))
    }

    fn at(incarnation: u8, position: u64) -> Origin {
        Origin { incarnation: [incarnation; 16], file_id: [0; 16], position }
    }

    fn has(cache: &BlockCache, origin: Origin) -> bool {
        cache.get([origin])[0].is_some()
    }

    /// Without the budget, a node that serves many partitions would run out of memory.
    #[test]
    fn the_budget_holds_and_what_is_asked_for_stays() {
        let cache = BlockCache::new(100);
        for position in 0..10 {
            cache.put(at(0, position), block(30));
            assert!(has(&cache, at(0, 0)), "asked for each time, so kept");
        }
        assert!(lock(&cache.state).bytes <= 100);
        assert!(!has(&cache, at(0, 5)));
    }

    /// Without this, open partitions and open blocks would take the budget each for itself.
    #[test]
    fn what_is_open_beside_it_takes_its_place() {
        let cache = Arc::new(BlockCache::new(100));
        cache.put(at(0, 0), Opened::Rows(Arc::new(Zeroizing::new(vec![0.0; 15]))));
        cache.put(at(0, 1), block(30));
        let charge = cache.charge(50);
        assert!(!has(&cache, at(0, 0)), "60 bytes make room");
        assert!(has(&cache, at(0, 1)));
        let more = cache.charge(80);
        assert!(!has(&cache, at(0, 1)));
        cache.put(at(0, 2), block(1));
        assert!(!has(&cache, at(0, 2)), "nothing is left for it");
        drop((charge, more));
        cache.put(at(0, 2), block(100));
        assert!(has(&cache, at(0, 2)), "and all is given back");
    }

    /// Without this, a shredded partition's texts would stay in memory.
    #[test]
    fn forgetting_a_partition_leaves_the_others() {
        let cache = BlockCache::new(1000);
        cache.put(at(1, 0), block(10));
        cache.put(at(2, 0), block(10));
        cache.forget(&[1; 16]);
        assert!(!has(&cache, at(1, 0)));
        assert!(has(&cache, at(2, 0)));
        assert_eq!(lock(&cache.state).bytes, 10);
    }
}
