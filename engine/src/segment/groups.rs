//! How are a section's rows opened, of vectors or of codes?
//!
//! In groups of some 48 to 64 KiB, through the cache: a search opens the groups of the rows that it looks at,
//! and a partition larger than the cache is searched all the same. A group is whole blocks where a few of them
//! hold whole rows (as with vectors of 256, 384, 768 or 1,536 components); else the block at a border is opened for both.

use super::cache::{Group, Opened, Origin};
use super::reader::Segment;
use crate::io::Fault;
use std::ops::Range;
use std::sync::Arc;
use strongroom_format::Damage;
use strongroom_format::segment::{BLOCK_BYTES, BLOCK_OVERHEAD_BYTES, SectionKind};
use zeroize::{Zeroize, Zeroizing};

/// A group of rows takes about so much.
const GROUP_BYTES: usize = 64 << 10;

/// What rows are made of.
pub(super) trait Element: Copy + Zeroize {
    /// Appends a block's plaintext.
    fn extend(elements: &mut Vec<Self>, plain: &[u8]);
    /// For the cache.
    fn wrap(group: Group<Self>) -> Opened;
    /// From the cache.
    fn unwrap(opened: Opened) -> Option<Group<Self>>;
}

impl Element for f32 {
    fn extend(elements: &mut Vec<Self>, plain: &[u8]) {
        let (components, _) = plain.as_chunks();
        elements.extend(components.iter().map(|component| f32::from_le_bytes(*component)));
    }

    fn wrap(group: Group<Self>) -> Opened {
        Opened::Rows(group)
    }

    fn unwrap(opened: Opened) -> Option<Group<Self>> {
        if let Opened::Rows(group) = opened { Some(group) } else { None }
    }
}

impl Element for u8 {
    fn extend(elements: &mut Vec<Self>, plain: &[u8]) {
        elements.extend_from_slice(plain);
    }

    fn wrap(group: Group<Self>) -> Opened {
        Opened::Block(group)
    }

    fn unwrap(opened: Opened) -> Option<Group<Self>> {
        if let Opened::Block(group) = opened { Some(group) } else { None }
    }
}

/// The rows of a section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) kind: SectionKind,
    /// How long a row is, in whole elements.
    pub(super) row_bytes: usize,
    /// How many rows there are.
    pub(super) rows: u32,
}

impl Layout {
    /// How many rows are opened together.
    pub(super) fn group_rows(&self) -> u32 {
        let row_bytes = self.row_bytes.max(1);
        // Blocks are a power of two long.
        let whole = BLOCK_BYTES >> row_bytes.trailing_zeros().min(BLOCK_BYTES.trailing_zeros());
        let rows = match GROUP_BYTES / (whole * row_bytes) {
            0 => GROUP_BYTES / row_bytes,
            times => whole * times,
        };
        rows.max(1) as u32
    }

    fn group_bytes(&self) -> u64 {
        u64::from(self.group_rows()) * self.row_bytes as u64
    }
}

/// Rows that follow each other, opened.
pub(super) struct Run<T: Element> {
    groups: Vec<Group<T>>,
    /// Elements before the first row, in the first group.
    skipped: usize,
    elements: usize,
}

impl<T: Element> Run<T> {
    /// The rows, in as many pieces as they lie in.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[T]> {
        let (mut skip, mut left) = (self.skipped, self.elements);
        self.groups.iter().map(move |group| {
            let end = group.len().min(skip + left);
            let piece = &group[skip..end];
            left -= piece.len();
            skip = 0;
            piece
        })
    }
}

/// Rows that lie anywhere, opened.
pub(super) struct Scattered<T: Element> {
    wanted: Vec<u32>,
    groups: Vec<Group<T>>,
    group_rows: u32,
    row_elements: usize,
}

impl<T: Element> Scattered<T> {
    /// The same rows, each as it lies.
    pub(super) fn each<'s>(&'s self, rows: &'s [u32]) -> Vec<&'s [T]> {
        let mut at = 0;
        let row = |&row: &u32| {
            let group = row / self.group_rows;
            at += usize::from(self.wanted[at] != group);
            let from = (row - group * self.group_rows) as usize * self.row_elements;
            &self.groups[at][from..from + self.row_elements]
        };
        rows.iter().map(row).collect()
    }
}

impl Segment {
    /// Rows that follow each other.
    pub(super) fn run<T: Element>(&self, layout: &Layout, rows: Range<u32>) -> Result<Run<T>, Fault> {
        if rows.start > rows.end || rows.end > layout.rows {
            return Err(self.located(Damage::new("rows", layout.rows, rows.end)));
        }
        let group_rows = layout.group_rows();
        let groups: Vec<u32> = (rows.start / group_rows..rows.end.div_ceil(group_rows)).collect();
        let elements = |rows: u32| rows as usize * layout.row_bytes / size_of::<T>();
        Ok(Run {
            groups: self.groups(layout, &groups)?,
            skipped: elements(rows.start % group_rows),
            elements: elements(rows.end - rows.start),
        })
    }

