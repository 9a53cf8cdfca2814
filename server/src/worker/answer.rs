//! How does the outcome cross the pipe?
//!
//! A line of JSON, then the text as it is. What the child says is read as strictly as what a stranger says: the child has read a
//! stranger's file.

use serde::{Deserialize, Serialize};
use strongroom_extract::{Extracted, Kind, Refusal};

/// The line, without the starts of pages.
pub(super) const HEAD_BYTES_MAX: u64 = 4096;
/// Of a refusal's text.
const TEXT_CHARS_MAX: usize = 1000;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, untagged)]
enum Head {
    Read { kind: String, starts: Vec<usize> },
    Refused { code: String, text: String },
}

/// Why the child refused the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) text: String,
}

/// What the child writes.
pub(super) fn write(outcome: &Result<Extracted, Refusal>) -> Vec<u8> {
    let (head, text) = match outcome {
        Ok(found) => {
            let head = Head::Read { kind: found.kind.ending().to_owned(), starts: found.starts.clone() };
            (head, found.text.as_str())
        }
        Err(refusal) => (Head::Refused { code: refusal.code().to_owned(), text: refusal.to_string() }, ""),
    };
    // Strings and numbers always have a form in JSON.
    let mut said = serde_json::to_vec(&head).unwrap_or_default();
    said.push(b'\n');
    said.extend_from_slice(text.as_bytes());
    said
}

/// Reads it; `None` when it is no answer.
pub(super) fn read(said: &[u8]) -> Option<Result<Extracted, Refused>> {
    let end = said.iter().position(|byte| *byte == b'\n')?;
    let text = std::str::from_utf8(&said[end + 1..]).ok()?;
    match serde_json::from_slice(&said[..end]).ok()? {
        Head::Refused { code, text } => {
            let code = Refusal::CODES.into_iter().find(|known| *known == code)?;
            Some(Err(Refused { code, text: text.chars().take(TEXT_CHARS_MAX).collect() }))
        }
        Head::Read { kind, starts } => {
            let kind = Kind::of_ending(&kind)?;
            let is_good = starts.is_sorted() && starts.iter().all(|start| text.is_char_boundary(*start));
            is_good.then(|| Ok(Extracted { kind, text: text.to_owned(), starts }))
        }
    }
}
