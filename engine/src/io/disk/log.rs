//! How are the log's files kept?
//!
//! Invariants:
//! 1. A file is appended to only by the process that began it, always at the length it last reached.
//! 2. An append that fails leaves the file as it was. Where that can't be had, and after a commit that
//!    failed, the file refuses all further appends and commits.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::{Disk, failed, folders, locked, private, reserve};
use crate::io::{LogFile, LogStore, Result, StorageError, StorageErrorKind};

/// A log file that this process began.
#[derive(Debug)]
pub(super) struct OpenLog {
    file: File,
    end_bytes: Mutex<u64>,
    /// Held through a commit: the system tells a failed sync once, so a second commit beside it would be told
    /// that all is well.
    commit: Mutex<()>,
    /// Set when it is no longer known what the medium holds.
    failed: AtomicBool,
}

impl OpenLog {
    /// A log file with nothing in it yet.
    pub(super) fn new(file: File) -> OpenLog {
        OpenLog { file, end_bytes: Mutex::new(0), commit: Mutex::new(()), failed: AtomicBool::new(false) }
    }

    /// Whether it is still known what the medium holds.
    fn check(&self, what: &'static str, file: LogFile) -> Result<()> {
        if self.failed.load(Ordering::Acquire) {
            Err(refused(what, file, "it failed before"))
        } else {
            Ok(())
        }
    }
}

impl LogStore for Disk {
    fn fence(&self) -> Result<()> {
        self.take_fence()
    }

    fn begin(&self, file: LogFile) -> Result<()> {
        let refused = |e| failed("begin", file, e);
        let folder = self.run_folder(file.run);
        self.folders.ensure(&folder).map_err(refused)?;
        let handle = private().write(true).create_new(true).open(self.log_path(file)).map_err(refused)?;
        handle.sync_all().and_then(|()| folders::sync(&folder)).map_err(|e| {
            // Nothing is in it yet; if it stays, replay finds an empty file.
            fs::remove_file(self.log_path(file)).ok();
            refused(e)
        })?;
        locked(&self.logs).insert(file, Arc::new(OpenLog::new(handle)));
        Ok(())
    }

    fn append(&self, file: LogFile, bytes: &[u8]) -> Result<()> {
        let open = self.open_log("append", file)?;
        let mut end_bytes = locked(&open.end_bytes);
        if let Err(e) = open.file.write_all_at(bytes, *end_bytes) {
            // What was written of it goes again: a shorter retry would leave the rest behind its own end.
            if open.file.set_len(*end_bytes).is_err() {
                open.failed.store(true, Ordering::Release);
            }
            return Err(failed("append", file, e));
        }
        *end_bytes += bytes.len() as u64;
        Ok(())
    }

    fn commit(&self, file: LogFile) -> Result<u64> {
        let open = self.open_log("commit", file)?;
        let _alone = locked(&open.commit);
        open.check("commit", file)?;
        // Taken before the sync, which then covers at least as much.
        let end_bytes = *locked(&open.end_bytes);
        open.file.sync_data().map_err(|e| {
            open.failed.store(true, Ordering::Release);
            failed("commit", file, e)
        })?;
        Ok(end_bytes)
    }

    fn list(&self) -> Result<Vec<LogFile>> {
        let mut files = Vec::new();
        let refused = |e| failed("list", "log", e);
        for run in numbers_in(self.root.join("log")).map_err(refused)? {
            let numbers = numbers_in(self.run_folder(run)).map_err(refused)?;
            files.extend(numbers.into_iter().map(|number| LogFile { run, number }));
        }
        files.sort_unstable();
        Ok(files)
    }

    fn replay(&self, file: LogFile) -> Result<Vec<u8>> {
        read_durable(&self.log_path(file)).map_err(|e| failed("replay", file, e))
    }

    fn truncate(&self, before: LogFile) -> Result<()> {
        for file in self.list()?.into_iter().take_while(|file| *file < before) {
            let refused = |e| failed("truncate", file, e);
            fs::remove_file(self.log_path(file)).map_err(refused)?;
            locked(&self.logs).remove(&file);
            let folder = self.run_folder(file.run);
            // Oldest first, each on its own: what a crash leaves is always the newest part of the log.
            folders::sync(&folder).map_err(refused)?;
            if file.run < before.run && fs::remove_dir(&folder).is_ok() {
                self.folders.forget(&folder);
            }
        }
        Ok(())
    }

    fn hold_reserve(&self) -> Result<()> {
        self.reserve.hold().map_err(|e| failed("hold", reserve::NAME, e))
    }

    fn release_reserve(&self) -> Result<bool> {
        self.reserve.release().map_err(|e| failed("release", reserve::NAME, e))
    }
}

impl Disk {
    fn run_folder(&self, run: u64) -> PathBuf {
        self.root.join(format!("log/{run:016x}"))
    }

    fn log_path(&self, file: LogFile) -> PathBuf {
        self.root.join(file.to_string())
    }

    fn open_log(&self, what: &'static str, file: LogFile) -> Result<Arc<OpenLog>> {
        let Some(open) = locked(&self.logs).get(&file).cloned() else {
            return Err(refused(what, file, "this process didn't begin it"));
        };
        open.check(what, file)?;
        Ok(open)
    }
}

fn refused(what: &'static str, file: LogFile, why: &str) -> StorageError {
    StorageError::new(what, file, StorageErrorKind::Other(why.into()))
}

/// Syncs a file and reads it from the medium, as far as the system lets us past its memory: there may be pages
/// in it that a former process failed to sync, and that look clean since. The system may refuse the advice.
fn read_durable(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.sync_data()?;
    #[cfg(target_os = "linux")]
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).ok();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The entries of a folder whose names are 16 hexadecimal digits, as numbers. Anything else isn't ours.
fn numbers_in(folder: PathBuf) -> io::Result<Vec<u64>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|digits| u64::from_str_radix(digits, 16).ok());
        numbers.extend(number.filter(|number| *name == *format!("{number:016x}")));
    }
    Ok(numbers)
}
