//! What does the server note of a document, beside what its user says of it?
//!
//! Notes stand in the document's metadata under names that no caller can give, for they begin with NUL, which no name holds: so they are
//! sealed, moved, carried and erased with the document, and a listing tells of them without a look at its content.
//!
//! Invariants:
//! 1. Notes are put in behind the checks of what callers give, and taken out of all that they are shown.
//! 2. A note may say anything: a document that came in by a bundle may have been written by anybody. Whoever reads one checks it.

use serde_json::{Map, Value};

/// What is noted of the file that a text was read out of; see `original`.
pub(crate) const FILE: &str = "\0file";
/// A document's summary.
pub(crate) const SUMMARY: &str = "\0summary";
/// Who wrote which version; see `history`.
pub(crate) const LIFE: &str = "\0life";
/// Who may read the thread that a document is a turn of.
pub(crate) const THREAD: &str = "\0thread";

/// Those that outlive a change of the document's text.
const LASTING: [&str; 2] = [SUMMARY, THREAD];

/// How JSON writes the beginning of their names.
const BEGINNING_IN_JSON: &str = "\"\\u0000";

/// Notes, by their names.
pub(crate) type Notes = Map<String, Value>;

fn read(metadata: &str) -> Notes {
    serde_json::from_str(metadata).unwrap_or_default()
}

fn is_note(name: &str) -> bool {
    name.starts_with('\0')
}

/// A note in stored metadata.
pub(crate) fn find(metadata: &str, name: &str) -> Option<Value> {
    // Most documents have none, and most metadata is never read.
    if !metadata.contains(BEGINNING_IN_JSON) {
        return None;
    }
    read(metadata).remove(name)
}

/// Metadata as its user gave it.
pub(crate) fn without(metadata: &str) -> Map<String, Value> {
    let mut object = read(metadata);
    if metadata.contains(BEGINNING_IN_JSON) {
        object.retain(|name, _| !is_note(name));
    }
    object
}

/// The notes that stay with a document whatever its text is.
pub(crate) fn lasting(metadata: &str) -> Notes {
    if !metadata.contains(BEGINNING_IN_JSON) {
        return Notes::new();
    }
    let mut object = read(metadata);
    object.retain(|name, _| LASTING.contains(&name.as_str()));
    object
}

/// Metadata with these notes as well.
pub(crate) fn with(metadata: String, notes: Notes) -> String {
    if notes.is_empty() {
        return metadata;
    }
    let mut object = read(&metadata);
    object.extend(notes);
    Value::Object(object).to_string()
}

/// Metadata with this note, or without it.
pub(crate) fn set(metadata: &str, name: &str, note: Option<Value>) -> String {
    let mut object = read(metadata);
    match note {
        Some(note) => drop(object.insert(name.to_owned(), note)),
        None => drop(object.shift_remove(name)),
    }
    if object.is_empty() { String::new() } else { Value::Object(object).to_string() }
}

/// The metadata of a replaced document's successor, which keeps the lasting notes that it doesn't bring itself.
pub(crate) fn kept(before: &str, now: String) -> String {
    let mut notes = lasting(before);
    if !notes.is_empty() {
        let own = lasting(&now);
        notes.retain(|name, _| !own.contains_key(name));
    }
    with(now, notes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Lost otherwise: a customer would be shown the server's notes, or lose them with the next change of the document.
    #[test]
    fn notes_come_and_go_and_leave_the_rest_alone() {
        let given = r#"{"b":1,"a":"\u0000summary"}"#;
        assert_eq!(find(given, SUMMARY), None);
        let noted = set(given, SUMMARY, Some(json!({"text": "short"})));
        let noted = with(noted, Notes::from_iter([(FILE.to_owned(), json!({"pages": [1]}))]));
        assert_eq!(find(&noted, SUMMARY), Some(json!({"text": "short"})));
        assert_eq!(Value::Object(without(&noted)).to_string(), given);
        assert_eq!(lasting(&noted), Notes::from_iter([(SUMMARY.to_owned(), json!({"text": "short"}))]));
        let kept_on = kept(&noted, r#"{"c":2}"#.to_owned());
        assert_eq!(find(&kept_on, SUMMARY), Some(json!({"text": "short"})));
        assert_eq!((find(&kept_on, FILE), without(&kept_on).len()), (None, 1));
        let own = set("", SUMMARY, Some(json!(1)));
        assert_eq!(kept(&noted, own.clone()), own, "what comes with the new one is newer");
        assert_eq!(set(&own, SUMMARY, None), "");
        assert_eq!(kept(given, String::new()), "");
    }
}
