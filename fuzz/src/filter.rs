//! Which documents does a caller ask for, whatever he writes?
//!
//! The first byte says how the filter comes: in a query string (even) or in the JSON body of a search by vector.
//! What must hold:
//! 1. Nothing panics, and a refusal is the caller's: 400, 422 or 501, never the server's failure.
//! 2. What is accepted is no more than was sent: texts that are not blank and hold no comma, which together are
//!    no longer than the input; a media type in lower case without parameters.
//! 3. No field is left out unless its value is nothing; a body with a field that is not offered is refused.
//! 4. What was accepted, written again in either way, is accepted and is the same filter.

use serde_json::{Map, Value, json};
use strongroom::fuzzing::{filter_of_body, filter_of_query, time_text};
use strongroom_engine::Filter;

/// When it is: the autumn of 2023.
const NOW_MS: u64 = 1_700_000_000_000;

/// Fields of a body that no search takes yet.
const NOT_OFFERED: [&str; 6] = [
    "filter",
    "recency_weight",
    "half_life_days",
    "freshness_weight",
    "freshness_half_life_days",
    "thread_id",
];

pub(crate) fn run(bytes: &[u8]) -> bool {
    let Some((sort, bytes)) = bytes.split_first() else { return false };
    let is_query = sort % 2 == 0;
    let read = if is_query {
        let Ok(raw) = std::str::from_utf8(bytes) else { return false };
        filter_of_query(raw, NOW_MS)
    } else {
        filter_of_body(bytes, NOW_MS)
    };
    let filter = match read {
        Ok(filter) => filter,
        Err(status) => {
            assert!([400, 422, 501].contains(&status), "a filter is refused with {status}");
            return false;
        }
    };
    if is_query {
        let raw = String::from_utf8_lossy(bytes);
        let given = |name: &str| {
            raw.split('&').any(|pair| pair.split_once('=').is_some_and(|(n, v)| n == name && !v.is_empty()))
        };
        nothing_left_out(&filter, given);
    } else {
        let body: Value = serde_json::from_slice(bytes).expect("a body that was accepted is JSON");
        let nothing = [Value::Null, json!(""), json!([])];
        let given = |name: &str| body.get(name).is_some_and(|value| !nothing.contains(value));
        nothing_left_out(&filter, given);
        let not_offered =
            NOT_OFFERED.iter().find(|name| body.get(name).is_some_and(|value| !value.is_null()));
        assert_eq!(not_offered, None, "a search goes on without a field that it was given");
    }
    check(&filter, bytes.len());
    assert_eq!(filter_of_query(&as_query(&filter), NOW_MS).as_ref(), Ok(&filter), "as a query");
    let body = as_body(&filter).to_string();
    assert_eq!(filter_of_body(body.as_bytes(), NOW_MS).as_ref(), Ok(&filter), "as a body");
    true
}

