//! Are halves, bytes, distances and whole scans what their definitions say?

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{bits, every_variant, random_vector, reference};
use crate::arch::ahead::NEAR_BYTES;
use crate::{BLOCK_ROWS, Dot, DotF16, DotI8, Measure, SquaredDistance, half};

const DIMENSIONS: [usize; 22] =
    [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 128, 129, 384, 1000, 4097, 8191, 8192];

fn random_bytes(rng: &mut ChaCha8Rng, count: usize) -> Vec<i8> {
    // A quarter of the bytes is the lowest, with which sums of 16 bits would overflow.
    let byte = |bits: u32| if bits & 0x300 == 0 { i8::MIN } else { bits as i8 };
    (0..count).map(|_| byte(rng.next_u32())).collect()
}

/// Users lose: rows stored as halves score otherwise than the numbers that they stand for.
#[test]
fn halves_score_as_the_numbers_that_they_stand_for() {
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    for dimension in DIMENSIONS {
        let query = random_vector(&mut rng, dimension);
        for count in [1, 4, 9, 17] {
            // Any bits: subnormal, infinite and not a number too.
            let odd = (0..count * dimension).map(|_| rng.next_u32() as u16).collect();
            let plain = random_vector(&mut rng, count * dimension).into_iter().map(half::narrow).collect();
            for rows in [odd, plain] {
                let rows: Vec<u16> = rows;
                let wide: Vec<f32> = rows.iter().map(|&row| half::widen(row)).collect();
                let wanted: Vec<f32> =
                    wide.chunks_exact(dimension).map(|row| reference(&query, row)).collect();
                every_variant(&format!("halves, {dimension}"), bits(&wanted), |variant| {
                    let mut scores = vec![f32::NAN; count];
                    variant.dot_rows_f16(&query, &rows, &mut scores);
                    bits(&scores)
                });
            }
        }
    }
}

/// Users lose: hits of quantised rows, whose scores overflow or miss their last elements.
#[test]
fn bytes_are_summed_exactly() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for dimension in DIMENSIONS.into_iter().chain([crate::DIMENSION_MAX]) {
        let extreme = (vec![i8::MIN; dimension], vec![i8::MIN; 3 * dimension]);
        let mixed = (random_bytes(&mut rng, dimension), random_bytes(&mut rng, 3 * dimension));
        for (query, rows) in [extreme, mixed] {
            let product = |row: &[i8]| -> i64 {
                query.iter().zip(row).map(|(&q, &r)| i64::from(q) * i64::from(r)).sum()
            };
            let wanted: Vec<i64> = rows.chunks_exact(dimension).map(product).collect();
            every_variant(&format!("bytes, {dimension}"), wanted, |variant| {
                let mut scores = [0; 3];
                variant.dot_rows_i8(&query, &rows, &mut scores);
                scores.map(i64::from).to_vec()
            });
        }
    }
}

/// Users lose: the order of hits in a collection whose metric is the Euclidean distance.
#[test]
fn distances_are_summed_like_products() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    for dimension in DIMENSIONS {
        let (query, rows) = (random_vector(&mut rng, dimension), random_vector(&mut rng, dimension * 9));
        let distance = |row: &[f32]| {
            let difference: Vec<f32> = query.iter().zip(row).map(|(q, r)| q - r).collect();
            reference(&difference, &difference)
        };
        let wanted: Vec<f32> = rows.chunks_exact(dimension).map(distance).collect();
        every_variant(&format!("distances, {dimension}"), bits(&wanted), |variant| {
            let mut scores = [f32::NAN; 9];
            variant.squared_distance_rows(&query, &rows, &mut scores);
            bits(&scores)
        });
    }
}

/// Users lose: the score, and so the place, of a hit that was read alone and not with its neighbours.
#[test]
fn rows_that_lie_anywhere_score_as_those_that_lie_together() {
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    for dimension in DIMENSIONS {
        let (query, rows) = (random_vector(&mut rng, dimension), random_vector(&mut rng, dimension * 19));
        for count in [0, 1, 7, 8, 9, 16, 19, 40] {
            let anywhere: Vec<&[f32]> =
                (0..count).map(|_| &rows[rng.next_u32() as usize % 19 * dimension..][..dimension]).collect();
            let together = anywhere.concat();
            let first = crate::Variant::all()[0];
            let (mut products, mut distances) = (vec![0.0; count], vec![0.0; count]);
            first.dot_rows(&query, &together, &mut products);
            first.squared_distance_rows(&query, &together, &mut distances);
            let what = format!("{count} rows of {dimension}");
            every_variant(&what, (bits(&products), bits(&distances)), |variant| {
                let (mut products, mut distances) = (vec![f32::NAN; count], vec![f32::NAN; count]);
                variant.dot_each(&query, &anywhere, &mut products);
                variant.squared_distance_each(&query, &anywhere, &mut distances);
                (bits(&products), bits(&distances))
            });
        }
    }
}

