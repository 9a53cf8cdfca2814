//! How is a document inserted in the background, and what became of it?
//!
//! The request is checked like any other insert; the answer is a job's id. What is asked of a job later is its state
//! alone, never content, so it is free of the partition rule; a key that is pinned sees the jobs it began itself.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::insert::intake_of_query;
use crate::call::Call;
use crate::control::{JobState, PartitionHash};
use crate::jobs::{Job, message};
use crate::message::error::ApiError;
use crate::message::json;

/// `POST /v1/documents/async`
pub(crate) async fn insert(mut call: Call) -> Result<Response, ApiError> {
    let (place, mut intake) = (call.place()?, intake_of_query(&call)?);
    let (content, held) = call.body().await?.into_parts();
    intake.content = content;
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
    json::answer(
        StatusCode::ACCEPTED,
        &json!({"job_id": id, "status": "queued", "poll_url": format!("/documents/jobs/{id}")}),
    )
}

/// `GET /v1/documents/jobs/{id}`
pub(crate) async fn get(call: Call) -> Result<Response, ApiError> {
    let caller = call.caller()?;
    let own_only = caller.pins().partition.is_some().then(|| caller.key_id().map(str::to_owned));
    let (app, workspace, id) = (call.app.clone(), caller.workspace()?.id, call.value(0)?.to_owned());
    let pool = app.pool.clone();
    let job = pool.run(move || Ok(app.control.job(workspace, &id)?)).await?;
    if own_only.is_some_and(|key_id| key_id != job.key_id) {
        return Err(ApiError::missing("job_not_found", "there is no such job"));
    }
    let mut answer = json!({"job_id": job.id, "status": job.state.word()});
    let (progress, text) = match &job.state {
        JobState::Queued => (0, "waiting".to_owned()),
        JobState::Processing => (50, "being read and embedded".to_owned()),
        JobState::Completed { .. } => (100, "stored".to_owned()),
        JobState::Failed { code } => (100, message(code)),
    };
    answer["progress"] = json!(progress);
    answer["message"] = json!(text);
    match job.state {
        JobState::Completed { doc_id } => answer["doc_id"] = json!(doc_id),
        JobState::Failed { code } => {
            answer["error"] = json!(text);
            answer["code"] = json!(code);
        }
        JobState::Queued | JobState::Processing => {}
    }
    json::answer(StatusCode::OK, &answer)
}
