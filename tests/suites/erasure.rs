//! Is what was erased gone, and does everything else stay?
//!
//! Partitions, workspaces and documents are erased on the simulated machine, through the engine's public calls, and
//! then looked for: in answers, in every byte of the machine, and in backups that are older than the erasure. If
//! this fails, a customer whose end-client asked to be forgotten has told them an untruth.

use std::collections::BTreeSet;

use strongroom_engine::io::sim::{Fault, Sim};
use strongroom_engine::{
    Filter, NewDocument, OpenError, OperatorScope, Query, ReadError, Receipt, ReceiptKind, RootKey,
    SearchRequest, Store, StoreError, StoreOptions, Unit, WriteError, verify_receipt,
};
use strongroom_tests::chance::Chance;
use strongroom_tests::model::{Spot, whole, workspace_id};
use strongroom_tests::shred::remains::{Incarnation, Witness, file_name, segments, slots};
use strongroom_tests::shred::scene::{DAY_MS, Scene, document, id, quiet, spot, vector};
use strongroom_tests::shred::strike::everywhere;
use strongroom_tests::shred::tenants::{
    check_receipt, drop_victim, drop_workspace, house, insist_on_dropped, neighbours, purge, receipts,
    victim, words,
};

/// After a drop of the victim, whatever interrupted it.
fn judge_drop(before: &Witness, scene: &mut Scene, durable: bool) {
    before.insist_on_neighbours(scene);
    if scene.find(&victim()).expect("no failure").is_some() {
        assert!(!durable, "a partition came back after its drop was durable");
        return drop_victim(scene).expect("it can still be dropped");
    }
    let said = receipts(scene).pop().expect("a receipt");
    check_receipt(&said);
    assert_eq!(before.gone(&scene.sim), BTreeSet::from([said.id]), "keys that went");
    let [marchbanks, nameless, _] = neighbours();
    before.insist_on_nothing(&scene.sim, &BTreeSet::from([said.id]), &[&victim(), &marchbanks, &nameless]);
    before.insist_on_zeros(&scene.sim, &BTreeSet::from([said.id]));
    before.insist_on_an_end(&scene.sim);
    scene.flush();
    scene.reopen();
    assert!(scene.find(&victim()).expect("no failure").is_none(), "it came back after a flush");
    before.insist_on_one_receipt(scene);
    before.insist_on_neighbours(scene);
}

// A dropped partition leaves words, vectors, names or its key on the disk, or its neighbours lose something.
#[test]
fn nothing_of_a_dropped_partition_is_left() {
    let mut scene = house();
    let before = Witness::new(&scene, 1, &neighbours().each_ref());
    let dropped = scene.store().drop_partition(&victim().scope(), &victim().at()).expect("dropped");
    let (counts, receipt) = dropped.expect("it was there");
    assert_eq!((counts.documents, counts.deleted, counts.passages), (5, 2, 10));
    let said = verify_receipt(&receipt.bytes).expect("a receipt that verifies");
    let (count, bytes) = before.segments_of(&said.id);
    assert_eq!(count, 2, "the victim lies in two segments");
    assert_eq!(said.bytes_overwritten.get(), bytes);
    assert!(said.bytes_searched.get() > bytes, "segments and slots were read back");
    let mut forged = receipt.bytes.clone();
    forged[100] ^= 1;
    assert!(verify_receipt(&forged).is_err(), "a receipt that was changed");
    judge_drop(&before, &mut scene, true);
}

// The machine dies in the midst of a drop, and a part of the end-client's data stays readable for ever.
#[test]
fn a_drop_that_is_interrupted_anywhere_is_finished_or_never_happened() {
    let scene = house();
    let before = Witness::new(&scene, 1, &neighbours().each_ref());
    let judge = |scene: &mut Scene, durable| judge_drop(&before, scene, durable);
    let interruptions = everywhere(&scene, drop_victim, judge);
    assert!(interruptions > 100, "only {interruptions}");
}

