//! How are partitions, workspaces and documents erased, and what proves it?
//!
//! [`Store::drop_partition`] and [`Store::drop_workspace`] shred; [`Store::purge`] erases single documents by
//! writing their partition anew. Each ends with a signed receipt. The order of steps is `shred`'s.

use super::canary;
use super::entries::Entry;
use super::publish::Maintenance;
use super::{OperatorScope, PartitionRef, Scope, Store, StoreError, Workspace, WorkspaceId};
use crate::io::{Fault, StorageError, StorageErrorKind, lock};
use crate::partition::{Core, Counts, Dormant, Forgotten, Once, Partition, WriteError};
use crate::seal::fingerprint;
use crate::shred::{Erasure, SignedReceipt, name_hash, receipt_stem};
use std::sync::Arc;
use strongroom_format::Damage;
use strongroom_format::receipt::ReceiptKind;
use strongroom_format::record::{DropNote, RecordKind};
use strongroom_format::terms::Terms;

/// Purges in partitions up to this many stored bytes are made final at once.
const PURGE_AT_ONCE_BYTES: u64 = 64 << 20;

/// What became of a purge.
#[derive(Debug, Clone)]
pub struct Purged {
    /// Whether the documents are unreadable for good already. Else they are as soon as maintenance has
    /// rewritten the partition.
    pub is_final: bool,
    /// The partition's incarnation once the purge was durable: that of the receipt, unless another call's
    /// rewriting came first.
    pub incarnation: [u8; 16],
    /// The receipt, when this call did the rewriting (one that ran beside it may have served it as well).
    pub receipt: Option<SignedReceipt>,
}

/// What is dropped, while it is being dropped.
enum Dropped {
    Awake(Arc<Core>),
    /// It rests; perhaps it can't be woken, or nobody knows its name.
    Resting(Dormant),
}

impl Dropped {
    fn incarnation(&self) -> [u8; 16] {
        match self {
            Self::Awake(core) => core.incarnation().0,
            Self::Resting(rest) => rest.incarnation,
        }
    }

    /// On what terms it was kept. (What nobody can wake was held if it was when it was put to rest.)
    fn terms(&self) -> Terms {
        match self {
            Self::Awake(core) => core.terms(),
            Self::Resting(rest) => rest.terms(),
        }
    }

    fn lift_fence(&self) {
        if let Self::Awake(core) = self {
            core.lift_fence();
        }
    }

    fn forget(&self) -> Forgotten {
        match self {
            Self::Awake(core) => core.forget(),
            Self::Resting(rest) => Forgotten {
                incarnation: rest.incarnation,
                key_slot: rest.key_slot,
                segments: rest.segments.to_vec(),
            },
        }
    }
}

impl Store {
    /// Drops a partition and shreds it, be it in the trash or not; `None` when there is none of this name. What was in it is
    /// gone when this returns, live and soft-deleted documents alike. [`WriteError::Held`] when it is held.
    pub fn drop_partition(
        &self,
        scope: &Scope,
        at: &PartitionRef,
    ) -> Result<Option<(Counts, SignedReceipt)>, StoreError> {
        let workspace = self.reach(scope, at)?;
        let mut maintenance = lock(&self.maintenance);
        let dropped = self.drop_if(&mut maintenance, &workspace, at, |terms, _| match terms.held_ms {
            Some(_) => Err(WriteError::Held.into()),
            None => Ok(true),
        })?;
        dropped.iter().for_each(|(_, receipt)| self.answered(receipt));
        Ok(dropped)
    }

    /// Drops a partition out of which everything went elsewhere; `None` when there is none of this name, or when it is in the
    /// trash. [`StoreError::Occupied`] when there is a document in it, live or soft-deleted, and then nothing happens.
    pub fn drop_emptied(
        &self,
        scope: &Scope,
        at: &PartitionRef,
    ) -> Result<Option<SignedReceipt>, StoreError> {
        let workspace = self.reach(scope, at)?;
        let mut maintenance = lock(&self.maintenance);
        let now_ms = self.env.medium.clock.now_ms();
        let is_occupied = |counts: Counts| counts.documents + counts.deleted > 0;
        let dropped = self.drop_if(&mut maintenance, &workspace, at, |terms, counts| match terms {
            Terms { held_ms: Some(_), .. } => Err(WriteError::Held.into()),
            terms if !terms.serve(now_ms) => Ok(false),
            _ if is_occupied(counts) => Err(StoreError::Occupied),
            _ => Ok(true),
        })?;
        Ok(dropped.map(|(_, receipt)| {
            self.answered(&receipt);
            receipt
        }))
    }

