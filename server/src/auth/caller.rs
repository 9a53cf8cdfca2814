//! Whose request is this?
//!
//! Reads `Authorization` (and, for the operator, `Strongroom-Workspace`), or else the cookie of a member's session, finds
//! either in the control plane's directory and answers a [`Caller`]. No I/O: the directory is in memory, so a revocation holds from the next
//! request on and a flood of bad keys costs a hash each.
//!
//! Invariants:
//! 1. Keys are compared by keyed hash in constant time; found by id, which is not secret.
//! 2. A key that is damaged, unknown, revoked or expired, or whose workspace is going, gets the same status.
//! 3. A request that names a key is the key's, whatever cookie it carries.
//! 4. What a caller is pinned to comes from the key's row alone, never from the request.
//! 5. On whose behalf a request acts only ever narrows what its caller reads.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use strongroom_engine::{
    ActingAs, OperatorScope, PartitionName, PartitionRef, Reach, Scope, Witness, WorkspaceId,
};

use super::reach::{DEFAULT_COLLECTION, Named, Pin, Pins, Place, choose, collection_forbidden};
use super::session;
use crate::control::api_key::ApiKey;
use crate::control::roles::Role;
use crate::control::scopes::{self, ScopeSet};
use crate::control::{Actor, Control, KeyRow, Member, PartitionHasher, Session, Workspace};
use crate::message::error::ApiError;
use crate::{clock, random};

/// The header by which the operator names a workspace, by its name or id.
const WORKSPACE_HEADER: &str = "strongroom-workspace";

/// The workspace that exists from the first start on.
pub(crate) const DEFAULT_WORKSPACE: &str = "default";

/// Who calls.
#[derive(Debug, Clone)]
enum Holder {
    /// The operator: everything in every workspace.
    Operator,
    Key(Arc<KeyRow>),
    /// A member who signed in.
    Member(Arc<SignedIn>),
}

/// A member and the session that shows it.
#[derive(Debug)]
pub(crate) struct SignedIn {
    pub(crate) member: Member,
    pub(crate) session: Arc<Session>,
}

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    holder: Holder,
    workspace: Option<Arc<Workspace>>,
    /// The id that the operator named and that is none of a workspace in service: perhaps one that is gone.
    gone: Option<WorkspaceId>,
    pins: Pins,
    hasher: PartitionHasher,
    /// The labels that the request says it acts under.
    labels: Option<Arc<[String]>>,
    /// Who is told what is opened for the request.
    witness: Option<Arc<Witness>>,
}

impl Caller {
    /// Has the caller act under these labels: those of a principal, and of its groups.
    pub(crate) fn act_under(&mut self, labels: Vec<String>) {
        self.labels = Some(labels.into());
    }

    /// Has all that is opened for the caller taken down.
    pub(crate) fn be_witnessed(&mut self, witness: &Arc<Witness>) {
        self.witness = Some(Arc::clone(witness));
    }

    /// The right to this much of the workspace, on the caller's behalf.
    fn scope(&self, workspace: WorkspaceId, reach: Reach) -> Scope {
        Scope::grant(workspace, reach).acting_as(self.acting()).before(self.witness.clone())
    }

    /// On whose behalf documents are read. Who may hand out keys administrates, unless the request names somebody.
    fn acting(&self) -> ActingAs {
        match &self.labels {
            Some(labels) => ActingAs::Labels(labels.clone()),
            None if self.scopes().allows(scopes::Scope::Keys) => ActingAs::Administrator,
            None => ActingAs::default(),
        }
    }

    /// Whether the request reads documents whatever their labels.
    pub(crate) fn is_administrator(&self) -> bool {
        matches!(self.acting(), ActingAs::Administrator)
    }

    /// The right to read who read what: in the whole workspace, or in the one partition that the caller is pinned to. `None`
    /// when that isn't there.
    pub(crate) fn reach_of_reads(&self) -> Result<Option<Scope>, ApiError> {
        if self.pins.partition.is_none() && self.pins.collection.is_some() {
            return Err(ApiError::forbidden(
                "pinned_key",
                "reads are told of a workspace or of one partition, and this key is pinned to a collection; use one that is not",
            ));
        }
        self.overview()
    }

    /// Refuses who doesn't administrate: who may read what is theirs to say.
    pub(crate) fn require_administrator(&self) -> Result<(), ApiError> {
        if self.acting() == ActingAs::Administrator {
            return Ok(());
        }
        Err(ApiError::forbidden(
            "administrator_required",
            "an administrator says who may read: this takes a caller who may hand out keys (key:* or *), and a request that names \
             no principal",
        ))
    }

