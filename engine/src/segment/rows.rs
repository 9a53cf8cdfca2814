//! What do a segment's rows score, and what may they at most?
//!
//! Exactly, by their vectors; or by their codes of four bits a component, an eighth as long, with an error that is
//! proven. A segment of few rows has no codes, and neither has one whose codes are of another version. One of many rows
//! has its codes in lists, and codes of one bit to choose among the rows of those that are near.

use super::cache::Opened;
use super::codes::{Index, List};
use super::groups::{Layout, Run};
use super::reader::Segment;
use crate::io::Fault;
use crate::nearness::measure;
use std::ops::Range;
use std::sync::Arc;
use strongroom_format::codes::{CODE_SECTIONS, IndexHead, SIGN_BLOCK_ROWS, decode_places, nibble_row_bytes};
use strongroom_format::segment::SectionKind;
use strongroom_kernel::{Bar, Estimate, Query, Variant};

/// So many rows are held at once to be scored.
const ROWS_TOGETHER: u32 = 2048;

impl Segment {
    fn vectors(&self) -> Layout {
        let row_bytes = self.dimension as usize * size_of::<f32>();
        Layout { kind: SectionKind::Vectors, row_bytes, rows: self.place().rows }
    }

    fn nibbles(&self) -> Layout {
        let row_bytes = nibble_row_bytes(self.dimension) as usize;
        Layout { kind: SectionKind::Nibbles, row_bytes, rows: self.place().rows }
    }

    /// The vectors of some rows, in as many pieces as they lie in.
    pub(super) fn rows(&self, rows: Range<u32>) -> Result<Run<f32>, Fault> {
        self.run(&self.vectors(), rows)
    }

    /// What rows that follow each other score by a query, by the metric: see [`nearness`](crate::nearness).
    pub fn score(&self, query: &[f32], rows: Range<u32>, scores: &mut [f32]) -> Result<(), Fault> {
        let (measure, mut first) = (measure(self.metric), rows.start);
        // A document may have more rows than should be in memory at once.
        for scores in scores.chunks_mut(ROWS_TOGETHER as usize) {
            let mut scored = 0;
            let rows = self.rows(first..first + scores.len() as u32)?;
            for piece in rows.pieces() {
                let count = piece.len() / query.len();
                measure.score_rows(query, piece, &mut scores[scored..scored + count]);
                scored += count;
            }
            first += scored as u32;
        }
        Ok(())
    }

    /// What these rows, which rise, score by a query.
    pub fn score_each(&self, query: &[f32], rows: &[u32], scores: &mut [f32]) -> Result<(), Fault> {
        let measure = measure(self.metric);
        let runs = rows.iter().map(|&row| row..row + 1);
        self.each_run(&self.vectors(), runs, |number, _, row: &[f32]| {
            measure.score_rows(query, row, std::slice::from_mut(&mut scores[number]));
        })
    }

    /// What its codes were made with; `None` when it has none.
    pub fn index(&self) -> Result<Option<Arc<Index>>, Fault> {
        let section = self.section(SectionKind::Index);
        if section.plain_bytes == 0 {
            return Ok(None);
        }
        let origin = self.origin_at(section.offset);
        if let [Some(Opened::Index(index))] = &self.cache.get([origin])[..] {
            return Ok(Some(Arc::clone(index)));
        }
        let [plain, places] = self.whole([SectionKind::Index, SectionKind::Places])?;
        let rows = self.place().rows;
        let head = IndexHead::decode(&plain, self.dimension, rows).map_err(|damage| self.located(damage))?;
        let Some(head) = head else { return Ok(None) };
        let sections = CODE_SECTIONS.map(|kind| self.section(kind));
        head.check(self.dimension, rows, sections.each_ref()).map_err(|damage| self.located(damage))?;
        let places = decode_places(&places, rows).map_err(|damage| self.located(damage))?;
        let index = Arc::new(Index::of(head, self.metric, places));
        self.cache.put(origin, Opened::Index(Arc::clone(&index)));
        Ok(Some(index))
    }

