//! Which quotas are there, and which of them apply?

use std::collections::HashMap;
use std::sync::Arc;

use strongroom_engine::WorkspaceId;

use crate::control::PartitionHash;
use crate::control::quotas::{Quota, Subject};

/// A limit that applies, and on whom.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bound {
    pub(super) subject: Subject,
    pub(super) quota: Quota,
}

/// All quotas.
#[derive(Debug, Default)]
pub(super) struct Book {
    quotas: HashMap<Subject, Quota>,
    /// How many quotas a workspace has, and how many of them limit what is stored.
    workspaces: HashMap<WorkspaceId, (usize, usize)>,
}

impl Book {
    pub(super) fn of(quotas: Vec<(Subject, Quota)>) -> Self {
        let mut book = Self::default();
        quotas.into_iter().for_each(|(subject, quota)| book.set(subject, quota));
        book
    }

    pub(super) fn get(&self, subject: &Subject) -> Option<Quota> {
        self.quotas.get(subject).copied()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&Subject, &Quota)> {
        self.quotas.iter()
    }

    pub(super) fn of_workspace(&self, workspace: WorkspaceId) -> Vec<(Subject, Quota)> {
        let own = self.all().filter(|(subject, _)| subject.workspace() == workspace);
        own.map(|(subject, quota)| (subject.clone(), *quota)).collect()
    }

    pub(super) fn set(&mut self, subject: Subject, quota: Quota) {
        let workspace = subject.workspace();
        let old =
            if quota.is_empty() { self.quotas.remove(&subject) } else { self.quotas.insert(subject, quota) };
        let counts = self.workspaces.entry(workspace).or_default();
        if let Some(old) = old {
            *counts = (counts.0 - 1, counts.1 - usize::from(is_of_room(&old)));
        }
        if !quota.is_empty() {
            *counts = (counts.0 + 1, counts.1 + usize::from(is_of_room(&quota)));
        }
        if *counts == (0, 0) {
            self.workspaces.remove(&workspace);
        }
    }

    pub(super) fn forget(&mut self, workspace: WorkspaceId) {
        self.quotas.retain(|subject, _| subject.workspace() != workspace);
        self.workspaces.remove(&workspace);
    }

    /// Whether anything is limited in this workspace.
    pub(super) fn has(&self, workspace: WorkspaceId) -> bool {
        self.workspaces.contains_key(&workspace)
    }

    /// Whether it is limited there how much is stored.
    pub(super) fn has_rooms(&self, workspace: WorkspaceId) -> bool {
        self.workspaces.get(&workspace).is_some_and(|(_, rooms)| *rooms > 0)
    }

    /// What this partition may use: of its own quota, and where that says nothing of what each partition may.
    pub(super) fn bound_of(&self, partition: &Subject) -> Option<Quota> {
        let Subject::Partition(workspace, collection, _) = partition else { return self.get(partition) };
        let each = |collection: Option<Arc<str>>| self.get(&Subject::EachPartition(*workspace, collection));
        let told = [self.get(partition), each(Some(collection.clone())), each(None)];
        let mut bound = Quota::default();
        for quota in told.into_iter().flatten() {
            // Rate and burst go together.
            if bound.requests_per_second.is_none() {
                (bound.requests_per_second, bound.burst) = (quota.requests_per_second, quota.burst);
            }
            bound.queries_per_day = bound.queries_per_day.or(quota.queries_per_day);
            bound.documents = bound.documents.or(quota.documents);
            bound.stored_bytes = bound.stored_bytes.or(quota.stored_bytes);
            bound.embedding_tokens_per_day =
                bound.embedding_tokens_per_day.or(quota.embedding_tokens_per_day);
        }
        (!bound.is_empty()).then_some(bound)
    }

    /// All limits on what is done in a partition, the widest first.
    pub(super) fn bounds_of(
        &self,
        workspace: WorkspaceId,
        collection: &str,
        partition: Option<PartitionHash>,
    ) -> Vec<Bound> {
        let collection: Arc<str> = collection.into();
        let subjects = [
            Subject::Workspace(workspace),
            Subject::Collection(workspace, collection.clone()),
            Subject::Partition(workspace, collection, partition),
        ];
        let bounds = subjects.into_iter();
        bounds.filter_map(|subject| self.bound_of(&subject).map(|quota| Bound { subject, quota })).collect()
    }
}

/// Whether it limits what is stored.
pub(super) fn is_of_room(quota: &Quota) -> bool {
    quota.documents.is_some() || quota.stored_bytes.is_some()
}
