//! Has anybody changed the audit log behind the server's back?
//!
//! Each row carries SHA-256 over the hash of the row before it in its workspace and all that it says itself. Whoever
//! changes, adds or takes out a row has to compute every later hash anew, and then the head differs from the one that
//! somebody else wrote down. Without such a head this finds slips and clumsy hands, no more: the hashes need no secret.
//!
//! Invariants:
//! 1. Two rows that differ in anything have different texts under the hash: each part says whether it is there and how
//!    long it is.
//! 2. What is hashed never depends on this version's code: a field that comes later is added at the end, under another
//!    [`LABEL`].
//!
//! Concurrency: rows are linked within the transaction that writes them.

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use super::{AuditRow, COLUMNS, read};
use crate::control::ControlError;
use crate::random;

/// What every text under the hash begins with.
const LABEL: &[u8] = b"strongroom audit 1";

/// The same of a row with a note, which is hashed at the end, as it is sealed.
const LABEL_NOTED: &[u8] = b"strongroom audit 2";

/// The hash before a workspace's first row.
pub(super) const BEGIN: [u8; 32] = [0; 32];

/// The triggers that keep rows as they are. They follow the computing of hashes for rows from before there were any.
const TRIGGERS: &str = "
    CREATE TRIGGER audit_rows_stay BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'a row of the audit log is never deleted'); END;
    CREATE TRIGGER audit_rows_stand BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'a row of the audit log is never changed'); END;";

/// The last row of a workspace's log, and the hash that stands for all before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// The workspace's id, in hexadecimal.
    pub(crate) workspace: String,
    /// How many rows there are; 0 before the first.
    pub(crate) entries: u64,
    pub(crate) hash: [u8; 32],
}

/// What a check of all chains found.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) entries: u64,
    pub(crate) heads: Vec<Head>,
    /// What is not as it was written, a line for each.
    pub(crate) faults: Vec<String>,
}

/// The hash of a row after the one of this hash.
pub(super) fn link(previous: &[u8; 32], workspace: &str, row: &AuditRow) -> [u8; 32] {
    let mut text = Sha256::new();
    let mut part = |bytes: Option<&[u8]>| match bytes {
        None => text.update([0]),
        Some(bytes) => {
            text.update([1]);
            text.update((bytes.len() as u64).to_le_bytes());
            text.update(bytes);
        }
    };
    let word = |word: &Option<String>| word.as_ref().map(|word| word.as_bytes().to_vec());
    part(Some(if row.note.is_some() { LABEL_NOTED } else { LABEL }));
    part(Some(previous));
    part(Some(workspace.as_bytes()));
    part(Some(&row.seq.to_le_bytes()));
    part(Some(&row.at_ms.to_le_bytes()));
    part(Some(row.actor.kind().as_bytes()));
    part(row.actor.stored_id().map(str::as_bytes));
    part(Some(row.action.as_bytes()));
    part(Some(row.resource_type.as_bytes()));
    for words in [&row.resource_id, &row.receipt] {
        part(word(words).as_deref());
    }
    part(Some(row.outcome.as_bytes()));
    for words in [&row.request_id, &row.peer, &row.user_agent] {
        part(word(words).as_deref());
    }
    part(Some(&row.times.to_le_bytes()));
    if let Some(note) = &row.note {
        part(Some(note));
    }
    text.finalize().into()
}

/// The last step of the migration that brings the chain: gives the rows that are there their hashes.
pub(in crate::control) fn begin(db: &Connection) -> Result<(), ControlError> {
    let mut ordered =
        db.prepare(&format!("SELECT {COLUMNS}, NULL AS note, workspace FROM audit ORDER BY workspace, seq"))?;
    let mut rows = ordered.query([])?;
    let mut hashes = Vec::new();
    let mut last: Option<(String, [u8; 32])> = None;
    while let Some(row) = rows.next()? {
        let (told, workspace) = (read(row)?, row.get::<_, String>("workspace")?);
        let previous = last.filter(|(of, _)| *of == workspace).map_or(BEGIN, |(_, hash)| hash);
        let hash = link(&previous, &workspace, &told);
        hashes.push((workspace.clone(), told.seq, hash));
        last = Some((workspace, hash));
    }
    for (workspace, seq, hash) in hashes {
        db.execute(
            "UPDATE audit SET hash = ?3 WHERE workspace = ?1 AND seq = ?2",
            params![workspace, seq, hash],
        )?;
    }
    Ok(db.execute_batch(TRIGGERS)?)
}

/// Where a workspace's log stands.
pub(super) fn head(db: &Connection, workspace: &str) -> Result<Head, ControlError> {
    let mut last =
        db.prepare_cached("SELECT seq, hash FROM audit WHERE workspace = ?1 ORDER BY seq DESC LIMIT 1")?;
    let mut last = last.query([workspace])?;
    let workspace = workspace.to_owned();
    match last.next()? {
        None => Ok(Head { workspace, entries: 0, hash: BEGIN }),
        Some(row) => Ok(Head { workspace, entries: row.get(0)?, hash: row.get(1)? }),
    }
}

/// Checks every chain, and that each of the `known` heads stands in it where it stood.
pub(crate) fn check(db: &Connection, known: &[Head]) -> Result<Checked, ControlError> {
    let mut ordered =
        db.prepare(&format!("SELECT {COLUMNS}, note, workspace FROM audit ORDER BY workspace, seq"))?;
    let mut rows = ordered.query([])?;
    let mut checked = Checked::default();
    let mut met = vec![false; known.len()];
    while let Some(row) = rows.next()? {
        let (told, workspace) = (read(row)?, row.get::<_, String>("workspace")?);
        if checked.heads.last().is_none_or(|head| head.workspace != workspace) {
            checked.heads.push(Head { workspace: workspace.clone(), entries: 0, hash: BEGIN });
        }
        let Some(last) = checked.heads.last_mut() else { unreachable!("one was put there") };
        let place = format!("workspace {workspace}, entry {}", told.seq);
        if told.seq != last.entries + 1 {
            checked.faults.push(format!("{place}: the one before it is {}", last.entries));
        }
        if told.hash != link(&last.hash, &workspace, &told) {
            checked.faults.push(format!("{place}: it does not follow from the one before it"));
        }
        for (met, head) in met.iter_mut().zip(known) {
            if head.workspace == workspace && head.entries == told.seq {
                *met = head.hash == told.hash;
            }
        }
        (last.entries, last.hash) = (told.seq, told.hash);
        checked.entries += 1;
    }
    for (_, head) in met.iter().zip(known).filter(|(met, head)| !**met && head.entries > 0) {
        checked.faults.push(format!(
            "workspace {}, entry {}: it is not the one of the head {}",
            head.workspace,
            head.entries,
            random::hex(&head.hash)
        ));
    }
    Ok(checked)
}
