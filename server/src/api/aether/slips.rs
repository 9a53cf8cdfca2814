//! Which partitions of a collection may have been meant to be one?
//!
//! Two ids make a pair when they look the same (see `look_alikes`), or when one slip of the hand leads from what one looks like to what
//! the other does: a letter too many, one too few, another one, or two that changed places. Ids that differ in a figure are
//! numbers, not slips, and where many differ at one place they are a series. The work grows with the letters of all ids, not
//! with the pairs that could be made of them: an id is looked up under what is left of it without each of its letters (the
//! deletion neighbourhood of Mor and Fraenkel, 1982), in as many passes as keep memory bounded.
//!
//! Invariants:
//! 1. Ids are told to those alone who may list all partitions of the collection.
//! 2. Nothing is kept of one call for another.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::look_alikes::skeleton;
use super::partitions::require_collection;
use crate::auth::DEFAULT_COLLECTION;
use crate::call::Call;
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::random;

/// Shorter ids differ by one letter without anybody's mistake.
const LETTERS_MIN: usize = 5;

/// Longer ids are no hand's.
const LETTERS_MAX: usize = 64;

/// Ids that are alike but for one place, beyond so many, are a series.
const SERIES_MIN: usize = 16;

/// So many remainders of ids are compared in one pass: 64 MiB.
const PASS_ENTRIES: usize = 4 << 20;

/// So many pairs may be passed over.
const OFFSET_MAX: u64 = 100_000;

/// A partition of a pair.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LookAlike")]
struct Told {
    id: String,
    document_count: u64,
}

/// Two partitions.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LookAlikePair")]
struct Pair {
    /// The one with fewer documents.
    from: Told,
    /// The other.
    into: Told,
    /// `same_look`: case, white space, invisible or look-alike letters alone tell them apart. `one_slip`: one letter does.
    reason: &'static str,
}

/// Pairs of partitions, in the order of their ids.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LookAlikes")]
pub(crate) struct List {
    pairs: Vec<Pair>,
    offset: u64,
    limit: u64,
    has_more: bool,
}

/// `GET /v1/look-alikes`
pub(crate) async fn list(call: Call) -> Result<Answer<List>, ApiError> {
    let collection = call.query.get("collection").unwrap_or(DEFAULT_COLLECTION).to_owned();
    let (app, scope) = (call.app.clone(), call.caller()?.whole_collection(&collection)?);
    let offset = call.query.number("offset", 0..=OFFSET_MAX)?.unwrap_or(0);
    let limit = call.query.number("limit", 1..=1000)?.unwrap_or(50);
    require_collection(&app, scope.workspace(), &collection)?;
    let pool = app.pool.clone();
    pool.run(move || {
        let all = app.store.partitions(&scope, &collection)?;
        let named = all.iter().filter_map(|info| Some((info.name.as_ref()?.as_str(), info.counts.documents)));
        let named: Vec<(&str, u64)> = named.collect();
        let found = pairs(&named, (offset + limit) as usize + 1, u64::from_le_bytes(random::bytes()));
        let told =
            |at: u32| Told { id: named[at as usize].0.to_owned(), document_count: named[at as usize].1 };
        let shown = found.iter().skip(offset as usize).take(limit as usize);
        let pairs = shown.map(|&(a, b, reason)| {
            let (from, into) = if named[a as usize].1 > named[b as usize].1 { (b, a) } else { (a, b) };
            Pair { from: told(from), into: told(into), reason: reason.word() }
        });
        let pairs = pairs.collect();
        json::answer(
            StatusCode::OK,
            &List { pairs, offset, limit, has_more: found.len() as u64 > offset + limit },
        )
    })
    .await
}

/// Why two ids are a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    SameLook,
    OneSlip,
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Self::SameLook => "same_look",
            Self::OneSlip => "one_slip",
        }
    }
}

