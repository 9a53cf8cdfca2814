//! What is noted of a document's summary?
//!
//! The text, who wrote it against which content, and whether another one is asked for. It stands among the document's notes, so
//! it is sealed, carried and erased with the document.

use serde::{Deserialize, Serialize};
use strongroom_engine::DocumentInfo;

use super::{notes, original};
use crate::random;
use crate::summarize::SUMMARY_BYTES_MAX;

/// Who wrote a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Author {
    User,
    Model,
}

/// A summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    pub(crate) text: String,
    /// Another one each time it is written.
    pub(crate) revision: String,
    pub(crate) by: Author,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) generator: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prompt_version: Option<String>,
    pub(crate) at_ms: u64,
    /// The SHA-256 of the content that it was written of.
    pub(crate) source: String,
    /// Whether the text was longer than what was summed up.
    #[serde(default)]
    pub(crate) is_of_beginning: bool,
}

/// What a document has noted of its summary.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) written: Option<Written>,
    /// Which asking for another one waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked: Option<String>,
    /// Why the last asking came to nothing, in a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<String>,
}

impl Note {
    /// What stored metadata says; what can't be is as if it weren't there.
    pub(crate) fn of(metadata: &str) -> Self {
        let note = notes::find(metadata, notes::SUMMARY);
        let mut note: Self = note.and_then(|note| serde_json::from_value(note).ok()).unwrap_or_default();
        note.written = note.written.filter(|written| written.text.len() <= SUMMARY_BYTES_MAX);
        note
    }

    /// That one is asked for, and nothing else.
    pub(crate) fn of_asking() -> Self {
        Self { asked: Some(random::hex(&random::bytes::<8>())), ..Self::default() }
    }

    /// Metadata that says this.
    pub(crate) fn put_into(&self, metadata: &str) -> String {
        let note = (*self != Self::default()).then(|| serde_json::to_value(self).unwrap_or_default());
        notes::set(metadata, notes::SUMMARY, note)
    }

    /// Whether the document's user wrote what is there.
    pub(crate) fn is_by_user(&self) -> bool {
        self.written.as_ref().is_some_and(|written| written.by == Author::User)
    }
}

impl Written {
    /// A summary of a document, written now.
    pub(crate) fn new(document: &DocumentInfo, text: String, by: Author, at_ms: u64) -> Self {
        Self {
            text,
            revision: random::hex(&random::bytes::<8>()),
            by,
            generator: None,
            prompt_version: None,
            at_ms,
            source: original::digest(document),
            is_of_beginning: false,
        }
    }
}

/// The metadata of a replaced document's successor: a summary stays, until there is another one. Where the successor asks for one, what
/// a user wrote stays even so.
pub(crate) fn kept(before: &str, now: String) -> String {
    let asked = Note::of(&now).asked;
    let had = Note::of(before);
    let now = match asked {
        Some(asked) if !had.is_by_user() => Note { asked: Some(asked), failed: None, ..had }.put_into(&now),
        Some(_) => Note::default().put_into(&now),
        None => now,
    };
    notes::kept(before, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(by: Author) -> Note {
        let written = Written {
            text: "short".to_owned(),
            revision: "r".to_owned(),
            by,
            generator: None,
            prompt_version: None,
            at_ms: 1,
            source: "s".to_owned(),
            is_of_beginning: false,
        };
        Note { written: Some(written), ..Note::default() }
    }

    /// Lost otherwise: an update would take a summary away, or have what a user wrote be written over.
    #[test]
    fn a_summary_outlives_an_update() {
        let asking = Note::of_asking();
        for by in [Author::User, Author::Model] {
            let before = written(by).put_into(r#"{"a":1}"#);
            assert_eq!(Note::of(&kept(&before, r#"{"b":2}"#.to_owned())), written(by));
            let asked = kept(&before, asking.put_into(r#"{"b":2}"#));
            let expected = match by {
                Author::User => written(by),
                Author::Model => Note { asked: asking.asked.clone(), ..written(by) },
            };
            assert_eq!(Note::of(&asked), expected);
            assert_eq!(serde_json::Value::Object(notes::without(&asked)).to_string(), r#"{"b":2}"#);
        }
        assert_eq!(Note::of(&kept("", asking.put_into(""))), asking);
        assert_eq!(kept(r#"{"a":1}"#, String::new()), "");
    }

    /// Lost otherwise: a bundle of somebody else's making would put into answers what no summary can be.
    #[test]
    fn a_note_that_cannot_be_is_none() {
        for text in ["7", "{\"written\":{}}", "{\"written\":{\"text\":1}}", "[]", "null"] {
            let metadata = format!("{{\"\\u0000summary\":{text}}}");
            assert_eq!(Note::of(&metadata), Note::default(), "{text}");
        }
        let mut long = written(Author::User);
        long.written.as_mut().unwrap().text = "x".repeat(SUMMARY_BYTES_MAX + 1);
        assert_eq!(Note::of(&long.put_into("")), Note::default());
        assert_eq!(Note::default().put_into("{}"), "");
    }
}
