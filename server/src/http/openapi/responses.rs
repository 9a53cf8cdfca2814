//! Which statuses may a route answer, and with what?
//!
//! By what the route is: who may call it, where its partition is named, whether it reads and writes. That no route answers another
//! status than these is tried by every suite: its client checks each answer against the document (`tests/src/described.rs`).

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::super::routes::{Access, BodyKind, Kind, Partition, Route};
use crate::message::error::Dialect;

/// All answers of a route; `answered` is what success has under `content`.
pub(super) fn of(route: &Route, answered: Map<String, Value>) -> Value {
    let mut responses = Map::new();
    if !route.is_not_offered() {
        let mut headers = headers(&["x-request-id"]);
        if route.access != Access::Open && route.kind != Kind::Admin && route.path != "/v1/usage" {
            headers.extend(self::headers(&[
                "x-ratelimit-limit",
                "x-ratelimit-remaining",
                "x-ratelimit-reset",
            ]));
        }
        if route.path == "/api/v1/memory/recall" || route.path == "/api/v1/usage" {
            headers.extend(self::headers(&["x-plan-limit", "x-plan-used"]));
        }
        let answer = json!({"description": "Done", "headers": headers, "content": answered});
        responses.insert(route.status.to_string(), answer);
    }
    for (status, text) in statuses(route) {
        let mut names = vec!["x-request-id"];
        match status {
            401 => names.push("www-authenticate"),
            429 | 503 => names.push("retry-after"),
            _ => {}
        }
        let content = json!({"application/json": {"schema": error(route)}});
        let answer = json!({"description": text, "headers": headers(&names), "content": content});
        responses.insert(status.to_string(), answer);
    }
    Value::Object(responses)
}

fn headers(names: &[&str]) -> Map<String, Value> {
    let of = |name: &&str| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
    names.iter().map(of).collect()
}

/// What the headers are.
pub(super) fn all_headers() -> Value {
    let of = |kind: &str, text: &str| json!({"description": text, "schema": {"type": kind}});
    json!({
        "x-request-id": of("string", "Which request this was, in the server's log too."),
        "retry-after": of("integer", "Seconds after which to try again."),
        "www-authenticate": of("string", "How to come in: with a key."),
        "x-ratelimit-limit": of("integer", "Requests that the tightest quota lets come at once."),
        "x-ratelimit-remaining": of("integer", "How many of them are left."),
        "x-ratelimit-reset": of("integer", "Seconds until all of them are back."),
        "x-plan-limit": of("integer", "Recalls that the plan has in a month, where it has a limit."),
        "x-plan-used": of("integer", "How many of them are used."),
    })
}

/// The error in the shape of the route's client.
fn error(route: &Route) -> Value {
    let of = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    match Dialect::of(route.path) {
        // One path, and two clients.
        _ if route.path == "/v1/query" => json!({"anyOf": [of("AdminError"), of("Error")]}),
        Dialect::Aether => of("Error"),
        Dialect::BigRag => of("AdminError"),
        Dialect::HyperSpark => of("MemoryError"),
    }
}

/// The three shapes of an error.
pub(super) fn errors() -> [(&'static str, Value); 3] {
    let text = |text: &str| json!({"type": "string", "description": text});
    let words = text("What is wrong and what to do.");
    let code = text("The word that programs compare.");
    let id = text("The same as in the header x-request-id.");
    [
        (
            "Error",
            json!({
                "type": "object",
                "description": "A failure, as Aether's clients read it.",
                "required": ["error", "code", "detail", "request_id"],
                "properties": {"error": words, "code": code, "detail": words, "request_id": id},
            }),
        ),
        (
            "MemoryError",
            json!({
                "type": "object",
                "description": "A failure, as HyperSpark Memory's callers read it.",
                "required": ["success", "error", "code", "request_id"],
                "properties": {"success": {"const": false}, "error": words, "code": code, "request_id": id},
            }),
        ),
        (
            "AdminError",
            json!({
                "type": "object",
                "description": "A failure, as bigRAG's clients read it.",
                "required": ["detail", "error", "request_id"],
                "properties": {
                    "detail": words,
                    "error": {
                        "type": "object",
                        "required": ["code", "message"],
                        "properties": {"code": code, "message": words},
                    },
                    "request_id": id,
                },
            }),
        ),
    ]
}

/// The failures that a route may answer, by what it is.
fn statuses(route: &Route) -> Vec<(u16, &'static str)> {
    let has_key = route.access != Access::Open;
    let reads = route.body != BodyKind::None;
    let writes = !matches!(route.method, "GET") && !route.is_not_offered();
    let mut statuses = vec![
        (StatusCode::BAD_REQUEST, "Malformed"),
        (StatusCode::INTERNAL_SERVER_ERROR, "The server failed; its log has the reason under the request_id"),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "Overloaded, or not able just now; retry-after says when to come back",
        ),
    ];
    let mut may = |condition: bool, status: StatusCode, text: &'static str| {
        if condition && statuses.iter().all(|(known, _)| *known != status) {
            statuses.push((status, text));
        }
    };
    may(has_key || reads, StatusCode::UNAUTHORIZED, "No key, or a dead one");
    may(has_key || reads, StatusCode::FORBIDDEN, "The key may not");
    may(has_key, StatusCode::NOT_FOUND, "Not there, or not yours");
    may(route.path == "/v1/auth/accept", StatusCode::NOT_FOUND, "There is no such invitation");
    may(
        route.path.ends_with("/memory/recall"),
        StatusCode::TOO_MANY_REQUESTS,
        "A quota, or the plan's recalls of this month, are used up; retry-after says until when",
    );
    may(has_key || reads, StatusCode::TOO_MANY_REQUESTS, "A quota is used up; retry-after says until when");
    may(
        route.keeps_keys(),
        StatusCode::CONFLICT,
        "The Idempotency-Key was another request's, or what is asked of is in another state",
    );
    may(writes && has_key, StatusCode::CONFLICT, "It clashes with what is there");
    may(writes || reads, StatusCode::UNPROCESSABLE_ENTITY, "Readable, but not acceptable");
    may(
        has_key && route.partition != Partition::None,
        StatusCode::UNPROCESSABLE_ENTITY,
        "Readable, but not acceptable",
    );
    may(writes, StatusCode::INSUFFICIENT_STORAGE, "The disk is full");
    may(reads, StatusCode::REQUEST_TIMEOUT, "The body came too slowly");
    may(reads, StatusCode::PAYLOAD_TOO_LARGE, "Larger than a limit, which the text names");
    may(
        route.is_not_offered() || reads || (has_key && !route.params.is_empty()),
        StatusCode::NOT_IMPLEMENTED,
        if route.is_not_offered() {
            "Named, not offered yet"
        } else {
            "A parameter or field that is not offered yet"
        },
    );
    let mut statuses: Vec<_> = statuses.into_iter().map(|(status, text)| (status.as_u16(), text)).collect();
    statuses.sort_unstable();
    statuses
}
