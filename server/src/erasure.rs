//! How is an erasure done so that the audit log tells of it?
//!
//! The engine erases and signs the receipt, the control plane writes the row, and only then is the caller answered. What
//! comes between the two is made up for: in this process by [`settle`], with each round of maintenance and before any call
//! is answered that finds nothing left to erase; in the next one by [`reconcile`], before anything is served.
//!
//! Invariants:
//! 1. An erasure that was acknowledged has its row, durably. One whose row could not be written is refused with 503 and
//!    stands all the same.
//! 2. Each receipt has one row, whoever wrote it.
//! 3. On a full disk rows are written in the room of the engine's reserve, so that no erasure fails for its row.

use strongroom_engine::{
    Counts, Erased, OperatorScope, Purged, ReceiptKind, SignedReceipt, Store, WorkspaceId,
};

use crate::auth::{Place, server_itself};
use crate::control::{Action, By, Control, ControlError, Entry, Outcome};
use crate::ingest::PurgedThese;
use crate::message::error::ApiError;
use crate::{ingest, log, random};

/// Receipts that are looked up at once. Each page is found by looking through the names of a workspace's receipts.
const PAGE: usize = 50_000;

/// Drops a partition and shreds it; `None` when there is none.
pub(crate) fn drop_partition(
    control: &Control,
    store: &Store,
    place: &Place,
    by: By,
) -> Result<Option<(Counts, SignedReceipt)>, ApiError> {
    let dropped = store.drop_partition(&place.scope, &place.at)?;
    let receipt = dropped.as_ref().map(|(_, receipt)| receipt);
    enter(control, store, receipt.map(|receipt| entry(Action::PartitionDrop, receipt, by)))?;
    Ok(dropped)
}

/// Drops a partition out of which everything went elsewhere; `None` when there is none.
pub(crate) fn drop_emptied(
    control: &Control,
    store: &Store,
    place: &Place,
    by: By,
) -> Result<Option<SignedReceipt>, ApiError> {
    let receipt = store.drop_emptied(&place.scope, &place.at)?;
    enter(control, store, receipt.as_ref().map(|receipt| entry(Action::PartitionDrop, receipt, by)))?;
    Ok(receipt)
}

/// Drops what the engine holds of a workspace, and shreds it; `None` when that is nothing.
pub(crate) fn drop_workspace(
    control: &Control,
    store: &Store,
    scope: &OperatorScope,
    id: WorkspaceId,
    by: By,
) -> Result<Option<(Counts, SignedReceipt)>, ApiError> {
    let dropped = store.drop_workspace(scope, id)?;
    let receipt = dropped.as_ref().map(|(_, receipt)| receipt);
    enter(control, store, receipt.map(|receipt| entry(Action::WorkspaceDrop, receipt, by)))?;
    Ok(dropped)
}

/// Purges a document, live or soft-deleted; `None` when it isn't there.
pub(crate) fn purge(
    control: &Control,
    store: &Store,
    place: &Place,
    id: &str,
    by: By,
) -> Result<Option<Purged>, ApiError> {
    purge_many(control, store, place, &[id], by)
}

/// Purges documents with one rewriting for all; `None` when one of them isn't there: then those before it are purged, and
/// maintenance makes that final.
pub(crate) fn purge_many(
    control: &Control,
    store: &Store,
    place: &Place,
    ids: &[&str],
    by: By,
) -> Result<Option<Purged>, ApiError> {
    let purged = ingest::purge(store, place, ids)?;
    enter(control, store, purged.as_ref().map(|purged| told(place, purged, by)))?;
    Ok(purged)
}

/// Purges those of these documents that are live, together; `None` when none was.
pub(crate) fn purge_these(
    control: &Control,
    store: &Store,
    place: &Place,
    ids: &[&str],
    by: By,
) -> Result<Option<PurgedThese>, ApiError> {
    let done = ingest::purge_these(store, place, ids)?;
    // Of what was purged before there is a row already, unless it became final only now.
    let news = done.as_ref().filter(|done| !done.is_again || done.purged.receipt.is_some());
    enter(control, store, news.map(|done| told(place, &done.purged, by)))?;
    Ok(done)
}

