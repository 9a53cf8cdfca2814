//! What has to succeed on a full disk: where does it find room?
//!
//! A file of [`RESERVE_BYTES`], whose blocks are really there, stands in the store's folder until it is needed.
//!
//! Invariants:
//! 1. The file has all of its blocks, durably, or it goes: half a reserve is none, and would only take room.
//! 2. Nothing is ever read from it or kept in it.
//!
//! Concurrency: one lock around all of it; holding and releasing are rare.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::{folders, locked, private};
use crate::io::RESERVE_BYTES;

/// The file's name in the store's folder.
pub(super) const NAME: &str = "reserve";

/// What this process knows of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A former process may have left it.
    Unknown,
    /// It is there, whole and durable.
    Held,
    /// It may be gone, and may come back in a power cut.
    Leaving,
    /// It is gone for good.
    Released,
}

/// The reserve file of one store.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    state: Mutex<State>,
}

impl Reserve {
    pub(super) fn at(path: PathBuf) -> Reserve {
        Reserve { path, state: Mutex::new(State::Unknown) }
    }

    /// Makes the file, unless it is known to be there.
    pub(super) fn hold(&self) -> io::Result<()> {
        self.hold_by(allocate)
    }

    fn hold_by(&self, allocate: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        let mut state = locked(&self.state);
        if *state == State::Held {
            return Ok(());
        }
        *state = State::Unknown;
        make(&self.path, allocate)
            .inspect_err(|_| {
                // The first failure is the one worth telling. What stays is completed by the next call.
                fs::remove_file(&self.path).and_then(|()| sync_name(&self.path)).ok();
            })
            .map(|()| *state = State::Held)
    }

    /// Removes the file, durably; `false` when there was none.
    pub(super) fn release(&self) -> io::Result<bool> {
        let mut state = locked(&self.state);
        if *state == State::Released {
            return Ok(false);
        }
        let was_leaving = *state == State::Leaving;
        *state = State::Leaving;
        let was_there = match fs::remove_file(&self.path) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::NotFound => was_leaving,
            Err(e) => return Err(e),
        };
        // Filesystems with a journal hand the blocks out again once the removal is in it.
        sync_name(&self.path)?;
        *state = State::Released;
        Ok(was_there)
    }
}

fn make(path: &Path, allocate: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let file = private().write(true).create(true).truncate(false).open(path)?;
    let metadata = file.metadata()?;
    // `blocks` counts 512 bytes, whatever the filesystem's own are.
    if metadata.len() < RESERVE_BYTES || metadata.blocks() < RESERVE_BYTES / 512 {
        allocate(&file)?;
    }
    file.sync_all()?;
    sync_name(path)
}

/// Gives the file all of its blocks.
#[cfg(target_os = "linux")]
fn allocate(file: &File) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::{Errno, retry_on_intr};
    match retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, RESERVE_BYTES)) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file),
        done => Ok(done?),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(file: &File) -> io::Result<()> {
    write_zeros(file)
}

/// Where blocks can't be asked for without writing them. A filesystem that squeezes zeros keeps fewer.
fn write_zeros(file: &File) -> io::Result<()> {
    const ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    for offset in (0..RESERVE_BYTES).step_by(ZEROS.len()) {
        file.write_all_at(&ZEROS, offset)?;
    }
    Ok(())
}

fn sync_name(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), folders::sync)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn reserve() -> (TempDir, Reserve) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let reserve = Reserve::at(folder.path().join(NAME));
        (folder, reserve)
    }

    fn blocks_bytes(reserve: &Reserve) -> Option<u64> {
        fs::metadata(&reserve.path).ok().map(|metadata| metadata.blocks() * 512)
    }

    /// Users lose: erasure on a full disk, when the reserve is a number in a folder and no room at all.
    #[test]
    fn the_reserve_has_its_blocks_and_gives_them_back() {
        for allocate in [allocate, write_zeros] {
            let (_folder, reserve) = reserve();
            reserve.hold_by(allocate).expect("room");
            assert!(blocks_bytes(&reserve).is_some_and(|bytes| bytes >= RESERVE_BYTES));
            assert!(reserve.release().expect("released"));
            assert_eq!(blocks_bytes(&reserve), None);
        }
    }

    /// Users lose: the last room on a full disk, to a reserve that is too small to help them.
    #[test]
    fn a_reserve_that_finds_no_room_leaves_nothing() {
        let (_folder, reserve) = reserve();
        let half_way = |file: &File| {
            file.write_all_at(&[0; 4096], 0)?;
            Err(io::ErrorKind::StorageFull.into())
        };
        let refused = reserve.hold_by(half_way).expect_err("no room");
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
        assert_eq!(blocks_bytes(&reserve), None);
        assert!(!reserve.release().expect("none was held"));
        reserve.hold().expect("there is room now");
    }

    /// Users lose: their reserve, when a process died while it was made and the next one believes its name.
    #[test]
    fn a_reserve_that_was_cut_short_is_completed_and_a_whole_one_left_alone() {
        let (_folder, reserve) = reserve();
        File::create(&reserve.path).expect("made").set_len(RESERVE_BYTES).expect("a hole, no blocks");
        reserve.hold().expect("completed");
        assert!(blocks_bytes(&reserve).is_some_and(|bytes| bytes >= RESERVE_BYTES));
        let next = Reserve::at(reserve.path.clone());
        next.hold_by(|_| panic!("it is whole")).expect("held already");
        assert!(next.release().expect("released"));
    }
}
