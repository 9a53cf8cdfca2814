//! Which partition does a request act on?
//!
//! Called once for each request on data, after authentication and the scope check and before the body is believed.
//! It joins what the key is pinned to with what the request names, and grants the engine's scope for exactly the one
//! partition that comes out.
//!
//! Invariants:
//! 1. A pinned key reaches its own partition or none.
//! 2. A multi-tenant key that names no partition reaches nothing, whatever else it is.
//! 3. Any other key that names none reaches the default partition, never all of them.

use std::sync::Arc;

use strongroom_engine::{DocumentInfo, PartitionName, PartitionRef, Reach, Scope, WorkspaceId};

use crate::control::PartitionHash;
use crate::idempotency::Promise;
use crate::message::error::ApiError;
use crate::watch::{Watch, What};

/// The collection of Aether's routes.
pub(crate) const DEFAULT_COLLECTION: &str = "default";

/// What a request names. An empty name is a name, and a bad one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Named<'a> {
    /// `None` on routes that know one collection only.
    pub(crate) collection: Option<&'a str>,
    pub(crate) partition: Option<&'a str>,
}

/// One partition, and the right to reach it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) scope: Scope,
    pub(crate) at: PartitionRef,
    /// The id of the key that it was reached with; neither the operator nor the server itself has one.
    pub(crate) key: Option<Arc<str>>,
    /// Whether what the request writes here is to be written once.
    pub(crate) promise: Option<Arc<Promise>>,
    /// What takes down what the request sees here.
    pub(crate) watch: Option<Arc<Watch>>,
}

impl Place {
    /// A partition that a scope was granted for.
    pub(super) fn new(scope: Scope, at: PartitionRef) -> Self {
        Self { scope, at, key: None, promise: None, watch: None }
    }

    /// Whether the other is the same partition, reached with the same right: what one reads, the other would.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.at == other.at && self.scope == other.scope && self.key == other.key
    }

    /// The key that what is done here counts on.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The same, reached with this key.
    pub(super) fn with_key(self, key: Option<&str>) -> Self {
        Self { key: key.map(Arc::from), ..self }
    }

    /// The same, for a request that is to be done once.
    pub(crate) fn with_promise(self, promise: Option<&Arc<Promise>>) -> Self {
        Self { promise: promise.cloned(), ..self }
    }

    /// The same, for a request that is watched.
    pub(crate) fn with_watch(self, watch: Option<&Arc<Watch>>) -> Self {
        Self { watch: watch.cloned(), ..self }
    }

    /// Takes down that the request is shown a document.
    pub(crate) fn shows(&self, document: &DocumentInfo) {
        if let Some(watch) = &self.watch {
            watch.shows(&self.at, [document], || What::Document(document.id.clone()));
        }
    }

    /// Takes down that it is shown several, which it didn't ask for by their ids.
    pub(crate) fn lists<'a>(&self, documents: impl IntoIterator<Item = &'a DocumentInfo>) {
        if let Some(watch) = &self.watch {
            watch.shows(&self.at, documents, || What::Several);
        }
    }

    /// Whether the request had been done before, and wrote nothing this time.
    pub(crate) fn was_answered(&self) -> bool {
        self.promise.as_ref().is_some_and(|promise| promise.once().was_answered())
    }

    /// The partition's id as answers show it: `None` for the default one.
    pub(crate) fn partition(&self) -> Option<&str> {
        self.at.partition.as_ref().map(PartitionName::as_str)
    }
}

/// The partition that a key is pinned to: a hash that the database keeps, and its name if this process has met it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) hash: PartitionHash,
    pub(crate) name: Option<PartitionName>,
}

/// What a key is kept to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pins {
    pub(crate) collection: Option<String>,
    pub(crate) partition: Option<Pin>,
}

/// The right to everything in one partition, for tests.
#[cfg(test)]
fn grant(workspace: WorkspaceId, at: PartitionRef) -> Place {
    let scope = Scope::grant(workspace, Reach::Partition(at.clone()))
        .acting_as(strongroom_engine::ActingAs::Administrator);
    Place::new(scope, at)
}

/// The right of the server itself to count what a collection or a whole workspace holds.
pub(crate) fn counting(workspace: WorkspaceId, collection: Option<&str>) -> Scope {
    let reach = collection.map_or(Reach::Workspace, |name| Reach::Collection(name.to_owned()));
    Scope::grant(workspace, reach)
}

/// The rule itself, without the engine.
pub(super) fn choose(
    pins: &Pins,
    multi_tenant: bool,
    named: Named<'_>,
    hash_of: impl Fn(&str, &PartitionName) -> PartitionHash,
) -> Result<PartitionRef, ApiError> {
    let collection = named.collection.unwrap_or(DEFAULT_COLLECTION);
    let own = pins.collection.as_deref();
    if own.is_some_and(|own| own != collection) {
        return Err(collection_forbidden());
    }
    let partition = match (named.partition.map(partition_name).transpose()?, &pins.partition) {
        (None, _) if multi_tenant => return Err(partition_required()),
        (None, None) => None,
        (None, Some(own)) => Some(own.name.clone().ok_or_else(unknown_pin)?),
        (Some(name), Some(own)) if hash_of(collection, &name) != own.hash => {
            return Err(ApiError::forbidden(
                "partition_forbidden",
                "this key is pinned to another partition than the one that this request names",
            ));
        }
        (named, _) => named,
    };
    Ok(PartitionRef { collection: collection.to_owned(), partition })
}

