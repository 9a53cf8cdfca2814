//! How does a document wait for its summary?
//!
//! That one was asked for stands in the document's note, and is durable. What waits in this process is here; what finds no room, or
//! was cut short by a stop, is begun when somebody looks at it again.
//!
//! Invariants:
//! 1. The queue is bounded, and a document stands in it once for one asking.
//! 2. A summary that was made and couldn't be written is not made again for whoever looks: only for who asks anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom_engine::{PartitionRef, WorkspaceId};
use tokio::sync::mpsc;

use crate::auth::Place;

/// Documents that wait at most.
const WAITING_MAX: usize = 4096;
/// Askings that came to nothing and couldn't say so in the document; beyond, they are forgotten.
const LOST_MAX: usize = 1024;

/// Whose summary.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Whose {
    pub(crate) workspace: WorkspaceId,
    pub(crate) at: PartitionRef,
    pub(crate) document: String,
    /// Which asking it is, as the document has it noted.
    pub(crate) asking: String,
}

/// A document that waits for its summary.
pub(crate) struct Asked {
    pub(crate) whose: Whose,
    pub(crate) place: Place,
}

/// What became of an asking in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Begun,
    Lost,
}

/// The queue's end that requests use.
#[derive(Clone)]
pub(crate) struct Queue {
    waiting: mpsc::Sender<Asked>,
    known: Arc<Mutex<HashMap<Whose, Standing>>>,
}

impl Queue {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (waiting, receiver) = mpsc::channel(WAITING_MAX);
        (Self { waiting, known: Arc::default() }, receiver)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Whose, Standing>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it wait, unless it does, or came to nothing before.
    pub(crate) fn begin(&self, asked: Asked) {
        let mut known = self.known();
        if known.contains_key(&asked.whose) {
            return;
        }
        let whose = asked.whose.clone();
        // Without room it stays noted with the document.
        if self.waiting.try_send(asked).is_ok() {
            known.insert(whose, Standing::Begun);
        }
    }

    /// Whether it came to nothing.
    pub(crate) fn is_lost(&self, whose: &Whose) -> bool {
        self.known().get(whose) == Some(&Standing::Lost)
    }

    /// Ends it; `is_told` says whether the document tells how.
    pub(crate) fn end(&self, whose: &Whose, is_told: bool) {
        let mut known = self.known();
        known.remove(whose);
        if is_told {
            return;
        }
        if known.values().filter(|standing| **standing == Standing::Lost).count() >= LOST_MAX {
            known.retain(|_, standing| *standing == Standing::Begun);
        }
        known.insert(whose.clone(), Standing::Lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(number: usize) -> Asked {
        let place = crate::auth::test_place();
        let whose = Whose {
            workspace: place.scope.workspace(),
            at: place.at.clone(),
            document: "doc".to_owned(),
            asking: number.to_string(),
        };
        Asked { whose, place }
    }

    /// Lost otherwise: each look at a document would pay for another summary, or askings would fill the memory.
    #[test]
    fn an_asking_is_begun_once_and_what_is_lost_is_bounded() {
        let (queue, mut waiting) = Queue::new();
        queue.begin(asked(0));
        queue.begin(asked(0));
        assert!(waiting.try_recv().is_ok() && waiting.try_recv().is_err());
        queue.end(&asked(0).whose, false);
        queue.begin(asked(0));
        assert!(queue.is_lost(&asked(0).whose) && waiting.try_recv().is_err());
        for number in 0..=WAITING_MAX {
            queue.begin(asked(number + 1));
        }
        assert_eq!(queue.known().len(), WAITING_MAX + 1, "what finds no room is not known");
        for number in 0..WAITING_MAX {
            queue.end(&asked(number + 1).whose, false);
        }
        assert!(queue.known().len() <= LOST_MAX);
    }
}
