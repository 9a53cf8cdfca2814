//! What does an API key look like, and is this text one?
//!
//! `sr_live_<id>_<secret><checksum>`: 12 characters that find the key's row, 43 of secret (256 bits), and 6 that
//! catch a typo before anything is looked up. The alphabet is letters and digits, so a double click selects a part.
//!
//! Invariants:
//! 1. The checksum guards against slips, not against people: a key counts only once its keyed hash agrees.
//! 2. A key's text is never stored and never logged.

use std::fmt;

use crate::random::{self, BASE62};

const MARK: &str = "sr_live_";
const ID_CHARS: usize = 12;
/// 43 characters of 62 kinds are 256.03 bits.
const SECRET_CHARS: usize = 43;
/// The shortest that holds every CRC-32: 62⁶ is above 2³².
const CHECKSUM_CHARS: usize = 6;
const KEY_CHARS: usize = MARK.len() + ID_CHARS + 1 + SECRET_CHARS + CHECKSUM_CHARS;

/// A key as its holder knows it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApiKey {
    text: String,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}…)", self.prefix())
    }
}

impl ApiKey {
    /// A new key under this id.
    pub(crate) fn mint(id: &str) -> Self {
        let mut text = format!("{MARK}{id}_{}", random::base62(SECRET_CHARS));
        text += &checksum(&text);
        Self { text }
    }

    /// A new id for a key.
    pub(crate) fn new_id() -> String {
        random::base62(ID_CHARS)
    }

    /// Whether the text claims to be one of our keys.
    pub(crate) fn looks_like(text: &str) -> bool {
        text.starts_with(MARK)
    }

    /// Reads a key. `None` when it is damaged: a character is missing, changed or added.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let whole = text.len() == KEY_CHARS
            && text.starts_with(MARK)
            && text.as_bytes()[MARK.len() + ID_CHARS] == b'_'
            && text[MARK.len()..].bytes().all(|byte| byte == b'_' || BASE62.contains(&byte));
        if !whole {
            return None;
        }
        let (body, sum) = text.split_at(KEY_CHARS - CHECKSUM_CHARS);
        (checksum(body) == sum).then(|| Self { text: text.to_owned() })
    }

    /// What finds the key's row.
    pub(crate) fn id(&self) -> &str {
        &self.text[MARK.len()..MARK.len() + ID_CHARS]
    }

    /// What listings show of it.
    pub(crate) fn prefix(&self) -> &str {
        &self.text[..MARK.len() + ID_CHARS]
    }

    /// The whole text, to be hashed or shown once.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

fn checksum(text: &str) -> String {
    let mut sum = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[usize::try_from(sum % 62).unwrap_or(0)];
        sum /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a freshly printed key would not work.
    #[test]
    fn what_is_minted_is_read_back() {
        for _ in 0..100 {
            let key = ApiKey::mint(&ApiKey::new_id());
            assert_eq!(ApiKey::parse(key.text()), Some(key.clone()));
            assert_eq!(key.text().len(), 70);
            assert_eq!(key.prefix(), format!("sr_live_{}", key.id()));
        }
    }

    /// Lost otherwise: a slip of the hand would be told as "no such key", and its owner would mint a new one.
    #[test]
    fn every_single_slip_is_seen() {
        let key = ApiKey::mint("0123456789ab");
        let text = key.text();
        for at in 0..text.len() {
            for other in ['a', 'Z', '0', '_', '-', ' '] {
                let mut changed: Vec<char> = text.chars().collect();
                if changed[at] != other {
                    changed[at] = other;
                    assert_eq!(ApiKey::parse(&changed.into_iter().collect::<String>()), None, "at {at}");
                }
            }
            let mut shorter = text.to_owned();
            shorter.remove(at);
            assert_eq!(ApiKey::parse(&shorter), None, "without {at}");
            let mut swapped: Vec<char> = text.chars().collect();
            if at + 1 < swapped.len() && swapped[at] != swapped[at + 1] {
                swapped.swap(at, at + 1);
                assert_eq!(ApiKey::parse(&swapped.into_iter().collect::<String>()), None, "swapped {at}");
            }
        }
        for text in ["", "sr_live_", "sr_live_é", &format!("{text}0"), &text.replace("sr_live_", "sr_test_")]
        {
            assert_eq!(ApiKey::parse(text), None);
        }
        assert_eq!(ApiKey::parse(&"é".repeat(35)), None);
    }

    /// Lost otherwise: a key would stand in full in a log line or a panic.
    #[test]
    fn debug_output_hides_the_secret() {
        let key = ApiKey::mint("0123456789ab");
        assert_eq!(format!("{key:?}"), "ApiKey(sr_live_0123456789ab…)");
    }
}
