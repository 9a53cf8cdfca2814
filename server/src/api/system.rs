//! How is the server itself?

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use strongroom_engine::Totals;

use crate::call::Call;
use crate::message::content::{Answer, Text};
use crate::message::error::ApiError;
use crate::message::json;

/// How the server is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Health {
    /// `ok`, or `ready`.
    status: &'static str,
    version: &'static str,
}

const ALIVE: Health = Health { status: "ok", version: env!("CARGO_PKG_VERSION") };

/// How the server is and, with a key, what its workspace holds.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    node_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    documents: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vectors: Option<u64>,
    #[serde(flatten)]
    server: Health,
}

/// A document in OpenAPI's form.
#[derive(Debug, JsonSchema)]
#[schemars(transparent, rename = "OpenApi")]
pub(crate) struct OpenApi(#[allow(dead_code, reason = "it is described, and never made")] Map<String, Value>);

/// `GET /status`: with a key, what its workspace holds; without one, nothing of anybody.
pub(crate) async fn status(call: Call) -> Result<Answer<Status>, ApiError> {
    let Some(caller) = call.optional_caller() else {
        return json::answer(
            StatusCode::OK,
            &Status { node_id: None, documents: None, vectors: None, server: ALIVE },
        );
    };
    let (app, scope) = (call.app.clone(), caller.overview()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let totals = scope.map_or(Ok(Totals::default()), |scope| app.store.totals(&scope))?;
        json::answer(
            StatusCode::OK,
            &Status {
                node_id: Some(1),
                documents: Some(totals.counts.documents),
                vectors: Some(totals.counts.passages),
                server: ALIVE,
            },
        )
    })
    .await
}

/// `GET /healthz`
pub(crate) async fn healthz(_call: Call) -> Result<Answer<Health>, ApiError> {
    json::answer(StatusCode::OK, &ALIVE)
}

/// `GET /readyz`
pub(crate) async fn readyz(call: Call) -> Result<Answer<Health>, ApiError> {
    if call.app.store.is_poisoned() {
        return Err(ApiError::busy(
            "log_failed",
            "the server's disk failed while writing; the server is ending",
            30,
        ));
    }
    if call.app.is_ready.load(Ordering::Relaxed) {
        return json::answer(StatusCode::OK, &Health { status: "ready", ..ALIVE });
    }
    Err(ApiError::busy("not_ready", "the server is starting or stopping", 1))
}

/// `GET /metrics`
pub(crate) async fn metrics(call: Call) -> Result<Answer<Text>, ApiError> {
    let mut response = Response::new(Body::from(call.app.metrics.render()));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    Ok(Answer::of(response))
}

/// `GET /openapi.json`
pub(crate) async fn openapi(call: Call) -> Result<Answer<OpenApi>, ApiError> {
    let mut response = Response::new(Body::from(call.app.openapi.clone()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(Answer::of(response))
}
