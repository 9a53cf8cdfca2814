//! What does a document's info say, read where it lies?
//!
//! A listing or a hit needs everything of a document but content and vectors, and of its passages often one.

use crate::Damage;
use crate::fields::{Field, read_fields};
use crate::limits::{
    CONTENT_BYTES_MAX, DOCUMENT_ID_BYTES_MAX, LABEL_BYTES_MAX, METADATA_BYTES_MAX, PASSAGES_MAX,
    READER_BYTES_MAX, READERS_MAX, TAG_BYTES_MAX, TAGS_MAX,
};
use crate::wire::Reader;

/// A document without content and vectors, as [`Document`](crate::document::Document) has it.
#[derive(Debug, Clone)]
pub struct Info<'a> {
    /// Unique in its partition.
    pub id: &'a str,
    /// 1 at first, one more with each update.
    pub version: u32,
    /// The name that the user gave.
    pub filename: &'a str,
    /// The media type.
    pub content_type: &'a str,
    /// How long the content is.
    pub content_bytes: u64,
    /// SHA-256 of the content.
    pub content_digest: [u8; 32],
    /// Labels.
    pub tags: Vec<&'a str>,
    /// A JSON object as text; empty when there is none.
    pub metadata: &'a str,
    /// What a filter can ask of its metadata.
    pub fields: Vec<Field>,
    /// Who the document is about.
    pub entity: Option<&'a str>,
    /// Where it came from.
    pub source: Option<&'a str>,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// Milliseconds since 1970, once it was updated.
    pub updated_ms: Option<u64>,
    /// From when on nobody reads it any more.
    pub expires_ms: Option<u64>,
    /// Under which labels it may be read.
    pub readers: Option<Vec<&'a str>>,
    /// How many passages it has.
    pub passages: u32,
}

/// Where a passage's text is, as [`Passage`](crate::document::Passage) has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassageText<'a> {
    /// From this byte of the content on, to before that one.
    Range(u32, u32),
    /// A text of its own.
    Own(&'a str),
}

impl<'a> Info<'a> {
    /// Reads what [`Document::write_info`](crate::document::Document::write_info) wrote, and tells each passage in turn.
    #[inline]
    pub fn read(input: &mut Reader<'a>, mut tell: impl FnMut(PassageText<'a>)) -> Result<Self, Damage> {
        let id = input.text(DOCUMENT_ID_BYTES_MAX)?;
        let version = input.u32()?;
        let filename = input.text(LABEL_BYTES_MAX)?;
        let content_type = input.text(LABEL_BYTES_MAX)?;
        let content_bytes = input.u64()?;
        if content_bytes > CONTENT_BYTES_MAX as u64 {
            return Err(Damage::new("Document.content_bytes", CONTENT_BYTES_MAX, content_bytes));
        }
        let content_digest = input.array()?;
        let tags = read_texts(input, TAGS_MAX, TAG_BYTES_MAX)?;
        let metadata = input.text(METADATA_BYTES_MAX)?;
        let fields = read_fields(input)?;
        let entity = read_optional(input)?;
        let source = read_optional(input)?;
        let created_ms = input.u64()?;
        let updated_ms = Some(input.u64()?).filter(|&time| time != 0);
        let expires_ms = Some(input.u64()?).filter(|&time| time != 0);
        let readers = match input.u8()? {
            0 => None,
            1 => Some(read_texts(input, READERS_MAX, READER_BYTES_MAX)?),
            other => return Err(Damage::new("Document.readers", "0 or 1", other)),
        };
        let passages = input.count(PASSAGES_MAX, 5)? as u32;
        for _ in 0..passages {
            tell(PassageText::read(input, content_bytes)?);
        }
        Ok(Self {
            id,
            version,
            filename,
            content_type,
            content_bytes,
            content_digest,
            tags,
            metadata,
            fields,
            entity,
            source,
            created_ms,
            updated_ms,
            expires_ms,
            readers,
            passages,
        })
    }
}

impl<'a> PassageText<'a> {
    fn read(input: &mut Reader<'a>, content_bytes: u64) -> Result<Self, Damage> {
        match input.u8()? {
            0 => {
                let (start, end) = (input.u32()?, input.u32()?);
                if start > end || u64::from(end) > content_bytes {
                    let found = format_args!("{start} to {end}").to_string();
                    return Err(Damage::new(
                        "Passage.range",
                        format_args!("within {content_bytes} bytes"),
                        found,
                    ));
                }
                Ok(Self::Range(start, end))
            }
            1 => Ok(Self::Own(input.text(CONTENT_BYTES_MAX)?)),
            other => Err(Damage::new("Passage.kind", "0 or 1", other)),
        }
    }
}

fn read_texts<'a>(
    input: &mut Reader<'a>,
    count_max: usize,
    bytes_max: usize,
) -> Result<Vec<&'a str>, Damage> {
    let count = input.count(count_max, 4)?;
    let mut texts = Vec::with_capacity(count);
    for _ in 0..count {
        texts.push(input.text(bytes_max)?);
    }
    Ok(texts)
}

fn read_optional<'a>(input: &mut Reader<'a>) -> Result<Option<&'a str>, Damage> {
    match input.u8()? {
        0 => Ok(None),
        1 => Ok(Some(input.text(LABEL_BYTES_MAX)?)),
        other => Err(Damage::new("Optional.present", "0 or 1", other)),
    }
}
