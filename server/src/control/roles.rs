//! What may a member do?
//!
//! A role stands for a set of scopes, and the one rule of who may make, change or remove whom follows from it: a caller
//! may manage a role when the caller's own scopes cover it. So an administrator manages administrators and members but
//! no owner, and no key makes a member who may do more than itself.

use super::ControlError;
use super::scopes::{Scope, ScopeSet};

/// A member's part in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything in the workspace.
    Owner,
    /// Everything but what concerns owners, and keys that may do everything.
    Admin,
    /// Documents and searches: no keys, no members, no audit log.
    Member,
}

/// Every role, highest first.
pub(crate) const ROLES: [Role; 3] = [Role::Owner, Role::Admin, Role::Member];

/// What a plain member has.
const OF_MEMBERS: &[Scope] = &[
    Scope::CollectionRead,
    Scope::DocumentUpload,
    Scope::DocumentRead,
    Scope::DocumentDelete,
    Scope::QueryRead,
    Scope::PartitionRead,
];

impl Role {
    /// The role's name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }

    /// Reads a role's name.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        ROLES.into_iter().find(|role| role.word() == word)
    }

    pub(super) fn stored(word: &str) -> Result<Self, ControlError> {
        Self::parse(word).ok_or_else(|| ControlError::Corrupt(format!("a member's role is {word:?}")))
    }

    /// What whoever has the role may do.
    pub(crate) fn scopes(self) -> ScopeSet {
        match self {
            Self::Owner => ScopeSet::all(),
            Self::Admin => ScopeSet::every_named(),
            Self::Member => ScopeSet::of(OF_MEMBERS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: an administrator could make themselves an owner, or a member mint keys.
    #[test]
    fn each_role_covers_those_below_and_none_above() {
        for (at, role) in ROLES.into_iter().enumerate() {
            for (other_at, other) in ROLES.into_iter().enumerate() {
                assert_eq!(role.scopes().covers(other.scopes()), at <= other_at, "{role:?} over {other:?}");
            }
            assert_eq!(Role::parse(role.word()), Some(role));
        }
        for scope in
            [Scope::Keys, Scope::Members, Scope::AuditRead, Scope::PartitionDelete, Scope::CollectionWrite]
        {
            assert!(!Role::Member.scopes().allows(scope) && Role::Admin.scopes().allows(scope), "{scope}");
        }
        assert_eq!(Role::parse("Owner"), None);
    }
}
