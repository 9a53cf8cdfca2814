//! Which opened blocks are worth keeping?
//!
//! One cache for the node, with a budget in bytes; when it is full the blocks that were not asked for since
//! the hand last passed make room (second chance). A block belongs to a partition's incarnation, and goes
//! with it.

use crate::io::lock;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

/// The plaintext of a block.
pub(super) type Block = Arc<Zeroizing<Vec<u8>>>;

/// Which block: the partition's incarnation, the file's id, the offset in the file.
pub(super) type BlockKey = ([u8; 16], [u8; 16], u64);

/// Opened blocks.
#[derive(Debug)]
pub struct BlockCache {
    budget_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    blocks: HashMap<BlockKey, (Block, bool)>,
    hand: VecDeque<BlockKey>,
    bytes: usize,
}

impl BlockCache {
    /// An empty cache of this budget.
    pub fn new(budget_bytes: usize) -> Self {
        Self { budget_bytes, state: Mutex::default() }
    }

    /// A block that is there.
    pub(super) fn get(&self, key: &BlockKey) -> Option<Block> {
        let mut state = lock(&self.state);
        let (block, recent) = state.blocks.get_mut(key)?;
        *recent = true;
        Some(Arc::clone(block))
    }

    /// Keeps a block, and drops others for it.
    pub(super) fn put(&self, key: BlockKey, block: &Block) {
        let mut state = lock(&self.state);
        if state.blocks.insert(key, (Arc::clone(block), false)).is_none() {
            state.bytes += block.len();
            state.hand.push_back(key);
        }
        while state.bytes > self.budget_bytes {
            let Some(oldest) = state.hand.pop_front() else { break };
            match state.blocks.get_mut(&oldest) {
                Some((_, recent @ true)) => {
                    *recent = false;
                    state.hand.push_back(oldest);
                }
                Some((block, _)) => {
                    let bytes = block.len();
                    state.blocks.remove(&oldest);
                    state.bytes -= bytes;
                }
                None => {}
            }
        }
    }

    /// Drops all blocks of an incarnation.
    pub fn forget(&self, incarnation: &[u8; 16]) {
        let mut state = lock(&self.state);
        let mut freed = 0;
        state.blocks.retain(|key, (block, _)| {
            let keep = key.0 != *incarnation;
            freed += if keep { 0 } else { block.len() };
            keep
        });
        state.hand.retain(|key| key.0 != *incarnation);
        state.bytes -= freed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(bytes: usize) -> Block {
        Arc::new(Zeroizing::new(vec![0; bytes]))
    }

    /// Without the budget, a node that serves many partitions would run out of memory.
    #[test]
    fn the_budget_holds_and_what_is_asked_for_stays() {
        let cache = BlockCache::new(100);
        for offset in 0..10 {
            cache.put(([0; 16], [0; 16], offset), &block(30));
            assert!(cache.get(&([0; 16], [0; 16], 0)).is_some(), "asked for each time, so kept");
        }
        assert!(lock(&cache.state).bytes <= 100);
        assert!(cache.get(&([0; 16], [0; 16], 5)).is_none());
    }

    /// Without this, a shredded partition's texts would stay in memory.
    #[test]
    fn forgetting_a_partition_leaves_the_others() {
        let cache = BlockCache::new(1000);
        cache.put(([1; 16], [0; 16], 0), &block(10));
        cache.put(([2; 16], [0; 16], 0), &block(10));
        cache.forget(&[1; 16]);
        assert!(cache.get(&([1; 16], [0; 16], 0)).is_none());
        assert!(cache.get(&([2; 16], [0; 16], 0)).is_some());
        assert_eq!(lock(&cache.state).bytes, 10);
    }
}
