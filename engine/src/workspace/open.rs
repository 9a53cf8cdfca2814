//! How does a store come back after it was stopped, or crashed?
//!
//! Take the folder → read the keyring → open the workspaces' keys → read the manifest → find drops in the log
//! and finish them → replay the records that no segment holds → begin the log's next run.

use super::scope::{PartitionName, PartitionRef, WorkspaceId};
use super::{Store, StoreOptions, Workspace};
use crate::io::{Fault, LogFile, Medium, StorageError, StorageErrorKind};
use crate::keyring::{Keyring, KeyringError};
use crate::log::{Log, Recovery};
use crate::manifest::{Latest, ManifestStore};
use crate::partition::{Core, Environment, ReadError, open_record};
use crate::seal::{Key, Unsealable};
use crate::segment::{BlockCache, SegmentFiles};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};
use strongroom_format::Damage;
use strongroom_format::keyring::SlotState;
use strongroom_format::log::FoundRecord;
use strongroom_format::manifest::{Manifest, PartitionState};
use strongroom_format::record::{Identity, RecordKind};

/// Why a store can't be opened.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Stop the other process, or choose another folder.
    #[error("another process holds this store")]
    Locked,
    /// Bring the root key that the store was made with.
    #[error("this root key does not open this store; bring the key that it was made with")]
    WrongKey,
    /// The store's bytes are damaged: restore a backup.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The medium failed.
    #[error(transparent)]
    Storage(StorageError),
}

impl From<StorageError> for OpenError {
    fn from(error: StorageError) -> Self {
        if error.kind == StorageErrorKind::Locked { Self::Locked } else { Self::Storage(error) }
    }
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Storage(error) => error.into(),
            Fault::Damaged(damage) => Self::Damaged(damage),
        }
    }
}

impl From<KeyringError> for OpenError {
    fn from(error: KeyringError) -> Self {
        match error {
            KeyringError::Unsealable(Unsealable) => Self::WrongKey,
            KeyringError::Fault(fault) => fault.into(),
        }
    }
}

/// The root key of all others: 256 bits.
pub struct RootKey(pub [u8; 32]);

impl Store {
    /// Opens the store on this medium, making it when there is none, and recovers what was acknowledged.
    pub fn open(medium: Medium, root: RootKey, options: StoreOptions) -> Result<Self, OpenError> {
        let root = Key::from_bytes(root.0);
        medium.log.fence()?;
        let keyring = Keyring::open(Arc::clone(&medium.slots), Arc::clone(&medium.entropy))?;
        let mut workspaces = HashMap::new();
        for id in keyring.workspaces() {
            if let Some(key) = keyring.find(&root, id)? {
                workspaces.insert(id, key);
            }
        }
        let manifests = ManifestStore::new(Arc::clone(&medium.blobs), Arc::clone(&medium.entropy));
        let Latest { manifest, doubt } = manifests.latest()?;
        let files = SegmentFiles::new(Arc::clone(&medium.blobs));
        let floor = LogFile { run: manifest.log_floor.0, number: manifest.log_floor.1 };
        let store = Arc::clone(&medium.log);
        let recovery = Recovery::find(&*store, floor)?;

        let recovered = finish_drops(&recovery, &keyring, &root, &workspaces)?;
        workspaces.retain(|id, _| keyring.state(id) == SlotState::Live);
        finish_erasures(&keyring, &files, &manifest.partitions)?;
        let run = recovered.last_run.max(manifest.run) + 1;
        let next_record = recovered.next_record.max(manifest.next_record).max(1);
        let (log_store, entropy) = (Arc::clone(&medium.log), Arc::clone(&medium.entropy));
        let log = Log::begin(log_store, entropy, run, recovered.previous, next_record)?;
        let env = Arc::new(Environment {
            medium,
            log,
            cache: Arc::new(BlockCache::new(options.cache_bytes)),
            uses: AtomicU64::new(1),
            unflushed_bytes: AtomicU64::new(0),
        });
        let cores = Replay { env: &env, keyring: &keyring, keys: &workspaces, cores: HashMap::new() }
            .run(&manifest.partitions, &recovery)?;
        keyring.set_spares(|incarnation| cores.contains_key(incarnation));
        for core in cores.values() {
            for place in core.segment_places() {
                files.hold(&place);
            }
        }
        match doubt {
            // What a newer version names may be among the files that this one doesn't: nothing is deleted.
            Some(damage) => insist_on_segments(cores.values(), damage)?,
            None => files.collect()?,
        }
        let workspaces = shelve(workspaces, cores)?;
        Ok(Self {
            env,
            root,
            options,
            keyring,
            files,
            manifests,
            workspaces: RwLock::new(workspaces),
            maintenance: Mutex::new(Manifest { run, partitions: Vec::new(), ..manifest }),
            swept_at: AtomicU64::new(0),
        })
    }
}

