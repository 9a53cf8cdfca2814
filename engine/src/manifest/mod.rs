//! Which segments does each partition have, and how far does the log still count?
//!
//! A publish writes an edit: what changed since the edit before it. Now and then a checkpoint holds all that
//! the edits so far say, so that opening reads little; the checkpoint before it and all edits since then are
//! kept, and say the same. Format: `format-spec.md`, "Manifest".
//!
//! Invariants:
//! 1. A version's name is never used twice, and versions rise.
//! 2. Each edit names the edit that it follows. Of two that follow the same one the later holds: the other's
//!    publishing had failed, and nothing relied on it.
//! 3. A checkpoint says nothing that the edits before it don't.
//! 4. Two generations are there at any time after the second checkpoint.
//!
//! Concurrency: the store's maintenance lock guards it.

mod load;

pub use load::Loaded;

use crate::io::{BlobStore, Entropy, Fault, Mapped, StorageErrorKind};
use std::collections::HashMap;
use std::sync::Arc;
use strongroom_format::Damage;
use strongroom_format::manifest::{
    FoundVersion, Head, PartitionState, SegmentPlace, VersionInfo, VersionKind, encode_version,
};

/// Read at a time: a version of a million partitions is no single allocation on the heap.
const PIECE_BYTES: usize = 1 << 20;
const PREFIX: &str = "manifest/0/";
/// At least so many edits lie between two checkpoints, unless something is to be mended.
const EDITS_MIN: u64 = 32;
/// At most so many do, however small they are.
const EDITS_MAX: u64 = 1024;

/// The manifest's versions.
pub struct ManifestStore {
    blobs: Arc<dyn BlobStore>,
    entropy: Arc<dyn Entropy>,
    /// The edit that holds.
    head: Head,
    /// The highest version that was ever tried.
    last_version: u64,
    /// The newest checkpoint, and how long it is.
    base: Option<(u64, u64)>,
    /// Edits since then, and their bytes.
    edits: Vec<u64>,
    edit_bytes: u64,
    /// What the head says beside its partitions.
    log_floor: (u64, u64),
    next_record: u64,
    released: Vec<SegmentPlace>,
    /// Objects that don't check and that nothing needs.
    void: Vec<String>,
}

/// What a publish changes.
#[derive(Debug, Default)]
pub struct Edit {
    /// Which life of the process publishes.
    pub run: u64,
    /// The first log file that is still needed.
    pub log_floor: (u64, u64),
    /// Every record that is in a segment has a smaller number.
    pub next_record: u64,
    /// Partitions as they are now.
    pub changed: Vec<PartitionState>,
    /// Incarnations that are no more.
    pub removed: Vec<[u8; 16]>,
    /// Ranges that nobody needs from now on and that are not erased yet.
    pub released: Vec<SegmentPlace>,
}