    /// The same if its terms, and how much is in it, allow it. The receipt waits to be taken, unless it is answered.
    pub(super) fn drop_if(
        &self,
        maintenance: &mut Maintenance,
        workspace: &Workspace,
        at: &PartitionRef,
        allow: impl FnOnce(&Terms, Counts) -> Result<bool, StoreError>,
    ) -> Result<Option<(Counts, SignedReceipt)>, StoreError> {
        let name_tag = workspace.name_tag(at);
        let Some(dropped) = self.find_to_drop(workspace, at, &name_tag)? else { return Ok(None) };
        let (counts, fingerprint) = match &dropped {
            Dropped::Awake(core) => (core.fence()?, core.fingerprint()),
            Dropped::Resting(rest) => (rest.counts, [0; 16]),
        };
        // From here on nobody amends it.
        let allowed = allow(&dropped.terms(), counts);
        if !matches!(allowed, Ok(true)) {
            dropped.lift_fence();
            return allowed.map(|_| None);
        }
        let name_salt = self.env.random();
        let note = DropNote {
            name_salt,
            name_hash: at.name_hash(name_salt),
            key_fingerprint: fingerprint,
            partitions: 1,
            documents: counts.documents,
            deleted: counts.deleted,
            passages: counts.passages,
            at_ms: self.env.medium.clock.now_ms(),
            successor: [0; 16],
        };
        let incarnation = match &dropped {
            Dropped::Awake(core) => core.incarnation().0,
            Dropped::Resting(rest) => rest.incarnation,
        };
        let kind = RecordKind::DropPartition;
        let logged = self.shredder().log_drop(&workspace.key, incarnation, name_tag, kind, &note);
        let record = match logged {
            Ok(record) => record,
            Err(error) => {
                dropped.lift_fence();
                return Err(WriteError::from(error).into());
            }
        };
        {
            let mut entries = workspace.entries_mut();
            entries.remove(at);
            entries.lost.remove(&name_tag);
        }
        let mut erasure = Erasure::new(ReceiptKind::Partition, incarnation, workspace.id.0, note, record);
        self.take_over(maintenance, &mut erasure, dropped.forget());
        let receipt = self.finish(maintenance, erasure)?;
        Ok(Some((counts, receipt)))
    }

    fn find_to_drop(
        &self,
        workspace: &Workspace,
        at: &PartitionRef,
        name_tag: &[u8; 16],
    ) -> Result<Option<Dropped>, StoreError> {
        match self.find(workspace, at) {
            Ok(Some(core)) => Ok(core.is_born().then_some(Dropped::Awake(core))),
            Ok(None) => Ok(None),
            Err(error) if error.is_damage() => {
                let entries = workspace.entries();
                let rest = match (entries.get(at), entries.lost.get(name_tag)) {
                    (Some(Entry::Dormant(rest)), _) => (**rest).clone(),
                    (_, Some(lost)) => lost.rest.clone(),
                    _ => return Err(error),
                };
                Ok(Some(Dropped::Resting(rest)))
            }
            Err(error) => Err(error),
        }
    }

    /// Adds a forgotten partition to what is to be erased.
    fn take_over(&self, maintenance: &mut Maintenance, erasure: &mut Erasure, forgotten: Forgotten) {
        erasure.keys.push((forgotten.key_slot, forgotten.incarnation));
        erasure.segments.extend(forgotten.segments);
        maintenance.removed.insert(forgotten.incarnation);
    }

