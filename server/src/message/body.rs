//! How is a request's body read, and how much of it?
//!
//! A body is read once, up to the route's limit, with a limit on silence and on the whole, and against a budget that
//! all requests share, so that slow or large uploads can't exhaust the server.
//!
//! Invariants:
//! 1. More than `limit_bytes` is never held: a `content-length` above it is refused unread, a chunked body as soon as
//!    it passes it.
//! 2. The budget is taken before the bytes are kept and given back when the [`Received`] goes.
//! 3. A body that drips is cut off as early as its bytes are few.
//! 4. A body that is packed (`content-encoding`) is refused unread: how much it would unpack to, only unpacking shows.
//! 5. A body that is refused is still drained for a while, so that the client reads our answer instead of a reset; of all such bodies
//!    together only so fast that it costs the processor nothing to speak of.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::error::ApiError;

const BUDGET_UNIT_BYTES: usize = 1024;
const DRAIN_BYTES_MAX: u64 = 256 << 20;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);
/// So many bytes a second are drained of all connections together, once [`DRAIN_BYTES_MAX`] came at once.
const DRAIN_BYTES_PER_SECOND: u64 = 32 << 20;
/// Who has stopped sending needs no draining: it reads.
const DRAIN_SILENCE_MAX: Duration = Duration::from_millis(500);

/// How long a body may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Without a single byte.
    pub(crate) silence: Duration,
    /// From the first to the last.
    pub(crate) whole: Duration,
    /// Once `silence` is over, so many have to come in a second on the average.
    pub(crate) bytes_per_second_min: u64,
}

impl Patience {
    /// How long to wait for the end of a body of which so much has come.
    fn until(&self, bytes: usize) -> Duration {
        let earned = Duration::from_secs(bytes as u64 / self.bytes_per_second_min.max(1));
        self.whole.min(self.silence.saturating_add(earned))
    }
}

/// Memory that all bodies in flight share.
#[derive(Clone)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    patience: Patience,
}

/// A body that was read whole.
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    /// Gives the budget back when the bytes are done with.
    held: Vec<OwnedSemaphorePermit>,
}

impl Received {
    /// The bytes, and what has to be kept as long as they are.
    pub(crate) fn into_parts(self) -> (Bytes, Vec<OwnedSemaphorePermit>) {
        (self.bytes, self.held)
    }
}

impl Budget {
    pub(crate) fn new(bytes: usize, patience: Patience) -> Self {
        let units = (bytes / BUDGET_UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(units)), patience }
    }

    /// A body that is taken as it comes, without a limit on the whole.
    pub(crate) fn stream(&self, body: Body) -> Stream {
        Stream { budget: self.clone(), body }
    }

    /// Room for so many bytes.
    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let units = u32::try_from(bytes.div_ceil(BUDGET_UNIT_BYTES)).ok();
        let permit = units.and_then(|units| self.units.clone().try_acquire_many_owned(units).ok());
        permit
            .ok_or_else(|| ApiError::busy("overloaded", "too many large uploads at once; try again soon", 2))
    }

    /// Reads a body of at most `limit_bytes`.
    pub(crate) async fn read(
        &self,
        headers: &HeaderMap,
        mut body: Body,
        limit_bytes: usize,
    ) -> Result<Received, ApiError> {
        if announced_bytes(headers).is_some_and(|bytes| bytes > limit_bytes as u64) {
            return Err(beyond(limit_bytes));
        }
        if is_packed(headers) {
            return Err(packed());
        }
        let begun = Instant::now();
        let (mut bytes, mut held, mut held_bytes) = (BytesMut::new(), Vec::new(), 0);
        loop {
            let silence = timeout(self.patience.silence, body.frame());
            let end = begun + self.patience.until(bytes.len());
            let Ok(Ok(frame)) = timeout_at(end, silence).await else { return Err(too_slow()) };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|_| broken())?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > limit_bytes {
                return Err(beyond(limit_bytes));
            }
            if bytes.len() + data.len() > held_bytes {
                held.push(self.take(data.len())?);
                held_bytes += data.len().div_ceil(BUDGET_UNIT_BYTES) * BUDGET_UNIT_BYTES;
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Received { bytes: bytes.freeze(), held })
    }
}

/// A body that is taken as it comes.
pub(crate) struct Stream {
    budget: Budget,
    body: Body,
}

impl Stream {
    /// The next bytes, and what has to be kept as long as they are; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<(Bytes, OwnedSemaphorePermit)>, ApiError> {
        loop {
            let frame = timeout(self.budget.patience.silence, self.body.frame());
            let Some(frame) = frame.await.map_err(|_| too_slow())? else { return Ok(None) };
            let Ok(data) = frame.map_err(|_| broken())?.into_data() else { continue };
            let permit = self.budget.take(data.len())?;
            return Ok(Some((data, permit)));
        }
    }
}

/// How long a body says that it is.
pub(crate) fn announced_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn broken() -> ApiError {
    ApiError::malformed("incomplete_body", "the connection broke before the whole body had come")
}

fn beyond(limit_bytes: usize) -> ApiError {
    ApiError::too_large(format!(
        "the body is larger than this route's limit of {limit_bytes} bytes; send less"
    ))
}

/// Whether a body says that it is packed. `identity` says that it isn't.
fn is_packed(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).any(|coding| {
        let coding = coding.trim_ascii();
        !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
    })
}

fn packed() -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_content_encoding",
        "this server takes bodies as they are; send it without content-encoding",
    )
}