impl ManifestStore {
    /// Makes an edit durable. When this fails nothing changed, or nobody will ever see that something did:
    /// but for [`Fault::Storage`] with the edit still there, which the caller learns from `certain`.
    pub fn publish(&mut self, edit: Edit) -> Result<(), PublishError> {
        let mut entries = Vec::new();
        for partition in &edit.changed {
            partition.encode(&mut entries);
        }
        let nonce = self.random();
        self.last_version += 1;
        let info = VersionInfo {
            version: self.last_version,
            run: edit.run,
            kind: VersionKind::Edit,
            nonce,
            previous: self.head,
            log_floor: edit.log_floor,
            next_record: edit.next_record,
            epoch: edit.run,
            released: edit.released,
        };
        let bytes = encode_version(&info, self.random(), edit.changed.len(), &entries, &edit.removed);
        self.create(&name(info.version), &bytes)?;
        self.head = Head { version: info.version, nonce };
        self.edits.push(info.version);
        self.edit_bytes += bytes.len() as u64;
        (self.log_floor, self.next_record) = (info.log_floor, info.next_record);
        self.released = info.released;
        Ok(())
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<(), PublishError> {
        let Err(error) = self.blobs.create(name, &[bytes]) else { return Ok(()) };
        // It may be there all the same: the answer alone was lost.
        let is_gone = error.kind == StorageErrorKind::Full || self.blobs.delete(name).is_ok();
        Err(PublishError { fault: error.into(), is_gone })
    }

    /// Writes a checkpoint when the edits have become many, and deletes what two generations don't need.
    pub fn checkpoint_if_due(&mut self, run: u64) -> Result<bool, Fault> {
        let base_bytes = self.base.map_or(0, |(_, bytes)| bytes);
        if self.void.is_empty() && !wants_checkpoint(base_bytes, self.edits.len() as u64, self.edit_bytes) {
            return Ok(false);
        }
        let (count, entries) = self.merged()?;
        self.last_version += 1;
        let info = VersionInfo {
            version: self.last_version,
            run,
            kind: VersionKind::Checkpoint,
            nonce: self.random(),
            previous: self.head,
            log_floor: self.log_floor,
            next_record: self.next_record,
            epoch: run,
            released: self.released.clone(),
        };
        let bytes = encode_version(&info, self.random(), count, &entries, &[]);
        self.create(&name(info.version), &bytes).map_err(|error| error.fault)?;
        let keep = self.base.map_or(0, |(version, _)| version);
        self.base = Some((info.version, bytes.len() as u64));
        self.edits.clear();
        self.edit_bytes = 0;
        for void in std::mem::take(&mut self.void) {
            self.blobs.delete(&void)?;
        }
        for old in versions(&*self.blobs)?.into_iter().filter(|version| *version < keep) {
            self.blobs.delete(&name(old))?;
        }
        Ok(true)
    }

    /// All entries as the head has them, sorted by incarnation: the base's, but for what edits say.
    fn merged(&self) -> Result<(usize, Vec<u8>), Fault> {
        let mut newer: HashMap<[u8; 16], Option<Vec<u8>>> = HashMap::new();
        for &version in &self.edits {
            let bytes = read(&*self.blobs, &name(version))?;
            let found = check(&bytes, version).map_err(|damage| damage.at(&name(version), 0))?;
            for partition in found.partitions() {
                let (state, raw) = partition.map_err(|damage| damage.at(&name(version), 0))?;
                newer.insert(state.incarnation, Some(raw.to_vec()));
            }
            newer.extend(found.removed.iter().map(|removed| (*removed, None)));
        }
        let mut newer: Vec<([u8; 16], Option<Vec<u8>>)> = newer.into_iter().collect();
        newer.sort_unstable_by_key(|(incarnation, _)| *incarnation);
        let mut newer = newer.into_iter().peekable();
        let (mut count, mut entries) = (0, Vec::new());
        let mut push = |raw: Option<&[u8]>| {
            if let Some(raw) = raw {
                entries.extend_from_slice(raw);
                count += 1;
            }
        };
        if let Some((version, _)) = self.base {
            let mapped = self.blobs.map(&name(version))?;
            let found = check(&mapped, version).map_err(|damage| damage.at(&name(version), 0))?;
            for partition in found.partitions() {
                let (state, raw) = partition.map_err(|damage| damage.at(&name(version), 0))?;
                while let Some((_, raw)) = newer.next_if(|(incarnation, _)| *incarnation < state.incarnation)
                {
                    push(raw.as_deref());
                }
                match newer.next_if(|(incarnation, _)| *incarnation == state.incarnation) {
                    Some((_, raw)) => push(raw.as_deref()),
                    None => push(Some(raw)),
                }
            }
        }
        for (_, raw) in newer {
            push(raw.as_deref());
        }
        Ok((count, entries))
    }

    fn random(&self) -> [u8; 16] {
        let mut random = [0; 16];
        self.entropy.fill(&mut random);
        random
    }
}

/// Why an edit was not published.
#[derive(Debug, Clone)]
pub struct PublishError {
    /// What happened.
    pub fault: Fault,
    /// Whether it is certain that the edit isn't there. If it may be, nothing must be acknowledged that it
    /// contradicts: the store is to be reopened.
    pub is_gone: bool,
}

impl From<PublishError> for Fault {
    fn from(error: PublishError) -> Self {
        error.fault
    }
}

/// Whether a checkpoint pays: it costs about as much as the edits that it saves reading.
fn wants_checkpoint(base_bytes: u64, edits: u64, edit_bytes: u64) -> bool {
    edits >= EDITS_MAX || (edits >= EDITS_MIN && edit_bytes >= base_bytes / 2)
}

fn read(blobs: &dyn BlobStore, name: &str) -> Result<Mapped, Fault> {
    let bytes = blobs.head(name)?.unwrap_or(0);
    Mapped::filled(bytes as usize, |whole| {
        for (piece, begin) in whole.chunks_mut(PIECE_BYTES).zip((0..).step_by(PIECE_BYTES)) {
            let read = blobs.read(name, &[begin..begin + piece.len() as u64])?;
            piece.copy_from_slice(read.first().map_or(&[], |read| read));
        }
        Ok(())
    })
}

/// The versions that are there, in order.
fn versions(blobs: &dyn BlobStore) -> Result<Vec<u64>, Fault> {
    let names = blobs.list_after(PREFIX, None, usize::MAX)?;
    let number = |name: &String| u64::from_str_radix(name.strip_prefix(PREFIX)?, 16).ok();
    Ok(names.iter().filter_map(number).collect())
}

fn name(version: u64) -> String {
    format!("{PREFIX}{version:016x}")
}

/// A version's bytes, checked to stand under its own name.
fn check<'a>(bytes: &'a [u8], version: u64) -> Result<FoundVersion<'a>, Damage> {
    let found = FoundVersion::read(bytes)?;
    if found.info.version != version {
        return Err(Damage::new("FileHeader.number", version, found.info.version));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::wants_checkpoint;

    /// Without this, opening would read ever more edits, or each flush would rewrite all that is known.
    #[test]
    fn checkpoints_come_when_they_pay() {
        assert!(!wants_checkpoint(0, 5, 1 << 20), "a handful of edits is read quickly");
        assert!(wants_checkpoint(1 << 20, 32, 1 << 20));
        assert!(!wants_checkpoint(1 << 30, 100, 1 << 20), "a large base is left alone for small edits");
        assert!(wants_checkpoint(1 << 30, 1024, 1 << 20), "but not for ever");
    }
}
