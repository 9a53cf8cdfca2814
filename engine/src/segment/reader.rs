//! How is a segment opened and read, block by block?

use super::cache::{Block, BlockCache, Charge, Opened, Origin};
use super::labels::Labels;
use super::packing::unpack_into;
use super::writer::index;
use crate::io::{BlobStore, Fault, StorageError, StorageErrorKind};
use crate::seal::{Cipher, Key, Place, Purpose};
use std::ops::Range;
use std::sync::Arc;
use strongroom_format::Damage;
use strongroom_format::document::Document;
use strongroom_format::info::{Info, PassageText};
use strongroom_format::manifest::SegmentPlace;
use strongroom_format::record::{CollectionSpec, Metric};
use strongroom_format::segment::{
    BLOCK_BYTES, BLOCK_OVERHEAD_BYTES, BlockHeader, ChangeRow, DocumentRow, PACKED, SECTIONS, Section,
    SectionKind, SegmentHeader, TABLE_BYTES, decode_directory, decode_lengths, decode_table,
};
use strongroom_format::wire::Reader;
use strongroom_kernel::fetch as fetch_memory;
use zeroize::Zeroizing;

/// What a document takes in the directory and in its partition's, roughly, in bytes.
const DOCUMENT_BYTES: usize = 256;
/// The infos of no more documents than this are likely to be in the processor's caches when they are read once more.
const NEAR_DOCUMENTS_MAX: u32 = 4096;

/// A segment that was opened with its partition's key.
pub struct Segment {
    pub(super) blobs: Arc<dyn BlobStore>,
    pub(super) cache: Arc<BlockCache>,
    pub(super) name: String,
    place: SegmentPlace,
    incarnation: [u8; 16],
    pub(super) dimension: u32,
    pub(super) metric: Metric,
    cipher: Cipher,
    sections: [Section; SECTIONS.len()],
    /// Where the blocks of the packed sections begin, see [`decode_lengths`].
    starts: [Vec<u64>; PACKED.len()],
    directory: Vec<DocumentRow>,
    first_expiry_ms: Option<u64>,
    /// The first row of each document; none when each has one row.
    first_rows: Vec<u32>,
    labels: Labels,
    changes: Vec<ChangeRow>,
    /// What directory, labels and changes take.
    charge: Charge,
}

impl Segment {
    /// Opens the segment at this place.
    pub fn open(
        blobs: &Arc<dyn BlobStore>,
        cache: &Arc<BlockCache>,
        key: &Key,
        incarnation: [u8; 16],
        spec: CollectionSpec,
        place: SegmentPlace,
    ) -> Result<Self, Fault> {
        let name = super::file_name(&place);
        let head_bytes = (SegmentHeader::BYTES + TABLE_BYTES) as u64;
        let head = fetch(&**blobs, &name, place.offset..place.offset + head_bytes)?;
        let header = SegmentHeader::read(&head).map_err(|damage| damage.at(&name, place.offset))?;
        let expected = SegmentHeader::new(incarnation, spec, place.documents, place.rows, place.bytes);
        if header != expected {
            return Err(Damage::new("SegmentHeader", "as the manifest says", "another")
                .at(&name, place.offset)
                .into());
        }
        let mut segment = Self {
            blobs: Arc::clone(blobs),
            cache: Arc::clone(cache),
            cipher: key.cipher(&place.file_id, Purpose::Segment),
            name,
            place,
            incarnation,
            dimension: spec.dimension,
            metric: spec.metric,
            sections: [Section { first_block: 0, offset: 0, plain_bytes: 0, stored_bytes: 0 };
                SECTIONS.len()],
            starts: PACKED.map(|_| Vec::new()),
            directory: Vec::new(),
            first_expiry_ms: None,
            first_rows: Vec::new(),
            labels: Labels::default(),
            changes: Vec::new(),
            charge: cache.charge(0),
        };
        let (table, _) = segment.open_block(&head[SegmentHeader::BYTES..], 0, SegmentHeader::BYTES as u64)?;
        segment.sections = decode_table(&table, place.bytes).map_err(|damage| segment.located(damage))?;
        let rows_bytes = u64::from(place.rows) * u64::from(spec.dimension) * size_of::<f32>() as u64;
        let vectors_bytes = segment.section(SectionKind::Vectors).plain_bytes;
        if vectors_bytes != rows_bytes {
            return Err(segment.located(Damage::new("SectionEntry.plain_bytes", rows_bytes, vectors_bytes)));
        }
        segment.load_indexes()?;
        segment.charge = cache.charge(segment.indexes_bytes());
        Ok(segment)
    }

