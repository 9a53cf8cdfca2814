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
pub(crate) struct Watch {
    reads: Reads,
    seen: Mutex<Seen>,
}

/// What was seen of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The partitions that it acted on.
    pub(crate) places: Vec<PartitionRef>,
    /// What it was shown, as far as that is to be kept; `None` when its handler told nothing.
    pub(crate) read: Option<Vec<Read>>,
}

/// What a request was shown of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) at: PartitionRef,
    pub(crate) what: What,
    /// Whether any of it carries labels.
    pub(crate) is_labelled: bool,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// A document, by its id.
    Document(String),
    /// What a search found, by the id that its answer carries.
    Search(String),
    /// Documents that nobody asked for by their ids.
    Several,
}

impl Watch {
    pub(crate) fn new(reads: Reads) -> Self {
        Self { reads, seen: Mutex::default() }
    }

    /// The request acts on this partition.
    pub(crate) fn acts_on(&self, at: &PartitionRef) {
        self.with(|seen| {
            if !seen.places.contains(at) {
                seen.places.push(at.clone());
            }
        });
    }

    /// The request is shown these documents of a partition. `what` they are is asked when it is to be kept.
    pub(crate) fn shows<'a>(
        &self,
        at: &PartitionRef,
        documents: impl IntoIterator<Item = &'a DocumentInfo>,
        what: impl FnOnce() -> What,
    ) {
        let mut documents = documents.into_iter().peekable();
        let is_something = documents.peek().is_some();
        let is_labelled = documents.any(|document| document.readers.is_some());
        self.with(|seen| {
            let read = seen.read.get_or_insert_default();
            if is_something && (is_labelled || self.reads == Reads::All) {
                read.push(Read { at: at.clone(), what: what(), is_labelled });
            }
        });
    }

    /// What was seen until now.
    pub(crate) fn seen(&self) -> Seen {
        self.with(|seen| seen.clone())
    }

    fn with<R>(&self, run: impl FnOnce(&mut Seen) -> R) -> R {
        run(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
