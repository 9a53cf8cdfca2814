//! What does this file of a store hold?
//!
//! Prints it as text, one thing a line. With the store's folder and key at hand, a segment's sections and the ids of its
//! documents too. A running server is not disturbed; what it writes meanwhile may look torn.
//!
//! Exit codes: 0 when all of the file checks, 1 when something in it doesn't, 2 when it can't be read or is no file of a
//! store.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use strongroom_engine::io::disk;
use strongroom_engine::{StoreKeys, inspect};

use super::verify::Place;
use crate::log;

/// Every byte checks.
const WHOLE: u8 = 0;
/// Something doesn't.
const DAMAGED: u8 = 1;
/// It can't be read, or is something else.
const UNREADABLE: u8 = 2;

/// A file that is longer is not read: it is held in memory while it is looked at.
const FILE_BYTES_MAX: u64 = 8 << 30;

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// A file of the store's folder: of log, keyring, manifest, segments or receipts
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    store: Place,
}

pub(super) fn run(told: &Inspect) -> ExitCode {
    let outcome = look(told);
    ExitCode::from(outcome.unwrap_or_else(|why| {
        log::error(&why);
        UNREADABLE
    }))
}

fn look(told: &Inspect) -> Result<u8, String> {
    let named = |why: &dyn std::fmt::Display| format!("{}: {why}", told.file.display());
    let bytes = read(&told.file).map_err(|why| named(&why))?;
    let keys = told.store.data_dir.is_some().then(|| keys(&told.store)).transpose()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    // Whoever closed it has seen enough.
    let inspected = inspect(&bytes, keys.as_ref(), &mut |line| drop(writeln!(out, "{line}")));
    let inspected = inspected.map_err(|error| named(&error))?;
    out.flush().ok();
    Ok(if inspected.damages == 0 { WHOLE } else { DAMAGED })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("not a file".to_owned());
    }
    if about.len() > FILE_BYTES_MAX {
        return Err(format!("{} bytes are too many to look at", about.len()));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

fn keys(store: &Place) -> Result<StoreKeys, String> {
    let (folder, root) = store.find(false)?;
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", folder.display());
    let medium = disk::medium(&folder).map_err(|error| named(&error))?;
    StoreKeys::read(&medium, root).map_err(|error| named(&error))
}
