//! Does the machine lose what a real one may lose, and nothing else?

#![allow(clippy::single_range_in_vec_init, reason = "a read of one range is what is meant")]

use std::collections::BTreeSet;

use strongroom_format::keyring::SLOT_BYTES;

use super::{Fault, Sim};
use crate::io::{LogFile, Medium, RESERVE_BYTES, StorageError, StorageErrorKind};

const FILE: LogFile = LogFile { run: 1, number: 0 };
const FILE_NAME: &str = "log/0000000000000001/0000000000000000";
const SEEDS: u64 = 300;

/// A machine whose log has `committed` bytes of 1 that are durable, and `pending` bytes of 2 that are not.
fn with_log(seed: u64, committed: usize, pending: usize) -> (Sim, Medium) {
    let sim = Sim::new(seed);
    let medium = sim.medium();
    medium.log.begin(FILE).expect("begun");
    medium.log.append(FILE, &vec![1; committed]).expect("appended");
    medium.log.commit(FILE).expect("committed");
    medium.log.append(FILE, &vec![2; pending]).expect("appended");
    (sim, medium)
}

fn file(sim: &Sim, name: &str) -> Option<Vec<u8>> {
    sim.files().into_iter().find(|(other, _)| other == name).map(|(_, bytes)| bytes)
}

fn is_off(e: &StorageError) -> bool {
    e.kind == StorageErrorKind::Other("the machine is off".into())
}

/// A life with every kind of call and a crash; what it left behind, and what was random in it.
fn some_life(seed: u64) -> impl PartialEq + std::fmt::Debug {
    let (sim, medium) = with_log(seed, 3000, 3000);
    let mut key = [0; 32];
    medium.entropy.fill(&mut key);
    medium.blobs.create("segments/0/1", &[&key, &[3; 5000]]).expect("created");
    medium.blobs.create("segments/0/2", &[&[4; 5000]]).expect("created");
    medium.blobs.delete("segments/0/2").expect("deleted");
    medium.slots.write_slots(0, 0, &[5; 9 * SLOT_BYTES]).expect("written");
    sim.fail_after(1, Fault::TornSlotWrite);
    sim.fail_after(2, Fault::Crash);
    medium.slots.write_slots(0, 3, &[6; 9 * SLOT_BYTES]).expect("written");
    medium.slots.write_slots(0, 3, &[7; 9 * SLOT_BYTES]).expect_err("torn");
    medium.blobs.erase("segments/0/1", 100..4000).expect_err("crashed");
    let now_ms = sim.restart().clock.now_ms();
    (sim.files(), sim.residue(), sim.steps(), key, now_ms)
}

/// Users lose: every bug that a seed found and nobody can find again.
#[test]
fn the_same_seed_and_calls_leave_the_same_bytes() {
    let lives: Vec<_> = (0..20).map(some_life).collect();
    assert_eq!(lives, (0..20).map(some_life).collect::<Vec<_>>());
    assert!(lives.windows(2).all(|pair| pair[0] != pair[1]), "another seed leads another life");
}

/// Users lose: nothing here; but tests above would miss it if the machine lost less than a real one.
#[test]
fn a_power_cut_keeps_what_was_committed_and_tears_the_rest() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..SEEDS {
        let (sim, _medium) = with_log(seed, 700, 2000);
        sim.crash();
        let replayed = sim.restart().log.replay(FILE).expect("the file was begun durably");
        assert_eq!(replayed[..700], [1; 700]);
        assert!(replayed.len() <= 2700);
        // Sectors end at 1024, 1536, 2048 and 2560; each has kept all or nothing of its part.
        let mut sectors = Vec::new();
        for (start, end) in [(700, 1024), (1024, 1536), (1536, 2048), (2048, 2560), (2560, 2700)] {
            let part = &replayed[start.min(replayed.len())..end.min(replayed.len())];
            assert!(part.windows(2).all(|pair| pair[0] == pair[1]), "a sector is written whole");
            sectors.push(part.first().copied());
        }
        outcomes.insert(sectors);
    }
    assert!(outcomes.contains(&vec![None; 5]), "all of it lost");
    assert!(outcomes.contains(&vec![Some(2); 5]), "all of it kept");
    assert!(outcomes.contains(&vec![Some(2), Some(2), None, None, None]), "its end lost");
    assert!(outcomes.iter().any(|sectors| sectors.contains(&Some(0))), "an earlier sector lost");
    assert!(outcomes.iter().any(|sectors| sectors[4] == Some(0)), "grown, but not written");
}

