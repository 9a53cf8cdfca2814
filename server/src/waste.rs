//! What does it cost somebody to send what is refused, again and again?
//!
//! Reading a body of tens of megabytes takes the processor from others, whether anything comes of it or not. So whoever sends
//! bodies that are refused owes their bytes. Debts go by themselves, so many bytes a second; who owes more than [`FREE_SECONDS`] of
//! that is answered the more slowly, and in the end has large bodies refused unread. Only refusals wait: what is valid is never
//! slower for it, until a debt is deep.
//!
//! Invariants:
//! 1. A debtor pays alone: a key, within the partition that the request names before its body; without a key an address, of which only
//!    refusals wait.
//! 2. No refusal waits longer than [`WAIT_MAX`], and no debt takes longer than [`DEBT_SECONDS_MAX`] to go.
//! 3. A request that its peer leaves is charged too: who doesn't wait for refusals gets deeper into debt, not out of it.
//! 4. At most [`DEBTORS_MAX`] debts are kept; when one more comes, those that have gone are forgotten, then all.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::time::Instant;

use crate::message::body::Sent;
use crate::message::error::ApiError;

/// So many seconds' worth of what a debtor pays back costs nothing.
const FREE_SECONDS: u64 = 16;
/// From this many on, large bodies are refused unread.
const DEEP_SECONDS: u64 = 60;
const DEBT_SECONDS_MAX: u64 = 120;
const WAIT_MAX: Duration = Duration::from_secs(5);
const DEBTORS_MAX: usize = 16 << 10;
/// Smaller bodies cost what any request does, and are always read.
const SMALL_BYTES: u64 = 64 << 10;

/// Who owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Debtor(u64);

static HASHES: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Debtor {
    pub(crate) fn new(who: impl Hash) -> Self {
        Self(HASHES.hash_one(who))
    }
}

/// What everybody owes.
#[derive(Debug, Clone)]
pub(crate) struct Waste {
    bytes_per_second: u64,
    debts: Arc<Mutex<HashMap<Debtor, Debt>>>,
}

#[derive(Debug, Clone, Copy)]
struct Debt {
    bytes: u64,
    as_of: Instant,
}

/// How long an answer is to wait, left on it for whoever sends it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait(pub(crate) Duration);

impl Waste {
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), debts: Arc::default() }
    }

    /// Begins to count for a request, of which nobody has said yet whose it is.
    pub(crate) fn begin(&self, sent: Sent, debtor: Debtor) -> Tab {
        Tab { waste: self.clone(), sent, debtor, is_settled: false }
    }

    /// Refuses a large body unread while the debt is deep. `announced_bytes` is what the request says that it has.
    pub(crate) fn may_send(
        &self,
        debtor: Debtor,
        announced_bytes: Option<u64>,
        now: Instant,
    ) -> Result<(), ApiError> {
        if announced_bytes.is_some_and(|bytes| bytes <= SMALL_BYTES) {
            return Ok(());
        }
        let Some(time) = self.deep_for(debtor, now) else { return Ok(()) };
        let text = format!(
            "too many large bodies of this key were refused; what is wrong with them, their answers said. Bodies of up to {} KiB \
             are still read, larger ones again after a while",
            SMALL_BYTES >> 10
        );
        let mut error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_much_refused", text);
        error.retry_after_seconds = Some(time.as_secs_f64().ceil() as u32);
        Err(error)
    }

    /// Adds to a debt, and says how long the answer waits for it.
    fn charge(&self, debtor: Debtor, bytes: u64, now: Instant) -> Duration {
        let mut debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        if debts.len() >= DEBTORS_MAX && !debts.contains_key(&debtor) {
            debts.retain(|_, debt| self.left(*debt, now) > 0);
            if debts.len() >= DEBTORS_MAX {
                debts.clear();
            }
        }
        let debt = debts.entry(debtor).or_insert(Debt { bytes: 0, as_of: now });
        let most = self.bytes_per_second.saturating_mul(DEBT_SECONDS_MAX);
        *debt = Debt { bytes: self.left(*debt, now).saturating_add(bytes).min(most), as_of: now };
        self.time(debt.bytes).saturating_sub(Duration::from_secs(FREE_SECONDS)).min(WAIT_MAX)
    }

    /// How long it is until a debt is no longer deep.
    fn deep_for(&self, debtor: Debtor, now: Instant) -> Option<Duration> {
        let debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.left(*debts.get(&debtor)?, now);
        self.time(left).checked_sub(Duration::from_secs(DEEP_SECONDS)).filter(|time| !time.is_zero())
    }

    fn left(&self, debt: Debt, now: Instant) -> u64 {
        let paid = now.saturating_duration_since(debt.as_of).as_secs_f64() * self.bytes_per_second as f64;
        debt.bytes.saturating_sub(paid as u64)
    }

    /// How long it takes for so many bytes to be paid.
    fn time(&self, bytes: u64) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64)
    }
}

