//! What does the process do that reads one file?
//!
//! It bounds itself, reads standard input to its end, and writes the outcome to standard output. It ends with 0 when it answered,
//! whatever the answer; a signal of the operating system says which bound it met.
//!
//! Invariants:
//! 1. Nothing is read before the bounds hold: of memory, of the processor's time, and none for core dumps (which would put a
//!    customer's file on a disk in the clear), written files, files and connections that are opened, and new processes.
//! 2. Libraries that print reach nobody: what was standard output is known to the answer alone.

use std::io::{Read, Write};
use std::process::{ExitCode, ExitStatus};

use clap::Args;
use strongroom_extract::{Kind, Limits, extract};

use super::answer;

/// It could not do its work.
const FAILED: u8 = 3;
/// A file's bytes that are made room for without having come yet.
const ROOM_BYTES_MAX: usize = 1 << 30;

/// The command line; the server writes it.
#[derive(Debug, Args)]
pub(crate) struct Extract {
    #[arg(long)]
    kind: Option<String>,
    #[arg(long)]
    bytes: usize,
    #[arg(long)]
    pages: usize,
    #[arg(long)]
    nesting: usize,
    #[arg(long)]
    unpacked_bytes: u64,
    #[arg(long)]
    text_bytes: usize,
    #[arg(long)]
    seconds: u64,
    #[arg(long)]
    memory_bytes: u64,
}

/// Reads one file.
pub(crate) fn run(told: &Extract) -> ExitCode {
    // A library's panic is told as a refusal; where it was is nobody's business here.
    std::panic::set_hook(Box::new(|_| {}));
    match read(told) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILED),
    }
}

fn read(told: &Extract) -> std::io::Result<()> {
    bound(told.seconds, told.memory_bytes)?;
    let mut out = own_output()?;
    open_nothing_more()?;
    let mut file = Vec::with_capacity(told.bytes.min(ROOM_BYTES_MAX));
    std::io::stdin().lock().read_to_end(&mut file)?;
    let limits = Limits {
        pages: told.pages,
        nesting: told.nesting,
        unpacked_bytes: told.unpacked_bytes,
        text_bytes: told.text_bytes,
    };
    let claimed = told.kind.as_deref().and_then(Kind::of_ending);
    out.write_all(&answer::write(&extract(claimed, &file, &limits)))?;
    out.flush()
}

/// How a child ended that did not answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    OutOfTime,
    OutOfMemory,
    Otherwise,
}

#[cfg(unix)]
pub(super) fn ended_by(status: ExitStatus) -> Ended {
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::Signal;
    match status.signal().and_then(Signal::from_named_raw) {
        Some(Signal::XCPU) => Ended::OutOfTime,
        // The allocator aborts when it gets nothing, and so does an overflow of the stack; the kernel kills when all is used up.
        Some(Signal::ABORT | Signal::SEGV | Signal::BUS | Signal::KILL | Signal::ILL) => Ended::OutOfMemory,
        _ => Ended::Otherwise,
    }
}

#[cfg(not(unix))]
pub(super) fn ended_by(_status: ExitStatus) -> Ended {
    Ended::Otherwise
}

/// Bounds this process, for good.
#[cfg(unix)]
fn bound(seconds: u64, memory_bytes: u64) -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let at_most = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Fsize, at_most(0))?;
    setrlimit(Resource::Nproc, at_most(0))?;
    // The soft bound's signal says what it was; the hard one comes a second later.
    setrlimit(Resource::Cpu, Rlimit { current: Some(seconds), maximum: Some(seconds.saturating_add(1)) })?;
    // What is written to, not what is mapped: the program itself holds a large table that costs nothing until it is read.
    setrlimit(Resource::Data, at_most(memory_bytes))?;
    Ok(())
}

#[cfg(not(unix))]
fn bound(_seconds: u64, _memory_bytes: u64) -> std::io::Result<()> {
    Err(std::io::Error::other("files are read on systems that can bound a process"))
}

/// From here on this process opens no file and no connection, whatever it is brought to do.
#[cfg(unix)]
fn open_nothing_more() -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(0), maximum: Some(0) })?)
}

#[cfg(not(unix))]
fn open_nothing_more() -> std::io::Result<()> {
    Ok(())
}

/// Takes standard output for the answer alone; what is printed from now on goes to standard error, which nobody reads.
#[cfg(unix)]
fn own_output() -> std::io::Result<std::fs::File> {
    let own = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(std::fs::File::from(own))
}

#[cfg(not(unix))]
fn own_output() -> std::io::Result<std::io::Stdout> {
    Ok(std::io::stdout())
}