/// Users lose: acknowledged writes that recovery saw, relied on, and then lost in the next power cut.
#[test]
fn what_replay_answered_is_durable() {
    for seed in 0..20 {
        let (sim, _killed) = with_log(seed, 700, 2000);
        let replayed = sim.restart().log.replay(FILE).expect("replayed");
        assert_eq!(replayed.len(), 2700, "a killed process takes nothing with it");
        sim.crash();
        assert_eq!(sim.restart().log.replay(FILE), Ok(replayed));
    }
}

/// Users lose: acknowledged writes, when a commit that follows a failed one is believed.
#[test]
fn after_a_failed_commit_the_file_is_given_up() {
    let mut lengths = BTreeSet::new();
    for seed in 0..SEEDS {
        let (sim, medium) = with_log(seed, 700, 2000);
        sim.fail_after(0, Fault::Eio);
        medium.log.commit(FILE).expect_err("failed");
        medium.log.commit(FILE).expect_err("failed before");
        medium.log.append(FILE, b"x").expect_err("failed before");
        // No power cut: what the system failed to write is forgotten when the process ends.
        lengths.insert(sim.restart().log.replay(FILE).expect("replayed").len());
    }
    assert!(lengths.contains(&700) && lengths.contains(&2700), "{lengths:?}");
}

/// Users lose: nothing here; see above.
#[test]
fn a_creation_cut_short_leaves_nothing_part_or_all() {
    let whole = vec![8; 1300];
    let mut lengths = BTreeSet::new();
    for seed in 0..SEEDS {
        let sim = Sim::new(seed);
        let medium = sim.medium();
        medium.blobs.create("before", &[&whole]).expect("created");
        sim.fail_after(0, Fault::Crash);
        assert!(is_off(&medium.blobs.create("segments/0/1", &[&whole]).expect_err("crashed")));
        assert!(!sim.is_on());
        let medium = sim.restart();
        assert_eq!(medium.blobs.read("before", &[0..1300]), Ok(vec![whole.clone()]), "done is durable");
        lengths.insert(medium.blobs.head("segments/0/1").expect("looked"));
        // Half-made, it may be deleted and made anew: it was never published.
        medium.blobs.delete("segments/0/1").expect("deleted");
        medium.blobs.create("segments/0/1", &[&whole]).expect("created");
    }
    for length in [None, Some(0), Some(512), Some(1024), Some(1300)] {
        assert!(lengths.contains(&length), "{length:?} of {lengths:?}");
    }
}

/// Users lose: keys. This is what the keyring's two mirrors have to stand.
#[test]
fn a_slot_write_cut_short_tears_between_sectors() {
    let old = [1; 12 * SLOT_BYTES];
    let mut outcomes = BTreeSet::new();
    for seed in 0..SEEDS {
        let sim = Sim::new(seed);
        let medium = sim.medium();
        medium.slots.write_slots(0, 0, &old).expect("written");
        medium.slots.write_slots(1, 0, &old).expect("written");
        sim.fail_after(0, Fault::Crash);
        medium.slots.write_slots(0, 2, &[2; 8 * SLOT_BYTES]).expect_err("crashed");
        let medium = sim.restart();
        assert_eq!(medium.slots.read_mirror(1).map(|read| read.to_vec()), Ok(old.to_vec()));
        let torn = medium.slots.read_mirror(0).expect("read");
        let slots: Vec<u8> = torn.chunks(SLOT_BYTES).map(|slot| slot[0]).collect();
        assert!(torn.chunks(SLOT_BYTES).all(|slot| slot.iter().all(|byte| *byte == slot[0])));
        outcomes.insert(slots);
    }
    // Slots 2 to 9 are written, in sectors of four: 2 and 3, 4 to 7, 8 and 9. Each is old or new.
    assert_eq!(outcomes.len(), 8, "{outcomes:?}");
}

