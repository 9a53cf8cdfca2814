//! What is somebody else's takes the same path as what isn't there: the same answer after the same steps on the medium.
//!
//! Each question is asked twice on copies of one machine, so that neither warms anything for the other: about an id or a name that
//! somebody else has, and about one that nobody has.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    CollectionSpec, Filter, NewDocument, NewPassage, OperatorScope, PartitionName, PartitionRef, Passage,
    Query, Reach, RootKey, Scope, SearchRequest, Store, StoreOptions, Unit, WorkspaceId,
};

const OURS: WorkspaceId = WorkspaceId([1; 16]);
const THEIRS: WorkspaceId = WorkspaceId([2; 16]);

fn at(name: &str) -> PartitionRef {
    PartitionRef { collection: "default".to_owned(), partition: Some(PartitionName::new(name).unwrap()) }
}

fn open(sim: &Sim) -> Store {
    Store::open(sim.restart(), RootKey([1; 32]), StoreOptions::default()).unwrap()
}

fn document(id: &str) -> NewDocument {
    let content = format!("what {id} says of budgets");
    NewDocument {
        id: Some(id.to_owned()),
        filename: format!("{id}.txt"),
        content_type: "text/plain".to_owned(),
        passages: vec![NewPassage {
            text: Passage::Range { start: 0, end: content.len() as u32 },
            vector: vec![1.0, 0.5],
        }],
        content: content.into_bytes(),
        ..NewDocument::default()
    }
}

/// A machine on which two workspaces have partitions of ten documents each, half of them flushed.
fn machine(is_flushed: bool) -> Sim {
    let sim = Sim::new(11);
    let store = open(&sim);
    for (workspace, names) in [(OURS, &["acme", "globex"][..]), (THEIRS, &["other"][..])] {
        store.create_workspace(&OperatorScope::grant(), workspace).unwrap();
        for name in names {
            let scope = Scope::grant(workspace, Reach::Partition(at(name)));
            let partition = store.partition_for_write(&scope, &at(name), CollectionSpec::cosine(2)).unwrap();
            for number in 0..10 {
                partition.put(document(&format!("{name}-{number}"))).unwrap();
            }
        }
    }
    if is_flushed {
        store.flush().unwrap();
    }
    sim
}

/// What was said, and after how many steps on the medium, from a store that was just opened.
fn asked(machine: &Sim, ask: impl Fn(&Store) -> String) -> (String, u64) {
    let sim = machine.snapshot();
    let store = open(&sim);
    let before = sim.steps();
    let said = ask(&store);
    (said, sim.steps() - before)
}

/// Everything that can be done to a document by its id, in one's own partition.
fn by_id(store: &Store, id: &str, call: &str) -> String {
    let scope = Scope::grant(OURS, Reach::Partition(at("acme")));
    let own = store.partition(&scope, &at("acme")).unwrap().unwrap();
    match call {
        "get" => format!("{:?}", own.get(id)),
        "content" => format!("{:?}", own.content(id)),
        "passages" => format!("{:?}", own.passages(id, 0, 9)),
        "delete" => format!("{:?}", own.delete(id)),
        "restore" => format!("{:?}", own.restore(id)),
        "purge" => format!("{:?}", store.purge(&scope, &at("acme"), &[id])),
        "update" => format!("{:?}", own.update(id, NewDocument { id: None, ..document("new") })),
        _ => unreachable!("no such call"),
    }
}

/// Without this, whoever guesses an id would learn from the answer, or from its time, whether some other customer has it.
#[test]
fn a_document_of_somebody_elses_is_as_one_that_is_not_there() {
    for is_flushed in [false, true] {
        let machine = machine(is_flushed);
        for call in ["get", "content", "passages", "delete", "restore", "purge", "update"] {
            let missing = asked(&machine, |store| by_id(store, "nobody-3", call));
            for foreign in ["globex-3", "other-3"] {
                let said = asked(&machine, |store| by_id(store, foreign, call));
                assert_eq!(said, missing, "{call} of {foreign}, flushed: {is_flushed}");
            }
            let own = asked(&machine, |store| by_id(store, "acme-3", call));
            assert_ne!(own.0, missing.0, "{call} of one's own is answered otherwise");
        }
    }
}

/// What comes of searching and dropping a partition by its name.
fn by_name(store: &Store, scope: &Scope, name: &str) -> String {
    let filter = Filter::default();
    let request = SearchRequest {
        query: Query::Hybrid { vector: &[1.0, 0.0], words: "budgets", fusion: Default::default() },
        unit: Unit::Documents,
        k: 5,
        filter: &filter,
        similarity_min: 0.0,
        recall: None,
        ages: None,
        with_content: true,
    };
    let found =
        store.partition(scope, &at(name)).map(|partition| partition.map(|own| own.search(&request).unwrap()));
    let dropped = store.drop_partition(scope, &at(name)).map(|_| "dropped");
    format!("{found:?} {dropped:?} {:?}", store.totals(scope)).replace(name, "#")
}

/// Without this, whoever guesses a name would learn which customers another workspace, or another key's partition, has.
#[test]
fn a_partition_of_somebody_elses_is_as_one_that_is_not_there() {
    for is_flushed in [false, true] {
        let machine = machine(is_flushed);
        // By a key of one partition, and by one of a whole other workspace.
        let pinned = Scope::grant(OURS, Reach::Partition(at("acme")));
        let whole = Scope::grant(THEIRS, Reach::Workspace);
        for (scope, foreign, own) in
            [(&pinned, &["globex", "other"][..], "acme"), (&whole, &["acme", "globex"], "other")]
        {
            let missing = asked(&machine, |store| by_name(store, scope, "nobody"));
            for name in foreign {
                assert_eq!(
                    asked(&machine, |store| by_name(store, scope, name)),
                    missing,
                    "{name}, flushed: {is_flushed}"
                );
            }
            assert_ne!(asked(&machine, |store| by_name(store, scope, own)).0, missing.0);
        }
    }
}
