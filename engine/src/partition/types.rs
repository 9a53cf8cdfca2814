//! What goes into a partition and what comes out: the types of its calls.

use super::ages::Ages;
use crate::filter::Filter;
pub use crate::index::Unit;
use strongroom_format::document::Document;
pub use strongroom_format::document::Passage;
use strongroom_format::fields::Field;
use strongroom_format::info::Info;

/// A document on its way in. The engine gives it its id, version and times.
#[derive(Debug, Clone, Default)]
pub struct NewDocument {
    /// An id of the caller's own; `None` lets the engine make one.
    pub id: Option<String>,
    /// The name that the user gave.
    pub filename: String,
    /// The media type.
    pub content_type: String,
    /// The bytes as they came.
    pub content: Vec<u8>,
    /// Labels; repeats are dropped.
    pub tags: Vec<String>,
    /// A JSON object as text; empty when there is none.
    pub metadata: String,
    /// What a filter can ask of the metadata; repeats are dropped.
    pub fields: Vec<Field>,
    /// Who the document is about.
    pub entity: Option<String>,
    /// Where it came from.
    pub source: Option<String>,
    /// Under which labels it may be read; none of them is empty. With none at all it is for those alone who act as
    /// [`ActingAs::Administrator`](crate::ActingAs::Administrator); `None`: for everybody who reaches the partition. Repeats are dropped.
    pub readers: Option<Vec<String>>,
    /// From when on nobody reads it, in milliseconds since 1970; it is purged some while after.
    pub expires_ms: Option<u64>,
    /// The pieces that are scored, each with its vector of the collection's dimension.
    pub passages: Vec<NewPassage>,
}

/// A piece of a document with the vector that stands for it.
#[derive(Debug, Clone)]
pub struct NewPassage {
    /// Where its text is.
    pub text: Passage,
    /// Of any length where cosines are compared: the engine normalises it, and the zero vector scores 0. Else it is kept as it
    /// comes, and is `2^62` long at most. NaN and infinity are refused.
    pub vector: Vec<f32>,
}

/// A document without its content and vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentInfo {
    /// Its id.
    pub id: String,
    /// 1 at first, one more with each update.
    pub version: u32,
    /// The name that the user gave.
    pub filename: String,
    /// The media type.
    pub content_type: String,
    /// How long the content is.
    pub content_bytes: u64,
    /// SHA-256 of the content.
    pub content_digest: [u8; 32],
    /// Labels.
    pub tags: Vec<String>,
    /// A JSON object as text; empty when there is none.
    pub metadata: String,
    /// Who the document is about.
    pub entity: Option<String>,
    /// Where it came from.
    pub source: Option<String>,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// Milliseconds since 1970, once it was updated.
    pub updated_ms: Option<u64>,
    /// From when on nobody reads it any more, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// Under which labels it may be read; `None`: under any.
    pub readers: Option<Vec<String>>,
    /// How many passages (and so vectors) it has.
    pub passages: u32,
}

impl DocumentInfo {
    /// What is left to say of a document that was written at this time and is gone.
    pub(super) fn gone(id: &str, at_ms: u64) -> Self {
        Self::of(Document { id: id.to_owned(), created_ms: at_ms, ..Document::default() }, 0)
    }

    /// What a stored document's info says.
    pub(super) fn of_info(info: Info<'_>) -> Self {
        let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
        Self {
            id: info.id.to_owned(),
            version: info.version,
            filename: info.filename.to_owned(),
            content_type: info.content_type.to_owned(),
            content_bytes: info.content_bytes,
            content_digest: info.content_digest,
            tags: owned(info.tags),
            metadata: info.metadata.to_owned(),
            entity: info.entity.map(str::to_owned),
            source: info.source.map(str::to_owned),
            created_ms: info.created_ms,
            updated_ms: info.updated_ms,
            expires_ms: info.expires_ms,
            readers: info.readers.map(owned),
            passages: info.passages,
        }
    }

    /// What a stored document says of itself; its content may have been left out.
    pub(super) fn of(document: Document, content_bytes: u64) -> Self {
        Self {
            passages: document.passages.len() as u32,
            id: document.id,
            version: document.version,
            filename: document.filename,
            content_type: document.content_type,
            content_bytes,
            content_digest: document.content_digest,
            tags: document.tags,
            metadata: document.metadata,
            entity: document.entity,
            source: document.source,
            created_ms: document.created_ms,
            updated_ms: document.updated_ms,
            expires_ms: document.expires_ms,
            readers: document.readers,
        }
    }
}

