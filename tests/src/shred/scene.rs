//! Who lives in the store from which something is erased?
//!
//! Every text of a document (content, passage, tag, metadata, entity, source, filename, id) contains its
//! partition's name, so looking for the name is looking for all of them. Its vectors have components of a quarter,
//! whose signs are its own: they have length 1, so that the engine keeps them bit for bit.

use std::fmt::Write as _;

use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    CollectionSpec, Field, FieldValue, Filter, NewDocument, NewPassage, OpenError, OperatorScope, Partition,
    Passage, Query, RootKey, SearchRequest, SignedReceipt, Store, StoreError, StoreOptions, Unit,
};

use crate::model::{COLLECTION, Spot, whole, workspace_id};

/// Components of each vector.
pub const DIMENSION: usize = 16;

/// What every partition is made with.
pub const SPEC: CollectionSpec = CollectionSpec::cosine(16);

/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Numbers of documents are below this.
pub const NUMBERS: u8 = 8;

/// A store that does nothing by itself.
pub fn quiet() -> StoreOptions {
    StoreOptions {
        flush_bytes: u64::MAX / 8,
        flush_age_ms: u64::MAX / 2,
        retention_ms: u64::MAX / 2,
        ..StoreOptions::default()
    }
}

/// A partition.
pub fn spot(workspace: u8, name: &str) -> Spot {
    Spot { workspace, name: Some(name.to_owned()) }
}

/// The word that all texts of a partition contain.
pub fn mark(spot: &Spot) -> &str {
    spot.name.as_deref().unwrap_or("nameless-marmalade")
}

/// A document's id.
pub fn id(spot: &Spot, number: u8) -> String {
    format!("{}-{number}", mark(spot))
}

/// A document's vector.
pub fn vector(spot: &Spot, number: u8) -> Vec<f32> {
    let seed = u64::from(spot.workspace) << 8 | u64::from(number) | 1 << 16;
    let bits = mark(spot).bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0193));
    (0..DIMENSION).map(|place| if bits >> (place + 16) & 1 == 0 { 0.25 } else { -0.25 }).collect()
}

/// A document; each edition has words of its own.
pub fn document(spot: &Spot, number: u8, edition: u32) -> NewDocument {
    let mark = mark(spot);
    let content =
        format!("edition {edition} of what {mark} wrote at {} under number {number}", spot.workspace);
    let passage = |text| NewPassage { text, vector: vector(spot, number) };
    NewDocument {
        id: Some(id(spot, number)),
        filename: format!("{mark}.txt"),
        content_type: "text/plain".to_owned(),
        passages: vec![
            passage(Passage::Range { start: 0, end: content.len() as u32 }),
            passage(Passage::Own(format!("{mark} in a passage of edition {edition} of {number}"))),
        ],
        content: content.into_bytes(),
        tags: vec![format!("{mark}-tag"), format!("{mark}-{number}-tag")],
        metadata: format!("{{\"{mark}\": {number}}}"),
        fields: vec![Field { path: mark.to_owned(), value: FieldValue::Text(format!("{mark} in a field")) }],
        entity: Some(format!("{mark} in person")),
        source: Some(format!("the house of {mark}")),
        readers: Some(vec![format!("user:{mark}")]),
        expires_ms: None,
    }
}

/// A machine and the store on it.
pub struct Scene {
    /// The machine.
    pub sim: Sim,
    store: Option<Store>,
    options: StoreOptions,
}

impl Scene {
    /// A fresh machine, and a store of two workspaces.
    pub fn new(seed: u64, options: StoreOptions) -> Scene {
        let scene = Scene::on(Sim::new(seed), options).expect("an empty store opens");
        for workspace in [1, 2] {
            let made = scene.store().create_workspace(&OperatorScope::grant(), workspace_id(workspace));
            made.expect("a workspace is made");
        }
        scene
    }

    /// The store on this machine. Whatever ran there is killed.
    pub fn on(sim: Sim, options: StoreOptions) -> Result<Scene, OpenError> {
        let store = Store::open(sim.restart(), RootKey([7; 32]), options.clone())?;
        Ok(Scene { sim, store: Some(store), options })
    }

