//! How does a write become durable before it is acknowledged?
//!
//! One log for the whole node. A writer reserves record numbers, seals its records for the file they will
//! stand in, and enqueues them; whoever waits first becomes the leader, writes all that is queued as one
//! batch and syncs once for everybody (group commit). Format: `format-spec.md`, "Log".
//!
//! Invariants:
//! 1. A ticket is committed only after the batch that holds its records was written and synced.
//! 2. A record is sealed for the file it stands in: after a rotation a reservation is void.
//! 3. A failed sync, or a failed append for any reason but a full medium, poisons the log: nothing is
//!    acknowledged by it any more, and no sync is tried again.
//! 4. When a batch fails, everything that was queued behind it fails with it: nothing becomes durable on top
//!    of a write that did not.
//!
//! Concurrency: one lock over the queue, never held while the medium works; one leader at a time.

mod recovery;
#[cfg(all(test, feature = "sim"))]
mod tests;

pub use recovery::{Recovered, Recovery};

use crate::io::{Entropy, Fault, LogFile, LogStore, StorageError, StorageErrorKind, lock};
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use strongroom_format::header::{FileHeader, FileKind};
use strongroom_format::limits::BATCH_RECORDS_MAX;
use strongroom_format::log::{ALIGN, BatchPlace, Previous, SealedRecord, encode_batch, encode_start};

/// A batch takes what is queued up to this many sealed bytes, and at least one enqueued group.
const BATCH_BYTES_MAX: usize = 32 << 20;

/// Where records are going to stand: what their sealing needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Reservation {
    /// The file.
    pub file: LogFile,
    /// Its id, the salt of its subkeys.
    pub file_id: [u8; 16],
    /// The first record's number; the others follow.
    pub first_record: u64,
}

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

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

/// The log of one run.
pub struct Log {
    store: Arc<dyn LogStore>,
    entropy: Arc<dyn Entropy>,
    state: Mutex<State>,
    settled: Condvar,
}

struct State {
    file: LogFile,
    file_id: [u8; 16],
    /// Where the next batch begins.
    end: u64,
    batch: u64,
    previous_crc32: u32,
    next_record: u64,
    queue: VecDeque<(u64, Vec<SealedRecord>)>,
    last_ticket: u64,
    committed_through: u64,
    failures: Vec<(RangeInclusive<u64>, LogError)>,
    leading: bool,
    poisoned: bool,
}

impl Log {
    /// Begins the first file of a run, chained to the file that recovery ended with.
    pub fn begin(
        store: Arc<dyn LogStore>,
        entropy: Arc<dyn Entropy>,
        run: u64,
        previous: Option<Previous>,
        next_record: u64,
    ) -> Result<Self, StorageError> {
        let file = LogFile { run, number: 0 };
        let (file_id, previous_crc32) = start_file(&*store, &*entropy, file, previous, next_record)?;
        let state = State {
            file,
            file_id,
            end: ALIGN as u64,
            batch: 0,
            previous_crc32,
            next_record,
            queue: VecDeque::new(),
            last_ticket: 0,
            committed_through: 0,
            failures: Vec::new(),
            leading: false,
            poisoned: false,
        };
        Ok(Self { store, entropy, state: Mutex::new(state), settled: Condvar::new() })
    }

    /// Numbers for records that are about to be sealed.
    pub fn reserve(&self, records: u64) -> Result<Reservation, LogError> {
        let mut state = lock(&self.state);
        if state.poisoned {
            return Err(LogError::Poisoned);
        }
        let first_record = state.next_record;
        state.next_record += records;
        Ok(Reservation { file: state.file, file_id: state.file_id, first_record })
    }

    /// Queues records that were sealed for this reservation; `None` when the file was closed meanwhile:
    /// reserve again.
    pub fn enqueue(&self, at: &Reservation, records: Vec<SealedRecord>) -> Result<Option<Ticket>, LogError> {
        let mut state = lock(&self.state);
        if state.poisoned {
            return Err(LogError::Poisoned);
        }
        if state.file != at.file {
            return Ok(None);
        }
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        state.queue.push_back((ticket, records));
        Ok(Some(Ticket(ticket)))
    }

    /// What became of a ticket, without waiting.
    pub fn outcome(&self, ticket: Ticket) -> Outcome {
        lock(&self.state).outcome(ticket.0)
    }

