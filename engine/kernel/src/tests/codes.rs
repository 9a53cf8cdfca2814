//! Are codes scored as their layout says, by every variant, and shown to whom they concern?

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{bits, canonical, every_variant, random_vector};
use crate::coded::{Integers, Lengths, Weights};
use crate::{
    BLOCK_ROWS, Bar, BlockScores, Bounds, Centre, Encoder, Estimate, Metric, Query, Reached, Rotation,
    Variant,
};

pub(super) const ALL: Bar = Bar { floor: f32::NEG_INFINITY, caution: 1.0 };

/// Rows about a centre, coded.
pub(super) struct Coded {
    pub rotation: Rotation,
    pub centre: Centre,
    pub blocks: Vec<u8>,
    pub nibble_rows: Vec<u8>,
    pub count: usize,
}

impl Coded {
    pub(super) fn new(metric: Metric, centre: &[f32], rows: &[f32]) -> Self {
        let rotation = Rotation::new(centre.len());
        let centre = Centre::new(&rotation, metric, centre.to_vec());
        Self::about(rotation, centre, rows)
    }

    /// Rows of length 1, compared by inner product.
    pub(super) fn of_units(centre: &[f32], rows: &[f32]) -> Self {
        let rotation = Rotation::new(centre.len());
        let centre = Centre::new(&rotation, Metric::InnerProduct, centre.to_vec()).of_units();
        Self::about(rotation, centre, rows)
    }

    fn about(rotation: Rotation, centre: Centre, rows: &[f32]) -> Self {
        let dimension = centre.dimension();
        let count = rows.len() / dimension;
        let mut blocks = vec![0; centre.block_bytes() * count.div_ceil(BLOCK_ROWS)];
        let mut nibble_rows = vec![0; centre.nibble_row_bytes() * count];
        let mut encoder = Encoder::new(&rotation, &centre);
        for (i, row) in rows.chunks_exact(dimension).enumerate() {
            let block = &mut blocks[i / BLOCK_ROWS * centre.block_bytes()..][..centre.block_bytes()];
            let nibble_row = &mut nibble_rows[i * centre.nibble_row_bytes()..][..centre.nibble_row_bytes()];
            encoder.encode(row, nibble_row, Some((block, i % BLOCK_ROWS)));
            let mut alone = vec![0; nibble_row.len()];
            encoder.encode(row, &mut alone, None);
            assert_eq!(alone, nibble_row, "with or without its sign code");
        }
        Self { rotation, centre, blocks, nibble_rows, count }
    }

    pub(super) fn query(&self, query: &[f32]) -> Query {
        let mut rotated = vec![0.0; self.rotation.rotated_len()];
        self.rotation.rotate(query, &mut rotated);
        Query::new(&self.centre, query, &rotated)
    }

    pub(super) fn live(&self) -> Vec<u32> {
        let word = |block: usize| ((1_u64 << 32.min(self.count - block * 32)) - 1) as u32;
        (0..self.count.div_ceil(BLOCK_ROWS)).map(word).collect()
    }

    /// Every row's estimate by its sign code.
    pub(super) fn by_signs(&self, variant: Variant, query: &Query) -> Vec<Estimate> {
        let mut estimates = vec![Estimate::default(); self.count];
        variant.scan_signs(&[query], &self.blocks, &self.live(), &mut [ALL], |_, block, rows, scores| {
            for r in (0..32).filter(|r| rows >> r & 1 == 1) {
                let estimate = Estimate { score: scores.estimates[r], error: scores.errors[r] };
                estimates[block * BLOCK_ROWS + r] = estimate;
            }
            ALL
        });
        estimates
    }

