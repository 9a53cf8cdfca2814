//! How are connections taken, kept within bounds and let go?
//!
//! Accepts up to a maximum of connections; hyper reads HTTP/1.1 or HTTP/2 on each, with limits on its header and on
//! how long that may take. A stop takes no more connections and lets those there are finish what they are at.
//!
//! Invariants:
//! 1. Beyond the maximum nothing is accepted: the kernel's backlog waits, then refuses.
//! 2. A connection that sends no header in time is cut; so is one that idles that long between requests.
//! 3. After a stop no new request begins on any connection.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::edge::{self, Peer};
use super::wire::{Answering, AnsweringGuard, Wire};
use crate::log;
use crate::message::body::Lingering;
use crate::metrics::Metrics;

/// What a connection may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connections_max: usize,
    pub(crate) header_time_max: Duration,
    pub(crate) header_bytes_max: usize,
    pub(crate) header_fields_max: usize,
    /// Requests at once on one HTTP/2 connection.
    pub(crate) streams_max: u32,
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
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepting = async {
            let slot = slots.clone().acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = &mut stop => break,
            accepted = accepting => accepted,
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) => {
                // Out of file descriptors, mostly: wait for some connection to end instead of spinning.
                log::warn(&format!("a connection could not be accepted: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        socket.set_nodelay(true).ok();
        let connection = connection(&builder, socket, router.clone(), metrics.clone(), limits);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // How a connection ends is the peer's business; our answers were counted at the edge.
            connection.await.ok();
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(patience, graceful.shutdown()).await.is_err() {
        log::warn("some requests did not finish in time and were cut off");
    }
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
) -> impl hyper_util::server::graceful::GracefulConnection + use<> {
    let answering = Arc::new(Answering::default());
    let peer = socket.peer_addr().ok().map(|address| Peer(address.ip().to_canonical()));
    let io = TokioIo::new(Wire::new(socket, answering.clone(), limits.header_time_max));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let guard = answering.begin();
        let (router, metrics) = (router.clone(), metrics.clone());
        async move {
            let (mut head, body) = request.into_parts();
            if let Some(peer) = peer {
                head.extensions.insert(peer);
            }
            let body = Body::new(Lingering::new(body, &head.headers));
            let response = edge::answer(router, metrics, Request::from_parts(head, body)).await;
            Ok::<_, Infallible>(response.map(|body| Guarded { body, _guard: guard }))
        }
    });
    builder.serve_connection(io, service).into_owned()
}

/// A response's body that tells the wire when it has ended.
struct Guarded {
    body: Body,
    _guard: AnsweringGuard,
}

impl hyper::body::Body for Guarded {
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
#[path = "listener_tests.rs"]
mod tests;
