//! What was done in a workspace, and by whom?
//!
//! The audit log, in the shape that bigRAG's client reads; its head; and all of it as JSON Lines, for keeping elsewhere. It
//! tells of the workspace as a whole, so no pinned key reads it; it outlives its workspace, for the operator.
//!
//! Invariants:
//! 1. What is counted and due is written down before the log is read.
//! 2. An export holds no thread while its reader takes its time, and ends at the head that stood when it began.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use strongroom_engine::WorkspaceId;

use crate::app::App;
use crate::call::Call;
use crate::control::{Action, AuditFilter, AuditRow, Control, Entry};
use crate::message::content::{Answer, JsonLines};
use crate::message::error::ApiError;
use crate::message::query::Query;
use crate::message::{json, pages};
use crate::{clock, log, random};

const LIST_LIMIT: u64 = 100;
const LIST_LIMIT_MAX: u64 = 1000;
/// Rows that an export reads at once.
const PAGE: u32 = 500;

/// A row as bigRAG's client reads it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
pub(crate) struct Record {
    id: String,
    /// Who acted: a member's id, or a word for the operator and the server itself.
    actor_id: String,
    /// That of an account that is there; the log itself holds none.
    actor_email: Option<String>,
    api_key_id: Option<String>,
    action: String,
    resource_type: String,
    resource_id: Option<String>,
    metadata: Details,
    ip: Option<String>,
    user_agent: Option<String>,
    created_at: String,
}

/// What else is known of an entry.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditDetails")]
pub(crate) struct Details {
    /// `done`, or the code of a refusal.
    outcome: String,
    receipt_id: Option<String>,
    request_id: Option<String>,
    /// How often, where like acts are written down as one.
    times: u64,
    /// The hash that stands for the log up to here.
    hash: String,
}

/// Entries of the audit log, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditLog")]
pub(crate) struct List {
    entries: Vec<Record>,
    total: u64,
}

/// What stands for the whole audit log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditHead")]
pub(crate) struct Head {
    workspace: String,
    entries: u64,
    hash: String,
    at: String,
}

/// `GET /v1/admin/audit`
pub(crate) async fn list(call: Call) -> Result<Answer<List>, ApiError> {
    let limit = call.query.number("limit", 1..=LIST_LIMIT_MAX)?.unwrap_or(LIST_LIMIT);
    let offset = call.query.number("offset", 0..=u64::MAX)?.unwrap_or(0);
    let workspace = call.caller()?.reach_of_the_past()?.workspace();
    filter(&call.query)?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        app.control.enter_refusals(false)?;
        app.access.settle(false)?;
        let (rows, total) = app.control.audit_rows(workspace, filter(&call.query)?, offset, limit)?;
        let entries = rows.iter().map(|row| Record::of(&app.control, row)).collect();
        json::answer(StatusCode::OK, &List { entries, total })
    })
    .await
}

/// `GET /v1/admin/audit/head`
pub(crate) async fn head(call: Call) -> Result<Answer<Head>, ApiError> {
    let workspace = call.caller()?.reach_of_the_past()?.workspace();
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        app.control.enter_refusals(false)?;
        app.access.settle(false)?;
        let head = app.control.audit_head(workspace)?;
        json::answer(
            StatusCode::OK,
            &Head {
                workspace: head.workspace,
                entries: head.entries,
                hash: random::hex(&head.hash),
                at: clock::rfc3339(clock::now_ms()),
            },
        )
    })
    .await
}

/// `GET /v1/admin/audit/export`: oldest first, a line for each row, with all that its hash is over.
pub(crate) async fn export(call: Call) -> Result<Answer<JsonLines>, ApiError> {
    let workspace = call.caller()?.reach_of_the_past()?.workspace();
    let (app, by) = (call.app.clone(), call.by()?);
    let beginning = app.clone();
    let begun = app.pool.run(move || {
        beginning.control.enter_refusals(false)?;
        beginning.access.settle(false)?;
        beginning
            .control
            .enter(|| vec![Entry::done(workspace, by, Action::AuditExport, random::hex(&workspace.0))])?;
        Ok(beginning.control.audit_head(workspace)?.entries)
    });
    let last = begun.await?;
    let (sender, body) = pages::body();
    tokio::spawn(send_pages(app, workspace, last, sender));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"audit.jsonl\""),
    );
    Ok(Answer::of(response))
}

/// Reads page after page as the reader takes them.
async fn send_pages(app: Arc<App>, workspace: WorkspaceId, last: u64, sender: pages::Sender) {
    let mut after = 0;
    while after < last {
        let reading = app.clone();
        let read = app.pool.run(move || {
            let rows = reading.control.audit_rows_after(workspace, after, PAGE)?;
            let rows: Vec<_> = rows.into_iter().filter(|row| row.seq <= last).collect();
            let lines =
                rows.iter().fold(String::new(), |text, row| text + &line(workspace, row).to_string() + "\n");
            Ok((rows.last().map(|row| row.seq), lines))
        });
        let sent = match read.await {
            Ok((Some(seq), lines)) => {
                after = seq;
                sender.send(Ok(lines.into())).await
            }
            Ok((None, _)) => return,
            Err(error) => {
                // The connection is cut, so that nobody takes a part for the whole.
                log::error(&format!(
                    "an export of the audit log broke off: {}",
                    error.cause.unwrap_or(error.code.to_owned())
                ));
                sender.send(Err(pages::Cut)).await.ok();
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
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
    let time = |name: &str| {
        let read = |text| {
            clock::parse_rfc3339(text).ok_or_else(|| {
                ApiError::malformed(
                    "invalid_parameter",
                    format!("{name} must be a time, as in 2030-01-31T00:00:00Z"),
                )
            })
        };
        query.get(name).map(read).transpose()
    };
    Ok(AuditFilter {
        action: word("action")?,
        actor_id: word("actor_id")?,
        resource_type: word("resource_type")?,
        resource_id: word("resource_id")?,
        since_ms: time("since")?,
        until_ms: time("until")?,
    })
}

impl Record {
    fn of(control: &Control, row: &AuditRow) -> Self {
        Self {
            id: row.seq.to_string(),
            actor_id: row.actor.id().to_owned(),
            actor_email: row.actor.member_id().and_then(|id| control.email_of(id)),
            api_key_id: row.actor.key_id().map(str::to_owned),
            action: row.action.clone(),
            resource_type: row.resource_type.clone(),
            resource_id: row.resource_id.clone(),
            metadata: Details {
                outcome: row.outcome.clone(),
                receipt_id: row.receipt.clone(),
                request_id: row.request_id.clone(),
                times: row.times,
                hash: random::hex(&row.hash),
            },
            ip: row.peer.clone(),
            user_agent: row.user_agent.clone(),
            created_at: clock::rfc3339(row.at_ms),
        }
    }
}

/// A row as it is hashed.
fn line(workspace: WorkspaceId, row: &AuditRow) -> Value {
    json!({
        "workspace": random::hex(&workspace.0),
        "seq": row.seq,
        "at_ms": row.at_ms,
        "actor_kind": row.actor.kind(),
        "actor_id": row.actor.stored_id(),
        "action": row.action,
        "resource_type": row.resource_type,
        "resource_id": row.resource_id,
        "receipt": row.receipt,
        "outcome": row.outcome,
        "request_id": row.request_id,
        "peer": row.peer,
        "user_agent": row.user_agent,
        "times": row.times,
        "note": row.note.as_deref().map(random::hex),
        "hash": random::hex(&row.hash),
    })
}