    /// A copy of the machine, as if this one had been killed, with its store opened.
    pub fn copy(&self) -> Scene {
        Scene::on(self.sim.snapshot(), self.options.clone()).expect("the copy opens")
    }

    /// The store.
    pub fn store(&self) -> &Store {
        self.store.as_ref().expect("an open store")
    }

    /// Kills the process and opens the store again.
    pub fn reopen(&mut self) {
        self.store = None;
        let store = Store::open(self.sim.restart(), RootKey([7; 32]), self.options.clone());
        self.store = Some(store.expect("the store opens again"));
    }

    /// A partition that is there.
    pub fn partition(&self, spot: &Spot) -> Partition {
        self.find(spot).expect("no failure").expect("the partition is there")
    }

    /// A partition, if it is there.
    pub fn find(&self, spot: &Spot) -> Result<Option<Partition>, StoreError> {
        self.store().partition(&spot.scope(), &spot.at())
    }

    /// A handle for writing.
    pub fn writer(&self, spot: &Spot) -> Result<Partition, StoreError> {
        self.store().partition_for_write(&spot.scope(), &spot.at(), SPEC)
    }

    /// Inserts the first editions of documents.
    pub fn put(&self, spot: &Spot, numbers: std::ops::Range<u8>) {
        let documents = numbers.map(|number| document(spot, number, 1)).collect();
        self.writer(spot).expect("a handle").put_many(documents).expect("inserted");
    }

    /// Flushes, and merges what is to be merged; answers how many partitions were.
    pub fn flush(&self) -> usize {
        self.store().flush().expect("flushed").compacted
    }

    /// The receipts of a workspace.
    pub fn receipts(&self, workspace: u8) -> Vec<SignedReceipt> {
        self.store().receipts(&whole(workspace), None, 999).expect("receipts are listed")
    }

    /// All that a partition answers: listing, documents, passages, searches.
    pub fn told_by(&self, spot: &Spot) -> Result<Option<String>, StoreError> {
        let Some(partition) = self.find(spot)? else { return Ok(None) };
        let filter = Filter::default();
        let mut told = String::new();
        let page = partition.list(&filter, 0, usize::MAX)?;
        let counts = self.store().totals(&spot.scope())?.counts;
        writeln!(told, "{:?}, {} in all, {counts:?}", partition.name(), page.total)
            .expect("a String takes all");
        for info in &page.documents {
            let content = partition.content(&info.id)?.map(|(_, content)| content).unwrap_or_default();
            let (content, passages) =
                (String::from_utf8_lossy(&content), partition.passages(&info.id, 0, 99)?);
            writeln!(told, "{info:?} {content} {passages:?}").expect("a String takes all");
        }
        for number in [0, 1] {
            let vector = vector(spot, number);
            let response = partition.search(&SearchRequest {
                query: Query::Vector(&vector),
                unit: Unit::Documents,
                k: 99,
                filter: &filter,
                similarity_min: 0.0,
                recall: None,
                ages: None,
                with_content: true,
            })?;
            for hit in response.hits {
                let content = hit.content.unwrap_or_default();
                let content = String::from_utf8_lossy(&content);
                writeln!(told, "{} {} {} {content}", hit.document.id, hit.score, hit.passage)
                    .expect("a String takes all");
            }
        }
        Ok(Some(told))
    }

    /// All that the whole store answers, failures and damage included.
    pub fn told_by_all(&self) -> String {
        let mut told = format!("{:?}\n", self.store().damages(&OperatorScope::grant()));
        for workspace in [1, 2] {
            let Ok(listed) = self.store().partitions(&whole(workspace), COLLECTION) else { continue };
            writeln!(told, "{listed:?}").expect("a String takes all");
            for info in listed {
                let name = info.name.map(|name| name.as_str().to_owned());
                let answer = self.told_by(&Spot { workspace, name });
                writeln!(told, "{answer:?}").expect("a String takes all");
            }
        }
        told
    }
}
