//! How does a store come back after it was stopped, or crashed?
//!
//! Take the folder → read the keyring → open the workspaces' keys → read the manifest → find the drops in the
//! log → begin the log's next run → bring partitions back from manifest and log → finish the erasures that a
//! crash interrupted → serve.

use super::publish::Maintenance;
use super::replay::Replay;
use super::scope::WorkspaceId;
use super::{Store, StoreOptions, Workspace};
use crate::io::{Fault, LogFile, Medium, StorageError, StorageErrorKind};
use crate::keyring::{Keyring, KeyringError, Loaded};
use crate::log::{Log, Recovery};
use crate::manifest;
use crate::partition::{Environment, open_record};
use crate::seal::{Key, KeyOpener, Unsealable};
use crate::segment::{BlockCache, SegmentFiles};
use crate::shred::Erasure;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};
use strongroom_format::Damage;
use strongroom_format::keyring::{KeyKind, SlotState};
use strongroom_format::log::FoundRecord;
use strongroom_format::manifest::PartitionState;
use strongroom_format::receipt::ReceiptKind;
use strongroom_format::record::{DropNote, RecordKind};

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

type Workspaces = HashMap<WorkspaceId, (Arc<Workspace>, KeyOpener)>;

impl Store {
    /// Opens the store on this medium, making it when there is none, and recovers what was acknowledged.
    pub fn open(medium: Medium, root: RootKey, options: StoreOptions) -> Result<Self, OpenError> {
        let root = Key::from_bytes(root.0);
        medium.log.fence()?;
        let (keyring, keys) = Keyring::open(Arc::clone(&medium.slots), Arc::clone(&medium.entropy))?;
        let workspaces = open_workspaces(&keyring, &keys, &root)?;
        let manifest = manifest::Loaded::open(Arc::clone(&medium.blobs), Arc::clone(&medium.entropy))?;
        let floor = LogFile { run: manifest.log_floor.0, number: manifest.log_floor.1 };
        let log_store = Arc::clone(&medium.log);
        let recovery = Recovery::find(&*log_store, floor)?;
        let mut drops = Drops::new(&root, &workspaces, &keys);
        let mut logged = HashSet::new();
        let recovered = recovery.visit(|file_id, found| {
            logged.insert(found.incarnation);
            drops.record(file_id, found)
        })?;
        let run = recovered.last_run.max(manifest.run) + 1;
        let next_record = recovered.next_record.max(manifest.next_record).max(1);
        let (store, entropy) = (Arc::clone(&medium.log), Arc::clone(&medium.entropy));
        let log = Log::begin(store, entropy, run, recovered.previous, next_record)?;
        let env = Arc::new(Environment {
            medium,
            log,
            cache: Arc::new(BlockCache::new(options.cache_bytes)),
            workers: options.workers.clone(),
            uses: AtomicU64::new(1),
            unflushed_bytes: AtomicU64::new(0),
            unflushed_since_ms: AtomicU64::new(0),
            purges: AtomicU64::new(0),
        });
        let files = SegmentFiles::new(Arc::clone(&env.medium.blobs));
        let mut replay = Replay {
            env: &env,
            keys: &keys,
            keys_are_missing: !keyring.unreadable().is_empty(),
            workspaces: &workspaces,
            logged,
            resting: HashMap::new(),
            files: &files,
            slots: HashSet::new(),
            awake: HashMap::new(),
            lost: HashMap::new(),
            notes: [keyring.notes(), manifest.notes.clone(), recovered.notes.clone()].concat(),
        };
        manifest.visit::<Fault>(|state| {
            drops.replaced(&state);
            if drops.is_gone(&state.incarnation) {
                drops.erase(&state);
                return Ok(());
            }
            if let (Some(damage), false) =
                (&manifest.doubt, keys.state(&state.incarnation) == SlotState::Live)
            {
                // No drop tells why its key is gone: the version that would was relied on, and is damaged.
                return Err(damage.clone().into());
            }
            replay.partition(state)
        })?;
        recovery.visit(|file_id, found| match drops.is_gone(&found.incarnation) {
            true => Ok(()),
            false => replay.record(file_id, found),
        })?;
        let (slots, mut notes) = replay.shelve()?;
        notes.sort_by(|a, b| (&a.file, a.offset).cmp(&(&b.file, b.offset)));
        notes.dedup();
        let drops = drops.finish();
        // What is to be erased is held until it is.
        let going = drops.erasures.iter().flat_map(|erasure| &erasure.segments);
        going.chain(&manifest.released).for_each(|place| files.hold(place));
        let dropped = |id: &WorkspaceId| drops.gone.contains(&id.0);
        let store = Self {
            signer: root.signer(),
            root,
            options,
            files,
            workspaces: RwLock::new(
                workspaces
                    .into_iter()
                    .filter(|(id, _)| !dropped(id))
                    .map(|(id, (workspace, _))| (id, workspace))
                    .collect(),
            ),
            maintenance: Mutex::new(Maintenance {
                log_floor: manifest.log_floor,
                changed: BTreeMap::new(),
                removed: drops.removed,
                released: Vec::new(),
                given_up: manifest.released,
                replaced: Vec::new(),
                unfinished: drops.erasures,
                swept_ms: 0,
                scrubbed: None,
                manifest: manifest.store,
            }),
            erased: Mutex::default(),
            swept_at: AtomicU64::new(0),
            next_expiry_ms: AtomicU64::new(0),
            next_end_ms: AtomicU64::new(0),
            notes,
            keyring,
            env,
        };
        store.finish_what_was_begun()?;
        store.keyring.set_spares(|slot| slots.contains(&slot));
        // What a newer version names may be among the files that this one doesn't: nothing is deleted then.
        if manifest.doubt.is_none() {
            store.files.collect()?;
        }
        Ok(store)
    }

