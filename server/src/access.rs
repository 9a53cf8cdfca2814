//! Who read what, and who was refused a document?
//!
//! Of each request that reads, or that is told that a document isn't there, what is to be kept is counted in memory; about once a
//! second, and before the log is read, it becomes rows of the audit log. A row says in clear who acted and in which partition (its
//! incarnation); on whose behalf, and which document or search, stands in a note that the partition's key seals.
//!
//! Invariants:
//! 1. No answer waits for any of this, and none shows by its time whether a document is hidden from its asker or isn't there:
//!    that is looked up later, in both cases.
//! 2. A note never outlives its partition's key: when there is none to seal it with any more, the row has none.
//! 3. However often somebody reads one thing, there is no more than a row of it each minute, with a number.
//! 4. What waits in memory is bounded; beyond that, reads are counted without what was read.
//!
//! Concurrency: counting takes a lock for an instant. Settling is done by one at a time, and whoever comes meanwhile waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use strongroom_engine::{PartitionRef, Store, WorkspaceId};

use crate::auth::server_in;
use crate::clock;
use crate::control::{Action, Actor, By, Control, Entry, Outcome};
use crate::log;
use crate::message::error::ApiError;
use crate::watch::{Read, Reads, Seen, Watch, What};

/// Kinds of reads that are told apart at once.
const KINDS_MAX: usize = 50_000;
const MINUTE_MS: u64 = 60_000;

/// What a route does when it succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Read,
    Search,
    /// Something that `server/src/control/audit` tells elsewhere, or that tells nothing of documents.
    Other,
}

/// A request that was answered.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) workspace: WorkspaceId,
    pub(crate) by: By,
    /// Whom it said that it acts for.
    pub(crate) principal: Option<String>,
    /// Whether it saw documents whatever their labels.
    pub(crate) is_administrator: bool,
    pub(crate) does: Does,
    /// What its address names: a document or a thread.
    pub(crate) resource: Option<String>,
    pub(crate) seen: Seen,
}

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    workspace: WorkspaceId,
    at: PartitionRef,
    actor: Actor,
    principal: Option<String>,
    action: Action,
    resource: Option<String>,
}

/// How often, since when, and in which request first.
#[derive(Debug)]
struct Count {
    by: By,
    unwritten: u64,
    first_ms: u64,
    written_minute: Option<u64>,
}

/// What the partition's key seals of a row.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Whom the request said that it acts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) principal: Option<String>,
    /// `document:…`, `thread:…` or `query:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource: Option<String>,
    /// When it was the first time.
    pub(crate) at_ms: u64,
}

/// What was read and is not written yet.
pub(crate) struct Access {
    control: Arc<Control>,
    store: Arc<Store>,
    reads: Reads,
    counts: Mutex<HashMap<Kind, Count>>,
    settling: Mutex<()>,
}

/// What names a document, in notes and answers.
pub(crate) const DOCUMENT: &str = "document:";
/// The same of a conversation.
pub(crate) const THREAD: &str = "thread:";
/// The same of a search.
pub(crate) const QUERY: &str = "query:";

impl Access {
    pub(crate) fn new(control: Arc<Control>, store: Arc<Store>, reads: Reads) -> Self {
        Self { control, store, reads, counts: Mutex::default(), settling: Mutex::default() }
    }

    /// What takes down what a request is shown.
    pub(crate) fn watch(&self) -> Arc<Watch> {
        Arc::new(Watch::new(self.reads))
    }

