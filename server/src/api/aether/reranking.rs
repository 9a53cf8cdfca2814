//! How does a search ask for the reranker, and what becomes of its results then?
//!
//! The engine is asked for more candidates than `k`; the reranker's scores of their passages take the place of what the query
//! found in them, ages count as they would, and the best `k` are left.
//!
//! Invariants:
//! 1. A reranker that fails costs the search its better order and nothing else, unless the search insists on it.
//! 2. Which order an answer has is said in it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use strongroom_engine::{Ages, Hit};

use crate::message::error::ApiError;
use crate::message::query::Query;
use crate::rerank::{Relevance, Reranker};

/// So many times `k` are ranked when nobody says how many.
const CANDIDATES_OF_K: usize = 4;

/// What `rerank` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Asked {
    No,
    Yes,
    Require,
}

impl Asked {
    pub(in crate::api) fn of_query(query: &Query) -> Result<Option<Self>, ApiError> {
        match query.get("rerank") {
            None => Ok(None),
            Some("false" | "0") => Ok(Some(Self::No)),
            Some("true" | "1") => Ok(Some(Self::Yes)),
            Some("require") => Ok(Some(Self::Require)),
            Some(_) => Err(invalid("rerank must be true, false or require".to_owned())),
        }
    }
}

impl JsonSchema for Asked {
    fn schema_name() -> Cow<'static, str> {
        "Rerank".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Whether the reranker orders what is found. With true, a reranker that fails leaves the search's own \
                            order, and the answer says so; with `require`, that is 503.",
            "enum": [true, false, "require"],
        })
    }
}

impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Asked;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false or \"require\"")
            }
            fn visit_bool<E: Error>(self, is_wanted: bool) -> Result<Asked, E> {
                Ok(if is_wanted { Asked::Yes } else { Asked::No })
            }
            fn visit_str<E: Error>(self, word: &str) -> Result<Asked, E> {
                (word == "require")
                    .then_some(Asked::Require)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Other("another text"), &self))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A search that is to be reranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) struct Wish {
    /// What the engine is asked for instead of `k`.
    pub(in crate::api) candidates: usize,
    is_required: bool,
}

impl Wish {
    /// `candidates_max` is the reranker's; `None` when the operator named none.
    pub(in crate::api) fn of(
        asked: Option<Asked>,
        candidates: Option<u64>,
        k: usize,
        candidates_max: Option<usize>,
    ) -> Result<Option<Self>, ApiError> {
        let is_required = match asked {
            None | Some(Asked::No) if candidates.is_some() => {
                return Err(invalid("rerank_candidates goes with rerank=true".to_owned()));
            }
            None | Some(Asked::No) => return Ok(None),
            Some(Asked::Yes) => false,
            Some(Asked::Require) => true,
        };
        let most = candidates_max.ok_or_else(|| ApiError::not_offered("rerank (no reranker is set up)"))?;
        if k > most {
            return Err(invalid(format!("with rerank, k must be a whole number from 1 to {most}")));
        }
        let candidates = match candidates {
            None => (k * CANDIDATES_OF_K).min(most),
            Some(number) => usize::try_from(number)
                .ok()
                .filter(|number| (k..=most).contains(number))
                .ok_or_else(|| {
                    invalid(format!("rerank_candidates must be a whole number from k, here {k}, to {most}"))
                })?,
        };
        Ok(Some(Self { candidates, is_required }))
    }

    /// Brings candidates into their last order and leaves the best `k`.
    pub(in crate::api) async fn fulfil(
        self,
        reranker: &Reranker,
        text: &str,
        ages: Option<Ages>,
        k: usize,
        hits: &mut Vec<Hit>,
    ) -> Result<Outcome, ApiError> {
        let passages: Vec<&str> = hits.iter().map(|hit| hit.passage.as_str()).collect();
        let outcome = match reranker.rank(text, &passages).await {
            Ok(relevances) => {
                order(hits, &relevances, ages);
                Outcome::Reranked
            }
            Err(failure) if self.is_required => return Err(unavailable(failure.word())),
            Err(failure) => Outcome::Kept(failure.word()),
        };
        hits.truncate(k);
        Ok(outcome)
    }
}

