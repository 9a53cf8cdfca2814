//! Does an erasure that was interrupted end as one that was not?
//!
//! The power goes at each step of a workspace drop and of a purge; the store opens, goes on, and opens again. If this
//! fails, receipts tell of erasures that nobody asked for, or bytes stay that a receipt says are gone; or the host
//! never learns of an erasure that no call of its own answered.

use std::collections::BTreeSet;

use strongroom_engine::io::sim::Fault;
use strongroom_engine::{OperatorScope, ReceiptKind, StoreError, WorkspaceId};
use strongroom_tests::model::{whole, workspace_id};
use strongroom_tests::shred::remains::Witness;
use strongroom_tests::shred::scene::{Scene, quiet};
use strongroom_tests::shred::tenants::{drop_victim, drop_workspace, house, neighbours, purge, receipts};

// A customer gets signed receipts for end-clients that nobody dropped, of zero documents each.
#[test]
fn a_workspace_drop_that_is_interrupted_has_one_receipt() {
    let scene = house();
    let before = Witness::new(&scene, 1, &[&neighbours()[2]]);
    for step in 0.. {
        let life = scene.copy();
        life.sim.fail_after(step, Fault::Crash);
        if drop_workspace(&life).is_ok() {
            return;
        }
        let mut life = Scene::on(life.sim.snapshot(), quiet()).expect("the store opens");
        if life.store().partitions(&whole(1), "default").is_ok() {
            drop_workspace(&life).expect("it can still be dropped");
        }
        life.flush();
        life.reopen();
        before.insist_on_one_receipt(&life);
        before.insist_on_an_end(&life.sim);
    }
}

// What a partition held under its old key stays in a shared segment file for ever.
#[test]
fn a_purge_that_is_interrupted_leaves_zeros() {
    let scene = house();
    let before = Witness::new(&scene, 1, &neighbours().each_ref());
    for step in 0.. {
        let life = scene.copy();
        life.sim.fail_after(step, Fault::Crash);
        if purge(&life, 1).is_ok() {
            return;
        }
        let life = Scene::on(life.sim.snapshot(), quiet()).expect("the store opens");
        purge(&life, 1).ok();
        life.flush();
        let said = receipts(&life).pop().expect("a receipt");
        before.insist_on_zeros(&life.sim, &BTreeSet::from([said.id]));
    }
}

/// An erasure.
type Act = fn(&Scene) -> Result<(), StoreError>;

// An erasure that failed half-way, and that the server finished by itself, is never written down in the audit log.
#[test]
fn an_erasure_that_its_call_did_not_answer_is_told_once() {
    let operator = OperatorScope::grant();
    let scene = house();
    let acts: [(Act, ReceiptKind); 3] = [
        (drop_victim, ReceiptKind::Partition),
        (|life| purge(life, 1), ReceiptKind::Purge),
        (drop_workspace, ReceiptKind::Workspace),
    ];
    for (act, kind) in acts {
        let mut unfinished = 0;
        for step in 0.. {
            let life = scene.copy();
            life.sim.fail_after(step, Fault::StuckEio);
            let outcome = act(&life);
            life.sim.mend();
            if outcome.is_ok() {
                assert_eq!(life.store().take_erased(&operator), [], "the call answered it");
                break;
            }
            if life.store().run_maintenance().is_err() {
                // The log is poisoned: only a start goes on from here, and that looks through all receipts.
                continue;
            }
            let told = life.store().take_erased(&operator);
            let receipts: Vec<_> = receipts(&life).iter().map(|said| said.id).collect();
            assert_eq!(told.iter().map(|erased| erased.id).collect::<Vec<_>>(), receipts, "step {step}");
            assert!(told.iter().all(|erased| erased.kind == kind && erased.workspace == workspace_id(1)));
            assert_eq!(life.store().take_erased(&operator), [], "told twice");
            unfinished += told.len();
        }
        assert!(unfinished > 3, "{kind:?}: only {unfinished} were finished by maintenance");
    }
}

// A receipt, or those of a whole customer who left, would be passed over when the audit log is brought up to date.
#[test]
fn who_goes_through_all_receipts_meets_each_once() {
    let operator = OperatorScope::grant();
    let mut scene = house();
    purge(&scene, 1).expect("purged");
    drop_victim(&scene).expect("dropped");
    let [marchbanks, _, elsewhere] = neighbours();
    for spot in [&marchbanks, &elsewhere] {
        scene.store().drop_partition(&spot.scope(), &spot.at()).expect("dropped");
    }
    drop_workspace(&scene).expect("dropped");
    scene.reopen();
    let expected: Vec<_> = [1, 2]
        .into_iter()
        .flat_map(|workspace| scene.receipts(workspace))
        .map(|found| (WorkspaceId(found.receipt.workspace), found.receipt.id))
        .collect();
    assert_eq!(expected.len(), 5);
    for limit in [1, 2, 3, 5, 99] {
        let (mut met, mut after) = (Vec::new(), None);
        loop {
            let page = scene.store().receipt_ids(&operator, after, limit).expect("listed");
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(*last);
            met.extend(page);
        }
        assert_eq!(met, expected, "{limit} at a time");
    }
    for (workspace, id) in expected {
        let found = scene.store().receipt_of(&operator, workspace, id).expect("read").expect("it is there");
        assert_eq!((found.receipt.workspace, found.receipt.id), (workspace.0, id));
    }
    assert!(scene.store().receipt_of(&operator, workspace_id(1), [0; 16]).expect("read").is_none());
}
