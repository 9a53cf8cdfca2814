//! Do keys come back, go for good, and make room for others?

#![allow(clippy::unwrap_used)]

mod damage;
mod power;

use super::*;
use crate::io::sim::{Fault as SimFault, Sim};
use crate::seal::fingerprint;
use strongroom_format::keyring::SLOT_BYTES;

const WORKSPACE: Incarnation = [3; 16];
const MIRRORS: [&str; 2] = ["keyring/0", "keyring/1"];

fn root() -> Key {
    Key::from_bytes([9; 32])
}

fn load(sim: &Sim) -> (Keyring, Loaded) {
    let medium = sim.restart();
    Keyring::open(medium.slots, medium.entropy).unwrap()
}

fn open(sim: &Sim) -> Keyring {
    load(sim).0
}

/// A keyring with a workspace in slot 0 and this many partitions in the slots after it.
fn with_partitions(sim: &Sim, count: usize) -> (Keyring, Key, Vec<Minted>) {
    let keyring = open(sim);
    let (_, workspace) = keyring.workspace(&root(), WORKSPACE).unwrap();
    let minted = (0..count).map(|_| keyring.mint(WORKSPACE, &workspace).unwrap()).collect();
    (keyring, workspace, minted)
}

fn same(a: &Key, b: &Key) -> bool {
    fingerprint(a) == fingerprint(b)
}

/// The key of a slot, as if nobody had looked before.
fn find(keyring: &Keyring, above: &Key, minted: &Minted) -> Option<Key> {
    keyring.find(above, minted.slot, minted.incarnation).unwrap()
}

fn drop_of(minted: &[Minted]) -> Vec<(u32, Incarnation)> {
    minted.iter().map(|minted| (minted.slot, minted.incarnation)).collect()
}

fn numbers_of(minted: &[Minted]) -> Vec<u32> {
    minted.iter().map(|minted| minted.slot).collect()
}

/// These mirrors on a machine of their own.
fn machine(mirrors: &[Vec<u8>; 2]) -> Sim {
    let sim = Sim::new(1);
    let slots = sim.medium().slots;
    for (mirror, bytes) in mirrors.iter().enumerate() {
        let whole = bytes.len() / SLOT_BYTES * SLOT_BYTES;
        if whole > 0 {
            slots.write_slots(mirror, 0, &bytes[..whole]).unwrap();
        }
    }
    sim
}

/// The whole mirrors as they are on the medium.
fn mirrors_of(sim: &Sim) -> [Vec<u8>; 2] {
    let files = sim.files();
    MIRRORS.map(|mirror| files.iter().find(|(name, _)| name == mirror).map_or_else(Vec::new, |f| f.1.clone()))
}

/// The bytes of a slot in each mirror.
fn on_medium(sim: &Sim, slot: u32) -> [Vec<u8>; 2] {
    let begin = slot as usize * SLOT_BYTES;
    mirrors_of(sim).map(|mirror| mirror[begin..begin + SLOT_BYTES].to_vec())
}

fn is_in_both(sim: &Sim, slot: u32) -> bool {
    let [first, second] = on_medium(sim, slot);
    first == second && KeySlot::read(&first, slot).is_ok_and(|slot| slot.is_some())
}

fn sealed_key(sim: &Sim, slot: u32) -> [u8; 48] {
    KeySlot::read(&on_medium(sim, slot)[0], slot).unwrap().unwrap().sealed_key
}

/// Whether these bytes are anywhere on the medium.
fn stands(sim: &Sim, wanted: &[u8]) -> bool {
    let everything = sim.files().into_iter().chain(sim.residue());
    everything.into_iter().any(|(_, bytes)| bytes.windows(wanted.len()).any(|bytes| bytes == wanted))
}

/// Without this, a customer's data would be unreadable after a restart, or open with a foreign root key.
#[test]
fn keys_come_back_under_the_key_above_and_no_other() {
    let sim = Sim::new(1);
    let (_, _, minted) = with_partitions(&sim, 2);
    sim.crash();
    let (keyring, loaded) = load(&sim);
    assert_eq!(keyring.workspaces(), [(WORKSPACE, 0)]);
    let workspace = keyring.find(&root(), 0, WORKSPACE).unwrap().unwrap();
    assert!(same(&keyring.workspace(&root(), WORKSPACE).unwrap().1, &workspace));
    for minted in &minted {
        assert!(same(&find(&keyring, &workspace, minted).unwrap(), &minted.key));
        let key = loaded.key(&workspace.opener(), minted.slot, minted.incarnation).unwrap().unwrap();
        assert!(same(&key, &minted.key));
        assert!(matches!(
            keyring.find(&root(), minted.slot, minted.incarnation),
            Err(KeyringError::Unsealable(_))
        ));
        assert!(loaded.key(&root().opener(), minted.slot, minted.incarnation).is_err());
    }
    let other = Key::from_bytes([8; 32]);
    assert!(matches!(keyring.find(&other, 0, WORKSPACE), Err(KeyringError::Unsealable(_))));
    assert!(matches!(keyring.workspace(&other, WORKSPACE), Err(KeyringError::Unsealable(_))));
    assert_eq!(keyring.notes(), []);
}

