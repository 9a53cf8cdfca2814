//! What is a store, and how does a caller get from a scope to a partition?
//!
//! The top of the engine: it opens the store (recovery), finds or makes partitions for scopes, drops them, and
//! offers the jobs that its host runs. Everything a caller can do starts here with a [`Scope`].
//!
//! Invariants:
//! 1. A partition is found by workspace, collection and name, compared byte for byte; names are kept in
//!    memory and under seal, never in a path.
//! 2. A partition is there for others once its first write is durable.
//! 3. Flush, compaction, purges and drops exclude each other; reads and writes go on beside them.
//!
//! Concurrency: all calls may come from many threads. Locks are taken in the order `maintenance`,
//! `workspaces`, a workspace's `changing`, its `entries`, a partition's own, `erased`.

mod attest;
mod bundle;
mod canary;
mod collections;
mod entries;
mod erase;
mod jobs;
mod lapse;
mod notes;
mod open;
mod publish;
mod receipts;
mod replay;
mod scope;
mod secrets;
mod terms;

pub use attest::{Statement, StatementError, Version, verify_statement};
pub use bundle::{BundleError, Export, Import, Imported};
pub use canary::Canary;
pub use collections::Holders;
pub use erase::Purged;
pub use jobs::{Maintained, Scrubbed};
pub use notes::Note;
pub use open::{OpenError, RootKey};
pub use receipts::Erased;
pub use scope::{NameError, OperatorScope, PartitionName, PartitionRef, Reach, Scope, WorkspaceId};
pub use terms::Amendment;

use crate::cluster::Workers;
use crate::io::{Fault, lock};
use crate::keyring::{Keyring, KeyringError};
use crate::partition::{Core, Counts, Dormant, Environment, Partition, ReadError, WriteError};
use crate::seal::{Key, Signer};
use crate::segment::SegmentFiles;
use crate::shred::Shredder;
use entries::{Entries, Entry as Found};
use publish::Maintenance;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use strongroom_format::Damage;
use strongroom_format::limits::DIMENSION_MAX;
use strongroom_format::record::{CollectionSpec, Identity, Metric};
use strongroom_format::terms::Terms;

/// How much the store may keep in memory, and for how long it keeps what.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Memtables are flushed once they take this much together, in bytes.
    pub flush_bytes: u64,
    /// They are flushed once the oldest of their records is this old, in milliseconds.
    pub flush_age_ms: u64,
    /// What is opened of sealed segments may take this, in bytes; half of it at most the indexes of open
    /// partitions: beyond that those that are idle are put to rest.
    pub cache_bytes: usize,
    /// Soft-deleted documents can be restored for this long, in milliseconds; some while after it they go for
    /// good.
    pub retention_ms: u64,
    /// A purge in a large partition is made final after this long at most, in milliseconds. (In a small one,
    /// at once.)
    pub purge_ms: u64,
    /// Compute what takes long when segments are written, while the job that writes them waits.
    pub workers: Workers,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            flush_bytes: 64 << 20,
            flush_age_ms: 10 * 60 * 1000,
            cache_bytes: 1 << 30,
            retention_ms: 30 * 24 * 60 * 60 * 1000,
            purge_ms: 30 * 60 * 1000,
            workers: Workers::default(),
        }
    }
}

/// A store that was opened and recovered.
pub struct Store {
    env: Arc<Environment>,
    root: Key,
    signer: Signer,
    options: StoreOptions,
    keyring: Keyring,
    files: SegmentFiles,
    workspaces: RwLock<HashMap<WorkspaceId, Arc<Workspace>>>,
    /// Held by flush, compaction, purges and drops.
    maintenance: Mutex<Maintenance>,
    /// Erasures that are done and whose receipts no call answered.
    erased: Mutex<Vec<Erased>>,
    /// How many uses of partitions there had been when idle ones were last closed.
    swept_at: AtomicU64,
    /// No document of a partition that rests expires before this time, in milliseconds since 1970.
    next_expiry_ms: AtomicU64,
    /// No partition's own time is over before this one.
    next_end_ms: AtomicU64,
    /// What was found to be damaged and could be mended, or hurt nobody.
    notes: Vec<Damage>,
}

/// A workspace's partitions.
struct Workspace {
    id: WorkspaceId,
    key_slot: u32,
    key: Key,
    entries: RwLock<Entries>,
    /// Held while a partition is made, woken or put to rest.
    changing: Mutex<()>,
}

/// One partition in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Its name; `None` for the default partition.
    pub name: Option<PartitionName>,
    /// Which incarnation of its name it is: what an audit log may say of it.
    pub incarnation: [u8; 16],
    /// How many documents it has; what is left of them to count, when it is quarantined.
    pub counts: Counts,
    /// Its bytes in segments and memtables.
    pub stored_bytes: u64,
    /// Whether damage hit it: nothing of it is served.
    pub is_quarantined: bool,
    /// On what terms it is kept.
    pub terms: Terms,
}

