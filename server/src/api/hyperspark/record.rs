//! How is a memory written down, and how does it look in an answer?
//!
//! The text is a document's content, its user the document's entity; the rest stands in the document's metadata, where filters
//! find it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_engine::DocumentInfo;

use crate::clock;

/// What is known of a memory beside its text, its user and when it came in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct About {
    /// Who said it: `user`, `assistant` or another word.
    pub(super) role: String,
    /// From 0 to 1.
    pub(super) importance: f64,
    /// Its place among the messages that it came with.
    pub(super) position: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
    /// When it was said, if its writer told, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) said_ms: Option<u64>,
}

impl Default for About {
    /// What came into the collection by another way than an ingest.
    fn default() -> Self {
        Self { role: "user".to_owned(), importance: 0.5, position: 0, session: None, said_ms: None }
    }
}

impl About {
    /// As it stands in a document.
    pub(super) fn of(document: &DocumentInfo) -> Self {
        serde_json::from_str(&document.metadata).unwrap_or_default()
    }

    /// When the memory was said, as far as anyone knows: not after it came in.
    pub(super) fn at_ms(&self, document: &DocumentInfo) -> u64 {
        self.said_ms.map_or(document.created_ms, |said| said.min(document.created_ms))
    }
}

/// A memory in an answer.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Memory {
    id: String,
    content: String,
    /// Who said it: `user`, `assistant` or another word.
    role: String,
    user_id: Option<String>,
    session_id: Option<String>,
    /// From 0 to 1.
    importance: f64,
    /// When it was said, as far as anyone knows.
    created_at: String,
    /// When it came in.
    stored_at: String,
}

impl Memory {
    pub(super) fn of(document: &DocumentInfo, about: &About, content: &[u8]) -> Self {
        Self {
            id: document.id.clone(),
            content: String::from_utf8_lossy(content).into_owned(),
            role: about.role.clone(),
            user_id: document.entity.clone(),
            session_id: about.session.clone(),
            importance: about.importance,
            created_at: clock::rfc3339(about.at_ms(document)),
            stored_at: clock::rfc3339(document.created_ms),
        }
    }
}