/// After a drop of workspace 1, whatever interrupted it.
fn judge_workspace(before: &Witness, scene: &mut Scene, durable: bool) {
    before.insist_on_neighbours(scene);
    let id = workspace_id(1).0;
    match scene.store().partitions(&whole(1), "default") {
        Ok(_) => {
            assert!(!durable, "a workspace came back after its drop was durable");
            assert!(scene.find(&victim()).expect("no failure").is_some(), "half a workspace went");
            let dropped = scene.store().drop_workspace(&OperatorScope::grant(), workspace_id(1));
            assert!(dropped.expect("it can still be dropped").is_some());
        }
        Err(error) => assert!(matches!(error, StoreError::NoWorkspace), "{error}"),
    }
    let mut said = receipts(scene).into_iter().filter(|said| said.id == id);
    let (said, second) = (said.next().expect("a receipt"), said.next());
    assert!(second.is_none(), "one workspace, two receipts");
    let counts = [said.partitions, said.documents, said.deleted, said.passages].map(|count| count.get());
    assert_eq!((said.kind(), counts), (Ok(ReceiptKind::Workspace), [3, 12, 2, 24]));
    let keys = before.keys_of_workspace(&id);
    assert!(keys.len() > 10, "the workspace's, three partitions', and spares");
    assert_eq!(said.keys_overwritten.get(), keys.len() as u64);
    assert_eq!(before.gone(&scene.sim), keys, "keys that went");
    let [marchbanks, nameless, _] = neighbours();
    before.insist_on_nothing(&scene.sim, &keys, &[&victim(), &marchbanks, &nameless]);
    before.insist_on_zeros(&scene.sim, &keys);
    scene.flush();
    scene.reopen();
    before.insist_on_neighbours(scene);
}

// A customer leaves, and something of theirs stays; or another customer's data goes with it.
#[test]
fn nothing_of_a_dropped_workspace_is_left_wherever_it_is_interrupted() {
    let scene = house();
    let before = Witness::new(&scene, 1, &[&neighbours()[2]]);
    let judge = |scene: &mut Scene, durable| judge_workspace(&before, scene, durable);
    let interruptions = everywhere(&scene, drop_workspace, judge);
    assert!(interruptions > 100, "only {interruptions}");
    drop_workspace(&scene).expect("dropped");
    judge_workspace(&before, &mut scene.copy(), true);
    before.insist_on_one_receipt(&scene);
    before.insist_on_an_end(&scene.sim);
}

// A document that had to go at once lives on in an old segment, or the rest of its partition is lost with it.
#[test]
fn nothing_of_a_purged_document_is_left_wherever_it_is_interrupted() {
    let scene = house();
    let before = Witness::new(&scene, 1, &neighbours().each_ref());
    let calm = scene.copy();
    purge(&calm, 1).expect("purged");
    let (whole, rest) = [&scene, &calm].map(|scene| scene.told_by(&victim()).expect("it answers")).into();
    assert!(whole != rest && rest.as_deref().is_some_and(|rest| !rest.contains(&words(1))));
    let judge = |scene: &mut Scene, durable: bool| {
        let told = scene.told_by(&victim()).expect("it answers");
        if told == whole {
            assert!(!durable, "a document came back after its purge was durable");
            return purge(scene, 1).expect("it can still be purged");
        }
        assert_eq!(told, rest, "the rest of the partition");
        scene.flush();
        let said = receipts(scene).pop().expect("a receipt");
        assert_eq!((said.kind(), said.documents.get()), (Ok(ReceiptKind::Purge), 1));
        assert_eq!(before.gone(&scene.sim), BTreeSet::from([said.id]), "keys that went");
        before.insist_on_nothing(&scene.sim, &BTreeSet::from([said.id]), &[&victim()]);
        before.insist_on_an_end(&scene.sim);
        scene.reopen();
        assert_eq!(scene.told_by(&victim()).expect("it answers"), rest, "after a restart");
        before.insist_on_one_receipt(scene);
        before.insist_on_neighbours(scene);
    };
    let interruptions = everywhere(&scene, |scene| purge(scene, 1), judge);
    assert!(interruptions > 100, "only {interruptions}");
}

