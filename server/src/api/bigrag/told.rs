//! How are documents and their passages told to bigRAG's clients?
//!
//! A passage is a chunk there. Where it stands is told in characters, which only the text before it can tell: of long documents
//! it is left open.

use serde_json::{Map, Value, json};
use strongroom_engine::{DocumentInfo, Hit, PassageInfo};

use crate::control::Collection;
use crate::{clock, random};

/// Of longer documents nobody counts the characters.
pub(super) const COUNTED_BYTES_MAX: u64 = 256 << 10;

/// A document's record.
pub(super) fn document(collection: &Collection, document: &DocumentInfo) -> Value {
    json!({
        "id": document.id,
        "collection_id": collection.id,
        "filename": document.filename,
        "file_type": file_type(document),
        "file_size": document.content_bytes,
        "chunk_count": document.passages,
        "multimodal_element_count": 0,
        "status": "ready",
        "error_message": null,
        "metadata": metadata(document),
        "content_hash": random::hex(&document.content_digest),
        "deduped": false,
        "progress": null,
        "created_at": clock::rfc3339(document.created_ms),
        "updated_at": clock::rfc3339(document.updated_ms.unwrap_or(document.created_ms)),
    })
}

/// What becomes of a document, which is done by the time anyone can ask.
pub(super) fn status(document: &DocumentInfo) -> Value {
    json!({
        "id": document.id,
        "status": "ready",
        "error_message": null,
        "chunk_count": document.passages,
        "multimodal_element_count": 0,
        "progress": null,
    })
}

/// One of a document's passages.
pub(super) fn chunk(document: &DocumentInfo, passage: &PassageInfo) -> Value {
    json!({
        "id": chunk_id(document, passage.number, passage.range),
        "document_id": document.id,
        "chunk_index": passage.number,
        "text": passage.text,
        "metadata": metadata(document),
    })
}

/// A passage that a query found. `content` is its document's, if that is to be counted.
pub(super) fn hit(hit: &Hit, content: Option<&[u8]>) -> Value {
    let document = &hit.document;
    let at = |byte: u32| content.and_then(|content| characters(content, byte));
    json!({
        "id": chunk_id(document, hit.passage_number, hit.passage_range),
        "text": hit.passage,
        "score": hit.score.clamp(0.0, 1.0),
        "document_id": document.id,
        "document_filename": document.filename,
        "chunk_index": hit.passage_number,
        "page_no": null,
        "char_start": hit.passage_range.and_then(|(start, _)| at(start)),
        "char_end": hit.passage_range.and_then(|(_, end)| at(end)),
        "multimodal_elements": [],
        "metadata": metadata(document),
    })
}

/// The id of a vector that came with a text of its own is its document's.
fn chunk_id(document: &DocumentInfo, number: u32, range: Option<(u32, u32)>) -> String {
    match range {
        None if document.passages == 1 => document.id.clone(),
        _ => format!("{}:{number}", document.id),
    }
}

/// How many characters stand before this byte.
fn characters(content: &[u8], byte: u32) -> Option<usize> {
    let before = content.get(..byte as usize)?;
    Some(std::str::from_utf8(before).ok()?.chars().count())
}

/// Stored metadata as an object.
pub(super) fn metadata(document: &DocumentInfo) -> Map<String, Value> {
    serde_json::from_str(&document.metadata).unwrap_or_default()
}

/// The ending of its name, or else what its media type says.
fn file_type(document: &DocumentInfo) -> String {
    match document.filename.rsplit_once('.') {
        Some((_, ending)) if !ending.is_empty() && ending.len() <= 16 => ending.to_ascii_lowercase(),
        _ => document.content_type.rsplit('/').next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a client would mark other words than the ones that were found.
    #[test]
    fn places_are_counted_in_characters() {
        let content = "né à Metz".as_bytes();
        assert_eq!(characters(content, 0), Some(0));
        assert_eq!(characters(content, 4), Some(3));
        assert_eq!(characters(content, u32::try_from(content.len()).unwrap()), Some(9));
        assert_eq!((characters(content, 2), characters(content, 99)), (None, None));
    }
}
