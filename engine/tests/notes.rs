//! Notes of a partition that the host keeps, sealed under the partition's key.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    ActingAs, CollectionSpec, NewDocument, NewPassage, OperatorScope, PartitionName, PartitionRef, Passage,
    Reach, RootKey, Scope, Store, StoreOptions, WorkspaceId,
};

fn at(name: &str) -> PartitionRef {
    PartitionRef { collection: "default".to_owned(), partition: Some(PartitionName::new(name).unwrap()) }
}

fn put(store: &Store, scope: &Scope, at: &PartitionRef, id: &str) {
    let passage = NewPassage { text: Passage::Own("text".to_owned()), vector: vec![1.0, 0.0] };
    let document = NewDocument {
        id: Some(id.to_owned()),
        content: b"text".to_vec(),
        passages: vec![passage],
        ..NewDocument::default()
    };
    store.partition_for_write(scope, at, CollectionSpec::cosine(2)).unwrap().put(document).unwrap();
}

/// Lost otherwise: who read what in a partition could be read with another tenant's key, from a copy of the host's tables, or
/// after the partition was dropped; or an upgrade of the server would lose it.
#[test]
fn a_note_opens_for_its_own_partition_alone_and_goes_with_it() {
    let (workspace, foreign) = (WorkspaceId([7; 16]), WorkspaceId([8; 16]));
    let all = Scope::grant(workspace, Reach::Workspace).acting_as(ActingAs::Administrator);
    let of = |name: &str| Scope::grant(workspace, Reach::Partition(at(name)));
    let (sim, operator) = (Sim::new(1), OperatorScope::grant());
    let open = || Store::open(sim.restart(), RootKey([1; 32]), StoreOptions::default()).unwrap();
    let store = open();
    store.create_workspace(&operator, workspace).unwrap();
    store.create_workspace(&operator, foreign).unwrap();
    put(&store, &all, &at("acme"), "a");
    put(&store, &all, &at("acme"), "b");
    put(&store, &all, &at("globex"), "a");
    assert!(store.seal_note(&all, &at("nobody"), b"x").unwrap().is_none());
    assert!(store.seal_note(&of("globex"), &at("acme"), b"x").is_err());
    let note = store.seal_note(&of("acme"), &at("acme"), b"who read what").unwrap().unwrap();
    assert!(!note.sealed.windows(4).any(|bytes| bytes == b"read"));
    drop(store);
    let store = open();
    let opened = |scope: &Scope, sealed: &[u8]| store.open_notes(scope, &[sealed]).unwrap().remove(0);
    assert_eq!(opened(&all, &note.sealed).unwrap(), b"who read what");
    assert_eq!(opened(&of("acme"), &note.sealed).unwrap(), b"who read what");
    let collection = Scope::grant(workspace, Reach::Collection("default".to_owned()));
    let elsewhere = Scope::grant(foreign, Reach::Workspace);
    for scope in [&of("globex"), &of("nobody"), &collection, &elsewhere] {
        assert_eq!(opened(scope, &note.sealed), None, "{scope:?}");
    }
    for bit in 0..note.sealed.len() {
        let mut bent = note.sealed.clone();
        bent[bit] ^= 1;
        assert_eq!(opened(&all, &bent), None, "byte {bit}");
        assert_eq!(opened(&all, &note.sealed[..bit]), None, "cut at {bit}");
    }
    // A purge rewrites the partition under another key.
    let purged = store.seal_note(&all, &at("globex"), b"x").unwrap().unwrap();
    store.purge(&all, &at("globex"), &["a"]).unwrap();
    assert_eq!(opened(&all, &purged.sealed), None);
    store.drop_partition(&all, &at("acme")).unwrap();
    assert_eq!(opened(&all, &note.sealed), None);
    put(&store, &all, &at("acme"), "a");
    assert_eq!(opened(&all, &note.sealed), None);
    assert!(store.seal_note(&all, &at("acme"), b"x").unwrap().is_some());
}
