//! Which partitions are there, on what terms, and how is one declared, changed, thrown away, brought back or deleted?
//!
//! All calls are on the workspace as a whole, so a multi-tenant key makes them without naming a partition; a pinned key sees,
//! throws away and deletes its own alone.
//!
//! Invariants:
//! 1. A hold is set and lifted by keys alone that are not pinned, and lifted by an owner alone: whom it binds does not lift it.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_engine::{Amendment, PartitionInfo, PartitionName, WorkspaceId};

use super::{fields, look_alikes};
use crate::app::App;
use crate::auth::{DEFAULT_COLLECTION, Named, Place, partition_name};
use crate::call::{Call, With, place};
use crate::control::rules::GRACE_SECONDS_MAX;
use crate::control::scopes::Scope;
use crate::control::{By, Collection, no_collection};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::{clock, erasure, lifecycle, random, tenants};

/// The longest lifetime of documents, in seconds: a hundred years.
const TTL_SECONDS_MAX: u64 = 3_153_600_000;

/// A partition.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Partition")]
pub(crate) struct Told {
    id: String,
    document_count: u64,
}

/// A partition with the terms that it is kept on.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PartitionOnTerms")]
pub(crate) struct Kept {
    /// Null: the default partition.
    id: Option<String>,
    collection: String,
    /// `live` or `trashed`.
    state: &'static str,
    document_count: u64,
    /// Soft-deleted documents.
    deleted_count: u64,
    storage_bytes: u64,
    /// Whether nothing in it can be deleted, nor expires.
    hold: bool,
    held_since: Option<String>,
    /// The lifetime of what is put into it without one of its own.
    document_ttl_seconds: Option<u64>,
    /// When it is gone with all that is in it.
    expires_at: Option<String>,
    trashed_at: Option<String>,
    /// When it is shredded, if it isn't restored before.
    shred_at: Option<String>,
}

/// A partition in a listing: with its terms when `state` was asked for.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ListedPartition")]
pub(crate) enum Listed {
    Brief(Told),
    Whole(Kept),
}

/// The partitions that have a name.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Partitions")]
pub(crate) struct List {
    partitions: Vec<Listed>,
    /// Of ids that look as if they were meant to be one.
    warnings: Vec<look_alikes::Warning>,
}

/// A partition that is gone for good, or in the trash.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeletedPartition")]
pub(crate) struct Deleted {
    partition: String,
    /// Live and soft-deleted ones.
    documents_deleted: u64,
    vectors_deleted: u64,
    /// Null when there was no such partition, or while it is in the trash.
    receipt_id: Option<String>,
    /// `trashed`, while it can be restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// When it is shredded, if it isn't restored before.
    #[serde(skip_serializing_if = "Option::is_none")]
    shred_at: Option<String>,
}

/// `GET /v1/partitions`
pub(crate) async fn list(call: Call) -> Result<Answer<List>, ApiError> {
    let (app, scope) = (call.app.clone(), call.caller()?.overview()?);
    let collection = call.query.get("collection").unwrap_or(DEFAULT_COLLECTION).to_owned();
    let (with_live, with_trash) = match call.query.get("state") {
        None | Some("live") => (true, false),
        Some("trashed") => (false, true),
        Some("all") => (true, true),
        Some(_) => {
            return Err(ApiError::malformed("invalid_parameter", "state must be live, trashed or all"));
        }
    };
    let is_usual = call.query.get("state").is_none();
    let pool = app.pool.clone();
    pool.run(move || {
        let mut all = scope.map_or(Ok(Vec::new()), |scope| app.store.all_partitions(&scope, &collection))?;
        all.retain(|info| if info.terms.trash.is_some() { with_trash } else { with_live });
        // The default partition has no id and so no place in a list of ids.
        let named: Vec<_> = all
            .iter()
            .filter_map(|info| info.name.as_ref().map(|name| (name.as_str(), info.counts.documents)))
            .collect();
        let partitions = all.iter().filter_map(|info| info.name.as_ref().map(|name| (name, info)));
        let partitions = partitions.map(|(name, info)| match is_usual {
            true => {
                Listed::Brief(Told { id: name.as_str().to_owned(), document_count: info.counts.documents })
            }
            false => Listed::Whole(Kept::of(&collection, info)),
        });
        let partitions = partitions.collect();
        json::answer(StatusCode::OK, &List { partitions, warnings: look_alikes::warnings(&named) })
    })
    .await
}

