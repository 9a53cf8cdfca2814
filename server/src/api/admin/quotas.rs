//! How are quotas set and looked at?
//!
//! On a workspace, a collection, a partition, or each partition; a key's come with the key (`keys.rs`). All limits that apply
//! hold at once, so a further one only narrows; what has to be kept from callers is to lift one that binds themselves.
//!
//! Invariants:
//! 1. A workspace's quota is the operator's to set. A pinned key sets quotas inside of what it is pinned to, never on it.
//! 2. A partition is named in the body alone, and answered by its id only where this process has met that: its hash is what
//!    is kept.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::{Caller, DEFAULT_COLLECTION, partition_name};
use crate::call::{Call, With};
use crate::control::quotas::{Quota, Subject};
use crate::control::{Control, PartitionHash};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;

const LIST_LIMIT: u64 = 1000;
/// The largest whole number that every JSON reader gets right.
const NUMBER_MAX: u64 = 1 << 53;
const RATE_MIN: f64 = 0.001;
const RATE_MAX: f64 = 1e6;
const BURST_MAX: u64 = 1_000_000;

/// A quota as it is told; what is left out is not limited.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Quota")]
pub(crate) struct Told {
    /// From 0.001 to 1000000.
    #[schemars(range(min = 0.001, max = 1_000_000.0))]
    requests_per_second: Option<f64>,
    /// Requests that may come at once; goes with requests_per_second.
    #[schemars(range(min = 1, max = 1_000_000))]
    burst: Option<u64>,
    #[schemars(range(max = 9_007_199_254_740_992u64))]
    queries_per_day: Option<u64>,
    /// Live documents.
    #[schemars(range(max = 9_007_199_254_740_992u64))]
    documents: Option<u64>,
    #[schemars(range(max = 9_007_199_254_740_992u64))]
    stored_bytes: Option<u64>,
    #[schemars(range(max = 9_007_199_254_740_992u64))]
    embedding_tokens_per_day: Option<u64>,
}

/// A quota; what is null is not limited.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "QuotaShown")]
pub(crate) struct Shown {
    requests_per_second: Option<f64>,
    burst: Option<u64>,
    queries_per_day: Option<u64>,
    documents: Option<u64>,
    stored_bytes: Option<u64>,
    embedding_tokens_per_day: Option<u64>,
}

impl Told {
    pub(super) fn checked(&self) -> Result<Quota, ApiError> {
        let wrong = |text: &'static str| ApiError::malformed("invalid_quota", text);
        if self.requests_per_second.is_some_and(|rate| !(RATE_MIN..=RATE_MAX).contains(&rate)) {
            return Err(wrong("requests_per_second must be from 0.001 to 1000000"));
        }
        if self
            .burst
            .is_some_and(|burst| self.requests_per_second.is_none() || !(1..=BURST_MAX).contains(&burst))
        {
            return Err(wrong("burst goes with requests_per_second and must be from 1 to 1000000"));
        }
        let numbers =
            [self.queries_per_day, self.documents, self.stored_bytes, self.embedding_tokens_per_day];
        if numbers.into_iter().flatten().any(|number| number > NUMBER_MAX) {
            return Err(wrong("a quota's numbers are at most 2 to the power of 53"));
        }
        Ok(Quota {
            requests_per_second: self.requests_per_second,
            burst: self.burst,
            queries_per_day: self.queries_per_day,
            documents: self.documents,
            stored_bytes: self.stored_bytes,
            embedding_tokens_per_day: self.embedding_tokens_per_day,
        })
    }
}

/// A quota as it is answered.
pub(super) fn shown(quota: Option<&Quota>) -> Option<Shown> {
    let quota = quota.filter(|quota| !quota.is_empty())?;
    Some(Shown {
        requests_per_second: quota.requests_per_second,
        burst: quota.burst,
        queries_per_day: quota.queries_per_day,
        documents: quota.documents,
        stored_bytes: quota.stored_bytes,
        embedding_tokens_per_day: quota.embedding_tokens_per_day,
    })
}

/// A quota and on what it is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SetQuota")]
pub(crate) struct Record {
    /// `workspace`, `collection`, `partition` or `each_partition`.
    on: &'static str,
    collection: Option<String>,
    /// Null where it is not one partition's, and where the server has not met its id since it started.
    partition: Option<String>,
    /// Null: there is none.
    quota: Option<Shown>,
}

/// Quotas.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Quotas")]
pub(crate) struct List {
    quotas: Vec<Record>,
    total: usize,
    limit: u64,
    offset: u64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QuotaSetting", extend("required" = ["quota"]))]
pub(crate) struct Asked {
    /// The collection that it is on, or in.
    #[serde(default)]
    collection: Option<String>,
    /// The partition that it is on.
    #[serde(default)]
    partition: Option<String>,
    /// Whether it is on each partition by itself.
    #[serde(default)]
    each_partition: bool,
    /// Null takes the quota away.
    #[serde(deserialize_with = "Option::deserialize")]
    quota: Option<Told>,
}

/// `PUT /v1/admin/quotas`: sets one; null takes it.
pub(crate) async fn set(mut call: With<Asked>) -> Result<Answer<Record>, ApiError> {
    let (asked, _) = call.json().await?;
    let subject = subject(&call.app.control, call.caller()?, &asked)?;
    let quota = asked.quota.as_ref().map_or_else(|| Ok(Quota::default()), Told::checked)?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        app.quotas.set(&subject, &quota)?;
        let name = |_| asked.partition.clone();
        json::answer(StatusCode::OK, &record(&subject, Some(&quota), name))
    })
    .await
}

