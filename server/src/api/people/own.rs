//! What does somebody ask about, or change of, their own account?

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::entrance::{Visit, guessed, refusal, visitor};
use super::{DONE, Done, SignedInUser, User};
use crate::call::{Call, With};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;

/// `GET /v1/auth/me`
pub(crate) async fn me(call: Call) -> Result<Answer<SignedInUser>, ApiError> {
    let signed = visitor(&call)?;
    json::answer(StatusCode::OK, &SignedInUser { user: User::of(&signed.member) })
}

/// Whose session or key it is.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Identity {
    authenticated: bool,
    /// `session`, `api_key` or `operator`.
    auth_method: &'static str,
    /// Empty for a key.
    user_id: String,
    /// Empty for a key.
    user_email: String,
    /// `owner`, `admin` or `member`; null for a key.
    role: Option<&'static str>,
    api_key_id: Option<String>,
    api_key_name: Option<String>,
    scopes: Vec<&'static str>,
    /// The one collection that it reaches.
    collection: Option<String>,
}

/// `GET /v1/auth/whoami`: of a member and of a key, in one form.
pub(crate) async fn whoami(call: Call) -> Result<Answer<Identity>, ApiError> {
    let caller = call.caller()?;
    let (member, key) = (caller.signed_in().map(|signed| &signed.member), caller.key());
    let method = match (member, key) {
        (Some(_), _) => "session",
        (None, Some(_)) => "api_key",
        (None, None) => "operator",
    };
    json::answer(
        StatusCode::OK,
        &Identity {
            authenticated: true,
            auth_method: method,
            user_id: member.map(|member| member.user.id.clone()).unwrap_or_default(),
            user_email: member.map(|member| member.user.email.clone()).unwrap_or_default(),
            role: member.map(|member| member.role.word()),
            api_key_id: key.map(|key| key.id.clone()),
            api_key_name: key.map(|key| key.name.clone()),
            scopes: caller.scopes().names(),
            collection: caller.pins().collection.clone(),
        },
    )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewPassword")]
pub(crate) struct Passwords {
    current_password: String,
    new_password: String,
}

/// `POST /v1/auth/password`: ends every other session.
pub(crate) async fn change_password(mut call: With<Passwords>) -> Result<Answer<Done>, ApiError> {
    let (signed, by) = (visitor(&call)?, call.by()?);
    let (asked, _) = call.json().await?;
    let (member, visit) = (signed.member.clone(), Visit::of(&call));
    let app = visit.app.clone();
    let known = Some(member.user.password.clone());
    guessed(&visit, &member.user.email, asked.current_password, known, |by| {
        refusal(member.workspace, by, Some(member.user.id.clone()))
    })
    .await?;
    let password = app.passwords.hash(&app.pool, asked.new_password).await?;
    let pool = app.pool.clone();
    pool.run(move || {
        app.control.change_password(&signed.member, &password, &signed.session.hash, by)?;
        json::answer(StatusCode::OK, &DONE)
    })
    .await
}
