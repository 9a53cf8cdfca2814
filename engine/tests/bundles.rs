//! What would a user lose if a partition came back other than it went, or something came in that nobody signed?

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    ActingAs, BundleError, CollectionSpec, Filter, Fusion, Import, Imported, Metric, NewDocument, NewPassage,
    OperatorScope, Partition, PartitionName, PartitionRef, Passage, Query, Reach, RootKey, Scope,
    SearchRequest, Store, StoreOptions, TakenIn, Unit, Whole, WorkspaceId, WriteError,
};

const WORKSPACE: WorkspaceId = WorkspaceId([1; 16]);
const LIMIT: usize = 4 << 20;

fn at(name: &str) -> PartitionRef {
    PartitionRef { collection: "default".to_owned(), partition: Some(PartitionName::new(name).unwrap()) }
}

fn scope() -> Scope {
    Scope::grant(WORKSPACE, Reach::Workspace).acting_as(ActingAs::Administrator)
}

fn open(sim: &Sim, root: u8) -> Store {
    let store = Store::open(sim.restart(), RootKey([root; 32]), StoreOptions::default()).unwrap();
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).unwrap();
    store
}

fn document(n: usize, dimension: usize) -> NewDocument {
    let vector = |seed: usize| match dimension {
        // Normalised twice, one of its components is another than normalised once.
        3 => vec![30.0, -21.0, -9.0],
        _ => (0..dimension).map(|at| ((seed * 31 + at * 17) % 23) as f32 - 11.3).collect(),
    };
    let text = format!("the {n}th whale sings of number {}", n * n);
    NewDocument {
        id: Some(format!("doc-{n}")),
        filename: format!("{n}.txt"),
        content_type: "text/plain".to_owned(),
        tags: vec![format!("even:{}", n.is_multiple_of(2))],
        metadata: format!("{{\"n\":{n}}}"),
        entity: n.is_multiple_of(3).then(|| "whale".to_owned()),
        source: Some("sea".to_owned()),
        readers: n.is_multiple_of(5).then(|| vec!["user:ada".to_owned()]),
        expires_ms: n.is_multiple_of(7).then_some(1 << 50),
        passages: vec![
            NewPassage { text: Passage::Range { start: 0, end: text.len() as u32 }, vector: vector(n) },
            NewPassage { text: Passage::Own(format!("own words {n}")), vector: vector(n + 1000) },
        ],
        content: text.into_bytes(),
        ..NewDocument::default()
    }
}

/// A store with a partition of which some documents were changed, deleted and purged.
fn filled(sim: &Sim, spec: CollectionSpec) -> Store {
    let store = open(sim, 1);
    let acme = store.partition_for_write(&scope(), &at("acme"), spec).unwrap();
    let dimension = spec.dimension as usize;
    acme.put_many((0..30).map(|n| document(n, dimension)).collect()).unwrap();
    store.flush().unwrap();
    acme.put_many((30..40).map(|n| document(n, dimension)).collect()).unwrap();
    acme.update("doc-3", NewDocument { id: None, ..document(77, dimension) }).unwrap();
    acme.delete("doc-4").unwrap();
    acme.purge("doc-5").unwrap();
    store
}

fn bundle(store: &Store) -> Vec<Vec<u8>> {
    let mut export = store.export(&scope(), &at("acme"), Some("whale")).unwrap().unwrap();
    std::iter::from_fn(|| store.next_frame(&mut export).unwrap()).collect()
}

fn pages(store: &Store, name: &str) -> Vec<Vec<Whole>> {
    let mut export = store.export(&scope(), &at(name), Some("whale")).unwrap().unwrap();
    std::iter::from_fn(|| export.next_page().unwrap()).collect()
}

