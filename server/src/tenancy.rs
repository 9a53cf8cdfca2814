//! How does an act that spans SQLite and the engine stay whole?
//!
//! Intent row → engine → completion. The engine's half is idempotent, so whatever a crash or a failure left between
//! the two is finished here at the next open, before anything is served.

use std::sync::Arc;

use strongroom_engine::{
    Counts, OperatorScope, PartitionRef, Scope, SignedReceipt, Store, StoreError, WorkspaceId,
};

use crate::auth::{Place, counting, server_in};
use crate::control::{By, Collection, Control, ControlError, Life, NewCollection, State, Workspace};
use crate::erasure::{self, with_room};
use crate::message::error::ApiError;

/// Makes a workspace.
pub(crate) fn create_workspace(
    control: &Control,
    store: &Store,
    scope: &OperatorScope,
    name: &str,
    collection: NewCollection,
    by: By,
) -> Result<Arc<Workspace>, ApiError> {
    let workspace = control.begin_workspace(name, collection)?;
    store.create_workspace(scope, workspace.id)?;
    Ok(control.finish_workspace(workspace.id, by)?)
}

/// Drops a workspace: its keys are dead from the first step on, its data is shredded by the second and the audit log
/// says so by the third. There is no receipt when the engine held nothing of it any more.
pub(crate) fn drop_workspace(
    control: &Control,
    store: &Store,
    scope: &OperatorScope,
    id: WorkspaceId,
    by: By,
) -> Result<(Counts, Option<SignedReceipt>), ApiError> {
    refuse_what_is_held(store, &counting(id, None), None)?;
    with_room(store, || control.begin_deletion(id))?;
    let dropped = erasure::drop_workspace(control, store, scope, id, by).or_else(|error| {
        // Put on hold at the last moment: nothing of it is gone.
        undo_if_held(error, || with_room(store, || control.undo_deletion(id)))
    })?;
    with_room(store, || control.finish_deletion(id))?;
    Ok(dropped.map_or_else(Default::default, |(counts, receipt)| (counts, Some(receipt))))
}

/// The collection of this name, made if it isn't there.
pub(crate) fn ensure_collection(
    control: &Control,
    workspace: WorkspaceId,
    name: &str,
    new: impl FnOnce() -> NewCollection,
) -> Result<Arc<Collection>, ApiError> {
    if let Some(found) = control.collection(workspace, name) {
        return Ok(found);
    }
    match control.create_collection(workspace, name, new(), By::system()) {
        // Another call may have been faster.
        Err(ControlError::CollectionTaken) => {
            control.collection(workspace, name).ok_or_else(|| ControlError::CollectionTaken.into())
        }
        made => Ok(made?),
    }
}

/// Shreds all that is in a collection, partition by partition, each with its receipt. What is written meanwhile may stay.
pub(crate) fn truncate_collection(
    control: &Control,
    store: &Store,
    scope: &Scope,
    collection: &Collection,
    by: &By,
) -> Result<Vec<(Counts, SignedReceipt)>, ApiError> {
    refuse_what_is_held(store, scope, Some(&collection.name))?;
    with_room(store, || control.set_life(collection, Life::Truncating))?;
    let dropped = drop_partitions(control, store, scope, collection, by).or_else(|error| {
        undo_if_held(error, || with_room(store, || control.set_life(collection, Life::Live).map(drop)))
    })?;
    with_room(store, || control.finish_truncation(collection, by.clone()))?;
    Ok(dropped)
}

/// Deletes a collection: out of service from the first step on, shredded by the second.
pub(crate) fn drop_collection(
    control: &Control,
    store: &Store,
    scope: &Scope,
    collection: &Collection,
    by: &By,
) -> Result<Vec<(Counts, SignedReceipt)>, ApiError> {
    refuse_what_is_held(store, scope, Some(&collection.name))?;
    with_room(store, || control.set_life(collection, Life::Deleting))?;
    collection.gate.close();
    let dropped = drop_partitions(control, store, scope, collection, by).or_else(|error| {
        undo_if_held(error, || {
            with_room(store, || control.set_life(collection, Life::Live).map(drop))?;
            collection.gate.open();
            Ok(())
        })
    })?;
    with_room(store, || control.finish_collection(collection, by.clone()))?;
    Ok(dropped)
}

/// Refuses to delete what holds something that is on hold, before anything of it is.
fn refuse_what_is_held(store: &Store, scope: &Scope, collection: Option<&str>) -> Result<(), ApiError> {
    match store.holds(scope, collection) {
        Ok(true) => Err(held_inside()),
        Ok(false) | Err(StoreError::NoWorkspace) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Puts back into service what turned out to be held.
fn undo_if_held<T>(error: ApiError, undo: impl FnOnce() -> Result<(), ControlError>) -> Result<T, ApiError> {
    if error.code != held_inside().code {
        return Err(error);
    }
    undo()?;
    Err(held_inside())
}

/// Something in it is held.
pub(crate) fn held_inside() -> ApiError {
    ApiError::conflict(
        "legal_hold",
        "a partition in it is on hold, so it can't be deleted or emptied until an owner lifts that; GET /v1/partitions?state=all \
         tells which",
    )
}

fn drop_partitions(
    control: &Control,
    store: &Store,
    scope: &Scope,
    collection: &Collection,
    by: &By,
) -> Result<Vec<(Counts, SignedReceipt)>, ApiError> {
    let mut dropped = Vec::new();
    for info in store.all_partitions(scope, &collection.name)? {
        let at = PartitionRef { collection: collection.name.clone(), partition: info.name };
        let place = Place { scope: scope.clone(), at, key: None, promise: None, watch: None };
        dropped.extend(erasure::drop_partition(control, store, &place, by.clone())?);
    }
    Ok(dropped)
}

/// What is held by now comes back into service, and keeps nobody from starting.
fn unless_held<T>(
    outcome: Result<T, ApiError>,
    undo: impl FnOnce() -> Result<(), ControlError>,
) -> Result<(), ApiError> {
    match outcome {
        Err(error) if error.code == held_inside().code => Ok(undo()?),
        other => other.map(drop),
    }
}

/// Finishes what was begun. Answers how many acts that were.
pub(crate) fn finish_interrupted(
    control: &Control,
    store: &Store,
    scope: &OperatorScope,
) -> Result<usize, ApiError> {
    let unfinished = control.unfinished_workspaces();
    for workspace in &unfinished {
        match workspace.state {
            State::Creating => {
                store.create_workspace(scope, workspace.id)?;
                control.finish_workspace(workspace.id, By::system())?;
            }
            State::Deleting => {
                let dropped = drop_workspace(control, store, scope, workspace.id, By::system());
                unless_held(dropped, || control.undo_deletion(workspace.id))?;
            }
            State::Live => {}
        }
    }
    let collections = control.unfinished_collections();
    for collection in &collections {
        let (scope, by) = (server_in(collection.workspace, &collection.name), By::system());
        let undo = || control.set_life(collection, Life::Live).map(drop);
        match collection.life {
            Life::Truncating => {
                unless_held(truncate_collection(control, store, &scope, collection, &by), undo)?;
            }
            Life::Deleting => {
                unless_held(drop_collection(control, store, &scope, collection, &by), undo)?;
            }
            Life::Live => {}
        }
    }
    Ok(unfinished.len() + collections.len())
}
