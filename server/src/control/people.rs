//! Who is signed in, and what are they, answered from memory?
//!
//! Users, their memberships and their sessions as they stand in the database, asked by every request with a cookie.
//! Loaded at open; changed by [`super::Control::act`] alone, once the change is durable.
//!
//! Invariants:
//! 1. A session counts only while its user is a member of its workspace.
//! 2. What a session may do is the role that its user has now, not the one at sign-in.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;
use strongroom_engine::WorkspaceId;

use super::ControlError;
use super::roles::Role;
use super::schema::workspace_id;

/// Somebody who can sign in.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    /// In lower case; nobody else on this server has it.
    pub(crate) email: String,
    pub(crate) display_name: String,
    /// Argon2id, in its own text form.
    pub(crate) password: String,
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: u64,
    pub(crate) last_login_ms: Option<u64>,
}

/// A user within a workspace.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) user: Arc<User>,
    pub(crate) workspace: WorkspaceId,
    pub(crate) role: Role,
}

/// A sign-in that lasts.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) hash: [u8; 32],
    pub(crate) user: String,
    pub(crate) workspace: WorkspaceId,
    pub(crate) created_ms: u64,
    pub(crate) expires_ms: u64,
}

/// Everybody, by what they are found by.
#[derive(Debug, Default)]
pub(super) struct People {
    users: HashMap<String, Arc<User>>,
    emails: HashMap<String, String>,
    roles: HashMap<(WorkspaceId, String), Role>,
    sessions: HashMap<[u8; 32], Arc<Session>>,
}

impl People {
    pub(super) fn load(db: &Connection) -> Result<Self, ControlError> {
        let mut people = Self::default();
        let mut rows = db.prepare(
            "SELECT id, email, display_name, password, created_ms, updated_ms, last_login_ms FROM users",
        )?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            people.put_user(User {
                id: row.get(0)?,
                email: row.get(1)?,
                display_name: row.get(2)?,
                password: row.get(3)?,
                created_ms: row.get(4)?,
                updated_ms: row.get(5)?,
                last_login_ms: row.get(6)?,
            });
        }
        let mut rows = db.prepare("SELECT workspace, user, role FROM memberships")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let role = Role::stored(&row.get::<_, String>(2)?)?;
            people.roles.insert((workspace_id(row, 0)?, row.get(1)?), role);
        }
        let mut rows = db.prepare("SELECT hash, user, workspace, created_ms, expires_ms FROM sessions")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            people.put_session(Session {
                hash: row.get(0)?,
                user: row.get(1)?,
                workspace: workspace_id(row, 2)?,
                created_ms: row.get(3)?,
                expires_ms: row.get(4)?,
            });
        }
        Ok(people)
    }

    pub(super) fn user(&self, id: &str) -> Option<Arc<User>> {
        self.users.get(id).cloned()
    }

    pub(super) fn user_of_email(&self, email: &str) -> Option<Arc<User>> {
        self.emails.get(email).and_then(|id| self.user(id))
    }

    pub(super) fn member(&self, workspace: WorkspaceId, id: &str) -> Option<Member> {
        let role = *self.roles.get(&(workspace, id.to_owned()))?;
        Some(Member { user: self.user(id)?, workspace, role })
    }

    pub(super) fn members(&self, workspace: WorkspaceId) -> impl Iterator<Item = Member> {
        self.roles.iter().filter(move |((of, _), _)| *of == workspace).filter_map(
            |((workspace, id), role)| {
                Some(Member { user: self.user(id)?, workspace: *workspace, role: *role })
            },
        )
    }

    /// The workspaces that somebody is a member of.
    pub(super) fn workspaces_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = WorkspaceId> + 'a {
        self.roles.keys().filter(move |(_, user)| user == id).map(|(workspace, _)| *workspace)
    }

    pub(super) fn session(&self, hash: &[u8; 32]) -> Option<Arc<Session>> {
        self.sessions.get(hash).cloned()
    }

    pub(super) fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.sessions.values()
    }

    pub(super) fn put_user(&mut self, user: User) {
        if let Some(old) = self.users.get(&user.id) {
            self.emails.remove(&old.email);
        }
        self.emails.insert(user.email.clone(), user.id.clone());
        self.users.insert(user.id.clone(), Arc::new(user));
    }

    pub(super) fn put_role(&mut self, workspace: WorkspaceId, id: &str, role: Role) {
        self.roles.insert((workspace, id.to_owned()), role);
    }

    pub(super) fn put_session(&mut self, session: Session) {
        self.sessions.insert(session.hash, Arc::new(session));
    }

    pub(super) fn end_sessions(&mut self, ends: impl Fn(&Session) -> bool) {
        self.sessions.retain(|_, session| !ends(session));
    }

    pub(super) fn remove_member(&mut self, workspace: WorkspaceId, id: &str) {
        self.roles.remove(&(workspace, id.to_owned()));
        self.end_sessions(|session| session.workspace == workspace && session.user == id);
        self.forget_those_without_workspace();
    }

    pub(super) fn remove_workspace(&mut self, workspace: WorkspaceId) {
        self.roles.retain(|(of, _), _| *of != workspace);
        self.end_sessions(|session| session.workspace == workspace);
        self.forget_those_without_workspace();
    }

    fn forget_those_without_workspace(&mut self) {
        let kept: std::collections::HashSet<_> = self.roles.keys().map(|(_, user)| user.clone()).collect();
        self.users.retain(|id, _| kept.contains(id));
        self.emails.retain(|_, id| kept.contains(id));
    }
}
