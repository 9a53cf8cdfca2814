//! Bytes and types: the layout of every file of a store, as `format-spec.md` tells it.
//!
//! Which question does this crate answer? What each byte on disk means, and how a reader that trusts nothing
//! turns bytes into types. It does no I/O, encrypts nothing and has no `unsafe`; the rooms above hand it
//! bytes that they read and get types back, or a [`Damage`] that names the place.
//!
//! Invariants:
//! 1. No length that was read sizes an allocation before it was checked against [`limits`] and against the
//!    bytes that are there.
//! 2. Every structure carries a CRC32, and reserved bytes are zero: both are checked.
//! 3. What is encoded decodes to the same value, and nothing but that decodes (no trailing bytes).

pub mod bundle;
pub mod catalogue;
pub mod codes;
pub mod damage;
pub mod document;
pub mod field_index;
pub mod fields;
pub mod header;
pub mod info;
pub mod keyring;
pub mod layout;
pub mod limits;
pub mod log;
pub mod manifest;
pub mod memo;
pub mod posting_blocks;
pub mod receipt;
pub mod record;
pub mod segment;
pub mod terms;
#[cfg(test)]
mod tests;
pub mod wire;
pub mod words;

pub use damage::Damage;

/// The version of the format that this code writes and reads.
pub const FORMAT_VERSION: u32 = 1;
