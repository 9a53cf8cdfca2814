//! Which segment files does anyone still need?
//!
//! A file holds segments of many partitions; it goes when the last of them does. Until then the ranges of
//! those that went are given back to the medium.

use super::file_name;
use crate::io::{BlobStore, Erased, Fault, lock};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use strongroom_format::manifest::SegmentPlace;

/// How many segments each file still holds for somebody.
pub struct SegmentFiles {
    blobs: Arc<dyn BlobStore>,
    held: Mutex<HashMap<String, usize>>,
}

impl SegmentFiles {
    /// No file is held yet.
    pub fn new(blobs: Arc<dyn BlobStore>) -> Self {
        Self { blobs, held: Mutex::default() }
    }

    /// A segment is served from now on.
    pub fn hold(&self, place: &SegmentPlace) {
        *lock(&self.held).entry(file_name(place)).or_default() += 1;
    }

    /// A segment that was held is not needed any more: its bytes are overwritten, and its file deleted with
    /// the last one.
    pub fn release(&self, place: &SegmentPlace) -> Result<Erased, Fault> {
        let erased = self.erase(place)?;
        let name = file_name(place);
        let mut held = lock(&self.held);
        match held.get_mut(&name) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => {
                self.blobs.delete(&name)?;
                held.remove(&name);
            }
            None => {}
        }
        Ok(erased)
    }

    /// Overwrites a segment's bytes, whoever else is in the file.
    pub fn erase(&self, place: &SegmentPlace) -> Result<Erased, Fault> {
        let name = file_name(place);
        if self.blobs.head(&name)?.is_none() {
            return Ok(Erased { overwritten_bytes: 0, released: true });
        }
        Ok(self.blobs.erase(&name, place.offset..place.offset + place.bytes)?)
    }

    /// Deletes the files that nobody holds: left over from a flush that a crash cut short. At open only.
    pub fn collect(&self) -> Result<(), Fault> {
        let held = lock(&self.held);
        for name in self.blobs.list_after("segments/", None, usize::MAX)? {
            if !held.contains_key(&name) {
                self.blobs.delete(&name)?;
            }
        }
        Ok(())
    }
}
