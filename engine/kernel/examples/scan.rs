//! How many rows does each kernel of each variant score in a millisecond, and how many simsimd?
//!
//! `cargo run --release -p strongroom-kernel --example scan`
//!
//! In the cache and in memory that no cache holds. Rows repeat there, as their values don't matter.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use simsimd::SpatialSimilarity;
use strongroom_kernel::{
    BLOCK_ROWS, Bar, Centre, Dot, Encoder, Estimate, Metric, Query, Rotation, Variant, half,
};

const DIMENSION: usize = 384;
/// Queries of the scans by several.
const QUERIES: usize = 4;
/// Rows that are made; all others repeat them.
const MADE: usize = 1024;
const IN_CACHE_BYTES: usize = 256 << 10;
const IN_MEMORY_BYTES: usize = 512 << 20;
/// The best of these many rounds counts: on a shared machine the others measure the neighbours.
const ROUNDS: usize = 12;
/// As many rounds in the cache, where one is short.
const CACHE_ROUNDS: usize = 400;

fn main() {
    let made = numbers(DIMENSION * MADE, 1);
    let queries: Vec<Vec<f32>> = (0..QUERIES as u32).map(|i| numbers(DIMENSION, i + 2)).collect();
    for bytes in [IN_CACHE_BYTES, IN_MEMORY_BYTES] {
        println!("{DIMENSION} dimensions, {} KB of rows; rows/ms", bytes / 1024);
        let rounds = if bytes == IN_CACHE_BYTES { CACHE_ROUNDS } else { ROUNDS };
        numbers_and_halves(&made, &queries, bytes, rounds);
        bytes_of_rows(&made, &queries[0], bytes, rounds);
        codes(&made, &queries, bytes, rounds);
    }
    encoding(&made);
}

fn numbers_and_halves(made: &[f32], queries: &[Vec<f32>], bytes: usize, rounds: usize) {
    let query = &queries[0];
    let rows = repeated(made, bytes / 4);
    let rows = &rows[aligned(&rows)..];
    let count = rows.len() / DIMENSION;
    let rows = &rows[..count * DIMENSION];
    let live = vec![u32::MAX; count.div_ceil(BLOCK_ROWS)];
    let queries: Vec<&[f32]> = queries.iter().map(Vec::as_slice).collect();
    let mut scores = vec![0.0; count * QUERIES];
    let simsimd = rows_per_ms(count, rounds, || {
        for (row, score) in rows.chunks_exact(DIMENSION).zip(&mut scores) {
            *score = f32::dot(black_box(query), row).unwrap_or_default() as f32;
        }
    });
    println!("  {:<24}{:<10}{simsimd:>10.0}", "f32", "simsimd");
    for variant in Variant::all() {
        report(
            "f32",
            variant,
            simsimd,
            rows_per_ms(count, rounds, || {
                variant.dot_rows(black_box(query), rows, &mut scores[..count]);
            }),
        );
        report(
            "f32, 4 queries",
            variant,
            simsimd,
            rows_per_ms(count * QUERIES, rounds, || {
                variant.scan::<Dot>(black_box(&queries), rows, &live, &mut scores);
            }),
        );
        report(
            "f32, distance",
            variant,
            simsimd,
            rows_per_ms(count, rounds, || {
                variant.squared_distance_rows(black_box(query), rows, &mut scores[..count]);
            }),
        );
    }
    let halves: Vec<u16> = made.iter().map(|&x| half::narrow(x)).collect();
    let rows = repeated(&halves, bytes / 2);
    let count = rows.len() / DIMENSION;
    scores.resize(count.max(scores.len()), 0.0);
    for variant in Variant::all() {
        report(
            "f16",
            variant,
            simsimd,
            rows_per_ms(count, rounds, || {
                variant.dot_rows_f16(black_box(query), &rows[..count * DIMENSION], &mut scores[..count]);
            }),
        );
    }
}

fn bytes_of_rows(made: &[f32], query: &[f32], bytes: usize, rounds: usize) {
    let byte = |x: &f32| (x * 127.0) as i8;
    let query: Vec<i8> = query.iter().map(byte).collect();
    let rows = repeated(&made.iter().map(byte).collect::<Vec<i8>>(), bytes);
    let rows = &rows[aligned(&rows)..];
    let count = rows.len() / DIMENSION;
    let rows = &rows[..count * DIMENSION];
    let mut scores = vec![0; count];
    let simsimd = rows_per_ms(count, rounds, || {
        for (row, score) in rows.chunks_exact(DIMENSION).zip(&mut scores) {
            *score = i8::dot(black_box(&query), row).unwrap_or_default() as i32;
        }
    });
    println!("  {:<24}{:<10}{simsimd:>10.0}", "i8", "simsimd");
    for variant in Variant::all() {
        report(
            "i8",
            variant,
            simsimd,
            rows_per_ms(count, rounds, || {
                variant.dot_rows_i8(black_box(&query), rows, &mut scores);
            }),
        );
    }
}

