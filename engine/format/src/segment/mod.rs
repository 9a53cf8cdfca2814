//! How does one partition's run of rows lie in a segment file?
//!
//! A segment file is a [`FileHeader`](crate::header::FileHeader) and the segments of one or more partitions,
//! one after the other; the manifest says where each begins. A segment is a [`SegmentHeader`], a sealed table
//! of its sections, and the sections' sealed blocks. Every sealed block has a [`BlockHeader`] before it.
//!
//! | section | holds |
//! |---|---|
//! | directory | a [`DocumentRow`] for each document, in the order of the rows |
//! | vectors | f32 rows, `dimension` components each |
//! | infos | each document's info, as [`Document::write_info`](crate::document::Document::write_info) writes it |
//! | contents | the documents' bytes, one after the other |
//! | labels | for each tag, entity, source and media type the documents that have it, as a roaring bitmap |
//! | changes | soft deletes, restores and purges of documents in older segments, and memos, in their order |
//! | lengths | how long each block of the compressed sections is |
//! | words | a dictionary of the words of all rows, see [`words`](crate::words) |
//! | postings | how many words each row has, and for each word the rows that have it |
//! | index | what the codes of the rows were made with, see [`codes`](crate::codes) |
//! | signs | codes of one bit or two a component, in blocks |
//! | nibbles | codes of four bits a component |
//! | places | which row each code is of |
//! | fields | which documents have which values in their metadata, see [`field_index`](crate::field_index) |
//! | positions | where in its rows each word stands, see [`words`](crate::words) |

mod rows;

pub use rows::{ChangeRow, DocumentRow, LabelKind, LabelRow, decode_directory};

use crate::layout::{check_crc, crc_of, zero};
use crate::limits::BLOCK_BYTES_MAX;
use crate::record::CollectionSpec;
use crate::wire::Reader;
use crate::{Damage, layout};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// Begins each segment.
pub const SEGMENT_MAGIC: u32 = u32::from_le_bytes(*b"SRSG");
/// The plaintext of each block but a section's last, in bytes.
pub const BLOCK_BYTES: usize = 16 << 10;
/// What sealing adds to a block: its header and its tag.
pub const BLOCK_OVERHEAD_BYTES: usize = BlockHeader::BYTES + 16;

/// The sections of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum SectionKind {
    /// [`DocumentRow`]s.
    Directory = 1,
    /// f32 rows.
    Vectors = 2,
    /// Documents without content and vectors.
    Infos = 3,
    /// The documents' bytes.
    Contents = 4,
    /// Label → documents.
    Labels = 5,
    /// Soft deletes, restores and purges of older documents.
    Changes = 6,
    /// How long the blocks of packed sections are, see [`decode_lengths`].
    Lengths = 7,
    /// Words and where their postings are, see [`words`](crate::words).
    Words = 8,
    /// How many words each row has, and which rows have each word.
    Postings = 9,
    /// What codes were made with, see [`codes`](crate::codes).
    Index = 10,
    /// Codes of one bit a component, or of two.
    Signs = 11,
    /// Codes of four bits a component.
    Nibbles = 12,
    /// Which row each code is of.
    Places = 13,
    /// Values of metadata → documents, see [`field_index`](crate::field_index).
    Fields = 14,
    /// Where in its rows each word stands.
    Positions = 15,
}

/// The sections whose blocks are compressed, in the order in which their lengths are told.
pub const PACKED: [SectionKind; 6] = [
    SectionKind::Infos,
    SectionKind::Contents,
    SectionKind::Words,
    SectionKind::Postings,
    SectionKind::Fields,
    SectionKind::Positions,
];

impl SectionKind {
    /// Whether each of its blocks is compressed before it is sealed.
    pub fn is_packed(self) -> bool {
        PACKED.contains(&self)
    }
}

