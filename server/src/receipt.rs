//! What does an erasure's receipt say, in words and in JSON?
//!
//! The engine signs 320 bytes; here they get names. The API and the command line tell the same.

use schemars::JsonSchema;
use serde::Serialize;
use strongroom_engine::{Receipt, ReceiptKind, SignedReceipt};

use crate::{base64, clock, random};

/// What was erased, as a word.
pub(crate) fn kind(receipt: &Receipt) -> &'static str {
    match receipt.kind() {
        Ok(ReceiptKind::Partition) => "partition",
        Ok(ReceiptKind::Workspace) => "workspace",
        Ok(ReceiptKind::Purge) => "purge",
        Err(_) => "unknown",
    }
}

/// How strong overwriting is on the medium that it happened on: a word and what it means.
pub(crate) fn strength(receipt: &Receipt) -> (&'static str, &'static str) {
    match receipt.strength {
        1 => (
            "in_place",
            "The filesystem writes new bytes where the old ones lay; what an SSD or a snapshot below it keeps is sealed \
             under the key above the destroyed one.",
        ),
        2 => (
            "copy_on_write",
            "The filesystem writes new bytes elsewhere: the old ones, sealed under the key above the destroyed one, stay on \
             the disk until their blocks are used again.",
        ),
        4 => ("memory", "There was no disk: the old bytes are gone, unless the system had swapped them out."),
        _ => (
            "unknown",
            "The filesystem is none whose overwriting is known: old bytes, sealed under the key above the destroyed one, may \
             have stayed on the disk.",
        ),
    }
}

/// An erasure's receipt: every field, and the signed bytes themselves.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Receipt")]
pub(crate) struct Told {
    id: String,
    /// `partition`, `workspace` or `purge`.
    kind: &'static str,
    /// How strong overwriting is on the medium that it happened on: `in_place`, `copy_on_write`, `memory` or `unknown`.
    strength: &'static str,
    /// That, in words.
    strength_means: &'static str,
    workspace: String,
    /// As what the partition goes on, after a purge.
    successor: Option<String>,
    name_salt: String,
    /// SHA-256 over name_salt's bytes and the name of what was erased.
    name_hash: String,
    /// Of the key that was destroyed.
    key_fingerprint: Option<String>,
    partitions: u64,
    documents: u64,
    /// Documents that were soft-deleted before.
    deleted: u64,
    passages: u64,
    dropped_at: String,
    finished_at: String,
    log_record: u64,
    keys_overwritten: u64,
    bytes_overwritten: u64,
    files_deleted: u64,
    /// Read back, to look for remains.
    bytes_searched: u64,
    remains: u64,
    /// Ed25519.
    signature: String,
    public_key: String,
    /// The signed bytes, in Base64.
    receipt: String,
}

impl Told {
    pub(crate) fn of(signed: &SignedReceipt) -> Self {
        let receipt = &signed.receipt;
        let (strength, strength_means) = strength(receipt);
        Self {
            id: random::hex(&receipt.id),
            kind: kind(receipt),
            strength,
            strength_means,
            workspace: random::hex(&receipt.workspace),
            successor: unless_zero(&receipt.successor),
            name_salt: random::hex(&receipt.name_salt),
            name_hash: random::hex(&receipt.name_hash),
            key_fingerprint: unless_zero(&receipt.key_fingerprint),
            partitions: receipt.partitions.get(),
            documents: receipt.documents.get(),
            deleted: receipt.deleted.get(),
            passages: receipt.passages.get(),
            dropped_at: clock::rfc3339(receipt.dropped_ms.get()),
            finished_at: clock::rfc3339(receipt.finished_ms.get()),
            log_record: receipt.log_record.get(),
            keys_overwritten: receipt.keys_overwritten.get(),
            bytes_overwritten: receipt.bytes_overwritten.get(),
            files_deleted: receipt.files_deleted.get(),
            bytes_searched: receipt.bytes_searched.get(),
            remains: receipt.remains.get(),
            signature: random::hex(&receipt.signature),
            public_key: random::hex(&receipt.public_key),
            receipt: base64::encode(&signed.bytes),
        }
    }
}

/// Zeros stand for what isn't there.
fn unless_zero(id: &[u8; 16]) -> Option<String> {
    (*id != [0; 16]).then(|| random::hex(id))
}

/// What it says, for people.
pub(crate) fn lines(receipt: &Receipt) -> Vec<String> {
    let (strength, means) = strength(receipt);
    // Live documents and soft-deleted ones.
    let all = receipt.documents.get().saturating_add(receipt.deleted.get());
    let what = match receipt.kind() {
        Ok(ReceiptKind::Partition) => {
            format!("a partition with {all} documents, {} of them deleted before", receipt.deleted)
        }
        Ok(ReceiptKind::Workspace) => format!(
            "a workspace with {} partitions and {all} documents, {} of them deleted before",
            receipt.partitions, receipt.deleted
        ),
        Ok(ReceiptKind::Purge) => {
            format!("{} single documents; their partition goes on under another key", receipt.documents)
        }
        Err(_) => "something unknown".to_owned(),
    };
    let mut lines = vec![
        format!("receipt          {}", random::hex(&receipt.id)),
        format!("erased           {what}"),
        format!("workspace        {}", random::hex(&receipt.workspace)),
        format!("asked for at     {}", clock::rfc3339(receipt.dropped_ms.get())),
        format!("done at          {}", clock::rfc3339(receipt.finished_ms.get())),
        format!("keys destroyed   {}, each in both mirrors", receipt.keys_overwritten),
        format!(
            "bytes            {} overwritten with zeros; {} files deleted",
            receipt.bytes_overwritten, receipt.files_deleted
        ),
        format!("looked for       {} bytes read back, {} remains", receipt.bytes_searched, receipt.remains),
        format!("how strong       {strength}: {means}"),
        format!("name             {} is SHA-256 over", random::hex(&receipt.name_hash)),
        format!("                 the bytes {} and the name", random::hex(&receipt.name_salt)),
    ];
    if let Some(fingerprint) = unless_zero(&receipt.key_fingerprint) {
        lines.push(format!("key              fingerprint {fingerprint}"));
    }
    if let Some(successor) = unless_zero(&receipt.successor) {
        lines.push(format!("goes on as       {successor}"));
    }
    lines.push(format!("log record       {}", receipt.log_record));
    lines.push(format!("signed by        {}", random::hex(&receipt.public_key)));
    lines
}
