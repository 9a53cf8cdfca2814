//! What should the store answer? A plain model, a life of random calls, and the comparison of the two.
//!
//! The model is maps and brute force, small enough to be believed by reading it. A [`World`](world::World) runs a
//! store on the simulated machine beside the model: every call goes to both. After each crash what was
//! acknowledged must be there and nothing else; the one call that was interrupted happened wholly or not at all.
//! `docs/simulator.md` tells the whole of it.

pub mod asked;
mod calls;
pub mod check;
pub mod damage;
pub mod keeping;
pub mod kinds;
pub mod life;
mod observe;
pub mod poured;
mod ranking;
pub mod runner;
pub mod script;
mod searched;
pub mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use strongroom_engine::{
    ActingAs, CollectionSpec, Field, FieldValue, Filter, Metric, NewDocument, NewPassage, PartitionName,
    PartitionRef, Passage, Reach, Scope, WorkspaceId,
};

/// Components of each vector. Odd, so that no kernel gets away with whole registers.
pub const DIMENSION: usize = 19;

/// The one collection.
pub const COLLECTION: &str = "default";

/// A partition: which workspace (by number), and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The workspace's number.
    pub workspace: u8,
    /// The partition's name; `None` for the default partition.
    pub name: Option<String>,
}

impl Spot {
    /// As the engine wants it.
    pub fn at(&self) -> PartitionRef {
        let name = self.name.as_deref().map(|name| PartitionName::new(name).expect("a good name"));
        PartitionRef { collection: COLLECTION.to_owned(), partition: name }
    }

    /// A scope that reaches this partition and no other, for one who may read everything.
    pub fn scope(&self) -> Scope {
        self.scope_for(ActingAs::Administrator)
    }

    /// The same, on this behalf.
    pub fn scope_for(&self, acting: ActingAs) -> Scope {
        Scope::grant(workspace_id(self.workspace), Reach::Partition(self.at())).acting_as(acting)
    }
}

/// A workspace's id from its number.
pub fn workspace_id(number: u8) -> WorkspaceId {
    WorkspaceId([number; 16])
}

/// A scope over a whole workspace, for one who may read everything.
pub fn whole(number: u8) -> Scope {
    Scope::grant(workspace_id(number), Reach::Workspace).acting_as(ActingAs::Administrator)
}

/// A document as the model keeps it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Doc {
    /// 1, one more with each update.
    pub version: u32,
    /// Its bytes.
    pub content: String,
    /// Its labels.
    pub tags: Vec<String>,
    /// Who it is about.
    pub entity: Option<String>,
    /// What its metadata has, a path and a value each.
    pub fields: Vec<(String, FieldValue)>,
    /// One vector for each passage, as they were given.
    pub vectors: Vec<Vec<f32>>,
    /// Who may read it.
    pub readers: Option<Vec<String>>,
    /// When it is gone, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// Whether it is not deleted.
    pub live: bool,
}

impl Doc {
    /// The texts of its passages: even pieces of its content.
    pub fn passages(&self) -> impl ExactSizeIterator<Item = &str> {
        let piece = self.content.len() / self.vectors.len();
        (0..self.vectors.len()).map(move |n| &self.content[n * piece..(n + 1) * piece])
    }

    /// The document for the engine.
    pub fn new_document(&self, id: Option<&str>) -> NewDocument {
        let piece = self.content.len() / self.vectors.len();
        let bound = |n: usize| u32::try_from(n * piece).expect("a short content");
        let passages = self.vectors.iter().enumerate().map(|(n, vector)| NewPassage {
            text: Passage::Range { start: bound(n), end: bound(n + 1) },
            vector: vector.clone(),
        });
        NewDocument {
            id: id.map(str::to_owned),
            filename: "note.txt".to_owned(),
            content_type: "text/plain".to_owned(),
            content: self.content.clone().into_bytes(),
            tags: self.tags.clone(),
            metadata: String::new(),
            fields: self.fields.iter().cloned().map(|(path, value)| Field { path, value }).collect(),
            entity: self.entity.clone(),
            source: None,
            readers: self.readers.clone(),
            expires_ms: self.expires_ms,
            passages: passages.collect(),
        }
    }

    /// Whether it may be read on this behalf.
    pub fn is_for(&self, acting: &ActingAs) -> bool {
        match (acting, &self.readers) {
            (ActingAs::Administrator, _) | (_, None) => true,
            (ActingAs::Labels(labels), Some(readers)) => labels.iter().any(|label| readers.contains(label)),
        }
    }

    /// Whether a filter lets it pass.
    pub fn passes(&self, filter: &Filter) -> bool {
        self.live
            && filter.all_tags.iter().all(|t| self.tags.contains(t))
            && (filter.any_tags.is_empty() || filter.any_tags.iter().any(|t| self.tags.contains(t)))
            && filter.entity.as_ref().is_none_or(|e| self.entity.as_ref() == Some(e))
            && filter.condition.as_ref().is_none_or(|condition| asked::meets(self, condition))
    }
}

/// How similar two vectors are. By cosines, 0 when one of them is zero; by distances, 1 when they are the same.
fn similarity(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let sum = |a: &[f32], b: &[f32], term: fn(f64, f64) -> f64| -> f64 {
        a.iter().zip(b).map(|(x, y)| term(f64::from(*x), f64::from(*y))).sum()
    };
    let dot = |a, b| sum(a, b, |x, y| x * y);
    match metric {
        Metric::Cosine => {
            let norms = (dot(a, a) * dot(b, b)).sqrt();
            if norms == 0.0 { 0.0 } else { dot(a, b) / norms }
        }
        Metric::InnerProduct => dot(a, b),
        Metric::Euclidean => 1.0 / (1.0 + sum(a, b, |x, y| (x - y) * (x - y)).sqrt()),
    }
}

