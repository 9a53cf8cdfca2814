//! How does a program learn what this server offers?
//!
//! `/openapi.json`, made once from the table of routes and from the types in the handlers' signatures; `/docs` shows it to people.
//!
//! To describe a new route: give its handler the types of what it reads and answers (`message/content.rs`), say what is new of its
//! parameters in `parameters`, and add a step for it to `tests/examples/walk.json`, which makes the examples. A handler without
//! types does not compile; a parameter or an example that is missing fails a test.
//!
//! Invariants:
//! 1. A component's name stands for one schema, in requests and in answers.

mod examples;
mod parameters;
mod responses;

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::routes::{Access, Kind, Route, routes};
use crate::auth::session;
use crate::message::acting;
use crate::statement;

/// What `/openapi.json` answers.
pub(crate) static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// The document.
fn document() -> Value {
    let (mut reads, mut writes) = generators();
    let mut paths = Map::new();
    for route in routes() {
        // OpenAPI has no path that matches several parts.
        let path = route.path.replace("{*rest}", "{rest}");
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        let names = if route.method == "*" { &["get", "post"][..] } else { &[route.method][..] };
        for name in names {
            methods[name.to_lowercase()] = operation(route, name, &mut reads, &mut writes);
        }
    }
    let errors = responses::errors().map(|(name, schema)| (name.to_owned(), schema));
    let mut schemas: Map<String, Value> = errors.into_iter().collect();
    schemas.extend(reads.take_definitions(true));
    schemas.extend(writes.take_definitions(true));
    schemas.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Strongroom",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A store for the documents and vectors of many tenants. Each partition is sealed under a \
                            key of its own; a request reaches the one partition that it names.",
        },
        "tags": TAGS.map(|(name, text)| json!({"name": name, "description": text})),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key. The operator's key names a workspace by the header Strongroom-Workspace, or is in \
                                    `default`.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": session::COOKIE,
                    "description": "A member's, from POST /v1/auth/login; what changes something also names this server as \
                                    its Origin.",
                },
            },
            "headers": responses::all_headers(),
            "responses": responses::all_failures(),
            "schemas": schemas,
        },
    })
}

/// Of requests, told by what is read, and of answers, told by what is written.
fn generators() -> (SchemaGenerator, SchemaGenerator) {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let settings = settings.with_transform(RecursiveTransform(plain));
    (settings.clone().for_deserialize().into_generator(), settings.for_serialize().into_generator())
}

/// Leaves out what says nothing: that a field which may be absent is null then, and how wide a number is on this machine.
fn plain(schema: &mut Schema) {
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if schema.get("format").is_some_and(|format| format == "uint") {
        schema.remove("format");
    }
}

fn operation(
    route: &Route,
    method: &str,
    reads: &mut SchemaGenerator,
    writes: &mut SchemaGenerator,
) -> Value {
    let bodies = (route.describe)(reads, writes);
    let example = examples::of(route);
    let mut parameters = parameters::path(route);
    let acting = if route.kind == Kind::Data { &acting::PARAMETERS[..] } else { &[] };
    parameters.extend(route.params.iter().chain(acting).filter_map(|name| parameters::query(route, name)));
    if route.access != Access::Open {
        parameters.push(json!({
            "name": statement::HEADER.as_str(),
            "in": "header",
            "required": false,
            "description": "Whether the answer's header of that name carries a signed statement of the partitions that were opened for it.",
            "schema": {"type": "string", "enum": ["true", "false"]},
        }));
    }
    if route.keeps_keys() {
        parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": "The same request under the same key is done once within 24 hours, and answered the same; another one is refused (409).",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        }));
    }
    if (route.method, route.path) == ("PUT", "/v1/documents/{id}/summary") {
        parameters.push(json!({
            "name": "If-Match",
            "in": "header",
            "required": false,
            "description": "Writes only in the place of the summary with this revision, in quotation marks, or of any, with *.",
            "schema": {"type": "string", "minLength": 1, "pattern": "^(\\*|\"[^\",]+\")$"},
        }));
    }
    if let Some(example) = example {
        for parameter in &mut parameters {
            let place = if parameter["in"] == "path" { "path" } else { "query" };
            let value = parameter["name"].as_str().and_then(|name| example[place].get(name));
            if let Some(value) = value.cloned() {
                parameter["example"] = value;
            }
        }
    }
    let mut answered = bodies.answered;
    if let (Some(example), Some(json)) = (example, answered.get_mut("application/json"))
        && let Some(answer) = example.get("answer")
    {
        json["example"] = answer.clone();
    }
    let mut operation = json!({
        "operationId": operation_id(route, method),
        "tags": [tag(route)],
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses::of(route, answered),
        "security": security(route.access),
    });
    if let Some(text) = needs(route.access) {
        operation["description"] = json!(text);
    }
    let mut asked = bodies.asked;
    if !asked.is_empty() {
        if let Some((kind, body)) = example.and_then(examples::body)
            && let Some(media) = asked.get_mut(kind)
        {
            media["example"] = body;
        }
        operation["requestBody"] = json!({"required": true, "content": asked});
    }
    operation
}

