//! How are documents inserted and replaced?
//!
//! From bytes, from a batch, or with vectors that the caller made. Each handler reads the request, hands the blocking
//! part to the pool and writes the record.
//!
//! Invariants:
//! 1. A batch is checked and embedded whole before any of it is written; those of one partition become durable together.

use axum::http::{StatusCode, header};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_engine::{DocumentInfo, NewPassage, Passage};

use super::fields;
use super::record::Record;
use crate::app::App;
use crate::auth::Place;
use crate::call::{Call, With};
use crate::config::Limits;
use crate::ingest::notes::{self, Notes};
use crate::ingest::summary::{self, Note};
use crate::ingest::{self, Intake, history, media};
use crate::message::content::{Answer, Octets};
use crate::message::error::{ApiError, no_document};
use crate::message::json::{self, Texts};
use crate::usage::Tally;
use crate::{clock, summarizing};

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
        original: None,
        notes: asking(&call.app, query.flag("summarize")?)?,
        tags: fields::tags(query.text("tags").map(|text| Texts::Joined(text.to_owned())), limits)?,
        metadata: fields::metadata_text(query.get("metadata"), limits)?,
        entity: text("entity_id")?,
        source: text("source")?,
        readers: fields::readers(
            query.get("acl_readers").map(|text| Texts::Joined(text.to_owned())),
            limits,
        )?,
        expires_ms: fields::expiry(
            query.get("expires_at"),
            query.number("ttl_seconds", 1..=u64::MAX)?,
            clock::now_ms(),
        )?,
        chunking: fields::chunking(
            query.number("chunk_size", 1..=u64::MAX)?,
            query.number("overlap", 0..=u64::MAX)?,
            limits,
        )?,
    })
}

/// The note that a summary is asked for, if it is.
fn asking(app: &App, is_asked: bool) -> Result<Notes, ApiError> {
    if !is_asked {
        return Ok(Notes::new());
    }
    app.require_summarizer()?;
    Ok(notes::lasting(&Note::of_asking().put_into("")))
}

/// `POST /v1/documents`
pub(crate) async fn insert(mut call: With<Octets>) -> Result<Answer<Record<'static>>, ApiError> {
    let (place, mut intake) = (call.place()?, intake_of_query(&call)?);
    let (content, held) = call.body().await?.into_parts();
    intake.content = content;
    let app = call.app.clone();
    let pool = app.pool.clone();
    let intake = app.with_text(intake).await?;
    pool.run(move || {
        let document = app.store_document(&place, intake)?;
        drop(held);
        summarizing::begin(&app, &place, &document);
        json::answer(StatusCode::CREATED, &Record::new(&document, place.partition()))
    })
    .await
}

/// `PUT /v1/documents/{id}`
pub(crate) async fn update(mut call: With<Octets>) -> Result<Answer<Record<'static>>, ApiError> {
    let (place, id, mut intake) = (call.place()?, call.value(0)?.to_owned(), intake_of_query(&call)?);
    let (content, held) = call.body().await?.into_parts();
    intake.content = content;
    let app = call.app.clone();
    let pool = app.pool.clone();
    let intake = app.with_text(intake).await?;
    pool.run(move || {
        app.text_collection(place.scope.workspace())?;
        let _room = app.quotas.room(&place, 0, intake.stored_bytes())?;
        let (document, tally) = app.embed_document(&place, intake)?;
        let tell = |before: &DocumentInfo, metadata: &str| {
            let kept = summary::kept(&before.metadata, metadata.to_owned());
            history::following(&kept, place.key(), before)
        };
        let done = ingest::change(&app.store, &place, |partition| {
            partition.update_telling(&id, document.clone(), tell)
        })?;
        drop(held);
        let done = done.ok_or_else(no_document)?;
        summarizing::begin(&app, &place, &done);
        app.usage.count(&place, place.key(), tally);
        json::answer(StatusCode::OK, &Record::new(&done, place.partition()))
    })
    .await
}

