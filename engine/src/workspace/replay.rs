//! How do partitions come back from the manifest and the log?
//!
//! The manifest's partitions rest; a record of the log that no segment holds wakes its own and is applied.
//! Damage is laid at the door of the partition that it hit: a damaged record, a key or a name that can't be
//! read. The others come back whole.

use super::Workspace;
use super::entries::{Entry, Lost};
use super::scope::{PartitionName, PartitionRef, WorkspaceId};
use crate::io::Fault;
use crate::keyring::Loaded;
use crate::partition::{Core, Dormant, Environment, identity_of, open_record};
use crate::seal::{Key, KeyOpener};
use crate::segment::SegmentFiles;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use strongroom_format::Damage;
use strongroom_format::keyring::SlotState;
use strongroom_format::log::FoundRecord;
use strongroom_format::manifest::{PartitionState, SegmentPlace};
use strongroom_format::record::{CollectionSpec, Identity, RecordKind};

/// What recovery works with.
pub(super) struct Replay<'a> {
    pub(super) env: &'a Arc<Environment>,
    pub(super) keys: &'a Loaded,
    /// Whether a slot checks in neither mirror: then a key that isn't found may have been in it.
    pub(super) keys_are_missing: bool,
    pub(super) workspaces: &'a HashMap<WorkspaceId, (Arc<Workspace>, KeyOpener)>,
    /// Incarnations of which the log has records.
    pub(super) logged: HashSet<[u8; 16]>,
    /// Partitions of the manifest that are among these, and that no record has woken yet. The others are
    /// shelved as they come: there may be a million.
    pub(super) resting: HashMap<[u8; 16], PartitionState>,
    /// Where segments lie that are needed.
    pub(super) files: &'a SegmentFiles,
    /// The keys' slots of partitions that are there.
    pub(super) slots: HashSet<u32>,
    pub(super) awake: HashMap<[u8; 16], Arc<Core>>,
    /// Partitions whose name or key is damaged, by incarnation.
    pub(super) lost: HashMap<[u8; 16], (WorkspaceId, [u8; 16], Lost)>,
    pub(super) notes: Vec<Damage>,
}

