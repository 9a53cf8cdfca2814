//! Documents that go from one partition to another.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use strongroom_engine::io::sim::{Fault, Sim};
use strongroom_engine::{
    CollectionSpec, Filter, NewDocument, NewPassage, Once, OperatorScope, Partition, PartitionName,
    PartitionRef, Passage, Query, Reach, RootKey, Scope, SearchRequest, Store, StoreOptions, Unit,
    WorkspaceId, WriteError,
};

const WORKSPACE: WorkspaceId = WorkspaceId([7; 16]);

fn at(name: &str) -> PartitionRef {
    PartitionRef { collection: "default".to_owned(), partition: PartitionName::new(name).ok() }
}

fn scope() -> Scope {
    Scope::grant(WORKSPACE, Reach::Workspace)
}

fn open(sim: &Sim) -> Store {
    let store = Store::open(sim.restart(), RootKey([1; 32]), StoreOptions::default()).unwrap();
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).unwrap();
    store
}

fn writable(store: &Store, name: &str) -> Partition {
    store.partition_for_write(&scope(), &at(name), CollectionSpec::cosine(2)).unwrap()
}

fn document(id: &str, text: &str) -> NewDocument {
    let passage = |vector| NewPassage { text: Passage::Own(text.to_owned()), vector };
    NewDocument {
        id: Some(id.to_owned()),
        filename: "a.txt".to_owned(),
        content_type: "text/plain".to_owned(),
        content: text.as_bytes().to_vec(),
        tags: vec!["tag".to_owned()],
        metadata: r#"{"a": 1}"#.to_owned(),
        entity: Some("whom".to_owned()),
        source: Some("whence".to_owned()),
        passages: vec![passage(vec![1.0, 0.0]), passage(vec![0.0, 3.0])],
        ..NewDocument::default()
    }
}

fn ids(store: &Store, name: &str) -> Vec<String> {
    let Some(partition) = store.partition(&scope(), &at(name)).unwrap() else { return Vec::new() };
    let page = partition.list(&Filter::default(), 0, 100).unwrap();
    let mut ids: Vec<String> = page.documents.into_iter().map(|document| document.id).collect();
    ids.sort();
    ids
}

fn best(partition: &Partition, vector: [f32; 2]) -> (String, f32) {
    let request = SearchRequest {
        query: Query::Vector(&vector),
        unit: Unit::Documents,
        k: 1,
        filter: &Filter::default(),
        similarity_min: 0.0,
        recall: None,
        ages: None,
        with_content: false,
    };
    let hit = partition.search(&request).unwrap().hits.remove(0);
    (hit.document.id, hit.score)
}

/// Lost otherwise: a document would come to its new owner without a part of itself, or stay with the old one.
#[test]
fn a_document_comes_whole_and_leaves_nothing() {
    for flushed in [false, true] {
        let sim = Sim::new(1);
        let store = open(&sim);
        let acme = writable(&store, "acme");
        acme.put_many(vec![document("kept", "kept"), document("moved", "moved text")]).unwrap();
        let before = acme.get("moved").unwrap().unwrap();
        if flushed {
            store.flush().unwrap();
        }
        let globex = writable(&store, "globex");
        let moved = acme.move_to(&globex, &["moved"]).unwrap().remove(0);
        assert_eq!(moved.version, before.version + 1);
        for open_anew in [false, true] {
            let store = if open_anew {
                sim.crash();
                open(&sim)
            } else {
                open(&sim.snapshot())
            };
            assert_eq!(
                (ids(&store, "acme"), ids(&store, "globex")),
                (vec!["kept".to_owned()], vec!["moved".to_owned()])
            );
            let globex = writable(&store, "globex");
            let (found, content) = globex.content("moved").unwrap().unwrap();
            let expected = strongroom_engine::DocumentInfo { version: before.version + 1, ..before.clone() };
            assert_eq!((found, content), (expected, b"moved text".to_vec()));
            for vector in [[1.0, 0.0], [0.0, 1.0]] {
                let (id, score) = best(&globex, vector);
                assert!(id == "moved" && (score - 1.0).abs() < 1e-5, "{id} {score}");
            }
            assert!(writable(&store, "acme").restore("moved").is_err(), "nothing brings it back");
        }
    }
}

