//! How is the server itself?

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;
use strongroom_engine::Totals;

use crate::call::Call;
use crate::message::error::ApiError;
use crate::message::json;

/// `GET /status`: with a key, what its workspace holds; without one, nothing of anybody.
pub(crate) async fn status(call: Call) -> Result<Response, ApiError> {
    let Some(caller) = call.optional_caller() else {
        return json::answer(StatusCode::OK, &json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}));
    };
    let (app, scope) = (call.app.clone(), caller.overview()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let totals = scope.map_or(Ok(Totals::default()), |scope| app.store.totals(&scope))?;
        json::answer(
            StatusCode::OK,
            &json!({
                "node_id": 1,
                "documents": totals.counts.documents,
                "vectors": totals.counts.passages,
                "version": env!("CARGO_PKG_VERSION"),
                "status": "ok",
            }),
        )
    })
    .await
}

/// `GET /healthz`
pub(crate) async fn healthz(_call: Call) -> Result<Response, ApiError> {
    json::answer(StatusCode::OK, &json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

/// `GET /readyz`
pub(crate) async fn readyz(call: Call) -> Result<Response, ApiError> {
    if call.app.store.is_poisoned() {
        return Err(ApiError::busy(
            "log_failed",
            "the server's disk failed while writing; the server is ending",
            30,
        ));
    }
    if call.app.is_ready.load(Ordering::Relaxed) {
        return json::answer(
            StatusCode::OK,
            &json!({"status": "ready", "version": env!("CARGO_PKG_VERSION")}),
        );
    }
    Err(ApiError::busy("not_ready", "the server is starting or stopping", 1))
}

/// `GET /metrics`
pub(crate) async fn metrics(call: Call) -> Result<Response, ApiError> {
    let mut response = Response::new(Body::from(call.app.metrics.render()));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    Ok(response)
}

/// `GET /openapi.json`
pub(crate) async fn openapi(call: Call) -> Result<Response, ApiError> {
    let mut response = Response::new(Body::from(call.app.openapi.clone()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
