//! Does the error of an estimate hold, and is it worth anything?

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::codes::Coded;
use super::random_vector;
use crate::{BLOCK_ROWS, Bar, Estimate, Metric, Rotation, Variant};

/// The scores that originals have, and by which hits are ranked.
fn exact(metric: Metric, query: &[f32], rows: &[f32]) -> Vec<f32> {
    let mut scores = vec![0.0; rows.len() / query.len()];
    match metric {
        Metric::InnerProduct => crate::dot_rows(query, rows, &mut scores),
        Metric::SquaredDistance => {
            Variant::best().squared_distance_rows(query, rows, &mut scores);
            scores.iter_mut().for_each(|score| *score = -*score);
        }
    }
    scores
}

/// Compares estimates of all rows with their exact scores; answers the errors of the 4-bit codes.
#[track_caller]
fn check(metric: Metric, centre: &[f32], query: &[f32], rows: &[f32]) -> Vec<f32> {
    if metric == Metric::InnerProduct {
        let mut units = rows.to_vec();
        for row in units.chunks_exact_mut(centre.len()) {
            crate::normalize(row);
        }
        let mut middle = centre.to_vec();
        crate::normalize(&mut middle);
        for centre in [centre, &scaled(&middle, 0.5), &middle] {
            check_coded(metric, &Coded::of_units(centre, &units), query, &units);
        }
    }
    check_coded(metric, &Coded::new(metric, centre, rows), query, rows)
}

#[track_caller]
fn check_coded(metric: Metric, coded: &Coded, query: &[f32], rows: &[f32]) -> Vec<f32> {
    let exact = exact(metric, query, rows);
    let prepared = coded.query(query);
    let by_signs = coded.by_signs(Variant::best(), &prepared);
    let by_nibbles = coded.by_nibbles(Variant::best(), &prepared);
    for (row, &score) in exact.iter().enumerate() {
        for Estimate { score: estimate, error } in [by_signs[row], by_nibbles[row]] {
            assert!(estimate.is_finite() && error >= 0.0, "{estimate} ± {error}");
            let off = (f64::from(score) - f64::from(estimate)).abs();
            let holds = error == f32::INFINITY || off <= f64::from(error);
            assert!(holds, "{metric:?} at {}, row {row}: {score} is not {estimate} ± {error}", query.len());
        }
    }
    by_nibbles.iter().map(|estimate| estimate.error).collect()
}

fn scaled(vector: &[f32], scale: f32) -> Vec<f32> {
    vector.iter().map(|x| x * scale).collect()
}

const METRICS: [Metric; 2] = [Metric::InnerProduct, Metric::SquaredDistance];

/// Users lose: a row of the exact mode, which promises that none is lost.
#[test]
fn the_error_holds_for_vectors_of_every_kind() {
    let mut rng = ChaCha8Rng::seed_from_u64(30);
    for dimension in [1, 2, 3, 16, 63, 64, 65, 100, 129, 384, 1000, 1536, 8192] {
        for scale in [1.0, 1e-44, 1e-38, 1e-20, 1e-10, 1e5, 1e12, 1e18, 1e37] {
            let query = scaled(&random_vector(&mut rng, dimension), scale);
            let centre = scaled(&random_vector(&mut rng, dimension), scale);
            let mut rows = scaled(&random_vector(&mut rng, dimension * 20), scale);
            // What is easily forgotten: the query, the centre, what is opposite to it, zero, an axis, nearly so.
            rows.extend(query.iter().chain(&centre));
            rows.extend(query.iter().zip(&centre).map(|(q, c)| 2.0 * c - q));
            rows.extend(std::iter::repeat_n(0.0, dimension));
            rows.extend((0..dimension).map(|i| if i == 0 { scale } else { 0.0 }));
            rows.extend(centre.iter().map(|c| c * (1.0 + 1e-6)));
            let zero = vec![0.0; dimension];
            for metric in METRICS {
                check(metric, &centre, &query, &rows);
                check(metric, &zero, &query, &rows);
                check(metric, &centre, &zero, &rows);
                check(metric, &centre, &centre, &rows);
                check(metric, &scaled(&centre, 1e3), &query, &rows);
                check(metric, &scaled(&centre, 1e-6), &query, &rows);
            }
        }
    }
}

