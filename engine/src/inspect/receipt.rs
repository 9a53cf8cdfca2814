//! What does a receipt say, and does its signature fit?

use super::Lines;
use crate::shred::{ReceiptError, verify_receipt};
use crate::verify::hex;
use std::fmt::Write as _;
use strongroom_format::Damage;
use strongroom_format::receipt::{Receipt, ReceiptKind};

pub(super) fn inspect(bytes: &[u8], out: &mut Lines<'_>) {
    let Some(receipt) = out.or_damage(Receipt::decode(bytes), 0) else { return };
    let kind = match receipt.kind() {
        Ok(ReceiptKind::Partition) => "a partition",
        Ok(ReceiptKind::Workspace) => "a workspace",
        Ok(ReceiptKind::Purge) => "purged documents",
        Err(_) => "something",
    };
    let strength = match receipt.strength {
        1 => "in place",
        2 => "copy on write",
        4 => "memory",
        _ => "unknown",
    };
    out.say(format_args!("receipt: the erasure of {kind}, id {}", hex(&receipt.id)));
    out.say(format_args!("workspace: {}", hex(&receipt.workspace)));
    if receipt.successor != [0; 16] {
        out.say(format_args!("successor: {}", hex(&receipt.successor)));
    }
    out.say(format_args!("name salt: {}", hex(&receipt.name_salt)));
    out.say(format_args!("name hash: {}", long_hex(&receipt.name_hash)));
    out.say(format_args!("key fingerprint: {}", hex(&receipt.key_fingerprint)));
    for (what, count) in [
        ("partitions", receipt.partitions),
        ("documents", receipt.documents),
        ("deleted documents", receipt.deleted),
        ("passages", receipt.passages),
        ("asked for, in ms since 1970", receipt.dropped_ms),
        ("done, in ms since 1970", receipt.finished_ms),
        ("log record", receipt.log_record),
        ("keys overwritten", receipt.keys_overwritten),
        ("bytes overwritten", receipt.bytes_overwritten),
        ("files deleted", receipt.files_deleted),
        ("bytes searched", receipt.bytes_searched),
        ("remains", receipt.remains),
    ] {
        out.say(format_args!("{what}: {count}"));
    }
    out.say(format_args!("overwriting on this medium: {strength}"));
    out.say(format_args!("public key: {}", long_hex(&receipt.public_key)));
    match verify_receipt(bytes) {
        Ok(_) => out.say(format_args!("signature: valid under this public key")),
        Err(ReceiptError::Damaged(damage)) => out.damage(&damage, 0),
        Err(ReceiptError::Forged) => {
            out.damage(&Damage::new("Receipt.signature", "one that fits", "another"), 0);
        }
    }
}

fn long_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}
