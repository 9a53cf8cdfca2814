//! Which list does each row of a segment belong to?

use super::centroids::Centroids;
use super::rows::Rows;
use super::workers::Workers;
use super::{groups, scan};

/// Up to so many lists, [`assign`] and the last rounds of training look at all of them.
pub const FLAT_ASSIGNED_MAX: usize = 2048;

/// Says for each row which list it belongs to: that of the nearest centroid, of equals the lowest. Above
/// [`FLAT_ASSIGNED_MAX`] lists, only those of the groups that are nearest to the row are looked at.
///
/// # Panics
/// When the rows are not all as long as the centroids, or there are rows and no lists.
pub fn assign(centroids: &Centroids, rows: &[f32], workers: &Workers) -> Vec<u32> {
    let rows = Rows::new(rows, centroids.dimension());
    let nearest = if centroids.lists() > FLAT_ASSIGNED_MAX { groups::nearest } else { scan::nearest };
    nearest(centroids, rows, &rows.all(), workers)
}
