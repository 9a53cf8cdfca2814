//! Does a partition answer the same, to the byte, whether or not there is another one?
//!
//! A trial lives the same life of one partition, the watched one, twice: alone, and with a [`neighbour`] beside it that comes before or after
//! it, is written to, searched, purged from, dropped and made anew. After every other act both are [`asked`] everything that a partition can be asked,
//! and the answers are compared as text. Restarts, flushes and merges happen in both at the same places of the life; in some trials
//! the store flushes when it likes, which the neighbour's writes hasten: then all but how many segments there are has to be the same.

mod asked;
mod neighbour;

use std::time::{Duration, Instant};

use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    CollectionSpec, Field, FieldValue, NewDocument, NewPassage, OperatorScope, Partition, Passage, RootKey,
    Store, StoreOptions, WriteError,
};

use crate::chance::Chance;
use crate::model::{Spot, workspace_id};

const SPEC: CollectionSpec = CollectionSpec::cosine(8);

/// Acts in the life of the watched partition.
const ACTS: std::ops::Range<usize> = 8..20;

/// Documents in it have numbers below this.
const DOCUMENTS: usize = 9;

const WORDS: [&str; 12] = [
    "budget", "refund", "policy", "harbour", "winter", "budgets", "lantern", "copper", "meadow", "signal",
    "refunds", "quiet",
];

/// A machine, and the store on it.
struct Side {
    sim: Sim,
    options: StoreOptions,
    store: Option<Store>,
}

impl Side {
    fn new(seed: u64, options: StoreOptions) -> Side {
        let mut side = Side { sim: Sim::new(seed), options, store: None };
        side.reopen();
        for workspace in [1, 2] {
            let made = side.store().create_workspace(&OperatorScope::grant(), workspace_id(workspace));
            made.expect("a workspace is made");
        }
        side
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("an open store")
    }

    /// Kills the process and opens the store again.
    fn reopen(&mut self) {
        self.store = None;
        let opened = Store::open(self.sim.restart(), RootKey([3; 32]), self.options.clone());
        self.store = Some(opened.expect("the store opens"));
    }

    fn find(&self, spot: &Spot) -> Option<Partition> {
        self.store().partition(&spot.scope(), &spot.at()).expect("the store answers")
    }

    fn writer(&self, spot: &Spot) -> Partition {
        self.store().partition_for_write(&spot.scope(), &spot.at(), SPEC).expect("the store answers")
    }

    /// What a host does between two calls.
    fn maintain(&self) {
        while self.store().wants_maintenance() {
            self.store().run_maintenance().expect("maintained");
        }
    }
}

/// One act on a partition, or on the store as a whole.
#[derive(Debug, Clone)]
enum Act {
    Put(Vec<NewDocument>),
    Update(String, Box<NewDocument>),
    Delete(String),
    Restore(String),
    Purge(String),
    Drop,
    Flush,
    Restart,
    /// So many milliseconds pass.
    Wait(u64),
}

impl Act {
    /// What the owner of the watched partition may do, and the store.
    fn roll(chance: &mut Chance, name: &str) -> Act {
        let id = format!("{name}-{}", chance.below(DOCUMENTS));
        match chance.below(100) {
            0..32 => Act::Put((0..=chance.below(3)).map(|_| document(chance, name)).collect()),
            32..46 => Act::Update(id, Box::new(document(chance, name))),
            46..56 => Act::Delete(id),
            56..62 => Act::Restore(id),
            62..67 => Act::Purge(id),
            67..69 => Act::Drop,
            69..83 => Act::Flush,
            83..92 => Act::Restart,
            _ => Act::Wait(1 + chance.bits() % 5_000_000),
        }
    }

    /// Does it. Answers how it ended, as the caller is told.
    fn run(&self, side: &mut Side, spot: &Spot) -> String {
        let told = |outcome: Result<(), WriteError>| {
            outcome.map_or_else(|error| error.to_string(), |()| "done".to_owned())
        };
        match self {
            Act::Put(documents) => {
                let put = side.writer(spot).upsert_many(documents.clone());
                put.map_or_else(|error| error.to_string(), |made| format!("{made:?}"))
            }
            Act::Update(id, document) => {
                let updated = side.writer(spot).update(id, NewDocument { id: None, ..(**document).clone() });
                updated.map_or_else(|error| error.to_string(), |made| format!("{made:?}"))
            }
            Act::Delete(id) => side.find(spot).map_or("nothing".to_owned(), |own| told(own.delete(id))),
            Act::Restore(id) => side.find(spot).map_or("nothing".to_owned(), |own| told(own.restore(id))),
            Act::Purge(id) => {
                let purged = side.store().purge(&spot.scope(), &spot.at(), &[id]);
                purged.map_or_else(|error| error.to_string(), |_| "done".to_owned())
            }
            Act::Drop => {
                let dropped = side.store().drop_partition(&spot.scope(), &spot.at());
                dropped.map_or_else(|error| error.to_string(), |_| "done".to_owned())
            }
            Act::Flush => {
                side.store().flush().expect("flushed");
                String::new()
            }
            Act::Restart => {
                side.reopen();
                String::new()
            }
            Act::Wait(ms) => {
                side.sim.advance_ms(*ms);
                String::new()
            }
        }
    }
}

