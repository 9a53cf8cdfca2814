//! How does a program learn what this server offers?
//!
//! `/openapi.json`, made from the table of routes at the first request.

use serde_json::{Map, Value, json};

use super::routes::{Access, BodyKind, Kind, Partition, Route, routes};
use crate::api::aether::grammar::OPERATORS;
use crate::auth::session;
use crate::message::acting;
use crate::message::error::Dialect;

/// The document.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    for route in routes() {
        // OpenAPI has no path that matches several parts.
        let path = route.path.replace("{*rest}", "{rest}");
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        let names = if route.method == "*" { &["get", "post"][..] } else { &[route.method][..] };
        for name in names {
            methods[name.to_lowercase()] = operation(route);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Strongroom",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A store for the documents and vectors of many tenants. Each partition is sealed under a \
                            key of its own; a request reaches the one partition that it names.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": session::COOKIE,
                    "description": "A member's, from POST /v1/auth/login; what changes something also names this server as \
                                    its Origin.",
                },
            },
            "schemas": {
                "Filter": filter(),
                "Found": found(),
                "Error": {
                    "type": "object",
                    "required": ["error", "code", "detail", "request_id"],
                    "properties": {
                        "error": {"type": "string"},
                        "code": {"type": "string"},
                        "detail": {"type": "string"},
                        "request_id": {"type": "string"},
                    },
                },
                "MemoryError": {
                    "type": "object",
                    "required": ["success", "error", "code", "request_id"],
                    "properties": {
                        "success": {"const": false},
                        "error": {"type": "string"},
                        "code": {"type": "string"},
                        "request_id": {"type": "string"},
                    },
                },
                "AdminError": {
                    "type": "object",
                    "required": ["detail", "error", "request_id"],
                    "properties": {
                        "detail": {"type": "string"},
                        "error": {
                            "type": "object",
                            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
                        },
                        "request_id": {"type": "string"},
                    },
                },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            json!({"name": name.trim_start_matches('*'), "in": "path", "required": true,
                           "schema": {"type": "string"}})
        })
        .collect();
    let acting = if route.kind == Kind::Data { &acting::PARAMETERS[..] } else { &[] };
    parameters.extend(route.params.iter().chain(acting).map(|name| query_parameter(name)));
    if route.keeps_keys() {
        parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": "The same request under the same key is done once within 24 hours, and answered the same; another one is refused (409).",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }));
    }
    let schema = match Dialect::of(route.path) {
        Dialect::Aether => "Error",
        Dialect::BigRag => "AdminError",
        Dialect::HyperSpark => "MemoryError",
    };
    let error = json!({"$ref": format!("#/components/schemas/{schema}")});
    let mut responses = Map::new();
    if !route.is_not_offered() {
        responses.insert(route.status.to_string(), done(route));
    }
    for status in statuses(route) {
        let (code, text) = status;
        responses.insert(
            code.to_string(),
            json!({"description": text, "content": {"application/json": {"schema": error}}}),
        );
    }
    let mut operation = json!({"summary": route.summary, "parameters": parameters, "responses": responses});
    match route.access {
        Access::Open => operation["security"] = json!([]),
        Access::OpenOrKey => operation["security"] = json!([{}, {"key": []}, {"session": []}]),
        Access::AnyKey => operation["security"] = json!([{"key": []}, {"session": []}]),
        Access::Past(scopes) => {
            let names: Vec<_> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
            operation["security"] = json!([{"key": []}, {"session": []}]);
            operation["description"] = json!(format!(
                "Needs a key that is not pinned, with the scope {}. The operator's key may name a workspace that is gone, by \
                 its id, in the header Strongroom-Workspace.",
                names.join(" or ")
            ));
        }
        Access::KeyOrToken(scope) => {
            operation["security"] = json!([{}, {"key": []}, {"session": []}]);
            operation["description"] = json!(format!("Needs a key with the scope `{scope}`, or a token."));
        }
        Access::Key(scope) => {
            operation["security"] = json!([{"key": []}, {"session": []}]);
            operation["description"] = json!(format!("Needs a key with the scope `{scope}`."));
        }
    }
    match route.body {
        BodyKind::None => {}
        BodyKind::Json => {
            operation["requestBody"] =
                json!({"content": {"application/json": {"schema": {"type": "object"}}}});
        }
        BodyKind::Form => {
            operation["requestBody"] =
                json!({"required": true, "content": {"multipart/form-data": {"schema": {"type": "object"}}}});
        }
        BodyKind::Document => {
            operation["requestBody"] = json!({"required": true, "content": {"application/octet-stream": {"schema": {"type": "string"}}}});
        }
    }
    operation
}

