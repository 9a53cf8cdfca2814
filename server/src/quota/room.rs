//! Is there room for one more?
//!
//! How much is stored only the engine knows. A write holds its room from before it begins until it is done, so what counts is
//! what the engine has and what is on the way to it. A write that is counted twice for a moment (written, and its room not
//! given back yet) could have another refused that has a place: that one waits until it is clear.
//!
//! Invariants:
//! 1. What the engine holds and what is on the way to it never exceed a limit together, by documents; bytes are those of
//!    documents as they come, and what the engine adds to them (vectors, indexes) is seen when it is there.
//! 2. Whoever waits holds nothing.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use strongroom_engine::{Scope, Store, WorkspaceId};

use super::book::Bound;
use super::refusal::{Limit, Refusal};
use crate::auth::{Place, counting};
use crate::message::error::ApiError;

/// Collections and workspaces that were found full are looked at again after this, or after a deletion: it takes a look at each
/// of their partitions.
const FULL_FOR: Duration = Duration::from_secs(1);
/// How long a write waits for others to be done.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What limits are counted over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Reach {
    Workspace(WorkspaceId),
    Collection(WorkspaceId, String),
    Partition(WorkspaceId, String, Option<String>),
}

/// Documents and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amount {
    documents: u64,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Held {
    on_the_way: Amount,
    /// What the engine had when it was asked last, and has been given since.
    known: Option<Amount>,
    full_since: Option<Instant>,
}

/// What is on the way.
pub(super) struct Rooms {
    store: Arc<Store>,
    held: Mutex<HashMap<Reach, Held>>,
    done: Condvar,
}

/// Room that is held until this goes.
pub(crate) struct Room(Option<(Arc<Rooms>, Vec<Part>)>);

/// What is wanted, or held, of one reach.
struct Part {
    reach: Reach,
    scope: Scope,
    amount: Amount,
}

impl Room {
    /// Where nothing is limited.
    pub(super) fn unbounded() -> Self {
        Self(None)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let Some((rooms, parts)) = self.0.take() else { return };
        let mut held = rooms.lock();
        for Part { reach, amount, .. } in parts {
            let Some(entry) = held.get_mut(&reach) else { continue };
            entry.on_the_way = entry.on_the_way.minus(amount);
            // Taken to be written; one that failed is found out when the limit seems reached.
            entry.known = entry.known.map(|known| known.plus(amount));
            let is_cheap = matches!(reach, Reach::Partition(..));
            if is_cheap && entry.on_the_way == Amount::default() {
                held.remove(&reach);
            }
        }
        drop(held);
        rooms.done.notify_all();
    }
}

impl Amount {
    fn plus(self, other: Self) -> Self {
        let documents = self.documents.saturating_add(other.documents);
        Self { documents, bytes: self.bytes.saturating_add(other.bytes) }
    }

    fn minus(self, other: Self) -> Self {
        let documents = self.documents.saturating_sub(other.documents);
        Self { documents, bytes: self.bytes.saturating_sub(other.bytes) }
    }

    /// What of these limits it is beyond, and how much of it there is.
    fn beyond(self, bound: &Bound) -> Option<(&'static str, u64)> {
        let quota = &bound.quota;
        let documents = quota.documents.filter(|most| self.documents > *most);
        let bytes = quota.stored_bytes.filter(|most| self.bytes > *most);
        documents.map(|most| ("documents", most)).or_else(|| bytes.map(|most| ("stored bytes", most)))
    }
}

/// What a limit is counted over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Workspace = 0,
    Collection = 1,
    Partition = 2,
}

/// What is about to be written into a partition, and the limits that apply.
pub(super) struct Want<'a> {
    pub(super) place: &'a Place,
    pub(super) bounds: Vec<(Bound, Over)>,
    pub(super) documents: u64,
    pub(super) bytes: u64,
}

impl Want<'_> {
    fn amount(&self) -> Amount {
        Amount { documents: self.documents, bytes: self.bytes }
    }
}

/// The parts of the store that a partition is in, in the order of [`Over`].
fn reaches(place: &Place) -> [(Reach, Scope); 3] {
    let (workspace, name) = (place.scope.workspace(), &place.at.collection);
    [
        (Reach::Workspace(workspace), counting(workspace, None)),
        (Reach::Collection(workspace, name.clone()), counting(workspace, Some(name))),
        (
            Reach::Partition(workspace, name.clone(), place.partition().map(str::to_owned)),
            place.scope.clone(),
        ),
    ]
}

