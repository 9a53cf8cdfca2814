//! Is one segment whole, and does it say what it must?
//!
//! Without the partition's key the blocks are followed from header to header. With it the sealed table tells
//! where each must be: every block is opened in its place, the vectors are looked at as they pass, and the other
//! sections are decoded once all of their blocks opened.

use super::codes::Codes;
use crate::seal::{Cipher, Key, Place, Purpose};
use crate::segment::{FieldValues, unpack};
use roaring::RoaringBitmap;
use strongroom_format::Damage;
use strongroom_format::codes::CODE_SECTIONS;
use strongroom_format::document::Document;
use strongroom_format::limits::BLOCK_BYTES_MAX;
use strongroom_format::manifest::SegmentPlace;
use strongroom_format::record::CollectionSpec;
use strongroom_format::segment::{
    BLOCK_OVERHEAD_BYTES, BlockHeader, ChangeRow, DocumentRow, LabelRow, PACKED, SECTIONS, Section,
    SectionKind, SegmentHeader, TABLE_BYTES, decode_directory, decode_lengths, decode_table,
};
use strongroom_format::wire::Reader;
use strongroom_format::words::decode_words;
use zerocopy::FromBytes;
use zeroize::Zeroizing;

/// A segment in the bytes of its file.
pub(crate) struct Sealed<'a> {
    /// The whole file.
    pub(crate) file: &'a [u8],
    /// Where the segment lies in it, and what it must hold.
    pub(crate) place: SegmentPlace,
    /// Whose it is.
    pub(crate) incarnation: [u8; 16],
    /// What its vectors are.
    pub(crate) spec: CollectionSpec,
}

/// What a segment says that opens.
pub(crate) struct Opened {
    /// Where its sections are.
    pub(crate) sections: [Section; SECTIONS.len()],
    /// Its documents; `None` when they can't be read.
    pub(crate) directory: Option<Vec<DocumentRow>>,
}