/// The answer of success; a search's has parts that tell what was done.
fn done(route: &Route) -> Value {
    let found = json!({"$ref": "#/components/schemas/Found"});
    let schema = match route.path {
        "/v1/search" | "/v1/search/embed" => found,
        "/v1/search/batch" => {
            json!({"type": "object", "properties": {"results": {"type": "array", "items": found}}})
        }
        _ => return json!({"description": "Done"}),
    };
    json!({"description": "Done", "content": {"application/json": {"schema": schema}}})
}

/// What a search answers.
fn found() -> Value {
    json!({
        "type": "object",
        "required": ["results"],
        "properties": {
            "results": {"type": "array", "items": {"type": "object"}, "description": "Best first."},
            "query": {"type": "string"},
            "trace": {"type": "object", "description": "What was opened, when trace=true."},
            "reranked": {
                "type": "boolean",
                "description": "Whether order and scores are the reranker's; there when the search asked for it.",
            },
            "rerank_failure": {
                "type": "string",
                "description": "Why they are the search's own instead: unreachable, timed_out, busy, overloaded (too many \
                                calls at once), refused, failed (its status), unreadable (its answer).",
            },
        },
    })
}

fn query_parameter(name: &str) -> Value {
    let number =
        |text: &str| json!({"name": name, "in": "query", "schema": {"type": "number"}, "description": text});
    let text =
        |text: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}, "description": text});
    match name {
        "filter" => json!({
            "name": name,
            "in": "query",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Filter"}}},
        }),
        "max_distance" => {
            number("Vectors further away than this are left out: 0 is the same direction, 1 a right angle.")
        }
        "rerank" => json!({
            "name": name,
            "in": "query",
            "schema": {"enum": ["true", "false", "require"]},
            "description": "Whether the reranker orders what is found. With true, a reranker that fails leaves the search's own \
                            order, and the answer says so; with require, that is 503.",
        }),
        "rerank_candidates" => number(
            "How many documents the reranker orders: from k to the operator's limit; 4 k when it is not given.",
        ),
        "min_score" => number("Hits whose score, from 0 to 100, is below this are left out."),
        "recency_weight" => number(
            "From 0 to 1, with freshness_weight at most 1: score = (1 - recency_weight - freshness_weight) * similarity \
             + recency_weight * 2^(-days since it was created / half_life_days) \
             + freshness_weight * 2^(-days since it was updated last / freshness_half_life_days).",
        ),
        "half_life_days" => number("Days after which half of the recency is left: 30 when it is not given."),
        "freshness_weight" => number("Like recency_weight, of the time since the last update."),
        "freshness_half_life_days" => {
            number("Days after which half of the freshness is left: 14 when it is not given.")
        }
        "acl_readers" => text(
            "Labels of those who may read the document, joined by commas. None at all (an empty value): administrators alone. \
             Without the parameter: everybody who reaches the partition.",
        ),
        "acting_principal" => text(
            "A label: only documents are seen that name no readers, or this label, or one of acting_groups.",
        ),
        "acting_groups" => text("Labels of the groups that the principal acts with, joined by commas."),
        "expires_at" => {
            text("From when on nobody reads the document, in RFC 3339; it is purged some while after.")
        }
        "ttl_seconds" => number("The same, as so many seconds from now."),
        "collection" => text("The partition's collection: default when it is not given."),
        "state" => text(
            "live, trashed or all: with it each partition is told with its terms. Live ones when it is not given.",
        ),
        "grace_seconds" => number(
            "For so long the partition lies in the trash before it is shredded; 0 shreds it at once, also from the trash. When it \
             is not given, as the workspace's settings say: at once, unless they were changed.",
        ),
        _ => json!({"name": name, "in": "query", "schema": {"type": "string"}}),
    }
}