/// All sections, in their order in a segment.
pub const SECTIONS: [SectionKind; 15] = [
    SectionKind::Directory,
    SectionKind::Vectors,
    SectionKind::Infos,
    SectionKind::Contents,
    SectionKind::Labels,
    SectionKind::Changes,
    SectionKind::Lengths,
    SectionKind::Words,
    SectionKind::Postings,
    SectionKind::Index,
    SectionKind::Signs,
    SectionKind::Nibbles,
    SectionKind::Places,
    SectionKind::Fields,
    SectionKind::Positions,
];

layout! {
    /// Begins a segment, in the clear.
    SegmentHeader: 64 {
        /// [`SEGMENT_MAGIC`].
        magic: U32,
        /// Components of each vector.
        dimension: U32,
        /// Whose.
        incarnation: [u8; 16],
        /// Documents, the deleted ones included.
        documents: U32,
        /// Passages of all of them.
        rows: U32,
        /// Length of the whole segment, this header included.
        bytes: U64,
        /// A [`Metric`](crate::record::Metric).
        metric: u8,
        /// Zero.
        reserved: [u8; 19],
        /// Over the 60 bytes before.
        crc32: U32,
    }
}

layout! {
    /// Stands before each sealed block.
    BlockHeader: 16 {
        /// Counts the blocks of the segment from 0, which is the table; the nonce.
        block: U32,
        /// Bytes before sealing, after compression; the sealed ones are 16 more.
        plain_bytes: U32,
        /// Zero.
        reserved: U32,
        /// Over the 12 bytes before and the sealed bytes.
        crc32: U32,
    }
}

layout! {
    /// A section, in the sealed table.
    SectionEntry: 40 {
        /// A [`SectionKind`].
        kind: U32,
        /// The number of its first block.
        first_block: U32,
        /// Where its first block's header is, from the start of the segment.
        offset: U64,
        /// Its length, before compression where it is compressed.
        plain_bytes: U64,
        /// The same after compression: the sum of its blocks' `plain_bytes`.
        stored_bytes: U64,
        /// Zero.
        reserved: U32,
        /// Over the 36 bytes before.
        crc32: U32,
    }
}

/// The table's block, with header and tag: it is of fixed length.
pub const TABLE_BYTES: usize = SECTIONS.len() * SectionEntry::BYTES + BLOCK_OVERHEAD_BYTES;

impl SegmentHeader {
    /// A header with its checksum.
    pub fn new(incarnation: [u8; 16], spec: CollectionSpec, documents: u32, rows: u32, bytes: u64) -> Self {
        let mut header = Self {
            magic: U32::new(SEGMENT_MAGIC),
            dimension: U32::new(spec.dimension),
            incarnation,
            documents: U32::new(documents),
            rows: U32::new(rows),
            bytes: U64::new(bytes),
            metric: spec.metric as u8,
            reserved: [0; 19],
            crc32: U32::ZERO,
        };
        header.crc32 = crc_of(header.as_bytes());
        header
    }

    /// Reads and checks a segment's header.
    pub fn read(bytes: &[u8]) -> Result<Self, Damage> {
        let (header, _) = Self::read_from_prefix(bytes)
            .map_err(|_| Damage::new("SegmentHeader", "64 bytes", bytes.len()))?;
        if header.magic.get() != SEGMENT_MAGIC {
            return Err(Damage::new("SegmentHeader.magic", "SRSG", format_args!("{:#010x}", header.magic)));
        }
        check_crc("SegmentHeader.crc32", header.as_bytes())?;
        zero("SegmentHeader.reserved", &header.reserved)?;
        header.spec()?;
        Ok(header)
    }

    /// What its vectors are.
    pub fn spec(&self) -> Result<CollectionSpec, Damage> {
        CollectionSpec::read(self.dimension.get(), self.metric)
    }
}

