//! Is a damaged byte ever served, or does it hide what was stored?
//!
//! A bit in every byte of a small store is flipped, and every file is cut short everywhere, each on a copy. If
//! this fails, bit rot or a half-restored backup gives users wrong answers, or those of another partition.
#![expect(clippy::print_stdout, reason = "how much was told is worth a line")]

use std::collections::BTreeMap;
use std::sync::Mutex;

use strongroom_format::header::FileHeader;
use strongroom_tests::cores::on_all_cores;
use strongroom_tests::model::damage::{Harm, SmallStore, Told};
use strongroom_tests::model::world::End;

/// How many harms were told and how many there were, by the folder of the file that was hit.
type Sums = BTreeMap<String, (usize, usize)>;

fn suffer_all(store: &SmallStore, harms: &[Harm]) -> Sums {
    let sums = Mutex::new(Sums::new());
    on_all_cores(harms.iter(), |harm| {
        let told = store.suffer(harm) != Told::Nothing;
        let (Harm::Flip { name, .. } | Harm::Cut { name, .. }) = harm;
        let folder = match harm {
            Harm::Flip { offset, .. } if *offset < FileHeader::BYTES => "headers",
            _ => name.split('/').next().unwrap_or_default(),
        };
        let mut sums = sums.lock().expect("no panic inside");
        let sum = sums.entry(folder.to_owned()).or_default();
        *sum = (sum.0 + usize::from(told), sum.1 + 1);
    });
    let sums = sums.into_inner().expect("no panic inside");
    println!("told: {sums:?}");
    sums
}

/// Damage where there is only one copy of what was stored, and none of it is unused, is told each time. Headers of
/// files stand apart: reading needs those of segments for nothing.
fn insist_on_telling(sums: &Sums) {
    let (told, of) = sums["segments"];
    assert_eq!(told, of, "some damage to segments goes without a word");
}

/// One flipped bit is mended from a second copy wherever it belongs to no partition, and told.
fn insist_on_mending(sums: &Sums) {
    insist_on_telling(sums);
    for folder in ["manifest", "keyring"] {
        let (told, of) = sums[folder];
        assert_eq!(told, of, "some damage to the {folder} goes without a word");
    }
    assert!(sums["log"].0 > 0, "damage to the log goes without a word");
}

// A store whose every row reached a segment.
#[test]
fn no_flipped_bit_is_served_after_an_orderly_stop() {
    let store = SmallStore::new(End::Orderly);
    insist_on_mending(&suffer_all(&store, &store.flips()));
}

// A store with rows in the log alone. After a kill the very last batch, damaged, may read as one that was never
// written; no other may.
#[test]
fn no_flipped_bit_is_served_after_a_kill() {
    let store = SmallStore::new(End::Kill);
    insist_on_mending(&suffer_all(&store, &store.flips()));
}

// A file that a copy cut short.
#[test]
fn no_cut_is_served() {
    for end in [End::Orderly, End::Kill] {
        let store = SmallStore::new(end);
        insist_on_telling(&suffer_all(&store, &store.cuts()));
    }
}

// The cases above would say nothing about what they are meant for.
#[test]
fn the_small_store_has_files_of_every_sort() {
    for end in [End::Orderly, End::Kill] {
        let files = SmallStore::new(end).files();
        for folder in ["log/", "segments/", "manifest/", "keyring/"] {
            assert!(
                files.iter().any(|(name, bytes)| name.starts_with(folder) && !bytes.is_empty()),
                "{folder}"
            );
        }
        println!("{end:?}: {:?}", files.iter().map(|(name, bytes)| (name, bytes.len())).collect::<Vec<_>>());
    }
}
