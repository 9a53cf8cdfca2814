//! On what terms partitions are kept: held, renamed, thrown away and brought back, over at a time of their own.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use strongroom_engine::io::sim::{Fault, Sim};
use strongroom_engine::{
    ActingAs, Amendment, CollectionSpec, Filter, NewDocument, NewPassage, OperatorScope, Partition,
    PartitionInfo, PartitionName, PartitionRef, Passage, Reach, ReadError, RootKey, Scope, Store, StoreError,
    StoreOptions, Terms, WorkspaceId, WriteError,
};

const WORKSPACE: WorkspaceId = WorkspaceId([7; 16]);
const SPEC: CollectionSpec = CollectionSpec::cosine(2);
const HOUR_MS: u64 = 3_600_000;

fn reopen(sim: &Sim) -> Store {
    let options = StoreOptions { retention_ms: HOUR_MS, ..StoreOptions::default() };
    Store::open(sim.restart(), RootKey([1; 32]), options).unwrap()
}

fn open(sim: &Sim) -> Store {
    let store = reopen(sim);
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).unwrap();
    store
}

fn scope() -> Scope {
    Scope::grant(WORKSPACE, Reach::Workspace).acting_as(ActingAs::Administrator)
}

fn at(name: &str) -> PartitionRef {
    PartitionRef { collection: "default".to_owned(), partition: Some(PartitionName::new(name).unwrap()) }
}

fn document(id: &str, expires_ms: Option<u64>) -> NewDocument {
    NewDocument {
        id: Some(id.to_owned()),
        content: id.as_bytes().to_vec(),
        expires_ms,
        passages: vec![NewPassage { text: Passage::Own(id.to_owned()), vector: vec![1.0, 0.0] }],
        ..NewDocument::default()
    }
}

fn writable(store: &Store, name: &str) -> Result<Partition, StoreError> {
    store.partition_for_write(&scope(), &at(name), SPEC)
}

fn put(store: &Store, name: &str, id: &str) {
    writable(store, name).unwrap().put(document(id, None)).unwrap();
}

/// The ids of what is there, or `None` when there is no such partition.
fn ids(store: &Store, name: &str) -> Option<Vec<String>> {
    let partition = store.partition(&scope(), &at(name)).unwrap()?;
    let page = partition.list(&Filter::default(), 0, 100).unwrap();
    let mut ids: Vec<String> = page.documents.into_iter().map(|document| document.id).collect();
    ids.sort();
    Some(ids)
}

fn amend(store: &Store, name: &str, amendment: Amendment) -> Result<Option<PartitionInfo>, StoreError> {
    store.amend(&scope(), &at(name), &amendment, |_| Ok(()))
}

fn hold(store: &Store, name: &str, held: bool) {
    amend(store, name, Amendment { held: Some(held), ..Amendment::default() }).unwrap().unwrap();
}

fn rename(store: &Store, name: &str, to: &str) -> Result<Option<PartitionInfo>, StoreError> {
    let name_of = PartitionName::new(to).unwrap();
    amend(store, name, Amendment { name: Some(name_of), ..Amendment::default() })
}

fn terms(store: &Store, name: &str) -> Option<Terms> {
    store.partition_info(&scope(), &at(name)).unwrap().map(|info| info.terms)
}

fn now_ms(sim: &Sim) -> u64 {
    sim.medium().clock.now_ms()
}

/// Each state of a store that outlives it: as it is, flushed and not, after a kill and a power cut.
fn in_each_life(sim: &Sim, store: Store, check: impl Fn(&Store)) {
    check(&store);
    drop(store);
    let store = reopen(sim);
    check(&store);
    store.flush().unwrap();
    check(&store);
    drop(store);
    sim.crash();
    let store = reopen(sim);
    check(&store);
    store.flush().unwrap();
    store.run_maintenance().unwrap();
    drop(store);
    let store = reopen(sim);
    check(&store);
}