/// Users lose: a key whose slot is half new, if nobody looked at the checksum.
#[test]
fn a_torn_slot_write_stops_within_a_slot() {
    let mut cuts = BTreeSet::new();
    for seed in 0..SEEDS {
        let sim = Sim::new(seed);
        let medium = sim.medium();
        sim.fail_after(1, Fault::TornSlotWrite);
        medium.slots.write_slots(0, 0, &[1; SLOT_BYTES]).expect("not yet");
        medium.blobs.head("x").expect("waits for a write to slots");
        medium.slots.write_slots(0, 0, &[2; SLOT_BYTES]).expect_err("torn");
        let slot = medium.slots.read_mirror(0).expect("the machine is on");
        let cut = slot.iter().position(|byte| *byte == 1).expect("never whole");
        assert!(slot[cut..].iter().all(|byte| *byte == 1));
        cuts.insert(cut);
        medium.slots.write_slots(0, 0, &[3; SLOT_BYTES]).expect("once only");
    }
    assert!(cuts.len() > 100, "{cuts:?}");
}

/// Users lose: deletions and erasures, which have to succeed on a full disk; and reads.
#[test]
fn on_a_full_medium_only_growth_is_refused() {
    let (sim, medium) = with_log(1, 10, 10);
    medium.blobs.create("s", &[b"hello"]).expect("created");
    medium.slots.write_slots(0, 0, &[1; SLOT_BYTES]).expect("written");
    sim.fail_after(0, Fault::Enospc);
    let is_full = |e: StorageError| assert_eq!(e.kind, StorageErrorKind::Full);
    is_full(medium.blobs.create("t", &[b"x"]).expect_err("full"));
    is_full(medium.log.begin(LogFile { run: 1, number: 1 }).expect_err("full"));
    is_full(medium.log.append(FILE, b"x").expect_err("full"));
    is_full(medium.slots.write_slots(0, 1, &[1; SLOT_BYTES]).expect_err("full"));
    assert_eq!(medium.blobs.head("t"), Ok(None), "nothing is visible of what failed");
    assert_eq!(medium.log.commit(FILE), Ok(20), "a failed append leaves the file as it was");
    medium.slots.write_slots(0, 0, &[2; SLOT_BYTES]).expect("in place");
    assert_eq!(medium.blobs.read("s", &[0..5]), Ok(vec![b"hello".to_vec()]));
    medium.blobs.erase("s", 0..5).expect("erased");
    medium.blobs.delete("s").expect("deleted");
    is_full(medium.blobs.create("t", &[b"x"]).expect_err("full until there is space"));
    sim.make_space();
    medium.blobs.create("t", &[b"x"]).expect("created");
    medium.log.append(FILE, b"x").expect("appended");
}

/// Users lose: an erasure that the reserve was meant for, because something else may take that room as well.
#[test]
fn a_released_reserve_is_room_for_as_much_and_no_more() {
    let (sim, medium) = with_log(1, 10, 10);
    let is_full = |e: StorageError| assert_eq!(e.kind, StorageErrorKind::Full);
    medium.log.hold_reserve().expect("held");
    sim.fail_after(0, Fault::Enospc);
    is_full(medium.log.append(FILE, b"x").expect_err("held is not free"));
    medium.log.hold_reserve().expect("held still");
    sim.crash();
    let medium = sim.restart();
    assert_eq!(medium.log.release_reserve(), Ok(true), "it outlasts a power cut");
    let names = [LogFile { run: 2, number: 0 }, LogFile { run: 2, number: 1 }];
    medium.log.begin(names[0]).expect("room for a name");
    medium.slots.write_slots(0, 0, &[1; SLOT_BYTES]).expect("room for a slot");
    medium.slots.write_slots(0, 0, &[2; SLOT_BYTES]).expect("in place");
    let left_bytes = usize::try_from(RESERVE_BYTES).expect("small") - 4096 - SLOT_BYTES;
    is_full(medium.log.append(names[0], &vec![1; left_bytes + 1]).expect_err("too much"));
    medium.log.append(names[0], &vec![1; left_bytes - 4095]).expect("room");
    is_full(medium.blobs.create("s", &[]).expect_err("no room for a name"));
    medium.log.append(names[0], &[1; 4095]).expect("the last of it");
    is_full(medium.log.append(names[0], b"x").expect_err("used up"));
    is_full(medium.log.hold_reserve().expect_err("no room"));
    assert_eq!(medium.log.release_reserve(), Ok(false));
    sim.make_space();
    medium.log.hold_reserve().expect("held again");
    medium.log.begin(names[1]).expect("room");
}