/// An older copy of the machine beside today's keyring.
fn with_keyring_of(backup: &Sim, today: &Sim) -> Scene {
    let restored = backup.snapshot();
    for (name, bytes) in today.files().iter().filter(|(name, _)| name.starts_with("keyring/")) {
        restored.files_set(name, bytes);
    }
    Scene::on(restored, quiet()).expect("neighbours are to be served")
}

/// Machines that hold a victim and its neighbours, in segments and in the log, or in the log alone.
fn backups() -> [Scene; 2] {
    let log_alone = Scene::new(3, quiet());
    neighbours().iter().chain([&victim()]).for_each(|spot| log_alone.put(spot, 0..4));
    [house(), log_alone]
}

// A restored backup brings back an end-client who was erased since.
#[test]
fn an_older_backup_with_todays_keyring_opens_nothing_that_was_dropped() {
    for scene in backups() {
        let before = Witness::new(&scene, 1, &neighbours().each_ref());
        let backup = scene.sim.snapshot();
        drop_victim(&scene).expect("dropped");
        let mut restored = with_keyring_of(&backup, &scene.sim);
        for _ in 0..2 {
            assert!(restored.find(&victim()).expect("no failure").is_none(), "it is back");
            before.insist_on_neighbours(&restored);
            restored.flush();
            restored.reopen();
        }
    }
}

// The same for a customer with all their end-clients.
#[test]
fn an_older_backup_with_todays_keyring_opens_nothing_of_a_dropped_workspace() {
    for scene in backups() {
        let before = Witness::new(&scene, 1, &[&neighbours()[2]]);
        let backup = scene.sim.snapshot();
        drop_workspace(&scene).expect("dropped");
        let mut restored = with_keyring_of(&backup, &scene.sim);
        for _ in 0..2 {
            let listed = restored.store().partitions(&whole(1), "default");
            assert!(matches!(listed, Err(StoreError::NoWorkspace)), "{listed:?}");
            before.insist_on_neighbours(&restored);
            restored.flush();
            restored.reopen();
        }
    }
}

// The same for a document that was purged.
#[test]
fn an_older_backup_with_todays_keyring_tells_nothing_that_was_purged() {
    for scene in backups() {
        let before = Witness::new(&scene, 1, &neighbours().each_ref());
        let backup = scene.sim.snapshot();
        purge(&scene, 1).expect("purged");
        let mut restored = with_keyring_of(&backup, &scene.sim);
        for _ in 0..2 {
            assert!(!restored.told_by_all().contains(&words(1)), "it is back");
            before.insist_on_neighbours(&restored);
            restored.flush();
            restored.reopen();
        }
    }
}

// A slot of the keyring serves another end-client by now, and an old backup is opened with that one's key.
#[test]
fn an_older_backup_opens_nothing_under_slots_that_serve_others() {
    let scene = house();
    let before = Witness::new(&scene, 1, &neighbours().each_ref());
    let backup = scene.sim.snapshot();
    let old = slots(&backup);
    drop_victim(&scene).expect("dropped");
    let gone: Incarnation = receipts(&scene).pop().expect("a receipt").id;
    let slot = old.iter().find(|slot| slot.incarnation == gone).expect("its slot").slot;
    let serves = |scene: &Scene| slots(&scene.sim)[slot.get() as usize].incarnation;
    for number in 0..80 {
        let next = spot(1, &format!("lodger {number}"));
        scene.put(&next, 0..1);
        if number % 2 == 0 {
            scene.store().drop_partition(&next.scope(), &next.at()).expect("dropped");
        }
        scene.flush();
    }
    assert_ne!(serves(&scene), gone, "the slot serves another");
    let restored = with_keyring_of(&backup, &scene.sim);
    let told = restored.told_by_all();
    assert!(restored.find(&victim()).expect("no failure").is_none() && !told.contains("lodger"), "{told}");
    before.insist_on_neighbours(&restored);
    let today = scene.copy();
    assert!(today.told_by(&spot(1, "lodger 79")).expect("it answers").is_some());
}

