//! How are documents inserted, read, changed and deleted?
//!
//! Each handler reads the request, hands the blocking part to the pool and writes the record. The partition was decided
//! before the handler ran, or is asked for here where the body names it.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_engine::{CollectionSpec, DocumentInfo, NewPassage, Passage};

use super::filters::FilterFields;
use super::record::Record;
use super::{fields, sections};
use crate::app::App;
use crate::auth::Place;
use crate::call::Call;
use crate::clock;
use crate::config::Limits;
use crate::ingest::{self, Intake, media};
use crate::message::error::{ApiError, no_document};
use crate::message::json::{self, Texts};

const LIST_LIMIT: u64 = 50;
const PAGE_BYTES: u64 = 64 << 10;
const PAGE_BYTES_MAX: u64 = 1 << 20;
/// What a document is called that came without a name.
const UNTITLED: &str = "untitled";

/// Reads what the query says of a document; the content is still to come.
pub(super) fn intake_of_query(call: &Call) -> Result<Intake, ApiError> {
    let (query, limits) = (&call.query, &call.app.limits);
    let filename = query.text("filename").unwrap_or(UNTITLED);
    let header = call.header(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let text = |name: &'static str| -> Result<Option<String>, ApiError> {
        let text = query.text(name);
        text.map_or(Ok(()), |text| fields::name(name, text, limits))?;
        Ok(text.map(str::to_owned))
    };
    fields::name("filename", filename, limits)?;
    Ok(Intake {
        filename: filename.to_owned(),
        content_type: media::decide(query.get("content_type"), header, filename)?,
        content: Bytes::new(),
        tags: fields::tags(query.text("tags").map(|text| Texts::Joined(text.to_owned())), limits)?,
        metadata: fields::metadata_text(query.get("metadata"), limits)?,
        entity: text("entity_id")?,
        source: text("source")?,
        chunking: fields::chunking(
            query.number("chunk_size", 1..=u64::MAX)?,
            query.number("overlap", 0..=u64::MAX)?,
            limits,
        )?,
    })
}

// `Idempotency-Key` is accepted and has no effect yet: a retry whose first try was stored inserts a second document.
// It comes with the deduplication that is sealed with the partition and survives a restart; half of it would be worse,
// since a client that sees it honoured once relies on it.

/// `POST /v1/documents`
pub(crate) async fn insert(mut call: Call) -> Result<Response, ApiError> {
    let (place, mut intake) = (call.place()?, intake_of_query(&call)?);
    let (content, held) = call.body().await?.into_parts();
    intake.content = content;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let document = app.store_document(&place, intake)?;
        drop(held);
        json::answer(StatusCode::CREATED, &Record::new(&document, place.partition()))
    })
    .await
}

/// `PUT /v1/documents/{id}`
pub(crate) async fn update(mut call: Call) -> Result<Response, ApiError> {
    let (place, id, mut intake) = (call.place()?, call.value(0)?.to_owned(), intake_of_query(&call)?);
    let (content, held) = call.body().await?.into_parts();
    intake.content = content;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        app.text_collection(place.scope.workspace())?;
        let document = intake.embed(app.embedder, app.limits.passages_max)?;
        let done = ingest::change(&app.store, &place, |partition| partition.update(&id, document.clone()))?;
        drop(held);
        json::answer(StatusCode::OK, &Record::new(&done.ok_or_else(no_document)?, place.partition()))
    })
    .await
}

/// A document with vectors that the caller made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WithVectors {
    content: String,
    #[serde(default)]
    filename: Option<String>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    passages: Option<Vec<PassageWithVector>>,
    #[serde(default)]
    embedding: Option<Vec<f32>>,
    #[serde(default)]
    tags: Option<Texts>,
    #[serde(default)]
    entity_id: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    metadata: Option<Value>,
    #[serde(default)]
    partition: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    acl_readers: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PassageWithVector {
    text: String,
    embedding: Vec<f32>,
}

/// `POST /v1/documents/embed`
pub(crate) async fn insert_with_vectors(mut call: Call) -> Result<Response, ApiError> {
    let body: WithVectors = call.json().await?;
    let place = call.place_for(body.partition.as_deref())?;
    if body.acl_readers.is_some() {
        return Err(ApiError::not_offered("the field `acl_readers`"));
    }
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let collection = app.collection(place.scope.workspace())?;
        let (intake, passages) = with_vectors(body, &app.limits)?;
        let document = intake.with_passages(passages);
        let spec = CollectionSpec { dimension: collection.dimension };
        let done = ingest::write(&app.store, &place, spec, |partition| partition.put(document.clone()))?;
        json::answer(StatusCode::CREATED, &Record::new(&done, place.partition()))
    })
    .await
}

