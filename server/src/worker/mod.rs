//! Where is a stranger's file read, so that it harms nobody?
//!
//! In a process of its own, one for each file: this program under its hidden command `extract` (`child`), which bounds itself by the
//! operating system's limits before it has seen a byte. The file goes in on its standard input, the text comes out on its standard
//! output (`answer`), and then it is gone. So no two customers' files are ever in one process, and what a file breaks is its own.
//!
//! Invariants:
//! 1. The server's own process never parses such a file; it looks at the first bytes for what it is.
//! 2. The child gets nothing but the file: no environment (no keys), no folder, no open file of the server's.
//! 3. At most `file_workers_max` children run, and `file_waiting_max` files wait, in the same turns of tenants as all blocking work; what
//!    comes beyond is told 503.
//! 4. A child is gone when its deadline has passed or when nobody waits for it any more.

mod answer;
pub(crate) mod child;

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use strongroom_extract::{Extracted, Kind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::config::Limits;
use crate::message::error::ApiError;
use crate::pool::Pool;

/// This program, whatever has become of its file since it started.
const ITSELF: &str = "/proc/self/exe";

/// Reads files, each in a process of its own.
pub(crate) struct Worker {
    program: PathBuf,
    turns: Pool,
    bounds: Bounds,
    file_bytes_max: usize,
}

/// What one child may spend.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    of_file: strongroom_extract::Limits,
    seconds: u64,
    memory_bytes: u64,
}

impl Worker {
    pub(crate) fn new(limits: &Limits) -> Self {
        let itself = Path::new(ITSELF);
        let program =
            if itself.exists() { itself.to_owned() } else { std::env::current_exe().unwrap_or_default() };
        Self {
            program,
            turns: Pool::new(limits.file_workers_max, limits.file_waiting_max),
            bounds: Bounds {
                of_file: strongroom_extract::Limits {
                    pages: limits.file_pages_max,
                    nesting: limits.file_nesting_max,
                    unpacked_bytes: limits.file_unpacked_bytes_max,
                    text_bytes: limits.file_text_bytes_max,
                },
                seconds: limits.file_seconds_max,
                memory_bytes: limits.file_memory_bytes_max,
            },
            file_bytes_max: limits.file_bytes_max,
        }
    }

    /// Reads a file that says it is of this kind, or leaves that to its content.
    pub(crate) async fn read(&self, claimed: Option<Kind>, file: Bytes) -> Result<Extracted, ApiError> {
        let most = self.file_bytes_max;
        if file.len() > most {
            return Err(ApiError::too_large(format!(
                "a file that has to be read to have a text has at most {most} bytes (limits.file_bytes_max); send it in parts"
            )));
        }
        let _turn = self.turns.turn().await?;
        let mut child = self.start(claimed, file.len())?;
        let deadline = Duration::from_secs(self.bounds.seconds);
        // Whatever way this ends, the child is killed when it goes.
        match timeout(deadline, exchange(&mut child, &file, self.answer_bytes_max())).await {
            Ok(Ok((status, said))) => self.outcome(status, &said),
            Ok(Err(error)) => Err(ApiError::internal(format!("the reader of a file: {error}"))),
            Err(_) => Err(self.took_too_long()),
        }
    }

    fn start(&self, claimed: Option<Kind>, bytes: usize) -> Result<Child, ApiError> {
        let Bounds { of_file, seconds, memory_bytes } = self.bounds;
        let mut command = Command::new(&self.program);
        command.arg("extract").arg(format!("--bytes={bytes}"));
        if let Some(kind) = claimed {
            command.arg(format!("--kind={}", kind.ending()));
        }
        command
            .arg(format!("--pages={}", of_file.pages))
            .arg(format!("--nesting={}", of_file.nesting))
            .arg(format!("--unpacked-bytes={}", of_file.unpacked_bytes))
            .arg(format!("--text-bytes={}", of_file.text_bytes))
            .arg(format!("--seconds={seconds}"))
            .arg(format!("--memory-bytes={memory_bytes}"))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command.spawn().map_err(|error| {
            let mut busy =
                ApiError::busy("overloaded", "no process can be started to read the file; try again soon", 5);
            busy.cause = Some(format!("the reader of files can't be started: {error}"));
            busy
        })
    }

    /// The text, its head, and a page's start for each page.
    fn answer_bytes_max(&self) -> u64 {
        let pages = self.bounds.of_file.pages as u64;
        self.bounds.of_file.text_bytes as u64 + pages.saturating_mul(12) + answer::HEAD_BYTES_MAX
    }

    fn outcome(&self, status: ExitStatus, said: &[u8]) -> Result<Extracted, ApiError> {
        if status.success() {
            return answer::read(said)
                .ok_or_else(|| ApiError::internal("the reader of a file answered what is no answer"))?
                .map_err(|refused| ApiError::unacceptable(refused.code, refused.text));
        }
        match child::ended_by(status) {
            child::Ended::OutOfTime => Err(self.took_too_long()),
            child::Ended::OutOfMemory => Err(ApiError::unacceptable(
                "file_too_demanding",
                format!(
                    "reading the file takes more than {} bytes of memory (limits.file_memory_bytes_max), or brings its reader down; \
                     send it in parts, or save it anew",
                    self.bounds.memory_bytes
                ),
            )),
            child::Ended::Otherwise => {
                Err(ApiError::internal(format!("the reader of a file ended with {status}")))
            }
        }
    }

    fn took_too_long(&self) -> ApiError {
        ApiError::unacceptable(
            "file_timeout",
            format!(
                "reading the file takes longer than {} s (limits.file_seconds_max); send it in parts",
                self.bounds.seconds
            ),
        )
    }
}

/// Gives the child its file and takes what it says, both at once: either pipe may be full while the other waits.
async fn exchange(child: &mut Child, file: &[u8], most: u64) -> std::io::Result<(ExitStatus, Vec<u8>)> {
    let (mut into, out_of) = (child.stdin.take(), child.stdout.take());
    let give = async {
        if let Some(into) = &mut into {
            // A child that has seen enough closes its end.
            into.write_all(file).await.ok();
        }
        drop(into.take());
    };
    let take = async {
        let mut said = Vec::new();
        if let Some(out_of) = out_of {
            out_of.take(most).read_to_end(&mut said).await?;
        }
        Ok::<_, std::io::Error>(said)
    };
    let ((), said) = tokio::join!(give, take);
    let said = said?;
    Ok((child.wait().await?, said))
}

#[cfg(test)]
mod tests;
