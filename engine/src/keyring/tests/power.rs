//! What is left when the power goes, or a write fails, at any step?

use super::*;

/// The medium tears in different ways: so many machines for each step.
const SEEDS: u64 = 8;

/// Runs `act` on a keyring that `prepare` made, with the fault at each step in turn, and hands what came of
/// it to `check` after a restart. Returns how many steps there were.
fn at_every_step<T>(
    fault: SimFault,
    prepare: impl Fn(&Sim) -> (Keyring, T),
    act: impl Fn(&Keyring, &T) -> bool,
    check: impl Fn(&Sim, &T, bool),
) -> u64 {
    let mut steps = 0;
    loop {
        let mut is_done = false;
        for seed in 0..SEEDS {
            let sim = Sim::new(seed);
            let (keyring, prepared) = prepare(&sim);
            let before = sim.steps();
            sim.fail_after(steps, fault);
            let acted = act(&keyring, &prepared);
            is_done = sim.steps() - before <= steps;
            assert!(acted || !is_done, "without a fault it succeeds");
            // A fault that struck nothing must not strike the check.
            let sim = if acted { machine(&mirrors_of(&sim)) } else { sim };
            sim.crash();
            check(&sim, &prepared, acted);
        }
        if is_done {
            return steps;
        }
        steps += 1;
    }
}

const FAULTS: [SimFault; 4] = [SimFault::Crash, SimFault::Eio, SimFault::TornSlotWrite, SimFault::LostAnswer];

/// Whether all these keys are there.
fn all_open(keyring: &Keyring, workspace: &Key, minted: &[Minted]) -> bool {
    minted.iter().all(|minted| find(keyring, workspace, minted).is_some_and(|key| same(&key, &minted.key)))
}

/// Users lose: keys of others, or the store itself, when the power goes while a key is minted.
#[test]
fn a_mint_cut_short_costs_nobody_anything() {
    for fault in FAULTS {
        let steps = at_every_step(
            fault,
            |sim| {
                let (keyring, workspace, minted) = with_partitions(sim, MINTED_TOGETHER);
                (keyring, (workspace, minted))
            },
            |keyring, (workspace, _)| keyring.mint(WORKSPACE, workspace).is_ok(),
            |sim, (workspace, minted), _| {
                for _ in 0..2 {
                    let keyring = open(sim);
                    assert_eq!(keyring.unreadable(), []);
                    assert!(all_open(&keyring, workspace, minted));
                    keyring.set_spares(|slot| numbers_of(minted).contains(&slot));
                    // Whatever is handed out now is in both mirrors, also what the cut mint left.
                    let next: Vec<Minted> = (0..MINTED_TOGETHER + 1)
                        .map(|_| keyring.mint(WORKSPACE, workspace).unwrap())
                        .collect();
                    assert!(numbers_of(&next).into_iter().all(|slot| is_in_both(sim, slot)));
                    assert!(all_open(&open(sim), workspace, &next));
                    assert!(open(sim).notes().is_empty(), "mended");
                }
            },
        );
        assert!(steps >= 4, "{fault:?}: {steps}");
    }
}

/// Users lose: a dropped partition's key could be found in the keyring, or a crash would bring it back.
#[test]
fn a_destroyed_key_is_in_neither_mirror_whenever_the_power_goes() {
    for fault in FAULTS {
        let steps = at_every_step(
            fault,
            |sim| {
                let (keyring, workspace, minted) = with_partitions(sim, 8);
                let sealed = sealed_key(sim, minted[2].slot);
                (keyring, (workspace, minted, sealed))
            },
            |keyring, (_, minted, _)| keyring.destroy(&drop_of(&minted[2..5]), 9).is_ok(),
            |sim, (workspace, minted, sealed), acted| {
                let keyring = open(sim);
                assert_eq!(keyring.unreadable(), []);
                if acted {
                    assert!(!stands(sim, sealed), "as soon as it is said to be gone");
                } else {
                    // What the host does at open, for the drop is in the log.
                    keyring.destroy(&drop_of(&minted[2..5]), 9).unwrap();
                }
                assert!(!stands(sim, sealed));
                assert_eq!(keyring.shredding(), numbers_of(&minted[2..5]));
                for gone in &minted[2..5] {
                    assert!(find(&keyring, workspace, gone).is_none());
                    assert!(keyring.is_destroyed(gone.slot, gone.incarnation).unwrap());
                }
                assert!(all_open(&keyring, workspace, &minted[..2]));
                assert!(all_open(&keyring, workspace, &minted[5..]));
                sim.crash();
                assert_eq!(open(sim).shredding(), numbers_of(&minted[2..5]));
            },
        );
        assert!(steps >= 2, "{fault:?}: {steps}");
    }
}

/// Users lose: a dropped partition whose segments nobody erases after a crash.
#[test]
fn an_erasure_is_noted_or_done_again() {
    for fault in FAULTS {
        at_every_step(
            fault,
            |sim| {
                let (keyring, workspace, minted) = with_partitions(sim, 8);
                keyring.destroy(&drop_of(&minted[2..5]), 9).unwrap();
                (keyring, (workspace, minted))
            },
            |keyring, (_, minted)| keyring.erased(&numbers_of(&minted[2..5])).is_ok(),
            |sim, (workspace, minted), acted| {
                let (keyring, loaded) = load(sim);
                let left = keyring.shredding();
                assert!(!acted || left.is_empty());
                keyring.erased(&left).unwrap();
                assert_eq!(keyring.shredding(), []);
                for gone in &minted[2..5] {
                    assert_ne!(loaded.state(&gone.incarnation), SlotState::Live);
                    let slot = keyring.slot(gone.slot).unwrap();
                    assert_eq!((slot.state, slot.incarnation), (SlotState::Shredded, gone.incarnation));
                }
                assert!(all_open(&keyring, workspace, &minted[5..]));
                // The record that it retired with outlasts all of this.
                keyring.reuse(9);
                assert!(keyring.mint(WORKSPACE, workspace).unwrap().slot > minted[7].slot);
                keyring.set_spares(|_| true);
                keyring.reuse(10);
                assert_eq!(keyring.mint(WORKSPACE, workspace).unwrap().slot, minted[2].slot);
            },
        );
    }
}

