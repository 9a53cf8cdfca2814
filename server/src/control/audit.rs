//! What was done, and by whom?
//!
//! The audit log: a row for each act, written before the act is acknowledged and never changed. Today the acts are
//! erasures; which of them get a row, and when, is decided in `server/src/erasure.rs`.
//!
//! Invariants:
//! 1. A row names nobody: what an act touched stands as a workspace's id or a partition's incarnation, which whoever knows
//!    the name can match with a receipt's salted hash.
//! 2. A receipt has one row. Rows are numbered from 1 within their workspace, without gaps, and outlive it.
//! 3. A row that could not be written is owed: it is kept in memory, with whose act it was, and written before anything
//!    else is. A process that ends before leaves it to the next start, which finds the receipt.

use rusqlite::{Connection, Row, ToSql, params};
use strongroom_engine::WorkspaceId;

use super::{Control, ControlError};
use crate::{clock, random};

/// More rows than these are not owed in memory: the next start finds what is missing.
const OWED_MAX: usize = 10_000;

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A key, by its id.
    Key(String),
    /// The operator.
    Operator,
    /// The server itself: in the background, or finishing what a failure or a crash cut short.
    System,
}

impl Actor {
    fn kind(&self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::Operator => "operator",
            Self::System => "system",
        }
    }

    /// The id of the key.
    pub(crate) fn key_id(&self) -> Option<&str> {
        match self {
            Self::Key(id) => Some(id),
            Self::Operator | Self::System => None,
        }
    }

    /// What answers show and a filter names: a key by its id, the others by their kind, which is shorter than any id.
    pub(crate) fn id(&self) -> &str {
        self.key_id().unwrap_or_else(|| self.kind())
    }
}

/// Whose act it is, and in which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct By {
    pub(crate) actor: Actor,
    pub(crate) request_id: Option<String>,
}

impl By {
    /// Nobody asked for it just now.
    pub(crate) fn system() -> Self {
        Self { actor: Actor::System, request_id: None }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// A partition was dropped and shredded.
    PartitionDrop,
    /// A workspace was.
    WorkspaceDrop,
    /// Documents of a partition were purged.
    DocumentPurge,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::PartitionDrop => "partition.drop",
            Self::WorkspaceDrop => "workspace.drop",
            Self::DocumentPurge => "document.purge",
        }
    }

    /// What the act's id is the id of. Of a purge it is the partition: a document's own would outlive it here.
    fn resource_type(self) -> &'static str {
        match self {
            Self::PartitionDrop | Self::DocumentPurge => "partition",
            Self::WorkspaceDrop => "workspace",
        }
    }
}

/// An act to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) workspace: WorkspaceId,
    pub(crate) by: By,
    pub(crate) action: Action,
    /// The incarnation, or the workspace's id.
    pub(crate) resource: [u8; 16],
    /// The receipt that proves it.
    pub(crate) receipt: Option<[u8; 16]>,
    /// Whether it is done; else it is accepted for good, and done in the background.
    pub(crate) is_done: bool,
}

/// An act as it was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuditRow {
    /// Its number within the workspace.
    pub(crate) seq: u64,
    pub(crate) at_ms: u64,
    pub(crate) actor: Actor,
    pub(crate) action: String,
    pub(crate) resource_type: String,
    pub(crate) resource_id: Option<String>,
    pub(crate) receipt: Option<String>,
    pub(crate) outcome: String,
    pub(crate) request_id: Option<String>,
}

/// Which rows are wanted: those where each of these that is given is the row's.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AuditFilter<'a> {
    pub(crate) action: Option<&'a str>,
    pub(crate) actor_id: Option<&'a str>,
    pub(crate) resource_type: Option<&'a str>,
    pub(crate) resource_id: Option<&'a str>,
}

/// The rows of a workspace (?1) that a filter (?2 to ?5) lets through.
const WANTED: &str = "FROM audit WHERE workspace = ?1
    AND (?2 IS NULL OR action = ?2)
    AND (?3 IS NULL OR coalesce(actor_id, actor_kind) = ?3)
    AND (?4 IS NULL OR resource_type = ?4)
    AND (?5 IS NULL OR resource_id = ?5)";

