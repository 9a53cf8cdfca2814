//! What does each implementation have to keep to? One suite for all of them.

#![allow(clippy::single_range_in_vec_init, reason = "a read of one range is what is meant")]

use std::collections::BTreeSet;
use std::fmt::Debug;

use strongroom_format::keyring::SLOT_BYTES;

use super::sim::Sim;
use super::{Erased, LogFile, Medium, StorageErrorKind, disk};

/// Runs a part of the suite on the local disk and on the simulated machine.
fn on_each_medium(part: impl Fn(&Medium)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    part(&disk::medium(&folder.path().join("a/store")).expect("a store on the disk"));
    part(&Sim::new(1).medium());
}

/// Why a call was refused.
#[track_caller]
fn refusal<T: Debug>(result: super::Result<T>) -> StorageErrorKind {
    result.expect_err("has to be refused").kind
}

const FIRST: LogFile = LogFile { run: 1, number: 0 };

/// Users lose: a segment is read back otherwise than it was written.
#[test]
fn an_object_is_read_back_in_any_ranges() {
    on_each_medium(|medium| {
        medium.blobs.create("segments/0/a-1", &[b"hel", b"", b"lo"]).expect("created");
        let parts = medium.blobs.read("segments/0/a-1", &[0..5, 4..5, 2..2, 5..5]).expect("read");
        assert_eq!(parts, [b"hello".to_vec(), b"o".to_vec(), vec![], vec![]]);
        assert_eq!(medium.blobs.read("segments/0/a-1", &[]), Ok(vec![]));
        assert_eq!(medium.blobs.head("segments/0/a-1"), Ok(Some(5)));
        medium.blobs.create("empty", &[]).expect("created");
        assert_eq!(medium.blobs.head("empty"), Ok(Some(0)));
    });
}

/// Users lose: a damaged segment is served as if it were whole.
#[test]
fn a_range_outside_its_object_is_an_error() {
    on_each_medium(|medium| {
        medium.blobs.create("a", &[b"hello"]).expect("created");
        let too_short = StorageErrorKind::TooShort { bytes: 5 };
        assert_eq!(refusal(medium.blobs.read("a", &[0..1, 3..6])), too_short);
        assert_eq!(refusal(medium.blobs.read("a", &[0..u64::MAX])), too_short);
        assert_eq!(refusal(medium.blobs.read("a", &[6..6])), too_short);
        assert_eq!(refusal(medium.blobs.erase("a", 3..6)), too_short);
        #[expect(clippy::reversed_empty_ranges, reason = "that is the mistake to be found")]
        let backwards = 4..3;
        assert!(matches!(refusal(medium.blobs.read("a", &[backwards])), StorageErrorKind::Other(_)));
        assert_eq!(refusal(medium.blobs.read("b", &[0..0])), StorageErrorKind::NotFound);
        assert_eq!(refusal(medium.blobs.erase("b", 0..0)), StorageErrorKind::NotFound);
    });
}

/// Users lose: a segment, overwritten by another under the same name.
#[test]
fn a_name_is_used_once() {
    on_each_medium(|medium| {
        medium.blobs.create("manifest/0/7", &[b"first"]).expect("created");
        assert_eq!(refusal(medium.blobs.create("manifest/0/7", &[b"second"])), StorageErrorKind::Exists);
        assert_eq!(medium.blobs.read("manifest/0/7", &[0..5]), Ok(vec![b"first".to_vec()]));
        // A folder's name isn't free either, nor is one below an object.
        assert_eq!(refusal(medium.blobs.create("manifest", &[b"third"])), StorageErrorKind::Exists);
        assert_eq!(refusal(medium.blobs.create("manifest/0/7/8", &[b"x"])), StorageErrorKind::Exists);
        assert_eq!(medium.blobs.head("manifest"), Ok(None));
        assert_eq!(medium.blobs.head("manifest/0/7/8"), Ok(None));
        assert_eq!(refusal(medium.blobs.read("manifest/0", &[0..0])), StorageErrorKind::NotFound);
    });
}

