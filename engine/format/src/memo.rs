//! What is remembered of a request that came with a key, so that it is done once however often it is asked for?
//!
//! A memo goes through log and segments as a [`Change`](crate::record::Change) of the kind `Answered`, in the batch of what the
//! request wrote: both are durable, or neither. It is a text, in the place of a document's id; see `format-spec.md`.

use crate::Damage;
use crate::limits::{DOCUMENT_ID_BYTES_MAX, MEMO_BYTES_MAX};
use std::fmt::Write;

/// A digest in a memo, in bytes.
pub const MEMO_DIGEST_BYTES: usize = 16;

/// The same as hexadecimal digits.
const DIGITS: usize = 2 * MEMO_DIGEST_BYTES;

/// What is remembered of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memo {
    /// A digest of its key.
    pub key: [u8; MEMO_DIGEST_BYTES],
    /// A digest of all that it asked for.
    pub request: [u8; MEMO_DIGEST_BYTES],
    /// The documents that it acted on, in their order.
    pub ids: Vec<String>,
}

impl Memo {
    /// As text.
    pub fn encode(&self) -> String {
        let mut text =
            String::with_capacity(2 * DIGITS + self.ids.iter().map(|id| id.len() + 4).sum::<usize>());
        for byte in self.key.iter().chain(&self.request) {
            // Writing into a string doesn't fail.
            write!(text, "{byte:02x}").ok();
        }
        for id in &self.ids {
            write!(text, "{}:{id}", id.len()).ok();
        }
        text
    }

    /// From text.
    pub fn decode(text: &str) -> Result<Self, Damage> {
        if text.len() > MEMO_BYTES_MAX {
            return Err(Damage::new("Memo", format_args!("at most {MEMO_BYTES_MAX} bytes"), text.len()));
        }
        let (key, rest) = digest(text)?;
        let (request, mut rest) = digest(rest)?;
        let mut ids = Vec::new();
        while !rest.is_empty() {
            let (length, behind) = rest.split_once(':').ok_or_else(|| wrong("a length and a colon"))?;
            // One way to write each number.
            let is_plain = length.bytes().all(|digit| digit.is_ascii_digit()) && !length.starts_with('0');
            let bytes =
                length.parse::<usize>().ok().filter(|bytes| is_plain && *bytes <= DOCUMENT_ID_BYTES_MAX);
            let bytes = bytes.ok_or_else(|| wrong("the length of an id"))?;
            let (id, behind) = behind.split_at_checked(bytes).ok_or_else(|| wrong("an id of its length"))?;
            ids.push(id.to_owned());
            rest = behind;
        }
        Ok(Self { key, request, ids })
    }

    /// The key alone, of a text that decodes.
    pub fn key_of(text: &str) -> Option<[u8; MEMO_DIGEST_BYTES]> {
        digest(text).ok().map(|(key, _)| key)
    }
}

fn digest(text: &str) -> Result<([u8; MEMO_DIGEST_BYTES], &str), Damage> {
    let (digits, rest) = text.split_at_checked(DIGITS).ok_or_else(|| wrong("a digest"))?;
    let mut bytes = [0; MEMO_DIGEST_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(wrong("a digest")),
        };
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Ok((bytes, rest))
}

fn wrong(expected: &'static str) -> Damage {
    Damage::new("Memo", expected, "something else")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a retried write would be done twice, or answered with another request's documents.
    #[test]
    fn memos_come_back_as_they_were_and_nothing_else_is_one() {
        for ids in [vec![], vec!["doc_1"], vec!["a", "é:3", "7:x y\n", "z"]] {
            let ids = ids.into_iter().map(str::to_owned).collect();
            let memo = Memo { key: [0xa5; 16], request: [7; 16], ids };
            let text = memo.encode();
            assert_eq!(Memo::decode(&text), Ok(memo.clone()));
            assert_eq!(Memo::key_of(&text), Some(memo.key));
        }
        let digests = "0f".repeat(32);
        for bad in ["", "0f", &digests[1..], &digests.to_uppercase(), &digests.replacen("0f", "é", 1)] {
            assert!(Memo::decode(bad).is_err(), "{bad}");
        }
        for bad in ["x", ":", "0:", "+1:a", "01:a", "2:a", "1:é", "1:ab", "300:", "99999999999999999999:a"] {
            assert!(Memo::decode(&format!("{digests}{bad}")).is_err(), "{bad}");
        }
        let long = Memo { key: [0; 16], request: [0; 16], ids: vec!["i".repeat(256); MEMO_BYTES_MAX / 256] };
        assert!(Memo::decode(&long.encode()).is_err(), "longer than the limit");
    }
}
