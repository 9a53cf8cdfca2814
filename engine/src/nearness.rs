//! When is one vector near another, by each metric?
//!
//! | metric | what is stored | score of a row, as it is scanned | similarity |
//! |---|---|---|---|
//! | cosine | the vector brought to length 1 | the inner product of both | the same, -1 to 1; 0 with a zero vector |
//! | inner product | the vector as it came | the inner product | the same, without bounds |
//! | Euclidean | the vector as it came | the squared distance, negated | `1 / (1 + distance)`, above 0 to 1 |
//!
//! Rows are ordered by their score. Similarities are what thresholds, weighted sums and answers speak of. They rise with the
//! score, rounding included, so bounds of a score are bounds of a similarity.
//!
//! Invariants:
//! 1. No score of two vectors that were let in is infinite, or not a number: lengths of at most [`LENGTH_MAX`] keep every
//!    product, square and sum of both within `f32`.
//! 2. Nothing here depends on the instruction set: sums are the kernel's, and a root or a quotient has one rounding.

use strongroom_format::record::Metric;
use strongroom_kernel::{is_finite, norm, normalize};

/// The longest vector that is compared as it is: the square of the distance of two is `2^126` at most.
const LENGTH_MAX: f32 = (1_u64 << 62) as f32;

/// Why a vector is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// A component is infinite, or not a number.
    NotFinite,
    /// It is longer than [`LENGTH_MAX`].
    TooLong,
}

/// Brings a vector, stored or asked for, into the form in which it is compared.
pub(crate) fn admit(metric: Metric, vector: &mut [f32]) -> Result<(), Unfit> {
    if !is_finite(vector) {
        return Err(Unfit::NotFinite);
    }
    if metric == Metric::Cosine {
        normalize(vector);
    } else if norm(vector) > LENGTH_MAX {
        return Err(Unfit::TooLong);
    }
    Ok(())
}

/// What the kernels know the metric as.
pub(crate) fn measure(metric: Metric) -> strongroom_kernel::Metric {
    match metric {
        Metric::Cosine | Metric::InnerProduct => strongroom_kernel::Metric::InnerProduct,
        Metric::Euclidean => strongroom_kernel::Metric::SquaredDistance,
    }
}

/// What a score is told as.
pub(crate) fn similarity(metric: Metric, score: f32) -> f32 {
    match metric {
        Metric::Cosine | Metric::InnerProduct => score,
        // A bound of a score may be above zero.
        Metric::Euclidean => 1.0 / (1.0 + (-score).max(0.0).sqrt()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this, a bound of a distance could be told as less than the distance's own similarity, and lose a hit.
    #[test]
    fn similarity_by_distance_rises_with_the_score() {
        let mut before = 0.0;
        for bits in (0..f32::MAX.to_bits()).rev().step_by(9973) {
            let now = similarity(Metric::Euclidean, -f32::from_bits(bits));
            assert!(now >= before && (0.0..=1.0).contains(&now));
            before = now;
        }
        let told =
            [0.0, -1.0, -9.0, 0.1, f32::NEG_INFINITY].map(|score| similarity(Metric::Euclidean, score));
        assert_eq!(told, [1.0, 0.5, 0.25, 1.0, 0.0]);
    }

    /// Without this, one vector beyond all measure would have a score that sorts before, or after, everything.
    #[test]
    fn what_is_let_in_has_finite_scores() {
        for metric in [Metric::Cosine, Metric::InnerProduct, Metric::Euclidean] {
            for dimension in [1, 2, 8192] {
                for (sign, longest) in [(1.0, LENGTH_MAX), (-1.0, LENGTH_MAX), (1.0, f32::MIN_POSITIVE)] {
                    let mut vector = vec![sign * longest / (dimension as f32).sqrt() * 0.9999; dimension];
                    admit(metric, &mut vector).expect("within the limit");
                    let opposite: Vec<f32> = vector.iter().map(|component| -component).collect();
                    let mut score = [0.0];
                    measure(metric).score_rows(&vector, &opposite, &mut score);
                    assert!(score[0].is_finite(), "{metric} {dimension} {longest}");
                }
                for component in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut vector = vec![0.5; dimension];
                    vector[dimension - 1] = component;
                    assert_eq!(admit(metric, &mut vector), Err(Unfit::NotFinite));
                }
            }
            let mut long = [f32::MAX, f32::MAX];
            match metric {
                Metric::Cosine => {
                    admit(metric, &mut long).expect("only the direction counts");
                    assert!((norm(&long) - 1.0).abs() < 1e-6);
                }
                _ => assert_eq!(admit(metric, &mut long), Err(Unfit::TooLong)),
            }
        }
    }
}
