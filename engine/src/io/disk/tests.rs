//! What does the local disk do beyond what every medium does?

#![allow(clippy::single_range_in_vec_init, reason = "a read of one range is what is meant")]

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use strongroom_format::keyring::SLOT_BYTES;
use tempfile::TempDir;

use super::*;
use crate::io::{BlobStore, LogStore, SlotStore};

fn store() -> (TempDir, Disk) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = Disk::open(folder.path()).expect("a store");
    (folder, disk)
}

const FILE: LogFile = LogFile { run: 3, number: 1 };

/// Users lose: the whole store, when two servers write to it.
#[test]
fn a_second_process_is_locked_out_until_the_first_has_ended() {
    let (folder, first) = store();
    first.fence().expect("held");
    let second = Disk::open(folder.path()).expect("opened");
    let refused = second.fence().expect_err("held by the first");
    assert_eq!(refused.kind, StorageErrorKind::Locked);
    drop(first);
    second.fence().expect("the hold ended with the first");
}

/// Users lose: all of their data at the next start.
#[test]
fn what_was_written_is_there_for_the_next_process() {
    let (folder, disk) = store();
    disk.create("segments/0/1", &[b"rows"]).expect("created");
    disk.begin(FILE).expect("begun");
    disk.append(FILE, b"records").expect("appended");
    disk.commit(FILE).expect("committed");
    disk.write_slots(1, 0, &[5; SLOT_BYTES]).expect("written");
    drop(disk);
    let disk = Disk::open(folder.path()).expect("a store");
    assert_eq!(disk.read("segments/0/1", &[0..4]), Ok(vec![b"rows".to_vec()]));
    assert_eq!(disk.list(), Ok(vec![FILE]));
    assert_eq!(disk.replay(FILE), Ok(b"records".to_vec()));
    assert_eq!(disk.read_mirror(1).map(|read| read.to_vec()), Ok(vec![5; SLOT_BYTES]));
    // A file is never appended to after a reopen: nonces would be used twice.
    assert!(disk.append(FILE, b"more").is_err());
    assert_eq!(disk.begin(FILE).expect_err("made before").kind, StorageErrorKind::Exists);
}

/// Users lose: their keys and data to anybody with an account on the machine.
#[test]
fn only_the_owner_may_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("new/store");
    let disk = Disk::open(&root).expect("a store");
    disk.create("segments/0/1", &[b"x"]).expect("created");
    disk.begin(FILE).expect("begun");
    disk.write_slots(0, 0, &[0; SLOT_BYTES]).expect("written");
    disk.fence().expect("held");
    disk.hold_reserve().expect("held");
    let mode = |name: &str| fs::metadata(root.join(name)).expect(name).permissions().mode() & 0o777;
    let log = FILE.to_string();
    for folder in ["..", "", "segments", "segments/0", "log", "log/0000000000000003", "keyring"] {
        assert_eq!(mode(folder), 0o700, "{folder}");
    }
    for file in ["segments/0/1", log.as_str(), "keyring/0", "lock", "reserve"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
}

/// Users lose: the store at the first stray file an administrator leaves in it.
#[test]
fn files_that_are_not_ours_are_not_listed() {
    let (folder, disk) = store();
    disk.create("segments/0/1", &[b"x"]).expect("created");
    disk.begin(FILE).expect("begun");
    for stray in ["README", "segments/0/1.TMP", "segments/.hidden", "log/notes", "log/0000000000000003/1"] {
        fs::write(folder.path().join(stray), b"x").expect("written");
    }
    fs::write(folder.path().join("log/0000000000000003/000000000000000A"), b"x").expect("written");
    fs::create_dir(folder.path().join("lost+found")).expect("made");
    assert_eq!(disk.list_after("", None, 9), Ok(vec!["segments/0/1".to_owned()]));
    assert_eq!(disk.list(), Ok(vec![FILE]));
}

/// Users lose: every key, when half a slot at the end of a mirror keeps the others from being read.
#[test]
fn half_a_slot_at_the_end_is_not_there() {
    let (folder, disk) = store();
    disk.write_slots(0, 0, &[1; 2 * SLOT_BYTES]).expect("written");
    let path = folder.path().join("keyring/0");
    File::options().write(true).open(&path).expect("open").set_len(3 * SLOT_BYTES as u64 - 1).expect("grown");
    assert_eq!(disk.read_mirror(0).map(|read| read.to_vec()), Ok(vec![1; 2 * SLOT_BYTES]));
    disk.write_slots(0, 2, &[2; SLOT_BYTES]).expect("written");
    assert_eq!(
        disk.read_mirror(0).map(|read| read.to_vec()),
        Ok([[1; SLOT_BYTES], [1; SLOT_BYTES], [2; SLOT_BYTES]].concat())
    );
}

