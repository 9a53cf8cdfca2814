//! Which routes do bigRAG's clients call?

use super::{Access, BodyKind, Kind, Partition, Route, not_offered};
use crate::api::bigrag::{collections, documents, events, queries, reembed, uploads, vectors};
use crate::control::scopes::Scope;

const READ: Access = Access::Key(Scope::CollectionRead);
const WRITE: Access = Access::Key(Scope::CollectionWrite);

const LIST: &[&str] = &["q", "status", "sort", "order", "limit", "offset", "include_total", "partition"];
const CHUNKS: &[&str] = &["limit", "offset", "partition"];
const PLACE: &[&str] = &["partition"];

/// Those that keep keys.
pub(super) const KEEP_KEYS: &[(&str, &str)] = &[
    ("POST", "/v1/collections/{name}/documents"),
    ("POST", "/v1/collections/{name}/documents/batch/upload"),
    ("POST", "/v1/collections/{name}/documents/batch/delete"),
    ("POST", "/v1/collections/{name}/documents/{id}/reprocess"),
    ("DELETE", "/v1/collections/{name}/documents/{id}"),
    ("POST", "/v1/collections/{name}/vectors/upsert"),
    ("POST", "/v1/collections/{name}/vectors/delete"),
];

/// Collections and what is in them.
pub(super) static ROUTES: &[Route] = &[
    // Collections
    route!("POST" "/v1/collections", Free, WRITE, None, &[], Json, 201, "Make a collection", collections::create),
    route!("GET" "/v1/collections", Free, READ, None, &["name", "limit", "offset"], None, 200,
        "The collections that the key sees", collections::list),
    route!("GET" "/v1/collections/{name}", Free, READ, None, &[], None, 200, "A collection", collections::get),
    route!("PUT" "/v1/collections/{name}", Free, WRITE, None, &[], Json, 200,
        "Change a collection's settings", collections::change),
    route!("DELETE" "/v1/collections/{name}", Free, WRITE, None, &[], None, 200,
        "Delete a collection for good, all its partitions", collections::delete),
    route!("GET" "/v1/collections/{name}/stats", Free, READ, None, &[], None, 200,
        "What a collection holds", collections::stats),
    route!("GET" "/v1/collections/{name}/analytics", Free, READ, None, &[], None, 200,
        "How much a collection is queried", collections::analytics),
    route!("POST" "/v1/collections/{name}/truncate", Free, WRITE, None, &[], None, 200,
        "Empty a collection for good", collections::truncate),
    route!("POST" "/v1/collections/{name}/reembed", Free, WRITE, None, &[], None, 202,
        "Embed a collection's documents anew, in the background", reembed::begin),
    route!("GET" "/v1/collections/{name}/events", Free, Access::KeyOrToken(Scope::CollectionRead), None, &["token"], None, 200,
        "What goes on in a collection, as server-sent events", events::stream),
    route!("POST" "/v1/collections/{name}/events/token", Free, READ, None, &[], None, 200,
        "A token of a minute's life for the events, for browsers", events::token),
    // Documents
    route!("POST" "/v1/collections/{name}/documents", Data, Access::Key(Scope::DocumentUpload), InCollection, PLACE, Form, 201,
        "Insert a file", uploads::upload),
    route!("GET" "/v1/collections/{name}/documents", Data, Access::Key(Scope::DocumentRead), InCollection, LIST, None, 200,
        "List a partition's documents", documents::list),
    route!("GET" "/v1/collections/{name}/documents/{id}", Data, Access::Key(Scope::DocumentRead), InCollection, PLACE, None, 200,
        "A document's record", documents::get),
    route!("DELETE" "/v1/collections/{name}/documents/{id}", Data, Access::Key(Scope::DocumentDelete), InCollection, PLACE, None,
        200, "Delete a document for good", documents::delete),
    route!("GET" "/v1/collections/{name}/documents/{id}/chunks", Data, Access::Key(Scope::DocumentRead), InCollection, CHUNKS,
        None, 200, "A document's passages", documents::chunks),
    route!("GET" "/v1/collections/{name}/documents/{id}/file", Data, Access::Key(Scope::DocumentRead), InCollection, PLACE, None,
        200, "A document's bytes as they came", documents::file),
    route!("POST" "/v1/collections/{name}/documents/{id}/reprocess", Data, Access::Key(Scope::DocumentUpload), InCollection,
        PLACE, None, 200, "Cut and embed a document anew", documents::reprocess),
    route!("POST" "/v1/collections/{name}/documents/batch/upload", Data, Access::Key(Scope::DocumentUpload), InCollection, PLACE,
        Form, 201, "Insert many files at once", uploads::upload_many),
    route!("POST" "/v1/collections/{name}/documents/batch/get", Data, Access::Key(Scope::DocumentRead), InCollection, PLACE, Json,
        200, "The records of many documents", documents::get_many),
    route!("POST" "/v1/collections/{name}/documents/batch/status", Data, Access::Key(Scope::DocumentRead), InCollection, PLACE,
        Json, 200, "What became of many documents", documents::statuses),
    route!("POST" "/v1/collections/{name}/documents/batch/delete", Data, Access::Key(Scope::DocumentDelete), InCollection, PLACE,
        Json, 200, "Delete many documents for good", documents::delete_many),
    route!("GET" "/v1/documents/{id}/chunks", Data, Access::Key(Scope::DocumentRead), InCollection, CHUNKS, None, 200,
        "A document's passages, in whichever collection it is", documents::chunks_by_id),
    // Vectors
    route!("POST" "/v1/collections/{name}/vectors/upsert", Data, Access::Key(Scope::VectorWrite), InCollection, PLACE, Json, 200,
        "Insert or replace vectors of your own", vectors::upsert),
    route!("POST" "/v1/collections/{name}/vectors/delete", Data, Access::Key(Scope::VectorDelete), InCollection, PLACE, Json, 200,
        "Delete vectors for good", vectors::delete),
    // Queries
    route!("POST" "/v1/collections/{name}/query", Data, Access::Key(Scope::QueryRead), InCollection, PLACE, Json, 200,
        "Query a collection", queries::query),
    route!("POST" "/v1/query", Data, Access::Key(Scope::QueryRead), InCollection, PLACE, Json, 200,
        "Query several collections at once", queries::query_several),
    route!("POST" "/v1/batch/query", Data, Access::Key(Scope::QueryRead), InCollection, PLACE, Json, 200,
        "Many queries at once", queries::query_batch),
    // Named, not offered yet
    route!(later "/v1/collections/{name}/documents/{id}/elements", "A document's pictures, tables and other elements"),
    route!(later "/v1/chat", "Chat over collections"),
    route!(later "/v1/chat/{*rest}", "Chat over collections"),
    route!(later "/v1/webhooks", "Webhooks"),
    route!(later "/v1/webhooks/{*rest}", "Webhooks"),
    route!(later "/v1/admin/webhooks", "Webhooks"),
    route!(later "/v1/admin/webhooks/{*rest}", "Webhooks"),
    route!(later "/v1/evaluation", "Evaluations"),
    route!(later "/v1/evaluations", "Evaluations"),
    route!(later "/v1/evaluations/{*rest}", "Evaluations"),
    route!(later "/v1/stats", "Counts of the whole server: /v1/status has a workspace's"),
    route!(later "/v1/embeddings/models", "A list of models: docs/collections.md names them"),
    route!(later "/v1/admin/settings", "Settings: the operator's file and command line have them"),
    route!(later "/v1/admin/settings/{*rest}", "Settings: the operator's file and command line have them"),
    route!(later "/v1/admin/access/{*rest}", "A log of all requests: /v1/admin/audit has acts and refusals"),
    route!(later "/v1/admin/vector-storage/{*rest}", "Figures of a vector database: there is none beside this server"),
    route!(later "/v1/admin/realtime/{*rest}", "Administration as a stream of events"),
    route!(later "/v1/connectors", "Connectors to other services"),
    route!(later "/v1/connectors/{*rest}", "Connectors to other services"),
    route!(later "/v1/admin/connectors", "Connectors to other services"),
    route!(later "/v1/admin/connectors/{*rest}", "Connectors to other services"),
    route!(later "/v1/admin/backups", "Backups over the API"),
    route!(later "/v1/admin/backups/{*rest}", "Backups over the API"),
    route!(later "/v1/admin/mcp-servers", "MCP servers"),
    route!(later "/v1/admin/mcp-servers/{*rest}", "MCP servers"),
    route!(later "/v1/admin/embedding-presets", "Presets of embedding models"),
    route!(later "/v1/admin/embedding-presets/{*rest}", "Presets of embedding models"),
    route!(later "/v1/collections/{name}/upload-sessions", "Uploads in sessions: upload files one by one, or in a batch"),
    route!(later "/v1/collections/{name}/upload-sessions/{*rest}", "Uploads in sessions: upload files one by one, or in a batch"),
];