impl Control {
    /// Writes down what is owed and what `more` brings, in this order; durable when it returns. What could not be
    /// written is owed from then on. Nothing is written where nothing is there to write.
    pub(crate) fn enter(&self, more: impl FnOnce() -> Vec<Entry>) -> Result<(), ControlError> {
        let mut db = self.lock();
        let mut owed = strongroom_engine::io::lock(&self.owed);
        let room = OWED_MAX.saturating_sub(owed.len());
        let mut entries = more();
        let beyond = entries.split_off(entries.len().min(room));
        owed.extend(entries);
        if owed.is_empty() {
            return Ok(());
        }
        let change = db.transaction()?;
        for entry in owed.iter().chain(&beyond) {
            insert(&change, entry)?;
        }
        change.commit()?;
        owed.clear();
        Ok(())
    }

    /// Leaves those of these receipts that have no row.
    pub(crate) fn retain_without_row(
        &self,
        receipts: &mut Vec<(WorkspaceId, [u8; 16])>,
    ) -> Result<(), ControlError> {
        let mut db = self.lock();
        // One look for all: each of its own would lock the database's files again.
        let look = db.transaction()?;
        let mut row = look.prepare("SELECT 1 FROM audit WHERE receipt = ?1")?;
        let mut missing = Vec::new();
        for (workspace, id) in receipts.drain(..) {
            if !row.exists([random::hex(&id)])? {
                missing.push((workspace, id));
            }
        }
        *receipts = missing;
        Ok(())
    }

    /// The rows of a workspace that a filter lets through, newest first, and how many there are in all.
    pub(crate) fn audit_rows(
        &self,
        workspace: WorkspaceId,
        filter: AuditFilter<'_>,
        offset: u64,
        limit: u64,
    ) -> Result<(Vec<AuditRow>, u64), ControlError> {
        let db = self.lock();
        let workspace = random::hex(&workspace.0);
        let AuditFilter { action, actor_id, resource_type, resource_id } = filter;
        let wanted: [&dyn ToSql; 5] = [&workspace, &action, &actor_id, &resource_type, &resource_id];
        let total =
            db.prepare_cached(&format!("SELECT count(*) {WANTED}"))?.query_row(wanted, |row| row.get(0))?;
        let mut rows = db.prepare_cached(&format!(
            "SELECT seq, at_ms, actor_kind, actor_id, action, resource_type, resource_id, receipt, outcome, request_id
             {WANTED} ORDER BY seq DESC LIMIT ?6 OFFSET ?7"
        ))?;
        // SQLite counts in 63 bits.
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let page = [&wanted[..], &[&limit, &offset]].concat();
        let mut rows = rows.query(page.as_slice())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok((found, total))
    }
}

