//! How are the keyring's two mirrors kept?
//!
//! Invariants:
//! 1. A slot is overwritten where it lies: no other block of the disk ever holds an old key.
//! 2. A mirror is read as whole slots. What a crash left of a slot at its very end was never acknowledged.

use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use strongroom_format::keyring::SLOT_BYTES;

use super::{Disk, failed, private};
use crate::io::{Result, SlotStore, checks};

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
}