/// Users lose: the same, when it was released while nobody needed it and is counted on later.
#[test]
fn a_reserve_released_before_the_medium_is_full_is_gone() {
    let (sim, medium) = with_log(1, 10, 10);
    medium.log.hold_reserve().expect("held");
    assert_eq!(medium.log.release_reserve(), Ok(true));
    sim.fail_after(0, Fault::Enospc);
    assert_eq!(medium.log.append(FILE, b"x").expect_err("full").kind, StorageErrorKind::Full);
    let mut is_held = BTreeSet::new();
    for seed in 0..SEEDS {
        let (sim, medium) = with_log(seed, 10, 10);
        sim.fail_after(0, Fault::Crash);
        medium.log.hold_reserve().expect_err("crashed");
        is_held.insert(sim.restart().log.release_reserve().expect("the machine is on"));
    }
    assert_eq!(is_held.len(), 2, "a hold that a power cut interrupts has happened or not");
}

/// Users lose: a store that a dead process still writes to, or that nobody can take after it.
#[test]
fn a_dead_process_does_nothing_more() {
    let (sim, dead) = with_log(1, 10, 10);
    dead.log.fence().expect("held");
    assert_eq!(sim.medium().log.fence().expect_err("held").kind, StorageErrorKind::Locked);
    let steps = sim.steps();
    let living = sim.restart();
    living.log.fence().expect("the hold ended with the process");
    assert!(is_off(&dead.log.append(FILE, b"x").expect_err("dead")));
    assert!(is_off(&dead.blobs.create("s", &[b"x"]).expect_err("dead")));
    assert!(is_off(&dead.blobs.head("s").expect_err("dead")));
    assert_eq!(sim.steps(), steps + 1, "the dead take no steps");
    drop(dead);
    assert_eq!(sim.medium().log.fence().expect_err("held").kind, StorageErrorKind::Locked);
    living.log.append(FILE, b"x").expect_err("not begun by this process");
    drop(living);
    sim.medium().log.fence().expect("the hold ended with the value");
}

/// Users lose: data under a name that stood for something else before.
#[test]
fn a_published_name_is_never_free_again() {
    let (sim, medium) = with_log(1, 10, 10);
    medium.blobs.create("s", &[b"x"]).expect("created");
    medium.blobs.delete("s").expect("deleted");
    medium.log.truncate(LogFile { run: 2, number: 0 }).expect("truncated");
    sim.crash();
    let medium = sim.restart();
    assert_eq!(medium.blobs.create("s", &[b"x"]).expect_err("used").kind, StorageErrorKind::Exists);
    assert_eq!(medium.log.begin(FILE).expect_err("used").kind, StorageErrorKind::Exists);
}

/// Users lose: the promise of erasure, when what a thief would find on the medium isn't looked at.
#[test]
fn deleting_leaves_residue_and_erasing_leaves_none() {
    let (sim, medium) = with_log(1, 10, 10);
    medium.blobs.create("left", &[b"secret"]).expect("created");
    medium.blobs.create("erased", &[b"secret"]).expect("created");
    medium.blobs.erase("erased", 0..6).expect("erased");
    assert_eq!(file(&sim, "erased"), Some(vec![0; 6]));
    medium.blobs.delete("left").expect("deleted");
    medium.blobs.delete("erased").expect("deleted");
    medium.log.truncate(LogFile { run: 2, number: 0 }).expect("truncated");
    let wanted =
        [("left", b"secret".to_vec()), ("erased", vec![0; 6])].map(|(name, bytes)| (name.to_owned(), bytes));
    assert_eq!(sim.residue()[..2], wanted);
    assert_eq!(sim.residue()[2].0, FILE_NAME);
    assert_eq!(sim.files(), []);
}

/// Users lose: nothing here; see above.
#[test]
fn a_truncation_cut_short_leaves_the_newest_files() {
    let mut left = BTreeSet::new();
    for seed in 0..SEEDS {
        let sim = Sim::new(seed);
        let medium = sim.medium();
        let files: Vec<LogFile> = (0..5).map(|number| LogFile { run: 1, number }).collect();
        files.iter().for_each(|file| medium.log.begin(*file).expect("begun"));
        sim.fail_after(0, Fault::Crash);
        medium.log.truncate(files[3]).expect_err("crashed");
        let listed = sim.restart().log.list().expect("listed");
        assert!(files.ends_with(&listed));
        left.insert(listed.len());
    }
    assert_eq!(left, BTreeSet::from([2, 3, 4, 5]));
}

