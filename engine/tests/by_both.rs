//! A partition of which most is in lists, searched by words and meaning together.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    ActingAs, CollectionSpec, Filter, Fusion, NewDocument, NewPassage, OperatorScope, Partition,
    PartitionRef, Passage, Query, Reach, RootKey, Scope, SearchRequest, SearchResponse, Store, StoreOptions,
    Unit, WorkspaceId,
};

const WORKSPACE: WorkspaceId = WorkspaceId([7; 16]);
const DIMENSION: usize = 16;
const TOPICS: u64 = 150;

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn share(&mut self) -> f64 {
        self.below(1 << 20) as f64 / f64::from(1 << 20)
    }

    /// What is about a topic lies near others about it.
    fn vector(&mut self, topic: u64) -> Vec<f32> {
        let mut of_topic = Numbers(topic * 1_000_003 + 17);
        let draw = |numbers: &mut Numbers| numbers.share() as f32 * 2.0 - 1.0;
        (0..DIMENSION).map(|_| draw(&mut of_topic) + 0.8 * draw(self)).collect()
    }

    /// Words that anybody uses, the first ones often, and words of a topic.
    fn text(&mut self, topic: u64, words: u64) -> String {
        let word = |numbers: &mut Numbers| match numbers.below(4) {
            0 => format!("t{topic}x{}", 40.0_f64.powf(numbers.share()) as u64),
            _ => format!("w{}", 3000.0_f64.powf(numbers.share()) as u64),
        };
        (0..words).map(|_| word(self)).collect::<Vec<_>>().join(" ")
    }
}

fn partition(store: &Store, acting: ActingAs) -> Partition {
    let at = PartitionRef { collection: "default".to_owned(), partition: None };
    let scope = Scope::grant(WORKSPACE, Reach::Workspace).acting_as(acting);
    store.partition_for_write(&scope, &at, CollectionSpec::cosine(DIMENSION as u32)).unwrap()
}

fn fill(partition: &Partition, part: usize, documents: usize, numbers: &mut Numbers) {
    let document = |number: usize, numbers: &mut Numbers| {
        let passage = |numbers: &mut Numbers| {
            let topic = numbers.below(TOPICS);
            let words = 3 + numbers.below(20);
            NewPassage { text: Passage::Own(numbers.text(topic, words)), vector: numbers.vector(topic) }
        };
        let passages = if numbers.below(10) == 0 { 3 } else { 1 };
        NewDocument {
            id: Some(format!("{part}-{number:05}")),
            tags: if numbers.below(3) == 0 { vec!["third".to_owned()] } else { Vec::new() },
            readers: (numbers.below(20) == 0).then(|| vec!["user:ada".to_owned()]),
            passages: (0..passages).map(|_| passage(numbers)).collect(),
            ..NewDocument::default()
        }
    };
    for batch in (0..documents).collect::<Vec<_>>().chunks(1000) {
        partition.put_many(batch.iter().map(|&number| document(number, numbers)).collect()).unwrap();
    }
}

fn request<'a>(vector: &'a [f32], words: &'a str, filter: &'a Filter) -> SearchRequest<'a> {
    SearchRequest {
        query: Query::Hybrid { vector, words, fusion: Fusion::Sum },
        unit: Unit::Documents,
        k: 10,
        filter,
        similarity_min: 0.0,
        recall: Some(0.95),
        ages: None,
        with_content: false,
    }
}

type Told = Vec<((String, u32), u32)>;

fn told(response: &SearchResponse) -> Told {
    let hits = response.hits.iter();
    hits.map(|hit| ((hit.document.id.clone(), hit.passage_number), hit.score.to_bits())).collect()
}

/// Of how many that reading all rows and all postings finds, how many are found; each of them with the score that it has.
fn compare(partition: &Partition, request: &SearchRequest<'_>) -> (usize, usize) {
    let found = partition.search(request).unwrap();
    assert!(!found.trace.exact, "{request:?}");
    let exact = SearchRequest { recall: None, ..*request };
    let expected = told(&partition.search_whole(&exact).unwrap());
    assert!(request.similarity_min > 0.0 || found.hits.len() == expected.len(), "{request:?}");
    let scores: HashMap<(String, u32), u32> = expected.iter().cloned().collect();
    let known = told(&found).into_iter().filter_map(|(hit, score)| Some((score, *scores.get(&hit)?)));
    let known: Vec<(u32, u32)> = known.collect();
    assert!(known.iter().all(|(score, expected)| score == expected), "{request:?}: {known:x?}");
    (known.len(), expected.len())
}