/// Users lose: a segment, when two flushes come to the same name at the same time and both believe they made it.
#[test]
fn of_many_that_create_one_name_one_succeeds() {
    on_each_medium(|medium| {
        for round in 0..8 {
            let name = format!("segments/{round}/1");
            let results: Vec<_> = std::thread::scope(|scope| {
                let create = |byte: u8| medium.blobs.create(&name, &[&[byte; 100]]);
                let name = &name;
                let threads: Vec<_> = (0..4).map(|byte| scope.spawn(move || (name, create(byte)))).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic").1).collect()
            });
            let winners: Vec<u8> = (0..4).filter(|byte| results[usize::from(*byte)].is_ok()).collect();
            assert_eq!(winners.len(), 1, "{results:?}");
            assert_eq!(medium.blobs.read(&name, &[0..100]), Ok(vec![vec![winners[0]; 100]]));
        }
    });
}

/// Users lose: files of the machine that are none of the store's, or the store's own keys.
#[test]
fn a_name_never_leads_out_of_its_place() {
    let mut names =
        vec!["", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "./a", "a/./b", "a//b", "a/"];
    names.extend([
        ".hidden",
        "A",
        "a b",
        "a\0b",
        "ä",
        "a\\b",
        "a_b",
        "log",
        "log/0/0",
        "keyring/0",
        "lock",
        "reserve",
    ]);
    on_each_medium(|medium| {
        for name in &names {
            let is_refused = |kind| assert!(matches!(kind, StorageErrorKind::Other(_)), "{name:?}: {kind}");
            is_refused(refusal(medium.blobs.create(name, &[b"x"])));
            is_refused(refusal(medium.blobs.read(name, &[])));
            is_refused(refusal(medium.blobs.head(name)));
            is_refused(refusal(medium.blobs.delete(name)));
            is_refused(refusal(medium.blobs.erase(name, 0..0)));
        }
        for prefix in ["/", "../", "a/../b", "a//b", "log/", "keyring/0", "./", "A"] {
            let kind = refusal(medium.blobs.list_after(prefix, None, 10));
            assert!(matches!(kind, StorageErrorKind::Other(_)), "{prefix:?}: {kind}");
        }
    });
}

/// Users lose: segments that a listing passes over are never merged, verified or erased.
#[test]
fn a_listing_shows_each_name_once_and_in_order() {
    on_each_medium(|medium| {
        // Written in no order. Of '-', '.', '/' and '0' each sorts before the next, so folders and files mix.
        let mut names =
            ["s/1/b", "s/1", "s/0/a", "s/1-a", "s/1.b/c", "s/10", "s/0/b/c", "t", "s-1", "s/0/a-0"];
        for name in names.iter().filter(|name| **name != "s/1") {
            medium.blobs.create(name, &[b"x"]).expect("created");
        }
        medium.log.begin(FIRST).expect("begun");
        medium.slots.write_slots(0, 0, &[1; SLOT_BYTES]).expect("written");
        medium.log.fence().expect("held");
        medium.log.hold_reserve().expect("held");
        names.sort_unstable();
        let list = |prefix: &str, after: Option<&str>, limit: usize| {
            medium.blobs.list_after(prefix, after, limit).expect("listed")
        };
        let wanted: Vec<&str> = names.into_iter().filter(|name| *name != "s/1").collect();
        assert_eq!(list("", None, 100), wanted);
        let under_s: Vec<&str> = wanted.iter().copied().filter(|name| name.starts_with("s/")).collect();
        assert_eq!(list("s/", None, 100), under_s);
        assert_eq!(list("s/1", None, 100), ["s/1-a", "s/1.b/c", "s/1/b", "s/10"]);
        assert_eq!(list("s/0/b", Some("s/0/a"), 100), ["s/0/b/c"]);
        assert_eq!(list("s/0/b", Some("s/1"), 100), [""; 0]);
        assert_eq!(list("u", None, 100), [""; 0]);
        assert_eq!(list("u/v/", None, 100), [""; 0]);
        assert_eq!(list("s/", None, 0), [""; 0]);
        let mut pages: Vec<String> = Vec::new();
        for _ in 0..under_s.len() {
            pages.extend(list("s/", pages.last().map(String::as_str), 2));
        }
        assert_eq!(pages, under_s);
    });
}

