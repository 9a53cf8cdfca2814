//! How many of the ten nearest do codes find, how many originals are read for it, and does the bound find them all?
//!
//! `cargo run --release -p strongroom-kernel --example recall -- FOLDER [QUERIES]`
//!
//! The folder holds vectors as `.npy`: `sentences.codes.npy` (bytes, a row for each vector) with
//! `sentences.scales.npy` (`f32`, what a row's bytes are multiplied by), and `sentences.query-codes.npy` with
//! `sentences.query-scales.npy`. Nearness is the inner product.

#![allow(clippy::print_stdout)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use strongroom_kernel::{
    BLOCK_ROWS, Bar, Centre, Encoder, Estimate, Metric, Query, Rotation, Variant, dot, dot_rows,
};

const K: usize = 10;

struct Store {
    dimension: usize,
    rows: Vec<f32>,
    rotation: Rotation,
    centre: Centre,
    blocks: Vec<u8>,
    nibble_rows: Vec<u8>,
    live: Vec<u32>,
}

/// A score that sorts, and whose it is; of equal scores the lower row is better.
type Scored = (Score, Reverse<u32>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Score(f32);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The best so far, the worst of them on top.
struct Best {
    count: usize,
    heap: BinaryHeap<Reverse<Scored>>,
}

impl Best {
    fn new(count: usize) -> Self {
        Self { count, heap: BinaryHeap::with_capacity(count + 1) }
    }

    fn offer(&mut self, score: f32, row: u32) {
        let scored = Reverse((Score(score), Reverse(row)));
        if self.heap.len() < self.count {
            self.heap.push(scored);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && scored < *worst
        {
            *worst = scored;
        }
    }

    /// What a row has to score to get in.
    fn floor(&self) -> f32 {
        let worst = self.heap.peek().filter(|_| self.heap.len() == self.count);
        worst.map_or(f32::NEG_INFINITY, |Reverse((score, _))| score.0)
    }

    /// Best first.
    fn into_rows(self) -> Vec<u32> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse((_, Reverse(row)))| row).collect()
    }
}

