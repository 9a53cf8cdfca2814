//! What became of a background insert?
//!
//! A row for each job: its state and its outcome, nothing of the document. Rows outlive the process, so that a client
//! that polls across a restart learns that it has to insert again.

use rusqlite::{OptionalExtension, params};
use strongroom_engine::WorkspaceId;

use super::schema::workspace_id;
use super::{Control, ControlError};
use crate::{clock, random};

/// How long a finished job's row is kept.
const KEEP_MS: u64 = 7 * clock::DAY_MS;

/// Where a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobState {
    Queued,
    Processing,
    /// Stored, under this id.
    Completed {
        doc_id: String,
    },
    /// Not stored, and why, as an error code.
    Failed {
        code: String,
    },
}

impl JobState {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
        }
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobRow {
    pub(crate) id: String,
    pub(crate) workspace: WorkspaceId,
    /// The key that asked for it; `None` for the operator.
    pub(crate) key_id: Option<String>,
    pub(crate) state: JobState,
}

/// The code of jobs that a stop of the server cut short.
pub(crate) const INTERRUPTED: &str = "interrupted";

impl Control {
    /// Writes down a job of this name, which the same request has each time it comes, and answers its id, and whether
    /// it begins now. One that failed, or is older than a request is remembered, begins anew.
    pub(crate) fn begin_job_once(
        &self,
        workspace: WorkspaceId,
        key_id: Option<&str>,
        name: [u8; 16],
    ) -> Result<(String, bool), ControlError> {
        let (id, now) = (random::hex(&name), clock::now_ms());
        let begun = self.lock().execute(
            "INSERT INTO jobs (id, workspace, key_id, state, created_ms, updated_ms)
             VALUES (?1, ?2, ?3, 'queued', ?4, ?4)
             ON CONFLICT (id) DO UPDATE
             SET state = 'queued', doc_id = NULL, error_code = NULL, created_ms = ?4, updated_ms = ?4
             WHERE workspace = ?2 AND (state = 'failed' OR state = 'completed' AND created_ms <= ?5)",
            params![id, random::hex(&workspace.0), key_id, now, now.saturating_sub(clock::DAY_MS)],
        )?;
        Ok((id, begun > 0))
    }

    /// Writes down a new job and answers its id.
    pub(crate) fn begin_job(
        &self,
        workspace: WorkspaceId,
        key_id: Option<&str>,
    ) -> Result<String, ControlError> {
        let id = random::hex(&random::bytes::<16>());
        self.lock().execute(
            "INSERT INTO jobs (id, workspace, key_id, state, created_ms, updated_ms)
             VALUES (?1, ?2, ?3, 'queued', ?4, ?4)",
            params![id, random::hex(&workspace.0), key_id, clock::now_ms()],
        )?;
        Ok(id)
    }

    /// Writes down where a job is now.
    pub(crate) fn set_job(&self, id: &str, state: &JobState) -> Result<(), ControlError> {
        let (doc_id, code) = match state {
            JobState::Completed { doc_id } => (Some(doc_id), None),
            JobState::Failed { code } => (None, Some(code)),
            JobState::Queued | JobState::Processing => (None, None),
        };
        self.lock().execute(
            "UPDATE jobs SET state = ?2, doc_id = ?3, error_code = ?4, updated_ms = ?5 WHERE id = ?1",
            params![id, state.word(), doc_id, code, clock::now_ms()],
        )?;
        Ok(())
    }

    /// A job of this workspace.
    pub(crate) fn job(&self, workspace: WorkspaceId, id: &str) -> Result<JobRow, ControlError> {
        let db = self.lock();
        let mut row = db.prepare_cached(
            "SELECT workspace, key_id, state, doc_id, error_code FROM jobs WHERE id = ?1 AND workspace = ?2",
        )?;
        let found = row
            .query_row(params![id, random::hex(&workspace.0)], |row| {
                Ok((workspace_id(row, 0), row.get(1)?, row.get::<_, String>(2)?, row.get(3)?, row.get(4)?))
            })
            .optional()?;
        let (workspace, key_id, word, doc_id, code): (_, _, _, Option<String>, Option<String>) =
            found.ok_or(ControlError::NoJob)?;
        let state = match (word.as_str(), doc_id, code) {
            ("queued", ..) => JobState::Queued,
            ("processing", ..) => JobState::Processing,
            ("completed", Some(doc_id), _) => JobState::Completed { doc_id },
            ("failed", _, Some(code)) => JobState::Failed { code },
            _ => return Err(ControlError::Corrupt(format!("a job's state is {word:?} without its outcome"))),
        };
        Ok(JobRow { id: id.to_owned(), workspace: workspace?, key_id, state })
    }

    /// At open: fails the jobs that the last life of the process did not finish, and forgets old ones. Answers how
    /// many were failed.
    pub(crate) fn fail_interrupted_jobs(&self) -> Result<usize, ControlError> {
        let (db, now) = (self.lock(), clock::now_ms());
        let failed = db.execute(
            "UPDATE jobs SET state = 'failed', error_code = ?1, updated_ms = ?2
             WHERE state IN ('queued', 'processing')",
            params![INTERRUPTED, now],
        )?;
        db.execute("DELETE FROM jobs WHERE updated_ms < ?1", params![now.saturating_sub(KEEP_MS)])?;
        Ok(failed)
    }
}