/// Lost otherwise: a document that is not there would be moved by half, or another tenant's be overwritten.
#[test]
fn what_cannot_move_stays() {
    let sim = Sim::new(2);
    let store = open(&sim);
    let (acme, globex) = (writable(&store, "acme"), writable(&store, "globex"));
    acme.put_many(vec![document("a", "a"), document("b", "b"), document("c", "c")]).unwrap();
    globex.put(document("b", "theirs")).unwrap();
    acme.delete("c").unwrap();
    assert!(matches!(acme.move_to(&globex, &["a", "b"]), Err(WriteError::Exists)));
    assert!(matches!(acme.move_to(&globex, &["a", "c"]), Err(WriteError::NotFound)));
    assert!(matches!(acme.move_to(&globex, &["a", "missing"]), Err(WriteError::NotFound)));
    assert!(matches!(acme.move_to(&acme, &["a"]), Err(WriteError::Invalid { .. })));
    let flat = CollectionSpec::cosine(3);
    let other = store.partition_for_write(&scope(), &at("flat"), flat).unwrap();
    assert!(matches!(acme.move_to(&other, &["a"]), Err(WriteError::Invalid { .. })));
    assert_eq!(
        (ids(&store, "acme"), ids(&store, "globex")),
        (vec!["a".to_owned(), "b".to_owned()], vec!["b".to_owned()])
    );
    assert_eq!(globex.content("b").unwrap().unwrap().1, b"theirs");
}

/// Lost otherwise: a crash would lose a document that is being moved, or leave a copy with the tenant that must not have it.
#[test]
fn a_crash_at_any_step_leaves_it_in_exactly_one() {
    let request = || Arc::new(Once::new([1; 16], [1; 16]));
    let make = || {
        let sim = Sim::new(3);
        let store = open(&sim);
        writable(&store, "acme").put(document("a", "text")).unwrap();
        store.flush().unwrap();
        (sim, store)
    };
    let steps = {
        let (sim, store) = make();
        let before = sim.steps();
        writable(&store, "acme").move_to(&writable(&store, "globex"), &["a"]).unwrap();
        sim.steps() - before
    };
    let mut outcomes = [0; 2];
    for step in 0..=steps {
        let (sim, store) = make();
        if step < steps {
            sim.fail_after(step, Fault::Crash);
        }
        let spec = CollectionSpec::cosine(2);
        let from = store.partition_for_write(&scope(), &at("acme"), spec);
        let to = store.partition_for_write(&scope(), &at("globex"), spec);
        let done = from
            .ok()
            .zip(to.ok())
            .is_some_and(|(from, to)| from.move_to(&to.once(&request()), &["a"]).is_ok());
        drop(store);
        sim.crash();
        let store = open(&sim);
        let (left, come) = (ids(&store, "acme").len(), ids(&store, "globex").len());
        assert_eq!(left + come, 1, "step {step}");
        assert!(!done || come == 1, "step {step}: acknowledged");
        outcomes[come] += 1;
        // Whoever asks again is answered, and it is there.
        let asked = request();
        let moved =
            writable(&store, "acme").move_to(&writable(&store, "globex").once(&asked), &["a"]).unwrap();
        assert_eq!((moved[0].version, asked.was_answered()), (2, come == 1), "step {step}");
        assert_eq!((ids(&store, "acme").len(), ids(&store, "globex").len()), (0, 1), "step {step}");
    }
    assert!(outcomes.iter().all(|&n| n > 0), "{outcomes:?}");
}

/// Lost otherwise: two moves that cross each other would wait for each other for ever, or a reader see a document twice.
#[test]
fn moves_to_and_fro_go_on_beside_readers() {
    let sim = Sim::new(4);
    let store = open(&sim);
    let (acme, globex) = (writable(&store, "acme"), writable(&store, "globex"));
    acme.put(document("a", "text")).unwrap();
    globex.put(document("g", "text")).unwrap();
    let to_and_fro = |from: &Partition, to: &Partition, id: &str| {
        for _ in 0..200 {
            from.move_to(to, &[id]).unwrap();
            to.move_to(from, &[id]).unwrap();
        }
        from.move_to(to, &[id]).unwrap();
    };
    std::thread::scope(|threads| {
        let moving = threads.spawn(|| to_and_fro(&acme, &globex, "a"));
        threads.spawn(|| to_and_fro(&globex, &acme, "g"));
        while !moving.is_finished() {
            // Where it goes is asked in both orders: what moves meanwhile is missed, and never seen in two places at once.
            let page = |partition: &Partition| partition.get("a").unwrap().map(|found| found.version);
            let (first, second, third) = (page(&acme), page(&globex), page(&acme));
            let is_twice = first.is_some() && first == third && second.is_some();
            assert!(!is_twice, "{first:?} {second:?} {third:?}");
        }
    });
    assert_eq!((ids(&store, "acme"), ids(&store, "globex")), (vec!["g".to_owned()], vec!["a".to_owned()]));
    assert_eq!(globex.get("a").unwrap().unwrap().version, 402);
}
