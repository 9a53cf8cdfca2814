//! What is an act, and whose is it?
//!
//! What the rest of the server says of an act that is to be written down. The words here are those that answers show and
//! filters name: they stand in rows for good, so none is ever given another meaning.
//!
//! Invariants:
//! 1. An entry names no tenant: a resource is an id that this server made, or a route's template.
//! 2. An entry holds no email and no key: people and keys stand by their ids.

use strongroom_engine::WorkspaceId;

use crate::random;

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Actor {
    /// A key, by its id.
    Key(String),
    /// A member who signed in, by their id.
    Member(String),
    /// The operator.
    Operator,
    /// The server itself: in the background, or finishing what a failure or a crash cut short.
    System,
    /// Somebody who didn't show who they are.
    Anonymous,
}

impl Actor {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::Member(_) => "member",
            Self::Operator => "operator",
            Self::System => "system",
            Self::Anonymous => "anonymous",
        }
    }

    pub(super) fn parse(kind: &str, id: Option<String>) -> Option<Self> {
        match (kind, id) {
            ("key", Some(id)) => Some(Self::Key(id)),
            ("member", Some(id)) => Some(Self::Member(id)),
            ("operator", None) => Some(Self::Operator),
            ("system", None) => Some(Self::System),
            ("anonymous", None) => Some(Self::Anonymous),
            _ => None,
        }
    }

    /// The id of the key.
    pub(crate) fn key_id(&self) -> Option<&str> {
        match self {
            Self::Key(id) => Some(id),
            _ => None,
        }
    }

    /// The id of the member.
    pub(crate) fn member_id(&self) -> Option<&str> {
        match self {
            Self::Member(id) => Some(id),
            _ => None,
        }
    }

    pub(crate) fn stored_id(&self) -> Option<&str> {
        self.key_id().or(self.member_id())
    }

    /// What answers show and a filter names: a key or member by its id, the others by their kind, which is shorter than any
    /// id.
    pub(crate) fn id(&self) -> &str {
        self.stored_id().unwrap_or_else(|| self.kind())
    }
}

/// Whose act it is, in which request, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct By {
    pub(crate) actor: Actor,
    pub(crate) request_id: Option<String>,
    /// The address that the connection came from: a proxy's, where there is one.
    pub(crate) peer: Option<String>,
    pub(crate) user_agent: Option<String>,
}

impl By {
    /// Nobody asked for it just now.
    pub(crate) fn system() -> Self {
        Self { actor: Actor::System, request_id: None, peer: None, user_agent: None }
    }

    /// The same request, told as another's: of somebody who has just shown who they are.
    pub(crate) fn with_actor(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }
}

macro_rules! actions {
    ($($name:ident $word:literal $resource:literal $meaning:literal,)*) => {
        /// What was done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Action {
            $(#[doc = $meaning] $name,)*
        }

        impl Action {
            pub(crate) fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What the act's id is the id of.
            pub(super) fn resource_type(self) -> &'static str {
                match self { $(Self::$name => $resource,)* }
            }
        }
    };
}

