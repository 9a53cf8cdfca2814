//! Whole servers on a disk that fails: the real engine and the real folder, with a log that refuses as it is told.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use strongroom_engine::io::{LogFile, LogStore, StorageErrorKind};
use tempfile::TempDir;

use super::tests::{Answer, call, config_for};
use super::*;

/// What the disk does from now on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Well,
    /// No room, but for what the reserve gives back.
    Full { is_reserve_free: bool },
    /// Every sync fails.
    Broken,
}

/// The disk's log, in a mood.
struct MoodyLog {
    disk: Arc<dyn LogStore>,
    mood: Arc<Mutex<Mood>>,
}

type Outcome<T> = Result<T, StorageError>;

fn failure<T>(what: &'static str, kind: StorageErrorKind) -> Outcome<T> {
    Err(StorageError { what, name: "log".to_owned(), kind })
}

impl MoodyLog {
    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    fn room(&self, what: &'static str) -> Outcome<()> {
        match self.mood() {
            Mood::Full { is_reserve_free: false } => failure(what, StorageErrorKind::Full),
            _ => Ok(()),
        }
    }
}

impl LogStore for MoodyLog {
    fn fence(&self) -> Outcome<()> {
        self.disk.fence()
    }
    fn begin(&self, file: LogFile) -> Outcome<()> {
        self.room("begin")?;
        self.disk.begin(file)
    }
    fn append(&self, file: LogFile, bytes: &[u8]) -> Outcome<()> {
        self.room("append")?;
        self.disk.append(file, bytes)
    }
    fn commit(&self, file: LogFile) -> Outcome<u64> {
        if self.mood() == Mood::Broken {
            return failure("commit", StorageErrorKind::Other("input/output error".to_owned()));
        }
        self.disk.commit(file)
    }
    fn list(&self) -> Outcome<Vec<LogFile>> {
        self.disk.list()
    }
    fn replay(&self, file: LogFile) -> Outcome<Vec<u8>> {
        self.disk.replay(file)
    }
    fn truncate(&self, before: LogFile) -> Outcome<()> {
        self.disk.truncate(before)
    }
    fn hold_reserve(&self) -> Outcome<()> {
        if let Mood::Full { .. } = self.mood() {
            return failure("hold", StorageErrorKind::Full);
        }
        self.disk.hold_reserve()
    }
    fn release_reserve(&self) -> Outcome<bool> {
        let mut mood = self.mood.lock().unwrap();
        if let Mood::Full { is_reserve_free } = &mut *mood {
            *is_reserve_free = true;
        }
        self.disk.release_reserve()
    }
}

async fn start(folder: &Path) -> (Server, Arc<Mutex<Mood>>) {
    let mood = Arc::new(Mutex::new(Mood::Well));
    let told = mood.clone();
    let medium = move |folder: &Path| {
        let mut medium = disk::medium(folder)?;
        medium.log = Arc::new(MoodyLog { disk: medium.log.clone(), mood: told });
        Ok(medium)
    };
    (Server::start_on(config_for(folder), medium).await.unwrap(), mood)
}

/// One customer's calls.
struct Customer {
    address: SocketAddr,
    key: String,
}

impl Customer {
    async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        call(self.address, &self.key, method, path, body).await
    }

    async fn insert(&self, partition: &str) -> Answer {
        self.call("POST", &format!("/v1/documents?filename=a.txt&partition={partition}"), "about whales")
            .await
    }

    async fn finds(&self, partition: &str) -> usize {
        let found = self.call("GET", &format!("/v1/search?q=whales&partition={partition}"), "").await;
        assert_eq!(found.status, 200, "{}", found.body);
        found.body["results"].as_array().unwrap().len()
    }
}

/// Lost otherwise: a full disk would take searches down with it, or forbid the deletions that make room, or need a
/// restart once there is room again.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_alone() {
    let folder = TempDir::new().unwrap();
    let (server, mood) = start(folder.path()).await;
    let customer = Customer { address: server.address(), key: server.owner_key().unwrap().to_owned() };
    let id = customer.insert("acme").await.body["doc_id"].as_str().unwrap().to_owned();
    for partition in ["acme", "globex", "initech"] {
        assert_eq!(customer.insert(partition).await.status, 201);
    }
    *mood.lock().unwrap() = Mood::Full { is_reserve_free: false };
    for _ in 0..2 {
        let refused = customer.insert("acme").await;
        assert_eq!((refused.status, refused.code()), (507, "disk_full"), "{}", refused.body);
    }
    assert_eq!(customer.call("GET", "/readyz", "").await.status, 200, "it serves on");
    assert_eq!(customer.finds("acme").await, 2);
    let deleted = customer.call("DELETE", &format!("/v1/documents/{id}?partition=acme"), "").await;
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    let dropped = customer.call("DELETE", "/v1/partitions/globex", "").await;
    assert_eq!((dropped.status, &dropped.body["documents_deleted"]), (200, &json!(1)), "{}", dropped.body);
    assert_eq!((customer.finds("acme").await, customer.finds("globex").await), (1, 0));
    assert_eq!(customer.insert("acme").await.status, 507);
    *mood.lock().unwrap() = Mood::Well;
    assert_eq!(customer.insert("acme").await.status, 201, "there is room again");
    assert_eq!(customer.finds("acme").await, 2);
    *mood.lock().unwrap() = Mood::Full { is_reserve_free: false };
    server.stop().await.expect("an orderly end: all that was acknowledged is durable");
    let (server, _) = start(folder.path()).await;
    let customer = Customer { address: server.address(), ..customer };
    assert_eq!((customer.finds("acme").await, customer.finds("globex").await), (2, 0));
    server.stop().await.unwrap();
}

/// Lost otherwise: a write would be acknowledged that a failed sync lost, or a server that can write nothing any more
/// would stand there for ever, looking ready.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_ends_the_server_and_nothing_is_lost() {
    let folder = TempDir::new().unwrap();
    let (server, mood) = start(folder.path()).await;
    let customer = Customer { address: server.address(), key: server.owner_key().unwrap().to_owned() };
    assert_eq!(customer.insert("acme").await.status, 201);
    *mood.lock().unwrap() = Mood::Broken;
    let refused = customer.insert("acme").await;
    assert_eq!((refused.status, refused.code()), (503, "log_failed"), "{}", refused.body);
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    let probe = customer.call("GET", "/readyz", "").await;
    assert_eq!((probe.status, probe.code()), (503, "log_failed"), "{}", probe.body);
    assert_eq!(customer.call("GET", "/healthz", "").await.status, 200);
    assert_eq!(customer.finds("acme").await, 1, "what was acknowledged is served until the end");
    // Well again: a sync that failed must not be taken back.
    *mood.lock().unwrap() = Mood::Well;
    assert_eq!(customer.insert("acme").await.status, 503);
    tokio::time::timeout(Duration::from_secs(30), server.disk_failed()).await.unwrap();
    server.stop().await.unwrap();

    let (server, _) = start(folder.path()).await;
    let customer = Customer { address: server.address(), ..customer };
    let there = customer.finds("acme").await;
    assert!([1, 2].contains(&there), "the one acknowledged, and perhaps the one whose sync failed: {there}");
    assert_eq!(customer.insert("acme").await.status, 201);
    server.stop().await.unwrap();
}
