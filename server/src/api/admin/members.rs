//! How are members made, changed and removed?
//!
//! `/v1/admin/members` is ours, `/v1/admin/users` bigRAG's for the same people. A caller manages whom the caller's own
//! scopes cover, before and after.
//!
//! Invariants:
//! 1. Whoever is a member of another workspace too is changed here in their role alone: an administrator of one workspace
//!    must not get into another by way of a shared account.
//! 2. Nobody's own password is changed here: that takes the one before it.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_engine::WorkspaceId;

use crate::api::people::{User, checked_email, checked_name};
use crate::call::{Call, With};
use crate::control::roles::{ROLES, Role};
use crate::control::{Member, MemberChanges, NewMember};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;

const LIST_LIMIT: u64 = 1000;

/// Members of a workspace.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Members {
    members: Vec<User>,
    /// All there are.
    total: usize,
}

/// Members of a workspace, in bigRAG's words.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Users {
    users: Vec<User>,
    /// All there are.
    total: usize,
}

/// A member that is none any more.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RemovedMember")]
pub(crate) struct Removed {
    id: String,
    status: &'static str,
}

/// `GET /v1/admin/members`
pub(crate) async fn list(call: Call) -> Result<Answer<Members>, ApiError> {
    let (members, total) = listed(&call)?;
    json::answer(StatusCode::OK, &Members { members, total })
}

/// `GET /v1/admin/users`
pub(crate) async fn list_users(call: Call) -> Result<Answer<Users>, ApiError> {
    let (users, total) = listed(&call)?;
    json::answer(StatusCode::OK, &Users { users, total })
}

fn listed(call: &Call) -> Result<(Vec<User>, usize), ApiError> {
    let limit = call.query.number("limit", 1..=LIST_LIMIT)?.unwrap_or(LIST_LIMIT);
    let offset = call.query.number("offset", 0..=u64::MAX)?.unwrap_or(0);
    let members = call.app.control.members_of(workspace(call)?);
    let page = members
        .iter()
        .skip(usize::try_from(offset).unwrap_or(usize::MAX))
        .take(usize::try_from(limit).unwrap_or(usize::MAX))
        .map(User::of)
        .collect();
    Ok((page, members.len()))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewMember")]
pub(crate) struct New {
    email: String,
    password: String,
    display_name: Option<String>,
    role: Option<String>,
}

/// `POST /v1/admin/members`, `POST /v1/admin/users`: an account with a password that its owner had better change.
pub(crate) async fn create(mut call: With<New>) -> Result<Answer<User>, ApiError> {
    let workspace = workspace(&call)?;
    let (asked, _) = call.json().await?;
    let role = checked_role(asked.role.as_deref().unwrap_or("member"))?;
    call.caller()?.require_cover(role)?;
    let email = checked_email(&asked.email)?;
    let display_name = checked_name(asked.display_name.as_deref(), &email)?;
    let (app, by) = (call.app.clone(), call.by()?);
    let password = app.passwords.hash(&app.pool, asked.password).await?;
    let pool = app.pool.clone();
    pool.run(move || {
        let new = NewMember { email, display_name, password, role };
        json::answer(StatusCode::CREATED, &User::of(&app.control.add_member(workspace, &new, false, by)?))
    })
    .await
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "MemberChanges")]
pub(crate) struct Changes {
    email: Option<String>,
    display_name: Option<String>,
    role: Option<String>,
    password: Option<String>,
}

/// `PATCH /v1/admin/members/{id}`, `PATCH /v1/admin/users/{id}`
pub(crate) async fn change(mut call: With<Changes>) -> Result<Answer<User>, ApiError> {
    let was = managed(&call)?;
    let (asked, _) = call.json().await?;
    let role = asked.role.as_deref().map(checked_role).transpose()?;
    call.caller()?.require_cover(role.unwrap_or(was.role))?;
    let is_self = call.caller()?.signed_in().is_some_and(|signed| signed.member.user.id == was.user.id);
    if is_self && asked.password.is_some() {
        return Err(ApiError::forbidden("own_password", "change your own password at /v1/auth/password"));
    }
    let is_shared = call.app.control.is_elsewhere(&was);
    let changes_account = asked.email.is_some() || asked.password.is_some() || asked.display_name.is_some();
    if is_shared && changes_account && !is_self && !call.caller()?.is_operator() {
        return Err(ApiError::forbidden(
            "account_of_their_own",
            "this account is not this workspace's alone: its email, name and password are changed by its owner",
        ));
    }
    let email = asked.email.as_deref().map(checked_email).transpose()?;
    let name = asked.display_name.as_deref();
    let display_name = name.map(|name| checked_name(Some(name), &was.user.email)).transpose()?;
    let (app, by) = (call.app.clone(), call.by()?);
    let password = match asked.password {
        Some(password) => Some(app.passwords.hash(&app.pool, password).await?),
        None => None,
    };
    let pool = app.pool.clone();
    pool.run(move || {
        let changes = MemberChanges { email, display_name, password, role };
        json::answer(StatusCode::OK, &User::of(&app.control.change_member(&was, &changes, by)?))
    })
    .await
}

/// `DELETE /v1/admin/members/{id}`, `DELETE /v1/admin/users/{id}`: their sessions are dead from the next request on.
pub(crate) async fn remove(call: Call) -> Result<Answer<Removed>, ApiError> {
    let (app, by, was) = (call.app.clone(), call.by()?, managed(&call)?);
    let pool = app.pool.clone();
    pool.run(move || {
        app.control.remove_member(&was, by)?;
        json::answer(StatusCode::OK, &Removed { id: was.user.id.clone(), status: "ok" })
    })
    .await
}

/// The workspace whose members the caller manages. A key for a part of it manages nobody.
pub(super) fn workspace(call: &Call) -> Result<WorkspaceId, ApiError> {
    call.caller()?.require_cover(Role::Member)?;
    Ok(call.caller()?.workspace()?.id)
}

/// A member that the caller may manage. The others are seen in the list, so they are refused and not hidden.
fn managed(call: &Call) -> Result<Member, ApiError> {
    let found = call.app.control.member(workspace(call)?, call.value(0)?);
    let member = found.ok_or(crate::control::ControlError::NoMember)?;
    call.caller()?.require_cover(member.role)?;
    Ok(member)
}

pub(super) fn checked_role(word: &str) -> Result<Role, ApiError> {
    Role::parse(word).ok_or_else(|| {
        ApiError::malformed("unknown_role", format!("a role is one of: {}", ROLES.map(Role::word).join(", ")))
    })
}