impl BlockHeader {
    /// The header of a block whose sealed bytes are known.
    pub fn new(block: u32, sealed: &[u8]) -> Self {
        let mut header = Self {
            block: U32::new(block),
            plain_bytes: U32::new((sealed.len() - 16) as u32),
            reserved: U32::ZERO,
            crc32: U32::ZERO,
        };
        header.crc32 = U32::new(header.checksum(sealed));
        header
    }

    fn checksum(&self, sealed: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.as_bytes()[..12]);
        hasher.update(sealed);
        hasher.finalize()
    }

    /// Checks the block at the start of `bytes`, which must have this number, and answers its sealed bytes
    /// and its length with the header.
    pub fn open(bytes: &[u8], block: u32) -> Result<(&[u8], usize), Damage> {
        let (header, rest) = Self::read_from_prefix(bytes)
            .map_err(|_| Damage::new("BlockHeader", "16 bytes", format_args!("{} bytes", bytes.len())))?;
        let plain_bytes = header.plain_bytes.get() as usize;
        if header.block.get() != block {
            return Err(Damage::new("BlockHeader.block", block, header.block));
        }
        if plain_bytes > BLOCK_BYTES_MAX || plain_bytes + 16 > rest.len() {
            return Err(Damage::new("BlockHeader.plain_bytes", "a block that fits", header.plain_bytes));
        }
        zero("BlockHeader.reserved", header.reserved.as_bytes())?;
        let sealed = &rest[..plain_bytes + 16];
        let computed = header.checksum(sealed);
        if computed != header.crc32.get() {
            return Err(Damage::new("BlockHeader.crc32", computed, header.crc32));
        }
        Ok((sealed, Self::BYTES + sealed.len()))
    }
}

/// A section, as the table names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// The number of its first block.
    pub first_block: u32,
    /// Where its first block's header is, from the start of the segment.
    pub offset: u64,
    /// Its length, before compression where it is compressed.
    pub plain_bytes: u64,
    /// The same after compression.
    pub stored_bytes: u64,
}

impl Section {
    /// How many blocks it has.
    pub fn blocks(&self) -> u64 {
        self.plain_bytes.div_ceil(BLOCK_BYTES as u64)
    }

    /// Its length on the medium.
    pub fn sealed_bytes(&self) -> u64 {
        self.stored_bytes + self.blocks() * BLOCK_OVERHEAD_BYTES as u64
    }

    /// How long the block of this number in the section is before it is compressed and sealed.
    pub fn plain_block_bytes(&self, number: u64) -> u64 {
        (self.plain_bytes - number * BLOCK_BYTES as u64).min(BLOCK_BYTES as u64)
    }
}

/// The sections that follow each other after the table, given their lengths before and after compression; and
/// the segment's length.
///
/// # Panics
/// When there are 2³² blocks (64 TiB) or more: nobody holds that much in memory.
pub fn place_sections(lengths: [(u64, u64); SECTIONS.len()]) -> ([Section; SECTIONS.len()], u64) {
    let mut offset = (SegmentHeader::BYTES + TABLE_BYTES) as u64;
    let mut first_block = 1_u32;
    let sections = lengths.map(|(plain_bytes, stored_bytes)| {
        let section = Section { first_block, offset, plain_bytes, stored_bytes };
        let blocks = u32::try_from(section.blocks()).ok();
        first_block = blocks.and_then(|blocks| first_block.checked_add(blocks)).expect("fewer blocks");
        offset += section.sealed_bytes();
        section
    });
    (sections, offset)
}

/// The table's plaintext.
pub fn encode_table(sections: &[Section; SECTIONS.len()]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SECTIONS.len() * SectionEntry::BYTES);
    for (kind, section) in SECTIONS.iter().zip(sections) {
        let mut entry = SectionEntry {
            kind: U32::new(*kind as u32),
            first_block: U32::new(section.first_block),
            offset: U64::new(section.offset),
            plain_bytes: U64::new(section.plain_bytes),
            stored_bytes: U64::new(section.stored_bytes),
            reserved: U32::ZERO,
            crc32: U32::ZERO,
        };
        entry.crc32 = crc_of(entry.as_bytes());
        bytes.extend_from_slice(entry.as_bytes());
    }
    bytes
}

