//! How are documents read, listed, deleted and brought back?
//!
//! Each handler reads the request, hands the blocking part to the pool and writes the answer. The partition was decided
//! before the handler ran.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use strongroom_engine::DocumentInfo;

use super::filters::FilterFields;
use super::record::Record;
use super::sections::{self, Section};
use crate::app::App;
use crate::auth::Place;
use crate::call::Call;
use crate::control::By;
use crate::ingest::{self, media, original};
use crate::message::content::{Answer, Octets};
use crate::message::error::{ApiError, no_document};
use crate::message::json;
use crate::whole::{self, Desk, Whole};
use crate::{clock, erasure, random};

const LIST_LIMIT: u64 = 50;
const PAGE_BYTES: u64 = 64 << 10;
const PAGE_BYTES_MAX: u64 = 1 << 20;

/// A page of documents.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Documents")]
pub(crate) struct Listed<'a> {
    documents: Vec<Record<'a>>,
    total: u64,
    has_more: bool,
    offset: u64,
    limit: u64,
}

/// A deleted document.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DocumentDeleted")]
pub(crate) struct Deleted {
    doc_id: String,
    status: &'static str,
    /// Whether it is gone for good; else it can be restored.
    hard: bool,
    #[serde(flatten)]
    purged: Option<Purged>,
}

/// What became of a document's bytes.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Purged {
    /// Whether they are overwritten already.
    #[serde(rename = "final")]
    is_final: bool,
    /// When they will be at the latest.
    final_by: Option<String>,
    receipt_id: Option<String>,
}

/// A document that is back.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DocumentRestored")]
pub(crate) struct Restored {
    doc_id: String,
    status: &'static str,
}

/// A page of a document's text, or its sections.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TextPage {
    doc_id: String,
    content_type: String,
    /// `original`, where the document is a text itself.
    source: Option<&'static str>,
    /// `ready`, or `unsupported` for what has no text.
    state: &'static str,
    text: String,
    /// Where the page begins, in bytes.
    offset: u64,
    /// Where the next one begins.
    next_offset: Option<usize>,
    /// Of the section, if one is named, or else of the text.
    total_bytes: usize,
    /// Whether there is more after this page.
    truncated: bool,
    /// The section that the page is of.
    section: Option<Section>,
    /// All sections, with outline=true.
    sections: Option<Vec<Section>>,
}

/// `GET /v1/documents`
pub(crate) async fn list(call: Call) -> Result<Answer<Listed<'static>>, ApiError> {
    let (place, query) = (call.place()?, &call.query);
    let offset = query.number("offset", 0..=u64::MAX)?.unwrap_or(0);
    let limit = query.number("limit", 1..=call.app.limits.list_limit_max as u64)?.unwrap_or(LIST_LIMIT);
    let filter = FilterFields::of_query(query)?.into_filter(clock::now_ms(), &call.app.limits)?;
    let (from, most) =
        (usize::try_from(offset).unwrap_or(usize::MAX), usize::try_from(limit).unwrap_or(usize::MAX));
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let page = ingest::read(&app.store, &place, |partition| partition.list(&filter, from, most))?;
        let (found, total) = page.map_or((Vec::new(), 0), |page| (page.documents, page.total));
        let has_more = offset.saturating_add(found.len() as u64) < total;
        place.lists(&found);
        let documents = found.iter().map(|document| Record::new(document, place.partition())).collect();
        json::answer(StatusCode::OK, &Listed { documents, total, has_more, offset, limit })
    })
    .await
}

/// `GET /v1/documents/{id}`
pub(crate) async fn get(call: Call) -> Result<Answer<Record<'static>>, ApiError> {
    let (app, place, id) = (call.app.clone(), call.place()?, call.value(0)?.to_owned());
    let pool = app.pool.clone();
    pool.run(move || {
        let found = ingest::read(&app.store, &place, |partition| partition.get(&id))?.flatten();
        let found = found.ok_or_else(no_document)?;
        place.shows(&found);
        json::answer(StatusCode::OK, &Record::new(&found, place.partition()))
    })
    .await
}

/// `DELETE /v1/documents/{id}`
pub(crate) async fn delete(call: Call) -> Result<Answer<Deleted>, ApiError> {
    let (app, place, id) = (call.app.clone(), call.place()?, call.value(0)?.to_owned());
    let pool = app.pool.clone();
    if call.query.flag("hard")? {
        let by = call.by()?;
        return pool.run(move || purge(&app, &place, &id, by)).await;
    }
    pool.run(move || {
        let done = ingest::change(&app.store, &place, |partition| partition.delete(&id))?;
        done.ok_or_else(no_document)?;
        app.deleted(&place, 1);
        json::answer(StatusCode::OK, &Deleted { doc_id: id, status: "deleted", hard: false, purged: None })
    })
    .await
}

