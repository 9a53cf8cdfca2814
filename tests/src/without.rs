//! What does a medium look like from which a file is missing, and to which nobody may write?

use std::ops::Range;
use std::sync::Arc;

use strongroom_engine::io::{
    BlobStore, Erased, LogFile, LogStore, Mapped, Medium, SlotStore, StorageError, StorageErrorKind, Strength,
};

/// Another medium, less one file. Whoever writes to it panics, for it is given to those who must only look.
pub struct Without {
    medium: Medium,
    missing: String,
}

impl Without {
    /// The same medium without this file.
    pub fn medium(medium: Medium, missing: &str) -> Medium {
        let (clock, entropy) = (medium.clock.clone(), medium.entropy.clone());
        let without = Arc::new(Without { medium, missing: missing.to_owned() });
        Medium { blobs: without.clone(), log: without.clone(), slots: without, clock, entropy }
    }

    fn has(&self, name: &str) -> Result<(), StorageError> {
        if name == self.missing {
            let kind = StorageErrorKind::NotFound;
            return Err(StorageError { what: "read", name: name.to_owned(), kind });
        }
        Ok(())
    }
}

impl BlobStore for Without {
    fn create(&self, name: &str, _: &[&[u8]]) -> Result<(), StorageError> {
        panic!("verify makes {name}")
    }
    fn read(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>, StorageError> {
        self.has(name).and_then(|()| self.medium.blobs.read(name, ranges))
    }
    fn settle(&self, name: &str) -> Result<(), StorageError> {
        panic!("verify settles {name}")
    }
    fn head(&self, name: &str) -> Result<Option<u64>, StorageError> {
        if self.has(name).is_err() { Ok(None) } else { self.medium.blobs.head(name) }
    }
    fn list_after(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        let mut names = self.medium.blobs.list_after(prefix, after, limit)?;
        names.retain(|name| *name != self.missing);
        Ok(names)
    }
    fn delete(&self, name: &str) -> Result<bool, StorageError> {
        panic!("verify deletes {name}")
    }
    fn erase(&self, name: &str, _: Range<u64>) -> Result<Erased, StorageError> {
        panic!("verify erases in {name}")
    }
    fn is_zero(&self, name: &str, range: Range<u64>) -> Result<bool, StorageError> {
        self.has(name).and_then(|()| self.medium.blobs.is_zero(name, range))
    }
    fn map(&self, name: &str) -> Result<Mapped, StorageError> {
        self.has(name).and_then(|()| self.medium.blobs.map(name))
    }
}

impl LogStore for Without {
    fn fence(&self) -> Result<(), StorageError> {
        self.medium.log.fence()
    }
    fn begin(&self, file: LogFile) -> Result<(), StorageError> {
        panic!("verify begins {file}")
    }
    fn append(&self, file: LogFile, _: &[u8]) -> Result<(), StorageError> {
        panic!("verify appends to {file}")
    }
    fn commit(&self, file: LogFile) -> Result<u64, StorageError> {
        panic!("verify commits {file}")
    }
    fn list(&self) -> Result<Vec<LogFile>, StorageError> {
        let mut files = self.medium.log.list()?;
        files.retain(|file| file.to_string() != self.missing);
        Ok(files)
    }
    fn replay(&self, file: LogFile) -> Result<Vec<u8>, StorageError> {
        self.has(&file.to_string()).and_then(|()| self.medium.log.replay(file))
    }
    fn truncate(&self, before: LogFile) -> Result<(), StorageError> {
        panic!("verify deletes what is before {before}")
    }
    fn hold_reserve(&self) -> Result<(), StorageError> {
        panic!("verify holds the reserve")
    }
    fn release_reserve(&self) -> Result<bool, StorageError> {
        panic!("verify releases the reserve")
    }
}

impl SlotStore for Without {
    fn read_mirror(&self, mirror: usize) -> Result<Mapped, StorageError> {
        if self.missing == format!("keyring/{mirror}") {
            Ok(Mapped::owned(Vec::new()))
        } else {
            self.medium.slots.read_mirror(mirror)
        }
    }
    fn read_slots(&self, mirror: usize, first: u64, count: usize) -> Result<Vec<u8>, StorageError> {
        self.medium.slots.read_slots(mirror, first, count)
    }
    fn write_slots(&self, mirror: usize, _: u64, _: &[u8]) -> Result<(), StorageError> {
        panic!("verify writes mirror {mirror}")
    }
    fn strength(&self) -> Strength {
        self.medium.slots.strength()
    }
}