    /// Takes down a request and how it ended.
    pub(crate) fn tell(&self, asked: Asked, outcome: Result<(), &ApiError>) {
        let Asked { workspace, by, principal, is_administrator, does, resource, seen } = asked;
        let kind = |at: PartitionRef, action: Action, resource: Option<String>| Kind {
            workspace,
            at,
            actor: by.actor.clone(),
            principal: principal.clone(),
            action,
            resource,
        };
        let is_all = self.reads == Reads::All;
        let kinds: Vec<Kind> = match outcome {
            Ok(()) => {
                let several = |at| Read { at, what: What::Several, is_labelled: false };
                let untold =
                    || seen.places.into_iter().filter(|_| does != Does::Other).map(several).collect();
                let kept = seen.read.unwrap_or_else(untold).into_iter().filter_map(|read| {
                    let action = match does {
                        _ if is_administrator && read.is_labelled => Action::LabelBypass,
                        Does::Search if is_all => Action::SearchHit,
                        Does::Read if is_all => Action::DocumentRead,
                        _ => return None,
                    };
                    let resource = match read.what {
                        What::Document(id) => Some(format!("{DOCUMENT}{id}")),
                        // Each search has an id of its own: named, each would be a row.
                        What::Search(id) => is_all.then(|| format!("{QUERY}{id}")),
                        What::Several => resource.clone(),
                    };
                    Some(kind(read.at, action, resource))
                });
                kept.collect()
            }
            Err(error) if error.code == "document_not_found" && !is_administrator => {
                match resource.filter(|resource| resource.starts_with(DOCUMENT)) {
                    None => return,
                    Some(resource) => {
                        let hidden = |at| kind(at, Action::DocumentHidden, Some(resource.clone()));
                        seen.places.into_iter().map(hidden).collect()
                    }
                }
            }
            Err(_) => return,
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in kinds {
            if !count(&mut counts, kind, &by, clock::now_ms()) {
                log::warn(
                    "more kinds of reads in a minute than the audit log tells apart: some are not written down",
                );
            }
        }
    }

    /// Writes down what is due; all that there is at a stop. Blocks.
    pub(crate) fn settle(&self, all: bool) -> Result<(), ApiError> {
        let _only = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        let due = take(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner), clock::now_ms(), all);
        let mut entries = Vec::with_capacity(due.len());
        for (kind, by, times, first_ms) in due {
            if kind.action != Action::DocumentHidden || self.hides(&kind, first_ms) {
                entries.extend(self.entry(kind, by, times, first_ms));
            }
        }
        if entries.is_empty() { Ok(()) } else { Ok(self.control.enter(|| entries)?) }
    }

    /// Whether the document was there when it was asked for. What can't be looked up is not claimed.
    fn hides(&self, kind: &Kind, first_ms: u64) -> bool {
        let scope = server_in(kind.workspace, &kind.at.collection);
        let id = kind.resource.as_deref().and_then(|resource| resource.strip_prefix(DOCUMENT));
        let partition = self.store.partition(&scope, &kind.at).ok().flatten();
        let found = partition.zip(id).and_then(|(partition, id)| partition.get(id).ok().flatten());
        found.is_some_and(|document| document.created_ms <= first_ms)
    }

    /// The row; `None` when the partition is gone, and with it what there was to tell.
    fn entry(&self, kind: Kind, by: By, times: u64, first_ms: u64) -> Option<Entry> {
        let Kind { workspace, at, principal, action, resource, .. } = kind;
        let note = Note { principal, resource, at_ms: first_ms };
        let text = serde_json::to_vec(&note).unwrap_or_default();
        let sealed =
            self.store.seal_note(&server_in(workspace, &at.collection), &at, &text).ok().flatten()?;
        let outcome = match action {
            Action::DocumentHidden => Outcome::Refused("document_hidden"),
            _ => Outcome::Done,
        };
        let entry = Entry::done(workspace, by, action, crate::random::hex(&sealed.incarnation));
        Some(Entry { outcome, times, note: Some(sealed.sealed), ..entry })
    }
}

