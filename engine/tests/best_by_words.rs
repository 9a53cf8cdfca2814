//! What would a user lose if searches by words left out postings that matter? The best hits, without a word about it.
//!
//! Each search is held against the one that reads all postings: the same rows, in the same order, with the same scores to the last
//! bit, and the same trace.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    ActingAs, Ageing, Ages, CollectionSpec, Filter, Fusion, NewDocument, NewPassage, OperatorScope,
    Partition, PartitionRef, Passage, Query, Reach, RootKey, Scope, SearchRequest, SearchResponse, Store,
    StoreOptions, Unit, WorkspaceId,
};

const WORKSPACE: WorkspaceId = WorkspaceId([7; 16]);
const SPEC: CollectionSpec = CollectionSpec::cosine(2);

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// A word: the first ones often, the last ones hardly ever.
    fn word(&mut self) -> String {
        let share = self.below(1 << 20) as f64 / f64::from(1 << 20);
        format!("w{}", 2000.0_f64.powf(share) as u64)
    }

    fn text(&mut self, words: u64) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

fn store(sim: &Sim) -> Store {
    let options = StoreOptions { flush_bytes: 1 << 30, ..StoreOptions::default() };
    let store = Store::open(sim.restart(), RootKey([1; 32]), options).unwrap();
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).unwrap();
    store
}

fn partition(store: &Store, acting: ActingAs) -> Partition {
    let at = PartitionRef { collection: "default".to_owned(), partition: None };
    let scope = Scope::grant(WORKSPACE, Reach::Workspace).acting_as(acting);
    store.partition_for_write(&scope, &at, SPEC).unwrap()
}

fn document(id: String, texts: Vec<String>, numbers: &mut Numbers) -> NewDocument {
    let vector = |numbers: &mut Numbers| vec![1.0, numbers.below(100) as f32 / 50.0 - 1.0];
    NewDocument {
        id: Some(id),
        tags: ["tenth", "half"]
            .iter()
            .zip([10, 2])
            .filter(|(_, of)| numbers.below(*of) == 0)
            .map(|(tag, _)| (*tag).to_owned())
            .collect(),
        readers: (numbers.below(20) == 0).then(|| vec!["user:ada".to_owned()]),
        passages: texts
            .into_iter()
            .map(|text| NewPassage { text: Passage::Own(text), vector: vector(numbers) })
            .collect(),
        ..NewDocument::default()
    }
}

fn ask(partition: &Partition, request: &SearchRequest<'_>) -> SearchResponse {
    let [found, whole] = [partition.search(request), partition.search_whole(request)].map(Result::unwrap);
    let told = |response: &SearchResponse| -> Vec<(String, u32, u32)> {
        let hits = response.hits.iter();
        hits.map(|hit| (hit.document.id.clone(), hit.passage_number, hit.score.to_bits())).collect()
    };
    assert_eq!(told(&found), told(&whole), "{request:?}");
    assert_eq!(format!("{:?}", found.trace), format!("{:?}", whole.trace));
    found
}

fn request<'a>(query: Query<'a>, filter: &'a Filter, k: usize, unit: Unit) -> SearchRequest<'a> {
    SearchRequest {
        query,
        unit,
        k,
        filter,
        similarity_min: 0.0,
        recall: None,
        ages: None,
        with_content: false,
    }
}

/// Asks for all sorts of things; answers how many hits there were together.
fn ask_all(partition: &Partition, seed: u64) -> usize {
    let mut numbers = Numbers(seed);
    let mut queries =
        vec!["w1".to_owned(), "w1 w1 w2".to_owned(), "w1 w1999".to_owned(), "nowhere".to_owned()];
    queries.extend([2, 4, 12, 60].map(|words| numbers.text(words)));
    queries.extend(["\"w1 w2\" w30", "w19* w2", "w1* \"w3 w1\" w1 w500", ""].map(str::to_owned));
    let tag = |tag: &str| Filter { all_tags: vec![tag.to_owned()], ..Filter::default() };
    let filters = [Filter::default(), tag("half"), tag("tenth"), tag("none")];
    let ageing = |weight| Ageing { weight, half_life_ms: 1000.0 };
    let mut hits = 0;
    for (at, query) in (0_u32..).zip(&queries) {
        let words = Query::Words(query);
        for (k, unit) in [(1, Unit::Documents), (10, Unit::Passages), (300, Unit::Documents)] {
            let filter = &filters[numbers.below(4) as usize];
            hits += ask(partition, &request(words, &filters[0], k, unit)).hits.len();
            hits += ask(partition, &request(words, filter, k, unit)).hits.len();
        }
        let ages = Ages { created: ageing(0.3), updated: ageing(0.1 * (at % 8) as f32), now_ms: 5000 };
        let aged = request(words, &filters[at as usize % 2], 10, Unit::Documents);
        ask(partition, &SearchRequest { ages: Some(ages), ..aged });
        let fused = Query::Hybrid { vector: &[1.0, 0.2], words: query, fusion: Fusion::Ranks };
        ask(partition, &request(fused, &filters[1], 5, Unit::Documents));
        assert_eq!(
            ask(partition, &request(Query::Words(query), &filters[0], 0, Unit::Passages)).hits.len(),
            0
        );
    }
    hits
}