/// The grammar of metadata filters.
fn filter() -> Value {
    let one = json!({"$ref": "#/components/schemas/Filter"});
    let some = json!({"type": "array", "minItems": 1, "items": one});
    let only = |name: &str, schema: &Value| json!({"type": "object", "required": [name], "additionalProperties": false, "properties": {name: schema}});
    json!({
        "description": "Over a document's metadata, or tags, entity_id, source, content_type, created_at, updated_at. neq and nin \
                        find documents without the field as well.",
        "oneOf": [
            only("and", &some),
            only("or", &some),
            only("not", &one),
            {
                "type": "object",
                "required": ["field", "op"],
                "additionalProperties": false,
                "properties": {
                    "field": {"type": "string"},
                    "op": {"enum": OPERATORS.split(", ").collect::<Vec<_>>()},
                    "value": {"description": "A text, number, boolean or null; a list of them for in, nin and between."},
                },
            },
        ],
    })
}

/// The failures that a route may answer, by what it is.
fn statuses(route: &Route) -> Vec<(u16, &'static str)> {
    let mut statuses =
        vec![(500, "The server failed"), (503, "Overloaded; retry-after says when to come back")];
    if route.is_not_offered() {
        statuses.push((501, "Named, not offered yet"));
    }
    if route.access != Access::Open {
        statuses.push((401, "No key, or a dead one"));
        statuses.push((400, "Malformed"));
    }
    if matches!(route.access, Access::Key(_) | Access::KeyOrToken(_) | Access::Past(_)) {
        statuses.push((403, "The key may not"));
    }
    if route.path.contains('{') {
        statuses.push((404, "Not there, or not yours"));
    }
    if route.path.ends_with("/memory/recall") {
        statuses.push((429, "The plan's recalls of this month are used up; retry-after says until when"));
    }
    if route.keeps_keys() {
        statuses.push((
            409,
            "The Idempotency-Key was another request's, or what is asked of is in another state",
        ));
        statuses.push((429, "More keys than are remembered in a partition at once"));
    }
    if route.partition != Partition::None || route.body != BodyKind::None {
        statuses.push((501, "A parameter that is not offered yet"));
    }
    if route.body != BodyKind::None {
        statuses.push((408, "The body came too slowly"));
        statuses.push((413, "Larger than a limit"));
        statuses.push((422, "Readable, but not acceptable"));
        statuses.push((507, "The disk is full"));
    }
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a generated client would lack a route, or send no key to one that asks for it.
    #[test]
    fn every_route_is_described() {
        let document = document();
        let search = document["paths"]["/v1/search"]["get"]["parameters"].as_array().unwrap();
        let filter = search.iter().find(|parameter| parameter["name"] == "filter").unwrap();
        let schema = &filter["content"]["application/json"]["schema"]["$ref"];
        assert!(document.pointer(&schema.as_str().unwrap()[1..]).is_some(), "{schema}");
        assert!(
            search
                .iter()
                .any(|parameter| parameter["name"] == "rerank" && parameter["schema"]["enum"].is_array())
        );
        let answer =
            &document["paths"]["/v1/search"]["get"]["responses"]["200"]["content"]["application/json"];
        let found = document.pointer(&answer["schema"]["$ref"].as_str().unwrap()[1..]).unwrap();
        assert_eq!(found["properties"]["reranked"]["type"], "boolean");
        for route in routes() {
            let method = if route.method == "*" { "get".to_owned() } else { route.method.to_lowercase() };
            let operation = &document["paths"][route.path.replace("{*rest}", "{rest}")][method];
            assert_eq!(operation["summary"], route.summary, "{}", route.path);
            let open = operation["security"].as_array().is_some_and(Vec::is_empty);
            assert_eq!(open, route.access == Access::Open, "{}", route.path);
        }
    }
}
