//! How does a benchmark fill and search a store of the engine, without a server?

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use strongroom_engine::io::{Medium, disk};
use strongroom_engine::{
    CollectionSpec, Filter, NewDocument, NewPassage, OpenError, OperatorScope, Partition, PartitionName,
    PartitionRef, Passage, Query, Reach, RootKey, Scope, SearchRequest, Store, StoreOptions, Unit,
    WorkspaceId,
};

const WORKSPACE: WorkspaceId = WorkspaceId([1; 16]);

/// Opens the store in a folder.
///
/// # Errors
/// What the engine says: a folder written by another build of it may not open.
///
/// # Panics
/// When the folder is no place for a store.
pub fn try_open(folder: &Path) -> Result<Store, OpenError> {
    let medium = disk::medium(folder).expect("a folder that can be written");
    Store::open(medium, RootKey([1; 32]), StoreOptions::default())
}

/// Opens the store in a folder with options of its own.
///
/// # Panics
/// When it doesn't open.
pub fn open_with(folder: &Path, options: StoreOptions) -> Store {
    let medium = disk::medium(folder).expect("a folder that can be written");
    Store::open(medium, RootKey([1; 32]), options).expect("a store that opens")
}

/// Opens the store on a medium.
///
/// # Panics
/// When it doesn't open.
pub fn open_on(medium: Medium) -> Store {
    Store::open(medium, RootKey([1; 32]), StoreOptions::default()).expect("a store that opens")
}

/// Opens the store in a folder.
///
/// # Panics
/// When it doesn't open.
pub fn open(folder: &Path) -> Store {
    try_open(folder).expect("a store that opens")
}

/// Makes a store with one workspace in a folder.
///
/// # Panics
/// When the engine refuses.
pub fn make(folder: &Path) -> Store {
    let store = open(folder);
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).expect("a workspace");
    store
}

/// A partition that is there.
///
/// # Panics
/// When it isn't.
pub fn partition(store: &Store, name: &str) -> Partition {
    let found = store.partition(&scope(), &at(name)).expect("an answer");
    found.unwrap_or_else(|| panic!("the partition {name}"))
}

/// A partition that its first write makes.
///
/// # Panics
/// When the engine refuses.
pub fn new_partition(store: &Store, name: &str, dimension: usize) -> Partition {
    let spec = CollectionSpec::cosine(dimension as u32);
    store.partition_for_write(&scope(), &at(name), spec).expect("a partition")
}

fn scope() -> Scope {
    Scope::grant(WORKSPACE, Reach::Workspace)
}

fn at(name: &str) -> PartitionRef {
    let partition = Some(PartitionName::new(name).expect("a name"));
    PartitionRef { collection: "default".to_owned(), partition }
}

/// A document of one passage.
pub fn document(text: &str, vector: Vec<f32>) -> NewDocument {
    NewDocument {
        content_type: "text/plain".to_owned(),
        content: text.as_bytes().to_vec(),
        passages: vec![NewPassage { text: Passage::Range { start: 0, end: text.len() as u32 }, vector }],
        ..NewDocument::default()
    }
}

/// How many partitions the store holds.
pub fn partitions(store: &Store) -> usize {
    store.node_totals(&OperatorScope::grant()).partitions as usize
}

/// How many documents the store holds.
pub fn documents(store: &Store) -> u64 {
    store.node_totals(&OperatorScope::grant()).counts.documents
}

/// Runs the jobs that the engine offers, when there are any.
///
/// # Panics
/// When one fails.
pub fn maintain(store: &Store) {
    if store.wants_maintenance() {
        store.run_maintenance().expect("a round of maintenance");
    }
}

/// How long it takes to reach a partition by its name and to find the ten nearest in it.
///
/// # Panics
/// When nothing is found: a search of nothing measures nothing.
pub fn time_search(store: &Store, name: &str, vector: &[f32]) -> Duration {
    let begun = Instant::now();
    let filter = Filter::default();
    let request = SearchRequest {
        query: Query::Vector(vector),
        unit: Unit::Documents,
        k: 10,
        filter: &filter,
        similarity_min: 0.0,
        recall: None,
        ages: None,
        with_content: false,
    };
    let found = black_box(partition(store, name).search(&request)).expect("an answer");
    let time = begun.elapsed();
    assert!(!found.hits.is_empty(), "a search that found nothing");
    time
}
