//! Does a connection get anywhere, or does its peer only keep it open?
//!
//! Each connection has a watch. It counts the requests that are open, and knows of each answer whether its next piece
//! waits for us or for a peer who doesn't take the last one. HTTP/2 needs this more than HTTP/1: there a peer can give
//! an answer no window and keep the connection alive by answering pings, so nothing on the socket ever stalls.
//!
//! Invariants:
//! 1. An answer is handed out in pieces of at most [`PIECE_BYTES`], each asked for by whoever writes to the socket.
//! 2. The last piece holds what the whole answer holds: memory that is counted for it stays counted until that piece
//!    is written or its stream is gone.
//! 3. A peer that takes no piece for `silence_max`, or has no request open for `idle_max`, loses its connection.
//!
//! Concurrency: one task drives the connection and its watch; pieces are dropped wherever hyper drops them.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

/// How much of an answer is handed out at once.
const PIECE_BYTES: usize = 16 << 10;

/// What is going on on one connection.
#[derive(Debug)]
pub(super) struct Pace {
    silence_max: Duration,
    idle_max: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    requests: usize,
    idle_since: Instant,
    /// Since when the peer has been owed nothing by us: by answer, those whose last piece it hasn't taken yet.
    handed: HashMap<u64, Instant>,
    next: u64,
}

impl Pace {
    pub(super) fn new(silence_max: Duration, idle_max: Duration) -> Arc<Self> {
        let state = State { requests: 0, idle_since: Instant::now(), handed: HashMap::new(), next: 0 };
        Arc::new(Self { silence_max, idle_max, state: Mutex::new(state) })
    }

    /// A request has begun; it lasts until its ticket goes.
    pub(super) fn begin(self: &Arc<Self>) -> Ticket {
        let mut state = self.lock();
        state.requests += 1;
        state.next += 1;
        Ticket { number: state.next, pace: self.clone() }
    }

    /// Ready once the peer has kept the connection for too long without a use.
    pub(super) async fn is_over(&self) {
        // No clock that starts while this sleeps can run out before it wakes.
        let nap = self.silence_max.min(self.idle_max);
        loop {
            let now = Instant::now();
            let end = self.end();
            if end.is_some_and(|end| end <= now) {
                return;
            }
            sleep_until(end.map_or(now + nap, |end| end.min(now + nap))).await;
        }
    }

    /// When it is over, if the peer goes on as it does.
    fn end(&self) -> Option<Instant> {
        let state = self.lock();
        let idle = (state.requests == 0).then(|| state.idle_since + self.idle_max);
        let silent = state.handed.values().min().map(|since| *since + self.silence_max);
        idle.into_iter().chain(silent).min()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request of a connection, until nothing of its answer is left.
#[derive(Debug)]
pub(super) struct Ticket {
    number: u64,
    pace: Arc<Pace>,
}

impl Ticket {
    fn handed_out(&self) {
        self.pace.lock().handed.insert(self.number, Instant::now());
    }

    fn taken(&self) {
        self.pace.lock().handed.remove(&self.number);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.pace.lock();
        state.handed.remove(&self.number);
        state.requests -= 1;
        state.idle_since = Instant::now();
    }
}

/// An answer's body, piece by piece.
pub(super) struct Paced<G> {
    /// `None` once the last piece is out.
    held: Option<(Body, Ticket)>,
    piece: Bytes,
    /// Goes when hyper has all of it.
    _guard: G,
}

impl<G: Unpin> Paced<G> {
    pub(super) fn new(body: Body, ticket: Ticket, guard: G) -> Self {
        Self { held: Some((body, ticket)), piece: Bytes::new(), _guard: guard }
    }
}

/// The last piece of an answer, and what is let go with it.
struct Last {
    piece: Bytes,
    _held: (Body, Ticket),
}

impl AsRef<[u8]> for Last {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

impl<G: Unpin> hyper::body::Body for Paced<G> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some((body, ticket)) = &mut this.held else { return Poll::Ready(None) };
        ticket.taken();
        if this.piece.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(cx)) else {
                this.held = None;
                return Poll::Ready(None);
            };
            this.piece = match frame.map(Frame::into_data) {
                Ok(Ok(data)) => data,
                // Trailers, which none of our answers has.
                Ok(Err(other)) => return Poll::Ready(Some(Ok(other))),
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
        }
        let piece = this.piece.split_to(this.piece.len().min(PIECE_BYTES));
        ticket.handed_out();
        if this.piece.is_empty()
            && hyper::body::Body::is_end_stream(body)
            && let Some(held) = this.held.take()
        {
            let last = Bytes::from_owner(Last { piece, _held: held });
            return Poll::Ready(Some(Ok(Frame::data(last))));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.held.as_ref().is_none_or(|(body, _)| self.piece.is_empty() && body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let Some((body, _)) = &self.held else { return SizeHint::with_exact(0) };
        let (rest, mut hint) = (self.piece.len() as u64, body.size_hint());
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    const SILENCE: Duration = Duration::from_secs(30);
    const IDLE: Duration = Duration::from_secs(90);

    async fn pieces(body: &mut Paced<()>) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            pieces.push(frame.unwrap().into_data().unwrap());
        }
        pieces
    }

    /// Lost otherwise: an answer would come back short, or the memory that it takes be given away while it lies there.
    #[tokio::test]
    async fn an_answer_is_handed_out_whole_and_held_to_its_last_piece() {
        let pace = Pace::new(SILENCE, IDLE);
        for length in [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 5 * PIECE_BYTES - 7] {
            let whole: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut body = Paced::new(Body::from(whole.clone()), pace.begin(), ());
            assert_eq!(hyper::body::Body::size_hint(&body).exact(), Some(length as u64));
            let pieces = pieces(&mut body).await;
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES));
            assert_eq!(pieces.concat(), whole);
            let open = usize::from(length > 0);
            assert_eq!(pace.lock().requests, open, "of {length} bytes");
            drop((pieces, body));
            assert_eq!(pace.lock().requests, 0);
        }
    }

    /// Lost otherwise: a peer that never takes its answer would keep the answer's memory for as long as it likes.
    #[tokio::test]
    async fn who_takes_nothing_is_over_and_who_waits_for_us_is_not() {
        let pace = Pace::new(SILENCE, IDLE);
        let idle = pace.end().unwrap();
        let ticket = pace.begin();
        assert_eq!(pace.end(), None, "we are at work");
        let mut body = Paced::new(Body::from(vec![0; 3 * PIECE_BYTES]), ticket, ());
        let mut ends = vec![idle - IDLE + SILENCE];
        for _ in 0..3 {
            drop(body.frame().await.unwrap().unwrap());
            ends.push(pace.end().unwrap_or(idle + IDLE));
        }
        assert!(ends.is_sorted(), "each piece that is taken begins the wait anew: {ends:?}");
        drop(body);
        assert!(pace.end().unwrap() >= idle, "nothing is open");

        let hasty = Pace::new(Duration::from_millis(20), Duration::from_millis(60));
        let mut body = Paced::new(Body::from(vec![0; 10]), hasty.begin(), ());
        let last = body.frame().await.unwrap().unwrap();
        drop(body);
        let begun = Instant::now();
        hasty.is_over().await;
        assert!(hasty.lock().requests == 1, "the last piece is still there");
        drop(last);
        hasty.is_over().await;
        assert!(begun.elapsed() >= Duration::from_millis(60));
    }
}
