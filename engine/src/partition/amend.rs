//! How does a partition go on under another name, or on other terms?
//!
//! By one record that says who it is from there on. What is in it is not touched: its key stays, and with it all that the key
//! sealed. The record is durable like any other; the manifest's entry says the same from the next flush on.
//!
//! Invariants:
//! 1. An amendment is made with the order of writes held: whatever is written before it knows the old terms, whatever comes
//!    after it the new ones.
//! 2. What is held loses nothing: no document is deleted, purged or replaced, and no time passes for those that expire.
//! 3. What is in the trash, or over, serves nobody: a handle from before is told that the partition was dropped.
//! 4. Until the manifest tells of its last amendment, a partition is not put to rest.

use super::standing::{Act, Overlay, Standing};
use super::{Core, Who, WriteError, Writer};
use crate::filter::{ActingAs, Eyes};
use crate::io::lock;
use crate::log::Urgency;
use std::sync::{Arc, PoisonError};
use strongroom_format::record::{ChangeKind, Identity};
use strongroom_format::terms::Terms;

impl Core {
    /// Whether it is there for its callers.
    pub(crate) fn is_served(&self) -> bool {
        self.terms().serve(self.now_ms())
    }

    /// Whether nothing of it may go.
    pub(crate) fn is_held(&self) -> bool {
        self.terms().held_ms.is_some()
    }

    /// When a document ends that is written now and was to end then. Time stands still under a hold; where the clock was set back
    /// since, an end that would lie before that time comes right behind it, or the document would be gone under the hold.
    pub(super) fn end_of(&self, expires_ms: Option<u64>) -> Option<u64> {
        match (expires_ms, self.terms().held_ms) {
            (Some(end_ms), Some(held_ms)) if (self.now_ms() + 1..=held_ms).contains(&end_ms) => {
                Some(held_ms + 1)
            }
            _ => expires_ms,
        }
    }

    /// Begins it on these terms, without a document; [`WriteError::Exists`] when it has begun.
    pub(crate) fn declare(&self, terms: Terms) -> Result<(), WriteError> {
        let mut writer = lock(&self.writer);
        if writer.fenced {
            return Err(WriteError::Dropped);
        }
        self.quiesce(&mut writer)?;
        if self.is_born() {
            return Err(WriteError::Exists);
        }
        // Nobody reads them before it is born.
        self.set_terms(terms);
        let begun = self.submit_alone(&mut writer, Act::Genesis, Urgency::Write);
        if !self.is_born() {
            self.set_terms(Terms::default());
        }
        begun
    }

    /// Makes an amendment durable. `change` says who it is to be, given who it is.
    pub(crate) fn amend<E: From<WriteError>>(
        &self,
        urgency: Urgency,
        change: impl FnOnce(&Who) -> Result<Who, E>,
    ) -> Result<(), E> {
        let mut writer = lock(&self.writer);
        if writer.fenced {
            return Err(WriteError::Dropped.into());
        }
        match self.quiesce(&mut writer) {
            // Documents that damage hides wait on; who it is can be told all the same.
            Err(error) if self.damage().is_none() && !error.is_of_damage() => return Err(error.into()),
            _ => {}
        }
        let who = self.who();
        let amended = change(&who)?;
        if amended == *who {
            return Ok(());
        }
        Ok(self.submit_alone(&mut writer, Act::Amend(Box::new(amended)), urgency)?)
    }

    /// Has one act made durable and applied, and lets nobody write meanwhile.
    fn submit_alone(&self, writer: &mut Writer, act: Act, urgency: Urgency) -> Result<(), WriteError> {
        let ticket = self.submit(writer, vec![act], urgency)?;
        self.env.log.wait(&ticket)?;
        self.settle(writer)
    }

    fn set_terms(&self, terms: Terms) {
        let who = self.who();
        let identity = Identity { terms, ..who.identity.clone() };
        self.become_whom(Who { identity, ..(*who).clone() });
    }

    fn become_whom(&self, who: Who) {
        *self.who.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(who);
    }

    /// A record told who it is, for the first time or anew.
    pub(super) fn was_told(&self, record: u64, who: Option<Who>) {
        if let Some(who) = who {
            self.become_whom(who);
        }
        let mut shelf = self.shelf_mut();
        shelf.amended = record;
        // With nothing in memory, the manifest's entry is all that is left to write of it.
        if shelf.view.as_ref().is_none_or(super::View::is_clean) {
            shelf.state.flushed_through = shelf.state.flushed_through.max(record);
        }
        self.env.grew(0);
    }

    /// Its last amendment that the manifest may not tell of; 0 when it tells of all.
    pub(crate) fn amended(&self) -> u64 {
        self.shelf().amended
    }

    /// The manifest tells of this amendment.
    pub(crate) fn is_published(&self, amended: u64) {
        let mut shelf = self.shelf_mut();
        if shelf.amended == amended {
            shelf.amended = 0;
        }
    }

    /// Insists that these acts take nothing that is held.
    pub(super) fn let_go(&self, writer: &Writer, acts: &[Act]) -> Result<(), WriteError> {
        if !self.is_held() {
            return Ok(());
        }
        let takes = |overlay: &Overlay<'_>| Ok((Vec::new(), acts.iter().any(|act| act.takes(overlay))));
        let (_, takes) = self.prepared(writer, takes)?;
        if takes { Err(WriteError::Held) } else { Ok(()) }
    }
}

impl Act {
    /// Whether a document is gone, hidden or another one when it is done.
    fn takes(&self, overlay: &Overlay<'_>) -> bool {
        match self {
            Self::Genesis | Self::Amend(_) => false,
            Self::Put(document) => overlay.has(&document.id),
            // One that comes in soft-deleted takes nothing that was there.
            Self::Change(change) => {
                matches!(change.kind, ChangeKind::Deleted | ChangeKind::Purged) && overlay.has(&change.id)
            }
        }
    }
}

impl Overlay<'_> {
    /// Whether there is a document of this id, be it deleted, expired or for other eyes.
    fn has(&self, id: &str) -> bool {
        let eyes = Eyes { acting: &ActingAs::Administrator, now_ms: 0 };
        !matches!(self.standing(id, eyes), Standing::Absent)
    }
}
