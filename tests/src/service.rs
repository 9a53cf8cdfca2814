//! How does a suite stand in for a service that the server calls?
//!
//! A small server of the test's own: it answers as the test says, remembers what it was asked, and can be told to misbehave.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// What a service does with a request.
#[derive(Clone)]
pub enum Behaviour {
    /// Answers what it is made for.
    Answer,
    /// Answers these bytes and closes.
    Say(String),
    /// Never answers.
    KeepSilent,
    /// The same, when it is told to.
    Wait(Arc<Mutex<Receiver<()>>>),
}

/// A service, until the process ends.
pub struct Service {
    /// Where it listens.
    pub address: SocketAddr,
    behaviour: Arc<Mutex<Behaviour>>,
    /// The heads and bodies of the requests.
    seen: Arc<Mutex<Vec<(String, Value)>>>,
    /// Something for each request.
    pub came: Receiver<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    /// One that answers a body with the bytes that this makes of it, status line and all.
    pub fn start(answer: fn(&Value) -> String) -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let behaviour = Arc::new(Mutex::new(Behaviour::Answer));
        let seen = Arc::<Mutex<Vec<(String, Value)>>>::default();
        let (tell, came) = channel();
        let (how, all) = (behaviour.clone(), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (how, all, tell) = (how.clone(), all.clone(), tell.clone());
                std::thread::spawn(move || converse(stream, answer, &how, &all, &tell));
            }
        });
        Service { address, behaviour, seen, came }
    }

    /// From now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.behaviour) = behaviour;
    }

    /// The requests since this was asked last.
    pub fn take_seen(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut lock(&self.seen))
    }
}

fn converse(
    mut stream: TcpStream,
    make: fn(&Value) -> String,
    behaviour: &Mutex<Behaviour>,
    seen: &Mutex<Vec<(String, Value)>>,
    came: &Sender<()>,
) {
    while let Some((head, body)) = read_request(&mut stream) {
        lock(seen).push((head, body.clone()));
        // The test may have ended.
        came.send(()).ok();
        let behaviour = lock(behaviour).clone();
        let answer = match &behaviour {
            Behaviour::Answer => make(&body),
            Behaviour::Say(text) => text.clone(),
            Behaviour::KeepSilent => {
                // Until the other side gives up.
                stream.read_to_end(&mut Vec::new()).ok();
                return;
            }
            Behaviour::Wait(go) => {
                lock(go).recv().ok();
                make(&body)
            }
        };
        if stream.write_all(answer.as_bytes()).is_err() || matches!(behaviour, Behaviour::Say(_)) {
            return;
        }
    }
}

fn read_request(stream: &mut TcpStream) -> Option<(String, Value)> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 65_536]);
    loop {
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        if bytes.len() == end + 4 + length.parse::<usize>().ok()? {
            return Some((head, serde_json::from_slice(&bytes[end + 4..]).ok()?));
        }
    }
}

/// An answer with this body, over a connection that is kept.
pub fn said(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// The same from one that hangs up then.
pub fn last(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}
