//! Does an erasure that was interrupted end as one that was not?
//!
//! The power goes at each step of a workspace drop and of a purge; the store opens, goes on, and opens again. If this
//! fails, receipts tell of erasures that nobody asked for, or bytes stay that a receipt says are gone.

use std::collections::BTreeSet;

use strongroom_engine::io::sim::Fault;
use strongroom_tests::model::whole;
use strongroom_tests::shred::remains::Witness;
use strongroom_tests::shred::scene::{Scene, quiet};
use strongroom_tests::shred::tenants::{drop_workspace, house, neighbours, purge, receipts};

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
