//! How does somebody get in, for the first time and every time?
//!
//! Setup makes a workspace's first owner and asks for a key of its owner: a server that anybody can reach must not belong
//! to whoever comes first, and an address that looks local may be a proxy's. Every other member is made by a member, or
//! invited. The three that begin a session share its end: a cookie, and who that is.
//!
//! Invariants:
//! 1. An email that nobody has, a wrong password and an account without a workspace get one answer, after the same work.
//! 2. Guesses are counted before they are checked.
//! 3. No page of another site signs anybody in or out.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DONE, Done, SignedInUser, User, checked_email, checked_name, folded};
use crate::app::App;
use crate::auth::{DEFAULT_WORKSPACE, SignedIn, session};
use crate::call::{Call, With};
use crate::control::roles::Role;
use crate::control::{
    Action, Actor, By, Entry, Guest, Invitation, Member, NewMember, Outcome, Token, TokenKind,
};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;

/// Whose log tells of those whom nobody knows: the server's own, which the operator reads by this id.
const NO_WORKSPACE: strongroom_engine::WorkspaceId = strongroom_engine::WorkspaceId([0; 16]);

/// What of a request is still asked for while a password is checked.
pub(super) struct Visit {
    pub(super) app: Arc<App>,
    by: By,
    peer: Option<IpAddr>,
    is_https: bool,
}

impl Visit {
    pub(super) fn of(call: &Call) -> Self {
        Self { app: call.app.clone(), by: call.by_nobody(), peer: call.peer(), is_https: call.is_https() }
    }
}

/// Whether a workspace has no member yet.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SetupStatus {
    needs_setup: bool,
}

/// `GET /v1/auth/setup-status`
pub(crate) async fn setup_status(call: Call) -> Result<Answer<SetupStatus>, ApiError> {
    let workspace = match call.optional_caller() {
        Some(caller) => Some(caller.workspace()?.id),
        None => call.app.control.workspace_named(DEFAULT_WORKSPACE).map(|found| found.id),
    };
    let needs_setup = workspace.is_some_and(|workspace| !call.app.control.has_members(workspace));
    json::answer(StatusCode::OK, &SetupStatus { needs_setup })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    email: String,
    password: String,
    display_name: Option<String>,
}

/// `POST /v1/auth/setup`
pub(crate) async fn setup(mut call: With<Setup>) -> Result<Answer<SignedInUser>, ApiError> {
    call.require_same_origin()?;
    call.caller()?.require_cover(Role::Owner)?;
    let (asked, _) = call.json().await?;
    let email = checked_email(&asked.email)?;
    let display_name = checked_name(asked.display_name.as_deref(), &email)?;
    let (visit, by) = (Visit::of(&call), call.by()?);
    let workspace = call.caller()?.workspace()?.id;
    let app = visit.app.clone();
    let password = app.passwords.hash(&app.pool, asked.password).await?;
    let member = visit.app.pool.run(move || {
        let new = NewMember { email, display_name, password, role: Role::Owner };
        Ok(app.control.add_member(workspace, &new, true, by)?)
    });
    let member = member.await?;
    signed_in(&visit, member).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    email: String,
    password: String,
    workspace: Option<String>,
}

