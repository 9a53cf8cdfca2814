//! Which rows are truly the nearest?
//!
//! Found by a plain scan in f32 that shares nothing with the engine. What is kept of each query is a floor, the score of
//! the tenth nearest: whatever scores at least that is one of the nearest, also where rows are alike. Recall is how
//! many of those an answer has, of ten, or of all that take part when they are fewer.

use super::sets::{Set, bytes};
use std::collections::HashSet;
use std::path::Path;

/// How many are asked for.
pub const K: usize = 10;
/// Scores of another order of additions differ by less.
pub const TOLERANCE: f32 = 1e-5;

/// Rows scanned with all queries while they are in the processor's cache.
const BLOCK: usize = 512;

/// Floors of each query, for one choice of the rows that take part.
pub struct Truth {
    floors: Vec<f32>,
    takes_part: Vec<bool>,
}

impl Truth {
    /// How many rows take part.
    pub fn matches(&self) -> usize {
        self.takes_part.iter().filter(|part| **part).count()
    }

    /// How many an answer must have.
    pub fn wanted(&self) -> usize {
        K.min(self.matches())
    }

    /// Whether a row takes part.
    pub fn takes_part(&self, row: usize) -> bool {
        self.takes_part[row]
    }

    /// The share of a query's nearest that are among these rows.
    pub fn recall(&self, set: &Set, query: usize, found: &[usize]) -> f64 {
        let floor = self.floors[query] - TOLERANCE;
        let vector = set.query(query);
        let right: HashSet<usize> = found
            .iter()
            .copied()
            .filter(|&row| self.takes_part[row] && dot(vector, set.row(row)) >= floor)
            .collect();
        right.len().min(self.wanted()) as f64 / self.wanted().max(1) as f64
    }
}

/// Floors for several choices of rows, read from a file when they are there.
///
/// # Panics
/// When the file can't be written.
pub fn cached(path: &Path, set: &Set, choices: Vec<Vec<bool>>) -> Vec<Truth> {
    let queries = set.query_count();
    let known = std::fs::read(path).ok().filter(|known| known.len() == choices.len() * queries * 4);
    let floors = match known {
        Some(known) => {
            let all: Vec<f32> =
                known.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
            all.chunks(queries).map(<[f32]>::to_vec).collect()
        }
        None => {
            let floors = floors(set, &choices);
            std::fs::write(path, bytes(&floors.concat())).expect("a file in the benchmark's folder");
            floors
        }
    };
    floors.into_iter().zip(choices).map(|(floors, takes_part)| Truth { floors, takes_part }).collect()
}

/// The floors of all queries, for each choice.
fn floors(set: &Set, choices: &[Vec<bool>]) -> Vec<Vec<f32>> {
    let mut best = vec![vec![Best::default(); set.query_count()]; choices.len()];
    for first in (0..set.row_count()).step_by(BLOCK) {
        let rows = first..set.row_count().min(first + BLOCK);
        for query in 0..set.query_count() {
            let vector = set.query(query);
            for row in rows.clone() {
                let score = dot(vector, set.row(row));
                for (choice, best) in choices.iter().zip(&mut best) {
                    if choice[row] {
                        best[query].offer(score);
                    }
                }
            }
        }
    }
    best.into_iter().map(|queries| queries.into_iter().map(|best| best.0[K - 1]).collect()).collect()
}

/// The highest scores so far, highest first.
#[derive(Clone)]
struct Best([f32; K]);

impl Default for Best {
    fn default() -> Self {
        Self([f32::NEG_INFINITY; K])
    }
}

impl Best {
    fn offer(&mut self, score: f32) {
        if score > self.0[K - 1] {
            let place = self.0.partition_point(|better| *better >= score);
            self.0[place..].rotate_right(1);
            self.0[place] = score;
        }
    }
}

