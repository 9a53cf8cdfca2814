//! Which bytes does version 1 of the format give for inputs that never change?
//!
//! `scene` tells a small story with stated keys (a partition whose purge is under way) and lets today's encoders
//! write it down, file by file: the golden files of `tests/golden/v1`, which must never change. `sealing` seals and
//! opens as `format-spec.md` says it, apart from the engine's own `seal`. `examples` cuts the document's worked
//! examples out of the golden files and writes them as text; `reading` reads that text again, by the document's own
//! tables. `cargo run -p strongroom-tests --bin golden -- --write` writes all of it anew.

pub mod examples;
pub mod reading;
pub mod scene;
pub mod sealing;

/// Bytes as `0a0b`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