/// The first pairs of these ids, which are sorted, each as the places of both.
fn pairs(named: &[(&str, u64)], most: usize, base: u64) -> Vec<(u32, u32, Reason)> {
    let mut first = First { most, pairs: BTreeSet::new() };
    let looks: Vec<Vec<char>> = named.iter().map(|(id, _)| skeleton(id).chars().collect()).collect();
    let mut order: Vec<u32> = (0..named.len() as u32).collect();
    order.sort_unstable_by(|a, b| looks[*a as usize].cmp(&looks[*b as usize]).then(a.cmp(b)));
    // Of those that look the same the one with the most documents stands for all.
    let mut heads = Vec::new();
    for group in order.chunk_by(|a, b| looks[*a as usize] == looks[*b as usize]) {
        let head = group.iter().copied().max_by_key(|at| (named[*at as usize].1, u32::MAX - at));
        let Some(head) = head else { continue };
        group.iter().filter(|at| **at != head).for_each(|at| first.add(*at, head, Reason::SameLook));
        if (LETTERS_MIN..=LETTERS_MAX).contains(&looks[head as usize].len()) {
            heads.push(head);
        }
    }
    let entries: usize = heads.iter().map(|head| looks[*head as usize].len() + 1).sum();
    let passes = entries.div_ceil(PASS_ENTRIES) as u64;
    let mut remainders: Vec<(u64, u32)> = Vec::with_capacity(entries.min(2 * PASS_ENTRIES));
    for pass in 0..passes {
        remainders.clear();
        for head in &heads {
            each_remainder(&looks[*head as usize], base, |hash| {
                if hash % passes == pass {
                    remainders.push((hash, *head));
                }
            });
        }
        remainders.sort_unstable();
        remainders.dedup();
        for alike in remainders.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() <= SERIES_MIN) {
            for (number, (_, a)) in alike.iter().enumerate() {
                for (_, b) in &alike[number + 1..] {
                    if is_one_slip(&looks[*a as usize], &looks[*b as usize]) {
                        first.add(*a, *b, Reason::OneSlip);
                    }
                }
            }
        }
    }
    first.pairs.into_iter().collect()
}

/// The first so many of what comes in no order.
struct First {
    most: usize,
    pairs: BTreeSet<(u32, u32, Reason)>,
}

impl First {
    fn add(&mut self, a: u32, b: u32, reason: Reason) {
        self.pairs.insert((a.min(b), a.max(b), reason));
        if self.pairs.len() > self.most {
            self.pairs.pop_last();
        }
    }
}

/// A prime, of which hashes are remainders.
const PRIME: u64 = (1 << 61) - 1;

fn times(a: u64, b: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(PRIME)) as u64
}

/// Hashes what is left of a text without each of its letters that is no figure, and the whole of it. `base` is nobody's to guess, so
/// nobody chooses ids whose hashes are the same.
fn each_remainder(letters: &[char], base: u64, mut each: impl FnMut(u64)) {
    let base = base % (PRIME - 2) + 2;
    let hash = |before: u64, letter: char| (times(before, base) + u64::from(letter) + 1) % PRIME;
    let whole = letters.iter().fold(0, |before, letter| hash(before, *letter));
    each(whole);
    // The hash of all before a letter, moved by what comes after it, and the hash of what comes after it.
    let mut befores = Vec::with_capacity(letters.len());
    letters.iter().fold(0, |before, letter| {
        befores.push(before);
        hash(before, *letter)
    });
    let (mut after, mut power) = (0, 1);
    for (at, letter) in letters.iter().enumerate().rev() {
        if !letter.is_numeric() {
            each((times(befores[at], power) + after) % PRIME);
        }
        after = (after + times(u64::from(*letter) + 1, power)) % PRIME;
        power = times(power, base);
    }
}

