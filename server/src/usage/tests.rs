//! Do sums in memory stay whole while many count and one writes?

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use strongroom_engine::WorkspaceId;

use super::pending::Pending;
use super::*;
use crate::auth::test_place;

fn of(partition: u8, day: u32) -> OfPartition {
    // A hash stands for a partition here: its name is nowhere.
    let name = PartitionName::new(&format!("p{partition}")).unwrap();
    let hasher = crate::control::PartitionHasher::of_key([1; 32]);
    let workspace = WorkspaceId([0; 16]);
    OfPartition {
        workspace,
        day,
        collection: "default".into(),
        partition: Some(hasher.hash(workspace, "default", &name)),
    }
}

const ONE: Tally = Tally {
    queries: 1,
    inserts: 0,
    deletes: 0,
    embedding_tokens: 3,
    bytes_in: 0,
    search_us: 5,
    feedback: Feedback { used: 0, cited: 0, ignored: 0 },
};

/// Lost otherwise: what was counted while sums were being written would be in no bill, or in two.
#[test]
fn counting_and_taking_at_once_loses_nothing() {
    let (pending, place, is_done) = (Pending::new(1000), test_place(), AtomicBool::new(false));
    let taken = thread::scope(|scope| {
        let counters: Vec<_> = (0..4)
            .map(|key| {
                let (pending, place) = (&pending, &place);
                scope.spawn(move || {
                    for at in 0..2000_u32 {
                        let key = format!("key {key}");
                        pending.add(of((at % 50) as u8, 7), Some(&key), place, &ONE);
                    }
                })
            })
            .collect();
        let taker = scope.spawn(|| {
            let (mut keys, mut partitions) = (Tally::default(), Tally::default());
            loop {
                let last = is_done.load(Ordering::SeqCst);
                let taken = pending.take();
                // As if the disk had been full now and then.
                if keys.queries % 3 == 1 && !last {
                    pending.put_back(taken);
                } else {
                    taken.keys.values().for_each(|tally| keys.add(tally));
                    taken.partitions.values().for_each(|noted| partitions.add(&noted.tally));
                }
                if last {
                    return (keys, partitions);
                }
            }
        });
        counters.into_iter().for_each(|counter| counter.join().unwrap());
        is_done.store(true, Ordering::SeqCst);
        taker.join().unwrap()
    });
    let all = Tally { queries: 8000, embedding_tokens: 24_000, search_us: 40_000, ..Tally::default() };
    assert_eq!(taken, (all, all));
    assert!(pending.take().is_empty());
}

/// Lost otherwise: a caller who invents partitions, on a disk that is full, would fill the memory.
#[test]
fn what_waits_is_bounded_and_totals_go_on() {
    let (pending, place) = (Pending::new(10), test_place());
    for partition in 0..100 {
        assert!(pending.add(of(partition, 7), None, &place, &ONE) <= 10);
    }
    let taken = pending.take();
    assert_eq!((taken.partitions.len(), taken.keys.len()), (10, 1));
    assert_eq!(taken.keys.values().next().unwrap().queries, 100);
    pending.add(of(1, 7), None, &place, &ONE);
    assert_eq!(pending.take().partitions.len(), 1, "there is room again");
}

/// Lost otherwise: what an erased end-client did would be written after it was forgotten.
#[test]
fn what_waits_is_forgotten_with_its_partition() {
    let (pending, place) = (Pending::new(10), test_place());
    for day in [7, 8] {
        pending.add(of(1, day), None, &place, &ONE);
        pending.add(of(2, day), None, &place, &ONE);
    }
    pending.forget(&of(1, 0));
    let taken = pending.take();
    assert_eq!(taken.partitions.len(), 2);
    assert!(taken.partitions.keys().all(|left| left.partition == of(2, 0).partition));
    assert_eq!(taken.keys.values().map(|tally| tally.queries).sum::<u64>(), 4, "totals stay");
}

/// Lost otherwise: a day's figures would be those of the day before, for whoever reads them at another hour.
#[test]
fn days_begin_at_midnight_in_utc() {
    assert_eq!((day_of(DAY_MS - 1), day_of(DAY_MS), day_of(2 * DAY_MS - 1)), (0, 1, 1));
    assert_eq!((since(1), since(3)), (today(), today() - 2));
}