/// Users lose: the score of a hit that was read with so many others that they don't fit into the nearest cache.
#[test]
fn many_rows_score_as_each_does_alone() {
    let mut rng = ChaCha8Rng::seed_from_u64(15);
    for dimension in [1, 37, 100, 127, 128, 129, 255, 257, 384] {
        // Of halves as well; an odd one is left over.
        let count = (NEAR_BYTES / (2 * dimension) + 1) | 1;
        let (query, rows) = (random_vector(&mut rng, dimension), random_vector(&mut rng, dimension * count));
        let halves: Vec<u16> = rows.iter().map(|&x| half::narrow(x)).collect();
        let first = crate::Variant::all()[0];
        let mut wanted = [vec![0.0; count], vec![0.0; count], vec![0.0; count]];
        for at in 0..count {
            let own = at * dimension..(at + 1) * dimension;
            first.dot_rows(&query, &rows[own.clone()], &mut wanted[0][at..=at]);
            first.squared_distance_rows(&query, &rows[own.clone()], &mut wanted[1][at..=at]);
            first.dot_rows_f16(&query, &halves[own], &mut wanted[2][at..=at]);
        }
        every_variant(&format!("{count} rows of {dimension}"), wanted.map(|of| bits(&of)), |variant| {
            let mut scores = [vec![f32::NAN; count], vec![f32::NAN; count], vec![f32::NAN; count]];
            variant.dot_rows(&query, &rows, &mut scores[0]);
            variant.squared_distance_rows(&query, &rows, &mut scores[1]);
            variant.dot_rows_f16(&query, &halves, &mut scores[2]);
            scores.map(|of| bits(&of))
        });
    }
}

/// Users lose: another row's score, if a row is shorter than the query.
#[test]
#[should_panic(expected = "each row is as long as the query")]
fn a_row_of_another_length_is_refused() {
    crate::Variant::best().dot_each(&[1.0; 3], &[&[1.0; 3], &[1.0; 2]], &mut [0.0; 2]);
}

/// Scans with a mask and several queries, and compares with one call for each row that takes part.
#[track_caller]
fn check_scan<M: Measure>(
    queries: &[&[M::Query]],
    rows: &[M::Element],
    live: &[u32],
    count: usize,
    none: M::Score,
) where
    M::Score: Copy + PartialEq + std::fmt::Debug,
{
    let dimension = queries[0].len();
    let mut wanted = vec![none; count * queries.len()];
    for (q, query) in queries.iter().enumerate() {
        for row in (0..count).filter(|row| live[row / BLOCK_ROWS] >> (row % BLOCK_ROWS) & 1 == 1) {
            let (elements, score) =
                (&rows[row * dimension..][..dimension], &mut wanted[q * count + row..][..1]);
            M::rows(crate::Variant::all()[0], query, elements, score);
        }
    }
    every_variant(&format!("{count} rows, {live:x?}"), wanted, |variant| {
        let mut scores = vec![none; count * queries.len()];
        variant.scan::<M>(queries, rows, live, &mut scores);
        scores
    });
}

/// Users lose: deleted documents come back, filters leak, or one query of a batch gets another's scores.
#[test]
fn a_scan_scores_each_row_that_takes_part_by_each_query_and_touches_no_other() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    for round in 0..200 {
        let (dimension, count) = (1 + round % 70, rng.next_u32() as usize % 130);
        let live: Vec<u32> = (0..count.div_ceil(BLOCK_ROWS))
            .map(|_| {
                [0, u32::MAX, rng.next_u32(), rng.next_u32() & rng.next_u32()][rng.next_u32() as usize % 4]
            })
            .collect();
        let queries = [(); 3].map(|()| random_vector(&mut rng, dimension));
        let queries = queries.each_ref().map(Vec::as_slice);
        let rows = random_vector(&mut rng, dimension * count);
        let halves: Vec<u16> = rows.iter().map(|&row| half::narrow(row)).collect();
        check_scan::<Dot>(&queries, &rows, &live, count, -7.0);
        check_scan::<DotF16>(&queries[..1], &halves, &live, count, -7.0);
        check_scan::<SquaredDistance>(&queries[1..], &rows, &live, count, -7.0);
        let (query, bytes) = (random_bytes(&mut rng, dimension), random_bytes(&mut rng, dimension * count));
        check_scan::<DotI8>(&[&query, &query], &bytes, &live, count, -7);
    }
    crate::Variant::best().scan::<Dot>(&[], &[], &[], &mut []);
}

/// Users lose: results from rows that nobody asked for, if a mask is shorter than the rows.
#[test]
#[should_panic(expected = "a word for each block")]
fn a_mask_that_does_not_fit_is_refused() {
    crate::Variant::best().scan::<Dot>(&[&[1.0]], &[0.0; 33], &[1], &mut [0.0; 33]);
}
