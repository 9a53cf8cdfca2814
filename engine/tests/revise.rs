//! What would a user lose if what is said of documents changed otherwise than as one, or changed more than that?

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    ActingAs, CollectionSpec, DocumentInfo, Filter, NewDocument, NewPassage, Numbered, Once, OperatorScope,
    Partition, PartitionRef, Passage, Reach, RootKey, Said, Scope, Store, StoreOptions, WorkspaceId,
    WriteError,
};

const WORKSPACE: WorkspaceId = WorkspaceId([7; 16]);

fn open(sim: &Sim) -> Store {
    let options = StoreOptions { flush_bytes: 1 << 30, ..StoreOptions::default() };
    let store = Store::open(sim.restart(), RootKey([1; 32]), options).unwrap();
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).unwrap();
    store
}

fn handle(store: &Store, acting: ActingAs) -> Partition {
    let at = PartitionRef { collection: "default".to_owned(), partition: None };
    let scope = Scope::grant(WORKSPACE, Reach::Workspace).acting_as(acting);
    store.partition_for_write(&scope, &at, CollectionSpec::cosine(2)).unwrap()
}

fn ada() -> ActingAs {
    ActingAs::Labels(Arc::from(["user:ada".to_owned()]))
}

fn document(id: &str) -> NewDocument {
    NewDocument {
        id: Some(id.to_owned()),
        filename: format!("{id}.txt"),
        content: format!("the text of {id}").into_bytes(),
        tags: vec!["kind:turn".to_owned()],
        metadata: r#"{"a":1}"#.to_owned(),
        passages: vec![NewPassage { text: Passage::Own("a text".to_owned()), vector: vec![1.0, 0.5] }],
        ..NewDocument::default()
    }
}

fn is_turn(id: &str) -> bool {
    id.starts_with("turn")
}

fn for_ada(_: &DocumentInfo, said: &mut Said) -> Result<bool, WriteError> {
    said.readers = Some(vec!["user:ada".to_owned(), "user:ada".to_owned()]);
    Ok(true)
}

fn listed(partition: &Partition) -> Vec<String> {
    let page = partition.list(&Filter::default(), 0, 100).unwrap();
    let mut ids: Vec<_> = page.documents.into_iter().map(|document| document.id).collect();
    ids.sort();
    ids
}

/// Without this, a change of who may read a conversation would touch its texts, leave out turns that are still in memory or in a
/// segment, bring deleted ones back, or be forgotten.
#[test]
fn documents_change_in_what_is_said_of_them_and_in_nothing_else() {
    let sim = Sim::new(1);
    let store = open(&sim);
    let all = handle(&store, ActingAs::Administrator);
    all.put(document("turn0")).unwrap();
    all.put(document("turn1")).unwrap();
    all.put(document("other")).unwrap();
    store.flush().unwrap();
    all.put(document("turn2")).unwrap();
    all.put(document("turn3")).unwrap();
    all.delete("turn1").unwrap();
    all.delete("turn3").unwrap();
    let before = all.get("turn0").unwrap().unwrap();
    assert_eq!(all.revise_all(is_turn, for_ada).unwrap(), 4);
    let check = |store: &Store, versions: u32| {
        let all = handle(store, ActingAs::Administrator);
        assert_eq!(listed(&all), ["other", "turn0", "turn2"]);
        assert_eq!(listed(&handle(store, ada())), ["other", "turn0", "turn2"]);
        assert_eq!(listed(&handle(store, ActingAs::default())), ["other"]);
        let (after, content) = all.content("turn0").unwrap().unwrap();
        assert_eq!(content, b"the text of turn0");
        let readers = Some(vec!["user:ada".to_owned()]);
        assert_eq!(after, DocumentInfo { version: versions, readers, ..before.clone() });
        assert!(matches!(all.delete("turn3"), Err(WriteError::AlreadyDeleted)));
    };
    check(&store, 2);
    // What had been read before is another version by now.
    assert!(matches!(all.update_version("turn0", 1, document("turn0")), Err(WriteError::Changed)));
    store.flush().unwrap();
    check(&store, 2);
    assert_eq!(handle(&store, ActingAs::Administrator).revise_all(is_turn, for_ada).unwrap(), 4);
    check(&store, 3);
    drop((all, store));
    sim.crash();
    let store = open(&sim);
    check(&store, 3);
    handle(&store, ActingAs::Administrator).restore_all(is_turn).unwrap();
    assert_eq!(listed(&handle(&store, ActingAs::default())), ["other"], "restored, they are as little seen");
    assert_eq!(listed(&handle(&store, ada())).len(), 5);
}

