//! How is a partition declared, held, renamed, thrown away and brought back, so that the audit log tells of it?
//!
//! The engine keeps name and terms, under the partition's own key. Another name concerns the control plane as well: pinned keys,
//! quotas and usage stand there under a hash of it. So a rename is an act of three steps: intent row → engine → completion, the
//! last of them while the engine lets nobody find the partition under either name by mistake.
//!
//! Invariants:
//! 1. A hold, a release, a change and a rename are refused unless they are written down.
//! 2. After a crash a partition's keys and quotas are under the name that the engine has.

use strongroom_engine::{Amendment, PartitionInfo, PartitionName, Store, WorkspaceId};

use crate::app::App;
use crate::auth::{Place, server_in};
use crate::control::{Action, By, Collection, Control, Entry, Rename};
use crate::erasure::with_room;
use crate::message::error::ApiError;
use crate::{log, random};

/// Makes a partition without a document.
pub(crate) fn declare(
    app: &App,
    place: &Place,
    collection: &Collection,
    amendment: &Amendment,
    by: By,
) -> Result<PartitionInfo, ApiError> {
    let info = app.store.declare(&place.scope, &place.at, collection.spec, amendment)?;
    tell(app, place, Action::PartitionDeclare, &info, by)?;
    Ok(info)
}

/// Changes a partition's name or terms; `None` when there is no such partition.
pub(crate) fn change(
    app: &App,
    place: &Place,
    amendment: &Amendment,
    by: By,
) -> Result<Option<PartitionInfo>, ApiError> {
    let to = amendment.name.as_ref().filter(|name| Some(*name) != place.at.partition.as_ref());
    match (to, &place.at.partition) {
        (Some(to), Some(from)) => rename(app, place, from, to, amendment, by),
        _ => Ok(app.store.amend(&place.scope, &place.at, amendment, |info| {
            let entries = entries(amendment, place.scope.workspace(), info, &by);
            with_room(&app.store, || app.control.tell(entries.clone())).map_err(ApiError::from)
        })?),
    }
}

fn rename(
    app: &App,
    place: &Place,
    from: &PartitionName,
    to: &PartitionName,
    amendment: &Amendment,
    by: By,
) -> Result<Option<PartitionInfo>, ApiError> {
    let (workspace, collection) = (place.scope.workspace(), place.at.collection.clone());
    let hash = |name| app.control.partition_hasher().hash(workspace, &collection, name);
    let rename = Rename { workspace, collection: collection.clone(), old: hash(from), new: hash(to) };
    app.control.begin_rename(&rename)?;
    let renamed = app.store.amend(&place.scope, &place.at, amendment, |info| {
        let entries = entries(amendment, workspace, info, &by);
        app.control.remember_partition(rename.new, to);
        app.usage.rename(place, to, || {
            Ok(app.control.finish_rename(&rename, info.incarnation, entries, by.clone())?)
        })
    });
    match &renamed {
        Ok(Some(_)) => app.quotas.renamed(workspace, &collection, rename.old, rename.new),
        Err(error) if error.status.is_server_error() => settle(app, place, &rename),
        Ok(None) | Err(_) => app.control.forget_rename(&rename)?,
    }
    renamed
}

/// After a failure: takes the intent back if the engine has the old name. Where that can't be told the next open looks.
fn settle(app: &App, place: &Place, rename: &Rename) {
    let kept = app.store.partition_info(&place.scope, &place.at);
    if !app.store.is_poisoned()
        && matches!(kept, Ok(Some(_)))
        && let Err(error) = app.control.forget_rename(rename)
    {
        log::error(&format!("the intent of a rename that came to nothing could not be taken back: {error}"));
    }
}

/// Throws a partition away; `None` when there is no such partition.
pub(crate) fn trash(
    app: &App,
    place: &Place,
    grace_ms: u64,
    by: By,
) -> Result<Option<PartitionInfo>, ApiError> {
    let Some(info) = app.store.trash_partition(&place.scope, &place.at, grace_ms)? else { return Ok(None) };
    tell(app, place, Action::PartitionTrash, &info, by)?;
    Ok(Some(info))
}

/// Brings a partition back; `None` when there is no such partition.
pub(crate) fn restore(app: &App, place: &Place, by: By) -> Result<Option<PartitionInfo>, ApiError> {
    let Some(info) = app.store.restore_partition(&place.scope, &place.at)? else { return Ok(None) };
    tell(app, place, Action::PartitionRestore, &info, by)?;
    Ok(Some(info))
}

fn tell(app: &App, place: &Place, action: Action, info: &PartitionInfo, by: By) -> Result<(), ApiError> {
    let entry = Entry::done(place.scope.workspace(), by, action, random::hex(&info.incarnation));
    with_room(&app.store, || app.control.enter(|| vec![entry.clone()])).map_err(|_| {
        let text = "it is done, but the audit log's entry of it could not be written yet; the server goes on trying by itself";
        ApiError::busy("audit_unwritten", text, 60)
    })
}

/// What the audit log says of a change, its other name apart.
fn entries(amendment: &Amendment, workspace: WorkspaceId, info: &PartitionInfo, by: &By) -> Vec<Entry> {
    let entry = |action| Entry::done(workspace, by.clone(), action, random::hex(&info.incarnation));
    let mut entries = Vec::new();
    if let Some(held) = amendment.held {
        entries.push(entry(if held { Action::PartitionHold } else { Action::PartitionRelease }));
    }
    if amendment.expires_ms.is_some() || amendment.ttl_ms.is_some() {
        entries.push(entry(Action::PartitionChange));
    }
    entries
}

/// At open: brings what stands under a name to where the engine has the partition. Answers how many renames that were.
pub(crate) fn finish_interrupted(control: &Control, store: &Store) -> Result<usize, ApiError> {
    let renames = control.unfinished_renames()?;
    for rename in &renames {
        let (workspace, collection) = (rename.workspace, &rename.collection);
        let infos = store.all_partitions(&server_in(workspace, collection), collection).unwrap_or_default();
        let hasher = control.partition_hasher();
        let find = |hash| {
            let named = |info: &&PartitionInfo| {
                info.name.as_ref().is_some_and(|name| hasher.hash(workspace, collection, name) == hash)
            };
            infos.iter().find(named)
        };
        // With the old one still there, whatever has the new name is another's.
        match (find(rename.old), find(rename.new)) {
            (None, Some(info)) => {
                control.finish_rename(rename, info.incarnation, Vec::new(), By::system())?
            }
            _ => control.forget_rename(rename)?,
        }
    }
    Ok(renames.len())
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