// A handle from before the drop reads, or writes into, what is gone; or into what has the name now.
#[test]
fn a_handle_from_before_a_drop_answers_dropped() {
    let scene = house();
    let handle = scene.partition(&victim());
    drop_victim(&scene).expect("dropped");
    insist_on_dropped(&handle, &victim());
    scene.put(&victim(), 0..2);
    insist_on_dropped(&handle, &victim());
    let (beside, successor) = (scene.partition(&neighbours()[0]), scene.partition(&victim()));
    drop_workspace(&scene).expect("dropped");
    insist_on_dropped(&beside, &neighbours()[0]);
    insist_on_dropped(&successor, &victim());
    assert!(matches!(scene.writer(&victim()), Err(StoreError::NoWorkspace)));
}

// After a purge the partition can't be used until somebody takes a new handle, or the document is still found.
#[test]
fn a_handle_goes_on_after_a_purge() {
    let (mut scene, spot) = (house(), victim());
    let handle = scene.partition(&spot);
    for (number, was_live) in [(1, true), (0, false), (2, false), (6, true)] {
        let id = id(&spot, number);
        assert_eq!(handle.get(&id).expect("read").is_some(), was_live);
        purge(&scene, number).expect("purged");
        assert!(
            handle.get(&id).expect("read").is_none() && handle.passages(&id, 0, 9).expect("read").is_none()
        );
        assert!(matches!(handle.restore(&id), Err(WriteError::NotFound)), "it can be restored");
        assert!(matches!(purge(&scene, number), Err(StoreError::Write(WriteError::NotFound))));
    }
    handle.put(document(&spot, 1, 3)).expect("the id is free");
    drop(handle);
    for _ in 0..2 {
        let told = scene.told_by(&spot).expect("it answers").expect("it is there");
        assert!(told.contains("edition 3") && !told.contains(&words(6)));
        scene.flush();
        scene.reopen();
    }
    assert_eq!(receipts(&scene).len(), 4);
}

// A purge that maintenance was to make final is forgotten in a restart, or each of many rewrites the partition.
#[test]
fn purges_share_one_rewriting_and_survive_restarts() {
    let (mut scene, spot) = (house(), victim());
    let handle = scene.partition(&spot);
    handle.purge(&id(&spot, 1)).expect("purged");
    handle.purge(&id(&spot, 2)).expect("purged");
    drop(handle);
    let before = Witness::new(&scene, 1, &neighbours().each_ref());
    for _ in 0..3 {
        let told = scene.told_by(&spot).expect("it answers").expect("it is there");
        assert!(!told.contains(&words(1)) && !told.contains(&words(2)) && told.contains(&words(3)));
        assert!(matches!(scene.partition(&spot).restore(&id(&spot, 2)), Err(WriteError::NotFound)));
        scene.reopen();
        scene.flush();
        before.insist_on_one_receipt(&scene);
    }
    let said = receipts(&scene).pop().expect("a receipt");
    assert_eq!((said.kind(), said.documents.get()), (Ok(ReceiptKind::Purge), 2));
    before.insist_on_nothing(&scene.sim, &BTreeSet::from([said.id]), &[&spot]);
    before.insist_on_zeros(&scene.sim, &BTreeSet::from([said.id]));
}

/// Deleted documents can be restored for a day.
fn for_a_day() -> StoreOptions {
    StoreOptions { retention_ms: DAY_MS, ..quiet() }
}

/// A document in the oldest segment, again in a later one, and deleted.
fn deleted_after_an_update() -> Scene {
    let (scene, spot) = (Scene::new(4, for_a_day()), victim());
    scene.put(&spot, 0..3);
    // Letters without a pattern: what is large stays so.
    let mut chance = Chance::new(1);
    let content = (0..100_000).map(|_| b'a' + (chance.bits() % 26) as u8).collect();
    let large = NewDocument { content, ..document(&spot, 3, 1) };
    let handle = scene.partition(&spot);
    handle.put(large).expect("inserted");
    scene.flush();
    handle.update(&id(&spot, 0), document(&spot, 0, 2)).expect("updated");
    scene.flush();
    handle.delete(&id(&spot, 0)).expect("deleted");
    scene.flush();
    scene
}

