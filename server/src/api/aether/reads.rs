//! Who read what, and who was refused?
//!
//! The audit log's rows of reads and refusals, in the shape that the client reads. Who acted for whom, and on which document or
//! search, is opened with the key of the partition that it happened in; where that key is gone, the row tells no more than the
//! audit log does.
//!
//! Invariants:
//! 1. A key that is pinned to a partition is told of that partition alone.
//! 2. What is counted is settled and written down before the log is read.
//! 3. A page is of all rows that match: what can't be looked through as a whole is refused.

use std::sync::Arc;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use strongroom_engine::{Reach, Scope};

use crate::access::{DOCUMENT, Note, QUERY, THREAD};
use crate::app::App;
use crate::auth::Named;
use crate::call::Call;
use crate::clock;
use crate::control::{AccessFilter, Action, Actor, AuditRow};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::message::query::Query;
use crate::random;

const LIMIT: u64 = 100;
const LIMIT_MAX: u64 = 1000;
/// Rows that one request opens to look for an actor or a resource.
const SCANNED_MAX: u64 = 50_000;

/// One read or refusal.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AccessRecord")]
pub(crate) struct Record {
    /// When it was the first time.
    at: String,
    /// Whom the request said that it acts for; else `key:…`, `member:…`, `operator` or `anonymous`.
    actor: String,
    /// `read`, `search_hit`, `denied` or `admin_bypass`.
    action: &'static str,
    /// `document:…`, `thread:…` or `query:…`; `route:…` of a request that was refused as a whole, and `partition:…`, its
    /// incarnation, where nothing more is known.
    resource: String,
    /// `ok`, `denied` or `admin_bypass`.
    outcome: &'static str,
    source: &'static str,
    /// How often, where like ones of a minute are written down as one.
    times: u64,
    /// The entry of the audit log that this is.
    entry: u64,
    request_id: Option<String>,
}

/// Reads and refusals, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AccessRecords")]
pub(crate) struct Records {
    records: Vec<Record>,
    /// All that match.
    total: u64,
}

/// What is asked for.
struct Wanted {
    actor: Option<String>,
    resource: Option<String>,
    actions: &'static [Action],
    since_ms: Option<u64>,
    until_ms: Option<u64>,
    offset: u64,
    limit: u64,
}

impl Wanted {
    fn of(query: &Query) -> Result<Self, ApiError> {
        let word = |name: &str| match query.get(name) {
            Some("") => Err(ApiError::malformed(
                "invalid_parameter",
                format!("{name} is empty: leave it out to see all, or give the one that is wanted"),
            )),
            word => Ok(word.map(str::to_owned)),
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
        Ok(Self {
            actor: word("actor")?,
            resource: word("resource")?,
            actions: actions(query.get("action"))?,
            since_ms: time("since")?,
            until_ms: time("until")?,
            offset: query.number("offset", 0..=u64::MAX)?.unwrap_or(0),
            limit: query.number("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT),
        })
    }

    fn matches(&self, record: &Record) -> bool {
        let is_resource = |wanted: &String| {
            record.resource == *wanted
                || [DOCUMENT, QUERY, THREAD]
                    .iter()
                    .any(|kind| record.resource.strip_prefix(kind) == Some(wanted.as_str()))
        };
        self.actor.as_ref().is_none_or(|actor| record.actor == *actor)
            && self.resource.as_ref().is_none_or(is_resource)
    }
}

/// The audit log's acts of which an action speaks.
fn actions(word: Option<&str>) -> Result<&'static [Action], ApiError> {
    Ok(match word {
        None => &[
            Action::DocumentRead,
            Action::SearchHit,
            Action::DocumentHidden,
            Action::Denied,
            Action::LabelBypass,
        ],
        Some("read") => &[Action::DocumentRead],
        Some("search_hit") => &[Action::SearchHit],
        Some("denied") => &[Action::DocumentHidden, Action::Denied],
        Some("admin_bypass") => &[Action::LabelBypass],
        Some(_) => {
            return Err(ApiError::malformed(
                "invalid_parameter",
                "action is read, search_hit, denied or admin_bypass",
            ));
        }
    })
}

/// `GET /v1/audit/access`
pub(crate) async fn list(call: Call) -> Result<Answer<Records>, ApiError> {
    let wanted = Wanted::of(&call.query)?;
    let caller = call.caller()?;
    let reach = caller.reach_of_reads()?;
    let scope = match call.query.get("partition") {
        None => reach,
        named => Some(caller.place(Named { collection: None, partition: named })?.scope),
    };
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let (records, total) = match scope {
            Some(scope) => find(&app, &scope, &wanted)?,
            None => (Vec::new(), 0),
        };
        json::answer(StatusCode::OK, &Records { records, total })
    })
    .await
}