    fn load_indexes(&mut self) -> Result<(), Fault> {
        let [directory, labels, changes, lengths] = self.whole([
            SectionKind::Directory,
            SectionKind::Labels,
            SectionKind::Changes,
            SectionKind::Lengths,
        ])?;
        self.directory = decode_directory(&directory, self.place.documents, self.place.rows)
            .map_err(|damage| self.located(damage))?;
        self.first_expiry_ms = self.directory.iter().filter_map(|row| row.expires_ms).min();
        if !self.directory.iter().all(|row| row.rows == 1) {
            self.first_rows = self.directory.iter().map(|row| row.first_row).collect();
        }
        self.labels = Labels::decode(&labels, self.place.documents).map_err(|damage| self.located(damage))?;
        let packed = PACKED.map(|kind| &self.sections[index(kind)]);
        self.starts = decode_lengths(&lengths, packed).map_err(|damage| self.located(damage))?;
        let mut input = Reader::new("ChangeRow", &changes);
        while !input.is_empty() {
            let change = ChangeRow::read(&mut input).map_err(|damage| self.located(damage))?;
            self.changes.push(change);
        }
        Ok(())
    }

    /// Where it lies.
    pub fn place(&self) -> SegmentPlace {
        self.place
    }

    /// Its documents, by ordinal.
    pub fn directory(&self) -> &[DocumentRow] {
        &self.directory
    }

    /// When the first of its documents expires, of those that do.
    pub fn first_expiry_ms(&self) -> Option<u64> {
        self.first_expiry_ms
    }

    /// The rows of documents that follow each other.
    pub fn rows_of(&self, ordinals: Range<u32>) -> Range<u32> {
        let first = |ordinal: u32| match self.first_rows.get(ordinal as usize) {
            Some(&first) => first,
            None if self.first_rows.is_empty() => ordinal,
            None => self.place.rows,
        };
        first(ordinals.start)..first(ordinals.end)
    }

    /// The document that a row is of.
    pub fn ordinal(&self, row: u32) -> u32 {
        if self.first_rows.is_empty() {
            return row;
        }
        // Documents without rows begin where the next one does.
        self.first_rows.partition_point(|&first| first <= row) as u32 - 1
    }

    /// Whether each document has one row, of the same number.
    pub fn is_row_by_row(&self) -> bool {
        self.first_rows.is_empty()
    }

    /// Which documents carry which label.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Soft deletes, restores and purges of documents in older segments.
    pub fn changes(&self) -> &[ChangeRow] {
        &self.changes
    }

