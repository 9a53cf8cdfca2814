//! How is an answer given that is too large to be held?
//!
//! Page by page: the next one is made when the reader has taken the one before. When one can't be made the connection is cut, so
//! that nobody takes a part for the whole.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc;

/// The answer can't be finished.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off; the server's log says why")]
pub(crate) struct Cut;

/// Where the pages of an answer are handed over.
pub(crate) type Sender = mpsc::Sender<Result<Bytes, Cut>>;

/// A body whose pages come from elsewhere.
pub(crate) fn body() -> (Sender, Body) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Body::new(Pages(receiver)))
}

/// A body that comes page by page.
struct Pages(mpsc::Receiver<Result<Bytes, Cut>>);

impl hyper::body::Body for Pages {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.0.poll_recv(cx).map(|page| page.map(|page| page.map(Frame::data)))
    }
}
