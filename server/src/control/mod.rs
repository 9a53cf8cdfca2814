//! Which workspaces, members, keys and jobs are there, and what was done?
//!
//! The control plane: one SQLite database beside the engine's files, and a directory in memory of what every request
//! asks for. SQLite is the durable truth; the directory is what requests see. Both change under one lock, the
//! database first, so a revocation that was answered holds from the next request on.
//!
//! Invariants:
//! 1. No content, filename or partition id of a tenant is ever in the database: a key's pin stands as a keyed hash.
//!    The ids of pinned partitions are held in memory as far as this process has met them. (A registered tenant's id,
//!    `org_…`, is random and ours; what the tenant is called is not here.)
//! 2. An act that spans SQLite and the engine writes its intent first (`creating`, `deleting`) and is finished at the
//!    next open when it was cut short; what the engine holds is what counts.
//! 3. `secure_delete` is on: bytes of deleted rows are overwritten, not only unlinked; when a workspace goes, so does the
//!    write-ahead log. Dropping a partition removes nothing here, for nothing here names it; the row that it adds to the
//!    audit log does not, either.
//! 4. A privileged act and its row in the audit log are one transaction ([`Control::act`]).
//!
//! Concurrency: all methods take `&self`. Those that write block on the disk and are called through the blocking pool;
//! look-ups touch memory alone.

pub(crate) mod api_key;
mod audit;
mod collections;
mod directory;
pub(crate) mod fields;
mod invitations;
mod jobs;
mod keys;
mod members;
mod metadata_schema;
mod people;
pub(crate) mod quotas;
mod renames;
pub(crate) mod roles;
pub(crate) mod rules;
mod schema;
pub(crate) mod scopes;
mod secret;
mod sessions;
mod tenants;
pub(crate) mod usage;
mod workspaces;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rusqlite::Connection;
use strongroom_engine::{PartitionName, WorkspaceId};

pub(crate) use audit::{
    AccessFilter, Action, Actor, AuditFilter, AuditRow, By, Entry, Head, Outcome, check as check_audit,
};
pub(crate) use collections::{
    Collection, Embedding, Life, NewCollection, SearchMode, Settings, metric_of, metric_word,
};
pub(crate) use directory::{State, Workspace};
pub(crate) use invitations::{Guest, Invitation};
pub(crate) use jobs::{INTERRUPTED, JobState};
pub(crate) use keys::{KeyChanges, KeyRow, NewKey};
pub(crate) use members::{MemberChanges, NewMember};
pub(crate) use metadata_schema::MetadataSchema;
pub(crate) use people::{Member, Session};
pub(crate) use renames::Rename;
pub(crate) use rules::{Pattern, Rule};
pub(crate) use secret::{PartitionHash, PartitionHasher, Token, TokenKind};
pub(crate) use sessions::SESSION_MS;
pub(crate) use tenants::Tenant;

use crate::message::error::ApiError;
use api_key::ApiKey;
use audit::Tally;
use directory::Directory;
use people::People;
use secret::Secret;
use tenants::Tenants;

/// Why the control plane refused or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// The name belongs to another workspace.
    #[error("the name is taken")]
    Taken,
    /// The name belongs to another collection of the workspace.
    #[error("the collection's name is taken")]
    CollectionTaken,
    /// No such collection in this workspace.
    #[error("no such collection")]
    NoCollection,
    /// No such workspace.
    #[error("no such workspace")]
    NoWorkspace,
    /// No such key in this workspace.
    #[error("no such key")]
    NoKey,
    /// The slug belongs to another tenant of the workspace.
    #[error("the slug is taken")]
    SlugTaken,
    /// No such tenant.
    #[error("no such tenant")]
    NoTenant,
    /// No such job in this workspace.
    #[error("no such job")]
    NoJob,
    /// No such member of this workspace.
    #[error("no such member")]
    NoMember,
    /// No such invitation, or none that stands.
    #[error("no such invitation")]
    NoInvitation,
    /// The email belongs to somebody's account.
    #[error("the email is taken")]
    EmailTaken,
    /// Whoever is invited is a member.
    #[error("a member already")]
    AlreadyMember,
    /// The first member is there.
    #[error("there are members")]
    HasMembers,
    /// Without this one, the workspace would have no owner.
    #[error("the last owner")]
    LastOwner,
    /// It is not any more as it was when the change was allowed.
    #[error("changed meanwhile")]
    Changed,
    /// SQLite's own word.
    #[error("control.sqlite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row that we can't have written.
    #[error("control.sqlite: {0}")]
    Corrupt(String),
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Taken => Self::conflict("name_taken", "a workspace with this name exists"),
            ControlError::CollectionTaken => {
                Self::conflict("name_taken", "a collection with this name exists, or is being deleted")
            }
            ControlError::NoCollection => no_collection(),
            ControlError::NoWorkspace => Self::missing("workspace_not_found", "there is no such workspace"),
            ControlError::NoKey => Self::missing("key_not_found", "there is no such API key"),
            ControlError::SlugTaken => Self::conflict(
                "slug_taken",
                "a tenant of yours has this slug; choose another, or leave it out",
            ),
            ControlError::NoTenant => Self::missing("tenant_not_found", "there is no such tenant"),
            ControlError::NoJob => Self::missing("job_not_found", "there is no such job"),
            ControlError::NoMember => {
                Self::missing("member_not_found", "there is no such member of this workspace")
            }
            ControlError::NoInvitation => {
                Self::missing("invitation_not_found", "there is no such invitation, or its time is over")
            }
            ControlError::EmailTaken => Self::conflict(
                "email_taken",
                "no account can be made with this email address; invite its owner instead",
            ),
            ControlError::AlreadyMember => Self::conflict("already_member", "this is a member already"),
            ControlError::HasMembers => Self::conflict(
                "already_set_up",
                "this workspace has members; ask one of its owners for an invitation",
            ),
            ControlError::LastOwner => Self::conflict(
                "last_owner",
                "this is the workspace's last owner; make another member an owner first",
            ),
            ControlError::Changed => Self::conflict(
                "changed_meanwhile",
                "this was changed by another request meanwhile; look, and try again",
            ),
            _ if error.is_full() => Self::disk_full(),
            ControlError::Sqlite(_) | ControlError::Corrupt(_) => Self::internal(format!("control: {error}")),
        }
    }
}

