//! What may not be found any more once something is erased?
//!
//! A [`Witness`] looks at a machine before the erasure: which sealed keys lie in which slots, where the segments
//! of each partition lie, and how the partitions answer. Afterwards it says whose keys are gone, and insists that
//! neither these, nor the segments, nor any word in the clear is left, in files or in what deleted files left behind.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_engine::io::sim::Sim;
use strongroom_format::keyring::{KeySlot, SLOT_BYTES, SlotState};
use strongroom_format::manifest::{FoundVersion, SegmentPlace};

use super::scene::{NUMBERS, Scene, mark, vector};
use crate::model::Spot;

/// A partition's incarnation, or a workspace's id.
pub type Incarnation = [u8; 16];

/// The slots of the keyring that were ever used. Both mirrors must say the same.
pub fn slots(sim: &Sim) -> Vec<KeySlot> {
    let mirrors: Vec<Vec<u8>> = sim
        .files()
        .into_iter()
        .filter(|(name, _)| name.starts_with("keyring/"))
        .map(|(_, bytes)| bytes)
        .collect();
    assert_eq!(mirrors.len(), 2, "two mirrors");
    assert!(mirrors[0] == mirrors[1], "the mirrors differ");
    let read = |(number, bytes)| KeySlot::read(bytes, number).expect("a slot that checks");
    (0..).zip(mirrors[0].chunks(SLOT_BYTES)).filter_map(read).collect()
}

fn live(slots: &[KeySlot]) -> impl Iterator<Item = &KeySlot> {
    slots.iter().filter(|slot| slot.state() == SlotState::Live)
}

/// Where the segments of each partition lie, as the manifest says.
pub fn segments(sim: &Sim) -> BTreeMap<Incarnation, Vec<SegmentPlace>> {
    let mut found = BTreeMap::new();
    for (_, bytes) in sim.files().iter().filter(|(name, _)| name.starts_with("manifest/")) {
        let version = FoundVersion::read(bytes).expect("a whole version");
        for partition in version.partitions() {
            let (state, _) = partition.expect("a whole entry");
            found.insert(state.incarnation, state.segments);
        }
        version.removed.iter().for_each(|removed| drop(found.remove(removed)));
    }
    found
}

/// The name of the file that holds a segment.
pub fn file_name(place: &SegmentPlace) -> String {
    format!("segments/0/{:016x}-{:032x}", place.epoch, u128::from_be_bytes(place.file_id))
}

/// What a machine held before an erasure.
pub struct Witness {
    slots: Vec<KeySlot>,
    segments: BTreeMap<Incarnation, Vec<SegmentPlace>>,
    told: Vec<(Spot, String)>,
    receipts: usize,
    workspace: u8,
}

impl Witness {
    /// Looks at a store in whose workspace something will be erased. `neighbours` will not be.
    pub fn new(scene: &Scene, workspace: u8, neighbours: &[&Spot]) -> Witness {
        let told = neighbours.iter().map(|spot| {
            let told = scene.told_by(spot).expect("it answers").expect("it is there");
            ((*spot).clone(), told)
        });
        Witness {
            slots: slots(&scene.sim),
            segments: segments(&scene.sim),
            told: told.collect(),
            receipts: scene.receipts(workspace).len(),
            workspace,
        }
    }

    /// How many segments, and bytes of them, an incarnation has.
    pub fn segments_of(&self, incarnation: &Incarnation) -> (usize, u64) {
        let places = self.segments.get(incarnation).map_or(&[][..], Vec::as_slice);
        (places.len(), places.iter().map(|place| place.bytes).sum())
    }

    /// The slots that held a key of this workspace: its own, its partitions', and those nobody used yet.
    pub fn keys_of_workspace(&self, id: &Incarnation) -> BTreeSet<Incarnation> {
        live(&self.slots).filter(|slot| slot.workspace == *id).map(|slot| slot.incarnation).collect()
    }