/// Has a partition take in what verifies, and answers what came of that.
fn take(bytes: &[u8], step: usize, into: &Partition) -> (TakenIn, Result<(), BundleError>) {
    let (mut import, mut taken) = (Import::new(LIMIT), TakenIn::default());
    let mut page = |wholes: Vec<Whole>| {
        let page = into.take_in(wholes).unwrap();
        taken = TakenIn { added: taken.added + page.added, known: taken.known + page.known };
    };
    for bytes in bytes.chunks(step) {
        import.push(bytes);
        loop {
            let is_ready = import.is_ready();
            match import.next_frame() {
                Ok(Some(Imported::Page(wholes))) => page(wholes),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return (taken, Err(error)),
            }
            assert!(is_ready, "a frame that wasn't announced");
        }
    }
    (taken, import.end())
}

/// All that can be read of a partition, and what searches find in it.
fn told(partition: &Partition, spec: CollectionSpec) -> Vec<String> {
    let mut told = Vec::new();
    let all = partition.list(&Filter::default(), 0, 1000).unwrap();
    told.push(format!("{} documents", all.total));
    for info in &all.documents {
        told.push(format!("{info:?} {:?}", partition.content(&info.id).unwrap()));
        told.push(format!("{:?}", partition.passages(&info.id, 0, 9).unwrap()));
    }
    let vector: Vec<f32> = (0..spec.dimension).map(|at| (at % 5) as f32 - 1.5).collect();
    let (fusion, text) = (Fusion::default(), "whale 9th \"number 81\"");
    for query in
        [Query::Vector(&vector), Query::Words(text), Query::Hybrid { vector: &vector, words: text, fusion }]
    {
        let filter = Filter::default();
        let request = SearchRequest {
            query,
            unit: Unit::Passages,
            k: 25,
            filter: &filter,
            similarity_min: f32::NEG_INFINITY,
            recall: None,
            ages: None,
            with_content: false,
        };
        let found = partition.search(&request).unwrap();
        assert!(!found.hits.is_empty());
        let hits = found.hits.iter();
        told.extend(
            hits.map(|hit| format!("{} {} {:x}", hit.document.id, hit.passage_number, hit.score.to_bits())),
        );
    }
    told
}

/// Lost otherwise: a tenant that is carried to another server would have other documents there, or other answers.
#[test]
fn another_store_answers_the_same() {
    for metric in [Metric::Cosine, Metric::InnerProduct, Metric::Euclidean] {
        let (here, there) = (Sim::new(1), Sim::new(2));
        let dimension = if metric == Metric::Cosine { 3 } else { 19 };
        let spec = CollectionSpec { dimension, metric };
        let (store, other) = (filled(&here, spec), open(&there, 2));
        let frames = bundle(&store);
        assert_eq!(frames.len(), 3, "head, page, tail");
        let bytes = frames.concat();
        let acme = store.partition(&scope(), &at("acme")).unwrap().unwrap();
        let copy = other.partition_for_write(&scope(), &at("acme 2"), spec).unwrap();
        assert_eq!(take(&bytes, 7, &copy), (TakenIn { added: 39, known: 0 }, Ok(())));
        assert_eq!(told(&copy, spec), told(&acme, spec), "{metric:?}");
        assert!(pages(&other, "acme 2") == pages(&store, "acme"), "{metric:?}: bit for bit");
        // Again: nothing is new. After a restart: the same.
        assert_eq!(take(&bytes, 100_000, &copy), (TakenIn { added: 0, known: 39 }, Ok(())));
        other.flush().unwrap();
        drop((copy, other));
        let other = open(&there, 2);
        let copy = other.partition(&scope(), &at("acme 2")).unwrap().unwrap();
        assert_eq!(told(&copy, spec), told(&acme, spec), "{metric:?}");
        // What was deleted is deleted, and comes back; what was purged is gone.
        assert!(matches!(copy.restore("doc-5"), Err(WriteError::NotFound)));
        for partition in [&copy, &acme] {
            partition.restore("doc-4").unwrap();
        }
        assert_eq!(told(&copy, spec), told(&acme, spec), "{metric:?}");
    }
}

