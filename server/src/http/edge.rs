//! What does every answer have, whatever happened on the way to it?
//!
//! The outermost shell around the router: it gives the request its id, catches panics, renders failures in the shape
//! of the route's client and counts the answer. Unknown paths and wrong methods pass here like everything else.
//!
//! Invariants:
//! 1. Every answer carries `x-request-id`, made here; a caller's own header of that name is not believed.
//! 2. A panic ends one request, never the server.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use tower::ServiceExt;

use crate::message::error::{ApiError, Dialect, render};
use crate::metrics::Metrics;
use crate::quota::Standing;
use crate::waste::Wait;
use crate::{log, random, statement};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The template of the route that answered, left on the response for the metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Template(pub(crate) &'static str);

/// Where the request's connection came from, left on the request by whoever accepted it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The request's id, left on the request for those who write down what it did.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// A request's id: unguessable, so that it can't be taken for another's.
pub(crate) fn new_request_id() -> String {
    random::hex(&random::bytes::<16>())
}

/// Answers a request.
pub(crate) async fn answer(router: Router, metrics: Arc<Metrics>, mut request: Request) -> Response {
    let begun = Instant::now();
    let _in_flight = metrics.begin();
    let request_id = new_request_id();
    let usual = Dialect::of(request.uri().path());
    request.extensions_mut().insert(RequestId(request_id.clone()));
    let mut response = match unpanicking(router.oneshot(request)).await {
        Some(Ok(response)) => response,
        Some(Err(never)) => match never {},
        None => ApiError::internal("the handler panicked; the line before says where").unrendered(),
    };
    let template = response.extensions().get::<Template>().map_or("unmatched", |template| template.0);
    let standing = response.extensions_mut().remove::<Standing>();
    let wait = response.extensions_mut().remove::<Wait>();
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        if let Some(cause) = &error.cause {
            log::error(&format!("request {request_id} on {template}: {cause}"));
        }
        let said = [header::ALLOW, statement::HEADER]
            .map(|name| response.headers_mut().remove(&name).map(|value| (name, value)));
        let dialect = response.extensions().get::<Dialect>().copied();
        response = render(dialect.unwrap_or(usual), &error, &request_id);
        response.headers_mut().extend(said.into_iter().flatten());
    }
    if let Some(wait) = wait {
        response.extensions_mut().insert(wait);
    }
    if let Some(Standing { limit, remaining, reset_seconds }) = standing {
        let headers = response.headers_mut();
        headers.insert("x-ratelimit-limit", HeaderValue::from(limit));
        headers.insert("x-ratelimit-remaining", HeaderValue::from(remaining));
        headers.insert("x-ratelimit-reset", HeaderValue::from(reset_seconds));
    }
    metrics.count(template, response.status(), begun.elapsed());
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The future's outcome, or `None` when it panicked.
async fn unpanicking<F>(future: F) -> Option<F::Output>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Ready(outcome)) => Poll::Ready(Some(outcome)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use http_body_util::BodyExt;

    use super::*;

    async fn body_of(router: Router, path: &str) -> (Response<()>, serde_json::Value) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let (head, body) = answer(router, Arc::new(Metrics::new()), request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (Response::from_parts(head, ()), serde_json::from_slice(&bytes).unwrap())
    }

    /// Lost otherwise: one request that meets a bug would take every tenant's service down.
    #[tokio::test]
    async fn a_panic_is_answered_in_shape() {
        async fn fail() -> Response {
            panic!("a tenant's words")
        }
        let (head, body) = body_of(Router::new().route("/v1/documents", get(fail)), "/v1/documents").await;
        assert_eq!(head.status(), 500);
        assert_eq!(body["code"], "internal");
        assert_eq!(body["request_id"], head.headers()["x-request-id"].to_str().unwrap());
        assert!(!body.to_string().contains("words"));
    }

    /// Lost otherwise: a support request could not be matched with the server's log.
    #[tokio::test]
    async fn ids_are_ours_and_differ() {
        async fn fail() -> Response {
            ApiError::missing("nothing", "nothing").unrendered()
        }
        let router = Router::new().fallback(get(fail));
        let (first, _) = body_of(router.clone(), "/v1/admin/x").await;
        let (second, body) = body_of(router, "/v1/admin/x").await;
        assert_ne!(first.headers()["x-request-id"], second.headers()["x-request-id"]);
        assert_eq!(body["error"]["code"], "nothing");
    }
}
