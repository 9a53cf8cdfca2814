//! What can be asked of the binary?
//!
//! Reads the command line, joins it with the environment and the configuration file, starts the runtime and turns the
//! outcome into an exit code: 0 when all went well, 1 with one line on standard error otherwise, 2 for a command line
//! that can't be read. (`verify`, `audit`, `inspect`, `verify-receipt` and `verify-trace` tell what their codes mean.)

mod audit;
mod inspect;
mod verify;
mod verify_receipt;
mod verify_trace;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, Told};
use crate::embedding::settings as embedding;
use crate::mail::settings as mail;
use crate::rerank::settings as reranker;
use crate::serve::Server;
use crate::summarize::settings as summarizer;
use crate::worker::child;
use crate::{demo, log};

const DISK_FAILED: &str = "the disk failed while writing: what it holds has to be read anew, so this process ends; check the \
                           disk and start again (a supervisor that restarts it does)";

#[derive(Debug, Parser)]
#[command(name = "strongroom", version, about = "A store for the documents and vectors of many tenants")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<Serve>),
    /// Check the receipt of an erasure, without a server
    VerifyReceipt(verify_receipt::VerifyReceipt),
    /// Check what a server signed of which partitions it opened for a request, without a server
    VerifyTrace(verify_trace::VerifyTrace),
    /// Read every byte of a stopped store, and name what is damaged
    Verify(verify::Verify),
    /// Look into the audit log of a stopped store
    Audit(audit::Audit),
    /// Say what a file of a store holds
    Inspect(inspect::Inspect),
    /// Read one file from standard input, as the server has it done
    #[command(hide = true)]
    Extract(child::Extract),
}

#[derive(Debug, Args)]
struct Serve {
    /// The folder that holds everything [default: ./strongroom-data; env: STRONGROOM_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:7373; env: STRONGROOM_LISTEN]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// A TOML file with data_dir, listen, master_key_file, retention, flush_age, audit_reads, memory_plan_queries,
    /// public_url, [reranker], [summarizer], [embedding], [mail] and [limits]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A file with the root encryption key: 32 bytes as hexadecimal or base64 [or env: STRONGROOM_MASTER_KEY]
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<PathBuf>,
    /// How long soft-deleted documents can be restored [default: 30d; env: STRONGROOM_RETENTION]
    #[arg(long, value_name = "SPAN")]
    retention: Option<String>,
    /// How old a write gets at most before it is moved into a segment [default: 10m; env: STRONGROOM_FLUSH_AGE]
    #[arg(long, value_name = "SPAN")]
    flush_age: Option<String>,
    /// What of reads the audit log tells: `denied` (what labels hid, and what was read in spite of them) or `all` [default:
    /// denied; env: STRONGROOM_AUDIT_READS]
    #[arg(long, value_name = "WHICH")]
    audit_reads: Option<String>,
    /// How many recalls of memories a workspace may have in a month [default: no limit; env:
    /// STRONGROOM_MEMORY_PLAN_QUERIES]
    #[arg(long, value_name = "NUMBER")]
    memory_plan_queries: Option<u64>,
    #[command(flatten)]
    reranker: reranker::Told,
    #[command(flatten)]
    summarizer: summarizer::Told,
    #[command(flatten)]
    embedding: embedding::Told,
    #[command(flatten)]
    mail: mail::Told,
    /// Where people reach this server, for links and cookies [env: STRONGROOM_PUBLIC_URL]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Start over with three made-up companies in ./strongroom-demo-data, and show what isolation looks like
    #[arg(long)]
    demo: bool,
}

/// Runs the binary.
pub fn main() -> ExitCode {
    log::tell_panics_by_place();
    let outcome = match CommandLine::parse().command {
        Command::Serve(told) => serve(*told),
        Command::VerifyReceipt(told) => return verify_receipt::run(&told),
        Command::VerifyTrace(told) => return verify_trace::run(&told),
        Command::Verify(told) => return verify::run(&told),
        Command::Audit(told) => return audit::run(&told),
        Command::Inspect(told) => return inspect::run(&told),
        Command::Extract(told) => return child::run(&told),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            log::error(&text);
            ExitCode::FAILURE
        }
    }
}

fn serve(told: Serve) -> Result<(), String> {
    let is_demo = told.demo;
    let config = resolve(told)?;
    if is_demo {
        demo::prepare_folder(&config.data_dir)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("strongroom")
        .build()
        .map_err(|error| format!("the runtime can't be started: {error}"))?;
    let outcome = runtime.block_on(run(config, is_demo));
    // A thread that still blocks has had its time.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

fn resolve(told: Serve) -> Result<Config, String> {
    let data_dir = told.data_dir.or_else(|| told.demo.then(|| PathBuf::from(demo::FOLDER)));
    let command_line = Told {
        data_dir,
        listen: told.listen,
        master_key_file: told.master_key_file,
        retention: told.retention,
        flush_age: told.flush_age,
        audit_reads: told.audit_reads,
        memory_plan_queries: told.memory_plan_queries,
        reranker: told.reranker,
        summarizer: told.summarizer,
        embedding: told.embedding,
        mail: told.mail,
        public_url: told.public_url,
    };
    // A variable that is set to nothing, as compose files do, is not set.
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    config::resolve(command_line, environment, told.config.as_deref())
}

async fn run(config: Config, is_demo: bool) -> Result<(), String> {
    let signals = signals()?;
    let server = Server::start(config).await?;
    if is_demo {
        demo::show(&server).await?;
    } else if let Some(key) = server.owner_key() {
        log::info("first start: the owner key of the workspace `default` follows; it is shown this once");
        log::print(&format!("{key}\n"));
    }
    let has_failed = tokio::select! {
        () = signals => false,
        () = server.disk_failed() => true,
    };
    log::info("stopping: requests in flight are finished first");
    server.stop().await?;
    if has_failed {
        return Err(DISK_FAILED.to_owned());
    }
    log::info("stopped");
    Ok(())
}

/// Ready once the process is asked to stop.
fn signals() -> Result<impl Future<Output = ()>, String> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let take = |kind| signal(kind).map_err(|error| format!("signals can't be taken: {error}"));
        let (mut term, mut interrupt) = (take(SignalKind::terminate())?, take(SignalKind::interrupt())?);
        Ok(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        tokio::signal::ctrl_c().await.ok();
    })
}
