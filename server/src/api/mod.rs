//! What does each route do?
//!
//! A folder for each client that the server speaks with, and one for its own calls. Handlers are thin: they read the
//! request, hand the work to the pool and write the answer.

pub(crate) mod admin;
pub(crate) mod aether;
pub(crate) mod bigrag;
pub(crate) mod hyperspark;
pub(crate) mod people;
pub(crate) mod receipts;
pub(crate) mod system;
pub(crate) mod usage;

/// Routes that the contract names and this server doesn't have yet.
pub(crate) mod not_offered {
    use crate::call::Call;
    use crate::message::content::{Answer, Nothing};
    use crate::message::error::ApiError;

    pub(crate) async fn answer(call: Call) -> Result<Answer<Nothing>, ApiError> {
        Err(ApiError::new(
            axum::http::StatusCode::NOT_IMPLEMENTED,
            "not_offered",
            format!("this route ({}) is not offered by this server yet", call.route),
        ))
    }
}
