//! Which tenants are registered?
//!
//! A row for each: its id, whose it is, where it is in its life, and a keyed hash of its slug, so that no two of a workspace
//! have the same one. What a tenant is called stands in its own partition alone (`server/src/tenants.rs`), so that shredding
//! that takes its name along.
//!
//! Invariants:
//! 1. An id is random and made here: it says nothing about anybody.
//! 2. Whether a tenant is another workspace's or isn't there can't be told from what a look-up answers, nor from what it does.

use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLockReadGuard, RwLockWriteGuard};

use rusqlite::{Connection, params};
use strongroom_engine::{PartitionName, WorkspaceId};

use super::audit::{Action, By, Entry};
use super::directory::State;
use super::schema::{empty_wal, workspace_id};
use super::{Control, ControlError};
use crate::{clock, random};

/// Random characters of an id.
const ID_CHARS: usize = 20;

/// A tenant, without what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tenant {
    /// `org_` and random characters: the name of its partition.
    pub(crate) id: String,
    pub(crate) workspace: WorkspaceId,
    pub(crate) state: State,
    pub(crate) created_ms: u64,
}

/// All of them, by what they are found by.
#[derive(Debug, Default)]
pub(super) struct Tenants {
    by_id: HashMap<String, Tenant>,
    /// Those in service, oldest first.
    live: HashMap<WorkspaceId, BTreeSet<(u64, String)>>,
}

impl Tenants {
    pub(super) fn load(db: &Connection) -> Result<Self, ControlError> {
        let mut tenants = Self::default();
        let mut rows = db.prepare("SELECT id, workspace, state, created_ms FROM tenants")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            tenants.put(Tenant {
                id: row.get(0)?,
                workspace: workspace_id(row, 1)?,
                state: State::parse(&row.get::<_, String>(2)?)?,
                created_ms: row.get(3)?,
            });
        }
        Ok(tenants)
    }

    fn put(&mut self, tenant: Tenant) {
        self.remove(&tenant.id);
        if tenant.state == State::Live {
            let live = self.live.entry(tenant.workspace).or_default();
            live.insert((tenant.created_ms, tenant.id.clone()));
        }
        self.by_id.insert(tenant.id.clone(), tenant);
    }

    fn remove(&mut self, id: &str) {
        if let Some(tenant) = self.by_id.remove(id)
            && let Some(live) = self.live.get_mut(&tenant.workspace)
        {
            live.remove(&(tenant.created_ms, tenant.id));
        }
    }

    pub(super) fn remove_workspace(&mut self, workspace: WorkspaceId) {
        self.by_id.retain(|_, tenant| tenant.workspace != workspace);
        self.live.remove(&workspace);
    }
}

impl Control {
    /// Writes the intent to make a tenant. Not in service yet.
    pub(crate) fn begin_tenant(&self, workspace: WorkspaceId, slug: &str) -> Result<Tenant, ControlError> {
        let tenant = Tenant {
            id: format!("org_{}", random::base62(ID_CHARS)),
            workspace,
            state: State::Creating,
            created_ms: clock::now_ms(),
        };
        let db = self.lock();
        let made = db.execute(
            "INSERT INTO tenants (id, workspace, state, slug_hash, created_ms) VALUES (?1, ?2, 'creating', ?3, ?4)",
            params![
                tenant.id,
                random::hex(&workspace.0),
                self.secret.slug_hash(workspace, slug),
                tenant.created_ms
            ],
        );
        match made.as_ref().err().and_then(rusqlite::Error::sqlite_error_code) {
            Some(rusqlite::ErrorCode::ConstraintViolation) => return Err(ControlError::SlugTaken),
            _ => made?,
        };
        self.tenants_mut().put(tenant.clone());
        Ok(tenant)
    }

