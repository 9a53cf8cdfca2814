//! How is the database laid out, and how does an older one come up to date?
//!
//! Numbered migrations; `user_version` says how many have run. A migration that was released is never edited.
//!
//! Invariants:
//! 1. A database of a later version than this program's is refused, not guessed at.
//! 2. A commit is on the disk before it is answered: WAL with `synchronous = FULL`.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Row};
use strongroom_engine::WorkspaceId;

use super::{ControlError, audit};
use crate::{log, random};

/// SQL, and what only code can do after it.
struct Migration {
    sql: &'static str,
    then: Option<Then>,
}

type Then = fn(&Connection) -> Result<(), ControlError>;

const fn sql(sql: &'static str) -> Migration {
    Migration { sql, then: None }
}

const MIGRATIONS: &[Migration] = &[
    sql(include_str!("migrations/1-workspaces.sql")),
    sql(include_str!("migrations/2-audit.sql")),
    sql(include_str!("migrations/3-collections.sql")),
    Migration { sql: include_str!("migrations/4-members.sql"), then: Some(audit::begin) },
    sql(include_str!("migrations/5-usage.sql")),
    sql(include_str!("migrations/6-tenants.sql")),
    sql(include_str!("migrations/7-lifecycle.sql")),
    sql(include_str!("migrations/8-records.sql")),
];

/// The write-ahead log is begun anew once it has this many pages of 4 KiB, so that on a full disk it takes little of the room
/// that is set aside for erasures and what is written down of them.
const WAL_PAGES: u32 = 100;

/// Opens the database and brings it up to date.
pub(super) fn open(path: &Path) -> Result<Connection, ControlError> {
    // SQLite gives its companion files the rights of this one.
    private_file(path).map_err(|error| ControlError::Corrupt(format!("can't be made or opened: {error}")))?;
    let mut db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "secure_delete", true)?;
    let version: usize = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > MIGRATIONS.len() {
        return Err(ControlError::Corrupt(format!(
            "written by a later version (schema {version}, this program knows {}); start that version",
            MIGRATIONS.len()
        )));
    }
    for (done, migration) in MIGRATIONS.iter().enumerate().skip(version) {
        let change = db.transaction()?;
        change.execute_batch(migration.sql)?;
        if let Some(then) = migration.then {
            then(&change)?;
        }
        change.pragma_update(None, "user_version", done + 1)?;
        change.commit()?;
    }
    Ok(db)
}

/// Reads a workspace's id from a column of hexadecimal.
pub(super) fn workspace_id(row: &Row<'_>, column: usize) -> Result<WorkspaceId, ControlError> {
    let text: String = row.get(column)?;
    random::parse_hex(&text)
        .map(WorkspaceId)
        .ok_or_else(|| ControlError::Corrupt("a workspace's id is not 32 hexadecimal digits".to_owned()))
}

/// The write-ahead log keeps rows as they were before they were deleted, names and all, until it is begun anew. Emptied
/// here for what must not be found any more; that it can't be is no reason to undo the deletion.
pub(super) fn empty_wal(db: &Connection) {
    let emptied = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    let why = match emptied {
        Ok(false) => return,
        Ok(true) => "another program holds the database open".to_owned(),
        Err(error) => error.to_string(),
    };
    log::warn(&format!(
        "control.sqlite-wal still holds the name of a deleted workspace or collection until the server stops: {why}"
    ));
}

/// Makes the file, if it isn't there, for its owner alone.
fn private_file(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a deleted key's row would linger in free pages, or a commit in a cache that power loss empties.
    #[test]
    fn the_pragmas_hold_and_migrations_run_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sqlite");
        for _ in 0..2 {
            let db = open(&path).unwrap();
            let number = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
            assert_eq!((number("secure_delete"), number("foreign_keys"), number("synchronous")), (1, 1, 2));
            let version = i64::try_from(MIGRATIONS.len()).unwrap();
            assert_eq!((number("user_version"), number("wal_autocheckpoint")), (version, 100));
        }
    }

    /// Lost otherwise: an update of the server would lose its keys, or leave it without an audit log.
    #[test]
    fn an_older_database_comes_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sqlite");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(MIGRATIONS[0].sql).unwrap();
        old.execute("INSERT INTO workspaces VALUES ('00', 'kept', 'live', 1)", []).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        drop(old);
        let db = open(&path).unwrap();
        let count = |what: &str| db.query_row(what, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM workspaces WHERE name = 'kept'"), 1);
        assert_eq!(count("SELECT count(*) FROM audit"), 0);
    }

    /// Lost otherwise: an update of the server would leave what was done before it outside of the chain, or begin the chain
    /// anew at each start, over whatever then stands there.
    #[test]
    fn rows_from_before_the_chain_are_linked_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sqlite");
        let old = Connection::open(&path).unwrap();
        for migration in &MIGRATIONS[..3] {
            old.execute_batch(migration.sql).unwrap();
        }
        old.pragma_update(None, "user_version", 3).unwrap();
        for (workspace, seq, actor, receipt) in
            [("aa", 1, "key", "r1"), ("aa", 2, "operator", "r2"), ("bb", 1, "key", "r3")]
        {
            let id = (actor == "key").then_some("0123456789ab");
            old.execute(
                "INSERT INTO audit VALUES (?1, ?2, 5, ?3, ?4, 'partition.drop', 'partition', 'x', ?5, 'done', NULL)",
                rusqlite::params![workspace, seq, actor, id, receipt],
            )
            .unwrap();
        }
        drop(old);
        let db = open(&path).unwrap();
        let heads = |db: &Connection| {
            let checked = audit::check(db, &[]).unwrap();
            assert_eq!(checked.faults, [""; 0]);
            checked.heads
        };
        let linked = heads(&db);
        assert_eq!(linked.iter().map(|head| head.entries).collect::<Vec<_>>(), [2, 1]);
        assert_ne!(linked[0].hash, linked[1].hash);
        assert!(
            db.execute("UPDATE audit SET at_ms = 6", []).unwrap_err().to_string().contains("never changed")
        );
        assert!(db.execute("DELETE FROM audit", []).unwrap_err().to_string().contains("never deleted"));
        db.execute_batch("DROP TRIGGER audit_rows_stand; UPDATE audit SET at_ms = 6 WHERE seq = 2").unwrap();
        drop(db);
        assert_eq!(audit::check(&open(&path).unwrap(), &linked).unwrap().faults.len(), 1);
    }

    /// Lost otherwise: an older program would write rows that the newer one then misreads.
    #[test]
    fn a_later_schema_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sqlite");
        open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(open(&path).unwrap_err().to_string().contains("later version"));
    }
}
