//! Why was a call on a partition refused?

use crate::io::{Fault, StorageError, StorageErrorKind};
use crate::log::LogError;
use crate::nearness::Unfit;
use strongroom_format::Damage;

/// Why a write was refused. Nothing of it became durable, unless the medium failed at the very end.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// There is no live document of this id here.
    #[error("no such document")]
    NotFound,
    /// The id is taken, perhaps by a soft-deleted document: choose another, or update.
    #[error("a document with this id exists already")]
    Exists,
    /// The document is another version than the one to be replaced: read it again.
    #[error("the document was changed meanwhile")]
    Changed,
    /// It is soft-deleted already.
    #[error("the document is deleted already")]
    AlreadyDeleted,
    /// It is live: there is nothing to restore.
    #[error("the document is not deleted")]
    NotDeleted,
    /// The partition is held: nothing in it may go or be replaced. Have the hold lifted first.
    #[error("the partition is held: nothing of it may be deleted or replaced until the hold is lifted")]
    Held,
    /// Bring vectors of the collection's dimension.
    #[error("vectors of this collection have {expected} components, this one has {found}")]
    Dimension {
        /// The collection's.
        expected: usize,
        /// This vector's.
        found: usize,
    },
    /// NaN and infinity have no distance to anything.
    #[error("a vector has a component that is not a finite number")]
    NotFinite,
    /// Inner products and distances of longer vectors have no numbers: scale them down.
    #[error("a vector is longer than 2^62")]
    VectorTooLong,
    /// Make it smaller.
    #[error("{what}: {found}, at most {limit}")]
    TooLarge {
        /// What is too large, with its unit.
        what: &'static str,
        /// How large it is.
        found: u64,
        /// How large it may be.
        limit: u64,
    },
    /// Not a value that can be stored.
    #[error("{what} {why}")]
    Invalid {
        /// What.
        what: &'static str,
        /// And why not.
        why: &'static str,
    },
    /// A request with this key was answered already, and asked for something else: choose another key.
    #[error("this key was used for another request")]
    AnotherRequest,
    /// So many requests with keys were answered within a day that no more can be remembered: write without a key, or later.
    #[error("no more than {limit} keys are remembered at once")]
    TooManyKeys {
        /// How many.
        limit: usize,
    },
    /// The partition was dropped meanwhile: take a new handle.
    #[error("the partition was dropped")]
    Dropped,
    /// Damage took something of the partition: restore it from a backup, or drop it.
    #[error("the partition is quarantined: part of it is damaged; restore it from a backup, or drop it")]
    Quarantined(Damage),
    /// Free some space; reads and erasures go on meanwhile.
    #[error("no space is left; reads and erasures go on, writes are refused until there is some")]
    Full,
    /// The medium failed: reopen the store.
    #[error("the medium failed; reopen the store to go on writing")]
    Poisoned,
    /// What the write had to read first couldn't be read.
    #[error(transparent)]
    Read(ReadError),
}

/// Why a read failed. Nothing doubtful is ever answered instead.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Bring a vector of the collection's dimension.
    #[error("vectors of this collection have {expected} components, this one has {found}")]
    Dimension {
        /// The collection's.
        expected: usize,
        /// This vector's.
        found: usize,
    },
    /// NaN and infinity have no distance to anything.
    #[error("a vector has a component that is not a finite number")]
    NotFinite,
    /// Inner products and distances of longer vectors have no numbers: scale them down.
    #[error("a vector is longer than 2^62")]
    VectorTooLong,
    /// The partition was dropped meanwhile.
    #[error("the partition was dropped")]
    Dropped,
    /// Bytes that don't check.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// Damage took something of the partition: restore it from a backup, or drop it.
    #[error("the partition is quarantined: part of it is damaged; restore it from a backup, or drop it")]
    Quarantined(Damage),
    /// The medium failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<Unfit> for WriteError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::NotFinite => Self::NotFinite,
            Unfit::TooLong => Self::VectorTooLong,
        }
    }
}

impl From<Unfit> for ReadError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::NotFinite => Self::NotFinite,
            Unfit::TooLong => Self::VectorTooLong,
        }
    }
}

impl WriteError {
    /// Whether bytes didn't check.
    pub(crate) fn is_of_damage(&self) -> bool {
        matches!(self, Self::Quarantined(_) | Self::Read(ReadError::Damaged(_) | ReadError::Quarantined(_)))
    }

    /// For a job that reads, and had to wait for writes first.
    pub(crate) fn into_read(self) -> ReadError {
        match self {
            Self::Read(error) => error,
            Self::Dropped => ReadError::Dropped,
            Self::Quarantined(damage) => ReadError::Quarantined(damage),
            other => ReadError::Storage(StorageError {
                what: "settle",
                name: "log".to_owned(),
                kind: StorageErrorKind::Other(other.to_string()),
            }),
        }
    }
}

impl From<ReadError> for WriteError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Dropped => Self::Dropped,
            ReadError::Quarantined(damage) => Self::Quarantined(damage),
            other => Self::Read(other),
        }
    }
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Storage(error) => Self::Storage(error),
            Fault::Damaged(damage) => Self::Damaged(damage),
        }
    }
}

impl From<Fault> for WriteError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Storage(error) if error.kind == StorageErrorKind::Full => Self::Full,
            other => Self::Read(other.into()),
        }
    }
}

impl From<LogError> for WriteError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Full => Self::Full,
            LogError::Poisoned => Self::Poisoned,
        }
    }
}
