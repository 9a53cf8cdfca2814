//! Real sockets against the listener, with routes of the tests' own.

use std::net::SocketAddr;
use std::time::Instant;

use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::*;
use crate::message::body::{Budget, Patience};
use crate::message::error::ApiError;

const BODY_LIMIT: usize = 1 << 20;

struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    /// A call of `/slow` began.
    started: Arc<Notify>,
    /// Lets it end.
    finish: Arc<Notify>,
}

async fn run(patience: Duration) -> Running {
    run_with(patience, 64).await
}

async fn run_with(patience: Duration, connections_max: usize) -> Running {
    let budget = Budget::new(
        8 << 20,
        Patience {
            silence: Duration::from_millis(300),
            whole: Duration::from_secs(60),
            bytes_per_second_min: 1 << 10,
        },
    );
    let read = move |request: Request| {
        let budget = budget.clone();
        async move {
            let (head, body) = request.into_parts();
            match budget.read(&head.headers, body, BODY_LIMIT).await {
                Ok(received) => axum::response::Response::new(Body::from(received.bytes.len().to_string())),
                Err(error) => error.unrendered(),
            }
        }
    };
    let refuse = || async { ApiError::forbidden("no", "no").unrendered() };
    let (started, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let signals = (started.clone(), finish.clone());
    let slow = move || {
        let (started, finish) = signals.clone();
        async move {
            started.notify_one();
            finish.notified().await;
            "done"
        }
    };
    let router = Router::new()
        .route("/read", post(read))
        .route("/refuse", post(refuse))
        .route("/slow", get(slow))
        .fallback(|| async { ApiError::missing("route_not_found", "no").unrendered() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits {
        connections_max,
        header_time_max: Duration::from_millis(300),
        header_bytes_max: 16 << 10,
        header_fields_max: 20,
        answer_silence_max: Duration::from_millis(300),
        idle_max: Duration::from_millis(600),
        streams_max: 8,
        resets_max: 8,
    };
    let (stop, mut stopping) = watch::channel(false);
    let serving = tokio::spawn(async move {
        let stopped = async { drop(stopping.wait_for(|stop| *stop).await) };
        serve(listener, router, Arc::new(Metrics::new()), limits, stopped, patience).await;
    });
    Running { address, stop, serving, started, finish }
}

/// Sends bytes, then reads until the server closes.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn code(answer: &str) -> String {
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    body["code"].as_str().unwrap_or_default().to_owned()
}

/// Lost otherwise: one upload could fill the server's memory, or its sender be told nothing but "connection reset".
#[tokio::test]
async fn a_body_above_the_limit_is_refused_in_words() {
    let running = run(Duration::from_secs(1)).await;
    let announced =
        format!("POST /read HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", 3 << 20);
    let whole = [announced.as_bytes(), &vec![b'x'; 3 << 20]].concat();
    let mut chunked =
        b"POST /read HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..48 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend(vec![b'x'; 0x10000]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    for request in [whole, chunked] {
        let answer = exchange(running.address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("1048576") && answer.contains("x-request-id: "), "{answer}");
        assert_eq!(code(&answer), "too_large");
    }
    let fits = format!(
        "POST /read HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {BODY_LIMIT}\r\n\r\n"
    );
    let answer = exchange(running.address, &[fits.as_bytes(), &vec![b'x'; BODY_LIMIT]].concat()).await;
    assert!(answer.ends_with("\r\n\r\n1048576"), "{answer}");
}

/// Lost otherwise: somebody would fill the memory with what unpacks to a thousand times its size, or wait for an answer in vain.
#[tokio::test]
async fn a_packed_body_is_refused_unread() {
    let running = run(Duration::from_secs(1)).await;
    for (coding, status) in [("gzip", 415), ("identity, BR", 415), ("identity", 200), ("", 200)] {
        let request = format!(
            "POST /read HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-encoding: {coding}\r\ncontent-length: 3\r\n\r\nabc"
        );
        let answer = exchange(running.address, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{coding}: {answer}");
        assert!(status == 200 || code(&answer) == "unsupported_content_encoding", "{answer}");
    }
}

/// Lost otherwise: a byte now and then would hold a connection, and what it has sent so far, for a quarter of an hour.
#[tokio::test]
async fn a_body_that_drips_is_cut_off_though_it_never_stops() {
    let running = run(Duration::from_secs(1)).await;
    let socket = TcpStream::connect(running.address).await.unwrap();
    let (mut reader, mut writer) = socket.into_split();
    writer.write_all(b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    let mut answer = [0; 12];
    reader.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    dripping.abort();
}

/// Lost otherwise: a full server would leave its callers waiting for a connection, and them to guess why.
#[tokio::test]
async fn there_is_no_place_and_a_word_about_it() {
    let running = run_with(Duration::from_secs(1), 1).await;
    let address = running.address;
    let only = tokio::spawn(async move {
        exchange(address, b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await
    });
    running.started.notified().await;
    for _ in 0..3 {
        let answer = exchange(address, b"GET /none HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1\r\n"), "{answer}");
        assert!(answer.contains("x-request-id: "), "{answer}");
        assert_eq!(code(&answer), "too_many_connections");
    }
    running.finish.notify_one();
    assert!(only.await.unwrap().ends_with("done"));
    let unread = b"GET /none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    while !exchange(address, unread).await.starts_with("HTTP/1.1 404 ") {}
}

/// Lost otherwise: a client that uploads with a wrong key would see a broken connection instead of "403".
#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let running = run(Duration::from_secs(1)).await;
    let head = format!(
        "POST /refuse HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        8 << 20
    );
    let answer = exchange(running.address, &[head.as_bytes(), &vec![b'x'; 8 << 20]].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

/// Lost otherwise: a few thousand idle sockets would keep everyone else out.
#[tokio::test]
async fn a_header_that_does_not_come_is_cut_off() {
    let running = run(Duration::from_secs(1)).await;
    for beginning in ["", "GET /slow HTTP/1.1\r\nhost: x\r\nx-a: "] {
        let begun = Instant::now();
        exchange(running.address, beginning.as_bytes()).await;
        assert!(begun.elapsed() < Duration::from_secs(3), "{beginning:?} was left open");
    }
}

/// Lost otherwise: an upload that stalls would hold its memory for ever.
#[tokio::test]
async fn a_body_that_stops_coming_is_answered_408() {
    let running = run(Duration::from_secs(1)).await;
    let head = b"POST /read HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1000\r\n\r\nabc";
    let begun = Instant::now();
    let answer = exchange(running.address, head).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "silence was waited out");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(code(&answer), "body_timeout");
}

/// Lost otherwise: what is no HTTP would be answered without the id that finds it in the log.
#[tokio::test]
async fn what_hyper_refuses_is_answered_in_our_shape() {
    let running = run(Duration::from_secs(1)).await;
    let many = format!("GET /slow HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-a: b\r\n".repeat(50));
    let long = format!("GET /slow HTTP/1.1\r\nhost: x\r\nx-a: {}\r\n\r\n", "b".repeat(40 << 10));
    for (request, status) in [
        ("hello\r\n\r\n", "400"),
        ("GET /a b c HTTP/1.1\r\nhost: x\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nbad header\r\n\r\n", "400"),
        ("POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n", "400"),
        (many.as_str(), "431"),
        (long.as_str(), "431"),
        // After a good request on the same connection too.
        ("GET /none HTTP/1.1\r\nhost: x\r\n\r\nhello\r\n\r\n", "400"),
    ] {
        let answer = exchange(running.address, request.as_bytes()).await;
        let last = &answer[answer.rfind("HTTP/1.1 ").unwrap_or(0)..];
        assert!(last.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.40?}: {answer}");
        assert!(last.contains("x-request-id: ") && !code(last).is_empty(), "{request:.40?}: {answer}");
    }
    let unknown =
        exchange(running.address, b"GET /none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(unknown.starts_with("HTTP/1.1 404 ") && unknown.contains("x-request-id: "), "{unknown}");
}

/// Lost otherwise: a deploy would cut answers off, or hang on a connection that idles.
#[tokio::test]
async fn a_stop_finishes_what_runs_and_begins_nothing() {
    let running = run(Duration::from_secs(5)).await;
    let idle = TcpStream::connect(running.address).await.unwrap();
    let address = running.address;
    let in_flight =
        tokio::spawn(async move { exchange(address, b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await });
    running.started.notified().await;
    let begun = Instant::now();
    running.stop.send(true).unwrap();
    while TcpStream::connect(running.address).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(4), "a stopping server took connections");
    }
    assert!(!in_flight.is_finished());
    running.finish.notify_one();
    let answer = in_flight.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done"), "{answer}");
    running.serving.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "the idle connection held it up");
    drop(idle);
}