/// Whose quota it is, if the caller may set that.
fn subject(control: &Control, caller: &Caller, asked: &Asked) -> Result<Subject, ApiError> {
    let (workspace, pins) = (caller.workspace()?.id, caller.pins());
    let pinned = |text: &'static str| Err(ApiError::forbidden("pinned_key", text));
    if pins.partition.is_some() {
        return pinned("this key is pinned to a partition, so there is nothing inside of that to limit");
    }
    if let Some(own) = &pins.collection
        && asked.collection.as_ref().is_none_or(|name| name != own)
        && (asked.collection.is_some() || asked.partition.is_none() || own != DEFAULT_COLLECTION)
    {
        return pinned("this key is pinned to a collection: it sets quotas of that one's partitions");
    }
    let collection = || asked.collection.clone().unwrap_or_else(|| DEFAULT_COLLECTION.to_owned());
    match (&asked.partition, asked.each_partition, &asked.collection) {
        (Some(_), true, _) => {
            Err(ApiError::malformed("invalid_quota", "name one partition, or say each_partition, not both"))
        }
        (Some(id), false, _) => {
            let (name, collection) = (partition_name(id)?, collection());
            let hash = control.partition_hasher().hash(workspace, &collection, &name);
            control.remember_partition(hash, &name);
            Ok(Subject::Partition(workspace, collection.into(), Some(hash)))
        }
        (None, true, named) => Ok(Subject::EachPartition(workspace, named.as_deref().map(Into::into))),
        (None, false, Some(_)) if pins.collection.is_some() => {
            pinned("this key is pinned to this collection and bound by its quota itself")
        }
        (None, false, Some(name)) => Ok(Subject::Collection(workspace, name.as_str().into())),
        (None, false, None) if caller.is_operator() => Ok(Subject::Workspace(workspace)),
        (None, false, None) => Err(ApiError::forbidden(
            "operator_only",
            "a workspace's quota is set with the operator's key (STRONGROOM_ROOT_KEY) alone; name a collection or a partition",
        )),
    }
}

/// `GET /v1/admin/quotas`
pub(crate) async fn list(call: Call) -> Result<Answer<List>, ApiError> {
    let (caller, query) = (call.caller()?, &call.query);
    let limit = query.number("limit", 1..=LIST_LIMIT)?.unwrap_or(LIST_LIMIT);
    let offset = query.number("offset", 0..=u64::MAX)?.unwrap_or(0);
    let pins = caller.pins();
    let is_seen = |subject: &Subject| match (subject, &pins.partition) {
        (Subject::Key(..), _) => false,
        (Subject::Partition(_, _, hash), Some(pin)) => *hash == Some(pin.hash),
        (_, Some(_)) => false,
        (Subject::Workspace(_), None) => pins.collection.is_none(),
        (Subject::Collection(_, name) | Subject::Partition(_, name, _), None) => {
            pins.collection.as_ref().is_none_or(|own| **own == **name)
        }
        (Subject::EachPartition(_, name), None) => {
            pins.collection.as_ref().is_none_or(|own| name.as_deref() == Some(&**own))
        }
    };
    let all = call.app.quotas.of_workspace(caller.workspace()?.id);
    let mut seen: Vec<_> = all.into_iter().filter(|(subject, _)| is_seen(subject)).collect();
    seen.sort_by_cached_key(|(subject, _)| format!("{subject:?}"));
    let name = |hash: PartitionHash| call.app.control.partition_of(hash).map(|name| name.as_str().to_owned());
    let page = seen
        .iter()
        .skip(usize::try_from(offset).unwrap_or(usize::MAX))
        .take(usize::try_from(limit).unwrap_or(usize::MAX))
        .map(|(subject, quota)| record(subject, Some(quota), name))
        .collect();
    json::answer(StatusCode::OK, &List { quotas: page, total: seen.len(), limit, offset })
}

fn record(
    subject: &Subject,
    quota: Option<&Quota>,
    name: impl Fn(PartitionHash) -> Option<String>,
) -> Record {
    let (on, collection, partition) = match subject {
        Subject::Workspace(_) => ("workspace", None, None),
        Subject::Collection(_, collection) => ("collection", Some(&**collection), None),
        Subject::Partition(_, collection, hash) => ("partition", Some(&**collection), hash.and_then(name)),
        Subject::EachPartition(_, collection) => ("each_partition", collection.as_deref(), None),
        Subject::Key(..) => ("key", None, None),
    };
    Record { on, collection: collection.map(str::to_owned), partition, quota: shown(quota) }
}
