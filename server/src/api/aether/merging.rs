//! How does a partition become part of another one?
//!
//! Its documents are poured there page by page, each page durable in both or in neither; then what is left of it, its name and its
//! key, is dropped with a receipt. A merge that broke off is asked for again and goes on. What would stop it half-way is looked for
//! before anything goes: ids that are others' there, keys that are pinned here, a quota.
//!
//! Invariants:
//! 1. No document is lost, replaced or in both, whoever writes meanwhile and wherever it breaks off.
//! 2. A merge is refused unless it is written down.
//! 3. No key comes to reach another partition than it was minted for, unless the caller asks for that, and may mint keys.

use std::sync::Arc;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_engine::{Pour, Poured, StoreError};

use super::partitions::{collection, named, no_partition, refuse_tenant_field, refuse_tenants};
use crate::app::App;
use crate::auth::Place;
use crate::call::{Call, With};
use crate::control::scopes::Scope;
use crate::control::{Action, By, Collection, Entry, Rename, no_collection};
use crate::erasure::{self, with_room};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::random;

/// So often what was written meanwhile is poured as well, before the caller is told that somebody goes on writing.
const ROUNDS_MAX: u32 = 8;

/// About so much goes over in one write, in bytes.
const PAGE_BYTES: usize = 1 << 20;

/// What a partition is refused by that is to be dropped empty, and is not.
const NOT_EMPTY: &str = "partition_not_empty";

/// What becomes of documents whose ids are other documents' in the other partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OnConflict")]
enum OnConflict {
    /// With one of them nothing is merged.
    #[default]
    Refuse,
    /// They stay, and their partition with them; all others go.
    Leave,
}

/// Into which partition, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MergePartition")]
pub(crate) struct Merge {
    /// The id of the partition that it becomes a part of, which has to be there.
    into: String,
    /// Only says what would come of it.
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    on_conflict: OnConflict,
    /// Whether keys that are pinned to the partition reach the other one from then on. Takes the scope `key:*`.
    #[serde(default)]
    move_keys: bool,
}

/// What a merge came to, or would come to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MergedPartition")]
pub(crate) struct Merged {
    partition: String,
    merged_from: String,
    dry_run: bool,
    /// Documents that went over, soft-deleted ones among them.
    documents_moved: u64,
    /// How many of these are soft-deleted.
    deleted_moved: u64,
    /// Documents that were there already, the same in all that there is of them.
    documents_known: u64,
    /// Documents that stay, because their ids are other documents' there.
    documents_left: u64,
    /// Live keys that are pinned to the partition; without `move_keys` there may be none.
    keys_moved: usize,
    /// Of the partition that is gone; null while it stays.
    receipt_id: Option<String>,
}

/// A merge on its way.
struct Merging {
    app: Arc<App>,
    collection: Arc<Collection>,
    from: Place,
    to: Place,
    names: Rename,
    asked: Merge,
    by: By,
    /// What has gone over so far.
    poured: Poured,
    keys: usize,
}

/// `POST /v1/partitions/{id}/merge`
pub(crate) async fn merge(mut call: With<Merge>) -> Result<Answer<Merged>, ApiError> {
    let (asked, _) = call.json().await?;
    let (id, from) = named(&call)?;
    let to = call.place_in(&from.at.collection, Some(&asked.into))?;
    check_caller(&call, &asked)?;
    if from.at == to.at {
        return Err(ApiError::malformed("invalid_partition", "a partition can't be merged into itself"));
    }
    refuse_tenants(&from)?;
    let (app, by) = (call.app.clone(), call.by()?);
    let collection = collection(&app, &from)?;
    refuse_tenant_field(&collection)?;
    let (Some(old), Some(new)) = (app.usage.hash_of(&from), app.usage.hash_of(&to)) else {
        return Err(ApiError::internal("a partition with an id has no hash"));
    };
    let names =
        Rename { workspace: from.scope.workspace(), collection: from.at.collection.clone(), old, new };
    let (poured, keys) = (Poured::default(), 0);
    let mut merging = Merging { app, collection, from, to, names, asked, by, poured, keys };
    for _ in 0..ROUNDS_MAX {
        let foreseen;
        (merging, foreseen) = merging.look().await?;
        if merging.asked.dry_run {
            return json::answer(StatusCode::OK, &merging.told(id, foreseen, None));
        }
        let taken;
        (merging, taken) = merging.pour(foreseen).await?;
        let receipt = if taken > 0 { None } else { merging.end().await? };
        if taken > 0 || receipt.is_some() {
            let poured = Poured { taken, ..merging.poured };
            return json::answer(StatusCode::OK, &merging.told(id, poured, receipt));
        }
    }
    Err(merging.so_far(ApiError::conflict(
        "partition_busy",
        "documents keep coming into the partition: have whoever writes there stop, and merge again",
    )))
}

/// Insists that the caller may write, delete and, if keys are to follow, mint keys.
fn check_caller(call: &Call, asked: &Merge) -> Result<(), ApiError> {
    let caller = call.caller()?;
    caller.require(Scope::DocumentUpload)?;
    if asked.move_keys { caller.require(Scope::Keys) } else { Ok(()) }
}

