//! What can be done with one partition, and with nothing else?
//!
//! A [`Partition`] is a handle that reaches the key of one partition: whoever has it reaches that partition's
//! documents and no others. Writes go to the log, sealed, and become visible once they are
//! durable; reads run against a [`view`](self) of memtables and segments.
//!
//! Invariants:
//! 1. What is visible is durable: a record is applied after its batch was synced, in the order of records.
//! 2. A write is checked against everything queued before it, so that acknowledged writes never conflict.
//! 3. Once fenced, nothing is written; once dropped, nothing is read, and key and texts are zeroized.
//! 4. What is held loses nothing, and what is in the trash serves nobody; see `amend`.
//! 5. Once damage was found in what is this partition's, and found again at a second look, nothing is read or
//!    written any more: it is quarantined, and can only be dropped.
//!
//! Concurrency: `writer` orders the writes and is not held while the log syncs; `shelf` is shared by readers
//! and taken alone for the instant in which records are applied. Locks are taken in that order.

mod ages;
mod amend;
mod by_both;
mod by_words;
mod carry;
mod dormant;
mod environment;
mod error;
mod fold;
mod lapse;
mod maintain;
mod memos;
mod moving;
mod once;
mod pour;
mod read;
mod rekey;
mod replace;
mod revise;
mod scored;
mod search;
mod sight;
mod standing;
mod submit;
mod together;
mod types;
mod view;
mod witness;
mod write;

pub use ages::{Ageing, Ages};
pub use carry::{TakenIn, Whole};
pub(crate) use dormant::{Dormant, identity_of};
pub(crate) use environment::Environment;
pub use error::{ReadError, WriteError};
pub(crate) use maintain::{Forgotten, Merged};
pub use once::Once;
pub use pour::{Pour, Poured};
pub use revise::Said;
pub use together::Sibling;
pub use types::{
    DocumentInfo, Fusion, Hit, NewDocument, NewPassage, Page, Passage, PassageInfo, Query, SearchRequest,
    SearchResponse, Trace, Unit,
};
pub use view::Counts;
pub use witness::{Opened, Witness};
pub(crate) use write::{open_record, record_place};

use crate::filter::{ActingAs, Eyes};
use crate::io::lock;
use crate::seal::{Cipher, Key, fingerprint};
use standing::Pending;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use strongroom_format::Damage;
use strongroom_format::record::{CollectionSpec, Identity};
use strongroom_format::terms::Terms;
use view::View;

/// A handle on one partition, for one caller. Cheap to clone.
#[derive(Clone)]
pub struct Partition {
    pub(crate) core: Arc<Core>,
    acting: ActingAs,
    /// Who is told what is opened.
    witness: Option<Arc<Witness>>,
    /// The request that its next write is, if that is to be done once.
    once: Option<Arc<Once>>,
}

impl Partition {
    pub(crate) fn new(core: Arc<Core>, acting: ActingAs, witness: Option<Arc<Witness>>) -> Self {
        core.tell(witness.as_deref());
        Self { core, acting, witness, once: None }
    }

    /// Runs against the view, and tells the witness of it.
    fn look<R>(&self, run: impl FnOnce(&View) -> R) -> Result<R, ReadError> {
        self.core.look_for(self.witness.as_deref(), run)
    }

    /// What this handle's caller sees, now.
    fn eyes(&self) -> Eyes<'_> {
        Eyes { acting: &self.acting, now_ms: self.core.sight_ms() }
    }

    /// Insists that the partition is there for its callers: one in the trash, or whose time is over, is not.
    fn is_served(&self) -> Result<(), ReadError> {
        if self.core.is_served() { Ok(()) } else { Err(ReadError::Dropped) }
    }
}

/// What all handles on a partition share, while it is in use.
pub(crate) struct Core {
    pub(crate) env: Arc<Environment>,
    pub(crate) workspace: [u8; 16],
    /// What its vectors are.
    pub(crate) spec: CollectionSpec,
    /// Who it is now. Taken for an instant, and after all other locks.
    who: RwLock<Arc<Who>>,
    shelf: RwLock<Shelf>,
    writer: Mutex<Writer>,
    /// Whether a record that tells who the partition is has become durable.
    born: AtomicBool,
    last_use: AtomicU64,
    damage: Mutex<Option<Damage>>,
}

/// Who a partition is, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) identity: Identity,
    /// The keyed hash of its name.
    pub(crate) name_tag: [u8; 16],
}

