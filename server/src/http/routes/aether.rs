//! Which routes do Aether's clients call?

use super::{Access, BodyKind, Kind, Partition, Route, not_offered};
use crate::api::aether;
use crate::control::scopes::Scope;

const INSERT: &[&str] = &[
    "filename",
    "content_type",
    "tags",
    "chunk_size",
    "overlap",
    "entity_id",
    "source",
    "metadata",
    "acl_readers",
    "expires_at",
    "ttl_seconds",
    "partition",
];
const FILTERS: [&str; 9] =
    ["tags", "any_tags", "content_type", "source", "entity_id", "since", "until", "last_n_days", "filter"];
const LIST: &[&str] = &[
    "offset",
    "limit",
    FILTERS[0],
    FILTERS[1],
    FILTERS[2],
    FILTERS[3],
    FILTERS[4],
    FILTERS[5],
    FILTERS[6],
    FILTERS[7],
    FILTERS[8],
    "partition",
];
const SEARCH: &[&str] = &[
    "q",
    "k",
    "mode",
    "fusion",
    "exact",
    "rerank",
    "rerank_candidates",
    "include_content",
    "max_distance",
    "min_score",
    "recency_weight",
    "half_life_days",
    "freshness_weight",
    "freshness_half_life_days",
    "trace",
    FILTERS[0],
    FILTERS[1],
    FILTERS[2],
    FILTERS[3],
    FILTERS[4],
    FILTERS[5],
    FILTERS[6],
    FILTERS[7],
    FILTERS[8],
    "partition",
];
const TEXT: &[&str] = &["section", "outline", "offset", "max_bytes", "partition"];
const BY_ID: &[&str] = &["partition"];

/// The routes on which a request is done once under its `Idempotency-Key`. Each makes one write in each partition that it acts on:
/// a second one would be taken for the first one's repetition.
pub(super) const KEEP_KEYS: [(&str, &str); 12] = [
    ("POST", "/v1/documents"),
    ("POST", "/v1/documents/async"),
    ("POST", "/v1/documents/embed"),
    ("POST", "/v1/documents/batch"),
    ("PUT", "/v1/documents/{id}"),
    ("DELETE", "/v1/documents/{id}"),
    ("POST", "/v1/documents/{id}/restore"),
    ("POST", "/v1/documents/{id}/move"),
    ("POST", "/v1/threads/{id}/append"),
    ("POST", "/v1/threads/{id}/restore"),
    ("POST", "/v1/threads/{id}/move"),
    ("DELETE", "/v1/threads/{id}"),
];