/// `GET /v1/partitions/{id}`
pub(crate) async fn get(call: Call) -> Result<Answer<Kept>, ApiError> {
    let (_, place) = named(&call)?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let info = app.store.partition_info(&place.scope, &place.at)?.ok_or_else(no_partition)?;
        json::answer(StatusCode::OK, &Kept::of(&place.at.collection, &info))
    })
    .await
}

/// A partition that is to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DeclarePartition")]
pub(crate) struct Declared {
    id: String,
    /// `default` when it is not given.
    #[serde(default)]
    collection: Option<String>,
    /// The lifetime of what is put into it without one of its own.
    #[serde(default)]
    #[schemars(range(min = 1, max = 3_153_600_000_u64))]
    document_ttl_seconds: Option<u64>,
    /// When it is gone with all that is in it, in RFC 3339.
    #[serde(default)]
    expires_at: Option<String>,
    /// Whether nothing in it can be deleted, nor expires.
    #[serde(default)]
    hold: bool,
}

/// `POST /v1/partitions`: makes one, without a document.
pub(crate) async fn declare(mut call: With<Declared>) -> Result<Answer<Kept>, ApiError> {
    let (asked, _) = call.json().await?;
    let caller = call.caller()?;
    let place = place(
        &call.app,
        caller,
        Named { collection: asked.collection.as_deref(), partition: Some(&asked.id) },
    )?;
    if asked.hold {
        require_unpinned(&call)?;
    }
    refuse_tenants(&place)?;
    check_id(&call, &place.at.partition)?;
    let amendment = Amendment {
        held: asked.hold.then_some(true),
        expires_ms: Some(expiry(asked.expires_at.as_deref())?),
        ttl_ms: Some(ttl_ms(asked.document_ttl_seconds)?),
        ..Amendment::default()
    };
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let collection = collection(&app, &place)?;
        let info = lifecycle::declare(&app, &place, &collection, &amendment, by)?;
        json::answer(StatusCode::CREATED, &Kept::of(&place.at.collection, &info))
    })
    .await
}

/// What is to be another way with a partition; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChangePartition")]
pub(crate) struct Changes {
    /// Its new id.
    #[serde(default)]
    id: Option<String>,
    /// Whether nothing in it can be deleted, nor expires. An owner alone lifts a hold.
    #[serde(default)]
    hold: Option<bool>,
    /// The lifetime of what is put into it from now on without one of its own; null for none.
    #[serde(default, deserialize_with = "json::present")]
    #[schemars(with = "Option<u64>")]
    document_ttl_seconds: Option<Option<u64>>,
    /// When it is gone with all that is in it, in RFC 3339; null for never.
    #[serde(default, deserialize_with = "json::present")]
    #[schemars(with = "Option<String>")]
    expires_at: Option<Option<String>>,
}

/// `PATCH /v1/partitions/{id}`: its id, its hold, and how long it and what is put into it are kept.
pub(crate) async fn change(mut call: With<Changes>) -> Result<Answer<Kept>, ApiError> {
    let (asked, _) = call.json().await?;
    let (_, mut place) = named(&call)?;
    let name = asked.id.as_deref().map(partition_name).transpose()?;
    let renames = name.as_ref().is_some_and(|name| Some(name) != place.at.partition.as_ref());
    if asked.hold.is_some() || renames {
        require_unpinned(&call)?;
    }
    if asked.hold == Some(false) {
        call.caller()?.require(Scope::All)?;
    }
    if renames {
        place.scope = call.caller()?.whole_collection(&place.at.collection)?;
        refuse_tenants(&place)?;
        check_id(&call, &name)?;
        refuse_tenant_field(&*collection(&call.app, &place)?)?;
    }
    let expires_ms = asked.expires_at.as_ref().map(|at| expiry(at.as_deref())).transpose()?;
    let amendment = Amendment {
        name,
        held: asked.hold,
        expires_ms,
        ttl_ms: asked.document_ttl_seconds.map(ttl_ms).transpose()?,
    };
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let info = lifecycle::change(&app, &place, &amendment, by)?.ok_or_else(no_partition)?;
        json::answer(StatusCode::OK, &Kept::of(&place.at.collection, &info))
    })
    .await
}

/// How the default partition is to be kept; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChangeDefaultPartition")]
pub(crate) struct DefaultChanges {
    /// Whether nothing in it can be deleted, nor expires. An owner alone lifts a hold.
    #[serde(default)]
    hold: Option<bool>,
    /// The lifetime of what is put into it from now on without one of its own; null for none.
    #[serde(default, deserialize_with = "json::present")]
    #[schemars(with = "Option<u64>")]
    document_ttl_seconds: Option<Option<u64>>,
    /// When it is gone with all that is in it, in RFC 3339; null for never.
    #[serde(default, deserialize_with = "json::present")]
    #[schemars(with = "Option<String>")]
    expires_at: Option<Option<String>>,
}

