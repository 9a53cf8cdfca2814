//! What does a caller learn of what was used?
//!
//! `GET /v1/usage`, as bigRAG's client reads it, and more: by day, by key and by partition, as JSON or as CSV.
//!
//! Invariants:
//! 1. A pinned key is told of its own part alone: of its partition, or its collection; and of no key but itself.
//! 2. Partition ids are told to keys that may list partitions.
//! 3. What is stored is asked of the engine when the answer is made.

mod gather;
mod table;
mod told;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::call::Call;
use crate::control::scopes::Scope;
use crate::message::content::{Answer, Table};
use crate::message::error::ApiError;
use crate::message::json;
use crate::usage::DAYS_MAX;
use gather::{Part, Wanted};
use table::Rows;
use told::Usage;

const WINDOW_DAYS: u64 = 30;
const LIMIT: u64 = 100;
const LIMIT_MAX: u64 = 1000;

/// `GET /v1/usage`
pub(crate) async fn get(call: Call) -> Result<Answer<Table<Usage>>, ApiError> {
    let (caller, query) = (call.caller()?, &call.query);
    let number = |name, range, usual| Ok::<_, ApiError>(query.number(name, range)?.unwrap_or(usual));
    let window_days = number("window_days", 1..=u64::from(DAYS_MAX), WINDOW_DAYS)?;
    let wants_csv = match (query.get("format"), call.header(header::ACCEPT)) {
        (Some("csv"), _) => true,
        (None, Some(accept)) => accept.as_bytes().starts_with(b"text/csv"),
        (None | Some("json"), _) => false,
        (Some(_), _) => return Err(ApiError::malformed("invalid_parameter", "format must be json or csv")),
    };
    let by = match query.get("by") {
        None | Some("day") => Rows::Day,
        Some("collection") => Rows::Collection,
        Some("key") => Rows::Key,
        Some("partition") => Rows::Partition,
        Some(_) => {
            let text = "by, which is for CSV, must be day, collection, key or partition";
            return Err(ApiError::malformed("invalid_parameter", text));
        }
    };
    let wanted = Wanted {
        workspace: caller.workspace()?.id,
        window_days: u32::try_from(window_days).unwrap_or(DAYS_MAX),
        limit: usize::try_from(number("limit", 1..=LIMIT_MAX, LIMIT)?).unwrap_or(usize::MAX),
        offset: usize::try_from(number("offset", 0..=u64::MAX, 0)?).unwrap_or(usize::MAX),
        part: Part::of(caller)?,
        own_key: caller.key_id().map(str::to_owned),
        names_partitions: caller.require(Scope::PartitionRead).is_ok(),
    };
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        if wants_csv {
            let usage = serde_json::to_value(wanted.answer(&app)?);
            let usage = usage.map_err(|error| ApiError::internal(format!("answer: {error}")))?;
            return Ok(Answer::of(csv(by.text(&usage))));
        }
        Ok(Answer::of(json::answer(StatusCode::OK, &wanted.answer(&app)?)?.into_response()))
    })
    .await
}

fn csv(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers
        .insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"usage.csv\""));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
