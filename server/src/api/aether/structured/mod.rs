//! What do the documents of a partition come to, counted and summed exactly?
//!
//! `POST /v1/query` without `collections`: a filter as in searches, then either a page of documents in an order of the caller's, or
//! groups of them with aggregates. No model is asked, nothing is sampled: one look at one state of the partition (`fold`).
//!
//! Invariants:
//! 1. What can't be answered whole is refused: more documents or groups than the limits, sums over what is no number.
//! 2. Documents without a field are a group of their own (null), and count for no aggregate of that field.

mod aggregate;
mod value;

use std::time::Instant;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_engine::{DocumentInfo, Filter};

use super::declared::Declared;
use super::filters::FilterFields;
use super::grammar::Clause;
use super::record::Record;
use crate::app::App;
use crate::auth::Place;
use crate::call::Call;
use crate::clock;
use crate::ingest;
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::usage::Tally;
use aggregate::{Aggregate, Group, Wish};
use value::{FieldName, Known, Names};

/// Documents that one query looks at.
const SCANNED_MAX: u64 = 100_000;
/// Groups that one query makes.
const GROUPS_MAX: usize = 10_000;
const GROUP_FIELDS_MAX: usize = 2;
const AGGREGATES_MAX: usize = 16;
const SORTS_MAX: usize = 8;
const LIMIT: u64 = 50;
const LIMIT_MAX: u64 = 1000;

/// A structured query as it came.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StructuredQuery")]
pub(crate) struct Body {
    #[serde(default)]
    filter: Option<Clause>,
    #[serde(default)]
    group_by: Vec<String>,
    #[serde(default)]
    aggregate: Vec<Wish>,
    #[serde(default)]
    sort: Vec<Sort>,
    #[serde(default)]
    limit: Option<u64>,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    partition: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sort {
    by: String,
    #[serde(default)]
    dir: Direction,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SortDirection")]
pub(crate) enum Direction {
    #[default]
    Asc,
    Desc,
}

/// A page of documents, or groups of them.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "StructuredAnswer")]
pub(crate) enum Structured {
    Documents {
        #[schemars(with = "Vec<Record<'static>>")]
        documents: Vec<Value>,
        total: u64,
        has_more: bool,
        offset: u64,
    },
    Groups {
        groups: Vec<Told>,
        total_groups: usize,
        /// Documents that were looked at.
        scanned: u64,
    },
}

/// A group of documents.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DocumentGroup")]
pub(crate) struct Told {
    /// What the documents have in common, by field.
    keys: Map<String, Value>,
    /// What they come to, by name.
    aggregates: Map<String, Value>,
}

fn invalid(why: impl Into<String>) -> ApiError {
    ApiError::malformed("invalid_query", why.into())
}

/// `POST /v1/query` with a body that names no collections.
pub(in crate::api) async fn query(call: Call, body: Value) -> Result<Answer<Structured>, ApiError> {
    let body: Body =
        serde_json::from_value(body).map_err(|error| invalid(format!("the body does not fit: {error}")))?;
    let place = call.place_for(body.partition.as_deref())?;
    if body.limit.is_some_and(|limit| limit == 0 || limit > LIMIT_MAX) {
        return Err(invalid(format!("limit is 1 to {LIMIT_MAX}")));
    }
    if body.group_by.len() > GROUP_FIELDS_MAX
        || body.aggregate.len() > AGGREGATES_MAX
        || body.sort.len() > SORTS_MAX
    {
        return Err(invalid(format!(
            "a query has at most {GROUP_FIELDS_MAX} fields to group by, {AGGREGATES_MAX} aggregates and {SORTS_MAX} sorts"
        )));
    }
    if body.aggregate.is_empty() && !body.group_by.is_empty() {
        return Err(invalid("group_by needs aggregate, such as [{\"op\": \"count\"}]"));
    }
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let begun = Instant::now();
        let declared = Declared::load(&app, &place)?;
        let names = Names { declared: &declared, limits: &app.limits };
        let filter = body.filter.map(|filter| filter.resolved(&declared)).transpose()?;
        let filter = FilterFields { filter, ..FilterFields::default() };
        let filter = filter.into_filter(clock::now_ms(), &app.limits)?;
        let answer = if body.aggregate.is_empty() {
            page(&app, &place, &filter, (&body.sort, &names), (body.offset, body.limit))?
        } else {
            let wanted = Wanted::new(body.group_by, body.aggregate, body.sort, &names)?;
            groups(&app, &place, &filter, &wanted, (body.offset, body.limit))?
        };
        app.usage.count(&place, place.key(), Tally::of_search(begun.elapsed(), 0));
        json::answer(StatusCode::OK, &answer)
    })
    .await
}

/// All that match, folded; what nothing was folded into when there is no partition.
fn fold<R>(
    app: &App,
    place: &Place,
    filter: &Filter,
    begin: impl Fn() -> R,
    add: impl Fn(&mut R, DocumentInfo),
) -> Result<R, ApiError> {
    let folded =
        ingest::read(&app.store, place, |partition| partition.fold(filter, SCANNED_MAX, &begin, &add))?;
    folded.unwrap_or_else(|| Some(begin())).ok_or_else(|| {
        invalid(format!(
            "more than {SCANNED_MAX} documents match; narrow the filter, nothing was left out in silence"
        ))
    })
}

