//! What does a store hold, as far as calls can tell?
//!
//! Everything is read once, and then compared with as many models as there may be: after an interrupted call
//! there are several, and reading is what costs.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_engine::{
    DocumentInfo, Filter, Partition, PartitionInfo, PassageInfo, ReadError, Store, StoreError,
};

use super::{COLLECTION, Docs, Spot, State, UNKNOWN_ID, whole};

/// A document as it was read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) info: DocumentInfo,
    pub(super) content: Vec<u8>,
    pub(super) passages: Vec<PassageInfo>,
}

/// A partition as it was read.
#[derive(Debug)]
pub(super) struct Seen {
    /// The ids that it lists, in its order.
    pub(super) listed: Vec<String>,
    /// How many it says there are.
    pub(super) total: u64,
    /// What each id that was asked for came to.
    pub(super) read: BTreeMap<String, Option<Read>>,
}

/// A workspace's partitions as they were listed; none when there is no such workspace.
type Listed = Option<Vec<PartitionInfo>>;

/// All that calls tell of a store.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// For each number that was asked for.
    pub(super) workspaces: BTreeMap<u8, Listed>,
    /// Partitions that are in the trash, and such as are held.
    pub(super) trashed: BTreeSet<Spot>,
    pub(super) held: BTreeSet<Spot>,
    /// For each partition that is listed or was asked for; none when there is no such partition.
    pub(super) partitions: BTreeMap<Spot, Option<Seen>>,
    /// What could not be read, and why.
    pub(super) failed: Vec<String>,
    /// Which partitions those are.
    pub(super) unread: BTreeSet<Spot>,
}

/// Reads all that any of these models speaks of, and all that the store lists.
pub(super) fn observe(store: &Store, models: &[&State], workspaces: std::ops::Range<u8>) -> Observed {
    let mut observed = Observed::default();
    let mut spots: BTreeSet<Spot> =
        models.iter().flat_map(|model| model.partitions.keys().cloned()).collect();
    for workspace in workspaces {
        match store.all_partitions(&whole(workspace), COLLECTION) {
            Ok(mut listed) => {
                let name = |info: &PartitionInfo| info.name.as_ref().map(|name| name.as_str().to_owned());
                let spot = |info: &PartitionInfo| Spot { workspace, name: name(info) };
                let (trashed, held) = (
                    |info: &&PartitionInfo| info.terms.trash.is_some(),
                    |info: &&PartitionInfo| info.terms.held_ms.is_some(),
                );
                spots.extend(listed.iter().map(spot));
                observed.trashed.extend(listed.iter().filter(trashed).map(spot));
                observed.held.extend(listed.iter().filter(held).map(spot));
                listed.retain(|info| info.terms.trash.is_none());
                observed.workspaces.insert(workspace, Some(listed));
            }
            Err(StoreError::NoWorkspace) => drop(observed.workspaces.insert(workspace, None)),
            Err(error) => observed.failed.push(format!("workspace {workspace}: {error}")),
        }
    }
    for spot in spots {
        let known: Vec<&Docs> = models.iter().filter_map(|model| model.docs(&spot)).collect();
        match observe_partition(store, &spot, &known) {
            Ok(seen) => drop(observed.partitions.insert(spot, seen)),
            Err(error) => {
                observed.failed.push(format!("{spot:?}: {error}"));
                observed.unread.insert(spot);
            }
        }
    }
    observed
}

/// Reads one partition: what it lists, and what these models know of it.
pub(super) fn observe_partition(
    store: &Store,
    spot: &Spot,
    known: &[&Docs],
) -> Result<Option<Seen>, StoreError> {
    match store.partition(&spot.scope(), &spot.at()) {
        Ok(Some(partition)) => Ok(Some(see(&partition, known)?)),
        Ok(None) | Err(StoreError::NoWorkspace) => Ok(None),
        Err(error) => Err(error),
    }
}

fn see(partition: &Partition, known: &[&Docs]) -> Result<Seen, ReadError> {
    let page = partition.list(&Filter::default(), 0, usize::MAX)?;
    let listed: Vec<String> = page.documents.into_iter().map(|document| document.id).collect();
    let known = known.iter().flat_map(|docs| docs.keys()).filter(|id| *id != UNKNOWN_ID);
    let ids: BTreeSet<&String> = listed.iter().chain(known).collect();
    let mut read = BTreeMap::new();
    for id in ids {
        let found = match partition.content(id)? {
            Some((info, content)) => {
                let passages = partition.passages(id, 0, usize::MAX)?;
                Some(Read {
                    info,
                    content,
                    passages: passages.map(|(_, passages)| passages).unwrap_or_default(),
                })
            }
            None => None,
        };
        read.insert(id.clone(), found);
    }
    Ok(Seen { listed, total: page.total, read })
}
