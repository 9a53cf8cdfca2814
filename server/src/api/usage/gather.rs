//! Which figures go into an answer on usage?

use std::collections::{BTreeMap, BTreeSet};

use strongroom_engine::{PartitionName, Scope, WorkspaceId};
use time::{Date, OffsetDateTime};

use super::told::{Done, Feedback, Held, OfCollection, OfDay, OfKey, OfPartition, Partitions, Usage};
use crate::app::App;
use crate::auth::{Caller, DEFAULT_COLLECTION, Named, Place, counting};
use crate::control::usage::Stored;
use crate::message::error::ApiError;
use crate::usage::{Tally, since, today};

const SECONDS_A_DAY: i64 = 86_400;

/// What of a workspace the caller is told of.
pub(super) enum Part {
    Workspace,
    Collection(String),
    Partition(Place),
    /// A partition that isn't there.
    Nothing(String),
}

/// What is asked for.
pub(super) struct Wanted {
    pub(super) workspace: WorkspaceId,
    pub(super) window_days: u32,
    pub(super) limit: usize,
    pub(super) offset: usize,
    pub(super) part: Part,
    pub(super) own_key: Option<String>,
    pub(super) names_partitions: bool,
}

impl Part {
    pub(super) fn of(caller: &Caller) -> Result<Self, ApiError> {
        let pins = caller.pins();
        let collection = pins.collection.as_deref();
        let Some(pin) = &pins.partition else {
            return Ok(collection.map_or(Self::Workspace, |name| Self::Collection(name.to_owned())));
        };
        let collection = collection.unwrap_or(DEFAULT_COLLECTION);
        match pin.name.as_ref().map(PartitionName::as_str) {
            None => Ok(Self::Nothing(collection.to_owned())),
            name => {
                caller.place(Named { collection: Some(collection), partition: name }).map(Self::Partition)
            }
        }
    }
}

/// What was done and what is there.
#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    tally: Tally,
    stored: Stored,
}

impl Wanted {
    pub(super) fn answer(&self, app: &App) -> Result<Usage, ApiError> {
        let collections = self.collections(app)?;
        let (mut total, mut cost) = (Figures::default(), 0.0);
        let mut by_collection = Vec::with_capacity(collections.len());
        for (name, figures) in &collections {
            let price = app.control.collection(self.workspace, name);
            let price = price.and_then(|collection| app.embedding_prices.get(&collection.embedder).copied());
            let own_cost = figures.tally.embedding_tokens as f64 / 1e6 * price.unwrap_or(0.0);
            cost += own_cost;
            total.tally.add(&figures.tally);
            total.stored = total.stored.plus(figures.stored);
            by_collection.push(OfCollection {
                collection: name.clone(),
                done: Done::of(&figures.tally),
                held: Held::of(figures.stored),
                embedding_cost_usd_estimate: own_cost,
            });
        }
        let by_key = self.by_key(app)?;
        let by_key_total = by_key.len();
        Ok(Usage {
            window_days: self.window_days,
            queries_total: total.tally.queries,
            queries_per_day_avg: total.tally.queries as f64 / f64::from(self.window_days),
            documents_total: total.stored.documents,
            chunks_total: total.stored.passages,
            storage_bytes_total: total.stored.bytes,
            embedding_tokens_total: total.tally.embedding_tokens,
            embedding_cost_usd_estimate: cost,
            inserts_total: total.tally.inserts,
            deletes_total: total.tally.deletes,
            bytes_in_total: total.tally.bytes_in,
            feedback: Feedback::of(&total.tally),
            by_collection,
            by_day: self.by_day(app, total.stored)?,
            by_key: by_key.into_iter().skip(self.offset).take(self.limit).collect(),
            by_key_total,
            by_partition: self.by_partition(app)?,
            limit: self.limit,
            offset: self.offset,
        })
    }

    /// Each collection that the caller is told of; a deleted one as long as the window has something of it.
    fn collections(&self, app: &App) -> Result<BTreeMap<String, Figures>, ApiError> {
        let days = self.window_days;
        let one = |name: &str, tally, scope: Option<&Scope>| {
            let stored = scope.map_or(Ok(Stored::default()), |scope| app.usage.stored(scope))?;
            Ok(BTreeMap::from([(name.to_owned(), Figures { tally, stored })]))
        };
        match &self.part {
            Part::Nothing(collection) => one(collection, Tally::default(), None),
            Part::Partition(place) => {
                one(&place.at.collection, app.usage.of_partition(place, days)?.total, Some(&place.scope))
            }
            Part::Collection(name) => {
                let sums = app.usage.of_collection(self.workspace, name, days)?;
                one(name, sums.total, Some(&counting(self.workspace, Some(name))))
            }
            Part::Workspace => {
                let mut tallies = app.usage.by_collection(self.workspace, days)?;
                for name in app.control.collection_names(self.workspace)? {
                    tallies.entry(name).or_default();
                }
                let mut found = BTreeMap::new();
                for (name, tally) in tallies {
                    let stored = app.usage.stored(&counting(self.workspace, Some(&name)))?;
                    found.insert(name, Figures { tally, stored });
                }
                Ok(found)
            }
        }
    }

