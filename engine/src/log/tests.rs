//! What would users lose if the log were wrong?

#![allow(clippy::unwrap_used)]

mod damage;
mod full;
mod together;

use super::*;
use crate::io::Medium;
use crate::io::sim::{Fault as SimFault, Sim};
use strongroom_format::record::RecordKind;

const FIRST: LogFile = LogFile { run: 0, number: 0 };

/// The id of its file, its number, and what it says.
type Found = ([u8; 16], u64, String);

/// Recovers, which must find no damage, and begins the next run.
fn begin(medium: &Medium) -> (Log, Vec<Found>) {
    let recovery = Recovery::find(&*medium.log, FIRST).unwrap();
    let mut records = Vec::new();
    let recovered = recovery
        .visit(|file_id, found| {
            let text = String::from_utf8(found.sealed.clone().unwrap().to_vec()).unwrap();
            records.push((*file_id, found.record, text));
            Ok(())
        })
        .unwrap();
    let run = recovered.last_run + 1;
    let (store, entropy) = (medium.log.clone(), medium.entropy.clone());
    (Log::begin(store, entropy, run, recovered.previous, recovered.next_record).unwrap(), records)
}

/// Stands in for a sealed record: the log never looks inside.
fn record(whose: u8, record: u64, kind: RecordKind, text: &str) -> SealedRecord {
    let sealed = text.as_bytes().to_vec();
    SealedRecord { incarnation: [whose; 16], name_tag: [!whose; 16], record, kind, sealed }
}

fn queue_as(log: &Log, kind: RecordKind, urgency: Urgency, text: &str) -> Result<Ticket, LogError> {
    loop {
        let at = log.reserve(1, urgency)?;
        if let Some(ticket) = log.enqueue(&at, vec![record(1, at.first_record, kind, text)], urgency)? {
            return Ok(ticket);
        }
    }
}

fn queue(log: &Log, text: &str) -> Result<Ticket, LogError> {
    queue_as(log, RecordKind::Put, Urgency::Write, text)
}

fn write(log: &Log, text: &str) -> Result<(), LogError> {
    log.wait(&queue(log, text)?)
}

fn texts(records: &[Found]) -> Vec<&str> {
    records.iter().map(|(_, _, text)| text.as_str()).collect()
}

/// Without this, acknowledged writes would be lost, or come back in another order.
#[test]
fn what_was_acknowledged_comes_back_in_order_over_runs_and_rotations() {
    let sim = Sim::new(1);
    let mut expected: Vec<String> = Vec::new();
    for run in 0..4 {
        let medium = sim.restart();
        let (log, records) = begin(&medium);
        assert_eq!(texts(&records), expected);
        assert!(records.is_sorted_by_key(|(_, record, _)| *record));
        for number in 0..5 {
            let text = format!("{run}/{number}");
            write(&log, &text).unwrap();
            expected.push(text);
            if number % 2 == 1 {
                log.rotate().unwrap();
            }
        }
        sim.crash();
    }
}

/// Without this, one commit would cost a sync for each writer; or a batch would lose a waiter.
#[test]
fn queued_writes_share_a_batch() {
    let sim = Sim::new(2);
    let (log, _) = begin(&sim.restart());
    let tickets: Vec<Ticket> = (0..100).map(|number| queue(&log, &number.to_string()).unwrap()).collect();
    let before = sim.steps();
    for ticket in tickets {
        log.wait(&ticket).unwrap();
    }
    assert_eq!(sim.steps() - before, 2, "one append and one commit");
    sim.crash();
    assert_eq!(begin(&sim.restart()).1.len(), 100);
}

/// Without this, a power cut in the midst of a write would lose what was acknowledged before it, or make up
/// records that nobody wrote.
#[test]
fn a_torn_tail_is_cut_and_nothing_else() {
    for seed in 0..200 {
        let sim = Sim::new(seed);
        let (log, _) = begin(&sim.restart());
        write(&log, "acknowledged").unwrap();
        sim.fail_after(seed % 2, SimFault::Crash);
        let torn = "torn ".repeat(5000);
        assert!(write(&log, &torn).is_err());
        for _ in 0..2 {
            let (log, records) = begin(&sim.restart());
            let found = texts(&records);
            assert_eq!(found[0], "acknowledged", "seed {seed}");
            assert!(found.len() == 1 || found[1] == torn, "seed {seed}: the whole batch or none of it");
            drop(log);
            sim.crash();
        }
    }
}

/// Without this, a write whose sync failed would be acknowledged by a later sync that never saw its pages.
#[test]
fn a_failed_sync_poisons_the_log_for_good() {
    let sim = Sim::new(5);
    let (log, _) = begin(&sim.restart());
    write(&log, "before").unwrap();
    sim.fail_after(1, SimFault::Eio);
    let (first, second) = (queue(&log, "unsynced").unwrap(), queue(&log, "with it").unwrap());
    assert_eq!(log.wait(&second), Err(LogError::Poisoned));
    assert_eq!(log.outcome(&first), Outcome::Failed(LogError::Poisoned));
    assert_eq!(write(&log, "after"), Err(LogError::Poisoned));
    let erasure = || record(1, 0, RecordKind::DropPartition, "");
    assert_eq!(log.commit(|_| erasure()), Err(LogError::Poisoned));
    assert!(log.rotate().is_err());
    sim.make_space();
    assert_eq!(write(&log, "still"), Err(LogError::Poisoned));
    sim.crash();
    let (log, records) = begin(&sim.restart());
    assert_eq!(texts(&records)[0], "before");
    write(&log, "reopened").unwrap();
}

/// Without this, writes would go on in a file that recovery takes for ended, because the next one's start
/// reached the medium after all.
#[test]
fn a_start_whose_sync_failed_poisons_the_log() {
    for (steps, fault) in
        [(0, SimFault::Eio), (1, SimFault::Eio), (2, SimFault::Eio), (2, SimFault::LostAnswer)]
    {
        let sim = Sim::new(6);
        let (log, _) = begin(&sim.restart());
        write(&log, "before").unwrap();
        sim.fail_after(steps, fault);
        assert!(log.rotate().is_err());
        assert_eq!(write(&log, "after"), Err(LogError::Poisoned), "step {steps}");
        let (_, records) = begin(&sim.restart());
        assert_eq!(texts(&records), ["before"]);
    }
}
