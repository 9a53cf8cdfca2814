//! Who wrote which version of a document, and when?
//!
//! What a document says of its own life: the key that wrote it, and of each version before it the number, time, digest and key. It stands
//! in a note in the document's metadata, as the one of a file does (`original`): written in one record with the document, sealed
//! under the partition's key, moved, copied and erased with it. Version, time and digest of the document as it is are the
//! engine's own.
//!
//! Invariants:
//! 1. The note is the server's own: it is put in behind the checks of what callers give, and taken out of all that they are shown.
//! 2. A version that is replaced is told by the one that replaces it, or not at all: never by one that replaced another.
//! 3. A note that doesn't fit beside the metadata is left out, the oldest versions first; no write fails for it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_engine::{DocumentInfo, NewDocument};

use super::{notes, original};

/// What the engine takes as a document's metadata, in bytes.
const METADATA_BYTES_MAX: usize = 256 << 10;
/// Versions that a document tells of; those before them are forgotten.
const VERSIONS_MAX: usize = 64;

/// One version of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    #[serde(rename = "n")]
    pub(crate) number: u32,
    #[serde(rename = "at")]
    pub(crate) at_ms: u64,
    /// SHA-256 of what was sent, in hexadecimal.
    #[serde(rename = "d")]
    pub(crate) digest: String,
    /// The id of the key that wrote it; `None` when it was none, or isn't known.
    #[serde(default, rename = "k", skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// Whether it is the one before it, come from another partition.
    #[serde(default, rename = "m", skip_serializing_if = "is_false")]
    pub(crate) is_moved: bool,
    /// Whether it is the one before it, of which other things are said: its readers, its entity, its summary.
    #[serde(default, rename = "r", skip_serializing_if = "is_false")]
    pub(crate) is_revised: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    #[serde(default, rename = "k", skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// When it came from another partition, if that made this version.
    #[serde(default, rename = "m", skip_serializing_if = "Option::is_none")]
    moved_ms: Option<u64>,
    /// When other things were said of it, if that made this version.
    #[serde(default, rename = "r", skip_serializing_if = "Option::is_none")]
    revised_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    before: Vec<Version>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(is: &bool) -> bool {
    !is
}

/// A document that tells which key wrote it.
pub(crate) fn written_by(mut document: NewDocument, key: Option<&str>) -> NewDocument {
    let note = Note { key: key.map(str::to_owned), ..Note::default() };
    document.metadata = noted(document.metadata, note);
    document
}

/// The metadata of a document that comes in the place of another, and was written by this key.
pub(crate) fn following(metadata: &str, key: Option<&str>, before: &DocumentInfo) -> String {
    noted(metadata.to_owned(), Note { key: key.map(str::to_owned), before: last(before), ..Note::default() })
}

/// The metadata of a document that a holder of this key moved to another partition at this time.
pub(crate) fn moved(metadata: &str, key: Option<&str>, now_ms: u64, before: &DocumentInfo) -> String {
    let (moved_ms, before) = (Some(now_ms), last(before));
    noted(metadata.to_owned(), Note { key: key.map(str::to_owned), moved_ms, before, ..Note::default() })
}

/// The metadata of a document of which a holder of this key, or the server without one, says other things from this time on.
pub(crate) fn revised(metadata: &str, key: Option<&str>, now_ms: u64, before: &DocumentInfo) -> String {
    let (revised_ms, before) = (Some(now_ms), last(before));
    noted(metadata.to_owned(), Note { key: key.map(str::to_owned), revised_ms, before, ..Note::default() })
}

/// The last versions, as many as are told.
fn last(document: &DocumentInfo) -> Vec<Version> {
    let mut versions = versions(document);
    versions.drain(..versions.len().saturating_sub(VERSIONS_MAX));
    versions
}

/// Metadata with this note in the place of any other, as much of it as fits.
fn noted(metadata: String, mut note: Note) -> String {
    let mut object: Map<String, Value> = serde_json::from_str(&metadata).unwrap_or_default();
    let had_note = object.shift_remove(notes::LIFE).is_some();
    loop {
        let is_time = note.moved_ms.or(note.revised_ms).is_some();
        if note.key.is_none() && !is_time && note.before.is_empty() {
            // Nothing to tell: the metadata is left as it was written.
            return match (had_note, object.is_empty()) {
                (false, _) => metadata,
                (true, true) => String::new(),
                (true, false) => Value::Object(object).to_string(),
            };
        }
        object.insert(notes::LIFE.to_owned(), serde_json::to_value(&note).unwrap_or_default());
        let text = Value::Object(object.clone()).to_string();
        if text.len() <= METADATA_BYTES_MAX {
            return text;
        }
        object.shift_remove(notes::LIFE);
        let kept = note.before.len() / 2;
        if note.before.is_empty() {
            note = Note::default();
        } else {
            note.before.drain(..note.before.len() - kept);
        }
    }
}

