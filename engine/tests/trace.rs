//! What would a user lose if a trace said other things than what the engine opened?

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    CollectionSpec, Filter, Metric, NewDocument, NewPassage, OperatorScope, Partition, PartitionName,
    PartitionRef, Passage, Reach, RootKey, Scope, Statement, StatementError, Store, StoreOptions, Witness,
    WorkspaceId, verify_statement,
};

const WORKSPACE: WorkspaceId = WorkspaceId([1; 16]);

fn at(name: Option<&str>) -> PartitionRef {
    PartitionRef {
        collection: "default".to_owned(),
        partition: name.map(|name| PartitionName::new(name).unwrap()),
    }
}

fn open(sim: &Sim) -> Store {
    let store = Store::open(sim.restart(), RootKey([1; 32]), StoreOptions::default()).unwrap();
    store.create_workspace(&OperatorScope::grant(), WORKSPACE).unwrap();
    store
}

fn witnessed() -> (Scope, Arc<Witness>) {
    let witness = Arc::new(Witness::default());
    (Scope::grant(WORKSPACE, Reach::Workspace).before(Some(Arc::clone(&witness))), witness)
}

fn put(store: &Store, name: Option<&str>, id: &str, spec: CollectionSpec) {
    let scope = Scope::grant(WORKSPACE, Reach::Workspace);
    let vector = vec![1.0; spec.dimension as usize];
    let passages = vec![NewPassage { text: Passage::Own("whales".to_owned()), vector }];
    let document = NewDocument { id: Some(id.to_owned()), passages, ..NewDocument::default() };
    store.partition_for_write(&scope, &at(name), spec).unwrap().put(document).unwrap();
}

fn names(witness: &Witness) -> Vec<Option<String>> {
    witness.opened().into_iter().map(|opened| opened.partition).collect()
}

/// Lost otherwise: a partition would be opened on behalf of another one's caller, and no trace would tell.
#[test]
fn whatever_is_opened_is_told() {
    let sim = Sim::new(1);
    let store = open(&sim);
    let spec = CollectionSpec::cosine(2);
    for name in [None, Some("acme"), Some("globex")] {
        put(&store, name, "one", spec);
    }
    put(&store, Some("acme"), "two", spec);
    store.flush().unwrap();

    let (scope, witness) = witnessed();
    let acme = store.partition(&scope, &at(Some("acme"))).unwrap().unwrap();
    assert_eq!((names(&witness), witness.opened()[0].segments), (vec![Some("acme".to_owned())], 0));
    acme.get("nothing of this id").unwrap();
    assert_eq!((witness.opened().len(), witness.opened()[0].segments), (1, 1), "a miss is a look");
    assert!(store.partition(&scope, &at(Some("nobody"))).unwrap().is_none());
    assert_eq!(witness.opened().len(), 1, "what isn't there is not opened");

    type Read = fn(&Partition);
    let reads: [(&str, Read); 5] = [
        ("list", |acme| drop(acme.list(&Filter::default(), 0, 9).unwrap())),
        ("content", |acme| drop(acme.content("one").unwrap())),
        ("ids", |acme| drop(acme.ids(|_| true).unwrap())),
        ("fold", |acme| assert!(acme.fold(&Filter::default(), 9, || (), |(), _| ()).unwrap().is_some())),
        ("passages", |acme| drop(acme.passages("one", 0, 9).unwrap())),
    ];
    for (what, read) in reads {
        let (scope, witness) = witnessed();
        read(&store.partition(&scope, &at(Some("acme"))).unwrap().unwrap());
        let opened = witness.opened();
        assert_eq!((names(&witness), opened[0].segments), (vec![Some("acme".to_owned())], 1), "{what}");
    }
    // By an id alone, every partition is looked into, awake or at rest, and each is told.
    for store in [store, open(&sim)] {
        let (scope, witness) = witnessed();
        assert_eq!(store.holders(&scope, "default", "two").unwrap().partitions.len(), 1);
        let mut all = names(&witness);
        all.sort();
        assert_eq!(all, [None, Some("acme".to_owned()), Some("globex".to_owned())]);
    }
}

