//! How does a query meet the codes of a segment's rows?
//!
//! Codes say what a row differs from the segment's centre. Those of a large segment lie in lists, each about a centroid, so
//! that a search looks at few of them; then the position of a code is its *place*, and the index knows whose it is.

use super::lists::{Effort, Lists};
use crate::nearness::measure;
use strongroom_format::codes::{CODES_VERSION, IndexHead, Places, TWO_PLANES_MAX};
use strongroom_format::record::Metric;
use strongroom_kernel::{Centre, Encoder, Query, ROTATION_VERSION, Rotation};

// What a segment's codes are depends on the rotation.
const _: () = assert!(CODES_VERSION == ROTATION_VERSION);
// How long a block of sign codes is depends on its planes.
const _: () = assert!(TWO_PLANES_MAX as usize == strongroom_kernel::TWO_PLANES_MAX);

/// What a segment's rows are coded relative to, and which lists they are in.
#[derive(Debug)]
pub struct Index {
    rotation: Rotation,
    centre: Centre,
    lists: Option<Lists>,
}

impl Index {
    /// The index that a head describes, with the rows of its places.
    pub(crate) fn of(head: IndexHead<'_>, metric: Metric, places: Places) -> Self {
        let rotation = Rotation::new(head.centre.len());
        let centre = Centre::new(&rotation, measure(metric), head.centre.clone());
        let centre = if metric == Metric::Cosine { centre.of_units() } else { centre };
        let lists = (!head.lists.is_empty()).then(|| Lists::of(&head, metric, places));
        Self { rotation, centre, lists }
    }

    /// A query as the codes meet it.
    pub fn query(&self, query: &[f32]) -> Query {
        Query::turned(&self.rotation, &self.centre, query)
    }

    /// Components of each row.
    pub fn dimension(&self) -> usize {
        self.centre.dimension()
    }

    /// Codes rows about the centre.
    pub(super) fn encoder(&self) -> Encoder<'_> {
        Encoder::new(&self.rotation, &self.centre)
    }

    /// How long a row's code of four bits is.
    pub(super) fn nibble_row_bytes(&self) -> usize {
        self.centre.nibble_row_bytes()
    }

    /// How long a block of sign codes is.
    pub(super) fn block_bytes(&self) -> usize {
        self.centre.block_bytes()
    }

    /// Copies the sign codes of rows that stand in a second list to where they stand there.
    pub(super) fn copy_seconds(&self, signs: &mut [u8]) {
        for (from, to) in self.lists.iter().flat_map(Lists::second_slots) {
            self.centre.copy_signs(signs, from, to);
        }
    }

    /// Whether codes lie in lists, so that a search can leave some out.
    pub fn has_lists(&self) -> bool {
        self.lists.is_some()
    }

    /// What to look at to find the `k` nearest with this recall, of rows of which a filter lets one in so many pass; `None`
    /// without lists.
    pub fn effort(&self, recall: f32, k: usize, one_in: f64) -> Option<Effort> {
        self.lists.as_ref().map(|lists| lists.effort(recall, k, one_in))
    }

    pub(super) fn lists(&self) -> Option<&Lists> {
        self.lists.as_ref()
    }

    /// Which row a place is of.
    pub fn row(&self, place: u32) -> u32 {
        self.lists.as_ref().map_or(place, |lists| lists.row(place))
    }

    /// The place of a row.
    pub fn place(&self, row: u32) -> u32 {
        self.lists.as_ref().map_or(row, |lists| lists.place(row))
    }

    /// The list that a row is in; 0 when there are none.
    pub(super) fn list_of(&self, row: u32) -> u32 {
        self.lists.as_ref().map_or(0, |lists| lists.list_of(lists.place(row)))
    }

    /// Roughly what it takes in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let of_lists = self.lists.as_ref().map_or(0, Lists::bytes);
        2 * self.rotation.rotated_len() * size_of::<f32>() + of_lists
    }
}