/// What became of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Outcome {
    NotAsked,
    Reranked,
    /// The order is the search's own, for this reason.
    Kept(&'static str),
}

impl Outcome {
    pub(in crate::api) fn told(self) -> Order {
        match self {
            Self::NotAsked => Order::default(),
            Self::Reranked => Order { reranked: Some(true), rerank_failure: None },
            Self::Kept(reason) => Order { reranked: Some(false), rerank_failure: Some(reason) },
        }
    }
}

/// Whose order an answer has.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Order {
    /// Whether order and scores are the reranker's; there when the search asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reranked: Option<bool>,
    /// Why they are the search's own instead: `unreachable`, `timed_out`, `busy`, `overloaded` (too many calls at once),
    /// `refused`, `failed` (its status) or `unreadable` (its answer).
    #[serde(skip_serializing_if = "Option::is_none")]
    rerank_failure: Option<&'static str>,
}

/// Best first. What is the same in every respect stays in the order that it had.
fn order(hits: &mut Vec<Hit>, relevances: &[Relevance], ages: Option<Ages>) {
    let mut ranked: Vec<(Hit, f64)> = std::mem::take(hits)
        .into_iter()
        .zip(relevances)
        .map(|(mut hit, relevance)| {
            let (created, updated) = (hit.document.created_ms, hit.document.updated_ms);
            hit.score = ages.map_or(relevance.share, |ages| ages.score(relevance.share, created, updated));
            (hit, relevance.score)
        })
        .collect();
    ranked.sort_by(|(a, a_score), (b, b_score)| {
        b.score.total_cmp(&a.score).then_with(|| b_score.total_cmp(a_score))
    });
    hits.extend(ranked.into_iter().map(|(hit, _)| hit));
}

fn unavailable(reason: &str) -> ApiError {
    ApiError::busy(
        "reranker_unavailable",
        format!(
            "the reranker could not be used ({reason}); try again, or with rerank=true, which then answers in the search's own \
             order"
        ),
        5,
    )
}

fn invalid(text: String) -> ApiError {
    ApiError::malformed("invalid_parameter", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a search would send more passages than the operator allows, or fewer than it is to answer.
    #[test]
    fn candidates_stay_between_k_and_the_operators_limit() {
        let candidates = |asked, candidates, k| {
            Wish::of(Some(asked), candidates, k, Some(100))
                .map(|wish| wish.map(|wish| wish.candidates))
                .map_err(|error| error.status.as_u16())
        };
        assert_eq!(candidates(Asked::Yes, None, 10), Ok(Some(40)));
        assert_eq!(candidates(Asked::Yes, None, 30), Ok(Some(100)));
        assert_eq!(candidates(Asked::Require, Some(100), 1), Ok(Some(100)));
        assert_eq!(candidates(Asked::Yes, Some(10), 10), Ok(Some(10)));
        assert_eq!(candidates(Asked::No, None, 1000), Ok(None));
        for (asked, number, k) in [
            (Asked::Yes, None, 101),
            (Asked::Yes, Some(9), 10),
            (Asked::Yes, Some(101), 10),
            (Asked::Yes, Some(u64::MAX), 10),
            (Asked::No, Some(50), 10),
        ] {
            assert_eq!(candidates(asked, number, k), Err(400), "{asked:?} {number:?} {k}");
        }
        assert_eq!(Wish::of(Some(Asked::Yes), None, 10, None).unwrap_err().status.as_u16(), 501);
        assert_eq!(Wish::of(None, None, 10, None).unwrap(), None);
    }

    /// Lost otherwise: a body's `"rerank": "always"` would be taken for something.
    #[test]
    fn the_wish_is_read_strictly() {
        let asked = |text: &str| serde_json::from_str::<Asked>(text).ok();
        assert_eq!(asked("true"), Some(Asked::Yes));
        assert_eq!(asked("false"), Some(Asked::No));
        assert_eq!(asked("\"require\""), Some(Asked::Require));
        for bad in ["\"true\"", "\"\"", "1", "null", "[]", "{}"] {
            assert_eq!(asked(bad), None, "{bad}");
        }
    }
}
