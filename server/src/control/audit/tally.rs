//! How are refusals written down without a flood of them filling the disk?
//!
//! Counted in memory by who, what and why, and written as one row for each of these and minute: the first within about a
//! second, with the next round of maintenance or the next reading of the log, and those that follow within the minute as a
//! number, once it is over.
//!
//! Invariants:
//! 1. However many refusals there are, no more rows are written than there are (who, what, why) in a minute.
//! 2. A crash loses what was counted and not written: about a second of first refusals, a minute of the rest.

use std::collections::HashMap;

use strongroom_engine::WorkspaceId;

use super::{Action, Actor, By, Entry, Outcome};

/// More kinds of refusals than these are not told apart; the rest of a minute is told in the log alone.
const KINDS_MAX: usize = 10_000;
const MINUTE_MS: u64 = 60_000;

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    workspace: WorkspaceId,
    actor: Actor,
    action: Action,
    resource: Option<String>,
    outcome: Outcome,
}

/// How often, since when, and in which request first.
#[derive(Debug)]
struct Count {
    by: By,
    unwritten: u64,
    written_minute: Option<u64>,
}

/// The refusals that are not written yet.
#[derive(Debug, Default)]
pub(in crate::control) struct Tally(HashMap<Kind, Count>);

impl Tally {
    /// Counts one. `false` when there is no room to tell it from others.
    pub(super) fn count(&mut self, entry: Entry) -> bool {
        let Entry { workspace, by, action, resource, outcome, times, .. } = entry;
        let kind = Kind { workspace, actor: by.actor.clone(), action, resource, outcome };
        if self.0.len() >= KINDS_MAX && !self.0.contains_key(&kind) {
            return false;
        }
        let fresh = Count { by: by.clone(), unwritten: 0, written_minute: None };
        let count = self.0.entry(kind).or_insert(fresh);
        if count.unwritten == 0 {
            count.by = by;
        }
        count.unwritten = count.unwritten.saturating_add(times);
        true
    }

    /// Takes what is due to be written at this time; all that there is when `all`.
    pub(super) fn take(&mut self, now_ms: u64, all: bool) -> Vec<Entry> {
        let minute = now_ms / MINUTE_MS;
        let mut due = Vec::new();
        self.0.retain(|kind, count| {
            let is_over = count.written_minute != Some(minute);
            if count.unwritten > 0 && (all || is_over) {
                let Kind { workspace, action, resource, outcome, .. } = kind.clone();
                let (by, times) = (count.by.clone(), std::mem::take(&mut count.unwritten));
                due.push(Entry {
                    workspace,
                    by,
                    action,
                    resource,
                    receipt: None,
                    outcome,
                    times,
                    note: None,
                });
                count.written_minute = Some(minute);
                return true;
            }
            count.unwritten > 0 || !is_over
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: &'static str, request: &str) -> Entry {
        let by = By { request_id: Some(request.to_owned()), ..By::system() }.with_actor(Actor::Operator);
        let outcome = Outcome::Refused(code);
        Entry { outcome, ..Entry::done(WorkspaceId([1; 16]), by, Action::Denied, "GET /x") }
    }

    /// Lost otherwise: whoever asks for what they may not, again and again, would fill the disk with their refusals; or
    /// be told of once and forgotten.
    #[test]
    fn a_minute_of_one_refusal_is_one_row() {
        let mut tally = Tally::default();
        let told = |due: Vec<Entry>| {
            due.into_iter().map(|entry| (entry.times, entry.by.request_id.unwrap())).collect::<Vec<_>>()
        };
        for request in ["a", "b"] {
            assert!(tally.count(refusal("scope_missing", request)));
        }
        assert_eq!(told(tally.take(0, false)), [(2, "a".to_owned())]);
        for request in ["c", "d", "e"] {
            assert!(tally.count(refusal("scope_missing", request)));
            assert!(tally.take(59_999, false).is_empty());
        }
        assert!(tally.count(refusal("pinned_key", "f")), "another reason is another row");
        assert_eq!(told(tally.take(59_999, false)), [(1, "f".to_owned())]);
        assert_eq!(told(tally.take(60_000, false)), [(3, "c".to_owned())]);
        assert!(tally.count(refusal("scope_missing", "g")));
        assert_eq!(told(tally.take(60_001, true)), [(1, "g".to_owned())], "a stop waits for no minute");
        assert!(tally.take(180_000, false).is_empty() && tally.0.is_empty(), "nothing is kept for ever");
    }

    /// Lost otherwise: keys made for the purpose would have the server hold as many refusals as its memory takes.
    #[test]
    fn only_so_many_are_told_apart() {
        let mut tally = Tally::default();
        let of = |number: usize| Entry { resource: Some(number.to_string()), ..refusal("x", "a") };
        assert!((0..KINDS_MAX).all(|number| tally.count(of(number))));
        assert!(!tally.count(of(KINDS_MAX)) && tally.count(of(0)));
    }
}
