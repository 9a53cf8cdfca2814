//! How are the typed fields of structured queries kept?
//!
//! A row for each field that was declared, for the whole workspace or for one partition. What is declared, its name too, is
//! sealed under the workspace's key before it comes here; a keyed hash of the name finds it again. Those of a partition follow
//! it to another name and go with it.

use rusqlite::{Connection, params};
use strongroom_engine::WorkspaceId;

use super::secret::PartitionHash;
use super::{Control, ControlError};
use crate::random;

/// For whom a field was declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// Every partition of the workspace's collection `default`.
    Workspace,
    /// One of them, which has a name.
    Partition(PartitionHash),
}

impl For {
    fn column(self) -> Vec<u8> {
        match self {
            Self::Workspace => Vec::new(),
            Self::Partition(hash) => hash.0.to_vec(),
        }
    }
}

impl Control {
    /// What was declared, sealed.
    pub(crate) fn fields(&self, workspace: WorkspaceId, whose: For) -> Result<Vec<Vec<u8>>, ControlError> {
        let db = self.lock();
        let mut rows =
            db.prepare_cached("SELECT sealed FROM fields WHERE workspace = ?1 AND partition = ?2")?;
        let rows = rows.query_map(params![random::hex(&workspace.0), whose.column()], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Declares fields, in the place of those of the same names; all or none. `false` when there would be more than so many.
    pub(crate) fn put_fields(
        &self,
        workspace: WorkspaceId,
        whose: For,
        fields: &[(&str, Vec<u8>)],
        most: usize,
    ) -> Result<bool, ControlError> {
        let (id, partition) = (random::hex(&workspace.0), whose.column());
        let mut db = self.lock();
        let change = db.transaction()?;
        for (name, sealed) in fields {
            let written = change.execute(
                "INSERT OR REPLACE INTO fields SELECT ?1, ?2, ?3, ?4
                 WHERE EXISTS (SELECT 1 FROM workspaces WHERE id = ?1)",
                params![id, partition, self.secret.field_id(workspace, name), sealed],
            )?;
            if written == 0 {
                return Err(ControlError::NoWorkspace);
            }
        }
        let count: usize = change.query_row(
            "SELECT count(*) FROM fields WHERE workspace = ?1 AND partition = ?2",
            params![id, partition],
            |row| row.get(0),
        )?;
        if count > most {
            return Ok(false);
        }
        change.commit()?;
        Ok(true)
    }

    /// Takes a declaration back; `false` when there is none of this name.
    pub(crate) fn remove_field(
        &self,
        workspace: WorkspaceId,
        whose: For,
        name: &str,
    ) -> Result<bool, ControlError> {
        let removed = self.lock().execute(
            "DELETE FROM fields WHERE workspace = ?1 AND partition = ?2 AND id = ?3",
            params![random::hex(&workspace.0), whose.column(), self.secret.field_id(workspace, name)],
        )?;
        Ok(removed > 0)
    }
}

/// Forgets what was declared for a partition that is gone.
pub(super) fn forget(db: &Connection, workspace: &str, partition: &[u8]) -> Result<(), ControlError> {
    db.execute("DELETE FROM fields WHERE workspace = ?1 AND partition = ?2", params![workspace, partition])?;
    Ok(())
}

/// Has it follow a partition to another name; what waited under that one goes.
pub(super) fn rename(
    db: &Connection,
    workspace: &str,
    old: &[u8; 32],
    new: &[u8; 32],
) -> Result<(), ControlError> {
    forget(db, workspace, new)?;
    db.execute(
        "UPDATE fields SET partition = ?3 WHERE workspace = ?1 AND partition = ?2",
        params![workspace, old, new],
    )?;
    Ok(())
}
