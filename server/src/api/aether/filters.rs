//! Which documents does a search or a listing ask for?
//!
//! The same filter comes in a query string or as JSON fields. Every field given narrows the result; the engine applies
//! them inside the scan.

use serde::Deserialize;
use strongroom_engine::Filter;

use super::fields;
use super::grammar::{self, Clause};
use super::turns;
use crate::clock;
use crate::config::Limits;
use crate::ingest::media;
use crate::message::error::ApiError;
use crate::message::json::Texts;
use crate::message::query::Query;

/// A filter as it came.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct FilterFields {
    pub(super) tags: Option<Texts>,
    pub(super) any_tags: Option<Texts>,
    pub(super) content_type: Option<Texts>,
    pub(super) source: Option<Texts>,
    pub(super) entity_id: Option<String>,
    pub(super) thread_id: Option<String>,
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
    pub(super) last_n_days: Option<u64>,
    pub(super) filter: Option<Clause>,
}

/// A hundred years, so that nobody's "everything" is refused and no sum overflows.
const DAYS_MAX: u64 = 36_500;

impl FilterFields {
    pub(crate) fn of_query(query: &Query) -> Result<Self, ApiError> {
        let texts = |name| query.text(name).map(|text| Texts::Joined(text.to_owned()));
        let text = |name| query.text(name).map(str::to_owned);
        Ok(Self {
            tags: texts("tags"),
            any_tags: texts("any_tags"),
            content_type: texts("content_type"),
            source: texts("source"),
            entity_id: text("entity_id"),
            thread_id: query.get("thread_id").map(str::to_owned),
            since: text("since"),
            until: text("until"),
            filter: query.get("filter").map(grammar::parse).transpose()?,
            last_n_days: query.number("last_n_days", 0..=DAYS_MAX)?,
        })
    }

    /// What it asks of a document. Nothing longer is taken than a document can carry.
    pub(crate) fn into_filter(self, now_ms: u64, limits: &Limits) -> Result<Filter, ApiError> {
        let since_ms = match (self.since, self.last_n_days) {
            (Some(_), Some(_)) => {
                return Err(ApiError::malformed(
                    "invalid_parameter",
                    "give either since or last_n_days, not both",
                ));
            }
            (Some(since), None) => Some(time("since", &since)?),
            (None, Some(days)) if days > DAYS_MAX => {
                return Err(ApiError::malformed(
                    "invalid_parameter",
                    format!("last_n_days is at most {DAYS_MAX}"),
                ));
            }
            (None, days) => days.map(|days| now_ms.saturating_sub(days * clock::DAY_MS)),
        };
        let names = |what, texts| fields::list(what, texts, limits.name_bytes_max, limits);
        let content_types = names("content_type", self.content_type)?;
        let entity = self.entity_id.filter(|id| !id.is_empty());
        entity.as_deref().map_or(Ok(()), |id| fields::name("entity_id", id, limits))?;
        let thread = self.thread_id.as_deref().map(turns::checked).transpose()?;
        Ok(Filter {
            ids: thread.map(turns::ids_of),
            all_tags: fields::tags(self.tags, limits)?,
            any_tags: fields::list("any_tags", self.any_tags, limits.tag_bytes_max, limits)?,
            entity,
            sources: names("source", self.source)?,
            content_types: content_types.iter().map(|kind| media::checked(kind)).collect::<Result<_, _>>()?,
            since_ms,
            until_ms: self.until.map(|until| time("until", &until)).transpose()?,
            condition: self.filter.map(|filter| grammar::condition(filter, limits)).transpose()?,
        })
    }
}

fn time(name: &str, text: &str) -> Result<u64, ApiError> {
    clock::parse_rfc3339(text).ok_or_else(|| {
        ApiError::malformed(
            "invalid_parameter",
            format!("{name} must be a time as in RFC 3339, such as 2026-06-01T00:00:00Z"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Result<Filter, ApiError> {
        FilterFields::of_query(&Query::parse(query)?)?.into_filter(100 * clock::DAY_MS, &Limits::default())
    }

    /// Lost otherwise: a filter would be left out and documents returned that were not asked for.
    #[test]
    fn every_field_narrows() {
        let all = filter("tags=a,b&any_tags=c&content_type=Text/Plain,text/html&source=crm&entity_id=e&until=1970-01-02T00:00:00Z&since=1970-01-01T00:00:01Z").unwrap();
        assert_eq!(all.all_tags, ["a", "b"]);
        assert_eq!(all.any_tags, ["c"]);
        assert_eq!(all.content_types, ["text/plain", "text/html"]);
        assert_eq!((all.sources, all.entity), (vec!["crm".to_owned()], Some("e".to_owned())));
        assert_eq!((all.since_ms, all.until_ms), (Some(1000), Some(clock::DAY_MS)));
        assert!(filter("thread_id=a").unwrap().ids.unwrap().fit("thr_a_00000007"));
        assert_eq!(filter("last_n_days=3").unwrap().since_ms, Some(97 * clock::DAY_MS));
        assert_eq!(filter("").unwrap(), Filter::default());
    }

    /// Lost otherwise: a time that can't be read would count as no limit at all.
    #[test]
    fn what_cannot_be_read_is_refused() {
        for query in [
            "since=yesterday",
            "until=1",
            "last_n_days=-1",
            "last_n_days=1&since=2026-06-01T00:00:00Z",
            "tags=a,,b",
            "thread_id=",
            "thread_id=%20",
            "thread_id=..",
            "thread_id=a%00",
        ] {
            assert_eq!(filter(query).unwrap_err().status.as_u16(), 400, "{query}");
        }
    }

    /// Lost otherwise: one request's filter could cost the scan of a million labels, or ask for what no document
    /// can be.
    #[test]
    fn a_filter_is_no_longer_than_a_document_can_carry() {
        let many = |n: usize| (0..n).map(|n| format!("t{n}")).collect::<Vec<_>>().join(",");
        assert_eq!(filter(&format!("tags={}", many(64))).unwrap().all_tags.len(), 64);
        let long = "x".repeat(1025);
        for query in [
            format!("tags={}", many(65)),
            format!("any_tags={}", many(65)),
            format!("source={}", many(65)),
            format!("tags={}", &long[..257]),
            format!("any_tags={}", &long[..257]),
            format!("source={long}"),
            format!("entity_id={long}"),
            "content_type=%3B".to_owned(),
            "content_type=plain".to_owned(),
        ] {
            assert_eq!(filter(&query).unwrap_err().status.as_u16(), 400, "{query}");
        }
    }
}
