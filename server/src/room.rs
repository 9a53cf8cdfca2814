//! How much memory may answers take that their readers haven't read yet?
//!
//! An answer is made whole and waits in memory until its reader has taken it. A thousand readers that take nothing would
//! fill the memory with their answers, so large ones are counted against a room that all share, and what finds none is
//! answered 503 instead.
//!
//! Invariants:
//! 1. Large answers that wait hold at most the room together.
//! 2. A tenant gets one large answer whenever it fits, and more of them only up to a quarter of what is left (the rule of
//!    Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998): readers who take
//!    nothing fill their own tenant's part, and another tenant still finds three quarters of the room or more.
//! 3. An answer of at most [`SMALL_BYTES`] takes no room: how many of those there are, the connections bound.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

use crate::message::error::ApiError;
use crate::pool::Tenant;

const SMALL_BYTES: u64 = 64 << 10;

/// The room, shared by all answers.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Mutex<Taken>>);

#[derive(Debug)]
struct Taken {
    all_bytes: u64,
    free_bytes: u64,
    by: HashMap<Tenant, u64>,
}

/// What one answer takes, until it goes.
#[derive(Debug)]
pub(crate) struct Part {
    room: Room,
    tenant: Tenant,
    bytes: u64,
}

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        let bytes = bytes as u64;
        Self(Arc::new(Mutex::new(Taken { all_bytes: bytes, free_bytes: bytes, by: HashMap::new() })))
    }

    /// Has an answer take its part of the room, unless its handler did before it read what is in it, or be replaced by a
    /// 503. What streams has no size, and keeps little.
    pub(crate) fn hold(&self, tenant: Tenant, mut response: Response) -> Result<Response, ApiError> {
        let part = match response.extensions_mut().remove::<Arc<Part>>() {
            Some(part) => part,
            None => {
                let bytes = response.body().size_hint().exact().unwrap_or(0);
                let Some(part) = self.reserve(tenant, bytes)? else { return Ok(response) };
                Arc::new(part)
            }
        };
        Ok(response.map(|body| Body::new(Held { body, _part: part })))
    }

    /// Takes room for so many bytes; none for a few.
    pub(crate) fn reserve(&self, tenant: Tenant, bytes: u64) -> Result<Option<Part>, ApiError> {
        if bytes <= SMALL_BYTES {
            return Ok(None);
        }
        self.take(tenant, bytes).map(Some).ok_or_else(|| {
            ApiError::busy(
                "overloaded",
                "too many large answers wait for their readers; read those that were asked for, then try again",
                2,
            )
        })
    }

    fn take(&self, tenant: Tenant, bytes: u64) -> Option<Part> {
        let mut taken = self.lock();
        // What is larger than the room gets all of it.
        let bytes = bytes.min(taken.all_bytes);
        let own = taken.by.get(&tenant).copied().unwrap_or(0);
        let is_first = own == 0 && bytes <= taken.free_bytes;
        if !is_first && own.saturating_add(bytes) > taken.free_bytes / 4 {
            return None;
        }
        taken.free_bytes -= bytes;
        *taken.by.entry(tenant).or_default() += bytes;
        Some(Part { room: self.clone(), tenant, bytes })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut taken = self.room.lock();
        taken.free_bytes += self.bytes;
        if let Some(own) = taken.by.get_mut(&self.tenant) {
            *own -= self.bytes;
            if *own == 0 {
                taken.by.remove(&self.tenant);
            }
        }
    }
}

/// A body that takes room.
struct Held {
    body: Body,
    _part: Arc<Part>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn answer(bytes: usize) -> Response {
        Response::new(Body::from(vec![0; bytes]))
    }

    /// Lost otherwise: one tenant's idle readers would fill the server's memory, or keep every other tenant from its files.
    #[test]
    fn one_tenants_readers_leave_room_for_the_others() {
        let room = Room::new(100 * MIB);
        let [greedy, other] = [1, 2].map(Tenant::of_test);
        let held: Vec<_> = (0..1000).map_while(|_| room.hold(greedy, answer(MIB)).ok()).collect();
        assert_eq!(held.len(), 20, "a fifth of all is a quarter of what is left");
        assert_eq!(room.hold(greedy, answer(MIB)).unwrap_err().status.as_u16(), 503);
        let whole = room.hold(other, answer(80 * MIB)).unwrap();
        assert!(room.hold(Tenant::of_test(3), answer(MIB)).is_err(), "there is nothing left");
        assert!(room.hold(greedy, answer(1000)).is_ok(), "small ones are free");
        drop((held, whole));
        assert_eq!(room.lock().free_bytes, 100 * MIB as u64);
        assert!(room.lock().by.is_empty());
        let _largest = room.hold(greedy, answer(101 * MIB)).unwrap();
        assert!(room.hold(other, answer(MIB)).is_err(), "what is larger than the room takes all of it");
    }
}
