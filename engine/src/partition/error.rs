//! Why was a call on a partition refused?

use crate::io::{Fault, StorageError, StorageErrorKind};
use crate::log::LogError;
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
    /// It is soft-deleted already.
    #[error("the document is deleted already")]
    AlreadyDeleted,
    /// It is live: there is nothing to restore.
    #[error("the document is not deleted")]
    NotDeleted,
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
    /// The partition was dropped meanwhile: take a new handle.
    #[error("the partition was dropped")]
    Dropped,
    /// Free some space; reads go on meanwhile.
    #[error("no space is left; reads go on, writes are refused until there is some")]
    Full,
    /// The medium failed: reopen the store.
    #[error("the medium failed; reopen the store to go on writing")]
    Poisoned,
    /// What the write had to read first couldn't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
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
    /// The partition was dropped meanwhile.
    #[error("the partition was dropped")]
    Dropped,
    /// Bytes that don't check: restore a backup.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The medium failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
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
