//! How many rows does a search have to scan when a segment lies in lists, and what does it cost to find the lists?
//!
//!     STRONGROOM_BENCH_DATA=/data cargo xtask bench cluster
//!
//! The folder holds vectors as `.npy`: `sentences.codes.npy` (bytes, a row for each vector) with
//! `sentences.scales.npy` (`f32`, what a row's bytes are multiplied by), and `sentences.query-codes.npy` with
//! `sentences.query-scales.npy`. All are brought to length 1; near is what has the greatest inner product.
//!
//! Seconds are the process's CPU time, on one thread. *Long* is the share of rows in lists of more than twice the mean.
//! *Probed* is how many lists are scanned whole, those nearest to the query; *scanned* the share of all rows in them,
//! *recall* how many of the ten nearest rows they hold, on average over 1,000 queries. Last, the fewest lists whose recall
//! reaches the figure that is asked for, the same when lists are resumed that nine tenths of the rows were in, and what they
//! would be if each row stood in a second list as well: the one that is near and whose centroid lies in another direction
//! than the first one's (SOAR: Sun et al., 2023).

#![allow(clippy::print_stdout)]

use rustix::time::{ClockId, clock_gettime};
use std::error::Error;
use std::path::Path;
use strongroom_engine::cluster::{Centroids, NO_LIST, Resumed, Training, Workers, assign, resume, train};
use strongroom_kernel::{Metric, dot, dot_rows, normalize};

const K: usize = 10;
const QUERIES: usize = 1000;
const PROBED: [usize; 5] = [8, 16, 32, 64, 128];
const WANTED: [f64; 2] = [0.96, 0.99];
/// How much a second centroid in the direction of the first counts against it.
const SAME_DIRECTION: f32 = 1.5;

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> Fallible<()> {
    let folder = std::env::var("STRONGROOM_BENCH_DATA")?;
    let folder = Path::new(&folder);
    let (rows, dimension) = vectors(folder, "sentences.codes.npy", "sentences.scales.npy")?;
    let (queries, _) = vectors(folder, "sentences.query-codes.npy", "sentences.query-scales.npy")?;
    let queries: Vec<&[f32]> = queries.chunks_exact(dimension).take(QUERIES).collect();
    let count = rows.len() / dimension;
    println!("{count} rows of {dimension} dimensions, {} queries", queries.len());
    let nearest: Vec<Vec<usize>> = queries.iter().map(|query| nearest(query, &rows, count)).collect();
    let most = 4 * count.isqrt();
    for metric in [Metric::InnerProduct, Metric::SquaredDistance] {
        for lists in [most / 2, most] {
            let training = Training { metric, dimension, lists, start: &[] };
            let (trained, centroids) = timed(|| train(&rows, training, &Workers::default()));
            let (assigned, first) = timed(|| assign(&centroids, &rows, &Workers::default()));
            let warm = Training { start: centroids.vectors(), ..training };
            let (rewarmed, _) = timed(|| train(&rows, warm, &Workers::default()));
            println!("\n{metric:?}, {} lists of {lists}", centroids.lists());
            println!("  trained in {trained:.1} s, warm in {rewarmed:.1} s; assigned in {assigned:.1} s");
            let curve = Curve::new(&centroids, &queries, &nearest, &[&first]);
            curve.print_lengths();
            curve.print();
            let is_new = |row: usize| (row * 7919).is_multiple_of(10);
            let before: Vec<u32> =
                (0..count).map(|row| if is_new(row) { NO_LIST } else { first[row] }).collect();
            let resumed = Resumed { metric, dimension, lists, before: &before };
            let (resumed, found) = timed(|| resume(&rows, resumed, &Workers::default()));
            let (centroids_then, lists_then) = found.ok_or("most rows are known")?;
            println!("  resumed in {resumed:.1} s, a tenth of the rows new");
            let curve = Curve::new(&centroids_then, &queries, &nearest, &[&lists_then]);
            curve.print_lengths();
            curve.print();
            if metric == Metric::InnerProduct {
                println!("  with a second list");
                let second = second(&centroids, &rows, &first);
                Curve::new(&centroids, &queries, &nearest, &[&first, &second]).print();
            }
        }
    }
    Ok(())
}

/// What is scanned and found by the number of lists, less one.
struct Curve {
    rows: usize,
    lengths: Vec<usize>,
    scanned: Vec<f64>,
    recall: Vec<f64>,
}