/// Lost otherwise: what a court asked to be kept, by a delete, an update, a purge, a move, an expiry, or a drop.
#[test]
fn nothing_goes_of_what_is_held() {
    let sim = Sim::new(1);
    let store = open(&sim);
    put(&store, "acme", "kept");
    put(&store, "acme", "deleted before");
    let acme = writable(&store, "acme").unwrap();
    acme.put(document("soon over", Some(now_ms(&sim) + HOUR_MS))).unwrap();
    acme.delete("deleted before").unwrap();
    put(&store, "globex", "other");
    hold(&store, "acme", true);
    let globex = writable(&store, "globex").unwrap();
    let held =
        |outcome: Result<(), WriteError>| assert!(matches!(outcome, Err(WriteError::Held)), "{outcome:?}");
    held(acme.delete("kept"));
    held(acme.purge("kept"));
    held(acme.purge("deleted before"));
    held(acme.update("kept", document("kept", None)).map(drop));
    held(acme.upsert_many(vec![document("kept", None)]).map(drop));
    held(acme.delete_all(|_| true).map(drop));
    held(acme.purge_all(|_| true).map(drop));
    held(acme.move_to(&globex, &["kept"]).map(drop));
    let refused = |outcome: Result<(), StoreError>| {
        assert!(matches!(outcome, Err(StoreError::Write(WriteError::Held))), "{outcome:?}");
    };
    refused(store.purge(&scope(), &at("acme"), &["kept"]).map(drop));
    refused(store.drop_partition(&scope(), &at("acme")).map(drop));
    refused(store.trash_partition(&scope(), &at("acme"), HOUR_MS).map(drop));
    refused(store.drop_workspace(&OperatorScope::grant(), WORKSPACE).map(drop));
    assert!(matches!(acme.delete("missing"), Err(WriteError::NotFound)), "what isn't there is told first");
    assert_eq!(
        (store.holds(&scope(), None).unwrap(), store.holds(&scope(), Some("notes")).unwrap()),
        (true, false)
    );
    // What takes nothing goes on, beside it and in it.
    acme.put(document("new", None)).unwrap();
    globex.move_to(&acme, &["other"]).unwrap();
    drop((acme, globex));
    // Days pass: nothing expires, and what was deleted can still be brought back.
    sim.advance_ms(100 * HOUR_MS);
    in_each_life(&sim, store, |store| {
        store.run_maintenance().unwrap();
        assert_eq!(ids(store, "acme").unwrap(), ["kept", "new", "other", "soon over"]);
        assert!(matches!(
            store.drop_partition(&scope(), &at("acme")),
            Err(StoreError::Write(WriteError::Held))
        ));
    });
    let store = reopen(&sim);
    let acme = writable(&store, "acme").unwrap();
    acme.restore("deleted before").unwrap();
    hold(&store, "acme", false);
    assert_eq!(ids(&store, "acme").unwrap(), ["deleted before", "kept", "new", "other"], "time passes again");
    store.run_maintenance().unwrap();
    acme.delete("kept").unwrap();
    store.drop_partition(&scope(), &at("acme")).unwrap().unwrap();
}

/// Lost otherwise: a hold would end with a restart, or with the day on which a partition is put to rest.
#[test]
fn a_hold_outlives_rest_and_restart() {
    let sim = Sim::new(2);
    let store = open(&sim);
    put(&store, "acme", "a");
    hold(&store, "acme", true);
    let since = terms(&store, "acme").unwrap().held_ms;
    hold(&store, "acme", true);
    in_each_life(&sim, store, |store| {
        assert_eq!(terms(store, "acme").unwrap().held_ms, since, "holding what is held changes nothing");
        assert!(matches!(writable(store, "acme").unwrap().delete("a"), Err(WriteError::Held)));
    });
}

/// Lost otherwise: after a clock was set right, what a court asked for would be hidden by a hold's own time.
#[test]
fn nothing_ends_under_a_hold_that_began_by_a_later_clock() {
    let sim = Sim::new(1);
    let store = open(&sim);
    put(&store, "held", "a");
    put(&store, "other", "moved");
    hold(&store, "held", true);
    let held_ms = now_ms(&sim);
    sim.set_now_ms(held_ms - 10 * HOUR_MS);
    let end = Some(now_ms(&sim) + HOUR_MS);
    writable(&store, "held").unwrap().put(document("b", end)).unwrap();
    let other = writable(&store, "other").unwrap();
    other.put(document("c", end)).unwrap();
    other.move_to(&writable(&store, "held").unwrap(), &["c"]).unwrap();
    for later_ms in [5 * HOUR_MS, 100 * HOUR_MS] {
        sim.advance_ms(later_ms);
        assert_eq!(ids(&store, "held").unwrap(), ["a", "b", "c"], "{later_ms}");
    }
    drop(store);
    let store = reopen(&sim);
    assert_eq!(ids(&store, "held").unwrap(), ["a", "b", "c"]);
    hold(&store, "held", false);
    assert_eq!(ids(&store, "held").unwrap(), ["a"]);
}

