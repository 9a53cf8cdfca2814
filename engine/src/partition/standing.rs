//! What will a document be once all that is queued is durable, as its caller sees it?
//!
//! A write is checked against this, and not against what is visible so far: acknowledged writes never conflict.

use super::Who;
use super::view::View;
use crate::filter::Eyes;
use crate::log::Ticket;
use std::collections::VecDeque;
use strongroom_format::document::Document;
use strongroom_format::record::{Change, ChangeKind, Identity, RecordKind, encode_put};

/// A record that waits for its sync.
pub(super) struct Pending {
    pub(super) ticket: Ticket,
    pub(super) record: u64,
    pub(super) act: Act,
}

impl Pending {
    /// Where it waits.
    pub(super) fn ticket(&self) -> Ticket {
        self.ticket.clone()
    }
}

/// What a record does once it is durable.
pub(super) enum Act {
    Genesis,
    Amend(Box<Who>),
    Put(Box<Document>),
    Change(Change),
}

impl Act {
    pub(super) fn kind(&self) -> RecordKind {
        match self {
            Self::Genesis => RecordKind::Genesis,
            Self::Amend(_) => RecordKind::Amend,
            Self::Put(_) => RecordKind::Put,
            Self::Change(_) => RecordKind::Change,
        }
    }

    /// Whether it says who the partition is, and nothing of documents.
    pub(super) fn is_told(&self) -> bool {
        matches!(self, Self::Genesis | Self::Amend(_))
    }

    /// The document that it acts on.
    pub(super) fn document_id(&self) -> Option<&str> {
        match self {
            Self::Put(document) => Some(&document.id),
            Self::Change(change) if change.kind != ChangeKind::Answered => Some(&change.id),
            Self::Genesis | Self::Amend(_) | Self::Change(_) => None,
        }
    }

    pub(super) fn encode(&self, identity: &Identity) -> Vec<u8> {
        match self {
            Self::Genesis => identity.encode(),
            Self::Amend(who) => who.identity.encode(),
            Self::Put(document) => encode_put(document),
            Self::Change(change) => change.encode(),
        }
    }
}

/// What an id's state will be, for some eyes, when all that is queued is durable.
pub(super) enum Standing<'a> {
    Absent,
    /// Its time has passed: its id is free, and what there was is still to be purged.
    Expired,
    /// It is there, but these eyes don't see it.
    Unseen,
    Live(Option<&'a Document>),
    Deleted,
}

impl<'a> Standing<'a> {
    fn of(is_deleted: bool, pending: Option<&'a Document>) -> Self {
        if is_deleted { Self::Deleted } else { Self::Live(pending) }
    }
}

/// The view with all that is queued on top.
pub(super) struct Overlay<'a> {
    pub(super) view: &'a View,
    pub(super) pending: &'a VecDeque<Pending>,
}

impl<'a> Overlay<'a> {
    /// What waits for its sync.
    pub(super) fn queued(&self) -> impl Iterator<Item = &'a Act> {
        self.pending.iter().map(|pending| &pending.act)
    }

    /// As these eyes see it.
    pub(super) fn standing(&self, id: &str, eyes: Eyes<'_>) -> Standing<'a> {
        // The last change says whether it is deleted; which document it is stands further back.
        let mut deleted = None;
        for pending in self.pending.iter().rev() {
            match &pending.act {
                Act::Put(document) if document.id == id => {
                    return match deleted {
                        _ if eyes.find_expired(document.expires_ms) => Standing::Expired,
                        _ if !eyes.see(document) => Standing::Unseen,
                        is_deleted => Standing::of(is_deleted.unwrap_or(false), Some(document)),
                    };
                }
                Act::Change(change) if change.id == id => match change.kind {
                    ChangeKind::Answered => {}
                    ChangeKind::Purged => return Standing::Absent,
                    ChangeKind::Deleted => drop(deleted.get_or_insert(true)),
                    ChangeKind::Restored => drop(deleted.get_or_insert(false)),
                },
                _ => {}
            }
        }
        let Some(location) = self.view.find(id) else { return Standing::Absent };
        if eyes.find_expired(self.view.expires_ms(location)) {
            return Standing::Expired;
        }
        if !self.view.sees(location, eyes) {
            return Standing::Unseen;
        }
        Standing::of(deleted.unwrap_or(location.deleted_ms.is_some()), None)
    }
}
