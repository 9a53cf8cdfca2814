//! Who is calling, and what may they reach?
//!
//! The first room that a request enters: header → [`authenticate`] → [`Caller`] → scope check → [`Caller::place`],
//! which makes the engine's `Scope`. Nothing else in the server makes one.
//!
//! Invariants:
//! 1. `Scope::grant` and `OperatorScope::grant` are called in this room alone, and a granted scope reaches no further
//!    than the one request needs.
//! 2. The checks run in this order: authentication, scope, partition, body.
//! 3. A key in clear lives no longer than the request that brought it.

mod caller;
mod reach;

pub(crate) use caller::{Caller, DEFAULT_WORKSPACE, authenticate, server_in, server_itself};
pub(crate) use reach::{DEFAULT_COLLECTION, Named, Place, counting, partition_name};

#[cfg(test)]
pub(crate) use reach::{test_place, test_place_named};
