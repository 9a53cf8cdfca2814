//! What do the rows of a segment's directory, labels and changes say?

use crate::Damage;
use crate::limits::{CONTENT_BYTES_MAX, DOCUMENT_ID_BYTES_MAX, LABEL_BYTES_MAX, PASSAGES_MAX};
use crate::record::Change;
use crate::wire::{Reader, Writer};

/// A document in a segment's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRow {
    /// Its id.
    pub id: String,
    /// The record that put it there: of two with one id the higher holds.
    pub record: u64,
    /// Since when it is soft-deleted, as of when the segment was written: milliseconds since 1970.
    pub deleted_ms: Option<u64>,
    /// Its first row.
    pub first_row: u32,
    /// How many rows it has.
    pub rows: u32,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// Milliseconds since 1970, once it was updated.
    pub updated_ms: Option<u64>,
    /// From when on nobody reads it any more, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// Where its info begins in the section.
    pub info_offset: u64,
    /// How long the info is.
    pub info_bytes: u32,
    /// Where its content begins in the section.
    pub content_offset: u64,
    /// How long the content is.
    pub content_bytes: u64,
    /// How many words its rows have together, each row counted as 65,535 at most.
    pub words: u64,
}

impl DocumentRow {
    /// Appends it to the directory.
    pub fn write(&self, out: &mut Writer) {
        out.bytes(self.id.as_bytes()).u64(self.record).u64(self.deleted_ms.unwrap_or(0));
        out.u32(self.first_row).u32(self.rows).u64(self.created_ms).u64(self.updated_ms.unwrap_or(0));
        out.u64(self.expires_ms.unwrap_or(0));
        out.u64(self.info_offset).u32(self.info_bytes).u64(self.content_offset).u64(self.content_bytes);
        out.u64(self.words);
    }

    /// Reads the next one of the directory.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(Self {
            id: input.text(DOCUMENT_ID_BYTES_MAX)?.to_owned(),
            record: input.u64()?,
            deleted_ms: Some(input.u64()?).filter(|&time| time != 0),
            first_row: input.u32()?,
            rows: input.u32()?,
            created_ms: input.u64()?,
            updated_ms: Some(input.u64()?).filter(|&time| time != 0),
            expires_ms: Some(input.u64()?).filter(|&time| time != 0),
            info_offset: input.u64()?,
            info_bytes: input.u32()?,
            content_offset: input.u64()?,
            content_bytes: input.u64()?,
            words: input.u64()?,
        })
    }
}

/// Reads a whole directory of so many documents and rows: rows, infos and contents follow each other without a
/// gap.
pub fn decode_directory(bytes: &[u8], documents: u32, rows: u32) -> Result<Vec<DocumentRow>, Damage> {
    let mut input = Reader::new("DocumentRow", bytes);
    let mut directory: Vec<DocumentRow> = Vec::new();
    let (mut next_row, mut next_info, mut next_content) = (0_u32, 0_u64, 0_u64);
    for _ in 0..documents {
        let row = DocumentRow::read(&mut input)?;
        let left = rows - next_row;
        if row.first_row != next_row {
            return Err(Damage::new("DocumentRow.first_row", next_row, row.first_row));
        }
        if row.rows > left || row.rows as usize > PASSAGES_MAX {
            return Err(Damage::new("DocumentRow.rows", format_args!("at most {left}"), row.rows));
        }
        if row.info_offset != next_info {
            return Err(Damage::new("DocumentRow.info_offset", next_info, row.info_offset));
        }
        if row.content_offset != next_content {
            return Err(Damage::new("DocumentRow.content_offset", next_content, row.content_offset));
        }
        if row.content_bytes > CONTENT_BYTES_MAX as u64 {
            return Err(Damage::new("DocumentRow.content_bytes", CONTENT_BYTES_MAX, row.content_bytes));
        }
        if row.words > u64::from(row.rows) * u64::from(u16::MAX) {
            return Err(Damage::new("DocumentRow.words", "at most 65,535 for each row", row.words));
        }
        // Neither sum overflows: there are at most 2³² of each, of at most 2³² bytes.
        next_row += row.rows;
        next_info += u64::from(row.info_bytes);
        next_content += row.content_bytes;
        directory.push(row);
    }
    if next_row != rows {
        return Err(Damage::new("SegmentHeader.rows", rows, next_row));
    }
    input.finish()?;
    Ok(directory)
}

/// What a label says of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum LabelKind {
    /// One of its tags.
    Tag = 1,
    /// Its entity.
    Entity = 2,
    /// Its source.
    Source = 3,
    /// Its media type.
    ContentType = 4,
    /// One of those who may read it; the empty label is on each document that names them, be they none.
    Reader = 5,
}

/// A label and the documents that have it, the bitmap in roaring's portable form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelRow<'a> {
    /// What the label says.
    pub kind: LabelKind,
    /// The label.
    pub text: &'a str,
    /// A roaring bitmap of positions in the directory.
    pub bitmap: &'a [u8],
}

impl<'a> LabelRow<'a> {
    /// Appends it to the section.
    pub fn write(&self, out: &mut Writer) {
        out.u8(self.kind as u8).bytes(self.text.as_bytes()).bytes(self.bitmap);
    }

    /// Reads the next one of the section.
    pub fn read(input: &mut Reader<'a>) -> Result<Self, Damage> {
        let kind = match input.u8()? {
            1 => LabelKind::Tag,
            2 => LabelKind::Entity,
            3 => LabelKind::Source,
            4 => LabelKind::ContentType,
            5 => LabelKind::Reader,
            other => return Err(Damage::new("LabelRow.kind", "1 to 5", other)),
        };
        Ok(Self { kind, text: input.text(LABEL_BYTES_MAX)?, bitmap: input.bytes(1 << 30)? })
    }
}

/// A soft delete, restore or purge of a document in an older segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// The record that said so.
    pub record: u64,
    /// What it said.
    pub change: Change,
}

impl ChangeRow {
    /// Appends it to the section.
    pub fn write(&self, out: &mut Writer) {
        out.u64(self.record);
        self.change.write(out);
    }

    /// Reads the next one of the section.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(Self { record: input.u64()?, change: Change::read(input)? })
    }
}
