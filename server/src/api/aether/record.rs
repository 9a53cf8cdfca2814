//! How does a document look in an answer?

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use strongroom_engine::{DocumentInfo, Hit, Trace};

use super::turns::turn_of;
use crate::clock;
use crate::ingest::summary::Note;
use crate::ingest::{media, notes, original};
use crate::statement::Signed;

/// A document's record.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Document")]
pub(crate) struct Record<'a> {
    doc_id: &'a str,
    /// Names the content, so that two copies can be seen to be one.
    cid: String,
    title: &'a str,
    filename: &'a str,
    content_type: &'a str,
    size_bytes: u64,
    chunks: u32,
    vectors: u32,
    version: u32,
    created_at: String,
    updated_at: Option<String>,
    /// From when on nobody reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// Labels of those who may read it; without them, everybody who reaches the partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    acl_readers: Option<&'a [String]>,
    entity_id: Option<&'a str>,
    tags: &'a [String],
    source: Option<&'a str>,
    partition: Option<&'a str>,
    metadata: Map<String, Value>,
    /// Of a thread's turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_index: Option<u32>,
    /// `pending` while a summary is on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'static str>,
}

impl<'a> Record<'a> {
    pub(super) fn new(document: &'a DocumentInfo, partition: Option<&'a str>) -> Self {
        let (thread_id, turn_index) = turn_of(&document.id).map(|turn| (turn.thread, turn.index)).unzip();
        Self {
            doc_id: &document.id,
            cid: format!("sha256:{}", original::digest(document)),
            title: &document.filename,
            filename: &document.filename,
            content_type: &document.content_type,
            size_bytes: original::size(document),
            chunks: document.passages,
            vectors: document.passages,
            version: document.version,
            created_at: clock::rfc3339(document.created_ms),
            updated_at: document.updated_ms.map(clock::rfc3339),
            expires_at: document.expires_ms.map(clock::rfc3339),
            acl_readers: document.readers.as_deref(),
            entity_id: document.entity.as_deref(),
            tags: &document.tags,
            source: document.source.as_deref(),
            partition,
            metadata: notes::without(&document.metadata),
            thread_id,
            turn_index,
            summary: Note::of(&document.metadata).asked.map(|_| "pending"),
        }
    }
}

/// A document that a search found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SearchResult")]
pub(crate) struct Found {
    doc_id: String,
    /// From 0 to 100, on one scale for all searches.
    score: u8,
    title: String,
    content_type: String,
    /// The passage that goes best with the search.
    passage: String,
    /// The whole text, with include_content.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    entity_id: Option<String>,
    tags: Vec<String>,
    source: Option<String>,
    partition: Option<String>,
    metadata: Map<String, Value>,
    created_at: String,
    updated_at: Option<String>,
    /// Of a thread's turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_index: Option<u32>,
}

impl Found {
    pub(super) fn new(hit: &Hit, partition: Option<&str>) -> Self {
        let document = &hit.document;
        let (thread_id, turn_index) = turn_of(&document.id).map(|turn| (turn.thread, turn.index)).unzip();
        let is_text = media::is_text(&document.content_type)
            || document.content_type == media::UNKNOWN
            || original::is_file(document);
        let content =
            hit.content.as_deref().filter(|_| is_text).map(|content| original::text(document, content));
        Self {
            doc_id: document.id.clone(),
            score: score(hit.score),
            title: document.filename.clone(),
            content_type: document.content_type.clone(),
            passage: hit.passage.clone(),
            content: content.and_then(|content| std::str::from_utf8(content).ok()).map(str::to_owned),
            entity_id: document.entity.clone(),
            tags: document.tags.clone(),
            source: document.source.clone(),
            partition: partition.map(str::to_owned),
            metadata: notes::without(&document.metadata),
            created_at: clock::rfc3339(document.created_ms),
            updated_at: document.updated_ms.map(clock::rfc3339),
            thread_id,
            turn_index,
        }
    }
}

/// A score as a whole number from 0 to 100, on the same scale in every query.
pub(super) fn score(share: f32) -> u8 {
    let whole = (share.clamp(0.0, 1.0) * 100.0).round();
    (0..=100).rev().find(|number| f32::from(*number) <= whole).unwrap_or(0)
}

/// What a search opened.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
#[schemars(rename = "Trace")]
pub(crate) struct TraceAnswer {
    /// The partition that was asked for; null: the default one.
    scoped_to: Option<String>,
    /// Those that the engine opened.
    partitions_touched: Vec<String>,
    default_partition_touched: bool,
    results: usize,
    /// Documents that the search could have found.
    candidates_in_scope: u64,
    /// Whether all of them were compared.
    exact: bool,
    boundary: &'static str,
    #[serde(flatten)]
    signed: Signed,
}

impl TraceAnswer {
    /// `opened` is the engine's evidence; `None` when there was no partition to open. What the request asked for goes
    /// into `scoped_to` alone.
    pub(super) fn new(
        scoped_to: Option<&str>,
        opened: Option<&Trace>,
        results: usize,
        signed: Signed,
    ) -> Self {
        let names = opened.map_or(&[][..], |trace| &trace.partitions_opened);
        Self {
            scoped_to: scoped_to.map(str::to_owned),
            partitions_touched: names.iter().flatten().cloned().collect(),
            default_partition_touched: names.contains(&None),
            results,
            candidates_in_scope: opened.map_or(0, |trace| trace.candidates),
            exact: opened.is_none_or(|trace| trace.exact),
            boundary: "partition",
            signed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a threshold such as `score >= 60` would mean another thing at its very edge.
    #[test]
    fn scores_are_whole_and_rounded_to_the_nearest() {
        for (similarity, whole) in [
            (0.0, 0),
            (0.004, 0),
            (0.006, 1),
            (0.594, 59),
            (0.596, 60),
            (0.994, 99),
            (0.996, 100),
            (1.0, 100),
            (1.000_1, 100),
            (-0.5, 0),
            (f32::NAN, 0),
        ] {
            assert_eq!(score(similarity), whole, "{similarity}");
        }
    }

    /// Lost otherwise: a trace would repeat what was asked for and prove nothing.
    #[test]
    fn a_trace_tells_what_was_opened_not_what_was_asked_for() {
        let opened = Trace {
            partitions_opened: vec![Some("globex".to_owned()), None],
            segments_opened: 1,
            candidates: 7,
            exact: false,
        };
        let trace = TraceAnswer::new(Some("acme"), Some(&opened), 2, Signed::default());
        assert_eq!(trace.scoped_to.as_deref(), Some("acme"));
        assert_eq!(trace.partitions_touched, ["globex"]);
        assert!(trace.default_partition_touched);
        assert_eq!((trace.candidates_in_scope, trace.results, trace.exact), (7, 2, false));
        let nothing = TraceAnswer::new(Some("acme"), None, 0, Signed::default());
        assert!(nothing.partitions_touched.is_empty() && !nothing.default_partition_touched && nothing.exact);
    }
}