fn with_vectors(body: WithVectors, limits: &Limits) -> Result<(Intake, Vec<NewPassage>), ApiError> {
    if body.content.is_empty() {
        return Err(ApiError::unacceptable(
            "empty_document",
            "the document is empty; there is nothing to store",
        ));
    }
    let passages = match (body.passages, body.embedding) {
        (Some(passages), None) if !passages.is_empty() => passages
            .into_iter()
            .map(|passage| NewPassage { text: Passage::Own(passage.text), vector: passage.embedding })
            .collect::<Vec<_>>(),
        (None, Some(vector)) => vec![NewPassage { text: ingest::range(0, body.content.len())?, vector }],
        _ => {
            return Err(ApiError::malformed(
                "malformed_body",
                "give either passages, at least one, or embedding, which stands for the whole document",
            ));
        }
    };
    if passages.len() > limits.passages_max {
        let most = limits.passages_max;
        return Err(ApiError::unacceptable(
            "too_many_passages",
            format!("there are at most {most} passages"),
        ));
    }
    let intake = intake_of_body(
        body.filename.as_deref(),
        body.content_type.as_deref(),
        body.content,
        Fields { tags: body.tags, metadata: body.metadata, entity_id: body.entity_id, source: body.source },
        (None, None),
        limits,
    )?;
    Ok((intake, passages))
}

/// The fields that JSON routes share.
struct Fields {
    tags: Option<Texts>,
    metadata: Option<Value>,
    entity_id: Option<String>,
    source: Option<String>,
}

fn intake_of_body(
    filename: Option<&str>,
    content_type: Option<&str>,
    content: String,
    given: Fields,
    (chunk_size, overlap): (Option<u64>, Option<u64>),
    limits: &Limits,
) -> Result<Intake, ApiError> {
    let filename = filename.filter(|name| !name.is_empty()).unwrap_or(UNTITLED);
    let checked = |name: &'static str, text: Option<String>| -> Result<Option<String>, ApiError> {
        let text = text.filter(|text| !text.is_empty());
        text.as_deref().map_or(Ok(()), |text| fields::name(name, text, limits))?;
        Ok(text)
    };
    fields::name("filename", filename, limits)?;
    Ok(Intake {
        filename: filename.to_owned(),
        content_type: content_type.map_or_else(|| Ok("text/plain".to_owned()), media::checked)?,
        content: content.into(),
        tags: fields::tags(given.tags, limits)?,
        metadata: fields::metadata(given.metadata.as_ref(), limits)?,
        entity: checked("entity_id", given.entity_id)?,
        source: checked("source", given.source)?,
        chunking: fields::chunking(chunk_size, overlap, limits)?,
    })
}

/// Many documents at once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    documents: Vec<BatchItem>,
    #[serde(default)]
    chunk_size: Option<u64>,
    #[serde(default)]
    overlap: Option<u64>,
    #[serde(default)]
    summarize: Option<bool>,
    #[serde(default)]
    partition: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchItem {
    content: String,
    #[serde(default)]
    filename: Option<String>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    tags: Option<Texts>,
    #[serde(default)]
    entity_id: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    metadata: Option<Value>,
    #[serde(default)]
    partition: Option<String>,
    #[serde(default)]
    summarize: Option<bool>,
    #[serde(default, deserialize_with = "json::present")]
    acl_readers: Option<Value>,
}

/// `POST /v1/documents/batch`: all documents are checked and embedded first; those of one partition then become
/// durable together or not at all.
pub(crate) async fn insert_batch(mut call: Call) -> Result<Response, ApiError> {
    let (bytes, held) = call.body().await?.into_parts();
    let batch: Batch = json::parse(&bytes)?;
    let mut places = Vec::with_capacity(batch.documents.len());
    for item in &batch.documents {
        places.push(call.place_for(item.partition.as_deref().or(batch.partition.as_deref()))?);
    }
    let most = call.app.limits.batch_documents_max;
    if batch.documents.is_empty() || batch.documents.len() > most {
        return Err(ApiError::malformed("invalid_batch", format!("a batch has 1 to {most} documents")));
    }
    let wants_summary =
        batch.summarize == Some(true) || batch.documents.iter().any(|d| d.summarize == Some(true));
    if wants_summary {
        return Err(ApiError::not_offered("the field `summarize`"));
    }
    if batch.documents.iter().any(|item| item.acl_readers.is_some()) {
        return Err(ApiError::not_offered("the field `acl_readers`"));
    }
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let documents = store_batch(&app, batch, &places)?;
        drop(held);
        let records: Vec<_> = documents
            .iter()
            .zip(&places)
            .map(|(document, place)| Record::new(document, place.partition()))
            .collect();
        json::answer(StatusCode::CREATED, &json!({"results": records}))
    })
    .await
}

