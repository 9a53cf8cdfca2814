//! Is the audit log of this stopped store the one that was written?
//!
//! `audit verify` computes every hash of every workspace's chain anew, and holds it against a head that was kept elsewhere,
//! when one is given. `audit head` prints the heads, for keeping. Nothing is written, and no key is needed.
//!
//! Exit codes of `verify`: 0 when every chain is whole, 1 when a row is not as it was written, 2 when it could not be
//! looked at.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::json;
use strongroom_engine::io::disk;

use super::verify::{COULD_NOT_RUN, FAULTS, Place, WHOLE, open_sqlite};
use crate::app::control_path;
use crate::control::{Head, check_audit};
use crate::{log, random};

/// The first version of the database whose rows are chained as they are now.
const CHAINED_SINCE: i64 = 8;
const HEADS_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check that no row was changed, added or taken out
    Verify {
        #[command(flatten)]
        store: Place,
        /// Heads that were kept elsewhere, a JSON object on each line, as `audit head` and `/v1/admin/audit/head` give them
        #[arg(long, value_name = "FILE")]
        head: Option<PathBuf>,
    },
    /// Print the head of each workspace's log, a JSON object on each line
    Head {
        #[command(flatten)]
        store: Place,
    },
}

pub(super) fn run(told: &Audit) -> ExitCode {
    let outcome = match &told.what {
        What::Verify { store, head } => verify(store, head.as_deref()),
        What::Head { store } => head(store),
    };
    ExitCode::from(outcome.unwrap_or_else(|why| {
        log::error(&why);
        COULD_NOT_RUN
    }))
}

fn verify(store: &Place, known: Option<&Path>) -> Result<u8, String> {
    let known = known.map(read_heads).transpose()?.unwrap_or_default();
    with_database(store, |db| {
        let checked = match check_audit(db, &known) {
            Ok(checked) => checked,
            Err(error) => {
                log::print(&format!("fault: the audit log can't be read: {error}\n"));
                return Ok(FAULTS);
            }
        };
        for fault in &checked.faults {
            log::print(&format!("fault: {fault}\n"));
        }
        let verdict = match checked.faults.len() {
            0 => "whole".to_owned(),
            1 => "1 fault".to_owned(),
            faults => format!("{faults} faults"),
        };
        let (entries, workspaces, heads) = (checked.entries, checked.heads.len(), known.len());
        log::print(&format!(
            "{verdict}: {entries} entries of {workspaces} workspaces, held against {heads} heads\n"
        ));
        Ok(if checked.faults.is_empty() { WHOLE } else { FAULTS })
    })
}

fn head(store: &Place) -> Result<u8, String> {
    with_database(store, |db| {
        let checked = check_audit(db, &[]).map_err(|error| error.to_string())?;
        for head in checked.heads {
            let line = json!({"workspace": head.workspace, "entries": head.entries, "hash": random::hex(&head.hash)});
            log::print(&format!("{line}\n"));
        }
        Ok(WHOLE)
    })
}

/// Opens the database of a store that nobody else has open.
fn with_database(store: &Place, look: impl FnOnce(&Connection) -> Result<u8, String>) -> Result<u8, String> {
    let (folder, _) = store.find(true)?;
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", folder.display());
    // Holds the store until the end.
    let medium = disk::medium(&folder).map_err(|error| named(&error))?;
    medium.log.fence().map_err(|error| named(&error))?;
    let path = control_path(&folder);
    if !path.exists() {
        return Err(named(&"it has no control.sqlite, so no audit log"));
    }
    let db = open_sqlite(&path).map_err(|error| named(&error))?;
    let version: i64 =
        db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(|error| named(&error))?;
    if version < CHAINED_SINCE {
        return Err(named(&"its audit log was written by an earlier version; start this version on it once"));
    }
    look(&db)
}

#[derive(Deserialize)]
struct Line {
    workspace: String,
    entries: u64,
    hash: String,
}

/// Reads a file of heads. What is no head is an error: a file that is misread proves nothing.
fn read_heads(path: &Path) -> Result<Vec<Head>, String> {
    use std::io::Read;
    let unreadable = |error| format!("{} can't be read: {error}", path.display());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(HEADS_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let heads: Result<Vec<_>, _> = lines
        .map(|(number, line)| {
            let read = serde_json::from_str::<Line>(line).ok();
            let head = read.and_then(|line| {
                let Line { workspace, entries, hash } = line;
                random::parse_hex::<16>(&workspace)?;
                Some(Head { workspace, entries, hash: random::parse_hex(&hash)? })
            });
            head.ok_or_else(|| {
                format!("{}, line {}: this is no head of an audit log", path.display(), number + 1)
            })
        })
        .collect();
    heads.and_then(|heads| {
        if heads.is_empty() { Err(format!("{} holds no head", path.display())) } else { Ok(heads) }
    })
}