    /// Puts a tenant whose partition is there into service.
    pub(crate) fn finish_tenant(&self, id: &str, by: By) -> Result<(), ControlError> {
        let old = self.tenants().by_id.get(id).cloned().ok_or(ControlError::NoTenant)?;
        let entry = self.of_tenant(&old, by, Action::TenantCreate)?;
        let live = Tenant { state: State::Live, ..old };
        self.act(
            vec![entry],
            |db| {
                Ok(db
                    .execute("UPDATE tenants SET state = ?2 WHERE id = ?1", params![id, live.state.word()])?)
            },
            |_, _| self.tenants_mut().put(live.clone()),
        )?;
        Ok(())
    }

    /// An entry outlives its tenant, so it has a keyed hash for the id: who knows the id and the server's key finds it.
    fn of_tenant(&self, tenant: &Tenant, by: By, action: Action) -> Result<Entry, ControlError> {
        let name = PartitionName::new(&tenant.id)
            .map_err(|error| ControlError::Corrupt(format!("a tenant's id: {error}")))?;
        let hash = self.partition_hasher().hash(tenant.workspace, "memory", &name);
        Ok(Entry::done(tenant.workspace, by, action, random::hex(&hash.0[..16])))
    }

    /// Writes down that a tenant has another name.
    pub(crate) fn tell_tenant_change(&self, tenant: &Tenant, by: By) -> Result<(), ControlError> {
        let entry = self.of_tenant(tenant, by, Action::TenantChange)?;
        self.act(vec![entry], |_| Ok(()), |_, ()| {})
    }

    /// Takes a tenant out of service: from now on it looks like one that isn't there.
    pub(crate) fn begin_tenant_deletion(&self, id: &str) -> Result<(), ControlError> {
        self.set_tenant_state(id, State::Deleting)
    }

    /// Removes the row of a tenant whose partition is shredded, or was never made.
    pub(crate) fn remove_tenant(&self, id: &str) -> Result<(), ControlError> {
        let db = self.lock();
        db.execute("DELETE FROM tenants WHERE id = ?1", params![id])?;
        self.tenants_mut().remove(id);
        empty_wal(&db);
        Ok(())
    }

    /// A tenant of this workspace, in service.
    pub(crate) fn tenant(&self, workspace: WorkspaceId, id: &str) -> Option<Tenant> {
        let found = self.tenants().by_id.get(id).cloned();
        found.filter(|tenant| tenant.workspace == workspace && tenant.state == State::Live)
    }

    /// The same, or one whose deletion failed half-way.
    pub(crate) fn tenant_to_delete(&self, workspace: WorkspaceId, id: &str) -> Option<Tenant> {
        let found = self.tenants().by_id.get(id).cloned();
        found.filter(|tenant| tenant.workspace == workspace && tenant.state != State::Creating)
    }

    /// A page of a workspace's tenants in service, oldest first.
    pub(crate) fn tenants_of(&self, workspace: WorkspaceId, offset: usize, limit: usize) -> Vec<Tenant> {
        let tenants = self.tenants();
        let live = tenants.live.get(&workspace).into_iter().flatten();
        live.skip(offset).take(limit).filter_map(|(_, id)| tenants.by_id.get(id).cloned()).collect()
    }

    /// How many tenants of a workspace are in service.
    pub(crate) fn tenant_count(&self, workspace: WorkspaceId) -> usize {
        self.tenants().live.get(&workspace).map_or(0, BTreeSet::len)
    }

    /// Every tenant whose making or deletion was begun and not finished.
    pub(crate) fn unfinished_tenants(&self) -> Vec<Tenant> {
        let tenants = self.tenants();
        let unfinished = tenants.by_id.values().filter(|tenant| tenant.state != State::Live);
        let mut found: Vec<_> = unfinished.cloned().collect();
        found.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
        found
    }

    fn set_tenant_state(&self, id: &str, state: State) -> Result<(), ControlError> {
        let db = self.lock();
        let old = self.tenants().by_id.get(id).cloned().ok_or(ControlError::NoTenant)?;
        db.execute("UPDATE tenants SET state = ?2 WHERE id = ?1", params![id, state.word()])?;
        self.tenants_mut().put(Tenant { state, ..old });
        Ok(())
    }

