//! On whose behalf is a partition read, and which of its documents are seen so?
//!
//! A document may name who may read it, and from when on nobody does. Each read looks with [`Eyes`]: the labels that its caller
//! acts under, and the time. What they don't see takes no part in it: it is out of the mask before a filter or a scan begins, it
//! isn't counted, and by its id it is as if it weren't there.
//!
//! Invariants:
//! 1. Nothing is read without eyes: a handle has what its scope acts as.
//! 2. A document is seen in a segment exactly when it is seen in a memtable.

use crate::memtable::Memtable;
use crate::segment::Segment;
use std::sync::Arc;
use strongroom_format::document::Document;
use strongroom_format::segment::LabelKind;
use strongroom_kernel::Mask;

/// On whose behalf documents are read and changed. The default names nobody: that sees what names no readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActingAs {
    /// Of whoever administrates: readers keep no document from it.
    Administrator,
    /// Of whoever has these labels: it sees what names no readers, or one of these.
    Labels(Arc<[String]>),
}

impl Default for ActingAs {
    fn default() -> Self {
        Self::Labels(Arc::default())
    }
}

impl ActingAs {
    fn may_read(&self, readers: Option<&[String]>) -> bool {
        match (self, readers) {
            (Self::Administrator, _) | (_, None) => true,
            (Self::Labels(labels), Some(readers)) => readers.iter().any(|reader| labels.contains(reader)),
        }
    }
}

/// Who looks, and when.
#[derive(Debug, Clone, Copy)]
pub struct Eyes<'a> {
    /// On whose behalf.
    pub acting: &'a ActingAs,
    /// Milliseconds since 1970.
    pub now_ms: u64,
}

impl Eyes<'_> {
    /// Whether they see a document.
    pub fn see(&self, document: &Document) -> bool {
        !self.find_expired(document.expires_ms) && self.acting.may_read(document.readers.as_deref())
    }

    /// Whether they see a document of a segment.
    pub fn see_in_segment(&self, segment: &Segment, ordinal: u32) -> bool {
        let has = |label: &str| {
            let bitmap = segment.labels().get(LabelKind::Reader, label);
            bitmap.is_some_and(|bitmap| bitmap.contains(ordinal))
        };
        let may_read = match self.acting {
            ActingAs::Administrator => true,
            ActingAs::Labels(labels) => {
                !has("") || labels.iter().any(|label| !label.is_empty() && has(label))
            }
        };
        may_read && !self.find_expired(segment.directory()[ordinal as usize].expires_ms)
    }

    /// The live documents of a segment that they don't see.
    pub fn unseen_in_segment(&self, segment: &Segment, live: &Mask) -> Mask {
        let mut unseen = Mask::default();
        if let ActingAs::Labels(labels) = self.acting
            && let Some(restricted) = segment.labels().get(LabelKind::Reader, "")
        {
            let own = labels.iter().filter(|label| !label.is_empty());
            let own = own.filter_map(|label| segment.labels().get(LabelKind::Reader, label));
            let hidden = own.fold(restricted.clone(), |hidden, own| hidden - own);
            hidden
                .iter()
                .filter(|&ordinal| live.contains(ordinal))
                .for_each(|ordinal| unseen.set(ordinal, true));
        }
        if self.find_expired(segment.first_expiry_ms()) {
            let expired =
                |ordinal: &u32| self.find_expired(segment.directory()[*ordinal as usize].expires_ms);
            live.iter().filter(expired).for_each(|ordinal| unseen.set(ordinal, true));
        }
        unseen
    }

    /// The live documents of a memtable that they don't see.
    pub fn unseen_in_memtable(&self, memtable: &Memtable, live: &Mask) -> Mask {
        if !memtable.names_readers() && !self.find_expired(memtable.first_expiry_ms()) {
            return Mask::default();
        }
        live.iter().filter(|&ordinal| !self.see(&memtable.entries()[ordinal as usize].document)).collect()
    }

    /// Whether what expires then is gone by now.
    pub fn find_expired(&self, expires_ms: Option<u64>) -> bool {
        expires_ms.is_some_and(|expires_ms| expires_ms <= self.now_ms)
    }
}
