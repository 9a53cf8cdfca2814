//! How does work that blocks leave the reactor, and whose turn is it?
//!
//! All calls of the engine, of SQLite and of the embedding model go through here onto threads of their own. So many
//! run at once, so many wait, and what comes beyond is refused at once: an overloaded server that answers 503 recovers,
//! one that queues without bound does not.
//!
//! What waits, waits in a queue for each tenant: a partition, or a workspace where no partition is decided. Threads go round
//! the queues, one call from each; and while several tenants have calls, none holds more threads than its share of them, so
//! that long calls buy nobody more of the processor than short ones.
//!
//! Invariants:
//! 1. At most `running_max` calls run and at most `waiting_max` wait.
//! 2. A call that was begun runs to its end, even when its client has gone.
//! 3. When no place is left to wait in, a tenant with fewer calls waiting than another gets the place of the other's last one:
//!    one tenant's flood fills the queue for itself alone.
//! 4. While a thread is free and a tenant below its share waits, that tenant's next call begins.

mod turns;

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use strongroom_engine::{PartitionRef, WorkspaceId};
use tokio::sync::oneshot;

use crate::message::error::ApiError;
use turns::{Place, Turns};

/// Whose work it is, as far as that matters for whose turn it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Tenant(u64);

static HASHES: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Tenant {
    /// One that acts on a workspace as a whole.
    pub(crate) fn workspace(id: WorkspaceId) -> Self {
        Self(HASHES.hash_one(id))
    }

    /// One that acts on a partition.
    pub(crate) fn partition(id: WorkspaceId, at: &PartitionRef) -> Self {
        Self(HASHES.hash_one((id, &at.collection, &at.partition)))
    }

    #[cfg(test)]
    pub(crate) fn of_test(number: u64) -> Self {
        Self(number)
    }
}

tokio::task_local! {
    static TENANT: Cell<Tenant>;
}

/// Runs a request, whose calls wait as the server's own until [`now_for`] says whose they are.
pub(crate) async fn with_tenant<F: Future>(request: F) -> F::Output {
    TENANT.scope(Cell::default(), request).await
}

/// Says for whom this request's calls are from now on.
pub(crate) fn now_for(tenant: Tenant) {
    // Outside of a request there is nobody to tell.
    TENANT.try_with(|current| current.set(tenant)).ok();
}

/// For whom [`now_for`] said last that this request works.
pub(crate) fn current() -> Tenant {
    TENANT.try_with(Cell::get).unwrap_or_default()
}

/// Threads for what blocks.
#[derive(Clone)]
pub(crate) struct Pool {
    turns: Arc<Mutex<Turns<oneshot::Sender<Permit>>>>,
}

/// The right to run, given back when it goes.
pub(crate) struct Permit {
    /// `None` once it was given back.
    turns: Option<Arc<Mutex<Turns<oneshot::Sender<Permit>>>>>,
    tenant: Tenant,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(turns) = self.turns.take() {
            lock(&turns).end(self.tenant);
            serve(&turns);
        }
    }
}

fn lock<T>(turns: &Mutex<T>) -> MutexGuard<'_, T> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives what is free to those whose turn it is. Some may have gone meanwhile: what they were given comes back.
fn serve(turns: &Arc<Mutex<Turns<oneshot::Sender<Permit>>>>) {
    loop {
        // The lock is let go before a permit that nobody wants is dropped, which takes it again.
        let next = lock(turns).next();
        let Some((tenant, waiter)) = next else { return };
        let permit = Permit { turns: Some(turns.clone()), tenant };
        if let Err(mut unwanted) = waiter.send(permit) {
            // Given back here and not by its drop, which would come back to this place for each of a thousand.
            unwanted.turns = None;
            lock(turns).end(tenant);
        }
    }
}

impl Pool {
    pub(crate) fn new(running_max: usize, waiting_max: usize) -> Self {
        Self { turns: Arc::new(Mutex::new(Turns::new(running_max, waiting_max))) }
    }

    /// Runs a call that may fail on a thread of its own, for whom [`now_for`] said last in this request.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, ApiError> + Send + 'static,
    {
        self.run_for(current(), work).await
    }

    /// The same, for this tenant.
    pub(crate) async fn run_for<T, F>(&self, tenant: Tenant, work: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, ApiError> + Send + 'static,
    {
        let permit = self.permit(tenant).await?;
        let done = tokio::task::spawn_blocking(move || {
            let outcome = work();
            drop(permit);
            outcome
        });
        done.await
            .unwrap_or_else(|_| Err(ApiError::internal("blocking work panicked; the line before says where")))
    }

    /// Waits for the right to run what blocks no thread, for whom [`now_for`] said last in this request.
    pub(crate) async fn turn(&self) -> Result<Permit, ApiError> {
        self.permit(TENANT.try_with(Cell::get).unwrap_or_default()).await
    }

    async fn permit(&self, tenant: Tenant) -> Result<Permit, ApiError> {
        let (give, given) = oneshot::channel();
        let place = lock(&self.turns).wait(tenant, give, oneshot::Sender::is_closed);
        match place {
            Place::Refused => return Err(overloaded()),
            // Its sender goes, and with it the wait of whoever had the place.
            Place::Taken(from) => drop(from),
            Place::Free => {}
        }
        serve(&self.turns);
        given.await.map_err(|_| overloaded())
    }
}

fn overloaded() -> ApiError {
    ApiError::busy("overloaded", "the server is overloaded; try again in a moment", 1)
}

#[cfg(test)]
mod tests;
