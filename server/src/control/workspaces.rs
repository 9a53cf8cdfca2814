//! How does a workspace begin and end?
//!
//! Both acts span SQLite and the engine. [`Control::begin_workspace`] writes the intent, the caller has the engine do
//! its part, and [`Control::finish_workspace`] closes it; ends likewise. `server/src/tenancy.rs` runs the three steps
//! and, at open, those that a crash left undone.

use std::sync::Arc;

use rusqlite::params;
use strongroom_engine::WorkspaceId;

use super::audit::{Action, By, Entry};
use super::collections::{Collection, NewCollection};
use super::directory::{State, Workspace};
use super::members::forget_those_without_workspace;
use super::rules::{Pattern, Rule};
use super::schema::empty_wal;
use super::{Control, ControlError};
use crate::{clock, random};

impl Control {
    /// Writes the intent to make a workspace with its collection `default`. Not in service yet.
    pub(crate) fn begin_workspace(
        &self,
        name: &str,
        collection: NewCollection,
    ) -> Result<Workspace, ControlError> {
        let workspace = Workspace {
            id: WorkspaceId(random::bytes()),
            name: name.to_owned(),
            state: State::Creating,
            created_ms: clock::now_ms(),
            rule: Arc::default(),
        };
        let mut db = self.lock();
        let change = db.transaction()?;
        let id = random::hex(&workspace.id.0);
        let made = change.execute(
            "INSERT INTO workspaces (id, name, state, created_ms) VALUES (?1, ?2, 'creating', ?3)",
            params![id, name, workspace.created_ms],
        );
        if made.as_ref().err().and_then(rusqlite::Error::sqlite_error_code)
            == Some(rusqlite::ErrorCode::ConstraintViolation)
        {
            return Err(ControlError::Taken);
        }
        made?;
        let collection = Collection::insert(&change, workspace.id, "default", collection)?;
        change.commit()?;
        self.publish(&db, |directory| {
            directory.put_workspace(workspace.clone());
            directory.put_collection(collection);
        });
        Ok(workspace)
    }

    /// Puts a workspace that the engine holds into service.
    pub(crate) fn finish_workspace(&self, id: WorkspaceId, by: By) -> Result<Arc<Workspace>, ControlError> {
        let entry = Entry::done(id, by, Action::WorkspaceCreate, random::hex(&id.0));
        self.set_state(id, State::Live, vec![entry])
    }

    /// Takes a workspace out of service: from now on its keys are dead.
    pub(crate) fn begin_deletion(&self, id: WorkspaceId) -> Result<Arc<Workspace>, ControlError> {
        self.set_state(id, State::Deleting, Vec::new())
    }

    /// Gives a workspace another rule. `change` says which, given the one it has.
    pub(crate) fn change_rule(
        &self,
        workspace: WorkspaceId,
        change: impl FnOnce(&Rule) -> Rule,
        by: By,
    ) -> Result<(), ControlError> {
        let entry = Entry::done(workspace, by, Action::WorkspaceChange, random::hex(&workspace.0));
        self.act(
            vec![entry],
            |db| {
                let old = self.read().workspace(workspace).ok_or(ControlError::NoWorkspace)?;
                let rule = change(&old.rule);
                db.execute(
                    "INSERT OR REPLACE INTO partition_rules (workspace, declared, pattern, grace_ms)
                     VALUES (?1, ?2, ?3, ?4)",
                    params![
                        random::hex(&workspace.0),
                        rule.declared,
                        rule.pattern.as_ref().map(Pattern::text),
                        rule.grace_ms
                    ],
                )?;
                Ok(Workspace { rule: rule.into(), ..(*old).clone() })
            },
            |held, changed| self.publish(held, |directory| directory.put_workspace(changed.clone())),
        )?;
        Ok(())
    }

    /// Puts a workspace back into service: something in it is held, so it can't be deleted.
    pub(crate) fn undo_deletion(&self, id: WorkspaceId) -> Result<(), ControlError> {
        self.set_state(id, State::Live, Vec::new()).map(drop)
    }

    /// Removes the rows of a workspace that the engine has shredded.
    pub(crate) fn finish_deletion(&self, id: WorkspaceId) -> Result<(), ControlError> {
        let mut db = self.lock();
        let change = db.transaction()?;
        change.execute("DELETE FROM workspaces WHERE id = ?1", params![random::hex(&id.0)])?;
        forget_those_without_workspace(&change)?;
        change.commit()?;
        self.publish(&db, |directory| directory.remove_workspace(id));
        self.show_people(&db, |people| people.remove_workspace(id));
        self.tenants_mut().remove_workspace(id);
        empty_wal(&db);
        Ok(())
    }

    /// A workspace in any state, for deleting what a failure left behind.
    pub(crate) fn workspace_in_any_state(&self, id: WorkspaceId) -> Option<Arc<Workspace>> {
        self.read().workspace(id)
    }

    /// Whether no workspace was ever made, or all are gone.
    pub(crate) fn is_empty(&self) -> bool {
        self.read().workspaces().next().is_none()
    }

    /// Every workspace in service, by name.
    pub(crate) fn live_workspaces(&self) -> Vec<Arc<Workspace>> {
        self.workspaces_in(&[State::Live])
    }

    /// Every workspace whose making or deletion was begun and not finished.
    pub(crate) fn unfinished_workspaces(&self) -> Vec<Arc<Workspace>> {
        self.workspaces_in(&[State::Creating, State::Deleting])
    }

    fn workspaces_in(&self, states: &[State]) -> Vec<Arc<Workspace>> {
        let mut found: Vec<_> =
            self.read().workspaces().filter(|workspace| states.contains(&workspace.state)).cloned().collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    fn set_state(
        &self,
        id: WorkspaceId,
        state: State,
        told: Vec<Entry>,
    ) -> Result<Arc<Workspace>, ControlError> {
        self.act(
            told,
            |db| {
                let changed = db.execute(
                    "UPDATE workspaces SET state = ?2 WHERE id = ?1",
                    params![random::hex(&id.0), state.word()],
                )?;
                self.read().workspace(id).filter(|_| changed == 1).ok_or(ControlError::NoWorkspace)
            },
            |held, old| {
                self.publish(held, |directory| {
                    directory.put_workspace(Workspace { state, ..(**old).clone() })
                });
            },
        )?;
        self.read().workspace(id).ok_or(ControlError::NoWorkspace)
    }
}
