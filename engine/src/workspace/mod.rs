//! What is a store, and how does a caller get from a scope to a partition?
//!
//! The top of the engine: it opens the store (recovery), finds or makes partitions for scopes, drops them, and
//! offers the jobs that its host runs. Everything a caller can do starts here with a [`Scope`].
//!
//! Invariants:
//! 1. A partition is found by workspace, collection and name, compared byte for byte; names are kept in
//!    memory and under seal, never in a path.
//! 2. A partition is there for others once its first write is durable.
//! 3. Flush, compaction and drops exclude each other; reads and writes go on beside them.
//!
//! Concurrency: all calls may come from many threads. Locks are taken in the order `maintenance`,
//! `workspaces`, a workspace's `creating`, its `partitions`, a partition's own.

mod jobs;
mod open;
mod scope;

pub use jobs::Maintained;
pub use open::{OpenError, RootKey};
pub use scope::{NameError, OperatorScope, PartitionName, PartitionRef, Reach, Scope, WorkspaceId};

use crate::io::{Fault, lock};
use crate::keyring::{Keyring, KeyringError};
use crate::manifest::ManifestStore;
use crate::partition::{Core, Counts, Environment, Partition, ReadError, WriteError};
use crate::seal::Key;
use crate::segment::SegmentFiles;
use crate::shred::Shredder;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use strongroom_format::manifest::Manifest;
use strongroom_format::record::Identity;

/// What all partitions of a collection share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectionSpec {
    /// Components of each vector, 1 to 8,192.
    pub dimension: u32,
}

/// How much the store may keep in memory.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Memtables are flushed once they take this much together, in bytes.
    pub flush_bytes: u64,
    /// Opened partitions that are idle are closed beyond this, in bytes.
    pub open_bytes: u64,
    /// Opened blocks of documents are kept up to this, in bytes.
    pub cache_bytes: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { flush_bytes: 64 << 20, open_bytes: 1 << 30, cache_bytes: 256 << 20 }
    }
}

/// A store that was opened and recovered.
pub struct Store {
    env: Arc<Environment>,
    root: Key,
    options: StoreOptions,
    keyring: Keyring,
    files: SegmentFiles,
    manifests: ManifestStore,
    workspaces: RwLock<HashMap<WorkspaceId, Arc<Workspace>>>,
    /// Held by flush, compaction and drops. The manifest that holds.
    maintenance: Mutex<Manifest>,
    /// How many uses of partitions there had been when idle ones were last closed.
    swept_at: AtomicU64,
}

/// A workspace's partitions.
struct Workspace {
    key: Key,
    partitions: RwLock<HashMap<PartitionRef, Arc<Core>>>,
    creating: Mutex<()>,
}

/// One partition in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Its name; `None` for the default partition.
    pub name: Option<PartitionName>,
    /// How many documents it has.
    pub counts: Counts,
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
    /// The partition was made for vectors of another length.
    #[error("the partition holds vectors of {expected} components, not {found}")]
    Dimension {
        /// The partition's.
        expected: u32,
        /// The one that was asked for.
        found: u32,
    },
    /// The write failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The read failed.
    #[error(transparent)]
    Read(#[from] ReadError),
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
                Fault::from(strongroom_format::Damage::new("KeySlot.sealed_key", "a key that opens", error))
                    .into()
            }
        }
    }
}

impl Store {
    /// Makes a workspace; nothing happens when it is there.
    pub fn create_workspace(&self, _: &OperatorScope, id: WorkspaceId) -> Result<(), StoreError> {
        let mut workspaces = self.workspaces_mut();
        if let Entry::Vacant(place) = workspaces.entry(id) {
            let key = self.keyring.workspace(&self.root, id.0)?;
            place.insert(Arc::new(Workspace::new(key)));
        }
        Ok(())
    }

    /// Drops a workspace and shreds all that is in it; nothing happens when it isn't there.
    pub fn drop_workspace(&self, _: &OperatorScope, id: WorkspaceId) -> Result<Counts, StoreError> {
        let _maintenance = lock(&self.maintenance);
        let Some(workspace) = self.workspaces_mut().remove(&id) else { return Ok(Counts::default()) };
        let creating = lock(&workspace.creating);
        let mut cores: Vec<Arc<Core>> = workspace.partitions().values().cloned().collect();
        cores.sort_unstable_by_key(|core| core.incarnation);
        let incarnations = self.keyring.partitions_of(&id.0);
        let dropped = self.shredder().drop_workspace(&self.root, id.0, &cores, incarnations);
        drop(creating);
        if let Err(WriteError::Full | WriteError::Poisoned) = dropped {
            // The drop didn't become durable: the workspace stays.
            self.workspaces_mut().insert(id, workspace);
        }
        Ok(dropped?)
    }

    /// A partition for reading; `None` when there is none of this name.
    pub fn partition(&self, scope: &Scope, at: &PartitionRef) -> Result<Option<Partition>, StoreError> {
        let workspace = self.reach(scope, at)?;
        let core = workspace.partitions().get(at).cloned();
        Ok(core.filter(|core| core.is_born()).map(|core| Partition { core }))
    }