    /// Calls back with each of these runs of rows, which rise, in as many pieces as it lies in: its number, the piece's
    /// first row and its elements.
    pub(super) fn each_run<T: Element>(
        &self,
        layout: &Layout,
        runs: impl Iterator<Item = Range<u32>> + Clone,
        mut each: impl FnMut(usize, u32, &[T]),
    ) -> Result<(), Fault> {
        if let Some(last) = runs.clone().last()
            && last.end > layout.rows
        {
            return Err(self.located(Damage::new("rows", layout.rows, last.end)));
        }
        let group_rows = layout.group_rows();
        let groups_of = |run: &Range<u32>| run.start / group_rows..run.end.div_ceil(group_rows);
        let mut wanted: Vec<u32> = runs.clone().flat_map(|run| groups_of(&run)).collect();
        wanted.dedup();
        let groups = self.groups::<T>(layout, &wanted)?;
        let elements = layout.row_bytes / size_of::<T>();
        let mut at = 0;
        for (number, run) in runs.enumerate() {
            for group in groups_of(&run) {
                at += usize::from(wanted[at] != group);
                let first = group * group_rows;
                let start = run.start.max(first);
                let end = run.end.min(first.saturating_add(group_rows));
                let from = (start - first) as usize * elements;
                each(number, start, &groups[at][from..from + (end - start) as usize * elements]);
            }
        }
        Ok(())
    }

    /// Rows that lie anywhere, but rise.
    pub(super) fn scattered<T: Element>(&self, layout: &Layout, rows: &[u32]) -> Result<Scattered<T>, Fault> {
        if let Some(&last) = rows.last()
            && last >= layout.rows
        {
            return Err(self.located(Damage::new("rows", layout.rows, last)));
        }
        let group_rows = layout.group_rows();
        let mut wanted: Vec<u32> = rows.iter().map(|row| row / group_rows).collect();
        wanted.dedup();
        let groups = self.groups(layout, &wanted)?;
        Ok(Scattered { wanted, groups, group_rows, row_elements: layout.row_bytes / size_of::<T>() })
    }

    /// These groups; all that are missing are fetched with one call of the medium.
    fn groups<T: Element>(&self, layout: &Layout, wanted: &[u32]) -> Result<Vec<Group<T>>, Fault> {
        let mut found = self.cache.get(wanted.iter().map(|group| self.origin(layout, *group)));
        if found.iter().any(Option::is_none) {
            let missing = wanted.iter().zip(&mut found).filter(|(_, found)| found.is_none());
            let missing: Vec<_> =
                missing.map(|(&group, slot)| (group, self.blocks_of(layout, group), slot)).collect();
            let ranges: Vec<_> =
                missing.iter().map(|(_, blocks, _)| self.stored(layout.kind, blocks)).collect();
            let fetched = self.blobs.read(&self.name, &ranges)?;
            for ((group, blocks, slot), sealed) in missing.into_iter().zip(&fetched) {
                let opened = T::wrap(Arc::new(self.open_group(layout, group, blocks, sealed)?));
                self.cache.put(self.origin(layout, group), opened.clone());
                *slot = Some(opened);
            }
        }
        Ok(found.into_iter().flatten().filter_map(T::unwrap).collect())
    }

    /// A group is known by where it would begin without seals: always within the section.
    fn origin(&self, layout: &Layout, group: u32) -> Origin {
        let section = self.section(layout.kind);
        self.origin_at(section.offset + u64::from(group) * layout.group_bytes())
    }

    /// A group's bytes in the section's plaintext.
    fn bytes_of(&self, layout: &Layout, group: u32) -> Range<u64> {
        let end = (u64::from(group) + 1) * layout.group_bytes();
        end - layout.group_bytes()..end.min(self.section(layout.kind).plain_bytes)
    }

    /// The blocks of the section that a group lies in.
    fn blocks_of(&self, layout: &Layout, group: u32) -> Range<u64> {
        let bytes = self.bytes_of(layout, group);
        bytes.start / BLOCK_BYTES as u64..bytes.end.div_ceil(BLOCK_BYTES as u64)
    }

    /// Where they lie in the file.
    fn stored(&self, kind: SectionKind, blocks: &Range<u64>) -> Range<u64> {
        let section = self.section(kind);
        let at = |block: u64| {
            let bytes = block * (BLOCK_BYTES + BLOCK_OVERHEAD_BYTES) as u64;
            self.place().offset + section.offset + bytes.min(section.sealed_bytes())
        };
        at(blocks.start)..at(blocks.end)
    }

    fn open_group<T: Element>(
        &self,
        layout: &Layout,
        group: u32,
        blocks: Range<u64>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<T>>, Fault> {
        let section = self.section(layout.kind);
        let bytes = self.bytes_of(layout, group);
        let mut rows =
            Zeroizing::new(Vec::with_capacity((bytes.end - bytes.start) as usize / size_of::<T>()));
        let mut at = self.stored(layout.kind, &blocks).start - self.place().offset;
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
            T::extend(&mut rows, &plain[from..to]);
            sealed = &sealed[taken..];
            at += taken as u64;
        }
        Ok(rows)
    }
}
