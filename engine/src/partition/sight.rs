//! What of a partition does one call see?
//!
//! The masks of all sources with what the call's [`Eyes`] don't see taken out, and how much that is: what isn't seen doesn't
//! count among the candidates, nor in the statistics that words are weighed by.

use super::view::{Counts, Location, Rows, Source, View};
use crate::filter::Eyes;
use std::borrow::Cow;
use strongroom_kernel::Mask;

/// What a call sees of each source, in their order.
pub(super) struct Sight<'v> {
    masks: Vec<Cow<'v, Mask>>,
    /// Live documents that it sees.
    pub(super) documents: u64,
    /// Their passages.
    pub(super) passages: u64,
    /// The words of those that are in segments.
    pub(super) segment_words: u64,
}

impl Sight<'_> {
    /// What is seen of the source that stands at this position.
    pub(super) fn of(&self, position: usize) -> &Mask {
        &self.masks[position]
    }
}

impl View {
    pub(super) fn sight(&self, eyes: Eyes<'_>) -> Sight<'_> {
        let Counts { documents, passages, .. } = self.counts();
        let (masks, segment_words) = (Vec::with_capacity(self.sources().len()), self.segment_words());
        let mut sight = Sight { masks, documents, passages, segment_words };
        for source in self.sources() {
            let unseen = match &source.rows {
                Rows::Segment(segment) => eyes.unseen_in_segment(segment, &source.live),
                Rows::Memtable(memtable) => eyes.unseen_in_memtable(memtable, &source.live),
            };
            let mut mask = Cow::Borrowed(&source.live);
            for ordinal in unseen.iter() {
                mask.to_mut().set(ordinal, false);
                let (passages, words) = source.extent(ordinal);
                sight.documents -= 1;
                sight.passages -= passages;
                sight.segment_words -= words;
            }
            sight.masks.push(mask);
        }
        sight
    }

    /// From when on nobody reads a document.
    pub(super) fn expires_ms(&self, location: Location) -> Option<u64> {
        match &self.source(location.source)?.rows {
            Rows::Segment(segment) => segment.directory()[location.ordinal as usize].expires_ms,
            Rows::Memtable(memtable) => memtable.entries()[location.ordinal as usize].document.expires_ms,
        }
    }

    /// Whether a document is seen, be it live or deleted.
    pub(super) fn sees(&self, location: Location, eyes: Eyes<'_>) -> bool {
        self.source(location.source).is_some_and(|source| match &source.rows {
            Rows::Segment(segment) => eyes.see_in_segment(segment, location.ordinal),
            Rows::Memtable(memtable) => eyes.see(&memtable.entries()[location.ordinal as usize].document),
        })
    }
}

impl Source {
    /// How many passages a document has, and how many words, as far as they are counted in a segment.
    fn extent(&self, ordinal: u32) -> (u64, u64) {
        match &self.rows {
            Rows::Segment(segment) => {
                let row = &segment.directory()[ordinal as usize];
                (row.rows.into(), row.words)
            }
            Rows::Memtable(memtable) => (memtable.entries()[ordinal as usize].rows.into(), 0),
        }
    }
}
