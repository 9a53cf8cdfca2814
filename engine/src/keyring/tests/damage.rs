//! How far does damage reach, and is it told?

use super::*;

/// Each key, by what is left of it in a keyring: itself, nothing, or an error.
fn still(keyring: &Keyring, workspace: &Key, minted: &[Minted]) -> Vec<Option<bool>> {
    minted
        .iter()
        .map(|minted| match keyring.find(workspace, minted.slot, minted.incarnation) {
            Ok(key) => Some(key.is_some_and(|key| same(&key, &minted.key))),
            Err(KeyringError::Fault(Fault::Damaged(_))) => None,
            Err(other) => panic!("{other}"),
        })
        .collect()
}

/// Users lose: their keys, by one torn page, or one flipped bit.
#[test]
fn a_flip_in_one_mirror_is_mended_from_the_other_and_noted() {
    let sim = Sim::new(2);
    let (_, workspace, minted) = with_partitions(&sim, 2);
    let whole = mirrors_of(&sim);
    for mirror in [0, 1] {
        for offset in 0..4 * SLOT_BYTES {
            let sim = machine(&whole);
            sim.flip_bit(MIRRORS[mirror], offset as u64, (offset % 8) as u8);
            let keyring = open(&sim);
            assert_eq!(still(&keyring, &workspace, &minted), [Some(true); 2]);
            assert_eq!(
                keyring.find(&root(), 0, WORKSPACE).unwrap().map(|key| same(&key, &workspace)),
                Some(true)
            );
            assert_eq!(mirrors_of(&sim), whole, "{mirror} is as it was");
            assert_eq!(keyring.unreadable(), []);
            let [note] = &keyring.notes()[..] else { panic!("one place: {:?}", keyring.notes()) };
            assert_eq!(note.file, MIRRORS[mirror]);
            assert_eq!(note.offset, (offset / SLOT_BYTES * SLOT_BYTES) as u64);
        }
    }
}

/// Users lose: every key of the store, by damage to one.
#[test]
fn a_flip_in_both_mirrors_costs_one_key() {
    let sim = Sim::new(2);
    let (_, workspace, minted) = with_partitions(&sim, 3);
    let whole = mirrors_of(&sim);
    for offset in 0..4 * SLOT_BYTES {
        let sim = machine(&whole);
        MIRRORS.iter().for_each(|mirror| sim.flip_bit(mirror, offset as u64, (offset % 8) as u8));
        let damaged = mirrors_of(&sim);
        let slot = (offset / SLOT_BYTES) as u32;
        let (keyring, loaded) = load(&sim);
        assert_eq!(keyring.unreadable(), [slot]);
        let places: Vec<(String, u64)> =
            keyring.notes().into_iter().map(|note| (note.file, note.offset)).collect();
        let at = u64::from(slot) * SLOT_BYTES as u64;
        assert_eq!(places, MIRRORS.map(|mirror| (mirror.to_owned(), at)));
        let wanted: Vec<_> = minted.iter().map(|minted| (minted.slot != slot).then_some(true)).collect();
        assert_eq!(still(&keyring, &workspace, &minted), wanted);
        for minted in &minted {
            let key = loaded.key(&workspace.opener(), minted.slot, minted.incarnation).unwrap();
            assert_eq!(key.is_some(), minted.slot != slot);
        }
        // A workspace that lost its key gets no other: its partitions would be sealed under two.
        assert_eq!(keyring.workspace(&root(), WORKSPACE).is_err(), slot == 0);
        keyring.workspace(&root(), [4; 16]).unwrap();
        // Nobody is given the slot.
        keyring.set_spares(|slot| numbers_of(&minted).contains(&slot));
        for _ in 0..MINTED_TOGETHER {
            assert_ne!(keyring.mint(WORKSPACE, &workspace).unwrap().slot, slot);
        }
        let range = at as usize..at as usize + SLOT_BYTES;
        for (before, after) in damaged.iter().zip(mirrors_of(&sim)) {
            assert_eq!(before[range.clone()], after[range.clone()], "left as it is");
        }
        // Its partition can be dropped all the same, and then the slot is one like others.
        let incarnation = minted.iter().find(|m| m.slot == slot).map_or(WORKSPACE, |m| m.incarnation);
        let sealed = KeySlot::read(&whole[0][range], slot).unwrap().unwrap().sealed_key;
        keyring.destroy(&[(slot, incarnation)], 9).unwrap();
        assert!(!stands(&sim, &sealed[..20]) && !stands(&sim, &sealed[28..]));
        assert!(keyring.is_destroyed(slot, incarnation).unwrap());
        let (keyring, loaded) = load(&sim);
        assert_eq!((keyring.unreadable(), keyring.notes()), (vec![], vec![]));
        assert_eq!(keyring.shredding(), [slot]);
        assert_eq!(loaded.state(&incarnation), SlotState::Shredding);
    }
}

