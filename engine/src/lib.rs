//! Strongroom's storage engine: sealed, log-structured partitions. Sync; no HTTP, no model, no threads, no clock.

pub mod io;
