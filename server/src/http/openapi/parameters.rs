//! What is each query parameter?
//!
//! Its schema, and what its reader has to know, by its name and, where that isn't enough, by its route. A parameter of a route
//! that is not described here fails the test below; that bounds and defaults are those of the handlers, `tests/suites/openapi.rs`
//! tries.

use serde_json::{Value, json};

use super::super::routes::Route;
use crate::control::rules::GRACE_SECONDS_MAX;
use crate::usage::DAYS_MAX;

/// Where reads and refusals are told.
const ACCESS: &str = "/v1/audit/access";

/// A parameter as OpenAPI has it; `None` for one that nobody described.
pub(super) fn query(route: &Route, name: &str) -> Option<Value> {
    let (schema, text) = described(route, name)?;
    let is_required = (route.path, name) == ("/v1/search", "q");
    let mut parameter = json!({"name": name, "in": "query", "required": is_required, "description": text});
    if name == "filter" {
        parameter["content"] = json!({"application/json": {"schema": schema}});
    } else {
        parameter["schema"] = schema;
    }
    Some(parameter)
}

/// What stands in the path.
pub(super) fn path(route: &Route) -> Vec<Value> {
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let told = |name: &str| {
        let text = match name {
            "name" if route.path.starts_with("/v1/schema/") => "The field's name.",
            "name" => "The collection's name.",
            "*rest" => "What is below.",
            _ if route.path.contains("/documents/jobs/") => "The job's id.",
            _ if route.path.contains("/documents/") || route.path.starts_with("/v1/audit/") => {
                "The document's id."
            }
            _ if route.path.contains("/threads/") => "The conversation's id, which its first turn makes.",
            _ if route.path.contains("/partitions/") => "The partition's id.",
            _ if route.path.contains("/tenants/") => "The tenant's id.",
            _ => "Its id.",
        };
        json!({"name": name.trim_start_matches('*'), "in": "path", "required": true, "description": text,
            "schema": {"type": "string", "minLength": 1}})
    };
    names.map(told).collect()
}