impl Sealed<'_> {
    /// Reads every byte of it. Each damage is told with its offset in the file; the caller names the file.
    pub(crate) fn check(&self, key: Option<&Key>, tell: &mut dyn FnMut(Damage)) -> Option<Opened> {
        let SegmentPlace { offset, bytes, documents, rows, file_id, .. } = self.place;
        let within = usize::try_from(offset).ok().zip(usize::try_from(offset.saturating_add(bytes)).ok());
        let Some(segment) = within.and_then(|(begin, end)| self.file.get(begin..end)) else {
            let there = (self.file.len() as u64).saturating_sub(offset);
            tell(Damage::new("segment", format_args!("{bytes} bytes"), there).at("", offset));
            return None;
        };
        match SegmentHeader::read(segment) {
            Ok(header)
                if header == SegmentHeader::new(self.incarnation, self.spec, documents, rows, bytes) => {}
            Ok(_) => tell(Damage::new("SegmentHeader", "as the manifest says", "another").at("", offset)),
            Err(damage) => tell(damage.at("", offset)),
        }
        let mut blocks = Blocks {
            segment,
            offset,
            incarnation: self.incarnation,
            file_id,
            cipher: key.map(|key| key.cipher(&file_id, Purpose::Segment)),
        };
        let Some(table) = blocks.table(tell) else {
            blocks.follow(tell);
            return None;
        };
        let mut opened = Opened { sections: table, directory: None };
        let (mut infos, mut words, mut postings, mut fields, mut positions) = (None, None, None, None, None);
        let starts = blocks.starts(&table, tell);
        let mut codes = blocks.codes(&table, self.spec, rows, tell);
        for (kind, section) in SECTIONS.into_iter().zip(&table) {
            let told = |damage: Damage| damage.at("", offset + section.offset);
            let plain = match (kind, &starts) {
                // These were read before all others.
                (SectionKind::Lengths | SectionKind::Index | SectionKind::Places, _) => continue,
                (SectionKind::Vectors, _) => {
                    let plain = blocks.section(kind, section, None, &mut |plain| codes.push(plain), tell);
                    codes = codes.end();
                    plain
                }
                (_, Some(starts)) if kind.is_packed() => {
                    let starts = PACKED.iter().zip(starts).find(|(packed, _)| **packed == kind);
                    blocks.section(kind, section, starts.map(|(_, starts)| &starts[..]), &mut |_| (), tell)
                }
                _ => blocks.section(kind, section, None, &mut |_| (), tell),
            };
            let decoded = match (kind, plain) {
                (SectionKind::Vectors, _) => {
                    let expected = u64::from(rows) * u64::from(self.spec.dimension) * 4;
                    let fits = section.plain_bytes == expected;
                    fits.then_some(()).ok_or_else(|| Damage::new("vectors", expected, section.plain_bytes))
                }
                (SectionKind::Directory, Some(plain)) => decode_directory(&plain, documents, rows)
                    .map(|directory| opened.directory = Some(directory)),
                (SectionKind::Infos, plain) => {
                    infos = plain;
                    Ok(())
                }
                (SectionKind::Words, plain) => {
                    words = plain;
                    Ok(())
                }
                (SectionKind::Postings, plain) => {
                    postings = plain;
                    Ok(())
                }
                (SectionKind::Fields, plain) => {
                    fields = plain;
                    Ok(())
                }
                (SectionKind::Positions, plain) => {
                    positions = plain;
                    Ok(())
                }
                (SectionKind::Labels, Some(plain)) => labels(&plain, documents),
                (SectionKind::Changes, Some(plain)) => changes(&plain),
                (SectionKind::Signs | SectionKind::Nibbles, Some(plain)) => codes.check(kind, &plain),
                _ => Ok(()),
            };
            decoded.map_err(told).unwrap_or_else(&mut *tell);
        }
        if let (Some(directory), Some(infos)) = (&opened.directory, infos) {
            let contents = table[SectionKind::Contents as usize - 1];
            let at = offset + table[SectionKind::Infos as usize - 1].offset;
            match documents_in(directory, &infos, contents) {
                Err(damage) => tell(damage.at("", at)),
                Ok(mut values) => {
                    if fields.is_some_and(|fields| *values.encode() != **fields) {
                        let damage =
                            Damage::new("fields", "those of the documents, in their one form", "others");
                        tell(damage.at("", offset + table[SectionKind::Fields as usize - 1].offset));
                    }
                }
            }
        }
        if let (Some(directory), Some(words), Some(postings), Some(positions)) =
            (&opened.directory, words, postings, positions)
        {
            let at = offset + table[SectionKind::Words as usize - 1].offset;
            let sections = [&words, &postings, &positions].map(|plain| &plain[..]);
            words_of(directory, sections).map_err(|damage| damage.at("", at)).unwrap_or_else(tell);
        }
        Some(opened)
    }
}

/// The sealed blocks of a segment.
struct Blocks<'a> {
    segment: &'a [u8],
    /// Where the segment begins in the file.
    offset: u64,
    incarnation: [u8; 16],
    file_id: [u8; 16],
    cipher: Option<Cipher>,
}

