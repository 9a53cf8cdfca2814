//! What share of the memory's bandwidth does each scan take up?
//!
//!     cargo xtask bench bandwidth
//!
//! One core reads rows of 1,536 MiB, which no cache holds, in pieces of 24 MiB: now by summing them with the widest loads
//! there are, now by scoring them, in turns, never the same piece again before most of the others. The best plain sum is the
//! bandwidth: with and without asking for what comes next. A figure is what the fastest tenth of the pieces reach: on a
//! machine that others share, the rest measures the others. All of it twice, in pages as they come and in huge ones, which
//! the C library is asked for. Where several queries score rows that come once, what all of them score counts as rows.
//! *Times f32*: so many times the rows that the bandwidth would let come as f32.

#![allow(clippy::print_stdout, unsafe_code)]

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use strongroom_kernel::{
    BLOCK_ROWS, Bar, Centre, Dot, Encoder, Estimate, Metric, Query, Rotation, Variant, half,
};

const DIMENSIONS: [usize; 2] = [384, 100];
const MEMORY_BYTES: usize = 1536 << 20;
const PIECE_BYTES: usize = 24 << 20;
/// Rows that are made; all others repeat them, as their values don't matter.
const MADE: usize = 1024;
/// Each way to read takes so many pieces.
const ROUNDS: usize = 150;
/// Queries that score rows together.
const QUERIES: usize = 4;
/// How far ahead a sum asks for what comes next, in bytes.
const AHEAD: usize = 1024;
const HUGE_PAGES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");

fn main() {
    if std::env::args().nth(1).is_some() {
        DIMENSIONS.iter().for_each(|&dimension| measure(dimension));
        return;
    }
    let program = std::env::current_exe().expect("the path of this program");
    for huge in [false, true] {
        let pages = if huge { "Huge" } else { "Usual" };
        println!("{pages} pages, kernels of {}\n", Variant::best().name());
        println!("| rows | bandwidth, GB/s | scan, GB/s | share | rows/ms | times f32 |");
        println!("|---|---|---|---|---|---|");
        let mut again = Command::new(&program);
        again.arg("measure").env_remove(HUGE_PAGES.0);
        if huge {
            again.env(HUGE_PAGES.0, HUGE_PAGES.1);
        }
        assert!(again.status().expect("this program").success());
        println!();
    }
}

/// Scans of rows of this dimension, one line of the table each.
fn measure(dimension: usize) {
    let kernel = Variant::best();
    let (made, query) = (numbers(dimension * MADE, 1), numbers(dimension, 2));
    let mut scores = vec![0.0; PIECE_BYTES];
    let row = Row { kind: "f32", dimension, bytes: dimension * 4, queries: 1 };
    report(&row, &made, |rows| {
        kernel.dot_rows(&query, rows, &mut scores[..rows.len() / dimension]);
    });
    let live = vec![u32::MAX; PIECE_BYTES / row.bytes / BLOCK_ROWS];
    report(&Row { queries: QUERIES, ..row }, &made, |rows| {
        let count = rows.len() / dimension;
        let live = &live[..count / BLOCK_ROWS];
        kernel.scan::<Dot>(&[&query[..]; QUERIES], rows, live, &mut scores[..count * QUERIES]);
    });
    let halves: Vec<u16> = made.iter().map(|&x| half::narrow(x)).collect();
    report(&Row { kind: "f16", bytes: dimension * 2, ..row }, &halves, |rows| {
        kernel.dot_rows_f16(&query, rows, &mut scores[..rows.len() / dimension]);
    });
    let byte = |x: &f32| (x * 127.0) as i8;
    let (bytes, bytes_query) =
        (made.iter().map(byte).collect::<Vec<_>>(), query.iter().map(byte).collect::<Vec<_>>());
    let mut totals = vec![0; PIECE_BYTES / dimension];
    report(&Row { kind: "i8", bytes: dimension, ..row }, &bytes, |rows| {
        kernel.dot_rows_i8(&bytes_query, rows, &mut totals[..rows.len() / dimension]);
    });
    codes(dimension, &made, &query);
}

fn codes(dimension: usize, made: &[f32], query: &[f32]) {
    let kernel = Variant::best();
    let rotation = Rotation::new(dimension);
    let centre = Centre::new(&rotation, Metric::InnerProduct, vec![0.0; dimension]);
    let mut rotated = vec![0.0; rotation.rotated_len()];
    rotation.rotate(query, &mut rotated);
    let query = Query::new(&centre, query, &rotated);
    let (block_bytes, row_bytes) = (centre.block_bytes(), centre.nibble_row_bytes());
    let mut blocks = vec![0; block_bytes * MADE / BLOCK_ROWS];
    let mut nibble_rows = vec![0; row_bytes * MADE];
    let mut encoder = Encoder::new(&rotation, &centre);
    for (i, (row, code)) in
        made.chunks_exact(dimension).zip(nibble_rows.chunks_exact_mut(row_bytes)).enumerate()
    {
        let block = &mut blocks[i / BLOCK_ROWS * block_bytes..][..block_bytes];
        encoder.encode(row, code, Some((block, i % BLOCK_ROWS)));
    }
    let mut estimates = vec![Estimate::default(); PIECE_BYTES / row_bytes];
    let row = Row { kind: "4 bits", dimension, bytes: row_bytes, queries: 1 };
    report(&row, &nibble_rows, |rows| {
        kernel.estimate_rows(&query, rows, &mut estimates[..rows.len() / row_bytes]);
    });
    let live = vec![u32::MAX; PIECE_BYTES / block_bytes];
    // As high as a search's bar stands soon: one row in many reaches it.
    let bar = Bar { floor: 1.5 * (dimension as f32).sqrt(), caution: 0.15 };
    for queries in [1, QUERIES] {
        let row = Row { kind: "1 bit", bytes: block_bytes / BLOCK_ROWS, queries, ..row };
        let queries = vec![&query; queries];
        report(&row, &blocks, |rows| {
            let live = &live[..rows.len() / block_bytes];
            kernel.scan_signs(&queries, rows, live, &mut vec![bar; queries.len()], |_, _, _, _| bar);
        });
    }
}

