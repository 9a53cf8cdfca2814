//! Which memories answer a question best?
//!
//! Three things count: how well a memory goes with the words and the meaning of the question, how long ago it was said, and how
//! important it is. `score = 0.70 · relevance + 0.15 · 2^(−age / 30 days) + 0.15 · importance`, each from 0 to 1, so a score
//! means the same from question to question.
//!
//! The engine scans by relevance and by the age since a memory came in, which it keeps; what was said earlier than it came in,
//! and importance, are added here over more candidates than are asked for. There are enough of them once nothing that was left
//! out could still be among the best: a memory that the scan scores `s` reaches `(1 − 0.15) · s + 0.15` at most.
//!
//! Invariants:
//! 1. Only memories of the one user take part; the filter acts inside the scan, so there are as many as match, up to `topK`.
//! 2. The order is exact, but for users with more than [`CANDIDATES_MAX`] memories that score all but alike.

use std::cmp::Ordering;
use std::time::Instant;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_engine::{
    Ageing, Ages, DocumentInfo, Filter, Fusion, Hit, Partition, Query, ReadError, SearchRequest, Unit,
};

use super::reach::{Maybe, look_into, target, user};
use super::record::{About, Memory};
use super::usage::{self, Plan};
use crate::call::With;
use crate::clock;
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::tenants::COLLECTION;
use crate::usage::Tally;

const RELEVANCE: f32 = 0.70;
const RECENCY: f32 = 0.15;
const IMPORTANCE: f32 = 0.15;
/// The age at which half of the recency is left.
const HALF_LIFE_MS: u32 = 30 * 24 * 60 * 60 * 1000;

const K: u64 = 10;
const K_MAX: u64 = 100;
/// How many memories are weighed at first, beyond four for each that is wanted, and at most.
const CANDIDATES_MIN: usize = 64;
const CANDIDATES_MAX: usize = 1024;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "Recall")]
pub(crate) struct Body {
    /// Whose memories; the organization's own without it.
    #[serde(default, deserialize_with = "json::present")]
    #[schemars(with = "String")]
    tenant_id: Maybe,
    /// Has to be there.
    #[serde(default)]
    user_id: Option<String>,
    /// Has to be there.
    #[serde(default)]
    query: Option<String>,
    /// 10 when it is not given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    top_k: Option<u64>,
}

/// A memory that answers, and how well.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RecalledMemory")]
pub(crate) struct Scored {
    #[serde(flatten)]
    memory: Memory,
    /// From 0 to 1, on one scale for all questions.
    score: f32,
    relevance: f32,
    recency: f32,
}

/// What a question recalls, best first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Recalled {
    success: bool,
    count: usize,
    memories: Vec<Scored>,
}

/// `POST /api/v1/memory/recall`
pub(crate) async fn recall(mut call: With<Body>) -> Result<Answer<Recalled>, ApiError> {
    let (body, _) = call.json().await?;
    let target = target(&call, &body.tenant_id)?;
    let user = user(body.user_id.as_deref(), &call.app.limits)?;
    let query = checked_query(body.query, call.app.limits.query_bytes_max)?;
    let k = body.top_k.unwrap_or(K);
    if !(1..=K_MAX).contains(&k) {
        let text = format!("topK must be a whole number from 1 to {K_MAX}");
        return Err(ApiError::malformed("invalid_parameter", text));
    }
    let k = usize::try_from(k).unwrap_or(usize::MAX);
    let tells_plan = usage::tells_plan(&call)?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    let admitting = (app.clone(), target.clone());
    let plan = pool.run(move || usage::admit(&admitting.0, &admitting.1)).await?;
    let plan = if tells_plan { plan } else { Plan::default() };
    let memories = app.control.collection(target.place.scope.workspace(), COLLECTION);
    let Some(collection) = memories else {
        // Nobody was ever remembered.
        let nothing =
            json::answer(StatusCode::OK, &Recalled { success: true, count: 0, memories: Vec::new() })?;
        return Ok(plan.on(nothing));
    };
    let begun = Instant::now();
    let vectors = app.models.queries(&app.store, &pool, &collection, vec![query.clone()]).await?;
    let answered = pool.run(move || {
        let vector = vectors.first().ok_or_else(|| ApiError::internal("a text has no vector"))?;
        let asked = Asked { words: &query, vector, user: &user, k, now_ms: clock::now_ms() };
        let memories = look_into(&app, &target, |partition| asked.recall(partition))?.unwrap_or_default();
        let tokens = app.embedder.count_tokens(&query) as u64;
        // The recall itself was counted when it was let in.
        let took = Tally { queries: 0, ..Tally::of_search(begun.elapsed(), tokens) };
        app.usage.count(&target.place, target.place.key(), took);
        json::answer(StatusCode::OK, &Recalled { success: true, count: memories.len(), memories })
    });
    Ok(plan.on(answered.await?))
}

