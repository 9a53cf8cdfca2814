//! A tenant's life on a real folder, cut short between each two of its steps.

use strongroom_engine::io::disk;
use strongroom_engine::{CollectionSpec, RootKey, StoreOptions};
use tempfile::TempDir;

use super::*;
use crate::auth::server_itself;
use crate::control::{By, NewCollection, Settings};
use crate::tenancy::{create_workspace, ensure_collection};

/// Control plane and engine over one folder.
struct Life {
    control: Control,
    store: Store,
}

impl Life {
    fn open(folder: &TempDir) -> Self {
        let control = Control::open(&folder.path().join("control.sqlite"), &[1; 32], None).unwrap();
        let medium = disk::medium(folder.path()).unwrap();
        let store = Store::open(medium, RootKey([1; 32]), StoreOptions::default()).unwrap();
        Self { control, store }
    }

    /// As if the process had died here and was started anew. Answers how many acts were finished.
    fn cut(self, folder: &TempDir) -> (Self, usize) {
        drop(self);
        let life = Self::open(folder);
        let finished = finish_interrupted(&life.control, &life.store);
        assert!(life.control.unfinished_tenants().is_empty());
        (life, finished)
    }

    fn workspace(&self) -> WorkspaceId {
        if let Some(found) = self.control.workspace_named("one") {
            return found.id;
        }
        create_workspace(&self.control, &self.store, &server_itself(), "one", three(), By::system())
            .unwrap()
            .id
    }

    fn collection(&self) -> std::sync::Arc<Collection> {
        ensure_collection(&self.control, self.workspace(), COLLECTION, three).unwrap()
    }

    fn create(&self, slug: &str) -> Registered {
        create(&self.control, &self.store, self.workspace(), &self.collection(), called(slug), By::system())
            .unwrap()
    }

    /// What the tenants in service are called.
    /// By name: those that were made in one millisecond are listed in the order of their random ids.
    fn names(&self) -> Vec<String> {
        let all = self.control.tenants_of(self.workspace(), 0, 99);
        let read = |tenant: Tenant| read(&self.store, &place_of(&tenant).unwrap(), tenant).unwrap().unwrap();
        let mut names: Vec<_> = all.into_iter().map(|tenant| read(tenant).called.name).collect();
        names.sort();
        names
    }

    fn partitions(&self) -> usize {
        self.store.partitions(&server_in(self.workspace(), COLLECTION), COLLECTION).unwrap().len()
    }

    fn register(&self, tenant: &Tenant, slug: &str) {
        let (place, document) =
            (place_of(tenant).unwrap(), called(slug).document(&self.collection()).unwrap());
        let put = |partition: &strongroom_engine::Partition| partition.put(document.clone());
        ingest::write(&self.store, &place, &self.collection(), put).unwrap();
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

fn called(slug: &str) -> Registration {
    Registration { name: format!("The {slug}"), slug: slug.to_owned() }
}

/// Lost otherwise: a slug would be taken for ever by a tenant that nobody has, or one would be in service without a name.
#[test]
fn a_making_that_was_cut_short_is_undone_or_finished() {
    let folder = TempDir::new().unwrap();
    let life = Life::open(&folder);
    life.create("kept");
    // Behind the intent: nobody knows what it was to be called.
    life.control.begin_tenant(life.workspace(), "acme").unwrap();
    let (life, finished) = life.cut(&folder);
    assert_eq!((finished, life.names(), life.partitions()), (1, vec!["The kept".to_owned()], 1));
    // Behind the registration: it only has to go into service.
    let tenant = life.control.begin_tenant(life.workspace(), "acme").unwrap();
    life.register(&tenant, "acme");
    assert_eq!(life.control.tenant(life.workspace(), &tenant.id), None);
    let (life, finished) = life.cut(&folder);
    assert_eq!((finished, life.names().len(), life.partitions()), (1, 2, 2));
    assert!(life.control.tenant(life.workspace(), &tenant.id).is_some());
    let (life, finished) = life.cut(&folder);
    assert_eq!((finished, life.names().len()), (0, 2), "what is finished is left alone");
}

/// Lost otherwise: a customer who was deleted would come back with the next start, or stay on the disk.
#[test]
fn a_deletion_that_was_cut_short_is_finished() {
    let folder = TempDir::new().unwrap();
    let life = Life::open(&folder);
    let (first, second) = (life.create("first").tenant, life.create("second").tenant);
    life.create("kept");
    life.control.begin_tenant_deletion(&first.id).unwrap();
    let (life, finished) = life.cut(&folder);
    assert_eq!(
        (finished, life.names(), life.partitions()),
        (1, vec!["The kept".to_owned(), "The second".to_owned()], 2)
    );
    life.control.begin_tenant_deletion(&second.id).unwrap();
    life.store
        .drop_partition(&server_in(second.workspace, COLLECTION), &place_of(&second).unwrap().at)
        .unwrap();
    let (life, finished) = life.cut(&folder);
    assert_eq!((finished, life.names(), life.partitions()), (1, vec!["The kept".to_owned()], 1));
    // Their slugs are free again.
    life.create("first");
    life.create("second");
}

/// Lost otherwise: what comes late for a deleted tenant would be kept under its id, where nobody looks for it.
#[test]
fn a_late_write_makes_no_partition_anew() {
    let folder = TempDir::new().unwrap();
    let life = Life::open(&folder);
    let made = life.create("acme");
    let place = place_of(&made.tenant).unwrap();
    let deleted = delete(&life.control, &life.store, &made.tenant, By::system()).unwrap();
    assert_eq!(deleted.unwrap().0.documents, 1);
    let renamed = rename(&life.store, &place, &life.collection(), made.clone(), "New".to_owned()).unwrap();
    assert!(renamed.is_none());
    assert!(read(&life.store, &place, made.tenant.clone()).unwrap().is_none());
    assert_eq!(life.partitions(), 0);
    // Asked again, there is nothing left to do.
    assert!(delete(&life.control, &life.store, &made.tenant, By::system()).unwrap().is_none());
}

/// Lost otherwise: a customer's new name would be lost, or its slug be changed under the programs that know it.
#[test]
fn a_rename_keeps_the_slug() {
    let folder = TempDir::new().unwrap();
    let life = Life::open(&folder);
    let made = life.create("acme");
    let place = place_of(&made.tenant).unwrap();
    let renamed =
        rename(&life.store, &place, &life.collection(), made, "Acme Ltd".to_owned()).unwrap().unwrap();
    assert_eq!((renamed.called.name.as_str(), renamed.called.slug.as_str()), ("Acme Ltd", "acme"));
    assert!(renamed.updated_ms.is_some());
    let (life, _) = life.cut(&folder);
    assert_eq!(life.names(), ["Acme Ltd"]);
    let document = strongroom_engine::Filter { condition: Some(memories_alone()), ..Default::default() };
    let count = |filter| {
        ingest::read(&life.store, &place, |partition| partition.list(filter, 0, 9)).unwrap().unwrap().total
    };
    assert_eq!((count(&document), count(&Default::default())), (0, 1), "a registration is no memory");
}
