//! How are workspaces made, listed and deleted?
//!
//! Made and deleted with the operator's key alone. Any other key sees the one workspace that it belongs to; another's
//! looks like one that isn't there.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_engine::WorkspaceId;

use crate::auth::Pins;
use crate::call::{Call, With};
use crate::control::rules::GRACE_SECONDS_MAX;
use crate::control::{Pattern, Rule, Workspace};
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
    partitions: Partitions,
}

/// How its partitions are made and thrown away.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PartitionRules")]
struct Partitions {
    /// Whether a partition has to be declared before anything is put into it.
    declared_only: bool,
    /// A regular expression that the whole id of a new partition has to fit.
    id_pattern: Option<String>,
    /// How long a deleted partition lies in the trash; 0 shreds it at once.
    trash_grace_seconds: u64,
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

/// What is to be another way with a workspace.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChangeWorkspace")]
pub(crate) struct Changes {
    partitions: PartitionChanges,
}

/// How its partitions are made and thrown away; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChangePartitionRules")]
struct PartitionChanges {
    /// Whether a partition has to be declared before anything is put into it.
    #[serde(default)]
    declared_only: Option<bool>,
    /// A regular expression that the whole id of a new partition has to fit; null for none.
    #[serde(default, deserialize_with = "json::present")]
    #[schemars(with = "Option<String>")]
    id_pattern: Option<Option<String>>,
    /// How long a deleted partition lies in the trash; 0 shreds it at once.
    #[serde(default)]
    trash_grace_seconds: Option<u64>,
}

/// `PATCH /v1/admin/workspaces/{id}`: how its partitions are made and thrown away.
pub(crate) async fn change(mut call: With<Changes>) -> Result<Answer<Told>, ApiError> {
    let (asked, _) = call.json().await?;
    let (caller, id) = (call.caller()?, workspace_id(call.value(0)?)?);
    if caller.pins() != &Pins::default() {
        return Err(ApiError::forbidden(
            "pinned_key",
            "this is of the whole workspace, and this key is pinned to a part of it; use one that is not pinned",
        ));
    }
    let is_visible = caller.is_operator() || caller.workspace()?.id == id;
    call.app.control.workspace(id).filter(|_| is_visible).ok_or_else(no_workspace)?;
    let PartitionChanges { declared_only, id_pattern, trash_grace_seconds } = asked.partitions;
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
        json::answer(StatusCode::OK, &Told::of(&changed))
    })
    .await
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
        let rule = &workspace.rule;
        Self {
            id: random::hex(&workspace.id.0),
            name: workspace.name.clone(),
            created_at: clock::rfc3339(workspace.created_ms),
            partitions: Partitions {
                declared_only: rule.declared,
                id_pattern: rule.pattern.as_ref().map(|pattern| pattern.text().to_owned()),
                trash_grace_seconds: rule.grace_ms / 1000,
            },
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
