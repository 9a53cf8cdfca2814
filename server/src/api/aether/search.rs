//! How is a search answered?
//!
//! Query → vector → one partition's handle → hits and the engine's trace. `k` counts documents, each with its best
//! passage; filters act inside the engine's scan.
//!
//! Invariants:
//! 1. A trace is made from what the engine opened, not from the request or the hits.
//! 2. A partition that isn't there answers no results, not an error: whether it exists is nobody's business.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_engine::{Ages, Filter, Fusion, Query, SearchRequest, SearchResponse};

use super::filters::FilterFields;
use super::grammar::Clause;
use super::ranking::{Ranking, reaches};
use super::record::{Found, TraceAnswer};
use crate::app::App;
use crate::auth::Place;
use crate::call::Call;
use crate::clock;
use crate::config::Limits;
use crate::ingest;
use crate::message::error::ApiError;
use crate::message::json::{self, Texts};

const K: u64 = 10;

/// What a search asks for, apart from the vector.
struct Wanted {
    place: Place,
    k: usize,
    filter: Filter,
    similarity_min: f32,
    ages: Option<Ages>,
    score_min: f64,
    recall: Option<f32>,
    with_content: bool,
}

/// `GET /v1/search`
pub(crate) async fn search(call: Call) -> Result<Response, ApiError> {
    let (query, limits) = (&call.query, &call.app.limits);
    let text = checked_query(query.get("q").unwrap_or_default(), limits)?.to_owned();
    let (ranking, now_ms) = (Ranking::of_query(query)?, clock::now_ms());
    let wanted = Wanted {
        place: call.place()?,
        k: k(query.number("k", 1..=limits.k_max as u64)?, limits)?,
        filter: FilterFields::of_query(query)?.into_filter(now_ms, limits)?,
        similarity_min: ranking.similarity_min()?,
        ages: ranking.ages(now_ms)?,
        score_min: ranking.score_min()?,
        recall: recall(query.flag("exact")?),
        with_content: query.flag("include_content")?,
    };
    let with_trace = query.flag("trace")?;
    let manner = Manner::of(query.get("mode"), query.get("fusion"), &ranking)?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let vector = embed(&app, &wanted.place, &[&text])?.pop().unwrap_or_default();
        let found = find(&app, &wanted, manner.query(&text, &vector))?;
        let mut answer = answer(&wanted, found.as_ref(), with_trace);
        answer["query"] = json!(text);
        json::answer(StatusCode::OK, &answer)
    })
    .await
}

/// In partitions so large that not all passages are compared, so many of the nearest are found at least, on the average.
const RECALL: f32 = 0.98;

fn recall(is_exact: bool) -> Option<f32> {
    (!is_exact).then_some(RECALL)
}

/// A search by vector.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ByVector {
    embedding: Vec<f32>,
    #[serde(default)]
    k: Option<u64>,
    #[serde(default)]
    include_content: Option<bool>,
    #[serde(default)]
    trace: Option<bool>,
    #[serde(default)]
    mode: Option<String>,
    #[serde(default)]
    fusion: Option<String>,
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
    #[serde(default)]
    thread_id: Option<String>,
}

/// `POST /v1/search/embed`
pub(crate) async fn search_by_vector(mut call: Call) -> Result<Response, ApiError> {
    let (body, _) = call.json::<ByVector>().await?;
    let place = call.place_for(body.partition.as_deref())?;
    if body.mode.is_some() || body.fusion.is_some() {
        return Err(ApiError::malformed("malformed_body", "mode and fusion are for searches by text"));
    }
    let (vector, with_trace) = (body.embedding.clone(), body.trace == Some(true));
    let wanted = body.wanted(place, &call.app.limits)?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        check_vector(&app, &wanted.place, &vector)?;
        let found = find(&app, &wanted, Query::Vector(&vector))?;
        json::answer(StatusCode::OK, &answer(&wanted, found.as_ref(), with_trace))
    })
    .await
}

