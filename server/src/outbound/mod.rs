//! How does the server call a service that its operator named?
//!
//! The only place from which the server speaks first. A [`Service`] is one address; a call of it posts JSON over a
//! connection that is kept, and hands the answer's bytes to whoever knows their form.
//!
//! Invariants:
//! 1. A call ends by its deadline: waiting for its turn, connecting, trying again and reading are all in it.
//! 2. At most `running_max` calls run and at most [`WAITING_MAX`] wait; what comes beyond fails at once.
//! 3. No more than `answer_bytes_max` of an answer is held.
//! 4. Nothing but the address that the operator gave is called: redirects are not followed and proxies of the
//!    environment are not read.
//! 5. Neither the key nor anything that was sent or answered is in a failure, a log line or a metric.

mod client;
mod complaints;
mod failure;

#[cfg(test)]
mod tests;

use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::Scheme;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy;
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use self::client::Client;
use self::complaints::Complaints;
pub(crate) use self::failure::Failure;
use crate::log;
use crate::metrics::Metrics;

/// Calls of one service that wait for their turn.
const WAITING_MAX: usize = 256;
const KEY_BYTES_MAX: u64 = 16 << 10;
/// Who says "try again" and not when is asked again after this.
const RETRY_AFTER: Duration = Duration::from_millis(250);
const AGENT: HeaderValue = HeaderValue::from_static(concat!("strongroom/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

const TOO_LARGE: Failure = Failure::Unreadable("its answer is too large");

/// Where a service is, and what a call of it may take.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: Uri,
    /// The header that carries the key; marked as sensitive, so that it doesn't show.
    pub(crate) authorization: Option<HeaderValue>,
    /// A call, from its asking to its last byte.
    pub(crate) timeout: Duration,
    pub(crate) running_max: usize,
    pub(crate) answer_bytes_max: usize,
}

/// A service that answers JSON to JSON. A call may reach it twice, so what it is asked for must be a question, not an act.
pub(crate) struct Service {
    /// What it is called in metrics and in the log.
    name: &'static str,
    endpoint: Endpoint,
    client: Client,
    running: Semaphore,
    /// Those that run and those that wait.
    present: Semaphore,
    metrics: Arc<Metrics>,
    complaints: Complaints,
}

impl Service {
    /// The error is one line that says what to do.
    pub(crate) fn new(name: &'static str, endpoint: Endpoint, metrics: Arc<Metrics>) -> Result<Self, String> {
        let is_https = endpoint.address.scheme() == Some(&Scheme::HTTPS);
        if !is_https && !is_loopback(&endpoint.address) {
            log::warn(&format!(
                "the {name} is reached by plain http: whoever sees the network between reads what is sent there, the key \
                 included; use https or a network of your own"
            ));
        }
        let tls = if is_https { client::tls_of_this_machine(name)? } else { client::no_tls()? };
        Ok(Self::with_tls(name, endpoint, metrics, tls))
    }

    fn with_tls(name: &'static str, endpoint: Endpoint, metrics: Arc<Metrics>, tls: ClientConfig) -> Self {
        Self {
            name,
            client: client::client(tls, endpoint.running_max),
            running: Semaphore::new(endpoint.running_max),
            present: Semaphore::new(endpoint.running_max + WAITING_MAX),
            endpoint,
            metrics,
            complaints: Complaints::default(),
        }
    }

    /// Posts what `body` makes when its turn has come, and answers what `read` finds in the answer; what it can't read it
    /// says why.
    pub(crate) async fn post<T>(
        &self,
        body: impl FnOnce() -> Vec<u8>,
        read: impl FnOnce(&[u8]) -> Result<T, &'static str>,
    ) -> Result<T, Failure> {
        let begun = Instant::now();
        let outcome = self.posted(body, begun + self.endpoint.timeout).await;
        let outcome = outcome.and_then(|bytes| read(&bytes).map_err(Failure::Unreadable));
        let word = outcome.as_ref().err().map_or("ok", Failure::word);
        self.metrics.count_outbound(self.name, word, begun.elapsed());
        if let Err(failure) = &outcome
            && self.complaints.may_be_told()
        {
            log::warn(&format!(
                "the {} failed: {failure}; this is told at most once a minute, strongroom_outbound_calls_total counts",
                self.name
            ));
        }
        outcome
    }

    async fn posted(&self, body: impl FnOnce() -> Vec<u8>, end: Instant) -> Result<Bytes, Failure> {
        let _present = self.present.try_acquire().map_err(|_| Failure::Overloaded)?;
        let turn = timeout_at(end, self.running.acquire()).await;
        let _running = turn.ok().and_then(Result::ok).ok_or(Failure::Overloaded)?;
        let body = Bytes::from(body());
        timeout_at(end, self.answer(body, end)).await.unwrap_or(Err(Failure::TimedOut))
    }

    async fn answer(&self, body: Bytes, end: Instant) -> Result<Bytes, Failure> {
        let first = self.send(body.clone()).await;
        let response = match Self::pause(&first) {
            None => first,
            Some(pause) if Instant::now() + pause >= end => return Err(Failure::Busy),
            Some(pause) => {
                drop(first);
                sleep(pause).await;
                self.send(body).await
            }
        };
        let response = response.map_err(|error| Failure::unreachable(&error))?;
        match response.status() {
            StatusCode::OK => {}
            status if is_busy(status) => return Err(Failure::Busy),
            status if status.is_server_error() => return Err(Failure::Failed(status)),
            status => return Err(Failure::Refused(status)),
        }
        let most = self.endpoint.answer_bytes_max;
        if response.body().size_hint().lower() > most as u64 {
            return Err(TOO_LARGE);
        }
        let body = Limited::new(response.into_body(), most);
        let bytes = body.collect().await.map_err(|error| {
            if error.downcast_ref::<LengthLimitError>().is_some() {
                TOO_LARGE
            } else {
                Failure::Unreachable("the connection broke within the answer".to_owned())
            }
        })?;
        Ok(bytes.to_bytes())
    }

    /// How long to wait before asking once more, if that may help: who is busy says so, and a connection that was kept may
    /// turn out to be closed when it is used.
    fn pause(outcome: &Result<Response<Incoming>, legacy::Error>) -> Option<Duration> {
        match outcome {
            Ok(response) if is_busy(response.status()) => {
                Some(retry_after(response.headers()).unwrap_or(RETRY_AFTER))
            }
            Err(error) if !error.is_connect() => Some(Duration::ZERO),
            _ => None,
        }
    }

    async fn send(&self, body: Bytes) -> Result<Response<Incoming>, legacy::Error> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.address.clone();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(header::ACCEPT, JSON);
        headers.insert(header::USER_AGENT, AGENT);
        if let Some(authorization) = &self.endpoint.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        self.client.request(request).await
    }
}

fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// Its form as a date is not read: it needs clocks that agree.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse::<u32>().ok()?;
    Some(Duration::from_secs(u64::from(seconds)))
}

/// Reads an address that can be called. The error is one line that says what `setting` should be, and doesn't repeat
/// what may hold a key.
pub(crate) fn parse_address(setting: &str, text: &str) -> Result<Uri, String> {
    let address = text.trim().parse::<Uri>().ok();
    let fits = |address: &Uri| {
        let is_http = address.scheme().is_some_and(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
        is_http
            && address.host().is_some_and(|host| !host.is_empty())
            && address.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    };
    address.filter(fits).ok_or_else(|| {
        format!("{setting} must be the address to call, such as https://host/v1/rerank, without a name or password in it")
    })
}

/// Marks a key as what is sent with each call. The error is one line.
pub(crate) fn bearer(setting: &str, key: &str) -> Result<HeaderValue, String> {
    let key = key.trim();
    let value = (!key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()))
        .then(|| HeaderValue::from_str(&format!("Bearer {key}")).ok())
        .flatten();
    let mut value = value.ok_or_else(|| format!("{setting} must be one word of visible ASCII"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads a key from a file. The error is one line.
pub(crate) fn key_in_file(what: &str, path: &Path) -> Result<HeaderValue, String> {
    let unreadable = |error| format!("{what} can't be read from {}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut key = String::new();
    file.take(KEY_BYTES_MAX).read_to_string(&mut key).map_err(unreadable)?;
    bearer(&format!("{what} in {}", path.display()), &key)
}

fn is_loopback(address: &Uri) -> bool {
    let host = address.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