/// Without this, who may not read a document could say who may, and a change that is refused would be made by half.
#[test]
fn a_change_is_made_by_who_sees_the_document_or_not_at_all() {
    let store = open(&Sim::new(2));
    let all = handle(&store, ActingAs::Administrator);
    all.put(document("turn0")).unwrap();
    all.put(document("turn1")).unwrap();
    all.revise("turn0", for_ada).unwrap();
    let bob = handle(&store, ActingAs::default());
    assert!(matches!(bob.revise("turn0", for_ada), Err(WriteError::NotFound)));
    assert!(matches!(bob.revise_all(|id| id == "turn0", for_ada), Err(WriteError::NotFound)));
    let ids = ["turn0", "turn1", "gone"].map(str::to_owned);
    let entity = |document: &DocumentInfo, said: &mut Said| {
        said.entity = Some(format!("of {}", document.filename));
        Ok(true)
    };
    assert_eq!(bob.revise_these(&ids, entity).unwrap(), 1);
    assert_eq!(all.get("turn1").unwrap().unwrap().entity.as_deref(), Some("of turn1.txt"));
    assert_eq!(all.get("turn0").unwrap().unwrap().entity, None);
    // One that can't be, and one that isn't wanted.
    let long = |document: &DocumentInfo, said: &mut Said| {
        said.entity = Some("x".repeat(if document.id == "turn1" { 1025 } else { 3 }));
        Ok(true)
    };
    assert!(matches!(all.revise_these(&ids, long), Err(WriteError::TooLarge { .. })));
    let refused = |_: &DocumentInfo, _: &mut Said| Err(WriteError::Changed);
    assert!(matches!(all.revise("turn0", refused), Err(WriteError::Changed)));
    let unchanged = all.revise("turn0", |_, said| {
        said.entity = Some("left".to_owned());
        Ok(false)
    });
    assert_eq!((unchanged.unwrap().version, all.get("turn0").unwrap().unwrap().version), (2, 2));
    assert_eq!(all.get("turn0").unwrap().unwrap().entity, None);
}

/// Without this, a change that is asked for again would be counted as none, or be made over a later one.
#[test]
fn a_change_that_is_asked_for_again_is_answered_the_same() {
    let store = open(&Sim::new(3));
    let all = handle(&store, ActingAs::Administrator);
    all.put(document("turn0")).unwrap();
    all.put(document("turn1")).unwrap();
    all.delete("turn1").unwrap();
    let once = Arc::new(Once::new([1; 16], [1; 16]));
    assert_eq!(all.once(&once).revise_all(is_turn, for_ada).unwrap(), 2);
    all.revise("turn0", |_, said| {
        said.readers = None;
        Ok(true)
    })
    .unwrap();
    assert_eq!(all.once(&once).revise_all(is_turn, for_ada).unwrap(), 2);
    assert!(once.was_answered());
    assert_eq!(all.get("turn0").unwrap().unwrap().readers, None);
}

/// Without this, a reader would see some turns of a conversation by its old labels and some by its new ones.
#[test]
fn a_reader_sees_all_of_a_change_or_nothing() {
    let store = open(&Sim::new(4));
    let all = handle(&store, ActingAs::Administrator);
    let turns = (0..40).map(|n| document(&format!("turn{n}"))).collect();
    all.put_many(turns).unwrap();
    all.delete("turn7").unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for round in 0..60 {
                let change = |_: &DocumentInfo, said: &mut Said| {
                    said.readers = (round % 2 == 0).then(|| vec!["user:ada".to_owned()]);
                    Ok(true)
                };
                all.revise_all(is_turn, change).unwrap();
            }
            is_over.store(true, Ordering::Release);
        });
        let (bob, ada) = (handle(&store, ActingAs::default()), handle(&store, ada()));
        while !is_over.load(Ordering::Acquire) {
            let seen = listed(&bob).len();
            assert!(seen == 0 || seen == 39, "{seen} of 39");
            assert_eq!(listed(&ada).len(), 39, "a deleted turn is never seen");
        }
    });
}

/// Without this, a search in one conversation would find what is said in another.
#[test]
fn ids_of_one_form_are_found_in_memory_and_in_segments() {
    let store = open(&Sim::new(5));
    let all = handle(&store, ActingAs::Administrator);
    let form =
        |name: &str| Filter { ids: Some(Numbered { name: name.to_owned(), digits: 2 }), ..Filter::default() };
    for id in ["t_01", "t_02", "t_1", "t_x1", "t_012", "u_01", "t_", "01", "t_0é"] {
        all.put(document(id)).unwrap();
    }
    for _ in 0..2 {
        let found = |filter: &Filter| all.list(filter, 0, 100).unwrap().total;
        assert_eq!((found(&form("t_")), found(&form("u_")), found(&form(""))), (2, 1, 1));
        let tagged = Filter { all_tags: vec!["kind:turn".to_owned()], ..form("t_") };
        let other = Filter { all_tags: vec!["kind:none".to_owned()], ..form("t_") };
        assert_eq!((found(&tagged), found(&other)), (2, 0));
        store.flush().unwrap();
    }
}
