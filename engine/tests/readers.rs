//! What would a user lose if documents were read by others than those who may, or after their time?

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    ActingAs, CollectionSpec, DocumentInfo, Filter, Fusion, NewDocument, NewPassage, Once, OperatorScope,
    Partition, PartitionName, PartitionRef, Passage, Query, Reach, RootKey, Said, Scope, SearchRequest,
    SearchResponse, Sibling, Store, StoreError, StoreOptions, Unit, WorkspaceId, WriteError,
};

const WORKSPACE: WorkspaceId = WorkspaceId([1; 16]);
const SPEC: CollectionSpec = CollectionSpec::cosine(2);

fn at() -> PartitionRef {
    PartitionRef { collection: "default".to_owned(), partition: None }
}

fn acting(labels: &[&str]) -> ActingAs {
    ActingAs::Labels(labels.iter().map(|label| (*label).to_owned()).collect())
}

fn scope(acting: ActingAs) -> Scope {
    Scope::grant(WORKSPACE, Reach::Workspace).acting_as(acting)
}

fn open(sim: &Sim) -> Store {
    let options = StoreOptions { flush_bytes: 1 << 30, ..StoreOptions::default() };
    let store = Store::open(sim.restart(), RootKey([1; 32]), options).unwrap();
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).unwrap();
    store
}

fn handle(store: &Store, acting: ActingAs) -> Partition {
    store.partition_for_write(&scope(acting), &at(), SPEC).unwrap()
}

fn document(id: &str, text: &str, readers: Option<&[&str]>) -> NewDocument {
    NewDocument {
        id: Some(id.to_owned()),
        content: text.as_bytes().to_vec(),
        passages: vec![NewPassage { text: Passage::Own(text.to_owned()), vector: vec![1.0, 0.5] }],
        readers: readers.map(|readers| readers.iter().map(|reader| (*reader).to_owned()).collect()),
        ..NewDocument::default()
    }
}

fn search(partition: &Partition, query: Query<'_>, k: usize) -> SearchResponse {
    let filter = Filter::default();
    let request = SearchRequest {
        query,
        unit: Unit::Documents,
        k,
        filter: &filter,
        similarity_min: 0.0,
        recall: Some(0.9),
        ages: None,
        with_content: true,
    };
    partition.search(&request).unwrap()
}

/// The ids that a handle lists, finds by vector, and reads one by one: always the same.
fn seen(partition: &Partition, ids: &[&str]) -> Vec<String> {
    let page = partition.list(&Filter::default(), 0, 100).unwrap();
    let mut listed: Vec<String> = page.documents.iter().map(|info| info.id.clone()).collect();
    listed.sort();
    assert_eq!(page.total, listed.len() as u64);
    let found = search(partition, Query::Vector(&[1.0, 0.0]), 100);
    let mut hits: Vec<String> = found.hits.iter().map(|hit| hit.document.id.clone()).collect();
    hits.sort();
    assert_eq!(hits, listed);
    assert_eq!(found.trace.candidates, listed.len() as u64, "a trace counts what may be read");
    let by_id = |id: &&&str| {
        let is_there = partition.get(id).unwrap().is_some();
        assert_eq!(partition.content(id).unwrap().is_some(), is_there, "{id}");
        assert_eq!(partition.passages(id, 0, 9).unwrap().is_some(), is_there, "{id}");
        is_there
    };
    let mut read: Vec<String> = ids.iter().filter(by_id).map(|id| (*id).to_owned()).collect();
    read.sort();
    assert_eq!(read, listed);
    listed
}

const IDS: [&str; 4] = ["all", "ada", "sea", "none"];

fn fill(store: &Store) {
    let partition = handle(store, ActingAs::default());
    partition.put(document("all", "for everybody", None)).unwrap();
    partition.put(document("ada", "for Ada", Some(&["user:ada", "user:ada"]))).unwrap();
    partition.put(document("sea", "for two groups", Some(&["group:sea", "group:land"]))).unwrap();
    partition.put(document("none", "for administrators", Some(&[]))).unwrap();
}

