//! How are API keys minted, narrowed, rotated and revoked?
//!
//! Everything here compares with the caller: no key mints or keeps more than it may do itself, in scope, in reach or in
//! time, and no key touches one that may do more than itself.
//!
//! Invariants:
//! 1. A secret is answered once, by the call that made it.
//! 2. A listing says that a key is pinned to a partition, not to which: the database has its hash alone.
//! 3. Changes only narrow.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use strongroom_engine::{PartitionName, WorkspaceId};

use crate::app::App;
use crate::auth::{Caller, DEFAULT_COLLECTION, partition_name};
use crate::call::Call;
use crate::clock;
use crate::control::scopes::ScopeSet;
use crate::control::{KeyChanges, KeyRow, NewKey};
use crate::message::error::ApiError;
use crate::message::json;

const NAME_CHARS_MAX: usize = 128;
const LIST_LIMIT: u64 = 1000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    name: Option<String>,
    scopes: Option<Vec<String>>,
    workspace: Option<String>,
    collection: Option<String>,
    partition: Option<String>,
    multi_tenant: Option<bool>,
    expires_at: Option<String>,
    quota: Option<Value>,
}

/// `POST /v1/admin/api-keys`
pub(crate) async fn create(mut call: Call) -> Result<Response, ApiError> {
    let (asked, _) = call.json::<Asked>().await?;
    let (new, partition) = new_key(&call.app, call.caller()?, &asked)?;
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let (row, key) = app.control.mint(&new, by)?;
        json::answer(StatusCode::CREATED, &with_secret(&row, key.text(), partition.as_ref()))
    })
    .await
}

/// What a caller asks for, as far as the caller may.
fn new_key(app: &App, caller: &Caller, asked: &Asked) -> Result<(NewKey, Option<PartitionName>), ApiError> {
    if asked.quota.as_ref().is_some_and(|quota| !quota.is_null()) {
        return Err(ApiError::not_offered("the field `quota`"));
    }
    let own = caller.pins();
    let scopes = match &asked.scopes {
        Some(names) => parse_scopes(names)?,
        None => caller.scopes(),
    };
    if !caller.scopes().covers(scopes) {
        return Err(wider("it would have scopes that the key minting it lacks"));
    }
    let collection = match (&asked.collection, &own.collection) {
        (Some(asked), Some(own)) if asked != own => {
            return Err(wider("this key is pinned to another collection"));
        }
        (asked, own) => asked.clone().or_else(|| own.clone()),
    };
    let workspace = workspace(app, caller, asked.workspace.as_deref())?;
    let in_collection = collection.as_deref().unwrap_or(DEFAULT_COLLECTION);
    let hash = |name: &PartitionName| app.control.partition_hasher().hash(workspace, in_collection, name);
    let partition = asked.partition.as_deref().map(partition_name).transpose()?;
    let pin = match (partition.as_ref().map(hash), &own.partition) {
        (Some(asked), Some(own)) if asked != own.hash => {
            return Err(wider("this key is pinned to another partition"));
        }
        (asked, own) => asked.or(own.as_ref().map(|own| own.hash)),
    };
    let partition = partition.or_else(|| own.partition.as_ref().and_then(|own| own.name.clone()));
    if let (Some(hash), Some(name)) = (pin, &partition) {
        app.control.remember_partition(hash, name);
    }
    let multi_tenant = asked.multi_tenant.unwrap_or(caller.is_multi_tenant());
    if caller.is_multi_tenant() && !multi_tenant {
        return Err(wider("it would not be multi-tenant, and the key minting it is"));
    }
    let new = NewKey {
        workspace,
        name: checked_name(asked.name.as_deref().unwrap_or_default())?,
        scopes,
        // A partition is one of a collection.
        collection: collection.or_else(|| pin.is_some().then(|| DEFAULT_COLLECTION.to_owned())),
        partition: pin,
        multi_tenant,
        expires_ms: expiry(caller, asked.expires_at.as_deref())?,
    };
    Ok((new, partition))
}