impl ByVector {
    fn wanted(self, place: Place, limits: &Limits) -> Result<Wanted, ApiError> {
        let (wanted, ranking, now_ms) = (self.k, self.ranking(), clock::now_ms());
        let (with_content, is_exact) = (self.include_content == Some(true), self.exact == Some(true));
        let filter = self.into_filter(now_ms, limits)?;
        Ok(Wanted {
            place,
            k: k(wanted, limits)?,
            filter,
            similarity_min: ranking.similarity_min()?,
            ages: ranking.ages(now_ms)?,
            score_min: ranking.score_min()?,
            recall: recall(is_exact),
            with_content,
        })
    }

    fn ranking(&self) -> Ranking {
        Ranking {
            recency_weight: self.recency_weight,
            half_life_days: self.half_life_days,
            freshness_weight: self.freshness_weight,
            freshness_half_life_days: self.freshness_half_life_days,
            max_distance: self.max_distance,
            min_score: self.min_score,
        }
    }

    /// What it asks of a document; a field that is not offered is refused, never left out.
    pub(crate) fn into_filter(self, now_ms: u64, limits: &Limits) -> Result<Filter, ApiError> {
        if self.thread_id.is_some() {
            return Err(ApiError::not_offered("the field `thread_id`"));
        }
        let fields = FilterFields {
            tags: self.tags,
            any_tags: self.any_tags,
            content_type: self.content_type,
            source: self.source,
            entity_id: self.entity_id,
            since: self.since,
            until: self.until,
            last_n_days: self.last_n_days,
            filter: self.filter,
        };
        fields.into_filter(now_ms, limits)
    }
}

/// Many searches at once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    queries: Vec<Value>,
    #[serde(default)]
    partition: Option<String>,
}

/// `POST /v1/search/batch`: every query is checked before the first is run.
pub(crate) async fn search_batch(mut call: Call) -> Result<Response, ApiError> {
    let (batch, _) = call.json::<Batch>().await?;
    let most = call.app.limits.batch_queries_max;
    if batch.queries.is_empty() || batch.queries.len() > most {
        // The partition comes before the body: an unscoped batch on a multi-tenant key is told that first.
        call.place_for(batch.partition.as_deref())?;
        return Err(ApiError::malformed("invalid_batch", format!("a batch has 1 to {most} queries")));
    }
    let (mut texts, mut wanted) = (Vec::new(), Vec::new());
    for mut query in batch.queries {
        let in_item = query.get("partition").and_then(Value::as_str).map(str::to_owned);
        let place = call.place_for(in_item.as_deref().or(batch.partition.as_deref()))?;
        let text = query.as_object_mut().and_then(|fields| fields.remove("q"));
        let text = text.as_ref().and_then(Value::as_str).unwrap_or_default();
        texts.push(checked_query(text, &call.app.limits)?.to_owned());
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
        wanted.push((fields.trace == Some(true), manner, fields.wanted(place, &call.app.limits)?));
    }
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let mut results = Vec::with_capacity(texts.len());
        let asked: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = embed(&app, &wanted[0].2.place, &asked)?;
        for ((text, (with_trace, manner, wanted)), vector) in texts.iter().zip(&wanted).zip(vectors) {
            let found = find(&app, wanted, manner.query(text, &vector))?;
            let mut answer = answer(wanted, found.as_ref(), *with_trace);
            answer["query"] = json!(text);
            results.push(answer);
        }
        json::answer(StatusCode::OK, &json!({"results": results}))
    })
    .await
}

fn embed(app: &Arc<App>, place: &Place, texts: &[&str]) -> Result<Vec<Vec<f32>>, ApiError> {
    app.text_collection(place.scope.workspace())?;
    Ok(app.embedder.embed(texts)?)
}

/// What is wrong with a vector is wrong whether or not the partition is there, so that its sender learns it at once
/// and nobody learns from the answer which partitions exist.
fn check_vector(app: &App, place: &Place, vector: &[f32]) -> Result<(), ApiError> {
    let expected = app.collection(place.scope.workspace())?.dimension;
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

/// By what a text is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Hybrid(Fusion),
    Semantic,
    Keyword,
}

