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
const HOLDS: u8 = 0;
/// It doesn't.
const FAILS: u8 = 1;
/// It could not be read.
const UNREADABLE: u8 = 2;

#[derive(Debug, Args)]
pub(super) struct VerifyReceipt {
    /// The receipt: a file of the store's folder `receipts`, or the JSON that the API answered
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The public key of the server that must have signed it
    #[arg(long, value_name = "HEX", value_parser = parse_key)]
    public_key: Option<[u8; 32]>,
}

fn parse_key(text: &str) -> Result<[u8; 32], String> {
    random::parse_hex(text).ok_or_else(|| "a public key is 64 hexadecimal digits".to_owned())
}

pub(super) fn run(told: &VerifyReceipt) -> ExitCode {
    let read =
        std::fs::read(&told.file).map_err(|error| error.to_string()).and_then(|bytes| signed_bytes(&bytes));
    let (code, text) = match read {
        Ok(bytes) => verdict(&bytes, told.public_key.as_ref()),
        Err(why) => (UNREADABLE, format!("{} can't be read as a receipt: {why}\n", told.file.display())),
    };
    log::print(&text);
    ExitCode::from(code)
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
