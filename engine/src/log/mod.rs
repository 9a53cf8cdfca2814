//! How does a write become durable before it is acknowledged?
//!
//! One log for the whole node. A writer reserves record numbers, seals its records for the file they will
//! stand in, and enqueues them; whoever waits first becomes the leader, writes all that is queued as one
//! batch and syncs once for everybody (group commit). Format: `format-spec.md`, "Log".
//!
//! Invariants:
//! 1. A ticket is committed only after the batch that holds its records was written and synced.
//! 2. A record is sealed for the file it stands in: once a rotation begins, open reservations are void.
//! 3. A failed sync, or a failed append for any reason but a full medium, poisons the log: nothing is
//!    acknowledged by it any more, and no sync is tried again.
//! 4. What is committed is committed in the order of the queue. When the medium is full, every write that is
//!    queued fails, so that no write becomes durable on top of one that did not; and open reservations are
//!    void, for they may build on what failed. Erasures alone stay, in their order, and find their room in the
//!    reserve. An erasure may thus stand in the log without the write that was queued before it, and means the
//!    same with and without: a change of an unknown document changes nothing, a drop is a drop. (A change
//!    behind its own partition's failed genesis fails with it: there is no partition to change.) So whoever
//!    forgets failed records and applies committed ones, in the order of their numbers, has what a replay has.
//! 5. While the reserve is released the log is low and takes no writes: the room is for erasures alone.
//!
//! Concurrency: one lock over the queue, never held while the medium works; one leader at a time. A leader
//! that is done wakes all who wait: those whose tickets are settled leave, the first of the others leads at
//! once with all that was queued meanwhile. Every ticket has somebody who waits for it. The reserve's lock is
//! held while it changes hands, and through the erasures that it was released for; it is taken before the
//! queue's.

mod queue;
mod recovery;
#[cfg(all(test, feature = "sim"))]
mod tests;

pub use queue::{LogError, Outcome, Ticket, Urgency};
pub use recovery::Recovery;

#[cfg(any(test, feature = "sim"))]
use crate::io::sim::defects::{Defect, is_planted};
use crate::io::{Entropy, Fault, LogFile, LogStore, StorageError, StorageErrorKind, lock};
use queue::{Batch, Queue};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use strongroom_format::header::{FileHeader, FileKind};
use strongroom_format::log::{ALIGN, BatchPlace, Previous, SealedRecord, encode_batch, encode_start};

/// Where records are going to stand: what their sealing needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Reservation {
    /// The file's id, the salt of its subkeys.
    pub file_id: [u8; 16],
    /// The first record's number; the others follow.
    pub first_record: u64,
    era: u64,
}

/// The log of one run.
pub struct Log {
    store: Arc<dyn LogStore>,
    entropy: Arc<dyn Entropy>,
    state: Mutex<State>,
    settled: Condvar,
    /// Whoever holds or releases the store's reserve, or writes by its room.
    reserve: Mutex<()>,
}

struct State {
    file: LogFile,
    file_id: [u8; 16],
    /// No record in the file has a smaller number.
    floor_record: u64,
    /// The highest number in this run that a file was begun under, or was to be.
    last_number: u64,
    /// Where the next batch begins.
    end: u64,
    batch: u64,
    previous_crc32: u32,
    next_record: u64,
    queue: Queue,
    /// Reservations of an earlier one are void.
    era: u64,
    leading: bool,
    rotating: bool,
    low: bool,
    poisoned: bool,
}

impl Log {
    /// Begins the first file of a run, chained to the file that recovery ended with. On a full medium it finds
    /// its room in the reserve that a former run held, and is low.
    pub fn begin(
        store: Arc<dyn LogStore>,
        entropy: Arc<dyn Entropy>,
        run: u64,
        previous: Option<Previous>,
        next_record: u64,
    ) -> Result<Self, StorageError> {
        let mut file = LogFile { run, number: 0 };
        let mut started = start_file(&*store, &*entropy, file, previous, next_record);
        if started.as_ref().is_err_and(is_full) && store.release_reserve()? {
            file.number += 1;
            started = start_file(&*store, &*entropy, file, previous, next_record);
        }
        let (file_id, previous_crc32) = started?;
        let low = match store.hold_reserve() {
            Err(error) if is_full(&error) => true,
            held => held.map(|()| false)?,
        };
        let state = State {
            file,
            file_id,
            floor_record: next_record,
            last_number: file.number,
            end: ALIGN as u64,
            batch: 0,
            previous_crc32,
            next_record,
            queue: Queue::default(),
            era: 0,
            leading: false,
            rotating: false,
            low,
            poisoned: false,
        };
        let (state, settled, reserve) = (Mutex::new(state), Condvar::new(), Mutex::new(()));
        Ok(Self { store, entropy, state, settled, reserve })
    }