impl Blocks<'_> {
    /// Where the sections are; `None` without a key, or when the table can't be read.
    fn table(&self, tell: &mut dyn FnMut(Damage)) -> Option<[Section; SECTIONS.len()]> {
        self.cipher.as_ref()?;
        let begin = SegmentHeader::BYTES as u64;
        let opened = self.open(begin, 0, (TABLE_BYTES - BLOCK_OVERHEAD_BYTES) as u64);
        // What is wrong with the block itself is told when the blocks are followed.
        let table = opened.ok()??;
        match decode_table(&table, self.segment.len() as u64) {
            Ok(table) => Some(table),
            Err(damage) => {
                tell(damage.at("", self.offset + begin));
                None
            }
        }
    }

    /// Where the blocks of the packed sections begin.
    fn starts(
        &self,
        table: &[Section; SECTIONS.len()],
        tell: &mut dyn FnMut(Damage),
    ) -> Option<[Vec<u64>; PACKED.len()]> {
        let lengths = &table[SectionKind::Lengths as usize - 1];
        let plain = self.section(SectionKind::Lengths, lengths, None, &mut |_| (), tell)?;
        decode_lengths(&plain, PACKED.map(|kind| &table[kind as usize - 1]))
            .map_err(|damage| tell(damage.at("", self.offset + lengths.offset)))
            .ok()
    }

    /// What the codes of the rows must be, once these have passed.
    fn codes(
        &self,
        table: &[Section; SECTIONS.len()],
        spec: CollectionSpec,
        rows: u32,
        tell: &mut dyn FnMut(Damage),
    ) -> Codes {
        let mut read =
            |kind: SectionKind| self.section(kind, &table[kind as usize - 1], None, &mut |_| (), tell);
        let (Some(index), Some(places)) = (read(SectionKind::Index), read(SectionKind::Places)) else {
            return Codes::default();
        };
        let sections = CODE_SECTIONS.map(|kind| &table[kind as usize - 1]);
        Codes::begin(&index, &places, spec, rows, sections).unwrap_or_else(|damage| {
            tell(damage.at("", self.offset + table[SectionKind::Index as usize - 1].offset));
            Codes::default()
        })
    }

    /// Opens every block of a section, shows what it holds, and answers the plaintext when all of them open; that of
    /// vectors and contents, which may be large, never. Of a packed section whose `starts` nobody knows it reads up to
    /// the first block that can't be followed.
    fn section(
        &self,
        kind: SectionKind,
        section: &Section,
        starts: Option<&[u64]>,
        show: &mut dyn FnMut(&[u8]),
        tell: &mut dyn FnMut(Damage),
    ) -> Option<Zeroizing<Vec<u8>>> {
        let is_large = matches!(kind, SectionKind::Vectors | SectionKind::Contents);
        let mut whole = Some(Zeroizing::new(Vec::new())).filter(|_| !is_large);
        let mut next = section.offset;
        for number in 0..section.blocks() {
            let plain_bytes = section.plain_block_bytes(number);
            let stored_bytes = match starts {
                Some(starts) => starts[number as usize + 1] - starts[number as usize],
                None if !kind.is_packed() => plain_bytes,
                None => self.stored_bytes(next).unwrap_or(plain_bytes).min(plain_bytes),
            };
            let at = next;
            next += stored_bytes + BLOCK_OVERHEAD_BYTES as u64;
            let block = section.first_block + number as u32;
            let opened = self.open(at, block, stored_bytes).and_then(|packed| {
                let plain = packed.map(|packed| unpack(packed, plain_bytes as usize)).transpose();
                plain.map_err(|damage| damage.at("", self.offset + at))
            });
            match opened {
                Ok(Some(plain)) => {
                    show(&plain);
                    if kind == SectionKind::Vectors && !are_finite(&plain) {
                        let damage = Damage::new("vectors", "finite components", "others");
                        tell(damage.at("", self.offset + at));
                    }
                    if let Some(whole) = &mut whole {
                        whole.extend_from_slice(&plain);
                    }
                }
                Ok(None) => whole = None,
                Err(damage) => {
                    tell(damage);
                    whole = None;
                    if kind.is_packed() && starts.is_none() {
                        break;
                    }
                }
            }
        }
        whole
    }

    /// How long the block at this place says that it is.
    fn stored_bytes(&self, at: u64) -> Option<u64> {
        let (header, _) = BlockHeader::read_from_prefix(self.segment.get(at as usize..)?).ok()?;
        Some(header.plain_bytes.get().into())
    }

    /// The block at this place of the segment, checked, and opened when there is a key.
    fn open(&self, at: u64, block: u32, stored_bytes: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Damage> {
        let position = self.offset + at;
        let bytes = self.segment.get(at as usize..).unwrap_or_default();
        let (sealed, taken) = BlockHeader::open(bytes, block).map_err(|damage| damage.at("", position))?;
        if taken as u64 != stored_bytes + BLOCK_OVERHEAD_BYTES as u64 {
            let found = taken - BLOCK_OVERHEAD_BYTES;
            return Err(Damage::new("BlockHeader.plain_bytes", stored_bytes, found).at("", position));
        }
        let Some(cipher) = &self.cipher else { return Ok(None) };
        let place = Place { incarnation: self.incarnation, file_id: self.file_id, position, kind: 0 };
        let plain = cipher.open(u64::from(block), place, sealed).map_err(|_| {
            let damage = Damage::new("block", "sealed under its partition's key for this place", "not");
            damage.at("", position)
        })?;
        Ok(Some(Zeroizing::new(plain)))
    }

    /// Reads one block after the other without knowing where they must be. Behind one that can't be followed,
    /// the next that checks is looked for.
    fn follow(&mut self, tell: &mut dyn FnMut(Damage)) {
        let (mut at, mut block) = (SegmentHeader::BYTES, 0);
        while at < self.segment.len() {
            let rest = &self.segment[at..];
            let damage = match BlockHeader::open(rest, block) {
                Ok((_, taken)) => {
                    // The table is the one block that may be opened without knowing where the others are.
                    let opens =
                        (block == 0).then(|| self.open(at as u64, 0, (taken - BLOCK_OVERHEAD_BYTES) as u64));
                    if let Some(Err(damage)) = opens {
                        tell(damage);
                    }
                    at += taken;
                    block += 1;
                    continue;
                }
                Err(damage) => damage,
            };
            tell(damage.at("", self.offset + at as u64));
            let furthest = self.segment.len().min(at + BLOCK_BYTES_MAX + BLOCK_OVERHEAD_BYTES);
            let checks = |next: &usize| BlockHeader::open(&self.segment[*next..], block + 1).is_ok();
            let Some(next) = (at + BLOCK_OVERHEAD_BYTES..furthest).find(checks) else { return };
            at = next;
            block += 1;
        }
    }
}

