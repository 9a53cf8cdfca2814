//! Requests that are done once, however often they are asked for.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use strongroom_engine::io::sim::{Fault, Sim};
use strongroom_engine::{
    CollectionSpec, Filter, NewDocument, NewPassage, Once, OperatorScope, Partition, PartitionRef, Passage,
    Reach, RootKey, Scope, Store, StoreOptions, WorkspaceId, WriteError,
};

const WORKSPACE: WorkspaceId = WorkspaceId([7; 16]);
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn at() -> PartitionRef {
    PartitionRef { collection: "default".to_owned(), partition: None }
}

fn scope() -> Scope {
    Scope::grant(WORKSPACE, Reach::Workspace)
}

fn open(sim: &Sim) -> Store {
    let store = Store::open(sim.restart(), RootKey([1; 32]), StoreOptions::default()).unwrap();
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).unwrap();
    store
}

fn partition(store: &Store) -> Partition {
    store.partition_for_write(&scope(), &at(), CollectionSpec::cosine(2)).unwrap()
}

fn document(text: &str) -> NewDocument {
    NewDocument {
        content: text.as_bytes().to_vec(),
        passages: vec![NewPassage { text: Passage::Own(text.to_owned()), vector: vec![1.0, 0.5] }],
        ..NewDocument::default()
    }
}

fn once(key: u8, request: u8) -> Arc<Once> {
    Arc::new(Once::new([key; 16], [request; 16]))
}

fn documents(partition: &Partition) -> u64 {
    partition.list(&Filter::default(), 0, 10).unwrap().total
}

/// Inserts under a key; its id, and whether it was there already.
fn insert(store: &Store, key: u8, request: u8) -> Result<(String, bool), WriteError> {
    let asked = once(key, request);
    let stored = partition(store).once(&asked).put(document("text"))?;
    Ok((stored.id, asked.was_answered()))
}

/// Lost otherwise: a client that retries after a lost answer would have its document twice, as soon as the server was
/// restarted, its segments merged, or another document purged.
#[test]
fn a_memo_outlives_flushes_merges_purges_and_crashes() {
    let sim = Sim::new(1);
    let mut store = open(&sim);
    let (first, again) = insert(&store, 1, 1).unwrap();
    assert!(!again);
    for round in 0..9 {
        assert_eq!(insert(&store, 1, 1).unwrap(), (first.clone(), true), "round {round}");
        assert!(matches!(insert(&store, 1, 2), Err(WriteError::AnotherRequest)), "round {round}");
        // Something else to flush and merge, and to be rewritten for.
        let other = partition(&store).put(document("other")).unwrap().id;
        if round % 2 == 0 {
            store.flush().unwrap();
        }
        if round % 3 == 0 {
            store.purge(&scope(), &at(), &[&other]).unwrap();
        }
        store.run_maintenance().unwrap();
        if round % 4 == 3 {
            sim.crash();
            store = open(&sim);
        }
    }
    // Segments that are merged, with nothing purged.
    for _ in 0..24 {
        partition(&store).put(document("more")).unwrap();
        store.flush().unwrap();
        store.run_maintenance().unwrap();
    }
    sim.crash();
    let store = open(&sim);
    assert_eq!(insert(&store, 1, 1).unwrap(), (first.clone(), true), "after merges");
    // Also when nothing is left but the memo; the answer then has the id alone.
    let ids: Vec<String> = {
        let page = partition(&store).list(&Filter::default(), 0, 100).unwrap();
        page.documents.into_iter().map(|document| document.id).collect()
    };
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    store.purge(&scope(), &at(), &ids).unwrap();
    let store = {
        drop(store);
        sim.crash();
        open(&sim)
    };
    assert_eq!(insert(&store, 1, 1).unwrap(), (first, true));
    assert_eq!(documents(&partition(&store)), 0);
}

/// Lost otherwise: keys would be kept for ever, or a retry within the day would insert twice.
#[test]
fn a_key_is_free_after_a_day_and_after_a_drop() {
    let sim = Sim::new(2);
    let store = open(&sim);
    let (first, _) = insert(&store, 1, 1).unwrap();
    sim.advance_ms(DAY_MS - 1);
    assert_eq!(insert(&store, 1, 1).unwrap(), (first.clone(), true));
    sim.advance_ms(1);
    let (second, again) = insert(&store, 1, 2).unwrap();
    assert!(!again && second != first);
    store.drop_partition(&scope(), &at()).unwrap().unwrap();
    let (third, again) = insert(&store, 1, 2).unwrap();
    assert!(!again && third != second, "a dropped partition's memos went with its key");
}

