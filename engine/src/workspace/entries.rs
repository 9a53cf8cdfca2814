//! Which partitions does a workspace have, and which of them are in use?
//!
//! A partition rests as a [`Dormant`] until somebody asks for it; then its key is read from the keyring and it
//! becomes a [`Core`], until it is left alone for long enough. Partitions whose name damage took are kept by
//! its keyed hash: they are never mistaken for partitions that are not there.

use super::scope::{PartitionName, PartitionRef};
use super::{PartitionInfo, Totals};
use crate::partition::{Core, Counts, Dormant};
use std::collections::HashMap;
use std::sync::Arc;
use strongroom_format::Damage;
use strongroom_format::terms::Terms;

/// A partition of a workspace.
pub(super) enum Entry {
    /// Nobody uses it.
    Dormant(Box<Dormant>),
    /// Somebody does, or did lately.
    Awake(Arc<Core>),
}

impl Entry {
    /// Whether it is there for others: it was written to with success.
    pub(super) fn is_born(&self) -> bool {
        match self {
            Self::Dormant(_) => true,
            Self::Awake(core) => core.is_born(),
        }
    }

    /// On what terms it is kept.
    pub(super) fn terms(&self) -> Terms {
        match self {
            Self::Dormant(dormant) => dormant.terms(),
            Self::Awake(core) => core.terms(),
        }
    }

    /// Whether nothing of it may go.
    pub(super) fn is_held(&self) -> bool {
        self.terms().held_ms.is_some()
    }

    /// Whether it is there for its callers.
    pub(super) fn is_served(&self, now_ms: u64) -> bool {
        self.is_born() && self.terms().serve(now_ms)
    }

    /// Which incarnation it is now.
    pub(super) fn incarnation(&self) -> [u8; 16] {
        match self {
            Self::Dormant(dormant) => dormant.incarnation,
            Self::Awake(core) => core.incarnation().0,
        }
    }

    /// What a listing says of it; `None` when it isn't there, or its time is over.
    pub(super) fn info(&self, name: &Option<PartitionName>, now_ms: u64) -> Option<PartitionInfo> {
        let terms = self.terms();
        (self.is_born() && !terms.are_over(now_ms)).then(|| PartitionInfo {
            name: name.clone(),
            incarnation: self.incarnation(),
            counts: self.counts(),
            stored_bytes: self.stored_bytes(),
            is_quarantined: self.is_quarantined(),
            terms,
        })
    }

    /// How many documents it has.
    pub(super) fn counts(&self) -> Counts {
        match self {
            Self::Dormant(dormant) => dormant.counts,
            Self::Awake(core) => core.counts(),
        }
    }

    /// Whether damage hit it.
    pub(super) fn is_quarantined(&self) -> bool {
        match self {
            Self::Dormant(_) => false,
            Self::Awake(core) => core.damage().is_some(),
        }
    }

    /// What it adds to sums.
    pub(super) fn totals(&self) -> Totals {
        Totals { partitions: 1, counts: self.counts(), stored_bytes: self.stored_bytes() }
    }

    /// Its bytes in segments and memtables.
    pub(super) fn stored_bytes(&self) -> u64 {
        match self {
            Self::Dormant(dormant) => dormant.stored_bytes(),
            Self::Awake(core) => core.stored_bytes(),
        }
    }
}

/// A partition whose name nobody knows any more.
pub(super) struct Lost {
    /// What is left.
    pub(super) rest: Dormant,
    /// What took the name.
    pub(super) damage: Damage,
}

/// The partitions of one workspace.
#[derive(Default)]
pub(super) struct Entries {
    collections: HashMap<Box<str>, HashMap<Option<PartitionName>, Entry>>,
    /// By the keyed hash of their names.
    pub(super) lost: HashMap<[u8; 16], Lost>,
}

impl Entries {
    /// The partition of this name.
    pub(super) fn get(&self, at: &PartitionRef) -> Option<&Entry> {
        self.collections.get(&*at.collection)?.get(&at.partition)
    }

    /// Puts a partition in its place, and answers whose place it was.
    pub(super) fn insert(&mut self, at: PartitionRef, entry: Entry) -> Option<Entry> {
        self.collections.entry(at.collection.into()).or_default().insert(at.partition, entry)
    }

    /// Takes a partition out.
    pub(super) fn remove(&mut self, at: &PartitionRef) -> Option<Entry> {
        let names = self.collections.get_mut(&*at.collection)?;
        let removed = names.remove(&at.partition);
        if names.is_empty() {
            self.collections.remove(&*at.collection);
        }
        removed
    }

    /// The partitions of one collection, in no order.
    pub(super) fn of_collection(
        &self,
        collection: &str,
    ) -> impl Iterator<Item = (&Option<PartitionName>, &Entry)> {
        self.collections.get(collection).into_iter().flatten()
    }

    /// All partitions, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Option<PartitionName>, &Entry)> {
        self.collections.iter().flat_map(|(collection, names)| {
            names.iter().map(move |(name, entry)| (&**collection, name, entry))
        })
    }

    /// The partitions in use.
    pub(super) fn awake(&self) -> impl Iterator<Item = &Arc<Core>> {
        self.iter().filter_map(|(_, _, entry)| match entry {
            Entry::Awake(core) => Some(core),
            Entry::Dormant(_) => None,
        })
    }

    /// Gives back the room that partitions took which are gone.
    pub(super) fn shrink(&mut self) {
        for names in self.collections.values_mut() {
            names.shrink_to_fit();
        }
    }
}