fn described(route: &Route, name: &str) -> Option<(Value, &'static str)> {
    let text = || json!({"type": "string"});
    let flag = || json!({"type": "boolean", "default": false});
    let number = || json!({"type": "number"});
    let from_one = || json!({"type": "integer", "minimum": 1});
    let words = |words: &[&str], usual: &str| json!({"type": "string", "enum": words, "default": usual});
    Some(match name {
        "partition" if route.path == ACCESS => (
            json!({"type": "string", "minLength": 1, "maxLength": 256}),
            "Only of this partition. Without it: the key's own partition, or the whole workspace.",
        ),
        "partition" if route.path.starts_with("/v1/audit/records/") => (
            json!({"type": "string", "minLength": 1, "maxLength": 256}),
            "Where the document is. Without it: in the key's own partition, or in whichever has it.",
        ),
        "partition" => (
            json!({"type": "string", "minLength": 1, "maxLength": 256}),
            "The partition's id. Without it: the key's own partition, or the default one; a multi-tenant key has to name one.",
        ),
        "tenantId" => (text(), "The tenant's id. Without it: the organization's own memories."),
        "userId" => (text(), "Whose memories."),
        "limit" => {
            let (most, usual) = limit(route.path);
            (
                json!({"type": "integer", "minimum": 1, "maximum": most, "default": usual}),
                "How many are told.",
            )
        }
        "offset" if route.path.ends_with("/text") => {
            (json!({"type": "integer", "minimum": 0, "default": 0}), "Where the page begins, in bytes.")
        }
        "offset" => (json!({"type": "integer", "minimum": 0, "default": 0}), "How many are passed over."),
        "after" => (
            json!({"type": "string", "pattern": "^[0-9a-f]{32}$"}),
            "The id of the last receipt that is known: those after it are told.",
        ),
        // Documents
        "filename" => {
            (text(), "What the document is called; its ending tells its type where nothing else does.")
        }
        "content_type" if route.params.contains(&"filename") => {
            (text(), "The document's media type. It beats the header of that name.")
        }
        "content_type" => (text(), "Only documents of these media types, joined by commas."),
        "tags" if route.params.contains(&"filename") => (text(), "Its tags, joined by commas: up to 64."),
        "tags" => (text(), "Only documents with all of these tags, joined by commas."),
        "any_tags" => (text(), "Only documents with one of these tags, joined by commas."),
        "chunk_size" => (
            json!({"type": "integer", "minimum": 1, "maximum": 8192}),
            "Tokens of a passage, as the embedding model counts them.",
        ),
        "overlap" => (
            json!({"type": "integer", "minimum": 0}),
            "Tokens that a passage shares with the next: fewer than chunk_size.",
        ),
        "entity_id" if route.params.contains(&"filename") => (text(), "What or whom the document is about."),
        "entity_id" => (text(), "Only documents about this entity."),
        "thread_id" => {
            (json!({"type": "string", "minLength": 1, "maxLength": 256}), "Only turns of this conversation.")
        }
        "source" if route.params.contains(&"filename") => (text(), "Where the document is from."),
        "source" => (text(), "Only documents from these sources, joined by commas."),
        "metadata" => (
            json!({"type": "string", "contentMediaType": "application/json"}),
            "A JSON object of texts, numbers and booleans.",
        ),
        "acl_readers" => (
            text(),
            "Labels of those who may read the document, joined by commas. None at all (an empty value): administrators alone. \
             Without the parameter: everybody who reaches the partition.",
        ),
        "expires_at" => (
            json!({"type": "string", "format": "date-time"}),
            "From when on nobody reads the document, in RFC 3339; it is purged some while after.",
        ),
        "ttl_seconds" => (from_one(), "The same, as so many seconds from now."),
        "collection"
            if route.path.starts_with("/v1/partitions")
                || ["/v1/look-alikes", "/v1/default-partition", "/v1/export", "/v1/import"]
                    .contains(&route.path) =>
        {
            (text(), "The partition's collection: `default` when it is not given.")
        }
        "state" => (
            json!({"enum": ["live", "trashed", "all"]}),
            "With it each partition is told with its terms. Live ones when it is not given.",
        ),
        "grace_seconds" => (
            json!({"type": "integer", "minimum": 0, "maximum": GRACE_SECONDS_MAX}),
            "For so long the partition lies in the trash before it is shredded; 0 shreds it at once, also from the trash. When it \
             is not given, as the workspace's settings say: at once, unless they were changed.",
        ),
        "summarize" => (
            flag(),
            "Whether a summary of the document is made, in the background; 501 where the operator named no summarizer.",
        ),
        "force" => (flag(), "Whether a summary that a user wrote may be written over."),
        "hard" => (flag(), "Whether it is gone for good; else it can be restored."),
        "section" => (text(), "Only this section: its heading, its slug or its number."),
        "outline" => (flag(), "Whether the sections are told in the place of the text."),
        "max_bytes" => (
            json!({"type": "integer", "minimum": 1, "maximum": 1 << 20, "default": 64 << 10}),
            "How much of the text is told.",
        ),
        "last_n_turns" => (
            json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 1000}),
            "Only the last so many turns.",
        ),
        "recent_first" => (flag(), "Whether the last turn comes first."),
        // Searches
        "q" if route.path == "/v1/search" => {
            (json!({"type": "string", "minLength": 1}), "What to search for: up to 32 KiB.")
        }
        "q" => (text(), "Only documents whose filename has this in it."),
        "k" => (
            json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 10}),
            "How many documents, each with its best passage.",
        ),
        "mode" => (
            words(&["hybrid", "semantic", "keyword"], "hybrid"),
            "Whether it is looked for by meaning, by words, or by both.",
        ),
        "fusion" => (
            words(&["sum", "ranks"], "sum"),
            "How a hybrid search brings both together: by the sum of their scores, or by ranks.",
        ),
        "exact" => (flag(), "Whether every passage is compared, in large partitions too."),
        "rerank" => (
            words(&["true", "false", "require"], "false"),
            "Whether the reranker orders what is found. With true, a reranker that fails leaves the search's own order, and the \
             answer says so; with require, that is 503. Without a reranker: 501.",
        ),
        "rerank_candidates" => (
            from_one(),
            "How many documents the reranker orders: from k to the operator's limit; 4 k when it is not given.",
        ),
        "include_content" => (
            flag(),
            "Whether each result has its document's whole text: 422 when they have more bytes together than a body may have.",
        ),
        "max_distance" => (
            json!({"type": "number", "minimum": 0}),
            "Vectors further away than this are left out: 0 is the same direction, 1 a right angle.",
        ),
        "min_score" => (
            json!({"type": "number", "minimum": 0, "maximum": 100}),
            "Hits whose score, from 0 to 100, is below this are left out.",
        ),
        "recency_weight" => (
            json!({"type": "number", "minimum": 0, "maximum": 1}),
            "From 0 to 1, with freshness_weight at most 1: score = (1 - recency_weight - freshness_weight) * similarity \
             + recency_weight * 2^(-days since it was created / half_life_days) \
             + freshness_weight * 2^(-days since it was updated last / freshness_half_life_days).",
        ),
        "half_life_days" => {
            (number(), "Days after which half of the recency is left: 30 when it is not given.")
        }
        "freshness_weight" => (
            json!({"type": "number", "minimum": 0, "maximum": 1}),
            "Like recency_weight, of the time since the last update.",
        ),
        "freshness_half_life_days" => {
            (number(), "Days after which half of the freshness is left: 14 when it is not given.")
        }
        "trace" => (flag(), "Whether the answer tells what was opened."),
        "filter" => {
            (json!({"$ref": "#/components/schemas/Filter"}), "What documents have to be like, as JSON.")
        }
        "last_n_days" => (
            json!({"type": "integer", "minimum": 0, "maximum": 36_500}),
            "Only documents created within so many days.",
        ),
        "since" if route.path == ACCESS => (time(), "Only what was done then or later, in RFC 3339."),
        "until" if route.path == ACCESS => (time(), "Only what was done then or before, in RFC 3339."),
        "since" if route.path.ends_with("/audit") => {
            (time(), "Only what was done then or later, in RFC 3339.")
        }
        "until" if route.path.ends_with("/audit") => (time(), "Only what was done before, in RFC 3339."),
        "since" => (text(), "Only documents created then or later: a day, or a time in RFC 3339."),
        "until" => (text(), "Only documents created then or earlier: a day, or a time in RFC 3339."),
        "acting_principal" => (
            json!({"type": "string", "minLength": 1}),
            "A label: only documents are seen that name no readers, or this label, or one of acting_groups.",
        ),
        "acting_groups" => (text(), "Labels of the groups that the principal acts with, joined by commas."),
        // Collections
        "name" => (text(), "Only those with this in their name."),
        "status" => (
            words(&["ready", "pending", "processing", "failed"], "ready"),
            "Only documents that are so far: what can be seen is ready.",
        ),
        "sort" => (
            words(&["created_at", "updated_at", "filename", "file_size", "chunk_count"], "created_at"),
            "By what they are ordered.",
        ),
        "order" => (words(&["desc", "asc"], "desc"), "Whether the greatest or the least comes first."),
        "include_total" => {
            (json!({"type": "boolean", "default": true}), "Whether all there are get counted.")
        }
        "token" => (text(), "A token for the events, in the place of a key."),
        // What was done and used
        "window_days" => (
            json!({"type": "integer", "minimum": 1, "maximum": DAYS_MAX, "default": 30}),
            "How many days, today's among them.",
        ),
        "format" => (json!({"type": "string", "enum": ["json", "csv"]}), "Beats the header Accept."),
        "by" => (words(&["day", "collection", "key", "partition"], "day"), "Which rows a CSV has."),
        "action" if route.path == ACCESS => (
            json!({"type": "string", "enum": ["read", "search_hit", "denied", "admin_bypass"]}),
            "Only these.",
        ),
        "actor" => (
            not_empty(),
            "Only of this actor: whom a request said that it acts for, or `key:` and the key's prefix where it said nobody.",
        ),
        "resource" => (
            not_empty(),
            "Only of this document or conversation, by its id, or this search, by its query_id.",
        ),
        "action" => (not_empty(), "Only acts of this name, such as `document.purge`."),
        "actor_id" => (not_empty(), "Only what this key or member did."),
        "resource_type" => (not_empty(), "Only acts on things of this kind."),
        "resource_id" => (not_empty(), "Only acts on this thing."),
        _ => return None,
    })
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn not_empty() -> Value {
    json!({"type": "string", "minLength": 1})
}

/// The most that a list tells, and how many when nothing is said.
fn limit(path: &str) -> (u64, u64) {
    match path {
        "/api/v1/memory/recent" => (100, 20),
        "/v1/receipts" | "/v1/admin/audit" | ACCESS | "/v1/usage" | "/api/v1/tenants" | "/api/v1/usage" => {
            (1000, 100)
        }
        _ if path.starts_with("/v1/admin/") => (1000, 1000),
        _ if path.ends_with("/chunks") => (1000, 100),
        _ => (1000, 50),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::routes::routes;
    use super::*;
    use crate::message::acting;

    /// Lost otherwise: a reader of the reference would meet a parameter and not learn what it does.
    #[test]
    fn every_parameter_is_described() {
        for route in routes() {
            for name in route.params.iter().chain(&acting::PARAMETERS) {
                assert!(query(route, name).is_some(), "{} {}: say what {name} is", route.method, route.path);
            }
        }
    }
}
