//! Which partitions are there, and how is one deleted?
//!
//! Both calls are on the workspace as a whole, so a multi-tenant key makes them without naming a partition; a pinned
//! key sees and deletes its own alone.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::look_alikes;
use crate::auth::{DEFAULT_COLLECTION, Named};
use crate::call::{Call, place};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::{erasure, random};

/// A partition.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Partition")]
pub(crate) struct Told {
    id: String,
    document_count: u64,
}

/// The partitions that have a name.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Partitions")]
pub(crate) struct List {
    partitions: Vec<Told>,
    /// Of ids that look as if they were meant to be one.
    warnings: Vec<look_alikes::Warning>,
}

/// A partition that is gone for good.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeletedPartition")]
pub(crate) struct Deleted {
    partition: String,
    /// Live and soft-deleted ones: all of them are gone for good.
    documents_deleted: u64,
    vectors_deleted: u64,
    /// Null when there was no such partition.
    receipt_id: Option<String>,
}

/// `GET /v1/partitions`
pub(crate) async fn list(call: Call) -> Result<Answer<List>, ApiError> {
    let (app, scope) = (call.app.clone(), call.caller()?.overview()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let all = scope.map_or(Ok(Vec::new()), |scope| app.store.partitions(&scope, DEFAULT_COLLECTION))?;
        // The default partition has no id and so no place in a list of ids.
        let named: Vec<_> = all
            .iter()
            .filter_map(|info| info.name.as_ref().map(|name| (name.as_str(), info.counts.documents)))
            .collect();
        let partitions = named.iter();
        let partitions = partitions
            .map(|(id, documents)| Told { id: (*id).to_owned(), document_count: *documents })
            .collect();
        json::answer(StatusCode::OK, &List { partitions, warnings: look_alikes::warnings(&named) })
    })
    .await
}

/// `DELETE /v1/partitions/{id}`: shreds it. Deleting what isn't there is done already.
pub(crate) async fn delete(call: Call) -> Result<Answer<Deleted>, ApiError> {
    let id = call.value(0)?.to_owned();
    let place = place(&call.app, call.caller()?, Named { collection: None, partition: Some(&id) })?;
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let dropped = erasure::drop_partition(&app.control, &app.store, &place, by)?;
        let (dropped, receipt) =
            dropped.map_or_else(Default::default, |(counts, receipt)| (counts, Some(receipt)));
        app.deleted(&place, dropped.documents + dropped.deleted);
        app.usage.forget(&place);
        json::answer(
            StatusCode::OK,
            &Deleted {
                partition: id,
                documents_deleted: dropped.documents + dropped.deleted,
                vectors_deleted: dropped.passages,
                receipt_id: receipt.map(|receipt| random::hex(&receipt.receipt.id)),
            },
        )
    })
    .await
}