/// Lost otherwise: hits, in a partition as partitions are: segments large and small, what is not in one yet, deleted and
/// replaced documents, documents of several passages, and some that not everybody may read.
#[test]
fn the_best_are_those_of_all_postings() {
    let sim = Sim::new(1);
    let store = store(&sim);
    let everybody = partition(&store, ActingAs::Administrator);
    let mut numbers = Numbers(3);
    for (part, documents, passages) in [(0, 5000, 1), (1, 700, 4), (2, 40, 2), (3, 900, 1)] {
        let drawn = (0..documents).map(|number| {
            let count = 1 + numbers.below(passages);
            let texts = (0..count).map(|_| {
                let words = 3 + numbers.below(60);
                numbers.text(words)
            });
            let texts = texts.collect();
            document(format!("{part}-{number}"), texts, &mut numbers)
        });
        let drawn: Vec<NewDocument> = drawn.collect();
        for batch in drawn.chunks(1000) {
            everybody.put_many(batch.to_vec()).unwrap();
        }
        if part < 3 {
            store.flush().unwrap();
        }
    }
    let ada = partition(&store, ActingAs::Labels(["user:ada".to_owned()].into()));
    let nobody = partition(&store, ActingAs::Labels(["user:bob".to_owned()].into()));
    let [all, most] = [&everybody, &nobody].map(|partition| ask_all(partition, 5));
    assert!(all > 3000 && most > 3000 && ask_all(&ada, 6) > 3000);
    for number in (0..5000).step_by(37) {
        everybody.delete(&format!("0-{number}")).unwrap();
    }
    let purged: Vec<u32> = (1..5000).step_by(41).filter(|number| number % 37 != 0).collect();
    for number in &purged {
        everybody.purge(&format!("0-{number}")).unwrap();
    }
    assert!(ask_all(&everybody, 7) > 3000 && ask_all(&nobody, 8) > 3000, "few rows are dead");
    for number in (0..5000).step_by(3).filter(|number| number % 37 != 0 && !purged.contains(number)) {
        everybody.delete(&format!("0-{number}")).unwrap();
    }
    assert!(ask_all(&everybody, 9) > 3000, "many rows are");
    store.flush().unwrap();
    assert!(ask_all(&everybody, 10) > 3000, "and all is in segments");
}

/// Lost otherwise: some of the rows that score the same, or their order, when there are more than are asked for; and the one
/// best row of a block of others that score nearly as much.
#[test]
fn rows_that_score_the_same_are_told_apart_by_their_ids() {
    let sim = Sim::new(2);
    let store = store(&sim);
    let partition = partition(&store, ActingAs::Administrator);
    let mut numbers = Numbers(1);
    let text = |number: u32| match number {
        4711 => "sea sea sea sea fish",
        _ if number % 7 == 3 => "sea sea shore of no use",
        _ if number.is_multiple_of(640) => "fish",
        _ => "sea shore",
    };
    for batch in (0..6000).collect::<Vec<u32>>().chunks(1000) {
        // Ids fall where rows rise, now and then.
        let id =
            |number: u32| format!("{:05}", if number.is_multiple_of(5) { 90_000 - number } else { number });
        let drawn =
            batch.iter().map(|&number| document(id(number), vec![text(number).to_owned()], &mut numbers));
        partition.put_many(drawn.collect()).unwrap();
        if batch[0] % 2000 == 1000 {
            store.flush().unwrap();
        }
    }
    let all = Filter::default();
    for words in ["sea", "shore", "sea shore", "sea fish", "fish sea use", "use shore"] {
        for (k, unit) in [(1, Unit::Documents), (10, Unit::Documents), (500, Unit::Passages)] {
            assert_eq!(ask(&partition, &request(Query::Words(words), &all, k, unit)).hits.len(), k);
        }
    }
    let best = ask(&partition, &request(Query::Words("sea"), &all, 2, Unit::Documents));
    assert_eq!(best.hits[0].document.id, "04711");
}
