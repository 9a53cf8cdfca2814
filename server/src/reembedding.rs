//! How is a collection embedded anew?
//!
//! In the background, document by document: read, cut as the collection says now, embed, and put in the place of the version that
//! was read. Searches go on throughout, over new vectors and old. Documents whose vectors the caller made stay as they are.
//!
//! Invariants:
//! 1. A document that was changed meanwhile is newer than what was read of it, and stays.
//! 2. What the model was given is counted, as with every other document; the day's limits stop no run that was begun.
//! 3. One run at a time for a collection. That one is due stands in the collection's settings until it is done, so the next start
//!    goes on with what a stop cut short.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use strongroom_engine::{DocumentInfo, Filter, NewDocument, PartitionRef, WriteError};

use crate::app::App;
use crate::auth::{Place, server_in};
use crate::control::{By, Collection, Control};
use crate::events::Event;
use crate::ingest::{self, Intake, history};
use crate::log;
use crate::message::error::ApiError;
use crate::usage::{self, Tally};

/// A service that fails is asked again after this, which doubles to the most.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// Ids that are listed at once.
const PAGE: usize = 1000;

/// How far a run has come.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    done: u64,
    /// Left as they are: own vectors, changed meanwhile, refused by the model.
    left: u64,
    total: u64,
}

/// Marks a collection as due. The error says that it is already.
pub(crate) fn begin(control: &Control, collection: &Collection, by: By) -> Result<Arc<Collection>, ApiError> {
    let mut was_due = false;
    let marked = control.change_collection(
        collection,
        |settings| was_due = std::mem::replace(&mut settings.reembedding, true),
        None,
        by,
    )?;
    if was_due {
        return Err(ApiError::conflict(
            "reembedding",
            "this collection is being embedded anew already; its events tell how far that is",
        ));
    }
    Ok(marked)
}

/// Goes on with what the last process left, in turn.
pub(crate) async fn resume(app: Arc<App>) {
    for collection in app.control.collections_due() {
        run(app.clone(), collection).await;
    }
}

/// Embeds all documents of a collection that is marked as due.
pub(crate) async fn run(app: Arc<App>, collection: Arc<Collection>) {
    match embed_all(&app, &collection).await {
        // The process stops: the next one goes on.
        Ok(None) => {}
        Ok(Some(progress)) => {
            let unmarked = app.clone();
            let row = collection.clone();
            let unmark = move || {
                Ok(unmarked.control.change_collection(&row, |s| s.reembedding = false, None, By::system())?)
            };
            if let Err(error) = app.pool.run(unmark).await {
                log::error(&format!(
                    "a collection's end of embedding could not be written down: {}",
                    error.text
                ));
            }
            tell(&app, &collection, "complete", progress);
        }
        // The collection went, or the disk failed.
        Err(error) => {
            let why = error.cause.as_deref().unwrap_or(&error.text).to_owned();
            log::error(&format!(
                "embedding a collection anew failed, and is tried again at the next start: {why}"
            ));
        }
    }
}

async fn embed_all(app: &Arc<App>, collection: &Arc<Collection>) -> Result<Option<Progress>, ApiError> {
    let scope = server_in(collection.workspace, &collection.name);
    let (listing, name, reach) = (app.clone(), collection.name.clone(), scope.clone());
    let partitions = app.pool.run(move || Ok(listing.store.partitions(&reach, &name)?)).await?;
    let total = partitions.iter().map(|info| info.counts.documents).sum();
    let mut progress = Progress { total, ..Progress::default() };
    tell(app, collection, "embedding", progress);
    for info in partitions {
        let at = PartitionRef { collection: collection.name.clone(), partition: info.name };
        let place = Place { scope: scope.clone(), at, key: None, promise: None, watch: None };
        for id in ids(app, &place).await? {
            if !app.is_ready.load(Ordering::Relaxed) {
                return Ok(None);
            }
            match patiently(app, collection, &place, &id).await? {
                None => return Ok(None),
                Some(true) => progress.done += 1,
                Some(false) => progress.left += 1,
            }
            tell(app, collection, "embedding", progress);
        }
    }
    Ok(Some(progress))
}

/// The ids of a partition's documents as they are now.
async fn ids(app: &Arc<App>, place: &Place) -> Result<Vec<String>, ApiError> {
    let (listing, place) = (app.clone(), place.clone());
    let list = move || {
        let found = ingest::read(&listing.store, &place, |partition| {
            let mut ids = Vec::new();
            loop {
                let page = partition.list(&Filter::default(), ids.len(), PAGE)?;
                let is_last = page.documents.len() < PAGE;
                ids.extend(page.documents.into_iter().map(|document| document.id));
                if is_last {
                    return Ok(ids);
                }
            }
        })?;
        Ok(found.unwrap_or_default())
    };
    app.pool.run(list).await
}

