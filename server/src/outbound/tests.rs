//! Calls over sockets, of a service that each test makes up.

use std::net::SocketAddr;
use std::sync::Mutex;

use rustls::pki_types::PrivateKeyDer;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// What the service does with its n-th request.
type Reply = fn(usize) -> Option<Vec<u8>>;

/// What the service met.
#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<String>,
}

/// Starts a service; one that has no reply keeps silent.
async fn serve(reply: Reply, tls: Option<TlsAcceptor>) -> (SocketAddr, Arc<Mutex<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Arc::<Mutex<Seen>>::default());
    let all = seen.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            all.lock().unwrap().connections += 1;
            let (all, tls) = (all.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => converse(socket, reply, &all).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(socket).await {
                            converse(stream, reply, &all).await;
                        }
                    }
                }
            });
        }
    });
    (address, seen)
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, reply: Reply, seen: &Mutex<Seen>) {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let Ok(count @ 1..) = stream.read(&mut piece).await else { return };
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() < length.parse().unwrap() {
            continue;
        }
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.requests.push(text);
            seen.requests.len() - 1
        };
        bytes.clear();
        let Some(reply) = reply(number) else { return std::future::pending().await };
        if stream.write_all(&reply).await.is_err() || !reply.starts_with(b"HTTP/1.1 200 OK\r\ncontent") {
            return;
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> Option<Vec<u8>> {
    let stays = if status == "200 OK" { "" } else { "connection: close\r\n" };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{stays}{headers}", body.len());
    Some(format!("{head}\r\n{body}").into_bytes())
}

fn endpoint(address: &str) -> Endpoint {
    Endpoint {
        address: parse_address("x", address).unwrap(),
        authorization: Some(bearer("x", "the-key").unwrap()),
        timeout: Duration::from_secs(60),
        running_max: 2,
        answer_bytes_max: 1000,
    }
}

fn service(endpoint: Endpoint) -> Service {
    Service::new("thing", endpoint, Arc::new(Metrics::new())).unwrap()
}

async fn post(service: &Service) -> Result<String, Failure> {
    let read = |answer: &[u8]| Ok(String::from_utf8_lossy(answer).into_owned());
    service.post(|| b"{\"a\": 1}".to_vec(), read).await
}

/// What comes of one call, and how many requests it took.
async fn outcome(reply: Reply) -> (Result<String, Failure>, usize) {
    let (address, seen) = serve(reply, None).await;
    let outcome = post(&service(endpoint(&format!("http://{address}/rank")))).await;
    let count = seen.lock().unwrap().requests.len();
    (outcome, count)
}

/// Lost otherwise: the service would refuse each call, or each call would pay for a connection of its own.
#[tokio::test]
async fn json_is_posted_with_the_key_over_one_connection() {
    let (address, seen) = serve(|_| answer("200 OK", "", "fine"), None).await;
    let service = service(endpoint(&format!("http://{address}/v1/rank?x=1")));
    for _ in 0..3 {
        assert_eq!(post(&service).await, Ok("fine".to_owned()));
    }
    let seen = seen.lock().unwrap();
    assert_eq!((seen.connections, seen.requests.len()), (1, 3));
    let request = &seen.requests[0];
    assert!(request.starts_with("POST /v1/rank?x=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer the-key\r\n"), "{request}");
    assert!(request.contains("content-type: application/json\r\n"), "{request}");
    assert!(request.contains(&format!("host: {address}\r\n")), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"a\": 1}"), "{request}");
    let metrics = service.metrics.render();
    assert!(
        metrics.contains("strongroom_outbound_calls_total{service=\"thing\",outcome=\"ok\"} 3\n"),
        "{metrics}"
    );
}

