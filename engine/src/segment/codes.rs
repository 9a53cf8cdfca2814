//! What are the codes of a segment's rows, and how does a query meet them?

use strongroom_format::codes::{CODES_VERSION, FLAT_ROWS_MIN, IndexHead, nibble_row_bytes};
use strongroom_format::wire::Writer;
use strongroom_kernel::{Centre, Encoder, Metric, Query, ROTATION_VERSION, Rotation};
use zeroize::Zeroize;

// What a segment's codes are depends on the rotation.
const _: () = assert!(CODES_VERSION == ROTATION_VERSION);

/// What a segment's rows are coded relative to.
#[derive(Debug)]
pub struct Index {
    rotation: Rotation,
    centre: Centre,
}

impl Index {
    /// The index that codes about this centre have.
    pub(super) fn new(centre: Vec<f32>) -> Self {
        let rotation = Rotation::new(centre.len());
        let centre = Centre::new(&rotation, Metric::InnerProduct, centre);
        Self { rotation, centre }
    }

    /// A query as the codes meet it.
    pub fn query(&self, query: &[f32]) -> Query {
        let mut rotated = vec![0.0; self.rotation.rotated_len()];
        self.rotation.rotate(query, &mut rotated);
        Query::new(&self.centre, query, &rotated)
    }

    /// Roughly what it takes in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        2 * self.rotation.rotated_len() * size_of::<f32>()
    }
}

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
    pub(super) fn of(vectors: &[u8], dimension: u32, rows: u32) -> Self {
        if rows < FLAT_ROWS_MIN || dimension == 0 {
            return Self::default();
        }
        let (components, _) = vectors.as_chunks::<4>();
        let vectors = || components.chunks_exact(dimension as usize);
        let centre = mean(vectors(), dimension as usize);
        let index = Index::new(centre.clone());
        let mut nibbles = vec![0; rows as usize * nibble_row_bytes(dimension) as usize];
        let mut encoder = Encoder::new(&index.rotation, &index.centre);
        let mut row = Vec::with_capacity(dimension as usize);
        for (vector, code) in vectors().zip(nibbles.chunks_exact_mut(index.centre.nibble_row_bytes())) {
            row.clear();
            row.extend(vector.iter().map(|component| f32::from_le_bytes(*component)));
            encoder.encode(&row, code, None);
        }
        row.zeroize();
        let head = IndexHead { centre, lists: Vec::new(), centroids: &[] };
        Self { index: head.encode(), signs: Vec::new(), nibbles, places: Vec::new() }
    }
}

/// The mean of rows, of which there is at least one.
fn mean<'a>(rows: impl Iterator<Item = &'a [[u8; 4]]>, dimension: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; dimension];
    let mut count = 0.0;
    for row in rows {
        for (sum, component) in sums.iter_mut().zip(row) {
            *sum += f64::from(f32::from_le_bytes(*component));
        }
        count += 1.0;
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