/// Lost otherwise: a crash between a document and its memo would have a retry insert it again, or tell of one that isn't there.
#[test]
fn a_crash_at_any_step_leaves_both_or_neither() {
    let steps = {
        let sim = Sim::new(3);
        let store = open(&sim);
        let before = sim.steps();
        insert(&store, 1, 1).unwrap();
        sim.steps() - before
    };
    let mut outcomes = [0; 2];
    for step in 0..=steps {
        let sim = Sim::new(3);
        let store = open(&sim);
        if step < steps {
            sim.fail_after(step, Fault::Crash);
        }
        let made = store.partition_for_write(&scope(), &at(), CollectionSpec::cosine(2)).ok();
        let acknowledged = made.and_then(|own| own.once(&once(1, 1)).put(document("text")).ok());
        drop(store);
        sim.crash();
        let store = open(&sim);
        let there = documents(&partition(&store));
        let (id, again) = insert(&store, 1, 1).unwrap();
        assert_eq!(again, there == 1, "step {step}");
        if let Some(first) = acknowledged {
            assert_eq!((first.id, true), (id, again), "step {step}");
        }
        assert_eq!(documents(&partition(&store)), 1, "step {step}");
        outcomes[usize::from(again)] += 1;
    }
    assert!(outcomes.iter().all(|&n| n > 0), "{outcomes:?}");
}

/// Lost otherwise: a deletion that is asked for again would be told that there is nothing to delete, or that the id is gone.
#[test]
fn every_kind_of_write_is_done_once() {
    let sim = Sim::new(4);
    let store = open(&sim);
    let own = partition(&store);
    let id = own.put(document("one")).unwrap().id;
    for round in [false, true] {
        let asked = once(2, 2);
        let stored = own.once(&asked).update(&id, document("two")).unwrap();
        assert_eq!((stored.version, asked.was_answered()), (2, round));
        let asked = once(3, 3);
        let many = own.once(&asked).put_many(vec![document("a"), document("b")]).unwrap();
        assert_eq!((many.len(), asked.was_answered()), (2, round));
        assert_eq!(documents(&own), 3);
    }
    for round in [false, true] {
        let asked = once(4, 4);
        own.once(&asked).delete(&id).unwrap();
        assert_eq!((asked.was_answered(), documents(&own)), (round, 2));
    }
    own.once(&once(5, 5)).restore(&id).unwrap();
    // A retry that comes late changes nothing.
    own.once(&once(4, 4)).delete(&id).unwrap();
    assert_eq!(documents(&own), 3);
    for round in [false, true] {
        let asked = once(6, 6);
        store.purge_once(&scope(), &at(), &id, &asked).unwrap();
        assert_eq!((asked.was_answered(), documents(&own)), (round, 2));
    }
    for round in [false, true] {
        let is_one = |_: &str| true;
        let asked = once(8, 8);
        let deleted = own.once(&asked).delete_all(is_one).unwrap();
        assert_eq!((deleted, asked.was_answered(), documents(&own)), (2, round, 0));
    }
    assert!(matches!(own.delete_all(|_| true), Err(WriteError::AlreadyDeleted)));
    assert_eq!(own.restore_all(|_| true).unwrap(), 2);
    assert!(matches!(own.restore_all(|_| true), Err(WriteError::NotDeleted)));
    assert!(matches!(own.restore_all(|_| false), Err(WriteError::NotFound)));
    own.delete(&own.ids(|_| true).unwrap()[0].0).unwrap();
    assert_eq!(
        own.ids(|_| true).unwrap().iter().map(|(_, deleted)| *deleted).collect::<Vec<_>>(),
        [true, false]
    );
    assert_eq!((own.purge_all(|_| true).unwrap(), own.ids(|_| true).unwrap().len()), (2, 0));
    assert!(matches!(own.once(&once(7, 7)).delete("missing"), Err(WriteError::NotFound)));
    assert!(
        matches!(own.once(&once(7, 8)).delete("missing"), Err(WriteError::NotFound)),
        "what failed is not kept"
    );
}

/// Lost otherwise: two tries that cross each other would both insert.
#[test]
fn two_at_the_same_time_insert_once() {
    let sim = Sim::new(5);
    let store = open(&sim);
    for key in 0..20 {
        let ids: Vec<(String, bool)> = std::thread::scope(|threads| {
            let tries: Vec<_> = (0..4).map(|_| threads.spawn(|| insert(&store, key, 1).unwrap())).collect();
            tries.into_iter().map(|done| done.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|(id, _)| *id == ids[0].0), "{ids:?}");
        assert_eq!(ids.iter().filter(|(_, again)| !again).count(), 1, "{ids:?}");
    }
    assert_eq!(documents(&partition(&store)), 20);
}
