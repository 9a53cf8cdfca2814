//! How is a write done once, however often it is asked for?
//!
//! A caller that lost an answer asks again, with the same key. The memo of the first time is written in one batch with what was
//! written, so both are durable or neither is; the second time finds it and is answered the same. Two that come together don't
//! meet: the second waits for the first one's sync, and does the work itself if that failed.

use super::memos::MEMOS_MAX;
use super::standing::{Act, Overlay};
use super::{DocumentInfo, Partition, WriteError};
use crate::filter::Eyes;
use crate::log::{Ticket, Urgency};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use strongroom_format::memo::Memo;
use strongroom_format::record::{Change, ChangeKind};

/// A request that is to be done once. Each write through [`Partition::once`] counts as that request: make one.
#[derive(Debug, Default)]
pub struct Once {
    /// A digest of the key that the caller gave it.
    pub key: [u8; 16],
    /// A digest of all that it asks for.
    pub request: [u8; 16],
    was_answered: AtomicBool,
}

impl Once {
    /// A request of this key.
    pub fn new(key: [u8; 16], request: [u8; 16]) -> Self {
        Self { key, request, was_answered: AtomicBool::new(false) }
    }

    /// Notes that it had been done before.
    pub(super) fn found(&self) {
        self.was_answered.store(true, Ordering::Release);
    }

    /// Whether it had been done before, so that this time nothing was written.
    pub fn was_answered(&self) -> bool {
        self.was_answered.load(Ordering::Acquire)
    }
}

/// What a write answers when it was done before.
pub(super) trait Again: Sized {
    /// The answer, from what is remembered, and since when, as far as these eyes see it.
    fn again(overlay: &Overlay<'_>, memo: &Memo, at_ms: u64, eyes: Eyes<'_>) -> Result<Self, WriteError>;
}

impl Again for () {
    fn again(_: &Overlay<'_>, _: &Memo, _: u64, _: Eyes<'_>) -> Result<Self, WriteError> {
        Ok(())
    }
}

impl Again for Vec<DocumentInfo> {
    /// The documents as they are now; of those that are gone their ids.
    fn again(overlay: &Overlay<'_>, memo: &Memo, at_ms: u64, eyes: Eyes<'_>) -> Result<Self, WriteError> {
        memo.ids.iter().map(|id| overlay.told(id, at_ms, eyes)).collect()
    }
}

impl Again for DocumentInfo {
    fn again(overlay: &Overlay<'_>, memo: &Memo, at_ms: u64, eyes: Eyes<'_>) -> Result<Self, WriteError> {
        overlay.told(memo.ids.first().map_or("", String::as_str), at_ms, eyes)
    }
}

impl Again for Vec<String> {
    fn again(_: &Overlay<'_>, memo: &Memo, _: u64, _: Eyes<'_>) -> Result<Self, WriteError> {
        Ok(memo.ids.clone())
    }
}

/// What is remembered of a request with some key.
pub(super) enum Remembered {
    /// It waits for its sync.
    Queued(Memo, Ticket),
    /// It was answered at this time.
    Durable(Memo, u64),
}

impl Overlay<'_> {
    /// Whether a request with this key was answered, or waits for its sync.
    pub(super) fn remembered(&self, key: &[u8; 16], now_ms: u64) -> Option<Remembered> {
        for pending in self.pending.iter().rev() {
            if let Act::Change(Change { kind: ChangeKind::Answered, id: text, .. }) = &pending.act
                && Memo::key_of(text).is_some_and(|found| found == *key)
            {
                return Memo::decode(text).ok().map(|memo| Remembered::Queued(memo, pending.ticket()));
            }
        }
        self.view.memos().find(key, now_ms).map(|(memo, at_ms)| Remembered::Durable(memo, at_ms))
    }

    fn told(&self, id: &str, at_ms: u64, eyes: Eyes<'_>) -> Result<DocumentInfo, WriteError> {
        match self.view.live(id, eyes) {
            Some(location) => {
                let (document, content_bytes) = self.view.info(location)?;
                Ok(DocumentInfo::of(document, content_bytes))
            }
            None => Ok(DocumentInfo::gone(id, at_ms)),
        }
    }
}

