//! How are the keyring's two mirrors kept?
//!
//! Invariants:
//! 1. A slot is overwritten where it lies: no other block of the disk ever holds an old key.
//! 2. What is read is durable, but for a write under way. A process that was killed may have written a slot without syncing it, and a sync
//!    that failed may have left in the system's memory what the medium never took: a key that looks shredded
//!    and isn't. So a mirror is synced and forgotten before it is first read, and again after a failure.
//! 3. A mirror is read as whole slots. What a crash left of a slot at its very end was never acknowledged.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use strongroom_format::keyring::SLOT_BYTES;

use super::blobs::forget_pages;
use super::calls::sync_data;
use super::{Disk, failed, locked, private};
use crate::io::{Mapped, Result, SlotStore, Strength, checks};

impl SlotStore for Disk {
    fn read_mirror(&self, mirror: usize) -> Result<Mapped> {
        let name = checks::mirror_name("read", mirror)?;
        let refused = |e| failed("read", name, e);
        let Some(file) = self.open_mirror(mirror, name).map_err(refused)? else {
            return Ok(Mapped::owned(Vec::new()));
        };
        let bytes = file.metadata().map_err(refused)?.len() as usize;
        Mapped::filled(bytes - bytes % SLOT_BYTES, |bytes| file.read_exact_at(bytes, 0)).map_err(refused)
    }

    fn read_slots(&self, mirror: usize, first: u64, count: usize) -> Result<Vec<u8>> {
        let name = checks::mirror_name("read", mirror)?;
        let refused = |e| failed("read", name, e);
        let Some(file) = self.open_mirror(mirror, name).map_err(refused)? else {
            return checks::slots_range(name, first, count, 0).map(|_| Vec::new());
        };
        let end = file.metadata().map_err(refused)?.len();
        let range = checks::slots_range(name, first, count, end)?;
        let mut bytes = vec![0; checks::length_within("read", name, &range, end)?];
        file.read_exact_at(&mut bytes, range.start).map_err(refused)?;
        Ok(bytes)
    }

    fn write_slots(&self, mirror: usize, first: u64, bytes: &[u8]) -> Result<()> {
        let name = checks::mirror_name("write", mirror)?;
        let offset = checks::slots_offset(name, first, bytes)?;
        let refused = |e| failed("write", name, e);
        let folder = self.root.join("keyring");
        self.folders.ensure(&folder).map_err(refused)?;
        let path = self.root.join(name);
        let file = private().write(true).create(true).truncate(false).open(&path).map_err(refused)?;
        self.folders.settle(&path, &file).map_err(refused)?;
        file.write_all_at(bytes, offset).and_then(|()| sync_data(&file)).map_err(|e| {
            // What is read from now on may never have reached the medium.
            locked(&self.mirrors)[mirror] = false;
            refused(e)
        })
    }

    fn strength(&self) -> Strength {
        self.strength
    }
}

impl Disk {
    /// A mirror, if there is one, that answers what is on the medium.
    fn open_mirror(&self, mirror: usize, name: &str) -> io::Result<Option<File>> {
        let file = match private().read(true).open(self.root.join(name)) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let mut trusted = locked(&self.mirrors);
        if !trusted[mirror] {
            sync_data(&file)?;
            forget_pages(&file, &(0..0)).ok();
            trusted[mirror] = true;
        }
        Ok(Some(file))
    }
}

/// Asks the filesystem of this folder what it is. Where it doesn't say, nothing is claimed of it.
#[cfg(target_os = "linux")]
pub(super) fn strength_of(folder: &Path) -> Strength {
    rustix::fs::statfs(folder).map_or(Strength::Unknown, |statfs| strength_by_magic(statfs.f_type as u32))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn strength_of(_folder: &Path) -> Strength {
    Strength::Unknown
}

/// What Linux calls these filesystems in `statfs`. The numbers have 32 bits; on some machines the field that
/// holds them is signed or wider.
#[cfg(target_os = "linux")]
pub(super) fn strength_by_magic(magic: u32) -> Strength {
    const EXT_2_TO_4: u32 = 0xef53;
    const XFS: u32 = 0x5846_5342;
    const BTRFS: u32 = 0x9123_683e;
    const ZFS: u32 = 0x2fc1_2fc1;
    const BCACHEFS: u32 = 0xca45_1a4e;
    const OVERLAYFS: u32 = 0x794c_7630;
    const TMPFS: u32 = 0x0102_1994;
    const RAMFS: u32 = 0x8584_58f6;
    match magic {
        EXT_2_TO_4 | XFS => Strength::InPlace,
        BTRFS | ZFS | BCACHEFS | OVERLAYFS => Strength::CopyOnWrite,
        TMPFS | RAMFS => Strength::Memory,
        _ => Strength::Unknown,
    }
}
