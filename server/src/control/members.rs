//! How are members made, changed and removed?
//!
//! A user is somebody with an email and a password; a membership makes them something in a workspace. Both come and go
//! here, each act with its row in the audit log. Who may do it is decided in `api/admin/members.rs`.
//!
//! Invariants:
//! 1. A workspace that has members has an owner among them: the last one is neither removed nor demoted.
//! 2. A user who is a member of nothing is forgotten.
//! 3. A password that changes ends the sessions that were begun with the old one.

use std::sync::{Arc, MutexGuard};

use rusqlite::{Connection, params};
use strongroom_engine::WorkspaceId;

use super::audit::{Action, By, Entry};
use super::directory::Workspace;
use super::people::{Member, People, User};
use super::roles::{ROLES, Role};
use super::scopes::Scope;
use super::{Control, ControlError};
use crate::{clock, random};

/// A member to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewMember {
    pub(crate) email: String,
    pub(crate) display_name: String,
    /// Its hash.
    pub(crate) password: String,
    pub(crate) role: Role,
}

/// What may change of a member; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemberChanges {
    pub(crate) email: Option<String>,
    pub(crate) display_name: Option<String>,
    /// Its hash.
    pub(crate) password: Option<String>,
    pub(crate) role: Option<Role>,
}

impl NewMember {
    pub(super) fn user(&self) -> User {
        let now = clock::now_ms();
        User {
            id: random::hex(&random::bytes::<16>()),
            email: self.email.clone(),
            display_name: self.display_name.clone(),
            password: self.password.clone(),
            created_ms: now,
            updated_ms: now,
            last_login_ms: None,
        }
    }
}

impl Control {
    /// Whether anybody is a member of the workspace.
    pub(crate) fn has_members(&self, workspace: WorkspaceId) -> bool {
        self.read_people().members(workspace).next().is_some()
    }

    /// The members of a workspace, oldest account first.
    pub(crate) fn members_of(&self, workspace: WorkspaceId) -> Vec<Member> {
        let mut members: Vec<_> = self.read_people().members(workspace).collect();
        members.sort_by(|a, b| (a.user.created_ms, &a.user.id).cmp(&(b.user.created_ms, &b.user.id)));
        members
    }

    /// A member of a workspace.
    pub(crate) fn member(&self, workspace: WorkspaceId, id: &str) -> Option<Member> {
        self.read_people().member(workspace, id)
    }

    /// Whoever has this email.
    pub(crate) fn user_of_email(&self, email: &str) -> Option<Arc<User>> {
        self.read_people().user_of_email(email)
    }

    /// The email of whoever has this id, while they have an account.
    pub(crate) fn email_of(&self, id: &str) -> Option<String> {
        self.read_people().user(id).map(|user| user.email.clone())
    }

