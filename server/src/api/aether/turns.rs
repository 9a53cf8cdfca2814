//! Which documents are a thread's turns?
//!
//! Those whose ids say so: `thr_`, the thread's id with each byte other than letters, digits, `-`, `_` and `.` as `~` and two
//! hexadecimal digits, `_` and the turn's number in eight digits. So a turn's id tells its thread, and fits into an address as it is.

use strongroom_engine::Numbered;

use crate::message::error::ApiError;

const THREAD_ID_CHARS_MAX: usize = 256;
const PREFIX: &str = "thr_";
/// A turn's number in an id.
const DIGITS: usize = 8;
/// A document's id has this room for the thread's.
const NAME_BYTES_MAX: usize = 256 - PREFIX.len() - 1 - DIGITS;

/// A turn of a thread.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) thread: String,
    pub(super) index: u32,
}

/// Which turn a document is, if its id says that it is one.
pub(super) fn turn_of(id: &str) -> Option<Turn> {
    let (name, digits) = id.strip_prefix(PREFIX)?.rsplit_once('_')?;
    let is_number = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit());
    let index = digits.parse().ok().filter(|_| is_number)?;
    let mut thread = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        thread.push(if byte == b'~' {
            let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
            u8::try_from(digit()? << 4 | digit()?).ok()?
        } else {
            byte
        });
    }
    let turn = Turn { thread: String::from_utf8(thread).ok()?, index };
    // One way to write each.
    (turn_id(&turn.thread, index).as_deref() == Some(id)).then_some(turn)
}

/// The id of a turn; `None` when there is no room for it.
pub(super) fn turn_id(thread: &str, index: u32) -> Option<String> {
    let mut id = PREFIX.to_owned();
    for byte in thread.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => id.push(char::from(byte)),
            _ => id.push_str(&format!("~{byte:02x}")),
        }
    }
    let has_room = id.len() <= PREFIX.len() + NAME_BYTES_MAX && index < 10_u32.pow(DIGITS as u32);
    has_room.then(|| format!("{id}_{index:0DIGITS$}"))
}

/// Refuses what no thread can be called.
pub(super) fn checked(thread: &str) -> Result<&str, ApiError> {
    let refused = |why: String| Err(ApiError::malformed("invalid_thread_id", why));
    if thread.trim().is_empty() || thread == "." || thread == ".." || thread.chars().any(char::is_control) {
        return refused("a thread's id is not blank, not . or .., and has no control characters".to_owned());
    }
    if thread.chars().count() > THREAD_ID_CHARS_MAX || turn_id(thread, 0).is_none() {
        return refused(format!(
            "a thread's id has at most {THREAD_ID_CHARS_MAX} characters, and takes at most {NAME_BYTES_MAX} bytes, where each \
             byte of it other than letters, digits, '-', '_' and '.' takes three"
        ));
    }
    Ok(thread)
}

/// The form of the ids of a thread's turns.
pub(super) fn ids_of(thread: &str) -> Numbered {
    let mut name = turn_id(thread, 0).unwrap_or_default();
    name.truncate(name.len().saturating_sub(DIGITS));
    Numbered { name, digits: DIGITS }
}

/// The test on ids that finds a thread's turns.
pub(super) fn is_of(thread: &str) -> impl Fn(&str) -> bool {
    let ids = ids_of(thread);
    move |id| ids.fit(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: one conversation would have another one's turns.
    #[test]
    fn a_turn_is_of_one_thread() {
        for thread in ["a", "a_00000001", "thr_a", "ü ~/%", "3f2b-11.x", "_", "~41"] {
            for index in [0, 7, 99_999_999] {
                let id = turn_id(thread, index).unwrap();
                assert_eq!(turn_of(&id), Some(Turn { thread: thread.to_owned(), index }), "{id}");
                assert!(is_of(thread)(&id) && id.is_ascii() && !id.contains('/'));
                for other in
                    ["a", "a_00000001", "thr_a", "A", "ü ~/%"].iter().filter(|other| **other != thread)
                {
                    assert!(!is_of(other)(&id), "{id} of {other}");
                }
            }
        }
        for none in
            ["thr_a_1", "thr_a_000000001", "doc_a_00000001", "thr_~41_00000000", "thr_~zz_00000000", "thr_~"]
        {
            assert_eq!(turn_of(none), None, "{none}");
        }
        assert!(turn_id(&"x".repeat(NAME_BYTES_MAX), 0).is_some_and(|id| id.len() == 256));
        assert!(turn_id(&"x".repeat(NAME_BYTES_MAX + 1), 0).is_none() && turn_id("x", 100_000_000).is_none());
    }
}
