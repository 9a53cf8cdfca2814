//! What do the counts say of a partition, a collection, a key or a workspace?

use std::collections::BTreeMap;

use strongroom_engine::{PartitionName, WorkspaceId};

use super::{Usage, since};
use crate::auth::Place;
use crate::control::usage::{Asked, By, OfPartition, Stored, Tally};
use crate::message::error::ApiError;

/// What was done in a window of days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) total: Tally,
    /// By day, counted from 1970; days without anything are left out.
    pub(crate) by_day: BTreeMap<u32, Tally>,
}

impl Sums {
    fn of(by_day: BTreeMap<u32, Tally>) -> Self {
        let mut total = Tally::default();
        by_day.values().for_each(|tally| total.add(tally));
        Self { total, by_day }
    }
}

impl Usage {
    /// What was done in a partition in the last days, today included. Blocks, like all of these.
    pub(crate) fn of_partition(&self, place: &Place, window_days: u32) -> Result<Sums, ApiError> {
        self.sums_of(&self.of(place, since(window_days)))
    }

    /// The same of a partition that a listing names.
    pub(crate) fn of_named(
        &self,
        workspace: WorkspaceId,
        collection: &str,
        partition: Option<&PartitionName>,
        window_days: u32,
    ) -> Result<Sums, ApiError> {
        self.sums_of(&self.of_names(workspace, collection, partition, since(window_days)))
    }

    fn sums_of(&self, of: &OfPartition) -> Result<Sums, ApiError> {
        let _only = self.only();
        let mut by_day = self.control.usage_of_partition(of)?;
        self.pending.of_partition(of, |day, tally| {
            if day >= of.day {
                by_day.entry(day).or_default().add(tally);
            }
        });
        Ok(Sums::of(by_day))
    }

    /// The same of a collection.
    pub(crate) fn of_collection(
        &self,
        workspace: WorkspaceId,
        collection: &str,
        window_days: u32,
    ) -> Result<Sums, ApiError> {
        self.by_day(asked(workspace, window_days, Some(collection), None))
    }

    /// The same of a workspace.
    pub(crate) fn of_workspace(&self, workspace: WorkspaceId, window_days: u32) -> Result<Sums, ApiError> {
        self.by_day(asked(workspace, window_days, None, None))
    }

    /// The same of a key.
    pub(crate) fn of_key(
        &self,
        workspace: WorkspaceId,
        key: &str,
        window_days: u32,
    ) -> Result<Sums, ApiError> {
        self.by_day(asked(workspace, window_days, None, Some(key)))
    }

    fn by_day(&self, asked: Asked<'_>) -> Result<Sums, ApiError> {
        let days = self.keys(asked, By::Day)?;
        Ok(Sums::of(days.into_iter().filter_map(|(day, tally)| Some((day.parse().ok()?, tally))).collect()))
    }

    /// What was done in each collection.
    pub(crate) fn by_collection(
        &self,
        workspace: WorkspaceId,
        window_days: u32,
    ) -> Result<BTreeMap<String, Tally>, ApiError> {
        self.keys(asked(workspace, window_days, None, None), By::Collection)
    }

    /// What was done with each key; the empty one is the operator's. In one collection, or in all.
    pub(crate) fn by_key(
        &self,
        workspace: WorkspaceId,
        collection: Option<&str>,
        key: Option<&str>,
        window_days: u32,
    ) -> Result<BTreeMap<String, Tally>, ApiError> {
        self.keys(asked(workspace, window_days, collection, key), By::Key)
    }

    /// What a partition held at the end of the days on which that changed, and before them.
    pub(crate) fn history_of_partition(
        &self,
        place: &Place,
        window_days: u32,
    ) -> Result<BTreeMap<u32, Stored>, ApiError> {
        let of: OfPartition = self.of(place, since(window_days));
        Ok(self.control.stored_of_partition(&of)?)
    }

    /// The same of a collection.
    pub(crate) fn history_of_collection(
        &self,
        workspace: WorkspaceId,
        collection: &str,
        window_days: u32,
    ) -> Result<BTreeMap<u32, Stored>, ApiError> {
        Ok(self.control.stored_of_collection(workspace, collection, since(window_days))?)
    }
}

fn asked<'a>(
    workspace: WorkspaceId,
    window_days: u32,
    collection: Option<&'a str>,
    key: Option<&'a str>,
) -> Asked<'a> {
    Asked { workspace, since_day: since(window_days), collection, key }
}
