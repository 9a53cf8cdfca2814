//! Which centroid is nearest to each of many rows, when all of them are looked at?
//!
//! Products of bytes leave a few in the contest, and only these are scored ([`Contenders`]). The lists are those that scores of
//! all would have told.
//!
//! Where few or a group's are scored, rows are taken in chunks that stay in a core's second cache, centroids in tiles that stay in
//! its first: each tile is scored by all rows of the chunk before the next is read.

use super::centroids::Centroids;
use super::rows::Rows;
use super::workers::Workers;
use std::ops::Range;
use strongroom_kernel::{Contenders, DIMENSION_MAX, Variant};

/// What the rows of a chunk take, in bytes.
const CHUNK_BYTES: usize = 192 << 10;
/// What the centroids of a tile take, in bytes.
const TILE_BYTES: usize = 24 << 10;
/// Of fewer lists, all are scored: no bytes are made of them.
const CONTESTED_MIN: usize = 12;
/// When more than one list in so many is left in the contest, all are scored side by side.
const SCORED_ONE_BY_ONE_SHARE: usize = 8;
/// Kernels score so many rows side by side.
const TILE_MULTIPLE: usize = 8;
/// Centroids of the largest tile.
const TILE_MAX: usize = 64;

/// The nearest list of each row that is picked, in the order of the picks.
pub(super) fn nearest(centroids: &Centroids, rows: Rows<'_>, picked: &[u32], workers: &Workers) -> Vec<u32> {
    let is_quick = Contenders::are_quick(Variant::best());
    if is_quick && centroids.lists() >= CONTESTED_MIN && rows.dimension() <= DIMENSION_MAX {
        return contested(centroids, rows, picked, workers);
    }
    by_chunks(centroids, rows, picked, workers, |chunk, best| {
        let lists = 0..centroids.lists();
        each_score(centroids, lists, rows, chunk, 0..chunk.len(), |at, list, score| {
            best[at].offer(score, list as u32);
        });
    })
}

/// The same, of the lists that bytes leave in the contest.
fn contested(centroids: &Centroids, rows: Rows<'_>, picked: &[u32], workers: &Workers) -> Vec<u32> {
    let contenders = Contenders::new(centroids.vectors(), centroids.biases(), centroids.dimension());
    let variant = Variant::best();
    by_chunks(centroids, rows, picked, workers, |chunk, best| {
        let mut each = chunk.iter().zip(best);
        let vectors: Vec<&[f32]> = chunk.iter().map(|&row| rows.row(row)).collect();
        let mut scores = vec![0.0; centroids.lists()];
        contenders.of(variant, &vectors, |lists| {
            let Some((&row, best)) = each.next() else { return };
            if let [only] = lists {
                best.list = *only;
            } else if lists.len() > centroids.lists() / SCORED_ONE_BY_ONE_SHARE {
                centroids.score(rows.row(row), &mut scores);
                (0..).zip(&scores).for_each(|(list, &score)| best.offer(score, list));
            } else {
                lists.iter().for_each(|&list| best.offer(centroids.score_one(rows.row(row), list), list));
            }
        });
    })
}

/// The nearest list so far.
#[derive(Clone, Copy)]
pub(super) struct Best {
    score: f32,
    list: u32,
}

impl Best {
    /// A score that is no number is never nearer.
    pub(super) fn offer(&mut self, score: f32, list: u32) {
        if score > self.score || (score == self.score && list < self.list) {
            *self = Best { score, list };
        }
    }
}

/// Lets `look` find the nearest lists of the picked rows, chunk by chunk.
pub(super) fn by_chunks(
    centroids: &Centroids,
    rows: Rows<'_>,
    picked: &[u32],
    workers: &Workers,
    look: impl Fn(&[u32], &mut [Best]) + Sync + Send,
) -> Vec<u32> {
    assert!(centroids.lists() > 0 || picked.is_empty(), "rows need a list to be in");
    let chunk_rows = (CHUNK_BYTES / (rows.dimension() * size_of::<f32>())).clamp(16, 1024);
    let chunks: Vec<&[u32]> = picked.chunks(chunk_rows).collect();
    let found = workers.map(chunks.len(), |chunk| {
        let mut best = vec![Best { score: f32::NEG_INFINITY, list: 0 }; chunks[chunk].len()];
        look(chunks[chunk], &mut best);
        best
    });
    found.iter().flatten().map(|best| best.list).collect()
}

/// Scores a range of centroids by those of the picked rows that are asked for by their places.
pub(super) fn each_score(
    centroids: &Centroids,
    range: Range<usize>,
    rows: Rows<'_>,
    picked: &[u32],
    asked: impl Iterator<Item = usize> + Clone,
    mut found: impl FnMut(usize, usize, f32),
) {
    let dimension = centroids.dimension();
    let fitting = TILE_BYTES / (dimension * size_of::<f32>()) / TILE_MULTIPLE * TILE_MULTIPLE;
    let tile_lists = fitting.clamp(TILE_MULTIPLE, TILE_MAX);
    let variant = Variant::best();
    let mut scores = [0.0; TILE_MAX];
    for first in range.clone().step_by(tile_lists) {
        let end = range.end.min(first + tile_lists);
        let tile = &centroids.vectors()[first * dimension..end * dimension];
        let biases = &centroids.biases()[first..end];
        let scores = &mut scores[..biases.len()];
        for at in asked.clone() {
            variant.dot_rows(rows.row(picked[at]), tile, scores);
            for (place, (score, bias)) in scores.iter().zip(biases).enumerate() {
                found(at, first + place, score - bias);
            }
        }
    }
}