/// `POST /v1/auth/login`
pub(crate) async fn login(mut call: With<Login>) -> Result<Answer<SignedInUser>, ApiError> {
    call.require_same_origin()?;
    let (asked, _) = call.json().await?;
    let email = folded(&asked.email);
    let visit = Visit::of(&call);
    let member = known(&visit, &email, asked.password, asked.workspace.as_deref()).await?;
    signed_in(&visit, member).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AcceptInvitation")]
pub(crate) struct Accept {
    token: String,
    password: String,
    display_name: Option<String>,
}

/// `POST /v1/auth/accept`
pub(crate) async fn accept(mut call: With<Accept>) -> Result<Answer<SignedInUser>, ApiError> {
    call.require_same_origin()?;
    let (asked, _) = call.json().await?;
    let visit = Visit::of(&call);
    let app = visit.app.clone();
    let reading = app.clone();
    let token = Token::parse(TokenKind::Invitation, asked.token.trim());
    let invitation = app.pool.run(move || {
        let found = token.map(|token| reading.control.invitation_of(&token)).transpose()?.flatten();
        found.ok_or_else(|| crate::control::ControlError::NoInvitation.into())
    });
    let invitation: Invitation = invitation.await?;
    let guest = match app.control.user_of_email(&invitation.email) {
        // Somebody with an account shows that it is theirs; the invitation doesn't change their password.
        Some(user) => {
            guessed(&visit, &invitation.email, asked.password, Some(user.password.clone()), |by| {
                refusal(invitation.workspace, by, Some(user.id.clone()))
            })
            .await?;
            Guest::Known(user.id.clone())
        }
        None => {
            let display_name = checked_name(asked.display_name.as_deref(), &invitation.email)?;
            Guest::New { display_name, password: app.passwords.hash(&app.pool, asked.password).await? }
        }
    };
    let by = visit.by.clone();
    let member = visit.app.pool.run(move || Ok(app.control.accept(&invitation, &guest, &by)?));
    let member = member.await?;
    signed_in(&visit, member).await
}

/// `POST /v1/auth/logout`
pub(crate) async fn logout(call: Call) -> Result<Answer<Done>, ApiError> {
    end(call, false).await
}

/// `POST /v1/auth/logout-all`
pub(crate) async fn logout_all(call: Call) -> Result<Answer<Done>, ApiError> {
    end(call, true).await
}

async fn end(call: Call, all: bool) -> Result<Answer<Done>, ApiError> {
    let (app, by, signed) = (call.app.clone(), call.by()?, visitor(&call)?);
    let (pool, cookie) = (app.pool.clone(), session::taken(call.is_https())?);
    pool.run(move || Ok(app.control.end_session(&signed.session, all, by)?)).await?;
    with_cookie(&DONE, cookie)
}

/// Who is signed in, on routes that are for people alone.
pub(super) fn visitor(call: &Call) -> Result<Arc<SignedIn>, ApiError> {
    call.caller()?.signed_in().cloned().ok_or_else(|| {
        ApiError::forbidden("not_signed_in", "this is for members who signed in, and you came with a key")
    })
}

/// The member with this email and password, in the workspace that they name, or else `default`, or else the first by name.
async fn known(
    visit: &Visit,
    email: &str,
    password: String,
    named: Option<&str>,
) -> Result<Member, ApiError> {
    let control = &visit.app.control;
    let user = control.user_of_email(email);
    let of = user.as_ref().map(|user| control.workspaces_of(&user.id)).unwrap_or_default();
    let usual = of.iter().find(|one| one.name == DEFAULT_WORKSPACE).or(of.first()).map(|one| one.id);
    let known = user.as_ref().filter(|_| usual.is_some());
    guessed(visit, email, password, known.map(|user| user.password.clone()), |by| {
        refusal(usual.unwrap_or(NO_WORKSPACE), by, known.map(|user| user.id.clone()))
    })
    .await?;
    let (Some(user), Some(usual)) = (known, usual) else { return Err(wrong()) };
    let workspace = match named {
        None => usual,
        // Theirs alone are looked at: no other is told to be there or not.
        Some(named) => of
            .iter()
            .find(|one| one.name == named || crate::random::hex(&one.id.0) == named)
            .map(|one| one.id)
            .ok_or_else(|| {
                ApiError::forbidden(
                    "workspace_forbidden",
                    "you are a member of no workspace of this name or id",
                )
            })?,
    };
    control.member(workspace, &user.id).ok_or_else(wrong)
}

/// Checks a password as a guess: counted, told to the audit log when it is wrong.
pub(super) async fn guessed(
    visit: &Visit,
    email: &str,
    password: String,
    known: Option<String>,
    refusal: impl FnOnce(By) -> Entry,
) -> Result<(), ApiError> {
    let app = &visit.app;
    app.attempts.begin(visit.peer, email)?;
    if app.passwords.verify(&app.pool, password, known).await? {
        app.attempts.succeed(visit.peer, email);
        return Ok(());
    }
    app.control.count_refusal(refusal(visit.by.clone()));
    Err(wrong())
}

pub(super) fn refusal(workspace: strongroom_engine::WorkspaceId, by: By, member: Option<String>) -> Entry {
    let outcome = Outcome::Refused("wrong_credentials");
    Entry { resource: member, outcome, ..Entry::done(workspace, by, Action::SignInFailed, String::new()) }
}

fn wrong() -> ApiError {
    ApiError::unauthenticated("wrong_credentials", "email or password is wrong")
}

/// Begins a session and answers with it.
async fn signed_in(visit: &Visit, member: Member) -> Result<Answer<SignedInUser>, ApiError> {
    let app = visit.app.clone();
    let by = visit.by.with_actor(Actor::Member(member.user.id.clone()));
    let begun = visit.app.pool.run(move || {
        let (token, session) = app.control.begin_session(&member, by)?;
        let member = app.control.member(session.workspace, &session.user);
        Ok((token, member.ok_or(crate::control::ControlError::NoMember)?))
    });
    let (token, member) = begun.await?;
    with_cookie(&SignedInUser { user: User::of(&member) }, session::given(&token, visit.is_https)?)
}

fn with_cookie<T: Serialize>(body: &T, cookie: HeaderValue) -> Result<Answer<T>, ApiError> {
    let mut response = json::answer(StatusCode::OK, body)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
