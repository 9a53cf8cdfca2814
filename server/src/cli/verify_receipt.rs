//! Does this receipt hold, and what does it say?
//!
//! Reads a receipt as the store keeps it, or the JSON in which the API answered it, and checks its signature. No server and
//! no data folder is needed: whoever was given a receipt can check it.
//!
//! Invariants:
//! 1. What is printed is what was signed: the JSON's other fields are not believed, nor shown.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use strongroom_engine::verify_receipt;

use crate::{base64, log, random, receipt};

/// It verifies, and is by the key that was named.
pub(super) const HOLDS: u8 = 0;
/// It doesn't.
pub(super) const FAILS: u8 = 1;
/// It could not be read.
pub(super) const UNREADABLE: u8 = 2;

#[derive(Debug, Args)]
pub(super) struct VerifyReceipt {
    /// The receipt: a file of the store's folder `receipts`, or the JSON that the API answered
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The public key of the server that must have signed it
    #[arg(long, value_name = "HEX", value_parser = parse_key)]
    public_key: Option<[u8; 32]>,
}

pub(super) fn parse_key(text: &str) -> Result<[u8; 32], String> {
    random::parse_hex(text).ok_or_else(|| "a public key is 64 hexadecimal digits".to_owned())
}

pub(super) fn run(told: &VerifyReceipt) -> ExitCode {
    let (code, text) = check(told);
    log::print(&text);
    ExitCode::from(code)
}

/// The exit code and what is printed.
fn check(told: &VerifyReceipt) -> (u8, String) {
    match std::fs::read(&told.file).map_err(|error| error.to_string()).and_then(|bytes| signed_bytes(&bytes))
    {
        Ok(bytes) => verdict(&bytes, told.public_key.as_ref()),
        Err(why) => (UNREADABLE, format!("{} can't be read as a receipt: {why}\n", told.file.display())),
    }
}

/// The receipt's own bytes, from either form.
fn signed_bytes(file: &[u8]) -> Result<Vec<u8>, String> {
    if file.trim_ascii_start().first() != Some(&b'{') {
        return Ok(file.to_vec());
    }
    let json: Value =
        serde_json::from_slice(file).map_err(|error| format!("it is not valid JSON: {error}"))?;
    let text = json["receipt"].as_str().ok_or("its JSON has no text under `receipt`")?;
    base64::decode(text).ok_or_else(|| "what stands under `receipt` is not base64".to_owned())
}

fn verdict(bytes: &[u8], wanted: Option<&[u8; 32]>) -> (u8, String) {
    let receipt = match verify_receipt(bytes) {
        Ok(receipt) => receipt,
        Err(error) => return (FAILS, format!("DOES NOT HOLD: {error}\n")),
    };
    let (code, verdict) = match wanted {
        Some(key) if *key != receipt.public_key => {
            (FAILS, "DOES NOT HOLD: it is whole, but signed by another key than the one that was named")
        }
        Some(_) => (HOLDS, "holds: signed by the key that was named"),
        None => {
            (HOLDS, "holds: signed by the key below; whether that is your server's is told by --public-key")
        }
    };
    let lines = receipt::lines(&receipt);
    (code, format!("{verdict}\n{}\n", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use strongroom_engine::io::disk;
    use strongroom_engine::{
        CollectionSpec, NewDocument, NewPassage, Passage, RootKey, SignedReceipt, Store, StoreOptions,
    };

    use super::*;
    use crate::auth::{server_itself, test_place};

    /// A partition's receipt, from a store of its own.
    fn receipt(folder: &Path) -> SignedReceipt {
        let medium = disk::medium(folder).unwrap();
        let store = Store::open(medium, RootKey([7; 32]), StoreOptions::default()).unwrap();
        let place = test_place();
        store.create_workspace(&server_itself(), place.scope.workspace()).unwrap();
        let passage = NewPassage { text: Passage::Own("whales".to_owned()), vector: vec![1.0] };
        let document = NewDocument { passages: vec![passage], ..NewDocument::default() };
        let partition =
            store.partition_for_write(&place.scope, &place.at, CollectionSpec::cosine(1)).unwrap();
        partition.put(document).unwrap();
        store.drop_partition(&place.scope, &place.at).unwrap().unwrap().1
    }

    fn told(file: &Path, public_key: Option<[u8; 32]>) -> VerifyReceipt {
        VerifyReceipt { file: file.to_owned(), public_key }
    }

    /// Lost otherwise: somebody would hold a receipt that proves nothing, or not be able to show one that does.
    #[test]
    fn both_forms_hold_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let signed = receipt(&folder.path().join("store"));
        let key = signed.receipt.public_key;
        let (raw, json) = (folder.path().join("raw"), folder.path().join("json"));
        std::fs::write(&raw, &signed.bytes).unwrap();
        let mut answer = serde_json::to_value(receipt::Told::of(&signed)).unwrap();
        answer["documents"] = 4711.into();
        std::fs::write(&json, format!(" {answer:#}")).unwrap();
        for file in [&raw, &json] {
            for wanted in [None, Some(key)] {
                let (code, text) = check(&told(file, wanted));
                assert_eq!(code, HOLDS, "{text}");
                assert!(text.contains("a partition with 1 documents") && !text.contains("4711"), "{text}");
                assert!(text.contains(&random::hex(&signed.receipt.id)) && text.contains(&random::hex(&key)));
            }
            let (code, text) = check(&told(file, Some([9; 32])));
            assert!(code == FAILS && text.starts_with("DOES NOT HOLD"), "{text}");
        }
        for at in 0..signed.bytes.len() {
            let mut bytes = signed.bytes.clone();
            bytes[at] ^= 1;
            assert_eq!(verdict(&bytes, None).0, FAILS, "byte {at}");
            assert_eq!(verdict(&bytes[..at], None).0, FAILS, "cut at {at}");
        }
    }

    /// Lost otherwise: a script would take a file that it could not read for a forged receipt.
    #[test]
    fn what_cannot_be_read_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        assert_eq!(check(&told(&file, None)).0, UNREADABLE);
        for text in ["{", "{}", r#"{"receipt": 7}"#, r#"{"receipt": "%"}"#] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(check(&told(&file, None)).0, UNREADABLE, "{text}");
        }
        std::fs::write(&file, "no receipt").unwrap();
        assert_eq!(check(&told(&file, None)).0, FAILS);
        assert!(parse_key(&"0f".repeat(32)).is_ok() && parse_key("0f").is_err());
    }
}