    /// Roughly what it takes in memory beside what is in the cache, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        self.charge.bytes() as u64
    }

    fn indexes_bytes(&self) -> usize {
        self.directory.len() * DOCUMENT_BYTES
            + self.first_rows.len() * size_of::<u32>()
            + self.section(SectionKind::Labels).plain_bytes as usize * 2
            + self.section(SectionKind::Changes).plain_bytes as usize * 2
            + self.starts.iter().map(|starts| starts.len() * size_of::<u64>()).sum::<usize>()
    }

    /// Where a section lies.
    pub(super) fn section(&self, kind: SectionKind) -> Section {
        self.sections[index(kind)]
    }

    /// What is at this offset in the segment, for the cache.
    pub(super) fn origin_at(&self, offset: u64) -> Origin {
        let position = self.place.offset + offset;
        Origin { incarnation: self.incarnation, file_id: self.place.file_id, position }
    }

    /// A document without content and vectors, and how long its content is.
    pub fn info(&self, row: &DocumentRow) -> Result<Document, Fault> {
        self.with_info(row, |bytes| Document::read_info(&mut Reader::new("document info", bytes)))?
            .and_then(|(document, content_bytes)| {
                row_is(row, &document.id, content_bytes)?;
                Ok(document)
            })
            .map_err(|damage| self.located(damage))
    }

    /// What is made of a document's info and one of its passages, if it has so many.
    pub fn info_as<R>(
        &self,
        row: &DocumentRow,
        passage: u32,
        make: impl FnOnce(Info<'_>, Option<PassageText<'_>>) -> R,
    ) -> Result<R, Fault> {
        let read = |bytes: &[u8]| {
            let (mut number, mut found) = (0, None);
            let info = Info::read(&mut Reader::new("document info", bytes), |told| {
                found = if number == passage { Some(told) } else { found };
                number += 1;
            })?;
            row_is(row, info.id, info.content_bytes)?;
            Ok(make(info, found))
        };
        self.with_info(row, read)?.map_err(|damage| self.located(damage))
    }

    /// What is read of the bytes of a document's info.
    fn with_info<R>(&self, row: &DocumentRow, read: impl FnOnce(&[u8]) -> R) -> Result<R, Fault> {
        let range = row.info_offset..row.info_offset + u64::from(row.info_bytes);
        let number = range.start / BLOCK_BYTES as u64;
        let begin = number * BLOCK_BYTES as u64;
        let section = self.section(SectionKind::Infos);
        // Most lie in one block, and are read where they are.
        if range.end <= section.plain_bytes.min(begin + BLOCK_BYTES as u64) && !range.is_empty() {
            let block = self.block(SectionKind::Infos, number)?;
            Ok(read(&block[(range.start - begin) as usize..(range.end - begin) as usize]))
        } else {
            Ok(read(&self.read(SectionKind::Infos, range)?))
        }
    }

    /// A part of a document's content.
    pub fn content(&self, row: &DocumentRow, range: Range<u64>) -> Result<Vec<u8>, Fault> {
        if range.start > range.end || range.end > row.content_bytes {
            return Err(self.located(Damage::new("passage range", row.content_bytes, range.end)));
        }
        self.read(SectionKind::Contents, row.content_offset + range.start..row.content_offset + range.end)
    }

    /// Bytes of a section, through the cache.
    pub(super) fn read(&self, kind: SectionKind, range: Range<u64>) -> Result<Vec<u8>, Fault> {
        let section = self.section(kind);
        if range.end > section.plain_bytes {
            return Err(self.located(Damage::new("section", section.plain_bytes, range.end)));
        }
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        let mut at = range.start;
        while at < range.end {
            let number = at / BLOCK_BYTES as u64;
            let block = self.block(kind, number)?;
            let start = (at % BLOCK_BYTES as u64) as usize;
            let end = block.len().min(start + (range.end - at) as usize);
            bytes.extend_from_slice(&block[start..end]);
            at += (end - start) as u64;
        }
        Ok(bytes)
    }

    /// A block of a section that is compressed.
    pub(super) fn block(&self, kind: SectionKind, number: u64) -> Result<Block, Fault> {
        let section = self.section(kind);
        let (offset, stored_bytes) = self.packed(kind, number);
        let block = section.first_block + number as u32;
        let origin = self.origin_at(offset);
        if let Some(Opened::Block(block)) = self.cache.get_one(origin) {
            return Ok(block);
        }
        let end = offset + stored_bytes + BLOCK_OVERHEAD_BYTES as u64;
        let bytes = fetch(&*self.blobs, &self.name, self.place.offset + offset..self.place.offset + end)?;
        let (packed, _) = self.open_block(&bytes, block, offset)?;
        if packed.len() as u64 != stored_bytes {
            let damage = Damage::new("BlockHeader.plain_bytes", stored_bytes, packed.len());
            return Err(self.located(damage));
        }
        let plain_bytes = section.plain_block_bytes(number) as usize;
        let mut plain = self.cache.place(plain_bytes);
        unpack_into(&packed, &mut plain).map_err(|damage| self.located(damage))?;
        let plain = Arc::new(plain);
        self.cache.put(origin, Opened::Block(Arc::clone(&plain)));
        Ok(plain)
    }

    /// Where in the segment a block of a section that is compressed begins, and how long it is there.
    fn packed(&self, kind: SectionKind, number: u64) -> (u64, u64) {
        let which = PACKED.iter().position(|packed| *packed == kind).expect("a packed section");
        let starts = &self.starts[which];
        let (start, end) = (starts[number as usize], starts[number as usize + 1]);
        (self.section(kind).offset + start + number * BLOCK_OVERHEAD_BYTES as u64, end - start)
    }

    /// Asks memory for the infos of some documents, as far as they are open: in a segment that is not small each lies elsewhere, and is a wait
    /// of its own otherwise.
    pub fn ask_for_infos(&self, ordinals: &[u32]) {
        if self.place.documents <= NEAR_DOCUMENTS_MAX {
            return;
        }
        let row = |&ordinal: &u32| &self.directory[ordinal as usize];
        ordinals.iter().map(row).for_each(|row| fetch_memory(std::slice::from_ref(row)));
        // Whoever reads one that lies nowhere is told so.
        let infos_bytes = self.section(SectionKind::Infos).plain_bytes;
        let rows = || ordinals.iter().map(row).filter(|row| row.info_offset < infos_bytes);
        let origin = |row: &DocumentRow| {
            self.origin_at(self.packed(SectionKind::Infos, row.info_offset / BLOCK_BYTES as u64).0)
        };
        for (row, block) in rows().zip(self.cache.get(rows().map(origin))) {
            fetch_memory(row.id.as_bytes());
            if let Some(Opened::Block(block)) = block {
                let begin = (row.info_offset % BLOCK_BYTES as u64) as usize;
                let info = block.len().min(begin)..block.len().min(begin + row.info_bytes as usize);
                fetch_memory(&block[info]);
            }
        }
    }

    /// Whole sections that are not compressed, fetched together, past the cache.
    pub(super) fn whole<const N: usize>(
        &self,
        kinds: [SectionKind; N],
    ) -> Result<[Zeroizing<Vec<u8>>; N], Fault> {
        let sections = kinds.map(|kind| self.sections[index(kind)]);
        let ranges = sections.map(|section| {
            let start = self.place.offset + section.offset;
            start..start + section.sealed_bytes()
        });
        let fetched = self.blobs.read(&self.name, &ranges)?;
        let mut whole =
            sections.map(|section| Zeroizing::new(Vec::with_capacity(section.plain_bytes as usize)));
        for ((section, sealed), plain) in sections.iter().zip(&fetched).zip(&mut whole) {
            let mut taken = 0;
            for block in (section.first_block..).take(section.blocks() as usize) {
                let (opened, more) =
                    self.open_block(&sealed[taken..], block, section.offset + taken as u64)?;
                plain.extend_from_slice(&opened);
                taken += more;
            }
            if plain.len() as u64 != section.plain_bytes {
                let damage = Damage::new("SectionEntry.plain_bytes", section.plain_bytes, plain.len());
                return Err(self.located(damage));
            }
        }
        Ok(whole)
    }

    /// Opens the block that these bytes begin with; answers how long it is, too.
    pub(super) fn open_block(
        &self,
        bytes: &[u8],
        block: u32,
        offset: u64,
    ) -> Result<(Zeroizing<Vec<u8>>, usize), Fault> {
        let position = self.place.offset + offset;
        let (sealed, taken) =
            BlockHeader::open(bytes, block).map_err(|damage| damage.at(&self.name, position))?;
        let place = Place { incarnation: self.incarnation, file_id: self.place.file_id, position, kind: 0 };
        let plain = self.cipher.open(u64::from(block), place, sealed).map_err(|_| {
            Damage::new("block", "sealed under this partition's key for this place", "not")
                .at(&self.name, position)
        })?;
        Ok((Zeroizing::new(plain), taken))
    }

    pub(super) fn located(&self, damage: Damage) -> Fault {
        damage.at(&self.name, self.place.offset).into()
    }
}

