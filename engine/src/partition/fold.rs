//! How is something computed over all documents that match, in one look?
//!
//! For sums and groups that a host makes: what is folded is one state of the partition, whatever is written meanwhile.

use super::view::Rows;
use super::{DocumentInfo, Partition, ReadError};
use crate::filter::Filter;

impl Partition {
    /// Gives each live document that matches to `add`, in no order, and answers what came of it; `None` when there are more
    /// than `documents_max`, of which none is read. It may begin anew, with another `begin()`, when a read has to be repeated.
    pub fn fold<R>(
        &self,
        filter: &Filter,
        documents_max: u64,
        begin: impl Fn() -> R,
        add: impl Fn(&mut R, DocumentInfo),
    ) -> Result<Option<R>, ReadError> {
        let eyes = self.eyes();
        self.attempt(|| {
            self.look(|view| {
                let sight = view.sight(eyes);
                let sources = view.sources().iter().enumerate();
                let masks: Vec<_> = sources
                    .map(|(position, source)| view.mask(source, sight.of(position), filter))
                    .collect::<Result<_, _>>()?;
                if masks.iter().map(|mask| mask.iter().count() as u64).sum::<u64>() > documents_max {
                    return Ok(None);
                }
                let mut folded = begin();
                for (source, mask) in view.sources().iter().zip(&masks) {
                    for ordinal in mask.iter() {
                        let id = match &source.rows {
                            Rows::Segment(segment) => &*segment.directory()[ordinal as usize].id,
                            Rows::Memtable(memtable) => &*memtable.entries()[ordinal as usize].document.id,
                        };
                        let Some(location) = view.current(source.number, ordinal, id) else { continue };
                        let (document, content_bytes) = view.info(location)?;
                        add(&mut folded, DocumentInfo::of(document, content_bytes));
                    }
                }
                Ok(Some(folded))
            })?
        })
    }
}