impl Curve {
    /// Each row stands in one list of each assignment.
    fn new(
        centroids: &Centroids,
        queries: &[&[f32]],
        nearest: &[Vec<usize>],
        assignments: &[&[u32]],
    ) -> Self {
        let lists = centroids.lists();
        let mut lengths = vec![0; lists];
        assignments.iter().copied().flatten().for_each(|&list| lengths[list as usize] += 1);
        let rows = assignments[0].len();
        let (mut scanned, mut recall) = (vec![0.0; lists], vec![0.0; lists]);
        let mut scores = vec![0.0; lists];
        let mut rank = vec![0; lists];
        for (query, nearest) in queries.iter().zip(nearest) {
            centroids.score(query, &mut scores);
            let mut order: Vec<usize> = (0..lists).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
            let mut seen = 0;
            for (place, &list) in order.iter().enumerate() {
                rank[list] = place;
                seen += lengths[list];
                scanned[place] += seen as f64 / (rows * queries.len()) as f64;
            }
            for &row in nearest {
                let ranks = assignments.iter().map(|lists| rank[lists[row] as usize]);
                recall[ranks.min().unwrap_or_default()] += 1.0 / (nearest.len() * queries.len()) as f64;
            }
        }
        for place in 1..lists {
            recall[place] += recall[place - 1];
        }
        Self { rows, lengths, scanned, recall }
    }

    fn print_lengths(&self) {
        let (least, most) = (self.lengths.iter().min(), self.lengths.iter().max());
        let long = |length: &&usize| **length * self.lengths.len() > 2 * self.rows;
        let long: usize = self.lengths.iter().filter(long).sum();
        println!(
            "  lists of {} to {} rows, {} on average; {:.1} % long",
            least.unwrap_or(&0),
            most.unwrap_or(&0),
            self.rows / self.lengths.len(),
            100.0 * long as f64 / self.rows as f64
        );
    }

    fn print(&self) {
        let reaching = WANTED.iter().map(|wanted| self.recall.iter().take_while(|r| *r < wanted).count() + 1);
        for probed in PROBED.into_iter().chain(reaching).filter(|&probed| probed <= self.recall.len()) {
            let (scanned, recall) = (100.0 * self.scanned[probed - 1], self.recall[probed - 1]);
            println!("  {probed:>4} probed: scanned {scanned:>6.2} %, recall {recall:.4}");
        }
    }
}

/// The nearest rows by brute force.
fn nearest(query: &[f32], rows: &[f32], count: usize) -> Vec<usize> {
    let mut scores = vec![0.0; count];
    dot_rows(query, rows, &mut scores);
    let mut order: Vec<usize> = (0..count).collect();
    order.select_nth_unstable_by(K, |&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order.truncate(K);
    order
}

/// A second list for each row.
fn second(centroids: &Centroids, rows: &[f32], first: &[u32]) -> Vec<u32> {
    let dimension = centroids.dimension();
    let mut near = vec![0.0; centroids.lists()];
    let mut along = vec![0.0; centroids.lists()];
    let second = rows.chunks_exact(dimension).zip(first).map(|(row, &first)| {
        let middle = &centroids.vectors()[first as usize * dimension..][..dimension];
        let mut apart: Vec<f32> = row.iter().zip(middle).map(|(r, c)| r - c).collect();
        normalize(&mut apart);
        centroids.score(row, &mut near);
        dot_rows(&apart, centroids.vectors(), &mut along);
        let itself = dot(row, &apart);
        let cost = |list: usize| {
            let along = itself - along[list];
            SAME_DIRECTION * along * along - 2.0 * near[list]
        };
        let others = (0..near.len()).filter(|&list| list != first as usize);
        others.min_by(|&a, &b| cost(a).total_cmp(&cost(b))).unwrap_or_default() as u32
    });
    second.collect()
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let seconds = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    };
    let before = seconds();
    let done = work();
    (seconds() - before, done)
}

/// The vectors of two files, and their dimension.
fn vectors(folder: &Path, codes: &str, scales: &str) -> Fallible<(Vec<f32>, usize)> {
    let (codes, scales) = (payload(&folder.join(codes))?, payload(&folder.join(scales))?);
    let scales: Vec<f32> = scales.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let dimension = codes.len().checked_div(scales.len()).ok_or("there are no vectors")?;
    let mut rows = Vec::with_capacity(codes.len());
    for (codes, scale) in codes.chunks_exact(dimension).zip(scales) {
        let from = rows.len();
        rows.extend(codes.iter().map(|&code| f32::from(code as i8) * scale));
        normalize(&mut rows[from..]);
    }
    Ok((rows, dimension))
}

/// What follows the header of an `.npy` of version 1.
fn payload(path: &Path) -> Fallible<Vec<u8>> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (magic, length) = (bytes.get(..8), bytes.get(8..10));
    let (Some(b"\x93NUMPY\x01\x00"), Some(&[low, high])) = (magic, length) else {
        return Err(format!("{} is no .npy of version 1", path.display()).into());
    };
    let header = 10 + usize::from(u16::from_le_bytes([low, high]));
    Ok(bytes.get(header..).unwrap_or_default().to_vec())
}
