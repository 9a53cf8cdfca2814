//! How do documents come from one segment into another, when segments are merged or written anew?
//!
//! With their rows, and with their words as they were counted and where they stand: texts are cut into words once, when a memtable is flushed.
//! Of the segment that has most rows in lists the rows remember which.

use super::codes::Index;
use super::reader::Segment;
use super::words::Dictionary;
use super::writer::{RowWords, SegmentWriter};
use crate::cluster::NO_LIST;
use crate::io::Fault;
use std::ops::Range;
use std::sync::Arc;
use strongroom_format::segment::DocumentRow;
use strongroom_format::words::Place;

impl SegmentWriter {
    /// Appends those documents of a segment for which `keep` answers since when they are deleted, if they are.
    pub fn carry<E: From<Fault>>(
        &mut self,
        segment: &Segment,
        mut keep: impl FnMut(u32, &DocumentRow) -> Result<Option<Option<u64>>, E>,
    ) -> Result<(), E> {
        let dictionary = segment.dictionary()?;
        let counts = dictionary.as_ref().map(Dictionary::word_counts).transpose()?;
        self.lists.come_from(segment);
        // The new places of its rows.
        let mut places = vec![None; segment.place().rows as usize];
        for (ordinal, row) in (0..).zip(segment.directory()) {
            let Some(deleted_ms) = keep(ordinal, row)? else { continue };
            let mut document = segment.info(row)?;
            document.content = segment.content(row, 0..row.content_bytes)?;
            let span = row.first_row..row.first_row + row.rows;
            let rows = span.start as usize..span.end as usize;
            places[rows.clone()].iter_mut().zip(self.rows..).for_each(|(place, new)| *place = Some(new));
            self.lists.carry(self.rows, span.clone());
            let words = match &counts {
                Some(counts) => RowWords::Counted(&counts[rows]),
                None => RowWords::Count,
            };
            let held = segment.rows(span.clone())?;
            let rows = held.pieces(span).map(|(_, piece)| piece);
            self.push(row.record, deleted_ms, &document, rows, words);
        }
        let Some(dictionary) = dictionary else { return Ok(()) };
        let moved = |place: Place| places[place.row as usize].map(|row| Place { row, ..place });
        dictionary.each_from("", |entry| {
            self.words.add(entry.word, entry.places()?.into_iter().filter_map(moved));
            Ok(true)
        })?;
        Ok(())
    }
}

/// In which lists rows were.
#[derive(Debug, Default)]
pub(super) struct RowLists {
    /// Of the rows so far; those at the end that are missing were in none.
    lists: Vec<u32>,
    /// Of the segment that had most rows in lists so far, how many.
    most: u32,
    /// That of the segment whose rows come, if these are to remember.
    index: Option<Arc<Index>>,
}

impl RowLists {
    /// Rows of this segment come.
    fn come_from(&mut self, segment: &Segment) {
        // Where codes are damaged rows remember nothing, and are put into lists anew.
        let index = segment.index().ok().flatten().filter(|index| index.has_lists());
        self.index = index.filter(|_| segment.place().rows > self.most);
        if self.index.is_some() {
            self.most = segment.place().rows;
            self.lists.clear();
        }
    }

    /// The next row that is written, of this number, and those behind it are these rows of the segment.
    fn carry(&mut self, next: u32, rows: Range<u32>) {
        if let Some(index) = &self.index {
            self.lists.resize(next as usize, NO_LIST);
            self.lists.extend(rows.map(|row| index.list_of(row)));
        }
    }

    /// Of so many rows.
    pub(super) fn of(mut self, rows: u32) -> Vec<u32> {
        self.lists.resize(rows as usize, NO_LIST);
        self.lists
    }
}