/// Whether one letter too many, another one, or two that changed places lead from one to the other.
fn is_one_slip(a: &[char], b: &[char]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let begin = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let (short, long) = (&short[begin..], &long[begin..]);
    let end = short.iter().rev().zip(long.iter().rev()).take_while(|(a, b)| a == b).count();
    let is_letter = |letter: &char| !letter.is_numeric();
    match (&short[..short.len() - end], &long[..long.len() - end]) {
        ([], [one]) => is_letter(one),
        ([one], [other]) => is_letter(one) && is_letter(other),
        ([a, b], [c, d]) => a == d && b == c && is_letter(a) && is_letter(b),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ids: &[&str]) -> Vec<(String, String, &'static str)> {
        let mut named: Vec<(&str, u64)> = ids.iter().map(|id| (*id, 1)).collect();
        named.sort_unstable();
        let told = |at: u32| named[at as usize].0.to_owned();
        let found = pairs(&named, 1000, 0x1234_5678_9abc_def1);
        found.into_iter().map(|(a, b, reason)| (told(a), told(b), reason.word())).collect()
    }

    /// Lost otherwise: a client's data would stay split between two ids that a slip of the hand made.
    #[test]
    fn slips_are_found() {
        for (slip, reason) in [
            ("Client_Acme", "same_look"),
            ("client_acmе", "same_look"),
            ("client_acm", "one_slip"),
            ("clientacme", "one_slip"),
            ("lient_acme", "one_slip"),
            ("client_acmee", "one_slip"),
            ("xclient_acme", "one_slip"),
            ("client_acne", "one_slip"),
            ("client-acme", "one_slip"),
            ("cleint_acme", "one_slip"),
            ("client_acem", "one_slip"),
            ("CLIENT_ACNE ", "one_slip"),
        ] {
            let found = found(&["client_acme", slip, "globex", "initech"]);
            assert_eq!(found.len(), 1, "{slip}: {found:?}");
            assert_eq!(found[0].2, reason, "{slip}");
        }
    }

    /// Lost otherwise: the list would cry wolf, and nobody would read it.
    #[test]
    fn what_differs_is_no_pair() {
        for other in ["client_amce_", "cilent_acem", "client_ac", "clientacm", "client_acme2", "客户客户客户"]
        {
            assert_eq!(found(&["client_acme", other]), [], "{other}");
        }
        assert_eq!(found(&["acme", "acne", "abc", "abd"]), [], "short ids");
        assert_eq!(found(&["cust-0001", "cust-0002", "cust-00011", "cust-0010", "cust-001"]), [], "numbers");
        let series: Vec<String> = ('a'..='z').map(|letter| format!("region-{letter}")).collect();
        let series: Vec<&str> = series.iter().map(String::as_str).collect();
        assert_eq!(found(&series), [], "a series");
        let long = "a".repeat(LETTERS_MAX + 1);
        assert_eq!(found(&[&long, &long[1..]]), [], "no hand's");
    }

    /// Lost otherwise: of some ids the slip would be found and of others not, as their hashes fall.
    #[test]
    fn what_is_found_is_what_a_look_at_all_pairs_finds() {
        let mut state = 7_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let letters: Vec<char> = "abc1-é".chars().collect();
        for _ in 0..50 {
            let count = 8;
            let ids: BTreeSet<String> = (0..count)
                .map(|_| (0..5 + next(3)).map(|_| letters[next(letters.len() as u64) as usize]).collect())
                .collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let mut expected = Vec::new();
            for (number, a) in ids.iter().enumerate() {
                for b in &ids[number + 1..] {
                    let [one, other] = [a, b].map(|id| id.chars().collect::<Vec<_>>());
                    if is_one_slip(&one, &other) {
                        expected.push(((*a).to_owned(), (*b).to_owned(), "one_slip"));
                    }
                }
            }
            assert_eq!(found(&ids), expected, "{ids:?}");
        }
    }

    /// Lost otherwise: what a page leaves out would be on no page.
    #[test]
    fn the_first_pairs_are_the_same_however_many_are_asked_for() {
        let ids: Vec<String> = (0..40).map(|n| format!("customer{}", "a".repeat(n))).collect();
        let mut named: Vec<(&str, u64)> = ids.iter().map(|id| (id.as_str(), 1)).collect();
        named.extend([("Customer", 3), ("customer ", 2), ("CUSTOMER", 9)]);
        named.sort_unstable();
        let all = pairs(&named, 1000, 99);
        assert!(all.len() > 3, "{all:?}");
        for most in 0..all.len() {
            assert_eq!(pairs(&named, most, 1234), all[..most]);
        }
    }
}