fn workspace(app: &App, caller: &Caller, named: Option<&str>) -> Result<WorkspaceId, ApiError> {
    let Some(name) = named else { return Ok(caller.workspace()?.id) };
    let found = app
        .control
        .find_workspace(name)
        .filter(|found| caller.is_operator() || caller.workspace().is_ok_and(|own| own.id == found.id));
    match found {
        Some(found) => Ok(found.id),
        None if caller.is_operator() => {
            Err(ApiError::missing("workspace_not_found", "there is no workspace of this name or id"))
        }
        None => {
            Err(ApiError::forbidden("workspace_forbidden", "this key mints keys of its own workspace only"))
        }
    }
}

/// `GET /v1/admin/api-keys`
pub(crate) async fn list(call: Call) -> Result<Response, ApiError> {
    let caller = call.caller()?;
    let limit = call.query.number("limit", 1..=LIST_LIMIT)?.unwrap_or(LIST_LIMIT);
    let offset = call.query.number("offset", 0..=u64::MAX)?.unwrap_or(0);
    let keys = call.app.control.keys_of(caller.workspace()?.id);
    let visible: Vec<_> = keys.iter().filter(|key| may_manage(caller, key)).collect();
    let page: Vec<_> = visible
        .iter()
        .skip(usize::try_from(offset).unwrap_or(usize::MAX))
        .take(usize::try_from(limit).unwrap_or(usize::MAX))
        .map(|key| record(key))
        .collect();
    json::answer(StatusCode::OK, &json!({"keys": page, "total": visible.len()}))
}

/// `GET /v1/admin/api-keys/{id}`
pub(crate) async fn get(call: Call) -> Result<Response, ApiError> {
    json::answer(StatusCode::OK, &record(&*managed_key(&call)?))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Changes {
    name: Option<String>,
    scopes: Option<Vec<String>>,
    multi_tenant: Option<bool>,
    #[serde(deserialize_with = "json::present")]
    expires_at: Option<Option<String>>,
}

/// `PATCH /v1/admin/api-keys/{id}`
pub(crate) async fn change(mut call: Call) -> Result<Response, ApiError> {
    let key = managed_key(&call)?;
    let (asked, _) = call.json::<Changes>().await?;
    let changes = narrowed(call.caller()?, &key, &asked)?;
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || json::answer(StatusCode::OK, &record(&*app.control.change_key(&key, &changes, by)?)))
        .await
}

fn narrowed(caller: &Caller, key: &KeyRow, asked: &Changes) -> Result<KeyChanges, ApiError> {
    let scopes = asked.scopes.as_deref().map(parse_scopes).transpose()?;
    if scopes.is_some_and(|scopes| !key.scopes.covers(scopes)) {
        return Err(wider("its scopes can only be narrowed; mint a new key for more"));
    }
    if asked.multi_tenant == Some(false) && key.multi_tenant && caller.is_multi_tenant() {
        return Err(wider("it would not be multi-tenant, and this key is"));
    }
    let expires_ms = match &asked.expires_at {
        None => None,
        Some(text) => Some(expiry(caller, text.as_deref())?),
    };
    Ok(KeyChanges {
        name: asked.name.as_deref().map(checked_name).transpose()?,
        scopes,
        multi_tenant: asked.multi_tenant,
        expires_ms,
    })
}

/// `DELETE /v1/admin/api-keys/{id}`: dead from the next request on.
pub(crate) async fn revoke(call: Call) -> Result<Response, ApiError> {
    let (app, key, by) = (call.app.clone(), managed_key(&call)?, call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let row = app.control.revoke(&key, by)?;
        json::answer(StatusCode::OK, &json!({"id": row.id, "status": "revoked"}))
    })
    .await
}

/// `POST /v1/admin/api-keys/{id}/rotate`: the old secret is dead from the next request on.
pub(crate) async fn rotate(call: Call) -> Result<Response, ApiError> {
    let (app, key, by) = (call.app.clone(), managed_key(&call)?, call.by()?);
    if outlives(call.caller()?, &key) {
        return Err(wider("its new secret would outlive this key"));
    }
    let pool = app.pool.clone();
    pool.run(move || {
        let (row, new) = app.control.rotate(&key, by)?;
        let partition = row.partition.and_then(|hash| app.control.partition_of(hash));
        json::answer(StatusCode::CREATED, &with_secret(&row, new.text(), partition.as_ref()))
    })
    .await
}

