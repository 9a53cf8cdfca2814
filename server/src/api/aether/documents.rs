//! How are documents read, listed, deleted and brought back?
//!
//! Each handler reads the request, hands the blocking part to the pool and writes the answer. The partition was decided
//! before the handler ran.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use strongroom_engine::DocumentInfo;

use super::filters::FilterFields;
use super::record::Record;
use super::sections;
use crate::app::App;
use crate::auth::Place;
use crate::call::Call;
use crate::control::By;
use crate::ingest::{self, media};
use crate::message::error::{ApiError, no_document};
use crate::message::json;
use crate::{clock, erasure, random};

const LIST_LIMIT: u64 = 50;
const PAGE_BYTES: u64 = 64 << 10;
const PAGE_BYTES_MAX: u64 = 1 << 20;

/// `GET /v1/documents`
pub(crate) async fn list(call: Call) -> Result<Response, ApiError> {
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
    let pool = app.pool.clone();
    if call.query.flag("hard")? {
        let by = call.by()?;
        return pool.run(move || purge(&app, &place, &id, by)).await;
    }
    pool.run(move || {
        let done = ingest::change(&app.store, &place, |partition| partition.delete(&id))?;
        done.ok_or_else(no_document)?;
        app.deleted(&place, 1);
        json::answer(StatusCode::OK, &json!({"doc_id": id, "status": "deleted", "hard": false}))
    })
    .await
}

/// Nothing brings it back from here on. In a large partition its bytes go a little later, but not later than is said.
fn purge(app: &App, place: &Place, id: &str, by: By) -> Result<Response, ApiError> {
    let purged = erasure::purge(&app.control, &app.store, place, id, by)?.ok_or_else(no_document)?;
    app.deleted(place, 1);
    let final_by = (!purged.is_final).then(|| clock::rfc3339(clock::now_ms().saturating_add(app.purge_ms)));
    json::answer(
        StatusCode::OK,
        &json!({
            "doc_id": id,
            "status": "deleted",
            "hard": true,
            "final": purged.is_final,
            "final_by": final_by,
            "receipt_id": purged.receipt.map(|receipt| random::hex(&receipt.receipt.id)),
        }),
    )
}

/// `POST /v1/documents/{id}/restore`
pub(crate) async fn restore(call: Call) -> Result<Response, ApiError> {
    let (app, place, id) = (call.app.clone(), call.place()?, call.value(0)?.to_owned());
    let pool = app.pool.clone();
    pool.run(move || {
        let _room = app.quotas.room(&place, 1, 0)?;
        let done = ingest::change(&app.store, &place, |partition| partition.restore(&id))?;
        done.ok_or_else(no_document)?;
        json::answer(StatusCode::OK, &json!({"doc_id": id, "status": "restored"}))
    })
    .await
}

/// `GET /v1/documents/{id}/download`
pub(crate) async fn download(call: Call) -> Result<Response, ApiError> {
    let (app, place, id) = (call.app.clone(), call.place()?, call.value(0)?.to_owned());
    let pool = app.pool.clone();
    let (document, content) = pool.run(move || content(&app, &place, &id)).await?;
    Ok(as_attachment(&document, content))
}

/// A document's bytes as they came.
pub(in crate::api) fn as_attachment(document: &DocumentInfo, content: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(content));
    let headers = response.headers_mut();
    let kind =
        HeaderValue::from_str(&document.content_type).unwrap_or(HeaderValue::from_static(media::UNKNOWN));
    headers.insert(header::CONTENT_TYPE, kind);
    // A tenant's HTML must never run on this server's origin: neither shown, nor guessed at, nor with scripts.
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    response
}

fn content(app: &App, place: &Place, id: &str) -> Result<(DocumentInfo, Vec<u8>), ApiError> {
    ingest::read(&app.store, place, |partition| partition.content(id))?.flatten().ok_or_else(no_document)
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
    let (app, place, id) = (call.app.clone(), call.place()?, call.value(0)?.to_owned());
    let pool = app.pool.clone();
    pool.run(move || {
        let (document, content) = content(&app, &place, &id)?;
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
