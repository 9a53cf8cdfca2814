//! How are the keyring's two mirrors kept?
//!
//! Invariants:
//! 1. A slot is overwritten where it lies: no other block of the disk ever holds an old key.
//! 2. A mirror is read as whole slots. What a crash left of a slot at its very end was never acknowledged.

use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

use strongroom_format::keyring::SLOT_BYTES;

use super::{Disk, failed, private};
use crate::io::{Result, SlotStore, Strength, checks};

impl SlotStore for Disk {
    fn read_mirror(&self, mirror: usize) -> Result<Vec<u8>> {
        let name = checks::mirror_name("read", mirror)?;
        let mut bytes = match std::fs::read(self.root.join(name)) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(failed("read", name, e)),
        };
        bytes.truncate(bytes.len() - bytes.len() % SLOT_BYTES);
        Ok(bytes)
    }

    fn read_slots(&self, mirror: usize, first: u64, count: usize) -> Result<Vec<u8>> {
        let name = checks::mirror_name("read", mirror)?;
        let refused = |e| failed("read", name, e);
        let file = match private().read(true).open(self.root.join(name)) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return checks::slots_range(name, first, count, 0).map(|_| Vec::new());
            }
            Err(e) => return Err(refused(e)),
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
        file.write_all_at(bytes, offset).and_then(|()| file.sync_data()).map_err(refused)?;
        self.folders.settle(&path).map_err(refused)
    }

    fn strength(&self) -> Strength {
        self.strength
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