/// Whether all f32 of a block are numbers. A block holds whole ones.
fn are_finite(plain: &[u8]) -> bool {
    let (components, rest) = plain.as_chunks::<4>();
    rest.is_empty() && components.iter().all(|&component| f32::from_le_bytes(component).is_finite())
}

fn labels(plain: &[u8], documents: u32) -> Result<(), Damage> {
    let mut input = Reader::new("LabelRow", plain);
    while !input.is_empty() {
        let row = LabelRow::read(&mut input)?;
        let bitmap = RoaringBitmap::deserialize_from(row.bitmap)
            .map_err(|error| Damage::new("LabelRow.bitmap", "a roaring bitmap", error))?;
        if bitmap.max().is_some_and(|max| max >= documents) {
            return Err(Damage::new("LabelRow.bitmap", "ordinals of documents", "more"));
        }
    }
    Ok(())
}

/// Dictionary, postings and positions say the same, of each row and of each document.
fn words_of(directory: &[DocumentRow], sections: [&[u8]; 3]) -> Result<(), Damage> {
    let rows = directory.last().map_or(0, |row| row.first_row + row.rows);
    let counts = decode_words(sections, rows, |_, _, _| ())?;
    for row in directory {
        let counts = &counts[row.first_row as usize..(row.first_row + row.rows) as usize];
        let found: u64 = counts.iter().map(|&count| u64::from(count)).sum();
        if found != row.words {
            return Err(Damage::new("DocumentRow.words", found, row.words));
        }
    }
    Ok(())
}

fn changes(plain: &[u8]) -> Result<(), Damage> {
    let mut input = Reader::new("ChangeRow", plain);
    while !input.is_empty() {
        ChangeRow::read(&mut input)?;
    }
    Ok(())
}

