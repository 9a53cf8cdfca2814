//! How is a search answered?
//!
//! Query → vector → one partition's handle → hits and the engine's trace → the reranker, if the search asks for it. This file
//! reads what is asked; `finding` does it. `k` counts documents, each with its best passage; filters act inside the engine's
//! scan.
//!
//! Invariants:
//! 1. What a search says and can't have is an error, never left out.

use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strongroom_engine::{Filter, Query};

use super::filters::FilterFields;
use super::finding::{Ask, Searched, Wanted, answer, answer_all, find, look_again};
use super::grammar::Clause;
use super::manner::Manner;
use super::ranking::Ranking;
use super::reranking::{Asked, Wish};
use crate::app::App;
use crate::auth::Place;
use crate::call::{Call, With};
use crate::clock;
use crate::config::Limits;
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json::{self, Texts};
use crate::statement::Traced;
use crate::usage::Tally;

const K: u64 = 10;

/// `GET /v1/search`
pub(crate) async fn search(call: Call) -> Result<Answer<Searched>, ApiError> {
    let (query, limits) = (&call.query, &call.app.limits);
    let text = checked_query(query.get("q").unwrap_or_default(), limits)?.to_owned();
    let (ranking, now_ms) = (Ranking::of_query(query)?, clock::now_ms());
    let (k, candidates) =
        (query.number("k", 1..=limits.k_max as u64)?, query.number("rerank_candidates", 1..=u64::MAX)?);
    let k = checked_k(k, limits)?;
    let is_traced = query.flag("trace")?;
    let wanted = Wanted {
        place: call.place()?,
        k,
        filter: FilterFields::of_query(query)?.into_filter(now_ms, limits)?,
        similarity_min: ranking.similarity_min()?,
        ages: ranking.ages(now_ms)?,
        score_min: ranking.score_min()?,
        recall: recall(query.flag("exact")?),
        with_content: query.flag("include_content")?,
        traced: call.traced().filter(|_| is_traced),
        wish: Wish::of(Asked::of_query(query)?, candidates, k, call.app.rerank_candidates_max())?,
    };
    let manner = Manner::of(query.get("mode"), query.get("fusion"), &ranking)?;
    let ask = Ask { text, manner, wanted };
    answer_all(&call.app, vec![ask], |answers| answers.into_iter().next().unwrap_or_default()).await
}

/// In partitions so large that not all passages are compared, so many of the nearest are found at least, on the average.
const RECALL: f32 = 0.98;

fn recall(is_exact: bool) -> Option<f32> {
    (!is_exact).then_some(RECALL)
}

/// A search by vector.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VectorSearch")]
pub(crate) struct ByVector {
    embedding: Vec<f32>,
    /// Documents; 10 when it is not given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000))]
    k: Option<u64>,
    #[serde(default)]
    include_content: Option<bool>,
    #[serde(default)]
    trace: Option<bool>,
    /// Of a search by text: `hybrid` when it is not given, `semantic` or `keyword`.
    #[serde(default)]
    mode: Option<String>,
    /// Of a hybrid search: `sum` when it is not given, or `ranks`.
    #[serde(default)]
    fusion: Option<String>,
    /// Of a search by text.
    #[serde(default)]
    rerank: Option<Asked>,
    #[serde(default)]
    rerank_candidates: Option<u64>,
    /// Vectors further away are left out: 0 is the same direction, 1 a right angle.
    #[serde(default)]
    max_distance: Option<f64>,
    #[serde(default)]
    tags: Option<Texts>,
    #[serde(default)]
    any_tags: Option<Texts>,
    #[serde(default)]
    content_type: Option<Texts>,
    #[serde(default)]
    source: Option<Texts>,
    #[serde(default)]
    entity_id: Option<String>,
    #[serde(default)]
    since: Option<String>,
    #[serde(default)]
    until: Option<String>,
    #[serde(default)]
    last_n_days: Option<u64>,
    #[serde(default)]
    partition: Option<String>,
    #[serde(default)]
    filter: Option<Clause>,
    #[serde(default)]
    exact: Option<bool>,
    #[serde(default)]
    min_score: Option<f64>,
    #[serde(default)]
    recency_weight: Option<f64>,
    #[serde(default)]
    half_life_days: Option<f64>,
    #[serde(default)]
    freshness_weight: Option<f64>,
    #[serde(default)]
    freshness_half_life_days: Option<f64>,
    /// Only turns of this conversation.
    #[serde(default)]
    thread_id: Option<String>,
}