    /// Erasures and released ranges that a crash interrupted, before anything is served.
    fn finish_what_was_begun(&self) -> Result<(), OpenError> {
        let mut maintenance = crate::io::lock(&self.maintenance);
        self.finish_all(&mut maintenance)?;
        Ok(self.erase_given_up(&mut maintenance)?)
    }
}

fn open_workspaces(keyring: &Keyring, keys: &Loaded, root: &Key) -> Result<Workspaces, OpenError> {
    let opener = root.opener();
    let mut workspaces = HashMap::new();
    for (id, slot) in keyring.workspaces() {
        let key = keys.key(&opener, slot, id).map_err(|Unsealable| OpenError::WrongKey)?;
        if let Some(key) = key {
            let opener = key.opener();
            let id = WorkspaceId(id);
            workspaces.insert(id, (Arc::new(Workspace::new(id, slot, key)), opener));
        }
    }
    if !keyring.unreadable().is_empty() {
        // Whose data a lost workspace key had sealed can't be told from data that was shredded.
        let is_known = |id: &[u8; 16]| keys.state(id) != SlotState::Free;
        if let Some(slot) = keys.slots().iter().find(|slot| {
            slot.state() == SlotState::Live && slot.kind() == KeyKind::Partition && !is_known(&slot.workspace)
        }) {
            let notes = keyring.notes();
            let damage = Damage::new("KeySlot.workspace", "a workspace's key", "none");
            let at = u64::from(slot.slot.get()) * strongroom_format::keyring::SLOT_BYTES as u64;
            return Err(notes.into_iter().next_back().unwrap_or_else(|| damage.at("keyring", at)).into());
        }
    }
    Ok(workspaces)
}

/// The drops that the log tells of.
struct Drops<'a> {
    root: &'a Key,
    workspaces: &'a Workspaces,
    keys: &'a Loaded,
    erasures: Vec<Erasure>,
    /// Which erasure takes an incarnation.
    by_incarnation: HashMap<[u8; 16], usize>,
    /// Incarnations, and workspaces, that are no more.
    gone: HashSet<[u8; 16]>,
    /// Of these, those that the manifest still has.
    removed: BTreeSet<[u8; 16]>,
    /// Rewritings that were begun: they hold if the manifest has the successor.
    replacing: HashMap<[u8; 16], (DropNote, u64, [u8; 16])>,
}

/// What is left of them once everything was read.
struct Dropped {
    erasures: Vec<Erasure>,
    gone: HashSet<[u8; 16]>,
    removed: BTreeSet<[u8; 16]>,
}

impl<'a> Drops<'a> {
    fn new(root: &'a Key, workspaces: &'a Workspaces, keys: &'a Loaded) -> Self {
        Self {
            root,
            workspaces,
            keys,
            erasures: Vec::new(),
            by_incarnation: HashMap::new(),
            gone: HashSet::new(),
            removed: BTreeSet::new(),
            replacing: HashMap::new(),
        }
    }