/// Users lose: a dropped partition coming back, or a key of others, when the power goes while a slot gets a
/// new key.
#[test]
fn a_slot_that_serves_again_holds_the_old_or_the_new() {
    for fault in FAULTS {
        let steps = at_every_step(
            fault,
            |sim| {
                let (keyring, workspace, minted) = with_partitions(sim, MINTED_TOGETHER);
                keyring.destroy(&drop_of(&minted[2..12]), 9).unwrap();
                keyring.erased(&numbers_of(&minted[2..12])).unwrap();
                keyring.reuse(10);
                (keyring, (workspace, minted))
            },
            |keyring, (workspace, _)| keyring.mint(WORKSPACE, workspace).is_ok(),
            |sim, (workspace, minted), acted| {
                let (keyring, loaded) = load(sim);
                assert_eq!(keyring.unreadable(), []);
                assert_eq!(keyring.len(), MINTED_TOGETHER + 1, "the files don't grow");
                for old in &minted[2..12] {
                    assert!(find(&keyring, workspace, old).is_none());
                    assert!(keyring.is_destroyed(old.slot, old.incarnation).unwrap());
                    let state = keyring.slot(old.slot).unwrap().state;
                    let remembered = loaded.state(&old.incarnation);
                    assert!(matches!(
                        (state, remembered),
                        (SlotState::Live, SlotState::Free) | (SlotState::Shredded, SlotState::Shredded)
                    ));
                    assert!(!acted || state == SlotState::Live);
                }
                assert!(all_open(&keyring, workspace, &minted[..2]));
                assert!(all_open(&keyring, workspace, &minted[12..]));
                // All ten serve again, each once.
                let claimed: Vec<u32> =
                    numbers_of(&minted[..2]).into_iter().chain(numbers_of(&minted[12..])).collect();
                keyring.set_spares(|slot| claimed.contains(&slot));
                keyring.reuse(10);
                let mut again: Vec<u32> =
                    (0..10).map(|_| keyring.mint(WORKSPACE, workspace).unwrap().slot).collect();
                again.sort_unstable();
                assert_eq!(again, numbers_of(&minted[2..12]));
            },
        );
        assert!(steps >= 4, "{fault:?}: {steps}");
    }
}

/// Users lose: all of a workspace, when after a failure and a crash another key counts as the workspace's
/// than the one that its partitions are sealed under.
#[test]
fn a_workspace_has_one_key_however_often_its_making_failed() {
    for fault in FAULTS {
        at_every_step(
            fault,
            |sim| {
                let (keyring, workspace, minted) = with_partitions(sim, 4);
                keyring.destroy(&drop_of(&minted[1..2]), 9).unwrap();
                keyring.erased(&numbers_of(&minted[1..2])).unwrap();
                keyring.reuse(10);
                (keyring, (workspace, minted))
            },
            |keyring, (_, minted)| {
                let acted = keyring.workspace(&root(), [4; 16]).is_ok();
                // In between another slot, lower than the one that was tried, becomes free.
                let between = keyring
                    .destroy(&drop_of(&minted[..1]), 9)
                    .and_then(|()| keyring.erased(&numbers_of(&minted[..1])));
                keyring.reuse(10);
                let Ok((slot, key)) = keyring.workspace(&root(), [4; 16]) else { return false };
                let minted = keyring.mint([4; 16], &key);
                assert!(minted.is_err() || minted.is_ok_and(|minted| minted.slot != slot));
                acted && between.is_ok()
            },
            |sim, _, _| {
                let (keyring, loaded) = load(sim);
                let is_its = |slot: &&KeySlot| slot.incarnation == [4; 16];
                assert!(loaded.slots().iter().filter(is_its).count() <= 1);
                let (_, key) = keyring.workspace(&root(), [4; 16]).unwrap();
                keyring.set_spares(|_| false);
                for slot in keyring.partitions_of(&[4; 16]) {
                    let incarnation = keyring.slot(slot).unwrap().incarnation;
                    assert!(keyring.find(&key, slot, incarnation).unwrap().is_some());
                }
            },
        );
    }
}

/// Users lose: reads and erasures, which have to go on when the disk is full, also after a restart.
#[test]
fn a_full_disk_costs_new_keys_alone() {
    for steps in 0..6 {
        let sim = Sim::new(7);
        let (keyring, workspace, minted) = with_partitions(&sim, MINTED_TOGETHER);
        sim.fail_after(steps, SimFault::Enospc);
        let next = keyring.mint(WORKSPACE, &workspace);
        if steps < 4 {
            assert!(next.is_err());
        }
        let mut keyring = keyring;
        for _ in 0..2 {
            assert!(all_open(&keyring, &workspace, &minted[1..]));
            keyring.destroy(&drop_of(&minted[..1]), 9).unwrap();
            keyring.set_spares(|slot| numbers_of(&minted).contains(&slot));
            // A key that stands in one mirror is nobody's.
            if let Ok(spare) = keyring.mint(WORKSPACE, &workspace) {
                assert!(is_in_both(&sim, spare.slot));
            }
            keyring = open(&sim);
        }
        sim.make_space();
        let keyring = open(&sim);
        let next = keyring.mint(WORKSPACE, &workspace).unwrap();
        assert!(all_open(&open(&sim), &workspace, &[next]));
    }
}
