//! What are the codes of a segment's rows, when it is written?
//!
//! Few rows have none. Up to [`FLAT_ROWS_MAX`] each has a code of four bits a component, in the order of the rows. More are put
//! into lists, or stay in those of the largest segment that was merged, and have sign codes as well.

use super::codes::Index;
use super::lifted::Lifted;
use super::lists::Lists;
use super::trials::{Learned, Trials};
use crate::cluster::{Workers, assign, resume, seconds, train};
use std::borrow::Cow;
use strongroom_format::codes::{FLAT_ROWS_MIN, IndexHead, ListRows, Places, SIGN_BLOCK_ROWS};
use strongroom_format::record::{CollectionSpec, Metric};
use strongroom_format::wire::Writer;
use zerocopy::FromBytes;
use zeroize::{Zeroize, Zeroizing};

/// More rows than this are put into lists.
pub(super) const FLAT_ROWS_MAX: u32 = 32_768;

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
            let mut coder = RowCoder::new(Index::of(head.clone(), metric, Places::default()), rows);
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
    let wanted = 4 * count.isqrt();
    let lifted = Lifted::new(rows, dimension, metric);
    let resumed = resume(lifted.rows(), lifted.resumed(wanted, before), workers);
    let (centroids, list_of_row) = resumed.unwrap_or_else(|| {
        let centroids = train(lifted.rows(), lifted.training(wanted), workers);
        let list_of_row = assign(&centroids, lifted.rows(), workers);
        (centroids, list_of_row)
    });
    let seconds = seconds(&centroids, lifted.rows(), &list_of_row, SIGN_BLOCK_ROWS as usize, workers);
    let mut lists: Vec<_> =
        seconds.iter().map(|seconds| ListRows { own: 0, seconds: seconds.len() as u32 }).collect();
    for &list in &list_of_row {
        lists[list as usize].own += 1;
    }
    let mut places = Places { rows: (0..count as u32).collect(), seconds: seconds.concat() };
    // Rows of one list stay in their order.
    places.rows.sort_by_key(|&row| list_of_row[row as usize]);
    let flat = IndexHead::flat(centre);
    let index = Index::of(flat.clone(), metric, Places::default());
    let mut encoder = index.encoder();
    let mut of_centroids = vec![0; lists.len() * index.nibble_row_bytes()];
    let codes = of_centroids.chunks_exact_mut(index.nibble_row_bytes());
    for (centroid, code) in centroids.vectors().chunks_exact(lifted.dimension()).zip(codes) {
        encoder.encode(&lifted.lowered(centroid.to_vec()), code, None);
    }
    let mut head = IndexHead { lists, centroids: &of_centroids, ..flat };
    let mut coder = RowCoder::new(Index::of(head.clone(), metric, places.clone()), count as u32);
    coder.push(vectors);
    let Some((index, codes)) = coder.finish() else { return Codes::default() };
    let [signs, nibbles] = codes.map(|mut code| std::mem::take(&mut *code));
    let trials = Trials { index: &index, metric, rows, lifted: &lifted, signs: &signs, nibbles: &nibbles };
    let Learned { slope, reach, probes, candidates } = trials.learn(workers);
    head = IndexHead { slope, reach, probes, candidates, ..head };
    Codes { index: head.encode(), signs, nibbles, places: places.encode() }
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
                let (block, at) = lists.slot_of(place);
                (&mut self.signs[block * block_bytes..][..block_bytes], at)
            });
            encoder.encode(&row, code, sign);
            self.row += 1;
        }
        self.begun.extend_from_slice(rest);
    }

    /// The index, and the bytes of sections *signs* and *nibbles*; `None` unless all rows came.
    pub(crate) fn finish(mut self) -> Option<(Index, [Zeroizing<Vec<u8>>; 2])> {
        let is_whole = self.row == self.rows && self.begun.is_empty();
        self.index.copy_seconds(&mut self.signs);
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
