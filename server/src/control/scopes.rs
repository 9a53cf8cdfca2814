//! What may a key do?
//!
//! A key carries a set of scopes; each route of the table (`http/routes.rs`) asks for one of them.
//!
//! Invariants:
//! 1. `*` covers every scope, those of later versions included; a key without it gains nothing by an upgrade.
//!    `query:across` alone has to be granted by its name, to whomever; a holder of `*` may grant it.
//! 2. A name that isn't known is an error, so a typo never makes a key that looks narrower than it is.

use std::fmt;

/// One thing that a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Read a collection's settings.
    CollectionRead,
    /// Make and change collections.
    CollectionWrite,
    /// Insert and update documents.
    DocumentUpload,
    /// Read documents.
    DocumentRead,
    /// Delete and restore documents.
    DocumentDelete,
    /// Search.
    QueryRead,
    /// Search several partitions at once. Never part of another scope.
    QueryAcross,
    /// Insert vectors that the caller made.
    VectorWrite,
    /// Delete vectors by id.
    VectorDelete,
    /// List partitions.
    PartitionRead,
    /// Delete whole partitions.
    PartitionDelete,
    /// Mint, list, change and revoke keys.
    Keys,
    /// Invite, list, change and remove members.
    Members,
    /// Read the audit log.
    AuditRead,
    /// Read usage.
    UsageRead,
    /// Everything in the workspace.
    All,
}

const NAMES: [(Scope, &str); 16] = [
    (Scope::CollectionRead, "collection:read"),
    (Scope::CollectionWrite, "collection:write"),
    (Scope::DocumentUpload, "document:upload"),
    (Scope::DocumentRead, "document:read"),
    (Scope::DocumentDelete, "document:delete"),
    (Scope::QueryRead, "query:read"),
    (Scope::VectorWrite, "vector:write"),
    (Scope::VectorDelete, "vector:delete"),
    (Scope::PartitionRead, "partition:read"),
    (Scope::PartitionDelete, "partition:delete"),
    (Scope::Keys, "key:*"),
    (Scope::Members, "member:*"),
    (Scope::AuditRead, "audit:read"),
    (Scope::UsageRead, "usage:read"),
    (Scope::All, "*"),
    (Scope::QueryAcross, "query:across"),
];

impl Scope {
    /// The scope's name in keys and in answers.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(scope, _)| *scope == self).map_or("", |(_, name)| name)
    }

    fn bit(self) -> u16 {
        NAMES.iter().position(|(scope, _)| *scope == self).map_or(0, |at| 1 << at)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScopeSet(u16);

impl ScopeSet {
    /// `["*"]`, as an owner has it.
    pub(crate) fn all() -> Self {
        Self(Scope::All.bit())
    }

    /// What an administrator has: everything that there is today, and nothing of what an owner alone may do.
    pub(crate) fn every_named() -> Self {
        NAMES
            .iter()
            .filter(|(scope, _)| !matches!(scope, Scope::All | Scope::QueryAcross))
            .fold(Self(0), |set, (scope, _)| Self(set.0 | scope.bit()))
    }

    /// These.
    pub(crate) fn of(scopes: &[Scope]) -> Self {
        scopes.iter().fold(Self(0), |set, scope| Self(set.0 | scope.bit()))
    }

    /// Reads names. The error is the first that isn't a scope.
    pub(crate) fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        names.into_iter().try_fold(Self(0), |set, name| {
            let scope = NAMES.iter().find(|(_, known)| *known == name).ok_or_else(|| name.to_owned())?.0;
            Ok(Self(set.0 | scope.bit()))
        })
    }

    /// Every name there is, for an error's text.
    pub(crate) fn known() -> String {
        NAMES.map(|(_, name)| name).join(", ")
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a holder of this set may do that.
    pub(crate) fn allows(self, scope: Scope) -> bool {
        let all = if scope == Scope::QueryAcross { 0 } else { Scope::All.bit() };
        self.0 & (scope.bit() | all) != 0
    }

    /// Whether a holder of this set may do all that a holder of `other` may.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.allows(Scope::All) || self.0 & other.0 == other.0
    }

    pub(crate) fn names(self) -> Vec<&'static str> {
        NAMES.iter().filter(|(scope, _)| self.0 & scope.bit() != 0).map(|(_, name)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a key could mint one that may do more than itself.
    #[test]
    fn only_a_wider_set_covers() {
        let read = ScopeSet::parse(["document:read", "query:read"]).unwrap();
        let write = ScopeSet::parse(["document:read", "document:upload"]).unwrap();
        assert!(
            read.covers(read) && ScopeSet::all().covers(write) && ScopeSet::all().covers(ScopeSet::all())
        );
        assert!(!read.covers(write) && !write.covers(read) && !read.covers(ScopeSet::all()));
        let every = ScopeSet::every_named();
        let across = ScopeSet::of(&[Scope::QueryAcross]);
        assert!(!ScopeSet::all().allows(Scope::QueryAcross) && !every.allows(Scope::QueryAcross));
        assert!(ScopeSet::all().covers(across) && !every.covers(across), "an owner may grant it");
        assert!(!every.covers(ScopeSet::all()), "the sum of today's scopes is not those of tomorrow");
    }

    /// Lost otherwise: a key stored with its scopes would come back with others after a restart.
    #[test]
    fn names_survive_the_way_out_and_back() {
        for (scope, name) in NAMES {
            let set = ScopeSet::parse([name]).unwrap();
            assert!(set.allows(scope), "{name}");
            assert_eq!(ScopeSet::parse(set.names()).unwrap(), set);
            assert_eq!(set.allows(Scope::DocumentRead), matches!(scope, Scope::DocumentRead | Scope::All));
        }
        assert_eq!(ScopeSet::parse(["document:red"]), Err("document:red".to_owned()));
        assert_eq!(ScopeSet::parse(["Document:Read"]), Err("Document:Read".to_owned()));
    }
}
