//! What does a call that failed leave behind, and what does its retry take it for?

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use strongroom_format::keyring::SLOT_BYTES;
use tempfile::TempDir;

use super::Call::{self, RemoveFile, SyncFile, SyncFolder};
use super::faults::stick;
use crate::io::disk::Disk;
use crate::io::{BlobStore, LogFile, LogStore, SlotStore, StorageErrorKind};

fn store() -> (TempDir, Disk) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = Disk::open(folder.path()).expect("a store");
    (folder, disk)
}

fn log_file(run: u64, number: u64) -> LogFile {
    LogFile { run, number }
}

/// Users lose: the store's ability to write, when one name that failed stands in the way of all that follow.
#[test]
fn after_a_failed_creation_the_engine_goes_on_with_another_name() {
    let ways: [&[Call]; 5] = [
        &[SyncFile],
        &[SyncFolder],
        &[SyncFile, SyncFolder],
        &[SyncFile, RemoveFile],
        &[SyncFolder, RemoveFile],
    ];
    for (way, calls) in ways.into_iter().enumerate() {
        let (folder, disk) = store();
        disk.create("segments/0/0", &[b"before"]).expect("created");
        for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
            let stuck = stick(calls, kind);
            let refused = disk.create("segments/0/1", &[b"whole"]).expect_err("stuck").kind;
            // The second time the remains of the first may be in the way.
            assert!(matches!(
                refused,
                StorageErrorKind::Other(_) | StorageErrorKind::Full | StorageErrorKind::Exists
            ));
            disk.create("other/1", &[b"whole"]).expect_err("stuck");
            drop(stuck);
        }
        let stays = calls.contains(&RemoveFile);
        // What couldn't be removed can't be taken for an object that was made.
        assert_eq!(disk.head("segments/0/1"), Ok(stays.then_some(0)), "way {way}");
        disk.create("segments/0/2", &[b"after"]).expect("created");
        disk.create("other/2", &[b"after"]).expect("created");
        assert_eq!(disk.create("segments/0/1", &[b"again"]).is_ok(), !stays, "way {way}");
        assert_eq!(disk.read("segments/0/0", &[0..6]), Ok(vec![b"before".to_vec()]));
        let next = Disk::open(folder.path()).expect("opened");
        assert_eq!(next.read("segments/0/2", &[0..5]), Ok(vec![b"after".to_vec()]));
    }
}

/// Users lose: an erasure, when an object whose removal was never synced comes back with the power.
#[test]
fn a_deletion_is_not_answered_before_it_will_stay_so() {
    let (folder, disk) = store();
    disk.create("s/0", &[b"x"]).expect("created");
    disk.create("s/1", &[b"x"]).expect("created");
    assert_eq!(disk.delete("s/0"), Ok(true));
    let stuck = stick(&[SyncFolder], ErrorKind::Other);
    assert_eq!(disk.delete("s/0"), Ok(false), "that it is gone is durable already");
    assert_eq!(disk.delete("t/0"), Ok(false), "nor has a name come back without its folder");
    disk.delete("s/1").expect_err("stuck");
    disk.delete("s/1").expect_err("gone, but not for good");
    drop(stuck);
    assert_eq!(disk.delete("s/1"), Ok(false));
    // Neither does the next process know how this one ended.
    let next = Disk::open(folder.path()).expect("opened");
    let stuck = stick(&[SyncFolder], ErrorKind::Other);
    next.delete("s/1").expect_err("it may have been removed a moment ago");
    drop(stuck);
    assert_eq!(next.delete("s/1"), Ok(false));
}

/// Users lose: their deletions and their service, when the log can't be shortened after a failure any more; or
/// writes, when an old file comes back before a gap.
#[test]
fn a_truncation_that_failed_is_finished_by_the_next() {
    let (folder, disk) = store();
    for file in [log_file(1, 0), log_file(1, 1), log_file(2, 0), log_file(2, 1)] {
        disk.begin(file).expect("begun");
    }
    let stuck = stick(&[RemoveFile], ErrorKind::Other);
    disk.truncate(log_file(2, 1)).expect_err("stuck");
    drop(stuck);
    assert_eq!(disk.list().expect("listed").len(), 4);
    // The first file goes, and whether for good isn't known: nothing after it may go before that is.
    let next = Disk::open(folder.path()).expect("opened");
    disk.truncate(log_file(1, 0)).expect("nothing to remove");
    let stuck = stick(&[SyncFolder], ErrorKind::Other);
    for store in [&disk, &next, &disk] {
        store.truncate(log_file(2, 1)).expect_err("stuck");
        assert_eq!(store.list(), Ok(vec![log_file(1, 1), log_file(2, 0), log_file(2, 1)]));
    }
    drop(stuck);
    disk.truncate(log_file(2, 1)).expect("truncated");
    assert_eq!(disk.list(), Ok(vec![log_file(2, 1)]));
    next.truncate(log_file(2, 1)).expect("all of it is gone already");
}

