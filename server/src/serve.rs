//! How does a server start, run and stop?
//!
//! Port → folder → master key → engine (which takes the folder for this process and recovers) → control plane → acts
//! that a crash cut short → first start's workspace and key → connections. A stop runs the other way round.
//!
//! Invariants:
//! 1. Nothing is written before the port is ours, and nothing is served before recovery is done.
//! 2. A stop ends within [`STOP_MAX`], whatever a client or the disk does; what was acknowledged is durable anyway.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use strongroom_embed::StaticEmbedder;
use strongroom_engine::cluster::Workers;
use strongroom_engine::io::{Medium, StorageError, disk};
use strongroom_engine::{OpenError, RootKey, Store, StoreOptions};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::access::Access;
use crate::app::{App, control_path};
use crate::auth::attempts::Attempts;
use crate::auth::passwords::Passwords;
use crate::auth::{DEFAULT_WORKSPACE, server_itself};
use crate::background;
use crate::config::{Config, Limits};
use crate::control::scopes::ScopeSet;
use crate::control::{By, Control, NewKey, Workspace};
use crate::damages::Damages;
use crate::embedding::Models;
use crate::events::Events;
use crate::feedback::Feedback;
use crate::http::{dispatch, listener, openapi};
use crate::jobs::Queue;
use crate::mail::Mailer;
use crate::message::body::{Budget, Patience};
use crate::message::error::ApiError;
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::quota::Quotas;
use crate::rerank::Reranker;
use crate::room::Room;
use crate::summarize::{self, Summarizer};
use crate::usage::{self, Usage};
use crate::waste::Waste;
use crate::worker::Worker;
use crate::{descriptors, erasure, lifecycle, log, master_key, reembedding, summarizing, tenancy, tenants};

/// A stop takes no longer than this; supervisors commonly kill after ten seconds.
const STOP_MAX: Duration = Duration::from_secs(9);
/// Of that, what requests in flight are given.
const DRAIN_MAX: Duration = Duration::from_secs(6);

/// A server that runs.
pub struct Server {
    address: SocketAddr,
    owner_key: Option<String>,
    app: Arc<App>,
    stop: watch::Sender<bool>,
    listening: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts a server. The error is one line that says what to do.
    pub async fn start(config: Config) -> Result<Self, String> {
        Self::start_on(config, disk::medium).await
    }

