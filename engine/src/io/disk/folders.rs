//! Is the folder there, and would its name survive a power cut?
//!
//! A name that exists may have been made a moment ago, by another thread or by a process that died before it
//! synced. So each name that others rely on is synced once in this process, under a lock, before it is used.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::locked;

/// The store's folder and what is known to be durable below it.
#[derive(Debug)]
pub(super) struct Folders {
    root: PathBuf,
    durable: Mutex<BTreeSet<PathBuf>>,
}

impl Folders {
    /// Makes the store's folder and those above it as far as they are missing, each durable.
    pub(super) fn open(root: PathBuf) -> io::Result<Folders> {
        let missing: Vec<&Path> = root.ancestors().take_while(|folder| !folder.is_dir()).collect();
        for folder in missing.iter().rev() {
            make(folder)?;
            sync_parent(folder)?;
        }
        if missing.is_empty() {
            match sync_parent(&root) {
                // The administrator made it in a folder that we may not look into, and answers for its name.
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
                synced => synced?,
            }
        }
        let durable = Mutex::new(BTreeSet::from([root.clone()]));
        Ok(Folders { root, durable })
    }

    /// Makes a folder of the store and those between, as far as they are missing, each durable.
    pub(super) fn ensure(&self, folder: &Path) -> io::Result<()> {
        let mut durable = locked(&self.durable);
        let within: Vec<&Path> = folder.ancestors().take_while(|above| *above != self.root).collect();
        for part in within.into_iter().rev() {
            if !durable.contains(part) {
                make(part)?;
                sync_parent(part)?;
                durable.insert(part.to_path_buf());
            }
        }
        Ok(())
    }

    /// Makes the name of a file durable that is opened again and again.
    pub(super) fn settle(&self, file: &Path) -> io::Result<()> {
        let mut durable = locked(&self.durable);
        if !durable.contains(file) {
            sync_parent(file)?;
            durable.insert(file.to_path_buf());
        }
        Ok(())
    }

    /// Forgets a folder that was removed.
    pub(super) fn forget(&self, folder: &Path) {
        locked(&self.durable).remove(folder);
    }
}

/// Makes the names in a folder durable, and the absence of names that were removed.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync)
}

fn make(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made,
    }
}