/// A live key of the caller's workspace that the caller may manage; any other looks like one that isn't there.
fn managed_key(call: &Call) -> Result<Arc<KeyRow>, ApiError> {
    let (caller, id) = (call.caller()?, call.value(0)?);
    let workspace = caller.workspace()?.id;
    let key = call.app.control.key(id).filter(|key| key.workspace == workspace && key.revoked_ms.is_none());
    key.filter(|key| may_manage(caller, key))
        .ok_or_else(|| ApiError::missing("key_not_found", "there is no such API key"))
}

/// Whether the caller may do all that a holder of this key may.
fn may_manage(caller: &Caller, key: &KeyRow) -> bool {
    let own = caller.pins();
    let in_collection = own.collection.is_none() || own.collection == key.collection;
    let in_partition = own.partition.as_ref().is_none_or(|own| key.partition == Some(own.hash));
    let as_bound = !caller.is_multi_tenant() || key.multi_tenant;
    caller.scopes().covers(key.scopes) && in_collection && in_partition && as_bound
}

/// Whether a key goes on after the caller's own has ended.
fn outlives(caller: &Caller, key: &KeyRow) -> bool {
    caller.expires_ms().is_some_and(|own| key.expires_ms.is_none_or(|end| end > own))
}

fn parse_scopes(names: &[String]) -> Result<ScopeSet, ApiError> {
    let scopes = ScopeSet::parse(names.iter().map(String::as_str)).map_err(|name| {
        let name: String = name.chars().take(64).collect();
        ApiError::malformed(
            "unknown_scope",
            format!("{name:?} is no scope; there are: {}", ScopeSet::known()),
        )
    })?;
    if scopes.is_empty() {
        return Err(ApiError::malformed("unknown_scope", "a key needs at least one scope"));
    }
    Ok(scopes)
}

/// When the key ends: not after the key that mints it.
fn expiry(caller: &Caller, asked: Option<&str>) -> Result<Option<u64>, ApiError> {
    let Some(text) = asked else { return Ok(caller.expires_ms()) };
    let end = clock::parse_rfc3339(text).filter(|end| *end > clock::now_ms()).ok_or_else(|| {
        ApiError::malformed("invalid_expiry", "expires_at must be a time to come, as in 2030-01-31T00:00:00Z")
    })?;
    if caller.expires_ms().is_some_and(|own| end > own) {
        return Err(wider("it would outlive the key minting it"));
    }
    Ok(Some(end))
}

fn checked_name(name: &str) -> Result<String, ApiError> {
    if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(ApiError::malformed(
            "invalid_name",
            format!("a key's name has 1 to {NAME_CHARS_MAX} characters and no control characters"),
        ));
    }
    Ok(name.to_owned())
}

fn wider(why: &str) -> ApiError {
    ApiError::forbidden("wider_than_own", format!("a key can't make one that may do more than itself: {why}"))
}

fn record(key: &KeyRow) -> Value {
    let is_expired = key.expires_ms.is_some_and(|end| end <= clock::now_ms());
    json!({
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix(),
        "active": key.revoked_ms.is_none() && !is_expired,
        "scopes": key.scopes.names(),
        "workspace": crate::random::hex(&key.workspace.0),
        "collection": key.collection,
        "partition_pinned": key.partition.is_some(),
        "multi_tenant": key.multi_tenant,
        "expires_at": key.expires_ms.map(clock::rfc3339),
        "last_used_at": key.last_used_ms().map(clock::rfc3339),
        "created_at": clock::rfc3339(key.created_ms),
        "updated_at": clock::rfc3339(key.updated_ms),
    })
}

fn with_secret(key: &KeyRow, text: &str, partition: Option<&PartitionName>) -> Value {
    let mut answer = record(key);
    answer["key"] = json!(text);
    answer["partition"] = json!(partition.map(PartitionName::as_str));
    answer
}
