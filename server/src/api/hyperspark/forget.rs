//! How is something forgotten for good?
//!
//! One memory, some, or all of a user in one call. Forgetting purges: nothing restores it, and the partition is rewritten under
//! a fresh key, with a receipt.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_engine::{Filter, Partition, SignedReceipt};

use super::reach::{Maybe, Target, look_into, target, user};
use crate::app::App;
use crate::auth::Place;
use crate::call::{Call, With};
use crate::control::By;
use crate::ingest::PurgedThese;
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::{clock, erasure, ingest, random, tenants};

/// How many memories are named in one call at most.
const IDS_MAX: usize = 1000;
/// How many memories go in one write.
const FORGOTTEN_AT_ONCE: usize = 10_000;
/// How often all of a user is looked for: others may write meanwhile.
const LOOKS_MAX: usize = 4;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "Forget")]
pub(crate) struct Body {
    /// Whose they are; the organization's own without it.
    #[serde(default, deserialize_with = "json::present")]
    #[schemars(with = "String")]
    tenant_id: Maybe,
    /// With no memory named: all of this user's.
    #[serde(default, deserialize_with = "json::present")]
    #[schemars(with = "String")]
    user_id: Maybe,
    /// One memory.
    #[serde(default, deserialize_with = "json::present")]
    #[schemars(with = "String")]
    memory_id: Maybe,
    /// Several, up to 1000.
    #[serde(default, deserialize_with = "json::present")]
    #[schemars(with = "Vec<String>", length(min = 1, max = 1000))]
    memory_ids: Option<Option<Vec<String>>>,
}

/// What is to be forgotten.
enum What {
    /// These, which must all be this user's, if one is named.
    These { ids: Vec<String>, user: Option<String> },
    /// All of a user.
    AllOf(String),
}

/// What was forgotten.
#[derive(Default)]
struct Done {
    forgotten: usize,
    is_unfinished: bool,
    receipts: Vec<SignedReceipt>,
}

/// What is forgotten, and what proves it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Forgotten {
    success: bool,
    /// How many memories.
    forgotten: usize,
    /// Whether their bytes are gone already.
    #[serde(rename = "final")]
    is_final: bool,
    /// When they will be at the latest.
    final_by: Option<String>,
    receipt_id: Option<String>,
    receipt_ids: Vec<String>,
}

/// `POST /api/v1/memory/forget`
pub(crate) async fn forget(mut call: With<Body>) -> Result<Answer<Forgotten>, ApiError> {
    let (body, _) = call.json().await?;
    let target = target(&call, &body.tenant_id)?;
    let (what, by) = (what(&call, body)?, call.by()?);
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let before = ingest::remembered(&app.store, &target.place)?;
        let done = match what {
            // Of all of a user, what came since stays.
            _ if let Some(ids) = before => Done { forgotten: ids.len(), ..Done::default() },
            What::These { ids, user } => forget_these(&app, &target, &ids, user.as_deref(), &by)?,
            What::AllOf(user) => forget_all(&app, &target, &user, &by)?,
        };
        app.deleted(&target.place, done.forgotten as u64);
        let final_by =
            done.is_unfinished.then(|| clock::rfc3339(clock::now_ms().saturating_add(app.purge_ms)));
        let receipts: Vec<_> = done.receipts.iter().map(|signed| random::hex(&signed.receipt.id)).collect();
        json::answer(
            StatusCode::OK,
            &Forgotten {
                success: true,
                forgotten: done.forgotten,
                is_final: !done.is_unfinished,
                final_by,
                receipt_id: receipts.last().cloned(),
                receipt_ids: receipts,
            },
        )
    })
    .await
}

/// A field that is null is a slip, and a slip must not make more be forgotten than was meant.
fn what(call: &Call, body: Body) -> Result<What, ApiError> {
    let is_null = body.user_id == Some(None) || body.memory_id == Some(None) || body.memory_ids == Some(None);
    if is_null {
        return Err(ApiError::malformed(
            "malformed_body",
            "a field is null: leave it out, or give it a value",
        ));
    }
    let user = body.user_id.flatten().map(|id| user(Some(&id), &call.app.limits)).transpose()?;
    let ids = match (body.memory_id.flatten(), body.memory_ids.flatten()) {
        (None, None) => None,
        (Some(id), None) => Some(vec![id]),
        (None, Some(ids)) if (1..=IDS_MAX).contains(&ids.len()) => Some(ids),
        (None, Some(_)) => {
            return Err(ApiError::malformed("invalid_list", format!("memoryIds has 1 to {IDS_MAX} ids")));
        }
        (Some(_), Some(_)) => {
            return Err(ApiError::malformed("malformed_body", "give either memoryId or memoryIds, not both"));
        }
    };
    match (ids, user) {
        (Some(mut ids), user) => {
            ids.sort_unstable();
            ids.dedup();
            Ok(What::These { ids, user })
        }
        (None, Some(user)) => Ok(What::AllOf(user)),
        (None, None) => Err(ApiError::malformed(
            "nothing_named",
            "say what to forget: memoryId for one memory, or userId for all that is remembered of a user",
        )),
    }
}

fn no_memory() -> ApiError {
    ApiError::missing("memory_not_found", "there is no such memory, or it is another user's or tenant's")
}

fn forget_these(
    app: &App,
    target: &Target,
    ids: &[String],
    user: Option<&str>,
    by: &By,
) -> Result<Done, ApiError> {
    let are_all_there = look_into(app, target, |partition| {
        for id in ids {
            let is_theirs = |entity: Option<&str>| user.is_none() || entity == user;
            match partition.get(id)? {
                Some(document) if !tenants::is_registration(id) && is_theirs(document.entity.as_deref()) => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    })?;
    if are_all_there != Some(true) {
        return Err(no_memory());
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let purged = erasure::purge_these(&app.control, &app.store, &target.place, &ids, by.clone())?;
    Ok(Done::default().and(purged.ok_or_else(no_memory)?))
}

fn forget_all(app: &App, target: &Target, user: &str, by: &By) -> Result<Done, ApiError> {
    let filter = Filter { entity: Some(user.to_owned()), ..Filter::default() };
    let look = |partition: &Partition| Ok(partition.list(&filter, 0, usize::MAX)?.documents);
    let mut done = Done::default();
    // Promised is the last write: one that is cut short before goes on when it is asked for again.
    let unpromised = Place { promise: None, ..target.place.clone() };
    for look_number in 0..LOOKS_MAX {
        let found = look_into(app, target, look)?.unwrap_or_default();
        let ids: Vec<&str> = found.iter().map(|document| document.id.as_str()).collect();
        if ids.is_empty() {
            break;
        }
        let chunks = ids.len().div_ceil(FORGOTTEN_AT_ONCE);
        for (number, ids) in ids.chunks(FORGOTTEN_AT_ONCE).enumerate() {
            let is_last = look_number == 0 && number + 1 == chunks;
            let place = if is_last { &target.place } else { &unpromised };
            // Somebody else may have forgotten some of them meanwhile.
            if let Some(purged) = erasure::purge_these(&app.control, &app.store, place, ids, by.clone())? {
                done = done.and(purged);
            }
        }
    }
    Ok(done)
}

impl Done {
    fn and(mut self, done: PurgedThese) -> Self {
        self.forgotten += done.ids.len();
        self.is_unfinished |= !done.purged.is_final;
        self.receipts.extend(done.purged.receipt);
        self
    }
}