/// Nothing brings it back from here on. In a large partition its bytes go a little later, but not later than is said.
fn purge(app: &App, place: &Place, id: &str, by: By) -> Result<Answer<Deleted>, ApiError> {
    let purged = erasure::purge(&app.control, &app.store, place, id, by)?.ok_or_else(no_document)?;
    app.deleted(place, 1);
    let final_by = (!purged.is_final).then(|| clock::rfc3339(clock::now_ms().saturating_add(app.purge_ms)));
    json::answer(
        StatusCode::OK,
        &Deleted {
            doc_id: id.to_owned(),
            status: "deleted",
            hard: true,
            purged: Some(Purged {
                is_final: purged.is_final,
                final_by,
                receipt_id: purged.receipt.map(|receipt| random::hex(&receipt.receipt.id)),
            }),
        },
    )
}

/// `POST /v1/documents/{id}/restore`
pub(crate) async fn restore(call: Call) -> Result<Answer<Restored>, ApiError> {
    let (app, place, id) = (call.app.clone(), call.place()?, call.value(0)?.to_owned());
    let pool = app.pool.clone();
    pool.run(move || {
        let _room = app.quotas.room(&place, 1, 0)?;
        let done = ingest::change(&app.store, &place, |partition| partition.restore(&id))?;
        done.ok_or_else(no_document)?;
        json::answer(StatusCode::OK, &Restored { doc_id: id, status: "restored" })
    })
    .await
}

/// `GET /v1/documents/{id}/download`
pub(crate) async fn download(call: Call) -> Result<Answer<Octets>, ApiError> {
    let (app, place, id) = (call.app.clone(), call.place()?, call.value(0)?.to_owned());
    let (pool, desk) = (app.pool.clone(), call.desk());
    pool.run(move || content(&app, &place, &desk, &id, whole::all))
        .await
        .map(|whole| Answer::of(as_attachment(whole)))
}

/// A document's bytes as they came.
pub(in crate::api) fn as_attachment(whole: Whole) -> Response {
    let Whole { document, content, part } = whole;
    let mut response = Response::new(Body::from(original::sent(&document, content)));
    let headers = response.headers_mut();
    let kind =
        HeaderValue::from_str(&document.content_type).unwrap_or(HeaderValue::from_static(media::UNKNOWN));
    headers.insert(header::CONTENT_TYPE, kind);
    // A tenant's HTML must never run on this server's origin: neither shown, nor guessed at, nor with scripts.
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    Whole::held_by(part, response)
}

fn content(
    app: &App,
    place: &Place,
    desk: &Desk,
    id: &str,
    until: fn(&DocumentInfo) -> u64,
) -> Result<Whole, ApiError> {
    let whole = ingest::read(&app.store, place, |partition| desk.read(partition, id, until))?
        .flatten()
        .ok_or_else(no_document)??;
    place.shows(&whole.document);
    Ok(whole)
}

/// `GET /v1/documents/{id}/text`
pub(crate) async fn text(call: Call) -> Result<Answer<TextPage>, ApiError> {
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
    let (app, place, id) = (call.app.clone(), call.place()?, call.value(0)?.to_owned());
    let (pool, desk) = (app.pool.clone(), call.desk());
    pool.run(move || {
        let Whole { document, content, part: _part } =
            content(&app, &place, &desk, &id, original::text_bytes)?;
        let answer = text_answer(&document, &content, section.as_deref(), wants_outline, offset, bytes_max)?;
        json::answer(StatusCode::OK, &answer)
    })
    .await
}

fn text_answer(
    document: &DocumentInfo,
    content: &[u8],
    section: Option<&str>,
    wants_outline: bool,
    offset: u64,
    bytes_max: u64,
) -> Result<TextPage, ApiError> {
    let mut answer = TextPage {
        doc_id: document.id.clone(),
        content_type: document.content_type.clone(),
        source: None,
        state: "unsupported",
        text: String::new(),
        offset,
        next_offset: None,
        total_bytes: 0,
        truncated: false,
        section: None,
        sections: None,
    };
    let Ok(whole) = std::str::from_utf8(content) else { return Ok(answer) };
    answer.source = Some(if original::is_file(document) { "passages" } else { "original" });
    answer.state = "ready";
    answer.total_bytes = whole.len();
    if wants_outline {
        answer.sections = Some(sections::outline(whole));
        return Ok(answer);
    }
    let selected = match section {
        None => whole,
        Some(wanted) => {
            let outline = sections::outline(whole);
            let found = sections::find(&outline, wanted)?;
            let range = found.range();
            answer.section = Some(found.clone());
            &whole[range]
        }
    };
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    let page = sections::page(selected, from, usize::try_from(bytes_max).unwrap_or(usize::MAX))?;
    let next = from.min(selected.len()) + page.len();
    answer.text = page.to_owned();
    answer.total_bytes = selected.len();
    if next < selected.len() {
        answer.next_offset = Some(next);
        answer.truncated = true;
    }
    Ok(answer)
}