fn told(place: &Place, purged: &Purged, by: By) -> Entry {
    match &purged.receipt {
        Some(receipt) => entry(Action::DocumentPurge, receipt, by),
        // Another call's rewriting served this one too, or maintenance will: the receipt's row is theirs.
        None => Entry {
            outcome: if purged.is_final { Outcome::Done } else { Outcome::Accepted },
            ..Entry::done(
                place.scope.workspace(),
                by,
                Action::DocumentPurge,
                random::hex(&purged.incarnation),
            )
        },
    }
}

/// Writes the rows that are missing of what this process erased.
pub(crate) fn settle(control: &Control, store: &Store) -> Result<(), ApiError> {
    enter(control, store, None)
}

/// At open: writes the rows of all receipts that have none, and answers how many those were. Looks at names first, and
/// reads only the receipts that are missing.
pub(crate) fn reconcile(control: &Control, store: &Store) -> Result<usize, ApiError> {
    let (mut after, mut written) = (None, 0);
    loop {
        let mut page = store.receipt_ids(&server_itself(), after, PAGE)?;
        let Some(last) = page.last() else { return Ok(written) };
        after = Some(*last);
        control.retain_without_row(&mut page)?;
        let missing: Vec<_> =
            page.into_iter().filter_map(|(workspace, id)| read(store, workspace, id)).collect();
        written += missing.len();
        // All of them each time: more than a failed write leaves to be owed.
        with_room(store, || control.enter(|| missing.clone()))?;
    }
}

/// A receipt's entry. One that can't be read stops nobody from starting.
fn read(store: &Store, workspace: WorkspaceId, id: [u8; 16]) -> Option<Entry> {
    let why = match store.receipt_of(&server_itself(), workspace, id) {
        Ok(Some(found)) => match found.receipt.kind() {
            Ok(kind) => return Some(entry(action(kind), &found, By::system())),
            Err(damage) => damage.to_string(),
        },
        Ok(None) => "it is not whole".to_owned(),
        Err(error) => error.to_string(),
    };
    let id = random::hex(&id);
    log::error(&format!("the receipt {id} can't be read, so the audit log has no entry of it: {why}"));
    None
}

/// Writes an entry, if there is one, and all that is missing before it.
fn enter(control: &Control, store: &Store, mut entry: Option<Entry>) -> Result<(), ApiError> {
    let mut more = || {
        let by_itself = store.take_erased(&server_itself()).into_iter().map(|erased| system_entry(&erased));
        by_itself.chain(entry.take()).collect()
    };
    with_room(store, || control.enter(&mut more))
        .map_err(|error| ApiError::audit_unwritten(error.to_string()))
}

/// Writes to the control plane for an erasure. On a full disk the engine's reserve makes room for it once.
pub(crate) fn with_room<T>(
    store: &Store,
    mut write: impl FnMut() -> Result<T, ControlError>,
) -> Result<T, ControlError> {
    match write() {
        Err(error) if error.is_full() => {
            store.make_room(&server_itself());
            write()
        }
        done => done,
    }
}

fn entry(action: Action, signed: &SignedReceipt, by: By) -> Entry {
    let (id, workspace) = (signed.receipt.id, WorkspaceId(signed.receipt.workspace));
    Entry::erased(workspace, by, action, id, id)
}

fn system_entry(erased: &Erased) -> Entry {
    Entry::erased(erased.workspace, By::system(), action(erased.kind), erased.id, erased.id)
}

fn action(kind: ReceiptKind) -> Action {
    match kind {
        ReceiptKind::Partition => Action::PartitionDrop,
        ReceiptKind::Workspace => Action::WorkspaceDrop,
        ReceiptKind::Purge => Action::DocumentPurge,
    }
}
