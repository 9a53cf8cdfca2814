//! What is a request seen to do with documents?
//!
//! Whose partitions it came to, what its searches found, and whether it was shown documents that carry labels. Handlers take
//! that down as it happens; `server/src/access.rs` makes of it what the audit log keeps.
//!
//! Concurrency: one lock for each request.

use std::sync::{Mutex, PoisonError};

use strongroom_engine::{DocumentInfo, PartitionRef};

/// What of reads is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Documents that their labels hid from who asked, and labelled ones that an administrator read all the same.
    #[default]
    Denied,
    /// Each read and each search that found something, too.
    All,
}

impl Reads {
    /// Reads the word that a configuration has for it.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "denied" => Some(Self::Denied),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

/// A request under watch.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<Seen>);

/// What was seen of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The partitions that it acted on.
    pub(crate) places: Vec<PartitionRef>,
    /// The searches that found something, by the ids that their answers carry; `None` when it told of none.
    pub(crate) found: Option<Vec<(PartitionRef, String)>>,
    /// Whether something that it was shown carries labels.
    pub(crate) is_labelled: bool,
}

impl Watch {
    /// The request acts on this partition.
    pub(crate) fn acts_on(&self, at: &PartitionRef) {
        self.with(|seen| {
            if !seen.places.contains(at) {
                seen.places.push(at.clone());
            }
        });
    }

    /// A search is done; if it found something, its answer has this id.
    pub(crate) fn finds(&self, at: &PartitionRef, query_id: Option<&str>) {
        self.with(|seen| {
            let found = query_id.map(|id| (at.clone(), id.to_owned()));
            seen.found.get_or_insert_default().extend(found);
        });
    }

    /// The request is shown this document.
    pub(crate) fn shows(&self, document: &DocumentInfo) {
        if document.readers.is_some() {
            self.with(|seen| seen.is_labelled = true);
        }
    }

    /// What was seen until now.
    pub(crate) fn seen(&self) -> Seen {
        self.with(|seen| seen.clone())
    }

    fn with<R>(&self, run: impl FnOnce(&mut Seen) -> R) -> R {
        run(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