actions! {
    PartitionDrop "partition.drop" "partition" "A partition was dropped and shredded.",
    WorkspaceDrop "workspace.drop" "workspace" "A workspace was.",
    // Of a purge it is the partition: a document's own id would outlive it here.
    DocumentPurge "document.purge" "partition" "Documents of a partition were purged.",
    PartitionExport "partition.export" "partition" "A partition was read out as a bundle.",
    PartitionImport "partition.import" "partition" "A bundle was taken into a partition.",
    PartitionCopy "partition.copy" "partition" "A partition was copied to another.",
    SearchAcross "search.across" "workspace" "Several partitions were searched at once; how many is in `times`.",
    DocumentMove "document.move" "partition" "Documents were moved out of a partition, into another.",
    DocumentBackfill "document.backfill" "partition" "Entities of a partition's documents were set from their tags.",
    ThreadReaders "thread.readers" "partition" "Who may read a conversation of a partition was said anew.",
    PartitionDeclare "partition.declare" "partition" "A partition was declared.",
    PartitionChange "partition.change" "partition" "How long a partition, or what is put into it, is kept was changed.",
    PartitionHold "partition.hold" "partition" "A partition was put on hold: nothing of it may go.",
    PartitionRelease "partition.release" "partition" "A partition's hold was lifted.",
    PartitionRename "partition.rename" "partition" "A partition was given another id.",
    PartitionMerge "partition.merge" "partition" "A partition's documents were poured into another, or another's into this one.",
    PartitionTrash "partition.trash" "partition" "A partition was put into the trash.",
    PartitionRestore "partition.restore" "partition" "A partition was brought back from the trash.",
    WorkspaceChange "workspace.change" "workspace" "How a workspace's partitions are made and thrown away was changed.",
    WorkspaceCreate "workspace.create" "workspace" "A workspace was made.",
    KeyMint "key.mint" "api_key" "A key was minted.",
    KeyChange "key.change" "api_key" "A key was renamed, narrowed or given another end.",
    KeyRotate "key.rotate" "api_key" "A key was given a new secret.",
    KeyRevoke "key.revoke" "api_key" "A key was revoked.",
    CollectionCreate "collection.create" "collection" "A collection was made.",
    CollectionChange "collection.change" "collection" "A collection's settings were changed.",
    CollectionTruncate "collection.truncate" "collection" "All that was in a collection was shredded.",
    CollectionDrop "collection.drop" "collection" "A collection was deleted and shredded.",
    TenantCreate "tenant.create" "tenant" "A tenant was registered.",
    TenantChange "tenant.change" "tenant" "A tenant was renamed.",
    MemberCreate "member.create" "member" "A member was made, with a password set by whoever made them.",
    MemberChange "member.change" "member" "A member's role, name, email or password was changed.",
    MemberRemove "member.remove" "member" "A member was removed.",
    PasswordChange "member.password" "member" "A member changed their own password.",
    InvitationCreate "invitation.create" "invitation" "Somebody was invited.",
    InvitationRevoke "invitation.revoke" "invitation" "An invitation was taken back.",
    InvitationAccept "invitation.accept" "invitation" "An invitation was accepted.",
    SignIn "session.begin" "member" "A member signed in.",
    SignInFailed "session.refuse" "member" "Somebody failed to sign in.",
    SignOut "session.end" "member" "A member signed out, of one session or of all.",
    AuditExport "audit.export" "workspace" "The audit log was read as a whole.",
    // Of these the partition is told in clear, and the rest in a note that its key seals.
    DocumentRead "document.read" "partition" "Documents of a partition were read.",
    SearchHit "document.found" "partition" "A search of a partition found documents.",
    DocumentHidden "document.hide" "partition" "A document was asked for that its labels hide from who asked.",
    LabelBypass "document.bypass" "partition" "Labelled documents were read with the right to read them whatever their labels.",
    // The route is the resource.
    Denied "access.deny" "route" "A caller asked for more than it may, or with a key that is dead.",
}

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// It is done.
    Done,
    /// It is accepted for good, and done in the background.
    Accepted,
    /// It was refused, for this reason.
    Refused(&'static str),
}

impl Outcome {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Accepted => "accepted",
            Self::Refused(code) => code,
        }
    }
}

/// An act to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) workspace: WorkspaceId,
    pub(crate) by: By,
    pub(crate) action: Action,
    /// What it was done to: an id that this server made (a partition's is its incarnation), or a route.
    pub(crate) resource: Option<String>,
    /// The receipt that proves it.
    pub(crate) receipt: Option<[u8; 16]>,
    pub(crate) outcome: Outcome,
    /// How often, of what is counted and not told one by one.
    pub(crate) times: u64,
    /// What else is known, sealed under the key of the partition that it is of.
    pub(crate) note: Option<Vec<u8>>,
}

impl Entry {
    /// An act that is done.
    pub(crate) fn done(workspace: WorkspaceId, by: By, action: Action, resource: impl Into<String>) -> Self {
        Self {
            workspace,
            by,
            action,
            resource: Some(resource.into()),
            receipt: None,
            outcome: Outcome::Done,
            times: 1,
            note: None,
        }
    }

    /// An erasure that is done, and what proves it.
    pub(crate) fn erased(
        workspace: WorkspaceId,
        by: By,
        action: Action,
        incarnation: [u8; 16],
        receipt: [u8; 16],
    ) -> Self {
        Self { receipt: Some(receipt), ..Self::done(workspace, by, action, random::hex(&incarnation)) }
    }
}