/// Users lose: disk space, or a segment that was thought gone and comes back.
#[test]
fn a_deleted_object_is_gone() {
    on_each_medium(|medium| {
        medium.blobs.create("segments/0/1", &[b"x"]).expect("created");
        assert_eq!(medium.blobs.delete("segments/0/1"), Ok(true));
        assert_eq!(medium.blobs.delete("segments/0/1"), Ok(false));
        assert_eq!(medium.blobs.delete("segments/0"), Ok(false));
        assert_eq!(medium.blobs.head("segments/0/1"), Ok(None));
        assert_eq!(refusal(medium.blobs.read("segments/0/1", &[])), StorageErrorKind::NotFound);
        assert_eq!(medium.blobs.list_after("", None, 9), Ok(vec![]));
    });
}

/// Users lose: the promise that what they dropped can't be recovered; or the neighbours' rows.
#[test]
fn erasing_leaves_zeros_there_and_nowhere_else() {
    on_each_medium(|medium| {
        let bytes: Vec<u8> = (1..=250).cycle().take(700_000).collect();
        medium.blobs.create("s", &[&bytes]).expect("created");
        let erased = medium.blobs.erase("s", 1000..600_001).expect("erased");
        assert_eq!(erased.overwritten_bytes, 599_001);
        let read = medium.blobs.read("s", &[0..700_000]).expect("read").remove(0);
        assert_eq!(read[..1000], bytes[..1000]);
        assert!(read[1000..600_001].iter().all(|byte| *byte == 0));
        assert_eq!(read[600_001..], bytes[600_001..]);
        let nothing = Erased { overwritten_bytes: 0, released: true };
        assert_eq!(medium.blobs.erase("s", 5..5), Ok(nothing));
    });
}

/// Users lose: a promise of erasure, signed without anybody having looked.
#[test]
fn what_an_erasure_missed_is_found() {
    on_each_medium(|medium| {
        medium.blobs.create("s", &[&[7; 700_000]]).expect("created");
        let is_zero = |range| medium.blobs.is_zero("s", range);
        assert_eq!(is_zero(0..700_000), Ok(false));
        medium.blobs.erase("s", 1000..600_001).expect("erased");
        assert_eq!(is_zero(1000..600_001), Ok(true));
        assert_eq!(is_zero(999..600_001), Ok(false), "one byte before it");
        assert_eq!(is_zero(1000..600_002), Ok(false), "one byte after it");
        assert_eq!(is_zero(0..0), Ok(true));
        assert_eq!(refusal(is_zero(0..700_001)), StorageErrorKind::TooShort { bytes: 700_000 });
        assert_eq!(refusal(medium.blobs.is_zero("t", 0..0)), StorageErrorKind::NotFound);
        assert!(matches!(refusal(medium.blobs.is_zero("log/x", 0..0)), StorageErrorKind::Other(_)));
    });
}

/// Users lose: rows, when a compaction reads other bytes than the searches do.
#[test]
fn a_mapped_object_is_all_of_its_bytes() {
    on_each_medium(|medium| {
        let bytes: Vec<u8> = (0..=250).cycle().take(100_000).collect();
        medium.blobs.create("s", &[&bytes]).expect("created");
        medium.blobs.create("empty", &[]).expect("created");
        let mapped = medium.blobs.map("s").expect("mapped");
        assert!(*mapped == bytes[..]);
        medium.blobs.delete("s").expect("deleted");
        assert!(*mapped == bytes[..], "until the mapping goes");
        assert_eq!(*medium.blobs.map("empty").expect("mapped"), []);
        assert_eq!(format!("{mapped:?}"), "Mapped(100000 bytes)");
        assert_eq!(refusal(medium.blobs.map("s")), StorageErrorKind::NotFound);
        assert!(matches!(refusal(medium.blobs.map("keyring/0")), StorageErrorKind::Other(_)));
    });
}