    /// Drops a workspace and shreds all that is in it; `None` when it isn't there. [`WriteError::Held`] when something in it is
    /// held.
    pub fn drop_workspace(
        &self,
        operator: &OperatorScope,
        id: WorkspaceId,
    ) -> Result<Option<(Counts, SignedReceipt)>, StoreError> {
        let mut maintenance = lock(&self.maintenance);
        if self.keyring.has_begun(&id.0) {
            // Its making failed, and may have come to pass all the same: only what is there can be dropped.
            self.create_workspace(operator, id)?;
        }
        let Some(workspace) = self.workspaces_mut().remove(&id) else { return Ok(None) };
        let changing = lock(&workspace.changing);
        let logged = self.log_workspace_drop(&workspace);
        drop(changing);
        let (counts, note, record) = match logged {
            Ok(logged) => logged,
            Err(error) => {
                // The drop didn't become durable: the workspace stays.
                self.workspaces_mut().insert(id, workspace);
                return Err(error.into());
            }
        };
        let mut erasure = Erasure::new(ReceiptKind::Workspace, id.0, id.0, note, record);
        for dropped in workspace.all_to_drop() {
            self.take_over(&mut maintenance, &mut erasure, dropped.forget());
        }
        // Keys that were minted and never used go as well.
        let named: std::collections::HashSet<u32> = erasure.keys.iter().map(|(slot, _)| *slot).collect();
        for slot in self.keyring.partitions_of(&id.0) {
            if let Some(info) = self.keyring.slot(slot)
                && !named.contains(&slot)
            {
                erasure.keys.push((slot, info.incarnation));
            }
        }
        erasure.keys.sort_unstable();
        // The workspace's own key goes last: a crash before that finds the workspace and goes on.
        erasure.keys.push((workspace.key_slot, id.0));
        let receipt = self.finish(&mut maintenance, erasure)?;
        self.answered(&receipt);
        Ok(Some((counts, receipt)))
    }

    fn log_workspace_drop(&self, workspace: &Workspace) -> Result<(Counts, DropNote, u64), WriteError> {
        let (mut sum, mut partitions) = (Counts::default(), 0);
        let mut fenced = Vec::new();
        let mut outcome = Ok(());
        let canaries = workspace.canaries();
        for dropped in workspace.all_to_drop() {
            let counts = match &dropped {
                Dropped::Resting(rest) => Ok((rest.counts, true)),
                Dropped::Awake(core) => core.fence().map(|counts| (counts, core.is_born())),
            };
            match counts {
                // It is nobody's, and so nobody is told that it went.
                Ok(_) if canaries.contains(&dropped.incarnation()) => {}
                Ok((counts, is_born)) => {
                    sum = sum.plus(counts);
                    partitions += u64::from(is_born);
                }
                Err(error) => outcome = Err(error),
            }
            if dropped.terms().held_ms.is_some() {
                outcome = Err(WriteError::Held);
            }
            fenced.push(dropped);
        }
        let name_salt = self.env.random();
        let note = DropNote {
            name_salt,
            name_hash: name_hash(name_salt, &[&workspace.id.0]),
            key_fingerprint: fingerprint(&workspace.key),
            partitions,
            documents: sum.documents,
            deleted: sum.deleted,
            passages: sum.passages,
            at_ms: self.env.medium.clock.now_ms(),
            successor: [0; 16],
        };
        let kind = RecordKind::DropWorkspace;
        let logged = outcome
            .and_then(|()| Ok(self.shredder().log_drop(&self.root, workspace.id.0, [0; 16], kind, &note)?));
        match logged {
            Ok(record) => Ok((sum, note, record)),
            Err(error) => {
                fenced.iter().for_each(Dropped::lift_fence);
                Err(error)
            }
        }
    }

    /// Purges documents: they can't be restored, and in a small partition they are unreadable for good when
    /// this returns. The first that isn't there ends it.
    pub fn purge(&self, scope: &Scope, at: &PartitionRef, ids: &[&str]) -> Result<Purged, StoreError> {
        self.purge_as(scope, at, ids, None)
    }

    /// Purges a document for a request that is to be done once.
    pub fn purge_once(
        &self,
        scope: &Scope,
        at: &PartitionRef,
        id: &str,
        once: &Arc<Once>,
    ) -> Result<Purged, StoreError> {
        self.purge_as(scope, at, &[id], Some(Arc::clone(once)))
    }