/// Users lose: what a test of a fault is about, when the fault strikes another call.
#[test]
fn a_fault_strikes_once_at_its_step() {
    let sim = Sim::new(1);
    let medium = sim.medium();
    sim.fail_after(2, Fault::Eio);
    let before = sim.steps();
    let results: Vec<bool> = (0..5).map(|_| medium.blobs.head("x").is_ok()).collect();
    assert_eq!(results, [true, true, false, true, true]);
    assert_eq!(sim.steps() - before, 5);
    // A call that is refused anyway doesn't use the fault up.
    sim.fail_after(0, Fault::Crash);
    assert_eq!(medium.blobs.read("x", &[]).expect_err("absent").kind, StorageErrorKind::NotFound);
    assert!(is_off(&medium.blobs.create("x", &[]).expect_err("crashed")));
    assert!(is_off(&medium.blobs.head("x").expect_err("off")));
    assert_eq!(sim.restart().blobs.list_after("y", None, 9), Ok(vec![]));
}

/// Users lose: a drop that is done twice, or reported as failed and forgotten.
#[test]
fn an_answer_may_be_lost_after_the_effect() {
    let (sim, medium) = with_log(1, 10, 10);
    medium.blobs.create("s", &[b"x"]).expect("created");
    sim.fail_after(0, Fault::LostAnswer);
    medium.blobs.create("t", &[b"x"]).expect("waits for another call");
    medium.blobs.delete("s").expect_err("lost");
    assert_eq!(medium.blobs.head("s"), Ok(None));
    sim.fail_after(0, Fault::LostAnswer);
    medium.log.commit(FILE).expect_err("lost");
    medium.log.commit(FILE).expect_err("failed before");
    sim.crash();
    assert_eq!(sim.restart().log.replay(FILE).expect("replayed").len(), 20);
}

/// Users lose: another's data, or damage that is served, if nobody checks what the medium answers.
#[test]
fn reads_may_be_misdirected_and_bits_may_flip() {
    let sim = Sim::new(1);
    let medium = sim.medium();
    medium.blobs.create("a", &[b"0123456789"]).expect("created");
    let read = || medium.blobs.read("a", &[2..6]).expect("read").remove(0);
    sim.fail_after(0, Fault::MisdirectedRead);
    let elsewhere = read();
    assert!(elsewhere.len() == 4 && elsewhere != b"2345", "{elsewhere:?}");
    assert_eq!(read(), b"2345", "once only");
    medium.blobs.create("b", &[b"abcdefghijkl"]).expect("created");
    sim.fail_after(0, Fault::MisdirectedRead);
    assert_eq!(read(), b"cdef");
    sim.fail_after(0, Fault::MisdirectedRead);
    assert_eq!(*medium.blobs.map("a").expect("mapped"), *b"abcdefghij");
    sim.fail_after(0, Fault::Eio);
    medium.blobs.map("a").expect_err("failed");
    sim.fail_after(0, Fault::Eio);
    medium.blobs.is_zero("a", 0..1).expect_err("failed");
    sim.flip_bit("a", 2, 0);
    assert_eq!(read(), b"3345");
}

/// Users lose: acknowledged writes, when a medium that takes nothing more is tried only once by the tests.
#[test]
fn a_medium_that_is_stuck_takes_no_change_until_it_is_mended() {
    let (sim, medium) = with_log(1, 10, 10);
    medium.blobs.create("s", &[b"hello"]).expect("created");
    medium.slots.write_slots(0, 0, &[1; SLOT_BYTES]).expect("written");
    medium.log.hold_reserve().expect("held");
    let before = sim.files();
    sim.fail_after(0, Fault::StuckEio);
    assert_eq!(medium.blobs.read("s", &[0..5]), Ok(vec![b"hello".to_vec()]), "reads go on");
    let changes = || {
        [
            medium.blobs.create("t", &[b"x"]).err(),
            medium.blobs.erase("s", 0..5).err(),
            medium.blobs.delete("s").err(),
            medium.log.begin(LogFile { run: 1, number: 1 }).err(),
            medium.log.append(FILE, b"x").err(),
            medium.log.truncate(LogFile { run: 2, number: 0 }).err(),
            medium.log.release_reserve().err(),
            medium.slots.write_slots(0, 0, &[2; SLOT_BYTES]).err(),
        ]
    };
    for _ in 0..2 {
        for error in changes() {
            assert_eq!(error.expect("stuck").kind, StorageErrorKind::Other("input/output error".into()));
        }
    }
    assert_eq!(sim.files(), before);
    assert_eq!(medium.blobs.delete("absent"), Ok(false), "nothing to change");
    medium.log.hold_reserve().expect("held already");
    medium.log.replay(FILE).expect_err("it can't be made durable");
    medium.log.commit(FILE).expect_err("stuck");
    let medium = sim.restart();
    medium.blobs.create("t", &[b"x"]).expect_err("stuck still");
    assert!(medium.log.replay(FILE).is_ok_and(|bytes| bytes.len() >= 10), "what is there is durable now");
    sim.mend();
    medium.blobs.create("t", &[b"x"]).expect("created");
    assert_eq!(medium.log.release_reserve(), Ok(true));
}

