//! Which rows may still reach the bar, by their codes?

use super::Query;
use crate::Variant;
use crate::arch::ahead::{NEAR_BYTES, ahead};
use crate::arch::signs::Blocks;
use crate::coded::{Bar, BlockScores, Estimate, TOGETHER};
use crate::reached::Reached;

impl Variant {
    /// Scans the sign codes of many blocks by several queries about one centre, four in one pass and those left over
    /// one after the other, and shows to `visit` which rows may reach a query's bar: the query's number, the block's, a
    /// bit for each such row, and the block's scores. `visit` answers the query's bar from then on. Blocks without such
    /// rows are not shown.
    ///
    /// `live` has a word for each block: only rows whose bit is set take part, and a block without any is never
    /// read.
    ///
    /// # Panics
    /// When the blocks are not whole and as many as the words, the bars not as many as the queries, or the queries
    /// about centres of different length.
    pub fn scan_signs(
        self,
        queries: &[&Query],
        blocks: &[u8],
        live: &[u32],
        bars: &mut [Bar],
        mut visit: impl FnMut(usize, usize, u32, &BlockScores) -> Bar,
    ) {
        let Some(first) = queries.first() else { return };
        let bytes = first.block_bytes;
        assert!(queries.iter().all(|query| query.is_of_length(first)), "queries about centres of one length");
        assert_eq!(bars.len(), queries.len(), "each query has a bar");
        assert_eq!(Some(blocks.len()), live.len().checked_mul(bytes), "there is a word for each whole block");
        let (groups, rest) = queries.as_chunks::<TOGETHER>();
        let (bars_of_groups, bars_of_rest) = bars.as_chunks_mut::<TOGETHER>();
        for (group, (queries, bars)) in groups.iter().zip(bars_of_groups).enumerate() {
            let blocks = Blocks::new(blocks, live, bytes);
            self.scan_blocks(queries.map(Query::signs), &blocks, bars, |q, number, rows, scores| {
                visit(group * TOGETHER + q, number, rows, scores)
            });
        }
        let first = groups.len() * TOGETHER;
        for (at, (query, bar)) in rest.iter().zip(bars_of_rest).enumerate() {
            let blocks = Blocks::new(blocks, live, bytes);
            self.scan_blocks(
                [query.signs()],
                &blocks,
                std::array::from_mut(bar),
                |_, number, rows, scores| visit(first + at, number, rows, scores),
            );
        }
    }

    /// Estimates all rows by their 4-bit codes, and tells the estimates, or what follows of these.
    ///
    /// # Panics
    /// When the rows are not whole and as many as what is told.
    pub fn estimate_rows<T: Copy + From<Estimate>>(self, query: &Query, rows: &[u8], told: &mut [T]) {
        let bytes = query.nibble_row_bytes;
        assert_eq!(Some(rows.len()), told.len().checked_mul(bytes), "an estimate for each whole row");
        self.estimate_along(&query.nibbles, rows, told);
    }

    /// Puts those of some rows behind what is there that may score so much by their 4-bit codes: for each the same bounds as from
    /// [`estimate_rows`](Self::estimate_rows). `first` is the number of the first row.
    ///
    /// # Panics
    /// When the rows are not whole.
    pub fn reach_rows(self, query: &Query, rows: &[u8], floor: f32, first: u32, reached: &mut Reached) {
        assert!(rows.len().is_multiple_of(query.nibble_row_bytes), "whole nibble rows");
        self.reach_along(&query.nibbles, rows, floor, first, reached);
    }

    /// Estimates all rows by their 4-bit codes, by several queries about one centre that share the reading of the rows: for each
    /// query the same as [`estimate_rows`](Self::estimate_rows).
    ///
    /// # Panics
    /// When there are not as many lists of estimates as queries, when the rows are not whole and as many as the estimates of each
    /// query, or the queries are about centres of different length.
    pub fn estimate_rows_together<T: Copy + From<Estimate>>(
        self,
        queries: &[&Query],
        rows: &[u8],
        told: &mut [&mut [T]],
    ) {
        let Some(bytes) = queries.first().map(|query| query.nibble_row_bytes) else { return };
        assert_eq!(told.len(), queries.len(), "each query has estimates");
        assert!(
            queries.iter().all(|query| query.nibble_row_bytes == bytes),
            "queries about centres of one length"
        );
        for told in &*told {
            let whole = told.len().checked_mul(bytes);
            assert_eq!(Some(rows.len()), whole, "an estimate for each whole row");
        }
        if let ([query], [told]) = (queries, &mut *told) {
            return self.estimate_rows(query, rows, told);
        }
        // Rows that the first query brought near are near to the others.
        let together = (NEAR_BYTES / bytes).max(1) * bytes;
        for (first, piece) in (0..rows.len()).step_by(together).zip(rows.chunks(together)) {
            let places = first / bytes..(first + piece.len()) / bytes;
            for (query, told) in queries.iter().zip(&mut *told) {
                self.estimate_rows(query, piece, &mut told[places.clone()]);
            }
        }
    }

    /// Estimates rows that lie anywhere by their 4-bit codes. Those that come next are asked for from memory meanwhile.
    ///
    /// # Panics
    /// When a row is not whole, or there are not as many estimates as rows.
    pub fn estimate_each<'a>(self, query: &Query, rows: &[&'a [u8]], estimates: &mut [Estimate]) {
        let bytes = query.nibble_row_bytes;
        assert_eq!(rows.len(), estimates.len(), "an estimate for each row");
        assert!(rows.iter().all(|row| row.len() == bytes), "whole nibble rows");
        let mut rows = ahead(rows);
        let next =
            |places: &mut [&'a [u8]]| places.iter_mut().zip(&mut rows).for_each(|(place, row)| *place = row);
        self.estimate(&query.nibbles, next, estimates);
    }
}
