//! What does a request look like that works, and its answer?
//!
//! `examples.json` is written by `tests/suites/openapi.rs`: the requests stand in `tests/examples/walk.json`, the answers are what a
//! server said to them.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::super::routes::Route;

static EXAMPLES: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("examples.json")).unwrap_or_default());

/// A route's example: `path`, `query`, `body` and `answer`, as far as it has them.
pub(super) fn of(route: &Route) -> Option<&'static Value> {
    EXAMPLES.get(&format!("{} {}", route.method, route.path))
}

/// The example's body by its media type.
pub(super) fn body(example: &Value) -> Option<(&'static str, Value)> {
    if let Some(body) = example.get("body") {
        return Some(("application/json", body.clone()));
    }
    if let Some(text) = example.get("text") {
        return Some(("*/*", text.clone()));
    }
    let mut fields = Map::new();
    for part in example.get("form")?.as_array()? {
        let (name, text) = (part["name"].as_str()?, part["text"].clone());
        match fields.get_mut(name).and_then(Value::as_array_mut) {
            Some(list) => list.push(text),
            None if name == "files" => drop(fields.insert(name.to_owned(), Value::Array(vec![text]))),
            None => drop(fields.insert(name.to_owned(), text)),
        }
    }
    Some(("multipart/form-data", fields.into()))
}