/// Lost otherwise: a search would wait for ever, be answered with garbage, or its texts follow a redirect to a stranger.
#[tokio::test]
async fn each_failure_has_its_word() {
    let endless: Reply = |_| {
        let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
        Some(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", chunk.repeat(3)).into_bytes())
    };
    let table: [(Reply, &str, usize); 11] = [
        (|_| answer("500 Oh", "", "trace"), "failed", 1),
        (|_| answer("502 Oh", "", ""), "failed", 1),
        (|_| answer("401 No", "", "bad key"), "refused", 1),
        (|_| answer("204 Nothing", "", ""), "refused", 1),
        (|_| answer("307 There", "location: /there\r\n", ""), "refused", 1),
        (|_| answer("429 Later", "retry-after: 3600\r\n", ""), "busy", 1),
        (|_| answer("503 Later", "retry-after: 0\r\n", ""), "busy", 2),
        (|_| Some(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{".to_vec()), "unreadable", 1),
        (endless, "unreadable", 1),
        (|_| Some(b"HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 10\r\n\r\n{".to_vec()), "unreachable", 1),
        (|_| Some(b"SSH-2.0-x\r\n".to_vec()), "unreachable", 2),
    ];
    for (reply, word, requests) in table {
        let (outcome, count) = outcome(reply).await;
        let failure = outcome.unwrap_err();
        assert_eq!((failure.word(), count), (word, requests), "{failure}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = post(&service(endpoint(&format!("http://{closed}/")))).await.unwrap_err();
    assert_eq!(nobody.word(), "unreachable");
    assert!(nobody.to_string().contains("refused"), "the operator learns why: {nobody}");
}

/// Lost otherwise: a service that is busy for a moment would cost the search its order.
#[tokio::test]
async fn who_is_busy_is_asked_once_more() {
    let reply: Reply = |number| match number {
        0 => answer("429 Later", "retry-after: 0\r\n", ""),
        _ => answer("200 OK", "", "fine"),
    };
    assert_eq!(outcome(reply).await, (Ok("fine".to_owned()), 2));
    let unsaid: Reply = |number| match number {
        0 => answer("503 Later", "", ""),
        _ => answer("200 OK", "", "fine"),
    };
    assert_eq!(outcome(unsaid).await, (Ok("fine".to_owned()), 2));
}

/// Lost otherwise: a search now and then would lose its order because the service had closed a connection that rested.
#[tokio::test]
async fn a_kept_connection_that_is_closed_is_replaced() {
    let reply: Reply = |number| match number {
        0 => answer("200 OK", "", "fine"),
        // Hangs up instead.
        1 => Some(Vec::new()),
        _ => answer("200 OK", "", "once more"),
    };
    let (address, seen) = serve(reply, None).await;
    let service = service(endpoint(&format!("http://{address}/")));
    assert_eq!(post(&service).await, Ok("fine".to_owned()));
    assert_eq!(post(&service).await, Ok("once more".to_owned()));
    assert_eq!(seen.lock().unwrap().requests.len(), 3);
}

/// Lost otherwise: one service that hangs would hold every search that asks it, and their texts, for ever.
#[tokio::test]
async fn who_is_silent_is_given_up() {
    let stalled: Reply = |_| Some(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{".to_vec());
    for reply in [(|_| None) as Reply, stalled] {
        let (address, _) = serve(reply, None).await;
        let hasty =
            Endpoint { timeout: Duration::from_millis(200), ..endpoint(&format!("http://{address}/")) };
        let outcome = tokio::time::timeout(Duration::from_secs(30), post(&service(hasty))).await;
        assert_eq!(outcome, Ok(Err(Failure::TimedOut)));
    }
}

/// Lost otherwise: a slow service would be called by every search at once, or searches pile up before it without bound.
#[tokio::test]
async fn calls_and_waiting_are_bounded() {
    let (address, seen) = serve(|_| None, None).await;
    let service = Arc::new(service(endpoint(&format!("http://{address}/"))));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..2 + WAITING_MAX {
        let service = service.clone();
        calls.spawn(async move { post(&service).await });
    }
    let all_are_there = async {
        while service.present.available_permits() > 0 || seen.lock().unwrap().requests.len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all_are_there).await.unwrap();
    // At once: waiting until the others' time is up ends in the same word.
    let one_more = tokio::time::timeout(Duration::from_secs(30), post(&service)).await;
    assert_eq!(one_more, Ok(Err(Failure::Overloaded)));
    assert_eq!(seen.lock().unwrap().requests.len(), 2);
    // Whose caller has gone gives its place back.
    calls.shutdown().await;
    assert_eq!(
        (service.present.available_permits(), service.running.available_permits()),
        (2 + WAITING_MAX, 2)
    );
}

/// Lost otherwise: `https` would be spoken with anybody who answers at that address.
#[tokio::test]
async fn https_is_spoken_with_whom_the_certificate_names_alone() {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![issued.cert.der().clone()], key).unwrap();
    let (address, seen) = serve(|_| answer("200 OK", "", "sealed"), Some(Arc::new(config).into())).await;

    let mut roots = RootCertStore::empty();
    roots.add(issued.cert.der().clone()).unwrap();
    let trusting = |host: &str, roots: &RootCertStore| {
        let endpoint = endpoint(&format!("https://{host}:{}/", address.port()));
        Service::with_tls(
            "thing",
            endpoint,
            Arc::new(Metrics::new()),
            client::trusting(roots.clone()).unwrap(),
        )
    };
    assert_eq!(post(&trusting("localhost", &roots)).await, Ok("sealed".to_owned()));
    for (host, roots) in [("localhost", &RootCertStore::empty()), ("127.0.0.1", &roots)] {
        let failure = post(&trusting(host, roots)).await.unwrap_err();
        assert_eq!(failure.word(), "unreachable");
        assert!(failure.to_string().contains("certificate"), "the operator learns why: {failure}");
    }
    assert_eq!(seen.lock().unwrap().requests.len(), 1, "nothing was sent to a stranger");
}

/// Lost otherwise: a typo would be called, or a key written into the address show in errors.
#[test]
fn addresses_are_checked_before_they_are_called() {
    for fine in
        ["http://127.0.0.1:8080/rerank", "https://api.host/v1/rerank?x=y", "http://[::1]/", "http://host"]
    {
        assert!(parse_address("x", fine).is_ok(), "{fine}");
    }
    for bad in ["", "host", "/rerank", "ftp://host/", "http://", "http://u:p4ss@host/", "https://ho st/"] {
        assert!(!parse_address("reranker", bad).unwrap_err().contains("p4ss"), "{bad}");
    }
    let loopback = |address: &str| is_loopback(&address.parse().unwrap());
    assert!(loopback("http://127.0.0.1:1/") && loopback("http://[::1]:1/") && loopback("http://localhost/"));
    assert!(!loopback("http://10.0.0.1/") && !loopback("http://localhost.example/"));
}