impl Store {
    fn new(rows: Vec<f32>, dimension: usize) -> Self {
        let count = rows.len() / dimension;
        let mut mean = vec![0.0_f64; dimension];
        for row in rows.chunks_exact(dimension) {
            mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / count as f64);
        }
        let rotation = Rotation::new(dimension);
        let mean = mean.iter().map(|&x| x as f32).collect();
        let centre = Centre::new(&rotation, Metric::InnerProduct, mean);
        let mut encoder = Encoder::new(&rotation, &centre);
        let mut blocks = vec![0; centre.block_bytes() * count.div_ceil(BLOCK_ROWS)];
        let mut nibble_rows = vec![0; centre.nibble_row_bytes() * count];
        let groups = rows.chunks(BLOCK_ROWS * dimension).zip(blocks.chunks_exact_mut(centre.block_bytes()));
        for ((rows, block), codes) in
            groups.zip(nibble_rows.chunks_mut(BLOCK_ROWS * centre.nibble_row_bytes()))
        {
            let codes = codes.chunks_exact_mut(centre.nibble_row_bytes());
            for (place, (row, code)) in rows.chunks_exact(dimension).zip(codes).enumerate() {
                encoder.encode(row, code, Some((block, place)));
            }
        }
        let word = |start: usize| ((1_u64 << BLOCK_ROWS.min(count - start)) - 1) as u32;
        let live = (0..count).step_by(BLOCK_ROWS).map(word).collect();
        Self { dimension, rows, rotation, centre, blocks, nibble_rows, live }
    }

    fn count(&self) -> u32 {
        (self.rows.len() / self.dimension) as u32
    }

    fn row(&self, row: u32) -> &[f32] {
        &self.rows[row as usize * self.dimension..][..self.dimension]
    }

    fn nibble_row(&self, row: u32) -> &[u8] {
        let bytes = self.centre.nibble_row_bytes();
        &self.nibble_rows[row as usize * bytes..][..bytes]
    }

    fn query(&self, query: &[f32]) -> Query {
        let mut rotated = vec![0.0; self.rotation.rotated_len()];
        self.rotation.rotate(query, &mut rotated);
        Query::new(&self.centre, query, &rotated)
    }

    fn exact(&self, query: &[f32]) -> Vec<u32> {
        let mut scores = vec![0.0; self.count() as usize];
        dot_rows(query, &self.rows, &mut scores);
        let mut best = Best::new(K);
        (0..).zip(scores).for_each(|(row, score)| best.offer(score, row));
        best.into_rows()
    }

    /// The rows that seem nearest by their sign codes.
    fn by_signs(&self, query: &Query, count: usize) -> Vec<u32> {
        let mut best = Best::new(count);
        let bar = |best: &Best| Bar { floor: best.floor(), caution: 0.0 };
        let mut bars = [bar(&best)];
        Variant::best().scan_signs(
            &[query],
            &self.blocks,
            &self.live,
            &mut bars,
            |_, block, mut rows, scores| {
                while rows != 0 {
                    let place = rows.trailing_zeros() as usize;
                    best.offer(scores.estimates[place], (block * BLOCK_ROWS + place) as u32);
                    rows &= rows - 1;
                }
                bar(&best)
            },
        );
        best.into_rows()
    }

    fn by_nibbles(&self, query: &Query, rows: &[u32]) -> Vec<Estimate> {
        let mut estimates = vec![Estimate::default(); rows.len()];
        let rows: Vec<&[u8]> = rows.iter().map(|&row| self.nibble_row(row)).collect();
        Variant::best().estimate_each(query, &rows, &mut estimates);
        estimates
    }

    /// Of these rows those that seem nearest by their 4-bit codes.
    fn best_by_nibbles(&self, query: &Query, rows: &[u32], count: usize) -> Vec<u32> {
        let mut best = Best::new(count);
        let estimates = self.by_nibbles(query, rows);
        rows.iter().zip(estimates).for_each(|(&row, estimate)| best.offer(estimate.score, row));
        best.into_rows()
    }

    fn rerank(&self, query: &[f32], rows: &[u32]) -> Vec<u32> {
        let mut best = Best::new(K);
        for &row in rows {
            best.offer(dot(query, self.row(row)), row);
        }
        best.into_rows()
    }

    /// The nearest, in one pass with a rising bar: a row that may reach the worst of the best so far by its sign
    /// code and then by its 4-bit code is scored at once. Answers how many were estimated and scored, too.
    fn rising(&self, query: &[f32], prepared: &Query, deviations: f32) -> (Vec<u32>, usize, usize) {
        let caution = deviations / (self.dimension as f32).sqrt();
        let (mut best, mut estimated, mut scored) = (Best::new(K), 0, 0);
        let mut bars = [Bar { floor: best.floor(), caution }];
        let (mut places, mut estimates) = (Vec::new(), [Estimate::default(); BLOCK_ROWS]);
        Variant::best().scan_signs(&[prepared], &self.blocks, &self.live, &mut bars, |_, block, bits, _| {
            let place = |place: u32| (block * BLOCK_ROWS) as u32 + place;
            places.clear();
            places.extend((0..32).filter(|bit| bits >> bit & 1 == 1).map(place));
            let estimates = &mut estimates[..places.len()];
            let codes: Vec<&[u8]> = places.iter().map(|&row| self.nibble_row(row)).collect();
            Variant::best().estimate_each(prepared, &codes, estimates);
            estimated += places.len();
            for (&row, estimate) in places.iter().zip(estimates) {
                if estimate.score + caution * estimate.error >= best.floor() {
                    best.offer(dot(query, self.row(row)), row);
                    scored += 1;
                }
            }
            Bar { floor: best.floor(), caution }
        });
        (best.into_rows(), estimated, scored)
    }

    /// The nearest, proven: every row is estimated by its 4-bit code, those that seem best are scored, and so is
    /// whatever the bound lets reach the worst of them. Answers how many were scored, too.
    fn proven(&self, query: &[f32], prepared: &Query) -> (Vec<u32>, usize) {
        let rows: Vec<u32> = (0..self.count()).collect();
        let estimates = self.by_nibbles(prepared, &rows);
        let mut seeming = Best::new(K);
        rows.iter().zip(&estimates).for_each(|(&row, estimate)| seeming.offer(estimate.score, row));
        let floor = seeming
            .into_rows()
            .into_iter()
            .map(|row| dot(query, self.row(row)))
            .fold(f32::INFINITY, f32::min);
        let may_reach = |estimate: &Estimate| estimate.score + estimate.error >= floor;
        let left = rows.iter().zip(&estimates).filter(|(_, estimate)| may_reach(estimate));
        let left: Vec<u32> = left.map(|(&row, _)| row).collect();
        (self.rerank(query, &left), left.len())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder holds the vectors?")?;
    let limit: usize = arguments.next().map_or(Ok(200), |limit| limit.parse())?;
    let folder = Path::new(&folder);
    let (rows, dimension) = vectors(folder, "sentences.codes.npy", "sentences.scales.npy")?;
    let (queries, _) = vectors(folder, "sentences.query-codes.npy", "sentences.query-scales.npy")?;
    let start = Instant::now();
    let store = Store::new(rows, dimension);
    println!(
        "{} rows of {dimension} dimensions, coded in {:.1} s",
        store.count(),
        start.elapsed().as_secs_f64()
    );
    let queries: Vec<&[f32]> = queries.chunks_exact(dimension).take(limit).collect();
    let start = Instant::now();
    let wanted: Vec<Vec<u32>> = queries.iter().map(|query| store.exact(query)).collect();
    report("f32, all rows", 1.0, start, queries.len());
    for candidates in [10, 20, 50, 100, 200, 500, 1000] {
        search(&format!("1 bit → {candidates} reranked"), &queries, &wanted, |query| {
            store.rerank(query, &store.by_signs(&store.query(query), candidates))
        });
    }
    for (candidates, reranked) in
        [(100, 10), (100, 20), (200, 15), (200, 20), (500, 20), (1000, 20), (1000, 40)]
    {
        search(&format!("1 bit → {candidates} by 4 bits → {reranked}"), &queries, &wanted, |query| {
            let prepared = store.query(query);
            let seen = store.by_signs(&prepared, candidates);
            store.rerank(query, &store.best_by_nibbles(&prepared, &seen, reranked))
        });
    }
    for deviations in [1.0, 2.0, 3.0, 4.0] {
        let (mut estimated, mut scored) = (0, 0);
        search(&format!("rising bar, {deviations} deviations"), &queries, &wanted, |query| {
            let (found, by_nibbles, exactly) = store.rising(query, &store.query(query), deviations);
            (estimated, scored) = (estimated + by_nibbles, scored + exactly);
            found
        });
        let (estimated, scored) = (estimated / queries.len(), scored / queries.len());
        println!("    of each query's rows {estimated} are estimated by 4 bits, {scored} scored, on average");
    }
    let mut scored = 0;
    let exact = search("exact, by the 4-bit bound", &queries, &wanted, |query| {
        let (found, count) = store.proven(query, &store.query(query));
        scored += count;
        found
    });
    println!("    of each query's rows {} are left by the bound, on average", scored / queries.len());
    if exact < 1.0 { Err("the exact search missed rows: a bound does not hold".into()) } else { Ok(()) }
}

