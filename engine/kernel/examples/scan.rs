//! How many rows does each variant score in a millisecond, and how many simsimd?
//!
//! `cargo run --release -p strongroom-kernel --example scan`

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use simsimd::SpatialSimilarity;
use strongroom_kernel::Variant;

const DIMENSION: usize = 256;
/// A cache line: rows that begin with one are read fastest.
const LINE_ELEMENTS: usize = 16;
/// The best of these many rounds counts: on a shared machine the others measure the neighbours.
const ROUNDS: usize = 60;

fn main() {
    let query = numbers(DIMENSION);
    for count in [1_000, 32_000] {
        let buffer = numbers(DIMENSION * count + LINE_ELEMENTS);
        let rows = &buffer[buffer.as_ptr().align_offset(64)..][..DIMENSION * count];
        let (mut scores, mut products) = (vec![0.0_f32; count], vec![0.0_f64; count]);
        println!("{count} rows of {DIMENSION} dimensions ({} KB)", count * DIMENSION * 4 / 1024);
        let simsimd = rows_per_ms(count, || {
            for (row, score) in rows.chunks_exact(DIMENSION).zip(&mut products) {
                *score = f32::dot(black_box(&query), row).unwrap_or_default();
            }
        });
        println!("  {:<10} {simsimd:>8.0} rows/ms", "simsimd");
        for variant in Variant::all() {
            let speed = rows_per_ms(count, || variant.dot_rows(black_box(&query), rows, &mut scores));
            println!("  {:<10} {speed:>8.0} rows/ms   {:.2} × simsimd", variant.name(), speed / simsimd);
        }
    }
}

fn rows_per_ms(count: usize, mut scan: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        scan();
        best = best.min(start.elapsed());
    }
    count as f64 / best.as_secs_f64() / 1000.0
}

/// Numbers that no optimiser knows.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| black_box((i * 7919 % 2003) as f32 / 1001.0 - 1.0)).collect()
}
