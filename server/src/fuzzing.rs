//! What does the server make of a filter that anyone may send?
//!
//! The doors behind which filters are read, opened for the fuzzers: nothing else uses them, and they promise
//! nothing to anyone else. A refusal is told by its HTTP status.

use strongroom_engine::Filter;

use crate::api::aether::filters::FilterFields;
use crate::api::aether::search::ByVector;
use crate::clock;
use crate::config::Limits;
use crate::message::error::ApiError;
use crate::message::json;
use crate::message::query::Query;

/// The filter of a query string, as searches and listings read it.
///
/// # Errors
/// The status of the refusal.
pub fn filter_of_query(raw: &str, now_ms: u64) -> Result<Filter, u16> {
    let filter = Query::parse(raw)
        .and_then(|query| FilterFields::of_query(&query))
        .and_then(|fields| fields.into_filter(now_ms, &Limits::default()));
    filter.map_err(|error: ApiError| error.status.as_u16())
}

/// The filter of a JSON body, as the search by vector reads it.
///
/// # Errors
/// The status of the refusal.
pub fn filter_of_body(body: &[u8], now_ms: u64) -> Result<Filter, u16> {
    let filter = json::parse::<ByVector>(body).and_then(|body| body.into_filter(now_ms, &Limits::default()));
    filter.map_err(|error| error.status.as_u16())
}

/// A time as the server writes it.
pub fn time_text(ms: u64) -> String {
    clock::rfc3339(ms)
}
