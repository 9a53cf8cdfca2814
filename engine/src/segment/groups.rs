//! How are a section's rows opened, of vectors or of codes?
//!
//! In groups of some 48 to 64 KiB, through the cache: a search opens the groups of the rows that it looks at,
//! and a partition larger than the cache is searched all the same. A group is whole blocks where a few of them
//! hold whole rows (as with vectors of 256, 384, 768 or 1,536 components); else the block at a border is opened for both.

use super::cache::{AnyRun, Group, Opened, Origin, Section};
use super::held::Held;
use super::reader::Segment;
use super::runs::Run;
use crate::io::Fault;
use crate::io::slab::Plain;
use std::ops::Range;
use std::sync::Arc;
use strongroom_format::Damage;
use strongroom_format::segment::{BLOCK_BYTES, BLOCK_OVERHEAD_BYTES, SectionKind};

/// A group of rows takes about so much.
const GROUP_BYTES: usize = 64 << 10;
/// So many codes are read at once, which take as long when they are fewer.
const CODES_TOGETHER: usize = 16;
/// Of sections of more groups the cache has no run.
const RUN_GROUPS_MAX: u32 = 8192;

/// What rows are made of.
pub(super) trait Element: Plain {
    /// Reads as many elements as there are bytes for.
    fn read(elements: &mut [Self], plain: &[u8]);
    /// For the cache.
    fn wrap(group: Group<Self>) -> Opened;
    /// From the cache.
    fn unwrap(opened: Opened) -> Option<Group<Self>>;
    /// The same of a run.
    fn unwrap_run(run: AnyRun) -> Option<Arc<Run<Self>>>;
}

impl Element for f32 {
    fn read(elements: &mut [Self], plain: &[u8]) {
        let (components, _) = plain.as_chunks();
        for (element, component) in elements.iter_mut().zip(components) {
            *element = f32::from_le_bytes(*component);
        }
    }

    fn wrap(group: Group<Self>) -> Opened {
        Opened::Rows(group)
    }

    fn unwrap(opened: Opened) -> Option<Group<Self>> {
        if let Opened::Rows(group) = opened { Some(group) } else { None }
    }

    fn unwrap_run(run: AnyRun) -> Option<Arc<Run<Self>>> {
        if let AnyRun::Rows(run) = run { Some(run) } else { None }
    }
}

impl Element for u8 {
    fn read(elements: &mut [Self], plain: &[u8]) {
        elements[..plain.len()].copy_from_slice(plain);
    }

    fn wrap(group: Group<Self>) -> Opened {
        Opened::Block(group)
    }

    fn unwrap(opened: Opened) -> Option<Group<Self>> {
        if let Opened::Block(group) = opened { Some(group) } else { None }
    }

    fn unwrap_run(run: AnyRun) -> Option<Arc<Run<Self>>> {
        if let AnyRun::Codes(run) = run { Some(run) } else { None }
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
        // Codes are read sixteen at a time: none are left over but the last.
        let rows = match self.kind {
            SectionKind::Nibbles if rows > CODES_TOGETHER => rows - rows % CODES_TOGETHER,
            _ => rows,
        };
        rows.max(1) as u32
    }

    fn group_bytes(&self) -> u64 {
        u64::from(self.group_rows()) * self.row_bytes as u64
    }
}

/// Groups that hold some rows.
pub(super) struct Rows<T: Element> {
    /// Which groups, rising.
    numbers: Vec<u32>,
    groups: Groups<T>,
    group_rows: u32,
    row_elements: usize,
}

/// Where groups are held.
enum Groups<T: Element> {
    /// In the run of their section, each at its number.
    Run(Arc<Run<T>>),
    /// By themselves, in their order.
    Each(Vec<Group<T>>),
}

impl<T: Element> Groups<T> {
    /// The group of a number, which stands at a position among those that are held.
    fn at(&self, position: usize, number: u32) -> &[T] {
        match self {
            Self::Run(run) => run.group(number).expect("a group that was asked for"),
            Self::Each(groups) => &groups[position],
        }
    }
}

impl<T: Element> Rows<T> {
    /// Rows that follow each other, in as many pieces as they lie in, each with its first row.
    pub(super) fn pieces(&self, rows: Range<u32>) -> impl Iterator<Item = (u32, &[T])> {
        let first = self.numbers.partition_point(|&number| number < rows.start / self.group_rows);
        (first..self.numbers.len()).map_while(move |position| {
            let number = self.numbers[position];
            let group = self.groups.at(position, number);
            let begin = number * self.group_rows;
            let start = rows.start.max(begin);
            let end = rows.end.min(begin.saturating_add(self.group_rows));
            let at = |row: u32| (row - begin) as usize * self.row_elements;
            (start < end).then(|| (start, &group[at(start)..at(end)]))
        })
    }