/// Documents, searches, partitions.
pub(super) static ROUTES: &[Route] = &[
    // Documents
    route!("POST" "/v1/documents", Data, Access::Key(Scope::DocumentUpload), InQuery, INSERT, Document, 201,
        "Insert a document from its bytes", aether::insert::insert),
    route!("GET" "/v1/documents", Data, Access::Key(Scope::DocumentRead), InQuery, LIST, None, 200,
        "List documents, newest first", aether::documents::list),
    route!("POST" "/v1/documents/async", Data, Access::Key(Scope::DocumentUpload), InQuery, INSERT, Document, 202,
        "Insert a document in the background", aether::jobs::insert),
    route!("GET" "/v1/documents/jobs/{id}", Free, Access::Key(Scope::DocumentUpload), None, &[], None, 200,
        "What became of a background insert", aether::jobs::get),
    route!("POST" "/v1/documents/embed", Data, Access::Key(Scope::VectorWrite), InBody, BY_ID, Json, 201,
        "Insert a document with vectors of your own", aether::insert::with_vectors),
    route!("POST" "/v1/documents/batch", Data, Access::Key(Scope::DocumentUpload), InBody, BY_ID, Json, 201,
        "Insert many text documents at once", aether::insert::batch),
    route!("GET" "/v1/documents/{id}", Data, Access::Key(Scope::DocumentRead), InQuery, BY_ID, None, 200,
        "A document's record", aether::documents::get),
    route!("PUT" "/v1/documents/{id}", Data, Access::Key(Scope::DocumentUpload), InQuery, INSERT, Document, 200,
        "Replace a document under its id", aether::insert::update),
    route!("DELETE" "/v1/documents/{id}", Data, Access::Key(Scope::DocumentDelete), InQuery, &["hard", "partition"],
        None, 200, "Delete a document; it can be restored, unless hard=true", aether::documents::delete),
    route!("POST" "/v1/documents/{id}/restore", Data, Access::Key(Scope::DocumentDelete), InQuery, BY_ID, None, 200,
        "Bring a deleted document back", aether::documents::restore),
    route!("POST" "/v1/documents/{id}/move", Free, Access::Key(Scope::DocumentUpload), InBody, &[], Json, 200,
        "Move a document to another partition", aether::moving::move_document),
    route!("GET" "/v1/documents/{id}/download", Data, Access::Key(Scope::DocumentRead), InQuery, BY_ID, None, 200,
        "A document's bytes as they came", aether::documents::download),
    route!("GET" "/v1/documents/{id}/text", Data, Access::Key(Scope::DocumentRead), InQuery, TEXT, None, 200,
        "A document's text, by page or section", aether::documents::text),
    // Threads
    route!("POST" "/v1/threads/{id}/append", Data, Access::Key(Scope::DocumentUpload), InQuery, BY_ID, Json, 201,
        "Append a turn to a conversation", aether::threads::append),
    route!("GET" "/v1/threads/{id}", Data, Access::Key(Scope::DocumentRead), InQuery,
        &["last_n_turns", "recent_first", "partition"], None, 200,
        "A conversation's turns, in their order", aether::threads::get),
    route!("DELETE" "/v1/threads/{id}", Data, Access::Key(Scope::DocumentDelete), InQuery, &["hard", "partition"],
        None, 200, "Delete a conversation; it can be restored, unless hard=true", aether::threads::delete),
    route!("POST" "/v1/threads/{id}/restore", Data, Access::Key(Scope::DocumentDelete), InQuery, BY_ID, None, 200,
        "Bring a deleted conversation back", aether::threads::restore),
    route!("POST" "/v1/threads/{id}/move", Free, Access::Key(Scope::DocumentUpload), InBody, &[], Json, 200,
        "Move a conversation to another partition", aether::threads::move_thread),
    // Search
    route!("GET" "/v1/search", Data, Access::Key(Scope::QueryRead), InQuery, SEARCH, None, 200,
        "Search by meaning", aether::search::search),
    route!("POST" "/v1/search/embed", Data, Access::Key(Scope::QueryRead), InBody, BY_ID, Json, 200,
        "Search by a vector of your own", aether::search::search_by_vector),
    route!("POST" "/v1/search/batch", Data, Access::Key(Scope::QueryRead), InBody, BY_ID, Json, 200,
        "Many searches at once", aether::search::search_batch),
    // Partitions
    route!("GET" "/v1/partitions", Free, Access::Key(Scope::PartitionRead), None, &[], None, 200,
        "The partitions, with warnings about look-alikes", aether::partitions::list),
    route!("DELETE" "/v1/partitions/{id}", Free, Access::Key(Scope::PartitionDelete), InPath, &[], None, 200,
        "Delete a partition for good", aether::partitions::delete),
    route!("POST" "/v1/partitions/{id}/copy", Free, Access::Key(Scope::All), InPath, &[], Json, 200,
        "Copy a partition, documents, vectors and all, to another", aether::bundles::copy),
    route!("GET" "/v1/export", Data, Access::Key(Scope::All), InQuery, BY_ID, None, 200,
        "A partition as one signed bundle", aether::bundles::export),
    route!("POST" "/v1/import", Data, Access::Key(Scope::All), InQuery, BY_ID, Document, 200,
        "Take a bundle into a partition", aether::bundles::import),
    // Named, not offered yet
    route!(later "/v1/documents/backfill-entity", "Set entities from tags"),
    route!(later "/v1/documents/{id}/summary", "A document's summary"),
    route!(later "/v1/search/feedback", "Feedback on search results"),
    route!(later "/v1/schema/{*rest}", "Declared fields"),
    route!(later "/v1/threads/{id}/acl", "Who may read a thread"),
    route!(later "/v1/memory/{*rest}", "Memory files, facts and entities"),
    route!(later "/v1/audit/{*rest}", "The audit log and grounding receipts"),
    route!(later "/v1/connections", "Connections to other services"),
    route!(later "/v1/connections/{*rest}", "Connections to other services"),
    route!(later "/v1/archive/{*rest}", "Permanent archives"),
];
