//! How is somebody invited?
//!
//! The answer has a link, once; it is mailed as well when the operator has named a mail server and the address under
//! which people reach this one. Whether the email has an account on this server makes no difference to the answer.

use axum::http::{StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::members::{checked_role, workspace};
use crate::api::people::checked_email;
use crate::call::{Call, With};
use crate::clock;
use crate::control::{ControlError, Invitation, Token};
use crate::mail::Letter;
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewInvitation")]
pub(crate) struct New {
    email: String,
    role: Option<String>,
}

/// An invitation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Invitation")]
pub(crate) struct Told {
    id: String,
    email: String,
    /// `owner`, `admin` or `member`.
    role: &'static str,
    /// Who invited.
    invited_by: String,
    created_at: String,
    expires_at: String,
}

/// An invitation with its link, which is told this once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewInvitationWithLink")]
pub(crate) struct Made {
    #[serde(flatten)]
    invitation: Told,
    token: String,
    link: String,
    /// Whether the link was mailed, too.
    mailed: bool,
}

/// Invitations that stand.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Invitations")]
pub(crate) struct List {
    total: usize,
    invitations: Vec<Told>,
}

/// An invitation whose link is dead.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RevokedInvitation")]
pub(crate) struct Revoked {
    id: String,
    status: &'static str,
}

/// `POST /v1/admin/invitations`
pub(crate) async fn create(mut call: With<New>) -> Result<Answer<Made>, ApiError> {
    let workspace = workspace(&call)?;
    let (asked, _) = call.json().await?;
    let role = checked_role(asked.role.as_deref().unwrap_or("member"))?;
    call.caller()?.require_cover(role)?;
    let (app, by, email) = (call.app.clone(), call.by()?, checked_email(&asked.email)?);
    let inviting = app.clone();
    let invited = app.pool.run(move || Ok(inviting.control.invite(workspace, &email, role, by)?));
    let (invitation, token) = invited.await?;
    let link = format!("{}/console/accept#{}", base(&call), token.text());
    let is_mailed = match (&app.mailer, letter(&call, &invitation, &token)?) {
        (Some(mailer), Some(letter)) => mailer.send(letter).await,
        _ => false,
    };
    let made =
        Made { invitation: Told::of(&invitation), token: token.text().to_owned(), link, mailed: is_mailed };
    json::answer(StatusCode::CREATED, &made)
}

/// The mail with the link, which never leads to a host that a request's header named.
fn letter(call: &Call, invitation: &Invitation, token: &Token) -> Result<Option<Letter>, ApiError> {
    let Some(public) = &call.app.public_url else { return Ok(None) };
    let workspace = &call.caller()?.workspace()?.name;
    let public = public.to_string();
    let text = format!(
        "You are invited to the workspace \"{workspace}\" on {public} as {}.\n\nTo accept, open this link before {}:\n\n\
         {}/console/accept#{}\n\nIf you didn't expect this, ignore it: nothing happens then.\n",
        invitation.role.word(),
        clock::rfc3339(invitation.expires_ms),
        public.trim_end_matches('/'),
        token.text(),
    );
    let subject = format!("Invitation to {workspace}");
    Ok(Some(Letter { to: invitation.email.clone(), subject, text }))
}

/// Where people reach this server: what the operator says, or else what the inviting request did.
fn base(call: &Call) -> String {
    if let Some(public) = &call.app.public_url {
        return public.to_string().trim_end_matches('/').to_owned();
    }
    let scheme = if call.is_https() { "https" } else { "http" };
    let host = call.header(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("{scheme}://{host}")
}

/// `GET /v1/admin/invitations`
pub(crate) async fn list(call: Call) -> Result<Answer<List>, ApiError> {
    let (app, workspace) = (call.app.clone(), workspace(&call)?);
    let pool = app.pool.clone();
    pool.run(move || {
        let found: Vec<_> = app.control.invitations_of(workspace)?.iter().map(Told::of).collect();
        json::answer(StatusCode::OK, &List { total: found.len(), invitations: found })
    })
    .await
}

/// `DELETE /v1/admin/invitations/{id}`: its link is dead at once.
pub(crate) async fn revoke(call: Call) -> Result<Answer<Revoked>, ApiError> {
    let (app, by, workspace) = (call.app.clone(), call.by()?, workspace(&call)?);
    let pool = app.pool.clone();
    pool.run(move || {
        let found = app.control.invitations_of(workspace)?;
        let id = call.value(0)?;
        let invitation = found.into_iter().find(|one| one.id == id).ok_or(ControlError::NoInvitation)?;
        call.caller()?.require_cover(invitation.role)?;
        app.control.revoke_invitation(&invitation, by)?;
        json::answer(StatusCode::OK, &Revoked { id: invitation.id, status: "revoked" })
    })
    .await
}

impl Told {
    fn of(invitation: &Invitation) -> Self {
        Self {
            id: invitation.id.clone(),
            email: invitation.email.clone(),
            role: invitation.role.word(),
            invited_by: invitation.invited_by.clone(),
            created_at: clock::rfc3339(invitation.created_ms),
            expires_at: clock::rfc3339(invitation.expires_ms),
        }
    }
}
