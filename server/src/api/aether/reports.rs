//! What became of what a search found?
//!
//! Whoever searched reports it by the search's id, and it is counted in the usage of the partition that was searched. Nothing is kept of
//! which document it was.
//!
//! Invariants:
//! 1. An id that is forged, old, another workspace's, or of a partition that the key doesn't reach is answered like one that never
//!    was.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_engine::PartitionName;

use crate::auth::{Named, Place, counting};
use crate::call::{Call, With};
use crate::feedback;
use crate::ingest;
use crate::message::content::Answer;
use crate::message::error::{ApiError, no_document};
use crate::message::json;
use crate::usage::{Feedback, Tally};

/// What became of a document that a search found.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SearchFeedback")]
pub(crate) struct Report {
    /// Of the search's answer.
    query_id: String,
    doc_id: String,
    /// `used`, `cited` or `ignored`.
    signal: String,
}

/// It is counted.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SearchFeedbackTaken")]
pub(crate) struct Taken {
    status: &'static str,
}

/// `POST /v1/search/feedback`
pub(crate) async fn report(mut call: With<Report>) -> Result<Answer<Taken>, ApiError> {
    let (Report { query_id, doc_id, signal }, _) = call.json().await?;
    let (done, signal) = counted(&signal)?;
    let scope = counting(call.caller()?.workspace()?.id, None);
    let (store, id) = (call.app.store.clone(), query_id.clone());
    let found = call.app.pool.run(move || feedback::searched(&store, &scope, &id)).await?;
    let place = place(&call, found.ok_or_else(no_query)?.partition.as_ref())?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let found = ingest::read(&app.store, &place, |partition| partition.get(&doc_id))?;
        // A partition that was dropped meanwhile took its searches along.
        found.ok_or_else(no_query)?.ok_or_else(no_document)?;
        if app.feedback.is_new(&query_id, &doc_id, signal) {
            app.usage.count(&place, place.key(), Tally { feedback: done, ..Tally::default() });
            app.metrics.count_feedback(signal);
        }
        json::answer(StatusCode::OK, &Taken { status: "recorded" })
    })
    .await
}

/// What a signal adds to the sums, and what it is called.
fn counted(signal: &str) -> Result<(Feedback, &'static str), ApiError> {
    let none = Feedback::default();
    Ok(match signal {
        "used" => (Feedback { used: 1, ..none }, "used"),
        "cited" => (Feedback { cited: 1, ..none }, "cited"),
        "ignored" => (Feedback { ignored: 1, ..none }, "ignored"),
        _ => return Err(ApiError::malformed("invalid_signal", "signal is used, cited or ignored")),
    })
}

/// The partition that was searched, if the caller reaches it.
fn place(call: &Call, name: Option<&PartitionName>) -> Result<Place, ApiError> {
    let named = Named { collection: None, partition: name.map(PartitionName::as_str) };
    let place = call.caller()?.place(named).map_err(|_| no_query())?;
    // Without a name, a pinned key comes to its own.
    if place.at.partition.as_ref() == name { Ok(place) } else { Err(no_query()) }
}

fn no_query() -> ApiError {
    ApiError::missing(
        "query_not_found",
        "there is no such search, or it is more than a week ago: send the query_id of its answer, unchanged",
    )
}
