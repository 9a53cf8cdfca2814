//! What would users lose if the log took a full medium for a failed one, or for an endless one?

use super::*;

fn erase(log: &Log, text: &str) -> Result<Ticket, LogError> {
    queue_as(log, RecordKind::Change, Urgency::Erasure, text)
}

/// Without this, a full disk would poison the store, acknowledge what it could not keep, or keep a user from
/// deleting; or writes would be refused until somebody restarts the server.
#[test]
fn writes_fail_and_erasures_succeed_until_there_is_space() {
    let sim = Sim::new(10);
    let (log, _) = begin(&sim.restart());
    write(&log, "before").unwrap();
    sim.fail_after(0, SimFault::Enospc);
    let first = queue(&log, "first").unwrap();
    let delete = erase(&log, "delete").unwrap();
    let second = queue(&log, "second").unwrap();
    let purge = erase(&log, "purge").unwrap();
    let before = sim.steps();
    assert_eq!(log.wait(&purge), Ok(()));
    assert_eq!(sim.steps() - before, 4, "no room; the reserve goes; one batch of both erasures, synced");
    assert_eq!(log.outcome(&delete), Outcome::Committed);
    assert_eq!(log.outcome(&first), Outcome::Failed(LogError::Full));
    assert_eq!(log.outcome(&second), Outcome::Failed(LogError::Full));
    assert!(log.is_low() && !log.replenish());
    assert_eq!(queue(&log, "refused").err(), Some(LogError::Full));
    log.wait(&erase(&log, "another").unwrap()).unwrap();
    let at = log.next_record();
    assert_eq!(log.commit(|at| record(2, at.first_record, RecordKind::DropPartition, "drop")), Ok(at));
    sim.make_space();
    write(&log, "after").unwrap();
    assert!(!log.is_low());
    sim.crash();
    let (_, records) = begin(&sim.restart());
    assert_eq!(texts(&records), ["before", "delete", "purge", "another", "drop", "after"]);
    assert!(records.is_sorted_by_key(|(_, record, _)| *record));
}

/// Without this, one write that is too large would shut out all others, or use up what deletes need.
#[test]
fn the_reserve_is_released_for_erasures_alone() {
    let sim = Sim::new(11);
    let (log, _) = begin(&sim.restart());
    sim.fail_after(0, SimFault::Enospc);
    for _ in 0..3 {
        assert_eq!(write(&log, "too large"), Err(LogError::Full));
        assert!(!log.is_low());
    }
    log.wait(&erase(&log, "delete").unwrap()).unwrap();
    // A reservation from before is no way around the refusal.
    sim.make_space();
    assert!(log.replenish());
    let at = log.reserve(1, Urgency::Write).unwrap();
    sim.fail_after(0, SimFault::Enospc);
    log.wait(&erase(&log, "another").unwrap()).unwrap();
    assert!(log.is_low());
    let put = record(1, at.first_record, RecordKind::Put, "put");
    assert!(log.enqueue(&at, vec![put], Urgency::Write).unwrap().is_none());
    assert_eq!(texts(&begin(&sim.restart()).1), ["delete", "another"]);
}

/// Without this, an erasure would be refused though the medium has room for it and only the reserve is gone;
/// or one that found no room would be acknowledged.
#[test]
fn erasures_fail_only_when_even_the_reserve_is_used_up() {
    let sim = Sim::new(12);
    let (log, _) = begin(&sim.restart());
    sim.fail_after(0, SimFault::Enospc);
    let large = "x".repeat(3 << 20);
    for _ in 0..2 {
        log.wait(&erase(&log, &large).unwrap()).unwrap();
    }
    let (third, behind) = (erase(&log, &large).unwrap(), erase(&log, "behind").unwrap());
    assert_eq!(log.wait(&third), Err(LogError::Full));
    assert_eq!(log.outcome(&behind), Outcome::Failed(LogError::Full));
    log.wait(&erase(&log, "small").unwrap()).unwrap();
    assert_eq!(texts(&begin(&sim.restart()).1), [large.as_str(), &large, "small"]);
}

