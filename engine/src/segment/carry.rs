//! How do documents come from one segment into another, when segments are merged or written anew?
//!
//! With their rows, and with their words as they were counted and where they stand: texts are cut into words once, when a memtable is flushed.
//! Of the segment that has most rows in lists the rows remember which.

use super::reader::Segment;
use super::words::Dictionary;
use super::writer::{RowWords, SegmentWriter};
use crate::io::Fault;
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
        // Where codes are damaged rows remember nothing, and are put into lists anew.
        self.lists.come_from(segment.index().ok().flatten(), segment.place().rows);
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
