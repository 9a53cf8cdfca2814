//! How far is a limit used?
//!
//! A meter for each subject that came today and has a limit: the moment at which its rate is free again, and what it did this
//! day. Requests come one by one to a meter, so no two see the same last place.
//!
//! Invariants:
//! 1. A rate is one number (the generic cell rate algorithm): requests a second with a burst, no timer, nothing to fill up.
//! 2. A new day begins at nothing, in UTC.
//! 3. When there are too many meters, those with the least on them go, so that whoever invents names loses nobody else's count.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::control::quotas::Subject;

/// So many meters at most; about a hundred bytes each.
pub(super) const METERS_MAX: usize = 1 << 20;
const SHARDS: usize = 16;
const SECOND_US: f64 = 1e6;

#[derive(Debug, Clone, Copy, Default)]
struct Meter {
    /// When the last admitted request's share of the rate is over, in microseconds since the start.
    free_us: u64,
    day: u32,
    queries: u64,
    tokens: u64,
}

/// How a rate stands after a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    /// Requests that may come at once now.
    pub(super) remaining: u64,
    /// Until all of the burst is there again, or, of a refusal, until one may come.
    pub(super) wait_us: u64,
}

/// All meters.
pub(super) struct Meters {
    shards: [Mutex<HashMap<Subject, Meter>>; SHARDS],
    shard_max: usize,
    state: RandomState,
    started: Instant,
}

impl Meters {
    pub(super) fn new(meters_max: usize) -> Self {
        let shard_max = (meters_max / SHARDS).max(2);
        Self { shards: Default::default(), shard_max, state: RandomState::new(), started: Instant::now() }
    }

    pub(super) fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Lets `act` change a meter, which is brought to this day first, if one is given.
    fn with<T>(&self, subject: &Subject, day: Option<u32>, act: impl FnOnce(&mut Meter) -> T) -> T {
        let at = (self.state.hash_one(subject) % SHARDS as u64) as usize;
        let mut shard: MutexGuard<'_, _> = self.shards[at].lock().unwrap_or_else(PoisonError::into_inner);
        if !shard.contains_key(subject) && shard.len() >= self.shard_max {
            thin_out(&mut shard);
        }
        let meter = shard.entry(subject.clone()).or_default();
        if let Some(day) = day.filter(|day| *day != meter.day) {
            (meter.day, meter.queries, meter.tokens) = (day, 0, 0);
        }
        act(meter)
    }

    /// Takes a request out of a rate at this moment.
    pub(super) fn take_request(
        &self,
        subject: &Subject,
        (per_second, burst): (f64, u64),
        now_us: u64,
    ) -> Result<Rate, Rate> {
        let each = SECOND_US / per_second;
        let room = each * burst as f64;
        self.with(subject, None, |meter| {
            let begin = meter.free_us.max(now_us);
            let end = begin as f64 + each;
            let ahead = end - now_us as f64;
            // Half a microsecond for what was lost in rounding.
            if ahead > room + 0.5 {
                return Err(Rate { remaining: 0, wait_us: (ahead - room).ceil() as u64 });
            }
            meter.free_us = end.round() as u64;
            Ok(Rate { remaining: ((room - ahead + 0.5) / each) as u64, wait_us: ahead.ceil() as u64 })
        })
    }

    /// Gives a request back that another limit refused.
    pub(super) fn give_request_back(&self, subject: &Subject, per_second: f64) {
        self.with(subject, None, |meter| {
            meter.free_us = meter.free_us.saturating_sub((SECOND_US / per_second) as u64);
        });
    }

    /// Takes a query out of a day; answers how many are left, or how many were made.
    pub(super) fn take_query(&self, subject: &Subject, day: u32, limit: u64) -> Result<u64, u64> {
        self.with(subject, Some(day), |meter| {
            if meter.queries >= limit {
                return Err(meter.queries);
            }
            meter.queries += 1;
            Ok(limit - meter.queries)
        })
    }

    /// Gives back a query that was not answered, unless its day is over.
    pub(super) fn give_query_back(&self, subject: &Subject, day: u32) {
        self.with(subject, None, |meter| {
            if meter.day == day {
                meter.queries = meter.queries.saturating_sub(1);
            }
        });
    }

    /// Takes tokens out of a day; fails with how many were used.
    pub(super) fn take_tokens(
        &self,
        subject: &Subject,
        day: u32,
        tokens: u64,
        limit: u64,
    ) -> Result<(), u64> {
        self.with(subject, Some(day), |meter| {
            let used = meter.tokens.saturating_add(tokens);
            if used > limit {
                return Err(meter.tokens);
            }
            meter.tokens = used;
            Ok(())
        })
    }

    pub(super) fn give_tokens_back(&self, subject: &Subject, day: u32, tokens: u64) {
        self.with(subject, None, |meter| {
            if meter.day == day {
                meter.tokens = meter.tokens.saturating_sub(tokens);
            }
        });
    }

    /// The tokens of a day.
    pub(super) fn tokens(&self, subject: &Subject, day: u32) -> u64 {
        self.with(subject, Some(day), |meter| meter.tokens)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Sets what was done on a day, as usage has it.
    pub(super) fn learn(&self, subject: &Subject, day: u32, queries: u64, tokens: u64) {
        self.with(subject, Some(day), |meter| (meter.queries, meter.tokens) = (queries, tokens));
    }
}

/// Halves a shard: who has done least today goes first.
fn thin_out(shard: &mut HashMap<Subject, Meter>) {
    let day = shard.values().map(|meter| meter.day).max().unwrap_or(0);
    let weight =
        |meter: &Meter| if meter.day == day { meter.queries.saturating_add(meter.tokens) } else { 0 };
    let mut weights: Vec<u64> = shard.values().map(weight).collect();
    let middle = weights.len() / 2;
    let (_, median, _) = weights.select_nth_unstable(middle);
    let median = *median;
    let mut excess = middle;
    shard.retain(|_, meter| {
        let goes = weight(meter) <= median && excess > 0;
        excess -= usize::from(goes);
        !goes
    });
}