/// A collection that isn't there, or that the key doesn't reach.
pub(crate) fn no_collection() -> ApiError {
    ApiError::missing("collection_not_found", "there is no such collection in this workspace")
}

impl ControlError {
    /// Whether there was no room on the disk.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Sqlite(rusqlite::Error::SqliteFailure(failure, _))
            if failure.code == rusqlite::ErrorCode::DiskFull)
    }
}

/// The control plane.
pub(crate) struct Control {
    db: Mutex<Connection>,
    directory: RwLock<Directory>,
    people: RwLock<People>,
    /// Changed under the lock of `db`, like the directory.
    tenants: RwLock<Tenants>,
    names: RwLock<HashMap<PartitionHash, PartitionName>>,
    /// Rows of the audit log that could not be written yet. Taken after `db`.
    owed: Mutex<Vec<Entry>>,
    /// Refusals that are counted and not written yet.
    refusals: Mutex<Tally>,
    secret: Secret,
}

impl Control {
    /// Opens the database, bringing it to this version's schema. `root_key` is the operator's key, if there is one.
    pub(crate) fn open(
        path: &Path,
        master_key: &[u8; 32],
        root_key: Option<&str>,
    ) -> Result<Self, ControlError> {
        let db = schema::open(path)?;
        let (directory, tenants) = (Directory::load(&db)?, RwLock::new(Tenants::load(&db)?));
        let secret = Secret::derive(master_key, root_key);
        let people = RwLock::new(People::load(&db)?);
        let (db, directory, names) = (Mutex::new(db), RwLock::new(directory), RwLock::default());
        let (owed, refusals) = (Mutex::default(), Mutex::default());
        Ok(Self { db, directory, tenants, people, names, owed, refusals, secret })
    }

    /// Whether this is the operator's key.
    pub(crate) fn is_root_key(&self, text: &str) -> bool {
        self.secret.is_root_key(text)
    }

    /// Whether the presented key is the one that this row stands for.
    pub(crate) fn is_key(&self, row: &KeyRow, presented: &ApiKey) -> bool {
        self.secret.is_key(presented, &row.hash)
    }

    /// A workspace in service.
    pub(crate) fn workspace(&self, id: WorkspaceId) -> Option<Arc<Workspace>> {
        self.read().workspace(id).filter(|workspace| workspace.state == State::Live)
    }

    /// A workspace in service, by its name.
    pub(crate) fn workspace_named(&self, name: &str) -> Option<Arc<Workspace>> {
        self.read().named(name).filter(|workspace| workspace.state == State::Live)
    }

    /// A workspace in service, by its id or, failing that, its name.
    pub(crate) fn find_workspace(&self, name_or_id: &str) -> Option<Arc<Workspace>> {
        let by_id = crate::random::parse_hex(name_or_id).and_then(|id| self.workspace(WorkspaceId(id)));
        by_id.or_else(|| self.workspace_named(name_or_id))
    }

    /// A key's row, revoked ones too.
    pub(crate) fn key(&self, id: &str) -> Option<Arc<KeyRow>> {
        self.read().key(id)
    }

    /// The id of a memory: the same for the same text of the same user, and of no use to guess texts with.
    pub(crate) fn memory_id(&self, at: (WorkspaceId, Option<&str>), user: &str, text: &str) -> String {
        self.secret.memory_id(at, user, text)
    }

    /// What hashes the names of partitions.
    pub(crate) fn partition_hasher(&self) -> &PartitionHasher {
        self.secret.partitions()
    }

    /// The partition of this hash, if this process has met its name.
    pub(crate) fn partition_of(&self, hash: PartitionHash) -> Option<PartitionName> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned()
    }

    /// Remembers a partition's name for keys that are pinned to it, in memory alone.
    pub(crate) fn remember_partition(&self, hash: PartitionHash, name: &PartitionName) {
        self.names.write().unwrap_or_else(PoisonError::into_inner).insert(hash, name.clone());
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_people(&self) -> std::sync::RwLockReadGuard<'_, People> {
        self.people.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever holds this may write: first the database, then [`Control::publish`].
    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic while it was held left SQLite's transaction to be rolled back: the connection is whole.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a change that is durable to the requests. The database's lock is still held.
    fn publish(&self, _held: &MutexGuard<'_, Connection>, change: impl FnOnce(&mut Directory)) {
        change(&mut self.directory.write().unwrap_or_else(PoisonError::into_inner));
    }
}