/// What the partition holds.
struct Shelf {
    /// `None` once it was dropped.
    key: Option<Key>,
    /// As the manifest has it, or will have it next.
    state: Dormant,
    /// Loaded when it is first needed.
    view: Option<View>,
    /// Everything up to this record is in the frozen memtable, or before it.
    frozen_through: u64,
    /// Documents that were purged since the partition was last rewritten, as far as they are known.
    purged: u64,
    /// The last record that told who it is, until the manifest does; else 0.
    amended: u64,
}

impl Shelf {
    /// Tells a witness which partition this is, and by which key it was opened.
    fn tell(&self, identity: &Identity, witness: &Witness, segments: u32) {
        let Some(key) = &self.key else { return };
        witness.saw(Opened {
            collection: identity.collection.clone(),
            partition: identity.partition.clone(),
            incarnation: self.state.incarnation,
            key_fingerprint: fingerprint(key),
            segments,
        });
    }
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
    /// A partition as it comes from the manifest, or a new one that has no record yet: its first write brings
    /// that one into being.
    pub(crate) fn new(
        env: &Arc<Environment>,
        workspace: [u8; 16],
        identity: Identity,
        name_tag: [u8; 16],
        key: Key,
        state: Dormant,
    ) -> Self {
        let writer = Writer { applied_through: state.flushed_through, ..Writer::default() };
        let lost = || Damage::new("PartitionEntry.is_damaged", "0", "1").at("manifest", 0);
        let damage = state.is_damaged.then(lost);
        Self {
            env: Arc::clone(env),
            workspace,
            spec: identity.spec,
            who: RwLock::new(Arc::new(Who { identity, name_tag })),
            born: AtomicBool::new(state.flushed_through > 0 || state.is_damaged),
            shelf: RwLock::new(Shelf {
                key: Some(key),
                state,
                view: None,
                frozen_through: 0,
                purged: 0,
                amended: 0,
            }),
            writer: Mutex::new(writer),
            last_use: AtomicU64::new(0),
            damage: Mutex::new(damage),
        }
    }

