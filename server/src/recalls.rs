//! How many recalls were there this month?
//!
//! Counted for each workspace and for each of its tenants, in memory, from the first of the month on (UTC).
//!
//! Invariants:
//! 1. A recall is counted before it runs, in the same step in which the limit is looked at: no more than the limit pass,
//!    however many ask at once.
//! 2. What is kept of a workspace is bounded by its tenants.

use std::collections::HashMap;
use std::sync::Mutex;

use strongroom_engine::WorkspaceId;
use strongroom_engine::io::lock;

use crate::clock;

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Recalls(Mutex<Month>);

#[derive(Debug, Default)]
struct Month {
    begin_ms: u64,
    of: HashMap<WorkspaceId, Sums>,
}

#[derive(Debug, Default)]
struct Sums {
    all: u64,
    /// By tenant; `None` is the workspace itself.
    of: HashMap<Option<String>, u64>,
}

impl Recalls {
    /// Counts a recall, unless the workspace has had as many as it may; answers how many it has had, and whether this one
    /// is among them.
    pub(crate) fn admit(
        &self,
        workspace: WorkspaceId,
        tenant: Option<&str>,
        limit: Option<u64>,
        now_ms: u64,
    ) -> (u64, bool) {
        let mut month = lock(&self.0);
        month.turn(now_ms);
        let sums = month.of.entry(workspace).or_default();
        if limit.is_some_and(|limit| sums.all >= limit) {
            return (sums.all, false);
        }
        sums.all += 1;
        *sums.of.entry(tenant.map(str::to_owned)).or_default() += 1;
        (sums.all, true)
    }

    /// The recalls of a workspace, with all its tenants, this month.
    pub(crate) fn of_workspace(&self, workspace: WorkspaceId, now_ms: u64) -> u64 {
        let mut month = lock(&self.0);
        month.turn(now_ms);
        month.of.get(&workspace).map_or(0, |sums| sums.all)
    }

    /// The recalls of one tenant, or of the workspace itself, this month.
    pub(crate) fn of_tenant(&self, workspace: WorkspaceId, tenant: Option<&str>, now_ms: u64) -> u64 {
        let mut month = lock(&self.0);
        month.turn(now_ms);
        let sums = month.of.get(&workspace);
        sums.and_then(|sums| sums.of.get(&tenant.map(str::to_owned))).copied().unwrap_or_default()
    }

    /// Forgets which tenant it was that is gone; its recalls stay in the workspace's sum.
    pub(crate) fn forget(&self, workspace: WorkspaceId, tenant: &str) {
        if let Some(sums) = lock(&self.0).of.get_mut(&workspace) {
            sums.of.remove(&Some(tenant.to_owned()));
        }
    }
}

impl Month {
    fn turn(&mut self, now_ms: u64) {
        let (begin_ms, _) = clock::month_of(now_ms);
        // A clock that was set back doesn't bring a month back.
        if begin_ms > self.begin_ms {
            *self = Self { begin_ms, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000_000;

    /// Lost otherwise: a customer would pay for another's recalls, or be refused because of them.
    #[test]
    fn recalls_add_up_to_the_workspace_and_stop_at_the_limit() {
        let (recalls, one, two) = (Recalls::default(), WorkspaceId([1; 16]), WorkspaceId([2; 16]));
        for _ in 0..3 {
            assert!(recalls.admit(one, Some("a"), Some(5), NOW).1);
        }
        assert_eq!(recalls.admit(one, None, Some(5), NOW), (4, true));
        assert_eq!(recalls.admit(one, Some("b"), Some(5), NOW), (5, true));
        assert_eq!(recalls.admit(one, Some("b"), Some(5), NOW), (5, false));
        assert_eq!(recalls.admit(two, Some("a"), Some(5), NOW), (1, true));
        assert_eq!((recalls.of_workspace(one, NOW), recalls.of_tenant(one, Some("b"), NOW)), (5, 1));
        recalls.forget(one, "a");
        assert_eq!((recalls.of_workspace(one, NOW), recalls.of_tenant(one, Some("a"), NOW)), (5, 0));
        let (_, next) = clock::month_of(NOW);
        assert_eq!(recalls.of_workspace(one, next - 1), 5);
        assert_eq!(recalls.admit(one, Some("b"), Some(5), next), (1, true), "a new month");
    }
}