/// Users lose: service, when the engine can't begin the log's next file after a failure.
#[test]
fn a_log_file_that_could_not_be_begun_is_not_in_the_way() {
    let ways: [&[Call]; 4] = [&[SyncFile], &[SyncFolder], &[SyncFile, RemoveFile], &[SyncFolder, RemoveFile]];
    for calls in ways {
        let (_folder, disk) = store();
        // In a run whose folder is there, and in one whose folder isn't.
        for run in [1, 1, 2] {
            let stuck = stick(calls, ErrorKind::Other);
            disk.begin(log_file(run, 0)).expect_err("stuck");
            drop(stuck);
            let stays = disk.list().expect("listed").contains(&log_file(run, 0));
            assert!(!stays || calls.contains(&RemoveFile), "it could be removed");
            assert!(disk.append(log_file(run, 0), b"x").is_err());
            disk.begin(log_file(run, 1)).or_else(|_| disk.begin(log_file(run, 2))).expect("begun");
        }
        for file in disk.list().expect("listed") {
            assert_eq!(disk.replay(file), Ok(vec![]), "what stays of it is empty");
        }
    }
}

/// Users lose: acknowledged writes, when the engine takes a commit that found no space for one that did nothing.
#[test]
fn a_commit_that_finds_no_space_is_a_failed_commit() {
    let (_folder, disk) = store();
    disk.begin(log_file(1, 0)).expect("begun");
    disk.append(log_file(1, 0), b"x").expect("appended");
    let stuck = stick(&[SyncFile], ErrorKind::StorageFull);
    for _ in 0..2 {
        let refused = disk.commit(log_file(1, 0)).expect_err("stuck");
        assert!(matches!(refused.kind, StorageErrorKind::Other(_)), "{refused}");
    }
    drop(stuck);
    disk.commit(log_file(1, 0)).expect_err("failed before");
    disk.append(log_file(1, 0), b"y").expect_err("failed before");
}

/// Users lose: the erasure of a partition whose key was overwritten in the system's memory alone.
#[test]
fn a_slot_whose_sync_failed_is_not_read_as_if_it_were_durable() {
    let (folder, disk) = store();
    disk.write_slots(0, 0, &[1; SLOT_BYTES]).expect("written");
    disk.write_slots(1, 0, &[1; SLOT_BYTES]).expect("written");
    disk.read_mirror(0).expect("read");
    disk.read_slots(1, 0, 1).expect("read");
    let stuck = stick(&[SyncFile], ErrorKind::Other);
    assert_eq!(disk.read_mirror(0).map(|read| read.to_vec()), Ok(vec![1; SLOT_BYTES]), "known to be durable");
    disk.write_slots(0, 0, &[2; SLOT_BYTES]).expect_err("stuck");
    disk.read_mirror(0).expect_err("it isn't known what lies there");
    disk.read_slots(0, 0, 1).expect_err("it isn't known what lies there");
    assert_eq!(disk.read_slots(1, 0, 1), Ok(vec![1; SLOT_BYTES]), "the other mirror is");
    // Nor does the next process know what this one left unsynced.
    let next = Disk::open(folder.path()).expect("opened");
    next.read_mirror(1).expect_err("stuck");
    drop(stuck);
    assert_eq!(next.read_mirror(1).map(|read| read.to_vec()), Ok(vec![1; SLOT_BYTES]));
    disk.write_slots(0, 0, &[3; SLOT_BYTES]).expect("written");
    assert_eq!(disk.read_slots(0, 0, 1), Ok(vec![3; SLOT_BYTES]));
}

/// Users lose: every key, when the keyring's own name or folder was never made durable and a retry forgot that.
#[test]
fn a_name_that_could_not_be_made_durable_is_made_anew() {
    let (folder, disk) = store();
    let is_there = |name: &str| folder.path().join(name).exists();
    let stuck = stick(&[SyncFolder], ErrorKind::Other);
    disk.write_slots(0, 0, &[1; SLOT_BYTES]).expect_err("stuck");
    assert!(!is_there("keyring"), "the folder is made again, and so written again");
    disk.begin(log_file(1, 0)).expect_err("stuck");
    assert!(!is_there("log"));
    drop(stuck);
    fs::create_dir(folder.path().join("keyring")).expect("made by somebody");
    disk.write_slots(1, 0, &[1; SLOT_BYTES]).expect("written");
    let stuck = stick(&[SyncFolder], ErrorKind::Other);
    disk.write_slots(0, 0, &[1; SLOT_BYTES]).expect_err("stuck");
    assert!(!is_there("keyring/0") && is_there("keyring/1"));
    let inner = folder.path().join("a/b/store");
    Disk::open(&inner).expect_err("stuck");
    assert!(!is_there("a"));
    let next = Disk::open(folder.path()).expect_err("stuck");
    assert!(matches!(next.kind, StorageErrorKind::Other(_)) && is_there("keyring/1"));
    drop(stuck);
    Disk::open(&inner).expect("opened");
    disk.write_slots(0, 0, &[1; SLOT_BYTES]).expect("written");
}

/// Users lose: an erasure that was reported and isn't on the medium.
#[test]
fn an_erasure_that_was_not_synced_is_none() {
    let (folder, disk) = store();
    disk.create("s", &[&[7; 1000]]).expect("created");
    let stuck = stick(&[SyncFile], ErrorKind::Other);
    disk.erase("s", 0..1000).expect_err("stuck");
    disk.is_zero("s", 0..1000).expect_err("it isn't known what lies there");
    drop(stuck);
    disk.erase("s", 0..1000).expect("erased");
    assert_eq!(disk.is_zero("s", 0..1000), Ok(true));
    File::open(folder.path().join("s")).and_then(|file| super::sync_all(&file)).expect("nothing is stuck");
    assert!(super::sync_folder(Path::new("/nowhere")).is_err());
}
