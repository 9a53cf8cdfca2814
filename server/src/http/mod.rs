//! How does a request come in and its answer go out?
//!
//! Connection (`listener`, `wire`) → edge (request id, panics, error shape) → axum's router, built from the one table
//! of routes (`routes`, `dispatch`) → a handler in `api`, with a call whose caller is authenticated.

pub(crate) mod dispatch;
mod edge;
pub(crate) mod listener;
pub(crate) mod openapi;
pub mod routes;
mod wire;
