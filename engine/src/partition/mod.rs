//! What can be done with one partition, and with nothing else?
//!
//! A [`Partition`] is a handle that holds the key of one incarnation: whoever has it reaches that
//! partition's documents and no others. Writes go to the log, sealed, and become visible once they are
//! durable; reads run against a [`view`](self) of memtables and segments.
//!
//! Invariants:
//! 1. What is visible is durable: a record is applied after its batch was synced, in the order of records.
//! 2. A write is checked against everything queued before it, so that acknowledged writes never conflict.
//! 3. Once fenced, nothing is written; once dropped, nothing is read, and key and texts are zeroized.
//!
//! Concurrency: `writer` orders the writes and is not held while the log syncs; `shelf` is shared by readers
//! and taken alone for the instant in which records are applied. Locks are taken in that order.

mod environment;
mod error;
mod maintain;
mod read;
mod types;
mod view;
mod write;

pub(crate) use environment::Environment;
pub use error::{ReadError, WriteError};
pub(crate) use maintain::Merged;
pub use types::{
    DocumentInfo, Hit, NewDocument, NewPassage, Page, Passage, SearchRequest, SearchResponse, Trace,
};
pub use view::Counts;
pub(crate) use write::{open_record, record_place};

use crate::io::Fault;
use crate::seal::{Cipher, Key, Place, Purpose};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use strongroom_format::manifest::PartitionState;
use strongroom_format::record::Identity;
use view::View;
use write::Pending;

/// A handle on one partition. Cheap to clone.
#[derive(Clone)]
pub struct Partition {
    pub(crate) core: Arc<Core>,
}

/// What all handles on a partition share.
pub(crate) struct Core {
    pub(crate) env: Arc<Environment>,
    pub(crate) incarnation: [u8; 16],
    pub(crate) workspace: [u8; 16],
    pub(crate) identity: Identity,
    shelf: RwLock<Shelf>,
    writer: Mutex<Writer>,
    /// Whether a record that tells who the partition is has become durable.
    born: AtomicBool,
    last_use: AtomicU64,
}

/// What the partition holds.
struct Shelf {
    /// `None` once it was dropped.
    key: Option<Key>,
    /// As the manifest has it, or will have it next.
    state: PartitionState,
    /// Loaded when it is first needed.
    view: Option<View>,
    /// Everything up to this record is in the frozen memtable, or before it.
    frozen_through: u64,
}

/// The order of writes.
#[derive(Default)]
struct Writer {
    pending: VecDeque<Pending>,
    fenced: bool,
    /// The highest record that was applied.
    applied_through: u64,
    cipher: Option<([u8; 16], Cipher)>,
}

impl Core {
    /// A partition that has no record yet. Its first write brings it into being.
    pub(crate) fn new(
        env: &Arc<Environment>,
        workspace: [u8; 16],
        incarnation: [u8; 16],
        key: Key,
        identity: Identity,
    ) -> Self {
        let mut identity_salt = [0; 16];
        env.medium.entropy.fill(&mut identity_salt);
        let sealed_identity = key.cipher(&identity_salt, Purpose::Identity).seal(
            0,
            identity_place(incarnation),
            &identity.encode(),
        );
        let state = PartitionState {
            incarnation,
            workspace,
            identity_salt,
            sealed_identity,
            dimension: identity.dimension,
            flushed_through: 0,
            documents: 0,
            deleted: 0,
            passages: 0,
            segments: Vec::new(),
        };
        Self::with_state(env, key, identity, state, false)
    }

    /// A partition that the manifest names.
    pub(crate) fn from_manifest(
        env: &Arc<Environment>,
        key: Key,
        state: PartitionState,
    ) -> Result<Self, Fault> {
        let cipher = key.cipher(&state.identity_salt, Purpose::Identity);
        let identity =
            cipher.open(0, identity_place(state.incarnation), &state.sealed_identity).map_err(|_| {
                strongroom_format::Damage::new("PartitionEntry identity", "sealed under its key", "not")
            })?;
        let identity = Identity::decode(&identity)?;
        Ok(Self::with_state(env, key, identity, state, true))
    }

    fn with_state(
        env: &Arc<Environment>,
        key: Key,
        identity: Identity,
        state: PartitionState,
        born: bool,
    ) -> Self {
        let writer = Writer { applied_through: state.flushed_through, ..Writer::default() };
        Self {
            env: Arc::clone(env),
            incarnation: state.incarnation,
            workspace: state.workspace,
            identity,
            shelf: RwLock::new(Shelf { key: Some(key), state, view: None, frozen_through: 0 }),
            writer: Mutex::new(writer),
            born: AtomicBool::new(born),
            last_use: AtomicU64::new(0),
        }
    }

    /// Whether it was ever written to with success: only then is it there for others.
    pub(crate) fn is_born(&self) -> bool {
        self.born.load(Ordering::Acquire)
    }

    /// How many documents it has.
    pub(crate) fn counts(&self) -> Counts {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        match &shelf.view {
            Some(view) => view.counts(),
            None => Counts {
                documents: shelf.state.documents,
                deleted: shelf.state.deleted,
                passages: shelf.state.passages,
            },
        }
    }

    /// Its bytes in segments and memtables.
    pub(crate) fn stored_bytes(&self) -> u64 {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        let segments = shelf.state.segments.iter().map(|segment| segment.bytes).sum::<u64>();
        segments + shelf.view.as_ref().map_or(0, View::memtable_bytes)
    }

    /// Runs against the view, which is loaded if need be.
    fn with_view<R>(&self, run: impl FnOnce(&View) -> R) -> Result<R, ReadError> {
        self.last_use.store(self.env.next_use(), Ordering::Relaxed);
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = &shelf.view {
            return Ok(run(view));
        }
        drop(shelf);
        let mut shelf = self.loaded()?;
        Ok(run(shelf.view()))
    }

    /// Fails unless all its segments are there and check.
    pub(crate) fn insist_on_segments(&self) -> Result<(), ReadError> {
        self.loaded().map(drop)
    }

    /// The shelf, alone, its view loaded.
    fn loaded(&self) -> Result<LoadedShelf<'_>, ReadError> {
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        let Shelf { key, state, view, .. } = &mut *shelf;
        let Some(key) = key else { return Err(ReadError::Dropped) };
        if view.is_none() {
            *view = Some(View::open(&self.env, key, state)?);
        }
        Ok(LoadedShelf(shelf))
    }
}

/// Proof that the view is there.
struct LoadedShelf<'a>(RwLockWriteGuard<'a, Shelf>);

impl LoadedShelf<'_> {
    fn view(&mut self) -> &mut View {
        self.0.view.as_mut().expect("loaded by Core::loaded")
    }
}

fn identity_place(incarnation: [u8; 16]) -> Place {
    Place { incarnation, file_id: [0; 16], position: 0, kind: 0 }
}