fn check_fill(store: &Store) {
    let seen = |acting| seen(&handle(store, acting), &IDS);
    assert_eq!(seen(ActingAs::Administrator), ["ada", "all", "none", "sea"]);
    assert_eq!(seen(acting(&["user:ada"])), ["ada", "all"]);
    assert_eq!(seen(acting(&["user:bob", "group:land"])), ["all", "sea"]);
    for nobody in
        [acting(&[]), acting(&["user:bob"]), acting(&["user:ad"]), acting(&["USER:ADA"]), acting(&[""])]
    {
        assert_eq!(seen(nobody), ["all"]);
    }
}

/// Without this, a document would be read by people whom it does not name: at once, or once it was flushed, merged, rewritten
/// under another key, or the store opened again.
#[test]
fn only_named_readers_see_a_document_wherever_it_lies() {
    let sim = Sim::new(1);
    let store = open(&sim);
    fill(&store);
    check_fill(&store);
    store.flush().unwrap();
    check_fill(&store);
    for round in 0..5 {
        let partition = handle(&store, ActingAs::Administrator);
        partition.put(document(&format!("more {round}"), "more", None)).unwrap();
        partition.purge(&format!("more {round}")).unwrap();
        store.flush().unwrap();
    }
    check_fill(&store);
    drop(store);
    sim.crash();
    let store = open(&sim);
    check_fill(&store);
    store.purge(&scope(acting(&["user:ada"])), &at(), &["ada"]).unwrap();
    let left = seen(&handle(&store, ActingAs::Administrator), &IDS);
    assert_eq!(left, ["all", "none", "sea"], "a purge writes everything anew");
    assert_eq!(seen(&handle(&store, acting(&["group:sea"])), &IDS), ["all", "sea"]);
}

/// Without this, who may not read a document could learn that it is there, change it, or take it away.
#[test]
fn what_is_not_seen_is_not_there_for_writes_either() {
    let store = open(&Sim::new(2));
    fill(&store);
    for _ in 0..2 {
        let bob = handle(&store, acting(&["user:bob"]));
        let is_not_found = |outcome: Result<(), WriteError>| matches!(outcome, Err(WriteError::NotFound));
        assert!(
            is_not_found(bob.delete("ada"))
                && is_not_found(bob.restore("ada"))
                && is_not_found(bob.purge("ada"))
        );
        assert!(is_not_found(bob.update("ada", document("x", "taken", None)).map(drop)));
        assert!(is_not_found(bob.update_version("ada", 1, document("x", "taken", None)).map(drop)));
        let purged = store.purge(&scope(acting(&["user:bob"])), &at(), &["ada"]);
        assert!(matches!(purged, Err(StoreError::Write(WriteError::NotFound))), "{purged:?}");
        let upserted = bob.upsert_many(vec![document("ada", "taken", None)]);
        assert!(matches!(upserted, Err(WriteError::Exists)), "an id is one document's: {upserted:?}");
        let held = store.holders(&scope(acting(&["user:bob"])), "default", "ada").unwrap();
        assert!(held.partitions.is_empty());
        store.flush().unwrap();
    }
    let ada = handle(&store, acting(&["user:ada"]));
    assert_eq!(ada.content("ada").unwrap().unwrap().1, b"for Ada");
    ada.delete("ada").unwrap();
    let outcome = handle(&store, acting(&["user:bob"])).restore("ada");
    assert!(
        matches!(outcome, Err(WriteError::NotFound)),
        "a deleted document is nobody else's either: {outcome:?}"
    );
    ada.restore("ada").unwrap();
    ada.update("ada", document("x", "for all", None)).unwrap();
    assert_eq!(
        seen(&handle(&store, ActingAs::default()), &IDS),
        ["ada", "all"],
        "an update names its readers anew"
    );
}