impl Merging {
    /// Looks what there is to pour, and refuses what would stop it.
    async fn look(mut self) -> Result<(Self, Poured), ApiError> {
        let mut foreseen = Poured::default();
        let mut pour = self.begin().await?;
        loop {
            let looking = self.app.pool.run(move || Ok((pour.look()?, pour)));
            let (page, rest) = looking.await?;
            pour = rest;
            let Some(page) = page else { break };
            foreseen = foreseen.plus(page);
        }
        self.keys = self.app.control.pinned_keys(self.names.workspace, self.names.old);
        if self.asked.dry_run {
            return Ok((self, foreseen));
        }
        if foreseen.taken > 0 && self.asked.on_conflict == OnConflict::Refuse {
            return Err(self.so_far(ApiError::conflict(
                "document_exists",
                format!(
                    "the ids of {} of the partition's documents are other documents' where it is to be merged into: delete or \
                     move either, or send \"on_conflict\": \"leave\" to merge the others",
                    foreseen.taken
                ),
            )));
        }
        if self.keys > 0 && !self.asked.move_keys {
            return Err(self.so_far(ApiError::conflict(
                "keys_pinned",
                format!(
                    "{} live keys are pinned to the partition: revoke them, or send \"move_keys\": true to have them reach the \
                     other one from then on",
                    self.keys
                ),
            )));
        }
        Ok((self, foreseen))
    }

    /// Begins to pour, from what is there now.
    async fn begin(&self) -> Result<Pour, ApiError> {
        let (app, from, to) = (self.app.clone(), self.from.clone(), self.to.clone());
        let begun = self.app.pool.run(move || {
            let source = app.store.partition(&from.scope, &from.at)?.ok_or_else(no_partition)?;
            let Some(target) = app.store.partition(&to.scope, &to.at)? else {
                return Err(no_target(&app, &to)?);
            };
            Ok(source.pour_into(&target, PAGE_BYTES)?)
        });
        begun.await
    }

    /// Pours what there is, page after page, each a turn of its own in the queue, and answers how much stays because its ids are
    /// taken.
    async fn pour(mut self, foreseen: Poured) -> Result<(Self, u64), ApiError> {
        let mut pour = self.begin().await?;
        let pool = self.app.pool.clone();
        let beginning = pool.run(move || {
            let room = self.app.quotas.room_within(&self.to, foreseen.documents, foreseen.bytes);
            let room = room.map_err(|error| self.so_far(error))?;
            if self.poured == Poured::default() {
                let entries = self.entries()?;
                with_room(&self.app.store, || self.app.control.tell(entries.clone()))?;
            }
            Ok((room, self))
        });
        let room;
        let mut taken = 0;
        (room, self) = beginning.await?;
        loop {
            let collection = self.collection.clone();
            let pouring = self.app.pool.run(move || {
                let _inside = collection.gate.enter().ok_or_else(no_collection)?;
                Ok((pour.next_page()?, pour))
            });
            let (page, rest) = pouring.await.map_err(|error| self.so_far(error))?;
            pour = rest;
            let Some(page) = page else { break };
            taken += page.taken;
            self.poured = self.poured.plus(page);
        }
        drop(room);
        self.app.quotas.freed(&self.from);
        Ok((self, taken))
    }

    /// Has what is kept of it beside the store follow, and drops what is empty now. Answers the receipt, if nobody wrote into it
    /// meanwhile.
    async fn end(&self) -> Result<Option<String>, ApiError> {
        let (app, from, to, by) = (self.app.clone(), self.from.clone(), self.to.clone(), self.by.clone());
        let (names, moves_keys) = (self.names.clone(), self.asked.move_keys);
        let ending = self.app.pool.run(move || {
            let Some(name) = &to.at.partition else { return Err(ApiError::internal("it has no id")) };
            // First, since nothing would do it once the partition is gone.
            app.usage.rename(&from, name, || {
                app.control.remember_partition(names.new, name);
                with_room(&app.store, || app.control.follow_merge(&names, moves_keys)).map_err(ApiError::from)
            })?;
            match erasure::drop_emptied(&app.control, &app.store, &from, by) {
                Ok(Some(receipt)) => {
                    app.quotas.freed(&from);
                    Ok(Some(random::hex(&receipt.receipt.id)))
                }
                // Somebody else dropped it, or threw it away.
                Ok(None) => Err(no_partition()),
                Err(error) if error.code == NOT_EMPTY => Ok(None),
                Err(error) => Err(error),
            }
        });
        ending.await.map_err(|error| self.so_far(error))
    }

    /// What the audit log has of it, for both partitions.
    fn entries(&self) -> Result<Vec<Entry>, ApiError> {
        let mut entries = Vec::new();
        for place in [&self.from, &self.to] {
            let partition = self.app.store.partition(&place.scope, &place.at)?.ok_or_else(no_partition)?;
            let resource = random::hex(&partition.incarnation());
            let (workspace, by) = (self.names.workspace, self.by.clone());
            entries.push(Entry::done(workspace, by, Action::PartitionMerge, resource));
        }
        Ok(entries)
    }

    /// The error, with what went over before it.
    fn so_far(&self, error: ApiError) -> ApiError {
        match self.poured.documents + self.poured.known {
            0 => error,
            moved => error.with_more(&format!(
                "; {moved} documents have gone over, and the others are where they were: merge again to go on"
            )),
        }
    }

    fn told(&self, id: String, poured: Poured, receipt_id: Option<String>) -> Merged {
        Merged {
            partition: self.asked.into.clone(),
            merged_from: id,
            dry_run: self.asked.dry_run,
            documents_moved: poured.documents,
            deleted_moved: poured.deleted,
            documents_known: poured.known,
            documents_left: poured.taken,
            keys_moved: self.keys,
            receipt_id,
        }
    }
}

/// Why there is nothing to merge into: a partition in the trash is told from one that was never there.
fn no_target(app: &App, to: &Place) -> Result<ApiError, ApiError> {
    let info = app.store.partition_info(&to.scope, &to.at)?;
    Ok(match info {
        Some(info) if info.terms.trash.is_some() => StoreError::Trashed.into(),
        _ => ApiError::missing(
            "partition_not_found",
            "there is no partition to merge into; rename the other one, if it is to have that id",
        ),
    })
}
