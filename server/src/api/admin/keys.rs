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
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use strongroom_engine::{PartitionName, WorkspaceId};

use super::quotas;
use crate::app::App;
use crate::auth::{Caller, DEFAULT_COLLECTION, partition_name};
use crate::call::{Call, With};
use crate::clock;
use crate::control::quotas::{Quota, Subject};
use crate::control::scopes::ScopeSet;
use crate::control::{KeyChanges, KeyRow, NewKey};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;

const NAME_CHARS_MAX: usize = 128;
const LIST_LIMIT: u64 = 1000;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "NewApiKey")]
pub(crate) struct Asked {
    /// 1 to 128 characters.
    name: Option<String>,
    /// What it may do: no more than the key that mints it, which is also what stands when nothing is said.
    scopes: Option<Vec<String>>,
    /// A workspace's name or id; for the operator's key.
    workspace: Option<String>,
    /// Pins it to a collection.
    collection: Option<String>,
    /// Pins it to a partition of that collection, or of `default`.
    partition: Option<String>,
    /// Whether each request has to name a partition.
    multi_tenant: Option<bool>,
    /// RFC 3339; not after the end of the key that mints it.
    expires_at: Option<String>,
    /// What it may use; no wider than the quota of the key that mints it.
    quota: Option<quotas::Told>,
}

/// An API key, without its secret.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ApiKey {
    id: String,
    name: String,
    /// How the key begins, to tell it from others.
    prefix: String,
    /// Neither revoked nor expired.
    active: bool,
    scopes: Vec<&'static str>,
    /// Its workspace's id.
    workspace: String,
    /// The one collection that it reaches.
    collection: Option<String>,
    /// Whether it reaches one partition alone.
    partition_pinned: bool,
    /// Whether each request has to name a partition.
    multi_tenant: bool,
    quota: Option<quotas::Shown>,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    created_at: String,
    updated_at: String,
}

/// An API key with its secret, which is told this once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewApiKeyWithSecret")]
pub(crate) struct Minted {
    #[serde(flatten)]
    record: ApiKey,
    /// The secret: keep it, nobody can read it again.
    key: String,
    /// The one partition that it reaches.
    partition: Option<String>,
}

/// API keys.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKeys")]
pub(crate) struct List {
    keys: Vec<ApiKey>,
    /// All that the caller may manage.
    total: usize,
}

/// An API key that is dead from now on.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RevokedApiKey")]
pub(crate) struct Revoked {
    id: String,
    status: &'static str,
}

/// `POST /v1/admin/api-keys`
pub(crate) async fn create(mut call: With<Asked>) -> Result<Answer<Minted>, ApiError> {
    let (asked, _) = call.json().await?;
    let (new, partition) = new_key(&call.app, call.caller()?, &asked)?;
    let quota = narrowed_quota(&call.app, call.caller()?, asked.quota.as_ref())?;
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let (row, key) = app.control.mint(&new, by)?;
        // A crash in between leaves a key that nobody was told.
        if !quota.is_empty() {
            app.quotas.set(&Subject::Key(row.workspace, row.id.as_str().into()), &quota)?;
        }
        json::answer(StatusCode::CREATED, &Minted::of(&app, &row, key.text(), partition.as_ref()))
    })
    .await
}

