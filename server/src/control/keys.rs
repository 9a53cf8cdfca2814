//! How are API keys kept?
//!
//! A row for each key, found by its id; of the key itself only a keyed hash. What a key may do is decided in
//! `api/admin/keys.rs`, which compares with the minting caller; here it is only written down.
//!
//! Invariants:
//! 1. A key's text leaves this file once, in the answer to its making.
//! 2. A change applies to the key as it was when it was allowed: of two at once, one is told to look again. A key that is
//!    revoked never comes back.
//! 3. A change is durable before any request sees it, and seen before its maker is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, params};
use strongroom_engine::WorkspaceId;

use super::api_key::ApiKey;
use super::audit::{Action, By, Entry};
use super::renames::Rename;
use super::schema::workspace_id;
use super::scopes::ScopeSet;
use super::secret::PartitionHash;
use super::{Control, ControlError};
use crate::{clock, random};

/// A key as the database has it.
#[derive(Debug)]
pub(crate) struct KeyRow {
    pub(crate) id: String,
    pub(crate) workspace: WorkspaceId,
    pub(crate) name: String,
    pub(crate) hash: [u8; 32],
    pub(crate) scopes: ScopeSet,
    pub(crate) collection: Option<String>,
    /// The partition that it is pinned to.
    pub(crate) partition: Option<PartitionHash>,
    pub(crate) multi_tenant: bool,
    pub(crate) expires_ms: Option<u64>,
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: u64,
    pub(crate) revoked_ms: Option<u64>,
    /// 0 when it never was. Written to the database now and then, not at each request.
    last_used_ms: AtomicU64,
    last_used_saved_ms: AtomicU64,
}

/// A key to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewKey {
    pub(crate) workspace: WorkspaceId,
    pub(crate) name: String,
    pub(crate) scopes: ScopeSet,
    pub(crate) collection: Option<String>,
    pub(crate) partition: Option<PartitionHash>,
    pub(crate) multi_tenant: bool,
    pub(crate) expires_ms: Option<u64>,
}

/// What may change of a key; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyChanges {
    pub(crate) name: Option<String>,
    pub(crate) scopes: Option<ScopeSet>,
    pub(crate) multi_tenant: Option<bool>,
    pub(crate) expires_ms: Option<Option<u64>>,
}

impl KeyRow {
    /// What listings show of the key itself.
    pub(crate) fn prefix(&self) -> String {
        format!("sr_live_{}", self.id)
    }

    /// Remembers that it was used.
    pub(crate) fn touch(&self, now_ms: u64) {
        self.last_used_ms.store(now_ms, Ordering::Relaxed);
    }

    pub(crate) fn last_used_ms(&self) -> Option<u64> {
        Some(self.last_used_ms.load(Ordering::Relaxed)).filter(|ms| *ms > 0)
    }

    fn last_used_changed(&self) -> bool {
        self.last_used_ms.load(Ordering::Relaxed) != self.last_used_saved_ms.load(Ordering::Relaxed)
    }

    pub(super) fn load_all(db: &Connection) -> Result<Vec<Self>, ControlError> {
        let mut rows = db.prepare(
            "SELECT id, workspace, name, hash, scopes, collection, partition_hash, multi_tenant, expires_ms,
                    created_ms, updated_ms, revoked_ms, last_used_ms FROM api_keys",
        )?;
        let mut rows = rows.query([])?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            let scopes: String = row.get(4)?;
            let scopes = ScopeSet::parse(scopes.split(' '))
                .map_err(|name| ControlError::Corrupt(format!("a key has the unknown scope {name:?}")))?;
            let last_used_ms: u64 = row.get::<_, Option<u64>>(12)?.unwrap_or(0);
            keys.push(Self {
                id: row.get(0)?,
                workspace: workspace_id(row, 1)?,
                name: row.get(2)?,
                hash: row.get(3)?,
                scopes,
                collection: row.get(5)?,
                partition: row.get::<_, Option<[u8; 32]>>(6)?.map(PartitionHash),
                multi_tenant: row.get(7)?,
                expires_ms: row.get(8)?,
                created_ms: row.get(9)?,
                updated_ms: row.get(10)?,
                revoked_ms: row.get(11)?,
                last_used_ms: last_used_ms.into(),
                last_used_saved_ms: last_used_ms.into(),
            });
        }
        Ok(keys)
    }

    /// The same key with something changed. `self` stays as requests in flight saw it.
    fn changed(&self, change: impl FnOnce(&mut Self)) -> Self {
        let used = self.last_used_ms.load(Ordering::Relaxed);
        let mut key = Self {
            id: self.id.clone(),
            workspace: self.workspace,
            name: self.name.clone(),
            hash: self.hash,
            scopes: self.scopes,
            collection: self.collection.clone(),
            partition: self.partition,
            multi_tenant: self.multi_tenant,
            expires_ms: self.expires_ms,
            created_ms: self.created_ms,
            updated_ms: clock::now_ms(),
            revoked_ms: self.revoked_ms,
            last_used_ms: used.into(),
            last_used_saved_ms: self.last_used_saved_ms.load(Ordering::Relaxed).into(),
        };
        change(&mut key);
        key
    }
}

