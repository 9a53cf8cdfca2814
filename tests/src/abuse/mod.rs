//! What does abuse of a server look like from outside, and what may it cost?
//!
//! Peers that send what no client sends, on sockets of their own: [`slow`] ones by the thousand, [`floods`] of bytes and
//! [`frames`] of HTTP/2. Meanwhile a [`Bystander`] asks ordinary things and must be answered, and a [`Memory`] watches how far the
//! server's process grows.

pub mod floods;
pub mod frames;
pub mod slow;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::client::Client;
use crate::documents;
use crate::server::Server;

/// How far the server's process may grow, whatever is done to it.
pub const GROWTH_MAX: u64 = 128 << 20;

/// Long enough for any answer on a busy machine; what is not there by then isn't coming.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much memory a process has, from a moment on.
pub struct Memory {
    process: u32,
    before_bytes: u64,
}

impl Memory {
    /// Begins to watch a server.
    pub fn watch(server: &Server) -> Memory {
        let process = server.process();
        // From here on the peak is that of what comes, and not of the start.
        fs::write(format!("/proc/{process}/clear_refs"), "5").expect("the peak can be set back");
        Memory { process, before_bytes: field(process, "VmRSS:") }
    }

    /// How much a server has now, in bytes.
    pub fn resident(server: &Server) -> u64 {
        field(server.process(), "VmRSS:")
    }

    /// By how much the process has grown at most, in bytes.
    pub fn grown(&self) -> u64 {
        field(self.process, "VmHWM:").saturating_sub(self.before_bytes)
    }

    /// Insists that it grew by less than [`GROWTH_MAX`].
    #[track_caller]
    pub fn expect_bounded(&self, by: &str) {
        let grown = self.grown();
        assert!(grown < GROWTH_MAX, "{by} made the server grow by {} MiB", grown >> 20);
    }
}

fn field(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the server lives");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells it");
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
    kib << 10
}

/// Somebody who uses the server as it is meant to be used, all the while.
pub struct Bystander {
    served: Receiver<()>,
    is_done: Arc<AtomicBool>,
    at_it: Option<JoinHandle<()>>,
}

impl Bystander {
    /// Begins to search and to write, one call after another.
    pub fn of(server: &Server) -> Bystander {
        let client = server.operator();
        documents::insert(&client, Some("bystander"), "the bystander reads about budgets");
        let is_done = Arc::new(AtomicBool::new(false));
        let (tell, served) = channel();
        let done = is_done.clone();
        let at_it = std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                call(&client);
                if tell.send(()).is_err() {
                    return;
                }
            }
        });
        Bystander { served, is_done, at_it: Some(at_it) }
    }

    /// Waits for some answers that come from now on.
    #[track_caller]
    pub fn expect_served(&self) {
        while self.served.try_recv().is_ok() {}
        for _ in 0..3 {
            self.served.recv_timeout(PATIENCE).expect("another client is served meanwhile");
        }
    }
}

/// A search and a listing on a connection of their own, as a new client would begin.
fn call(client: &Client) {
    let hits = documents::search(client, Some("bystander"), "budgets", 3);
    assert!(!hits.is_empty(), "the bystander finds what is there");
    documents::list_all(client, Some("bystander"));
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.is_done.store(true, Ordering::Relaxed);
        if let Some(at_it) = self.at_it.take()
            && at_it.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the bystander was refused");
        }
    }
}