/// A vector that the rotation takes to ones and minus ones, nearly.
fn turned_back(dimension: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let rotation = Rotation::new(dimension);
    let signs: Vec<f64> = (0..dimension).map(|_| if rng.next_u32() & 1 == 0 { 1.0 } else { -1.0 }).collect();
    let mut rotated = vec![0.0; dimension];
    let component = |axis| {
        let mut unit = vec![0.0; dimension];
        unit[axis] = 1.0;
        rotation.rotate(&unit, &mut rotated);
        rotated.iter().zip(&signs).map(|(&x, sign)| f64::from(x) * sign).sum::<f64>() as f32
    };
    (0..dimension).map(component).collect()
}

/// Users lose: a row of the exact mode whose code is so good that rounding is all that it is off by.
#[test]
fn the_error_holds_where_only_rounding_is_left() {
    let mut rng = ChaCha8Rng::seed_from_u64(31);
    for dimension in [64, 128, 192, 256, 1024] {
        let zero = vec![0.0; dimension];
        let vectors = [(); 12].map(|()| turned_back(dimension, &mut rng));
        for (i, query) in vectors.iter().enumerate() {
            let factor = 1.0 + random_vector(&mut rng, 1)[0].abs();
            let rows: Vec<f32> = vectors.iter().flat_map(|row| scaled(row, factor)).collect();
            for metric in METRICS {
                let errors = check(metric, &zero, query, &rows);
                let size = (crate::norm(query) + crate::norm(&rows[..dimension])).powi(2);
                assert!(errors[i] < 3e-5 * size, "{} of {size}", errors[i]);
                check(metric, &vectors[0], query, &rows);
                // Too short to be coded, and along a row.
                check(metric, &zero, &scaled(query, 1e-21), &rows);
            }
        }
    }
}

/// Users lose: a row that a search promised not to lose, if what is stored of its sign code says less than the code is off by; or speed, to
/// residuals that say far more.
#[test]
fn a_sign_code_tells_how_far_it_is_from_its_row() {
    let mut rng = ChaCha8Rng::seed_from_u64(37);
    for dimension in [1, 64, 100, 192, 193, 384, 1000] {
        for scale in [1e-15, 1.0, 1e11] {
            let rows = scaled(&random_vector(&mut rng, dimension * 50), scale);
            let centre = scaled(&random_vector(&mut rng, dimension), scale);
            let coded = Coded::new(Metric::InnerProduct, &centre, &rows);
            let mut rotated = vec![0.0; coded.rotation.rotated_len()];
            for (r, row) in rows.chunks_exact(dimension).enumerate() {
                let difference: Vec<f32> = row.iter().zip(&centre).map(|(x, c)| x - c).collect();
                coded.rotation.rotate(&difference, &mut rotated);
                let (signs, [_, scale, residual]) = coded.signs(r);
                let level = |i: usize| match signs[rotated.len()..].get(i) {
                    Some(low) => 2 * signs[i] + low,
                    None => signs[i],
                };
                let off =
                    |(i, &x): (usize, &f32)| (f64::from(x) - f64::from(scale) * level(i) as f64).powi(2);
                let off = rotated.iter().enumerate().map(off).sum::<f64>().sqrt();
                let residual = f64::from(residual);
                assert!(residual >= off, "{dimension}: row {r} is off by {off}, not {residual}");
                let room = off * 1.008 + f64::from(crate::norm(row)) * 1e-4;
                assert!(
                    residual <= room,
                    "{dimension}: row {r} is off by no more than {off}, not {residual}"
                );
            }
        }
    }
}

