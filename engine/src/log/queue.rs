//! What waits for its sync, and what becomes of it?
//!
//! Groups of records, each with the [`Ticket`] that its writer holds. The outcome lies in the ticket itself:
//! it is there for as long as somebody can ask, and no longer.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock};
use strongroom_format::limits::BATCH_RECORDS_MAX;
use strongroom_format::log::SealedRecord;
use strongroom_format::record::RecordKind;

/// A batch takes what is queued up to this many sealed bytes, and at least one enqueued group.
const BATCH_BYTES_MAX: usize = 32 << 20;

/// What a full medium means to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// It fails, and goes on when there is space.
    Write,
    /// It is given the reserve: deletes, purges and drops succeed on a full medium.
    Erasure,
}

/// What became of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Not yet durable.
    Pending,
    /// Durable.
    Committed,
    /// Never to be durable.
    Failed(LogError),
}

/// Why the log takes nothing, or failed what it had taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// No space: free some, and writes go on.
    #[error("no space is left for the log; free some and try again")]
    Full,
    /// The medium failed: reopen the store, which recovers what was acknowledged.
    #[error("the log's medium failed; reopen the store to go on")]
    Poisoned,
}

/// A place in the queue. Clones are the same place.
#[derive(Debug, Clone, Default)]
pub struct Ticket(Arc<OnceLock<Result<(), LogError>>>);

impl Ticket {
    /// Whether both are the same place.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self.0.get() {
            None => Outcome::Pending,
            Some(Ok(())) => Outcome::Committed,
            Some(Err(error)) => Outcome::Failed(*error),
        }
    }

    fn settle(&self, outcome: Result<(), LogError>) {
        assert!(self.0.set(outcome).is_ok(), "a ticket is settled once");
    }
}

/// Records that become durable together.
struct Group {
    ticket: Ticket,
    urgency: Urgency,
    records: Vec<SealedRecord>,
}

/// The groups that wait, in their order.
#[derive(Default)]
pub(super) struct Queue {
    groups: VecDeque<Group>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub(super) fn push(&mut self, records: Vec<SealedRecord>, urgency: Urgency) -> Ticket {
        let ticket = Ticket::default();
        self.groups.push_back(Group { ticket: ticket.clone(), urgency, records });
        ticket
    }

    /// Takes as many groups from the front as one batch holds.
    pub(super) fn take_batch(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        let mut bytes = 0;
        while let Some(next) = self.groups.front() {
            bytes += next.records.iter().map(|record| record.sealed.len()).sum::<usize>();
            let is_too_much =
                bytes > BATCH_BYTES_MAX || batch.records.len() + next.records.len() > BATCH_RECORDS_MAX;
            if is_too_much && !batch.members.is_empty() {
                break;
            }
            if let Some(Group { ticket, urgency, records }) = self.groups.pop_front() {
                batch.members.push(Member { ticket, urgency, records: records.len() });
                batch.records.extend(records);
            }
        }
        (!batch.members.is_empty()).then_some(batch)
    }

    /// Fails everything.
    pub(super) fn fail(&mut self, error: LogError) {
        for group in self.groups.drain(..) {
            group.ticket.settle(Err(error));
        }
    }

    /// For a batch that found no space: fails its writes and all that are queued. The erasures stay, in their
    /// order; but a change in a partition whose genesis fails here goes with it, for there is no partition.
    pub(super) fn fail_writes(&mut self, batch: Batch) {
        let groups: Vec<Group> = batch.into_groups().chain(self.groups.drain(..)).collect();
        let mut unborn = BTreeSet::new();
        for group in groups {
            let is_orphan = |record: &SealedRecord| {
                record.kind == RecordKind::Change && unborn.contains(&record.incarnation)
            };
            if group.urgency == Urgency::Erasure && !group.records.iter().any(is_orphan) {
                self.groups.push_back(group);
                continue;
            }
            let genesis = group.records.iter().filter(|record| record.kind == RecordKind::Genesis);
            unborn.extend(genesis.map(|record| record.incarnation));
            group.ticket.settle(Err(LogError::Full));
        }
    }
}

/// What is written and synced at once.
#[derive(Default)]
pub(super) struct Batch {
    /// The records of all its groups, in their order.
    pub(super) records: Vec<SealedRecord>,
    members: Vec<Member>,
}

/// A group whose records stand in the batch.
struct Member {
    ticket: Ticket,
    urgency: Urgency,
    records: usize,
}

impl Batch {
    /// Tells its writers.
    pub(super) fn settle(self, outcome: Result<(), LogError>) {
        for member in self.members {
            member.ticket.settle(outcome);
        }
    }

    fn into_groups(self) -> impl Iterator<Item = Group> {
        let mut records = self.records.into_iter();
        self.members.into_iter().map(move |Member { ticket, urgency, records: count }| Group {
            ticket,
            urgency,
            records: records.by_ref().take(count).collect(),
        })
    }
}
