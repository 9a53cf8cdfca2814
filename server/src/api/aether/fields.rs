//! Are the fields of a document acceptable?
//!
//! The rules for names, tags and metadata, the same on every route that writes. A field that breaks one is refused
//! with the rule and its limit in the text; nothing is cut or dropped in silence.

use serde_json::Value;
use strongroom_embed::ChunkOptions;

use crate::clock;
use crate::config::Limits;
use crate::message::error::ApiError;
use crate::message::json::Texts;

/// The end of the year 9999: later times have no name.
const LATEST_MS: u64 = 253_402_300_799_000;

/// Checks a filename, a source or an entity id.
pub(super) fn name(what: &'static str, text: &str, limits: &Limits) -> Result<(), ApiError> {
    let most = limits.name_bytes_max;
    if text.len() > most {
        return Err(ApiError::malformed("too_long", format!("{what} has at most {most} bytes")));
    }
    Ok(())
}

/// Reads tags, in their order, repeats dropped.
pub(super) fn tags(texts: Option<Texts>, limits: &Limits) -> Result<Vec<String>, ApiError> {
    list("tags", texts, limits.tag_bytes_max, limits)
}

/// Reads a list of texts of so many bytes at most each, in their order, repeats dropped.
pub(super) fn list(
    what: &'static str,
    texts: Option<Texts>,
    each_bytes_max: usize,
    limits: &Limits,
) -> Result<Vec<String>, ApiError> {
    let all = texts.map_or(Ok(Vec::new()), |texts| texts.split(what))?;
    let mut list: Vec<String> = Vec::with_capacity(all.len().min(limits.tags_max));
    for text in all {
        if text.len() > each_bytes_max {
            return Err(ApiError::malformed(
                "too_long",
                format!("{what}: each has at most {each_bytes_max} bytes"),
            ));
        }
        if list.contains(&text) {
            continue;
        }
        if list.len() == limits.tags_max {
            let most = limits.tags_max;
            return Err(ApiError::malformed("too_many", format!("{what}: there are at most {most}")));
        }
        list.push(text);
    }
    Ok(list)
}

/// Reads the labels of those who may read a document. None named: everybody may; an empty list: administrators alone. White space
/// around a label is no part of it.
pub(in crate::api) fn readers(
    texts: Option<Texts>,
    limits: &Limits,
) -> Result<Option<Vec<String>>, ApiError> {
    let trimmed = texts.map(|texts| match texts {
        Texts::Joined(text) if text.trim().is_empty() => Texts::Array(Vec::new()),
        Texts::Joined(text) => Texts::Joined(text.split(',').map(str::trim).collect::<Vec<_>>().join(",")),
        Texts::Array(texts) => Texts::Array(texts.iter().map(|text| text.trim().to_owned()).collect()),
    });
    trimmed.map(|texts| list("acl_readers", Some(texts), limits.tag_bytes_max, limits)).transpose()
}

/// From when on nobody reads a document: at a time, or so many seconds from now.
pub(in crate::api) fn expiry(
    at: Option<&str>,
    ttl_seconds: Option<u64>,
    now_ms: u64,
) -> Result<Option<u64>, ApiError> {
    let wrong = |text: &'static str| Err(ApiError::malformed("invalid_expiry", text));
    match (at, ttl_seconds) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => wrong("give either expires_at or ttl_seconds, not both"),
        (None, Some(0)) => wrong("ttl_seconds is a whole number of seconds, 1 or more"),
        (None, Some(seconds)) => Ok(Some(now_ms.saturating_add(seconds.saturating_mul(1000)).min(LATEST_MS))),
        (Some(at), None) => match clock::parse_rfc3339(at) {
            Some(at_ms) if at_ms > now_ms => Ok(Some(at_ms)),
            Some(_) => wrong("expires_at has passed: the document would be gone before it was there"),
            None => wrong("expires_at must be a time in RFC 3339, such as 2030-01-31T12:00:00Z"),
        },
    }
}

/// Reads metadata from a query parameter.
pub(super) fn metadata_text(text: Option<&str>, limits: &Limits) -> Result<String, ApiError> {
    match text {
        None => Ok(String::new()),
        Some(text) => {
            let value = serde_json::from_str(text).map_err(|error| {
                ApiError::malformed("invalid_metadata", format!("metadata is not valid JSON: {error}"))
            })?;
            metadata(Some(&value), limits)
        }
    }
}