    fn purge_as(
        &self,
        scope: &Scope,
        at: &PartitionRef,
        ids: &[&str],
        once: Option<Arc<Once>>,
    ) -> Result<Purged, StoreError> {
        let workspace = self.reach(scope, at)?;
        let core = self.find(&workspace, at)?.filter(|core| core.is_born() && core.is_served());
        let core = core.ok_or(WriteError::NotFound)?;
        let mut partition = scope.handle(core);
        if let Some(once) = &once {
            partition = partition.once(once);
        }
        for id in ids {
            partition.purge(id)?;
        }
        self.make_final(&workspace, at, &partition)
    }

    /// Purges those of these documents that are live, in one write, and answers which those were: with `once`, of the first time.
    /// [`WriteError::NotFound`] when there was none.
    pub fn purge_these(
        &self,
        scope: &Scope,
        at: &PartitionRef,
        ids: &[&str],
        once: Option<&Arc<Once>>,
    ) -> Result<(Purged, Vec<String>), StoreError> {
        let workspace = self.reach(scope, at)?;
        let core = self.find(&workspace, at)?.filter(|core| core.is_born() && core.is_served());
        let mut partition = scope.handle(core.ok_or(WriteError::NotFound)?);
        if let Some(once) = once {
            partition = partition.once(once);
        }
        let purged = partition.purge_these(ids)?;
        Ok((self.make_final(&workspace, at, &partition)?, purged))
    }

    /// Has what was purged made unreadable: now, where that is soon done.
    fn make_final(
        &self,
        workspace: &Workspace,
        at: &PartitionRef,
        partition: &Partition,
    ) -> Result<Purged, StoreError> {
        let incarnation = partition.core.incarnation().0;
        if partition.core.stored_bytes() > PURGE_AT_ONCE_BYTES {
            return Ok(Purged { receipt: None, is_final: false, incarnation });
        }
        let mut maintenance = lock(&self.maintenance);
        // Somebody else's rewriting may have made this one's purges final as well.
        if partition.core.purge_since_ms() == 0 {
            return Ok(Purged { receipt: None, is_final: true, incarnation });
        }
        let rewritten = self.rewrite(&mut maintenance, workspace, at, &partition.core);
        let receipt = rewritten.map_err(|error| match error {
            StoreError::Write(WriteError::Full) => StoreError::Unfinished(full()),
            other => other,
        })?;
        receipt.iter().for_each(|receipt| self.answered(receipt));
        Ok(Purged { receipt, is_final: true, incarnation })
    }

