//! Which centroid is nearest to each of many rows, when there are too many to look at all of them?
//!
//! Centroids are put into groups about heads of their own, and only the groups whose heads are nearest to a row are
//! looked into.

use super::centroids::Centroids;
use super::lloyd::{Members, Round, rounds};
use super::random::SplitMix64;
use super::rows::{Rows, spread};
use super::scan::{self, by_chunks, each_score};
use super::workers::Workers;

/// Groups in which the nearest list of a row is looked for: with 12, it is found for 997 of 1,000.
const GROUPS_LOOKED_INTO: usize = 12;
/// Rounds in which the heads are found.
const ROUNDS: usize = 5;
/// Seeds the heads.
const SEED: u64 = 0x0067_726F_7570;

/// The nearest list of each row that is picked, of those that are looked at; in the order of the picks.
pub(super) fn nearest(centroids: &Centroids, rows: Rows<'_>, picked: &[u32], workers: &Workers) -> Vec<u32> {
    let groups = Groups::new(centroids, workers);
    by_chunks(centroids, rows, picked, workers, |chunk, best| {
        groups.look(rows, chunk, |at, list, score| best[at].offer(score, list));
    })
}

pub(super) struct Groups {
    heads: Centroids,
    /// Which lists each group has.
    lists: Members,
    /// The centroids, group by group.
    centroids: Centroids,
}

impl Groups {
    pub(super) fn new(centroids: &Centroids, workers: &Workers) -> Self {
        let (metric, dimension) = (centroids.metric(), centroids.dimension());
        let rows = Rows::new(centroids.vectors(), dimension);
        let all = rows.all();
        let mut random = SplitMix64(SEED);
        let start = rows.gather(spread(&all, all.len().isqrt(), &mut random).into_iter());
        let round = Round { rows, picked: &all, workers, nearest: scan::nearest };
        let heads = Centroids::of_means(metric, dimension, rounds(&round, start, ROUNDS, Some(&mut random)));
        let lists = Members::new(&scan::nearest(&heads, rows, &all, workers), heads.lists());
        let sorted = rows.gather(lists.places().iter().copied());
        Self { heads, lists, centroids: Centroids::new(metric, dimension, sorted) }
    }

    /// Shows how near each row is to each list that is looked at, by the row's place among the picked ones.
    pub(super) fn look(&self, rows: Rows<'_>, picked: &[u32], mut found: impl FnMut(usize, u32, f32)) {
        let heads = self.heads.lists();
        // By group, the places of the rows that look into it.
        let mut looking = vec![Vec::new(); heads];
        let mut scores = vec![0.0; heads];
        let mut order: Vec<usize> = Vec::with_capacity(heads);
        for (at, &row) in picked.iter().enumerate() {
            self.heads.score(rows.row(row), &mut scores);
            order.clear();
            order.extend(0..heads);
            if heads > GROUPS_LOOKED_INTO {
                let nearer = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then_with(|| a.cmp(b));
                order.select_nth_unstable_by(GROUPS_LOOKED_INTO, nearer);
                order.truncate(GROUPS_LOOKED_INTO);
            }
            for &head in &order {
                looking[head].push(at);
            }
        }
        for (head, looking) in looking.iter().enumerate() {
            let (range, asked) = (self.lists.range(head), looking.iter().copied());
            each_score(&self.centroids, range, rows, picked, asked, |at, place, score| {
                found(at, self.lists.places()[place], score);
            });
        }
    }
}
