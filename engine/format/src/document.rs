//! What does a user insert, and what does the engine keep of it?

use crate::Damage;
use crate::fields::{Field, read_fields, write_fields};
use crate::limits::{
    CONTENT_BYTES_MAX, DOCUMENT_ID_BYTES_MAX, LABEL_BYTES_MAX, METADATA_BYTES_MAX, PASSAGES_MAX,
    READER_BYTES_MAX, READERS_MAX, TAG_BYTES_MAX, TAGS_MAX,
};
use crate::wire::{Reader, Writer};

/// A document as it is stored: everything that belongs to one id.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// 1 to 256 bytes, unique in its partition.
    pub id: String,
    /// 1 at first, one more with each update.
    pub version: u32,
    /// The name that the user gave.
    pub filename: String,
    /// The media type, such as `text/plain`.
    pub content_type: String,
    /// The bytes as they came.
    pub content: Vec<u8>,
    /// SHA-256 of `content`.
    pub content_digest: [u8; 32],
    /// Labels, in the user's order, without repeats.
    pub tags: Vec<String>,
    /// A JSON object as text; empty when there is none.
    pub metadata: String,
    /// What a filter can ask of its metadata, rising.
    pub fields: Vec<Field>,
    /// Who the document is about, if anyone.
    pub entity: Option<String>,
    /// Where it came from.
    pub source: Option<String>,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// Milliseconds since 1970, once it was updated.
    pub updated_ms: Option<u64>,
    /// From when on nobody reads it any more, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// Under which labels it may be read: with none it is for those alone who may read everything. `None`: for all.
    pub readers: Option<Vec<String>>,
    /// The pieces that are scored, in the text's order.
    pub passages: Vec<Passage>,
    /// One row of the collection's dimension for each passage, one after the other, each of length 1 (or zero) where
    /// cosines are compared.
    pub vectors: Vec<f32>,
}

/// Where a passage's text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passage {
    /// A byte range of the content, which is UTF-8 there.
    Range {
        /// First byte.
        start: u32,
        /// One past the last byte.
        end: u32,
    },
    /// Text of its own, when the caller brought passages that aren't cut from the content.
    Own(String),
}

impl Passage {
    /// Where it stands in the content, in bytes; `None` when it has a text of its own.
    pub fn range(&self) -> Option<(u32, u32)> {
        match self {
            Self::Range { start, end } => Some((*start, *end)),
            Self::Own(_) => None,
        }
    }
}

