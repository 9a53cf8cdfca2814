//! What can a partition be asked, and how is what it says written down?

use std::fmt::Write as _;

use strongroom_engine::{
    ActingAs, Ageing, Ages, Filter, Fusion, Partition, Query, SearchRequest, SearchResponse, Trace, Unit,
};

use super::{DOCUMENTS, Side, WORDS, vector};
use crate::chance::Chance;
use crate::model::{COLLECTION, Spot};

/// What both sides are asked after an act.
pub(super) struct Question {
    vector: Vec<f32>,
    texts: Vec<String>,
    filters: Vec<Filter>,
    k: usize,
    /// Which filter the first text goes with.
    shift: usize,
}

impl Question {
    pub(super) fn roll(chance: &mut Chance) -> Question {
        let [one, two, three] = [0; 3].map(|_| *chance.pick(&WORDS));
        Question {
            vector: vector(chance),
            texts: vec![
                format!("{one} {two}"),
                format!("\"{two} {three}\" {one}"),
                format!("{}*", &three[..3]),
            ],
            filters: vec![
                Filter::default(),
                Filter { any_tags: vec![format!("tag:{}", chance.below(3))], ..Filter::default() },
                Filter { entity: Some(format!("entity-{}", chance.below(2))), ..Filter::default() },
            ],
            k: *chance.pick(&[1, 3, 50]),
            shift: chance.below(3),
        }
    }

    /// Asks all of it of the partition of one side: for one who may read everything, and for one who may not. When stores flush as they
    /// like, where things lie is left out.
    pub(super) fn ask(&self, side: &Side, spot: &Spot, is_hasty: bool) -> String {
        let mut told = String::new();
        let totals = side.store().totals(&spot.scope()).expect("the store answers");
        let listed = side.store().partitions(&spot.scope(), COLLECTION).expect("the store answers");
        let ids: Vec<_> = listed.iter().map(|info| (&info.name, &info.counts, info.is_quarantined)).collect();
        line(&mut told, &(totals.partitions, totals.counts, ids));
        if !is_hasty {
            line(
                &mut told,
                &(totals.stored_bytes, listed.iter().map(|info| info.stored_bytes).collect::<Vec<_>>()),
            );
        }
        for acting in [ActingAs::Administrator, ActingAs::Labels(vec!["label-1".to_owned()].into())] {
            let scope = spot.scope_for(acting);
            let partition = side.store().partition(&scope, &spot.at()).expect("the store answers");
            match partition {
                Some(partition) => self.ask_partition(&partition, is_hasty, &mut told),
                None => told.push_str("no such partition\n"),
            }
        }
        told
    }

    fn ask_partition(&self, partition: &Partition, is_hasty: bool, told: &mut String) {
        line(told, &partition.name());
        for filter in &self.filters {
            line(told, &partition.list(filter, 1, 4));
            line(told, &partition.list(filter, 0, 99));
            let sum =
                partition.fold(filter, 1000, Vec::new, |ids, info| ids.push((info.id, info.content_bytes)));
            line(told, &sum.map(|ids| ids.map(sorted)));
        }
        for number in 0..DOCUMENTS {
            let id = format!("watched-{number}");
            line(told, &partition.get(&id));
            line(told, &partition.content(&id));
            line(told, &partition.passages(&id, 0, 9));
        }
        let newer = Ageing { weight: 0.4, half_life_ms: 1e6 };
        // A text, a filter and a way of asking each, so that a trial is short and many see all of them.
        let filters = self.filters.iter().cycle().skip(self.shift);
        for (number, (text, filter)) in self.texts.iter().zip(filters).enumerate() {
            let hybrid = |fusion| Query::Hybrid { vector: &self.vector, words: text, fusion };
            let queries =
                [Query::Words(text), Query::Vector(&self.vector), hybrid(Fusion::Sum), hybrid(Fusion::Ranks)];
            for query in queries {
                let request = SearchRequest {
                    query,
                    unit: if number == 0 { Unit::Documents } else { Unit::Passages },
                    k: self.k,
                    filter,
                    similarity_min: 0.0,
                    recall: (number == 1).then_some(0.9),
                    ages: (number == 2).then_some(Ages { created: newer, updated: newer, now_ms: 1 << 41 }),
                    with_content: number == 0,
                };
                line(told, &partition.search(&request).map(|response| quiet(response, is_hasty)));
            }
        }
    }
}

/// A response without how many segments there were, when that is the store's affair.
fn quiet(response: SearchResponse, is_hasty: bool) -> SearchResponse {
    let segments_opened = if is_hasty { 0 } else { response.trace.segments_opened };
    SearchResponse { trace: Trace { segments_opened, ..response.trace }, ..response }
}

fn sorted<T: Ord>(mut of: Vec<T>) -> Vec<T> {
    of.sort_unstable();
    of
}

fn line(told: &mut String, what: &impl std::fmt::Debug) {
    writeln!(told, "{what:?}").expect("a String takes all");
}
