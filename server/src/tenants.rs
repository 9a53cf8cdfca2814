//! How does a tenant begin, get its name and end?
//!
//! A tenant is a partition of the collection `memory`, named by an id that the control plane hands out. What it is called
//! stands in a document of that partition, its registration, so that it is sealed under the tenant's own key and goes when
//! that key is destroyed.
//!
//! Intent row → engine → completion, like a workspace (`server/src/tenancy.rs`). A making that was cut short is finished when
//! the registration is there and undone when it isn't: then nobody knows the name any more, and nobody was told that the
//! tenant exists. A deletion that was cut short is finished.
//!
//! Invariants:
//! 1. A tenant's partition is made with its registration and by nothing else: a write that comes late finds no partition
//!    and makes none.
//! 2. A registration has an empty passage, so no search finds it, and a tag, so that counts and lists can leave it out.

use serde::{Deserialize, Serialize};
use strongroom_engine::{
    Condition, Counts, DocumentInfo, FieldValue, NewDocument, NewPassage, PartitionName, PartitionRef,
    Passage, SignedReceipt, Store, Subject, Test, WorkspaceId, WriteError,
};

use crate::auth::{Place, server_in};
use crate::control::{By, Collection, Control, ControlError, State, Tenant};
use crate::erasure::{self, with_room};
use crate::message::error::ApiError;
use crate::{ingest, log};

/// The collection of tenants and memories.
pub(crate) const COLLECTION: &str = "memory";

/// The id of a registration in its partition. Memories have other ones.
const REGISTRATION_ID: &str = "tenant";
const REGISTRATION_TAG: &str = "strongroom:tenant";

/// What a tenant is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registration {
    pub(crate) name: String,
    pub(crate) slug: String,
}

/// A tenant with what it is called.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) tenant: Tenant,
    pub(crate) called: Registration,
    pub(crate) updated_ms: Option<u64>,
}

impl Registration {
    fn document(&self, collection: &Collection) -> Result<NewDocument, ApiError> {
        let content = serde_json::to_vec(self).map_err(|error| ApiError::internal(error.to_string()))?;
        let nowhere = vec![0.0; collection.spec.dimension as usize];
        Ok(NewDocument {
            id: Some(REGISTRATION_ID.to_owned()),
            filename: "tenant.json".to_owned(),
            content_type: "application/json".to_owned(),
            content,
            tags: vec![REGISTRATION_TAG.to_owned()],
            passages: vec![NewPassage { text: Passage::Own(String::new()), vector: nowhere }],
            ..NewDocument::default()
        })
    }
}

/// Lets memories pass, and no registration.
pub(crate) fn memories_alone() -> Condition {
    let tag = FieldValue::Text(REGISTRATION_TAG.to_owned());
    Condition::Not(Box::new(Condition::Is(Subject::Tag, Test::In(vec![tag]))))
}

/// Whether the document of this id is a tenant's registration.
pub(crate) fn is_registration(id: &str) -> bool {
    id == REGISTRATION_ID
}

/// How many memories a tenant's partition of these counts holds.
pub(crate) fn memories_of(counts: Counts) -> u64 {
    counts.documents.saturating_sub(1)
}

/// Makes a tenant.
pub(crate) fn create(
    control: &Control,
    store: &Store,
    workspace: WorkspaceId,
    collection: &Collection,
    called: Registration,
    by: By,
) -> Result<Registered, ApiError> {
    let document = called.document(collection)?;
    let tenant = control.begin_tenant(workspace, &called.slug)?;
    let place = place_of(&tenant)?;
    if let Err(error) = ingest::write(store, &place, collection, |partition| partition.put(document.clone()))
    {
        // It may have become durable all the same. What can't be undone now is looked at again at the next open.
        undo(control, store, &tenant).ok();
        return Err(error);
    }
    control.finish_tenant(&tenant.id, by)?;
    Ok(Registered { tenant: Tenant { state: State::Live, ..tenant }, called, updated_ms: None })
}

