//! How does a caller come by what the engine opened for a request, signed?
//!
//! A request that asks for it, by the header `Strongroom-Trace` or by a search's `trace`, is answered under a scope with a
//! witness. The engine's statement goes into the search's trace, and for the header into one of the same name, whatever the
//! route and the outcome. `docs/trace.md` tells how it is read.
//!
//! Invariants:
//! 1. A statement speaks of one request: its id, the digest of what it asked for, and all that was opened for it until then.
//! 2. An answer to a traced search that shows partitions mixed up is not given.

use std::sync::{Arc, OnceLock};

use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use strongroom_engine::{Canary, Scope, Statement, StoreError, Trace, Witness};

use crate::app::App;
use crate::auth::Place;
use crate::message::error::ApiError;
use crate::{base64, random};

/// The header that asks for a statement, and that carries it.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("strongroom-trace");

/// A request whose answer comes with a statement.
#[derive(Debug)]
pub(crate) struct Traced {
    witness: Arc<Witness>,
    request: String,
    head: Sha256,
    asked: OnceLock<[u8; 32]>,
    /// Whether the statement goes into a header.
    in_header: bool,
}

impl Traced {
    /// What is traced of a request; `None` when nothing is. `may_ask` says that its body may still ask for it.
    pub(crate) fn of(head: &Parts, request: &str, may_ask: bool) -> Result<Option<Arc<Self>>, ApiError> {
        let in_header = match head.headers.get(HEADER).map(HeaderValue::as_bytes) {
            None | Some(b"0" | b"false") => false,
            Some(b"1" | b"true") => true,
            Some(_) => {
                return Err(ApiError::malformed(
                    "invalid_trace",
                    "the header Strongroom-Trace is true or false",
                ));
            }
        };
        if !in_header && !may_ask {
            return Ok(None);
        }
        let address = head.uri.path_and_query().map_or("", |address| address.as_str());
        let line = format!("{} {address}\n", head.method);
        Ok(Some(Arc::new(Self {
            witness: Arc::default(),
            request: request.to_owned(),
            head: Sha256::new().chain_update(line),
            asked: OnceLock::new(),
            in_header,
        })))
    }

    /// Takes down what the body is.
    pub(crate) fn read(&self, body: &[u8]) {
        self.asked.get_or_init(|| self.head.clone().chain_update(body).finalize().into());
    }

    /// Who is to be told what is opened.
    pub(crate) fn witness(&self) -> &Arc<Witness> {
        &self.witness
    }

    /// The statement, for the header of its answer, when it was asked for there.
    pub(crate) fn header(&self, app: &App, scope: &Scope) -> Option<HeaderValue> {
        let statement = self.in_header.then(|| self.statement(app, scope, None))??;
        HeaderValue::from_str(&token(&statement)).ok()
    }

    /// The statement for a search's trace: the canary's test is part of it.
    pub(crate) fn of_search(
        &self,
        app: &App,
        place: &Place,
        opened: Option<&Trace>,
    ) -> Result<Signed, ApiError> {
        let canary = match app.store.check_canary(&place.scope, &place.at) {
            // On a full disk none can be planted, and searches go on without.
            Err(StoreError::Write(_)) => None,
            outcome => outcome?,
        };
        require_apart(place, opened, canary.as_ref())?;
        let statement = self
            .statement(app, &place.scope, canary.as_ref())
            .ok_or_else(|| ApiError::internal("a traced search ran without a witness"))?;
        Ok(Signed {
            canary: canary.map(|canary| CanaryAnswer {
                id: random::hex(&canary.id),
                found_beside: canary.is_beside,
                found_here: canary.is_here,
            }),
            statement: statement.text,
            signature: random::hex(&statement.signature),
        })
    }

    /// The statement for a search that opened several partitions as it was to.
    pub(crate) fn of_all(&self, app: &App, scope: &Scope) -> Result<Signed, ApiError> {
        let statement = self
            .statement(app, scope, None)
            .ok_or_else(|| ApiError::internal("a traced search ran without a witness"))?;
        let signature = random::hex(&statement.signature);
        Ok(Signed { canary: None, statement: statement.text, signature })
    }

    fn statement(&self, app: &App, scope: &Scope, canary: Option<&Canary>) -> Option<Statement> {
        self.read(&[]);
        let asked = self.asked.get().copied().unwrap_or_default();
        app.store.attest(scope, &self.request, asked, canary)
    }
}

/// What the engine signed of a search, in its trace.
#[derive(Debug, Default, Serialize, JsonSchema, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Null when there was no partition to search, or when the disk is too full to plant one.
    canary: Option<CanaryAnswer>,
    /// What was signed.
    statement: String,
    /// Ed25519, in hexadecimal digits.
    signature: String,
}

/// How a search for what lies in another partition went.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
#[schemars(rename = "Canary")]
struct CanaryAnswer {
    id: String,
    found_beside: bool,
    found_here: bool,
}

/// The statement and its signature as one word.
pub(crate) fn token(statement: &Statement) -> String {
    format!("{}.{}", base64::encode(statement.text.as_bytes()), base64::encode(&statement.signature))
}

/// Refuses an answer that another partition than the one it is for may have part in.
fn require_apart(place: &Place, opened: Option<&Trace>, canary: Option<&Canary>) -> Result<(), ApiError> {
    let names = opened.map_or(&[][..], |trace| &trace.partitions_opened);
    if names.iter().any(|name| name.as_deref() != place.partition()) {
        return Err(ApiError::internal("ISOLATION: a search opened another partition than the one it names"));
    }
    match canary {
        Some(canary) if canary.is_here => {
            Err(ApiError::internal("ISOLATION: a search found the canary, which is in another partition"))
        }
        Some(canary) if !canary.is_beside => Err(ApiError::internal(
            "the canary was not found in its own partition, so a trace proves nothing",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::test_place;

    /// Lost otherwise: a search that mixed up partitions would be answered, with the proof of it beside.
    #[test]
    fn an_answer_from_elsewhere_is_not_given() {
        let place = test_place();
        let trace = |name: Option<&str>| Trace {
            partitions_opened: vec![name.map(str::to_owned)],
            segments_opened: 1,
            candidates: 1,
            exact: true,
        };
        let canary = |is_beside, is_here| Canary { id: [1; 16], is_beside, is_here };
        let own = trace(place.partition());
        for (opened, canary, is_given) in [
            (None, None, true),
            (Some(&own), Some(canary(true, false)), true),
            (Some(&trace(Some("another's"))), Some(canary(true, false)), false),
            (Some(&own), Some(canary(true, true)), false),
            (Some(&own), Some(canary(false, false)), false),
        ] {
            let outcome = require_apart(&place, opened, canary.as_ref());
            assert_eq!(outcome.is_ok(), is_given, "{opened:?} {canary:?}");
        }
    }
}
