//! Do limits hold, whoever comes and however many at once?

use std::thread;

use strongroom_engine::WorkspaceId;

use super::book::Book;
use super::meters::Meters;
use super::*;

const SECOND: u64 = 1_000_000;

fn key(name: &str) -> Subject {
    Subject::Key(WorkspaceId([0; 16]), name.into())
}

/// Lost otherwise: a rate would let through more than it says, or less.
#[test]
fn a_rate_lets_a_burst_through_and_then_so_many_a_second() {
    let (meters, subject, rate) = (Meters::new(1000), key("a"), (10.0, 5));
    let at = |now_us| meters.take_request(&subject, rate, now_us);
    for left in (0..5).rev() {
        assert_eq!(at(SECOND).unwrap().remaining, left);
    }
    let refused = at(SECOND).unwrap_err();
    assert_eq!((refused.remaining, refused.wait_us), (0, SECOND / 10));
    assert!(at(SECOND + SECOND / 10 - 2).is_err());
    assert!(at(SECOND + SECOND / 10).is_ok(), "a tenth of a second brings one");
    assert!(at(SECOND + SECOND / 10).is_err());
    // Steadily: ten in each second, however long.
    let steady = (0..1000).filter(|step| at(10 * SECOND + step * SECOND / 100).is_ok()).count();
    assert_eq!(steady, 5 + 99, "the burst, and then one each tenth of a second");
    // One that another limit refused is given back.
    assert!(at(100 * SECOND).is_ok());
    meters.give_request_back(&subject, 10.0);
    assert_eq!((0..6).filter(|_| at(100 * SECOND).is_ok()).count(), 5);
}

/// Lost otherwise: many at once would each take the last query of the day.
#[test]
fn a_day_holds_for_all_together() {
    let meters = Meters::new(1000);
    let taken = thread::scope(|scope| {
        let takers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| (0..100).filter(|_| meters.take_query(&key("a"), 3, 250).is_ok()).count())
            })
            .collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).sum::<usize>()
    });
    assert_eq!(taken, 250);
    meters.give_query_back(&key("a"), 2);
    assert_eq!(meters.take_query(&key("a"), 3, 250), Err(250), "of another day");
    meters.give_query_back(&key("a"), 3);
    assert_eq!(meters.take_query(&key("a"), 3, 250), Ok(0));
    assert_eq!(meters.take_query(&key("a"), 4, 250), Ok(249), "a new day");
    assert_eq!(meters.take_tokens(&key("a"), 4, 10, 9), Err(0));
    assert_eq!(meters.take_tokens(&key("a"), 4, 9, 9), Ok(()));
    meters.give_tokens_back(&key("a"), 4, 4);
    assert_eq!(meters.tokens(&key("a"), 4), 5);
}

/// Lost otherwise: who invents names would fill the memory, or have the others' counts forgotten.
#[test]
fn meters_are_bounded_and_the_heaviest_stay() {
    let meters = Meters::new(160);
    for _ in 0..30 {
        meters.take_query(&key("heavy"), 3, 1000).unwrap();
    }
    for number in 0..10_000 {
        meters.take_query(&key(&format!("invented {number}")), 3, 1000).unwrap();
    }
    assert!(meters.len() <= 160);
    assert_eq!(meters.take_query(&key("heavy"), 3, 1000), Ok(969));
}

/// Lost otherwise: a partition's own quota would take away what each partition is limited to, or not stand above it.
#[test]
fn what_a_partition_may_is_told_field_by_field() {
    let (workspace, name) = (WorkspaceId([0; 16]), Arc::<str>::from("default"));
    let queries = |most| Quota { queries_per_day: Some(most), ..Quota::default() };
    let documents = |most| Quota { documents: Some(most), ..Quota::default() };
    let own = Subject::Partition(workspace, name.clone(), None);
    let mut book = Book::default();
    assert!(!book.has(workspace) && book.bound_of(&own).is_none());
    book.set(Subject::EachPartition(workspace, None), Quota { documents: Some(5), ..queries(10) });
    book.set(Subject::EachPartition(workspace, Some(name.clone())), queries(20));
    book.set(own.clone(), queries(30));
    assert_eq!(book.bound_of(&own), Some(Quota { documents: Some(5), ..queries(30) }));
    book.set(own.clone(), documents(7));
    assert_eq!(book.bound_of(&own), Some(Quota { documents: Some(7), ..queries(20) }));
    let elsewhere = Subject::Partition(workspace, "other".into(), None);
    assert_eq!(book.bound_of(&elsewhere), Some(Quota { documents: Some(5), ..queries(10) }));
    assert_eq!(book.bounds_of(workspace, &name, None).len(), 1);
    assert!(book.has_rooms(workspace));
    for subject in
        [Subject::EachPartition(workspace, None), Subject::EachPartition(workspace, Some(name)), own]
    {
        book.set(subject, Quota::default());
    }
    assert!(!book.has(workspace) && !book.has_rooms(workspace));
}

/// Lost otherwise: a key would mint one that may do more than itself.
#[test]
fn a_quota_within_another() {
    let own = Quota { requests_per_second: Some(2.5), queries_per_day: Some(10), ..Quota::default() };
    assert_eq!(Quota::default().within(&own), Some(Quota { burst: Some(3), ..own }));
    let narrower = Quota { queries_per_day: Some(9), documents: Some(1), ..Quota::default() };
    let expected = Quota { burst: Some(3), documents: Some(1), queries_per_day: Some(9), ..own };
    assert_eq!(narrower.within(&own), Some(expected));
    for wider in [
        Quota { queries_per_day: Some(11), ..Quota::default() },
        Quota { requests_per_second: Some(2.6), ..Quota::default() },
        Quota { requests_per_second: Some(1.0), burst: Some(4), ..Quota::default() },
    ] {
        assert_eq!(wider.within(&own), None);
    }
}
