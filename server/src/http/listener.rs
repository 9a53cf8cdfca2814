//! How are connections taken, kept within bounds and let go?
//!
//! Serves up to a maximum of connections; hyper reads HTTP/1.1 or HTTP/2 on each, with limits on its header and on
//! how long that may take. A stop takes no more connections and lets those there are finish what they are at.
//!
//! Invariants:
//! 1. Beyond the maximum a connection is told 503 and closed, [`REFUSING_MAX`] at once; beyond that it is closed unheard.
//! 2. A connection that sends no header in time is cut; so is one that idles between requests, or takes no answer.
//! 3. After a stop no new request begins on any connection.
//! 4. What hyper keeps of one connection is bounded: a header's bytes, the windows of HTTP/2 ([`STREAM_BYTES`],
//!    [`CONNECTION_BYTES`], [`SEND_BYTES`] for each answer), and streams that were taken back.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::edge::{self, Peer};
use super::pace::{Pace, Paced};
use super::wire::{Answering, Wire, last_answer};
use crate::log;
use crate::message::body::{Drain, Lingering, Sent};
use crate::message::error::ApiError;
use crate::metrics::Metrics;
use crate::waste::Wait;

/// Connections that are told at once that there is no place for them.
const REFUSING_MAX: usize = 64;
/// How long that may take.
const REFUSING_TIME_MAX: Duration = Duration::from_secs(1);

/// What a peer may send of one body on HTTP/2 before somebody reads it.
const STREAM_BYTES: u32 = 256 << 10;
/// The same, of all bodies on one connection.
const CONNECTION_BYTES: u32 = 1 << 20;
/// What waits of one answer on HTTP/2 for the peer to take it.
const SEND_BYTES: usize = 64 << 10;

/// What a connection may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connections_max: usize,
    pub(crate) header_time_max: Duration,
    pub(crate) header_bytes_max: usize,
    pub(crate) header_fields_max: usize,
    /// How long a peer may take for the next piece of an answer.
    pub(crate) answer_silence_max: Duration,
    /// How long it may have no request open.
    pub(crate) idle_max: Duration,
    /// Requests at once on one HTTP/2 connection.
    pub(crate) streams_max: u32,
    /// Of them, those that it may take back before they were begun.
    pub(crate) resets_max: usize,
}

/// Serves until `stop` is ready, then until all connections are done or `patience` is over.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    metrics: Arc<Metrics>,
    limits: Limits,
    stop: impl Future<Output = ()>,
    patience: Duration,
) {
    let builder = builder(limits);
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let refusing = Arc::new(Semaphore::new(REFUSING_MAX));
    let drain = Drain::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) => {
                // Out of file descriptors, mostly: wait for some connection to end instead of spinning.
                log::warn(&format!("a connection could not be accepted: {error}"));
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        socket.set_nodelay(true).ok();
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            metrics.count_refused_connection();
            if let Ok(place) = refusing.clone().try_acquire_owned() {
                tokio::spawn(async move {
                    // Whether it hears us is the peer's business.
                    tokio::time::timeout(REFUSING_TIME_MAX, refuse(socket)).await.ok();
                    drop(place);
                });
            }
            continue;
        };
        let pace = Pace::new(limits.answer_silence_max, limits.idle_max);
        let connection = connection(
            &builder,
            socket,
            router.clone(),
            metrics.clone(),
            limits,
            pace.clone(),
            drain.clone(),
        );
        let connection = graceful.watch(connection);
        let metrics = metrics.clone();
        tokio::spawn(async move {
            tokio::select! {
                // How a connection ends is the peer's business; our answers were counted at the edge.
                _ = connection => {}
                () = pace.is_over() => metrics.count_cut_connection(),
            }
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(patience, graceful.shutdown()).await.is_err() {
        log::warn("some requests did not finish in time and were cut off");
    }
}

/// Tells a connection that there is no place for it, and lets it read that before it is closed.
async fn refuse(mut socket: TcpStream) -> std::io::Result<()> {
    let busy = ApiError::busy("too_many_connections", "the server has no connection left; try again soon", 1);
    socket.write_all(&last_answer(&busy)).await?;
    socket.shutdown().await?;
    let mut unread = [0; 1024];
    while socket.read(&mut unread).await? > 0 {}
    Ok(())
}

fn builder(limits: Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time_max)
        .max_buf_size(limits.header_bytes_max)
        .max_headers(limits.header_fields_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_pending_accept_reset_streams(limits.resets_max)
        .initial_stream_window_size(STREAM_BYTES)
        .initial_connection_window_size(CONNECTION_BYTES)
        .max_send_buf_size(SEND_BYTES)
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

fn connection(
    builder: &auto::Builder<TokioExecutor>,
    socket: TcpStream,
    router: Router,
    metrics: Arc<Metrics>,
    limits: Limits,
    pace: Arc<Pace>,
    drain: Drain,
) -> impl hyper_util::server::graceful::GracefulConnection + use<> {
    let answering = Arc::new(Answering::default());
    let peer = socket.peer_addr().ok().map(|address| Peer(address.ip().to_canonical()));
    let io =
        TokioIo::new(Wire::new(socket, answering.clone(), limits.header_time_max, limits.answer_silence_max));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (guard, ticket) = (answering.begin(), pace.begin());
        let (router, metrics, drain) = (router.clone(), metrics.clone(), drain.clone());
        async move {
            let (mut head, body) = request.into_parts();
            if let Some(peer) = peer {
                head.extensions.insert(peer);
            }
            let sent = Sent::default();
            let body = Body::new(Lingering::new(body, &head.headers, drain, sent.clone()));
            head.extensions.insert(sent);
            let mut response = edge::answer(router, metrics, Request::from_parts(head, body)).await;
            if let Some(Wait(time)) = response.extensions_mut().remove() {
                sleep(time).await;
            }
            Ok::<_, Infallible>(response.map(|body| Paced::new(body, ticket, guard)))
        }
    });
    builder.serve_connection(io, service).into_owned()
}

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