    /// Each day of the window, the first one first.
    fn by_day(&self, app: &App, now: Stored) -> Result<Vec<OfDay>, ApiError> {
        let (workspace, window) = (self.workspace, self.window_days);
        let (sums, histories) = match &self.part {
            Part::Nothing(_) => Default::default(),
            Part::Partition(place) => {
                let history = app.usage.history_of_partition(place, window)?;
                (app.usage.of_partition(place, window)?.by_day, vec![history])
            }
            Part::Collection(name) => {
                let history = app.usage.history_of_collection(workspace, name, window)?;
                (app.usage.of_collection(workspace, name, window)?.by_day, vec![history])
            }
            Part::Workspace => {
                let names = app.control.collection_names(workspace)?;
                let histories =
                    names.iter().map(|name| app.usage.history_of_collection(workspace, name, window));
                (app.usage.of_workspace(workspace, window)?.by_day, histories.collect::<Result<_, _>>()?)
            }
        };
        let days = (since(window)..=today()).map(|day| {
            // What was there at its end was there since the change before it; today's is asked of the engine.
            let last = |history: &BTreeMap<u32, Stored>| {
                history.range(..=day).next_back().map(|(_, stored)| *stored)
            };
            let known: Vec<_> = histories.iter().filter_map(last).collect();
            let then = known.iter().fold(Stored::default(), |sum, stored| sum.plus(*stored));
            let stored = if day == today() { Some(now) } else { (!known.is_empty()).then_some(then) };
            let done = Done::of(&sums.get(&day).copied().unwrap_or_default());
            OfDay { date: date(day), done, held: stored.map(Held::of) }
        });
        Ok(days.collect())
    }

    /// Each key that did something, or the caller's own when it is pinned. The operator has no id.
    fn by_key(&self, app: &App) -> Result<Vec<OfKey>, ApiError> {
        let tallies = match (&self.part, &self.own_key) {
            (Part::Workspace, _) => app.usage.by_key(self.workspace, None, None, self.window_days)?,
            (Part::Collection(name), Some(own)) => {
                app.usage.by_key(self.workspace, Some(name), Some(own), self.window_days)?
            }
            (Part::Partition(place), Some(own)) => {
                app.usage.by_key(self.workspace, Some(&place.at.collection), Some(own), self.window_days)?
            }
            _ => BTreeMap::new(),
        };
        let rows = tallies
            .into_iter()
            .map(|(key, tally)| OfKey { key_id: (!key.is_empty()).then_some(key), done: Done::of(&tally) });
        Ok(rows.collect())
    }

    /// A page of the partitions there are, by collection and id; nothing for those who may not list them.
    fn by_partition(&self, app: &App) -> Result<Option<Partitions>, ApiError> {
        if !self.names_partitions {
            return Ok(None);
        }
        let (names, scope) = match &self.part {
            Part::Nothing(_) => (BTreeSet::new(), None),
            Part::Partition(place) => {
                (BTreeSet::from([place.at.collection.clone()]), Some(place.scope.clone()))
            }
            Part::Collection(name) => (BTreeSet::from([name.clone()]), None),
            Part::Workspace => (app.control.collection_names(self.workspace)?.into_iter().collect(), None),
        };
        let (mut total, mut rows) = (0_usize, Vec::new());
        for name in &names {
            let scope = scope.clone().unwrap_or_else(|| counting(self.workspace, Some(name)));
            for info in app.store.all_partitions(&scope, name)? {
                total += 1;
                if total <= self.offset || rows.len() >= self.limit {
                    continue;
                }
                let sums = app.usage.of_named(self.workspace, name, info.name.as_ref(), self.window_days)?;
                let (documents, passages) = (info.counts.documents, info.counts.passages);
                let stored = Stored { documents, passages, bytes: info.stored_bytes };
                rows.push(OfPartition {
                    collection: name.clone(),
                    partition: info.name.as_ref().map(|name| name.as_str().to_owned()),
                    done: Done::of(&sums.total),
                    held: Held::of(stored),
                });
            }
        }
        Ok(Some(Partitions { partitions: rows, total, limit: self.limit, offset: self.offset }))
    }
}

/// A day as people write it.
fn date(day: u32) -> String {
    let time = OffsetDateTime::from_unix_timestamp(i64::from(day) * SECONDS_A_DAY);
    let date = time.map_or(Date::MIN, OffsetDateTime::date);
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}
