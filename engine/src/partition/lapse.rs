//! What becomes of a partition's documents whose time has passed?
//!
//! Nobody reads them from that instant on, for no [`Eyes`] see them. Some time later the store asks each partition that may
//! have some to purge them, as if somebody had asked for it document by document: their ids are in the log then, their bytes go
//! when the partition is written anew under another key.

use super::standing::Standing;
use super::view::{Rows, View};
use super::{Core, WriteError};
use crate::filter::{ActingAs, Eyes};
use crate::log::Urgency;
use std::num::NonZeroU64;
use strongroom_format::record::ChangeKind;

/// So many are purged in one write.
const AT_ONCE: usize = 4096;

impl Core {
    /// When the first of its documents expires, or earlier; `None` when none does.
    pub(crate) fn first_expiry_ms(&self) -> Option<u64> {
        let shelf = self.shelf();
        let at_rest = || shelf.state.first_expiry_ms.map(NonZeroU64::get);
        shelf.view.as_ref().map_or_else(at_rest, |view| view.first_expiry_ms)
    }

    /// Purges all documents whose time has passed, live or soft-deleted, and answers how many there were. Of what is held none has.
    pub(crate) fn purge_expired(&self, now_ms: u64) -> Result<usize, WriteError> {
        if self.is_held() {
            return Ok(0);
        }
        let (acting, mut purged) = (ActingAs::Administrator, 0);
        let eyes = Eyes { acting: &acting, now_ms };
        loop {
            let ids = self.with_view(|view| view.expired(eyes))?;
            if ids.is_empty() {
                break;
            }
            let count = self.write(Urgency::Erasure, |overlay| {
                let is_expired = |id: &&String| matches!(overlay.standing(id, eyes), Standing::Expired);
                let acts: Vec<_> =
                    ids.iter().filter(is_expired).map(|id| self.change(id, ChangeKind::Purged)).collect();
                let count = acts.len();
                Ok((acts, count))
            })?;
            // What is left is being replaced just now.
            if count == 0 {
                break;
            }
            purged += count;
        }
        self.loaded()?.view().settle_expiry();
        Ok(purged)
    }
}

impl View {
    /// The ids of some documents whose time has passed.
    fn expired(&self, eyes: Eyes<'_>) -> Vec<String> {
        let mut ids = Vec::new();
        self.each_expiry(|id, expires_ms| {
            if ids.len() < AT_ONCE && eyes.find_expired(Some(expires_ms)) {
                ids.push(id.to_owned());
            }
        });
        ids
    }

    /// Finds out when the first of its documents expires.
    pub(super) fn settle_expiry(&mut self) -> Option<u64> {
        let mut first: Option<u64> = None;
        self.each_expiry(|_, expires_ms| {
            first = Some(first.map_or(expires_ms, |first| first.min(expires_ms)))
        });
        self.first_expiry_ms = first;
        first
    }

    /// Each document that expires, live or deleted.
    fn each_expiry(&self, mut each: impl FnMut(&str, u64)) {
        for source in self.sources() {
            let mut one = |ordinal: u32, id: &str, expires_ms: Option<u64>| {
                if let Some(expires_ms) = expires_ms
                    && self.current(source.number, ordinal, id).is_some()
                {
                    each(id, expires_ms);
                }
            };
            match &source.rows {
                Rows::Segment(segment) if segment.first_expiry_ms().is_some() => {
                    (0..).zip(segment.directory()).for_each(|(n, row)| one(n, &row.id, row.expires_ms));
                }
                Rows::Memtable(memtable) if memtable.first_expiry_ms().is_some() => {
                    let documents = memtable.entries().iter().map(|entry| &entry.document);
                    (0..).zip(documents).for_each(|(n, document)| one(n, &document.id, document.expires_ms));
                }
                _ => {}
            }
        }
    }
}