/// Insists that an info is the directory's.
fn row_is(row: &DocumentRow, id: &str, content_bytes: u64) -> Result<(), Damage> {
    if id == row.id && content_bytes == row.content_bytes {
        return Ok(());
    }
    Err(Damage::new("document info", "the directory's document", "another"))
}

fn fetch(blobs: &dyn BlobStore, name: &str, range: Range<u64>) -> Result<Vec<u8>, Fault> {
    let mut answers = blobs.read(name, &[range])?;
    Ok(answers.pop().unwrap_or_default())
}

/// Reads every block of a segment and checks the checksums, without a key.
pub fn check_blocks(blobs: &dyn BlobStore, place: &SegmentPlace) -> Result<(), Fault> {
    let name = super::file_name(place);
    let end = place.offset + place.bytes;
    let bytes = match fetch(blobs, &name, place.offset..end) {
        // What was cut off a file is damage to those whose rows it had.
        Err(Fault::Storage(StorageError { kind: StorageErrorKind::TooShort { bytes }, .. })) => {
            return Err(Damage::new("segment", format_args!("{end} bytes"), bytes)
                .at(&name, place.offset)
                .into());
        }
        fetched => fetched?,
    };
    SegmentHeader::read(&bytes).map_err(|damage| damage.at(&name, place.offset))?;
    let (mut at, mut block) = (SegmentHeader::BYTES, 0);
    while at < bytes.len() {
        let opened = BlockHeader::open(&bytes[at..], block);
        let (_, taken) = opened.map_err(|damage| damage.at(&name, place.offset + at as u64))?;
        at += taken;
        block += 1;
    }
    Ok(())
}
