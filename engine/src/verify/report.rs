//! Where do findings and counts come together?

use super::{Finding, Hits, Progress, Severity, Verified};
use crate::io::{BlobStore, Mapped, Result, StorageErrorKind};
use std::collections::HashMap;
use strongroom_format::Damage;
use strongroom_format::record::Identity;

/// What the parts of a verification tell.
pub(super) struct Report<'a> {
    tell: &'a mut dyn FnMut(Finding),
    progress: &'a mut dyn FnMut(Progress),
    files_total: u64,
    pub(super) verified: Verified,
    /// Who partitions are, as far as the root key opened it.
    identities: HashMap<[u8; 16], Identity>,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        tell: &'a mut dyn FnMut(Finding),
        progress: &'a mut dyn FnMut(Progress),
        files_total: u64,
    ) -> Self {
        Self { tell, progress, files_total, verified: Verified::default(), identities: HashMap::new() }
    }

    /// A byte is not what it must be.
    pub(super) fn fault(&mut self, damage: Damage, hits: Hits) {
        self.verified.faults += 1;
        (self.tell)(Finding { severity: Severity::Fault, damage, hits });
    }

    /// Opening the store sees to it.
    pub(super) fn note(&mut self, damage: Damage) {
        self.verified.notes += 1;
        (self.tell)(Finding { severity: Severity::Note, damage, hits: Hits::Nobody });
    }

    /// The one or the other: a note when a crash leaves just that.
    pub(super) fn fault_unless(&mut self, is_left_by_crash: bool, damage: Damage, hits: Hits) {
        if is_left_by_crash { self.note(damage) } else { self.fault(damage, hits) }
    }

    /// A partition, with its name if that is known.
    pub(super) fn partition(&self, incarnation: [u8; 16]) -> Hits {
        Hits::Partition { incarnation, identity: self.identities.get(&incarnation).cloned() }
    }

    /// Remembers who a partition is.
    pub(super) fn name(&mut self, incarnation: [u8; 16], identity: Identity) {
        self.identities.insert(incarnation, identity);
    }

    /// Components of a partition's vectors, if its identity was opened.
    pub(super) fn dimension(&self, incarnation: &[u8; 16]) -> Option<u32> {
        self.identities.get(incarnation).map(|identity| identity.spec.dimension)
    }

    /// So many more bytes were read.
    pub(super) fn read(&mut self, bytes: usize) {
        self.verified.bytes += bytes as u64;
        self.tell_progress();
    }

    /// A file is done.
    pub(super) fn file(&mut self, bytes: usize) {
        self.verified.files += 1;
        self.read(bytes);
    }

    fn tell_progress(&mut self) {
        let (files, bytes) = (self.verified.files, self.verified.bytes);
        (self.progress)(Progress { files, files_total: self.files_total, bytes });
    }

    /// A whole object. One that can't be read is a fault like any other; `None` then, or when it is gone.
    pub(super) fn map(&mut self, blobs: &dyn BlobStore, name: &str) -> Option<Mapped> {
        self.whole(name, blobs.map(name))
    }

    /// Answers what was read. Where the medium refused, that is a fault of the file.
    pub(super) fn whole<T>(&mut self, name: &str, read: Result<T>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(error) => {
                if error.kind != StorageErrorKind::NotFound {
                    let damage = Damage::new("file", "bytes that can be read", &error.kind);
                    self.fault(damage.at(name, 0), Hits::Store);
                }
                None
            }
        }
    }
}