/// A document with vectors that the caller made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewDocumentWithVectors")]
pub(crate) struct WithVectors {
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
    #[schemars(with = "Option<Map<String, Value>>")]
    metadata: Option<Value>,
    #[serde(default)]
    partition: Option<String>,
    /// Labels of those who may read it; an empty list: administrators alone.
    #[serde(default)]
    acl_readers: Option<Texts>,
    /// From when on nobody reads it, in RFC 3339.
    #[serde(default)]
    expires_at: Option<String>,
    /// The same, as so many seconds from now.
    #[serde(default)]
    #[schemars(range(min = 1))]
    ttl_seconds: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PassageWithVector {
    text: String,
    embedding: Vec<f32>,
}

/// `POST /v1/documents/embed`
pub(crate) async fn with_vectors(mut call: With<WithVectors>) -> Result<Answer<Record<'static>>, ApiError> {
    let (body, held) = call.json().await?;
    let place = call.place_for(body.partition.as_deref())?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let collection = app.collection(place.scope.workspace())?;
        let (intake, passages) = checked_vectors(body, &app.limits)?;
        let bytes_in = intake.content.len() as u64;
        let _room = app.quotas.room(&place, 1, bytes_in)?;
        let document = history::written_by(intake.with_passages(passages)?, place.key());
        let done =
            ingest::write(&app.store, &place, &collection, |partition| partition.put(document.clone()))?;
        app.usage.count(&place, place.key(), Tally { inserts: 1, bytes_in, ..Tally::default() });
        drop(held);
        json::answer(StatusCode::CREATED, &Record::new(&done, place.partition()))
    })
    .await
}

fn checked_vectors(body: WithVectors, limits: &Limits) -> Result<(Intake, Vec<NewPassage>), ApiError> {
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
        Fields {
            tags: body.tags,
            metadata: body.metadata,
            entity_id: body.entity_id,
            source: body.source,
            acl_readers: body.acl_readers,
            expires_at: body.expires_at,
            ttl_seconds: body.ttl_seconds,
        },
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
    acl_readers: Option<Texts>,
    expires_at: Option<String>,
    ttl_seconds: Option<u64>,
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
        original: None,
        notes: Notes::new(),
        tags: fields::tags(given.tags, limits)?,
        metadata: fields::metadata(given.metadata.as_ref(), limits)?,
        entity: checked("entity_id", given.entity_id)?,
        source: checked("source", given.source)?,
        readers: fields::readers(given.acl_readers, limits)?,
        expires_ms: fields::expiry(given.expires_at.as_deref(), given.ttl_seconds, clock::now_ms())?,
        chunking: fields::chunking(chunk_size, overlap, limits)?,
    })
}

/// Many documents at once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewDocuments")]
pub(crate) struct Batch {
    documents: Vec<BatchItem>,
    #[serde(default)]
    chunk_size: Option<u64>,
    #[serde(default)]
    overlap: Option<u64>,
    /// Whether summaries of the documents are made, in the background.
    #[serde(default)]
    summarize: Option<bool>,
    #[serde(default)]
    partition: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewDocument")]
pub(crate) struct BatchItem {
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
    #[schemars(with = "Option<Map<String, Value>>")]
    metadata: Option<Value>,
    #[serde(default)]
    partition: Option<String>,
    /// Whether a summary of it is made: as the batch says when it is not given.
    #[serde(default)]
    summarize: Option<bool>,
    /// Labels of those who may read it; an empty list: administrators alone.
    #[serde(default)]
    acl_readers: Option<Texts>,
    /// From when on nobody reads it, in RFC 3339.
    #[serde(default)]
    expires_at: Option<String>,
    /// The same, as so many seconds from now.
    #[serde(default)]
    #[schemars(range(min = 1))]
    ttl_seconds: Option<u64>,
}

/// The documents of a batch, in its order.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "InsertedDocuments")]
pub(crate) struct Inserted<'a> {
    results: Vec<Record<'a>>,
}

