//! What kind of document is this, and what is its text?
//!
//! What claims to be text must be UTF-8; PDF, Office and HTML files are read by `worker`; what makes no claim
//! (`application/octet-stream`) is what its first bytes say, or text if it is UTF-8 without zero bytes. Everything else is refused by
//! kind, so that nobody searches for what was never read. What claims one thing and is another is refused, too.

use crate::message::error::ApiError;
use axum::http::StatusCode;
use strongroom_embed::Form;
use strongroom_extract::Kind;

/// The type of bytes whose kind nobody told.
pub(crate) const UNKNOWN: &str = "application/octet-stream";

/// Types outside `text/` that are text.
const TEXT_TYPES: [&str; 13] = [
    "application/json",
    "application/ld+json",
    "application/x-ndjson",
    "application/xml",
    "application/javascript",
    "application/typescript",
    "application/yaml",
    "application/x-yaml",
    "application/toml",
    "application/sql",
    "application/x-sh",
    "application/x-tex",
    "application/graphql",
];

/// A media type without its parameters, in lower case, as it is stored and compared.
pub(crate) fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The type of a document: what the query says, else what the header says, else what the filename's ending says.
pub(crate) fn decide(query: Option<&str>, header: Option<&str>, filename: &str) -> Result<String, ApiError> {
    // What command-line tools send when nobody told them a type.
    let header = header.filter(|text| essence(text) != "application/x-www-form-urlencoded");
    match query.or(header).filter(|text| !text.trim().is_empty()) {
        Some(told) => checked(told),
        None => Ok(by_ending(filename).to_owned()),
    }
}

/// Checks a type that was told.
pub(crate) fn checked(told: &str) -> Result<String, ApiError> {
    let kind = essence(told);
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    if kind.len() > 127 || !kind.split_once('/').is_some_and(|(a, b)| is_part(a) && is_part(b)) {
        return Err(ApiError::malformed(
            "invalid_content_type",
            "content_type must be a type such as text/plain",
        ));
    }
    Ok(kind)
}

fn by_ending(filename: &str) -> &'static str {
    let ending = filename.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "txt" | "text" | "log" => "text/plain",
        "md" | "markdown" => "text/markdown",
        "htm" => Kind::Html.media_type(),
        "csv" => "text/csv",
        "json" => "application/json",
        other => Kind::of_ending(other).map_or(UNKNOWN, Kind::media_type),
    }
}

/// Whether documents of this type are text by their type alone.
pub(crate) fn is_text(kind: &str) -> bool {
    kind.starts_with("text/")
        || TEXT_TYPES.contains(&kind)
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
}

/// How a text of this type is built.
pub(crate) fn form(kind: &str) -> Form {
    match kind {
        "text/markdown" | "text/x-markdown" => Form::Markdown,
        "text/csv" | "text/tab-separated-values" | "application/x-ndjson" => Form::Rows,
        "application/json" => Form::Json,
        other if other.ends_with("+json") => Form::Json,
        _ => Form::Prose,
    }
}

/// How a document comes by its text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It is text, or is refused as such.
    AsItIs,
    /// As a file of this kind, or of the kind that its content says.
    AsFile(Option<Kind>),
}

/// How a document of this type comes by its text.
pub(crate) fn reading(kind: &str, content: &[u8]) -> Result<Reading, ApiError> {
    if content.is_empty() {
        return Ok(Reading::AsItIs);
    }
    if let Some(kind) = Kind::of_media_type(kind) {
        return Ok(Reading::AsFile(Some(kind)));
    }
    match strongroom_extract::is_marked(content) {
        true if kind == UNKNOWN => Ok(Reading::AsFile(None)),
        true if is_text(kind) => Err(ApiError::unacceptable(
            "file_type_mismatch",
            format!(
                "the document says it is {kind} and is a PDF or an Office file: send it under its own type, or under {UNKNOWN}"
            ),
        )),
        _ => Ok(Reading::AsItIs),
    }
}