    fn record(&mut self, file_id: &[u8; 16], found: &FoundRecord<'_>) -> Result<(), Fault> {
        let incarnation = found.incarnation;
        let workspace = self.keys.workspace_of(&incarnation).unwrap_or_default();
        let above = match found.kind {
            RecordKind::DropPartition | RecordKind::Replace => {
                self.workspaces.get(&WorkspaceId(workspace)).map(|(workspace, _)| &workspace.key)
            }
            RecordKind::DropWorkspace => Some(self.root),
            RecordKind::Genesis | RecordKind::Put | RecordKind::Change | RecordKind::Amend => return Ok(()),
        };
        // A drop whose key above is gone went with the workspace.
        let Some(above) = above else {
            self.gone.insert(incarnation);
            return Ok(());
        };
        // That it was dropped stands in the batch's directory; what else is known of it may be damaged.
        let note = found.sealed.as_ref().ok().and_then(|sealed| {
            let plain = open_record(above, incarnation, *file_id, found.record, found.kind, sealed).ok()?;
            DropNote::decode(&plain).ok()
        });
        let note = note.unwrap_or_default();
        match found.kind {
            RecordKind::Replace => {
                self.replacing.insert(incarnation, (note, found.record, workspace));
            }
            RecordKind::DropPartition => {
                let erasure =
                    Erasure::new(ReceiptKind::Partition, incarnation, workspace, note, found.record);
                self.begin(erasure, vec![incarnation]);
            }
            _ => {
                let erasure =
                    Erasure::new(ReceiptKind::Workspace, incarnation, incarnation, note, found.record);
                // The workspace's own key goes last, so that a crash before that finds the workspace again.
                let mut all: Vec<[u8; 16]> = self
                    .keys
                    .slots()
                    .iter()
                    .filter(|slot| slot.workspace == incarnation && slot.incarnation != incarnation)
                    .map(|slot| slot.incarnation)
                    .collect();
                all.sort_unstable();
                all.push(incarnation);
                self.begin(erasure, all);
            }
        }
        Ok(())
    }

    /// Notes an erasure, as far as its keys are not marked as done.
    fn begin(&mut self, mut erasure: Erasure, incarnations: Vec<[u8; 16]>) {
        let number = self.erasures.len();
        let is_done = self.keys.state(&erasure.id) == SlotState::Shredded;
        for incarnation in incarnations {
            self.gone.insert(incarnation);
            let state = self.keys.state(&incarnation);
            if matches!(state, SlotState::Live | SlotState::Shredding)
                && let Some(slot) = self.keys.slot_of(&incarnation)
            {
                erasure.keys.push((slot, incarnation));
                self.by_incarnation.insert(incarnation, number);
            }
        }
        if !is_done {
            self.erasures.push(erasure);
        } else {
            self.by_incarnation.retain(|_, erasure| *erasure != number);
        }
    }

    /// A partition that the manifest has under another key since a purge: the old one goes.
    fn replaced(&mut self, state: &PartitionState) {
        let old = state.replaces;
        if old == [0; 16] || !matches!(self.keys.state(&old), SlotState::Live | SlotState::Shredding) {
            return;
        }
        let (note, record, _) = self.replacing.remove(&old).unwrap_or_default();
        let erasure = Erasure::new(ReceiptKind::Purge, old, state.workspace, note, record);
        if !self.gone.contains(&old) {
            self.begin(erasure, vec![old]);
        }
    }

    fn is_gone(&self, incarnation: &[u8; 16]) -> bool {
        self.gone.contains(incarnation)
    }

    /// The manifest still has it.
    fn erase(&mut self, state: &PartitionState) {
        self.removed.insert(state.incarnation);
        if let Some(&number) = self.by_incarnation.get(&state.incarnation) {
            self.erasures[number].segments.extend(&state.segments);
        }
    }

    fn finish(mut self) -> Dropped {
        // A key that is being destroyed and of which no record tells: what it is for is known to its slot.
        for slot in self.keys.slots() {
            let id = slot.incarnation;
            if slot.state() == SlotState::Shredding && !self.gone.contains(&id) {
                let kind = match slot.kind() {
                    KeyKind::Workspace => ReceiptKind::Workspace,
                    KeyKind::Partition => ReceiptKind::Partition,
                };
                let erasure = Erasure::new(kind, id, slot.workspace, DropNote::default(), 0);
                self.begin(erasure, vec![id]);
            }
        }
        Dropped { erasures: self.erasures, gone: self.gone, removed: self.removed }
    }
}
