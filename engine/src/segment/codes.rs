//! How does a query meet the codes of a segment's rows?
//!
//! Codes say what a row differs from the segment's centre. Those of a large segment lie in lists, each about a centroid, so
//! that a search looks at few of them; then the position of a code is its *place*, and the index knows whose it is.

use crate::nearness::measure;
use crate::rank;
use std::ops::Range;
use strongroom_format::codes::{CODES_VERSION, IndexHead, LADDER_STEPS, SIGN_BLOCK_ROWS};
use strongroom_format::record::Metric;
use strongroom_kernel::{Centre, Encoder, Estimate, Mask, Query, ROTATION_VERSION, Rotation, Variant};

// What a segment's codes are depends on the rotation.
const _: () = assert!(CODES_VERSION == ROTATION_VERSION);

/// What a segment's rows are coded relative to, and which lists they are in.
#[derive(Debug)]
pub struct Index {
    rotation: Rotation,
    centre: Centre,
    lists: Option<Lists>,
}

/// Where the codes of each list lie.
#[derive(Debug)]
pub(super) struct Lists {
    /// The first place of each list, and how many places there are.
    first_places: Vec<u32>,
    /// The first block of sign codes of each list, and how many blocks there are.
    first_blocks: Vec<u32>,
    /// Which row each place is of, and the other way about.
    rows: Vec<u32>,
    places: Vec<u32>,
    centroids: Vec<u8>,
    probes: [u32; LADDER_STEPS],
    candidates: [u32; LADDER_STEPS],
}

/// A list's places and blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct List {
    pub(super) first_block: u32,
    pub(super) blocks: u32,
    pub(super) first_place: u32,
    pub(super) places: u32,
}

impl Index {
    /// The index that a head describes, with the rows of its places.
    pub(crate) fn of(head: IndexHead<'_>, metric: Metric, rows: Vec<u32>) -> Self {
        let rotation = Rotation::new(head.centre.len());
        let centre = Centre::new(&rotation, measure(metric), head.centre);
        let centre = if metric == Metric::Cosine { centre.of_units() } else { centre };
        if head.lists.is_empty() {
            return Self { rotation, centre, lists: None };
        }
        let sums = |counts: &mut dyn Iterator<Item = u32>| {
            let mut sums = vec![0];
            for count in counts {
                sums.push(sums[sums.len() - 1] + count);
            }
            sums
        };
        let mut places = vec![0; rows.len()];
        for (place, &row) in (0..).zip(&rows) {
            places[row as usize] = place;
        }
        let lists = Lists {
            first_places: sums(&mut head.lists.iter().copied()),
            first_blocks: sums(&mut head.lists.iter().map(|rows| rows.div_ceil(SIGN_BLOCK_ROWS))),
            rows,
            places,
            centroids: head.centroids.to_vec(),
            probes: head.probes,
            candidates: head.candidates,
        };
        Self { rotation, centre, lists: Some(lists) }
    }

    /// A query as the codes meet it.
    pub fn query(&self, query: &[f32]) -> Query {
        let mut rotated = vec![0.0; self.rotation.rotated_len()];
        self.rotation.rotate(query, &mut rotated);
        Query::new(&self.centre, query, &rotated)
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

    /// Whether codes lie in lists, so that a search can leave some out.
    pub fn has_lists(&self) -> bool {
        self.lists.is_some()
    }

    /// How many lists there are.
    pub fn list_count(&self) -> usize {
        self.lists.as_ref().map_or(0, Lists::count)
    }

    /// How many lists to look at, and how many rows by their codes of four bits, to find the `k` nearest with this recall.
    pub fn effort(&self, recall: f32, k: usize) -> (usize, usize) {
        self.lists.as_ref().map_or((0, 0), |lists| lists.effort(recall, k))
    }

    pub(super) fn lists(&self) -> Option<&Lists> {
        self.lists.as_ref()
    }

    /// Which row a place is of.
    pub fn row(&self, place: u32) -> u32 {
        self.lists.as_ref().map_or(place, |lists| lists.rows[place as usize])
    }

    /// The place of a row.
    pub fn place(&self, row: u32) -> u32 {
        self.lists.as_ref().map_or(row, |lists| lists.places[row as usize])
    }

    /// The list that a row is in; 0 when there are none.
    pub(super) fn list_of(&self, row: u32) -> u32 {
        self.lists.as_ref().map_or(0, |lists| lists.list_of(lists.places[row as usize]))
    }

    /// Roughly what it takes in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let of_lists = |lists: &Lists| {
            let numbers = lists.first_places.len() + lists.first_blocks.len() + 2 * lists.rows.len();
            numbers * size_of::<u32>() + lists.centroids.len()
        };
        2 * self.rotation.rotated_len() * size_of::<f32>() + self.lists.as_ref().map_or(0, of_lists)
    }
}

impl List {
    /// Its blocks of sign codes.
    pub(super) fn run(&self) -> Range<u32> {
        self.first_block..self.first_block + self.blocks
    }

    /// For each block a bit for each of its places.
    pub(super) fn live(&self) -> impl Iterator<Item = u32> {
        let places = self.places;
        let left = move |block: u32| (places - block * SIGN_BLOCK_ROWS).min(SIGN_BLOCK_ROWS);
        (0..self.blocks).map(move |block| ((1_u64 << left(block)) - 1) as u32)
    }
}

