//! Can anybody fill the server's memory, or keep others from being served?
//!
//! Each test does one kind of harm to a server of its own, of which it asks three things: the process grows by less than 128 MB, a
//! bystander is served all the while, and whoever does the harm is told what was wrong, or loses the connection.
#![cfg(target_os = "linux")]

use std::thread;

use serde_json::json;
use strongroom::{BodyKind, routes};
use strongroom_tests::abuse::floods::{Refusal, pour};
use strongroom_tests::abuse::frames::{
    END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, INITIAL_WINDOW_SIZE, Peer, frame, kind, literal, request,
};
use strongroom_tests::abuse::slow::{Crowd, Reading};
use strongroom_tests::abuse::{Bystander, Memory};
use strongroom_tests::client::{Client, encoded, with_query};
use strongroom_tests::documents;
use strongroom_tests::keys::client_with;
use strongroom_tests::server::{OPERATOR_KEY, Plan, Server};

/// What nobody takes lasts three seconds here, and not a minute.
const IMPATIENT: &str = "[limits]\nheader_seconds_max = 3\nbody_silence_seconds_max = 3\nbody_bytes_per_second_min = 16384\n\
                         answer_silence_seconds_max = 3\nidle_seconds_max = 3\n";

const SLOW: usize = 1000;

fn impatient() -> Server {
    Plan::default().configure(IMPATIENT).start()
}

/// Where one key may send as much as it likes that is refused: what holds it up otherwise has a test of its own.
fn unhurried() -> Server {
    Plan::default().configure("[limits]\nrefused_bytes_per_second_max = 1000000000\n").start()
}

/// The head of a request of HTTP/1.1 with the operator's key, up to its last header.
fn head(method: &str, path: &str, more: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR_KEY}\r\n{more}")
        .into_bytes()
}

/// A document whose text is a megabyte, and the address of its bytes.
fn large_document(server: &Server) -> String {
    let dimension = strongroom_tests::routes::dimension(&server.operator());
    let body = json!({"content": "word ".repeat(210_000), "filename": "large.txt", "content_type": "text/plain",
        "partition": "large", "passages": [{"text": "words", "embedding": vec![0.5; dimension]}]});
    let id = documents::id_of(&server.operator().post("/v1/documents/embed", &body).expect(201));
    with_query(&format!("/v1/documents/{}/download", encoded(&id)), &[("partition", "large")])
}

// A thousand sockets that cost an attacker nothing would fill the memory, or take every place from everybody else.
#[test]
fn slow_senders_are_cut_off_and_cost_little() {
    let server = impatient();
    let bystander = Bystander::of(&server);
    bystander.expect_served();
    let memory = Memory::watch(&server);
    let padding = "p".repeat(16 << 10);
    let header = head("GET", "/v1/search?q=x", &format!("x-padding: {padding}"));
    let body = head("POST", "/v1/documents?partition=slow&filename=a.txt", "content-length: 1000000\r\n\r\n");
    let body = [body, padding.clone().into_bytes()].concat();
    let frames = frame(kind::HEADERS, 0, 1, &literal("x-padding", &padding[..4096]));
    let frames = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(), frames].concat();
    for (name, beginning, statuses) in [
        ("headers that drip", &header, &[0, 408][..]),
        ("bodies that drip", &body, &[408]),
        ("headers on HTTP/2 that never end", &frames, &[0]),
        ("silence", &Vec::new(), &[0, 408]),
    ] {
        let mut crowd = Crowd::open(server.address(), SLOW, beginning, Reading::Everything);
        crowd.drip(b'x');
        bystander.expect_served();
        let ended = crowd.drip_until_ended(b'x');
        for ended in &ended {
            let is_http2 = ended.said.starts_with(&[0]);
            assert!(is_http2 || statuses.contains(&ended.status()), "{name}: {ended:?}");
        }
        bystander.expect_served();
        memory.expect_bounded(name);
    }
}

