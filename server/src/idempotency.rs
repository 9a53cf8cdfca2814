//! How does a client that lost an answer ask again without writing twice?
//!
//! With the header `Idempotency-Key`. What was written under a key is remembered for 24 hours by the engine, in the partition
//! itself, in one batch with the documents: sealed and shredded with them, there after a restart and after a crash. The same
//! request under the same key is answered the same and writes nothing; another one is refused with 409.
//!
//! Invariants:
//! 1. A promise goes with the place that a request acts on, and only on routes that make one write there: the table of routes
//!    (`http/routes`) lists them.
//! 2. Two requests are the same when method, address, media type and body are, byte for byte; two forms when their fields and files
//!    are, since what stands between these is made anew each time.

use std::sync::{Arc, OnceLock};

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use sha2::{Digest, Sha256};
use strongroom_engine::{Once, Partition};

use crate::message::error::ApiError;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// A key is at most so long, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// That a request is done once, however often it comes.
#[derive(Debug)]
pub(crate) struct Promise {
    key: [u8; 16],
    head: Sha256,
    once: OnceLock<Arc<Once>>,
}

impl Promise {
    /// What a request promises, on a route that keeps keys, if it brings one.
    pub(crate) fn of(head: &Parts) -> Result<Option<Arc<Self>>, ApiError> {
        let Some(key) = key(&head.headers)? else { return Ok(None) };
        let media_type = head.headers.get(header::CONTENT_TYPE).map_or(&[][..], |value| value.as_bytes());
        let media_type = if is_form(media_type) { FORM } else { media_type };
        let address = head.uri.path_and_query().map_or("", |address| address.as_str());
        let mut digest = Sha256::new();
        for part in [head.method.as_str().as_bytes(), address.as_bytes(), media_type] {
            add(&mut digest, part);
        }
        Ok(Some(Arc::new(Self {
            key: short(Sha256::new().chain_update(key)),
            head: digest,
            once: OnceLock::new(),
        })))
    }

    /// Takes down what the body is. Comes before anything is written.
    pub(crate) fn read(&self, body: &[u8]) {
        self.once.get_or_init(|| self.asked(body));
    }

    /// Takes down what a form says: each of its parts in their order, with all that it says of itself. Comes before anything is written.
    pub(crate) fn read_form<'a>(&self, parts: impl Iterator<Item = [&'a [u8]; 4]>) {
        let mut digest = Sha256::new();
        parts.flatten().for_each(|part| add(&mut digest, part));
        self.read(&digest.finalize());
    }

    /// The request as the engine knows it.
    pub(crate) fn once(&self) -> &Arc<Once> {
        self.once.get_or_init(|| self.asked(&[]))
    }

    fn asked(&self, body: &[u8]) -> Arc<Once> {
        Arc::new(Once::new(self.key, short(self.head.clone().chain_update(body))))
    }

    /// A name for what becomes of the request in the background, the same each time it comes.
    pub(crate) fn name(&self, place: &[u8]) -> [u8; 16] {
        let once = self.once();
        short(Sha256::new().chain_update(once.key).chain_update(once.request).chain_update(place))
    }
}

/// A handle whose write keeps the promise, if there is one.
pub(crate) fn kept(promise: Option<&Promise>, partition: Partition) -> Partition {
    promise.map_or_else(|| partition.clone(), |promise| partition.once(promise.once()))
}

/// How forms are called, whatever stands between their parts.
const FORM: &[u8] = b"multipart/form-data";

fn is_form(media_type: &[u8]) -> bool {
    media_type.get(..FORM.len()).is_some_and(|start| start.eq_ignore_ascii_case(FORM))
}

fn add(digest: &mut Sha256, part: &[u8]) {
    digest.update((part.len() as u64).to_le_bytes());
    digest.update(part);
}

fn key(headers: &HeaderMap) -> Result<Option<&[u8]>, ApiError> {
    let mut keys = headers.get_all(HEADER).iter();
    let Some(key) = keys.next().map(|value| value.as_bytes()) else { return Ok(None) };
    let is_plain = key.iter().all(|byte| (0x20..0x7f).contains(byte));
    if key.is_empty() || key.len() > KEY_BYTES_MAX || !is_plain || keys.next().is_some() {
        return Err(ApiError::malformed(
            "invalid_idempotency_key",
            format!("Idempotency-Key is one text of 1 to {KEY_BYTES_MAX} printable ASCII characters"),
        ));
    }
    Ok(Some(key))
}

fn short(digest: Sha256) -> [u8; 16] {
    let whole: [u8; 32] = digest.finalize().into();
    let mut short = [0; 16];
    short.copy_from_slice(&whole[..16]);
    short
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn promise(address: &str, key: &str, body: &str) -> Result<Arc<Promise>, &'static str> {
        let request = Request::post(address).header(HEADER, key).body(()).unwrap();
        let made = Promise::of(&request.into_parts().0).map_err(|error| error.code)?.unwrap();
        made.read(body.as_bytes());
        Ok(made)
    }

    /// Lost otherwise: a retry would be taken for another request, or another request for a retry, and never be stored.
    #[test]
    fn a_request_is_the_same_when_all_of_it_is() {
        let first = promise("/v1/documents?a=b", "key", "body").unwrap();
        let asked = |promise: &Promise| (promise.once().key, promise.once().request);
        assert_eq!(asked(&first), asked(&promise("/v1/documents?a=b", "key", "body").unwrap()));
        for (address, body) in
            [("/v1/documents?a=bb", "ody"), ("/v1/documents?a=b", "body "), ("/v1/documents", "body")]
        {
            let other = promise(address, "key", body).unwrap();
            assert_eq!(other.once().key, first.once().key);
            assert_ne!(other.once().request, first.once().request, "{address} {body}");
        }
        assert_ne!(promise("/v1/documents?a=b", "other", "body").unwrap().once().key, first.once().key);
        let longest = "k".repeat(KEY_BYTES_MAX);
        assert!(promise("/", &longest, "").is_ok());
        for bad in ["", &format!("{longest}k"), "a\tb"] {
            assert_eq!(promise("/", bad, "").err(), Some("invalid_idempotency_key"), "{bad}");
        }
    }
}
