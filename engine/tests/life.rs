//! One partition's life through the public calls, on the simulated machine: what a newcomer reads first.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    CollectionSpec, Filter, NewDocument, NewPassage, OperatorScope, Partition, PartitionName, PartitionRef,
    Passage, Query, Reach, RootKey, Scope, SearchRequest, Store, StoreOptions, Unit, WorkspaceId, WriteError,
};

const WORKSPACE: WorkspaceId = WorkspaceId([7; 16]);

fn open(sim: &Sim) -> Store {
    let store = Store::open(sim.restart(), RootKey([1; 32]), StoreOptions::default()).unwrap();
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).unwrap();
    store
}

fn scope() -> Scope {
    Scope::grant(WORKSPACE, Reach::Workspace)
}

fn at(name: &str) -> PartitionRef {
    PartitionRef { collection: "default".to_owned(), partition: Some(PartitionName::new(name).unwrap()) }
}

fn writable(store: &Store, name: &str) -> Partition {
    store.partition_for_write(&scope(), &at(name), CollectionSpec::cosine(2)).unwrap()
}

fn document(text: &str, vector: [f32; 2], tags: &[&str]) -> NewDocument {
    NewDocument {
        filename: format!("{text}.txt"),
        content_type: "text/plain".to_owned(),
        content: text.as_bytes().to_vec(),
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        passages: vec![NewPassage {
            text: Passage::Range { start: 0, end: text.len() as u32 },
            vector: vector.to_vec(),
        }],
        ..NewDocument::default()
    }
}

fn search(partition: &Partition, vector: [f32; 2], filter: &Filter) -> Vec<String> {
    let request = SearchRequest {
        query: Query::Vector(&vector),
        unit: Unit::Documents,
        k: 10,
        filter,
        similarity_min: 0.0,
        recall: None,
        ages: None,
        with_content: false,
    };
    partition.search(&request).unwrap().hits.into_iter().map(|hit| hit.passage).collect()
}

/// Without this, the main job fails: what went in is not found, what was deleted is, or a restart loses it.
#[test]
fn documents_live_through_flush_restart_delete_and_restore() {
    let sim = Sim::new(1);
    let mut store = open(&sim);
    let all = Filter::default();
    let acme = writable(&store, "acme");
    let east = acme.put(document("east", [3.0, 0.0], &["a", "b"])).unwrap();
    let north = acme.put(document("north", [0.0, 2.0], &["b"])).unwrap();
    writable(&store, "globex").put(document("secret", [1.0, 0.0], &["a"])).unwrap();
    for round in 0..12 {
        let acme = store.partition(&scope(), &at("acme")).unwrap().unwrap();
        assert_eq!(search(&acme, [1.0, 0.1], &all), ["east", "north"], "round {round}");
        let tagged = |all: &[&str], any: &[&str]| Filter {
            all_tags: all.iter().map(|&tag| tag.to_owned()).collect(),
            any_tags: any.iter().map(|&tag| tag.to_owned()).collect(),
            ..Filter::default()
        };
        assert_eq!(search(&acme, [1.0, 0.1], &tagged(&["a", "b"], &[])), ["east"]);
        assert_eq!(search(&acme, [1.0, 0.1], &tagged(&[], &["a", "b"])), ["east", "north"]);
        assert_eq!(search(&acme, [1.0, 0.1], &tagged(&["c"], &["a"])), [""; 0]);

        acme.delete(&east.id).unwrap();
        assert!(matches!(acme.delete(&east.id), Err(WriteError::AlreadyDeleted)));
        assert_eq!(acme.get(&east.id).unwrap(), None);
        if round % 2 == 0 {
            store.flush().unwrap();
        }
        if round % 3 == 0 {
            sim.crash();
            store = open(&sim);
        }
        let acme = store.partition(&scope(), &at("acme")).unwrap().unwrap();
        assert_eq!(search(&acme, [1.0, 0.1], &all), ["north"], "round {round}");
        acme.restore(&east.id).unwrap();
        assert!(matches!(acme.restore(&east.id), Err(WriteError::NotDeleted)));
        let updated = acme.update(&north.id, document("north", [0.0, 1.0], &["b"])).unwrap();
        assert_eq!(updated.version, round + 2);
        assert_eq!(acme.content(&east.id).unwrap().unwrap().1, b"east");
        assert_eq!(acme.list(&all, 0, 10).unwrap().total, 2);
    }
}

/// Without this, an erased customer's data would be there after all.
#[test]
fn a_dropped_partition_is_gone_and_its_name_begins_anew() {
    for flushed in [false, true] {
        let sim = Sim::new(2);
        let mut store = open(&sim);
        let acme = writable(&store, "acme-by-name");
        let kept = acme.put(document("plain words of acme", [1.0, 0.0], &["tag-of-acme"])).unwrap();
        let deleted = acme.put(document("deleted", [1.0, 0.0], &[])).unwrap();
        acme.delete(&deleted.id).unwrap();
        if flushed {
            store.flush().unwrap();
        }
        let (counts, _) = store.drop_partition(&scope(), &at("acme-by-name")).unwrap().unwrap();
        assert_eq!((counts.documents, counts.deleted), (1, 1));
        assert!(store.drop_partition(&scope(), &at("acme-by-name")).unwrap().is_none());
        assert!(acme.get(&kept.id).is_err(), "a handle from before reaches nothing");
        let anew = writable(&store, "acme-by-name");
        assert_eq!(anew.get(&kept.id).unwrap(), None);
        anew.put(document("new", [1.0, 0.0], &[])).unwrap();
        for _ in 0..2 {
            sim.crash();
            store = open(&sim);
            let acme = store.partition(&scope(), &at("acme-by-name")).unwrap().unwrap();
            assert_eq!(search(&acme, [1.0, 0.0], &Filter::default()), ["new"]);
            store.flush().unwrap();
        }
        for (name, bytes) in sim.files().into_iter().chain(sim.residue()) {
            for plain in ["plain words", "tag-of-acme", "acme-by-name"] {
                assert!(
                    !bytes.windows(plain.len()).any(|w| w == plain.as_bytes()),
                    "{plain} stands in {name}"
                );
            }
        }
    }
}
