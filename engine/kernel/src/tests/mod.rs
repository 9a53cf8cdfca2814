//! Is every variant the definition, to the last bit?

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{Metric, Variant, is_finite, norm, normalize};

mod bounds;
mod codes;
mod contenders;
mod rows;

/// The definition of the crate's first page, word by word.
fn reference(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    for i in 0..a.len() {
        let product = a[i] * b[i];
        lanes[i % 16] += product;
    }
    for half in [8, 4, 2, 1] {
        for l in 0..half {
            lanes[l] += lanes[l + half];
        }
    }
    lanes[0]
}

/// Numbers between -1 and 1, of which the sixteenth part has the exponent drawn too: then sums cancel, and
/// grow beyond their neighbours, so that another order of additions shows.
fn random_vector(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    let draw = |rng: &mut ChaCha8Rng| {
        let bits = rng.next_u32();
        let unit = f32::from_bits(0x3f80_0000 | (bits >> 9)) * 2.0 - 3.0;
        if bits & 0xf == 0 { unit * 2.0_f32.powi((bits >> 4 & 0x1f) as i32 - 16) } else { unit }
    };
    (0..count).map(|_| draw(rng)).collect()
}

/// What two answers have in common that are both right.
fn canonical(x: f32) -> u32 {
    if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }
}

/// The one runner: whatever a variant answers has to be what the reference answers, to the last bit.
#[track_caller]
fn every_variant<S: PartialEq + std::fmt::Debug>(what: &str, wanted: S, answer: impl Fn(Variant) -> S) {
    for variant in Variant::all() {
        assert_eq!(answer(variant), wanted, "{} by {}", what, variant.name());
    }
}

/// The bits of scores.
fn bits(scores: &[f32]) -> Vec<u32> {
    scores.iter().copied().map(canonical).collect()
}

/// Compares every variant with the reference on these rows.
#[track_caller]
fn check(query: &[f32], rows: &[f32]) {
    let wanted: Vec<f32> = rows.chunks_exact(query.len()).map(|row| reference(query, row)).collect();
    every_variant(&format!("{} dimensions", query.len()), bits(&wanted), |variant| {
        let mut scores = vec![f32::NAN; wanted.len()];
        variant.dot_rows(query, rows, &mut scores);
        bits(&scores)
    });
}

/// Users lose: the same search gives other results, or another order, on another machine.
#[test]
fn every_variant_has_the_bits_of_the_definition() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for dimension in (1..=130).chain([255, 256, 257, 384, 768, 1000, 1024, 1536, 3072, 4096, 8191, 8192]) {
        for count in [0, 1, 2, 3, 4, 5, 7, 8, 9, 17] {
            // Beginning at an odd element of the buffer: rows are not aligned to anything but their elements.
            let skip = (dimension + count) % 5;
            let query = random_vector(&mut rng, skip + dimension);
            let rows = random_vector(&mut rng, skip + dimension * count);
            check(&query[skip..], &rows[skip..]);
        }
    }
}

/// Users lose: a hit's score, and so its place, changes when a segment is compacted or a block has another
/// size.
#[test]
fn scores_do_not_depend_on_how_rows_are_spread_over_calls() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for dimension in [1, 15, 16, 100, 256] {
        let query = random_vector(&mut rng, dimension);
        let rows = random_vector(&mut rng, dimension * 50);
        for variant in Variant::all() {
            let mut whole = [0.0; 50];
            variant.dot_rows(&query, &rows, &mut whole);
            let mut parts = [0.0; 50];
            let mut start = 0;
            while start < 50 {
                let end = 50.min(start + 1 + rng.next_u32() as usize % 12);
                variant.dot_rows(&query, &rows[start * dimension..end * dimension], &mut parts[start..end]);
                start = end;
            }
            assert_eq!(whole.map(f32::to_bits), parts.map(f32::to_bits), "{}", variant.name());
            let mut each = [0.0; 50];
            let scattered: Vec<&[f32]> = rows.chunks(dimension).rev().collect();
            Metric::InnerProduct.score_each(&query, &scattered, &mut each);
            each.reverse();
            assert_eq!(whole.map(f32::to_bits), each.map(f32::to_bits), "{}", variant.name());
            let single = variant.dot(&query, &rows[..dimension]);
            assert_eq!(single.to_bits(), whole[0].to_bits(), "{}", variant.name());
        }
    }
}

