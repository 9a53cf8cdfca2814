//! How long is somebody signed in?
//!
//! A session is a random token, kept as a keyed hash and found by it. It ends at its time, when its user signs out, when
//! their password changes, and with their membership.
//!
//! Invariants:
//! 1. A token leaves this file once, in the answer to the sign-in.
//! 2. A session that ended is dead from the next request on, and its row is gone.

use std::sync::Arc;

use rusqlite::params;

use super::audit::{Action, By, Entry};
use super::people::{Member, Session, User};
use super::secret::{Token, TokenKind};
use super::{Control, ControlError};
use crate::clock::{self, DAY_MS};
use crate::random;

/// How long a session lasts, in milliseconds.
pub(crate) const SESSION_MS: u64 = 7 * DAY_MS;
/// Sessions of one user at once; a further one ends the oldest.
const SESSIONS_MAX: usize = 50;

impl Control {
    /// Signs a member in.
    pub(crate) fn begin_session(
        &self,
        member: &Member,
        by: By,
    ) -> Result<(Token, Arc<Session>), ControlError> {
        let (token, now) = (Token::mint(TokenKind::Session), clock::now_ms());
        let session = Session {
            hash: self.secret.token_hash(&token),
            user: member.user.id.clone(),
            workspace: member.workspace,
            created_ms: now,
            expires_ms: now + SESSION_MS,
        };
        let entry = Entry::done(member.workspace, by, Action::SignIn, member.user.id.clone());
        self.act(
            vec![entry],
            |db| {
                // Whoever was removed since the password was checked stays out.
                let user = self.member(member.workspace, &member.user.id).ok_or(ControlError::NoMember)?.user;
                if user.password != member.user.password {
                    return Err(ControlError::Changed);
                }
                let mut own: Vec<_> =
                    self.read_people().sessions().filter(|one| one.user == user.id).cloned().collect();
                own.sort_by_key(|one| one.created_ms);
                own.truncate((own.len() + 1).saturating_sub(SESSIONS_MAX));
                for old in &own {
                    db.execute("DELETE FROM sessions WHERE hash = ?1", params![old.hash])?;
                }
                db.execute(
                    "INSERT INTO sessions (hash, user, workspace, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![session.hash, session.user, random::hex(&session.workspace.0), now, session.expires_ms],
                )?;
                db.execute("UPDATE users SET last_login_ms = ?2 WHERE id = ?1", params![user.id, now])?;
                Ok((user, own))
            },
            |held, (user, ended)| {
                self.show_people(held, |people| {
                    people.end_sessions(|one| ended.iter().any(|old| old.hash == one.hash));
                    people.put_user(User { last_login_ms: Some(now), ..(**user).clone() });
                    people.put_session(session.clone());
                });
            },
        )?;
        Ok((token, Arc::new(session)))
    }

    /// Who has this token, while it counts.
    pub(crate) fn session_of(&self, token: &Token) -> Option<(Arc<Session>, Member)> {
        let people = self.read_people();
        let session = people.session(&self.secret.token_hash(token))?;
        let member = people.member(session.workspace, &session.user)?;
        (session.expires_ms > clock::now_ms()).then_some((session, member))
    }

    /// Ends a session, or all that its user has anywhere.
    pub(crate) fn end_session(&self, session: &Session, all: bool, by: By) -> Result<(), ControlError> {
        let ends = |one: &Session| one.hash == session.hash || (all && one.user == session.user);
        self.act(
            vec![Entry::done(session.workspace, by, Action::SignOut, session.user.clone())],
            |db| {
                db.execute(
                    "DELETE FROM sessions WHERE hash = ?1 OR (?2 AND user = ?3)",
                    params![session.hash, all, session.user],
                )?;
                Ok(())
            },
            |held, ()| self.show_people(held, |people| people.end_sessions(ends)),
        )
    }

    /// Removes the rows of sessions and invitations whose time is over.
    pub(crate) fn sweep(&self) -> Result<(), ControlError> {
        let now = clock::now_ms();
        let db = self.lock();
        db.execute("DELETE FROM sessions WHERE expires_ms <= ?1", params![now])?;
        db.execute("DELETE FROM invitations WHERE expires_ms <= ?1", params![now])?;
        self.show_people(&db, |people| people.end_sessions(|session| session.expires_ms <= now));
        Ok(())
    }
}