fn too_slow() -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        "body_timeout",
        "the body came too slowly or stopped coming; send it again",
    )
}

/// Who is told of bytes that nobody wanted, as they come.
type Told = Box<dyn Fn(u64) + Send + Sync>;

/// How many bytes of a request's body have come so far.
#[derive(Clone, Default)]
pub(crate) struct Sent(Arc<Count>);

#[derive(Default)]
struct Count {
    bytes: AtomicU64,
    is_unread: AtomicBool,
    /// From when on bytes are not counted here, but told.
    told: OnceLock<Told>,
}

impl Sent {
    pub(crate) fn add(&self, bytes: usize) {
        match self.0.told.get() {
            Some(tell) => tell(bytes as u64),
            None => drop(self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed)),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Nobody reads the rest of it.
    pub(crate) fn leave_unread(&self) {
        self.0.is_unread.store(true, Ordering::Relaxed);
    }

    /// Whether some of it is there that nobody reads.
    pub(crate) fn is_unread(&self) -> bool {
        self.0.is_unread.load(Ordering::Relaxed)
    }

    /// Has somebody be told of all bytes that still come.
    pub(crate) fn tell(&self, tell: impl Fn(u64) + Send + Sync + 'static) {
        self.0.told.set(Box::new(tell)).ok();
    }
}

/// So many bodies are drained at once: each keeps the buffers of its connection. What comes beyond is cut off.
const DRAINS_MAX: usize = 64;

/// How fast what nobody wants is read, of all connections together.
#[derive(Debug, Clone)]
pub(crate) struct Drain {
    level: Arc<Mutex<Level>>,
    places: Arc<Semaphore>,
}

/// What may still be drained at once.
#[derive(Debug)]
struct Level {
    bytes: i64,
    as_of: Instant,
}

impl Drain {
    pub(crate) fn new() -> Self {
        let level = Level { bytes: DRAIN_BYTES_MAX.cast_signed(), as_of: Instant::now() };
        Self { level: Arc::new(Mutex::new(level)), places: Arc::new(Semaphore::new(DRAINS_MAX)) }
    }

    /// Takes so many bytes, and says how long to wait before the next ones.
    fn take(&self, bytes: usize, now: Instant) -> Duration {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let more = now.saturating_duration_since(level.as_of).as_secs_f64() * DRAIN_BYTES_PER_SECOND as f64;
        level.bytes = level.bytes.saturating_add(more as i64).min(DRAIN_BYTES_MAX.cast_signed());
        level.bytes -= i64::try_from(bytes).unwrap_or(i64::MAX);
        level.as_of = now;
        Duration::from_secs_f64(level.bytes.min(0).unsigned_abs() as f64 / DRAIN_BYTES_PER_SECOND as f64)
    }

    async fn all_of(&self, mut body: Incoming, sent: Sent) {
        let Ok(_place) = self.places.try_acquire() else { return };
        let mut drained_bytes = 0;
        while let Ok(Some(Ok(frame))) = timeout(DRAIN_SILENCE_MAX, body.frame()).await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            drained_bytes += bytes as u64;
            sent.add(bytes);
            if drained_bytes > DRAIN_BYTES_MAX {
                return;
            }
            let wait = self.take(bytes, Instant::now());
            // A sleep of no time lasts until the next tick of the clock.
            if !wait.is_zero() {
                sleep(wait).await;
            }
        }
    }
}

/// A connection's body that outlives a handler which doesn't read it: what is left is drained in the background.
pub(crate) struct Lingering {
    body: Option<Incoming>,
    /// With `expect: 100-continue` nothing comes before we ask for it, so there is nothing to drain.
    drains: bool,
    drain: Drain,
    sent: Sent,
}

impl Lingering {
    /// `sent` is told what of it comes, and whether some of that is only drained.
    pub(crate) fn new(body: Incoming, headers: &HeaderMap, drain: Drain, sent: Sent) -> Self {
        Self { body: Some(body), drains: !headers.contains_key(header::EXPECT), drain, sent }
    }
}

impl hyper::body::Body for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.sent.add(frame.data_ref().map_or(0, Bytes::len));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, hyper::body::Body::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(body) = self.body.take() else { return };
        if !self.drains || hyper::body::Body::is_end_stream(&body) {
            return;
        }
        self.sent.leave_unread();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (drain, sent) = (self.drain.clone(), self.sent.clone());
            runtime.spawn(async move { timeout(DRAIN_TIME_MAX, drain.all_of(body, sent)).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: floods of refused bytes would be read as fast as they come, at everybody's cost; or the first too large upload would break off.
    #[test]
    fn what_is_drained_is_drained_slowly_after_a_while() {
        let drain = Drain::new();
        let begun = Instant::now();
        let (all, second) = (DRAIN_BYTES_MAX as usize, DRAIN_BYTES_PER_SECOND as usize);
        assert_eq!(drain.take(all, begun), Duration::ZERO);
        assert_eq!(drain.take(second, begun), Duration::from_secs(1));
        assert_eq!(
            drain.take(second, begun),
            Duration::from_secs(2),
            "whoever comes next waits behind the others"
        );
        assert_eq!(drain.take(second / 2, begun + Duration::from_secs(2)), Duration::from_millis(500));
        let rested = begun + Duration::from_secs(3600);
        assert_eq!(drain.take(all, rested), Duration::ZERO);
        assert_eq!(drain.take(second, rested), Duration::from_secs(1), "rest earns no more than that");
    }
}