/// Lost otherwise: a statement could be altered, or be another server's, and pass.
#[test]
fn a_statement_is_signed_as_a_whole() {
    let sim = Sim::new(2);
    let store = open(&sim);
    let spec = CollectionSpec::cosine(2);
    put(&store, Some("a b/é=%"), "one", spec);
    assert_eq!(store.attest(&Scope::grant(WORKSPACE, Reach::Workspace), "r", [7; 32], None), None);
    let (scope, witness) = witnessed();
    store.partition(&scope, &at(Some("a b/é=%"))).unwrap();
    let canary = store.check_canary(&scope, &at(Some("a b/é=%"))).unwrap().unwrap();
    let Statement { text, signature } = store.attest(&scope, "request\n1", [7; 32], Some(&canary)).unwrap();
    let opened = &witness.opened()[0];
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let expected = format!(
        "strongroom trace 1\nrequest request%0A1\nat_ms {}\nasked {}\nworkspace {WORKSPACE}\nopened 1\n\
         partition default =a%20b%2F%C3%A9%3D%25 incarnation {} key {}\n\
         canary {} beside found here absent\nsigner {}\n",
        text.lines().nth(2).unwrap().strip_prefix("at_ms ").unwrap(),
        hex(&[7; 32]),
        hex(&opened.incarnation),
        hex(&opened.key_fingerprint),
        hex(&canary.id),
        hex(&store.receipt_key()),
    );
    assert_eq!(text, expected);
    assert_eq!(verify_statement(&text, &signature), Ok(store.receipt_key()));
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let altered = String::from_utf8(bytes).unwrap();
        assert!(verify_statement(&altered, &signature).is_err(), "byte {at}");
        assert!(verify_statement(&text[..at], &signature).is_err(), "cut at {at}");
    }
    for at in 0..64 {
        let mut forged = signature;
        forged[at] ^= 1;
        assert_eq!(verify_statement(&text, &forged), Err(StatementError::Signature), "byte {at}");
    }
}

/// Lost otherwise: a call over very many partitions would answer megabytes of statement.
#[test]
fn of_very_many_partitions_a_digest_is_told() {
    let sim = Sim::new(3);
    let store = open(&sim);
    for n in 0..40 {
        put(&store, Some(&format!("tenant {n}")), "one", CollectionSpec::cosine(2));
    }
    let told = |store: &Store| {
        let (scope, _) = witnessed();
        store.holders(&scope, "default", "one").unwrap();
        let text = store.attest(&scope, "r", [0; 32], None).unwrap().text;
        text.lines().filter(|line| !line.starts_with("at_ms")).map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = told(&store);
    assert!(lines.contains(&"opened 40".to_owned()));
    assert_eq!(lines.iter().filter(|line| line.starts_with("partition ")).count(), 32);
    let others = lines.iter().find(|line| line.starts_with("others 8 sha256 ")).unwrap();
    assert_eq!(others.len(), "others 8 sha256 ".len() + 64);
    assert_eq!(lines, told(&store), "the same is told the same");
}

/// Lost otherwise: a check on nothing found would prove nothing, or the canary would be a tenant's to see, to count or to keep.
#[test]
fn a_canary_lies_beside_every_partition_and_in_none() {
    for metric in [Metric::Cosine, Metric::InnerProduct, Metric::Euclidean] {
        let sim = Sim::new(4);
        let spec = CollectionSpec { dimension: 33, metric };
        let scope = Scope::grant(WORKSPACE, Reach::Workspace);
        let store = open(&sim);
        put(&store, Some("acme"), "one", spec);
        put(&store, None, "one", spec);
        let totals = store.totals(&scope).unwrap();
        let check = |store: &Store, name| store.check_canary(&scope, &at(name)).unwrap();
        let first = check(&store, Some("acme")).unwrap();
        assert!(first.holds(), "{metric:?} {first:?}");
        assert_eq!(check(&store, None), Some(first), "one serves all");
        assert_eq!(check(&store, Some("nobody")), None);
        assert_eq!(store.partitions(&scope, "default").unwrap().len(), 2);
        assert_eq!((totals.partitions, totals.counts), {
            let after = store.totals(&scope).unwrap();
            (after.partitions, after.counts)
        });
        store.flush().unwrap();
        drop(store);
        let store = open(&sim);
        assert_eq!(check(&store, Some("acme")), Some(first), "after a restart it is the same");
        // A partition into which the canary's document strays is caught.
        let id: String = first.id.iter().map(|byte| format!("{byte:02x}")).collect();
        put(&store, Some("acme"), &id, spec);
        let strayed = check(&store, Some("acme")).unwrap();
        assert!(strayed.is_here && !strayed.holds(), "{metric:?}");
        assert!(check(&store, None).unwrap().holds());
        let (dropped, receipt) = store.drop_workspace(&OperatorScope::grant(), WORKSPACE).unwrap().unwrap();
        assert_eq!((dropped.documents, receipt.receipt.partitions.get()), (3, 2), "no receipt counts it");
    }
}
