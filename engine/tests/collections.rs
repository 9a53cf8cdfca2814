//! What is asked of a whole collection, whatever partitions it has.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    CollectionSpec, NewDocument, NewPassage, OperatorScope, PartitionName, PartitionRef, Passage, Reach,
    RootKey, Scope, Store, StoreError, StoreOptions, WorkspaceId,
};

const WORKSPACE: WorkspaceId = WorkspaceId([7; 16]);
const OTHER: WorkspaceId = WorkspaceId([8; 16]);

fn open(sim: &Sim) -> Store {
    // Whatever is idle is put to rest at once.
    let options = StoreOptions { cache_bytes: 0, ..StoreOptions::default() };
    let store = Store::open(sim.restart(), RootKey([1; 32]), options).unwrap();
    for workspace in [WORKSPACE, OTHER] {
        store.create_workspace(&OperatorScope::grant(), workspace).unwrap();
    }
    store
}

fn at(collection: &str, partition: &str) -> PartitionRef {
    let partition = (!partition.is_empty()).then(|| PartitionName::new(partition).unwrap());
    PartitionRef { collection: collection.to_owned(), partition }
}

fn whole() -> Scope {
    Scope::grant(WORKSPACE, Reach::Workspace)
}

fn of_collection(name: &str) -> Scope {
    Scope::grant(WORKSPACE, Reach::Collection(name.to_owned()))
}

fn put(store: &Store, workspace: WorkspaceId, at: &PartitionRef, id: &str) {
    let scope = Scope::grant(workspace, Reach::Workspace);
    let partition = store.partition_for_write(&scope, at, CollectionSpec::cosine(2)).unwrap();
    let passage = |vector| NewPassage { text: Passage::Own("whale".to_owned()), vector };
    let document = NewDocument {
        id: Some(id.to_owned()),
        passages: vec![passage(vec![1.0, 0.0]), passage(vec![0.0, 1.0])],
        ..NewDocument::default()
    };
    partition.put(document).unwrap();
}

/// `one` is in three partitions of `notes`, deleted in one more; in another collection, and in another workspace.
fn filled(sim: &Sim) -> Store {
    let store = open(sim);
    for name in ["", "acme", "globex", "initech"] {
        put(&store, WORKSPACE, &at("notes", name), "one");
        put(&store, WORKSPACE, &at("notes", name), &format!("{name}'s"));
    }
    put(&store, WORKSPACE, &at("notes", "hooli"), "two");
    put(&store, WORKSPACE, &at("letters", "acme"), "one");
    put(&store, OTHER, &at("notes", "acme"), "one");
    store.partition(&whole(), &at("notes", "globex")).unwrap().unwrap().delete("one").unwrap();
    store
}

fn holders(store: &Store, scope: &Scope, collection: &str, id: &str) -> Vec<Option<String>> {
    let found = store.holders(scope, collection, id).unwrap();
    assert!(found.unread.is_none());
    for partition in &found.partitions {
        assert!(partition.get(id).unwrap().is_some());
    }
    found.partitions.iter().map(|partition| partition.name()).collect()
}

/// Without this, a call that has nothing but an id would miss a tenant's document, reach past its key, or reach what was deleted.
#[test]
fn the_partitions_that_hold_a_document_are_found() {
    let sim = Sim::new(1);
    let mut store = filled(&sim);
    let name = |name: &str| Some(name.to_owned());
    for when in ["in memory", "flushed", "opened again"] {
        for scope in [whole(), of_collection("notes")] {
            let all = holders(&store, &scope, "notes", "one");
            assert_eq!(all, [None, name("acme"), name("initech")], "{when}");
            assert_eq!(holders(&store, &scope, "notes", "acme's"), [name("acme")], "{when}");
            assert_eq!(holders(&store, &scope, "notes", "nobody's"), [], "{when}");
        }
        let pinned = |partition| Scope::grant(WORKSPACE, Reach::Partition(at("notes", partition)));
        assert_eq!(holders(&store, &pinned("acme"), "notes", "one"), [name("acme")], "{when}");
        assert_eq!(holders(&store, &pinned(""), "notes", "one"), [None], "{when}");
        for elsewhere in ["globex", "hooli", "not there"] {
            assert_eq!(holders(&store, &pinned(elsewhere), "notes", "one"), [], "{when}");
        }
        for scope in
            [of_collection("letters"), Scope::grant(WORKSPACE, Reach::Partition(at("letters", "acme")))]
        {
            let refused = store.holders(&scope, "notes", "one");
            assert!(matches!(refused, Err(StoreError::Forbidden)), "{when}");
        }
        match when {
            "in memory" => {
                store.flush().unwrap();
            }
            _ => {
                drop(store);
                store = open(&sim);
            }
        }
    }
}

/// Without this, one call by an id would open, and keep open, each of a collection's many partitions.
#[test]
fn looking_for_a_document_wakes_only_those_that_hold_it() {
    let sim = Sim::new(1);
    filled(&sim).flush().unwrap();
    let store = open(&sim);
    assert_eq!(holders(&store, &whole(), "notes", "acme's").len(), 1);
    // Maintenance says how many it put to rest again.
    assert_eq!(store.run_maintenance().unwrap().closed, 1);
}

/// Without this, a partition that can't be read would be passed over as if it held nothing.
#[test]
fn a_partition_that_cannot_be_looked_at_is_told() {
    let sim = Sim::new(1);
    let store = filled(&sim);
    store.flush().unwrap();
    drop(store);
    let segments: Vec<(String, Vec<u8>)> =
        sim.files().into_iter().filter(|(name, _)| name.starts_with("segments/")).collect();
    let mut told = BTreeSet::new();
    for (name, bytes) in &segments {
        for offset in (0..bytes.len() as u64).step_by(4096 / 8) {
            let damaged = sim.snapshot();
            damaged.flip_bit(name, offset, 0);
            let store = open(&damaged);
            let found = store.holders(&whole(), "notes", "one").unwrap();
            let names: Vec<Option<String>> = found.partitions.iter().map(|one| one.name()).collect();
            let names: Vec<Option<&str>> = names.iter().map(Option::as_deref).collect();
            let whole = [None, Some("acme"), Some("initech")];
            assert!(names.iter().all(|name| whole.contains(name)));
            assert!(names == whole || found.unread.is_some(), "{names:?} and no word of what is missing");
            told.insert((names.len(), found.unread.is_some()));
        }
    }
    assert!(told.contains(&(2, true)), "no damage took one of them: {told:?}");
}

/// Without this, a collection's figures would count another's documents, or its own tenants' twice.
#[test]
fn a_collection_is_summed() {
    let sim = Sim::new(1);
    let store = filled(&sim);
    for _ in 0..2 {
        let sums = |scope: &Scope| store.collection_totals(scope, "notes").unwrap();
        for scope in [whole(), of_collection("notes")] {
            let sums = sums(&scope);
            assert_eq!((sums.partitions, sums.counts.documents, sums.counts.deleted), (5, 8, 1));
            assert_eq!((sums.counts.passages, sums.stored_bytes > 0), (16, true));
        }
        let pinned = sums(&Scope::grant(WORKSPACE, Reach::Partition(at("notes", "acme"))));
        assert_eq!((pinned.partitions, pinned.counts.documents), (1, 2));
        let refused = store.collection_totals(&of_collection("letters"), "notes");
        assert!(matches!(refused, Err(StoreError::Forbidden)));
        assert_eq!(store.collection_totals(&whole(), "nothing").unwrap().partitions, 0);
        store.flush().unwrap();
    }
}
