//! How is a collection queried?
//!
//! Query → the tenant's partition → vector, if meaning counts → the engine's passages → the reranker, if the query asks for it.
//! `top_k` counts passages; scores are from 0 to 1. What a query leaves open the collection's settings say.
//!
//! Invariants:
//! 1. The partition is decided by the filters, or by the address where the collection has no `tenant_field`, before anything is
//!    looked at; a query of several collections decides one for each.
//! 2. What a query says and can't have is an error, never left out.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use axum::http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_engine::{Filter, Fusion, Hit, Query, SearchRequest, Unit};

use super::told::Found;
use super::{filters, tenant, told};
use crate::api::aether::reranking::{Asked, Order, Wish};
use crate::api::aether::structured::{self, Structured};
use crate::app::App;
use crate::auth::Place;
use crate::call::{Call, With};
use crate::config::Limits;
use crate::control::{Collection, SearchMode};
use crate::ingest::{self, original};
use crate::message::content::Answer;
use crate::message::error::{ApiError, Dialect};
use crate::message::json;
use crate::usage::Tally;

/// In partitions so large that not all passages are compared, so many of the nearest are found at least, on the average.
const RECALL: f32 = 0.98;
const TOP_K: u32 = 10;

/// What a query says beside its text.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Query")]
pub(crate) struct Body {
    /// What is looked for.
    query: String,
    /// Of a batch's query.
    #[serde(default)]
    collection: Option<String>,
    /// Of one query over several.
    #[serde(default)]
    collections: Option<Vec<String>>,
    /// Passages; what the collection says when it is not given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000))]
    top_k: Option<u32>,
    /// Fields of the metadata, all of which must hold: each a value, or an object of `$eq`, `$ne`, `$gt`, `$gte`, `$lt`,
    /// `$lte` and `$in`.
    #[serde(default)]
    filters: Option<Map<String, Value>>,
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    min_score: Option<f64>,
    #[serde(default)]
    search_mode: Option<SearchMode>,
    #[serde(default)]
    rerank: Option<bool>,
    /// Not offered: false, if it is there.
    #[serde(default)]
    multimodal: Option<bool>,
}

/// A query of several collections or, where none are named, an aggregate of a partition's documents.
#[derive(Debug, Deserialize)]
pub(crate) struct Several(Value);

impl JsonSchema for Several {
    fn schema_name() -> Cow<'static, str> {
        "SeveralQuery".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let (of_several, aggregate) =
            (schemas.subschema_for::<Body>(), schemas.subschema_for::<structured::Body>());
        json_schema!({"anyOf": [of_several, aggregate]})
    }
}

/// What a query found, best first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "QueryAnswer")]
pub(crate) struct Queried {
    results: Vec<Found>,
    query: String,
    collection: String,
    total: usize,
    #[serde(flatten)]
    order: Order,
}

/// What a query of several collections found, best first, or what an aggregate comes to.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "SeveralQueryAnswer")]
pub(crate) enum OfSeveral {
    Found {
        results: Vec<Found>,
        query: String,
        collections: Vec<String>,
        total: usize,
    },
    #[expect(dead_code, reason = "the other client's answer, which its own handler makes")]
    Aggregate(Structured),
}

/// The answers of a batch, in the order of its queries.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "QueryAnswers")]
pub(crate) struct Answers {
    results: Vec<Queried>,
}

/// A query of one collection, checked.
struct Ask {
    collection: Arc<Collection>,
    place: Place,
    text: String,
    mode: SearchMode,
    k: usize,
    filter: Filter,
    score_min: f64,
    wish: Option<Wish>,
}

/// `POST /v1/collections/{name}/query`
pub(crate) async fn query(mut call: With<Body>) -> Result<Answer<Queried>, ApiError> {
    let collection = tenant::collection(&call, call.value(0)?)?;
    tenant::ahead(&call, &collection)?;
    let (body, _) = call.json().await?;
    if body.collection.is_some() || body.collections.is_some() {
        return Err(malformed("the collection stands in the address: leave collection and collections out"));
    }
    let ask = Arc::new(Ask::of(&call, collection, body)?);
    let answer = ask.answer(&call.app).await?;
    json::answer(StatusCode::OK, &answer)
}