    /// Whose keys were there and are not any more.
    pub fn gone(&self, sim: &Sim) -> BTreeSet<Incarnation> {
        let now = slots(sim);
        let alive: BTreeSet<Incarnation> = live(&now).map(|slot| slot.incarnation).collect();
        live(&self.slots).map(|slot| slot.incarnation).filter(|before| !alive.contains(before)).collect()
    }

    /// Slots say that nothing is left to do.
    pub fn insist_on_an_end(&self, sim: &Sim) {
        let undone = slots(sim).iter().filter(|slot| slot.state() == SlotState::Shredding).count();
        assert_eq!(undone, 0, "keys whose erasure never ends");
    }

    /// Neighbours lose nothing.
    pub fn insist_on_neighbours(&self, scene: &Scene) {
        for (spot, told) in &self.told {
            let now = scene.told_by(spot).expect("a neighbour answers");
            assert_eq!(now.as_deref(), Some(told.as_str()), "{spot:?} is not whole");
        }
    }

    /// One erasure has one receipt, however often it was begun.
    pub fn insist_on_one_receipt(&self, scene: &Scene) {
        let receipts = scene.receipts(self.workspace).len();
        assert_eq!(receipts, self.receipts + 1, "receipts after one erasure");
    }

    /// Of these keys and of these partitions' words and vectors nothing is left.
    pub fn insist_on_nothing(&self, sim: &Sim, gone: &BTreeSet<Incarnation>, spots: &[&Spot]) {
        let mut needles: Vec<(String, Vec<u8>)> = Vec::new();
        for spot in spots {
            needles.push((format!("the word {}", mark(spot)), mark(spot).as_bytes().to_vec()));
            needles.extend((0..NUMBERS).map(|number| {
                let bytes =
                    vector(spot, number).iter().flat_map(|component| component.to_le_bytes()).collect();
                (format!("vector {number} of {spot:?}"), bytes)
            }));
        }
        let keys = live(&self.slots).filter(|slot| gone.contains(&slot.incarnation));
        needles.extend(keys.map(|slot| (format!("the key of slot {}", slot.slot), slot.sealed_key.to_vec())));
        for (name, bytes) in [sim.files(), sim.residue()].concat() {
            if let Some(found) = find(&bytes, &needles) {
                panic!("{found} is left in {name}");
            }
        }
    }

    /// Where these had their segments there are zeros.
    pub fn insist_on_zeros(&self, sim: &Sim, gone: &BTreeSet<Incarnation>) {
        let everything = [sim.files(), sim.residue()].concat();
        for place in gone.iter().filter_map(|incarnation| self.segments.get(incarnation)).flatten() {
            let range = place.offset as usize..(place.offset + place.bytes) as usize;
            for (name, bytes) in everything.iter().filter(|(name, _)| *name == file_name(place)) {
                assert!(bytes[range.clone()].iter().all(|byte| *byte == 0), "{range:?} of {name} is left");
            }
        }
    }
}

/// The first of these that stands somewhere in the bytes.
fn find<'a>(bytes: &[u8], needles: &'a [(String, Vec<u8>)]) -> Option<&'a str> {
    let mut first = [false; 256];
    needles.iter().for_each(|(_, needle)| first[usize::from(needle[0])] = true);
    (0..bytes.len()).filter(|at| first[usize::from(bytes[*at])]).find_map(|at| {
        let stands = |(_, needle): &&(String, Vec<u8>)| bytes[at..].starts_with(needle);
        needles.iter().find(stands).map(|(what, _)| what.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    // If this looked away, every suite would say that nothing was left.
    #[test]
    fn what_stands_somewhere_is_found() {
        let needles = [("word".to_owned(), b"word".to_vec()), ("key".to_owned(), vec![0, 0, 9])];
        assert_eq!(find(b"a word", &needles), Some("word"));
        assert_eq!(find(&[0, 0, 0, 9], &needles), Some("key"));
        assert_eq!(find(b"wor\0d\0\0", &needles), None);
    }
}