enum Turn<R> {
    Done(R),
    Wait(Ticket),
}

impl Partition {
    /// The same partition, for one write that is done once: when it was done before, nothing is written, and the answer is the
    /// first one's, with the documents as they are now. Of a document that is gone it has the id alone.
    /// [`WriteError::AnotherRequest`] when the key was another request's.
    #[must_use]
    pub fn once(&self, once: &Arc<Once>) -> Self {
        Self { once: Some(Arc::clone(once)), ..self.clone() }
    }

    /// The ids that this handle's request wrote when it was done before; `None` when it wasn't, or is none that is done once. For hosts
    /// that would find something else to do the second time.
    pub fn remembered(&self) -> Result<Option<Vec<String>>, WriteError> {
        let Some(once) = &self.once else { return Ok(None) };
        loop {
            let now_ms = self.core.now_ms().max(1);
            let found = self.core.write(Urgency::Erasure, |overlay| {
                self.is_served()?;
                Ok((Vec::new(), overlay.remembered(&once.key, now_ms)))
            })?;
            match found {
                Some(Remembered::Queued(memo, _) | Remembered::Durable(memo, _))
                    if memo.request != once.request =>
                {
                    return Err(WriteError::AnotherRequest);
                }
                Some(Remembered::Durable(memo, _)) => {
                    once.found();
                    return Ok(Some(memo.ids));
                }
                // Whether it failed shows at the next look.
                Some(Remembered::Queued(_, ticket)) => drop(self.core.env.log.wait(&ticket)),
                None => return Ok(None),
            }
        }
    }

    /// Runs one write, once if that is wanted.
    pub(super) fn write<R: Again>(
        &self,
        urgency: Urgency,
        mut prepare: impl FnMut(&Overlay<'_>) -> Result<(Vec<Act>, R), WriteError>,
    ) -> Result<R, WriteError> {
        let Some(once) = &self.once else {
            return self.core.write(urgency, |overlay| {
                self.is_served()?;
                prepare(overlay)
            });
        };
        loop {
            let now_ms = self.core.now_ms().max(1);
            let turn = self.core.write(urgency, |overlay| {
                self.is_served()?;
                let (memo, acts, turn) = match overlay.remembered(&once.key, now_ms) {
                    None => {
                        let (mut acts, answer) = prepare(overlay)?;
                        if overlay.view.memos().is_full(now_ms) {
                            return Err(WriteError::TooManyKeys { limit: MEMOS_MAX });
                        }
                        acts.push(remember(once, &acts, now_ms));
                        return Ok((acts, Turn::Done(answer)));
                    }
                    Some(Remembered::Queued(memo, ticket)) => (memo, Vec::new(), Turn::Wait(ticket)),
                    Some(Remembered::Durable(memo, at_ms)) => {
                        let turn = R::again(overlay, &memo, at_ms, self.eyes());
                        (memo, Vec::new(), Turn::Done(turn?))
                    }
                };
                if memo.request != once.request {
                    return Err(WriteError::AnotherRequest);
                }
                if matches!(turn, Turn::Done(_)) {
                    once.found();
                }
                Ok((acts, turn))
            })?;
            match turn {
                Turn::Done(answer) => return Ok(answer),
                // Whether it failed shows at the next look.
                Turn::Wait(ticket) => drop(self.core.env.log.wait(&ticket)),
            }
        }
    }
}

/// The memo of a request that comes to these acts: of what it puts, or else of what it changes. (An expired document whose id is
/// taken is purged beside the put.)
pub(super) fn remember(once: &Once, acts: &[Act], at_ms: u64) -> Act {
    let puts = acts.iter().any(|act| matches!(act, Act::Put(_)));
    let told = acts.iter().filter(|act| !puts || matches!(act, Act::Put(_)));
    let ids = told.filter_map(Act::document_id).map(str::to_owned).collect();
    let memo = Memo { key: once.key, request: once.request, ids };
    Act::Change(Change { kind: ChangeKind::Answered, at_ms, id: memo.encode() })
}
