//! How are a collection's documents listed, read, embedded anew and deleted?
//!
//! A listing is of one partition. What names a document by its id alone looks where `tenant::by_id` says. Deleting purges: nothing
//! brings a document back, and a receipt proves it.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_engine::{DocumentInfo, Filter, Page};

use super::reembed::Begun;
use super::tenant::{self, Reach};
use super::told::{Chunk, Document, Status};
use crate::api::aether::documents::as_attachment;
use crate::auth::Place;
use crate::call::{Call, With};
use crate::ingest::{self, original};
use crate::message::content::{Answer, Octets};
use crate::message::error::{ApiError, no_document};
use crate::message::json;
use crate::message::query::Query;
use crate::reembedding;
use crate::whole;

const LIST_LIMIT: u64 = 50;
const CHUNKS_LIMIT: u64 = 100;

/// A page of a partition's documents.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ListedDocuments")]
pub(crate) struct Listed {
    documents: Vec<Document>,
    /// Null with include_total=false.
    total: Option<u64>,
}

/// Documents.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CollectionDocuments")]
pub(crate) struct Documents {
    pub(super) documents: Vec<Document>,
    pub(super) total: usize,
}

/// What became of documents.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DocumentStatuses")]
pub(crate) struct Statuses {
    documents: Vec<Status>,
    total: usize,
}

/// A document's passages.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Chunks {
    chunks: Vec<Chunk>,
    /// All it has.
    total: u32,
}

/// It is gone for good.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeletedDocument")]
pub(crate) struct Deleted {
    status: &'static str,
}

/// How many documents are gone for good, and which are not.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeletedDocuments")]
pub(crate) struct DeletedMany {
    status: &'static str,
    deleted: usize,
    errors: Vec<Undeleted>,
}

/// Why a document is not deleted.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UndeletedDocument")]
pub(crate) struct Undeleted {
    document_id: String,
    error: String,
}

/// `GET /v1/collections/{name}/documents`
pub(crate) async fn list(call: Call) -> Result<Answer<Listed>, ApiError> {
    let collection = tenant::collection(&call, call.value(0)?)?;
    let place = tenant::listed(&call, &collection)?;
    let wanted = Wanted::of_query(&call.query, call.app.limits.list_limit_max as u64)?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let page = wanted.page(&place, |place, from, most| {
            ingest::read(&app.store, place, |partition| partition.list(&Filter::default(), from, most))
        })?;
        place.lists(&page.documents);
        let documents = page.documents.iter().map(|one| Document::of(&collection, one)).collect();
        json::answer(StatusCode::OK, &Listed { documents, total: wanted.with_total.then_some(page.total) })
    })
    .await
}

/// What a listing asks for.
struct Wanted {
    named: Option<String>,
    is_ready: bool,
    order: Option<fn(&DocumentInfo, &DocumentInfo) -> Ordering>,
    is_rising: bool,
    offset: usize,
    limit: usize,
    with_total: bool,
}

impl Wanted {
    fn of_query(query: &Query, most: u64) -> Result<Self, ApiError> {
        let invalid = |text| ApiError::malformed("invalid_parameter", text);
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Self {
            named: query.text("q").map(str::to_lowercase),
            // Whatever can be seen is stored, passages and all.
            is_ready: match query.text("status") {
                None | Some("ready") => true,
                Some("pending" | "processing" | "failed") => false,
                Some(_) => return Err(invalid("status is ready, pending, processing or failed")),
            },
            order: match query.text("sort") {
                None | Some("created_at") => None,
                Some("updated_at") => Some(|a, b| updated(a).cmp(&updated(b))),
                Some("filename") => Some(|a, b| a.filename.cmp(&b.filename)),
                Some("file_size") => Some(|a, b| original::size(a).cmp(&original::size(b))),
                Some("chunk_count") => Some(|a, b| a.passages.cmp(&b.passages)),
                Some(_) => {
                    return Err(invalid(
                        "sort is created_at, updated_at, filename, file_size or chunk_count",
                    ));
                }
            },
            is_rising: match query.text("order") {
                None | Some("desc") => false,
                Some("asc") => true,
                Some(_) => return Err(invalid("order is asc or desc")),
            },
            offset: number(query.number("offset", 0..=u64::MAX)?.unwrap_or(0)),
            limit: number(query.number("limit", 1..=most)?.unwrap_or(LIST_LIMIT)),
            with_total: query.get("include_total").is_none() || query.flag("include_total")?,
        })
    }

    /// One page. The engine's own order needs no look at the others.
    fn page(
        &self,
        place: &Place,
        list: impl Fn(&Place, usize, usize) -> Result<Option<Page>, ApiError>,
    ) -> Result<Page, ApiError> {
        let nothing = || Page { documents: Vec::new(), total: 0 };
        if !self.is_ready {
            return Ok(nothing());
        }
        if self.named.is_none() && self.order.is_none() && !self.is_rising {
            return Ok(list(place, self.offset, self.limit)?.unwrap_or_else(nothing));
        }
        let mut documents = list(place, 0, usize::MAX)?.unwrap_or_else(nothing).documents;
        if let Some(part) = &self.named {
            documents.retain(|document| document.filename.to_lowercase().contains(part));
        }
        // They come newest first.
        match (self.order, self.is_rising) {
            (None, false) => {}
            (None, true) => documents.reverse(),
            (Some(order), true) => documents.sort_by(order),
            (Some(order), false) => documents.sort_by(|a, b| order(b, a)),
        }
        let total = documents.len() as u64;
        Ok(Page { documents: documents.into_iter().skip(self.offset).take(self.limit).collect(), total })
    }
}