/// Without this, somebody would learn from scores, counts and traces what others may read beside them.
#[test]
fn what_is_not_seen_moves_nothing_that_is_seen() {
    let told = |hidden: usize, flush: bool| {
        let store = open(&Sim::new(3));
        let partition = handle(&store, ActingAs::default());
        for number in 0..40 {
            let text = format!("a whale of {number} {}", if number % 3 == 0 { "colours" } else { "words" });
            partition.put(document(&format!("seen {number}"), &text, None)).unwrap();
            if number < hidden {
                let text =
                    "whale whale colours and a great many other words that change what a mean length is";
                partition.put(document(&format!("a {number}"), text, Some(&["user:ada"]))).unwrap();
            }
        }
        if flush {
            store.flush().unwrap();
        }
        let bob = handle(&store, acting(&["user:bob"]));
        let both = Query::Hybrid { vector: &[1.0, 0.2], words: "whale colours", fusion: Fusion::Sum };
        let ranks = Query::Hybrid { vector: &[1.0, 0.2], words: "whale colours", fusion: Fusion::Ranks };
        let queries = [
            Query::Words("whale colours"),
            Query::Words("col* whale"),
            both,
            ranks,
            Query::Vector(&[0.5, 1.0]),
        ];
        queries.map(|query| {
            let found = search(&bob, query, 12);
            let hits = found.hits.iter().map(|hit| (hit.document.id.clone(), hit.score.to_bits()));
            (hits.collect::<Vec<_>>(), found.trace)
        })
    };
    for flush in [false, true] {
        assert_eq!(told(0, flush), told(40, flush), "flushed: {flush}");
    }
}

/// Without this, a document would be read after the time that its owner set, or be in the way of another one of its id.
#[test]
fn an_expired_document_is_gone_from_that_instant_on() {
    let sim = Sim::new(4);
    let store = open(&sim);
    let partition = handle(&store, ActingAs::Administrator);
    let expires_ms = Some(sim.medium().clock.now_ms() + 1000);
    for (id, flush) in [("new", false), ("flushed", true), ("later", false)] {
        partition.put(NewDocument { expires_ms, ..document(id, "for a while", None) }).unwrap();
        partition.put(document(&format!("{id} stays"), "for good", None)).unwrap();
        if flush {
            store.flush().unwrap();
        }
    }
    partition.delete("later").unwrap();
    let ids = ["new", "flushed", "later", "new stays", "flushed stays", "later stays"];
    sim.advance_ms(999);
    assert_eq!(seen(&partition, &ids), ["flushed", "flushed stays", "later stays", "new", "new stays"]);
    sim.advance_ms(1);
    assert_eq!(seen(&partition, &ids), ["flushed stays", "later stays", "new stays"]);
    for id in ["new", "flushed", "later"] {
        assert!(matches!(partition.delete(id), Err(WriteError::NotFound)), "{id}");
        assert!(matches!(partition.restore(id), Err(WriteError::NotFound)), "{id}");
        assert!(
            matches!(partition.update(id, document("x", "again", None)), Err(WriteError::NotFound)),
            "{id}"
        );
        assert_eq!(partition.put(document(id, "another", None)).unwrap().version, 1, "{id}");
    }
    store.flush().unwrap();
    assert_eq!(seen(&partition, &ids).len(), 6);
    assert_eq!(partition.content("flushed").unwrap().unwrap().1, b"another");
}

fn named(name: &str) -> PartitionRef {
    PartitionRef { partition: Some(PartitionName::new(name).unwrap()), ..at() }
}