impl Control {
    /// Makes a key. The second is its text, which is nowhere else.
    pub(crate) fn mint(&self, new: &NewKey, by: By) -> Result<(Arc<KeyRow>, ApiKey), ControlError> {
        let key = ApiKey::mint(&ApiKey::new_id());
        let now = clock::now_ms();
        let row = KeyRow {
            id: key.id().to_owned(),
            workspace: new.workspace,
            name: new.name.clone(),
            hash: self.secret.key_hash(&key),
            scopes: new.scopes,
            collection: new.collection.clone(),
            partition: new.partition,
            multi_tenant: new.multi_tenant,
            expires_ms: new.expires_ms,
            created_ms: now,
            updated_ms: now,
            revoked_ms: None,
            last_used_ms: 0.into(),
            last_used_saved_ms: 0.into(),
        };
        let row = self.write_key(
            "INSERT INTO api_keys (id, workspace, name, hash, scopes, collection, partition_hash,
                                   multi_tenant, expires_ms, updated_ms, revoked_ms, created_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?10)",
            Entry::done(row.workspace, by, Action::KeyMint, row.id.clone()),
            &row.id.clone(),
            |_| Ok(row),
        )?;
        Ok((row, key))
    }

    /// Changes what may be changed of a key as it was when the change was allowed.
    pub(crate) fn change_key(
        &self,
        key: &Arc<KeyRow>,
        changes: &KeyChanges,
        by: By,
    ) -> Result<Arc<KeyRow>, ControlError> {
        self.update_key(key, Action::KeyChange, by, |now| {
            is_still(key, now)?;
            Ok(now.changed(|row| {
                if let Some(name) = &changes.name {
                    row.name.clone_from(name);
                }
                row.scopes = changes.scopes.unwrap_or(row.scopes);
                row.multi_tenant = changes.multi_tenant.unwrap_or(row.multi_tenant);
                row.expires_ms = changes.expires_ms.unwrap_or(row.expires_ms);
            }))
        })
    }

    /// Revokes a key for good, whatever else became of it meanwhile.
    pub(crate) fn revoke(&self, key: &Arc<KeyRow>, by: By) -> Result<Arc<KeyRow>, ControlError> {
        self.update_key(key, Action::KeyRevoke, by, |now| {
            Ok(now.changed(|row| row.revoked_ms = row.revoked_ms.or(Some(row.updated_ms))))
        })
    }

    /// Gives a key a new secret under its old id; the old one is dead at once.
    pub(crate) fn rotate(&self, old: &Arc<KeyRow>, by: By) -> Result<(Arc<KeyRow>, ApiKey), ControlError> {
        let key = ApiKey::mint(&old.id);
        let hash = self.secret.key_hash(&key);
        let row = self.update_key(old, Action::KeyRotate, by, |now| {
            is_still(old, now)?;
            Ok(now.changed(|row| row.hash = hash))
        })?;
        Ok((row, key))
    }

    /// The keys of a workspace, revoked ones left out, oldest first.
    pub(crate) fn keys_of(&self, workspace: WorkspaceId) -> Vec<Arc<KeyRow>> {
        let mut keys: Vec<_> = self
            .read()
            .keys()
            .filter(|key| key.workspace == workspace && key.revoked_ms.is_none())
            .cloned()
            .collect();
        keys.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
        keys
    }

    /// Writes down when keys were last used. Called now and then; a crash loses minutes of it, nothing else.
    pub(crate) fn save_last_used(&self) -> Result<(), ControlError> {
        let used: Vec<_> = self.read().keys().filter(|key| key.last_used_changed()).cloned().collect();
        if used.is_empty() {
            return Ok(());
        }
        let mut db = self.lock();
        let change = db.transaction()?;
        for key in used {
            let ms = key.last_used_ms.load(Ordering::Relaxed);
            change.execute("UPDATE api_keys SET last_used_ms = ?2 WHERE id = ?1", params![key.id, ms])?;
            key.last_used_saved_ms.store(ms, Ordering::Relaxed);
        }
        Ok(change.commit()?)
    }

    /// How many live keys are pinned to a partition.
    pub(crate) fn pinned_keys(&self, workspace: WorkspaceId, partition: PartitionHash) -> usize {
        let now_ms = clock::now_ms();
        let is_live = |key: &&Arc<KeyRow>| {
            key.revoked_ms.is_none() && key.expires_ms.is_none_or(|end_ms| end_ms > now_ms)
        };
        let directory = self.read();
        let own =
            directory.keys().filter(|key| key.workspace == workspace && key.partition == Some(partition));
        own.filter(is_live).count()
    }

    /// The keys that are pinned to a partition, as they are to be under its new name.
    pub(super) fn repinned(&self, rename: &Rename) -> Vec<Arc<KeyRow>> {
        let is_pinned = |key: &&Arc<KeyRow>| key.partition == Some(rename.old);
        let directory = self.read();
        let pinned = directory.keys().filter(|key| key.workspace == rename.workspace).filter(is_pinned);
        pinned.map(|key| Arc::new(key.changed(|key| key.partition = Some(rename.new)))).collect()
    }

    /// Changes a key that is live: what it is now is read under the lock, so that no change undoes another.
    fn update_key(
        &self,
        key: &KeyRow,
        action: Action,
        by: By,
        change: impl FnOnce(&Arc<KeyRow>) -> Result<KeyRow, ControlError>,
    ) -> Result<Arc<KeyRow>, ControlError> {
        self.write_key(
            "UPDATE api_keys SET workspace = ?2, name = ?3, hash = ?4, scopes = ?5, collection = ?6,
                 partition_hash = ?7, multi_tenant = ?8, expires_ms = ?9, updated_ms = ?10, revoked_ms = ?11
             WHERE id = ?1",
            Entry::done(key.workspace, by, action, key.id.clone()),
            &key.id,
            |now| change(&now.filter(|now| now.revoked_ms.is_none()).ok_or(ControlError::NoKey)?),
        )
    }

    fn write_key(
        &self,
        sql: &str,
        told: Entry,
        id: &str,
        row: impl FnOnce(Option<Arc<KeyRow>>) -> Result<KeyRow, ControlError>,
    ) -> Result<Arc<KeyRow>, ControlError> {
        let row = self.act(
            vec![told],
            |db| {
                let row = row(self.read().key(id))?;
                let written = db.execute(
                    sql,
                    params![
                        row.id,
                        random::hex(&row.workspace.0),
                        row.name,
                        row.hash,
                        row.scopes.names().join(" "),
                        row.collection,
                        row.partition.map(|hash| hash.0),
                        row.multi_tenant,
                        row.expires_ms,
                        row.updated_ms,
                        row.revoked_ms,
                    ],
                )?;
                if written == 0 { Err(ControlError::NoKey) } else { Ok(Arc::new(row)) }
            },
            |held, row| self.publish(held, |directory| directory.put_key(row.clone())),
        )?;
        Ok(row)
    }
}

/// What was allowed of a key was allowed of it as it was.
fn is_still(was: &Arc<KeyRow>, now: &Arc<KeyRow>) -> Result<(), ControlError> {
    if Arc::ptr_eq(was, now) { Ok(()) } else { Err(ControlError::Changed) }
}