/// Answers the share of the wanted rows that is found.
fn search(
    name: &str,
    queries: &[&[f32]],
    wanted: &[Vec<u32>],
    mut find: impl FnMut(&[f32]) -> Vec<u32>,
) -> f64 {
    let start = Instant::now();
    let found: Vec<Vec<u32>> = queries.iter().map(|query| find(query)).collect();
    let hits =
        found.iter().zip(wanted).map(|(f, w)| w.iter().filter(|row| f.contains(row)).count()).sum::<usize>();
    let recall = hits as f64 / wanted.iter().map(Vec::len).sum::<usize>() as f64;
    report(name, recall, start, queries.len());
    recall
}

fn report(name: &str, recall: f64, start: Instant, queries: usize) {
    let micros = start.elapsed().as_secs_f64() * 1e6 / queries as f64;
    println!("  {name:<36} recall@{K} {recall:.4}   {micros:>7.0} µs a query");
}

/// Bytes times scales, and how long a row is.
fn vectors(folder: &Path, codes: &str, scales: &str) -> Result<(Vec<f32>, usize), Box<dyn Error>> {
    let scales: Vec<f32> = payload(&folder.join(scales))?
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    let codes = payload(&folder.join(codes))?;
    let dimension = codes.len().checked_div(scales.len()).filter(|&d| d > 0).ok_or("no rows")?;
    let rows = codes.chunks_exact(dimension).zip(scales);
    Ok((
        rows.flat_map(|(row, scale)| row.iter().map(move |&c| f32::from(c as i8) * scale)).collect(),
        dimension,
    ))
}

/// What follows the header of an `.npy` of version 1.
fn payload(path: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (magic, length) = (bytes.get(..8), bytes.get(8..10));
    let (Some(b"\x93NUMPY\x01\x00"), Some(&[low, high])) = (magic, length) else {
        return Err(format!("{} is no .npy of version 1", path.display()).into());
    };
    let header = 10 + usize::from(u16::from_le_bytes([low, high]));
    bytes.drain(..header.min(bytes.len()));
    Ok(bytes)
}