impl Manner {
    /// What `mode` and `fusion` say, given what else counts.
    fn of(mode: Option<&str>, fusion: Option<&str>, ranking: &Ranking) -> Result<Self, ApiError> {
        let unknown = |text| ApiError::malformed("invalid_parameter", text);
        let by = match fusion {
            None | Some("sum") => Fusion::Sum,
            Some("ranks") => Fusion::Ranks,
            Some(_) => return Err(unknown("fusion must be sum or ranks")),
        };
        if by == Fusion::Ranks && (ranking.recency_weight.is_some() || ranking.freshness_weight.is_some()) {
            return Err(unknown("fusion=ranks has no scores that a weight of ages could be added to"));
        }
        match mode {
            None | Some("hybrid") => Ok(Self::Hybrid(by)),
            Some("semantic" | "keyword") if fusion.is_some() => {
                Err(unknown("fusion goes with mode=hybrid: there is nothing else to bring together"))
            }
            Some("keyword") if ranking.max_distance.is_some() => {
                Err(unknown("max_distance is of vectors: leave it out with mode=keyword"))
            }
            Some("semantic") => Ok(Self::Semantic),
            Some("keyword") => Ok(Self::Keyword),
            Some(_) => Err(unknown("mode must be hybrid, semantic or keyword")),
        }
    }

    fn query<'a>(self, words: &'a str, vector: &'a [f32]) -> Query<'a> {
        match self {
            Self::Hybrid(fusion) => Query::Hybrid { vector, words, fusion },
            Self::Semantic => Query::Vector(vector),
            Self::Keyword => Query::Words(words),
        }
    }
}

fn find(app: &App, wanted: &Wanted, query: Query<'_>) -> Result<Option<SearchResponse>, ApiError> {
    let request = SearchRequest {
        query,
        k: wanted.k,
        filter: &wanted.filter,
        similarity_min: wanted.similarity_min,
        recall: wanted.recall,
        ages: wanted.ages,
        with_content: wanted.with_content,
    };
    ingest::read(&app.store, &wanted.place, |partition| partition.search(&request))
}

fn answer(wanted: &Wanted, found: Option<&SearchResponse>, with_trace: bool) -> Value {
    let hits = found.map_or(&[][..], |found| &found.hits);
    let hits: Vec<_> = hits.iter().filter(|hit| reaches(hit, wanted.score_min)).collect();
    let results: Vec<_> = hits.iter().map(|hit| Found::new(hit, wanted.place.partition())).collect();
    let mut answer = json!({"results": results});
    if with_trace {
        let trace = TraceAnswer::new(wanted.place.partition(), found.map(|found| &found.trace), hits.len());
        answer["trace"] = json!(trace);
    }
    answer
}

fn checked_query<'a>(text: &'a str, limits: &Limits) -> Result<&'a str, ApiError> {
    let most = limits.query_bytes_max;
    if text.trim().is_empty() {
        return Err(ApiError::malformed("invalid_query", "q is missing or blank; say what to search for"));
    }
    if text.len() > most {
        return Err(ApiError::malformed("invalid_query", format!("q has at most {most} bytes")));
    }
    Ok(text)
}

fn k(number: Option<u64>, limits: &Limits) -> Result<usize, ApiError> {
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
            (r#""thread_id": "t""#, 501),
            (r#""filter": {"a": 1}"#, 400),
            (r#""filter": {"field": "a", "op": "like", "value": 1}"#, 400),
            (r#""recency_weight": 1.5"#, 400),
            (r#""half_life_days": 0"#, 400),
            (r#""freshness_weight": -1"#, 400),
            (r#""freshness_half_life_days": 0"#, 400),
            (r#""min_score": 101"#, 400),
        ] {
            let body = format!(r#"{{"embedding": [1.0], {field}}}"#);
            let wanted =
                json::parse::<ByVector>(body.as_bytes()).and_then(|body| body.wanted(place(), &limits));
            assert_eq!(wanted.err().map(|error| error.status.as_u16()), Some(status), "{field}");
        }
    }

    #[test]
    fn k_stays_in_bounds() {
        let limits = Limits::default();
        assert_eq!(k(None, &limits).unwrap(), 10);
        assert_eq!(k(Some(1000), &limits).unwrap(), 1000);
        for bad in [0, 1001, u64::MAX] {
            assert!(k(Some(bad), &limits).unwrap_err().text.contains("1000"));
        }
    }

    fn place() -> Place {
        crate::auth::test_place()
    }
}