/// Lost otherwise: a hold would be forgotten with the log, when the partition was put to rest before the manifest told of it.
#[test]
fn a_hold_is_published_before_the_log_is_cut() {
    let sim = Sim::new(10);
    let cramped = || {
        let options = StoreOptions { cache_bytes: 1, ..StoreOptions::default() };
        Store::open(sim.restart(), RootKey([1; 32]), options).unwrap()
    };
    let store = cramped();
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).unwrap();
    put(&store, "acme", "a");
    store.flush().unwrap();
    hold(&store, "acme", true);
    store.run_maintenance().unwrap();
    put(&store, "globex", "b");
    store.flush().unwrap();
    assert!(store.run_maintenance().unwrap().closed > 0, "they rest");
    drop(store);
    assert!(cramped().holds(&scope(), None).unwrap());
}

/// Lost otherwise: a drop by mistake would be for good, or what was thrown away would be read all the same.
#[test]
fn what_is_thrown_away_serves_nobody_and_comes_back() {
    let sim = Sim::new(3);
    let store = open(&sim);
    put(&store, "acme", "a");
    put(&store, "globex", "b");
    let before = writable(&store, "acme").unwrap();
    let info = store.trash_partition(&scope(), &at("acme"), HOUR_MS).unwrap().unwrap();
    assert_eq!(info.terms.trash.unwrap().shred_ms, now_ms(&sim) + HOUR_MS);
    assert!(
        matches!(before.get("a"), Err(ReadError::Dropped))
            && matches!(before.delete("a"), Err(WriteError::Dropped))
    );
    assert!(matches!(before.list(&Filter::default(), 0, 9), Err(ReadError::Dropped)));
    assert!(matches!(before.put(document("late", None)), Err(WriteError::Dropped)));
    let globex = writable(&store, "globex").unwrap();
    assert!(matches!(globex.move_to(&before, &["b"]), Err(WriteError::Dropped)));
    assert!(matches!(before.move_to(&globex, &["a"]), Err(WriteError::Dropped)));
    drop((before, globex));
    in_each_life(&sim, store, |store| {
        assert_eq!(ids(store, "acme"), None);
        assert!(matches!(writable(store, "acme"), Err(StoreError::Trashed)));
        assert!(matches!(
            store.purge(&scope(), &at("acme"), &["a"]),
            Err(StoreError::Write(WriteError::NotFound))
        ));
        assert!(store.holders(&scope(), "default", "a").unwrap().partitions.is_empty());
        let names = |infos: Vec<PartitionInfo>| -> Vec<String> {
            infos.into_iter().map(|info| info.name.unwrap().as_str().to_owned()).collect()
        };
        assert_eq!(names(store.partitions(&scope(), "default").unwrap()), ["globex"]);
        assert_eq!(names(store.all_partitions(&scope(), "default").unwrap()), ["acme", "globex"]);
        assert!(matches!(store.trash_partition(&scope(), &at("acme"), 1), Err(StoreError::Trashed)));
        assert!(matches!(
            store.declare(&scope(), &at("acme"), SPEC, &Amendment::default()),
            Err(StoreError::Trashed)
        ));
    });
    let store = reopen(&sim);
    store.restore_partition(&scope(), &at("acme")).unwrap().unwrap();
    assert!(matches!(store.restore_partition(&scope(), &at("acme")), Err(StoreError::NotTrashed)));
    sim.advance_ms(2 * HOUR_MS);
    in_each_life(&sim, store, |store| {
        store.run_maintenance().unwrap();
        assert_eq!(ids(store, "acme").unwrap(), ["a"]);
    });
    let store = reopen(&sim);
    assert!(store.restore_partition(&scope(), &at("nobody")).unwrap().is_none());
    assert!(store.trash_partition(&scope(), &at("nobody"), 1).unwrap().is_none());
}