/// `POST /v1/documents/batch`: all documents are checked and embedded first; those of one partition then become
/// durable together or not at all.
pub(crate) async fn batch(mut call: With<Batch>) -> Result<Answer<Inserted<'static>>, ApiError> {
    let (batch, held) = call.json().await?;
    let mut places = Vec::with_capacity(batch.documents.len());
    for item in &batch.documents {
        places.push(call.place_for(item.partition.as_deref().or(batch.partition.as_deref()))?);
    }
    let most = call.app.limits.batch_documents_max;
    if batch.documents.is_empty() || batch.documents.len() > most {
        return Err(ApiError::malformed("invalid_batch", format!("a batch has 1 to {most} documents")));
    }
    let app = call.app.clone();
    let pool = app.pool.clone();
    let intakes = read_batch(&app, batch).await?;
    pool.run(move || {
        let documents = store_batch(&app, intakes, &places)?;
        drop(held);
        documents.iter().zip(&places).for_each(|(document, place)| summarizing::begin(&app, place, document));
        let records: Vec<_> = documents
            .iter()
            .zip(&places)
            .map(|(document, place)| Record::new(document, place.partition()))
            .collect();
        json::answer(StatusCode::CREATED, &Inserted { results: records })
    })
    .await
}

fn numbered(number: usize, mut error: ApiError) -> ApiError {
    error.text = format!("document {number} of the batch (counted from 0): {}", error.text).into();
    error
}

/// Checks all documents of a batch, and reads the text out of those that are files.
async fn read_batch(app: &App, batch: Batch) -> Result<Vec<Intake>, ApiError> {
    let sizes = (batch.chunk_size, batch.overlap);
    let mut intakes = Vec::with_capacity(batch.documents.len());
    for (number, item) in batch.documents.into_iter().enumerate() {
        let given = Fields {
            tags: item.tags,
            metadata: item.metadata,
            entity_id: item.entity_id,
            source: item.source,
            acl_readers: item.acl_readers,
            expires_at: item.expires_at,
            ttl_seconds: item.ttl_seconds,
        };
        let (name, kind) = (item.filename.as_deref(), item.content_type.as_deref());
        let intake = intake_of_body(name, kind, item.content, given, sizes, &app.limits);
        let mut intake = intake.map_err(|error| numbered(number, error))?;
        let is_asked = item.summarize.or(batch.summarize) == Some(true);
        intake.notes = asking(app, is_asked).map_err(|error| numbered(number, error))?;
        intakes.push(app.with_text(intake).await.map_err(|error| numbered(number, error))?);
    }
    Ok(intakes)
}

fn store_batch(app: &App, intakes: Vec<Intake>, places: &[Place]) -> Result<Vec<DocumentInfo>, ApiError> {
    let wanted = places.iter().zip(&intakes).map(|(place, intake)| (place, 1, intake.stored_bytes()));
    let wanted: Vec<_> = wanted.collect();
    let _room = app.quotas.rooms(&wanted)?;
    let (mut documents, mut tallies) = (Vec::with_capacity(places.len()), Vec::with_capacity(places.len()));
    for (number, (intake, place)) in intakes.into_iter().zip(places).enumerate() {
        app.text_collection(place.scope.workspace())?;
        let embedded = app.embed_document(place, intake);
        let (document, tally) = embedded.map_err(|error| numbered(number, error))?;
        documents.push(Some(document));
        tallies.push(tally);
    }
    let mut stored: Vec<Option<DocumentInfo>> = places.iter().map(|_| None).collect();
    for first in 0..places.len() {
        if documents[first].is_none() {
            continue;
        }
        let same: Vec<_> = (first..places.len()).filter(|at| places[*at].at == places[first].at).collect();
        let group: Vec<_> = same.iter().filter_map(|at| documents[*at].take()).collect();
        let collection = app.collection(places[first].scope.workspace())?;
        let done = ingest::write(&app.store, &places[first], &collection, |partition| {
            partition.put_many(group.clone())
        })?;
        for (at, document) in same.into_iter().zip(done) {
            app.usage.count(&places[at], places[at].key(), tallies[at]);
            stored[at] = Some(document);
        }
    }
    let stored: Option<Vec<_>> = stored.into_iter().collect();
    stored.ok_or_else(|| ApiError::internal("the engine answered fewer documents than it was given"))
}
