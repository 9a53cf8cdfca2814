//! How are documents and their passages told to bigRAG's clients?
//!
//! A passage is a chunk there. Where it stands is told in characters, which only the text before it can tell: of long documents
//! it is left open.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use strongroom_engine::{DocumentInfo, Hit, PassageInfo};

use crate::clock;
use crate::control::Collection;
use crate::ingest::{notes, original};

/// Of longer documents nobody counts the characters.
pub(super) const COUNTED_BYTES_MAX: u64 = 256 << 10;

/// A document's record.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CollectionDocument")]
pub(crate) struct Document {
    id: String,
    collection_id: String,
    filename: String,
    file_type: String,
    /// In bytes.
    file_size: u64,
    chunk_count: u32,
    multimodal_element_count: u32,
    /// `ready`: what can be seen is stored, passages and all.
    status: &'static str,
    error_message: Option<String>,
    metadata: Map<String, Value>,
    /// SHA-256.
    content_hash: String,
    deduped: bool,
    /// Of what is not ready yet.
    progress: Option<f64>,
    created_at: String,
    updated_at: String,
    /// From when on nobody reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// Labels of those who may read it; without them, everybody who reaches the partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    acl_readers: Option<Vec<String>>,
}

impl Document {
    pub(super) fn of(collection: &Collection, document: &DocumentInfo) -> Self {
        Self {
            id: document.id.clone(),
            collection_id: collection.id.clone(),
            filename: document.filename.clone(),
            file_type: file_type(document),
            file_size: original::size(document),
            chunk_count: document.passages,
            multimodal_element_count: 0,
            status: "ready",
            error_message: None,
            metadata: metadata(document),
            content_hash: original::digest(document),
            deduped: false,
            progress: None,
            created_at: clock::rfc3339(document.created_ms),
            updated_at: clock::rfc3339(document.updated_ms.unwrap_or(document.created_ms)),
            expires_at: document.expires_ms.map(clock::rfc3339),
            acl_readers: document.readers.clone(),
        }
    }
}

/// What becomes of a document, which is done by the time anyone can ask.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DocumentStatus")]
pub(crate) struct Status {
    id: String,
    status: &'static str,
    error_message: Option<String>,
    chunk_count: u32,
    multimodal_element_count: u32,
    progress: Option<f64>,
}

impl Status {
    pub(super) fn of(document: &DocumentInfo) -> Self {
        Self {
            id: document.id.clone(),
            status: "ready",
            error_message: None,
            chunk_count: document.passages,
            multimodal_element_count: 0,
            progress: None,
        }
    }
}

/// One of a document's passages.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Chunk {
    id: String,
    document_id: String,
    chunk_index: u32,
    text: String,
    metadata: Map<String, Value>,
}

impl Chunk {
    pub(super) fn of(document: &DocumentInfo, passage: &PassageInfo) -> Self {
        Self {
            id: chunk_id(document, passage.number, passage.range),
            document_id: document.id.clone(),
            chunk_index: passage.number,
            text: passage.text.clone(),
            metadata: metadata(document),
        }
    }
}

/// A passage that a query found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "QueryResult")]
pub(crate) struct Found {
    id: String,
    text: String,
    /// From 0 to 1.
    pub(super) score: f32,
    document_id: String,
    document_filename: String,
    chunk_index: u32,
    /// The page, slide or sheet of a file that it begins on, counted from 1.
    page_no: Option<usize>,
    /// In characters of the text; null where nobody counted them.
    char_start: Option<usize>,
    char_end: Option<usize>,
    multimodal_elements: Vec<Value>,
    metadata: Map<String, Value>,
    /// In a query of several collections.
    #[serde(skip_serializing_if = "Option::is_none")]
    collection: Option<String>,
}

impl Found {
    /// `content` is the document's, if that is to be counted.
    pub(super) fn of(hit: &Hit, content: Option<&[u8]>) -> Self {
        let document = &hit.document;
        let at = |byte: u32| content.and_then(|content| characters(content, byte));
        Self {
            id: chunk_id(document, hit.passage_number, hit.passage_range),
            text: hit.passage.clone(),
            score: hit.score.clamp(0.0, 1.0),
            document_id: document.id.clone(),
            document_filename: document.filename.clone(),
            chunk_index: hit.passage_number,
            page_no: hit.passage_range.and_then(|(start, _)| original::page(document, start)),
            char_start: hit.passage_range.and_then(|(start, _)| at(start)),
            char_end: hit.passage_range.and_then(|(_, end)| at(end)),
            multimodal_elements: Vec::new(),
            metadata: metadata(document),
            collection: None,
        }
    }

    pub(super) fn in_collection(mut self, name: &str) -> Self {
        self.collection = Some(name.to_owned());
        self
    }
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
    notes::without(&document.metadata)
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