    /// Every row's estimate by its 4-bit code.
    pub(super) fn by_nibbles(&self, variant: Variant, query: &Query) -> Vec<Estimate> {
        let mut estimates = vec![Estimate::default(); self.count];
        variant.estimate_rows(query, &self.nibble_rows, &mut estimates);
        // Any order of any rows gets the same.
        let places: Vec<usize> = (0..self.count).rev().chain([0]).collect();
        let mut again = vec![Estimate::default(); places.len()];
        let rows: Vec<&[u8]> = self.nibble_rows.chunks(self.nibble_rows.len() / self.count).collect();
        let rows: Vec<&[u8]> = places.iter().map(|&place| rows[place]).collect();
        variant.estimate_each(query, &rows, &mut again);
        let wanted: Vec<Estimate> = places.iter().map(|&place| estimates[place]).collect();
        assert_eq!(both(&again), both(&wanted), "{}", variant.name());
        estimates
    }

    fn planes(&self) -> usize {
        if self.centre.dimension() <= 192 { 2 } else { 1 }
    }

    /// A row's signs, of one plane behind the other, and factors, by the layout.
    pub(super) fn signs(&self, row: usize) -> (Vec<i64>, [f32; 3]) {
        let length = self.planes() * self.rotation.rotated_len();
        let block = &self.blocks[row / 32 * self.centre.block_bytes()..][..self.centre.block_bytes()];
        let bit = |i: usize| block[32 * (i / 8) + row % 32] >> (i % 8) & 1;
        let factors = &block[4 * length..];
        let places = [4 * (row % 32) + 2, 4 * (row % 32), 128 + 2 * (row % 32)];
        let factor = |at: usize| number(&[0, 0, factors[at], factors[at + 1]]);
        ((0..length).map(|i| 2 * i64::from(bit(i)) - 1).collect(), places.map(factor))
    }

