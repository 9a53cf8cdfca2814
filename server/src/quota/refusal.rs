//! How is it told that a limit was reached?
//!
//! 429, with the limit, on whom it is, and when it renews. The words name a subject as the caller knows it ("this partition"),
//! never by a name that belongs to somebody else.

use axum::http::StatusCode;

use super::rest_of_day_ms;
use crate::clock;
use crate::control::quotas::Subject;
use crate::message::error::ApiError;

/// What a limit on what is stored says: nothing renews it but a deletion, so a client may come back in an hour.
const STORED_AFTER_SECONDS: u32 = 3600;

/// A limit that was reached.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    /// What is limited, as in "queries a day".
    what: &'static str,
    most: String,
    used: Option<u64>,
    /// When to come back, and whether that is the day's end.
    after_seconds: u32,
    renews: Renews,
}

#[derive(Debug, Clone, Copy)]
enum Renews {
    Steadily,
    AtMidnight,
    ByDeletion,
}

/// A limit and on whom it is.
pub(super) struct Refusal {
    on: &'static str,
    limit: Limit,
}

/// Whole seconds, at least one.
pub(super) fn seconds(us: u64) -> u32 {
    u32::try_from(us.div_ceil(1_000_000)).unwrap_or(u32::MAX).max(1)
}

impl Limit {
    pub(super) fn rate(per_second: f64, wait_us: u64) -> Self {
        Self {
            what: "requests a second",
            most: per_second.to_string(),
            used: None,
            after_seconds: seconds(wait_us),
            renews: Renews::Steadily,
        }
    }

    pub(super) fn by_day(what: &'static str, most: u64, used: u64) -> Self {
        let after_seconds = seconds(rest_of_day_ms().saturating_mul(1000));
        Self { what, most: most.to_string(), used: Some(used), after_seconds, renews: Renews::AtMidnight }
    }

    pub(super) fn stored(what: &'static str, most: u64, used: u64) -> Self {
        let after_seconds = STORED_AFTER_SECONDS;
        Self { what, most: most.to_string(), used: Some(used), after_seconds, renews: Renews::ByDeletion }
    }
}

impl Refusal {
    pub(super) fn new(subject: &Subject, limit: Limit) -> Self {
        let on = match subject {
            Subject::Workspace(_) => "this workspace",
            Subject::Collection(..) => "this collection",
            Subject::Partition(..) | Subject::EachPartition(..) => "this partition",
            Subject::Key(..) => "this API key",
        };
        Self { on, limit }
    }

    pub(super) fn error(&self) -> ApiError {
        let (on, limit) = (self.on, &self.limit);
        let used = limit.used.map(|used| format!(", {used} of them are used")).unwrap_or_default();
        let renews = match limit.renews {
            Renews::Steadily => format!("it renews all the time; come back in {} s", limit.after_seconds),
            Renews::AtMidnight => {
                let midnight = clock::now_ms() + rest_of_day_ms();
                format!("it renews at {}", clock::rfc3339(midnight / 1000 * 1000))
            }
            Renews::ByDeletion => {
                "it does not renew by itself: delete something, or have it raised".to_owned()
            }
        };
        let code = if matches!(limit.renews, Renews::Steadily) { "rate_limited" } else { "quota_exceeded" };
        let text = format!("{on} has a limit of {} {}{used}; {renews}", limit.most, limit.what);
        let mut error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, code, text);
        error.retry_after_seconds = Some(limit.after_seconds);
        error
    }
}