/// Users lose: the space of what they dropped, and a layer of its erasure.
#[test]
fn an_erased_range_gives_its_blocks_back() {
    let (folder, disk) = store();
    disk.create("s", &[&[7; 1 << 20]]).expect("created");
    let erased = disk.erase("s", 0..1 << 20).expect("erased");
    let metadata = fs::metadata(folder.path().join("s")).expect("there");
    assert_eq!(metadata.len(), 1 << 20);
    assert_eq!(erased.released, metadata.blocks() == 0);
}

/// Users lose: the promise of erasure where no hole can be punched, or where holes only hide what is below.
#[test]
fn erasing_overwrites_before_it_punches() {
    let (folder, disk) = store();
    disk.create("s", &[&[7; 1_000_000]]).expect("created");
    let file = File::options().write(true).open(folder.path().join("s")).expect("open");
    blobs::overwrite(&file, &(100..900_000)).expect("overwritten");
    let bytes = fs::read(folder.path().join("s")).expect("read");
    let wanted = [vec![7; 100], vec![0; 899_900], vec![7; 100_000]].concat();
    assert!(bytes == wanted);
}

/// Users lose: acknowledged writes, when what follows a failed append or commit counts as durable.
#[test]
fn a_log_file_that_failed_takes_nothing_more() {
    let (_folder, disk) = store();
    disk.begin(FILE).expect("begun");
    // In the place of its file, one that is always full and can't be cut.
    let full = File::options().write(true).open("/dev/full").expect("a device");
    locked(&disk.logs).insert(FILE, Arc::new(OpenLog::new(full)));
    assert_eq!(disk.append(FILE, b"x").expect_err("full").kind, StorageErrorKind::Full);
    let again = disk.append(FILE, b"").expect_err("failed before");
    assert!(matches!(again.kind, StorageErrorKind::Other(_)));
    assert!(disk.commit(FILE).is_err());

    // A pipe can't be synced.
    let (_reader, writer) = io::pipe().expect("a pipe");
    let unsyncable = File::from(std::os::fd::OwnedFd::from(writer));
    locked(&disk.logs).insert(FILE, Arc::new(OpenLog::new(unsyncable)));
    assert!(disk.commit(FILE).is_err());
    let again = disk.commit(FILE).expect_err("failed before").to_string();
    assert!(again.contains("failed before"), "{again}");
}

/// Users lose: service, when a full disk looks like a broken one and the server gives up on it.
#[test]
fn each_failure_has_its_kind() {
    let kind = |e: io::ErrorKind| failed("write", "x", e.into()).kind;
    assert_eq!(kind(io::ErrorKind::StorageFull), StorageErrorKind::Full);
    assert_eq!(kind(io::ErrorKind::QuotaExceeded), StorageErrorKind::Full);
    assert_eq!(kind(io::ErrorKind::AlreadyExists), StorageErrorKind::Exists);
    assert_eq!(kind(io::ErrorKind::NotFound), StorageErrorKind::NotFound);
    assert!(matches!(kind(io::ErrorKind::PermissionDenied), StorageErrorKind::Other(_)));
    assert!(Disk::open(Path::new("/dev/null/store")).is_err());
}

/// Users lose: the truth in their receipts, when a filesystem that copies on write is taken for one that doesn't.
#[cfg(target_os = "linux")]
#[test]
fn the_strength_of_overwriting_follows_from_the_filesystem() {
    // As linux/magic.h, the ZFS and the bcachefs sources have them.
    for (magic, strength) in [
        (0x0000_ef53, Strength::InPlace),
        (0x5846_5342, Strength::InPlace),
        (0x9123_683e, Strength::CopyOnWrite),
        (0x2fc1_2fc1, Strength::CopyOnWrite),
        (0xca45_1a4e, Strength::CopyOnWrite),
        (0x794c_7630, Strength::CopyOnWrite),
        (0x0102_1994, Strength::Memory),
        (0x8584_58f6, Strength::Memory),
        (0x0000_6969, Strength::Unknown),
    ] {
        assert_eq!(slots::strength_by_magic(magic), strength, "{magic:#x}");
    }
    assert_eq!(slots::strength_of(Path::new("/proc")), Strength::Unknown);
    assert_eq!(slots::strength_of(Path::new("/dev/null/nothing")), Strength::Unknown);
    let (folder, disk) = store();
    assert_eq!(disk.strength(), slots::strength_of(folder.path()));
}
