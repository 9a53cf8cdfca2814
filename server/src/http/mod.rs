//! How does a request come in and its answer go out?
//!
//! Connection (`listener`, `wire`, `pace`) → edge (request id, panics, error shape) → axum's router, built from the one table
//! of routes (`routes`, `dispatch`) → a handler in `api`, with a call whose caller is authenticated. Large answers take
//! their part of a `room` on the way out.

pub(crate) mod dispatch;
mod edge;
pub(crate) mod listener;
pub(crate) mod openapi;
mod pace;
pub mod routes;
mod wire;
