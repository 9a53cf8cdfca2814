//! What does every request ask the control plane, answered from memory?
//!
//! Workspaces, collections and keys as they stand in the database. Loaded at open; changed by
//! [`super::Control::publish`] alone, once the change is durable.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;
use strongroom_engine::WorkspaceId;

use super::ControlError;
use super::collections::Collection;
use super::keys::KeyRow;
use super::rules::Rule;
use super::schema::workspace_id;

/// Where a workspace is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Its row is there, the engine may not know it yet.
    Creating,
    /// In service.
    Live,
    /// Out of service; the engine may still hold it.
    Deleting,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Live => "live",
            Self::Deleting => "deleting",
        }
    }

    pub(super) fn parse(word: &str) -> Result<Self, ControlError> {
        [Self::Creating, Self::Live, Self::Deleting]
            .into_iter()
            .find(|state| state.word() == word)
            .ok_or_else(|| ControlError::Corrupt(format!("a workspace's or tenant's state is {word:?}")))
    }
}

/// A workspace.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    pub(crate) id: WorkspaceId,
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) created_ms: u64,
    /// How its partitions are made and thrown away.
    pub(crate) rule: Arc<Rule>,
}

/// Everything, by what it is found by.
#[derive(Debug, Default)]
pub(super) struct Directory {
    workspaces: HashMap<WorkspaceId, Arc<Workspace>>,
    names: HashMap<String, WorkspaceId>,
    collections: HashMap<(WorkspaceId, String), Arc<Collection>>,
    keys: HashMap<String, Arc<KeyRow>>,
}

impl Directory {
    pub(super) fn load(db: &Connection) -> Result<Self, ControlError> {
        let mut directory = Self::default();
        let mut rules = Rule::load_all(db)?;
        let mut rows = db.prepare("SELECT id, name, state, created_ms FROM workspaces")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let id = workspace_id(row, 0)?;
            directory.put_workspace(Workspace {
                id,
                rule: rules.remove(&id).unwrap_or_default().into(),
                name: row.get(1)?,
                state: State::parse(&row.get::<_, String>(2)?)?,
                created_ms: row.get(3)?,
            });
        }
        for collection in Collection::load_all(db)? {
            directory.put_collection(collection);
        }
        for key in KeyRow::load_all(db)? {
            directory.put_key(Arc::new(key));
        }
        Ok(directory)
    }

    pub(super) fn workspace(&self, id: WorkspaceId) -> Option<Arc<Workspace>> {
        self.workspaces.get(&id).cloned()
    }

    pub(super) fn named(&self, name: &str) -> Option<Arc<Workspace>> {
        self.names.get(name).and_then(|id| self.workspace(*id))
    }

    pub(super) fn workspaces(&self) -> impl Iterator<Item = &Arc<Workspace>> {
        self.workspaces.values()
    }

    pub(super) fn collection(&self, workspace: WorkspaceId, name: &str) -> Option<Arc<Collection>> {
        self.collections.get(&(workspace, name.to_owned())).cloned()
    }

    pub(super) fn key(&self, id: &str) -> Option<Arc<KeyRow>> {
        self.keys.get(id).cloned()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Arc<KeyRow>> {
        self.keys.values()
    }

    pub(super) fn put_workspace(&mut self, workspace: Workspace) {
        self.names.insert(workspace.name.clone(), workspace.id);
        self.workspaces.insert(workspace.id, Arc::new(workspace));
    }

    pub(super) fn collections(&self) -> impl Iterator<Item = &Arc<Collection>> {
        self.collections.values()
    }

    pub(super) fn put_collection(&mut self, collection: Collection) {
        self.collections.insert((collection.workspace, collection.name.clone()), Arc::new(collection));
    }

    pub(super) fn remove_collection(&mut self, workspace: WorkspaceId, name: &str) {
        self.collections.remove(&(workspace, name.to_owned()));
    }

    pub(super) fn put_key(&mut self, key: Arc<KeyRow>) {
        self.keys.insert(key.id.clone(), key);
    }

    pub(super) fn remove_workspace(&mut self, id: WorkspaceId) {
        if let Some(workspace) = self.workspaces.remove(&id) {
            self.names.remove(&workspace.name);
        }
        self.collections.retain(|(workspace, _), _| *workspace != id);
        self.keys.retain(|_, key| key.workspace != id);
    }
}