    /// A partition for writing: its first write makes it.
    pub fn partition_for_write(
        &self,
        scope: &Scope,
        at: &PartitionRef,
        spec: CollectionSpec,
    ) -> Result<Partition, StoreError> {
        let workspace = self.reach(scope, at)?;
        let found = workspace.partitions().get(at).cloned();
        let core = match found {
            Some(core) => core,
            None => self.make_partition(scope.workspace(), &workspace, at, spec)?,
        };
        let expected = core.identity.dimension;
        if expected != spec.dimension {
            return Err(StoreError::Dimension { expected, found: spec.dimension });
        }
        Ok(Partition { core })
    }

    fn make_partition(
        &self,
        id: WorkspaceId,
        workspace: &Workspace,
        at: &PartitionRef,
        spec: CollectionSpec,
    ) -> Result<Arc<Core>, StoreError> {
        let _creating = lock(&workspace.creating);
        if let Some(core) = workspace.partitions().get(at) {
            return Ok(Arc::clone(core));
        }
        if !self.workspaces().contains_key(&id) {
            return Err(StoreError::NoWorkspace);
        }
        let (incarnation, key) = self.keyring.mint(id.0, &workspace.key)?;
        let identity = Identity {
            collection: at.collection.clone(),
            partition: at.partition.as_ref().map(|name| name.as_str().to_owned()),
            dimension: spec.dimension,
        };
        let core = Arc::new(Core::new(&self.env, id.0, incarnation, key, identity));
        workspace.partitions_mut().insert(at.clone(), Arc::clone(&core));
        Ok(core)
    }

    /// The partitions of a collection that the scope covers, by name, the default partition first.
    pub fn partitions(&self, scope: &Scope, collection: &str) -> Result<Vec<PartitionInfo>, StoreError> {
        let workspace = self.workspace(scope.workspace())?;
        let partitions = workspace.partitions();
        let mut infos: Vec<PartitionInfo> = partitions
            .iter()
            .filter(|(at, core)| at.collection == collection && scope.covers(at) && core.is_born())
            .map(|(at, core)| PartitionInfo { name: at.partition.clone(), counts: core.counts() })
            .collect();
        infos.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(infos)
    }

    /// Drops a partition and shreds it; `None` when there is none of this name. What was in it is gone when
    /// this returns, live and soft-deleted documents alike.
    pub fn drop_partition(&self, scope: &Scope, at: &PartitionRef) -> Result<Option<Counts>, StoreError> {
        let workspace = self.reach(scope, at)?;
        let _maintenance = lock(&self.maintenance);
        let Some(core) = workspace.partitions().get(at).cloned().filter(|core| core.is_born()) else {
            return Ok(None);
        };
        let dropped = self.shredder().drop_partition(&workspace.key, &core);
        if !matches!(dropped, Err(WriteError::Full | WriteError::Poisoned)) {
            workspace.partitions_mut().remove(at);
        }
        Ok(Some(dropped?))
    }

    /// Sums over what the scope covers.
    pub fn totals(&self, scope: &Scope) -> Result<Totals, StoreError> {
        let workspace = self.workspace(scope.workspace())?;
        Ok(workspace.totals(|at| scope.covers(at)))
    }

    /// Sums over the whole store.
    pub fn node_totals(&self, _: &OperatorScope) -> Totals {
        let workspaces: Vec<_> = self.workspaces().values().cloned().collect();
        workspaces.iter().map(|workspace| workspace.totals(|_| true)).fold(Totals::default(), Totals::plus)
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

    fn workspaces(&self) -> RwLockReadGuard<'_, HashMap<WorkspaceId, Arc<Workspace>>> {
        self.workspaces.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn workspaces_mut(&self) -> RwLockWriteGuard<'_, HashMap<WorkspaceId, Arc<Workspace>>> {
        self.workspaces.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn shredder(&self) -> Shredder<'_> {
        Shredder { env: &self.env, keyring: &self.keyring, files: &self.files }
    }
}

impl Workspace {
    fn new(key: Key) -> Self {
        Self { key, partitions: RwLock::default(), creating: Mutex::default() }
    }

    fn partitions(&self) -> RwLockReadGuard<'_, HashMap<PartitionRef, Arc<Core>>> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn partitions_mut(&self) -> RwLockWriteGuard<'_, HashMap<PartitionRef, Arc<Core>>> {
        self.partitions.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn totals(&self, covers: impl Fn(&PartitionRef) -> bool) -> Totals {
        let partitions = self.partitions();
        let covered = partitions.iter().filter(|(at, core)| covers(at) && core.is_born());
        covered.fold(Totals::default(), |sum, (_, core)| {
            sum.plus(Totals { partitions: 1, counts: core.counts(), stored_bytes: core.stored_bytes() })
        })
    }
}

impl Totals {
    fn plus(self, other: Self) -> Self {
        Self {
            partitions: self.partitions + other.partitions,
            counts: Counts {
                documents: self.counts.documents + other.counts.documents,
                deleted: self.counts.deleted + other.counts.deleted,
                passages: self.counts.passages + other.counts.passages,
            },
            stored_bytes: self.stored_bytes + other.stored_bytes,
        }
    }
}
