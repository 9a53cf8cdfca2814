//! What are the codes of a segment's rows, when it is written?
//!
//! Few rows have none. Up to [`FLAT_ROWS_MAX`] each has a code of four bits a component, in the order of the rows. More are put
//! into lists, or stay in those of the largest segment that was merged, and have codes of one bit as well. Then some rows are searched for, as if they were queries, to learn how
//! many lists a search must look at.

use super::codes::{Index, List, Lists};
use super::lifted::Lifted;
use crate::cluster::{Workers, assign, resume, train};
use crate::nearness::measure;
use std::borrow::Cow;
use strongroom_format::codes::{FLAT_ROWS_MIN, IndexHead, LADDER_STEPS, SIGN_BLOCK_ROWS};
use strongroom_format::record::{CollectionSpec, Metric};
use strongroom_format::wire::Writer;
use strongroom_kernel::{Bar, Estimate, Query, Variant};
use zerocopy::FromBytes;
use zeroize::{Zeroize, Zeroizing};

/// More rows than this are put into lists.
pub(super) const FLAT_ROWS_MAX: u32 = 32_768;
/// So many rows are searched for.
const TRIALS: usize = 128;
/// So many of the nearest are to be found.
const TRIAL_NEAREST: usize = 10;

/// The sections of codes.
#[derive(Debug, Default)]
pub(super) struct Codes {
    pub(super) index: Writer,
    pub(super) signs: Vec<u8>,
    pub(super) nibbles: Vec<u8>,
    pub(super) places: Vec<u8>,
}

impl Codes {
    /// Those of these rows, given as the bytes of section *vectors*; none for few rows.
    /// `before` has for each row the list that it was in, or [`NO_LIST`](crate::cluster::NO_LIST).
    pub(super) fn of(vectors: &[u8], spec: CollectionSpec, before: &[u32], workers: &Workers) -> Self {
        let CollectionSpec { dimension, metric } = spec;
        let rows = before.len() as u32;
        if rows < FLAT_ROWS_MIN || dimension == 0 {
            return Self::default();
        }
        let centre = mean(vectors, dimension as usize);
        if rows <= FLAT_ROWS_MAX {
            let head = IndexHead::flat(centre);
            let mut coder = RowCoder::new(Index::of(head.clone(), metric, Vec::new()), rows);
            coder.push(vectors);
            let Some((_, codes)) = coder.finish() else { return Self::default() };
            let [signs, nibbles] = codes.map(|mut code| std::mem::take(&mut *code));
            return Self { index: head.encode(), signs, nibbles, places: Vec::new() };
        }
        listed(vectors, centre, metric, before, workers)
    }
}

/// Codes in lists.
fn listed(vectors: &[u8], centre: Vec<f32>, metric: Metric, before: &[u32], workers: &Workers) -> Codes {
    let rows = &*values(vectors);
    let dimension = centre.len();
    let count = rows.len() / dimension;
    let lists = 4 * count.isqrt();
    let lifted = Lifted::new(rows, dimension, metric);
    let resumed = resume(lifted.rows(), lifted.resumed(lists, before), workers);
    let (centroids, list_of_row) = resumed.unwrap_or_else(|| {
        let centroids = train(lifted.rows(), lifted.training(lists), workers);
        let lists = assign(&centroids, lifted.rows(), workers);
        (centroids, lists)
    });
    let mut counts = vec![0_u32; centroids.lists()];
    for &list in &list_of_row {
        counts[list as usize] += 1;
    }
    let mut order: Vec<u32> = (0..count as u32).collect();
    // Rows of one list stay in their order.
    order.sort_by_key(|&row| list_of_row[row as usize]);
    let flat = IndexHead::flat(centre);
    let index = Index::of(flat.clone(), metric, Vec::new());
    let mut encoder = index.encoder();
    let mut of_centroids = vec![0; counts.len() * index.nibble_row_bytes()];
    let codes = of_centroids.chunks_exact_mut(index.nibble_row_bytes());
    for (centroid, code) in centroids.vectors().chunks_exact(lifted.dimension()).zip(codes) {
        encoder.encode(&lifted.lowered(centroid.to_vec()), code, None);
    }
    let mut head = IndexHead { lists: counts, centroids: &of_centroids, ..flat };
    let mut coder = RowCoder::new(Index::of(head.clone(), metric, order), count as u32);
    coder.push(vectors);
    let Some((index, codes)) = coder.finish() else { return Codes::default() };
    let [signs, nibbles] = codes.map(|mut code| std::mem::take(&mut *code));
    let trials = Trials { index, metric, rows, lifted: &lifted, signs: &signs, nibbles: &nibbles };
    (head.probes, head.candidates) = trials.ladders(workers);
    let places = order_bytes(&trials.index, count);
    Codes { index: head.encode(), signs, nibbles, places }
}

fn order_bytes(index: &Index, count: usize) -> Vec<u8> {
    (0..count as u32).flat_map(|place| index.row(place).to_le_bytes()).collect()
}

/// What rows are searched for in.
struct Trials<'a> {
    index: Index,
    metric: Metric,
    rows: &'a [f32],
    lifted: &'a Lifted<'a>,
    signs: &'a [u8],
    nibbles: &'a [u8],
}

