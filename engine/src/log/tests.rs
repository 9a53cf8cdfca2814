//! What would users lose if the log were wrong?

#![allow(clippy::unwrap_used)]

use super::*;
use crate::io::Medium;
use crate::io::sim::{Fault as SimFault, Sim};
use strongroom_format::record::RecordKind;

fn begin(medium: &Medium) -> (Log, Vec<(u64, Vec<u8>)>) {
    let recovery = Recovery::find(&*medium.log, LogFile { run: 0, number: 0 }).unwrap();
    let mut records = Vec::new();
    let recovered = recovery
        .visit(|_, found| {
            records.push((found.record, found.sealed.to_vec()));
            Ok(())
        })
        .unwrap();
    let run = recovered.last_run + 1;
    let (store, entropy) = (medium.log.clone(), medium.entropy.clone());
    (Log::begin(store, entropy, run, recovered.previous, recovered.next_record).unwrap(), records)
}

/// Stands in for a sealed record: the log never looks inside.
fn queue(log: &Log, text: &str) -> Result<Ticket, LogError> {
    loop {
        let at = log.reserve(1)?;
        let sealed = text.as_bytes().to_vec();
        let record =
            SealedRecord { incarnation: [1; 16], record: at.first_record, kind: RecordKind::Put, sealed };
        if let Some(ticket) = log.enqueue(&at, vec![record])? {
            return Ok(ticket);
        }
    }
}

fn write(log: &Log, text: &str) -> Result<(), LogError> {
    log.wait(queue(log, text)?)
}

fn texts(records: &[(u64, Vec<u8>)]) -> Vec<&str> {
    records.iter().map(|(_, sealed)| std::str::from_utf8(sealed).unwrap()).collect()
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
        assert!(records.is_sorted_by_key(|(record, _)| *record));
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
        log.wait(ticket).unwrap();
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

/// Without this, damaged records would be dropped in silence.
#[test]
fn damage_before_the_end_is_told_and_never_cut() {
    let sim = Sim::new(3);
    let (log, _) = begin(&sim.restart());
    for number in 0..3 {
        write(&log, &format!("record {number}")).unwrap();
    }
    sim.crash();
    let medium = sim.restart();
    let file = LogFile { run: 1, number: 0 };
    for offset in [0, 70, ALIGN as u64, ALIGN as u64 + 70, 2 * ALIGN as u64 + 130] {
        sim.flip_bit(&file.to_string(), offset, 3);
        let recovery = Recovery::find(&*medium.log, LogFile { run: 0, number: 0 });
        let visited = recovery.and_then(|recovery| recovery.visit(|_, _| Ok(())));
        let Err(Fault::Damaged(damage)) = visited else { panic!("byte {offset}: {visited:?}") };
        assert_eq!(damage.file, file.to_string());
        sim.flip_bit(&file.to_string(), offset, 3);
    }
}

/// Without this, a full disk would poison the store, or acknowledge what it could not keep.
#[test]
fn a_full_medium_fails_writes_until_there_is_space() {
    let sim = Sim::new(4);
    let (log, _) = begin(&sim.restart());
    write(&log, "before").unwrap();
    sim.fail_after(0, SimFault::Enospc);
    let (first, second) = (queue(&log, "first").unwrap(), queue(&log, "second").unwrap());
    assert_eq!(log.wait(second), Err(LogError::Full));
    assert_eq!(log.outcome(first), Outcome::Failed(LogError::Full));
    sim.make_space();
    write(&log, "after").unwrap();
    sim.crash();
    assert_eq!(texts(&begin(&sim.restart()).1), ["before", "after"]);
}

/// Without this, a write whose sync failed would be acknowledged by a later sync that never saw its pages.
#[test]
fn a_failed_sync_poisons_the_log_for_good() {
    let sim = Sim::new(5);
    let (log, _) = begin(&sim.restart());
    write(&log, "before").unwrap();
    sim.fail_after(1, SimFault::Eio);
    assert_eq!(write(&log, "unsynced"), Err(LogError::Poisoned));
    assert_eq!(write(&log, "after"), Err(LogError::Poisoned));
    assert!(log.rotate().is_err());
    sim.crash();
    let (log, records) = begin(&sim.restart());
    assert_eq!(texts(&records)[0], "before");
    write(&log, "reopened").unwrap();
}