/// Lost otherwise: what was thrown away would be kept for ever where nobody looks, or be shredded before its time or though it is
/// held.
#[test]
fn the_trash_is_shredded_at_its_time_also_when_cold() {
    let sim = Sim::new(4);
    let store = open(&sim);
    for name in ["cold", "held", "warm", "other"] {
        put(&store, name, "a");
    }
    hold(&store, "other", true);
    for name in ["cold", "held", "warm"] {
        store.trash_partition(&scope(), &at(name), HOUR_MS).unwrap().unwrap();
    }
    hold(&store, "held", true);
    store.flush().unwrap();
    drop(store);
    let store = reopen(&sim);
    terms(&store, "warm").unwrap();
    sim.advance_ms(HOUR_MS - 1);
    assert_eq!(store.run_maintenance().unwrap().ended, 0);
    assert!(!store.wants_maintenance());
    sim.advance_ms(1);
    assert!(store.wants_maintenance());
    assert!(store.restore_partition(&scope(), &at("cold")).unwrap().is_none(), "its time is over");
    assert_eq!(store.run_maintenance().unwrap().ended, 2);
    assert_eq!(store.take_erased(&OperatorScope::grant()).len(), 2, "their receipts are told of");
    assert_eq!((terms(&store, "cold"), terms(&store, "warm")), (None, None));
    put(&store, "cold", "new");
    assert_eq!(ids(&store, "cold").unwrap(), ["new"]);
    // With the hold its time is up.
    assert!(terms(&store, "held").is_some());
    hold(&store, "held", false);
    assert_eq!(store.run_maintenance().unwrap().ended, 1);
    assert!(terms(&store, "held").is_none() && terms(&store, "other").is_some());
    // At once, by request.
    store.trash_partition(&scope(), &at("cold"), HOUR_MS).unwrap().unwrap();
    let (counts, _) = store.drop_partition(&scope(), &at("cold")).unwrap().unwrap();
    assert_eq!(counts.documents, 1);
}

/// Lost otherwise: an end-client whose contract ended would be served on, or their name never be free again.
#[test]
fn a_partition_ends_at_its_own_time() {
    let sim = Sim::new(5);
    let store = open(&sim);
    put(&store, "acme", "a");
    let handle = writable(&store, "acme").unwrap();
    let end_ms = now_ms(&sim) + HOUR_MS;
    let ends = |time| Amendment { expires_ms: Some(time), ..Amendment::default() };
    amend(&store, "acme", ends(Some(end_ms))).unwrap().unwrap();
    sim.advance_ms(HOUR_MS);
    assert!(matches!(handle.get("a"), Err(ReadError::Dropped)), "from that instant on");
    drop(handle);
    assert_eq!((ids(&store, "acme"), terms(&store, "acme")), (None, None));
    assert!(amend(&store, "acme", ends(None)).unwrap().is_none());
    // Nobody has shredded it yet: a write does.
    put(&store, "acme", "b");
    assert_eq!(ids(&store, "acme").unwrap(), ["b"]);
    assert_eq!(store.take_erased(&OperatorScope::grant()).len(), 1);
    amend(&store, "acme", ends(Some(end_ms + HOUR_MS))).unwrap().unwrap();
    amend(&store, "acme", ends(None)).unwrap().unwrap();
    sim.advance_ms(2 * HOUR_MS);
    assert_eq!(store.run_maintenance().unwrap().ended, 0, "it was given more time");
    assert_eq!(ids(&store, "acme").unwrap(), ["b"]);
}

