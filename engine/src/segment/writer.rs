//! How do documents become the sealed bytes of a segment, and segments a file?

use super::coding::Codes;
use super::labels::Labels;
use super::packing::pack;
use super::row_lists::RowLists;
use super::values::FieldValues;
use crate::cluster::Workers;
use crate::io::{BlobStore, Entropy, Fault};
use crate::seal::{Cipher, Key, Place, Purpose};
use crate::words::WordIndex;
use strongroom_format::document::Document;
use strongroom_format::header::{FileHeader, FileKind};
use strongroom_format::manifest::SegmentPlace;
use strongroom_format::record::CollectionSpec;
use strongroom_format::segment::{
    BLOCK_BYTES, BlockHeader, ChangeRow, DocumentRow, SectionKind, SegmentHeader, encode_table,
    place_sections,
};
use strongroom_format::wire::Writer;
use strongroom_format::words::{WordSections, encode_words};
use zerocopy::IntoBytes;
use zeroize::{Zeroize, Zeroizing};

/// Where the words of a document's rows come from.
#[derive(Debug, Clone, Copy)]
pub enum RowWords<'a> {
    /// From its texts: they are counted now.
    Count,
    /// From where they were counted before; so many in each row.
    Counted(&'a [u16]),
}

/// Collects one partition's documents.
#[derive(Debug, Default)]
pub struct SegmentWriter {
    documents: u32,
    pub(super) rows: u32,
    directory: Writer,
    vectors: Writer,
    infos: Writer,
    contents: Vec<u8>,
    labels: Labels,
    changes: Writer,
    pub(super) words: WordIndex,
    fields: FieldValues,
    pub(super) lists: RowLists,
}

impl SegmentWriter {
    /// Appends a document (its own `vectors` are not looked at) with its rows, given in pieces.
    pub fn push<'a>(
        &mut self,
        record: u64,
        deleted_ms: Option<u64>,
        document: &Document,
        rows: impl IntoIterator<Item = &'a [f32]>,
        words: RowWords<'_>,
    ) {
        let first_word_row = self.words.rows() as usize;
        match words {
            RowWords::Count => document.texts().for_each(|text| self.words.push(text)),
            RowWords::Counted(lengths) => lengths.iter().for_each(|&length| self.words.push_counted(length)),
        }
        let lengths = &self.words.lengths()[first_word_row..];
        assert_eq!(lengths.len(), document.passages.len(), "each row has words, or none");
        let info_offset = self.infos.0.len() as u64;
        document.write_info(&mut self.infos);
        let row = DocumentRow {
            id: document.id.clone(),
            record,
            deleted_ms,
            first_row: self.rows,
            rows: document.passages.len() as u32,
            created_ms: document.created_ms,
            updated_ms: document.updated_ms,
            expires_ms: document.expires_ms,
            info_offset,
            info_bytes: (self.infos.0.len() as u64 - info_offset) as u32,
            content_offset: self.contents.len() as u64,
            content_bytes: document.content.len() as u64,
            words: lengths.iter().map(|&length| u64::from(length)).sum(),
        };
        row.write(&mut self.directory);
        self.contents.extend_from_slice(&document.content);
        for piece in rows {
            self.vectors.f32s(piece);
        }
        self.labels.add(self.documents, document);
        self.fields.add(self.documents, &document.fields);
        self.documents += 1;
        self.rows += row.rows;
    }

    /// How many documents it has.
    pub fn documents(&self) -> u32 {
        self.documents
    }

    /// Notes a soft delete, restore or purge of a document in an older segment.
    pub fn change(&mut self, change: &ChangeRow) {
        change.write(&mut self.changes);
    }
}

/// Puts segments one after the other into one file, written with one sync.
pub struct SegmentFileWriter {
    epoch: u64,
    file_id: [u8; 16],
    bytes: Vec<u8>,
    workers: Workers,
}

impl SegmentFileWriter {
    /// Begins a file of this run. What takes long is computed by the workers.
    pub fn begin(entropy: &dyn Entropy, epoch: u64, workers: Workers) -> Self {
        let mut file_id = [0; 16];
        entropy.fill(&mut file_id);
        let header = FileHeader::new(FileKind::Segments, file_id, epoch, 0);
        Self { epoch, file_id, bytes: header.as_bytes().to_vec(), workers }
    }