    /// Numbers for records that are about to be sealed. A low log takes writes again as soon as there is room
    /// for its reserve.
    pub fn reserve(&self, records: u64, urgency: Urgency) -> Result<Reservation, LogError> {
        let mut state = lock(&self.state);
        loop {
            if state.poisoned {
                return Err(LogError::Poisoned);
            } else if state.rotating {
                state = self.await_change(state);
            } else if state.low && urgency == Urgency::Write {
                drop(state);
                if !self.replenish() {
                    return Err(LogError::Full);
                }
                state = lock(&self.state);
            } else {
                break;
            }
        }
        let first_record = state.next_record;
        state.next_record += records;
        Ok(Reservation { file_id: state.file_id, first_record, era: state.era })
    }

    /// Queues records that were sealed for this reservation; `None` when it is void, because the file was
    /// closed or queued writes failed meanwhile: look again at what the records build on, and reserve again.
    pub fn enqueue(
        &self,
        at: &Reservation,
        records: Vec<SealedRecord>,
        urgency: Urgency,
    ) -> Result<Option<Ticket>, LogError> {
        let mut state = lock(&self.state);
        if state.poisoned {
            return Err(LogError::Poisoned);
        }
        if state.era != at.era {
            return Ok(None);
        }
        if state.low && urgency == Urgency::Write {
            return Err(LogError::Full);
        }
        Ok(Some(state.queue.push(records, urgency)))
    }

    /// What became of a ticket, without waiting.
    pub fn outcome(&self, ticket: &Ticket) -> Outcome {
        ticket.outcome()
    }

    /// Waits until the ticket is settled; leads when nobody does.
    pub fn wait(&self, ticket: &Ticket) -> Result<(), LogError> {
        let mut state = lock(&self.state);
        loop {
            match ticket.outcome() {
                Outcome::Committed => return Ok(()),
                Outcome::Failed(error) => return Err(error),
                Outcome::Pending => state = self.lead_or_wait(state),
            }
        }
    }

    /// Seals and queues one erasure that belongs to no partition's order, waits for its sync, and answers its
    /// number.
    pub fn commit(&self, seal: impl Fn(&Reservation) -> SealedRecord) -> Result<u64, LogError> {
        loop {
            let at = self.reserve(1, Urgency::Erasure)?;
            if let Some(ticket) = self.enqueue(&at, vec![seal(&at)], Urgency::Erasure)? {
                return self.wait(&ticket).map(|()| at.first_record);
            }
        }
    }

