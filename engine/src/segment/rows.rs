//! What do a segment's rows score, and what may they at most?
//!
//! Exactly, by their vectors; or by their codes of four bits a component, an eighth as long, with an error that is
//! proven. A segment of few rows has no codes, and neither has one whose codes are of another version. One of many rows
//! has its codes in lists, and sign codes to choose among the rows of those that are near.

use super::cache::Opened;
use super::codes::Index;
use super::groups::{Layout, Rows};
use super::lists::{Effort, List};
use super::reader::Segment;
use crate::io::Fault;
use crate::nearness::measure;
use crate::rank;
use std::ops::Range;
use std::sync::Arc;
use strongroom_format::codes::{CODE_SECTIONS, IndexHead, Places, SIGN_BLOCK_ROWS, nibble_row_bytes};
use strongroom_format::segment::{DocumentRow, SectionKind};
use strongroom_kernel::{Bar, Estimate, Mask, Query, Reached, Variant, fetch};

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

    /// The vectors of some rows.
    pub(super) fn rows(&self, rows: Range<u32>) -> Result<Rows<f32>, Fault> {
        self.hold(&self.vectors(), [rows])
    }

    /// The vectors of a document, one after the other.
    pub fn vectors_of(&self, row: &DocumentRow) -> Result<Vec<f32>, Fault> {
        let span = row.first_row..row.first_row + row.rows;
        Ok(self.rows(span.clone())?.pieces(span).flat_map(|(_, piece)| piece.iter().copied()).collect())
    }

    /// What rows that follow each other score by a query, by the metric: see [`nearness`](crate::nearness).
    pub fn score(&self, query: &[f32], rows: Range<u32>, scores: &mut [f32]) -> Result<(), Fault> {
        let (measure, mut first) = (measure(self.metric), rows.start);
        // A document may have more rows than should be in memory at once.
        for scores in scores.chunks_mut(ROWS_TOGETHER as usize) {
            let together = first..first + scores.len() as u32;
            for (start, piece) in self.rows(together.clone())?.pieces(together.clone()) {
                let at = (start - first) as usize;
                measure.score_rows(query, piece, &mut scores[at..at + piece.len() / query.len()]);
            }
            first = together.end;
        }
        Ok(())
    }

    /// What these rows, which rise, score by a query.
    pub fn score_each(&self, query: &[f32], rows: &[u32], scores: &mut [f32]) -> Result<(), Fault> {
        let measure = measure(self.metric);
        self.each(&self.vectors(), rows, |before, vectors| {
            measure.score_each(query, vectors, &mut scores[before..before + vectors.len()]);
        })
    }

    /// What its codes were made with; `None` when it has none.
    pub fn index(&self) -> Result<Option<Arc<Index>>, Fault> {
        let section = self.section(SectionKind::Index);
        if section.plain_bytes == 0 {
            return Ok(None);
        }
        let origin = self.origin_at(section.offset);
        if let Some(Opened::Index(index)) = self.cache.get_one(origin) {
            return Ok(Some(index));
        }
        let [plain, places] = self.whole([SectionKind::Index, SectionKind::Places])?;
        let rows = self.place().rows;
        let head = IndexHead::decode(&plain, self.dimension, rows).map_err(|damage| self.located(damage))?;
        let Some(head) = head else { return Ok(None) };
        let sections = CODE_SECTIONS.map(|kind| self.section(kind));
        head.check(self.dimension, rows, sections.each_ref()).map_err(|damage| self.located(damage))?;
        let places = Places::decode(&places, rows, head.seconds()).map_err(|damage| self.located(damage))?;
        let index = Arc::new(Index::of(head, self.metric, places));
        self.cache.put(origin, Opened::Index(Arc::clone(&index)));
        Ok(Some(index))
    }

    /// What codes that follow each other say that their rows score, by each of some queries: estimates, or what follows of
    /// these.
    pub fn estimate<T: Copy + From<Estimate>>(
        &self,
        queries: &[&Query],
        places: Range<u32>,
        told: &mut [Vec<T>],
    ) -> Result<(), Fault> {
        let layout = self.nibbles();
        for (first, codes) in self.hold(&layout, [places.clone()])?.pieces(places.clone()) {
            let at = (first - places.start) as usize;
            let end = at + codes.len() / layout.row_bytes;
            let mut of_piece: Vec<_> = told.iter_mut().map(|told| &mut told[at..end]).collect();
            Variant::best().estimate_rows_together(queries, codes, &mut of_piece);
        }
        Ok(())
    }

    /// Puts those behind others of which codes that follow each other say that they may score so much: the place of each, and
    /// what follows of the estimate.
    pub fn reach(
        &self,
        query: &Query,
        places: Range<u32>,
        floor: f32,
        reached: &mut Reached,
    ) -> Result<(), Fault> {
        for (first, codes) in self.hold(&self.nibbles(), [places.clone()])?.pieces(places) {
            Variant::best().reach_rows(query, codes, floor, first, reached);
        }
        Ok(())
    }

    /// What the codes at these places, which rise, say that their rows score.
    pub fn estimate_each(
        &self,
        query: &Query,
        places: &[u32],
        estimates: &mut [Estimate],
    ) -> Result<(), Fault> {
        self.each(&self.nibbles(), places, |before, codes| {
            Variant::best().estimate_each(query, codes, &mut estimates[before..before + codes.len()]);
        })
    }

    /// Of the rows in the lists within reach the ones whose sign codes say that they score best: `rows` places, or
    /// all there are, rising, with what their codes of four bits say. Of rows in a mask, if there is one; then in as many lists
    /// as it takes to see as many of them as so many lists have on average.
    pub fn probe(
        &self,
        index: &Index,
        query: &Query,
        effort: Effort,
        live: Option<&Mask>,
    ) -> Result<Probed, Fault> {
        let Some(lists) = index.lists() else { return Ok(Probed::default()) };
        let probes = match live {
            None => lists.nearest(query, effort),
            Some(live) => lists.nearest_with(query, effort, live),
        };
        let blocks = self.section(SectionKind::Signs).plain_bytes / index.block_bytes() as u64;
        let layout = Layout { kind: SectionKind::Signs, row_bytes: index.block_bytes(), rows: blocks as u32 };
        let mut runs: Vec<Range<u32>> = probes.lists.iter().map(List::run).collect();
        runs.sort_unstable_by_key(|run| run.start);
        let held = self.hold(&layout, runs)?;
        let kernel = Variant::best();
        let mut best = Best::new(effort.rows);
        let mut words = &probes.words[..];
        // The nearest list first: the more others are passed over.
        for (at, list) in probes.lists.iter().enumerate() {
            if let Some(next) = probes.lists.get(at + 1) {
                lists.ask_for_seconds(next);
                // All of it would be more than the processor can wait for at once.
                if let Some((_, blocks)) = held.pieces(next.run()).next() {
                    fetch(&blocks[..layout.row_bytes]);
                }
            }
            for (first_block, blocks) in held.pieces(list.run()) {
                let first_row = (first_block - list.first_block) * SIGN_BLOCK_ROWS;
                let (own, rest) = words.split_at(blocks.len() / layout.row_bytes);
                words = rest;
                let mut bars = [best.bar()];
                kernel.scan_signs(&[query], blocks, own, &mut bars, |_, block, mut rows, scores| {
                    let first_row = first_row + block as u32 * SIGN_BLOCK_ROWS;
                    while rows != 0 {
                        let bit = rows.trailing_zeros();
                        if let Some(place) = lists.place_in(list, first_row + bit, &probes) {
                            best.offer(scores.estimates[bit as usize], place);
                        }
                        rows &= rows - 1;
                    }
                    best.bar()
                });
            }
        }
        let places = best.into_places();
        let mut estimates = vec![Estimate::default(); places.len()];
        self.estimate_each(query, &places, &mut estimates)?;
        Ok(Probed { places, estimates, is_all: probes.is_all })
    }
}

/// What looking at some lists gave.
#[derive(Debug, Default)]
pub struct Probed {
    /// The places of rows that may be near.
    pub places: Vec<u32>,
    /// What their codes of four bits say.
    pub estimates: Vec<Estimate>,
    /// Whether there were no more lists with rows to look at.
    pub is_all: bool,
}

/// Those that score best of all that are offered.
struct Best {
    count: usize,
    floor: f32,
    /// Up to twice as many, by their [`rank`]; ties go to the lower place.
    found: Vec<u64>,
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
        self.found.push(rank::key(score, place));
        if self.found.len() >= 2 * self.count {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.found.len() > self.count {
            let (_, worst, _) = self.found.select_nth_unstable(self.count - 1);
            self.floor = rank::score(*worst);
            self.found.truncate(self.count);
        }
    }

    /// Rising.
    fn into_places(mut self) -> Vec<u32> {
        self.cut();
        let mut places: Vec<u32> = self.found.into_iter().map(rank::number).collect();
        places.sort_unstable();
        places
    }
}
