//! How does what is kept of a partition here follow it to another name, or its documents into another partition?
//!
//! Keys that are pinned to it, its quotas and its usage stand under a keyed hash of its name. The intent to rename is written
//! first; once the engine has the new name durably, [`Control::finish_rename`] moves all of it in one transaction. What a crash
//! left between the two is finished at the next open, as the engine has it.
//!
//! Invariants:
//! 1. No key is left behind under a name that another tenant may be given.

use rusqlite::params;
use strongroom_engine::WorkspaceId;

use super::audit::{By, Entry};
use super::schema::workspace_id;
use super::secret::PartitionHash;
use super::usage::{ADDED, SUMS};
use super::{Action, Control, ControlError};
use crate::random;

/// A partition that gets another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rename {
    pub(crate) workspace: WorkspaceId,
    pub(crate) collection: String,
    pub(crate) old: PartitionHash,
    pub(crate) new: PartitionHash,
}

impl Control {
    /// Writes the intent.
    pub(crate) fn begin_rename(&self, rename: &Rename) -> Result<(), ControlError> {
        self.lock().execute(
            "INSERT OR REPLACE INTO renames (workspace, collection, old, new) VALUES (?1, ?2, ?3, ?4)",
            params![random::hex(&rename.workspace.0), rename.collection, rename.old.0, rename.new.0],
        )?;
        Ok(())
    }

    /// Takes the intent back: the partition has its old name.
    pub(crate) fn forget_rename(&self, rename: &Rename) -> Result<(), ControlError> {
        self.lock().execute(
            "DELETE FROM renames WHERE workspace = ?1 AND collection = ?2 AND old = ?3",
            params![random::hex(&rename.workspace.0), rename.collection, rename.old.0],
        )?;
        Ok(())
    }

    /// Moves all that stands under the old name, and writes down who had that done to the partition of this incarnation.
    pub(crate) fn finish_rename(
        &self,
        rename: &Rename,
        incarnation: [u8; 16],
        also: Vec<Entry>,
        by: By,
    ) -> Result<(), ControlError> {
        let mut entries = also;
        let resource = random::hex(&incarnation);
        entries.push(Entry::done(rename.workspace, by, Action::PartitionRename, resource));
        self.act(
            entries,
            |db| {
                let (workspace, old, new) = (random::hex(&rename.workspace.0), rename.old.0, rename.new.0);
                let moved = params![workspace, rename.collection, old, new];
                let pinned: Vec<_> = self.repinned(rename);
                for key in &pinned {
                    db.execute(
                        "UPDATE api_keys SET partition_hash = ?2, updated_ms = ?3 WHERE id = ?1",
                        params![key.id, new, key.updated_ms],
                    )?;
                }
                // What stands under the new name is of searches for it, or of quotas that waited for it.
                db.execute(
                    "UPDATE OR REPLACE quotas SET partition = ?4
                     WHERE workspace = ?1 AND subject = 'partition' AND collection = ?2 AND partition = ?3",
                    moved,
                )?;
                db.execute(
                    "UPDATE OR REPLACE usage_partitions SET partition = ?4
                     WHERE workspace = ?1 AND collection = ?2 AND partition = ?3",
                    moved,
                )?;
                super::fields::rename(db, &workspace, &old, &new)?;
                db.execute(
                    "DELETE FROM renames WHERE workspace = ?1 AND collection = ?2 AND old = ?3",
                    params![workspace, rename.collection, old],
                )?;
                Ok(pinned)
            },
            |held, pinned| {
                self.publish(held, |directory| {
                    pinned.iter().for_each(|key| directory.put_key(key.clone()));
                });
            },
        )?;
        Ok(())
    }

    /// Adds what was used of a partition to what was used of the one that its documents are in now, and has the keys that are
    /// pinned to it follow if that was asked for.
    pub(crate) fn follow_merge(&self, merged: &Rename, moves_keys: bool) -> Result<(), ControlError> {
        self.act(
            Vec::new(),
            |db| {
                let (workspace, old, new) = (random::hex(&merged.workspace.0), merged.old.0, merged.new.0);
                let pinned = if moves_keys { self.repinned(merged) } else { Vec::new() };
                for key in &pinned {
                    db.execute(
                        "UPDATE api_keys SET partition_hash = ?2, updated_ms = ?3 WHERE id = ?1",
                        params![key.id, new, key.updated_ms],
                    )?;
                }
                db.execute(
                    &format!(
                        "INSERT INTO usage_partitions (workspace, day, collection, partition, {SUMS})
                         SELECT workspace, day, collection, ?4, {SUMS} FROM usage_partitions
                         WHERE workspace = ?1 AND collection = ?2 AND partition = ?3 ON CONFLICT DO UPDATE SET {ADDED}"
                    ),
                    params![workspace, merged.collection, old, new],
                )?;
                db.execute(
                    "DELETE FROM usage_partitions WHERE workspace = ?1 AND collection = ?2 AND partition = ?3",
                    params![workspace, merged.collection, old],
                )?;
                Ok(pinned)
            },
            |held, pinned| {
                self.publish(held, |directory| {
                    pinned.iter().for_each(|key| directory.put_key(key.clone()));
                });
            },
        )?;
        Ok(())
    }

    /// Intents of which the end isn't known.
    pub(crate) fn unfinished_renames(&self) -> Result<Vec<Rename>, ControlError> {
        let db = self.lock();
        let mut rows = db.prepare("SELECT workspace, collection, old, new FROM renames")?;
        let mut rows = rows.query([])?;
        let mut renames = Vec::new();
        while let Some(row) = rows.next()? {
            renames.push(Rename {
                workspace: workspace_id(row, 0)?,
                collection: row.get(1)?,
                old: PartitionHash(row.get(2)?),
                new: PartitionHash(row.get(3)?),
            });
        }
        Ok(renames)
    }

    /// Writes entries of what was done, with nothing beside them; they are written, or this fails.
    pub(crate) fn tell(&self, entries: Vec<Entry>) -> Result<(), ControlError> {
        self.act(entries, |_| Ok(()), |_, ()| {})
    }
}