/// Users lose: the server, or their other rows, to numbers that are none. They are refused at the door; should
/// one get past it, its row is never dropped by its code.
#[test]
fn what_is_not_finite_has_no_bound_and_stays() {
    let mut rng = ChaCha8Rng::seed_from_u64(32);
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-45, 0.0, 1.0];
    for round in 0..300 {
        let dimension = 1 + round % 70;
        let mut draw =
            |n: usize| -> Vec<f32> { (0..n).map(|_| odd[rng.next_u32() as usize % odd.len()]).collect() };
        let (centre, query, rows) = (draw(dimension), draw(dimension), draw(dimension * 5));
        let plain = vec![1.0; dimension];
        for metric in METRICS {
            for (centre, query) in [(&centre, &query), (&plain, &query), (&centre, &plain), (&plain, &plain)]
            {
                let coded = Coded::new(metric, centre, &rows);
                let prepared = coded.query(query);
                let estimates = coded.by_nibbles(Variant::best(), &prepared);
                let bar = Bar { floor: f32::INFINITY, caution: 0.1 };
                let mut shown = 0;
                let live = coded.live();
                Variant::best().scan_signs(
                    &[&prepared],
                    &coded.blocks,
                    &live,
                    &mut [bar],
                    |_, _, rows, _| {
                        shown |= rows;
                        bar
                    },
                );
                for (r, row) in rows.chunks_exact(dimension).enumerate() {
                    let all_finite = [centre, query, row].iter().all(|v| v.iter().all(|x| x.abs() < 1e15));
                    assert_eq!(
                        estimates[r].error == f32::INFINITY,
                        !all_finite,
                        "{centre:?} {query:?} {row:?}"
                    );
                    assert_eq!(shown >> r & 1 == 1, !all_finite);
                }
            }
        }
    }
}

/// Users lose: speed, to bounds so wide that all rows are reranked; recall, to estimates that lean to one side.
#[test]
fn estimates_are_near_and_lean_to_no_side() {
    let mut rng = ChaCha8Rng::seed_from_u64(33);
    for (dimension, sign_worst, nibble_worst) in [(384, 0.9, 0.17), (1000, 0.9, 0.17), (100, 0.56, 0.18)] {
        let uniform = |rng: &mut ChaCha8Rng, n: usize| -> Vec<f32> {
            (0..n).map(|_| (rng.next_u32() >> 8) as f32 / 8_388_608.0 - 1.0).collect()
        };
        let centre = scaled(&uniform(&mut rng, dimension), 0.5);
        let query = uniform(&mut rng, dimension);
        let count = 20 * BLOCK_ROWS;
        let mut rows = uniform(&mut rng, dimension * count);
        // Rows near to the query are those that are ranked.
        for row in rows.chunks_exact_mut(dimension).step_by(2) {
            row.iter_mut().zip(&query).for_each(|(x, q)| *x = 0.5 * *x + q);
        }
        let coded = Coded::new(Metric::InnerProduct, &centre, &rows);
        let prepared = coded.query(&query);
        let exact = exact(Metric::InnerProduct, &query, &rows);
        let length =
            |v: &[f32]| crate::norm(&v.iter().zip(&centre).map(|(x, c)| x - c).collect::<Vec<f32>>());
        let sides = [
            (coded.by_signs(Variant::best(), &prepared), sign_worst, 0.05),
            (coded.by_nibbles(Variant::best(), &prepared), nibble_worst, 0.008),
        ];
        for (estimates, error_worst, spread_worst) in sides {
            let (mut leaning, mut spread) = (0.0, 0.0);
            for (r, row) in rows.chunks_exact(dimension).enumerate() {
                let size = length(&query) * length(row);
                assert!(estimates[r].error < error_worst * size, "{} of {size}", estimates[r].error);
                let off = f64::from((estimates[r].score - exact[r]) / size);
                leaning += off / count as f64;
                spread += off * off / count as f64;
            }
            assert!(spread.sqrt() < spread_worst, "{dimension}: {}", spread.sqrt());
            assert!(leaning.abs() < 4.0 * (spread / count as f64).sqrt(), "{dimension}: {leaning}");
        }
    }
}

/// Users lose: documents that are near by all their components and not by their signs, or the time to look again at many
/// more rows. Of few components, two planes tell what signs alone would blur.
#[test]
fn two_planes_are_nearer_than_signs_alone() {
    let mut rng = ChaCha8Rng::seed_from_u64(36);
    for dimension in [50, 100, 192] {
        let centre = scaled(&random_vector(&mut rng, dimension), 0.5);
        let rows = random_vector(&mut rng, dimension * 640);
        let coded = Coded::new(Metric::InnerProduct, &centre, &rows);
        let turned = |vector: &[f32]| {
            let mut turned = vec![0.0; coded.rotation.rotated_len()];
            coded.rotation.rotate(vector, &mut turned);
            turned.into_iter().map(f64::from).collect::<Vec<f64>>()
        };
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (mut by_planes, mut by_signs) = (0.0, 0.0);
        for query in random_vector(&mut rng, dimension * 10).chunks(dimension) {
            let exact = exact(Metric::InnerProduct, query, &rows);
            let estimates = coded.by_signs(Variant::best(), &coded.query(query));
            let asked = turned(&query.iter().zip(&centre).map(|(q, c)| q - c).collect::<Vec<f32>>());
            for ((row, exact), estimate) in rows.chunks(dimension).zip(exact).zip(estimates) {
                let exact = f64::from(exact);
                let row = turned(&row.iter().zip(&centre).map(|(x, c)| x - c).collect::<Vec<f32>>());
                let signs: Vec<f64> = row.iter().map(|x| x.signum()).collect();
                let of_signs = product(&row, &row) / product(&row, &signs) * product(&asked, &signs);
                by_signs += (of_signs - product(&asked, &row)).powi(2);
                by_planes += (f64::from(estimate.score) - exact).powi(2);
            }
        }
        let share = (by_planes / by_signs).sqrt();
        assert!(share < 0.58, "of {dimension} components two planes are off by {share} of what one is");
    }
}