/// A receipt that has its row keeps it as it is.
fn insert(db: &Connection, entry: &Entry) -> Result<(), ControlError> {
    let mut row = db.prepare_cached(
        "INSERT INTO audit (workspace, seq, at_ms, actor_kind, actor_id, action, resource_type, resource_id, receipt,
                            outcome, request_id)
         SELECT ?1, 1 + coalesce(max(seq), 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 FROM audit WHERE workspace = ?1
         ON CONFLICT (receipt) DO NOTHING",
    )?;
    row.execute(params![
        random::hex(&entry.workspace.0),
        clock::now_ms(),
        entry.by.actor.kind(),
        entry.by.actor.key_id(),
        entry.action.word(),
        entry.action.resource_type(),
        random::hex(&entry.resource),
        entry.receipt.map(|id| random::hex(&id)),
        if entry.is_done { "done" } else { "accepted" },
        entry.by.request_id,
    ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<AuditRow, ControlError> {
    let (kind, key_id): (String, Option<String>) = (row.get(2)?, row.get(3)?);
    let actor = match (kind.as_str(), key_id) {
        ("key", Some(id)) => Actor::Key(id),
        ("operator", None) => Actor::Operator,
        ("system", None) => Actor::System,
        _ => return Err(ControlError::Corrupt(format!("an actor of the audit log is a {kind:?}"))),
    };
    Ok(AuditRow {
        seq: row.get(0)?,
        at_ms: row.get(1)?,
        actor,
        action: row.get(4)?,
        resource_type: row.get(5)?,
        resource_id: row.get(6)?,
        receipt: row.get(7)?,
        outcome: row.get(8)?,
        request_id: row.get(9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(folder: &tempfile::TempDir) -> Control {
        Control::open(&folder.path().join("control.sqlite"), &[1; 32], None).unwrap()
    }

    fn entry(workspace: u8, actor: Actor, receipt: Option<u8>) -> Entry {
        Entry {
            workspace: WorkspaceId([workspace; 16]),
            by: By { actor, request_id: None },
            action: Action::PartitionDrop,
            resource: [receipt.unwrap_or(0xff); 16],
            receipt: receipt.map(|id| [id; 16]),
            is_done: true,
        }
    }

    /// Number and actor of each row, newest first.
    fn rows(control: &Control, workspace: u8) -> Vec<(u64, String)> {
        let found = control.audit_rows(WorkspaceId([workspace; 16]), AuditFilter::default(), 0, 99).unwrap();
        assert_eq!(found.1, found.0.len() as u64);
        found.0.into_iter().map(|row| (row.seq, row.actor.id().to_owned())).collect()
    }

    fn told(rows: &[(u64, &str)]) -> Vec<(u64, String)> {
        rows.iter().map(|(seq, who)| (*seq, (*who).to_owned())).collect()
    }

    /// Lost otherwise: an erasure would be told twice, or a gap would look as if somebody had taken a row out.
    #[test]
    fn a_receipt_has_one_row_and_numbers_have_no_gaps() {
        let folder = tempfile::tempdir().unwrap();
        let control = control(&folder);
        let key = || Actor::Key("0123456789ab".to_owned());
        control.enter(|| vec![entry(1, key(), Some(7)), entry(2, Actor::System, Some(8))]).unwrap();
        control.enter(|| vec![entry(1, Actor::System, Some(7)), entry(1, Actor::Operator, Some(9))]).unwrap();
        // Without a receipt each is an act of its own.
        control.enter(|| vec![entry(1, key(), None), entry(1, key(), None)]).unwrap();
        let (me, one) = ("0123456789ab", rows(&control, 1));
        assert_eq!(one, told(&[(4, me), (3, me), (2, "operator"), (1, me)]));
        assert_eq!(rows(&control, 2), told(&[(1, "system")]));
        let receipt = |id: u8| (WorkspaceId([1; 16]), [id; 16]);
        let mut without = vec![receipt(6), receipt(7), receipt(9), receipt(10)];
        control.retain_without_row(&mut without).unwrap();
        assert_eq!(without, [receipt(6), receipt(10)]);
    }

    /// Lost otherwise: whoever reads the log could not rely on what it said before.
    #[test]
    fn rows_are_neither_changed_nor_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let control = control(&folder);
        control.enter(|| vec![entry(1, Actor::Operator, Some(7))]).unwrap();
        for change in ["UPDATE audit SET actor_kind = 'system'", "DELETE FROM audit"] {
            let refused = control.lock().execute(change, []).unwrap_err().to_string();
            assert!(refused.contains("the audit log is never"), "{change}: {refused}");
        }
        assert_eq!(rows(&control, 1), told(&[(1, "operator")]));
    }

    /// Lost otherwise: what could not be written would be forgotten, or written as somebody else's act.
    #[test]
    fn what_could_not_be_written_is_owed() {
        let folder = tempfile::tempdir().unwrap();
        let control = control(&folder);
        let refuse = |refuse: bool| control.lock().pragma_update(None, "query_only", refuse).unwrap();
        refuse(true);
        assert!(control.enter(|| vec![entry(1, Actor::Operator, Some(7))]).is_err());
        assert!(control.enter(Vec::new).is_err(), "nothing is told to be written while something is owed");
        refuse(false);
        control.enter(|| vec![entry(1, Actor::System, Some(8))]).unwrap();
        assert_eq!(rows(&control, 1), told(&[(2, "system"), (1, "operator")]));
        refuse(true);
        control.enter(Vec::new).expect("nothing is owed any more");
    }
}