/// Users lose: writes that were acknowledged, when replay sees less or other than was appended.
#[test]
fn the_log_is_replayed_as_it_was_appended() {
    on_each_medium(|medium| {
        medium.log.begin(FIRST).expect("begun");
        assert_eq!(medium.log.replay(FIRST), Ok(vec![]));
        medium.log.append(FIRST, b"one ").expect("appended");
        medium.log.append(FIRST, b"two ").expect("appended");
        assert_eq!(medium.log.commit(FIRST), Ok(8));
        assert_eq!(medium.log.commit(FIRST), Ok(8));
        medium.log.append(FIRST, b"three").expect("appended");
        assert_eq!(medium.log.commit(FIRST), Ok(13));
        assert_eq!(medium.log.replay(FIRST), Ok(b"one two three".to_vec()));
        assert_eq!(refusal(medium.log.begin(FIRST)), StorageErrorKind::Exists);
        assert_eq!(medium.log.replay(FIRST), Ok(b"one two three".to_vec()));
        let absent = LogFile { run: 1, number: 1 };
        assert_eq!(refusal(medium.log.replay(absent)), StorageErrorKind::NotFound);
        assert!(matches!(refusal(medium.log.append(absent, b"x")), StorageErrorKind::Other(_)));
        assert!(matches!(refusal(medium.log.commit(absent)), StorageErrorKind::Other(_)));
    });
}

/// Users lose: writes in a log file that was deleted too early, or that replay takes in the wrong order.
#[test]
fn the_log_is_listed_in_order_and_truncated_from_its_beginning() {
    on_each_medium(|medium| {
        assert_eq!(medium.log.list(), Ok(vec![]));
        let file = |run, number| LogFile { run, number };
        let files = [file(2, 0), file(0x10, 1), file(9, 0), file(2, 0xff), file(2, 9), file(u64::MAX, 0)];
        for file in files {
            medium.log.begin(file).expect("begun");
        }
        let in_order = [file(2, 0), file(2, 9), file(2, 0xff), file(9, 0), file(0x10, 1), file(u64::MAX, 0)];
        assert_eq!(medium.log.list(), Ok(in_order.to_vec()));
        medium.log.truncate(file(2, 0)).expect("truncated");
        assert_eq!(medium.log.list(), Ok(in_order.to_vec()));
        medium.log.truncate(file(2, 10)).expect("truncated");
        assert_eq!(medium.log.list(), Ok(in_order[2..].to_vec()));
        // The boundary need not exist.
        medium.log.truncate(file(0x10, 0)).expect("truncated");
        assert_eq!(medium.log.list(), Ok(in_order[4..].to_vec()));
        assert!(matches!(refusal(medium.log.append(file(2, 9), b"x")), StorageErrorKind::Other(_)));
        medium.log.append(file(0x10, 1), b"x").expect("appended");
        assert_eq!(medium.log.commit(file(0x10, 1)), Ok(1));
        medium.log.begin(file(9, 1)).expect("a run's folder is made again");
    });
}

/// Users lose: a partition's key, and with it all of its data.
#[test]
fn slots_are_overwritten_where_they_are_in_one_mirror() {
    on_each_medium(|medium| {
        assert_eq!(medium.slots.read_mirror(0).map(|read| read.to_vec()), Ok(vec![]));
        let slot = |byte: u8| [byte; SLOT_BYTES];
        medium.slots.write_slots(0, 0, &[slot(1), slot(2), slot(3)].concat()).expect("written");
        medium.slots.write_slots(0, 1, &slot(9)).expect("written");
        assert_eq!(
            medium.slots.read_mirror(0).map(|read| read.to_vec()),
            Ok([slot(1), slot(9), slot(3)].concat())
        );
        assert_eq!(medium.slots.read_mirror(1).map(|read| read.to_vec()), Ok(vec![]));
        // Beyond the end: what is between is zero.
        medium.slots.write_slots(1, 2, &slot(7)).expect("written");
        assert_eq!(
            medium.slots.read_mirror(1).map(|read| read.to_vec()),
            Ok([slot(0), slot(0), slot(7)].concat())
        );
        assert_eq!(
            medium.slots.read_mirror(0).map(|read| read.to_vec()),
            Ok([slot(1), slot(9), slot(3)].concat())
        );
        let is_refused = |kind| assert!(matches!(kind, StorageErrorKind::Other(_)), "{kind}");
        is_refused(refusal(medium.slots.write_slots(0, 0, &[0; SLOT_BYTES - 1])));
        for beyond in [1 << 57, u64::MAX] {
            is_refused(refusal(medium.slots.write_slots(0, beyond, &slot(1))));
        }
        is_refused(refusal(medium.slots.write_slots(2, 0, &slot(1))));
        is_refused(refusal(medium.slots.read_mirror(2)));
    });
}

