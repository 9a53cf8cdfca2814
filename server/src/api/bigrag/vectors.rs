//! How do vectors that the caller made come into a collection, and go?
//!
//! Each is a document of one passage under the id that came with it, its text beside it. What has the id already is replaced.
//!
//! Invariants:
//! 1. All of a call's vectors are checked before the first is written; those of one tenant become durable together.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_engine::{NewDocument, NewPassage, Passage};

use super::{tenant, uploads};
use crate::auth::Place;
use crate::call::With;
use crate::config::Limits;
use crate::control::Collection;
use crate::ingest::{self, typed};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::usage::Tally;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewVectors")]
pub(crate) struct Upsert {
    vectors: Vec<Entry>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewVector")]
pub(crate) struct Entry {
    id: String,
    embedding: Vec<f32>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

/// How many vectors are written.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UpsertedVectors")]
pub(crate) struct Upserted {
    status: &'static str,
    upserted: usize,
}

/// How many of the vectors were there, and are gone for good.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeletedVectors")]
pub(crate) struct Deleted {
    status: &'static str,
    deleted: usize,
}

/// `POST /v1/collections/{name}/vectors/upsert`
pub(crate) async fn upsert(mut call: With<Upsert>) -> Result<Answer<Upserted>, ApiError> {
    let collection = tenant::collection(&call, call.value(0)?)?;
    tenant::ahead(&call, &collection)?;
    let (Upsert { vectors }, held) = call.json().await?;
    let most = call.app.limits.batch_documents_max;
    if vectors.is_empty() || vectors.len() > most {
        return Err(ApiError::malformed("invalid_batch", format!("a call has 1 to {most} vectors")));
    }
    let mut groups: Vec<(Place, Vec<NewDocument>)> = Vec::new();
    let upserted = vectors.len();
    for (number, entry) in vectors.into_iter().enumerate() {
        let place = entry.metadata.clone().unwrap_or_default();
        let place =
            tenant::of_metadata(&call, &collection, &place).map_err(|error| numbered(number, error))?;
        let document =
            entry.checked(&collection, &call.app.limits).map_err(|error| numbered(number, error))?;
        match groups.iter_mut().find(|(known, _)| known.at == place.at) {
            Some((_, group)) => {
                if group.iter().any(|other| other.id == document.id) {
                    return Err(numbered(
                        number,
                        ApiError::unacceptable("repeated_id", "its id comes twice; send each once"),
                    ));
                }
                group.push(document);
            }
            None => groups.push((place, vec![document])),
        }
    }
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        for (place, group) in &groups {
            let inserts = group.len() as u64;
            let bytes_in = group.iter().map(|document| document.content.len() as u64).sum();
            let _room = app.quotas.room(place, inserts, bytes_in)?;
            ingest::write(&app.store, place, &collection, |partition| partition.upsert_many(group.clone()))?;
            app.usage.count(place, place.key(), Tally { inserts, bytes_in, ..Tally::default() });
        }
        drop(held);
        json::answer(StatusCode::OK, &Upserted { status: "ok", upserted })
    })
    .await
}

impl Entry {
    fn checked(self, collection: &Collection, limits: &Limits) -> Result<NewDocument, ApiError> {
        let (most, expected) = (limits.name_bytes_max, collection.spec.dimension as usize);
        if self.id.trim().is_empty() || self.id.len() > most || self.id.contains('\0') {
            return Err(ApiError::unacceptable(
                "invalid_id",
                format!("an id has 1 to {most} bytes, is not all white space and has no NUL character"),
            ));
        }
        if self.embedding.len() != expected {
            let found = self.embedding.len();
            return Err(ApiError::unacceptable(
                "wrong_dimension",
                format!("vectors of this collection have {expected} dimensions, this one has {found}"),
            ));
        }
        if self.embedding.iter().any(|component| !component.is_finite()) {
            return Err(ApiError::unacceptable(
                "not_finite",
                "it has a component that is not a finite number",
            ));
        }
        let metadata = uploads::checked_metadata(collection, self.metadata.unwrap_or_default(), limits)?;
        let text = self.text.unwrap_or_default();
        Ok(NewDocument {
            id: Some(self.id),
            filename: String::new(),
            content_type: "text/plain".to_owned(),
            content: text.clone().into_bytes(),
            fields: typed::fields(&metadata),
            metadata,
            passages: vec![NewPassage { text: Passage::Own(text), vector: self.embedding }],
            ..NewDocument::default()
        })
    }
}

fn numbered(number: usize, mut error: ApiError) -> ApiError {
    error.text = format!("vector {number} (counted from 0): {}", error.text).into();
    error
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VectorIds")]
pub(crate) struct Ids {
    ids: Vec<String>,
}

/// `POST /v1/collections/{name}/vectors/delete`: those that are there go for good.
pub(crate) async fn delete(mut call: With<Ids>) -> Result<Answer<Deleted>, ApiError> {
    let collection = tenant::collection(&call, call.value(0)?)?;
    let reach = tenant::by_id(&call, &collection)?;
    let (Ids { ids }, _) = call.json().await?;
    let most = call.app.limits.batch_documents_max;
    if ids.is_empty() || ids.len() > most {
        return Err(ApiError::malformed("invalid_batch", format!("a call has 1 to {most} ids")));
    }
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let outcomes = reach.purge(&app, &ids, &by)?.into_iter().collect::<Result<Vec<_>, _>>()?;
        let deleted = outcomes.into_iter().filter(|was_there| *was_there).count();
        json::answer(StatusCode::OK, &Deleted { status: "ok", deleted })
    })
    .await
}