    fn tenants(&self) -> RwLockReadGuard<'_, Tenants> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changed while the database's lock is held, once the change is durable.
    pub(super) fn tenants_mut(&self) -> RwLockWriteGuard<'_, Tenants> {
        self.tenants.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a tenant would be answered to a stranger, or one that is going would still be written to.
    #[test]
    fn a_tenant_is_there_for_its_own_workspace_while_it_is_in_service() {
        let folder = tempfile::tempdir().unwrap();
        let (control, [one, two]) = control_with_workspaces(&folder);
        let tenant = control.begin_tenant(one, "acme").unwrap();
        assert!(tenant.id.starts_with("org_") && tenant.id.len() == 24, "{}", tenant.id);
        assert_eq!(control.tenant(one, &tenant.id), None, "its partition is not there yet");
        assert_eq!(control.tenant_to_delete(one, &tenant.id), None);
        control.finish_tenant(&tenant.id, By::system()).unwrap();
        assert!(control.tenant(one, &tenant.id).is_some());
        assert_eq!(
            (control.tenant(two, &tenant.id), control.tenant_to_delete(two, &tenant.id)),
            (None, None)
        );
        assert_eq!((control.tenant_count(one), control.tenant_count(two)), (1, 0));
        control.begin_tenant_deletion(&tenant.id).unwrap();
        assert_eq!(control.tenant(one, &tenant.id), None);
        assert!(control.tenant_to_delete(one, &tenant.id).is_some());
        assert_eq!((control.tenant_count(one), control.unfinished_tenants().len()), (0, 1));
        control.remove_tenant(&tenant.id).unwrap();
        assert!(control.unfinished_tenants().is_empty());
    }

    /// Lost otherwise: two customers would share a slug, or a slug be lost for ever with its tenant.
    #[test]
    fn a_slug_is_taken_within_its_workspace_until_its_tenant_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (control, [one, two]) = control_with_workspaces(&folder);
        let first = control.begin_tenant(one, "acme").unwrap();
        assert!(matches!(control.begin_tenant(one, "acme"), Err(ControlError::SlugTaken)));
        control.begin_tenant(two, "acme").unwrap();
        control.begin_tenant(one, "acme-2").unwrap();
        control.remove_tenant(&first.id).unwrap();
        control.begin_tenant(one, "acme").unwrap();
    }

    /// Lost otherwise: a restart would forget tenants, or list them in another order.
    #[test]
    fn rows_survive_a_restart_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let (control, [one, _]) = control_with_workspaces(&folder);
        let slugs = ["a", "b", "c", "d", "e"];
        for slug in slugs {
            let tenant = control.begin_tenant(one, slug).unwrap();
            control.finish_tenant(&tenant.id, By::system()).unwrap();
        }
        let before = control.tenants_of(one, 0, 99);
        drop(control);
        let control = open(&folder);
        assert_eq!(control.tenants_of(one, 0, 99), before);
        assert_eq!(control.tenants_of(one, 1, 2), before[1..3]);
        assert_eq!(control.tenants_of(one, 9, 9), []);
        assert!(matches!(control.begin_tenant(one, "c"), Err(ControlError::SlugTaken)));
    }

    fn open(folder: &tempfile::TempDir) -> Control {
        Control::open(&folder.path().join("control.sqlite"), &[1; 32], None).unwrap()
    }

    fn control_with_workspaces(folder: &tempfile::TempDir) -> (Control, [WorkspaceId; 2]) {
        let control = open(folder);
        let made = [1, 2].map(|number| WorkspaceId([number; 16]));
        for id in made {
            let hex = random::hex(&id.0);
            let row = "INSERT INTO workspaces (id, name, state, created_ms) VALUES (?1, ?1, 'live', 1)";
            control.lock().execute(row, [hex]).unwrap();
        }
        (control, made)
    }
}
