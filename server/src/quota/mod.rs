//! Who may use how much?
//!
//! A request passes here twice. Before its handler runs: rates and queries a day ([`Admission`]). And where it writes or
//! embeds: documents, stored bytes and tokens ([`Quotas::room`], [`Quotas::tokens`]). All limits that apply must allow it: the
//! workspace's, the collection's, the partition's (its own, or what each partition may) and the key's.
//!
//! Invariants:
//! 1. A limit holds for all requests together, however many come at once.
//! 2. What was refused or failed has used nothing but its place in the rate, and the tokens that were embedded for it.
//! 3. Memory is bounded: meters stand for those alone who have a limit and came today, [`METERS_MAX`] of them at most.

mod admission;
mod book;
mod meters;
mod refusal;
mod room;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use strongroom_engine::{Store, WorkspaceId};

pub(crate) use admission::{Admission, Standing};
pub(crate) use room::Room;

use crate::auth::Place;
use crate::clock::{self, DAY_MS};
use crate::control::quotas::{Quota, Subject};
use crate::control::{Control, PartitionHash};
use crate::log;
use crate::message::error::ApiError;
use crate::usage::{Usage, today};
use book::{Book, Bound};
use meters::{METERS_MAX, Meters};
use refusal::{Limit, Refusal};
use room::{Over, Rooms, Want};

/// All quotas and how far they are used.
pub(crate) struct Quotas {
    control: Arc<Control>,
    usage: Arc<Usage>,
    book: RwLock<Book>,
    meters: Meters,
    rooms: Arc<Rooms>,
}

/// Milliseconds until the day ends, in UTC.
fn rest_of_day_ms() -> u64 {
    DAY_MS - clock::now_ms() % DAY_MS
}

impl Quotas {
    /// Reads the quotas, and from usage how far those of today are used.
    pub(crate) fn open(
        control: Arc<Control>,
        usage: Arc<Usage>,
        store: Arc<Store>,
    ) -> Result<Self, ApiError> {
        let book = Book::of(control.quotas()?);
        let rooms = Arc::new(Rooms::new(store));
        let quotas = Self { control, usage, book: RwLock::new(book), meters: Meters::new(METERS_MAX), rooms };
        quotas.learn(None)?;
        Ok(quotas)
    }

    fn book(&self) -> RwLockReadGuard<'_, Book> {
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The quota of this subject, if it has one.
    pub(crate) fn get(&self, subject: &Subject) -> Option<Quota> {
        self.book().get(subject)
    }

    /// The subjects of a workspace that have a quota.
    pub(crate) fn of_workspace(&self, workspace: WorkspaceId) -> Vec<(Subject, Quota)> {
        self.book().of_workspace(workspace)
    }

    /// Gives a subject a quota, or takes it with an empty one; what was done today counts. Durable before it holds. Blocks.
    pub(crate) fn set(&self, subject: &Subject, quota: &Quota) -> Result<(), ApiError> {
        self.control.set_quota(subject, quota)?;
        self.book.write().unwrap_or_else(PoisonError::into_inner).set(subject.clone(), *quota);
        // While nothing was limited nobody took down what was written.
        self.rooms.freed(subject.workspace());
        self.learn(Some(subject))
    }

    /// Has a partition's quota follow it to another name. The control plane's row has followed already.
    pub(crate) fn renamed(
        &self,
        workspace: WorkspaceId,
        collection: &str,
        old: PartitionHash,
        new: PartitionHash,
    ) {
        let subject = |hash| Subject::Partition(workspace, collection.into(), Some(hash));
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(quota) = book.get(&subject(old)) {
            book.set(subject(old), Quota::default());
            book.set(subject(new), quota);
        }
        drop(book);
        if let Err(error) = self.learn(Some(&subject(new))) {
            log::warn(&format!("what a renamed partition did today counts from zero: {}", error.text));
        }
    }

