//! What does the server tell its operator while it runs?
//!
//! One line for each event on standard error: time, level, text. Standard output is kept for what a program may
//! read: the owner key of a first start, and the demo.
//!
//! Invariants:
//! 1. A line never holds an API key, a partition's id, a filename or any other word of a tenant.
//! 2. A panic is told by its place alone: its message may quote the bytes that it stumbled over.

use std::io::Write;

use crate::clock;

/// Something that the operator may want to know.
pub(crate) fn info(text: &str) {
    line("info", text);
}

/// Something that the operator should act on.
pub(crate) fn warn(text: &str) {
    line("warning", text);
}

/// Something that failed.
pub(crate) fn error(text: &str) {
    line("error", text);
}

fn line(level: &str, text: &str) {
    // When standard error is gone there is nobody left to tell.
    writeln!(std::io::stderr().lock(), "{} {level}: {text}", clock::rfc3339(clock::now_ms())).ok();
}

/// Writes to standard output, which carries what programs and people read apart from the log.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever closed it doesn't want it.
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}

/// Replaces the default panic message, which quotes its arguments, by the place of the panic.
pub(crate) fn tell_panics_by_place() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        error(&format!("a bug: panic at {place}; the request that met it was answered with 500"));
    }));
}