/// Without this, what its owner gave a time to live would lie on the disk for good when nobody opens its partition.
#[test]
fn expired_documents_go_for_good_in_partitions_that_rest_too() {
    let sim = Sim::new(5);
    let store = open(&sim);
    let now_ms = sim.medium().clock.now_ms();
    let every = scope(ActingAs::Administrator);
    for (name, after_ms) in
        [("soon", Some(1000)), ("deleted", Some(1000)), ("late", Some(9000)), ("never", None)]
    {
        let partition = store.partition_for_write(&every, &named(name), SPEC).unwrap();
        let expires_ms = after_ms.map(|after_ms| now_ms + after_ms);
        partition.put(NewDocument { expires_ms, ..document("a", "for a while", None) }).unwrap();
        partition.put(document("b", "for good", None)).unwrap();
        if name == "deleted" {
            partition.delete("a").unwrap();
        }
    }
    store.flush().unwrap();
    drop(store);
    let store = open(&sim);
    let counts = |store: &Store| {
        let listed = store.partitions(&every, "default").unwrap();
        let count = |name: &str| {
            let info = listed.iter().find(|info| info.name.as_ref().is_some_and(|n| n.as_str() == name));
            info.map(|info| info.counts.documents + info.counts.deleted)
        };
        ["soon", "deleted", "late", "never"].map(count)
    };
    assert_eq!(store.run_maintenance().unwrap().expired, 0);
    assert_eq!(counts(&store), [Some(2), Some(2), Some(2), Some(2)]);
    sim.advance_ms(1000);
    assert_eq!(store.run_maintenance().unwrap().expired, 2);
    assert_eq!(counts(&store), [Some(1), Some(1), Some(2), Some(2)]);
    assert_eq!(store.run_maintenance().unwrap().expired, 0);
    let swept = store.flush().unwrap();
    assert_eq!((swept.rewritten, swept.expired), (2, 0), "their bytes go as those of purged documents do");
    assert_eq!(store.take_erased(&OperatorScope::grant()).len(), 2, "with a receipt each");
    sim.advance_ms(8000);
    let store = {
        drop(store);
        open(&sim)
    };
    assert_eq!(store.run_maintenance().unwrap().expired, 1, "a manifest says so after a restart as well");
    assert_eq!(counts(&store), [Some(1), Some(1), Some(1), Some(2)]);
}

/// Without this, what acts on many documents at once, moves them or repeats an answer would reach past the readers.
#[test]
fn acts_on_many_see_with_the_same_eyes() {
    let sim = Sim::new(5);
    let store = open(&sim);
    fill(&store);
    let bob = handle(&store, acting(&["user:bob"]));
    let every = |_: &str| true;
    assert_eq!(bob.ids(every).unwrap(), [("all".to_owned(), false)]);
    let count = bob.fold(&Filter::default(), 10, || 0, |count, _| *count += 1).unwrap();
    assert_eq!(count, Some(1), "sums tell what is hidden");
    // The number of what is hidden is taken all the same.
    let next = |known: &[Sibling<'_>], last: Option<&DocumentInfo>, said: &mut Said| {
        let hidden: Vec<_> = known.iter().filter(|one| one.is_hidden).map(|one| one.id).collect();
        assert_eq!((known.len(), hidden), (4, vec!["ada", "none", "sea"]));
        assert_eq!(
            last.map(|last| last.id.as_str()),
            Some("sea"),
            "the host is told of the last, whoever sees it"
        );
        said.entity = Some("of next".to_owned());
        Ok("next".to_owned())
    };
    let put = bob.put_next(document("x", "a turn", None), every, next).unwrap();
    assert_eq!((put.id.as_str(), put.entity.as_deref()), ("next", Some("of next")));
    let elsewhere = PartitionRef {
        collection: "default".to_owned(),
        partition: Some(PartitionName::new("other").unwrap()),
    };
    let there = store.partition_for_write(&scope(acting(&["user:bob"])), &elsewhere, SPEC).unwrap();
    assert!(matches!(bob.move_to(&there, &["ada"]), Err(WriteError::NotFound)));
    assert_eq!(bob.move_to(&there, &["all"]).unwrap().len(), 1);
    assert_eq!(bob.delete_all(every).unwrap(), 1);
    assert_eq!(bob.purge_all(every).unwrap(), 1);
    assert_eq!(seen(&handle(&store, ActingAs::Administrator), &IDS), ["ada", "none", "sea"]);

    let once = || std::sync::Arc::new(Once::new([1; 16], [2; 16]));
    let ada = handle(&store, acting(&["user:ada"]));
    let mut secret = document("new", "for Ada", Some(&["user:ada"]));
    secret.filename = "secret.txt".to_owned();
    ada.once(&once()).put(secret.clone()).unwrap();
    assert_eq!(ada.once(&once()).put(secret.clone()).unwrap().filename, "secret.txt");
    assert_eq!(bob.once(&once()).put(secret).unwrap().filename, "", "the id alone, which was told before");
}