/// How many segments a search in the victim opens.
fn segments_opened(scene: &Scene) -> u32 {
    let (vector, filter) = (vector(&victim(), 1), Filter::default());
    let request = SearchRequest {
        query: Query::Vector(&vector),
        unit: Unit::Documents,
        k: 1,
        filter: &filter,
        similarity_min: 0.0,
        recall: None,
        ages: None,
        with_content: false,
    };
    scene.partition(&victim()).search(&request).expect("searched").trace.segments_opened
}

/// No version of the document is left, not even after a restart, and its id is free.
fn insist_on_expired(scene: &mut Scene) {
    let (spot, id) = (victim(), id(&victim(), 0));
    for _ in 0..2 {
        let handle = scene.partition(&spot);
        assert!(matches!(handle.restore(&id), Err(WriteError::NotFound)), "it can be restored");
        assert!(handle.get(&id).expect("read").is_none());
        assert_eq!(scene.store().totals(&spot.scope()).expect("counted").counts.deleted, 0);
        drop(handle);
        scene.reopen();
    }
    let handle = scene.partition(&spot);
    handle.put(document(&spot, 0, 3)).expect("the id is free");
    scene.flush();
    handle.delete(&id).expect("deleted");
    drop(handle);
    scene.reopen();
    scene.partition(&spot).restore(&id).expect("the new one is restored, no older one");
    assert!(scene.told_by(&spot).expect("it answers").is_some_and(|told| told.contains("edition 3")));
}

// A deleted document is gone too early, or never; or with its last version gone an older one comes back.
#[test]
fn what_was_deleted_can_be_restored_for_the_window_and_then_is_gone() {
    let mut scene = deleted_after_an_update();
    let id = id(&victim(), 0);
    scene.sim.advance_ms(DAY_MS - 1);
    scene.flush();
    let copy = scene.copy();
    copy.partition(&victim()).restore(&id).expect("it can be restored within the window");
    assert!(copy.told_by(&victim()).expect("it answers").is_some_and(|told| told.contains("edition 2")));
    // A while more, so that one rewriting serves many.
    scene.sim.advance_ms(DAY_MS / 16 + 2);
    assert_eq!(scene.flush(), 1, "merged");
    assert_eq!(segments_opened(&scene), 1, "all segments were merged into one");
    insist_on_expired(&mut scene);
}

// The same when the newer segments alone are merged, and the older version's segment stays as it is.
#[test]
fn what_expires_in_newer_segments_does_not_uncover_an_older_version() {
    let mut scene = deleted_after_an_update();
    let handle = scene.partition(&victim());
    scene.sim.advance_ms(DAY_MS + 1);
    let mut editions = 2..9;
    while scene.flush() == 0 {
        let edition = editions.next().expect("segments are merged");
        handle.update(&id(&victim(), 1), document(&victim(), 1, edition)).expect("updated");
    }
    drop(handle);
    assert_eq!(segments_opened(&scene), 2, "the oldest segment stays, the others are merged");
    insist_on_expired(&mut scene);
}

// Partitions that nobody uses keep what was deleted for ever.
#[test]
fn resting_partitions_are_found_when_their_time_comes() {
    let mut scene = Scene::on(deleted_after_an_update().sim, StoreOptions { cache_bytes: 0, ..for_a_day() })
        .expect("the store opens");
    let maintained = |scene: &Scene| scene.store().run_maintenance().expect("maintained");
    assert!(scene.find(&victim()).expect("no failure").is_some());
    assert_eq!(maintained(&scene).closed, 1, "it rests");
    scene.sim.advance_ms(DAY_MS + DAY_MS / 16 + 2);
    maintained(&scene);
    assert_eq!(segments_opened(&scene), 1, "it was merged for that alone");
    insist_on_expired(&mut scene);
}

