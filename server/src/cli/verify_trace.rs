//! Does this trace hold, and what does it say?
//!
//! Reads the JSON in which a search was answered, a statement and its signature from it, or the word that the header
//! `strongroom-trace` carried, and checks the signature. No server and no data folder is needed.
//!
//! Invariants:
//! 1. What is printed is what was signed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use strongroom_engine::verify_statement;

use super::verify_receipt::{FAILS, HOLDS, UNREADABLE, parse_key};
use crate::{base64, log, random};

#[derive(Debug, Args)]
pub(super) struct VerifyTrace {
    /// A file with the JSON of an answered search, or with the word from the header strongroom-trace
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The public key of the server that must have signed it
    #[arg(long, value_name = "HEX", value_parser = parse_key)]
    public_key: Option<[u8; 32]>,
}

pub(super) fn run(told: &VerifyTrace) -> ExitCode {
    let read = std::fs::read_to_string(&told.file).map_err(|error| error.to_string());
    let (code, text) = match read.and_then(|text| statement(&text)) {
        Ok((statement, signature)) => verdict(&statement, &signature, told.public_key.as_ref()),
        Err(why) => (UNREADABLE, format!("{} can't be read as a trace: {why}\n", told.file.display())),
    };
    log::print(&text);
    ExitCode::from(code)
}

/// Statement and signature, from either form.
fn statement(file: &str) -> Result<(String, [u8; 64]), String> {
    let file = file.trim();
    if file.starts_with('{') {
        let json: Value =
            serde_json::from_str(file).map_err(|error| format!("it is not valid JSON: {error}"))?;
        let trace = if json["trace"].is_object() { &json["trace"] } else { &json };
        let text = |name: &str| trace[name].as_str().ok_or(format!("its JSON has no text under `{name}`"));
        let signature =
            random::parse_hex(text("signature")?).ok_or("`signature` is not 128 hexadecimal digits")?;
        return Ok((text("statement")?.to_owned(), signature));
    }
    let (statement, signature) =
        file.split_once('.').ok_or("it is neither JSON nor two words with a dot between")?;
    let bytes = |text: &str| base64::decode(text).ok_or("it is not base64");
    let signature = bytes(signature)?.try_into().map_err(|_| "a signature has 64 bytes")?;
    let statement = String::from_utf8(bytes(statement)?).map_err(|_| "the statement is no text")?;
    Ok((statement, signature))
}

fn verdict(statement: &str, signature: &[u8; 64], wanted: Option<&[u8; 32]>) -> (u8, String) {
    let signer = match verify_statement(statement, signature) {
        Ok(signer) => signer,
        Err(error) => return (FAILS, format!("DOES NOT HOLD: {error}\n")),
    };
    let (code, verdict) = match wanted {
        Some(key) if *key != signer => {
            (FAILS, "DOES NOT HOLD: it is whole, but signed by another key than the one that was named")
        }
        Some(_) => (HOLDS, "holds: signed by the key that was named"),
        None => {
            (HOLDS, "holds: signed by the key below; whether that is your server's is told by --public-key")
        }
    };
    (code, format!("{verdict}\n{statement}"))
}