impl Replay<'_> {
    /// Takes over a partition of the manifest.
    pub(super) fn partition(&mut self, state: PartitionState) -> Result<(), Fault> {
        match self.keys.state(&state.incarnation) {
            SlotState::Live => {}
            // Its slot may be the one that nobody can read.
            SlotState::Free if self.keys_are_missing => {
                let damage = Damage::new("KeySlot", "a slot that checks", "none");
                self.lose(&state, damage.at("keyring", 0));
                return Ok(());
            }
            // It was shredded.
            _ => return Ok(()),
        }
        if self.logged.contains(&state.incarnation) {
            self.resting.insert(state.incarnation, state);
            return Ok(());
        }
        self.shelve_one(state).map_err(Fault::from)
    }

    fn lose(&mut self, state: &PartitionState, damage: Damage) {
        let rest = Dormant { is_damaged: true, ..Dormant::of(state) };
        let lost = Lost { rest, damage };
        self.lost.insert(state.incarnation, (WorkspaceId(state.workspace), state.name_tag, lost));
    }

    /// A partition's key; `None` when it was destroyed.
    fn key(&self, incarnation: [u8; 16]) -> Result<Option<Key>, Damage> {
        let Some(slot) = self.keys.slot_of(&incarnation) else { return Ok(None) };
        let workspace = self.keys.workspace_of(&incarnation).map(WorkspaceId);
        let Some((_, opener)) = workspace.and_then(|id| self.workspaces.get(&id)) else { return Ok(None) };
        self.keys.key(opener, slot, incarnation).map_err(|error| {
            let at = u64::from(slot) * strongroom_format::keyring::SLOT_BYTES as u64;
            Damage::new("KeySlot.sealed_key", "a key that opens", error).at("keyring", at)
        })
    }

    /// Takes over a record of the log.
    pub(super) fn record(&mut self, file_id: &[u8; 16], found: &FoundRecord<'_>) -> Result<(), Fault> {
        match found.kind {
            RecordKind::Genesis | RecordKind::Put | RecordKind::Change | RecordKind::Amend => {}
            RecordKind::DropPartition | RecordKind::DropWorkspace | RecordKind::Replace => return Ok(()),
        }
        let incarnation = found.incarnation;
        let is_flushed = |state: &PartitionState| found.record <= state.flushed_through;
        if let Some((_, name_tag, _)) = self.lost.get_mut(&incarnation) {
            // It may have been given another name since.
            *name_tag = found.name_tag;
            return Ok(());
        }
        if self.resting.get(&incarnation).is_some_and(is_flushed) {
            return Ok(());
        }
        if self.awake.get(&incarnation).is_some_and(|core| core.has_applied(found.record)) {
            return Ok(());
        }
        if self.keys.state(&incarnation) == SlotState::Free && !self.keys_are_missing {
            // An older log beside today's keyring: nothing opens it.
            self.notes.push(Damage::new("DirectoryEntry.incarnation", "one of the keyring's", "unknown"));
            return Ok(());
        }
        let key = match self.key(incarnation) {
            Ok(Some(key)) => key,
            // Records of a shredded incarnation are skipped: no key opens them.
            Ok(None) if self.keys.state(&incarnation) != SlotState::Free => return Ok(()),
            Ok(None) => {
                self.lose_unnamed(
                    found,
                    Damage::new("KeySlot", "a slot that checks", "none").at("keyring", 0),
                );
                return Ok(());
            }
            Err(damage) => {
                self.lose_unnamed(found, damage);
                return Ok(());
            }
        };
        let plain = found.sealed.clone().and_then(|sealed| {
            open_record(&key, incarnation, *file_id, found.record, found.kind, sealed).map_err(|_| {
                Damage::new("log record", "sealed under its partition's key for its place", "not")
                    .at("log", found.record)
            })
        });
        let core = match (self.core(incarnation, &key), &plain) {
            (Some(core), _) => core,
            (None, Ok(plain)) if found.kind == RecordKind::Genesis => match Identity::decode(plain) {
                Ok(identity) => self.begin(found, identity, key),
                Err(damage) => return self.lost_record(found, damage),
            },
            (None, Ok(_)) => {
                let damage = Damage::new("DirectoryEntry.kind", "genesis first", "another");
                return self.lost_record(found, damage.at("log", found.record));
            }
            (None, Err(damage)) => return self.lost_record(found, damage.clone()),
        };
        match plain {
            Ok(plain) => core.replay(found.record, found.kind, found.name_tag, &plain),
            Err(damage) => {
                core.lose(damage);
                Ok(())
            }
        }
    }

    fn lost_record(&mut self, found: &FoundRecord<'_>, damage: Damage) -> Result<(), Fault> {
        self.lose_unnamed(found, damage);
        Ok(())
    }

    /// A partition of which nothing is known but what the log's directory says.
    fn lose_unnamed(&mut self, found: &FoundRecord<'_>, damage: Damage) {
        let incarnation = found.incarnation;
        if let Some(core) = self.awake.get(&incarnation) {
            core.lose(damage);
            return;
        }
        if let Some(state) = self.resting.remove(&incarnation) {
            self.lose(&state, damage);
            return;
        }
        let slot = self.keys.slot_of(&incarnation).unwrap_or(u32::MAX);
        let workspace = self
            .keys
            .workspace_of(&incarnation)
            .map_or_else(|| self.workspace_of_tag(), |workspace| Some(WorkspaceId(workspace)));
        let Some(workspace) = workspace else { return };
        let rest = Dormant { is_damaged: true, ..Dormant::new(incarnation, slot, CollectionSpec::cosine(1)) };
        self.lost.insert(incarnation, (workspace, found.name_tag, Lost { rest, damage }));
    }

    /// Where a name tag is from when the slot that knew is unreadable: the only workspace, if there is one.
    fn workspace_of_tag(&self) -> Option<WorkspaceId> {
        let mut ids = self.workspaces.keys();
        ids.next().copied().filter(|_| ids.next().is_none())
    }

    /// The partition, awake.
    fn core(&mut self, incarnation: [u8; 16], key: &Key) -> Option<Arc<Core>> {
        if let Some(core) = self.awake.get(&incarnation) {
            return Some(Arc::clone(core));
        }
        let state = self.resting.get(&incarnation)?;
        let identity = identity_of(state, key).ok()?;
        let state = self.resting.remove(&incarnation)?;
        let core =
            Core::new(self.env, state.workspace, identity, state.name_tag, key.clone(), Dormant::of(&state));
        let core = Arc::new(core);
        self.awake.insert(incarnation, Arc::clone(&core));
        Some(core)
    }

    fn begin(&mut self, found: &FoundRecord<'_>, identity: Identity, key: Key) -> Arc<Core> {
        let incarnation = found.incarnation;
        let slot = self.keys.slot_of(&incarnation).unwrap_or_default();
        let workspace = self.keys.workspace_of(&incarnation).unwrap_or_default();
        let rest = Dormant::new(incarnation, slot, identity.spec);
        let core = Arc::new(Core::new(self.env, workspace, identity, found.name_tag, key, rest));
        self.awake.insert(incarnation, Arc::clone(&core));
        core
    }

    /// Puts a partition of the manifest into its workspace, under its name.
    fn shelve_one(&mut self, state: PartitionState) -> Result<(), Damage> {
        let incarnation = state.incarnation;
        let named = match self.key(incarnation) {
            Ok(Some(key)) => identity_of(&state, &key).map(|identity| (identity, key)),
            Ok(None) => return Ok(()),
            Err(damage) => Err(damage),
        };
        let waits = state.purge_since_ms != 0;
        match named {
            Ok((identity, key)) if state.is_damaged || waits => {
                // What has something to do, or to tell, is not put to rest.
                let rest = Dormant::of(&state);
                let core = Core::new(self.env, state.workspace, identity, state.name_tag, key, rest);
                self.env.purges.fetch_add(u64::from(waits), Ordering::Relaxed);
                self.awake.insert(incarnation, Arc::new(core));
            }
            Ok((identity, _)) => {
                self.hold(&state.segments, state.key_slot);
                let rest = Entry::Dormant(Box::new(Dormant::of(&state).on(identity.terms)));
                self.put(WorkspaceId(state.workspace), &identity, rest)?;
            }
            Err(damage) => self.lose(&state, damage),
        }
        Ok(())
    }

    /// Puts each partition that is left into its workspace, and answers the slots of their keys.
    pub(super) fn shelve(mut self) -> Result<(HashSet<u32>, Vec<Damage>), Damage> {
        for state in std::mem::take(&mut self.resting).into_values() {
            self.shelve_one(state)?;
        }
        for core in std::mem::take(&mut self.awake).into_values() {
            let workspace = WorkspaceId(core.workspace);
            let identity = core.who().identity.clone();
            self.hold(&core.segment_places(), core.incarnation().1);
            self.put(workspace, &identity, Entry::Awake(core))?;
        }
        for (workspace, tag, lost) in std::mem::take(&mut self.lost).into_values() {
            self.hold(&lost.rest.segments, lost.rest.key_slot);
            if let Some((workspace, _)) = self.workspaces.get(&workspace) {
                workspace.entries_mut().lost.insert(tag, lost);
            }
        }
        for (workspace, _) in self.workspaces.values() {
            workspace.entries_mut().shrink();
        }
        Ok((self.slots, self.notes))
    }

    fn hold(&mut self, segments: &[SegmentPlace], key_slot: u32) {
        segments.iter().for_each(|place| self.files.hold(place));
        self.slots.insert(key_slot);
    }

    fn put(&self, workspace: WorkspaceId, identity: &Identity, entry: Entry) -> Result<(), Damage> {
        let name = identity.partition.as_deref().map(PartitionName::new).transpose();
        let name = name.map_err(|error| Damage::new("Identity.partition", "a name", error))?;
        let Some((workspace, _)) = self.workspaces.get(&workspace) else { return Ok(()) };
        let at = PartitionRef { collection: identity.collection.clone(), partition: name };
        if workspace.entries_mut().insert(at, entry).is_some() {
            return Err(Damage::new("Identity.partition", "one partition of a name", "two"));
        }
        Ok(())
    }
}
