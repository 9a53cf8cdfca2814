//! How does the built-in model turn texts into vectors?
//!
//! A text's vector is the sum of the rows of its word pieces, made length 1. The rows already hold each token's weight
//! (frequent tokens count for little), so a sum is all there is to do. `embed/scripts/make_table.py` makes the table.
//!
//! Invariants:
//! 1. Rows are added in the order of the text, in groups of [`GROUP`] that begin anew with each text, and every number of
//!    the vector has its own additions: vector instructions change the speed, never a bit of the result.
//! 2. Unknown words and the encoder's special tokens add nothing.
//!
//! Concurrency: read-only after it is made; each call has its own buffers.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::table::{Table, TableError};
use crate::wordpiece::WordPiece;
use crate::{EmbedError, Embedder, EmbedderId};

const NAME: &str = "strongroom-static-1";
static BUILT_IN_TABLE: &[u8] = include_bytes!("../data/table.stbl");

/// Rows that are added in one pass over the sum.
const GROUP: usize = 4;
/// Below this length a sum is rounding noise, and the text has no direction.
const LENGTH_MIN: f32 = 1e-12;

/// The built-in model: a static table of one vector for each word piece, English.
pub struct StaticEmbedder {
    id: EmbedderId,
    tokenizer: WordPiece,
    table: Table,
}

impl StaticEmbedder {
    /// The table that this crate ships, read on first use (some tens of milliseconds) and kept.
    pub fn built_in() -> &'static StaticEmbedder {
        static MODEL: OnceLock<StaticEmbedder> = OnceLock::new();
        MODEL.get_or_init(|| {
            StaticEmbedder::from_bytes(BUILT_IN_TABLE).expect("a test reads the table that this crate ships")
        })
    }

    /// A table from elsewhere, in the format that `table.rs` describes; every byte is checked.
    ///
    /// # Errors
    /// When the bytes are no sound table; they may be hostile.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TableError> {
        let (table, vocabulary) = Table::parse(bytes)?;
        let tokenizer = WordPiece::new(&vocabulary)?;
        let digest = Sha256::digest(bytes).into();
        let id = EmbedderId { name: NAME.to_owned(), dimension: table.dimension(), digest };
        Ok(Self { id, tokenizer, table })
    }

    /// Adds the rows of `tokens` to `sum`.
    fn add_rows(&self, tokens: &[u32], sum: &mut [f32]) {
        let mut groups = tokens.chunks_exact(GROUP);
        for group in &mut groups {
            let [(sa, a), (sb, b), (sc, c), (sd, d)] =
                [group[0], group[1], group[2], group[3]].map(|t| self.table.row(t));
            for ((((to, &a), &b), &c), &d) in sum.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *to += (sa * f32::from(a) + sb * f32::from(b)) + (sc * f32::from(c) + sd * f32::from(d));
            }
        }
        for &token in groups.remainder() {
            let (scale, row) = self.table.row(token);
            for (to, &value) in sum.iter_mut().zip(row) {
                *to += scale * f32::from(value);
            }
        }
    }
}

impl Embedder for StaticEmbedder {
    fn id(&self) -> &EmbedderId {
        &self.id
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut known: Vec<u32> = Vec::new();
        let vectors = texts.iter().map(|text| {
            known.clear();
            self.tokenizer.tokens(text, |token| known.extend(token));
            let mut sum = vec![0.0; self.table.dimension()];
            self.add_rows(&known, &mut sum);
            to_unit_length(&mut sum);
            sum
        });
        Ok(vectors.collect())
    }

    fn count_tokens(&self, text: &str) -> usize {
        let mut count = 0;
        self.tokenizer.tokens(text, |_| count += 1);
        count
    }
}

/// Scales a vector to length 1, or to zero if it has no length to speak of. Squares are added in eight fixed lanes.
fn to_unit_length(vector: &mut [f32]) {
    let mut lanes = [0.0f32; 8];
    for eight in vector.chunks(lanes.len()) {
        for (lane, x) in lanes.iter_mut().zip(eight) {
            *lane += x * x;
        }
    }
    let length = lanes.iter().sum::<f32>().sqrt();
    let factor = if length > LENGTH_MIN { 1.0 / length } else { 0.0 };
    vector.iter_mut().for_each(|x| *x *= factor);
}

#[cfg(test)]
#[path = "static_embedder_tests.rs"]
mod tests;
