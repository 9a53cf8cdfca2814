//! What time is it, and how is a time written?
//!
//! The server's only reading of the wall clock. Times are milliseconds since 1970, UTC, inside, and RFC 3339 outside.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds in a day.
pub(crate) const DAY_MS: u64 = 86_400_000;

/// Now, in milliseconds since 1970; 0 on a clock that stands before it.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

/// The time as RFC 3339 in UTC, always to the millisecond, so that times sort as texts.
pub(crate) fn rfc3339(ms: u64) -> String {
    let nanos = i128::from(ms) * 1_000_000;
    let Some(time) = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().filter(|time| time.year() <= 9999)
    else {
        return "9999-12-31T23:59:59.999Z".to_owned();
    };
    let (date, month) = (time.date(), u8::from(time.month()));
    format!(
        "{:04}-{month:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year(),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    )
}

/// Reads an RFC 3339 time. A time before 1970 counts as 1970: nothing here is older.
pub(crate) fn parse_rfc3339(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(u64::try_from(time.unix_timestamp_nanos().max(0) / 1_000_000).unwrap_or(u64::MAX))
}

/// Where the calendar month of this time begins, and where the next one does.
pub(crate) fn month_of(ms: u64) -> (u64, u64) {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    let date = OffsetDateTime::from_unix_timestamp(seconds).map_or(time::Date::MAX, OffsetDateTime::date);
    let first = |date: time::Date| date.replace_day(1).unwrap_or(date);
    let begin = |date: time::Date| {
        u64::try_from(date.midnight().assume_utc().unix_timestamp()).unwrap_or(0).saturating_mul(1000)
    };
    let this = first(date);
    let next = this.checked_add(time::Duration::days(31)).map_or(time::Date::MAX, first);
    (begin(this), begin(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a `since` taken from a record's `created_at` would leave out that very record.
    #[test]
    fn times_survive_the_way_out_and_back() {
        for ms in [0, 1, 999, 1_700_000_000_123, 253_402_300_799_999] {
            assert_eq!(parse_rfc3339(&rfc3339(ms)), Some(ms));
        }
        assert_eq!(rfc3339(1_700_000_000_100), "2023-11-14T22:13:20.100Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(parse_rfc3339("2026-06-01T02:00:00+02:00"), parse_rfc3339("2026-06-01T00:00:00Z"));
        assert_eq!(parse_rfc3339("1960-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_rfc3339("yesterday"), None);
    }

    /// Lost otherwise: a plan's month would end on another day than the customer's calendar says.
    #[test]
    fn months_are_those_of_the_calendar() {
        for (now, begin, next) in [
            ("2026-01-31T23:59:59.999Z", "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"),
            ("2026-02-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"),
            ("2028-02-29T12:00:00.000Z", "2028-02-01T00:00:00.000Z", "2028-03-01T00:00:00.000Z"),
            ("2026-12-31T00:00:00.000Z", "2026-12-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"),
        ] {
            let (found, after) = month_of(parse_rfc3339(now).unwrap());
            assert_eq!((rfc3339(found).as_str(), rfc3339(after).as_str()), (begin, next), "{now}");
        }
    }
}
