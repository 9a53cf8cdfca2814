//! How much slower is one client's search while somebody abuses the server?
//!
//! One server, one client that searches a partition of 1,000 documents by vector over a kept-open connection. Blocks of searches with
//! nothing beside them and blocks beside each kind of abuse, in turn, so that the machine's drift hits all. Prints p50 and p99 and
//! their ratios to those alone. Whoever abuses runs on the same machine and takes its share of the processor.
//!
//!     cargo xtask bench abuse

#![allow(clippy::print_stdout)]

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this benchmark reads /proc and needs Linux");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    use serde_json::json;
    use strongroom_benches::{Connection, Numbers, parameter, percentile};
    use strongroom_tests::abuse::Memory;
    use strongroom_tests::abuse::floods::pour;
    use strongroom_tests::abuse::frames::{END_HEADERS, END_STREAM, Peer, frame, kind, request};
    use strongroom_tests::abuse::slow::{Crowd, Reading};
    use strongroom_tests::server::{OPERATOR_KEY, Server};

    const DIMENSION: usize = 256;
    const ROWS: usize = 1_000;

    /// A name, and what does it.
    type Kind = (&'static str, fn(&Server, &AtomicBool));

    /// Kinds of abuse, and what each does again and again until it is told to stop.
    const KINDS: [Kind; 9] = [
        // What any busy program costs on this machine, whatever the server does.
        ("a program that only computes", computing),
        ("1,000 connections whose headers drip", slow_headers),
        ("1,000 connections whose bodies drip", slow_bodies),
        ("bodies of 2 GB", |server, over| flood(server, over, &[b'a'; 1 << 16], 1 << 15)),
        ("JSON a million levels deep", |server, over| flood(server, over, &[b'['; 1_000_000], 1)),
        ("queries of 10 MB", |server, over| flood(server, over, &long_query(), 1)),
        ("bodies of 2 GB that say that they are packed", |server, over| {
            flood_of(server, over, "content-encoding: gzip\r\n", &[0x1f; 1 << 16], 1 << 15);
        }),
        ("100,000 tags", |server, over| flood(server, over, &many_tags(), 1)),
        ("streams that are taken back", resets),
    ];

    pub(super) fn main() {
        let (blocks, searches) = (parameter("ABUSE_BLOCKS", 6), parameter("ABUSE_SEARCHES", 1_000));
        let server = Server::start();
        load(&server);
        let mut connection = Connection::open(&server);
        measure(&mut connection, 2_000);
        let before = Memory::resident(&server);
        println!("search by vector beside abuse, {} samples each\n", blocks * searches);
        println!("| abuse | p50 alone | p50 beside | ratio | p99 alone | p99 beside | ratio | grown, MiB |");
        println!("|---|---|---|---|---|---|---|---|");
        for (name, abuse) in KINDS {
            let (mut alone, mut beside) = (Vec::new(), Vec::new());
            // What the kind before left behind goes first.
            thread::sleep(Duration::from_secs(5));
            let of_kind = Memory::watch(&server);
            for _ in 0..blocks {
                alone.extend(measure(&mut connection, searches));
                let is_over = AtomicBool::new(false);
                thread::scope(|scope| {
                    scope.spawn(|| abuse(&server, &is_over));
                    // It takes a moment to open a thousand connections.
                    thread::sleep(Duration::from_millis(500));
                    beside.extend(measure(&mut connection, searches));
                    is_over.store(true, Ordering::Relaxed);
                });
            }
            let figures =
                [0.5, 0.99].map(|share| (percentile(&mut alone, share), percentile(&mut beside, share)));
            print!("| {name} ");
            for (alone, beside) in figures {
                print!("| {alone:.0?} | {beside:.0?} | {:.2} ", beside.as_secs_f64() / alone.as_secs_f64());
            }
            println!("| {} |", of_kind.grown() >> 20);
        }
        let after = Memory::resident(&server);
        println!("\nresident before: {} MiB, after all of it: {} MiB", before >> 20, after >> 20);
    }

    fn load(server: &Server) {
        let (mut connection, mut numbers) = (Connection::open(server), Numbers::new(1));
        for row in 0..ROWS {
            let body = json!({"content": format!("document {row}"), "filename": "bench.txt", "partition": "searched",
                "embedding": numbers.vector(DIMENSION)});
            connection.send("POST", "/v1/documents/embed", "application/json", body.to_string().as_bytes());
        }
    }

    fn measure(connection: &mut Connection, count: usize) -> Vec<Duration> {
        let mut numbers = Numbers::new(2);
        let body =
            json!({"embedding": numbers.vector(DIMENSION), "k": 10, "partition": "searched"}).to_string();
        let search = |_| {
            let begun = Instant::now();
            connection.send("POST", "/v1/search/embed", "application/json", body.as_bytes());
            begun.elapsed()
        };
        (0..count).map(search).collect()
    }

    fn head(line: &str, more: &str) -> Vec<u8> {
        format!("{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR_KEY}\r\n{more}").into_bytes()
    }

    fn drip(server: &Server, is_over: &AtomicBool, beginning: &[u8]) {
        while !is_over.load(Ordering::Relaxed) {
            let mut crowd = Crowd::open(server.address(), 1000, beginning, Reading::Everything);
            while !is_over.load(Ordering::Relaxed) && crowd.len() > 500 {
                crowd.drip(b'x');
                thread::sleep(Duration::from_secs(1));
            }
        }
    }

    fn computing(_: &Server, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            std::hint::black_box(is_over);
        }
    }

    fn slow_headers(server: &Server, is_over: &AtomicBool) {
        drip(server, is_over, &head("GET /v1/search?q=x", "x-a: "));
    }

    fn slow_bodies(server: &Server, is_over: &AtomicBool) {
        let line = "POST /v1/documents?filename=a.txt&partition=slow";
        drip(server, is_over, &head(line, "content-length: 100000\r\n\r\n"));
    }

    /// A body in pieces, not announced.
    fn flood(server: &Server, is_over: &AtomicBool, piece: &[u8], times: usize) {
        flood_of(server, is_over, "", piece, times);
    }

    fn flood_of(server: &Server, is_over: &AtomicBool, header: &str, piece: &[u8], times: usize) {
        let more = format!("{header}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n");
        let head = head("POST /v1/search/batch", &more);
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        while !is_over.load(Ordering::Relaxed) {
            let refusal = pour(server.address(), &head, &chunk, times, b"0\r\n\r\n");
            // Whoever goes on sending may lose the connection before the answer that waits for it.
            assert!(refusal.status == 0 || refusal.status >= 400, "{refusal:?}");
        }
    }

    fn long_query() -> Vec<u8> {
        json!({"queries": [{"q": "long query ".repeat(1 << 20), "partition": "searched"}]})
            .to_string()
            .into_bytes()
    }

    fn many_tags() -> Vec<u8> {
        let tags: Vec<String> = (0..100_000).map(|number| format!("tag:{number}")).collect();
        json!({"queries": [{"q": "x", "tags": tags, "partition": "searched"}]}).to_string().into_bytes()
    }

    fn resets(server: &Server, is_over: &AtomicBool) {
        let block = request("GET", "/v1/search?q=x&partition=searched", OPERATOR_KEY);
        while !is_over.load(Ordering::Relaxed) {
            let mut peer = Peer::connect(server.address(), &[]);
            peer.flood(10_000, |at| {
                let stream = u32::try_from(2 * at + 1).expect("a stream's number");
                let open = frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &block);
                [open, frame(kind::RST_STREAM, 0, stream, &8u32.to_be_bytes())].concat()
            });
            peer.reason();
        }
    }
}