/// How a limit is judged.
enum Verdict {
    Fits,
    /// When those who write now are done it will be clear.
    Unclear,
    Full(Amount),
}

impl Rooms {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store, held: Mutex::default(), done: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Reach, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for all that is wanted or none of it, waiting for what is unclear.
    pub(super) fn take(self: &Arc<Self>, wants: &[Want<'_>]) -> Result<Room, ApiError> {
        let (mut parts, mut limits) = (Vec::<Part>::new(), Vec::new());
        for want in wants {
            let at = reaches(want.place).map(|(reach, scope)| {
                let at = parts.iter().position(|part| part.reach == reach).unwrap_or_else(|| {
                    parts.push(Part { reach, scope, amount: Amount::default() });
                    parts.len() - 1
                });
                parts[at].amount = parts[at].amount.plus(want.amount());
                at
            });
            limits.extend(want.bounds.iter().map(|(bound, over)| (bound, at[*over as usize])));
        }
        let give_up = Instant::now() + WAIT_MAX;
        let mut held = self.lock();
        'again: loop {
            for (bound, at) in &limits {
                let part = &parts[*at];
                match self.judge(&mut held, bound, part)? {
                    Verdict::Fits => {}
                    Verdict::Unclear => {
                        let rest = give_up.saturating_duration_since(Instant::now());
                        if rest.is_zero() {
                            let text = "other writes that may take the last room are not done; try again";
                            return Err(ApiError::busy("overloaded", text, 1));
                        }
                        held = self.done.wait_timeout(held, rest).unwrap_or_else(PoisonError::into_inner).0;
                        continue 'again;
                    }
                    Verdict::Full(found) => {
                        let (what, most) = found.plus(part.amount).beyond(bound).unwrap_or(("documents", 0));
                        let used = if what == "documents" { found.documents } else { found.bytes };
                        return Err(Refusal::new(&bound.subject, Limit::stored(what, most, used)).error());
                    }
                }
            }
            break;
        }
        for part in &parts {
            let entry = held.entry(part.reach.clone()).or_default();
            entry.on_the_way = entry.on_the_way.plus(part.amount);
        }
        drop(held);
        Ok(Room(Some((self.clone(), parts))))
    }

    fn judge(
        &self,
        held: &mut HashMap<Reach, Held>,
        bound: &Bound,
        part: &Part,
    ) -> Result<Verdict, ApiError> {
        let Part { reach, scope, amount } = part;
        let entry = held.get(reach);
        let on_the_way = entry.map(|entry| entry.on_the_way).unwrap_or_default();
        let known = entry.and_then(|entry| entry.known);
        let fits = |has: Amount| has.plus(on_the_way).plus(*amount).beyond(bound).is_none();
        if known.is_some_and(fits) {
            return Ok(Verdict::Fits);
        }
        let is_full = |has: Amount| has.plus(*amount).beyond(bound).is_some();
        let full_since = entry.and_then(|entry| entry.full_since);
        if let (Some(known), Some(since)) = (known, full_since)
            && since.elapsed() < FULL_FOR
            && is_full(known)
        {
            return Ok(Verdict::Full(known));
        }
        let totals = self.store.totals(scope)?;
        let has = Amount { documents: totals.counts.documents, bytes: totals.stored_bytes };
        let verdict = match (fits(has), is_full(has)) {
            (true, _) => Verdict::Fits,
            (false, true) => Verdict::Full(has),
            (false, false) => Verdict::Unclear,
        };
        if !matches!(reach, Reach::Partition(..)) {
            let entry = held.entry(reach.clone()).or_default();
            // While something is on the way what was counted may hold a part of it: good enough to be too much, and asked
            // again before anyone is refused.
            entry.known = Some(has);
            entry.full_since = matches!(verdict, Verdict::Full(_)).then(Instant::now);
        }
        Ok(verdict)
    }

    /// Something was deleted: who is full is asked again.
    pub(super) fn freed(&self, workspace: WorkspaceId) {
        for (reach, entry) in self.lock().iter_mut() {
            let (Reach::Workspace(id) | Reach::Collection(id, _) | Reach::Partition(id, ..)) = reach;
            if *id == workspace {
                (entry.known, entry.full_since) = (None, None);
            }
        }
        self.done.notify_all();
    }
}