/// Checks metadata and answers it as it is stored: a JSON object as text, empty when there is none.
pub(super) fn metadata(value: Option<&Value>, limits: &Limits) -> Result<String, ApiError> {
    let object = match value {
        None | Some(Value::Null) => return Ok(String::new()),
        Some(Value::Object(object)) => object,
        Some(_) => return Err(ApiError::unacceptable("invalid_metadata", "metadata must be a JSON object")),
    };
    if let Some((field, _)) = object.iter().find(|(_, value)| !is_scalar(value)) {
        let field: String = field.chars().take(64).collect();
        return Err(ApiError::unacceptable(
            "invalid_metadata",
            format!("metadata holds texts, numbers and booleans only; the field {field:?} is something else"),
        ));
    }
    let most = limits.name_bytes_max;
    if object.keys().any(|name| name.is_empty() || name.len() > most || name.contains('\0')) {
        return Err(ApiError::unacceptable(
            "invalid_metadata",
            format!("a name in the metadata has 1 to {most} bytes, and no NUL character"),
        ));
    }
    if object.is_empty() {
        return Ok(String::new());
    }
    let text = Value::Object(object.clone()).to_string();
    if text.len() > limits.metadata_bytes_max {
        let most = limits.metadata_bytes_max;
        return Err(ApiError::unacceptable(
            "metadata_too_large",
            format!("metadata has at most {most} bytes"),
        ));
    }
    Ok(text)
}

fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

/// How a document is cut: sizes in tokens of the embedding model.
pub(super) fn chunking(
    chunk_size: Option<u64>,
    overlap: Option<u64>,
    limits: &Limits,
) -> Result<ChunkOptions, ApiError> {
    let invalid = |text: String| ApiError::malformed("invalid_chunking", text);
    let most = limits.chunk_tokens_max;
    let tokens = |number: Option<u64>| number.map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    let (size, overlap) = match (tokens(chunk_size), tokens(overlap)) {
        (None, None) => return Ok(ChunkOptions::default()),
        (Some(size), None) => (size, size / 8),
        (None, Some(overlap)) => (ChunkOptions::default().chunk_tokens, overlap),
        (Some(size), Some(overlap)) => (size, overlap),
    };
    if size == 0 || size > most {
        return Err(invalid(format!("chunk_size is a number of tokens from 1 to {most}")));
    }
    if overlap >= size {
        return Err(invalid(format!("overlap must be smaller than chunk_size, which is {size} tokens")));
    }
    ChunkOptions::new(size, overlap).map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Lost otherwise: a document would be stored with tags or metadata that no search can find again.
    #[test]
    fn what_breaks_a_rule_is_refused_with_its_limit() {
        let limits = Limits::default();
        let many = |count: usize| Some(Texts::Array((0..count).map(|n| n.to_string()).collect()));
        assert_eq!(tags(many(64), &limits).unwrap().len(), 64);
        assert!(tags(many(65), &limits).unwrap_err().text.contains("64"));
        assert!(tags(Some(Texts::Joined("x".repeat(257))), &limits).unwrap_err().text.contains("256"));
        assert_eq!(tags(Some(Texts::Joined("b,a,b".into())), &limits).unwrap(), ["b", "a"]);

        assert_eq!(
            metadata(Some(&json!({"a": 1, "b": "x", "c": true, "d": 0.5})), &limits).unwrap(),
            r#"{"a":1,"b":"x","c":true,"d":0.5}"#
        );
        for bad in [json!([]), json!("x"), json!({"a": null}), json!({"a": [1]}), json!({"a": {}})]
            .into_iter()
            .chain([json!({"": 1}), json!({"a\0b": 1}), json!({"x".repeat(1025): 1})])
        {
            assert_eq!(metadata(Some(&bad), &limits).unwrap_err().code, "invalid_metadata", "{bad}");
        }
        let large = json!({"a": "x".repeat(64 << 10)});
        assert!(metadata(Some(&large), &limits).unwrap_err().text.contains("65536"));
        assert_eq!(metadata_text(Some("{"), &limits).unwrap_err().status.as_u16(), 400);
        assert_eq!(metadata_text(Some("{}"), &limits).unwrap(), "");
    }

    /// Lost otherwise: a document would be cut in another way than was asked for.
    #[test]
    fn chunk_sizes_are_checked() {
        let limits = Limits::default();
        for (size, overlap) in [(Some(0), None), (Some(8193), None), (Some(10), Some(10)), (None, Some(192))]
        {
            assert_eq!(
                chunking(size, overlap, &limits).unwrap_err().code,
                "invalid_chunking",
                "{size:?} {overlap:?}"
            );
        }
        for (size, overlap) in
            [(None, None), (Some(1), Some(0)), (Some(512), Some(64)), (None, Some(0)), (Some(1), None)]
        {
            assert!(chunking(size, overlap, &limits).is_ok(), "{size:?} {overlap:?}");
        }
    }
}