/// Users lose: the store, when one mirror is lost or cut short.
#[test]
fn a_mirror_that_is_short_or_missing_comes_back_from_the_other() {
    let sim = Sim::new(2);
    let (_, workspace, minted) = with_partitions(&sim, 3);
    let whole = mirrors_of(&sim);
    let slots = whole[0].len() / SLOT_BYTES;
    for mirror in [0, 1] {
        let borders = (0..slots).map(|slot| slot * SLOT_BYTES);
        for bytes in borders.flat_map(|at| [at.saturating_sub(1), at, at + 1]) {
            let mut cut = whole.clone();
            cut[mirror].truncate(bytes);
            let sim = machine(&cut);
            let keyring = open(&sim);
            assert_eq!(still(&keyring, &workspace, &minted), [Some(true); 3]);
            assert_eq!(mirrors_of(&sim), whole);
            let there = bytes / SLOT_BYTES * SLOT_BYTES;
            let [note] = &keyring.notes()[..] else { panic!("one place: {:?}", keyring.notes()) };
            assert_eq!((note.file.as_str(), note.offset), (MIRRORS[mirror], there as u64));
        }
    }
}

/// Users lose: the keys of partitions, silently, when their slots are taken for leftovers of a mint.
#[test]
fn damage_beyond_a_mirror_that_lost_its_end_is_told() {
    let sim = Sim::new(2);
    let (_, workspace, minted) = with_partitions(&sim, MINTED_TOGETHER + 2);
    let mut mirrors = mirrors_of(&sim);
    mirrors[1].truncate(SLOT_BYTES);
    mirrors[0][2 * SLOT_BYTES] ^= 1;
    let keyring = open(&machine(&mirrors));
    assert_eq!(keyring.unreadable(), [2]);
    let found = still(&keyring, &workspace, &minted);
    assert_eq!(found.iter().filter(|found| **found == Some(true)).count(), minted.len() - 1);
    // And the other way: mirror 0 is written first, so it never ends before mirror 1 by a mint.
    let mut mirrors = mirrors_of(&sim);
    mirrors[0].truncate((MINTED_TOGETHER + 1) * SLOT_BYTES);
    let last = (MINTED_TOGETHER + 2) * SLOT_BYTES;
    mirrors[1][last] ^= 1;
    assert_eq!(open(&machine(&mirrors)).unreadable(), [MINTED_TOGETHER as u32 + 2]);
}

/// Users lose: the last trace of a key that might be mended by hand, when the next key is put over it.
#[test]
fn an_unreadable_last_slot_is_not_minted_over() {
    let sim = Sim::new(2);
    let (_, workspace, minted) = with_partitions(&sim, MINTED_TOGETHER);
    let last = minted[MINTED_TOGETHER - 1].slot;
    MIRRORS.iter().for_each(|mirror| sim.flip_bit(mirror, u64::from(last) * SLOT_BYTES as u64 + 70, 1));
    let damaged = on_medium(&sim, last);
    let keyring = open(&sim);
    assert_eq!(keyring.unreadable(), [last]);
    assert_eq!(keyring.mint(WORKSPACE, &workspace).unwrap().slot, last + 1);
    assert_eq!(on_medium(&sim, last), damaged);
}

/// Users lose: slots for good, and their peace, when a mint that the power cut left half a slot at the end.
#[test]
fn half_a_slot_at_the_end_of_the_first_mirror_is_no_damage() {
    let sim = Sim::new(2);
    let (_, workspace, minted) = with_partitions(&sim, 3);
    let whole = mirrors_of(&sim);
    for (torn, bytes) in (0..MINTED_TOGETHER).zip((1..SLOT_BYTES).step_by(3)) {
        let mut mirrors = whole.clone();
        mirrors[0].resize(whole[0].len() + MINTED_TOGETHER * SLOT_BYTES, 0);
        let begin = whole[0].len() + torn * SLOT_BYTES;
        mirrors[0][begin..begin + bytes].fill(7);
        let sim = machine(&mirrors);
        let keyring = open(&sim);
        assert_eq!(keyring.unreadable(), []);
        assert_eq!(still(&keyring, &workspace, &minted), [Some(true); 3]);
        assert_eq!(keyring.notes().len(), 1, "told once");
        let keyring = open(&sim);
        assert_eq!(keyring.notes(), []);
        let next = keyring.mint(WORKSPACE, &workspace).unwrap();
        assert_eq!(next.slot as usize, whole[0].len() / SLOT_BYTES, "the room is used");
        assert!(is_in_both(&sim, next.slot));
    }
}

