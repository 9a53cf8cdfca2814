//! What counts in a search beside what the query finds?
//!
//! The weights of a document's ages, as the published client sends them, and the thresholds. The engine takes ages into the score
//! as it scans; `final = (1 − r − f) · similarity + r · 2^(−age / half_life) + f · 2^(−age / half_life)`, in days, where *r*
//! (recency) takes the age since a document was created, and *f* (freshness) since it was updated last.

use strongroom_engine::{Ageing, Ages, Hit};

use super::record::score;
use crate::message::error::ApiError;
use crate::message::query::Query;

/// Days after which half of the recency, or freshness, is left when nobody says otherwise.
const HALF_LIFE_DAYS: f64 = 30.0;
const FRESHNESS_HALF_LIFE_DAYS: f64 = 14.0;
/// A hundred years.
const HALF_LIFE_DAYS_MAX: f64 = 36_500.0;

/// The numbers as they came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ranking {
    pub(super) recency_weight: Option<f64>,
    pub(super) half_life_days: Option<f64>,
    pub(super) freshness_weight: Option<f64>,
    pub(super) freshness_half_life_days: Option<f64>,
    pub(super) max_distance: Option<f64>,
    pub(super) min_score: Option<f64>,
}

impl Ranking {
    pub(super) fn of_query(query: &Query) -> Result<Self, ApiError> {
        let number = |name: &str| {
            let number = query.get(name).map(str::parse::<f64>).transpose();
            number.map_err(|_| invalid(format!("{name} must be a number")))
        };
        Ok(Self {
            recency_weight: number("recency_weight")?,
            half_life_days: number("half_life_days")?,
            freshness_weight: number("freshness_weight")?,
            freshness_half_life_days: number("freshness_half_life_days")?,
            max_distance: number("max_distance")?,
            min_score: number("min_score")?,
        })
    }

    /// How much ages count, if they do.
    pub(super) fn ages(&self, now_ms: u64) -> Result<Option<Ages>, ApiError> {
        let weight = |name: &str, weight: Option<f64>| {
            let weight = weight.unwrap_or(0.0);
            let fits = (0.0..=1.0).contains(&weight);
            fits.then_some(weight).ok_or_else(|| invalid(format!("{name} must be a number from 0 to 1")))
        };
        let half_life = |name: &str, days: Option<f64>, default: f64| {
            let days = days.unwrap_or(default);
            if !(days > 0.0 && days <= HALF_LIFE_DAYS_MAX) {
                let most = HALF_LIFE_DAYS_MAX;
                return Err(invalid(format!("{name} must be a number of days above 0, at most {most}")));
            }
            Ok(days * MS_OF_A_DAY)
        };
        let recency = weight("recency_weight", self.recency_weight)?;
        let freshness = weight("freshness_weight", self.freshness_weight)?;
        let half_life_ms = half_life("half_life_days", self.half_life_days, HALF_LIFE_DAYS)?;
        let freshness_half_life_ms =
            half_life("freshness_half_life_days", self.freshness_half_life_days, FRESHNESS_HALF_LIFE_DAYS)?;
        if recency + freshness > 1.0 + 1e-9 {
            return Err(invalid("recency_weight and freshness_weight are 1 at most together"));
        }
        if recency + freshness == 0.0 {
            return Ok(None);
        }
        Ok(Some(Ages {
            created: Ageing { weight: single(recency), half_life_ms },
            updated: Ageing { weight: single(freshness), half_life_ms: freshness_half_life_ms },
            now_ms,
        }))
    }

    /// The smallest similarity that a distance of at most this allows. Similarities lie from 0 to 1, so a distance of 1
    /// lets everything pass.
    pub(super) fn similarity_min(&self) -> Result<f32, ApiError> {
        let Some(distance) = self.max_distance else { return Ok(0.0) };
        if !(0.0..=2.0).contains(&distance) {
            return Err(invalid("max_distance must be a number from 0 to 2"));
        }
        Ok(single((1.0 - distance).max(0.0)))
    }

    /// The lowest score that is answered. Scores order the results, so what `k` cut off has none above those that are there.
    pub(super) fn score_min(&self) -> Result<f64, ApiError> {
        let score = self.min_score.unwrap_or(0.0);
        if !(0.0..=100.0).contains(&score) {
            return Err(invalid("min_score must be a number from 0 to 100"));
        }
        Ok(score)
    }
}

/// Whether a hit's score, as it is answered, is at least this.
pub(super) fn reaches(hit: &Hit, score_min: f64) -> bool {
    f64::from(score(hit.score)) >= score_min
}

const MS_OF_A_DAY: f64 = 86_400_000.0;

fn invalid(text: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::malformed("invalid_parameter", text)
}

#[expect(clippy::cast_possible_truncation, reason = "a share needs no more than f32's precision")]
fn single(share: f64) -> f32 {
    share as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a threshold would let everything or nothing pass.
    #[test]
    fn distances_become_similarities() {
        let similarity_min = |max_distance| Ranking { max_distance, ..Ranking::default() }.similarity_min();
        assert_eq!(similarity_min(None).unwrap(), 0.0);
        assert_eq!(similarity_min(Some(0.25)).unwrap(), 0.75);
        assert_eq!(similarity_min(Some(1.0)).unwrap(), 0.0);
        assert_eq!(similarity_min(Some(2.0)).unwrap(), 0.0);
        for bad in [-0.1, 2.1, f64::NAN, f64::INFINITY] {
            assert!(similarity_min(Some(bad)).is_err(), "{bad}");
        }
    }

    /// Lost otherwise: a weight would be left out, or count as another, and old documents stand before new ones.
    #[test]
    fn weights_and_half_lives_are_taken_as_the_client_sends_them() {
        let ages = |query: &str| {
            Ranking::of_query(&Query::parse(query).unwrap()).and_then(|ranking| ranking.ages(7))
        };
        assert_eq!(ages("").unwrap(), None);
        assert_eq!(ages("recency_weight=0&half_life_days=3").unwrap(), None);
        let ageing = |weight, days: f64| Ageing { weight, half_life_ms: days * MS_OF_A_DAY };
        let expected = |created, updated| Some(Ages { created, updated, now_ms: 7 });
        assert_eq!(ages("recency_weight=0.5").unwrap(), expected(ageing(0.5, 30.0), ageing(0.0, 14.0)));
        let all = "recency_weight=0.25&half_life_days=1.5&freshness_weight=0.75&freshness_half_life_days=2";
        assert_eq!(ages(all).unwrap(), expected(ageing(0.25, 1.5), ageing(0.75, 2.0)));
        for bad in [
            "recency_weight=1.1",
            "recency_weight=-0.1",
            "recency_weight=much",
            "freshness_weight=NaN",
            "recency_weight=0.6&freshness_weight=0.6",
            "half_life_days=0",
            "half_life_days=-1",
            "half_life_days=inf",
            "freshness_half_life_days=0",
        ] {
            assert_eq!(ages(bad).unwrap_err().status.as_u16(), 400, "{bad}");
        }
        for bad in [-1.0, 100.5, f64::NAN] {
            assert!(Ranking { min_score: Some(bad), ..Ranking::default() }.score_min().is_err(), "{bad}");
        }
    }
}
