//! Which routes are there, and what does each ask for?
//!
//! The one table. The router, the checks before a handler, `/openapi.json` and the tests that walk all routes are made
//! from it, so a route without an entry can't exist.
//!
//! Invariants:
//! 1. A route of the kind `Data` never answers before a partition was decided by `auth/reach.rs`.
//! 2. A query parameter that isn't in `params` is refused.

use crate::api::{admin, aether, not_offered, receipts, system};
use crate::call::Handler;
use crate::control::scopes::Scope;

/// What a route touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One partition's data: bound by the partition rule.
    Data,
    /// Workspaces, keys and the audit log.
    Admin,
    /// Neither: free of the partition rule.
    Free,
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Open,
    /// Anyone; with a key it says more.
    OpenOrKey,
    /// Any live key.
    AnyKey,
    /// A key with this scope.
    Key(Scope),
    /// A key that is not pinned, with one of these scopes: it is told what was done in the whole workspace. The operator may
    /// name one that is gone.
    Past(&'static [Scope]),
}

/// Receipts are read by whoever may look into what was done, and by whoever may do it.
const RECEIPTS: Access = Access::Past(&[Scope::AuditRead, Scope::PartitionDelete]);

/// Where a request names its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// Nowhere.
    None,
    /// `?partition=`.
    InQuery,
    /// In the JSON body, as `partition` (of each item, in a batch).
    InBody,
    /// In the path.
    InPath,
}

/// What a route's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// Not read.
    None,
    /// A JSON object.
    Json,
    /// A document's bytes as they are.
    Document,
}

/// A route.
pub struct Route {
    /// `GET`, `POST`, …, or `*` for any.
    pub method: &'static str,
    /// The path, with `{…}` where a value stands.
    pub path: &'static str,
    /// What it touches.
    pub kind: Kind,
    /// Who may call it.
    pub access: Access,
    /// Where its partition is named.
    pub partition: Partition,
    /// The query parameters that it knows.
    pub params: &'static [&'static str],
    /// What its body is.
    pub body: BodyKind,
    /// The status of success.
    pub status: u16,
    /// What it does, in one line.
    pub summary: &'static str,
    pub(crate) handler: Handler,
}

impl Route {
    /// Whether this path is one of the route's.
    pub fn matches(&self, path: &str) -> bool {
        let (mut template, mut path) = (self.path.split('/'), path.split('/'));
        loop {
            match (template.next(), path.next()) {
                (None, None) => return true,
                (Some(part), Some(_)) if part.starts_with("{*") => return true,
                (Some(part), Some(value))
                    if part == value || (part.starts_with('{') && !value.is_empty()) => {}
                _ => return false,
            }
        }
    }

    /// Whether it only says that it isn't there yet.
    pub fn is_not_offered(&self) -> bool {
        self.status == 501
    }

    /// Parameters that every route takes and that change nothing on this one.
    pub(crate) fn ignored(&self) -> &'static [&'static str] {
        match (self.kind, self.body) {
            (Kind::Data, BodyKind::Document) => &["partition", "summarize", "extract_facts"],
            (Kind::Data, _) => &["partition"],
            _ => &[],
        }
    }
}

