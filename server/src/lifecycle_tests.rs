//! A rename on a real folder, cut short between each two of its steps.

use strongroom_engine::io::disk;
use strongroom_engine::{
    CollectionSpec, NewDocument, NewPassage, PartitionRef, Passage, RootKey, Scope, StoreError, StoreOptions,
};
use tempfile::TempDir;

use super::*;
use crate::auth::{DEFAULT_COLLECTION, server_itself};
use crate::control::scopes::ScopeSet;
use crate::control::{NewCollection, NewKey, PartitionHash, Settings};
use crate::tenancy::create_workspace;

/// Control plane and engine over one folder.
struct Life {
    control: Control,
    store: Store,
    workspace: WorkspaceId,
}

impl Life {
    fn open(folder: &TempDir) -> Self {
        let control = Control::open(&folder.path().join("control.sqlite"), &[1; 32], None).unwrap();
        let medium = disk::medium(folder.path()).unwrap();
        let store = Store::open(medium, RootKey([1; 32]), StoreOptions::default()).unwrap();
        let workspace = control.workspace_named("one").map_or_else(
            || create_workspace(&control, &store, &server_itself(), "one", three(), By::system()).unwrap().id,
            |found| found.id,
        );
        Self { control, store, workspace }
    }

    /// As if the process had died here and was started anew. Answers how many renames were looked at.
    fn cut(self, folder: &TempDir) -> (Self, usize) {
        drop(self);
        let life = Self::open(folder);
        let looked_at = finish_interrupted(&life.control, &life.store).unwrap();
        assert!(life.control.unfinished_renames().unwrap().is_empty());
        (life, looked_at)
    }

    fn scope(&self) -> Scope {
        server_in(self.workspace, DEFAULT_COLLECTION)
    }

    fn hash(&self, id: &str) -> PartitionHash {
        self.control.partition_hasher().hash(self.workspace, DEFAULT_COLLECTION, &name(id))
    }

    fn put(&self, id: &str) {
        let partition =
            self.store.partition_for_write(&self.scope(), &at(id), CollectionSpec::cosine(3)).unwrap();
        let passage = NewPassage { text: Passage::Own("x".to_owned()), vector: vec![1.0, 0.0, 0.0] };
        partition.put(NewDocument { passages: vec![passage], ..NewDocument::default() }).unwrap();
    }

    fn intend(&self, old: &str, new: &str) {
        let (old, new) = (self.hash(old), self.hash(new));
        let collection = DEFAULT_COLLECTION.to_owned();
        self.control.begin_rename(&Rename { workspace: self.workspace, collection, old, new }).unwrap();
    }

    /// The engine's half.
    fn rename(&self, old: &str, new: &str) {
        let amendment = Amendment { name: Some(name(new)), ..Amendment::default() };
        let renamed = self.store.amend::<StoreError>(&self.scope(), &at(old), &amendment, |_| Ok(()));
        assert!(renamed.unwrap().is_some());
    }

    /// Which partition the only key is pinned to.
    fn pinned(&self) -> Option<PartitionHash> {
        self.control.keys_of(self.workspace).first().and_then(|key| key.partition)
    }

    fn names(&self) -> Vec<String> {
        let all = self.store.partitions(&self.scope(), DEFAULT_COLLECTION).unwrap();
        all.into_iter().filter_map(|info| Some(info.name?.as_str().to_owned())).collect()
    }
}

fn three() -> NewCollection {
    NewCollection {
        spec: CollectionSpec::cosine(3),
        embedder: "none".to_owned(),
        settings: Settings::default(),
        provider_key: None,
    }
}

fn name(id: &str) -> PartitionName {
    PartitionName::new(id).unwrap()
}

fn at(id: &str) -> PartitionRef {
    PartitionRef { collection: DEFAULT_COLLECTION.to_owned(), partition: Some(name(id)) }
}

/// With a partition `acme`, and a key that is pinned to it.
fn begun(folder: &TempDir) -> Life {
    let life = Life::open(folder);
    life.put("acme");
    let key = NewKey {
        workspace: life.workspace,
        name: "acme's".to_owned(),
        scopes: ScopeSet::all(),
        collection: None,
        partition: Some(life.hash("acme")),
        multi_tenant: false,
        expires_ms: None,
    };
    life.control.mint(&key, By::system()).unwrap();
    life
}

/// Lost otherwise: a customer's keys would stay under an id that is free for another customer, or leave a partition that kept its id.
#[test]
fn keys_are_under_the_id_that_the_engine_has() {
    let folder = TempDir::new().unwrap();
    let life = begun(&folder);
    // Behind the intent.
    life.intend("acme", "acme/2");
    let (life, looked_at) = life.cut(&folder);
    assert_eq!(
        (looked_at, life.names(), life.pinned()),
        (1, vec!["acme".to_owned()], Some(life.hash("acme")))
    );
    // Behind the engine's half.
    life.intend("acme", "acme/2");
    life.rename("acme", "acme/2");
    assert_eq!(life.pinned(), Some(life.hash("acme")));
    let (life, looked_at) = life.cut(&folder);
    let expected = (1, vec!["acme/2".to_owned()], Some(life.hash("acme/2")));
    assert_eq!((looked_at, life.names(), life.pinned()), expected);
    let (life, looked_at) = life.cut(&folder);
    assert_eq!((looked_at, life.pinned()), (0, Some(life.hash("acme/2"))), "what is finished is left alone");
}

/// Lost otherwise: a rename that came to nothing would give a customer's keys to the next one who is given the other id.
#[test]
fn an_intent_that_came_to_nothing_gives_nobody_a_key() {
    let folder = TempDir::new().unwrap();
    let life = begun(&folder);
    life.intend("acme", "globex");
    life.put("globex");
    let (life, looked_at) = life.cut(&folder);
    assert_eq!((looked_at, life.names().len(), life.pinned()), (1, 2, Some(life.hash("acme"))));
}
