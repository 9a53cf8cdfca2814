//! May this request be made now?
//!
//! One for each request with a key. It takes the request out of every rate that applies and each query out of every day,
//! remembers what it took, and says at the end how the tightest limit stands.
//!
//! Invariants:
//! 1. What one limit refuses is given back to the others.
//! 2. A request counts once on each subject, however many items of a batch name it; a query counts each time.
//! 3. Queries of a request that failed are given back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::book::Bound;
use super::refusal::{Limit, Refusal, seconds};
use super::{Quotas, rest_of_day_ms};
use crate::auth::{Caller, Place};
use crate::control::quotas::Subject;
use crate::message::error::ApiError;
use crate::usage::today;

/// How the tightest limit stands, for the headers of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Standing {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// Until the limit is whole again.
    pub(crate) reset_seconds: u32,
}

impl Standing {
    fn is_tighter_than(&self, other: &Self) -> bool {
        let share = |standing: &Self| standing.remaining as f64 / standing.limit.max(1) as f64;
        share(self) < share(other)
    }
}

/// One request's passage.
pub(crate) struct Admission {
    quotas: Arc<Quotas>,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    /// Subjects whose rate has counted this request.
    requests: Vec<Subject>,
    queries: Vec<(Subject, u32)>,
    standing: Option<Standing>,
}

impl Admission {
    pub(super) fn new(quotas: Arc<Quotas>) -> Self {
        Self { quotas, taken: Mutex::default() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits the request of a caller.
    pub(crate) fn caller(&self, caller: &Caller) -> Result<(), ApiError> {
        let Ok(workspace) = caller.workspace() else { return Ok(()) };
        let subject = Subject::Workspace(workspace.id);
        let own = self.quotas.get(&subject).map(|quota| Bound { subject, quota });
        let bounds: Vec<_> =
            own.into_iter().chain(self.quotas.bound_of_key(workspace.id, caller.key_id())).collect();
        self.request(&bounds)
    }

    /// Takes the request out of these rates, all or none.
    fn request(&self, bounds: &[Bound]) -> Result<(), ApiError> {
        let mut taken = self.taken();
        let meters = &self.quotas.meters;
        let mut now = Vec::new();
        for Bound { subject, quota } in bounds {
            let Some(per_second) = quota.requests_per_second else { continue };
            if taken.requests.contains(subject) {
                continue;
            }
            let burst = quota.burst.unwrap_or_else(|| (per_second.ceil() as u64).max(1));
            let outcome = meters.take_request(subject, (per_second, burst), meters.now_us());
            let (Ok(rate) | Err(rate)) = outcome;
            let reset_seconds = seconds(rate.wait_us);
            taken.tell(Standing { limit: burst, remaining: rate.remaining, reset_seconds });
            if outcome.is_err() {
                for (subject, per_second) in now {
                    meters.give_request_back(subject, per_second);
                }
                return Err(Refusal::new(subject, Limit::rate(per_second, rate.wait_us)).error());
            }
            now.push((subject, per_second));
        }
        let counted: Vec<_> = now.into_iter().map(|(subject, _)| subject.clone()).collect();
        taken.requests.extend(counted);
        Ok(())
    }

    /// Admits the request to a partition; with a query, if it is one.
    pub(crate) fn place(&self, place: &Place, is_query: bool) -> Result<(), ApiError> {
        let mut bounds = self.quotas.bounds_of(place);
        self.request(&bounds)?;
        if !is_query {
            return Ok(());
        }
        bounds.extend(self.quotas.bound_of_key(place.scope.workspace(), place.key()));
        let (mut taken, today) = (self.taken(), today());
        let before = taken.queries.len();
        for Bound { subject, quota } in &bounds {
            let Some(limit) = quota.queries_per_day else { continue };
            let outcome = self.quotas.meters.take_query(subject, today, limit);
            let reset_seconds = seconds(rest_of_day_ms().saturating_mul(1000));
            taken.tell(Standing { limit, remaining: *outcome.as_ref().unwrap_or(&0), reset_seconds });
            if let Err(used) = outcome {
                for (subject, day) in taken.queries.drain(before..) {
                    self.quotas.meters.give_query_back(&subject, day);
                }
                return Err(Refusal::new(subject, Limit::by_day("queries a day", limit, used)).error());
            }
            taken.queries.push((subject.clone(), today));
        }
        Ok(())
    }

    /// Ends the request: what failed has made no queries. Answers how the tightest limit stands.
    pub(crate) fn end(&self, is_done: bool) -> Option<Standing> {
        let mut taken = self.taken();
        let queries = std::mem::take(&mut taken.queries);
        if !is_done {
            for (subject, day) in queries {
                self.quotas.meters.give_query_back(&subject, day);
            }
        }
        taken.standing
    }
}

impl Drop for Admission {
    /// A client that went away got no answer.
    fn drop(&mut self) {
        self.end(false);
    }
}

impl Taken {
    fn tell(&mut self, standing: Standing) {
        if self.standing.is_none_or(|known| standing.is_tighter_than(&known)) {
            self.standing = Some(standing);
        }
    }
}