fn store_batch(app: &App, batch: Batch, places: &[Place]) -> Result<Vec<DocumentInfo>, ApiError> {
    let numbered = |number: usize, mut error: ApiError| {
        error.text = format!("document {number} of the batch (counted from 0): {}", error.text).into();
        error
    };
    let sizes = (batch.chunk_size, batch.overlap);
    let mut documents = Vec::with_capacity(places.len());
    for (number, (item, place)) in batch.documents.into_iter().zip(places).enumerate() {
        app.text_collection(place.scope.workspace())?;
        let given = Fields {
            tags: item.tags,
            metadata: item.metadata,
            entity_id: item.entity_id,
            source: item.source,
        };
        let (name, kind) = (item.filename.as_deref(), item.content_type.as_deref());
        let document = intake_of_body(name, kind, item.content, given, sizes, &app.limits)
            .and_then(|intake| intake.embed(app.embedder, app.limits.passages_max))
            .map_err(|error| numbered(number, error))?;
        documents.push(Some(document));
    }
    let mut stored: Vec<Option<DocumentInfo>> = places.iter().map(|_| None).collect();
    for first in 0..places.len() {
        if documents[first].is_none() {
            continue;
        }
        let same: Vec<_> = (first..places.len()).filter(|at| places[*at].at == places[first].at).collect();
        let group: Vec<_> = same.iter().filter_map(|at| documents[*at].take()).collect();
        let collection = app.collection(places[first].scope.workspace())?;
        let spec = CollectionSpec { dimension: collection.dimension };
        let done =
            ingest::write(&app.store, &places[first], spec, |partition| partition.put_many(group.clone()))?;
        for (at, document) in same.into_iter().zip(done) {
            stored[at] = Some(document);
        }
    }
    let stored: Option<Vec<_>> = stored.into_iter().collect();
    stored.ok_or_else(|| ApiError::internal("the engine answered fewer documents than it was given"))
}

/// `GET /v1/documents`
pub(crate) async fn list(call: Call) -> Result<Response, ApiError> {
    let (place, query) = (call.place()?, &call.query);
    let offset = query.number("offset", 0..=u64::MAX)?.unwrap_or(0);
    let limit = query.number("limit", 1..=call.app.limits.list_limit_max as u64)?.unwrap_or(LIST_LIMIT);
    let filter = FilterFields::of_query(query)?.into_filter(clock::now_ms())?;
    let (from, most) =
        (usize::try_from(offset).unwrap_or(usize::MAX), usize::try_from(limit).unwrap_or(usize::MAX));
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let page = ingest::read(&app.store, &place, |partition| partition.list(&filter, from, most))?;
        let (documents, total) = page.map_or((Vec::new(), 0), |page| (page.documents, page.total));
        let has_more = offset.saturating_add(documents.len() as u64) < total;
        let records: Vec<_> = documents.iter().map(|document| Record::new(document, place.partition())).collect();
        json::answer(
            StatusCode::OK,
            &json!({"documents": records, "total": total, "has_more": has_more, "offset": offset, "limit": limit}),
        )
    })
    .await
}

/// `GET /v1/documents/{id}`
pub(crate) async fn get(call: Call) -> Result<Response, ApiError> {
    let (app, place, id) = (call.app.clone(), call.place()?, call.value(0)?.to_owned());
    let pool = app.pool.clone();
    pool.run(move || {
        let found = ingest::read(&app.store, &place, |partition| partition.get(&id))?.flatten();
        json::answer(StatusCode::OK, &Record::new(&found.ok_or_else(no_document)?, place.partition()))
    })
    .await
}