    /// Refuses a key that is kept to one partition.
    pub(crate) fn require_unpinned(&self) -> Result<(), ApiError> {
        if self.pins.partition.is_none() {
            return Ok(());
        }
        Err(ApiError::forbidden(
            "pinned_key",
            "this call looks into several partitions, and this key is pinned to one of them",
        ))
    }

    /// Whether the caller may do that, somewhere.
    pub(crate) fn require(&self, scope: scopes::Scope) -> Result<(), ApiError> {
        self.require_one_of(&[scope])
    }

    /// Whether the caller may do one of these, somewhere.
    pub(crate) fn require_one_of(&self, scopes: &[scopes::Scope]) -> Result<(), ApiError> {
        if scopes.iter().any(|scope| self.scopes().allows(*scope)) {
            return Ok(());
        }
        let names: Vec<_> = scopes.iter().map(|scope| scope.name()).collect();
        Err(ApiError::forbidden(
            "scope_missing",
            match &self.holder {
                Holder::Member(_) => {
                    format!("your role lacks the scope {}; ask an owner of the workspace", names.join(" or "))
                }
                _ => format!(
                    "this key lacks the scope {}; ask its owner for one that has it",
                    names.join(" or ")
                ),
            },
        ))
    }

    /// Refuses a caller who names a workspace that isn't there. On every route but those that speak of the past.
    pub(crate) fn require_no_gone_workspace(&self) -> Result<(), ApiError> {
        self.gone.map_or(Ok(()), |_| Err(no_workspace()))
    }

    /// The right to read what was done in a workspace, which outlives it for the operator alone.
    pub(crate) fn reach_of_the_past(&self) -> Result<Scope, ApiError> {
        if self.pins != Pins::default() {
            return Err(ApiError::forbidden(
                "pinned_key",
                "what was done is told of the whole workspace, and this key is pinned to a part of it; use one that is not \
                 pinned",
            ));
        }
        let workspace = self.gone.map_or_else(|| self.workspace().map(|own| own.id), Ok)?;
        Ok(Scope::grant(workspace, Reach::Workspace))
    }

    pub(crate) fn scopes(&self) -> ScopeSet {
        match &self.holder {
            Holder::Operator => ScopeSet::all(),
            Holder::Key(key) => key.scopes,
            Holder::Member(signed) => signed.member.role.scopes(),
        }
    }

    /// Refuses to make somebody of this role more than the caller is. A key that is kept to a part, or ends, can't make a
    /// member, who would be neither.
    pub(crate) fn require_cover(&self, role: Role) -> Result<(), ApiError> {
        let is_bound = self.pins != Pins::default() || self.is_multi_tenant() || self.expires_ms().is_some();
        if is_bound {
            return Err(ApiError::forbidden(
                "pinned_key",
                "members act in the whole workspace for good, and this key is pinned, multi-tenant or ends; use one that is not",
            ));
        }
        if self.scopes().covers(role.scopes()) {
            return Ok(());
        }
        Err(ApiError::forbidden(
            "role_too_high",
            format!(
                "who is {} may do more than this caller, so this takes somebody who may do as much",
                role.word()
            ),
        ))
    }

    pub(crate) fn pins(&self) -> &Pins {
        &self.pins
    }

    /// The partition that a request on data acts on, or why there is none.
    pub(crate) fn place(&self, named: Named<'_>) -> Result<Place, ApiError> {
        let workspace = self.workspace()?.id;
        let hash_of = |collection: &str, name: &PartitionName| self.hasher.hash(workspace, collection, name);
        let at = choose(&self.pins, self.is_multi_tenant(), named, hash_of)?;
        let rule = &self.workspace()?.rule;
        let may_make = at.partition.as_ref().is_none_or(|name| rule.lets_writes_make(name));
        let scope = self.scope(workspace, Reach::Partition(at.clone()));
        let scope = if may_make { scope } else { scope.finding_only() };
        Ok(Place::new(scope, at).with_key(self.key_id()))
    }

    /// What a request on the workspace as a whole may see: everything that the key is not kept from. `None` when that is
    /// a partition that isn't there.
    pub(crate) fn overview(&self) -> Result<Option<Scope>, ApiError> {
        let workspace = self.workspace()?.id;
        let reach = match &self.pins {
            Pins { collection, partition: Some(pin) } => {
                let Some(name) = &pin.name else { return Ok(None) };
                let collection = collection.as_deref().unwrap_or(DEFAULT_COLLECTION).to_owned();
                Reach::Partition(PartitionRef { collection, partition: Some(name.clone()) })
            }
            Pins { collection: Some(collection), partition: None } => Reach::Collection(collection.clone()),
            Pins { collection: None, partition: None } => Reach::Workspace,
        };
        Ok(Some(Scope::grant(workspace, reach).before(self.witness.clone())))
    }

