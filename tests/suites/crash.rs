//! Does an acknowledged write survive `kill -9`?
//!
//! Eight writers insert, update, delete, restore and drop while the server is killed, twenty times on one data
//! folder. Each writer keeps a plain model of its own partitions. After each restart all that was acknowledged
//! must be there with the right content, what was deleted must stay away, and dropped partitions must stay
//! empty. The one request that was in flight when the server died may have happened or not, but wholly.

use std::collections::BTreeMap;
use std::time::Duration;

use strongroom_tests::chance::Chance;
use strongroom_tests::client::{Answer, Client, encoded};
use strongroom_tests::documents::{self, download, list_all, search};
use strongroom_tests::server::{Plan, Server};

const WRITERS: usize = 8;
const KILLS: usize = 20;
const PARTITIONS_OF_A_WRITER: usize = 3;

/// A document as its writer knows it.
#[derive(Debug, Clone)]
struct Known {
    content: String,
    live: bool,
    /// Whether it was touched since the last check; only those are read back each time.
    touched: bool,
}

/// One request.
#[derive(Debug, Clone)]
enum Act {
    Insert { content: String },
    Update { id: String, content: String },
    Delete { id: String },
    Restore { id: String },
    Drop,
}

/// One writer and what it believes of its partitions.
struct Writer {
    chance: Chance,
    name: usize,
    written: usize,
    acknowledged: usize,
    partitions: BTreeMap<String, BTreeMap<String, Known>>,
    in_flight: Option<(String, Act)>,
}

impl Writer {
    fn new(name: usize) -> Writer {
        let partitions =
            (0..PARTITIONS_OF_A_WRITER).map(|n| (format!("writer {name}/client {n}"), BTreeMap::new()));
        Writer {
            chance: Chance::new(0xC0FFEE + name as u64),
            name,
            written: 0,
            acknowledged: 0,
            partitions: partitions.collect(),
            in_flight: None,
        }
    }

    fn fresh_content(&mut self) -> String {
        self.written += 1;
        let padding = "lorem ipsum dolor sit amet. ".repeat(self.chance.below(8));
        format!("Note {} of writer {}. {padding}", self.written, self.name)
    }

    /// What to do next, and in which partition.
    fn choose(&mut self) -> (String, Act) {
        let partitions: Vec<String> = self.partitions.keys().cloned().collect();
        let partition = self.chance.pick(&partitions).clone();
        let documents = &self.partitions[&partition];
        let of = |live: bool| -> Vec<String> {
            documents.iter().filter(|(_, k)| k.live == live).map(|(id, _)| id.clone()).collect()
        };
        let (live, deleted) = (of(true), of(false));
        let act = match self.chance.below(100) {
            0..2 if live.len() > 3 => Act::Drop,
            2..20 if !live.is_empty() => Act::Delete { id: self.chance.pick(&live).clone() },
            20..30 if !deleted.is_empty() => Act::Restore { id: self.chance.pick(&deleted).clone() },
            30..45 if !live.is_empty() => {
                let id = self.chance.pick(&live).clone();
                Act::Update { id, content: self.fresh_content() }
            }
            _ => Act::Insert { content: self.fresh_content() },
        };
        (partition, act)
    }

    /// Writes until the server dies.
    fn write_until_death(&mut self, client: &Client) {
        loop {
            let (partition, act) = self.choose();
            match send(client, &partition, &act) {
                Ok(answer) => {
                    assert!((200..300).contains(&answer.status), "{act:?} in {partition}: {answer}");
                    self.acknowledged += 1;
                    self.apply(&partition, act, &answer);
                }
                Err(_) => {
                    self.in_flight = Some((partition, act));
                    return;
                }
            }
        }
    }

    fn apply(&mut self, partition: &str, act: Act, answer: &Answer) {
        let documents = self.partitions.get_mut(partition).expect("a partition of this writer");
        let touched = true;
        match act {
            Act::Insert { content } => {
                documents.insert(documents::id_of(answer), Known { content, live: true, touched });
            }
            Act::Update { id, content } => {
                documents.insert(id, Known { content, live: true, touched });
            }
            Act::Delete { id } => set_live(documents, &id, false),
            Act::Restore { id } => set_live(documents, &id, true),
            Act::Drop => documents.clear(),
        }
    }

