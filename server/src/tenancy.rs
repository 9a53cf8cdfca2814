//! How does an act that spans SQLite and the engine stay whole?
//!
//! Intent row → engine → completion. The engine's half is idempotent, so whatever a crash or a failure left between
//! the two is finished here at the next open, before anything is served.

use std::sync::Arc;

use strongroom_engine::{Counts, OperatorScope, SignedReceipt, Store, WorkspaceId};

use crate::control::{By, Collection, Control, State, Workspace};
use crate::erasure::{self, with_room};
use crate::message::error::ApiError;

/// Makes a workspace.
pub(crate) fn create_workspace(
    control: &Control,
    store: &Store,
    scope: &OperatorScope,
    name: &str,
    collection: Collection,
) -> Result<Arc<Workspace>, ApiError> {
    let workspace = control.begin_workspace(name, collection)?;
    store.create_workspace(scope, workspace.id)?;
    Ok(control.finish_workspace(workspace.id)?)
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
    with_room(store, || control.begin_deletion(id))?;
    let dropped = erasure::drop_workspace(control, store, scope, id, by)?;
    with_room(store, || control.finish_deletion(id))?;
    Ok(dropped.map_or_else(Default::default, |(counts, receipt)| (counts, Some(receipt))))
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
                control.finish_workspace(workspace.id)?;
            }
            State::Deleting => {
                drop_workspace(control, store, scope, workspace.id, By::system())?;
            }
            State::Live => {}
        }
    }
    Ok(unfinished.len())
}
