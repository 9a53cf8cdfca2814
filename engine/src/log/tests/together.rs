//! What would users lose if writers and rotations got in each other's way?

use super::*;
use crate::io::Result as IoResult;
use std::sync::{Barrier, OnceLock};

/// A store that does something of ours just before it begins a file.
struct Hooked {
    store: Arc<dyn LogStore>,
    hook: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl LogStore for Hooked {
    fn fence(&self) -> IoResult<()> {
        self.store.fence()
    }
    fn begin(&self, file: LogFile) -> IoResult<()> {
        if let Some(hook) = self.hook.get() {
            hook();
        }
        self.store.begin(file)
    }
    fn append(&self, file: LogFile, bytes: &[u8]) -> IoResult<()> {
        self.store.append(file, bytes)
    }
    fn commit(&self, file: LogFile) -> IoResult<u64> {
        self.store.commit(file)
    }
    fn list(&self) -> IoResult<Vec<LogFile>> {
        self.store.list()
    }
    fn replay(&self, file: LogFile) -> IoResult<Vec<u8>> {
        self.store.replay(file)
    }
    fn truncate(&self, before: LogFile) -> IoResult<()> {
        self.store.truncate(before)
    }
    fn hold_reserve(&self) -> IoResult<()> {
        self.store.hold_reserve()
    }
    fn release_reserve(&self) -> IoResult<bool> {
        self.store.release_reserve()
    }
}

/// Without this, a write that came in while the next file was being made would stand in that file, sealed for
/// the one before: acknowledged, and never to be opened again.
#[test]
fn nothing_is_queued_while_the_file_changes() {
    let sim = Sim::new(20);
    let medium = sim.restart();
    let hooked = Arc::new(Hooked { store: medium.log.clone(), hook: OnceLock::new() });
    let store: Arc<dyn LogStore> = hooked.clone();
    let log = Arc::new(Log::begin(store, medium.entropy.clone(), 1, None, 1).unwrap());
    write(&log, "before").unwrap();
    let at = log.reserve(1, Urgency::Write).unwrap();
    let (inner, tried) = (Arc::downgrade(&log), Arc::new(Mutex::new(Vec::new())));
    let attempts = Arc::clone(&tried);
    let hook = move || {
        let put = record(1, at.first_record, RecordKind::Put, "meanwhile");
        let queued = inner.upgrade().unwrap().enqueue(&at, vec![put], Urgency::Write);
        lock(&attempts).push(queued.map(|ticket| ticket.is_some()));
    };
    assert!(hooked.hook.set(Box::new(hook)).is_ok());
    log.rotate().unwrap();
    assert_eq!(*lock(&tried), [Ok(false)]);
    assert!(log.reserve(1, Urgency::Write).unwrap().file_id != at.file_id);
}

/// Without this, one of many writers would wait for ever, be told of a sync that wasn't its own, or find its
/// record in a file that it wasn't sealed for.
#[test]
fn sixteen_writers_and_a_rotation_lose_nothing() {
    const WRITERS: usize = 16;
    const WRITES: usize = 25;
    let sim = Sim::new(21);
    let (log, _) = begin(&sim.restart());
    let start = Barrier::new(WRITERS + 1);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (log, start) = (&log, &start);
            scope.spawn(move || {
                start.wait();
                for number in 0..WRITES {
                    let ticket = loop {
                        let at = log.reserve(1, Urgency::Write).unwrap();
                        let text = format!("{:?} {} {writer}/{number}", at.file_id, at.first_record);
                        let put = record(1, at.first_record, RecordKind::Put, &text);
                        if let Some(ticket) = log.enqueue(&at, vec![put], Urgency::Write).unwrap() {
                            break ticket;
                        }
                    };
                    log.wait(&ticket).unwrap();
                }
            });
        }
        start.wait();
        for _ in 0..20 {
            log.rotate().unwrap();
        }
    });
    sim.crash();
    let (_, records) = begin(&sim.restart());
    assert_eq!(records.len(), WRITERS * WRITES);
    let mut next = [0; WRITERS];
    for (file_id, number, text) in &records {
        let rest = text.strip_prefix(&format!("{file_id:?} {number} ")).expect("where it was sealed for");
        let (writer, number) = rest.split_once('/').unwrap();
        let next: &mut usize = &mut next[writer.parse::<usize>().unwrap()];
        assert_eq!(number.parse(), Ok(*next), "each writer's records in its order");
        *next += 1;
    }
}
