//! What was done, and by whom?
//!
//! The audit log: a row for each privileged act, never changed. An act on the control plane and its row are one
//! transaction ([`Control::act`]); an erasure's row follows the engine's receipt (`server/src/erasure.rs`); refusals are
//! counted first (`tally`). What an act and its words are is in `entry`; how rows hang together, in `chain`.
//!
//! Invariants:
//! 1. A row names no tenant: what an act touched stands as an id that this server made, or a partition's incarnation, which
//!    whoever knows the name can match with a receipt's salted hash. People stand by their ids, never by an email.
//! 2. A receipt has one row. Rows are numbered from 1 within their workspace, without gaps, and outlive it.
//! 3. A row that could not be written is owed: it is kept in memory, with whose act it was, and written before anything
//!    else is. A process that ends before leaves it to the next start, which finds the receipt.
//! 4. Each row carries the hash of the one before it.

mod chain;
mod entry;
mod tally;

#[cfg(test)]
mod tests;

use std::sync::MutexGuard;

use rusqlite::{Connection, Row, ToSql, params};
use strongroom_engine::WorkspaceId;
use strongroom_engine::io::lock;

pub(super) use chain::begin;
pub(crate) use chain::{Head, check};
pub(crate) use entry::{Action, Actor, By, Entry, Outcome};
pub(super) use tally::Tally;

use super::{Control, ControlError};
use crate::{clock, log, random};

/// More rows than these are not owed in memory: the next start finds what is missing.
const OWED_MAX: usize = 10_000;

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
    pub(crate) peer: Option<String>,
    pub(crate) user_agent: Option<String>,
    /// How often: more than once for refusals and reads, which are counted.
    pub(crate) times: u64,
    /// What else is known of it, sealed under the key of the partition that it is of.
    pub(crate) note: Option<Vec<u8>>,
    /// Over all of this and the hash of the row before it.
    pub(crate) hash: [u8; 32],
}

/// Which rows are wanted: those where each of these that is given is the row's.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AuditFilter<'a> {
    pub(crate) action: Option<&'a str>,
    pub(crate) actor_id: Option<&'a str>,
    pub(crate) resource_type: Option<&'a str>,
    pub(crate) resource_id: Option<&'a str>,
    /// From this time on, in milliseconds since 1970.
    pub(crate) since_ms: Option<u64>,
    /// Before this time.
    pub(crate) until_ms: Option<u64>,
}

/// Which rows of reads and refusals are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccessFilter<'a> {
    /// One of these.
    pub(crate) actions: &'a [Action],
    /// Of this partition, by its incarnation in hexadecimal; else of all, and of none.
    pub(crate) incarnation: Option<&'a str>,
    /// From this time on, in milliseconds since 1970.
    pub(crate) since_ms: Option<u64>,
    /// Until this time, and at it.
    pub(crate) until_ms: Option<u64>,
}

/// A row, as [`read`] takes it, but for its note, which follows.
const COLUMNS: &str =
    "seq, at_ms, actor_kind, actor_id, action, resource_type, resource_id, receipt, outcome, request_id,
    peer, user_agent, times, hash";

/// The rows of a workspace (?1) that a filter (?2 to ?7) lets through.
const WANTED: &str = "FROM audit WHERE workspace = ?1
    AND (?2 IS NULL OR action = ?2)
    AND (?3 IS NULL OR coalesce(actor_id, actor_kind) = ?3)
    AND (?4 IS NULL OR resource_type = ?4)
    AND (?5 IS NULL OR resource_id = ?5)
    AND (?6 IS NULL OR at_ms >= ?6)
    AND (?7 IS NULL OR at_ms < ?7)";