    /// The same on a medium that `medium` makes of the data folder.
    async fn start_on(
        config: Config,
        medium: impl FnOnce(&Path) -> Result<Medium, StorageError> + Send + 'static,
    ) -> Result<Self, String> {
        let listener = listen(config.listen).await?;
        let address =
            listener.local_addr().map_err(|error| format!("the listening socket has no address: {error}"))?;
        let (queue, waiting) = Queue::new(config.limits.jobs_max);
        let (summaries, asked) = summarize::Queue::new();
        let opened = tokio::task::spawn_blocking(move || open(&config, queue, summaries, medium)).await;
        let (app, owner_key) =
            opened.map_err(|_| "opening the store failed; the line before says where".to_owned())??;
        let app = Arc::new(app);

        let (stop, stopping) = watch::channel(false);
        let background = vec![
            tokio::spawn(background::work(app.clone(), waiting, stopping.clone())),
            tokio::spawn(summarizing::work(app.clone(), asked, stopping.clone())),
            tokio::spawn(background::maintain(app.clone(), stopping.clone())),
            tokio::spawn(usage::keep(app.usage.clone(), stopping.clone())),
            tokio::spawn(background::watch_disk(app.clone(), stopping.clone())),
        ];
        let (router, metrics, limits) =
            (dispatch::router(&app), app.metrics.clone(), connections(&app.limits));
        let mut stopping = stopping;
        let listening = tokio::spawn(async move {
            let stopped = async {
                // The sender going away means the same.
                stopping.wait_for(|stop| *stop).await.ok();
            };
            listener::serve(listener, router, metrics, limits, stopped, DRAIN_MAX).await;
        });
        app.is_ready.store(true, Ordering::Relaxed);
        tokio::spawn(reembedding::resume(app.clone()));
        log::info(&format!("strongroom {} listening on http://{address}", env!("CARGO_PKG_VERSION")));
        Ok(Self { address, owner_key, app, stop, listening, background })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The owner key of the workspace `default`, when this was the first start. It is nowhere else.
    pub fn owner_key(&self) -> Option<&str> {
        self.owner_key.as_deref()
    }

    /// Ready once the disk has failed under a write: then nothing is acknowledged any more, and the process has to be
    /// started anew.
    pub async fn disk_failed(&self) {
        // The sender lives in `self.app`.
        self.app.disk_failed.subscribe().wait_for(|failed| *failed).await.ok();
    }

    /// Makes a workspace with one key; for the demo.
    pub(crate) async fn create_workspace_with_key(
        &self,
        name: &'static str,
        multi_tenant: bool,
    ) -> Result<String, ApiError> {
        let app = self.app.clone();
        let pool = app.pool.clone();
        pool.run(move || {
            let (scope, collection) = (server_itself(), app.default_collection());
            let workspace =
                tenancy::create_workspace(&app.control, &app.store, &scope, name, collection, By::system())?;
            mint_owner_key(&app, &workspace, multi_tenant)
        })
        .await
    }

    /// Stops: no new request begins, those in flight finish, the store is flushed and closed.
    pub async fn stop(self) -> Result<(), String> {
        let end = Instant::now() + STOP_MAX;
        self.app.is_ready.store(false, Ordering::Relaxed);
        self.stop.send(true).ok();
        // The listener first, so that nothing new comes in while the rest ends.
        for task in std::iter::once(self.listening).chain(self.background) {
            if timeout_at(end, task).await.is_err() {
                log::warn("background work did not finish in time; it is safe to start again");
            }
        }
        let app = self.app;
        let closing = tokio::task::spawn_blocking(move || close(&app));
        match timeout_at(end, closing).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(format!(
                "the store did not close cleanly, which the next start mends: {}",
                error.cause.unwrap_or_else(|| error.text.into_owned())
            )),
            Ok(Err(_)) => Err("closing the store panicked, which the next start mends".to_owned()),
            Err(_) => Err("closing the store took too long and was left to the next start".to_owned()),
        }
    }
}

/// Writes down what spares the next start some work. What was acknowledged is durable already, so a full disk is no failure.
fn close(app: &App) -> Result<(), ApiError> {
    let saved = app.control.save_last_used().map_err(ApiError::from);
    let counted = app.usage.flush(true);
    let told = app.control.enter_refusals(true).map_err(ApiError::from);
    let read = app.access.settle(true);
    let flushed =
        if app.store.is_poisoned() { Ok(()) } else { app.store.flush().map(drop).map_err(ApiError::from) };
    // Closing makes every purge final.
    let settled = erasure::settle(&app.control, &app.store);
    for outcome in [saved, counted, told, read, flushed, settled] {
        match outcome {
            Err(error) if error.status == StatusCode::INSUFFICIENT_STORAGE => {
                log::warn("the disk is full, so the next start has a longer log to read");
            }
            other => other?,
        }
    }
    Ok(())
}

fn patience(limits: &Limits) -> Patience {
    Patience {
        silence: Duration::from_secs(limits.body_silence_seconds_max),
        whole: Duration::from_secs(limits.body_seconds_max),
        bytes_per_second_min: limits.body_bytes_per_second_min,
    }
}