/// Counts one; without what was read, where there is no room to tell it from others. `false` when not even that could be done.
fn count(counts: &mut HashMap<Kind, Count>, kind: Kind, by: &By, now_ms: u64) -> bool {
    let mut kind = kind;
    if counts.len() >= KINDS_MAX && !counts.contains_key(&kind) {
        counts.retain(|_, count| count.unwritten > 0);
        if counts.len() >= KINDS_MAX {
            if kind.action == Action::DocumentHidden {
                return false;
            }
            (kind.principal, kind.resource) = (None, None);
            if counts.len() >= 2 * KINDS_MAX && !counts.contains_key(&kind) {
                return false;
            }
        }
    }
    let fresh = Count { by: by.clone(), unwritten: 0, first_ms: now_ms, written_minute: None };
    let count = counts.entry(kind).or_insert(fresh);
    if count.unwritten == 0 {
        (count.by, count.first_ms) = (by.clone(), now_ms);
    }
    count.unwritten = count.unwritten.saturating_add(1);
    true
}

/// Takes what is due to be written at this time; all that there is when `all`.
fn take(counts: &mut HashMap<Kind, Count>, now_ms: u64, all: bool) -> Vec<(Kind, By, u64, u64)> {
    let minute = now_ms / MINUTE_MS;
    let mut due = Vec::new();
    counts.retain(|kind, count| {
        let is_over = count.written_minute != Some(minute);
        if count.unwritten > 0 && (all || is_over) {
            due.push((kind.clone(), count.by.clone(), std::mem::take(&mut count.unwritten), count.first_ms));
            count.written_minute = Some(minute);
            return true;
        }
        count.unwritten > 0 || !is_over
    });
    // In the order in which they came.
    due.sort_by_key(|(.., first_ms)| *first_ms);
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(number: usize) -> Kind {
        Kind {
            workspace: WorkspaceId([1; 16]),
            at: PartitionRef { collection: "default".to_owned(), partition: None },
            actor: Actor::Operator,
            principal: None,
            action: Action::DocumentRead,
            resource: Some(format!("{DOCUMENT}{number}")),
        }
    }

    /// Lost otherwise: a client that reads one document again and again would fill the disk, or be told of once and forgotten.
    #[test]
    fn a_minute_of_one_read_is_one_row() {
        let (mut counts, by) = (HashMap::new(), By::system());
        let told = |due: Vec<(Kind, By, u64, u64)>| {
            due.into_iter().map(|(_, _, times, first_ms)| (times, first_ms)).collect::<Vec<_>>()
        };
        assert!(count(&mut counts, kind(1), &by, 1) && count(&mut counts, kind(1), &by, 2));
        assert_eq!(told(take(&mut counts, 3, false)), [(2, 1)]);
        assert!(count(&mut counts, kind(1), &by, 4) && count(&mut counts, kind(2), &by, 5));
        assert_eq!(told(take(&mut counts, 59_999, false)), [(1, 5)]);
        assert_eq!(told(take(&mut counts, 60_000, false)), [(1, 4)]);
        assert!(count(&mut counts, kind(1), &by, 60_001));
        assert_eq!(told(take(&mut counts, 60_002, true)), [(1, 60_001)], "a stop waits for no minute");
        assert!(take(&mut counts, 180_000, false).is_empty() && counts.is_empty());
    }

    /// Lost otherwise: reads of very many documents would take the server's memory, or be kept from the log.
    #[test]
    fn only_so_many_are_told_apart() {
        let (mut counts, by) = (HashMap::new(), By::system());
        assert!((0..KINDS_MAX + 3).all(|number| count(&mut counts, kind(number), &by, 1)));
        assert_eq!(counts.len(), KINDS_MAX + 1);
        let rest = Kind { resource: None, ..kind(0) };
        assert_eq!(counts[&rest].unwritten, 3);
        let hidden = Kind { action: Action::DocumentHidden, ..kind(KINDS_MAX) };
        assert!(!count(&mut counts, hidden, &by, 1), "nothing is claimed that can't be looked up");
        take(&mut counts, 2, false);
        assert!(count(&mut counts, kind(KINDS_MAX + 9), &by, 3), "what is written makes room");
    }
}