impl Control {
    /// Writes down what is owed and what `more` brings, in this order; durable when it returns. What could not be
    /// written is owed from then on. Nothing is written where nothing is there to write.
    pub(crate) fn enter(&self, more: impl FnOnce() -> Vec<Entry>) -> Result<(), ControlError> {
        let mut db = self.lock();
        let mut owed = lock(&self.owed);
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

    /// Does something to the control plane and writes down what that was, or does neither: one transaction. `show` lets the
    /// requests see it, before any other change is made.
    pub(super) fn act<T>(
        &self,
        entries: Vec<Entry>,
        change: impl FnOnce(&Connection) -> Result<T, ControlError>,
        show: impl FnOnce(&MutexGuard<'_, Connection>, &T),
    ) -> Result<T, ControlError> {
        self.act_and_tell(change, |_| entries, show)
    }

    /// The same for what has its id only once it is done.
    pub(super) fn act_and_tell<T>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, ControlError>,
        entries: impl FnOnce(&T) -> Vec<Entry>,
        show: impl FnOnce(&MutexGuard<'_, Connection>, &T),
    ) -> Result<T, ControlError> {
        let mut db = self.lock();
        let mut owed = lock(&self.owed);
        let both = db.transaction()?;
        for entry in owed.iter() {
            insert(&both, entry)?;
        }
        let made = change(&both)?;
        for entry in &entries(&made) {
            insert(&both, entry)?;
        }
        both.commit()?;
        owed.clear();
        show(&db, &made);
        Ok(made)
    }

    /// Counts a refusal, to be written down with others like it.
    pub(crate) fn count_refusal(&self, entry: Entry) {
        if !lock(&self.refusals).count(entry) {
            log::warn(
                "more kinds of refusals in a minute than the audit log tells apart: some are not written down",
            );
        }
    }

    /// Writes down the refusals that are due; all of them at a stop.
    pub(crate) fn enter_refusals(&self, all: bool) -> Result<(), ControlError> {
        let due = lock(&self.refusals).take(clock::now_ms(), all);
        if due.is_empty() { Ok(()) } else { self.enter(|| due) }
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
        let AuditFilter { action, actor_id, resource_type, resource_id, since_ms, until_ms } = filter;
        // SQLite counts in 63 bits.
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (since, until) = (since_ms.map(whole), until_ms.map(whole));
        let wanted: [&dyn ToSql; 7] =
            [&workspace, &action, &actor_id, &resource_type, &resource_id, &since, &until];
        let total =
            db.prepare_cached(&format!("SELECT count(*) {WANTED}"))?.query_row(wanted, |row| row.get(0))?;
        let mut rows = db.prepare_cached(&format!(
            "SELECT {COLUMNS}, note {WANTED} ORDER BY seq DESC LIMIT ?8 OFFSET ?9"
        ))?;
        let (limit, offset) = (whole(limit), whole(offset));
        let page = [&wanted[..], &[&limit, &offset]].concat();
        Ok((collect(rows.query(page.as_slice())?)?, total))
    }

    /// The rows of reads and refusals that a filter lets through, newest first, from an offset on, and how many there are in all.
    pub(crate) fn access_rows(
        &self,
        workspace: WorkspaceId,
        filter: AccessFilter<'_>,
        offset: u64,
        limit: u64,
    ) -> Result<(Vec<AuditRow>, u64), ControlError> {
        let db = self.lock();
        // Words of our own.
        let words: Vec<_> = filter.actions.iter().map(|action| format!("'{}'", action.word())).collect();
        let wanted = format!(
            "FROM audit WHERE workspace = ?1 AND action IN ({}) AND (?2 IS NULL OR resource_id = ?2)
             AND (?3 IS NULL OR at_ms >= ?3) AND (?4 IS NULL OR at_ms <= ?4)",
            words.join(", ")
        );
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (since, until) = (filter.since_ms.map(whole), filter.until_ms.map(whole));
        let workspace = random::hex(&workspace.0);
        let asked: [&dyn ToSql; 4] = [&workspace, &filter.incarnation, &since, &until];
        let total =
            db.prepare_cached(&format!("SELECT count(*) {wanted}"))?.query_row(asked, |row| row.get(0))?;
        let mut rows = db.prepare_cached(&format!(
            "SELECT {COLUMNS}, note {wanted} ORDER BY seq DESC LIMIT ?5 OFFSET ?6"
        ))?;
        let (limit, offset) = (whole(limit), whole(offset));
        let page = [&asked[..], &[&limit, &offset]].concat();
        Ok((collect(rows.query(page.as_slice())?)?, total))
    }

    /// At most so many rows of a workspace after the one of this number, oldest first.
    pub(crate) fn audit_rows_after(
        &self,
        workspace: WorkspaceId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<AuditRow>, ControlError> {
        let db = self.lock();
        let mut rows = db.prepare_cached(&format!(
            "SELECT {COLUMNS}, note FROM audit WHERE workspace = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
        ))?;
        collect(rows.query(params![random::hex(&workspace.0), seq, limit])?)
    }

    /// Where a workspace's log stands.
    pub(crate) fn audit_head(&self, workspace: WorkspaceId) -> Result<Head, ControlError> {
        chain::head(&self.lock(), &random::hex(&workspace.0))
    }
}

/// Writes a row after the last one of its workspace. A receipt that has its row keeps it as it is.
fn insert(db: &Connection, entry: &Entry) -> Result<(), ControlError> {
    let receipt = entry.receipt.map(|id| random::hex(&id));
    if let Some(receipt) = &receipt
        && db.prepare_cached("SELECT 1 FROM audit WHERE receipt = ?1")?.exists([receipt])?
    {
        return Ok(());
    }
    let workspace = random::hex(&entry.workspace.0);
    let last = chain::head(db, &workspace)?;
    let mut row = AuditRow {
        seq: last.entries + 1,
        at_ms: clock::now_ms(),
        actor: entry.by.actor.clone(),
        action: entry.action.word().to_owned(),
        resource_type: entry.action.resource_type().to_owned(),
        resource_id: entry.resource.clone(),
        receipt,
        outcome: entry.outcome.word().to_owned(),
        request_id: entry.by.request_id.clone(),
        peer: entry.by.peer.clone(),
        user_agent: entry.by.user_agent.clone(),
        times: entry.times,
        note: entry.note.clone(),
        hash: chain::BEGIN,
    };
    row.hash = chain::link(&last.hash, &workspace, &row);
    let mut write = db.prepare_cached(&format!(
        "INSERT INTO audit ({COLUMNS}, note, workspace)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
    ))?;
    write.execute(params![
        row.seq,
        row.at_ms,
        row.actor.kind(),
        row.actor.stored_id(),
        row.action,
        row.resource_type,
        row.resource_id,
        row.receipt,
        row.outcome,
        row.request_id,
        row.peer,
        row.user_agent,
        row.times,
        row.hash,
        row.note,
        workspace,
    ])?;
    Ok(())
}

fn collect(mut rows: rusqlite::Rows<'_>) -> Result<Vec<AuditRow>, ControlError> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Reads a row that begins with [`COLUMNS`] and its note.
fn read(row: &Row<'_>) -> Result<AuditRow, ControlError> {
    let (kind, id): (String, Option<String>) = (row.get(2)?, row.get(3)?);
    let actor = Actor::parse(&kind, id)
        .ok_or_else(|| ControlError::Corrupt(format!("an actor of the audit log is a {kind:?}")))?;
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
        peer: row.get(10)?,
        user_agent: row.get(11)?,
        times: row.get(12)?,
        // None but in rows that the migration is about to link.
        hash: row.get::<_, Option<[u8; 32]>>(13)?.unwrap_or(chain::BEGIN),
        note: row.get(14)?,
    })
}
