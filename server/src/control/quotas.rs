//! How are quotas kept?
//!
//! A row for each subject that has one. What they mean is decided in the room `quota`; here they are written and read.

use std::sync::Arc;

use rusqlite::params;
use strongroom_engine::WorkspaceId;

use super::schema::workspace_id;
use super::secret::PartitionHash;
use super::usage::{column, partition};
use super::{Control, ControlError};
use crate::random;

/// What somebody may use at most; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Quota {
    pub(crate) requests_per_second: Option<f64>,
    /// Requests that may come at once after a pause.
    pub(crate) burst: Option<u64>,
    pub(crate) queries_per_day: Option<u64>,
    pub(crate) documents: Option<u64>,
    pub(crate) stored_bytes: Option<u64>,
    pub(crate) embedding_tokens_per_day: Option<u64>,
}

impl Quota {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// This one with `own` limits where it has none; `None` when it is wider than those.
    pub(crate) fn within(&self, own: &Self) -> Option<Self> {
        fn narrower<T: PartialOrd + Copy>(asked: Option<T>, own: Option<T>) -> Option<Option<T>> {
            match (asked, own) {
                (Some(asked), Some(own)) if asked > own => None,
                (asked, own) => Some(asked.or(own)),
            }
        }
        let rate = narrower(self.requests_per_second, own.requests_per_second)?;
        let usual = |quota: &Self| quota.burst.or_else(|| Some(quota.requests_per_second?.ceil() as u64));
        let burst =
            if own.requests_per_second.is_some() { narrower(usual(self), usual(own))? } else { self.burst };
        Some(Self {
            requests_per_second: rate,
            burst,
            queries_per_day: narrower(self.queries_per_day, own.queries_per_day)?,
            documents: narrower(self.documents, own.documents)?,
            stored_bytes: narrower(self.stored_bytes, own.stored_bytes)?,
            embedding_tokens_per_day: narrower(self.embedding_tokens_per_day, own.embedding_tokens_per_day)?,
        })
    }
}

/// Whose quota it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Workspace(WorkspaceId),
    Collection(WorkspaceId, Arc<str>),
    /// No hash is the default partition.
    Partition(WorkspaceId, Arc<str>, Option<PartitionHash>),
    /// Each partition that has none of its own, of one collection or of all.
    EachPartition(WorkspaceId, Option<Arc<str>>),
    Key(WorkspaceId, Arc<str>),
}

impl Subject {
    pub(crate) fn workspace(&self) -> WorkspaceId {
        match self {
            Self::Workspace(id)
            | Self::Collection(id, _)
            | Self::Partition(id, ..)
            | Self::EachPartition(id, _)
            | Self::Key(id, _) => *id,
        }
    }

    /// Its columns: the kind's word, collection, partition, key.
    fn columns(&self) -> (&'static str, &str, Vec<u8>, &str) {
        match self {
            Self::Workspace(_) => ("workspace", "", Vec::new(), ""),
            Self::Collection(_, name) => ("collection", name, Vec::new(), ""),
            Self::Partition(_, name, hash) => ("partition", name, column(*hash), ""),
            Self::EachPartition(_, name) => {
                ("each_partition", name.as_deref().unwrap_or_default(), Vec::new(), "")
            }
            Self::Key(_, id) => ("key", "", Vec::new(), id),
        }
    }
}

impl Control {
    /// Writes a quota; an empty one goes.
    pub(crate) fn set_quota(&self, subject: &Subject, quota: &Quota) -> Result<(), ControlError> {
        let (kind, collection, partition, key) = subject.columns();
        let workspace = random::hex(&subject.workspace().0);
        let db = self.lock();
        if quota.is_empty() {
            db.execute(
                "DELETE FROM quotas WHERE workspace = ?1 AND subject = ?2 AND collection = ?3 AND partition = ?4
                 AND key_id = ?5",
                params![workspace, kind, collection, partition, key],
            )?;
            return Ok(());
        }
        let written = db.execute(
            "INSERT OR REPLACE INTO quotas SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11
             WHERE EXISTS (SELECT 1 FROM workspaces WHERE id = ?1)",
            params![
                workspace,
                kind,
                collection,
                partition,
                key,
                quota.requests_per_second,
                quota.burst,
                quota.queries_per_day,
                quota.documents,
                quota.stored_bytes,
                quota.embedding_tokens_per_day
            ],
        )?;
        if written == 0 { Err(ControlError::NoWorkspace) } else { Ok(()) }
    }

    /// All quotas.
    pub(crate) fn quotas(&self) -> Result<Vec<(Subject, Quota)>, ControlError> {
        let db = self.lock();
        let mut rows = db.prepare(
            "SELECT workspace, subject, collection, partition, key_id, requests_per_second, burst, queries_per_day,
                    documents, stored_bytes, embedding_tokens_per_day FROM quotas",
        )?;
        let mut rows = rows.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let workspace = workspace_id(row, 0)?;
            let (kind, collection): (String, String) = (row.get(1)?, row.get(2)?);
            let (hash, key): (Vec<u8>, String) = (row.get(3)?, row.get(4)?);
            let subject = match kind.as_str() {
                "workspace" => Subject::Workspace(workspace),
                "collection" => Subject::Collection(workspace, collection.into()),
                "partition" => Subject::Partition(workspace, collection.into(), partition(&hash)?),
                "key" => Subject::Key(workspace, key.into()),
                _ => Subject::EachPartition(workspace, (!collection.is_empty()).then(|| collection.into())),
            };
            let quota = Quota {
                requests_per_second: row.get(5)?,
                burst: row.get(6)?,
                queries_per_day: row.get(7)?,
                documents: row.get(8)?,
                stored_bytes: row.get(9)?,
                embedding_tokens_per_day: row.get(10)?,
            };
            found.push((subject, quota));
        }
        Ok(found)
    }
}