/// `POST /v1/search/embed`
pub(crate) async fn search_by_vector(mut call: With<ByVector>) -> Result<Answer<Searched>, ApiError> {
    let (body, _) = call.json().await?;
    let place = call.place_for(body.partition.as_deref())?;
    if body.mode.is_some() || body.fusion.is_some() || body.asks_for_reranker() {
        return Err(ApiError::malformed(
            "malformed_body",
            "mode, fusion and rerank are for searches by text",
        ));
    }
    let vector = body.embedding.clone();
    let wanted = body.wanted(place, &call.app.limits, None, call.traced())?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        check_vector(&app, &wanted.place, &vector)?;
        let begun = Instant::now();
        let mut found = find(&app, &wanted, Query::Vector(&vector))?;
        if let Some(found) = &mut found {
            look_again(&app, &wanted, &mut found.hits, &mut (app.limits.body_bytes_max as u64))?;
        }
        app.usage.count(&wanted.place, wanted.place.key(), Tally::of_search(begun.elapsed(), 0));
        json::answer(StatusCode::OK, &answer(&app, &wanted, found.as_ref())?)
    })
    .await
}

impl ByVector {
    /// `candidates_max` is the reranker's, if there is one.
    pub(super) fn wanted(
        self,
        place: Place,
        limits: &Limits,
        candidates_max: Option<usize>,
        traced: Option<Arc<Traced>>,
    ) -> Result<Wanted, ApiError> {
        let (k, ranking, now_ms) = (checked_k(self.k, limits)?, self.ranking(), clock::now_ms());
        let (with_content, is_exact) = (self.include_content == Some(true), self.exact == Some(true));
        let is_traced = self.trace == Some(true);
        let wish = Wish::of(self.rerank, self.rerank_candidates, k, candidates_max)?;
        let filter = self.into_filter(now_ms, limits)?;
        Ok(Wanted {
            place,
            k,
            filter,
            similarity_min: ranking.similarity_min()?,
            ages: ranking.ages(now_ms)?,
            score_min: ranking.score_min()?,
            recall: recall(is_exact),
            with_content,
            traced: traced.filter(|_| is_traced),
            wish,
        })
    }

    pub(super) fn asks_for_reranker(&self) -> bool {
        self.rerank.is_some() || self.rerank_candidates.is_some()
    }

    pub(super) fn mode(&self) -> Option<&str> {
        self.mode.as_deref()
    }

    pub(super) fn fusion(&self) -> Option<&str> {
        self.fusion.as_deref()
    }

    pub(super) fn vector(&self) -> &[f32] {
        &self.embedding
    }

    pub(super) fn ranking(&self) -> Ranking {
        Ranking {
            recency_weight: self.recency_weight,
            half_life_days: self.half_life_days,
            freshness_weight: self.freshness_weight,
            freshness_half_life_days: self.freshness_half_life_days,
            max_distance: self.max_distance,
            min_score: self.min_score,
        }
    }

    /// What it asks of a document.
    pub(crate) fn into_filter(self, now_ms: u64, limits: &Limits) -> Result<Filter, ApiError> {
        let fields = FilterFields {
            tags: self.tags,
            any_tags: self.any_tags,
            content_type: self.content_type,
            source: self.source,
            entity_id: self.entity_id,
            thread_id: self.thread_id,
            since: self.since,
            until: self.until,
            last_n_days: self.last_n_days,
            filter: self.filter,
        };
        fields.into_filter(now_ms, limits)
    }
}

/// Many searches at once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SearchBatch")]
pub(crate) struct Batch {
    #[schemars(schema_with = "by_text")]
    queries: Vec<Value>,
    /// Of the queries that name none.
    #[serde(default)]
    partition: Option<String>,
}

/// The answers of a batch, in the order of its queries.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SearchAnswers")]
pub(crate) struct Answers {
    results: Vec<Searched>,
}

/// Searches by text: like those by vector, with `q` in the place of `embedding`.
fn by_text(schemas: &mut SchemaGenerator) -> Schema {
    let mut one = ByVector::json_schema(schemas);
    if let Some(fields) = one.get_mut("properties").and_then(Value::as_object_mut) {
        fields.shift_remove("embedding");
        fields.shift_insert(0, "q".to_owned(), json!({"type": "string", "minLength": 1}));
    }
    one.insert("required".to_owned(), json!(["q"]));
    one.insert("description".to_owned(), json!("A search by text."));
    json_schema!({"type": "array", "minItems": 1, "maxItems": 100, "items": one})
}