/// Without this, a store would refuse to open: a change whose partition was never born says nothing to a
/// replay. A drop has to become durable all the same.
#[test]
fn a_change_fails_with_its_partitions_genesis_and_a_drop_does_not() {
    let sim = Sim::new(13);
    let (log, _) = begin(&sim.restart());
    write(&log, "before").unwrap();
    sim.fail_after(0, SimFault::Enospc);
    let put = |whose: u8, kinds: &[RecordKind], urgency: Urgency| {
        let at = log.reserve(kinds.len() as u64, urgency).unwrap();
        let records = (at.first_record..).zip(kinds);
        let records = records.map(|(number, kind)| record(whose, number, *kind, &format!("{whose}")));
        log.enqueue(&at, records.collect(), urgency).unwrap().unwrap()
    };
    let birth = put(2, &[RecordKind::Genesis, RecordKind::Put], Urgency::Write);
    let orphan = put(2, &[RecordKind::Change], Urgency::Erasure);
    let other = put(3, &[RecordKind::Change], Urgency::Erasure);
    let drop = put(2, &[RecordKind::DropPartition], Urgency::Erasure);
    assert_eq!(log.wait(&birth), Err(LogError::Full));
    assert_eq!(log.wait(&orphan), Err(LogError::Full));
    assert_eq!((log.wait(&other), log.wait(&drop)), (Ok(()), Ok(())));
    assert_eq!(texts(&begin(&sim.restart()).1), ["before", "3", "2"]);
}

/// Without this, a write could become durable on top of one that failed while it was being sealed: documents
/// of a partition whose genesis is nowhere.
#[test]
fn what_was_reserved_before_a_failure_is_void() {
    let sim = Sim::new(14);
    let (log, _) = begin(&sim.restart());
    let at = log.reserve(1, Urgency::Write).unwrap();
    sim.fail_after(0, SimFault::Enospc);
    assert_eq!(write(&log, "first"), Err(LogError::Full));
    sim.make_space();
    let put = || vec![record(1, at.first_record, RecordKind::Put, "second")];
    assert!(log.enqueue(&at, put(), Urgency::Write).unwrap().is_none());
}

/// Without this, a store whose disk is full could not even be opened to delete from it.
#[test]
fn a_run_begins_on_a_full_medium_and_is_low() {
    let sim = Sim::new(15);
    let (log, _) = begin(&sim.restart());
    write(&log, "before").unwrap();
    sim.fail_after(0, SimFault::Enospc);
    assert_eq!(write(&log, "failed"), Err(LogError::Full));
    for run in 0..2 {
        let (log, _) = begin(&sim.restart());
        assert!(log.is_low());
        assert_eq!(write(&log, "refused"), Err(LogError::Full));
        log.wait(&erase(&log, &format!("delete {run}")).unwrap()).unwrap();
    }
    sim.make_space();
    let (log, records) = begin(&sim.restart());
    assert!(!log.is_low());
    assert_eq!(texts(&records), ["before", "delete 0", "delete 1"]);
    write(&log, "after").unwrap();
}

/// Without this, a flush that finds the disk full would end all writing until a restart; or what was written
/// since would be lost behind the half file that it left.
#[test]
fn a_rotation_without_space_leaves_the_log_where_it_was() {
    for (steps, later) in [(0, false), (0, true), (1, false), (1, true)] {
        let sim = Sim::new(16);
        let (log, _) = begin(&sim.restart());
        write(&log, "before").unwrap();
        let (file, floor) = (log.rotate().unwrap(), log.floor_record());
        assert_eq!(floor, log.next_record());
        write(&log, "between").unwrap();
        for _ in 0..2 {
            sim.fail_after(steps, SimFault::Enospc);
            let Err(Fault::Storage(error)) = log.rotate() else { panic!("there is no space") };
            assert_eq!(error.kind, StorageErrorKind::Full);
            assert_eq!(log.floor_record(), floor);
            log.wait(&erase(&log, "delete").unwrap()).unwrap();
            sim.make_space();
            write(&log, "put").unwrap();
        }
        let mut expected = vec!["before", "between", "delete", "put", "delete", "put"];
        if later {
            let next = log.rotate().unwrap();
            assert_eq!(next, LogFile { number: file.number + 3, ..file });
            assert_eq!(log.floor_record(), log.next_record());
            write(&log, "after").unwrap();
            expected.push("after");
        }
        sim.crash();
        for _ in 0..2 {
            assert_eq!(texts(&begin(&sim.restart()).1), expected);
        }
    }
}
