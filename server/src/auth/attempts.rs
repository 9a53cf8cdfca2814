//! How often may somebody guess?
//!
//! Failed sign-ins are counted by address and email together, and by address alone: so many within a quarter of an hour,
//! then 429 until it is over. Nobody can lock another out, since the count is of the guesser's address as well.
//!
//! Invariants:
//! 1. A guess is counted before it is checked, so that many at once are no way around; what was right is taken back.
//! 2. The table is bounded. When it is full, the older half is forgotten.
//! 3. No email is kept: it stands as a hash under a key of this process.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use strongroom_engine::io::lock;

use crate::message::error::ApiError;

const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Guesses at one account from one address.
const OF_EMAIL_MAX: u32 = 10;
/// Guesses from one address at whomsoever.
const OF_ADDRESS_MAX: u32 = 100;
const KNOWN_MAX: usize = 20_000;

/// Whose guesses are counted together: an address, and perhaps an email's hash.
type Whose = (Option<IpAddr>, Option<u64>);

/// The guesses of the last quarter of an hour.
#[derive(Default)]
pub(crate) struct Attempts {
    secret: RandomState,
    known: Mutex<HashMap<Whose, (Instant, u32)>>,
}

impl Attempts {
    /// Counts a guess; 429 when there were too many.
    pub(crate) fn begin(&self, from: Option<IpAddr>, email: &str) -> Result<(), ApiError> {
        self.begin_at(Instant::now(), from, email)
    }

    fn begin_at(&self, now: Instant, from: Option<IpAddr>, email: &str) -> Result<(), ApiError> {
        let mut known = lock(&self.known);
        let whose = self.whose(from, email);
        for (whose, most) in whose {
            if let Some((since, count)) = known.get(&whose)
                && now.duration_since(*since) < WINDOW
                && *count >= most
            {
                return Err(too_many(WINDOW - now.duration_since(*since)));
            }
        }
        if known.len() + whose.len() > KNOWN_MAX {
            known.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
            if known.len() > KNOWN_MAX / 2 {
                let mut times: Vec<_> = known.values().map(|(since, _)| *since).collect();
                let (_, middle, _) = times.select_nth_unstable(known.len() - KNOWN_MAX / 2);
                let middle = *middle;
                let mut room = KNOWN_MAX / 2;
                known.retain(|_, (since, _)| {
                    let stays = *since >= middle && room > 0;
                    room -= usize::from(stays);
                    stays
                });
            }
        }
        for (whose, _) in whose {
            let entry = known.entry(whose).or_insert((now, 0));
            if now.duration_since(entry.0) >= WINDOW {
                *entry = (now, 0);
            }
            entry.1 += 1;
        }
        Ok(())
    }

    /// It was no guess: whoever knows the password starts over, and the address has one less.
    pub(crate) fn succeed(&self, from: Option<IpAddr>, email: &str) {
        let mut known = lock(&self.known);
        let [(of_email, _), (of_address, _)] = self.whose(from, email);
        known.remove(&of_email);
        if let Some((_, count)) = known.get_mut(&of_address) {
            *count = count.saturating_sub(1);
        }
    }

    fn whose(&self, from: Option<IpAddr>, email: &str) -> [(Whose, u32); 2] {
        let from = from.map(network);
        [((from, Some(self.secret.hash_one(email))), OF_EMAIL_MAX), ((from, None), OF_ADDRESS_MAX)]
    }
}

/// An address as far as one customer of a provider has it: half of an IPv6 one is theirs to choose.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let half = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(half.into())
        }
        address => address,
    }
}

fn too_many(left: Duration) -> ApiError {
    let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    let mut error = ApiError::new(
        axum::http::StatusCode::TOO_MANY_REQUESTS,
        "too_many_attempts",
        format!("too many failed sign-ins from this address; try again in {} minutes", seconds.div_ceil(60)),
    );
    error.retry_after_seconds = Some(seconds);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a password could be guessed at leisure, or a member be kept out by somebody else's guesses.
    #[test]
    fn guesses_end_and_hurt_nobody_else() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let here = Some("192.0.2.1".parse().unwrap());
        let there = Some("192.0.2.2".parse().unwrap());
        let begin =
            |at: u64, from, email: &str| attempts.begin_at(now + Duration::from_secs(at), from, email);
        for at in 0..10 {
            begin(at, here, "a@x").unwrap();
        }
        let error = begin(10, here, "a@x").unwrap_err();
        assert_eq!((error.status.as_u16(), error.retry_after_seconds), (429, Some(891)));
        begin(10, there, "a@x").expect("the same account from elsewhere");
        begin(10, here, "b@x").expect("another account from here");
        begin(900, here, "a@x").expect("after a quarter of an hour");
        // Whoever knows the password starts over.
        for at in 0..50 {
            begin(at, there, "c@x").unwrap();
            attempts.succeed(there, "c@x");
        }
        begin(60, there, "c@x").unwrap();
    }

    /// Lost otherwise: one password could be tried on everybody, or from every address of one network.
    #[test]
    fn an_address_has_only_so_many_accounts_to_try() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for number in 0..100_u32 {
            let from = Some(format!("2001:db8::{number:x}").parse().unwrap());
            attempts.begin_at(now, from, &format!("{number}@x")).unwrap();
        }
        let same_network = Some("2001:db8::ffff".parse().unwrap());
        assert!(attempts.begin_at(now, same_network, "new@x").is_err());
        attempts.begin_at(now, Some("2001:db8:0:1::1".parse().unwrap()), "new@x").unwrap();
        // However many there are, memory is bounded, and those who came last are still counted.
        for number in 0..30_000_u32 {
            attempts.begin_at(now, Some(IpAddr::V4(number.into())), "x@x").unwrap();
        }
        assert!(lock(&attempts.known).len() <= KNOWN_MAX);
    }
}
