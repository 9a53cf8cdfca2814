//! Is the nearest of many vectors always among those that bytes leave in the contest?

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{every_variant, random_vector, reference};
use crate::{Contenders, Variant, add_rows};

/// The contenders of each row, by every variant; of rows among which those with the greatest measure are.
#[track_caller]
fn contenders(vectors: &[f32], biases: &[f32], rows: &[f32], dimension: usize) -> Vec<Vec<u32>> {
    let all = Contenders::new(vectors, biases, dimension);
    let apart: Vec<&[f32]> = rows.chunks_exact(dimension).collect();
    let found = |variant| {
        let mut found = Vec::new();
        all.of(variant, &apart, |numbers| found.push(numbers.to_vec()));
        found
    };
    let first = found(Variant::all()[0]);
    every_variant(&format!("{} vectors of {dimension}", biases.len()), first.clone(), found);
    assert_eq!(first.len(), apart.len(), "one answer for each row");
    for (row, numbers) in apart.iter().zip(&first) {
        assert!(numbers.is_sorted_by(|a, b| a < b) && numbers.iter().all(|&n| (n as usize) < biases.len()));
        let measures: Vec<f32> =
            vectors.chunks_exact(dimension).zip(biases).map(|(v, bias)| reference(row, v) - bias).collect();
        let greatest = measures.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for (number, measure) in (0..).zip(measures) {
            assert!(
                measure < greatest || measure.is_nan() || numbers.contains(&number),
                "{number} is left out"
            );
        }
    }
    first
}

fn half_squares(vectors: &[f32], dimension: usize) -> Vec<f32> {
    vectors.chunks_exact(dimension).map(|vector| reference(vector, vector) / 2.0).collect()
}

/// Users lose: rows that no search finds, as they lie in another list than the one that is nearest.
#[test]
fn the_nearest_is_among_the_contenders() {
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    for dimension in [1, 2, 3, 4, 5, 15, 16, 17, 33, 64, 100, 384, 1001] {
        for count in [0, 1, 2, 15, 16, 17, 63, 64, 65, 150] {
            // Vectors come in threes of which bytes can hardly tell which is which.
            let mut vectors = random_vector(&mut rng, dimension * count);
            for at in dimension..vectors.len() {
                if at / dimension % 3 != 0 {
                    vectors[at] = vectors[at - dimension] * (1.0 + 1e-4 * (vectors[at] - 0.5));
                }
            }
            let rows = random_vector(&mut rng, dimension * [1, 4, 18][count % 3]);
            contenders(&vectors, &vec![0.0; count], &rows, dimension);
            contenders(&vectors, &half_squares(&vectors, dimension), &rows, dimension);
        }
    }
}

/// Users lose: the same, when all that a collection holds is far from nothing, or some of it far from the rest.
#[test]
fn vectors_may_lie_anywhere() {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let dimension = 24;
    for (far, scale) in [(1e3, 1.0), (-1e6, 1.0), (0.0, 1e-25), (0.0, 1e-42), (0.0, 1e18), (1e25, 1e20)] {
        let mut draw = |count: usize| -> Vec<f32> {
            random_vector(&mut rng, count * dimension).iter().map(|x| far + scale * x).collect()
        };
        let (mut vectors, rows) = (draw(90), draw(20));
        contenders(&vectors, &half_squares(&vectors, dimension), &rows, dimension);
        contenders(&vectors, &[0.0; 90], &rows, dimension);
        vectors[77] *= 1000.0;
        contenders(&vectors, &half_squares(&vectors, dimension), &rows, dimension);
    }
}

/// Users lose: a segment that can't be written, or is in disorder, for one number that is out of the ordinary.
#[test]
fn numbers_of_any_kind_leave_the_greatest_in() {
    let odd = [0.0, -0.0, 1.0, f32::MIN_POSITIVE, 1e-45, 1e20, f32::MAX, f32::MIN, f32::INFINITY, f32::NAN];
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    for round in 0..300 {
        let (dimension, count) = (1 + round % 20, 1 + round % 50);
        let kinds = 1 + round % odd.len();
        let mut draw = |count| (0..count).map(|_| odd[rng.next_u32() as usize % kinds]).collect::<Vec<f32>>();
        let (vectors, biases, rows) = (draw(count * dimension), draw(count), draw(5 * dimension));
        contenders(&vectors, &biases, &rows, dimension);
        contenders(&vectors, &half_squares(&vectors, dimension), &rows, dimension);
    }
}

/// Users lose: the time that bytes are there to save, wherever the vectors' mean lies.
#[test]
fn few_are_left_of_many() {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let (dimension, count) = (48, 1000);
    for far in [0.0, 10.0] {
        let mut draw = |count: usize| -> Vec<f32> {
            (0..count * dimension).map(|_| far + (rng.next_u32() >> 8) as f32 / (1 << 23) as f32).collect()
        };
        let (vectors, rows) = (draw(count), draw(50));
        let left = contenders(&vectors, &half_squares(&vectors, dimension), &rows, dimension);
        let left = left.iter().map(Vec::len).sum::<usize>() as f64 / 50.0;
        assert!(left < 6.0, "{left} of {count} at {far}");
    }
}

/// Users lose: the whole server, to a row that is read behind its end.
#[test]
#[should_panic(expected = "a row of the vectors' dimension")]
fn a_row_of_another_dimension_has_no_contenders() {
    Contenders::new(&[1.0; 6], &[0.0; 2], 3).of(Variant::best(), &[&[1.0; 2]], |_| {});
}

/// Users lose: the middles of lists, and on another machine others.
#[test]
fn rows_are_added_one_after_the_other() {
    let mut rng = ChaCha8Rng::seed_from_u64(24);
    for dimension in [1, 7, 16, 100, 385] {
        let mut rows = random_vector(&mut rng, 40 * dimension);
        // So far apart that another order of additions shows.
        rows.chunks_mut(dimension).step_by(3).for_each(|row| row.iter_mut().for_each(|x| *x *= 1e12));
        let apart: Vec<&[f32]> = rows.chunks_exact(dimension).collect();
        let mut sums = vec![0.25; dimension];
        add_rows(&mut sums, &apart);
        for (component, sum) in sums.iter().enumerate() {
            let wanted = apart.iter().fold(0.25, |sum, row| sum + f64::from(row[component]));
            assert_eq!(sum.to_bits(), wanted.to_bits());
        }
    }
}
