//! Which erasures were done, and what proves them?
//!
//! The receipts that the engine signed: of dropped partitions, of workspaces, of purged documents. They name nobody, so a
//! key that reaches the whole workspace may read all of them; they outlive their workspace, for the operator.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use crate::call::Call;
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::random;
use crate::receipt::Told;

const LIST_LIMIT: u64 = 100;
const LIST_LIMIT_MAX: u64 = 1000;

/// Receipts, in the order in which they were signed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Receipts")]
pub(crate) struct List {
    receipts: Vec<Told>,
    /// Whether there are more after the last of these.
    has_more: bool,
}

/// `GET /v1/receipts`
pub(crate) async fn list(call: Call) -> Result<Answer<List>, ApiError> {
    let limit = call.query.number("limit", 1..=LIST_LIMIT_MAX)?.unwrap_or(LIST_LIMIT);
    let after = call.query.get("after").map(|id| {
        random::parse_hex::<16>(id).ok_or_else(|| {
            ApiError::malformed("invalid_parameter", "after must be a receipt's id: 32 hexadecimal digits")
        })
    });
    let (after, scope) = (after.transpose()?, call.caller()?.reach_of_the_past()?);
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        // One more than is shown tells whether there are more.
        let mut found = app.store.receipts(&scope, after, most + 1)?;
        let has_more = found.len() > most;
        found.truncate(most);
        let receipts = found.iter().map(Told::of).collect();
        json::answer(StatusCode::OK, &List { receipts, has_more })
    })
    .await
}

/// `GET /v1/receipts/{id}`
pub(crate) async fn get(call: Call) -> Result<Answer<Told>, ApiError> {
    let missing = || ApiError::missing("receipt_not_found", "there is no such receipt in this workspace");
    let scope = call.caller()?.reach_of_the_past()?;
    let id = random::parse_hex::<16>(call.value(0)?).ok_or_else(missing)?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let found = app.store.receipt(&scope, id)?.ok_or_else(missing)?;
        json::answer(StatusCode::OK, &Told::of(&found))
    })
    .await
}