fn checked_query(query: Option<String>, bytes_max: usize) -> Result<String, ApiError> {
    match query.filter(|text| !text.trim().is_empty()) {
        None => Err(ApiError::malformed("invalid_query", "query is missing or blank; say what to recall")),
        Some(text) if text.len() > bytes_max => {
            Err(ApiError::malformed("invalid_query", format!("query has at most {bytes_max} bytes")))
        }
        Some(text) => Ok(text),
    }
}

/// What is to be recalled.
struct Asked<'a> {
    words: &'a str,
    vector: &'a [f32],
    user: &'a str,
    k: usize,
    now_ms: u64,
}

/// A memory, weighed.
#[derive(Debug)]
struct Weighed {
    document: DocumentInfo,
    about: About,
    score: f32,
    relevance: f32,
    recency: f32,
}

impl Asked<'_> {
    fn recall(&self, partition: &Partition) -> Result<Vec<Scored>, ReadError> {
        let mut memories = Vec::with_capacity(self.k);
        for weighed in self.best(partition)? {
            // What was forgotten meanwhile is left out.
            if let Some((document, content)) = partition.content(&weighed.document.id)? {
                memories.push(Scored {
                    memory: Memory::of(&document, &weighed.about, &content),
                    score: weighed.score,
                    relevance: weighed.relevance,
                    recency: weighed.recency,
                });
            }
        }
        Ok(memories)
    }

    /// The best memories, best first.
    fn best(&self, partition: &Partition) -> Result<Vec<Weighed>, ReadError> {
        let mut candidates = CANDIDATES_MIN.max(4 * self.k);
        loop {
            let hits = self.candidates(partition, candidates)?;
            let are_all = hits.len() < candidates || candidates >= CANDIDATES_MAX;
            let reach = hits.last().map_or(0.0, |last| (1.0 - IMPORTANCE) * last.score + IMPORTANCE);
            let mut best: Vec<_> = hits.into_iter().map(|hit| weigh(hit, self.now_ms)).collect();
            best.sort_unstable_by(order);
            if are_all || best.get(self.k - 1).is_some_and(|last| last.score >= reach) {
                best.truncate(self.k);
                return Ok(best);
            }
            candidates = (4 * candidates).min(CANDIDATES_MAX);
        }
    }

    fn candidates(&self, partition: &Partition, k: usize) -> Result<Vec<Hit>, ReadError> {
        let filter = Filter { entity: Some(self.user.to_owned()), ..Filter::default() };
        let half_life_ms = f64::from(HALF_LIFE_MS);
        let request = SearchRequest {
            query: Query::Hybrid { vector: self.vector, words: self.words, fusion: Fusion::Sum },
            unit: Unit::Documents,
            k,
            filter: &filter,
            similarity_min: 0.0,
            recall: None,
            ages: Some(Ages {
                created: Ageing { weight: scanned_recency(), half_life_ms },
                updated: Ageing { weight: 0.0, half_life_ms },
                now_ms: self.now_ms,
            }),
            with_content: false,
        };
        Ok(partition.search(&request)?.hits)
    }
}

/// The share of recency in what the engine scores, which has no importance in it.
fn scanned_recency() -> f32 {
    RECENCY / (1.0 - IMPORTANCE)
}