impl Lists {
    /// How near each list is to a query, the greater the nearer.
    pub(super) fn score(&self, query: &Query) -> Vec<Estimate> {
        let mut estimates = vec![Estimate::default(); self.count()];
        Variant::best().estimate_rows(query, &self.centroids, &mut estimates);
        estimates
    }

    /// So many lists, those that are nearest to a query, the nearest first; and for each of their blocks a bit for each place.
    pub(super) fn nearest(&self, query: &Query, count: usize) -> (Vec<List>, Vec<u32>) {
        let mut order = self.by_nearness(query);
        rank::keep_best(&mut order, count);
        order.sort_unstable();
        let nearest: Vec<List> = order.into_iter().map(|key| self.list(rank::number(key))).collect();
        let words = nearest.iter().flat_map(List::live).collect();
        (nearest, words)
    }

    /// Those that are nearest to a query of the lists that have rows that are live, the nearest first: so many, and more where they have fewer
    /// of these than so many lists do on average. Where a filter goes with what rows are about, those near a query have few. And for each
    /// of their blocks a bit for each place whose row is live.
    pub(super) fn nearest_with(&self, query: &Query, count: usize, live: &Mask) -> (Vec<List>, Vec<u32>) {
        let mut order = self.by_nearness(query);
        order.sort_unstable();
        let mut left = (live.count() * count as u64 / self.count() as u64) as i64;
        let (mut nearest, mut words) = (Vec::new(), Vec::new());
        for key in order {
            if nearest.len() >= count && left <= 0 {
                break;
            }
            let list = self.list(rank::number(key));
            let (rows, known) = (self.rows_at(list.first_place..list.first_place + list.places), words.len());
            let bit = |word: u32, &row: &u32| word << 1 | u32::from(live.contains(row));
            let blocks = rows.chunks(SIGN_BLOCK_ROWS as usize);
            words.extend(blocks.map(|rows| rows.iter().rev().fold(0, bit)));
            let found: u32 = words[known..].iter().map(|word| word.count_ones()).sum();
            if found == 0 {
                words.truncate(known);
                continue;
            }
            nearest.push(list);
            left -= i64::from(found);
        }
        (nearest, words)
    }

    /// All of them, to be ordered by how near they are.
    fn by_nearness(&self, query: &Query) -> Vec<u64> {
        (0..).zip(self.score(query)).map(|(list, estimate)| rank::key(estimate.score, list)).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.first_places.len() - 1
    }

    /// How many blocks of sign codes there are.
    pub(super) fn blocks(&self) -> u32 {
        self.first_blocks[self.count()]
    }

    /// The rows of places that follow each other.
    pub(super) fn rows_at(&self, places: Range<u32>) -> &[u32] {
        &self.rows[places.start as usize..places.end as usize]
    }

    /// The block of sign codes that a place is in, and where in the block.
    pub(super) fn block_of(&self, place: u32) -> (u32, usize) {
        let List { first_block, first_place, .. } = self.list(self.list_of(place));
        let within = place - first_place;
        (first_block + within / SIGN_BLOCK_ROWS, (within % SIGN_BLOCK_ROWS) as usize)
    }

    /// Which list a place is in.
    pub(super) fn list_of(&self, place: u32) -> u32 {
        self.first_places.partition_point(|&first| first <= place) as u32 - 1
    }

    pub(super) fn list(&self, list: u32) -> List {
        let (at, next) = (list as usize, list as usize + 1);
        List {
            first_block: self.first_blocks[at],
            blocks: self.first_blocks[next] - self.first_blocks[at],
            first_place: self.first_places[at],
            places: self.first_places[next] - self.first_places[at],
        }
    }

    fn effort(&self, recall: f32, k: usize) -> (usize, usize) {
        let missed = (1.0 - recall).clamp(0.0, 1.0);
        // Queries are farther from rows than rows are from each other, and miss about half as many again by the lists.
        let probes = step(&self.probes, missed * 0.45).max(1);
        let candidates = step(&self.candidates, missed * 0.25) as usize;
        // Steps are of the ten nearest; more of them reach farther.
        let more = (k as f64 / 10.0).max(1.0);
        ((f64::from(probes) * more.sqrt()) as usize, (candidates as f64 * more) as usize + 2 * k)
    }
}

/// The step of a ladder at which so much is missed, between two steps by the logarithm.
fn step(ladder: &[u32; LADDER_STEPS], missed: f32) -> u32 {
    let at = (-missed.max(f32::MIN_POSITIVE).log2() - 1.0).clamp(0.0, (LADDER_STEPS - 1) as f32);
    let below = at as usize;
    let above = (below + 1).min(LADDER_STEPS - 1);
    let share = f64::from(at.fract());
    (f64::from(ladder[below]) * (1.0 - share) + f64::from(ladder[above]) * share).ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this, a search that asks for more recall could look at less.
    #[test]
    fn more_recall_takes_more_steps() {
        let ladder = std::array::from_fn(|step| 1 << step);
        assert_eq!([0.5, 0.25, 0.001, 0.0, 1.0].map(|missed| step(&ladder, missed)), [1, 2, 504, 512, 1]);
        let steps: Vec<u32> = (0..1000).map(|n| step(&ladder, 1.0 - n as f32 / 1000.0)).collect();
        assert!(steps.is_sorted());
    }
}