/// `POST /v1/search/batch`: every query is checked before the first is run.
pub(crate) async fn search_batch(mut call: With<Batch>) -> Result<Answer<Answers>, ApiError> {
    let (batch, _) = call.json().await?;
    let most = call.app.limits.batch_queries_max;
    if batch.queries.is_empty() || batch.queries.len() > most {
        // The partition comes before the body: an unscoped batch on a multi-tenant key is told that first.
        call.place_for(batch.partition.as_deref())?;
        return Err(ApiError::malformed("invalid_batch", format!("a batch has 1 to {most} queries")));
    }
    let candidates_max = call.app.rerank_candidates_max();
    let mut asks = Vec::with_capacity(batch.queries.len());
    for mut query in batch.queries {
        let in_item = query.get("partition").and_then(Value::as_str).map(str::to_owned);
        let place = call.place_for(in_item.as_deref().or(batch.partition.as_deref()))?;
        let text = query.as_object_mut().and_then(|fields| fields.remove("q"));
        let text = text.as_ref().and_then(Value::as_str).unwrap_or_default();
        let text = checked_query(text, &call.app.limits)?.to_owned();
        if let Some(fields) = query.as_object_mut()
            && fields.insert("embedding".to_owned(), json!([])).is_some()
        {
            return Err(ApiError::malformed(
                "malformed_body",
                "queries of a batch are texts: leave embedding out",
            ));
        }
        let fields: ByVector = serde_json::from_value(query).map_err(|error| {
            ApiError::malformed("malformed_body", format!("a query of the batch: {error}"))
        })?;
        let manner = Manner::of(fields.mode.as_deref(), fields.fusion.as_deref(), &fields.ranking())?;
        let wanted = fields.wanted(place, &call.app.limits, candidates_max, call.traced())?;
        asks.push(Ask { text, manner, wanted });
    }
    answer_all(&call.app, asks, |answers| Answers { results: answers }).await
}

/// What is wrong with a vector is wrong whether or not the partition is there, so that its sender learns it at once
/// and nobody learns from the answer which partitions exist.
pub(super) fn check_vector(app: &App, place: &Place, vector: &[f32]) -> Result<(), ApiError> {
    let expected = app.collection(place.scope.workspace())?.spec.dimension;
    if vector.len() as u64 != u64::from(expected) {
        return Err(ApiError::unacceptable(
            "wrong_dimension",
            format!("vectors of this collection have {expected} dimensions, this one has {}", vector.len()),
        ));
    }
    if vector.iter().any(|component| !component.is_finite()) {
        return Err(ApiError::unacceptable(
            "not_finite",
            "the vector has a component that is not a finite number",
        ));
    }
    Ok(())
}

pub(super) fn checked_query<'a>(text: &'a str, limits: &Limits) -> Result<&'a str, ApiError> {
    let most = limits.query_bytes_max;
    if text.trim().is_empty() {
        return Err(ApiError::malformed("invalid_query", "q is missing or blank; say what to search for"));
    }
    if text.len() > most {
        return Err(ApiError::malformed("invalid_query", format!("q has at most {most} bytes")));
    }
    Ok(text)
}

fn checked_k(number: Option<u64>, limits: &Limits) -> Result<usize, ApiError> {
    let most = limits.k_max;
    let k = usize::try_from(number.unwrap_or(K)).unwrap_or(usize::MAX);
    if !(1..=most).contains(&k) {
        return Err(ApiError::malformed(
            "invalid_parameter",
            format!("k must be a whole number from 1 to {most}"),
        ));
    }
    Ok(k)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a search would rank without the filter or weight that it was given.
    #[test]
    fn what_cannot_be_done_is_never_left_out() {
        let limits = Limits::default();
        for (field, status) in [
            (r#""thread_id": "..""#, 400),
            (r#""filter": {"a": 1}"#, 400),
            (r#""filter": {"field": "a", "op": "like", "value": 1}"#, 400),
            (r#""recency_weight": 1.5"#, 400),
            (r#""half_life_days": 0"#, 400),
            (r#""freshness_weight": -1"#, 400),
            (r#""freshness_half_life_days": 0"#, 400),
            (r#""min_score": 101"#, 400),
        ] {
            let body = format!(r#"{{"embedding": [1.0], {field}}}"#);
            let wanted = json::parse::<ByVector>(body.as_bytes())
                .and_then(|body| body.wanted(place(), &limits, None, None));
            assert_eq!(wanted.err().map(|error| error.status.as_u16()), Some(status), "{field}");
        }
    }

    #[test]
    fn k_stays_in_bounds() {
        let limits = Limits::default();
        assert_eq!(checked_k(None, &limits).unwrap(), 10);
        assert_eq!(checked_k(Some(1000), &limits).unwrap(), 1000);
        for bad in [0, 1001, u64::MAX] {
            assert!(checked_k(Some(bad), &limits).unwrap_err().text.contains("1000"));
        }
    }

    fn place() -> Place {
        crate::auth::test_place()
    }
}