// Readers that ask for large answers and take nothing would have the server hold all of them.
#[test]
fn answers_that_nobody_reads_are_bounded() {
    let server = impatient();
    let large = large_document(&server);
    let bystander = Bystander::of(&server);
    assert_eq!(server.operator().get(&large).expect(200).body.len(), 1_050_000);
    bystander.expect_served();
    let memory = Memory::watch(&server);
    let one = head("GET", &large, "\r\n");
    let crowd = Crowd::open(server.address(), SLOW, &one, Reading::Nothing);
    bystander.expect_served();
    crowd.drip_until_ended(b'x');
    memory.expect_bounded("answers that nobody reads");

    // No window, so nothing ever stalls on the socket.
    let block = request("GET", &large, OPERATOR_KEY);
    let mut peers: Vec<Peer> =
        (0..200).map(|_| Peer::connect(server.address(), &[(INITIAL_WINDOW_SIZE, 0)])).collect();
    for peer in &mut peers {
        peer.flood(5, |at| frame(kind::HEADERS, END_HEADERS | END_STREAM, stream(at), &block));
    }
    bystander.expect_served();
    for mut peer in peers {
        while peer.read().is_ok() {}
    }
    bystander.expect_served();
    memory.expect_bounded("answers without a window");
    // Whoever reads is served as before.
    assert_eq!(server.operator().get(&large).expect(200).body.len(), 1_050_000);
}

/// The number of a connection's next stream.
fn stream(at: usize) -> u32 {
    u32::try_from(2 * at + 1).expect("a stream's number")
}

fn expect(refusal: &Refusal, statuses: &[u16], about: &str) {
    assert!(statuses.contains(&refusal.status), "{about}: {} {:.300}", refusal.status, refusal.text);
    assert!(!refusal.code().is_empty(), "{about} is told in a word: {:.300}", refusal.text);
    assert!(refusal.text.contains("x-request-id: "), "{about}: {:.300}", refusal.text);
}

// One upload would take the memory of all, or its sender would be left with a broken connection and no reason.
#[test]
fn bodies_without_end_are_refused_in_words() {
    let server = unhurried();
    let bystander = Bystander::of(&server);
    bystander.expect_served();
    let memory = Memory::watch(&server);
    let megabyte = vec![b'a'; 1 << 20];
    let chunk = [b"100000\r\n".to_vec(), megabyte.clone(), b"\r\n".to_vec()].concat();
    let document = "/v1/documents?partition=flood&filename=a.txt&content_type=text/plain";
    for path in [document, "/v1/search/embed", "/v1/collections/default/documents", "/api/v1/memory/ingest"] {
        let declared = head("POST", path, "content-length: 2147483648\r\n\r\n");
        let refusal = pour(server.address(), &declared, &megabyte, 2048, b"");
        expect(&refusal, &[413, 415, 400], &format!("two gigabytes to {path}"));
        let chunked = head("POST", path, "transfer-encoding: chunked\r\n\r\n");
        let refusal = pour(server.address(), &chunked, &chunk, 2048, b"0\r\n\r\n");
        expect(&refusal, &[413, 415, 400], &format!("two gigabytes to {path}, not announced"));
        bystander.expect_served();
        memory.expect_bounded(&format!("two gigabytes to {path}"));
    }
    // A bomb: what is packed is never unpacked.
    for coding in ["gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP"] {
        let packed =
            head("POST", document, &format!("content-encoding: {coding}\r\ncontent-length: 10\r\n\r\n"));
        let refusal = pour(server.address(), &packed, b"\x1f\x8b\x08\0\0\0\0\0\0\0", 1, b"");
        expect(&refusal, &[415], coding);
        assert_eq!(refusal.code(), "unsupported_content_encoding");
    }
    let plain = head(
        "POST",
        document,
        "content-encoding: identity\r\ncontent-length: 5\r\nconnection: close\r\n\r\n",
    );
    assert_eq!(pour(server.address(), &plain, b"words", 1, b"").status, 201);
}

