//! How is a JSON body read?
//!
//! Into a type that names every field: unknown and repeated fields are errors that name them, like unknown query
//! parameters.
//!
//! Invariants:
//! 1. A body that isn't JSON, or isn't of the route's form, is 400; a number that is none (`NaN`, `Infinity`), which
//!    some clients write, is 422 like any other vector that can't be used.
//! 2. What goes wrong is told by place and expectation.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::content::Answer;
use super::error::ApiError;

/// How the parser calls a number that no `f32`, or no `f64`, comes near.
const OUT_OF_RANGE: &str = "number out of range";

/// Reads a body.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| {
        if error.is_syntax() && error.to_string().starts_with(OUT_OF_RANGE) {
            return ApiError::unacceptable(
                "not_finite",
                format!("a number is too large for what it is to be (line {})", error.line()),
            );
        }
        if error.is_syntax() && is_no_number(bytes, error.line(), error.column()) {
            return ApiError::unacceptable(
                "not_finite",
                format!("NaN and Infinity are not numbers that can be used (line {})", error.line()),
            );
        }
        let what =
            if error.is_data() { "the body does not fit this route" } else { "the body is not valid JSON" };
        ApiError::malformed("malformed_body", format!("{what}: {error}"))
    })
}

/// Whether the parser stopped at one of the words that JavaScript and Python write for what is no number.
fn is_no_number(bytes: &[u8], line: usize, column: usize) -> bool {
    let Some(line) = bytes.split(|byte| *byte == b'\n').nth(line.saturating_sub(1)) else { return false };
    // The column is that of the byte at which it stopped, or the one after.
    (column.saturating_sub(3)..=column).any(|at| {
        let rest = line.get(at..).unwrap_or_default();
        [b"NaN".as_slice(), b"Infinity", b"-Infinity"].iter().any(|word| rest.starts_with(word))
    })
}

/// An answer with a JSON body.
pub(crate) fn answer<T: Serialize>(status: StatusCode, body: &T) -> Result<Answer<T>, ApiError> {
    let bytes = serde_json::to_vec(body).map_err(|error| ApiError::internal(format!("answer: {error}")))?;
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(Answer::of(response))
}

/// A list of texts as it came: clients send an array, or one text joined by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Texts {
    Array(Vec<String>),
    Joined(String),
}

impl Texts {
    /// The single texts. A comma inside one of an array can't be told from a joint on other routes, so it is refused;
    /// so is a blank one, which is a slip. The error names what was wrong.
    pub(crate) fn split(self, what: &str) -> Result<Vec<String>, ApiError> {
        let texts = match self {
            Self::Joined(text) if text.is_empty() => Vec::new(),
            Self::Joined(text) => text.split(',').map(str::to_owned).collect(),
            Self::Array(texts) => texts,
        };
        for text in &texts {
            let wrong = |why: &str| ApiError::malformed("invalid_list", format!("{what}: {why}"));
            if text.contains(',') {
                return Err(wrong("a single one must not contain a comma"));
            }
            if text.trim().is_empty() {
                return Err(wrong("a single one must not be blank"));
            }
        }
        Ok(texts)
    }
}

impl JsonSchema for Texts {
    fn schema_name() -> Cow<'static, str> {
        "Texts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A list of texts, or one text in which commas stand between them.",
            "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}],
        })
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Texts;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array of texts, or one text joined by commas")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts::Joined(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = seq.next_element()? {
                    texts.push(text);
                }
                Ok(Texts::Array(texts))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A field that may be absent, null or a value: the three mean different things in a change.
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Vectors {
        embedding: Vec<f32>,
        #[serde(default)]
        tags: Option<Texts>,
    }

    /// Lost otherwise: a misspelt filter would be ignored and the search answered without it.
    #[test]
    fn what_is_not_known_is_named() {
        let error = parse::<Vectors>(br#"{"embedding": [1], "tag": "a"}"#).unwrap_err();
        assert_eq!((error.status.as_u16(), error.code), (400, "malformed_body"));
        assert!(error.text.contains("`tag`"), "{}", error.text);
        for body in ["", "{", "[]", r#"{"embedding": ["x"]}"#, r#"{"embedding": [1], "embedding": [2]}"#] {
            assert_eq!(parse::<Vectors>(body.as_bytes()).unwrap_err().code, "malformed_body", "{body}");
        }
    }

    /// Lost otherwise: a vector with NaN would be told as broken JSON, and its sender would look in the wrong place.
    #[test]
    fn what_is_no_number_is_told_so() {
        for body in [
            r#"{"embedding": [NaN]}"#,
            r#"{"embedding": [0.5, -Infinity]}"#,
            "{\n\"embedding\": [1,\nInfinity]}",
            r#"{"embedding":[1.0,NaN,2.0]}"#,
        ] {
            assert_eq!(parse::<Vectors>(body.as_bytes()).unwrap_err().code, "not_finite", "{body}");
        }
        assert_eq!(parse::<Vectors>(br#"{"embedding": [Nope]}"#).unwrap_err().code, "malformed_body");
    }

    /// Lost otherwise: a tag with a comma would be stored as one and searched for as two.
    #[test]
    fn lists_come_in_both_forms() {
        let split = |tags: &str| {
            let body = format!(r#"{{"embedding": [], "tags": {tags}}}"#);
            let vectors = parse::<Vectors>(body.as_bytes()).unwrap();
            assert!(vectors.embedding.is_empty());
            vectors.tags.unwrap().split("tags").map_err(|error| error.code)
        };
        assert_eq!(split(r#""a,b""#), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(split(r#"["a","b"]"#), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(split(r#"["a,b"]"#), Err("invalid_list"));
        for blank in [r#""a,,b""#, r#"",""#, r#"[" "]"#, r#"[""]"#] {
            assert_eq!(split(blank), Err("invalid_list"), "{blank}");
        }
        assert_eq!(split(r#""""#), Ok(vec![]));
    }
}