/// What a client's method may be called: `postDocumentsByIdMove`.
fn operation_id(route: &Route, method: &str) -> String {
    let mut id = method.to_lowercase();
    for part in route.path.split(['/', '-', '.']).filter(|part| !part.is_empty() && *part != "v1") {
        let name = part.trim_matches(['{', '}', '*']);
        id += if part.starts_with('{') { "By" } else { "" };
        id.extend(name.chars().take(1).flat_map(char::to_uppercase));
        id += name.get(1..).unwrap_or_default();
    }
    if route.path.starts_with("/v1/") { id } else { id + "AtRoot" }
}

fn security(access: Access) -> Value {
    match access {
        Access::Open => json!([]),
        Access::OpenOrKey | Access::KeyOrToken(_) => json!([{}, {"key": []}, {"session": []}]),
        Access::AnyKey | Access::Key(_) | Access::Past(_) => json!([{"key": []}, {"session": []}]),
    }
}

fn needs(access: Access) -> Option<String> {
    match access {
        Access::Open | Access::OpenOrKey | Access::AnyKey => None,
        Access::Past(scopes) => {
            let names: Vec<_> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
            Some(format!(
                "Needs a key that is not pinned, with the scope {}. The operator's key may name a workspace that is gone, by \
                 its id, in the header Strongroom-Workspace.",
                names.join(" or ")
            ))
        }
        Access::KeyOrToken(scope) => Some(format!("Needs a key with the scope `{scope}`, or a token.")),
        Access::Key(scope) => Some(format!("Needs a key with the scope `{scope}`.")),
    }
}

const TAGS: [(&str, &str); 18] = [
    ("Documents", "Insert, read, change and delete documents, in Aether's words."),
    ("Threads", "Conversations, turn by turn."),
    ("Search", "Search a partition by meaning, by words, or by a vector."),
    ("Partitions", "The data of one end-client each."),
    ("Collections", "Named sets with a model, a dimension and settings, in bigRAG's words."),
    ("Collection documents", "Files and passages of a collection."),
    ("Vectors", "Vectors of one's own."),
    ("Queries", "Query collections."),
    ("Tenants", "Registered end-clients, in HyperSpark Memory's words."),
    ("Memories", "What is remembered of a tenant's users."),
    ("Receipts", "Signed proofs of what was erased."),
    ("Workspaces", "Fully separate stores."),
    ("API keys", "Who may do what, and how much of it."),
    ("Members", "People and their sessions."),
    ("Audit", "What was done, and by whom."),
    ("Usage", "What was used."),
    ("Server", "The server itself."),
    ("Not offered", "Named by a client, and answered 501 here."),
];

