//! What are the codes of a segment's rows, and how does a query meet them?

use strongroom_format::codes::{CODES_VERSION, FLAT_ROWS_MIN, IndexHead};
use strongroom_format::wire::Writer;
use strongroom_kernel::{Centre, Encoder, Metric, Query, ROTATION_VERSION, Rotation};
use zeroize::{Zeroize, Zeroizing};

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
        let centre = mean(vectors, dimension as usize);
        let mut coder = RowCoder::new(centre.clone());
        coder.push(vectors);
        let head = IndexHead { centre, lists: Vec::new(), centroids: &[] };
        Self { index: head.encode(), signs: Vec::new(), nibbles: coder.finish(), places: Vec::new() }
    }
}

/// Codes rows that come in pieces, as the bytes of section *vectors*.
pub(crate) struct RowCoder {
    index: Index,
    dimension: usize,
    /// The beginning of a row.
    begun: Vec<u8>,
    nibbles: Vec<u8>,
}

impl RowCoder {
    /// Will code rows about this centre.
    pub(crate) fn new(centre: Vec<f32>) -> Self {
        let dimension = centre.len();
        Self { index: Index::new(centre), dimension, begun: Vec::new(), nibbles: Vec::new() }
    }

    /// Takes the next bytes, wherever they end.
    pub(crate) fn push(&mut self, vectors: &[u8]) {
        let row_bytes = self.dimension * size_of::<f32>();
        let missing = (row_bytes - self.begun.len()).min(vectors.len());
        let (mut own, mut vectors) = (&[][..], vectors);
        if !self.begun.is_empty() {
            self.begun.extend_from_slice(&vectors[..missing]);
            vectors = &vectors[missing..];
            if self.begun.len() < row_bytes {
                return;
            }
            own = &self.begun;
        }
        let code_bytes = self.index.centre.nibble_row_bytes();
        let mut encoder = Encoder::new(&self.index.rotation, &self.index.centre);
        let mut row = Zeroizing::new(Vec::with_capacity(self.dimension));
        let whole = vectors.chunks_exact(row_bytes);
        let rest = whole.remainder();
        for bytes in own.chunks_exact(row_bytes).chain(whole) {
            row.clear();
            row.extend(bytes.as_chunks().0.iter().map(|component| f32::from_le_bytes(*component)));
            let start = self.nibbles.len();
            self.nibbles.resize(start + code_bytes, 0);
            encoder.encode(&row, &mut self.nibbles[start..], None);
        }
        self.begun.clear();
        self.begun.extend_from_slice(rest);
    }

    /// The codes of all rows that came whole.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        std::mem::take(&mut self.nibbles)
    }
}

impl Drop for RowCoder {
    fn drop(&mut self) {
        self.begun.zeroize();
        self.nibbles.zeroize();
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