    /// What codes that follow each other say that their rows score.
    pub fn estimate(
        &self,
        query: &Query,
        places: Range<u32>,
        estimates: &mut [Estimate],
    ) -> Result<(), Fault> {
        let layout = self.nibbles();
        let kernel = Variant::best();
        let begin = places.start;
        self.each_run(&layout, std::iter::once(places), |_, first, codes: &[u8]| {
            let at = (first - begin) as usize;
            kernel.estimate_rows(query, codes, &mut estimates[at..at + codes.len() / layout.row_bytes]);
        })
    }

    /// Of the rows in the nearest `probes` lists that are `live` those whose codes of one bit say that they score best:
    /// `count` places, or all there are, rising, with what their codes of four bits say.
    pub fn probe(
        &self,
        index: &Index,
        query: &Query,
        (probes, count): (usize, usize),
        live: Option<&dyn Fn(u32) -> bool>,
    ) -> Result<Vec<(u32, Estimate)>, Fault> {
        let Some(lists) = index.lists() else { return Ok(Vec::new()) };
        let mut nearest: Vec<List> =
            lists.nearest(query, probes).into_iter().map(|list| lists.list(list)).collect();
        nearest.sort_unstable();
        let blocks = self.section(SectionKind::Signs).plain_bytes / index.block_bytes() as u64;
        let layout = Layout { kind: SectionKind::Signs, row_bytes: index.block_bytes(), rows: blocks as u32 };
        let kernel = Variant::best();
        let mut best = Best::new(count);
        let runs = nearest.iter().map(|list| list.first_block..list.first_block + list.blocks);
        let mut words = Vec::new();
        self.each_run(&layout, runs, |number, first_block, blocks: &[u8]| {
            let list = nearest[number];
            let first_place = list.first_place + (first_block - list.first_block) * SIGN_BLOCK_ROWS;
            let end = list.first_place + list.places;
            words.clear();
            words.extend((0..(blocks.len() / layout.row_bytes) as u32).map(|block| {
                let place = first_place + block * SIGN_BLOCK_ROWS;
                let all = ((1_u64 << SIGN_BLOCK_ROWS.min(end - place)) - 1) as u32;
                let Some(live) = live else { return all };
                let bits = (0..all.count_ones()).filter(|bit| live(index.row(place + bit)));
                bits.fold(0, |word, bit| word | 1 << bit)
            }));
            let mut bars = [best.bar()];
            kernel.scan_signs(&[query], blocks, &words, &mut bars, |_, block, rows, scores| {
                let place = first_place + block as u32 * SIGN_BLOCK_ROWS;
                let mut rows = rows;
                while rows != 0 {
                    let bit = rows.trailing_zeros();
                    best.offer(scores.estimates[bit as usize], place + bit);
                    rows &= rows - 1;
                }
                best.bar()
            });
        })?;
        let places = best.into_places();
        let mut estimates = vec![Estimate::default(); places.len()];
        let runs = places.iter().map(|&place| place..place + 1);
        self.each_run(&self.nibbles(), runs, |number, _, code: &[u8]| {
            kernel.estimate_rows(query, code, std::slice::from_mut(&mut estimates[number]));
        })?;
        Ok(places.into_iter().zip(estimates).collect())
    }
}

/// Those that score best of all that are offered.
struct Best {
    count: usize,
    floor: f32,
    /// Up to twice as many; ties go to the lower place.
    found: Vec<(f32, u32)>,
}

impl Best {
    fn new(count: usize) -> Self {
        let count = count.max(1);
        Self { count, floor: f32::NEG_INFINITY, found: Vec::with_capacity(2 * count.min(1 << 12)) }
    }

    /// What a code must reach by its estimate alone.
    fn bar(&self) -> Bar {
        Bar { floor: self.floor, caution: 0.0 }
    }

    fn offer(&mut self, score: f32, place: u32) {
        if score < self.floor {
            return;
        }
        self.found.push((score, place));
        if self.found.len() >= 2 * self.count {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.found.len() > self.count {
            let better = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
            let (_, worst, _) = self.found.select_nth_unstable_by(self.count - 1, better);
            self.floor = worst.0;
            self.found.truncate(self.count);
        }
    }

    /// Rising.
    fn into_places(mut self) -> Vec<u32> {
        self.cut();
        let mut places: Vec<u32> = self.found.into_iter().map(|(_, place)| place).collect();
        places.sort_unstable();
        places
    }
}