fn connections(limits: &Limits) -> listener::Limits {
    listener::Limits {
        connections_max: descriptors::room_for(limits.connections_max),
        header_time_max: Duration::from_secs(limits.header_seconds_max),
        header_bytes_max: limits.header_bytes_max,
        header_fields_max: limits.header_fields_max,
        answer_silence_max: Duration::from_secs(limits.answer_silence_seconds_max),
        idle_max: Duration::from_secs(limits.idle_seconds_max),
        streams_max: limits.streams_max,
        resets_max: limits.resets_max,
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("{address} is taken by another program; choose another with --listen HOST:PORT")
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("this user may not listen on {address}; choose a port above 1023 with --listen HOST:PORT")
        }
        _ => format!("can't listen on {address}: {error}; choose another address with --listen HOST:PORT"),
    })
}

/// Threads that compute for the jobs of the engine, as many as there are cores.
fn workers() -> Result<Workers, String> {
    let pool = rayon::ThreadPoolBuilder::new().thread_name(|number| format!("worker-{number}")).build();
    pool.map(|pool| Workers::new(Arc::new(pool))).map_err(|error| format!("threads for the engine: {error}"))
}

/// Opens everything on disk and finishes what a crash cut short. Blocks.
fn open(
    config: &Config,
    queue: Queue,
    summaries: summarize::Queue,
    medium: impl FnOnce(&Path) -> Result<Medium, StorageError>,
) -> Result<(App, Option<String>), String> {
    let (data_dir, limits) = (&config.data_dir, config.limits.clone());
    let metrics = Arc::new(Metrics::new());
    let reranker = config.reranker.clone().map(|settings| Reranker::new(settings, metrics.clone()));
    let reranker = reranker.transpose()?.map(Arc::new);
    let summarizer = config.summarizer.clone().map(|settings| Summarizer::new(settings, metrics.clone()));
    let summarizer = summarizer.transpose()?.map(Arc::new);
    let mailer = config.mail.as_ref().map(|settings| Mailer::new(settings, metrics.clone())).transpose()?;
    make_data_dir(data_dir)?;
    let master_key = master_key::find(&config.master_key, data_dir)?;
    let medium = medium(data_dir).map_err(|error| open_error(data_dir, &error.into()))?;
    let options = StoreOptions {
        flush_bytes: limits.flush_bytes,
        flush_age_ms: config.flush_age_ms,
        cache_bytes: limits.cache_bytes,
        retention_ms: config.retention_ms,
        workers: workers()?,
        ..StoreOptions::default()
    };
    let purge_ms = options.purge_ms;
    let store =
        Store::open(medium, RootKey(master_key), options).map_err(|error| open_error(data_dir, &error))?;
    let root_key = config.root_key.as_ref().map(|key| key.0.as_str());
    let path = control_path(data_dir);
    let control = Control::open(&path, &master_key, root_key)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let (store, control) = (Arc::new(store), Arc::new(control));
    let usage = Arc::new(Usage::new(control.clone(), store.clone()));
    let quotas = Quotas::open(control.clone(), usage.clone(), store.clone());
    let quotas =
        quotas.map_err(|error| format!("{}: {}", path.display(), error.cause.unwrap_or_default()))?;
    let access = Access::new(control.clone(), store.clone(), config.audit_reads);
    let app = App {
        store,
        control,
        usage,
        access: Arc::new(access),
        feedback: Feedback::default(),
        quotas: Arc::new(quotas),
        embedder: StaticEmbedder::built_in(),
        models: Models::new(StaticEmbedder::built_in(), config.embedding.clone(), metrics.clone()),
        pool: Pool::new(limits.running_max, limits.waiting_max),
        files: Worker::new(&limits),
        passwords: Passwords::new(),
        attempts: Attempts::default(),
        mailer,
        public_url: config.public_url.clone(),
        bodies: Budget::new(limits.bodies_bytes_max, patience(&limits)),
        answers: Room::new(limits.answers_bytes_max),
        waste: Waste::new(limits.refused_bytes_per_second_max),
        embedding_prices: config.embedding_prices.clone(),
        purge_ms,
        reranker,
        summarizer,
        summaries,
        metrics,
        damages: Damages::default(),
        jobs: queue,
        recalling: Mutex::default(),
        recalls_max: config.memory_plan_queries,
        events: Events::default(),
        openapi: openapi::DOCUMENT.clone(),
        is_ready: AtomicBool::new(false),
        disk_failed: watch::Sender::new(false),
        limits,
    };
    app.damages.tell(&app.metrics, &app.store.damages(&server_itself()));
    let owner_key = recover(&app).map_err(|error| {
        format!(
            "{} could not be brought up to date: {}",
            data_dir.display(),
            error.cause.unwrap_or_else(|| error.text.into_owned())
        )
    })?;
    Ok((app, owner_key))
}

