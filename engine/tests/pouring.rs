//! All documents of a partition that go into another one.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use strongroom_engine::io::sim::{Fault, Sim};
use strongroom_engine::{
    ActingAs, Amendment, CollectionSpec, NewDocument, NewPassage, OperatorScope, Partition, PartitionName,
    PartitionRef, Passage, Poured, Reach, RootKey, Scope, Store, StoreError, StoreOptions, Whole,
    WorkspaceId, WriteError, verify_receipt,
};

const WORKSPACE: WorkspaceId = WorkspaceId([7; 16]);
const PAGE_BYTES: usize = 1 << 20;
const SPEC: CollectionSpec = CollectionSpec::cosine(2);

fn at(name: &str) -> PartitionRef {
    PartitionRef { collection: "default".to_owned(), partition: PartitionName::new(name).ok() }
}

fn scope() -> Scope {
    Scope::grant(WORKSPACE, Reach::Workspace).acting_as(ActingAs::Administrator)
}

fn open(sim: &Sim) -> Store {
    let store = Store::open(sim.restart(), RootKey([1; 32]), StoreOptions::default()).unwrap();
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).unwrap();
    store
}

fn writable(store: &Store, name: &str) -> Partition {
    store.partition_for_write(&scope(), &at(name), SPEC).unwrap()
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
        passages: vec![passage(vec![1.0, 0.0]), passage(vec![0.3, 3.0])],
        ..NewDocument::default()
    }
}

/// All that there is of each document, live or soft-deleted.
fn all_of(store: &Store, name: &str) -> BTreeMap<String, Whole> {
    let Some(partition) = store.partition(&scope(), &at(name)).unwrap() else { return BTreeMap::new() };
    let ids = partition.ids(|_| true).unwrap();
    let carried = ids.into_iter().map(|(id, _)| {
        let whole = partition.carry(std::slice::from_ref(&id), usize::MAX).unwrap().0.remove(0);
        (id, whole)
    });
    carried.collect()
}

fn names(store: &Store, name: &str) -> Vec<String> {
    all_of(store, name).into_keys().collect()
}

/// Pours all there is, and drops what it came from.
fn pour(store: &Store, from: &str, to: &str) -> Result<Poured, StoreError> {
    pour_by(store, from, to, PAGE_BYTES)
}

fn pour_by(store: &Store, from: &str, to: &str, page_bytes: usize) -> Result<Poured, StoreError> {
    let Some(source) = store.partition(&scope(), &at(from))? else { return Ok(Poured::default()) };
    let to = store.partition(&scope(), &at(to))?.ok_or(WriteError::NotFound)?;
    let (mut pour, mut sum) = (source.pour_into(&to, page_bytes)?, Poured::default());
    while let Some(page) = pour.next_page()? {
        sum = sum.plus(page);
    }
    store.drop_emptied(&scope(), &at(from))?;
    Ok(sum)
}

fn is_there(store: &Store, name: &str) -> bool {
    store.partition(&scope(), &at(name)).unwrap().is_some()
}

/// Lost otherwise: a document would come into the other partition without a part of itself, or its soft deletion, or stay behind.
#[test]
fn everything_comes_as_it_was() {
    for flushed in [false, true] {
        let sim = Sim::new(1);
        let store = open(&sim);
        let (typo, acme) = (writable(&store, "acme "), writable(&store, "acme"));
        typo.put_many((0..30).map(|n| document(&format!("d{n:02}"), &format!("text {n}"))).collect())
            .unwrap();
        let hidden =
            NewDocument { readers: Some(vec!["user:ada".to_owned()]), ..document("hidden", "hidden") };
        typo.put(hidden).unwrap();
        typo.put(NewDocument { expires_ms: Some(1 << 50), ..document("brief", "brief") }).unwrap();
        typo.update("d03", NewDocument { id: None, ..document("x", "changed") }).unwrap();
        typo.delete("d04").unwrap();
        acme.put(document("own", "own")).unwrap();
        if flushed {
            store.flush().unwrap();
        }
        let (theirs, own) = (all_of(&store, "acme "), all_of(&store, "acme"));
        let mut asked = typo.pour_into(&acme, PAGE_BYTES).unwrap();
        let mut foreseen = Poured::default();
        while let Some(page) = asked.look().unwrap() {
            foreseen = foreseen.plus(page);
        }
        assert_eq!((names(&store, "acme ").len(), asked.documents()), (32, 32), "a look changes nothing");
        // Who may read little has all of it poured: what would stay behind would keep the partition.
        let scope_of_nobody = Scope::grant(WORKSPACE, Reach::Workspace);
        let of_nobody = store.partition(&scope_of_nobody, &at("acme ")).unwrap().unwrap();
        let mut poured = of_nobody.pour_into(&acme, PAGE_BYTES).unwrap();
        let poured = poured.next_page().unwrap().unwrap();
        assert_eq!((poured, poured.documents, poured.deleted), (foreseen, 32, 1));
        let receipt = store.drop_emptied(&scope(), &at("acme ")).unwrap().unwrap();
        assert!(verify_receipt(&receipt.bytes).is_ok() && !is_there(&store, "acme "));
        let expected: BTreeMap<String, Whole> = theirs.into_iter().chain(own).collect();
        for open_anew in [false, true] {
            let store = if open_anew {
                sim.crash();
                open(&sim)
            } else {
                open(&sim.snapshot())
            };
            assert_eq!(all_of(&store, "acme"), expected);
            assert!(!is_there(&store, "acme "));
            let acme = writable(&store, "acme");
            acme.restore("d04").unwrap();
            assert_eq!(acme.content("d04").unwrap().unwrap().1, b"text 4");
        }
    }
}

