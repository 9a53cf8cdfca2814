//! Which calls to the system may leave the disk otherwise than it looks? All of them go through here.
//!
//! A sync that fails may have lost what it was to keep, and says so once. A removal that was not synced is seen
//! by everyone and may be undone by a power cut. Tests let these calls fail, on their own thread.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The kinds of call that a test may let fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// `sync_data` and `sync_all`.
    SyncFile,
    /// The names in a folder.
    SyncFolder,
    /// A file's name goes.
    RemoveFile,
}

/// Makes a file's bytes durable.
pub(super) fn sync_data(file: &File) -> io::Result<()> {
    struck(Call::SyncFile)?;
    file.sync_data()
}

/// Makes a file's bytes durable, and all that is known of it.
pub(super) fn sync_all(file: &File) -> io::Result<()> {
    struck(Call::SyncFile)?;
    file.sync_all()
}

/// Makes the names in a folder durable, and the absence of names that were removed.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = File::open(folder)?;
    struck(Call::SyncFolder)?;
    folder.sync_all()
}

/// Makes the name of a file or folder durable, or its absence.
pub(super) fn sync_name(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_folder)
}

/// Removes a file's name. Not durable before its folder is synced.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    struck(Call::RemoveFile)?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests;

#[cfg(not(test))]
fn struck(_call: Call) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
fn struck(call: Call) -> io::Result<()> {
    faults::struck(call)
}

/// Failures that a test orders for its own thread.
#[cfg(test)]
pub(super) mod faults {
    use std::cell::RefCell;
    use std::io;

    use super::Call;

    thread_local! {
        static STUCK: RefCell<Vec<(Call, io::ErrorKind)>> = const { RefCell::new(Vec::new()) };
    }

    /// From now on these calls have no effect and fail, until the answer is dropped.
    #[must_use]
    pub(in super::super) fn stick(calls: &[Call], kind: io::ErrorKind) -> Stuck {
        STUCK.with_borrow_mut(|stuck| stuck.extend(calls.iter().map(|call| (*call, kind))));
        Stuck
    }

    /// While it lives, the calls fail.
    pub(in super::super) struct Stuck;

    impl Drop for Stuck {
        fn drop(&mut self) {
            STUCK.with_borrow_mut(Vec::clear);
        }
    }

    pub(super) fn struck(call: Call) -> io::Result<()> {
        let kind = STUCK.with_borrow(|stuck| stuck.iter().find(|(other, _)| *other == call).map(|at| at.1));
        kind.map_or(Ok(()), |kind| Err(kind.into()))
    }
}