impl Trials<'_> {
    /// What it takes to find the nearest rows of some: probes and candidates.
    fn ladders(&self, workers: &Workers) -> ([u32; LADDER_STEPS], [u32; LADDER_STEPS]) {
        let count = self.nibbles.len() / self.index.nibble_row_bytes();
        let trials = workers.map(TRIALS, |trial| self.search((trial * count / TRIALS) as u32));
        let found = trials.concat();
        let probes = ladder(found.iter().map(|found| found.lists));
        let candidates = std::array::from_fn(|step| {
            // A search that misses so few of the rows it looks at misses more by the lists.
            let looked_at = probes[step.saturating_sub(1)];
            let ranks =
                found.iter().filter(|found| found.lists <= looked_at).map(|found| found.rank_in(looked_at));
            ladder(ranks)[step]
        });
        // What fewer lists leave out, more could bring back.
        (probes, running_max(candidates))
    }

    /// What it takes to find each of the nearest rows of a place.
    fn search(&self, place: u32) -> Vec<Found> {
        let Some(lists) = self.index.lists() else { return Vec::new() };
        let dimension = self.index.dimension();
        let row = self.index.row(place) as usize;
        let query = self.index.query(&self.rows[row * dimension..][..dimension]);
        let mut estimates = vec![Estimate::default(); self.rows.len() / dimension];
        Variant::best().estimate_rows(&query, self.nibbles, &mut estimates);
        let mut nearest: Vec<u32> = (0..estimates.len() as u32).filter(|&other| other != place).collect();
        let by_estimate =
            |a: &u32, b: &u32| estimates[*b as usize].score.total_cmp(&estimates[*a as usize].score);
        nearest.select_nth_unstable_by(TRIAL_NEAREST, by_estimate);
        nearest.truncate(TRIAL_NEAREST);
        let by_signs = self.by_signs(&query, estimates.len());
        let mut of_lists: Vec<f32> = lists.score(&query).iter().map(|estimate| estimate.score).collect();
        let own = lists.list_of(place);
        of_lists[own as usize] = self.score_without(row, lists.list(own));
        let mut order: Vec<u32> = (0..of_lists.len() as u32).collect();
        order.sort_by(|&a, &b| of_lists[b as usize].total_cmp(&of_lists[a as usize]));
        let found = |&near: &u32| {
            let own = lists.list_of(near);
            let mut found = Found { lists: 0, ranks: Vec::new() };
            let mut better = 0;
            for (rank, &list) in (1..).zip(&order) {
                let List { first_place, places, .. } = lists.list(list);
                let scores = &by_signs[first_place as usize..][..places as usize];
                better += scores.iter().filter(|score| **score > by_signs[near as usize]).count() as u32;
                if list == own {
                    found.lists = rank;
                }
                // At 1 to 8, 10 to 16 by twos, to 32 by fours and so on.
                if rank.trailing_zeros() + 3 >= rank.ilog2() || rank as usize == order.len() {
                    found.ranks.push((rank, 1 + better));
                }
            }
            found
        };
        nearest.iter().map(found).collect()
    }

    /// How near a row would be to its list if it had not been there when the centroid was made, as a query never is.
    fn score_without(&self, row: usize, list: List) -> f32 {
        let dimension = self.lifted.dimension();
        let mut others = vec![0.0; dimension];
        for place in list.first_place..list.first_place + list.places {
            let other = self.index.row(place) as usize;
            if other != row {
                let other = &self.lifted.rows()[other * dimension..][..dimension];
                others.iter_mut().zip(other).for_each(|(sum, x)| *sum += x);
            }
        }
        let middle = self.lifted.lowered(self.lifted.middle(others, list.places as usize - 1));
        let query = &self.rows[row * middle.len()..][..middle.len()];
        let mut score = [0.0];
        measure(self.metric).score_rows(query, &middle, &mut score);
        score[0]
    }

    /// What each place scores by its sign code.
    fn by_signs(&self, query: &Query, count: usize) -> Vec<f32> {
        let Some(lists) = self.index.lists() else { return Vec::new() };
        let mut by_signs = vec![0.0; count];
        for list in (0..lists.count() as u32).map(|list| lists.list(list)) {
            let bytes = self.index.block_bytes();
            let blocks = &self.signs[list.first_block as usize * bytes..][..list.blocks as usize * bytes];
            let places = &mut by_signs[list.first_place as usize..][..list.places as usize];
            let live: Vec<u32> = list.live().collect();
            let all = Bar { floor: f32::NEG_INFINITY, caution: 0.0 };
            Variant::best().scan_signs(&[query], blocks, &live, &mut [all], |_, block, _, scores| {
                let places = &mut places[block * SIGN_BLOCK_ROWS as usize..];
                let count = places.len().min(SIGN_BLOCK_ROWS as usize);
                places[..count].copy_from_slice(&scores.estimates[..count]);
                all
            });
        }
        by_signs
    }
}