/// One of a document's passages, without its vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassageInfo {
    /// Which of them it is, from 0.
    pub number: u32,
    /// Where it stands in the document's content, in bytes; `None` when it carries a text of its own.
    pub range: Option<(u32, u32)>,
    /// Its text.
    pub text: String,
}

/// What documents are compared with.
#[derive(Debug, Clone, Copy)]
pub enum Query<'a> {
    /// A vector of the collection's dimension, as [`NewPassage::vector`] may be.
    Vector(&'a [f32]),
    /// The words of a text.
    Words(&'a str),
    /// Both.
    Hybrid {
        /// The vector.
        vector: &'a [f32],
        /// The text.
        words: &'a str,
        /// How they are brought together.
        fusion: Fusion,
    },
}

/// How the similarity of vectors and that of words become one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fusion {
    /// A weighted sum of the similarity (see [`Hit::score`]) and the words' share, from 0 to 1: a score means the same from query
    /// to query. Where inner products are compared, it takes vectors whose products are of about that size, such as those of
    /// length 1; beside larger ones words count for little, and ranks are the better choice.
    #[default]
    Sum,
    /// By the ranks in both lists (reciprocal rank fusion, Cormack and others 2009; k = 60), as a share of what the
    /// first of both would get.
    Ranks,
}

/// A search.
#[derive(Debug, Clone)]
pub struct SearchRequest<'a> {
    /// What documents are compared with.
    pub query: Query<'a>,
    /// What is counted and answered.
    pub unit: Unit,
    /// How many of these at most.
    pub k: usize,
    /// Which documents take part.
    pub filter: &'a Filter,
    /// Hits whose vectors are less similar than this are left out: by the cosine, by the inner product, or by
    /// `1 / (1 + distance)`, so that `s` admits what is no farther than `1 / s - 1`. 0 and less let all pass. Words alone have none.
    pub similarity_min: f32,
    /// Which share of the nearest is to be found at least, on the average of many searches, where many rows are compared by vectors
    /// alone; `None` for all of them, for sure.
    pub recall: Option<f32>,
    /// How much documents' ages count.
    pub ages: Option<Ages>,
    /// Whether hits carry their document's content.
    pub with_content: bool,
}

/// A document that was found, with its best passage; or a passage that was found, with its document.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The document.
    pub document: DocumentInfo,
    /// How well query and passage agree: by the similarity of their vectors, by BM25 (1 is a passage of mean length with each of
    /// the query's words, or better), or by both; and by its document's ages, when they count.
    ///
    /// The similarity is the cosine; `1 / (1 + distance)` by the Euclidean distance, 1 for equal vectors and one half at
    /// distance 1; or the inner product itself. A score lies from 0 to 1, and hits stand in the order of what it was before it
    /// was cut to that; only where inner products are in it, alone or in a sum, it has no bounds and is not cut. By distance
    /// alone, hits stand in the order of distances, closer than the score can tell apart.
    pub score: f32,
    /// The passage's text.
    pub passage: String,
    /// Which of its document's passages it is, from 0.
    pub passage_number: u32,
    /// Where it stands in the document's content, in bytes; `None` when it carries a text of its own.
    pub passage_range: Option<(u32, u32)>,
    /// The document's content, when it was asked for.
    pub content: Option<Vec<u8>>,
}

/// What a search found, and what the engine opened for it.
#[derive(Debug, Clone)]
pub struct SearchResponse {
    /// Best first; ties by document id, then by passage.
    pub hits: Vec<Hit>,
    /// Evidence.
    pub trace: Trace,
}

/// What the engine opened to answer: made from the keys and segments it used, not from the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The names that stand inside what was opened, as unsealed with the key (`None`: the default partition).
    pub partitions_opened: Vec<Option<String>>,
    /// Segments scanned, the memtable not counted.
    pub segments_opened: u32,
    /// Live documents in what was opened, of those that the caller may read.
    pub candidates: u64,
    /// Whether every candidate that the filter let pass was scored exactly.
    pub exact: bool,
}

/// A page of a listing, newest first; ties by id.
#[derive(Debug, Clone)]
pub struct Page {
    /// The documents of this page.
    pub documents: Vec<DocumentInfo>,
    /// How many match in all.
    pub total: u64,
}
