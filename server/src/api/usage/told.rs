//! How does usage look in an answer?

use schemars::JsonSchema;
use serde::Serialize;

use crate::control::usage::Stored;
use crate::usage::Tally;

/// What was used in a window of days, and what is there.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Usage {
    pub(super) window_days: u32,
    pub(super) queries_total: u64,
    pub(super) queries_per_day_avg: f64,
    /// Live documents, now.
    pub(super) documents_total: u64,
    pub(super) chunks_total: u64,
    pub(super) storage_bytes_total: u64,
    pub(super) embedding_tokens_total: u64,
    pub(super) embedding_cost_usd_estimate: f64,
    pub(super) inserts_total: u64,
    pub(super) deletes_total: u64,
    pub(super) bytes_in_total: u64,
    #[serde(flatten)]
    pub(super) feedback: Feedback,
    pub(super) by_collection: Vec<OfCollection>,
    /// Each day of the window, the first one first.
    pub(super) by_day: Vec<OfDay>,
    /// A page of the keys that did something.
    pub(super) by_key: Vec<OfKey>,
    pub(super) by_key_total: usize,
    /// Null for a key that may not list partitions.
    pub(super) by_partition: Option<Partitions>,
    pub(super) limit: usize,
    pub(super) offset: usize,
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageDone")]
pub(crate) struct Done {
    queries: u64,
    inserts: u64,
    deletes: u64,
    embedding_tokens: u64,
    bytes_in: u64,
    avg_latency_ms: f64,
    #[serde(flatten)]
    feedback: Feedback,
}

/// How often it was reported what became of a document that a search found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SearchFeedbackCounts")]
pub(crate) struct Feedback {
    feedback_used: u64,
    feedback_cited: u64,
    feedback_ignored: u64,
}

/// What is there.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageHeld")]
pub(crate) struct Held {
    documents: u64,
    chunks: u64,
    storage_bytes: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageOfCollection")]
pub(crate) struct OfCollection {
    pub(super) collection: String,
    #[serde(flatten)]
    pub(super) done: Done,
    #[serde(flatten)]
    pub(super) held: Held,
    pub(super) embedding_cost_usd_estimate: f64,
}

/// What was there at a day's end is left out where nobody knows.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageOfDay")]
pub(crate) struct OfDay {
    /// `2026-06-01`, in UTC.
    pub(super) date: String,
    #[serde(flatten)]
    pub(super) done: Done,
    #[serde(flatten)]
    pub(super) held: Option<Held>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageOfKey")]
pub(crate) struct OfKey {
    /// Null: the operator's.
    pub(super) key_id: Option<String>,
    #[serde(flatten)]
    pub(super) done: Done,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageOfPartition")]
pub(crate) struct OfPartition {
    pub(super) collection: String,
    /// Null: the default partition.
    pub(super) partition: Option<String>,
    #[serde(flatten)]
    pub(super) done: Done,
    #[serde(flatten)]
    pub(super) held: Held,
}

/// A page of partitions, by collection and id.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageOfPartitions")]
pub(crate) struct Partitions {
    pub(super) partitions: Vec<OfPartition>,
    pub(super) total: usize,
    pub(super) limit: usize,
    pub(super) offset: usize,
}

impl Done {
    pub(super) fn of(tally: &Tally) -> Self {
        let average_us = tally.search_us.checked_div(tally.queries).unwrap_or(0);
        Self {
            queries: tally.queries,
            inserts: tally.inserts,
            deletes: tally.deletes,
            embedding_tokens: tally.embedding_tokens,
            bytes_in: tally.bytes_in,
            avg_latency_ms: average_us as f64 / 1e3,
            feedback: Feedback::of(tally),
        }
    }
}

impl Feedback {
    pub(super) fn of(tally: &Tally) -> Self {
        let crate::usage::Feedback { used, cited, ignored } = tally.feedback;
        Self { feedback_used: used, feedback_cited: cited, feedback_ignored: ignored }
    }
}

impl Held {
    pub(super) fn of(stored: Stored) -> Self {
        let Stored { documents, passages, bytes } = stored;
        Self { documents, chunks: passages, storage_bytes: bytes }
    }
}
