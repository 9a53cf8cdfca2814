//! Does verify name every damaged byte of a stopped store, and nothing that is whole?
//!
//! If this fails, an operator trusts a copy that is damaged, or throws one away that is whole.

use std::collections::BTreeSet;
use std::sync::Mutex;

use strongroom_engine::io::Medium;
use strongroom_engine::io::sim::{Fault, Sim};
use strongroom_engine::{
    ActingAs, CollectionSpec, Field, FieldValue, Finding, NewDocument, NewPassage, OperatorScope,
    PartitionName, PartitionRef, Passage, Reach, RootKey, Scope, Severity, Store, StoreKeys, StoreOptions,
    Verified, VerifyError, WorkspaceId, inspect, verify,
};
use strongroom_tests::cores::on_all_cores;
use strongroom_tests::without::Without;

const ROOT: [u8; 32] = [7; 32];
const DIMENSION: u32 = 4;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A partition of a workspace, by number and name.
#[derive(Clone, Copy)]
struct Spot(u8, Option<&'static str>);

impl Spot {
    fn at(self) -> PartitionRef {
        let partition = self.1.map(|name| PartitionName::new(name).expect("a good name"));
        PartitionRef { collection: "default".to_owned(), partition }
    }

    fn scope(self) -> Scope {
        Scope::grant(WorkspaceId([self.0; 16]), Reach::Workspace).acting_as(ActingAs::Administrator)
    }
}

const ACME: Spot = Spot(1, Some("acme"));
const MAIN: Spot = Spot(1, None);
const OTHER: Spot = Spot(2, Some("acme"));
const GONE: Spot = Spot(1, Some("gone"));

fn open(sim: &Sim) -> Outcome<Store> {
    let options = StoreOptions { retention_ms: 1000, ..StoreOptions::default() };
    Ok(Store::open(sim.restart(), RootKey(ROOT), options)?)
}

fn put(store: &Store, spot: Spot, ids: &[&str]) -> Outcome {
    let partition =
        store.partition_for_write(&spot.scope(), &spot.at(), CollectionSpec::cosine(DIMENSION))?;
    for id in ids {
        let content = format!("the words of {id}").into_bytes();
        let text = Passage::Range { start: 0, end: u32::try_from(content.len())? };
        partition.put(NewDocument {
            id: Some((*id).to_owned()),
            filename: "a.txt".to_owned(),
            content_type: "text/plain".to_owned(),
            content,
            tags: vec!["red".to_owned()],
            metadata: String::new(),
            fields: vec![Field { path: "n".to_owned(), value: FieldValue::Number(7_u64.into()) }],
            entity: None,
            source: None,
            readers: Some(vec!["user:ada".to_owned()]),
            expires_ms: None,
            passages: vec![NewPassage { text, vector: vec![1.0, 0.5, 0.25, 0.0] }],
        })?;
    }
    Ok(())
}

fn delete(store: &Store, spot: Spot, id: &str) -> Outcome {
    let partition = store.partition(&spot.scope(), &spot.at())?.ok_or("the partition is there")?;
    partition.delete(id)?;
    Ok(())
}

/// The one checkpoint of the small store.
const CHECKPOINT: &str = "manifest/0/0000000000000021";

/// Three partitions in two workspaces: rows in segments and in the log, one erased partition, edits and checkpoints.
fn small_store() -> Sim {
    let sim = Sim::new(3);
    let fill = || -> Outcome {
        let store = open(&sim)?;
        let operator = OperatorScope::grant();
        store.create_workspace(&operator, WorkspaceId([1; 16]))?;
        store.create_workspace(&operator, WorkspaceId([2; 16]))?;
        put(&store, ACME, &["a", "b"])?;
        put(&store, MAIN, &["c"])?;
        put(&store, OTHER, &["d"])?;
        put(&store, GONE, &["e"])?;
        store.flush()?;
        store.drop_partition(&GONE.scope(), &GONE.at())?;
        for _ in 0..31 {
            store.flush()?;
        }
        delete(&store, ACME, "a")?;
        put(&store, MAIN, &["f"])?;
        store.flush()?;
        put(&store, ACME, &["g"])?;
        put(&store, OTHER, &["h", "i"])?;
        Ok(())
    };
    fill().expect("a medium without faults");
    sim
}

/// What verify says of this machine's store.
fn told(sim: &Sim) -> (Verified, Vec<Finding>) {
    told_of(&sim.restart(), Some(RootKey(ROOT)))
}

fn told_of(medium: &Medium, root: Option<RootKey>) -> (Verified, Vec<Finding>) {
    let mut findings = Vec::new();
    let verified = verify(medium, root, &mut |_| {}, &mut |finding| findings.push(finding));
    (verified.expect("a store that nobody holds"), findings)
}

fn faults(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.severity == Severity::Fault).collect()
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

// An operator would look for damage where there is none.
#[test]
fn nothing_is_found_in_a_whole_store() {
    let sim = small_store();
    let files = sim.files();
    let (verified, findings) = told(&sim);
    assert_eq!(lines(&findings), "");
    let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!((verified.files, verified.bytes), (files.len() as u64, bytes as u64));
    assert!(sim.files() == files, "verify wrote something");
}

/// Flips a bit in each byte of the files of a folder.
fn every_flip_is_named(folder: &str) {
    let sim = small_store();
    let files = sim.files().into_iter().filter(|(name, _)| name.starts_with(folder));
    let bytes: Vec<(String, u64)> =
        files.flat_map(|(name, bytes)| (0..bytes.len() as u64).map(move |at| (name.clone(), at))).collect();
    assert!(!bytes.is_empty(), "no file in {folder}");
    on_all_cores(bytes.iter(), |(name, at)| {
        let damaged = sim.snapshot();
        damaged.flip_bit(name, *at, u8::try_from((at * 5 + at / 8) % 8).expect("a bit"));
        let (_, findings) = told(&damaged);
        let faults = faults(&findings);
        let [fault] = faults[..] else { panic!("byte {at} of {name}:\n{}", lines(&findings)) };
        let structure = structure_bytes(fault.damage.field);
        let is_its =
            fault.damage.file == *name && (fault.damage.offset..fault.damage.offset + structure).contains(at);
        assert!(is_its, "byte {at} of {name}:\n{}", lines(&findings));
    });
}

/// How long the structure can be that a field belongs to: damage is told where it begins.
fn structure_bytes(field: &str) -> u64 {
    match field.split(['.', ' ']).next().unwrap_or(field) {
        "FileHeader" => 64,
        "SegmentHeader" => 64,
        "KeySlot" => 128,
        "Receipt" => 384,
        "BlockHeader" => 32 + (16 << 10),
        "LogStart" | "BatchHeader" | "DirectoryEntry" | "batch" => 4096,
        "ManifestHeader" => 4096,
        // Told at the very byte.
        "erased" => 1,
        other => panic!("unexpected: {other}"),
    }
}

// Bit rot would go unnoticed until somebody asks for what it hit.
#[test]
fn a_flipped_bit_of_the_log_is_named() {
    every_flip_is_named("log/");
}

// A key would be lost with the second copy, long after the first.
#[test]
fn a_flipped_bit_of_the_keyring_is_named() {
    every_flip_is_named("keyring/");
}

#[test]
fn a_flipped_bit_of_the_manifest_is_named() {
    every_flip_is_named("manifest/");
}

#[test]
fn a_flipped_bit_of_the_segments_is_named() {
    every_flip_is_named("segments/");
}

// A proof of an erasure would fail when it is asked for.
#[test]
fn a_flipped_bit_of_a_receipt_is_named() {
    every_flip_is_named("receipts/");
}

// A copy that was cut short would be taken for whole. What a crash leaves just so may be a note.
#[test]
fn a_file_that_is_cut_short_is_named() {
    let sim = small_store();
    let files = sim.files();
    let newest =
        |folder: &str| files.iter().map(|(name, _)| name).rfind(|name| name.starts_with(folder)).cloned();
    let (newest_log, newest_version) = (newest("log/"), newest("manifest/"));
    let borders = |(name, bytes): &(String, Vec<u8>)| {
        let step = if name.starts_with("segments/") || name.starts_with("receipts/") { 1 } else { 16 };
        let lengths = (0..=bytes.len()).step_by(step).flat_map(|at| [at.saturating_sub(1), at, at + 1]);
        let lengths: BTreeSet<usize> = lengths.filter(|at| *at < bytes.len()).collect();
        let (name, all) = (name.clone(), bytes.len());
        lengths.into_iter().map(move |length| (name.clone(), length, all)).collect::<Vec<_>>()
    };
    let cuts: Vec<(String, usize, usize)> = files.iter().flat_map(borders).collect();
    on_all_cores(cuts.iter(), |(name, length, all)| {
        let damaged = sim.snapshot();
        damaged.truncate_file(name, *length as u64);
        let (_, findings) = told(&damaged);
        let named: Vec<&Finding> = findings.iter().filter(|finding| finding.damage.file == *name).collect();
        let what = format!("{length} of {all} bytes of {name}:\n{}", lines(&findings));
        // A log that ends with a batch might not have had another one.
        let is_border = Some(name) == newest_log.as_ref() && *length > 0 && length % 4096 == 0;
        assert!(!named.is_empty() || is_border, "{what}");
        // One copy of an edit, a version or a log that might not have been written any further.
        let may_be_crash = Some(name) == newest_log.as_ref()
            || Some(name) == newest_version.as_ref()
            || (name.starts_with("manifest/") && (length * 2 >= *all || name == CHECKPOINT))
            || (name == "keyring/1" && all - length <= 32 * 128);
        assert!(may_be_crash || !faults(&findings).is_empty(), "{what}");
    });
}

// A file that a copy left out would be missed when it is needed.
#[test]
fn a_missing_file_is_named() {
    let sim = small_store();
    let mut files = sim.files();
    files.push(("no file".to_owned(), Vec::new()));
    for (name, _) in &files {
        let (_, findings) = told_of(&Without::medium(sim.restart(), name), Some(RootKey(ROOT)));
        let is_named = faults(&findings).iter().any(|fault| fault.damage.file == *name);
        match name.as_str() {
            "no file" => assert_eq!(lines(&findings), ""),
            // The checkpoint before it and the edits since say the same.
            CHECKPOINT => assert_eq!(findings.len(), 1, "{name}: {}", lines(&findings)),
            // Nothing names the newest version, but the one before it names a log that is gone.
            "manifest/0/0000000000000023" => assert!(!faults(&findings).is_empty()),
            _ => assert!(is_named, "{name}:\n{}", lines(&findings)),
        }
    }
}

// An operator without the key at hand would learn nothing; with the wrong one, that everything is broken.
#[test]
fn a_store_is_verified_without_its_key_but_not_with_another() {
    let sim = small_store();
    let (verified, findings) = told_of(&sim.restart(), None);
    assert_eq!(lines(&findings), "");
    assert_eq!((verified.segments, verified.records), (5, 3));
    let refused =
        |medium: &Medium, root| verify(medium, root, &mut |_| {}, &mut |finding| panic!("{finding}"));
    let wrong = refused(&sim.restart(), Some(RootKey([8; 32])));
    assert!(matches!(wrong, Err(VerifyError::WrongKey)), "{wrong:?}");
    let store = open(&sim).expect("a whole store");
    let held = refused(&sim.medium(), Some(RootKey(ROOT)));
    assert!(matches!(held, Err(VerifyError::Locked)), "{held:?}");
    drop(store);
    let none = refused(&Sim::new(1).medium(), None);
    assert!(matches!(none, Err(VerifyError::NoStore)), "{none:?}");
}

/// Everything that leaves traces on the medium, once: until it is done, or a fault ends it.
fn live(sim: &Sim) -> Outcome {
    let operator = OperatorScope::grant();
    let store = open(sim)?;
    store.create_workspace(&operator, WorkspaceId([1; 16]))?;
    store.create_workspace(&operator, WorkspaceId([2; 16]))?;
    put(&store, ACME, &["a", "b"])?;
    put(&store, GONE, &["x"])?;
    put(&store, OTHER, &["a"])?;
    store.flush()?;
    delete(&store, ACME, "a")?;
    store.drop_partition(&GONE.scope(), &GONE.at())?;
    store.flush()?;
    put(&store, ACME, &["c"])?;
    put(&store, MAIN, &["m"])?;
    store.flush()?;
    // Its rows lie in files that hold other partitions' as well.
    store.purge(&ACME.scope(), &ACME.at(), &["b"])?;
    drop(store);
    let store = open(sim)?;
    put(&store, GONE, &["y"])?;
    for id in ["p", "q", "r", "s"] {
        put(&store, ACME, &[id])?;
        store.flush()?;
    }
    store.drop_workspace(&operator, WorkspaceId([2; 16]))?;
    put(&store, ACME, &["t"])?;
    for _ in 0..30 {
        store.flush()?;
    }
    put(&store, MAIN, &["u"])?;
    Ok(())
}

/// Ends a life at each of its steps, and insists that verify finds no fault, at once and after an opening.
fn interrupt(fault: Fault) {
    let whole = Sim::new(5);
    live(&whole).expect("a medium without faults");
    let steps = whole.steps();
    assert!(steps > 100, "a life of {steps} steps");
    let wrong = Mutex::new(Vec::new());
    on_all_cores(0..steps, |step| {
        let sim = Sim::new(5);
        sim.fail_after(step, fault);
        let ended = live(&sim).err().map_or("by itself".to_owned(), |error| error.to_string());
        sim.restart();
        sim.make_space();
        if sim.files().is_empty() {
            return;
        }
        let told_when = |when: &str| {
            let mut findings = Vec::new();
            let verified =
                verify(&sim.restart(), Some(RootKey(ROOT)), &mut |_| {}, &mut |f| findings.push(f));
            if !matches!(verified, Ok(_) | Err(VerifyError::NoStore)) || !faults(&findings).is_empty() {
                let text = format!("step {step} ({ended}), {when}: {verified:?}\n{}", lines(&findings));
                wrong.lock().expect("no panic inside").push(text);
            }
        };
        told_when("at once");
        match open(&sim) {
            Ok(store) => drop(store),
            Err(error) => panic!("step {step} ({ended}): {error}"),
        }
        told_when("after an opening");
        let store = open(&sim).expect("opened before");
        store.flush().expect("a medium without faults");
        drop(store);
        told_when("after a flush");
    });
    let wrong = wrong.into_inner().expect("no panic inside");
    assert!(wrong.is_empty(), "{} of {steps}:\n{}", wrong.len(), wrong.join("\n"));
}

// After every power cut an operator would look for damage where there is none.
#[test]
fn a_crash_at_any_step_leaves_no_fault() {
    interrupt(Fault::Crash);
}

// The same after a disk that failed once, and a process that was killed then.
#[test]
fn an_error_at_any_step_leaves_no_fault() {
    interrupt(Fault::Eio);
}

/// What inspect says of a file, and how many damages it tells; `None` when it takes it for a stranger's.
fn inspected(bytes: &[u8], keys: Option<&StoreKeys>) -> Option<(String, u64)> {
    let mut text = String::new();
    let inspected = inspect(bytes, keys, &mut |line| {
        assert!(!line.contains('\n'), "two lines in one: {line}");
        text += line;
        text.push('\n');
    });
    inspected.ok().map(|inspected| (text, inspected.damages))
}

// Whoever is told of damage at some byte could not look at what is there.
#[test]
fn inspect_tells_what_each_file_holds() {
    let sim = small_store();
    let keys = StoreKeys::read(&sim.restart(), Some(RootKey(ROOT))).expect("the right key");
    let mut all = String::new();
    for (name, bytes) in sim.files() {
        let (text, damages) = inspected(&bytes, Some(&keys)).unwrap_or_else(|| panic!("{name} is unknown"));
        assert_eq!(damages, 0, "{name}: {text}");
        assert_eq!(inspected(&bytes, Some(&keys)), Some((text.clone(), damages)), "{name}, once more");
        all += &text;
    }
    for line in [
        "keyring mirror: 66 slots",
        "slot 0: live workspace key, incarnation 01010101010101010101010101010101",
        "shredded partition key",
        "log file: run 1, number 3",
        "batch 2 at byte 12288: 1 records, 4096 bytes",
        "manifest: version 33, checkpoint",
        "manifest: version 35, edit",
        "segment file: epoch 1",
        "  document \"a\": record",
        "  document \"f\": record",
        "receipt: the erasure of a partition",
        "signature: valid",
    ] {
        assert!(all.contains(line), "{line:?} is missing in:\n{all}");
    }
    assert!(!all.contains("the words of"), "texts are nobody's business here:\n{all}");
    let without_keys: Vec<_> = sim.files().iter().filter_map(|(_, bytes)| inspected(bytes, None)).collect();
    assert!(without_keys.iter().all(|(text, damages)| *damages == 0 && !text.contains("document \"")));
}

// The very file that somebody has to look at, because it is damaged, would end the program.
#[test]
fn inspect_stands_any_bytes() {
    let sim = small_store();
    let keys = StoreKeys::read(&sim.restart(), Some(RootKey(ROOT))).expect("the right key");
    for (name, bytes) in sim.files() {
        let is_small = bytes.len() <= 512;
        for at in (0..bytes.len()).step_by(if is_small { 1 } else { 13 }) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            let told = inspected(&flipped, Some(&keys))
                .is_none_or(|(text, damages)| damages > 0 || text.contains("that say nothing"));
            assert!(told, "byte {at} of {name}");
            inspected(&bytes[..at], Some(&keys));
            let mut hostile = bytes.clone();
            let end = (at + 8).min(bytes.len());
            hostile[at..end].fill(0xff);
            inspected(&hostile, Some(&keys));
        }
    }
}