    fn shelf(&self) -> RwLockReadGuard<'_, Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelf_mut(&self) -> RwLockWriteGuard<'_, Shelf> {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who it is now.
    pub(crate) fn who(&self) -> Arc<Who> {
        Arc::clone(&self.who.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// On what terms it is kept now.
    pub(crate) fn terms(&self) -> Terms {
        self.who().identity.terms
    }

    /// Whether it was ever written to with success: only then is it there for others.
    pub(crate) fn is_born(&self) -> bool {
        self.born.load(Ordering::Acquire)
    }

    /// Which incarnation it is now, and where its key is.
    pub(crate) fn incarnation(&self) -> ([u8; 16], u32) {
        let shelf = self.shelf();
        (shelf.state.incarnation, shelf.state.key_slot)
    }

    /// Its key, of which incarnation that is, and where it is kept; `None` once it was dropped.
    pub(crate) fn kept_key(&self) -> Option<(Key, [u8; 16], u32)> {
        let shelf = self.shelf();
        shelf.key.clone().map(|key| (key, shelf.state.incarnation, shelf.state.key_slot))
    }

    /// Whether it has a live document of this id that is seen on this behalf.
    pub(crate) fn has(
        &self,
        id: &str,
        acting: &ActingAs,
        witness: Option<&Witness>,
    ) -> Result<bool, ReadError> {
        let eyes = Eyes { acting, now_ms: self.sight_ms() };
        self.attempt(|| self.look_for(witness, |view| view.live(id, eyes).is_some()))
    }

    /// Whether it was asked something under this key, and answered.
    pub(crate) fn remembers(&self, key: &[u8; 16], witness: Option<&Witness>) -> Result<bool, ReadError> {
        let now_ms = self.now_ms().max(1);
        self.attempt(|| self.look_for(witness, |view| view.memos().find(key, now_ms).is_some()))
    }

    /// Tells a witness that this partition's key was handed to a caller.
    fn tell(&self, witness: Option<&Witness>) {
        if let Some(witness) = witness {
            self.shelf().tell(&self.who().identity, witness, 0);
        }
    }

    /// Runs against the view, and tells the witness of it while that view stands.
    fn look_for<R>(&self, witness: Option<&Witness>, run: impl FnOnce(&View) -> R) -> Result<R, ReadError> {
        self.with_shelf(|shelf, view| {
            if let Some(witness) = witness {
                shelf.tell(&self.who().identity, witness, view.segment_count());
            }
            run(view)
        })
    }

    fn now_ms(&self) -> u64 {
        self.env.medium.clock.now_ms()
    }

    /// What time it is for documents that expire.
    fn sight_ms(&self) -> u64 {
        self.terms().clock_ms(self.now_ms())
    }

    /// How many documents it has.
    pub(crate) fn counts(&self) -> Counts {
        let shelf = self.shelf();
        shelf.view.as_ref().map_or(shelf.state.counts, View::counts)
    }

    /// Its bytes in segments and memtables.
    pub(crate) fn stored_bytes(&self) -> u64 {
        let shelf = self.shelf();
        shelf.state.stored_bytes() + shelf.view.as_ref().map_or(0, View::memtable_bytes)
    }

    /// Refuses everything but a drop from now on.
    pub(crate) fn quarantine(&self, damage: Damage) {
        lock(&self.damage).get_or_insert(damage);
    }

    /// Notes that something that was acknowledged is lost: also after a restart nothing is served.
    pub(crate) fn lose(&self, damage: Damage) {
        self.shelf_mut().state.is_damaged = true;
        self.quarantine(damage);
    }

    /// What was found to be damaged.
    pub(crate) fn damage(&self) -> Option<Damage> {
        lock(&self.damage).clone()
    }

    /// Runs a read. Damage is believed when it is found at each of several looks.
    fn attempt<R>(&self, read: impl Fn() -> Result<R, ReadError>) -> Result<R, ReadError> {
        if let Some(damage) = self.damage() {
            return Err(ReadError::Quarantined(damage));
        }
        look_again(read).map_err(|error| self.believe(error))
    }

    fn believe(&self, error: ReadError) -> ReadError {
        match error {
            ReadError::Damaged(damage) => {
                self.quarantine(damage.clone());
                ReadError::Quarantined(damage)
            }
            other => other,
        }
    }

    /// Runs against the view, which is loaded if need be.
    fn with_view<R>(&self, run: impl FnOnce(&View) -> R) -> Result<R, ReadError> {
        self.with_shelf(|_, view| run(view))
    }

    fn with_shelf<R>(&self, run: impl FnOnce(&Shelf, &View) -> R) -> Result<R, ReadError> {
        self.last_use.store(self.env.next_use(), Ordering::Relaxed);
        let shelf = self.shelf();
        if let Some(view) = &shelf.view {
            return Ok(run(&shelf, view));
        }
        drop(shelf);
        let LoadedShelf(shelf) = self.loaded()?;
        Ok(run(&shelf, shelf.view.as_ref().expect("loaded by Core::loaded")))
    }

    /// The shelf, alone, its view loaded.
    fn loaded(&self) -> Result<LoadedShelf<'_>, ReadError> {
        let mut shelf = self.shelf_mut();
        let Shelf { key, state, view, .. } = &mut *shelf;
        let Some(key) = key else { return Err(ReadError::Dropped) };
        if view.is_none() {
            *view = Some(View::open(&self.env, key, state.incarnation, state.spec, &state.segments)?);
        }
        Ok(LoadedShelf(shelf))
    }
}

/// Damage is believed when it is found so often in a row: a read may have been led elsewhere.
const LOOKS: usize = 4;

/// Tries again what came to damage, and answers the last outcome.
fn look_again<R, E: MayBeDamage>(mut read: impl FnMut() -> Result<R, E>) -> Result<R, E> {
    let mut outcome = read();
    for _ in 1..LOOKS {
        match &outcome {
            Err(error) if error.is_damage() => outcome = read(),
            _ => break,
        }
    }
    outcome
}

/// An error that may be of bytes that don't check.
trait MayBeDamage {
    /// Whether it is.
    fn is_damage(&self) -> bool;
}

impl MayBeDamage for ReadError {
    fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_))
    }
}

impl MayBeDamage for WriteError {
    fn is_damage(&self) -> bool {
        matches!(self, Self::Read(ReadError::Damaged(_)))
    }
}

/// Proof that the view is there.
struct LoadedShelf<'a>(RwLockWriteGuard<'a, Shelf>);

impl LoadedShelf<'_> {
    fn view(&mut self) -> &mut View {
        self.0.view.as_mut().expect("loaded by Core::loaded")
    }
}