/// Users lose: each read of a document that waits for the whole keyring, or gets its neighbour's key.
#[test]
fn slots_are_read_from_where_they_are() {
    on_each_medium(|medium| {
        let read = |mirror, first, count| medium.slots.read_slots(mirror, first, count);
        let too_short = |slots: usize| StorageErrorKind::TooShort { bytes: (slots * SLOT_BYTES) as u64 };
        assert_eq!(read(0, 0, 0), Ok(vec![]));
        assert_eq!(refusal(read(0, 0, 1)), too_short(0));
        let slot = |byte: u8| [byte; SLOT_BYTES];
        medium.slots.write_slots(0, 0, &[slot(1), slot(2), slot(3)].concat()).expect("written");
        medium.slots.write_slots(1, 0, &slot(9)).expect("written");
        assert_eq!(read(0, 1, 2), Ok([slot(2), slot(3)].concat()));
        assert_eq!(read(0, 0, 1), Ok(slot(1).to_vec()));
        assert_eq!(read(1, 0, 1), Ok(slot(9).to_vec()));
        assert_eq!(read(0, 3, 0), Ok(vec![]));
        assert_eq!(refusal(read(0, 2, 2)), too_short(3));
        assert_eq!(refusal(read(0, 4, 0)), too_short(3));
        assert_eq!(refusal(read(1, 1, 1)), too_short(1));
        for (first, count) in [(u64::MAX, 1), (u64::MAX, usize::MAX), (1 << 57, 1), (0, usize::MAX)] {
            assert_eq!(refusal(read(0, first, count)), too_short(3));
        }
        assert!(matches!(refusal(read(2, 0, 0)), StorageErrorKind::Other(_)));
    });
}

/// Users lose: the way out of a full disk, when the reserve is thought there and isn't.
#[test]
fn the_reserve_is_held_until_it_is_released() {
    on_each_medium(|medium| {
        assert_eq!(medium.log.release_reserve(), Ok(false));
        medium.log.hold_reserve().expect("held");
        medium.log.hold_reserve().expect("held already");
        assert_eq!(medium.log.release_reserve(), Ok(true));
        assert_eq!(medium.log.release_reserve(), Ok(false));
        medium.log.hold_reserve().expect("held again");
        assert_eq!(medium.log.release_reserve(), Ok(true));
    });
}

/// Users lose: the server, which finds itself locked out of its own store.
#[test]
fn a_process_may_take_its_store_again() {
    on_each_medium(|medium| {
        medium.log.fence().expect("held");
        medium.clone().log.fence().expect("held already");
    });
}

/// Users lose: everything, when two keys are the same; and every time, when it isn't now.
#[test]
fn randomness_is_drawn_anew_and_time_is_of_this_century() {
    on_each_medium(|medium| {
        let draw = |_| {
            let mut key = [0; 32];
            medium.entropy.fill(&mut key);
            key
        };
        assert_eq!((0..100).map(draw).collect::<BTreeSet<[u8; 32]>>().len(), 100);
        assert!(!(0..100).map(draw).any(|key| key[16..] == [0; 16]));
        let year_2020_ms = 1_577_836_800_000;
        assert!((year_2020_ms..year_2020_ms * 2).contains(&medium.clock.now_ms()));
    });
}
