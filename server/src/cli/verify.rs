//! Is this stopped store whole?
//!
//! Has the engine read every byte of it, and SQLite check its own file. Prints one line for each finding and a last
//! one that sums up. Nothing is written.
//!
//! Exit codes: 0 when the store is whole, 1 when something is not as it must be, 2 when it could not be looked at.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use rusqlite::{Connection, OpenFlags};
use strongroom_engine::io::disk;
use strongroom_engine::{Progress, RootKey, Verified, verify};

use crate::config::{self, Told};
use crate::{log, master_key};

/// Nothing is wrong.
pub(super) const WHOLE: u8 = 0;
/// A byte is not what it must be.
pub(super) const FAULTS: u8 = 1;
/// It could not be looked at.
pub(super) const COULD_NOT_RUN: u8 = 2;

/// How often progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    store: Place,
    /// Look only at what checksums cover: no key is needed, and tampering is not found
    #[arg(long)]
    without_key: bool,
}

/// Which store, and where its root key is: told as `serve` is.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The folder of the store [default: ./strongroom-data; env: STRONGROOM_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// The TOML file that the server is started with
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A file with the root encryption key [or env: STRONGROOM_MASTER_KEY, or master.key in the folder]
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<PathBuf>,
}

impl Place {
    /// The folder, once it is known to hold a store, and its root key. Neither is ever made.
    pub(super) fn find(&self, without_key: bool) -> Result<(PathBuf, Option<RootKey>), String> {
        let told = Told {
            data_dir: self.data_dir.clone(),
            master_key_file: self.master_key_file.clone(),
            ..Told::default()
        };
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let config = config::resolve(told, environment, self.config.as_deref())?;
        let folder = config.data_dir;
        std::fs::read_dir(&folder).map_err(|error| format!("{} can't be read: {error}", folder.display()))?;
        if !["keyring", "log", "manifest"].iter().any(|part| folder.join(part).is_dir()) {
            return Err(format!("there is no store in {}", folder.display()));
        }
        let key = (!without_key).then(|| master_key::find(&config.master_key, &folder)).transpose()?;
        Ok((folder, key.map(RootKey)))
    }
}

pub(super) fn run(told: &Verify) -> ExitCode {
    let outcome = look(told);
    ExitCode::from(outcome.unwrap_or_else(|why| {
        log::error(&why);
        COULD_NOT_RUN
    }))
}

fn look(told: &Verify) -> Result<u8, String> {
    let (folder, root) = told.store.find(told.without_key)?;
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", folder.display());
    // Holds the store until the end.
    let medium = disk::medium(&folder).map_err(|error| named(&error))?;
    let shown = std::cell::RefCell::new(Shown::default());
    let verified = verify(&medium, root, &mut |progress| shown.borrow_mut().show(progress), &mut |finding| {
        shown.borrow_mut().clear();
        log::print(&format!("{finding}\n"));
    });
    shown.borrow_mut().clear();
    let verified = verified.map_err(|error| named(&error))?;
    let control = folder.join("control.sqlite");
    let wrong = if control.exists() { check_sqlite(&control) } else { Vec::new() };
    for what in &wrong {
        log::print(&format!("fault: control.sqlite: {what} [hits the store]\n"));
    }
    let faults = verified.faults + wrong.len() as u64;
    log::print(&sum(&verified, faults, told.without_key));
    Ok(if faults == 0 { WHOLE } else { FAULTS })
}

/// The last line.
fn sum(verified: &Verified, faults: u64, without_key: bool) -> String {
    let Verified { files, bytes, slots, records, partitions, segments, receipts, notes, .. } = verified;
    let verdict = match (faults, without_key) {
        (0, false) => "whole".to_owned(),
        (0, true) => "whole, as far as checksums tell".to_owned(),
        (1, _) => "1 fault".to_owned(),
        (faults, _) => format!("{faults} faults"),
    };
    format!(
        "{verdict}: {files} files, {bytes} bytes; key slots: {slots}, log records: {records}, \
         partitions: {partitions}, segments: {segments}, receipts: {receipts}, notes: {notes}\n"
    )
}

/// What SQLite finds wrong with its own file; nothing when it is whole.
fn check_sqlite(path: &Path) -> Vec<String> {
    let rows = open_sqlite(path).and_then(|db| {
        let mut check = db.prepare("PRAGMA integrity_check")?;
        let rows = check.query_map([], |row| row.get::<_, String>(0))?;
        rows.collect::<Result<Vec<_>, _>>()
    });
    match rows {
        Ok(rows) => rows.into_iter().filter(|row| row != "ok").flat_map(|row| lines_of(&row)).collect(),
        Err(error) => lines_of(&error.to_string()),
    }
}

fn lines_of(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

/// Opens a database for looking. One that was closed in order is a single file that nobody changes: SQLite then makes no
/// other beside it. With a log of its own it has to be read as a whole.
pub(super) fn open_sqlite(path: &Path) -> rusqlite::Result<Connection> {
    let mut wal = OsString::from(path);
    wal.push("-wal");
    let has_log = std::fs::metadata(wal).is_ok_and(|log| log.len() > 0);
    match path.to_str().filter(|_| !has_log) {
        Some(text) => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(format!("file:{}?immutable=1", escaped(text)), flags)
        }
        None => Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY),
    }
}

/// A path as it stands in a URI.
fn escaped(path: &str) -> String {
    path.chars().fold(String::new(), |mut text, letter| {
        match letter {
            '%' | '?' | '#' => write!(text, "%{:02x}", u32::from(letter)).expect("a String takes all"),
            letter => text.push(letter),
        }
        text
    })
}

/// The line on the terminal that says how far it is.
#[derive(Default)]
struct Shown {
    last: Option<Instant>,
}

impl Shown {
    fn show(&mut self, progress: Progress) {
        let mut terminal = std::io::stderr();
        if !terminal.is_terminal() || self.last.is_some_and(|last| last.elapsed() < PROGRESS_EVERY) {
            return;
        }
        self.last = Some(Instant::now());
        let Progress { files, files_total, bytes } = progress;
        let read = bytes >> 20;
        // Nobody is left to tell when this fails.
        write!(terminal, "\r\x1b[K{files} of {files_total} files, {read} MiB")
            .and_then(|()| terminal.flush())
            .ok();
    }

    fn clear(&mut self) {
        if self.last.take().is_some() {
            write!(std::io::stderr(), "\r\x1b[K").ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: keys and workspaces would be gone at the next start, and verify would have called them whole.
    #[test]
    fn a_damaged_database_is_named_and_a_whole_one_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a%3f?#.sqlite");
        let db = Connection::open(&path).unwrap();
        db.execute_batch("CREATE TABLE t (a TEXT); CREATE INDEX i ON t (a);").unwrap();
        for n in 0..1000 {
            db.execute("INSERT INTO t VALUES (?)", [format!("row {n}")]).unwrap();
        }
        drop(db);
        assert_eq!(check_sqlite(&path), Vec::<String>::new());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a file was made beside it");
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 4096].fill(0xee);
        std::fs::write(&path, &bytes).unwrap();
        assert!(!check_sqlite(&path).is_empty());
        std::fs::write(&path, [7; 5000]).unwrap();
        assert!(!check_sqlite(&path).is_empty());
    }
}
