//! How do people come in, and what are they told of themselves?
//!
//! `entrance` has setup, sign-in, the acceptance of invitations and sign-out; `own` what somebody asks about or changes of
//! their own account. Here is what both and the admin calls share: how a person is checked and shown, in bigRAG's words.

pub(crate) mod entrance;
pub(crate) mod own;

use schemars::JsonSchema;
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

use crate::control::Member;
use crate::message::error::ApiError;
use crate::{clock, mail, random};

const NAME_CHARS_MAX: usize = 128;
const EMAIL_BYTES_MAX: usize = 254;

/// A member, as bigRAG's client reads a user.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct User {
    id: String,
    email: String,
    display_name: String,
    /// `owner`, `admin` or `member`.
    role: &'static str,
    /// The workspace's id.
    workspace: String,
    last_login_at: Option<String>,
    created_at: String,
    updated_at: String,
}

impl User {
    pub(crate) fn of(member: &Member) -> Self {
        let user = &member.user;
        Self {
            id: user.id.clone(),
            email: user.email.clone(),
            display_name: user.display_name.clone(),
            role: member.role.word(),
            workspace: random::hex(&member.workspace.0),
            last_login_at: user.last_login_ms.map(clock::rfc3339),
            created_at: clock::rfc3339(user.created_ms),
            updated_at: clock::rfc3339(user.updated_ms),
        }
    }
}

/// Who is signed in.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SignedInUser {
    user: User,
}

/// It is done.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Done {
    status: &'static str,
}

/// What is answered where there is nothing to say.
pub(crate) const DONE: Done = Done { status: "ok" };

/// An email as it is compared: people don't mind its case.
pub(crate) fn folded(email: &str) -> String {
    email.trim().nfc().collect::<String>().to_lowercase()
}

/// Reads an email that mail can be sent to.
pub(crate) fn checked_email(text: &str) -> Result<String, ApiError> {
    let email = folded(text);
    let fits = email.len() <= EMAIL_BYTES_MAX && !email.chars().any(|c| c.is_control() || c.is_whitespace());
    if fits && mail::is_address(&email) {
        return Ok(email);
    }
    Err(ApiError::malformed("invalid_email", "email must be an address such as name@example.com"))
}

/// Reads a name; without one, that is what stands before the email's `@`.
pub(crate) fn checked_name(text: Option<&str>, email: &str) -> Result<String, ApiError> {
    let name = text.map(str::trim).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or_default());
    if name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    Err(ApiError::malformed(
        "invalid_name",
        format!("display_name has at most {NAME_CHARS_MAX} characters and no control characters"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: one person would have two accounts, or an account nobody can be mailed at.
    #[test]
    fn an_email_is_one_whatever_its_case() {
        assert_eq!(checked_email(" Ada@Example.COM ").unwrap(), "ada@example.com");
        for wrong in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a b@example.com",
            "a@b@c",
            "a\r\n@b.c",
            &format!("{}@b.c", "x".repeat(300)),
        ] {
            assert_eq!(checked_email(wrong).unwrap_err().code, "invalid_email", "{wrong}");
        }
        assert_eq!(checked_name(None, "ada@example.com").unwrap(), "ada");
        assert_eq!(checked_name(Some(" "), "ada@example.com").unwrap(), "ada");
        assert_eq!(checked_name(Some("Ada L."), "ada@example.com").unwrap(), "Ada L.");
        assert!(
            checked_name(Some("a\nb"), "x@y").is_err()
                && checked_name(Some(&"x".repeat(129)), "x@y").is_err()
        );
    }
}