/// Lost otherwise: one customer's document would be replaced by another of its id, or a partition go with what stayed in it.
#[test]
fn what_is_taken_there_stays_here() {
    let sim = Sim::new(2);
    let store = open(&sim);
    let (here, there) = (writable(&store, "here"), writable(&store, "there"));
    here.put_many(vec![document("a", "a"), document("b", "b"), document("same", "same")]).unwrap();
    here.delete("same").unwrap();
    // The same, and the same but for one being deleted.
    let copy = here.carry(&["a".to_owned(), "same".to_owned()], usize::MAX).unwrap().0;
    there.take_in(copy).unwrap();
    there.put(document("b", "theirs")).unwrap();
    there.restore("same").unwrap();
    let before = all_of(&store, "there");
    let poured = pour(&store, "here", "there");
    assert!(matches!(poured, Err(StoreError::Occupied)), "{poured:?}");
    assert_eq!(names(&store, "here"), ["b", "same"], "what is there already goes, what is another's stays");
    assert_eq!(all_of(&store, "there"), before);
    there.delete("same").unwrap();
    here.update("b", NewDocument { id: None, ..document("x", "changed") }).unwrap();
    assert!(matches!(store.drop_emptied(&scope(), &at("here")), Err(StoreError::Occupied)));
    assert_eq!(here.content("b").unwrap().unwrap().1, b"changed", "who was refused shuts nobody out");
    there.purge("b").unwrap();
    let poured = pour(&store, "here", "there").unwrap();
    assert_eq!((poured.documents, poured.known, poured.taken), (1, 1, 0));
    assert_eq!(there.content("b").unwrap().unwrap().1, b"changed");
    assert!(!is_there(&store, "here"));
}

/// Lost otherwise: what is held would go, what is in the trash come back, or a document outlive what was promised for it.
#[test]
fn terms_are_kept() {
    let sim = Sim::new(3);
    let store = open(&sim);
    let (here, there) = (writable(&store, "here"), writable(&store, "there"));
    let now_ms = sim.medium().clock.now_ms();
    here.put_many(vec![
        document("long", "long"),
        NewDocument { expires_ms: Some(now_ms + 500), ..document("short", "short") },
        NewDocument { expires_ms: Some(now_ms + 10), ..document("over", "over") },
    ])
    .unwrap();
    there.put(NewDocument { expires_ms: Some(now_ms + 10), ..document("long", "over as well") }).unwrap();
    let amend = |name: &str, amendment: Amendment| {
        store.amend::<StoreError>(&scope(), &at(name), &amendment, |_| Ok(())).unwrap().unwrap();
    };
    amend("here", Amendment { held: Some(true), ..Amendment::default() });
    assert!(matches!(here.pour_into(&there, PAGE_BYTES), Err(WriteError::Held)));
    assert!(matches!(store.drop_emptied(&scope(), &at("here")), Err(StoreError::Write(WriteError::Held))));
    amend("here", Amendment { held: Some(false), ..Amendment::default() });
    let mut begun = here.pour_into(&there, PAGE_BYTES).unwrap();
    amend("here", Amendment { held: Some(true), ..Amendment::default() });
    assert!(matches!(begun.next_page(), Err(WriteError::Held)), "also of one that was begun before");
    assert_eq!(names(&store, "here").len(), 3);
    let end_ms = now_ms + 1000;
    let ends = Amendment { held: Some(false), expires_ms: Some(Some(end_ms)), ..Amendment::default() };
    amend("here", ends);
    sim.advance_ms(20);
    let poured = pour(&store, "here", "there").unwrap();
    assert_eq!((poured.documents, poured.taken), (2, 0), "what is over is nobody's way");
    let expiry = |id: &str| there.get(id).unwrap().unwrap().expires_ms;
    assert_eq!((expiry("long"), expiry("short")), (Some(end_ms), Some(now_ms + 500)));
    assert_eq!(there.content("long").unwrap().unwrap().1, b"long");
    // The trash takes nothing and gives nothing.
    let thrown = writable(&store, "thrown");
    thrown.put(document("t", "t")).unwrap();
    store.trash_partition(&scope(), &at("thrown"), 1000).unwrap().unwrap();
    assert!(thrown.pour_into(&there, PAGE_BYTES).is_err() && there.pour_into(&thrown, PAGE_BYTES).is_err());
    assert!(store.drop_emptied(&scope(), &at("thrown")).unwrap().is_none(), "nor is it emptied");
    assert!(there.pour_into(&there, PAGE_BYTES).is_err());
    let flat = store.partition_for_write(&scope(), &at("flat"), CollectionSpec::cosine(3)).unwrap();
    assert!(matches!(there.pour_into(&flat, PAGE_BYTES), Err(WriteError::Invalid { .. })));
    // An empty one that is held or thrown away stays what it is.
    for name in ["held", "out"] {
        store.declare(&scope(), &at(name), SPEC, &Amendment::default()).unwrap();
    }
    amend("held", Amendment { held: Some(true), ..Amendment::default() });
    store.trash_partition(&scope(), &at("out"), 1 << 40).unwrap().unwrap();
    let dropped = store.drop_emptied(&scope(), &at("held"));
    assert!(matches!(dropped, Err(StoreError::Write(WriteError::Held))), "{dropped:?}");
    assert!(store.drop_emptied(&scope(), &at("out")).unwrap().is_none());
    store.restore_partition(&scope(), &at("out")).unwrap().unwrap();
    writable(&store, "held").put(document("h", "h")).unwrap();
    // What is held takes in what comes, deleted or not.
    let deleted = writable(&store, "deleted");
    deleted.put(document("d", "d")).unwrap();
    deleted.delete("d").unwrap();
    let copy = deleted.carry(&["d".to_owned()], usize::MAX).unwrap().0;
    let poured = pour(&store, "deleted", "held").unwrap();
    assert_eq!((poured.documents, poured.deleted), (1, 1));
    writable(&store, "held").restore("d").unwrap();
    assert!(writable(&store, "held").purge("d").is_err());
    amend("out", Amendment { held: Some(true), ..Amendment::default() });
    writable(&store, "out").take_in(copy).unwrap();
}

