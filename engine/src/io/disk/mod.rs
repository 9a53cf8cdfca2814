//! How does a store lie in a folder of the local disk?
//!
//! ```text
//! <root>/lock                   held while a process has the store
//! <root>/reserve                room for what has to succeed on a full disk
//! <root>/log/<run>/<number>     appended and synced
//! <root>/keyring/0, /1          overwritten in place
//! <root>/<object's name>        written once, under its final name
//! ```
//!
//! Invariants:
//! 1. Nothing is renamed. An object is made under its final name, written, synced, and its folder synced;
//!    only then is it published. After a crash in between, part of it may lie under its name: a reader
//!    trusts only what a manifest names, and a manifest is trusted by its checksum. In the same way a
//!    concurrent reader that guesses the name may see part of it.
//! 2. A folder is made and its name synced before anything in it is reported as durable (`folders`).
//! 3. Files are readable by their owner alone.
//! 4. Every read checks the file's length first, so that no range sizes a buffer beyond it.
//!
//! Assumes of the medium that it keeps what was synced, writes sectors of 512 bytes whole, and lets the
//! changes of one folder reach it in order.
//!
//! Concurrency: no lock is held across reads. Appends to one log file exclude each other; a commit syncs
//! beside them.

mod blobs;
mod folders;
mod log;
mod reserve;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::system::{SystemClock, SystemEntropy};
use super::{LogFile, Medium, Result, StorageError, StorageErrorKind, Strength};
use folders::Folders;
use log::OpenLog;
use reserve::Reserve;

/// A store in a folder of the local disk.
#[derive(Debug)]
pub struct Disk {
    root: PathBuf,
    folders: Folders,
    /// What overwriting does on this filesystem, asked once.
    strength: Strength,
    reserve: Reserve,
    /// The lock file, while this value holds the store.
    fence: Mutex<Option<File>>,
    /// The log files that this process began and has not deleted.
    logs: Mutex<BTreeMap<LogFile, Arc<OpenLog>>>,
}

impl Disk {
    /// Opens the store in this folder, which is made when it isn't there. Takes no hold of it: see
    /// [`LogStore::fence`](super::LogStore::fence).
    pub fn open(root: &Path) -> Result<Disk> {
        let root = std::path::absolute(root).map_err(|e| failed("open", root.display(), e))?;
        let folders = Folders::open(root.clone()).map_err(|e| failed("open", root.display(), e))?;
        let strength = slots::strength_of(&root);
        let reserve = Reserve::at(root.join(reserve::NAME));
        let (fence, logs) = (Mutex::new(None), Mutex::new(BTreeMap::new()));
        Ok(Disk { root, folders, strength, reserve, fence, logs })
    }

    /// Holds the store by an advisory lock, which the system drops with the file or with the process.
    fn take_fence(&self) -> Result<()> {
        let mut fence = locked(&self.fence);
        if fence.is_some() {
            return Ok(());
        }
        let refused = |e| failed("fence", "lock", e);
        let path = self.root.join("lock");
        let file = private().write(true).create(true).truncate(false).open(path).map_err(refused)?;
        file.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => StorageError::new("fence", "lock", StorageErrorKind::Locked),
            TryLockError::Error(e) => refused(e),
        })?;
        *fence = Some(file);
        Ok(())
    }
}

/// A medium of the local disk: the store in this folder, the system's clock and its randomness.
pub fn medium(root: &Path) -> Result<Medium> {
    let disk = Arc::new(Disk::open(root)?);
    Ok(Medium {
        blobs: disk.clone(),
        log: disk.clone(),
        slots: disk,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    })
}

/// Options for a file that only its owner may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Says in the room's words what the system refused.
fn failed(what: &'static str, name: impl std::fmt::Display, e: io::Error) -> StorageError {
    let kind = match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageErrorKind::Full,
        io::ErrorKind::AlreadyExists => StorageErrorKind::Exists,
        io::ErrorKind::NotFound => StorageErrorKind::NotFound,
        _ => StorageErrorKind::Other(e.to_string()),
    };
    StorageError::new(what, name, kind)
}

/// A panic elsewhere leaves none of these maps half-changed, so its mark on the lock is passed over.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