/// Lost otherwise: documents would be kept for longer than a tenant was promised.
#[test]
fn documents_without_a_time_get_the_partitions() {
    let sim = Sim::new(6);
    let store = open(&sim);
    put(&store, "acme", "before");
    let ttl = Amendment { ttl_ms: Some(Some(HOUR_MS)), ..Amendment::default() };
    amend(&store, "acme", ttl).unwrap().unwrap();
    let acme = writable(&store, "acme").unwrap();
    let now_ms = now_ms(&sim);
    acme.put(document("usual", None)).unwrap();
    let own = acme.put(document("own", Some(now_ms + 3 * HOUR_MS))).unwrap();
    assert_eq!(own.expires_ms, Some(now_ms + 3 * HOUR_MS));
    assert_eq!(acme.update("before", document("before", None)).unwrap().expires_ms, Some(now_ms + HOUR_MS));
    drop(acme);
    in_each_life(&sim, store, |store| {
        let usual = writable(store, "acme").unwrap().get("usual").unwrap().unwrap();
        assert_eq!(usual.expires_ms, Some(now_ms + HOUR_MS));
        assert_eq!(terms(store, "acme").unwrap().ttl_ms, Some(HOUR_MS));
    });
    sim.advance_ms(HOUR_MS);
    assert_eq!(ids(&reopen(&sim), "acme").unwrap(), ["own"]);
}

/// Lost otherwise: a renamed end-client would lose their documents, or find another's under their old name.
#[test]
fn a_renamed_partition_keeps_what_is_in_it() {
    let sim = Sim::new(7);
    let store = open(&sim);
    put(&store, "acme", "a");
    put(&store, "globex", "b");
    store.flush().unwrap();
    put(&store, "acme", "c");
    let incarnation = store.partition_info(&scope(), &at("acme")).unwrap().unwrap().incarnation;
    assert!(matches!(rename(&store, "acme", "globex"), Err(StoreError::Taken)));
    store.trash_partition(&scope(), &at("globex"), HOUR_MS).unwrap();
    assert!(matches!(rename(&store, "acme", "globex"), Err(StoreError::Taken)), "it may come back");
    store.restore_partition(&scope(), &at("globex")).unwrap();
    let own = Scope::grant(WORKSPACE, Reach::Partition(at("acme")));
    let name = Some(PartitionName::new("acme 2").unwrap());
    let amendment = Amendment { name, ..Amendment::default() };
    let refused = store.amend(&own, &at("acme"), &amendment, |_| Ok(()));
    assert!(matches!(refused, Err(StoreError::Forbidden)), "who reaches one partition alone renames nothing");
    assert!(rename(&store, "nobody", "acme 2").unwrap().is_none());
    let info = rename(&store, "acme", "acme 2").unwrap().unwrap();
    assert_eq!((info.name.unwrap().as_str(), info.incarnation), ("acme 2", incarnation));
    put(&store, "acme 2", "d");
    put(&store, "acme", "another's");
    in_each_life(&sim, store, |store| {
        assert_eq!(ids(store, "acme 2").unwrap(), ["a", "c", "d"]);
        assert_eq!(ids(store, "acme").unwrap(), ["another's"]);
        let partition = store.partition(&scope(), &at("acme 2")).unwrap().unwrap();
        assert_eq!(partition.name().as_deref(), Some("acme 2"));
    });
    // Back again, and round in a circle.
    let store = reopen(&sim);
    for (name, to) in [("acme", "x"), ("acme 2", "acme"), ("x", "acme 2")] {
        rename(&store, name, to).unwrap().unwrap();
    }
    in_each_life(&sim, store, |store| {
        assert_eq!(ids(store, "acme").unwrap(), ["a", "c", "d"]);
        assert_eq!(ids(store, "acme 2").unwrap(), ["another's"]);
    });
    let store = reopen(&sim);
    let (_, receipt) = store.drop_partition(&scope(), &at("acme")).unwrap().unwrap();
    assert_eq!(receipt.receipt.id, incarnation);
    assert_eq!((ids(&store, "acme"), ids(&store, "acme 2").unwrap()), (None, vec!["another's".to_owned()]));
}