/// Embeds a document, and waits for a service that is down. Answers whether it has new vectors; `None` when the process stops.
async fn patiently(
    app: &Arc<App>,
    collection: &Arc<Collection>,
    place: &Place,
    id: &str,
) -> Result<Option<bool>, ApiError> {
    let mut pause = PAUSE;
    loop {
        match embed_one(app, collection, place, id).await {
            Ok(is_done) => return Ok(Some(is_done)),
            // The model refuses this text, and will again.
            Err(error) if error.status.is_client_error() && error.code != "embedding_not_configured" => {
                return Ok(Some(false));
            }
            Err(error) if error.status.is_server_error() && error.retry_after_seconds.is_none() => {
                return Err(error);
            }
            Err(_) => {}
        }
        let end = tokio::time::Instant::now() + pause;
        while tokio::time::Instant::now() < end {
            if !app.is_ready.load(Ordering::Relaxed) {
                return Ok(None);
            }
            tokio::time::sleep(PAUSE).await;
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn embed_one(
    app: &Arc<App>,
    collection: &Arc<Collection>,
    place: &Place,
    id: &str,
) -> Result<bool, ApiError> {
    let (reading, from, own_id) = (app.clone(), place.clone(), id.to_owned());
    let read = move || {
        let found = ingest::read(&reading.store, &from, |partition| {
            let passages = partition.passages(&own_id, 0, 1)?;
            Ok(match passages.as_ref().and_then(|(_, passages)| passages.first()) {
                Some(first) if first.range.is_some() => partition.content(&own_id)?,
                _ => None,
            })
        })?;
        Ok(found.flatten())
    };
    match app.pool.run(read).await? {
        Some((document, content)) => {
            let anew = embedded(app, collection, document, content).await?;
            put(app, place, anew).await
        }
        None => Ok(false),
    }
}

/// A document that was read, embedded as its collection is set now: not in its place yet.
pub(crate) struct Anew {
    id: String,
    /// What it was when it was read.
    version: u32,
    document: NewDocument,
    /// How many its model was given.
    pub(crate) tokens: u64,
}

/// Embeds a document as it was read.
pub(crate) async fn embedded(
    app: &Arc<App>,
    collection: &Collection,
    document: DocumentInfo,
    content: Vec<u8>,
) -> Result<Anew, ApiError> {
    let (id, version) = (document.id.clone(), document.version);
    let before = document.clone();
    let intake = Intake::of_stored(document, content, collection.chunking()?);
    let most = app.limits.passages_max;
    let document = app.models.document(&app.store, &app.pool, collection, intake, most).await?;
    let metadata = history::following(&document.metadata, None, &before);
    let document = NewDocument { metadata, ..document };
    let embedder = app.embedder;
    app.pool
        .run(move || {
            let tokens = usage::tokens(embedder, &document);
            Ok(Anew { id, version, document, tokens })
        })
        .await
}

/// Puts it in the place of what was read. Answers false when that isn't there any more.
pub(crate) async fn put(app: &Arc<App>, place: &Place, anew: Anew) -> Result<bool, ApiError> {
    let (writing, to) = (app.clone(), place.clone());
    let write = move || {
        let Anew { id, version, document, tokens } = anew;
        let tally = Tally { embedding_tokens: tokens, ..Tally::default() };
        let is_put = ingest::change(&writing.store, &to, |partition| {
            match partition.update_version(&id, version, document.clone()) {
                Ok(_) => Ok(true),
                Err(WriteError::Changed | WriteError::NotFound) => Ok(false),
                Err(error) => Err(error),
            }
        })?;
        // The model worked for it, whether or not somebody was quicker.
        if is_put.is_some() {
            writing.usage.count(&to, to.key(), tally);
        }
        Ok(is_put.unwrap_or(false))
    };
    app.pool.run(write).await
}

fn tell(app: &App, collection: &Collection, step: &str, progress: Progress) {
    let Progress { done, left, total } = progress;
    let share = if total == 0 { 1.0 } else { (done + left).min(total) as f64 / total as f64 };
    app.events.tell(&collection.id, || Event {
        partition: None,
        is_of_all: true,
        body: json!({
            "collection_name": collection.name,
            "document_id": null,
            "step": step,
            "status": if step == "complete" { "ready" } else { "processing" },
            "message": format!("{done} of {total} documents embedded anew, {left} left as they were"),
            "progress": share,
            "detail": {"done": done, "left": left, "total": total},
        }),
    });
}