fn codes(made: &[f32], queries: &[Vec<f32>], bytes: usize, rounds: usize) {
    let rotation = Rotation::new(DIMENSION);
    let centre = Centre::new(&rotation, Metric::InnerProduct, vec![0.0; DIMENSION]);
    let (blocks, nibble_rows) = encode(&rotation, &centre, made);
    let blocks = repeated(&blocks, bytes);
    let blocks = &blocks[aligned(&blocks)..];
    let block_count = blocks.len() / centre.block_bytes();
    let blocks = &blocks[..block_count * centre.block_bytes()];
    let queries: Vec<Query> = queries
        .iter()
        .map(|query| {
            let mut rotated = vec![0.0; rotation.rotated_len()];
            rotation.rotate(query, &mut rotated);
            Query::new(&centre, query, &rotated)
        })
        .collect();
    let queries: Vec<&Query> = queries.iter().collect();
    let live = vec![u32::MAX; block_count];
    // As high as the bar of a search stands soon: one row in many reaches it.
    let bar = Bar { floor: 30.0, caution: 0.15 };
    let count = block_count * BLOCK_ROWS;
    for variant in Variant::all() {
        for queries in [&queries[..1], &queries[..]] {
            let mut shown = 0;
            let speed = rows_per_ms(count * queries.len(), rounds, || {
                let mut bars = vec![bar; queries.len()];
                variant.scan_signs(black_box(queries), blocks, &live, &mut bars, |_, _, rows, _| {
                    shown += rows.count_ones();
                    bar
                });
            });
            black_box(shown);
            let name = if queries.len() == 1 { "1 bit" } else { "1 bit, 4 queries" };
            println!("  {name:<24}{:<10}{speed:>10.0}", variant.name());
        }
    }
    let rows = repeated(&nibble_rows, bytes);
    let count = rows.len() / centre.nibble_row_bytes();
    let rows = &rows[..count * centre.nibble_row_bytes()];
    let mut estimates = vec![Estimate::default(); count];
    for variant in Variant::all() {
        let speed = rows_per_ms(count, rounds, || {
            variant.estimate_rows(black_box(queries[0]), rows, &mut estimates);
        });
        println!("  {:<24}{:<10}{speed:>10.0}", "4 bits", variant.name());
    }
}

fn encoding(made: &[f32]) {
    let rotation = Rotation::new(DIMENSION);
    let centre = Centre::new(&rotation, Metric::InnerProduct, vec![0.01; DIMENSION]);
    let speed = rows_per_ms(MADE, ROUNDS, || {
        black_box(encode(&rotation, &centre, black_box(made)));
    });
    println!("encoding in 1 and 4 bits: {:.0} rows/s", speed * 1000.0);
    let query = &made[..DIMENSION];
    let mut rotated = vec![0.0; rotation.rotated_len()];
    let speed = rows_per_ms(1, CACHE_ROUNDS, || rotation.rotate(black_box(query), &mut rotated));
    println!("rotating a query: {:.1} µs", 1000.0 / speed);
    let speed = rows_per_ms(1, CACHE_ROUNDS, || {
        black_box(Query::new(&centre, black_box(query), &rotated));
    });
    println!("preparing a rotated query for a centre: {:.1} µs", 1000.0 / speed);
}

fn encode(rotation: &Rotation, centre: &Centre, rows: &[f32]) -> (Vec<u8>, Vec<u8>) {
    let count = rows.len() / DIMENSION;
    let mut encoder = Encoder::new(rotation, centre);
    let mut blocks = vec![0; centre.block_bytes() * count.div_ceil(BLOCK_ROWS)];
    let mut nibble_rows = vec![0; centre.nibble_row_bytes() * count];
    let codes = nibble_rows.chunks_exact_mut(centre.nibble_row_bytes());
    for (i, (row, nibble_row)) in rows.chunks_exact(DIMENSION).zip(codes).enumerate() {
        let block = blocks.chunks_exact_mut(centre.block_bytes()).nth(i / BLOCK_ROWS).unwrap_or_default();
        encoder.encode(row, nibble_row, Some((block, i % BLOCK_ROWS)));
    }
    (blocks, nibble_rows)
}

fn report(name: &str, variant: Variant, simsimd: f64, speed: f64) {
    println!("  {name:<24}{:<10}{speed:>10.0}   {:.2} × simsimd", variant.name(), speed / simsimd);
}

fn rows_per_ms(count: usize, rounds: usize, mut scan: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        scan();
        best = best.min(start.elapsed());
    }
    count as f64 / best.as_secs_f64() / 1000.0
}

/// At least as many elements, and a cache line more.
fn repeated<T: Copy>(made: &[T], count: usize) -> Vec<T> {
    made.iter().copied().cycle().take(count + 64).collect()
}

/// Where the first element lies that begins a cache line: rows that do are read fastest.
fn aligned<T>(elements: &[T]) -> usize {
    elements.as_ptr().align_offset(64)
}

/// Numbers that no optimiser knows.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (black_box(state) >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}