/// What a tenant is called; `None` when its partition is gone.
pub(crate) fn read(store: &Store, place: &Place, tenant: Tenant) -> Result<Option<Registered>, ApiError> {
    let found = ingest::read(store, place, |partition| partition.content(REGISTRATION_ID))?.flatten();
    let Some((info, content)) = found else { return Ok(None) };
    let DocumentInfo { updated_ms, .. } = info;
    let called = serde_json::from_slice(&content)
        .map_err(|_| ApiError::internal("a tenant's registration can't be read"))?;
    Ok(Some(Registered { tenant, called, updated_ms }))
}

/// Gives a tenant another name; `None` when its partition is gone.
pub(crate) fn rename(
    store: &Store,
    place: &Place,
    collection: &Collection,
    registered: Registered,
    name: String,
) -> Result<Option<Registered>, ApiError> {
    let called = Registration { name, ..registered.called };
    let document = called.document(collection)?;
    let changed =
        ingest::change(store, place, |partition| partition.update(REGISTRATION_ID, document.clone()))?;
    Ok(changed.map(|info| Registered { called, updated_ms: info.updated_ms, ..registered }))
}

/// Deletes a tenant: it looks like one that isn't there from the first step on, its partition is shredded by the second, and
/// the third removes its row. There is no receipt when the engine held nothing of it any more.
pub(crate) fn delete(
    control: &Control,
    store: &Store,
    tenant: &Tenant,
    by: By,
) -> Result<Option<(Counts, SignedReceipt)>, ApiError> {
    let place = place_of(tenant)?;
    // One that is put on hold between this and the drop stays out of service until that is lifted and it is deleted again.
    let known = store.partition_info(&place.scope, &place.at).ok().flatten();
    if known.is_some_and(|info| info.terms.held_ms.is_some()) {
        return Err(WriteError::Held.into());
    }
    with_room(store, || unless_gone(control.begin_tenant_deletion(&tenant.id)))?;
    let dropped = erasure::drop_partition(control, store, &place, by)?;
    with_room(store, || control.remove_tenant(&tenant.id))?;
    Ok(dropped)
}

/// Somebody else may have finished the same deletion just now.
fn unless_gone(outcome: Result<(), ControlError>) -> Result<(), ControlError> {
    match outcome {
        Err(ControlError::NoTenant) => Ok(()),
        other => other,
    }
}

/// Finishes what was begun, or undoes it. Answers how many acts that were. What can't be done now, because of a damaged
/// partition, say, stays out of service and stops nobody from starting.
pub(crate) fn finish_interrupted(control: &Control, store: &Store) -> usize {
    let finish = |tenant: &Tenant| {
        let registration = || {
            let place = place_of(tenant)?;
            ingest::read(store, &place, |partition| partition.get(REGISTRATION_ID)).map(Option::flatten)
        };
        if tenant.state == State::Creating && registration()?.is_some() {
            return Ok(control.finish_tenant(&tenant.id, By::system())?);
        }
        undo(control, store, tenant)
    };
    let mut finished = 0;
    for tenant in control.unfinished_tenants() {
        match finish(&tenant) {
            Ok(()) => finished += 1,
            Err(error) => log::warn(&format!(
                "the making or deletion of a tenant could not be finished, so it stays out of service: {}",
                error.cause.unwrap_or_else(|| error.text.into_owned())
            )),
        }
    }
    finished
}

fn undo(control: &Control, store: &Store, tenant: &Tenant) -> Result<(), ApiError> {
    delete(control, store, tenant, By::system()).map(drop)
}

/// The right of the server itself to a tenant's partition.
pub(crate) fn place_of(tenant: &Tenant) -> Result<Place, ApiError> {
    let name = PartitionName::new(&tenant.id).map_err(|error| ApiError::internal(error.to_string()))?;
    let at = PartitionRef { collection: COLLECTION.to_owned(), partition: Some(name) };
    Ok(Place { scope: server_in(tenant.workspace, COLLECTION), at, key: None, promise: None, watch: None })
}

#[cfg(test)]
#[path = "tenants_tests.rs"]
mod tests;
