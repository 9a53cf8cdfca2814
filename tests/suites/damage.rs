//! Is a damaged byte ever served, or does it hide what was stored?
//!
//! A bit in every byte of a small store is flipped, and every file is cut short everywhere, each on a copy. If
//! this fails, bit rot or a half-restored backup gives users wrong answers, or those of another partition.

use std::sync::atomic::{AtomicUsize, Ordering};

use strongroom_tests::model::damage::{Harm, SmallStore, Told};
use strongroom_tests::model::world::End;

/// What came of so much harm.
struct Sum {
    harms: usize,
    told: usize,
}

fn suffer_all(store: &SmallStore, harms: &[Harm]) -> Sum {
    let (next, told) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(harm) = harms.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if store.suffer(harm) != Told::Nothing {
                        told.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    Sum { harms: harms.len(), told: told.into_inner() }
}

// A store whose every row reached a segment.
#[test]
fn no_flipped_bit_is_served_after_an_orderly_stop() {
    let store = SmallStore::new(End::Orderly);
    let sum = suffer_all(&store, &store.flips());
    println!("{} of {} flipped bits were told", sum.told, sum.harms);
    assert!(sum.told > sum.harms / 3, "only {} of {} flipped bits were told", sum.told, sum.harms);
}

// A store with rows in the log alone. After a kill the very last batch, damaged, may read as one that was never
// written; no other may.
#[test]
fn no_flipped_bit_is_served_after_a_kill() {
    let store = SmallStore::new(End::Kill);
    let sum = suffer_all(&store, &store.flips());
    println!("{} of {} flipped bits were told", sum.told, sum.harms);
    assert!(sum.told > sum.harms / 3, "only {} of {} flipped bits were told", sum.told, sum.harms);
}

// A file that a copy cut short.
#[test]
fn no_cut_is_served() {
    for end in [End::Orderly, End::Kill] {
        let store = SmallStore::new(end);
        let sum = suffer_all(&store, &store.cuts());
        println!("{end:?}: {} of {} cuts were told", sum.told, sum.harms);
        assert!(sum.told > sum.harms / 3, "only {} of {} cuts were told", sum.told, sum.harms);
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
