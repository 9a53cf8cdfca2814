//! What does every embedding model look like from outside?
//!
//! The server holds a `dyn Embedder` for each collection and knows nothing else about models. What fits in later, a
//! transformer or a remote provider, fits in here.
//!
//! Invariants:
//! 1. An id names the data, not the code: it holds a digest of the model's bytes.
//! 2. An error carries no text that was to be embedded.
//!
//! Concurrency: an embedder is shared by all threads; `embed` takes `&self` and may block, so callers on a reactor move
//! it off.

use std::fmt;

use thiserror::Error;

/// Which model made a vector. Vectors with different ids cannot be compared.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EmbedderId {
    /// The model's name and version, such as `strongroom-static-1`.
    pub name: String,
    /// How many numbers a vector has.
    pub dimension: usize,
    /// SHA-256 of the model's data.
    pub digest: [u8; 32],
}

impl fmt::Display for EmbedderId {
    /// `name/dimension/` and the first four bytes of the digest in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/", self.name, self.dimension)?;
        self.digest[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A model that turns texts into vectors.
pub trait Embedder: Send + Sync {
    /// Which model this is.
    fn id(&self) -> &EmbedderId;

    /// How many numbers each vector has.
    fn dimension(&self) -> usize {
        self.id().dimension
    }

    /// One vector of length 1 for each text, in the order of the texts. A text with no token that the model knows gives
    /// the zero vector.
    ///
    /// # Errors
    /// See [`EmbedError`]. Either every text has its vector or the call fails as a whole.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError>;

    /// How many tokens the model reads in this text, unknown ones included, the marks at its two ends not.
    fn count_tokens(&self, text: &str) -> usize;
}

/// Why texts have no vectors.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// The model cannot be reached or is overloaded. The caller may try again later.
    #[error("the embedding model {model} is unavailable: {reason}")]
    Unavailable {
        /// The model's name.
        model: String,
        /// What went wrong, without any of the text.
        reason: String,
    },
    /// The model refuses this input and will refuse it again. The caller should report it, not repeat it.
    #[error("the embedding model {model} refused the input: {reason}")]
    Refused {
        /// The model's name.
        model: String,
        /// What went wrong, without any of the text.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: operators could not tell from a log line or a collection's record which model made its vectors.
    #[test]
    fn an_id_reads_as_name_dimension_and_digest() {
        let mut digest = [0; 32];
        digest[..5].copy_from_slice(&[0xab, 0x0c, 0xd3, 0x4f, 0x99]);
        let id = EmbedderId { name: "strongroom-static-1".into(), dimension: 256, digest };
        assert_eq!(id.to_string(), "strongroom-static-1/256/ab0cd34f");
    }
}