    /// A row's 4-bit code and factors, by the layout.
    pub(super) fn nibbles(&self, row: usize) -> (Vec<i64>, [f32; 3]) {
        let length = self.rotation.rotated_len();
        let bytes =
            &self.nibble_rows[row * self.centre.nibble_row_bytes()..][..self.centre.nibble_row_bytes()];
        let nibble = |i: usize| bytes[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 15;
        let factor = |f: usize| number(&bytes[length / 2 + 4 * f..]);
        ((0..length).map(|i| 2 * i64::from(nibble(i)) - 15).collect(), [0, 1, 2].map(factor))
    }
}

fn number(bytes: &[u8]) -> f32 {
    f32::from_le_bytes(bytes[..4].try_into().expect("four bytes"))
}

/// The reference: a product of integers, then two sums of rounded products. What a code's length weighs is less where the
/// row's own length is known.
fn estimate(
    integers: &[i64],
    weights: &Weights,
    lengths: Option<&Lengths>,
    (code, [base, scale, residual]): (Vec<i64>, [f32; 3]),
) -> Estimate {
    let product: i64 = integers.iter().zip(code).map(|(z, x)| z * x).sum();
    let begun = weights.constant + base;
    let by_code = scale * (weights.unit * product as f32);
    let own = |lengths: &Lengths| {
        let squared = (lengths.squared + lengths.base * base) + residual * residual;
        lengths.weight * (if squared > 0.0 { squared } else { 0.0 }).sqrt()
    };
    let longest = scale * weights.scale;
    let of_code = lengths.map(own).filter(|own| *own < longest).unwrap_or(longest);
    let by_row = residual * weights.residual + of_code;
    let at_least = base.abs() * weights.base + weights.error;
    Estimate { score: begun + by_code, error: by_row + at_least }
}

fn fine_estimate(integers: &[i64], query: &Query, row: (Vec<i64>, [f32; 3])) -> Estimate {
    estimate(integers, &query.nibbles.weights, Some(&query.nibbles.lengths), row)
}

/// The integers that a query's tables were made of.
fn sign_integers(query: &Query) -> Vec<i64> {
    let of_table = |table: &[u8]| [1, 2, 4, 8].map(|c| i64::from(table[c]) - i64::from(table[0]));
    let groups = query.signs().tables.iter().flat_map(|t| [&t.low[..], &t.high, &t.low[32..], &t.high[32..]]);
    groups.flat_map(of_table).collect()
}

/// Sixteenths of what stands for the query.
fn fine_integers(query: &Query) -> Vec<i64> {
    let chunk = |integers: &Integers, at: usize| {
        let [low, high] =
            [&integers.low, &integers.high].map(|all| all[at..at + 32].iter().map(|&z| i64::from(z)));
        let of_low = low.zip(high.clone()).map(|(low, high)| 16 * low + high);
        of_low.chain(high.map(|high| 16 * high)).collect::<Vec<_>>()
    };
    let pairs = query.nibbles.integers.iter();
    let all = pairs.flat_map(|pair| [chunk(pair, 0), chunk(pair, 32)].concat());
    all.take(query.nibbles.code_bytes * 2).collect()
}

fn both(estimates: &[Estimate]) -> (Vec<u32>, Vec<u32>) {
    let (scores, errors): (Vec<f32>, Vec<f32>) = estimates.iter().map(|e| (e.score, e.error)).unzip();
    (bits(&scores), bits(&errors))
}

/// Users lose: the same search finds other documents on another machine, or in a batch.
#[test]
fn every_variant_scores_codes_as_the_layout_says() {
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    for dimension in [1, 2, 63, 64, 65, 100, 128, 192, 193, 384, 768, 2048, 2049, 8192] {
        let metric = [Metric::InnerProduct, Metric::SquaredDistance][dimension % 2];
        for count in [1, 31, 32, 33, 70] {
            let rows = random_vector(&mut rng, dimension * count);
            let coded = Coded::new(metric, &random_vector(&mut rng, dimension), &rows);
            let query = coded.query(&random_vector(&mut rng, dimension));
            let signs = sign_integers(&query);
            let wanted: Vec<Estimate> = (0..count)
                .map(|row| estimate(&signs, &query.signs().weights, None, coded.signs(row)))
                .collect();
            let what = format!("{count} rows of {dimension}");
            every_variant(&what, both(&wanted), |variant| both(&coded.by_signs(variant, &query)));
            let fine = fine_integers(&query);
            let wanted: Vec<Estimate> =
                (0..count).map(|row| fine_estimate(&fine, &query, coded.nibbles(row))).collect();
            every_variant(&what, both(&wanted), |variant| both(&coded.by_nibbles(variant, &query)));
        }
    }
}

/// Users lose: the same search finds other documents on another machine.
#[test]
fn every_variant_prepares_the_same_query() {
    let mut rng = ChaCha8Rng::seed_from_u64(24);
    for dimension in [1, 63, 64, 100, 128, 384, 1000] {
        for metric in [Metric::InnerProduct, Metric::SquaredDistance] {
            let coded = Coded::new(metric, &random_vector(&mut rng, dimension), &[]);
            let query = random_vector(&mut rng, dimension);
            let mut rotated = vec![0.0; coded.rotation.rotated_len()];
            coded.rotation.rotate(&query, &mut rotated);
            // Debug tells each number to its last bit.
            let wanted = format!("{:?}", coded.query(&query));
            every_variant(&format!("{dimension}"), wanted, |variant| {
                format!("{:?}", Query::prepared_by(variant, &coded.centre, &query, &rotated))
            });
        }
    }
}

/// Users lose: everything, to sums that overflow for the most extreme of queries and codes.
#[test]
fn the_greatest_sums_do_not_overflow() {
    for dimension in [64, 192, 2048, 4096, 8192, 65_536] {
        let coded = Coded::new(Metric::InnerProduct, &vec![0.0; dimension], &vec![1.0; dimension]);
        // Rotated already, as it may be: each component as great as any other.
        let rotated: Vec<f32> = (0..dimension).map(|i| if i % 3 == 0 { -1.0 } else { 1.0 }).collect();
        let query = Query::new(&coded.centre, &vec![1.0; dimension], &rotated);
        let code: Vec<f32> = rotated.iter().map(|q| q * 1e6).collect();
        let (signs, fine) = (sign_integers(&query), fine_integers(&query));
        let (first, second) = signs.split_at(dimension);
        assert!(first.iter().all(|z| z.abs() == 15) && fine.iter().all(|z| z.abs() == 16 * 112));
        assert!(second.len() == (coded.planes() - 1) * dimension && second.iter().all(|z| z.abs() == 8));
        for flip in [1.0, -1.0] {
            let mut coded = Coded::new(Metric::InnerProduct, &vec![0.0; dimension], &vec![1.0; dimension]);
            let bit = |i: usize| u8::from(code[i] * flip > 0.0);
            for i in 0..dimension {
                for plane in 0..coded.planes() {
                    let byte = &mut coded.blocks[32 * ((plane * dimension + i) / 8)];
                    *byte = *byte & !(1 << (i % 8)) | bit(i) << (i % 8);
                }
                let (byte, shift) = (&mut coded.nibble_rows[i / 64 * 32 + i % 32], i % 64 / 32 * 4);
                *byte = *byte & !(15 << shift) | (bit(i) * 15) << shift;
            }
            let by_signs = estimate(&signs, &query.signs().weights, None, coded.signs(0));
            let by_nibbles = fine_estimate(&fine, &query, coded.nibbles(0));
            every_variant("signs", both(&[by_signs]), |variant| both(&coded.by_signs(variant, &query)));
            every_variant("nibbles", both(&[by_nibbles]), |variant| both(&coded.by_nibbles(variant, &query)));
        }
    }
}

/// Users lose: the server, to damaged codes that passed all checksums; or one answer for all machines.
#[test]
fn any_bytes_are_scored_alike_by_every_variant() {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    for _ in 0..100 {
        let mut coded = Coded::new(Metric::InnerProduct, &[0.5; 100], &random_vector(&mut rng, 6400));
        coded.blocks.iter_mut().chain(&mut coded.nibble_rows).for_each(|byte| *byte = rng.next_u32() as u8);
        let query = coded.query(&random_vector(&mut rng, 100));
        let answer = |variant: Variant, caution: f32| {
            let bar = Bar { floor: 0.1, caution };
            let mut shown = Vec::new();
            variant.scan_signs(
                &[&query],
                &coded.blocks,
                &coded.live(),
                &mut [bar],
                |_, block, rows, scores| {
                    let unknown = |r: &usize| {
                        let error = if caution > 0.0 { scores.errors[*r] } else { 0.0 };
                        (scores.estimates[*r] + error).is_nan()
                    };
                    assert!(
                        (0..32).filter(unknown).all(|r| rows >> r & 1 == 1),
                        "what can't be compared stays"
                    );
                    shown.push((block, rows, scores.estimates.map(canonical)));
                    bar
                },
            );
            (shown, both(&coded.by_nibbles(variant, &query)))
        };
        for caution in [0.0, 1.0] {
            every_variant("any bytes", answer(Variant::all()[0], caution), |variant| {
                answer(variant, caution)
            });
        }
    }
}

/// Users lose: deleted documents come back, filters leak, or a batch's queries get each other's hits.
#[test]
fn a_scan_shows_the_rows_that_take_part_and_may_reach_the_bar_of_each_query() {
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    for round in 0..60 {
        let count = 1 + rng.next_u32() as usize % 200;
        let coded = Coded::new(Metric::SquaredDistance, &[0.25; 70], &random_vector(&mut rng, 70 * count));
        let queries: Vec<Query> =
            (0..1 + round % 9).map(|_| coded.query(&random_vector(&mut rng, 70))).collect();
        let mut live = coded.live();
        live.iter_mut().for_each(|word| *word &= [0, u32::MAX, rng.next_u32()][rng.next_u32() as usize % 3]);
        // A block that takes no part may hold anything.
        let mut blocks = coded.blocks.clone();
        for (block, _) in
            blocks.chunks_mut(coded.centre.block_bytes()).zip(&live).filter(|(_, word)| **word == 0)
        {
            block.fill(0xff);
        }
        // The bar rises as the scan goes on, by the number of the block.
        let bar = |query: usize, block: usize| Bar {
            floor: -60.0 + 4.0 * block as f32 + query as f32,
            caution: [0.0, 0.3, 1.0][query % 3],
        };
        let asked_for = |error: f32, bar: Bar| (bar.caution > 0.0).then_some(error.to_bits());
        let mut wanted = Vec::new();
        for (q, query) in queries.iter().enumerate() {
            let mut now = bar(q, 0);
            let estimates = coded.by_signs(Variant::all()[0], query);
            for (block, (estimates, &word)) in estimates.chunks(32).zip(&live).enumerate() {
                let stays = |e: &Estimate| e.score + now.caution * e.error >= now.floor;
                let stay =
                    estimates.iter().enumerate().map(|(r, e)| u32::from(stays(e)) << r).sum::<u32>() & word;
                if stay != 0 {
                    let first = estimates[stay.trailing_zeros() as usize];
                    let error = asked_for(first.error, now);
                    wanted.push((q, block, stay, first.score.to_bits(), error));
                    now = bar(q, block);
                }
            }
        }
        let queries: Vec<&Query> = queries.iter().collect();
        every_variant("shown", wanted, |variant| {
            let mut bars: Vec<Bar> = (0..queries.len()).map(|q| bar(q, 0)).collect();
            let mut shown = Vec::new();
            variant.scan_signs(
                &queries,
                &blocks,
                &live,
                &mut bars,
                |q, block, rows, scores: &BlockScores| {
                    let first = rows.trailing_zeros() as usize;
                    let score = scores.estimates[first].to_bits();
                    shown.push((q, block, rows, score, asked_for(scores.errors[first], bar(q, block))));
                    bar(q, block)
                },
            );
            shown.sort_unstable_by_key(|&(q, block, ..)| (q, block));
            shown
        });
    }
    Variant::best().scan_signs(&[], &[], &[], &mut [], |_, _, _, _| ALL);
}

/// Users lose: an index that another machine wrote, or every hit after a merge that copied codes.
#[test]
fn codes_are_the_same_bytes_everywhere() {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let mut sums = [0_u32; 2];
    for dimension in [1, 3, 64, 100, 384, 1000, 3072] {
        for metric in [Metric::InnerProduct, Metric::SquaredDistance] {
            let centre = random_vector(&mut rng, dimension);
            let coded = Coded::new(metric, &centre, &random_vector(&mut rng, dimension * 40));
            for (sum, codes) in sums.iter_mut().zip([&coded.blocks, &coded.nibble_rows]) {
                *sum = codes
                    .iter()
                    .fold(*sum, |sum, &byte| sum.rotate_left(5).wrapping_mul(3) ^ u32::from(byte));
            }
        }
    }
    assert_eq!(
        sums,
        [383_085_237, 1_570_371_936],
        "codes changed: segments that hold the old ones need a new version"
    );
}

/// Users lose: memory and disk that were promised to be enough.
#[test]
fn codes_of_384_dimensions_take_at_most_300_bytes() {
    let coded = Coded::new(Metric::InnerProduct, &[0.0; 384], &[]);
    assert_eq!((coded.centre.block_bytes() / 32, coded.centre.nibble_row_bytes()), (54, 204));
    for (dimension, row_bytes) in [(1, 22), (64, 22), (65, 38), (192, 54), (193, 38)] {
        let coded = Coded::new(Metric::InnerProduct, &vec![0.0; dimension], &[]);
        assert_eq!(coded.centre.block_bytes() / 32, row_bytes, "{dimension} components");
    }
}

/// Users lose: documents that are found by their second list only, which a copy stands for.
#[test]
fn a_copied_sign_code_is_the_same_in_another_place() {
    let mut rng = ChaCha8Rng::seed_from_u64(25);
    for dimension in [1, 100, 192, 193, 384] {
        let rows = random_vector(&mut rng, dimension * 40);
        let mut coded = Coded::new(Metric::InnerProduct, &random_vector(&mut rng, dimension), &rows);
        let before = [5, 33].map(|row| coded.signs(row));
        coded.blocks.resize(3 * coded.centre.block_bytes(), 0);
        coded.centre.copy_signs(&mut coded.blocks, (0, 5), (2, 31));
        coded.centre.copy_signs(&mut coded.blocks, (1, 1), (2, 0));
        assert_eq!([64 + 31, 64].map(|row| coded.signs(row)), before);
        assert_eq!([5, 33].map(|row| coded.signs(row)), before);
    }
}

/// Users lose: results from rows that nobody wrote.
#[test]
#[should_panic(expected = "a word for each whole block")]
fn blocks_that_are_not_whole_are_refused() {
    let coded = Coded::new(Metric::InnerProduct, &[0.0; 3], &[1.0; 3]);
    let query = coded.query(&[1.0; 3]);
    let short = &coded.blocks[1..];
    Variant::best().scan_signs(&[&query], short, &[1], &mut [ALL], |_, _, _, _| ALL);
}

/// Users lose: another document's score, if a row is cut wrongly.
#[test]
#[should_panic(expected = "whole nibble rows")]
fn a_row_that_is_not_whole_is_refused() {
    let coded = Coded::new(Metric::InnerProduct, &[0.0; 3], &[1.0; 3]);
    let query = coded.query(&[1.0; 3]);
    Variant::best().estimate_each(&query, &[&coded.nibble_rows[1..]], &mut [Estimate::default()]);
}

/// Users lose: a query of a batch gets another one's scores, or scores that are not its own to the last bit.
#[test]
fn queries_that_share_the_reading_of_rows_get_their_own_estimates() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for (dimension, count) in [(3, 1), (64, 4), (100, 7), (384, 33), (130, 0)] {
        let rows: Vec<f32> = (0..count).flat_map(|_| random_vector(&mut rng, dimension)).collect();
        let coded = Coded::new(Metric::InnerProduct, &random_vector(&mut rng, dimension), &rows);
        let queries: Vec<Query> = (0..9).map(|_| coded.query(&random_vector(&mut rng, dimension))).collect();
        for variant in Variant::all() {
            for together in 0..=queries.len() {
                let queries: Vec<&Query> = queries[..together].iter().collect();
                let mut estimates = vec![vec![Estimate::default(); count]; together];
                let mut lists: Vec<&mut [Estimate]> = estimates.iter_mut().map(Vec::as_mut_slice).collect();
                variant.estimate_rows_together(&queries, &coded.nibble_rows, &mut lists);
                for (query, estimates) in queries.iter().zip(&estimates) {
                    let mut alone = vec![Estimate::default(); count];
                    variant.estimate_rows(query, &coded.nibble_rows, &mut alone);
                    assert_eq!(both(estimates), both(&alone), "{}, {together} queries", variant.name());
                    let mut bounds = vec![Bounds::NONE; count];
                    variant.estimate_rows(query, &coded.nibble_rows, &mut bounds);
                    let about = |&Estimate { score, error }: &Estimate| Bounds {
                        least: score - error,
                        most: score + error,
                    };
                    let wanted: Vec<Bounds> = alone.iter().map(about).collect();
                    assert_eq!(bounds, wanted, "{}, what follows of estimates", variant.name());
                }
            }
        }
    }
}