/// `GET /v1/default-partition`
pub(crate) async fn get_default(call: Call) -> Result<Answer<Kept>, ApiError> {
    let (app, place) = (call.app.clone(), default(&call)?);
    let pool = app.pool.clone();
    pool.run(move || {
        let info = app.store.partition_info(&place.scope, &place.at)?.ok_or_else(no_default)?;
        json::answer(StatusCode::OK, &Kept::of(&place.at.collection, &info))
    })
    .await
}

/// `PATCH /v1/default-partition`: its hold, and how long it and what is put into it are kept.
pub(crate) async fn change_default(mut call: With<DefaultChanges>) -> Result<Answer<Kept>, ApiError> {
    let (asked, _) = call.json().await?;
    let place = default(&call)?;
    if asked.hold == Some(false) {
        call.caller()?.require(Scope::All)?;
    }
    let amendment = Amendment {
        name: None,
        held: asked.hold,
        expires_ms: asked.expires_at.as_ref().map(|at| expiry(at.as_deref())).transpose()?,
        ttl_ms: asked.document_ttl_seconds.map(ttl_ms).transpose()?,
    };
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let info = lifecycle::change(&app, &place, &amendment, by)?.ok_or_else(no_default)?;
        json::answer(StatusCode::OK, &Kept::of(&place.at.collection, &info))
    })
    .await
}

/// The default partition of the collection in the query. A pinned key's is another, which it doesn't name here.
fn default(call: &Call) -> Result<Place, ApiError> {
    require_unpinned(call)?;
    let named = Named { collection: call.query.get("collection"), partition: None };
    let place = place(&call.app, call.caller()?, named)?;
    require_collection(&call.app, place.scope.workspace(), &place.at.collection)?;
    Ok(place)
}

fn no_default() -> ApiError {
    ApiError::missing(
        "partition_not_found",
        "nothing was put into the default partition yet, so there is none",
    )
}

/// `POST /v1/partitions/{id}/restore`
pub(crate) async fn restore(call: Call) -> Result<Answer<Kept>, ApiError> {
    let (_, place) = named(&call)?;
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let info = lifecycle::restore(&app, &place, by)?.ok_or_else(no_partition)?;
        json::answer(StatusCode::OK, &Kept::of(&place.at.collection, &info))
    })
    .await
}

/// `DELETE /v1/partitions/{id}`: shreds it, or throws it away for a while first. Deleting what isn't there is done already.
pub(crate) async fn delete(call: Call) -> Result<Answer<Deleted>, ApiError> {
    let (id, place) = named(&call)?;
    let asked = call.query.number("grace_seconds", 0..=GRACE_SECONDS_MAX)?.map(|seconds| seconds * 1000);
    let usual = call.caller()?.workspace()?.rule.grace_ms;
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || match asked.unwrap_or(usual) {
        0 => shred(&app, &id, &place, by),
        grace_ms => trash(&app, &id, &place, grace_ms, by),
    })
    .await
}

fn shred(app: &App, id: &str, place: &Place, by: By) -> Result<Answer<Deleted>, ApiError> {
    let dropped = erasure::drop_partition(&app.control, &app.store, place, by)?;
    let (dropped, receipt) =
        dropped.map_or_else(Default::default, |(counts, receipt)| (counts, Some(receipt)));
    app.deleted(place, dropped.documents + dropped.deleted);
    app.usage.forget(place);
    json::answer(
        StatusCode::OK,
        &Deleted {
            partition: id.to_owned(),
            documents_deleted: dropped.documents + dropped.deleted,
            vectors_deleted: dropped.passages,
            receipt_id: receipt.map(|receipt| random::hex(&receipt.receipt.id)),
            state: None,
            shred_at: None,
        },
    )
}

fn trash(app: &App, id: &str, place: &Place, grace_ms: u64, by: By) -> Result<Answer<Deleted>, ApiError> {
    refuse_tenants(place)?;
    let Some(info) = lifecycle::trash(app, place, grace_ms, by.clone())? else {
        return shred(app, id, place, by);
    };
    let PartitionInfo { counts, terms, .. } = info;
    let shred_at = terms.trash.map(|trash| clock::rfc3339(trash.shred_ms));
    json::answer(
        StatusCode::OK,
        &Deleted {
            partition: id.to_owned(),
            documents_deleted: counts.documents + counts.deleted,
            vectors_deleted: counts.passages,
            receipt_id: None,
            state: Some("trashed"),
            shred_at,
        },
    )
}