/// Users lose: a partition of a store that runs, when a page of the keyring goes bad under it.
#[test]
fn damage_that_comes_later_is_met_when_the_key_is_read() {
    let sim = Sim::new(2);
    let (keyring, workspace, minted) = with_partitions(&sim, 2);
    let at = u64::from(minted[0].slot) * SLOT_BYTES as u64;
    sim.flip_bit(MIRRORS[0], at + 60, 1);
    assert_eq!(still(&keyring, &workspace, &minted), [Some(true); 2]);
    assert_eq!(keyring.notes().len(), 1);
    assert_eq!((keyring.notes()[0].file.as_str(), keyring.notes()[0].offset), (MIRRORS[0], at));
    sim.fail_after(0, SimFault::Eio);
    assert_eq!(still(&keyring, &workspace, &minted[1..]), [Some(true)], "nor does a failed read matter");
    sim.flip_bit(MIRRORS[1], at + 61, 1);
    assert_eq!(still(&keyring, &workspace, &minted), [None, Some(true)]);
    assert!(!keyring.is_destroyed(minted[0].slot, minted[0].incarnation).unwrap());
    keyring.destroy(&drop_of(&minted[..1]), 9).unwrap();
    assert!(keyring.is_destroyed(minted[0].slot, minted[0].incarnation).unwrap());
    // A spare that went bad is passed over.
    let next = minted[1].slot + 1;
    MIRRORS.iter().for_each(|mirror| sim.flip_bit(mirror, u64::from(next) * SLOT_BYTES as u64, 1));
    assert_eq!(keyring.mint(WORKSPACE, &workspace).unwrap().slot, next + 1);
    assert_eq!(keyring.unreadable(), [next]);
}

/// Users lose: trust in a receipt that says the key is gone while a copy of it stands in a mirror.
#[test]
fn a_key_is_destroyed_when_neither_mirror_has_a_byte_of_it() {
    let sim = Sim::new(2);
    let (keyring, _, minted) = with_partitions(&sim, 2);
    let whole = mirrors_of(&sim);
    let gone = &minted[0];
    assert!(!keyring.is_destroyed(gone.slot, gone.incarnation).unwrap());
    keyring.destroy(&drop_of(&minted[..1]), 9).unwrap();
    assert!(keyring.is_destroyed(gone.slot, gone.incarnation).unwrap());
    let at = gone.slot as usize * SLOT_BYTES;
    let medium = sim.medium();
    for mirror in [0, 1] {
        let destroyed = mirrors_of(&sim)[mirror][at..at + SLOT_BYTES].to_vec();
        medium.slots.write_slots(mirror, u64::from(gone.slot), &whole[mirror][at..at + SLOT_BYTES]).unwrap();
        assert!(!keyring.is_destroyed(gone.slot, gone.incarnation).unwrap());
        for byte in 52..112 {
            let mut left = destroyed.clone();
            left[byte] = 1;
            medium.slots.write_slots(mirror, u64::from(gone.slot), &left).unwrap();
            assert!(!keyring.is_destroyed(gone.slot, gone.incarnation).unwrap(), "byte {byte}");
        }
        medium.slots.write_slots(mirror, u64::from(gone.slot), &destroyed).unwrap();
        assert!(keyring.is_destroyed(gone.slot, gone.incarnation).unwrap());
    }
}

/// Users lose: a dropped partition comes back, when a write that was acknowledged never reached one mirror.
#[test]
fn a_mirror_that_fell_behind_takes_what_the_other_says() {
    for behind in [0, 1] {
        let sim = Sim::new(2);
        let (keyring, workspace, minted) = with_partitions(&sim, 2);
        let sealed = sealed_key(&sim, minted[0].slot);
        let old = on_medium(&sim, minted[0].slot);
        keyring.destroy(&drop_of(&minted[..1]), 9).unwrap();
        sim.medium().slots.write_slots(behind, u64::from(minted[0].slot), &old[behind]).unwrap();
        let keyring = open(&sim);
        assert!(!stands(&sim, &sealed));
        assert_eq!(still(&keyring, &workspace, &minted), [Some(false), Some(true)]);
        let [note] = &keyring.notes()[..] else { panic!("one place: {:?}", keyring.notes()) };
        assert_eq!((note.file.as_str(), note.field), (MIRRORS[behind], "KeySlot.generation"));
    }
}
