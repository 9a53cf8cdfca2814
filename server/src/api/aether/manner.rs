//! By what is a text looked for?

use strongroom_engine::{Fusion, Query};

use super::ranking::Ranking;
use crate::message::error::ApiError;

/// By its words, by its meaning, or by both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Hybrid(Fusion),
    Semantic,
    Keyword,
}

impl Manner {
    /// What `mode` and `fusion` say, given what else counts.
    pub(super) fn of(mode: Option<&str>, fusion: Option<&str>, ranking: &Ranking) -> Result<Self, ApiError> {
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

    pub(super) fn query<'a>(self, words: &'a str, vector: &'a [f32]) -> Query<'a> {
        match self {
            Self::Hybrid(fusion) => Query::Hybrid { vector, words, fusion },
            Self::Semantic => Query::Vector(vector),
            Self::Keyword => Query::Words(words),
        }
    }
}