/// Users lose: the whole server, to one vector that is out of the ordinary.
#[test]
fn extreme_numbers_are_scored_like_any_others() {
    let odd = [0.0, -0.0, 1.0, f32::MIN_POSITIVE, 1e-45, -1e-45, f32::MAX, f32::MIN, f32::INFINITY];
    let odd: Vec<f32> = odd.into_iter().chain([f32::NEG_INFINITY, f32::NAN, -f32::NAN]).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for round in 0..2000 {
        let mut draw =
            |count| (0..count).map(|_| odd[rng.next_u32() as usize % odd.len()]).collect::<Vec<f32>>();
        let dimension = 1 + round % 40;
        check(&draw(dimension), &draw(dimension * 9));
    }
    for plain in [-0.0, 1e-45, f32::MIN_POSITIVE] {
        check(&[plain; 37], &[-plain; 37 * 5]);
    }
}

/// Users lose: results at all, should the definition itself be no dot product.
#[test]
fn the_definition_is_near_an_independent_implementation() {
    use simsimd::SpatialSimilarity;
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for dimension in [1, 3, 16, 17, 256, 1000, 8192] {
        let (a, b) = (random_vector(&mut rng, dimension), random_vector(&mut rng, dimension));
        let oracle = f32::dot(&a, &b).expect("as long as each other");
        let magnitude: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(a * b).abs()).sum();
        for variant in Variant::all() {
            let error = (f64::from(variant.dot(&a, &b)) - oracle).abs();
            assert!(error <= magnitude * 1e-5, "{} at {dimension}: {error}", variant.name());
        }
    }
}

/// Users lose: a search returns scores of rows that were never compared.
#[test]
#[should_panic(expected = "as many rows as scores")]
fn rows_that_do_not_fit_the_scores_are_refused() {
    crate::dot_rows(&[1.0; 4], &[1.0; 11], &mut [0.0; 3]);
}

/// Users lose: the score of a vector with the first elements of a longer one.
#[test]
#[should_panic(expected = "the same dimension")]
fn vectors_of_different_length_are_refused() {
    crate::dot(&[1.0; 4], &[1.0; 3]);
}

/// Users lose: cosine scores beyond 1, or none at all for vectors whose squares leave the range of `f32`.
#[test]
fn vectors_of_any_size_come_to_length_one() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for scale in [1.0, 1e-40, 1e-30, 1e-10, 1e10, 1e30, 1e38] {
        for dimension in [1, 2, 16, 33, 256, 8192] {
            let mut v: Vec<f32> =
                random_vector(&mut rng, dimension).iter().map(|x| (x * scale).clamp(-3e38, 3e38)).collect();
            v[0] = scale;
            let length = norm(&v);
            assert_eq!(normalize(&mut v).to_bits(), length.to_bits());
            assert!((norm(&v) - 1.0).abs() < 1e-5, "{scale} {dimension}: {}", norm(&v));
        }
    }
    assert_eq!(norm(&[3.0, 4.0]), 5.0);
}

/// Users lose: a search that meets an empty passage, whose vector would turn into NaN.
#[test]
fn a_zero_vector_stays_zero_and_scores_zero() {
    let mut zero = [0.0; 20];
    assert_eq!(normalize(&mut zero), 0.0);
    assert_eq!(zero, [0.0; 20]);
    assert_eq!(crate::dot(&zero, &[1.0; 20]), 0.0);
    assert_eq!(crate::dot(&[], &[]), 0.0);
    crate::dot_rows(&[], &[], &mut []);
}

/// Users lose: one bad number in a vector makes its scores, and the order of others, meaningless.
#[test]
fn a_number_that_is_not_finite_is_found_anywhere() {
    for dimension in [1, 8, 16, 31, 100] {
        for at in 0..dimension {
            for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut v = vec![f32::MAX; dimension];
                assert!(is_finite(&v));
                v[at] = bad;
                assert!(!is_finite(&v), "{bad} at {at} of {dimension}");
            }
        }
    }
    assert!(is_finite(&[]));
}
