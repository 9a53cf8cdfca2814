//! What is kept within a budget, and what goes.

use super::*;

fn block(bytes: usize) -> Opened {
    Opened::Block(Arc::new(Held::zero(None, bytes)))
}

fn at(incarnation: u8, position: u64) -> Origin {
    Origin { incarnation: [incarnation; 16], file_id: [0; 16], position }
}

fn has(cache: &BlockCache, origin: Origin) -> bool {
    cache.get([origin])[0].is_some()
}

/// Without the budget, a node that serves many partitions would run out of memory.
#[test]
fn the_budget_holds_and_what_is_asked_for_stays() {
    let cache = BlockCache::new(100);
    for position in 0..10 {
        cache.put(at(0, position), block(30));
        assert!(has(&cache, at(0, 0)), "asked for each time, so kept");
    }
    assert!(lock(&cache.state).bytes <= 100);
    assert!(!has(&cache, at(0, 5)));
}

/// Without this, open partitions and open blocks would take the budget each for itself.
#[test]
fn what_is_open_beside_it_takes_its_place() {
    let cache = Arc::new(BlockCache::new(100));
    cache.put(at(0, 0), Opened::Rows(Arc::new(Held::zero(None, 15))));
    cache.put(at(0, 1), block(30));
    let charge = cache.charge(50);
    assert!(!has(&cache, at(0, 0)), "60 bytes make room");
    assert!(has(&cache, at(0, 1)));
    let more = cache.charge(80);
    assert!(!has(&cache, at(0, 1)));
    cache.put(at(0, 2), block(1));
    assert!(!has(&cache, at(0, 2)), "nothing is left for it");
    drop((charge, more));
    cache.put(at(0, 2), block(100));
    assert!(has(&cache, at(0, 2)), "and all is given back");
}

/// Without this, a shredded partition's texts would stay in memory.
#[test]
fn forgetting_a_partition_leaves_the_others() {
    let cache = BlockCache::new(1000);
    cache.put(at(1, 0), block(10));
    cache.put(at(2, 0), block(10));
    cache.forget(&[1; 16]);
    assert!(!has(&cache, at(1, 0)));
    assert!(has(&cache, at(2, 0)));
    assert_eq!(lock(&cache.state).bytes, 10);
}

fn with_large_pages(budget_bytes: usize, spare_bytes_max: usize) -> BlockCache {
    BlockCache { budget_bytes, spare_bytes_max, slab: Some(Arc::default()), state: Mutex::default() }
}

/// Without this, erasing most of what a node holds would leave the memory taken that it lay in, a whole large page for
/// each group that is left; and a group that moved would score other rows, or none.
#[test]
fn groups_that_are_left_move_together() {
    let cache = with_large_pages(64 << 20, 4 << 20);
    let group = |number: u64| {
        let mut rows = cache.place::<f32>(12 << 10);
        rows.fill(number as f32);
        Opened::Rows(Arc::new(rows))
    };
    let count = 800;
    (0..count).for_each(|number| cache.put(at((number % 8) as u8, number), group(number)));
    let given_out = cache.get([at(7, 7)]);
    for incarnation in 0..7 {
        cache.forget(&[incarnation; 16]);
    }
    let slab = cache.slab.as_ref().expect("it has large pages");
    assert!(slab.spare_bytes() <= 4 << 20, "{} bytes are spare", slab.spare_bytes());
    for number in 0..count {
        match &cache.get([at((number % 8) as u8, number)])[0] {
            Some(Opened::Rows(rows)) => {
                assert_eq!(number % 8, 7, "{number} was forgotten");
                assert_eq!(***rows, vec![number as f32; 12 << 10][..]);
            }
            other => assert!(number % 8 != 7 && other.is_none(), "{number} moved or stayed"),
        }
    }
    let [Some(Opened::Rows(rows))] = &given_out[..] else { panic!("it was there") };
    assert!(rows.iter().all(|component| *component == 7.0), "whoever has it keeps it");
    drop(given_out);
    cache.forget(&[7; 16]);
    assert_eq!((lock(&cache.state).bytes, slab.spare_bytes()), (0, 0), "and all of it is given back");
}

/// Without this, a node would take more memory than its budget, or keep less and less.
#[test]
fn groups_take_what_their_rooms_do() {
    let cache = with_large_pages(1 << 20, 4 << 20);
    for position in 0..100 {
        cache.put(at(0, position), Opened::Block(Arc::new(cache.place(65_400))));
        // And once more, by another who opened it at the same time.
        cache.put(at(0, position), block(65_400));
        cache.put(at(0, position), Opened::Block(Arc::new(cache.place(65_400))));
        assert!(lock(&cache.state).bytes <= 1 << 20);
    }
    assert_eq!(lock(&cache.state).bytes, 1 << 20, "16 rooms of 64 KiB");
    assert_eq!((0..100).filter(|position| has(&cache, at(0, *position))).count(), 16);
    cache.forget(&[0; 16]);
    assert_eq!(lock(&cache.state).bytes, 0);
}

