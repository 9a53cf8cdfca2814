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
