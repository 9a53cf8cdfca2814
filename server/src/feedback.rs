//! How does a search's feedback come back to the partition that was searched?
//!
//! An answer that found something carries an id for the search: which partition it was and when, sealed under the workspace's key. It can't be
//! forged, tells its holder nothing, and nothing is kept of it here. Whoever reports what became of a document sends it back.
//!
//! Invariants:
//! 1. An id opens in its own workspace alone, for [`GOOD_FOR_MS`].
//! 2. A report that comes again while this process lives is counted once, as far as [`KNOWN_MAX`] reports are remembered.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use strongroom_engine::{PartitionName, Scope, Store};

use crate::auth::Place;
use crate::clock::{self, DAY_MS};
use crate::message::error::ApiError;
use crate::random;

/// For how long a search's feedback is taken, in milliseconds.
const GOOD_FOR_MS: u64 = 7 * DAY_MS;
/// Reports that are remembered, so that one that comes again isn't counted again.
const KNOWN_MAX: usize = 1 << 16;
/// What an id begins with.
const MARK: &str = "qry_";
/// What is sealed begins so, and nothing else does that is sealed under a workspace's key.
const LABEL: &[u8] = b"query 1\0";
/// An id is at most so long: the longest name of a partition has 1,024 bytes.
const ID_CHARS_MAX: usize = 4096;

/// A search that feedback is of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Searched {
    /// `None` for the default partition.
    pub(crate) partition: Option<PartitionName>,
}

/// An id for a search in this place, now.
pub(crate) fn query_id(store: &Store, place: &Place) -> Result<String, ApiError> {
    let mut text = LABEL.to_vec();
    text.extend_from_slice(&clock::now_ms().to_le_bytes());
    text.push(u8::from(place.at.partition.is_some()));
    text.extend_from_slice(place.partition().unwrap_or_default().as_bytes());
    let sealed = store.seal_secret(&place.scope, &text)?;
    Ok(format!("{MARK}{}", random::hex(&sealed)))
}

/// The search that an id is of; `None` when it is none of this workspace's, or too old.
pub(crate) fn searched(store: &Store, scope: &Scope, id: &str) -> Result<Option<Searched>, ApiError> {
    let sealed = id.strip_prefix(MARK).filter(|_| id.len() <= ID_CHARS_MAX).and_then(bytes);
    let Some(sealed) = sealed else { return Ok(None) };
    let opened = store.open_secret(scope, &sealed)?;
    Ok(opened.and_then(|text| read(&text, clock::now_ms())))
}

fn read(text: &[u8], now_ms: u64) -> Option<Searched> {
    let rest = text.strip_prefix(LABEL)?;
    let (at_ms, rest) = rest.split_first_chunk::<8>()?;
    let (named, name) = rest.split_first()?;
    let end_ms = u64::from_le_bytes(*at_ms).saturating_add(GOOD_FOR_MS);
    if now_ms >= end_ms {
        return None;
    }
    match named {
        0 => Some(Searched { partition: None }),
        _ => Some(Searched { partition: Some(PartitionName::new(std::str::from_utf8(name).ok()?).ok()?) }),
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    if !digits.len().is_multiple_of(2)
        || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    {
        return None;
    }
    digits.chunks_exact(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// The reports that came lately.
#[derive(Debug, Default)]
pub(crate) struct Feedback(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    reports: HashSet<[u8; 16]>,
    order: VecDeque<[u8; 16]>,
}

impl Feedback {
    /// Whether a report has not come before.
    pub(crate) fn is_new(&self, query_id: &str, document: &str, signal: &str) -> bool {
        let mut digest = Sha256::new();
        for part in [query_id, document, signal] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        let digest: [u8; 32] = digest.finalize().into();
        let mut report = [0; 16];
        report.copy_from_slice(&digest[..16]);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.reports.insert(report) {
            return false;
        }
        known.order.push_back(report);
        if known.order.len() > KNOWN_MAX
            && let Some(oldest) = known.order.pop_front()
        {
            known.reports.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(at_ms: u64, named: u8, name: &[u8]) -> Vec<u8> {
        [LABEL, &at_ms.to_le_bytes(), &[named], name].concat()
    }

    /// Lost otherwise: an id would be good for ever, or feedback would be counted for another partition than was searched.
    #[test]
    fn an_id_says_which_partition_for_a_week() {
        let of = |partition: Option<&str>| {
            Some(Searched { partition: partition.map(|name| PartitionName::new(name).unwrap()) })
        };
        assert_eq!(read(&text(5, 0, b""), 5), of(None));
        assert_eq!(read(&text(5, 1, b"acme"), 4 + GOOD_FOR_MS), of(Some("acme")));
        assert_eq!(read(&text(5, 1, b"acme"), 5 + GOOD_FOR_MS), None);
        for wrong in [&text(5, 1, b"acme")[1..], &text(5, 1, b"\xff"), &text(5, 1, b".."), LABEL, b""] {
            assert_eq!(read(wrong, 5), None);
        }
    }

    /// Lost otherwise: a client that asks again after a lost answer would be counted twice.
    #[test]
    fn a_report_counts_once() {
        let feedback = Feedback::default();
        assert!(feedback.is_new("q", "d", "used") && !feedback.is_new("q", "d", "used"));
        assert!(feedback.is_new("q", "d", "cited") && feedback.is_new("qd", "", "used"));
        assert!((0..KNOWN_MAX).all(|number| feedback.is_new("r", &number.to_string(), "used")));
        assert_eq!(feedback.0.lock().unwrap().reports.len(), KNOWN_MAX);
    }
}
