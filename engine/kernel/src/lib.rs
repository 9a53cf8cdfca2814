//! How near are two vectors, on any CPU with the same answer to the last bit?
//!
//! # The definition
//!
//! The dot product of two vectors of `f32` is a sum in sixteen lanes. Lane `l` begins with `0.0` and adds the
//! products of the elements `l`, `l + 16`, `l + 32`, …, in this order; each product and each sum is rounded
//! to `f32` on its own (never a fused multiply-add). A vector whose length is not a multiple of 16 counts as
//! continued by zeros. The lanes are then folded in halves: lane `l` takes lane `l + 8`, then `l + 4`, then
//! `l + 2`, then `l + 1`, and lane 0 is the answer.
//!
//! The squared distance is summed in the same way, of squares of differences. Halves are widened first, which
//! is exact. Dot products of bytes are integers, and so are exact in any order.
//!
//! # A search by codes
//!
//! Rows are coded in blocks of 32 at one bit a component, or two if there are few, and one by one at four; `codes` says how, and what lies
//! where. A search scans the blocks, looks again at what may be near, and scores the originals of what still may:
//!
//! ```
//! use strongroom_kernel::{Bar, Centre, Encoder, Estimate, Metric, Query, Rotation, Variant, dot};
//!
//! let rows = [[3.0, 4.0], [-4.0, 3.0], [4.0, 3.0]];
//! let rotation = Rotation::new(2);
//! let centre = Centre::new(&rotation, Metric::InnerProduct, vec![1.0, 3.0]);
//! let mut block = vec![0; centre.block_bytes()];
//! let mut nibble_rows = vec![0; rows.len() * centre.nibble_row_bytes()];
//! let mut encoder = Encoder::new(&rotation, &centre);
//! for (place, code) in nibble_rows.chunks_exact_mut(centre.nibble_row_bytes()).enumerate() {
//!     encoder.encode(&rows[place], code, Some((&mut block, place)));
//! }
//!
//! let query = [1.0, 0.5];
//! let mut rotated = vec![0.0; rotation.rotated_len()];
//! rotation.rotate(&query, &mut rotated);
//! let prepared = Query::new(&centre, &query, &rotated);
//! let bar = Bar { floor: 4.0, caution: 1.0 };
//! let mut places = Vec::new();
//! Variant::best().scan_signs(&[&prepared], &block, &[0b111], &mut [bar], |_, _, survivors, _| {
//!     places.extend((0..32).filter(|place| survivors >> place & 1 == 1));
//!     bar
//! });
//! let mut estimates = vec![Estimate::default(); places.len()];
//! let nibble_rows: Vec<&[u8]> = nibble_rows.chunks(centre.nibble_row_bytes()).collect();
//! let looked_at: Vec<&[u8]> = places.iter().map(|&place| nibble_rows[place as usize]).collect();
//! Variant::best().estimate_each(&prepared, &looked_at, &mut estimates);
//! let may_reach = |estimate: &Estimate| estimate.score + estimate.error >= bar.floor;
//! let left = places.iter().zip(&estimates).filter(|(_, estimate)| may_reach(estimate));
//! let hits: Vec<u32> = left.map(|(&p, _)| p).filter(|&p| dot(&query, &rows[p as usize]) >= bar.floor).collect();
//! assert_eq!(hits, [0, 2]);
//! ```
//!
//! Invariants:
//! 1. Every variant gives the bits of this definition, however the rows are spread over calls. Where the
//!    answer is not a number, which bits say so is left open.
//! 2. No input makes a kernel panic or read outside its slices, be it NaN or infinite; only slices whose
//!    lengths don't fit each other do, and they are the caller's bug.
//! 3. The error of an estimate by codes is never less than what the estimate is off by from the canonical score.
//! 4. Unsafe code is in `arch` alone. A variant is a value that can only be made where the CPU has been
//!    asked and can.
//!
//! Concurrency: pure functions.

mod arch;
mod brief;
mod coded;
mod codes;
mod contenders;
mod counting;
pub mod half;
mod mask;
mod norm;
mod reach;
mod reached;
mod rotation;
mod rows;
mod summing;
#[cfg(test)]
mod tests;
mod variant;

pub use arch::ahead::fetch;
pub use coded::{Bar, BlockScores, Bounds, Estimate};
pub use codes::{Centre, Encoder, Metric, Query, TWO_PLANES_MAX};
pub use contenders::Contenders;
pub use mask::{BLOCK_ROWS, Mask};
pub use norm::{is_finite, norm, normalize};
pub use reach::reaching_count;
pub use reached::Reached;
pub use rotation::{ROTATED_MULTIPLE, ROTATION_VERSION, Rotation};
pub use rows::{Dot, DotF16, DotI8, Measure, SquaredDistance};
pub use summing::add_rows;
pub use variant::{DIMENSION_MAX, Variant};

/// The dot product of two vectors.
///
/// ```
/// assert_eq!(strongroom_kernel::dot(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 32.0);
/// ```
///
/// # Panics
/// When the vectors differ in length.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    Variant::best().dot(a, b)
}

/// The dot products of a query with many rows, which lie one behind the other, each as long as the query.
/// Fastest where every row begins at a multiple of 64 bytes; any alignment will do.
///
/// ```
/// let mut scores = [0.0; 2];
/// strongroom_kernel::dot_rows(&[1.0, 2.0], &[3.0, 4.0, 5.0, 6.0], &mut scores);
/// assert_eq!(scores, [11.0, 17.0]);
/// ```
///
/// # Panics
/// When the rows are not as many as the scores.
pub fn dot_rows(query: &[f32], rows: &[f32], scores: &mut [f32]) {
    Variant::best().dot_rows(query, rows, scores);
}
