//! How does a client watch a collection?
//!
//! As server-sent events, until the client or the server goes. Browsers can't send a header with these, so a key buys a token
//! that is good for a minute, for one collection and for what the key could see of it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::call::Call;
use crate::control::no_collection;
use crate::events::TICKET_LIFE;
use crate::message::content::{Answer, Events};
use crate::message::error::ApiError;
use crate::message::json;

/// How often a stop of the server is looked for, and a silent connection is given a sign of life.
const LOOK: Duration = Duration::from_secs(1);
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// A token for the events.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EventsToken")]
pub(crate) struct Token {
    token: String,
    /// In seconds.
    expires_in: u64,
}

/// `POST /v1/collections/{name}/events/token`
pub(crate) async fn token(call: Call) -> Result<Answer<Token>, ApiError> {
    let (collection, scope) = super::collections::seen(&call)?;
    let token = call.app.events.ticket(&collection.id, scope.ok_or_else(no_collection)?)?;
    json::answer(StatusCode::OK, &Token { token, expires_in: TICKET_LIFE.as_secs() })
}

/// `GET /v1/collections/{name}/events`
pub(crate) async fn stream(call: Call) -> Result<Answer<Events>, ApiError> {
    let app = call.app.clone();
    let mut watch = match call.query.get("token") {
        Some(token) => {
            let dead = || {
                ApiError::unauthenticated(
                    "invalid_token",
                    "this token was used or is more than a minute old; ask for another",
                )
            };
            let ticket = app.events.redeem(token).ok_or_else(dead)?;
            let named = app.control.collection(ticket.scope.workspace(), call.value(0)?);
            if named.is_none_or(|collection| collection.id != ticket.collection_id) {
                return Err(dead());
            }
            app.events.watch(&ticket.collection_id, ticket.scope)?
        }
        None => {
            let (collection, scope) = super::collections::seen(&call)?;
            app.events.watch(&collection.id, scope.ok_or_else(no_collection)?)?
        }
    };
    let (send, receive) = mpsc::channel::<Bytes>(16);
    tokio::spawn(async move {
        let mut silent_since = Instant::now();
        while app.is_ready.load(Ordering::Relaxed) && !send.is_closed() {
            let frame = match timeout(LOOK, watch.next()).await {
                Ok(event) => format!("event: progress\ndata: {event}\n\n"),
                Err(_) if silent_since.elapsed() < SIGN_OF_LIFE => continue,
                Err(_) => ": still here\n\n".to_owned(),
            };
            silent_since = Instant::now();
            if send.send(frame.into()).await.is_err() {
                return;
            }
        }
    });
    let mut response = Response::new(Body::new(Frames(receive)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(Answer::of(response))
}

/// A body that ends when nobody sends any more.
struct Frames(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