/// The partition in the path, of the collection in the query.
pub(super) fn named(call: &Call) -> Result<(String, Place), ApiError> {
    let id = call.value(0)?.to_owned();
    let named = Named { collection: call.query.get("collection"), partition: Some(&id) };
    let place = place(&call.app, call.caller()?, named)?;
    require_collection(&call.app, place.scope.workspace(), &place.at.collection)?;
    Ok((id, place))
}

/// Of a collection that isn't there nothing is told or counted.
pub(super) fn require_collection(app: &App, workspace: WorkspaceId, name: &str) -> Result<(), ApiError> {
    if name == tenants::COLLECTION {
        return Ok(());
    }
    app.collection_named(workspace, name).map(drop)
}

pub(super) fn collection(app: &App, place: &Place) -> Result<std::sync::Arc<Collection>, ApiError> {
    app.control.collection(place.scope.workspace(), &place.at.collection).ok_or_else(no_collection)
}

fn require_unpinned(call: &Call) -> Result<(), ApiError> {
    if call.caller()?.pins().partition.is_none() {
        return Ok(());
    }
    Err(ApiError::forbidden(
        "pinned_key",
        "a partition's id and its hold are changed with a key that is not pinned to it",
    ))
}

/// Registered tenants have rows of their own, which these calls don't touch.
pub(super) fn refuse_tenants(place: &Place) -> Result<(), ApiError> {
    if place.at.collection != tenants::COLLECTION {
        return Ok(());
    }
    Err(ApiError::conflict(
        "registered_tenant",
        "the partitions of this collection are registered tenants: /api/v1/tenants makes, renames and deletes them, and nothing else carries them",
    ))
}

/// Partitions that are values of their documents' fields stay what they are.
pub(super) fn refuse_tenant_field(collection: &Collection) -> Result<(), ApiError> {
    if collection.settings.tenant_field.is_none() {
        return Ok(());
    }
    Err(ApiError::conflict(
        "tenant_field",
        "this collection's partitions are named by a field of their documents' metadata, so they keep their ids",
    ))
}

/// Insists that an id is one that the workspace's pattern allows.
fn check_id(call: &Call, name: &Option<PartitionName>) -> Result<(), ApiError> {
    let rule = &call.caller()?.workspace()?.rule;
    match (name, &rule.pattern) {
        (Some(name), Some(pattern)) if !pattern.fits(name) => Err(ApiError::unacceptable(
            "partition_id_refused",
            format!("in this workspace a partition's id has to be like {}", pattern.text()),
        )),
        _ => Ok(()),
    }
}

fn expiry(at: Option<&str>) -> Result<Option<u64>, ApiError> {
    fields::expiry(at, None, clock::now_ms())
}

fn ttl_ms(seconds: Option<u64>) -> Result<Option<u64>, ApiError> {
    match seconds {
        None => Ok(None),
        Some(seconds) if (1..=TTL_SECONDS_MAX).contains(&seconds) => Ok(Some(seconds * 1000)),
        Some(_) => Err(ApiError::malformed(
            "invalid_expiry",
            format!("document_ttl_seconds is a whole number of seconds from 1 to {TTL_SECONDS_MAX}, or null"),
        )),
    }
}

impl Kept {
    fn of(collection: &str, info: &PartitionInfo) -> Self {
        let (terms, time) = (&info.terms, |ms: Option<u64>| ms.map(clock::rfc3339));
        Self {
            id: info.name.as_ref().map(|name| name.as_str().to_owned()),
            collection: collection.to_owned(),
            state: if terms.trash.is_some() { "trashed" } else { "live" },
            document_count: info.counts.documents,
            deleted_count: info.counts.deleted,
            storage_bytes: info.stored_bytes,
            hold: terms.held_ms.is_some(),
            held_since: time(terms.held_ms),
            document_ttl_seconds: terms.ttl_ms.map(|ms| ms / 1000),
            expires_at: time(terms.expires_ms),
            trashed_at: time(terms.trash.map(|trash| trash.since_ms)),
            shred_at: time(terms.trash.map(|trash| trash.shred_ms)),
        }
    }
}

/// A partition that isn't there, or whose time is over.
pub(super) fn no_partition() -> ApiError {
    ApiError::missing("partition_not_found", "there is no such partition")
}