/// Users lose: a hit, to a row that is passed over or told under another one's number.
#[test]
fn rows_that_reach_a_floor_are_told_with_their_bounds() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for (dimension, count) in [(3, 1), (64, 15), (100, 16), (384, 33), (384, 300), (130, 0)] {
        let rows: Vec<f32> = (0..count).flat_map(|_| random_vector(&mut rng, dimension)).collect();
        let coded = Coded::new(Metric::InnerProduct, &random_vector(&mut rng, dimension), &rows);
        let query = coded.query(&random_vector(&mut rng, dimension));
        for variant in Variant::all() {
            let mut all = vec![Bounds::NONE; count];
            variant.estimate_rows(&query, &coded.nibble_rows, &mut all);
            let mut floors: Vec<f32> = all.iter().map(|row| row.most).collect();
            floors.extend([f32::MIN, f32::NEG_INFINITY, f32::INFINITY, f32::NAN]);
            for floor in floors {
                let before = Reached { numbers: vec![3], bounds: vec![Bounds::exact(0.5)] };
                let reaching = (7..).zip(&all).filter(|(_, row)| row.most >= floor);
                let (numbers, bounds): (Vec<u32>, Vec<Bounds>) = reaching.unzip();
                let mut reached = Reached { numbers: vec![3], bounds: vec![Bounds::exact(0.5)] };
                variant.reach_rows(&query, &coded.nibble_rows, floor, 7, &mut reached);
                assert_eq!(reached.numbers, [before.numbers, numbers].concat(), "{}", variant.name());
                assert_eq!(reached.bounds, [before.bounds, bounds].concat(), "{}", variant.name());
            }
        }
    }
}

