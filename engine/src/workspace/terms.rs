//! How are partitions declared, held, renamed, thrown away and brought back?
//!
//! Each act is one durable record in the partition's own log: after a crash it is done or it isn't. A partition in the trash
//! keeps its name and its key; nothing but these calls and the sums finds it, until it is brought back or shredded. The end of
//! its time, in the trash or of its own, is met by a round of maintenance, also where nobody uses it.
//!
//! Invariants:
//! 1. What is held is never shredded, whoever asks and whatever time is over.
//! 2. No name ever leads to two partitions: a name is given with `changing` held, and given up with `maintenance` held too.

use super::entries::Entry;
use super::publish::Maintenance;
use super::{PartitionInfo, PartitionName, PartitionRef, Reach, Scope, Store, StoreError, Workspace};
use crate::io::lock;
use crate::log::Urgency;
use crate::partition::{Core, Who, WriteError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use strongroom_format::record::{CollectionSpec, Identity};
use strongroom_format::terms::{Terms, Trash};

/// Partitions whose time is over that one round shreds; the others follow with the next.
const ENDED_MAX: usize = 256;

/// So often a call looks again when the partition that it found is gone meanwhile.
const LOOKS_MAX: usize = 4;

/// What is to change of a partition; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Amendment {
    /// Its name. For one who covers the whole collection.
    pub name: Option<PartitionName>,
    /// Whether it is held.
    pub held: Option<bool>,
    /// When it is gone with all that is in it, in milliseconds since 1970.
    pub expires_ms: Option<Option<u64>>,
    /// How long documents are kept that are put into it from now on, and name no time of their own, in milliseconds.
    pub ttl_ms: Option<Option<u64>>,
}

impl Store {
    /// What there is to say of a partition, also of one in the trash; `None` when there is none of this name.
    pub fn partition_info(
        &self,
        scope: &Scope,
        at: &PartitionRef,
    ) -> Result<Option<PartitionInfo>, StoreError> {
        let workspace = self.reach(scope, at)?;
        let entries = workspace.entries();
        match entries.get(at) {
            Some(entry) => Ok(entry.info(&at.partition, self.now_ms())),
            None => workspace.insist_that_none_is_lost(&entries, at).map(|()| None),
        }
    }

    /// Makes a partition without a document, on these terms.
    pub fn declare(
        &self,
        scope: &Scope,
        at: &PartitionRef,
        spec: CollectionSpec,
        amendment: &Amendment,
    ) -> Result<PartitionInfo, StoreError> {
        let workspace = self.reach(scope, at)?;
        let core = self.core_for_write(&workspace, at, spec, true)?;
        if core.is_born() {
            return Err(StoreError::Taken);
        }
        let terms = amendment.applied(&Terms::default(), self.now_ms());
        match core.declare(terms) {
            Err(WriteError::Exists) => return Err(StoreError::Taken),
            declared => declared?,
        }
        self.ends_at(&terms);
        self.told(&core)
    }

    /// Changes a partition's name or terms; `None` when there is none of this name. `also` is run once the change is durable
    /// and before anybody finds the partition under another name; what it refuses is undone.
    pub fn amend<E: From<StoreError>>(
        &self,
        scope: &Scope,
        at: &PartitionRef,
        amendment: &Amendment,
        also: impl FnOnce(&PartitionInfo) -> Result<(), E>,
    ) -> Result<Option<PartitionInfo>, E> {
        let workspace = self.reach(scope, at)?;
        let to = amendment.name.clone().filter(|name| Some(name) != at.partition.as_ref());
        let to = to.map(|name| PartitionRef { collection: at.collection.clone(), partition: Some(name) });
        if to.as_ref().is_some_and(|to| !scope.covers(to)) {
            return Err(StoreError::Forbidden.into());
        }
        // Nobody drops it, puts it to rest or publishes it under either name meanwhile.
        let mut maintenance = to.is_some().then(|| lock(&self.maintenance));
        if let (Some(to), Some(maintenance)) = (&to, &mut maintenance) {
            self.end(maintenance, &workspace, to)?;
        }
        let Some(core) = self.find_kept(&workspace, at)? else { return Ok(None) };
        let _changing = to.is_some().then(|| lock(&workspace.changing));
        if let Some(to) = &to {
            self.insist_that_free(&workspace, to)?;
        }
        let before = core.who();
        core.amend::<StoreError>(Urgency::Erasure, |who| {
            let terms = amendment.applied(&who.identity.terms, self.now_ms());
            Ok(self.whom(&workspace, to.as_ref(), who, terms))
        })?;
        self.ends_at(&core.terms());
        let mut info = self.told(&core)?;
        if let Some(to) = &to {
            info.name.clone_from(&to.partition);
        }
        let outcome = also(&info);
        if outcome.is_err() && core.amend::<StoreError>(Urgency::Erasure, |_| Ok((*before).clone())).is_ok() {
            return outcome.map(|()| None);
        }
        // What could not be undone stands.
        if let Some(to) = to {
            let mut entries = workspace.entries_mut();
            entries.remove(at);
            entries.insert(to, Entry::Awake(core));
        }
        outcome.map(|()| Some(info))
    }

