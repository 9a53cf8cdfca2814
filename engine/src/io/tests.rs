//! What does each implementation have to keep to? One suite for all of them.

use super::sim::Sim;
use super::{Medium, disk};

/// Runs a part of the suite on the local disk and on the simulated machine.
fn on_each_medium(part: impl Fn(&Medium)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    part(&disk::medium(&folder.path().join("store")).expect("a store on the disk"));
    part(&Sim::new(1).medium());
}

/// Users lose: a segment is read back otherwise than it was written.
#[test]
fn an_object_is_read_back_in_any_ranges() {
    on_each_medium(|medium| {
        medium.blobs.create("segments/0/a-1", &[b"hel", b"", b"lo"]).expect("created");
        let parts = medium.blobs.read("segments/0/a-1", &[0..5, 4..5, 2..2, 5..5]).expect("read");
        assert_eq!(parts, [b"hello".to_vec(), b"o".to_vec(), vec![], vec![]]);
        assert_eq!(medium.blobs.head("segments/0/a-1"), Ok(Some(5)));
        medium.blobs.create("empty", &[]).expect("created");
        assert_eq!(medium.blobs.head("empty"), Ok(Some(0)));
    });
}
