//! How is a collection embedded anew, when its model or the size of its passages is not what it was?

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::collections::whole;
use crate::call::Call;
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::reembedding;

/// Work that has begun, or is done.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Progress")]
pub(crate) struct Begun {
    /// `queued`, or `ready` when it is done.
    pub(super) status: &'static str,
    pub(super) message: &'static str,
}

/// `POST /v1/collections/{name}/reembed`
pub(crate) async fn begin(call: Call) -> Result<Answer<Begun>, ApiError> {
    let (collection, _) = whole(&call)?;
    let app = call.app.clone();
    // What can't be embedded at all is said now.
    app.models.of(&app.store, &collection)?;
    let (marking, by) = (app.clone(), call.by()?);
    let marked = app.pool.run(move || reembedding::begin(&marking.control, &collection, by)).await?;
    tokio::spawn(reembedding::run(app, marked));
    json::answer(
        StatusCode::ACCEPTED,
        &Begun {
            status: "queued",
            message: "searches go on meanwhile; the collection's events tell how far it is",
        },
    )
}
