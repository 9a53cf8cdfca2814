//! Do `strongroom verify` and `strongroom inspect` say by line and exit code what they found?
//!
//! If this fails, a script that checks backups takes a damaged one for whole, or stops at a whole one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use strongroom_tests::server::{Folder, Plan, Server, program};

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const OTHER_KEY: &str = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Runs the program with the store's key, or another.
fn run(key: Option<&str>, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(program());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STRONGROOM_")) {
        command.env_remove(name);
    }
    let Output { status, stdout, stderr } = command
        .args(arguments)
        .envs(key.map(|key| ("STRONGROOM_MASTER_KEY", key)))
        .output()
        .expect("the program can be started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code().expect("it ended by itself"), text(stdout), text(stderr))
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("a path of the tests")
}

/// A server with documents in two partitions, one of them dropped.
fn filled() -> Server {
    let server = Plan::default().set("STRONGROOM_MASTER_KEY", KEY).start();
    for partition in ["acme", "gone"] {
        let at = format!("/v1/documents?partition={partition}&filename=note.txt");
        server.operator().post_bytes(&at, b"the words of a note").expect(201);
    }
    server.operator().delete("/v1/partitions/gone").expect(200);
    server
}

/// A store that was stopped in order, and its folder.
fn stopped() -> (Folder, PathBuf) {
    let plan = filled().stop();
    let data = plan.folder.data();
    (plan.folder, data)
}

/// The only file in a folder, or in those below it.
fn only_file(folder: &Path) -> PathBuf {
    let mut entries =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let path = entries.next().expect("something in it");
    if path.is_dir() { only_file(&path) } else { path }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).expect("a file");
    bytes[at] ^= 4;
    std::fs::write(path, bytes).expect("a folder of the tests");
}

#[test]
fn a_whole_store_is_called_whole() {
    let (_folder, data) = stopped();
    let data = text_of(&data);
    let (code, out, err) = run(Some(KEY), &["verify", "--data-dir", data]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("whole: ") && out.lines().count() == 1, "{out}");
    let (code, out, _) = run(None, &["verify", "--without-key", "--data-dir", data]);
    assert_eq!(code, 0);
    assert!(out.starts_with("whole, as far as checksums tell: "), "{out}");
    // What a kill leaves behind is no fault.
    let server = Plan::default().set("STRONGROOM_MASTER_KEY", KEY).start();
    server.operator().post_bytes("/v1/documents?filename=note.txt", b"words").expect(201);
    let plan = server.kill();
    let (code, out, _) = run(Some(KEY), &["verify", "--data-dir", text_of(&plan.folder.data())]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn each_fault_has_a_line_that_names_it() {
    let (_folder, data) = stopped();
    flip(&data.join("keyring/1"), 128 + 50);
    flip(&only_file(&data.join("segments")), 200);
    let (code, out, _) = run(Some(KEY), &["verify", "--data-dir", text_of(&data)]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((code, lines.len()), (1, 3), "{out}");
    assert!(lines[0].starts_with("fault: keyring/1 at byte 128: KeySlot.crc32 is 0x"), "{out}");
    assert!(lines[0].ends_with(" [mended by the other copy]"), "{out}");
    assert!(lines[1].starts_with("fault: segments/0/") && lines[1].contains(" at byte 128: "), "{out}");
    assert!(
        lines[1].contains(" [hits partition ") && lines[1].ends_with("(\"acme\" of \"default\")]"),
        "{out}"
    );
    assert!(lines[2].starts_with("2 faults: "), "{out}");
    let (code, out, _) = run(None, &["verify", "--without-key", "--data-dir", text_of(&data)]);
    assert_eq!(code, 1);
    assert!(!out.contains("acme"), "without its key nobody knows the name: {out}");
}

#[test]
fn a_damaged_control_plane_is_a_fault() {
    let (_folder, data) = stopped();
    let control = data.join("control.sqlite");
    let bytes = std::fs::read(&control).expect("a database");
    std::fs::write(&control, &bytes[..bytes.len() / 2]).expect("a folder of the tests");
    let (code, out, _) = run(Some(KEY), &["verify", "--data-dir", text_of(&data)]);
    assert_eq!(code, 1, "{out}");
    assert!(out.starts_with("fault: control.sqlite: "), "{out}");
}

// A script would take a store that nobody could look at for a whole or for a damaged one.
#[test]
fn what_cant_be_verified_is_told_apart() {
    let server = filled();
    let data = server.folder().data();
    let verify = |key, data: &Path| run(key, &["verify", "--data-dir", text_of(data)]);
    let refused = |key, data: &Path, why: &str| {
        let (code, out, err) = verify(key, data);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains(why) && err.lines().count() == 1, "{err}");
    };
    refused(Some(KEY), &data, "another process holds this store");
    let plan = server.stop();
    refused(Some(OTHER_KEY), &data, "this root key does not open this store");
    refused(None, &data, "master.key");
    refused(Some(KEY), &plan.folder.around().join("nowhere"), "can't be read");
    let empty = plan.folder.around().join("empty");
    std::fs::create_dir(&empty).expect("a folder of the tests");
    refused(Some(KEY), &empty, "there is no store in");
    assert_eq!(std::fs::read_dir(&empty).expect("a folder").count(), 0, "looking left something behind");
    assert_eq!(verify(Some(KEY), &data).0, 0);
}

#[test]
fn inspect_shows_a_file_and_what_is_damaged_in_it() {
    let (_folder, data) = stopped();
    let segments = only_file(&data.join("segments"));
    let (code, out, _) = run(None, &["inspect", text_of(&segments)]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("\nsegment at byte 64: partition ") && !out.contains("document \""), "{out}");
    let (code, out, _) = run(Some(KEY), &["inspect", text_of(&segments), "--data-dir", text_of(&data)]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("\n  document \"") && !out.contains("words of a note"), "{out}");
    flip(&segments, 70);
    let (code, out, _) = run(None, &["inspect", text_of(&segments)]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("damage at byte 64: SegmentHeader.crc32"), "{out}");
    for stranger in [data.join("control.sqlite"), data.join("nowhere"), data.clone()] {
        let (code, out, err) = run(None, &["inspect", text_of(&stranger)]);
        assert_eq!((code, out.as_str(), err.lines().count()), (2, "", 1), "{err}");
    }
}