    /// The right to a whole collection, which a key that is pinned to a partition or to another collection lacks.
    pub(crate) fn whole_collection(&self, collection: &str) -> Result<Scope, ApiError> {
        if self.pins.collection.as_deref().is_some_and(|own| own != collection) {
            return Err(collection_forbidden());
        }
        if self.pins.partition.is_some() {
            return Err(ApiError::forbidden(
                "pinned_key",
                "this call acts on a whole collection, and this key is pinned to one partition of it",
            ));
        }
        let reach = Reach::Collection(collection.to_owned());
        Ok(self.scope(self.workspace()?.id, reach))
    }

    /// What of a collection the caller may see: its own partition, when it is pinned to one. `None` when that isn't there.
    pub(crate) fn within_collection(&self, collection: &str) -> Result<Option<Scope>, ApiError> {
        if self.pins.collection.as_deref().is_some_and(|own| own != collection) {
            return Err(collection_forbidden());
        }
        let workspace = self.workspace()?.id;
        let reach = match &self.pins.partition {
            None => Reach::Collection(collection.to_owned()),
            Some(Pin { name: None, .. }) => return Ok(None),
            Some(Pin { name: Some(name), .. }) => Reach::Partition(PartitionRef {
                collection: collection.to_owned(),
                partition: Some(name.clone()),
            }),
        };
        Ok(Some(self.scope(workspace, reach)))
    }

    /// Where to look for the partition that this caller is pinned to, when its name isn't known: a hash alone can only
    /// be compared with what is there.
    pub(crate) fn search_for_pin(&self) -> Option<(Pin, Scope, String)> {
        let pin = self.pins.partition.clone().filter(|pin| pin.name.is_none())?;
        let collection = self.pins.collection.as_deref().unwrap_or(DEFAULT_COLLECTION).to_owned();
        let workspace = self.workspace.as_ref()?.id;
        Some((pin, Scope::grant(workspace, Reach::Collection(collection.clone())), collection))
    }

    /// The name of the caller's own partition, now that it was found.
    pub(crate) fn name_pin(&mut self, name: PartitionName) {
        if let Some(pin) = &mut self.pins.partition {
            pin.name = Some(name);
        }
    }

    pub(crate) fn is_multi_tenant(&self) -> bool {
        matches!(&self.holder, Holder::Key(key) if key.multi_tenant)
    }

    /// When the caller's own key ends, which bounds what it mints.
    pub(crate) fn expires_ms(&self) -> Option<u64> {
        match &self.holder {
            Holder::Operator | Holder::Member(_) => None,
            Holder::Key(key) => key.expires_ms,
        }
    }

    /// The id of the caller's key; `None` for the operator and for members.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.key().map(|key| key.id.as_str())
    }

    /// The caller's key.
    pub(crate) fn key(&self) -> Option<&KeyRow> {
        match &self.holder {
            Holder::Operator | Holder::Member(_) => None,
            Holder::Key(key) => Some(key),
        }
    }

    /// The member that calls, when it is one.
    pub(crate) fn signed_in(&self) -> Option<&Arc<SignedIn>> {
        match &self.holder {
            Holder::Operator | Holder::Key(_) => None,
            Holder::Member(signed) => Some(signed),
        }
    }

    /// Who that is, as the audit log tells it.
    pub(crate) fn actor(&self) -> Actor {
        match &self.holder {
            Holder::Operator => Actor::Operator,
            Holder::Key(key) => Actor::Key(key.id.clone()),
            Holder::Member(signed) => Actor::Member(signed.member.user.id.clone()),
        }
    }

    /// The workspace that the request acts in.
    pub(crate) fn workspace(&self) -> Result<&Workspace, ApiError> {
        self.workspace.as_deref().ok_or_else(|| {
            ApiError::missing(
                "workspace_not_found",
                "there is no workspace `default`; name one with the header Strongroom-Workspace",
            )
        })
    }

    /// The right to make and drop workspaces, which the operator alone has.
    pub(crate) fn operator(&self) -> Result<OperatorScope, ApiError> {
        match self.holder {
            Holder::Operator => Ok(OperatorScope::grant()),
            Holder::Key(_) | Holder::Member(_) => Err(ApiError::forbidden(
                "operator_only",
                "workspaces are made and deleted with the operator's key (STRONGROOM_ROOT_KEY) alone",
            )),
        }
    }

    pub(crate) fn is_operator(&self) -> bool {
        matches!(self.holder, Holder::Operator)
    }
}

/// The right of the server itself, for first starts and for finishing what a crash cut short.
pub(crate) fn server_itself() -> OperatorScope {
    OperatorScope::grant()
}

