//! Which rows of a segment are meant?
//!
//! They are never copied: what works on some of them has the numbers of those that were picked.

use super::random::SplitMix64;

/// Rows that lie one behind the other.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    values: &'a [f32],
    dimension: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(values: &'a [f32], dimension: usize) -> Self {
        assert!(values.len().is_multiple_of(dimension), "all vectors have the dimension");
        Self { values, dimension }
    }

    pub(super) fn dimension(self) -> usize {
        self.dimension
    }

    pub(super) fn row(self, row: u32) -> &'a [f32] {
        &self.values[row as usize * self.dimension..][..self.dimension]
    }

    /// The numbers of all rows.
    pub(super) fn all(self) -> Vec<u32> {
        let count = u32::try_from(self.values.len() / self.dimension);
        (0..count.expect("the rows of a segment have numbers of 32 bits")).collect()
    }

    /// Rows one behind the other.
    pub(super) fn gather(self, picked: impl Iterator<Item = u32>) -> Vec<f32> {
        picked.flat_map(|row| self.row(row)).copied().collect()
    }
}

/// At most `count` of the picked rows, spread evenly over them.
pub(super) fn spread(picked: &[u32], count: usize, random: &mut SplitMix64) -> Vec<u32> {
    random.spread(count, picked.len()).into_iter().map(|place| picked[place]).collect()
}