/// Users lose: a hit of the exact mode, if the bar drops a row whose own score reaches it.
#[test]
fn with_full_caution_no_row_is_lost_that_reaches_the_floor() {
    let mut rng = ChaCha8Rng::seed_from_u64(34);
    for round in 0..40 {
        let (metric, dimension) = (METRICS[round % 2], 1 + rng.next_u32() as usize % 300);
        let rows = random_vector(&mut rng, dimension * 100);
        let query = rows[..dimension].to_vec();
        let coded = Coded::new(metric, &random_vector(&mut rng, dimension), &rows);
        let exact = exact(metric, &query, &rows);
        let prepared = coded.query(&query);
        for &floor in exact.iter().step_by(7) {
            let bar = Bar { floor, caution: 1.0 };
            let mut shown = [0; 4];
            let live = coded.live();
            Variant::best().scan_signs(
                &[&prepared],
                &coded.blocks,
                &live,
                &mut [bar],
                |_, block, rows, _| {
                    shown[block] = rows;
                    bar
                },
            );
            for (r, _) in exact.iter().enumerate().filter(|(_, score)| **score >= floor) {
                assert!(shown[r / 32] >> (r % 32) & 1 == 1, "row {r} of {dimension} dimensions");
            }
        }
    }
}

/// Users lose: a row of the exact mode, to a code that is longer than what is known of its row says; speed, to rows of which
/// too little is known.
#[test]
fn no_code_is_longer_than_its_row_tells() {
    let mut rng = ChaCha8Rng::seed_from_u64(35);
    for dimension in [1, 2, 3, 64, 100, 384, 1536] {
        for scale in [0.0, 1e-20, 1e-3, 0.3, 1.0, 30.0, 1e12] {
            let mut rows = random_vector(&mut rng, dimension * 20);
            rows.chunks_exact_mut(dimension).for_each(|row| assert!(crate::normalize(row) >= 0.0));
            let mut centre = random_vector(&mut rng, dimension);
            crate::normalize(&mut centre);
            // Near a row, too, and exactly there.
            let centres =
                [scaled(&centre, scale), scaled(&rows[..dimension], 1.0 + scale), rows[..dimension].to_vec()];
            for centre in &centres {
                for coded in
                    [Coded::of_units(centre, &rows), Coded::new(Metric::SquaredDistance, centre, &rows)]
                {
                    let query = coded.query(&random_vector(&mut rng, dimension));
                    for row in 0..coded.count {
                        let (code, [base, scale, residual]) = coded.nibbles(row);
                        let length =
                            code.iter().map(|x| (x * x) as f64).sum::<f64>().sqrt() * f64::from(scale);
                        let lengths = query.nibbles.lengths;
                        let told = f64::from(lengths.squared(base, residual)).sqrt();
                        let room = 1.0 + 2e-5;
                        assert!(length <= told * room, "{dimension}, {scale}: {length} is more than {told}");
                        let near = told <= length * room + 4e-3 * (1.0 + crate::norm(centre) as f64);
                        assert!(near || scale == 0.0, "{dimension}, {scale}: {length} is far from {told}");
                    }
                }
            }
        }
    }
    let coded = Coded::new(Metric::InnerProduct, &[0.5; 64], &[1.0; 64]);
    assert_eq!(
        coded.query(&[1.0; 64]).nibbles.lengths.squared(1.0, 1.0),
        f32::INFINITY,
        "of any row nothing is known"
    );
}
