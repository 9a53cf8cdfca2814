//! What does somebody ask about, or change of, their own account?

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::entrance::{Visit, guessed, refusal, visitor};
use super::record;
use crate::call::Call;
use crate::message::error::ApiError;
use crate::message::json;

/// `GET /v1/auth/me`
pub(crate) async fn me(call: Call) -> Result<Response, ApiError> {
    let signed = visitor(&call)?;
    json::answer(StatusCode::OK, &json!({"user": record(&signed.member)}))
}

/// `GET /v1/auth/whoami`: of a member and of a key, in one form.
pub(crate) async fn whoami(call: Call) -> Result<Response, ApiError> {
    let caller = call.caller()?;
    let (member, key) = (caller.signed_in().map(|signed| &signed.member), caller.key());
    let method = match (member, key) {
        (Some(_), _) => "session",
        (None, Some(_)) => "api_key",
        (None, None) => "operator",
    };
    json::answer(
        StatusCode::OK,
        &json!({
            "authenticated": true,
            "auth_method": method,
            "user_id": member.map_or("", |member| &member.user.id),
            "user_email": member.map_or("", |member| &member.user.email),
            "role": member.map(|member| member.role.word()),
            "api_key_id": key.map(|key| &key.id),
            "api_key_name": key.map(|key| &key.name),
            "scopes": caller.scopes().names(),
            "collection": caller.pins().collection,
        }),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Passwords {
    current_password: String,
    new_password: String,
}

/// `POST /v1/auth/password`: ends every other session.
pub(crate) async fn change_password(mut call: Call) -> Result<Response, ApiError> {
    let (signed, by) = (visitor(&call)?, call.by()?);
    let (asked, _) = call.json::<Passwords>().await?;
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
        json::answer(StatusCode::OK, &json!({"status": "ok"}))
    })
    .await
}
