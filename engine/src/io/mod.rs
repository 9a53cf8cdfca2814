//! Where do bytes, time and randomness come from, and what may go wrong on the way?
//!
//! Everything the engine knows of the outside passes through the traits of this room, so that the simulator
//! can stand in for the machine and a seed replays a whole life of the store. No other room touches files,
//! clocks or randomness.
//!
//! Invariants:
//! 1. An object's name is used once: `create` refuses a name that exists, and nothing published ever grows.
//! 2. What a method did survives power loss once it returns `Ok`: bytes, names, and their absence. The one
//!    exception is `append`, which waits for `commit`.
//! 3. A failed `commit` is never retried by a caller: what the medium dropped can't be known.
//! 4. Ranges outside an object are an error, never a short answer.
//!
//! Concurrency: all traits are `Send + Sync`; every method may be called from many threads at once. The
//! caller orders the appends to one log file.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use strongroom_format::Damage;

mod checks;
pub mod disk;
mod map;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub(crate) mod slab;
pub mod system;
#[cfg(test)]
mod tests;

pub use map::Mapped;

/// The medium refused or failed: what was tried, on what, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {name}: {kind}")]
pub struct StorageError {
    /// The operation, as a verb: "read", "create", "commit".
    pub what: &'static str,
    /// The object's name inside the store. Never a tenant's words: names are made by the engine.
    pub name: String,
    /// What went wrong.
    pub kind: StorageErrorKind,
}

impl StorageError {
    pub(crate) fn new(what: &'static str, name: impl fmt::Display, kind: StorageErrorKind) -> StorageError {
        StorageError { what, name: name.to_string(), kind }
    }
}

/// The kinds of failure that a caller treats differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageErrorKind {
    /// No space is left: writes are refused until there is some, reads go on.
    #[error("no space left on the medium")]
    Full,
    /// A name that was to be new exists already.
    #[error("exists already")]
    Exists,
    /// The object isn't there.
    #[error("not found")]
    NotFound,
    /// The object is shorter than the range that was asked for.
    #[error("shorter than expected: {bytes} bytes")]
    TooShort {
        /// How long it is.
        bytes: u64,
    },
    /// Another process holds the store.
    #[error("another process holds this store")]
    Locked,
    /// Any other failure, in the medium's own words.
    #[error("{0}")]
    Other(String),
}

/// What can go wrong where bytes are read: the medium failed, or the bytes don't check.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The medium refused or failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Bytes that aren't what they must be: nothing is served from them.
    #[error(transparent)]
    Damaged(#[from] Damage),
}

/// Takes a lock. A thread that panicked while it held the lock leaves whole values behind: every writer
/// prepares first and assigns last.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Short for results of this room.
pub type Result<T> = std::result::Result<T, StorageError>;

/// How strongly `erase` made a range unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// Bytes overwritten in place and synced.
    pub overwritten_bytes: u64,
    /// Whether the range was given back to the medium as well (hole punched, or the object deleted).
    pub released: bool,
}

/// Write-once objects under names that are never used again, such as `segments/0/…` and `manifest/0/…`.
///
/// A name is one or more parts of `[a-z0-9-]` joined by `/`; the engine makes them, tenants never do.
pub trait BlobStore: Send + Sync {
    /// Makes an object of these bytes, given in pieces. Fails with `Exists` when the name was ever used.
    /// When it fails for any other reason nothing is visible under the name, or, where the medium refuses even
    /// to remove it again, an empty object that stays: then the caller goes on with another name.
    fn create(&self, name: &str, pieces: &[&[u8]]) -> Result<()>;
    /// Reads many ranges of one object, in one go where the medium can. Each answer is as long as its range.
    fn read(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>>;
    /// Makes sure that an object that is there is durable: a process that was killed may have written it without
    /// a sync.
    fn settle(&self, name: &str) -> Result<()>;
    /// The object's length in bytes, or `None` when it isn't there.
    fn head(&self, name: &str) -> Result<Option<u64>>;
    /// Names that start with `prefix` and sort after `after`, sorted, at most `limit` of them.
    fn list_after(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>>;
    /// Deletes the object; `false` when it wasn't there. May be retried: either answer says that it stays away.
    fn delete(&self, name: &str) -> Result<bool>;
    /// Overwrites the range with zeros in place, syncs, and gives its space back where the medium can.
    fn erase(&self, name: &str, range: Range<u64>) -> Result<Erased>;
    /// Whether every byte of the range is zero on the medium itself, as far as the system lets us past its
    /// memory: what is looked for is what an erasure left behind.
    fn is_zero(&self, name: &str, range: Range<u64>) -> Result<bool>;
    /// The whole object, mapped where the medium can. For those who go through all of it (compaction, verify,
    /// inspect, benches), and who see to it that nobody erases any of it before they drop the mapping. Never
    /// for serving: where a mapped page can't be read, the system ends the process by a signal.
    fn map(&self, name: &str) -> Result<Mapped>;
}

/// One file of the log: the `number`-th of a `run`, a run being one life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogFile {
    /// Which life of the process wrote it.
    pub run: u64,
    /// Which file of that life, from 0.
    pub number: u64,
}

impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log/{:016x}/{:016x}", self.run, self.number)
    }
}

