//! How is a file kept beside the text that was read out of it?
//!
//! The document's content is the text, then the file's own bytes; both are sealed, moved and erased as one. A note in the document's metadata
//! (`notes`) says where the one ends and what the other is: what a listing tells of the file needs no look at its content.
//!
//! Invariants:
//! 1. Ranges of passages lie in the text, so whoever reads them needs no note.
//! 2. A document without a note is its own text. So is one whose note can't be: a document that came in by a bundle may say anything.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strongroom_engine::DocumentInfo;
use strongroom_extract::Extracted;

use super::notes;
use crate::message::error::ApiError;
use crate::random;

/// A user's metadata and this note have at most so many bytes together.
const METADATA_BYTES_MAX: usize = 64 << 10;

/// A file on its way in, beside the text that was read out of it.
#[derive(Debug, Clone)]
pub(crate) struct Original {
    pub(crate) bytes: Bytes,
    /// The bytes of each page of the text.
    pages: Vec<usize>,
}

/// What a document says of its file.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// Where the text ends and the file begins.
    text_bytes: usize,
    sha256: String,
    /// The bytes of each page of the text; the first begins where the text does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pages: Vec<usize>,
}

impl Original {
    /// A file, and what was read out of it.
    pub(crate) fn of(file: Bytes, found: &Extracted) -> Self {
        // What stands before the first page's start is on the first page.
        let starts = found.starts.iter().skip(1).copied();
        let ends = starts.chain([found.text.len()]);
        let mut last = 0;
        let pages = ends.map(|end| end - std::mem::replace(&mut last, end));
        Self { bytes: file, pages: if found.starts.is_empty() { Vec::new() } else { pages.collect() } }
    }

    /// Metadata with the note of a file whose text has so many bytes.
    pub(super) fn noted(&self, metadata: &str, text_bytes: usize) -> Result<String, ApiError> {
        let note =
            Note { text_bytes, sha256: random::hex(&Sha256::digest(&self.bytes)), pages: self.pages.clone() };
        let text = notes::set(metadata, notes::FILE, Some(serde_json::to_value(note).unwrap_or_default()));
        if text.len() > METADATA_BYTES_MAX {
            return Err(ApiError::unacceptable(
                "metadata_too_large",
                format!(
                    "the metadata and what is kept of the file's {} pages have together more than {METADATA_BYTES_MAX} bytes: give it \
                     less metadata, or send the file in parts",
                    self.pages.len()
                ),
            ));
        }
        Ok(text)
    }
}

fn note(document: &DocumentInfo) -> Option<Note> {
    let note: Note = serde_json::from_value(notes::find(&document.metadata, notes::FILE)?).ok()?;
    let can_be = note.text_bytes as u64 <= document.content_bytes
        && note.sha256.len() == 64
        && note.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    can_be.then_some(note)
}

/// How large the document is that its user sent, in bytes.
pub(crate) fn size(document: &DocumentInfo) -> u64 {
    note(document).map_or(document.content_bytes, |note| document.content_bytes - note.text_bytes as u64)
}

/// The SHA-256 of the document that its user sent, as hexadecimal.
pub(crate) fn digest(document: &DocumentInfo) -> String {
    note(document).map_or_else(|| random::hex(&document.content_digest), |note| note.sha256)
}

/// Whether its text was read out of a file.
pub(crate) fn is_file(document: &DocumentInfo) -> bool {
    note(document).is_some()
}

/// How many bytes of its content are its text.
pub(crate) fn text_bytes(document: &DocumentInfo) -> u64 {
    note(document).map_or(document.content_bytes, |note| note.text_bytes as u64)
}

/// Of a document's content, its text.
pub(crate) fn text<'a>(document: &DocumentInfo, content: &'a [u8]) -> &'a [u8] {
    let end = usize::try_from(text_bytes(document)).unwrap_or(usize::MAX);
    content.get(..end).unwrap_or(content)
}

/// Of a document's content, what its user sent.
pub(crate) fn sent(document: &DocumentInfo, mut content: Vec<u8>) -> Vec<u8> {
    match note(document) {
        Some(note) if note.text_bytes <= content.len() => content.split_off(note.text_bytes),
        _ => content,
    }
}

/// On which page, counted from 1, a byte of the text stands; `None` where the file told of no pages.
pub(crate) fn page(document: &DocumentInfo, byte: u32) -> Option<usize> {
    let pages = note(document)?.pages;
    let mut end = 0_usize;
    let passed = pages.iter().take_while(|bytes| {
        end = end.saturating_add(**bytes);
        end <= byte as usize
    });
    let passed = passed.count();
    (!pages.is_empty()).then(|| (passed + 1).min(pages.len()))
}

