//! What do the bytes of a static embedding table say, and are they sound?
//!
//! Read once when a `StaticEmbedder` is made: the vocabulary goes on to `wordpiece`, the rows stay here and are summed in
//! `static_embedder`.
//!
//! All numbers are little-endian:
//!
//! | offset | bytes | type | what |
//! |---|---|---|---|
//! | 0 | 8 | bytes | `STBL0001` |
//! | 8 | 4 | u32 | rows, 1 to [`ROWS_MAX`] |
//! | 12 | 4 | u32 | dimension, 1 to [`DIMENSION_MAX`] |
//! | 16 | 4 | u32 | v, bytes of the vocabulary |
//! | 20 | v | UTF-8 | one token a row, joined by line feeds; `##` in front: goes on a word |
//! | 20 + v | 4 × rows | f32 | a row's scale, 0 to [`SCALE_MAX`] |
//! | 20 + v + 4 × rows | rows × dimension | i8 | a row's values |
//!
//! Invariants:
//! 1. A `Table` exists only if every rule above holds and the bytes end where the values end.
//! 2. Nothing is allocated before the counts have been checked against their limits and against the bytes at hand.
//! 3. A row's vector is scale × value, at most 127 × `SCALE_MAX` in size: no sum of rows overflows.

use thiserror::Error;

const MAGIC: &[u8; 8] = b"STBL0001";
const HEAD_BYTES: usize = 20;

/// More rows than any vocabulary in use.
const ROWS_MAX: usize = 1 << 20;
/// Larger than any sentence vector in use.
const DIMENSION_MAX: usize = 4096;
/// Far above any real scale; keeps sums of squares within f32.
const SCALE_MAX: f32 = 1e6;

/// Why bytes are no embedding table. The table is unusable: take another copy of it.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum TableError {
    /// The bytes do not begin with the magic of this format.
    #[error("the table does not begin with STBL0001")]
    Magic,
    /// The bytes end too early or too late for the counts in their head.
    #[error("the table has {found} bytes where its head calls for {expected}")]
    Length {
        /// Bytes that the counts call for.
        expected: u64,
        /// Bytes at hand.
        found: u64,
    },
    /// A count in the head is zero or above its limit.
    #[error("the table's {field} is {found}, allowed are 1 to {max}")]
    Count {
        /// Which count.
        field: &'static str,
        /// What the head says.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// The vocabulary is not UTF-8.
    #[error("the table's vocabulary is not UTF-8 at byte {offset} of it")]
    Utf8 {
        /// How many bytes of the vocabulary are sound.
        offset: usize,
    },
    /// The vocabulary does not have one token for each row.
    #[error("the table has {rows} rows and {tokens} tokens")]
    Tokens {
        /// Rows by the head.
        rows: usize,
        /// Tokens found.
        tokens: usize,
    },
    /// Two rows claim the same token.
    #[error("the table's row {row} repeats the token of an earlier row")]
    Duplicate {
        /// The later of the two rows.
        row: usize,
    },
    /// A row's scale is negative, not finite or above its limit.
    #[error("the table's row {row} has no sound scale")]
    Scale {
        /// The row.
        row: usize,
    },
}

/// The rows of a sound table.
pub(crate) struct Table {
    dimension: usize,
    scales: Vec<f32>,
    values: Vec<i8>,
}

impl Table {
    /// The rows and, apart from them, the vocabulary in the order of the rows.
    pub(crate) fn parse(bytes: &[u8]) -> Result<(Self, Vec<&str>), TableError> {
        if bytes.len() < MAGIC.len() || !bytes.starts_with(MAGIC) {
            return Err(TableError::Magic);
        }
        let word = |at: usize| {
            let field = bytes.get(at..at + 4)?;
            Some(u32::from_le_bytes(field.try_into().ok()?) as usize)
        };
        let (Some(rows), Some(dimension), Some(vocabulary_bytes)) = (word(8), word(12), word(16)) else {
            return Err(TableError::Length { expected: HEAD_BYTES as u64, found: bytes.len() as u64 });
        };
        in_range("row count", rows, ROWS_MAX)?;
        in_range("dimension", dimension, DIMENSION_MAX)?;
        // Each term is below 2^33, so the sum cannot overflow 64 bits.
        let (scale_bytes, value_bytes) = (4 * rows as u64, rows as u64 * dimension as u64);
        let expected = HEAD_BYTES as u64 + vocabulary_bytes as u64 + scale_bytes + value_bytes;
        if expected != bytes.len() as u64 {
            return Err(TableError::Length { expected, found: bytes.len() as u64 });
        }

        let (vocabulary, rest) = bytes[HEAD_BYTES..].split_at(vocabulary_bytes);
        let (scales, values) = rest.split_at(4 * rows);
        let vocabulary =
            std::str::from_utf8(vocabulary).map_err(|e| TableError::Utf8 { offset: e.valid_up_to() })?;
        let tokens = 1 + vocabulary.bytes().filter(|&b| b == b'\n').count();
        if tokens != rows {
            return Err(TableError::Tokens { rows, tokens });
        }
        let scales: Vec<f32> =
            scales.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        if let Some(row) = scales.iter().position(|s| !(0.0..=SCALE_MAX).contains(s)) {
            return Err(TableError::Scale { row });
        }
        let values = values.iter().map(|&b| i8::from_le_bytes([b])).collect();
        Ok((Self { dimension, scales, values }, vocabulary.split('\n').collect()))
    }

    /// How many numbers a row has.
    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    /// A row's scale and its values.
    pub(crate) fn row(&self, row: u32) -> (f32, &[i8]) {
        let row = row as usize;
        (self.scales[row], &self.values[row * self.dimension..(row + 1) * self.dimension])
    }
}

fn in_range(field: &'static str, found: usize, max: usize) -> Result<(), TableError> {
    if (1..=max).contains(&found) {
        Ok(())
    } else {
        Err(TableError::Count { field, found: found as u64, max: max as u64 })
    }
}