    /// Rows that rise, each as it lies.
    pub(super) fn each<'s>(&'s self, rows: &[u32]) -> Vec<&'s [T]> {
        let mut numbers = self.numbers.iter().enumerate();
        let mut group: &[T] = &[];
        // Of which rows the group is. Rows rise, so few ask which group is theirs, which takes a division.
        let (mut begin, mut end) = (0, 0);
        let row = |&row: &u32| {
            while row >= end {
                let (position, &number) = numbers.next().expect("a group for each row");
                (begin, group) = (number * self.group_rows, self.groups.at(position, number));
                end = begin.saturating_add(self.group_rows);
            }
            &group[(row - begin) as usize * self.row_elements..][..self.row_elements]
        };
        rows.iter().map(row).collect()
    }
}

impl Segment {
    /// What holds these runs of rows, which rise.
    pub(super) fn hold<T: Element>(
        &self,
        layout: &Layout,
        runs: impl IntoIterator<Item = Range<u32>>,
    ) -> Result<Rows<T>, Fault> {
        let group_rows = layout.group_rows();
        let mut numbers: Vec<u32> = Vec::new();
        // The first row behind those that are held. Rows rise: most are held already.
        let mut held = 0;
        for run in runs {
            if run.start > run.end || run.end > layout.rows {
                return Err(self.located(Damage::new("rows", layout.rows, run.end)));
            }
            if run.end <= held {
                continue;
            }
            // The first may hold the end of the run before.
            let known = numbers.last().map_or(0, |last| last + 1);
            let end = run.end.div_ceil(group_rows);
            numbers.extend((run.start / group_rows).max(known)..end);
            held = end.saturating_mul(group_rows);
        }
        let run = self.run(layout, group_rows).filter(|run| numbers.iter().all(|number| run.ask(*number)));
        let groups = match run {
            Some(run) => Groups::Run(run),
            None => Groups::Each(self.groups(layout, &numbers)?),
        };
        Ok(Rows { numbers, groups, group_rows, row_elements: layout.row_bytes / size_of::<T>() })
    }

    /// Shows rows that lie anywhere, and rise, some at a time with the number of those before them. Some may be shown again.
    pub(super) fn each<T: Element>(
        &self,
        layout: &Layout,
        rows: &[u32],
        mut see: impl FnMut(usize, &[&[T]]),
    ) -> Result<(), Fault> {
        let lies = (layout.group_rows(), layout.row_bytes / size_of::<T>());
        let is_within = rows.last().is_none_or(|&last| last < layout.rows);
        if is_within
            && let Some(run) = self.run::<T>(layout, lies.0)
            && run.each(rows, lies, &mut see)
        {
            return Ok(());
        }
        let held = self.hold::<T>(layout, rows.iter().map(|&row| row..row + 1))?;
        see(0, &held.each(rows));
        Ok(())
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
        let section = self.run_of(layout, layout.group_rows());
        if section.groups <= RUN_GROUPS_MAX {
            let found = wanted.iter().zip(&found);
            self.cache.join(section, found.filter_map(|(&number, found)| Some((number, found.as_ref()?))));
        }
        Ok(found.into_iter().flatten().filter_map(T::unwrap).collect())
    }

    /// Where a section's groups lie, each of so many rows.
    fn run_of(&self, layout: &Layout, group_rows: u32) -> Section {
        let group_bytes = u64::from(group_rows) * layout.row_bytes as u64;
        let first = self.origin_at(self.section(layout.kind).offset);
        Section { first, group_bytes, groups: layout.rows.div_ceil(group_rows) }
    }

    /// The run of a section, as far as it is known.
    fn run<T: Element>(&self, layout: &Layout, group_rows: u32) -> Option<Arc<Run<T>>> {
        let section = self.run_of(layout, group_rows);
        if section.groups > RUN_GROUPS_MAX {
            return None;
        }
        T::unwrap_run(self.cache.run(section.first)?)
    }

    /// A group is known by where it would begin without seals: always within the section.
    fn origin(&self, layout: &Layout, group: u32) -> Origin {
        self.run_of(layout, layout.group_rows()).origin(group)
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
    ) -> Result<Held<T>, Fault> {
        let section = self.section(layout.kind);
        let bytes = self.bytes_of(layout, group);
        let mut rows = self.cache.place::<T>((bytes.end - bytes.start) as usize / size_of::<T>());
        let mut filled = 0;
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
            T::read(&mut rows[filled..], &plain[from..to]);
            filled += (to - from) / size_of::<T>();
            sealed = &sealed[taken..];
            at += taken as u64;
        }
        Ok(rows)
    }
}