fn updated(document: &DocumentInfo) -> u64 {
    document.updated_ms.unwrap_or(document.created_ms)
}

/// `GET /v1/collections/{name}/documents/{id}`
pub(crate) async fn get(call: Call) -> Result<Answer<Document>, ApiError> {
    let collection = tenant::collection(&call, call.value(0)?)?;
    let (reach, id) = (tenant::by_id(&call, &collection)?, call.value(1)?.to_owned());
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let document = reach.find(&app, &id, |partition| partition.get(&id))?;
        json::answer(StatusCode::OK, &Document::of(&collection, &document))
    })
    .await
}

/// `DELETE /v1/collections/{name}/documents/{id}`
pub(crate) async fn delete(call: Call) -> Result<Answer<Deleted>, ApiError> {
    let collection = tenant::collection(&call, call.value(0)?)?;
    let (reach, id) = (tenant::by_id(&call, &collection)?, call.value(1)?.to_owned());
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let purged = reach.purge(&app, &[id], &by)?.pop();
        match purged.transpose()? {
            Some(true) => json::answer(StatusCode::OK, &Deleted { status: "deleted" }),
            _ => Err(no_document()),
        }
    })
    .await
}

/// `GET /v1/collections/{name}/documents/{id}/chunks`
pub(crate) async fn chunks(call: Call) -> Result<Answer<Chunks>, ApiError> {
    let collection = tenant::collection(&call, call.value(0)?)?;
    let (reach, id) = (tenant::by_id(&call, &collection)?, call.value(1)?.to_owned());
    chunks_in(call, vec![reach], id).await
}

/// `GET /v1/documents/{id}/chunks`: in whichever collection has it.
pub(crate) async fn chunks_by_id(call: Call) -> Result<Answer<Chunks>, ApiError> {
    let caller = call.caller()?;
    let all = call.app.control.collections_of(caller.workspace()?.id);
    let own = caller.pins().collection.as_deref();
    let seen = all.iter().filter(|collection| own.is_none_or(|own| own == collection.name));
    let mut reaches = Vec::new();
    let mut refused = None;
    for collection in seen {
        match tenant::by_id(&call, collection) {
            Ok(reach) => reaches.push(reach),
            // A partition's key reaches one collection, and is told of that one.
            Err(error) => drop(refused.get_or_insert(error)),
        }
    }
    if let (true, Some(error)) = (reaches.is_empty(), refused) {
        return Err(error);
    }
    let id = call.value(0)?.to_owned();
    chunks_in(call, reaches, id).await
}

async fn chunks_in(call: Call, reaches: Vec<Reach>, id: String) -> Result<Answer<Chunks>, ApiError> {
    let most = call.app.limits.list_limit_max as u64;
    let from = call.query.number("offset", 0..=u64::MAX)?.unwrap_or(0);
    let limit = call.query.number("limit", 1..=most)?.unwrap_or(CHUNKS_LIMIT);
    let from = u32::try_from(from).unwrap_or(u32::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let mut last = no_document();
        for reach in &reaches {
            match reach.find(&app, &id, |partition| partition.passages(&id, from, limit)) {
                Ok((document, passages)) => {
                    let chunks = passages.iter().map(|passage| Chunk::of(&document, passage)).collect();
                    return json::answer(StatusCode::OK, &Chunks { chunks, total: document.passages });
                }
                Err(error) if error.status == StatusCode::NOT_FOUND => {}
                // It may be in another one.
                Err(error) => last = error,
            }
        }
        Err(last)
    })
    .await
}

/// `GET /v1/collections/{name}/documents/{id}/file`
pub(crate) async fn file(call: Call) -> Result<Answer<Octets>, ApiError> {
    let collection = tenant::collection(&call, call.value(0)?)?;
    let (reach, id) = (tenant::by_id(&call, &collection)?, call.value(1)?.to_owned());
    let app = call.app.clone();
    let pool = app.pool.clone();
    let desk = call.desk();
    let found = pool.run(move || reach.find(&app, &id, |partition| desk.read(partition, &id, whole::all)));
    found.await?.map(|whole| Answer::of(as_attachment(whole)))
}

