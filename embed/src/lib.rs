//! How does text become passages, and how do passages become vectors?
//!
//! This crate is a leaf: it knows no HTTP, no storage and no partition. The server calls it on the way in (a document's
//! text → [`chunk()`] → passages → [`Embedder::embed`] → vectors) and on the way out (a query → one vector).
//!
//! - [`chunk()`] cuts a text into passages of at most so many tokens, along sentences where it can; [`chunk_as`] along what the text's
//!   [`Form`] has: headings, tables and code, records, elements.
//! - [`Embedder`] is what a model looks like from outside. [`StaticEmbedder`] is the one that is built in: a table of one
//!   vector for each word piece, no model to load, no accelerator, no network.
//!
//! Invariants:
//! 1. The same text gives the same vector, bit for bit, whatever stands beside it in the batch and whatever machine runs it.
//! 2. A vector has length 1 or is all zero; it never holds a NaN or an infinity.
//! 3. [`EmbedderId`] changes whenever the model's data does, so vectors of two models cannot be taken for one another.
//! 4. Nothing here panics or works in more than linear time, whatever the text.
//!
//! ```
//! use strongroom_embed::{ChunkOptions, Embedder, StaticEmbedder, chunk};
//!
//! let model = StaticEmbedder::built_in();
//! let text = "The invoice is due in May. The dog likes the garden.";
//! let options = ChunkOptions::new(12, 0)?;
//! let passages: Vec<&str> =
//!     chunk(text, &options, &|t| model.count_tokens(t)).iter().map(|c| &text[c.start..c.end]).collect();
//! assert_eq!(passages, ["The invoice is due in May.", "The dog likes the garden."]);
//!
//! let vectors = model.embed(&[passages[0], passages[1], "a puppy outside"])?;
//! let likeness = |a: usize, b: usize| vectors[a].iter().zip(&vectors[b]).map(|(x, y)| x * y).sum::<f32>();
//! assert!(likeness(1, 2) > likeness(0, 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chunk;
mod embedder;
mod static_embedder;
mod table;
mod wordpiece;

pub use chunk::{Chunk, ChunkError, ChunkOptions, Form, chunk, chunk_as};
pub use embedder::{EmbedError, Embedder, EmbedderId};
pub use static_embedder::StaticEmbedder;
pub use table::TableError;