/// A document's versions, the first one that it tells of first and itself last.
pub(crate) fn versions(document: &DocumentInfo) -> Vec<Version> {
    let note = notes::find(&document.metadata, notes::LIFE);
    let note: Note = note.and_then(|note| serde_json::from_value(note).ok()).unwrap_or_default();
    let own = Version {
        number: document.version,
        at_ms: note.moved_ms.or(note.revised_ms).or(document.updated_ms).unwrap_or(document.created_ms),
        digest: original::digest(document),
        key: note.key,
        is_moved: note.moved_ms.is_some(),
        is_revised: note.revised_ms.is_some(),
    };
    // What came in by a bundle may say anything; what can't be is left out.
    let mut last = 0;
    let mut versions: Vec<Version> = note.before;
    versions.retain(|version| {
        let can_be = version.number > last && version.number < own.number && is_digest(&version.digest);
        if can_be {
            last = version.number;
        }
        can_be
    });
    versions.push(own);
    versions
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(metadata: String, version: u32) -> DocumentInfo {
        DocumentInfo {
            id: "a".to_owned(),
            version,
            filename: String::new(),
            content_type: String::new(),
            content_bytes: 1,
            content_digest: [u8::try_from(version % 251).unwrap(); 32],
            tags: Vec::new(),
            metadata,
            entity: None,
            source: None,
            created_ms: 1,
            updated_ms: (version > 1).then(|| u64::from(version)),
            expires_ms: None,
            readers: None,
            passages: 1,
        }
    }

    fn told(document: &DocumentInfo) -> Vec<(u32, u64, Option<String>)> {
        versions(document).into_iter().map(|version| (version.number, version.at_ms, version.key)).collect()
    }

    fn new(metadata: &str) -> NewDocument {
        NewDocument { metadata: metadata.to_owned(), ..NewDocument::default() }
    }

    /// Lost otherwise: an auditor would be told that the wrong key wrote a version, or a customer be shown the server's notes.
    #[test]
    fn each_version_is_told_by_the_ones_after_it() {
        let given = r#"{"b":1}"#;
        let mut now = stored(written_by(new(given), Some("k1")).metadata, 1);
        let key = |key: &str| Some(key.to_owned());
        assert_eq!(told(&now), [(1, 1, key("k1"))]);
        now = stored(following(given, Some("k2"), &now), 2);
        now = stored(following(given, None, &now), 3);
        assert_eq!(told(&now), [(1, 1, key("k1")), (2, 2, key("k2")), (3, 3, None)]);
        assert_eq!(versions(&now)[0].digest, crate::random::hex(&[1; 32]));
        assert_eq!(Value::Object(notes::without(&now.metadata)).to_string(), given);
        let moved = stored(moved(&now.metadata, Some("k3"), 9, &now), 4);
        assert_eq!(told(&moved)[2..], [(3, 3, None), (4, 9, key("k3"))]);
        assert!(versions(&moved)[3].is_moved && !versions(&moved)[2].is_moved);
        let revised = stored(revised(&moved.metadata, None, 12, &moved), 5);
        assert_eq!(told(&revised)[3..], [(4, 9, key("k3")), (5, 12, None)]);
        assert!(
            versions(&revised)[4].is_revised
                && !versions(&revised)[4].is_moved
                && versions(&revised)[3].is_moved
        );
        // The operator has no key, and there is nothing before: nothing is added.
        assert_eq!(written_by(new(given), None).metadata, given);
        for version in 4..200 {
            now = stored(following(given, Some("k"), &now), version);
        }
        let last = told(&now);
        assert_eq!((last.len(), last[0].0, last[64].0), (65, 135, 199));
    }

    /// Lost otherwise: a write with as much metadata as is allowed would fail.
    #[test]
    fn what_does_not_fit_is_left_out() {
        let fits = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
        let most = METADATA_BYTES_MAX;
        let full = written_by(new(&fits(most)), Some("k1"));
        assert_eq!(full.metadata, fits(most));
        let mut now = stored(written_by(new(""), Some("k1")).metadata, 1);
        for version in 2..40 {
            now = stored(following("", Some("k"), &now), version);
        }
        let tight = stored(following(&fits(most - 1000), Some("k"), &now), 40);
        let told = told(&tight);
        assert!(tight.metadata.len() <= most && told.len() > 2 && told.len() < 12, "{}", told.len());
        assert_eq!(told.last().unwrap().0, 40);
        assert!(told.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1));
    }

    /// Lost otherwise: a bundle that somebody made could have this server sign what can't be.
    #[test]
    fn what_can_not_be_is_not_told() {
        let digest = "0".repeat(64);
        let version = |n: u32, digest: &str| format!(r#"{{"n":{n},"at":1,"d":"{digest}"}}"#);
        for before in [
            version(3, &digest),
            version(0, &digest),
            version(1, "<script>"),
            format!("{},{}", version(1, "x"), version(9, &digest)),
        ] {
            let metadata = format!(r#"{{"\u0000life":{{"before":[{before}]}}}}"#);
            assert_eq!(told(&stored(metadata, 3)), [(3, 3, None)]);
        }
        assert_eq!(told(&stored(r#"{"\u0000life":7}"#.to_owned(), 2)), [(2, 2, None)]);
    }
}
