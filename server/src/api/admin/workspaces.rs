//! How are workspaces made, listed and deleted?
//!
//! Made and deleted with the operator's key alone. Any other key sees the one workspace that it belongs to; another's
//! looks like one that isn't there.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_engine::WorkspaceId;

use crate::call::{Call, With};
use crate::control::Workspace;
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::{clock, random, tenancy};

const NAME_CHARS_MAX: usize = 128;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWorkspace {
    name: String,
}

/// A workspace.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Workspace")]
pub(crate) struct Told {
    id: String,
    name: String,
    created_at: String,
}

/// Workspaces.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Workspaces")]
pub(crate) struct List {
    total: usize,
    workspaces: Vec<Told>,
}

/// A workspace that is gone for good.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeletedWorkspace")]
pub(crate) struct Deleted {
    id: String,
    status: &'static str,
    /// Live and soft-deleted ones.
    documents_deleted: u64,
    /// Null when nothing was ever written in it.
    receipt_id: Option<String>,
}

/// `POST /v1/admin/workspaces`
pub(crate) async fn create(mut call: With<NewWorkspace>) -> Result<Answer<Told>, ApiError> {
    let scope = call.caller()?.operator()?;
    let (new, _) = call.json().await?;
    check_name(&new.name)?;
    let by = call.by()?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let workspace = tenancy::create_workspace(
            &app.control,
            &app.store,
            &scope,
            &new.name,
            app.default_collection(),
            by,
        )?;
        json::answer(StatusCode::CREATED, &Told::of(&workspace))
    })
    .await
}

/// `GET /v1/admin/workspaces`
pub(crate) async fn list(call: Call) -> Result<Answer<List>, ApiError> {
    let caller = call.caller()?;
    let workspaces: Vec<_> = if caller.is_operator() {
        call.app.control.live_workspaces().iter().map(|workspace| Told::of(workspace)).collect()
    } else {
        vec![Told::of(caller.workspace()?)]
    };
    json::answer(StatusCode::OK, &List { total: workspaces.len(), workspaces })
}

/// `GET /v1/admin/workspaces/{id}`
pub(crate) async fn get(call: Call) -> Result<Answer<Told>, ApiError> {
    let (caller, id) = (call.caller()?, workspace_id(call.value(0)?)?);
    let is_visible = caller.is_operator() || caller.workspace()?.id == id;
    let found = call.app.control.workspace(id).filter(|_| is_visible).ok_or_else(no_workspace)?;
    json::answer(StatusCode::OK, &Told::of(&found))
}

/// `DELETE /v1/admin/workspaces/{id}`: its keys are dead at once, its data is shredded before the answer.
pub(crate) async fn delete(call: Call) -> Result<Answer<Deleted>, ApiError> {
    let (scope, id) = (call.caller()?.operator()?, workspace_id(call.value(0)?)?);
    let by = call.by()?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        // One whose deletion failed half-way can be deleted again.
        app.control.workspace_in_any_state(id).ok_or_else(no_workspace)?;
        let (dropped, receipt) = tenancy::drop_workspace(&app.control, &app.store, &scope, id, by)?;
        app.quotas.forget(id);
        json::answer(
            StatusCode::OK,
            &Deleted {
                id: random::hex(&id.0),
                status: "deleted",
                documents_deleted: dropped.documents + dropped.deleted,
                receipt_id: receipt.map(|receipt| random::hex(&receipt.receipt.id)),
            },
        )
    })
    .await
}

impl Told {
    fn of(workspace: &Workspace) -> Self {
        Self {
            id: random::hex(&workspace.id.0),
            name: workspace.name.clone(),
            created_at: clock::rfc3339(workspace.created_ms),
        }
    }
}

fn workspace_id(text: &str) -> Result<WorkspaceId, ApiError> {
    random::parse_hex(text).map(WorkspaceId).ok_or_else(no_workspace)
}

fn no_workspace() -> ApiError {
    ApiError::missing("workspace_not_found", "there is no such workspace")
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let fits = !name.trim().is_empty() && name.trim() == name && name.chars().count() <= NAME_CHARS_MAX;
    // A header must be able to name it, and an id must not be taken for a name.
    if fits && !name.chars().any(char::is_control) && random::parse_hex::<16>(name).is_none() {
        return Ok(());
    }
    Err(ApiError::malformed(
        "invalid_name",
        format!(
            "a workspace's name has 1 to {NAME_CHARS_MAX} characters, no control characters, no white space around it \
             and not the form of an id"
        ),
    ))
}