fn recover(app: &App) -> Result<Option<String>, ApiError> {
    let finished = tenancy::finish_interrupted(&app.control, &app.store, &server_itself())?;
    if finished > 0 {
        log::info(&format!("finished {finished} makings or deletions of workspaces that the last run began"));
    }
    let finished = tenants::finish_interrupted(&app.control, &app.store);
    if finished > 0 {
        log::info(&format!("finished {finished} makings or deletions of tenants that the last run began"));
    }
    let finished = lifecycle::finish_interrupted(&app.control, &app.store)?;
    if finished > 0 {
        log::info(&format!("finished {finished} renames of partitions that the last run began"));
    }
    let entered = erasure::reconcile(&app.control, &app.store)?;
    if entered > 0 {
        log::info(&format!(
            "the audit log was given {entered} entries of erasures that the last run left unwritten"
        ));
    }
    let failed = app.control.fail_interrupted_jobs()?;
    if failed > 0 {
        log::warn(&format!("{failed} background inserts were cut short by the last stop; their jobs say so"));
    }
    if !app.control.is_empty() {
        return Ok(None);
    }
    let scope = server_itself();
    let collection = app.default_collection();
    let workspace = tenancy::create_workspace(
        &app.control,
        &app.store,
        &scope,
        DEFAULT_WORKSPACE,
        collection,
        By::system(),
    )?;
    mint_owner_key(app, &workspace, false).map(Some)
}

fn mint_owner_key(app: &App, workspace: &Workspace, multi_tenant: bool) -> Result<String, ApiError> {
    let new = NewKey {
        workspace: workspace.id,
        name: "owner".to_owned(),
        scopes: ScopeSet::all(),
        collection: None,
        partition: None,
        multi_tenant,
        expires_ms: None,
    };
    let (_, key) = app.control.mint(&new, By::system())?;
    Ok(key.text().to_owned())
}

fn make_data_dir(data_dir: &Path) -> Result<(), String> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.create(data_dir).and_then(|()| {
        // Writable? Asked now, so that the answer is this line and not the engine's.
        let probe = data_dir.join(".writable.tmp");
        std::fs::write(&probe, b"")?;
        std::fs::remove_file(&probe)
    });
    made.map_err(|error| {
        format!(
            "the data folder {} can't be written: {error}; choose another with --data-dir, or give this user the \
             right to write there",
            data_dir.display()
        )
    })
}

fn open_error(data_dir: &Path, error: &OpenError) -> String {
    use strongroom_engine::io::StorageErrorKind::Full;
    let folder = data_dir.display();
    match error {
        OpenError::Locked => in_use(data_dir),
        OpenError::WrongKey => format!(
            "the master key does not open the store in {folder}: start with the key that it was made with \
             (--master-key-file or STRONGROOM_MASTER_KEY)"
        ),
        OpenError::Storage(storage) if storage.kind == Full => {
            format!("the disk of {folder} is full: free some space, then start again")
        }
        other => format!("the store in {folder} can't be opened: {other}; look at it with strongroom verify"),
    }
}

fn in_use(data_dir: &Path) -> String {
    format!(
        "the data folder {} is in use by another strongroom process: stop that one, or choose another with --data-dir",
        data_dir.display()
    )
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "disk_tests.rs"]
mod disk_tests;