/// The right of the server itself over one collection, for ending what a crash cut short and for what is done to all documents.
pub(crate) fn server_in(workspace: WorkspaceId, collection: &str) -> Scope {
    Scope::grant(workspace, Reach::Collection(collection.to_owned())).acting_as(ActingAs::Administrator)
}

/// Who sends these headers? 401 when that can't be told.
pub(crate) fn authenticate(control: &Control, headers: &HeaderMap) -> Result<Caller, ApiError> {
    if !headers.contains_key(header::AUTHORIZATION)
        && let Some(token) = session::token(headers)?
    {
        let (session, member) = control.session_of(&token).ok_or_else(session::dead)?;
        let workspace = control.workspace(member.workspace).ok_or_else(session::dead)?;
        own_workspace(control, &workspace, workspace_header(headers)?)?;
        let holder = Holder::Member(Arc::new(SignedIn { member, session }));
        let (pins, hasher) = (Pins::default(), control.partition_hasher().clone());
        return Ok(Caller {
            holder,
            workspace: Some(workspace),
            gone: None,
            pins,
            hasher,
            labels: None,
            witness: None,
        });
    }
    let text = bearer(headers)?;
    let (named, hasher) = (workspace_header(headers)?, control.partition_hasher().clone());
    if control.is_root_key(text) {
        let (workspace, gone) = match named {
            None => (control.workspace_named(DEFAULT_WORKSPACE), None),
            Some(name) => match (control.find_workspace(name), random::parse_hex(name)) {
                (Some(found), _) => (Some(found), None),
                (None, Some(id)) => (None, Some(WorkspaceId(id))),
                (None, None) => return Err(no_workspace()),
            },
        };
        let (holder, pins) = (Holder::Operator, Pins::default());
        return Ok(Caller { holder, workspace, gone, pins, hasher, labels: None, witness: None });
    }
    if !ApiKey::looks_like(text) {
        return Err(dead_key());
    }
    let Some(presented) = ApiKey::parse(text) else {
        return Err(ApiError::unauthenticated(
            "malformed_key",
            "this API key is damaged: a character is missing or changed; copy it again in full",
        ));
    };
    let key =
        control.key(presented.id()).filter(|key| control.is_key(key, &presented)).ok_or_else(dead_key)?;
    let now = clock::now_ms();
    if key.revoked_ms.is_some() || key.expires_ms.is_some_and(|end| end <= now) {
        return Err(dead_key());
    }
    let workspace = control.workspace(key.workspace).ok_or_else(dead_key)?;
    own_workspace(control, &workspace, named)?;
    let partition = key.partition.map(|hash| Pin { hash, name: control.partition_of(hash) });
    let pins = Pins { collection: key.collection.clone(), partition };
    key.touch(now);
    let (holder, workspace) = (Holder::Key(key), Some(workspace));
    Ok(Caller { holder, workspace, gone: None, pins, hasher, labels: None, witness: None })
}

/// Whose key these headers carry, when it was one once and is dead now: a secret that is out of use is being tried.
pub(crate) fn dead_key_of(control: &Control, headers: &HeaderMap) -> Option<(WorkspaceId, Actor)> {
    let presented = ApiKey::parse(bearer(headers).ok()?)?;
    let key = control.key(presented.id()).filter(|key| control.is_key(key, &presented))?;
    Some((key.workspace, Actor::Key(key.id.clone())))
}

fn own_workspace(control: &Control, own: &Workspace, named: Option<&str>) -> Result<(), ApiError> {
    if named.is_some_and(|name| control.find_workspace(name).map(|other| other.id) != Some(own.id)) {
        return Err(ApiError::forbidden(
            "workspace_forbidden",
            "this key or session belongs to another workspace",
        ));
    }
    Ok(())
}

fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(ApiError::unauthenticated(
            "missing_key",
            "send your API key once, in the header `Authorization: Bearer <key>`",
        ));
    };
    let malformed =
        || ApiError::unauthenticated("malformed_key", "the header must read `Authorization: Bearer <key>`");
    let text = value.to_str().map_err(|_| malformed())?;
    let (scheme, key) = text.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") || key.trim().is_empty() {
        return Err(malformed());
    }
    Ok(key.trim())
}

pub(super) fn workspace_header(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(WORKSPACE_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let malformed =
        || ApiError::malformed("malformed_header", "Strongroom-Workspace must be one workspace's name or id");
    if values.next().is_some() {
        return Err(malformed());
    }
    std::str::from_utf8(value.as_bytes()).map(Some).map_err(|_| malformed())
}

fn dead_key() -> ApiError {
    ApiError::unauthenticated(
        "invalid_api_key",
        "this API key is unknown, revoked or expired; use a live one",
    )
}

fn no_workspace() -> ApiError {
    ApiError::missing(
        "workspace_not_found",
        "there is no workspace of the name or id in Strongroom-Workspace",
    )
}