const INSERT: &[&str] = &[
    "filename",
    "content_type",
    "tags",
    "chunk_size",
    "overlap",
    "entity_id",
    "source",
    "metadata",
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
const AUDIT: &[&str] = &["action", "actor_id", "resource_type", "resource_id", "limit", "offset"];

/// The entry of a route whose handler is an `async fn(Call) -> Result<Response, ApiError>`.
macro_rules! route {
    ($method:literal $path:literal, $kind:ident, $access:expr, $partition:ident, $params:expr, $body:ident,
     $status:literal, $summary:literal, $handler:path) => {
        Route {
            method: $method,
            path: $path,
            kind: Kind::$kind,
            access: $access,
            partition: Partition::$partition,
            params: $params,
            body: BodyKind::$body,
            status: $status,
            summary: $summary,
            handler: |call| Box::pin($handler(call)),
        }
    };
    (later $path:literal, $summary:literal) => {
        route!("*" $path, Free, Access::AnyKey, None, &[], None, 501, $summary, not_offered::answer)
    };
}

/// Every route there is.
pub static ROUTES: &[Route] = &[
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
    route!("GET" "/v1/documents/{id}/download", Data, Access::Key(Scope::DocumentRead), InQuery, BY_ID, None, 200,
        "A document's bytes as they came", aether::documents::download),
    route!("GET" "/v1/documents/{id}/text", Data, Access::Key(Scope::DocumentRead), InQuery, TEXT, None, 200,
        "A document's text, by page or section", aether::documents::text),
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
    // What was erased
    route!("GET" "/v1/receipts", Free, RECEIPTS, None, &["limit", "after"], None, 200,
        "The signed receipts of what was erased", receipts::list),
    route!("GET" "/v1/receipts/{id}", Free, RECEIPTS, None, &[], None, 200,
        "A signed receipt", receipts::get),
    // Workspaces, keys, and what was done
    route!("POST" "/v1/admin/workspaces", Admin, Access::AnyKey, None, &[], Json, 201,
        "Make a workspace", admin::workspaces::create),
    route!("GET" "/v1/admin/workspaces", Admin, Access::AnyKey, None, &[], None, 200,
        "The workspaces that the key sees", admin::workspaces::list),
    route!("GET" "/v1/admin/workspaces/{id}", Admin, Access::AnyKey, None, &[], None, 200,
        "A workspace", admin::workspaces::get),
    route!("DELETE" "/v1/admin/workspaces/{id}", Admin, Access::AnyKey, None, &[], None, 200,
        "Delete a workspace for good", admin::workspaces::delete),
    route!("POST" "/v1/admin/api-keys", Admin, Access::Key(Scope::Keys), None, &[], Json, 201,
        "Mint an API key", admin::keys::create),
    route!("GET" "/v1/admin/api-keys", Admin, Access::Key(Scope::Keys), None, &["limit", "offset"], None, 200,
        "The API keys, without their secrets", admin::keys::list),
    route!("GET" "/v1/admin/api-keys/{id}", Admin, Access::Key(Scope::Keys), None, &[], None, 200,
        "An API key, without its secret", admin::keys::get),
    route!("PATCH" "/v1/admin/api-keys/{id}", Admin, Access::Key(Scope::Keys), None, &[], Json, 200,
        "Rename or narrow an API key", admin::keys::change),
    route!("DELETE" "/v1/admin/api-keys/{id}", Admin, Access::Key(Scope::Keys), None, &[], None, 200,
        "Revoke an API key", admin::keys::revoke),
    route!("POST" "/v1/admin/api-keys/{id}/rotate", Admin, Access::Key(Scope::Keys), None, &[], None, 201,
        "Give an API key a new secret", admin::keys::rotate),
    route!("GET" "/v1/admin/audit", Admin, Access::Past(&[Scope::AuditRead]), None, AUDIT, None, 200,
        "What was done in the workspace, and by whom, newest first", admin::audit::list),
    // The server itself
    route!("GET" "/status", Free, Access::OpenOrKey, None, &[], None, 200,
        "Version, and with a key its workspace's counts", system::status),
    route!("GET" "/v1/status", Free, Access::OpenOrKey, None, &[], None, 200,
        "Version, and with a key its workspace's counts", system::status),
    route!("GET" "/healthz", Free, Access::Open, None, &[], None, 200, "The process lives", system::healthz),
    route!("GET" "/readyz", Free, Access::Open, None, &[], None, 200, "The server serves", system::readyz),
    route!("GET" "/metrics", Free, Access::Open, None, &[], None, 200, "Counters for Prometheus", system::metrics),
    route!("GET" "/openapi.json", Free, Access::Open, None, &[], None, 200, "This document", system::openapi),
    // Named, not offered yet
    route!(later "/v1/documents/backfill-entity", "Set entities from tags"),
    route!(later "/v1/documents/{id}/move", "Move a document to another partition"),
    route!(later "/v1/documents/{id}/summary", "A document's summary"),
    route!(later "/v1/search/feedback", "Feedback on search results"),
    route!(later "/v1/query", "Structured queries"),
    route!(later "/v1/schema/{*rest}", "Declared fields"),
    route!(later "/v1/threads/{*rest}", "Conversation threads"),
    route!(later "/v1/memory/{*rest}", "Memory files, facts and entities"),
    route!(later "/v1/audit/{*rest}", "The audit log and grounding receipts"),
    route!(later "/v1/connections", "Connections to other services"),
    route!(later "/v1/connections/{*rest}", "Connections to other services"),
    route!(later "/v1/archive/{*rest}", "Permanent archives"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Lost otherwise: a route on data could be added that answers without a partition.
    #[test]
    fn the_table_agrees_with_itself() {
        let mut seen = HashSet::new();
        for route in ROUTES {
            let name = format!("{} {}", route.method, route.path);
            assert!(seen.insert(name.clone()), "{name} comes twice");
            let scoped = matches!(route.access, Access::Key(_));
            match route.kind {
                Kind::Data => {
                    assert!(matches!(route.partition, Partition::InQuery | Partition::InBody), "{name}");
                    assert!(scoped, "{name} asks for no scope");
                    assert!(route.params.contains(&"partition"), "{name}");
                }
                Kind::Admin => assert!(route.path.starts_with("/v1/admin/"), "{name}"),
                Kind::Free => assert_ne!(route.partition, Partition::InQuery, "{name}"),
            }
            assert!(
                !route.summary.is_empty() && route.matches(&route.path.replace(['{', '}', '*'], "")),
                "{name}"
            );
        }
    }

    /// Lost otherwise: a wrong method's answer would name methods of other routes.
    #[test]
    fn templates_match_whole_paths() {
        let get = ROUTES.iter().find(|route| route.path == "/v1/documents/{id}").unwrap();
        assert!(get.matches("/v1/documents/a%2Fb"));
        assert!(
            !get.matches("/v1/documents/")
                && !get.matches("/v1/documents")
                && !get.matches("/v1/documents/a/b")
        );
    }
}
