//! In which lists were the rows of a new segment, when it is made of others?
//!
//! Those of the segment that has most rows in lists remember theirs: numbers of another's lists mean nothing beside these.

use super::codes::Index;
use crate::cluster::NO_LIST;
use std::ops::Range;
use std::sync::Arc;

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
    /// Rows come of a segment that has so many, and this index.
    pub(super) fn come_from(&mut self, index: Option<Arc<Index>>, rows: u32) {
        self.index = index.filter(|index| index.has_lists() && rows > self.most);
        if self.index.is_some() {
            self.most = rows;
            self.lists.clear();
        }
    }

    /// The next row that is written, of this number, and those behind it are these rows of the segment.
    pub(super) fn carry(&mut self, next: u32, rows: Range<u32>) {
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
