//! What do a segment's rows score, and what may they at most?
//!
//! Exactly, by their vectors; or by their codes of four bits a component, an eighth as long, with an error that is
//! proven. A segment of few rows has no codes, and neither has one whose codes are of another version.

use super::cache::Opened;
use super::codes::Index;
use super::groups::{Layout, Run};
use super::reader::Segment;
use crate::io::Fault;
use std::ops::Range;
use std::sync::Arc;
use strongroom_format::codes::{CODE_SECTIONS, IndexHead, nibble_row_bytes};
use strongroom_format::segment::SectionKind;
use strongroom_kernel::{Estimate, Query, Variant, dot_rows};

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

    /// The dot products of a query with rows that follow each other.
    pub fn score(&self, query: &[f32], rows: Range<u32>, scores: &mut [f32]) -> Result<(), Fault> {
        let mut first = rows.start;
        // A document may have more rows than should be in memory at once.
        for scores in scores.chunks_mut(ROWS_TOGETHER as usize) {
            let mut scored = 0;
            let rows = self.rows(first..first + scores.len() as u32)?;
            for piece in rows.pieces() {
                let count = piece.len() / query.len();
                dot_rows(query, piece, &mut scores[scored..scored + count]);
                scored += count;
            }
            first += scored as u32;
        }
        Ok(())
    }

    /// The dot products of a query with these rows, which rise.
    pub fn score_each(&self, query: &[f32], rows: &[u32], scores: &mut [f32]) -> Result<(), Fault> {
        let kernel = Variant::best();
        self.each_row(&self.vectors(), rows, |number, row: &[f32]| scores[number] = kernel.dot(query, row))
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
        let [plain] = self.whole([SectionKind::Index])?;
        let rows = self.place().rows;
        let head = IndexHead::decode(&plain, self.dimension, rows).map_err(|damage| self.located(damage))?;
        let Some(head) = head else { return Ok(None) };
        let sections = CODE_SECTIONS.map(|kind| self.section(kind));
        head.check(self.dimension, rows, sections.each_ref()).map_err(|damage| self.located(damage))?;
        let index = Arc::new(Index::new(head.centre));
        self.cache.put(origin, Opened::Index(Arc::clone(&index)));
        Ok(Some(index))
    }

    /// What rows that follow each other score by their codes.
    pub fn estimate(&self, query: &Query, rows: Range<u32>, estimates: &mut [Estimate]) -> Result<(), Fault> {
        let layout = self.nibbles();
        let kernel = Variant::best();
        let mut done = 0;
        for piece in self.run::<u8>(&layout, rows)?.pieces() {
            let count = piece.len() / layout.row_bytes;
            kernel.estimate_rows(query, piece, &mut estimates[done..done + count]);
            done += count;
        }
        Ok(())
    }
}
