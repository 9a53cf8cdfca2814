//! How is what a segment knows of a frequent word read, without reading all of it?
//!
//! What is known of a word's blocks is read whole, and a block when it is asked for; and how many words rows have, some thousand
//! rows at a time. All of it comes through the cache, whose blocks are held as long as they are the ones that are read.

use super::cache::Block;
use super::reader::Segment;
use crate::io::Fault;
use std::ops::Range;
use strongroom_format::Damage;
use strongroom_format::posting_blocks::PostingBlocks;
use strongroom_format::segment::{BLOCK_BYTES, SectionKind};
use strongroom_format::wire::Reader;
use strongroom_format::words::Posting;

/// A varint takes no more bytes than this.
const VARINT_BYTES_MAX: u64 = 10;

/// A word's postings, block by block.
pub struct Blocked<'a> {
    segment: &'a Segment,
    blocks: PostingBlocks,
    rows: u32,
    /// Where in the section the first block begins.
    begin: u64,
    /// The block of the section that was read last.
    held: Option<(u64, Block)>,
}

impl<'a> Blocked<'a> {
    /// Reads what is known of the postings at this place of the section, of a word that so many rows have.
    pub(super) fn open(segment: &'a Segment, postings: Range<u64>, rows: u32) -> Result<Self, Fault> {
        let located = |damage| segment.located(damage);
        let section_bytes = segment.section(SectionKind::Postings).plain_bytes;
        if postings.end > section_bytes {
            return Err(located(Damage::new("section", section_bytes, postings.end)));
        }
        let first = postings.start..postings.end.min(postings.start.saturating_add(VARINT_BYTES_MAX));
        let first = segment.read(SectionKind::Postings, first)?;
        let mut input = Reader::new("posting blocks", &first);
        let table_bytes = input.varint().map_err(located)?;
        let table = postings.start + (first.len() - input.left()) as u64;
        let begin = table.saturating_add(table_bytes);
        if begin > postings.end {
            let damage = Damage::new("posting blocks", format_args!("below {}", postings.end), begin);
            return Err(located(damage));
        }
        let table = segment.read(SectionKind::Postings, table..begin)?;
        let rows_max = segment.place().rows;
        let blocks =
            PostingBlocks::read_table(&table, rows, rows_max, postings.end - begin).map_err(located)?;
        Ok(Self { segment, blocks, rows, begin, held: None })
    }

    /// What is known of its blocks.
    pub fn blocks(&self) -> &PostingBlocks {
        &self.blocks
    }

    /// How many rows have the word, live or not.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// How many of these rows, which rise, have the word.
    pub fn count_of(&mut self, rows: &[u32]) -> Result<u64, Fault> {
        let (mut block, mut count, mut postings) = (0, 0, Vec::new());
        let mut read = None;
        for &row in rows {
            block = self.blocks.seek(block, row);
            if block == self.blocks.count() {
                break;
            }
            if read != Some(block) {
                self.read(block, &mut postings)?;
                read = Some(block);
            }
            count += u64::from(postings.binary_search_by_key(&row, |posting| posting.row).is_ok());
        }
        Ok(count)
    }

    /// Reads the postings of a block in place of what is there.
    pub fn read(&mut self, block: usize, postings: &mut Vec<Posting>) -> Result<(), Fault> {
        let bytes = self.blocks.bytes(block);
        let range = self.begin + bytes.start..self.begin + bytes.end;
        let number = range.start / BLOCK_BYTES as u64;
        let read = if range.end <= (number + 1) * BLOCK_BYTES as u64 {
            let segment = self.segment;
            let held = match &mut self.held {
                Some((held, block)) if *held == number => block,
                held => &mut held.insert((number, segment.block(SectionKind::Postings, number)?)).1,
            };
            let start = (range.start % BLOCK_BYTES as u64) as usize;
            let end = start + (range.end - range.start) as usize;
            let beyond = || Damage::new("section", end, held.len());
            let bytes = held.get(start..end).ok_or_else(beyond);
            bytes.and_then(|bytes| self.blocks.read(block, bytes, postings))
        } else {
            self.blocks.read(block, &self.segment.read(SectionKind::Postings, range)?, postings)
        };
        read.map_err(|damage| self.segment.located(damage))
    }
}

/// How many words the rows of a segment have.
pub struct Lengths<'a> {
    segment: &'a Segment,
    /// Those of so many rows each, as far as they were read.
    blocks: Vec<Option<Block>>,
}

/// Rows whose numbers of words lie in one block.
const LENGTHS_TOGETHER: u32 = (BLOCK_BYTES / size_of::<u16>()) as u32;

impl<'a> Lengths<'a> {
    pub(super) fn open(segment: &'a Segment) -> Result<Self, Fault> {
        let (bytes, there) =
            (u64::from(segment.place().rows) * 2, segment.section(SectionKind::Postings).plain_bytes);
        if bytes > there {
            return Err(segment.located(Damage::new("words of a row", format_args!("{bytes} bytes"), there)));
        }
        let blocks = segment.place().rows.div_ceil(LENGTHS_TOGETHER);
        Ok(Self { segment, blocks: vec![None; blocks as usize] })
    }

    /// Those of rows that follow each other, from this one on.
    pub fn read(&mut self, mut first: u32, mut lengths: &mut [u16]) -> Result<(), Fault> {
        while !lengths.is_empty() {
            let number = (first / LENGTHS_TOGETHER) as usize;
            let block = match &mut self.blocks[number] {
                Some(block) => block,
                none => none.insert(self.segment.block(SectionKind::Postings, number as u64)?),
            };
            let (read, _) = block.as_chunks();
            let from = &read[(first % LENGTHS_TOGETHER) as usize..];
            let (here, rest) = lengths.split_at_mut(lengths.len().min(from.len()));
            here.iter_mut().zip(from).for_each(|(length, bytes)| *length = u16::from_le_bytes(*bytes));
            first += here.len() as u32;
            lengths = rest;
        }
        Ok(())
    }
}