/// `POST /v1/query`: one query over several collections. Without `collections` it is another client's.
pub(crate) async fn query_several(mut call: With<Several>) -> Result<Answer<OfSeveral>, ApiError> {
    let (Several(body), _) = call.json().await?;
    if body.get("collections").is_none() {
        let answer = structured::query(call.into_call(), body).await;
        let mut answer = answer.map_or_else(ApiError::unrendered, Answer::into_response);
        answer.extensions_mut().insert(Dialect::Aether);
        return Ok(Answer::of(answer));
    }
    let body: Body = serde_json::from_value(body)
        .map_err(|error| malformed(format!("the body does not fit this route: {error}")))?;
    let names = body.collections.clone().unwrap_or_default();
    let most = call.app.limits.batch_queries_max;
    if names.is_empty() || names.len() > most || body.collection.is_some() {
        return Err(malformed(format!("collections has 1 to {most} names")));
    }
    let mut asks = Vec::with_capacity(names.len());
    for (number, name) in names.iter().enumerate() {
        if names[..number].contains(name) {
            return Err(malformed("a collection stands twice in collections; name each once"));
        }
        let of_all = Body { top_k: Some(body.top_k.unwrap_or(TOP_K)), ..body.clone() };
        asks.push(Arc::new(Ask::of(&call, tenant::collection(&call, name)?, of_all)?));
    }
    let k = asks.first().map_or(0, |ask| ask.k);
    let mut results: Vec<Found> = Vec::new();
    for ask in asks {
        let answer = ask.answer(&call.app).await?;
        let name = &ask.collection.name;
        results.extend(answer.results.into_iter().map(|found| found.in_collection(name)));
    }
    // Of the same score in the order in which the collections were named.
    results.sort_by(|a, b| b.score.total_cmp(&a.score));
    results.truncate(k);
    let total = results.len();
    let answer = OfSeveral::Found { results, query: body.query, collections: names, total };
    json::answer(StatusCode::OK, &answer)
}

/// Queries, each of a collection.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QueryBatch")]
pub(crate) struct Batch {
    queries: Vec<Body>,
}

/// `POST /v1/batch/query`: every query is checked before the first is run.
pub(crate) async fn query_batch(mut call: With<Batch>) -> Result<Answer<Answers>, ApiError> {
    let (Batch { queries }, _) = call.json().await?;
    let most = call.app.limits.batch_queries_max;
    if queries.is_empty() || queries.len() > most {
        return Err(ApiError::malformed("invalid_batch", format!("a batch has 1 to {most} queries")));
    }
    let mut asks = Vec::with_capacity(queries.len());
    for (number, body) in queries.into_iter().enumerate() {
        let numbered = |mut error: ApiError| {
            error.text = format!("query {number} (counted from 0): {}", error.text).into();
            error
        };
        let named = match (&body.collection, &body.collections) {
            (Some(name), None) => name.clone(),
            _ => return Err(numbered(malformed("each query of a batch names its collection"))),
        };
        let collection = tenant::collection(&call, &named).map_err(numbered)?;
        asks.push(Arc::new(Ask::of(&call, collection, body).map_err(numbered)?));
    }
    let mut answers = Vec::with_capacity(asks.len());
    for ask in asks {
        answers.push(ask.answer(&call.app).await?);
    }
    json::answer(StatusCode::OK, &Answers { results: answers })
}

fn malformed(text: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError::malformed("malformed_body", text)
}

impl Ask {
    fn of(call: &Call, collection: Arc<Collection>, body: Body) -> Result<Self, ApiError> {
        let limits = &call.app.limits;
        let mut filters = body.filters.unwrap_or_default();
        let place = tenant::of_filters(call, &collection, &mut filters)?;
        if body.multimodal == Some(true) {
            return Err(ApiError::not_offered("the field `multimodal`"));
        }
        check_text(&body.query, limits)?;
        let settings = &collection.settings;
        let k = body.top_k.unwrap_or(settings.default_top_k) as usize;
        if !(1..=limits.k_max).contains(&k) {
            let most = limits.k_max;
            return Err(ApiError::malformed(
                "invalid_parameter",
                format!("top_k must be a whole number from 1 to {most}"),
            ));
        }
        let score_min = body.min_score.or(settings.default_min_score).unwrap_or(0.0);
        if !(0.0..=1.0).contains(&score_min) {
            return Err(ApiError::malformed("invalid_parameter", "min_score is a number from 0 to 1"));
        }
        if body.rerank == Some(true) && !settings.reranking {
            return Err(ApiError::unacceptable(
                "reranking_disabled",
                "reranking is off in this collection: set reranking_enabled on it, or leave rerank out",
            ));
        }
        let asked = body.rerank.unwrap_or(settings.reranking).then_some(Asked::Yes);
        Ok(Self {
            wish: Wish::of(asked, None, k, call.app.rerank_candidates_max())?,
            mode: body.search_mode.unwrap_or(settings.default_search_mode),
            filter: filters::filter(&filters, limits)?,
            text: body.query,
            k,
            score_min,
            place,
            collection,
        })
    }

