//! What does a user insert, and what does the engine keep of it?

use crate::Damage;
use crate::fields::{Field, write_fields};
use crate::info::{Info, PassageText};
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

impl From<PassageText<'_>> for Passage {
    fn from(passage: PassageText<'_>) -> Self {
        match passage {
            PassageText::Range(start, end) => Self::Range { start, end },
            PassageText::Own(text) => Self::Own(text.to_owned()),
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
        let mut passages = Vec::new();
        let info = Info::read(input, |passage| passages.push(Passage::from(passage)))?;
        let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
        let document = Self {
            id: info.id.to_owned(),
            version: info.version,
            filename: info.filename.to_owned(),
            content_type: info.content_type.to_owned(),
            content: Vec::new(),
            content_digest: info.content_digest,
            tags: owned(info.tags),
            metadata: info.metadata.to_owned(),
            fields: info.fields,
            entity: info.entity.map(str::to_owned),
            source: info.source.map(str::to_owned),
            created_ms: info.created_ms,
            updated_ms: info.updated_ms,
            expires_ms: info.expires_ms,
            readers: info.readers.map(owned),
            passages,
            vectors: Vec::new(),
        };
        Ok((document, info.content_bytes))
    }
}

fn write_optional(out: &mut Writer, value: Option<&str>) {
    match value {
        None => out.u8(0),
        Some(text) => out.u8(1).bytes(text.as_bytes()),
    };
}