/// Users lose: nothing here; but each damage has to strike the store that it is meant for, and only that.
#[test]
fn a_snapshot_lives_its_own_life() {
    let (sim, medium) = with_log(1, 10, 2000);
    medium.blobs.create("s", &[b"hello"]).expect("created");
    medium.blobs.create("gone", &[b"secret"]).expect("created");
    medium.blobs.delete("gone").expect("deleted");
    medium.log.fence().expect("held");
    sim.fail_after(0, Fault::Crash);
    let (files, residue) = (sim.files(), sim.residue());
    let copy = sim.snapshot();
    let beside = copy.medium();
    assert_eq!((copy.files(), copy.residue()), (files.clone(), residue));
    assert_eq!(beside.clock.now_ms(), medium.clock.now_ms());
    beside.log.fence().expect("nobody holds the copy, and no fault was planned for it");
    beside.log.append(FILE, b"x").expect_err("begun by another process");
    assert_eq!(beside.blobs.create("gone", &[b"x"]).expect_err("used").kind, StorageErrorKind::Exists);
    copy.flip_bit("s", 0, 0);
    beside.blobs.create("t", &[b"x"]).expect("created");
    assert_eq!(sim.files(), files);
    assert!(is_off(&medium.blobs.delete("s").expect_err("the fault strikes here")));
    assert_eq!(beside.blobs.read("s", &[0..5]), Ok(vec![b"iello".to_vec()]));
    assert!(sim.snapshot().is_on());
    // Both have the same chances before them.
    let (one, other) = (copy.snapshot(), copy.snapshot());
    let lives = [one, other].map(|sim| {
        sim.crash();
        let mut key = [0; 32];
        sim.restart().entropy.fill(&mut key);
        (sim.files(), key)
    });
    assert_eq!(lives[0], lives[1]);
}

/// Users lose: nothing here; but a test of damage that damages nothing proves nothing.
#[test]
fn files_can_be_replaced_and_cut() {
    let (sim, medium) = with_log(1, 10, 10);
    medium.blobs.create("s", &[b"hello"]).expect("created");
    sim.files_set("s", b"farewell");
    assert_eq!(medium.blobs.read("s", &[0..8]), Ok(vec![b"farewell".to_vec()]));
    sim.truncate_file("s", 4);
    assert_eq!(medium.blobs.head("s"), Ok(Some(4)));
    sim.truncate_file(FILE_NAME, 5);
    sim.crash();
    assert_eq!(sim.restart().log.replay(FILE), Ok(vec![1; 5]));
    let panics = |damage: &dyn Fn()| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(damage)).expect_err("nothing to damage");
    };
    panics(&|| sim.truncate_file("s", 5));
    panics(&|| sim.truncate_file("t", 0));
    panics(&|| sim.files_set("t", b""));
    panics(&|| sim.flip_bit("s", 4, 0));
    panics(&|| sim.flip_bit("s", 3, 8));
}

/// Users lose: nothing here; but time in tests has to be in the test's hand.
#[test]
fn time_passes_when_it_is_told_to() {
    let sim = Sim::new(1);
    let medium = sim.medium();
    let start_ms = medium.clock.now_ms();
    assert_eq!(medium.clock.now_ms(), start_ms);
    sim.advance_ms(1500);
    assert_eq!(medium.clock.now_ms(), start_ms + 1500);
    sim.set_now_ms(7);
    assert_eq!(sim.restart().clock.now_ms(), 7);
}
