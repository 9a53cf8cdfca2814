//! Among which vectors are the centroids of a segment's lists found?
//!
//! Among the rows themselves, where a list is near by the same measure as a row: by cosines the rows have length 1, by distances any
//! length will do. By inner products of rows of any length a long row is near to nearly all queries, and the lists of the
//! longest centroids would take all rows. So each row gets one component more, the root of `1 - |x|²/m²`, and is divided by
//! `m`, the length of the longest: all have length 1 then, and the inner product with a query, which has zero there, has the
//! same order as before (Bachrach et al. 2014). What a query is compared with is a centroid without that component, times `m`.
//!
//! Invariant: rows are assigned, and lists are probed, by one measure, that of the inner product, or the distance, in this space.

use crate::cluster::{Resumed, Training};
use crate::nearness::measure;
use strongroom_format::record::Metric;
use strongroom_kernel::{norm, normalize};
use zeroize::Zeroizing;

/// The rows of a segment, as lists are made of them.
pub(super) struct Lifted<'a> {
    metric: Metric,
    /// Components of each row as it is stored.
    dimension: usize,
    rows: &'a [f32],
    /// The rows with one component more, and the length of the longest.
    longer: Option<(Zeroizing<Vec<f32>>, f32)>,
}

impl<'a> Lifted<'a> {
    /// Of rows of so many components.
    pub(super) fn new(rows: &'a [f32], dimension: usize, metric: Metric) -> Self {
        let longer = (metric == Metric::InnerProduct).then(|| {
            let lengths = rows.chunks_exact(dimension).map(norm);
            let longest = lengths.fold(0.0, f32::max).max(f32::MIN_POSITIVE);
            let mut longer = Zeroizing::new(Vec::with_capacity(rows.len() / dimension * (dimension + 1)));
            for row in rows.chunks_exact(dimension) {
                let start = longer.len();
                longer.extend(row.iter().map(|component| component / longest));
                let length = f64::from(norm(&longer[start..]));
                longer.push((1.0 - length * length).max(0.0).sqrt() as f32);
            }
            (longer, longest)
        });
        Self { metric, dimension, rows, longer }
    }

    /// The rows to make lists of.
    pub(super) fn rows(&self) -> &[f32] {
        self.longer.as_ref().map_or(self.rows, |(rows, _)| rows)
    }

    /// Components of these rows.
    pub(super) fn dimension(&self) -> usize {
        self.dimension + usize::from(self.longer.is_some())
    }

    /// So many lists of them.
    pub(super) fn training(&self, lists: usize) -> Training<'static> {
        Training { metric: measure(self.metric), dimension: self.dimension(), lists, start: &[] }
    }

    /// About so many, when it is known in which one rows were before.
    pub(super) fn resumed<'l>(&self, lists: usize, before: &'l [u32]) -> Resumed<'l> {
        Resumed { metric: measure(self.metric), dimension: self.dimension(), lists, before }
    }

    /// What a query is compared with, for one of their centroids.
    pub(super) fn lowered(&self, mut centroid: Vec<f32>) -> Vec<f32> {
        if let Some((_, longest)) = self.longer {
            centroid.truncate(self.dimension);
            centroid.iter_mut().for_each(|component| *component *= longest);
        }
        centroid
    }

    /// The centroid of some of them, of which this is the sum.
    pub(super) fn middle(&self, mut sum: Vec<f32>, count: usize) -> Vec<f32> {
        match self.metric {
            Metric::Cosine | Metric::InnerProduct => drop(normalize(&mut sum)),
            Metric::Euclidean => sum.iter_mut().for_each(|component| *component /= count.max(1) as f32),
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_kernel::dot;

    /// Without this, lists by inner product would be found by another order than their rows.
    #[test]
    fn lifted_rows_have_length_1_and_the_order_of_products() {
        let rows: Vec<f32> = (0..50 * 7).map(|n| (n as f32 * 1.7).sin() * (1 + n / 35) as f32).collect();
        let lifted = Lifted::new(&rows, 7, Metric::InnerProduct);
        assert_eq!((lifted.dimension(), lifted.rows().len()), (8, 50 * 8));
        let query: Vec<f32> = (0..7).map(|n| (n as f32 * 0.9).cos()).collect();
        for (row, longer) in rows.chunks_exact(7).zip(lifted.rows().chunks_exact(8)) {
            assert!((norm(longer) - 1.0).abs() < 1e-6);
            let lowered = lifted.lowered(longer.to_vec());
            assert!((dot(&query, row) - dot(&query, &lowered)).abs() < 1e-4);
        }
        for metric in [Metric::Cosine, Metric::Euclidean] {
            let bare = Lifted::new(&rows, 7, metric);
            assert_eq!((bare.dimension(), bare.rows()), (7, &rows[..]));
            assert_eq!(bare.lowered(rows[..7].to_vec()), rows[..7]);
        }
        let zeros = [0.0; 21];
        assert!(Lifted::new(&zeros, 7, Metric::InnerProduct).rows().iter().all(|x| x.is_finite()));
    }
}
