//! Who lives beside the watched partition, and what do they do?

use strongroom_engine::{Filter, Query, SearchRequest, Unit};

use super::{Act, Side, WORDS, vector};
use crate::chance::Chance;
use crate::model::{COLLECTION, Spot, whole};

/// Partitions of the same collection and of another workspace, one of them with nearly the watched one's name.
pub(super) struct Neighbours {
    spots: Vec<Spot>,
    /// How much goes on, in percent.
    busy: usize,
}

impl Neighbours {
    pub(super) fn new(chance: &mut Chance) -> Neighbours {
        let spot = |workspace, name: Option<&str>| Spot { workspace, name: name.map(str::to_owned) };
        let spots = vec![
            spot(1, Some("neighbour")),
            spot(1, Some("watched ")),
            spot(1, None),
            spot(2, Some("watched")),
        ];
        Neighbours { spots, busy: 10 + chance.below(80) }
    }

    /// Some acts of theirs, which the watched partition has no part in.
    pub(super) fn act(&mut self, side: &mut Side, chance: &mut Chance) {
        for _ in 0..3 {
            if !chance.percent(self.busy) {
                continue;
            }
            let spot = chance.pick(&self.spots).clone();
            // Their documents have the ids of the watched one's.
            match Act::roll(chance, "watched") {
                Act::Flush | Act::Restart | Act::Wait(_) => self.look(side, &spot, chance),
                act => drop(act.run(side, &spot)),
            }
        }
    }

    /// A search, and a look at all there is.
    fn look(&self, side: &Side, spot: &Spot, chance: &mut Chance) {
        let (vector, filter) = (vector(chance), Filter::default());
        if let Some(partition) = side.find(spot) {
            let words = format!("{} {}", chance.pick(&WORDS), chance.pick(&WORDS));
            for query in [Query::Words(&words), Query::Vector(&vector)] {
                let request = SearchRequest {
                    query,
                    unit: Unit::Passages,
                    k: 20,
                    filter: &filter,
                    similarity_min: 0.0,
                    recall: None,
                    ages: None,
                    with_content: true,
                };
                partition.search(&request).expect("the neighbour is answered");
            }
        }
        side.store().partitions(&whole(spot.workspace), COLLECTION).expect("the store answers");
    }
}
