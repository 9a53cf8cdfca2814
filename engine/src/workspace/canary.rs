//! How does a search that finds nothing prove something?
//!
//! Beside the partitions of a workspace the engine keeps one of its own, of the same dimension and metric, with a canary: a document
//! with a vector and a word that nobody else has. To check a partition, the canary is searched for in both, by the vector and by the word,
//! each time for what would be the best match of all: in its own partition it has to be found, so that the search is known to
//! be able to find it, and in the other one it must not.
//!
//! Invariants:
//! 1. No scope covers the canary's partition: it is in a collection that no host can name, is in no listing and no sum, and goes with its workspace.
//! 2. Nothing of a tenant goes into it: the canary is made of random bytes.
//!
//! Concurrency: two checks may plant at once; both canaries are as good, and the first by id is looked for from then on.

use super::{PartitionName, PartitionRef, Scope, Store, StoreError};
use crate::filter::Filter;
use crate::partition::{NewDocument, NewPassage, Partition, Passage, Query, SearchRequest, Unit};
use sha2::{Digest, Sha256};
use strongroom_format::record::{CollectionSpec, Metric};

/// The collection of canaries: no name of a host's holds a control character.
pub(super) const COLLECTION: &str = "\0canary";

/// How many of the best are looked through: among fewer the one that agrees entirely would be.
const LOOKED_THROUGH: usize = 16;

/// How a canary fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canary {
    /// Which one it is: its document's id is this in hexadecimal digits.
    pub id: [u8; 16],
    /// Whether it was found in its own partition. If not, the check proves nothing.
    pub is_beside: bool,
    /// Whether it was found in the partition that was checked. If so, partitions are mixed up.
    pub is_here: bool,
}

impl Canary {
    /// Whether the check proves that the two are apart.
    pub fn holds(&self) -> bool {
        self.is_beside && !self.is_here
    }
}

impl Store {
    /// Looks for a canary from inside a partition; `None` when there is no such partition. The first check in a workspace
    /// plants it, which is a write.
    pub fn check_canary(&self, scope: &Scope, at: &PartitionRef) -> Result<Option<Canary>, StoreError> {
        let Some(partition) = self.partition(scope, at)? else { return Ok(None) };
        let spec = partition.core.spec;
        let beside = PartitionRef { collection: COLLECTION.to_owned(), partition: Some(name(spec)) };
        let own = Scope::of_the_engine(scope.workspace(), beside.clone());
        let nest = self.partition_for_write(&own, &beside, spec)?;
        let id = match nest.list(&Filter::default(), 0, 1)?.documents.first().and_then(|bird| parse(&bird.id))
        {
            Some(id) => id,
            None => self.plant(&nest, spec)?,
        };
        Ok(Some(Canary { id, is_beside: finds(&nest, id, spec)?, is_here: finds(&partition, id, spec)? }))
    }

    fn plant(&self, nest: &Partition, spec: CollectionSpec) -> Result<[u8; 16], StoreError> {
        let id: [u8; 16] = self.env.random();
        nest.put(NewDocument {
            id: Some(digits(id)),
            filename: "canary".to_owned(),
            content_type: "text/plain".to_owned(),
            passages: vec![NewPassage { text: Passage::Own(word(id)), vector: vector(id, spec.dimension) }],
            ..NewDocument::default()
        })?;
        Ok(id)
    }
}

/// Whether a search for the canary finds it, by its vector or by its word.
fn finds(partition: &Partition, id: [u8; 16], spec: CollectionSpec) -> Result<bool, StoreError> {
    let (vector, word) = (vector(id, spec.dimension), word(id));
    for query in [Query::Vector(&vector), Query::Words(&word)] {
        let request = SearchRequest {
            query,
            unit: Unit::Documents,
            k: LOOKED_THROUGH,
            filter: &Filter::default(),
            similarity_min: f32::NEG_INFINITY,
            recall: None,
            ages: None,
            with_content: false,
        };
        let found = partition.search(&request)?;
        if found.hits.iter().any(|hit| hit.document.id == digits(id) || hit.passage == word) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The partition of the canaries of one kind.
fn name(spec: CollectionSpec) -> PartitionName {
    let metric = match spec.metric {
        Metric::Cosine => "cosine",
        Metric::InnerProduct => "product",
        Metric::Euclidean => "distance",
    };
    PartitionName::new(&format!("{metric}-{}", spec.dimension)).expect("a short word")
}

/// A direction that depends on the id alone.
fn vector(id: [u8; 16], dimension: u32) -> Vec<f32> {
    let blocks = (0_u32..).flat_map(|block| {
        let digest: [u8; 32] =
            Sha256::new().chain_update(id).chain_update(block.to_le_bytes()).finalize().into();
        digest
    });
    blocks.take(dimension as usize).map(|byte| f32::from(byte) - 127.5).collect()
}

fn word(id: [u8; 16]) -> String {
    format!("canary{}", digits(id))
}

fn digits(id: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(id))
}

fn parse(digits: &str) -> Option<[u8; 16]> {
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}
