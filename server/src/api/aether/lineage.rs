//! What was a document's life, and what proves it?
//!
//! Its versions, from what it says of itself (`server/src/ingest/history.rs`): number, time, digest, and the key that wrote it. Each is stated and
//! signed with the key that signs receipts, when it is asked for: the signature says that this server's records say so, and
//! nobody can change the words since.
//!
//! Invariants:
//! 1. What was purged or dropped is told by nothing here: the trail lies in the document alone.
//! 2. A document's life is told to whom the document is shown.

use std::sync::Arc;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use strongroom_engine::{Partition, ReadError, Scope, Version};

use crate::app::App;
use crate::auth::{DEFAULT_COLLECTION, Place};
use crate::call::Call;
use crate::ingest::{self, history};
use crate::message::content::Answer;
use crate::message::error::{ApiError, no_document};
use crate::message::json;
use crate::{clock, random};

/// One version of a document.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LineageRecord")]
pub(crate) struct Record {
    at: String,
    /// Who signed it: `node:` and the beginning of this server's public key.
    actor: String,
    /// `document.inserted`; of a version after the first `document.updated`, `document.moved` out of another partition, or
    /// `document.revised` when nothing but its readers, its entity or its summary is another.
    action: &'static str,
    resource: String,
    outcome: &'static str,
    source: &'static str,
    proof: Proof,
    version: u32,
    /// The id of the API key that wrote it; null when it was none, or isn't known.
    api_key_id: Option<String>,
}

/// What proves it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LineageProof")]
struct Proof {
    /// SHA-256 of what was sent.
    content_id: String,
    /// The version: it counts within the document.
    lamport: u32,
    node_id: String,
    /// Ed25519, in hexadecimal digits, like the signature: the key that signs receipts, at `/v1/receipts`.
    public_key: String,
    signature: String,
    /// Always: it was signed just now.
    verified: bool,
    /// What was signed.
    statement: String,
}

/// A document's versions, the first one first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Lineage {
    doc_id: String,
    records: Vec<Record>,
}

/// Where a document is looked for.
enum Where {
    One(Place),
    /// In all partitions that the key reaches.
    All(Scope),
}

/// `GET /v1/audit/records/{id}`: the client names no partition here.
pub(crate) async fn get(call: Call) -> Result<Answer<Lineage>, ApiError> {
    let (caller, id) = (call.caller()?, call.value(0)?.to_owned());
    let named = call.query.get("partition");
    let at = if named.is_some() || caller.pins().partition.is_some() {
        Where::One(call.place_for(None)?)
    } else {
        Where::All(caller.whole_collection(DEFAULT_COLLECTION)?)
    };
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let look = |partition: &Partition| {
            let found = partition.get(&id)?;
            Ok(found.map(|document| (partition.incarnation(), history::versions(&document))))
        };
        let (scope, (incarnation, versions)) = match &at {
            Where::One(place) => {
                let found = ingest::read(&app.store, place, look)?.flatten();
                (&place.scope, found.ok_or_else(no_document)?)
            }
            Where::All(scope) => (scope, find(&app, scope, &id, look)?),
        };
        let records = versions.iter().map(|version| Record::of(&app, scope, incarnation, &id, version));
        json::answer(StatusCode::OK, &Lineage { records: records.collect(), doc_id: id.clone() })
    })
    .await
}

/// In whichever partition it is, if it is in one.
fn find<T>(
    app: &Arc<App>,
    scope: &Scope,
    id: &str,
    look: impl Fn(&Partition) -> Result<Option<T>, ReadError>,
) -> Result<T, ApiError> {
    let holders = app.store.holders(scope, DEFAULT_COLLECTION, id)?;
    if holders.partitions.len() > 1 {
        return Err(ApiError::malformed(
            "partition_required",
            "documents of several partitions have this id: say which one is meant, with ?partition=<id>",
        ));
    }
    for partition in &holders.partitions {
        match look(partition) {
            Ok(Some(found)) => return Ok(found),
            // It went meanwhile.
            Ok(None) | Err(ReadError::Dropped) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(holders.unread.map_or_else(no_document, |damage| ReadError::Quarantined(damage).into()))
}

impl Record {
    fn of(app: &App, scope: &Scope, incarnation: [u8; 16], id: &str, version: &history::Version) -> Self {
        let history::Version { number, at_ms, digest, key, is_moved, is_revised } = version;
        let (number, at_ms, key) = (*number, *at_ms, key.as_deref());
        let stated = Version { document: id, number, at_ms, digest, key };
        let statement = app.store.sign_version(scope, incarnation, &stated);
        let public_key = random::hex(&app.store.receipt_key());
        let node_id = public_key.get(..16).unwrap_or_default().to_owned();
        Self {
            at: clock::rfc3339(at_ms),
            actor: format!("node:{node_id}"),
            action: match number {
                _ if *is_moved => "document.moved",
                _ if *is_revised => "document.revised",
                1 => "document.inserted",
                _ => "document.updated",
            },
            resource: format!("document:{id}"),
            outcome: "committed",
            source: "ledger",
            proof: Proof {
                content_id: format!("sha256:{digest}"),
                lamport: number,
                node_id,
                public_key,
                signature: random::hex(&statement.signature),
                verified: true,
                statement: statement.text,
            },
            version: number,
            api_key_id: key.map(str::to_owned),
        }
    }
}