fn find(app: &Arc<App>, scope: &Scope, wanted: &Wanted) -> Result<(Vec<Record>, u64), ApiError> {
    app.control.enter_refusals(false)?;
    app.access.settle(false)?;
    let incarnation = match scope.reach() {
        Reach::Partition(at) => match app.store.partition_info(scope, at)? {
            Some(info) => Some(random::hex(&info.incarnation)),
            None => return Ok((Vec::new(), 0)),
        },
        Reach::Workspace | Reach::Collection(_) => None,
    };
    let filter = AccessFilter {
        actions: wanted.actions,
        incarnation: incarnation.as_deref(),
        since_ms: wanted.since_ms,
        until_ms: wanted.until_ms,
    };
    let looks_inside = wanted.actor.is_some() || wanted.resource.is_some();
    if !looks_inside {
        let (rows, total) =
            app.control.access_rows(scope.workspace(), filter, wanted.offset, wanted.limit)?;
        return Ok((told(app, scope, &rows)?, total));
    }
    let (rows, total) = app.control.access_rows(scope.workspace(), filter, 0, SCANNED_MAX)?;
    if total > SCANNED_MAX {
        return Err(ApiError::malformed(
            "too_many_records",
            format!(
                "{total} records would have to be looked through for this actor or resource, at most {SCANNED_MAX}: narrow it by \
                 since, until or action"
            ),
        ));
    }
    let mut found = told(app, scope, &rows)?;
    found.retain(|record| wanted.matches(record));
    let total = found.len() as u64;
    let (from, most) = (whole(wanted.offset), whole(wanted.limit));
    Ok((found.into_iter().skip(from).take(most).collect(), total))
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Rows with what their notes say.
fn told(app: &Arc<App>, scope: &Scope, rows: &[AuditRow]) -> Result<Vec<Record>, ApiError> {
    let notes: Vec<&[u8]> = rows.iter().map(|row| row.note.as_deref().unwrap_or_default()).collect();
    let opened = app.store.open_notes(scope, &notes)?;
    let note = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok());
    Ok(rows.iter().zip(opened).map(|(row, bytes)| Record::of(row, note(bytes))).collect())
}

impl Record {
    fn of(row: &AuditRow, note: Option<Note>) -> Self {
        let (principal, resource, at_ms) = match note {
            Some(Note { principal, resource, at_ms }) => (principal, resource, at_ms),
            None => (None, None, row.at_ms),
        };
        let id = row.resource_id.as_deref().unwrap_or_default();
        let is = |action: Action| row.action == action.word();
        let (action, outcome) = if is(Action::DocumentRead) {
            ("read", "ok")
        } else if is(Action::SearchHit) {
            ("search_hit", "ok")
        } else if is(Action::LabelBypass) {
            ("admin_bypass", "admin_bypass")
        } else {
            ("denied", "denied")
        };
        let kind = if is(Action::Denied) { "route" } else { "partition" };
        Self {
            at: clock::rfc3339(at_ms),
            actor: principal.unwrap_or_else(|| actor(&row.actor)),
            action,
            resource: resource.unwrap_or_else(|| format!("{kind}:{id}")),
            outcome,
            source: "access",
            times: row.times,
            entry: row.seq,
            request_id: row.request_id.clone(),
        }
    }
}

/// A key by what listings of keys call its prefix.
fn actor(actor: &Actor) -> String {
    match actor {
        Actor::Key(id) => format!("key:sr_live_{id}"),
        Actor::Member(id) => format!("member:{id}"),
        Actor::Operator | Actor::System | Actor::Anonymous => actor.id().to_owned(),
    }
}