/// `POST /v1/collections/{name}/documents/{id}/reprocess`: cut and embedded as the collection is set now.
pub(crate) async fn reprocess(call: Call) -> Result<Answer<Begun>, ApiError> {
    let collection = tenant::collection(&call, call.value(0)?)?;
    let (reach, id) = (Arc::new(tenant::by_id(&call, &collection)?), call.value(1)?.to_owned());
    let app = call.app.clone();
    let (own, where_it_is, of) = (app.clone(), Arc::clone(&reach), id.clone());
    let looked = app.pool.run(move || {
        let mut found = Vec::new();
        let (places, unread) = where_it_is.holders(&own, &of)?;
        if let Some(damage) = unread {
            return Err(strongroom_engine::ReadError::Quarantined(damage).into());
        }
        for place in places {
            let read = |partition: &strongroom_engine::Partition| {
                let has_ranges = partition.passages(&of, 0, 1)?.is_some_and(|(_, passages)| {
                    passages.iter().all(|passage| passage.range.is_some())
                });
                Ok(partition.content(&of)?.map(|(document, content)| (document, content, has_ranges)))
            };
            if let Some((document, content, has_ranges)) = ingest::read(&own.store, &place, read)?.flatten() {
                if !has_ranges {
                    return Err(ApiError::unacceptable(
                        "own_vectors",
                        "this document's vectors came with it: there is no text of a file to embed; upsert them anew",
                    ));
                }
                found.push((place, document, content));
            }
        }
        Ok(found)
    });
    let found = looked.await?;
    if found.is_empty() {
        return Err(no_document());
    }
    for (place, document, content) in found {
        let anew = reembedding::embedded(&app, &collection, document, content).await?;
        app.quotas.tokens(&place, anew.tokens)?;
        // What was changed meanwhile is newer, and stays.
        reembedding::put(&app, &place, anew).await?;
    }
    json::answer(StatusCode::OK, &Begun { status: "ready", message: "cut and embedded anew" })
}

/// Ids of a batch.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DocumentIds")]
pub(crate) struct Ids {
    document_ids: Vec<String>,
}

async fn ids(
    call: &mut With<Ids>,
    collection: &Arc<crate::control::Collection>,
) -> Result<(Vec<String>, Reach), ApiError> {
    let reach = tenant::by_id(call, collection)?;
    let (Ids { document_ids }, _) = call.json().await?;
    let most = call.app.limits.batch_documents_max;
    if document_ids.is_empty() || document_ids.len() > most {
        return Err(ApiError::malformed("invalid_batch", format!("a batch has 1 to {most} document_ids")));
    }
    Ok((document_ids, reach))
}

/// `POST /v1/collections/{name}/documents/batch/get`: those that are there.
pub(crate) async fn get_many(mut call: With<Ids>) -> Result<Answer<Documents>, ApiError> {
    let collection = tenant::collection(&call, call.value(0)?)?;
    let (ids, reach) = ids(&mut call, &collection).await?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let documents = each(&app, &reach, &ids, |document| Document::of(&collection, document))?;
        json::answer(StatusCode::OK, &Documents { total: documents.len(), documents })
    })
    .await
}

/// `POST /v1/collections/{name}/documents/batch/status`: of those that are there.
pub(crate) async fn statuses(mut call: With<Ids>) -> Result<Answer<Statuses>, ApiError> {
    let collection = tenant::collection(&call, call.value(0)?)?;
    let (ids, reach) = ids(&mut call, &collection).await?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let documents = each(&app, &reach, &ids, Status::of)?;
        json::answer(StatusCode::OK, &Statuses { total: documents.len(), documents })
    })
    .await
}

fn each<R>(
    app: &crate::app::App,
    reach: &Reach,
    ids: &[String],
    tell: impl Fn(&DocumentInfo) -> R,
) -> Result<Vec<R>, ApiError> {
    let mut records = Vec::with_capacity(ids.len());
    for id in ids {
        match reach.find(app, id, |partition| partition.get(id)) {
            Ok(document) => records.push(tell(&document)),
            Err(error) if error.status == StatusCode::NOT_FOUND => {}
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

/// `POST /v1/collections/{name}/documents/batch/delete`
pub(crate) async fn delete_many(mut call: With<Ids>) -> Result<Answer<DeletedMany>, ApiError> {
    let collection = tenant::collection(&call, call.value(0)?)?;
    let (ids, reach) = ids(&mut call, &collection).await?;
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let outcomes = reach.purge(&app, &ids, &by)?;
        let mut errors = Vec::new();
        for (id, outcome) in ids.iter().zip(&outcomes) {
            let error = match outcome {
                Ok(true) => continue,
                Ok(false) => no_document().text,
                Err(error) => error.text.clone(),
            };
            errors.push(Undeleted { document_id: id.clone(), error: error.into_owned() });
        }
        let deleted = ids.len() - errors.len();
        json::answer(StatusCode::OK, &DeletedMany { status: "deleted", deleted, errors })
    })
    .await
}
