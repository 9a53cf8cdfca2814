//! How is a password kept, and checked without a stopwatch telling whose it is?
//!
//! As Argon2id with the parameters that OWASP gives (19 MiB, two rounds, one lane), each under its own salt. The check
//! of an email that nobody has costs the same as one that fails.
//!
//! Invariants:
//! 1. At most [`RUNNING_MAX`] are computed at once and [`WAITING_MAX`] wait; what comes beyond is told to come back, so
//!    that sign-ins can't take the memory or the processors from everybody else.
//! 2. A password is in memory only while it is checked; it is in no log and no error.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::message::error::ApiError;
use crate::pool::Pool;
use crate::random;

const MEMORY_KIB: u32 = 19 * 1024;
const ROUNDS: u32 = 2;
const LANES: u32 = 1;

const RUNNING_MAX: usize = 2;
const WAITING_MAX: usize = 32;

/// What is asked of a new password. More rules make worse passwords.
const CHARS_MIN: usize = 8;
/// So that nobody has megabytes hashed.
const BYTES_MAX: usize = 1024;

/// The hash of a password that nobody has.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c3Ryb25ncm9vbXNhbHQhIQ$8vQ0KhJ0OQF1LqzS3yq3nXq7wq1d7J0d0m8b9Q5sX3M";

/// The threads that passwords may take.
pub(crate) struct Passwords {
    running: Semaphore,
    present: Semaphore,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self { running: Semaphore::new(RUNNING_MAX), present: Semaphore::new(RUNNING_MAX + WAITING_MAX) }
    }

    /// The hash of a new password, if it is one.
    pub(crate) async fn hash(&self, pool: &Pool, password: String) -> Result<String, ApiError> {
        check(&password)?;
        self.run(pool, move || hash(&password)).await
    }

    /// Whether the password is the one of this hash. Without a hash it is not, after the same work.
    pub(crate) async fn verify(
        &self,
        pool: &Pool,
        password: String,
        known: Option<String>,
    ) -> Result<bool, ApiError> {
        if password.len() > BYTES_MAX {
            return Ok(false);
        }
        self.run(pool, move || {
            let is_known = known.is_some();
            let is_right = verify(&password, known.as_deref().unwrap_or(NOBODYS))?;
            Ok(is_right && is_known)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        pool: &Pool,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let busy = || ApiError::busy("overloaded", "too many sign-ins at once; try again in a moment", 2);
        let _present = self.present.try_acquire().map_err(|_| busy())?;
        let _running = self.running.acquire().await.map_err(|_| busy())?;
        pool.run(work).await
    }
}

/// Refuses what is no password.
fn check(password: &str) -> Result<(), ApiError> {
    if password.chars().count() >= CHARS_MIN && password.len() <= BYTES_MAX {
        return Ok(());
    }
    Err(ApiError::malformed(
        "invalid_password",
        format!("a password has at least {CHARS_MIN} characters and at most {BYTES_MAX} bytes"),
    ))
}

fn argon2() -> Result<Argon2<'static>, ApiError> {
    let params = Params::new(MEMORY_KIB, ROUNDS, LANES, None).map_err(failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str) -> Result<String, ApiError> {
    let hashed =
        argon2()?.hash_password_with_salt(password.as_bytes(), &random::bytes::<16>()).map_err(failed)?;
    Ok(hashed.to_string())
}

fn verify(password: &str, known: &str) -> Result<bool, ApiError> {
    let known = PasswordHash::new(known).map_err(failed)?;
    Ok(argon2()?.verify_password(password.as_bytes(), &known).is_ok())
}

fn failed(error: impl std::fmt::Display) -> ApiError {
    ApiError::internal(format!("password: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a member could not sign in, or somebody else could as them.
    #[tokio::test]
    async fn only_the_password_itself_is_right() {
        let (passwords, pool) = (Passwords::new(), Pool::new(4, 8));
        let right = "correct horse battery staple";
        let hashed = passwords.hash(&pool, right.to_owned()).await.unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && !hashed.contains("horse"));
        assert_ne!(hashed, passwords.hash(&pool, right.to_owned()).await.unwrap(), "each has its own salt");
        for (password, known, is_right) in [
            (right, Some(&hashed), true),
            ("correct horse battery staplE", Some(&hashed), false),
            ("", Some(&hashed), false),
            (right, None, false),
        ] {
            assert_eq!(passwords.verify(&pool, password.to_owned(), known.cloned()).await.unwrap(), is_right);
        }
        for wrong in ["seven77", &"x".repeat(1025)] {
            assert_eq!(passwords.hash(&pool, wrong.to_owned()).await.unwrap_err().code, "invalid_password");
        }
        assert!(
            passwords.hash(&pool, "пароль78".to_owned()).await.is_ok(),
            "characters are counted, not bytes"
        );
    }

    /// Lost otherwise: a stopwatch would tell which emails have an account.
    #[test]
    fn an_unknown_email_costs_as_much_as_a_known_one() {
        let (nobody, somebody) = (PasswordHash::new(NOBODYS).unwrap(), hash("a password").unwrap());
        let somebody = PasswordHash::new(&somebody).unwrap();
        assert_eq!((nobody.algorithm, nobody.version), (somebody.algorithm, somebody.version));
        assert_eq!(nobody.params, somebody.params);
        let lengths = |hash: &PasswordHash| {
            (hash.salt.as_ref().unwrap().as_ref().len(), hash.hash.as_ref().unwrap().as_bytes().len())
        };
        assert_eq!(lengths(&nobody), lengths(&somebody));
        assert!(!verify("a password", NOBODYS).unwrap());
    }
}