/// What one request may come to owe.
pub(crate) struct Tab {
    waste: Waste,
    sent: Sent,
    debtor: Debtor,
    is_settled: bool,
}

impl Tab {
    /// It is known now whose request it is.
    pub(crate) fn is_of(&mut self, debtor: Debtor) {
        self.debtor = debtor;
    }

    /// Closes the tab over an answer, and says how long that is to wait.
    pub(crate) fn settle(mut self, status: StatusCode, now: Instant) -> Duration {
        self.is_settled = true;
        let is_unread = self.sent.is_unread();
        // Beyond a quota nothing is owed for what was read, but a debtor waits there as well.
        let is_beyond_quota = status == StatusCode::TOO_MANY_REQUESTS;
        let bytes = if is_beyond_quota { 0 } else { self.sent.bytes() };
        let is_for_naught = is_beyond_quota || is_for_naught(status);
        if !is_for_naught || (bytes == 0 && !is_unread) {
            return Duration::ZERO;
        }
        if is_unread {
            let (waste, debtor) = (self.waste.clone(), self.debtor);
            self.sent.tell(move |bytes| {
                waste.charge(debtor, bytes, Instant::now());
            });
        }
        self.waste.charge(self.debtor, bytes, now)
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        if !self.is_settled && self.sent.bytes() > 0 {
            self.waste.charge(self.debtor, self.sent.bytes(), Instant::now());
        }
    }
}

/// Whether nothing came of a body by the fault of who sent it: not where something else was there first.
fn is_for_naught(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 401 | 403 | 404 | 405 | 408 | 413 | 415 | 422)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn sent(bytes: u64) -> Sent {
        let sent = Sent::default();
        sent.add(usize::try_from(bytes).unwrap());
        sent
    }

    fn send(waste: &Waste, debtor: Debtor, bytes: u64, status: u16, now: Instant) -> Duration {
        waste.begin(sent(bytes), debtor).settle(StatusCode::from_u16(status).unwrap(), now)
    }

    /// Lost otherwise: one sender of bad bodies would take the processor from all, or its neighbour would wait for it.
    #[test]
    fn refusals_wait_for_those_who_brought_them() {
        let (waste, now) = (Waste::new(MIB), Instant::now());
        let (bad, good) = (Debtor::new("bad"), Debtor::new("good"));
        assert_eq!(send(&waste, bad, FREE_SECONDS * MIB, 422, now), Duration::ZERO, "some refusals are free");
        assert_eq!(send(&waste, bad, 2 * MIB, 413, now), Duration::from_secs(2));
        assert_eq!(send(&waste, bad, 8 * MIB, 400, now), WAIT_MAX);
        assert_eq!(send(&waste, bad, 8 * MIB, 201, now), Duration::ZERO, "what is valid never waits");
        assert_eq!(send(&waste, good, MIB, 400, now), Duration::ZERO);
        assert_eq!(send(&waste, bad, MIB, 429, now), Duration::ZERO, "a quota is nobody's fault");
        let unread = sent(0);
        unread.leave_unread();
        let refused = waste.begin(unread, bad).settle(StatusCode::TOO_MANY_REQUESTS, now);
        assert_eq!(refused, WAIT_MAX, "what is refused unread waits as well");
        let later = now + Duration::from_secs(10);
        assert_eq!(send(&waste, bad, MIB, 400, later), Duration::from_secs(1), "debts go with time");
    }

    /// Lost otherwise: who leaves before the answer, or sends on many connections at once, would never be held up.
    #[test]
    fn deep_debts_have_bodies_refused_unread() {
        let waste = Waste::new(1);
        let (debtor, other) = (Debtor::new(1), Debtor::new(2));
        let until = Instant::now() + Duration::from_secs(1);
        drop(waste.begin(sent(DEEP_SECONDS), debtor));
        assert!(waste.may_send(debtor, None, until).is_ok());
        drop(waste.begin(sent(MIB), debtor));
        let error = waste.may_send(debtor, None, until).unwrap_err();
        assert_eq!((error.status.as_u16(), error.code), (429, "too_much_refused"));
        let seconds = u64::from(error.retry_after_seconds.unwrap());
        assert!((1..=DEBT_SECONDS_MAX - DEEP_SECONDS).contains(&seconds), "no debt is for ever: {seconds}");
        assert!(waste.may_send(debtor, Some(SMALL_BYTES + 1), until).is_err());
        assert!(waste.may_send(debtor, Some(SMALL_BYTES), until).is_ok());
        assert!(waste.may_send(other, None, until).is_ok());
        assert!(waste.may_send(debtor, None, until + Duration::from_secs(seconds)).is_ok());
    }

    /// Lost otherwise: a million addresses would fill the memory with debts.
    #[test]
    fn debts_are_bounded() {
        let (waste, now) = (Waste::new(MIB), Instant::now());
        for number in 0..3 * DEBTORS_MAX {
            send(&waste, Debtor::new(number), MIB, 400, now);
        }
        assert!(waste.debts.lock().unwrap().len() <= DEBTORS_MAX);
    }
}
