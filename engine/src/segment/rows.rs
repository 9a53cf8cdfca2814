//! How are a segment's rows opened?
//!
//! In groups of some 48 to 64 KiB, through the cache: a search opens the groups of the rows that its mask lets pass,
//! and a partition larger than the cache is searched all the same. A group is whole blocks where a few of them
//! hold whole rows (as with 256, 384, 768 or 1,536 components); else the block at a border is opened for both.

use super::cache::{Opened, Origin, RowGroup};
use super::reader::Segment;
use crate::io::Fault;
use std::ops::Range;
use std::sync::Arc;
use strongroom_format::Damage;
use strongroom_format::segment::{BLOCK_BYTES, BLOCK_OVERHEAD_BYTES, SectionKind};
use strongroom_kernel::dot_rows;
use zeroize::Zeroizing;

/// A group of rows takes about so much.
const GROUP_BYTES: usize = 64 << 10;

/// So many rows are held at once to be scored.
const ROWS_TOGETHER: u32 = 512;

/// How many rows are opened together.
pub(super) fn group_rows(dimension: u32) -> u32 {
    let row_bytes = dimension.max(1) as usize * size_of::<f32>();
    // Blocks are a power of two long.
    let whole = BLOCK_BYTES >> row_bytes.trailing_zeros().min(BLOCK_BYTES.trailing_zeros());
    let rows = match GROUP_BYTES / (whole * row_bytes) {
        0 => GROUP_BYTES / row_bytes,
        times => whole * times,
    };
    rows.max(1) as u32
}

/// Rows that were asked for, opened.
pub struct Rows {
    groups: Vec<RowGroup>,
    /// Components before the first row, in the first group.
    skipped: usize,
    components: usize,
}

impl Rows {
    /// The rows, in as many pieces as they lie in.
    pub fn pieces(&self) -> impl Iterator<Item = &[f32]> {
        let (mut skip, mut left) = (self.skipped, self.components);
        self.groups.iter().map(move |group| {
            let end = group.len().min(skip + left);
            let piece = &group[skip..end];
            left -= piece.len();
            skip = 0;
            piece
        })
    }
}

impl Segment {
    /// The dot products of a query with some rows.
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

    /// Some rows, one after the other.
    pub fn rows(&self, rows: Range<u32>) -> Result<Rows, Fault> {
        if rows.start > rows.end || rows.end > self.place().rows {
            return Err(self.located(Damage::new("rows", self.place().rows, rows.end)));
        }
        let group_rows = group_rows(self.dimension);
        let wanted = rows.start / group_rows..rows.end.div_ceil(group_rows);
        let mut found = self.cache.get(wanted.clone().map(|group| self.origin(group)));
        if found.iter().any(Option::is_none) {
            self.open_groups(wanted.start, &mut found)?;
        }
        let groups = found.into_iter().filter_map(|opened| match opened {
            Some(Opened::Rows(rows)) => Some(rows),
            _ => None,
        });
        let components = |rows: u32| rows as usize * self.dimension as usize;
        Ok(Rows {
            groups: groups.collect(),
            skipped: components(rows.start % group_rows),
            components: components(rows.end - rows.start),
        })
    }

    /// Rows are known by where their group would begin without seals: always within the section.
    fn origin(&self, group: u32) -> Origin {
        let section = self.section(SectionKind::Vectors);
        self.origin_at(section.offset + u64::from(group) * self.group_bytes())
    }

    fn group_bytes(&self) -> u64 {
        u64::from(group_rows(self.dimension)) * u64::from(self.dimension) * size_of::<f32>() as u64
    }

    /// Opens the groups that are missing, all with one call of the medium.
    fn open_groups(&self, first: u32, found: &mut [Option<Opened>]) -> Result<(), Fault> {
        let missing = (first..).zip(found).filter(|(_, found)| found.is_none());
        let missing: Vec<_> = missing.map(|(group, slot)| (group, self.blocks_of(group), slot)).collect();
        let ranges: Vec<_> = missing.iter().map(|(_, blocks, _)| self.stored(blocks)).collect();
        let fetched = self.blobs.read(&self.name, &ranges)?;
        for ((group, blocks, slot), sealed) in missing.into_iter().zip(&fetched) {
            let opened = Opened::Rows(Arc::new(self.open_group(group, blocks, sealed)?));
            self.cache.put(self.origin(group), opened.clone());
            *slot = Some(opened);
        }
        Ok(())
    }

    /// A group's bytes in the section's plaintext.
    fn bytes_of(&self, group: u32) -> Range<u64> {
        let end = (u64::from(group) + 1) * self.group_bytes();
        end - self.group_bytes()..end.min(self.section(SectionKind::Vectors).plain_bytes)
    }

    /// The blocks of the section that a group lies in.
    fn blocks_of(&self, group: u32) -> Range<u64> {
        let bytes = self.bytes_of(group);
        bytes.start / BLOCK_BYTES as u64..bytes.end.div_ceil(BLOCK_BYTES as u64)
    }

    /// Where they lie in the file.
    fn stored(&self, blocks: &Range<u64>) -> Range<u64> {
        let section = self.section(SectionKind::Vectors);
        let at = |block: u64| {
            let bytes = block * (BLOCK_BYTES + BLOCK_OVERHEAD_BYTES) as u64;
            self.place().offset + section.offset + bytes.min(section.sealed_bytes())
        };
        at(blocks.start)..at(blocks.end)
    }

    fn open_group(
        &self,
        group: u32,
        blocks: Range<u64>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<f32>>, Fault> {
        let section = self.section(SectionKind::Vectors);
        let bytes = self.bytes_of(group);
        let mut rows =
            Zeroizing::new(Vec::with_capacity((bytes.end - bytes.start) as usize / size_of::<f32>()));
        let mut at = self.stored(&blocks).start - self.place().offset;
        let mut sealed = sealed;
        for block in blocks {
            let (plain, taken) = self.open_block(sealed, section.first_block + block as u32, at)?;
            if plain.len() as u64 != section.plain_block_bytes(block) {
                let expected = section.plain_block_bytes(block);
                return Err(self.located(Damage::new("BlockHeader.plain_bytes", expected, plain.len())));
            }
            let begin = block * BLOCK_BYTES as u64;
            let from = bytes.start.saturating_sub(begin).min(plain.len() as u64) as usize;
            let to = (bytes.end - begin).min(plain.len() as u64) as usize;
            let (components, _) = plain[from..to].as_chunks();
            rows.extend(components.iter().map(|component| f32::from_le_bytes(*component)));
            sealed = &sealed[taken..];
            at += taken as u64;
        }
        Ok(rows)
    }
}