    /// Seals a segment under its partition's key. A file takes one segment of each partition at most.
    pub fn add(
        &mut self,
        key: &Key,
        incarnation: [u8; 16],
        spec: CollectionSpec,
        mut segment: SegmentWriter,
    ) -> SegmentPlace {
        let mut labels = segment.labels.encode();
        let before = std::mem::take(&mut segment.lists).of(segment.rows);
        let codes = Codes::of(&segment.vectors.0, spec, &before, &self.workers);
        let WordSections { mut words, mut postings, mut positions } =
            encode_words(segment.words.lengths(), segment.words.sorted());
        let mut fields = segment.fields.encode();
        let packed = [&segment.infos.0, &segment.contents, &words.0, &postings.0, &fields, &positions.0]
            .map(|plain| packed_blocks(plain));
        let mut lengths = Writer::default();
        for block in packed.iter().flatten() {
            lengths.u32(block.len() as u32);
        }
        let [packed_infos, packed_contents, packed_words, packed_postings, packed_fields, packed_positions] =
            &packed;
        let plain_blocks = |plain| BlocksOf { plain, packed: None };
        let blocks_of = [
            plain_blocks(&segment.directory.0),
            plain_blocks(&segment.vectors.0),
            BlocksOf { plain: &segment.infos.0, packed: Some(packed_infos) },
            BlocksOf { plain: &segment.contents, packed: Some(packed_contents) },
            plain_blocks(&labels),
            plain_blocks(&segment.changes.0),
            plain_blocks(&lengths.0),
            BlocksOf { plain: &words.0, packed: Some(packed_words) },
            BlocksOf { plain: &postings.0, packed: Some(packed_postings) },
            plain_blocks(&codes.index.0),
            plain_blocks(&codes.signs),
            plain_blocks(&codes.nibbles),
            plain_blocks(&codes.places),
            BlocksOf { plain: &fields, packed: Some(packed_fields) },
            BlocksOf { plain: &positions.0, packed: Some(packed_positions) },
        ];
        let (sections, bytes) = place_sections(blocks_of.each_ref().map(BlocksOf::lengths));
        let header = SegmentHeader::new(incarnation, spec, segment.documents, segment.rows, bytes);
        let start = self.bytes.len() as u64;
        self.bytes.reserve(bytes as usize);
        self.bytes.extend_from_slice(header.as_bytes());
        let cipher = key.cipher(&self.file_id, Purpose::Segment);
        self.block(&cipher, incarnation, 0, &encode_table(&sections));
        for (number, block) in (1..).zip(blocks_of.iter().flat_map(BlocksOf::iter)) {
            self.block(&cipher, incarnation, number, block);
        }
        assert_eq!(self.bytes.len() as u64, start + bytes);
        [&mut labels, &mut words.0, &mut postings.0, &mut positions.0, &mut fields]
            .into_iter()
            .for_each(Zeroize::zeroize);
        SegmentPlace {
            epoch: self.epoch,
            file_id: self.file_id,
            offset: start,
            bytes,
            documents: segment.documents,
            rows: segment.rows,
        }
    }

    fn block(&mut self, cipher: &Cipher, incarnation: [u8; 16], block: u32, plain: &[u8]) {
        let place = Place { incarnation, file_id: self.file_id, position: self.bytes.len() as u64, kind: 0 };
        let sealed = cipher.seal(u64::from(block), place, plain);
        self.bytes.extend_from_slice(BlockHeader::new(block, &sealed).as_bytes());
        self.bytes.extend_from_slice(&sealed);
    }

    /// How long the file is so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Makes the file durable.
    pub fn finish(self, blobs: &dyn BlobStore) -> Result<(), Fault> {
        let place = SegmentPlace {
            epoch: self.epoch,
            file_id: self.file_id,
            offset: 0,
            bytes: 0,
            documents: 0,
            rows: 0,
        };
        Ok(blobs.create(&super::file_name(&place), &[&self.bytes])?)
    }
}

/// What a section's blocks are made of.
struct BlocksOf<'a> {
    plain: &'a [u8],
    /// Its blocks, compressed, in those sections that are.
    packed: Option<&'a [Zeroizing<Vec<u8>>]>,
}

impl BlocksOf<'_> {
    /// How long the section is before and after compression.
    fn lengths(&self) -> (u64, u64) {
        let plain = self.plain.len() as u64;
        (plain, self.packed.map_or(plain, |blocks| blocks.iter().map(|block| block.len() as u64).sum()))
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let plain = if self.packed.is_none() { self.plain } else { &[] };
        plain.chunks(BLOCK_BYTES).chain(self.packed.into_iter().flatten().map(|block| &block[..]))
    }
}

fn packed_blocks(plain: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    plain.chunks(BLOCK_BYTES).map(pack).collect()
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        for section in [&mut self.vectors.0, &mut self.infos.0, &mut self.contents] {
            section.zeroize();
        }
    }
}

/// The position of a section in the table.
pub(super) fn index(kind: SectionKind) -> usize {
    kind as usize - 1
}