// A few megabytes of brackets would overflow a stack and end the process for everybody.
#[test]
fn nothing_that_is_deep_or_long_gets_far() {
    let server = unhurried();
    let bystander = Bystander::of(&server);
    bystander.expect_served();
    let memory = Memory::watch(&server);
    let operator = server.operator();
    let million = 1_000_000;
    let arrays = "[".repeat(million) + &"]".repeat(million);
    let objects = "{\"a\":".repeat(million) + "1" + &"}".repeat(million);
    let json = [("content-type", "application/json")];
    for route in routes().filter(|route| route.body == BodyKind::Json && !route.is_not_offered()) {
        let path: Vec<&str> =
            route.path.split('/').map(|part| if part.starts_with('{') { "default" } else { part }).collect();
        for deep in [&arrays, &objects] {
            let answer = operator.send(route.method, &path.join("/"), &json, deep.clone().into_bytes());
            assert!((400..500).contains(&answer.status), "{answer}");
            assert!(!answer.code().is_empty(), "{answer}");
        }
    }
    bystander.expect_served();
    memory.expect_bounded("a million levels");

    let tags: Vec<String> = (0..100_000).map(|number| format!("tag:{number}")).collect();
    let (query, deep) = ("long query ".repeat(1 << 20), format!("{}1{}", "[".repeat(9000), "]".repeat(9000)));
    let dimension = strongroom_tests::routes::dimension(&operator);
    for (path, body) in [
        ("/v1/documents/batch", json!({"documents": [{"content": "x", "filename": "x.txt", "tags": tags}]})),
        ("/v1/documents/embed", json!({"content": "x", "embedding": vec![0.5; dimension], "tags": tags})),
        ("/v1/search/batch", json!({"queries": [{"q": query, "k": 5}]})),
        ("/v1/search/batch", json!({"queries": [{"q": "x", "tags": tags}]})),
        ("/v1/collections/default/query", json!({"query": query})),
        ("/v1/query", json!({"query": query, "collections": ["default"]})),
        ("/api/v1/memory/recall", json!({"query": query, "userId": "u"})),
    ] {
        let answer = operator.post(path, &body);
        let refused =
            if answer.status == 200 || answer.status == 201 { answer.text() } else { answer.code() };
        let is_refused = [400, 413, 422].contains(&answer.status) || refused.contains("error");
        assert!(is_refused && !refused.is_empty(), "{answer}");
    }
    let search = |pairs: &[(&str, &str)]| with_query("/v1/search", pairs);
    let many = |count: usize| (0..count).map(|at| format!("p{at}=x")).collect::<Vec<_>>().join("&");
    for (what, path) in [
        ("deep filter", search(&[("q", "x"), ("filter", &deep[..])])),
        ("long query", search(&[("q", &query[..40_000])])),
        ("many tags", search(&[("q", "x"), ("tags", &tags[..4000].join(","))])),
        ("many parameters", format!("/v1/search?{}", many(8000))),
        ("too many parameters", format!("/v1/search?{}", many(100_000))),
        ("a query of ten megabytes", search(&[("q", &query[..10_000_000])])),
    ] {
        let get = head("GET", &path, "connection: close\r\n\r\n");
        expect(&pour(server.address(), &get, b"", 0, b""), &[400, 413, 414, 422, 431], what);
    }
    for (what, header) in [
        ("one header of a megabyte", format!("x-a: {}\r\n", "a".repeat(1 << 20))),
        ("ten thousand headers", "x-a: b\r\n".repeat(10_000)),
        ("a cookie of a megabyte", format!("cookie: {}\r\n", "a=b; ".repeat(200_000))),
    ] {
        let get = head("GET", "/v1/search?q=x", &format!("{header}connection: close\r\n\r\n"));
        expect(&pour(server.address(), &get, b"", 0, b""), &[431], what);
    }
    let large = large_document(&server);
    let ranges: Vec<String> = (0..1000).map(|at| format!("0-{}", 1_000_000 - at)).collect();
    let answer =
        operator.send("GET", &large, &[("range", &format!("bytes={}", ranges.join(",")))], Vec::new());
    assert!(
        [200, 206, 400, 416].contains(&answer.status) && answer.body.len() <= 1_050_000,
        "{}",
        answer.status
    );
    bystander.expect_served();
    memory.expect_bounded("what is long");
}

// Whoever sends bad bodies without a pause would have the processor to themselves, and it would cost them nothing.
#[test]
fn whoever_sends_what_is_refused_is_held_up_alone() {
    let server = Plan::default().configure("[limits]\nrefused_bytes_per_second_max = 65536\n").start();
    let operator = server.operator();
    let [flooding, other] =
        ["flooding", "other"].map(|partition| client_with(&operator, &json!({"partition": partition})));
    let json = [("content-type", "application/json")];
    let bad = |client: &Client| client.send("POST", "/v1/documents/embed", &json, vec![b'['; 10_000_000]);
    let valid = |client: &Client| documents::insert(client, None, "what is small is always read");
    let held = || {
        let text = operator.anonymous().get("/metrics").expect(200).text();
        let line = text.lines().find_map(|line| line.strip_prefix("strongroom_refusals_held_total "));
        line.expect("it is counted").parse::<u64>().expect("a number")
    };
    // Many small ones, which nobody reads, come to little.
    for _ in 0..30 {
        operator.with_key("dead").post("/v1/documents/embed", &json!({})).expect(401);
    }
    assert_eq!(held(), 0);
    thread::scope(|scope| {
        let first = scope.spawn(|| bad(&flooding));
        while held() == 0 {
            assert!(!first.is_finished(), "the refusal is not counted");
        }
        // Its neighbour is served meanwhile, again and again.
        for _ in 0..20 {
            valid(&other);
        }
        assert!(!first.is_finished(), "the refusal didn't wait");
        assert_eq!(first.join().expect("an answer").status, 400);
    });
    let refused = bad(&flooding).expect_error(429, "too_much_refused");
    let seconds: u64 = refused.header("retry-after").expect("when to come again").parse().expect("seconds");
    assert!((1..=120).contains(&seconds), "{seconds}");
    // What is small is read all the same, and its neighbour owes nothing.
    valid(&flooding);
    assert_eq!(bad(&other).status, 400);
}

