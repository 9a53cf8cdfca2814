//! Who is calling, and what may they reach?
//!
//! The first room that a request enters: key or cookie → [`authenticate`] → [`Caller`] → scope check → [`Caller::place`],
//! which makes the engine's `Scope`. Nothing else in the server makes one.
//!
//! Invariants:
//! 1. `Scope::grant` and `OperatorScope::grant` are called in this room alone, and a granted scope reaches no further
//!    than the one request needs.
//! 2. The checks run in this order: authentication, scope, partition, body.
//! 3. What a browser sends by itself changes nothing unless the page that sent it is ours.
//! 4. A key, token or password in clear lives no longer than the request that brought it.

pub(crate) mod attempts;
mod caller;
pub(crate) mod passwords;
mod reach;
pub(crate) mod session;

pub(crate) use caller::{
    Caller, DEFAULT_WORKSPACE, SignedIn, authenticate, dead_key_of, server_in, server_itself,
};
pub(crate) use reach::{DEFAULT_COLLECTION, Named, Pins, Place, counting, partition_name};

#[cfg(test)]
pub(crate) use reach::{test_place, test_place_named};