/// What is scanned.
#[derive(Clone, Copy)]
struct Row {
    kind: &'static str,
    dimension: usize,
    bytes: usize,
    queries: usize,
}

/// Reads memory that is full of these rows in all ways by turns, and prints how fast.
fn report<T: Copy>(row: &Row, made: &[T], mut scan: impl FnMut(&[T])) {
    let mut memory = vec![made[0]; MEMORY_BYTES / size_of::<T>() + 64];
    // Rows whose first begins a cache line are read fastest.
    let first = memory.as_ptr().align_offset(64);
    let memory = &mut memory[first..];
    memory.iter_mut().zip(made.iter().cycle()).for_each(|(to, from)| *to = *from);
    let unit = row.bytes * BLOCK_ROWS / size_of::<T>();
    let piece = PIECE_BYTES / size_of::<T>() / unit * unit;
    let pieces = memory.len() / piece;
    let piece_bytes = (piece * size_of::<T>()) as f64;
    let mut speeds: [Vec<f64>; 3] = Default::default();
    for turn in 0..ROUNDS * speeds.len() {
        // A stride that no number of pieces shares a factor with but itself.
        let at = turn * 23 % pieces;
        let rows = black_box(&memory[at * piece..][..piece]);
        let begun = Instant::now();
        match turn % speeds.len() {
            0 => drop(black_box(sum::<T, 0>(rows))),
            1 => drop(black_box(sum::<T, AHEAD>(rows))),
            _ => scan(rows),
        }
        speeds[turn % speeds.len()].push(piece_bytes / begun.elapsed().as_secs_f64() / 1e9);
    }
    let [plain, ahead, scan] = speeds.map(|mut speeds| {
        speeds.sort_unstable_by(f64::total_cmp);
        speeds[speeds.len() * 9 / 10]
    });
    let bandwidth = plain.max(ahead);
    let by = if row.queries > 1 { format!(", {} queries", row.queries) } else { String::new() };
    let rows_per_ms = |bytes_per_ns: f64, row_bytes: usize| bytes_per_ns * 1e6 / row_bytes as f64;
    let scored = rows_per_ms(scan, row.bytes) * row.queries as f64;
    println!(
        "| {} × {}{by} | {bandwidth:.1} | {scan:.1} | {:.0} % | {scored:.0} | {:.1} |",
        row.kind,
        row.dimension,
        100.0 * scan / bandwidth,
        scored / rows_per_ms(bandwidth, row.dimension * size_of::<f32>())
    );
}

/// The sum of all words, read with the widest loads there are; what lies so many bytes ahead is asked for.
fn sum<T, const AHEAD: usize>(memory: &[T]) -> u64 {
    // SAFETY: any bytes make words; only whole ones are in the middle.
    let (_, words, _) = unsafe { memory.align_to::<u64>() };
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the CPU has AVX-512.
        return unsafe { sum_wide::<AHEAD>(words) };
    }
    sum_words(words)
}

/// Eight sums side by side, so that none waits for another.
///
/// # Safety
/// The CPU has AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn sum_wide<const AHEAD: usize>(words: &[u64]) -> u64 {
    use std::arch::x86_64::{
        _MM_HINT_T0, _mm_prefetch, _mm512_add_epi64, _mm512_loadu_si512, _mm512_reduce_add_epi64,
        _mm512_setzero_si512,
    };
    let mut sums = [_mm512_setzero_si512(); 8];
    for lines in words.as_chunks::<64>().0 {
        for (sum, line) in sums.iter_mut().zip(lines.as_chunks::<8>().0) {
            if AHEAD > 0 {
                let ahead = line.as_ptr().cast::<i8>().wrapping_add(AHEAD);
                _mm_prefetch::<_MM_HINT_T0>(ahead);
            }
            // SAFETY: 64 bytes lie behind the pointer.
            *sum = _mm512_add_epi64(*sum, unsafe { _mm512_loadu_si512(line.as_ptr().cast()) });
        }
    }
    sums.into_iter().fold(0_u64, |all, sum| all.wrapping_add(_mm512_reduce_add_epi64(sum) as u64))
}

/// As many sums side by side as the compiler makes of it.
fn sum_words(words: &[u64]) -> u64 {
    let mut sums = [0_u64; 64];
    for words in words.as_chunks::<64>().0 {
        sums.iter_mut().zip(words).for_each(|(sum, word)| *sum = sum.wrapping_add(*word));
    }
    sums.into_iter().fold(0, u64::wrapping_add)
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
