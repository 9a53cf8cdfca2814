//! How are collections made, changed, emptied and deleted?
//!
//! A key that is pinned to a collection sees that one alone; a key that is pinned to a partition is told counts of that
//! partition alone, and changes nothing here. Emptying and deleting shred, partition by partition, with a receipt each.

use std::sync::Arc;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use strongroom_engine::{Counts, PartitionInfo, PartitionRef, Reach, Scope, SignedReceipt, Totals};

use super::decide::{Asked, Changes, changed, checked_key, new_collection};
use super::record::{self, Record};
use crate::app::App;
use crate::auth::{Caller, DEFAULT_COLLECTION, Place};
use crate::call::{Call, With};
use crate::control::{Collection, no_collection};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::usage::{DAYS_MAX, Tally};
use crate::{random, tenancy};

const LIST_LIMIT: u64 = 50;
/// The collection of tenants' memories, which the routes of memories make and fill.
const MEMORIES: &str = "memory";

/// Collections.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Collections")]
pub(crate) struct List {
    collections: Vec<Record>,
    /// All that the caller sees.
    total: usize,
}

/// What a collection holds, as far as the caller may see.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CollectionStats")]
pub(crate) struct Stats {
    collection: String,
    partitions: u64,
    document_count: u64,
    total_chunks: u64,
    /// Embedded so far.
    total_tokens: u64,
    total_size_bytes: u64,
    status_counts: StatusCounts,
}

/// Documents by how far they are.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StatusCounts {
    ready: u64,
}

/// How much a collection is queried. Queries themselves are kept nowhere.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Analytics {
    collection: String,
    period_24h: Queries,
    period_7d: Queries,
    period_30d: Queries,
    /// Always empty.
    top_queries: Vec<Value>,
}

/// Queries of a while.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "QueriesOfPeriod")]
pub(crate) struct Queries {
    query_count: u64,
    avg_latency_ms: f64,
    /// Always null.
    avg_score: Option<f64>,
    /// Always null.
    avg_result_count: Option<f64>,
}

/// What of a collection is gone for good, and what proves it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ErasedCollection")]
pub(crate) struct Erased {
    /// `deleted` or `truncated`.
    status: &'static str,
    collection: String,
    partitions_deleted: usize,
    documents_deleted: u64,
    vectors_deleted: u64,
    receipt_ids: Vec<String>,
}

/// `POST /v1/collections`
pub(crate) async fn create(mut call: With<Asked>) -> Result<Answer<Record>, ApiError> {
    let (asked, _) = call.json().await?;
    let scope = call.caller()?.whole_collection(&asked.name)?;
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let mut new = new_collection(&app, &asked)?;
        if asked.name == MEMORIES {
            return Err(reserved("is made by the first memory, and has settings of its own"));
        }
        if let Some(key) = &asked.embedding_api_key {
            new.provider_key = Some(app.store.seal_secret(&scope, checked_key(key)?.as_bytes())?);
        }
        let made = app.control.create_collection(scope.workspace(), &asked.name, new, by)?;
        json::answer(StatusCode::CREATED, &record::collection(&app, &made, &Totals::default()))
    })
    .await
}

/// `GET /v1/collections`
pub(crate) async fn list(call: Call) -> Result<Answer<List>, ApiError> {
    let most = call.app.limits.list_limit_max as u64;
    let limit = call.query.number("limit", 1..=most)?.unwrap_or(LIST_LIMIT);
    let offset = call.query.number("offset", 0..=u64::MAX)?.unwrap_or(0);
    let named = call.query.get("name").map(str::to_lowercase);
    let caller = call.caller()?.clone();
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let all = app.control.collections_of(caller.workspace()?.id);
        let seen: Vec<_> = all
            .iter()
            .filter(|one| named.as_ref().is_none_or(|part| one.name.to_lowercase().contains(part)))
            .filter_map(|one| Some((one, caller.within_collection(&one.name).ok()?)))
            .collect();
        let page = seen
            .iter()
            .skip(usize::try_from(offset).unwrap_or(usize::MAX))
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map(|(one, scope)| Ok(record::collection(&app, one, &totals(&app, one, scope.as_ref())?)))
            .collect::<Result<Vec<_>, ApiError>>()?;
        json::answer(StatusCode::OK, &List { collections: page, total: seen.len() })
    })
    .await
}

/// `GET /v1/collections/{name}`
pub(crate) async fn get(call: Call) -> Result<Answer<Record>, ApiError> {
    let (collection, scope) = seen(&call)?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let totals = totals(&app, &collection, scope.as_ref())?;
        json::answer(StatusCode::OK, &record::collection(&app, &collection, &totals))
    })
    .await
}

/// `PUT /v1/collections/{name}`
pub(crate) async fn change(mut call: With<Changes>) -> Result<Answer<Record>, ApiError> {
    let (collection, scope) = whole(&call)?;
    let (changes, _) = call.json().await?;
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let settings = changed(&app, &changes, &collection.settings)?;
        let key = match &changes.embedding_api_key {
            None => None,
            Some(None) => Some(None),
            Some(Some(key)) => Some(Some(app.store.seal_secret(&scope, checked_key(key)?.as_bytes())?)),
        };
        let new = app.control.change_collection(&collection, |old| *old = settings, key, by)?;
        json::answer(StatusCode::OK, &record::collection(&app, &new, &totals(&app, &new, Some(&scope))?))
    })
    .await
}