/// Sums over partitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many partitions.
    pub partitions: u64,
    /// Their documents.
    pub counts: Counts,
    /// Their bytes in segments and memtables.
    pub stored_bytes: u64,
}

/// Why the store refused a call.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The scope doesn't go that far.
    #[error("this scope does not reach that partition")]
    Forbidden,
    /// There is no such workspace, or it was dropped.
    #[error("no such workspace")]
    NoWorkspace,
    /// There is no such partition, and the scope makes none by writing: declare it.
    #[error("no such partition, and writing makes none here; declare it first")]
    Undeclared,
    /// The name is another partition's, perhaps of one in the trash: choose another.
    #[error("a partition of this name exists")]
    Taken,
    /// The partition is in the trash: bring it back, or shred it.
    #[error("the partition is in the trash; restore it, or have it shredded")]
    Trashed,
    /// The partition is not in the trash: there is nothing to bring back.
    #[error("the partition is not in the trash")]
    NotTrashed,
    /// There are documents in the partition, and it was to be dropped empty: pour them out first.
    #[error("there are documents in the partition")]
    Occupied,
    /// The partition was made for vectors of another length.
    #[error("the partition holds vectors of {expected} components, not {found}")]
    Dimension {
        /// The partition's.
        expected: u32,
        /// The one that was asked for.
        found: u32,
    },
    /// The partition was made for another metric.
    #[error("the partition compares vectors by the {expected} metric, not {found}")]
    Metric {
        /// The partition's.
        expected: Metric,
        /// The one that was asked for.
        found: Metric,
    },
    /// It is dropped, or purged, for good, and nothing serves it any more; but its erasing met a failure. It is
    /// tried again with each round of maintenance and at open; the receipt comes then.
    #[error("it is gone for good, but its erasing could not be finished yet and is tried again: {0}")]
    Unfinished(Fault),
    /// The write failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The read failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl StoreError {
    /// Whether bytes didn't check.
    fn is_damage(&self) -> bool {
        match self {
            Self::Write(error) => error.is_of_damage(),
            Self::Read(error) => matches!(error, ReadError::Damaged(_) | ReadError::Quarantined(_)),
            _ => false,
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        Self::Write(fault.into())
    }
}

impl From<KeyringError> for StoreError {
    fn from(error: KeyringError) -> Self {
        match error {
            KeyringError::Fault(fault) => fault.into(),
            KeyringError::Unsealable(error) => {
                Fault::from(Damage::new("KeySlot.sealed_key", "a key that opens", error)).into()
            }
        }
    }
}

impl Store {
    /// Makes a workspace; nothing happens when it is there.
    pub fn create_workspace(&self, _: &OperatorScope, id: WorkspaceId) -> Result<(), StoreError> {
        let mut workspaces = self.workspaces_mut();
        if let Entry::Vacant(place) = workspaces.entry(id) {
            let (key_slot, key) = self.keyring.workspace(&self.root, id.0)?;
            place.insert(Arc::new(Workspace::new(id, key_slot, key)));
        }
        Ok(())
    }

    /// A partition for reading; `None` when there is none of this name.
    pub fn partition(&self, scope: &Scope, at: &PartitionRef) -> Result<Option<Partition>, StoreError> {
        let workspace = self.reach(scope, at)?;
        let core = self.find(&workspace, at)?;
        let core = core.filter(|core| core.is_born() && core.is_served());
        Ok(core.map(|core| scope.handle(core)))
    }

    /// A partition for writing: its first write makes it, unless the scope says otherwise. One whose time is over is shredded
    /// first, if that hasn't been done yet.
    pub fn partition_for_write(
        &self,
        scope: &Scope,
        at: &PartitionRef,
        spec: CollectionSpec,
    ) -> Result<Partition, StoreError> {
        let workspace = self.reach(scope, at)?;
        let core = self.core_for_write(&workspace, at, spec, scope.makes_partitions())?;
        Ok(scope.handle(core))
    }

