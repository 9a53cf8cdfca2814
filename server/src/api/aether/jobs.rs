//! How is a document inserted in the background, and what became of it?
//!
//! The request is checked like any other insert; the answer is a job's id. What is asked of a job later is its state
//! alone, never content, so it is free of the partition rule; a key that is pinned sees the jobs it began itself.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::insert::intake_of_query;
use crate::call::{Call, With};
use crate::control::{JobState, PartitionHash};
use crate::jobs::{Job, message};
use crate::message::content::{Answer, Octets};
use crate::message::error::ApiError;
use crate::message::json;

/// What a job's id ends with, to its caller, when the insert asks for a summary.
const WITH_SUMMARY: &str = "_summary";

/// An insert that waits for its turn.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "QueuedJob")]
pub(crate) struct Queued {
    job_id: String,
    status: &'static str,
    /// Where to ask what becomes of it, below `/v1`.
    poll_url: String,
}

/// What becomes of an insert.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Job")]
pub(crate) struct Standing {
    job_id: String,
    /// `queued`, `processing`, `completed` or `failed`.
    status: &'static str,
    /// From 0 to 100.
    progress: u32,
    message: String,
    /// Of one that is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    doc_id: Option<String>,
    /// Of one that is completed and asked for a summary: `pending`. The document's summary says what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_state: Option<&'static str>,
    /// Of one that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Of one that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

/// `POST /v1/documents/async`
pub(crate) async fn insert(mut call: With<Octets>) -> Result<Answer<Queued>, ApiError> {
    let (place, mut intake) = (call.place()?, intake_of_query(&call)?);
    let (content, held) = call.body().await?.into_parts();
    intake.content = content;
    let is_to_be_summed_up = !intake.notes.is_empty();
    let app = call.app.clone();
    // The place in the queue comes first: a job is never written down that can't be run.
    let slot = app.jobs.reserve()?;
    let key_id = call.caller()?.key_id().map(str::to_owned);
    let workspace = place.scope.workspace();
    let pool = app.pool.clone();
    let name = place.promise.as_ref().map(|promise| {
        let hasher = app.control.partition_hasher();
        let partition = place.at.partition.as_ref();
        let hash = partition.map(|name| hasher.hash(workspace, &place.at.collection, name));
        promise.name(&[&workspace.0[..], hash.as_ref().map_or(&[][..], PartitionHash::as_bytes)].concat())
    });
    let (id, begins) = pool
        .run(move || match name {
            Some(name) => Ok(app.control.begin_job_once(workspace, key_id.as_deref(), name)?),
            None => Ok((app.control.begin_job(workspace, key_id.as_deref())?, true)),
        })
        .await?;
    if begins {
        slot.send(Job { id: id.clone(), place, intake, held });
    }
    let id = if is_to_be_summed_up { format!("{id}{WITH_SUMMARY}") } else { id };
    json::answer(
        StatusCode::ACCEPTED,
        &Queued { poll_url: format!("/documents/jobs/{id}"), job_id: id, status: "queued" },
    )
}

/// `GET /v1/documents/jobs/{id}`
pub(crate) async fn get(call: Call) -> Result<Answer<Standing>, ApiError> {
    let caller = call.caller()?;
    let own_only = caller.pins().partition.is_some().then(|| caller.key_id().map(str::to_owned));
    let told = call.value(0)?;
    let id = told.strip_suffix(WITH_SUMMARY);
    let is_summed_up = id.is_some();
    let (app, workspace, id) = (call.app.clone(), caller.workspace()?.id, id.unwrap_or(told).to_owned());
    let pool = app.pool.clone();
    let job = pool.run(move || Ok(app.control.job(workspace, &id)?)).await?;
    if own_only.is_some_and(|key_id| key_id != job.key_id) {
        return Err(ApiError::missing("job_not_found", "there is no such job"));
    }
    let status = job.state.word();
    let (progress, text) = match &job.state {
        JobState::Queued => (0, "waiting".to_owned()),
        JobState::Processing => (50, "being read and embedded".to_owned()),
        JobState::Completed { .. } => (100, "stored".to_owned()),
        JobState::Failed { code } => (100, message(code)),
    };
    let (doc_id, error, code) = match job.state {
        JobState::Completed { doc_id } => (Some(doc_id), None, None),
        JobState::Failed { code } => (None, Some(text.clone()), Some(code)),
        JobState::Queued | JobState::Processing => (None, None, None),
    };
    let summary_state = (is_summed_up && doc_id.is_some()).then_some("pending");
    let job_id = call.value(0)?.to_owned();
    json::answer(
        StatusCode::OK,
        &Standing { job_id, status, progress, message: text, doc_id, summary_state, error, code },
    )
}
