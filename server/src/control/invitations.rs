//! How does somebody become a member by a link?
//!
//! An invitation is a random token, kept as a keyed hash, for one email and one role in one workspace, for a week.
//!
//! Invariants:
//! 1. A token leaves this file once, in the answer to the inviting, and is good for one acceptance.
//! 2. A later invitation of the same email takes the earlier one's place.

use rusqlite::{Connection, Row, params};
use strongroom_engine::WorkspaceId;

use super::audit::{Action, Actor, By, Entry};
use super::members::{NewMember, insert_membership};
use super::people::{Member, User};
use super::roles::Role;
use super::schema::workspace_id;
use super::secret::{Token, TokenKind};
use super::{Control, ControlError};
use crate::clock::{self, DAY_MS};
use crate::random;

/// How long an invitation stands, in milliseconds.
const INVITATION_MS: u64 = 7 * DAY_MS;

/// Somebody who may become a member.
#[derive(Debug, Clone)]
pub(crate) struct Invitation {
    pub(crate) id: String,
    pub(crate) workspace: WorkspaceId,
    pub(crate) email: String,
    pub(crate) role: Role,
    /// Whoever sent it, as the audit log calls them.
    pub(crate) invited_by: String,
    pub(crate) created_ms: u64,
    pub(crate) expires_ms: u64,
}

/// Who accepts an invitation.
#[derive(Debug, Clone)]
pub(crate) enum Guest {
    /// Somebody new, with the name and the hash of the password that they chose.
    New { display_name: String, password: String },
    /// Somebody who has an account, and has shown that it is theirs.
    Known(String),
}

const COLUMNS: &str = "id, workspace, email, role, invited_by, created_ms, expires_ms";

impl Invitation {
    fn read(row: &Row<'_>) -> Result<Self, ControlError> {
        Ok(Self {
            id: row.get(0)?,
            workspace: workspace_id(row, 1)?,
            email: row.get(2)?,
            role: Role::stored(&row.get::<_, String>(3)?)?,
            invited_by: row.get(4)?,
            created_ms: row.get(5)?,
            expires_ms: row.get(6)?,
        })
    }
}

impl Control {
    /// Invites somebody. The token is nowhere else.
    pub(crate) fn invite(
        &self,
        workspace: WorkspaceId,
        email: &str,
        role: Role,
        by: By,
    ) -> Result<(Invitation, Token), ControlError> {
        let (token, now) = (Token::mint(TokenKind::Invitation), clock::now_ms());
        let invitation = Invitation {
            id: random::hex(&random::bytes::<16>()),
            workspace,
            email: email.to_owned(),
            role,
            invited_by: by.actor.id().to_owned(),
            created_ms: now,
            expires_ms: now + INVITATION_MS,
        };
        self.act(
            vec![Entry::done(workspace, by, Action::InvitationCreate, invitation.id.clone())],
            |db| {
                let known = self.user_of_email(email).and_then(|user| self.member(workspace, &user.id));
                if known.is_some() {
                    return Err(ControlError::AlreadyMember);
                }
                let workspace = random::hex(&workspace.0);
                db.execute(
                    "DELETE FROM invitations WHERE workspace = ?1 AND email = ?2",
                    params![workspace, email],
                )?;
                db.execute(
                    "INSERT INTO invitations (hash, id, workspace, email, role, invited_by, created_ms, expires_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    params![
                        self.secret.token_hash(&token),
                        invitation.id,
                        workspace,
                        email,
                        role.word(),
                        invitation.invited_by,
                        now,
                        invitation.expires_ms,
                    ],
                )?;
                Ok(())
            },
            |_, ()| {},
        )?;
        Ok((invitation, token))
    }

    /// The invitations of a workspace that stand, oldest first.
    pub(crate) fn invitations_of(&self, workspace: WorkspaceId) -> Result<Vec<Invitation>, ControlError> {
        let db = self.lock();
        let mut rows = db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM invitations WHERE workspace = ?1 AND expires_ms > ?2 ORDER BY created_ms, id"
        ))?;
        let mut rows = rows.query(params![random::hex(&workspace.0), clock::now_ms()])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Invitation::read(row)?);
        }
        Ok(found)
    }

    /// The invitation that this token stands for, while it does.
    pub(crate) fn invitation_of(&self, token: &Token) -> Result<Option<Invitation>, ControlError> {
        let found = {
            let db = self.lock();
            let mut rows = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM invitations WHERE hash = ?1 AND expires_ms > ?2"
            ))?;
            let mut rows = rows.query(params![self.secret.token_hash(token), clock::now_ms()])?;
            rows.next()?.map(Invitation::read).transpose()?
        };
        Ok(found.filter(|invitation| self.workspace(invitation.workspace).is_some()))
    }

    /// Takes an invitation back.
    pub(crate) fn revoke_invitation(&self, invitation: &Invitation, by: By) -> Result<(), ControlError> {
        let entry = Entry::done(invitation.workspace, by, Action::InvitationRevoke, invitation.id.clone());
        self.act(vec![entry], |db| use_up(db, invitation), |_, ()| {})
    }

    /// Makes a guest a member, in the role of the invitation.
    pub(crate) fn accept(
        &self,
        invitation: &Invitation,
        guest: &Guest,
        by: &By,
    ) -> Result<Member, ControlError> {
        let (workspace, role) = (invitation.workspace, invitation.role);
        let made: Option<User> = match guest {
            Guest::Known(_) => None,
            Guest::New { display_name, password } => {
                let (email, display_name) = (invitation.email.clone(), display_name.clone());
                Some(NewMember { email, display_name, password: password.clone(), role }.user())
            }
        };
        let id = match (&made, guest) {
            (Some(user), _) => user.id.clone(),
            (None, Guest::Known(id)) => id.clone(),
            (None, Guest::New { .. }) => unreachable!("a new guest was made a user"),
        };
        let by = by.with_actor(Actor::Member(id.clone()));
        self.act(
            vec![Entry::done(workspace, by, Action::InvitationAccept, invitation.id.clone())],
            |db| {
                use_up(db, invitation)?;
                if self.member(workspace, &id).is_some() {
                    return Err(ControlError::AlreadyMember);
                }
                match &made {
                    Some(user) => self.insert_user(db, user)?,
                    // Removed since the password was checked.
                    None if self.email_of(&id).is_none() => return Err(ControlError::Changed),
                    None => {}
                }
                insert_membership(db, workspace, &id, role)
            },
            |held, ()| {
                self.show_people(held, |people| {
                    people.put_role(workspace, &id, role);
                    if let Some(user) = made.clone() {
                        people.put_user(user);
                    }
                });
            },
        )?;
        self.member(workspace, &id).ok_or(ControlError::NoMember)
    }
}

/// Removes an invitation that stands; whoever comes second finds none.
fn use_up(db: &Connection, invitation: &Invitation) -> Result<(), ControlError> {
    match db.execute("DELETE FROM invitations WHERE id = ?1", params![invitation.id])? {
        0 => Err(ControlError::NoInvitation),
        _ => Ok(()),
    }
}