    /// The workspaces in service that somebody is a member of, by name.
    pub(crate) fn workspaces_of(&self, id: &str) -> Vec<Arc<Workspace>> {
        let of: Vec<_> = self.read_people().workspaces_of(id).collect();
        let mut found: Vec<_> = of.into_iter().filter_map(|workspace| self.workspace(workspace)).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Whether somebody is a member of another workspace as well.
    pub(crate) fn is_elsewhere(&self, member: &Member) -> bool {
        self.read_people().workspaces_of(&member.user.id).any(|workspace| workspace != member.workspace)
    }

    /// Makes a member with an account of their own; the `first` only where there is none.
    pub(crate) fn add_member(
        &self,
        workspace: WorkspaceId,
        new: &NewMember,
        first: bool,
        by: By,
    ) -> Result<Member, ControlError> {
        let (user, role) = (new.user(), new.role);
        let entry = Entry::done(workspace, by, Action::MemberCreate, user.id.clone());
        self.act(
            vec![entry],
            |db| {
                if first && self.has_members(workspace) {
                    return Err(ControlError::HasMembers);
                }
                self.insert_user(db, &user)?;
                insert_membership(db, workspace, &user.id, role)
            },
            |held, ()| {
                self.show_people(held, |people| {
                    people.put_role(workspace, &user.id, role);
                    people.put_user(user.clone());
                });
            },
        )?;
        self.member(workspace, &user.id).ok_or(ControlError::NoMember)
    }

    /// Changes a member as they were when the change was allowed.
    pub(crate) fn change_member(
        &self,
        was: &Member,
        changes: &MemberChanges,
        by: By,
    ) -> Result<Member, ControlError> {
        let (workspace, id) = (was.workspace, was.user.id.as_str());
        let mut user = User { updated_ms: clock::now_ms(), ..(*was.user).clone() };
        user.email = changes.email.clone().unwrap_or(user.email);
        user.display_name = changes.display_name.clone().unwrap_or(user.display_name);
        user.password = changes.password.clone().unwrap_or(user.password);
        let role = changes.role.unwrap_or(was.role);
        self.act(
            vec![Entry::done(workspace, by, Action::MemberChange, id)],
            |db| {
                self.is_still(was)?;
                if was.role == Role::Owner && role != Role::Owner {
                    self.has_another_owner(was)?;
                }
                if self.user_of_email(&user.email).is_some_and(|other| other.id != id) {
                    return Err(ControlError::EmailTaken);
                }
                db.execute(
                    "UPDATE users SET email = ?2, display_name = ?3, password = ?4, updated_ms = ?5 WHERE id = ?1",
                    params![id, user.email, user.display_name, user.password, user.updated_ms],
                )?;
                db.execute(
                    "UPDATE memberships SET role = ?3 WHERE workspace = ?1 AND user = ?2",
                    params![random::hex(&workspace.0), id, role.word()],
                )?;
                if changes.password.is_some() {
                    db.execute("DELETE FROM sessions WHERE user = ?1", params![id])?;
                }
                take_back_invitations(db, was, Some(role))
            },
            |held, ()| {
                self.show_people(held, |people| {
                    people.put_user(user.clone());
                    people.put_role(workspace, id, role);
                    if changes.password.is_some() {
                        people.end_sessions(|session| session.user == id);
                    }
                });
            },
        )?;
        self.member(workspace, id).ok_or(ControlError::NoMember)
    }

    /// Gives somebody the password that they chose; of their sessions the one of this hash stays.
    pub(crate) fn change_password(
        &self,
        member: &Member,
        password: &str,
        keep: &[u8; 32],
        by: By,
    ) -> Result<(), ControlError> {
        let id = member.user.id.as_str();
        let now = clock::now_ms();
        self.act(
            vec![Entry::done(member.workspace, by, Action::PasswordChange, id)],
            |db| {
                self.is_still(member)?;
                db.execute(
                    "UPDATE users SET password = ?2, updated_ms = ?3 WHERE id = ?1",
                    params![id, password, now],
                )?;
                db.execute("DELETE FROM sessions WHERE user = ?1 AND hash <> ?2", params![id, keep])?;
                Ok(())
            },
            |held, ()| {
                self.show_people(held, |people| {
                    let user = (*member.user).clone();
                    people.put_user(User { password: password.to_owned(), updated_ms: now, ..user });
                    people.end_sessions(|session| session.user == id && session.hash != *keep);
                });
            },
        )
    }

    /// Removes a member, their sessions in the workspace and the invitations that they sent.
    pub(crate) fn remove_member(&self, was: &Member, by: By) -> Result<(), ControlError> {
        let (workspace, id) = (was.workspace, was.user.id.as_str());
        self.act(
            vec![Entry::done(workspace, by, Action::MemberRemove, id)],
            |db| {
                self.is_still(was)?;
                if was.role == Role::Owner {
                    self.has_another_owner(was)?;
                }
                take_back_invitations(db, was, None)?;
                db.execute(
                    "DELETE FROM memberships WHERE workspace = ?1 AND user = ?2",
                    params![random::hex(&workspace.0), id],
                )?;
                forget_those_without_workspace(db)
            },
            |held, ()| self.show_people(held, |people| people.remove_member(workspace, id)),
        )
    }

    /// The email belongs to nobody yet, which is checked under the lock.
    pub(super) fn insert_user(&self, db: &Connection, user: &User) -> Result<(), ControlError> {
        if self.user_of_email(&user.email).is_some() {
            return Err(ControlError::EmailTaken);
        }
        db.execute(
            "INSERT INTO users (id, email, display_name, password, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
            params![user.id, user.email, user.display_name, user.password, user.created_ms],
        )?;
        Ok(())
    }

    /// Shows a change that is durable to the requests. The database's lock is still held.
    pub(super) fn show_people(&self, _held: &MutexGuard<'_, Connection>, change: impl FnOnce(&mut People)) {
        change(&mut self.people.write().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// What was allowed of somebody was allowed of them as they were.
    fn is_still(&self, was: &Member) -> Result<(), ControlError> {
        match self.member(was.workspace, &was.user.id) {
            None => Err(ControlError::NoMember),
            Some(now) if now.role == was.role && now.user.updated_ms == was.user.updated_ms => Ok(()),
            Some(_) => Err(ControlError::Changed),
        }
    }

    fn has_another_owner(&self, but: &Member) -> Result<(), ControlError> {
        let is_other = |member: &Member| member.role == Role::Owner && member.user.id != but.user.id;
        let found = self.read_people().members(but.workspace).any(|member| is_other(&member));
        if found { Ok(()) } else { Err(ControlError::LastOwner) }
    }
}

pub(super) fn insert_membership(
    db: &Connection,
    workspace: WorkspaceId,
    user: &str,
    role: Role,
) -> Result<(), ControlError> {
    db.execute(
        "INSERT INTO memberships (workspace, user, role, created_ms) VALUES (?1, ?2, ?3, ?4)",
        params![random::hex(&workspace.0), user, role.word(), clock::now_ms()],
    )?;
    Ok(())
}

/// Removes the accounts of those who are a member of nothing any more.
pub(super) fn forget_those_without_workspace(db: &Connection) -> Result<(), ControlError> {
    db.execute("DELETE FROM users WHERE id NOT IN (SELECT user FROM memberships)", [])?;
    Ok(())
}

/// An invitation goes with the right to send it: of what somebody sent, what they could not send in this role.
fn take_back_invitations(db: &Connection, of: &Member, now: Option<Role>) -> Result<(), ControlError> {
    for role in ROLES {
        let may =
            now.is_some_and(|now| now.scopes().allows(Scope::Members) && now.scopes().covers(role.scopes()));
        if !may {
            db.execute(
                "DELETE FROM invitations WHERE workspace = ?1 AND invited_by = ?2 AND role = ?3",
                params![random::hex(&of.workspace.0), of.user.id, role.word()],
            )?;
        }
    }
    Ok(())
}