pub(super) fn collection_forbidden() -> ApiError {
    ApiError::forbidden(
        "collection_forbidden",
        "this key is pinned to another collection than the one that this request acts on",
    )
}

fn partition_required() -> ApiError {
    ApiError::malformed(
        "partition_required",
        "this key serves many tenants, so every call on data must name one: add partition=<id> to the request \
         (in the Python client: client.partition(\"<id>\"))",
    )
}

/// Only between a restart and the first write into the partition, or after it was deleted.
fn unknown_pin() -> ApiError {
    ApiError::malformed(
        "partition_required",
        "this key's partition holds nothing yet, and its id is kept as a hash alone: name it once, with \
         partition=<id>; later calls may leave it out",
    )
}

/// Reads a partition's id. Nothing is trimmed or folded: two ids are one only when their bytes are.
pub(crate) fn partition_name(id: &str) -> Result<PartitionName, ApiError> {
    PartitionName::new(id).map_err(|error| ApiError::malformed("invalid_partition", error.to_string()))
}

/// Some place, for tests of what is done with one.
#[cfg(test)]
pub(crate) fn test_place() -> Place {
    let at = PartitionRef { collection: DEFAULT_COLLECTION.to_owned(), partition: None };
    grant(WorkspaceId([0; 16]), at)
}

/// The same, of a partition that has a name.
#[cfg(test)]
pub(crate) fn test_place_named(name: &str) -> Place {
    let partition = PartitionName::new(name).ok();
    let at = PartitionRef { collection: DEFAULT_COLLECTION.to_owned(), partition };
    grant(WorkspaceId([0; 16]), at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::PartitionHasher;

    fn hash(collection: &str, name: &PartitionName) -> PartitionHash {
        PartitionHasher::of_key([1; 32]).hash(WorkspaceId([0; 16]), collection, name)
    }

    fn pins(collection: Option<&str>, partition: Option<&str>) -> Pins {
        let name = partition.map(|id| PartitionName::new(id).unwrap());
        Pins {
            collection: collection.map(str::to_owned),
            partition: name.map(|name| Pin { hash: hash(DEFAULT_COLLECTION, &name), name: Some(name) }),
        }
    }

    /// The outcome as one word: the partition's id, `-` for the default one, or the error's code.
    fn outcome(pins: &Pins, multi_tenant: bool, named: Option<&str>) -> String {
        match choose(pins, multi_tenant, Named { collection: None, partition: named }, hash) {
            Ok(at) => at.partition.map_or_else(|| "-".to_owned(), |name| name.as_str().to_owned()),
            Err(error) => error.code.to_owned(),
        }
    }

    /// Lost otherwise: one tenant's request would be answered from another's partition, or from all of them.
    #[test]
    fn every_kind_of_key_against_every_kind_of_request() {
        let (plain, pinned) = (pins(None, None), pins(None, Some("acme")));
        let mut forgotten = pinned.clone();
        forgotten.partition.as_mut().unwrap().name = None;
        // (pins, multi-tenant, without a partition, with "acme", with "globex", with "")
        let table = [
            (&plain, false, "-", "acme", "globex", "invalid_partition"),
            (&plain, true, "partition_required", "acme", "globex", "invalid_partition"),
            (&pinned, false, "acme", "acme", "partition_forbidden", "invalid_partition"),
            (&pinned, true, "partition_required", "acme", "partition_forbidden", "invalid_partition"),
            // After a restart, before the partition holds anything.
            (&forgotten, false, "partition_required", "acme", "partition_forbidden", "invalid_partition"),
        ];
        for (pins, multi_tenant, without, own, foreign, empty) in table {
            assert_eq!(outcome(pins, multi_tenant, None), without, "{pins:?} {multi_tenant}");
            assert_eq!(outcome(pins, multi_tenant, Some("acme")), own, "{pins:?} {multi_tenant}");
            assert_eq!(outcome(pins, multi_tenant, Some("globex")), foreign, "{pins:?} {multi_tenant}");
            assert_eq!(outcome(pins, multi_tenant, Some("")), empty, "{pins:?} {multi_tenant}");
            // What only looks like the pin is foreign.
            for near in ["Acme", "acme ", "аcme", "acme\0", "acme\u{200b}"] {
                let expected = if pins.partition.is_some() { "partition_forbidden" } else { near };
                assert_eq!(outcome(pins, multi_tenant, Some(near)), expected);
            }
        }
    }

    /// Lost otherwise: a key for one collection would reach another one's data through routes that name none.
    #[test]
    fn a_key_for_one_collection_stays_in_it() {
        let pins = pins(Some("manuals"), None);
        let code = |collection| {
            choose(&pins, false, Named { collection, partition: None }, hash)
                .map(|at| at.collection)
                .map_err(|e| e.code)
        };
        assert_eq!(code(Some("manuals")), Ok("manuals".to_owned()));
        assert_eq!(code(Some("invoices")), Err("collection_forbidden"));
        assert_eq!(code(None), Err("collection_forbidden"));
    }

    /// Lost otherwise: a tenant's id that their own system allows could not be used, or two ids would be one.
    #[test]
    fn ids_are_any_text_of_1_to_256_characters() {
        let longest = "é".repeat(256);
        for id in ["a", "\0", "../../x", "a/b", "😀", "%2e", "acme ", " acme", "аcme", "...", &longest] {
            assert_eq!(partition_name(id).unwrap().as_str(), id);
        }
        for id in ["", " ", "\t\n", "\u{3000}", ".", "..", &"x".repeat(257)] {
            assert_eq!(partition_name(id).unwrap_err().code, "invalid_partition", "{id:?}");
        }
    }
}
