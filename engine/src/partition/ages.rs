//! What does a document's age do to its score?
//!
//! A score is a weighted sum: with the weights *c* of when it was created and *u* of when it was updated last (or created, if it
//! never was), `(1 − c − u) · score + c · 2^(−age / half-life) + u · 2^(−age / half-life)`. It is taken inside the scan, so no list of
//! candidates cuts off a fresh document; and as every part of it lies from 0 to 1, so does the sum: scores stay comparable from
//! query to query. An inner product takes part as it is: ages tell apart what differs in it by no more than about 1.
//!
//! Invariant: the same on every machine. Halving is computed from plain sums and products, not by the platform's library.

/// How much ages count, and as of when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ages {
    /// Since it was created.
    pub created: Ageing,
    /// Since it was updated last.
    pub updated: Ageing,
    /// The time as of which ages are taken, in milliseconds since 1970. What is younger than that is of age 0.
    pub now_ms: u64,
}

/// How much one age counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ageing {
    /// Its share of the score, from 0 to 1; both shares together are 1 at most.
    pub weight: f32,
    /// The age at which half of it is left, in milliseconds; not 0.
    pub half_life_ms: f64,
}

impl Ages {
    /// The score of a document of these times, given what the query finds in it. What the query leaves out stays out.
    pub fn score(&self, score: f32, created_ms: u64, updated_ms: Option<u64>) -> f32 {
        if score == f32::NEG_INFINITY {
            return score;
        }
        let Ageing { weight: created, .. } = self.created;
        let Ageing { weight: updated, .. } = self.updated;
        (1.0 - created - updated).max(0.0) * score
            + created * self.created.left(self.now_ms, created_ms)
            + updated * self.updated.left(self.now_ms, updated_ms.unwrap_or(created_ms))
    }
}

impl Ageing {
    /// What is left at the age of something of this time: 1 when it is new.
    fn left(&self, now_ms: u64, at_ms: u64) -> f32 {
        halved(now_ms.saturating_sub(at_ms) as f64 / self.half_life_ms) as f32
    }
}

/// 2 to the power of minus `times`, which is not negative.
fn halved(times: f64) -> f64 {
    let whole = times.floor();
    if whole.is_nan() || whole > 1000.0 {
        return 0.0;
    }
    // exp(−x) for x below ln 2, by its series: the next term is below 1e-17.
    let x = (times - whole) * std::f64::consts::LN_2;
    let part = (1..=16).rev().fold(1.0, |sum, n| 1.0 - sum * x / f64::from(n));
    part * f64::from_bits((1023 - whole as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this, a weight would mean another thing than the documentation says.
    #[test]
    fn a_weight_of_ages_is_a_share_of_the_score() {
        let ageing = |weight, half_life_ms| Ageing { weight, half_life_ms };
        let ages = Ages { created: ageing(0.25, 1000.0), updated: ageing(0.25, 500.0), now_ms: 10_000 };
        let close = |a: f32, b: f32| assert!((a - b).abs() < 1e-6, "{a} is not {b}");
        close(ages.score(0.5, 10_000, None), 0.75);
        close(ages.score(0.5, 9000, None), 0.25 + 0.125 + 0.0625);
        close(ages.score(0.5, 9000, Some(9500)), 0.25 + 0.125 + 0.125);
        close(ages.score(0.5, 20_000, None), 0.75);
        close(ages.score(0.5, 0, Some(0)), 0.25 + 0.25 / 1024.0 + 0.25 / 1_048_576.0);
        assert_eq!(ages.score(f32::NEG_INFINITY, 10_000, None), f32::NEG_INFINITY);
        let alone = Ages { created: ageing(1.0, 1000.0), updated: ageing(0.0, 1.0), ..ages };
        close(alone.score(-0.5, 9000, None), 0.5);
        assert_eq!(alone.score(f32::NEG_INFINITY, 9000, None), f32::NEG_INFINITY);
    }

    #[test]
    fn halving_is_what_the_books_say() {
        for times in [0.0, 1e-9, 0.25, 0.5, 0.999_999, 1.0, 1.5, 10.75, 999.5] {
            let (found, expected) = (halved(times), (-times).exp2());
            assert!((found - expected).abs() <= 1e-15 * expected, "{times}: {found} is not {expected}");
        }
        assert_eq!([halved(1e300), halved(f64::INFINITY), halved(f64::NAN)], [0.0; 3]);
    }
}
