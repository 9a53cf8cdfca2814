//! How are rows ordered by their scores, quickly?
//!
//! By one integer each, which compares as a score does ([`f32::total_cmp`]), the best first, and of equal scores the lower number first: the
//! processor compares and moves those without a branch.

/// The place of a scored number among others: the better, the lower.
pub fn key(score: f32, number: u32) -> u64 {
    u64::from(!rising(score)) << 32 | u64::from(number)
}

/// The score of a key.
pub fn score(key: u64) -> f32 {
    let rising = !((key >> 32) as u32);
    f32::from_bits(if rising >> 31 == 1 { rising ^ 1 << 31 } else { !rising })
}

/// The number of a key.
pub fn number(key: u64) -> u32 {
    key as u32
}

/// Leaves so many keys, the best, in no order.
pub fn keep_best(keys: &mut Vec<u64>, count: usize) {
    if count < keys.len() {
        keys.select_nth_unstable(count);
        keys.truncate(count);
    }
}

/// An integer that rises with a score.
fn rising(score: f32) -> u32 {
    let bits = score.to_bits();
    if bits >> 31 == 1 { !bits } else { bits ^ 1 << 31 }
}

/// The least score, 0 or more, that is enough, where all that are greater are, too; infinity when none is.
pub fn least_that(is_enough: impl Fn(f32) -> bool) -> f32 {
    let (mut below, mut reach) = (0, f32::INFINITY.to_bits());
    while below < reach {
        let middle = below + (reach - below) / 2;
        (below, reach) =
            if is_enough(f32::from_bits(middle)) { (below, middle) } else { (middle + 1, reach) };
    }
    f32::from_bits(reach)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this, a search would keep other rows than the best.
    #[test]
    fn keys_have_the_order_of_scores_and_then_of_numbers() {
        let tiny = f32::MIN_POSITIVE / 2.0;
        let scores =
            [f32::INFINITY, f32::MAX, 1.0, tiny, 0.0, -0.0, -tiny, -1.0, f32::MIN, f32::NEG_INFINITY];
        let keys: Vec<u64> =
            scores.iter().flat_map(|&score| [0, 1, u32::MAX].map(|number| key(score, number))).collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
        for (at, &key) in keys.iter().enumerate() {
            assert_eq!(score(key).to_bits(), scores[at / 3].to_bits());
            assert_eq!(number(key), [0, 1, u32::MAX][at % 3]);
        }
        let mut best: Vec<u64> = keys.iter().rev().copied().collect();
        keep_best(&mut best, 4);
        best.sort_unstable();
        assert_eq!(best, keys[..4]);
        keep_best(&mut best, 9);
        assert_eq!(best.len(), 4);
    }
}