/// Lost otherwise: keys that are moved with a name would point to one that the partition doesn't have.
#[test]
fn what_goes_with_an_amendment_is_done_or_nothing_is() {
    let sim = Sim::new(8);
    let store = open(&sim);
    put(&store, "acme", "a");
    let name = Some(PartitionName::new("acme 2").unwrap());
    let amendment = Amendment { name, held: Some(true), ..Amendment::default() };
    let refused = store.amend(&scope(), &at("acme"), &amendment, |info| {
        assert_eq!(info.name.as_ref().unwrap().as_str(), "acme 2");
        assert_eq!(ids(&store, "acme").unwrap(), ["a"], "found under the old name until it is done");
        assert_eq!(ids(&store, "acme 2"), None);
        Err(StoreError::NoWorkspace)
    });
    assert!(matches!(refused, Err(StoreError::NoWorkspace)));
    in_each_life(&sim, store, |store| {
        assert_eq!(ids(store, "acme").unwrap(), ["a"]);
        assert_eq!((ids(store, "acme 2"), terms(store, "acme").unwrap()), (None, Terms::default()));
    });
}

/// Lost otherwise: a declared partition would be gone after the log is cut, or one that a typo names would come into being.
#[test]
fn declared_partitions_are_there_and_others_are_not_made() {
    let sim = Sim::new(9);
    let store = open(&sim);
    let ttl = Amendment { ttl_ms: Some(Some(HOUR_MS)), ..Amendment::default() };
    let info = store.declare(&scope(), &at("acme"), SPEC, &ttl).unwrap();
    assert_eq!((info.counts.documents, info.terms.ttl_ms), (0, Some(HOUR_MS)));
    assert!(matches!(store.declare(&scope(), &at("acme"), SPEC, &ttl), Err(StoreError::Taken)));
    let foreign = Scope::grant(WORKSPACE, Reach::Partition(at("globex")));
    assert!(matches!(store.declare(&foreign, &at("initech"), SPEC, &ttl), Err(StoreError::Forbidden)));
    let strict = scope().finding_only();
    in_each_life(&sim, store, |store| {
        assert_eq!(ids(store, "acme"), Some(Vec::new()));
        assert_eq!(terms(store, "acme").unwrap().ttl_ms, Some(HOUR_MS));
        let refused = store.partition_for_write(&strict, &at("amce"), SPEC);
        assert!(matches!(refused, Err(StoreError::Undeclared)));
        assert_eq!(store.all_partitions(&scope(), "default").unwrap().len(), 1);
    });
    let store = reopen(&sim);
    store.partition_for_write(&strict, &at("acme"), SPEC).unwrap().put(document("a", None)).unwrap();
    assert_eq!(ids(&store, "acme").unwrap(), ["a"]);
}

/// Lost otherwise: a crash in the midst would leave a partition half renamed, under two names or under none.
#[test]
fn a_crash_leaves_an_amendment_done_or_undone() {
    for steps in 0..40 {
        for fault in [Fault::Crash, Fault::Eio, Fault::LostAnswer] {
            let sim = Sim::new(100 + steps);
            let store = open(&sim);
            put(&store, "acme", "a");
            put(&store, "globex", "b");
            sim.fail_after(steps, fault);
            let acts = || -> Result<(), StoreError> {
                let name = Some(PartitionName::new("acme 2").unwrap());
                let both = Amendment { name, held: Some(true), ..Amendment::default() };
                store.amend(&scope(), &at("acme"), &both, |_| Ok::<(), StoreError>(()))?;
                store.trash_partition(&scope(), &at("globex"), HOUR_MS)?;
                store.declare(&scope(), &at("initech"), SPEC, &Amendment::default())?;
                store.flush().map(drop)
            };
            let outcome = acts();
            drop(store);
            sim.crash();
            // What has not struck by now is not to strike any more.
            let store = reopen(&sim.snapshot());
            let old = (ids(&store, "acme"), ids(&store, "acme 2"));
            let a = Some(vec!["a".to_owned()]);
            let is_renamed = old == (None, a.clone());
            assert!(is_renamed || old == (a, None), "{steps} {fault:?}: {old:?}");
            assert_eq!(store.holds(&scope(), None).unwrap(), is_renamed, "name and hold come together");
            let is_trashed = ids(&store, "globex").is_none();
            assert_eq!(terms(&store, "globex").unwrap().trash.is_some(), is_trashed);
            let is_declared = ids(&store, "initech").is_some();
            assert!(is_renamed || !is_trashed);
            assert!(is_trashed || !is_declared);
            assert!(outcome.is_err() || is_declared, "{steps} {fault:?}: what was acknowledged is there");
        }
    }
}