/// The append-only files under `log/`. The room `log` gives the bytes their meaning.
pub trait LogStore: Send + Sync {
    /// Takes the store for this process. Fails with `Locked` while another process holds it; the hold ends
    /// with the process (or the value).
    fn fence(&self) -> Result<()>;
    /// Makes an empty file, its name durable. Fails with `Exists` when it was ever made.
    fn begin(&self, file: LogFile) -> Result<()>;
    /// Puts bytes at the end of a file that this process began. Not durable before `commit`.
    fn append(&self, file: LogFile, bytes: &[u8]) -> Result<()>;
    /// Makes all that was appended durable and answers the file's length in bytes.
    fn commit(&self, file: LogFile) -> Result<u64>;
    /// All files there are, in order.
    fn list(&self) -> Result<Vec<LogFile>>;
    /// Reads a whole file, for replay. What it answers is durable, though a process that was killed may have
    /// appended it without a commit: it is synced first, and then read from the medium.
    fn replay(&self, file: LogFile) -> Result<Vec<u8>>;
    /// Deletes every file before this one, the oldest first: what a crash leaves is the log's newest part.
    fn truncate(&self, before: LogFile) -> Result<()>;
    /// Makes sure that [`RESERVE_BYTES`] of the medium are set aside, durably, and outlast this process. Fails
    /// with `Full` when there is no room for all of them; then none are. Cheap while they are held already.
    fn hold_reserve(&self) -> Result<()>;
    /// Gives the reserve's room back to the medium, so that what has to succeed on a full one has some to grow
    /// in; `false` when none was held. The answer to a call after a failed one may be either.
    fn release_reserve(&self) -> Result<bool>;
}

/// How much of the medium [`LogStore::hold_reserve`] sets aside.
pub const RESERVE_BYTES: u64 = 8 << 20;

/// The two mirrored files of fixed slots under `keyring/`, overwritten in place.
///
/// A slot is [`strongroom_format::keyring::SLOT_BYTES`] long.
pub trait SlotStore: Send + Sync {
    /// Reads a whole mirror (0 or 1). Empty when the keyring was never written. What it answers is durable, as
    /// with [`LogStore::replay`]; so is what `read_slots` answers.
    fn read_mirror(&self, mirror: usize) -> Result<Mapped>;
    /// Reads `count` slots of one mirror, beginning with `first`. Fails with `TooShort` when it has fewer.
    fn read_slots(&self, mirror: usize, first: u64, count: usize) -> Result<Vec<u8>>;
    /// Overwrites consecutive slots of one mirror, beginning with `first`, and syncs that mirror. Slots
    /// beyond the end extend the file. When it fails, with `Full` too, each of them may be old, new or torn.
    fn write_slots(&self, mirror: usize, first: u64, bytes: &[u8]) -> Result<()>;
    /// What overwriting a slot does to its old bytes on this medium.
    fn strength(&self) -> Strength;
}

/// What overwriting in place does on a medium, as far as its filesystem tells. A receipt states it by its
/// number. It says nothing of what lies below the filesystem: an SSD moves its blocks, a volume may have
/// snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Strength {
    /// New bytes lie where the old ones did: ext2, ext3, ext4 (unless its journal carries data), XFS (unless
    /// the file was cloned).
    InPlace = 1,
    /// New bytes go elsewhere, and the old ones stay until their blocks are used again: btrfs, ZFS, bcachefs,
    /// overlayfs.
    CopyOnWrite = 2,
    /// The filesystem is none that we know.
    Unknown = 3,
    /// There is no disk: tmpfs, ramfs. The old bytes are gone, unless they were swapped out.
    Memory = 4,
}

/// Wall-clock time in milliseconds since 1970, UTC.
pub trait Clock: Send + Sync {
    /// Now. May step backwards; no order is ever taken from it.
    fn now_ms(&self) -> u64;
}

/// Randomness fit for keys.
pub trait Entropy: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// All that the engine is given of the outside.
#[derive(Clone)]
pub struct Medium {
    /// Segments and manifests.
    pub blobs: Arc<dyn BlobStore>,
    /// The log's files.
    pub log: Arc<dyn LogStore>,
    /// The keyring's slots.
    pub slots: Arc<dyn SlotStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}
