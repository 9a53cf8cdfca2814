//! How are a thousand connections held that send hardly anything, or take nothing?
//!
//! One thread holds them all: it sends each a byte now and then and notices which of them the server has ended.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// Between one byte and the next on the same connection.
const DRIP: Duration = Duration::from_millis(50);

/// How one connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What the server said, as far as it was read.
    pub said: Vec<u8>,
}

impl Ended {
    /// The status of the first HTTP/1 answer; 0 when nothing came.
    pub fn status(&self) -> u16 {
        let text = self.said.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
        text.and_then(|status| status.parse().ok()).unwrap_or(0)
    }
}

/// Whether the connections read what the server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// All of it.
    Everything,
    /// Nothing at all.
    Nothing,
}

/// Connections that were opened with the same first bytes.
pub struct Crowd {
    open: Vec<(TcpStream, Vec<u8>)>,
    ended: Vec<Ended>,
    reading: Reading,
}

impl Crowd {
    /// Opens so many, each of which begins so.
    pub fn open(address: SocketAddr, count: usize, beginning: &[u8], reading: Reading) -> Crowd {
        let open = (0..count).map(|_| {
            let mut socket = TcpStream::connect(address).expect("the server accepts");
            socket.write_all(beginning).expect("the beginning fits in the socket");
            socket.set_nonblocking(true).expect("a socket's option");
            (socket, Vec::new())
        });
        Crowd { open: open.collect(), ended: Vec::new(), reading }
    }

    /// How many the server has not ended.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether it has ended all.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Sends one byte on each, and sorts out those that ended.
    pub fn drip(&mut self, byte: u8) {
        let reading = self.reading;
        let mut left = Vec::new();
        for (mut socket, mut said) in self.open.drain(..) {
            let is_open = is_open(&socket.write(&[byte]))
                && (reading == Reading::Nothing || read(&mut socket, &mut said));
            if is_open {
                left.push((socket, said));
            } else {
                read(&mut socket, &mut said);
                self.ended.push(Ended { said });
            }
        }
        self.open = left;
    }

    /// Goes on with `byte` until the server has ended them all.
    #[track_caller]
    pub fn drip_until_ended(mut self, byte: u8) -> Vec<Ended> {
        let begun = Instant::now();
        while !self.is_empty() {
            assert!(begun.elapsed() < PATIENCE, "{} connections were never ended", self.len());
            std::thread::sleep(DRIP);
            self.drip(byte);
        }
        self.ended
    }
}

fn is_open(outcome: &std::io::Result<usize>) -> bool {
    match outcome {
        Ok(count) => *count > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// Reads what is there. Answers whether more may come.
fn read(socket: &mut TcpStream, said: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    loop {
        let outcome = socket.read(&mut buffer);
        match outcome {
            Ok(count) if count > 0 => said.extend_from_slice(&buffer[..count]),
            other => return is_open(&other),
        }
    }
}