/// Lost otherwise: a crash in the midst would lose documents, leave some in both, or let nobody go on.
#[test]
fn a_crash_at_any_step_is_gone_on_from() {
    let make = || {
        let sim = Sim::new(4);
        let store = open(&sim);
        let here = writable(&store, "here");
        here.put_many((0..4).map(|n| document(&format!("d{n}"), "text")).collect()).unwrap();
        here.delete("d1").unwrap();
        writable(&store, "there").put(document("own", "own")).unwrap();
        store.flush().unwrap();
        (sim, store)
    };
    // What was read before is read from memory, and takes no step.
    let steps = {
        let (sim, store) = make();
        let before = sim.steps();
        pour_by(&store, "here", "there", 1).unwrap();
        sim.steps() - before
    };
    let (_, store) = make();
    let whole: BTreeMap<_, _> = all_of(&store, "here").into_iter().chain(all_of(&store, "there")).collect();
    let mut outcomes = BTreeMap::<usize, usize>::new();
    for step in 0..=steps {
        let (sim, store) = make();
        if step < steps {
            sim.fail_after(step, Fault::Crash);
        }
        let done = pour_by(&store, "here", "there", 1).is_ok();
        drop(store);
        sim.crash();
        let store = open(&sim);
        let (here, there) = (all_of(&store, "here"), all_of(&store, "there"));
        assert_eq!(here.len() + there.len(), whole.len(), "step {step}: each in exactly one");
        let both: BTreeMap<String, Whole> = here.clone().into_iter().chain(there).collect();
        assert_eq!(both, whole, "step {step}");
        assert!(!done || !is_there(&store, "here"), "step {step}: acknowledged");
        *outcomes.entry(here.len()).or_default() += 1;
        pour(&store, "here", "there").unwrap();
        assert_eq!(
            (all_of(&store, "there"), is_there(&store, "here")),
            (whole.clone(), false),
            "step {step}"
        );
    }
    assert!(outcomes.len() == 5, "it was met before, between and behind its pages: {outcomes:?}");
}

/// Lost otherwise: what somebody wrote while its partition was poured out would go with that.
#[test]
fn nobody_who_writes_meanwhile_loses_anything() {
    let sim = Sim::new(5);
    let store = open(&sim);
    writable(&store, "here").put(document("first", "first")).unwrap();
    writable(&store, "there").put(document("own", "own")).unwrap();
    let written = std::thread::scope(|threads| {
        let writer = threads.spawn(|| {
            let mut written = Vec::new();
            for n in 0..300 {
                let id = format!("late{n:03}");
                // A handle from before a drop is told so; the next one begins the partition anew.
                while writable(&store, "here").put(document(&id, &id)).is_err() {
                    std::thread::yield_now();
                }
                written.push(id);
            }
            written
        });
        let (mut rounds, mut late) = (0, 0);
        while !writer.is_finished() || is_there(&store, "here") {
            late += u64::from(writer.is_finished());
            assert!(late < 100, "nobody writes any more, and it stays");
            match pour(&store, "here", "there") {
                Ok(_) => rounds += 1,
                Err(StoreError::Occupied | StoreError::Write(WriteError::Dropped)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert!(rounds > 0);
        writer.join().unwrap()
    });
    let mut expected = written;
    expected.extend(["first".to_owned(), "own".to_owned()]);
    expected.sort();
    assert_eq!(names(&store, "there"), expected);
}
