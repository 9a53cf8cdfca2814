//! What does one partition's immutable run of rows hold, and how is it read?
//!
//! [`SegmentWriter`] makes the sealed bytes of a segment; [`Segment`] reads them. Opening one reads its
//! table, directory, labels and changes (two dependent fetches); rows, infos, contents, words and fields are opened when they
//! are asked for, through the [`BlockCache`]. Format: `format-spec.md`, "Segment files".
//!
//! Invariants:
//! 1. A segment is read with its partition's key only, and only where the manifest says it lies.
//! 2. Nothing is answered from a block whose checksum, number or tag doesn't check.
//!
//! Concurrency: a `Segment` is immutable and shared.

mod blocked;
mod cache;
mod carry;
mod codes;
mod coding;
mod fields;
mod files;
mod groups;
mod held;
mod labels;
mod lifted;
mod lists;
mod packing;
mod reader;
mod row_lists;
mod rows;
mod runs;
#[cfg(all(test, feature = "sim"))]
mod tests;
mod trials;
mod values;
mod words;
mod writer;

pub use blocked::{Blocked, Lengths};
pub use cache::BlockCache;
pub use codes::Index;
pub(crate) use coding::RowCoder;
pub use fields::{Matches, Verdict};
pub use files::SegmentFiles;
pub(crate) use packing::unpack;
pub use reader::{Segment, check_blocks};
pub use rows::Probed;
pub use values::FieldValues;
pub use words::Dictionary;
pub use writer::{RowWords, SegmentFileWriter, SegmentWriter};

use strongroom_format::manifest::SegmentPlace;

/// The name of the object that holds a segment.
pub fn file_name(place: &SegmentPlace) -> String {
    let unique = u128::from_be_bytes(place.file_id);
    format!("segments/0/{:016x}-{unique:032x}", place.epoch)
}
