//! How are workspaces made, listed and deleted?
//!
//! Made and deleted with the operator's key alone. Any other key sees the one workspace that it belongs to; another's
//! looks like one that isn't there.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_engine::WorkspaceId;

use crate::auth::Pins;
use crate::call::Call;
use crate::control::rules::GRACE_SECONDS_MAX;
use crate::control::{Pattern, Rule, Workspace};
use crate::message::error::ApiError;
use crate::message::json;
use crate::{clock, random, tenancy};

const NAME_CHARS_MAX: usize = 128;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewWorkspace {
    name: String,
}

/// `POST /v1/admin/workspaces`
pub(crate) async fn create(mut call: Call) -> Result<Response, ApiError> {
    let scope = call.caller()?.operator()?;
    let (new, _) = call.json::<NewWorkspace>().await?;
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
        json::answer(StatusCode::CREATED, &record(&workspace))
    })
    .await
}

/// `GET /v1/admin/workspaces`
pub(crate) async fn list(call: Call) -> Result<Response, ApiError> {
    let caller = call.caller()?;
    let workspaces: Vec<_> = if caller.is_operator() {
        call.app.control.live_workspaces().iter().map(|workspace| record(workspace)).collect()
    } else {
        vec![record(caller.workspace()?)]
    };
    json::answer(StatusCode::OK, &json!({"total": workspaces.len(), "workspaces": workspaces}))
}

/// `GET /v1/admin/workspaces/{id}`
pub(crate) async fn get(call: Call) -> Result<Response, ApiError> {
    let (caller, id) = (call.caller()?, workspace_id(call.value(0)?)?);
    let is_visible = caller.is_operator() || caller.workspace()?.id == id;
    let found = call.app.control.workspace(id).filter(|_| is_visible).ok_or_else(no_workspace)?;
    json::answer(StatusCode::OK, &record(&found))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    partitions: Partitions,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Partitions {
    #[serde(default)]
    declared_only: Option<bool>,
    #[serde(default, deserialize_with = "json::present")]
    id_pattern: Option<Option<String>>,
    #[serde(default)]
    trash_grace_seconds: Option<u64>,
}

/// `PATCH /v1/admin/workspaces/{id}`: how its partitions are made and thrown away.
pub(crate) async fn change(mut call: Call) -> Result<Response, ApiError> {
    let (asked, _) = call.json::<Changes>().await?;
    let (caller, id) = (call.caller()?, workspace_id(call.value(0)?)?);
    if caller.pins() != &Pins::default() {
        return Err(ApiError::forbidden(
            "pinned_key",
            "this is of the whole workspace, and this key is pinned to a part of it; use one that is not pinned",
        ));
    }
    let is_visible = caller.is_operator() || caller.workspace()?.id == id;
    call.app.control.workspace(id).filter(|_| is_visible).ok_or_else(no_workspace)?;
    let Partitions { declared_only, id_pattern, trash_grace_seconds } = asked.partitions;
    if trash_grace_seconds.is_some_and(|seconds| seconds > GRACE_SECONDS_MAX) {
        return Err(ApiError::malformed(
            "invalid_parameter",
            format!("trash_grace_seconds is a whole number from 0 to {GRACE_SECONDS_MAX}"),
        ));
    }
    let pattern = id_pattern.map(|text| text.as_deref().map(Pattern::parse).transpose()).transpose();
    let pattern = pattern.map_err(|error| {
        ApiError::unacceptable(
            "invalid_pattern",
            format!("id_pattern is no regular expression that can be used: {error}"),
        )
    })?;
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let change = |rule: &Rule| Rule {
            declared: declared_only.unwrap_or(rule.declared),
            pattern: pattern.unwrap_or_else(|| rule.pattern.clone()),
            grace_ms: trash_grace_seconds.map_or(rule.grace_ms, |seconds| seconds * 1000),
        };
        app.control.change_rule(id, change, by)?;
        let changed = app.control.workspace(id).ok_or_else(no_workspace)?;
        json::answer(StatusCode::OK, &record(&changed))
    })
    .await
}

/// `DELETE /v1/admin/workspaces/{id}`: its keys are dead at once, its data is shredded before the answer.
pub(crate) async fn delete(call: Call) -> Result<Response, ApiError> {
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
            &json!({
                "id": random::hex(&id.0),
                "status": "deleted",
                "documents_deleted": dropped.documents + dropped.deleted,
                "receipt_id": receipt.map(|receipt| random::hex(&receipt.receipt.id)),
            }),
        )
    })
    .await
}

fn record(workspace: &Workspace) -> Value {
    json!({
        "id": random::hex(&workspace.id.0),
        "name": workspace.name,
        "created_at": clock::rfc3339(workspace.created_ms),
        "partitions": {
            "declared_only": workspace.rule.declared,
            "id_pattern": workspace.rule.pattern.as_ref().map(Pattern::text),
            "trash_grace_seconds": workspace.rule.grace_ms / 1000,
        },
    })
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