/// `DELETE /v1/documents/{id}`
pub(crate) async fn delete(call: Call) -> Result<Response, ApiError> {
    let (app, place, id) = (call.app.clone(), call.place()?, call.value(0)?.to_owned());
    if call.query.flag("hard")? {
        return Err(ApiError::not_offered(
            "hard=true (purging one document; deleting its partition purges all of it)",
        ));
    }
    let pool = app.pool.clone();
    pool.run(move || {
        let done = ingest::change(&app.store, &place, |partition| partition.delete(&id))?;
        done.ok_or_else(no_document)?;
        json::answer(StatusCode::OK, &json!({"doc_id": id, "status": "deleted", "hard": false}))
    })
    .await
}

/// `POST /v1/documents/{id}/restore`
pub(crate) async fn restore(call: Call) -> Result<Response, ApiError> {
    let (app, place, id) = (call.app.clone(), call.place()?, call.value(0)?.to_owned());
    let pool = app.pool.clone();
    pool.run(move || {
        let done = ingest::change(&app.store, &place, |partition| partition.restore(&id))?;
        done.ok_or_else(no_document)?;
        json::answer(StatusCode::OK, &json!({"doc_id": id, "status": "restored"}))
    })
    .await
}

/// `GET /v1/documents/{id}/download`
pub(crate) async fn download(call: Call) -> Result<Response, ApiError> {
    let (document, content) = content(call.app.clone(), call.place()?, call.value(0)?.to_owned()).await?;
    let mut response = Response::new(Body::from(content));
    let headers = response.headers_mut();
    let kind =
        HeaderValue::from_str(&document.content_type).unwrap_or(HeaderValue::from_static(media::UNKNOWN));
    headers.insert(header::CONTENT_TYPE, kind);
    // A tenant's HTML must never run on this server's origin: neither shown, nor guessed at, nor with scripts.
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    Ok(response)
}

async fn content(app: Arc<App>, place: Place, id: String) -> Result<(DocumentInfo, Vec<u8>), ApiError> {
    let pool = app.pool.clone();
    pool.run(move || {
        ingest::read(&app.store, &place, |partition| partition.content(&id))?
            .flatten()
            .ok_or_else(no_document)
    })
    .await
}

/// `GET /v1/documents/{id}/text`
pub(crate) async fn text(call: Call) -> Result<Response, ApiError> {
    let query = &call.query;
    let offset = query.number("offset", 0..=u64::MAX)?.unwrap_or(0);
    let bytes_max = query.number("max_bytes", 1..=PAGE_BYTES_MAX)?.unwrap_or(PAGE_BYTES);
    let wants_outline = query.flag("outline")?;
    let section = query.get("section").map(str::to_owned);
    if wants_outline && section.is_some() {
        return Err(ApiError::malformed(
            "invalid_parameter",
            "give either section or outline=true, not both",
        ));
    }
    let (document, content) = content(call.app.clone(), call.place()?, call.value(0)?.to_owned()).await?;
    let answer = text_answer(&document, &content, section.as_deref(), wants_outline, offset, bytes_max)?;
    json::answer(StatusCode::OK, &answer)
}

fn text_answer(
    document: &DocumentInfo,
    content: &[u8],
    section: Option<&str>,
    wants_outline: bool,
    offset: u64,
    bytes_max: u64,
) -> Result<Value, ApiError> {
    let mut answer = json!({
        "doc_id": document.id,
        "content_type": document.content_type,
        "source": null,
        "state": "unsupported",
        "text": "",
        "offset": offset,
        "next_offset": null,
        "total_bytes": 0,
        "truncated": false,
        "section": null,
        "sections": null,
    });
    let Ok(whole) = std::str::from_utf8(content) else { return Ok(answer) };
    answer["source"] = json!("original");
    answer["state"] = json!("ready");
    answer["total_bytes"] = json!(whole.len());
    if wants_outline {
        answer["sections"] = json!(sections::outline(whole));
        return Ok(answer);
    }
    let selected = match section {
        None => whole,
        Some(wanted) => {
            let outline = sections::outline(whole);
            let found = sections::find(&outline, wanted)?;
            answer["section"] = json!(found);
            &whole[found.range()]
        }
    };
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    let page = sections::page(selected, from, usize::try_from(bytes_max).unwrap_or(usize::MAX))?;
    let next = from.min(selected.len()) + page.len();
    answer["text"] = json!(page);
    answer["total_bytes"] = json!(selected.len());
    if next < selected.len() {
        answer["next_offset"] = json!(next);
        answer["truncated"] = json!(true);
    }
    Ok(answer)
}