    /// Writes and syncs one batch of what is queued, or waits until whoever does so already is done.
    fn lead_or_wait<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.leading {
            return self.await_change(state);
        }
        let Some(batch) = state.queue.take_batch() else { return state };
        state.leading = true;
        let place = state.place();
        drop(state);
        let mut state = match self.write(place, &batch) {
            Err(LogError::Full) => self.write_erasures(place, batch),
            written => self.finish(batch, written),
        };
        state.leading = false;
        self.settled.notify_all();
        state
    }

    /// Goes on with the erasures of a batch that found no space, and of the queue, in the room of the reserve.
    fn write_erasures(&self, place: (LogFile, BatchPlace), batch: Batch) -> MutexGuard<'_, State> {
        let _alone = lock(&self.reserve);
        let mut state = lock(&self.state);
        state.era += 1;
        state.queue.fail_writes(batch);
        let Some(batch) = state.queue.take_batch() else { return state };
        state.low = true;
        drop(state);
        // Tried again whatever this answers: without the writes there may be room as it is.
        self.store.release_reserve().ok();
        let written = self.write(place, &batch);
        self.finish(batch, written)
    }

    fn write(&self, (file, place): (LogFile, BatchPlace), batch: &Batch) -> Result<Written, LogError> {
        let (bytes, crc32) = encode_batch(place, &batch.records);
        let end = place.offset + bytes.len() as u64;
        self.store.append(file, &bytes).map_err(|error| match error.kind {
            StorageErrorKind::Full => LogError::Full,
            _ => LogError::Poisoned,
        })?;
        #[cfg(any(test, feature = "sim"))]
        if is_planted(Defect::ForgottenSync) {
            return Ok(Written { end, crc32 });
        }
        match self.store.commit(file) {
            Ok(length) if length == end => Ok(Written { end, crc32 }),
            _ => Err(LogError::Poisoned),
        }
    }

    /// Settles a batch, and with a failed one all that was queued behind it.
    fn finish(&self, batch: Batch, written: Result<Written, LogError>) -> MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        match written {
            Ok(Written { end, crc32 }) => {
                state.end = end;
                state.batch += 1;
                state.previous_crc32 = crc32;
            }
            Err(error) => {
                state.poisoned |= error == LogError::Poisoned;
                state.era += 1;
                state.queue.fail(error);
            }
        }
        batch.settle(written.map(|_| ()));
        state
    }

    fn await_change<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.settled.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the file and begins the next. Everything queued before is settled; every later record stands in
    /// the file that is answered, or one after it. When there is no space for another file, the log goes on in
    /// the one it has.
    pub fn rotate(&self) -> Result<LogFile, Fault> {
        let mut state = lock(&self.state);
        while state.rotating {
            state = self.await_change(state);
        }
        // From here on nothing is reserved and nothing queued, so that the queue runs empty.
        state.rotating = true;
        state.era += 1;
        while state.leading || !state.queue.is_empty() {
            state = self.lead_or_wait(state);
        }
        let (mut state, rotated) = if state.poisoned {
            let error = poisoned(state.file);
            (state, Err(error))
        } else if state.batch == 0 {
            (state, Ok(()))
        } else {
            self.begin_next(state)
        };
        state.rotating = false;
        self.settled.notify_all();
        rotated.map(|()| state.file).map_err(Fault::Storage)
    }

    fn begin_next<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> (MutexGuard<'a, State>, Result<(), StorageError>) {
        let previous = Previous { run: state.file.run, number: state.file.number, end: state.end };
        // Each attempt has a name of its own: a failed one may have left half a file.
        state.last_number += 1;
        let file = LogFile { run: previous.run, number: state.last_number };
        let first_record = state.next_record;
        drop(state);
        let started = start_file(&*self.store, &*self.entropy, file, Some(previous), first_record);
        let mut state = lock(&self.state);
        let rotated = started.map(|(file_id, previous_crc32)| {
            state.file = file;
            state.file_id = file_id;
            state.floor_record = first_record;
            state.end = ALIGN as u64;
            state.batch = 0;
            state.previous_crc32 = previous_crc32;
        });
        // What is left of a start that found no space is never whole, so recovery passes over it. Any other
        // may be, and would then say that the file before it ends here.
        state.poisoned |= rotated.as_ref().is_err_and(|error| !is_full(error));
        (state, rotated)
    }

    /// Deletes the files before this one: what they hold has reached the manifest.
    pub fn truncate(&self, before: LogFile) -> Result<(), Fault> {
        Ok(self.store.truncate(before)?)
    }

    /// Whether a sync failed, so that nothing more is acknowledged.
    pub fn is_poisoned(&self) -> bool {
        lock(&self.state).poisoned
    }

    /// Whether the reserve is released, so that writes are refused.
    pub fn is_low(&self) -> bool {
        lock(&self.state).low
    }

    /// Holds the reserve again if the log is low and there is room; answers whether it is held.
    pub fn replenish(&self) -> bool {
        let _alone = lock(&self.reserve);
        if self.is_low() && self.store.hold_reserve().is_ok() {
            lock(&self.state).low = false;
        }
        !self.is_low()
    }

    /// Gives the reserve back for an erasure that found no room; `false` when there was none left.
    pub fn make_room(&self) -> bool {
        let _alone = lock(&self.reserve);
        lock(&self.state).low = true;
        self.store.release_reserve().unwrap_or(false)
    }

    /// Takes nothing more: what may be on the medium contradicts what would be acknowledged.
    pub fn poison(&self) {
        lock(&self.state).poisoned = true;
    }

    /// No record so far has this number or a higher one.
    pub fn next_record(&self) -> u64 {
        lock(&self.state).next_record
    }

    /// No record in the file that is being written has a smaller number.
    pub fn floor_record(&self) -> u64 {
        lock(&self.state).floor_record
    }

    /// Which life of the process this is.
    pub fn run(&self) -> u64 {
        lock(&self.state).file.run
    }

    /// Bytes of the file that is being written.
    pub fn file_bytes(&self) -> u64 {
        lock(&self.state).end
    }
}

/// What a batch left behind in its file.
#[derive(Clone, Copy)]
struct Written {
    end: u64,
    crc32: u32,
}

impl State {
    /// Where the next batch stands.
    fn place(&self) -> (LogFile, BatchPlace) {
        let place = BatchPlace {
            file_tag: file_tag(&self.file_id),
            batch: self.batch,
            previous_crc32: self.previous_crc32,
            offset: self.end,
        };
        (self.file, place)
    }
}

/// Answers the file's id, and what its first batch names. `Full` means that no whole start is left.
fn start_file(
    store: &dyn LogStore,
    entropy: &dyn Entropy,
    file: LogFile,
    previous: Option<Previous>,
    first_record: u64,
) -> Result<([u8; 16], u32), StorageError> {
    let mut file_id = [0; 16];
    entropy.fill(&mut file_id);
    let header = FileHeader::new(FileKind::Log, file_id, file.run, file.number);
    let (bytes, crc32) = encode_start(&header, previous, first_record);
    store.begin(file)?;
    store.append(file, &bytes)?;
    // A sync that fails for want of space has failed like any other: nobody knows what the medium holds.
    store.commit(file).map_err(|error| {
        let kind = StorageErrorKind::Other(error.kind.to_string());
        StorageError { kind, ..error }
    })?;
    Ok((file_id, crc32))
}

fn is_full(error: &StorageError) -> bool {
    error.kind == StorageErrorKind::Full
}

fn file_tag(file_id: &[u8; 16]) -> [u8; 8] {
    let mut tag = [0; 8];
    tag.copy_from_slice(&file_id[..8]);
    tag
}

fn poisoned(file: LogFile) -> StorageError {
    StorageError {
        what: "rotate",
        name: file.to_string(),
        kind: StorageErrorKind::Other("the log's medium failed before".to_owned()),
    }
}