    /// Forgets what a workspace that is gone had.
    pub(crate) fn forget(&self, workspace: WorkspaceId) {
        self.book.write().unwrap_or_else(PoisonError::into_inner).forget(workspace);
    }

    /// Learns from usage what was done today by this subject, or by all, where that has a limit by the day.
    fn learn(&self, only: Option<&Subject>) -> Result<(), ApiError> {
        let by_day: Vec<Subject> = {
            let book = self.book();
            let all = book.all().filter(|(subject, _)| only.is_none_or(|only| only == *subject));
            all.filter(|(_, quota)| is_by_day(quota)).map(|(subject, _)| subject.clone()).collect()
        };
        let mut of_keys = HashMap::new();
        let mut for_partitions = false;
        for subject in by_day {
            let total = match &subject {
                Subject::Workspace(id) => self.usage.of_workspace(*id, 1)?.total,
                Subject::Collection(id, name) => self.usage.of_collection(*id, name, 1)?.total,
                Subject::Key(id, key) if only.is_some() => self.usage.of_key(*id, key, 1)?.total,
                Subject::Key(id, key) => {
                    // Of all keys of a workspace at once: there may be very many.
                    if !of_keys.contains_key(id) {
                        of_keys.insert(*id, self.usage.by_key(*id, None, None, 1)?);
                    }
                    of_keys[id].get(&**key).copied().unwrap_or_default()
                }
                Subject::Partition(..) | Subject::EachPartition(..) => {
                    for_partitions = true;
                    continue;
                }
            };
            self.meters.learn(&subject, today(), total.queries, total.embedding_tokens);
        }
        if for_partitions { self.learn_of_partitions(only.map(Subject::workspace)) } else { Ok(()) }
    }

    fn learn_of_partitions(&self, only: Option<WorkspaceId>) -> Result<(), ApiError> {
        let mut sums = HashMap::new();
        for (of, tally) in self.usage.partitions_today()? {
            if only.is_none_or(|only| only == of.workspace) {
                let subject = Subject::Partition(of.workspace, of.collection, of.partition);
                let (queries, tokens) = sums.entry(subject).or_insert((0, 0));
                *queries += tally.queries;
                *tokens += tally.embedding_tokens;
            }
        }
        for (subject, (queries, tokens)) in sums {
            if self.book().bound_of(&subject).is_some_and(|quota| is_by_day(&quota)) {
                self.meters.learn(&subject, today(), queries, tokens);
            }
        }
        Ok(())
    }

    /// The limits on what is done in a partition: all of them but the key's.
    fn bounds_of(&self, place: &Place) -> Vec<Bound> {
        let book = self.book();
        if !book.has(place.scope.workspace()) {
            return Vec::new();
        }
        let hash = self.usage.hash_of(place);
        book.bounds_of(place.scope.workspace(), &place.at.collection, hash)
    }

    /// The key's limit.
    fn bound_of_key(&self, workspace: WorkspaceId, key: Option<&str>) -> Option<Bound> {
        let (book, key) = (self.book(), key?);
        if !book.has(workspace) {
            return None;
        }
        let subject = Subject::Key(workspace, key.into());
        let quota = book.get(&subject)?;
        Some(Bound { subject, quota })
    }

    fn all_bounds(&self, place: &Place) -> Vec<Bound> {
        let mut bounds = self.bounds_of(place);
        bounds.extend(self.bound_of_key(place.scope.workspace(), place.key()));
        bounds
    }

    /// A request's passage, which has taken nothing yet.
    pub(crate) fn admission(self: &Arc<Self>) -> Arc<Admission> {
        Arc::new(Admission::new(self.clone()))
    }