/// A stored document's text, and its file if it has one, to be cut and embedded anew.
pub(super) fn parted(document: &DocumentInfo, content: Vec<u8>) -> (Bytes, Option<Original>) {
    let content = Bytes::from(content);
    match note(document) {
        Some(note) if note.text_bytes <= content.len() => {
            let bytes = content.slice(note.text_bytes..);
            (content.slice(..note.text_bytes), Some(Original { bytes, pages: note.pages }))
        }
        _ => (content, None),
    }
}

#[cfg(test)]
mod tests {
    use strongroom_extract::Kind;

    use super::*;

    fn stored(metadata: String, content_bytes: u64) -> DocumentInfo {
        DocumentInfo {
            id: "a".to_owned(),
            version: 1,
            filename: "a.pdf".to_owned(),
            content_type: "application/pdf".to_owned(),
            content_bytes,
            content_digest: [7; 32],
            tags: Vec::new(),
            metadata,
            entity: None,
            source: None,
            created_ms: 1,
            updated_ms: None,
            expires_ms: None,
            readers: None,
            passages: 1,
        }
    }

    /// Lost otherwise: a customer would get back other bytes than the ones that were sent, or be shown the server's notes.
    #[test]
    fn text_and_file_lie_together_and_come_apart() {
        let found = Extracted { kind: Kind::Pdf, text: "one\n\ntwo\n".to_owned(), starts: vec![0, 5, 9] };
        let original = Original::of(Bytes::from_static(b"%PDF"), &found);
        let metadata_given = r#"{"b":1,"a":"x"}"#;
        let noted = original.noted(metadata_given, found.text.len()).unwrap();
        let document = stored(noted.clone(), 13);
        assert_eq!(serde_json::Value::Object(notes::without(&noted)).to_string(), metadata_given);
        assert_eq!((size(&document), text_bytes(&document), is_file(&document)), (4, 9, true));
        assert_eq!(digest(&document), random::hex(&Sha256::digest(b"%PDF")));
        let content = b"one\n\ntwo\n%PDF".to_vec();
        assert_eq!(text(&document, &content), b"one\n\ntwo\n");
        assert_eq!(sent(&document, content.clone()), b"%PDF");
        let pages: Vec<_> = [0, 4, 5, 8, 9].iter().map(|byte| page(&document, *byte)).collect();
        assert_eq!(pages, [Some(1), Some(1), Some(2), Some(2), Some(3)]);
        let (text, again) = parted(&document, content);
        let again = again.unwrap();
        assert_eq!((&text[..], &again.bytes[..]), (&b"one\n\ntwo\n"[..], &b"%PDF"[..]));
        assert_eq!(
            again.noted(metadata_given, text.len()).unwrap(),
            noted,
            "embedded anew, it says the same"
        );
    }

    /// Lost otherwise: a document that only mentions the note would be cut in two.
    #[test]
    fn a_document_without_a_note_is_its_own_text() {
        for metadata_given in [
            "",
            "{}",
            r#"{"a":"\"\u0000file\""}"#,
            r#"{"\u0000file":{"text_bytes":99,"sha256":"0000000000000000000000000000000000000000000000000000000000000000"}}"#,
            r#"{"\u0000file":{"text_bytes":1,"sha256":"<script>"}}"#,
        ] {
            let document = stored(metadata_given.to_owned(), 4);
            assert_eq!(
                (size(&document), text_bytes(&document), is_file(&document)),
                (4, 4, false),
                "{metadata_given}"
            );
            assert_eq!(text(&document, b"text"), b"text");
            assert_eq!(sent(&document, b"text".to_vec()), b"text");
            assert_eq!((page(&document, 0), digest(&document)), (None, random::hex(&[7; 32])));
            assert!(parted(&document, b"text".to_vec()).1.is_none());
        }
    }

    /// Lost otherwise: a write would fail in the engine, with a text that names nothing a customer knows.
    #[test]
    fn a_note_that_does_not_fit_is_refused_with_its_reason() {
        let found = Extracted { kind: Kind::Pdf, text: "x".repeat(20_000), starts: (0..20_000).collect() };
        let original = Original::of(Bytes::from_static(b"%PDF"), &found);
        assert!(original.noted("", 1).is_ok());
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(60_000));
        assert_eq!(original.noted(&large, 1).unwrap_err().code, "metadata_too_large");
    }
}
