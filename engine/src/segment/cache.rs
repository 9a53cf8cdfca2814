//! What may stay open in memory, and what makes room?
//!
//! One cache for the node, with one budget in bytes for all that is opened of sealed segments: blocks of infos
//! and contents, groups of rows and of codes, and the indexes of segments that are open, which can't be dropped one by one
//! and so are only counted ([`Charge`]). When it is full, what was not asked for since the hand last passed
//! makes room (second chance). What is kept belongs to a partition's incarnation, and goes with it.
//!
//! Groups of rows lie in large pages, see [`slab`](crate::io::slab), unless the budget is so small that what is spare in these would
//! matter. A share of the budget is theirs for that; when more is spare, because what was dropped lay here and there, groups move
//! together.
//!
//! Invariants:
//! 1. What is kept, what is charged and what is spare in large pages together stay within the budget, as long as the charges alone
//!    do. (What is spare beside groups that were dropped, but are still being read, is counted when they are let go.)
//! 2. What is given out stays with whoever has it; it is zeroized when the last one drops it.
//! 3. The run of a section has only groups that are kept: it goes when one of them does, or moves.

use super::codes::Index;
use super::held::Held;
use super::runs::Run;
use crate::io::lock;
use crate::io::slab::{Plain, Slab};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};
use std::mem;
use std::sync::{Arc, Mutex};
use strongroom_format::words::Fence;
use zeroize::Zeroize;

/// Caches of a smaller budget have no large pages.
const LARGE_PAGES_MIN_BYTES: usize = 128 << 20;
/// Of the budget, one in so many is for what is spare in large pages.
const SPARE_SHARE: usize = 16;

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
pub(super) type Group<T> = Arc<Held<T>>;

impl Opened {
    fn bytes(&self) -> usize {
        match self {
            Self::Block(block) => block.bytes(),
            Self::Rows(rows) => rows.bytes(),
            Self::Index(index) => index.bytes(),
            Self::Fences(fences) => fences.bytes(),
        }
    }

    /// The number of the region that it lies in.
    fn region(&self) -> Option<u32> {
        match self {
            Self::Block(block) => block.region(),
            Self::Rows(rows) => rows.region(),
            Self::Index(_) | Self::Fences(_) => None,
        }
    }

    /// The same elsewhere, if there is a place for it.
    fn moved(&self, slab: &Arc<Slab>) -> Option<Self> {
        match self {
            Self::Block(block) => block.moved(slab).map(|block| Self::Block(Arc::new(block))),
            Self::Rows(rows) => rows.moved(slab).map(|rows| Self::Rows(Arc::new(rows))),
            Self::Index(_) | Self::Fences(_) => None,
        }
    }
}

/// The groups of a section, of vectors or of codes.
#[derive(Debug, Clone)]
pub(super) enum AnyRun {
    /// Of vectors.
    Rows(Arc<Run<f32>>),
    /// Of codes.
    Codes(Arc<Run<u8>>),
}

impl AnyRun {
    /// Of so many groups like this one.
    fn like(opened: &Opened, groups: u32) -> Option<Self> {
        match opened {
            Opened::Rows(_) => Some(Self::Rows(Arc::new(Run::new(groups)))),
            Opened::Block(_) => Some(Self::Codes(Arc::new(Run::new(groups)))),
            Opened::Index(_) | Opened::Fences(_) => None,
        }
    }

    fn fill(&self, number: u32, opened: &Opened) -> bool {
        match (self, opened) {
            (Self::Rows(run), Opened::Rows(group)) => run.fill(number, group),
            (Self::Codes(run), Opened::Block(group)) => run.fill(number, group),
            _ => false,
        }
    }

    fn take_recent(&self, number: u32) -> bool {
        match self {
            Self::Rows(run) => run.take_recent(number),
            Self::Codes(run) => run.take_recent(number),
        }
    }

    fn filled(&self) -> Vec<u32> {
        match self {
            Self::Rows(run) => run.filled(),
            Self::Codes(run) => run.filled(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Rows(run) => run.bytes(),
            Self::Codes(run) => run.bytes(),
        }
    }
}

/// Where the groups of a section lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    /// Where the first one does.
    pub(super) first: Origin,
    /// How far each one's origin is from the one before.
    pub(super) group_bytes: u64,
    /// How many groups there are.
    pub(super) groups: u32,
}

impl Section {
    /// Where a group lies.
    pub(super) fn origin(&self, number: u32) -> Origin {
        Origin { position: self.first.position + u64::from(number) * self.group_bytes, ..self.first }
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
    /// For what is kept and what is charged.
    budget_bytes: usize,
    /// For what is spare in large pages.
    spare_bytes_max: usize,
    slab: Option<Arc<Slab>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: FxHashMap<Origin, Kept>,
    /// By where their first groups lie.
    runs: FxHashMap<Origin, (AnyRun, Section)>,
    hand: VecDeque<Origin>,
    /// Of what is kept, and of runs.
    bytes: usize,
    /// Of what is open beside it.
    charged_bytes: usize,
}

/// Something that was opened.
#[derive(Debug)]
struct Kept {
    opened: Opened,
    /// Whether it was asked for since the hand last passed.
    recent: bool,
    /// The run that it is in, and which of its groups it is.
    run: Option<(Origin, u32)>,
}

impl BlockCache {
    /// An empty cache of this budget.
    pub fn new(budget_bytes: usize) -> Self {
        if budget_bytes < LARGE_PAGES_MIN_BYTES {
            return Self { budget_bytes, spare_bytes_max: 0, slab: None, state: Mutex::default() };
        }
        let spare_bytes_max = budget_bytes / SPARE_SHARE;
        let slab = Some(Arc::default());
        Self { budget_bytes: budget_bytes - spare_bytes_max, spare_bytes_max, slab, state: Mutex::default() }
    }

