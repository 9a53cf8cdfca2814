//! What goes on in a collection, for those who watch?
//!
//! Whoever stores or embeds documents tells it here; whoever asked to watch a collection gets it as it happens. Nothing is kept:
//! who watches too slowly misses some.
//!
//! Invariants:
//! 1. An event is of one partition, and a watcher who may see one partition alone gets that one's alone.
//! 2. A collection that nobody watches costs nothing; watchers are bounded.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_engine::{PartitionName, Reach, Scope};
use tokio::sync::broadcast;

use crate::message::error::ApiError;
use crate::random;

/// Events that a slow watcher may lag behind.
const BEHIND_MAX: usize = 1024;
/// Watchers of all collections together.
const WATCHERS_MAX: usize = 1024;

/// How long a ticket is good for.
pub(crate) const TICKET_LIFE: Duration = Duration::from_secs(60);
/// Tickets that are out at once.
const TICKETS_MAX: usize = 10_000;

/// Something that happened to a document, or to a collection as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Whose document it is; `None` is the default partition.
    pub(crate) partition: Option<PartitionName>,
    /// Whether it is about the collection as a whole, not about that partition.
    pub(crate) is_of_all: bool,
    /// What watchers are sent.
    pub(crate) body: Value,
}

/// All collections that are watched.
#[derive(Default)]
pub(crate) struct Events {
    watched: Mutex<HashMap<String, broadcast::Sender<Event>>>,
    tickets: Mutex<HashMap<String, Ticket>>,
}

/// The right to watch, once, of whoever brings its token.
pub(crate) struct Ticket {
    pub(crate) collection_id: String,
    pub(crate) scope: Scope,
    until: Instant,
}

/// What comes to one watcher.
pub(crate) struct Watch {
    events: broadcast::Receiver<Event>,
    /// What of the collection the watcher may see.
    scope: Scope,
}

impl Events {
    /// Tells the watchers of a collection, if there are any.
    pub(crate) fn tell(&self, collection_id: &str, event: impl FnOnce() -> Event) {
        let mut watched = self.lock();
        let Some(sender) = watched.get(collection_id) else { return };
        // Nobody is there any more.
        if sender.send(event()).is_err() {
            watched.remove(collection_id);
        }
    }

    /// Watches a collection, as far as the scope reaches.
    pub(crate) fn watch(&self, collection_id: &str, scope: Scope) -> Result<Watch, ApiError> {
        let mut watched = self.lock();
        watched.retain(|_, sender| sender.receiver_count() > 0);
        if watched.values().map(broadcast::Sender::receiver_count).sum::<usize>() >= WATCHERS_MAX {
            return Err(ApiError::busy("overloaded", "too many calls watch events; try again soon", 10));
        }
        let sender =
            watched.entry(collection_id.to_owned()).or_insert_with(|| broadcast::channel(BEHIND_MAX).0);
        Ok(Watch { events: sender.subscribe(), scope })
    }

    /// A token that lets its bearer watch as far as the scope reaches.
    pub(crate) fn ticket(&self, collection_id: &str, scope: Scope) -> Result<String, ApiError> {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        tickets.retain(|_, ticket| ticket.until > now);
        if tickets.len() >= TICKETS_MAX {
            return Err(ApiError::busy(
                "overloaded",
                "too many tokens for events are out; try again soon",
                10,
            ));
        }
        let token = random::base62(43);
        let ticket = Ticket { collection_id: collection_id.to_owned(), scope, until: now + TICKET_LIFE };
        tickets.insert(token.clone(), ticket);
        Ok(token)
    }

    /// What a token is good for, if it still is.
    pub(crate) fn redeem(&self, token: &str) -> Option<Ticket> {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.remove(token).filter(|ticket| ticket.until > Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, broadcast::Sender<Event>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// The next event that this watcher may see. Waits.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match self.events.recv().await {
                Ok(event) if self.may_see(&event) => return event.body,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                // The sender goes with the last watcher, who is here.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    fn may_see(&self, event: &Event) -> bool {
        match self.scope.reach() {
            Reach::Workspace | Reach::Collection(_) => true,
            Reach::Partition(own) => !event.is_of_all && own.partition == event.partition,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use strongroom_engine::PartitionRef;

    use super::*;
    use crate::auth::{server_in, test_place_named};

    /// Lost otherwise: a tenant's key would be told the names of another tenant's documents as they are stored.
    #[tokio::test]
    async fn a_watcher_of_one_partition_gets_that_ones_events_alone() {
        let events = Events::default();
        events.tell("c", || panic!("nobody watches"));
        let acme = test_place_named("acme");
        let PartitionRef { collection, partition } = acme.at.clone();
        let mut own = events.watch("c", acme.scope.clone()).unwrap();
        let mut all = events.watch("c", server_in(acme.scope.workspace(), &collection)).unwrap();
        let event = |partition, is_of_all, word: &str| Event { partition, is_of_all, body: json!(word) };
        events.tell("c", || event(None, false, "of the default partition"));
        events.tell("c", || event(partition.clone(), true, "of all"));
        events.tell("other", || panic!("nobody watches"));
        events.tell("c", || event(partition, false, "of acme"));
        assert_eq!(own.next().await, "of acme");
        assert_eq!(all.next().await, "of the default partition");
        assert_eq!(all.next().await, "of all");
    }
}
