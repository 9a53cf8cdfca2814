//! Documents that come in the place of others.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    CollectionSpec, DocumentInfo, Filter, NewDocument, NewPassage, OperatorScope, Partition, PartitionRef,
    Passage, Reach, RootKey, Scope, Store, StoreOptions, WorkspaceId, WriteError,
};

const WORKSPACE: WorkspaceId = WorkspaceId([7; 16]);

fn open(sim: &Sim) -> (Store, Partition) {
    let store = Store::open(sim.restart(), RootKey([1; 32]), StoreOptions::default()).unwrap();
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).unwrap();
    let at = PartitionRef { collection: "default".to_owned(), partition: None };
    let scope = Scope::grant(WORKSPACE, Reach::Workspace);
    let partition = store.partition_for_write(&scope, &at, CollectionSpec::cosine(2)).unwrap();
    (store, partition)
}

fn document(id: &str, text: &str) -> NewDocument {
    NewDocument {
        id: Some(id.to_owned()),
        content: text.as_bytes().to_vec(),
        passages: vec![NewPassage { text: Passage::Own(text.to_owned()), vector: vec![1.0, 0.5] }],
        ..NewDocument::default()
    }
}

fn contents(partition: &Partition) -> Vec<(String, u32, String)> {
    let page = partition.list(&Filter::default(), 0, 100).unwrap();
    let mut all: Vec<_> = page
        .documents
        .iter()
        .map(|info| {
            let (_, content) = partition.content(&info.id).unwrap().unwrap();
            (info.id.clone(), info.version, String::from_utf8(content).unwrap())
        })
        .collect();
    all.sort();
    all
}

/// Lost otherwise: a batch of vectors that is sent again would be refused, be stored twice, or be stored by half.
#[test]
fn an_upsert_inserts_and_replaces_together_or_not_at_all() {
    let sim = Sim::new(1);
    let (store, partition) = open(&sim);
    let first = partition.upsert_many(vec![document("a", "a1"), document("b", "b1")]).unwrap();
    let second = partition.upsert_many(vec![document("b", "b2"), document("c", "c1")]).unwrap();
    assert_eq!(second.iter().map(|info| info.version).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(second[0].created_ms, first[1].created_ms);
    let expected: Vec<(String, u32, String)> = [("a", 1, "a1"), ("b", 2, "b2"), ("c", 1, "c1")]
        .map(|(id, n, text)| (id.into(), n, text.into()))
        .into();
    assert_eq!(contents(&partition), expected);
    partition.delete("a").unwrap();
    let taken = partition.upsert_many(vec![document("d", "d1"), document("a", "a2")]);
    assert!(matches!(taken, Err(WriteError::Exists)));
    let twice = partition.upsert_many(vec![document("d", "d1"), document("d", "d2")]);
    assert!(matches!(twice, Err(WriteError::Invalid { .. })));
    partition.restore("a").unwrap();
    store.flush().unwrap();
    partition.upsert_many(vec![document("c", "c2")]).unwrap();
    drop((store, partition));
    let (_store, partition) = open(&sim);
    let expected: Vec<(String, u32, String)> = [("a", 1, "a1"), ("b", 2, "b2"), ("c", 2, "c2")]
        .map(|(id, n, text)| (id.into(), n, text.into()))
        .into();
    assert_eq!(contents(&partition), expected);
}

/// Lost otherwise: embedding a collection anew would undo what a user changed meanwhile.
#[test]
fn only_the_version_that_was_read_is_replaced() {
    let (_store, partition) = open(&Sim::new(1));
    partition.put(document("a", "first")).unwrap();
    partition.update("a", document("a", "second")).unwrap();
    let late = partition.update_version("a", 1, document("a", "of the first"));
    assert!(matches!(late, Err(WriteError::Changed)));
    assert_eq!(partition.update_version("a", 2, document("a", "third")).unwrap().version, 3);
    assert!(matches!(partition.update_version("b", 1, document("b", "none")), Err(WriteError::NotFound)));
}

/// Lost otherwise: what a host notes of a document would go with the text that it was noted of, or be of a text that came between.
#[test]
fn an_update_keeps_of_the_metadata_what_it_is_told_to() {
    let (store, partition) = open(&Sim::new(1));
    let with = |metadata: &str| NewDocument { metadata: metadata.to_owned(), ..document("a", "text") };
    partition.put(with("one")).unwrap();
    let keep = |before: &DocumentInfo, now: &str| format!("{} {now}", before.metadata);
    assert_eq!(partition.update_telling("a", with("two"), keep).unwrap().metadata, "one two");
    store.flush().unwrap();
    assert_eq!(partition.update_telling("a", with("three"), keep).unwrap().metadata, "one two three");
    assert_eq!(partition.get("a").unwrap().unwrap().metadata, "one two three");
    let much = |_: &DocumentInfo, _: &str| "x".repeat((256 << 10) + 1);
    assert!(matches!(partition.update_telling("a", with("four"), much), Err(WriteError::TooLarge { .. })));
    assert_eq!(partition.update("a", with("five")).unwrap().metadata, "five");
}