    /// A place for so many elements, all zero.
    pub(super) fn place<T: Plain>(&self, len: usize) -> Held<T> {
        Held::zero(self.slab.as_ref(), len)
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

    /// The run of the section whose first group lies there.
    pub(super) fn run(&self, first: Origin) -> Option<AnyRun> {
        lock(&self.state).runs.get(&first).map(|(run, _)| run.clone())
    }

    /// Puts groups of a section into its run, as far as they are kept.
    pub(super) fn join<'o>(&self, section: Section, groups: impl IntoIterator<Item = (u32, &'o Opened)>) {
        let mut state = lock(&self.state);
        for (number, opened) in groups {
            state.join(section, number, opened);
        }
        state.make_room(self.budget_bytes);
    }

    /// Keeps what was opened, and drops other things for it.
    pub(super) fn put(&self, origin: Origin, opened: Opened) {
        let mut state = lock(&self.state);
        state.bytes += opened.bytes();
        match state.kept.insert(origin, Kept { opened, recent: false, run: None }) {
            None => state.hand.push_back(origin),
            // Two may have opened the same, and one of them found no room in large pages.
            Some(other) => {
                state.bytes -= other.opened.bytes();
                other.run.into_iter().for_each(|(first, _)| state.drop_run(first));
            }
        }
        state.make_room(self.budget_bytes);
        self.move_together(&mut state);
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
        state.kept.retain(|origin, Kept { opened, .. }| {
            let keep = origin.incarnation != *incarnation;
            freed += if keep { 0 } else { opened.bytes() };
            keep
        });
        state.runs.retain(|origin, (run, _)| {
            let keep = origin.incarnation != *incarnation;
            freed += if keep { 0 } else { run.bytes() };
            keep
        });
        state.hand.retain(|origin| origin.incarnation != *incarnation);
        state.bytes -= freed;
        self.move_together(&mut state);
    }

    /// Empties large pages that hold little, when too much is spare in all of them.
    fn move_together(&self, state: &mut State) {
        let Some(slab) = &self.slab else { return };
        while slab.spare_bytes() > self.spare_bytes_max {
            let closed = slab.close_sparse();
            if closed.is_empty() {
                break;
            }
            let moves =
                |opened: &Opened| opened.region().is_some_and(|region| closed.binary_search(&region).is_ok());
            let runs = state.kept.values().filter(|kept| moves(&kept.opened)).filter_map(|kept| kept.run);
            let runs: Vec<Origin> = runs.map(|(first, _)| first).collect();
            runs.into_iter().for_each(|first| state.drop_run(first));
            let State { kept, hand, bytes, .. } = &mut *state;
            kept.retain(|_, Kept { opened, .. }| {
                if !moves(opened) {
                    return true;
                }
                let moved = opened.moved(slab);
                let stays = moved.is_some();
                match moved {
                    Some(moved) => *opened = moved,
                    None => *bytes -= opened.bytes(),
                }
                stays
            });
            hand.retain(|origin| kept.contains_key(origin));
        }
    }
}

impl State {
    fn get(&mut self, origin: Origin) -> Option<Opened> {
        let kept = self.kept.get_mut(&origin)?;
        kept.recent = true;
        Some(kept.opened.clone())
    }

    fn join(&mut self, section: Section, number: u32, opened: &Opened) {
        let Some(kept) = self.kept.get_mut(&section.origin(number)).filter(|kept| kept.run.is_none()) else {
            return;
        };
        let (run, _) = match self.runs.entry(section.first) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let Some(run) = AnyRun::like(opened, section.groups) else { return };
                self.bytes += run.bytes();
                place.insert((run, section))
            }
        };
        // What is kept counts, and another may have opened the same.
        if run.fill(number, &kept.opened) {
            kept.run = Some((section.first, number));
        }
    }

    /// Forgets a run, and what it knows of its groups goes to these.
    fn drop_run(&mut self, first: Origin) {
        let Some((run, section)) = self.runs.remove(&first) else { return };
        self.bytes -= run.bytes();
        for number in run.filled() {
            if let Some(kept) = self.kept.get_mut(&section.origin(number)) {
                kept.recent |= run.take_recent(number);
                kept.run = None;
            }
        }
    }

    /// Whether something was asked for since the hand last passed, which it does now.
    fn take_recent(&mut self, origin: Origin) -> Option<bool> {
        let kept = self.kept.get_mut(&origin)?;
        let run = kept.run.and_then(|(first, number)| Some((self.runs.get(&first)?, number)));
        let in_run = run.is_some_and(|((run, _), number)| run.take_recent(number));
        Some(mem::take(&mut kept.recent) | in_run)
    }

    fn make_room(&mut self, budget_bytes: usize) {
        while self.bytes + self.charged_bytes > budget_bytes {
            let Some(oldest) = self.hand.pop_front() else { break };
            match self.take_recent(oldest) {
                Some(true) => self.hand.push_back(oldest),
                Some(false) => {
                    let Some(Kept { opened, run, .. }) = self.kept.remove(&oldest) else { continue };
                    self.bytes -= opened.bytes();
                    run.into_iter().for_each(|(first, _)| self.drop_run(first));
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
mod tests;
