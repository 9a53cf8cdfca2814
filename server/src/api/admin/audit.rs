//! What was done in a workspace, and by whom?
//!
//! The audit log, in the shape that bigRAG's client reads. It tells of the workspace as a whole, so no pinned key reads
//! it; it outlives its workspace, for the operator.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::call::Call;
use crate::clock;
use crate::control::{AuditFilter, AuditRow};
use crate::message::error::ApiError;
use crate::message::json;
use crate::message::query::Query;

const LIST_LIMIT: u64 = 100;
const LIST_LIMIT_MAX: u64 = 1000;

/// `GET /v1/admin/audit`
pub(crate) async fn list(call: Call) -> Result<Response, ApiError> {
    let limit = call.query.number("limit", 1..=LIST_LIMIT_MAX)?.unwrap_or(LIST_LIMIT);
    let offset = call.query.number("offset", 0..=u64::MAX)?.unwrap_or(0);
    let workspace = call.caller()?.reach_of_the_past()?.workspace();
    filter(&call.query)?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let (rows, total) = app.control.audit_rows(workspace, filter(&call.query)?, offset, limit)?;
        let entries: Vec<_> = rows.iter().map(record).collect();
        json::answer(StatusCode::OK, &json!({"entries": entries, "total": total}))
    })
    .await
}

/// A word that nothing is called is no error: later versions write down more. An empty one is, for it would show all.
fn filter(query: &Query) -> Result<AuditFilter<'_>, ApiError> {
    let word = |name: &str| match query.get(name) {
        Some("") => Err(ApiError::malformed(
            "invalid_parameter",
            format!("{name} is empty: leave it out to see all, or give the one that is wanted"),
        )),
        word => Ok(word),
    };
    Ok(AuditFilter {
        action: word("action")?,
        actor_id: word("actor_id")?,
        resource_type: word("resource_type")?,
        resource_id: word("resource_id")?,
    })
}

fn record(row: &AuditRow) -> Value {
    json!({
        "id": row.seq.to_string(),
        "actor_id": row.actor.id(),
        "actor_email": null,
        "api_key_id": row.actor.key_id(),
        "action": row.action,
        "resource_type": row.resource_type,
        "resource_id": row.resource_id,
        "metadata": {"outcome": row.outcome, "receipt_id": row.receipt, "request_id": row.request_id},
        "ip": null,
        "user_agent": null,
        "created_at": clock::rfc3339(row.at_ms),
    })
}