/// Reads the table of a segment of this length. Every section must lie where the ones before it leave off.
pub fn decode_table(bytes: &[u8], segment_bytes: u64) -> Result<[Section; SECTIONS.len()], Damage> {
    let mut lengths = [(0, 0); SECTIONS.len()];
    let mut found = Vec::with_capacity(SECTIONS.len());
    if bytes.len() != SECTIONS.len() * SectionEntry::BYTES {
        let expected = SECTIONS.len() * SectionEntry::BYTES;
        return Err(Damage::new("section table", format_args!("{expected} bytes"), bytes.len()));
    }
    let mut blocks = 0_u64;
    let mut chunks = bytes.chunks_exact(SectionEntry::BYTES);
    for (kind, lengths) in SECTIONS.iter().zip(&mut lengths) {
        let entry = chunks
            .next()
            .ok_or_else(|| Damage::new("section table", "an entry for each section", "fewer"))?;
        let (entry, _) = SectionEntry::read_from_prefix(entry)
            .map_err(|_| Damage::new("SectionEntry", "40 bytes", "fewer"))?;
        check_crc("SectionEntry.crc32", entry.as_bytes())?;
        zero("SectionEntry.reserved", entry.reserved.as_bytes())?;
        if entry.kind.get() != *kind as u32 {
            return Err(Damage::new("SectionEntry.kind", *kind as u32, entry.kind));
        }
        let (plain, stored) = (entry.plain_bytes.get(), entry.stored_bytes.get());
        let own_blocks = plain.div_ceil(BLOCK_BYTES as u64);
        blocks = blocks.saturating_add(own_blocks);
        // Each block takes more than its overhead, so there are no more of them than fit into the segment.
        if own_blocks > segment_bytes || blocks >= u64::from(u32::MAX) {
            return Err(Damage::new("SectionEntry.plain_bytes", "inside the segment", plain));
        }
        let fits = if kind.is_packed() { own_blocks <= stored && stored <= plain } else { stored == plain };
        if !fits || stored > segment_bytes {
            return Err(Damage::new("SectionEntry.stored_bytes", "inside the segment", stored));
        }
        *lengths = (plain, stored);
        found.push((entry.first_block.get(), entry.offset.get()));
    }
    let (sections, end) = place_sections(lengths);
    for (section, found) in sections.iter().zip(found) {
        if (section.first_block, section.offset) != found {
            return Err(Damage::new("SectionEntry.offset", section.offset, found.1));
        }
    }
    if end != segment_bytes {
        return Err(Damage::new("SegmentHeader.bytes", end, segment_bytes));
    }
    Ok(sections)
}

/// Reads how long the blocks of the packed sections are. Of each section it answers where its blocks begin, as
/// if they followed each other without headers and tags, and where the last one ends.
pub fn decode_lengths(
    bytes: &[u8],
    packed: [&Section; PACKED.len()],
) -> Result<[Vec<u64>; PACKED.len()], Damage> {
    let mut input = Reader::new("block length", bytes);
    let mut starts = PACKED.map(|_| Vec::new());
    for (section, starts) in packed.into_iter().zip(&mut starts) {
        let mut end = 0;
        starts.push(end);
        for number in 0..section.blocks() {
            let (length, most) = (u64::from(input.u32()?), section.plain_block_bytes(number));
            if length == 0 || length > most {
                return Err(Damage::new("block length", format_args!("1 to {most}"), length));
            }
            end += length;
            starts.push(end);
        }
        if end != section.stored_bytes {
            return Err(Damage::new("SectionEntry.stored_bytes", end, section.stored_bytes));
        }
    }
    input.finish()?;
    Ok(starts)
}
