//! What is the sum of many rows?
//!
//! Each component's is a sum of its own, in `f64` and in the order of the rows: how many are added side by side makes no
//! difference.

use crate::arch::ahead::ahead;
use crate::arch::lanes::Lanes;
use crate::arch::{Set, Work};
use crate::variant::Variant;

/// Adds rows that lie anywhere to sums, one after the other.
///
/// ```
/// let mut sums = [1.0, 0.0];
/// strongroom_kernel::add_rows(&mut sums, &[&[1.0, 2.0], &[3.0, 4.0]]);
/// assert_eq!(sums, [5.0, 6.0]);
/// ```
///
/// # Panics
/// When a row is not as long as there are sums.
pub fn add_rows(sums: &mut [f64], rows: &[&[f32]]) {
    assert!(rows.iter().all(|row| row.len() == sums.len()), "each row has a component for each sum");
    Variant::best().run(Adding { sums, rows });
}

struct Adding<'a> {
    sums: &'a mut [f64],
    rows: &'a [&'a [f32]],
}

impl Work for Adding<'_> {
    type Result = ();

    #[inline(always)]
    fn run<V: Lanes>(self, _: Set<V>) {
        for row in ahead(self.rows) {
            for (sum, &component) in self.sums.iter_mut().zip(row) {
                *sum += f64::from(component);
            }
        }
    }
}