/// The lists of a filter under the names that callers give them.
fn lists(filter: &Filter) -> [(&'static str, &[String]); 4] {
    [
        ("tags", &filter.all_tags),
        ("any_tags", &filter.any_tags),
        ("source", &filter.sources),
        ("content_type", &filter.content_types),
    ]
}

/// What was given narrows.
fn nothing_left_out(filter: &Filter, given: impl Fn(&str) -> bool) {
    for (name, texts) in lists(filter) {
        assert!(!texts.is_empty() || !given(name), "{name} is left out");
    }
    assert!(filter.entity.is_some() || !given("entity_id"), "the entity is left out");
    assert!(filter.since_ms.is_some() || !(given("since") || given("last_n_days")), "since is left out");
    assert!(filter.until_ms.is_some() || !given("until"), "until is left out");
}

fn check(filter: &Filter, input_bytes: usize) {
    let lists = lists(filter);
    for (name, texts) in lists {
        assert!(texts.iter().all(|text| !text.contains(',')), "{name} holds a joint");
        assert!(texts.iter().all(|text| !text.trim().is_empty()), "{name} is blank");
        let bytes_max = if name.ends_with("tags") { 256 } else { 1024 };
        assert!(texts.len() <= 64 && texts.iter().all(|text| text.len() <= bytes_max), "{name} is too long");
    }
    let plain =
        |kind: &String| !kind.contains(';') && kind.trim() == kind && *kind == kind.to_ascii_lowercase();
    assert!(filter.content_types.iter().all(plain), "a media type is not in its stored form");
    assert_ne!(filter.entity.as_deref(), Some(""), "an entity that is nobody");
    assert!(filter.entity.as_ref().is_none_or(|id| id.len() <= 1024), "the entity is too long");
    let texts = lists.iter().flat_map(|(_, texts)| texts.iter()).chain(&filter.entity);
    let texts_bytes: usize = texts.map(String::len).sum();
    assert!(texts_bytes <= input_bytes, "{texts_bytes} bytes out of {input_bytes}");
}

/// The filter in a query string, each byte escaped.
fn as_query(filter: &Filter) -> String {
    let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let joined = |texts: &[String]| texts.join(",");
    let mut pairs: Vec<String> =
        lists(filter).iter().map(|(name, texts)| format!("{name}={}", escaped(&joined(texts)))).collect();
    pairs.extend(filter.entity.as_ref().map(|entity| format!("entity_id={}", escaped(entity))));
    pairs.extend(times(filter).map(|(name, time)| format!("{name}={}", escaped(&time))));
    pairs.join("&")
}

/// The filter in a body.
fn as_body(filter: &Filter) -> Value {
    let mut body = Map::new();
    body.insert("embedding".to_owned(), json!([]));
    for (name, texts) in lists(filter) {
        body.insert(name.to_owned(), json!(texts));
    }
    body.extend(filter.entity.as_ref().map(|entity| ("entity_id".to_owned(), json!(entity))));
    body.extend(times(filter).map(|(name, time)| (name.to_owned(), json!(time))));
    Value::Object(body)
}

fn times(filter: &Filter) -> impl Iterator<Item = (&'static str, String)> {
    let times = [("since", filter.since_ms), ("until", filter.until_ms)];
    times.into_iter().filter_map(|(name, ms)| Some((name, time(ms?))))
}

/// A time as text. In the zone farthest west where it can be, for a caller there may name an hour of the year
/// 10,000 of UTC, which has no text of its own.
fn time(ms: u64) -> String {
    const WEST_MS: u64 = (23 * 60 + 59) * 60_000;
    match ms.checked_sub(WEST_MS) {
        Some(there) => time_text(there).replace('Z', "-23:59"),
        None => time_text(ms),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let queries = [
        "",
        "q=whales&k=5&partition=acme",
        "tags=a,b&any_tags=c&content_type=Text/Plain,text/html&source=crm&entity_id=e",
        "since=2023-01-01T00:00:00Z&until=9999-12-31T23:59:59.999999999-23:59",
        "last_n_days=36500&tags=%C3%A9%2C+x",
        "content_type=text/markdown;+charset=utf-8,text/html",
        "until=1969-12-31T23:59:60%2B00:00&tags=",
    ];
    let bodies = [
        r#"{"embedding": []}"#,
        r#"{"embedding": [0.5, -1e3], "k": 3, "trace": true, "partition": "acme", "max_distance": 0.5}"#,
        r#"{"embedding":[],"tags":["a","b"],"any_tags":"c,d","content_type":["Text/HTML; x"],"source":"crm"}"#,
        r#"{"embedding":[],"entity_id":"ada","since":"2023-01-01T00:00:00+02:00","until":"2024-02-29T00:00:00.5Z"}"#,
        r#"{"embedding":[],"last_n_days":7,"filter":null,"thread_id":null,"tags":null,"source":[]}"#,
    ];
    let sort = |sort: u8| move |text: &&str| [&[sort], text.as_bytes()].concat();
    queries.iter().map(sort(0)).chain(bodies.iter().map(sort(1))).collect()
}
