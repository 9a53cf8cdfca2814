//! What was remembered lately, and how much is there?
//!
//! Both calls take their fields from a JSON body (POST) or from the query (GET).

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_engine::{Condition, FieldValue, Filter, Partition, Subject, Test};

use super::reach::{Maybe, Target, look_into, target, user};
use super::record::{About, Memory};
use super::usage;
use crate::call::{Call, With};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::{clock, tenants};

const LIMIT: u64 = 20;
const LIMIT_MAX: u64 = 100;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "MemoriesWanted")]
pub(crate) struct Body {
    /// Whose they are; the organization's own without it.
    #[serde(default, deserialize_with = "json::present")]
    #[schemars(with = "String")]
    tenant_id: Maybe,
    #[serde(default)]
    user_id: Option<String>,
    /// From 1 to 100; 20 when it is not given. Not for stats.
    #[serde(default)]
    limit: Option<u64>,
}

/// Memories, the last first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Memories")]
pub(crate) struct Recent {
    success: bool,
    memories: Vec<Memory>,
    /// All that are remembered of the user.
    total: u64,
}

/// How much is remembered.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MemoryCounts")]
pub(crate) struct Counts {
    memory_count: u64,
    by_role: ByRole,
    oldest_at: Option<String>,
    newest_at: Option<String>,
    /// Recalls this month; of a tenant, not of one user.
    #[serde(skip_serializing_if = "Option::is_none")]
    queries_this_period: Option<u64>,
}

/// Memories by who said them.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "MemoriesByRole")]
pub(crate) struct ByRole {
    user: u64,
    assistant: u64,
    other: u64,
}

/// How much is remembered.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MemoryStats")]
pub(crate) struct Stats {
    success: bool,
    stats: Counts,
}

/// The fields of a call whose fields are in the query.
fn asked(call: &Call) -> Result<(Target, Body), ApiError> {
    let target = target(call, &None)?;
    let user_id = call.query.get("userId").map(str::to_owned);
    let limit = call.query.number("limit", 1..=LIMIT_MAX)?;
    Ok((target, Body { tenant_id: None, user_id, limit }))
}

async fn asked_in_body(call: &mut With<Body>) -> Result<(Target, Body), ApiError> {
    let (body, _) = call.json().await?;
    Ok((target(call, &body.tenant_id)?, body))
}

/// `POST /api/v1/memory/recent`
pub(crate) async fn recent(mut call: With<Body>) -> Result<Answer<Recent>, ApiError> {
    let asked = asked_in_body(&mut call).await?;
    answer_recent(call.into_call(), asked).await
}

/// `GET /api/v1/memory/recent`
pub(crate) async fn recent_by_query(call: Call) -> Result<Answer<Recent>, ApiError> {
    let asked = asked(&call)?;
    answer_recent(call, asked).await
}

/// A user's memories in the order in which they came in, the last first.
async fn answer_recent(call: Call, (target, body): (Target, Body)) -> Result<Answer<Recent>, ApiError> {
    let user = user(body.user_id.as_deref(), &call.app.limits)?;
    let limit = body.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let text = format!("limit must be a whole number from 1 to {LIMIT_MAX}");
        return Err(ApiError::malformed("invalid_parameter", text));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let filter = Filter { entity: Some(user), ..Filter::default() };
        // What came in one call has one time, or nearly; so that a page ends in the middle of it, more is read than shown.
        let read = limit.saturating_add(app.limits.batch_documents_max);
        let look = |partition: &Partition| {
            let page = partition.list(&filter, 0, read)?;
            let mut found: Vec<_> =
                page.documents.into_iter().map(|document| (About::of(&document), document)).collect();
            found.sort_by(|(a, first), (b, second)| {
                (second.created_ms, b.position, &second.id).cmp(&(first.created_ms, a.position, &first.id))
            });
            found.truncate(limit);
            let mut memories = Vec::with_capacity(found.len());
            for (about, document) in found {
                if let Some((document, content)) = partition.content(&document.id)? {
                    memories.push(Memory::of(&document, &about, &content));
                }
            }
            Ok((memories, page.total))
        };
        let (memories, total) = look_into(&app, &target, look)?.unwrap_or_default();
        json::answer(StatusCode::OK, &Recent { success: true, memories, total })
    })
    .await
}

/// `POST /api/v1/memory/stats`
pub(crate) async fn stats(mut call: With<Body>) -> Result<Answer<Stats>, ApiError> {
    let asked = asked_in_body(&mut call).await?;
    answer_stats(call.into_call(), asked).await
}

/// `GET /api/v1/memory/stats`
pub(crate) async fn stats_by_query(call: Call) -> Result<Answer<Stats>, ApiError> {
    let asked = asked(&call)?;
    answer_stats(call, asked).await
}

/// How much is remembered of a tenant, or of one user.
async fn answer_stats(call: Call, (target, body): (Target, Body)) -> Result<Answer<Stats>, ApiError> {
    if body.limit.is_some() {
        return Err(ApiError::malformed("malformed_body", "stats take no limit"));
    }
    let user = body.user_id.as_deref().map(|id| user(Some(id), &call.app.limits)).transpose()?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let with = |condition: Option<Condition>| Filter {
            entity: user.clone(),
            condition: Some(match condition {
                None => tenants::memories_alone(),
                Some(condition) => Condition::All(vec![tenants::memories_alone(), condition]),
            }),
            ..Filter::default()
        };
        let said_by = |role: &str| {
            let is_role = Test::In(vec![FieldValue::Text(role.to_owned())]);
            with(Some(Condition::Is(Subject::Field("role".to_owned()), is_role)))
        };
        let look = |partition: &Partition| {
            let newest = partition.list(&with(None), 0, 1)?;
            let last = usize::try_from(newest.total).unwrap_or(usize::MAX).saturating_sub(1);
            let oldest = partition.list(&with(None), last, 1)?;
            let of_user = partition.list(&said_by("user"), 0, 0)?.total;
            let of_assistant = partition.list(&said_by("assistant"), 0, 0)?.total;
            let time = |page: &[strongroom_engine::DocumentInfo]| {
                page.first().map(|document| clock::rfc3339(document.created_ms))
            };
            Ok(Counts {
                memory_count: newest.total,
                by_role: ByRole {
                    user: of_user,
                    assistant: of_assistant,
                    other: newest.total.saturating_sub(of_user + of_assistant),
                },
                oldest_at: time(&oldest.documents),
                newest_at: time(&newest.documents),
                queries_this_period: None,
            })
        };
        let mut stats = look_into(&app, &target, look)?.unwrap_or_default();
        if user.is_none() {
            let id = target.tenant.as_ref().map(|tenant| tenant.id.as_str());
            stats.queries_this_period = Some(usage::queries(&app, target.place.scope.workspace(), id)?);
        }
        json::answer(StatusCode::OK, &Stats { success: true, stats })
    })
    .await
}
