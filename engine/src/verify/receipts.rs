//! Does every receipt check and verify, and is there one for each erasure that the keyring tells of?

use super::keys::StoreKeys;
use super::report::Report;
use super::{Hits, hex};
use crate::io::BlobStore;
use crate::shred::{ReceiptError, receipt_stem, verify_receipt};
use std::collections::HashSet;
use strongroom_format::Damage;
use strongroom_format::keyring::SlotState;
use strongroom_format::receipt::{RECEIPT_FILE_BYTES, Receipt};

/// A workspace and an incarnation, or the workspace once more.
type Id = ([u8; 16], [u8; 16]);

/// Reads all receipts.
pub(super) fn check(blobs: &dyn BlobStore, files: &[String], keys: &StoreKeys, report: &mut Report<'_>) {
    let mut proven: HashSet<Id> = HashSet::new();
    for file in files {
        let Some(id) = id_of(file) else {
            report.note(Damage::new("file", "a receipt's name", "another").at(file, 0));
            continue;
        };
        let Some(bytes) = report.map(blobs, file) else { continue };
        match read(&bytes, id, keys) {
            Ok(()) => {
                report.verified.receipts += 1;
                proven.insert(id);
            }
            Err(damage) => {
                // Until the slot says that all is erased, a crash may have cut the writing short.
                let is_cut = bytes.len() < RECEIPT_FILE_BYTES || bytes.iter().all(|&byte| byte == 0);
                let is_under_way = matches!(keys.state(&id.1), SlotState::Live | SlotState::Shredding);
                report.fault_unless(is_cut && is_under_way, damage.at(file, 0), Hits::Nobody);
                // Told once is enough.
                proven.insert(id);
            }
        }
        report.file(bytes.len());
    }
    for (_, slot) in keys.slots().filter(|(_, slot)| slot.state() == SlotState::Shredded) {
        let (workspace, incarnation) = (slot.workspace, slot.incarnation);
        // What went with its workspace is in that one's receipt. Of a slot that couldn't be read when its key was
        // destroyed, nobody knows the workspace.
        let is_proven = [incarnation, workspace].into_iter().any(|id| proven.contains(&(workspace, id)));
        if !is_proven && workspace != [0; 16] {
            let file = format!("{}-0", receipt_stem(&workspace, &incarnation));
            report.fault(Damage::new("receipt", "there", "missing").at(&file, 0), Hits::Nobody);
        }
    }
}

fn read(bytes: &[u8], id: Id, keys: &StoreKeys) -> Result<(), Damage> {
    let receipt = verify_receipt(bytes).map_err(|error| match error {
        ReceiptError::Damaged(damage) => damage,
        ReceiptError::Forged => Damage::new("Receipt.signature", "one that verifies", "another"),
    })?;
    same_id(&receipt, id)?;
    let known = keys.root().map(|root| root.signer().public_key());
    if known.is_some_and(|known| known != receipt.public_key) {
        return Err(Damage::new("Receipt.public_key", "this store's", "another"));
    }
    Ok(())
}

fn same_id(receipt: &Receipt, (workspace, id): Id) -> Result<(), Damage> {
    if (receipt.workspace, receipt.id) == (workspace, id) {
        Ok(())
    } else {
        Err(Damage::new("Receipt.id", hex(&id), hex(&receipt.id)))
    }
}

/// What a receipt of this name is about.
fn id_of(file: &str) -> Option<Id> {
    let (workspace, rest) = file.strip_prefix("receipts/")?.split_once('/')?;
    let (id, attempt) = rest.split_once('-')?;
    attempt.parse::<u32>().ok()?;
    let [workspace, id] =
        [workspace, id].map(|text| Some(u128::from_str_radix(text, 16).ok()?.to_be_bytes()));
    let id = (workspace?, id?);
    file.starts_with(&receipt_stem(&id.0, &id.1)).then_some(id)
}
