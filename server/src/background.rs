//! What does the server do that nobody waits for?
//!
//! Two tasks: one stores documents that were inserted in the background, one at a time in the order they came; the
//! other asks the engine about once a second whether it wants to flush or compact, and has it do so.
//!
//! Invariants:
//! 1. A job that a stop cut short is failed at the next start; nobody polls for ever.
//! 2. Maintenance that fails is told and tried again after a pause that grows.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::app::App;
use crate::control::JobState;
use crate::jobs::Job;
use crate::log;
use crate::message::error::ApiError;

const MAINTENANCE_PERIOD: Duration = Duration::from_secs(1);
const MAINTENANCE_PAUSE_MAX: Duration = Duration::from_secs(60);
/// How often the times of keys' last use are written down, in maintenance periods.
const SAVE_LAST_USED_EVERY: u32 = 60;

/// Stores what is queued, until `stop`. The job that runs is finished; the rest is failed at the next start.
pub(crate) async fn work(app: Arc<App>, mut waiting: mpsc::Receiver<Job>, mut stop: watch::Receiver<bool>) {
    loop {
        let job = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            job = waiting.recv() => job,
        };
        let Some(job) = job else { return };
        if let Err(error) = run(app.clone(), job).await {
            log::error(&format!("a background insert: {} {}", error.code, error.cause.unwrap_or_default()));
        }
    }
}

async fn run(app: Arc<App>, job: Job) -> Result<(), ApiError> {
    let pool = app.pool.clone();
    let id = job.id.clone();
    let worker = app.clone();
    let outcome = pool
        .run(move || {
            worker.control.set_job(&job.id, &JobState::Processing)?;
            let stored = worker.store_document(&job.place, job.intake);
            drop(job.held);
            stored
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

/// Lets the engine flush and compact, until `stop`.
pub(crate) async fn maintain(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let (mut pause, mut rounds) = (MAINTENANCE_PERIOD, 0_u32);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(pause) => {}
        }
        rounds = rounds.wrapping_add(1);
        let worker = app.clone();
        let saves = rounds.is_multiple_of(SAVE_LAST_USED_EVERY);
        // Not through the pool: under full load maintenance is needed most.
        let done = tokio::task::spawn_blocking(move || -> Result<(), ApiError> {
            if saves {
                worker.control.save_last_used()?;
            }
            if worker.store.wants_maintenance() {
                worker.store.run_maintenance()?;
            }
            Ok(())
        });
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