/// `DELETE /v1/collections/{name}`
pub(crate) async fn delete(call: Call) -> Result<Answer<Erased>, ApiError> {
    let (collection, scope) = whole(&call)?;
    if [DEFAULT_COLLECTION, MEMORIES].contains(&collection.name.as_str()) {
        return Err(reserved(
            "stays as long as its workspace: truncate it, or delete its partitions or tenants",
        ));
    }
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let places = places(&app, &collection, &scope)?;
        let dropped = tenancy::drop_collection(&app.control, &app.store, &scope, &collection, &by)?;
        places.iter().for_each(|place| app.usage.forget(place));
        json::answer(StatusCode::OK, &erased("deleted", &collection, &dropped))
    })
    .await
}

/// `POST /v1/collections/{name}/truncate`
pub(crate) async fn truncate(call: Call) -> Result<Answer<Erased>, ApiError> {
    let (collection, scope) = whole(&call)?;
    if collection.name == MEMORIES {
        return Err(reserved("holds what is registered of tenants, too: delete those"));
    }
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let places = places(&app, &collection, &scope)?;
        let dropped = tenancy::truncate_collection(&app.control, &app.store, &scope, &collection, &by)?;
        places.iter().for_each(|place| app.usage.forget(place));
        json::answer(StatusCode::OK, &erased("truncated", &collection, &dropped))
    })
    .await
}

/// `GET /v1/collections/{name}/stats`
pub(crate) async fn stats(call: Call) -> Result<Answer<Stats>, ApiError> {
    let (collection, scope) = seen(&call)?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let totals = totals(&app, &collection, scope.as_ref())?;
        let documents = totals.counts.documents;
        let used = used(&app, &collection, scope.as_ref(), DAYS_MAX)?;
        json::answer(
            StatusCode::OK,
            &Stats {
                collection: collection.name.clone(),
                partitions: totals.partitions,
                document_count: documents,
                total_chunks: totals.counts.passages,
                total_tokens: used.embedding_tokens,
                total_size_bytes: totals.stored_bytes,
                status_counts: StatusCounts { ready: documents },
            },
        )
    })
    .await
}

/// `GET /v1/collections/{name}/analytics`. Queries themselves are a tenant's content, and kept nowhere.
pub(crate) async fn analytics(call: Call) -> Result<Answer<Analytics>, ApiError> {
    let (collection, scope) = seen(&call)?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let period = |days| {
            let used = used(&app, &collection, scope.as_ref(), days)?;
            let mean_ms = used.search_us as f64 / 1000.0 / used.queries.max(1) as f64;
            Ok::<_, ApiError>(Queries {
                query_count: used.queries,
                avg_latency_ms: mean_ms,
                avg_score: None,
                avg_result_count: None,
            })
        };
        json::answer(
            StatusCode::OK,
            &Analytics {
                collection: collection.name.clone(),
                period_24h: period(1)?,
                period_7d: period(7)?,
                period_30d: period(30)?,
                top_queries: Vec::new(),
            },
        )
    })
    .await
}

/// What was done in the last days in what the caller may see of a collection.
fn used(app: &App, collection: &Collection, scope: Option<&Scope>, days: u32) -> Result<Tally, ApiError> {
    let (workspace, name) = (collection.workspace, collection.name.as_str());
    let sums = match scope.map(Scope::reach) {
        None => return Ok(Tally::default()),
        Some(Reach::Partition(own)) => app.usage.of_named(workspace, name, own.partition.as_ref(), days)?,
        Some(Reach::Workspace | Reach::Collection(_)) => app.usage.of_collection(workspace, name, days)?,
    };
    Ok(sums.total)
}

/// The partitions of a collection, as their usage is found.
fn places(app: &App, collection: &Collection, scope: &Scope) -> Result<Vec<Place>, ApiError> {
    let place = |info: PartitionInfo| {
        let at = PartitionRef { collection: collection.name.clone(), partition: info.name };
        Place { scope: scope.clone(), at, key: None, promise: None, watch: None }
    };
    Ok(app.store.all_partitions(scope, &collection.name)?.into_iter().map(place).collect())
}

/// The collection in the path, and what of it the caller may see.
pub(super) fn seen(call: &Call) -> Result<(Arc<Collection>, Option<Scope>), ApiError> {
    let (caller, name) = (call.caller()?, call.value(0)?);
    let scope = caller.within_collection(name)?;
    Ok((find(&call.app, caller, name)?, scope))
}

/// The collection in the path, for a caller that may act on all of it.
pub(super) fn whole(call: &Call) -> Result<(Arc<Collection>, Scope), ApiError> {
    let (caller, name) = (call.caller()?, call.value(0)?);
    let scope = caller.whole_collection(name)?;
    Ok((find(&call.app, caller, name)?, scope))
}

fn find(app: &App, caller: &Caller, name: &str) -> Result<Arc<Collection>, ApiError> {
    app.control.collection(caller.workspace()?.id, name).ok_or_else(no_collection)
}

fn totals(app: &App, collection: &Collection, scope: Option<&Scope>) -> Result<Totals, ApiError> {
    scope.map_or(Ok(Totals::default()), |scope| Ok(app.store.collection_totals(scope, &collection.name)?))
}

fn erased(status: &'static str, collection: &Collection, dropped: &[(Counts, SignedReceipt)]) -> Erased {
    let sum = |of: fn(&Counts) -> u64| dropped.iter().map(|(counts, _)| of(counts)).sum::<u64>();
    let receipts: Vec<_> = dropped.iter().map(|(_, signed)| random::hex(&signed.receipt.id)).collect();
    Erased {
        status,
        collection: collection.name.clone(),
        partitions_deleted: dropped.len(),
        documents_deleted: sum(|counts| counts.documents + counts.deleted),
        vectors_deleted: sum(|counts| counts.passages),
        receipt_ids: receipts,
    }
}

fn reserved(why: &str) -> ApiError {
    ApiError::conflict("collection_reserved", format!("this collection {why}"))
}