/// Asks for all sorts of things; no kind of them may miss more than a search by vectors may.
fn ask_all(partition: &Partition, seed: u64, kinds: &str) {
    let mut numbers = Numbers(seed);
    let [all, third] =
        [Vec::new(), vec!["third".to_owned()]].map(|all_tags| Filter { all_tags, ..Filter::default() });
    let mut missed = Vec::new();
    for kind in ["rare", "two", "four", "twelve", "one often", "phrase", "beginning", "nowhere"] {
        let (mut common, mut count) = (0, 0);
        for query in 0..5 {
            let topic = numbers.below(TOPICS);
            let words = match kind {
                "rare" => format!("t{topic}x30 t{topic}x25"),
                "two" => numbers.text(topic, 2),
                "four" => numbers.text(topic, 4),
                "twelve" => numbers.text(topic, 12),
                "one often" => format!("w{}", 1 + query),
                "phrase" => format!("\"w1 w2\" w3 t{topic}x1"),
                "beginning" => format!("w2* t{topic}x1"),
                _ => "nowhere at all".to_owned(),
            };
            let vector = numbers.vector(topic);
            let request = request(&vector, &words, if query % 2 == 0 { &all } else { &third });
            let passages = SearchRequest { unit: Unit::Passages, k: 25, ..request };
            let like = SearchRequest { similarity_min: 0.75, ..request };
            let few = SearchRequest { k: 1, ..request };
            let exact = SearchRequest { recall: None, ..request };
            let [found, whole] =
                [partition.search(&exact), partition.search_whole(&exact)].map(Result::unwrap);
            assert_eq!(told(&found), told(&whole), "{exact:?}");
            for request in [request, passages, like, few] {
                let (found, expected) = compare(partition, &request);
                (common, count) = (common + found, count + expected);
            }
        }
        assert!(count > 125, "{kind}: {count}");
        if common * 20 < count * 19 {
            missed.push(format!("{kind}: {common} of {count}"));
        }
    }
    assert!(missed.is_empty(), "{kinds}: {missed:?}");
}

/// Searches that nothing has the words of, or that ask for nothing or for more than is there.
fn ask_oddly(partition: &Partition) {
    let all = Filter::default();
    let vector = Numbers(9).vector(3);
    for (words, k) in [("", 10), ("\"\"", 10), ("w1", 0), ("w1 w2", 40_000)] {
        let request = SearchRequest { k, ..request(&vector, words, &all) };
        let exact = SearchRequest { recall: None, ..request };
        let [found, expected] = [&request, &exact].map(|request| told(&partition.search(request).unwrap()));
        let common = found.iter().filter(|hit| expected.contains(hit)).count();
        assert_eq!(found.len(), k.min(30_000), "{words:?} {k}");
        assert!(k > 10 || common * 20 >= expected.len() * 19, "{words:?} {k}: {common}");
        assert!(k <= 10 || found == expected, "{words:?} {k}");
    }
}

/// Lost otherwise: the best hits, because their words, or their vectors, were not looked at; or scores and hits that belong to other
/// rows: of deleted documents, of documents that the caller may not read or the filter doesn't let pass.
#[test]
fn the_best_by_both_are_found_in_lists() {
    let sim = Sim::new(1);
    let options = StoreOptions { flush_bytes: 1 << 30, ..StoreOptions::default() };
    let store = Store::open(sim.restart(), RootKey([1; 32]), options).unwrap();
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).unwrap();
    let everybody = partition(&store, ActingAs::Administrator);
    let nobody = partition(&store, ActingAs::Labels(["user:bob".to_owned()].into()));
    let mut numbers = Numbers(3);
    fill(&everybody, 0, 30_000, &mut numbers);
    store.flush().unwrap();
    ask_all(&everybody, 5, "lists alone");
    ask_oddly(&everybody);
    fill(&everybody, 1, 1500, &mut numbers);
    store.flush().unwrap();
    fill(&everybody, 2, 300, &mut numbers);
    ask_all(&everybody, 6, "beside a segment without lists, and a memtable");
    ask_all(&nobody, 7, "not everything may be read");
    for number in (0..30_000).step_by(3) {
        everybody.delete(&format!("0-{number:05}")).unwrap();
    }
    ask_all(&everybody, 8, "a third is deleted");
}