/// What a caller asks for, as far as the caller may.
fn new_key(app: &App, caller: &Caller, asked: &Asked) -> Result<(NewKey, Option<PartitionName>), ApiError> {
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
pub(crate) async fn list(call: Call) -> Result<Answer<List>, ApiError> {
    let caller = call.caller()?;
    let limit = call.query.number("limit", 1..=LIST_LIMIT)?.unwrap_or(LIST_LIMIT);
    let offset = call.query.number("offset", 0..=u64::MAX)?.unwrap_or(0);
    let keys = call.app.control.keys_of(caller.workspace()?.id);
    let visible: Vec<_> = keys.iter().filter(|key| may_manage(caller, key)).collect();
    let page = visible
        .iter()
        .skip(usize::try_from(offset).unwrap_or(usize::MAX))
        .take(usize::try_from(limit).unwrap_or(usize::MAX))
        .map(|key| ApiKey::of(&call.app, key))
        .collect();
    json::answer(StatusCode::OK, &List { keys: page, total: visible.len() })
}

/// `GET /v1/admin/api-keys/{id}`
pub(crate) async fn get(call: Call) -> Result<Answer<ApiKey>, ApiError> {
    json::answer(StatusCode::OK, &ApiKey::of(&call.app, &*managed_key(&call)?))
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ApiKeyChanges")]
pub(crate) struct Changes {
    name: Option<String>,
    scopes: Option<Vec<String>>,
    multi_tenant: Option<bool>,
    #[serde(deserialize_with = "json::present")]
    expires_at: Option<Option<String>>,
    #[serde(deserialize_with = "json::present")]
    quota: Option<Option<quotas::Told>>,
}

/// `PATCH /v1/admin/api-keys/{id}`
pub(crate) async fn change(mut call: With<Changes>) -> Result<Answer<ApiKey>, ApiError> {
    let key = managed_key(&call)?;
    let (asked, _) = call.json().await?;
    let changes = narrowed(call.caller()?, &key, &asked)?;
    let quota = asked.quota.as_ref().map(|told| narrowed_quota(&call.app, call.caller()?, told.as_ref()));
    let quota = quota.transpose()?;
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let row = app.control.change_key(&key, &changes, by)?;
        if let Some(quota) = &quota {
            app.quotas.set(&Subject::Key(row.workspace, row.id.as_str().into()), quota)?;
        }
        json::answer(StatusCode::OK, &ApiKey::of(&app, &row))
    })
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
pub(crate) async fn revoke(call: Call) -> Result<Answer<Revoked>, ApiError> {
    let (app, key, by) = (call.app.clone(), managed_key(&call)?, call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let row = app.control.revoke(&key, by)?;
        app.quotas.set(&Subject::Key(row.workspace, row.id.as_str().into()), &Quota::default())?;
        json::answer(StatusCode::OK, &Revoked { id: row.id.clone(), status: "revoked" })
    })
    .await
}

/// `POST /v1/admin/api-keys/{id}/rotate`: the old secret is dead from the next request on.
pub(crate) async fn rotate(call: Call) -> Result<Answer<Minted>, ApiError> {
    let (app, key, by) = (call.app.clone(), managed_key(&call)?, call.by()?);
    if outlives(call.caller()?, &key) {
        return Err(wider("its new secret would outlive this key"));
    }
    let pool = app.pool.clone();
    pool.run(move || {
        let (row, new) = app.control.rotate(&key, by)?;
        let partition = row.partition.and_then(|hash| app.control.partition_of(hash));
        json::answer(StatusCode::CREATED, &Minted::of(&app, &row, new.text(), partition.as_ref()))
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

/// The quota of a key that this caller makes or changes: no wider than the caller's own, which stands where nothing is said.
fn narrowed_quota(app: &App, caller: &Caller, told: Option<&quotas::Told>) -> Result<Quota, ApiError> {
    let asked = told.map_or_else(|| Ok(Quota::default()), quotas::Told::checked)?;
    let workspace = caller.workspace().map(|workspace| workspace.id);
    let own = workspace.ok().zip(caller.key_id());
    let own = own.and_then(|(workspace, id)| app.quotas.get(&Subject::Key(workspace, id.into())));
    let within = own.map_or(Some(asked), |own| asked.within(&own));
    within.ok_or_else(|| wider("its quota would be above the one that binds the key minting it"))
}

impl ApiKey {
    fn of(app: &App, key: &KeyRow) -> Self {
        let is_expired = key.expires_ms.is_some_and(|end| end <= clock::now_ms());
        let quota = app.quotas.get(&Subject::Key(key.workspace, key.id.as_str().into()));
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            prefix: key.prefix(),
            active: key.revoked_ms.is_none() && !is_expired,
            scopes: key.scopes.names(),
            workspace: crate::random::hex(&key.workspace.0),
            collection: key.collection.clone(),
            partition_pinned: key.partition.is_some(),
            multi_tenant: key.multi_tenant,
            quota: quotas::shown(quota.as_ref()),
            expires_at: key.expires_ms.map(clock::rfc3339),
            last_used_at: key.last_used_ms().map(clock::rfc3339),
            created_at: clock::rfc3339(key.created_ms),
            updated_at: clock::rfc3339(key.updated_ms),
        }
    }
}

impl Minted {
    fn of(app: &App, key: &KeyRow, text: &str, partition: Option<&PartitionName>) -> Self {
        let partition = partition.map(|name| name.as_str().to_owned());
        Self { record: ApiKey::of(app, key), key: text.to_owned(), partition }
    }
}