    /// Holds the server against the model, and takes over what the request in flight turned out to have done.
    fn check(&mut self, client: &Client, everything: bool) {
        self.settle(client);
        for (partition, documents) in &mut self.partitions {
            let listed = list_all(client, Some(partition));
            let live: Vec<&String> = documents.iter().filter(|(_, k)| k.live).map(|(id, _)| id).collect();
            assert!(live.iter().all(|id| listed.contains_key(*id)), "acknowledged, and lost, in {partition}");
            assert_eq!(listed.len(), live.len(), "{partition} holds what was deleted or never written");
            for (id, known) in documents.iter_mut().filter(|(_, k)| k.touched || everything) {
                let there = download(client, Some(partition), id);
                if known.live {
                    assert_eq!(there.expect(200).text(), known.content, "{partition}: {id}");
                } else {
                    assert_eq!(there.status, 404, "{partition}: {id} was deleted");
                }
                known.touched = false;
            }
            for hit in search(client, Some(partition), "note of a writer", 50) {
                let id = hit["doc_id"].as_str().unwrap_or_default();
                let known =
                    documents.get(id).unwrap_or_else(|| panic!("a search in {partition} found {hit}"));
                assert!(known.live, "a search in {partition} found {id}, which is deleted");
                assert_eq!(hit["content"], known.content.as_str());
            }
        }
    }

    /// The request in flight happened wholly or not at all: finds out which.
    fn settle(&mut self, client: &Client) {
        let Some((partition, act)) = self.in_flight.take() else { return };
        let listed = list_all(client, Some(&partition));
        let documents = self.partitions.get_mut(&partition).expect("a partition of this writer");
        match act {
            Act::Insert { content } => {
                let unknown: Vec<&String> = listed.keys().filter(|id| !documents.contains_key(*id)).collect();
                assert!(unknown.len() <= 1, "one insert was in flight, {} appeared", unknown.len());
                for id in unknown {
                    documents
                        .insert(id.clone(), Known { content: content.clone(), live: true, touched: true });
                }
            }
            Act::Update { id, content } => {
                let now = download(client, Some(&partition), &id).expect(200).text();
                let known = documents.get_mut(&id).expect("a known document");
                assert!(now == content || now == known.content, "half an update: {now}");
                known.content = now;
                known.touched = true;
            }
            Act::Delete { id } | Act::Restore { id } => {
                set_live(documents, &id, listed.contains_key(&id));
            }
            Act::Drop => {
                let live = documents.values().filter(|k| k.live).count();
                assert!(listed.is_empty() || listed.len() == live, "half a drop: {} of {live}", listed.len());
                if listed.is_empty() {
                    documents.clear();
                }
            }
        }
    }
}

fn set_live(documents: &mut BTreeMap<String, Known>, id: &str, live: bool) {
    let known = documents.get_mut(id).expect("a known document");
    (known.live, known.touched) = (live, true);
}

fn send(client: &Client, partition: &str, act: &Act) -> Result<Answer, String> {
    let at = |rest: &str| documents::path(rest, Some(partition));
    let (method, path, body) = match act {
        Act::Insert { content } => {
            ("POST", documents::insert_path(Some(partition), "note.txt"), content.as_str())
        }
        Act::Update { id, content } => {
            ("PUT", at(&format!("/{id}")) + "&filename=note.txt&content_type=text%2Fplain", content.as_str())
        }
        Act::Delete { id } => ("DELETE", at(&format!("/{id}")), ""),
        Act::Restore { id } => ("POST", at(&format!("/{id}/restore")), ""),
        Act::Drop => ("DELETE", format!("/v1/partitions/{}", encoded(partition)), ""),
    };
    client.try_send(method, &path, &[], body.as_bytes().to_vec())
}

// A user loses what the server said was safe.
#[test]
fn what_was_acknowledged_survives_twenty_kills() {
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let mut chance = Chance::new(20);
    let mut plan = Plan::default();
    for kill in 0..=KILLS {
        let server = plan.start();
        let client = server.operator();
        everyone(&mut writers, |writer| writer.check(&client, kill == KILLS));
        if kill == KILLS {
            break;
        }
        let life = Duration::from_millis(150 + chance.below(450) as u64);
        plan = std::thread::scope(|scope| {
            for writer in &mut writers {
                let client = client.clone();
                scope.spawn(move || writer.write_until_death(&client));
            }
            std::thread::sleep(life);
            server.kill()
        });
    }
    let acknowledged: usize = writers.iter().map(|w| w.acknowledged).sum();
    assert!(acknowledged >= KILLS * WRITERS, "only {acknowledged} writes were acknowledged in all lives");
}

fn everyone(writers: &mut [Writer], act: impl Fn(&mut Writer) + Sync) {
    std::thread::scope(|scope| {
        for writer in writers {
            let act = &act;
            scope.spawn(move || act(writer));
        }
    });
}

// A user who stops the server orderly finds the same store, and so does the next life after that.
#[test]
fn an_orderly_stop_keeps_everything_too() {
    let server = Server::start();
    let mut writer = Writer::new(99);
    for _ in 0..60 {
        let (partition, act) = writer.choose();
        let answer = send(&server.operator(), &partition, &act).expect("an answer");
        assert!((200..300).contains(&answer.status), "{answer}");
        writer.apply(&partition, act, &answer);
    }
    let mut plan = server.stop();
    for _ in 0..2 {
        let server = plan.start();
        writer.check(&server.operator(), true);
        plan = server.stop();
    }
}
