//! What may a caller reach?
//!
//! A [`Scope`] is made by authentication alone and asked for by every call of the store, so there is no call
//! without one: reaching a partition that a key doesn't cover can't be written by forgetting a check.

use crate::filter::ActingAs;
use crate::partition::{Core, Partition, Witness};
use std::fmt;
use std::sync::Arc;

/// A workspace: 16 random bytes, shown as lower-case hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkspaceId(pub [u8; 16]);

impl fmt::Display for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// What a caller may reach in one workspace.
#[derive(Debug, Clone)]
pub struct Scope {
    workspace: WorkspaceId,
    reach: Reach,
    acting: ActingAs,
    witness: Option<Arc<Witness>>,
    finds_only: bool,
}

/// Two scopes are the same when they let the same be done, before the same witness.
impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        let Self { workspace, reach, acting, witness, finds_only } = self;
        let same_witness = match (witness, &other.witness) {
            (None, None) => true,
            (Some(own), Some(others)) => Arc::ptr_eq(own, others),
            _ => false,
        };
        let same_right =
            (workspace, reach, finds_only) == (&other.workspace, &other.reach, &other.finds_only);
        same_right && *acting == other.acting && same_witness
    }
}

/// How far a scope goes inside its workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Everything in it.
    Workspace,
    /// One collection.
    Collection(String),
    /// One partition.
    Partition(PartitionRef),
}

impl Scope {
    /// Grants a reach, on nobody's behalf: documents that name their readers are not seen. For authentication alone: a test
    /// refuses every other caller.
    pub fn grant(workspace: WorkspaceId, reach: Reach) -> Self {
        Self { workspace, reach, acting: ActingAs::default(), witness: None, finds_only: false }
    }

    /// What the engine itself reaches of its own: one partition that no host can name.
    pub(super) fn of_the_engine(workspace: WorkspaceId, own: PartitionRef) -> Self {
        let (reach, acting) = (Reach::Partition(own), ActingAs::default());
        Self { workspace, reach, acting, witness: None, finds_only: false }
    }

    /// The same reach, of what is there: a write makes no partition.
    #[must_use]
    pub fn finding_only(self) -> Self {
        Self { finds_only: true, ..self }
    }

    /// Whether a write makes the partition that it names.
    pub(super) fn makes_partitions(&self) -> bool {
        !self.finds_only
    }

    /// The same reach, on this behalf.
    #[must_use]
    pub fn acting_as(self, acting: ActingAs) -> Self {
        Self { acting, ..self }
    }

    /// The same, with a witness of what is opened for it.
    #[must_use]
    pub fn before(self, witness: Option<Arc<Witness>>) -> Self {
        Self { witness, ..self }
    }

    /// Who is told what is opened, if anybody.
    pub(super) fn witness(&self) -> Option<&Witness> {
        self.witness.as_deref()
    }

    /// A handle on this partition, for whoever has the scope.
    pub(super) fn handle(&self, core: Arc<Core>) -> Partition {
        Partition::new(core, self.acting.clone(), self.witness.clone())
    }

    /// On whose behalf.
    pub(super) fn acting(&self) -> &ActingAs {
        &self.acting
    }

    /// The workspace that it is for.
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// How far it goes in there.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Whether it goes as far as this partition.
    pub fn covers(&self, at: &PartitionRef) -> bool {
        self.covers_named(&at.collection, &at.partition)
    }

    /// The same, of a partition that is told by its two names.
    pub(super) fn covers_named(&self, collection: &str, partition: &Option<PartitionName>) -> bool {
        match &self.reach {
            Reach::Workspace => true,
            Reach::Collection(covered) => covered == collection,
            Reach::Partition(covered) => covered.collection == collection && covered.partition == *partition,
        }
    }

    /// Whether it goes as far as anything of this collection.
    pub(super) fn touches(&self, collection: &str) -> bool {
        match &self.reach {
            Reach::Workspace => true,
            Reach::Collection(covered) => covered == collection,
            Reach::Partition(covered) => covered.collection == collection,
        }
    }

    /// The one partition that it goes as far as, if it is for one.
    pub(super) fn partition(&self) -> Option<&PartitionRef> {
        match &self.reach {
            Reach::Partition(covered) => Some(covered),
            Reach::Workspace | Reach::Collection(_) => None,
        }
    }

    /// Whether it goes as far as everything in its workspace.
    pub fn covers_workspace(&self) -> bool {
        self.reach == Reach::Workspace
    }
}

/// May make and drop workspaces, and see what the node holds in all.
#[derive(Debug, Clone)]
pub struct OperatorScope(());

impl OperatorScope {
    /// Grants it. For authentication alone: a test refuses every other caller.
    pub fn grant() -> Self {
        Self(())
    }
}

/// A partition's name: 1 to 256 characters, not all white space, not `.` or `..`; compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionName(Box<str>);

/// Why a text is no partition's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(&'static str);

impl PartitionName {
    /// Checks a name.
    ///
    /// ```
    /// use strongroom_engine::PartitionName;
    /// assert!(PartitionName::new("../../x").is_ok(), "names are never paths");
    /// assert!(PartitionName::new("..").is_err(), "no URL can carry it");
    /// ```
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.trim().is_empty() {
            return Err(NameError("a partition id must hold something other than white space"));
        }
        if name == "." || name == ".." {
            return Err(NameError("a partition id must not be '.' or '..': no URL can carry those"));
        }
        if name.chars().count() > strongroom_format::limits::PARTITION_NAME_CHARS_MAX {
            return Err(NameError("a partition id has at most 256 characters"));
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which partition of which collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartitionRef {
    /// The collection's name; `default` is there in each workspace.
    pub collection: String,
    /// The partition's; `None` for the default partition.
    pub partition: Option<PartitionName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(collection: &str, partition: Option<&str>) -> PartitionRef {
        let partition = partition.map(|name| PartitionName::new(name).expect("a good name"));
        PartitionRef { collection: collection.to_owned(), partition }
    }

    /// Without this, a pinned key would reach its neighbours.
    #[test]
    fn a_scope_covers_what_it_names_and_no_more() {
        let workspace = WorkspaceId([1; 16]);
        let all = Scope::grant(workspace, Reach::Workspace);
        let collection = Scope::grant(workspace, Reach::Collection("a".to_owned()));
        let partition = Scope::grant(workspace, Reach::Partition(at("a", Some("x"))));
        let reaches = |at: &PartitionRef| [all.covers(at), collection.covers(at), partition.covers(at)];
        assert_eq!(reaches(&at("a", Some("x"))), [true, true, true]);
        assert_eq!(reaches(&at("a", Some("x "))), [true, true, false]);
        assert_eq!(reaches(&at("a", None)), [true, true, false]);
        assert_eq!(reaches(&at("b", Some("x"))), [true, false, false]);
        let part = |name| [&all, &collection, &partition].map(|scope| scope.touches(name));
        assert_eq!((part("a"), part("b")), ([true, true, true], [true, false, false]));
    }

    /// Without this, an id that no URL can carry would be stored and never be reached again.
    #[test]
    fn names_are_any_text_but_a_few() {
        let long = "é".repeat(256);
        for good in ["a", " a", "a/b", "../../x", "%2e", "\0", "🦀", "...", &long] {
            assert!(PartitionName::new(good).is_ok(), "{good:?}");
        }
        for bad in ["", " ", "\t\n\u{2003}", ".", "..", &format!("{long}x")] {
            assert!(PartitionName::new(bad).is_err(), "{bad:?}");
        }
    }
}
