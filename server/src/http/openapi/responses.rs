//! Which statuses may a route answer, and with what?
//!
//! By what the route is: who may call it, where its partition is named, whether it reads and writes. That no route answers another
//! status than these is tried by every suite: its client checks each answer against the document (`tests/src/described.rs`).

use serde_json::{Map, Value, json};

use super::super::routes::{Access, BodyKind, Kind, Partition, Route};
use crate::message::error::Dialect;

/// All answers of a route; `answered` is what success has under `content`.
pub(super) fn of(route: &Route, answered: Map<String, Value>) -> Value {
    let mut responses = Map::new();
    if !route.is_not_offered() {
        let mut headers = headers(&["x-request-id"]);
        if route.access != Access::Open {
            headers.extend(self::headers(&["strongroom-trace"]));
        }
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
        let answer = match shape(route) {
            Some(shape) if usual(status) == Some(text) => {
                json!({"$ref": format!("#/components/responses/{shape}{status}")})
            }
            _ => failure(status, text, error(route)),
        };
        responses.insert(status.to_string(), answer);
    }
    Value::Object(responses)
}

fn failure(status: u16, text: &str, schema: Value) -> Value {
    let mut names = vec!["x-request-id"];
    match status {
        401 => names.push("www-authenticate"),
        429 | 503 => names.push("retry-after"),
        _ => {}
    }
    let content = json!({"application/json": {"schema": schema}});
    json!({"description": text, "headers": headers(&names), "content": content})
}

/// The failures that many routes share, in each of the three shapes.
pub(super) fn all_failures() -> Map<String, Value> {
    let mut failures = Map::new();
    for (shape, _) in errors() {
        for (status, text) in USUAL {
            let schema = json!({"$ref": format!("#/components/schemas/{shape}")});
            failures.insert(format!("{shape}{status}"), failure(status, text, schema));
        }
    }
    failures
}

/// What a failure's status means on most routes.
const USUAL: [(u16, &str); 15] = [
    (400, "Malformed"),
    (401, "No key, or a dead one"),
    (403, "The key may not"),
    (404, "Not there, or not yours"),
    (408, "The body came too slowly"),
    (409, "It clashes with what is there"),
    (412, "It has another revision by now"),
    (413, "Larger than a limit, which the text names"),
    (415, "Of a type that can't be read"),
    (422, "Readable, but not acceptable"),
    (429, "A quota is used up, or too many large bodies were refused; retry-after says until when"),
    (500, "The server failed; its log has the reason under the request_id"),
    (501, "A parameter or field that is not offered yet"),
    (503, "Overloaded, or not able just now; retry-after says when to come back"),
    (507, "The disk is full"),
];

fn usual(status: u16) -> Option<&'static str> {
    USUAL.iter().find(|(known, _)| *known == status).map(|(_, text)| *text)
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
        "strongroom-trace": of(
            "string",
            "What was opened for the request, signed, when it asked for that: see the routes of searches for the same in the answer.",
        ),
        "x-plan-limit": of("integer", "Recalls that the plan has in a month, where it has a limit."),
        "x-plan-used": of("integer", "How many of them are used."),
    })
}

/// Which of the three shapes a route's failures have; `None` where it depends on the request.
fn shape(route: &Route) -> Option<&'static str> {
    match Dialect::of(route.path) {
        // One path, and two clients.
        _ if route.path == "/v1/query" => None,
        Dialect::Aether => Some("Error"),
        Dialect::BigRag => Some("AdminError"),
        Dialect::HyperSpark => Some("MemoryError"),
    }
}

fn error(route: &Route) -> Value {
    let of = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    shape(route).map_or_else(|| json!({"anyOf": [of("AdminError"), of("Error")]}), of)
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
                "properties": {
                    "error": words, "code": code, "detail": words, "request_id": id,
                    "current_revision": {
                        "type": ["string", "null"],
                        "description": "Of 412: the revision that there is; null when there is none.",
                    },
                },
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
    let (reads, writes) = (route.body != BodyKind::None, route.method != "GET" && !route.is_not_offered());
    let may_be_refused = has_key || reads;
    let is_of_data = has_key && route.partition != Partition::None;
    let may = [
        (400, true),
        (401, may_be_refused),
        (403, may_be_refused),
        (404, has_key || route.path == "/v1/auth/accept"),
        (408, reads),
        (409, writes && has_key),
        (412, route.method == "PUT" && route.path == "/v1/documents/{id}/summary"),
        (413, reads),
        (415, reads),
        (422, writes || is_of_data),
        (429, may_be_refused),
        (500, true),
        (501, route.is_not_offered() || reads || (has_key && !route.params.is_empty())),
        (503, true),
        (507, writes),
    ];
    let told = |status| match status {
        501 if route.is_not_offered() => Some("Named, not offered yet"),
        409 if route.keeps_keys() => {
            Some("The Idempotency-Key was another request's, or what is asked of is in another state")
        }
        429 if route.path.ends_with("/memory/recall") => {
            Some("A quota, or the plan's recalls of this month, are used up; retry-after says until when")
        }
        _ => usual(status),
    };
    may.into_iter().filter(|(_, may)| *may).filter_map(|(status, _)| Some((status, told(status)?))).collect()
}
