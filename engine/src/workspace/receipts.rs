//! Which erasures were done, and what proves each?
//!
//! The receipts that `erase` left behind. Whose scope covers a whole workspace reads those of that workspace; the host
//! goes through all of them, to write each down in a log of its own: those that no call answered it asks for with
//! [`Store::take_erased`], those that a crash kept from it it finds by [`Store::receipt_ids`].

use super::{OperatorScope, Scope, Store, StoreError, WorkspaceId};
use crate::io::{BlobStore, Fault, lock};
use crate::shred::{
    Erasure, RECEIPTS, SignedReceipt, read_receipt, receipt_ids_in, receipt_stem, receipts_prefix,
};
use strongroom_format::receipt::ReceiptKind;

/// An erasure that is done, and whose receipt is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// The workspace that it happened in.
    pub workspace: WorkspaceId,
    /// The receipt's id.
    pub id: [u8; 16],
    /// What was erased.
    pub kind: ReceiptKind,
}

impl Store {
    /// The receipts of the scope's workspace, which may be gone, in the order of their ids, after the one of this id;
    /// at most `limit`.
    pub fn receipts(
        &self,
        scope: &Scope,
        after: Option<[u8; 16]>,
        limit: usize,
    ) -> Result<Vec<SignedReceipt>, StoreError> {
        if !scope.covers_workspace() {
            return Err(StoreError::Forbidden);
        }
        let (blobs, workspace) = (&self.env.medium.blobs, scope.workspace());
        let mut after = after.map(|id| after_attempts(workspace, id));
        let mut receipts = Vec::new();
        while receipts.len() < limit {
            let wanted = limit - receipts.len();
            let names = blobs
                .list_after(&receipts_prefix(&workspace.0), after.as_deref(), wanted)
                .map_err(Fault::from)?;
            let Some(last) = names.last() else { break };
            after = Some(last.clone());
            for name in &names {
                receipts.extend(find_receipt(&**blobs, name)?);
            }
        }
        Ok(receipts)
    }

    /// One receipt of the scope's workspace, which may be gone.
    pub fn receipt(&self, scope: &Scope, id: [u8; 16]) -> Result<Option<SignedReceipt>, StoreError> {
        if !scope.covers_workspace() {
            return Err(StoreError::Forbidden);
        }
        Ok(self.stored_receipt(&scope.workspace().0, &id)?)
    }

    /// Which receipts there are in the whole store, those of workspaces that are gone among them, in the order of
    /// workspaces and ids, after this one; about `limit` at most, and none only when there are no more. Reads names
    /// alone: one whose writing a crash cut short may be among them.
    pub fn receipt_ids(
        &self,
        _: &OperatorScope,
        after: Option<(WorkspaceId, [u8; 16])>,
        limit: usize,
    ) -> Result<Vec<(WorkspaceId, [u8; 16])>, StoreError> {
        let mut after = after.map(|(workspace, id)| after_attempts(workspace, id));
        let mut ids = Vec::new();
        while ids.is_empty() {
            let blobs = &self.env.medium.blobs;
            let names = blobs.list_after(RECEIPTS, after.as_deref(), limit).map_err(Fault::from)?;
            ids.extend(names.iter().filter_map(|name| receipt_ids_in(name)));
            let Some(last) = names.into_iter().next_back() else { break };
            after = Some(last);
        }
        ids.dedup();
        Ok(ids.into_iter().map(|(workspace, id)| (WorkspaceId(workspace), id)).collect())
    }

    /// One receipt of a workspace that is there or gone; `None` when there is none that holds.
    pub fn receipt_of(
        &self,
        _: &OperatorScope,
        workspace: WorkspaceId,
        id: [u8; 16],
    ) -> Result<Option<SignedReceipt>, StoreError> {
        Ok(self.stored_receipt(&workspace.0, &id)?)
    }

    /// Erasures that were finished since this was last asked and whose receipt no call answered: by maintenance, at
    /// open, or by a call that then met a failure. Forgotten with the process.
    pub fn take_erased(&self, _: &OperatorScope) -> Vec<Erased> {
        std::mem::take(&mut *lock(&self.erased))
    }

    /// The key that verifies this store's receipts.
    pub fn receipt_key(&self) -> [u8; 32] {
        self.signer.public_key()
    }

    /// Notes an erasure for whoever is to be told of it.
    pub(super) fn receipt_is_durable(&self, erasure: &Erasure) {
        let erased = Erased { workspace: WorkspaceId(erasure.workspace), id: erasure.id, kind: erasure.kind };
        let mut untold = lock(&self.erased);
        if !untold.contains(&erased) {
            untold.push(erased);
        }
    }

    /// Forgets an erasure whose receipt a call is about to answer.
    pub(super) fn answered(&self, receipt: &SignedReceipt) {
        lock(&self.erased).retain(|erased| erased.id != receipt.receipt.id);
    }

    pub(super) fn stored_receipt(
        &self,
        workspace: &[u8; 16],
        id: &[u8; 16],
    ) -> Result<Option<SignedReceipt>, Fault> {
        let blobs = &self.env.medium.blobs;
        // Nearly always the first attempt holds. Listing looks through all receipts of the workspace.
        let stem = receipt_stem(workspace, id);
        if let Some(receipt) = find_receipt(&**blobs, &format!("{stem}-0"))? {
            return Ok(Some(receipt));
        }
        for name in blobs.list_after(&format!("{stem}-"), None, usize::MAX)? {
            if let Some(receipt) = find_receipt(&**blobs, &name)? {
                return Ok(Some(receipt));
            }
        }
        Ok(None)
    }
}

/// What sorts after all attempts to write this receipt: those that were cut short sort before the one that holds.
fn after_attempts(workspace: WorkspaceId, id: [u8; 16]) -> String {
    format!("{}-z", receipt_stem(&workspace.0, &id))
}

/// A receipt, unless a crash cut this attempt short; a read may have been led elsewhere.
fn find_receipt(blobs: &dyn BlobStore, name: &str) -> Result<Option<SignedReceipt>, Fault> {
    for _ in 0..4 {
        if let Some(receipt) = read_receipt(blobs, name)? {
            return Ok(Some(receipt));
        }
    }
    Ok(None)
}