    /// Waits until the ticket is settled; leads when nobody does.
    pub fn wait(&self, ticket: Ticket) -> Result<(), LogError> {
        let mut state = lock(&self.state);
        loop {
            match state.outcome(ticket.0) {
                Outcome::Committed => return Ok(()),
                Outcome::Failed(error) => return Err(error),
                Outcome::Pending if state.leading => {
                    state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                Outcome::Pending => {
                    drop(state);
                    self.lead();
                    state = lock(&self.state);
                }
            }
        }
    }

    /// Writes and syncs one batch of what is queued, unless somebody does already.
    fn lead(&self) {
        let mut state = lock(&self.state);
        if state.leading {
            return;
        }
        let Some((last_ticket, records)) = state.take_batch() else { return };
        state.leading = true;
        let file = state.file;
        let place = BatchPlace {
            file_tag: file_tag(&state.file_id),
            batch: state.batch,
            previous_crc32: state.previous_crc32,
            offset: state.end,
        };
        drop(state);
        let (bytes, crc32) = encode_batch(place, &records);
        let appended = self.store.append(file, &bytes);
        let result = match appended {
            Err(error) if error.kind == StorageErrorKind::Full => Err(LogError::Full),
            Err(_) => Err(LogError::Poisoned),
            // A build that forgets this one sync, for the simulator to find out.
            Ok(()) if cfg!(feature = "canary") => Ok(place.offset + bytes.len() as u64),
            Ok(()) => self.store.commit(file).map_err(|_| LogError::Poisoned),
        };
        let mut state = lock(&self.state);
        match result {
            Ok(end) => {
                assert_eq!(end, place.offset + bytes.len() as u64);
                state.end = place.offset + bytes.len() as u64;
                state.batch += 1;
                state.previous_crc32 = crc32;
                state.committed_through = last_ticket;
            }
            Err(error) => state.fail_all(error),
        }
        state.leading = false;
        drop(state);
        self.settled.notify_all();
    }

    /// Seals and queues one record that belongs to no partition's order, and waits for its sync.
    pub fn commit(&self, seal: impl Fn(&Reservation) -> SealedRecord) -> Result<(), LogError> {
        loop {
            let at = self.reserve(1)?;
            if let Some(ticket) = self.enqueue(&at, vec![seal(&at)])? {
                return self.wait(ticket);
            }
        }
    }

    /// Closes the file and begins the next. Everything queued before is settled; every later record stands in
    /// the file that is answered, or one after it.
    pub fn rotate(&self) -> Result<LogFile, Fault> {
        let mut state = lock(&self.state);
        while state.leading || !state.queue.is_empty() {
            if state.leading {
                state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                drop(state);
                self.lead();
                state = lock(&self.state);
            }
        }
        if state.poisoned {
            return Err(poisoned(state.file).into());
        }
        if state.batch == 0 {
            return Ok(state.file);
        }
        state.leading = true;
        let previous = Previous { run: state.file.run, number: state.file.number, end: state.end };
        let file = LogFile { number: state.file.number + 1, ..state.file };
        let first_record = state.next_record;
        drop(state);
        let started = start_file(&*self.store, &*self.entropy, file, Some(previous), first_record);
        let mut state = lock(&self.state);
        state.leading = false;
        self.settled.notify_all();
        match started {
            Ok((file_id, previous_crc32)) => {
                state.file = file;
                state.file_id = file_id;
                state.end = ALIGN as u64;
                state.batch = 0;
                state.previous_crc32 = previous_crc32;
                Ok(file)
            }
            Err(error) => {
                // The name is taken now, perhaps by half a file: the run can't go on in another one.
                state.fail_all(LogError::Poisoned);
                Err(error.into())
            }
        }
    }

    /// Deletes the files before this one: what they hold has reached the manifest.
    pub fn truncate(&self, before: LogFile) -> Result<(), Fault> {
        Ok(self.store.truncate(before)?)
    }

    /// No record so far has this number or a higher one.
    pub fn next_record(&self) -> u64 {
        lock(&self.state).next_record
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

impl State {
    fn outcome(&self, ticket: u64) -> Outcome {
        if let Some((_, error)) = self.failures.iter().rev().find(|(range, _)| range.contains(&ticket)) {
            return Outcome::Failed(*error);
        }
        if ticket <= self.committed_through { Outcome::Committed } else { Outcome::Pending }
    }

    fn take_batch(&mut self) -> Option<(u64, Vec<SealedRecord>)> {
        let (mut last, mut records) = self.queue.pop_front()?;
        let mut bytes: usize = records.iter().map(|record| record.sealed.len()).sum();
        while let Some((_, next)) = self.queue.front() {
            bytes += next.iter().map(|record| record.sealed.len()).sum::<usize>();
            if bytes > BATCH_BYTES_MAX || records.len() + next.len() > BATCH_RECORDS_MAX {
                break;
            }
            if let Some((ticket, next)) = self.queue.pop_front() {
                last = ticket;
                records.extend(next);
            }
        }
        Some((last, records))
    }

    fn fail_all(&mut self, error: LogError) {
        self.poisoned |= error == LogError::Poisoned;
        self.queue.clear();
        let failed = self.committed_through + 1..=self.last_ticket;
        self.committed_through = self.last_ticket;
        if failed.is_empty() {
            return;
        }
        match self.failures.last_mut() {
            Some((range, last)) if *last == error && range.end() + 1 == *failed.start() => {
                *range = *range.start()..=*failed.end();
            }
            _ => self.failures.push((failed, error)),
        }
    }
}

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
    store.commit(file)?;
    Ok((file_id, crc32))
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