/// The infos lie one after the other, each its document's, and contents within their section. Answers their fields.
fn documents_in(directory: &[DocumentRow], infos: &[u8], contents: Section) -> Result<FieldValues, Damage> {
    let mut input = Reader::new("document info", infos);
    let (mut read_through, mut values) = (0_u64, FieldValues::default());
    for (ordinal, row) in (0..).zip(directory) {
        let bytes = input.raw(row.info_bytes as usize)?;
        let mut info = Reader::new("document info", bytes);
        let (document, content_bytes) = Document::read_info(&mut info)?;
        info.finish()?;
        let is_its = document.id == row.id && document.passages.len() == row.rows as usize;
        let is_its = is_its && (document.created_ms, document.updated_ms) == (row.created_ms, row.updated_ms);
        if !is_its || content_bytes != row.content_bytes || read_through != row.info_offset {
            return Err(Damage::new("document info", "the directory's document", "another"));
        }
        if row.content_offset.checked_add(row.content_bytes).is_none_or(|end| end > contents.plain_bytes) {
            return Err(Damage::new("DocumentRow.content_offset", "inside the section", row.content_offset));
        }
        read_through += u64::from(row.info_bytes);
        values.add(ordinal, &document.fields);
    }
    input.finish().map(|()| values)
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::io::sim::Sim;
    use crate::segment::{RowWords, SegmentFileWriter, SegmentWriter, file_name};
    use strongroom_format::document::Passage;
    use strongroom_format::fields::{Field, FieldValue};

    /// What is told of a segment of one document, in which this byte of a section, counted from its end, is another one,
    /// sealed as it must be.
    fn told_of_another_byte(kind: SectionKind, from_end: usize) -> Vec<&'static str> {
        told_of_another_byte_in(&["x".to_owned()], kind, from_end)
    }

    /// The same of a document of these passages.
    fn told_of_another_byte_in(texts: &[String], kind: SectionKind, from_end: usize) -> Vec<&'static str> {
        let medium = Sim::new(1).restart();
        let key = Key::random(&*medium.entropy);
        let mut writer = SegmentWriter::default();
        let document = Document {
            id: "a".to_owned(),
            passages: texts.iter().cloned().map(Passage::Own).collect(),
            fields: vec![Field { path: "n".to_owned(), value: FieldValue::Number(7_u64.into()) }],
            ..Document::default()
        };
        writer.push(1, None, &document, [&vec![1.0; texts.len()][..]], RowWords::Count);
        let mut file = SegmentFileWriter::begin(&*medium.entropy, 7, crate::cluster::Workers::ALONE);
        let incarnation = [3; 16];
        let place = file.add(&key, incarnation, CollectionSpec::cosine(1), writer);
        file.finish(&*medium.blobs).unwrap();
        let all = 0..place.offset + place.bytes;
        let mut bytes = medium.blobs.read(&file_name(&place), &[all]).unwrap().remove(0);
        let check = |bytes: &[u8]| {
            let mut told = Vec::new();
            let sealed = Sealed { file: bytes, place, incarnation, spec: CollectionSpec::cosine(1) };
            let opened = sealed.check(Some(&key), &mut |damage| told.push(damage.field)).unwrap();
            (opened.sections[kind as usize - 1], told)
        };
        let (section, told) = check(&bytes);
        assert!(told.is_empty() && section.blocks() == 1, "{told:?}");

        let at = (place.offset + section.offset) as usize;
        let (sealed, length) = BlockHeader::open(&bytes[at..], section.first_block).unwrap();
        let cipher = key.cipher(&place.file_id, Purpose::Segment);
        let position = at as u64;
        let where_it_is = || Place { incarnation, file_id: place.file_id, position, kind: 0 };
        let mut plain = cipher.open(u64::from(section.first_block), where_it_is(), sealed).unwrap();
        let changed = plain.len() - from_end;
        plain[changed] ^= 1;
        let sealed = cipher.seal(u64::from(section.first_block), where_it_is(), &plain);
        let header = BlockHeader::new(section.first_block, &sealed);
        let block = [zerocopy::IntoBytes::as_bytes(&header), &sealed].concat();
        bytes[at..at + length].copy_from_slice(&block);
        check(&bytes).1
    }

    /// Without this, an index that leaves documents out of filtered searches would pass for whole.
    #[test]
    fn an_index_of_fields_that_says_other_things_than_its_documents_is_found() {
        assert_eq!(told_of_another_byte(SectionKind::Fields, 3), ["fields"]);
    }

    /// Lost otherwise: hits of searches by frequent words, while the segment passes for whole.
    #[test]
    fn bounds_that_the_postings_do_not_have_are_found() {
        // Of rows that nothing compresses, 200 have the word, with two bytes for each; what is known of them stands before these.
        let mut state = 1_u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            1 + (state >> 33) % below
        };
        let mut texts = Vec::new();
        while texts.iter().filter(|text: &&String| text.starts_with('x')).count() < 200 {
            let first = if draw(3) == 1 { "a " } else { "x " };
            texts.push(first.repeat(draw(120) as usize) + &"b ".repeat(draw(120) as usize));
        }
        for from_end in 401..420 {
            let told = told_of_another_byte_in(&texts, SectionKind::Postings, from_end);
            assert!(matches!(told[..], ["posting blocks" | "posting bounds"]), "{told:?} {from_end}");
        }
    }

    /// Without this, a segment in which phrases are looked for at wrong places would pass for whole.
    #[test]
    fn positions_that_no_text_has_are_found() {
        assert_eq!(told_of_another_byte(SectionKind::Positions, 1), ["position"]);
    }
}