/// The inner product, in sixteen sums so that the compiler may keep them in one register.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (heads, tails) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (x, y) in heads.0.iter().zip(tails.0) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    let rest: f32 = heads.1.iter().zip(tails.1).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::{K, Truth, cached, dot, floors};
    use crate::Numbers;
    use crate::nearest::sets::{Set, bytes};

    fn set(rows: usize, queries: usize, dimension: usize) -> Set {
        let mut numbers = Numbers::new(1);
        Set {
            name: "tiny",
            dimension,
            rows: numbers.vector(rows * dimension),
            queries: numbers.vector(queries * dimension),
        }
    }

    /// Every score, sorted.
    fn sorted(set: &Set, query: usize, choice: &[bool]) -> Vec<(f32, usize)> {
        let mut all: Vec<(f32, usize)> = (0..set.row_count())
            .filter(|row| choice[*row])
            .map(|row| (set.query(query).iter().zip(set.row(row)).map(|(a, b)| a * b).sum(), row))
            .collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        all
    }

    // Recall would be measured against rows that are not the nearest.
    #[test]
    fn a_floor_is_the_score_of_the_tenth() {
        let set = set(1_100, 4, 19);
        let choices = vec![vec![true; 1_100], (0..1_100).map(|row| row % 7 == 0).collect()];
        for (choice, floors) in choices.iter().zip(floors(&set, &choices)) {
            for (query, floor) in floors.into_iter().enumerate() {
                let tenth = sorted(&set, query, choice)[K - 1].0;
                assert!((floor - tenth).abs() < 1e-4, "{floor} is not {tenth}");
            }
        }
    }

    // A search that answers too little, something else, or one row ten times, would look perfect.
    #[test]
    fn recall_counts_each_of_the_nearest_once() {
        let set = set(300, 1, 8);
        let choice: Vec<bool> = (0..300).map(|row| row % 2 == 0).collect();
        let truth = &truth(&set, choice.clone())[0];
        let rows: Vec<usize> = sorted(&set, 0, &choice).into_iter().map(|(_, row)| row).collect();
        let recall = |found: &[usize]| truth.recall(&set, 0, found);
        assert_eq!(recall(&rows[..10]), 1.0);
        assert_eq!(recall(&rows[5..15]), 0.5);
        assert_eq!(recall(&[rows[0]; 10]), 0.1);
        assert_eq!(recall(&rows[20..30]), 0.0);
        let outside = sorted(&set, 0, &vec![true; 300]);
        let outside = outside.into_iter().map(|(_, row)| row).find(|row| row % 2 == 1).expect("an odd row");
        assert_eq!(recall(&[outside]), 0.0, "a row that does not take part");
    }

    // A filter that lets three rows pass has three nearest, not ten.
    #[test]
    fn of_fewer_than_ten_all_are_wanted() {
        let set = set(300, 1, 8);
        let truth = &truth(&set, (0..300).map(|row| row < 3).collect())[0];
        assert_eq!((truth.matches(), truth.wanted()), (3, 3));
        assert_eq!(truth.recall(&set, 0, &[0, 1, 2]), 1.0);
        assert_eq!(truth.recall(&set, 0, &[0, 1]), 2.0 / 3.0);
    }

    // Each run would scan for minutes again; and with other choices of rows, one would take the floors of another.
    #[test]
    fn what_was_found_once_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, set) = (folder.path().join("truth"), set(100, 3, 8));
        let found = cached(&path, &set, vec![vec![true; 100]; 2]);
        let noted = cached(&path, &set, vec![vec![true; 100]; 2]);
        assert_eq!(noted[1].floors, found[1].floors);
        std::fs::write(&path, bytes(&[0.5; 6])).expect("a file");
        assert_eq!(cached(&path, &set, vec![vec![true; 100]; 2])[1].floors, [0.5; 3], "what is noted counts");
        assert_eq!(
            cached(&path, &set, vec![vec![true; 100]; 3])[2].floors,
            found[1].floors,
            "of other choices"
        );
    }

    // The last components of a row whose dimension is no multiple of sixteen would not count.
    #[test]
    fn all_components_count() {
        let ones = [1.0; 35];
        assert_eq!(dot(&ones, &ones), 35.0);
    }

    fn truth(set: &Set, choice: Vec<bool>) -> Vec<Truth> {
        let floors = floors(set, std::slice::from_ref(&choice));
        floors.into_iter().map(|floors| Truth { floors, takes_part: choice.clone() }).collect()
    }
}
