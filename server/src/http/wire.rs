//! What passes between a socket and hyper?
//!
//! Three things that hyper offers no hook for: its own answer to a request that can't be parsed, which would carry
//! neither a request id nor our error shape; a peer that connects and sends nothing, on which no clock of hyper's runs
//! before it knows the protocol; and a peer that stops reading its answer.
//!
//! Invariants:
//! 1. Bytes are replaced only while no request of ours is being answered: then whatever hyper writes that begins with
//!    a status line of 4xx or 5xx is its own answer, after which it closes.
//! 2. hyper flushes the socket only once its own buffer is empty, so "flushed after our body ended" means that
//!    nothing of our answer is still on the way.
//! 3. A write that makes no progress for `stall_max` ends the connection, and so does silence before the first
//!    [`PREFACE_BYTES`].
//!
//! Concurrency: one task drives a connection; the state is shared with the requests it spawned, hence the atomics.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::StatusCode;
use http_body_util::BodyExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::edge::new_request_id;
use crate::message::error::{ApiError, Dialect, render};

/// What hyper may want to see before it knows HTTP/1 from HTTP/2.
const PREFACE_BYTES: usize = 24;

/// Whether a request of ours is being answered on this connection.
#[derive(Debug, Default)]
pub(super) struct Answering {
    begun: AtomicBool,
    body_ended: AtomicBool,
}

impl Answering {
    /// A request reached the service. The guard goes with the end of the response's body.
    pub(super) fn begin(self: &Arc<Self>) -> AnsweringGuard {
        self.body_ended.store(false, Ordering::SeqCst);
        self.begun.store(true, Ordering::SeqCst);
        AnsweringGuard(self.clone())
    }

    fn flushed(&self) {
        if self.body_ended.load(Ordering::SeqCst) {
            self.begun.store(false, Ordering::SeqCst);
        }
    }

    fn is_idle(&self) -> bool {
        !self.begun.load(Ordering::SeqCst)
    }
}

/// Held by a response's body.
pub(super) struct AnsweringGuard(Arc<Answering>);

impl Drop for AnsweringGuard {
    fn drop(&mut self) {
        self.0.body_ended.store(true, Ordering::SeqCst);
    }
}

/// A socket as hyper sees it.
pub(super) struct Wire<S> {
    socket: S,
    answering: Arc<Answering>,
    /// Our answer in place of hyper's, as far as it isn't written yet.
    instead: Vec<u8>,
    stalled: Option<Pin<Box<Sleep>>>,
    stall_max: Duration,
    received_bytes: usize,
    silent: Pin<Box<Sleep>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// `silence_max` is how long a peer may take for its first bytes, `stall_max` how long to take ours.
    pub(super) fn new(
        socket: S,
        answering: Arc<Answering>,
        silence_max: Duration,
        stall_max: Duration,
    ) -> Self {
        let silent = Box::pin(sleep(silence_max));
        Self { socket, answering, instead: Vec::new(), stalled: None, stall_max, received_bytes: 0, silent }
    }

    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.instead))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.instead.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Starts the clock of a write that has to wait, or ends the connection when it has run out.
    fn watch<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stall_max = self.stall_max;
        let clock = self.stalled.get_or_insert_with(|| Box::pin(sleep(stall_max)));
        if clock.as_mut().poll(cx).is_ready() || clock.deadline() <= Instant::now() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let outcome = Pin::new(&mut this.socket).poll_read(cx, buf);
        this.received_bytes = this.received_bytes.saturating_add(buf.filled().len() - before);
        let is_silent =
            outcome.is_pending() && this.received_bytes < PREFACE_BYTES && this.answering.is_idle();
        if is_silent && this.silent.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        outcome
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_empty()
            && this.answering.is_idle()
            && let Some(status) = own_answer_of_hyper(buf)
        {
            this.instead = malformed(status);
            return Poll::Ready(Ok(buf.len()));
        }
        let outcome = match this.poll_instead(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.socket).poll_write(cx, buf),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        this.watch(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        // hyper's own answer is short and comes in one piece.
        if this.answering.is_idle() || !this.instead.is_empty() {
            let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
            return self.poll_write(cx, first);
        }
        let outcome = Pin::new(&mut this.socket).poll_write_vectored(cx, bufs);
        this.watch(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        self.answering.flushed();
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// The status, when these bytes begin an HTTP/1 answer with an error.
fn own_answer_of_hyper(bytes: &[u8]) -> Option<StatusCode> {
    let rest = bytes.strip_prefix(b"HTTP/1.1 ").or_else(|| bytes.strip_prefix(b"HTTP/1.0 "))?;
    let status = StatusCode::from_bytes(rest.get(..3)?).ok()?;
    (status.is_client_error() || status.is_server_error()).then_some(status)
}

/// What is answered to bytes that are no request.
fn malformed(status: StatusCode) -> Vec<u8> {
    let text = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "the request's header is too large or has too many fields"
        }
        StatusCode::URI_TOO_LONG => "the request's address is too long; send long values in a JSON body",
        StatusCode::REQUEST_TIMEOUT => "the request's header came too slowly",
        _ => "this is not a valid HTTP request",
    };
    let code = if status == StatusCode::BAD_REQUEST { "malformed_request" } else { "refused_request" };
    last_answer(&ApiError::new(status, code, text))
}

/// An answer in bytes, after which the connection is closed.
pub(super) fn last_answer(error: &ApiError) -> Vec<u8> {
    let request_id = new_request_id();
    let body = ready_bytes(render(Dialect::Aether, error, &request_id));
    let retry =
        error.retry_after_seconds.map_or_else(String::new, |after| format!("retry-after: {after}\r\n"));
    let head = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-request-id: {request_id}\r\n\
         {retry}connection: close\r\n\r\n",
        error.status.as_str(),
        error.status.canonical_reason().unwrap_or("Error"),
        body.len(),
    );
    [head.into_bytes(), body].concat()
}

/// The bytes of a body that is in memory already, so that collecting it never waits.
fn ready_bytes(response: axum::response::Response) -> Vec<u8> {
    let mut collecting = std::pin::pin!(response.into_body().collect());
    match collecting.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())) {
        Poll::Ready(Ok(body)) => body.to_bytes().to_vec(),
        Poll::Ready(Err(_)) | Poll::Pending => Vec::new(),
    }
}