    /// Takes so many tokens that are about to be embedded, or were, out of what the day has left.
    pub(crate) fn tokens(&self, place: &Place, tokens: u64) -> Result<(), ApiError> {
        let bounds = self.all_bounds(place);
        let limited = bounds.iter().filter_map(|bound| Some((bound, bound.quota.embedding_tokens_per_day?)));
        let limited: Vec<_> = limited.collect();
        for (at, (bound, limit)) in limited.iter().enumerate() {
            if let Err(used) = self.meters.take_tokens(&bound.subject, today(), tokens, *limit) {
                for (taken, _) in &limited[..at] {
                    self.meters.give_tokens_back(&taken.subject, today(), tokens);
                }
                let limit = Limit::by_day("embedding tokens a day", *limit, used);
                return Err(Refusal::new(&bound.subject, limit).error());
            }
        }
        Ok(())
    }

    /// Holds room for documents that are about to be written, of so many bytes as they came, until what it answers goes.
    /// Blocks while others who write at the same time may take the last room or leave it.
    pub(crate) fn room(&self, place: &Place, documents: u64, bytes: u64) -> Result<Room, ApiError> {
        self.rooms(&[(place, documents, bytes)])
    }

    /// The same for several partitions at once: for all of them or for none.
    pub(crate) fn rooms(&self, wanted: &[(&Place, u64, u64)]) -> Result<Room, ApiError> {
        let Some((first, ..)) = wanted.first() else { return Ok(Room::unbounded()) };
        let mut wants = Vec::with_capacity(wanted.len());
        for (place, documents, bytes) in wanted {
            let (bounds, today) = (self.all_bounds(place), today());
            let spent = bounds.iter().find_map(|bound| {
                let limit = bound.quota.embedding_tokens_per_day?;
                let used = self.meters.tokens(&bound.subject, today);
                (used >= limit)
                    .then(|| Limit::by_day("embedding tokens a day", limit, used))
                    .map(|limit| (bound, limit))
            });
            // What can't be embedded any more today needn't begin.
            if let Some((bound, limit)) = spent {
                return Err(Refusal::new(&bound.subject, limit).error());
            }
            let bounds = bounds.into_iter().filter(|bound| book::is_of_room(&bound.quota));
            let bounds =
                bounds.map(|bound| (self.over(&bound.subject), bound)).map(|(over, bound)| (bound, over));
            wants.push(Want { place, bounds: bounds.collect(), documents: *documents, bytes: *bytes });
        }
        if !self.book().has_rooms(first.scope.workspace()) {
            return Ok(Room::unbounded());
        }
        self.rooms.take(&wants)
    }

    /// What a subject's limits are counted over; a key's over all that it reaches.
    fn over(&self, subject: &Subject) -> Over {
        match subject {
            Subject::Workspace(_) => Over::Workspace,
            Subject::Collection(..) => Over::Collection,
            Subject::Partition(..) | Subject::EachPartition(..) => Over::Partition,
            Subject::Key(_, id) => match self.control.key(id) {
                Some(key) if key.partition.is_some() => Over::Partition,
                Some(key) if key.collection.is_some() => Over::Collection,
                _ => Over::Workspace,
            },
        }
    }

    /// Takes room in a partition alone, for documents that are in its collection already and come from another.
    pub(crate) fn room_within(&self, place: &Place, documents: u64, bytes: u64) -> Result<Room, ApiError> {
        let bounds = self.bounds_of(place).into_iter().filter(|bound| book::is_of_room(&bound.quota));
        let bounds = bounds.map(|bound| (self.over(&bound.subject), bound));
        let bounds: Vec<_> = bounds.filter(|(over, _)| *over == Over::Partition).collect();
        if bounds.is_empty() {
            return Ok(Room::unbounded());
        }
        let bounds = bounds.into_iter().map(|(over, bound)| (bound, over)).collect();
        self.rooms.take(&[Want { place, bounds, documents, bytes }])
    }

    /// Says that something was deleted: a limit that was reached may not be any more.
    pub(crate) fn freed(&self, place: &Place) {
        self.rooms.freed(place.scope.workspace());
    }
}

fn is_by_day(quota: &Quota) -> bool {
    quota.queries_per_day.is_some() || quota.embedding_tokens_per_day.is_some()
}

#[cfg(test)]
mod tests;