/// Without this, a small budget would go to large pages that are mostly empty.
#[test]
fn a_small_budget_has_no_large_pages() {
    for (budget_bytes, has_them) in [(0, false), (LARGE_PAGES_MIN_BYTES - 1, false), (1 << 30, true)] {
        let cache = BlockCache::new(budget_bytes);
        assert_eq!(cache.slab.is_some(), has_them);
        assert_eq!(cache.budget_bytes + cache.spare_bytes_max, budget_bytes);
        assert_eq!(cache.place::<f32>(12 << 10).region().is_some(), has_them);
    }
}

/// A section of so many groups of 100 bytes.
fn section(incarnation: u8, groups: u32) -> Section {
    Section { first: at(incarnation, 1000), group_bytes: 100, groups }
}

/// Opens the groups of a section, as a search does that looks at all of them.
fn open(cache: &BlockCache, section: Section) {
    for number in 0..section.groups {
        cache.put(section.origin(number), block(100));
    }
    let found = cache.get((0..section.groups).map(|number| section.origin(number)));
    cache.join(section, (0..).zip(found.iter().flatten()));
}

fn codes(cache: &BlockCache, section: Section) -> Option<Arc<Run<u8>>> {
    match cache.run(section.first) {
        Some(AnyRun::Codes(run)) => Some(run),
        _ => None,
    }
}

/// Lost otherwise: the budget, to groups that the cache dropped and their run still holds.
#[test]
fn a_run_goes_with_the_first_of_its_groups() {
    let (section, other) = (section(0, 4), section(1, 2));
    let run_bytes = |section: Section| Run::<u8>::new(section.groups).bytes();
    let budget_bytes = 700 + run_bytes(section) + run_bytes(other);
    let cache = BlockCache::new(budget_bytes);
    open(&cache, section);
    let run = codes(&cache, section).expect("all of them are open");
    assert_eq!(run.filled(), [0, 1, 2, 3]);
    assert_eq!(lock(&cache.state).bytes, 400 + run.bytes(), "it counts");
    open(&cache, other);
    assert!(codes(&cache, section).is_some() && codes(&cache, other).is_some());
    // The hand passes all that was asked for, and comes back to what was not since.
    cache.put(at(2, 0), block(101));
    assert!([0, 1, 3].iter().all(|number| run.ask(*number)));
    cache.put(at(2, 1), block(101));
    assert!(codes(&cache, section).is_none(), "one of its groups made room");
    assert!(lock(&cache.state).bytes <= budget_bytes);
    assert!(run.group(2).is_some(), "whoever has it keeps it");
    let kept = |section: Section, number: u32| lock(&cache.state).kept.contains_key(&section.origin(number));
    assert!(kept(section, 0) && !kept(section, 2), "what was read in the run was asked for");
    cache.put(at(2, 2), block(250));
    assert!(kept(section, 3) && !kept(other, 0), "also when the run is gone");
    open(&cache, section);
    assert!(codes(&cache, section).is_some_and(|run| run.ask(0)), "and it is made anew");
}

/// Lost otherwise: what was shredded, to a run that still has it; or a group that was opened again, beside the other.
#[test]
fn a_run_has_only_what_is_kept() {
    let cache = BlockCache::new(10_000);
    let (section, other) = (section(0, 3), section(1, 2));
    open(&cache, section);
    open(&cache, other);
    assert!(codes(&cache, section).is_some_and(|run| !run.ask(3)), "there are three");
    cache.put(section.origin(1), block(100));
    assert!(codes(&cache, section).is_none(), "another took the place of one of its groups");
    open(&cache, section);
    cache.forget(&[0; 16]);
    assert!(codes(&cache, section).is_none() && codes(&cache, other).is_some());
    // What is not kept is not joined, nor is what another opened meanwhile.
    cache.join(section, [(0, &block(100))]);
    assert!(codes(&cache, section).is_none());
    cache.forget(&[1; 16]);
    assert_eq!(lock(&cache.state).bytes, 0);
    assert!(lock(&cache.state).runs.is_empty());
}

/// Lost otherwise: large pages that are given back late, to runs that still have groups there.
#[test]
fn a_run_lets_go_of_what_moves() {
    let cache = with_large_pages(64 << 20, 4 << 20);
    let of = |incarnation: u8| Section { first: at(incarnation, 0), group_bytes: 48 << 10, groups: 100 };
    for number in 0..800 {
        let group = Opened::Rows(Arc::new(cache.place::<f32>(12 << 10)));
        cache.put(of((number % 8) as u8).origin(number / 8), group);
    }
    let found = cache.get((0..100).map(|number| of(7).origin(number)));
    cache.join(of(7), (0..).zip(found.iter().flatten()));
    drop(found);
    assert!(cache.run(of(7).first).is_some());
    (0..7).for_each(|incarnation| cache.forget(&[incarnation; 16]));
    assert!(cache.run(of(7).first).is_none(), "its groups moved");
    let slab = cache.slab.as_ref().expect("it has large pages");
    assert!(slab.spare_bytes() <= 4 << 20, "{} bytes are spare", slab.spare_bytes());
    cache.forget(&[7; 16]);
    assert_eq!((lock(&cache.state).bytes, slab.spare_bytes()), (0, 0));
}