/// After a newer manifest didn't check: it was never relied on only if everything that this one names is there.
fn insist_on_segments<'a>(
    cores: impl Iterator<Item = &'a Arc<Core>>,
    damage: Damage,
) -> Result<(), OpenError> {
    for core in cores {
        match core.insist_on_segments() {
            Ok(()) => {}
            Err(ReadError::Storage(error)) if error.kind != StorageErrorKind::NotFound => {
                return Err(error.into());
            }
            Err(_) => return Err(damage.into()),
        }
    }
    Ok(())
}

/// Reads the log once for its drops, and destroys the keys that a crash left behind.
fn finish_drops(
    recovery: &Recovery<'_>,
    keyring: &Keyring,
    root: &Key,
    workspaces: &HashMap<[u8; 16], Key>,
) -> Result<crate::log::Recovered, OpenError> {
    let mut dropped = BTreeSet::new();
    let recovered = recovery.visit(|file_id, found| {
        let above = match found.kind {
            RecordKind::DropPartition => {
                keyring.workspace_of(&found.incarnation).and_then(|workspace| workspaces.get(&workspace))
            }
            RecordKind::DropWorkspace => Some(root),
            _ => return Ok(()),
        };
        // A drop whose key above is gone went with the workspace.
        if let Some(above) = above {
            open(above, file_id, found)?;
            dropped.insert(found.incarnation);
            if found.kind == RecordKind::DropWorkspace {
                dropped.extend(keyring.partitions_of(&found.incarnation));
            }
        }
        Ok(())
    })?;
    // A workspace's own key goes last, so that a crash here finds the workspace again.
    let (last, first): (Vec<_>, Vec<_>) =
        dropped.into_iter().partition(|incarnation| keyring.workspace_of(incarnation) == Some(*incarnation));
    keyring.destroy(&first)?;
    keyring.destroy(&last)?;
    Ok(recovered)
}

/// Overwrites the segments of keys that are gone.
fn finish_erasures(
    keyring: &Keyring,
    files: &SegmentFiles,
    partitions: &[PartitionState],
) -> Result<(), OpenError> {
    let shredding: BTreeSet<[u8; 16]> = keyring.shredding().into_iter().collect();
    for partition in partitions.iter().filter(|partition| shredding.contains(&partition.incarnation)) {
        for place in &partition.segments {
            files.erase(place)?;
        }
    }
    keyring.erased(&shredding.into_iter().collect::<Vec<_>>())?;
    Ok(())
}

/// Brings partitions back from manifest and log.
struct Replay<'a> {
    env: &'a Arc<Environment>,
    keyring: &'a Keyring,
    keys: &'a HashMap<[u8; 16], Key>,
    cores: HashMap<[u8; 16], Arc<Core>>,
}