/// Takes the engine's score apart, and puts it together with what the engine doesn't know.
fn weigh(hit: Hit, now_ms: u64) -> Weighed {
    let share = scanned_recency();
    let about = About::of(&hit.document);
    let scanned = left(now_ms, hit.document.created_ms);
    let relevance = ((hit.score - share * scanned) / (1.0 - share)).clamp(0.0, 1.0);
    let recency = left(now_ms, about.at_ms(&hit.document));
    let score = RELEVANCE * relevance + RECENCY * recency + IMPORTANCE * single(about.importance);
    Weighed { document: hit.document, about, score, relevance, recency }
}

/// Best first; the same score by id.
fn order(a: &Weighed, b: &Weighed) -> Ordering {
    b.score.total_cmp(&a.score).then_with(|| a.document.id.cmp(&b.document.id))
}

/// What is left at the age of something of this time: 1 when it is new.
fn left(now_ms: u64, at_ms: u64) -> f32 {
    let age_ms = u32::try_from(now_ms.saturating_sub(at_ms) / 1000).unwrap_or(u32::MAX);
    single((-f64::from(age_ms) * 1000.0 / f64::from(HALF_LIFE_MS)).exp2())
}

#[expect(clippy::cast_possible_truncation, reason = "a share needs no more than f32's precision")]
fn single(share: f64) -> f32 {
    share as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000_000;
    const DAY: u64 = 86_400_000;

    /// A hit as the engine would score it.
    fn hit(relevance: f32, days_old: u64, about: &About) -> Hit {
        let created_ms = NOW - days_old * DAY;
        let share = scanned_recency();
        Hit {
            document: DocumentInfo {
                id: format!("mem_{relevance}_{days_old}"),
                version: 1,
                filename: "memory".to_owned(),
                content_type: "text/plain".to_owned(),
                content_bytes: 3,
                content_digest: [0; 32],
                tags: Vec::new(),
                metadata: serde_json::to_string(about).unwrap(),
                entity: Some("ada".to_owned()),
                source: None,
                created_ms,
                updated_ms: None,
                expires_ms: None,
                readers: None,
                passages: 1,
            },
            passage_number: 0,
            passage_range: None,
            score: (1.0 - share) * relevance + share * left(NOW, created_ms),
            passage: String::new(),
            content: None,
        }
    }

    fn close(a: f32, b: f32) {
        assert!((a - b).abs() < 1e-5, "{a} is not {b}");
    }

    /// Lost otherwise: a score would mean another thing than the documentation says.
    #[test]
    fn a_score_is_the_sum_that_is_documented() {
        let about = |importance| About { importance, ..About::default() };
        let weighed = weigh(hit(0.8, 0, &about(0.5)), NOW);
        close(weighed.score, 0.70 * 0.8 + 0.15 + 0.15 * 0.5);
        let weighed = weigh(hit(0.8, 30, &about(1.0)), NOW);
        close(weighed.score, 0.70 * 0.8 + 0.15 * 0.5 + 0.15);
        close(weighed.relevance, 0.8);
        // Said sixty days ago, and brought in today.
        let said = About { said_ms: Some(NOW - 60 * DAY), ..about(0.0) };
        let weighed = weigh(hit(0.4, 0, &said), NOW);
        close(weighed.recency, 0.25);
        close(weighed.score, 0.70 * 0.4 + 0.15 * 0.25);
        assert_eq!(RELEVANCE + RECENCY + IMPORTANCE, 1.0);
    }

    /// Lost otherwise: an important memory that the scan puts behind many others would never be recalled.
    #[test]
    fn no_memory_beats_what_bounds_it() {
        for relevance in [0.0, 0.25, 0.5, 1.0] {
            for days in [0, 10, 1000] {
                for importance in [0.0, 0.5, 1.0] {
                    for said_days in [0, 5, 2000] {
                        let said_ms = Some(NOW - said_days * DAY);
                        let about = About { importance, said_ms, ..About::default() };
                        let hit = hit(relevance, days, &about);
                        let reach = (1.0 - IMPORTANCE) * hit.score + IMPORTANCE;
                        assert!(weigh(hit, NOW).score <= reach + 1e-5);
                    }
                }
            }
        }
    }
}