    /// The partition of this name, made if need be and `may_make` says so.
    fn core_for_write(
        &self,
        workspace: &Workspace,
        at: &PartitionRef,
        spec: CollectionSpec,
        may_make: bool,
    ) -> Result<Arc<Core>, StoreError> {
        if spec.dimension == 0 || spec.dimension as usize > DIMENSION_MAX {
            let (what, why) = ("the dimension of a collection", "is not between 1 and 8,192");
            return Err(WriteError::Invalid { what, why }.into());
        }
        let mut found = self.find(workspace, at)?;
        if found.as_ref().is_some_and(|core| core.terms().are_over(self.now_ms())) {
            self.end(&mut lock(&self.maintenance), workspace, at)?;
            found = self.find(workspace, at)?;
        }
        let core = match found {
            Some(core) if core.terms().trash.is_some() => return Err(StoreError::Trashed),
            // One that nobody wrote to with success may have been begun by somebody who may make it.
            Some(core) if may_make || core.is_born() => core,
            None if may_make => self.make_partition(workspace, at, spec)?,
            _ => return Err(StoreError::Undeclared),
        };
        let CollectionSpec { dimension, metric } = core.spec;
        if dimension != spec.dimension {
            return Err(StoreError::Dimension { expected: dimension, found: spec.dimension });
        }
        if metric != spec.metric {
            return Err(StoreError::Metric { expected: metric, found: spec.metric });
        }
        Ok(core)
    }

    fn now_ms(&self) -> u64 {
        self.env.medium.clock.now_ms()
    }

    /// The partition of this name, awake.
    fn find(&self, workspace: &Workspace, at: &PartitionRef) -> Result<Option<Arc<Core>>, StoreError> {
        let entries = workspace.entries();
        match entries.get(at) {
            Some(Found::Awake(core)) => return Ok(Some(Arc::clone(core))),
            Some(Found::Dormant(_)) => {}
            None => return workspace.insist_that_none_is_lost(&entries, at).map(|()| None),
        }
        drop(entries);
        let _changing = lock(&workspace.changing);
        let dormant = match workspace.entries().get(at) {
            Some(Found::Awake(core)) => return Ok(Some(Arc::clone(core))),
            Some(Found::Dormant(dormant)) => (**dormant).clone(),
            None => return Ok(None),
        };
        let core = Arc::new(self.wake(workspace, at, dormant)?);
        workspace.entries_mut().insert(at.clone(), Found::Awake(Arc::clone(&core)));
        Ok(Some(core))
    }

    fn wake(&self, workspace: &Workspace, at: &PartitionRef, dormant: Dormant) -> Result<Core, StoreError> {
        let find = || self.keyring.find(&workspace.key, dormant.key_slot, dormant.incarnation);
        let key = find().or_else(|_| find()).map_err(|error| match error {
            KeyringError::Fault(Fault::Storage(error)) => ReadError::Storage(error),
            KeyringError::Fault(Fault::Damaged(damage)) => ReadError::Quarantined(damage),
            KeyringError::Unsealable(error) => {
                ReadError::Quarantined(Damage::new("KeySlot.sealed_key", "a key that opens", error))
            }
        })?;
        let key = key.ok_or_else(|| {
            ReadError::Quarantined(Damage::new("KeySlot.state", "live", "another").at("keyring", 0))
        })?;
        let identity = Identity { terms: dormant.terms(), ..at.identity(dormant.spec) };
        let name_tag = workspace.name_tag(at);
        Ok(Core::new(&self.env, workspace.id.0, identity, name_tag, key, dormant))
    }

    fn make_partition(
        &self,
        workspace: &Workspace,
        at: &PartitionRef,
        spec: CollectionSpec,
    ) -> Result<Arc<Core>, StoreError> {
        let _changing = lock(&workspace.changing);
        if let Some(Found::Awake(core)) = workspace.entries().get(at) {
            return Ok(Arc::clone(core));
        }
        if !self.workspaces().contains_key(&workspace.id) {
            return Err(StoreError::NoWorkspace);
        }
        let minted = self.keyring.mint(workspace.id.0, &workspace.key)?;
        let state = Dormant::new(minted.incarnation, minted.slot, spec);
        let (identity, name_tag) = (at.identity(spec), workspace.name_tag(at));
        let core = Arc::new(Core::new(&self.env, workspace.id.0, identity, name_tag, minted.key, state));
        workspace.entries_mut().insert(at.clone(), Found::Awake(Arc::clone(&core)));
        Ok(core)
    }

    /// The partitions of a collection that the scope covers, by name, the default partition first. Those in the trash are left
    /// out.
    pub fn partitions(&self, scope: &Scope, collection: &str) -> Result<Vec<PartitionInfo>, StoreError> {
        let mut infos = self.all_partitions(scope, collection)?;
        infos.retain(|info| info.terms.trash.is_none());
        Ok(infos)
    }

    /// The same with those in the trash.
    pub fn all_partitions(&self, scope: &Scope, collection: &str) -> Result<Vec<PartitionInfo>, StoreError> {
        let workspace = self.workspace(scope.workspace())?;
        let (entries, now_ms) = (workspace.entries(), self.now_ms());
        let mut infos: Vec<PartitionInfo> = entries
            .of_collection(collection)
            .filter(|(name, _)| scope.covers_named(collection, name))
            .filter_map(|(name, entry)| entry.info(name, now_ms))
            .collect();
        infos.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(infos)
    }