/// What it takes to find a row that is near to another.
#[derive(Clone)]
struct Found {
    /// How many lists have to be looked at.
    lists: u32,
    /// Which one it is of the rows in so many of the nearest lists, by one bit, for some numbers up to all.
    ranks: Vec<(u32, u32)>,
}

impl Found {
    /// Which one it is of those in so many lists, or some more.
    fn rank_in(&self, lists: u32) -> u32 {
        let at = self.ranks.partition_point(|(of, _)| *of < lists);
        self.ranks.get(at).map_or(0, |(_, rank)| *rank)
    }
}

/// For each step the least number that no more than one in `2^(step + 1)` is above.
fn ladder(numbers: impl Iterator<Item = u32>) -> [u32; LADDER_STEPS] {
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    let last = numbers.len().saturating_sub(1);
    std::array::from_fn(|step| {
        let above = numbers.len() >> (step + 1);
        numbers.get(last - above.min(last)).copied().unwrap_or(0)
    })
}

/// Each with the greatest up to it.
fn running_max(mut ladder: [u32; LADDER_STEPS]) -> [u32; LADDER_STEPS] {
    for step in 1..LADDER_STEPS {
        ladder[step] = ladder[step].max(ladder[step - 1]);
    }
    ladder
}

/// Codes rows that come in pieces, as the bytes of section *vectors*, each for its place.
pub(crate) struct RowCoder {
    index: Index,
    /// How many come, and which is next.
    rows: u32,
    row: u32,
    /// The beginning of it.
    begun: Zeroizing<Vec<u8>>,
    signs: Zeroizing<Vec<u8>>,
    nibbles: Zeroizing<Vec<u8>>,
}

impl RowCoder {
    /// Will code so many rows as an index says.
    pub(crate) fn new(index: Index, rows: u32) -> Self {
        let blocks = index.lists().map_or(0, Lists::blocks) as usize;
        let signs = Zeroizing::new(vec![0; blocks * index.block_bytes()]);
        let nibbles = Zeroizing::new(vec![0; rows as usize * index.nibble_row_bytes()]);
        Self { index, rows, row: 0, begun: Zeroizing::default(), signs, nibbles }
    }

    /// Takes the next bytes, wherever they end.
    pub(crate) fn push(&mut self, vectors: &[u8]) {
        let row_bytes = self.index.dimension() * size_of::<f32>();
        let missing = (row_bytes - self.begun.len()).min(vectors.len());
        let (mut own, mut vectors) = (Zeroizing::default(), vectors);
        if !self.begun.is_empty() {
            self.begun.extend_from_slice(&vectors[..missing]);
            vectors = &vectors[missing..];
            if self.begun.len() < row_bytes {
                return;
            }
            own = std::mem::take(&mut self.begun);
        }
        let code_bytes = self.index.nibble_row_bytes();
        let block_bytes = self.index.block_bytes();
        let mut encoder = self.index.encoder();
        let mut row = Zeroizing::new(Vec::with_capacity(self.index.dimension()));
        let whole = vectors.chunks_exact(row_bytes);
        let rest = whole.remainder();
        for bytes in own.chunks_exact(row_bytes).chain(whole) {
            row.clear();
            row.extend(bytes.as_chunks().0.iter().map(|component| f32::from_le_bytes(*component)));
            if self.row == self.rows {
                break;
            }
            let place = self.index.place(self.row);
            let Some(code) = self.nibbles.chunks_exact_mut(code_bytes).nth(place as usize) else { break };
            let sign = self.index.lists().map(|lists| {
                let (block, bit) = lists.block_of(place);
                (&mut self.signs[block as usize * block_bytes..][..block_bytes], bit)
            });
            encoder.encode(&row, code, sign);
            self.row += 1;
        }
        self.begun.extend_from_slice(rest);
    }

    /// The index, and the bytes of sections *signs* and *nibbles*; `None` unless all rows came.
    pub(crate) fn finish(self) -> Option<(Index, [Zeroizing<Vec<u8>>; 2])> {
        let is_whole = self.row == self.rows && self.begun.is_empty();
        is_whole.then_some((self.index, [self.signs, self.nibbles]))
    }
}

/// The components of vectors, as they lie there when that can be.
fn values(vectors: &[u8]) -> Cow<'_, [f32]> {
    match <[f32]>::ref_from_bytes(vectors) {
        Ok(values) if cfg!(target_endian = "little") => Cow::Borrowed(values),
        _ => vectors.as_chunks().0.iter().map(|component| f32::from_le_bytes(*component)).collect(),
    }
}

/// The mean of rows, of which there is at least one.
fn mean(vectors: &[u8], dimension: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; dimension];
    let (components, _) = vectors.as_chunks::<4>();
    let rows = components.chunks_exact(dimension);
    let count = rows.len() as f64;
    for row in rows {
        for (sum, component) in sums.iter_mut().zip(row) {
            *sum += f64::from(f32::from_le_bytes(*component));
        }
    }
    sums.iter().map(|sum| (sum / count) as f32).collect()
}

impl Drop for Codes {
    fn drop(&mut self) {
        for section in [&mut self.index.0, &mut self.signs, &mut self.nibbles, &mut self.places] {
            section.zeroize();
        }
    }
}
