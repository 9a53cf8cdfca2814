//! Which vectors are searched, and with which?
//!
//! *sentences*: 384 components a row, of the files `sentences.*` in the folder of the benchmarks' data; a row is its
//! codes times its scale. *words*: 100 components, of a file that `benches/peers/nearest/words.py` makes. All are of
//! length 1, so that cosine, inner product and distance order them alike, and queries are none of the rows.

use super::npy;
use std::path::Path;

/// Queries kept out of a set that doesn't come with its own.
const QUERIES: usize = 1_000;

/// Rows, and queries that are none of them.
pub struct Set {
    /// What it is called.
    pub name: &'static str,
    /// Components of a vector.
    pub dimension: usize,
    /// The rows' components, of all in turn.
    pub rows: Vec<f32>,
    /// The queries' likewise.
    pub queries: Vec<f32>,
}

impl Set {
    /// The set of sentences, or its first rows.
    ///
    /// # Panics
    /// When the folder doesn't hold it.
    pub fn sentences(data: &Path, rows_max: usize) -> Self {
        let decoded = |codes: &str, scales: &str| {
            let (codes, dimension) = npy::codes(&data.join(codes));
            (decode(&codes, &npy::floats(&data.join(scales)), dimension), dimension)
        };
        let (rows, dimension) = decoded("sentences.codes.npy", "sentences.scales.npy");
        let (queries, _) = decoded("sentences.query-codes.npy", "sentences.query-scales.npy");
        Self { name: "sentences", dimension, rows, queries }.cut(rows_max)
    }

    /// The set of words, or its first rows: some are kept out as queries, evenly from the frequent to the rare.
    ///
    /// # Panics
    /// When the file isn't there.
    pub fn words(file: &Path, dimension: usize, rows_max: usize) -> Self {
        let bytes = std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let all: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        let (rows, queries) = keep_out(&all, dimension, QUERIES);
        Self { name: "words", dimension, rows, queries }.cut(rows_max)
    }

    fn cut(mut self, rows_max: usize) -> Self {
        self.rows.truncate(rows_max.saturating_mul(self.dimension));
        for vector in self.rows.chunks_mut(self.dimension).chain(self.queries.chunks_mut(self.dimension)) {
            normalize(vector);
        }
        self
    }

    /// How many rows there are.
    pub fn row_count(&self) -> usize {
        self.rows.len() / self.dimension
    }

    /// How many queries there are.
    pub fn query_count(&self) -> usize {
        self.queries.len() / self.dimension
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.rows[row * self.dimension..][..self.dimension]
    }

    /// One query.
    pub fn query(&self, query: usize) -> &[f32] {
        &self.queries[query * self.dimension..][..self.dimension]
    }

    /// What tells these vectors from others: results of one set are never taken for another's.
    pub fn checksum(&self) -> String {
        let mix = |sum: u64, value: &f32| {
            (sum ^ u64::from(value.to_bits())).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
        };
        let sum = self.rows.iter().chain(&self.queries).fold(self.dimension as u64, mix);
        format!("{sum:016x}")
    }
}

/// Components as the bytes of a file.
pub fn bytes(components: &[f32]) -> Vec<u8> {
    components.iter().flat_map(|component| component.to_le_bytes()).collect()
}

fn decode(codes: &[i8], scales: &[f32], dimension: usize) -> Vec<f32> {
    let rows = codes.chunks(dimension).zip(scales);
    rows.flat_map(|(row, scale)| row.iter().map(move |code| f32::from(*code) * scale)).collect()
}

fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
}

/// Rows and queries: every so many rows one becomes a query.
fn keep_out(all: &[f32], dimension: usize, queries: usize) -> (Vec<f32>, Vec<f32>) {
    let every = (all.len() / dimension / queries).max(2);
    let (mut rows, mut kept_out) = (Vec::with_capacity(all.len()), Vec::new());
    for (number, vector) in all.chunks_exact(dimension).enumerate() {
        let is_query = number % every == every / 2 && kept_out.len() < queries * dimension;
        if is_query { &mut kept_out } else { &mut rows }.extend_from_slice(vector);
    }
    (rows, kept_out)
}

#[cfg(test)]
mod tests {
    use super::{decode, keep_out, normalize};

    // Queries that are rows find themselves: recall would be too high.
    #[test]
    fn queries_are_kept_out_of_the_rows() {
        let all: Vec<f32> = (0..100_u8).flat_map(|row| [f32::from(row), 0.5]).collect();
        let (rows, queries) = keep_out(&all, 2, 10);
        assert_eq!((rows.len(), queries.len()), (180, 20));
        assert_eq!(queries[..4], [5.0, 0.5, 15.0, 0.5]);
        assert!(queries.chunks(2).all(|query| !rows.chunks(2).any(|row| row == query)));
    }

    // A row's codes with another row's scale are another vector.
    #[test]
    fn a_row_is_its_codes_times_its_scale() {
        let mut rows = decode(&[3, -4, 0, 127], &[0.5, 0.25], 2);
        assert_eq!(rows, [1.5, -2.0, 0.0, 31.75]);
        normalize(&mut rows[..2]);
        assert_eq!(rows[..2], [0.6, -0.8]);
        normalize(&mut [0.0, 0.0]);
    }
}