fn page(
    app: &App,
    place: &Place,
    filter: &Filter,
    (sort, names): (&[Sort], &Names<'_>),
    (offset, limit): (u64, Option<u64>),
) -> Result<Structured, ApiError> {
    let by = sort.iter().map(|sort| Ok((FieldName::parse(&sort.by, names)?, sort.dir)));
    let by = by.collect::<Result<Vec<_>, ApiError>>()?;
    let found = fold(app, place, filter, Vec::new, |found: &mut Vec<_>, document| {
        let keys: Vec<Known> = by.iter().map(|(field, _)| field.first_of(&document)).collect();
        found.push((keys, document.created_ms, document.id));
    })?;
    let mut found = found;
    found.sort_by(|a, b| {
        let each = a.0.iter().zip(&b.0).zip(&by);
        let by_fields = each.map(|((a, b), (_, dir))| value::in_order(a, b, *dir == Direction::Desc));
        // Else newest first, as lists are.
        let rest = b.1.cmp(&a.1).then_with(|| a.2.cmp(&b.2));
        by_fields.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then).then(rest)
    });
    let total = found.len() as u64;
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    let most = usize::try_from(limit.unwrap_or(LIMIT)).unwrap_or(usize::MAX);
    let mut records = Vec::new();
    for (_, _, id) in found.iter().skip(from).take(most) {
        // One that went meanwhile is left out.
        let document = ingest::read(&app.store, place, |partition| partition.get(id))?.flatten();
        place.lists(&document);
        records.extend(document.map(|document| serde_json::json!(Record::new(&document, place.partition()))));
    }
    let has_more = offset.saturating_add(most as u64) < total;
    Ok(Structured::Documents { documents: records, total, has_more, offset })
}

/// Groups that are wanted, and in which order.
struct Wanted {
    group_by: Vec<(String, FieldName)>,
    aggregates: Vec<Aggregate>,
    sort: Vec<(Key, Direction)>,
}

/// What groups are sorted by.
enum Key {
    Group(usize),
    Aggregate(usize),
}

impl Wanted {
    fn new(
        group_by: Vec<String>,
        wishes: Vec<Wish>,
        sort: Vec<Sort>,
        names: &Names<'_>,
    ) -> Result<Self, ApiError> {
        let named = group_by.into_iter().map(|name| Ok((name.clone(), FieldName::parse(&name, names)?)));
        let group_by = named.collect::<Result<Vec<_>, ApiError>>()?;
        let aggregates = wishes.into_iter().map(|wish| Aggregate::of(wish, names));
        let aggregates = aggregates.collect::<Result<Vec<_>, _>>()?;
        let outputs = group_by.iter().map(|(name, _)| name).chain(aggregates.iter().map(|one| &one.name));
        let mut outputs: Vec<&String> = outputs.collect();
        outputs.sort_unstable();
        if let Some(twice) = outputs.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(invalid(format!("two outputs are called {:?}; name them with \"as\"", twice[0])));
        }
        let key = |by: &str| {
            let group = group_by.iter().position(|(name, _)| name == by).map(Key::Group);
            let aggregate = || aggregates.iter().position(|one| one.name == by).map(Key::Aggregate);
            group
                .or_else(aggregate)
                .ok_or_else(|| invalid(format!("groups have nothing called {by:?} to sort by")))
        };
        let sort =
            sort.iter().map(|sort| Ok((key(&sort.by)?, sort.dir))).collect::<Result<Vec<_>, ApiError>>()?;
        Ok(Self { group_by, aggregates, sort })
    }
}

fn groups(
    app: &App,
    place: &Place,
    filter: &Filter,
    wanted: &Wanted,
    (offset, limit): (u64, Option<u64>),
) -> Result<Structured, ApiError> {
    let begin = || (aggregate::Groups::new(), 0_u64, None::<ApiError>);
    let (groups, scanned, failure) =
        fold(app, place, filter, begin, |(groups, scanned, failure), document| {
            *scanned += 1;
            let keys = wanted.group_by.iter().map(|(_, field)| field.first_of(&document)).collect();
            let known = groups.len();
            let group: &mut Group = groups.entry(keys).or_insert_with(|| Group::new(&wanted.aggregates));
            if let Err(error) = group.add(&wanted.aggregates, &document) {
                failure.get_or_insert(error);
            }
            if known >= GROUPS_MAX && groups.len() > GROUPS_MAX {
                failure.get_or_insert_with(|| {
                    invalid(format!("the documents make more than {GROUPS_MAX} groups; narrow the filter"))
                });
                groups.clear();
            }
        })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let mut rows: Vec<(Vec<Known>, Vec<Known>)> =
        groups.into_iter().map(|(keys, group)| (keys, group.finish(&wanted.aggregates))).collect();
    // Without any document, what is asked of all of them has an answer as well.
    if rows.is_empty() && wanted.group_by.is_empty() {
        rows.push((Vec::new(), Group::new(&wanted.aggregates).finish(&wanted.aggregates)));
    }
    rows.sort_by(|a, b| {
        let by = wanted.sort.iter().map(|(key, dir)| {
            let is_falling = *dir == Direction::Desc;
            match key {
                Key::Group(at) => value::in_order(&a.0[*at], &b.0[*at], is_falling),
                Key::Aggregate(at) => value::in_order(&a.1[*at], &b.1[*at], is_falling),
            }
        });
        by.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then).then_with(|| a.0.cmp(&b.0))
    });
    let total = rows.len();
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    let most = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let told = rows.into_iter().skip(from).take(most).map(|(keys, values)| {
        let keys: Map<String, Value> =
            wanted.group_by.iter().map(|(name, _)| name.clone()).zip(keys.iter().map(Known::told)).collect();
        let values: Map<String, Value> = wanted
            .aggregates
            .iter()
            .map(|one| one.name.clone())
            .zip(values.iter().map(Known::told))
            .collect();
        Told { keys, aggregates: values }
    });
    Ok(Structured::Groups { groups: told.collect(), total_groups: total, scanned })
}
