//! Is every byte of a stopped store what it must be?
//!
//! Takes the fence, so nobody writes meanwhile, and reads all of it: the keyring's mirrors, the manifest's
//! versions, the log, the segments, the receipts. What doesn't check is told as a [`Finding`]: by file, offset
//! and field, and with whom it hits. Checksums are looked at without any key; with the root key everything is
//! opened as well, so tampering is found and not only damage.
//!
//! A crash leaves things behind that look broken and are not: a torn tail of the log, a version or a segment
//! file that was never published, a mirror that is one write behind. Each of these is a note. Where the bytes
//! of a crash and those of damage can't be told apart, and nothing acknowledged depends on them, it is a note too.
//!
//! Invariants:
//! 1. Nothing is written, and nothing is mended.
//! 2. What was read never sizes an allocation beyond the file that it was read from.
//! 3. A finding doesn't end the verification: what can still be followed is followed.
//!
//! Concurrency: one thread, under the fence. Format: `format-spec.md`, all of it.

mod codes;
mod finding;
mod keyring;
mod keys;
mod log;
mod manifest;
mod receipts;
mod report;
mod segment;
mod segments;
mod torn;

pub use finding::{Finding, Hits, Severity};
pub(crate) use finding::{OneLine, hex};
pub use keys::StoreKeys;
pub(crate) use segment::{Opened, Sealed};

use crate::io::{Medium, StorageError, StorageErrorKind};
use crate::workspace::RootKey;
use report::Report;

/// How far a verification has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Files that were read.
    pub files: u64,
    /// Files that there are.
    pub files_total: u64,
    /// Bytes that were read.
    pub bytes: u64,
}

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Slots of the keyring, counted once for both mirrors.
    pub slots: u64,
    /// Records of the log.
    pub records: u64,
    /// Partitions that the manifest names.
    pub partitions: u64,
    /// Their segments.
    pub segments: u64,
    /// Receipts that verify.
    pub receipts: u64,
    /// How many findings were faults.
    pub faults: u64,
    /// How many were notes.
    pub notes: u64,
}

/// Why a store could not be verified.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Stop the process first.
    #[error("another process holds this store: stop it first")]
    Locked,
    /// Bring the root key that the store was made with.
    #[error("this root key does not open this store; bring the key that it was made with")]
    WrongKey,
    /// Name the folder of a store.
    #[error("there is no store here")]
    NoStore,
    /// The medium failed.
    #[error(transparent)]
    Storage(StorageError),
}

impl From<StorageError> for VerifyError {
    fn from(error: StorageError) -> Self {
        if error.kind == StorageErrorKind::Locked { Self::Locked } else { Self::Storage(error) }
    }
}

/// Reads every byte of the store on this medium, and tells each finding as it comes. Without a root key only
/// what checksums cover is checked.
pub fn verify(
    medium: &Medium,
    root: Option<RootKey>,
    progress: &mut dyn FnMut(Progress),
    tell: &mut dyn FnMut(Finding),
) -> Result<Verified, VerifyError> {
    // Asked before the fence is taken, which leaves its file behind.
    if medium.log.list()?.is_empty()
        && medium.blobs.list_after("manifest/", None, 1)?.is_empty()
        && medium.slots.read_mirror(0)?.is_empty()
        && medium.slots.read_mirror(1)?.is_empty()
    {
        return Err(VerifyError::NoStore);
    }
    medium.log.fence()?;
    let keys = StoreKeys::read(medium, root)?;
    let blobs = &*medium.blobs;
    let logs = medium.log.list()?;
    let [versions, files, receipts] =
        ["manifest/", "segments/", "receipts/"].map(|prefix| blobs.list_after(prefix, None, usize::MAX));
    let (versions, files, receipts) = (versions?, files?, receipts?);
    let files_total = 2 + logs.len() + versions.len() + files.len() + receipts.len();
    let mut report = Report::new(tell, progress, files_total as u64);
    let manifest = manifest::check(blobs, &versions, &keys, &mut report);
    let claimed = log::check(&*medium.log, &logs, &manifest, &keys, &mut report);
    keyring::check(&keys, &manifest, &claimed, &mut report);
    segments::check(blobs, &files, &manifest, &keys, &mut report);
    receipts::check(blobs, &receipts, &keys, &mut report);
    Ok(report.verified)
}