/// The text of a document on its way in.
pub(crate) fn text<'a>(kind: &str, content: &'a [u8]) -> Result<&'a str, ApiError> {
    if content.is_empty() {
        return Err(ApiError::unacceptable(
            "empty_document",
            "the document is empty; there is nothing to store",
        ));
    }
    let text = std::str::from_utf8(content);
    match text {
        Ok(text) if is_text(kind) => Ok(text),
        Err(error) if is_text(kind) => Err(ApiError::unacceptable(
            "unreadable",
            format!("the document says it is {kind} but is not UTF-8 from byte {} on", error.valid_up_to()),
        )),
        Ok(text) if kind == UNKNOWN && !text.contains('\0') => Ok(text),
        _ => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            format!(
                "documents of the type {kind} can't be read; this server reads PDF, DOCX, PPTX, XLSX, HTML, and text in UTF-8: \
                 text/*, JSON, XML, YAML and source code"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a PDF would be stored as noise that no search can find, with nobody told.
    #[test]
    fn only_text_is_read() {
        fn code<'a>(kind: &str, content: &'a [u8]) -> Result<&'a str, (u16, &'static str)> {
            text(kind, content).map_err(|error| (error.status.as_u16(), error.code))
        }
        assert_eq!(code("text/plain", b"hello"), Ok("hello"));
        assert_eq!(code("application/json", b"{}"), Ok("{}"));
        assert_eq!(code(UNKNOWN, "héllo".as_bytes()), Ok("héllo"));
        assert_eq!(code("text/plain", b"\xff\xfe"), Err((422, "unreadable")));
        assert_eq!(code(UNKNOWN, b"\xff\xfe"), Err((415, "unsupported_media_type")));
        assert_eq!(code(UNKNOWN, b"a\0b"), Err((415, "unsupported_media_type")));
        assert_eq!(code("application/pdf", b"%PDF-1.7"), Err((415, "unsupported_media_type")));
        assert_eq!(code("image/png", b"x"), Err((415, "unsupported_media_type")));
        assert_eq!(code("image/svg+xml", b"<svg/>"), Ok("<svg/>"));
        assert_eq!(code("text/plain", b""), Err((422, "empty_document")));
    }

    /// Lost otherwise: a file would be stored as the text that its bytes happen to spell, or text be taken for a file.
    #[test]
    fn files_are_told_from_text_by_what_they_are() {
        let seen = |kind, content: &[u8]| {
            reading(kind, content).map_err(|error| (error.status.as_u16(), error.code))
        };
        assert_eq!(seen("application/pdf", b"anything"), Ok(Reading::AsFile(Some(Kind::Pdf))));
        assert_eq!(seen("text/html", b"<p>"), Ok(Reading::AsFile(Some(Kind::Html))));
        assert_eq!(seen(UNKNOWN, b"%PDF-1.7"), Ok(Reading::AsFile(None)));
        assert_eq!(seen(UNKNOWN, b"PK\x03\x04"), Ok(Reading::AsFile(None)));
        for (kind, content) in [
            ("text/plain", &b"text"[..]),
            (UNKNOWN, b"<p>"),
            ("image/png", b"%PDF-1.7"),
            ("application/pdf", b""),
        ] {
            assert_eq!(seen(kind, content), Ok(Reading::AsItIs), "{kind}");
        }
        for content in [&b"%PDF-1.7"[..], b"PK\x03\x04", b"\xff\xfe %PDF-1.4"] {
            assert_eq!(seen("text/markdown", content), Err((422, "file_type_mismatch")));
        }
        assert_eq!(seen("text/plain", b"A text about %PDF-1.7"), Ok(Reading::AsItIs));
    }

    /// Lost otherwise: a document would be stored under another type than its sender gave it.
    #[test]
    fn the_query_beats_the_header_beats_the_ending() {
        let kind = |query, header, name| decide(query, header, name).unwrap();
        assert_eq!(kind(Some("Text/Markdown; charset=utf-8"), Some("text/plain"), "a.json"), "text/markdown");
        assert_eq!(kind(None, Some("text/plain"), "a.json"), "text/plain");
        assert_eq!(kind(None, Some("application/x-www-form-urlencoded"), "a.md"), "text/markdown");
        assert_eq!(kind(None, None, "a.bin"), UNKNOWN);
        assert_eq!(kind(None, None, "a.PDF"), "application/pdf");
        assert_eq!(
            (kind(None, None, "a.htm").as_str(), kind(None, None, "a.html").as_str()),
            ("text/html", "text/html")
        );
        for bad in ["text", "/", "text/", "a b/c", "text/plain\r\nx: y", "text/é"] {
            assert_eq!(decide(Some(bad), None, "").unwrap_err().code, "invalid_content_type", "{bad}");
        }
    }
}
