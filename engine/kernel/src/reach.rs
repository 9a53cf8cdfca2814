//! Which of many rows may still be among the best, by what each scores at least and at most?
//!
//! What a search asks of all rows, and what is no arithmetic of vectors: as rows are scored in a few nanoseconds each, a
//! branch for a row would cost as much. Everything here has one answer, whatever the instruction set.

use crate::arch::lanes::{LANES, Lanes};
use crate::arch::{Set, Work};
use crate::coded::Bounds;
use crate::variant::Variant;

impl Bounds {
    /// How many rows may score so much.
    pub fn count(bounds: &[Bounds], floor: f32) -> usize {
        Variant::best().run(Counting { bounds, floor })
    }

    /// Puts the numbers of the rows that may score so much in place of what is there, rising. `first` is the number of
    /// the first row.
    pub fn reaching(bounds: &[Bounds], floor: f32, first: u32, numbers: &mut Vec<u32>) {
        Variant::best().run(Reaching { bounds, floor, first, numbers });
    }

    /// Of each of so many groups of rows what the best scores at most, and at least: rows take turns at being in a group.
    ///
    /// # Panics
    /// When there are rows, but no groups.
    pub fn of_groups(bounds: &[Bounds], groups: usize) -> Vec<Bounds> {
        let mut best = vec![Bounds::NONE; groups.min(bounds.len())];
        if !bounds.is_empty() {
            Variant::best().run(Grouping { bounds, best: &mut best });
        }
        best
    }
}

/// How many scores are no less than this.
pub fn reaching_count(scores: &[f32], floor: f32) -> usize {
    Variant::best().run(CountingScores { scores, floor })
}

struct CountingScores<'a> {
    scores: &'a [f32],
    floor: f32,
}

impl Work for CountingScores<'_> {
    type Result = usize;

    #[inline(always)]
    fn run<V: Lanes>(self, _: Set<V>) -> usize {
        let mut count = 0;
        for &score in self.scores {
            count += u32::from(score >= self.floor);
        }
        count as usize
    }
}

/// There is room for so many numbers at first.
const ROOM: usize = 16 * LANES;

struct Counting<'a> {
    bounds: &'a [Bounds],
    floor: f32,
}

impl Work for Counting<'_> {
    type Result = usize;

    #[inline(always)]
    fn run<V: Lanes>(self, _: Set<V>) -> usize {
        let mut count = 0;
        for row in self.bounds {
            count += usize::from(row.most >= self.floor);
        }
        count
    }
}

struct Reaching<'a> {
    bounds: &'a [Bounds],
    floor: f32,
    first: u32,
    numbers: &'a mut Vec<u32>,
}

impl Work for Reaching<'_> {
    type Result = ();

    #[inline(always)]
    fn run<V: Lanes>(self, set: Set<V>) {
        let Self { bounds, floor, mut first, numbers } = self;
        let (whole, rest) = bounds.as_chunks::<LANES>();
        let mut count = 0;
        for rows in whole {
            // Sixteen numbers are written at a time, of which some count. Mostly few rows reach.
            if numbers.len() < count + 2 * LANES {
                numbers.resize(2 * count + ROOM, 0);
            }
            let room = numbers[count..].first_chunk_mut().expect("room for sixteen more");
            count += set.reaching(rows, floor, first, room);
            first += LANES as u32;
        }
        numbers.resize(numbers.len().max(count + rest.len()), 0);
        for (number, row) in (first..).zip(rest) {
            numbers[count] = number;
            count += usize::from(row.most >= floor);
        }
        numbers.truncate(count);
    }
}

struct Grouping<'a> {
    bounds: &'a [Bounds],
    best: &'a mut [Bounds],
}

impl Work for Grouping<'_> {
    type Result = ();

    #[inline(always)]
    fn run<V: Lanes>(self, _: Set<V>) {
        for rows in self.bounds.chunks(self.best.len()) {
            for (best, row) in self.best.iter_mut().zip(rows) {
                best.least = if row.least > best.least { row.least } else { best.least };
                best.most = if row.most > best.most { row.most } else { best.most };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coded::Estimate;

    /// Lost otherwise: a hit, to a bound on the wrong side of its estimate.
    #[test]
    fn bounds_lie_about_estimates() {
        let bounds = [0.5, -1.0, 0.0].map(|score| Bounds::from(Estimate { score, error: 0.25 }));
        assert_eq!(bounds.map(|row| (row.least, row.most)), [(0.25, 0.75), (-1.25, -0.75), (-0.25, 0.25)]);
    }

    /// Bounds of every kind, many of them equal.
    fn some(count: usize) -> Vec<Bounds> {
        let mut state = 1_u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as f32 / 65_536.0 - 0.5
        };
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 0.25];
        let row = |i: usize| match i % 11 {
            0..6 if i.is_multiple_of(7) => Bounds::exact(odd[i % 6]),
            _ => Bounds { least: draw() - 0.5, most: draw() },
        };
        (0..count).map(row).collect()
    }

    /// Lost otherwise: a hit, to a row that is passed over; or one that nobody may see, to a row that is not.
    #[test]
    fn rows_are_counted_and_told_that_may_reach_the_floor() {
        for count in [0, 1, 31, 32, 33, 64, 100, 2048] {
            let bounds = some(count);
            for floor in [f32::MIN, f32::NEG_INFINITY, f32::INFINITY, 0.0, 0.25, 0.4, f32::NAN] {
                let wanted: Vec<u32> = (7..)
                    .zip(&bounds)
                    .filter(|(_, row)| row.most >= floor)
                    .map(|(number, _)| number)
                    .collect();
                for variant in Variant::all() {
                    let mut numbers = vec![u32::MAX; 3];
                    variant.run(Reaching { bounds: &bounds, floor, first: 7, numbers: &mut numbers });
                    assert_eq!(numbers, wanted, "{count} rows, {floor}, {}", variant.name());
                }
                assert_eq!(Bounds::count(&bounds, floor), wanted.len());
            }
        }
    }

    /// Lost otherwise: recall, to fewer lists than a query needs.
    #[test]
    fn scores_are_counted_that_reach_the_floor() {
        for count in [0, 1, 31, 32, 33, 100] {
            let scores: Vec<f32> = some(count).iter().map(|row| row.most).collect();
            for floor in [f32::NEG_INFINITY, f32::INFINITY, 0.0, 0.25, f32::NAN] {
                let wanted = scores.iter().filter(|score| **score >= floor).count();
                for variant in Variant::all() {
                    let work = CountingScores { scores: &scores, floor };
                    assert_eq!(variant.run(work), wanted, "{count} scores, {floor}, {}", variant.name());
                }
            }
        }
    }

    /// Lost otherwise: a hit, to a floor above the k-th best.
    #[test]
    fn groups_have_the_best_of_their_rows() {
        for (count, groups) in [(0, 0), (0, 5), (1, 5), (5, 5), (100, 7), (1000, 64), (64, 640)] {
            let bounds = some(count);
            let best = Bounds::of_groups(&bounds, groups);
            assert_eq!(best.len(), groups.min(count));
            for (group, best) in best.iter().enumerate() {
                let of = |bound: fn(&Bounds) -> f32| {
                    let rows = bounds.iter().skip(group).step_by(groups.min(count)).map(bound);
                    rows.filter(|bound| !bound.is_nan()).fold(f32::NEG_INFINITY, f32::max)
                };
                assert_eq!((best.least, best.most), (of(|row| row.least), of(|row| row.most)));
            }
        }
    }
}