    /// Looks, has it reranked, and tells what was found.
    async fn answer(self: &Arc<Self>, app: &Arc<App>) -> Result<Queried, ApiError> {
        let vector = match self.mode {
            SearchMode::Keyword => None,
            SearchMode::Semantic | SearchMode::Hybrid => {
                let texts = vec![self.text.clone()];
                let vectors = app.models.queries(&app.store, &app.pool, &self.collection, texts).await?;
                Some(vectors.into_iter().next().ok_or_else(|| ApiError::internal("a model made no vector"))?)
            }
        };
        let (ask, own) = (Arc::clone(self), Arc::clone(app));
        let mut hits = app.pool.run(move || ask.look(&own, vector.as_deref())).await?;
        let mut outcome = None;
        if let (Some(wish), Some(reranker)) = (self.wish, app.reranker.clone()) {
            outcome = Some(wish.fulfil(&reranker, &self.text, None, self.k, &mut hits).await?);
        }
        let (ask, own) = (Arc::clone(self), Arc::clone(app));
        app.pool
            .run(move || {
                let mut answer = ask.tell(&own, hits)?;
                if let Some(outcome) = outcome {
                    answer.order = outcome.told();
                }
                Ok(answer)
            })
            .await
    }

    /// Runs the search. Blocks.
    fn look(&self, app: &App, vector: Option<&[f32]>) -> Result<Vec<Hit>, ApiError> {
        let query = match (self.mode, vector) {
            (SearchMode::Semantic, Some(vector)) => Query::Vector(vector),
            (SearchMode::Hybrid, Some(vector)) => {
                Query::Hybrid { vector, words: &self.text, fusion: Fusion::Sum }
            }
            _ => Query::Words(&self.text),
        };
        let request = SearchRequest {
            query,
            unit: Unit::Passages,
            k: self.wish.map_or(self.k, |wish| wish.candidates),
            filter: &self.filter,
            similarity_min: 0.0,
            recall: Some(RECALL),
            ages: None,
            with_content: false,
        };
        // A partition that isn't there is answered like an empty one.
        let tokens = vector.map_or(0, |_| app.embedder.count_tokens(&self.text) as u64);
        app.quotas.tokens(&self.place, tokens)?;
        let begun = std::time::Instant::now();
        let found = ingest::read(&app.store, &self.place, |partition| partition.search(&request))?;
        app.usage.count(&self.place, self.place.key(), Tally::of_search(begun.elapsed(), tokens));
        Ok(found.map(|found| found.hits).unwrap_or_default())
    }

    /// Blocks. What was deleted or changed while a reranker thought is left out.
    fn tell(&self, app: &App, mut hits: Vec<Hit>) -> Result<Queried, ApiError> {
        hits.retain(|hit| f64::from(hit.score.clamp(0.0, 1.0)) >= self.score_min);
        self.place.lists(hits.iter().map(|hit| &hit.document));
        let mut contents: HashMap<String, Option<Option<Vec<u8>>>> = HashMap::new();
        let mut results = Vec::with_capacity(hits.len());
        for hit in &hits {
            let (id, version) = (&hit.document.id, hit.document.version);
            if !contents.contains_key(id) {
                let wants_content = hit.passage_range.is_some()
                    && original::text_bytes(&hit.document) <= told::COUNTED_BYTES_MAX;
                let read = ingest::read(&app.store, &self.place, |partition| {
                    if !wants_content {
                        return Ok(partition.get(id)?.map(|now| (now.version, None)));
                    }
                    let read = partition.content_until(id, original::text_bytes)?;
                    Ok(read.map(|(now, content)| (now.version, Some(content))))
                })?;
                let now = read.flatten().filter(|(now, _)| *now == version).map(|(_, content)| content);
                contents.insert(id.clone(), now);
            }
            if let Some(Some(content)) = contents.get(id) {
                results.push(Found::of(hit, content.as_deref()));
            }
        }
        Ok(Queried {
            total: results.len(),
            results,
            query: self.text.clone(),
            collection: self.collection.name.clone(),
            order: Order::default(),
        })
    }
}

fn check_text(text: &str, limits: &Limits) -> Result<(), ApiError> {
    let most = limits.query_bytes_max;
    if text.trim().is_empty() {
        return Err(ApiError::malformed(
            "invalid_query",
            "query is missing or blank; say what to search for",
        ));
    }
    if text.len() > most {
        return Err(ApiError::malformed("invalid_query", format!("query has at most {most} bytes")));
    }
    Ok(())
}
