//! Into which lists do the rows of a large segment fall, so that a search need only look at a few of them?
//!
//! A segment with too many rows for a flat scan keeps them in lists, each about a centroid. [`train`] finds the centroids
//! on a sample of the rows, [`assign`] says which list each row belongs to, and a search asks [`Centroids::score`] which
//! lists are near its query: all three by one measure, so that a row is looked for where it was put.
//!
//! The measure of a vector and a centroid is `x·c - |c|²/2`, the greater the nearer: of all centroids the one with the
//! least squared distance has the greatest. Where nearness is the inner product, rows and centroids have length 1, and the
//! measure is `x·c` alone.
//!
//! Training is k-means by Lloyd's rounds from sampled rows. Above [`FLAT_TRAINED_MAX`] lists it has two levels: some
//! `√lists` groups first, and each group's share of the lists within it; a few rounds over all lists mend the borders. Lists
//! that grow too long are split at the cost of the shortest; how and why is in `docs/decisions/0008-clusters.md`. When segments
//! are merged, [`resume`] goes on with the lists of the largest instead, if it had most of the rows. Some rows get a second
//! list by [`seconds`].
//!
//! Invariants:
//! 1. The same rows give the same centroids and lists: on any number of threads, on any instruction set, at any time.
//! 2. `assign` puts every row into the list that is nearest by the measure, as the kernel defines it; of equals the lowest. Above
//!    [`FLAT_ASSIGNED_MAX`] lists, only those of the groups that are nearest to the row are looked at. [`resume`] leaves rows in
//!    the lists in which they were.
//! 3. Of the rows that were trained on, some are nearest to each centroid: `train` gives fewer lists than it was asked for
//!    when the rows don't fill them. No list of `resume` is empty.
//! 4. No finite rows make it panic or go on without end. Those whose squares overflow are not told apart.
//!
//! Concurrency: pure functions. Parts of the work run on the threads of [`Workers`], and their results are put together in
//! the order of the rows.

mod assigning;
mod centroids;
mod groups;
mod lloyd;
mod random;
mod resuming;
mod rows;
mod scan;
mod seconds;
#[cfg(test)]
mod tests;
mod training;
mod workers;

pub use assigning::{FLAT_ASSIGNED_MAX, assign};
pub use centroids::Centroids;
pub use resuming::{NO_LIST, Resumed, resume};
pub use seconds::seconds;
pub use training::{FLAT_TRAINED_MAX, SAMPLED_ROWS_PER_LIST, Training, train};
pub use workers::Workers;
