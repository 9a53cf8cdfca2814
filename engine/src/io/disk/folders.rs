//! Is the folder there, and would its name survive a power cut? Is the file gone, and would it stay away?
//!
//! A name that exists may have been made a moment ago, by another thread or by a process that died before it
//! synced. So each name that others rely on is synced once in this process, under a lock, before it is used.
//! In the same way a name that is absent may come back: before anybody is told that it wasn't there, the folder
//! is synced, unless this process has done so since it last removed anything from it.
//!
//! Invariant: a name whose sync failed goes again, as far as that can be had. A retry then makes it anew, and
//! the system can't take it for written already.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::calls::{remove_file, sync_folder, sync_name};
use super::locked;

/// The store's folder and what is known to be durable below it.
#[derive(Debug)]
pub(super) struct Folders {
    root: PathBuf,
    durable: Mutex<BTreeSet<PathBuf>>,
    /// Folders in which whatever is absent stays so. Held through a removal and its sync, so that no other
    /// removal beside them is counted in.
    settled: Mutex<BTreeSet<PathBuf>>,
}

impl Folders {
    /// Makes the store's folder and those above it as far as they are missing, each durable.
    pub(super) fn open(root: PathBuf) -> io::Result<Folders> {
        let missing: Vec<&Path> = root.ancestors().take_while(|folder| !folder.is_dir()).collect();
        for (index, folder) in missing.iter().enumerate().rev() {
            if let Err(e) = make(folder).and_then(|()| sync_name(folder)) {
                missing[index..].iter().for_each(|made| drop(fs::remove_dir(made)));
                return Err(e);
            }
        }
        if missing.is_empty() {
            match sync_name(&root) {
                // The administrator made it in a folder that we may not look into, and answers for its name.
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
                synced => synced?,
            }
        }
        let durable = Mutex::new(BTreeSet::from([root.clone()]));
        Ok(Folders { root, durable, settled: Mutex::default() })
    }

    /// Makes a folder of the store and those between, as far as they are missing, each durable.
    pub(super) fn ensure(&self, folder: &Path) -> io::Result<()> {
        let mut durable = locked(&self.durable);
        let within: Vec<&Path> = folder.ancestors().take_while(|above| *above != self.root).collect();
        for part in within.into_iter().rev() {
            if !durable.contains(part) {
                make(part)?;
                // One that others made is empty or stays.
                sync_name(part).inspect_err(|_| drop(fs::remove_dir(part)))?;
                durable.insert(part.to_path_buf());
            }
        }
        Ok(())
    }

    /// Makes the name of a file durable that is opened again and again, and that was made a moment ago if it is
    /// empty.
    pub(super) fn settle(&self, path: &Path, file: &File) -> io::Result<()> {
        let mut durable = locked(&self.durable);
        if !durable.contains(path) {
            if let Err(e) = sync_name(path) {
                if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
                    fs::remove_file(path).ok();
                }
                return Err(e);
            }
            durable.insert(path.to_path_buf());
        }
        Ok(())
    }

    /// Removes a file, durably; `false` when it wasn't there, and won't come back.
    pub(super) fn remove(&self, file: &Path) -> io::Result<bool> {
        let mut settled = locked(&self.settled);
        let folder = file.parent().unwrap_or(&self.root);
        match remove_file(file) {
            Ok(()) => {
                settled.remove(folder);
                settle_absences(&mut settled, folder)?;
                Ok(true)
            }
            Err(e) if is_absence(&e) => settle_absences(&mut settled, folder).map(|()| false),
            // Whether it went all the same isn't known.
            Err(e) => {
                settled.remove(folder);
                Err(e)
            }
        }
    }

    /// Sees to it that no file which was removed from the folder comes back, by this process or one before it.
    pub(super) fn settle_absences(&self, folder: &Path) -> io::Result<()> {
        settle_absences(&mut locked(&self.settled), folder)
    }

    /// Removes a folder if it is empty. It may come back in a power cut, as an empty one.
    pub(super) fn remove_if_empty(&self, folder: &Path) {
        if fs::remove_dir(folder).is_ok() {
            locked(&self.durable).remove(folder);
            locked(&self.settled).remove(folder);
        }
    }
}

fn settle_absences(settled: &mut BTreeSet<PathBuf>, folder: &Path) -> io::Result<()> {
    if settled.contains(folder) {
        return Ok(());
    }
    match sync_folder(folder) {
        Ok(()) => {
            settled.insert(folder.to_path_buf());
            Ok(())
        }
        // Without its folder there is no name to come back.
        Err(e) if is_absence(&e) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Neither is there a file under the name when a part of it is a file.
pub(super) fn is_absence(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn make(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made,
    }
}