    /// Sums over what the scope covers, what is in the trash included: it takes room until it is shredded.
    pub fn totals(&self, scope: &Scope) -> Result<Totals, StoreError> {
        let workspace = self.workspace(scope.workspace())?;
        // One partition is found by its name: the others, perhaps a million, needn't be looked through.
        if let Reach::Partition(at) = scope.reach() {
            let entries = workspace.entries();
            let own = entries.get(at).filter(|entry| entry.is_born());
            return Ok(own.map_or_else(Totals::default, Found::totals));
        }
        Ok(workspace.totals(|collection, name| scope.covers_named(collection, name)))
    }

    /// Sums over the whole store.
    pub fn node_totals(&self, _: &OperatorScope) -> Totals {
        let workspaces: Vec<_> = self.workspaces().values().cloned().collect();
        workspaces.iter().map(|workspace| workspace.totals(|_, _| true)).fold(Totals::default(), Totals::plus)
    }

    /// Whether the medium failed under a write: nothing more is acknowledged until the store is opened anew. Cheap.
    pub fn is_poisoned(&self) -> bool {
        self.env.log.is_poisoned()
    }

    /// What was found to be damaged when the store was opened, and what keeps partitions from being served.
    pub fn damages(&self, _: &OperatorScope) -> Vec<Damage> {
        let mut damages = self.notes.clone();
        for workspace in self.sorted_workspaces() {
            let entries = workspace.entries();
            damages.extend(entries.lost.values().map(|lost| lost.damage.clone()));
            damages.extend(entries.awake().filter_map(|core| core.damage()));
        }
        damages
    }

    fn reach(&self, scope: &Scope, at: &PartitionRef) -> Result<Arc<Workspace>, StoreError> {
        if !scope.covers(at) {
            return Err(StoreError::Forbidden);
        }
        self.workspace(scope.workspace())
    }

    fn workspace(&self, id: WorkspaceId) -> Result<Arc<Workspace>, StoreError> {
        self.workspaces().get(&id).cloned().ok_or(StoreError::NoWorkspace)
    }

    /// In the order of their ids: what a job does follows from what the store holds, so that a simulated life
    /// can be lived again.
    fn sorted_workspaces(&self) -> Vec<Arc<Workspace>> {
        let mut workspaces: Vec<Arc<Workspace>> = self.workspaces().values().cloned().collect();
        workspaces.sort_unstable_by_key(|workspace| workspace.id);
        workspaces
    }

    fn workspaces(&self) -> RwLockReadGuard<'_, HashMap<WorkspaceId, Arc<Workspace>>> {
        self.workspaces.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn workspaces_mut(&self) -> RwLockWriteGuard<'_, HashMap<WorkspaceId, Arc<Workspace>>> {
        self.workspaces.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn shredder(&self) -> Shredder<'_> {
        Shredder { env: &self.env, keyring: &self.keyring, files: &self.files, signer: &self.signer }
    }
}

impl Workspace {
    fn new(id: WorkspaceId, key_slot: u32, key: Key) -> Self {
        Self { id, key_slot, key, entries: RwLock::default(), changing: Mutex::default() }
    }

    fn entries(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries_mut(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn name_tag(&self, at: &PartitionRef) -> [u8; 16] {
        self.key.name_tag(&at.collection, at.partition.as_ref().map(PartitionName::as_str))
    }

    /// A partition whose name damage took is not one that isn't there.
    fn insist_that_none_is_lost(&self, entries: &Entries, at: &PartitionRef) -> Result<(), StoreError> {
        if entries.lost.is_empty() {
            return Ok(());
        }
        match entries.lost.get(&self.name_tag(at)) {
            Some(lost) => Err(ReadError::Quarantined(lost.damage.clone()).into()),
            None => Ok(()),
        }
    }

    fn totals(&self, covers: impl Fn(&str, &Option<PartitionName>) -> bool) -> Totals {
        let entries = self.entries();
        let covered = entries.iter().filter(|(collection, name, entry)| {
            *collection != canary::COLLECTION && covers(collection, name) && entry.is_born()
        });
        covered.fold(Totals::default(), |sum, (_, _, entry)| sum.plus(entry.totals()))
    }
}

impl PartitionRef {
    fn identity(&self, spec: CollectionSpec) -> Identity {
        Identity {
            collection: self.collection.clone(),
            partition: self.partition.as_ref().map(|name| name.as_str().to_owned()),
            spec,
            terms: Terms::default(),
        }
    }
}

impl Totals {
    fn plus(self, other: Self) -> Self {
        Self {
            partitions: self.partitions + other.partitions,
            counts: self.counts.plus(other.counts),
            stored_bytes: self.stored_bytes + other.stored_bytes,
        }
    }
}