// HTTP/2 would let one connection ask for more than a thousand could.
#[test]
fn floods_of_frames_end_the_connection_alone() {
    let server = impatient();
    let large = large_document(&server);
    let bystander = Bystander::of(&server);
    bystander.expect_served();
    let memory = Memory::watch(&server);
    let block = request("GET", "/v1/search?q=budgets&partition=bystander", OPERATOR_KEY);
    let opening = END_HEADERS | END_STREAM;

    let flood = |times: usize, of: &dyn Fn(usize) -> Vec<u8>| {
        let mut peer = Peer::connect(server.address(), &[]);
        peer.flood(times, of);
        peer
    };
    let reset = |at| {
        let cancel = frame(kind::RST_STREAM, 0, stream(at), &8u32.to_be_bytes());
        [frame(kind::HEADERS, opening, stream(at), &block), cancel].concat()
    };
    let continued = |at| match at {
        0 => frame(kind::HEADERS, END_STREAM, 1, &block),
        _ => frame(kind::CONTINUATION, 0, 1, &literal("x-a", &"a".repeat(1000))),
    };
    for (name, mut peer) in [
        ("streams that are taken back", flood(100_000, &reset)),
        ("headers that go on", flood(100_000, &continued)),
    ] {
        assert!(matches!(peer.reason(), None | Some(ENHANCE_YOUR_CALM)), "{name}");
        bystander.expect_served();
        memory.expect_bounded(name);
    }

    // What the server has to answer, or to take note of, and whose answers nobody reads.
    let settings = frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]);
    let ping = frame(kind::PING, 0, 0, &[7; 8]);
    let idle = frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 0, 1]);
    let empty = frame(kind::DATA, 0, 1, &[]);
    let window = frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]);
    let post = request("POST", "/v1/search/embed", OPERATOR_KEY);
    let many = |of: &dyn Fn(usize) -> Vec<u8>, name: &str| {
        let address = server.address();
        let frames: Vec<u8> = (0..10_000).flat_map(of).collect();
        thread::scope(|scope| {
            for _ in 0..10 {
                let frames = &frames;
                scope.spawn(move || {
                    let mut peer = Peer::connect(address, &[]);
                    peer.socket()
                        .set_write_timeout(Some(std::time::Duration::from_secs(2)))
                        .expect("an option");
                    peer.flood(20, |_| frames.clone());
                });
            }
            bystander.expect_served();
        });
        bystander.expect_served();
        memory.expect_bounded(name);
    };
    many(&|_| settings.clone(), "settings");
    many(&|_| ping.clone(), "pings");
    many(&|_| idle.clone(), "priorities");
    many(&|_| window.clone(), "windows");
    many(
        &|at| if at == 0 { frame(kind::HEADERS, END_HEADERS, 1, &post) } else { empty.clone() },
        "empty data",
    );
    many(&|at| frame(kind::HEADERS, END_HEADERS, stream(at), &post), "streams at once");

    // Windows of one byte: an answer of a megabyte in a million frames.
    let download = request("GET", &large, OPERATOR_KEY);
    let mut peers: Vec<Peer> =
        (0..50).map(|_| Peer::connect(server.address(), &[(INITIAL_WINDOW_SIZE, 1)])).collect();
    for peer in &mut peers {
        peer.flood(100, |at| frame(kind::HEADERS, opening, stream(at), &download));
        for at in 0..100 {
            let more = frame(kind::WINDOW_UPDATE, 0, stream(at), &[0, 0, 0, 1]);
            peer.flood(10, |_| more.clone());
        }
    }
    bystander.expect_served();
    drop(peers);
    bystander.expect_served();
    memory.expect_bounded("windows of a byte");
}