/// Users lose: a hit, or see a document that a filter hides, if others are left out.
#[test]
fn of_rows_that_reach_a_floor_those_are_kept_that_are_wanted() {
    let bounds = |row: u32| Bounds::exact(row as f32);
    let mut reached = Reached { numbers: (0..40).collect(), bounds: (0..40).map(bounds).collect() };
    reached.retain(|row, bounds| row % 3 == 1 && bounds.most < 30.0);
    assert_eq!(reached.numbers, [1, 4, 7, 10, 13, 16, 19, 22, 25, 28]);
    assert_eq!(reached.bounds, reached.numbers.iter().map(|&row| bounds(row)).collect::<Vec<_>>());
    reached.clear();
    assert!(reached.is_empty() && reached.bounds.is_empty());
}

/// Users lose: another document's score, if rows are cut wrongly for one query of several.
#[test]
#[should_panic(expected = "an estimate for each whole row")]
fn rows_that_are_not_whole_are_refused_to_several_queries() {
    let coded = Coded::new(Metric::InnerProduct, &[0.0; 3], &[1.0; 6]);
    let query = coded.query(&[1.0; 3]);
    let (mut two, mut one) = ([Estimate::default(); 2], [Estimate::default()]);
    Variant::best().estimate_rows_together(&[&query, &query], &coded.nibble_rows, &mut [&mut two, &mut one]);
}

/// Without this, a row that stands in two lists would be estimated as two rows, or overwrite others.
#[test]
fn a_sign_code_is_the_same_where_it_is_copied_to() {
    for dimension in [3, 100, 384, 700] {
        let mut rng = ChaCha8Rng::seed_from_u64(dimension);
        let rows: Vec<f32> = random_vector(&mut rng, 40 * dimension as usize);
        let mut coded = Coded::new(Metric::SquaredDistance, &rows[..dimension as usize], &rows);
        let query = coded.query(&rows[rows.len() - dimension as usize..]);
        let before = coded.by_signs(Variant::best(), &query);
        coded.count = 64;
        for (from, to) in [((0, 31), (1, 30)), ((1, 7), (1, 8)), ((0, 0), (1, 31))] {
            coded.centre.copy_signs(&mut coded.blocks, from, to);
        }
        let after = coded.by_signs(Variant::best(), &query);
        assert_eq!(after[..40], before[..], "{dimension}: others stay as they are");
        assert_eq!([after[62], after[40], after[63]], [before[31], before[39], before[0]], "{dimension}");
    }
}