    /// Throws a partition away: it is as if it weren't there, and is shredded once this much time has passed; `None` when there
    /// is none of this name.
    pub fn trash_partition(
        &self,
        scope: &Scope,
        at: &PartitionRef,
        grace_ms: u64,
    ) -> Result<Option<PartitionInfo>, StoreError> {
        self.change_terms(scope, at, |terms, now_ms| {
            if terms.held_ms.is_some() {
                return Err(WriteError::Held.into());
            }
            if terms.trash.is_some() {
                return Err(StoreError::Trashed);
            }
            let since_ms = now_ms.max(1);
            Ok(Terms {
                trash: Some(Trash { since_ms, shred_ms: since_ms.saturating_add(grace_ms) }),
                ..*terms
            })
        })
    }

    /// Brings a partition back from the trash; `None` when there is none of this name.
    pub fn restore_partition(
        &self,
        scope: &Scope,
        at: &PartitionRef,
    ) -> Result<Option<PartitionInfo>, StoreError> {
        self.change_terms(scope, at, |terms, _| match terms.trash {
            Some(_) => Ok(Terms { trash: None, ..*terms }),
            None => Err(StoreError::NotTrashed),
        })
    }

    fn change_terms(
        &self,
        scope: &Scope,
        at: &PartitionRef,
        change: impl Fn(&Terms, u64) -> Result<Terms, StoreError>,
    ) -> Result<Option<PartitionInfo>, StoreError> {
        let workspace = self.reach(scope, at)?;
        for _ in 0..LOOKS_MAX {
            let Some(core) = self.find_kept(&workspace, at)? else { return Ok(None) };
            let amended = core.amend::<StoreError>(Urgency::Erasure, |who| {
                let terms = change(&who.identity.terms, self.now_ms())?;
                Ok(self.whom(&workspace, None, who, terms))
            });
            match amended {
                Err(StoreError::Write(WriteError::Dropped)) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    self.ends_at(&core.terms());
                    return self.told(&core).map(Some);
                }
            }
        }
        Err(WriteError::Dropped.into())
    }

    /// Whether something is held of what the scope covers in a collection, or in all of them.
    pub fn holds(&self, scope: &Scope, collection: Option<&str>) -> Result<bool, StoreError> {
        let workspace = self.workspace(scope.workspace())?;
        if let (Reach::Partition(at), _) = (scope.reach(), collection) {
            return Ok(workspace.entries().get(at).is_some_and(Entry::is_held));
        }
        let is_meant = |name: &str| collection.is_none_or(|collection| collection == name);
        let entries = workspace.entries();
        Ok(entries.iter().any(|(collection, name, entry)| {
            is_meant(collection) && scope.covers_named(collection, name) && entry.is_held()
        }))
    }

    /// The partition of this name, awake, be it in the trash or not; one whose time is over is none.
    fn find_kept(&self, workspace: &Workspace, at: &PartitionRef) -> Result<Option<Arc<Core>>, StoreError> {
        let now_ms = self.now_ms();
        let found = self.find(workspace, at)?;
        Ok(found.filter(|core| core.is_born() && !core.terms().are_over(now_ms)))
    }

    /// Who a partition is to be, with this name if there is one.
    fn whom(&self, workspace: &Workspace, to: Option<&PartitionRef>, who: &Who, terms: Terms) -> Who {
        let identity = Identity { terms, ..who.identity.clone() };
        match to {
            None => Who { identity, name_tag: who.name_tag },
            Some(to) => {
                let partition = to.partition.as_ref().map(|name| name.as_str().to_owned());
                Who { identity: Identity { partition, ..identity }, name_tag: workspace.name_tag(to) }
            }
        }
    }

    /// Insists that nobody has this name. `changing` is held. One that was never written to, and that nobody writes to just
    /// now, makes room.
    fn insist_that_free(&self, workspace: &Workspace, to: &PartitionRef) -> Result<(), StoreError> {
        let mut entries = workspace.entries_mut();
        let unborn = match entries.get(to) {
            None => return workspace.insist_that_none_is_lost(&entries, to),
            Some(Entry::Awake(core)) if !core.is_born() && Arc::strong_count(core) == 1 => {
                core.incarnation().1
            }
            Some(_) => return Err(StoreError::Taken),
        };
        entries.remove(to);
        self.keyring.give_back(unborn);
        Ok(())
    }

    fn told(&self, core: &Arc<Core>) -> Result<PartitionInfo, StoreError> {
        let name = core.at().partition;
        let info = Entry::Awake(Arc::clone(core)).info(&name, 0);
        info.ok_or_else(|| WriteError::Dropped.into())
    }

    /// Notes when partitions are to be looked at for such as these.
    fn ends_at(&self, terms: &Terms) {
        self.next_end_ms.fetch_min(terms.end_ms().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether a partition's time may be over. Cheap.
    pub(super) fn has_ends(&self) -> bool {
        self.now_ms() >= self.next_end_ms.load(Ordering::Relaxed)
    }

    /// Shreds partitions whose time is over, and answers how many those were. Their receipts wait to be taken.
    pub(super) fn end_partitions(&self, maintenance: &mut Maintenance) -> Result<usize, StoreError> {
        if !self.has_ends() {
            return Ok(0);
        }
        let now_ms = self.now_ms();
        // Whoever changes terms from here on says so again.
        self.next_end_ms.store(u64::MAX, Ordering::Relaxed);
        let (mut over, mut next_ms) = (Vec::new(), u64::MAX);
        for workspace in self.sorted_workspaces() {
            for (collection, name, entry) in workspace.entries().iter() {
                let Some(end_ms) = entry.terms().end_ms() else { continue };
                if end_ms > now_ms {
                    next_ms = next_ms.min(end_ms);
                } else if entry.is_born() {
                    let at = PartitionRef { collection: collection.to_owned(), partition: name.clone() };
                    over.push((entry.incarnation(), Arc::clone(&workspace), at));
                }
            }
        }
        over.sort_unstable_by_key(|(incarnation, ..)| *incarnation);
        if over.len() > ENDED_MAX {
            over.truncate(ENDED_MAX);
            next_ms = next_ms.min(now_ms);
        }
        self.next_end_ms.fetch_min(next_ms, Ordering::Relaxed);
        let mut ended = 0;
        for (_, workspace, at) in over {
            match self.end(maintenance, &workspace, &at) {
                Ok(is_ended) => ended += usize::from(is_ended),
                Err(error) => {
                    self.next_end_ms.fetch_min(now_ms, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(ended)
    }

    /// Shreds a partition if its time is over.
    pub(super) fn end(
        &self,
        maintenance: &mut Maintenance,
        workspace: &Workspace,
        at: &PartitionRef,
    ) -> Result<bool, StoreError> {
        let now_ms = self.now_ms();
        let dropped = self.drop_if(maintenance, workspace, at, |terms, _| Ok(terms.are_over(now_ms)))?;
        Ok(dropped.is_some())
    }
}

impl Amendment {
    /// The terms that come of these.
    fn applied(&self, terms: &Terms, now_ms: u64) -> Terms {
        Terms {
            held_ms: match self.held {
                Some(true) => terms.held_ms.or(Some(now_ms.max(1))),
                Some(false) => None,
                None => terms.held_ms,
            },
            trash: terms.trash,
            expires_ms: self.expires_ms.unwrap_or(terms.expires_ms).map(|time| time.max(1)),
            ttl_ms: self.ttl_ms.unwrap_or(terms.ttl_ms).map(|time| time.max(1)),
        }
    }
}