/// A document of one or two passages, of words that all partitions have in common.
fn document(chance: &mut Chance, name: &str) -> NewDocument {
    let words: Vec<&str> = (0..2 + chance.below(14)).map(|_| *chance.pick(&WORDS)).collect();
    let content = words.join(" ");
    let half = u32::try_from(words[..words.len() / 2].join(" ").len()).expect("a short text");
    let end = u32::try_from(content.len()).expect("a short text");
    let ranges = if chance.percent(50) { vec![(0, end)] } else { vec![(0, half), (half, end)] };
    let passages: Vec<NewPassage> = ranges
        .into_iter()
        .map(|(start, end)| NewPassage { text: Passage::Range { start, end }, vector: vector(chance) })
        .collect();
    let number = chance.below(5);
    NewDocument {
        id: Some(format!("{name}-{}", chance.below(DOCUMENTS))),
        filename: format!("{name}.txt"),
        content_type: "text/plain".to_owned(),
        passages,
        tags: vec![format!("tag:{}", chance.below(3))],
        metadata: format!("{{\"n\":{number}}}"),
        fields: vec![Field { path: "n".to_owned(), value: FieldValue::Text(number.to_string()) }],
        entity: chance.percent(50).then(|| format!("entity-{}", chance.below(2))),
        source: Some(format!("source-{}", chance.below(2))),
        readers: chance.percent(20).then(|| vec![format!("label-{}", chance.below(2))]),
        expires_ms: None,
        content: content.into_bytes(),
    }
}

fn vector(chance: &mut Chance) -> Vec<f32> {
    (0..8).map(|_| chance.unit()).collect()
}

/// Lives one trial. The error says where the answers differ.
pub fn trial(seed: u64) -> Result<(), String> {
    let mut chance = Chance::new(seed ^ 0x6e6f_6e69_6e74_6572);
    let is_hasty = chance.percent(25);
    let options = StoreOptions {
        flush_bytes: if is_hasty { 2000 } else { u64::MAX / 8 },
        flush_age_ms: u64::MAX / 8,
        cache_bytes: *chance.pick(&[4 << 10, 1 << 30]),
        ..StoreOptions::default()
    };
    let watched = Spot { workspace: 1, name: Some("watched".to_owned()) };
    let mut alone = Side::new(seed, options.clone());
    // Another machine, so not even its randomness is the same.
    let mut beside = Side::new(!seed, options);
    let mut neighbours = neighbour::Neighbours::new(&mut chance);
    let acts = ACTS.start + chance.below(ACTS.len());
    for number in 0..acts {
        neighbours.act(&mut beside, &mut chance);
        let act = Act::roll(&mut chance, "watched");
        let told = [act.run(&mut alone, &watched), act.run(&mut beside, &watched)];
        for side in [&alone, &beside].into_iter().filter(|_| is_hasty) {
            side.maintain();
        }
        neighbours.act(&mut beside, &mut chance);
        let question = asked::Question::roll(&mut chance);
        let answers = match number + 1 == acts || chance.percent(50) {
            true => [&alone, &beside].map(|side| question.ask(side, &watched, is_hasty)),
            false => Default::default(),
        };
        for (what, [alone, beside]) in [("was told", told), ("is answered", answers)] {
            if alone != beside {
                let (alone, beside) = first_difference(&alone, &beside);
                return Err(format!(
                    "trial {seed}, act {number} ({act:.200?}): {what}\nalone:  {alone}\nbeside: {beside}"
                ));
            }
        }
    }
    Ok(())
}

/// The lines in which two texts differ first.
fn first_difference(one: &str, other: &str) -> (String, String) {
    let mut others = other.lines();
    for line in one.lines() {
        let beside = others.next().unwrap_or_default();
        if line != beside {
            return (line.chars().take(2000).collect(), beside.chars().take(2000).collect());
        }
    }
    (String::new(), others.next().unwrap_or_default().to_owned())
}

/// What came of many trials.
#[derive(Debug)]
pub struct Tried {
    /// How many were lived.
    pub trials: u64,
    /// The first difference, if there was one.
    pub difference: Option<String>,
    /// How long they took.
    pub took: Duration,
}

/// Lives so many trials from a seed on, on all cores, until one finds a difference.
pub fn try_many(from: u64, count: u64) -> Tried {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};
    let (begun, next) = (Instant::now(), AtomicU64::new(0));
    let difference = Mutex::new(None);
    let found = || difference.lock().expect("no panic inside");
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while found().is_none() {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    if let Err(what) = trial(from + number) {
                        found().get_or_insert(what);
                    }
                }
            });
        }
    });
    let trials = next.into_inner().min(count);
    Tried { trials, difference: difference.into_inner().expect("no panic inside"), took: begun.elapsed() }
}
