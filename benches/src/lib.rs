//! What do all workloads share?
//!
//! A server of their own (the one that the suites use), a connection that is kept open, numbers that follow
//! from a seed, and how figures are summed up. [`machine`] says where they run, [`stores`] holds the stores of
//! the engine that they fill. Figures are printed, never asserted: they are quoted in the README and in
//! `docs/benchmarks-storage.md` as ratios of one run.

pub mod machine;
pub mod nearest;
pub mod stores;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use strongroom_tests::server::{OPERATOR_KEY, Server};

/// A connection that is kept open, so that a request's time is the server's and not the handshake's.
pub struct Connection {
    stream: BufReader<TcpStream>,
    key: String,
}

impl Connection {
    /// Connects to a server, as its operator.
    pub fn open(server: &Server) -> Self {
        Self::with_key(server, OPERATOR_KEY)
    }

    /// Connects to a server with a key.
    pub fn with_key(server: &Server, key: &str) -> Self {
        let stream = TcpStream::connect(server.address()).expect("the server listens");
        stream.set_nodelay(true).expect("a socket's option");
        Self { stream: BufReader::new(stream), key: key.to_owned() }
    }

    /// Sends a request and reads its answer's body.
    ///
    /// # Panics
    /// When the answer isn't a 2xx: a benchmark of errors measures nothing.
    pub fn send(&mut self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
        let (status, answer) = self.ask(method, path, content_type, body);
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {}",
            String::from_utf8_lossy(&answer)
        );
        answer
    }

    /// Sends a request and reads its answer, a refusal too.
    pub fn ask(&mut self, method: &str, path: &str, content_type: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\n\
             content-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            self.key,
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        self.stream.get_mut().write_all(&request).expect("the server reads");
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("the server answers");
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut bytes = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("the server answers");
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                bytes = value.trim().parse().expect("a length");
            }
        }
        let mut answer = vec![0; bytes];
        self.stream.read_exact(&mut answer).expect("the server answers");
        (status, answer)
    }
}

/// Numbers that follow from a seed (xorshift64*): good enough to fill vectors.
pub struct Numbers(u64);

impl Numbers {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number, evenly spread.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A vector of components from -1 to 1.
    pub fn vector(&mut self, dimension: usize) -> Vec<f32> {
        (0..dimension).map(|_| (self.next_u64() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
    }
}

/// The time that this share (0 to 1) of the samples stays under.
pub fn percentile(samples: &mut [Duration], share: f64) -> Duration {
    samples.sort_unstable();
    let last = samples.len().saturating_sub(1);
    samples.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

/// The middle one: of an even number, the upper of the two.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A number that a variable of the environment overrides, for runs that are smaller than the real one.
///
/// # Panics
/// When the variable is no whole number: a benchmark of something else would look like this one.
pub fn parameter(variable: &str, otherwise: usize) -> usize {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is a whole number, not {text:?}")),
        Err(_) => otherwise,
    }
}