/// Documents of one partition by id. Shared, so that a model is cheap to clone for what may have happened.
pub type Docs = BTreeMap<String, Arc<Doc>>;

/// All that the store should hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// How all collections compare vectors.
    pub metric: Metric,
    /// Workspaces that are there.
    pub workspaces: BTreeSet<u8>,
    /// Partitions that were written to, and not dropped since.
    pub partitions: BTreeMap<Spot, Arc<Docs>>,
    /// Partitions that were thrown away, and may come back.
    pub trash: BTreeMap<Spot, keeping::Trashed>,
    /// Partitions of which nothing may go, and since when.
    pub held: BTreeMap<Spot, u64>,
    /// Partitions that lay in the trash for long enough, and that the store may still have to shred.
    pub over: BTreeSet<Spot>,
    /// How many documents of a partition have expired that the store may still count: it takes them away some time later.
    pub expired: BTreeMap<Spot, u64>,
    /// When the last of them did, or a request was forgotten.
    pub settled_ms: u64,
    /// The requests that partitions remember.
    pub memos: BTreeMap<Spot, poured::Memos>,
}

impl State {
    /// What every partition is made with.
    pub fn spec(&self) -> CollectionSpec {
        CollectionSpec { metric: self.metric, ..CollectionSpec::cosine(DIMENSION as u32) }
    }

    /// The documents of a partition that is there.
    pub fn docs(&self, spot: &Spot) -> Option<&Docs> {
        self.partitions.get(spot).map(Arc::as_ref)
    }

    /// A document, live or deleted.
    pub fn doc(&self, spot: &Spot, id: &str) -> Option<&Doc> {
        self.docs(spot).and_then(|docs| docs.get(id)).map(Arc::as_ref)
    }

    /// The documents of a partition, which is made when it is not there.
    pub fn docs_mut(&mut self, spot: &Spot) -> &mut Docs {
        Arc::make_mut(self.partitions.entry(spot.clone()).or_default())
    }

    /// Takes away what has expired by now.
    pub fn expire(&mut self, now_ms: u64) {
        let has_expired = |doc: &Doc| doc.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms);
        self.empty_trash(now_ms);
        self.forget_the_gone();
        self.forget_requests(now_ms);
        let State { partitions, trash, held, expired, settled_ms, .. } = self;
        let trash = trash.iter_mut().map(|(spot, trashed)| (spot, &mut trashed.docs));
        for (spot, docs) in partitions.iter_mut().chain(trash).filter(|(spot, _)| !held.contains_key(spot)) {
            let gone: Vec<(String, Option<u64>)> = docs
                .iter()
                .filter(|(_, doc)| has_expired(doc))
                .map(|(id, doc)| (id.clone(), doc.expires_ms))
                .collect();
            for (id, at_ms) in gone {
                Arc::make_mut(docs).remove(&id);
                *expired.entry(spot.clone()).or_default() += 1;
                *settled_ms = (*settled_ms).max(at_ms.unwrap_or_default());
            }
        }
    }

    /// How many documents the store may count that aren't there any more.
    pub fn unswept(&self, spot: &Spot) -> u64 {
        self.expired.get(spot).copied().unwrap_or_default()
    }

    /// Takes a workspace away with all that is in it.
    pub fn drop_workspace(&mut self, number: u8) {
        self.workspaces.remove(&number);
        self.partitions.retain(|spot, _| spot.workspace != number);
        self.expired.retain(|spot, _| spot.workspace != number);
        self.trash.retain(|spot, _| spot.workspace != number);
        self.over.retain(|spot| spot.workspace != number);
    }
}

/// An id that only the engine knows: the insert that it belongs to was not answered.
pub const UNKNOWN_ID: &str = "?";

#[cfg(test)]
mod tests {
    use super::{Doc, similarity};
    use strongroom_engine::{Filter, Metric};

    #[test]
    fn the_model_scores_as_the_books_say() {
        let of = |metric| similarity(metric, &[3.0, 0.0], &[3.0, 3.0]);
        assert!((of(Metric::Cosine) - 0.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!((of(Metric::InnerProduct), of(Metric::Euclidean)), (9.0, 0.25));
        assert_eq!(similarity(Metric::Cosine, &[0.0, 0.0], &[1.0, 1.0]), 0.0);
    }

    #[test]
    fn the_model_filters_as_the_contract_says() {
        let doc = Doc {
            version: 1,
            content: "x".to_owned(),
            tags: vec!["a".to_owned(), "b".to_owned()],
            entity: None,
            vectors: vec![vec![1.0]],
            live: true,
            ..Doc::default()
        };
        let filter = |all: &[&str], any: &[&str]| Filter {
            all_tags: all.iter().map(|t| (*t).to_owned()).collect(),
            any_tags: any.iter().map(|t| (*t).to_owned()).collect(),
            ..Filter::default()
        };
        assert!(doc.passes(&filter(&["a", "b"], &["b", "c"])));
        assert!(!doc.passes(&filter(&["a", "c"], &[])));
        assert!(!doc.passes(&filter(&[], &["c"])));
        assert!(!Doc { live: false, ..doc }.passes(&filter(&[], &[])));
    }
}
