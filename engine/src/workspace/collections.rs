//! What can be asked of a collection, whatever partitions it has?
//!
//! A collection is the partitions that carry its name. Whose scope covers it may ask which of them hold a document, and sum over
//! them; a scope for one partition asks and sums within that one. An id is looked for in one partition after
//! the other, each opened with its own key: nothing is kept of which ids there are beside the partitions themselves.
//!
//! Invariants:
//! 1. Nothing is answered of a partition that the scope does not cover.
//! 2. Looking for an id, or for an answered request, wakes no partition that rests and does not hold it.

use super::entries::Entry;
use super::{PartitionRef, Scope, Store, StoreError, Totals, Workspace};
use crate::io::lock;
use crate::partition::{Core, Once, Partition, ReadError};
use strongroom_format::Damage;

/// Where in a collection a document was found.
#[derive(Clone, Default)]
pub struct Holders {
    /// The partitions that hold it, the default partition first, then by name.
    pub partitions: Vec<Partition>,
    /// What keeps a partition from being looked at, if one is quarantined: it may hold the document too.
    pub unread: Option<Damage>,
}

/// What is asked of each partition.
struct Test<'a> {
    holds: &'a dyn Fn(&Core) -> Result<bool, ReadError>,
    /// Whether it holds for none without live documents.
    is_of_documents: bool,
}

impl Store {
    /// The partitions of a collection, as far as the scope covers it, that hold a live document of this id.
    ///
    /// Those that rest are opened in passing: their directories are unsealed and forgotten again.
    pub fn holders(&self, scope: &Scope, collection: &str, id: &str) -> Result<Holders, StoreError> {
        let has = |core: &Core| core.has(id, scope.acting(), scope.witness());
        self.those_of(scope, collection, &Test { holds: &has, is_of_documents: true })
    }

    /// The partitions of a collection, as far as the scope covers it, that answered a request of this one's key: for requests that name no
    /// partition, and would not find any more what they were about. Opens what rests in passing, as [`Store::holders`] does.
    pub fn answerers(&self, scope: &Scope, collection: &str, once: &Once) -> Result<Holders, StoreError> {
        let remembers = |core: &Core| core.remembers(&once.key, scope.witness());
        self.those_of(scope, collection, &Test { holds: &remembers, is_of_documents: false })
    }

    fn those_of(&self, scope: &Scope, collection: &str, test: &Test<'_>) -> Result<Holders, StoreError> {
        let workspace = self.workspace(scope.workspace())?;
        if !scope.touches(collection) {
            return Err(StoreError::Forbidden);
        }
        let mut holders = Holders::default();
        for at in workspace.names(scope, collection, self.now_ms()) {
            match self.if_it_holds(scope, &workspace, &at, test) {
                Ok(holder) => holders.partitions.extend(holder),
                Err(StoreError::Read(ReadError::Quarantined(damage))) => {
                    holders.unread.get_or_insert(damage);
                }
                Err(error) => return Err(error),
            }
        }
        // Whose name is lost may be of this collection.
        let entries = workspace.entries();
        let is_of_it = |tag: &[u8; 16]| scope.partition().is_none_or(|at| workspace.name_tag(at) == *tag);
        if let Some((_, lost)) = entries.lost.iter().find(|(tag, _)| is_of_it(tag)) {
            holders.unread.get_or_insert_with(|| lost.damage.clone());
        }
        Ok(holders)
    }

    /// The partition of this name, if the test holds for it.
    fn if_it_holds(
        &self,
        scope: &Scope,
        workspace: &Workspace,
        at: &PartitionRef,
        test: &Test<'_>,
    ) -> Result<Option<Partition>, StoreError> {
        if self.rests_without(workspace, at, test)? {
            return Ok(None);
        }
        let found = self.find(workspace, at)?.filter(|core| core.is_born() && core.is_served());
        let Some(core) = found else { return Ok(None) };
        match (test.holds)(&core) {
            Ok(holds) => Ok(holds.then(|| scope.handle(core))),
            // It went after it was found.
            Err(ReadError::Dropped) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the partition of this name rests, and the test surely doesn't hold for it.
    fn rests_without(
        &self,
        workspace: &Workspace,
        at: &PartitionRef,
        test: &Test<'_>,
    ) -> Result<bool, StoreError> {
        // As long as this is held nobody wakes it, and so nobody moves its segments or drops it.
        let _changing = lock(&workspace.changing);
        if !self.workspaces().contains_key(&workspace.id) {
            return Err(StoreError::NoWorkspace);
        }
        let dormant = match workspace.entries().get(at) {
            Some(Entry::Dormant(dormant)) => (**dormant).clone(),
            _ => return Ok(false),
        };
        if test.is_of_documents && dormant.counts.documents == 0 && !dormant.is_damaged {
            return Ok(true);
        }
        let passing = self.wake(workspace, at, dormant);
        // What fails here is met again, and believed, when the partition itself is asked.
        Ok(passing.is_ok_and(|passing| matches!((test.holds)(&passing), Ok(false))))
    }

    /// Sums over the partitions of a collection that the scope covers, those in the trash included.
    pub fn collection_totals(&self, scope: &Scope, collection: &str) -> Result<Totals, StoreError> {
        let workspace = self.workspace(scope.workspace())?;
        if !scope.touches(collection) {
            return Err(StoreError::Forbidden);
        }
        let entries = workspace.entries();
        let covered = entries
            .of_collection(collection)
            .filter(|(name, entry)| scope.covers_named(collection, name) && entry.is_born());
        Ok(covered.map(|(_, entry)| entry.totals()).fold(Totals::default(), Totals::plus))
    }
}

impl Workspace {
    /// The partitions of a collection that the scope covers and that are there for others, in the order of their names.
    fn names(&self, scope: &Scope, collection: &str, now_ms: u64) -> Vec<PartitionRef> {
        let entries = self.entries();
        let mut names: Vec<PartitionRef> = entries
            .of_collection(collection)
            .filter(|(name, entry)| scope.covers_named(collection, name) && entry.is_served(now_ms))
            .map(|(name, _)| PartitionRef { collection: collection.to_owned(), partition: name.clone() })
            .collect();
        names.sort_unstable_by(|a, b| a.partition.cmp(&b.partition));
        names
    }
}
