//! What does the server do that nobody waits for?
//!
//! Three tasks: one stores documents that were inserted in the background, one at a time in the order they came (those that are files, as
//! soon as they are read, which several are at once and no tenant's before all others'); one
//! asks the engine about once a second whether there is something to do (flush, compact, purge) and has it do so, and
//! reads the store back for damage, slowly; one notices when the disk has failed under a write.
//!
//! Invariants:
//! 1. A job that a stop cut short is failed at the next start; nobody polls for ever.
//! 2. Maintenance that fails is told and tried again after a pause that grows.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::app::App;
use crate::auth::server_itself;
use crate::control::JobState;
use crate::erasure;
use crate::jobs::Job;
use crate::log;
use crate::message::error::ApiError;
use crate::pool::{Tenant, now_for, with_tenant};
use crate::summarizing;

/// Until a file is tried again for which there was no room.
const READING_PAUSE: Duration = Duration::from_secs(1);
const MAINTENANCE_PERIOD: Duration = Duration::from_secs(1);
const MAINTENANCE_PAUSE_MAX: Duration = Duration::from_secs(60);
/// What waits for no demand is done this often, in maintenance periods: a round whether the engine wants one or not, a
/// look for damage, and writing down when keys were last used.
const SLOW_ROUND_EVERY: u32 = 60;
/// How much of the store is read back in a slow round.
const SCRUB_BYTES: u64 = 64 << 20;
/// A server that is never idle is read back too, this much more slowly.
const BUSY_SCRUB_EVERY: u32 = 10;

/// Stores what is queued, until `stop`. The job that runs is finished; the rest is failed at the next start.
pub(crate) async fn work(app: Arc<App>, mut waiting: mpsc::Receiver<Job>, mut stop: watch::Receiver<bool>) {
    let mut reading: JoinSet<(Job, Result<(), ApiError>)> = JoinSet::new();
    let reading_max = app.limits.jobs_max.max(1);
    loop {
        let (job, is_read) = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            Some(read) = reading.join_next() => match read {
                Ok(read) => read,
                // It panicked, and its job with it; the line before says where.
                Err(_) => continue,
            },
            job = waiting.recv(), if reading.len() < reading_max => match job {
                Some(job) => match job.intake.unread() {
                    Ok(Some(_)) => {
                        reading.spawn(read(app.clone(), job));
                        continue;
                    }
                    unread => (job, unread.map(drop)),
                },
                None => return,
            },
        };
        if let Err(error) = run(app.clone(), job, is_read).await {
            log::error(&format!("a background insert: {} {}", error.code, error.cause.unwrap_or_default()));
        }
    }
}

/// Reads the text out of a job's file, in its tenant's turn.
async fn read(app: Arc<App>, mut job: Job) -> (Job, Result<(), ApiError>) {
    let tenant = Tenant::partition(job.place.scope.workspace(), &job.place.at);
    let read = with_tenant(async {
        now_for(tenant);
        loop {
            match app.with_text(job.intake.clone()).await {
                // Nobody waits for the answer: it is tried until there is room.
                Err(error) if error.retry_after_seconds.is_some() => tokio::time::sleep(READING_PAUSE).await,
                outcome => break outcome,
            }
        }
    });
    let outcome = read.await.map(|intake| job.intake = intake);
    (job, outcome)
}

async fn run(app: Arc<App>, job: Job, is_read: Result<(), ApiError>) -> Result<(), ApiError> {
    let pool = app.pool.clone();
    let id = job.id.clone();
    let worker = app.clone();
    let tenant = Tenant::partition(job.place.scope.workspace(), &job.place.at);
    let outcome = pool
        .run_for(tenant, move || {
            is_read?;
            worker.control.set_job(&job.id, &JobState::Processing)?;
            let stored = worker.store_document(&job.place, job.intake)?;
            drop(job.held);
            summarizing::begin(&worker, &job.place, &stored);
            Ok(stored)
        })
        .await;
    let (state, failure) = match outcome {
        Ok(document) => (JobState::Completed { doc_id: document.id }, None),
        Err(error) => {
            (JobState::Failed { code: error.code.to_owned() }, error.cause.is_some().then_some(error))
        }
    };
    pool.run(move || Ok(app.control.set_job(&id, &state)?)).await?;
    failure.map_or(Ok(()), Err)
}

/// Lets the engine flush, compact, purge and look for damage, until `stop`.
pub(crate) async fn maintain(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let (mut pause, mut rounds) = (MAINTENANCE_PERIOD, 0_u32);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(pause) => {}
        }
        rounds = rounds.wrapping_add(1);
        let worker = app.clone();
        // Not through the pool: under full load maintenance is needed most.
        let done = tokio::task::spawn_blocking(move || round(&worker, rounds));
        let outcome =
            done.await.unwrap_or_else(|_| Err(ApiError::internal("it panicked; the line before says where")));
        match outcome {
            Ok(()) => pause = MAINTENANCE_PERIOD,
            Err(error) => {
                pause = (pause * 2).min(MAINTENANCE_PAUSE_MAX);
                let why = error.cause.unwrap_or_else(|| error.text.into_owned());
                log::error(&format!("maintenance failed, next try in {} s: {why}", pause.as_secs()));
            }
        }
    }
}

fn round(app: &App, rounds: u32) -> Result<(), ApiError> {
    let is_slow = rounds.is_multiple_of(SLOW_ROUND_EVERY);
    // Erasures that met a failure, and what comes due in partitions that rest, wait for no flush.
    let maintained =
        if is_slow || app.store.wants_maintenance() { app.store.run_maintenance().map(drop) } else { Ok(()) };
    // Also of a round that failed half-way, and what a call could not write down.
    erasure::settle(&app.control, &app.store)?;
    app.control.enter_refusals(false)?;
    app.access.settle(false)?;
    maintained?;
    if is_slow {
        look_for_damage(app, rounds / SLOW_ROUND_EVERY);
        app.control.save_last_used()?;
        app.control.sweep()?;
    }
    Ok(())
}

/// Reads a little of the store back, so that damage is found before a customer does. Waits while there is work, but not
/// for ever.
fn look_for_damage(app: &App, slow_rounds: u32) {
    if !app.metrics.is_busy() || slow_rounds.is_multiple_of(BUSY_SCRUB_EVERY) {
        match app.store.scrub(&server_itself(), SCRUB_BYTES) {
            Ok(scrubbed) => app.damages.tell(&app.metrics, &scrubbed.damages),
            Err(error) => {
                let error = ApiError::from(error);
                let why = error.cause.unwrap_or_else(|| error.text.into_owned());
                log::error(&format!("segments could not be read back: {why}"));
            }
        }
    }
    app.damages.tell(&app.metrics, &app.store.damages(&server_itself()));
}

/// Notices, until `stop`, that the disk failed under a write. What it holds can't be known then without opening it anew:
/// the server takes itself out of service, and whoever runs it ends the process.
pub(crate) async fn watch_disk(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    while !app.store.is_poisoned() {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(MAINTENANCE_PERIOD) => {}
        }
    }
    app.is_ready.store(false, Ordering::Relaxed);
    app.disk_failed.send_replace(true);
}
