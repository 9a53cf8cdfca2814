//! How is a whole object read without being copied, and where do many bytes wait that are soon dropped?
//!
//! By mapping its file into memory, for those who go through all of it: compaction, verify, inspect, benches.
//! Serving never does: where a page can't be read the system raises a signal, which ends the process, while a
//! read answers an error, which ends one request. What a store reads when it opens waits in memory mapped for
//! it alone: on the heap, what is made of it and stays would lie between such bytes, and hold their pages.
//!
//! Invariants:
//! 1. An object's bytes are written before its name is published, and nothing published is written again but
//!    by `erase`; nothing shortens it. So a mapping's length holds, and its bytes do unless they are erased.
//! 2. Whoever maps an object keeps it from being erased until the mapping is dropped. Deleting it is fine: its
//!    blocks stay until then.
#![allow(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Deref;

/// From here on bytes wait outside the heap.
const APART_MIN: usize = 64 << 10;

/// All bytes of one object, see [`BlobStore::map`](super::BlobStore::map).
pub struct Mapped(Bytes);

enum Bytes {
    File(memmap2::Mmap),
    Anonymous(memmap2::MmapMut),
    Owned(Vec<u8>),
}

impl Mapped {
    /// Maps the whole of a file that is an object of the local disk.
    pub(super) fn whole(file: &File) -> io::Result<Mapped> {
        // There are systems that refuse to map nothing.
        if file.metadata()?.len() == 0 {
            return Ok(Mapped::owned(Vec::new()));
        }
        // SAFETY: the bytes must not change while they are borrowed, nor the file become shorter. The store
        // does neither to an object it has published, but for `erase` and `delete`. `BlobStore::map` obliges
        // its caller to let nobody erase the object meanwhile; a deleted file stays while it is mapped. The
        // fence keeps other processes of ours away and the folder's mode other users; that the owner doesn't
        // write into the store's files by hand is a condition of running it.
        unsafe { memmap2::Mmap::map(file) }.map(|map| Mapped(Bytes::File(map)))
    }

    /// So many bytes, outside the heap when they are many: their memory is the system's again as soon as they
    /// are dropped.
    pub(crate) fn filled<E>(
        bytes: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Mapped, E> {
        if bytes >= APART_MIN
            && let Ok(mut map) = memmap2::MmapMut::map_anon(bytes)
        {
            return fill(&mut map).map(|()| Mapped(Bytes::Anonymous(map)));
        }
        let mut owned = vec![0; bytes];
        fill(&mut owned).map(|()| Mapped::owned(owned))
    }

    /// Bytes of a medium that has nothing to map.
    pub fn owned(bytes: Vec<u8>) -> Mapped {
        Mapped(Bytes::Owned(bytes))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::File(map) => map,
            Bytes::Anonymous(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }
}

/// Says how long it is: the bytes may be a tenant's.
impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapped({} bytes)", self.len())
    }
}