fn tag(route: &Route) -> &'static str {
    let parts: Vec<_> = route.path.split('/').skip(1).collect();
    match parts[..] {
        _ if route.is_not_offered() => "Not offered",
        ["api", "v1", "tenants", ..] => "Tenants",
        ["api", "v1", "memory", ..] => "Memories",
        ["api", "v1", "usage"] | ["v1", "usage"] => "Usage",
        ["api", ..] => "Tenants",
        ["v1", "documents", _, "chunks"] | ["v1", "collections", _, "documents", ..] => {
            "Collection documents"
        }
        ["v1", "collections", _, "vectors", ..] => "Vectors",
        ["v1", "collections", _, "query"] | ["v1", "query"] | ["v1", "batch", ..] => "Queries",
        ["v1", "collections", ..] => "Collections",
        ["v1", "documents", ..] => "Documents",
        ["v1", "threads", ..] => "Threads",
        ["v1", "search", ..] => "Search",
        ["v1", "partitions", ..] => "Partitions",
        ["v1", "receipts", ..] => "Receipts",
        ["v1", "admin", "workspaces", ..] => "Workspaces",
        ["v1", "admin", "api-keys" | "quotas", ..] => "API keys",
        ["v1", "admin", "audit", ..] => "Audit",
        ["v1", "admin" | "auth", ..] | ["console", ..] => "Members",
        _ => "Server",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::routes::BodyKind;
    use super::*;

    /// Every reference in a value.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    /// Lost otherwise: a generated client would lack a route, send no key to one that asks for it, or read an answer as anything.
    #[test]
    fn every_route_is_described() {
        let document = document();
        let (mut ids, tags) = (HashSet::new(), TAGS.map(|(name, _)| name));
        for route in routes() {
            let method = if route.method == "*" { "get".to_owned() } else { route.method.to_lowercase() };
            let operation = &document["paths"][route.path.replace("{*rest}", "{rest}")][method];
            let name = format!("{} {}", route.method, route.path);
            assert_eq!(operation["summary"], route.summary, "{name}");
            let open = operation["security"].as_array().is_some_and(Vec::is_empty);
            assert_eq!(open, route.access == Access::Open, "{name}");
            assert!(
                ids.insert(operation["operationId"].to_string()),
                "{name}: another route has its operationId"
            );
            assert!(tags.contains(&tag(route)), "{name}");
            let kinds = operation.pointer("/requestBody/content").and_then(Value::as_object).into_iter();
            let kinds: Vec<_> = kinds.flat_map(Map::keys).map(String::as_str).collect();
            let wanted: &[&str] = match route.body {
                BodyKind::None => &[],
                BodyKind::Json => &["application/json"],
                BodyKind::Document => &["*/*"],
                BodyKind::Form => &["multipart/form-data"],
            };
            assert_eq!(kinds, wanted, "{name}: the table and the handler say different things of the body");
            let answers = &operation["responses"][route.status.to_string()]["content"];
            let answers =
                if route.is_not_offered() { &operation["responses"]["501"]["content"] } else { answers };
            assert!(answers.as_object().is_some_and(|kinds| !kinds.is_empty()), "{name}");
        }
    }

    /// Lost otherwise: a reference would lead nowhere, or two types under one name would be told as one of them.
    #[test]
    fn every_name_stands_for_one_schema() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 300, "{}", found.len());
        for reference in found {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
        }
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for (name, schema) in schemas {
            let ends_in_figure = name.ends_with(|c: char| c.is_ascii_digit());
            assert!(!ends_in_figure, "{name}: two types have this name; rename one of them");
            assert!(schema.is_object(), "{name}");
        }
        let (mut reads, mut writes) = generators();
        for route in routes() {
            (route.describe)(&mut reads, &mut writes);
        }
        let (mut reads, writes) = (reads.take_definitions(true), writes.take_definitions(true));
        reads.retain(|name, schema| writes.get(name).is_some_and(|other| other != schema));
        assert!(reads.is_empty(), "these are told otherwise in requests than in answers: {:?}", reads.keys());
    }
}