impl Document {
    /// The texts of its passages, in order. What is not UTF-8 has no text.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.passages.iter().map(|passage| match passage {
            Passage::Own(text) => text,
            Passage::Range { start, end } => {
                let bytes = self.content.get(*start as usize..*end as usize);
                bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
            }
        })
    }

    /// A copy without content and vectors.
    #[must_use]
    pub fn info(&self) -> Self {
        Self {
            id: self.id.clone(),
            version: self.version,
            filename: self.filename.clone(),
            content_type: self.content_type.clone(),
            content: Vec::new(),
            content_digest: self.content_digest,
            tags: self.tags.clone(),
            metadata: self.metadata.clone(),
            fields: self.fields.clone(),
            entity: self.entity.clone(),
            source: self.source.clone(),
            created_ms: self.created_ms,
            updated_ms: self.updated_ms,
            expires_ms: self.expires_ms,
            readers: self.readers.clone(),
            passages: self.passages.clone(),
            vectors: Vec::new(),
        }
    }

    /// Writes everything but content and vectors: what a listing or a hit needs.
    pub fn write_info(&self, out: &mut Writer) {
        out.bytes(self.id.as_bytes()).u32(self.version);
        out.bytes(self.filename.as_bytes()).bytes(self.content_type.as_bytes());
        out.u64(self.content.len() as u64).raw(&self.content_digest);
        out.u32(self.tags.len() as u32);
        for tag in &self.tags {
            out.bytes(tag.as_bytes());
        }
        out.bytes(self.metadata.as_bytes());
        write_fields(&self.fields, out);
        write_optional(out, self.entity.as_deref());
        write_optional(out, self.source.as_deref());
        out.u64(self.created_ms).u64(self.updated_ms.unwrap_or(0)).u64(self.expires_ms.unwrap_or(0));
        out.u8(u8::from(self.readers.is_some()));
        if let Some(readers) = &self.readers {
            out.u32(readers.len() as u32);
            for reader in readers {
                out.bytes(reader.as_bytes());
            }
        }
        out.u32(self.passages.len() as u32);
        for passage in &self.passages {
            match passage {
                Passage::Range { start, end } => out.u8(0).u32(*start).u32(*end),
                Passage::Own(text) => out.u8(1).bytes(text.as_bytes()),
            };
        }
    }

    /// Reads what [`Document::write_info`] wrote; `content` and `vectors` stay empty. Also answers how long
    /// the content is.
    pub fn read_info(input: &mut Reader<'_>) -> Result<(Self, u64), Damage> {
        let id = input.text(DOCUMENT_ID_BYTES_MAX)?.to_owned();
        let version = input.u32()?;
        let filename = input.text(LABEL_BYTES_MAX)?.to_owned();
        let content_type = input.text(LABEL_BYTES_MAX)?.to_owned();
        let content_bytes = input.u64()?;
        if content_bytes > CONTENT_BYTES_MAX as u64 {
            return Err(Damage::new("Document.content_bytes", CONTENT_BYTES_MAX, content_bytes));
        }
        let content_digest = input.array()?;
        let tags = (0..input.count(TAGS_MAX, 4)?)
            .map(|_| input.text(TAG_BYTES_MAX).map(str::to_owned))
            .collect::<Result<_, _>>()?;
        let metadata = input.text(METADATA_BYTES_MAX)?.to_owned();
        let fields = read_fields(input)?;
        let entity = read_optional(input)?;
        let source = read_optional(input)?;
        let created_ms = input.u64()?;
        let updated_ms = Some(input.u64()?).filter(|&time| time != 0);
        let expires_ms = Some(input.u64()?).filter(|&time| time != 0);
        let readers = read_readers(input)?;
        let passages = (0..input.count(PASSAGES_MAX, 5)?)
            .map(|_| read_passage(input, content_bytes))
            .collect::<Result<_, _>>()?;
        let document = Self {
            id,
            version,
            filename,
            content_type,
            content: Vec::new(),
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
            vectors: Vec::new(),
        };
        Ok((document, content_bytes))
    }
}

fn read_readers(input: &mut Reader<'_>) -> Result<Option<Vec<String>>, Damage> {
    match input.u8()? {
        0 => Ok(None),
        1 => {
            let count = input.count(READERS_MAX, 4)?;
            let each = (0..count).map(|_| input.text(READER_BYTES_MAX).map(str::to_owned));
            each.collect::<Result<_, _>>().map(Some)
        }
        other => Err(Damage::new("Document.readers", "0 or 1", other)),
    }
}

fn read_passage(input: &mut Reader<'_>, content_bytes: u64) -> Result<Passage, Damage> {
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
            Ok(Passage::Range { start, end })
        }
        1 => Ok(Passage::Own(input.text(CONTENT_BYTES_MAX)?.to_owned())),
        other => Err(Damage::new("Passage.kind", "0 or 1", other)),
    }
}

fn write_optional(out: &mut Writer, value: Option<&str>) {
    match value {
        None => out.u8(0),
        Some(text) => out.u8(1).bytes(text.as_bytes()),
    };
}

fn read_optional(input: &mut Reader<'_>) -> Result<Option<String>, Damage> {
    match input.u8()? {
        0 => Ok(None),
        1 => Ok(Some(input.text(LABEL_BYTES_MAX)?.to_owned())),
        other => Err(Damage::new("Optional.present", "0 or 1", other)),
    }
}