/// Without this, one partition's records could be opened with another's key, or with a dropped one's.
#[test]
fn a_slot_gives_its_key_to_its_incarnation_alone() {
    let sim = Sim::new(1);
    let (keyring, workspace, minted) = with_partitions(&sim, 2);
    let (_, loaded) = load(&sim);
    let swapped = (minted[0].slot, minted[1].incarnation);
    assert!(keyring.find(&workspace, swapped.0, swapped.1).is_ok_and(|key| key.is_none()));
    assert!(loaded.key(&workspace.opener(), swapped.0, swapped.1).unwrap().is_none());
    assert!(keyring.find(&workspace, 1000, minted[0].incarnation).is_ok_and(|key| key.is_none()));
    let (keyring, _) = load(&sim);
    keyring.destroy(&[swapped], 9).unwrap();
    assert!(find(&keyring, &workspace, &minted[0]).is_some(), "a drop hits its own key alone");
    keyring.destroy(&drop_of(&minted[..1]), 9).unwrap();
    assert!(find(&keyring, &workspace, &minted[0]).is_none());
    assert!(find(&keyring, &workspace, &minted[1]).is_some());
}

/// Without this, recovery would take a dropped partition's records for damage, or open them.
#[test]
fn what_was_loaded_tells_each_incarnation() {
    let sim = Sim::new(1);
    let (keyring, _, minted) = with_partitions(&sim, 3);
    keyring.destroy(&drop_of(&minted[1..]), 9).unwrap();
    keyring.erased(&[minted[2].slot]).unwrap();
    let (keyring, loaded) = load(&sim);
    for (minted, state) in minted.iter().zip([SlotState::Live, SlotState::Shredding, SlotState::Shredded]) {
        assert_eq!(loaded.state(&minted.incarnation), state);
        assert_eq!(loaded.slot_of(&minted.incarnation), Some(minted.slot));
        assert_eq!(loaded.workspace_of(&minted.incarnation), Some(WORKSPACE));
        let kind = KeyKind::Partition;
        let incarnation = minted.incarnation;
        assert_eq!(
            keyring.slot(minted.slot),
            Some(SlotInfo { incarnation, workspace: WORKSPACE, kind, state })
        );
    }
    assert_eq!(loaded.state(&[7; 16]), SlotState::Free);
    assert_eq!(loaded.slot_of(&[7; 16]), None);
    assert_eq!(keyring.shredding(), [minted[1].slot]);
    assert_eq!(keyring.partitions_of(&WORKSPACE).len(), MINTED_TOGETHER - 2);
    assert_eq!(keyring.partitions_of(&[7; 16]), []);
    assert_eq!(keyring.slot(keyring.len() as u32), None);
}

/// Without this, a new partition could begin under a key that another has used.
#[test]
fn spares_are_keys_that_nobody_claims() {
    let sim = Sim::new(4);
    let (_, workspace, used) = with_partitions(&sim, 1);
    let keyring = open(&sim);
    keyring.set_spares(|slot| slot == used[0].slot);
    let before = sim.files();
    let minted: Vec<Minted> =
        (1..MINTED_TOGETHER).map(|_| keyring.mint(WORKSPACE, &workspace).unwrap()).collect();
    assert_eq!(sim.files(), before, "spares are durable already");
    assert!(minted.iter().all(|minted| minted.slot != used[0].slot));
    keyring.give_back(minted[4].slot);
    keyring.give_back(minted[4].slot);
    let again = keyring.mint(WORKSPACE, &workspace).unwrap();
    assert_eq!((again.slot, again.incarnation), (minted[4].slot, minted[4].incarnation));
    assert!(same(&again.key, &minted[4].key));
    keyring.mint(WORKSPACE, &workspace).unwrap();
    assert_ne!(sim.files(), before, "then more are minted");
    // What was destroyed is nobody's spare.
    keyring.give_back(minted[5].slot);
    keyring.destroy(&drop_of(&minted[5..6]), 9).unwrap();
    keyring.give_back(minted[5].slot);
    for _ in 0..2 * MINTED_TOGETHER {
        assert_ne!(keyring.mint(WORKSPACE, &workspace).unwrap().slot, minted[5].slot);
    }
}

/// Without this, a workspace that was dropped and made again could have no partitions.
#[test]
fn spares_of_a_workspace_that_had_the_same_id_are_passed_over() {
    let sim = Sim::new(4);
    let (keyring, ..) = with_partitions(&sim, 1);
    keyring.destroy(&[(0, WORKSPACE)], 9).unwrap();
    let keyring = open(&sim);
    keyring.set_spares(|_| false);
    let (slot, workspace) = keyring.workspace(&root(), WORKSPACE).unwrap();
    assert_ne!(slot, 0);
    assert!(keyring.mint(WORKSPACE, &workspace).unwrap().slot > slot);
}