impl Replay<'_> {
    fn run(
        mut self,
        partitions: &[PartitionState],
        recovery: &Recovery<'_>,
    ) -> Result<HashMap<[u8; 16], Arc<Core>>, OpenError> {
        for state in partitions {
            if let Some(key) = self.key(state.incarnation)? {
                let core = Core::from_manifest(self.env, key, state.clone())?;
                self.cores.insert(state.incarnation, Arc::new(core));
            }
        }
        recovery.visit(|file_id, found| self.record(file_id, found))?;
        Ok(self.cores)
    }

    /// A partition's key, unless it was destroyed.
    fn key(&self, incarnation: [u8; 16]) -> Result<Option<Key>, Fault> {
        let above = self.keyring.workspace_of(&incarnation).and_then(|workspace| self.keys.get(&workspace));
        let Some(above) = above else { return Ok(None) };
        self.keyring.find(above, incarnation).map_err(|error| match error {
            KeyringError::Fault(fault) => fault,
            KeyringError::Unsealable(error) => {
                Damage::new("KeySlot.sealed_key", "a key that opens", error).into()
            }
        })
    }

    fn record(&mut self, file_id: &[u8; 16], found: &FoundRecord<'_>) -> Result<(), Fault> {
        if matches!(found.kind, RecordKind::DropPartition | RecordKind::DropWorkspace) {
            return Ok(());
        }
        let known = self.cores.get(&found.incarnation).cloned();
        if known.as_ref().is_some_and(|core| core.has_applied(found.record)) {
            return Ok(());
        }
        if self.keyring.state(&found.incarnation) == SlotState::Free {
            return Err(Damage::new("DirectoryEntry.incarnation", "one of the keyring's", "unknown").into());
        }
        // Records of a shredded incarnation are skipped: no key opens them.
        let Some(key) = self.key(found.incarnation)? else { return Ok(()) };
        let plain = open(&key, file_id, found)?;
        let core = match (known, found.kind) {
            (Some(core), _) => core,
            (None, RecordKind::Genesis) => {
                let identity = Identity::decode(&plain)?;
                let workspace = self.keyring.workspace_of(&found.incarnation).unwrap_or_default();
                let core = Arc::new(Core::new(self.env, workspace, found.incarnation, key, identity));
                self.cores.insert(found.incarnation, Arc::clone(&core));
                core
            }
            (None, _) => return Err(Damage::new("DirectoryEntry.kind", "genesis first", "another").into()),
        };
        core.replay(found.record, found.kind, &plain)
    }
}

fn open(
    key: &Key,
    file_id: &[u8; 16],
    found: &FoundRecord<'_>,
) -> Result<zeroize::Zeroizing<Vec<u8>>, Fault> {
    open_record(key, found.incarnation, *file_id, found.record, found.kind, found.sealed).map_err(|_| {
        Damage::new("log record", "sealed under its partition's key for its place", "not")
            .at("the log", found.record)
            .into()
    })
}

/// Puts each partition into its workspace, under its name.
fn shelve(
    keys: HashMap<[u8; 16], Key>,
    cores: HashMap<[u8; 16], Arc<Core>>,
) -> Result<HashMap<WorkspaceId, Arc<Workspace>>, OpenError> {
    let workspaces: HashMap<WorkspaceId, Arc<Workspace>> =
        keys.into_iter().map(|(id, key)| (WorkspaceId(id), Arc::new(Workspace::new(key)))).collect();
    for core in cores.into_values() {
        let name = core.identity.partition.as_deref().map(PartitionName::new).transpose();
        let name = name.map_err(|error| Damage::new("Identity.partition", "a name", error))?;
        let at = PartitionRef { collection: core.identity.collection.clone(), partition: name };
        let Some(workspace) = workspaces.get(&WorkspaceId(core.workspace)) else { continue };
        if workspace.partitions_mut().insert(at, core).is_some() {
            return Err(Damage::new("Identity.partition", "one partition of a name", "two").into());
        }
    }
    Ok(workspaces)
}
