//! Which requests were answered already, and with what?
//!
//! A partition keeps a memo of each write that came with a key of the caller's, for [`KEPT_MS`]: written in the batch of what
//! the request wrote, carried from segment to segment, sealed and shredded like everything else here. A memo names documents
//! by their ids and tells nothing of what was in them, so a purge needn't look through memos.
//!
//! Invariants:
//! 1. Of two memos of one key the one with the higher record holds.
//! 2. A memo that is older than the newest by more than [`KEPT_MS`] is forgotten; whoever asks compares with the clock.

use std::collections::{HashMap, VecDeque};
use strongroom_format::memo::Memo;
use strongroom_format::record::{Change, ChangeKind};
use strongroom_format::segment::ChangeRow;

/// How long an answered request is remembered, in milliseconds: 24 hours.
pub const KEPT_MS: u64 = 24 * 60 * 60 * 1000;

/// How many requests a partition remembers at once.
pub const MEMOS_MAX: usize = 1 << 20;

/// What a memo costs beside its text, roughly, in bytes.
const MEMO_OVERHEAD_BYTES: u64 = 96;

/// A memo's text, and where it stands.
struct Noted {
    record: u64,
    at_ms: u64,
    text: Box<str>,
}

/// The memos of an open partition.
#[derive(Default)]
pub(super) struct Memos {
    by_key: HashMap<[u8; 16], Noted>,
    /// In the order in which they came, with their times; some may have been replaced since.
    order: VecDeque<(u64, [u8; 16])>,
    bytes: u64,
}

impl Memos {
    /// Takes over a memo that is durable.
    pub(super) fn note(&mut self, row: &ChangeRow) {
        let Some(key) = Memo::key_of(&row.change.id) else { return };
        if self.by_key.get(&key).is_some_and(|noted| noted.record > row.record) {
            return;
        }
        let at_ms = row.change.at_ms;
        let noted = Noted { record: row.record, at_ms, text: row.change.id.as_str().into() };
        self.bytes += bytes(&noted);
        if let Some(old) = self.by_key.insert(key, noted) {
            self.bytes -= bytes(&old);
        }
        self.order.push_back((at_ms, key));
        while let Some(&(oldest_ms, key)) = self.order.front()
            && oldest_ms.saturating_add(KEPT_MS) < at_ms
        {
            self.order.pop_front();
            if self.by_key.get(&key).is_some_and(|noted| noted.at_ms == oldest_ms)
                && let Some(old) = self.by_key.remove(&key)
            {
                self.bytes -= bytes(&old);
            }
        }
    }

    /// What is remembered under a key, and since when.
    pub(super) fn find(&self, key: &[u8; 16], now_ms: u64) -> Option<(Memo, u64)> {
        let noted = self.by_key.get(key).filter(|noted| is_kept(noted.at_ms, now_ms))?;
        Memo::decode(&noted.text).ok().map(|memo| (memo, noted.at_ms))
    }

    /// Whether there is no room for another one; else those that are over would have to go first.
    pub(super) fn is_full(&self, now_ms: u64) -> bool {
        self.by_key.len() >= MEMOS_MAX
            && self.order.front().is_some_and(|(oldest_ms, _)| is_kept(*oldest_ms, now_ms))
    }

    /// Whether this memo is still to be kept.
    pub(super) fn holds(&self, row: &ChangeRow, now_ms: u64) -> bool {
        let key = Memo::key_of(&row.change.id);
        let noted = key.and_then(|key| self.by_key.get(&key));
        noted.is_some_and(|noted| noted.record == row.record && is_kept(noted.at_ms, now_ms))
    }

    /// All that are still to be kept, in the order of their records.
    pub(super) fn rows(&self, now_ms: u64) -> Vec<ChangeRow> {
        let kept = self.by_key.values().filter(|noted| is_kept(noted.at_ms, now_ms));
        let row = |noted: &Noted| {
            let change =
                Change { kind: ChangeKind::Answered, at_ms: noted.at_ms, id: noted.text.to_string() };
            ChangeRow { record: noted.record, change }
        };
        let mut rows: Vec<ChangeRow> = kept.map(row).collect();
        rows.sort_unstable_by_key(|row| row.record);
        rows
    }

    /// What they take in memory, roughly.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn bytes(noted: &Noted) -> u64 {
    noted.text.len() as u64 + MEMO_OVERHEAD_BYTES
}

fn is_kept(at_ms: u64, now_ms: u64) -> bool {
    now_ms < at_ms.saturating_add(KEPT_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: u8, record: u64, at_ms: u64) -> ChangeRow {
        let memo = Memo { key: [key; 16], request: [0; 16], ids: vec![format!("doc_{record}")] };
        ChangeRow { record, change: Change { kind: ChangeKind::Answered, at_ms, id: memo.encode() } }
    }

    /// Lost otherwise: keys would be kept for ever, or a client that retries within a day would insert twice.
    #[test]
    fn a_memo_is_kept_for_a_day_and_no_longer() {
        let mut memos = Memos::default();
        memos.note(&row(1, 1, 1000));
        assert!(memos.find(&[1; 16], 1000 + KEPT_MS - 1).is_some());
        assert!(memos.find(&[1; 16], 1000 + KEPT_MS).is_none());
        assert!(memos.holds(&row(1, 1, 1000), 1000) && !memos.holds(&row(1, 1, 1000), 1000 + KEPT_MS));
        // The same key, used again, and a record that comes late.
        memos.note(&row(1, 7, 1001 + KEPT_MS));
        memos.note(&row(1, 5, 2000));
        let (memo, at_ms) = memos.find(&[1; 16], 1001 + KEPT_MS).expect("a memo");
        assert_eq!((memo.ids, at_ms), (vec!["doc_7".to_owned()], 1001 + KEPT_MS));
        memos.note(&row(2, 8, 2000 + KEPT_MS));
        assert_eq!(memos.rows(2000 + KEPT_MS), [row(1, 7, 1001 + KEPT_MS), row(2, 8, 2000 + KEPT_MS)]);
        memos.note(&row(3, 9, 9000 + 2 * KEPT_MS));
        assert_eq!((memos.by_key.len(), memos.order.len()), (1, 1), "the others are over");
        assert_eq!(memos.bytes(), MEMO_OVERHEAD_BYTES + row(3, 9, 0).change.id.len() as u64);
    }
}