/// Without this, the keyring would grow with every partition that ever was.
#[test]
fn dropped_slots_serve_again_and_the_files_stay_as_long_as_they_are() {
    let sim = Sim::new(5);
    let (mut keyring, workspace, _) = with_partitions(&sim, 0);
    let (mut longest, mut dropped) = (0, 0);
    let mut seen = std::collections::BTreeSet::new();
    while dropped < 1000 {
        let minted: Vec<Minted> = (0..20).map(|_| keyring.mint(WORKSPACE, &workspace).unwrap()).collect();
        minted.iter().for_each(|minted| assert!(seen.insert(minted.incarnation), "a key serves once"));
        // Every other first, so that free slots lie scattered.
        for half in [0, 1] {
            let half: Vec<_> = drop_of(&minted).into_iter().skip(half).step_by(2).collect();
            keyring.destroy(&half, dropped + 1).unwrap();
            keyring.erased(&half.iter().map(|(slot, _)| *slot).collect::<Vec<_>>()).unwrap();
        }
        dropped += minted.len() as u64;
        keyring.reuse(dropped);
        if dropped == 500 {
            keyring = open(&sim);
            keyring.set_spares(|_| false);
            keyring.reuse(dropped);
        }
        let bytes = sim.files()[0].1.len();
        if dropped <= 100 {
            longest = longest.max(bytes);
        }
        assert!(bytes <= longest, "{bytes} bytes after {dropped} drops, {longest} at first");
    }
    assert!(longest <= 3 * MINTED_TOGETHER * SLOT_BYTES);
}

/// Without this, recovery would meet records of a key whose end nobody remembers, and call them damage.
#[test]
fn a_slot_remembers_its_key_for_as_long_as_the_log_does() {
    let sim = Sim::new(5);
    let (keyring, workspace, minted) = with_partitions(&sim, MINTED_TOGETHER);
    keyring.destroy(&drop_of(&minted), 70).unwrap();
    keyring.reuse(71);
    assert!(keyring.mint(WORKSPACE, &workspace).unwrap().slot as usize > MINTED_TOGETHER, "not erased yet");
    keyring.erased(&numbers_of(&minted)).unwrap();
    keyring.set_spares(|_| true);
    keyring.reuse(70);
    assert!(keyring.mint(WORKSPACE, &workspace).unwrap().slot as usize > MINTED_TOGETHER, "still in the log");
    keyring.set_spares(|_| true);
    keyring.reuse(71);
    let again = keyring.mint(WORKSPACE, &workspace).unwrap();
    assert_eq!(again.slot, minted[0].slot);
    // Who still knows the old incarnation finds nothing.
    assert!(find(&keyring, &workspace, &minted[0]).is_none());
    assert!(keyring.is_destroyed(again.slot, minted[0].incarnation).unwrap());
    assert!(!keyring.is_destroyed(again.slot, again.incarnation).unwrap());
    // A workspace may get a slot that was a partition's.
    keyring.set_spares(|_| true);
    let (slot, key) = keyring.workspace(&root(), [4; 16]).unwrap();
    assert!(!numbers_of(&minted).contains(&slot), "all are taken");
    keyring.destroy(&[(slot, [4; 16])], 80).unwrap();
    keyring.erased(&[slot]).unwrap();
    keyring.reuse(81);
    let (again, other) = keyring.workspace(&root(), [5; 16]).unwrap();
    assert_eq!(again, slot);
    assert!(!same(&key, &other));
    assert_eq!(open(&sim).workspaces(), [(WORKSPACE, 0), ([5; 16], slot)]);
}

/// Without this, dropping a workspace of ten thousand partitions would take tens of thousands of syncs.
#[test]
fn neighbours_are_written_together() {
    let sim = Sim::new(6);
    let (keyring, _, minted) = with_partitions(&sim, 10_000);
    let before = sim.steps();
    keyring.destroy(&drop_of(&minted), 9).unwrap();
    // 10,000 slots are two stretches: each is read and written in both mirrors.
    assert_eq!(sim.steps() - before, 8);
    assert_eq!(keyring.shredding().len(), 10_000);
    let before = sim.steps();
    keyring.erased(&numbers_of(&minted)).unwrap();
    assert_eq!(sim.steps() - before, 8);
    let (keyring, loaded) = load(&sim);
    assert!(minted.iter().all(|minted| loaded.state(&minted.incarnation) == SlotState::Shredded));
    assert_eq!(keyring.notes(), []);
}

/// Without this, a million partitions would cost more memory than a small server has.
#[test]
fn a_slot_takes_24_bytes_of_memory() {
    assert_eq!(size_of::<Resident>(), 24);
    let sim = Sim::new(1);
    let (keyring, ..) = with_partitions(&sim, 1000);
    let slots = keyring.len();
    assert_eq!(size_of_val(&lock(&keyring.table).slots[..]), 24 * slots);
}
