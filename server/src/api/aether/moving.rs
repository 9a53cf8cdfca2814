//! How does a document go to another partition?
//!
//! Both partitions are named in the body, each explicitly: `null` is the default partition. So this is no route on data that a
//! forgotten partition could aim; who may not reach both may not move.
//!
//! Invariants:
//! 1. A wrong partition to move from, a deleted document and one that was never there are answered the same.
//! 2. A move that was acknowledged has its row in the audit log.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use strongroom_engine::DocumentInfo;

use super::record::Record;
use crate::app::App;
use crate::auth::Place;
use crate::call::{Call, With};
use crate::control::scopes::Scope;
use crate::control::{Action, By, Entry};
use crate::ingest::{self, history};
use crate::message::content::Answer;
use crate::message::error::{ApiError, no_document};
use crate::message::json;
use crate::{clock, random};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["expect_partition", "to_partition"]))]
pub(crate) struct Move {
    /// Where it is now; null: in the default partition.
    #[serde(default, deserialize_with = "json::present")]
    #[schemars(with = "Option<String>")]
    expect_partition: Option<Value>,
    /// Where it is to go; null: to the default partition.
    #[serde(default, deserialize_with = "json::present")]
    #[schemars(with = "Option<String>")]
    to_partition: Option<Value>,
}

impl Move {
    /// From where and to where, if the caller reaches both.
    pub(super) fn places(self, call: &Call) -> Result<(Place, Place), ApiError> {
        let from = named(call, "expect_partition", self.expect_partition)?;
        Ok((from, named(call, "to_partition", self.to_partition)?))
    }
}

/// `POST /v1/documents/{id}/move`
pub(crate) async fn move_document(mut call: With<Move>) -> Result<Answer<Record<'static>>, ApiError> {
    let id = call.value(0)?.to_owned();
    call.caller()?.require(Scope::DocumentDelete)?;
    let (body, held) = call.json().await?;
    let (from, to) = body.places(&call)?;
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let moved = move_all(&app, &from, &to, &[&id], by)?;
        drop(held);
        let moved = moved.first().ok_or_else(no_document)?;
        json::answer(StatusCode::OK, &Record::new(moved, to.partition()))
    })
    .await
}

/// The partition of one of the two fields, which has to be there.
fn named(call: &Call, field: &'static str, value: Option<Value>) -> Result<Place, ApiError> {
    let caller = call.caller()?;
    match value {
        Some(Value::String(name)) => call.place_for(Some(&name)),
        // A pinned key reaches its own partition alone, whose name it could leave out elsewhere.
        Some(Value::Null) if caller.pins().partition.is_some() => Err(ApiError::forbidden(
            "partition_forbidden",
            "this key is pinned to a partition, and this request names the default one (null)",
        )),
        Some(Value::Null) => call.place_for(None),
        _ => Err(ApiError::malformed(
            "malformed_body",
            format!("{field} has to be there: a partition's id, or null for the default partition"),
        )),
    }
}

/// Moves documents together, or none of them.
pub(super) fn move_all(
    app: &App,
    from: &Place,
    to: &Place,
    ids: &[&str],
    by: By,
) -> Result<Vec<DocumentInfo>, ApiError> {
    let collection = app.collection(to.scope.workspace())?;
    let source = app.store.partition(&from.scope, &from.at)?;
    let read = |id: &str| ingest::read(&app.store, from, |partition| partition.get(id)).map(Option::flatten);
    if from.at == to.at {
        return ids.iter().map(|id| read(id)?.ok_or_else(no_document)).collect();
    }
    let mut bytes = 0;
    for id in ids {
        bytes += read(id)?.map_or(0, |document| document.content_bytes);
    }
    // Nothing is made there for what isn't here; a repeated request finds its answer there.
    let is_repeated = to.promise.is_some() && app.store.partition(&to.scope, &to.at)?.is_some();
    let Some(source) = source.filter(|_| bytes > 0 || is_repeated) else { return Err(no_document()) };
    let _room = app.quotas.room(to, ids.len() as u64, bytes)?;
    let moved = ingest::write(&app.store, to, &collection, |partition| {
        source.move_to_telling(partition, ids, |before, metadata| {
            history::moved(metadata, from.key(), clock::now_ms(), before)
        })
    })?;
    if !to.was_answered() {
        app.quotas.freed(from);
        let resource = random::hex(&source.incarnation());
        let entry = Entry::done(from.scope.workspace(), by, Action::DocumentMove, resource);
        enter(app, entry, "it is moved")?;
    }
    Ok(moved)
}

/// Takes an act down that is done.
pub(super) fn enter(app: &App, entry: Entry, what: &str) -> Result<(), ApiError> {
    app.control.enter(|| vec![entry]).map_err(|_| {
        let text = format!(
            "{what}, but the audit log's entry of it could not be written yet; the server goes on trying by itself"
        );
        ApiError::busy("audit_unwritten", text, 60)
    })
}