// Bit rot is served, or takes other end-clients with it, or what it hit can't even be erased.
#[test]
fn a_scrub_names_damage_and_quarantines_one_partition() {
    let scene = house();
    let before = Witness::new(&scene, 1, &neighbours().each_ref());
    let spare = scene.sim.snapshot();
    drop_victim(&Scene::on(spare.clone(), quiet()).expect("it opens")).expect("dropped");
    let of_victim: Incarnation = before.gone(&spare).pop_first().expect("one key went");
    let places = &segments(&scene.sim)[&of_victim];
    for (place, offset) in places
        .iter()
        .flat_map(|place| [0, 40, place.bytes / 2, place.bytes - 1].map(|offset| (place, offset)))
    {
        let scene = scene.copy();
        let file = file_name(place);
        assert!(scene.told_by(&victim()).expect("it answers").is_some(), "it is in use");
        scene.sim.flip_bit(&file, place.offset + offset, 3);
        let scrubbed = scene.store().scrub(&OperatorScope::grant(), u64::MAX).expect("scrubbed");
        let named: Vec<&str> = scrubbed.damages.iter().map(|damage| &*damage.file).collect();
        assert!(scrubbed.is_complete && named == [&file], "byte {offset}: {:?}", scrubbed.damages);
        let told = scene.told_by(&victim());
        assert!(matches!(told, Err(StoreError::Read(ReadError::Quarantined(_)))), "{told:?}");
        let written = scene.partition(&victim()).put(document(&victim(), 9, 1));
        assert!(matches!(written, Err(WriteError::Quarantined(_))), "{written:?}");
        before.insist_on_neighbours(&scene);
        drop_victim(&scene).expect("dropped");
        check_receipt(&receipts(&scene).pop().expect("a receipt"));
        before.insist_on_nothing(&scene.sim, &before.gone(&scene.sim), &[&victim()]);
        before.insist_on_zeros(&scene.sim, &before.gone(&scene.sim));
        before.insist_on_neighbours(&scene);
    }
}

// A full disk keeps an end-client's data from being erased, or takes the store down until somebody restarts it.
#[test]
fn on_a_full_disk_erasures_succeed_and_writes_wait_for_space() {
    let scene = house();
    let [marchbanks, nameless, elsewhere] = neighbours();
    let before = Witness::new(&scene, 1, &[&elsewhere]);
    scene.sim.fail_after(0, Fault::Enospc);
    let put = |spot: &Spot| {
        scene
            .writer(spot)
            .map_err(Some)
            .and_then(|to| to.put(document(spot, 7, 1)).map(drop).map_err(|error| Some(error.into())))
    };
    let insist_on_full = || {
        let written = put(&elsewhere);
        assert!(matches!(written, Err(Some(StoreError::Write(WriteError::Full)))), "{written:?}");
        before.insist_on_neighbours(&scene);
    };
    insist_on_full();
    scene.partition(&nameless).delete(&id(&nameless, 0)).expect("deleted");
    insist_on_full();
    purge(&scene, 1).expect("purged");
    insist_on_full();
    drop_victim(&scene).expect("dropped");
    insist_on_full();
    assert!(scene.partition(&marchbanks).get(&id(&marchbanks, 0)).expect("read").is_some());
    let said: Vec<_> = receipts(&scene).iter().map(Receipt::kind).collect();
    assert!(said.contains(&Ok(ReceiptKind::Purge)) && said.contains(&Ok(ReceiptKind::Partition)), "{said:?}");
    drop_workspace(&scene).expect("dropped");
    assert_eq!(before.gone(&scene.sim), before.keys_of_workspace(&workspace_id(1).0));
    insist_on_full();
    scene.sim.make_space();
    scene.store().run_maintenance().expect("maintained");
    put(&elsewhere).expect("writes are taken again");
    let mut scene = scene;
    scene.reopen();
    assert!(scene.partition(&elsewhere).get(&id(&elsewhere, 7)).expect("read").is_some());
}

// Two processes write into one store and destroy it.
#[test]
fn a_second_process_is_refused() {
    let scene = house();
    let open = || Store::open(scene.sim.medium(), RootKey([7; 32]), quiet());
    assert!(matches!(open().map(drop), Err(OpenError::Locked)));
    scene.put(&victim(), 7..8);
    let (sim, rest) = (scene.sim.clone(), scene.told_by(&victim()).expect("it answers"));
    drop(scene);
    let second = Store::open(sim.medium(), RootKey([7; 32]), quiet()).expect("the first one ended");
    assert!(rest.is_some() && second.partition(&victim().scope(), &victim().at()).expect("found").is_some());
}
