//! Strongroom's server: HTTP, keys and the control plane over the storage engine.
//!
//! A request's way: `http` (connection, edge, table of routes) → `auth` (who calls, which partition) → `api` (the
//! handler) → `pool` (a thread that may block) → the engine. `serve` puts the parts together, `cli` starts them.
//!
//! The library is there for the binary and for tests that walk [`routes`] or run a server in their own process.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails should stop where it fails"))]

mod access;
mod api;
mod app;
mod auth;
mod background;
mod base64;
mod call;
pub mod cli;
mod clock;
mod config;
mod console;
mod control;
mod damages;
mod demo;
mod descriptors;
mod embedding;
mod erasure;
mod events;
mod feedback;
// For the fuzzers of this repository: no part of what the library offers.
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod idempotency;
mod ingest;
mod jobs;
mod lifecycle;
mod log;
mod mail;
mod master_key;
mod message;
mod metrics;
mod outbound;
mod pool;
mod quota;
mod random;
mod receipt;
mod reembedding;
mod rerank;
mod room;
pub mod serve;
mod span;
mod statement;
mod summarize;
mod summarizing;
mod tenancy;
mod tenants;
mod usage;
mod waste;
mod watch;
mod whole;
mod worker;

pub use config::{Config, MasterKeySource, RootKeyText};
pub use control::scopes::Scope;
pub use http::routes::{Access, BodyKind, Kind, Partition, Route, routes};