/// Lost otherwise: a byte that was changed on the way would be a tenant's document from then on.
#[test]
fn nothing_comes_in_that_was_not_signed() {
    let (here, there) = (Sim::new(3), Sim::new(4));
    let spec = CollectionSpec::cosine(3);
    let store = open(&here, 1);
    let acme = store.partition_for_write(&scope(), &at("acme"), spec).unwrap();
    acme.put_many((0..2).map(|n| document(n, 3)).collect()).unwrap();
    let frames = bundle(&store);
    let bytes = frames.concat();
    let other = open(&there, 2);
    let copy = other.partition_for_write(&scope(), &at("acme"), spec).unwrap();
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        let (taken, outcome) = take(&altered, bytes.len(), &copy);
        assert!(outcome.is_err(), "byte {at}");
        let is_behind_page = at >= frames[0].len() + frames[1].len();
        assert_eq!(taken.added + taken.known > 0, is_behind_page, "byte {at}");
    }
    for (what, frames) in [
        ("no tail", vec![&frames[0], &frames[1]]),
        ("no head", vec![&frames[1], &frames[2]]),
        ("no page", vec![&frames[0], &frames[2]]),
        ("a page twice", vec![&frames[0], &frames[1], &frames[1], &frames[2]]),
        ("more behind", vec![&frames[0], &frames[1], &frames[2], &frames[2]]),
        ("another bundle's page", vec![&frames[0], &bundle(&store)[1], &frames[2]]),
        ("nothing", vec![]),
    ] {
        let bytes: Vec<u8> = frames.into_iter().flatten().copied().collect();
        assert!(take(&bytes, bytes.len().max(1), &copy).1.is_err(), "{what}");
    }
    for cut in 0..bytes.len() {
        assert!(take(&bytes[..cut], bytes.len(), &copy).1.is_err(), "cut at {cut}");
    }
    // Each of two pages stands in one place.
    for n in 2..5 {
        acme.put(NewDocument { content: vec![b'x'; 700_000], ..document(n, 3) }).unwrap();
    }
    let frames = bundle(&store);
    assert_eq!(frames.len(), 4, "head, two pages, tail");
    for order in [[0, 2, 1, 3], [0, 1, 1, 3], [0, 2, 2, 3]] {
        let bytes: Vec<u8> = order.into_iter().flat_map(|at| frames[at].clone()).collect();
        assert!(take(&bytes, bytes.len(), &copy).1.is_err(), "{order:?}");
    }
    let mut small = Import::new(10);
    small.push(&bytes);
    assert!(small.is_ready() && matches!(small.next_frame(), Err(BundleError::TooLarge { .. })));
}

/// Lost otherwise: an import would replace a document that somebody else wrote under the same id, or store half a page.
#[test]
fn what_is_there_stays() {
    let (here, there) = (Sim::new(5), Sim::new(6));
    let spec = CollectionSpec::cosine(19);
    let (store, other) = (filled(&here, spec), open(&there, 2));
    let copy = other.partition_for_write(&scope(), &at("acme"), spec).unwrap();
    copy.put(NewDocument { id: Some("doc-8".to_owned()), ..document(9, 19) }).unwrap();
    let mut export = store.export(&scope(), &at("acme"), Some("whale")).unwrap().unwrap();
    let page = export.next_page().unwrap().unwrap();
    assert_eq!(page.len(), 39);
    assert!(
        matches!(copy.take_in(page.clone()), Err(WriteError::Exists)),
        "another document of an id that is taken"
    );
    assert_eq!(copy.list(&Filter::default(), 0, 99).unwrap().total, 1, "all of a page or nothing");
    assert_eq!(export.next_page().unwrap(), None);
    let twice = vec![page[0].clone(), page[0].clone()];
    assert!(matches!(copy.take_in(twice), Err(WriteError::Exists)));
    let nobody = Scope::grant(WORKSPACE, Reach::Workspace);
    let mut seen = store.export(&nobody, &at("acme"), Some("whale")).unwrap().unwrap();
    assert_eq!(seen.next_page().unwrap().unwrap().len(), 32, "labels hide from an export as from all else");
    assert!(store.export(&scope(), &at("nobody"), Some("whale")).unwrap().is_none());
}