    /// Writes a partition anew under a fresh key and shreds the old one.
    pub(super) fn rewrite(
        &self,
        maintenance: &mut Maintenance,
        workspace: &Workspace,
        at: &PartitionRef,
        core: &Arc<Core>,
    ) -> Result<Option<SignedReceipt>, StoreError> {
        let minted = self.keyring.mint(workspace.id.0, &workspace.key)?;
        let name_salt = self.env.random();
        let mut note = DropNote {
            name_salt,
            name_hash: at.name_hash(name_salt),
            key_fingerprint: core.fingerprint(),
            partitions: 0,
            deleted: 0,
            passages: 0,
            documents: 0,
            at_ms: core.purge_since_ms(),
            successor: minted.incarnation,
        };
        let mut record = 0;
        let rewritten = core.rekey::<StoreError>(&minted, |rewritten| {
            note.documents = rewritten.purged;
            let kind = RecordKind::Replace;
            let shredder = self.shredder();
            record = shredder
                .log_drop(&workspace.key, rewritten.old.0, core.who().name_tag, kind, &note)
                .map_err(WriteError::from)?;
            for place in &rewritten.entry.segments {
                self.files.hold(place);
            }
            maintenance.removed.insert(rewritten.old.0);
            maintenance.replaced.extend(&rewritten.old_segments);
            let published = self.making_room(|| self.publish(maintenance, Some(&rewritten.entry)));
            if published.is_err() {
                maintenance.removed.remove(&rewritten.old.0);
                maintenance.replaced.retain(|place| !rewritten.old_segments.contains(place));
            }
            Ok(published?)
        });
        let rewritten = match rewritten {
            Ok(Some(rewritten)) => rewritten,
            Ok(None) => {
                self.keyring.give_back(minted.slot);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let kind = ReceiptKind::Purge;
        let mut erasure = Erasure::new(kind, rewritten.old.0, workspace.id.0, note, record);
        erasure.keys.push((rewritten.old.1, rewritten.old.0));
        erasure.segments = rewritten.old_segments;
        Ok(Some(self.finish(maintenance, erasure)?))
    }

    /// Takes the steps of an erasure that is durable, and answers its receipt. What fails is tried again with
    /// the next round of maintenance, and at open.
    fn finish(&self, maintenance: &mut Maintenance, erasure: Erasure) -> Result<SignedReceipt, StoreError> {
        let (workspace, id) = (erasure.workspace, erasure.id);
        maintenance.unfinished.push(erasure);
        let finished = self.finish_all(maintenance).and_then(|()| self.stored_receipt(&workspace, &id));
        finished.map_err(StoreError::Unfinished)?.ok_or_else(|| {
            let damage = Damage::new("receipt", "there", "missing");
            StoreError::Unfinished(damage.at(&receipt_stem(&workspace, &id), 0).into())
        })
    }

    /// Finishes every erasure that is durable and not done yet.
    pub(super) fn finish_all(&self, maintenance: &mut Maintenance) -> Result<(), Fault> {
        let shredder = self.shredder();
        while let Some(mut erasure) = maintenance.unfinished.pop() {
            let done = self.making_room(|| {
                shredder.destroy(&erasure)?;
                shredder.erase(&mut erasure)?;
                if !maintenance.removed.is_empty() {
                    self.publish(maintenance, None)?;
                }
                let searched = shredder.look(&mut erasure)?;
                shredder.write_receipt(&erasure, searched)?;
                self.receipt_is_durable(&erasure);
                let slots: Vec<u32> = erasure.keys.iter().map(|(slot, _)| *slot).collect();
                self.keyring.erased(&slots)
            });
            if let Err(fault) = done {
                maintenance.unfinished.push(erasure);
                return Err(fault);
            }
            maintenance.replaced.retain(|place| !erasure.erased.contains(place));
        }
        Ok(())
    }

    /// Gives the reserve's room to a full medium, for what a host writes down of an erasure beside the store. Writes are
    /// refused until there is room for the reserve again.
    pub fn make_room(&self, _: &OperatorScope) {
        self.env.log.make_room();
    }

    /// Runs a step of an erasure; on a full disk the reserve makes room for it once.
    fn making_room<R>(&self, mut step: impl FnMut() -> Result<R, Fault>) -> Result<R, Fault> {
        match step() {
            Err(Fault::Storage(error))
                if error.kind == StorageErrorKind::Full && self.env.log.make_room() =>
            {
                step()
            }
            other => other,
        }
    }
}

impl Workspace {
    /// The partitions that are the engine's own.
    fn canaries(&self) -> Vec<[u8; 16]> {
        let entries = self.entries();
        let own = entries.of_collection(canary::COLLECTION).map(|(_, entry)| match entry {
            Entry::Awake(core) => core.incarnation().0,
            Entry::Dormant(rest) => rest.incarnation,
        });
        own.collect()
    }

    /// Everything in it, in the order of incarnations.
    fn all_to_drop(&self) -> Vec<Dropped> {
        let entries = self.entries();
        let mut all: Vec<([u8; 16], Dropped)> = entries
            .iter()
            .map(|(_, _, entry)| match entry {
                Entry::Awake(core) => (core.incarnation().0, Dropped::Awake(Arc::clone(core))),
                Entry::Dormant(rest) => (rest.incarnation, Dropped::Resting((**rest).clone())),
            })
            .collect();
        all.extend(
            entries.lost.values().map(|lost| (lost.rest.incarnation, Dropped::Resting(lost.rest.clone()))),
        );
        all.sort_unstable_by_key(|(incarnation, _)| *incarnation);
        all.into_iter().map(|(_, dropped)| dropped).collect()
    }
}

impl PartitionRef {
    /// What a receipt tells of the name.
    pub(super) fn name_hash(&self, salt: [u8; 16]) -> [u8; 32] {
        let collection = self.collection.as_bytes();
        match &self.partition {
            None => name_hash(salt, &[collection]),
            Some(name) => name_hash(salt, &[collection, name.as_str().as_bytes()]),
        }
    }
}

/// A full disk, met where it can't be told as a refusal any more.
fn full() -> Fault {
    StorageError { what: "erase", name: "partition".to_owned(), kind: StorageErrorKind::Full }.into()
}
